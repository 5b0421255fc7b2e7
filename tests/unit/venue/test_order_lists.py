"""Order lists: one order of a pair acts, pending ones wait for the working one, and what is locked is exact throughout.

`SpotDesk` audits books, holds and lists after each command.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparekey.sequencer.frames import encode
from sparekey.terms.admissions import Admission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import AmendOrder, CancelOrderList, PlaceOrder, PlaceOrderList
from sparekey.venue.effects import ClosedOrderList
from sparekey.venue.events import OrderClosed, OrderListClosed, OrderListPlaced, OrderPlaced, OrderReleased
from tests.spot_desk import FOREVER_US, MODES, SpotDesk, plain, refused, units


def an_order(account_id: int, side: str, quantity: str, type: str, price: str = "", stop: str = "", **more: Any) -> Any:
    return PlaceOrder(
        Admission(account_id, account_id, 1, FOREVER_US),
        "BTCUSDT",
        side,
        type,
        "GTC" if type in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT") else "",
        units(quantity) if quantity else 0,
        0,
        units(price) if price else 0,
        units(stop) if stop else 0,
        **more,
    )


def place(one: SpotDesk, form: str, *orders: PlaceOrder, **more: Any) -> Any:
    return one.do(PlaceOrderList(orders[0].admission, "BTCUSDT", form, orders, **more))


def ids(events: Any) -> list[int]:
    assert not isinstance(events, Refusal), events
    return [event.order_id for event in events if isinstance(event, OrderPlaced)]


def sale_pair(one: SpotDesk, quantity: str = "2", *, high: str = "110", low: str = "90", **more: Any) -> list[int]:
    """(stop loss, limit maker) of account 1."""
    stop = an_order(1, "SELL", quantity, "STOP_LOSS", stop=low)
    return ids(place(one, "OCO", stop, an_order(1, "SELL", quantity, "LIMIT_MAKER", high), **more))


def payer(price: str = "100", quantity: str = "1") -> PlaceOrder:
    return an_order(1, "BUY", quantity, "LIMIT", price)


def profit(quantity: str = "1", price: str = "110") -> PlaceOrder:
    return an_order(1, "SELL", quantity, "LIMIT_MAKER", price)


def stop_loss(quantity: str = "1", stop: str = "90") -> PlaceOrder:
    return an_order(1, "SELL", quantity, "STOP_LOSS", stop=stop)


def desk(**changes: Any) -> SpotDesk:
    one = SpotDesk(min_notional=0, prevention_modes=MODES, iceberg_allowed=True, **changes)
    one.trade("100")
    return one


def ends(events: Any) -> list[tuple[int, str, str]]:
    return [(event.order_id, event.status, event.expiry_reason) for event in events if isinstance(event, OrderClosed)]


def open_ids(one: SpotDesk, account_id: int = 1) -> list[int]:
    return [order.order_id for order in one.state.open_orders(account_id)]


# --- pairs -----------------------------------------------------------------------------------------------------------


def test_a_pair_locks_what_one_order_needs() -> None:
    one = desk()
    stop, limit = sale_pair(one)
    assert one.holds(1, "BTC") == ("8", "2")
    assert open_ids(one) == [stop, limit]
    bought = place(
        one,
        "OCO",
        an_order(2, "BUY", "1", "STOP_LOSS_LIMIT", "120", "115"),
        an_order(2, "BUY", "1", "LIMIT_MAKER", "80"),
    )
    assert len(ids(bought)) == 2
    assert one.holds(2, "USDT") == ("999880", "120")  # the dearer one


@pytest.mark.parametrize("quantity", ["0.5", "2"])
def test_the_limit_order_that_trades_ends_the_stop_loss(quantity: str) -> None:
    one = desk()
    stop, limit = sale_pair(one)
    events = one.order(2, "BUY", quantity, "110")
    assert (stop, "EXPIRED", "OCO_TRIGGER") in ends(events)
    assert open_ids(one) == ([limit] if quantity == "0.5" else [])
    assert one.holds(1, "BTC")[1] == ("1.5" if quantity == "0.5" else "0")
    assert any(isinstance(event, OrderListClosed) for event in events) == (quantity == "2")


def test_the_stop_loss_that_is_triggered_ends_the_limit_order_first() -> None:
    one = desk()
    stop, limit = sale_pair(one)
    one.rest(2, "BUY", "2", "89")
    events = one.trade("90")
    closed = ends(events)
    assert closed.index((limit, "EXPIRED", "OCO_TRIGGER")) < closed.index((stop, "FILLED", ""))
    assert open_ids(one) == []
    assert one.holds(1, "BTC") == ("8", "0")


@pytest.mark.parametrize("which", [0, 1])
def test_a_cancel_of_one_is_a_cancel_of_all(which: int) -> None:
    one = desk()
    pair = sale_pair(one)
    cancelled = one.cancel(1, pair[which])
    assert sorted(ends(cancelled)) == [(order_id, "CANCELED", "") for order_id in pair]
    assert one.holds(1, "BTC") == ("10", "0")
    assert one.state.open_lists(1) == []


def test_a_list_is_cancelled_by_either_of_its_ids_and_by_both_only_if_they_agree() -> None:
    one = desk()
    admission, other = Admission(1, 1, 1, FOREVER_US), Admission(2, 2, 1, FOREVER_US)
    ways: list[dict[str, Any]] = [{"list_id": 1}, {"client_list_id": "mine"}, {"list_id": 3, "client_list_id": "mine"}]
    for count, sent in enumerate(ways, 1):
        sale_pair(one, client_list_id="mine")
        assert one.state.open_lists(1)[0].list_id == count
        assert refused(one.do(CancelOrderList(admission, "BTCUSDT", 9))) is Reason.ORDER_UNKNOWN
        assert refused(one.do(CancelOrderList(admission, "BTCUSDT", count, "other"))) is Reason.ORDER_UNKNOWN
        assert refused(one.do(CancelOrderList(admission, "ETHBTC", count))) is Reason.ORDER_UNKNOWN
        assert refused(one.do(CancelOrderList(other, "BTCUSDT", count))) is Reason.ORDER_UNKNOWN
        assert len(ends(one.do(CancelOrderList(admission, "BTCUSDT", **sent)))) == 2


@pytest.mark.parametrize(("high", "low"), [("99", "90"), ("110", "101"), ("100", "90"), ("110", "100")])
def test_the_last_price_must_be_between_the_prices_of_a_pair(high: str, low: str) -> None:
    one = desk()
    before = encode(one.shard.dump())
    outcome = place(one, "OCO", stop_loss(stop=low), profit(price=high))
    assert refused(outcome) is Reason.LIST_PRICES
    assert encode(one.shard.dump()) == before


def test_an_amendment_of_one_order_of_a_pair_changes_both() -> None:
    one = desk()
    _, limit = sale_pair(one)
    one.do(AmendOrder(Admission(1, 1, 1, FOREVER_US), "BTCUSDT", units("1.5"), limit))
    assert [plain(order.quantity) for order in one.state.open_orders(1)] == ["1.5", "1.5"]
    assert one.holds(1, "BTC") == ("8.5", "1.5")


@pytest.mark.parametrize("which", [0, 1])
def test_an_amendment_is_refused_where_the_filters_refuse_either_order_of_a_pair(which: int) -> None:
    one = SpotDesk()
    one.trade("100", "0.1")
    stop = an_order(1, "SELL", "0.1", "STOP_LOSS_LIMIT", "60", stop="60")
    pair = ids(place(one, "OCO", stop, an_order(1, "SELL", "0.1", "LIMIT_MAKER", "110")))
    before = encode(one.shard.dump())
    # 0.05 is worth 5.5 at 110 and 3 at 60; 5 is the least.
    outcome = one.do(AmendOrder(Admission(1, 1, 1, FOREVER_US), "BTCUSDT", units("0.05"), pair[which]))
    assert refused(outcome) is Reason.FILTER_FAILED
    assert encode(one.shard.dump()) == before


# --- working and pending orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["OTO", "OTOCO"])
def test_pending_orders_wait_until_the_working_one_is_filled_whole(form: str) -> None:
    one = desk()
    pending = (profit(),) if form == "OTO" else (stop_loss(), profit())
    _, *others = ids(place(one, form, payer(), *pending))
    assert [order.status for order in one.state.open_orders(1)] == ["NEW", *["PENDING_NEW"] * len(others)]
    assert one.holds(1, "BTC") == ("10", "0")
    assert one.holds(1, "USDT")[1] == "100"
    one.order(2, "SELL", "0.4", "100")
    assert one.state.depth("BTCUSDT", 5)[1] == []
    events = one.order(2, "SELL", "0.6", "100")
    assert [event.order_id for event in events if isinstance(event, OrderReleased)] == others  # type: ignore[union-attr]
    assert one.holds(1, "BTC")[1] == "1"
    assert [plain(price) for price, _ in one.state.depth("BTCUSDT", 5)[1]] == ["110"]
    assert open_ids(one) == others


def test_a_working_order_that_is_filled_at_once_lets_the_pending_one_in_at_once() -> None:
    one = desk()
    one.rest(2, "SELL", "1", "100")
    events = place(one, "OTO", payer(), profit())
    _, pending = ids(events)
    assert open_ids(one) == [pending]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_cancel_of_any_order_of_a_list_ends_it(which: int) -> None:
    one = desk()
    orders = ids(place(one, "OTOCO", payer(), stop_loss(), profit()))
    assert sorted(ends(one.cancel(1, orders[which]))) == [(order_id, "CANCELED", "") for order_id in orders]
    assert (one.holds(1, "USDT")[1], one.holds(1, "BTC")[1]) == ("0", "0")


def test_a_working_order_that_expires_takes_the_pending_ones_with_it() -> None:
    one = desk()
    working = msgspec.structs.replace(payer(), time_in_force="IOC")
    events = place(one, "OTO", working, profit())
    first, second = ids(events)
    assert [end[:2] for end in ends(events)] == [(first, "EXPIRED"), (second, "EXPIRED")]
    assert ends(events)[1][2] == "OTO_PHASE_ONE_EXPIRED"
    assert open_ids(one) == []


def test_what_cannot_be_paid_when_it_is_let_in_ends_then() -> None:
    one = desk()
    _, pending = ids(place(one, "OTO", payer(), profit("12")))
    events = one.order(2, "SELL", "1", "100")
    assert (pending, "EXPIRED", "REJECTED") in ends(events)
    assert one.state.open_lists(1) == []


@pytest.mark.parametrize("form", ["OPO", "OPOCO"])
def test_what_the_working_order_bought_is_what_the_pending_ones_sell(form: str) -> None:
    one = desk()
    pending = (profit(""),) if form == "OPO" else (stop_loss(""), profit(""))
    _, *others = ids(place(one, form, payer(), *pending))
    one.order(2, "SELL", "0.5", "100")
    assert one.holds(1, "BTC")[1] == "0.5"  # received, and locked for the pending ones
    one.order(2, "SELL", "0.5", "100")
    assert [plain(order.quantity) for order in one.state.open_orders(1)] == ["1"] * len(others)
    assert one.holds(1, "BTC")[1] == "1"
    assert one.holds(1, "BTC")[0] == "9.999"  # the fee came out of what was free


@pytest.mark.parametrize(
    ("free", "step", "sold", "left"),
    [
        # 1 is bought for a fee of 0.001. Where so much is free already, the fee comes from there.
        ("0.001", "0.00001", "1", "0"),
        ("0.0015", "0.00001", "1", "0.0005"),
        # Else it is taken out of what is sold, and what the lot filter does not let through is free.
        ("0.0009", "0.00001", "0.999", "0.0009"),
        ("", "0.00001", "0.999", "0"),
        ("", "0.1", "0.9", "0.099"),
    ],
)
def test_the_fee_of_a_working_order_that_pays_comes_from_what_is_free_if_there_is_enough(
    free: str, step: str, sold: str, left: str
) -> None:
    one = SpotDesk(min_notional=0, step_size=units(step))
    one.trade("100", "0.1")
    one.fund(4, USDT="1000", **({"BTC": free} if free else {}))
    pending = an_order(4, "SELL", "", "LIMIT_MAKER", "110")
    number = ids(place(one, "OPO", an_order(4, "BUY", "1", "LIMIT", "100"), pending))[1]
    one.order(2, "SELL", "1", "100")
    sale = one.state.open_order(4, "BTCUSDT", order_id=number)
    assert sale is not None and (sale.status, sale.quantity) == ("NEW", units(sold))
    assert one.holds(4, "BTC") == (left, sold)


def test_what_a_working_order_bought_is_free_again_when_the_list_is_cancelled() -> None:
    one = desk()
    working, _ = ids(place(one, "OPO", payer(), profit("")))
    one.order(2, "SELL", "0.5", "100")
    one.cancel(1, working)
    assert one.holds(1, "BTC") == ("10.4995", "0")


# --- what is asked before ------------------------------------------------------------------------------------------


def test_ids_of_lists_and_their_orders_are_unique() -> None:
    one = desk()
    sale_pair(one, client_list_id="mine")
    twice = place(one, "OCO", stop_loss(), profit(), client_list_id="mine")
    assert refused(twice) is Reason.CLIENT_ORDER_ID_DUPLICATE
    same = (
        msgspec.structs.replace(stop_loss(), client_order_id="a"),
        msgspec.structs.replace(profit(), client_order_id="a"),
    )
    assert refused(place(one, "OCO", *same)) is Reason.CLIENT_ORDER_ID_DUPLICATE


def test_a_list_counts_all_its_orders_and_itself() -> None:
    one = desk(max_open_orders=4)
    sale_pair(one, "0.1")
    assert refused(place(one, "OTOCO", payer(), stop_loss(), profit())) is Reason.FILTER_FAILED
    limited = desk(max_order_lists=1)
    sale_pair(limited, "0.1")
    outcome = place(limited, "OCO", stop_loss(), profit())
    assert isinstance(outcome, Refusal)
    assert outcome.facts == ("MAX_NUM_ORDER_LISTS",)


# --- random flows ----------------------------------------------------------------------------------------------------

KINDS = ("plain", "plain", "MARKET", "OCO", "OTO", "OTOCO", "OPO", "OPOCO", "cancel", "cancel list", "amend")
#: (account, side, steps, cents above 100, kind, prevention mode)
Step = tuple[int, str, int, int, str, str]
steps = st.tuples(
    st.sampled_from((1, 2, 3)),
    st.sampled_from(("BUY", "SELL")),
    st.integers(1, 100_000),
    st.integers(-5, 5),
    st.sampled_from(KINDS),
    st.sampled_from(MODES),
)


def play(one: SpotDesk, flow: list[Step]) -> None:
    for account_id, side, size, cents, kind, mode in flow:
        quantity, price = f"{size / 100_000:.5f}", f"{100 + cents / 100:.2f}"
        admission = Admission(account_id, account_id, 1, FOREVER_US)
        own = one.state.open_orders(account_id)
        if kind == "plain":
            one.order(account_id, side, quantity, price, prevention_mode=mode)
        elif kind == "MARKET":
            one.order(account_id, side, quantity, prevention_mode=mode)
        elif kind == "cancel":
            for order in own[:1]:
                one.cancel(account_id, order.order_id)
        elif kind == "cancel list":
            for listed in one.state.open_lists(account_id)[:1]:
                one.do(CancelOrderList(admission, "BTCUSDT", listed.list_id))
        elif kind == "amend":
            for order in own[-1:]:
                one.do(AmendOrder(admission, "BTCUSDT", max(order.quantity // 2_000 * 1_000, 1_000), order.order_id))
        else:
            random_list(one, account_id, side, quantity, cents, kind, mode)


def random_list(one: SpotDesk, account_id: int, side: str, quantity: str, cents: int, form: str, mode: str) -> None:
    working = an_order(
        account_id,
        "BUY" if form.startswith("OPO") else side,
        quantity,
        "LIMIT",
        f"{100 + cents / 100:.2f}",
        prevention_mode=mode,
    )
    pending = "SELL" if form.startswith("OPO") else side
    size = "" if form.startswith("OPO") else quantity
    away = 0.03 if pending == "SELL" else -0.03
    limit = an_order(account_id, pending, size, "LIMIT_MAKER", f"{100 + cents / 100 + away:.2f}", prevention_mode=mode)
    stop = an_order(
        account_id, pending, size, "STOP_LOSS", stop=f"{100 + cents / 100 - away:.2f}", prevention_mode=mode
    )
    orders = {
        "OCO": (stop, limit),
        "OTO": (working, limit),
        "OPO": (working, limit),
        "OTOCO": (working, stop, limit),
        "OPOCO": (working, stop, limit),
    }[form]
    place(one, form, *orders)


@settings(max_examples=40)
@given(st.lists(steps, min_size=1, max_size=25))
def test_whatever_lists_do_every_asset_sums_to_zero_and_holds_are_exact(flow: list[Step]) -> None:
    play(desk(), flow)


def a_flow(seed: int, length: int) -> list[Step]:
    rng = random.Random(seed)
    return [
        (
            rng.choice((1, 2, 3)),
            rng.choice(("BUY", "SELL")),
            rng.randrange(1, 50_000),
            rng.randrange(-4, 5),
            rng.choice(KINDS),
            rng.choice(MODES),
        )
        for _ in range(length)
    ]


@pytest.mark.parametrize("seed", range(2))
def test_applying_what_lists_did_gives_the_state_that_deciding_gave(seed: int) -> None:
    one = desk()
    own = len(one.journal)
    play(one, a_flow(seed, 200))
    listed = [event for _, events in one.journal for event in events if isinstance(event, OrderListPlaced)]
    assert {event.form for event in listed} == {"OCO", "OTO", "OTOCO", "OPO", "OPOCO"}
    again = desk()
    again.effects.clear()
    for time_us, events in one.journal[own:]:
        again.shard.apply(again.shard.decode_events(encode(events)), time_us)
        again.effects += again.shard.drain()
        assert again.state.audit() == ""
    assert encode(again.shard.dump()) == encode(one.shard.dump())
    assert again.effects == one.effects[-len(again.effects) :]
    assert any(isinstance(effect, ClosedOrderList) for effect in again.effects)
    loaded = desk()
    loaded.shard.load(msgspec.msgpack.decode(encode(one.shard.dump())))
    assert encode(loaded.shard.dump()) == encode(one.shard.dump())
