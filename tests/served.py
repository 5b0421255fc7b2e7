"""A server on a real socket, in a thread, with its clock in the test's hand; and a client that speaks raw bytes."""

from __future__ import annotations

import asyncio
import atexit
import functools
import shutil
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import uvloop

from sparekey.server.addresses import TrustedProxies
from sparekey.server.asgi import Mounted, Receive, Scope, Send
from sparekey.server.handover import ForeignHttp
from sparekey.server.health import Health, Probe, Reading
from sparekey.server.http import HttpServer, Limits, Upgrades
from sparekey.server.listeners import listen, open_port, stop_listening
from sparekey.server.tally import Tally
from sparekey.server.tls import make_context
from sparekey.storage.certificates import Certificates
from sparekey.wire.sites import HOST_NAMES
from tests.plain_application import PlainApplication

T = TypeVar("T")


async def console(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application that says what it got, in place of the console."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    text = b"console %s %s %s" % (scope["method"].encode(), scope["raw_path"], body)
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": text})


@functools.cache
def certificates() -> Certificates:
    """One authority for all servers of a test run."""
    folder = tempfile.mkdtemp(prefix="sparekey-tls-")
    atexit.register(shutil.rmtree, folder)
    one = Certificates(Path(folder) / "tls", HOST_NAMES, lambda: time.time_ns() // 1000)
    one.prepare()
    return one


class Served:
    """The server and its application, on a plain port and on one with TLS; `now_s` is its monotonic clock."""

    def __init__(
        self,
        limits: Limits | None = None,
        trusted_proxies: tuple[str, ...] = (),
        probes: tuple[Probe, ...] = (),
        readings: tuple[Reading, ...] = (),
        host: str = "127.0.0.1",
        loop: str = "uvloop",
        upgrades: Sequence[Upgrades] = (),
    ) -> None:
        self.application = PlainApplication()
        self.now_s = 1000.0
        self.limits = limits if limits is not None else Limits()
        self.loop = uvloop.new_event_loop() if loop == "uvloop" else asyncio.new_event_loop()
        tally = Tally()
        proxies = TrustedProxies(trusted_proxies)
        health = Health(probes, readings, tally=tally, server=lambda: self.server)
        mounted = Mounted(
            self.application,
            console,
            pages=health.pages,
            trusted_proxies=proxies,
            limits=self.limits,
            tally=tally,
        )
        self.foreign = ForeignHttp(mounted, self.limits)
        self.server = HttpServer(
            self.application,
            foreign=self.foreign,
            upgrades=upgrades,
            pages=health.pages,
            trusted_proxies=proxies,
            limits=self.limits,
            tally=tally,
            monotonic_s=lambda: self.now_s,
        )
        self._clients: list[Client] = []
        self.opened = open_port(host, 0)
        self.port = self.opened.port
        self.opened_tls = open_port(host, 0)
        self.tls_port = self.opened_tls.port
        self.listeners: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.run(self._start)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _start(self) -> None:
        await self.foreign.start()
        self.listeners = await listen(self.server, self.opened)
        self.listeners += await listen(self.server, self.opened_tls, make_context(certificates().server_path))

    def run(self, work: Callable[[], Any]) -> Any:
        """Have `work` (plain or async) done on the server's loop."""

        async def on_loop() -> Any:
            outcome = work()
            return await outcome if asyncio.iscoroutine(outcome) else outcome

        return asyncio.run_coroutine_threadsafe(on_loop(), self.loop).result(20)

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Turn the loop until something is so; the socket's bytes need a few turns to arrive."""

        async def wait() -> None:
            for _ in range(5000):
                if true():
                    return
                await asyncio.sleep(0.001)
            raise AssertionError(f"did not happen: {what}")

        self.run(wait)

    def pass_seconds(self, seconds: float) -> None:
        """Move the server's monotonic clock, and let it look."""
        self.now_s += seconds
        self.run(self.server.sweep)

    def connect(self, receive_buffer: int = 0, tls: bool = False, port: int = 0) -> Client:
        """`port`: another than ours of that kind; bytes then go as they are."""
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        one.settimeout(10)
        if receive_buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        one.connect(("127.0.0.1", port or (self.tls_port if tls else self.port)))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            trusting = ssl.create_default_context(cafile=certificates().authority_path)
            one = trusting.wrap_socket(one, server_hostname="localhost")
        client = Client(one)
        self._clients.append(client)
        return client

    def close(self) -> None:
        async def stop() -> None:
            await stop_listening(self.listeners)
            await self.server.stop(0.5)
            await self.foreign.stop()

        for client in self._clients:
            client.close()
        self.run(stop)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A socket that sends bytes as they are and reads replies one by one."""

    def __init__(self, one: socket.socket) -> None:
        self.socket = one
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, data: bytes, bodiless: bool = False) -> Answer:
        self.send(data)
        return self.answer(bodiless)

    def answer(self, bodiless: bool = False) -> Answer:
        """The next reply. Raises EOFError if the server closed instead."""
        head = self._until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"header {name} twice"
            headers[name.lower()] = value.strip()
        if status == 100 or bodiless:
            return Answer(status, headers, b"")
        return Answer(status, headers, self._exactly(int(headers["content-length"])))

    def rest(self) -> bytes:
        """Everything until the server closes."""
        while True:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                rest, self._buffer = self._buffer, b""
                return rest
            self._buffer += data

    def closed(self) -> bool:
        """True once the server has closed and nothing unread is left."""
        return self.rest() == b""

    def silent(self, seconds: float = 0.05) -> bool:
        """True if nothing comes for so long."""
        if self._buffer:
            return False
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(10)
        self._buffer += data
        return False

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Go away without a word of farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self._buffer)
        self._buffer += data


def request(
    method: str = "GET", target: str = "/api/v3/echo", headers: str = "", body: bytes = b"", version: str = "HTTP/1.1"
) -> bytes:
    """A request as bytes; a Content-Length is added where there is a body."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    host = "Host: api\r\n" if version == "HTTP/1.1" else ""
    return f"{method} {target} {version}\r\n{host}{headers}{length}\r\n".encode("latin-1") + body
