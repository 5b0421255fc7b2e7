"""Ten thousand connections that say nothing do not keep the server from answering others."""

from __future__ import annotations

import resource
import socket
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import demand

CONNECTIONS = 10_000
#: What the test's own process and the server need beside them.
SPARE_FILES = 500


@pytest.fixture
def many_files() -> Iterator[None]:
    """The soft limit on open files raised to what the test needs, which the server inherits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS + SPARE_FILES
    allowed = hard == resource.RLIM_INFINITY or hard >= needed
    demand(allowed, f"a limit of {needed} open files (the hard limit is {hard}; see `ulimit -Hn`)")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident_kb(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def test_ten_thousand_idle_connections_leave_others_served(start: Any, many_files: None) -> None:
    server = start("--profile", "off")
    call = server.call()
    assert call.limit_order().status == 200
    before_kb = resident_kb(server.process.pid)
    address = urllib.parse.urlsplit(server.url)
    held: list[socket.socket] = []
    try:
        for number in range(CONNECTIONS):
            # One address has too few ports to spare for all of them beside other tests.
            source = f"127.0.{number // 5_000 + 3}.1"
            held.append(socket.create_connection((address.hostname, address.port), 30, source_address=(source, 0)))
        assert [call.limit_order().status for _ in range(20)] == [200] * 20
        assert server.call().limit_order().status == 200  # a new connection beside them
        # About what a socket, its transport and its protocol cost; a leak or a buffer each would be far more.
        assert resident_kb(server.process.pid) - before_kb < 10 * CONNECTIONS
        held[0].sendall(b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held[0].recv(100).startswith(b"HTTP/1.1 200")
    finally:
        for one in held:
            one.close()
    assert server.call().limit_order().status == 200
    assert server.stop() == 0
