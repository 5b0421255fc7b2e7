"""Reply bodies of a running server against shapes that others published; each of them is made by real calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sparekey.wire.routes import ALL_ROWS
from tests.contract import documented
from tests.contract.shapes import CCXT_FIELDS, SDK_TYPES, differences, missing_fields, unread_by_ccxt
from tests.signing import Answer, Caller
from tests.venue import Credentials, Venue

_SYMBOL = {"symbol": "BTCUSDT"}
_OTHER_SYMBOL = {"symbol": "ETHUSDT"}
_REFERENCED = {"symbol": "BTCUSDC"}
_PRICE = "60000"
_SUB = {"email": "{sub}"}
_SUB_KEY = _SUB | {"subAccountApiKey": "{sub key}"}
_CUSTOMER = {"subAccountId": "{customer}"}
_CUSTOMER_KEY = _CUSTOMER | {"subAccountApiKey": "{customer key}"}
_CUSTOMER_FUNDS = {"asset": "USDT", "amount": "1"}
_SPECIAL = {"apiKey": "{special}"}
_NUMBERED_KEY = {"subAccountId": "{sub number}", "accountApiKey": "{sub key}"}

#: What the replies are taken from: route → parameters. Values in braces come from what `Trading` did before.
_WORKING = _OTHER_SYMBOL | {
    "workingType": "LIMIT_MAKER",
    "workingSide": "BUY",
    "workingPrice": "2500",
    "workingQuantity": "0.01",
    "pendingSide": "SELL",
}
_PENDING = {"pendingType": "LIMIT_MAKER", "pendingPrice": "3200"}
_PENDING_PAIR = {
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": "3200",
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": "2400",
}
PUBLIC: dict[str, dict[str, Any]] = {
    "GET /api/v3/time": {},
    "GET /api/v3/exchangeInfo": {},
    "GET /api/v3/executionRules": {},
    "GET /api/v3/depth": _SYMBOL,
    "GET /api/v3/trades": _SYMBOL,
    "GET /api/v3/historicalTrades": _SYMBOL,
    "GET /api/v3/historicalBlockTrades": _SYMBOL | {"fromId": 1},
    "GET /api/v3/aggTrades": _SYMBOL,
    "GET /api/v3/klines": _SYMBOL | {"interval": "1m"},
    "GET /api/v3/uiKlines": _SYMBOL | {"interval": "1m"},
    "GET /api/v3/avgPrice": _SYMBOL,
    "GET /api/v3/ticker/24hr": _SYMBOL,
    "GET /api/v3/ticker/tradingDay": _SYMBOL,
    "GET /api/v3/ticker": _SYMBOL,
    "GET /api/v3/ticker/price": _SYMBOL,
    "GET /api/v3/ticker/bookTicker": _SYMBOL,
    "GET /api/v3/referencePrice": _REFERENCED,
    "GET /api/v3/referencePrice/calculation": _REFERENCED,
    "GET /sapi/v1/system/status": {},
    "GET /fapi/v1/exchangeInfo": {},
    "GET /dapi/v1/exchangeInfo": {},
}
SIGNED: dict[str, dict[str, Any]] = {
    "POST /api/v3/order": _SYMBOL | {"side": "BUY", "type": "MARKET", "quantity": "0.001"},
    "POST /api/v3/order/test": _SYMBOL
    | {"side": "BUY", "type": "MARKET", "quantity": "0.001", "computeCommissionRates": "true"},
    "POST /api/v3/order/cancelReplace": _SYMBOL
    | {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001", "price": "39000"}
    | {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": "{replaced}"},
    "PUT /api/v3/order/amend/keepPriority": _SYMBOL | {"orderId": "{resting}", "newQty": "0.005"},
    "GET /api/v3/order/amendments": _SYMBOL | {"orderId": "{resting}"},
    # Of what another symbol's book offers: its own has no ask.
    "POST /api/v3/sor/order": _REFERENCED
    | {"side": "BUY", "type": "LIMIT", "timeInForce": "IOC", "quantity": "0.001", "price": _PRICE},
    "POST /api/v3/sor/order/test": _REFERENCED
    | {"side": "BUY", "type": "MARKET", "quantity": "0.001", "computeCommissionRates": "true"},
    "GET /api/v3/myAllocations": _REFERENCED,
    "POST /api/v3/order/oco": _OTHER_SYMBOL
    | {"side": "SELL", "quantity": "0.01", "price": "3100", "stopPrice": "2900"}
    | {"stopLimitPrice": "2890", "stopLimitTimeInForce": "GTC"},
    "POST /api/v3/orderList/oco": _OTHER_SYMBOL
    | {"side": "SELL", "quantity": "0.01", "aboveType": "LIMIT_MAKER", "abovePrice": "3100"}
    | {"belowType": "STOP_LOSS", "belowStopPrice": "2900"},
    "POST /api/v3/orderList/oto": _WORKING | _PENDING | {"pendingQuantity": "0.01"},
    "POST /api/v3/orderList/otoco": _WORKING | _PENDING_PAIR | {"pendingQuantity": "0.01"},
    "POST /api/v3/orderList/opo": _WORKING | _PENDING,
    "POST /api/v3/orderList/opoco": _WORKING | _PENDING_PAIR,
    "GET /api/v3/orderList": {"orderListId": "{list}"},
    "GET /api/v3/openOrderList": {},
    "GET /api/v3/allOrderList": {},
    "DELETE /api/v3/orderList": _OTHER_SYMBOL | {"orderListId": "{list}"},
    "GET /api/v3/order": _SYMBOL | {"orderId": "{bought}"},
    "GET /api/v3/openOrders": _SYMBOL,
    "GET /api/v3/allOrders": _SYMBOL,
    "GET /api/v3/account": {},
    "GET /api/v3/myTrades": _SYMBOL,
    "GET /api/v3/rateLimit/order": {},
    "GET /api/v3/myPreventedMatches": _OTHER_SYMBOL | {"orderId": "{stopped}"},
    "GET /api/v3/account/commission": _SYMBOL,
    "GET /api/v3/myFilters": _REFERENCED,
    "GET /sapi/v1/capital/config/getall": {},
    "GET /sapi/v1/account/apiRestrictions": {},
    "GET /sapi/v1/account/status": {},
    "GET /sapi/v1/account/apiTradingStatus": {},
    "GET /sapi/v1/asset/tradeFee": {},
    "GET /sapi/v1/margin/allPairs": {},
    "GET /sapi/v1/margin/isolated/allPairs": {},
    # Sub-accounts: one is made and funded, a key of it made, changed, restricted, and at the end deleted.
    "POST /sapi/v1/sub-account/virtualSubAccount": {"subAccountString": "desk1"},
    "GET /sapi/v1/sub-account/list": _SUB,
    "GET /sapi/v1/sub-account/status": {},
    "POST /sapi/v1/sub-account/transfer/subToMaster": {"asset": "USDT", "amount": "1"},
    "POST /sapi/v1/sub-account/transfer/subToSub": {"toEmail": "{sub}", "asset": "USDT", "amount": "1"},
    "POST /sapi/v1/sub-account/universalTransfer": {
        "toEmail": "{sub}",
        "fromAccountType": "SPOT",
        "toAccountType": "SPOT",
        "asset": "USDT",
        "amount": "1.5",
        "clientTranId": "mine",
    },
    "GET /sapi/v1/sub-account/universalTransfer": {},
    "GET /sapi/v3/sub-account/assets": _SUB,
    "GET /sapi/v4/sub-account/assets": _SUB,
    "POST /sapi/v1/sub-account/subAccountApi": _SUB
    | {"apiName": "bot", "status": "2", "canTrade": "true", "ipAddress": "127.0.0.1"},
    "GET /sapi/v1/sub-account/subAccountApi": _SUB,
    "POST /sapi/v1/sub-account/subAccountApiPermission": _SUB_KEY | {"canTrade": "false"},
    "GET /sapi/v1/sub-account/subAccountApi/ipRestriction": _SUB_KEY,
    "POST /sapi/v2/sub-account/subAccountApi/ipRestriction": _SUB_KEY
    | {"status": "2", "ipAddress": "69.210.67.14,8.34.21.10"},
    "DELETE /sapi/v1/sub-account/subAccountApi/ipRestriction/ipList": _SUB_KEY | {"ipAddress": "127.0.0.1"},
    "POST /sapi/v1/sub-account/subAccountApi/ipRestriction": _SUB_KEY | {"ipRestrict": "true"},
    "POST /sapi/v1/sub-account/subAccountApi/ipRestriction/ipList": _SUB_KEY | {"ipAddress": "127.0.0.1"},
    "GET /sapi/v1/account/apiRestrictions/ipRestriction": _NUMBERED_KEY,
    "POST /sapi/v1/account/apiRestrictions/ipRestriction": _NUMBERED_KEY | {"ipRestrict": "true"},
    "POST /sapi/v1/account/apiRestrictions/ipRestriction/ipList": _NUMBERED_KEY | {"ipAddress": "127.0.0.2"},
    "DELETE /sapi/v1/account/apiRestrictions/ipRestriction/ipList": _NUMBERED_KEY | {"ipAddress": "127.0.0.2"},
    "DELETE /sapi/v1/sub-account/subAccountApi": _SUB_KEY,
    # A customer of a broker in the same way.
    "GET /sapi/v1/broker/info": {},
    "POST /sapi/v1/broker/subAccount": {"tag": "bob123d"},
    "GET /sapi/v1/broker/subAccount": {},
    "POST /sapi/v1/broker/transfer": _CUSTOMER_FUNDS | {"toId": "{customer}", "clientTranId": "in"},
    "POST /sapi/v1/broker/subAccountApi": _CUSTOMER | {"canTrade": "true"},
    "GET /sapi/v1/broker/subAccountApi": _CUSTOMER,
    "POST /sapi/v1/broker/subAccountApi/permission": _CUSTOMER_KEY
    | {"canTrade": "false", "marginTrade": "false", "futuresTrade": "false"},
    "POST /sapi/v1/broker/subAccountApi/permission/universalTransfer": _CUSTOMER_KEY | {"canUniversalTransfer": "true"},
    "POST /sapi/v2/broker/subAccountApi/ipRestriction": _CUSTOMER_KEY
    | {"status": "2", "ipAddress": "69.210.67.14,8.34.21.10"},
    "GET /sapi/v1/broker/subAccountApi/ipRestriction": _CUSTOMER_KEY,
    "DELETE /sapi/v1/broker/subAccountApi/ipRestriction/ipList": _CUSTOMER_KEY | {"ipAddress": "8.34.21.10"},
    "POST /sapi/v1/broker/subAccountApi/ipRestriction": _CUSTOMER_KEY | {"ipRestrict": "true"},
    "POST /sapi/v1/broker/subAccountApi/ipRestriction/ipList": _CUSTOMER_KEY | {"ipAddress": "127.0.0.1"},
    "DELETE /sapi/v1/broker/subAccountApi": _CUSTOMER_KEY,
    "DELETE /sapi/v1/broker/subAccount": {"subAccountId": "{empty customer}"},
    # A special key of margin.
    "POST /sapi/v1/margin/apiKey": {"apiName": "testName", "ip": "192.168.0.1,192.168.0.2"},
    "GET /sapi/v1/margin/apiKey": _SPECIAL,
    "GET /sapi/v1/margin/api-key-list": {},
    "PUT /sapi/v1/margin/apiKey/ip": _SPECIAL | {"ip": "192.168.0.3"},
    "DELETE /sapi/v1/margin/apiKey": _SPECIAL,
    # The last ones end what rests.
    "DELETE /api/v3/order": _SYMBOL | {"orderId": "{resting}"},
    "DELETE /api/v3/openOrders": _SYMBOL,
}
ROUTES = sorted(PUBLIC | SIGNED)

#: Looked at by tests of their own below: replies of a listen key, and nothing.
ELSEWHERE = {
    "POST /api/v3/userDataStream",
    "PUT /api/v3/userDataStream",
    "DELETE /api/v3/userDataStream",
    "GET /api/v3/ping",
    "GET /fapi/v1/ping",
    "GET /dapi/v1/ping",
    "GET /fapi/v1/time",
    "GET /dapi/v1/time",
}

#: No symbol is open to margin, no contract is listed, nobody agrees on block trades, and these say so; their items
#: cannot be looked at.
EMPTY_BY_NATURE = {
    "GET /api/v3/historicalBlockTrades",
    "GET /sapi/v1/margin/allPairs",
    "GET /sapi/v1/margin/isolated/allPairs",
    "GET /fapi/v1/exchangeInfo",
    "GET /dapi/v1/exchangeInfo",
}
#: Documented, but not declared by the SDK.
UNDECLARED = {
    "DELETE /api/v3/orderList": frozenset({"orderReports[].selfTradePreventionMode"}),
    "GET /fapi/v1/exchangeInfo": frozenset({"futuresType"}),
    "POST /api/v3/sor/order/test": frozenset({f"specialCommissionForOrder.{side}" for side in ("maker", "taker")}),
}


#: Asked for by a key of a sub-account.
BY_A_SUB_ACCOUNT = {
    "POST /sapi/v1/sub-account/transfer/subToMaster",
    "POST /sapi/v1/sub-account/transfer/subToSub",
}
#: Route → what its reply is needed for, and where it stands there.
_NOTED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "POST /api/v3/orderList/oco": ("{list}", lambda body: body["orderListId"]),
    "POST /sapi/v1/sub-account/virtualSubAccount": ("{sub}", lambda body: body["email"]),
    "GET /sapi/v1/sub-account/list": ("{sub number}", lambda body: body["subAccounts"][0]["subUserId"]),
    "POST /sapi/v1/sub-account/subAccountApi": ("{sub key}", lambda body: body["apiKey"]),
    "POST /sapi/v1/broker/subAccount": ("{customer}", lambda body: body["subaccountId"]),
    "POST /sapi/v1/broker/subAccountApi": ("{customer key}", lambda body: body["apiKey"]),
    "POST /sapi/v1/margin/apiKey": ("{special}", lambda body: body["apiKey"]),
}
#: The documents say so, and these are so.
NOTHING_TO_SAY = {route for route, names in documented.FIELDS.items() if not names}


class Trading:
    """A venue with a little history: two accounts have traded, and orders of both rest."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.key = venue.key(fund={"USDT": "100000", "BTC": "1", "ETH": "1", "USDC": "1000"})
        self.call = Caller(venue.url, self.key)
        other = Caller(venue.url, venue.key(fund={"BTC": "1", "USDT": "100000", "USDC": "1000"}))
        placed = [
            other.limit_order(side="SELL", price=_PRICE, quantity="0.5"),
            self.call.limit_order(price=_PRICE, quantity="0.1"),
            other.limit_order(side="BUY", price="50000", quantity="0.1"),
            self.call.limit_order(price="40000", quantity="0.01"),
            self.call.limit_order(price="41000", quantity="0.01"),
            self.call.limit_order(price="42000", quantity="0.01"),
            self.call.limit_order(**_OTHER_SYMBOL, side="SELL", price="3000", quantity="0.01"),
            self.call.limit_order(**_OTHER_SYMBOL, price="3000", quantity="0.01", timeInForce="IOC"),
            self.call.limit_order(**_REFERENCED, side="SELL", price=_PRICE, quantity="0.01"),
            other.limit_order(**_REFERENCED, price=_PRICE, quantity="0.01"),
        ]
        other.close()
        assert [answer.status for answer in placed] == [200] * 10, placed
        self.sub_call = self.open_sub_account()
        venue.ask("PUT", f"/accounts/{self.key.email}/broker", {"broker": True})
        empty = self.call("POST", "/sapi/v1/broker/subAccount").body["subaccountId"]
        self.known = {
            "{empty customer}": empty,
            "{bought}": placed[1].body["orderId"],
            "{resting}": placed[3].body["orderId"],
            "{replaced}": placed[5].body["orderId"],
            "{stopped}": placed[7].body["orderId"],
        }

    def open_sub_account(self) -> Caller:
        """One with a key and a little money."""
        path = "/sapi/v1/sub-account"
        email = self.call("POST", f"{path}/virtualSubAccount", {"subAccountString": "first"}).body["email"]
        funds = {"fromAccountType": "SPOT", "toAccountType": "SPOT", "asset": "USDT", "amount": "10", "toEmail": email}
        assert self.call("POST", f"{path}/universalTransfer", funds).status == 200
        wanted = {"email": email, "apiName": "first", "status": "1", "canTrade": "true"}
        made = self.call("POST", f"{path}/subAccountApi", wanted).body
        return Caller(self.venue.url, Credentials(made["apiKey"], made["secretKey"], "", email))

    def ask(self, route: str) -> Answer:
        method, path = route.split()
        signed = route in SIGNED
        parameters = {name: self.known.get(value, value) for name, value in (PUBLIC | SIGNED)[route].items()}
        caller = self.sub_call if route in BY_A_SUB_ACCOUNT else self.call
        answer = caller(method, path, parameters, signed=signed)
        self.note(route, answer)
        return answer

    def note(self, route: str, answer: Answer) -> None:
        """What later calls need of this one's reply."""
        if answer.status == 200 and route in _NOTED:
            name, read = _NOTED[route]
            self.known[name] = read(answer.body)


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    venue = Venue(tmp_path_factory.mktemp("bodies") / "data", profile="off")
    trading = Trading(venue)
    yield trading
    trading.call.close()
    venue.stop()


@pytest.fixture(scope="module")
def answers(trading: Trading) -> dict[str, Answer]:
    return {route: trading.ask(route) for route in (*PUBLIC, *SIGNED)}


@pytest.fixture(scope="module")
def bodies(answers: dict[str, Answer]) -> dict[str, Any]:
    assert {route: answer.body for route, answer in answers.items() if answer.status != 200} == {}
    return {route: answer.body for route, answer in answers.items()}


def items(body: Any) -> list[dict[str, Any]]:
    return body if isinstance(body, list) else [body]


def test_no_endpoint_goes_without_a_look_at_its_body() -> None:
    assert {f"{row.method} {row.path}" for row in ALL_ROWS} == set(ROUTES) | ELSEWHERE


@pytest.mark.parametrize("route", ROUTES)
def test_every_value_has_the_type_that_the_official_sdk_declares(route: str, bodies: dict[str, Any]) -> None:
    if SDK_TYPES.get(route, True):  # candles are rows of an array, which have no names
        assert differences(route, bodies[route], UNDECLARED.get(route, frozenset())) == []
    if route in NOTHING_TO_SAY:
        assert bodies[route] == {}
    elif route not in EMPTY_BY_NATURE:
        assert bodies[route], "nothing to look at"


@pytest.mark.parametrize("route", sorted(documented.FIELDS))
def test_the_fields_are_the_documented_ones_in_their_order(route: str, bodies: dict[str, Any]) -> None:
    assert {tuple(item) for item in items(bodies[route])} == {documented.FIELDS[route]}


@pytest.mark.parametrize("route", sorted(documented.ITEMS))
def test_the_items_of_a_reply_have_the_documented_fields_in_their_order(route: str, bodies: dict[str, Any]) -> None:
    field, names = documented.ITEMS[route]
    assert {tuple(item) for item in bodies[route][field]} == {names}


@pytest.mark.parametrize("route", sorted(set(CCXT_FIELDS) - EMPTY_BY_NATURE))
def test_ccxt_finds_every_field_that_it_reads(route: str, bodies: dict[str, Any]) -> None:
    assert unread_by_ccxt(route, bodies[route]) == []


@pytest.mark.parametrize(
    ("route", "struct"),
    [
        ("GET /api/v3/time", "common.schemas.market.BinanceTime"),
        ("GET /api/v3/depth", "common.schemas.market.BinanceDepth"),
        ("GET /api/v3/trades", "common.schemas.market.BinanceTrade"),
        ("GET /api/v3/historicalTrades", "common.schemas.market.BinanceTrade"),
        ("GET /api/v3/aggTrades", "common.schemas.market.BinanceAggTrade"),
        ("GET /api/v3/avgPrice", "spot.schemas.market.BinanceSpotAvgPrice"),
        ("GET /api/v3/ticker/24hr", "common.schemas.market.BinanceTicker24hr"),
        ("GET /api/v3/ticker/price", "common.schemas.market.BinanceTickerPrice"),
        ("GET /api/v3/ticker/bookTicker", "common.schemas.market.BinanceTickerBook"),
        ("GET /api/v3/exchangeInfo", "spot.schemas.market.BinanceSpotExchangeInfo"),
        ("GET /api/v3/exchangeInfo", "spot.schemas.market.BinanceSpotSymbolInfo"),
        ("GET /api/v3/account", "spot.schemas.account.BinanceSpotAccountInfo"),
        ("GET /api/v3/account", "spot.schemas.account.BinanceSpotBalanceInfo"),
        ("GET /sapi/v1/asset/tradeFee", "spot.schemas.wallet.BinanceSpotTradeFee"),
        ("GET /api/v3/myTrades", "common.schemas.account.BinanceUserTrade"),
        ("POST /api/v3/order", "common.schemas.account.BinanceOrder"),
        ("GET /api/v3/order", "common.schemas.account.BinanceOrder"),
        ("DELETE /api/v3/order", "common.schemas.account.BinanceOrder"),
    ],
)
def test_nautilus_finds_every_field_that_it_requires(route: str, struct: str, bodies: dict[str, Any]) -> None:
    part = {"BinanceSpotSymbolInfo": "symbols", "BinanceSpotBalanceInfo": "balances"}.get(struct.rpartition(".")[2])
    for item in items(bodies[route]) if part is None else bodies[route][part]:
        assert missing_fields(struct, item) == []


def test_each_listed_symbol_has_the_documented_fields_and_filters(bodies: dict[str, Any]) -> None:
    symbols = bodies["GET /api/v3/exchangeInfo"]["symbols"]
    assert {tuple(symbol) for symbol in symbols} == {documented.SYMBOL}
    for symbol in symbols:
        filters = {entry["filterType"]: tuple(entry)[1:] for entry in symbol["filters"]}
        assert filters == {name: documented.FILTERS[name] for name in filters}
        assert {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"} <= set(filters)


@pytest.mark.parametrize("route", ["GET /api/v3/klines", "GET /api/v3/uiKlines"])
def test_a_candle_is_twelve_values_of_the_documented_types(route: str, bodies: dict[str, Any]) -> None:
    assert {tuple(type(value) for value in row) for row in bodies[route]} == {documented.CANDLE}
    last = bodies[route][-1]
    assert last[6] == last[0] + 59_999
    assert last[1:5] == ["60000.00000000"] * 4


@pytest.mark.parametrize(
    ("detail", "names"),
    [("ACK", documented.ACK), ("RESULT", documented.RESULT), ("FULL", documented.FIELDS["POST /api/v3/order"])],
)
def test_a_placement_reply_is_as_detailed_as_asked(trading: Trading, detail: str, names: tuple[str, ...]) -> None:
    answer = trading.call.limit_order(price="30000", newOrderRespType=detail)
    assert tuple(answer.body) == names


@pytest.mark.parametrize("path", ["ticker/24hr", "ticker/tradingDay", "ticker"])
def test_a_mini_ticker_has_the_documented_fields(trading: Trading, path: str) -> None:
    answer = trading.call("GET", f"/api/v3/{path}", _SYMBOL | {"type": "MINI"}, signed=False)
    assert tuple(answer.body) == documented.MINI_TICKER


def test_what_a_listen_key_route_answers_is_what_nautilus_requires(trading: Trading) -> None:
    opened = trading.call("POST", "/api/v3/userDataStream", signed=False)
    assert missing_fields("common.schemas.user.BinanceListenKey", opened.body) == []
    listen_key = {"listenKey": opened.body["listenKey"]}
    for method in ("PUT", "DELETE"):
        assert trading.call(method, "/api/v3/userDataStream", listen_key, signed=False).body == {}
    gone = trading.call("PUT", "/api/v3/userDataStream", listen_key, signed=False)
    assert gone.body == {"code": -1125, "msg": "This listenKey does not exist."}


def test_pings_are_answered_with_nothing_and_the_clocks_of_all_families_agree(trading: Trading) -> None:
    for family in ("api/v3", "fapi/v1", "dapi/v1"):
        assert trading.call("GET", f"/{family}/ping", signed=False).body == {}
        told = trading.call("GET", f"/{family}/time", signed=False).body
        assert list(told) == ["serverTime"] and abs(told["serverTime"] - time.time() * 1000) < 10_000


def test_a_refusal_is_a_code_and_a_message_and_nothing_else(trading: Trading) -> None:
    refused = trading.call("GET", "/api/v3/depth", {"symbol": "NOPE"}, signed=False)
    assert refused.status == 400
    assert refused.body == {"code": -1121, "msg": "Invalid symbol."}
    assert missing_fields("common.schemas.account.BinanceStatusCode", refused.body) == []
    assert refused.headers["Content-Type"] == "application/json;charset=UTF-8"


def test_coins_are_described_as_the_key_of_the_call_sees_them(trading: Trading, bodies: dict[str, Any]) -> None:
    coins = {coin["coin"]: coin for coin in trading.ask("GET /sapi/v1/capital/config/getall").body}
    balances = {row["asset"]: row for row in trading.ask("GET /api/v3/account").body["balances"]}
    assert {name: (coin["free"], coin["locked"]) for name, coin in coins.items()} == {
        name: (row["free"], row["locked"]) for name, row in balances.items()
    }
    assert all(coin["networkList"] for coin in coins.values() if not coin["isLegalMoney"])
    restrictions = bodies["GET /sapi/v1/account/apiRestrictions"]
    assert restrictions["ipRestrict"] and restrictions["enableSpotAndMarginTrading"]
    assert not restrictions["enableWithdrawals"]
    assert abs(restrictions["createTime"] - time.time() * 1000) < 600_000
