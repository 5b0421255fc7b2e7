"""What a page of the console takes: signed in as the demo account of a `sparekey up` with a live market.

From the request to the last byte of the answer, on one connection that stays: the server's time and the loopback's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import re
import struct
import time
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from bench.ours import Sparekey
from bench.processes import Cores
from bench.report import Line, Section, verdict
from bench.spread import spread

_TARGET_MS = 20
_SIGNED_OUT = ("/", "/sign-in", "/sign-up", "/reasons")
_KEYS = "/my/settings/api-management"
_SIGNED_IN = (
    "/my",
    _KEYS,
    f"{_KEYS}/create",
    "/my/settings/security",
    "/my/settings/verification",
    "/my/wallet",
    "/my/orders",
    "/my/fills",
    "/markets/BTCUSDT",
)


class Plan(NamedTuple):
    views: int = 200


QUICK = Plan(views=50)
TINY = Plan(views=3)


def measure(folder: Path, cores: Cores, plan: Plan) -> Section:
    server = Sparekey(folder, cores.server, "--market", "simulated", "--profile", "off")
    try:
        passer_by, holder = Reader(server.port), Reader(server.port)
        holder.sign_in(dict(_settings(server.data / "operator.env")))
        key_pages = re.findall(rf'href="({_KEYS}/\d+)"', holder.read(_KEYS))
        seen = [(passer_by, path) for path in _SIGNED_OUT]
        seen += [(holder, path) for path in (*_SIGNED_IN, key_pages[0], f"{key_pages[0]}/edit")]
        lines: list[Line] = []
        raw: dict[str, Any] = {}
        for reader, path in seen:
            reader.read(path)  # the first view fills caches
            taken = spread([reader.time_ms(path) for _ in range(plan.views)])
            text = f"{taken.median:.1f} ms ({taken.low:.1f} to {taken.high:.1f})"
            lines.append(Line(path, text, f"median under {_TARGET_MS} ms", verdict(taken.median, most=_TARGET_MS)))
            raw[path] = taken._asdict()
    finally:
        server.stop()
    return Section("Pages of the console", lines, {"plan": plan._asdict(), "pages": raw})


def _settings(path: Path) -> list[tuple[str, str]]:
    lines = [line.partition("=") for line in path.read_text().splitlines() if "=" in line]
    return [(name, value) for name, _, value in lines]


class Reader:
    """A browser without the browser: keeps cookies, fills forms."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies: dict[str, str] = {}

    def sign_in(self, known: Mapping[str, str]) -> None:
        self.send("/sign-in", email=known["CONSOLE_EMAIL"], password=known["CONSOLE_PASSWORD"])
        self.send("/sign-in/factor", totp=totp(known["CONSOLE_TOTP_SECRET"]))

    def read(self, path: str) -> str:
        status, _, page = self._ask("GET", path, None)
        if status != 200:
            raise RuntimeError(f"{path} was answered {status}")
        return page

    def time_ms(self, path: str) -> float:
        started = time.perf_counter()
        self.read(path)
        return (time.perf_counter() - started) * 1_000

    def send(self, path: str, **fields: str) -> None:
        """Fill the form at `path` and send it."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.read(path))
        if token is None:
            raise RuntimeError(f"{path} has no form")
        status, _, page = self._ask("POST", path, {"csrf": unescape(token[1]), **fields})
        if status != 303:
            raise RuntimeError(f"the form at {path} was answered {status}: {re.sub('<[^>]*>', ' ', page)[:2000]}")

    def _ask(self, method: str, path: str, fields: Mapping[str, str] | None) -> tuple[int, Any, str]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        headers["Accept"] = "text/html"
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, None if fields is None else urlencode(fields), headers)
        reply = self._connection.getresponse()
        for line in reply.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return reply.status, reply.headers, reply.read().decode()


def totp(secret: str) -> str:
    """RFC 6238, as the demo account's authenticator."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1)
    return f"{(struct.unpack_from('>I', digest, digest[-1] & 15)[0] & 0x7FFFFFFF) % 1_000_000:06}"
