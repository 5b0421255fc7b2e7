"""`venue`: a server with fresh state per test, `@pytest.mark.venue(market=…)` sets its options. `start`: processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process import Server
from tests.venue import Venue


@pytest.fixture
def venue(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Venue]:
    marker = request.node.get_closest_marker("venue")
    running = Venue(tmp_path / "data", **(marker.kwargs if marker else {}))
    yield running
    running.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """`start(*options)` → a `Server` on the test's data directory; killed when the test ends."""
    servers: list[Server] = []

    def up(*options: str, data: Path = tmp_path / "data", **more: Any) -> Server:
        servers.append(Server(data, *options, **more))
        return servers[-1]

    yield up
    for server in servers:
        server.kill()
