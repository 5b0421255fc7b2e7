"""Candles: their fields, how smaller ones make a larger one, and where Binance's sixteen intervals begin.

Months and weeks are reckoned on the civil calendar with integers; a time zone only shifts where buckets begin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US, SECOND_US, first_day_of, month_of

#: Length in microseconds of the intervals that have one; a month (1M) has none.
INTERVALS_US = {
    "1s": SECOND_US,
    "1m": MINUTE_US,
    "3m": 3 * MINUTE_US,
    "5m": 5 * MINUTE_US,
    "15m": 15 * MINUTE_US,
    "30m": 30 * MINUTE_US,
    "1h": HOUR_US,
    "2h": 2 * HOUR_US,
    "4h": 4 * HOUR_US,
    "6h": 6 * HOUR_US,
    "8h": 8 * HOUR_US,
    "12h": 12 * HOUR_US,
    "1d": DAY_US,
    "3d": 3 * DAY_US,
    "1w": 7 * DAY_US,
}
MONTH = "1M"
#: The epoch was a Thursday; weeks open on Monday.
_MONDAY_US = -3 * DAY_US


class Candle(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One bucket. Prices and amounts in 1e-8 units; `taker_*` is what takers bought. Empty: no trades, one price."""

    open_us: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trades: int
    taker_volume: int
    taker_quote_volume: int
    span_us: int = MINUTE_US

    @property
    def close_us(self) -> int:
        """Last microsecond of the bucket."""
        return self.open_us + self.span_us - 1


def empty_candle(open_us: int, span_us: int, price: int) -> Candle:
    """Nothing traded: the price before goes on."""
    return Candle(open_us, price, price, price, price, 0, 0, 0, 0, 0, span_us)


def print_candle(
    open_us: int, span_us: int, price: int, quantity: int, quote_quantity: int, buyer_is_maker: bool
) -> Candle:
    """The bucket after its first print."""
    taker = (0, 0) if buyer_is_maker else (quantity, quote_quantity)
    return Candle(open_us, price, price, price, price, quantity, quote_quantity, 1, *taker, span_us)


def add_print(candle: Candle, price: int, quantity: int, quote_quantity: int, buyer_is_maker: bool) -> Candle:
    """The bucket after one print more."""
    bought = not buyer_is_maker
    return Candle(
        candle.open_us,
        candle.open,
        price if price > candle.high else candle.high,
        price if price < candle.low else candle.low,
        price,
        candle.volume + quantity,
        candle.quote_volume + quote_quantity,
        candle.trades + 1,
        candle.taker_volume + quantity if bought else candle.taker_volume,
        candle.taker_quote_volume + quote_quantity if bought else candle.taker_quote_volume,
        candle.span_us,
    )


def join_candles(parts: Iterable[Candle], open_us: int, span_us: int) -> Candle | None:
    """One candle of consecutive ones, ascending; empty ones count only where there is nothing else. None without any.

    The parts' own times are not looked at.
    """
    quiet: Candle | None = None
    first = last = 0
    high = low = volume = quote_volume = trades = taker_volume = taker_quote_volume = 0
    for part in parts:
        if not part.trades:
            quiet = part
            continue
        if not trades:
            first, high, low = part.open, part.high, part.low
        else:
            high = part.high if part.high > high else high
            low = part.low if part.low < low else low
        last = part.close
        volume += part.volume
        quote_volume += part.quote_volume
        trades += part.trades
        taker_volume += part.taker_volume
        taker_quote_volume += part.taker_quote_volume
    if trades:
        return Candle(
            open_us,
            first,
            high,
            low,
            last,
            volume,
            quote_volume,
            trades,
            taker_volume,
            taker_quote_volume,
            span_us,
        )
    return None if quiet is None else empty_candle(open_us, span_us, quiet.close)


# --- where buckets begin ---------------------------------------------------------------------------------------------


def bucket_open_us(interval: str, time_us: int, zone_offset_us: int = 0) -> int:
    """Open time (UTC) of the bucket that `time_us` (UTC) falls into; `zone_offset_us` east of UTC is positive."""
    local_us = time_us + zone_offset_us
    if interval == MONTH:
        year, month = month_of(local_us // DAY_US)
        return first_day_of(year, month) * DAY_US - zone_offset_us
    length_us = INTERVALS_US[interval]
    start_us = _MONDAY_US if interval == "1w" else 0
    return (local_us - start_us) // length_us * length_us + start_us - zone_offset_us


def next_open_us(interval: str, open_us: int, zone_offset_us: int = 0) -> int:
    """Open time of the bucket after the one that opens at `open_us`."""
    if interval != MONTH:
        return open_us + INTERVALS_US[interval]
    year, month = month_of((open_us + zone_offset_us) // DAY_US)
    return first_day_of(year + month // 12, month % 12 + 1) * DAY_US - zone_offset_us


def previous_open_us(interval: str, open_us: int, zone_offset_us: int = 0) -> int:
    """Open time of the bucket before the one that opens at `open_us`."""
    return bucket_open_us(interval, open_us - 1, zone_offset_us)


def bucket_opens(
    interval: str, start_us: int | None, end_us: int, limit: int, zone_offset_us: int, earliest_us: int
) -> list[int]:
    """Open times, ascending, of at most `limit` buckets that open within [start, end]: the first from `start_us` on,
    or without it the last. None opens before the bucket that holds `earliest_us`."""
    earliest_us = bucket_open_us(interval, earliest_us, zone_offset_us)
    if start_us is None:
        opens = list(_backwards(interval, end_us, limit, zone_offset_us, earliest_us))
        opens.reverse()
        return opens
    start_us = max(start_us, earliest_us)
    open_us = bucket_open_us(interval, start_us, zone_offset_us)
    if open_us < start_us:
        open_us = next_open_us(interval, open_us, zone_offset_us)
    opens = []
    while open_us <= end_us and len(opens) < limit:
        opens.append(open_us)
        open_us = next_open_us(interval, open_us, zone_offset_us)
    return opens


def _backwards(interval: str, end_us: int, limit: int, zone_offset_us: int, earliest_us: int) -> Iterator[int]:
    open_us = bucket_open_us(interval, end_us, zone_offset_us)
    while open_us >= earliest_us and limit > 0:
        yield open_us
        open_us = previous_open_us(interval, open_us, zone_offset_us)
        limit -= 1
