"""A key and its replacement: what is copied, who dies when, and the one place that both share."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from sparekey.access.commands import (
    AdvanceClock,
    DeleteKey,
    DisableKey,
    EditKey,
    EnableKey,
    PanicKeys,
    RemoveTotp,
    RotateKey,
    RunDueTimers,
    SetKyc,
    SuspendAccess,
)
from sparekey.access.credentials import api_key_from
from sparekey.access.events import KeyCreated, KeyDeleted, KeyExpired, KeyRotated
from sparekey.access.shard import AccessShard
from sparekey.access.state import NEVER_US, Key
from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import DAY_US, HOUR_US
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from tests.unit.access.test_decisions import LISTED, new_key
from tests.unit.access.venue_of_keys import HOME, NOW_US, Desk, entropy, pem, reason

ED25519 = [Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in range(3)]
RSA = generate_private_key(65_537, 2_048)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def rotation(key: Key, name: str = "renewed", overlap_us: int = HOUR_US, **changes: Any) -> RotateKey:
    vault_id = f"secret/{name}" if key.key_type == "hmac" else ""
    command = RotateKey(key.key_id, key.account_id, api_key_from(entropy(name)), vault_id, "", overlap_us)
    return msgspec.structs.replace(command, **changes)


def rotate(desk: Desk, key: Key, name: str = "renewed", overlap_us: int = HOUR_US, **changes: Any) -> Key:
    desk.vault[f"secret/{name}"] = f"secret of {name}".encode()
    events = desk.do(rotation(key, name, overlap_us, **changes))
    created = next(event for event in events if isinstance(event, KeyCreated))
    return desk.state.keys[created.key_id]


def refused_for(desk: Desk, command: object, expected: Reason) -> None:
    assert reason(desk.refused(command)) is expected


def held(desk: Desk, account_id: int) -> int:
    """The account's places taken, and the same after the state was written down and read."""
    again = AccessShard()
    again.load(msgspec.msgpack.decode(msgspec.msgpack.encode(desk.shard.dump())))
    assert again.dump() == desk.shard.dump()
    assert again.state.next_due_us() == desk.state.next_due_us()
    assert again.state.accounts[account_id].keys_held == desk.state.accounts[account_id].keys_held
    return desk.state.accounts[account_id].keys_held


# --- what is copied, and the links ------------------------------------------------------------------------------------


def test_a_replacement_is_the_same_key_with_other_credentials(desk: Desk) -> None:
    mask = int(Permission.READING | Permission.SPOT_AND_MARGIN_TRADING | Permission.WITHDRAWALS)
    old = desk.key(desk.account(), "old", permissions=mask, whitelist=("10.0.0.0/25", "10.0.0.128/25", HOME))
    desk.now_us += DAY_US
    new = rotate(desk, old)
    assert (new.account_id, new.key_type, new.label) == (old.account_id, "hmac", "old")
    assert (new.permissions, new.whitelist) == (mask, old.whitelist)
    assert (new.api_key, new.vault_id) == (api_key_from(entropy("renewed")), "secret/renewed")
    assert (new.created_us, new.expires_us, new.status) == (desk.now_us, None, "active")
    assert (new.replaces, old.replaced_by) == (old.key_id, new.key_id)
    assert isinstance(desk.call(old), Admission)
    assert isinstance(desk.call(new), Admission)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [("ed25519", pem(ED25519[0]), pem(ED25519[1])), ("rsa", pem(RSA), pem(generate_private_key(65_537, 2_048)))],
)
def test_a_self_generated_key_is_replaced_with_a_new_public_key(desk: Desk, kind: str, before: str, after: str) -> None:
    old = desk.key(desk.account(), key_type=kind, public_key=before)
    refused_for(desk, rotation(old), Reason.PUBLIC_KEY_MISSING)
    refused_for(desk, rotation(old, public_key=before), Reason.PUBLIC_KEY_INVALID)
    refused_for(desk, rotation(old, public_key="x"), Reason.PUBLIC_KEY_INVALID)
    other = pem(ED25519[2]) if kind == "rsa" else pem(RSA)
    refused_for(desk, rotation(old, public_key=other), Reason.PUBLIC_KEY_INVALID)
    new = rotate(desk, old, public_key=after)
    assert new.public_key != old.public_key
    assert desk.state.keys_by_spki[new.spki] == (new,)


def test_a_public_key_of_another_account_replaces_nothing(desk: Desk) -> None:
    desk.key(desk.account("bob"), "bobs", key_type="ed25519", public_key=pem(ED25519[1]))
    old = desk.key(desk.account(), key_type="ed25519", public_key=pem(ED25519[0]))
    refused_for(desk, rotation(old, public_key=pem(ED25519[1])), Reason.PUBLIC_KEY_INVALID)


def test_a_system_generated_key_takes_a_sealed_secret_and_no_public_key(desk: Desk) -> None:
    old = desk.key(desk.account())
    refused_for(desk, rotation(old, vault_id=""), Reason.REQUEST_INVALID)
    refused_for(desk, rotation(old, public_key=pem(RSA)), Reason.PUBLIC_KEY_NOT_REQUIRED)
    refused_for(desk, rotation(old, api_key=old.api_key), Reason.REQUEST_INVALID)
    refused_for(desk, rotation(old, api_key="x"), Reason.KEY_MALFORMED)


# --- who dies when ----------------------------------------------------------------------------------------------------


def test_the_old_key_dies_at_the_end_of_the_overlap_to_the_microsecond_and_the_log_says_why(desk: Desk) -> None:
    old = desk.key(desk.account(), whitelist=(HOME,))
    new = rotate(desk, old, overlap_us=HOUR_US)
    assert (old.dies_us, desk.state.next_due_us()) == (NOW_US + HOUR_US, NOW_US + HOUR_US)
    desk.now_us = NOW_US + HOUR_US - 1
    admission = desk.call(old)
    assert isinstance(admission, Admission)
    assert admission.not_after_us == NOW_US + HOUR_US
    desk.now_us += 1
    for _ in range(2):  # before its timer goes off, and after
        refusal = desk.call(old)
        assert reason(refusal) is Reason.KEY_ROTATED
        assert "ended at 1700003600000" in refusal.explanation
        assert isinstance(desk.call(new), Admission)
        if old.status == "active":
            assert desk.do(RunDueTimers()) == (KeyExpired(old.key_id, NOW_US + HOUR_US),)
    assert (old.status, new.status, desk.state.next_due_us()) == ("expired", "active", NEVER_US)


def test_without_an_overlap_the_old_key_dies_in_the_same_commit(desk: Desk) -> None:
    old = desk.key(desk.account(), whitelist=(HOME,))
    events = desk.do(rotation(old, overlap_us=0))
    new = desk.state.keys[old.replaced_by]
    assert [type(event) for event in events] == [KeyCreated, KeyRotated, KeyExpired]
    assert desk.shard.narrowed_keys(events) == [old.key_id]
    assert reason(desk.call(old, sign=lambda payload: "")) is Reason.KEY_ROTATED
    assert new.status == "active"


def test_an_overlap_is_neither_negative_nor_longer_than_thirty_days(desk: Desk) -> None:
    old = desk.key(desk.account(), whitelist=LISTED)
    for overlap_us in (-1, 30 * DAY_US + 1, 1 << 70):
        refused_for(desk, rotation(old, overlap_us=overlap_us), Reason.OVERLAP_INVALID)
    rotate(desk, old, overlap_us=30 * DAY_US)
    assert old.dies_us == NOW_US + 30 * DAY_US


def test_a_rotation_gives_the_old_key_no_more_life_than_it_had(desk: Desk) -> None:
    old = desk.key(desk.account())
    desk.now_us += 89 * DAY_US
    new = rotate(desk, old, overlap_us=30 * DAY_US)
    assert old.dies_us == NOW_US + 90 * DAY_US
    assert new.expires_us == desk.now_us + 90 * DAY_US
    desk.now_us = NOW_US + 90 * DAY_US
    assert reason(desk.call(old)) is Reason.KEY_EXPIRED  # its own end, not the rotation's
    desk.do(RunDueTimers())
    assert reason(desk.call(old)) is Reason.KEY_EXPIRED


@pytest.mark.parametrize("whitelists", [[LISTED], [LISTED, ()], [LISTED, (), LISTED, ()]])
def test_no_edit_moves_the_end_that_a_rotation_set(desk: Desk, whitelists: list[tuple[str, ...]]) -> None:
    old = desk.key(desk.account())
    desk.now_us += 89 * DAY_US
    rotate(desk, old, overlap_us=30 * DAY_US)
    for whitelist in whitelists:
        desk.do(EditKey(old.key_id, whitelist=whitelist))
        assert old.dies_us == NOW_US + 90 * DAY_US
    desk.now_us = old.dies_us
    desk.do(RunDueTimers())
    assert old.status == "expired"


@pytest.mark.parametrize("late", [0, 1])
def test_a_dead_key_is_not_rotated(desk: Desk, late: int) -> None:
    old = desk.key(desk.account())
    desk.now_us += 90 * DAY_US + late
    refused_for(desk, rotation(old), Reason.KEY_EXPIRED)
    desk.do(RunDueTimers())
    refused_for(desk, rotation(old), Reason.KEY_EXPIRED)


def test_what_a_rotation_ended_never_revives(desk: Desk) -> None:
    old = desk.key(desk.account(), whitelist=LISTED)
    rotate(desk, old)
    desk.do(AdvanceClock(HOUR_US))
    desk.now_us += HOUR_US
    for command in (EditKey(old.key_id, whitelist=()), EnableKey(old.key_id), rotation(old, "third")):
        refused_for(desk, command, Reason.KEY_ROTATED)
    assert desk.do(DisableKey(old.key_id)) == ()


def test_a_disabled_key_stays_disabled_and_its_replacement_is_not(desk: Desk) -> None:
    """So that an owner who stopped a leaked key gets a new one without opening the old one again."""
    old = desk.key(desk.account())
    desk.do(DisableKey(old.key_id))
    new = rotate(desk, old)
    assert (old.status, new.status) == ("disabled", "active")


# --- who may ----------------------------------------------------------------------------------------------------------


def test_a_rotation_needs_what_a_new_key_needs(desk: Desk) -> None:
    account_id = desk.account()
    old = desk.key(account_id)
    desk.do(SetKyc(account_id, "pending"))
    refused_for(desk, rotation(old), Reason.KYC_MISSING)
    desk.do(SetKyc(account_id, "approved"))
    desk.do(SuspendAccess(account_id, "bans"))
    refused_for(desk, rotation(old), Reason.ACCOUNT_SUSPENDED)
    other = desk.account("bob")
    bobs = desk.key(other, "bobs")
    desk.do(RemoveTotp(other))
    refused_for(desk, rotation(bobs), Reason.FACTOR_MISSING)


def test_a_strangers_rotation_looks_like_one_of_no_key(desk: Desk) -> None:
    old = desk.key(desk.account())
    eve = desk.account("eve")
    command = rotation(old, actor_account_id=eve)
    assert desk.refused(command) == desk.refused(msgspec.structs.replace(command, key_id=999))
    assert desk.refused(command).reason is Reason.KEY_UNKNOWN
    desk.do(DeleteKey(old.key_id))
    refused_for(desk, rotation(old), Reason.KEY_DELETED)


def test_a_key_in_a_rotation_is_not_rotated_again_whichever_end_of_it(desk: Desk) -> None:
    old = desk.key(desk.account(), whitelist=LISTED)
    new = rotate(desk, old)
    for key in (old, new):
        refused_for(desk, rotation(key, "third"), Reason.KEY_IN_ROTATION)
    desk.now_us += HOUR_US  # the old one is dead now, although its timer has not gone off
    third = rotate(desk, new, "third")
    assert (third.replaces, new.replaced_by) == (new.key_id, third.key_id)


# --- the place --------------------------------------------------------------------------------------------------------


def full(desk: Desk) -> tuple[int, Key]:
    """An account with thirty keys, and one of them."""
    account_id = desk.account()
    for number in range(30):
        desk.do(new_key(account_id, f"bot {number}"))
    return account_id, desk.state.keys_of(account_id)[0]


def test_a_key_and_its_replacement_share_one_of_thirty_places(desk: Desk) -> None:
    account_id, old = full(desk)
    new = rotate(desk, old)
    assert held(desk, account_id) == 30
    refused_for(desk, new_key(account_id, "one too many"), Reason.KEY_LIMIT)
    desk.now_us += HOUR_US
    desk.do(RunDueTimers())
    assert held(desk, account_id) == 30  # the end of the old key frees nothing: the replacement has the place
    refused_for(desk, new_key(account_id, "one too many"), Reason.KEY_LIMIT)
    desk.do(DeleteKey(old.key_id))
    assert held(desk, account_id) == 30
    desk.do(DeleteKey(new.key_id))
    assert held(desk, account_id) == 29
    desk.do(new_key(account_id, "thirtieth"))
    refused_for(desk, new_key(account_id, "one too many"), Reason.KEY_LIMIT)


def test_an_old_key_deleted_during_the_overlap_leaves_the_replacement_its_place(desk: Desk) -> None:
    account_id, old = full(desk)
    new = rotate(desk, old)
    desk.do(DeleteKey(old.key_id))
    assert (held(desk, account_id), new.status, desk.state.next_due_us()) == (30, "active", NEVER_US)
    rotate(desk, new, "third")
    assert held(desk, account_id) == 30


def test_a_replacement_deleted_during_the_overlap_hands_the_place_back_until_the_old_key_dies(desk: Desk) -> None:
    account_id, old = full(desk)
    new = rotate(desk, old)
    desk.do(DeleteKey(new.key_id))
    assert held(desk, account_id) == 30
    refused_for(desk, new_key(account_id, "one too many"), Reason.KEY_LIMIT)
    desk.now_us += HOUR_US
    desk.do(RunDueTimers())
    assert (old.status, held(desk, account_id)) == ("expired", 29)
    desk.do(DeleteKey(old.key_id))
    assert held(desk, account_id) == 29


def test_a_replacement_that_was_lost_is_replaced_itself_and_the_old_keys_end_only_comes_nearer(desk: Desk) -> None:
    account_id, old = full(desk)
    lost = rotate(desk, old, overlap_us=2 * HOUR_US)
    desk.do(DeleteKey(lost.key_id))
    kept = rotate(desk, old, "kept", overlap_us=30 * DAY_US)
    assert (old.dies_us, old.replaced_by, held(desk, account_id)) == (NOW_US + 2 * HOUR_US, kept.key_id, 30)
    desk.do(DeleteKey(kept.key_id))
    rotate(desk, old, "sooner", overlap_us=HOUR_US)
    assert (old.dies_us, held(desk, account_id)) == (NOW_US + HOUR_US, 30)


def test_rotating_for_ever_leaves_two_keys_to_look_at_not_a_trail(desk: Desk) -> None:
    account_id = desk.account()
    key = desk.key(account_id, whitelist=LISTED)
    for number in range(10):
        key = rotate(desk, key, f"key {number}", overlap_us=0)
    assert [one.status for one in desk.state.keys_of(account_id)] == ["expired", "active"]
    assert held(desk, account_id) == 1
    events = desk.do(rotation(key, "last"))
    assert isinstance(events[0], KeyDeleted)


# --- fences -----------------------------------------------------------------------------------------------------------


def test_a_rotation_and_its_end_fence_the_old_key_alone(desk: Desk) -> None:
    old = desk.key(desk.account(), whitelist=LISTED)
    assert desk.shard.narrowed_keys(desk.do(rotation(old))) == [old.key_id]
    desk.now_us += HOUR_US
    assert desk.shard.narrowed_keys(desk.do(RunDueTimers())) == [old.key_id]


def test_panic_during_a_rotation_stops_both(desk: Desk) -> None:
    account_id = desk.account()
    old = desk.key(account_id)
    new = rotate(desk, old)
    events = desk.do(PanicKeys(account_id, "a leak"))
    assert desk.shard.narrowed_keys(events) == [old.key_id, new.key_id]
    assert {reason(desk.call(old)), reason(desk.call(new))} == {Reason.KEY_DISABLED}
