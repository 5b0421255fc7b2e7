"""Orders between two accounts in an empty market, seen through every route that shows them."""

from __future__ import annotations

from tests.signing import Caller
from tests.venue import Venue


def test_with_no_market_an_accounts_orders_make_the_first_trade(venue: Venue) -> None:
    seller = Caller(venue.url, venue.key(fund={"BTC": "1"}))
    buyer = Caller(venue.url, venue.key(fund={"USDT": "100000"}))
    assert buyer("GET", "/api/v3/depth", {"symbol": "BTCUSDT"}, signed=False).body["bids"] == []
    resting = seller.limit_order(side="SELL", price="60000", quantity="0.5")
    assert resting.body["status"] == "NEW"
    depth = buyer("GET", "/api/v3/depth", {"symbol": "BTCUSDT"}, signed=False).body
    assert depth["asks"] == [["60000.00000000", "0.50000000"]]
    bought = buyer.limit_order(price="61000", quantity="0.2", newOrderRespType="FULL").body
    assert bought["status"] == "FILLED"
    assert bought["fills"][0]["price"] == "60000.00000000"
    assert bought["cummulativeQuoteQty"] == "12000.00000000"

    # The same fact through every route, at once.
    order = buyer("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": bought["orderId"]}).body
    assert (order["status"], order["executedQty"]) == ("FILLED", "0.20000000")
    trades = buyer("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT"}).body
    assert [(t["orderId"], t["qty"], t["isBuyer"], t["isMaker"]) for t in trades] == [
        (bought["orderId"], "0.20000000", True, False)
    ]
    assert trades[0]["commission"] == "0.00020000"
    assert trades[0]["commissionAsset"] == "BTC"
    assert [o["orderId"] for o in buyer("GET", "/api/v3/allOrders", {"symbol": "BTCUSDT"}).body] == [bought["orderId"]]
    sold = seller("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": resting.body["orderId"]}).body
    assert (sold["status"], sold["executedQty"]) == ("PARTIALLY_FILLED", "0.20000000")
    market = buyer("GET", "/api/v3/trades", {"symbol": "BTCUSDT", "limit": 1}, signed=False).body
    assert market[0]["id"] == trades[0]["id"]
    ticker = buyer("GET", "/api/v3/ticker/price", {"symbol": "BTCUSDT"}, signed=False).body
    assert ticker["price"] == "60000.00000000"

    balances = {b["asset"]: b for b in buyer("GET", "/api/v3/account").body["balances"]}
    assert balances["BTC"]["free"] == "0.19980000"
    assert balances["USDT"]["free"] == "88000.00000000"
    balances = {b["asset"]: b for b in seller("GET", "/api/v3/account").body["balances"]}
    assert balances["BTC"] == {"asset": "BTC", "free": "0.50000000", "locked": "0.30000000"}
    assert balances["USDT"]["free"] == "11988.00000000"


def test_cancelling_returns_the_hold_and_a_second_cancel_is_2011(venue: Venue) -> None:
    call = Caller(venue.url, venue.key(fund={"USDT": "1000"}))
    order = call.limit_order(quantity="0.01", newClientOrderId="first").body
    ids = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    cancelled = call("DELETE", "/api/v3/order", ids | {"newClientOrderId": "the-cancel"}, in_body=True)
    assert cancelled.body["origClientOrderId"] == "first"
    assert cancelled.body["clientOrderId"] == "the-cancel"
    again = call("DELETE", "/api/v3/order", ids)
    assert (again.status, again.body) == (400, {"code": -2011, "msg": "Unknown order sent."})
    balances = {b["asset"]: b for b in call("GET", "/api/v3/account").body["balances"]}
    assert balances["USDT"] == {"asset": "USDT", "free": "1000.00000000", "locked": "0.00000000"}


def test_microseconds_are_shown_where_they_are_asked_for(venue: Venue) -> None:
    call = Caller(venue.url, venue.key(fund={"USDT": "1000"}))
    unit = {"X-MBX-TIME-UNIT": "MICROSECOND"}
    assert call("GET", "/api/v3/time", signed=False, headers=unit).body["serverTime"] > 10**15
    order = call.limit_order().body
    shown = call("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": order["orderId"]}, headers=unit).body
    assert shown["time"] // 1000 == order["transactTime"]


def test_all_orders_between_two_times_are_those_that_changed_between_them(venue: Venue) -> None:
    call = Caller(venue.url, venue.key(fund={"USDT": "1000"}))
    microseconds = {"X-MBX-TIME-UNIT": "MICROSECOND"}
    first, second = (call.limit_order().body["orderId"] for _ in range(2))
    symbol = {"symbol": "BTCUSDT"}
    cancelled_us = call("DELETE", "/api/v3/order", symbol | {"orderId": first}, headers=microseconds).body[
        "transactTime"
    ]

    def ids(**parameters: int) -> list[int]:
        return [order["orderId"] for order in call("GET", "/api/v3/allOrders", symbol | parameters).body]

    assert ids() == [first, second]
    assert ids(startTime=cancelled_us) == [first]
    assert ids(endTime=cancelled_us - 1) == [second]
    assert ids(startTime=cancelled_us + 1) == []


def test_a_peg_is_refused_by_what_is_wrong_with_it(venue: Venue) -> None:
    call = Caller(venue.url, venue.key(fund={"USDT": "1000"}))
    assert call.limit_order(pegPriceType="MIDDLE_PEG").body == {"code": -1210, "msg": "Invalid pegPriceType."}
    assert call.limit_order(pegOffsetType="TICKS").body == {"code": -1211, "msg": "Invalid pegOffsetType."}
    assert call.limit_order(pegOffsetValue="1").code == -1128
    assert call.limit_order(pegPriceType="MARKET_PEG").body == {
        "code": -2010,
        "msg": "Order book liquidity is too low for this pegged order.",
    }
