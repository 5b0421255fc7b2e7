"""A reader of the console without a browser or a socket: keeps cookies, follows 303, sends forms as a page has them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from html import unescape
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import urlencode

HOST = "127.0.0.1:8080"
Fields = Mapping[str, str | Iterable[str]]


class Seen(NamedTuple):
    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes
    address: str

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def words(self) -> str:
        """What a person reads: without tags, blanks run together."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<!--.*?-->", "", self.text))).split())

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def by_id(self, id: str) -> str | None:
        """The text of the element with this id; None if there is none."""
        finder = _Finder(id)
        finder.feed(self.text)
        return None if finder.found is None else finder.found.strip()

    @property
    def reasons(self) -> list[str]:
        """Of the refusals on the page."""
        return re.findall(r'data-reason="([a-z0-9-]+)"', self.text)

    def form(self, action: str = "") -> dict[str, list[str]]:
        """The fields that a browser would send of the form with this action, as the page filled them in."""
        reader = _FormReader(action)
        reader.feed(self.text)
        assert reader.found, f"no form {action!r} on {self.address}"
        return reader.fields


class PageReader:
    """`application` is ASGI. `cookies` are what a browser would keep."""

    def __init__(self, application: Any, ip: str = "127.0.0.1", scheme: str = "http") -> None:
        self._application = application
        self.ip = ip
        self.scheme = scheme
        self.cookies: dict[str, str] = {}
        #: also of a page whose application then failed
        self.last: Seen | None = None

    async def get(self, address: str, headers: Mapping[str, str] | None = None) -> Seen:
        return await self.send("GET", address, headers=headers)

    async def post(self, address: str, fields: Fields, headers: Mapping[str, str] | None = None) -> Seen:
        pairs = [
            (name, one) for name, value in fields.items() for one in ([value] if isinstance(value, str) else value)
        ]
        more = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
        return await self.send("POST", address, urlencode(pairs).encode(), more)

    async def upload(self, address: str, fields: Mapping[str, str], image: bytes) -> Seen:
        """Send a form with a file, whose name and type say what is not so: neither is to be believed."""
        part = '--cut\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
        parts = [part.format(name, "") + f"{text}\r\n" for name, text in fields.items()]
        head = "".join([*parts, part.format("image", '; filename="<x>.svg"\r\nContent-Type: text/html')])
        body = head.encode() + image + b"\r\n--cut--\r\n"
        return await self.send("POST", address, body, {"content-type": "multipart/form-data; boundary=cut"})

    async def submit(self, page: Seen, fields: Fields, action: str = "", to: str = "") -> Seen:
        """Send the page's form with these fields changed, and follow where it leads."""
        target = to or action or page.address
        return await self.follow(await self.post(target, {**page.form(action), **fields}))

    async def follow(self, seen: Seen) -> Seen:
        for _ in range(5):
            if seen.status != 303:
                return seen
            seen = await self.get(seen.headers["location"])
        raise AssertionError(f"redirected again and again, at last from {seen.address}")

    async def open(self, address: str) -> Seen:
        return await self.follow(await self.get(address))

    async def send(
        self, method: str, address: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Seen:
        path, _, query = address.partition("?")
        told = {"host": HOST, "accept": "text/html,*/*", **{k.lower(): v for k, v in (headers or {}).items()}}
        if self.cookies and "cookie" not in told:
            told["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.scheme,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in told.items()],
            "client": (self.ip, 50_000),
            "server": ("127.0.0.1", 8080),
        }
        messages: list[dict[str, Any]] = []
        sent = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if sent:
                return sent.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        try:
            await self._application(scope, receive, send)
        finally:
            if messages:
                self.last = self._see(messages, address)
        assert self.last is not None
        return self.last

    def _see(self, messages: list[dict[str, Any]], address: str) -> Seen:
        start = messages[0]
        fields = [(name.decode().lower(), value.decode()) for name, value in start["headers"]]
        cookies = [value for name, value in fields if name == "set-cookie"]
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            if value.strip('"') and "max-age=0" not in cookie.lower():
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        content = b"".join(message.get("body", b"") for message in messages[1:])
        return Seen(start["status"], dict(fields), cookies, content, address)


_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})  # those that our pages use


class _Finder(HTMLParser):
    def __init__(self, id: str) -> None:
        super().__init__()
        self._id = id
        self._depth = 0
        self.found: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._depth:
            self._depth += tag not in _VOID
        elif dict(attrs).get("id") == self._id:
            self.found = dict(attrs).get("value") or ""
            self._depth = int(tag not in _VOID)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Of drawings; holds no text."""

    def handle_endtag(self, tag: str) -> None:
        if self._depth and tag not in _VOID:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._depth:
            assert self.found is not None
            self.found += data


class _FormReader(HTMLParser):
    def __init__(self, action: str) -> None:
        super().__init__()
        self._action = action
        self._inside = False
        self._area = ""
        self._select = ""
        self.found = False
        self.fields: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value if value is not None else name for name, value in attrs}
        if tag == "form" and not self.found:
            theme = told.get("action") == "/theme" or told.get("action", "").endswith("/sign-out")
            self._inside = told.get("action", "") == self._action if self._action else not theme
            self.found = self._inside
        if not self._inside:
            return
        name = told.get("name", "")
        if tag == "input" and name:
            if told.get("type") in ("checkbox", "radio") and "checked" not in told:
                return
            if told.get("type") != "file":
                self.fields.setdefault(name, []).append(told.get("value", ""))
        elif tag == "textarea":
            self._area = name
            self.fields[name] = [""]
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in told or self._select not in self.fields):
            self.fields[self._select] = [told.get("value", "")]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area][0] += data.removeprefix("\n") if not self.fields[self._area][0] else data
