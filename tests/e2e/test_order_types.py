"""Stop orders, trailing stops, icebergs, pegged orders over sockets: placed through one route, seen through others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_user_data import SAME, listen_key, stream
from tests.signing import Caller
from tests.venue import Venue

SYMBOL = {"symbol": "BTCUSDT"}


class Desk:
    """`own` places what is tried; `seller` and `buyer` make prints."""

    def __init__(self, venue: Venue) -> None:
        self.own, self.seller, self.buyer = (
            Caller(venue.url, venue.key(fund={"BTC": "5", "USDT": "500000"})) for _ in range(3)
        )

    def trade(self, price: str, quantity: str = "0.001") -> None:
        assert self.seller.limit_order(side="SELL", price=price, quantity=quantity).status == 200
        assert self.buyer.limit_order(price=price, quantity=quantity).body["status"] == "FILLED"

    def place(self, **parameters: Any) -> Any:
        answer = self.own("POST", "/api/v3/order", SYMBOL | parameters)
        assert answer.status == 200, answer
        return answer.body

    def refused(self, **parameters: Any) -> tuple[int, str]:
        body = self.own("POST", "/api/v3/order", SYMBOL | parameters).body
        return body["code"], body["msg"]

    def order(self, order_id: int) -> Any:
        return self.own("GET", "/api/v3/order", SYMBOL | {"orderId": order_id}).body

    def locked(self, asset: str) -> str:
        balances = self.own("GET", "/api/v3/account").body["balances"]
        return str(next(one["locked"] for one in balances if one["asset"] == asset))

    def depth(self) -> Any:
        depth = self.own("GET", "/api/v3/depth", SYMBOL, signed=False).body
        return depth["bids"], depth["asks"]


def same(order: Any, event: Any) -> None:
    """A report says what a query says, the working time of an order that does not work apart."""
    names = dict(SAME)
    if order["workingTime"] == -1:
        assert "W" not in event
        del names["workingTime"]
    assert {name: order[name] for name in names} == {name: event[key] for name, key in names.items()}


def test_a_stop_limit_order_waits_begins_to_work_and_is_heard_of(venue: Venue) -> None:
    desk = Desk(venue)
    desk.trade("60000")
    text = listen_key(desk.own)
    with stream(venue, f"/ws/{text}") as heard:
        stop = {"side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "quantity": "0.5", "price": "59400"}
        assert desk.refused(**stop, stopPrice="60000") == (-2010, "Order would trigger immediately.")
        placed = desk.place(**stop, stopPrice="59500", newOrderRespType="RESULT")
        assert (placed["status"], placed["workingTime"], placed["stopPrice"]) == ("NEW", -1, "59500.00000000")
        waiting = desk.order(placed["orderId"])
        assert (waiting["isWorking"], waiting["workingTime"]) == (False, -1)
        assert desk.locked("BTC") == "0.50000000"
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
        (working,) = desk.own("GET", "/api/v3/openOrders", SYMBOL).body
        assert (working["isWorking"], working["status"]) == (True, "NEW")
        assert working["workingTime"] == working["updateTime"] >= working["time"]
        assert desk.depth()[1] == [["59400.00000000", "0.50000000"]]
        began = heard.hear()
        assert (began["x"], began["X"], began["w"], began["W"]) == ("NEW", "NEW", True, working["workingTime"])
        same(working, began)

        assert desk.buyer.limit_order(price="59400", quantity="0.5").body["status"] == "FILLED"
        (done,) = desk.own("GET", "/api/v3/allOrders", SYMBOL).body
        assert (done["status"], done["executedQty"], done["stopPrice"]) == ("FILLED", "0.50000000", "59500.00000000")
        assert done["workingTime"] == working["workingTime"]


def test_a_trailing_stop_is_triggered_by_the_way_back(venue: Venue) -> None:
    desk = Desk(venue)
    desk.trade("60000")
    trailing = {"side": "SELL", "type": "STOP_LOSS", "quantity": "0.01", "trailingDelta": 100}
    at_once = desk.place(**trailing, newOrderRespType="FULL")
    assert (at_once["trailingDelta"], at_once["trailingTime"]) == (100, at_once["transactTime"])
    later = desk.place(**trailing | {"type": "TAKE_PROFIT"}, stopPrice="61000", newOrderRespType="RESULT")
    assert (later["trailingTime"], later["stopPrice"]) == (-1, "61000.00000000")
    assert desk.refused(**trailing | {"trailingDelta": 9}) == (-1013, "Filter failure: TRAILING_DELTA")
    text = listen_key(desk.own)
    with stream(venue, f"/ws/{text}") as heard:
        desk.trade("61000")
        assert desk.order(later["orderId"])["trailingTime"] > 0
        desk.buyer.limit_order(price="50000", quantity="1")
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


def test_an_iceberg_shows_its_parts_one_after_another(venue: Venue) -> None:
    desk = Desk(venue)
    iceberg = {"side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "price": "60000", "quantity": "3"}
    placed = desk.place(**iceberg, icebergQty="1")
    assert placed["icebergQty"] == "1.00000000"
    assert desk.locked("BTC") == "3.00000000"
    desk.buyer.limit_order(price="60000", quantity="1.25")
    assert desk.depth()[1] == [["60000.00000000", "0.75000000"]]
    assert desk.order(placed["orderId"])["executedQty"] == "1.25000000"
    fills = desk.buyer.limit_order(price="60000", quantity="1.75", newOrderRespType="FULL").body["fills"]
    assert [fill["qty"] for fill in fills] == ["0.75000000", "1.00000000"]
    assert desk.refused(**iceberg, icebergQty="3") == (-2010, "IcebergQty exceeds QTY.")
    assert desk.refused(**iceberg | {"quantity": "2"}, icebergQty="0.01") == (-1013, "Filter failure: ICEBERG_PARTS")
    assert desk.refused(**iceberg | {"timeInForce": "IOC"}, icebergQty="1") == (-2010, "Unsupported order combination")


def test_a_pegged_order_takes_its_price_from_the_book(venue: Venue) -> None:
    desk = Desk(venue)
    for price in ("60000", "59900"):
        desk.buyer.limit_order(price=price, quantity="0.1")
    peg = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.5", "pegPriceType": "PRIMARY_PEG"}
    placed = desk.place(**peg)
    assert (placed["price"], placed["peggedPrice"], placed["pegPriceType"]) == (
        "0.00000000",
        "60000.00000000",
        "PRIMARY_PEG",
    )
    assert "pegOffsetType" not in placed
    text = listen_key(desk.own)
    with stream(venue, f"/ws/{text}") as heard:
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


def test_what_is_listed_says_which_orders_it_takes(venue: Venue) -> None:
    call = Caller(venue.url)
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
        desk = Desk(venue)
        desk.trade("60000")
        sell = {"side": "SELL", "quantity": "0.01", "newOrderRespType": "RESULT"}
        stop = desk.place(**sell, type="STOP_LOSS", stopPrice="59500")
        trailing = desk.place(**sell, type="STOP_LOSS", trailingDelta=100)
        iceberg = desk.place(**sell, type="LIMIT_MAKER", price="62000", icebergQty="0.004")
        before = desk.own("GET", "/api/v3/openOrders", SYMBOL).body
        desk.trade("61000")
        callers = desk.own.key, desk.seller.key, desk.buyer.key
        venue.stop()
        venue = Venue(tmp_path / "data", durability="normal")
        desk.own, desk.seller, desk.buyer = (Caller(venue.url, key) for key in callers)
        assert desk.own("GET", "/api/v3/openOrders", SYMBOL).body == before
        assert desk.depth()[1] == [["62000.00000000", "0.00400000"]]
        assert desk.buyer.limit_order(price="50000", quantity="1").status == 200
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
    desk = Desk(venue)
    last = float(desk.own("GET", "/api/v3/ticker/price", SYMBOL, signed=False).body["price"])
    # A market takes on both sides; whichever way the price goes first, one of them is reached.
    ids = [
        desk.place(side=side, type="STOP_LOSS", quantity="0.001", stopPrice=f"{last + away:.2f}")["orderId"]
        for side, away in (("BUY", 0.05), ("SELL", -0.05))
    ]
    text = listen_key(desk.own)
    with stream(venue, f"/ws/{text}") as heard:
        event = heard.hear(30)
        while event["e"] != "executionReport" or event["X"] != "FILLED":
            event = heard.hear(30)
    assert event["i"] in ids
    assert desk.order(event["i"])["status"] == "FILLED"
