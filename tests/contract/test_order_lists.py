"""Order lists over a socket: what each placement is answered, refused with, and how queries and cancels tell of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.signing import Answer, Caller
from tests.venue import Venue

SYMBOL = {"symbol": "BTCUSDT"}
#: Around a last price of 50000.
SALE = SYMBOL | {
    "side": "SELL",
    "quantity": "0.01",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "60000",
    "belowType": "STOP_LOSS_LIMIT",
    "belowStopPrice": "40000",
    "belowPrice": "39900",
    "belowTimeInForce": "GTC",
}
WORKING = SYMBOL | {
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingPrice": "45000",
    "workingQuantity": "0.01",
    "workingTimeInForce": "GTC",
    "pendingSide": "SELL",
}
PENDING = {"pendingType": "LIMIT_MAKER", "pendingPrice": "60000"}
PENDING_PAIR = {
    "pendingAboveType": "TAKE_PROFIT",
    "pendingAboveStopPrice": "60000",
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": "40000",
}
OLD = SYMBOL | {"side": "SELL", "quantity": "0.01", "price": "60000", "stopPrice": "40000"}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    venue = Venue(tmp_path_factory.mktemp("lists") / "data", profile="current")
    seller, buyer = (Caller(venue.url, venue.key(fund={"USDT": "1000", "BTC": "1"})) for _ in range(2))
    seller.limit_order(side="SELL", price="50000")
    assert buyer.limit_order(side="BUY", price="50000").body["status"] == "FILLED"
    seller.close()
    buyer.close()
    yield venue
    venue.stop()


@pytest.fixture
def trader(venue: Venue) -> Iterator[Caller]:
    caller = Caller(venue.url, venue.key(fund={"USDT": "10000", "BTC": "1"}))
    yield caller
    caller.close()


def place(caller: Caller, form: str, sent: dict[str, Any], **changes: Any) -> Answer:
    pairs = {name: value for name, value in (sent | changes).items() if value is not None}
    return caller("POST", f"/api/v3/{form}", pairs, in_body=True)


def lists(caller: Caller, **parameters: Any) -> Any:
    return caller("GET", "/api/v3/allOrderList", parameters).body


# --- placing ---------------------------------------------------------------------------------------------------------


def test_a_pair_is_answered_as_documented(trader: Caller) -> None:
    names = {"listClientOrderId": "pair", "aboveClientOrderId": "up", "belowClientOrderId": "down"}
    told = place(trader, "orderList/oco", SALE, **names).body
    stop, limit = told["orderReports"]
    common = SYMBOL | {"orderListId": told["orderListId"], "transactTime": told["transactionTime"]}
    assert told | {"orderReports": 0} == {
        "orderListId": told["orderListId"],
        "contingencyType": "OCO",
        "listStatusType": "EXEC_STARTED",
        "listOrderStatus": "EXECUTING",
        "listClientOrderId": "pair",
        "transactionTime": told["transactionTime"],
        "symbol": "BTCUSDT",
        "orders": [
            SYMBOL | {"orderId": stop["orderId"], "clientOrderId": "down"},
            SYMBOL | {"orderId": limit["orderId"], "clientOrderId": "up"},
        ],
        "orderReports": 0,
    }
    state = {"executedQty": "0.00000000", "origQuoteOrderQty": "0.00000000", "cummulativeQuoteQty": "0.00000000"}
    state |= {"status": "NEW", "timeInForce": "GTC", "side": "SELL", "selfTradePreventionMode": "EXPIRE_MAKER"}
    assert stop == common | state | {
        "orderId": stop["orderId"],
        "clientOrderId": "down",
        "price": "39900.00000000",
        "origQty": "0.01000000",
        "type": "STOP_LOSS_LIMIT",
        "workingTime": -1,
        "stopPrice": "40000.00000000",
    }
    assert limit == common | state | {
        "orderId": limit["orderId"],
        "clientOrderId": "up",
        "price": "60000.00000000",
        "origQty": "0.01000000",
        "type": "LIMIT_MAKER",
        "workingTime": told["transactionTime"],
    }


@pytest.mark.parametrize(
    ("form", "sent", "types"),
    [
        ("oto", WORKING | PENDING | {"pendingQuantity": "0.01"}, ["LIMIT", "LIMIT_MAKER"]),
        ("otoco", WORKING | PENDING_PAIR | {"pendingQuantity": "0.01"}, ["LIMIT", "STOP_LOSS", "TAKE_PROFIT"]),
        ("opo", WORKING | PENDING, ["LIMIT", "LIMIT_MAKER"]),
        ("opoco", WORKING | PENDING_PAIR, ["LIMIT", "STOP_LOSS", "TAKE_PROFIT"]),
    ],
)
def test_pending_orders_are_told_after_the_working_one(
    trader: Caller, form: str, sent: dict[str, Any], types: list[str]
) -> None:
    answer = place(trader, f"orderList/{form}", sent)
    told = answer.body
    reports = told["orderReports"]
    assert told["contingencyType"] == "OTO"
    assert [report["type"] for report in reports] == types
    assert [report["status"] for report in reports] == ["NEW", *["PENDING_NEW"] * (len(types) - 1)]
    assert [report["workingTime"] for report in reports[1:]] == [-1] * (len(types) - 1)
    assert {"origQty" in report for report in reports[1:]} == {not form.startswith("opo")}
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == str(len(types))
    assert [order["status"] for order in trader("GET", "/api/v3/openOrders", SYMBOL).body] == [
        report["status"] for report in reports
    ]


def test_the_deprecated_pair_is_answered_like_the_new_one(trader: Caller) -> None:
    told = place(trader, "order/oco", OLD, stopLimitPrice="39900", stopLimitTimeInForce="GTC").body
    assert [report["type"] for report in told["orderReports"]] == ["STOP_LOSS_LIMIT", "LIMIT_MAKER"]
    assert [report["price"] for report in told["orderReports"]] == ["39900.00000000", "60000.00000000"]
    told = place(trader, "order/oco", OLD, stopClientOrderId="s", limitClientOrderId="l").body
    assert [report["clientOrderId"] for report in told["orderReports"]] == ["s", "l"]
    assert [report["type"] for report in told["orderReports"]] == ["STOP_LOSS", "LIMIT_MAKER"]


@pytest.mark.parametrize(
    ("detail", "last"), [("ACK", "transactTime"), ("RESULT", "selfTradePreventionMode"), ("FULL", "fills")]
)
def test_reports_are_as_detailed_as_was_asked_for(trader: Caller, detail: str, last: str) -> None:
    told = place(trader, "orderList/oco", SALE, newOrderRespType=detail).body
    assert list(told["orderReports"][1])[-1] == last


PAIR_PRICES = (-2010, "The relationship of the prices for the orders is not correct.")
OPO = WORKING | PENDING
BUY = {"side": "BUY", "aboveType": "STOP_LOSS", "abovePrice": None, "aboveStopPrice": "60000"} | {
    "belowType": "LIMIT_MAKER",
    "belowPrice": "40000",
    "belowStopPrice": None,
    "belowTimeInForce": None,
}


@pytest.mark.parametrize(
    ("form", "sent", "changes", "code", "message"),
    [
        ("oco", SALE, {"abovePrice": "49000"}, *PAIR_PRICES),
        ("oco", SALE, {"belowStopPrice": "51000"}, *PAIR_PRICES),
        ("oco", SALE, {"aboveType": "LIMIT"}, -1158, "Order type not supported in OCO."),
        ("oco", SALE, {"aboveType": "NO"}, -1116, "Invalid orderType."),
        ("oco", SALE, {"belowTimeInForce": "IOC", "belowIcebergQty": "0.001"}, -1160, None),
        (
            "oco",
            SALE,
            {"belowTimeInForce": None},
            -1102,
            "Mandatory parameter 'belowTimeInForce' was not sent, was empty/null, or malformed.",
        ),
        (
            "oco",
            SALE,
            {"aboveStopPrice": "1"},
            -1106,
            "Parameter 'aboveStopPrice' sent when not required.",
        ),
        (
            "oco",
            SALE,
            {"belowStopPrice": None},
            -1102,
            "Param 'belowStopPrice' or 'belowTrailingDelta' must be sent, but both were empty/null!",
        ),
        ("oco", SALE, {"quantity": "0"}, -1013, "Filter failure: LOT_SIZE"),
        ("oco", SALE, {"quantity": "2"}, -2010, "Account has insufficient balance for requested action."),
        ("oco", SALE, {"symbol": "NOPE"}, -1121, "Invalid symbol."),
        (
            "oco",
            SALE | {"belowType": "LIMIT_MAKER", "belowStopPrice": None, "belowTimeInForce": None},
            {},
            -1168,
            "At least one OCO order must be contingent.",
        ),
        ("oco", SALE | BUY | {"aboveType": "LIMIT_MAKER", "abovePrice": "1", "aboveStopPrice": None}
         | {"belowType": "TAKE_PROFIT", "belowPrice": None, "belowStopPrice": "40000"}, {}, -1165,
         "A limit order in a buy OCO must be below."),
        ("oco", SALE | BUY, {"side": "SELL"}, -1166, "A limit order in a sell OCO must be above."),
        ("oco", SALE | BUY, {"belowType": "STOP_LOSS", "belowPrice": None, "belowStopPrice": "40000"}, -1196,
         "A stop loss order in a buy OCO must be above."),
        ("oco", SALE, {"aboveType": "STOP_LOSS", "abovePrice": None, "aboveStopPrice": "60000"}, -1197,
         "A stop loss order in a sell OCO must be below."),
        ("oco", SALE | BUY, {"aboveType": "TAKE_PROFIT"}, -1198, "A take profit order in a buy OCO must be below."),
        ("oco", SALE, {"belowType": "TAKE_PROFIT_LIMIT"}, -1199, "A take profit order in a sell OCO must be above."),
        ("opo", OPO, {"workingSide": "SELL"}, -1222, "Working order in an OPO list must be a bid."),
        ("opo", OPO, {"pendingSide": "BUY"}, -1223, "Pending orders in an OPO list must be asks."),
        ("opo", OPO, {"pendingQuantity": "1"}, -1225,
         "Pending orders should not include the 'pendingQuantity' tag."),
        ("oto", OPO, {}, -1102, "Mandatory parameter 'pendingQuantity' was not sent, was empty/null, or malformed."),
        ("oto", OPO, {"pendingQuantity": "1", "workingType": "MARKET"}, -1116, "Invalid orderType."),
        ("oto", OPO, {"pendingQuantity": "1", "workingPrice": None}, -1102,
         "Mandatory parameter 'workingPrice' was not sent, was empty/null, or malformed."),
        ("oto", OPO, {"pendingQuantity": "1", "pendingStrategyType": "5"}, -1134, None),
    ],
)  # fmt: skip
def test_a_list_that_is_wrong_is_refused_as_a_whole(
    trader: Caller, form: str, sent: dict[str, Any], changes: dict[str, Any], code: int, message: str | None
) -> None:
    answer = place(trader, f"orderList/{form}", sent, **changes)
    assert (answer.status, answer.body["code"]) == (400, code), answer.body
    if message is not None:
        assert answer.body["msg"] == message
    assert trader("GET", "/api/v3/openOrders", SYMBOL).body == []
    assert lists(trader) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stopLimitPrice": "39900"}, -1128),
        ({"stopLimitTimeInForce": "GTC"}, -1114),
        ({"stopPrice": None}, -1102),
        ({"price": None}, -1102),
        ({"price": "45000"}, -2010),
        ({"stopIcebergQty": "0.001"}, -1106),
        (
            {"stopLimitPrice": "39900", "stopLimitTimeInForce": "IOC", "stopIcebergQty": "0.001"},
            -1160,
        ),
    ],
)
def test_a_deprecated_pair_that_is_wrong_is_refused(trader: Caller, changes: dict[str, Any], code: int) -> None:
    answer = place(trader, "order/oco", OLD, **changes)
    assert (answer.status, answer.body["code"]) == (400, code), answer.body
    assert trader("GET", "/api/v3/openOrders", SYMBOL).body == []


# --- cancelling and asking -------------------------------------------------------------------------------------------


def test_a_cancelled_list_tells_all_its_orders_under_one_new_id(trader: Caller) -> None:
    placed = place(trader, "orderList/oco", SALE, listClientOrderId="pair").body
    told = trader(
        "DELETE", "/api/v3/orderList", SYMBOL | {"listClientOrderId": "pair", "newClientOrderId": "gone"}
    ).body
    assert told | {"transactionTime": 0, "orderReports": 0} == placed | {
        "listStatusType": "ALL_DONE",
        "listOrderStatus": "ALL_DONE",
        "transactionTime": 0,
        "orderReports": 0,
    }
    assert [(one["clientOrderId"], one["status"]) for one in told["orderReports"]] == [("gone", "CANCELED")] * 2
    assert [one["origClientOrderId"] for one in told["orderReports"]] == [
        one["clientOrderId"] for one in placed["orders"]
    ]
    again = trader("DELETE", "/api/v3/orderList", SYMBOL | {"orderListId": placed["orderListId"]})
    assert (again.status, again.body) == (400, {"code": -2011, "msg": "Unknown order sent."})


def test_a_cancel_of_an_order_of_a_list_tells_the_list(trader: Caller) -> None:
    placed = place(trader, "orderList/oco", SALE).body
    told = trader("DELETE", "/api/v3/order", SYMBOL | {"orderId": placed["orders"][1]["orderId"]}).body
    assert (told["orderListId"], told["listStatusType"]) == (placed["orderListId"], "ALL_DONE")
    assert {one["orderId"] for one in told["orderReports"]} == {one["orderId"] for one in placed["orders"]}


def test_a_cancel_of_all_orders_tells_lists_and_single_orders(trader: Caller) -> None:
    single = trader.limit_order().body
    placed = place(trader, "orderList/otoco", WORKING | PENDING_PAIR, pendingQuantity="0.01").body
    told = trader("DELETE", "/api/v3/openOrders", SYMBOL).body
    assert [one.get("orderId") for one in told] == [single["orderId"], None]
    assert {one["orderId"] for one in told[1]["orderReports"]} == {one["orderId"] for one in placed["orders"]}
    assert trader("GET", "/api/v3/openOrderList").body == []


def test_lists_are_found_open_and_closed_by_either_id(trader: Caller) -> None:
    first = place(trader, "orderList/oco", SALE, listClientOrderId="a").body
    second = place(trader, "orderList/oto", WORKING | PENDING, pendingQuantity="0.01", listClientOrderId="b").body
    trader("DELETE", "/api/v3/orderList", SYMBOL | {"orderListId": first["orderListId"]})
    ask = lambda **sent: trader("GET", "/api/v3/orderList", sent).body  # noqa: E731
    closed, running = ask(orderListId=first["orderListId"]), ask(origClientOrderId="b")
    assert (closed["listStatusType"], closed["listOrderStatus"]) == ("ALL_DONE", "ALL_DONE")
    assert (running["listStatusType"], running["listOrderStatus"]) == ("EXEC_STARTED", "EXECUTING")
    assert running == {name: value for name, value in second.items() if name != "orderReports"}
    assert ask(orderListId=first["orderListId"], origClientOrderId="b") == running  # the client's id counts
    assert ask(origClientOrderId="a") == closed
    assert ask(orderListId=10**9) == {"code": -2013, "msg": "Order does not exist."}
    assert ask()["msg"].startswith("Param 'orderListId' or 'origClientOrderId' must be sent")
    assert trader("GET", "/api/v3/openOrderList").body == [running]
    assert lists(trader) == [running, closed]
    assert lists(trader, fromId=first["orderListId"]) == [closed, running]
    assert lists(trader, fromId=first["orderListId"], limit=1) == [closed]
    assert lists(trader, limit=1) == [running]
    now = running["transactionTime"]
    assert lists(trader, startTime=now + 60_000, endTime=now + 120_000) == []
    assert lists(trader, fromId=1, startTime=now)["code"] == -1128
    assert lists(trader, startTime=now, endTime=now + 86_400_001)["code"] == -1127


def test_orders_and_trades_of_a_list_name_it(venue: Venue, trader: Caller) -> None:
    placed = place(trader, "orderList/opo", WORKING | PENDING | {"workingPrice": "50500"}).body
    other = Caller(venue.url, venue.key(fund={"BTC": "1"}))
    other.limit_order(side="SELL", price="50500", quantity="0.01")
    other.close()
    list_id = placed["orderListId"]
    [trade] = trader("GET", "/api/v3/myTrades", SYMBOL).body
    assert (trade["orderListId"], trade["orderId"]) == (list_id, placed["orders"][0]["orderId"])
    working, pending = trader("GET", "/api/v3/allOrders", SYMBOL).body
    assert (working["orderListId"], working["status"]) == (list_id, "FILLED")
    assert (pending["orderListId"], pending["status"], pending["origQty"]) == (list_id, "NEW", "0.01000000")
    amended = trader(
        "PUT", "/api/v3/order/amend/keepPriority", SYMBOL | {"orderId": pending["orderId"], "newQty": "0.005"}
    ).body
    new_id = amended["amendedOrder"]["clientOrderId"]
    assert amended["listStatus"] == {
        "orderListId": list_id,
        "contingencyType": "OTO",
        "listOrderStatus": "EXECUTING",
        "listClientOrderId": placed["listClientOrderId"],
        "symbol": "BTCUSDT",
        "orders": [
            placed["orders"][0],
            placed["orders"][1] | {"clientOrderId": new_id},
        ],
    }


def test_a_list_costs_weight_only_where_it_is_refused(trader: Caller) -> None:
    used = lambda answer: int(answer.headers["X-MBX-USED-WEIGHT-1M"])  # noqa: E731
    before = used(trader("GET", "/api/v3/ping", signed=False))
    assert used(place(trader, "orderList/oco", SALE)) == before
    assert used(place(trader, "orderList/oco", SALE, abovePrice="1000")) == before + 1
    assert used(trader("GET", "/api/v3/openOrderList")) == before + 1 + 6
