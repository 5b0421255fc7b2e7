"""Amending and replacing on the book: places, holds, counts, and what a listener hears."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sparekey.terms.admissions import Admission
from sparekey.terms.reasons import Reason
from sparekey.venue.commands import AmendOrder, CancelOrder, Fence, PlaceOrder, ReplaceOrder, SetOrderLimits
from sparekey.venue.events import CancelRefused, OrderClosed, OrderPlaced, PlacementRefused
from sparekey.venue.listing import OrderLimit
from tests.spot_desk import FOREVER_US, NOW_US, SpotDesk, fills, plain, refused, units
from tests.unit.wire.test_user_data import Ear, kinds

encode = msgspec.msgpack.Encoder().encode


@pytest.fixture
def desk() -> SpotDesk:
    return SpotDesk(min_notional=0)


def admitted(account_id: int) -> Admission:
    return Admission(account_id, account_id, 1, FOREVER_US)


def amend(desk: SpotDesk, account_id: int, order_id: int, quantity: str, **more: Any) -> Any:
    return desk.do(AmendOrder(admitted(account_id), "BTCUSDT", units(quantity), order_id, **more))


def replace(desk: SpotDesk, account_id: int, cancelled: int, *, anyway: bool = False, **place: Any) -> Any:
    order = {"quantity": units("1"), "price": units("99"), "time_in_force": "GTC"} | place
    admission = admitted(account_id)
    return desk.do(
        ReplaceOrder(
            CancelOrder(admission, "BTCUSDT", cancelled),
            PlaceOrder(admission, "BTCUSDT", order.pop("side", "BUY"), order.pop("type", "LIMIT"), **order),
            anyway,
        )
    )


def shown(desk: SpotDesk) -> list[tuple[str, str]]:
    return [(plain(price), plain(quantity)) for price, quantity in desk.state.depth("BTCUSDT", 9)[0]]


def closed(events: Any) -> list[int]:
    return [event.order_id for event in events if isinstance(event, OrderClosed)]


def test_an_amended_order_keeps_its_place_and_a_replaced_one_does_not(desk: SpotDesk) -> None:
    amended = desk.rest(1, "BUY", "5.5", "100")
    desk.rest(2, "BUY", "4", "100")
    amend(desk, 1, amended, "5")
    assert shown(desk) == [("100", "9")]
    assert closed(desk.order(3, "SELL", "5", "100"))[0] == amended
    first = desk.rest(1, "SELL", "1", "101")
    second = desk.rest(2, "SELL", "1", "101")
    replace(desk, 1, first, side="SELL", price=units("101"))
    assert closed(desk.order(3, "BUY", "1", "101"))[0] == second


@pytest.mark.parametrize(("side", "held"), [("BUY", ("USDT", "200")), ("SELL", ("BTC", "2"))])
def test_what_an_amendment_takes_off_is_free_again(desk: SpotDesk, side: str, held: tuple[str, str]) -> None:
    order_id = desk.rest(1, side, "5", "100")
    amend(desk, 1, order_id, "2")
    assert desk.holds(1, held[0])[1] == held[1]


def test_a_partly_filled_order_is_amended_down_to_what_is_filled_and_then_expires(desk: SpotDesk) -> None:
    order_id = desk.rest(1, "BUY", "5", "100")
    desk.order(2, "SELL", "2", "100")
    amend(desk, 1, order_id, "3")
    assert shown(desk) == [("100", "1")]
    ended = amend(desk, 1, order_id, "1")
    # The quantity never falls below what was executed of it.
    assert [plain(ended[0].quantity), ended[1].status] == ["2", "EXPIRED"]
    assert desk.holds(1, "USDT")[1] == "0"


@pytest.mark.parametrize("kind", ["STOP_LOSS", "STOP_LOSS_LIMIT"])
def test_a_stop_order_that_waits_can_be_amended(desk: SpotDesk, kind: str) -> None:
    price = {"price": "121"} if kind == "STOP_LOSS_LIMIT" else {}
    placed: Any = desk.order(1, "BUY", "4", type=kind, stop="120", **price)
    held = units(desk.holds(1, "USDT")[1])
    amend(desk, 1, placed[0].order_id, "1")
    assert units(desk.holds(1, "USDT")[1]) == held // 4
    desk.rest(2, "SELL", "5", "121")
    desk.trade("120.5")
    order = desk.state.open_order(1, "BTCUSDT", order_id=placed[0].order_id)
    assert order is None
    assert desk.holds(1, "BTC")[0] == "10.999"


def test_an_iceberg_shows_less_only_once_it_has_less(desk: SpotDesk) -> None:
    desk = SpotDesk(min_notional=0, iceberg_allowed=True)
    order_id = desk.rest(1, "BUY", "5", "100", iceberg_quantity=units("2"))
    amend(desk, 1, order_id, "3")
    assert shown(desk) == [("100", "2")]
    amend(desk, 1, order_id, "1.5")
    assert shown(desk) == [("100", "1.5")]


def test_an_amendment_is_refused_to_another_account_and_to_a_fenced_key(desk: SpotDesk) -> None:
    order_id = desk.rest(1, "BUY", "5", "100")
    assert refused(amend(desk, 2, order_id, "2")) is Reason.AMEND_ORDER_UNKNOWN
    desk.do(Fence(1, 2))
    assert refused(amend(desk, 1, order_id, "2")) is Reason.KEY_FENCED


def test_a_symbol_that_only_takes_cancels_takes_amendments(desk: SpotDesk) -> None:
    for status, done in (("CANCEL_ONLY", True), ("HALT", False)):
        market = desk.state.markets["BTCUSDT"]
        market.rules = msgspec.structs.replace(market.rules, status="TRADING")
        order_id = desk.rest(1, "BUY", "5", "100")
        market.rules = msgspec.structs.replace(market.rules, status=status)
        outcome = amend(desk, 1, order_id, "2")
        assert done or refused(outcome) is Reason.AMEND_MARKET_CLOSED


def test_a_listener_hears_of_an_amendment_and_of_an_order_that_a_replacement_refused(desk: SpotDesk) -> None:
    order_id = desk.rest(1, "BUY", "5", "100", client_order_id="first")
    ear = Ear(desk, 1)
    amend(desk, 1, order_id, "2", new_client_order_id="second")
    told, position = ear()
    assert kinds([told, position]) == [("REPLACED", "NEW"), ("", "outboundAccountPosition")]
    assert (told["i"], told["c"], told["C"], told["q"], told["w"]) == (order_id, "second", "first", "2.00000000", True)
    replace(desk, 1, order_id, quantity=units("9000"), price=units("200"), client_order_id="large")
    cancelled, rejected, _ = ear()
    assert kinds([cancelled, rejected]) == [("CANCELED", "CANCELED"), ("REJECTED", "REJECTED")]
    assert (rejected["c"], rejected["r"], rejected["i"], rejected["w"]) == (
        "large",
        "INSUFFICIENT_BALANCES",
        -1,
        False,
    )


def test_a_replacement_that_fails_counts_as_an_order_unless_it_was_over_the_limit(desk: SpotDesk) -> None:
    desk.do(SetOrderLimits((OrderLimit("SECOND", 10, 10_000_000, 2, gives_back=False),)))
    assert [type(event) for event in replace(desk, 1, 77)] == [CancelRefused, PlacementRefused]
    assert [type(event) for event in replace(desk, 1, 77, anyway=True)][:2] == [CancelRefused, OrderPlaced]
    assert [count for _, count in desk.state.order_counts(1, desk.now_us)] == [2]
    assert refused(replace(desk, 1, 77)) is Reason.ORDER_COUNT_EXCEEDED
    assert [count for _, count in desk.state.order_counts(1, desk.now_us)] == [2]


def test_filters_are_asked_while_the_order_to_be_cancelled_still_counts() -> None:
    desk = SpotDesk(max_open_orders=1)
    order_id = desk.rest(1, "BUY", "1", "100")
    outcome = replace(desk, 1, order_id)
    assert refused(outcome) is Reason.FILTER_FAILED and outcome.facts == ("MAX_NUM_ORDERS",)
    assert desk.state.open_order(1, "BTCUSDT", order_id=order_id)


def test_a_new_order_meets_the_book_that_the_cancel_left(desk: SpotDesk) -> None:
    # Its own old order would have been in the way.
    old = desk.rest(1, "SELL", "1", "100")
    desk.rest(2, "SELL", "1", "101")
    assert fills(replace(desk, 1, old, price=units("101"))[1:]) == [("101", "1")]


def test_what_was_changed_is_the_same_when_it_is_applied_again(desk: SpotDesk) -> None:
    order_id = desk.rest(1, "BUY", "5", "100")
    amend(desk, 1, order_id, "2")
    replace(desk, 1, order_id, quantity=units("9000"), price=units("200"))
    replace(desk, 1, 77)
    again = SpotDesk(min_notional=0)
    own = len(again.journal)
    for time_us, events in desk.journal[own:]:
        again.shard.apply(again.shard.decode_events(encode(events)), time_us)
    assert encode(again.shard.dump()) == encode(desk.shard.dump())
    third = SpotDesk(min_notional=0)
    third.shard.load(msgspec.msgpack.decode(encode(desk.shard.dump())))
    assert encode(third.shard.dump()) == encode(desk.shard.dump())
    assert third.now_us == NOW_US
