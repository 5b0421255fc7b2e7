"""The process dies at any moment: what it acknowledged is there afterwards, and the state is what the journal says."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from sparekey.sequencer.ports import Batch, Journal, JournalFailed
from sparekey.sequencer.recovery import recover, redecide, state_digest
from sparekey.sequencer.sequencer import EXIT_JOURNAL_FAILED, Sequencer
from sparekey.storage.journal import Durability, MemoryJournal, SqliteJournal
from sparekey.storage.snapshots import SnapshotFolder
from sparekey.storage.verify import verify
from tests.toy_bank import Clock, Loop, Pay, toy_machines

ROOT = Path(__file__).parents[2]


def kill_again_and_again(folder: Path, durability: Durability, kills: int) -> None:
    """Start, read acknowledgements, kill at a random moment, start again on what is left."""
    directory = folder / "data"
    rng = random.Random(kills)
    acknowledged = 0
    snapshots_used = 0
    for kill in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.acking_writer", str(directory), durability.value, str(kill)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        ready = process.stdout.readline()
        assert ready.startswith(b"ready"), process.stderr.read().decode()
        assert int(ready.split()[1]) >= acknowledged
        timer = threading.Timer(rng.uniform(0.005, 0.12), process.kill)
        timer.start()
        lines = process.stdout.read().split(b"\n")  # Until the kill; the last line may be half.
        timer.join()
        assert process.wait() == -9
        process.stdout.close()
        process.stderr.close()
        numbers = [int(line.split()[0]) for line in lines[:-1]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        acknowledged = max([acknowledged, *numbers])

        report = verify(directory)
        assert report.findings == []
        assert report.position >= acknowledged
        journal = SqliteJournal(directory / "journal.db", durability, read_only=True)
        from_genesis, from_snapshot = toy_machines(), toy_machines()
        recover(from_genesis, journal)
        recovered = recover(from_snapshot, journal, SnapshotFolder(directory / "snapshots"))
        snapshots_used += recovered.snapshot_position > 0
        for shard, machine in from_genesis.items():
            assert state_digest(machine) == state_digest(from_snapshot[shard])
        present = from_genesis["bank"].balances | from_genesis["branch"].balances
        assert all(present.get(number) == number for number in range(1, acknowledged + 1))
        journal.close()
    assert acknowledged > kills
    assert snapshots_used > 0


def test_ten_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, Durability.FULL, 10)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_hundred_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, Durability.FULL, 200)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_kills_lose_nothing_with_normal_durability_either(tmp_path: Path) -> None:
    """Without syncs the operating system still has what a killed process wrote."""
    kill_again_and_again(tmp_path, Durability.NORMAL, 20)


def test_a_process_whose_journal_is_full_names_it_and_ends_without_another_reply(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "tests.acking_writer", str(tmp_path), "full-disk"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == EXIT_JOURNAL_FAILED
    assert process.stderr.count("\n") == 1
    assert "database or disk is full" in process.stderr or "SQLITE_FULL" in process.stderr
    acknowledged = [int(line.split()[0]) for line in process.stdout.splitlines()]
    assert len(acknowledged) > 10
    journal = SqliteJournal(tmp_path / "journal.db")
    assert journal.position >= acknowledged[-1]
    journal.close()


class DyingJournal:
    """Dies at the n-th commit, before or after it is durable."""

    def __init__(self, journal: Journal, at: int, after: bool) -> None:
        self._journal = journal
        self._left = at
        self._after = after

    def append(self, batch: Batch) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise JournalFailed("died before the commit")
        self._journal.append(batch)
        if self._left == 0:
            raise JournalFailed("died after the commit")

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_crash_at_any_commit_leaves_exactly_the_durable_records(tmp_path: Path, kind: str, after: bool) -> None:
    commits = 12
    for at in range(1, commits + 1):
        path = tmp_path / f"{at}.db"
        journal: MemoryJournal | SqliteJournal = MemoryJournal() if kind == "memory" else SqliteJournal(path)
        machines = toy_machines()
        loop = Loop()
        dying: Journal = DyingJournal(journal, at, after)  # type: ignore[assignment]
        clock = Clock()
        sequencer = Sequencer(
            dying,
            machines,
            {"bank": clock, "branch": clock},
            loop.call_soon,
            fatal=lambda error: None,
            follow={"bank": lambda record: [("branch", Pay(record.command.to, 1))]},
        )
        released: list[int] = []
        rng = random.Random(at)
        number = 0
        digests = [{shard: state_digest(machine) for shard, machine in machines.items()}]
        with pytest.raises(JournalFailed, match="died"):
            while len(digests) <= commits:
                for _ in range(rng.randrange(1, 5)):
                    number += 1
                    clock.now_us += rng.randrange(3)
                    sequencer.submit("bank", Pay(number, number, source=rng.choice((0, 0, 1))))
                if sequencer.position == sequencer.durable_position:
                    continue  # All were refused: nothing to commit.
                digests.append({shard: state_digest(machine) for shard, machine in machines.items()})
                sequencer.when_durable(partial(released.append, len(digests) - 1))
                loop.run()
        assert released == list(range(1, at))
        if isinstance(journal, SqliteJournal):
            journal.close()
            journal = SqliteJournal(path)
        again = toy_machines()
        recovered = recover(again, journal)
        durable_commits = at if after else at - 1
        assert {shard: state_digest(machine) for shard, machine in again.items()} == digests[durable_commits]
        assert redecide(toy_machines(), journal) == recovered.position
        resumed = Sequencer(journal, again, {"bank": clock, "branch": clock}, loop.call_soon, recovered=recovered)
        resumed.submit("bank", Pay(1, 1))
        resumed.commit()
        assert journal.position == recovered.position + 1
        journal.close()
