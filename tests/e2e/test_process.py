"""`sparekey up` as a process: what it prints and writes, kill -9, restarts, and the ways in which it must not start."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.process import Server, sparekey, sparekey_process, up_fails
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


@pytest.mark.long
def test_five_kills_lose_nothing_acknowledged(start: Any) -> None:
    acknowledged: set[int] = set()
    lives(start, 5, acknowledged)
    server = start()
    found = {order["orderId"] for order in server.call()("GET", "/api/v3/openOrders", {"symbol": "BTCUSDT"}).body}
    assert acknowledged <= found
    assert len(acknowledged) >= 5
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
        except (OSError, http.client.HTTPException):
            pass  # killed
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


def test_an_env_file_that_git_would_commit_is_refused(tmp_path: Path, require: Any) -> None:
    subprocess.run([require("git"), "init", "-q", str(tmp_path)], check=True)
    said = up_fails(tmp_path / "data", "--port", "0", "--env-file", str(tmp_path / "bot.env"))
    assert ".gitignore" in said
    (tmp_path / ".gitignore").write_text("bot.env\n")
    Server(tmp_path / "data", "--env-file", str(tmp_path / "bot.env")).kill()
    assert (tmp_path / "bot.env").exists()


def test_without_a_running_server_the_commands_say_how_to_start_one(tmp_path: Path) -> None:
    done = sparekey_process("clock", "show", data=tmp_path)
    assert done.returncode == 1
    assert "sparekey up" in done.stderr
    assert not os.listdir(tmp_path)


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_cleanly_and_the_journal_is_vouched_for(start: Any, number: int) -> None:
    server = start("--market", "simulated")
    order = server.call().limit_order().body["orderId"]
    assert server.stop(number) == 0
    assert server.said.splitlines()[-1].endswith("Ctrl-C.")
    report = json.loads(sparekey("log", "verify", "--json", data=server.data).stdout)
    assert report["problems"] == []
    assert report["vouchedPosition"] == report["position"] == report["records"]
    server = start("--market", "simulated")
    assert server.call()("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": order}).status == 200


def test_a_second_signal_ends_at_once_what_the_first_lets_finish(start: Any) -> None:
    server = start()
    address = urllib.parse.urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as half_sent:
        # A body that never comes keeps a graceful end waiting for its connection.
        half_sent.sendall(
            b"POST /theme HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n"
        )
        assert half_sent.recv(100).startswith(b"HTTP/1.1 100")
        server.process.send_signal(signal.SIGINT)
        while accepts(address):
            time.sleep(0.01)
        server.process.send_signal(signal.SIGINT)
        assert server.ended() == 128 + signal.SIGINT
    start().call().limit_order()


def accepts(address: urllib.parse.SplitResult) -> bool:
    try:
        socket.create_connection((address.hostname or "", address.port or 0), 5).close()
    except OSError:
        return False
    return True


# --- what a start finds ----------------------------------------------------------------------------------------------


def test_a_ban_outlives_a_kill(start: Any) -> None:
    server = start()
    call = server.call("127.0.0.31")
    for _ in range(2000):
        answer = call("GET", "/api/v3/exchangeInfo", {"symbol": "BTCUSDT"}, signed=False)
        if answer.status == 418:
            break
    assert answer.status == 418
    time.sleep(1.5)  # counts are saved once a second
    server.kill()
    server = start()
    assert server.call("127.0.0.31")("GET", "/api/v3/ping", signed=False).status == 418
    assert server.call("127.0.0.32")("GET", "/api/v3/ping", signed=False).status == 200


def test_another_profile_brings_its_own_order_limits(start: Any) -> None:
    def limits(server: Server) -> dict[str, int]:
        rows = server.call()("GET", "/api/v3/exchangeInfo", {"symbol": "BTCUSDT"}, signed=False).body["rateLimits"]
        return {f"{row['rateLimitType']} {row['intervalNum']} {row['interval']}": row["limit"] for row in rows}

    server = start()
    assert limits(server)["ORDERS 10 SECOND"] == 100
    server.stop()
    server = start("--profile", "current")
    assert limits(server)["REQUEST_WEIGHT 1 MINUTE"] == 6000
    key = server.call()
    codes = {key.limit_order().code for _ in range(101)}
    assert -1015 in codes
    assert limits(server)["ORDERS 10 SECOND"] != 100
    server.stop()
    server = start("--profile", "off")
    key = server.call()
    assert {key.limit_order().code for _ in range(101)} == {0}


def test_a_market_that_is_open_does_not_stand_still_or_become_another(start: Any, tmp_path: Path) -> None:
    server = start(market="simulated")
    server.stop()
    assert "--market simulated" in up_fails(server.data, "--port", "0")
    recording = tmp_path / "BTCUSDT-trades-2021-01-08.csv"
    recording.write_text("1,40000.0,1,40000.0,1610064000000,True,True\n")
    assert "simulated" in up_fails(server.data, "--port", "0", market=f"replay:{recording}")
    server = start("--seed", "7", market="simulated")
    assert "seed 1" in server.said


def test_a_market_does_not_open_where_accounts_have_traded(start: Any) -> None:
    server = start()
    key = server.call()
    key.limit_order(side="SELL", price="30000", quantity="0.001", selfTradePreventionMode="NONE")
    email = "other@example.com"
    sparekey("accounts", "create", email, "--kyc", "approved", "--totp", "--fund", "USDT=1000", data=server.data)
    made = sparekey(
        "keys", "create", "--account", email, "--label", "x", "--permission", "spot-and-margin-trading", "--json",
        data=server.data,
    )  # fmt: skip
    other = json.loads(made.stdout)
    buyer = Caller(server.url, Credentials(other["apiKey"], other["secretKey"], "", ""))
    assert key.limit_order(side="SELL", price="30000", quantity="0.001").status == 200
    assert buyer.limit_order(price="30000", quantity="0.001").body["status"] == "FILLED"
    server.stop()
    assert "--market none" in up_fails(server.data, "--port", "0", market="simulated")


def test_recorded_trades_happen_and_take_what_accounts_have_resting(start: Any, tmp_path: Path) -> None:
    recording = tmp_path / "BTCUSDT-trades-2021-01-08.csv"
    first_ms = 1_610_064_000_000
    rows = [(1, "40000.00", 0, True), (2, "40010.00", 200, False), (3, "39000.00", 1500, True)]
    recording.write_text(
        "".join(f"{number},{price},0.5,0,{first_ms + ms},{maker},True\n" for number, price, ms, maker in rows)
    )
    server = start(market=f"replay:{recording}")
    key = server.call()
    bid = key.limit_order(price="39500", quantity="0.1").body["orderId"]
    until = time.monotonic() + 10
    while key("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": bid}).body["status"] != "FILLED":
        assert time.monotonic() < until
        time.sleep(0.1)
    prints = key("GET", "/api/v3/trades", {"symbol": "BTCUSDT", "limit": 4}, signed=False).body
    assert [(one["price"], one["qty"]) for one in prints] == [
        ("40000.00000000", "0.50000000"),
        ("40010.00000000", "0.50000000"),
        ("39500.00000000", "0.10000000"),
        ("39000.00000000", "0.40000000"),
    ]
    server.stop()
    assert "replay" in up_fails(server.data, "--port", "0", market="simulated")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--market", "replay:nowhere.csv"), "nowhere.csv"),
        (("--market", "sideways"), "sideways"),
        (("--trusted-proxy", "300.1.1.1"), "300.1.1.1"),
        (("--api-date", "yesterday"), "yesterday"),
        (("--host", "198.51.100.7"), "198.51.100.7"),
        (("--port", "70000"), "70000"),
    ],
)
def test_an_impossible_option_is_one_clear_line(tmp_path: Path, options: tuple[str, ...], named: str) -> None:
    done = sparekey_process("up", *options, data=tmp_path / "data")
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert named in done.stderr


def test_a_folder_that_is_somebody_elses_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert "thesis.txt" in up_fails(tmp_path, "--port", "0")
    assert set(os.listdir(tmp_path)) <= {"thesis.txt", "lock"}


# --- what it says ----------------------------------------------------------------------------------------------------


def test_what_up_prints_can_be_pasted(start: Any) -> None:
    server = start(market="simulated")
    assert server.url in server.said
    assert str(server.data / "bot.env") in server.said
    curl = re.search(r"curl '(\S+)'", server.said)
    assert curl is not None
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(curl[1], timeout=10) as reply:
        assert float(json.load(reply)["price"]) > 0
    pasted = re.findall(r"^  ((?:import|env|exchange)\b.*)$", server.said, re.MULTILINE)
    assert len(pasted) == 3
    program = "\n".join([*pasted, "print(exchange.fetch_balance()['USDT']['free'])"])
    # Whatever is not led to this server ends at a proxy that nobody runs.
    away = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, env=os.environ | away
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0


def test_health_readiness_and_metrics_are_served_on_the_same_port(start: Any) -> None:
    server = start(market="simulated")
    server.call().limit_order()
    assert server.page("/healthz")[0] == 200
    status, page = server.page("/readyz")
    assert (status, page["ready"], page["status"]) == (200, True, "ok")
    assert set(page["components"]) == {
        "journal", "archive", "calls", "addresses", "market", "letters", "checkpoints", "snapshots",
    }  # fmt: skip
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"{server.url}/metrics", timeout=10
    ) as reply:
        samples = dict(line.rsplit(" ", 1) for line in reply.read().decode().splitlines() if not line.startswith("#"))
    assert float(samples["sparekey_journal_position"]) > 0
    assert float(samples['sparekey_http_requests_total{family="api",status="2xx"}']) >= 1


def test_both_loopbacks_answer(start: Any) -> None:
    server = start()
    port = urllib.parse.urlsplit(server.url).port
    for host in ("127.0.0.1", "::1"):
        connection = http.client.HTTPConnection(host, port, timeout=10)
        connection.request("GET", "/api/v3/ping")
        assert connection.getresponse().status == 200
        connection.close()


def test_verify_works_beside_a_running_server_too(start: Any) -> None:
    server = start(market="simulated")
    server.call().limit_order()
    done = sparekey("log", "verify", "--json", data=server.data)
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert set(report) == {
        "directory", "batches", "records", "position", "shards", "checkpoints", "vouchedPosition", "snapshots",
        "problems", "warnings",
    }  # fmt: skip
    assert set(report["shards"]) == {"access", "spot"}


def test_verify_says_what_is_no_data_directory(tmp_path: Path) -> None:
    done = sparekey("log", "verify", "--json", data=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["reason"] == "data-directory-unusable"


def test_the_consoles_address_shows_a_page(start: Any) -> None:
    server = start("--profile", "current")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(server.url, timeout=10) as reply:
        page = reply.read().decode()
        assert "unsafe" not in reply.headers["Content-Security-Policy"]
    assert "<dd>current</dd>" in page
    for path in re.findall(r'href="([^"]+)"', page):
        with opener.open(server.url + path, timeout=10) as reply:
            assert reply.status == 200


@pytest.mark.long
def test_participants_take_over_from_a_recording_and_go_on_after_a_restart(start: Any, tmp_path: Path) -> None:
    recording = tmp_path / "BTCUSDT-trades-2021-01-08.csv"
    recording.write_text("1,40000.00,0.5,0,1610064000000,True,True\n")
    options = ("--replay-end", "simulated")
    server = start(*options, market=f"replay:{recording}")

    def trades() -> list[Any]:
        rows: list[Any] = server.call()(
            "GET", "/api/v3/trades", {"symbol": "BTCUSDT", "limit": 1000}, signed=False
        ).body
        first = next(number for number, row in enumerate(rows) if row["price"] == "40000.00000000")
        return rows[first:]

    until = time.monotonic() + 20
    while len(trades()) < 5:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert all(abs(float(one["price"]) - 40_000) < 400 for one in trades())
    server.stop()
    server = start(*options, market=f"replay:{recording}")
    assert "participants trade on" in server.said
    server.stop()
    start("--market", "simulated")


def test_a_server_that_others_can_reach_says_so(start: Any, tmp_path: Path) -> None:
    assert "Other machines" not in start().said
    server = start("--host", "0.0.0.0", data=tmp_path / "open")
    assert "Other machines" in server.said
    assert server.url.startswith("http://127.0.0.1:")
    assert server.call().limit_order().status == 200
