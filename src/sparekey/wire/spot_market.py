"""Spot: the book, prints, candles and tickers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sparekey.terms.clocktime import DAY_US, HOUR_US, MILLISECOND_US, MINUTE_US
from sparekey.terms.money import format_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.terms.rounding import average_price, percent_thousandths
from sparekey.venue.listing import SymbolRules
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.ports import Level, PrintView, WindowView

_encode = msgspec.json.Encoder().encode

_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_REFERENCE_PRICE_NONE = Refusal(Reason.REFERENCE_PRICE_NONE)
_STATUS_MISMATCH = Refusal(Reason.SYMBOL_STATUS_MISMATCH)
_COMBINATION = Refusal(Reason.PARAMETERS_COMBINATION)
_EITHER_SYMBOL = Refusal(Reason.PARAMETERS_EITHER, ("symbol", "symbols"))

#: Binance's sixteen, in its spelling; months and minutes differ by case alone.
INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
#: Rolling windows of `ticker`: 1 to 59 minutes, 1 to 23 hours, 1 to 7 days; units do not mix.
WINDOWS_US = (
    {f"{n}m": n * MINUTE_US for n in range(1, 60)}
    | {f"{n}h": n * HOUR_US for n in range(1, 24)}
    | {f"{n}d": n * DAY_US for n in range(1, 8)}
)
#: Times outside are pulled to the nearer end, silently (spot REST, general information).
EARLIEST_US = 1_483_228_800_000_000  # 2017-01-01

_CACHED_DEPTHS = 256


# --- which symbols -------------------------------------------------------------------------------------------------


def _one(desk: Desk, values: Mapping[str, Any]) -> SymbolRules | Refusal:
    rules = desk.spot.rules(values["symbol"])
    if rules is None:
        return _SYMBOL_UNKNOWN
    status = values.get("symbolStatus")
    return _STATUS_MISMATCH if status is not None and rules.status != status else rules


def _several(desk: Desk, values: Mapping[str, Any]) -> Sequence[SymbolRules] | Refusal:
    """Those of `symbols`, or all; what has another status than asked for is left out."""
    chosen: Sequence[SymbolRules]
    if values["symbols"] is None:
        chosen = desk.spot.symbols()
    else:
        found = [desk.spot.rules(symbol) for symbol in values["symbols"]]
        chosen = [rules for rules in found if rules is not None]
        if len(chosen) < len(found):
            return _SYMBOL_UNKNOWN
    status = values["symbolStatus"]
    return chosen if status is None else [rules for rules in chosen if rules.status == status]


def _answer(desk: Desk, call: Call, describe: Callable[[SymbolRules], Mapping[str, Any]]) -> bytes | Refusal:
    """An object for `symbol`, an array for `symbols` or neither."""
    if call.values["symbol"] is not None:
        rules = _one(desk, call.values)
        return rules if isinstance(rules, Refusal) else _encode(describe(rules))
    chosen = _several(desk, call.values)
    return chosen if isinstance(chosen, Refusal) else _encode([describe(rules) for rules in chosen])


def check_symbol_or_symbols(values: Mapping[str, Any]) -> Refusal | None:
    return _COMBINATION if values["symbol"] is not None and values["symbols"] is not None else None


def check_one_of_symbol_and_symbols(values: Mapping[str, Any]) -> Refusal | None:
    if values["symbol"] is None and values["symbols"] is None:
        return _EITHER_SYMBOL
    return check_symbol_or_symbols(values)


def check_from_id_or_times(values: Mapping[str, Any]) -> Refusal | None:
    """aggTrades: `fromId` goes with no time."""
    timed = values["startTime"] is not None or values["endTime"] is not None
    return _COMBINATION if timed and values["fromId"] is not None else None


def _legal_time(time_us: int | None, now_us: int) -> int | None:
    return None if time_us is None else min(max(time_us, EARLIEST_US), now_us)


# --- the book ------------------------------------------------------------------------------------------------------


def depth(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/depth. The text is kept as long as the book does not change."""
    rules = _one(desk, call.values)
    if isinstance(rules, Refusal):
        return rules
    symbol, limit = rules.symbol, call.values["limit"]
    update_id = desk.spot.last_update_id(symbol)
    depths: dict[tuple[str, int], tuple[int, bytes]] = desk.cache.setdefault("depths", {})
    cached = depths.get((symbol, limit))
    if cached is not None and cached[0] == update_id:
        return cached[1]
    bids, asks = desk.spot.depth(symbol, limit)
    body = b'{"lastUpdateId":%d,"bids":[%b],"asks":[%b]}' % (update_id, encode_levels(bids), encode_levels(asks))
    if len(depths) >= _CACHED_DEPTHS:  # as many limits as somebody cares to think of
        depths.clear()
    depths[symbol, limit] = update_id, body
    return body


def encode_levels(levels: Iterable[Level]) -> bytes:
    money = format_money
    return ",".join([f'["{money(price)}","{money(quantity)}"]' for price, quantity in levels]).encode()


# --- prints --------------------------------------------------------------------------------------------------------


class MarketTrade(msgspec.Struct, rename="camel", gc=False):
    id: int
    price: str
    qty: str
    quote_qty: str
    time: int
    is_buyer_maker: bool
    is_best_match: bool


def trades(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/trades: the newest, ascending."""
    return _trades(desk, call, None)


def historical_trades(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/historicalTrades: from `fromId` on, or the newest."""
    return _trades(desk, call, call.values["fromId"])


def historical_block_trades(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/historicalBlockTrades: none. Block trades are agreed between two parties away from the book, and
    there is nobody here to agree on one; what everybody else trades shows in `historicalTrades`."""
    return _SYMBOL_UNKNOWN if desk.spot.rules(call.values["symbol"]) is None else b"[]"


def _trades(desk: Desk, call: Call, from_id: int | None) -> bytes | Refusal:
    symbol = call.values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    return _encode(
        [_trade(call, row) for row in desk.views.trades(symbol, from_id=from_id, limit=call.values["limit"])]
    )


def _trade(call: Call, row: PrintView) -> MarketTrade:
    return MarketTrade(
        row.trade_id,
        format_money(row.price),
        format_money(row.quantity),
        format_money(row.quote_quantity),
        call.time(row.time_us),
        row.buyer_is_maker,
        True,
    )


class AggregateTrade(msgspec.Struct, gc=False):
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741 -- the field's name on the wire
    T: int
    m: bool
    M: bool


def agg_trades(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/aggTrades"""
    values = call.values
    symbol = values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    rows = desk.views.agg_trades(
        symbol,
        from_id=values["fromId"],
        start_us=_legal_time(values["startTime"], call.now_us),
        end_us=_legal_time(values["endTime"], call.now_us),
        limit=values["limit"],
    )
    return _encode(
        [
            AggregateTrade(
                row.aggregate_id,
                format_money(row.price),
                format_money(row.quantity),
                row.first_trade_id,
                row.last_trade_id,
                call.time(row.time_us),
                row.buyer_is_maker,
                True,
            )
            for row in rows
        ]
    )


# --- candles -------------------------------------------------------------------------------------------------------


def klines(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/klines and uiKlines: rows of twelve, told apart by their open time."""
    values = call.values
    symbol = values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    candles = desk.views.candles(
        symbol,
        values["interval"],
        start_us=_legal_time(values["startTime"], call.now_us),
        end_us=_legal_time(values["endTime"], call.now_us),
        limit=values["limit"],
        zone_offset_us=values["timeZone"],
        now_us=call.now_us,
    )
    money, time = format_money, call.time
    return _encode(
        [
            (
                time(candle.open_us),
                money(candle.open),
                money(candle.high),
                money(candle.low),
                money(candle.close),
                money(candle.volume),
                time(candle.close_us),
                money(candle.quote_volume),
                candle.trades,
                money(candle.taker_volume),
                money(candle.taker_quote_volume),
                "0",
            )
            for candle in candles
        ]
    )


def average(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/avgPrice: over the minutes that the symbol's filters use."""
    rules = _one(desk, call.values)
    if isinstance(rules, Refusal):
        return rules
    spot, symbol = desk.spot, rules.symbol
    return _encode(
        {
            "mins": rules.average_price_minutes,
            "price": format_money(spot.average_price(symbol, call.now_us)),
            "closeTime": call.time(spot.last_trade_us(symbol)),
        }
    )


def reference_price(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/referencePrice: as it is at the moment of the call, null while no trade lies in its window."""
    rules = _one(desk, call.values)
    if isinstance(rules, Refusal):
        return rules
    price = desk.spot.reference_price(rules.symbol, call.now_us)
    if price is None:
        return _REFERENCE_PRICE_NONE
    shown = format_money(price) if price else None
    return _encode({"symbol": rules.symbol, "referencePrice": shown, "timestamp": call.time(call.now_us)})


def reference_price_calculation(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/referencePrice/calculation"""
    rules = _one(desk, call.values)
    if isinstance(rules, Refusal):
        return rules
    if not rules.reference_buckets:
        return _REFERENCE_PRICE_NONE
    return _encode(
        {
            "symbol": rules.symbol,
            "calculationType": "ARITHMETIC_MEAN",
            "bucketCount": rules.reference_buckets,
            "bucketWidthMs": MINUTE_US // MILLISECOND_US,
        }
    )


# --- tickers -------------------------------------------------------------------------------------------------------


def ticker_price(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/ticker/price"""
    return _answer(
        desk,
        call,
        lambda rules: {"symbol": rules.symbol, "price": format_money(desk.spot.last_price(rules.symbol))},
    )


def ticker_book(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/ticker/bookTicker"""
    return _answer(desk, call, lambda rules: {"symbol": rules.symbol} | _best(desk, rules.symbol))


def _best(desk: Desk, symbol: str) -> dict[str, str]:
    bids, asks = desk.spot.depth(symbol, 1)
    bid, ask = bids[0] if bids else (0, 0), asks[0] if asks else (0, 0)
    return {
        "bidPrice": format_money(bid[0]),
        "bidQty": format_money(bid[1]),
        "askPrice": format_money(ask[0]),
        "askQty": format_money(ask[1]),
    }


def ticker_24h(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/ticker/24hr: the last 24 hours to the moment of the call."""
    mini, now_us = call.values["type"] == "MINI", call.now_us

    def describe(rules: SymbolRules) -> Mapping[str, Any]:
        window = desk.views.ticker_window(rules.symbol, now_us - DAY_US, now_us)
        if mini:
            return _mini(call, rules.symbol, window)
        full = _full(call, rules.symbol, window)
        return _with_book(full, window, _best(desk, rules.symbol))

    return _answer(desk, call, describe)


def ticker_day(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/ticker/tradingDay: the running day of a time zone, named by its whole bounds."""
    offset_us = call.values["timeZone"]
    open_us = (call.now_us + offset_us) // DAY_US * DAY_US - offset_us
    return _windowed(desk, call, open_us, open_us + DAY_US - 1)


def ticker_rolling(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/ticker: the window opens on a whole minute, so it is up to a minute longer than asked for."""
    open_us = (call.now_us - WINDOWS_US[call.values["windowSize"]]) // MINUTE_US * MINUTE_US
    return _windowed(desk, call, open_us, call.now_us)


def _windowed(desk: Desk, call: Call, open_us: int, close_us: int) -> bytes | Refusal:
    describe = _mini if call.values["type"] == "MINI" else _full
    return _answer(
        desk,
        call,
        lambda rules: describe(call, rules.symbol, desk.views.ticker_window(rules.symbol, open_us, close_us)),
    )


def _full(call: Call, symbol: str, window: WindowView) -> dict[str, Any]:
    money = format_money
    change = window.last - window.open
    return {
        "symbol": symbol,
        "priceChange": money(change),
        "priceChangePercent": percent(change, window.open),
        "weightedAvgPrice": money(average_price(window.quote_volume, window.volume)),
        "openPrice": money(window.open),
        "highPrice": money(window.high),
        "lowPrice": money(window.low),
        "lastPrice": money(window.last),
        "volume": money(window.volume),
        "quoteVolume": money(window.quote_volume),
        "openTime": call.time(window.open_us),
        "closeTime": call.time(window.close_us),
        "firstId": window.first_trade_id,
        "lastId": window.last_trade_id,
        "count": window.trades,
    }


def _mini(call: Call, symbol: str, window: WindowView) -> dict[str, Any]:
    full = _full(call, symbol, window)
    for name in ("priceChange", "priceChangePercent", "weightedAvgPrice"):
        del full[name]
    return full


def _with_book(full: dict[str, Any], window: WindowView, best: Mapping[str, str]) -> dict[str, Any]:
    """The fields that only `ticker/24hr` has, in their places."""
    own = {
        "prevClosePrice": format_money(window.previous_close or window.open),
        "lastPrice": full["lastPrice"],
        "lastQty": format_money(window.last_quantity),
        **best,
    }
    head = {name: full[name] for name in ("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice")}
    return head | own | full


def percent(change: int, base: int) -> str:
    """Three decimals: `-1.234`."""
    thousandths = percent_thousandths(change, base)
    sign, size = ("-", -thousandths) if thousandths < 0 else ("", thousandths)
    return f"{sign}{size // 1_000}.{size % 1_000:03}"
