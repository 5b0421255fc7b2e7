"""When a snapshot is taken, and that nobody waits for it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from sparekey.sequencer.ports import Published, Record
from sparekey.sequencer.recovery import Recovered, recover
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.journal import SqliteJournal
from sparekey.storage.snapshots import SnapshotFolder, SnapshotSchedule, snapshot_process, take_snapshot
from tests.toy_bank import Clock, Loop, Paid, Pay, toy_machines


class FakeProcess:
    """A child that ends when the test says so."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.stderr = io.BytesIO()

    def poll(self) -> int | None:
        return self.code


class Starter:
    def __init__(self) -> None:
        self.started: list[tuple[int, FakeProcess]] = []
        self.refuse = False

    def __call__(self, until: int) -> Any:
        if self.refuse:
            raise OSError("no processes left")
        process = FakeProcess()
        self.started.append((until, process))
        return process


def published(count: int, last: int) -> list[Published]:
    """Each costs a toy bank 10 µs to replay."""
    return [
        Published(Record("bank", position, 1, 1, None, [Paid(0, 1, 1)]), (), position)
        for position in range(last - count + 1, last + 1)
    ]


def schedule(starter: Starter, tail_cost_us: int = 0) -> SnapshotSchedule:
    recovered = Recovered(0, {}, 0, 0, tail_cost_us)
    return SnapshotSchedule(toy_machines(), recovered, starter, budget_us=1_000)


def test_a_snapshot_starts_when_the_tail_costs_more_than_the_budget_and_never_twice_at_once() -> None:
    starter = Starter()
    one = schedule(starter)
    one.receive(published(99, 99))
    assert starter.started == []
    one.receive(published(1, 100))
    assert [until for until, _ in starter.started] == [100]
    one.receive(published(500, 600))
    assert len(starter.started) == 1


def test_what_came_in_during_a_snapshot_counts_towards_the_next() -> None:
    starter = Starter()
    one = schedule(starter)
    one.receive(published(100, 100))
    one.receive(published(60, 160))
    starter.started[0][1].code = 0
    one.receive(published(10, 170))
    assert one.tail_cost_us == 700
    one.receive(published(30, 200))
    assert [until for until, _ in starter.started] == [100, 200]


def test_a_long_tail_found_at_the_start_is_snapshot_with_the_first_commit() -> None:
    starter = Starter()
    schedule(starter, tail_cost_us=5_000).receive(published(1, 7))
    assert [until for until, _ in starter.started] == [7]


def test_a_snapshot_that_fails_is_named_and_tried_again_later() -> None:
    starter = Starter()
    one = schedule(starter)
    one.receive(published(100, 100))
    starter.started[0][1].code = 1
    starter.started[0][1].stderr = io.BytesIO(b"no space left on device\n")
    one.receive(published(1, 101))
    assert one.problem == "the snapshot process ended with code 1: no space left on device"
    one.receive(published(100, 201))
    assert len(starter.started) == 1
    one.receive(published(60_000, 60_201))
    assert len(starter.started) == 2
    starter.started[1][1].code = 0
    one.receive(published(1, 60_202))
    assert one.problem == ""


def test_a_process_that_cannot_be_started_is_a_problem_and_no_failure() -> None:
    starter = Starter()
    starter.refuse = True
    one = schedule(starter)
    one.receive(published(100, 100))
    assert one.problem == "the snapshot process could not be started: no processes left"


def write_records(path: Path, count: int) -> SqliteJournal:
    journal = SqliteJournal(path)
    sequencer = Sequencer(journal, toy_machines(), {"bank": Clock(), "branch": Clock()}, Loop().call_soon)
    for number in range(count):
        sequencer.submit("bank", Pay(number % 7, number))
        sequencer.commit()
    return journal


def test_the_real_process_writes_a_snapshot_that_a_start_uses_beside_an_open_journal(tmp_path: Path) -> None:
    journal = write_records(tmp_path / "journal.db", 30)
    folder = SnapshotFolder(tmp_path / "snapshots")
    process = snapshot_process(journal, folder, "tests.toy_bank:toy_machines")(20)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")
    machines = toy_machines()
    recovered = recover(machines, journal, folder)
    assert (recovered.snapshot_position, recovered.tail_records) == (20, 10)
    fresh = toy_machines()
    recover(fresh, journal)
    assert [machine.dump() for machine in machines.values()] == [machine.dump() for machine in fresh.values()]
    journal.close()


def test_the_real_process_says_in_one_line_why_it_failed(tmp_path: Path) -> None:
    journal = write_records(tmp_path / "journal.db", 3)
    process = snapshot_process(journal, SnapshotFolder(tmp_path / "s"), "tests.toy_bank:toy_machines")(9)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.count(b"\n") == 1
    assert b"the journal ends at position 3, before 9" in said
    journal.close()


def test_two_snapshots_are_kept(tmp_path: Path) -> None:
    journal = write_records(tmp_path / "journal.db", 9)
    folder = SnapshotFolder(tmp_path / "snapshots")
    for until in (3, 6, 9):
        take_snapshot(toy_machines, journal, folder, until)
    assert [path.stem.lstrip("0") for path in folder.paths()] == ["9", "6"]
    with pytest.raises(ValueError, match="a snapshot at position 9 already"):
        take_snapshot(toy_machines, journal, folder, 9)
    journal.close()


def test_a_consumer_that_is_behind_the_newest_snapshot_is_served_from_the_older_one(tmp_path: Path) -> None:
    journal = write_records(tmp_path / "journal.db", 9)
    folder = SnapshotFolder(tmp_path / "snapshots")
    for until in (4, 8):
        take_snapshot(toy_machines, journal, folder, until)

    class Archive:
        def __init__(self) -> None:
            self.positions: list[int] = []

        def receive(self, items: Any) -> None:
            self.positions.extend(item.position for item in items)

    archive = Archive()
    recovered = recover(toy_machines(), journal, folder, behind=[(archive, 6)])
    assert recovered.snapshot_position == 4
    assert archive.positions == [7, 8, 9]
    journal.close()


def test_a_snapshot_that_goes_while_the_folder_is_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SnapshotFolder(tmp_path)
    monkeypatch.setattr(folder, "paths", lambda: [tmp_path / "00000000000000000009.snapshot"])
    assert list(folder.newest_first()) == []
    assert folder.warnings == []
