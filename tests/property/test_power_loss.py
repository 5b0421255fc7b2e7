"""Power cuts, at any moment, with any part of the unsynced sectors kept: what was acknowledged survives."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import sparekey.storage.journal
from sparekey.sequencer.ports import Batch, JournalFailed
from sparekey.storage.checkpoints import Anchors, Checkpoint, check_anchors
from sparekey.storage.journal import Durability, SqliteJournal
from tests.power_cut_disk import PowerCutDisk

SEEDS = 60
LONG_SEEDS = 1_500


@pytest.fixture(autouse=True)
def _small_wal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The write-ahead log is copied into the database every few commits, so that cuts hit that, too."""
    monkeypatch.setattr(sparekey.storage.journal, "WAL_LIMIT_BYTES", 16 * 1024)


class Life:
    """A journal's owner across power cuts: what it acknowledged, and what it vouched for."""

    def __init__(self, folder: Path, seed: int, durability: Durability) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.durability = durability
        self.folder = folder / "0"
        self.folder.mkdir()
        self.frames: dict[int, Batch] = {}
        self.acknowledged = 0
        self.marks: list[tuple[int, bytes]] = []
        self.signed: list[Checkpoint] = []

    def run_until_cut(self, number: int) -> None:
        disk = PowerCutDisk(f"cut-{self.durability.value}-{self.seed}-{number}", cut_after=self.rng.randrange(400))
        journal = None
        try:
            journal = SqliteJournal(
                self.folder / "journal.db",
                self.durability,
                vfs=disk.name,
                after_append=lambda position, chain: self.marks.append((position, chain)),
                check=SqliteJournal.check_wal,
            )
            while True:
                first = journal.position + 1
                last = first + self.rng.choice((0, 0, 3, 40))
                batch = Batch(first, last, self.rng.randbytes(self.rng.choice((30, 400, 6_000))))
                self.frames[first] = batch
                journal.append(batch)
                self.acknowledged = last
                if self.rng.random() < 0.1:
                    journal.sync()
                    self.signed.append(Checkpoint(len(self.signed) + 1, last, journal.chain, 0, b""))
        except JournalFailed:
            disk.cut()
        if journal is not None:
            try:
                journal.close()
            except JournalFailed:
                pass  # It tried to tidy up without power.
        self.folder = self.folder.parent / str(number + 1)
        disk.survivors(self.folder, self.rng)
        disk.unregister()

    def anchors_that_survive(self) -> Anchors:
        """A mark reaches the disk whenever the system likes, so any of the marks may be the one that is there."""
        mark = self.rng.choice(self.marks) if self.marks else None
        return Anchors(mark, tuple(self.signed), ())

    def lost(self) -> int:
        """Records acknowledged and not there. What is there must be what was written, and raise no alarm."""
        anchors = self.anchors_that_survive()

        def check(journal: SqliteJournal) -> None:
            journal.check_wal()
            check_anchors(journal, anchors)

        journal = SqliteJournal(self.folder / "journal.db", self.durability, read_only=True, check=check)
        found = list(journal.read())
        for batch in found:
            assert batch == self.frames[batch.first]
        position = journal.position
        journal.close()
        lost = max(0, self.acknowledged - position)
        self.acknowledged = position
        return lost


def lives(folder: Path, durability: Durability, seeds: range) -> dict[int, int]:
    """Records lost by seed, three cuts in a row each."""
    lost = {}
    for seed in seeds:
        place = folder / str(seed)
        place.mkdir()
        life = Life(place, seed, durability)
        lost[seed] = 0
        for number in range(3):
            life.run_until_cut(number)
            lost[seed] += life.lost()
            if lost[seed]:
                break
    return lost


def test_with_full_durability_no_power_cut_loses_what_was_acknowledged(tmp_path: Path) -> None:
    lost = lives(tmp_path, Durability.FULL, range(SEEDS))
    assert {seed: records for seed, records in lost.items() if records} == {}


@pytest.mark.long
def test_with_full_durability_no_power_cut_loses_what_was_acknowledged_over_many_seeds(tmp_path: Path) -> None:
    lost = lives(tmp_path, Durability.FULL, range(1_000, 1_000 + LONG_SEEDS))
    assert {seed: records for seed, records in lost.items() if records} == {}


def test_with_normal_durability_power_cuts_do_lose_acknowledged_records(tmp_path: Path) -> None:
    """The proof that this disk can tell the difference; what remains is still sound."""
    lost = lives(tmp_path, Durability.NORMAL, range(SEEDS))
    assert sum(1 for records in lost.values() if records) > SEEDS // 4


def test_a_signed_checkpoint_under_normal_durability_never_outlives_its_records(tmp_path: Path) -> None:
    """`lost` checks every checkpoint signed so far; here each batch is signed."""
    for seed in range(20):
        disk = PowerCutDisk(f"signed-{seed}")
        folder = tmp_path / str(seed)
        folder.mkdir()
        journal = SqliteJournal(folder / "journal.db", Durability.NORMAL, vfs=disk.name)
        rng = random.Random(seed)
        for number in range(1, rng.randrange(3, 30)):
            journal.append(Batch(number, number, rng.randbytes(300)))
        journal.sync()
        checkpoint = Checkpoint(1, journal.position, journal.chain, 0, b"")
        disk.cut()
        with pytest.raises(JournalFailed):
            journal.append(Batch(checkpoint.position + 1, checkpoint.position + 1, b"lost"))
        disk.survivors(folder / "after", rng)
        after = SqliteJournal(folder / "after" / "journal.db", Durability.NORMAL)
        check_anchors(after, Anchors(None, (checkpoint,), ()))
        after.close()
        journal.close()
        disk.unregister()


def test_a_full_disk_fails_the_commit_by_name_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    disk = PowerCutDisk("full", free_bytes=100_000)
    journal = SqliteJournal(path, vfs=disk.name)
    acknowledged = 0
    with pytest.raises(JournalFailed, match="SQLITE_FULL"):
        for number in range(1, 1_000):
            journal.append(Batch(number, number, bytes(500)))
            acknowledged = number
    assert acknowledged > 10
    disk.free_bytes = None
    with pytest.raises(JournalFailed, match="failed before"):
        journal.append(Batch(acknowledged + 1, acknowledged + 1, b"late"))
    journal.close()
    disk.unregister()
    again = SqliteJournal(path)
    assert again.position in (acknowledged, acknowledged + 1)
    assert len(list(again.read())) == again.position
    again.append(Batch(again.position + 1, again.position + 1, b"on"))
    again.close()
