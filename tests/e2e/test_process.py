"""`sparekey up` as a process: what it prints and writes, kill -9, restarts, and the ways in which it must not start."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.process import Server, sparekey, up_fails
from tests.signing import Caller
from tests.venue import Credentials


def test_up_writes_private_files_and_its_three_keys_work_before_and_after_a_restart(start: Any) -> None:
    server = start()
    values = server.env()
    assert {"BASE_URL", "WS_URL", "API_KEY", "API_SECRET", "BINANCE_API_KEY", "BINANCE_API_SECRET"} <= set(values)
    assert (values["API_KEY"], values["API_SECRET"]) == (values["BINANCE_API_KEY"], values["BINANCE_API_SECRET"])
    for name in ("bot.env", "operator.env"):
        assert stat.S_IMODE((server.data / name).stat().st_mode) == 0o600
    assert {"CONSOLE_URL", "CONSOLE_EMAIL", "CONSOLE_PASSWORD", "CONSOLE_TOTP_SECRET", "OPERATOR_TOKEN"} <= set(
        server.env("operator.env")
    )
    keys = server.demo_keys()
    for key in keys:
        assert Caller(values["BASE_URL"], key).limit_order().status == 200
    assert server.stop() == 0
    server = start()
    after = server.env()
    assert {name: value for name, value in after.items() if "URL" not in name} == {
        name: value for name, value in values.items() if "URL" not in name
    }
    for key in keys:
        orders = Caller(after["BASE_URL"], key)("GET", "/api/v3/openOrders", {"symbol": "BTCUSDT"})
        assert len(orders.body) == 3


def test_twenty_kills_lose_nothing_acknowledged(start: Any) -> None:
    acknowledged: set[int] = set()
    lives(start, 20, acknowledged)
    server = start()
    found = {order["orderId"] for order in server.call()("GET", "/api/v3/openOrders", {"symbol": "BTCUSDT"}).body}
    assert acknowledged <= found
    assert len(acknowledged) >= 20
    assert sparekey("log", "verify", data=server.data).returncode == 0


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_two_hundred_kills_lose_nothing_acknowledged(start: Any) -> None:
    acknowledged: set[int] = set()
    lives(start, 200, acknowledged)
    server = start()
    found: set[int] = set()
    while True:
        after = {"symbol": "BTCUSDT", "limit": 1000, "orderId": max(found, default=0) + 1}
        page = {order["orderId"] for order in server.call()("GET", "/api/v3/allOrders", after).body}
        if not page:
            break
        found |= page
    assert acknowledged <= found
    assert len(acknowledged) >= 200


def lives(start: Any, kills: int, acknowledged: set[int]) -> None:
    """Start, order until killed at an arbitrary moment, and again. Cancels keep the open orders under the limit."""
    for life in range(kills):
        server = start("--profile", "off")
        call = server.call()
        killer = threading.Timer(0.02 + (life * 37 % 50) / 500, server.kill)
        killer.start()
        try:
            for _ in range(190 // min(kills, 190) if kills < 190 else 3):
                answer = call.limit_order()
                if answer.status == 200:
                    acknowledged.add(answer.body["orderId"])
            if kills > 100:
                call("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"})
        except (OSError, json.JSONDecodeError, Exception):
            pass
        killer.join()
        server.kill()


def test_a_second_up_on_the_same_folder_names_the_first(start: Any) -> None:
    server = start()
    assert str(server.process.pid) in up_fails(server.data, "--port", "0")


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        assert str(port) in up_fails(tmp_path / "data", "--port", str(port))


def test_a_flipped_byte_in_the_journal_is_named_and_refused(start: Any) -> None:
    server = start()
    server.call().limit_order()
    server.stop()
    database = sqlite3.connect(server.data / "journal.db")
    table = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%frame%'").fetchone()[0]
    rowid, frame = database.execute(f"SELECT rowid, frame FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()
    flipped = bytes([frame[0]]) + bytes([frame[1] ^ 1]) + frame[2:]
    with database:
        database.execute(f"UPDATE {table} SET frame = ? WHERE rowid = ?", (flipped, rowid))
    database.close()
    assert "journal" in up_fails(server.data, "--port", "0")
    verdict = sparekey("log", "verify", "--json", data=server.data)
    assert verdict.returncode == 1
    assert json.loads(verdict.stdout)["error"]["reason"] == "journal-damaged"


def test_a_cut_off_tail_is_named_and_refused(start: Any) -> None:
    server = start()
    for _ in range(3):
        server.call().limit_order()
    server.stop()
    database = sqlite3.connect(server.data / "journal.db")
    table = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%frame%'").fetchone()[0]
    with database:
        database.execute(f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})")
    database.close()
    assert "cut off" in up_fails(server.data, "--port", "0")


def test_the_commands_documents_have_the_fields_that_scripts_rely_on(start: Any) -> None:
    server = start()

    def run(*arguments: str) -> Any:
        done = sparekey(*arguments, "--json", data=server.data)
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    created = run("accounts", "create", "Ann@Example.com", "--kyc", "approved", "--totp", "--fund", "USDT=1000.5")
    assert set(created) == {"accountId", "email", "password", "totpSecret", "kyc"}
    shown = run("accounts", "show", "ann@example.com")
    assert shown == {
        "accountId": created["accountId"],
        "email": "ann@example.com",
        "kyc": "approved",
        "factors": ["totp"],
        "keys": 0,
        "apiAccess": "ACTIVE",
    }
    key = run(
        "keys", "create", "--account", "ann@example.com", "--label", "Quant Strategy A", "--type", "hmac",
        "--permission", "spot-and-margin-trading", "--ip", "127.0.0.0/8",
    )  # fmt: skip
    assert set(key) == {
        "apiKey", "secretKey", "label", "type", "permissions", "ips", "createTime", "expiryTime", "status",
    }  # fmt: skip
    assert key["permissions"] == ["reading", "spot-and-margin-trading"]
    assert key["expiryTime"] is None
    shown_key = run("keys", "show", key["apiKey"])
    assert shown_key == key | {"secretKey": None}
    assert run("keys", "list", "--account", "ann@example.com") == [shown_key]
    call = Caller(server.env()["BASE_URL"], Credentials(key["apiKey"], key["secretKey"], "", ""))
    assert call.limit_order().status == 200
    row = json.loads(sparekey("log", "tail", "--key", key["apiKey"], "--json", data=server.data).stdout)
    assert set(row) == {
        "timeMs", "apiKey", "ip", "method", "path", "weight", "http", "code", "reason", "latencyUs",
    }  # fmt: skip
    assert set(run("clock", "show")) == {"policyMs", "wireMs"}
    run("keys", "delete", key["apiKey"])
    refused = sparekey("keys", "show", key["apiKey"], "--json", data=server.data)
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["error"]["reason"] == "key-unknown"
    assert sparekey("clock", "advance", "-1d", data=server.data).returncode == 1


def test_an_env_file_that_git_would_commit_is_refused(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    said = up_fails(tmp_path / "data", "--port", "0", "--env-file", str(tmp_path / "bot.env"))
    assert ".gitignore" in said
    (tmp_path / ".gitignore").write_text("bot.env\n")
    Server(tmp_path / "data", "--env-file", str(tmp_path / "bot.env")).kill()
    assert (tmp_path / "bot.env").exists()


def test_without_a_running_server_the_commands_say_how_to_start_one(tmp_path: Path) -> None:
    done = sparekey("clock", "show", data=tmp_path)
    assert done.returncode == 1
    assert "sparekey up" in done.stderr
    assert not os.listdir(tmp_path)
