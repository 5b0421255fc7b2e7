"""The gate, question by question."""

from __future__ import annotations

import pytest

from sparekey.access.allowlist import Allowlist
from sparekey.access.commands import (
    AdvanceClock,
    DeleteKey,
    DisableKey,
    EditKey,
    EnableKey,
    RemoveTotp,
    RestoreAccess,
    SetKyc,
    SuspendAccess,
)
from sparekey.access.gate import late_check
from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import DAY_US
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from tests.unit.access.venue_of_keys import HOME, PAYLOAD, Desk, reason


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_rightly_signed_call_is_admitted_for_its_account_and_key(desk: Desk) -> None:
    account_id = desk.account()
    key = desk.key(account_id, whitelist=("127.0.0.1",))
    admission = desk.call(key)
    assert isinstance(admission, Admission)
    assert (admission.account_id, admission.key_id, admission.access_seq) == (account_id, key.key_id, desk.state.seq)


def test_an_admission_is_void_when_the_key_dies(desk: Desk) -> None:
    key = desk.key(desk.account())
    admission = desk.call(key)
    assert isinstance(admission, Admission)
    assert admission.not_after_us == desk.now_us + 90 * DAY_US


@pytest.mark.parametrize("header", [None, b"", b"short", b"a" * 63, b"a" * 65, b"a" * 63 + b"-", b"\xc3\xa9" * 32])
def test_what_is_no_api_key_is_malformed(desk: Desk, header: bytes | None) -> None:
    outcome = desk.gate.admit(
        HOME, header, Permission.READING, desk.now_us, 5_000_000, b"", "", desk.now_us, desk.now_us
    )
    assert reason(outcome) is Reason.KEY_MALFORMED
    assert reason(desk.gate.identify(HOME, header, Permission.READING, desk.now_us)) is Reason.KEY_MALFORMED


def test_a_well_formed_key_that_nobody_made_is_unknown(desk: Desk) -> None:
    outcome = desk.gate.admit(
        HOME, b"a" * 64, Permission.READING, desk.now_us, 5_000_000, b"", "", desk.now_us, desk.now_us
    )
    assert reason(outcome) is Reason.KEY_UNKNOWN


def test_a_deleted_key_is_refused_on_its_next_call_and_is_told_from_an_unknown_one(desk: Desk) -> None:
    key = desk.key(desk.account())
    sign = desk.sign(key)
    assert isinstance(desk.call(key), Admission)
    desk.do(DeleteKey(key.key_id))
    assert reason(desk.call(key, sign=sign)) is Reason.KEY_DELETED


def test_a_disabled_key_is_refused_until_it_is_enabled(desk: Desk) -> None:
    key = desk.key(desk.account())
    desk.do(DisableKey(key.key_id))
    assert reason(desk.call(key)) is Reason.KEY_DISABLED
    desk.do(EnableKey(key.key_id))
    assert isinstance(desk.call(key), Admission)


def test_a_suspended_account_has_no_working_key(desk: Desk) -> None:
    account_id = desk.account()
    key = desk.key(account_id)
    desk.do(SuspendAccess(account_id, "three bans in a day"))
    assert reason(desk.call(key)) is Reason.ACCOUNT_SUSPENDED
    assert desk.state.accounts[account_id].api_access == "SUSPENDED"
    desk.do(RestoreAccess(account_id, "it was us"))
    assert isinstance(desk.call(key), Admission)


@pytest.mark.parametrize("loss", ["kyc", "factor"])
def test_losing_the_identity_check_or_the_last_factor_stops_trading_keys_and_leaves_reading_ones(
    desk: Desk, loss: str
) -> None:
    account_id = desk.account()
    trading = desk.key(account_id, "trading")
    reading = desk.key(account_id, "reading", permissions=1)
    desk.do(SetKyc(account_id, "rejected") if loss == "kyc" else RemoveTotp(account_id))
    assert reason(desk.call(trading)) is Reason.ACCOUNT_UNVERIFIED
    assert reason(desk.call(trading, permission=Permission.READING)) is Reason.ACCOUNT_UNVERIFIED
    assert isinstance(desk.call(reading, permission=Permission.READING), Admission)


def test_a_key_without_whitelist_lives_to_the_last_microsecond_of_ninety_days(desk: Desk) -> None:
    key = desk.key(desk.account())
    made_us = desk.now_us
    desk.now_us = made_us + 90 * DAY_US - 1
    assert isinstance(desk.call(key), Admission)
    desk.now_us = made_us + 90 * DAY_US
    refusal = desk.call(key)
    assert reason(refusal) is Reason.KEY_EXPIRED
    assert refusal.facts == ((made_us + 90 * DAY_US) // 1000,)  # type: ignore[union-attr]


def test_advancing_the_policy_clock_kills_a_key_without_whitelist_while_timestamps_stay_valid(desk: Desk) -> None:
    account_id = desk.account()
    doomed = desk.key(account_id, "doomed")
    listed = desk.key(account_id, "listed", whitelist=("127.0.0.1",))
    desk.do(AdvanceClock(91 * DAY_US))
    assert reason(desk.call(doomed)) is Reason.KEY_EXPIRED
    assert isinstance(desk.call(listed), Admission)


@pytest.mark.parametrize(
    "ip", ["127.0.0.2", "203.0.113.7", "::1", "::ffff:127.0.0.2", "", "unix:", "127.0.0.1 ", "127.1"]
)
def test_a_call_from_an_address_that_is_not_listed_is_foreign(desk: Desk, ip: str) -> None:
    key = desk.key(desk.account(), whitelist=("127.0.0.1",))
    refusal = desk.call(key, ip=ip)
    assert reason(refusal) is Reason.IP_FOREIGN
    assert refusal.facts == (ip or "an address that cannot be read",)  # type: ignore[union-attr]


def test_an_address_that_was_let_in_is_not_looked_for_again_until_the_list_changes(desk: Desk) -> None:
    key = desk.key(desk.account(), whitelist=("127.0.0.0/8",))
    assert isinstance(desk.call(key, ip="127.0.0.1"), Admission)
    asked: list[str] = []

    class Refusing(Allowlist):
        def contains(self, ip: str) -> bool:
            asked.append(ip)
            return False

    key.allowlist = Refusing(key.whitelist)
    assert isinstance(desk.call(key, ip="127.0.0.1"), Admission)
    assert isinstance(desk.gate.identify("127.0.0.1", key.header, Permission.READING, desk.now_us), Admission)
    assert asked == []
    assert reason(desk.call(key, ip="127.0.0.3")) is Reason.IP_FOREIGN
    assert asked == ["127.0.0.3"]
    desk.do(EditKey(key.key_id, whitelist=("127.0.0.2",), loopback_allowed=True))
    assert reason(desk.call(key, ip="127.0.0.1")) is Reason.IP_FOREIGN
    assert isinstance(desk.call(key, ip="127.0.0.2"), Admission)


def test_an_address_that_cannot_be_read_is_nobodys_even_without_a_whitelist(desk: Desk) -> None:
    key = desk.key(desk.account())
    assert isinstance(desk.call(key), Admission)
    assert reason(desk.call(key, ip="")) is Reason.IP_FOREIGN
    trading = Permission.SPOT_AND_MARGIN_TRADING
    assert reason(desk.gate.identify("", key.api_key.encode(), trading, desk.now_us)) is Reason.IP_FOREIGN


def test_an_edited_whitelist_counts_from_the_next_call_on(desk: Desk) -> None:
    key = desk.key(desk.account(), whitelist=("127.0.0.1",))
    assert isinstance(desk.call(key), Admission)
    desk.do(EditKey(key.key_id, whitelist=("203.0.113.7",)))
    assert reason(desk.call(key)) is Reason.IP_FOREIGN
    assert isinstance(desk.call(key, ip="203.0.113.7"), Admission)


def test_a_missing_permission_is_named(desk: Desk) -> None:
    key = desk.key(desk.account(), permissions=1)
    refusal = desk.call(key)
    assert reason(refusal) is Reason.PERMISSION_MISSING
    assert refusal.facts == ("spot-and-margin-trading",)  # type: ignore[union-attr]
    assert isinstance(desk.call(key, permission=Permission.READING), Admission)


def test_every_permission_asked_for_must_be_there(desk: Desk) -> None:
    key = desk.key(desk.account())
    refusal = desk.call(key, permission=Permission.SPOT_AND_MARGIN_TRADING | Permission.MARGIN_LOAN)
    assert refusal.facts == ("margin-loan",)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ahead_us", "expected"),
    [
        (999_999, None),
        (1_000_000, Reason.TIMESTAMP_AHEAD),
        (0, None),
        (-5_000_000, None),
        (-5_000_001, Reason.TIMESTAMP_TOO_OLD),
    ],
)
def test_time_is_strict_ahead_and_inclusive_behind(desk: Desk, ahead_us: int, expected: Reason | None) -> None:
    key = desk.key(desk.account())
    outcome = desk.call(key, timestamp_us=desk.now_us + ahead_us)
    assert isinstance(outcome, Admission) if expected is None else reason(outcome) is expected


def test_an_old_timestamp_says_how_old_it_is(desk: Desk) -> None:
    key = desk.key(desk.account())
    outcome = desk.call(key, timestamp_us=desk.now_us - 6_000_001, recv_window_us=5_000_346)
    assert outcome.facts == (6_001, 5_000)  # type: ignore[union-attr]


def test_a_timestamp_ahead_says_how_far(desk: Desk) -> None:
    key = desk.key(desk.account())
    outcome = desk.call(key, timestamp_us=desk.now_us + 7_654_321)
    assert outcome.facts == (7_654,)  # type: ignore[union-attr]


def test_a_window_of_less_than_a_millisecond_is_kept_exactly(desk: Desk) -> None:
    key = desk.key(desk.account())
    assert isinstance(desk.call(key, timestamp_us=desk.now_us - 346, recv_window_us=346), Admission)
    assert reason(desk.call(key, timestamp_us=desk.now_us - 347, recv_window_us=346)) is Reason.TIMESTAMP_TOO_OLD


def test_the_late_check_asks_for_age_only() -> None:
    assert late_check(1_000_000, 5_000_000, 6_000_000) is None
    assert reason(late_check(1_000_000, 5_000_000, 6_000_001)) is Reason.TIMESTAMP_TOO_OLD


def test_a_wrong_secret_is_refused(desk: Desk) -> None:
    key = desk.key(desk.account())
    assert reason(desk.call(key, sign=lambda payload: "0" * 64)) is Reason.SIGNATURE_INVALID


def test_a_key_whose_secret_does_not_open_says_so(desk: Desk) -> None:
    key = desk.key(desk.account())
    sign = desk.sign(key)
    desk.vault.clear()
    assert reason(desk.call(key, sign=sign)) is Reason.SECRET_UNAVAILABLE


def test_the_questions_come_in_order(desk: Desk) -> None:
    """One call that fails everything; taking faults away one by one uncovers the next."""
    account_id = desk.account()
    key = desk.key(account_id, permissions=1)

    def answer(ip: str = "203.0.113.7", timestamp_us: int = 0) -> Reason:
        outcome = desk.call(key, ip=ip, timestamp_us=timestamp_us, sign=lambda payload: "0" * 64)
        return reason(outcome)

    desk.do(SuspendAccess(account_id, ""))
    desk.do(DisableKey(key.key_id))
    assert answer() is Reason.KEY_DISABLED
    desk.do(EnableKey(key.key_id))
    assert answer() is Reason.ACCOUNT_SUSPENDED
    desk.do(RestoreAccess(account_id, ""))
    desk.now_us += 90 * DAY_US
    assert answer() is Reason.KEY_EXPIRED
    desk.now_us -= 90 * DAY_US
    desk.do(EditKey(key.key_id, whitelist=("127.0.0.1",), loopback_allowed=True))
    assert answer() is Reason.IP_FOREIGN
    assert answer(HOME) is Reason.PERMISSION_MISSING
    desk.do(EditKey(key.key_id, permissions=3))
    assert answer(HOME) is Reason.TIMESTAMP_TOO_OLD
    assert answer(HOME, desk.now_us) is Reason.SIGNATURE_INVALID


def test_a_key_header_alone_identifies_where_no_signature_is_asked_for(desk: Desk) -> None:
    account_id = desk.account()
    key = desk.key(account_id, whitelist=("127.0.0.1",), permissions=1)
    outcome = desk.gate.identify(HOME, key.api_key.encode(), Permission.READING, desk.now_us)
    assert isinstance(outcome, Admission)
    assert outcome.account_id == account_id
    header = key.api_key.encode()
    trading = Permission.SPOT_AND_MARGIN_TRADING
    assert reason(desk.gate.identify("127.0.0.2", header, Permission.READING, desk.now_us)) is Reason.IP_FOREIGN
    assert reason(desk.gate.identify(HOME, header, trading, desk.now_us)) is Reason.PERMISSION_MISSING
    desk.do(DisableKey(key.key_id))
    assert reason(desk.gate.identify(HOME, header, Permission.READING, desk.now_us)) is Reason.KEY_DISABLED


def test_another_payload_than_the_signed_one_is_refused(desk: Desk) -> None:
    key = desk.key(desk.account())
    signature = desk.sign(key)(PAYLOAD)
    assert reason(desk.call(key, payload=PAYLOAD + b"0", sign=lambda payload: signature)) is Reason.SIGNATURE_INVALID
