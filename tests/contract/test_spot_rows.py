"""Spot endpoints that look back at what others did: each shows what was done through another route, or why it cannot.

What the documents say of parameters that go together, of weights and of refusals is tried here, over a socket.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.signing import Answer, Caller
from tests.venue import Venue

SYMBOL = {"symbol": "BTCUSDT"}
ETH = {"symbol": "ETHUSDT"}
COMBINATION = {"code": -1128, "msg": "Combination of optional parameters invalid."}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    venue = Venue(tmp_path_factory.mktemp("rows") / "data", profile="current")
    yield venue
    venue.stop()


@pytest.fixture(scope="module")
def trader(venue: Venue) -> Iterator[Caller]:
    caller = Caller(venue.url, venue.key(fund={"USDT": "1000000", "BTC": "10", "ETH": "10"}))
    yield caller
    caller.close()


def cost(before: Answer, after: Answer) -> int:
    return int(after.headers["X-MBX-USED-WEIGHT-1M"]) - int(before.headers["X-MBX-USED-WEIGHT-1M"])


# --- prevented matches ---------------------------------------------------------------------------------------------


def met(trader: Caller, mode: str, side: str = "BUY", quantity: str = "0.02") -> tuple[dict[str, Any], dict[str, Any]]:
    """An order of an account that meets another one of the same account: what both were answered."""
    other = "SELL" if side == "BUY" else "BUY"
    maker = trader.limit_order(**ETH, side=other, price="3000", quantity="0.01")
    taker = trader.limit_order(**ETH, side=side, price="3000", quantity=quantity, selfTradePreventionMode=mode)
    assert (maker.status, taker.status) == (200, 200)
    return maker.body, taker.body


def prevented(trader: Caller, **parameters: Any) -> Any:
    return trader("GET", "/api/v3/myPreventedMatches", ETH | parameters).body


@pytest.mark.parametrize(
    ("mode", "lost"),
    [
        ("EXPIRE_MAKER", {"makerPreventedQuantity": "0.01000000"}),
        ("EXPIRE_TAKER", {"takerPreventedQuantity": "0.02000000"}),
        ("EXPIRE_BOTH", {"takerPreventedQuantity": "0.02000000", "makerPreventedQuantity": "0.01000000"}),
        ("DECREMENT", {"takerPreventedQuantity": "0.01000000", "makerPreventedQuantity": "0.01000000"}),
    ],
)
def test_a_prevented_match_is_found_by_its_id_and_by_both_of_its_orders(
    trader: Caller, mode: str, lost: dict[str, str]
) -> None:
    maker, taker = met(trader, mode)
    told = taker["preventedMatches"][0]
    [match] = prevented(trader, orderId=taker["orderId"])
    assert match == {
        "symbol": "ETHUSDT",
        "preventedMatchId": told["preventedMatchId"],
        "takerOrderId": taker["orderId"],
        "makerSymbol": "ETHUSDT",
        "makerOrderId": maker["orderId"],
        "tradeGroupId": -1,
        "selfTradePreventionMode": mode,
        "price": "3000.00000000",
        **lost,
        "transactTime": taker["transactTime"],
    }
    assert prevented(trader, orderId=maker["orderId"]) == [match]
    assert prevented(trader, preventedMatchId=match["preventedMatchId"]) == [match]
    trader("DELETE", "/api/v3/openOrders", ETH)


def test_prevented_matches_of_an_order_are_read_on_from_an_id(trader: Caller) -> None:
    for _ in range(3):
        trader.limit_order(**ETH, side="SELL", price="3000", quantity="0.01")
    taker = trader.limit_order(**ETH, price="3000", quantity="0.05").body
    every = prevented(trader, orderId=taker["orderId"])
    ids = [match["preventedMatchId"] for match in every]
    assert ids == sorted(ids) and len(ids) == 3
    assert prevented(trader, orderId=taker["orderId"], fromPreventedMatchId=ids[1]) == every[1:]
    assert prevented(trader, orderId=taker["orderId"], fromPreventedMatchId=ids[0], limit=2) == every[:2]
    trader("DELETE", "/api/v3/openOrders", ETH)


def test_prevented_matches_are_shown_to_their_account_alone_and_for_their_symbol_alone(
    venue: Venue, trader: Caller
) -> None:
    _, taker = met(trader, "EXPIRE_TAKER")
    stranger = Caller(venue.url, venue.key())
    asked = {"orderId": taker["orderId"]}
    assert stranger("GET", "/api/v3/myPreventedMatches", ETH | asked).body == []
    assert trader("GET", "/api/v3/myPreventedMatches", SYMBOL | asked).body == []
    stranger.close()
    trader("DELETE", "/api/v3/openOrders", ETH)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"limit": 5},
        {"fromPreventedMatchId": 1},
        {"preventedMatchId": 1, "orderId": 1},
        {"preventedMatchId": 1, "fromPreventedMatchId": 1},
        {"preventedMatchId": 1, "limit": 5},
        {"orderId": 1, "limit": 5},
        {"fromPreventedMatchId": 1, "limit": 5},
    ],
)
def test_prevented_matches_take_only_the_documented_combinations(trader: Caller, sent: dict[str, int]) -> None:
    assert prevented(trader, **sent) == COMBINATION


def test_prevented_matches_weigh_by_what_is_asked(trader: Caller) -> None:
    path, unknown = "/api/v3/myPreventedMatches", {"symbol": "NOPE"}
    start = trader("GET", "/api/v3/ping", signed=False)
    by_order = trader("GET", path, ETH | {"orderId": 1})
    by_id = trader("GET", path, ETH | {"preventedMatchId": 1})
    refused = trader("GET", path, unknown | {"orderId": 1})
    assert refused.body == {"code": -1121, "msg": "Invalid symbol."}
    end = trader("GET", "/api/v3/ping", signed=False)
    assert [cost(start, by_order), cost(by_order, by_id), cost(refused, end)] == [20, 2, 1]
    assert cost(by_id, end) == 3  # two for the symbol that does not exist, and the ping


# --- block trades ----------------------------------------------------------------------------------------------------


def test_nothing_that_can_be_done_here_is_a_block_trade(venue: Venue, trader: Caller) -> None:
    """A block trade is agreed upon away from the book. Every way of trading here goes through one."""
    other = Caller(venue.url, venue.key(fund={"ETH": "50"}))
    other.limit_order(**ETH, side="SELL", price="3100", quantity="50")
    bought = trader.limit_order(**ETH, price="3100", quantity="50")
    assert bought.body["status"] == "FILLED"
    shown = trader("GET", "/api/v3/historicalTrades", ETH | {"limit": 1}, signed=False).body
    assert shown[-1]["id"] == bought.body["fills"][0]["tradeId"]
    blocks = trader("GET", "/api/v3/historicalBlockTrades", ETH | {"fromId": 0}, signed=False)
    assert (blocks.status, blocks.body) == (200, [])
    other.close()


def test_block_trades_want_a_symbol_that_exists_and_an_id(trader: Caller) -> None:
    path = "/api/v3/historicalBlockTrades"
    missing = "Mandatory parameter 'fromId' was not sent, was empty/null, or malformed."
    assert trader("GET", path, ETH, signed=False).body == {"code": -1102, "msg": missing}
    unknown = trader("GET", path, {"symbol": "NOPE", "fromId": 1}, signed=False)
    assert unknown.body == {"code": -1121, "msg": "Invalid symbol."}


# --- the reference price ---------------------------------------------------------------------------------------------

USDC = {"symbol": "BTCUSDC"}
NO_REFERENCE = {"code": -2043, "msg": "This symbol doesn't have a reference price."}


def test_a_reference_price_is_the_mean_of_what_was_traded_and_none_while_nothing_was(venue: Venue) -> None:
    buyer = Caller(venue.url, venue.key(fund={"USDC": "1000000"}))
    seller = Caller(venue.url, venue.key(fund={"BTC": "10"}))
    reference = lambda **more: buyer("GET", "/api/v3/referencePrice", USDC | more, signed=False)  # noqa: E731
    assert reference().body == NO_REFERENCE
    for price, quantity in (("60000", "1"), ("60030", "0.01")):
        seller.limit_order(**USDC, side="SELL", price=price, quantity=quantity)
        bought = buyer.limit_order(**USDC, price=price, quantity=quantity)
        assert bought.body["status"] == "FILLED"
    shown = reference().body
    assert list(shown) == ["symbol", "referencePrice", "timestamp"]
    assert shown["referencePrice"] == "60015.00000000"
    assert abs(shown["timestamp"] - bought.body["transactTime"]) < 60_000
    venue.clock.skew("+10m")
    later = reference().body
    venue.clock.skew("0s")
    assert later == USDC | {"referencePrice": None, "timestamp": later["timestamp"]}
    buyer.close()
    seller.close()


def test_how_a_reference_price_is_reckoned_is_told_where_there_is_one(trader: Caller) -> None:
    path = "/api/v3/referencePrice/calculation"
    told = trader("GET", path, USDC, signed=False).body
    assert told == USDC | {"calculationType": "ARITHMETIC_MEAN", "bucketCount": 5, "bucketWidthMs": 60_000}
    assert trader("GET", path, USDC | {"symbolStatus": "TRADING"}, signed=False).body == told
    mismatch = {"code": -1220, "msg": "The symbol's status does not match the requested symbolStatus."}
    assert trader("GET", path, USDC | {"symbolStatus": "BREAK"}, signed=False).body == mismatch
    for route in (path, "/api/v3/referencePrice"):
        assert trader("GET", route, SYMBOL, signed=False).body == NO_REFERENCE
        unknown = trader("GET", route, {"symbol": "NOPE"}, signed=False)
        assert unknown.body == {"code": -1121, "msg": "Invalid symbol."}
        missing = trader("GET", route, signed=False)
        assert missing.code == -1102


# --- execution rules and the account's filters -----------------------------------------------------------------------

RULE = {
    "ruleType": "PRICE_RANGE",
    "bidLimitMultUp": "1.05000000",
    "bidLimitMultDown": "0.95000000",
    "askLimitMultUp": "1.05000000",
    "askLimitMultDown": "0.95000000",
}


def rules_of(trader: Caller, **parameters: str) -> Answer:
    return trader("GET", "/api/v3/executionRules", parameters, signed=False)


def test_the_rule_that_is_shown_ends_a_taker_at_its_bound(venue: Venue) -> None:
    buyer = Caller(venue.url, venue.key(fund={"USDC": "1000000"}))
    seller = Caller(venue.url, venue.key(fund={"BTC": "10"}))
    seller.limit_order(**USDC, side="SELL", price="60000", quantity="1")
    assert buyer.limit_order(**USDC, price="60000", quantity="1").body["status"] == "FILLED"
    reference = float(buyer("GET", "/api/v3/referencePrice", USDC, signed=False).body["referencePrice"])
    within, beyond = f"{reference * 1.04:.2f}", f"{reference * 1.06:.2f}"
    for price in (within, beyond):
        seller.limit_order(**USDC, side="SELL", price=price, quantity="0.1")
    ended = buyer.limit_order(**USDC, price="70000", quantity="1").body
    assert (ended["status"], ended["executedQty"]) == ("EXPIRED", "0.10000000")
    assert ended["expiryReason"] == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
    asked = buyer("GET", "/api/v3/order", USDC | {"orderId": ended["orderId"]}).body
    assert asked["expiryReason"] == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
    left = buyer("GET", "/api/v3/depth", USDC, signed=False).body["asks"]
    assert left == [[f"{beyond}000000", "0.10000000"]]
    seller("DELETE", "/api/v3/openOrders", USDC)
    buyer.close()
    seller.close()


def test_execution_rules_are_told_of_the_symbols_asked_for(trader: Caller) -> None:
    one = {"symbolRules": [{"symbol": "BTCUSDC", "rules": [RULE]}]}
    assert rules_of(trader, symbol="BTCUSDC").body == one
    both = rules_of(trader, symbols='["ETHUSDT","BTCUSDC"]').body["symbolRules"]
    assert both == [{"symbol": "ETHUSDT", "rules": []}, *one["symbolRules"]]
    every = rules_of(trader).body["symbolRules"]
    listed = trader("GET", "/api/v3/exchangeInfo", signed=False).body["symbols"]
    assert [entry["symbol"] for entry in every] == [symbol["symbol"] for symbol in listed]
    assert rules_of(trader, symbolStatus="TRADING").body["symbolRules"] == every
    assert rules_of(trader, symbolStatus="HALT").body["symbolRules"] == []


def test_execution_rules_refuse_what_the_documents_refuse(trader: Caller) -> None:
    for sent in (
        {"symbol": "BTCUSDC", "symbols": '["BTCUSDC"]'},
        {"symbol": "BTCUSDC", "symbolStatus": "TRADING"},
        {"symbols": '["BTCUSDC"]', "symbolStatus": "TRADING"},
    ):
        assert rules_of(trader, **sent).body == COMBINATION
    refused = [
        ({"symbol": "NOPE"}, -1121),
        ({"symbols": '["BTCUSDC","NOPE"]'}, -1121),
        ({"symbols": '["BTCUSDC","BTCUSDC"]'}, -1151),
        ({"symbols": "[BTCUSDC]"}, -1100),
        ({"symbols": '["BTCUSDC", "BTCUSDT"]'}, -1100),
        ({"symbolStatus": "CLOSED"}, -1122),
    ]
    assert [rules_of(trader, **sent).code for sent, _ in refused] == [code for _, code in refused]


def test_execution_rules_weigh_by_how_many_symbols_are_asked_for(trader: Caller) -> None:
    before = trader("GET", "/api/v3/ping", signed=False)
    weights = []
    for sent in ({"symbol": "BTCUSDC"}, {"symbols": '["BTCUSDC","ETHUSDT","BNBUSDT"]'}, {"symbolStatus": "HALT"}, {}):
        after = rules_of(trader, **sent)
        weights.append(cost(before, after))
        before = after
    assert weights == [2, 6, 40, 40]


def test_an_accounts_filters_are_the_symbols_and_those_of_its_assets_and_all_are_enforced(trader: Caller) -> None:
    asked = trader("GET", "/api/v3/myFilters", USDC).body
    [listed] = trader("GET", "/api/v3/exchangeInfo", USDC, signed=False).body["symbols"]
    cap = {"filterType": "MAX_ASSET", "asset": "USDC", "limit": "5000000.00000000"}
    assert asked == {"exchangeFilters": [], "symbolFilters": listed["filters"], "assetFilters": [cap]}
    assert "MAX_ASSET" not in {entry["filterType"] for entry in listed["filters"]}
    beyond = trader.limit_order(**USDC, price="50000", quantity="100.1")
    assert beyond.body == {"code": -1013, "msg": "Filter failure: MAX_ASSET"}
    assert trader("GET", "/api/v3/myFilters", SYMBOL).body["assetFilters"] == []
    assert trader("GET", "/api/v3/myFilters", {"symbol": "NOPE"}).code == -1121
    assert trader("GET", "/api/v3/myFilters").code == -1102


# --- orders that books of several symbols fill -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(venue: Venue) -> Iterator[tuple[Caller, Caller]]:
    """A buyer with USDT and a seller who asks for USDC."""
    buyer = Caller(venue.url, venue.key(fund={"USDT": "1000000", "BTC": "1"}))
    seller = Caller(venue.url, venue.key(fund={"BTC": "10", "USDC": "100"}))
    yield buyer, seller
    buyer.close()
    seller.close()


def routed(caller: Caller, path: str = "", **changes: Any) -> Answer:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
    sent = {name: value for name, value in (order | {"price": "60000"} | changes).items() if value is not None}
    return caller("POST", f"/api/v3/sor/order{path}", sent, in_body=True)


def test_which_books_orders_are_routed_over_is_told(trader: Caller) -> None:
    told = trader("GET", "/api/v3/exchangeInfo", SYMBOL, signed=False).body
    assert told["sors"] == [{"baseAsset": "BTC", "symbols": ["BTCUSDT", "BTCUSDC"]}]


def test_a_routed_order_is_filled_from_another_book_and_all_routes_say_so(both: tuple[Caller, Caller]) -> None:
    buyer, seller = both
    seller.limit_order(**USDC, side="SELL", price="60000", quantity="0.1")
    before = seller("GET", "/api/v3/historicalTrades", USDC | {"limit": 1}, signed=False).body
    done = routed(buyer, newClientOrderId="routed").body
    [fill] = done["fills"]
    assert fill == {
        "price": "60000.00000000",
        "qty": "0.10000000",
        "commission": "0.00010000",
        "commissionAsset": "BTC",
        "tradeId": -1,
        "allocId": fill["allocId"],
        "matchType": "ONE_PARTY_TRADE_REPORT",
    }
    assert (done["status"], done["usedSor"], done["workingFloor"]) == ("FILLED", True, "SOR")
    asked = buyer("GET", "/api/v3/order", SYMBOL | {"orderId": done["orderId"]}).body
    assert (asked["usedSor"], asked["workingFloor"], asked["executedQty"]) == (True, "SOR", "0.10000000")
    [allocation] = buyer("GET", "/api/v3/myAllocations", SYMBOL | {"orderId": done["orderId"]}).body
    assert allocation == SYMBOL | {
        "allocationId": fill["allocId"],
        "allocationType": "SOR",
        "orderId": done["orderId"],
        "orderListId": -1,
        "price": "60000.00000000",
        "qty": "0.10000000",
        "quoteQty": "6000.00000000",
        "commission": "0.00010000",
        "commissionAsset": "BTC",
        "time": done["transactTime"],
        "isBuyer": True,
        "isMaker": False,
        "isAllocator": False,
    }
    # No trade of the buyer, and none of its symbol: the trade is the seller's, on the seller's book.
    assert buyer("GET", "/api/v3/myTrades", SYMBOL).body == []
    [sold] = seller("GET", "/api/v3/myTrades", USDC | {"limit": 1}).body
    assert (sold["price"], sold["commissionAsset"], sold["isMaker"]) == ("60000.00000000", "USDC", True)
    after = seller("GET", "/api/v3/historicalTrades", USDC | {"limit": 1}, signed=False).body
    assert after[0]["id"] == sold["id"] != (before[0]["id"] if before else 0)
    held = {row["asset"]: row["free"] for row in buyer("GET", "/api/v3/account").body["balances"]}
    assert (held["BTC"], held["USDT"], held["USDC"]) == ("1.09990000", "994000.00000000", "0.00000000")


def test_what_a_routed_order_leaves_open_rests_and_is_cancelled_like_any_other(both: tuple[Caller, Caller]) -> None:
    buyer, seller = both
    seller.limit_order(**USDC, side="SELL", price="60000", quantity="0.04")
    placed = routed(buyer).body
    assert (placed["status"], placed["executedQty"], placed["workingFloor"]) == (
        "PARTIALLY_FILLED",
        "0.04000000",
        "EXCHANGE",
    )
    [resting] = buyer("GET", "/api/v3/openOrders", SYMBOL).body
    assert (resting["orderId"], resting["usedSor"]) == (placed["orderId"], True)
    cancelled = buyer("DELETE", "/api/v3/order", SYMBOL | {"orderId": placed["orderId"]}).body
    assert (cancelled["status"], cancelled["usedSor"], cancelled["workingFloor"]) == ("CANCELED", True, "EXCHANGE")


def test_allocations_take_only_the_documented_combinations_and_a_day_at_most(both: tuple[Caller, Caller]) -> None:
    buyer, seller = both
    seller.limit_order(**USDC, side="SELL", price="60000", quantity="0.04")
    seller.limit_order(**USDC, side="SELL", price="60001", quantity="0.04")
    done = routed(buyer, price="60001", quantity="0.08").body
    mine = lambda **sent: buyer("GET", "/api/v3/myAllocations", SYMBOL | sent).body  # noqa: E731
    every = mine()
    assert isinstance(every, list), every
    ids = [one["allocationId"] for one in every]
    assert ids == sorted(ids) and len(ids) >= 3
    assert mine(limit=2) == every[:2]  # the oldest come first, unless they end with a time
    assert mine(endTime=every[-1]["time"], limit=2) == every[-2:]
    assert mine(orderId=done["orderId"], limit=1) == every[-2:-1]
    assert mine(fromAllocationId=ids[1], limit=1) == every[1:2]
    assert mine(orderId=done["orderId"]) == every[-2:]
    assert mine(orderId=done["orderId"], fromAllocationId=ids[-1]) == every[-1:]
    last = every[-1]["time"]
    assert mine(startTime=last, endTime=last) == every[-2:]
    assert mine(endTime=every[0]["time"] - 1) == []
    for sent in (
        {"orderId": 1, "startTime": 1},
        {"orderId": 1, "endTime": 1},
        {"fromAllocationId": 1, "startTime": 1},
        {"fromAllocationId": 1, "endTime": 1, "orderId": 1},
    ):
        assert mine(**sent) == COMBINATION
    day = {"startTime": last - 86_400_001, "endTime": last}
    assert mine(**day) == {"code": -1127, "msg": "More than 24 hours between startTime and endTime."}
    assert buyer("GET", "/api/v3/myAllocations", {"symbol": "NOPE"}).code == -1121


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": None}, -1102),
        ({"price": None}, -1102),
        ({"timeInForce": None}, -1102),
        ({"type": "STOP_LOSS"}, -1116),
        ({"type": "LIMIT_MAKER"}, -1116),
        ({"type": "MARKET", "timeInForce": None}, -1106),
        ({"type": "MARKET", "price": None}, -1114),
        ({"type": "MARKET", "price": None, "timeInForce": None, "icebergQty": "0.01"}, -1106),
        ({"quoteOrderQty": "100"}, -1104),
        ({"pegPriceType": "PRIMARY_PEG"}, -1104),
        ({"quantity": "0"}, -1013),
        ({"price": "0"}, -1013),
        ({"strategyType": "5"}, -1134),
        ({"symbol": "NOPE"}, -1121),
        ({"symbol": "ETHUSDT", "price": "3000"}, -1020),
    ],
)
def test_a_routed_order_is_refused_as_documented_and_so_is_its_test(
    both: tuple[Caller, Caller], changes: dict[str, Any], code: int
) -> None:
    buyer = both[0]
    open_before = buyer("GET", "/api/v3/openOrders").body
    assert [routed(buyer, path, **changes).code for path in ("", "/test")] == [code, code]
    assert buyer("GET", "/api/v3/openOrders").body == open_before


def test_what_the_engine_would_refuse_passes_a_test_order_routed_or_not(both: tuple[Caller, Caller]) -> None:
    """The documents: it is validated, but not sent into the matching engine."""
    buyer = both[0]
    assert [routed(buyer, path, quantity="20").code for path in ("", "/test")] == [-2010, 0]
    plain = SYMBOL | {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "20", "price": "60000"}
    assert [buyer("POST", f"/api/v3/order{path}", plain).code for path in ("", "/test")] == [-2010, 0]


def test_a_routed_test_order_does_nothing_and_tells_its_commission(both: tuple[Caller, Caller]) -> None:
    buyer, seller = both
    seller.limit_order(**USDC, side="SELL", price="60000", quantity="0.04")
    held = buyer("GET", "/api/v3/account").body["balances"]
    plain, told = routed(buyer, "/test"), routed(buyer, "/test", computeCommissionRates="true")
    assert plain.body == {}
    assert told.body["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    assert cost(plain, told) == 20
    assert buyer("GET", "/api/v3/account").body["balances"] == held
    seller("DELETE", "/api/v3/openOrders", USDC)


def test_a_routed_order_counts_once_and_is_free_where_it_succeeds(both: tuple[Caller, Caller]) -> None:
    buyer = both[0]
    before = buyer("GET", "/api/v3/ping", signed=False)
    placed = routed(buyer, price="20000")
    count = int(placed.headers["X-MBX-ORDER-COUNT-10S"])
    again = routed(buyer, price="20000")
    assert int(again.headers["X-MBX-ORDER-COUNT-10S"]) == count + 1
    assert cost(before, again) == 0
    assert cost(again, routed(buyer, quantity="0")) == 1
    buyer("DELETE", "/api/v3/openOrders", SYMBOL)


# --- what the documents say of parameters, in endpoints that were there before ---------------------------------------

UNKNOWN_ORDER = {"code": -2011, "msg": "Unknown order sent."}


def test_two_ids_that_do_not_belong_together_find_no_order_to_cancel_and_none_to_query(trader: Caller) -> None:
    """-2039 is the answer of the query alone (changelog of 2025-04-08)."""
    order = trader.limit_order(price="20000", newClientOrderId="together").body
    both = SYMBOL | {"orderId": order["orderId"], "origClientOrderId": "apart"}
    assert trader("DELETE", "/api/v3/order", both).body == UNKNOWN_ORDER
    mismatch = {"code": -2039, "msg": "Client order ID is not correct for this order ID."}
    assert trader("GET", "/api/v3/order", both).body == mismatch
    nothing = SYMBOL | {"orderId": order["orderId"] + 1, "origClientOrderId": "together"}
    assert trader("DELETE", "/api/v3/order", nothing).body == UNKNOWN_ORDER
    assert trader("GET", "/api/v3/order", nothing).body == {"code": -2013, "msg": "Order does not exist."}
    right = SYMBOL | {"orderId": order["orderId"], "origClientOrderId": "together"}
    assert trader("DELETE", "/api/v3/order", right).body["status"] == "CANCELED"


def test_an_order_without_any_id_is_asked_for_in_binances_words(trader: Caller) -> None:
    missing = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
    for method in ("GET", "DELETE"):
        assert trader(method, "/api/v3/order", SYMBOL).body == {"code": -1102, "msg": missing}


@pytest.mark.parametrize("path", ["allOrders", "myTrades", "myAllocations"])
def test_times_may_be_equal_but_not_the_wrong_way_round(trader: Caller, path: str) -> None:
    def ask(start: int, end: int) -> Any:
        return trader("GET", f"/api/v3/{path}", SYMBOL | {"startTime": start, "endTime": end}).body

    now = trader("GET", "/api/v3/time", signed=False).body["serverTime"]
    malformed = "Mandatory parameter 'endTime' was not sent, was empty/null, or malformed."
    assert ask(now, now - 1) == {"code": -1102, "msg": malformed}
    assert isinstance(ask(now, now), list)
    assert isinstance(ask(now - 86_400_000, now), list)
    assert ask(now - 86_400_001, now)["code"] == -1127


def test_what_is_shown_with_a_time_is_found_by_it_in_every_history(venue: Venue, trader: Caller) -> None:
    """Inside, times have microseconds; a millisecond that ends a span takes in all of its own."""
    other = Caller(venue.url, venue.key(fund={"ETH": "1"}))
    other.limit_order(**ETH, side="SELL", price="2900", quantity="0.1")
    done = trader.limit_order(**ETH, price="2900", quantity="0.1").body
    at = {"startTime": done["transactTime"], "endTime": done["transactTime"]}
    assert [order["orderId"] for order in trader("GET", "/api/v3/allOrders", ETH | at).body] == [done["orderId"]]
    [trade] = trader("GET", "/api/v3/myTrades", ETH | at).body
    assert trade["id"] == done["fills"][0]["tradeId"]
    aggregates = trader("GET", "/api/v3/aggTrades", ETH | at, signed=False).body
    assert trade["id"] in [row["l"] for row in aggregates]
    other.close()
