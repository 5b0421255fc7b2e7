"""What the spot shard asks of the market participants, who live in another room but in the same state.

A participant is a program: what it remembers is a few integers per symbol, dumped with the shard. Its quotes are not
orders: they stand in the book beside the accounts' orders, are taken like them, and are replaced as a whole at its
next tick. At one price the accounts' orders come first, because quotes are younger: they are renewed at each tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from sparekey.venue.events import MarketOpened

#: (price, quantity), both in 1e-8 units.
Level = tuple[int, int]


class Taker(msgspec.Struct, frozen=True, gc=False):
    """A participant's taker order: takes what it finds at the touch, and behind it as far as its quantity goes."""

    is_buy: bool
    quantity: int


class Participants(Protocol):
    """Pure. `event_types` are the participants' own events, which only `apply` understands."""

    event_types: tuple[type, ...]

    def apply_opened(self, event: MarketOpened) -> None:
        """The market opens: remember its symbols, seed and prices. Quotes stand from now on."""
        ...

    def bids(self, symbol: str) -> Sequence[Level]:
        """Quotes of a symbol, best first, whole (what was taken since is the book's business); empty without any."""
        ...

    def asks(self, symbol: str) -> Sequence[Level]: ...

    def decide_tick(self, elapsed_us: int) -> tuple[Any, Mapping[str, Sequence[Taker]]]:
        """One event that renews all quotes, and the takers who then act, by symbol in a fixed order."""
        ...

    def decide_requote(self, symbol: str, price: int) -> Any:
        """The event after recorded prints: quotes of `symbol` stand around `price` from now on."""
        ...

    def decide_release(self, symbol: str) -> Any | None:
        """The event after which participants trade a recorded symbol themselves; None if it is not recorded."""
        ...

    def apply(self, event: Any) -> None: ...

    def note_taken(self, symbol: str, quote_quantity: int, is_buy: bool) -> None:
        """An account bought from (`is_buy`) or sold to the participants; called by `apply` alone, so it is replayed."""
        ...

    def dump(self) -> Any: ...

    def load(self, data: Any) -> None: ...


class NoParticipants:
    """`--market none`: the books hold the accounts' orders alone."""

    event_types: tuple[type, ...] = ()

    def apply_opened(self, event: MarketOpened) -> None:
        raise ValueError("a market without participants cannot be opened")

    def bids(self, symbol: str) -> Sequence[Level]:
        return ()

    def asks(self, symbol: str) -> Sequence[Level]:
        return ()

    def decide_tick(self, elapsed_us: int) -> tuple[Any, Mapping[str, Sequence[Taker]]]:
        raise ValueError("there are no participants to act")

    def decide_requote(self, symbol: str, price: int) -> Any:
        raise ValueError("there are no participants to quote")

    def decide_release(self, symbol: str) -> Any | None:
        return None

    def apply(self, event: Any) -> None:
        raise ValueError(f"{type(event).__name__} is no event of an empty market")

    def note_taken(self, symbol: str, quote_quantity: int, is_buy: bool) -> None:
        """Never called: nothing is quoted."""

    def dump(self) -> Any:
        return []

    def load(self, data: Any) -> None:
        if data:
            raise ValueError("the snapshot holds a market with participants")
