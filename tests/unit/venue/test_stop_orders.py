"""Stop-loss and take-profit orders: what they wait for, what is locked meanwhile, and how they act and end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from sparekey.sequencer.frames import decode_batch, encode
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.journal import MemoryJournal
from sparekey.terms.admissions import Admission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue import spot_shard
from sparekey.venue.commands import BeginQueued, CancelOrder, PlaceOrder
from sparekey.venue.effects import ClosedOrder, OrderReported
from sparekey.venue.events import OrderArmed, OrderClosed, OrderRested, OrderStarted
from sparekey.venue.orders import Order
from tests.spot_desk import FOREVER_US, FixedQuotes, SpotDesk, fills, plain, refused, units


@pytest.fixture
def desk() -> SpotDesk:
    """Last price 30000."""
    desk = SpotDesk(max_algo_orders=20)
    desk.trade("30000")
    return desk


def wait(desk: SpotDesk, account_id: int, side: str, quantity: str, price: str = "", **more: Any) -> int:
    """A stop order that must wait; its id."""
    events = desk.order(account_id, side, quantity, price, **more)
    assert not isinstance(events, Refusal), events
    assert [type(event).__name__ for event in events] == ["OrderPlaced", "OrderArmed"]
    return int(events[0].order_id)


def open_order(desk: SpotDesk, account_id: int, order_id: int) -> Order:
    order = desk.state.open_order(account_id, "BTCUSDT", order_id=order_id)
    assert order is not None
    return order


def closed(desk: SpotDesk, order_id: int) -> ClosedOrder:
    return next(one for one in desk.effects if isinstance(one, ClosedOrder) and one.order_id == order_id)


def started(events: Sequence[Any]) -> list[int]:
    return [event.order_id for event in events if isinstance(event, OrderStarted)]


FIRES = [
    ("STOP_LOSS", "BUY", "30000.01", "30000.00"),
    ("TAKE_PROFIT", "SELL", "30000.01", "30000.00"),
    ("STOP_LOSS", "SELL", "29999.99", "30000.00"),
    ("TAKE_PROFIT", "BUY", "29999.99", "30000.00"),
]


@pytest.mark.parametrize(("kind", "side", "stop", "reached"), FIRES)
@pytest.mark.parametrize("suffix", ["", "_LIMIT"])
def test_a_stop_price_must_lie_on_its_side_of_the_last_price(
    desk: SpotDesk, kind: str, side: str, stop: str, reached: str, suffix: str
) -> None:
    price = "30000" if suffix else ""
    assert refused(desk.order(1, side, "0.01", price, type=kind + suffix, stop=reached)) is Reason.WOULD_TRIGGER
    wait(desk, 1, side, "0.01", price, type=kind + suffix, stop=stop)


@pytest.mark.parametrize(("kind", "side", "stop", "reached"), FIRES)
def test_a_print_at_the_stop_price_triggers_and_one_short_of_it_does_not(
    desk: SpotDesk, kind: str, side: str, stop: str, reached: str
) -> None:
    order_id = wait(desk, 1, side, "0.01", type=kind, stop=stop)
    assert started(desk.trade("30000")) == []
    assert started(desk.trade(stop)) == [order_id]


def test_before_anything_traded_every_stop_price_is_accepted() -> None:
    desk = SpotDesk()
    wait(desk, 1, "BUY", "0.01", "20000", type="STOP_LOSS_LIMIT", stop="20000")
    wait(desk, 1, "SELL", "0.01", "20000", type="STOP_LOSS_LIMIT", stop="20000")


@pytest.mark.parametrize(
    ("kind", "side", "stop", "price", "asset", "locked"),
    [
        ("STOP_LOSS_LIMIT", "BUY", "31000", "31500", "USDT", "15750"),
        ("TAKE_PROFIT_LIMIT", "BUY", "29000", "29500", "USDT", "14750"),
        ("STOP_LOSS", "BUY", "31000", "", "USDT", "15500"),
        ("TAKE_PROFIT", "BUY", "29000", "", "USDT", "14500"),
        ("STOP_LOSS_LIMIT", "SELL", "29000", "28500", "BTC", "0.5"),
        ("STOP_LOSS", "SELL", "29000", "", "BTC", "0.5"),
        ("TAKE_PROFIT", "SELL", "31000", "", "BTC", "0.5"),
    ],
)
def test_a_waiting_order_locks_what_it_will_need_and_gives_it_back(
    desk: SpotDesk, kind: str, side: str, stop: str, price: str, asset: str, locked: str
) -> None:
    before = desk.holds(1, asset)
    order_id = wait(desk, 1, side, "0.5", price, type=kind, stop=stop)
    assert desk.holds(1, asset)[1] == locked
    assert desk.state.depth("BTCUSDT", 5) == ([], [])
    order = open_order(desk, 1, order_id)
    assert (order.status, order.working_us) == ("NEW", -1)
    assert not isinstance(desk.cancel(1, order_id), Refusal)
    assert desk.holds(1, asset) == before
    assert (closed(desk, order_id).status, closed(desk, order_id).working_us) == ("CANCELED", -1)
    assert started(desk.trade(stop)) == []


def test_what_is_not_free_cannot_be_waited_with(desk: SpotDesk) -> None:
    assert refused(desk.order(1, "SELL", "10.1", type="STOP_LOSS", stop="29000")) is Reason.BALANCE_INSUFFICIENT
    assert refused(desk.order(1, "BUY", "40", type="STOP_LOSS", stop="31000")) is Reason.BALANCE_INSUFFICIENT
    assert (
        refused(desk.order(1, "BUY", "40", "31000", type="STOP_LOSS_LIMIT", stop="31000"))
        is Reason.BALANCE_INSUFFICIENT
    )


def test_a_triggered_limit_order_rests_behind_those_that_rested_before(desk: SpotDesk) -> None:
    order_id = wait(desk, 1, "SELL", "0.5", "29500", type="TAKE_PROFIT_LIMIT", stop="30500")
    desk.fund(3, BTC="1")
    resting = desk.rest(3, "SELL", "1", "30600")
    desk.now_us += 7_000_000
    events = desk.trade("30500")
    assert started(events) == [order_id]
    order = open_order(desk, 1, order_id)
    assert (order.working_us, order.updated_us) == (desk.now_us, desk.now_us)
    assert order.created_us < order.working_us
    assert [one.order_id for one in desk.state.markets["BTCUSDT"].asks.orders_from_best()] == [order_id, resting]


def test_a_triggered_limit_order_takes_what_it_meets_and_rests(desk: SpotDesk) -> None:
    desk.rest(2, "BUY", "0.2", "28900")
    order_id = wait(desk, 1, "SELL", "0.5", "28800", type="STOP_LOSS_LIMIT", stop="29000")
    events = desk.trade("29000")
    # The print that triggered comes first, then the triggered order's own trade.
    assert fills(events) == [("29000", "0.001"), ("28900", "0.2")]
    order = open_order(desk, 1, order_id)
    assert (order.status, plain(order.executed)) == ("PARTIALLY_FILLED", "0.2")
    assert desk.holds(1, "BTC")[1] == "0.3"


def test_a_triggered_market_order_walks_the_book_and_pays_what_it_costs(desk: SpotDesk) -> None:
    desk.rest(2, "SELL", "0.2", "31100")
    desk.rest(2, "SELL", "0.5", "31200")
    before = desk.holds(1, "USDT")[0]
    order_id = wait(desk, 1, "BUY", "0.5", type="STOP_LOSS", stop="31000")
    events = desk.trade("31000")
    assert fills(events)[1:] == [("31100", "0.2"), ("31200", "0.3")]
    # More than the 15,500 that were locked: the rest came out of what was free.
    assert desk.holds(1, "USDT") == (plain(units(before) - units("15580")), "0")
    assert (closed(desk, order_id).status, closed(desk, order_id).type) == ("FILLED", "STOP_LOSS")


def test_a_market_stop_that_its_account_can_no_longer_pay_is_rejected_when_triggered(desk: SpotDesk) -> None:
    desk.fund(1, USDT="1")
    order_id = wait(desk, 1, "BUY", "0.5", type="STOP_LOSS", stop="31000")
    desk.rest(2, "SELL", "5", "31200")
    free = units(desk.holds(1, "USDT")[0])
    desk.rest(1, "BUY", plain(free // 20_000 // 1000 * 1000), "20000")
    desk.trade("31000")
    one = closed(desk, order_id)
    assert (one.status, one.expiry_reason, plain(one.executed)) == ("EXPIRED", "REJECTED", "0")


@pytest.mark.parametrize(
    ("kind", "tif", "price", "status", "reason", "done"),
    [
        ("STOP_LOSS", "", "", "EXPIRED", "INSUFFICIENT_LIQUIDITY", "0.1"),
        ("STOP_LOSS_LIMIT", "IOC", "28000", "EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED", "0.1"),
        ("STOP_LOSS_LIMIT", "FOK", "28000", "EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED", "0"),
        ("STOP_LOSS_LIMIT", "IOC", "29100", "EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED", "0"),
        ("STOP_LOSS_LIMIT", "FOK", "29100", "EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED", "0"),
    ],
)
def test_a_triggered_order_that_cannot_trade_on_ends_by_its_rules(
    desk: SpotDesk, kind: str, tif: str, price: str, status: str, reason: str, done: str
) -> None:
    order_id = wait(desk, 1, "SELL", "0.5", price, type=kind, tif=tif, stop="29000")
    desk.rest(2, "BUY", "0.1", "28500")
    desk.now_us += 5
    assert started(desk.trade("29000")) == [order_id]
    one = closed(desk, order_id)
    assert (one.status, one.expiry_reason, plain(one.executed)) == (status, reason, done)
    assert one.working_us == desk.now_us
    assert desk.holds(1, "BTC")[1] == "0"


def test_a_triggered_order_that_meets_its_own_account_is_prevented(desk: SpotDesk) -> None:
    order_id = wait(desk, 1, "SELL", "0.5", type="STOP_LOSS", stop="29000", prevention_mode="EXPIRE_TAKER")
    resting = desk.rest(1, "BUY", "0.1", "28500")
    desk.trade("29000")
    assert (closed(desk, order_id).status, closed(desk, order_id).expiry_reason) == ("EXPIRED_IN_MATCH", "")
    assert desk.state.open_order(1, "BTCUSDT", order_id=resting)


def test_triggered_orders_act_after_the_match_that_triggered_them_and_one_after_another(desk: SpotDesk) -> None:
    """A taker goes through two prices and sets off two stops; it is whole before either of them takes anything."""
    desk.rest(2, "BUY", "0.1", "29500")
    desk.rest(2, "BUY", "0.1", "29400")
    desk.rest(2, "BUY", "1", "29300")
    lower = wait(desk, 1, "SELL", "0.1", type="STOP_LOSS", stop="29400")
    upper = wait(desk, 1, "SELL", "0.1", type="STOP_LOSS", stop="29500")
    events = desk.order(3, "SELL", "0.25", "29300")
    assert fills(events) == [("29500", "0.1"), ("29400", "0.1"), ("29300", "0.05"), ("29300", "0.1"), ("29300", "0.1")]
    assert not isinstance(events, Refusal)
    assert started(events) == [upper, lower]
    ends = [event.order_id for event in events if isinstance(event, OrderClosed | OrderRested)]
    assert ends.index(events[0].order_id) < ends.index(upper) < ends.index(lower)


def test_a_triggered_order_can_trigger_the_next(desk: SpotDesk) -> None:
    desk.rest(2, "BUY", "0.1", "29000")
    desk.rest(2, "BUY", "0.1", "28000")
    desk.rest(2, "BUY", "0.1", "27000")
    first = wait(desk, 1, "SELL", "0.1", type="STOP_LOSS", stop="29500")
    third = wait(desk, 1, "SELL", "0.1", type="STOP_LOSS", stop="28000")
    second = wait(desk, 1, "SELL", "0.1", type="STOP_LOSS", stop="29000")
    events = desk.trade("29500")
    assert started(events) == [first, second, third]
    assert fills(events) == [("29500", "0.001"), ("29000", "0.1"), ("28000", "0.1"), ("27000", "0.1")]


def test_prints_among_market_participants_trigger_too() -> None:
    quotes = FixedQuotes([("99", "3")], [("101", "3")])
    desk = SpotDesk(quotes, min_notional=0)
    desk.open_market()
    order_id = wait(desk, 1, "BUY", "1", "102", type="STOP_LOSS_LIMIT", stop="101")
    desk.tick()
    assert open_order(desk, 1, order_id).working_us == -1
    quotes.take("BUY", "0.5")
    events = desk.tick()
    assert not isinstance(events, Refusal)
    assert started(events) == [order_id]
    assert closed(desk, order_id).status == "FILLED"
    # It pays what participants ask, not its own limit.
    assert plain(closed(desk, order_id).executed_quote) == "101"


def test_more_triggered_orders_than_a_command_lets_begin_come_first_in_the_next(
    desk: SpotDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spot_shard, "MOST_BEGUN", 2)
    ids = [wait(desk, 1, "SELL", "0.01", "28000", type="STOP_LOSS_LIMIT", stop="29000") for _ in range(5)]
    assert desk.shard.due() is None
    assert started(desk.trade("29000")) == ids[:2]
    assert desk.shard.due() == BeginQueued()
    dumped = encode(desk.shard.dump())
    again = SpotDesk()
    again.shard.load(msgspec.msgpack.decode(dumped))
    assert encode(again.shard.dump()) == dumped
    assert again.state.audit() == ""
    assert again.shard.due() == BeginQueued()
    events = desk.do(BeginQueued())
    assert not isinstance(events, Refusal)
    assert started(events) == ids[2:4]
    desk.do(BeginQueued())
    assert desk.shard.due() is None


def test_the_sequencer_lets_what_is_left_over_begin_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spot_shard, "MOST_BEGUN", 2)
    desk = SpotDesk(max_algo_orders=20)
    desk.trade("30000")
    ids = [wait(desk, 1, "SELL", "0.01", "28000", type="STOP_LOSS_LIMIT", stop="29000") for _ in range(5)]
    desk.fund(3, BTC="1")
    desk.rest(3, "SELL", "1", "29000")
    soon: list[Callable[[], Any]] = []
    sequencer = Sequencer(MemoryJournal(), {"spot": desk.shard}, {"spot": lambda: desk.now_us}, soon.append)
    admission = Admission(2, 2, 1, FOREVER_US)
    taken = sequencer.submit(
        "spot", PlaceOrder(admission, "BTCUSDT", "BUY", "LIMIT", "GTC", units("1"), 0, units("29000"))
    )
    assert not isinstance(taken, Refusal)
    assert started(taken) == ids[:2]
    # A refused command finds the state as the orders left it, and nobody needs to send another one for the rest.
    refusal = sequencer.submit("spot", CancelOrder(admission, "BTCUSDT", 1))
    assert isinstance(refusal, Refusal)
    assert desk.shard.due() is None
    for one in soon:
        one()
    records = [record for batch in sequencer._journal.read() for record in decode_batch(batch)]
    assert [type(desk.shard.decode_command(record.command)) for record in records] == [
        PlaceOrder,
        BeginQueued,
        BeginQueued,
    ]
    assert [one for record in records for one in started(desk.shard.decode_events(record.events))] == ids


@pytest.mark.parametrize(
    ("quantity", "price", "stop", "kind", "named"),
    [
        ("1", "30000", "31000.001", "STOP_LOSS_LIMIT", "PRICE_FILTER"),
        ("1", "30000.001", "31000", "STOP_LOSS_LIMIT", "PRICE_FILTER"),
        ("1", "", "1000000.01", "STOP_LOSS", "PRICE_FILTER"),
        ("1", "150000.01", "31000", "STOP_LOSS_LIMIT", "PERCENT_PRICE_BY_SIDE"),
        ("0.000001", "", "31000", "STOP_LOSS", "LOT_SIZE"),
        ("0.00016", "31000", "31000", "STOP_LOSS_LIMIT", "NOTIONAL"),
        ("0.00016", "", "31000", "STOP_LOSS", "NOTIONAL"),
    ],
)
def test_a_stop_order_must_pass_the_filters_when_it_is_placed(
    desk: SpotDesk, quantity: str, price: str, stop: str, kind: str, named: str
) -> None:
    outcome = desk.order(1, "BUY", quantity, price, type=kind, stop=stop)
    assert refused(outcome) is Reason.FILTER_FAILED
    assert outcome.facts == (named,)  # type: ignore[union-attr]


def test_an_account_has_at_most_so_many_stop_orders_on_a_symbol() -> None:
    desk = SpotDesk(max_algo_orders=2)
    desk.trade("30000")
    for kind, price in (("STOP_LOSS", ""), ("STOP_LOSS_LIMIT", "28000")):
        wait(desk, 1, "SELL", "0.001", price, type=kind, stop="29000")
    outcome = desk.order(1, "SELL", "0.001", type="TAKE_PROFIT", stop="31000")
    assert outcome.facts == ("MAX_NUM_ALGO_ORDERS",)  # type: ignore[union-attr]
    desk.rest(1, "SELL", "0.001", "31000")
    wait(desk, 2, "SELL", "0.001", type="TAKE_PROFIT", stop="31000")
    desk.cancel_all(1)
    wait(desk, 1, "SELL", "0.001", type="TAKE_PROFIT", stop="31000")


def test_a_symbol_without_stop_orders_says_so() -> None:
    desk = SpotDesk(order_types=("LIMIT", "LIMIT_MAKER", "MARKET"))
    outcome = desk.order(1, "SELL", "1", type="STOP_LOSS", stop="29000")
    assert refused(outcome) is Reason.ORDER_TYPE_NOT_ENABLED
    assert outcome.facts == ("STOP_LOSS",)  # type: ignore[union-attr]


def test_a_watched_account_hears_when_its_order_begins_to_work(desk: SpotDesk) -> None:
    desk.state.watched.add(1)
    order_id = wait(desk, 1, "SELL", "0.5", "30600", type="TAKE_PROFIT_LIMIT", stop="30500")
    desk.now_us += 1_000_000
    desk.trade("30500")
    reports = [one for one in desk.effects if isinstance(one, OrderReported) and one.order.order_id == order_id]
    assert [(one.execution, one.status, one.order.working_us) for one in reports] == [
        ("NEW", "NEW", -1),
        ("NEW", "NEW", desk.now_us),
    ]


def test_an_order_that_waits_is_armed_and_not_started(desk: SpotDesk) -> None:
    events = desk.order(1, "SELL", "0.5", type="STOP_LOSS", stop="29000")
    assert not isinstance(events, Refusal)
    assert [isinstance(event, OrderArmed) for event in events] == [False, True]
    assert events[0].waits


def test_a_test_order_is_filtered_alike_and_leaves_nothing(desk: SpotDesk) -> None:
    before = encode(desk.shard.dump())
    stop = {"type": "STOP_LOSS_LIMIT", "check_only": True}
    assert desk.order(1, "BUY", "1", "31000", stop="31000", **stop) == ()
    assert refused(desk.order(1, "BUY", "1", "31000", stop="31000.001", **stop)) is Reason.FILTER_FAILED
    # The engine's questions: whether it would trigger at once, and who pays.
    assert desk.order(1, "BUY", "1", "31000", stop="30000", **stop) == ()
    assert desk.order(1, "BUY", "90", "31000", stop="31000", **stop) == ()
    assert encode(desk.shard.dump()) == before


def test_a_watched_account_hears_why_its_triggered_order_was_rejected() -> None:
    desk = SpotDesk(peg_allowed=True)
    desk.trade("30000")
    desk.state.watched.add(1)
    order_id = wait(desk, 1, "SELL", "1", "", type="STOP_LOSS_LIMIT", stop="29000", peg_price_type="MARKET_PEG")
    desk.trade("29000")
    reports = [one for one in desk.effects if isinstance(one, OrderReported) and one.order.order_id == order_id]
    assert [(one.execution, one.status, one.order.expiry_reason, one.order.working_us) for one in reports] == [
        ("NEW", "NEW", "", -1),
        ("EXPIRED", "EXPIRED", "REJECTED", -1),
    ]


# --- trailing stops --------------------------------------------------------------------------------------------------


def trailing_desk(**changes: Any) -> SpotDesk:
    bounds = {
        "min_trailing_above": 10,
        "max_trailing_above": 2_000,
        "min_trailing_below": 20,
        "max_trailing_below": 1_000,
    }
    desk = SpotDesk(trailing_allowed=True, max_algo_orders=20, **(bounds | changes))
    desk.trade("40000")
    return desk


#: The worked examples of the documents ("Spot Trailing Stop order FAQ"): what trades, and what then triggers.
SCENARIOS = [
    ("BUY", "STOP_LOSS_LIMIT", "45000", "44000", 500, ["37000", "44000", "46000", "42000", "44099.99"], "44100"),
    ("SELL", "STOP_LOSS_LIMIT", "38000", "39000", 1_000, ["41500", "39000", "37000", "41000", "36900.01"], "36900"),
    ("BUY", "TAKE_PROFIT_LIMIT", "38500", "38000", 850, ["42000", "38000", "37000", "39000", "40144.99"], "40145"),
    ("SELL", "TAKE_PROFIT_LIMIT", "41000", "42000", 750, ["39000", "42000", "45000", "44000", "46500"], "43012.5"),
    ("SELL", "STOP_LOSS_LIMIT", "39000", "", 700, ["42000", "39500", "45500", "42315.01"], "42315"),
]


@pytest.mark.parametrize(("side", "kind", "price", "stop", "delta", "before", "fires"), SCENARIOS)
def test_a_trailing_stop_follows_the_documents_examples(
    side: str, kind: str, price: str, stop: str, delta: int, before: list[str], fires: str
) -> None:
    desk = trailing_desk(max_trailing_below=2_000)
    order_id = wait(desk, 1, side, "0.01", price, type=kind, stop=stop, trailing_delta=delta)
    for one in before:
        assert started(desk.trade(one)) == [], one
    assert started(desk.trade(fires)) == [order_id]


def test_a_trailing_stop_tracks_from_its_placement_or_from_the_print_that_reaches_its_stop_price() -> None:
    desk = trailing_desk()
    at_once = wait(desk, 1, "SELL", "0.01", type="STOP_LOSS", trailing_delta=100)
    later = wait(desk, 1, "SELL", "0.01", type="TAKE_PROFIT", stop="41000", trailing_delta=100)
    assert open_order(desk, 1, at_once).trailing_us == desk.now_us
    assert open_order(desk, 1, later).trailing_us == -1
    desk.now_us += 3_000_000
    desk.trade("40999")
    assert open_order(desk, 1, later).trailing_us == -1
    desk.trade("41000")
    assert open_order(desk, 1, later).trailing_us == desk.now_us
    reached_us = desk.now_us
    desk.now_us += 1
    assert started(desk.trade("40590.01")) == []
    assert started(desk.trade("40590")) == [at_once, later]
    assert closed(desk, later).trailing_us == reached_us


def test_a_trailing_stop_placed_before_anything_traded_tracks_from_the_first_print() -> None:
    desk = SpotDesk(trailing_allowed=True, max_trailing_below=1_000, min_notional=0)
    order_id = wait(desk, 1, "SELL", "0.01", "90", type="STOP_LOSS_LIMIT", trailing_delta=100)
    assert started(desk.trade("100")) == []
    assert started(desk.trade("99")) == [order_id]


def test_a_trailing_market_stop_without_a_stop_price_locks_at_the_last_price() -> None:
    desk = trailing_desk()
    wait(desk, 1, "BUY", "0.01", type="STOP_LOSS", trailing_delta=100)
    assert desk.holds(1, "USDT")[1] == "400"


def test_a_trailing_stop_can_be_cancelled_before_and_while_it_tracks() -> None:
    desk = trailing_desk()
    ids = [wait(desk, 1, "SELL", "0.01", type="TAKE_PROFIT", stop="41000", trailing_delta=100) for _ in range(3)]
    desk.cancel(1, ids[0])
    desk.trade("41000")
    desk.cancel(1, ids[1])
    assert started(desk.trade("40000")) == [ids[2]]


def test_tracking_survives_a_snapshot() -> None:
    desk = trailing_desk()
    tracking = wait(desk, 1, "SELL", "0.01", "30000", type="STOP_LOSS_LIMIT", trailing_delta=500)
    waits = wait(desk, 1, "BUY", "0.01", "30000", type="TAKE_PROFIT_LIMIT", stop="39000", trailing_delta=500)
    desk.trade("41000")
    dumped = encode(desk.shard.dump())
    again = SpotDesk()
    again.shard.load(msgspec.msgpack.decode(dumped))
    assert encode(again.shard.dump()) == dumped
    assert again.state.audit() == ""
    assert started(again.trade("38950")) == [tracking]
    assert again.state.open_order(1, "BTCUSDT", order_id=waits).trailing_us == again.now_us  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("side", "kind", "low", "high"),
    [
        ("BUY", "STOP_LOSS", 10, 2_000),
        ("SELL", "TAKE_PROFIT", 10, 2_000),
        ("SELL", "STOP_LOSS", 20, 1_000),
        ("BUY", "TAKE_PROFIT", 20, 1_000),
    ],
)
def test_the_trailing_delta_has_bounds_for_orders_above_and_below(side: str, kind: str, low: int, high: int) -> None:
    desk = trailing_desk()
    for delta in (low - 1, high + 1):
        outcome = desk.order(1, side, "0.01", type=kind, trailing_delta=delta)
        assert outcome.facts == ("TRAILING_DELTA",)  # type: ignore[union-attr]
    for delta in (low, high):
        wait(desk, 1, side, "0.01", type=kind, trailing_delta=delta)


def test_a_symbol_without_trailing_stops_says_so(desk: SpotDesk) -> None:
    outcome = desk.order(1, "SELL", "0.01", type="STOP_LOSS", trailing_delta=100)
    assert refused(outcome) is Reason.TRAILING_NOT_ENABLED
