"""Whether anybody is there, on a clock that the test turns."""

from __future__ import annotations

from sparekey.server.audience import LINGERS_US, Audience
from sparekey.server.tally import Tally


class Server:
    def __init__(self) -> None:
        self.now_us = 10**12
        self.tally = Tally()
        self.connections: set[object] = set()
        self.audience = Audience(self.tally, lambda: self.connections, lambda: self.now_us)


def test_nobody_is_there_until_somebody_connects() -> None:
    server = Server()
    assert not server.audience.is_there()
    server.connections.add(object())
    assert server.audience.is_there()


def test_whoever_is_connected_is_there_however_silent() -> None:
    server = Server()
    server.connections.add(object())
    server.now_us += 100 * LINGERS_US
    assert server.audience.is_there()


def test_a_caller_without_a_lasting_connection_is_there_for_a_while_after_each_call() -> None:
    server = Server()
    for _ in range(5):
        server.tally.count(b"/api/v3/time", 200, 1, "", 100)
        assert server.audience.is_there()
        server.now_us += LINGERS_US - 1
        assert server.audience.is_there()
    server.now_us += 1
    assert not server.audience.is_there()


def test_a_probe_of_health_is_nobody() -> None:
    server = Server()
    server.tally.count(b"/healthz", 200, 0, "", 100)
    server.tally.count(b"/metrics", 200, 0, "", 100)
    assert not server.audience.is_there()
