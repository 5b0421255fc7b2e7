"""The same servers as the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import start, venue  # noqa: F401
from tests.venue import Venue


@pytest.fixture(scope="module")
def lenient_venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """One server for all tests of a module, for those that touch only what they make; it counts and refuses nothing."""
    running = Venue(tmp_path_factory.mktemp("venue") / "data", profile="off")
    yield running
    running.stop()
