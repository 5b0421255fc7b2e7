"""Orders that wait for a price: sorted by it on both sides of the last one, moved to a queue by the print that crosses.

Trailing stops wait for a way back from the best price that they have seen. Those with a stop price wait for that one
first, among the others; the print that reaches it is the first that they see.

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

#: `trailingDelta` counts in these: 100 is 1 %.
BASIS_POINTS = 10_000


def fires_above(order_type: str, is_buy: bool) -> bool:
    """Whether the price must come up to the stop price, or else down (spot documentation, "New order")."""
    return is_buy == order_type.startswith("STOP_LOSS")


class Triggers:
    """Of one symbol; `orders` are its open ones by id.

    `rising` wait for the price to come up to them, `falling` for it to come down. `queue` holds, in order, the ids of
    orders that begin with the next internal steps; `trailing` are those that track the price, by id.
    """

    __slots__ = ("_orders", "falling", "queue", "rising", "trailing")

    def __init__(self, orders: Mapping[int, Order]) -> None:
        self._orders = orders
        self.rising: list[Trigger] = []
        self.falling: list[Trigger] = []
        self.trailing: dict[int, Order] = {}
        self.queue: dict[int, None] = {}

    def add(self, order: Order) -> None:
        if order.trailing_us >= 0:
            self.trailing[order.order_id] = order
        else:
            insort(self._side(order), (order.stop_price, order.order_id))

    def remove(self, order: Order) -> None:
        """Wherever it waits, or nowhere: an order that is not let in yet waits elsewhere."""
        if order.order_id in self.queue:
            del self.queue[order.order_id]
            return
        if self.trailing.pop(order.order_id, None) is not None:
            return
        waiting, trigger = self._side(order), (order.stop_price, order.order_id)
        at = bisect_left(waiting, trigger)
        if at < len(waiting) and waiting[at] == trigger:
            del waiting[at]

    def cross(self, price: int, time_us: int) -> bool:
        """A print at this price: what it reaches joins the queue, nearest stop first, older orders first; then trailing
        stops, older ones first. True if anything did.
        """
        if not (self.rising or self.falling or self.trailing):
            return False
        reached: list[int] = []
        turned = [order.order_id for order in self.trailing.values() if _track(order, price)]
        if self.rising and self.rising[0][0] <= price:
            end = bisect_left(self.rising, (price + 1, 0))
            reached = [order_id for _, order_id in self.rising[:end]]
            del self.rising[:end]
        if self.falling and self.falling[-1][0] >= price:
            first = bisect_left(self.falling, (price, 0))
            # Highest stop first; among equal stops the older order, which has the smaller id.
            reached += [order_id for _, order_id in sorted(self.falling[first:], key=lambda one: (-one[0], one[1]))]
            del self.falling[first:]
        for order_id in reached:
            order = self._orders[order_id]
            if order.trailing_delta:
                order.trailing_us = time_us
                order.best_seen = price
                self.trailing[order_id] = order
            else:
                self.queue[order_id] = None
        for order_id in sorted(turned):
            del self.trailing[order_id]
            self.queue[order_id] = None
        return bool(self.queue)

    def waiting(self) -> list[int]:
        """Ids of all orders that wait here, the crossed ones included."""
        return [order_id for _, order_id in (*self.rising, *self.falling)] + list(self.trailing) + list(self.queue)

    def _side(self, order: Order) -> list[Trigger]:
        return self.rising if fires_above(order.type, order.is_buy) else self.falling

    def dump(self) -> list[Any]:
        """Without trailing stops, which `add` takes in again: all that is to know of them is in the orders."""
        return [[list(one) for one in self.rising], [list(one) for one in self.falling], list(self.queue)]

    def load(self, data: Any) -> None:
        rising, falling, queue = data
        self.rising = [(price, order_id) for price, order_id in rising]
        self.falling = [(price, order_id) for price, order_id in falling]
        self.queue = dict.fromkeys(queue)


def _track(order: Order, price: int) -> bool:
    """Whether a trailing stop triggers at a print, or else it remembers a price that is better for it.

    Exact: instead of taking basis points off the best price, which would round, both sides are multiplied.
    """
    best = order.best_seen
    if not best or (price < best if order.is_buy else price > best):
        order.best_seen = price
        return False
    if order.is_buy:
        return price * BASIS_POINTS >= best * (BASIS_POINTS + order.trailing_delta)
    return price * BASIS_POINTS <= best * (BASIS_POINTS - order.trailing_delta)
