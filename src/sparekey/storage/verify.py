"""Is the journal what was once committed? Reads all of it, beside a running server or without one; changes nothing."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from sparekey.sequencer.frames import decode_batch
from sparekey.sequencer.ports import JournalDamaged, JournalFailed, JournalTooNew
from sparekey.sequencer.recovery import Continuity
from sparekey.storage.checkpoints import Anchors, read_anchors
from sparekey.storage.datadir import DataDirectory, running_pid
from sparekey.storage.journal import GENESIS_CHAIN, Durability, SqliteJournal
from sparekey.storage.snapshots import SnapshotDamaged, SnapshotFolder, read_snapshot

#: A running server reuses its write-ahead log while it is being read; what is really damaged stays so.
_WAL_LOOKS = 3
_WAL_PAUSE_S = 0.2


class Report(msgspec.Struct):
    """What was read, and what is wrong with it: `findings` (not to be used) and `warnings` (harmless, explained)."""

    directory: str
    batches: int = 0
    records: int = 0
    position: int = 0
    shards: dict[str, int] = {}
    checkpoints: int = 0
    vouched_position: int = 0
    snapshots: int = 0
    findings: list[str] = []
    warnings: list[str] = []

    @property
    def sound(self) -> bool:
        return not self.findings


def verify(path: Path) -> Report:
    """Checksums, hash chain, sequences, marks, checkpoints and snapshots of a data directory.

    Raises `DataDirectoryError` where there is none or its keys are missing.
    """
    data = DataDirectory.look(path)
    report = Report(str(data.path))
    # What vouches for the end is read before the journal, which a running server only makes longer.
    anchors = _read_anchors(data, report)
    wanted = _wanted_chains(data, anchors, report)
    if not data.journal_path.exists():
        if wanted:
            report.findings.append(f"the journal {data.journal_path} is missing")
        return report
    try:
        journal = SqliteJournal(data.journal_path, Durability.FULL, read_only=True)
    except (JournalDamaged, JournalFailed, JournalTooNew) as error:
        report.findings.append(str(error))
        return report
    try:
        _check_wal(journal, looks=_WAL_LOOKS if running_pid(data.path) else 1)
        found = _read_journal(journal, report, {position for _, position, _ in wanted})
    except (JournalDamaged, JournalFailed, JournalTooNew) as error:
        report.findings.append(str(error))
        return report
    finally:
        journal.close()
    for name, position, chain in wanted:
        if position > report.position:
            report.findings.append(
                f"the journal's tail is cut off: it ends at position {report.position}, but according to {name} it "
                f"was durable up to position {position}"
            )
        elif found.get(position) != chain:
            report.findings.append(f"the journal's hash at position {position} is not the one that {name} vouches for")
    return report


def _read_anchors(data: DataDirectory, report: Report) -> Anchors:
    try:
        anchors = read_anchors(data.checkpoints_path, data.signing_key)
    except JournalDamaged as error:
        if data.checkpoints_path.exists() or data.journal_path.exists():
            report.findings.append(str(error))
        return Anchors(None, (), ())
    report.warnings.extend(anchors.warnings)
    report.checkpoints = len(anchors.checkpoints)
    report.vouched_position = anchors.position
    return anchors


def _wanted_chains(data: DataDirectory, anchors: Anchors, report: Report) -> list[tuple[str, int, bytes]]:
    """(who vouches, position, chain hash), the furthest first."""
    wanted = [(f"checkpoint {one.number}", one.position, one.chain) for one in anchors.checkpoints]
    if anchors.mark is not None:
        wanted.append(("the mark of its last commit", *anchors.mark))
    for path in SnapshotFolder(data.snapshots_path).paths():
        try:
            snapshot = read_snapshot(path)
        except FileNotFoundError:
            continue  # a snapshot process beside us has made a newer one, and this one was the third
        except SnapshotDamaged as error:
            # A start ignores it and takes the older one, but whole files do not damage themselves.
            report.findings.append(str(error))
        else:
            report.snapshots += 1
            wanted.append((f"the snapshot {path.name}", snapshot.position, snapshot.chain))
    return sorted(wanted, key=lambda one: -one[1])


def _check_wal(journal: SqliteJournal, looks: int) -> None:
    for look in range(looks):
        try:
            journal.check_wal()
        except JournalDamaged:
            if look + 1 == looks:
                raise
            time.sleep(_WAL_PAUSE_S)
        else:
            return


def _read_journal(journal: SqliteJournal, report: Report, positions: set[int]) -> dict[int, bytes]:
    """Every row, record by record; the chain hashes at `positions`."""
    continuity = Continuity()
    chains = {0: GENESIS_CHAIN}
    for row in journal.rows():
        position = row.batch.first - 1
        for record in decode_batch(row.batch):
            position += 1
            continuity.step(position, record)
        report.batches += 1
        report.records += position - row.batch.first + 1
        report.position = position
        report.shards = {shard: seq for shard, (seq, _) in continuity.shards.items()}
        if position in positions:
            chains[position] = row.chain
    return chains
