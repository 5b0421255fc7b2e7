"""Request lines and header blocks: read once by httptools, then known by heart.

A client on a kept-alive connection repeats its header block byte for byte and changes only the request line and the
body. Identical bytes mean identical headers, so a block that was read once is looked up instead of parsed again. That
is the difference between some ten Python callbacks per request and one dictionary lookup.

Whatever could be read in two ways is refused, never interpreted (RFC 9112, sections 2.2, 3, 5 and 6.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import httptools

from sparekey.wire.sites import Site, site_of

CRLF: Final = b"\r\n"
END: Final = b"\r\n\r\n"
HTTP_1_1: Final = b"HTTP/1.1"

# Methods whose requests may take the short way. The values are the interned names that a Request carries.
COMMON_METHODS: Final[Mapping[bytes, str]] = {b"GET": "GET", b"POST": "POST", b"PUT": "PUT", b"DELETE": "DELETE"}
# Known but served by no endpoint: the application answers them like any other unknown route.
_METHODS: Final[Mapping[bytes, str]] = {
    **COMMON_METHODS,
    b"HEAD": "HEAD",
    b"OPTIONS": "OPTIONS",
    b"PATCH": "PATCH",
    b"TRACE": "TRACE",
}
# What a request target never contains: controls, space, '#', DEL and anything beyond ASCII (RFC 3986, section 2).
FORBIDDEN_IN_TARGET: Final = bytes(range(0x21)) + b"#" + bytes(range(0x7F, 0x100))

# What may stand in a Host header: a name, an IPv4 address or a bracketed IPv6 one, and a port, but no userinfo (RFC
# 9110, section 7.2; RFC 3986, section 3.2.2; a zone after RFC 6874).
_HOST: Final = re.compile(rb"(?:\[[0-9A-Za-z:.%_~-]+\]|[0-9A-Za-z._~%!$&'()*+,;=-]*)(?::[0-9]{0,5})?\Z")
_HOST_LINE: Final = re.compile(rb"(?:\A|\n)host:[ \t]*([^\r\n]*)", re.IGNORECASE)

CHUNKED: Final = -1


class Fault(Exception):
    """A request that is refused before anybody interprets it. The connection ends with the reply."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message


class Head:
    """What a header block says, as far as the API cares. Values are stripped of surrounding blanks.

    `length` is the number of body bytes, or CHUNKED. `close`: the client will send nothing more after this request.
    `site` is what `host` serves, if it is one of Binance's names.
    `whole_body` is `length` where nothing but a request and its reply follows from the block (no closing, no upgrade,
    no interim answer, no chunks), else -1.
    """

    __slots__ = (
        "accept",
        "api_key",
        "close",
        "content_encoding",
        "content_type",
        "expects_continue",
        "forwarded_for",
        "host",
        "length",
        "site",
        "time_unit",
        "upgrade",
        "user_agent",
        "whole_body",
    )

    def __init__(self) -> None:
        self.api_key: bytes | None = None
        self.content_type = b""
        self.content_encoding = b""
        self.time_unit = b""
        self.accept = b""
        self.user_agent = b""
        self.host = b""
        self.site: Site | None = None
        self.forwarded_for = b""
        self.length = 0
        self.close = False
        self.expects_continue = False
        self.upgrade = b""
        self.whole_body = -1


def read_request_line(line: bytes, longest: int) -> tuple[str, bytes, bool, bytes]:
    """`(method, target, is_http_1_1, host)`; `host` only where the target is in absolute form, else empty.

    Stricter than RFC 9112 allows: exactly one space between the parts. Raises Fault.
    """
    if len(line) > longest:
        raise Fault(414, "target-long", "Request line too long.")
    parts = line.split(b" ")
    if len(parts) != 3:
        raise Fault(400, "request-line", "Malformed request line.")
    name, target, version = parts
    if version not in (HTTP_1_1, b"HTTP/1.0"):
        if version.startswith(b"HTTP/") and len(version) == 8:
            raise Fault(505, "version", "HTTP version not supported; use HTTP/1.1.")
        raise Fault(400, "request-line", "Malformed request line.")
    method = _METHODS.get(name)
    if method is None:
        if name.isalpha() and name.isascii() and len(name) <= 32:
            raise Fault(405, "method", f"Request method '{name.decode()}' not supported")
        raise Fault(400, "request-line", "Malformed request line.")
    if len(target.translate(None, FORBIDDEN_IN_TARGET)) != len(target):
        raise Fault(400, "target", "Illegal character in the request target.")
    host = b""
    if target[:1] != b"/":
        scheme, found, rest = target.partition(b"://")
        if found and scheme.lower() in (b"http", b"https"):
            # A proxy's form of the target, which servers must accept (RFC 9112, section 3.2.2).
            cut = min(at for at in (rest.find(b"/"), rest.find(b"?"), len(rest)) if at >= 0)
            host, target = rest[:cut], rest[cut:]
            if not host or not _HOST.match(host):
                raise Fault(400, "target", "Malformed request target.")
            if target[:1] != b"/":
                target = b"/" + target
        elif not (method == "OPTIONS" and target == b"*"):
            raise Fault(400, "target", "Malformed request target.")
    return method, target, version == HTTP_1_1, host


class _Collector:
    """What httptools calls back with."""

    __slots__ = ("complete", "fields")

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


def read_head(block: bytes, is_http_1_1: bool, most_headers: int) -> Head:
    """The header block between the request line's CRLF and the empty line, both excluded. Raises Fault."""
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    version = HTTP_1_1 if is_http_1_1 else b"HTTP/1.0"
    try:
        parser.feed_data(b"POST / " + version + CRLF + block + (END if block else CRLF))
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise Fault(400, "headers", f"{error}.") from None
    if not collector.complete:
        raise Fault(400, "headers", "Malformed headers.")
    if len(collector.fields) > most_headers:
        raise Fault(431, "headers-many", "Too many headers.")
    return understand(collector.fields, is_http_1_1)


def understand(fields: list[tuple[bytes, bytes]], is_http_1_1: bool) -> Head:
    """What header fields say together; names in lower case, values stripped. Raises Fault."""
    head = Head()
    connection = b""
    upgrade = b""
    coding: bytes | None = None
    length: bytes | None = None
    seen: set[bytes] = set()
    for name, value in fields:
        repeated = name in seen
        seen.add(name)
        if repeated and name in _ONCE:
            raise Fault(400, "header-twice", f"Header {_ONCE[name]} was sent twice.")
        if name == b"x-mbx-apikey":
            if not value.isascii():
                raise Fault(400, "api-key", "Illegal characters found in header X-MBX-APIKEY.")
            head.api_key = value
        elif name == b"content-type":
            head.content_type = value
        elif name == b"content-length":
            if not value.isdigit() or len(value) > 15:
                raise Fault(400, "content-length", "Malformed Content-Length.")
            length = value
        elif name == b"transfer-encoding":
            coding = value.lower()
        elif name == b"content-encoding":
            head.content_encoding = value if not repeated else head.content_encoding + b", " + value
        elif name == b"x-mbx-time-unit":
            head.time_unit = value
        elif name == b"accept":
            head.accept = value if not repeated else head.accept + b", " + value
        elif name == b"user-agent":
            head.user_agent = value
        elif name == b"host":
            if not _HOST.match(value):
                raise Fault(400, "host", "Malformed Host.")
            head.host = value
            head.site = site_of(value)
        elif name == b"x-forwarded-for":
            head.forwarded_for = value if not repeated else head.forwarded_for + b", " + value
        elif name == b"connection":
            connection += b"," + value.lower()
        elif name == b"upgrade":
            upgrade = value.lower()
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise Fault(417, "expect", "Expectation failed; only 100-continue is known.")
            head.expects_continue = is_http_1_1
    if is_http_1_1 and b"host" not in seen:
        raise Fault(400, "host", "Header Host is missing.")
    if coding is not None:
        if length is not None:
            raise Fault(400, "both-lengths", "Content-Length and Transfer-Encoding exclude each other.")
        if coding != b"chunked" or not is_http_1_1:
            raise Fault(400, "transfer-coding", "Transfer-Encoding not supported; only chunked is.")
        head.length = CHUNKED
    elif length is not None:
        head.length = int(length)
    options = [option.strip() for option in connection.split(b",")]
    # HTTP/1.0 has no pipelining and its keep-alive is an extension that proxies get wrong: one request, then close.
    head.close = not is_http_1_1 or b"close" in options
    if b"upgrade" in options:
        head.upgrade = upgrade
    if not (head.close or head.upgrade or head.expects_continue or head.length == CHUNKED):
        head.whole_body = head.length
    return head


def peek_site(block: bytes) -> Site | None:
    """The site that a header block names, where nobody here will read the rest of it."""
    found = _HOST_LINE.search(block)
    return None if found is None else site_of(found[1].strip(b" \t"))


# A second one of these would have to be either ignored or preferred; both are interpretations.
_ONCE: Final[Mapping[bytes, str]] = {
    b"x-mbx-apikey": "X-MBX-APIKEY",
    b"content-length": "Content-Length",
    b"transfer-encoding": "Transfer-Encoding",
    b"content-type": "Content-Type",
    b"host": "Host",
    b"x-mbx-time-unit": "X-MBX-TIME-UNIT",
    b"expect": "Expect",
    b"upgrade": "Upgrade",
    b"user-agent": "User-Agent",
}


class KnownHeads:
    """Header blocks read before, the recently used ones. Bounded: at most `2 * room` blocks of `largest` bytes.

    Two generations instead of an exact order of use, which would cost a write per look-up: what the young generation
    lost is looked for among the old, and comes back young; when the young one is full, it becomes the old one.
    """

    __slots__ = ("_largest", "_old", "_room", "young")

    def __init__(self, room: int = 4096, largest: int = 1024) -> None:
        self.young: dict[bytes, Head] = {}  # the same object for good
        self._old: dict[bytes, Head] = {}
        self._room = room
        self._largest = largest

    def find(self, block: bytes) -> Head | None:
        """The head of exactly this block, if it was remembered."""
        head = self.young.get(block)
        if head is None:
            head = self._old.get(block)
            if head is not None:
                self.remember(block, head)
        return head

    def remember(self, block: bytes, head: Head) -> None:
        """Only for blocks of HTTP/1.1 requests: 1.0 reads some headers in another way."""
        if len(block) > self._largest:
            return
        if len(self.young) >= self._room:
            self._old = dict(self.young)
            self.young.clear()
        self.young[block] = head

    def __len__(self) -> int:
        return len(self.young) + len(self._old)
