"""The gate as a stranger on the network meets it: exact limits, foreign addresses, expiry, one uniform -2015."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.signing import Caller
from tests.venue import Credentials, Refused, Venue

UNIFORM = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}


def at_the_start_of(window_s: int, room_s: float) -> None:
    """Wait until the current window still has `room_s` seconds: windows are aligned to UTC and cannot be moved."""
    left = window_s - time.time() % window_s
    if left < room_s:
        time.sleep(left + 0.01)


def test_an_address_outside_the_whitelist_is_refused_and_one_inside_is_served(venue: Venue) -> None:
    key = venue.key(ips=["127.0.0.1"])
    assert Caller(venue.url, key, "127.0.0.1")("GET", "/api/v3/account").status == 200
    answer = Caller(venue.url, key, "127.0.0.2")("GET", "/api/v3/account")
    assert (answer.status, answer.body) == (401, UNIFORM)
    assert venue.last_call(key)["reason"] == "ip-foreign"
    assert venue.last_call(key)["ip"] == "127.0.0.2"


def test_a_key_without_whitelist_dies_after_ninety_days_one_with_a_whitelist_lives(venue: Venue) -> None:
    email = venue.account(fund={"USDT": "1000"})
    open_key, listed_key = venue.key(email=email, ips=[]), venue.key(email=email, ips=["127.0.0.0/8"])
    calls = {key: Caller(venue.url, key) for key in (open_key, listed_key)}
    assert [call("GET", "/api/v3/account").status for call in calls.values()] == [200, 200]
    venue.clock.advance("91d")
    # The running bots' timestamps are still wall time, and still valid.
    assert (calls[open_key]("GET", "/api/v3/account").body) == UNIFORM
    assert venue.last_call(open_key)["reason"] == "key-expired"
    assert calls[listed_key]("GET", "/api/v3/account").status == 200
    assert calls[listed_key].limit_order().status == 200


def test_a_key_of_89_days_lives(venue: Venue) -> None:
    key = venue.key(ips=[])
    venue.clock.advance("89d")
    assert Caller(venue.url, key)("GET", "/api/v3/account").status == 200


def test_every_cause_of_2015_is_alike_outside_and_apart_in_the_log(venue: Venue) -> None:
    email = venue.account()
    deleted, foreign, reader = (
        venue.key(email=email),
        venue.key(email=email, ips=["127.0.0.9"]),
        venue.key(email=email, permissions=["reading"]),
    )
    venue.delete_key(deleted)
    unknown = Credentials("U" * 64, "s" * 64, "", "")
    answers = {
        "key-deleted": Caller(venue.url, deleted).limit_order(),
        "ip-foreign": Caller(venue.url, foreign).limit_order(),
        "permission-missing": Caller(venue.url, reader).limit_order(),
        "key-unknown": Caller(venue.url, unknown).limit_order(),
    }
    assert {(answer.status, str(answer.body)) for answer in answers.values()} == {(401, str(UNIFORM))}
    assert [row["reason"] for row in venue.calls(limit=4)] == list(answers)


def test_a_deleted_key_is_refused_on_its_next_call(venue: Venue) -> None:
    key = venue.key()
    call = Caller(venue.url, key)
    assert call("GET", "/api/v3/account").status == 200
    venue.delete_key(key)
    assert call("GET", "/api/v3/account").body == UNIFORM


def test_weight_1201_in_a_minute_is_429_and_ignoring_it_is_418(venue: Venue) -> None:
    at_the_start_of(60, 12)
    call = Caller(venue.url, source_ip="127.0.0.21")
    for _ in range(120):
        assert call("GET", "/api/v3/exchangeInfo", {"symbol": "BTCUSDT"}, signed=False).status == 200
    refused = call("GET", "/api/v3/ping", signed=False)
    assert (refused.status, refused.code) == (429, -1003)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert int(refused.headers["X-MBX-USED-WEIGHT-1M"]) > 1200
    for _ in range(1000):
        banned = call("GET", "/api/v3/ping", signed=False)
        if banned.status == 418:
            break
    assert (banned.status, banned.code) == (418, -1003)
    assert "IP banned until" in banned.body["msg"]
    assert int(banned.headers["Retry-After"]) > 60
    # Nobody else is touched.
    assert Caller(venue.url, source_ip="127.0.0.22")("GET", "/api/v3/ping", signed=False).status == 200


def test_exactly_1200_of_many_parallel_weights_are_granted(venue: Venue) -> None:
    at_the_start_of(60, 15)
    start = threading.Barrier(50)

    def burst(_: int) -> Counter[int]:
        call = Caller(venue.url, source_ip="127.0.0.23")
        start.wait()
        return Counter(
            call("GET", "/api/v3/exchangeInfo", {"symbol": "BTCUSDT"}, signed=False).status for _ in range(3)
        )

    with ThreadPoolExecutor(50) as pool:
        statuses = sum(pool.map(burst, range(50)), Counter())
    assert statuses[200] == 120
    assert statuses[429] + statuses[418] == 30


def test_order_101_in_ten_seconds_is_1015_exactly_with_50_parallel_clients(venue: Venue) -> None:
    key = venue.key(fund={"USDT": "1000000"})
    at_the_start_of(10, 8)
    start = threading.Barrier(50)

    def burst(client: int) -> Counter[int]:
        call = Caller(venue.url, key, f"127.0.1.{client + 1}")
        start.wait()
        return Counter(call.limit_order().code for _ in range(3))

    with ThreadPoolExecutor(50) as pool:
        codes = sum(pool.map(burst, range(50)), Counter())
    assert codes == {0: 100, -1015: 50}
    refused = Caller(venue.url, key, "127.0.1.200").limit_order()
    assert refused.status == 429
    assert refused.body["msg"] == "Too many new orders; current limit is 100 orders per 10 SECOND."
    assert 1 <= int(refused.headers["Retry-After"]) <= 10


def test_the_order_count_headers_count(venue: Venue) -> None:
    call = Caller(venue.url, venue.key(fund={"USDT": "1000000"}))
    at_the_start_of(10, 3)
    counts = [call.limit_order().headers["X-MBX-ORDER-COUNT-10S"] for _ in range(3)]
    assert counts == ["1", "2", "3"]


@pytest.mark.parametrize("key_type", ["hmac", "rsa", "ed25519"])
def test_one_changed_byte_of_the_payload_is_refused(venue: Venue, key_type: str) -> None:
    key = venue.key(key_type, fund={"USDT": "1000"})
    call = Caller(venue.url, key)
    answer = call("GET", "/api/v3/account", {"signature": "0" * 64})
    assert answer.code in (-1022, -1100, -1101)
    text_of_another = Caller(venue.url, key)("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": 1})
    assert text_of_another.code == -2013


def test_kyc_and_a_second_factor_are_needed_for_a_key(venue: Venue) -> None:
    for account, reason in (
        (venue.account(kyc="none"), "kyc-missing"),
        (venue.account(kyc="pending"), "kyc-missing"),
        (venue.account(totp=False), "factor-missing"),
    ):
        with pytest.raises(Refused) as refused:
            venue.key(email=account)
        assert refused.value.reason == reason


def test_the_thirty_first_key_is_refused_also_under_a_race(venue: Venue) -> None:
    email = venue.account()

    def create(_: int) -> str:
        try:
            venue.key(email=email)
        except Refused as refused:
            return refused.reason
        return "created"

    with ThreadPoolExecutor(50) as pool:
        assert Counter(pool.map(create, range(50))) == {"created": 30, "key-limit": 20}


def test_a_skewed_wire_clock_makes_a_correct_timestamp_old(venue: Venue) -> None:
    call = Caller(venue.url, venue.key())
    venue.clock.skew("+10s")
    answer = call("GET", "/api/v3/account", {"recvWindow": 5000})
    assert (answer.status, answer.code) == (400, -1021)
    assert call("GET", "/api/v3/time", signed=False).body["serverTime"] > time.time() * 1000 + 9000
    venue.clock.skew("0s")
    assert call("GET", "/api/v3/account").status == 200


def test_an_api_key_never_reaches_the_management_api(venue: Venue) -> None:
    answer = Caller(venue.url, venue.key())("GET", "/sparekey/v1/clock")
    assert answer.status == 401
