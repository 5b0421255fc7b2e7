"""The short ways that nearly every call takes say what the thorough ways say, or nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from sparekey.server.http import Connection, HttpServer
from sparekey.server.replies import CONTINUE
from sparekey.terms.refusals import Refusal
from sparekey.wire.parameters import merge_pairs
from sparekey.wire.requests import Request
from sparekey.wire.routes import load_methods, load_routes
from sparekey.wire.signing import signed_payload
from tests.plain_application import PlainApplication

ROUTES = load_routes("classic")
SIGNED = [route for paths in ROUTES.values() for route in paths.values() if route.signed]

_FIELDS = st.sampled_from(
    [
        *("symbol=BTCUSDT", "symbol=btc", "symbol=", "symbol", "symbol=%42TC", "side=BUY", "side=HOLD", "type=LIMIT"),
        *("type=MARKET", "timeInForce=GTC", "quantity=1", "quantity=0.5", "quantity=1e5", "quantity=-1", "price=2.50"),
        *("price=0", "recvWindow=5000", "recvWindow=60001", "recvWindow=5000.5", "timestamp=1700000000000"),
        *(
            "timestamp=1700000000000000",
            "timestamp=soon",
            "orderId=7",
            "origClientOrderId=mine",
            "limit=5",
            "",
            "=",
            "&",
        ),
        *("newClientOrderId=a.b", "newClientOrderId=x-1", "unknown=1", "signature=00", "sign%61ture=00", "a+b=1"),
        *("quoteOrderQty=10", "stopPrice=3", "strategyType=5", "computeCommissionRates=true", "symbol=ÄÖ"),
    ]
)
_SIGNATURES = st.sampled_from(
    [
        "&signature=" + "ab" * 32,
        "&signature=" + "AB" * 32,
        "&signature=",
        "&signature=ab%3D",
        "",
        "&signature=" + "+/" * 32,
    ]
)


@given(st.sampled_from(SIGNED), st.lists(_FIELDS, max_size=9), _SIGNATURES)
@example(next(route for route in SIGNED if route.handler.__name__ == "order_rate_limits"), [], "&signature=" + "0" * 64)
def test_what_the_short_way_reads_the_thorough_way_reads_too(route: Any, fields: list[str], signature: str) -> None:
    raw = ("&".join(fields) + signature).encode()
    for _ in range(2):  # the second time from memory
        short = route.reader.read_signed(raw)
        if short is None:
            continue
        payload, values = short
        pairs = merge_pairs(raw, b"")
        assert not isinstance(pairs, Refusal)
        assert values == route.reader.read(pairs)
        assert payload == signed_payload(raw, b"") == signed_payload(b"", raw)


def test_an_ordinary_order_takes_the_short_way() -> None:
    reader = ROUTES["POST"][b"/api/v3/order"].reader
    order = b"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=2&timestamp=1700000000000&signature="
    assert reader.read_signed(order + b"a" * 64) is not None


def test_an_ordinary_order_over_the_websocket_api_takes_the_short_way() -> None:
    reader = load_methods("classic")["order.place"].by_signature
    fields = ["price=2", "quantity=1", "side=BUY", "symbol=BTCUSDT", "timeInForce=GTC", "timestamp=1700000000000"]
    beside = {"apiKey": "k", "signature": "s"}
    short = reader.read_fields([*fields, "type=LIMIT"])
    assert short is not None
    assert short | beside == reader.read(dict(field.split("=") for field in [*fields, "type=LIMIT"]) | beside)
    assert reader.read_fields(fields) is None  # without a type it is for the thorough way to refuse


class _Wire(asyncio.Transport):
    """A transport that remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 5) if name == "peername" else default

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.written += b"<closed>"


def _sent(chunks: list[bytes]) -> tuple[list[Request], bytes]:
    """What the application is asked and what the client is told, when bytes come in these pieces."""
    application = PlainApplication()
    server = HttpServer(application, wall_us=lambda: 1_700_000_000_000_000, monotonic_s=lambda: 100.0)
    wire = _Wire()
    connection = Connection(server)
    connection.connection_made(wire)
    for chunk in chunks:
        connection.data_received(chunk)
    return application.handled, wire.written


_TARGETS = st.sampled_from(
    [
        *(
            b"/api/v3/echo",
            b"/api/v3/echo?a=1&b=2",
            b"/api/v3/echo?",
            b"/api/v3/echo?q=?",
            b"/sapi/v1/x",
            b"/api/v3/small",
        ),
        *(b"/api/v3/echo?a=%20#x", b"/api/v3/echo?a b", b"//api/v3/echo", b"api/v3/echo", b"/api/v3/echo?\x01", b""),
    ]
)
_HEADERS = st.sampled_from(
    [
        *(b"X-MBX-APIKEY: k\r\n", b"Accept: */*\r\n", b"Connection: close\r\n", b"Content-Length: 3\r\n", b"A: b\r\n"),
        *(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b" folded\r\n"),
    ]
)


@given(
    st.sampled_from([b"GET", b"POST", b"DELETE", b"HEAD", b"FETCH"]),
    _TARGETS,
    st.lists(_HEADERS, max_size=3),
    st.sampled_from([b"", b"abc", b"ab", b"3\r\nabc\r\n0\r\n\r\n"]),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0"]),
)
def test_a_request_that_comes_whole_and_one_that_comes_in_pieces_are_the_same_request(
    method: bytes, target: bytes, headers: list[bytes], body: bytes, version: bytes
) -> None:
    one = method + b" " + target + b" " + version + b"\r\nHost: api\r\n" + b"".join(headers) + b"\r\n" + body
    whole, told = _sent([one, one, one])  # the first is read, the others may be known by heart
    pieces, told_too = _sent([one[at : at + 1] for _ in range(3) for at in range(len(one))])
    assert [_fields(request) for request in whole] == [_fields(request) for request in pieces]
    # Who sends the body with the head is not told to go on, which is right (RFC 9110, 10.1.1).
    assert told.replace(CONTINUE, b"") == told_too.replace(CONTINUE, b"")


def _fields(request: Request) -> list[Any]:
    return [getattr(request, name) for name in Request.__struct_fields__]
