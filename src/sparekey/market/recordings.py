"""Recorded trades in the columns of Binance's public data dumps, read strictly and paced by their own times.

Columns (github.com/binance/binance-public-data, "SPOT"): trades are id, price, qty, quoteQty, time, isBuyerMaker,
isBestMatch; aggTrades are aggTradeId, price, quantity, firstTradeId, lastTradeId, timestamp, isBuyerMaker,
isBestMatch. Times are milliseconds, and microseconds from 2025-01-01 on.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from itertools import pairwise

from sparekey.terms.money import MoneyError, parse_money
from sparekey.venue.events import MarketPrint

#: What a recording may hold, at 25 bytes each.
MAX_PRINTS = 5_000_000

_NAME = re.compile(r"([A-Z0-9]{2,20})-(trades|aggTrades)\b.*", re.ASCII)
_CANDLES_NAME = re.compile(r"([A-Z0-9]{2,20})-(\d+[smhdwM]o?)\b.*", re.ASCII)
#: Where id, price, quantity, time and the maker's side stand, and how many columns there are at least.
_COLUMNS = {"trades": (0, 1, 2, 4, 5, 6), "aggTrades": (0, 1, 2, 5, 6, 7)}
_TRUTH = {"true": True, "false": False, "1": True, "0": False}
#: Years 2001 to 2286 in milliseconds and in microseconds: 13 and 16 digits.
_MILLISECONDS = range(10**12, 10**13)
_MICROSECONDS = range(10**15, 10**16)
_MAX_ID = 2**63 - 1


class RecordingRefused(ValueError):
    """A recording that cannot be replayed. The text names the file, the line where there is one, and what is wrong."""


def parse_name(name: str) -> tuple[str, str]:
    """`BTCUSDT-trades-2021-01-08.csv` → ("BTCUSDT", "trades")."""
    match = _NAME.fullmatch(name)
    if match is not None:
        return match[1], match[2]
    if _CANDLES_NAME.fullmatch(name):
        raise RecordingRefused(
            f"{name} holds candles; a replay needs trades (SYMBOL-trades-DATE or SYMBOL-aggTrades-DATE)"
        )
    raise RecordingRefused(
        f"{name} does not tell its symbol; a recording is named as Binance names it, such as "
        "BTCUSDT-trades-2024-05-01.csv, .csv.gz or .zip"
    )


class Recording:
    """One symbol's prints in the order of their times; held as columns, because a day can have millions.

    `duplicates` is how many repeated lines were dropped.
    """

    __slots__ = ("_buyer_is_maker", "_offsets_us", "_prices", "_quantities", "duplicates", "name", "symbol")

    def __init__(self, name: str, symbol: str) -> None:
        self.name = name
        self.symbol = symbol
        self.duplicates = 0
        self._offsets_us = array("q")
        self._prices = array("q")
        self._quantities = array("q")
        self._buyer_is_maker = bytearray()

    def __len__(self) -> int:
        return len(self._prices)

    @property
    def first_price(self) -> int:
        return self._prices[0]

    @property
    def length_us(self) -> int:
        """From the first print to the last."""
        return self._offsets_us[-1]

    def offset_us(self, index: int) -> int:
        """Time of a print after the first one."""
        return self._offsets_us[index]

    def prints(self, start: int, stop: int) -> list[MarketPrint]:
        return [
            MarketPrint(price, quantity, bool(buyer_is_maker))
            for price, quantity, buyer_is_maker in zip(
                self._prices[start:stop], self._quantities[start:stop], self._buyer_is_maker[start:stop], strict=True
            )
        ]


def parse_recording(name: str, lines: Iterable[str]) -> Recording:
    """A dump's lines, with a header or without; `name` tells symbol and columns. Raises `RecordingRefused`.

    Lines in another order are sorted, by time and within it by id; a line that repeats another is dropped.
    """
    symbol, kind = parse_name(name)
    recording = Recording(name, symbol)
    ids, numbers = array("q"), array("q")
    times, prices, quantities, sides = (
        recording._offsets_us,
        recording._prices,
        recording._quantities,
        recording._buyer_is_maker,
    )
    in_order = True
    last_id = last_us = -1
    for number, line in enumerate(lines, 1):
        text = line.strip().lstrip("\ufeff")
        if not text or (number == 1 and not text[0].isdigit() and text[0] != '"'):
            continue  # an empty line, or the header
        try:
            row = _parse_row(text, kind)
        except ValueError as error:
            raise RecordingRefused(f"{name}, line {number}: {error}") from None
        if row is None:
            continue
        trade_id, price, quantity, time_us, buyer_is_maker = row
        if len(ids) >= MAX_PRINTS:
            raise RecordingRefused(f"{name} holds more than {MAX_PRINTS:,} trades; replay a part of it")
        ids.append(trade_id)
        numbers.append(number)
        times.append(time_us)
        prices.append(price)
        quantities.append(quantity)
        sides.append(buyer_is_maker)
        in_order = in_order and trade_id > last_id and time_us >= last_us
        last_id, last_us = trade_id, time_us
    if not ids:
        raise RecordingRefused(f"{name} holds no trade")
    if not in_order:
        _sort(recording, ids, numbers)
    first_us = recording._offsets_us[0]
    recording._offsets_us = array("q", (time_us - first_us for time_us in recording._offsets_us))
    return recording


def _parse_row(text: str, kind: str) -> tuple[int, int, int, int, bool] | None:
    """Id, price, quantity, time and the maker's side of one line; None for Binance's own void rows.

    Raises ValueError with what is wrong.
    """
    fields = text.replace('"', "").split(",")
    at_id, at_price, at_quantity, at_time, at_side, least = _COLUMNS[kind]
    if len(fields) < least:
        raise ValueError(f"{len(fields)} columns instead of {least} or more")
    trade_id = _parse_whole(fields[at_id], "id")
    side = _TRUTH.get(fields[at_side].strip().lower())
    if side is None:
        raise ValueError(f"{fields[at_side].strip()!r} is neither true nor false")
    if kind == "aggTrades" and fields[3].strip() == "-1":
        return None  # aggregates that Binance has voided: no trades, price and quantity zero
    return (
        trade_id,
        _parse_amount(fields[at_price], "price"),
        _parse_amount(fields[at_quantity], "quantity"),
        _parse_time(fields[at_time]),
        side,
    )


def _parse_whole(text: str, what: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _MAX_ID:
        raise ValueError(f"{text[:40]!r} is no {what}")
    return int(text)


def _parse_amount(text: str, what: str) -> int:
    try:
        amount = parse_money(text.strip())
    except MoneyError as error:
        raise ValueError(f"{text.strip()[:40]!r} is no {what} ({error.kind})") from None
    if not amount:
        raise ValueError(f"the {what} is zero")
    return amount


def _parse_time(text: str) -> int:
    time = _parse_whole(text, "time")
    if time in _MILLISECONDS:
        return time * 1_000
    if time in _MICROSECONDS:
        return time
    raise ValueError(f"{time} is a time neither in milliseconds nor in microseconds")


def _sort(recording: Recording, ids: array[int], numbers: array[int]) -> None:
    times, prices = recording._offsets_us, recording._prices
    quantities, sides = recording._quantities, recording._buyer_is_maker
    order = sorted(range(len(ids)), key=ids.__getitem__)
    kept = order[:1]
    for before, index in pairwise(order):
        if ids[before] != ids[index]:
            kept.append(index)
        elif (times[before], prices[before], quantities[before], sides[before]) != (
            times[index],
            prices[index],
            quantities[index],
            sides[index],
        ):
            raise RecordingRefused(
                f"{recording.name}: lines {min(numbers[before], numbers[index])} and "
                f"{max(numbers[before], numbers[index])} both say id {ids[index]}, but differ otherwise"
            )
    kept.sort(key=times.__getitem__)
    recording.duplicates = len(order) - len(kept)
    recording._offsets_us = array("q", (times[index] for index in kept))
    recording._prices = array("q", (prices[index] for index in kept))
    recording._quantities = array("q", (quantities[index] for index in kept))
    recording._buyer_is_maker = bytearray(sides[index] for index in kept)


class Pacing:
    """Which prints of a recording are due. Times are told, never read."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._next = 0

    @property
    def finished(self) -> bool:
        """Every print was due."""
        return self._next >= len(self.recording)

    @property
    def next_us(self) -> int:
        """When the next print is due, after the first one; only while not `finished`."""
        return self.recording.offset_us(self._next)

    def due(self, elapsed_us: int, limit: int = 1_000) -> list[MarketPrint]:
        """Prints up to `elapsed_us` after the first one that were not handed out before; at most `limit` at once.

        `elapsed_us` counts from the beginning of the replay (or from the last `rewind`), not from the call before.
        """
        recording, start = self.recording, self._next
        stop = start
        while stop < len(recording) and stop - start < limit and recording.offset_us(stop) <= elapsed_us:
            stop += 1
        self._next = stop
        return recording.prints(start, stop)

    def rewind(self) -> None:
        """From the first print again; elapsed time counts anew."""
        self._next = 0
