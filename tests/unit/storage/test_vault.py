"""The vault seals what must never be in the journal."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

import pytest

from sparekey.storage.vault import SecretUnavailable, Vault

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
    database = sqlite3.connect(tmp_path / "vault.db")
    sealed = dict(database.execute("SELECT vault_id, sealed FROM secrets").fetchall())
    with database:
        database.execute("UPDATE secrets SET sealed = ? WHERE vault_id = ?", (sealed[second], first))
        database.execute("UPDATE secrets SET sealed = ? WHERE vault_id = ?", (sealed[first], second))
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
