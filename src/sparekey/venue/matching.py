"""Matching: what a taker meets, in the order in which it meets it. Looks at the book and changes nothing.

Better prices first; at one price the accounts' orders by their time, then the participants' quotes, then what icebergs
had hidden. A trade happens at the price of whoever rested.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sparekey.terms.rounding import affordable_quantity, fee, notional
from sparekey.venue.events import Filled, MatchPrevented, OrderClosed
from sparekey.venue.liquidity import Participants
from sparekey.venue.orders import Order
from sparekey.venue.spot_state import SymbolMarket

#: (price, quantity, order); no order where a participant quotes. An iceberg is met in parts.
Offer = tuple[int, int, Order | None]


def offers(market: SymbolMarket, participants: Participants, is_buy: bool) -> Iterator[Offer]:
    """What rests opposite a taker, best first."""
    symbol = market.rules.symbol
    if is_buy:
        side, quotes, taken, sign = market.asks, participants.asks(symbol), market.taken_asks, 1
    else:
        side, quotes, taken, sign = market.bids, participants.bids(symbol), market.taken_bids, -1
    levels = side.levels_from_best()
    level = next(levels, None)
    for price, quantity in quotes:
        hiding = None
        while level is not None and level.price * sign <= price * sign:
            order = level.first
            while order is not None:
                yield level.price, order.shown, order
                order = order.after
            if level.icebergs:
                if level.price == price:
                    hiding = level
                else:
                    for part, order in level.hidden_parts():
                        yield level.price, part, order
            level = next(levels, None)
        left = quantity - taken.get(price, 0) if taken else quantity
        if left > 0:
            yield price, left, None
        if hiding is not None:
            for part, order in hiding.hidden_parts():
                yield price, part, order
    while level is not None:
        order = level.first
        while order is not None:
            yield level.price, order.shown, order
            order = order.after
        if level.icebergs:
            for part, order in level.hidden_parts():
                yield level.price, part, order
        level = next(levels, None)


def best_offer(market: SymbolMarket, participants: Participants, is_buy: bool) -> int:
    """The price that `offers` begins with, 0 where nothing rests: most orders ask no more than that."""
    symbol = market.rules.symbol
    if is_buy:
        best, quotes, taken = market.asks.best_price(), participants.asks(symbol), market.taken_asks
    else:
        best, quotes, taken = market.bids.best_price(), participants.bids(symbol), market.taken_bids
    for price, quantity in quotes:
        if best and (best <= price if is_buy else best >= price):
            break
        if quantity > taken.get(price, 0):
            return price
    return best


class Match:
    """What would happen to a taker: `events` after its `OrderPlaced`, and how it stands then.

    `ended`: self-trade prevention ended the taker. `spent` is the quote amount traded. `out_of_range`: the next price
    was one at which the symbol's execution rule lets nobody take.
    """

    __slots__ = ("ended", "events", "executed", "out_of_range", "prevented", "remaining", "satisfied", "spent")

    def __init__(self, quantity: int) -> None:
        self.events: list[Any] = []
        self.remaining = quantity
        self.executed = 0
        self.spent = 0
        self.prevented = 0
        self.ended = False
        self.out_of_range = False
        #: a taker by quote quantity that cannot afford another step of the lot
        self.satisfied = False


def match(
    market: SymbolMarket,
    participants: Participants,
    *,
    order_id: int,
    account_id: int,
    is_buy: bool,
    limit_price: int,
    quantity: int,
    quote_quantity: int,
    prevention_mode: str,
    bounds: tuple[int, int] | None,
) -> Match:
    """Walk the book. `limit_price` 0: any price. With `quote_quantity` the taker goes by it and `quantity` is 0.

    `bounds`: between which prices the taker may trade, both inclusive; fixed for as long as it takes.
    """
    rules = market.rules
    symbol = rules.symbol
    taker_rate, maker_rate = rules.taker_rate, rules.maker_rate
    result = Match(quantity)
    events = result.events
    trade_id = market.next_trade_id
    prevented_match_id = market.next_prevented_match_id
    remaining, executed, spent = quantity, 0, 0
    #: of icebergs met already: what was taken of them, all if they were prevented
    met: dict[int, int] = {}
    for price, available, maker in offers(market, participants, is_buy):
        if limit_price and (price > limit_price if is_buy else price < limit_price):
            break
        if bounds is not None and not bounds[0] <= price <= bounds[1]:
            result.out_of_range = True
            break
        if quote_quantity:
            remaining = affordable_quantity(quote_quantity - spent, price, rules.step_size)
            if not remaining:
                result.satisfied = True
                break
        if maker is not None and maker.account_id == account_id and prevention_mode != "NONE":
            left = available
            if maker.iceberg_quantity:
                # Whole, as the order that it is: its hidden part could not trade either.
                if maker.order_id in met:
                    continue
                left = met[maker.order_id] = maker.remaining
            amount = min(remaining, left)
            taker_prevented, maker_prevented = _prevented(prevention_mode, remaining, left, amount)
            events.append(
                MatchPrevented(
                    symbol,
                    prevented_match_id,
                    price,
                    order_id,
                    maker.order_id,
                    prevention_mode,
                    taker_prevented,
                    maker_prevented,
                )
            )
            prevented_match_id += 1
            if maker_prevented == left:
                events.append(OrderClosed(symbol, maker.order_id, "EXPIRED_IN_MATCH"))
            if taker_prevented:
                result.prevented += taker_prevented
                remaining -= taker_prevented
                if quote_quantity or not remaining:
                    result.ended = True
                    break
            continue
        filled = remaining if remaining < available else available
        quote = notional(price, filled)
        if is_buy:
            taker_fee = fee(filled, taker_rate)
            maker_fee = fee(quote, maker_rate) if maker is not None else 0
        else:
            taker_fee = fee(quote, taker_rate)
            maker_fee = fee(filled, maker_rate) if maker is not None else 0
        if maker is None:
            events.append(
                Filled(symbol, trade_id, price, filled, quote, not is_buy, order_id, account_id, taker_fee, 0, 0, 0)
            )
        else:
            events.append(
                Filled(
                    symbol,
                    trade_id,
                    price,
                    filled,
                    quote,
                    not is_buy,
                    order_id,
                    account_id,
                    taker_fee,
                    maker.order_id,
                    maker.account_id,
                    maker_fee,
                )
            )
            last = filled == available
            if maker.iceberg_quantity:
                met[maker.order_id] = met.get(maker.order_id, 0) + filled
                last = met[maker.order_id] == maker.remaining
            if last:
                events.append(OrderClosed(symbol, maker.order_id, "FILLED"))
        trade_id += 1
        executed += filled
        spent += quote
        remaining -= filled
        if quote_quantity:
            # Another step may be too dear at this price; then the next, worse one need not be asked for.
            if not affordable_quantity(quote_quantity - spent, price, rules.step_size):
                result.satisfied = True
                break
        elif not remaining:
            break
    result.remaining = remaining
    result.executed = executed
    result.spent = spent
    return result


def _prevented(mode: str, remaining: int, available: int, amount: int) -> tuple[int, int]:
    """Quantities that expire on the taker's and on the maker's side (spot documentation, "STP FAQ").

    TRANSFER acts as DECREMENT here: between orders of one account there is nothing to transfer.
    """
    if mode == "EXPIRE_TAKER":
        return remaining, 0
    if mode == "EXPIRE_MAKER":
        return 0, available
    if mode == "EXPIRE_BOTH":
        return remaining, available
    return amount, amount
