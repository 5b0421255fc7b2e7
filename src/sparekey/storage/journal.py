"""The journal made real: in memory, and in SQLite with one row per batch.

Every row carries a checksum of itself and a hash chained to the row before, so that a changed, missing or exchanged
row is found and named. SQLite's own checksums cover only what is still in its write-ahead log.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from enum import Enum
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Any
from zlib import crc32

import apsw
import msgspec

from sparekey.sequencer.ports import Batch, JournalDamaged, JournalFailed, JournalTooNew
from sparekey.storage.journal_wal import lost_wal_frames
from sparekey.storage.private_files import sync_folder

#: The chain hash before the first row.
GENESIS_CHAIN = bytes(32)

#: Version of the table's layout; a newer one is refused.
FORMAT = 1

#: SQLite writes whole pages. Small ones keep the commits of an idle market small, at the price of more pages for a
#: large batch (measured: 1 KiB costs a batch of 100 records nothing that can be told from noise against 4 KiB).
PAGE_SIZE = 1024

#: The write-ahead log is copied into the database when it has grown to this many bytes, inside the commit that fills
#: it. Less copies hot pages more often; more lengthens that one commit and the read of the log at a start.
WAL_LIMIT_BYTES = 4 * 1024 * 1024

_RANGE = Struct(">QQ")
_READ_ROWS = 64


class Durability(Enum):
    """What `append` waits for."""

    #: The write-ahead log is synced before each commit returns: survives a power cut.
    FULL = "full"
    #: Synced now and then: survives the end of the process, may lose the last seconds in a power cut.
    NORMAL = "normal"
    #: Nothing on disk.
    MEMORY = "memory"


def checksum_of(batch: Batch) -> int:
    return crc32(batch.frame, crc32(_RANGE.pack(batch.first, batch.last)))


def chain_after(chain: bytes, batch: Batch) -> bytes:
    """Chain hash of a row, from the hash of the row before."""
    digest = blake2b(chain, digest_size=32)
    digest.update(_RANGE.pack(batch.first, batch.last))
    digest.update(batch.frame)
    return digest.digest()


class Row(msgspec.Struct, frozen=True, gc=False):
    """A batch as stored."""

    batch: Batch
    checksum: int
    chain: bytes


def check_row(row: Row, before: int, chain: bytes) -> None:
    """Raises `JournalDamaged` unless `row` is sound and follows the row that ends at `before` with hash `chain`."""
    batch = row.batch
    if checksum_of(batch) != row.checksum:
        raise JournalDamaged(f"the journal row of positions {batch.first} to {batch.last} fails its checksum")
    if batch.first != before + 1 or batch.last < batch.first:
        raise JournalDamaged(
            f"the journal row of positions {batch.first} to {batch.last} follows position {before}: rows are missing "
            "or out of order"
        )
    if chain_after(chain, batch) != row.chain:
        raise JournalDamaged(
            f"the journal row of positions {batch.first} to {batch.last} does not continue the hash chain"
        )


def _check_range(batch: Batch, position: int) -> None:
    if batch.first != position + 1 or batch.last < batch.first:
        raise ValueError(f"positions {batch.first} to {batch.last} do not follow position {position}")


class MemoryJournal:
    """Durable for as long as the process lives; for `--durability memory` and for tests."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    @property
    def position(self) -> int:
        return self._rows[-1].batch.last if self._rows else 0

    @property
    def chain(self) -> bytes:
        return self._rows[-1].chain if self._rows else GENESIS_CHAIN

    def append(self, batch: Batch) -> None:
        _check_range(batch, self.position)
        self._rows.append(Row(batch, checksum_of(batch), chain_after(self.chain, batch)))

    def read(self, after: int = 0) -> Iterator[Batch]:
        before, chain = 0, GENESIS_CHAIN
        for row in self._rows:
            if row.batch.last > after:
                check_row(row, before, chain)
                yield row.batch
            before, chain = row.batch.last, row.chain

    def chain_at(self, position: int) -> bytes | None:
        if position == 0:
            return GENESIS_CHAIN
        return next((row.chain for row in self._rows if row.batch.last == position), None)

    def sync(self) -> None:
        return None

    def close(self) -> None:
        return None


class SqliteJournal:
    """One SQLite file in WAL mode, one connection that writes.

    `after_append(position, chain)` is called when a batch is durable under `Durability.FULL`. `check` looks at what is
    there before anything is written, and raises if it must not be used; the files then stay as they are. Raises
    `JournalDamaged` when the file contradicts itself already on opening, `JournalTooNew` for a newer layout,
    `JournalFailed` when it cannot be opened or written. With `read_only` it reads a journal that another process may
    be writing.
    """

    def __init__(
        self,
        path: Path,
        durability: Durability = Durability.FULL,
        *,
        read_only: bool = False,
        vfs: str | None = None,
        after_append: Callable[[int, bytes], None] | None = None,
        check: Callable[[SqliteJournal], None] | None = None,
        page_size: int = PAGE_SIZE,
    ) -> None:
        if durability is Durability.MEMORY:
            raise ValueError("a journal in memory is a MemoryJournal")
        self.path = path
        self.durability = durability
        self._after_append = after_append if durability is Durability.FULL else None
        self._failed = False
        self._read_only = read_only
        if not read_only and not path.exists():
            _create(path, page_size)
        flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
        with _errors_named(path):
            self._connection = apsw.Connection(str(path), flags=flags, vfs=vfs)
        try:
            with _errors_named(path):
                self._connection.set_busy_timeout(10_000)
                # Closing must not tidy up what a refused start found damaged.
                self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                self._check_layout()
                self._position, self._chain = self._last_row()
                if check is not None:
                    check(self)
                if not read_only:
                    self._prepare()
        except BaseException:
            self._connection.close()
            raise
        self._execute = self._connection.execute

    @property
    def position(self) -> int:
        return self._position

    @property
    def chain(self) -> bytes:
        return self._chain

    def append(self, batch: Batch) -> None:
        if self._failed:
            raise JournalFailed(f"the journal {self.path} failed before")
        _check_range(batch, self._position)
        chain = chain_after(self._chain, batch)
        try:
            self._execute(
                "INSERT INTO batches (last, first, checksum, chain, frame) VALUES (?, ?, ?, ?, ?)",
                (batch.last, batch.first, checksum_of(batch), chain, batch.frame),
            )
        except apsw.Error as error:
            self._failed = True
            raise JournalFailed(f"the journal {self.path} could not be written: {_named(error)}") from error
        self._position = batch.last
        self._chain = chain
        if self._after_append is not None:
            try:
                self._after_append(batch.last, chain)
            except OSError as error:
                self._failed = True
                raise JournalFailed(f"the journal's mark beside {self.path} could not be written: {error}") from error

    def read(self, after: int = 0) -> Iterator[Batch]:
        for row in self.rows(after):
            yield row.batch

    def rows(self, after: int = 0) -> Iterator[Row]:
        """As `read`, with the stored checksum and chain hash; reads a few rows at a time, so that no long read keeps
        the write-ahead log of a running server from being reused."""
        with _errors_named(self.path):
            found = self._connection.execute(
                "SELECT last, chain FROM batches WHERE last <= ? ORDER BY last DESC LIMIT 1", (after,)
            ).fetchall()
        before, chain = _end_of(found)
        while True:
            with _errors_named(self.path):
                found = self._connection.execute(
                    "SELECT last, first, checksum, chain, frame FROM batches WHERE last > ? ORDER BY last LIMIT ?",
                    (before, _READ_ROWS),
                ).fetchall()
            if not found:
                return
            for last, first, checksum, stored, frame in found:
                if not (isinstance(last, int) and isinstance(first, int) and isinstance(checksum, int)):
                    raise JournalDamaged(f"the journal row that ends at position {last} is garbled")
                row = Row(Batch(first, last, _blob(frame, last)), checksum, _blob(stored, last))
                check_row(row, before, chain)
                before, chain = last, row.chain
                yield row

    def chain_at(self, position: int) -> bytes | None:
        if position == 0:
            return GENESIS_CHAIN
        with _errors_named(self.path):
            found = self._connection.execute("SELECT chain FROM batches WHERE last = ?", (position,)).fetchall()
        return _blob(found[0][0], position) if found else None

    def stored_bytes(self) -> int:
        """About how much there is to read for a full verification."""
        return sum(os.path.getsize(name) for name in (self.path, f"{self.path}-wal") if os.path.exists(name))

    def sync(self) -> None:
        """Copies the write-ahead log into the database, which syncs both."""
        if self.durability is Durability.FULL:
            return
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            self._failed = True
            raise JournalFailed(f"the journal {self.path} could not be synced: {_named(error)}") from error

    def close(self) -> None:
        """Also copies the write-ahead log into the database, unless it failed or somebody else has it open."""
        try:
            if not (self._failed or self._read_only):
                self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            self._connection.close()
        except apsw.Error as error:
            raise JournalFailed(f"the journal {self.path} could not be closed: {_named(error)}") from error

    def check_wal(self) -> None:
        """Raises `JournalDamaged` where the write-ahead log ends early for another reason than a crash."""
        with _errors_named(self.path):
            # Under NORMAL an unsynced end may be torn in any order, which says nothing about damage.
            if self._about("durability") != Durability.FULL.value:
                return
            lost = lost_wal_frames(self.path, self._connection)
        if lost:
            raise JournalDamaged(f"the journal's write-ahead log {self.path}-wal is damaged: {lost}")

    def _check_layout(self) -> None:
        layout = self._connection.pragma("user_version")
        if layout > FORMAT:
            raise JournalTooNew(
                f"the journal {self.path} has layout {layout}; this Sparekey knows layout {FORMAT}. Start it with the "
                "newer Sparekey"
            )

    def _prepare(self) -> None:
        connection = self._connection
        connection.pragma("synchronous", "FULL")
        if self._about("durability") != self.durability.value:
            connection.execute("INSERT OR REPLACE INTO about VALUES ('durability', ?)", (self.durability.value,))
        # A new generation of the write-ahead log for each start: what a crash left behind its end can then never be
        # taken for the middle of this one (see journal_wal).
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        connection.pragma("synchronous", self.durability.value)
        connection.wal_autocheckpoint(max(1, WAL_LIMIT_BYTES // int(connection.pragma("page_size"))))

    def _about(self, name: str) -> str | None:
        found = self._connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchall()
        return str(found[0][0]) if found else None

    def _last_row(self) -> tuple[int, bytes]:
        found = self._connection.execute("SELECT last, chain FROM batches ORDER BY last DESC LIMIT 1").fetchall()
        return _end_of(found)


def _create(path: Path, page_size: int) -> None:
    """An empty journal, made beside its name, so that an interrupted first start leaves none or a whole one."""
    part = path.with_name(f"{path.name}.part")
    for leftover in (part, Path(f"{part}-journal"), Path(f"{part}-wal"), Path(f"{part}-shm")):
        leftover.unlink(missing_ok=True)
    with _errors_named(path):
        connection = apsw.Connection(str(part))
        try:
            connection.pragma("page_size", page_size)
            connection.execute(
                "CREATE TABLE batches (last INTEGER PRIMARY KEY, first INTEGER NOT NULL,"
                " checksum INTEGER NOT NULL, chain BLOB NOT NULL, frame BLOB NOT NULL)"
            )
            connection.execute("CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
            connection.execute("INSERT INTO about VALUES ('durability', ?)", (Durability.FULL.value,))
            connection.pragma("user_version", FORMAT)
            if connection.pragma("journal_mode", "wal") != "wal":
                raise JournalFailed(f"the journal {path} cannot have a write-ahead log on this file system")
        finally:
            connection.close()
    part.chmod(0o600)
    os.replace(part, path)
    sync_folder(path.parent)


class _errors_named:  # noqa: N801 - reads as the phrase it is
    """SQLite's errors in our words: damage is damage, everything else a failure."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (apsw.CorruptError, apsw.NotADBError, apsw.SQLError)):
            raise JournalDamaged(f"the journal {self._path} is damaged: {_named(error)}") from error
        if isinstance(error, apsw.Error):
            raise JournalFailed(f"the journal {self._path} cannot be used: {_named(error)}") from error


def _named(error: apsw.Error) -> str:
    """`FullError` → "database or disk is full (SQLITE_FULL)"."""
    code = getattr(error, "extendedresult", 0) or getattr(error, "result", 0)
    if not code:
        return str(error)
    name = apsw.mapping_extended_result_codes.get(code) or apsw.mapping_result_codes.get(code) or type(error).__name__
    return f"{error} ({name})"


def _end_of(found: list[Any]) -> tuple[int, bytes]:
    """Position and chain hash from no row or one."""
    if not found:
        return 0, GENESIS_CHAIN
    last, chain = found[0]
    if not isinstance(last, int):
        raise JournalDamaged("the last journal row is garbled")
    return last, _blob(chain, last)


def _blob(value: object, position: int) -> bytes:
    if not isinstance(value, bytes):
        raise JournalDamaged(f"the journal row that ends at position {position} is garbled")
    return value
