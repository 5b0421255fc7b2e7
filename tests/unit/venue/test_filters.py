"""Filters that not every symbol has: a position's limit, and the older forms of the price and the notional filter."""

from __future__ import annotations

from typing import Any

import pytest

from sparekey.assemble import load_catalogue
from sparekey.terms.reasons import Reason
from sparekey.wire.spot_general import describe_filters
from tests.spot_desk import SpotDesk, fills, plain, refused, symbol_rules, units


def failed(outcome: Any) -> str:
    assert refused(outcome) is Reason.FILTER_FAILED
    return str(outcome.facts[0])


def test_a_buy_may_not_lead_beyond_the_largest_position() -> None:
    """Ten coins are there already, one of them locked; what sells does not count, what buys counts with its rest."""
    desk = SpotDesk(max_position=units("12"))
    desk.rest(1, "SELL", "1", "40000")
    assert failed(desk.order(1, "BUY", "2.00001", "30000")) == "MAX_POSITION"
    order_id = desk.rest(1, "BUY", "1.5", "30000")
    assert failed(desk.order(1, "BUY", "0.50001", "30000")) == "MAX_POSITION"
    desk.order(2, "SELL", "0.5", "30000")
    # Half a coin less its fee came in, and one is still wanted.
    assert plain(desk.state.balances(1)["BTC"].free) == "9.4995"
    assert failed(desk.order(1, "BUY", "0.50051", "30000")) == "MAX_POSITION"
    desk.rest(1, "BUY", "0.5005", "30000")
    desk.cancel(1, order_id)
    desk.rest(1, "BUY", "1", "30000")
    desk.rest(1, "SELL", "5", "40000")


def test_a_market_buy_by_quote_quantity_counts_with_what_it_would_buy() -> None:
    desk = SpotDesk(max_position=units("12"))
    desk.trade("30000")
    desk.rest(2, "SELL", "5", "30000")
    assert failed(desk.order(1, "BUY", quote="60030")) == "MAX_POSITION"
    assert failed(desk.order(1, "BUY", "2.00001")) == "MAX_POSITION"
    assert fills(desk.order(1, "BUY", quote="59970"))
    assert fills(desk.order(3, "BUY", quote="29970"))


def test_a_stop_buy_counts_towards_the_position() -> None:
    desk = SpotDesk(max_position=units("12"))
    desk.trade("30000")
    desk.order(1, "BUY", "1.5", type="STOP_LOSS", stop="31000")
    assert failed(desk.order(1, "BUY", "0.6", "30000")) == "MAX_POSITION"


def test_market_orders_have_steps_of_their_own() -> None:
    desk = SpotDesk(min_market_quantity=units("0.01"), market_step_size=units("0.001"))
    desk.rest(2, "SELL", "5", "30000")
    for quantity in ("0.009", "0.0101", "120.001"):
        assert failed(desk.order(1, "BUY", quantity)) == "MARKET_LOT_SIZE"
    assert fills(desk.order(1, "BUY", "0.011"))
    desk.rest(1, "BUY", "0.001", "29999")


def test_the_older_price_filter_binds_both_sides_alike() -> None:
    desk = SpotDesk(percent_price_by_side=False, bid_multiplier_up=units("1.1"), bid_multiplier_down=units("0.9"))
    desk.trade("30000")
    for side, price in (("BUY", "26999.99"), ("SELL", "26999.99"), ("BUY", "33000.01"), ("SELL", "33000.01")):
        assert failed(desk.order(1, side, "1", price)) == "PERCENT_PRICE"
    desk.rest(1, "BUY", "1", "27000")
    desk.rest(2, "SELL", "1", "33000")


def test_the_older_notional_filter_has_no_upper_bound() -> None:
    desk = SpotDesk(has_max_notional=False, max_notional=0)
    assert failed(desk.order(1, "BUY", "0.00016", "30000")) == "MIN_NOTIONAL"
    desk.trade("30000")
    assert failed(desk.order(1, "BUY", "0.00016")) == "MIN_NOTIONAL"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"max_position": units("12")}, {"filterType": "MAX_POSITION", "maxPosition": "12.00000000"}),
        (
            {"percent_price_by_side": False},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "5.00000000",
                "multiplierDown": "0.20000000",
                "avgPriceMins": 5,
            },
        ),
        (
            {"has_max_notional": False},
            {"filterType": "MIN_NOTIONAL", "minNotional": "5.00000000", "applyToMarket": True, "avgPriceMins": 5},
        ),
        (
            {"min_market_quantity": units("0.1"), "market_step_size": units("0.01")},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.10000000",
                "maxQty": "120.00000000",
                "stepSize": "0.01000000",
            },
        ),
        (
            {"iceberg_allowed": True, "max_iceberg_orders": 7},
            {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 7},
        ),
    ],
)
def test_a_symbol_shows_the_filters_that_it_has(changes: dict[str, Any], shown: dict[str, Any]) -> None:
    assert shown in describe_filters(symbol_rules(**changes))


def test_each_filter_of_live_symbols_is_met_on_some_symbol() -> None:
    shown = {one["filterType"] for rules in load_catalogue().symbols for one in describe_filters(rules)}
    assert shown >= {
        "PRICE_FILTER",
        "PERCENT_PRICE_BY_SIDE",
        "LOT_SIZE",
        "NOTIONAL",
        "ICEBERG_PARTS",
        "MARKET_LOT_SIZE",
        "MAX_NUM_ORDERS",
        "MAX_NUM_ALGO_ORDERS",
        "MAX_NUM_ICEBERG_ORDERS",
        "MAX_POSITION",
        "TRAILING_DELTA",
    }
