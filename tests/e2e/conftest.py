"""The `venue` fixture: a started server with fresh state per test; `@pytest.mark.venue(market=…)` sets its options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.venue import Venue


@pytest.fixture
def venue(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Venue]:
    marker = request.node.get_closest_marker("venue")
    running = Venue(tmp_path / "data", **(marker.kwargs if marker else {}))
    yield running
    running.stop()
