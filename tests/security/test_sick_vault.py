"""A vault that is missing, foreign, older or damaged: said in one line, or felt by the keys concerned and no others."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sparekey.storage.vault import Vault
from tests.process import Server, sparekey, up_fails
from tests.signing import Caller
from tests.venue import Credentials, Venue

UNIFORM = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}


@pytest.fixture
def stopped(start: Any) -> Path:
    """The data directory of a server that was up and has ended cleanly."""
    server: Server = start()
    assert server.stop() == 0
    return server.data


def test_a_vault_that_is_missing_damaged_or_locked_is_named_and_never_replaced(stopped: Path) -> None:
    vault, key = stopped / "vault.db", stopped / "keys" / "vault.key"
    right, right_key = vault.read_bytes(), key.read_bytes()
    vault.unlink()
    line = up_fails(stopped, "--port", "0")
    assert "vault.db is missing" in line
    assert "backup" in line
    assert not vault.exists()
    vault.write_bytes(b"no database, but long enough to look like one " * 100)
    assert "vault.db cannot be used" in up_fails(stopped, "--port", "0")
    vault.write_bytes(right)
    key.write_text("ab" * 32)
    assert "vault.key is not the key" in up_fails(stopped, "--port", "0")
    key.unlink()
    assert "vault.key is missing" in up_fails(stopped, "--port", "0")
    key.write_bytes(right_key)


def test_a_key_whose_secret_is_gone_is_refused_alike_and_told_apart_in_the_log(start: Any, stopped: Path) -> None:
    with closing(sqlite3.connect(stopped / "vault.db")) as database, database:
        gone = database.execute("DELETE FROM secrets WHERE kind = 'hmac-secret'").rowcount
    assert gone == 1
    server: Server = start()
    hmac_key, ed25519_key, rsa_key = server.demo_keys()
    answer = Caller(server.url, hmac_key)("GET", "/api/v3/account")
    assert (answer.status, answer.body) == (401, UNIFORM)
    for key in (ed25519_key, rsa_key):
        assert Caller(server.url, key)("GET", "/api/v3/account").status == 200
    shown = sparekey("log", "tail", "--key", hmac_key.api_key, "--json", data=server.data)
    assert '"reason": "secret-unavailable"' in shown.stdout or '"reason":"secret-unavailable"' in shown.stdout
    assert "cannot be opened" in server.said


def test_a_secret_that_a_crash_left_behind_its_deleted_key_is_gone_after_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sealed() -> set[str]:
        with closing(sqlite3.connect(tmp_path / "vault.db")) as database:
            return {name for (name,) in database.execute("SELECT name FROM secrets WHERE kind = 'hmac-secret'")}

    venue = Venue(tmp_path, durability="full")
    deleted, kept = venue.key(), venue.key()
    monkeypatch.setattr(Vault, "forget", lambda vault, vault_id: None)  # the process ends before it gets there
    venue.ask("DELETE", f"/keys/{deleted.api_key}")
    monkeypatch.undo()
    venue.stop()
    assert sealed() == {deleted.api_key, kept.api_key}
    venue = Venue(tmp_path, durability="full")
    try:
        assert sealed() == {kept.api_key}
        assert Caller(venue.url, kept)("GET", "/api/v3/account").status == 200
    finally:
        venue.stop()


def test_a_new_key_survives_a_kill_and_an_older_vault_knows_the_older_keys_only(start: Any, tmp_path: Path) -> None:
    """A restored backup: what was sealed since is lost, and only that."""
    server: Server = start()
    assert server.stop() == 0
    shutil.copy(server.data / "vault.db", tmp_path / "backup.db")
    server = start()
    email = server.env("operator.env")["CONSOLE_EMAIL"]
    made = sparekey(
        "keys", "create", "--account", email, "--label", "newer", "--type", "hmac", "--json", data=server.data
    )
    assert made.returncode == 0, made
    server.kill()
    document = json.loads(made.stdout)
    newer = Credentials(document["apiKey"], document["secretKey"], "", email)
    # Its secret was sealed for good before anybody saw it.
    server = start()
    assert Caller(server.url, newer)("GET", "/api/v3/account").status == 200
    assert server.stop() == 0
    shutil.copy(tmp_path / "backup.db", server.data / "vault.db")
    server = start()
    assert server.call()("GET", "/api/v3/account").status == 200
    listed = sparekey("keys", "list", "--account", email, "--json", data=server.data)
    assert '"newer"' in listed.stdout
    assert Caller(server.url, newer)("GET", "/api/v3/account").body == UNIFORM
