"""The demo account's files: kept over restarts, made again when lost, and never somebody else's."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.process import Server, sparekey, up_fails
from tests.signing import Caller


def assert_all_keys_trade(server: Server) -> None:
    for key in server.demo_keys():
        assert Caller(server.url, key).limit_order().status == 200


def operator_works(server: Server) -> bool:
    return sparekey("clock", "show", data=server.data).returncode == 0


def test_the_demo_account_is_verified_and_holds_every_listed_asset(start: Any) -> None:
    server = start()
    email = server.env("operator.env")["CONSOLE_EMAIL"]
    shown = json.loads(sparekey("accounts", "show", email, "--json", data=server.data).stdout)
    assert (shown["kyc"], shown["factors"], shown["keys"], shown["apiAccess"]) == ("approved", ["totp"], 3, "ACTIVE")
    call = server.call()
    balances = {row["asset"] for row in call("GET", "/api/v3/account").body["balances"] if float(row["free"]) > 0}
    assert balances >= {"BTC", "ETH", "BNB", "USDT", "LTC", "XRP", "ADA"}
    keys = json.loads(sparekey("keys", "list", "--account", email, "--json", data=server.data).stdout)
    assert sorted(key["type"] for key in keys) == ["ed25519", "hmac", "rsa"]
    for key in keys:
        assert key["ips"] == ["127.0.0.0/8", "::1"]
        assert key["expiryTime"] is None
        assert len(key["permissions"]) == 7


def test_a_lost_secret_is_replaced_by_a_new_key_and_the_old_key_lives(start: Any) -> None:
    server = start()
    old, before = server.key(), server.env()
    server.stop()
    (server.data / "bot.env").unlink()
    server = start()
    assert "demo hmac" in server.said
    assert server.key().api_key != old.api_key
    # The others follow from their PEM files.
    assert {name: server.env()[name] for name in ("ED25519_API_KEY", "RSA_API_KEY")} == {
        name: before[name] for name in ("ED25519_API_KEY", "RSA_API_KEY")
    }
    assert_all_keys_trade(server)
    assert Caller(server.url, old).limit_order().status == 200


def test_a_lost_pem_file_is_replaced_with_a_new_key(start: Any) -> None:
    server = start()
    before = server.env()
    server.stop()
    Path(before["RSA_KEY_PEM"]).unlink()
    Path(before["ED25519_KEY_PEM"]).write_text("no key")
    server = start()
    assert server.env()["API_KEY"] == before["API_KEY"]
    assert server.env()["RSA_API_KEY"] != before["RSA_API_KEY"]
    assert server.env()["ED25519_API_KEY"] != before["ED25519_API_KEY"]
    assert stat.S_IMODE(Path(before["RSA_KEY_PEM"]).stat().st_mode) == 0o600
    assert_all_keys_trade(server)


def test_a_lost_operator_file_means_a_new_password_and_a_new_token(start: Any) -> None:
    server = start()
    before = server.env("operator.env")
    server.stop()
    (server.data / "operator.env").unlink()
    server = start()
    after = server.env("operator.env")
    assert "operator.env was missing" in server.said
    assert after["CONSOLE_EMAIL"] == before["CONSOLE_EMAIL"]
    assert after["CONSOLE_PASSWORD"] not in ("", before["CONSOLE_PASSWORD"])
    assert after["CONSOLE_TOTP_SECRET"] not in ("", before["CONSOLE_TOTP_SECRET"])
    assert stat.S_IMODE((server.data / "operator.env").stat().st_mode) == 0o600
    assert operator_works(server)
    assert_all_keys_trade(server)


def test_losing_the_files_again_and_again_does_not_use_up_the_accounts_keys(start: Any) -> None:
    server = start()
    email = server.env("operator.env")["CONSOLE_EMAIL"]
    for number in range(27):
        made = sparekey("keys", "create", "--account", email, "--label", f"mine {number}", data=server.data)
        assert made.returncode == 0, made
    server.stop()
    (server.data / "bot.env").unlink()
    server = start()
    assert_all_keys_trade(server)


@pytest.mark.long
def test_a_first_start_killed_at_any_moment_is_simply_repeated(start: Any) -> None:
    for life in range(8):
        server = start(up=False)
        time.sleep(0.35 + life * 0.05)
        server.kill()
    server = start()
    assert_all_keys_trade(server)
    assert operator_works(server)
    assert sparekey("log", "verify", data=server.data).returncode == 0


def test_lines_added_to_the_env_file_are_kept(start: Any) -> None:
    server = start()
    with (server.data / "bot.env").open("a") as file:
        file.write("TELEGRAM_TOKEN=mine\n# a note\n")
    before = server.env()
    server.stop()
    server = start()
    text = (server.data / "bot.env").read_text()
    assert "TELEGRAM_TOKEN=mine\n# a note\n" in text
    assert server.env()["API_SECRET"] == before["API_SECRET"]
    assert server.env()["BASE_URL"] == server.url


def test_an_env_file_elsewhere_gets_the_same_keys_and_can_move(start: Any, tmp_path: Path) -> None:
    server = start()
    secret = server.env()["API_SECRET"]
    server.stop()
    elsewhere = tmp_path / "project" / "bot.env"
    server = start("--env-file", str(elsewhere))
    assert f"API_SECRET={secret}\n" in elsewhere.read_text()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o600


def test_somebody_elses_env_file_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / ".env"
    theirs.write_text("BINANCE_API_KEY=the-real-one\n")
    assert str(theirs) in up_fails(tmp_path / "data", "--port", "0", "--env-file", str(theirs))
    assert theirs.read_text() == "BINANCE_API_KEY=the-real-one\n"


def test_git_never_sees_the_data_directory(tmp_path: Path, start: Any, require: Any) -> None:
    git = [require("git"), "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    server = start()
    assert subprocess.run([*git, "status", "--porcelain"], capture_output=True, check=True).stdout == b""
    assert_all_keys_trade(server)


def test_memory_durability_keeps_nothing_and_starts_again(start: Any) -> None:
    server = start("--durability", "memory")
    assert_all_keys_trade(server)
    first = server.key().api_key
    assert server.stop() == 0
    kept = {path.name for path in server.data.iterdir()}
    assert not kept & {"journal.db", "vault.db", "archive.db", "calls", "addresses", "snapshots"}
    server = start("--durability", "memory")
    assert server.key().api_key != first
    assert server.call()("GET", "/api/v3/openOrders", {"symbol": "BTCUSDT"}).body == []
    assert_all_keys_trade(server)
    server.stop()
    # The files of what is gone do not stand in the way of a durable start.
    assert_all_keys_trade(start())


@pytest.mark.parametrize(
    "command",
    [
        ("accounts", "create", "ann@example.com"),
        ("accounts", "fund", "demo@sparekey.example", "USDT=1"),
        ("clock", "advance", "1d"),
        ("clock", "skew", "+1s"),
    ],
)
def test_guarded_mode_refuses_to_act_for_an_account(guarded: Server, command: tuple[str, ...]) -> None:
    done = sparekey(*command, "--json", data=guarded.data)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["reason"] == "mode-guarded"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A directory with a demo account, served in guarded mode."""
    data = tmp_path_factory.mktemp("guarded") / "data"
    Server(data).stop()
    server = Server(data, "--mode", "guarded")
    yield server
    server.kill()


@pytest.mark.parametrize("command", ["create", "delete"])
def test_guarded_mode_asks_for_the_keys_holder_and_does_nothing_without(
    guarded: Server, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))  # nobody is there to sign in
    what = ("--account", "demo@sparekey.example", "--label", "x") if command == "create" else (guarded.key().api_key,)
    refused = sparekey("keys", command, *what, "--json", data=guarded.data)
    assert refused.returncode != 0
    assert "sign in as the holder" in refused.stderr
    assert guarded.call().limit_order().status == 200


def test_a_work_tree_without_git_at_hand_does_not_stand_in_the_way(tmp_path: Path, start: Any) -> None:
    (tmp_path / ".git").mkdir()  # as in a container that has the files and not the program
    assert_all_keys_trade(start())
