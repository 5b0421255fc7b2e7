"""Lowering an open order's quantity without losing its place (spot FAQ, "Order Amend Keep Priority")."""

from __future__ import annotations

from typing import Any

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.terms.rounding import notional
from sparekey.venue import filters
from sparekey.venue.commands import AmendOrder
from sparekey.venue.events import OrderAmended, OrderClosed, OrderListHeld
from sparekey.venue.order_lists import PAID_BY_WORKING_ORDER, PENDING_NEW, OrderList
from sparekey.venue.orders import Order, generated_amend_id
from sparekey.venue.spot_state import SpotState, SymbolMarket
from sparekey.venue.triggers import STOPS_TO_MARKET

_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_FENCED = Refusal(Reason.KEY_FENCED)
_ORDER_UNKNOWN = Refusal(Reason.AMEND_ORDER_UNKNOWN)
_MARKET_CLOSED = Refusal(Reason.AMEND_MARKET_CLOSED)
_NO_CHANGE = Refusal(Reason.AMEND_NO_CHANGE)
_INCREASE = Refusal(Reason.AMEND_INCREASE)
_DUPLICATE = Refusal(Reason.AMEND_ID_DUPLICATE)
_PENDING_PAID = Refusal(Reason.AMEND_PENDING_PAID)
_EXHAUSTED = Refusal(Reason.AMENDS_EXHAUSTED)

#: In which an order may be amended: a symbol that only takes cancels takes amendments as well.
_OPEN = frozenset(("TRADING", "CANCEL_ONLY"))


def amend_order(state: SpotState, command: AmendOrder, now_us: int) -> list[Any] | Refusal:
    market = state.markets.get(command.symbol)
    if market is None:
        return _SYMBOL_UNKNOWN
    admission = command.admission
    if state.is_fenced(admission):
        return _FENCED
    if market.rules.status not in _OPEN:
        return _MARKET_CLOSED
    account_id, original = admission.account_id, command.original_client_order_id
    order = market.open_order(account_id, command.order_id, original)
    if order is None or (original and order.client_order_id != original):
        return _ORDER_UNKNOWN
    one = state.lists.open.get(order.list_id)
    if one is not None and one.form in PAID_BY_WORKING_ORDER and order.status == PENDING_NEW:
        return _PENDING_PAID
    quantity = command.quantity
    if quantity >= order.quantity:
        return _NO_CHANGE if quantity == order.quantity else _INCREASE
    if order.amends >= market.rules.max_order_amends:
        return _EXHAUSTED
    # Of a pair of which none acts yet, what is left of the one is left of the other.
    partner = None if one is None or one.chosen else market.orders.get(one.partner_of(order.order_id))
    for changed in (order,) if partner is None else (order, partner):
        refusal = _check_filters(market, changed, quantity, now_us)
        if refusal is not None:
            return refusal
    wanted = command.new_client_order_id
    client_order_id = wanted or generated_amend_id(order.order_id, order.amends)
    if client_order_id != order.client_order_id and client_order_id in market.by_client_order_id[account_id]:
        return _DUPLICATE
    done = order.executed + order.prevented_quantity
    events = _amended(one, order, partner, max(quantity, done), client_order_id)
    if quantity <= done:
        # Nothing is left to trade, but it was not filled whole either.
        events.append(OrderClosed(order.symbol, order.order_id, "EXPIRED"))
    return events


def _amended(
    one: OrderList | None, order: Order, partner: Order | None, quantity: int, client_order_id: str
) -> list[Any]:
    """Of a pair, of which only one can ever act, both have the same quantity."""
    symbol = order.symbol
    if one is None or partner is None:
        hold = 0 if order.status == PENDING_NEW else _hold_of(order, quantity)
        return [OrderAmended(symbol, order.order_id, quantity, client_order_id, hold)]
    events: list[Any] = [
        OrderAmended(symbol, order.order_id, quantity, client_order_id, 0),
        OrderAmended(symbol, partner.order_id, quantity, partner.client_order_id, 0, 1),
    ]
    if one.started:
        held = max(_shared_hold_of(one, leg, quantity) for leg in (order, partner))
        events.append(OrderListHeld(symbol, one.list_id, held))
    return events


def _shared_hold_of(one: OrderList, order: Order, quantity: int) -> int:
    """What an order of a pair needs locked, as when the pair was let in."""
    if not order.is_buy:
        return quantity
    price = order.price or order.stop_price
    return notional(price, quantity) if price else one.hold * quantity // order.quantity


def _hold_of(order: Order, quantity: int) -> int:
    """What is locked for less of an order. Of a stop order without a price it is as much less as the order is."""
    remaining = quantity - order.executed - order.prevented_quantity
    if not order.is_buy:
        return remaining
    if order.working_price:
        return order.hold_for(remaining)
    return order.hold * remaining // order.remaining


def _check_filters(market: SymbolMarket, order: Order, quantity: int, now_us: int) -> Refusal | None:
    rules = market.rules
    refusal = filters.check_lot(rules, quantity)
    if refusal is not None:
        return refusal
    if order.type in STOPS_TO_MARKET:
        return filters.check_market_lot(rules, quantity)
    return filters.check_notional(rules, order.working_price, quantity) if order.working_price else None
