"""Panic, strikes and erasure: what stops all of an account's keys, and what is left of it."""

from __future__ import annotations

import msgspec
import pytest

from sparekey.access.commands import (
    AcceptTotpStep,
    CreateAccount,
    CreateSubAccount,
    DeleteKey,
    DisableKey,
    EnableKey,
    EnrolTotp,
    EraseAccount,
    PanicKeys,
    RecordStrike,
    RemoveTotp,
    RestoreAccess,
    RunDueTimers,
    SetKyc,
    SuspendAccess,
)
from sparekey.access.events import (
    AccessSuspended,
    AccountErased,
    KeyDeleted,
    KeyDisabled,
    StrikeRecorded,
    SubAccountCreated,
)
from sparekey.access.shard import AccessShard
from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import DAY_US, HOUR_US
from sparekey.terms.reasons import Reason
from tests.unit.access.test_decisions import LISTED, new_key
from tests.unit.access.venue_of_keys import NOW_US, Desk, reason


@pytest.fixture
def desk() -> Desk:
    return Desk()


def restarted(desk: Desk) -> AccessShard:
    shard = AccessShard()
    shard.load(msgspec.msgpack.decode(msgspec.msgpack.encode(desk.shard.dump())))
    return shard


# --- panic ------------------------------------------------------------------------------------------------------------


def test_panic_stops_every_active_key_of_the_account_in_one_commit_and_nobody_elses(desk: Desk) -> None:
    account_id = desk.account()
    keys = [desk.key(account_id, f"bot {number}") for number in range(4)]
    desk.do(DeleteKey(keys[1].key_id))
    desk.do(DisableKey(keys[2].key_id))
    other = desk.key(desk.account("bob"), "bobs")
    seq = desk.state.seq
    events = desk.do(PanicKeys(account_id, "a key was found in a log"))
    assert events == (KeyDisabled(keys[0].key_id), KeyDisabled(keys[3].key_id))
    assert desk.state.seq == seq + 1
    assert desk.shard.narrowed_keys(events) == [keys[0].key_id, keys[3].key_id]
    assert reason(desk.call(keys[0])) is Reason.KEY_DISABLED
    assert isinstance(desk.call(other), Admission)
    assert desk.do(PanicKeys(account_id, "again")) == ()
    desk.do(EnableKey(keys[0].key_id))
    assert isinstance(desk.call(keys[0]), Admission)
    assert reason(desk.call(keys[3])) is Reason.KEY_DISABLED


def test_a_masters_panic_stops_its_sub_accounts_keys_and_not_the_other_way_round(desk: Desk) -> None:
    master = desk.account()
    masters = desk.key(master, "masters")
    (created,) = desk.do(CreateSubAccount(master, "digest of sub", "virtual"))
    assert isinstance(created, SubAccountCreated)
    subs = desk.key(created.account_id, "subs")
    assert desk.do(PanicKeys(created.account_id)) == (KeyDisabled(subs.key_id),)
    assert masters.status == "active"
    desk.do(EnableKey(subs.key_id))
    assert desk.do(PanicKeys(master)) == (KeyDisabled(masters.key_id), KeyDisabled(subs.key_id))


# --- strikes ----------------------------------------------------------------------------------------------------------


def strike(desk: Desk, account_id: int) -> bool:
    """Whether this strike suspended the account."""
    events = desk.do(RecordStrike(account_id, "an address was banned"))
    assert events[0] == StrikeRecorded(account_id, "an address was banned")
    assert events[1:] in ((), (AccessSuspended(account_id, "an address was banned"),))
    return len(events) == 2


def test_the_third_ban_within_a_day_suspends_and_stops_the_keys(desk: Desk) -> None:
    account_id = desk.account()
    key = desk.key(account_id)
    assert not strike(desk, account_id)
    desk.now_us += 12 * HOUR_US
    assert not strike(desk, account_id)
    desk.now_us = NOW_US + DAY_US - 1
    events = desk.do(RecordStrike(account_id, "bans"))
    assert events[1] == AccessSuspended(account_id, "bans")
    assert desk.shard.narrowed_keys(events) == [key.key_id]
    assert reason(desk.call(key)) is Reason.ACCOUNT_SUSPENDED
    assert desk.state.accounts[account_id].api_access == "SUSPENDED"


def test_a_strike_that_is_a_day_old_is_not_one_of_three(desk: Desk) -> None:
    account_id = desk.account()
    for after_us in (0, HOUR_US, DAY_US, DAY_US + HOUR_US):
        desk.now_us = NOW_US + after_us
        assert not strike(desk, account_id)


def test_the_fifth_ban_within_thirty_days_suspends(desk: Desk) -> None:
    account_id = desk.account()
    for days in (0, 7, 14, 21):
        desk.now_us = NOW_US + days * DAY_US
        assert not strike(desk, account_id)
    desk.now_us = NOW_US + 30 * DAY_US - 1
    assert strike(desk, account_id)


def test_strikes_older_than_thirty_days_are_forgotten(desk: Desk) -> None:
    account_id = desk.account()
    for number in range(40):
        desk.now_us = NOW_US + number * 10 * DAY_US
        assert not strike(desk, account_id)
    assert len(desk.state.accounts[account_id].strikes) == 3


def test_strikes_survive_a_restart_and_count_against_their_own_account_alone(desk: Desk) -> None:
    account_id, other = desk.account(), desk.account("bob")
    for _ in range(2):
        assert not strike(desk, account_id)
        assert not strike(desk, other)
        desk.now_us += HOUR_US
    again = restarted(desk)
    outcome = again.execute(RecordStrike(account_id, "bans"), desk.now_us)
    assert isinstance(outcome, tuple)
    assert outcome[1:] == (AccessSuspended(account_id, "bans"),)
    assert not again.state.accounts[other].suspended


def test_who_was_let_back_in_starts_anew(desk: Desk) -> None:
    account_id = desk.account()
    assert [strike(desk, account_id) for _ in range(3)] == [False, False, True]
    assert not strike(desk, account_id)  # suspended already
    desk.do(RestoreAccess(account_id, "a loop in the bot, mended"))
    assert [strike(desk, account_id) for _ in range(3)] == [False, False, True]


def test_strikes_of_a_suspended_account_do_not_shorten_or_lengthen_anything(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(SuspendAccess(account_id, "by the operator"))
    assert [strike(desk, account_id) for _ in range(5)] == [False] * 5
    desk.do(RestoreAccess(account_id, ""))
    assert not desk.state.accounts[account_id].suspended


# --- erasure ----------------------------------------------------------------------------------------------------------


def test_an_erased_account_loses_its_keys_and_who_it_was_in_one_commit(desk: Desk) -> None:
    account_id = desk.account()
    keys = [desk.key(account_id, f"bot {number}") for number in range(3)]
    strike(desk, account_id)
    desk.do(DeleteKey(keys[1].key_id))
    seq = desk.state.seq
    events = desk.do(EraseAccount(account_id))
    assert events == (KeyDeleted(keys[0].key_id), KeyDeleted(keys[2].key_id), AccountErased(account_id))
    assert desk.state.seq == seq + 1
    assert desk.shard.narrowed_keys(events) == [keys[0].key_id, keys[2].key_id]
    assert {reason(desk.call(key, sign=lambda payload: "")) for key in keys} == {Reason.KEY_DELETED}
    written = msgspec.json.encode(desk.shard.dump()).decode()
    for trace in ("digest of ada", "password/ada", "totp/ada", "secret/bot"):
        assert trace not in written
    again = restarted(desk)
    assert again.dump() == desk.shard.dump()
    assert again.state.accounts_by_email == {}


def test_an_erased_account_is_as_unknown_as_one_that_never_was(desk: Desk) -> None:
    account_id = desk.account()
    desk.do(EraseAccount(account_id))
    for command in (
        SetKyc(account_id, "approved"),
        EnrolTotp(account_id, "totp/x"),
        RemoveTotp(account_id),
        AcceptTotpStep(account_id, 1),
        SuspendAccess(account_id, ""),
        RestoreAccess(account_id, ""),
        new_key(account_id),
        PanicKeys(account_id),
        RecordStrike(account_id),
        EraseAccount(account_id),
    ):
        assert desk.refused(command).reason is Reason.ACCOUNT_UNKNOWN


def test_the_address_of_an_erased_account_is_free_for_a_new_one(desk: Desk) -> None:
    account_id = desk.account()
    key = desk.key(account_id)
    desk.do(EraseAccount(account_id))
    desk.do(CreateAccount("digest of ada", "password/ada", "approved", "totp/ada"))
    again = desk.state.account_by_email("digest of ada")
    assert again is not None
    assert (again.account_id, again.keys_held) == (account_id + 1, 0)
    assert desk.state.keys[key.key_id].account_id == account_id
    assert restarted(desk).state.account_by_email("digest of ada") is not None


def test_erasing_an_account_leaves_no_timer_behind(desk: Desk) -> None:
    account_id = desk.account()
    desk.key(account_id)
    desk.do(EraseAccount(account_id))
    desk.now_us += 91 * DAY_US
    assert desk.do(RunDueTimers()) == ()


# --- what older versions wrote ----------------------------------------------------------------------------------------


def test_a_state_that_an_older_version_wrote_is_read(desk: Desk) -> None:
    """Rows end where that version's fields ended: nine of an account, twelve of a key."""
    account_id = desk.account()
    desk.key(account_id, "one", whitelist=LISTED)
    desk.key(account_id, "two")
    dump = desk.shard.dump()
    older = [*dump[:5], [row[:9] for row in dump[5]], [row[:12] for row in dump[6]]]
    shard = AccessShard()
    shard.load(msgspec.msgpack.decode(msgspec.msgpack.encode(older)))
    assert [row[:9] for row in shard.dump()[5]] == older[5]
    assert [row[:12] for row in shard.dump()[6]] == older[6]
    assert shard.state.accounts[account_id].keys_held == 2
    assert shard.state.next_due_us() == NOW_US + 90 * DAY_US
