"""Stop orders, trailing stops, icebergs, pegged orders over sockets: placed through one route, seen through others."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.e2e.ccxt_urls import ccxt_urls
from tests.e2e.test_official_sdk import rest
from tests.e2e.test_user_data import SAME, Stream, listen_key, stream
from tests.signing import Caller
from tests.venue import Credentials, Venue

FUNDS = {"XRP": "1000", "ADA": "1000", "BTC": "5", "ETH": "5", "BNB": "5", "LTC": "5", "USDT": "900000"}


class Desk:
    """`own` places what is tried; `seller` and `buyer` make prints. All of it on `symbol`."""

    def __init__(self, venue: Venue, keys: Sequence[Credentials], symbol: str = "BTCUSDT") -> None:
        self.venue = venue
        self.symbol = {"symbol": symbol}
        self.base = symbol.removesuffix("USDT")
        self.own, self.seller, self.buyer = (Caller(venue.url, key) for key in keys)

    def rest(self, caller: Caller, **order: str) -> Any:
        answer = caller.limit_order(**self.symbol | order)
        assert answer.status == 200, answer
        return answer.body

    def trade(self, price: str, quantity: str = "0.001") -> None:
        self.rest(self.seller, side="SELL", price=price, quantity=quantity)
        assert self.rest(self.buyer, price=price, quantity=quantity)["status"] == "FILLED"

    def hear(self) -> AbstractContextManager[Stream]:
        return stream(self.venue, f"/ws/{listen_key(self.own)}")

    def place(self, **parameters: Any) -> Any:
        answer = self.own("POST", "/api/v3/order", self.symbol | parameters)
        assert answer.status == 200, answer
        return answer.body

    def refused(self, **parameters: Any) -> tuple[int, str]:
        body = self.own("POST", "/api/v3/order", self.symbol | parameters).body
        return body["code"], body["msg"]

    def order(self, order_id: int) -> Any:
        return self.own("GET", "/api/v3/order", self.symbol | {"orderId": order_id}).body

    def locked(self) -> str:
        balances = self.own("GET", "/api/v3/account").body["balances"]
        return str(next(one["locked"] for one in balances if one["asset"] == self.base))

    def depth(self) -> Any:
        depth = self.own("GET", "/api/v3/depth", self.symbol, signed=False).body
        return depth["bids"], depth["asks"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    venue = Venue(tmp_path_factory.mktemp("types") / "data", profile="off")
    yield venue
    venue.stop()


@pytest.fixture(scope="module")
def keys(shared: Venue) -> list[Credentials]:
    return [shared.key(fund=FUNDS) for _ in range(3)]


def same(order: Any, event: Any) -> None:
    """A report says what a query says, the working time of an order that does not work apart."""
    names = dict(SAME)
    if order["workingTime"] == -1:
        assert "W" not in event
        del names["workingTime"]
    assert {name: order[name] for name in names} == {name: event[key] for name, key in names.items()}


def test_a_stop_limit_order_waits_begins_to_work_and_is_heard_of(shared: Venue, keys: list[Credentials]) -> None:
    desk = Desk(shared, keys, "BTCUSDT")
    desk.trade("60000")
    with desk.hear() as heard:
        stop = {"side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "quantity": "0.5", "price": "59400"}
        assert desk.refused(**stop, stopPrice="60000") == (-2010, "Order would trigger immediately.")
        placed = desk.place(**stop, stopPrice="59500", newOrderRespType="RESULT")
        assert (placed["status"], placed["workingTime"], placed["stopPrice"]) == ("NEW", -1, "59500.00000000")
        waiting = desk.order(placed["orderId"])
        assert (waiting["isWorking"], waiting["workingTime"]) == (False, -1)
        assert desk.locked() == "0.50000000"
        assert desk.depth() == ([], [])
        new, position = heard.hear(), heard.hear()
        assert (new["x"], new["w"], new["P"], position["e"]) == (
            "NEW",
            False,
            "59500.00000000",
            "outboundAccountPosition",
        )
        same(waiting, new)

        desk.trade("59500")
        (working,) = desk.own("GET", "/api/v3/openOrders", desk.symbol).body
        assert (working["isWorking"], working["status"]) == (True, "NEW")
        assert working["workingTime"] == working["updateTime"] >= working["time"]
        assert desk.depth()[1] == [["59400.00000000", "0.50000000"]]
        began = heard.hear()
        assert (began["x"], began["X"], began["w"], began["W"]) == ("NEW", "NEW", True, working["workingTime"])
        same(working, began)

        assert desk.rest(desk.buyer, price="59400", quantity="0.5")["status"] == "FILLED"
        (done,) = desk.own("GET", "/api/v3/allOrders", desk.symbol).body
        assert (done["status"], done["executedQty"], done["stopPrice"]) == ("FILLED", "0.50000000", "59500.00000000")
        assert done["workingTime"] == working["workingTime"]


def test_a_trailing_stop_is_triggered_by_the_way_back(shared: Venue, keys: list[Credentials]) -> None:
    desk = Desk(shared, keys, "ETHUSDT")
    desk.trade("60000")
    trailing = {"side": "SELL", "type": "STOP_LOSS", "quantity": "0.01", "trailingDelta": 100}
    at_once = desk.place(**trailing, newOrderRespType="FULL")
    assert (at_once["trailingDelta"], at_once["trailingTime"]) == (100, at_once["transactTime"])
    later = desk.place(**trailing | {"type": "TAKE_PROFIT"}, stopPrice="61000", newOrderRespType="RESULT")
    assert (later["trailingTime"], later["stopPrice"]) == (-1, "61000.00000000")
    assert desk.refused(**trailing | {"trailingDelta": 9}) == (-1013, "Filter failure: TRAILING_DELTA")
    with desk.hear() as heard:
        desk.trade("61000")
        assert desk.order(later["orderId"])["trailingTime"] > 0
        desk.rest(desk.buyer, price="50000", quantity="1")
        desk.trade("60390")
        done = desk.order(later["orderId"])
        assert (done["status"], done["type"], done["cummulativeQuoteQty"]) == ("FILLED", "TAKE_PROFIT", "500.00000000")
        events = [event for event in heard.until_quiet() if event["e"] == "executionReport"]
    # The older one first, each whole before the next one begins.
    assert [(event["i"], event["x"]) for event in events] == [
        (at_once["orderId"], "NEW"),
        (at_once["orderId"], "TRADE"),
        (later["orderId"], "NEW"),
        (later["orderId"], "TRADE"),
    ]
    assert (events[-1]["d"], events[-1]["D"]) == (100, done["trailingTime"])


def test_an_iceberg_shows_its_parts_one_after_another(shared: Venue, keys: list[Credentials]) -> None:
    desk = Desk(shared, keys, "BNBUSDT")
    iceberg = {"side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "price": "60000", "quantity": "3"}
    placed = desk.place(**iceberg, icebergQty="1")
    assert placed["icebergQty"] == "1.00000000"
    assert desk.locked() == "3.00000000"
    desk.rest(desk.buyer, price="60000", quantity="1.25")
    assert desk.depth()[1] == [["60000.00000000", "0.75000000"]]
    assert desk.order(placed["orderId"])["executedQty"] == "1.25000000"
    fills = desk.rest(desk.buyer, price="60000", quantity="1.75", newOrderRespType="FULL")["fills"]
    assert [fill["qty"] for fill in fills] == ["0.75000000", "1.00000000"]
    assert desk.refused(**iceberg, icebergQty="3") == (-2010, "IcebergQty exceeds QTY.")
    assert desk.refused(**iceberg | {"quantity": "2"}, icebergQty="0.01") == (-1013, "Filter failure: ICEBERG_PARTS")
    assert desk.refused(**iceberg | {"timeInForce": "IOC"}, icebergQty="1") == (-2010, "Unsupported order combination")


def test_a_pegged_order_takes_its_price_from_the_book(shared: Venue, keys: list[Credentials]) -> None:
    desk = Desk(shared, keys, "LTCUSDT")
    for price in ("60000", "59900"):
        desk.rest(desk.buyer, price=price, quantity="0.1")
    peg = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.5", "pegPriceType": "PRIMARY_PEG"}
    placed = desk.place(**peg)
    assert (placed["price"], placed["peggedPrice"], placed["pegPriceType"]) == (
        "0.00000000",
        "60000.00000000",
        "PRIMARY_PEG",
    )
    assert "pegOffsetType" not in placed
    with desk.hear() as heard:
        deeper = desk.place(**peg, pegOffsetType="PRICE_LEVEL", pegOffsetValue=1)
        assert (deeper["peggedPrice"], deeper["pegOffsetType"], deeper["pegOffsetValue"]) == (
            "59900.00000000",
            "PRICE_LEVEL",
            1,
        )
        event = heard.hear()
    assert (event["p"], event["gP"], event["gOT"], event["gOV"], event["gp"]) == (
        "0.00000000",
        "PRIMARY_PEG",
        "PRICE_LEVEL",
        1,
        "59900.00000000",
    )
    assert desk.depth()[0] == [["60000.00000000", "0.60000000"], ["59900.00000000", "0.60000000"]]
    shown = desk.order(deeper["orderId"])
    assert (shown["price"], shown["peggedPrice"]) == ("0.00000000", "59900.00000000")
    offset = peg | {"pegOffsetType": "PRICE_LEVEL"}
    assert desk.refused(**offset, pegOffsetValue=2) == (
        -2010,
        "Order book liquidity is too low for this pegged order.",
    )
    assert desk.refused(**offset, pegOffsetValue=101) == (
        -1102,
        "'pegOffsetValue' contains unexpected value. Cannot be greater than 100.",
    )
    assert desk.refused(**peg | {"type": "STOP_LOSS"}, stopPrice="61000") == (
        -1114,
        "TimeInForce parameter sent when not required.",
    )
    market = {"side": "BUY", "type": "MARKET", "quantity": "0.5", "pegPriceType": "PRIMARY_PEG"}
    assert desk.refused(**market) == (-2010, "This order type may not use pegged price.")
    maker = {"side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.5", "pegPriceType": "MARKET_PEG"}
    assert desk.refused(**maker) == (-2010, "This price peg cannot be used with this order type.")


def test_ccxt_places_stop_orders_trailing_stops_and_icebergs(shared: Venue, keys: list[Credentials]) -> None:
    desk = Desk(shared, keys, "XRPUSDT")
    desk.trade("2.0000", "10")
    bot = ccxt.binance(
        {"urls": ccxt_urls(shared.url), "apiKey": keys[0].api_key, "secret": keys[0].secret, "enableRateLimit": False}
    )
    place = partial(bot.create_order, "XRP/USDT", amount=100, side="buy")
    stop = place("limit", price=2.2, params={"stopPrice": 2.1})
    assert (stop["status"], stop["triggerPrice"], stop["price"]) == ("open", 2.1, 2.2)
    loss = place("market", params={"stopLossPrice": 2.15})
    assert bot.fetch_order(loss["id"], "XRP/USDT")["type"] == "market"
    trailing = place("STOP_LOSS_LIMIT", price=2.3, params={"trailingDelta": 100})
    assert int(trailing["info"]["trailingDelta"]) == 100
    iceberg = place("limit", price=1.5, params={"icebergQty": 30})
    assert bot.fetch_order(iceberg["id"], "XRP/USDT")["info"]["icebergQty"] == "30.00000000"
    desk.trade("2.1", "10")
    began = bot.fetch_order(stop["id"], "XRP/USDT")
    assert (began["status"], began["info"]["isWorking"]) == ("open", True)
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        place("limit", price=2.2, params={"stopPrice": 2.1})
    assert {order["id"] for order in bot.fetch_open_orders("XRP/USDT")} == {
        one["id"] for one in (stop, loss, trailing, iceberg)
    }


def test_the_official_sdk_reads_every_kind_of_order(
    shared: Venue, keys: list[Credentials], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It warns where a reply has another type than it declares."""
    desk = Desk(shared, keys, "ADAUSDT")
    desk.trade("0.5", "20")
    desk.rest(desk.seller, side="SELL", price="0.55", quantity="50")
    api = rest(shared, keys[0], tmp_path)
    limit = {"symbol": "ADAUSDT", "side": "BUY", "quantity": 100.0, "time_in_force": "GTC"}
    for more in (
        {"type": "STOP_LOSS_LIMIT", "price": 0.6, "stop_price": 0.58},
        {"type": "TAKE_PROFIT_LIMIT", "price": 0.4, "trailing_delta": 100},
        {"type": "LIMIT", "price": 0.4, "iceberg_qty": 25.0},
        {"type": "LIMIT", "peg_price_type": "PRIMARY_PEG"},
    ):
        placed = api.new_order(**limit, **more, new_order_resp_type="FULL").data()
        queried = api.get_order(symbol="ADAUSDT", order_id=placed.order_id).data()
        assert (queried.status, queried.type) == ("NEW", more["type"])
        for name in ("stop_price", "iceberg_qty"):
            assert float(getattr(queried, name)) == more.get(name, 0)
        assert queried.trailing_delta == more.get("trailing_delta")
        assert queried.peg_price_type == more.get("peg_price_type")
    assert queried.pegged_price == "0.40000000"
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_what_is_listed_says_which_orders_it_takes(shared: Venue) -> None:
    call = Caller(shared.url)
    for listed in call("GET", "/api/v3/exchangeInfo", signed=False).body["symbols"]:
        assert listed["orderTypes"] == [
            "LIMIT",
            "LIMIT_MAKER",
            "MARKET",
            "STOP_LOSS",
            "STOP_LOSS_LIMIT",
            "TAKE_PROFIT",
            "TAKE_PROFIT_LIMIT",
        ]
        assert listed["icebergAllowed"] and listed["allowTrailingStop"] and listed["pegInstructionsAllowed"]
        filters = {one["filterType"]: one for one in listed["filters"]}
        assert filters["ICEBERG_PARTS"]["limit"] == 100
        assert filters["MAX_NUM_ALGO_ORDERS"]["maxNumAlgoOrders"] == 5
        assert filters["TRAILING_DELTA"] == {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2000,
        }


def test_waiting_orders_outlive_a_restart(tmp_path: Path) -> None:
    venue = Venue(tmp_path / "data", durability="normal")
    try:
        keys = [venue.key(fund=FUNDS) for _ in range(3)]
        desk = Desk(venue, keys)
        desk.trade("60000")
        sell = {"side": "SELL", "quantity": "0.01", "newOrderRespType": "RESULT"}
        stop = desk.place(**sell, type="STOP_LOSS", stopPrice="59500")
        trailing = desk.place(**sell, type="STOP_LOSS", trailingDelta=100)
        iceberg = desk.place(**sell, type="LIMIT_MAKER", price="62000", icebergQty="0.004")
        before = desk.own("GET", "/api/v3/openOrders", desk.symbol).body
        desk.trade("61000")
        venue.stop()
        venue = Venue(tmp_path / "data", durability="normal")
        desk = Desk(venue, keys)
        assert desk.own("GET", "/api/v3/openOrders", desk.symbol).body == before
        assert desk.depth()[1] == [["62000.00000000", "0.00400000"]]
        desk.rest(desk.buyer, price="50000", quantity="1")
        desk.trade("60390")  # 1 % below the print before the restart
        assert desk.order(trailing["orderId"])["status"] == "FILLED"
        # Its trade, at 50,000, was a print as well.
        assert desk.order(stop["orderId"])["status"] == "FILLED"
        assert desk.order(iceberg["orderId"])["status"] == "NEW"
    finally:
        venue.stop()


@pytest.mark.long
@pytest.mark.venue(market="simulated")
def test_a_stop_is_triggered_by_the_participants_prints(venue: Venue) -> None:
    desk = Desk(venue, [venue.key(fund=FUNDS) for _ in range(3)])
    last = float(desk.own("GET", "/api/v3/ticker/price", desk.symbol, signed=False).body["price"])
    # A market takes on both sides; whichever way the price goes first, one of them is reached.
    ids = [
        desk.place(side=side, type="STOP_LOSS", quantity="0.001", stopPrice=f"{last + away:.2f}")["orderId"]
        for side, away in (("BUY", 0.05), ("SELL", -0.05))
    ]
    with desk.hear() as heard:
        event = heard.hear(30)
        while event["e"] != "executionReport" or event["X"] != "FILLED":
            event = heard.hear(30)
    assert event["i"] in ids
    assert desk.order(event["i"])["status"] == "FILLED"
