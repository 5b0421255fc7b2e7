"""Somebody changed, cut or exchanged what the journal's folder holds: found, named, refused at the next start."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import msgspec
import pytest

from sparekey.sequencer.ports import (
    ENGINE_VERSION,
    Batch,
    JournalDamaged,
    JournalFailed,
    JournalTooNew,
)
from sparekey.sequencer.recovery import Recovered, recover, state_digest
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.checkpoints import CheckpointSigner
from sparekey.storage.datadir import DataDirectory
from sparekey.storage.journal import Durability, SqliteJournal, chain_after, checksum_of
from sparekey.storage.journal_opening import open_journal
from sparekey.storage.snapshots import SnapshotFolder, take_snapshot
from sparekey.storage.verify import verify
from tests.toy_bank import Clock, Loop, Pay, ToyBank, toy_machines

ROOT = Path(__file__).parents[2]
COMMITS = 60


def make_directory(path: Path, *, killed: bool, signed: bool = True, durability: Durability = Durability.FULL) -> None:
    """A data directory with 60 rows and two snapshots, stopped cleanly, or as a kill leaves it."""
    live = path.with_name(f"{path.name}-live") if killed else path
    data = DataDirectory.open(live)
    opened = open_journal(data, durability)
    assert isinstance(opened.journal, SqliteJournal)
    assert opened.checkpoints is not None
    loop, clock = Loop(), Clock()
    signer = CheckpointSigner(opened.checkpoints, opened.journal, clock)
    sequencer = Sequencer(
        opened.journal, toy_machines(), {"bank": clock, "branch": clock}, loop.call_soon, consumers=[signer]
    )
    snapshots = SnapshotFolder(data.snapshots_path)
    for commit in range(1, COMMITS + 1):
        for number in range(commit % 4 + 1):
            sequencer.submit("bank" if number % 2 else "branch", Pay(commit, commit * 1_000_003))
        clock.now_us += 7_000_000 if signed else 0
        sequencer.commit()
        if commit in (20, 40):
            take_snapshot(toy_machines, opened.journal, snapshots, opened.journal.position)
    if killed:
        shutil.copytree(live, path)
    elif signed:
        signer.sign()
    opened.journal.close()
    opened.checkpoints.close()
    data.close()


def start(path: Path) -> tuple[Recovered, dict[str, bytes]]:
    """What `up` does with the folder; the state's digests."""
    with DataDirectory.open(path) as data:
        opened = open_journal(data, Durability.FULL)
        assert opened.checkpoints is not None
        machines = toy_machines()
        try:
            recovered = recover(machines, opened.journal, SnapshotFolder(data.snapshots_path))
        finally:
            opened.journal.close()
            opened.checkpoints.close()
        return recovered, {shard: state_digest(machine) for shard, machine in machines.items()}


def refused(path: Path, naming: str) -> None:
    """`log verify` finds it, a start refuses it, and a second start still does."""
    report = verify(path)
    assert not report.sound
    assert any(naming in finding for finding in report.findings), report.findings
    for _ in range(2):
        with pytest.raises(JournalDamaged) as caught:
            start(path)
        assert naming in str(caught.value)
        assert "\n" not in str(caught.value)


def change(path: Path, sql: str, *values: object) -> None:
    connection = apsw.Connection(str(path / "journal.db"))
    connection.execute(sql, values)
    connection.close()


def flip(path: Path, offset: int, mask: int = 0x10) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ mask]))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stopped") / "data"
    make_directory(path, killed=False)
    return path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("killed") / "data"
    make_directory(path, killed=True, signed=False)
    return path


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path], Path]:
    def make(original: Path) -> Path:
        return Path(shutil.copytree(original, tmp_path / "data"))

    return make


def test_an_untouched_folder_is_sound_and_starts(
    stopped: Path, killed: Path, copy: Callable[[Path], Path], tmp_path: Path
) -> None:
    for original in (stopped, killed):
        report = verify(original)
        assert report.sound
        assert (report.batches, report.snapshots, report.warnings) == (COMMITS, 2, [])
        assert report.vouched_position == report.position == report.records
        path = copy(original)
        recovered, _ = start(path)
        assert recovered.position == report.position
        assert verify(path).sound
        shutil.rmtree(path)
    assert verify(stopped).checkpoints == 6
    assert verify(killed).checkpoints == 0


def test_a_flipped_byte_in_a_frame_is_named_by_its_positions(stopped: Path, copy: Callable[[Path], Path]) -> None:
    path = copy(stopped)
    journal = SqliteJournal(path / "journal.db", read_only=True)
    batch = list(journal.read())[30]
    journal.close()
    content = (path / "journal.db").read_bytes()
    flip(path / "journal.db", content.index(batch.frame) + len(batch.frame) // 2)
    refused(path, f"positions {batch.first} to {batch.last} fails its checksum")


def test_no_flipped_byte_anywhere_in_the_journal_changes_what_is_read_without_being_found(
    stopped: Path, copy: Callable[[Path], Path]
) -> None:
    path = copy(stopped)
    expected = start(path)[1]
    file = path / "journal.db"
    rng = random.Random(1)
    found = harmless = 0
    original = file.read_bytes()
    for _ in range(150):
        file.write_bytes(original)
        flip(file, rng.randrange(len(original)), 1 << rng.randrange(8))
        sound = verify(path).sound
        for beside in ("journal.db-wal", "journal.db-shm"):
            (path / beside).unlink(missing_ok=True)
        try:
            digests = start(path)[1]
        except (JournalDamaged, JournalTooNew, JournalFailed):
            assert not sound
            found += 1
        else:
            assert digests == expected
            harmless += 1
    assert found > harmless  # Harmless are bytes that nothing uses: free space, statistics, version numbers.


def test_no_flipped_byte_in_the_write_ahead_log_loses_a_record_without_being_found(
    killed: Path, copy: Callable[[Path], Path]
) -> None:
    path = copy(killed)
    wal = path / "journal.db-wal"
    size = wal.stat().st_size
    assert size > 30_000
    expected = start(Path(shutil.copytree(killed, path.with_name("untouched"))))[1]
    rng = random.Random(2)
    found = 0
    offsets = [*range(32), *(rng.randrange(32, size) for _ in range(100))]
    for offset in offsets:
        shutil.rmtree(path)
        shutil.copytree(killed, path)
        flip(wal, offset, 1 << rng.randrange(8))
        sound = verify(path).sound
        try:
            digests = start(path)[1]
        except JournalDamaged:
            assert not sound
            found += 1
        else:
            assert sound
            assert digests == expected
    assert found > len(offsets) * 0.9


def test_a_flipped_byte_within_the_write_ahead_log_is_found_even_with_nobody_to_vouch_for_the_end(
    killed: Path, tmp_path: Path
) -> None:
    """SQLite itself would silently forget every commit behind it."""
    for number, share in enumerate((0.1, 0.5, 0.9)):
        path = tmp_path / str(number) / "journal.db"
        path.parent.mkdir()
        for name in ("journal.db", "journal.db-wal"):
            shutil.copy(killed / name, path.parent / name)
        wal = path.with_name("journal.db-wal")
        flip(wal, int(wal.stat().st_size * share))
        with pytest.raises(JournalDamaged, match="transactions go on behind it"):
            SqliteJournal(path, check=SqliteJournal.check_wal)


def test_a_torn_last_transaction_is_no_damage(killed: Path, tmp_path: Path) -> None:
    """Half of one more commit behind the end, as a power cut leaves it."""
    for name in ("journal.db", "journal.db-wal"):
        shutil.copy(killed / name, tmp_path / name)
    wal = tmp_path / "journal.db-wal"
    content = wal.read_bytes()
    page_bytes = int.from_bytes(content[8:12], "big")
    torn = content[32 + page_bytes + 24 :][: page_bytes + 24]
    assert torn[8:16] == content[16:24]
    wal.write_bytes(content + torn)
    journal = SqliteJournal(tmp_path / "journal.db", check=SqliteJournal.check_wal)
    assert journal.position == verify(killed).position
    journal.close()


@pytest.mark.parametrize("original", ["stopped", "killed"])
def test_a_cut_off_tail_is_found(original: str, request: pytest.FixtureRequest, copy: Callable[[Path], Path]) -> None:
    path = copy(request.getfixturevalue(original))
    end = verify(path).position
    change(path, "DELETE FROM batches WHERE last = (SELECT max(last) FROM batches)")
    refused(path, f"the journal's tail is cut off: it ends at position {end - 1}, but according to")
    assert f"it was durable up to position {end}" in verify(path).findings[0]


def test_a_tail_cut_back_to_before_the_snapshots_is_found_by_them_too(
    stopped: Path, copy: Callable[[Path], Path]
) -> None:
    path = copy(stopped)
    change(path, "DELETE FROM batches WHERE last > 10")
    findings = verify(path).findings
    assert any("according to the snapshot" in finding for finding in findings)
    journal = SqliteJournal(path / "journal.db")
    with pytest.raises(JournalDamaged, match=r"tail is cut off: it ends at position \d+, a snapshot was taken at"):
        recover(toy_machines(), journal, SnapshotFolder(path / "snapshots"))
    journal.close()


def test_a_write_ahead_log_that_was_thrown_away_is_found(killed: Path, copy: Callable[[Path], Path]) -> None:
    path = copy(killed)
    (path / "journal.db-wal").unlink()
    (path / "journal.db-shm").unlink()
    refused(path, "the journal's tail is cut off: it ends at position 0")


def test_a_truncated_journal_file_is_found(stopped: Path, copy: Callable[[Path], Path]) -> None:
    path = copy(stopped)
    content = (path / "journal.db").read_bytes()
    for size in (len(content) - 1024, len(content) // 2, 100):
        (path / "journal.db").write_bytes(content[:size])
        assert not verify(path).sound
        with pytest.raises(JournalDamaged):
            start(path)


def test_an_emptied_or_missing_journal_is_found(stopped: Path, copy: Callable[[Path], Path]) -> None:
    path = copy(stopped)
    (path / "journal.db").write_bytes(b"")
    assert not verify(path).sound
    with pytest.raises(JournalDamaged):
        start(path)
    (path / "journal.db").unlink()
    refused(path, "the journal")
    assert "is missing" in verify(path).findings[0]


def test_a_removed_row_is_found(stopped: Path, copy: Callable[[Path], Path]) -> None:
    path = copy(stopped)
    change(path, "DELETE FROM batches WHERE last = (SELECT last FROM batches ORDER BY last LIMIT 1 OFFSET 5)")
    refused(path, "rows are missing or out of order")


def test_a_rewritten_row_with_a_right_checksum_breaks_the_chain(stopped: Path, copy: Callable[[Path], Path]) -> None:
    path = copy(stopped)
    journal = SqliteJournal(path / "journal.db", read_only=True)
    row = list(journal.rows())[12]
    journal.close()
    forged = Batch(row.batch.first, row.batch.last, row.batch.frame.replace(b"Paid", b"Pa1d"))
    change(
        path,
        "UPDATE batches SET frame = ?, checksum = ? WHERE last = ?",
        forged.frame,
        checksum_of(forged),
        forged.last,
    )
    refused(path, f"positions {forged.first} to {forged.last} does not continue the hash chain")


def test_a_history_rewritten_with_a_right_chain_is_not_what_was_signed(
    stopped: Path, copy: Callable[[Path], Path]
) -> None:
    path = copy(stopped)
    journal = SqliteJournal(path / "journal.db", read_only=True)
    rows = list(journal.rows())
    chain = journal.chain_at(rows[12].batch.last)
    journal.close()
    assert chain is not None
    chain = rows[11].chain
    for row in rows[12:]:
        batch = row.batch
        if row is rows[12]:
            batch = Batch(batch.first, batch.last, batch.frame.replace(b"Paid", b"Pa1d"))
        chain = chain_after(chain, batch)
        change(
            path,
            "UPDATE batches SET frame = ?, checksum = ?, chain = ? WHERE last = ?",
            batch.frame,
            checksum_of(batch),
            chain,
            batch.last,
        )
    refused(path, "is not the one that")


def test_without_the_checkpoints_nothing_vouches_for_the_end(stopped: Path, copy: Callable[[Path], Path]) -> None:
    path = copy(stopped)
    (path / "checkpoints").unlink()
    refused(path, "checkpoints is missing")


def test_a_forged_checkpoint_is_damage_but_one_torn_sector_of_each_kind_is_not(
    stopped: Path, copy: Callable[[Path], Path]
) -> None:
    path = copy(stopped)
    flip(path / "checkpoints", 3 * 512 + 20)
    flip(path / "checkpoints", 10)
    report = verify(path)
    assert report.sound
    assert len(report.warnings) == 2
    start(path)
    flip(path / "checkpoints", 4 * 512 + 20)
    refused(path, "2 checkpoints are unreadable")


def test_marks_and_checkpoints_go_on_after_a_torn_sector(stopped: Path, copy: Callable[[Path], Path]) -> None:
    path = copy(stopped)
    flip(path / "checkpoints", 512 + 10)
    for _ in range(3):
        with DataDirectory.open(path) as data:
            opened = open_journal(data, Durability.FULL)
            assert opened.checkpoints is not None
            machines = toy_machines()
            recovered = recover(machines, opened.journal)
            sequencer = Sequencer(
                opened.journal, machines, {"bank": Clock(), "branch": Clock()}, Loop().call_soon, recovered=recovered
            )
            sequencer.submit("bank", Pay(1, 1))
            sequencer.commit()
            CheckpointSigner(opened.checkpoints, opened.journal, Clock()).sign()
            opened.journal.close()
            opened.checkpoints.close()
        report = verify(path)
        assert report.findings == []
        assert report.warnings == []
        assert report.vouched_position == recovered.position + 1


def test_a_damaged_snapshot_is_ignored_by_name_and_the_older_one_used(
    stopped: Path, copy: Callable[[Path], Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = copy(stopped)
    newest, older = SnapshotFolder(path / "snapshots").paths()
    recovered, digests = start(path)
    assert recovered.snapshot_position == int(newest.stem)
    flip(newest, newest.stat().st_size - 9)
    recovered, after = start(path)
    assert recovered.snapshot_position == int(older.stem)
    assert after == digests
    assert newest.name in caplog.text
    assert any(newest.name in finding for finding in verify(path).findings)
    older.write_bytes(older.read_bytes()[:-40])
    recovered, after = start(path)
    assert (recovered.snapshot_position, after) == (0, digests)


def test_a_half_written_snapshot_is_not_even_looked_at(stopped: Path, copy: Callable[[Path], Path]) -> None:
    path = copy(stopped)
    newest = SnapshotFolder(path / "snapshots").paths()[0]
    newest.with_name(f".{'9' * 20}.snapshot.1.part").write_bytes(newest.read_bytes()[:50])
    assert start(path)[0].snapshot_position == int(newest.stem)
    assert verify(path).sound


def test_a_snapshot_of_another_journal_is_not_used(
    stopped: Path, copy: Callable[[Path], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = copy(stopped)
    digests = start(path)[1]
    newest = SnapshotFolder(path / "snapshots").paths()[0]
    journal = SqliteJournal(tmp_path / "other.db")
    loop = Loop()
    sequencer = Sequencer(journal, toy_machines(), {"bank": Clock(), "branch": Clock()}, loop.call_soon)
    while journal.position < int(newest.stem):
        sequencer.submit("bank", Pay(1, 7))
        sequencer.commit()
    take_snapshot(toy_machines, journal, SnapshotFolder(path / "snapshots"), int(newest.stem))
    journal.close()
    assert start(path)[1] == digests
    assert "is of another journal" in caplog.text
    assert not verify(path).sound


def test_a_newer_engine_or_layout_is_refused_by_name(stopped: Path, copy: Callable[[Path], Path]) -> None:
    path = copy(stopped)
    journal = SqliteJournal(path / "journal.db")
    record = ["bank", 10_000, 10**12, ENGINE_VERSION + 1, [], []]
    journal.append(Batch(journal.position + 1, journal.position + 1, msgspec.msgpack.encode([record])))
    journal.close()
    with pytest.raises(JournalTooNew, match=f"engine version {ENGINE_VERSION + 1}"):
        start(path)
    assert f"engine version {ENGINE_VERSION + 1}" in verify(path).findings[0]
    change(path, "PRAGMA user_version = 2")
    with pytest.raises(JournalTooNew, match="has layout 2"):
        start(path)


def test_a_snapshot_that_the_machine_cannot_load_again_is_never_written(stopped: Path, tmp_path: Path) -> None:
    class Forgetful(ToyBank):
        def load(self, data: object) -> None:
            super().load(data)
            self.balances.pop(0)

    journal = SqliteJournal(stopped / "journal.db", read_only=True)
    folder = SnapshotFolder(tmp_path / "snapshots")
    with pytest.raises(Exception, match="does not load what it dumped"):
        take_snapshot(lambda: {"bank": Forgetful(), "branch": ToyBank()}, journal, folder, journal.position)
    assert folder.paths() == []
    journal.close()


def test_a_folder_is_sound_while_its_server_writes(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.acking_writer", str(tmp_path / "data"), "full", "1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        positions = []
        for _ in range(8):
            for _ in range(3_000):
                process.stdout.readline()
            report = verify(tmp_path / "data")
            assert report.findings == []
            positions.append(report.position)
        assert positions[0] < positions[-1]
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
