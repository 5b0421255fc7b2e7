"""When bans cost an account its API access: three within 24 hours, or five within 30 days.

A ban is a strike against an account only if correctly signed calls of that account earned it; who charges one sees to
that. Strikes are policy time in int microseconds and part of the shard's state, so that a restart forgets none.
"""

from __future__ import annotations

from sparekey.terms.clocktime import DAY_US

#: How many strikes, within how long.
RULES: tuple[tuple[int, int], ...] = ((3, DAY_US), (5, 30 * DAY_US))
KEPT_US = max(within_us for _, within_us in RULES)


def with_strike(strikes: tuple[int, ...], now_us: int) -> tuple[int, ...]:
    """The strikes that still count, and this one. One that is exactly as old as a rule's time counts no longer."""
    return (*(strike for strike in strikes if now_us - strike < KEPT_US), now_us)


def are_too_many(strikes: tuple[int, ...], now_us: int) -> bool:
    return any(sum(now_us - strike < within_us for strike in strikes) >= count for count, within_us in RULES)
