"""Orders that wait for a price: sorted by it on both sides of the last one, moved to a queue by the print that crosses.

A trigger does not act where it is crossed: the print belongs to a match that is still going on. It joins the queue and
acts as a step of its own after that match, in the order in which prints crossed them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

#: (stop price, order id)
Trigger = tuple[int, int]


class Triggers:
    """Of one symbol. `rising` fire when the price comes up to them, `falling` when it comes down."""

    __slots__ = ("falling", "queue", "rising")

    def __init__(self) -> None:
        self.rising: list[Trigger] = []
        self.falling: list[Trigger] = []
        #: order ids that were crossed and have not acted yet
        self.queue: list[int] = []

    def add(self, order_id: int, stop_price: int, *, rises: bool) -> None:
        insort(self.rising if rises else self.falling, (stop_price, order_id))

    def remove(self, order_id: int, stop_price: int, *, rises: bool) -> bool:
        """False if it is not waiting (any more)."""
        waiting = self.rising if rises else self.falling
        at = bisect_left(waiting, (stop_price, order_id))
        if at < len(waiting) and waiting[at] == (stop_price, order_id):
            del waiting[at]
            return True
        return False

    def cross(self, price: int) -> None:
        """A print at this price: what it reaches joins the queue, nearest stop first, older orders first."""
        if self.rising and self.rising[0][0] <= price:
            reached = bisect_left(self.rising, (price + 1, 0))
            self.queue += [order_id for _, order_id in self.rising[:reached]]
            del self.rising[:reached]
        if self.falling and self.falling[-1][0] >= price:
            first = bisect_left(self.falling, (price, 0))
            # Highest stop first; among equal stops the older order, which has the smaller id.
            self.queue += [order_id for _, order_id in sorted(self.falling[first:], key=lambda one: (-one[0], one[1]))]
            del self.falling[first:]

    def dump(self) -> list[Any]:
        return [[list(one) for one in self.rising], [list(one) for one in self.falling], list(self.queue)]

    def load(self, data: Any) -> None:
        rising, falling, queue = data
        self.rising = [(price, order_id) for price, order_id in rising]
        self.falling = [(price, order_id) for price, order_id in falling]
        self.queue = list(queue)
