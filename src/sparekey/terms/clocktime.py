"""Time as int microseconds UTC, and the durations that people type."""

from __future__ import annotations

MILLISECOND_US = 1_000
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_UNITS = {"ms": MILLISECOND_US, "s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US}


def parse_duration_us(text: str) -> int:
    """`"91d"`, `"+3s"`, `"-250ms"` → microseconds. Raises ValueError with a sentence that says what is expected."""
    body = text.strip()
    sign = -1 if body.startswith("-") else 1
    body = body.lstrip("+-")
    for unit in ("ms", "s", "m", "h", "d"):
        number = body.removesuffix(unit)
        if number != body and number.isascii() and number.isdigit() and len(number) <= 12:
            return sign * int(number) * _UNITS[unit]
    raise ValueError(f"{text!r} is no duration; expected a whole number and a unit, such as 91d, 12h, 5m, +3s or 250ms")
