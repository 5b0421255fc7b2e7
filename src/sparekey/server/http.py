"""HTTP/1.1 for the API, straight on the event loop.

Why not an ASGI server: building a scope, a task and two events for each request costs more than the whole gate. Here
a request is read, handed to the application and answered inside one callback of the socket, and only what must wait
(a commit, slow work) waits. Paths that the application does not own go, bytes included, to the ASGI server that
serves the console; see `handover`.

A connection reads in phases (`_FRESH` … `_GONE` below). Time is counted in whole seconds by one sweep a second over
all connections, so that a request sets no timer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, cast

from sparekey.server.addresses import TrustedProxies, canonical_address
from sparekey.server.chunks import ChunkedBody
from sparekey.server.heads import (
    CHUNKED,
    COMMON_METHODS,
    CRLF,
    END,
    FORBIDDEN_IN_TARGET,
    HTTP_1_1,
    Fault,
    Head,
    KnownHeads,
    peek_site,
    read_head,
    read_request_line,
)
from sparekey.server.replies import CONTINUE, date_line, failure_reply, fault_reply, overload_reply, render
from sparekey.server.tally import Tally
from sparekey.wire.requests import Application, Reply, Request
from sparekey.wire.sites import site_of

_log = logging.getLogger(__name__)

NEVER: Final = 1 << 62

_FRESH: Final = 0  # between two requests, nothing held
_IN_HEAD: Final = 1  # part of a head is held
_IN_BODY: Final = 2  # part of a body of known length is held
_IN_CHUNKS: Final = 3  # part of a chunked body is held
_HELD_UP: Final = 4  # complete bytes are held, because replies or other connections go first
_ENDING: Final = 5  # nothing more is read; closes when the replies that are due have left
_LINGERING: Final = 6  # only the other side can still speak, and is not listened to
_GONE: Final = 7  # closing, closed or handed over

# Replies joined into one write at most; beyond that the copying costs more than the call.
_REPLIES_JOINED: Final = 16
# "IP banned": nobody goes on talking on that connection.
_BANNED: Final = 418
# A client that reads less than this in `stalled_s` does not read.
LEAST_PROGRESS: Final = 16_384

_REST_OF_LINE: Final = b" " + HTTP_1_1 + CRLF

Page = Callable[[Request], Reply]

_PARTIAL: Final = frozenset((_IN_HEAD, _IN_BODY, _IN_CHUNKS))


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, counts and seconds. Seconds are met to within one second, never exceeded by more than a sweep."""

    head_bytes: int = 16_384
    request_line_bytes: int = 16_000
    headers: int = 100
    body_bytes: int = 1_048_576
    foreign_body_bytes: int = 16_777_216
    replies_in_flight: int = 64
    requests_at_once: int = 32  # of one connection before others have their turn
    idle_s: int = 75
    half_sent_s: int = 74
    stalled_s: int = 60  # of a client that does not read its replies
    linger_s: int = 2
    connections: int = 0  # 0: no limit of our own


class Foreign(Protocol):
    """Whoever serves the paths that the application does not own."""

    def take(self, server: HttpServer, transport: asyncio.Transport, data: bytes) -> None:
        """The connection is yours, from the first byte of this request on."""
        ...


class Upgrades(Protocol):
    """Whoever turns connections into WebSockets."""

    def owns(self, path: bytes) -> bool: ...

    def take(self, server: HttpServer, transport: asyncio.Transport, request: Request, data: bytes) -> None:
        """The connection is yours; `data` are the bytes from the request line on."""
        ...


class Timed(Protocol):
    """A connection that the sweep looks after."""

    deadline: int

    def overdue(self) -> None: ...

    def shut(self) -> None:
        """Finish what was accepted, then close."""
        ...

    def cut(self) -> None:
        """Close now."""
        ...


def _wall_us() -> int:
    return time.time_ns() // 1000


class HttpServer:
    """What all connections share. `connection` is the protocol factory for listeners."""

    def __init__(
        self,
        application: Application,
        *,
        foreign: Foreign | None = None,
        upgrades: Sequence[Upgrades] = (),
        pages: Mapping[bytes, Page] | None = None,
        trusted_proxies: TrustedProxies | None = None,
        limits: Limits | None = None,
        tally: Tally | None = None,
        wall_us: Callable[[], int] = _wall_us,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`pages` are answered here when the application does not own their path (health, metrics)."""
        self.application = application
        self.owns = application.owns
        self.handle = application.handle
        self.when_durable = application.when_durable
        self.sent = application.sent
        self.foreign = foreign
        self.upgrades = upgrades
        self.pages = pages if pages is not None else {}
        self.trusted_proxies = trusted_proxies if trusted_proxies is not None else TrustedProxies()
        self.limits = limits if limits is not None else Limits()
        self.tally = tally if tally is not None else Tally()
        self.count = self.tally.count
        self.wall_us = wall_us
        self.known_heads = KnownHeads()
        self.heads_by_heart = self.known_heads.young
        self.connections: set[Timed] = set()
        self.tasks: set[asyncio.Future[Any]] = set()
        self.stopping = False
        self._monotonic_s = monotonic_s
        self._ticking: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self.longest_start = self.limits.request_line_bytes - len(_REST_OF_LINE)
        self.now_s = 0
        self.idle_until = 0  # when a connection is idle for too long that begins to be so now
        self.date = b""
        self.sweep()

    def page_of(self, path: bytes) -> Page | None:
        """Who answers on a path that the application does not own; None: it does nevertheless, because there is no
        other, or because the path is a stream's and a plain request for it is a mistake."""
        page = self.pages.get(path)
        if page is None and self.foreign is not None and self.upgrades_of(path) is None:
            return _FOREIGN
        return page

    def upgrades_of(self, path: bytes) -> Upgrades | None:
        """Who turns connections into WebSockets there."""
        for one in self.upgrades:
            if one.owns(path):
                return one
        return None

    def connection(self) -> Connection:
        return Connection(self)

    def start(self) -> None:
        """Begin to look after time. Needs a running loop."""
        if self._ticking is None:
            self._tick()

    def _tick(self) -> None:
        self._ticking = asyncio.get_running_loop().call_later(1.0, self._tick)
        self.sweep()

    def sweep(self) -> None:
        """Once a second: read the clocks, end what is overdue."""
        self.now_s = now_s = int(self._monotonic_s())
        self.idle_until = now_s + self.limits.idle_s
        self.date = date_line(self.wall_us())
        for connection in [one for one in self.connections if one.deadline <= now_s]:
            connection.overdue()

    def part_with(self, ip: str) -> None:
        """Close what an address that was banned has open and does nothing with. Through a proxy there may be others on
        its connections; those hear of the ban with their next call, and end then."""
        for connection in list(self.connections):
            if isinstance(connection, Connection):
                connection.part(ip)

    def record(self, request: Request, reply: Reply, now_us: int) -> None:
        """The reply was handed to the transport: log and count the call."""
        reply.sent_us = now_us
        try:
            self.sent(request, reply)
        except Exception:
            _log.exception("a call was not logged")
        self.count(request.path, reply.status, reply.weight, reply.reason, now_us - request.received_us)

    def left(self, connection: Timed) -> None:
        self.connections.discard(connection)
        if self._emptied is not None and not self.connections:
            self._emptied.set()

    async def stop(self, within_s: float = 5.0) -> None:
        """Answer what was accepted, then close every connection; those unfinished `within_s` seconds later are cut.

        Listeners are closed by who opened them, before.
        """
        self.stopping = True
        self._emptied = asyncio.Event()
        for connection in list(self.connections):
            connection.shut()
        if self.connections:
            try:
                await asyncio.wait_for(self._emptied.wait(), within_s)
            except TimeoutError:
                for connection in list(self.connections):
                    connection.cut()
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None


class _Unfinished(NamedTuple):
    """A request whose body is awaited."""

    method: str
    path: bytes
    query: bytes
    host: bytes
    head: Head
    page: Page | None


class _Slot:
    """A reply's place in the order of a connection, while it waits for its work, its commit or those before it."""

    __slots__ = ("connection", "durable", "last", "raw", "reply", "request")

    def __init__(self, connection: Connection, request: Request | None, last: bool) -> None:
        self.connection = connection
        self.request = request
        self.reply: Reply | None = None
        self.raw = b""  # instead of a reply: bytes that nobody logs
        self.durable = False  # may leave
        self.last = last

    def finished(self, work: asyncio.Future[Reply]) -> None:
        """The awaited work ended."""
        connection = self.connection
        connection.server.tasks.discard(work)
        if work.cancelled():
            self.reply = failure_reply()
        elif (error := work.exception()) is not None:
            _log.error("a request failed", exc_info=error)
            self.reply = failure_reply()
        else:
            self.reply = work.result()
        connection.settle(self)


class Connection(asyncio.Protocol):
    """One client's socket."""

    __slots__ = (
        "_alone",
        "_backlog",
        "_chunks",
        "_eof",
        "_held",
        "_lingers",
        "_needed",
        "_paused",
        "_peer",
        "_pending",
        "_phase",
        "_queue",
        "_since",
        "_stalled",
        "_through_proxy",
        "_transport",
        "_undurable",
        "deadline",
        "server",
    )

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.deadline = NEVER
        self._transport: asyncio.Transport = _NO_TRANSPORT
        self._peer = ""
        self._through_proxy = False
        self._phase = _GONE
        self._held: bytes | bytearray = b""
        self._needed = 0  # bytes of the awaited body
        self._pending: _Unfinished | None = None  # the request whose body is awaited
        self._chunks: ChunkedBody | None = None
        self._since = 0  # when the first byte of the half-sent request came
        self._queue: list[_Slot] = _NONE_QUEUED  # replies that cannot leave yet, in order
        self._undurable: list[_Slot] = _NONE_QUEUED  # those of them that wait for a commit, in the order of asking
        self._alone = False  # held up until no reply is due
        self._eof = False  # the client will send nothing more
        self._lingers = False  # this end is a refusal of bytes that may still be coming
        self._paused = False  # we do not read
        self._stalled = False  # the client does not read
        self._backlog = 0  # bytes it had not read when we last looked

    # --- the transport's calls ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self.server
        self._transport = cast(asyncio.Transport, transport)
        server.tally.connections_accepted += 1
        most = server.limits.connections
        if server.stopping or (most and len(server.connections) >= most):
            self._transport.write(render(overload_reply(), server.date, True, False))
            self._close()
            return
        peer = transport.get_extra_info("peername")
        self._peer = canonical_address(peer[0]) if isinstance(peer, tuple) else ""
        self._through_proxy = self._peer in server.trusted_proxies
        self._phase = _FRESH
        self.deadline = server.now_s + server.limits.idle_s
        server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = _GONE
        self._transport = _NO_TRANSPORT
        self._held = b""
        self._pending = None
        self._chunks = None
        self.server.left(self)

    def eof_received(self) -> bool:
        """True: keep our direction open for the replies that are still due; TLS cannot."""
        phase = self._phase
        if phase in (_LINGERING, _GONE):
            return False
        self._eof = True
        if phase == _HELD_UP or self._queue:
            if phase != _HELD_UP:
                self._phase = _ENDING
            return self._transport.can_write_eof()
        self._phase = _GONE
        self.deadline = self.server.now_s + self.server.limits.stalled_s
        return False

    def pause_writing(self) -> None:
        self._stalled = True
        self._backlog = self._transport.get_write_buffer_size()
        self.deadline = min(self.deadline, self.server.now_s + self.server.limits.stalled_s)
        self._pause()

    def resume_writing(self) -> None:
        self._stalled = False
        phase = self._phase
        limits = self.server.limits
        if phase in _PARTIAL:
            self._since = self.server.now_s  # nobody could send while we did not read
            self.deadline = self._since + limits.half_sent_s
        elif phase in (_FRESH, _ENDING):
            self.deadline = NEVER if self._queue else self.server.now_s + limits.idle_s
        elif phase == _HELD_UP:
            self.deadline = NEVER
        self._go_on()

    def data_received(self, data: bytes) -> None:
        phase = self._phase
        if phase == _FRESH:
            if not self._answer_at_once(data):
                self._take(data)
        elif phase == _IN_BODY:
            held = cast(bytearray, self._held)
            held += data
            if len(held) >= self._needed:
                self._body_complete(bytes(held[: self._needed]), bytes(held[self._needed :]))
        elif phase == _IN_HEAD:
            held = cast(bytearray, self._held)
            seen = len(held)
            held += data
            if held.find(END, max(0, seen - 3)) >= 0:
                self._phase = _FRESH
                self._held = b""
                self._take(bytes(held), resumed=True)
            elif len(held) > self.server.limits.head_bytes:
                self._refuse(_head_too_large(held))
        elif phase == _IN_CHUNKS:
            self._feed_chunks(data)
        elif phase == _HELD_UP:
            self._held = bytes(self._held) + data

    # --- reading --------------------------------------------------------------------------------------------------

    def _answer_at_once(self, data: bytes) -> bool:
        """The way of nearly every call: one whole ordinary request whose header block is known by heart, while no
        reply is due. False: it is not that, and nothing has happened."""
        server = self.server
        start, _, rest = data.partition(_REST_OF_LINE)
        block, end, body = rest.partition(END)
        head = server.heads_by_heart.get(block)
        if head is None or head.whole_body != len(body) or not end or self._queue or server.stopping:
            return False
        name, _, target = start.partition(b" ")
        method = COMMON_METHODS.get(name)
        path, _, query = target.partition(b"?")
        if head.site is not None:
            path = head.site.place(path)
        if (
            method is None
            or not server.owns(path)
            or len(target.translate(None, FORBIDDEN_IN_TARGET)) != len(target)
            or len(start) > server.longest_start
        ):
            return False
        request = self._request(method, path, query, head.host, head, body)
        answer = self._ask(request, None)
        if not isinstance(answer, Reply):
            self._await_work(request, answer, False, [], [])
        elif answer.status == _BANNED:
            self._part(request, answer)
        elif server.when_durable(self._became_durable):
            self._transport.write(render(answer, server.date, False, False))
            server.record(request, answer, server.wall_us())
        else:
            self._await_durable(request, answer, False, [], [])
        if not self._stalled and self._phase == _FRESH:
            self.deadline = NEVER if self._queue else server.idle_until
        return True

    def _take(self, data: bytes, resumed: bool = False) -> None:
        """Answer the requests that `data` begins with, and keep what is unfinished. Nothing is held now.

        `resumed`: the first bytes came at `_since`, not now.
        """
        server = self.server
        application = server.application
        known = server.known_heads.young
        limits = server.limits
        out: list[bytes] = []
        done: list[tuple[Request, Reply]] = []
        turns = limits.requests_at_once
        skipped = False
        while True:
            # The short way: a header block known by heart behind an ordinary request line. Anything else is read.
            line, _, rest = data.partition(CRLF)
            block, end, rest = rest.partition(END)
            head = known.get(block)
            words = line.split(b" ")
            if (
                head is not None
                and end
                and len(words) == 3
                and words[2] == HTTP_1_1
                and (method := COMMON_METHODS.get(words[0], "")) != ""
                and (target := words[1])[:1] == b"/"
                and len(line) <= limits.request_line_bytes
                and len(target.translate(None, FORBIDDEN_IN_TARGET)) == len(target)
            ):
                host = head.host
                path, _, query = target.partition(b"?")
                page = None
                if head.site is not None:
                    path = head.site.place(path)
                elif not application.owns(path):
                    page = server.page_of(path)
            else:
                if data.find(END) < 0:
                    self._flush(out, done)
                    self._await_head(data, resumed)
                    return
                try:
                    method, target, is_http_1_1, host = read_request_line(line, limits.request_line_bytes)
                    path, _, query = target.partition(b"?")
                    page = None if application.owns(path) else server.page_of(path)
                    if page is _FOREIGN and (site_of(host) if host else peek_site(block)) is None:
                        head = _UNREAD  # whoever takes the connection reads it
                    else:
                        if data[len(line) + 2 : len(line) + 4] == CRLF:  # no header at all
                            block, rest = b"", data[len(line) + 4 :]
                        head = self._read_head(line, block, is_http_1_1)
                        site = site_of(host) if host else head.site
                        if site is not None:
                            path, page = site.place(path), None
                        host = host or head.host
                except Fault as fault:
                    if not line and not skipped and data[2:4] != CRLF:
                        # Some clients end a body with a line end that they did not count. RFC 9112, section 2.2: a
                        # server should ignore at least one.
                        data = data[2:]
                        skipped = True
                        continue
                    self._flush(out, done)
                    self._refuse(fault)
                    return

            if page is _FOREIGN:
                self._flush(out, done)
                self._hand_over(data)
                return
            length = head.length
            if length == 0:
                body = b""
            elif 0 < length <= len(rest):
                body, rest = rest[:length], rest[length:]
            else:
                self._flush(out, done)
                self._await_body(_Unfinished(method, path, query, host, head, page), rest, resumed)
                return
            request = self._request(method, path, query, host, head, body)
            if head.upgrade and (upgrades := server.upgrades_of(path)) is not None:
                self._flush(out, done)
                self._upgrade(upgrades, request, data)
                return
            self._answer(request, page, head.close, out, done)
            if not rest or self._phase != _FRESH:
                break
            # More than one request came at once.
            resumed = skipped = False
            turns -= 1
            if turns <= 0 or len(self._queue) >= limits.replies_in_flight or len(out) >= _REPLIES_JOINED:
                self._flush(out, done)
                if turns <= 0 or self._stalled or len(self._queue) >= limits.replies_in_flight:
                    self._hold_up(rest, False)
                    return
                out, done = [], []
            data = rest
        self._flush(out, done)

    def _read_head(self, line: bytes, block: bytes, is_http_1_1: bool) -> Head:
        limits = self.server.limits
        if len(line) + len(block) + 6 > limits.head_bytes:
            raise Fault(431, "headers-large", "Request headers too large.")
        known = self.server.known_heads
        head = known.find(block) if is_http_1_1 else None
        if head is None:
            head = read_head(block, is_http_1_1, limits.headers)
            if head.length > limits.body_bytes:
                raise Fault(413, "body-large", "Request body too large.")
            if is_http_1_1:
                known.remember(block, head)
        return head

    def _request(self, method: str, path: bytes, query: bytes, host: bytes, head: Head, body: bytes) -> Request:
        server = self.server
        peer = self._peer
        return Request(
            method,
            path,
            query,
            body,
            server.trusted_proxies.client(peer, head.forwarded_for) if self._through_proxy else peer,
            server.wall_us(),
            head.api_key,
            head.content_type,
            head.content_encoding,
            head.time_unit,
            head.accept,
            head.user_agent,
            host,
        )

    def _await_head(self, data: bytes, resumed: bool) -> None:
        if self._phase != _FRESH:
            return
        if not 0x41 <= data[0] <= 0x5A and data[0] != 0x0D:
            # No method begins so. A TLS greeting does, and its sender would wait in vain for an answer.
            self._refuse(Fault(400, "request-line", "Malformed request line."))
        elif len(data) > self.server.limits.head_bytes:
            self._refuse(_head_too_large(data))
        else:
            self._phase = _IN_HEAD
            self._held = bytearray(data)
            self._half_sent(resumed)

    def _await_body(self, unfinished: _Unfinished, rest: bytes, resumed: bool) -> None:
        if self._phase != _FRESH:
            return
        self._pending = unfinished
        self._half_sent(resumed)
        head = unfinished.head
        if head.expects_continue and not rest:
            self._promise(CONTINUE)
        if head.length == CHUNKED:
            self._phase = _IN_CHUNKS
            self._chunks = ChunkedBody(self.server.limits.body_bytes)
            if rest:
                self._feed_chunks(rest)
        else:
            self._phase = _IN_BODY
            self._needed = head.length
            self._held = bytearray(rest)

    def _half_sent(self, resumed: bool) -> None:
        if not resumed:
            self._since = self.server.now_s
        if not self._stalled:
            self.deadline = self._since + self.server.limits.half_sent_s

    def _feed_chunks(self, data: bytes) -> None:
        chunks = self._chunks
        assert chunks is not None
        try:
            rest = chunks.feed(data)
        except Fault as fault:
            self._refuse(fault)
            return
        if rest is not None:
            self._chunks = None
            self._body_complete(chunks.body, rest)

    def _body_complete(self, body: bytes, rest: bytes) -> None:
        unfinished = self._pending
        assert unfinished is not None
        self._pending = None
        self._held = b""
        self._phase = _FRESH
        method, path, query, host, head, page = unfinished
        out: list[bytes] = []
        done: list[tuple[Request, Reply]] = []
        self._answer(self._request(method, path, query, host, head, body), page, head.close, out, done)
        self._flush(out, done)
        if rest and self._phase == _FRESH:
            if self._stalled or len(self._queue) >= self.server.limits.replies_in_flight:
                self._hold_up(rest, False)
            else:
                self._take(rest)

    # --- answering ------------------------------------------------------------------------------------------------

    def _ask(self, request: Request, page: Page | None) -> Reply | Awaitable[Reply]:
        try:
            return self.server.handle(request) if page is None else page(request)
        except Exception:
            _log.exception("a request failed")
            return failure_reply()

    def _answer(
        self,
        request: Request,
        page: Page | None,
        last: bool,
        out: list[bytes],
        done: list[tuple[Request, Reply]],
    ) -> None:
        """Have the request answered: into `out` and `done` if the reply may leave now, else into the queue."""
        server = self.server
        last = last or server.stopping
        if last:
            self._phase = _ENDING
        answer = self._ask(request, page)
        if isinstance(answer, Reply):
            if answer.status == _BANNED and page is None:
                last = self._lingers = True
                self._phase = _ENDING
            # Pages answer for the process itself, and must do so above all when nothing becomes durable any more.
            if page is None and not server.when_durable(self._became_durable):
                self._await_durable(request, answer, last, out, done)
            elif self._queue:
                slot = self._enqueue(request, last, out, done)
                slot.reply = answer
                slot.durable = True
            else:
                out.append(render(answer, server.date, last, request.method == "HEAD"))
                done.append((request, answer))
        else:
            self._await_work(request, answer, last, out, done)

    def _part(self, request: Request, reply: Reply) -> None:
        """Answer for the last time on this connection; what else was sent is not heard."""
        self._phase = _ENDING
        self._lingers = True
        out: list[bytes] = []
        done: list[tuple[Request, Reply]] = []
        if self.server.when_durable(self._became_durable):
            out.append(render(reply, self.server.date, True, request.method == "HEAD"))
            done.append((request, reply))
        else:
            self._await_durable(request, reply, True, out, done)
        self._flush(out, done)

    def _await_durable(
        self, request: Request, reply: Reply, last: bool, out: list[bytes], done: list[tuple[Request, Reply]]
    ) -> None:
        slot = self._enqueue(request, last, out, done)
        slot.reply = reply
        self._note_undurable(slot)

    def _await_work(
        self,
        request: Request,
        work: Awaitable[Reply],
        last: bool,
        out: list[bytes],
        done: list[tuple[Request, Reply]],
    ) -> None:
        slot = self._enqueue(request, last, out, done)
        task = asyncio.ensure_future(work)
        self.server.tasks.add(task)
        task.add_done_callback(slot.finished)

    def _flush(self, out: list[bytes], done: list[tuple[Request, Reply]]) -> None:
        """Hand the joined replies to the transport, then have them logged."""
        if out:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
            server = self.server
            now_us = server.wall_us()
            for request, reply in done:
                server.record(request, reply, now_us)
            out.clear()
            done.clear()
        if self._phase == _FRESH:
            if not self._stalled:
                self.deadline = NEVER if self._queue else self.server.idle_until
        elif self._phase == _ENDING and not self._queue:
            self._end()

    def _enqueue(
        self, request: Request | None, last: bool, out: list[bytes], done: list[tuple[Request, Reply]]
    ) -> _Slot:
        # What is in `out` goes before: a reply of the queue may be released at any moment from now on.
        if out:
            phase, self._phase = self._phase, _FRESH
            self._flush(out, done)
            self._phase = phase if self._phase == _FRESH else self._phase
        slot = _Slot(self, request, last)
        if self._queue is _NONE_QUEUED:
            self._queue = []
        self._queue.append(slot)
        return slot

    def _note_undurable(self, slot: _Slot) -> None:
        if self._undurable is _NONE_QUEUED:
            self._undurable = []
        self._undurable.append(slot)

    def _became_durable(self) -> None:
        """One more of our replies may leave.

        The application calls back in the order in which it was asked, so it is the one that waits longest.
        """
        self._undurable.pop(0).durable = True
        self._drain()

    def settle(self, slot: _Slot) -> None:
        """The awaited work of a slot has ended: it must be durable too before it is told."""
        slot.durable = self.server.when_durable(self._became_durable)
        if slot.durable:
            self._drain()
        else:
            self._note_undurable(slot)

    def _promise(self, raw: bytes) -> None:
        """Send an interim answer in its place among the replies."""
        if self._queue:
            slot = self._enqueue(None, False, [], [])
            slot.raw = raw
            slot.durable = True
        else:
            self._transport.write(raw)

    def _drain(self) -> None:
        """Send what may leave from the front of the queue."""
        queue = self._queue
        server = self.server
        out: list[bytes] = []
        done: list[tuple[Request, Reply]] = []
        while queue and queue[0].durable:
            slot = queue.pop(0)
            request, reply = slot.request, slot.reply
            if reply is None:
                out.append(slot.raw)
            else:
                last = slot.last or (server.stopping and not queue)
                out.append(render(reply, server.date, last, request is not None and request.method == "HEAD"))
                if request is not None:
                    done.append((request, reply))
                if last and self._phase != _GONE:
                    self._phase = _ENDING
        if not out:
            return
        if self._phase == _GONE:  # Nobody listens any more, but the calls were judged and belong in the log.
            out = [b""]
        self._flush(out, done)
        self._go_on()

    # --- waiting and ending ---------------------------------------------------------------------------------------

    def _hold_up(self, data: bytes, alone: bool) -> None:
        """Keep `data` until replies have left (`alone`: all that are due), or until other connections had a turn."""
        self._phase = _HELD_UP
        self._held = data
        self._alone = alone
        if not self._stalled:
            self.deadline = NEVER
        self._pause()
        if not alone and not self._stalled and len(self._queue) < self.server.limits.replies_in_flight:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        """Read again, if nothing speaks against it."""
        if self._stalled or self._phase == _GONE:
            return
        if self._phase == _HELD_UP:
            if self._queue and (self._alone or len(self._queue) >= self.server.limits.replies_in_flight):
                return
            data = bytes(self._held)
            self._held = b""
            self._alone = False
            self._phase = _FRESH
            self._take(data)
            if self._eof and self._phase in (_FRESH, *_PARTIAL):
                self._phase = _ENDING
                if not self._queue:
                    self._end()
        if self._paused and self._phase not in (_HELD_UP, _GONE) and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _refuse(self, fault: Fault) -> None:
        """Say what was wrong, after the replies that are due, and end."""
        self.server.tally.faults[fault.kind] += 1
        self._held = b""
        self._pending = None
        self._chunks = None
        if self._phase in (_ENDING, _LINGERING, _GONE):
            return
        self._phase = _ENDING
        self._lingers = True
        raw = render(fault_reply(fault), self.server.date, True, False)
        self._promise(raw)
        if not self._queue:
            self._end()
        elif not self._stalled:
            self.deadline = NEVER

    def _end(self) -> None:
        """The last reply was written: close, without losing it to a reset."""
        transport = self._transport
        if self._lingers and not self._eof and transport.can_write_eof() and not transport.is_closing():
            # Closing a socket with unread bytes resets the connection, which can destroy the reply under way: say
            # that we are done, and drop what still comes until the client has seen it (RFC 9112, section 9.6).
            self._phase = _LINGERING
            transport.write_eof()
            self.deadline = self.server.now_s + self.server.limits.linger_s
            if not self._stalled and self._paused:
                self._paused = False
                transport.resume_reading()
        else:
            self._close()

    def _close(self) -> None:
        self._phase = _GONE
        self.deadline = self.server.now_s + self.server.limits.stalled_s
        self._transport.close()

    def _hand_over(self, data: bytes) -> None:
        foreign = self.server.foreign
        assert foreign is not None
        if self._phase != _FRESH:
            return
        if self._queue or self._stalled:
            self._hold_up(data, True)
            return
        transport = self._transport
        self._leave()
        foreign.take(self.server, transport, data)

    def _upgrade(self, upgrades: Upgrades, request: Request, data: bytes) -> None:
        if self._phase != _FRESH:
            return
        if self._queue or self._stalled:
            self._hold_up(data, True)
            return
        transport = self._transport
        self._leave()
        upgrades.take(self.server, transport, request, data)

    def _leave(self) -> None:
        """The connection is no longer ours."""
        if self._paused:
            self._transport.resume_reading()
        self._phase = _GONE
        self._transport = _NO_TRANSPORT
        self.server.connections.discard(self)
        self.server.tally.connections_handed_over += 1

    # --- time -----------------------------------------------------------------------------------------------------

    def overdue(self) -> None:
        """The deadline has passed."""
        if self._stalled or self._phase in (_GONE, _LINGERING):
            backlog = self._transport.get_write_buffer_size()
            if self._phase != _LINGERING and backlog and self._backlog - backlog >= LEAST_PROGRESS:
                self._backlog = backlog
                self.deadline = self.server.now_s + self.server.limits.stalled_s
            else:
                self._transport.abort()
        elif self._phase in _PARTIAL:
            self._refuse(Fault(408, "half-sent", "Request not completed in time."))
        else:
            self._close()

    def shut(self) -> None:
        """Finish what was accepted, then close."""
        if self._phase == _FRESH and not self._queue:
            self._close()
        elif self._phase == _FRESH:
            self._phase = _ENDING

    def part(self, ip: str) -> None:
        """The address was banned: if it is this client's, close, unless replies are due; those leave first."""
        if self._peer != ip or self._through_proxy:
            return
        if self._phase in _PARTIAL and not self._queue:
            self._close()
        else:
            self.shut()

    def cut(self) -> None:
        """Close now."""
        self._phase = _GONE
        self._transport.abort()


class _NoTransport(asyncio.Transport):
    """In place of the transport after the connection was lost: replies that come late go nowhere."""

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        pass

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False


_NO_TRANSPORT: Final = _NoTransport()


def _head_too_large(data: bytes | bytearray) -> Fault:
    if data.find(CRLF) < 0:
        return Fault(414, "target-long", "Request line too long.")
    return Fault(431, "headers-large", "Request headers too large.")


def _foreign(request: Request) -> Reply:
    raise AssertionError("marks foreign paths; never called")


_FOREIGN: Final[Page] = _foreign
_UNREAD: Final = Head()
# Most connections never have a reply that waits; they share this empty list instead of having one each.
_NONE_QUEUED: Final[list[_Slot]] = []
