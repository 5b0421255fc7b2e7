"""The past is the same whenever one looks, joins the opening price exactly, and adds up at every interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparekey.market.candles import INTERVALS_US, MONTH, Candle, bucket_opens, next_open_us
from sparekey.market.history import PAST_DAYS, History, PastTrade
from sparekey.market.opening import histories_of
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from tests.unit.market.listed import BIRTH_US, SEED, daily_volume, listed, opened, rules_of

SYMBOLS = sorted(listed())
YEAR_US = 365 * DAY_US


@pytest.fixture(scope="module")
def pasts() -> dict[str, History]:
    return histories_of(opened(), rules_of)


def candles(past: History, interval: str, limit: int = 1_000, end_us: int = BIRTH_US, zone_us: int = 0) -> list[Candle]:
    return list(
        each_candle(past, interval, bucket_opens(interval, None, end_us, limit, zone_us, past.start_us), zone_us)
    )


def each_candle(past: History, interval: str, opens: Sequence[int], zone_us: int = 0) -> Iterator[Candle]:
    for open_us in opens:
        candle = past.candle(open_us, next_open_us(interval, open_us, zone_us))
        assert candle is not None
        yield candle


def volatility(found: Sequence[Candle]) -> float:
    """Annualised, of the returns from close to close."""
    returns = [log(b.close / a.close) for a, b in pairwise(found)]
    return sqrt(sum(r * r for r in returns) / len(returns) * YEAR_US / found[0].span_us)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_last_trade_of_the_past_has_the_opening_price(pasts: dict[str, History], symbol: str) -> None:
    past = pasts[symbol]
    (last,) = past.trades_from(past.first_trade_id - 1, 1)
    assert last.price == next(one.price for one in opened().symbols if one.symbol == symbol)
    assert last.time_us < BIRTH_US
    for interval in [*INTERVALS_US, MONTH]:
        if interval != "1s":
            assert candles(past, interval, 1)[-1].close == last.price


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("interval", [interval for interval in [*INTERVALS_US, MONTH] if interval != "1s"])
def test_candles_of_every_interval_join_and_hold_together(
    pasts: dict[str, History], symbol: str, interval: str
) -> None:
    rules = listed()[symbol]
    found = candles(pasts[symbol], interval, 120)
    for before, after in pairwise(found):
        assert before.close == after.open
    for candle in found:
        assert 0 < candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high
        assert all(price % rules.tick_size == 0 for price in (candle.open, candle.high, candle.low, candle.close))
        assert candle.volume % rules.step_size == 0
        assert 0 <= candle.taker_volume <= candle.volume
        assert candle.trades >= 4
        # Truncated once for each span that the candle is made of.
        assert candle.low * candle.volume // 10**8 - 800 <= candle.quote_volume
        assert candle.quote_volume <= candle.high * candle.volume // 10**8
        assert 0 <= candle.taker_quote_volume <= candle.quote_volume


@pytest.mark.parametrize("symbol", ["BTCUSDT", "LTCBTC"])
@pytest.mark.parametrize(
    ("small", "large", "days"), [("1m", "15m", 1), ("5m", "1h", 2), ("1h", "1d", 9), ("1d", "1M", 60)]
)
@pytest.mark.parametrize("zone_us", [0, 8 * HOUR_US, -(3 * HOUR_US + 30 * MINUTE_US)])
def test_small_candles_add_up_to_large_ones(
    pasts: dict[str, History], symbol: str, small: str, large: str, days: int, zone_us: int
) -> None:
    past = pasts[symbol]
    opens = bucket_opens(large, BIRTH_US - days * DAY_US, BIRTH_US, 1_000, zone_us, past.start_us)
    assert opens
    for whole in each_candle(past, large, opens, zone_us):
        limit = whole.span_us // INTERVALS_US[small]
        parts = candles(past, small, limit, min(whole.close_us, BIRTH_US - 1), zone_us)
        parts = [part for part in parts if part.open_us >= whole.open_us]
        assert whole.open == parts[0].open
        assert whole.close == parts[-1].close
        assert whole.high == max(part.high for part in parts)
        assert whole.low == min(part.low for part in parts)
        assert whole.volume == sum(part.volume for part in parts)
        assert whole.trades == sum(part.trades for part in parts)
        assert whole.taker_volume == sum(part.taker_volume for part in parts)
        # Each span reckons its quote volume from its own mean price.
        assert whole.quote_volume == pytest.approx(sum(part.quote_volume for part in parts), rel=0.02)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ADABTC"])
@pytest.mark.parametrize("back_us", [0, MINUTE_US, 5 * HOUR_US, 400 * DAY_US, PAST_DAYS * DAY_US])
def test_the_trades_of_a_minute_make_its_candle(pasts: dict[str, History], symbol: str, back_us: int) -> None:
    past = pasts[symbol]
    open_us = (BIRTH_US - back_us) // MINUTE_US * MINUTE_US
    minute = past.candle(open_us, open_us + MINUTE_US)
    assert minute is not None
    trades = past.trades_between(open_us, open_us + MINUTE_US - 1, 100_000)
    prices = [trade.price for trade in trades]
    assert (minute.open, minute.high, minute.low, minute.close) == (prices[0], max(prices), min(prices), prices[-1])
    assert minute.volume == sum(trade.quantity for trade in trades)
    assert minute.trades == len(trades)
    assert minute.taker_volume == sum(trade.quantity for trade in trades if not trade.buyer_is_maker)
    assert minute.quote_volume == pytest.approx(sum(trade.quote_quantity for trade in trades), rel=0.005)
    times = [trade.time_us for trade in trades]
    assert times == sorted(times)
    assert open_us <= times[0] and times[-1] < min(open_us + MINUTE_US, BIRTH_US)
    assert min(trade.quantity for trade in trades) > 0


def test_ids_run_without_a_gap_up_to_the_first_live_one(pasts: dict[str, History]) -> None:
    past = pasts["ETHUSDT"]
    assert past.trades_from(1, 1)[0].time_us >= past.start_us
    for first in (1, 77, 123_456_789, past.first_trade_id - 1_500):
        found = past.trades_from(first, 1_000)
        assert [trade.trade_id for trade in found] == list(range(first, first + 1_000))
        times = [trade.time_us for trade in found]
        assert times == sorted(times)
    assert len(past.trades_from(past.first_trade_id - 5, 1_000)) == 5
    assert past.trades_from(past.first_trade_id, 10) == []
    assert past.first_trade_id == 1 + sum(candle.trades for candle in candles(past, "1d"))


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0, max_value=PAST_DAYS * DAY_US), st.integers(min_value=0, max_value=3 * MINUTE_US))
def test_trades_by_time_and_trades_by_id_are_the_same_trades(back_us: int, span_us: int) -> None:
    past = one_past()
    start_us = BIRTH_US - back_us
    found = past.trades_between(start_us, start_us + span_us, 100)
    first_id = past.first_id_from(start_us)
    assert found == past.trades_from(first_id, len(found))
    if len(found) < 100:
        assert past.first_id_from(start_us + span_us + 1) == first_id + len(found)
    if first_id > 1:
        assert past.trades_from(first_id - 1, 1)[0].time_us < start_us


_PAST: list[History] = []


def one_past() -> History:
    if not _PAST:
        _PAST.append(histories_of(opened(), rules_of)["BTCUSDT"])
    return _PAST[0]


def test_the_past_is_the_same_whoever_looks_in_whatever_order() -> None:
    some, other = histories_of(opened(), rules_of)["BNBBTC"], histories_of(opened(), rules_of)["BNBBTC"]
    moments = [BIRTH_US - HOUR_US, BIRTH_US - 300 * DAY_US, BIRTH_US - 3 * DAY_US]

    def look(past: History, order: Sequence[int]) -> dict[int, tuple[list[PastTrade], list[Candle]]]:
        return {at: (past.trades_between(at, at + SECOND_US * 5, 99), candles(past, "1h", 40, at)) for at in order}

    assert look(some, moments) == look(other, moments[::-1])
    stranger = histories_of(opened(SEED + 1), rules_of)["BNBBTC"]
    assert look(stranger, moments) != look(some, moments)


@pytest.mark.parametrize(
    "birth_us", [BIRTH_US // DAY_US * DAY_US, BIRTH_US // HOUR_US * HOUR_US, BIRTH_US // MINUTE_US * MINUTE_US + 1]
)
def test_a_birth_at_a_boundary_is_exact_as_well(birth_us: int) -> None:
    past = History(SEED, listed()["BTCUSDT"], 6_500_000_000_000, daily_volume("BTCUSDT"), birth_us)
    assert past.start_us == birth_us // DAY_US * DAY_US - PAST_DAYS * DAY_US
    (last,) = past.trades_from(past.first_trade_id - 1, 1)
    assert last.price == 6_500_000_000_000
    assert last.time_us < birth_us
    assert past.candle(birth_us, birth_us + MINUTE_US) is None
    assert past.candle(past.start_us - DAY_US, past.start_us) is None


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_prices_move_as_a_market_of_forty_to_ninety_percent_a_year(pasts: dict[str, History], symbol: str) -> None:
    for interval in ("1h", "12h", "1d"):
        assert 0.4 < volatility(candles(pasts[symbol], interval)) < 0.9, interval
    if symbol.endswith("USDT"):  # on crosses of cheap assets a tick is many times a minute's standard deviation
        assert 0.4 < volatility(candles(pasts[symbol], "5m")) < 0.9


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_volume_of_a_day_is_the_catalogues(pasts: dict[str, History], symbol: str) -> None:
    days = candles(pasts[symbol], "1d")[:-1]
    assert len(days) == PAST_DAYS
    assert 0.85 < sum(day.volume for day in days) / len(days) / daily_volume(symbol) < 1.25


def test_triangles_held_in_the_past_as_well(pasts: dict[str, History]) -> None:
    rows = zip(*(candles(pasts[symbol], "1d") for symbol in ("ETHBTC", "ETHUSDT", "BTCUSDT")), strict=True)
    for cross, base, quote in rows:
        assert cross.close / 10**8 == pytest.approx(base.close / quote.close, rel=0.001)


def test_a_thousand_candles_of_any_interval_are_made_of_few_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a request costs is the spans that it splits, at 0.03 to 0.08 ms each: days cost no minutes."""
    split, count = History._split, 0

    def counted(past: History, span: Any) -> Any:
        nonlocal count
        count += 1
        return split(past, span)

    monkeypatch.setattr(History, "_split", counted)
    for zone_us, most in ((0, 700), (8 * HOUR_US, 800), (5 * HOUR_US + 30 * MINUTE_US, 1_600)):
        for interval in [*INTERVALS_US, MONTH]:
            if interval != "1s":
                past, count = History(SEED, listed()["ETHBTC"], 4_923_000, daily_volume("ETHBTC"), BIRTH_US), 0
                assert candles(past, interval, 1_000, zone_us=zone_us)
                assert count <= most, (interval, zone_us)
