"""Whatever a client sends to an endpoint, signed or not, the answer is one of Binance's: never -1000, never a 500."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparekey.wire.routes import load_routes
from tests.signing import sign
from tests.venue import Credentials, Venue

ROUTES = sorted((method, path.decode()) for method, paths in load_routes("classic").items() for path in paths)
#: Values that are right somewhere, so that the others are reached at all.
SOUND = {
    "symbol": ["BTCUSDT", "ETHBTC"],
    "symbols": ['["BTCUSDT","ETHUSDT"]'],
    "side": ["BUY", "SELL"],
    "type": ["LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT", "FULL", "MINI"],
    "timeInForce": ["GTC", "IOC", "FOK"],
    "pegPriceType": ["PRIMARY_PEG", "MARKET_PEG"],
    "pegOffsetType": ["PRICE_LEVEL"],
    "quantity": ["0.01", "1"],
    "price": ["20000", "30000.01"],
    "interval": ["1m", "1d", "1M", "1s"],
    "windowSize": ["1m", "7d"],
    "limit": ["1", "1000"],
    "orderId": ["1"],
    "newOrderRespType": ["ACK", "RESULT", "FULL"],
    "selfTradePreventionMode": ["NONE", "DECREMENT"],
    "timeZone": ["0", "+14:00", "-12:00"],
}
NAMES = [
    *SOUND,
    "fromId",
    "tradeId",
    "preventedMatchId",
    "fromPreventedMatchId",
    "startTime",
    "endTime",
    "origClientOrderId",
    "newClientOrderId",
    "quoteOrderQty",
    "stopPrice",
    "icebergQty",
    "trailingDelta",
    "pegOffsetValue",
    "strategyId",
    "strategyType",
    "cancelRestrictions",
    "computeCommissionRates",
    "omitZeroBalances",
    "symbolStatus",
    "showPermissionSets",
    "permissions",
    "listenKey",
    "asset",
    "recvWindow",
]
NASTY = [
    "",
    "0",
    "-1",
    "-0",
    "+1",
    " 1",
    "1 ",
    "1e-8",
    ".5",
    "5.",
    "NaN",
    "Infinity",
    "1_000",
    "0x10",
    "²",
    "１２３",
    "9" * 20,
    "9" * 21,
    "9" * 5_000,
    "0." + "0" * 19 + "1",
    "0." + "0" * 30 + "1",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1600000000",
    "1600000000000",
    "1600000000000000",
    "1600000000000000000",
    "[]",
    "[",
    '["BTCUSDT","BTCUSDT"]',
    '[["BTCUSDT"]]',
    "[1]",
    "{}",
    "null",
    "true",
    "True",
    "btcusdt",
    "BTC USDT",
    "🤖",
    "\u202e",
    "\x00",
    "' OR 1=1 --",
    "%",
    "%s",
    "{0}",
    "<script>",
    "../../etc/passwd",
    "a" * 37,
]

queries = st.lists(
    st.sampled_from(NAMES).flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.one_of(st.sampled_from(SOUND.get(name, ["1"])), st.sampled_from(NASTY), st.text(max_size=12)),
        )
    ),
    max_size=9,
    unique_by=lambda pair: pair[0],
)


class Client:
    """One connection, kept."""

    def __init__(self, venue: Venue, key: Credentials) -> None:
        address = urllib.parse.urlsplit(venue.url)
        assert address.hostname
        self.key = key
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)

    def send(self, method: str, target: str, body: bytes | None = None, headers: Any = ()) -> tuple[int, bytes]:
        sent = {"X-MBX-APIKEY": self.key.api_key} | dict(headers)
        self.connection.request(method, target, body, sent)
        reply = self.connection.getresponse()
        return reply.status, reply.read()


@pytest.fixture(scope="module", params=["hmac", "ed25519"])
def client(lenient_venue: Venue, request: pytest.FixtureRequest) -> Iterator[Client]:
    one = Client(lenient_venue, lenient_venue.key(request.param, fund={"USDT": "1000000", "BTC": "50"}))
    yield one
    one.connection.close()


def check(status: int, content: bytes, sent: object) -> None:
    assert status < 500, (sent, content)
    if status >= 400:
        error = json.loads(content)
        assert set(error) >= {"code", "msg"}, (sent, error)
        assert error["code"] not in (-1000, -1006, -1007), (sent, error)
        assert error["msg"]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ROUTES), queries, st.booleans())
def test_signed_calls_with_odd_parameters_are_answered(
    client: Client, route: tuple[str, str], query: list[tuple[str, str]], in_body: bool
) -> None:
    method, path = route
    pairs = [*query, ("timestamp", str(int(time.time() * 1000)))]
    text = urllib.parse.urlencode(pairs)
    text += f"&signature={sign(client.key, text)}"
    if in_body and method != "GET":
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        check(*client.send(method, path, text.encode(), form), (method, path, text))
    else:
        check(*client.send(method, f"{path}?{text}"), (method, path, text))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ROUTES), queries)
def test_unsigned_calls_with_odd_parameters_are_answered(
    client: Client, route: tuple[str, str], query: list[tuple[str, str]]
) -> None:
    method, path = route
    text = urllib.parse.urlencode(query)
    check(*client.send(method, f"{path}?{text}"), (method, path, text))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ROUTES), st.binary(max_size=80))
def test_bytes_that_are_no_parameters_are_answered(client: Client, route: tuple[str, str], raw: bytes) -> None:
    method, path = route
    query = "".join(chr(byte) if 0x21 <= byte < 0x7F and byte != 0x23 else f"%{byte:02X}" for byte in raw)
    check(*client.send(method, f"{path}?{query}"), (method, path, query))
    if method != "GET":
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        check(*client.send(method, path, raw, form), (method, path, raw))
