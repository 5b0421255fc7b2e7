"""The accounts' resting orders of one symbol, by price and then by time.

A dictionary of levels, each a linked list of orders, and a sorted list of prices with the best at its end: new prices
appear near the touch, where inserting is nearly free.

An iceberg shows a part of itself. When that part is taken the next one is shown, behind all others of the price.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator

from sparekey.venue.orders import Order


class BookLevel:
    """One price. `quantity` is what its orders together show; `icebergs` of them hide more."""

    __slots__ = ("first", "icebergs", "last", "price", "quantity")

    def __init__(self, price: int) -> None:
        self.price = price
        self.quantity = 0
        self.icebergs = 0
        self.first: Order | None = None
        self.last: Order | None = None

    def link(self, order: Order) -> None:
        """Behind all others."""
        last = self.last
        if last is None:
            self.first = order
        else:
            last.after = order
            order.before = last
        self.last = order

    def unlink(self, order: Order) -> None:
        before, after = order.before, order.after
        if before is None:
            self.first = after
        else:
            before.after = after
        if after is None:
            self.last = before
        else:
            after.before = before
        order.before = order.after = None

    def renew(self, order: Order, quantity: int) -> None:
        """So much of an iceberg's visible part was taken. When nothing is left of it, the next part is shown."""
        self.quantity -= quantity
        order.visible -= quantity
        if not order.visible and order.remaining:
            order.visible = min(order.iceberg_quantity, order.remaining)
            self.quantity += order.visible
            self.unlink(order)
            self.link(order)

    def hidden_parts(self) -> Iterator[tuple[int, Order]]:
        """(quantity, order) that a taker meets after all that the level shows: the next parts of its icebergs in turn,
        each behind the others.
        """
        hidden: deque[tuple[int, Order]] = deque()
        order = self.first
        while order is not None:
            if order.iceberg_quantity and order.remaining > order.visible:
                hidden.append((order.remaining - order.visible, order))
            order = order.after
        while hidden:
            left, order = hidden.popleft()
            part = min(order.iceberg_quantity, left)
            yield part, order
            if left > part:
                hidden.append((left - part, order))


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
        price = order.working_price
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
        level.link(order)
        order.level = level
        if order.iceberg_quantity:
            level.icebergs += 1
        level.quantity += order.shown

    def remove(self, order: Order) -> None:
        """Take an order off; what remains of it goes off the level's quantity. Cuts its links."""
        level: BookLevel = order.level
        if self.touched is not None:
            self.touched[level.price] = None
        level.unlink(order)
        order.level = None
        if order.iceberg_quantity:
            level.icebergs -= 1
        level.quantity -= order.shown
        if level.first is None:
            del self.levels[level.price]
            key = level.price if self.is_bid else -level.price
            keys = self.keys
            if keys[-1] == key:
                keys.pop()
            else:
                del keys[bisect_left(keys, key)]

    def lessen(self, order: Order, quantity: int) -> None:
        """An order has so much less remaining, which does not come out of an iceberg's visible part before it must."""
        level: BookLevel = order.level
        if order.iceberg_quantity:
            quantity = max(order.visible - order.remaining, 0)
            order.visible -= quantity
        level.quantity -= quantity

    def levels_from_best(self) -> Iterator[BookLevel]:
        levels = self.levels
        if self.is_bid:
            for key in reversed(self.keys):
                yield levels[key]
        else:
            for key in reversed(self.keys):
                yield levels[-key]

    def parts_from_best(self) -> Iterator[tuple[int, Order]]:
        """(quantity, order) in the order in which a taker meets them; an iceberg comes in several parts."""
        for level in self.levels_from_best():
            order = level.first
            while order is not None:
                yield order.shown, order
                order = order.after
            if level.icebergs:
                yield from level.hidden_parts()

    def orders_from_best(self) -> Iterator[Order]:
        for level in self.levels_from_best():
            order = level.first
            while order is not None:
                yield order
                order = order.after
