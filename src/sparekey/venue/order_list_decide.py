"""Decides what is asked of order lists: placing and cancelling them (spot REST, "Order lists").

A list is judged as its orders are, each with the others beside it, and it is accepted whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue import filters
from sparekey.venue.beginning import Beginning, Intent, begin
from sparekey.venue.commands import CancelOrderList, PlaceOrder, PlaceOrderList
from sparekey.venue.events import OrderClosed, OrderListPlaced, OrderPlaced
from sparekey.venue.order_lists import PAID_BY_WORKING_ORDER, WITH_PAIR, WITH_WORKING_ORDER
from sparekey.venue.orders import generated_cancel_id, generated_client_order_id, generated_list_id
from sparekey.venue.spot_decide import check_order_limits, check_shown, judge_placement
from sparekey.venue.spot_state import SpotState, SymbolMarket

#: Applies what was decided, before more of it is.
Step = Callable[[Sequence[Any]], None]

_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_FENCED = Refusal(Reason.KEY_FENCED)
_DUPLICATE = Refusal(Reason.CLIENT_ORDER_ID_DUPLICATE)
_PRICES = Refusal(Reason.LIST_PRICES)
_LIST_UNKNOWN = Refusal(Reason.ORDER_UNKNOWN)


def place_order_list(state: SpotState, command: PlaceOrderList, now_us: int, step: Step) -> Refusal | None:
    """None: the list was accepted, and what came of it went through `step`."""
    market = state.markets.get(command.symbol)
    if market is None:
        return _SYMBOL_UNKNOWN
    refusal = _judge(state, market, command, now_us)
    if refusal is not None:
        return refusal
    orders, form = command.orders, command.form
    working = 1 if form in WITH_WORKING_ORDER else 0
    first_id = market.next_order_id
    begun: list[Beginning] = []
    # Pending orders are let in later, and answer the engine's questions then.
    for number, order in enumerate(orders[:working] or orders):
        outcome = begin(state, market, _intent(market, order, first_id + number), now_us)
        if isinstance(outcome, Refusal):
            return outcome
        begun.append(outcome)
    list_id = state.lists.next_id
    placed: list[Any] = []
    for number, order in enumerate(orders):
        pending = working and number
        beginning = Beginning(0, [], True) if pending else begun[number]
        placed.append(
            _placed(market, order, first_id + number, list_id, beginning, 0 if not working else beginning.hold, pending)
        )
    placed.append(
        OrderListPlaced(
            command.symbol,
            list_id,
            command.admission.account_id,
            command.client_list_id or generated_list_id(list_id),
            form,
            tuple(range(first_id, first_id + len(orders))),
            # Only one of a pair can ever act: as much is locked as the dearer one needs.
            0 if working else max(one.hold for one in begun),
            orders[-1].side == "SELL",
        )
    )
    step(placed)
    step([event for one in begun for event in one.events])
    return None


def _judge(state: SpotState, market: SymbolMarket, command: PlaceOrderList, now_us: int) -> Refusal | None:
    admission, orders = command.admission, command.orders
    if state.is_fenced(admission):
        return _FENCED
    refusal = check_order_limits(state, admission.account_id, now_us, len(orders))
    if refusal is not None:
        return refusal
    for number, order in enumerate(orders):
        sized = not (command.form in PAID_BY_WORKING_ORDER and number)
        judged = judge_placement(state, order, now_us, counted=False, beside=orders[:number], sized=sized)
        if isinstance(judged, Refusal):
            return judged
    most = market.rules.max_order_lists
    if most and len(state.lists.of(admission.account_id, command.symbol)) >= most:
        return filters.MAX_NUM_ORDER_LISTS
    for order in orders:
        refusal = check_shown(order) if order.iceberg_quantity else None
        if refusal is not None:
            return refusal
    if not _ids_are_free(state, market, command):
        return _DUPLICATE
    if command.form in WITH_PAIR:
        # Of a pair that is let in later only how its prices stand to each other is known.
        last = market.last_price if command.form == "OCO" else 0
        if not _prices_fit(orders[-2], orders[-1], last):
            return _PRICES
    return None


def _ids_are_free(state: SpotState, market: SymbolMarket, command: PlaceOrderList) -> bool:
    """Ids of orders are unique among the account's open orders on the symbol, and that of the list among its lists and
    the ids of its orders."""
    account_id, list_id = command.admission.account_id, command.client_list_id
    own = market.by_client_order_id.get(account_id, {})
    sent = [order.client_order_id for order in command.orders if order.client_order_id]
    if len(set(sent)) < len(sent) or any(one in own for one in sent):
        return False
    return not list_id or (list_id not in sent and state.lists.find(account_id, 0, list_id) is None)


def _prices_fit(stop: PlaceOrder, other: PlaceOrder, last: int) -> bool:
    """The stop loss on one side of the last price and the other order on the other; 0: nothing to compare with.

    A take-profit order with a limit price is compared by that, as the documents say.
    """
    sign = -1 if stop.side == "BUY" else 1
    target = (other.stop_price if other.type == "TAKE_PROFIT" else other.price) * sign
    trigger, last = stop.stop_price * sign, last * sign
    if trigger and target and target <= trigger:
        return False
    return not last or not ((target and target <= last) or (trigger and last <= trigger))


def _intent(market: SymbolMarket, order: PlaceOrder, order_id: int) -> Intent:
    return Intent(
        order_id,
        order.admission.account_id,
        order.side == "BUY",
        order.type,
        order.time_in_force,
        order.price,
        order.quantity,
        order.quote_quantity,
        order.prevention_mode or market.rules.default_prevention_mode,
        order.stop_price,
        order.trailing_delta,
        0,
        order.peg_price_type,
        order.peg_offset,
    )


def _placed(
    market: SymbolMarket,
    order: PlaceOrder,
    order_id: int,
    list_id: int,
    beginning: Beginning,
    hold: int,
    pending: int,
) -> OrderPlaced:
    return OrderPlaced(
        order.symbol,
        order_id,
        order.admission.account_id,
        order.admission.key_id,
        order.client_order_id or generated_client_order_id(order_id),
        order.side,
        order.type,
        order.time_in_force,
        order.quantity,
        order.quote_quantity,
        order.price,
        hold,
        order.prevention_mode or market.rules.default_prevention_mode,
        order.stop_price,
        order.iceberg_quantity,
        order.trailing_delta,
        order.strategy_id,
        order.strategy_type,
        beginning.waits,
        order.peg_price_type,
        order.peg_offset,
        beginning.pegged_price,
        list_id=list_id,
        pending=bool(pending),
    )


def cancel_order_list(state: SpotState, command: CancelOrderList, now_us: int, step: Step) -> Refusal | None:
    """A cancel of one of its orders is a cancel of all."""
    market = state.markets.get(command.symbol)
    if market is None:
        return _SYMBOL_UNKNOWN
    admission = command.admission
    if state.is_fenced(admission):
        return _FENCED
    one = state.lists.find(admission.account_id, command.list_id, command.client_list_id)
    if one is None or one.symbol != command.symbol or command.client_list_id not in ("", one.client_list_id):
        return _LIST_UNKNOWN
    order_id = next(order_id for order_id in one.order_ids if order_id in market.orders)
    cancel_id = command.new_client_order_id or generated_cancel_id(order_id)
    step([OrderClosed(command.symbol, order_id, "CANCELED", "", cancel_id)])
    return None
