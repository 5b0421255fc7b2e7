"""The market streams: what everybody may hear of trades, books, candles and tickers, made once for all who listen.

Everything comes from records that are durable: prints and changes of books are effects, candles and windows are views
of what was published. Streams that nobody listens to do not exist, and a book is told of only while somebody asks.

Two ways lead out. In real time (`tell`): trades, aggregates, best quotes. At a pulse (`pulse`): depth every 100 ms or
second, tickers and averages every second, candles every other one, each only if there is something new, or for a
listener who has just come. A candle that closes says so once (`x` true), also one in which nothing traded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sparekey.market.aggregates import aggregates_of
from sparekey.market.candles import Candle, add_print, bucket_open_us, empty_candle, next_open_us, print_candle
from sparekey.market.shown_book import Level, ShownBook
from sparekey.sequencer.ports import Published
from sparekey.terms.clocktime import DAY_US, MINUTE_US
from sparekey.venue.book_watch import leave_book, watch_book
from sparekey.venue.effects import BookChanged, Print
from sparekey.venue.spot_state import SpotState, mean_of_minutes
from sparekey.wire.market_streams import (
    CANDLE_US,
    FAST_US,
    ROLLING_US,
    SLOW_US,
    StreamKind,
    aggregate_payload,
    average_payload,
    best_payload,
    candle_payload,
    depth_payload,
    mini_ticker_payload,
    parse_stream_name,
    partial_depth_payload,
    reference_payload,
    rolling_payload,
    ticker_payload,
    trade_payload,
)
from sparekey.wire.ports import WindowView
from sparekey.wire.spelled import Spell, Spelled
from sparekey.wire.spot_market import encode_levels

_PERIODS_US = (FAST_US, SLOW_US, CANDLE_US)


class StreamViews(Protocol):
    """What `market.views` tells of what was published, by shape."""

    def last_trade(self, symbol: str) -> tuple[int, int]:
        """Id and time; 0 where nothing ever traded."""
        ...

    def last_aggregate_id(self, symbol: str) -> int: ...

    def running_candle(self, symbol: str, interval: str, zone_offset_us: int, now_us: int) -> Candle: ...

    def average_price(self, symbol: str, minutes: int, now_us: int) -> int: ...

    def ticker_window(self, symbol: str, open_us: int, close_us: int) -> WindowView: ...


class MarketEvent(Spelled):
    """One event of one stream.

    `frames` is for whoever sends it: as many as there are ways to wrap it, shared by all listeners.
    """

    __slots__ = ("frames", "stream")

    def __init__(self, stream: str, spell: Spell) -> None:
        super().__init__(spell)
        self.stream = stream
        self.frames: list[bytes | None] = [None, None, None, None]


class MarketListener(Protocol):
    """A connection. One that listens to several streams is told of each event of each."""

    def tell_market(self, event: MarketEvent) -> None:
        """Remember it for the feed's caller to send. Must not begin or end any listening."""
        ...


class MarketFeed:
    """`position` and `durable` are the sequencer's. Whoever feeds it calls `tell` for each record of the spot shard and
    `heard` after each commit, and `pulse` every `period_us` while that is not 0 (`on_period` is told when it changes).
    """

    def __init__(
        self,
        spot: SpotState,
        views: StreamViews,
        position: Callable[[], int],
        durable: Callable[[], int],
        api_date: str = "",
    ) -> None:
        self.spot = spot
        self.views = views
        self.position = position
        self._durable = durable
        self._api_date = api_date
        self.on_period: Callable[[], object] = lambda: None
        self.period_us = 0
        #: Time of the newest record or pulse: it never goes back.
        self.now_us = spot.time_us
        self._streams: dict[str, MarketStream] = {}
        self._symbols: dict[str, SymbolFeed] = {}
        #: Streams by period, in the order in which they began.
        self._timed: dict[int, dict[MarketStream, None]] = {period_us: {} for period_us in _PERIODS_US}
        #: A pulse that waits for what was applied before it: (position, time).
        self._waiting: tuple[int, int] | None = None
        self._windows: dict[tuple[str, str], WindowView] = {}
        self._tickers: dict[tuple[str, str, str], Ticker] = {}

    @property
    def listeners(self) -> int:
        return sum(len(stream.listeners) for stream in self._streams.values())

    # --- who listens -------------------------------------------------------------------------------------------------

    def listen(self, name: str, listener: MarketListener, now_us: int) -> None:
        """From now on. A name that means nothing here is never heard of, as at Binance."""
        stream = self._streams.get(name)
        if stream is None:
            parsed = parse_stream_name(name, self._api_date)
            if parsed is None or (parsed[0] and self.spot.rules(parsed[0]) is None):
                return
            self.now_us = max(self.now_us, now_us)
            stream = self._streams[name] = _make_stream(self, name, *parsed)
            stream.begin()
            if stream.kind.period_us:
                self._timed[stream.kind.period_us][stream] = None
                self._set_period()
        stream.listeners[listener] = None
        stream.is_fresh = True

    def leave(self, name: str, listener: MarketListener) -> None:
        stream = self._streams.get(name)
        if stream is None:
            return
        stream.listeners.pop(listener, None)
        if not stream.listeners:
            del self._streams[name]
            stream.end()
            if stream.kind.period_us:
                del self._timed[stream.kind.period_us][stream]
                self._set_period()

    def _set_period(self) -> None:
        period_us = (
            FAST_US if self._timed[FAST_US] else SLOW_US if self._timed[SLOW_US] or self._timed[CANDLE_US] else 0
        )
        if period_us != self.period_us:
            self.period_us = period_us
            self.on_period()

    def follow(self, symbol: str, stream: MarketStream) -> SymbolFeed:
        """`stream` hears what happens to a symbol from now on."""
        followed = self._symbols.get(symbol)
        if followed is None:
            followed = self._symbols[symbol] = SymbolFeed(self, symbol)
        followed.add(stream)
        return followed

    def unfollow(self, symbol: str, stream: MarketStream) -> None:
        followed = self._symbols[symbol]
        followed.remove(stream)
        if not followed.streams:
            del self._symbols[symbol]

    # --- what happens ------------------------------------------------------------------------------------------------

    def tell(self, published: Published) -> None:
        """A record of the spot shard has become durable: first its trades are told, then what they left of the book."""
        if not self._symbols:
            return
        if published.record.time_us > self.now_us:
            self.now_us = published.record.time_us
        symbols = self._symbols
        prints: dict[str, list[Print]] = {}
        books: list[BookChanged] = []
        for effect in published.effects:
            kind = effect.__class__
            if kind is Print:
                if effect.symbol in symbols:
                    prints.setdefault(effect.symbol, []).append(effect)
            elif kind is BookChanged and effect.symbol in symbols:
                books.append(effect)
        for symbol, printed in prints.items():
            symbols[symbol].hear_prints(printed)
        for told in books:
            symbols[told.symbol].hear_book(told, published.position)

    def pulse(self, now_us: int) -> bool:
        """Time has come for what is timed. False: it waits for records that were applied before and are not durable."""
        position = self.position()
        if position > self._durable():
            self._waiting = position, now_us
            return False
        self._pulse(now_us)
        return True

    def heard(self, position: int) -> None:
        """All records up to `position` were told."""
        if self._waiting is not None and position >= self._waiting[0]:
            self._pulse(self._waiting[1])

    def _pulse(self, now_us: int) -> None:
        self._waiting = None
        before_us = self.now_us
        now_us = self.now_us = max(now_us, before_us)
        self._windows.clear()
        self._tickers.clear()
        for period_us, streams in self._timed.items():
            beat = now_us // period_us
            for stream in streams:
                if stream.beat != beat:
                    stream.beat = beat
                    stream.pulse(now_us)
                    stream.is_fresh = False

    # --- shared between streams of one pulse -------------------------------------------------------------------------

    def window(self, symbol: str, name: str) -> WindowView:
        """The last 24 hours where no `name` is given; rolling windows open on a whole minute."""
        window = self._windows.get((symbol, name))
        if window is None:
            now_us = self.now_us
            open_us = now_us - ROLLING_US[name] if name else now_us - DAY_US
            if name:
                open_us = open_us // MINUTE_US * MINUTE_US
            window = self._windows[symbol, name] = self.views.ticker_window(symbol, open_us, now_us)
        return window

    def ticker(self, followed: SymbolFeed, kind: StreamKind) -> Ticker:
        key = (followed.symbol, kind.kind, kind.window)
        ticker = self._tickers.get(key)
        if ticker is None:
            ticker = self._tickers[key] = Ticker(self, followed, kind)
        return ticker


class SymbolFeed:
    """One symbol, while some stream follows it. Its book is watched while some stream needs it."""

    def __init__(self, feed: MarketFeed, symbol: str) -> None:
        self.symbol = symbol
        self.streams: dict[MarketStream, None] = {}
        self.book: ShownBook | None = None
        self._feed = feed
        #: Position up to which the book as it was found holds everything already.
        self._found_at = 0

    def add(self, stream: MarketStream) -> None:
        self.streams[stream] = None
        if stream.needs_book and self.book is None:
            self.book = ShownBook(*watch_book(self._feed.spot, self.symbol))
            self._found_at = self._feed.position()

    def remove(self, stream: MarketStream) -> None:
        del self.streams[stream]
        if self.book is not None and not any(other.needs_book for other in self.streams):
            self.book = None
            leave_book(self._feed.spot, self.symbol)

    def best(self) -> tuple[Level, Level]:
        assert self.book is not None
        return self.book.bids.best(), self.book.asks.best()

    def hear_prints(self, prints: Sequence[Print]) -> None:
        for stream in self.streams:
            stream.hear_prints(prints)

    def hear_book(self, told: BookChanged, position: int) -> None:
        book = self.book
        if book is None or position <= self._found_at:
            return
        best = self.best()
        bids, asks = book.hear(told)
        if not (bids or asks):
            return
        moved = best != self.best()
        for stream in self.streams:
            if stream.needs_book:
                stream.hear_book(book, bids, asks, moved)


class MarketStream:
    """One name that somebody listens to, and all who do."""

    needs_book = False

    def __init__(self, feed: MarketFeed, name: str, symbol: str, kind: StreamKind) -> None:
        self.feed = feed
        self.name = name
        self.symbol = symbol
        self.kind = kind
        self.listeners: dict[MarketListener, None] = {}
        #: Somebody began to listen since the last pulse.
        self.is_fresh = False
        #: The pulse that was last, counted in periods.
        self.beat = 0

    def begin(self) -> None:
        self.followed = self.feed.follow(self.symbol, self)

    def end(self) -> None:
        self.feed.unfollow(self.symbol, self)

    def send(self, spell: Spell) -> None:
        event = MarketEvent(self.name, spell)
        for listener in self.listeners:
            listener.tell_market(event)

    def hear_prints(self, prints: Sequence[Print]) -> None:
        """The symbol's prints of one record."""

    def hear_book(self, book: ShownBook, bids: Sequence[Level], asks: Sequence[Level], moved: bool) -> None:
        """What a record changed of the book; `moved`: the best bid or ask among it."""

    def pulse(self, now_us: int) -> None:
        """`period_us` has passed since the last one."""


# --- trades ----------------------------------------------------------------------------------------------------------


class TradeStream(MarketStream):
    def hear_prints(self, prints: Sequence[Print]) -> None:
        for one in prints:
            self.send(lambda us, one=one: trade_payload(one, us))  # type: ignore[misc]


class AggregateStream(MarketStream):
    def begin(self) -> None:
        super().begin()
        self._last_id = self.feed.views.last_aggregate_id(self.symbol)

    def hear_prints(self, prints: Sequence[Print]) -> None:
        for one in aggregates_of(prints, self._last_id):
            self._last_id = one.aggregate_id
            self.send(lambda us, one=one: aggregate_payload(self.symbol, one, us))  # type: ignore[misc]


class CandleStream(MarketStream):
    """The running bucket of one interval, and the end of each."""

    def begin(self) -> None:
        super().begin()
        self._load(self.feed.now_us)

    def _load(self, now_us: int) -> None:
        interval, zone_us = self.kind.interval, self.kind.zone_us
        self._last_id = self.feed.views.last_trade(self.symbol)[0]
        self._candle = self.feed.views.running_candle(self.symbol, interval, zone_us, now_us)
        self._next_us = next_open_us(interval, self._candle.open_us, zone_us)
        self._is_new = True

    def hear_prints(self, prints: Sequence[Print]) -> None:
        for one in prints:
            if one.trade_id <= self._last_id:
                continue
            if one.time_us >= self._next_us:
                self._close(one.time_us)
            elif one.time_us < self._candle.open_us:  # a clock was set back, and the bucket before goes on
                self._load(one.time_us)
                continue
            candle = self._candle
            printed = (one.price, one.quantity, one.quote_quantity, one.buyer_is_maker)
            self._candle = (
                add_print(candle, *printed) if candle.trades else print_candle(candle.open_us, candle.span_us, *printed)
            )
            self._last_id = one.trade_id
            self._is_new = True

    def pulse(self, now_us: int) -> None:
        if now_us >= self._next_us:
            self._close(now_us)
        elif self._is_new or self.is_fresh:
            self._tell(False)

    def _close(self, now_us: int) -> None:
        """The bucket is over; the next one begins where it closed. Those that nobody saw pass are left out."""
        self._tell(True)
        interval, zone_us = self.kind.interval, self.kind.zone_us
        open_us = bucket_open_us(interval, now_us, zone_us)
        self._next_us = next_open_us(interval, open_us, zone_us)
        self._candle = empty_candle(open_us, self._next_us - open_us, self._candle.close)
        self._is_new = True

    def _tell(self, is_closed: bool) -> None:
        candle, last_id, now_us = self._candle, self._last_id, self.feed.now_us
        self._is_new = False
        if not last_id:  # nothing ever traded, so that there is no price to tell
            return
        self.send(lambda us: candle_payload(self.symbol, self.kind.interval, candle, last_id, is_closed, now_us, us))


# --- tickers ---------------------------------------------------------------------------------------------------------


class Ticker(Spelled):
    """One symbol's statistics at one pulse. `facts` tell whether anything changed."""

    __slots__ = ("facts",)

    def __init__(self, feed: MarketFeed, followed: SymbolFeed, kind: StreamKind) -> None:
        symbol, now_us = followed.symbol, feed.now_us
        window = feed.window(symbol, kind.window)
        facts: tuple[Any, ...] = (
            window.open,
            window.high,
            window.low,
            window.last,
            window.volume,
            window.quote_volume,
            window.first_trade_id,
            window.last_trade_id,
        )
        spell: Spell
        if kind.kind == "ticker":
            bid, ask = followed.best()
            facts = (*facts, window.previous_close, bid, ask)
            spell = lambda us: ticker_payload(symbol, window, bid, ask, now_us, us)  # noqa: E731
        elif kind.kind == "miniTicker":
            spell = lambda us: mini_ticker_payload(symbol, window, now_us, us)  # noqa: E731
        else:
            spell = lambda us: rolling_payload(symbol, kind.window, window, now_us, us)  # noqa: E731
        super().__init__(spell)
        self.facts = facts


class TickerStream(MarketStream):
    """One symbol's ticker of any kind."""

    def __init__(self, feed: MarketFeed, name: str, symbol: str, kind: StreamKind) -> None:
        super().__init__(feed, name, symbol, kind)
        self.needs_book = kind.kind == "ticker"
        self._told: tuple[Any, ...] = ()

    def pulse(self, now_us: int) -> None:
        ticker = self.feed.ticker(self.followed, self.kind)
        if self.is_fresh or ticker.facts != self._told:
            self._told = ticker.facts
            self.send(ticker.payload)


class AllTickersStream(MarketStream):
    """All symbols' tickers of one kind in an array: those that changed."""

    def __init__(self, feed: MarketFeed, name: str, symbol: str, kind: StreamKind) -> None:
        super().__init__(feed, name, symbol, kind)
        self.needs_book = kind.kind == "ticker"
        self._told: dict[str, tuple[Any, ...]] = {}

    def begin(self) -> None:
        feed = self.feed
        self._followed = [feed.follow(rules.symbol, self) for rules in feed.spot.symbols()]

    def end(self) -> None:
        for followed in self._followed:
            self.feed.unfollow(followed.symbol, self)

    def pulse(self, now_us: int) -> None:
        tickers = [(followed.symbol, self.feed.ticker(followed, self.kind)) for followed in self._followed]
        told = self._told
        changed = [ticker for symbol, ticker in tickers if self.is_fresh or ticker.facts != told.get(symbol)]
        if changed:
            self._told = {symbol: ticker.facts for symbol, ticker in tickers}
            self.send(lambda us: b"[%b]" % b",".join([ticker.payload(us) for ticker in changed]))


class AverageStream(MarketStream):
    """The price that filters go by."""

    def begin(self) -> None:
        super().begin()
        self._told = (0, 0)

    def pulse(self, now_us: int) -> None:
        rules = self.feed.spot.rules(self.symbol)
        assert rules is not None
        minutes = rules.average_price_minutes
        views = self.feed.views
        price, last_us = views.average_price(self.symbol, minutes, now_us), views.last_trade(self.symbol)[1]
        if last_us and (self.is_fresh or (price, last_us) != self._told):
            self._told = price, last_us
            self.send(lambda us: average_payload(self.symbol, minutes, price, last_us, now_us, us))


class ReferenceStream(MarketStream):
    """The mean price of a symbol that has one, every second; of others nobody hears anything."""

    def begin(self) -> None:
        super().begin()
        rules, market = self.feed.spot.rules(self.symbol), self.feed.spot.markets[self.symbol]
        assert rules is not None
        self._buckets = rules.reference_buckets
        # State may be ahead of what is durable, but no pulse comes before that is.
        self._minutes = [list(bucket) for bucket in market.minutes] if self._buckets else []
        self._next_id = market.next_trade_id

    def hear_prints(self, prints: Sequence[Print]) -> None:
        if not self._buckets:
            return
        minutes = self._minutes
        for one in prints:
            if one.trade_id < self._next_id:
                continue
            minute = one.time_us // MINUTE_US
            if not minutes or minutes[-1][0] != minute:
                minutes.append([minute, 0, 0, 0, 0])
                if minutes[0][0] < minute - self._buckets:
                    del minutes[0]
            minutes[-1][3] += one.price
            minutes[-1][4] += 1

    def pulse(self, now_us: int) -> None:
        if self._buckets:
            price = mean_of_minutes(self._minutes, self._buckets, now_us)
            self.send(lambda us: reference_payload(self.symbol, price, now_us, us))


# --- the book --------------------------------------------------------------------------------------------------------


class BestStream(MarketStream):
    """`bookTicker`: each change of the best bid or ask."""

    needs_book = True

    def hear_book(self, book: ShownBook, bids: Sequence[Level], asks: Sequence[Level], moved: bool) -> None:
        if moved:
            payload = best_payload(self.symbol, book.update_id, book.bids.best(), book.asks.best())
            self.send(lambda us: payload)


class PartialDepthStream(MarketStream):
    """The best levels, whole, whenever the book has changed."""

    needs_book = True

    def begin(self) -> None:
        super().begin()
        self._is_new = False

    def hear_book(self, book: ShownBook, bids: Sequence[Level], asks: Sequence[Level], moved: bool) -> None:
        self._is_new = True

    def pulse(self, now_us: int) -> None:
        book = self.followed.book
        if book is not None and (self._is_new or self.is_fresh):
            self._is_new = False
            levels = self.kind.levels
            payload = partial_depth_payload(book.update_id, book.bids.top(levels), book.asks.top(levels))
            self.send(lambda us: payload)


class DepthStream(MarketStream):
    """Changes of the book, put together since the last event: absolute quantities, and ids without a gap."""

    needs_book = True

    def begin(self) -> None:
        super().begin()
        assert self.followed.book is not None
        self._told_id = self.followed.book.update_id
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def hear_book(self, book: ShownBook, bids: Sequence[Level], asks: Sequence[Level], moved: bool) -> None:
        self._bids.update(bids)
        self._asks.update(asks)

    def pulse(self, now_us: int) -> None:
        book = self.followed.book
        if book is None or not (self._bids or self._asks):
            return
        first_id, last_id = self._told_id + 1, book.update_id
        bids = encode_levels(sorted(self._bids.items(), reverse=True))
        asks = encode_levels(sorted(self._asks.items()))
        self._told_id = last_id
        self._bids.clear()
        self._asks.clear()
        self.send(lambda us: depth_payload(self.symbol, first_id, last_id, bids, asks, now_us, us))


_STREAMS: dict[str, type[MarketStream]] = {
    "trade": TradeStream,
    "aggTrade": AggregateStream,
    "kline": CandleStream,
    "miniTicker": TickerStream,
    "ticker": TickerStream,
    "rolling": TickerStream,
    "avgPrice": AverageStream,
    "bookTicker": BestStream,
    "partialDepth": PartialDepthStream,
    "depth": DepthStream,
    # No block trade ever happens here, so that nobody hears of one.
    "blockTrade": MarketStream,
    "referencePrice": ReferenceStream,
}


def _make_stream(feed: MarketFeed, name: str, symbol: str, kind: StreamKind) -> MarketStream:
    return _STREAMS[kind.kind](feed, name, symbol, kind) if symbol else AllTickersStream(feed, name, symbol, kind)
