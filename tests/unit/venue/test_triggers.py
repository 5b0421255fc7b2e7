"""Triggers: what waits for a price is moved to the queue by the print that reaches it."""

from __future__ import annotations

from sparekey.venue.triggers import Triggers


def waiting() -> Triggers:
    triggers = Triggers()
    for order_id, stop, rises in ((1, 110, True), (2, 105, True), (3, 105, True), (4, 90, False), (5, 95, False)):
        triggers.add(order_id, stop, rises=rises)
    triggers.add(6, 95, rises=False)
    return triggers


def test_a_rising_print_queues_the_nearest_stops_first_and_older_orders_before_younger() -> None:
    triggers = waiting()
    triggers.cross(104)
    assert triggers.queue == []
    triggers.cross(110)
    assert triggers.queue == [2, 3, 1]


def test_a_falling_print_queues_the_nearest_stops_first() -> None:
    triggers = waiting()
    triggers.cross(95)
    assert triggers.queue == [5, 6]
    triggers.cross(1)
    assert triggers.queue == [5, 6, 4]


def test_an_order_that_was_cancelled_is_not_queued() -> None:
    triggers = waiting()
    assert triggers.remove(2, 105, rises=True)
    assert not triggers.remove(2, 105, rises=True)
    triggers.cross(200)
    assert triggers.queue == [3, 1]


def test_triggers_survive_a_snapshot() -> None:
    triggers = waiting()
    triggers.cross(95)
    again = Triggers()
    again.load(triggers.dump())
    assert again.dump() == triggers.dump()
    again.cross(300)
    assert again.queue == [5, 6, 2, 3, 1]
