"""The commands about accounts and keys as a script meets them: documents, refusals, exit codes. One server for all."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.process import Server, sparekey
from tests.signing import Answer, Caller
from tests.venue import Credentials

KEY_FIELDS = ["apiKey", "secretKey", "label", "type", "permissions", "ips", "createTime", "expiryTime", "status"]
NINETY_DAYS_MS = 90 * 24 * 60 * 60 * 1000


class Terminal:
    """Runs commands against one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._accounts = 0

    def run(self, *arguments: str) -> Any:
        done = sparekey(*arguments, "--json", data=self.server.data)
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def refuses(self, *arguments: str, reason: str) -> str:
        """The message."""
        done = sparekey(*arguments, "--json", data=self.server.data)
        assert done.returncode == 1, done
        error = json.loads(done.stdout)["error"]
        assert set(error) == {"reason", "message"}
        assert error["reason"] == reason, error
        message: str = error["message"]
        return message

    def account(self) -> str:
        self._accounts += 1
        email = f"ann{self._accounts}@example.com"
        self.run("accounts", "create", email, "--kyc", "approved", "--totp", "--fund", "USDT=1000")
        return email

    def key(self, email: str, *more: str) -> Any:
        trade = ("--permission", "spot-and-margin-trading")
        return self.run("keys", "create", "--account", email, "--label", "bot", *trade, *more)

    def call(self, key: Any) -> Answer:
        credentials = Credentials(key["apiKey"], key["secretKey"], "", "")
        return Caller(self.server.url, credentials)("GET", "/api/v3/account")


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    server = Server(tmp_path_factory.mktemp("commands") / "data")
    yield Terminal(server)
    server.kill()


@pytest.fixture(scope="module")
def email(terminal: Terminal) -> str:
    return terminal.account()


def test_an_edit_replaces_the_sets_that_are_given_and_leaves_the_others(terminal: Terminal, email: str) -> None:
    key = terminal.key(email, "--ip", "127.0.0.0/8", "--ip", "203.0.113.7")
    assert list(key) == KEY_FIELDS
    api_key = key["apiKey"]
    shown = key | {"secretKey": None}
    labelled = terminal.run("keys", "edit", api_key, "--label", "Grid")
    assert labelled == shown | {"label": "Grid"}
    permitted = terminal.run("keys", "edit", api_key, "--permission", "withdrawals", "--permission", "futures")
    assert permitted == labelled | {"permissions": ["reading", "futures", "withdrawals"]}
    listed = terminal.run("keys", "edit", api_key, "--ip", "127.0.0.1")
    assert listed == permitted | {"ips": ["127.0.0.1"]}
    opened = terminal.run("keys", "edit", api_key, "--no-ip")
    assert opened == listed | {
        "ips": [],
        "permissions": ["reading", "futures"],
        "expiryTime": opened["expiryTime"],
    }
    assert abs(opened["expiryTime"] - time.time() * 1000 - NINETY_DAYS_MS) < 60_000
    assert terminal.run("keys", "show", api_key) == opened


def test_an_edit_that_says_nothing_or_too_much_is_refused(terminal: Terminal, email: str) -> None:
    api_key = terminal.key(email)["apiKey"]
    before = terminal.run("keys", "show", api_key)
    assert "--label" in terminal.refuses("keys", "edit", api_key, reason="request-invalid")
    terminal.refuses("keys", "edit", api_key, "--ip", "127.0.0.1", "--no-ip", reason="request-invalid")
    terminal.refuses("keys", "edit", api_key, "--label", " ", reason="label-invalid")
    terminal.refuses("keys", "edit", api_key, "--ip", "300.1.1.1", reason="whitelist-invalid")
    said = terminal.refuses("keys", "edit", api_key, "--permission", "withdrawals", reason="withdrawals-need-whitelist")
    assert said == "Withdrawals need an IP whitelist. Give the key a whitelist first."
    terminal.refuses("keys", "edit", api_key, "--permission", "margin-loan", reason="permission-prerequisite")
    terminal.refuses("keys", "edit", "x" * 64, "--label", "y", reason="key-unknown")
    assert terminal.run("keys", "show", api_key) == before


def test_a_rotation_prints_the_new_key_and_both_call_until_the_old_one_dies(terminal: Terminal, email: str) -> None:
    old = terminal.key(email, "--ip", "127.0.0.0/8")
    held = terminal.run("accounts", "show", email)["keys"]
    new = terminal.run("keys", "rotate", old["apiKey"], "--overlap", "24h")
    assert list(new) == KEY_FIELDS
    assert new["apiKey"] != old["apiKey"]
    assert new["secretKey"]
    changed = {"apiKey": new["apiKey"], "secretKey": new["secretKey"], "createTime": new["createTime"]}
    assert new == old | changed
    assert terminal.run("accounts", "show", email)["keys"] == held
    assert terminal.call(old).status == terminal.call(new).status == 200
    dying = terminal.run("keys", "show", old["apiKey"])
    assert abs(dying["expiryTime"] - time.time() * 1000 - 24 * 60 * 60 * 1000) < 60_000
    terminal.refuses("keys", "rotate", old["apiKey"], "--overlap", "24h", reason="key-in-rotation")
    usage = terminal.run("keys", "usage", old["apiKey"])
    assert (usage["replaces"], usage["replacedBy"]) == (None, new["apiKey"])
    assert usage["endsMs"] == dying["expiryTime"]
    assert [(row["ip"], row["calls"], row["refused"]) for row in usage["callers"]] == [("127.0.0.1", 1, 0)]
    assert terminal.run("keys", "usage", new["apiKey"])["replaces"] == old["apiKey"]


def test_a_rotation_without_overlap_ends_the_old_key_at_once(terminal: Terminal, email: str) -> None:
    old = terminal.key(email)
    new = terminal.run("keys", "rotate", old["apiKey"], "--overlap", "0s")
    assert (terminal.call(old).code, terminal.call(new).code) == (-2015, 0)
    for overlap, reason in (("-1s", "overlap-invalid"), ("366d", "overlap-invalid"), ("soon", "request-invalid")):
        terminal.refuses("keys", "rotate", new["apiKey"], f"--overlap={overlap}", reason=reason)
    terminal.refuses("keys", "rotate", old["apiKey"], "--overlap", "1h", reason="key-rotated")
    assert terminal.call(new).code == 0


def pair(folder: Path, name: str) -> tuple[Ed25519PrivateKey, str, str]:
    """A private key, and the files of both halves."""
    private = Ed25519PrivateKey.generate()
    public_file, private_file = folder / f"{name}.pub", folder / f"{name}.pem"
    public_file.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    private_file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return private, str(public_file), str(private_file)


def test_a_self_generated_key_rotates_to_a_new_public_key(terminal: Terminal, email: str, tmp_path: Path) -> None:
    _, first, _ = pair(tmp_path, "first")
    second_private, second, second_file = pair(tmp_path, "second")
    old = terminal.key(email, "--type", "ed25519", "--public-key", first)
    rotate = ("keys", "rotate", old["apiKey"], "--overlap", "1h")
    terminal.refuses(*rotate, reason="public-key-missing")
    terminal.refuses(*rotate, "--public-key", first, reason="public-key-invalid")
    terminal.refuses(*rotate, "--public-key", second_file, reason="private-key-pasted")
    new = terminal.run(*rotate, "--public-key", second)
    assert (new["type"], new["secretKey"]) == ("ed25519", None)
    pem = second_private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    call = Caller(terminal.server.url, Credentials(new["apiKey"], "", pem, ""))
    assert call("GET", "/api/v3/account").status == 200
    hmac_key = terminal.key(email)["apiKey"]
    terminal.refuses(
        "keys", "rotate", hmac_key, "--overlap", "1h", "--public-key", second, reason="public-key-not-required"
    )


def test_a_challenge_is_signed_once_by_whoever_has_the_private_key(
    terminal: Terminal, email: str, tmp_path: Path
) -> None:
    private, public_file, _ = pair(tmp_path, "mine")
    stranger, _, _ = pair(tmp_path, "strange")
    ask = ("keys", "challenge", "--account", email, "--public-key", public_file)
    create = ("keys", "create", "--account", email, "--label", "proven", "--type", "ed25519")
    create += ("--public-key", public_file)

    def proof(signer: Ed25519PrivateKey) -> tuple[str, ...]:
        challenge = terminal.run(*ask)
        assert set(challenge) == {"nonce", "text", "expiresMs"}
        signature = base64.b64encode(signer.sign(challenge["text"].encode())).decode()
        return "--nonce", challenge["nonce"], "--signature", signature

    terminal.refuses(*create, *proof(stranger), reason="possession-unproven")
    mine = proof(private)
    assert terminal.run(*create, *mine)["status"] == "active"
    terminal.refuses(*create, *mine, reason="possession-unproven")
    plain = sparekey(*ask, data=terminal.server.data).stdout
    assert plain.startswith("sparekey proof of possession\n")


def test_a_disabled_key_is_refused_until_it_is_enabled(terminal: Terminal, email: str) -> None:
    key = terminal.key(email)
    assert terminal.run("keys", "disable", key["apiKey"])["status"] == "disabled"
    assert terminal.call(key).code == -2015
    assert terminal.run("keys", "enable", key["apiKey"]) == key | {"secretKey": None}
    assert terminal.call(key).code == 0


def test_panic_disables_every_key_of_the_account_and_of_no_other(terminal: Terminal, email: str) -> None:
    other = terminal.key(email)
    panicked = terminal.account()
    keys = [terminal.key(panicked) for _ in range(3)]
    terminal.run("keys", "disable", keys[0]["apiKey"])
    answer = terminal.run("keys", "panic", panicked)
    assert sorted(answer["disabled"]) == sorted(key["apiKey"] for key in keys[1:])
    assert [terminal.call(key).code for key in keys] == [-2015] * 3
    assert terminal.call(other).code == 0
    assert terminal.run("keys", "panic", panicked, "--reason", "again")["disabled"] == []


def test_the_identity_check_and_the_factor_stop_trading_keys_and_let_them_go_on(terminal: Terminal) -> None:
    account = terminal.account()
    key = terminal.key(account)
    for state in ("none", "pending", "rejected"):
        assert terminal.run("accounts", "kyc", account, state)["kyc"] == state
        assert terminal.call(key).code == -2015
    assert "sparekey accounts kyc" in terminal.refuses(
        "keys", "create", "--account", account, "--label", "x", reason="kyc-missing"
    )
    assert terminal.run("accounts", "kyc", account, "approved")["kyc"] == "approved"
    assert terminal.call(key).code == 0
    assert terminal.run("accounts", "2fa", "remove", account)["factors"] == []
    assert terminal.call(key).code == -2015
    terminal.refuses("accounts", "2fa", "remove", account, reason="factor-missing")
    terminal.refuses("keys", "create", "--account", account, "--label", "x", reason="factor-missing")
    secret = terminal.run("accounts", "2fa", "add", account)["totpSecret"]
    assert len(base64.b32decode(secret)) == 20
    assert terminal.call(key).code == 0
    terminal.refuses("accounts", "2fa", "add", account, reason="factor-exists")


def test_a_broker_is_made_and_unmade(terminal: Terminal, email: str) -> None:
    for state, broker in (("on", True), ("on", True), ("off", False)):
        assert terminal.run("accounts", "broker", email, state)["broker"] is broker


def test_a_suspension_needs_a_reason_and_lasts_until_it_is_lifted(terminal: Terminal) -> None:
    account = terminal.account()
    key = terminal.key(account)
    terminal.refuses("accounts", "suspend", account, "--reason", " ", reason="cause-invalid")
    terminal.refuses("accounts", "suspend", account, "--reason", "x" * 201, reason="cause-invalid")
    assert terminal.call(key).code == 0
    assert terminal.run("accounts", "suspend", account, "--reason", "odd calls")["apiAccess"] == "SUSPENDED"
    assert terminal.call(key).code == -2015
    terminal.refuses("keys", "create", "--account", account, "--label", "x", reason="account-suspended")
    terminal.refuses("accounts", "restore", account, "--reason", "", reason="cause-invalid")
    assert terminal.run("accounts", "restore", account, "--reason", "explained")["apiAccess"] == "ACTIVE"
    assert terminal.call(key).code == 0


def test_an_erased_account_is_gone_and_its_address_free(terminal: Terminal) -> None:
    account = terminal.account()
    key = terminal.key(account)
    call = Caller(terminal.server.url, Credentials(key["apiKey"], key["secretKey"], "", ""))
    assert call.limit_order(quantity="0.001", price="20000").status == 200
    assert "openOrders" in terminal.refuses("accounts", "erase", account, reason="account-in-use")
    assert call("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"}).status == 200
    assert terminal.run("accounts", "erase", account)["erased"] is True
    assert terminal.call(key).code == -2015
    terminal.refuses("accounts", "show", account, reason="account-unknown")
    terminal.refuses("accounts", "erase", account, reason="account-unknown")
    terminal.refuses("keys", "show", key["apiKey"], reason="key-unknown")
    born_again = terminal.run("accounts", "create", account)
    assert terminal.run("accounts", "show", account)["accountId"] == born_again["accountId"]


def test_people_read_times_and_can_tell_keys_apart(terminal: Terminal, email: str) -> None:
    key = terminal.key(email)
    terminal.call(key)
    shown = sparekey("keys", "show", key["apiKey"], data=terminal.server.data).stdout
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(key["expiryTime"] / 1000))
    assert f"{key['expiryTime']} ({moment})" in shown
    tail = sparekey("log", "tail", "--key", key["apiKey"], data=terminal.server.data).stdout
    assert f"…{key['apiKey'][-6:]} " in tail
    assert key["apiKey"][:8] not in tail


def test_a_person_reads_in_one_line_what_was_wrong_and_what_to_do(terminal: Terminal, email: str) -> None:
    spoken = sparekey("keys", "rotate", "x" * 64, "--overlap", "1h", data=terminal.server.data)
    assert (spoken.returncode, spoken.stdout) == (1, "")
    assert spoken.stderr.startswith("sparekey: No key has this id. Compare it with the list")
    assert spoken.stderr.count("\n") == 1
    key = terminal.key(email)
    terminal.run("keys", "rotate", key["apiKey"], "--overlap", "0s")
    dead_ms = terminal.run("keys", "show", key["apiKey"])["expiryTime"]
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(dead_ms / 1000))
    assert f"{dead_ms} (ms)" in terminal.refuses("keys", "enable", key["apiKey"], reason="key-rotated")
    spoken = sparekey("keys", "enable", key["apiKey"], data=terminal.server.data)
    assert f" {dead_ms} ({moment})" in spoken.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "edit", "x" * 64, "--permission", "everything"),
        ("accounts", "kyc", "ann@example.com", "perhaps"),
        ("keys", "challenge", "--account", "ann@example.com", "--public-key", "nowhere.pem"),
    ],
)
def test_a_value_that_cannot_be_is_a_refusal_too(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    said = terminal.refuses(*arguments, reason="value-invalid")
    assert arguments[-1] in said
    spoken = sparekey(*arguments, data=terminal.server.data)
    assert (spoken.returncode, spoken.stdout) == (1, "")
    assert spoken.stderr == f"sparekey: {said}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("accounts", "kyc", "nobody@example.com", "approved"),
        ("accounts", "suspend", "nobody@example.com", "--reason", "x"),
        ("accounts", "restore", "nobody@example.com", "--reason", "x"),
        ("accounts", "2fa", "add", "nobody@example.com"),
        ("accounts", "2fa", "remove", "nobody@example.com"),
        ("accounts", "broker", "nobody@example.com", "on"),
        ("accounts", "erase", "nobody@example.com"),
        ("keys", "panic", "nobody@example.com"),
    ],
)
def test_an_unknown_account_is_named_as_such(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    terminal.refuses(*arguments, reason="account-unknown")


@pytest.mark.parametrize("act", ["disable", "enable", "usage", "delete"])
def test_an_unknown_key_is_named_as_such(terminal: Terminal, act: str) -> None:
    terminal.refuses("keys", act, "x" * 64, reason="key-unknown")


def test_a_ban_is_listed_until_it_is_lifted(start: Any) -> None:
    terminal = Terminal(start())
    assert terminal.run("bans", "list") == []
    terminal.refuses("bans", "lift", "127.0.0.41", reason="ban-unknown")
    call = terminal.server.call("127.0.0.41")
    for _ in range(2000):
        answer = call("GET", "/api/v3/exchangeInfo", {"symbol": "BTCUSDT"}, signed=False)
        if answer.status == 418:
            break
    [ban] = terminal.run("bans", "list")
    assert (ban["ip"], ban["level"]) == ("127.0.0.41", 1)
    assert 0 < ban["untilMs"] - time.time() * 1000 <= 120_000
    [receipt] = terminal.run("bans", "receipts", "127.0.0.41")
    assert (receipt["apiKey"], receipt["ip"], receipt["cause"]) == (None, "127.0.0.41", "banned")
    assert ban["untilMs"] - 120_000 <= receipt["accessUs"] // 1_000 <= time.time() * 1000  # told when it was imposed
    told = sparekey("bans", "receipts", "127.0.0.41", data=terminal.server.data).stdout
    assert told.rstrip().endswith("  banned")
    assert terminal.run("bans", "receipts", "127.0.0.42") == []
    # An API key is no address, although its receipts lie in the same place.
    other = terminal.key(terminal.account())
    terminal.run("keys", "delete", other["apiKey"])
    assert terminal.run("bans", "receipts", other["apiKey"]) == []
    assert terminal.run("bans", "lift", "127.0.0.41")["lifted"] is True
    assert terminal.run("bans", "list") == []
    call = terminal.server.call("127.0.0.41")
    assert call("GET", "/api/v3/ping", signed=False).status != 418


def test_receipts_say_when_a_key_was_no_longer_honoured(terminal: Terminal, email: str) -> None:
    key = terminal.key(email)
    assert terminal.call(key).code == 0
    assert terminal.run("keys", "receipts", key["apiKey"]) == []
    terminal.run("keys", "delete", key["apiKey"])
    assert terminal.call(key).code == -2015
    [receipt] = terminal.run("keys", "receipts", key["apiKey"])
    assert (receipt["apiKey"], receipt["cause"]) == (key["apiKey"], "deleted")
    assert [fence["shard"] for fence in receipt["shards"]] == ["spot"]
    assert receipt["lastHonouredUs"] < receipt["accessUs"] <= receipt["shards"][0]["us"]
    terminal.refuses("keys", "receipts", "x" * 64, reason="key-unknown")
