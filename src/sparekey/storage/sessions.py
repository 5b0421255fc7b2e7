"""Who is signed in, on which devices, and which links of letters still work: a small private SQLite file.

Tokens are never written down: a row holds the SHA-256 of one, which a token of 256 random bits needs no salt for. All
of it may be lost without harm beyond signing in again, so a file that cannot be read is begun anew. Apart from the
journal, since it holds addresses and changes with what people do in a browser.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import msgspec

from sparekey.storage.private_files import make_private, sync_folder

_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    handle TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, account_id INTEGER NOT NULL, epoch INTEGER NOT NULL,
    stage TEXT NOT NULL, proven TEXT NOT NULL, created_us INTEGER NOT NULL, seen_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL, ip TEXT NOT NULL, agent TEXT NOT NULL, csrf TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_of_account ON sessions (account_id);
CREATE TABLE IF NOT EXISTS devices (
    account_id INTEGER NOT NULL, digest BLOB NOT NULL, seen_us INTEGER NOT NULL, PRIMARY KEY (account_id, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (
    digest BLOB PRIMARY KEY, account_id INTEGER NOT NULL, epoch INTEGER NOT NULL, until_us INTEGER NOT NULL
) WITHOUT ROWID;
"""
_COLUMNS = "handle, account_id, epoch, stage, proven, created_us, seen_us, until_us, ip, agent, csrf"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who signed in. `handle` names the session on pages and opens nothing; account 0 is the operator.

    `stage` is "half" while a second factor is due, else "full". `proven` names what was proven at sign-in. `epoch` is
    the account's at that time: a session of another epoch counts for nothing. Times are policy time.
    """

    handle: str
    account_id: int
    epoch: int
    stage: str
    proven: tuple[str, ...]
    created_us: int
    seen_us: int
    until_us: int
    ip: str
    agent: str
    csrf: str

    def __repr__(self) -> str:
        """Without the rest, which is nobody's business in a log."""
        return f"<{self.stage} session {self.handle} of account {self.account_id}>"


class Link(NamedTuple):
    """What a link in a letter allows, once: account 0 stands for a letter that was never sent."""

    account_id: int
    epoch: int
    until_us: int


class SessionFile:
    """`path` may be `":memory:"`. Used from one thread.

    What ends something, or takes a token away, is durable on return. What opens something may be lost to a power cut
    (not to the end of the process), which costs another sign-in: a crowd that signs in makes trading wait for no disk.
    """

    def __init__(self, path: Path | str, *, vfs: str | None = None) -> None:
        """`vfs` names the file system layer, for tests that cut the power."""
        if isinstance(path, Path) and not path.exists():
            make_private(path)
            sync_folder(path.parent)
        self._database = apsw.Connection(str(path), vfs=vfs)
        try:
            self._database.set_busy_timeout(10_000)
            self._database.pragma("journal_mode", "wal")
            self._database.pragma("synchronous", "NORMAL")
            # Addresses of an erased account must not linger in free pages.
            self._database.pragma("secure_delete", True)
            self._database.execute(_SCHEMA)
            self._database.execute("SELECT count(*) FROM sessions, devices, links").fetchall()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _durably(self) -> Iterator[None]:
        self._database.pragma("synchronous", "FULL")
        try:
            with self._database:
                yield
        finally:
            self._database.pragma("synchronous", "NORMAL")

    # --- sessions ----------------------------------------------------------------------------------------------------

    def open(self, session: Session, token: str, *, most: int) -> None:
        """Keep a session; of its account and stage only the newest `most` stay."""
        with self._database:
            self._database.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session.handle,
                    digest_of(token),
                    session.account_id,
                    session.epoch,
                    session.stage,
                    " ".join(session.proven),
                    session.created_us,
                    session.seen_us,
                    session.until_us,
                    session.ip,
                    session.agent,
                    session.csrf,
                ),
            )
            self._database.execute(
                "DELETE FROM sessions WHERE handle IN (SELECT handle FROM sessions WHERE account_id = ? AND stage = ? "
                "ORDER BY created_us DESC, handle = ? DESC LIMIT -1 OFFSET ?)",
                (session.account_id, session.stage, session.handle, most),
            )

    def replace(self, session: Session, token: str) -> bool:
        """The session of this handle as it is from now on, under another token; False if there is none any more."""
        with self._durably():
            self._database.execute(
                "UPDATE sessions SET digest = ?, epoch = ?, stage = ?, proven = ?, created_us = ?, seen_us = ?, "
                "until_us = ?, csrf = ? WHERE handle = ?",
                (
                    digest_of(token),
                    session.epoch,
                    session.stage,
                    " ".join(session.proven),
                    session.created_us,
                    session.seen_us,
                    session.until_us,
                    session.csrf,
                    session.handle,
                ),
            )
            return self._database.changes() == 1

    def find(self, token: str) -> Session | None:
        found = self._sessions("WHERE digest = ?", (digest_of(token),))
        return found[0] if found else None

    def of(self, account_id: int) -> list[Session]:
        """The account's sessions, the newest first."""
        return self._sessions("WHERE account_id = ? ORDER BY created_us DESC, handle", (account_id,))

    def note_seen(self, handle: str, seen_us: int) -> None:
        """A full disk must not end what is only looked at."""
        try:
            self._database.execute("UPDATE sessions SET seen_us = ? WHERE handle = ?", (seen_us, handle))
        except apsw.Error as error:
            _log.warning("when a session was last used cannot be kept: %s", error)

    def end(self, handle: str) -> None:
        with self._durably():
            self._database.execute("DELETE FROM sessions WHERE handle = ?", (handle,))

    def end_all(self, account_id: int, but: str = "") -> None:
        with self._durably():
            self._database.execute("DELETE FROM sessions WHERE account_id = ? AND handle != ?", (account_id, but))

    # --- devices -----------------------------------------------------------------------------------------------------

    def knows_device(self, account_id: int | None, token: str) -> bool:
        """Whether the account signed in on it before; None: whether any did."""
        return bool(
            self._database.execute(
                "SELECT 1 FROM devices WHERE digest = ?1 AND account_id = ifnull(?2, account_id)",
                (digest_of(token), account_id),
            ).fetchall()
        )

    def note_device(self, account_id: int, token: str, seen_us: int, *, most: int) -> None:
        """Remember a device; the account's newest `most` stay."""
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO devices VALUES (?, ?, ?)", (account_id, digest_of(token), seen_us)
            )
            self._database.execute(
                "DELETE FROM devices WHERE account_id = ? AND digest IN (SELECT digest FROM devices "
                "WHERE account_id = ? ORDER BY seen_us DESC LIMIT -1 OFFSET ?)",
                (account_id, account_id, most),
            )

    def forget_account(self, account_id: int) -> None:
        """Sessions, devices and links of the account, and what the write-ahead log still holds of them."""
        with self._durably():
            for table in ("sessions", "devices", "links"):
                self._database.execute(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))
        self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def account_ids(self) -> list[int]:
        """Whoever is named in any of the tables."""
        found: list[Any] = self._database.execute(
            "SELECT account_id FROM sessions UNION SELECT account_id FROM devices UNION SELECT account_id FROM links"
        ).fetchall()
        return [account_id for (account_id,) in found]

    # --- links -------------------------------------------------------------------------------------------------------

    def open_link(self, token: str, link: Link, *, most: int) -> None:
        """Keep a link; of all links only the `most` that last longest stay."""
        with self._database:
            self._database.execute("INSERT INTO links VALUES (?, ?, ?, ?)", (digest_of(token), *link))
            self._database.execute(
                "DELETE FROM links WHERE digest IN "
                "(SELECT digest FROM links ORDER BY until_us DESC, digest LIMIT -1 OFFSET ?)",
                (most,),
            )

    def find_link(self, token: str) -> Link | None:
        found: list[Any] = self._database.execute(
            "SELECT account_id, epoch, until_us FROM links WHERE digest = ?", (digest_of(token),)
        ).fetchall()
        return Link(*found[0]) if found else None

    def take_link(self, token: str) -> bool:
        """Use a link up; False if it was used before."""
        with self._durably():
            self._database.execute("DELETE FROM links WHERE digest = ?", (digest_of(token),))
            return self._database.changes() == 1

    # --- time --------------------------------------------------------------------------------------------------------

    def drop_expired(self, now_us: int, seen_before_us: int) -> None:
        """Forget what has run out: by its own time, or because nobody used it since `seen_before_us`."""
        sessions = "FROM sessions WHERE until_us <= ? OR seen_us <= ?"
        [(dead,)] = self._database.execute(
            f"SELECT EXISTS (SELECT 1 {sessions}) OR EXISTS (SELECT 1 FROM links WHERE until_us <= ?)",
            (now_us, seen_before_us, now_us),
        ).fetchall()
        if dead:  # else nothing is written
            with self._database:
                self._database.execute(f"DELETE {sessions}", (now_us, seen_before_us))
                self._database.execute("DELETE FROM links WHERE until_us <= ?", (now_us,))

    def _sessions(self, where: str, values: Sequence[Any]) -> list[Session]:
        found: list[Any] = self._database.execute(f"SELECT {_COLUMNS} FROM sessions {where}", values).fetchall()
        return [
            Session(
                handle=handle,
                account_id=account_id,
                epoch=epoch,
                stage=stage,
                proven=tuple(proven.split()),
                created_us=created_us,
                seen_us=seen_us,
                until_us=until_us,
                ip=ip,
                agent=agent,
                csrf=csrf,
            )
            for handle, account_id, epoch, stage, proven, created_us, seen_us, until_us, ip, agent, csrf in found
        ]


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def open_sessions(path: Path) -> SessionFile:
    """The sessions of a data directory; begun anew, with a warning, where the file is no use any more."""
    try:
        return SessionFile(path)
    except (apsw.NotADBError, apsw.CorruptError, apsw.SQLError) as error:
        _log.warning("%s is unreadable (%s); everybody has to sign in again", path, error)
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    sync_folder(path.parent)
    return SessionFile(path)
