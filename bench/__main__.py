"""`python -m bench [--only gate,orders,streams,…] [--quick]`: measure, print a table, keep the raw data.

Everything stays on this machine and on loopback. What is too noisy is said to be so instead of being reported.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import age, console_pages, engine, gate, idle, keys, machine, orders, ours, sign_ins, streams
from bench.processes import cores, raise_priority
from bench.report import Section, save, table

PARTS = ("gate", "orders", "sign-ins", "streams", "engine", "age", "idle", "keys", "console")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="short and rough")
    parser.add_argument("--fastapi", default=sys.executable, help="a Python that has FastAPI and slowapi")
    options = parser.parse_args()
    chosen = options.only.split(",")
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    described = machine.describe() | {"priority": "raised" if raise_priority() else "as others"}
    for name, value in described.items():
        print(f"{name:12} {value}")
    print()
    where = cores()
    if where.server == where.generator:
        print("One core only: servers and generator share it, and nothing of this is worth quoting.\n")
    os.sched_setaffinity(0, {where.generator})  # this process generates the load
    sections: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="sparekey-bench-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[], Section]] = {
            "gate": lambda: gate.measure(
                folder / "gate", where, gate.QUICK if options.quick else gate.Plan(), ours.gate_server, options.fastapi
            ),
            "orders": lambda: orders.measure(
                folder / "orders", where, orders.QUICK if options.quick else orders.Plan()
            ),
            "sign-ins": lambda: sign_ins.measure(
                folder / "sign-ins", where, sign_ins.QUICK if options.quick else sign_ins.Plan()
            ),
            "streams": lambda: streams.measure(
                folder / "streams", where, streams.QUICK if options.quick else streams.Plan()
            ),
            "engine": lambda: engine.measure(
                folder / "engine", where, engine.QUICK if options.quick else engine.Plan()
            ),
            "age": lambda: age.measure(folder / "age", where, age.QUICK if options.quick else age.Plan()),
            "idle": lambda: idle.measure(folder / "idle", where, idle.QUICK if options.quick else idle.Plan()),
            "keys": lambda: keys.measure(folder / "keys", where, keys.QUICK if options.quick else keys.Plan()),
            "console": lambda: console_pages.measure(
                folder / "console", where, console_pages.QUICK if options.quick else console_pages.Plan()
            ),
        }
        for part in chosen:
            section = parts[part]()
            sections.append(section)
            print(table(section), flush=True)
    path = save(described, sections, {"only": chosen, "quick": options.quick})
    print(f"Raw results: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    missed = [line for section in sections for line in section.lines if line.verdict == "missed"]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
