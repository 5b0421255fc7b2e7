"""How often a code of any factor may be tried: at most 5 times in 5 minutes, 20 an hour, 50 a day, over all factors.

Attempts are policy time in int microseconds and part of the shard's state: neither a restart nor another door, nor
tries from many places at once, gives more of them. A right code gives its attempt back, so what is kept are misses.
"""

from __future__ import annotations

from typing import NamedTuple

from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US


class Rule(NamedTuple):
    most: int
    within_us: int
    within: str


RULES = (Rule(5, 5 * MINUTE_US, "5 minutes"), Rule(20, HOUR_US, "an hour"), Rule(50, DAY_US, "a day"))
KEPT_US = max(rule.within_us for rule in RULES)


def with_attempt(attempts: tuple[int, ...], now_us: int) -> tuple[int, ...]:
    """The attempts that still count, and this one. One that is exactly as old as a rule's time counts no longer."""
    return (*(attempt for attempt in attempts if now_us - attempt < KEPT_US), now_us)


def limited_until(attempts: tuple[int, ...], now_us: int) -> tuple[Rule, int] | None:
    """The rule that refuses another attempt for the longest, and when it lets one through again; None: none does."""
    found: tuple[Rule, int] | None = None
    for rule in RULES:
        if len(attempts) >= rule.most:
            until_us = attempts[-rule.most] + rule.within_us
            if until_us > now_us and (found is None or until_us > found[1]):
                found = rule, until_us
    return found
