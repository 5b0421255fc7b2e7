"""Accounts, factors and keys: what is decided, and what follows in the same commit."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sparekey.access.commands import (
    AcceptTotpStep,
    AdvanceClock,
    CreateAccount,
    CreateKey,
    DeleteKey,
    DisableKey,
    EditKey,
    EnableKey,
    EnrolTotp,
    RemoveTotp,
    RestoreAccess,
    RunDueTimers,
    SetKyc,
    SetSkew,
    SuspendAccess,
)
from sparekey.access.credentials import api_key_from
from sparekey.access.events import (
    ClockAdvanced,
    KeyCreated,
    KeyDeleted,
    KeyEdited,
    KeyExpired,
    TotpEnrolled,
)
from sparekey.access.state import NEVER_US
from sparekey.terms.clocktime import DAY_US, SECOND_US
from sparekey.terms.permissions import PERMISSION_NAMES, Permission
from sparekey.terms.reasons import Reason
from tests.unit.access.venue_of_keys import NOW_US, Desk, entropy

READING = int(Permission.READING)
TRADING = READING | int(Permission.SPOT_AND_MARGIN_TRADING)
WITHDRAWALS = READING | int(Permission.WITHDRAWALS)
LISTED = ("203.0.113.7",)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def new_key(account_id: int, name: str = "bot", **changes: Any) -> CreateKey:
    command = CreateKey(account_id, api_key_from(entropy(name)), "hmac", name, TRADING, LISTED, f"secret/{name}")
    return msgspec.structs.replace(command, **changes)


def refused_for(desk: Desk, command: object, reason: Reason, *facts: object) -> None:
    refusal = desk.refused(command)
    assert refusal.reason is reason
    if facts:
        assert refusal.facts == facts
    assert "{" not in refusal.explanation


# --- accounts and factors --------------------------------------------------------------------------------------------


def test_accounts_count_up_and_one_address_makes_one_account(desk: Desk) -> None:
    first = desk.account("ada")
    second = desk.account("bob")
    assert second == first + 1
    refused_for(desk, CreateAccount("digest of ada", "password/x"), Reason.ACCOUNT_EXISTS)
    assert desk.state.account_by_email("digest of bob") is desk.state.accounts[second]
    assert desk.state.account_by_email("digest of eve") is None


def test_an_account_with_an_authenticator_is_made_in_one_commit(desk: Desk) -> None:
    events = desk.do(CreateAccount("digest", "password/x", "approved", "totp/x"))
    assert isinstance(events[1], TotpEnrolled)
    account = desk.state.accounts[desk.state.next_account_id - 1]
    assert (account.factors, account.verified, account.created_us) == (["totp"], True, NOW_US)


@pytest.mark.parametrize("kyc", ["", "APPROVED", "ok", "approved "])
def test_a_state_of_kyc_that_does_not_exist_is_refused(desk: Desk, kyc: str) -> None:
    refused_for(desk, CreateAccount("digest", "password/x", kyc), Reason.REQUEST_INVALID)
    refused_for(desk, SetKyc(desk.account(), kyc), Reason.REQUEST_INVALID)


@pytest.mark.parametrize(
    "command",
    [
        SetKyc(1, "approved"),
        EnrolTotp(1, "totp/x"),
        RemoveTotp(1),
        AcceptTotpStep(1, 1),
        SuspendAccess(1, ""),
        RestoreAccess(1, ""),
        new_key(1),
    ],
)
def test_what_is_asked_of_an_account_that_does_not_exist_is_refused(desk: Desk, command: object) -> None:
    refused_for(desk, command, Reason.ACCOUNT_UNKNOWN)


@pytest.mark.parametrize("command", [EditKey(1), DisableKey(1), EnableKey(1), DeleteKey(1)])
def test_what_is_asked_of_a_key_that_does_not_exist_is_refused(desk: Desk, command: object) -> None:
    refused_for(desk, command, Reason.KEY_UNKNOWN)


def test_what_changes_nothing_leads_to_no_event(desk: Desk) -> None:
    account_id = desk.account()
    key = desk.key(account_id)
    before = desk.shard.dump()
    for command in (
        SetKyc(account_id, "approved"),
        RestoreAccess(account_id, ""),
        EnableKey(key.key_id),
        EditKey(key.key_id),
        EditKey(key.key_id, label=f"  {key.label} ", permissions=key.permissions, whitelist=key.whitelist),
        RunDueTimers(),
        SetSkew(0),
    ):
        assert desk.do(command) == ()
    desk.do(SuspendAccess(account_id, "bans"))
    assert desk.do(SuspendAccess(account_id, "bans")) == ()
    desk.do(RestoreAccess(account_id, ""))
    desk.do(DisableKey(key.key_id))
    assert desk.do(DisableKey(key.key_id)) == ()
    desk.do(EnableKey(key.key_id))
    after = desk.shard.dump()
    assert before[1:] == after[1:]


def test_only_a_later_step_of_the_authenticator_counts(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(AcceptTotpStep(account_id, 56_666_666))
    desk.do(AcceptTotpStep(account_id, 56_666_667))
    for step in (56_666_667, 56_666_666, 56_666_665, 0, -1):
        refused_for(desk, AcceptTotpStep(account_id, step), Reason.FACTOR_USED)
    desk.do(AcceptTotpStep(account_id, 56_666_668))


def test_a_new_authenticator_starts_its_steps_anew(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(AcceptTotpStep(account_id, 56_666_666))
    desk.do(EnrolTotp(account_id, "totp/another"))
    desk.do(AcceptTotpStep(account_id, 56_666_666))
    refused_for(desk, AcceptTotpStep(account_id, 56_666_666), Reason.FACTOR_USED)


def test_without_an_authenticator_no_step_counts_and_none_can_be_removed(desk: Desk) -> None:
    account_id = desk.account(totp=False)
    refused_for(desk, AcceptTotpStep(account_id, 1), Reason.FACTOR_MISSING)
    refused_for(desk, RemoveTotp(account_id), Reason.FACTOR_MISSING)
    refused_for(desk, EnrolTotp(account_id, ""), Reason.REQUEST_INVALID)


# --- what a key needs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kyc", ["none", "pending", "rejected"])
def test_no_key_without_an_approved_identity_check(desk: Desk, kyc: str) -> None:
    refused_for(desk, new_key(desk.account(kyc=kyc)), Reason.KYC_MISSING, kyc)


def test_no_key_without_a_second_factor(desk: Desk) -> None:
    account_id = desk.account(totp=False)
    refused_for(desk, new_key(account_id), Reason.FACTOR_MISSING)
    desk.do(EnrolTotp(account_id, "totp/x"))
    desk.do(new_key(account_id))


def test_no_key_for_a_suspended_account(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(SuspendAccess(account_id, "bans"))
    refused_for(desk, new_key(account_id), Reason.ACCOUNT_SUSPENDED)


def test_the_thirty_first_key_is_refused_until_one_is_deleted(desk: Desk) -> None:
    account_id = desk.account()
    other = desk.account("bob")
    for number in range(30):
        desk.do(new_key(account_id, f"bot {number}"))
    refused_for(desk, new_key(account_id, "one too many"), Reason.KEY_LIMIT, 30)
    desk.do(new_key(other, "somebody else's"))
    first = desk.state.keys_of(account_id)[0]
    desk.do(DisableKey(first.key_id))
    refused_for(desk, new_key(account_id, "one too many"), Reason.KEY_LIMIT)
    desk.do(DeleteKey(first.key_id))
    desk.do(new_key(account_id, "the thirtieth again"))
    refused_for(desk, new_key(account_id, "one too many"), Reason.KEY_LIMIT)
    assert desk.state.accounts[account_id].keys_held == len(desk.state.keys_of(account_id)) == 30


def test_an_expired_key_holds_its_place_until_it_is_deleted(desk: Desk) -> None:
    account_id = desk.account()
    for number in range(30):
        desk.do(new_key(account_id, f"bot {number}", whitelist=()))
    desk.do(AdvanceClock(91 * DAY_US))
    refused_for(desk, new_key(account_id, "one too many"), Reason.KEY_LIMIT)


@pytest.mark.parametrize(
    "label",
    [
        "",
        "   ",
        "x" * 65,
        "x" * 10_000,
        "a\x00b",
        "a\nb",
        "\x1b[31mred",
        "bot\u202egpj.exe",
        "zero\u200bwidth",
        "\ud800",
        " " * 1_000 + "x",
    ],
)
def test_a_label_that_nobody_could_read_is_refused(desk: Desk, label: str) -> None:
    account_id = desk.account()
    refused_for(desk, new_key(account_id, label=label), Reason.LABEL_INVALID)
    key = desk.key(account_id)
    refused_for(desk, EditKey(key.key_id, label=label), Reason.LABEL_INVALID)


@pytest.mark.parametrize("label", ["x" * 64, "=cmd()", "Бот №1", "机器人", "a b", "🤖"])
def test_a_label_is_kept_as_typed_without_the_blanks_around_it(desk: Desk, label: str) -> None:
    desk.do(new_key(desk.account(), label=f"  {label}\n"))
    assert desk.state.keys[1].label == label


def test_blanks_around_a_label_do_no_harm_within_reason(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(new_key(account_id, label="bot".rjust(1_000)))
    assert desk.state.keys[1].label == "bot"
    refused_for(desk, new_key(account_id, "two", label="bot".rjust(1_001)), Reason.LABEL_INVALID)


def test_a_label_may_be_there_twice(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(new_key(account_id, "one", label="same"))
    desk.do(new_key(account_id, "two", label="same"))


@pytest.mark.parametrize("api_key", ["", "a" * 63, "a" * 65, "a" * 63 + "-", "é" * 64, "１" * 64, "a" * 63 + "\ud800"])
def test_an_api_key_is_sixty_four_letters_and_digits(desk: Desk, api_key: str) -> None:
    refused_for(desk, new_key(desk.account(), api_key=api_key), Reason.KEY_MALFORMED)


def test_the_characters_of_a_key_are_never_given_out_twice(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(new_key(account_id))
    refused_for(desk, new_key(account_id), Reason.REQUEST_INVALID)
    desk.do(DeleteKey(1))
    refused_for(desk, new_key(account_id), Reason.REQUEST_INVALID)


def test_what_a_key_type_does_not_go_with_is_refused(desk: Desk) -> None:
    account_id = desk.account()
    refused_for(desk, new_key(account_id, key_type="dsa"), Reason.KEY_TYPE_INVALID)
    refused_for(desk, new_key(account_id, key_type="HMAC"), Reason.KEY_TYPE_INVALID)
    refused_for(desk, new_key(account_id, public_key="x"), Reason.PUBLIC_KEY_NOT_REQUIRED)
    refused_for(desk, new_key(account_id, vault_id=""), Reason.REQUEST_INVALID)
    refused_for(desk, new_key(account_id, key_type="rsa", vault_id=""), Reason.PUBLIC_KEY_MISSING)
    refused_for(desk, new_key(account_id, key_type="ed25519", vault_id="", public_key="x"), Reason.PUBLIC_KEY_INVALID)


# --- permissions -----------------------------------------------------------------------------------------------------


def test_reading_is_implied(desk: Desk) -> None:
    desk.do(new_key(desk.account(), permissions=0))
    assert desk.state.keys[1].permissions == READING
    desk.do(EditKey(1, permissions=int(Permission.SPOT_AND_MARGIN_TRADING)))
    assert desk.state.keys[1].permissions == TRADING


@pytest.mark.parametrize("mask", [-1, 128, 1 << 70])
def test_a_permission_that_does_not_exist_is_refused(desk: Desk, mask: int) -> None:
    refused_for(desk, new_key(desk.account(), permissions=mask), Reason.PERMISSION_UNKNOWN)


#: Written down from the table of permissions, not from the code: what each needs beside reading.
NEEDS = {
    "reading": (),
    "spot-and-margin-trading": (),
    "margin-loan": ("spot-and-margin-trading",),
    "futures": (),
    "withdrawals": (),
    "internal-transfer": (),
    "universal-transfer": (),
}


@pytest.mark.parametrize("name", PERMISSION_NAMES)
def test_a_permission_needs_what_the_table_says(desk: Desk, name: str) -> None:
    account_id = desk.account()
    bit = int(PERMISSION_NAMES[name])
    for needed in NEEDS[name]:
        refused_for(desk, new_key(account_id, permissions=bit), Reason.PERMISSION_PREREQUISITE, name, needed)
    whole = bit | sum(int(PERMISSION_NAMES[needed]) for needed in NEEDS[name])
    desk.do(new_key(account_id, permissions=whole))
    assert desk.state.keys[1].permissions == READING | whole


def test_futures_need_a_futures_account_and_stay_with_a_key_that_has_them(desk: Desk) -> None:
    futures = READING | int(Permission.FUTURES)
    without = desk.account("bob", futures=False)
    refused_for(desk, new_key(without, permissions=futures), Reason.PERMISSION_PREREQUISITE)
    desk.do(new_key(desk.account(), permissions=futures))
    desk.state.accounts[desk.state.keys[1].account_id].futures_allowed = False
    desk.do(EditKey(1, permissions=futures | int(Permission.SPOT_AND_MARGIN_TRADING)))
    desk.do(EditKey(1, permissions=READING))
    refused_for(desk, EditKey(1, permissions=futures), Reason.PERMISSION_PREREQUISITE)


def test_withdrawals_need_a_whitelist_and_go_with_it_in_the_same_commit(desk: Desk) -> None:
    account_id = desk.account()
    refused_for(desk, new_key(account_id, permissions=WITHDRAWALS, whitelist=()), Reason.WITHDRAWALS_NEED_WHITELIST)
    desk.do(new_key(account_id, permissions=WITHDRAWALS))
    refused_for(desk, EditKey(1, whitelist=(), permissions=WITHDRAWALS), Reason.WITHDRAWALS_NEED_WHITELIST)
    (edited,) = desk.do(EditKey(1, whitelist=()))
    assert isinstance(edited, KeyEdited)
    assert (edited.permissions, edited.whitelist, edited.expires_us) == (READING, (), NOW_US + 90 * DAY_US)
    refused_for(desk, EditKey(1, permissions=WITHDRAWALS), Reason.WITHDRAWALS_NEED_WHITELIST)
    desk.do(EditKey(1, permissions=WITHDRAWALS, whitelist=LISTED))
    assert desk.state.keys[1].expires_us is None


# --- expiry ----------------------------------------------------------------------------------------------------------


def test_a_key_without_whitelist_lives_ninety_days_and_one_with_lives_on(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(new_key(account_id, "one", whitelist=()))
    desk.do(new_key(account_id, "two"))
    assert desk.state.keys[1].expires_us == NOW_US + 90 * DAY_US
    assert desk.state.keys[2].expires_us is None
    assert desk.state.next_due_us() == NOW_US + 90 * DAY_US


def test_only_gaining_or_losing_the_whitelist_touches_the_expiry(desk: Desk) -> None:
    desk.do(new_key(desk.account(), whitelist=()))
    due_us = NOW_US + 90 * DAY_US
    desk.now_us += 10 * DAY_US
    desk.do(EditKey(1, label="renamed", permissions=READING))
    assert desk.state.keys[1].expires_us == due_us
    desk.do(EditKey(1, whitelist=LISTED))
    assert desk.state.next_due_us() == NEVER_US
    desk.do(EditKey(1, whitelist=("203.0.113.0/24",)))
    assert desk.state.keys[1].expires_us is None
    desk.do(EditKey(1, whitelist=()))
    assert desk.state.keys[1].expires_us == desk.now_us + 90 * DAY_US


def test_edits_leave_one_timer_behind_not_one_each(desk: Desk) -> None:
    desk.do(new_key(desk.account(), whitelist=()))
    for number in range(100):
        desk.do(EditKey(1, label=f"label {number}"))
    assert len(desk.state.expiries) == 1


def test_due_keys_expire_in_the_order_of_their_times(desk: Desk) -> None:
    account_id = desk.account()
    for name in ("one", "two", "three"):
        desk.do(new_key(account_id, name, whitelist=()))
        desk.now_us += SECOND_US
    desk.do(DeleteKey(2))
    desk.now_us += 90 * DAY_US
    assert desk.do(RunDueTimers()) == (
        KeyExpired(1, NOW_US + 90 * DAY_US),
        KeyExpired(3, NOW_US + 90 * DAY_US + 2 * SECOND_US),
    )
    assert desk.do(RunDueTimers()) == ()
    assert [key.status for key in desk.state.keys.values()] == ["expired", "deleted", "expired"]


def test_an_advanced_clock_walks_the_timers_on_its_way_and_no_others(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(new_key(account_id, "one", whitelist=()))
    desk.now_us += 1
    desk.do(new_key(account_id, "two", whitelist=()))
    by_us = 90 * DAY_US - 1
    assert desk.do(AdvanceClock(by_us)) == (ClockAdvanced(by_us), KeyExpired(1, NOW_US + 90 * DAY_US))
    assert desk.state.policy_offset_us == by_us


@pytest.mark.parametrize("disabled", [False, True])
def test_an_expired_key_never_revives(desk: Desk, *, disabled: bool) -> None:
    """Neither once its timer went off nor in the moment before, when its time has come already."""
    desk.do(new_key(desk.account(), whitelist=()))
    if disabled:
        desk.do(DisableKey(1))
    desk.now_us += 90 * DAY_US
    for command in (EditKey(1, whitelist=LISTED), EditKey(1, label="x"), EnableKey(1)):
        refused_for(desk, command, Reason.KEY_EXPIRED, desk.now_us // 1_000)
    desk.do(RunDueTimers())
    for command in (EditKey(1, whitelist=LISTED), EditKey(1, label="x"), EnableKey(1)):
        refused_for(desk, command, Reason.KEY_EXPIRED)
    assert desk.do(DisableKey(1)) == ()
    desk.do(DeleteKey(1))


# --- one key, several hands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [EditKey(1, 7, label="mine"), DisableKey(1, 7), EnableKey(1, 7), DeleteKey(1, 7)])
def test_a_key_of_another_account_is_as_unknown_as_one_that_never_existed(desk: Desk, asked: Any) -> None:
    desk.do(new_key(desk.account()))
    stranger = desk.account("eve")
    command = msgspec.structs.replace(asked, actor_account_id=stranger)
    never = msgspec.structs.replace(command, key_id=999)
    assert desk.refused(command) == desk.refused(never)
    owner = msgspec.structs.replace(command, actor_account_id=desk.state.keys[1].account_id)
    desk.do(owner)


def test_a_deleted_key_is_final_and_keeps_only_what_tells_it_from_an_unknown_one(desk: Desk) -> None:
    desk.do(new_key(desk.account(), whitelist=()))
    assert desk.do(DeleteKey(1)) == (KeyDeleted(1),)
    for command in (EditKey(1, label="x"), EnableKey(1), DisableKey(1), DeleteKey(1)):
        refused_for(desk, command, Reason.KEY_DELETED)
    key = desk.state.keys[1]
    assert (key.label, key.permissions, key.whitelist, key.vault_id, key.public_key) == ("", 0, (), "", "")
    assert key.verifier is None
    assert desk.state.next_due_us() == NEVER_US
    assert desk.state.keys_of(key.account_id) == []


# --- clocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_us", [0, -1, -DAY_US])
def test_the_policy_clock_never_goes_back(desk: Desk, by_us: int) -> None:
    refused_for(desk, AdvanceClock(by_us), Reason.CLOCK_BACKWARDS)


def test_the_policy_clock_goes_ten_years_at_once_and_a_hundred_in_all(desk: Desk) -> None:
    refused_for(desk, AdvanceClock(3_650 * DAY_US + 1), Reason.CLOCK_TOO_FAR, 3_650)
    refused_for(desk, AdvanceClock(1 << 70), Reason.CLOCK_TOO_FAR, 3_650)
    for _ in range(9):
        desk.do(AdvanceClock(3_650 * DAY_US))
    desk.do(AdvanceClock(3_640 * DAY_US))
    refused_for(desk, AdvanceClock(11 * DAY_US), Reason.CLOCK_TOO_FAR, 10)
    desk.do(AdvanceClock(10 * DAY_US))
    refused_for(desk, AdvanceClock(1), Reason.CLOCK_TOO_FAR, 0)


def test_the_skew_is_at_most_a_day_either_way_and_ages_nothing(desk: Desk) -> None:
    desk.do(new_key(desk.account(), whitelist=()))
    for skew_us in (DAY_US + 1, -DAY_US - 1):
        refused_for(desk, SetSkew(skew_us), Reason.REQUEST_INVALID)
    for skew_us in (DAY_US, -DAY_US, 0):
        desk.do(SetSkew(skew_us))
        assert desk.state.skew_us == skew_us
    assert desk.state.keys[1].status == "active"
    assert desk.state.policy_offset_us == 0


# --- what others must learn ------------------------------------------------------------------------------------------


def test_whatever_narrows_a_key_names_it_for_the_other_shards(desk: Desk) -> None:
    account_id = desk.account()
    trading = desk.key(account_id, "trading")
    reading = desk.key(account_id, "reading", permissions=READING)

    def narrowed(command: object) -> list[int]:
        return desk.shard.narrowed_keys(desk.do(command))

    assert narrowed(EditKey(trading.key_id, whitelist=LISTED)) == [trading.key_id]
    assert narrowed(DisableKey(reading.key_id)) == [reading.key_id]
    assert narrowed(EnableKey(reading.key_id)) == []
    assert narrowed(SetKyc(account_id, "rejected")) == [trading.key_id]
    assert narrowed(SetKyc(account_id, "approved")) == []
    assert narrowed(RemoveTotp(account_id)) == [trading.key_id]
    assert narrowed(EnrolTotp(account_id, "totp/x")) == []
    assert narrowed(SuspendAccess(account_id, "")) == [trading.key_id, reading.key_id]
    assert narrowed(RestoreAccess(account_id, "")) == []
    assert narrowed(AdvanceClock(91 * DAY_US)) == [reading.key_id]
    assert narrowed(DeleteKey(trading.key_id)) == [trading.key_id]


def test_events_are_what_the_journal_can_hold(desk: Desk) -> None:
    account_id = desk.account()
    events = desk.do(new_key(account_id, whitelist=("10.0.0.0/25", "10.0.0.128/25")))
    assert isinstance(events[0], KeyCreated)
    assert events[0].whitelist == ("10.0.0.0/24",)
    assert desk.shard.decode_events(msgspec.msgpack.encode(events)) == list(events)
