"""The vault: secrets and personal data, sealed, mutable and apart from the journal, which holds only vault ids.

Each account (a *subject* here) has a data key of its own, wrapped by the key-encryption key, which lives in a file
outside this database. Every secret is AES-256-GCM under the subject's data key, with subject, kind and name as
associated data: a ciphertext moved to another row does not open. Erasing a subject destroys its data key, so what
backups still hold of it cannot be read either.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from typing import Any

import apsw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sparekey.storage.datadir import DataDirectory, DataDirectoryError
from sparekey.storage.private_files import make_private, sync_folder

#: Subject whose data key makes the look-up digests; accounts' subjects are named otherwise.
_LOOK_UPS = "look-ups"
_NONCE_BYTES = 12
_KEY_BYTES = 32

_SCHEMA = """
CREATE TABLE IF NOT EXISTS data_keys (subject TEXT PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS secrets (
    vault_id TEXT PRIMARY KEY, subject TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS secrets_of_subject ON secrets (subject);
"""


class SecretUnavailable(Exception):
    """A sealed value is missing or does not open: wrong key-encryption key, erased subject, or a moved row."""


class Vault:
    """`path` may be `":memory:"`. `key_encryption_key` is 32 bytes. Used from one thread.

    `vfs` names the file system layer, for tests that cut the power.
    """

    def __init__(self, path: Path | str, key_encryption_key: bytes, *, vfs: str | None = None) -> None:
        _check_length(key_encryption_key)
        self._kek = key_encryption_key
        if isinstance(path, Path) and not path.exists():
            make_private(path)
            sync_folder(path.parent)
        self._database = apsw.Connection(str(path), vfs=vfs)
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise
        self._data_keys: dict[str, AESGCM] = {}
        self._digest_key = b""

    def _prepare(self) -> None:
        database = self._database
        database.set_busy_timeout(10_000)
        # A vault that cannot be used is closed without another write.
        database.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        database.pragma("journal_mode", "wal")
        # FULL: a key whose secret was shown once must not lose it to a power cut.
        database.pragma("synchronous", "FULL")
        # Deleted rows are overwritten with zeros, so that an erased secret does not linger in free pages.
        database.pragma("secure_delete", True)
        database.execute(_SCHEMA)

    def digest(self, text: str) -> str:
        """Keyed digest for look-ups (an e-mail address, say) that does not reveal the text: 64 hex digits.

        The same for the vault's whole life, because the journal holds digests: its key is a data key like others, so
        that it is only wrapped anew when the key-encryption key changes.
        """
        if not self._digest_key:
            self._make_data_key(_LOOK_UPS)
            self._digest_key = self._unwrap(_LOOK_UPS)
        return hmac.digest(self._digest_key, text.encode(), "sha256").hex()

    def seal(self, subject: str, kind: str, name: str, clear: bytes) -> str:
        """Seal `clear` and return its vault id, durable on return. The same subject, kind and name replaces."""
        vault_id = _vault_id(subject, kind, name)
        with self._database:  # one commit for a new data key and what it seals
            sealed = _encrypt(self._data_key(subject, create=True), clear, _associated(subject, kind, name))
            self._database.execute(
                "INSERT OR REPLACE INTO secrets VALUES (?, ?, ?, ?, ?)", (vault_id, subject, kind, name, sealed)
            )
        return vault_id

    def open(self, vault_id: str) -> bytes:
        """The clear bytes of a sealed value; raises `SecretUnavailable`."""
        found: list[Any] = self._database.execute(
            "SELECT subject, kind, name, sealed FROM secrets WHERE vault_id = ?", (vault_id,)
        ).fetchall()
        if not found:
            raise SecretUnavailable(f"the vault has no entry {vault_id}")
        subject, kind, name, sealed = found[0]
        if vault_id != _vault_id(subject, kind, name):
            raise SecretUnavailable(f"the vault entry {vault_id} belongs elsewhere")
        try:
            return self._data_key(subject).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _associated(subject, kind, name)
            )
        except InvalidTag:
            raise SecretUnavailable(f"the vault entry {vault_id} does not open") from None

    def forget(self, vault_id: str) -> None:
        """Delete one sealed value; unknown ids are no error."""
        self._database.execute("DELETE FROM secrets WHERE vault_id = ?", (vault_id,))
        self._empty_log()

    def knows(self, subject: str) -> bool:
        """Whether anything was sealed for the subject, and not erased."""
        return bool(self._database.execute("SELECT 1 FROM data_keys WHERE subject = ?", (subject,)).fetchall())

    def names(self, kind: str) -> list[tuple[str, str]]:
        """(subject, name) of all that is sealed of a kind."""
        found: list[Any] = self._database.execute(
            "SELECT subject, name FROM secrets WHERE kind = ?", (kind,)
        ).fetchall()
        return [(subject, name) for subject, name in found]

    def erase(self, subject: str) -> None:
        """Destroy a subject's data key and all that it sealed."""
        self._data_keys.pop(subject, None)
        with self._database:
            self._database.execute("DELETE FROM secrets WHERE subject = ?", (subject,))
            self._database.execute("DELETE FROM data_keys WHERE subject = ?", (subject,))
        self._empty_log()

    def rewrap(self, key_encryption_key: bytes) -> int:
        """Wrap every data key anew under another key-encryption key; what is sealed stays. Returns how many."""
        _check_length(key_encryption_key)
        subjects: list[Any] = [
            subject
            for (subject,) in self._database.execute("SELECT subject FROM data_keys ORDER BY subject").fetchall()
        ]
        with self._database:
            for subject in subjects:
                wrapped = _encrypt(AESGCM(key_encryption_key), self._unwrap(subject), _associated(subject, "data-key"))
                self._database.execute("UPDATE data_keys SET wrapped = ? WHERE subject = ?", (wrapped, subject))
        self._empty_log()
        self._kek = key_encryption_key
        return len(subjects)

    def close(self) -> None:
        self._database.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        self._database.close()

    def _data_key(self, subject: str, *, create: bool = False) -> AESGCM:
        known = self._data_keys.get(subject)
        if known is not None:
            return known
        if create:
            self._make_data_key(subject)
        cipher = AESGCM(self._unwrap(subject))
        if self._database.in_transaction:
            return cipher  # not kept: a transaction that fails takes the new data key back
        if len(self._data_keys) >= 1024:
            self._data_keys.clear()
        self._data_keys[subject] = cipher
        return cipher

    def _make_data_key(self, subject: str) -> None:
        """Unless there is one."""
        wrapped = _encrypt(AESGCM(self._kek), secrets.token_bytes(_KEY_BYTES), _associated(subject, "data-key"))
        self._database.execute("INSERT OR IGNORE INTO data_keys VALUES (?, ?)", (subject, wrapped))

    def _empty_log(self) -> None:
        """The write-ahead log still holds what was deleted or replaced, until it is cut to nothing."""
        self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _unwrap(self, subject: str) -> bytes:
        found: list[Any] = self._database.execute(
            "SELECT wrapped FROM data_keys WHERE subject = ?", (subject,)
        ).fetchall()
        if not found:
            raise SecretUnavailable(f"the data key of {subject} was destroyed")
        wrapped = found[0][0]
        try:
            return AESGCM(self._kek).decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _associated(subject, "data-key")
            )
        except InvalidTag:
            raise SecretUnavailable(
                f"the data key of {subject} does not open: the key-encryption key is not the one that sealed it"
            ) from None


def open_vault(data: DataDirectory, journal_position: int) -> Vault:
    """The vault of a data directory whose journal ends at `journal_position`.

    Raises `DataDirectoryError`: where a journal names secrets, a new, empty vault would make every key of the data
    directory useless without a word.
    """
    path = data.vault_path
    if journal_position and not path.exists():
        raise DataDirectoryError(
            f"{path} is missing, and the journal beside it names secrets in it; put it back from your backup"
        )
    try:
        return Vault(path, data.key_encryption_key)
    except apsw.Error as error:
        raise DataDirectoryError(f"the vault {path} cannot be used: {error}") from error


def _check_length(key_encryption_key: bytes) -> None:
    if len(key_encryption_key) != _KEY_BYTES:
        raise ValueError(f"a key-encryption key has {_KEY_BYTES} bytes, this one has {len(key_encryption_key)}")


def _vault_id(subject: str, kind: str, name: str) -> str:
    return f"{kind}/{subject}/{name}"


def _associated(*parts: str) -> bytes:
    # NUL never occurs in the parts, so no two lists of parts give the same bytes.
    return "\0".join(parts).encode()


def _encrypt(cipher: AESGCM, clear: bytes, associated: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, clear, associated)
