"""Time as int microseconds UTC, the civil calendar with integers, and the durations that people type."""

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


# Days are counted from the epoch; years here begin in March, so that the leap day is the last of its year.
_DAYS_TO_MARCH_0000 = 719_468
_DAYS_IN_400_YEARS = 146_097


def month_of(day: int) -> tuple[int, int]:
    """(year, month) of a day since the epoch."""
    era, day_of_era = divmod(day + _DAYS_TO_MARCH_0000, _DAYS_IN_400_YEARS)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    return era * 400 + year_of_era + (month <= 2), month


def first_day_of(year: int, month: int) -> int:
    """Day since the epoch on which a month begins."""
    if month <= 2:
        year -= 1
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * _DAYS_IN_400_YEARS + day_of_era - _DAYS_TO_MARCH_0000


def date_of(time_us: int) -> str:
    """The day in UTC, as YYYY-MM-DD."""
    day = time_us // DAY_US
    year, month = month_of(day)
    return f"{year:04}-{month:02}-{day - first_day_of(year, month) + 1:02}"


def is_date(year: int, month: int, day: int) -> bool:
    """Whether the calendar has this day."""
    if not 1 <= month <= 12:
        return False
    return 1 <= day <= first_day_of(year + month // 12, month % 12 + 1) - first_day_of(year, month)
