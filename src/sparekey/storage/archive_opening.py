"""A start's first look at the archive, and how it catches up with the journal: it can always be rebuilt from it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sparekey.sequencer.ports import Published
from sparekey.storage.archive import SCHEMA_VERSION, Archive

_log = logging.getLogger(__name__)

#: Records between two writes while a start catches up.
_CATCH_UP_RECORDS = 5_000


def open_archive(
    path: Path,
    assets_of: Callable[[str], tuple[str, str]],
    journal_position: int,
    pending: Callable[[], Sequence[Published]],
) -> Archive:
    """The archive, or an empty one in place of one that is unreadable or ahead of the journal."""
    try:
        archive = Archive(path, assets_of, pending)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise  # not damaged: a full disk, or no right to write
        _log.warning("%s is unreadable (%s); it is rebuilt from the journal", path, error)
    else:
        if archive.version < SCHEMA_VERSION:
            cause = "is of an older version"
        elif archive.position > journal_position:
            cause = "is ahead of the journal, as a power cut leaves it"
        else:
            return archive
        archive.stop()
        _log.warning("%s %s; it is rebuilt from the journal", path, cause)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return Archive(path, assets_of, pending)


class ArchiveFeed:
    """The archive as a consumer: it learns where the symbols' ids begin before it sees their first prints.

    `first_ids` gives them by symbol once the market is open, and nothing before.
    """

    def __init__(self, archive: Archive, first_ids: Callable[[], Mapping[str, int]]) -> None:
        self._archive = archive
        self._first_ids = first_ids
        self._ids_known = False
        self._catching_up = True
        self._unwritten = 0

    def receive(self, published: Sequence[Published]) -> None:
        if not self._ids_known:
            for symbol, first_id in self._first_ids().items():
                self._archive.set_first_aggregate(symbol, first_id)
                self._ids_known = True
        self._archive.receive(published)
        if self._catching_up:
            self._unwritten += len(published)
            if self._unwritten >= _CATCH_UP_RECORDS:
                self._unwritten = 0
                self._archive.flush()

    def caught_up(self) -> None:
        """From now on the archive's own thread writes."""
        self._catching_up = False
        self._archive.start()
