"""Market streams of spot: their names, and their payloads in Binance's spelling.

Fields and their order: Binance spot, "WebSocket Streams". Amounts come as ints in 1e-8 units, times in microseconds.
"""

from __future__ import annotations

import msgspec
from msgspec import field

from sparekey.market.aggregates import Aggregate
from sparekey.market.candles import Candle
from sparekey.market.shown_book import Level
from sparekey.terms.clocktime import DAY_US, HOUR_US, SECOND_US
from sparekey.terms.money import format_money
from sparekey.terms.rounding import average_price
from sparekey.venue.effects import Print
from sparekey.wire.ports import WindowView
from sparekey.wire.spot_market import INTERVALS, encode_levels, percent

_encode = msgspec.json.Encoder().encode

FAST_US = SECOND_US // 10
SLOW_US = SECOND_US
#: Candles of more than a second come every other second.
CANDLE_US = 2 * SECOND_US

#: Windows of `ticker_<window>`.
ROLLING_US = {"1h": HOUR_US, "4h": 4 * HOUR_US, "1d": DAY_US}
#: The one zone beside UTC that candles are cut in.
_EAST_8 = "@+08:00"


class StreamKind(msgspec.Struct, frozen=True):
    """What a name asks for, but for the symbol. `period_us` 0: in real time.

    `levels`: of a partial book. `interval` and `zone_us`: of candles. `window`: of a rolling ticker.
    """

    kind: str
    period_us: int = 0
    levels: int = 0
    interval: str = ""
    zone_us: int = 0
    window: str = ""


def _of_one_symbol() -> dict[str, StreamKind]:
    kinds = {name: StreamKind(name) for name in ("trade", "aggTrade", "blockTrade", "bookTicker")} | {
        name: StreamKind(name, SLOW_US) for name in ("miniTicker", "ticker", "avgPrice", "referencePrice")
    }
    # Several clients spell out the default speed.
    for speed, period_us in (("", SLOW_US), ("@1000ms", SLOW_US), ("@100ms", FAST_US)):
        kinds[f"depth{speed}"] = StreamKind("depth", period_us)
        for levels in (5, 10, 20):
            kinds[f"depth{levels}{speed}"] = StreamKind("partialDepth", period_us, levels=levels)
    for interval in INTERVALS:
        period_us = SLOW_US if interval == "1s" else CANDLE_US
        for zone, zone_us in (("", 0), (_EAST_8, 8 * HOUR_US)):
            kinds[f"kline_{interval}{zone}"] = StreamKind("kline", period_us, interval=interval, zone_us=zone_us)
    for window in ROLLING_US:
        kinds[f"ticker_{window}"] = StreamKind("rolling", SLOW_US, window=window)
    return kinds


#: What may stand behind `<symbol>@`.
OF_ONE_SYMBOL = _of_one_symbol()
#: Whole names of streams that gather all symbols.
OF_ALL_SYMBOLS = {
    f"!{name}@arr{speed}": kind
    for name, kind in (
        ("miniTicker", StreamKind("miniTicker", SLOW_US)),
        ("ticker", StreamKind("ticker", SLOW_US)),
        *((f"ticker_{window}", StreamKind("rolling", SLOW_US, window=window)) for window in ROLLING_US),
    )
    for speed in ("", "@1000ms")
}


#: Names that were retired, and when (Binance's changelog of spot).
RETIRED_SINCE = {"!ticker@arr": "2026-03-26", "!ticker@arr@1000ms": "2026-03-26"}


def parse_stream_name(name: str, api_date: str = "") -> tuple[str, StreamKind] | None:
    """(symbol, kind); no symbol where all are meant. None: there is no such stream, or none any more on `api_date`
    (ISO; empty: whatever was retired lately is there).

    Symbols are sent in lower case; whoever writes them otherwise hears nothing, as at Binance.
    """
    kind = OF_ALL_SYMBOLS.get(name)
    if kind is not None:
        return None if api_date and api_date >= RETIRED_SINCE.get(name, "9") else ("", kind)
    symbol, _, suffix = name.partition("@")
    kind = OF_ONE_SYMBOL.get(suffix)
    if kind is None or not symbol or symbol != symbol.lower():
        return None
    return symbol.upper(), kind


def _time(time_us: int, microseconds: bool) -> int:
    return time_us if microseconds else time_us // 1_000


# --- trades ----------------------------------------------------------------------------------------------------------


class TradeEvent(msgspec.Struct, kw_only=True, gc=False):
    """`trade`"""

    event: str = field(default="trade", name="e")
    event_time: int = field(name="E")
    symbol: str = field(name="s")
    trade_id: int = field(name="t")
    price: str = field(name="p")
    quantity: str = field(name="q")
    trade_time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")
    ignored: bool = field(default=True, name="M")


class AggregateEvent(msgspec.Struct, kw_only=True, gc=False):
    """`aggTrade`"""

    event: str = field(default="aggTrade", name="e")
    event_time: int = field(name="E")
    symbol: str = field(name="s")
    aggregate_id: int = field(name="a")
    price: str = field(name="p")
    quantity: str = field(name="q")
    first_trade_id: int = field(name="f")
    last_trade_id: int = field(name="l")
    trade_time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")
    ignored: bool = field(default=True, name="M")


def trade_payload(one: Print, microseconds: bool) -> bytes:
    time = _time(one.time_us, microseconds)
    return _encode(
        TradeEvent(
            event_time=time,
            symbol=one.symbol,
            trade_id=one.trade_id,
            price=format_money(one.price),
            quantity=format_money(one.quantity),
            trade_time=time,
            buyer_is_maker=one.buyer_is_maker,
        )
    )


def aggregate_payload(symbol: str, one: Aggregate, microseconds: bool) -> bytes:
    time = _time(one.time_us, microseconds)
    return _encode(
        AggregateEvent(
            event_time=time,
            symbol=symbol,
            aggregate_id=one.aggregate_id,
            price=format_money(one.price),
            quantity=format_money(one.quantity),
            first_trade_id=one.first_trade_id,
            last_trade_id=one.last_trade_id,
            trade_time=time,
            buyer_is_maker=one.buyer_is_maker,
        )
    )


# --- candles ---------------------------------------------------------------------------------------------------------


class CandleFields(msgspec.Struct, kw_only=True, gc=False):
    """`k` of a `kline`. Trade ids are -1 while nothing traded."""

    open_time: int = field(name="t")
    close_time: int = field(name="T")
    symbol: str = field(name="s")
    interval: str = field(name="i")
    first_trade_id: int = field(name="f")
    last_trade_id: int = field(name="L")
    open: str = field(name="o")
    close: str = field(name="c")
    high: str = field(name="h")
    low: str = field(name="l")
    volume: str = field(name="v")
    trades: int = field(name="n")
    is_closed: bool = field(name="x")
    quote_volume: str = field(name="q")
    taker_volume: str = field(name="V")
    taker_quote_volume: str = field(name="Q")
    ignored: str = field(default="0", name="B")


class CandleEvent(msgspec.Struct, kw_only=True, gc=False):
    """`kline`"""

    event: str = field(default="kline", name="e")
    event_time: int = field(name="E")
    symbol: str = field(name="s")
    candle: CandleFields = field(name="k")


def candle_payload(
    symbol: str, interval: str, candle: Candle, last_trade_id: int, is_closed: bool, now_us: int, microseconds: bool
) -> bytes:
    money = format_money
    traded = candle.trades > 0
    return _encode(
        CandleEvent(
            event_time=_time(now_us, microseconds),
            symbol=symbol,
            candle=CandleFields(
                open_time=_time(candle.open_us, microseconds),
                close_time=_time(candle.close_us, microseconds),
                symbol=symbol,
                interval=interval,
                first_trade_id=last_trade_id - candle.trades + 1 if traded else -1,
                last_trade_id=last_trade_id if traded else -1,
                open=money(candle.open),
                close=money(candle.close),
                high=money(candle.high),
                low=money(candle.low),
                volume=money(candle.volume),
                trades=candle.trades,
                is_closed=is_closed,
                quote_volume=money(candle.quote_volume),
                taker_volume=money(candle.taker_volume),
                taker_quote_volume=money(candle.taker_quote_volume),
            ),
        )
    )


# --- tickers ---------------------------------------------------------------------------------------------------------


def mini_ticker_payload(symbol: str, window: WindowView, now_us: int, microseconds: bool) -> bytes:
    money = format_money
    return _encode(
        {
            "e": "24hrMiniTicker",
            "E": _time(now_us, microseconds),
            "s": symbol,
            "c": money(window.last),
            "o": money(window.open),
            "h": money(window.high),
            "l": money(window.low),
            "v": money(window.volume),
            "q": money(window.quote_volume),
        }
    )


def ticker_payload(symbol: str, window: WindowView, bid: Level, ask: Level, now_us: int, microseconds: bool) -> bytes:
    money = format_money
    change = window.last - window.open
    return _encode(
        {
            "e": "24hrTicker",
            "E": _time(now_us, microseconds),
            "s": symbol,
            "p": money(change),
            "P": percent(change, window.open),
            "w": money(average_price(window.quote_volume, window.volume)),
            "x": money(window.previous_close or window.open),
            "c": money(window.last),
            "Q": money(window.last_quantity),
            "b": money(bid[0]),
            "B": money(bid[1]),
            "a": money(ask[0]),
            "A": money(ask[1]),
            "o": money(window.open),
            "h": money(window.high),
            "l": money(window.low),
            "v": money(window.volume),
            "q": money(window.quote_volume),
            "O": _time(window.open_us, microseconds),
            "C": _time(window.close_us, microseconds),
            "F": window.first_trade_id,
            "L": window.last_trade_id,
            "n": window.trades,
        }
    )


def rolling_payload(symbol: str, name: str, window: WindowView, now_us: int, microseconds: bool) -> bytes:
    """`name` is `1h`, `4h` or `1d`."""
    money = format_money
    change = window.last - window.open
    return _encode(
        {
            "e": f"{name}Ticker",
            "E": _time(now_us, microseconds),
            "s": symbol,
            "p": money(change),
            "P": percent(change, window.open),
            "o": money(window.open),
            "h": money(window.high),
            "l": money(window.low),
            "c": money(window.last),
            "w": money(average_price(window.quote_volume, window.volume)),
            "v": money(window.volume),
            "q": money(window.quote_volume),
            "O": _time(window.open_us, microseconds),
            "C": _time(window.close_us, microseconds),
            "F": window.first_trade_id,
            "L": window.last_trade_id,
            "n": window.trades,
        }
    )


def average_payload(
    symbol: str, minutes: int, price: int, last_trade_us: int, now_us: int, microseconds: bool
) -> bytes:
    return _encode(
        {
            "e": "avgPrice",
            "E": _time(now_us, microseconds),
            "s": symbol,
            "i": f"{minutes}m",
            "w": format_money(price),
            "T": _time(last_trade_us, microseconds),
        }
    )


def reference_payload(symbol: str, price: int, now_us: int, microseconds: bool) -> bytes:
    """`referencePrice`: null while no trade lies in its window; it has no event time."""
    shown = format_money(price) if price else None
    return _encode({"e": "referencePrice", "s": symbol, "r": shown, "t": _time(now_us, microseconds)})


# --- the book --------------------------------------------------------------------------------------------------------


def best_payload(symbol: str, update_id: int, bid: Level, ask: Level) -> bytes:
    """`bookTicker`, which has no type and no time."""
    money = format_money
    return b'{"u":%d,"s":"%b","b":"%b","B":"%b","a":"%b","A":"%b"}' % (
        update_id,
        symbol.encode(),
        money(bid[0]).encode(),
        money(bid[1]).encode(),
        money(ask[0]).encode(),
        money(ask[1]).encode(),
    )


def partial_depth_payload(update_id: int, bids: list[Level], asks: list[Level]) -> bytes:
    """`depth5`, `depth10`, `depth20`: neither type nor symbol nor time."""
    return b'{"lastUpdateId":%d,"bids":[%b],"asks":[%b]}' % (update_id, encode_levels(bids), encode_levels(asks))


def depth_payload(
    symbol: str, first_id: int, last_id: int, bids: bytes, asks: bytes, now_us: int, microseconds: bool
) -> bytes:
    """`depthUpdate`; the levels come encoded already, because they are the same in both units of time."""
    return b'{"e":"depthUpdate","E":%d,"s":"%b","U":%d,"u":%d,"b":[%b],"a":[%b]}' % (
        _time(now_us, microseconds),
        symbol.encode(),
        first_id,
        last_id,
        bids,
        asks,
    )
