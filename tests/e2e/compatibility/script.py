"""What one client is seen to do: a script of named steps, a row of the compatibility page.

A step passes or its test fails. `lacks` says why a step cannot pass yet: then it must fail, and stands on the page with
that reason; once it passes, its test fails until the words are taken away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from tests.e2e.compatibility.page import PAGE, PASSES, Row, read, write

#: Set by `make compatibility`: what was seen goes onto the page instead of being held against it.
_RENEW = os.environ.get("SPAREKEY_COMPATIBILITY") == "renew"


class Script:
    def __init__(self) -> None:
        self.steps: dict[str, str] = {}

    @contextmanager
    def step(self, name: str, *, lacks: str = "") -> Iterator[None]:
        assert name not in self.steps, f"two steps are called {name!r}"
        try:
            yield
        except Exception as error:
            if not lacks:
                error.add_note(f"in the step: {name}")
                raise
            self.steps[name] = f"does not: {lacks}"
        else:
            assert not lacks, f"the step passes now, though it is said to lack something: {name}"
            self.steps[name] = PASSES


@contextmanager
def follow(client: str, version: str) -> Iterator[Script]:
    """The script of `client`; what it passed must stand on the page, with this version and nothing else."""
    script = Script()
    yield script
    rows = read(PAGE.read_text())
    seen = Row(client, version, script.steps, datetime.now(UTC).date().isoformat())
    known = rows.get(client)
    same = known is not None and (known.version, known.steps) == (version, script.steps)
    if not same and _RENEW:
        PAGE.write_text(write([*(row for row in rows.values() if row.client != client), seen]))
        return
    assert known is not None, f"{client} is not on {PAGE.name}; run `make compatibility`"
    assert (version, script.steps) == (known.version, known.steps), f"{PAGE.name} says otherwise: `make compatibility`"
