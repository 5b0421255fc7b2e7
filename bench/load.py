"""The load generator: one thread, raw sockets under epoll, requests prepared beforehand, replies read to their end.

It is the same for every server, and it must not be what is measured: `Slice.server_busy` tells whether the server's
core was full. One request is in flight per connection; nothing is pipelined.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

CONNECTIONS = 64
_END = b"\r\n\r\n"


class Slice(NamedTuple):
    """One stretch of load on one server."""

    requests: int
    failures: int
    seconds: float
    server_cpu_s: float
    #: in microseconds, ascending; closed loop: from sending, open loop: from the moment it was due
    latencies_us: list[int]

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """Of the server, per request."""
        return self.server_cpu_s * 1e6 / max(self.requests, 1)

    @property
    def server_busy(self) -> float:
        return self.server_cpu_s / self.seconds

    def percentile_us(self, per_cent: float) -> int:
        if not self.latencies_us:
            return 0
        return self.latencies_us[min(len(self.latencies_us) - 1, int(len(self.latencies_us) * per_cent / 100))]


class Connection(Protocol):
    """One request in flight; `read` gives the whole reply once it is there, else nothing."""

    socket: socket.socket
    since: int

    def send(self, data: bytes, /) -> None: ...

    def read(self) -> bytes: ...


class _Connection:
    __slots__ = ("held", "recv", "send", "since", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send = self.socket.sendall
        self.recv = self.socket.recv
        self.held = b""
        self.since = 0

    def read(self) -> bytes:
        """The whole reply once it is there, else nothing."""
        data = self.recv(65_536)
        if not data:
            raise ConnectionError("the server closed a connection")
        if self.held:
            data = self.held + data
        end = data.find(_END)
        if end > 0:
            head = data[:end].lower() + b"\r"
            at = head.find(b"content-length:")
            if at > 0 and len(data) >= end + 4 + int(head[at + 15 : head.find(b"\r", at)]):
                self.held = b""
                return data
        self.held = data
        return b""


def fine(reply: bytes) -> bool:
    return reply[9:12] == b"200"


def ask(port: int, request: bytes) -> bytes:
    """One request on a connection of its own; the whole reply."""
    connection = _Connection(port)
    try:
        connection.send(request)
        while True:
            reply = connection.read()
            if reply:
                return reply
    finally:
        connection.socket.close()


def closed_loop(
    port: int,
    requests: Sequence[bytes],
    seconds: float,
    cpu_ns: Callable[[], int],
    *,
    warm_s: float = 0.2,
    connections: int = CONNECTIONS,
    exactly: int = 0,
    connect: Callable[[int], Connection] = _Connection,
) -> Slice:
    """As many requests as the server answers, going round; or `exactly` so many, however long it takes."""
    poll = select.epoll()
    by_fd = {}
    number = 0
    total = len(requests)
    clock = time.perf_counter_ns
    for _ in range(min(connections, exactly) if exactly else connections):
        connection = connect(port)
        by_fd[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
    for connection in by_fd.values():
        connection.since = clock()
        connection.send(requests[number % total])
        number += 1
    answered = failed = 0
    latencies: list[int] = []
    end = 0
    warm_end = clock() + int(warm_s * 1e9)
    started = warm_end
    cpu_before = cpu_ns()
    while True:
        for fd, _ in poll.poll(5):
            connection = by_fd[fd]
            reply = connection.read()
            if not reply:
                continue
            now = clock()
            answered += 1
            if reply[9:12] != b"200":
                failed += 1
            latencies.append(now - connection.since)
            if exactly and number >= exactly:
                continue
            connection.since = now
            connection.send(requests[number % total])
            number += 1
        now = clock()
        if exactly:
            if answered >= exactly:
                break
        elif end:
            if now >= end:
                break
        elif now >= warm_end:
            cpu_before = cpu_ns()
            started = clock()
            end = started + int(seconds * 1e9)
            answered = failed = 0
            latencies.clear()
    ended = clock()
    spent = cpu_ns() - cpu_before
    for connection in by_fd.values():
        connection.socket.close()
    poll.close()
    latencies.sort()
    return Slice(answered, failed, (ended - started) / 1e9, spent / 1e9, [one // 1000 for one in latencies])


def open_loop(
    port: int,
    requests: Sequence[bytes],
    rate: int,
    seconds: float,
    cpu_ns: Callable[[], int],
    *,
    connections: int = 128,
    warm_s: float = 0.0,
    then: Callable[[], object] | None = None,
) -> Slice:
    """`rate` requests a second, come what may: a request that finds no free connection waits, and its waiting counts.

    Latency runs from the moment a request was due, so that a stall is not hidden by requests that were never sent.
    What is due in the first `warm_s` is not counted; `then` is called once that is over, to disturb the rest.
    """
    poll = select.epoll()
    by_fd = {}
    total = len(requests)
    clock = time.perf_counter_ns
    for _ in range(connections):
        connection = _Connection(port)
        by_fd[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
    idle = deque(by_fd.values())
    latencies: list[int] = []
    failed = 0
    warm = int(rate * warm_s)
    count = warm + int(rate * seconds)
    gap = 1e9 / rate
    cpu_before = cpu_ns()
    started = clock()
    sent = 0
    give_up = started + int((warm_s + seconds + 10) * 1e9)
    counted_from = started + int(warm * gap)
    answered = 0
    while answered < count:
        now = clock()
        if now > give_up:
            break
        while sent < count and idle and now >= started + int(sent * gap):
            connection = idle.popleft()
            connection.since = started + int(sent * gap)
            connection.send(requests[sent % total])
            sent += 1
        if then is not None and sent >= warm:
            cpu_before = cpu_ns()
            then()
            then = None
        wait_s = 0.01 if sent >= count or not idle else max(0.0, (started + int(sent * gap) - clock()) / 1e9)
        for fd, _ in poll.poll(wait_s if wait_s > 0.001 else 0):
            connection = by_fd[fd]
            reply = connection.read()
            if not reply:
                continue
            answered += 1
            if connection.since >= counted_from:
                latencies.append(clock() - connection.since)
            if not fine(reply):
                failed += 1
            idle.append(connection)
    ended = clock()
    spent = cpu_ns() - cpu_before
    missing = count - answered
    for connection in by_fd.values():
        connection.socket.close()
    poll.close()
    latencies.sort()
    return Slice(
        len(latencies), failed + missing, (ended - counted_from) / 1e9, spent / 1e9, [one // 1000 for one in latencies]
    )
