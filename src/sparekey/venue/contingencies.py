"""What follows among the orders of a list: in the same step as its cause, so that no step sees half of it.

Whatever a step decides goes through `complete`, which puts in what it means for lists: of a pair one order acts and the
other ends, a working order that ends unfilled takes the pending ones with it, a cancel of one is a cancel of all.
What a filled working order lets in is a step of its own, the first one after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sparekey.terms.refusals import Refusal
from sparekey.venue import filters
from sparekey.venue.beginning import Beginning, begin, intent_of
from sparekey.venue.events import (
    Allocated,
    Filled,
    LegChosen,
    MatchPrevented,
    OrderClosed,
    OrderListClosed,
    OrderListStarted,
    OrderReleased,
    OrderStarted,
)
from sparekey.venue.order_lists import PAID_BY_WORKING_ORDER, OrderList
from sparekey.venue.orders import Order
from sparekey.venue.spot_state import SpotState, SymbolMarket
from sparekey.venue.triggers import STOPS_TO_MARKET

#: Expiry reasons of Binance's.
_OTHER_ACTS = "OCO_TRIGGER"
_WORKING_EXPIRED = "OTO_PHASE_ONE_EXPIRED"
_REJECTED = "REJECTED"


def complete(state: SpotState, decided: Sequence[Any]) -> Sequence[Any]:
    """The events of a step with what they mean for lists."""
    return _Completion(state).of(decided) if state.lists.open else decided


class _Completion:
    __slots__ = ("_chosen", "_ended", "_events", "_state")

    def __init__(self, state: SpotState) -> None:
        self._state = state
        self._events: list[Any] = []
        #: orders that this step ends, by symbol and id, and lists of whose pair it lets one act
        self._ended: set[tuple[str, int]] = set()
        self._chosen: set[int] = set()

    def of(self, decided: Sequence[Any]) -> list[Any]:
        events = self._events
        for event in decided:
            kind = event.__class__
            if kind is Filled:
                self._touched(event, (event.symbol, event.taker_order_id), (event.symbol, event.maker_order_id))
            elif kind is Allocated:
                # A routed order is in no list.
                self._touched(event, (event.source, event.maker_order_id))
            elif kind is MatchPrevented:
                self._touched(
                    event,
                    (event.symbol, event.taker_order_id if event.taker_prevented else 0),
                    (event.maker_symbol or event.symbol, event.maker_order_id if event.maker_prevented else 0),
                )
            elif kind is OrderStarted:
                # Of a pair whose stop loss is triggered the other one ends first.
                self._end(event.symbol, self._choose(event.symbol, event.order_id), "EXPIRED", _OTHER_ACTS)
                events.append(event)
            elif kind is OrderClosed:
                if (event.symbol, event.order_id) not in self._ended:
                    self._ended.add((event.symbol, event.order_id))
                    events.append(event)
                    self._closed(event)
            else:
                events.append(event)
        return events

    def _list_of(self, symbol: str, order_id: int) -> OrderList | None:
        order = self._state.markets[symbol].orders.get(order_id)
        return None if order is None or not order.list_id else self._state.lists.open.get(order.list_id)

    def _touched(self, event: Any, *orders: tuple[str, int]) -> None:
        """Orders trade, or would have: of a pair the one that does acts first, and then the other ends."""
        partners = [(symbol, self._choose(symbol, order_id)) for symbol, order_id in orders]
        self._events.append(event)
        for symbol, partner in partners:
            self._end(symbol, partner, "EXPIRED", _OTHER_ACTS)

    def _choose(self, symbol: str, order_id: int) -> int:
        """The partner of an order that is the first of its pair to act, else 0."""
        one = self._list_of(symbol, order_id)
        if one is None or not one.shares_hold or one.list_id in self._chosen:
            return 0
        partner = one.partner_of(order_id)
        if partner:
            self._chosen.add(one.list_id)
            self._events.append(LegChosen(symbol, one.list_id, order_id))
        return partner

    def _end(self, symbol: str, order_id: int, status: str, reason: str, cancel_id: str = "") -> None:
        if self._is_open(symbol, order_id):
            self._ended.add((symbol, order_id))
            self._events.append(OrderClosed(symbol, order_id, status, reason, cancel_id))

    def _is_open(self, symbol: str, order_id: int) -> bool:
        return order_id in self._state.markets[symbol].orders and (symbol, order_id) not in self._ended

    def _closed(self, event: OrderClosed) -> None:
        symbol, order_id = event.symbol, event.order_id
        one = self._list_of(symbol, order_id)
        if one is None:
            return
        if event.status == "CANCELED":
            for other in one.order_ids:
                self._end(symbol, other, "CANCELED", "", event.cancel_client_order_id)
        elif order_id == one.working_id:
            if event.status != "FILLED":
                for other in one.pending_ids:
                    self._end(symbol, other, "EXPIRED", _WORKING_EXPIRED)
        else:
            self._end(symbol, one.partner_of(order_id), "EXPIRED", _OTHER_ACTS)
        if not any(self._is_open(symbol, other) for other in one.order_ids):
            self._events.append(OrderListClosed(symbol, one.list_id))


# --- pending orders begin ------------------------------------------------------------------------------------------


def decide_list_start(state: SpotState, one: OrderList) -> list[Any]:
    """The step of a list whose working order was filled: its pending orders begin. What is refused now was accepted
    before, so it ends instead.
    """
    market = state.markets[one.symbol]
    pending = [market.orders[order_id] for order_id in one.pending_ids]
    paid = one.form in PAID_BY_WORKING_ORDER
    quantity = _paid_quantity(market, one.hold, pending) if paid else 0
    begun: list[Beginning] = []
    for order in pending:
        outcome = _begin_pending(state, market, order, one.hold, quantity if paid else order.quantity, paid)
        if isinstance(outcome, Refusal):
            return [
                OrderListStarted(one.symbol, one.list_id, 0, quantity),
                OrderClosed(one.symbol, order.order_id, "EXPIRED", _REJECTED),
            ]
        begun.append(outcome)
    if len(pending) == 1:
        order, beginning = pending[0], begun[0]
        return [
            OrderListStarted(one.symbol, one.list_id, 0, quantity),
            OrderReleased(one.symbol, order.order_id, beginning.hold, beginning.pegged_price, beginning.waits),
            *beginning.events,
        ]
    events: list[Any] = [OrderListStarted(one.symbol, one.list_id, max(one.hold for one in begun), quantity)]
    for order, beginning in zip(pending, begun, strict=True):
        events.append(OrderReleased(one.symbol, order.order_id, 0, beginning.pegged_price, beginning.waits))
        events += beginning.events
    return events


def _begin_pending(
    state: SpotState, market: SymbolMarket, order: Order, held: int, quantity: int, paid: bool
) -> Beginning | Refusal:
    if paid:
        refusal = _check_paid(market, order, quantity, state.time_us)
        if refusal is not None:
            return refusal
    intent = msgspec.structs.replace(intent_of(order), quantity=quantity, held=held)
    return begin(state, market, intent, state.time_us)


def _paid_quantity(market: SymbolMarket, received: int, pending: Sequence[Order]) -> int:
    """What was received, as far as the lot filters let the pending orders have it (spot FAQ, "One Pays the Other")."""
    rules = market.rules
    most = min(received, rules.max_quantity or received)
    if rules.max_market_quantity and any(order.type == "MARKET" for order in pending):
        most = min(most, rules.max_market_quantity)
    return most - most % rules.step_size if rules.step_size else most


def _check_paid(market: SymbolMarket, order: Order, quantity: int, now_us: int) -> Refusal | None:
    """The filters that could not be asked before the quantity was known."""
    rules = market.rules
    refusal = filters.check_lot(rules, quantity)
    if refusal is None and order.iceberg_quantity:
        refusal = filters.check_iceberg(rules, quantity, order.iceberg_quantity)
    if refusal is not None:
        return refusal
    if order.type == "MARKET" or order.type in STOPS_TO_MARKET:
        reference = order.stop_price or market.reference_price(now_us)
        return filters.check_market_value(rules, reference, quantity) if reference else None
    return filters.check_notional(rules, order.price, quantity) if order.price else None
