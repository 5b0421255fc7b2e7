"""Applies what happens to order lists. As in `spot_apply`, nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparekey.venue.effects import Effect
from sparekey.venue.events import (
    LegChosen,
    OrderListClosed,
    OrderListHeld,
    OrderListPlaced,
    OrderListStarted,
    OrderReleased,
)
from sparekey.venue.ledger import Balance
from sparekey.venue.order_lists import (
    PAID_BY_WORKING_ORDER,
    WITH_WORKING_ORDER,
    OrderList,
)
from sparekey.venue.orders import Order
from sparekey.venue.reports import report_list, report_new
from sparekey.venue.spot_state import SpotState, SymbolMarket

#: Where it is the received asset, fees are always taken out of what is received (spot FAQ, "One Pays the Other").
_FEE_ASSET = "BNB"


def _order_list_placed(state: SpotState, event: OrderListPlaced, time_us: int, effects: list[Effect]) -> None:
    orders = state.markets[event.symbol].orders
    one = OrderList(
        event.list_id,
        event.symbol,
        event.account_id,
        event.client_list_id,
        event.form,
        list(event.order_ids),
        [orders[order_id].client_order_id for order_id in event.order_ids],
        time_us,
        time_us,
        0,
        event.holds_base,
        event.form not in WITH_WORKING_ORDER,
    )
    state.lists.add(one)
    _hold(state, one, event.hold)
    if event.account_id in state.watched:
        report_list(one, "EXEC_STARTED", time_us, effects)


def _order_list_started(state: SpotState, event: OrderListStarted, time_us: int, effects: list[Effect]) -> None:
    one = state.lists.open[event.list_id]
    state.lists.due.pop(event.list_id, None)
    one.started = True
    one.updated_us = time_us
    _hold(state, one, event.hold)
    if event.quantity:
        orders = state.markets[event.symbol].orders
        for order_id in one.pending_ids:
            orders[order_id].quantity = event.quantity
    if one.account_id in state.watched:
        report_list(one, "EXEC_STARTED", time_us, effects)


def _order_released(state: SpotState, event: OrderReleased, time_us: int, effects: list[Effect]) -> None:
    order = state.markets[event.symbol].orders[event.order_id]
    order.status = "NEW"
    order.pegged_price = event.pegged_price
    order.updated_us = time_us
    if not event.waits:
        order.working_us = time_us
    if event.hold:
        (order.quote if order.is_buy else order.base).post(-event.hold, event.hold)
        order.hold = event.hold
        state.ledger.updated_us[order.account_id] = time_us
    if order.account_id in state.watched:
        report_new(order, time_us, effects)


def _leg_chosen(state: SpotState, event: LegChosen, time_us: int, effects: list[Effect]) -> None:
    one = state.lists.open[event.list_id]
    order = state.markets[event.symbol].orders[event.order_id]
    order.hold += one.hold
    one.hold = 0
    one.chosen = True


def _order_list_held(state: SpotState, event: OrderListHeld, time_us: int, effects: list[Effect]) -> None:
    _hold(state, state.lists.open[event.list_id], event.hold)


def _order_list_closed(state: SpotState, event: OrderListClosed, time_us: int, effects: list[Effect]) -> None:
    one = state.lists.remove(event.list_id)
    one.updated_us = time_us
    _hold(state, one, 0)
    effects.append(one.closed())
    if one.account_id in state.watched:
        report_list(one, "ALL_DONE", time_us, effects)


def _hold(state: SpotState, one: OrderList, hold: int) -> None:
    """Lock so much for the list itself, whatever was locked for it before."""
    if hold != one.hold:
        _balance(state, one).post(one.hold - hold, hold - one.hold)
        one.hold = hold
        state.ledger.updated_us[one.account_id] = state.time_us


def _balance(state: SpotState, one: OrderList) -> Balance:
    rules = state.markets[one.symbol].rules
    return state.ledger.balance(one.account_id, rules.base_asset if one.holds_base else rules.quote_asset)


# --- what happens to its orders --------------------------------------------------------------------------------------


def note_received(state: SpotState, market: SymbolMarket, order: Order, quantity: int, fee: int) -> None:
    """A working order that pays bought so much, less a fee that was taken out of it: it is locked for the pending ones.

    The fee is taken from what is free instead, as far as there is enough.
    """
    one = state.lists.open.get(order.list_id)
    if one is None or one.form not in PAID_BY_WORKING_ORDER or order.order_id != one.working_id:
        return
    free_before = order.base.free - (quantity - fee)
    kept = quantity if free_before >= fee and market.rules.base_asset != _FEE_ASSET else quantity - fee
    _hold(state, one, one.hold + kept)


def note_filled(state: SpotState, order: Order) -> None:
    """An order of a list was filled whole: if the others waited for that, they are due."""
    one = state.lists.open.get(order.list_id)
    if one is not None and order.order_id == one.working_id and not one.started:
        state.lists.due[one.list_id] = one


def note_renamed(state: SpotState, order: Order, time_us: int, effects: list[Effect]) -> None:
    """An order of a list has another client order id."""
    one = state.lists.open[order.list_id]
    one.client_order_ids[one.order_ids.index(order.order_id)] = order.client_order_id
    if one.account_id in state.watched:
        report_list(one, "UPDATED", time_us, effects)


LIST_APPLIERS: dict[type, Callable[[SpotState, Any, int, list[Effect]], None]] = {
    OrderListPlaced: _order_list_placed,
    OrderListStarted: _order_list_started,
    OrderReleased: _order_released,
    LegChosen: _leg_chosen,
    OrderListHeld: _order_list_held,
    OrderListClosed: _order_list_closed,
}
