"""Orders that wait for a price: sorted by it on both sides of the last one, moved to a queue by the print that crosses.

A trigger does not act where it is crossed: the print belongs to a match that is still going on. It joins the queue and
acts as a step of its own after that match, in the order in which prints crossed them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any

from sparekey.venue.orders import Order

#: (stop price, order id)
Trigger = tuple[int, int]

#: Order types that wait for a price before they act: as a MARKET order, and as a LIMIT order.
STOPS_TO_MARKET = frozenset(("STOP_LOSS", "TAKE_PROFIT"))
STOPS_TO_LIMIT = frozenset(("STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"))
STOPS = STOPS_TO_MARKET | STOPS_TO_LIMIT


def fires_above(order_type: str, is_buy: bool) -> bool:
    """Whether the price must come up to the stop price, or else down (spot documentation, "New order")."""
    return is_buy == order_type.startswith("STOP_LOSS")


class Triggers:
    """Of one symbol; `orders` are its open ones by id.

    `rising` wait for the price to come up to them, `falling` for it to come down. `queue` holds, in order, the ids of
    orders that begin with the next internal steps.
    """

    __slots__ = ("_orders", "falling", "queue", "rising")

    def __init__(self, orders: Mapping[int, Order]) -> None:
        self._orders = orders
        self.rising: list[Trigger] = []
        self.falling: list[Trigger] = []
        self.queue: dict[int, None] = {}

    def add(self, order: Order) -> None:
        insort(self._side(order), (order.stop_price, order.order_id))

    def remove(self, order: Order) -> None:
        """Wherever it waits, or nowhere: an order that is not let in yet waits elsewhere."""
        if order.order_id in self.queue:
            del self.queue[order.order_id]
            return
        waiting, trigger = self._side(order), (order.stop_price, order.order_id)
        at = bisect_left(waiting, trigger)
        if at < len(waiting) and waiting[at] == trigger:
            del waiting[at]

    def cross(self, price: int) -> bool:
        """A print at this price: what it reaches joins the queue, nearest stop first, older orders first.

        True if anything did.
        """
        reached: list[int] = []
        if self.rising and self.rising[0][0] <= price:
            end = bisect_left(self.rising, (price + 1, 0))
            reached = [order_id for _, order_id in self.rising[:end]]
            del self.rising[:end]
        if self.falling and self.falling[-1][0] >= price:
            first = bisect_left(self.falling, (price, 0))
            # Highest stop first; among equal stops the older order, which has the smaller id.
            reached += [order_id for _, order_id in sorted(self.falling[first:], key=lambda one: (-one[0], one[1]))]
            del self.falling[first:]
        self.queue.update(dict.fromkeys(reached))
        return bool(reached)

    def waiting(self) -> list[int]:
        """Ids of all orders that wait here, the crossed ones included."""
        return [order_id for _, order_id in (*self.rising, *self.falling)] + list(self.queue)

    def _side(self, order: Order) -> list[Trigger]:
        return self.rising if fires_above(order.type, order.is_buy) else self.falling

    def dump(self) -> list[Any]:
        return [[list(one) for one in self.rising], [list(one) for one in self.falling], list(self.queue)]

    def load(self, data: Any) -> None:
        rising, falling, queue = data
        self.rising = [(price, order_id) for price, order_id in rising]
        self.falling = [(price, order_id) for price, order_id in falling]
        self.queue = dict.fromkeys(queue)
