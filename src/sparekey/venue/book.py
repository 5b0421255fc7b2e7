"""The accounts' resting orders of one symbol, by price and then by time.

A dictionary of levels, each a linked list of orders, and a sorted list of prices with the best at its end: new prices
appear near the touch, where inserting is nearly free.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from sparekey.venue.orders import Order


class BookLevel:
    """One price. `quantity` is what its orders together still want to trade."""

    __slots__ = ("first", "last", "price", "quantity")

    def __init__(self, price: int) -> None:
        self.price = price
        self.quantity = 0
        self.first: Order | None = None
        self.last: Order | None = None


class BookSide:
    """Bids or asks. `keys` ascend to the best: prices for bids, negated prices for asks.

    `touched`: prices at which something changed since it was last told, None while nobody watches this book. Whoever
    changes a level's quantity, or what is left of a quote, touches its price; adding and removing do so themselves.
    """

    __slots__ = ("is_bid", "keys", "levels", "touched")

    def __init__(self, is_bid: bool) -> None:
        self.is_bid = is_bid
        self.keys: list[int] = []
        self.levels: dict[int, BookLevel] = {}
        self.touched: dict[int, None] | None = None

    def best_price(self) -> int:
        """0 while the side is empty."""
        if not self.keys:
            return 0
        key = self.keys[-1]
        return key if self.is_bid else -key

    def add(self, order: Order) -> None:
        """Behind all others of its price."""
        price = order.price
        if self.touched is not None:
            self.touched[price] = None
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = BookLevel(price)
            key = price if self.is_bid else -price
            keys = self.keys
            if not keys or key > keys[-1]:
                keys.append(key)
            else:
                keys.insert(bisect_left(keys, key), key)
        last = level.last
        if last is None:
            level.first = order
        else:
            last.after = order
            order.before = last
        level.last = order
        order.level = level
        level.quantity += order.remaining

    def remove(self, order: Order) -> None:
        """Take an order off; what remains of it goes off the level's quantity. Cuts its links."""
        level: BookLevel = order.level
        if self.touched is not None:
            self.touched[level.price] = None
        before, after = order.before, order.after
        if before is None:
            level.first = after
        else:
            before.after = after
        if after is None:
            level.last = before
        else:
            after.before = before
        order.level = order.before = order.after = None
        level.quantity -= order.remaining
        if level.first is None:
            del self.levels[level.price]
            key = level.price if self.is_bid else -level.price
            keys = self.keys
            if keys[-1] == key:
                keys.pop()
            else:
                del keys[bisect_left(keys, key)]

    def levels_from_best(self) -> Iterator[BookLevel]:
        levels = self.levels
        if self.is_bid:
            for key in reversed(self.keys):
                yield levels[key]
        else:
            for key in reversed(self.keys):
                yield levels[-key]

    def orders_from_best(self) -> Iterator[Order]:
        for level in self.levels_from_best():
            order = level.first
            while order is not None:
                yield order
                order = order.after
