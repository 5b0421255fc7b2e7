"""What `apiRestrictions`, the two statuses and `canTrade` tell a key is what the key then finds, in every state."""

from __future__ import annotations

import urllib.parse
from typing import Any

from tests.signing import Answer, Caller
from tests.venue import Credentials, Venue

RESTRICTIONS = "/sapi/v1/account/apiRestrictions"
STATUS = "/sapi/v1/account/status"
TRADING_STATUS = "/sapi/v1/account/apiTradingStatus"
ACCOUNT = "/api/v3/account"
NINETY_DAYS_MS = 90 * 24 * 60 * 60 * 1000


def told(caller: Caller, path: str = RESTRICTIONS) -> Any:
    answer = caller("GET", path)
    assert answer.status == 200, answer
    return answer.body


def refused(caller: Caller, path: str) -> Answer:
    answer = caller("GET", path)
    assert (answer.status, answer.code) == (401, -2015), answer
    return answer


def edit(venue: Venue, key: Credentials, **changes: Any) -> Any:
    return venue.ask("PATCH", f"/keys/{key.api_key}", changes)


def account_path(key: Credentials) -> str:
    return f"/accounts/{urllib.parse.quote(key.email)}"


def test_the_flags_follow_every_edit(venue: Venue) -> None:
    key = venue.key(permissions=(), ips=("127.0.0.0/8",))
    caller = Caller(venue.url, key)
    flags = {
        "spot-and-margin-trading": "enableSpotAndMarginTrading",
        "margin-loan": "enableMargin",
        "futures": "enableFutures",
        "withdrawals": "enableWithdrawals",
        "internal-transfer": "enableInternalTransfer",
        "universal-transfer": "permitsUniversalTransfer",
    }
    before = told(caller)
    assert before["enableReading"] is True
    assert before["ipRestrict"] is True
    assert [before[flag] for flag in flags.values()] == [False] * len(flags)
    for name, flag in flags.items():
        edit(venue, key, permissions=[name, "spot-and-margin-trading"])
        now = told(caller)
        assert now["enableReading"] is True
        expected = {flag, "enableSpotAndMarginTrading"}
        assert {one for one in flags.values() if now[one]} == expected
        assert now["createTime"] == before["createTime"]


def test_without_a_whitelist_the_end_is_told_and_withdrawals_are_gone(venue: Venue) -> None:
    key = venue.key(permissions=("withdrawals",), ips=("127.0.0.0/8",))
    caller = Caller(venue.url, key)
    before = told(caller)
    assert "tradingAuthorityExpirationTime" not in before
    assert before["enableWithdrawals"] is True
    asked_ms = venue.clock.show()["policyMs"]
    document = edit(venue, key, ips=[])
    after = told(caller)
    assert (after["ipRestrict"], after["enableWithdrawals"], after["enableReading"]) == (False, False, True)
    assert after["tradingAuthorityExpirationTime"] == document["expiryTime"]
    assert 0 <= document["expiryTime"] - asked_ms - NINETY_DAYS_MS < 60_000
    edit(venue, key, ips=["127.0.0.1"])
    assert "tradingAuthorityExpirationTime" not in told(caller)
    edit(venue, key, ips=[])
    venue.clock.advance("90d")
    refused(caller, RESTRICTIONS)
    assert venue.last_call(key)["reason"] == "key-expired"


def test_the_end_of_a_rotations_overlap_is_told_to_the_old_key(venue: Venue) -> None:
    key = venue.key(ips=("127.0.0.0/8",))
    caller = Caller(venue.url, key)
    asked_ms = venue.clock.show()["policyMs"]
    new = venue.ask("POST", f"/keys/{key.api_key}/rotate", {"overlap": "2h"})
    end_ms = told(caller)["tradingAuthorityExpirationTime"]
    assert 0 <= end_ms - asked_ms - 2 * 60 * 60 * 1000 < 60_000
    assert venue.ask("GET", f"/keys/{key.api_key}")["expiryTime"] == end_ms
    replacement = Caller(venue.url, Credentials(new["apiKey"], new["secretKey"], "", key.email))
    assert "tradingAuthorityExpirationTime" not in told(replacement)
    venue.clock.advance("2h")
    refused(caller, RESTRICTIONS)
    assert venue.last_call(key)["reason"] == "key-rotated"
    assert told(replacement)["enableSpotAndMarginTrading"] is True


def test_losing_the_identity_check_or_the_factor_is_told_to_the_key_that_still_reads(venue: Venue) -> None:
    trading = venue.key()
    reading = venue.key(email=trading.email, permissions=())
    trader, reader = Caller(venue.url, trading), Caller(venue.url, reading)
    account = account_path(trading)

    def stand() -> tuple[bool, bool, bool]:
        body = told(reader, ACCOUNT)
        return body["canTrade"], body["canWithdraw"], told(reader, TRADING_STATUS)["data"]["isLocked"]

    assert stand() == (True, True, False)
    for lose, regain in (
        (("PUT", f"{account}/kyc", {"kyc": "rejected"}), ("PUT", f"{account}/kyc", {"kyc": "approved"})),
        (("DELETE", f"{account}/totp"), ("POST", f"{account}/totp")),
    ):
        venue.ask(*lose)
        assert stand() == (False, False, True)
        assert told(reader)["enableReading"] is True
        for path in (RESTRICTIONS, ACCOUNT, STATUS):
            refused(trader, path)
            assert venue.last_call(trading)["reason"] == "account-unverified"
        venue.ask(*regain)
        assert stand() == (True, True, False)
        assert told(trader)["enableSpotAndMarginTrading"] is True


def test_a_suspended_account_is_told_nothing_and_a_restored_one_everything(venue: Venue) -> None:
    key = venue.key()
    caller = Caller(venue.url, key)
    assert told(caller, STATUS) == {"data": "Normal"}
    shown = venue.ask("POST", f"{account_path(key)}/suspend", {"reason": "odd calls"})
    assert shown["apiAccess"] == "SUSPENDED"
    for path in (RESTRICTIONS, STATUS, TRADING_STATUS, ACCOUNT):
        refused(caller, path)
        assert venue.last_call(key)["reason"] == "account-suspended"
    shown = venue.ask("POST", f"{account_path(key)}/restore", {"reason": "explained"})
    assert shown["apiAccess"] == "ACTIVE"
    assert told(caller, STATUS) == {"data": "Normal"}
    assert told(caller, TRADING_STATUS)["data"]["isLocked"] is False
    assert told(caller, ACCOUNT)["canTrade"] is True


def test_a_sub_account_is_told_its_masters_standing(venue: Venue) -> None:
    master = venue.key()
    made = Caller(venue.url, master)("POST", "/sapi/v1/sub-account/virtualSubAccount", {"subAccountString": "desk"})
    reader = Caller(venue.url, venue.key(email=made.body["email"], permissions=()))
    for kyc, stands in (("approved", True), ("rejected", False), ("approved", True)):
        venue.ask("PUT", f"{account_path(master)}/kyc", {"kyc": kyc})
        assert told(reader, ACCOUNT)["canTrade"] is stands
        assert told(reader, TRADING_STATUS)["data"]["isLocked"] is not stands
