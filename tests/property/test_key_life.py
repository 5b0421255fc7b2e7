"""No life of a key, however odd, gives it more power, more time or more places than its policy allows.

A machine plays random lives: keys are created, edited, rotated, disabled, deleted, accounts lose and regain what keys
depend on, clocks move, the process restarts. Beside it stands a naive model, written from the rules alone: after every
step each key is tried from two addresses for each permission, and what the gate admits must be exactly what the model
allows; what a command is answered must be what the model answers.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sparekey.access.commands import (
    AddPasskey,
    AdvanceClock,
    CreateAccount,
    CreateKey,
    DeleteKey,
    DisableKey,
    EditKey,
    EnableKey,
    EnrolSms,
    EnrolTotp,
    EraseAccount,
    PanicKeys,
    RecordStrike,
    RemovePasskey,
    RemoveSms,
    RemoveTotp,
    RestoreAccess,
    RotateKey,
    RunDueTimers,
    SetKyc,
    SuspendAccess,
)
from sparekey.access.credentials import api_key_from, secret_from
from sparekey.access.events import KeyRotated
from sparekey.access.gate import Gate
from sparekey.access.limits import IpLedger
from sparekey.access.shard import AccessShard
from sparekey.access.state import FACTORS, NEVER_US
from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import DAY_US, HOUR_US
from sparekey.terms.permissions import Permission
from sparekey.terms.refusals import Refusal
from tests.unit.access.venue_of_keys import NOW_US, PAYLOAD, entropy, profile, sign_hmac

READ, TRADE, LOAN, WITHDRAW = 1, 2, 4, 16
HOME, ABROAD = "203.0.113.7", "198.51.100.1"
LISTED = ("203.0.113.0/24",)
#: Fewer than thirty, so that a short life meets the limit.
PLACES = 4

masks = st.sampled_from([0, READ, TRADE, READ | TRADE, LOAN, TRADE | LOAN, WITHDRAW, TRADE | WITHDRAW, 23])
whitelists = st.sampled_from([(), LISTED])
PAUSES = [1, HOUR_US, DAY_US, 29 * DAY_US, 40 * DAY_US]


# --- the naive model --------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Person:
    """An account, as far as keys depend on it."""

    account_id: int
    name: str
    approved: bool = True
    factors: list[str] = dataclasses.field(default_factory=lambda: ["totp"])
    suspended: bool = False
    erased: bool = False
    strikes: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(eq=False)
class Card:
    """A key, as its owner would write it down. `line`: the first key of those that replaced each other."""

    key_id: int
    owner: Person
    signature: str
    api_key: bytes
    mask: int
    listed: bool
    ends_us: int
    line: int
    disabled: bool = False
    deleted: bool = False
    noticed_dead: bool = False
    replaced: Card | None = None
    replacement: Card | None = None

    def dead(self, now_us: int) -> bool:
        return now_us >= self.ends_us

    def allows(self, bit: int, ip: str, now_us: int) -> bool:
        owner = self.owner
        return (
            not (self.deleted or self.disabled or self.dead(now_us) or owner.suspended or owner.erased)
            and (self.mask == READ or (owner.approved and bool(owner.factors)))
            and (ip == HOME or not self.listed)
            and self.mask & bit == bit
        )

    def has_place(self) -> bool:
        if self.deleted:
            return False
        if self.replacement is None:
            return True
        return self.replacement.deleted and not self.noticed_dead


def legal_mask(mask: int, listed: bool) -> bool:
    return not (mask & LOAN and not mask & TRADE) and not (mask & WITHDRAW and not listed)


class KeyLives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = IpLedger(profile("off"))
        self.vault: dict[str, bytes] = {}
        self.journal: list[tuple[bytes, int]] = []
        self.wall_us, self.advanced_us = NOW_US, 0
        self.people: list[Person] = []
        self.cards: list[Card] = []
        #: what each key could do after the step before, and when it would have died
        self.before: dict[int, set[tuple[int, str]]] = {}
        self.ends_before: dict[int, int] = {}
        #: what the shard named for the others to fence, in the step that is under way
        self.narrowed: set[int] = set()
        #: ends that rotations set, by key
        self.retirements: dict[int, int] = {}
        self.use(AccessShard())
        for name in ("ada", "bob"):
            self.sign_up(name)
            for mask, listed in ((READ | TRADE, False), (READ | TRADE | WITHDRAW, True)):
                self.issue(self.people[-1], mask, listed)
            self.wall_us += 40 * DAY_US  # so that the first of them die soon

    def use(self, shard: AccessShard) -> None:
        self.shard = shard
        self.gate = Gate(shard.state, self.ledger, lambda key: self.vault.get(key.vault_id))

    @property
    def now_us(self) -> int:
        return self.wall_us + self.advanced_us

    def sign_up(self, name: str) -> None:
        (created, _) = self.must(CreateAccount(f"digest of {name}", f"password/{name}", "approved", f"totp/{name}"))
        self.people.append(Person(created.account_id, name))

    def ask(self, command: Any) -> tuple[Any, ...] | Refusal:
        dumped = msgspec.msgpack.encode(self.shard.dump())
        outcome = self.shard.execute(command, self.now_us)
        if isinstance(outcome, Refusal) or not outcome:
            assert msgspec.msgpack.encode(self.shard.dump()) == dumped
            return outcome if isinstance(outcome, Refusal) else ()
        self.journal.append((msgspec.msgpack.encode(outcome), self.now_us))
        self.narrowed |= set(self.shard.narrowed_keys(outcome))
        return tuple(outcome)

    def must(self, command: Any) -> tuple[Any, ...]:
        outcome = self.ask(command)
        assert not isinstance(outcome, Refusal), (command, outcome)
        return outcome

    def expect(self, command: Any, accepted: bool) -> tuple[Any, ...]:
        """Ask, and hold the answer against the model's."""
        outcome = self.ask(command)
        assert isinstance(outcome, Refusal) is not accepted, (command, outcome)
        return () if isinstance(outcome, Refusal) else outcome

    # --- the model's side of what follows from a step -----------------------------------------------------------------

    def pick(self, data: st.DataObject) -> Card:
        """Mostly a key that lives, because little can happen to the others."""
        living = [card for card in self.cards if not card.deleted and not card.dead(self.now_us)]
        return data.draw(st.sampled_from(living if living and data.draw(st.integers(0, 4)) else self.cards))

    def person(self, data: st.DataObject) -> Person:
        return data.draw(st.sampled_from(self.people))

    def fit(self, owner: Person) -> bool:
        return owner.approved and bool(owner.factors) and not owner.suspended and not owner.erased

    def new_card(self, owner: Person, mask: int, listed: bool, line: int = 0) -> tuple[Card, str]:
        name = f"key {len(self.cards)} of {len(self.journal)}"
        secret = secret_from(entropy(f"secret of {name}"))
        self.vault[f"secret/{name}"] = secret.encode()
        key_id = self.shard.state.next_key_id
        ends_us = NEVER_US if listed else self.now_us + 90 * DAY_US
        api_key = api_key_from(entropy(name))
        card = Card(key_id, owner, sign_hmac(secret)(PAYLOAD), api_key.encode(), mask, listed, ends_us, line or key_id)
        return card, f"secret/{name}"

    def issue(self, owner: Person, mask: int, listed: bool) -> None:
        card, vault_id = self.new_card(owner, mask | READ, listed)
        taken = sum(one.has_place() for one in self.cards if one.owner is owner)
        command = CreateKey(
            owner.account_id,
            card.api_key.decode(),
            "hmac",
            "bot",
            mask,
            LISTED if listed else (),
            vault_id,
            key_limit=PLACES,
        )
        accepted = self.fit(owner) and taken < PLACES and legal_mask(mask, listed)
        if self.expect(command, accepted):
            self.cards.append(card)

    # --- steps --------------------------------------------------------------------------------------------------------

    @rule(data=st.data(), mask=masks, listed=st.booleans())
    def create(self, data: st.DataObject, mask: int, listed: bool) -> None:
        self.issue(self.person(data), mask, listed)

    @rule(data=st.data(), mask=st.none() | masks, whitelist=st.none() | whitelists)
    def edit(self, data: st.DataObject, mask: int | None, whitelist: tuple[str, ...] | None) -> None:
        card = self.pick(data)
        listed = card.listed if whitelist is None else bool(whitelist)
        kept = card.mask if listed else card.mask & ~WITHDRAW
        wanted = kept if mask is None else mask | READ
        accepted = not card.deleted and not card.dead(self.now_us) and legal_mask(wanted, listed)
        self.expect(EditKey(card.key_id, permissions=mask, whitelist=whitelist), accepted)
        if not accepted:
            return
        card.mask = wanted
        if listed != card.listed:
            # A rotation's end holds whatever happens to the key's own.
            retires_us = self.retirements.get(card.key_id, NEVER_US)
            card.ends_us = min(retires_us, NEVER_US if listed else self.now_us + 90 * DAY_US)
            card.listed = listed

    @rule(data=st.data(), overlap_us=st.sampled_from([0, HOUR_US, 30 * DAY_US, 30 * DAY_US, 30 * DAY_US + 1]))
    def rotate(self, data: st.DataObject, overlap_us: int) -> None:
        old = self.pick(data)
        now_us = self.now_us
        new, vault_id = self.new_card(old.owner, old.mask, old.listed, old.line)
        living = [
            one
            for one in self.cards
            if one.line == old.line and one is not old and not one.deleted and not one.dead(now_us)
        ]
        followed = old.replacement is not None and not old.replacement.deleted
        accepted = (
            self.fit(old.owner)
            and not old.deleted
            and not old.dead(now_us)
            and not followed
            and not living
            and overlap_us <= 30 * DAY_US
        )
        command = RotateKey(old.key_id, 0, new.api_key.decode(), vault_id, "", overlap_us)
        events = self.expect(command, accepted)
        if not accepted:
            return
        if old.replaced is not None and not old.replaced.deleted:
            old.replaced.deleted = True
        old.replacement, new.replaced = new, old
        old.ends_us = self.retirements[old.key_id] = min(old.ends_us, now_us + overlap_us)
        old.noticed_dead = old.dead(now_us)
        assert KeyRotated(old.key_id, new.key_id, old.ends_us) in events
        self.cards.append(new)

    @rule(data=st.data(), off=st.booleans())
    def disable_or_enable(self, data: st.DataObject, off: bool) -> None:
        card = self.pick(data)
        accepted = not card.deleted and (off or not card.dead(self.now_us))
        self.expect((DisableKey if off else EnableKey)(card.key_id), accepted)
        if accepted:
            card.disabled = off

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        card = self.pick(data)
        self.expect(DeleteKey(card.key_id), not card.deleted)
        card.deleted = True

    @rule(
        data=st.data(), trouble=st.sampled_from(["panic", "KYC", "factor", "suspension", "strike", "strike", "erasure"])
    )
    def trouble(self, data: st.DataObject, trouble: str) -> None:
        owner = self.person(data)
        there = not owner.erased
        if trouble == "panic":
            self.expect(PanicKeys(owner.account_id, "a leak"), there)
            for card in self.cards_of(owner):
                card.disabled = True
        elif trouble == "KYC":
            self.expect(SetKyc(owner.account_id, data.draw(st.sampled_from(["pending", "rejected"]))), there)
            owner.approved = False
        elif trouble == "factor":
            factor, proof = data.draw(st.sampled_from(FACTORS)), data.draw(st.sampled_from(["", "recovery", *FACTORS]))
            on = factor in owner.factors and (proof in ("", "recovery") or proof in owner.factors)
            accepted = there and on and (len(owner.factors) > 1 or proof in ("", "recovery", factor))
            self.expect(self.removal(owner, factor, proof), accepted)
            if accepted:
                owner.factors.remove(factor)
        elif trouble == "suspension":
            self.expect(SuspendAccess(owner.account_id, "the operator says so"), there)
            owner.suspended = True
        elif trouble == "strike":
            self.expect(RecordStrike(owner.account_id, "a ban"), there)
            owner.strikes.append(self.now_us)
            day = [one for one in owner.strikes if one > self.now_us - DAY_US]
            month = [one for one in owner.strikes if one > self.now_us - 30 * DAY_US]
            owner.suspended = owner.suspended or len(day) >= 3 or len(month) >= 5
        elif there and data.draw(st.booleans()):
            self.must(EraseAccount(owner.account_id))
            owner.erased = True
            for card in self.cards_of(owner):
                card.deleted = True
            self.sign_up(owner.name)

    @rule(data=st.data())
    def all_is_well(self, data: st.DataObject) -> None:
        """The owner proves who they are, enrols a factor, and the operator lets them back in."""
        owner = self.person(data)
        there = not owner.erased
        self.expect(SetKyc(owner.account_id, "approved"), there)
        factor = data.draw(st.sampled_from(FACTORS))
        known = factor == "passkey" and factor in owner.factors
        self.expect(self.enrolment(owner, factor), there and not known)
        self.expect(RestoreAccess(owner.account_id, "mended"), there)
        owner.strikes = [] if owner.suspended else owner.strikes
        owner.approved, owner.suspended = True, False
        if factor not in owner.factors:
            owner.factors.append(factor)

    def enrolment(self, owner: Person, factor: str) -> Any:
        if factor == "passkey":
            return AddPasskey(owner.account_id, f"key-of-{owner.account_id}", "cose", 0, "laptop")
        return (EnrolTotp if factor == "totp" else EnrolSms)(owner.account_id, f"{factor}/another")

    def removal(self, owner: Person, factor: str, proof: str) -> Any:
        if factor == "passkey":
            return RemovePasskey(owner.account_id, f"key-of-{owner.account_id}", proof)
        return (RemoveTotp if factor == "totp" else RemoveSms)(owner.account_id, proof)

    def cards_of(self, owner: Person) -> list[Card]:
        return [card for card in self.cards if card.owner is owner]

    def pause(self, data: st.DataObject) -> int:
        """A while, or up to the moment at which some key dies, the one before, or the day before."""
        left = [card.ends_us - self.now_us for card in self.cards if not card.deleted and card.ends_us < NEVER_US]
        edges = [edge_us for left_us in left for edge_us in (left_us - DAY_US, left_us - 1, left_us) if edge_us > 0]
        return data.draw(st.sampled_from(PAUSES + edges))

    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        """Time goes by, and no timer has gone off yet."""
        self.wall_us += self.pause(data)
        self.remember()

    @rule(data=st.data())
    def advance(self, data: st.DataObject) -> None:
        by_us = self.pause(data)
        self.must(AdvanceClock(by_us))
        self.advanced_us += by_us
        self.notice()

    @rule()
    def run_timers(self) -> None:
        self.must(RunDueTimers())
        self.notice()

    def notice(self) -> None:
        for card in self.cards:
            card.noticed_dead = card.noticed_dead or card.dead(self.now_us)

    @rule(journal=st.booleans())
    def restart(self, journal: bool) -> None:
        """From a snapshot, or by applying everything that ever happened."""
        shard = AccessShard()
        written = msgspec.msgpack.encode(self.shard.dump())
        if journal:
            for events, time_us in self.journal:
                shard.apply(shard.decode_events(events), time_us)
        else:
            shard.load(msgspec.msgpack.decode(written))
        assert msgspec.msgpack.encode(shard.dump()) == written
        self.use(shard)

    # --- after every step ---------------------------------------------------------------------------------------------

    def remember(self) -> None:
        now_us = self.now_us
        tried = [(bit, ip) for bit in (READ, TRADE, LOAN, WITHDRAW) for ip in (HOME, ABROAD)]
        self.before = {card.key_id: {one for one in tried if card.allows(*one, now_us)} for card in self.cards}
        self.ends_before = {card.key_id: card.ends_us for card in self.cards}

    @invariant()
    def what_is_admitted_is_what_the_model_allows(self) -> None:
        now_us = self.now_us
        for card in self.cards:
            signature = card.signature
            for bit in (READ, TRADE, LOAN, WITHDRAW):
                for ip in (HOME, ABROAD):
                    outcome = self.gate.admit(
                        ip,
                        card.api_key,
                        Permission(bit),
                        self.wall_us,
                        5_000_000,
                        PAYLOAD,
                        signature,
                        self.wall_us,
                        now_us,
                    )
                    allowed = card.allows(bit, ip, now_us)
                    assert isinstance(outcome, Admission) is allowed, (card, bit, ip, outcome)
                    if isinstance(outcome, Admission):
                        assert outcome.not_after_us == card.ends_us
                        assert outcome.account_id == card.owner.account_id

    @invariant()
    def what_a_key_lost_was_said_to_the_other_shards(self) -> None:
        before, ends_before = self.before, self.ends_before
        self.remember()
        lost = {key_id for key_id, rights in self.before.items() if before.get(key_id, set()) - rights}
        shortened = {
            card.key_id
            for card in self.cards
            if not card.deleted and card.ends_us < ends_before.get(card.key_id, card.ends_us)
        }
        assert lost | shortened <= self.narrowed, (lost, shortened, self.narrowed)
        self.narrowed = set()

    @invariant()
    def no_account_has_more_places_than_its_tier(self) -> None:
        state = self.shard.state
        for owner in self.people:
            mine = self.cards_of(owner)
            assert state.accounts[owner.account_id].keys_held == sum(card.has_place() for card in mine) <= PLACES
            living = [card for card in mine if not card.deleted and not card.dead(self.now_us)]
            lines = {card.line for card in living}
            assert len(lines) <= PLACES
            for line in lines:
                assert sum(card.line == line for card in living) <= 2
            # What the owner sees is what is there: two keys for each place at most.
            assert [key.key_id for key in state.keys_of(owner.account_id)] == [
                card.key_id for card in mine if not card.deleted
            ]


class TestKeyLives(KeyLives.TestCase):
    settings = settings(max_examples=100, stateful_step_count=50)


@pytest.mark.long
class TestManyKeyLives(KeyLives.TestCase):
    settings = settings(max_examples=2_000, stateful_step_count=100)
