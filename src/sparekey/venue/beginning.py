"""How an order begins, whenever that is: on placement, when its trigger is crossed, when its list lets it.

One way for all of them. A stop order begins by waiting for its price; every other order takes what it meets, and then
rests or ends. Looks at the state and changes nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.terms.rounding import notional
from sparekey.venue import filters
from sparekey.venue.events import OrderArmed, OrderClosed, OrderRested, OrderStarted
from sparekey.venue.matching import Match, best_offer, match
from sparekey.venue.orders import Order
from sparekey.venue.spot_state import SpotState, SymbolMarket
from sparekey.venue.triggers import STOPS, STOPS_TO_MARKET, fires_above

_WOULD_MATCH = Refusal(Reason.WOULD_MATCH)
_WOULD_TRIGGER = Refusal(Reason.WOULD_TRIGGER)
_LIQUIDITY_NONE = Refusal(Reason.LIQUIDITY_NONE)
_LIQUIDITY_BELOW_LOT = Refusal(Reason.LIQUIDITY_BELOW_LOT, ("LOT_SIZE",))
_NOTIONAL_ZERO = Refusal(Reason.NOTIONAL_ZERO)
_PEG_LIQUIDITY = Refusal(Reason.PEG_LIQUIDITY)

#: The expiry reason of an order that met a price outside of its symbol's execution rule.
OUT_OF_RANGE = "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"


class Intent(msgspec.Struct, frozen=True, gc=False):
    """What an order wants, in the state or not yet. `held` is what is locked for it already; `routed`: it walks the
    books of other symbols, too."""

    order_id: int
    account_id: int
    is_buy: bool
    type: str
    time_in_force: str
    price: int
    quantity: int
    quote_quantity: int
    prevention_mode: str
    stop_price: int = 0
    trailing_delta: int = 0
    held: int = 0
    peg_price_type: str = ""
    peg_offset: int = 0
    routed: bool = False


class Beginning(msgspec.Struct, frozen=True, gc=False):
    """`hold` is what must be locked before `events` happen, all in all. `waits`: the order only waits for its price."""

    hold: int
    events: list[Any]
    waits: bool = False
    pegged_price: int = 0


def intent_of(order: Order) -> Intent:
    return Intent(
        order.order_id,
        order.account_id,
        order.is_buy,
        order.type,
        order.time_in_force,
        order.price,
        order.quantity,
        order.quote_quantity,
        order.prevention_mode,
        order.stop_price,
        order.trailing_delta,
        order.hold,
        order.peg_price_type,
        order.peg_offset,
    )


def begin(
    state: SpotState, market: SymbolMarket, intent: Intent, now_us: int, *, triggered: bool = False
) -> Beginning | Refusal:
    """`triggered`: the price that a stop order waits for was reached."""
    kind = intent.type
    if kind in STOPS:
        if not triggered:
            return _wait(state, market, intent)
        return (_take if kind in STOPS_TO_MARKET else _take_or_rest)(state, market, intent, now_us)
    return (_take if kind == "MARKET" else _take_or_rest)(state, market, intent, now_us)


def decide_queued(state: SpotState, market: SymbolMarket, order: Order) -> list[Any]:
    """The step of an order in the queue: its trigger was crossed. It cannot be refused any more, so it ends instead."""
    symbol, order_id = order.symbol, order.order_id
    intent = intent_of(order)
    if order.list_id:
        intent = msgspec.structs.replace(intent, held=order.hold + state.lists.shared_hold(order))
    outcome = begin(state, market, intent, state.time_us, triggered=True)
    if isinstance(outcome, Refusal):
        return [OrderClosed(symbol, order_id, "EXPIRED", "REJECTED")]
    return [OrderStarted(symbol, order_id, outcome.hold, outcome.pegged_price), *outcome.events]


def _wait(state: SpotState, market: SymbolMarket, intent: Intent) -> Beginning | Refusal:
    """What is locked is what the order will need: at its price, else at its stop price, else at the last price."""
    last, stop = market.last_price, intent.stop_price
    if stop and last and (last >= stop if fires_above(intent.type, intent.is_buy) else last <= stop):
        return _WOULD_TRIGGER
    price = intent.price or stop or last
    hold = notional(price, intent.quantity) if intent.is_buy else intent.quantity
    if not hold and price:
        return _NOTIONAL_ZERO
    refusal = _check_balance(state, market, intent, hold)
    if refusal is not None:
        return refusal
    return Beginning(hold, [OrderArmed(market.rules.symbol, intent.order_id)], True)


def _take_or_rest(state: SpotState, market: SymbolMarket, intent: Intent, now_us: int) -> Beginning | Refusal:
    """Orders with a price."""
    if intent.peg_price_type:
        return _take_or_rest_pegged(state, market, intent, now_us)
    symbol, order_id, price, quantity = market.rules.symbol, intent.order_id, intent.price, intent.quantity
    is_buy = intent.is_buy
    hold = notional(price, quantity) if is_buy else quantity
    if not hold:
        return _NOTIONAL_ZERO
    refusal = _check_balance(state, market, intent, hold)
    if refusal is not None:
        return refusal
    routed_to = _other_books(state, market) if intent.routed else ()
    best = best_offer(market, state.participants, is_buy)
    for book in routed_to:
        other = best_offer(book, state.participants, is_buy)
        if not best or (other and (other < best if is_buy else other > best)):
            best = other
    if not best or (best > price if is_buy else best < price):
        # Nothing to match: most orders end here.
        if intent.time_in_force == "IOC":
            return Beginning(hold, [OrderClosed(symbol, order_id, "EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")])
        if intent.time_in_force == "FOK":
            return Beginning(hold, [OrderClosed(symbol, order_id, "EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")])
        return Beginning(hold, [OrderRested(symbol, order_id)])
    if intent.type == "LIMIT_MAKER":
        return _WOULD_MATCH
    result = match(
        market,
        state.participants,
        order_id=order_id,
        account_id=intent.account_id,
        is_buy=is_buy,
        limit_price=price,
        quantity=quantity,
        quote_quantity=0,
        prevention_mode=intent.prevention_mode,
        bounds=None if market.rules.price_range is None else market.price_bounds(is_buy, now_us),
        routed_to=routed_to,
    )
    if intent.time_in_force == "FOK" and result.executed < quantity:
        cause = OUT_OF_RANGE if result.out_of_range else "UNFILLED_FOK_ORDER_EXPIRED"
        return Beginning(hold, [OrderClosed(symbol, order_id, "EXPIRED", cause)])
    events = result.events
    if result.ended:
        events.append(OrderClosed(symbol, order_id, "EXPIRED_IN_MATCH"))
    elif not result.remaining:
        events.append(OrderClosed(symbol, order_id, "FILLED"))
    elif result.out_of_range:
        events.append(OrderClosed(symbol, order_id, "EXPIRED", OUT_OF_RANGE))
    elif intent.time_in_force == "IOC":
        events.append(OrderClosed(symbol, order_id, "EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED"))
    else:
        events.append(OrderRested(symbol, order_id))
    return Beginning(hold, events)


def _take_or_rest_pegged(state: SpotState, market: SymbolMarket, intent: Intent, now_us: int) -> Beginning | Refusal:
    """At the price of a level of the book as it stands; it does not follow the book afterwards. The filters must pass
    with that price, too.
    """
    own_side = intent.peg_price_type == "PRIMARY_PEG"
    bids, asks = state.depth(market.rules.symbol, intent.peg_offset + 1)
    levels = bids if intent.is_buy == own_side else asks
    if len(levels) <= intent.peg_offset:
        return _PEG_LIQUIDITY
    price = levels[intent.peg_offset][0]
    refusal = filters.check_limit(market.rules, intent.is_buy, price, intent.quantity, market.reference_price(now_us))
    if refusal is not None:
        return refusal
    priced = msgspec.structs.replace(intent, price=price, peg_price_type="")
    beginning = _take_or_rest(state, market, priced, now_us)
    if isinstance(beginning, Refusal):
        return beginning
    return msgspec.structs.replace(beginning, pegged_price=price)


def _take(state: SpotState, market: SymbolMarket, intent: Intent, now_us: int) -> Beginning | Refusal:
    """Orders at any price, by quantity or by quote quantity: whole or as far as the book goes, never resting."""
    symbol, order_id, is_buy = market.rules.symbol, intent.order_id, intent.is_buy
    result = match(
        market,
        state.participants,
        order_id=order_id,
        account_id=intent.account_id,
        is_buy=is_buy,
        limit_price=0,
        quantity=intent.quantity,
        quote_quantity=intent.quote_quantity,
        prevention_mode=intent.prevention_mode,
        bounds=None if market.rules.price_range is None else market.price_bounds(is_buy, now_us),
        routed_to=_other_books(state, market) if intent.routed else (),
    )
    if intent.quote_quantity:
        refusal = _check_fitted(market, result)
        if refusal is not None:
            return refusal
        hold = result.spent if is_buy else result.executed
    else:
        hold = result.spent if is_buy else intent.quantity
    refusal = _check_balance(state, market, intent, hold)
    if refusal is not None:
        return refusal
    events = result.events
    if result.ended:
        events.append(OrderClosed(symbol, order_id, "EXPIRED_IN_MATCH"))
    elif result.satisfied or (not result.remaining and not intent.quote_quantity):
        events.append(OrderClosed(symbol, order_id, "FILLED"))
    else:
        cause = OUT_OF_RANGE if result.out_of_range else "INSUFFICIENT_LIQUIDITY"
        events.append(OrderClosed(symbol, order_id, "EXPIRED", cause))
    return Beginning(hold, events)


def _other_books(state: SpotState, market: SymbolMarket) -> list[SymbolMarket]:
    return [book for book in state.routed(market.rules.base_asset) if book is not market]


def _check_fitted(market: SymbolMarket, result: Match) -> Refusal | None:
    """A quote quantity becomes a quantity that the lot filters must allow (spot documentation, "reverse MARKET")."""
    rules = market.rules
    if result.executed:
        if result.executed < rules.min_quantity:
            return filters.LOT_SIZE if result.satisfied else _LIQUIDITY_BELOW_LOT
        if rules.max_quantity and result.executed > rules.max_quantity:
            return filters.LOT_SIZE
        return filters.check_market_lot(rules, result.executed)
    if result.ended or result.prevented or result.out_of_range:
        return None
    return filters.LOT_SIZE if result.satisfied else _LIQUIDITY_NONE


def _check_balance(state: SpotState, market: SymbolMarket, intent: Intent, needed: int) -> Refusal | None:
    asset = market.rules.quote_asset if intent.is_buy else market.rules.base_asset
    free = state.ledger.free(intent.account_id, asset) + intent.held
    if free < needed:
        return Refusal(Reason.BALANCE_INSUFFICIENT, (asset, free, needed))
    return None
