"""What is derived from prints: trades, candles and windows, from the synthetic past to the running minute.

A consumer of the sequencer: it keeps about a day of one-minute candles per symbol in memory. What is older comes from
the archive, what is before the venue's birth from the symbol's history, and the three join without a seam.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Protocol

import msgspec

from sparekey.market.aggregates import Aggregate
from sparekey.market.candles import (
    INTERVALS_US,
    Candle,
    add_print,
    bucket_open_us,
    bucket_opens,
    empty_candle,
    join_candles,
    next_open_us,
    print_candle,
)
from sparekey.market.history import History
from sparekey.terms.clocktime import HOUR_US, MINUTE_US, SECOND_US
from sparekey.terms.rounding import average_price
from sparekey.venue.effects import Print

#: Minutes stay in memory for this long before the newest one: every window of a day is reckoned without the archive.
_KEPT_US = 25 * HOUR_US
#: Prints read at once from the archive.
_CHUNK = 5_000
_KEPT_WINDOWS = 8
_KEPT_HOURS = 48

_open_of = attrgetter("open_us")


class MarketTrade(Protocol):
    """One trade, of the past or of the archive."""

    @property
    def trade_id(self) -> int: ...
    @property
    def price(self) -> int: ...
    @property
    def quantity(self) -> int: ...
    @property
    def quote_quantity(self) -> int: ...
    @property
    def time_us(self) -> int: ...
    @property
    def buyer_is_maker(self) -> bool: ...


class ArchivedTrade(MarketTrade, Protocol):
    @property
    def aggregate_id(self) -> int: ...


class TradeArchive(Protocol):
    """What the views ask of the archive (`storage.archive`), by shape."""

    def prints(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        from_aggregate_id: int | None = None,
        start_us: int | None = None,
        end_us: int | None = None,
        limit: int = 500,
    ) -> Sequence[ArchivedTrade]: ...

    def minutes(self, symbol: str, start_us: int, end_us: int) -> Sequence[Candle]: ...

    def hours(self, symbol: str, start_us: int, end_us: int) -> Sequence[Candle]: ...

    def set_first_aggregate(self, symbol: str, aggregate_id: int) -> None: ...

    def last_aggregate_id(self, symbol: str) -> int: ...


class Publication(Protocol):
    """What a commit hands over, as far as it matters here."""

    @property
    def effects(self) -> Sequence[object]: ...


class Window(msgspec.Struct, frozen=True, gc=False):
    """Statistics of one symbol over one window; ids are -1 and prices 0 where nothing traded."""

    open_us: int
    close_us: int
    open: int = 0
    high: int = 0
    low: int = 0
    last: int = 0
    last_quantity: int = 0
    previous_close: int = 0
    volume: int = 0
    quote_volume: int = 0
    trades: int = 0
    first_trade_id: int = -1
    last_trade_id: int = -1


class _Ring:
    """A symbol's newest minutes: those with a trade, ascending, complete from `kept_from_us` on; the last one runs."""

    __slots__ = (
        "first_us",
        "hours",
        "kept_from_us",
        "last_id",
        "last_price",
        "last_quantity",
        "last_us",
        "minutes",
        "windows",
    )

    def __init__(self) -> None:
        self.minutes: list[Candle] = []
        self.kept_from_us = 0
        #: Time of the first print ever, and the last print; times are -1 where there was none.
        self.first_us = self.last_us = -1
        self.last_id = self.last_price = self.last_quantity = 0
        #: Sums over minutes that are over, by their bounds: windows that are asked for again and again.
        self.windows: dict[tuple[int, int], Candle | None] = {}
        #: Sums of hours that are over, by their open time, which windows are made of.
        self.hours: dict[int, Candle | None] = {}

    def add(self, one: Print) -> None:
        open_us = one.time_us // MINUTE_US * MINUTE_US
        minutes = self.minutes
        if minutes and minutes[-1].open_us == open_us:
            minutes[-1] = add_print(minutes[-1], one.price, one.quantity, one.quote_quantity, one.buyer_is_maker)
        else:
            minutes.append(
                print_candle(open_us, MINUTE_US, one.price, one.quantity, one.quote_quantity, one.buyer_is_maker)
            )
            self.windows.clear()
            kept_from_us = (open_us - _KEPT_US) // HOUR_US * HOUR_US
            if kept_from_us > self.kept_from_us:
                self.kept_from_us = kept_from_us
                del minutes[: bisect_left(minutes, kept_from_us, key=_open_of)]
        if self.first_us < 0:
            self.first_us = one.time_us
        self.last_us, self.last_id = one.time_us, one.trade_id
        self.last_price, self.last_quantity = one.price, one.quantity

    def between(self, start_us: int, end_us: int) -> list[Candle]:
        """Minutes that open from `start_us` to before `end_us`."""
        minutes = self.minutes
        return minutes[bisect_left(minutes, start_us, key=_open_of) : bisect_left(minutes, end_us, key=_open_of)]


class Views:
    """Implements `wire.ports.MarketViews`. `histories`: the past of each symbol; empty where the market has none.

    Aggregates count on from the past as well, so the archive learns their first ids here. After a start, and after
    the archive has caught up with the journal, `warm_up` must be called once for all listed symbols.
    """

    def __init__(self, archive: TradeArchive, histories: Mapping[str, History]) -> None:
        self._archive = archive
        self._histories: dict[str, History] = {}
        self._rings: dict[str, _Ring] = {}
        self.add_histories(histories)

    def add_histories(self, histories: Mapping[str, History]) -> None:
        """The market has opened: this is what was before."""
        for symbol, history in histories.items():
            self._histories[symbol] = history
            self._archive.set_first_aggregate(symbol, history.first_trade_id)

    def warm_up(self, symbols: Iterable[str]) -> None:
        """Take the newest minutes out of the archive."""
        for symbol in symbols:
            ring = self._rings[symbol] = _Ring()
            newest = self._archive.prints(symbol, limit=1)
            if not newest:
                continue
            last = newest[-1]
            ring.last_us, ring.last_id = last.time_us, last.trade_id
            ring.last_price, ring.last_quantity = last.price, last.quantity
            ring.first_us = self._archive.prints(symbol, from_id=0, limit=1)[0].time_us
            ring.kept_from_us = (last.time_us - _KEPT_US) // HOUR_US * HOUR_US
            ring.minutes = list(self._archive.minutes(symbol, ring.kept_from_us, last.time_us))

    def receive(self, published: Sequence[Publication]) -> None:
        for item in published:
            for effect in item.effects:
                if type(effect) is Print:
                    ring = self._rings.get(effect.symbol)
                    if ring is None:
                        ring = self._rings[effect.symbol] = _Ring()
                    ring.add(effect)

    def _ring(self, symbol: str) -> _Ring:
        return self._rings.get(symbol) or _Ring()

    # --- what streams go on from: nothing that is not published yet ---------------------------------------------------

    def last_trade(self, symbol: str) -> tuple[int, int]:
        """Id and time of the last trade; 0 where nothing ever traded."""
        ring = self._ring(symbol)
        if ring.last_us >= 0:
            return ring.last_id, ring.last_us
        history = self._histories.get(symbol)
        return (0, 0) if history is None else (history.first_trade_id - 1, history.birth_us)

    def last_aggregate_id(self, symbol: str) -> int:
        return self._archive.last_aggregate_id(symbol)

    def running_candle(self, symbol: str, interval: str, zone_offset_us: int, now_us: int) -> Candle:
        """The bucket that `now_us` falls into, as far as it has come."""
        open_us = bucket_open_us(interval, now_us, zone_offset_us)
        next_us = next_open_us(interval, open_us, zone_offset_us)
        if interval == "1s":
            seconds: dict[int, Candle] = {}
            last_id = self.last_trade(symbol)[0]
            for trade in self._trades_between(symbol, open_us, next_us):
                if trade.trade_id <= last_id:
                    _count(seconds, trade, SECOND_US)
            found = seconds.get(open_us)
        else:
            hourly = INTERVALS_US.get(interval, HOUR_US) >= HOUR_US and zone_offset_us % HOUR_US == 0
            found = next(self._buckets(symbol, (open_us, next_us), hourly))
        return found or empty_candle(open_us, next_us - open_us, self._price_before(symbol, open_us))

    def average_price(self, symbol: str, minutes: int, now_us: int) -> int:
        """Volume-weighted over the running minute and those before it, whole minutes; without a trade the last price.

        What `SymbolMarket.reference_price` reckons, of what is published.
        """
        ring = self._ring(symbol)
        next_us = (now_us // MINUTE_US + 1) * MINUTE_US
        traded = join_candles(ring.between(next_us - minutes * MINUTE_US, next_us), 0, 0)
        if traded is not None and traded.volume:
            return average_price(traded.quote_volume, traded.volume) or ring.last_price
        if ring.last_us >= 0:
            return ring.last_price
        history = self._histories.get(symbol)
        return 0 if history is None else history.opening

    # --- trades ------------------------------------------------------------------------------------------------------

    def trades(self, symbol: str, *, from_id: int | None, limit: int) -> Sequence[MarketTrade]:
        history = self._histories.get(symbol)
        if from_id is None:
            live: list[MarketTrade] = list(self._archive.prints(symbol, limit=limit))
            if history is None or len(live) >= limit:
                return live
            return history.trades_from(history.first_trade_id - (limit - len(live)), limit - len(live)) + live
        past: list[MarketTrade] = []
        if history is not None and from_id < history.first_trade_id:
            past += history.trades_from(from_id, limit)
        if len(past) < limit:
            past += self._archive.prints(symbol, from_id=from_id, limit=limit - len(past))
        return past

    def agg_trades(
        self, symbol: str, *, from_id: int | None, start_us: int | None, end_us: int | None, limit: int
    ) -> Sequence[Aggregate]:
        history = self._histories.get(symbol)
        if from_id is None and start_us is None:
            live = self._newest_aggregates(symbol, end_us, limit)
            missing = limit - len(live)
            if history is None or not missing:
                return live
            next_id = history.first_trade_id if end_us is None else history.first_id_from(end_us + 1)
            first_id = max(next_id - missing, 1)
            return [_aggregate_of(trade) for trade in history.trades_from(first_id, next_id - first_id)] + live
        past: list[Aggregate] = []
        if history is not None and from_id is not None and from_id < history.first_trade_id:
            past = [_aggregate_of(trade) for trade in history.trades_from(from_id, limit)]
        elif history is not None and start_us is not None and start_us < history.birth_us:
            last_us = history.birth_us if end_us is None else end_us
            past = [_aggregate_of(trade) for trade in history.trades_between(start_us, last_us, limit)]
        if len(past) < limit:
            past += self._aggregates_from(symbol, from_id, start_us, end_us, limit - len(past))
        return past

    def _newest_aggregates(self, symbol: str, end_us: int | None, limit: int) -> list[Aggregate]:
        count = 2 * limit
        while True:
            trades = self._archive.prints(symbol, end_us=end_us, limit=count)
            groups = _grouped(trades)
            if len(trades) < count:
                return groups[-limit:]
            if len(groups) > limit:  # the first of them may have begun before
                return groups[-limit:]
            count *= 4

    def _aggregates_from(
        self, symbol: str, from_aggregate_id: int | None, start_us: int | None, end_us: int | None, limit: int
    ) -> list[Aggregate]:
        count = 2 * limit
        while True:
            trades = self._archive.prints(
                symbol, from_aggregate_id=from_aggregate_id, start_us=start_us, end_us=end_us, limit=count
            )
            groups = _grouped(trades)
            if len(trades) < count or len(groups) > limit:  # the last of them may go on
                return groups[:limit]
            count *= 4

    # --- candles -----------------------------------------------------------------------------------------------------

    def candles(
        self,
        symbol: str,
        interval: str,
        *,
        start_us: int | None,
        end_us: int | None,
        limit: int,
        zone_offset_us: int,
        now_us: int,
    ) -> Sequence[Candle]:
        earliest_us = self._earliest_us(symbol)
        if earliest_us < 0:
            return []
        last_us = now_us if end_us is None else min(end_us, now_us)
        opens = bucket_opens(interval, start_us, last_us, limit, zone_offset_us, earliest_us)
        if not opens:
            return []
        bounds = [*opens, next_open_us(interval, opens[-1], zone_offset_us)]
        if interval == "1s":
            found = self._seconds(symbol, bounds)
        else:
            hourly = INTERVALS_US.get(interval, HOUR_US) >= HOUR_US and zone_offset_us % HOUR_US == 0
            found = self._buckets(symbol, bounds, hourly)
        return self._without_gaps(symbol, bounds, found)

    def _earliest_us(self, symbol: str) -> int:
        """Where candles begin; -1: nothing ever traded."""
        history = self._histories.get(symbol)
        return self._ring(symbol).first_us if history is None else history.start_us

    def _without_gaps(self, symbol: str, bounds: Sequence[int], found: Iterable[Candle | None]) -> list[Candle]:
        candles: list[Candle] = []
        price = -1
        for (open_us, next_us), candle in zip(pairwise(bounds), found, strict=True):
            if candle is None and price < 0:
                price = self._price_before(symbol, open_us)
            candles.append(candle or empty_candle(open_us, next_us - open_us, price))
            price = candles[-1].close
        return candles

    def _buckets(self, symbol: str, bounds: Sequence[int], hourly: bool) -> Iterator[Candle | None]:
        """For each pair of neighbouring bounds (whole minutes) what traded between them."""
        history = self._histories.get(symbol)
        birth_us = 0 if history is None else history.birth_us
        live: list[Candle] = []
        if bounds[-1] > birth_us:
            first_us = birth_us // HOUR_US * HOUR_US if hourly else birth_us // MINUTE_US * MINUTE_US
            live = self._live(symbol, max(bounds[0], first_us), bounds[-1], hourly)
        at = 0
        for open_us, next_us in pairwise(bounds):
            parts: list[Candle] = []
            if open_us < birth_us and history is not None:
                past = history.candle(open_us, next_us)
                if past is not None:
                    parts.append(past)
            while at < len(live) and live[at].open_us < next_us:
                parts.append(live[at])
                at += 1
            yield join_candles(parts, open_us, next_us - open_us)

    def _live(self, symbol: str, start_us: int, end_us: int, hourly: bool = False) -> list[Candle]:
        """Minutes with a trade (or hours, as far as these are over and old) from `start_us` to before `end_us`."""
        ring = self._ring(symbol)
        if start_us >= ring.kept_from_us:
            return ring.between(start_us, end_us)
        older_us = min(ring.kept_from_us, end_us) - 1
        stored = (self._archive.hours if hourly else self._archive.minutes)(symbol, start_us, older_us)
        return [*stored, *ring.between(ring.kept_from_us, end_us)]

    def _seconds(self, symbol: str, bounds: Sequence[int]) -> Iterator[Candle | None]:
        seconds: dict[int, Candle] = {}
        for trade in self._trades_between(symbol, bounds[0], bounds[-1]):
            _count(seconds, trade, SECOND_US)
        for open_us in bounds[:-1]:
            yield seconds.get(open_us)

    def _trades_between(self, symbol: str, start_us: int, end_us: int) -> Iterator[MarketTrade]:
        """From `start_us` to before `end_us`."""
        history = self._histories.get(symbol)
        if history is not None and start_us < history.birth_us:
            yield from history.trades_between(start_us, end_us - 1, 2**62)
            start_us = history.birth_us
        if start_us >= end_us:
            return
        trades = self._archive.prints(symbol, start_us=start_us, end_us=end_us - 1, limit=_CHUNK)
        yield from trades
        while len(trades) == _CHUNK:
            from_id = trades[-1].trade_id + 1
            trades = self._archive.prints(symbol, from_id=from_id, end_us=end_us - 1, limit=_CHUNK)
            yield from trades

    # --- windows -----------------------------------------------------------------------------------------------------

    def ticker_window(self, symbol: str, open_us: int, close_us: int) -> Window:
        sums = join_candles(self._window_parts(symbol, open_us, close_us + 1), open_us, close_us + 1 - open_us)
        if sums is None:
            return Window(open_us, close_us)
        last = self._last_trade(symbol, close_us)
        last_id, last_quantity = (0, 0) if last is None else last
        return Window(
            open_us,
            close_us,
            sums.open,
            sums.high,
            sums.low,
            sums.close,
            last_quantity,
            self._price_before(symbol, open_us),
            sums.volume,
            sums.quote_volume,
            sums.trades,
            last_id - sums.trades + 1,
            last_id,
        )

    def _window_parts(self, symbol: str, start_us: int, end_us: int) -> Iterator[Candle]:
        """What traded from `start_us` to before `end_us`, in order: whole minutes, and the trades of cut ones."""
        ring = self._ring(symbol)
        first_us = -(-start_us // MINUTE_US) * MINUTE_US
        if first_us > start_us:
            yield from self._by_minute(symbol, start_us, min(first_us, end_us))
        over_us = end_us // MINUTE_US * MINUTE_US
        if first_us < over_us:
            # Only minutes before the running one never change any more.
            running_us = ring.minutes[-1].open_us if ring.minutes else 0
            settled_us = min(over_us, running_us)
            if first_us < settled_us:
                key = (first_us, settled_us)
                if key not in ring.windows:
                    if len(ring.windows) >= _KEPT_WINDOWS:
                        ring.windows.clear()
                    hours = self._settled(symbol, ring, first_us, settled_us)
                    ring.windows[key] = join_candles(hours, first_us, settled_us - first_us)
                settled = ring.windows[key]
                if settled is not None:
                    yield settled
            from_us = max(first_us, settled_us)
            if from_us < over_us:
                unsettled = next(self._buckets(symbol, (from_us, over_us), False))
                if unsettled is not None:
                    yield unsettled
        if first_us <= over_us < end_us:
            if 0 <= ring.last_us < end_us:
                # The running minute, whole as far as it has come.
                running = next(self._buckets(symbol, (over_us, over_us + MINUTE_US), False))
                if running is not None:
                    yield running
            else:
                yield from self._by_minute(symbol, over_us, end_us)

    def _settled(self, symbol: str, ring: _Ring, start_us: int, end_us: int) -> Iterator[Candle]:
        """Whole minutes that are over, by the hour where these are whole as well."""
        while start_us < end_us:
            next_us = min(start_us // HOUR_US * HOUR_US + HOUR_US, end_us)
            if next_us - start_us < HOUR_US:
                traded = next(self._buckets(symbol, (start_us, next_us), False))
            else:
                if start_us not in ring.hours:
                    if len(ring.hours) >= _KEPT_HOURS:
                        del ring.hours[min(ring.hours)]
                    ring.hours[start_us] = next(self._buckets(symbol, (start_us, next_us), False))
                traded = ring.hours[start_us]
            if traded is not None:
                yield traded
            start_us = next_us

    def _by_minute(self, symbol: str, start_us: int, end_us: int) -> Iterator[Candle]:
        minutes: dict[int, Candle] = {}
        for trade in self._trades_between(symbol, start_us, end_us):
            _count(minutes, trade, MINUTE_US)
        yield from minutes.values()

    def _last_trade(self, symbol: str, until_us: int) -> tuple[int, int] | None:
        """Id and quantity of the last trade at `until_us` or before."""
        ring = self._ring(symbol)
        if 0 <= ring.last_us <= until_us:
            return ring.last_id, ring.last_quantity
        trade = self._trade_before(symbol, until_us + 1)
        return None if trade is None else (trade.trade_id, trade.quantity)

    def _price_before(self, symbol: str, time_us: int) -> int:
        """Price of the last trade before `time_us`; 0: there was none."""
        ring = self._ring(symbol)
        if 0 <= ring.last_us < time_us:
            return ring.last_price
        trade = self._trade_before(symbol, time_us)
        return 0 if trade is None else trade.price

    def _trade_before(self, symbol: str, time_us: int) -> MarketTrade | None:
        history = self._histories.get(symbol)
        if history is None or time_us > history.birth_us:
            live = self._archive.prints(symbol, end_us=time_us - 1, limit=1)
            if live:
                return live[0]
        if history is None:
            return None
        trade_id = history.first_id_from(time_us) - 1
        return history.trades_from(trade_id, 1)[0] if trade_id > 0 else None


def _count(buckets: dict[int, Candle], trade: MarketTrade, span_us: int) -> None:
    open_us = trade.time_us // span_us * span_us
    printed = (trade.price, trade.quantity, trade.quote_quantity, trade.buyer_is_maker)
    before = buckets.get(open_us)
    buckets[open_us] = print_candle(open_us, span_us, *printed) if before is None else add_print(before, *printed)


def _aggregate_of(trade: MarketTrade) -> Aggregate:
    """A trade of the past by itself."""
    return Aggregate(
        trade.trade_id,
        trade.price,
        trade.quantity,
        trade.trade_id,
        trade.trade_id,
        trade.time_us,
        trade.buyer_is_maker,
    )


def _grouped(trades: Sequence[ArchivedTrade]) -> list[Aggregate]:
    groups: list[Aggregate] = []
    at = 0
    while at < len(trades):
        first, quantity = trades[at], 0
        while at < len(trades) and trades[at].aggregate_id == first.aggregate_id:
            quantity += trades[at].quantity
            at += 1
        groups.append(
            Aggregate(
                first.aggregate_id,
                first.price,
                quantity,
                first.trade_id,
                trades[at - 1].trade_id,
                first.time_us,
                first.buyer_is_maker,
            )
        )
    return groups
