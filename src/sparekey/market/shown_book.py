"""A symbol's book as it was told, change by change: what everybody may see, while the state may be a commit ahead.

Made from the book as it stood when the watch began (`venue.book_watch`) and from every `BookChanged` since.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from sparekey.venue.effects import BookChanged

#: (price, quantity); as a change: what is there now, 0 for nothing.
Level = tuple[int, int]


class ShownSide:
    """Bids (`sign` 1) or asks (-1). `keys` ascend to the best: prices times `sign`."""

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, sign: int, levels: Sequence[Level]) -> None:
        self.sign = sign
        self.levels = dict(levels)
        self.keys = [price * sign for price, _ in reversed(levels)]

    def best(self) -> Level:
        """(0, 0) while the side is empty."""
        if not self.keys:
            return 0, 0
        price = self.keys[-1] * self.sign
        return price, self.levels[price]

    def top(self, count: int) -> list[Level]:
        """Best first."""
        levels, sign = self.levels, self.sign
        return [(key * sign, levels[key * sign]) for key in self.keys[: -count - 1 : -1]]

    def change(self, told: Sequence[Level]) -> list[Level]:
        """Take over what was told of some prices; what of it really is a change."""
        levels, keys = self.levels, self.keys
        changes: list[Level] = []
        for level in told:
            price, quantity = level
            before = levels.get(price, 0)
            if quantity == before:
                continue
            changes.append(level)
            if not quantity:
                del levels[price]
                del keys[bisect_left(keys, price * self.sign)]
                continue
            levels[price] = quantity
            if not before:
                keys.insert(bisect_left(keys, price * self.sign), price * self.sign)
        return changes

    def replace(self, told: Sequence[Level]) -> list[Level]:
        """These are all levels now, best first; what that changes."""
        before, levels = self.levels, dict(told)
        changes = [(price, 0) for price in before if price not in levels]
        changes += [level for level in told if before.get(level[0]) != level[1]]
        self.levels = levels
        self.keys = [price * self.sign for price, _ in reversed(told)]
        return changes


class ShownBook:
    """`update_id` is the symbol's at the last change that was told."""

    __slots__ = ("asks", "bids", "update_id")

    def __init__(self, update_id: int, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        self.update_id = update_id
        self.bids = ShownSide(1, bids)
        self.asks = ShownSide(-1, asks)

    def hear(self, told: BookChanged) -> tuple[list[Level], list[Level]]:
        """What changed, bids and asks, in no particular order."""
        self.update_id = told.update_id
        if told.whole:
            return self.bids.replace(told.bids), self.asks.replace(told.asks)
        return self.bids.change(told.bids), self.asks.change(told.asks)
