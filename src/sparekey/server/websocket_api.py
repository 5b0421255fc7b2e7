"""The WebSocket API's connections: requests come in, replies leave when what they looked at is durable.

Replies need not keep the order of the requests; clients match them by id. A client that does not read its replies is
not listened to until it does, and others have their turn after so many requests of one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from websockets.frames import CloseCode, Frame
from websockets.server import ServerProtocol

from sparekey.server.http import HttpServer
from sparekey.server.sockets import Service, Socket, Sockets, late_reply, refused_reply
from sparekey.terms.refusals import Refusal
from sparekey.wire.requests import Reply, Request
from sparekey.wire.websocket_api import CONNECTION_WEIGHT, Answer, Target, WebsocketApi, parse_target
from sparekey.wire.websocket_session import Session

_PATHS: Final = (b"/ws-api/v3", b"/ws-api/v3/")
_REPLIES_IN_FLIGHT: Final = 64
_REQUESTS_AT_ONCE: Final = 32


class ApiService(Service):
    """Opens connections of the WebSocket API."""

    name = "websocket-api"

    def __init__(self, sockets: Sockets, api: WebsocketApi) -> None:
        super().__init__(sockets)
        self._api = api

    def owns(self, path: bytes) -> bool:
        return path in _PATHS

    def open(self, server: HttpServer, transport: asyncio.Transport, request: Request, data: bytes) -> Reply:
        refusal = self._api.enter(request.ip)
        if refusal is not None:
            return late_reply(refusal, self._api.retry_after_s(request.ip))
        target = parse_target(request.query)
        if isinstance(target, Refusal):
            return refused_reply(target)
        hands = self.shake_hands(request, data)
        if isinstance(hands, Reply):
            return hands
        protocol, rest = hands
        connection = ApiConnection(self.sockets, server, transport, protocol, request, target, self._api)
        connection.begin()
        connection.write_protocol()
        if rest:
            connection.data_received(rest)
        return Reply(101, b"", weight=CONNECTION_WEIGHT)


class ApiConnection(Socket):
    """One client's requests, and the user data that it subscribed to."""

    def __init__(
        self,
        sockets: Sockets,
        server: HttpServer,
        transport: asyncio.Transport,
        protocol: ServerProtocol,
        request: Request,
        target: Target,
        api: WebsocketApi,
    ) -> None:
        super().__init__(sockets, server, transport, protocol, request.ip)
        self._api = api
        self.session = Session(
            sockets.feed,
            self.buffer,
            ip=request.ip,
            user_agent=request.user_agent,
            connected_us=sockets.door.clocks.wire_us(),
            microseconds=target.microseconds,
            tells_limits=target.tells_limits,
        )
        #: in the order of asking
        self._undurable = deque[Answer]()
        #: said, and to be logged once the bytes were handed to the transport
        self._said: list[Answer] = []
        self._turns = 0  # requests that it may still make before others have theirs
        self._stalled = False  # the client does not read
        self._paused = False  # we do not read
        self._last_words: tuple[int, str] | None = None

    # --- requests and replies -------------------------------------------------------------------------------------

    def hears(self) -> bool:
        return (
            self._turns > 0
            and not self._stalled
            and self._last_words is None
            and len(self._undurable) < _REPLIES_IN_FLIGHT
        )

    def read(self) -> None:
        self._turns = _REQUESTS_AT_ONCE
        super().read()
        waits = not self.hears()
        if waits is self._paused and not waits:
            return  # as nearly always
        if not self.open or self._transport.is_closing():
            return
        if waits and self._turns <= 0 and not self._stalled:
            asyncio.get_running_loop().call_soon(self._go_on)
        if waits is not self._paused:
            self._paused = waits
            if waits:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _go_on(self) -> None:
        if self._paused and self.open:
            self.read()

    def take(self, frame: Frame) -> None:
        self._turns -= 1  # pings and pieces cost the others as much as requests do
        super().take(frame)

    def hear(self, message: bytes) -> None:
        self._turns -= 1
        answer = self._api.handle(self.session, message, self.server.wall_us())
        if self._api.when_durable(self._became_durable):
            self._answer(answer)
        else:
            self._undurable.append(answer)

    def _became_durable(self) -> None:
        """One more reply may leave: it is written with the events of its commit. The application calls back in the
        order in which it was asked."""
        self._answer(self._undurable.popleft())
        if self._paused and self.open:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _answer(self, answer: Answer) -> None:
        self._said.append(answer)
        self.buffer(answer.reply.body)
        for event in answer.afterwards:
            self.buffer(event)
        if answer.ends:
            self._last_words = (CloseCode.POLICY_VIOLATION, answer.ends)

    def flush(self) -> None:
        if self._pending:
            super().flush()
        if self._said:
            server, now_us = self.server, self.server.wall_us()
            for answer in self._said:
                server.record(answer.request, answer.reply, now_us)
            self._said.clear()
        if self._last_words is not None and not self._undurable:
            (code, reason), self._last_words = self._last_words, None
            self.end(code, reason)

    def finish(self, code: int, reason: str) -> None:
        self._last_words = (code, reason)
        self.flush()

    # --- the transport's calls ------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        self._stalled = True

    def resume_writing(self) -> None:
        self._stalled = False
        self._go_on()

    # --- time and permission --------------------------------------------------------------------------------------

    def recheck(self) -> None:
        """End the subscriptions of keys that may not read any more; of a banned address, the connection."""
        door = self.sockets.door
        if not self.open or self.end_if_banned():
            return
        session = self.session
        for subscription in list(session.subscriptions.values()):
            if door.judge_key(subscription.key_id, self.ip) is not None:
                door.on_end(subscription.key_id, self.ip)
                self.buffer(session.end(subscription, door.clocks.wire_us()))

    def say_shutdown(self) -> None:
        self.buffer(self.session.shutdown_event(self.sockets.door.clocks.wire_us()))

    def leave(self) -> None:
        self.session.leave()
        super().leave()
