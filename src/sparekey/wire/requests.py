"""A request and a reply as plain data: all that the socket side and the wire side know of each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class Request:
    """One HTTP request, bytes as they were sent. `path` and `query` are not decoded; header values are stripped.

    `ip` is the client's address as text, already resolved through trusted proxies; `received_us` is wall time.
    """

    __slots__ = (
        "accept",
        "api_key",
        "body",
        "content_encoding",
        "content_type",
        "host",
        "ip",
        "method",
        "path",
        "query",
        "received_us",
        "time_unit",
        "user_agent",
    )

    def __init__(self) -> None:
        self.method = ""
        self.path = b""
        self.query = b""
        self.body = b""
        self.ip = ""
        self.received_us = 0
        self.api_key: bytes | None = None  # X-MBX-APIKEY
        self.content_type = b""
        self.content_encoding = b""
        self.time_unit = b""  # X-MBX-TIME-UNIT
        self.accept = b""
        self.user_agent = b""
        self.host = b""


class Reply:
    """One HTTP reply. `headers` are rendered lines, each ending in CRLF; Content-Type, Content-Length, Date and
    Connection are the server's.

    The remaining fields are for the call log: what was charged, who called, and the exact reason of a refusal.
    """

    __slots__ = ("api_key", "body", "code", "content_type", "headers", "reason", "status", "weight")

    def __init__(self, status: int, body: bytes, headers: bytes = b"") -> None:
        self.status = status
        self.body = body
        self.headers = headers
        self.content_type = b"application/json;charset=UTF-8"
        self.weight = 0
        self.api_key = ""
        self.code = 0
        self.reason = ""


class Application(Protocol):
    """The wire side. `handle` answers at once, or hands back an awaitable for work that must not run on the loop.

    A reply computed at a sequence that is not durable yet must not leave: the server asks `when_durable` to call back.
    After the bytes were handed to the transport, the server calls `sent`, which writes the call log entry.
    """

    def owns(self, path: bytes) -> bool:
        """True for the API families (`/api /sapi /fapi /dapi`). `path` is raw: `//api` and `/%61pi` are not `/api`.

        Health and metrics are the server's own pages; every other path belongs to the console.
        """
        ...

    def handle(self, request: Request) -> Reply | Awaitable[Reply]:
        """Any method may come, HEAD and OPTIONS too; the server leaves out the body of a reply to HEAD.

        An exception becomes status 500, outcome unknown.
        """
        ...

    def when_durable(self, send: Callable[[], None]) -> bool:
        """True: everything applied is durable, send now (`send` is not called). False: `send` will be called.

        Not before this call returned, and in the order in which it was asked.
        """
        ...

    def sent(self, request: Request, reply: Reply) -> None:
        """Also for a client that has gone meanwhile: the call was judged."""
        ...
