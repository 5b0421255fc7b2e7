"""What changed of the books that somebody watches, told once after each command with the quantities as they are then.

Reports are effects: no decision looks at them and the state does not keep them. Whoever applies them in order to the
book as it stood when the watch began has, after each, exactly the book that queries show at the same `update_id`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from sparekey.venue.book import BookSide
from sparekey.venue.effects import BookChanged, Effect
from sparekey.venue.liquidity import Level
from sparekey.venue.spot_state import SpotState

#: More levels than any book has.
_ALL = 2**62


def watch_book(state: SpotState, symbol: str) -> tuple[int, Sequence[Level], Sequence[Level]]:
    """From the next command on changes are reported; this is the book as it stands: update id, bids, asks."""
    market = state.markets[symbol]
    if symbol not in state.watched_books:
        market.bids.touched, market.asks.touched = {}, {}
        market.renewed = False
        state.watched_books[symbol] = market
    return (market.update_id, *state.depth(symbol, _ALL))


def leave_book(state: SpotState, symbol: str) -> None:
    market = state.watched_books.pop(symbol, None)
    if market is not None:
        market.bids.touched = market.asks.touched = None


def report_books(state: SpotState, effects: list[Effect]) -> None:
    """After a command: one report for each watched book that changed."""
    for symbol, market in state.watched_books.items():
        if market.renewed:
            market.renewed = False
            effects.append(BookChanged(symbol, market.update_id, *state.depth(symbol, _ALL), whole=True))
        elif market.bids.touched or market.asks.touched:
            participants = state.participants
            effects.append(
                BookChanged(
                    symbol,
                    market.update_id,
                    _shown(market.bids, participants.bids(symbol), market.taken_bids),
                    _shown(market.asks, participants.asks(symbol), market.taken_asks),
                )
            )
        else:
            continue
        market.bids.touched, market.asks.touched = {}, {}


def _shown(side: BookSide, quotes: Sequence[Level], taken: Mapping[int, int]) -> list[Level]:
    """What stands now at the prices that were touched: orders, and what is left of the quotes."""
    levels, sign = side.levels, -1 if side.is_bid else 1
    shown: list[Level] = []
    for price in side.touched or ():
        level = levels.get(price)
        quantity = 0 if level is None else level.quantity
        at = bisect_left(quotes, price * sign, key=lambda quote: quote[0] * sign)
        if at < len(quotes) and quotes[at][0] == price:
            quantity += max(quotes[at][1] - taken.get(price, 0), 0)
        shown.append((price, quantity))
    return shown
