"""How often something may be tried."""

from __future__ import annotations

import pytest

from sparekey.console.allowances import Allowance, neighbourhood
from sparekey.terms.clocktime import MINUTE_US, SECOND_US

WINDOW_US = 5 * MINUTE_US


class Clock:
    now_us = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_ten_tries_are_taken_and_the_eleventh_is_told_when_to_come_back(clock: Clock) -> None:
    allowance = Allowance(10, WINDOW_US, clock)
    for _ in range(10):
        assert allowance.take("ann") == 0
        clock.now_us += SECOND_US
    assert allowance.take("ann") == 290
    assert allowance.take("bob") == 0


def test_a_refused_try_does_not_put_the_next_one_off(clock: Clock) -> None:
    allowance = Allowance(1, WINDOW_US, clock)
    assert allowance.take("ann") == 0
    for left in range(300, 0, -1):
        assert allowance.take("ann") == left
        clock.now_us += SECOND_US
    assert allowance.take("ann") == 0


def test_any_five_minutes_hold_at_most_ten(clock: Clock) -> None:
    allowance = Allowance(10, WINDOW_US, clock)
    taken: list[int] = []
    for _ in range(2000):
        if allowance.take("ann") == 0:
            taken.append(clock.now_us)
        clock.now_us += SECOND_US
    assert all(later - earlier >= WINDOW_US for earlier, later in zip(taken, taken[10:], strict=False))
    assert len(taken) == 70


def test_part_of_a_second_is_waited_for_as_a_whole_one(clock: Clock) -> None:
    allowance = Allowance(1, WINDOW_US, clock)
    allowance.take("ann")
    clock.now_us += WINDOW_US - 1
    assert allowance.take("ann") == 1
    clock.now_us += 1
    assert allowance.take("ann") == 0


def test_when_the_memory_is_full_whoever_is_new_is_refused_and_nobody_is_forgotten(clock: Clock) -> None:
    allowance = Allowance(1, WINDOW_US, clock, most_subjects=3)
    for name in ("ann", "bob", "cid"):
        assert allowance.take(name) == 0
        clock.now_us += MINUTE_US
    assert allowance.take("dan") == 120
    assert allowance.take("ann") > 0
    clock.now_us += 2 * MINUTE_US
    assert allowance.take("dan") == 0
    assert allowance.take("eve") > 0


@pytest.mark.parametrize(
    ("ip", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_an_ipv6_household_counts_as_one_address(ip: str, counted: str) -> None:
    assert neighbourhood(ip) == counted
