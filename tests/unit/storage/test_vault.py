"""The vault seals what must never be in the journal."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from sparekey.storage.datadir import DataDirectory, DataDirectoryError
from sparekey.storage.vault import SecretUnavailable, Vault, open_vault

KEK = bytes(range(32))


def test_a_sealed_secret_opens_to_the_same_bytes_after_a_restart(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", KEK)
    vault_id = vault.seal("subject-1", "hmac-secret", "KEY1", b"s3cret")
    vault.close()
    assert Vault(tmp_path / "vault.db", KEK).open(vault_id) == b"s3cret"


def test_no_file_of_the_vault_holds_the_clear_secret(tmp_path: Path) -> None:
    clear = secrets.token_hex(32).encode()
    vault = Vault(tmp_path / "vault.db", KEK)
    vault.seal("subject-1", "hmac-secret", "KEY1", clear)
    assert all(clear not in file.read_bytes() for file in tmp_path.iterdir())


def test_swapped_ciphertexts_of_two_keys_do_not_open(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", KEK)
    first = vault.seal("subject-1", "hmac-secret", "KEY1", b"one")
    second = vault.seal("subject-1", "hmac-secret", "KEY2", b"two")
    vault.close()  # two SQLite libraries in one process would break each other's locks
    database = sqlite3.connect(tmp_path / "vault.db")
    sealed = dict(database.execute("SELECT vault_id, sealed FROM secrets").fetchall())
    with database:
        database.execute("UPDATE secrets SET sealed = ? WHERE vault_id = ?", (sealed[second], first))
        database.execute("UPDATE secrets SET sealed = ? WHERE vault_id = ?", (sealed[first], second))
    database.close()
    vault = Vault(tmp_path / "vault.db", KEK)
    for vault_id in (first, second):
        with pytest.raises(SecretUnavailable):
            vault.open(vault_id)


def test_another_key_encryption_key_opens_nothing_and_says_so(tmp_path: Path) -> None:
    vault_id = Vault(tmp_path / "vault.db", KEK).seal("subject-1", "hmac-secret", "KEY1", b"one")
    with pytest.raises(SecretUnavailable, match="key-encryption key"):
        Vault(tmp_path / "vault.db", bytes(32)).open(vault_id)


def test_after_a_rewrap_only_the_new_key_encryption_key_opens(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", KEK)
    vault_id = vault.seal("subject-1", "hmac-secret", "KEY1", b"one")
    new_key = secrets.token_bytes(32)
    assert vault.rewrap(new_key) == 1
    assert vault.open(vault_id) == b"one"
    vault.close()
    assert Vault(tmp_path / "vault.db", new_key).open(vault_id) == b"one"
    with pytest.raises(SecretUnavailable):
        Vault(tmp_path / "vault.db", KEK).open(vault_id)


def test_erasing_a_subject_leaves_nothing_that_opens(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", KEK)
    vault_id = vault.seal("subject-1", "email", "address", b"a@example.com")
    kept = vault.seal("subject-2", "email", "address", b"b@example.com")
    vault.erase("subject-1")
    with pytest.raises(SecretUnavailable):
        vault.open(vault_id)
    assert vault.open(kept) == b"b@example.com"


def test_a_look_up_digest_is_stable_and_does_not_contain_the_text() -> None:
    vault = Vault(":memory:", KEK)
    assert vault.digest("a@example.com") == vault.digest("a@example.com") != vault.digest("b@example.com")
    assert "example" not in vault.digest("a@example.com")


def test_a_row_moved_to_another_name_subject_or_kind_does_not_open(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", KEK)
    mine = vault.seal("subject-1", "hmac-secret", "KEY1", b"one")
    vault.seal("subject-2", "hmac-secret", "KEY2", b"two")
    vault.close()
    for moved in (
        "subject = 'subject-2'",
        "kind = 'totp'",
        "name = 'KEY2'",
        "vault_id = 'hmac-secret/subject-1/KEY9'",
        "vault_id = 'hmac-secret/subject-2/KEY9', subject = 'subject-2', name = 'KEY9'",
    ):
        copy = tmp_path / "copy.db"
        copy.unlink(missing_ok=True)
        copy.write_bytes((tmp_path / "vault.db").read_bytes())
        with closing(sqlite3.connect(copy)) as database, database:
            database.execute(f"UPDATE secrets SET {moved} WHERE vault_id = ?", (mine,))
            ids = [row[0] for row in database.execute("SELECT vault_id FROM secrets WHERE sealed NOT NULL")]
        opened = Vault(copy, KEK)
        for vault_id in {mine, *ids} - {"hmac-secret/subject-2/KEY2"}:
            with pytest.raises(SecretUnavailable):
                opened.open(vault_id)
        opened.close()
        for companion in ("copy.db-wal", "copy.db-shm"):
            (tmp_path / companion).unlink(missing_ok=True)


def test_a_data_key_moved_to_another_subject_does_not_open(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", KEK)
    first = vault.seal("subject-1", "hmac-secret", "KEY1", b"one")
    vault.seal("subject-2", "hmac-secret", "KEY2", b"two")
    vault.close()
    with closing(sqlite3.connect(tmp_path / "vault.db")) as database, database:
        wrapped = database.execute("SELECT wrapped FROM data_keys WHERE subject = 'subject-2'").fetchone()[0]
        database.execute("UPDATE data_keys SET wrapped = ? WHERE subject = 'subject-1'", (wrapped,))
    with pytest.raises(SecretUnavailable):
        Vault(tmp_path / "vault.db", KEK).open(first)


@pytest.mark.parametrize("how", ["erase", "forget", "replace"])
def test_no_file_of_the_vault_holds_what_was_erased_not_even_sealed(tmp_path: Path, how: str) -> None:
    """The write-ahead log keeps old pages; a backup of the folder must not bring back what was erased."""
    vault = Vault(tmp_path / "vault.db", KEK)
    vault_id = vault.seal("subject-1", "email", "address", b"a@example.com")
    vault.seal("subject-2", "email", "address", b"b@example.com")
    read = vault._database.execute
    ((sealed,),) = read("SELECT sealed FROM secrets WHERE vault_id = ?", (vault_id,)).fetchall()
    ((wrapped,),) = read("SELECT wrapped FROM data_keys WHERE subject = 'subject-1'").fetchall()
    files = [tmp_path / "vault.db", tmp_path / "vault.db-wal"]
    assert any(sealed in file.read_bytes() for file in files)
    if how == "erase":
        vault.erase("subject-1")
    elif how == "forget":
        vault.forget(vault_id)
    else:
        vault.rewrap(bytes(32))
    assert not any(wrapped in file.read_bytes() for file in files) or how == "forget"
    assert not any(sealed in file.read_bytes() for file in files) or how == "replace"


def test_forgetting_a_secret_leaves_the_subjects_others(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", KEK)
    first = vault.seal("subject-1", "hmac-secret", "KEY1", b"one")
    second = vault.seal("subject-1", "hmac-secret", "KEY2", b"two")
    vault.forget(first)
    vault.forget("hmac-secret/subject-1/NEVER")
    with pytest.raises(SecretUnavailable, match="has no entry"):
        vault.open(first)
    assert vault.open(second) == b"two"


def test_sealing_the_same_again_replaces_it(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", KEK)
    vault_id = vault.seal("subject-1", "totp", "seed", b"old")
    assert vault.seal("subject-1", "totp", "seed", b"new") == vault_id
    assert vault.open(vault_id) == b"new"


def test_an_erased_subject_may_come_back_with_another_data_key(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", KEK)
    vault_id = vault.seal("subject-1", "email", "address", b"a@example.com")
    vault.erase("subject-1")
    assert vault.seal("subject-1", "email", "address", b"c@example.com") == vault_id
    assert vault.open(vault_id) == b"c@example.com"


def test_look_up_digests_survive_a_rewrap_because_the_journal_holds_them(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", KEK)
    digest = vault.digest("a@example.com")
    vault.rewrap(bytes(32))
    assert vault.digest("a@example.com") == digest
    vault.close()
    assert Vault(tmp_path / "vault.db", bytes(32)).digest("a@example.com") == digest
    assert Vault(":memory:", KEK).digest("a@example.com") != digest


def test_only_the_owner_may_read_the_vaults_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        vault = Vault(tmp_path / "vault.db", KEK)
        vault.seal("subject-1", "hmac-secret", "KEY1", b"one")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"vault.db": 0o600, "vault.db-wal": 0o600, "vault.db-shm": 0o600}


def test_every_commit_of_the_vault_is_synced(tmp_path: Path) -> None:
    with closing(apsw.Connection(str(tmp_path / "other.db"))) as database:
        default = database.pragma("synchronous")
    vault = Vault(tmp_path / "vault.db", KEK)
    assert vault._database.pragma("synchronous") == 2 == default  # FULL
    assert vault._database.pragma("journal_mode") == "wal"
    assert vault._database.pragma("secure_delete") == 1


def test_a_vault_that_is_missing_beside_a_journal_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    with DataDirectory.open(tmp_path / "data") as data:
        vault = open_vault(data, 0)
        vault_id = vault.seal("subject-1", "hmac-secret", "KEY1", b"one")
        vault.close()
        vault = open_vault(data, 7)
        assert vault.open(vault_id) == b"one"
        vault.close()
        data.vault_path.unlink()
        with pytest.raises(DataDirectoryError, match=r"vault\.db is missing"):
            open_vault(data, 7)
        assert not data.vault_path.exists()
        data.vault_path.write_bytes(b"this is no database, and long enough to be read as one" * 40)
        with pytest.raises(DataDirectoryError, match="cannot be used"):
            open_vault(data, 7)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_encryption_key_has_256_bits(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(":memory:", bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(":memory:", KEK).rewrap(bytes(length))
