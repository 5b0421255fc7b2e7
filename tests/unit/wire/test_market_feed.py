"""Market streams agree with what happened: trades, candles and statistics are reckoned here anew from plain prints."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sparekey.market.shown_book import ShownBook
from sparekey.sequencer.ports import Published, Record
from sparekey.terms.admissions import operator_admission
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from sparekey.terms.money import format_money
from sparekey.venue.commands import Fund
from sparekey.venue.effects import BookChanged, Print
from sparekey.wire.market_streams import parse_stream_name
from tests.market_desk import SYMBOL, Ear, MarketDesk
from tests.unit.market.listed import BIRTH_US


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MarketDesk]:
    desk = MarketDesk(tmp_path)
    yield desk
    desk.close()


def printed(desk: MarketDesk, since: int = 0, symbol: str = SYMBOL) -> list[Print]:
    return [one for one in desk.prints[since:] if one.symbol == symbol]


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("btcusdt@trade", ("BTCUSDT", "trade", 0)),
        ("btcusdt@aggTrade", ("BTCUSDT", "aggTrade", 0)),
        ("btcusdt@bookTicker", ("BTCUSDT", "bookTicker", 0)),
        ("btcusdt@blockTrade", ("BTCUSDT", "blockTrade", 0)),
        ("btcusdt@kline_1s", ("BTCUSDT", "kline", 1000)),
        ("btcusdt@kline_1M", ("BTCUSDT", "kline", 2000)),
        ("btcusdt@kline_1d@+08:00", ("BTCUSDT", "kline", 2000)),
        ("btcusdt@depth", ("BTCUSDT", "depth", 1000)),
        ("btcusdt@depth@100ms", ("BTCUSDT", "depth", 100)),
        ("btcusdt@depth@1000ms", ("BTCUSDT", "depth", 1000)),
        ("btcusdt@depth5", ("BTCUSDT", "partialDepth", 1000)),
        ("btcusdt@depth20@100ms", ("BTCUSDT", "partialDepth", 100)),
        ("btcusdt@ticker_4h", ("BTCUSDT", "rolling", 1000)),
        ("!miniTicker@arr", ("", "miniTicker", 1000)),
        ("!miniTicker@arr@1000ms", ("", "miniTicker", 1000)),
        ("!ticker@arr", ("", "ticker", 1000)),
        ("!ticker_1d@arr", ("", "rolling", 1000)),
    ],
)
def test_a_name_says_symbol_kind_and_speed(name: str, means: tuple[str, str, int]) -> None:
    parsed = parse_stream_name(name)
    assert parsed is not None
    symbol, kind = parsed
    assert (symbol, kind.kind, kind.period_us // 1_000) == means


@pytest.mark.parametrize(
    "name",
    [
        "BTCUSDT@trade",
        "btcusdt@aggtrade",
        "btcusdt@kline_1H",
        "btcusdt@kline_2m",
        "btcusdt@kline_1d@+09:00",
        "btcusdt@depth15",
        "btcusdt@depth@250ms",
        "btcusdt@ticker_2h",
        "btcusdt@",
        "@trade",
        "!bookTicker",
        "!ticker",
        "trade",
        "0",
    ],
)
def test_a_name_that_means_nothing_is_silent(desk: MarketDesk, name: str) -> None:
    assert parse_stream_name(name) is None
    ear = desk.listen(name, "nosuch@trade")
    desk.tick()
    desk.pulse()
    assert not ear.heard
    assert desk.feed.listeners == 0


def test_a_retired_name_means_nothing_from_its_day_on() -> None:
    for day, lives in (("", True), ("2026-03-25", True), ("2026-03-26", False), ("2026-11-25", False)):
        assert (parse_stream_name("!ticker@arr", day) is not None) == lives
        assert parse_stream_name("!miniTicker@arr", day) is not None


# --- trades ----------------------------------------------------------------------------------------------------------


def test_trades_and_aggregates_are_told_as_they_were_printed(desk: MarketDesk) -> None:
    desk.tick()
    desk.archive.flush()
    since = len(desk.prints)
    ear, fine = desk.listen("btcusdt@trade", "btcusdt@aggTrade"), desk.listen("btcusdt@trade", microseconds=True)
    for _ in range(20):
        desk.tick()
        desk.do(desk.order("BUY", "8"))  # walks several levels: several aggregates of one taker
    plain = printed(desk, since)
    trades = [payload for name, payload in ear.heard if name == "btcusdt@trade"]
    assert trades == [
        {
            "e": "trade",
            "E": one.time_us // 1_000,
            "s": SYMBOL,
            "t": one.trade_id,
            "p": format_money(one.price),
            "q": format_money(one.quantity),
            "T": one.time_us // 1_000,
            "m": one.buyer_is_maker,
            "M": True,
        }
        for one in plain
    ]
    assert [payload["T"] for payload in fine.take()] == [one.time_us for one in plain]
    assert [payload["t"] for payload in trades] == list(range(trades[0]["t"], trades[0]["t"] + len(trades)))
    together = [
        list(group)
        for _, group in groupby(plain, lambda one: (one.time_us, one.taker_order_id, one.price, one.buyer_is_maker))
    ]
    aggregates = [payload for name, payload in ear.heard if name == "btcusdt@aggTrade"]
    assert [(one["f"], one["l"], Decimal(one["q"])) for one in aggregates] == [
        (group[0].trade_id, group[-1].trade_id, Decimal(sum(one.quantity for one in group)) / 10**8)
        for group in together
    ]
    assert len({one["a"] for one in aggregates}) == len(aggregates)
    rows = desk.views.agg_trades(SYMBOL, from_id=aggregates[0]["a"], start_us=None, end_us=None, limit=1_000)
    assert [(row.aggregate_id, row.first_trade_id, row.last_trade_id) for row in rows] == [
        (one["a"], one["f"], one["l"]) for one in aggregates
    ]


def test_nothing_is_heard_before_it_is_durable(desk: MarketDesk) -> None:
    desk.tick()
    ear = desk.listen(
        "btcusdt@trade", "btcusdt@bookTicker", "btcusdt@depth@100ms", "btcusdt@depth5@100ms", "btcusdt@kline_1s"
    )
    desk.apply(desk.order("BUY", "3"))
    assert not desk.pulse()
    assert not ear.heard
    desk.commit()
    update_id = desk.spot.last_update_id(SYMBOL)
    heard = dict(ear.heard)
    assert heard["btcusdt@depth@100ms"]["u"] == update_id
    assert heard["btcusdt@depth5@100ms"]["lastUpdateId"] == update_id
    assert {name for name, _ in ear.heard} == {
        "btcusdt@trade",
        "btcusdt@bookTicker",
        "btcusdt@depth@100ms",
        "btcusdt@depth5@100ms",
        "btcusdt@kline_1s",
    }


def test_who_leaves_hears_no_more_and_nothing_is_done_for_nobody(desk: MarketDesk) -> None:
    names = ["btcusdt@trade", "btcusdt@depth", "btcusdt@ticker", "!ticker@arr", "ethusdt@kline_1m"]
    ear = desk.listen(*names)
    other = desk.listen("btcusdt@trade")
    assert desk.spot.watched_books
    assert desk.feed.period_us == SECOND_US
    for name in [*names, "btcusdt@depth", "nosuch@depth"]:
        desk.feed.leave(name, ear)
    desk.tick()
    desk.pulse()
    assert not ear.heard
    assert other.heard
    desk.feed.leave("btcusdt@trade", other)
    assert not desk.spot.watched_books
    assert desk.feed.period_us == 0
    assert not desk.feed._symbols and not desk.feed._streams


def test_an_aggregate_does_not_go_on_in_the_next_record_even_at_the_same_time(desk: MarketDesk) -> None:
    """Streams have told of it by then, and queries must say the same."""
    first_id = desk.views.last_trade(SYMBOL)[0] + 1
    one = Print(SYMBOL, first_id, desk.now_us, 65_000 * 10**8, 10**6, 650 * 10**8, False)
    first_position = desk.sequencer.position + 1
    for position, prints in (
        (first_position, (one, replace(one, trade_id=first_id + 1))),
        (first_position + 1, (replace(one, trade_id=first_id + 2),)),
    ):
        record = Record("spot", position, desk.now_us, 1, None, ())
        desk.archive.receive([Published(record, prints, position)])
    rows = desk.views.agg_trades(SYMBOL, from_id=None, start_us=None, end_us=None, limit=2)
    assert [(row.first_trade_id, row.last_trade_id) for row in rows] == [
        (first_id, first_id + 1),
        (first_id + 2, first_id + 2),
    ]


def test_time_does_not_go_back_in_a_stream(desk: MarketDesk) -> None:
    ear = desk.listen("btcusdt@depth5@100ms")
    desk.tick()
    desk.feed.pulse(desk.now_us + 5 * SECOND_US)
    desk.feed.pulse(desk.now_us - 5 * SECOND_US)
    assert len(ear.take()) == 1
    diffs = desk.listen("btcusdt@depth@100ms")
    desk.tick()
    desk.feed.pulse(desk.now_us - 5 * SECOND_US)
    assert [one["E"] for one in diffs.take()] == [(desk.now_us + 4 * SECOND_US) // 1_000]


# --- candles ---------------------------------------------------------------------------------------------------------


def plain_candle(trades: list[Any], open_us: int, next_us: int) -> dict[str, Any]:
    inside = [one for one in trades if open_us <= one.time_us < next_us]
    before = [one for one in trades if one.time_us < open_us]
    prices = [one.price for one in inside] or [before[-1].price]
    bought = [one for one in inside if not one.buyer_is_maker]
    return {
        "t": open_us // 1_000,
        "T": (next_us - 1) // 1_000,
        "f": inside[0].trade_id if inside else -1,
        "L": inside[-1].trade_id if inside else -1,
        "o": format_money(prices[0]),
        "c": format_money(prices[-1]),
        "h": format_money(max(prices)),
        "l": format_money(min(prices)),
        "v": format_money(sum(one.quantity for one in inside)),
        "n": len(inside),
        "V": format_money(sum(one.quantity for one in bought)),
    }


def same_candle(told: dict[str, Any], plain: dict[str, Any]) -> bool:
    return {name: told[name] for name in plain} == plain


def test_candles_agree_with_the_prints_and_each_closes_once(desk: MarketDesk) -> None:
    """From the synthetic past over the birth into live minutes; seconds, minutes and hours in two zones."""
    past = desk.histories[SYMBOL].trades_between(BIRTH_US - 2 * HOUR_US, BIRTH_US, 100_000)
    ear = desk.listen("btcusdt@kline_1s", "btcusdt@kline_1m", "btcusdt@kline_1h", "btcusdt@kline_1h@+08:00")
    desk.seconds(130)
    trades = [*past, *printed(desk)]
    told: dict[str, list[Any]] = {}
    for name, payload in ear.heard:
        assert payload["e"] == "kline"
        assert payload["k"]["i"] == name.removeprefix("btcusdt@kline_").removesuffix("@+08:00")
        told.setdefault(name, []).append(payload)
    for name, span_us, closed in (("1s", SECOND_US, 129), ("1m", MINUTE_US, 2)):
        candles = [payload["k"] for payload in told[f"btcusdt@kline_{name}"]]
        ends = [candle for candle in candles if candle["x"]]
        assert len(ends) >= closed
        assert all(after["t"] - before["t"] == span_us // 1_000 for before, after in pairwise(ends))
        for candle in ends:
            open_us = candle["t"] * 1_000
            assert same_candle(candle, plain_candle(trades, open_us, open_us + span_us)), candle
    for payload in told["btcusdt@kline_1m"]:
        candle = payload["k"]
        until_us = min(payload["E"] * 1_000 + 999, candle["T"] * 1_000 + 999)
        plain = plain_candle(trades, candle["t"] * 1_000, until_us + 1)
        assert same_candle(candle, plain | {"T": candle["T"]})
    running = told["btcusdt@kline_1m"]
    assert {after["E"] - before["E"] for before, after in pairwise(running[1:-1])} == {2_000}
    hour = told["btcusdt@kline_1h"][-1]
    open_us = hour["k"]["t"] * 1_000
    plain = plain_candle(trades, open_us, hour["E"] * 1_000 + 1_000)
    assert same_candle(hour["k"], plain | {"T": (open_us + HOUR_US - 1) // 1_000})
    assert [one["k"] for one in told["btcusdt@kline_1h@+08:00"]] == [one["k"] for one in told["btcusdt@kline_1h"]]


def test_days_are_cut_in_the_zone_that_the_name_says(desk: MarketDesk) -> None:
    ear = desk.listen("btcusdt@kline_1d", "btcusdt@kline_1d@+08:00", "btcusdt@kline_1w@+08:00")
    desk.seconds(2)
    opens = {name: payload["k"]["t"] for name, payload in ear.heard}
    day = BIRTH_US // DAY_US * DAY_US
    assert opens["btcusdt@kline_1d"] == day // 1_000
    # 22:15 UTC is 06:15 of the next day there.
    assert opens["btcusdt@kline_1d@+08:00"] == (day + 16 * HOUR_US) // 1_000
    assert opens["btcusdt@kline_1w@+08:00"] % (24 * 3_600_000) == 16 * 3_600_000


def test_a_candle_in_which_nothing_traded_closes_at_the_price_before(desk: MarketDesk) -> None:
    desk.tick()
    last = printed(desk)[-1]
    ear = desk.listen("btcusdt@kline_1m")
    desk.now_us = (desk.now_us // MINUTE_US + 1) * MINUTE_US
    desk.pulse()
    for _ in range(2):
        desk.now_us += MINUTE_US
        desk.pulse()
    candles = [payload["k"] for payload in ear.take()]
    assert [candle["x"] for candle in candles] == [True, True, True]
    assert [candle["n"] > 0 for candle in candles] == [True, False, False]
    empty = candles[1]
    assert (empty["f"], empty["L"], empty["v"]) == (-1, -1, "0.00000000")
    assert {empty[name] for name in "ohlc"} == {format_money(last.price)}


def test_what_is_not_durable_when_somebody_comes_is_counted_once(desk: MarketDesk) -> None:
    desk.tick()
    desk.now_us = desk.now_us // SECOND_US * SECOND_US + SECOND_US
    desk.apply(desk.order("BUY", "0.3"), desk.order("SELL", "4.3", symbol="BTCUSDC"))
    ear = desk.listen("btcusdt@kline_1s", "btcusdt@kline_1m", "btcusdt@aggTrade", "btcusdc@referencePrice")
    desk.apply(desk.order("BUY", "0.2"), desk.order("SELL", "4.2", symbol="BTCUSDC"))
    desk.commit()
    desk.now_us += SECOND_US
    desk.pulse()
    trades = printed(desk)
    (second,) = [one["k"] for one in ear.heard_of("btcusdt@kline_1s")]
    open_us = desk.now_us - SECOND_US
    assert same_candle(second, plain_candle(trades, open_us, desk.now_us))
    minute = ear.heard_of("btcusdt@kline_1m")[-1]["k"]
    past = desk.histories[SYMBOL].trades_between(BIRTH_US - MINUTE_US, BIRTH_US, 10_000)
    open_us = minute["t"] * 1_000
    assert same_candle(minute, plain_candle([*past, *trades], open_us, open_us + MINUTE_US))
    assert ear.heard_of("btcusdt@aggTrade")[-1]["a"] == desk.views.last_aggregate_id(SYMBOL)
    reference = ear.heard_of("btcusdc@referencePrice")[-1]["r"]
    assert reference == format_money(desk.spot.reference_price("BTCUSDC", desk.now_us) or 0)


def test_a_symbol_without_a_trade_has_no_candles_until_the_first_one(tmp_path: Path) -> None:
    desk = MarketDesk(tmp_path, opens=False)
    try:
        ear = desk.listen("btcusdt@kline_1s", "btcusdt@avgPrice", "btcusdt@kline_1m")
        for _ in range(2):
            desk.now_us += SECOND_US
            desk.pulse()
        assert not ear.heard
        price = 65_000 * 10**8
        desk.do(Fund(2, "BTC", 10**8))
        sell = desk.order("SELL", "0.5", price)
        desk.do(replace(sell, admission=operator_admission(2)), desk.order("BUY", "0.5", price))
        desk.now_us += 2 * SECOND_US
        desk.pulse()
        (second,), (average,) = ear.heard_of("btcusdt@kline_1s"), ear.heard_of("btcusdt@avgPrice")
        assert (second["k"]["f"], second["k"]["L"], second["k"]["v"]) == (1, 1, "0.50000000")
        assert average["w"] == ear.heard_of("btcusdt@kline_1m")[0]["k"]["o"] == format_money(price)
    finally:
        desk.close()


def test_a_clock_that_was_set_back_goes_on_with_the_candle_that_it_comes_back_to(desk: MarketDesk) -> None:
    desk.tick()
    ear = desk.listen("btcusdt@kline_1m", "btcusdt@kline_1s")
    now_us = desk.now_us
    desk.feed.pulse(now_us + MINUTE_US)  # the wire clock was ahead for a moment
    desk.do(desk.order("BUY", "1"))
    desk.feed.pulse(now_us + 2 * MINUTE_US)
    minutes = [payload["k"] for payload in ear.take("btcusdt@kline_1m")]
    again = [candle for candle in minutes if candle["x"] and candle["t"] == now_us // MINUTE_US * 60_000]
    trades = [*desk.histories[SYMBOL].trades_between(BIRTH_US - MINUTE_US, BIRTH_US, 10_000), *printed(desk)]
    open_us = now_us // MINUTE_US * MINUTE_US
    assert same_candle(again[-1], plain_candle(trades, open_us, open_us + MINUTE_US))


# --- tickers ---------------------------------------------------------------------------------------------------------


def plain_window(trades: list[Any], open_us: int, close_us: int) -> dict[str, Any]:
    inside = [one for one in trades if open_us <= one.time_us <= close_us]
    prices = [one.price for one in inside]
    return {
        "o": format_money(prices[0]),
        "c": format_money(prices[-1]),
        "h": format_money(max(prices)),
        "l": format_money(min(prices)),
        "v": format_money(sum(one.quantity for one in inside)),
        "F": inside[0].trade_id,
        "L": inside[-1].trade_id,
        "n": len(inside),
        "p": format_money(prices[-1] - prices[0]),
    }


def test_tickers_agree_with_the_prints_of_their_window(desk: MarketDesk) -> None:
    """An hour, mostly of the synthetic past; and the day's fields that a plain list can tell."""
    ear = desk.listen("btcusdt@ticker_1h", "btcusdt@ticker", "btcusdt@miniTicker")
    desk.seconds(30)
    desk.now_us = desk.now_us // SECOND_US * SECOND_US + SECOND_US
    ear.take()
    desk.pulse()
    rolling, day, mini = (dict(ear.heard)[f"btcusdt@{name}"] for name in ("ticker_1h", "ticker", "miniTicker"))
    now_us = desk.now_us
    past = desk.histories[SYMBOL].trades_between(BIRTH_US - DAY_US - MINUTE_US, BIRTH_US, 2_000_000)
    trades = [*past, *printed(desk)]
    open_us = (now_us - HOUR_US) // MINUTE_US * MINUTE_US
    assert (rolling["e"], rolling["O"], rolling["C"]) == ("1hTicker", open_us // 1_000, now_us // 1_000)
    assert same_candle(rolling, plain_window(trades, open_us, now_us))
    assert same_candle(day, plain_window(trades, now_us - DAY_US, now_us))
    before = [one for one in trades if one.time_us < now_us - DAY_US][-1]
    assert day["x"] == format_money(before.price)
    assert day["Q"] == format_money(trades[-1].quantity)
    bids, asks = desk.spot.depth(SYMBOL, 1)
    assert [day[name] for name in "bBaA"] == [format_money(one) for one in (*bids[0], *asks[0])]
    change = Decimal(day["c"]) / Decimal(day["o"]) * 100 - 100
    assert abs(Decimal(day["P"]) - change) < Decimal("0.001")
    assert abs(Decimal(day["w"]) - Decimal(day["q"]) / Decimal(day["v"])) < Decimal("0.00000002")
    assert {name: mini[name] for name in "cohlvq"} == {name: day[name] for name in "cohlvq"}


def test_an_array_holds_the_tickers_that_changed(desk: MarketDesk) -> None:
    desk.seconds(2)
    names = ("!miniTicker@arr", "!ticker@arr", "!ticker_1h@arr")
    ear = desk.listen(*names)
    desk.pulse()
    first = dict(ear.heard)
    listed = [rules.symbol for rules in desk.spot.symbols()]
    for name, kind in zip(names, ("24hrMiniTicker", "24hrTicker", "1hTicker"), strict=True):
        assert [item["s"] for item in first[name]] == listed
        assert {item["e"] for item in first[name]} == {kind}
    ear.take()
    desk.now_us += 1_000  # within the same second nothing is due, whatever happens
    desk.do(desk.order("BUY", "5", symbol="ETHUSDT"))
    desk.pulse()
    assert not ear.heard
    desk.now_us += SECOND_US
    desk.pulse()
    for name, payload in ear.heard:
        told = {item["s"] for item in payload}
        assert "ETHUSDT" in told
        if name == "!ticker@arr":
            # The window moved on as well, which may change others; the book of none of them did.
            assert told <= set(listed)
    single = desk.listen("ethusdt@ticker")
    desk.now_us += SECOND_US
    ear.take()
    desk.pulse()
    arrays = [item for name, payload in ear.heard if name == "!ticker@arr" for item in payload]
    assert [item for item in arrays if item["s"] == "ETHUSDT"] == single.take() or not arrays


def test_an_array_leaves_out_what_did_not_change(desk: MarketDesk) -> None:
    """A rolling window opens with a minute, so that within one only trades change it."""
    desk.seconds(1)
    ear = desk.listen("!ticker_1h@arr")
    desk.pulse()
    ear.take()
    desk.do(desk.order("BUY", "1", symbol="ETHUSDT"))
    desk.now_us += SECOND_US
    desk.pulse()
    assert [[one["s"] for one in array] for array in ear.take()] == [["ETHUSDT"]]
    desk.now_us += SECOND_US
    desk.pulse()
    assert not ear.heard


def test_the_average_price_is_that_of_the_last_five_minutes(desk: MarketDesk) -> None:
    desk.seconds(20)
    ear = desk.listen("btcusdt@avgPrice")
    desk.now_us = desk.now_us // SECOND_US * SECOND_US + SECOND_US
    desk.pulse()
    desk.now_us += SECOND_US
    desk.pulse()  # nothing changed
    (told,) = ear.take()
    trades = printed(desk)
    quote, volume = sum(one.quote_quantity for one in trades), sum(one.quantity for one in trades)
    assert told == {
        "e": "avgPrice",
        "E": (desk.now_us - SECOND_US) // 1_000,
        "s": SYMBOL,
        "i": "5m",
        "w": format_money(quote * 10**8 // volume),
        "T": trades[-1].time_us // 1_000,
    }


def test_the_reference_price_is_the_one_that_queries_show_and_others_have_none(desk: MarketDesk) -> None:
    desk.seconds(3)
    ear = desk.listen("btcusdc@referencePrice", "btcusdt@referencePrice")
    desk.seconds(70)
    desk.pulse()
    for told in ear.take():
        assert (told["e"], told["s"], list(told)) == ("referencePrice", "BTCUSDC", ["e", "s", "r", "t"])
    desk.now_us += SECOND_US
    desk.pulse()
    (told,) = ear.take()
    price = desk.spot.reference_price("BTCUSDC", desk.now_us)
    assert price
    assert told == {"e": "referencePrice", "s": "BTCUSDC", "r": format_money(price), "t": desk.now_us // 1_000}


# --- the book --------------------------------------------------------------------------------------------------------


def levels(side: Any) -> list[list[str]]:
    return [[format_money(price), format_money(quantity)] for price, quantity in side]


def test_the_best_bid_and_ask_are_told_at_each_change_and_only_then(desk: MarketDesk) -> None:
    desk.tick()
    ear = desk.listen("btcusdt@bookTicker")
    bids, asks = desk.spot.depth(SYMBOL, 30)
    desk.do(desk.order("BUY", "0.1", bids[20][0]))
    assert not ear.heard
    desk.do(desk.order("BUY", "0.1", bids[0][0]))
    desk.do(desk.order("SELL", "0.25", asks[0][0]))
    desk.do(desk.order("BUY", "0.05"))
    told = ear.take()
    (bid,), (ask,) = desk.spot.depth(SYMBOL, 1)
    assert len(told) == 3
    assert told[0]["B"] == format_money(bids[0][1] + 10_000_000)
    assert told[-1] == {
        "u": desk.spot.last_update_id(SYMBOL),
        "s": SYMBOL,
        "b": format_money(bid[0]),
        "B": format_money(bid[1]),
        "a": format_money(ask[0]),
        "A": format_money(ask[1]),
    }


def test_a_book_that_was_found_later_is_not_taken_back_to_what_was_before(desk: MarketDesk) -> None:
    """Somebody left and somebody came between a change and its commit."""
    desk.tick()
    bid = desk.spot.depth(SYMBOL, 1)[0][0][0]
    first = desk.listen("btcusdt@bookTicker")
    desk.apply(desk.order("BUY", "0.1", bid))
    desk.feed.leave("btcusdt@bookTicker", first)
    desk.apply(desk.order("BUY", "0.1", bid))
    second = desk.listen("btcusdt@bookTicker")
    found_id = desk.spot.last_update_id(SYMBOL)
    desk.apply(desk.order("BUY", "0.1", bid))
    desk.commit()
    assert not first.heard
    (told,) = second.take()
    assert told["u"] == desk.spot.last_update_id(SYMBOL) > found_id
    assert told["B"] == format_money(desk.spot.depth(SYMBOL, 1)[0][0][1])


def test_an_event_holds_only_what_changed_since_the_last_one(desk: MarketDesk) -> None:
    desk.tick()
    ear = desk.listen("btcusdt@depth@100ms")
    bids, asks = desk.spot.depth(SYMBOL, 3)
    for side, price in (("BUY", bids[1][0]), ("BUY", bids[2][0]), ("SELL", asks[2][0])):
        desk.do(desk.order(side, "0.1", price))
        desk.now_us += 100_000
        desk.pulse()
        (event,) = ear.take()
        assert [level[0] for level in (*event["b"], *event["a"])] == [format_money(price)]


def test_a_told_level_that_is_as_it_was_is_no_change() -> None:
    book = ShownBook(1, [(99, 5), (98, 1)], [(101, 5)])
    assert book.hear(BookChanged(SYMBOL, 2, [(99, 5), (97, 0), (98, 2)], [])) == ([(98, 2)], [])
    assert book.hear(BookChanged(SYMBOL, 3, [(99, 5), (98, 2)], [(101, 4)], whole=True)) == ([], [(101, 4)])
    assert book.hear(BookChanged(SYMBOL, 4, [], [(101, 0)])) == ([], [(101, 0)])
    assert (book.update_id, book.bids.top(2), book.asks.best()) == (4, [(99, 5), (98, 2)], (0, 0))


def test_a_partial_book_is_the_top_of_the_book(desk: MarketDesk) -> None:
    desk.tick()
    ear = desk.listen("btcusdt@depth5", "btcusdt@depth10@100ms", "btcusdt@depth20@100ms")
    chance = random.Random(1)
    for _ in range(40):
        bids, asks = desk.spot.depth(SYMBOL, 25)
        price = chance.choice((bids, asks))[chance.randrange(25)][0]
        desk.do(desk.order(chance.choice(("BUY", "SELL")), "0.01", price))
        desk.now_us += 100_000
        desk.pulse()
        told = dict(ear.heard)
        for count, name in ((10, "btcusdt@depth10@100ms"), (20, "btcusdt@depth20@100ms")):
            bids, asks = desk.spot.depth(SYMBOL, count)
            assert told[name] == {
                "lastUpdateId": desk.spot.last_update_id(SYMBOL),
                "bids": levels(bids),
                "asks": levels(asks),
            }
    names = [name for name, _ in ear.heard]
    assert names.count("btcusdt@depth10@100ms") == 40
    assert 4 <= names.count("btcusdt@depth5") <= 6
    ear.take()
    desk.now_us += SECOND_US
    desk.pulse()
    assert [name for name, _ in ear.heard] == ["btcusdt@depth5"]


class LocalBook:
    """A client's book, kept by the documented procedure; `restarts` counts how often it had to begin anew."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.update_id = 0
        self.sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
        self.is_set = False
        self.applied = 0

    def hear(self, event: Any) -> None:
        if not self.is_set:
            self.waiting.append(event)
        elif event["u"] >= self.update_id:
            assert event["U"] <= self.update_id + 1, "events were lost"
            self._apply(event)

    def snapshot(self, update_id: int, bids: Any, asks: Any) -> bool:
        """False: it is older than what was heard first, so another one must be fetched."""
        if self.waiting and update_id < self.waiting[0]["U"]:
            return False
        kept = [event for event in self.waiting if event["u"] > update_id]
        assert not kept or kept[0]["U"] <= update_id + 1 <= kept[0]["u"] + 1
        self.update_id, self.is_set = update_id, True
        self.sides = {"b": dict(levels(bids)), "a": dict(levels(asks))}  # type: ignore[arg-type]
        for event in kept:
            self.hear(event)
        return True

    def _apply(self, event: Any) -> None:
        for name, side in self.sides.items():
            for price, quantity in event[name]:
                if Decimal(quantity):
                    side[price] = quantity
                else:
                    side.pop(price, None)
        self.update_id = event["u"]
        self.applied += 1

    def shown(self) -> list[list[list[str]]]:
        def ordered(side: dict[str, str], is_bid: bool) -> list[list[str]]:
            return [list(one) for one in sorted(side.items(), key=lambda one: Decimal(one[0]), reverse=is_bid)]

        return [ordered(self.sides["b"], True), ordered(self.sides["a"], False)]


def follow_books(desk: MarketDesk, updates: int, seed: int) -> None:
    """Ticks, orders, fills and cancels; clients of both speeds that come, lose their connection and begin anew."""
    chance = random.Random(seed)
    ears: dict[str, tuple[Ear, LocalBook]] = {}
    checked = 0
    last_u: dict[str, int] = {}
    begun_id = desk.spot.last_update_id(SYMBOL)
    while desk.spot.last_update_id(SYMBOL) - begun_id < updates:
        bids, asks = desk.spot.depth(SYMBOL, 40)
        for _ in range(chance.randrange(1, 6)):
            act = chance.randrange(12)
            if act == 0:
                desk.now_us += SECOND_US // 4
                desk.apply(desk.order(chance.choice(("BUY", "SELL")), "0.7"))
            elif act == 1:
                desk.tick()
                bids, asks = desk.spot.depth(SYMBOL, 40)
            elif act == 2 and chance.random() < 0.2:
                desk.cancel_all()
            else:
                price = chance.choice((bids, asks))[chance.randrange(30)][0]
                desk.apply(desk.order(chance.choice(("BUY", "SELL")), "0.01", price))
        desk.now_us += chance.choice((10_000, 50_000, 100_000))
        if chance.random() < 0.7:
            desk.commit()
        desk.pulse()
        desk.commit()
        for name in ("btcusdt@depth@100ms", "btcusdt@depth"):
            if name not in ears and chance.random() < 0.3:
                ears[name] = desk.listen(name), LocalBook()
                last_u.pop(name, None)
        if ears and chance.random() < 0.02:
            name = chance.choice(list(ears))
            desk.feed.leave(name, ears.pop(name)[0])
        for name, (ear, book) in ears.items():
            for event in ear.take():
                assert event["U"] == last_u.get(name, event["U"] - 1) + 1
                last_u[name] = event["u"]
                book.hear(event)
            if not book.is_set and chance.random() < 0.3:
                # What REST answers may be ahead of what is durable; it leaves when it is.
                book.snapshot(desk.spot.last_update_id(SYMBOL), *desk.spot.depth(SYMBOL, 5_000))
        if chance.random() < 0.2:
            desk.now_us += SECOND_US
            desk.pulse()
            bids, asks = desk.spot.depth(SYMBOL, 5_000)
            for name, (ear, book) in ears.items():
                for event in ear.take():
                    assert event["U"] == last_u.get(name, event["U"] - 1) + 1
                    last_u[name] = event["u"]
                    book.hear(event)
                if book.is_set:
                    assert book.shown() == [levels(bids), levels(asks)], name
                    checked += 1
        if len(desk.spot.open_orders(1, SYMBOL)) > 100:
            desk.cancel_all()
    assert checked > 10


def test_a_local_book_from_diffs_equals_the_servers(desk: MarketDesk) -> None:
    desk.tick()
    follow_books(desk, 3_000, seed=3)


@pytest.mark.long
def test_a_local_book_from_diffs_equals_the_servers_after_100_000_updates(desk: MarketDesk) -> None:
    desk.tick()
    follow_books(desk, 100_000, seed=4)
