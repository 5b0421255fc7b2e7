"""The ORDERS limiters: so many accepted orders of an account in a window of the clock."""

from __future__ import annotations

from sparekey.terms.reasons import Reason
from sparekey.venue.commands import SetOrderLimits
from sparekey.venue.listing import OrderLimit
from tests.spot_desk import SpotDesk, refused

SECONDS_US = 1_000_000
TEN = OrderLimit("SECOND", 10, 10 * SECONDS_US, 3, gives_back=False)
DAY = OrderLimit("DAY", 1, 86_400 * SECONDS_US, 5, gives_back=False)


def limited(*limits: OrderLimit) -> SpotDesk:
    desk = SpotDesk()
    desk.do(SetOrderLimits(limits))
    return desk


def counts(desk: SpotDesk, account_id: int = 1) -> list[int]:
    return [count for _, count in desk.state.order_counts(account_id, desk.now_us)]


def test_the_order_after_the_last_allowed_is_refused_and_names_the_window() -> None:
    desk = limited(TEN, DAY)
    for _ in range(3):
        desk.rest(1, "BUY", "0.001", "30000")
    outcome = desk.order(1, "BUY", "0.001", "30000")
    assert refused(outcome) is Reason.ORDER_COUNT_EXCEEDED
    assert outcome.facts == (3, "10 SECOND")  # type: ignore[union-attr]
    assert counts(desk) == [3, 3]


def test_windows_are_aligned_to_the_clock_and_not_to_the_first_order() -> None:
    desk = limited(TEN)
    desk.now_us = 1_700_000_000 * SECONDS_US + 9_999_999
    for _ in range(3):
        desk.rest(1, "BUY", "0.001", "30000")
    assert refused(desk.order(1, "BUY", "0.001", "30000")) is Reason.ORDER_COUNT_EXCEEDED
    desk.now_us += 1
    desk.rest(1, "BUY", "0.001", "30000")
    assert counts(desk) == [1]


def test_every_window_must_have_room() -> None:
    desk = limited(TEN, DAY)
    for _ in range(5):
        desk.now_us += 10 * SECONDS_US
        desk.rest(1, "BUY", "0.001", "30000")
    desk.now_us += 10 * SECONDS_US
    outcome = desk.order(1, "BUY", "0.001", "30000")
    assert outcome.facts == (5, "1 DAY")  # type: ignore[union-attr]


def test_accounts_are_counted_apart_and_refused_orders_not_at_all() -> None:
    desk = limited(TEN)
    desk.order(1, "BUY", "0.001", "30000.001")
    for _ in range(3):
        desk.rest(1, "BUY", "0.001", "30000")
    desk.rest(2, "BUY", "0.001", "30000")
    assert (counts(desk), counts(desk, 2), counts(desk, 3)) == ([3], [1], [0])


def test_the_first_fill_gives_the_count_back_once_and_never_below_nothing() -> None:
    desk = limited(OrderLimit("SECOND", 10, 10 * SECONDS_US, 100, gives_back=True))
    desk.rest(1, "SELL", "1", "30000")
    desk.rest(1, "BUY", "0.001", "20000")
    desk.order(2, "BUY", "0.4", "30000")
    assert (counts(desk), counts(desk, 2)) == ([0], [0])
    desk.rest(1, "BUY", "0.001", "20000")
    desk.order(2, "BUY", "0.4", "30000")
    assert (counts(desk), counts(desk, 2)) == ([1], [0])


def test_a_profile_that_does_not_enforce_counts_all_the_same() -> None:
    desk = limited(OrderLimit("SECOND", 10, 10 * SECONDS_US, 1, gives_back=False, enforced=False))
    for _ in range(3):
        desk.rest(1, "BUY", "0.001", "30000")
    assert counts(desk) == [3]


def test_counts_survive_a_snapshot() -> None:
    desk = limited(TEN)
    for _ in range(3):
        desk.rest(1, "BUY", "0.001", "30000")
    again = SpotDesk()
    again.shard.load(desk.shard.dump())
    assert refused(again.order(1, "BUY", "0.001", "30000")) is Reason.ORDER_COUNT_EXCEEDED
