"""Placing, matching and cancelling on spot: what an order does to the book and to money."""

from __future__ import annotations

import pytest

from sparekey.terms.reasons import Reason
from sparekey.venue.commands import Fence
from sparekey.venue.effects import ClosedOrder
from sparekey.venue.events import MatchPrevented, OrderClosed, OrderPlaced
from tests.spot_desk import SpotDesk, ending, fills, plain, refused, units


@pytest.fixture
def desk() -> SpotDesk:
    return SpotDesk()


# --- LIMIT -----------------------------------------------------------------------------------------------------------


def test_a_resting_buy_locks_its_price_times_quantity(desk: SpotDesk) -> None:
    desk.rest(1, "BUY", "0.5", "30000.01")
    assert desk.holds(1, "USDT") == ("984999.995", "15000.005")
    assert desk.state.depth("BTCUSDT", 5) == ([(units("30000.01"), units("0.5"))], [])


def test_a_resting_sell_locks_its_quantity(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "0.5", "30000")
    assert desk.holds(1, "BTC") == ("9.5", "0.5")


def test_a_trade_happens_at_the_makers_price_and_frees_what_the_taker_saved(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    events = desk.order(2, "BUY", "1", "31000")
    assert fills(events) == [("30000", "1")]
    assert ending(events) == ("FILLED", "")
    # 0.1 % of what each side receives: of the coin for the buyer, of the money for the seller.
    assert desk.holds(2, "BTC") == ("10.999", "0")
    assert desk.holds(2, "USDT") == ("970000", "0")
    assert desk.holds(1, "BTC") == ("9", "0")
    assert desk.holds(1, "USDT") == ("1029970", "0")


def test_better_prices_go_first_and_older_orders_before_younger(desk: SpotDesk) -> None:
    second = desk.rest(1, "SELL", "1", "30000")
    third = desk.rest(2, "SELL", "1", "30000")
    first = desk.rest(1, "SELL", "1", "29999")
    events = desk.order(3, "BUY", "2.5", "30000")
    assert not isinstance(events, tuple)
    closed = [event.order_id for event in events if isinstance(event, OrderClosed)]  # type: ignore[union-attr]
    assert closed == [first, second, events[0].order_id]  # type: ignore[index]
    rest = desk.state.open_order(2, "BTCUSDT", order_id=third)
    assert rest is not None
    assert (plain(rest.executed), rest.status) == ("0.5", "PARTIALLY_FILLED")


def test_the_rest_of_a_gtc_order_rests_at_its_own_price(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    events = desk.order(2, "BUY", "3", "30010")
    assert ending(events) == ("NEW", "")
    assert desk.state.depth("BTCUSDT", 5)[0] == [(units("30010"), units("2"))]
    assert desk.holds(2, "USDT") == ("909980", "60020")


def test_an_ioc_order_takes_what_there_is_and_expires(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    events = desk.order(2, "BUY", "3", "30010", tif="IOC")
    assert fills(events) == [("30000", "1")]
    assert ending(events) == ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")
    assert desk.holds(2, "USDT") == ("970000", "0")


def test_a_fok_order_is_filled_whole_or_not_at_all(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    events = desk.order(2, "BUY", "1.00001", "30010", tif="FOK")
    assert fills(events) == []
    assert ending(events) == ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")
    assert desk.holds(2, "USDT") == ("1000000", "0")
    assert ending(desk.order(2, "BUY", "1", "30010", tif="FOK")) == ("FILLED", "")


def test_a_limit_maker_order_never_takes(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    assert refused(desk.order(2, "BUY", "1", "30000", type="LIMIT_MAKER")) is Reason.WOULD_MATCH
    desk.rest(2, "BUY", "1", "29999.99", type="LIMIT_MAKER")


def test_what_is_not_free_cannot_be_ordered_with(desk: SpotDesk) -> None:
    desk.rest(1, "BUY", "20", "30000")
    assert refused(desk.order(1, "BUY", "20", "30000")) is Reason.BALANCE_INSUFFICIENT
    assert refused(desk.order(1, "SELL", "10.00001", "30000")) is Reason.BALANCE_INSUFFICIENT
    assert refused(desk.order(4, "SELL", "1", "30000")) is Reason.BALANCE_INSUFFICIENT


# --- MARKET ----------------------------------------------------------------------------------------------------------


def test_a_market_order_walks_the_book(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    desk.rest(1, "SELL", "1", "30100")
    events = desk.order(2, "BUY", "1.5")
    assert fills(events) == [("30000", "1"), ("30100", "0.5")]
    assert desk.holds(2, "USDT") == ("954950", "0")


def test_a_market_order_expires_where_the_book_ends(desk: SpotDesk) -> None:
    desk.rest(1, "BUY", "1", "30000")
    events = desk.order(2, "SELL", "1.5")
    assert fills(events) == [("30000", "1")]
    assert ending(events) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY")
    assert desk.holds(2, "BTC") == ("9", "0")


def test_a_market_order_on_an_empty_book_expires_unfilled(desk: SpotDesk) -> None:
    assert ending(desk.order(2, "SELL", "1")) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY")


def test_a_market_buy_that_the_balance_cannot_cover_is_refused_whole(desk: SpotDesk) -> None:
    desk.fund(1, BTC="90")
    desk.rest(1, "SELL", "50", "30000")
    assert refused(desk.order(2, "BUY", "34")) is Reason.BALANCE_INSUFFICIENT
    assert ending(desk.order(2, "BUY", "33")) == ("FILLED", "")


def test_a_market_buy_by_quote_quantity_spends_at_most_that(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    desk.rest(1, "SELL", "1", "40000")
    events = desk.order(2, "BUY", quote="50000.5")
    assert fills(events) == [("30000", "1"), ("40000", "0.50001")]
    assert ending(events) == ("FILLED", "")
    assert desk.holds(2, "USDT") == ("949999.6", "0")


def test_a_market_sell_by_quote_quantity_sells_what_brings_that_much(desk: SpotDesk) -> None:
    desk.rest(1, "BUY", "2", "30000")
    events = desk.order(2, "SELL", quote="45000")
    assert fills(events) == [("30000", "1.5")]
    assert desk.holds(2, "BTC") == ("8.5", "0")


def test_a_quote_quantity_beyond_the_book_expires(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    assert ending(desk.order(2, "BUY", quote="60000")) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY")


def test_a_quote_quantity_below_one_lot_is_refused() -> None:
    desk = SpotDesk(min_quantity=units("0.001"), step_size=units("0.001"))
    desk.rest(1, "SELL", "1", "30000")
    assert refused(desk.order(2, "BUY", quote="29")) is Reason.FILTER_FAILED


def test_a_quote_quantity_on_an_empty_book_is_refused(desk: SpotDesk) -> None:
    assert refused(desk.order(2, "BUY", quote="100")) is Reason.LIQUIDITY_NONE


# --- filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "price", "named"),
    [
        ("1", "30000.001", "PRICE_FILTER"),
        ("1", "1000000.01", "PRICE_FILTER"),
        ("1", "0.001", "PRICE_FILTER"),
        ("0.000001", "30000", "LOT_SIZE"),
        ("0.000015", "30000", "LOT_SIZE"),
        ("9000.00001", "30000", "LOT_SIZE"),
        ("0.00016", "30000", "NOTIONAL"),
        ("8999", "30000", "NOTIONAL"),
    ],
)
def test_a_filter_that_fails_is_named(desk: SpotDesk, quantity: str, price: str, named: str) -> None:
    outcome = desk.order(1, "BUY", quantity, price)
    assert refused(outcome) is Reason.FILTER_FAILED
    assert outcome.facts == (named,)  # type: ignore[union-attr]


def test_a_market_quantity_has_a_limit_of_its_own(desk: SpotDesk) -> None:
    desk.rest(1, "BUY", "1", "30000")
    outcome = desk.order(2, "SELL", "120.00001")
    assert refused(outcome) is Reason.FILTER_FAILED
    assert outcome.facts == ("MARKET_LOT_SIZE",)  # type: ignore[union-attr]


def test_prices_far_from_the_average_are_refused_on_their_side_only(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    desk.order(2, "BUY", "1", "30000")
    desk.rest(1, "BUY", "0.001", "6000")
    for side, price in (("BUY", "5999.99"), ("BUY", "150000.01"), ("SELL", "5999.99"), ("SELL", "150000.01")):
        outcome = desk.order(2, side, "0.001", price)
        assert refused(outcome) is Reason.FILTER_FAILED, (side, price)
        assert outcome.facts == ("PERCENT_PRICE_BY_SIDE",)  # type: ignore[union-attr]
    desk.rest(2, "SELL", "0.001", "150000")


def test_the_average_is_weighted_by_volume_and_forgets_after_its_minutes(desk: SpotDesk) -> None:
    for quantity, price in (("1", "30000"), ("3", "34000")):
        desk.rest(1, "SELL", quantity, price)
        desk.order(2, "BUY", quantity, price)
    assert plain(desk.state.average_price("BTCUSDT", desk.now_us)) == "33000"
    assert plain(desk.state.average_price("BTCUSDT", desk.now_us + 4 * 60_000_000)) == "33000"
    assert plain(desk.state.average_price("BTCUSDT", desk.now_us + 6 * 60_000_000)) == "34000"


def test_an_account_has_at_most_so_many_open_orders_on_a_symbol() -> None:
    desk = SpotDesk(max_open_orders=2)
    for _ in range(2):
        desk.rest(1, "BUY", "0.001", "30000")
    outcome = desk.order(1, "BUY", "0.001", "30000")
    assert outcome.facts == ("MAX_NUM_ORDERS",)  # type: ignore[union-attr]
    desk.rest(2, "BUY", "0.001", "30000")
    desk.cancel(1, 1)
    desk.rest(1, "BUY", "0.001", "30000")


def test_a_symbol_that_does_not_trade_takes_no_orders() -> None:
    assert refused(SpotDesk(status="HALT").order(1, "BUY", "1", "30000")) is Reason.MARKET_CLOSED


# --- self-trade prevention -------------------------------------------------------------------------------------------


def prevented(events: object) -> list[tuple[str, str]]:
    return [
        (plain(event.taker_prevented), plain(event.maker_prevented))
        for event in events  # type: ignore[attr-defined]
        if isinstance(event, MatchPrevented)
    ]


def test_expire_maker_ends_the_resting_order_and_the_taker_goes_on(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    desk.rest(2, "SELL", "1", "30001")
    events = desk.order(1, "BUY", "1", "30001", prevention_mode="EXPIRE_MAKER")
    assert prevented(events) == [("0", "1")]
    assert fills(events) == [("30001", "1")]
    assert [(one.status, plain(one.prevented_quantity)) for one in closed(desk, 1)] == [("EXPIRED_IN_MATCH", "1"), ("FILLED", "0")]  # fmt: skip  # noqa: E501


def test_expire_taker_ends_the_taker_and_leaves_the_resting_order(desk: SpotDesk) -> None:
    resting = desk.rest(1, "SELL", "1", "30000")
    events = desk.order(1, "BUY", "2", "30000", prevention_mode="EXPIRE_TAKER")
    assert prevented(events) == [("2", "0")]
    assert ending(events) == ("EXPIRED_IN_MATCH", "")
    assert desk.state.open_order(1, "BTCUSDT", order_id=resting)
    assert desk.holds(1, "USDT") == ("1000000", "0")


def test_expire_both_ends_both(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000")
    events = desk.order(1, "BUY", "2", "30000", prevention_mode="EXPIRE_BOTH")
    assert prevented(events) == [("2", "1")]
    assert not desk.state.open_orders(1)
    assert desk.holds(1, "BTC") == ("10", "0")


def test_decrement_takes_the_matched_amount_off_both(desk: SpotDesk) -> None:
    resting = desk.rest(1, "SELL", "1", "30000")
    events = desk.order(1, "BUY", "0.4", "30000", prevention_mode="DECREMENT")
    assert prevented(events) == [("0.4", "0.4")]
    assert ending(events) == ("EXPIRED_IN_MATCH", "")
    order = desk.state.open_order(1, "BTCUSDT", order_id=resting)
    assert order is not None
    assert (plain(order.remaining), plain(order.hold)) == ("0.6", "0.6")
    assert desk.state.depth("BTCUSDT", 1)[1] == [(units("30000"), units("0.6"))]


def test_the_mode_none_lets_an_account_trade_with_itself_where_the_symbol_allows_it() -> None:
    desk = SpotDesk(prevention_modes=("NONE", "EXPIRE_MAKER"))
    desk.rest(1, "SELL", "1", "30000")
    assert fills(desk.order(1, "BUY", "1", "30000", prevention_mode="NONE")) == [("30000", "1")]
    assert desk.holds(1, "BTC") == ("9.999", "0")
    assert desk.holds(1, "USDT") == ("999970", "0")


def test_a_mode_that_the_symbol_does_not_allow_is_refused() -> None:
    desk = SpotDesk(prevention_modes=("EXPIRE_MAKER",))
    for mode in ("DECREMENT", "NONE"):
        assert refused(desk.order(1, "BUY", "1", "30000", prevention_mode=mode)) is Reason.PREVENTION_MODE_NOT_ALLOWED


def closed(desk: SpotDesk, account_id: int) -> list[ClosedOrder]:
    return [one for one in desk.effects if isinstance(one, ClosedOrder) and one.account_id == account_id]


# --- ids, cancels, fences --------------------------------------------------------------------------------------------


def test_a_client_order_id_is_unique_among_open_orders_and_free_again_after(desk: SpotDesk) -> None:
    order_id = desk.rest(1, "BUY", "1", "30000", client_order_id="mine")
    assert refused(desk.order(1, "BUY", "1", "30000", client_order_id="mine")) is Reason.CLIENT_ORDER_ID_DUPLICATE
    desk.rest(2, "BUY", "1", "30000", client_order_id="mine")
    desk.cancel(1, order_id)
    desk.rest(1, "BUY", "1", "30000", client_order_id="mine")


def test_ids_that_are_made_up_are_22_letters_and_digits_and_differ(desk: SpotDesk) -> None:
    ids = set()
    for _ in range(100):
        desk.rest(1, "BUY", "0.001", "30000")
        cancelled = desk.cancel_all(1)
        assert not isinstance(cancelled, tuple) or len(cancelled) == 1
        ids |= {event.cancel_client_order_id for event in cancelled}  # type: ignore[union-attr]
    ids |= {event.client_order_id for _, events in desk.journal for event in events if isinstance(event, OrderPlaced)}
    assert len(ids) == 200
    assert all(len(one) == 22 and one.isalnum() and one.isascii() for one in ids)


def test_a_cancel_frees_the_hold_and_takes_the_order_off_the_book(desk: SpotDesk) -> None:
    order_id = desk.rest(1, "BUY", "1", "30000")
    desk.cancel(1, order_id)
    assert desk.holds(1, "USDT") == ("1000000", "0")
    assert desk.state.depth("BTCUSDT", 5) == ([], [])
    assert refused(desk.cancel(1, order_id)) is Reason.ORDER_UNKNOWN


def test_nobody_cancels_another_accounts_order(desk: SpotDesk) -> None:
    order_id = desk.rest(1, "BUY", "1", "30000", client_order_id="mine")
    assert refused(desk.cancel(2, order_id)) is Reason.ORDER_UNKNOWN
    assert refused(desk.cancel(2, original_client_order_id="mine")) is Reason.ORDER_UNKNOWN


def test_two_ids_must_name_the_same_order(desk: SpotDesk) -> None:
    order_id = desk.rest(1, "BUY", "1", "30000", client_order_id="mine")
    outcome = desk.cancel(1, order_id, original_client_order_id="other")
    assert refused(outcome) is Reason.CANCEL_ID_MISMATCH
    desk.cancel(1, order_id, original_client_order_id="mine")


def test_a_restricted_cancel_looks_at_the_status(desk: SpotDesk) -> None:
    order_id = desk.rest(1, "SELL", "1", "30000")
    assert refused(desk.cancel(1, order_id, restrictions="ONLY_PARTIALLY_FILLED")) is Reason.CANCEL_RESTRICTED
    desk.order(2, "BUY", "0.5", "30000")
    assert refused(desk.cancel(1, order_id, restrictions="ONLY_NEW")) is Reason.CANCEL_RESTRICTED
    desk.cancel(1, order_id, restrictions="ONLY_PARTIALLY_FILLED")


def test_cancelling_all_ends_every_open_order_of_the_symbol(desk: SpotDesk) -> None:
    desk.rest(1, "BUY", "1", "30000")
    desk.rest(1, "SELL", "1", "40000")
    desk.rest(2, "SELL", "1", "40000")
    desk.cancel_all(1)
    assert not desk.state.open_orders(1)
    assert len(desk.state.open_orders(2)) == 1
    assert refused(desk.cancel_all(1)) is Reason.ORDER_UNKNOWN


def test_an_admission_older_than_the_keys_fence_is_refused(desk: SpotDesk) -> None:
    desk.rest(1, "BUY", "1", "30000")
    desk.do(Fence(1, 2))
    assert refused(desk.order(1, "BUY", "1", "30000")) is Reason.KEY_FENCED
    assert refused(desk.cancel(1, 1)) is Reason.KEY_FENCED
    assert refused(desk.cancel_all(1)) is Reason.KEY_FENCED
    desk.rest(2, "BUY", "1", "30000")
    assert desk.do(Fence(1, 1)) == ()


def test_a_test_order_is_judged_by_the_filters_never_reaches_the_engine_and_has_no_effect(desk: SpotDesk) -> None:
    desk.rest(2, "SELL", "1", "30000", client_order_id="taken")
    before = desk.shard.dump()
    assert desk.order(1, "BUY", "1", "30000", check_only=True) == ()
    assert refused(desk.order(1, "BUY", "1", "30000.001", check_only=True)) is Reason.FILTER_FAILED
    assert desk.order(1, "BUY", "100", "30000", check_only=True) == ()  # more than it can pay
    assert desk.order(1, "BUY", "1", "30001", type="LIMIT_MAKER", check_only=True) == ()
    assert desk.order(2, "SELL", "1", "30000", client_order_id="taken", check_only=True) == ()
    assert desk.shard.dump() == before


def test_the_archive_learns_how_an_order_ended(desk: SpotDesk) -> None:
    desk.rest(1, "SELL", "1", "30000", client_order_id="first")
    desk.now_us += 5
    desk.order(2, "BUY", "0.25", "30000")
    desk.now_us += 5
    desk.cancel(1, original_client_order_id="first", new_client_order_id="stop")
    ended = closed(desk, 1)[0]
    assert (ended.status, ended.client_order_id, plain(ended.executed), plain(ended.executed_quote)) == (
        "CANCELED", "stop", "0.25", "7500",
    )  # fmt: skip
    assert ended.updated_us - ended.created_us == 10
