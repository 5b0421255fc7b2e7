"""One client's WebSocket, whatever is said on it: handshake, frames in and out, pings, lifetime, slow readers, the end.

The `websockets` library speaks the protocol without I/O; what goes out most, text frames, is framed here, because a
server's frame is the same bytes for everybody. A socket has one buffer of frames, written once for each commit, and a
client that leaves more unread than it may is dropped: nobody else waits for it.

Lifetimes: Binance spot, "WebSocket streams" and "WebSocket API". Time is counted by the HTTP server's sweep, once a
second.
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
from sparekey.wire.requests import Reply, Request
from sparekey.wire.stream_door import StreamDoor
from sparekey.wire.user_data import UserDataFeed

try:
    from websockets.speedups import apply_mask
except ImportError:  # where the library came without its compiled part
    from websockets.utils import apply_mask

_log = logging.getLogger(__name__)
# What the library says of each connection is of no use to an operator.
_quiet = logging.getLogger(f"{__name__}.protocol")
_quiet.setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Bytes, counts and seconds of one connection."""

    pending_bytes: int = 1_048_576  # that a client has not read yet
    message_bytes: int = 131_072  # 1,024 names of listenKeys fit
    messages_per_s: int = 5  # to streams
    streams: int = 1024
    ping_s: int = 20
    pong_within_s: int = 60
    lifetime_s: int = 86_400
    farewell_s: int = 5  # for the other side's close frame


_WHOLE_TEXT: Final = 0x81  # a text in one frame
_MASKED: Final = 0x80
_KNOWN: Final = frozenset((0x0, 0x1, 0x2, 0x8, 0x9, 0xA))


def _is_sound(first: int, second: int) -> bool:
    """Whether a frame may begin so; the library says what is wrong with others without waiting for their end."""
    kind = first & 0x0F
    if first & 0x70 or kind not in _KNOWN or not second & _MASKED:
        return False
    return kind < 0x8 or (first & 0x80 > 0 and second & 0x7F < 126)


def _unmask(data: bytes, start: int, end: int) -> bytes:
    return apply_mask(data[start:end], data[start - 4 : start])


def text_frame(payload: bytes) -> bytes:
    """A whole text frame from a server: unmasked (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return b"\x81%c%s" % (length, payload)
    if length < 65_536:
        return b"\x81\x7e%s%s" % (struct.pack("!H", length), payload)
    return b"\x81\x7f%s%s" % (struct.pack("!Q", length), payload)


class Sockets:
    """What all WebSockets share, whichever service they belong to. Implements the sequencer's `Consumer`."""

    def __init__(
        self,
        feed: UserDataFeed,
        door: StreamDoor,
        *,
        limits: SocketLimits | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.feed = feed
        self.door = door
        self.limits = limits if limits is not None else SocketLimits()
        self.monotonic_s = monotonic_s
        self.connections: set[Socket] = set()
        #: connections that have something buffered since the last commit
        self._buffering: list[Socket] = []
        #: connections that were dropped because their clients did not read
        self.dropped = 0

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
            self.end_all("Events were lost.")
        self.flush()

    def flush(self) -> None:
        """Send what was buffered."""
        buffering, self._buffering = self._buffering, []
        for connection in buffering:
            connection.flush()

    def end_all(self, reason: str) -> None:
        for connection in list(self.connections):
            connection.end(CloseCode.INTERNAL_ERROR, reason)

    def note_buffering(self, connection: Socket) -> None:
        self._buffering.append(connection)


class Service:
    """Who turns upgrade requests into sockets of one kind. Implements the HTTP server's `Upgrades` with what `owns` and
    `open` of its subclass say."""

    #: Connections are counted for each service apart.
    name = "streams"

    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets

    def owns(self, path: bytes) -> bool:
        raise NotImplementedError

    def open(self, server: HttpServer, transport: asyncio.Transport, request: Request, data: bytes) -> Reply:
        """Begin a socket and answer 101, or say why not."""
        raise NotImplementedError

    def log_as(self, path: bytes) -> bytes:
        """The path without what must not stand in a log."""
        return path

    def take(self, server: HttpServer, transport: asyncio.Transport, request: Request, data: bytes) -> None:
        try:
            reply = self._enter(request, server) or self.open(server, transport, request, data)
        except Exception:
            _log.exception("a WebSocket could not be opened")
            reply = failure_reply()
        if reply.status != 101:
            transport.write(render(reply, server.date, True, False))
            transport.close()
        request.path = self.log_as(request.path)
        server.record(request, reply, server.wall_us())

    def _enter(self, request: Request, server: HttpServer) -> Reply | None:
        if server.stopping:
            return overload_reply()
        door = self.sockets.door
        refusal = door.enter(request.ip, self.name)
        if refusal is None:
            return None
        return late_reply(refusal, retry_after(refusal, door.clocks.wire_us()))

    def shake_hands(self, request: Request, data: bytes) -> tuple[ServerProtocol, bytes] | Reply:
        """The protocol, its 101 ready to be sent, and the bytes behind the request; or what was wrong with it."""
        protocol = ServerProtocol(max_size=self.sockets.limits.message_bytes, logger=_quiet)
        hello, rest = _split_hello(data, len(request.body))
        protocol.receive_data(hello)
        events = protocol.events_received()
        if not events or not isinstance(events[0], UpgradeRequest):
            return unserved_reply("Malformed WebSocket handshake.", 400)
        response = protocol.accept(events[0])
        if response.status_code != 101:
            headers = b"Upgrade: websocket\r\n" if response.status_code == 426 else b""
            return unserved_reply(response.body.decode().strip().split("\n")[0], response.status_code, headers)
        protocol.send_response(response)
        return protocol, rest


class Socket(asyncio.Protocol):
    """One client's WebSocket. Implements `server.http.Timed`; what is said on it is its subclass's.

    `messages_per_s`: how many frames it may send us in a second; 0: no limit.
    """

    def __init__(
        self,
        sockets: Sockets,
        server: HttpServer,
        transport: asyncio.Transport,
        protocol: ServerProtocol,
        ip: str,
        messages_per_s: int = 0,
    ) -> None:
        self.sockets = sockets
        self.server = server
        self.ip = ip
        self.deadline = server.now_s + 1
        self._transport = transport
        self._protocol = protocol
        self._held = b""  # what was not heard yet
        self._pending: list[bytes] = []
        self._fragments: list[bytes] = []
        self._messages_per_s = messages_per_s
        self._heard = deque[float](maxlen=messages_per_s + 1)
        self._born_s = server.now_s
        self._pinged_s = server.now_s
        #: payload of each ping that was not answered yet → when it was sent
        self._unanswered: dict[bytes, int] = {}
        self._ends_s = 0  # when a close that was begun must be done; 0: not closing

    # --- the subclass's part --------------------------------------------------------------------------------------

    def hear(self, message: bytes) -> None:
        """A whole text message, which is UTF-8. What is said in reply leaves when all that came has been heard."""
        raise NotImplementedError

    def hears(self) -> bool:
        """Whether it takes another frame now; if not, `read` must be called again."""
        return True

    def recheck(self) -> None:
        """End what may not go on: once a second, and when a key, an account or the policy clock has changed."""
        raise NotImplementedError

    def say_shutdown(self) -> None:
        """Buffer the event that tells of the end."""
        raise NotImplementedError

    def leave(self) -> None:
        """Listen to nothing any more."""
        self._pending.clear()
        self.sockets.connections.discard(self)

    # --- the transport's calls ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Be counted among the open ones. The handshake leaves with the next `write_protocol`."""
        self._transport.set_protocol(self)
        self.server.connections.add(self)
        self.sockets.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave()
        self.server.left(self)

    def eof_received(self) -> bool:
        self._protocol.receive_eof()
        return False

    def data_received(self, data: bytes) -> None:
        if not self._protocol.eof_sent:
            self._held = self._held + data if self._held else data
            self.read()

    def read(self) -> None:
        """Hear what has come, as far as the subclass will.

        Whole text messages are read here; everything else is the library's, as is whatever is wrong. It gets whole
        frames, so that it is never in the middle of one when a text comes.
        """
        protocol = self._protocol
        data = self._held
        at, end = 0, len(data)
        most = self.sockets.limits.message_bytes
        is_ours = True  # all that came so far
        while end - at >= 2 and protocol.state is OPEN and self.hears():
            first, second = data[at], data[at + 1]
            length = second & 0x7F
            start = at + 6
            if length >= 126:
                start = at + (8 if length == 126 else 14)
                length = int.from_bytes(data[at + 2 : start - 4])
            whole = start + length
            if whole > end:
                if _is_sound(first, second) and length <= most:
                    break  # the rest is under way
                whole = end
            elif first == _WHOLE_TEXT and second & _MASKED and length <= most and protocol.current_size is None:
                self._message(_unmask(data, start, whole))
                at = whole
                continue
            self.flush()  # what comes now may end the connection
            is_ours = False
            protocol.receive_data(data[at:whole])
            at = whole
            for frame in protocol.events_received():
                # A frame behind the one that ended the connection says nothing any more.
                if protocol.state is not OPEN:
                    break
                if isinstance(frame, Frame):
                    self.take(frame)
        if protocol.state is not OPEN and at < end:
            protocol.receive_data(data[at:])
            protocol.events_received()
            at = end
        self._held = data[at:]
        self.flush()
        if not is_ours or protocol.state is not OPEN:
            self.write_protocol()

    # --- what the client says -------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        return self._protocol.state is OPEN

    def take(self, frame: Frame) -> None:
        """A frame that is no whole text."""
        if frame.opcode is Opcode.PONG:
            if not self._is_flooded():
                self._pong(bytes(frame.data))
        elif frame.opcode is Opcode.BINARY:
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "Messages are JSON texts")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            if frame.data:  # else a message without end could be told in pieces of nothing
                self._fragments.append(bytes(frame.data))
            if frame.fin:
                message = b"".join(self._fragments)
                self._fragments.clear()
                self._message(message)
            else:
                self._is_flooded()
        else:
            self._is_flooded()

    def _is_flooded(self) -> bool:
        """One more frame came. Too many of them end the connection."""
        if not self._messages_per_s:
            return False
        heard = self._heard
        heard.append(self.sockets.monotonic_s())
        if len(heard) <= self._messages_per_s or heard[-1] - heard[0] >= 1:
            return False
        self._protocol.fail(CloseCode.POLICY_VIOLATION, "Too many requests")
        return True

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
        if self._is_flooded():
            return
        try:
            message.decode()
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, "Not UTF-8")
            return
        self.hear(message)

    # --- what goes out --------------------------------------------------------------------------------------------

    def buffer(self, payload: bytes) -> None:
        """A text for the next `flush`, which comes with the commit's other ones."""
        self.buffer_frame(text_frame(payload))

    def buffer_frame(self, frame: bytes) -> None:
        """The same for a text that is framed already, for all who hear it."""
        if not self._pending:
            self.sockets.note_buffering(self)
        self._pending.append(frame)

    def say(self, payload: bytes) -> None:
        """A text for the next `flush`, which is the caller's to do."""
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
        if unread > self.sockets.limits.pending_bytes:
            _log.warning("dropped a stream of %s: %d bytes were left unread", self.ip, unread)
            self.sockets.dropped += 1
            self.server.tally.faults["stream-unread"] += 1
            self.leave()
            self._transport.abort()
        else:
            self._transport.write(data)

    def write_protocol(self) -> None:
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
            self.leave()
            self._ends_s = self.server.now_s + self.sockets.limits.farewell_s

    def end(self, code: int, reason: str) -> None:
        """Say what is buffered, then why this is the end."""
        if self._protocol.state is OPEN:
            self.flush()
            self._protocol.send_close(code, reason)
            self.write_protocol()

    def finish(self, code: int, reason: str) -> None:
        """End once nothing is due any more."""
        self.end(code, reason)

    def end_if_banned(self) -> bool:
        door = self.sockets.door
        if door.banned(self.ip) is None:
            return False
        door.on_end(0, self.ip)
        self.end(CloseCode.POLICY_VIOLATION, "The address is banned.")
        return True

    # --- time -----------------------------------------------------------------------------------------------------

    def overdue(self) -> None:
        """Once a second."""
        now_s = self.server.now_s
        self.deadline = now_s + 1
        limits = self.sockets.limits
        if self._ends_s:
            if now_s >= self._ends_s:
                self._transport.abort()
        elif self._unanswered and now_s - next(iter(self._unanswered.values())) >= limits.pong_within_s:
            self._protocol.fail(CloseCode.POLICY_VIOLATION, "Pong timeout")
            self.write_protocol()
        elif now_s - self._born_s >= limits.lifetime_s:
            self.say_shutdown()
            self.finish(CloseCode.GOING_AWAY, "24 hours are over")
        else:
            if now_s - self._pinged_s >= limits.ping_s:
                self._pinged_s = now_s
                payload = b"%d" % (self.server.wall_us() // 1_000)
                self._unanswered.setdefault(payload, now_s)
                self._protocol.send_ping(payload)
                self.write_protocol()
            self.recheck()
            self.flush()

    def shut(self) -> None:
        """The server stops: say so, and close."""
        self.say_shutdown()
        self.finish(CloseCode.GOING_AWAY, "The server stops.")

    def cut(self) -> None:
        self._transport.abort()


def _split_hello(data: bytes, body_length: int) -> tuple[bytes, bytes]:
    """The upgrade request for the library, and the bytes behind it.

    The target was read already and may be longer than the library takes, so it is left out.
    """
    line_end = data.index(b"\r\n")
    head_end = data.index(b"\r\n\r\n") + 4
    line = data[:line_end].split(b" ")
    return b"%s / %s%s" % (line[0], line[-1], data[line_end:head_end]), data[head_end + body_length :]


def refused_reply(refusal: Refusal) -> Reply:
    error = public_error(refusal)
    reply = Reply(error.status, error_body(error))
    reply.code = error.code
    reply.reason = refusal.reason.slug
    return reply


def late_reply(refusal: Refusal, after_s: int) -> Reply:
    """Too often, or banned: when to come again."""
    reply = refused_reply(refusal)
    reply.headers = b"Retry-After: %d\r\n" % after_s
    return reply


def unserved_reply(message: str, status: int = 501, headers: bytes = b"") -> Reply:
    """What Binance has no code for; -1000 is its unclassified one."""
    return Reply(status, error_body(PublicError(status, -1000, message)), headers, code=-1000, reason="stream-refused")
