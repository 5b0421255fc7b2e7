"""Icebergs: what the book shows of them, in which order their parts are taken, and what they may not be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sparekey.sequencer.frames import encode
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import ReplayPrints
from sparekey.venue.events import Filled, MarketPrint, MatchPrevented, OrderClosed
from sparekey.venue.orders import Order
from tests.spot_desk import FixedQuotes, SpotDesk, ending, fills, plain, refused, units


def iceberg_desk(quotes: FixedQuotes | None = None, **changes: Any) -> SpotDesk:
    return SpotDesk(quotes, iceberg_allowed=True, **changes)


@pytest.fixture
def desk() -> SpotDesk:
    return iceberg_desk()


def makers(events: Any) -> list[tuple[int, str]]:
    """(maker, quantity) of each trade."""
    return [(event.maker_order_id, plain(event.quantity)) for event in events if isinstance(event, Filled)]


def asks(desk: SpotDesk) -> list[tuple[str, str]]:
    return [(plain(price), plain(quantity)) for price, quantity in desk.state.depth("BTCUSDT", 9)[1]]


def iceberg(desk: SpotDesk, account_id: int, quantity: str, price: str, part: str, side: str = "SELL") -> int:
    return desk.rest(account_id, side, quantity, price, iceberg_quantity=units(part))


def open_order(desk: SpotDesk, account_id: int, order_id: int) -> Order:
    order = desk.state.open_order(account_id, "BTCUSDT", order_id=order_id)
    assert order is not None
    return order


def test_an_iceberg_shows_a_part_and_locks_the_whole(desk: SpotDesk) -> None:
    iceberg(desk, 1, "5", "30000", "2")
    assert asks(desk) == [("30000", "2")]
    assert desk.holds(1, "BTC") == ("5", "5")


def test_a_part_that_was_taken_is_renewed_behind_the_others_of_its_price(desk: SpotDesk) -> None:
    first = iceberg(desk, 1, "5", "30000", "2")
    second = desk.rest(2, "SELL", "1", "30000")
    assert makers(desk.order(3, "BUY", "1.5", "30000")) == [(first, "1.5")]
    assert asks(desk) == [("30000", "1.5")]
    assert makers(desk.order(3, "BUY", "0.5", "30000")) == [(first, "0.5")]
    assert asks(desk) == [("30000", "3")]
    assert makers(desk.order(3, "BUY", "1.25", "30000")) == [(second, "1"), (first, "0.25")]
    assert asks(desk) == [("30000", "1.75")]
    assert makers(desk.order(3, "BUY", "2", "30000")) == [(first, "1.75"), (first, "0.25")]
    assert asks(desk) == [("30000", "0.75")]
    events = desk.order(3, "BUY", "1", "30000")
    assert makers(events) == [(first, "0.75")]
    assert [event.order_id for event in events if isinstance(event, OrderClosed)] == [first]  # type: ignore[union-attr]
    assert asks(desk) == []
    assert desk.holds(1, "BTC") == ("5", "0")


def test_two_icebergs_take_turns(desk: SpotDesk) -> None:
    first, second = iceberg(desk, 1, "5", "30000", "1"), iceberg(desk, 2, "4", "30000", "2")
    assert makers(desk.order(3, "BUY", "7.5", "30000")) == [
        (first, "1"),
        (second, "2"),
        (first, "1"),
        (second, "2"),
        (first, "1"),
        (first, "0.5"),
    ]
    assert asks(desk) == [("30000", "0.5")]


def test_an_iceberg_takes_with_all_it_has_and_then_shows_a_part(desk: SpotDesk) -> None:
    desk.rest(2, "SELL", "3", "30000")
    order_id = iceberg(desk, 1, "5", "30000", "0.75", side="BUY")
    assert plain(open_order(desk, 1, order_id).executed) == "3"
    assert desk.state.depth("BTCUSDT", 5)[0] == [(units("30000"), units("0.75"))]


def test_the_hidden_part_comes_after_the_participants_quotes_of_its_price() -> None:
    quotes = FixedQuotes([("99", "1")], [("101", "3")])
    desk = iceberg_desk(quotes, min_notional=0)
    desk.open_market()
    desk.tick()
    order_id = iceberg(desk, 1, "5", "101", "2")
    assert asks(desk) == [("101", "5")]
    assert makers(desk.order(2, "BUY", "6", "101")) == [(order_id, "2"), (0, "3"), (order_id, "1")]
    assert asks(desk) == [("101", "1")]


def test_participants_take_and_cross_icebergs_part_by_part() -> None:
    quotes = FixedQuotes([("99", "1")], [("102", "3")])
    desk = iceberg_desk(quotes, min_notional=0)
    desk.open_market()
    first, second = iceberg(desk, 1, "5", "101", "2"), iceberg(desk, 2, "5", "101", "1")
    quotes.take("BUY", "4")
    assert makers(desk.tick()) == [(first, "2"), (second, "1"), (first, "1")]
    quotes.quote([("101", "3.5")], [("102", "3")])
    # The first still shows the half of its second part, which is older than the second one's second part.
    events = desk.tick()
    assert makers(events) == [(first, "1"), (second, "1"), (first, "1"), (second, "0.5")]
    assert [event.order_id for event in events if isinstance(event, OrderClosed)] == [first]  # type: ignore[union-attr]
    quotes.quote([("101.5", "30")], [("102", "3")])
    events = desk.tick()
    assert makers(events) == [(second, "0.5"), (second, "1"), (second, "1")]
    assert [event.order_id for event in events if isinstance(event, OrderClosed)] == [second]  # type: ignore[union-attr]


def test_recorded_prints_take_icebergs_part_by_part() -> None:
    desk = iceberg_desk(FixedQuotes([("99", "1")], [("102", "3")]), min_notional=0)
    desk.open_market()
    order_id = iceberg(desk, 1, "3", "100", "1")
    events = desk.do(ReplayPrints("BTCUSDT", (MarketPrint(units("100"), units("2.5"), False),)))
    assert makers(events) == [(order_id, "1"), (order_id, "1"), (order_id, "0.5")]


@pytest.mark.parametrize(
    ("mode", "lost", "shown"),
    [("EXPIRE_MAKER", ("0", "5"), []), ("EXPIRE_BOTH", ("3", "5"), []), ("DECREMENT", ("3", "3"), [("30000", "2")])],
)
def test_self_trade_prevention_meets_an_iceberg_as_a_whole(
    desk: SpotDesk, mode: str, lost: tuple[str, str], shown: list[tuple[str, str]]
) -> None:
    order_id = iceberg(desk, 1, "5", "30000", "2")
    events = desk.order(1, "BUY", "3", "30000", prevention_mode=mode)
    assert not isinstance(events, Refusal)
    prevented = [
        (plain(event.taker_prevented), plain(event.maker_prevented))
        for event in events
        if isinstance(event, MatchPrevented)
    ]
    assert prevented == [lost]
    assert asks(desk) == shown
    assert (desk.state.open_order(1, "BTCUSDT", order_id=order_id) is None) == (not shown)


def test_a_part_larger_than_what_remains_shows_what_remains(desk: SpotDesk) -> None:
    iceberg(desk, 1, "5", "30000", "3")
    desk.order(2, "BUY", "3", "30000")
    assert asks(desk) == [("30000", "2")]
    desk.order(1, "BUY", "1.5", "30000", prevention_mode="DECREMENT")
    assert asks(desk) == [("30000", "0.5")]


def test_an_iceberg_can_be_cancelled_at_any_time(desk: SpotDesk) -> None:
    order_id = iceberg(desk, 1, "5", "30000", "2")
    desk.order(2, "BUY", "3", "30000")
    desk.cancel(1, order_id)
    assert asks(desk) == []
    assert desk.holds(1, "BTC") == ("7", "0")


def test_icebergs_survive_a_snapshot_with_their_places_and_visible_parts(desk: SpotDesk) -> None:
    iceberg(desk, 1, "5", "30000", "2")
    iceberg(desk, 2, "5", "30000", "1")
    desk.order(3, "BUY", "3.5", "30000")
    dumped = encode(desk.shard.dump())
    again = iceberg_desk()
    again.shard.load(msgspec.msgpack.decode(dumped))
    assert encode(again.shard.dump()) == dumped
    assert again.state.audit() == ""
    assert asks(again) == asks(desk) == [("30000", "2.5")]
    assert makers(again.order(3, "BUY", "3", "30000")) == makers(desk.order(3, "BUY", "3", "30000"))


def test_triggered_stop_limits_and_makers_can_be_icebergs(desk: SpotDesk) -> None:
    desk.trade("30000")
    desk.order(1, "SELL", "1", "29900", type="STOP_LOSS_LIMIT", stop="29950", iceberg_quantity=units("0.25"))
    desk.rest(2, "SELL", "1", "30100", type="LIMIT_MAKER", iceberg_quantity=units("0.5"))
    desk.trade("29950")
    assert asks(desk) == [("29900", "0.25"), ("30100", "0.5")]


@pytest.mark.parametrize(
    ("part", "more", "facts"),
    [
        ("0.000001", {}, ("LOT_SIZE",)),
        ("0.000015", {}, ("LOT_SIZE",)),
        ("0.00999", {}, ("ICEBERG_PARTS",)),
    ],
)
def test_an_icebergs_part_must_pass_its_filters(
    desk: SpotDesk, part: str, more: dict[str, str], facts: tuple[str, ...]
) -> None:
    outcome = desk.order(1, "SELL", "1", "30000", iceberg_quantity=units(part), **more)
    assert refused(outcome) is Reason.FILTER_FAILED
    assert outcome.facts == facts  # type: ignore[union-attr]


def test_an_iceberg_may_have_a_hundred_parts_and_must_be_larger_than_one(desk: SpotDesk) -> None:
    iceberg(desk, 1, "1", "30000", "0.01")
    for part in ("1", "1.1"):
        outcome = desk.order(1, "SELL", "1", "30000", iceberg_quantity=units(part))
        assert refused(outcome) is Reason.ICEBERG_TOO_LARGE


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_an_iceberg_must_be_good_till_cancelled(desk: SpotDesk, tif: str) -> None:
    outcome = desk.order(1, "SELL", "1", "30000", tif=tif, iceberg_quantity=units("0.5"))
    assert refused(outcome) is Reason.ICEBERG_NOT_GTC


def test_an_account_has_at_most_so_many_icebergs_on_a_symbol() -> None:
    desk = iceberg_desk(max_iceberg_orders=2)
    for _ in range(2):
        iceberg(desk, 1, "1", "30000", "0.5")
    outcome = desk.order(1, "SELL", "1", "30000", iceberg_quantity=units("0.5"))
    assert outcome.facts == ("MAX_NUM_ICEBERG_ORDERS",)  # type: ignore[union-attr]
    desk.rest(1, "SELL", "1", "30000")


def test_a_symbol_without_icebergs_says_so() -> None:
    outcome = SpotDesk().order(1, "SELL", "1", "30000", iceberg_quantity=units("0.5"))
    assert refused(outcome) is Reason.ICEBERG_NOT_ENABLED


def test_a_fill_or_kill_order_counts_hidden_parts(desk: SpotDesk) -> None:
    iceberg(desk, 1, "5", "30000", "1")
    events = desk.order(2, "BUY", "5", "30000", tif="FOK")
    assert ending(events) == ("FILLED", "")
    assert fills(events) == [("30000", "1")] * 5
