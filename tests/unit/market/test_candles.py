"""Candles begin where Binance's do, and small ones add up to large ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.market.candles import (
    INTERVALS_US,
    MONTH,
    Candle,
    add_print,
    bucket_open_us,
    bucket_opens,
    empty_candle,
    join_candles,
    next_open_us,
    previous_open_us,
    print_candle,
)
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INTERVALS = [*INTERVALS_US, MONTH]
moments = st.integers(min_value=0, max_value=4_000_000_000_000_000)
zones = st.integers(min_value=-12 * 4, max_value=14 * 4).map(lambda quarters: quarters * 15 * MINUTE_US)


def us(*fields: int) -> int:
    return (datetime(*fields, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)  # type: ignore[arg-type, misc]


def moment(time_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=time_us)


def test_there_are_sixteen_intervals() -> None:
    assert len(INTERVALS) == 16


@pytest.mark.parametrize(
    ("interval", "time", "opens"),
    [
        # 2024-01-01 was a Monday; day 19,725 since the epoch, a multiple of three, was 2024-01-03.
        ("1w", us(2024, 1, 3, 12), us(2024, 1, 1)),
        ("1w", us(2024, 1, 1) - 1, us(2023, 12, 25)),
        ("3d", us(2024, 1, 5), us(2024, 1, 3)),
        ("1M", us(2024, 2, 29, 23), us(2024, 2, 1)),
        ("1M", us(2023, 3, 1), us(2023, 3, 1)),
        ("12h", us(2024, 1, 3, 13), us(2024, 1, 3, 12)),
        ("8h", us(2024, 1, 3, 7, 59), us(2024, 1, 3)),
        ("30m", us(2024, 1, 3, 7, 59), us(2024, 1, 3, 7, 30)),
    ],
)
def test_buckets_open_where_binance_opens_them(interval: str, time: int, opens: int) -> None:
    assert bucket_open_us(interval, time) == opens


@given(moments)
def test_weeks_open_on_monday_and_months_on_the_first(time_us: int) -> None:
    assert moment(bucket_open_us("1w", time_us)).weekday() == 0
    month = moment(bucket_open_us(MONTH, time_us))
    then = moment(time_us)
    assert (month.year, month.month, month.day, month.hour) == (then.year, then.month, 1, 0)


@given(moments, st.sampled_from(INTERVALS), zones)
def test_every_moment_lies_in_exactly_one_bucket(time_us: int, interval: str, zone_us: int) -> None:
    open_us = bucket_open_us(interval, time_us, zone_us)
    next_us = next_open_us(interval, open_us, zone_us)
    assert open_us <= time_us < next_us
    assert bucket_open_us(interval, next_us - 1, zone_us) == open_us
    assert bucket_open_us(interval, next_us, zone_us) == next_us
    assert previous_open_us(interval, next_us, zone_us) == open_us


@given(moments, zones)
def test_a_zone_shifts_days_to_its_own_midnight(time_us: int, zone_us: int) -> None:
    open_us = bucket_open_us("1d", time_us, zone_us)
    assert (open_us + zone_us) % DAY_US == 0


def test_with_a_start_the_first_buckets_are_listed_and_without_one_the_last() -> None:
    end = us(2024, 3, 1)
    assert bucket_opens("1h", us(2024, 1, 1, 0, 30), end, 2, 0, 0) == [us(2024, 1, 1, 1), us(2024, 1, 1, 2)]
    assert bucket_opens("1M", None, end, 3, 0, 0) == [us(2024, 1, 1), us(2024, 2, 1), us(2024, 3, 1)]
    assert bucket_opens("1M", None, end, 9, 0, us(2024, 2, 10)) == [us(2024, 2, 1), us(2024, 3, 1)]
    assert bucket_opens("1d", us(2017, 1, 1), end, 2, 0, us(2024, 2, 10)) == [us(2024, 2, 10), us(2024, 2, 11)]
    assert bucket_opens("1d", us(2024, 3, 2), end, 5, 0, 0) == []


def test_prints_add_up_and_takers_who_bought_are_told_apart() -> None:
    candle = print_candle(0, MINUTE_US, 100, 5, 500, True)
    candle = add_print(candle, 120, 2, 240, False)
    candle = add_print(candle, 90, 1, 90, True)
    assert candle == Candle(0, 100, 120, 90, 90, 8, 830, 3, 2, 240)
    assert candle.close_us == MINUTE_US - 1


def test_candles_join_as_their_prints_would() -> None:
    first = add_print(print_candle(0, MINUTE_US, 100, 5, 500, True), 130, 1, 130, False)
    quiet = empty_candle(MINUTE_US, MINUTE_US, 130)
    last = print_candle(2 * MINUTE_US, MINUTE_US, 80, 3, 240, False)
    joined = join_candles([first, quiet, last], 0, HOUR_US)
    assert joined == Candle(0, 100, 130, 80, 80, 9, 870, 3, 4, 370, HOUR_US)
    assert join_candles([quiet], 0, HOUR_US) == empty_candle(0, HOUR_US, 130)
    assert join_candles([], 0, HOUR_US) is None
