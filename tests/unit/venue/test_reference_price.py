"""The reference price: the mean of the trades of the last buckets, exact, and the first that filters go by."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparekey.terms.clocktime import MINUTE_US, SECOND_US
from sparekey.terms.reasons import Reason
from sparekey.venue.ledger import AssetBooks
from sparekey.venue.spot_state import SymbolMarket
from tests.spot_desk import NOW_US, SpotDesk, refused, symbol_rules, units

START_US = NOW_US // MINUTE_US * MINUTE_US


def market(buckets: int) -> SymbolMarket:
    return SymbolMarket(symbol_rules(reference_buckets=buckets), AssetBooks("BTC"), AssetBooks("USDT"))


def test_each_trade_counts_once_whatever_its_size() -> None:
    one = market(3)
    for price, quantity in (("100", "5"), ("101", "0.001"), ("103", "1")):
        one.count_trade(units(price), units(quantity), 1, START_US)
    assert one.mean_price(START_US) == units("304") // 3  # truncated


def test_of_the_oldest_bucket_counts_the_part_that_lies_within() -> None:
    one = market(2)
    one.count_trade(units("100"), 1, 1, START_US + 50 * SECOND_US)
    one.count_trade(units("200"), 1, 1, START_US + MINUTE_US)
    assert one.mean_price(START_US + 2 * MINUTE_US) == units("150")
    # A quarter of the first minute has left the window: 100 counts three quarters.
    later = START_US + 2 * MINUTE_US + 15 * SECOND_US
    assert one.mean_price(later) == (3 * units("100") + 4 * units("200")) // 7
    assert one.mean_price(START_US + 3 * MINUTE_US) == units("200")
    assert one.mean_price(START_US + 4 * MINUTE_US) == 0


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 10**14)), min_size=1, max_size=20),
    st.integers(1, 60),
    st.integers(0, 80 * 60 * 10**6),
)
def test_a_naive_calculation_agrees(trades: list[tuple[int, int]], buckets: int, after_us: int) -> None:
    one = market(buckets)
    counted = [(START_US + second * SECOND_US, price) for second, price in sorted(trades)]
    for time_us, price in counted:
        one.count_trade(price, 1, 1, time_us)
    now_us = counted[-1][0] + after_us
    begin_us = now_us - buckets * MINUTE_US
    total = weight = Fraction(0)
    for time_us, price in counted:
        open_us = time_us // MINUTE_US * MINUTE_US
        within = min(Fraction(open_us + MINUTE_US - begin_us, MINUTE_US), Fraction(1))
        if within > 0:
            total, weight = total + price * within, weight + within
    assert one.mean_price(now_us) == (total // weight if weight else 0)


def traded(**changes: int) -> SpotDesk:
    """A large trade at 100 and a small one at 200: on average about 101, on mean 150."""
    desk = SpotDesk(ask_multiplier_up=units("2"), min_notional=0, **changes)
    for quantity, price in (("1", "100"), ("0.01", "200")):
        desk.rest(1, "SELL", quantity, price)
        desk.order(2, "BUY", quantity, price)
    return desk


def test_filters_go_by_the_reference_price_before_the_average() -> None:
    average, mean = traded(), traded(reference_buckets=5)
    assert refused(average.order(1, "SELL", "0.1", "210")) is Reason.FILTER_FAILED
    assert mean.rest(1, "SELL", "0.1", "300")
    assert refused(mean.order(1, "SELL", "0.1", "300.01")) is Reason.FILTER_FAILED
    assert average.state.average_price("BTCUSDT", NOW_US) == mean.state.average_price("BTCUSDT", NOW_US)


def test_filters_go_by_the_average_again_once_the_window_is_empty() -> None:
    desk = traded(reference_buckets=1)
    desk.now_us += 3 * MINUTE_US
    assert desk.state.reference_price("BTCUSDT", desk.now_us) == 0
    assert refused(desk.order(1, "SELL", "0.1", "210")) is Reason.FILTER_FAILED


@pytest.mark.parametrize("buckets", [0, 5])
def test_no_reference_price_before_the_first_trade_or_without_a_rule(buckets: int) -> None:
    assert SpotDesk(reference_buckets=buckets).state.reference_price("BTCUSDT", NOW_US) is None
    shown = traded(reference_buckets=buckets).state.reference_price("BTCUSDT", NOW_US)
    assert shown == (units("150") if buckets else None)
