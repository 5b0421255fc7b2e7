"""What keys did lately, read from the call log for pages: calls per hour as a heat map, and recent refusals.

The log is files, so that all of it is read on a thread. Times are wall time, as in the log; days and hours are UTC.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from markupsafe import Markup

from sparekey.console.charts import HeatCell, heat_map
from sparekey.storage.calls import CallLog, HourOfKey
from sparekey.terms.clocktime import DAY_US, HOUR_US, SECOND_US
from sparekey.watch.calls import CallEntry

HEAT_DAYS: Final = 30
_NOTHING = HeatCell(0, 0)


class DayOfKey(NamedTuple):
    """For the table beside a heat map."""

    day: str
    calls: int
    refused: int


class KeyHeat(NamedTuple):
    """`drawing` is SVG; `days` holds those with calls, the newest first."""

    drawing: Markup
    days: Sequence[DayOfKey]
    calls: int
    refused: int


class Activity:
    def __init__(self, calls: CallLog, wall_us: Callable[[], int]) -> None:
        self._calls = calls
        self._wall_us = wall_us

    async def key_heat(self, api_key: str, id: str = "heat") -> KeyHeat:
        """Calls with a key, hour by hour for 30 days. `id` is the drawing's on its page."""
        today = self._wall_us() // DAY_US
        since_us = (today - HEAT_DAYS + 1) * DAY_US
        return draw_heat(await asyncio.to_thread(self._calls.hours_of, api_key, since_us), today, id)

    async def refusals(self, api_keys: Sequence[str], limit: int = 10) -> list[CallEntry]:
        """The newest refused calls with any of these keys, newest first."""
        return await asyncio.to_thread(self._calls.refusals, frozenset(api_keys), limit)


def draw_heat(hours: Sequence[HourOfKey], today: int, id: str) -> KeyHeat:
    """`today` counts days since 1970; hours of other days than the last thirty are left out."""
    cells: dict[int, HeatCell] = {}
    for hour in hours:
        cells[hour.hour_us // HOUR_US] = HeatCell(hour.calls, hour.refused)
    columns, days = [], []
    for number in range(today - HEAT_DAYS + 1, today + 1):
        name = datetime.fromtimestamp(number * (DAY_US // SECOND_US), UTC).strftime("%Y-%m-%d")
        of_day = [cells.get(number * 24 + hour, _NOTHING) for hour in range(24)]
        columns.append((name[5:], of_day))
        days.append(DayOfKey(name, sum(cell.calls for cell in of_day), sum(cell.refused for cell in of_day)))
    calls, refused = sum(day.calls for day in days), sum(day.refused for day in days)
    title = f"Calls per hour of the last {HEAT_DAYS} days"
    text = f"{calls:,} calls, {refused:,} of them refused."
    if calls:
        busiest = max(days, key=lambda day: day.calls)
        text += f" The busiest day was {busiest.day} with {busiest.calls:,}."
    busy = [day for day in reversed(days) if day.calls]
    return KeyHeat(heat_map(id, title, text, columns), busy, calls, refused)
