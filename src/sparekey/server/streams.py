"""Streams on WebSockets: the streams that a URL asks for, control messages, and frames to those who listen.

Limits: Binance spot, "WebSocket streams".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from websockets.frames import CloseCode
from websockets.server import ServerProtocol

from sparekey.server.http import HttpServer
from sparekey.server.sockets import Service, Socket, Sockets, refused_reply, text_frame, unserved_reply
from sparekey.terms.refusals import Refusal
from sparekey.wire.errors import public_error
from sparekey.wire.listen_keys import ListenKey, is_listen_key
from sparekey.wire.market_feed import MarketEvent, MarketFeed
from sparekey.wire.requests import Reply, Request
from sparekey.wire.stream_control import (
    Control,
    Target,
    error_reply,
    is_market_stream,
    is_served,
    is_stream_path,
    parse_control,
    parse_target,
    result_reply,
)
from sparekey.wire.user_data import UserEvent, combined, listen_key_expired, server_shutdown

_SHUTDOWN_STREAM: Final = "!serverShutdown"
_GATE_CLOSED: Final = "The API key may no longer read this stream."


class Streams(Service):
    """Opens streams, single, combined and bare: the market's, and accounts' by their listenKeys."""

    def __init__(self, sockets: Sockets, market: MarketFeed) -> None:
        super().__init__(sockets)
        self.market = market

    def owns(self, path: bytes) -> bool:
        return is_stream_path(path)

    def log_as(self, path: bytes) -> bytes:
        # A listenKey is as good as a password for reading, so it does not go into the log.
        before, mark, _ = path.partition(b"/ws/")
        return before + b"/ws" if mark else before

    def open(self, server: HttpServer, transport: asyncio.Transport, request: Request, data: bytes) -> Reply:
        limits, door = self.sockets.limits, self.sockets.door
        if not is_served(request.path):
            return unserved_reply("This WebSocket address is not served yet.")
        target = parse_target(request.path, request.query)
        if isinstance(target, Refusal):
            return refused_reply(target)
        if len(target.names) > limits.streams:
            return unserved_reply(f"More than {limits.streams} streams on one connection.", 400)
        keys: list[ListenKey] = []
        dead: list[str] = []
        for name in target.names:
            if target.public or is_market_stream(name):
                continue
            key = door.find(name)
            # A name that is no listenKey is let in and stays silent: clients open `/ws/0` and subscribe later.
            if key is None and is_listen_key(name):
                dead.append(name)
            if key is not None:
                refusal = door.judge(key, request.ip)
                if refusal is not None:
                    return refused_reply(refusal)
                keys.append(key)
        hands = self.shake_hands(request, data)
        if isinstance(hands, Reply):
            return hands
        protocol, rest = hands
        connection = StreamConnection(self, server, transport, protocol, request.ip, target)
        connection.listen(target.names, keys, dead, rest)
        reply = Reply(101, b"")
        if keys:
            reply.api_key = door.api_key(keys[0])
        return reply


class StreamConnection(Socket):
    """One client's streams. Implements `wire.market_feed.MarketListener`."""

    def __init__(
        self,
        streams: Streams,
        server: HttpServer,
        transport: asyncio.Transport,
        protocol: ServerProtocol,
        ip: str,
        target: Target,
    ) -> None:
        sockets = streams.sockets
        super().__init__(sockets, server, transport, protocol, ip, sockets.limits.messages_per_s)
        self.combined = target.combined
        self.microseconds = target.microseconds
        self._public = target.public
        self._market = streams.market
        #: by name, in the order in which they were asked for; None: a stream of the market
        self._subscriptions: dict[str, Subscription | None] = {}

    def listen(self, names: Sequence[str], keys: list[ListenKey], dead: list[str], data: bytes) -> None:
        """Listen to what was asked for, `keys` among it; say of `dead` ones that they are, which a bot that comes back
        after an outage must know."""
        self.begin()
        accounts = {key.text: key for key in keys}
        for name in names:
            if name in accounts:
                self._subscribe(accounts[name])
            elif is_market_stream(name):
                self._hear_market(name)
        self.write_protocol()
        for name in dead:
            self._say_expired(name)
        self.flush()
        if data:
            self.data_received(data)

    # --- what the client says -------------------------------------------------------------------------------------

    def hear(self, message: bytes) -> None:
        self.recheck()  # what has ended since the last second is no subscription any more
        if not self.open:
            return
        control = parse_control(message)
        self.say(control if isinstance(control, bytes) else self._obey(control))
        self.flush()

    def _obey(self, control: Control) -> bytes:
        method = control.method
        if method == "SUBSCRIBE":
            return self._subscribe_all(control)
        result: object = None
        if method == "UNSUBSCRIBE":
            for name in control.names:
                self._unsubscribe(name)
        elif method == "LIST_SUBSCRIPTIONS":
            result = list(self._subscriptions)
        elif method == "SET_PROPERTY":
            self.combined = control.value
        else:
            result = self.combined
        return result_reply(result, control.id)

    def _subscribe_all(self, control: Control) -> bytes:
        """All of the streams or none."""
        keys: list[ListenKey] = []
        market: list[str] = []
        door = self.sockets.door
        for name in control.names:
            if name in self._subscriptions:
                continue
            if is_market_stream(name):
                market.append(name)
                continue
            key = None if self._public else door.find(name)
            if key is None:
                return error_reply(2, "Invalid request: invalid stream", control.id)
            refusal = door.judge(key, self.ip)
            if refusal is not None:
                error = public_error(refusal)
                return error_reply(error.code, error.text, control.id)
            keys.append(key)
        if len(self._subscriptions) + len(keys) + len(market) > self.sockets.limits.streams:
            return error_reply(2, f"Invalid request: more than {self.sockets.limits.streams} streams", control.id)
        for key in keys:
            self._subscribe(key)
        for name in market:
            self._hear_market(name)
        return result_reply(None, control.id)

    def _subscribe(self, key: ListenKey) -> None:
        subscription = self._subscriptions[key.text] = Subscription(self, key)
        self.sockets.feed.listen(key.account_id, subscription)

    def _hear_market(self, name: str) -> None:
        self._subscriptions[name] = None
        self._market.listen(name, self, self.sockets.door.clocks.wire_us())

    def _unsubscribe(self, name: str) -> None:
        if name not in self._subscriptions:
            return
        subscription = self._subscriptions.pop(name)
        if subscription is None:
            self._market.leave(name, self)
        else:
            self.sockets.feed.leave(subscription.key.account_id, subscription)

    def leave(self) -> None:
        for name in list(self._subscriptions):
            self._unsubscribe(name)
        super().leave()

    # --- what goes out --------------------------------------------------------------------------------------------

    def push(self, stream: str, payload: bytes) -> None:
        """Buffer an event for the next `flush`."""
        self.buffer(combined(stream, payload) if self.combined else payload)

    def tell_market(self, event: MarketEvent) -> None:
        """As `push`, with a frame that is made once for all who hear it in the same way."""
        way = 2 * self.combined + self.microseconds
        frame = event.frames[way]
        if frame is None:
            payload = event.payload(self.microseconds)
            frame = text_frame(combined(event.stream, payload) if self.combined else payload)
            event.frames[way] = frame
        self.buffer_frame(frame)

    def recheck(self) -> None:
        """End what may not go on: an expired listenKey's stream with its event, a revoked API key's connection."""
        door = self.sockets.door
        if not self.open or self.end_if_banned():
            return
        now_us = door.clocks.policy_us()
        for subscription in list(self._subscriptions.values()):
            if subscription is None:
                continue
            key = subscription.key
            if door.judge(key, self.ip) is not None:
                door.on_end(key.key_id, self.ip)
                self.end(CloseCode.POLICY_VIOLATION, _GATE_CLOSED)
                return
            if key.closed:
                self._unsubscribe(key.text)
            elif key.expires_us <= now_us:
                self._unsubscribe(key.text)
                self._say_expired(key.text)

    def _say_expired(self, name: str) -> None:
        self.push(name, listen_key_expired(name, self.sockets.door.clocks.wire_us(), self.microseconds))

    def say_shutdown(self) -> None:
        self.push(_SHUTDOWN_STREAM, server_shutdown(self.sockets.door.clocks.wire_us(), self.microseconds))


class Subscription:
    """One account's stream on one connection. Implements `wire.user_data.Listener`."""

    __slots__ = ("connection", "key")

    def __init__(self, connection: StreamConnection, key: ListenKey) -> None:
        self.connection = connection
        self.key = key

    def tell(self, event: UserEvent) -> None:
        if not self.key.closed:
            connection = self.connection
            connection.push(self.key.text, event.payload(connection.microseconds))
