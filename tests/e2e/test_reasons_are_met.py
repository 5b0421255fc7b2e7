"""What the page of a reason tells people to type meets that reason, on a sandbox as `sparekey up` starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparekey.console.demo import EMAIL
from sparekey.console.explained import Explanations
from sparekey.terms.reasons import Reason
from tests.venue import Venue

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
EXPLANATIONS = Explanations()
TRIED = [reason for reason in Reason if (one := EXPLANATIONS.of(reason.slug)) is not None and one.recipe]
#: After these, orders are refused for the next ten seconds.
TRIED.sort(key=lambda reason: reason in (Reason.ORDER_COUNT_EXCEEDED, Reason.REPLACE_OVER_LIMIT))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    folder = tmp_path_factory.mktemp("sandbox")
    venue = Venue(folder / ".sparekey", demo=True, market="simulated")
    yield venue
    venue.stop()


def typed(sandbox: Venue, lines: str) -> str:
    """What a shell prints that was given these lines."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NO_PROXY": "*", "no_proxy": "*"}
    done = subprocess.run(
        ["bash", "-c", f"{EXPLANATIONS.preface}\n{lines}"],
        cwd=sandbox.data.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("reason", TRIED, ids=lambda reason: reason.slug)
def test_the_commands_of_a_page_meet_its_reason(sandbox: Venue, reason: Reason) -> None:
    explained = EXPLANATIONS.of(reason.slug)
    assert explained is not None
    known = {row["apiKey"] for row in sandbox.ask("GET", f"/accounts/{EMAIL}/keys")}
    before = sandbox.ask("GET", "/calls?limit=1")
    since_ms = before[-1]["timeMs"] if before else 0
    output = typed(sandbox, explained.recipe)
    said = re.sub(r"\\\{\d\\\}", ".*", re.escape(reason.cause))
    met = [row for row in sandbox.ask("GET", "/calls?limit=3000") if row["timeMs"] > since_ms]
    assert (
        reason.slug in {row["reason"] for row in met}
        or f'"reason":"{reason.slug}"' in output
        or (len(reason.cause) > 5 and re.search(said, output))
    ), (output, [row["reason"] for row in met[-5:]])
    for row in sandbox.ask("GET", f"/accounts/{EMAIL}/keys"):
        if row["apiKey"] not in known:
            sandbox.ask("DELETE", f"/keys/{row['apiKey']}")
