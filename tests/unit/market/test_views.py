"""Trades, candles and windows agree with a plain list of everything that was ever printed, past and live."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from sparekey.market.candles import INTERVALS_US, MONTH, Candle, bucket_open_us, next_open_us
from sparekey.market.history import PAST_DAYS, History
from sparekey.market.opening import histories_of
from sparekey.market.prng import next_random
from sparekey.market.views import Views
from sparekey.sequencer.ports import Published, Record
from sparekey.storage.archive import Archive
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from sparekey.terms.rounding import notional
from sparekey.venue.effects import Print
from tests.unit.market.listed import BIRTH_US, opened, rules_of

SYMBOL = "BTCUSDT"
OPENING = 6_500_000_000_000
#: How far back the plain list of the past goes.
PLAIN_US = 2 * HOUR_US


def past_of_symbol() -> History:
    return histories_of(opened(), rules_of)[SYMBOL]


def live_prints(first_id: int, count: int, *, start_us: int = BIRTH_US, gap_us: int = 4 * SECOND_US) -> list[Print]:
    """Prints at uneven times; now and then a taker walks several makers, and once nothing happens for a while."""
    state, time_us, prints = 7, start_us, []
    price, taker, buyer_is_maker, size = OPENING, 0, False, 0
    for trade_id in range(first_id, first_id + count):
        state, bits = next_random(state)
        if bits % 3 or taker == 0:
            time_us += bits >> 8 & 0xFFFF_FFFF if trade_id % 97 == 0 else (bits >> 8) % gap_us
            price = OPENING + ((bits >> 40) % 2_000 - 1_000) * 1_000_000
            taker, buyer_is_maker = trade_id if bits & 8 else 0, bool(bits & 16)
        size = (1 + (bits >> 50) % 500) * 1_000
        prints.append(
            Print(SYMBOL, trade_id, time_us, price, size, notional(price, size), buyer_is_maker, taker, taker and 1)
        )
    return prints


class Kept:
    """An archive and views of it that receive prints; what one taker did is one commit, as in the journal."""

    def __init__(self, path: Path, histories: dict[str, History]) -> None:
        self.path = path
        self.histories = histories
        self.position = 0
        self.open()

    def open(self) -> None:
        self.archive = Archive(self.path, lambda symbol: ("BTC", "USDT"))
        self.views = Views(self.archive, self.histories)
        self.views.warm_up([SYMBOL])

    def receive(self, prints: Sequence[Print]) -> None:
        for time_us, together in groupby(prints, key=lambda one: one.time_us):
            self.position += 1
            record = Record("spot", self.position, time_us, 1, None, ())
            published = [Published(record, tuple(together), self.position)]
            self.archive.receive(published)
            self.views.receive(published)

    def restart(self) -> None:
        self.archive.stop()
        self.open()

    def candles(self, interval: str, now_us: int, **asked: Any) -> list[Candle]:
        asked = {"start_us": None, "end_us": None, "limit": 500, "zone_offset_us": 0} | asked
        return list(self.views.candles(SYMBOL, interval, **asked, now_us=now_us))


def plain_candle(trades: Sequence[Any], open_us: int, next_us: int) -> Candle:
    time_of = attrgetter("time_us")
    at = bisect_left(trades, open_us, key=time_of)
    inside = trades[at : bisect_left(trades, next_us, key=time_of)]
    if not inside:
        price = trades[at - 1].price
        return Candle(open_us, price, price, price, price, 0, 0, 0, 0, 0, next_us - open_us)
    prices = [trade.price for trade in inside]
    bought = [trade for trade in inside if not trade.buyer_is_maker]
    return Candle(
        open_us,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum(trade.quantity for trade in inside),
        sum(trade.quote_quantity for trade in inside),
        len(inside),
        sum(trade.quantity for trade in bought),
        sum(trade.quote_quantity for trade in bought),
        next_us - open_us,
    )


def same(found: Candle, plain: Candle) -> bool:
    """Equal, but for the quote volume of what is past (see `market.history`)."""
    close = pytest.approx((plain.quote_volume, plain.taker_quote_volume), rel=0.01)
    quote = found.quote_volume, found.taker_quote_volume
    fields = ("open_us", "open", "high", "low", "close", "volume", "trades", "taker_volume", "span_us")
    return quote == close and all(getattr(found, name) == getattr(plain, name) for name in fields)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Kept, list[Any], int]:
    """The past's last hours and 1,500 live prints; the archive was written in between and once restarted."""
    past = past_of_symbol()
    kept = Kept(tmp_path_factory.mktemp("views") / "archive.db", {SYMBOL: past})
    prints = live_prints(past.first_trade_id, 1_500)
    first, second, third = (
        [one for one in prints if low <= one.time_us < high]
        for low, high in pairwise([0, prints[400].time_us, prints[700].time_us, 2**62])
    )
    kept.receive(first)
    kept.archive.flush()
    kept.receive(second)
    kept.restart()
    kept.receive(third)
    trades: list[Any] = [*past.trades_between(BIRTH_US - PLAIN_US, BIRTH_US, 10**9), *prints]
    return kept, trades, prints[-1].time_us + 90 * SECOND_US


@pytest.mark.parametrize("interval", ["1s", "1m", "3m", "5m", "15m", "30m", "1h"])
@pytest.mark.parametrize("zone_us", [0, 5 * HOUR_US + 45 * MINUTE_US])
def test_candles_across_the_birth_are_those_of_a_plain_list(
    story: tuple[Kept, list[Any], int], interval: str, zone_us: int
) -> None:
    kept, trades, now_us = story
    first_us = bucket_open_us(interval, BIRTH_US - PLAIN_US // 2, zone_us)
    if interval == "1s":
        first_us = BIRTH_US // SECOND_US * SECOND_US - 200 * SECOND_US
    found = kept.candles(interval, now_us, start_us=first_us, zone_offset_us=zone_us, limit=400)
    open_us = first_us
    for candle in found:
        assert candle.open_us == open_us
        next_us = next_open_us(interval, open_us, zone_us)
        assert same(candle, plain_candle(trades, open_us, next_us)), candle
        open_us = next_us
    assert len(found) == 400 or found[-1].open_us <= now_us <= found[-1].close_us
    if interval == "1s":
        assert {0} < {candle.trades for candle in found}
        newest = kept.candles("1s", now_us, limit=300)
        assert [same(c, plain_candle(trades[-500:], c.open_us, c.open_us + SECOND_US)) for c in newest] == [True] * 300


def test_bounds_are_of_open_times_and_nothing_opens_after_now(story: tuple[Kept, list[Any], int]) -> None:
    kept, _, now_us = story
    minute = BIRTH_US // MINUTE_US * MINUTE_US
    opens = lambda found: [(candle.open_us - minute) // MINUTE_US for candle in found]  # noqa: E731
    assert opens(kept.candles("1m", now_us, start_us=minute, end_us=minute + 2 * MINUTE_US)) == [0, 1, 2]
    assert opens(kept.candles("1m", now_us, start_us=minute + 1, end_us=minute + 2 * MINUTE_US - 1)) == [1]
    assert opens(kept.candles("1m", now_us, end_us=minute, limit=3)) == [-2, -1, 0]
    assert opens(kept.candles("1m", now_us, start_us=minute, limit=2)) == [0, 1]
    assert kept.candles("1m", now_us)[-1].open_us == now_us // MINUTE_US * MINUTE_US
    assert kept.candles("1m", minute + 30 * SECOND_US, limit=1)[0].open_us == minute
    assert kept.candles("1m", now_us, start_us=now_us + HOUR_US) == []
    assert kept.candles("1m", now_us, start_us=minute, end_us=minute - MINUTE_US) == []


@pytest.mark.parametrize("interval", [*INTERVALS_US, MONTH])
def test_every_interval_answers_two_years_back(story: tuple[Kept, list[Any], int], interval: str) -> None:
    kept, _, now_us = story
    found = kept.candles(interval, now_us, start_us=0, limit=10)
    assert len(found) == 10
    assert found[0].open_us >= BIRTH_US - (PAST_DAYS + 32) * DAY_US
    newest = kept.candles(interval, now_us, limit=2)
    assert len(newest) == 2
    assert newest[-1].open_us <= now_us <= newest[-1].close_us


def test_trades_run_from_the_past_into_the_present(story: tuple[Kept, list[Any], int]) -> None:
    kept, trades, _ = story
    shown = lambda rows: [(t.trade_id, t.time_us, t.price, t.quantity, t.buyer_is_maker) for t in rows]  # noqa: E731
    first_live = kept.histories[SYMBOL].first_trade_id
    assert shown(kept.views.trades(SYMBOL, from_id=None, limit=1_000)) == shown(trades[-1_000:])
    assert shown(kept.views.trades(SYMBOL, from_id=None, limit=1_600)) == shown(trades[-1_600:])
    across = [trade for trade in trades if trade.trade_id >= first_live - 3][:8]
    assert shown(kept.views.trades(SYMBOL, from_id=first_live - 3, limit=8)) == shown(across)
    assert shown(kept.views.trades(SYMBOL, from_id=first_live + 500, limit=2)) == shown(trades[-1_000:][:2])
    assert kept.views.trades(SYMBOL, from_id=first_live + 1_500, limit=5) == []
    assert kept.views.trades(SYMBOL, from_id=0, limit=1)[0].trade_id == 1


def plain_aggregates(trades: Sequence[Any], first_live: int) -> list[tuple[int, ...]]:
    """(id, first trade, last trade, quantity, time): in the past each trade alone, ids running on from there."""
    past = [(t.trade_id, t.trade_id, t.trade_id, t.quantity, t.time_us) for t in trades if t.trade_id < first_live]
    live = []
    together = lambda t: (t.price, t.time_us, t.taker_order_id, t.buyer_is_maker)  # noqa: E731
    for _, group in groupby([t for t in trades if t.trade_id >= first_live], key=together):
        rows = list(group)
        quantity = sum(row.quantity for row in rows)
        live.append((first_live + len(live), rows[0].trade_id, rows[-1].trade_id, quantity, rows[0].time_us))
    return past + live


def test_aggregates_are_those_of_a_plain_list_by_id_by_time_and_newest(story: tuple[Kept, list[Any], int]) -> None:
    kept, trades, _ = story
    first_live = kept.histories[SYMBOL].first_trade_id
    plain = plain_aggregates(trades, first_live)
    assert any(last > first + 1 for _, first, last, _, _ in plain)

    def asked(**bounds: Any) -> list[tuple[int, ...]]:
        rows = kept.views.agg_trades(SYMBOL, **({"from_id": None, "start_us": None, "end_us": None} | bounds))
        return [(a.aggregate_id, a.first_trade_id, a.last_trade_id, a.quantity, a.time_us) for a in rows]

    assert asked(limit=500) == plain[-500:]
    assert asked(limit=5_000) == plain[-5_000:]
    for aggregate_id in (first_live - 7, first_live, first_live + 321):
        assert asked(from_id=aggregate_id, limit=20) == [row for row in plain if row[0] >= aggregate_id][:20]
    for start_us in (BIRTH_US - 30 * MINUTE_US, BIRTH_US - SECOND_US, BIRTH_US, trades[-1_000].time_us):
        end_us = start_us + 2 * MINUTE_US
        inside = [row for row in plain if start_us <= row[4] <= end_us]
        assert inside
        assert asked(start_us=start_us, end_us=end_us, limit=10) == inside[:10]
        assert asked(start_us=start_us, end_us=end_us, limit=5_000) == inside
        assert asked(end_us=end_us, limit=30) == [row for row in plain if row[4] <= end_us][-30:]


@pytest.mark.parametrize("back_us", [7 * SECOND_US, 3 * MINUTE_US, 40 * MINUTE_US, 55 * MINUTE_US])
@pytest.mark.parametrize("length_us", [30 * SECOND_US, 5 * MINUTE_US, HOUR_US])
@pytest.mark.parametrize("from_birth", [True, False])
def test_windows_are_those_of_a_plain_list(
    story: tuple[Kept, list[Any], int], back_us: int, length_us: int, from_birth: bool
) -> None:
    kept, trades, now_us = story
    open_us = (BIRTH_US + 20 * MINUTE_US if from_birth else now_us) - back_us
    close_us = open_us + length_us
    for _ in range(2):  # the second time from what was remembered
        window = kept.views.ticker_window(SYMBOL, open_us, close_us)
        inside = [trade for trade in trades if open_us <= trade.time_us <= close_us]
        assert (window.open_us, window.close_us, window.trades) == (open_us, close_us, len(inside))
        if not inside:
            assert (window.open, window.first_trade_id, window.last_trade_id, window.volume) == (0, -1, -1, 0)
            continue
        prices = [trade.price for trade in inside]
        assert (window.open, window.high, window.low, window.last) == (
            prices[0], max(prices), min(prices), prices[-1],
        )  # fmt: skip
        assert (window.first_trade_id, window.last_trade_id) == (inside[0].trade_id, inside[-1].trade_id)
        assert window.last_quantity == inside[-1].quantity
        assert window.volume == sum(trade.quantity for trade in inside)
        assert window.quote_volume == pytest.approx(sum(trade.quote_quantity for trade in inside), rel=0.01)
        assert window.previous_close == [trade.price for trade in trades if trade.time_us < open_us][-1]


def test_a_fresh_venue_has_the_day_before_its_birth(tmp_path: Path) -> None:
    past = past_of_symbol()
    kept = Kept(tmp_path / "archive.db", {SYMBOL: past})
    window = kept.views.ticker_window(SYMBOL, BIRTH_US + SECOND_US - DAY_US, BIRTH_US + SECOND_US)
    assert window.last == OPENING
    assert window.last_trade_id == past.first_trade_id - 1
    assert window.first_trade_id == past.first_id_from(BIRTH_US + SECOND_US - DAY_US)
    assert window.trades > 100_000
    assert window.low < window.open < window.high
    assert kept.candles("1m", BIRTH_US + SECOND_US, limit=1)[0].close == OPENING
    quiet = kept.candles("1m", BIRTH_US + 3 * MINUTE_US, limit=2)
    assert [(candle.open, candle.trades) for candle in quiet] == [(OPENING, 0), (OPENING, 0)]
    kept.archive.stop()


def test_a_market_without_participants_begins_with_its_first_trade(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "archive.db", {})
    now_us = BIRTH_US + HOUR_US
    for interval in ("1s", "1m", "1d"):
        assert kept.candles(interval, now_us) == []
    assert kept.views.trades(SYMBOL, from_id=None, limit=5) == []
    assert kept.views.trades(SYMBOL, from_id=1, limit=5) == []
    assert kept.views.agg_trades(SYMBOL, from_id=None, start_us=None, end_us=None, limit=5) == []
    window = kept.views.ticker_window(SYMBOL, now_us - DAY_US, now_us)
    assert (window.last, window.previous_close, window.trades, window.first_trade_id) == (0, 0, 0, -1)
    prints = live_prints(1, 3)
    kept.receive(prints)
    for _ in range(2):
        found = kept.candles("1m", now_us)
        assert found[0].open_us == prints[0].time_us // MINUTE_US * MINUTE_US
        assert sum(candle.trades for candle in found) == 3
        assert found[-1].open_us == now_us // MINUTE_US * MINUTE_US
        assert kept.views.ticker_window(SYMBOL, now_us - DAY_US, now_us).first_trade_id == 1
        assert kept.views.agg_trades(SYMBOL, from_id=None, start_us=None, end_us=None, limit=5)[0].aggregate_id == 1
        kept.restart()
    kept.archive.stop()


def test_days_that_are_long_over_come_from_hours_and_memory_holds_about_a_day(tmp_path: Path) -> None:
    """Five days of live prints, a minute apart on average; then a restart."""
    past = past_of_symbol()
    kept = Kept(tmp_path / "archive.db", {SYMBOL: past})
    prints = live_prints(past.first_trade_id, 5_000, gap_us=3 * MINUTE_US)
    kept.receive(prints)
    assert prints[-1].time_us - BIRTH_US > 4 * DAY_US
    now_us = prints[-1].time_us + 5 * HOUR_US
    trades: list[Any] = [*past.trades_between(BIRTH_US - HOUR_US, BIRTH_US, 10**9), *prints]
    for _ in range(2):
        assert len(kept.views._rings[SYMBOL].minutes) <= 26 * 60
        for interval, zone_us in (("1h", 0), ("4h", 0), ("1d", 0), ("1h", 30 * MINUTE_US), ("30m", 0), ("1d", HOUR_US)):
            found = kept.candles(interval, now_us, start_us=BIRTH_US, zone_offset_us=zone_us)
            for candle in found:
                plain = plain_candle(trades, candle.open_us, next_open_us(interval, candle.open_us, zone_us))
                assert candle == plain, (interval, zone_us)
            assert sum(candle.trades for candle in found) > 2_500
        kept.restart()
    kept.archive.stop()
