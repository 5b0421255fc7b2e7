"""A small application behind the server's port: it answers at once, late, durably or not, as its paths say.

`/api/v3/echo` tells what it was sent; `/api/v3/order` is not durable until `commit`; `/api/v3/slow` waits for `finish`.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable

from sparekey.wire.requests import Reply, Request

FAMILIES = (b"/api/", b"/sapi/", b"/fapi/", b"/dapi/")


class PlainApplication:
    """Counts what it was asked: `handled` and `told` (paths in order)."""

    def __init__(self) -> None:
        self.handled: list[Request] = []
        self.told: list[tuple[Request, Reply]] = []
        self.waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self.applied = 0
        self.durable = 0
        self.slow: deque[asyncio.Future[None]] = deque()

    def owns(self, path: bytes) -> bool:
        return path.startswith(FAMILIES)

    def handle(self, request: Request) -> Reply | Awaitable[Reply]:
        self.handled.append(request)
        if request.path == b"/api/v3/order":
            self.applied += 1
            return Reply(200, b'{"order":"%s"}' % request.query)
        if request.path in (b"/api/v3/slow", b"/api/v3/slowOrder"):
            return self._later(request)
        if request.path == b"/api/v3/large":
            return Reply(200, b"x" * int(request.query))
        if request.path == b"/api/v3/broken":
            raise RuntimeError("broken as asked")
        if request.path == b"/api/v3/small":
            return Reply(200, b"{}", b"X-MBX-USED-WEIGHT-1M: 1\r\n")
        if request.path == b"/api/v3/refused":
            reply = Reply(401, b'{"code":-2015,"msg":"no"}')
            reply.reason, reply.weight, reply.code = "key-unknown", 7, -2015
            return reply
        if request.path == b"/api/v3/banned":
            return Reply(418, b'{"code":-1003,"msg":"banned"}', b"Retry-After: 120\r\n")
        if request.path != b"/api/v3/echo":
            return Reply(404, b'{"code":-1000,"msg":"unknown path"}')
        return Reply(200, json.dumps(echo(request)).encode(), b"X-MBX-USED-WEIGHT-1M: 1\r\n")

    async def _later(self, request: Request) -> Reply:
        door: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.slow.append(door)
        await door
        if request.path == b"/api/v3/slowOrder":
            self.applied += 1
        return Reply(200, b'{"slow":"%s"}' % request.query)

    def finish(self) -> None:
        """Let the slow call that waits longest go on."""
        self.slow.popleft().set_result(None)

    def when_durable(self, send: Callable[[], None]) -> bool:
        if self.applied == self.durable:
            return True
        self.waiting.append((self.applied, send))
        return False

    def commit(self) -> None:
        """Everything applied so far becomes durable."""
        self.durable = self.applied
        while self.waiting and self.waiting[0][0] <= self.durable:
            self.waiting.popleft()[1]()

    def sent(self, request: Request, reply: Reply) -> None:
        self.told.append((request, reply))


def echo(request: Request) -> dict[str, str | None]:
    """What a request said, as text."""
    return {
        "method": request.method,
        "path": request.path.decode("latin-1"),
        "query": request.query.decode("latin-1"),
        "body": request.body.decode("latin-1"),
        "ip": request.ip,
        "apiKey": None if request.api_key is None else request.api_key.decode("ascii"),
        "contentType": request.content_type.decode("latin-1"),
        "contentEncoding": request.content_encoding.decode("latin-1"),
        "timeUnit": request.time_unit.decode("latin-1"),
        "accept": request.accept.decode("latin-1"),
        "userAgent": request.user_agent.decode("latin-1"),
        "host": request.host.decode("latin-1"),
    }
