"""The access shard is a function of its journal: what was decided live, applying the events alone rebuilds, byte by
byte, in any process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sparekey.access.commands import (
    AcceptTotpStep,
    AccessCommand,
    AdvanceClock,
    CloseSubAccount,
    CreateAccount,
    CreateKey,
    CreateSubAccount,
    DeleteKey,
    DisableKey,
    EditKey,
    EnableKey,
    EnrolTotp,
    EraseAccount,
    PanicKeys,
    RecordStrike,
    RemoveTotp,
    RestoreAccess,
    RotateKey,
    RunDueTimers,
    SetBroker,
    SetKyc,
    SetSkew,
    SuspendAccess,
)
from sparekey.access.credentials import api_key_from
from sparekey.access.shard import AccessShard
from sparekey.access.state import FIRST_ACCOUNT_ID, NEVER_US
from sparekey.sequencer.frames import encode
from sparekey.sequencer.recovery import state_digest
from sparekey.terms.clocktime import DAY_US, SECOND_US
from sparekey.terms.refusals import Refusal
from tests.unit.access.test_public_keys import ED_PEM, RSA_PEM
from tests.unit.access.venue_of_keys import NOW_US, entropy

accounts = st.integers(FIRST_ACCOUNT_ID, FIRST_ACCOUNT_ID + 3)
keys = st.integers(1, 8)
masks = st.integers(0, 127)
kycs = st.sampled_from(["none", "pending", "approved", "approved", "approved", "rejected", "odd"])
whitelists = st.sampled_from(
    [(), ("203.0.113.7",), ("10.0.0.0/25", "10.0.0.128/25", "2001:db8::1"), ("127.0.0.1",), ("0.0.0.0/0",), ("x",)]
)
labels = st.sampled_from(["bot", "机器人", "", "x" * 64, "a\nb"])
api_keys = st.integers(0, 30).map(lambda number: api_key_from(entropy(f"key {number}")))
material = st.sampled_from([("hmac", "secret/x", ""), ("rsa", "", RSA_PEM), ("ed25519", "", ED_PEM), ("rsa", "", "x")])


@st.composite
def new_keys(draw: st.DrawFn) -> CreateKey:
    key_type, vault_id, public_key = draw(material)
    return CreateKey(
        draw(accounts),
        draw(api_keys),
        key_type,
        draw(labels),
        draw(masks),
        draw(whitelists),
        vault_id,
        public_key,
        draw(st.booleans()),
        draw(st.sampled_from([30, 2])),
    )


@st.composite
def rotations(draw: st.DrawFn) -> RotateKey:
    _, vault_id, public_key = draw(material)
    overlap_us = draw(st.sampled_from([0, 1, SECOND_US, 30 * DAY_US, 31 * DAY_US, -1]))
    return RotateKey(draw(keys), draw(actors), draw(api_keys), vault_id, public_key, overlap_us)


actors = st.one_of(st.just(0), accounts)
commands = st.one_of(
    st.builds(
        CreateAccount,
        st.sampled_from(["digest a", "digest b", "digest c"]),
        st.just("password/x"),
        kycs,
        st.sampled_from(["totp/x", ""]),
        st.booleans(),
    ),
    new_keys(),
    new_keys(),
    st.builds(
        EditKey,
        keys,
        actors,
        st.none() | labels,
        st.none() | masks,
        st.none() | whitelists,
        st.booleans(),
    ),
    st.builds(SetKyc, accounts, kycs),
    st.builds(EnrolTotp, accounts, st.sampled_from(["totp/y", ""])),
    st.builds(RemoveTotp, accounts),
    st.builds(AcceptTotpStep, accounts, st.integers(0, 5)),
    st.builds(SuspendAccess, accounts, st.just("bans")),
    st.builds(RestoreAccess, accounts, st.just("")),
    st.builds(DisableKey, keys, actors),
    st.builds(EnableKey, keys, actors),
    st.builds(DeleteKey, keys, actors),
    rotations(),
    rotations(),
    st.builds(PanicKeys, accounts, st.just("a leak")),
    st.builds(EraseAccount, accounts),
    st.builds(RecordStrike, accounts, st.just("a ban")),
    st.builds(
        CreateSubAccount,
        accounts,
        st.sampled_from(["digest s", "digest t"]),
        st.sampled_from(["virtual", "broker", "odd"]),
        st.sampled_from(["", "tag", "x" * 32]),
        st.sampled_from([1, 200]),
    ),
    st.builds(CloseSubAccount, accounts, actors),
    st.builds(SetBroker, accounts, st.booleans()),
    st.builds(AdvanceClock, st.sampled_from([0, SECOND_US, DAY_US, 89 * DAY_US, 91 * DAY_US])),
    st.just(RunDueTimers()),
    st.builds(SetSkew, st.sampled_from([0, 3 * SECOND_US, -DAY_US, 2 * DAY_US])),
)
#: Each with how long after the one before it came.
lives = st.lists(st.tuples(commands, st.sampled_from([0, 1, SECOND_US, 30 * DAY_US])), min_size=1, max_size=60).map(
    lambda life: [(CreateAccount("digest z", "password/z", "approved", "totp/z"), 0), *life]
)

Journal = list[tuple[bytes, bytes, int]]


def live(life: Sequence[tuple[Any, int]]) -> tuple[AccessShard, Journal]:
    """The shard after a life, and what the journal holds of it."""
    shard = AccessShard()
    journal: Journal = []
    wall_us = NOW_US
    for command, pause_us in life:
        wall_us += pause_us
        time_us = wall_us + shard.state.policy_offset_us
        before = encode(shard.dump())
        outcome = shard.execute(command, time_us)
        if isinstance(outcome, Refusal) or not outcome:
            assert encode(shard.dump()) == before
        else:
            assert shard.state.seq == len(journal) + 1
            journal.append((encode(command), encode(outcome), time_us))
    return shard, journal


def derived(shard: AccessShard) -> list[Any]:
    """What is rebuilt instead of written down, as far as anybody can see it."""
    state = shard.state
    return [
        [
            (key.key_id, key.standing, key.dies_us, key.has_place, key.allowlist and key.allowlist.entries)
            for key in state.keys.values()
        ],
        [(account.account_id, account.key_ids, account.keys_held) for account in state.accounts.values()],
        sorted((public, [key.key_id for key in held]) for public, held in state.keys_by_spki.items()),
        sorted(state.keys_by_api_key),
        sorted(state.accounts_by_email),
        state.due(NEVER_US),
        state.next_due_us(),
    ]


@given(lives)
def test_applying_the_events_alone_gives_the_same_state(life: list[tuple[Any, int]]) -> None:
    shard, journal = live(life)
    replayed = AccessShard()
    for _, events, time_us in journal:
        replayed.apply(replayed.decode_events(events), time_us)
    assert encode(replayed.dump()) == encode(shard.dump())
    assert derived(replayed) == derived(shard)


@given(lives)
def test_deciding_the_journaled_commands_again_gives_the_same_events(life: list[tuple[Any, int]]) -> None:
    shard, journal = live(life)
    again = AccessShard()
    for command, events, time_us in journal:
        outcome = again.execute(again.decode_command(command), time_us)
        assert encode(outcome) == events
    assert state_digest(again) == state_digest(shard)


@given(lives, st.integers(0, 60))
def test_a_state_written_down_and_read_goes_on_as_if_nothing_had_been(life: list[tuple[Any, int]], at: int) -> None:
    shard, journal = live(life)
    loaded = AccessShard()
    for _, events, time_us in journal[:at]:
        loaded.apply(loaded.decode_events(events), time_us)
    written = encode(loaded.dump())
    loaded = AccessShard()
    loaded.load(msgspec.msgpack.decode(written))
    assert encode(loaded.dump()) == written
    for _, events, time_us in journal[at:]:
        loaded.apply(loaded.decode_events(events), time_us)
    assert encode(loaded.dump()) == encode(shard.dump())
    assert derived(loaded) == derived(shard)


@given(lives)
def test_what_every_key_may_never_be_it_never_is(life: list[tuple[Any, int]]) -> None:
    """The rules about keys, asked of the state as it stands, not of the commands that led there."""
    shard, _ = live(life)
    state = shard.state
    for key in state.keys.values():
        account = state.accounts[key.account_id]
        if key.status == "deleted":
            continue
        assert (key.expires_us is None) == bool(key.whitelist)
        assert not key.permissions & 16 or key.whitelist  # withdrawals
        assert key.permissions & 1
        assert not key.permissions & 4 or key.permissions & 2  # a margin loan needs trading
        if key.standing is None:
            assert key.status == "active"
            guarantor = state.guarantor_of(account)
            assert not account.suspended and not guarantor.suspended
            assert key.permissions == 1 or (guarantor.kyc == "approved" and guarantor.totp_vault_id)
    for account_id, account in state.accounts.items():
        assert account.keys_held == sum(key.has_place for key in state.keys_of(account_id)) <= 30


@given(commands)
def test_a_command_reads_back_from_the_journal_as_it_was_written(command: AccessCommand) -> None:
    assert AccessShard().decode_command(encode(command)) == command


SCRIPT = """
import hashlib, sys
from hypothesis import seed, settings, given, HealthCheck
from tests.property.test_access_replay import lives, live
from sparekey.sequencer.frames import encode
total = hashlib.sha256()

@seed(7)
@settings(max_examples=40, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(lives)
def run(life):
    shard, journal = live(life)
    total.update(encode([shard.dump(), journal]))

run()
print(total.hexdigest())
"""


def test_two_hash_seeds_give_the_same_journal_and_the_same_state() -> None:
    digests = []
    for hash_seed in ("0", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.append(done.stdout.strip())
    assert digests[0] == digests[1]
    assert len(digests[0]) == len(hashlib.sha256().hexdigest())
