"""Limits, bans, strikes and receipts of a running server, met over its sockets with time in the test's hand.

The wall clock of server and clients stands still until a test moves it, so that no window ends by itself. Profiles are
`classic` or `current` with a few numbers made small.
"""

from __future__ import annotations

import http.client
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sparekey.access.limits import BanRules, Limit, LimitPolicy
from sparekey.assemble import load_policy
from sparekey.terms.admissions import Admission
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import PlaceOrder
from tests.e2e.test_user_data import listen_key, stream
from tests.process import Server
from tests.signing import Answer, Caller
from tests.venue import Credentials, Venue

MINUTE_S = 60
PING = ("GET", "/api/v3/ping")
RAW = {"interval": "MINUTE", "interval_count": 5}
PER_MINUTE = {"interval": "MINUTE", "interval_count": 1}


class WallClock:
    """Stands a few seconds into five minutes of UTC, which windows begin with."""

    def __init__(self) -> None:
        self.now_ns = (time.time_ns() // (300 * 10**9) * 300 + 7) * 10**9

    def pass_seconds(self, seconds: float) -> None:
        self.now_ns += int(seconds * 10**9)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    clock = WallClock()
    monkeypatch.setattr(time, "time_ns", lambda: clock.now_ns)
    monkeypatch.setattr(time, "time", lambda: clock.now_ns / 10**9)
    return clock


def changed(policy: LimitPolicy, families: dict[str, dict[str, Any]], **changes: Any) -> LimitPolicy:
    replaced = {name: msgspec.structs.replace(policy.families[name], **made) for name, made in families.items()}
    return msgspec.structs.replace(policy, families=policy.families | replaced, **changes)


@pytest.fixture
def open_venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wall: WallClock) -> Iterator[Callable[..., Venue]]:
    """`open_venue({"spot": {…}}, bans=…, profile=…)`: a server whose profile is changed so."""
    started: list[Venue] = []

    def up(
        families: dict[str, dict[str, Any]] | None = None,
        *,
        profile: str = "classic",
        wire_strict: bool = False,
        **changes: Any,
    ) -> Venue:
        policy = changed(load_policy(profile), families or {}, **changes)
        monkeypatch.setattr("sparekey.assemble.load_policy", lambda name: policy)
        started.append(Venue(tmp_path / f"data-{len(started)}", profile=profile, wire_strict=wire_strict))
        return started[-1]

    yield up
    for venue in started:
        venue.stop()


def statuses(call: Caller, times: int) -> list[int]:
    return [call(*PING, signed=False).status for _ in range(times)]


# --- limits ----------------------------------------------------------------------------------------------------------


def test_raw_requests_are_counted_exactly_over_many_connections_and_start_anew_after_five_minutes(
    open_venue: Callable[..., Venue], wall: WallClock
) -> None:
    venue = open_venue({"spot": {"raw_requests": Limit(**RAW, limit=60)}})

    def burst(_: int) -> list[int]:
        return statuses(Caller(venue.url, source_ip="127.0.0.31"), 4)

    with ThreadPoolExecutor(20) as pool:
        answers = [status for burst_of in pool.map(burst, range(20)) for status in burst_of]
    assert (answers.count(200), answers.count(429)) == (60, 20)
    call = Caller(venue.url, source_ip="127.0.0.31")
    refused = call(*PING, signed=False)
    assert (refused.status, refused.body) == (429, {"code": -1003, "msg": "Too many requests queued."})
    assert refused.headers["Retry-After"] == str(300 - 7)
    wall.pass_seconds(300 - 7 - 0.001)
    assert call(*PING, signed=False).status == 429
    wall.pass_seconds(0.001)
    assert statuses(call, 60) == [200] * 60
    assert statuses(call, 1) == [429]


def test_each_sapi_endpoint_counts_an_address_by_itself_and_says_so_in_its_own_header(
    open_venue: Callable[..., Venue], wall: WallClock
) -> None:
    venue = open_venue({"sapi": {"weight": Limit(**PER_MINUTE, limit=20)}})
    key = venue.key()
    call = Caller(venue.url, key, "127.0.0.32")

    def ask(path: str) -> Answer:
        return call("GET", f"/sapi/v1/{path}")

    used = [ask("account/status").headers["X-SAPI-USED-IP-WEIGHT-1M"] for _ in range(20)]
    assert used == [str(number) for number in range(1, 21)]
    refused = ask("account/status")
    assert (refused.status, refused.code, refused.headers["X-SAPI-USED-IP-WEIGHT-1M"]) == (429, -1003, "21")
    assert refused.headers["Retry-After"] == "53"
    other = ask("account/apiTradingStatus")
    assert (other.status, other.headers["X-SAPI-USED-IP-WEIGHT-1M"]) == (200, "1")
    heavy = ask("capital/config/getall")
    assert heavy.headers["X-SAPI-USED-IP-WEIGHT-1M"] == "10"
    for answer in (refused, other, heavy):
        assert "X-SAPI-USED-UID-WEIGHT-1M" not in answer.headers
        assert not [name for name in answer.headers if name.upper().startswith("X-MBX-USED")]
    spot = call(*PING, signed=False)
    assert (spot.headers["X-MBX-USED-WEIGHT"], spot.headers["X-MBX-USED-WEIGHT-1M"]) == ("1", "1")
    assert not [name for name in spot.headers if name.upper().startswith("X-SAPI")]
    assert Caller(venue.url, key, "127.0.0.33")("GET", "/sapi/v1/account/status").status == 200
    wall.pass_seconds(53)
    assert ask("account/status").headers["X-SAPI-USED-IP-WEIGHT-1M"] == "1"


def test_an_account_s_weight_is_one_for_all_of_its_keys_and_addresses_and_another_account_s_is_its_own(
    open_venue: Callable[..., Venue], wall: WallClock
) -> None:
    venue = open_venue({"sapi": {"account_weight": Limit(**PER_MINUTE, limit=240)}})
    email, other = venue.account(), venue.account()
    path = "/sapi/v4/sub-account/assets"  # 60 by UID

    def ask(key: Credentials, source_ip: str) -> Answer:
        return Caller(venue.url, key, source_ip)("GET", path, {"email": "nobody@example.com"})

    first, second = venue.key(email=email), venue.key(email=email)
    answers = [ask(key, ip) for key, ip in [(first, "127.0.0.34"), (second, "127.0.0.35")] * 2]
    assert [answer.headers["X-SAPI-USED-UID-WEIGHT-1M"] for answer in answers] == ["60", "120", "180", "240"]
    assert {answer.status for answer in answers} == {400}
    assert all("X-SAPI-USED-IP-WEIGHT-1M" not in answer.headers for answer in answers)
    refused = ask(first, "127.0.0.36")
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, -1003, "53")
    assert refused.headers["X-SAPI-USED-UID-WEIGHT-1M"] == "300"
    assert ask(venue.key(email=other), "127.0.0.34").headers["X-SAPI-USED-UID-WEIGHT-1M"] == "60"
    # Whoever is not admitted is told nothing of the account.
    stranger = Caller(venue.url, first._replace(secret="x" * 64), "127.0.0.34")("GET", path, {"email": "a@example.com"})
    assert stranger.code == -1022
    assert "X-SAPI-USED-UID-WEIGHT-1M" not in stranger.headers
    wall.pass_seconds(53)
    assert ask(first, "127.0.0.36").headers["X-SAPI-USED-UID-WEIGHT-1M"] == "60"


@pytest.mark.parametrize(("profile", "gives_back"), [("classic", False), ("current", True)])
def test_only_where_the_profile_says_so_an_order_s_first_fill_gives_its_count_back(
    open_venue: Callable[..., Venue], wall: WallClock, profile: str, gives_back: bool
) -> None:
    limits = (
        Limit(interval="SECOND", interval_count=10, limit=3),
        Limit(interval="DAY", interval_count=1, limit=1_000),
    )
    venue = open_venue({"spot": {"orders": limits}}, profile=profile)
    maker = Caller(venue.url, venue.key(fund={"BTC": "1"}))
    taker = Caller(venue.url, venue.key(fund={"USDT": "100000"}))
    for _ in range(2):
        assert maker.limit_order(side="SELL", quantity="0.01", price="20000").status == 200
    # Two that rest, then as many that fill as the window allows.
    assert taker.limit_order(price="15000").headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert taker.limit_order(price="15000").headers["X-MBX-ORDER-COUNT-10S"] == "2"
    filling = [taker.limit_order(quantity="0.001") for _ in range(4)]
    if gives_back:
        assert [answer.body["status"] for answer in filling] == ["FILLED"] * 4
        assert taker.limit_order(price="15000").status == 200
        assert taker.limit_order(price="15000").code == -1015
    else:
        assert [answer.code for answer in filling] == [0, -1015, -1015, -1015]
    counted = taker("GET", "/api/v3/rateLimit/order").body
    assert [row["count"] for row in counted] == [3, 3]
    wall.pass_seconds(3)  # the next ten seconds begin
    assert taker.limit_order(price="15000").headers["X-MBX-ORDER-COUNT-10S"] == "1"


def test_connections_of_streams_are_counted_exactly_over_sockets(
    open_venue: Callable[..., Venue], wall: WallClock
) -> None:
    venue = open_venue({"spot": {"connections": Limit(**RAW, limit=5)}})

    def knock() -> int:
        address = urllib.parse.urlsplit(venue.url)
        assert address.hostname
        door = http.client.HTTPConnection(address.hostname, address.port, timeout=10, source_address=("127.0.0.37", 0))
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        door.request("GET", "/ws/0", headers=headers | {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        status = door.getresponse().status
        door.close()
        return status

    assert [knock() for _ in range(7)] == [101] * 5 + [429] * 2
    wall.pass_seconds(300 - 7)
    assert knock() == 101


# --- what is told ahead ----------------------------------------------------------------------------------------------


def forecast_of(answer: Answer) -> dict[str, int]:
    text = answer.headers["X-Sparekey-Ban-Forecast"]
    return {name: int(value) for name, value in (part.split("=") for part in text.split("; "))}


def test_replies_near_the_limit_tell_how_far_the_ban_is_and_others_do_not(open_venue: Callable[..., Venue]) -> None:
    rules = BanRules(refusals=3, steps_us=(120_000_000,), decay_us=1)
    venue = open_venue({"spot": {"weight": Limit(**PER_MINUTE, limit=20)}}, bans=rules)
    call = Caller(venue.url, source_ip="127.0.0.38")
    for _ in range(15):
        assert "X-Sparekey-Ban-Forecast" not in call(*PING, signed=False).headers
    assert forecast_of(call(*PING, signed=False)) == {"left": 4, "refusals-left": 3, "resets-s": 53, "ban-s": 120}
    for _ in range(4):
        last = call(*PING, signed=False)
    assert (last.status, forecast_of(last)["left"]) == (200, 0)
    for left in (2, 1, 0):
        refused = call(*PING, signed=False)
        assert (refused.status, forecast_of(refused)["refusals-left"]) == (429, left)
    banned = call(*PING, signed=False)
    assert (banned.status, banned.headers["Retry-After"]) == (418, "120")
    assert "X-Sparekey-Ban-Forecast" not in banned.headers


def test_a_key_s_last_fourteen_days_are_told_on_its_replies(open_venue: Callable[..., Venue]) -> None:
    venue = open_venue()
    key, listed = venue.key(ips=[]), venue.key()
    expires_ms = venue.ask("GET", f"/keys/{key.api_key}")["expiryTime"]

    def told(of: Credentials, **changes: Any) -> str | None:
        return Caller(venue.url, of).limit_order(**changes).headers["X-Sparekey-Key-Expires"]

    venue.clock.advance("76d")
    assert told(key) is None
    venue.clock.advance("1s")
    assert told(key) == str(expires_ms)
    assert told(key, symbol="NONE") == str(expires_ms)
    assert Caller(venue.url, key)("GET", "/api/v3/account").headers["X-Sparekey-Key-Expires"] == str(expires_ms)
    assert Caller(venue.url, key._replace(secret="x" * 64)).limit_order().headers["X-Sparekey-Key-Expires"] is None
    assert told(listed) is None
    assert "X-MBX-ORDER-COUNT-10S" in Caller(venue.url, venue.key(fund={"USDT": "100"})).limit_order().headers


def test_a_strict_wire_tells_nothing_that_binance_does_not_and_reserves_no_cancels(
    open_venue: Callable[..., Venue],
) -> None:
    venue = open_venue({"spot": {"weight": Limit(**PER_MINUTE, limit=20)}}, wire_strict=True)
    key = venue.key(ips=[])
    venue.clock.advance("80d")
    call = Caller(venue.url, key, "127.0.0.39")
    answers = [call(*PING, signed=False) for _ in range(22)]
    answers.append(call("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"}))
    assert [answer.status for answer in answers] == [200] * 20 + [429] * 3
    answers.append(Caller(venue.url, key, "127.0.0.40")("GET", "/api/v3/openOrders", {"symbol": "BTCUSDT"}))
    assert answers[-1].status == 200
    assert not [name for answer in answers for name in answer.headers if name.lower().startswith("x-sparekey")]


# --- cancels ---------------------------------------------------------------------------------------------------------


def test_a_bot_that_used_up_its_weight_can_still_cancel_a_few_orders(
    open_venue: Callable[..., Venue], wall: WallClock
) -> None:
    venue = open_venue(
        {"spot": {"weight": Limit(**PER_MINUTE, limit=20)}}, reserved_cancels=Limit(**PER_MINUTE, limit=2)
    )
    key = venue.key(fund={"USDT": "1000"})
    call = Caller(venue.url, key, "127.0.0.41")
    ids = [call.limit_order().body["orderId"] for _ in range(4)]
    while call(*PING, signed=False).status == 200:
        pass
    assert call.limit_order().status == 429

    def cancel(order_id: int) -> Answer:
        return call("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": order_id})

    first = cancel(ids[0])
    assert (first.status, first.body["status"]) == (200, "CANCELED")
    assert first.headers["X-Sparekey-Reserved-Cancels"] == "used=1; limit=2"
    rest = call("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"})
    assert (rest.status, len(rest.body)) == (200, 3)
    assert rest.headers["X-Sparekey-Reserved-Cancels"] == "used=2; limit=2"
    assert cancel(ids[0]).status == 429
    wall.pass_seconds(53)
    ids = [call.limit_order().body["orderId"]]
    while call(*PING, signed=False).status != 418:
        pass
    assert (
        Caller(venue.url, key, "127.0.0.41")("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": ids[0]}).status
        == 418
    )


# --- bans ------------------------------------------------------------------------------------------------------------

EAGER = BanRules(refusals=1, steps_us=(120_000_000, 600_000_000, 3_600_000_000), decay_us=86_400_000_000)


def earn_ban(venue: Venue, source_ip: str, key: Credentials | None = None) -> None:
    """By calls that are signed if there is a key; the address must not be banned."""
    for _ in range(200):
        call = Caller(venue.url, key, source_ip)
        answer = call("GET", "/api/v3/account") if key else call(*PING, signed=False)
        if answer.status == 418:
            return
    raise AssertionError("not banned")


def eager(open_venue: Callable[..., Venue], **changes: Any) -> Venue:
    return open_venue({"spot": {"weight": Limit(**PER_MINUTE, limit=30)}}, bans=EAGER, **changes)


def test_a_ban_ends_on_time_by_the_policy_clock_and_by_the_wall_clock_and_never_later(
    open_venue: Callable[..., Venue], wall: WallClock
) -> None:
    venue = eager(open_venue)
    ip = "127.0.0.42"

    def status() -> int:
        return Caller(venue.url, source_ip=ip)(*PING, signed=False).status

    earn_ban(venue, ip)
    wall.pass_seconds(119.999)
    assert status() == 418
    wall.pass_seconds(0.001)
    assert status() == 200
    earn_ban(venue, ip)
    wall.pass_seconds(100)
    venue.clock.advance("8m")
    assert status() == 418
    venue.clock.advance("20s")
    assert status() == 200
    earn_ban(venue, ip)
    assert status() == 418
    wall.pass_seconds(1_800)
    assert status() == 418
    wall.pass_seconds(-7_200)  # the host's clock is corrected
    assert status() == 418
    wall.pass_seconds(1_799.999)
    assert status() == 418
    wall.pass_seconds(0.001)
    assert status() == 200


def test_a_ban_closes_every_socket_of_its_address_and_none_of_another(open_venue: Callable[..., Venue]) -> None:
    venue = eager(open_venue)
    key = venue.key()
    address = urllib.parse.urlsplit(venue.url)
    assert address.hostname

    def connect(ip: str) -> http.client.HTTPConnection:
        assert address.hostname
        made = http.client.HTTPConnection(address.hostname, address.port, timeout=10, source_address=(ip, 0))
        made.request("GET", "/api/v3/time")
        made.getresponse().read()
        return made

    idle, other = connect("127.0.0.43"), connect("127.0.0.44")
    target = f"/ws/{listen_key(Caller(venue.url, key))}"
    with (
        stream(venue, target, source_address=("127.0.0.43", 0)) as closing,
        stream(venue, target, source_address=("127.0.0.44", 0)) as staying,
    ):
        earn_ban(venue, "127.0.0.43")
        assert idle.sock.recv(1) == b""
        assert closing.ended() == (1008, "The address is banned.")
        assert staying.ask(method="LIST_SUBSCRIPTIONS", id=1)["id"] == 1
    other.request("GET", "/api/v3/time")
    assert other.getresponse().status == 200
    banned = Caller(venue.url, source_ip="127.0.0.43")(*PING, signed=False)
    assert (banned.status, banned.headers["Connection"]) == (418, "close")


def test_a_ban_outlives_a_killed_server_and_the_next_one_is_longer(start: Callable[..., Server]) -> None:
    """Of the real profile: fifty refusals are ignored."""
    ip = "127.0.0.45"

    def banned_for(server: Server) -> int:
        for _ in range(300):
            answer = server.call(ip)("GET", "/api/v3/exchangeInfo", {"symbol": "BTCUSDT"}, signed=False)
            if answer.status == 418:
                return int(answer.headers["Retry-After"])
        raise AssertionError("not banned")

    first = start()
    assert banned_for(first) == 120
    first.kill()
    second = start()
    answer = second.call(ip)(*PING, signed=False)
    assert answer.status == 418
    assert 60 <= int(answer.headers["Retry-After"]) <= 120
    assert second.call("127.0.0.46")(*PING, signed=False).status == 200


# --- strikes ---------------------------------------------------------------------------------------------------------


def trading_status(venue: Venue, key: Credentials) -> str:
    return str(venue.ask("GET", f"/accounts/{urllib.parse.quote(key.email)}")["apiAccess"])


def test_three_bans_in_a_day_that_an_account_s_own_signed_calls_earned_suspend_it(
    open_venue: Callable[..., Venue], wall: WallClock
) -> None:
    venue = eager(open_venue)
    key, bystander = venue.key(), venue.key()
    for number in (1, 2, 3):
        assert trading_status(venue, key) == "ACTIVE"
        earn_ban(venue, f"127.0.0.{50 + number}", key)
    assert trading_status(venue, key) == "SUSPENDED"
    assert trading_status(venue, bystander) == "ACTIVE"
    assert Caller(venue.url, key, "127.0.0.60")("GET", "/api/v3/account").code == -2015
    assert venue.last_call(key)["reason"] == "account-suspended"
    assert Caller(venue.url, bystander, "127.0.0.60")("GET", "/api/v3/account").status == 200
    venue.ask("POST", f"/accounts/{urllib.parse.quote(key.email)}/restore", {"reason": "the bot was mended"})
    assert Caller(venue.url, key, "127.0.0.60")("GET", "/api/v3/account").status == 200
    earn_ban(venue, "127.0.0.54", key)
    assert trading_status(venue, key) == "ACTIVE"  # who was let back in starts anew


def test_bans_a_day_apart_suspend_with_the_fifth_and_not_before(
    open_venue: Callable[..., Venue], wall: WallClock
) -> None:
    venue = eager(open_venue)
    key = venue.key()
    for number in range(4):
        earn_ban(venue, f"127.0.0.{61 + number}", key)
        venue.clock.advance("24h")
        assert trading_status(venue, key) == "ACTIVE"
    earn_ban(venue, "127.0.0.65", key)
    assert trading_status(venue, key) == "SUSPENDED"


@pytest.mark.parametrize("forgery", ["no signature", "wrong signature", "old timestamp", "no key", "foreign address"])
def test_nobody_can_get_a_stranger_suspended(open_venue: Callable[..., Venue], forgery: str) -> None:
    venue = eager(open_venue)
    victim = venue.key(ips=["127.0.0.70"])
    wrong = victim._replace(secret="x" * 64)
    for number in range(6):
        ip = f"127.0.0.{71 + number}" if forgery == "foreign address" else "127.0.0.70"
        for _ in range(60):
            call = Caller(venue.url, wrong if forgery == "wrong signature" else victim, ip)
            if forgery == "no signature":
                answer = call("GET", "/api/v3/account", signed=False)
            elif forgery == "no key":
                answer = call(*PING, signed=False)
            elif forgery == "old timestamp":
                answer = call("GET", "/api/v3/account", {"timestamp": 1_700_000_000_000, "recvWindow": 5_000})
            else:
                answer = call("GET", "/api/v3/account")
            if answer.status == 418:
                break
        assert answer.status == 418
        venue.clock.advance("2h")
        assert trading_status(venue, victim) == "ACTIVE"


# --- receipts --------------------------------------------------------------------------------------------------------


def test_a_receipt_says_when_each_shard_and_stream_stopped_honouring_a_deleted_key(venue: Venue) -> None:
    key = venue.key(fund={"USDT": "1000"})
    call = Caller(venue.url, key)
    with stream(venue, f"/ws/{listen_key(call)}") as closing:
        assert call.limit_order().status == 200
        venue.delete_key(key)
        assert closing.ended()[0] == 1008
    for _ in range(3):
        assert call("GET", "/api/v3/account").code == -2015
    (receipt,) = venue.ask("GET", f"/keys/{key.api_key}/receipts")
    assert (receipt["apiKey"], receipt["cause"], receipt["streamsClosed"]) == (key.api_key, "deleted", 1)
    (shard,) = receipt["shards"]
    assert shard["shard"] == "spot"
    assert receipt["lastHonouredUs"] <= receipt["accessUs"] <= shard["us"] <= receipt["closedUs"]
    assert receipt["closedUs"] - receipt["accessUs"] < 1_000_000
    honoured = [row for row in venue.calls(key) if row["http"] == 200]
    assert receipt["lastHonouredUs"] // 1_000 == max(row["timeMs"] for row in honoured)


def test_each_form_of_revocation_leaves_a_receipt_that_names_it(venue: Venue) -> None:
    def causes(key: Credentials) -> list[str]:
        receipts = venue.ask("GET", f"/keys/{key.api_key}/receipts")
        assert all(receipt["accessSeq"] and len(receipt["shards"]) == 1 for receipt in receipts)
        return [receipt["cause"] for receipt in receipts]

    def of(email: str) -> str:
        return f"/accounts/{urllib.parse.quote(email)}"

    venue_key = venue.key
    disabled, edited, rotated, expiring = venue_key(), venue_key(), venue_key(), venue_key(ips=[])
    unverified, unsecured, suspended, panicking = venue_key(), venue_key(), venue_key(), venue_key()
    venue.ask("POST", f"/keys/{disabled.api_key}/disable")
    venue.ask("PATCH", f"/keys/{edited.api_key}", {"permissions": ["reading"]})
    venue.ask("POST", f"/keys/{rotated.api_key}/rotate", {"overlap": "1h"})
    venue.ask("PUT", f"{of(unverified.email)}/kyc", {"kyc": "rejected"})
    venue.ask("DELETE", f"{of(unsecured.email)}/totp")
    venue.ask("POST", f"{of(suspended.email)}/suspend", {"reason": "test"})
    venue.ask("POST", f"{of(panicking.email)}/panic", {"reason": "test"})
    venue.clock.advance("90d")
    found = [causes(key) for key in (disabled, edited, rotated, expiring, unverified, unsecured, suspended, panicking)]
    assert found == [
        ["disabled"],
        ["edited"],
        ["rotated", "expired"],
        ["expired"],
        ["kyc-withdrawn"],
        ["factor-removed"],
        ["suspended"],
        ["panic"],
    ]


def test_a_key_that_is_enabled_again_keeps_the_receipt_of_its_pause(venue: Venue) -> None:
    key = venue.key()
    call = Caller(venue.url, key)
    call("GET", "/api/v3/account")
    venue.ask("POST", f"/keys/{key.api_key}/disable")
    call("GET", "/api/v3/account")
    venue.ask("POST", f"/keys/{key.api_key}/enable")
    assert call("GET", "/api/v3/account").status == 200
    (receipt,) = venue.ask("GET", f"/keys/{key.api_key}/receipts")
    assert receipt["lastHonouredUs"] <= receipt["accessUs"]


def test_a_call_that_was_admitted_before_a_revocation_and_reaches_the_venue_after_it_is_refused(venue: Venue) -> None:
    """Over sockets nothing comes between; here the running server's own parts are asked in the unlucky order."""
    key, other = venue.key(fund={"USDT": "1000"}), venue.key(fund={"USDT": "1000"})
    running = venue._running

    def admission(of: Credentials) -> Admission:
        found = running._gate.identify("127.0.0.1", of.api_key.encode(), Permission.SPOT_AND_MARGIN_TRADING, 0)
        assert isinstance(found, Admission)
        return found

    def place(admitted: Admission) -> object:
        async def submit() -> object:
            command = PlaceOrder(admitted, "BTCUSDT", "BUY", "LIMIT", "GTC", 10**5, price=20_000 * 10**8)
            return running._sequencer.submit("spot", command)

        return venue._await(submit())

    early, others = admission(key), admission(other)
    assert not isinstance(place(early), Refusal)
    venue.ask("PATCH", f"/keys/{key.api_key}", {"permissions": ["reading", "spot-and-margin-trading"]})
    refused = place(early)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.KEY_FENCED
    assert not isinstance(place(admission(key)), Refusal)
    assert not isinstance(place(others), Refusal)
