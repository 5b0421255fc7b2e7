"""Lowering an open order's quantity without losing its place (spot FAQ, "Order Amend Keep Priority")."""

from __future__ import annotations

from typing import Any

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue import filters
from sparekey.venue.commands import AmendOrder
from sparekey.venue.events import OrderAmended, OrderClosed
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
_EXHAUSTED = Refusal(Reason.AMENDS_EXHAUSTED)

#: In which an order may be amended: a symbol that only takes cancels takes amendments as well.
_OPEN = frozenset(("TRADING", "CANCEL_ONLY"))


def amend_order(state: SpotState, command: AmendOrder, now_us: int) -> list[Any] | Refusal:
    market = state.markets.get(command.symbol)
    if market is None:
        return _SYMBOL_UNKNOWN
    admission = command.admission
    fence = state.fences.get(admission.key_id)
    if fence is not None and admission.access_seq < fence:
        return _FENCED
    if market.rules.status not in _OPEN:
        return _MARKET_CLOSED
    account_id, original = admission.account_id, command.original_client_order_id
    order = market.open_order(account_id, command.order_id, original)
    if order is None or (original and order.client_order_id != original):
        return _ORDER_UNKNOWN
    quantity = command.quantity
    if quantity >= order.quantity:
        return _NO_CHANGE if quantity == order.quantity else _INCREASE
    if order.amends >= market.rules.max_order_amends:
        return _EXHAUSTED
    refusal = _check_filters(market, order, quantity, now_us)
    if refusal is not None:
        return refusal
    wanted = command.new_client_order_id
    client_order_id = wanted or generated_amend_id(order.order_id, order.amends)
    if client_order_id != order.client_order_id and client_order_id in market.by_client_order_id[account_id]:
        return _DUPLICATE
    done = order.executed + order.prevented_quantity
    amended = OrderAmended(
        order.symbol, order.order_id, max(quantity, done), client_order_id, _hold_of(order, max(quantity, done))
    )
    if quantity <= done:
        # Nothing is left to trade, but it was not filled whole either.
        return [amended, OrderClosed(order.symbol, order.order_id, "EXPIRED")]
    return [amended]


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
