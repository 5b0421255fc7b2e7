"""Triggers: what waits for a price is moved to the queue by the print that reaches it."""

from __future__ import annotations

from sparekey.venue.ledger import AssetBooks, Balance
from sparekey.venue.orders import Order
from sparekey.venue.triggers import Triggers


def stop(order_id: int, price: int, *, rises: bool, **more: int) -> Order:
    """A STOP_LOSS fires above for a BUY and below for a SELL."""
    balance = Balance(1, AssetBooks("BTC"))
    side = "BUY" if rises else "SELL"
    return Order(
        *("S", order_id, 1, 1, f"c{order_id}", side, "STOP_LOSS", "", 0, 1, 0, "NONE", 0, 0, 0, -1),
        is_buy=rises,
        base=balance,
        quote=balance,
        stop_price=price,
        **more,
    )


def waiting() -> tuple[Triggers, dict[int, Order]]:
    orders: dict[int, Order] = {}
    triggers = Triggers(orders)
    for order_id, price, rises in ((1, 110, True), (2, 105, True), (3, 105, True), (4, 90, False), (5, 95, False)):
        orders[order_id] = stop(order_id, price, rises=rises)
    orders[6] = stop(6, 95, rises=False)
    for order in orders.values():
        triggers.add(order)
    return triggers, orders


def test_a_rising_print_queues_the_nearest_stops_first_and_older_orders_before_younger() -> None:
    triggers, _ = waiting()
    assert not triggers.cross(104, 0)
    assert list(triggers.queue) == []
    assert triggers.cross(110, 0)
    assert list(triggers.queue) == [2, 3, 1]


def test_a_falling_print_queues_the_nearest_stops_first() -> None:
    triggers, _ = waiting()
    triggers.cross(95, 0)
    assert list(triggers.queue) == [5, 6]
    triggers.cross(1, 0)
    assert list(triggers.queue) == [5, 6, 4]


def test_an_order_that_was_cancelled_is_not_queued() -> None:
    triggers, orders = waiting()
    triggers.remove(orders[2])
    triggers.remove(orders[2])
    triggers.cross(200, 0)
    triggers.remove(orders[3])
    assert list(triggers.queue) == [1]


def test_triggers_survive_a_snapshot() -> None:
    triggers, orders = waiting()
    triggers.cross(95, 0)
    again = Triggers(orders)
    again.load(triggers.dump())
    assert again.dump() == triggers.dump()
    again.cross(300, 0)
    assert list(again.queue) == [5, 6, 2, 3, 1]
    assert again.waiting() == [4, 5, 6, 2, 3, 1]
