"""PRICE_RANGE: a taker trades within its bounds around the reference price, and ends where it would leave them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.terms.clocktime import MINUTE_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.terms.rounding import RATE_ONE, least_times, most_times
from sparekey.venue.commands import ListAsset
from sparekey.venue.listing import AssetRules, PriceRange
from tests.spot_desk import SpotDesk, ending, fills, refused, units

EXCEEDED = ("EXPIRED", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED")
#: Buyers from 90 to 110, sellers from 95 to 105 of a reference price of 100.
RANGE = PriceRange(units("1.1"), units("0.9"), units("1.05"), units("0.95"))


def desk(price_range: PriceRange | None = RANGE, *, reference: str = "100") -> SpotDesk:
    one = SpotDesk(price_range=price_range, reference_buckets=5, min_notional=0)
    if reference:
        one.rest(1, "SELL", "1", reference)
        one.order(2, "BUY", "1", reference)
    return one


def test_a_buyer_ends_where_its_next_price_is_above_the_bound() -> None:
    one = desk()
    for price in ("105", "110", "110.01"):
        one.rest(1, "SELL", "1", price)
    bought = one.order(2, "BUY", "2.5", "200")
    assert fills(bought) == [("105", "1"), ("110", "1")]
    assert ending(bought) == EXCEEDED
    assert one.holds(2, "USDT")[1] == "0"


def test_a_seller_goes_by_its_own_bounds() -> None:
    one = desk()
    for price in ("95", "94.99"):
        one.rest(1, "BUY", "1", price)
    sold = one.order(2, "SELL", "1.5", "90")
    assert fills(sold) == [("95", "1")]
    assert ending(sold) == EXCEEDED


def test_a_price_below_the_lower_bound_is_as_much_out_of_range_for_a_buyer() -> None:
    one = desk()
    one.rest(1, "SELL", "1", "89.99")
    bought = one.order(2, "BUY", "1", "100")
    assert (fills(bought), ending(bought)) == ([], EXCEEDED)
    assert one.state.open_orders(2) == []


@pytest.mark.parametrize("order", [{"tif": "IOC", "price": "200"}, {"quantity": "2"}, {"quote": "300"}])
def test_no_kind_of_taker_crosses_the_bound(order: dict[str, str]) -> None:
    one = desk()
    one.rest(1, "SELL", "1", "109")
    one.rest(1, "SELL", "1", "120")
    bought = one.order(2, "BUY", **({"quantity": "2"} | order if "quote" not in order else order))
    assert fills(bought) == [("109", "1")]
    assert ending(bought) == EXCEEDED


def test_fill_or_kill_says_that_the_range_kept_it_from_filling() -> None:
    one = desk()
    one.rest(1, "SELL", "1", "109")
    one.rest(1, "SELL", "1", "120")
    assert fills(killed := one.order(2, "BUY", "2", "200", tif="FOK")) == []
    assert ending(killed) == EXCEEDED
    assert ending(one.order(2, "BUY", "2", "109", tif="FOK")) == ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")


def test_an_order_that_takes_nothing_rests_wherever_it_wants() -> None:
    one = desk()
    assert one.rest(2, "BUY", "1", "50")
    assert one.rest(1, "SELL", "1", "150")


def test_bounds_stay_as_they_were_when_the_taker_began() -> None:
    """Each fill moves the mean; the walk does not follow it."""
    one = desk()
    for price in ("109", "111"):
        one.rest(1, "SELL", "1", price)
    assert fills(one.order(2, "BUY", "2", "200")) == [("109", "1")]
    # The mean is 104.5 now, and the next buyer may go up to 114.95.
    assert fills(one.order(2, "BUY", "1", "200")) == [("111", "1")]


def test_without_a_reference_price_nobody_is_bound() -> None:
    never, no_longer = desk(reference=""), desk()
    no_longer.now_us += 6 * MINUTE_US
    for one in (never, no_longer):
        one.rest(1, "SELL", "1", "150")
        assert fills(one.order(2, "BUY", "1", "150")) == [("150", "1")]


def test_a_bound_of_zero_binds_nobody() -> None:
    one = desk(PriceRange(0, units("0.9"), 0, 0))
    one.rest(1, "SELL", "1", "400")
    assert fills(one.order(2, "BUY", "1", "400")) == [("400", "1")]
    one = desk(PriceRange(units("1.1"), 0, 0, 0))
    one.rest(1, "SELL", "1", "25")
    assert fills(one.order(2, "BUY", "1", "25")) == [("25", "1")]


@given(st.integers(1, 10**16), st.integers(0, 10**9), st.integers(1, 10**16))
def test_whole_bounds_let_through_exactly_what_the_exact_ones_do(reference: int, rate: int, price: int) -> None:
    assert (price >= least_times(reference, rate)) == (price * RATE_ONE >= reference * rate)
    assert (price <= most_times(reference, rate)) == (price * RATE_ONE <= reference * rate)


# --- MAX_ASSET, which `myFilters` shows beside them -----------------------------------------------------------------


def capped(**limits: str) -> SpotDesk:
    one = SpotDesk(min_notional=0)
    for asset, most in limits.items():
        one.do(ListAsset(AssetRules(asset, asset, max_order=units(most))))
    return one


@pytest.mark.parametrize("limits", [{"BTC": "2"}, {"USDT": "200"}])
def test_a_single_order_comes_to_no_more_of_an_asset_than_its_cap(limits: dict[str, str]) -> None:
    one = capped(**limits)
    assert one.rest(1, "SELL", "2", "100")
    beyond = one.order(2, "BUY", "2.00001", "100")
    assert refused(beyond) is Reason.FILTER_FAILED
    assert beyond.facts == ("MAX_ASSET",)
    assert fills(one.order(2, "BUY", "2")) == [("100", "2")]
    one.rest(1, "SELL", "2", "100")
    for more in ({"quantity": "2.1"}, {"quote": "201"}):
        assert refused(one.order(2, "BUY", **more)) is Reason.FILTER_FAILED
    assert fills(one.order(2, "BUY", quote="200")) == [("100", "2")]
    one.fund(1, ETH="1")
    other_symbol = one.order(1, "SELL", "0.5", "100", symbol="ETHBTC")  # 50 BTC
    assert isinstance(other_symbol, Refusal) == ("BTC" in limits)
