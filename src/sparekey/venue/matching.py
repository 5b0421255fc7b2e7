"""Matching: what a taker meets, in the order in which it meets it. Looks at the book and changes nothing.

Better prices first; at one price the accounts' orders by their time, then the participants' quotes, then what icebergs
had hidden. A trade happens at the price of whoever rested.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from typing import Any

from sparekey.terms.rounding import affordable_quantity, fee, floor_to_step, notional
from sparekey.venue.events import Allocated, Filled, MatchPrevented, OrderClosed
from sparekey.venue.liquidity import Participants
from sparekey.venue.orders import Order
from sparekey.venue.spot_state import SymbolMarket

#: (price, quantity, order, book); no order where a participant quotes. An iceberg is met in parts.
Offer = tuple[int, int, Order | None, SymbolMarket]


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
                yield level.price, order.visible if order.iceberg_quantity else order.remaining, order, market
                order = order.after
            if level.icebergs:
                if level.price == price:
                    hiding = level
                else:
                    for part, order in level.hidden_parts():
                        yield level.price, part, order, market
            level = next(levels, None)
        left = quantity - taken.get(price, 0) if taken else quantity
        if left > 0:
            yield price, left, None, market
        if hiding is not None:
            for part, order in hiding.hidden_parts():
                yield price, part, order, market
    while level is not None:
        order = level.first
        while order is not None:
            yield level.price, order.visible if order.iceberg_quantity else order.remaining, order, market
            order = order.after
        if level.icebergs:
            for part, order in level.hidden_parts():
                yield level.price, part, order, market
        level = next(levels, None)


def routed_offers(markets: Sequence[SymbolMarket], participants: Participants, is_buy: bool) -> Iterator[Offer]:
    """Of several books as of one: best first, and at one price in the order of the books."""
    sign = 1 if is_buy else -1
    return merge(*(offers(market, participants, is_buy) for market in markets), key=lambda offer: offer[0] * sign)


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
    routed_to: Sequence[SymbolMarket] = (),
) -> Match:
    """Walk the book. `limit_price` 0: any price. With `quote_quantity` the taker goes by it and `quantity` is 0.

    `bounds`: between which prices the taker may trade, both inclusive; fixed for as long as it takes. `routed_to`:
    other books to walk as well; what they give is allocated to the taker.
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
    met: dict[tuple[str, int], int] = {}
    routing: _Routing | None = None
    walk = offers(market, participants, is_buy)
    if routed_to:
        routing = _Routing(market)
        walk = routed_offers((market, *routed_to), participants, is_buy)
    for price, available, maker, book in walk:
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
                key = book.rules.symbol, maker.order_id
                if key in met:
                    continue
                left = met[key] = maker.remaining
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
                    "" if book is market else book.rules.symbol,
                )
            )
            prevented_match_id += 1
            if maker_prevented == left:
                events.append(OrderClosed(book.rules.symbol, maker.order_id, "EXPIRED_IN_MATCH"))
            if taker_prevented:
                result.prevented += taker_prevented
                remaining -= taker_prevented
                if quote_quantity or not remaining:
                    result.ended = True
                    break
            continue
        filled = remaining if remaining < available else available
        if book is not market:
            assert routing is not None
            filled = floor_to_step(filled, book.rules.step_size)
            if not filled:
                continue
            allocated = routing.allocate(book, order_id, account_id, is_buy, price, filled, maker)
            events.append(allocated)
            quote = allocated.quote_quantity
        else:
            quote = notional(price, filled)
            if is_buy:
                taker_fee = fee(filled, taker_rate)
                maker_fee = fee(quote, maker_rate) if maker is not None else 0
            else:
                taker_fee = fee(quote, taker_rate)
                maker_fee = fee(filled, maker_rate) if maker is not None else 0
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
                    0 if maker is None else maker.order_id,
                    0 if maker is None else maker.account_id,
                    maker_fee,
                )
            )
            trade_id += 1
        if maker is not None:
            last = filled == available
            if maker.iceberg_quantity:
                key = book.rules.symbol, maker.order_id
                met[key] = met.get(key, 0) + filled
                last = met[key] == maker.remaining
            if last:
                events.append(OrderClosed(book.rules.symbol, maker.order_id, "FILLED"))
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


class _Routing:
    """What becomes of a routed taker on other books: ids run on over one walk."""

    __slots__ = ("_allocation_id", "_market", "_trade_ids")

    def __init__(self, market: SymbolMarket) -> None:
        self._market = market
        self._allocation_id = market.next_allocation_id
        self._trade_ids: dict[str, int] = {}

    def allocate(
        self,
        book: SymbolMarket,
        order_id: int,
        account_id: int,
        is_buy: bool,
        price: int,
        quantity: int,
        maker: Order | None,
    ) -> Allocated:
        rules, source = self._market.rules, book.rules
        quote = notional(price, quantity)
        trade_id = self._trade_ids.get(source.symbol, book.next_trade_id)
        received, given = (quantity, quote) if is_buy else (quote, quantity)
        allocated = Allocated(
            rules.symbol,
            order_id,
            account_id,
            self._allocation_id,
            fee(received, rules.taker_rate),
            price,
            quantity,
            quote,
            source.symbol,
            trade_id,
            not is_buy,
            0 if maker is None else maker.order_id,
            0 if maker is None else maker.account_id,
            0 if maker is None else fee(given, source.maker_rate),
        )
        self._allocation_id += 1
        self._trade_ids[source.symbol] = trade_id + 1
        return allocated


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
