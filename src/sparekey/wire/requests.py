"""A request and a reply as plain data: all that the socket side and the wire side know of each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

JSON: Final = b"application/json;charset=UTF-8"


class Request(msgspec.Struct, gc=False, eq=False):
    """One HTTP request, bytes as they were sent. `path` and `query` are not decoded; header values are stripped.

    `ip` is the client's address as text, already resolved through trusted proxies; `received_us` is wall time.
    """

    method: str = ""
    path: bytes = b""
    query: bytes = b""
    body: bytes = b""
    ip: str = ""
    received_us: int = 0
    api_key: bytes | None = None  # X-MBX-APIKEY
    content_type: bytes = b""
    content_encoding: bytes = b""
    time_unit: bytes = b""  # X-MBX-TIME-UNIT
    accept: bytes = b""
    user_agent: bytes = b""
    host: bytes = b""


class Reply(msgspec.Struct, gc=False, eq=False):
    """One HTTP reply. `headers` are rendered lines, each ending in CRLF; Content-Type, Content-Length, Date and
    Connection are the server's.

    The remaining fields are for the call log: what was charged, who called, the exact reason of a refusal, and when
    the reply was handed to the transport (wall time; the server's to set).
    """

    status: int
    body: bytes
    headers: bytes = b""
    weight: int = 0
    api_key: str = ""
    code: int = 0
    reason: str = ""
    content_type: bytes = JSON
    sent_us: int = 0


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
