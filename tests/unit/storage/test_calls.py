"""The call log keeps one row per call, and a sick disk never stops a call."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

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


FILL_UP = """
import random, resource, sys
from pathlib import Path
from sparekey.storage.calls import CallLog
from tests.unit.storage.test_calls import entry

rng = random.Random(1)
entries = [entry(number)._replace(path=rng.randbytes(40).hex()) for number in range(5_000)]
log = CallLog(Path(sys.argv[1]))
log.add(entries[0])
log.flush()
assert log.problem == "", log.problem
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (128 * 1024, hard))
for number in range(1, 5_000):
    log.add(entries[number])
    if number % 100 == 0:
        log.flush()
assert "cannot be written" in log.problem, log.problem
assert "entries wait" in log.problem, log.problem
assert log.tail(10_000) == entries
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
log.flush()
assert log.problem == "", log.problem
print(CallLog(Path(sys.argv[1])).tail(10_000) == entries)
"""


def test_a_full_disk_degrades_the_log_says_so_and_loses_nothing_once_there_is_room(tmp_path: Path) -> None:
    """A disk that takes no more bytes, by the limit on a file's size; in a process of its own, which it binds."""
    (tmp_path / "calls").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FILL_UP, str(tmp_path / "calls")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_what_was_dropped_is_said_with_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MAX_WAITING", 10)
    (tmp_path / "calls").write_text("")
    log = CallLog(tmp_path / "calls")
    for number in range(13):
        log.add(entry(number))
    log.flush()
    assert log.problem.endswith("10 entries wait, 3 were dropped")
    assert [row.time_us - NOON_US for row in log.tail(100)] == list(range(3, 13))


def test_one_entry_that_cannot_be_stored_keeps_no_other_out(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    log.add(entry(0))
    log.add(entry(1)._replace(path="/api/\udcff", user_agent="\ud800"))
    log.add(entry(2)._replace(latency_us=2**70))
    log.add(entry(3))
    log.flush()
    assert log.problem == ""
    rows = CallLog(tmp_path).tail(10)
    assert [row.time_us - NOON_US for row in rows] == [0, 1, 2, 3]
    assert rows[1].path == "/api/\\udcff"
    assert rows[2].latency_us == 2**63 - 1


def test_a_failure_that_nobody_thought_of_is_named_and_does_not_end_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CallLog(tmp_path, interval_s=0.01)
    monkeypatch.setattr(log, "_delete_old", lambda day: 1 // 0)
    log.start()
    log.add(entry(0))
    wait_for(lambda: "ZeroDivisionError" in log.problem)
    monkeypatch.undo()
    log.add(entry(1))
    wait_for(lambda: log.problem == "")
    log.stop()
    assert [row.time_us - NOON_US for row in CallLog(tmp_path).tail(10)] == [0, 1]


def test_a_stop_writes_what_waits(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls", interval_s=3_600)
    log.start()
    for number in range(100):
        log.add(entry(number))
    log.stop()
    assert len(CallLog(tmp_path / "calls").tail(1_000)) == 100


def test_a_call_is_shown_once_while_it_is_being_written(tmp_path: Path) -> None:
    log = CallLog(tmp_path, interval_s=0.001)
    log.start()
    try:
        for number in range(1_500):
            log.add(entry(number))
            if number % 10 == 0:
                shown = [row.time_us - NOON_US for row in log.tail(10_000)]
                assert shown == list(range(number + 1))
    finally:
        log.stop()


def test_only_the_owner_may_read_the_logs_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        log = CallLog(tmp_path / "calls")
        log.start()
        log.add(entry(0))
        log.stop()
        reader = sqlite3.connect(tmp_path / "calls" / "2023-11-14.db")
        reader.execute("SELECT count(*) FROM segments").fetchone()
        modes = {file.suffix: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "calls").iterdir()}
        reader.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "calls").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("name", ["50% off", "what?", "a#b", "x&mode=memory", "ü"])
def test_a_folder_of_any_name_can_be_read_again(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    log = CallLog(tmp_path / name)
    log.add(entry(0))
    log.flush()
    assert len(CallLog(tmp_path / name).tail(5)) == 1


def test_a_damaged_day_hides_no_other_day(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    log.add(entry(0))
    log.add(entry(0, time_us=NOON_US + DAY_US))
    log.flush()
    (tmp_path / "2023-11-14.db").write_bytes(b"this was a database once" * 100)
    assert [row.time_us for row in log.tail(5)] == [NOON_US + DAY_US]


def test_entries_before_a_time_are_the_newest_before_it(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    for number in range(10):
        log.add(entry(number))
        if number == 5:
            log.flush()
    assert [row.time_us - NOON_US for row in log.tail(3, until_us=NOON_US + 7)] == [4, 5, 6]
    assert log.tail(3, until_us=NOON_US) == []


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_hours_of_a_key_are_counted_over_all_days_and_what_still_waits(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    hour_us = NOON_US // HOUR_US * HOUR_US
    log.add(entry(0))
    log.add(entry(1, key="K2"))
    log.add(entry(0, time_us=NOON_US + DAY_US, reason="ip-foreign"))
    log.flush()
    log.add(entry(2, reason="key-expired"))
    expected = [(hour_us, 2, 1), (hour_us + DAY_US, 1, 1)]
    assert [tuple(hour) for hour in log.hours_of("K1", 0)] == expected
    log.flush()
    assert [tuple(hour) for hour in log.hours_of("K1", 0)] == expected
    assert [tuple(hour) for hour in log.hours_of("K1", hour_us + HOUR_US)] == expected[1:]
    assert log.hours_of("K3", 0) == []


def test_the_newest_refusals_of_keys_are_found_among_other_calls_and_before_they_are_written(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    for number in range(20):
        log.add(entry(number, key=f"K{number % 4}", reason="ip-foreign" if number % 3 == 0 else ""))
        if number % 5 == 4:
            log.flush()  # a segment of its own
    log.add(entry(21, key="K1", reason="key-expired"))
    log.add(entry(22, key="K9", reason="key-expired"))
    found = log.refusals({"K1", "K2"}, 3)
    assert [(row.time_us - NOON_US, row.api_key, row.reason) for row in found] == [
        (21, "K1", "key-expired"),
        (18, "K2", "ip-foreign"),
        (9, "K1", "ip-foreign"),
    ]
    assert [row.time_us - NOON_US for row in log.refusals({"K1"}, 10)] == [21, 9]
    assert log.refusals(set(), 10) == []
    assert log.refusals({"K7"}, 10) == []


def test_refusals_and_hours_of_a_damaged_file_are_left_out(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    log.add(entry(0, reason="ip-foreign"))
    log.flush()
    for path in tmp_path.glob("*.db*"):
        path.write_bytes(b"no database at all" * 100)
    assert log.refusals({"K1"}, 10) == []
    assert log.hours_of("K1", 0) == []


def test_callers_of_a_key_are_counted_over_all_days_and_what_still_waits(tmp_path: Path) -> None:
    log = CallLog(tmp_path)

    def call(number: int, ip: str, key: str = "K1", reason: str = "") -> None:
        log.add(entry(number, key=key, reason=reason)._replace(ip=ip))

    hour_us = NOON_US // HOUR_US * HOUR_US
    call(0, "127.0.0.1")
    call(DAY_US, "127.0.0.2", reason="ip-foreign")
    call(0, "127.0.0.3", key="K2")
    log.flush()
    call(DAY_US + HOUR_US, "127.0.0.1")
    call(1, "127.0.0.1", reason="key-rotated")
    assert log.callers("K1") == [
        ("127.0.0.1", 3, 1, hour_us + DAY_US + HOUR_US),
        ("127.0.0.2", 1, 1, hour_us + DAY_US),
    ]
    written = log.callers("K1")
    log.flush()
    assert log.callers("K1") == written
    assert log.callers("K3") == []


def test_the_last_call_of_each_key_is_found_in_memory_today_and_on_older_days(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    for key, day in (("K1", 0), ("K2", 1), ("K1", 1), ("K3", 2), ("K4", 0)):
        log.add(entry(day, time_us=NOON_US + day * DAY_US, key=key))
        log.flush()
    log.add(entry(7, time_us=NOON_US + 2 * DAY_US, key="K4"))
    for _ in range(2):  # the second time from what was remembered
        found = log.last_calls(["K1", "K2", "K3", "K4", "K5"])
        days = {key: (one.time_us - NOON_US) // DAY_US for key, one in found.items()}
        assert days == {"K1": 1, "K2": 1, "K3": 2, "K4": 2}
    log.flush()
    log.add(entry(0, time_us=NOON_US + 3 * DAY_US, key="K2"))
    log.flush()
    assert {key: (one.time_us - NOON_US) // DAY_US for key, one in log.last_calls(["K1", "K2", "K4"]).items()} == {
        "K1": 1,
        "K2": 3,
        "K4": 2,
    }


def test_a_damaged_day_hides_no_last_call_of_another_day(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    log.add(entry(0))
    log.flush()
    (tmp_path / "2030-01-01.db").write_bytes(b"no database")
    assert log.last_calls(["K1"])["K1"].time_us == NOON_US


def test_what_a_key_called_is_counted_over_all_days_and_what_still_waits(tmp_path: Path) -> None:
    log = CallLog(tmp_path)
    log.add(entry(0))
    log.add(entry(1, key="K2"))
    log.flush()
    log.add(entry(0, time_us=NOON_US + DAY_US, reason="ip-foreign"))
    log.flush()
    log.add(entry(0, time_us=NOON_US + DAY_US)._replace(method="POST", path="/api/v3/order"))
    found = {(one.method, one.path): (one.calls, one.refused) for one in log.routes_called("K1")}
    assert found == {("GET", "/api/v3/time"): (2, 1), ("POST", "/api/v3/order"): (1, 0)}
