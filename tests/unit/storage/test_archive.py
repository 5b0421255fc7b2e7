"""The archive answers as if everything were written already, keeps it over restarts, and survives a sick disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sparekey.market.candles import Candle, join_candles
from sparekey.sequencer.ports import Published, Record
from sparekey.storage import archive as module
from sparekey.storage.archive import Archive, mark_of_fill, mark_of_order
from sparekey.storage.archive_opening import open_archive
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from sparekey.venue.effects import ClosedOrder, Prevented, Print
from tests.conftest import demand

NOON_US = 1_700_000_000_000_000 // HOUR_US * HOUR_US
BTC = 6_500_000_000_000
MEGABYTE = 1_000_000


def assets_of(symbol: str) -> tuple[str, str]:
    return symbol.removesuffix("USDT"), "USDT"


def published(position: int, *effects: Any) -> Published:
    return Published(Record("spot", position, NOON_US, 1, None, ()), effects, position)


def printed(trade_id: int, time_us: int = NOON_US, price: int = BTC, *, symbol: str = "BTCUSDT", **sides: int) -> Print:
    return Print(symbol, trade_id, time_us, price, 1_000, price // 100_000, trade_id % 2 == 0, **sides)


def closed(order_id: int, *, client: str = "", account: int = 1, time_us: int = NOON_US) -> ClosedOrder:
    return ClosedOrder(
        "BTCUSDT", order_id, account, client or f"c{order_id}", "BUY", "LIMIT", "GTC", "FILLED", BTC, 1_000, 0, 1_000,
        BTC // 100_000, time_us, time_us, time_us, "EXPIRE_MAKER",
    )  # fmt: skip


def prevented(match_id: int, taker: int, maker: int, maker_symbol: str = "BTCUSDT") -> Prevented:
    return Prevented(
        "BTCUSDT", match_id, 1, NOON_US, BTC, "EXPIRE_BOTH", taker, 1_000, maker_symbol, maker, 2_000
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "archive.db"


@pytest.fixture
def archive(path: Path) -> Iterator[Archive]:
    kept = Archive(path, assets_of)
    yield kept
    kept.stop()


def filled_in_three_places(archive: Archive, pending: list[Published]) -> None:
    """Prints 1 to 30, a second apart: ten in the file, ten waiting for it, ten not published yet."""
    archive.receive([published(n, printed(n, NOON_US + n * SECOND_US)) for n in range(1, 11)])
    archive.flush()
    archive.receive([published(n, printed(n, NOON_US + n * SECOND_US)) for n in range(11, 21)])
    pending += [published(n, printed(n, NOON_US + n * SECOND_US)) for n in range(21, 31)]


def ids(trades: Sequence[Any]) -> list[int]:
    return [trade.trade_id for trade in trades]


def test_prints_from_the_file_the_queue_and_the_sequencer_are_one_list(path: Path) -> None:
    pending: list[Published] = []
    archive = Archive(path, assets_of, lambda: pending)
    filled_in_three_places(archive, pending)
    at = lambda n: NOON_US + n * SECOND_US  # noqa: E731
    assert ids(archive.prints("BTCUSDT")) == list(range(1, 31))
    assert ids(archive.prints("BTCUSDT", limit=3)) == [28, 29, 30]
    assert ids(archive.prints("BTCUSDT", limit=25)) == list(range(6, 31))
    assert ids(archive.prints("BTCUSDT", from_id=9, limit=4)) == [9, 10, 11, 12]
    assert ids(archive.prints("BTCUSDT", from_id=19, limit=4)) == [19, 20, 21, 22]
    assert ids(archive.prints("BTCUSDT", start_us=at(10), end_us=at(12))) == [10, 11, 12]
    assert ids(archive.prints("BTCUSDT", start_us=at(20), limit=2)) == [20, 21]
    assert ids(archive.prints("BTCUSDT", end_us=at(5), limit=2)) == [4, 5]
    assert ids(archive.prints("BTCUSDT", end_us=at(22), limit=3)) == [20, 21, 22]
    assert ids(archive.prints("BTCUSDT", from_aggregate_id=29)) == [29, 30]
    assert archive.prints("BTCUSDT", from_id=31) == archive.prints("ETHUSDT") == []
    assert archive.prints("BTCUSDT", limit=0) == []
    archive.stop()


def test_asking_before_the_commit_counts_nothing_twice(path: Path) -> None:
    pending = [published(1, printed(1)), published(2, printed(2, NOON_US + 1))]
    archive = Archive(path, assets_of, lambda: pending)
    before = archive.prints("BTCUSDT"), archive.minutes("BTCUSDT", 0, 2**62)
    archive.receive(pending)
    assert (archive.prints("BTCUSDT"), archive.minutes("BTCUSDT", 0, 2**62)) == before
    archive.flush()
    assert (archive.prints("BTCUSDT"), archive.minutes("BTCUSDT", 0, 2**62)) == before
    assert before[1][0].trades == 2
    archive.stop()


def test_rows_that_reach_the_file_during_a_query_are_shown_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(path, assets_of)
    archive.receive([published(n, printed(n, NOON_US + n)) for n in range(1, 6)])
    look = archive._waiting

    def look_and_lose_the_race() -> Any:
        seen = look()
        archive.flush()
        return seen

    monkeypatch.setattr(archive, "_waiting", look_and_lose_the_race)
    assert ids(archive.prints("BTCUSDT", from_id=2)) == [2, 3, 4, 5]
    archive.receive([published(6, printed(6, NOON_US + 6))])
    assert ids(archive.prints("BTCUSDT", limit=4)) == [3, 4, 5, 6]
    archive.stop()


def test_blocks_of_prints_hide_no_print_from_any_query(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_PRINTS", 7)
    everything = [printed(n, NOON_US + n // 3 * SECOND_US, BTC + n // 2) for n in range(1, 101)]
    for start in range(0, 100, 20):
        archive.receive([published(start // 20 + 1, *everything[start : start + 20])])
        archive.flush()
    whole = archive.prints("BTCUSDT", limit=1_000)
    assert [(t.trade_id, t.time_us, t.price) for t in whole] == [(p.trade_id, p.time_us, p.price) for p in everything]
    for n in range(0, 102, 5):
        assert archive.prints("BTCUSDT", from_id=n, limit=9) == [t for t in whole if t.trade_id >= n][:9]
        assert archive.prints("BTCUSDT", from_aggregate_id=n, limit=9) == [t for t in whole if t.aggregate_id >= n][:9]
        time_us = NOON_US + n // 3 * SECOND_US
        assert archive.prints("BTCUSDT", start_us=time_us, limit=9) == [t for t in whole if t.time_us >= time_us][:9]
        assert archive.prints("BTCUSDT", end_us=time_us, limit=9) == [t for t in whole if t.time_us <= time_us][-9:]
        window = {"start_us": time_us, "end_us": time_us + 4 * SECOND_US}
        inside = [t for t in whole if time_us <= t.time_us <= time_us + 4 * SECOND_US]
        assert archive.prints("BTCUSDT", **window, limit=9) == inside[:9]


def test_prints_of_one_taker_at_one_price_and_time_share_an_aggregate(path: Path) -> None:
    archive = Archive(path, assets_of)
    archive.set_first_aggregate("BTCUSDT", 1_001)
    same = {"taker_order_id": 7, "taker_account_id": 1}
    archive.receive(
        [
            published(
                1, printed(1, **same), printed(3, **same), printed(5, price=BTC + 1, **same), printed(7, NOON_US + 1)
            )
        ]
    )
    assert [trade.aggregate_id for trade in archive.prints("BTCUSDT")] == [1_001, 1_001, 1_002, 1_003]
    archive.stop()
    again = Archive(path, assets_of)
    again.set_first_aggregate("BTCUSDT", 1_001)
    again.receive([published(2, printed(9, NOON_US + 2))])
    assert again.prints("BTCUSDT")[-1].aggregate_id == 1_004
    again.stop()


def test_both_sides_of_a_trade_between_accounts_are_fills_with_the_fee_of_what_they_got(archive: Archive) -> None:
    sides = {"taker_order_id": 8, "taker_account_id": 2, "taker_fee": 20}
    sides |= {"maker_order_id": 7, "maker_account_id": 1, "maker_fee": 10}
    archive.receive([published(1, printed(2, **sides))])  # even: the buyer was the maker
    query: dict[str, Any] = {"order_id": None, "from_id": None, "start_us": None, "end_us": None, "limit": 10}
    (bought,) = archive.trades(1, "BTCUSDT", **query)
    (sold,) = archive.trades(2, "BTCUSDT", **query)
    assert (bought.is_buyer, bought.is_maker, bought.fee, bought.fee_asset) == (True, True, 10, "BTC")
    assert (sold.is_buyer, sold.is_maker, sold.fee, sold.fee_asset) == (False, False, 20, "USDT")


def test_fills_and_closed_orders_are_found_before_and_after_they_are_written(archive: Archive) -> None:
    query: dict[str, Any] = {"order_id": None, "from_id": None, "start_us": None, "end_us": None, "limit": 3}
    orders: dict[str, Any] = {"from_order_id": None, "start_us": None, "end_us": None, "limit": 3}
    for n in range(1, 7):
        fill = printed(n, NOON_US + n, taker_order_id=n, taker_account_id=1)
        archive.receive([published(n, closed(n, time_us=NOON_US + n), fill)])
        if n == 3:
            archive.flush()
    for _ in range(2):
        assert ids(archive.trades(1, "BTCUSDT", **query)) == [4, 5, 6]
        assert ids(archive.trades(1, "BTCUSDT", **(query | {"from_id": 2}))) == [2, 3, 4]
        assert ids(archive.trades(1, "BTCUSDT", **(query | {"order_id": 2}))) == [2]
        bounds = {"start_us": NOON_US + 3, "end_us": NOON_US + 4}
        assert ids(archive.trades(1, "BTCUSDT", **(query | bounds))) == [3, 4]
        assert [order.order_id for order in archive.orders(1, "BTCUSDT", **orders)] == [4, 5, 6]
        assert [order.order_id for order in archive.orders(1, "BTCUSDT", **(orders | {"from_order_id": 2}))] == [
            2,
            3,
            4,
        ]
        assert [order.order_id for order in archive.orders(1, "BTCUSDT", **(orders | bounds))] == [3, 4]
        assert archive.trades(2, "BTCUSDT", **query) == archive.orders(1, "ETHUSDT", **orders) == []
        archive.flush()


def test_the_newest_closed_order_with_a_client_id_is_meant(archive: Archive) -> None:
    archive.receive([published(1, closed(1, client="mine"), closed(2, client="mine"))])
    archive.flush()
    archive.receive([published(2, closed(3, client="other"))])
    found = archive.order(1, "BTCUSDT", client_order_id="mine")
    assert found is not None and found.order_id == 2
    found = archive.order(1, "BTCUSDT", order_id=1)
    assert found is not None and found.client_order_id == "mine"
    assert archive.order(2, "BTCUSDT", order_id=1) is None


def test_a_position_that_is_known_already_is_passed_over(path: Path) -> None:
    archive = Archive(path, assets_of)
    first = published(1, printed(1))
    archive.receive([first])
    archive.receive([first, published(2, printed(2))])
    archive.stop()
    again = Archive(path, assets_of)
    assert again.position == 2
    again.receive([first, published(2, printed(2)), published(3, printed(3))])
    assert ids(again.prints("BTCUSDT")) == [1, 2, 3]
    assert [minute.trades for minute in again.minutes("BTCUSDT", 0, 2**62)] == [3]
    again.stop()


def test_minutes_hold_exactly_the_prints_up_to_the_position_whenever_it_stops(path: Path) -> None:
    """A stop in the middle of a minute, then the rest of it from the journal."""
    prints = [printed(n, NOON_US + n * 7 * SECOND_US, BTC + n % 5) for n in range(1, 40)]
    for cut in (3, 8, 9, 20):
        path.unlink(missing_ok=True)
        archive = Archive(path, assets_of)
        archive.receive([published(n, prints[n - 1]) for n in range(1, cut + 1)])
        archive.flush()
        archive.receive([published(cut + 1, prints[cut])])  # lost: never written
        archive._writer.close()
        archive._reader.close()
        again = Archive(path, assets_of)
        again.receive([published(n, prints[n - 1]) for n in range(again.position + 1, 40)])
        minutes = again.minutes("BTCUSDT", 0, 2**62)
        assert [minute.open_us for minute in minutes] == sorted({p.time_us // MINUTE_US * MINUTE_US for p in prints})
        for minute in minutes:
            inside = [p for p in prints if p.time_us // MINUTE_US * MINUTE_US == minute.open_us]
            bought = [p for p in inside if not p.buyer_is_maker]
            assert minute == Candle(
                minute.open_us,
                inside[0].price,
                max(p.price for p in inside),
                min(p.price for p in inside),
                inside[-1].price,
                sum(p.quantity for p in inside),
                sum(p.quote_quantity for p in inside),
                len(inside),
                sum(p.quantity for p in bought),
                sum(p.quote_quantity for p in bought),
            )
        again.stop()


def test_an_hour_that_is_over_is_the_sum_of_its_minutes_also_when_nothing_was_written_yet(path: Path) -> None:
    pending: list[Published] = []
    archive = Archive(path, assets_of, lambda: pending)
    for n in range(1, 30):
        archive.receive([published(n, printed(n, NOON_US + n * 11 * MINUTE_US, BTC + n % 7))])
        if n == 10:
            archive.flush()
    pending.append(published(30, printed(30, NOON_US + 6 * HOUR_US)))
    hours = archive.hours("BTCUSDT", 0, 2**62)
    assert [hour.open_us for hour in hours] == [NOON_US + n * HOUR_US for n in range(6)]
    for hour in hours:
        minutes = archive.minutes("BTCUSDT", hour.open_us, hour.open_us + HOUR_US - 1)
        assert hour == join_candles(minutes, hour.open_us, HOUR_US)
    archive.receive(pending)
    pending.clear()
    archive.flush()
    assert archive.hours("BTCUSDT", 0, 2**62) == hours
    archive.stop()


def test_a_disk_that_refuses_is_named_and_what_waited_is_written_later(path: Path) -> None:
    archive = Archive(path, assets_of)
    archive._writer.execute("PRAGMA max_page_count = 1")  # the file may not grow: SQLite's own full disk
    archive.receive([published(n, printed(n, NOON_US + n)) for n in range(1, 3_001)])
    archive.flush()
    assert "cannot be written" in archive.problem and "full" in archive.problem and "3000 rows wait" in archive.problem
    assert archive.position == 0
    archive.receive([published(3_001, printed(3_001, NOON_US + 3_001))])
    assert ids(archive.prints("BTCUSDT", limit=2)) == [3_000, 3_001]
    archive._writer.execute("PRAGMA max_page_count = 1000000")
    archive.flush()
    assert (archive.problem, archive.position) == ("", 3_000)
    archive.flush()
    assert archive.position == 3_001
    assert len(archive.prints("BTCUSDT", limit=5_000)) == 3_001
    archive.stop()


def test_rows_that_wait_are_bounded_and_a_restart_catches_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    journal = [published(n, printed(n, NOON_US + n)) for n in range(1, 31)]
    archive = Archive(path, assets_of)
    archive.receive(journal[:5])
    archive.flush()
    for item in journal[5:]:
        archive.receive([item])
    assert "stopped at journal position 5; a restart catches up" in archive.problem
    archive.stop()
    again = Archive(path, assets_of)
    assert 5 < again.position < 30
    again.receive(journal)
    assert ids(again.prints("BTCUSDT")) == list(range(1, 31))
    assert again.problem == ""
    again.stop()


def test_an_idle_day_writes_less_than_twenty_megabytes(path: Path) -> None:
    """Nobody trades: eleven symbols print about three times in two ticks, a tick every ten seconds."""
    demand(Path("/proc/self/io").exists(), "/proc/self/io")

    def handed_to_write() -> int:
        lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(lines["wchar"])

    archive = Archive(path, assets_of)
    before = handed_to_write()
    trade_id = 1_000_000_000
    for tick in range(8_640):
        time_us = NOON_US + tick * 10 * SECOND_US
        effects = []
        for symbol in range(11):
            for _ in range(1 + (tick + symbol) % 2):
                trade_id += 1
                effects.append(printed(trade_id, time_us, BTC + trade_id * 7_919 % 100_000, symbol=f"S{symbol}USDT"))
        archive.receive([published(tick + 1, *effects)])
        # What the thread does once a second, ten times between two ticks.
        archive._intervals_waited += 9
        archive.pass_interval()
    archive.stop()
    megabytes = (handed_to_write() - before) / MEGABYTE
    assert DAY_US == 8_640 * 10 * SECOND_US
    assert 1 < megabytes < 20
    with sqlite3.connect(path) as database:
        assert (
            database.execute("SELECT count(*) FROM candles WHERE span_us = ?", (MINUTE_US,)).fetchone()[0] == 11 * 1_440
        )


def test_prevented_matches_of_an_order_are_one_list_wherever_they_are(path: Path) -> None:
    pending: list[Published] = []
    archive = Archive(path, assets_of, lambda: pending)
    archive.receive([published(1, prevented(1, 10, 7)), published(2, prevented(2, 10, 8))])
    archive.flush()
    archive.receive([published(3, prevented(3, 11, 10)), published(4, prevented(4, 10, 9, "BTCUSDC"))])
    pending.append(published(5, prevented(5, 12, 13)))

    def asked(**which: int | None) -> list[int]:
        bounds: dict[str, Any] = {"match_id": None, "order_id": None, "from_id": 0, "limit": 500}
        found = archive.prevented_matches(1, "BTCUSDT", **(bounds | which))
        return [match.prevented_match_id for match in found]

    assert asked(order_id=10) == [1, 2, 3, 4]  # as taker and as maker
    assert asked(order_id=9) == []  # an order of another symbol
    assert asked(order_id=10, from_id=2, limit=2) == [2, 3]
    assert [asked(match_id=match_id) for match_id in (2, 5, 6)] == [[2], [5], []]
    assert archive.prevented_matches(2, "BTCUSDT", match_id=1, order_id=None, from_id=0, limit=1) == []
    archive.receive(pending)
    archive.flush()
    assert asked(match_id=5) == [5]
    archive.stop()


def test_a_file_of_an_older_version_is_rebuilt_from_the_journal(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = Archive(path, assets_of)
    archive.receive([published(1, closed(1))])
    archive.flush()
    archive._writer.execute("PRAGMA user_version = 1")
    archive.stop()
    opened = open_archive(path, assets_of, 1, tuple)
    assert (opened.position, opened.version) == (0, module.SCHEMA_VERSION)
    assert "is of an older version; it is rebuilt from the journal" in caplog.text
    opened.receive([published(1, closed(1))])
    opened.stop()
    again = open_archive(path, assets_of, 1, tuple)
    assert again.position == 1
    again.stop()


def test_the_newest_of_several_symbols_are_paged_without_losing_or_repeating_one(path: Path) -> None:
    pending: list[Published] = []
    archive = Archive(path, lambda symbol: (symbol[:-4], "USDT"), pending=lambda: pending)
    symbols = ("ADAUSDT", "BTCUSDT", "ETHUSDT")
    effects: list[Any] = []
    for number in range(1, 61):  # many at the same time, and ids that every symbol counts for itself
        symbol, id, time_us = symbols[number % 3], number // 3 + 1, NOON_US + number // 7 * SECOND_US
        effects.append(msgspec.structs.replace(closed(id, time_us=time_us), symbol=symbol, key_id=number))
        effects.append(printed(id, time_us, symbol=symbol, taker_account_id=1, taker_order_id=id))
        if number % 5 == 0:  # with oneself: two fills of one trade
            effects[-1] = msgspec.structs.replace(effects[-1], maker_account_id=1, maker_order_id=id + 1)
    thirds = [effects[at : at + 40] for at in (0, 40, 80)]
    archive.receive([published(1, *thirds[0])])
    archive.flush()
    archive.receive([published(2, *thirds[1])])
    pending.append(published(3, *thirds[2]))

    def pages(newest: Any, mark_of: Any) -> list[Any]:
        found: list[Any] = []
        while page := newest(1, symbols, before=mark_of(found[-1]) if found else None, limit=7):
            found += page
        return found

    orders = pages(archive.newest_orders, mark_of_order)
    assert [mark_of_order(one) for one in orders] == sorted(map(mark_of_order, orders), reverse=True)
    assert sorted(one.key_id for one in orders) == list(range(1, 61))
    fills = pages(archive.newest_fills, mark_of_fill)
    assert [mark_of_fill(one) for one in fills] == sorted(map(mark_of_fill, fills), reverse=True)
    assert len({mark_of_fill(one) for one in fills}) == len(fills) == 72
    assert archive.newest_fills(2, symbols, limit=5) == []
    archive.stop()
