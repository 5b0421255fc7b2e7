"""WebSocket streams on the API's own sockets: handshake, control messages, pings, and frames to those who listen.

The `websockets` library speaks the protocol without I/O; what goes out most, text frames, is framed here, because a
server's frame is the same bytes for everybody. A connection has one buffer of frames, written once for each commit, and
a client that leaves more unread than it may is dropped: nobody else waits for it.

Lifetimes and limits: Binance spot, "WebSocket streams". Time is counted by the HTTP server's sweep, once a second.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request as UpgradeRequest
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from sparekey.sequencer.ports import Published
from sparekey.server.http import HttpServer
from sparekey.server.replies import failure_reply, overload_reply, render
from sparekey.terms.refusals import Refusal
from sparekey.wire.errors import PublicError, error_body, public_error, retry_after
from sparekey.wire.listen_keys import ListenKey, is_listen_key
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
from sparekey.wire.stream_door import StreamDoor
from sparekey.wire.user_data import UserDataFeed, UserEvent, combined, listen_key_expired, server_shutdown

_log = logging.getLogger(__name__)
# What the library says of each connection is of no use to an operator.
_quiet = logging.getLogger(f"{__name__}.protocol")
_quiet.setLevel(logging.WARNING)

_SHUTDOWN_STREAM: Final = "!serverShutdown"
_GATE_CLOSED: Final = "The API key may no longer read this stream."


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Bytes, counts and seconds of one connection."""

    pending_bytes: int = 1_048_576  # that a client has not read yet
    message_bytes: int = 131_072  # 1,024 names of listenKeys fit
    messages_per_s: int = 5
    streams: int = 1024
    ping_s: int = 20
    pong_within_s: int = 60
    lifetime_s: int = 86_400
    farewell_s: int = 5  # for the other side's close frame


def text_frame(payload: bytes) -> bytes:
    """A whole text frame from a server: unmasked (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return b"\x81%c%s" % (length, payload)
    if length < 65_536:
        return b"\x81\x7e%s%s" % (struct.pack("!H", length), payload)
    return b"\x81\x7f%s%s" % (struct.pack("!Q", length), payload)


class Streams:
    """Implements the HTTP server's `Upgrades` and the sequencer's `Consumer`."""

    def __init__(
        self,
        feed: UserDataFeed,
        door: StreamDoor,
        *,
        limits: StreamLimits | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.feed = feed
        self.door = door
        self.limits = limits if limits is not None else StreamLimits()
        self.monotonic_s = monotonic_s
        self.connections: set[StreamConnection] = set()
        #: connections that have something buffered since the last commit
        self._buffering: list[StreamConnection] = []
        #: connections that were dropped because their clients did not read
        self.dropped = 0

    # --- Upgrades -------------------------------------------------------------------------------------------------

    def owns(self, path: bytes) -> bool:
        return is_stream_path(path)

    def take(self, server: HttpServer, transport: asyncio.Transport, request: Request, data: bytes) -> None:
        try:
            reply = self._open(server, transport, request, data)
        except Exception:
            _log.exception("a stream could not be opened")
            reply = failure_reply()
        if reply.status != 101:
            transport.write(render(reply, server.date, True, False))
            transport.close()
        # A listenKey is as good as a password for reading, so it does not go into the log.
        before, mark, _ = request.path.partition(b"/ws/")
        request.path = before + b"/ws" if mark else before
        server.record(request, reply, server.wall_us())

    def _open(self, server: HttpServer, transport: asyncio.Transport, request: Request, data: bytes) -> Reply:
        if server.stopping:
            return overload_reply()
        refusal = self.door.enter(request.ip)
        if refusal is not None:
            reply = _refused(refusal)
            reply.headers = b"Retry-After: %d\r\n" % retry_after(refusal, self.door.clocks.wire_us())
            return reply
        if not is_served(request.path):
            return _unserved("This WebSocket address is not served yet.")
        target = parse_target(request.path, request.query)
        if isinstance(target, Refusal):
            return _refused(target)
        if len(target.names) > self.limits.streams:
            return _unserved(f"More than {self.limits.streams} streams on one connection.", 400)
        keys: list[ListenKey] = []
        dead: list[str] = []
        for name in target.names:
            if is_market_stream(name):
                return _unserved(f"Market streams are not served yet: {name[:128]}")
            key = self.door.find(name)
            # A name that is no listenKey is let in and stays silent: clients open `/ws/0` and subscribe later.
            if key is None and is_listen_key(name):
                dead.append(name)
            if key is not None:
                refusal = self.door.judge(key, request.ip)
                if refusal is not None:
                    return _refused(refusal)
                keys.append(key)
        protocol = ServerProtocol(max_size=self.limits.message_bytes, logger=_quiet)
        hello, rest = _split_hello(data, len(request.body))
        protocol.receive_data(hello)
        events = protocol.events_received()
        if not events or not isinstance(events[0], UpgradeRequest):
            return _unserved("Malformed WebSocket handshake.", 400)
        response = protocol.accept(events[0])
        if response.status_code != 101:
            headers = b"Upgrade: websocket\r\n" if response.status_code == 426 else b""
            return _unserved(response.body.decode().strip().split("\n")[0], response.status_code, headers)
        protocol.send_response(response)
        connection = StreamConnection(self, server, transport, protocol, request.ip, target)
        transport.set_protocol(connection)
        connection.begin(keys, dead, rest)
        reply = Reply(101, b"")
        if keys:
            reply.api_key = self.door.api_key(keys[0])
        return reply

    # --- Consumer -------------------------------------------------------------------------------------------------

    def receive(self, published: Sequence[Published]) -> None:
        if not self.connections:
            return
        try:
            for one in published:
                if one.record.shard == "spot":
                    if one.effects:
                        self.feed.tell(one)
                elif one.record.shard == "access":
                    # A key, an account or the policy clock changed: ask anew before anybody hears what came after.
                    for connection in list(self.connections):
                        connection.recheck()
        except Exception:
            # Better no stream than one with a gap that nobody sees: clients connect anew and ask over REST.
            _log.exception("streams cannot tell what happened; they are closed")
            for connection in list(self.connections):
                connection.end(CloseCode.INTERNAL_ERROR, "Events were lost.")
        buffering, self._buffering = self._buffering, []
        for connection in buffering:
            connection.flush()

    def note_buffering(self, connection: StreamConnection) -> None:
        self._buffering.append(connection)


class StreamConnection(asyncio.Protocol):
    """One client's WebSocket. Implements `server.http.Timed`."""

    def __init__(
        self,
        streams: Streams,
        server: HttpServer,
        transport: asyncio.Transport,
        protocol: ServerProtocol,
        ip: str,
        target: Target,
    ) -> None:
        self.streams = streams
        self.server = server
        self.ip = ip
        self.combined = target.combined
        self.microseconds = target.microseconds
        self.deadline = server.now_s + 1
        self._transport = transport
        self._protocol = protocol
        #: by name, in the order in which they were asked for
        self._subscriptions: dict[str, Subscription] = {}
        self._pending: list[bytes] = []
        self._fragments: list[bytes] = []
        self._heard = deque[float](maxlen=streams.limits.messages_per_s + 1)
        self._born_s = server.now_s
        self._pinged_s = server.now_s
        #: payload of each ping that was not answered yet → when it was sent
        self._unanswered: dict[bytes, int] = {}
        self._ends_s = 0  # when a close that was begun must be done; 0: not closing

    def begin(self, keys: list[ListenKey], dead: list[str], data: bytes) -> None:
        """Listen to `keys`; say of `dead` ones that they are, which a bot that comes back after an outage must know."""
        self.server.connections.add(self)
        self.streams.connections.add(self)
        for key in keys:
            self._subscribe(key)
        self._write_protocol()
        for name in dead:
            self._say_expired(name)
        self.flush()
        if data:
            self.data_received(data)

    # --- the transport's calls ------------------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self.server.left(self)

    def eof_received(self) -> bool:
        self._protocol.receive_eof()
        return False

    def data_received(self, data: bytes) -> None:
        protocol = self._protocol
        if protocol.eof_sent:
            return
        protocol.receive_data(data)
        for frame in protocol.events_received():
            # A frame behind the one that ended the connection says nothing any more.
            if protocol.state is not OPEN:
                break
            if isinstance(frame, Frame):
                self._hear(frame)
        self._write_protocol()

    # --- what the client says -------------------------------------------------------------------------------------

    def _hear(self, frame: Frame) -> None:
        heard = self._heard
        heard.append(self.streams.monotonic_s())
        if len(heard) > self.streams.limits.messages_per_s and heard[-1] - heard[0] < 1:
            self._protocol.fail(CloseCode.POLICY_VIOLATION, "Too many requests")
        elif frame.opcode is Opcode.PONG:
            self._pong(bytes(frame.data))
        elif frame.opcode is Opcode.BINARY:
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "Control messages are JSON texts")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                message = b"".join(self._fragments)
                self._fragments.clear()
                self._message(message)

    def _pong(self, payload: bytes) -> None:
        """A pong answers the ping with its payload and those before. An empty one answers, too: Binance's older
        Python connector sends those."""
        unanswered = self._unanswered
        if payload in unanswered:
            while next(iter(unanswered)) != payload:
                del unanswered[next(iter(unanswered))]
            del unanswered[payload]
        elif not payload:
            unanswered.clear()

    def _message(self, message: bytes) -> None:
        try:
            message.decode()
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, "Not UTF-8")
            return
        self.recheck()  # what has ended since the last second is no subscription any more
        if self._protocol.state is not OPEN:
            return
        control = parse_control(message)
        self._send(control if isinstance(control, bytes) else self._obey(control))
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
        door = self.streams.door
        for name in control.names:
            if name in self._subscriptions:
                continue
            if is_market_stream(name):
                return error_reply(2, f"Invalid request: market streams are not served yet: {name}", control.id)
            key = door.find(name)
            if key is None:
                return error_reply(2, "Invalid request: invalid stream", control.id)
            refusal = door.judge(key, self.ip)
            if refusal is not None:
                error = public_error(refusal)
                return error_reply(error.code, error.text, control.id)
            keys.append(key)
        if len(self._subscriptions) + len(keys) > self.streams.limits.streams:
            return error_reply(2, f"Invalid request: more than {self.streams.limits.streams} streams", control.id)
        for key in keys:
            self._subscribe(key)
        return result_reply(None, control.id)

    def _subscribe(self, key: ListenKey) -> None:
        subscription = self._subscriptions[key.text] = Subscription(self, key)
        self.streams.feed.listen(key.account_id, subscription)

    def _unsubscribe(self, name: str) -> None:
        subscription = self._subscriptions.pop(name, None)
        if subscription is not None:
            self.streams.feed.leave(subscription.key.account_id, subscription)

    # --- what goes out --------------------------------------------------------------------------------------------

    def push(self, stream: str, payload: bytes) -> None:
        """Buffer a frame for the next `flush`."""
        if not self._pending:
            self.streams.note_buffering(self)
        self._send(combined(stream, payload) if self.combined else payload)

    def _send(self, payload: bytes) -> None:
        self._pending.append(text_frame(payload))

    def flush(self) -> None:
        """Write what is buffered; drop the connection if the client has left too much unread.

        What is unread is looked at before the write, so that one large commit does not cost a good reader its place.
        """
        if not self._pending:
            return
        data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending.clear()
        if self._protocol.state is not OPEN or self._transport.is_closing():
            return
        unread = self._transport.get_write_buffer_size()
        if unread > self.streams.limits.pending_bytes:
            _log.warning("dropped a stream of %s: %d bytes were left unread", self.ip, unread)
            self.streams.dropped += 1
            self.server.tally.faults["stream-unread"] += 1
            self._leave()
            self._transport.abort()
        else:
            self._transport.write(data)

    def _write_protocol(self) -> None:
        """Write what the protocol has to say (handshake, pongs, closing) behind what is buffered."""
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._protocol.close_rcvd is None and self._transport.can_write_eof():
                # More may be under way to us, and closing on unread bytes would reset the connection and lose our
                # close frame: end our direction only, until the client has seen it.
                self._transport.write_eof()
            else:
                self._transport.close()
        if self._protocol.state is not OPEN and not self._ends_s:
            self._leave()
            self._ends_s = self.server.now_s + self.streams.limits.farewell_s

    def end(self, code: int, reason: str) -> None:
        """Say what is buffered, then why this is the end."""
        if self._protocol.state is OPEN:
            self.flush()
            self._protocol.send_close(code, reason)
            self._write_protocol()

    def _leave(self) -> None:
        """Listen to nothing any more."""
        for name in list(self._subscriptions):
            self._unsubscribe(name)
        self._pending.clear()
        self.streams.connections.discard(self)

    # --- time and permission --------------------------------------------------------------------------------------

    def overdue(self) -> None:
        """Once a second."""
        now_s = self.server.now_s
        self.deadline = now_s + 1
        limits = self.streams.limits
        if self._ends_s:
            if now_s >= self._ends_s:
                self._transport.abort()
        elif self._unanswered and now_s - next(iter(self._unanswered.values())) >= limits.pong_within_s:
            self._protocol.fail(CloseCode.POLICY_VIOLATION, "Pong timeout")
            self._write_protocol()
        elif now_s - self._born_s >= limits.lifetime_s:
            self._say_shutdown()
            self.end(CloseCode.GOING_AWAY, "24 hours are over")
        else:
            if now_s - self._pinged_s >= limits.ping_s:
                self._pinged_s = now_s
                payload = b"%d" % (self.server.wall_us() // 1_000)
                self._unanswered.setdefault(payload, now_s)
                self._protocol.send_ping(payload)
                self._write_protocol()
            self.recheck()
            self.flush()

    def recheck(self) -> None:
        """End what may not go on: an expired listenKey's stream with its event, a revoked API key's connection."""
        door = self.streams.door
        if self._protocol.state is not OPEN:
            return
        if door.banned(self.ip) is not None:
            door.on_end(0, self.ip)
            self.end(CloseCode.POLICY_VIOLATION, "The address is banned.")
            return
        now_us = door.clocks.policy_us()
        for subscription in list(self._subscriptions.values()):
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
        self.push(name, listen_key_expired(name, self.streams.door.clocks.wire_us(), self.microseconds))

    def _say_shutdown(self) -> None:
        self.push(_SHUTDOWN_STREAM, server_shutdown(self.streams.door.clocks.wire_us(), self.microseconds))

    def shut(self) -> None:
        """The server stops: say so, and close."""
        self._say_shutdown()
        self.end(CloseCode.GOING_AWAY, "The server stops.")

    def cut(self) -> None:
        self._transport.abort()


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


def _split_hello(data: bytes, body_length: int) -> tuple[bytes, bytes]:
    """The upgrade request for the library, and the bytes behind it.

    The target was read already and may be longer than the library takes, so it is left out.
    """
    line_end = data.index(b"\r\n")
    head_end = data.index(b"\r\n\r\n") + 4
    line = data[:line_end].split(b" ")
    return b"%s / %s%s" % (line[0], line[-1], data[line_end:head_end]), data[head_end + body_length :]


def _refused(refusal: Refusal) -> Reply:
    error = public_error(refusal)
    reply = Reply(error.status, error_body(error))
    reply.code = error.code
    reply.reason = refusal.reason.slug
    return reply


def _unserved(message: str, status: int = 501, headers: bytes = b"") -> Reply:
    """What Binance has no code for; -1000 is its unclassified one."""
    return Reply(status, error_body(PublicError(status, -1000, message)), headers, code=-1000, reason="stream-refused")
