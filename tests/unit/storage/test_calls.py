"""The call log keeps one row per call, and a sick disk never stops a call."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sparekey.storage import calls
from sparekey.storage.calls import CallLog
from sparekey.terms.clocktime import DAY_US, HOUR_US
from sparekey.watch.calls import CallEntry

NOON_US = 1_700_000_000_000_000


def entry(number: int, *, time_us: int = NOON_US, key: str = "K1", reason: str = "") -> CallEntry:
    return CallEntry(time_us + number, key, "127.0.0.1", "GET", "/api/v3/time", 1, 200, 0, reason, 10)


def test_entries_are_shown_before_and_after_they_are_written(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    for number in range(5):
        log.add(entry(number))
    assert [row.time_us - NOON_US for row in log.tail(3)] == [2, 3, 4]
    log.flush()
    log.add(entry(5))
    assert [row.time_us - NOON_US for row in log.tail(3)] == [3, 4, 5]


def test_the_tail_of_one_key_shows_only_that_key(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    for number in range(6):
        log.add(entry(number, key=f"K{number % 2}"))
    log.flush()
    assert {row.api_key for row in log.tail(10, api_key="K1")} == {"K1"}
    assert len(log.tail(10, api_key="K1")) == 3


def test_each_day_has_its_own_file_and_the_hourly_rollup_counts_calls(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    log.add(entry(0))
    log.add(entry(1, reason="ip-foreign"))
    log.add(entry(0, time_us=NOON_US + DAY_US))
    log.flush()
    files = sorted(tmp_path.glob("*.db"))
    assert [file.stem for file in files] == ["2023-11-14", "2023-11-15"]
    rows = sqlite3.connect(files[0]).execute("SELECT hour_us, calls, refused, weight FROM hours").fetchall()
    assert rows == [(NOON_US // HOUR_US * HOUR_US, 2, 1, 2)]


def test_old_days_are_deleted_whole(tmp_path: Path) -> None:
    log = CallLog(tmp_path, keep_days=2)
    for day in range(4):
        log.add(entry(0, time_us=NOON_US + day * DAY_US))
        log.flush()
    assert len(sorted(tmp_path.glob("*.db"))) == 2


def test_a_disk_that_refuses_is_named_and_catches_up_later(tmp_path: Path) -> None:
    blocked = tmp_path / "calls"
    blocked.write_text("a file where the folder should be")
    log = CallLog(blocked)
    log.add(entry(0))
    log.flush()
    assert "cannot be written" in log.problem
    assert [row.time_us for row in log.tail(5)] == [NOON_US]
    blocked.unlink()
    blocked.mkdir()
    log.flush()
    assert log.problem == ""
    assert [row.time_us for row in CallLog(blocked).tail(5)] == [NOON_US]


def test_waiting_entries_are_bounded_and_drops_are_counted(tmp_path: Path) -> None:
    blocked = tmp_path / "calls"
    blocked.write_text("")
    log = CallLog(blocked)
    for number in range(calls.MAX_WAITING + 7):
        log.add(entry(number))
    log.flush()
    assert log.dropped == 7
    assert len(log.tail(calls.MAX_WAITING + 10)) == calls.MAX_WAITING
