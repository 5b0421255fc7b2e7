"""The same application under ASGI: for API calls on a connection that was handed over, and on any ASGI server.

One contract suite runs on this and on `http`; they must not be told apart by a client.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from sparekey.server.addresses import TrustedProxies, canonical_address
from sparekey.server.heads import Fault, understand
from sparekey.server.http import Limits, Page
from sparekey.server.replies import date_line, failure_reply, fault_reply
from sparekey.server.tally import Tally
from sparekey.wire.requests import Application, Reply, Request
from sparekey.wire.sites import site_of

_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


def _wall_us() -> int:
    return time.time_ns() // 1000


class Mounted:
    """An ASGI application: the API on its paths, `foreign` (ASGI) on all others."""

    def __init__(
        self,
        application: Application,
        foreign: Asgi,
        *,
        pages: Mapping[bytes, Page] | None = None,
        trusted_proxies: TrustedProxies | None = None,
        limits: Limits | None = None,
        tally: Tally | None = None,
        wall_us: Callable[[], int] = _wall_us,
    ) -> None:
        """Give it the same `pages`, `trusted_proxies`, `limits` and `tally` as the HTTP server."""
        self._application = application
        self._foreign = foreign
        self._pages = pages if pages is not None else {}
        self._trusted_proxies = trusted_proxies if trusted_proxies is not None else TrustedProxies()
        self._limits = limits if limits is not None else Limits()
        self._tally = tally if tally is not None else Tally()
        self._wall_us = wall_us

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._foreign(scope, receive, send)
            return
        path = scope.get("raw_path")
        if path is None:  # optional in ASGI; what was not percent-encoded comes out as it went in
            path = scope["path"].encode()
        page = None
        site = next((site_of(bytes(value)) for name, value in scope["headers"] if name.lower() == b"host"), None)
        if site is not None:
            path = site.place(path)
        elif not self._application.owns(path):
            page = self._pages.get(path)
            if page is None:
                await self._foreign(self._as_from_client(scope), receive, send)
                return
        try:
            request = await self._request(scope, path, receive)
        except Fault as fault:
            self._tally.faults[fault.kind] += 1
            await self._send(fault_reply(fault), send, [(b"connection", b"close")])
            return
        except _Disconnected:
            return
        reply = await self._answer(request, page)
        try:
            # Nobody goes on talking on a connection of a banned address.
            await self._send(reply, send, [(b"connection", b"close")] if reply.status == 418 else [])
        finally:
            self._told(request, reply)

    def _as_from_client(self, scope: Scope) -> Scope:
        """With the caller's address in place of a trusted proxy's, for who looks at nothing but the scope."""
        client = scope.get("client")
        if not client:
            return scope
        forwarded_for = b",".join(
            bytes(value) for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"
        )
        ip = self._trusted_proxies.client(canonical_address(client[0]), forwarded_for)
        return {**scope, "client": (ip, client[1])}

    async def _request(self, scope: Scope, path: bytes, receive: Receive) -> Request:
        fields = [(bytes(name).lower(), bytes(value).strip(b" \t")) for name, value in scope["headers"]]
        head = understand(fields, scope["http_version"] == "1.1")
        if len(fields) > self._limits.headers:
            raise Fault(431, "headers-many", "Too many headers.")
        most = self._limits.body_bytes
        if head.length > most:
            raise Fault(413, "body-large", "Request body too large.")
        body = b""
        if head.length != 0:
            parts: list[bytes] = []
            size = 0
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Disconnected
                part = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise Fault(413, "body-large", "Request body too large.")
                parts.append(part)
                if not message.get("more_body", False):
                    break
            body = b"".join(parts)
        request = Request()
        request.method = scope["method"]
        request.path = path
        request.query = scope.get("query_string", b"")
        request.body = body
        client = scope.get("client")
        peer = canonical_address(client[0]) if client else ""
        request.ip = self._trusted_proxies.client(peer, head.forwarded_for)
        request.received_us = self._wall_us()
        request.api_key = head.api_key
        request.content_type = head.content_type
        request.content_encoding = head.content_encoding
        request.time_unit = head.time_unit
        request.accept = head.accept
        request.user_agent = head.user_agent
        request.host = head.host
        return request

    async def _answer(self, request: Request, page: Page | None) -> Reply:
        if page is not None:
            try:
                return page(request)
            except Exception:
                _log.exception("a request failed")
                return failure_reply()
        try:
            answer = self._application.handle(request)
            reply = answer if isinstance(answer, Reply) else await answer
        except Exception:
            _log.exception("a request failed")
            reply = failure_reply()
        durable = asyncio.Event()
        if not self._application.when_durable(durable.set):
            await durable.wait()
        return reply

    async def _send(self, reply: Reply, send: Send, more: Iterable[tuple[bytes, bytes]]) -> None:
        headers = [
            (b"content-type", reply.content_type),
            (b"content-length", b"%d" % len(reply.body)),
            (b"date", date_line(self._wall_us()).strip()[len(b"Date: ") :]),
            *more,
        ]
        for line in reply.headers.split(b"\r\n"):
            if line:
                name, _, value = line.partition(b":")
                headers.append((name.lower(), value.strip()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def _told(self, request: Request, reply: Reply) -> None:
        try:
            self._application.sent(request, reply)
        except Exception:
            _log.exception("a call was not logged")
        latency_us = self._wall_us() - request.received_us
        self._tally.count(request.path, reply.status, reply.weight, reply.reason, latency_us)


class _Disconnected(Exception):
    """The client went away before its request was whole."""
