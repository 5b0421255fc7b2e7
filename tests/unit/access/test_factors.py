"""Second factors, recovery codes, tries and identity checks: what is refused, and what follows in the same commit."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sparekey.access.attempts import limited_until, with_attempt
from sparekey.access.commands import (
    AddPasskey,
    ChangePassword,
    CreateSubAccount,
    EndSessions,
    EnrolSms,
    EnrolTotp,
    EraseAccount,
    PassFactorAttempt,
    RemovePasskey,
    RemoveSms,
    RemoveTotp,
    SetKyc,
    SetRecoveryCodes,
    StartFactorAttempt,
    SubmitKyc,
    UsePasskey,
    UseRecoveryCode,
)
from sparekey.access.events import (
    FactorAttempted,
    PasskeyAdded,
    PasskeyRemoved,
    RecoveryCodesSet,
    SmsRemoved,
    TotpRemoved,
    WithdrawalsHeld,
)
from sparekey.access.factors import PASSKEYS_MOST
from sparekey.access.shard import AccessShard
from sparekey.access.state import Account, Passkey
from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from tests.unit.access.venue_of_keys import NOW_US, Desk, reason


@pytest.fixture
def desk() -> Desk:
    return Desk()


def account_of(desk: Desk, account_id: int) -> Account:
    return desk.state.accounts[account_id]


def passkey(account_id: int, name: str = "Y3JlZA", **changes: Any) -> AddPasskey:
    return msgspec.structs.replace(AddPasskey(account_id, name, "Y29zZQ", 0, "laptop", ("internal",)), **changes)


def commands(account_id: int) -> list[Any]:
    return [
        ChangePassword(account_id, "password/x"),
        EndSessions(account_id),
        EnrolSms(account_id, "sms/x"),
        RemoveSms(account_id),
        passkey(account_id),
        UsePasskey(account_id, "Y3JlZA", 1),
        RemovePasskey(account_id, "Y3JlZA"),
        SetRecoveryCodes(account_id, "recovery/x", 10),
        UseRecoveryCode(account_id, 0),
        StartFactorAttempt(account_id),
        PassFactorAttempt(account_id),
        SubmitKyc(account_id, "kyc/x"),
    ]


def test_an_account_that_does_not_exist_has_none_of_it(desk: Desk) -> None:
    erased = desk.account()
    desk.do(EraseAccount(erased))
    for account_id in (1, erased):
        for command in commands(account_id):
            assert desk.refused(command).reason is Reason.ACCOUNT_UNKNOWN


def test_nobody_signs_in_to_a_sub_account(desk: Desk) -> None:
    master = desk.account()
    sub = desk.state.next_account_id
    desk.do(CreateSubAccount(master, "digest of sub", "virtual"))
    for command in commands(sub):
        assert desk.refused(command).reason is Reason.MAIN_ACCOUNT_ONLY


@pytest.mark.parametrize("command", [ChangePassword, EnrolSms, SubmitKyc])
def test_what_is_sealed_needs_a_name(desk: Desk, command: Any) -> None:
    assert desk.refused(command(desk.account(kyc="none"), "")).reason is Reason.REQUEST_INVALID


# --- keys depend on any second factor --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("enrol", "remove", "name"),
    [
        (lambda account_id: EnrolSms(account_id, "sms/x"), RemoveSms, "sms"),
        (passkey, lambda account_id, proof: RemovePasskey(account_id, "Y3JlZA", proof), "passkey"),
        (lambda account_id: EnrolTotp(account_id, "totp/x"), RemoveTotp, "totp"),
    ],
)
def test_any_one_factor_carries_trading_keys_and_its_removal_stops_them_in_the_same_commit(
    desk: Desk, enrol: Any, remove: Any, name: str
) -> None:
    account_id = desk.account(totp=False)
    desk.do(enrol(account_id))
    assert (account_of(desk, account_id).factors, account_of(desk, account_id).verified) == ([name], True)
    key = desk.key(account_id)
    assert isinstance(desk.call(key), Admission)
    events = desk.do(remove(account_id, name))
    assert events[1:] == (WithdrawalsHeld(account_id, NOW_US + DAY_US),)
    assert desk.shard.narrowed_keys(events) == [key.key_id]
    assert reason(desk.call(key)) is Reason.ACCOUNT_UNVERIFIED
    assert account_of(desk, account_id).withdrawals_from_us == NOW_US + DAY_US
    desk.do(enrol(account_id))
    assert isinstance(desk.call(key), Admission)


def test_a_factor_beside_another_goes_without_stopping_anything(desk: Desk) -> None:
    account_id = desk.account()
    key = desk.key(account_id)
    desk.do(EnrolSms(account_id, "sms/x"))
    assert account_of(desk, account_id).factors == ["totp", "sms"]
    events = desk.do(RemoveTotp(account_id, "sms"))
    assert events == (TotpRemoved(account_id),)
    assert desk.shard.narrowed_keys(events) == []
    assert isinstance(desk.call(key), Admission)
    assert account_of(desk, account_id).withdrawals_from_us == 0


@pytest.mark.parametrize("proof", ["email", "sms", "passkey", "password", "TOTP", " "])
def test_the_last_factor_goes_by_itself_a_recovery_code_or_the_operator_alone(desk: Desk, proof: str) -> None:
    account_id = desk.account()
    refusal = desk.refused(RemoveTotp(account_id, proof))
    assert (refusal.reason, refusal.facts) == (Reason.FACTOR_LAST, ("totp",))
    for right in ("totp", "recovery", ""):
        desk.do(RemoveTotp(account_id, right))
        desk.do(EnrolTotp(account_id, "totp/x"))


def test_one_of_two_passkeys_is_not_the_last_factor_and_the_second_is(desk: Desk) -> None:
    account_id = desk.account(totp=False)
    desk.do(passkey(account_id))
    desk.do(passkey(account_id, "b3RoZXI"))
    assert desk.do(RemovePasskey(account_id, "Y3JlZA", "passkey")) == (PasskeyRemoved(account_id, "Y3JlZA"),)
    assert desk.refused(RemovePasskey(account_id, "b3RoZXI", "email")).reason is Reason.FACTOR_LAST
    assert len(desk.do(RemovePasskey(account_id, "b3RoZXI", "passkey"))) == 2


def test_no_proof_is_a_factor_that_is_off(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(EnrolSms(account_id, "sms/x"))
    assert desk.refused(RemoveTotp(account_id, "passkey")).reason is Reason.REQUEST_INVALID
    assert desk.do(RemoveSms(account_id, "totp")) == (SmsRemoved(account_id),)
    assert desk.refused(RemoveSms(account_id, "totp")).reason is Reason.FACTOR_MISSING


# --- passkeys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"credential_id": ""}, Reason.PASSKEY_INVALID),
        ({"credential_id": "a" * 1_365}, Reason.PASSKEY_INVALID),
        ({"credential_id": "a+b/"}, Reason.PASSKEY_INVALID),
        ({"credential_id": "YQ=="}, Reason.PASSKEY_INVALID),
        ({"credential_id": "é"}, Reason.PASSKEY_INVALID),
        ({"public_key": ""}, Reason.PASSKEY_INVALID),
        ({"public_key": "a" * 2_049}, Reason.PASSKEY_INVALID),
        ({"sign_count": -1}, Reason.PASSKEY_INVALID),
        ({"sign_count": 2**32}, Reason.PASSKEY_INVALID),
        ({"label": ""}, Reason.LABEL_INVALID),
        ({"label": "\x1b[31mred"}, Reason.LABEL_INVALID),
        ({"label": "a" * 65}, Reason.LABEL_INVALID),
    ],
)
def test_a_passkey_that_is_none_is_refused(desk: Desk, changes: dict[str, Any], expected: Reason) -> None:
    assert desk.refused(passkey(desk.account(), **changes)).reason is expected


def test_a_passkey_may_be_as_long_as_the_standard_allows(desk: Desk) -> None:
    desk.do(passkey(desk.account(), "a" * 1_364, public_key="b" * 2_048, sign_count=2**32 - 1, label="c" * 64))


def test_a_passkey_belongs_to_one_account_until_it_is_removed(desk: Desk) -> None:
    ada, bob = desk.account("ada"), desk.account("bob")
    desk.do(passkey(ada))
    assert desk.refused(passkey(ada)).reason is Reason.PASSKEY_EXISTS
    assert desk.refused(passkey(bob)).reason is Reason.PASSKEY_EXISTS
    assert desk.refused(UsePasskey(bob, "Y3JlZA", 1)).reason is Reason.PASSKEY_UNKNOWN
    assert desk.refused(RemovePasskey(bob, "Y3JlZA")).reason is Reason.PASSKEY_UNKNOWN
    assert desk.state.accounts_by_credential["Y3JlZA"] is account_of(desk, ada)
    desk.do(RemovePasskey(ada, "Y3JlZA"))
    desk.do(passkey(bob))
    desk.do(EraseAccount(bob))
    assert desk.state.accounts_by_credential == {}
    desk.do(passkey(ada))


def test_an_account_has_ten_passkeys_at_most(desk: Desk) -> None:
    account_id = desk.account()
    for number in range(PASSKEYS_MOST):
        desk.do(passkey(account_id, f"key{number}"))
    assert desk.refused(passkey(account_id)).facts == (10,)


@pytest.mark.parametrize(("held", "shown", "right"), [(0, 0, True), (0, 1, True), (5, 6, True), (5, 5, False)])
@pytest.mark.parametrize("less", [False, True])
def test_a_count_of_signatures_that_does_not_grow_tells_of_a_copy(
    desk: Desk, held: int, shown: int, right: bool, less: bool
) -> None:
    account_id = desk.account()
    desk.do(passkey(account_id, sign_count=held))
    if less and held:
        assert desk.refused(UsePasskey(account_id, "Y3JlZA", 0)).reason is Reason.PASSKEY_COPIED
    if not right:
        assert desk.refused(UsePasskey(account_id, "Y3JlZA", shown)).reason is Reason.PASSKEY_COPIED
        return
    desk.now_us += 1
    desk.do(UsePasskey(account_id, "Y3JlZA", shown))
    assert account_of(desk, account_id).passkeys == (
        Passkey("Y3JlZA", "Y29zZQ", shown, "laptop", ("internal",), NOW_US, NOW_US + 1),
    )


@pytest.mark.parametrize("count", [-1, 2**32])
def test_a_count_of_signatures_that_no_device_has_is_refused(desk: Desk, count: int) -> None:
    account_id = desk.account()
    desk.do(passkey(account_id))
    assert desk.refused(UsePasskey(account_id, "Y3JlZA", count)).reason is Reason.PASSKEY_INVALID


def test_transports_that_nobody_knows_are_passed_over_and_a_label_is_kept_without_blanks(desk: Desk) -> None:
    account_id = desk.account()
    (added,) = desk.do(passkey(account_id, transports=("usb", "carrier-pigeon", "usb", "x" * 9_999), label=" desk "))
    assert isinstance(added, PasskeyAdded)
    assert (added.transports, added.label) == (("usb",), "desk")


# --- recovery codes --------------------------------------------------------------------------------------------------


def test_a_recovery_code_counts_once_and_a_new_set_ends_the_old_one(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(SetRecoveryCodes(account_id, "recovery/1", 10))
    desk.do(UseRecoveryCode(account_id, 3))
    for index in (3, 10, -1):
        assert desk.refused(UseRecoveryCode(account_id, index)).reason is Reason.FACTOR_USED
    desk.do(SetRecoveryCodes(account_id, "recovery/2", 2))
    account = account_of(desk, account_id)
    assert (account.recovery_vault_id, account.recovery_left) == ("recovery/2", (0, 1))


@pytest.mark.parametrize(("vault_id", "count"), [("", 10), ("recovery/x", 0), ("recovery/x", 21)])
def test_a_set_of_recovery_codes_is_sealed_and_bounded(desk: Desk, vault_id: str, count: int) -> None:
    desk.do(SetRecoveryCodes(desk.account("bob"), "recovery/x", 20))
    assert desk.refused(SetRecoveryCodes(desk.account(), vault_id, count)).reason is Reason.REQUEST_INVALID


def test_recovery_codes_come_and_go_with_a_second_factor(desk: Desk) -> None:
    account_id = desk.account(totp=False)
    assert desk.refused(SetRecoveryCodes(account_id, "recovery/1", 10)).reason is Reason.FACTOR_MISSING
    assert desk.refused(UseRecoveryCode(account_id, 0)).reason is Reason.FACTOR_MISSING
    desk.do(EnrolSms(account_id, "sms/x"))
    desk.do(SetRecoveryCodes(account_id, "recovery/1", 10))
    events = desk.do(RemoveSms(account_id, "recovery"))
    assert events == (
        SmsRemoved(account_id),
        RecoveryCodesSet(account_id, "", 0),
        WithdrawalsHeld(account_id, NOW_US + DAY_US),
    )
    assert account_of(desk, account_id).recovery_left == ()


# --- tries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "within_us", "within", "gap_us"),
    [
        (5, 5 * MINUTE_US, "5 minutes", SECOND_US),
        (20, HOUR_US, "an hour", 2 * MINUTE_US),
        (50, DAY_US, "a day", 20 * MINUTE_US),
    ],
)
def test_each_limit_of_tries_refuses_up_to_the_microsecond_in_which_the_oldest_is_old_enough(
    desk: Desk, most: int, within_us: int, within: str, gap_us: int
) -> None:
    account_id = desk.account()
    for _ in range(most):
        desk.do(StartFactorAttempt(account_id))
        desk.now_us += gap_us
    until_us = NOW_US + within_us
    refusal = desk.refused(StartFactorAttempt(account_id))
    assert refusal == Refusal(Reason.FACTOR_LIMIT, (most, within, until_us // 1_000))
    desk.now_us = until_us - 1
    assert desk.refused(StartFactorAttempt(account_id)).reason is Reason.FACTOR_LIMIT
    desk.now_us = until_us
    assert desk.do(StartFactorAttempt(account_id)) == (FactorAttempted(account_id),)


def test_of_several_limits_the_one_that_lasts_longest_is_named(desk: Desk) -> None:
    account_id = desk.account()
    for number in range(20):
        desk.do(StartFactorAttempt(account_id))
        desk.now_us += 3 * MINUTE_US if number < 14 else 5 * MINUTE_US if number == 14 else 0
    refusal = desk.refused(StartFactorAttempt(account_id))
    assert refusal.facts == (20, "an hour", (NOW_US + HOUR_US) // 1_000)


def test_a_right_code_gives_its_try_back_and_nothing_more(desk: Desk) -> None:
    account_id = desk.account()
    for _ in range(100):
        desk.do(StartFactorAttempt(account_id))
        desk.do(PassFactorAttempt(account_id))
    assert desk.do(PassFactorAttempt(account_id)) == ()
    for _ in range(5):
        desk.do(StartFactorAttempt(account_id))
    desk.refused(StartFactorAttempt(account_id))


def test_tries_of_one_account_are_not_anothers(desk: Desk) -> None:
    ada, bob = desk.account("ada"), desk.account("bob")
    for _ in range(5):
        desk.do(StartFactorAttempt(ada))
    desk.refused(StartFactorAttempt(ada))
    desk.do(StartFactorAttempt(bob))


def test_no_more_tries_are_remembered_than_a_limit_still_looks_at() -> None:
    attempts: tuple[int, ...] = ()
    for now_us in range(0, 40 * DAY_US, HOUR_US):
        attempts = with_attempt(attempts, now_us)
        assert len(attempts) <= 50
    assert with_attempt((0, 1), DAY_US) == (1, DAY_US)
    assert limited_until((), 0) is None


# --- sessions and the identity check ---------------------------------------------------------------------------------


def test_a_new_password_and_the_end_of_sessions_begin_another_epoch(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(ChangePassword(account_id, "password/2"))
    desk.do(EndSessions(account_id))
    account = account_of(desk, account_id)
    assert (account.epoch, account.password_vault_id) == (2, "password/2")


def test_an_application_waits_for_a_decision_which_says_who_made_it_and_why(desk: Desk) -> None:
    account_id = desk.account(kyc="none")
    desk.do(SubmitKyc(account_id, "kyc/1"))
    account = account_of(desk, account_id)
    assert (account.kyc, account.kyc_vault_id, account.kyc_us) == ("pending", "kyc/1", NOW_US)
    assert desk.refused(SubmitKyc(account_id, "kyc/2")) == Refusal(Reason.KYC_STATE, ("pending",))
    desk.now_us += 1
    desk.do(SetKyc(account_id, "rejected", "operator", "the picture is too dark"))
    assert (account.kyc_by, account.kyc_cause, account.kyc_us) == ("operator", "the picture is too dark", NOW_US + 1)
    desk.do(SubmitKyc(account_id, "kyc/2"))
    assert (account.kyc, account.kyc_vault_id, account.kyc_cause) == ("pending", "kyc/2", "")
    desk.do(SetKyc(account_id, "approved"))
    assert desk.refused(SubmitKyc(account_id, "kyc/3")) == Refusal(Reason.KYC_STATE, ("approved",))


@pytest.mark.parametrize("cause", ["a" * 201, "two\nlines", "\x1b[2J", "\u202eesrever"])
def test_a_cause_that_is_no_line_is_refused(desk: Desk, cause: str) -> None:
    desk.do(SetKyc(desk.account("bob"), "rejected", "operator", "a" * 200))
    assert desk.refused(SetKyc(desk.account(), "rejected", "operator", cause)).reason is Reason.CAUSE_INVALID


# --- written down and forgotten --------------------------------------------------------------------------------------


def full(desk: Desk) -> int:
    account_id = desk.account(kyc="none")
    for command in (
        EnrolSms(account_id, "sms/x"),
        passkey(account_id),
        SetRecoveryCodes(account_id, "recovery/x", 10),
        UseRecoveryCode(account_id, 2),
        SubmitKyc(account_id, "kyc/x"),
        SetKyc(account_id, "rejected", "operator", "too dark"),
        StartFactorAttempt(account_id),
        EndSessions(account_id),
    ):
        desk.do(command)
    return account_id


def test_all_of_it_survives_being_written_down(desk: Desk) -> None:
    account_id = full(desk)
    shard = AccessShard()
    shard.load(msgspec.msgpack.decode(msgspec.msgpack.encode(desk.shard.dump())))
    assert shard.dump() == desk.shard.dump()
    assert msgspec.structs.asdict(shard.state.accounts[account_id]) == msgspec.structs.asdict(
        account_of(desk, account_id)
    )
    assert shard.state.accounts_by_credential["Y3JlZA"] is shard.state.accounts[account_id]


def test_a_row_of_an_older_version_is_an_account_without_any_of_it(desk: Desk) -> None:
    account_id = desk.account()
    dumped = msgspec.msgpack.decode(msgspec.msgpack.encode(desk.shard.dump()))
    for row in dumped[5]:
        del row[16:]
    shard = AccessShard()
    shard.load(dumped)
    assert shard.dump() == desk.shard.dump()
    assert shard.state.accounts[account_id].factors == ["totp"]


def test_an_erased_account_keeps_nothing_of_it(desk: Desk) -> None:
    account_id = full(desk)
    desk.do(EraseAccount(account_id))
    kept = msgspec.structs.asdict(account_of(desk, account_id))
    blank = msgspec.structs.asdict(Account(account_id, "", "", "none", NOW_US))
    assert {name: value for name, value in kept.items() if value != blank[name]} == {"erased": True, "epoch": 1}
