"""Connections whose path the API does not own go to uvicorn, which runs the console's ASGI application.

uvicorn's protocol is subclassed rather than used as it is, because left alone it waits for a half-sent request for
ever and reads heads of any length. `HttpToolsProtocol` is no promised interface: uvicorn is locked to a version, and
the contract suite of the HTTP server runs on what is built here.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from sparekey.server.heads import Fault
from sparekey.server.http import LEAST_PROGRESS, NEVER, HttpServer, Limits
from sparekey.server.replies import fault_reply, render


class StartFailed(Exception):
    """The ASGI application did not start."""


class ForeignHttp:
    """Runs `application` (ASGI 3) on the connections that it is given."""

    def __init__(self, application: Any, limits: Limits | None = None) -> None:
        idle_s = (limits if limits is not None else Limits()).idle_s
        self._config = Config(
            application,
            http=ForeignConnection,
            ws="none",
            lifespan="auto",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=idle_s,
        )
        self._config.load()
        self._state = ServerState()
        self._lifespan = LifespanOn(self._config)

    async def start(self) -> None:
        """Run the application's start-up. Raises StartFailed."""
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            raise StartFailed("the console's application did not start")

    async def stop(self) -> None:
        """Run the application's shutdown, after the server has stopped."""
        await self._lifespan.shutdown()

    def take(self, server: HttpServer, transport: asyncio.Transport, data: bytes) -> None:
        protocol = ForeignConnection(self._config, self._state, self._lifespan.state, server=server)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)


class ForeignConnection(HttpToolsProtocol):
    """uvicorn's connection, with our limits on bytes and seconds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        server: HttpServer,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.deadline = NEVER
        self._server = server
        self._since = 0
        self._half_sent = False
        self._in_head = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._backlog = 0

    # --- the transport's calls ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._server.connections.add(self)
        self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        was_idle = not self._half_sent and self._answered()
        limits = self._server.limits
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > limits.head_bytes:
            self._end(Fault(431, "headers-large", "Request headers too large."))
        elif self.flow.write_paused:
            pass  # Sending more does not earn time for a client that does not read.
        elif self._half_sent:
            self.deadline = self._since + limits.half_sent_s
        elif not self._answered():
            self.deadline = NEVER
        elif not was_idle:
            self._rest()
        # else: it sent nothing but line ends, which earns it no time

    def pause_writing(self) -> None:
        super().pause_writing()
        self._backlog = self.transport.get_write_buffer_size()
        self.deadline = min(self.deadline, self._server.now_s + self._server.limits.stalled_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._half_sent:
            self.deadline = self._since + self._server.limits.half_sent_s
        elif self._answered():
            self._rest()
        else:
            self.deadline = NEVER

    # --- the parser's calls ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._half_sent = self._in_head = True
        self._head_bytes = self._body_bytes = 0
        self._since = self._server.now_s

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.transport.is_closing():
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._server.limits.foreign_body_bytes:
            self._end(Fault(413, "body-large", "Request body too large."))
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._half_sent = False

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._half_sent and not self.pipeline:
            self._rest()

    # --- time -----------------------------------------------------------------------------------------------------

    def overdue(self) -> None:
        """The deadline has passed."""
        if self.flow.write_paused:
            backlog = self.transport.get_write_buffer_size()
            if self._backlog - backlog >= LEAST_PROGRESS:
                self._backlog = backlog
                self.deadline = self._server.now_s + self._server.limits.stalled_s
            else:
                self.transport.abort()
        elif self._half_sent and not self.transport.is_closing():
            self._end(Fault(408, "half-sent", "Request not completed in time."))
        elif self.transport.is_closing():
            self.transport.abort()
        else:
            self.deadline = self._server.now_s + self._server.limits.stalled_s
            self.transport.close()

    def shut(self) -> None:
        """Finish what was accepted, then close."""
        if self._half_sent and self._answered():
            return  # It may complete its request until it is cut.
        self.shutdown()

    def cut(self) -> None:
        """Close now."""
        self.transport.abort()

    def _answered(self) -> bool:
        cycle = cast(Any, self.cycle)
        return cycle is None or bool(cycle.response_complete)

    def _rest(self) -> None:
        self.deadline = self._server.now_s + self._server.limits.idle_s

    def _end(self, fault: Fault) -> None:
        """Close, with a reason if it can still be told."""
        self._server.tally.faults[fault.kind] += 1
        self._half_sent = self._in_head = False
        cycle = cast(Any, self.cycle)
        if cycle is None or cycle.response_complete or not cycle.response_started:
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
            self.transport.write(render(fault_reply(fault), self._server.date, True, False))
        self.deadline = self._server.now_s + self._server.limits.linger_s
        self.transport.close()
