"""Opening the port: loopback in both address families by default, and one clear line when that fails."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sparekey.server.http import HttpServer
from sparekey.server.tls import FAREWELL_S, HANDSHAKE_S

BACKLOG: Final = 4096
_LOOPBACK: Final = ("127.0.0.1", "::1")
_ANY: Final = ("0.0.0.0", "::")  # noqa: S104 -- bound only when the operator names it
_ABSENT: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


class CannotListen(Exception):
    """The port cannot be opened; the text says which, why and what to do."""


@dataclass(slots=True)
class Opened:
    """Bound sockets, not listening yet. `notes` are lines for the operator."""

    sockets: list[socket.socket]
    port: int
    notes: list[str] = field(default_factory=list)

    def close(self) -> None:
        for one in self.sockets:
            one.close()


def open_port(host: str, port: int, option: str = "--port") -> Opened:
    """Bind `host`: "127.0.0.1", "::1" or "localhost" mean both loopbacks, "0.0.0.0" all IPv4, "::" or "" all of both.

    Port 0 takes any that is free, the same one in both families. `option` is what chooses another port. Raises
    CannotListen.
    """
    addresses = _addresses(host)
    attempts = 10 if port == 0 and len(addresses) > 1 else 1
    while True:
        attempts -= 1
        opened = Opened([], port)
        try:
            for family, address in addresses:
                one = _bind(family, address, opened.port, option, absent_is_fine=len(addresses) > 1)
                if one is None:
                    version = "IPv6" if family == socket.AF_INET6 else "IPv4"
                    opened.notes.append(f"{version} is not available here; not listening on {address}.")
                    continue
                opened.sockets.append(one)
                opened.port = one.getsockname()[1]
        except CannotListen:
            opened.close()
            if attempts > 0:
                continue  # The free port of one family was taken in the other.
            raise
        if not opened.sockets:
            raise CannotListen(f"Cannot listen on {host}: neither IPv4 nor IPv6 has that address here.")
        return opened


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    if host in (*_LOOPBACK, "localhost"):
        names = _LOOPBACK
    elif host in ("::", ""):
        names = _ANY
    else:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise CannotListen(f"Cannot listen on {host!r}: it is no address or name of this machine.") from None
        return list(dict.fromkeys((entry[0], str(entry[4][0])) for entry in found))
    return [(socket.AF_INET, names[0]), (socket.AF_INET6, names[1])]


def _bind(
    family: socket.AddressFamily, address: str, port: int, option: str, absent_is_fine: bool
) -> socket.socket | None:
    one: socket.socket | None = None
    try:
        one = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":
            # After a restart the port is free at once. On Windows the option would let two servers share it.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((address, port))
        one.listen(BACKLOG)  # A port that another listens on can fail only here.
        one.setblocking(False)
    except OSError as error:
        if one is not None:
            one.close()
        if error.errno in _ABSENT and absent_is_fine:
            return None
        raise CannotListen(_explain(family, address, port, option, error)) from error
    return one


def _explain(family: socket.AddressFamily, address: str, port: int, option: str, error: OSError) -> str:
    where = f"[{address}]:{port}" if family == socket.AF_INET6 else f"{address}:{port}"
    if error.errno == errno.EADDRINUSE:
        who = "something else is listening there" if _answers(family, address, port) else "it is in use"
        return f"Port {port} is taken: {who} ({where}). Stop it, or choose another port with {option}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} may not be opened by this user ({where}). Choose one above 1023 with {option}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"Cannot listen on {where}: this machine does not have that address."
    return f"Cannot listen on {where}: {error.strerror or error}."


def _answers(family: socket.AddressFamily, address: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 -- a comparison, not a binding
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(0.5)
            probe.connect((local, port))
    except OSError:
        return False
    return True


def raise_file_limit() -> int:
    """Lift the soft limit on open files to the hard one: each connection is a file. Returns what holds now."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 1 << 20
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says "unlimited" and then accepts no more than this.
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 10_240)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            return soft
        return wanted
    return soft


async def listen(
    server: HttpServer,
    opened: Opened,
    tls: ssl.SSLContext | None = None,
    on_connect: Callable[[], object] = lambda: None,
) -> list[asyncio.Server]:
    """Serve on the opened port. Small replies leave at once: both uvloop and asyncio set TCP_NODELAY themselves.

    `on_connect` is called before each new connection can be read from.
    """
    loop = asyncio.get_running_loop()
    server.start()
    limits: dict[str, Any] = {}
    if tls is not None:
        limits = {"ssl": tls, "ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": FAREWELL_S}

    def connect() -> asyncio.Protocol:
        on_connect()
        return server.connection()

    return [await loop.create_server(connect, sock=one, backlog=BACKLOG, **limits) for one in opened.sockets]


async def stop_listening(listeners: list[asyncio.Server]) -> None:
    """Accept nothing more. Connections live on; `HttpServer.stop` ends them."""
    for listener in listeners:
        listener.close()
