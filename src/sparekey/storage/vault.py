"""The vault: secrets and personal data, sealed, mutable and apart from the journal, which holds only vault ids.

Each account (a *subject* here) has a data key of its own, wrapped by the key-encryption key, which lives in a file
outside this database. Every secret is AES-256-GCM under the subject's data key, with subject, kind and name as
associated data: a ciphertext moved to another row does not open. Erasing a subject destroys its data key, so what
backups still hold of it cannot be read either.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

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
    """`path` may be `":memory:"`. `key_encryption_key` is 32 bytes. Used from one thread."""

    def __init__(self, path: Path | str, key_encryption_key: bytes) -> None:
        if len(key_encryption_key) != _KEY_BYTES:
            raise ValueError(f"a key-encryption key has {_KEY_BYTES} bytes, this one has {len(key_encryption_key)}")
        self._kek = key_encryption_key
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        # FULL: a key whose secret was shown once must not lose it to a power cut.
        self._database.execute("PRAGMA synchronous=FULL")
        # Deleted rows are overwritten with zeros, so that an erased secret does not linger in free pages.
        self._database.execute("PRAGMA secure_delete=ON")
        self._database.executescript(_SCHEMA)
        self._data_keys: dict[str, AESGCM] = {}

    def digest(self, text: str) -> str:
        """Keyed digest for look-ups (an e-mail address, say) that does not reveal the text: 64 hex digits."""
        key = hmac.digest(self._kek, b"sparekey look-up digest", "sha256")
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def seal(self, subject: str, kind: str, name: str, clear: bytes) -> str:
        """Seal `clear` and return its vault id, durable on return. The same subject, kind and name replaces."""
        vault_id = _vault_id(subject, kind, name)
        sealed = _encrypt(self._data_key(subject, create=True), clear, _associated(subject, kind, name))
        self._database.execute(
            "INSERT OR REPLACE INTO secrets VALUES (?, ?, ?, ?, ?)", (vault_id, subject, kind, name, sealed)
        )
        return vault_id

    def open(self, vault_id: str) -> bytes:
        """The clear bytes of a sealed value; raises `SecretUnavailable`."""
        row = self._database.execute(
            "SELECT subject, kind, name, sealed FROM secrets WHERE vault_id = ?", (vault_id,)
        ).fetchone()
        if row is None:
            raise SecretUnavailable(f"the vault has no entry {vault_id}")
        subject, kind, name, sealed = row
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

    def erase(self, subject: str) -> None:
        """Destroy a subject's data key and all that it sealed."""
        self._data_keys.pop(subject, None)
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("DELETE FROM secrets WHERE subject = ?", (subject,))
            self._database.execute("DELETE FROM data_keys WHERE subject = ?", (subject,))

    def rewrap(self, key_encryption_key: bytes) -> int:
        """Wrap every data key anew under another key-encryption key; what is sealed stays. Returns how many.

        The look-up digest depends on the key-encryption key, so the caller digests anew as well.
        """
        if len(key_encryption_key) != _KEY_BYTES:
            raise ValueError(f"a key-encryption key has {_KEY_BYTES} bytes, this one has {len(key_encryption_key)}")
        subjects = [row[0] for row in self._database.execute("SELECT subject FROM data_keys ORDER BY subject")]
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for subject in subjects:
                wrapped = _encrypt(AESGCM(key_encryption_key), self._unwrap(subject), _associated(subject, "data-key"))
                self._database.execute("UPDATE data_keys SET wrapped = ? WHERE subject = ?", (wrapped, subject))
        self._kek = key_encryption_key
        return len(subjects)

    def close(self) -> None:
        self._database.close()

    def _data_key(self, subject: str, *, create: bool = False) -> AESGCM:
        known = self._data_keys.get(subject)
        if known is not None:
            return known
        if create:
            wrapped = _encrypt(AESGCM(self._kek), secrets.token_bytes(_KEY_BYTES), _associated(subject, "data-key"))
            self._database.execute("INSERT OR IGNORE INTO data_keys VALUES (?, ?)", (subject, wrapped))
        cipher = AESGCM(self._unwrap(subject))
        if len(self._data_keys) >= 1024:
            self._data_keys.clear()
        self._data_keys[subject] = cipher
        return cipher

    def _unwrap(self, subject: str) -> bytes:
        row = self._database.execute("SELECT wrapped FROM data_keys WHERE subject = ?", (subject,)).fetchone()
        if row is None:
            raise SecretUnavailable(f"the data key of {subject} was destroyed")
        try:
            return AESGCM(self._kek).decrypt(
                row[0][:_NONCE_BYTES], row[0][_NONCE_BYTES:], _associated(subject, "data-key")
            )
        except InvalidTag:
            raise SecretUnavailable(
                f"the data key of {subject} does not open: the key-encryption key is not the one that sealed it"
            ) from None


def _vault_id(subject: str, kind: str, name: str) -> str:
    return f"{kind}/{subject}/{name}"


def _associated(*parts: str) -> bytes:
    # NUL never occurs in the parts, so no two lists of parts give the same bytes.
    return "\0".join(parts).encode()


def _encrypt(cipher: AESGCM, clear: bytes, associated: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, clear, associated)
