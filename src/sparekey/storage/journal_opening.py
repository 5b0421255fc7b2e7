"""A start's first look at the journal: open it, or say in one line why it must not be used."""

from __future__ import annotations

import logging

import msgspec

from sparekey.sequencer.ports import Journal, JournalDamaged
from sparekey.storage.checkpoints import Anchors, CheckpointFile, check_anchors, create_checkpoint_file
from sparekey.storage.datadir import DataDirectory, DataDirectoryError
from sparekey.storage.journal import Durability, MemoryJournal, SqliteJournal

_log = logging.getLogger(__name__)

#: Journals up to this size are verified row by row at every start (about half a second); of larger ones only the tail
#: that a start reads anyway. `sparekey log verify` reads all of it at any size.
VERIFIED_AT_START_BYTES = 256 * 1024 * 1024


class OpenJournal(msgspec.Struct, frozen=True):
    """`checkpoints` is None for a journal in memory. Close the journal first, then the checkpoints."""

    journal: Journal
    checkpoints: CheckpointFile | None


def open_journal(data: DataDirectory, durability: Durability) -> OpenJournal:
    """The journal of a locked data directory, found sound.

    Raises `JournalDamaged`, `JournalTooNew`, `JournalFailed` or `DataDirectoryError`, each with one line for people.
    """
    if durability is Durability.MEMORY:
        if data.journal_path.exists():
            raise DataDirectoryError(
                f"{data.path} holds a durable journal, which --durability memory would ignore; choose another --data"
            )
        return OpenJournal(MemoryJournal(), None)
    if not data.checkpoints_path.exists() and not data.journal_path.exists():
        create_checkpoint_file(data.checkpoints_path)
    checkpoints = CheckpointFile(data.checkpoints_path, data.signing_key)
    try:
        for warning in checkpoints.anchors.warnings:
            _log.warning("%s", warning)
        if checkpoints.anchors.position and not data.journal_path.exists():
            raise JournalDamaged(
                f"the journal {data.journal_path} is missing; it was durable up to position "
                f"{checkpoints.anchors.position}"
            )
        journal = SqliteJournal(
            data.journal_path,
            durability,
            after_append=checkpoints.mark,
            check=lambda journal: _check(journal, checkpoints.anchors),
        )
    except BaseException:
        checkpoints.close()
        raise
    return OpenJournal(journal, checkpoints)


def _check(journal: SqliteJournal, anchors: Anchors) -> None:
    journal.check_wal()
    check_anchors(journal, anchors)
    if journal.stored_bytes() <= VERIFIED_AT_START_BYTES:
        for _ in journal.rows():
            pass
