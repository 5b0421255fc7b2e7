"""`python -m tests.mutation [gate limits signatures]`: run the tests against every mutant, name those that survive.

Each mutant is run in a fork that has everything loaded but the room under test, by the tests that touch it, fast ones
first; the first failure ends it. Survivors that do not matter stand in `accepted.toml`, each with its reason; any
other is a failure. It takes some minutes, and one core.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import io
import os
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
ACCEPTED = Path(__file__).with_name("accepted.toml")
_ACCESS = "tests/unit/access"
#: Module → the tests that are to notice, the quickest first.
TESTS = {
    "gate": [f"{_ACCESS}/{name}.py" for name in ("test_gate", "test_gate_order", "test_gate_counts", "test_limits")],
    "limits": [
        *(f"{_ACCESS}/{name}.py" for name in ("test_limits", "test_limits_edges", "test_gate_counts")),
        "tests/unit/storage/test_address_counts.py",
    ],
    "signatures": [f"{_ACCESS}/{name}.py" for name in ("test_signatures", "test_gate", "test_gate_counts")],
}
#: A mutant that loops for ever is noticed by whoever waits.
_LONGEST_S = 120


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from changed source."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(self.path))

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self.path)
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def survives(name: str, path: Path, source: str, tests: Sequence[str]) -> bool:
    """Whether all tests pass with this source for the module. Run in a fork, which knows nothing of other mutants."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(_LONGEST_S)
            sys.meta_path.insert(0, _Mutated(name, path, source))
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--assert=plain", *tests]))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return status == 0


def run(room: str) -> tuple[Counter[str], list[Mutant]]:
    path = ROOT / "src" / "sparekey" / "access" / f"{room}.py"
    source = path.read_text()
    name = f"sparekey.access.{room}"
    if not survives(name, path, source, TESTS[room]):
        sys.exit(f"{name}: the tests fail without any mutant")
    accepted = {one["mutant"] for one in tomllib.loads(ACCEPTED.read_text())[room]}
    found: Counter[str] = Counter()
    survivors = []
    for mutant in mutants_of(source):
        if not survives(name, path, mutant.source, TESTS[room]):
            found["killed"] += 1
        elif mutant.name in accepted:
            found["accepted"] += 1
        else:
            found["survived"] += 1
            survivors.append(mutant)
            print(f"  survived: line {mutant.line}, {mutant.name}", flush=True)
    return found, survivors


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("rooms", nargs="*", choices=[[], *TESTS], default=list(TESTS))
    rooms = parser.parse_args().rooms
    _load_everything_else()
    survived = 0
    for room in rooms:
        begun = time.monotonic()
        print(f"access/{room}.py", flush=True)
        found, survivors = run(room)
        survived += len(survivors)
        print(f"  {dict(found)}, {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if survived else 0


def _load_everything_else() -> None:
    """What the tests need and is not under test, so that a fork has it already."""
    import cryptography.hazmat.primitives.asymmetric.rsa
    import nacl.bindings

    assert not any(name.startswith("sparekey") for name in sys.modules)
    del cryptography, nacl


if __name__ == "__main__":
    sys.exit(main())
