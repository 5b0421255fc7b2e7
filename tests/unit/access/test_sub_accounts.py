"""Sub-accounts: their master's identity check and factors are theirs, their keys stand and fall with the master."""

from __future__ import annotations

import msgspec
import pytest

from sparekey.access.commands import (
    CloseSubAccount,
    CreateKey,
    CreateSubAccount,
    DeleteKey,
    EditKey,
    EraseAccount,
    RemoveTotp,
    RestoreAccess,
    SetBroker,
    SetKyc,
    SuspendAccess,
)
from sparekey.access.credentials import api_key_from
from sparekey.access.shard import AccessShard
from sparekey.sequencer.recovery import state_digest
from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import DAY_US
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from tests.unit.access.venue_of_keys import READ_AND_TRADE, Desk, entropy, reason


def sub_account(desk: Desk, master: int, name: str = "sub", link: str = "virtual") -> int:
    account_id = desk.state.next_account_id
    desk.do(CreateSubAccount(master, f"digest of {name}", link))
    return account_id


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_sub_account_without_factors_of_its_own_gets_keys_that_act_for_it_alone(desk: Desk) -> None:
    master = desk.account()
    sub = sub_account(desk, master)
    key = desk.key(sub)
    admission = desk.call(key)
    assert isinstance(admission, Admission)
    assert admission.account_id == sub


@pytest.mark.parametrize("kyc", ["none", "pending", "rejected"])
def test_what_stops_the_masters_keys_stops_the_sub_accounts_keys_in_the_same_commit(desk: Desk, kyc: str) -> None:
    master = desk.account()
    key, stranger = desk.key(sub_account(desk, master)), desk.key(desk.account("bob"), "bobs")
    for stop, mend, why in (
        (SetKyc(master, kyc), SetKyc(master, "approved"), Reason.ACCOUNT_UNVERIFIED),
        (SuspendAccess(master, "bans"), RestoreAccess(master, "a talk"), Reason.ACCOUNT_SUSPENDED),
        (RemoveTotp(master), None, Reason.ACCOUNT_UNVERIFIED),
    ):
        events = desk.do(stop)
        assert desk.shard.narrowed_keys(events) == [key.key_id]
        assert reason(desk.call(key)) is why
        assert isinstance(desk.call(stranger), Admission)
        if mend is not None:
            desk.do(mend)
            assert isinstance(desk.call(key), Admission)


def test_a_suspended_sub_account_leaves_its_master_alone(desk: Desk) -> None:
    master = desk.account()
    own, sub = desk.key(master, "own"), sub_account(desk, master)
    key = desk.key(sub)
    desk.do(SuspendAccess(sub, "bans"))
    assert reason(desk.call(key)) is Reason.ACCOUNT_SUSPENDED
    assert isinstance(desk.call(own), Admission)


def test_a_sub_account_has_thirty_places_of_its_own(desk: Desk) -> None:
    master = desk.account()
    sub = sub_account(desk, master)
    for number in range(30):
        desk.key(sub, f"key {number}")
    refused = desk.refused(CreateKey(sub, api_key_from(entropy("late")), "hmac", "late", 1, (), "x"))
    assert refused.reason is Reason.KEY_LIMIT
    desk.key(master, "the master's own places are others")


def test_special_keys_and_ordinary_ones_share_the_places(desk: Desk) -> None:
    account_id = desk.account()
    for number in range(29):
        desk.key(account_id, f"key {number}")
    desk.do(CreateKey(account_id, api_key_from(entropy("s")), "hmac", "s", 3, (), "x", special="cross"))
    refused = desk.refused(CreateKey(account_id, api_key_from(entropy("late")), "hmac", "late", 1, (), "x"))
    assert refused.reason is Reason.KEY_LIMIT


def test_a_special_key_opens_nothing_while_there_is_no_margin_account(desk: Desk) -> None:
    account_id = desk.account()
    events = desk.do(CreateKey(account_id, api_key_from(entropy("s")), "hmac", "s", 3, (), "x", special="BTCUSDT"))
    key = desk.state.keys[events[0].key_id]  # type: ignore[attr-defined]
    for permission in (Permission.READING, Permission.SPOT_AND_MARGIN_TRADING):
        assert reason(desk.call(key, permission=permission, sign=lambda _: "")) is Reason.MARGIN_KEY_IDLE
    desk.do(EditKey(key.key_id, account_id, whitelist=("203.0.113.7",)))
    assert reason(desk.call(key, sign=lambda _: "")) is Reason.MARGIN_KEY_IDLE


def test_a_master_edits_and_deletes_its_sub_accounts_keys_and_nobody_elses(desk: Desk) -> None:
    master, stranger = desk.account(), desk.account("bob")
    key = desk.key(sub_account(desk, master))
    for command in (EditKey(key.key_id, stranger, label="x"), DeleteKey(key.key_id, stranger)):
        assert desk.refused(command).reason is Reason.KEY_UNKNOWN
    desk.do(EditKey(key.key_id, master, permissions=1))
    assert reason(desk.call(key)) is Reason.PERMISSION_MISSING
    own = desk.key(master, "own")
    assert desk.refused(EditKey(own.key_id, key.account_id, label="x")).reason is Reason.KEY_UNKNOWN
    desk.do(DeleteKey(key.key_id, master))
    assert reason(desk.call(key, sign=lambda _: "")) is Reason.KEY_DELETED


def test_who_may_not_have_sub_accounts_gets_none(desk: Desk) -> None:
    master = desk.account()
    sub = sub_account(desk, master)

    def why(command: CreateSubAccount) -> Reason:
        return desk.refused(command).reason

    assert why(CreateSubAccount(7, "d", "virtual")) is Reason.ACCOUNT_UNKNOWN
    assert why(CreateSubAccount(sub, "d", "virtual")) is Reason.MAIN_ACCOUNT_ONLY
    assert why(CreateSubAccount(master, "d", "broker")) is Reason.BROKER_ONLY
    assert why(CreateSubAccount(master, "d", "odd")) is Reason.REQUEST_INVALID
    assert why(CreateSubAccount(desk.account("bob", kyc="pending"), "d", "virtual")) is Reason.KYC_MISSING
    assert why(CreateSubAccount(desk.account("eve", totp=False), "d", "virtual")) is Reason.FACTOR_MISSING
    assert why(CreateSubAccount(master, "digest of bob", "virtual")) is Reason.ACCOUNT_EXISTS
    assert why(CreateSubAccount(master, "d", "virtual", "x" * 32)) is Reason.LABEL_INVALID
    assert why(CreateSubAccount(master, "d", "virtual", "a\nb")) is Reason.LABEL_INVALID
    assert why(CreateSubAccount(master, "d", "virtual", most=1)) is Reason.SUB_ACCOUNT_LIMIT
    assert desk.refused(SetBroker(sub, True)).reason is Reason.MAIN_ACCOUNT_ONLY


def test_a_broker_may_close_a_sub_account_without_keys_and_its_address_is_free_again(desk: Desk) -> None:
    broker = desk.account()
    desk.do(SetBroker(broker, True))
    sub = sub_account(desk, broker, link="broker")
    key = desk.key(sub)
    assert desk.refused(CloseSubAccount(sub, broker)).reason is Reason.SUB_ACCOUNT_IN_USE
    desk.do(DeleteKey(key.key_id, broker))
    assert desk.refused(CloseSubAccount(sub, desk.account("bob"))).reason is Reason.SUB_ACCOUNT_UNKNOWN
    assert desk.refused(CloseSubAccount(broker, broker)).reason is Reason.SUB_ACCOUNT_UNKNOWN
    desk.do(CloseSubAccount(sub, broker))
    assert desk.state.sub_accounts_of(broker) == []
    assert desk.refused(CloseSubAccount(sub, broker)).reason is Reason.SUB_ACCOUNT_UNKNOWN
    assert desk.refused(CreateKey(sub, api_key_from(entropy("late")), "hmac", "late", 1, (), "x")).reason is (
        Reason.ACCOUNT_UNKNOWN
    )
    assert sub_account(desk, broker, link="broker") != sub


def test_a_broker_closes_twenty_sub_accounts_within_any_day(desk: Desk) -> None:
    broker = desk.account()
    desk.do(SetBroker(broker, True))
    subs = [sub_account(desk, broker, f"sub {number}", "broker") for number in range(21)]
    for number, sub in enumerate(subs[:20]):
        desk.do(CloseSubAccount(sub, broker))
        desk.now_us += 1 if number else 60_000_000
    assert desk.refused(CloseSubAccount(subs[20], broker)).reason is Reason.SUB_ACCOUNT_CLOSINGS
    desk.now_us += DAY_US - 60_000_020
    assert desk.refused(CloseSubAccount(subs[20], broker)).reason is Reason.SUB_ACCOUNT_CLOSINGS
    desk.now_us += 1
    desk.do(CloseSubAccount(subs[20], broker))


def test_an_erased_masters_sub_accounts_are_gone_with_it(desk: Desk) -> None:
    master = desk.account()
    sub = sub_account(desk, master)
    key = desk.key(sub)
    events = desk.do(EraseAccount(master))
    assert key.key_id in desk.shard.narrowed_keys(events)
    assert desk.state.account(sub) is None and desk.state.sub_accounts_of(master) == []
    assert desk.state.account_by_email("digest of sub") is None
    assert reason(desk.call(key, sign=lambda _: "")) is Reason.KEY_DELETED


def test_sub_accounts_are_written_down_and_read_whole(desk: Desk) -> None:
    master = desk.account()
    desk.do(SetBroker(master, True))
    sub, closed = sub_account(desk, master), sub_account(desk, master, "closed", "broker")
    key = desk.key(sub)
    desk.do(CreateKey(master, api_key_from(entropy("s")), "hmac", "s", 3, (), "x", special="cross"))
    desk.do(CloseSubAccount(closed))
    desk.do(RemoveTotp(master))
    other = AccessShard()
    other.load(msgspec.msgpack.decode(msgspec.msgpack.encode(desk.shard.dump())))
    assert state_digest(other) == state_digest(desk.shard)
    assert [one.account_id for one in other.state.sub_accounts_of(master)] == [sub]
    standing = other.state.keys[key.key_id].standing
    assert standing is not None and standing.reason is Reason.ACCOUNT_UNVERIFIED
    assert other.state.account_by_email("digest of closed") is None


def test_a_state_of_before_sub_accounts_still_loads(desk: Desk) -> None:
    key = desk.key(desk.account(), permissions=READ_AND_TRADE)
    data = msgspec.msgpack.decode(msgspec.msgpack.encode(desk.shard.dump()))
    *_, accounts, keys = data
    accounts[:] = [row[:11] for row in accounts]
    keys[:] = [row[:15] for row in keys]
    desk.shard.load(data)
    assert isinstance(desk.call(desk.state.keys[key.key_id]), Admission)
