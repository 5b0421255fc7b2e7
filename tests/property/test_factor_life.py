"""No order of tries, however odd, lets a code count twice, a guesser try oftener than allowed, or a session outlive
its epoch; and while keys may trade, their guarantor is verified.

A machine plays what comes to two accounts from anywhere: codes, recovery codes, passkeys, tries right and wrong,
factors on and off, passwords changed, waits, restarts. The model keeps what happened as plain lists and says what must
hold of those, not how the shard holds it.
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
    AcceptTotpStep,
    AddPasskey,
    ChangePassword,
    CreateAccount,
    CreateKey,
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
from sparekey.access.credentials import api_key_from
from sparekey.access.shard import AccessShard
from sparekey.access.state import HARMLESS, Account
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from tests.unit.access.venue_of_keys import NOW_US, READ_AND_TRADE, entropy

#: From the rules as they are written down, not from the code.
LIMITS = ((5, 5 * MINUTE_US), (20, HOUR_US), (50, DAY_US))
WAITS = [0, 1, MINUTE_US, 5 * MINUTE_US - 1, 5 * MINUTE_US, HOUR_US, DAY_US - 1, DAY_US]

PROOFS = st.sampled_from(["", "recovery", "totp", "sms", "passkey", "email"])
CREDENTIALS = st.sampled_from(["one", "two"])


@dataclasses.dataclass
class Person:
    account_id: int
    enrolment: int = 0
    recovery_set: int = 0
    misses: list[int] = dataclasses.field(default_factory=list)
    #: what counted, ever: (which enrolment, step) and (which set, index)
    steps: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    recovered: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    counts: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    epochs: list[int] = dataclasses.field(default_factory=lambda: [0])
    last_factor_went_us: int | None = None


class FactorLives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.shard = AccessShard()
        self.journal: list[tuple[bytes, int]] = []
        self.now_us = NOW_US
        self.made = 0
        self.people = [self.sign_up(), self.sign_up()]

    def sign_up(self) -> Person:
        self.made += 1
        name = str(self.made)
        (created, _) = self.must(CreateAccount(name, f"password/{name}", "approved", f"totp/{name}"))
        person = Person(created.account_id)
        api_key = api_key_from(entropy(f"key {name}"))
        self.must(CreateKey(person.account_id, api_key, "hmac", "bot", READ_AND_TRADE, vault_id=f"secret/{name}"))
        return person

    def ask(self, command: Any) -> tuple[Any, ...] | Refusal:
        before = msgspec.msgpack.encode(self.shard.dump())
        could = self.may_trade()
        outcome = self.shard.execute(command, self.now_us)
        if isinstance(outcome, Refusal) or not outcome:
            assert msgspec.msgpack.encode(self.shard.dump()) == before
            return outcome if isinstance(outcome, Refusal) else ()
        self.journal.append((msgspec.msgpack.encode(outcome), self.now_us))
        # Whatever a key can do no longer was said to the other shards with the very record.
        assert could - self.may_trade() <= set(self.shard.narrowed_keys(outcome))
        return tuple(outcome)

    def must(self, command: Any) -> tuple[Any, ...]:
        outcome = self.ask(command)
        assert not isinstance(outcome, Refusal), (command, outcome)
        return outcome

    def may_trade(self) -> set[int]:
        keys = self.shard.state.keys.values()
        return {key.key_id for key in keys if key.standing is None and key.permissions & ~HARMLESS}

    def account(self, person: Person) -> Account:
        return self.shard.state.accounts[person.account_id]

    def person(self, data: st.DataObject) -> Person:
        return data.draw(st.sampled_from(self.people))

    # --- tries --------------------------------------------------------------------------------------------------------

    @rule(data=st.data(), right=st.booleans(), times=st.integers(1, 30), pause_us=st.sampled_from(WAITS[:5]))
    def try_codes(self, data: st.DataObject, right: bool, times: int, pause_us: int) -> None:
        """A guesser, or the holder: a right code costs nothing."""
        person = self.person(data)
        for _ in range(times):
            expected = all(
                sum(1 for miss in person.misses if self.now_us - miss < within_us) < most for most, within_us in LIMITS
            )
            outcome = self.ask(StartFactorAttempt(person.account_id))
            assert isinstance(outcome, Refusal) is not expected, outcome
            if isinstance(outcome, Refusal):
                limit, _, until_ms = outcome.facts
                assert limit in (5, 20, 50)
                assert isinstance(until_ms, int)
                assert self.now_us < until_ms * 1_000 <= self.now_us + DAY_US + 1_000
            elif right:
                self.must(PassFactorAttempt(person.account_id))
            else:
                person.misses.append(self.now_us)
            self.now_us += pause_us

    @rule(data=st.data(), step=st.integers(1, 6))
    def show_a_step(self, data: st.DataObject, step: int) -> None:
        person = self.person(data)
        outcome = self.ask(AcceptTotpStep(person.account_id, step))
        if not isinstance(outcome, Refusal):
            assert "totp" in self.account(person).factors
            assert all(step > before for of, before in person.steps if of == person.enrolment)
            person.steps.append((person.enrolment, step))

    @rule(data=st.data(), index=st.integers(-1, 10))
    def use_recovery_code(self, data: st.DataObject, index: int) -> None:
        person = self.person(data)
        left = len(self.account(person).recovery_left)
        if not isinstance(self.ask(UseRecoveryCode(person.account_id, index)), Refusal):
            used = (person.recovery_set, index)
            assert used not in person.recovered
            assert 0 <= index < 10
            assert len(self.account(person).recovery_left) == left - 1
            person.recovered.append(used)

    @rule(data=st.data(), credential=CREDENTIALS, count=st.sampled_from([0, 1, 2, 3, 0, -1]))
    def use_passkey(self, data: st.DataObject, credential: str, count: int) -> None:
        person = self.person(data)
        outcome = self.ask(UsePasskey(person.account_id, credential, count))
        before = person.counts.get(credential)
        if isinstance(outcome, Refusal):
            assert before is None or count < 0 or (count <= before[-1] and (count, before[-1]) != (0, 0))
        else:
            assert before is not None
            assert count > before[-1] or count == before[-1] == 0
            before.append(count)

    # --- on and off ---------------------------------------------------------------------------------------------------

    @rule(data=st.data(), kind=st.sampled_from(["totp", "sms", "recovery"]))
    def enrol(self, data: st.DataObject, kind: str) -> None:
        person = self.person(data)
        if kind == "totp":
            self.must(EnrolTotp(person.account_id, "totp/again"))
            person.enrolment += 1
        elif kind == "sms":
            self.must(EnrolSms(person.account_id, "sms/again"))
        else:
            on = bool(self.account(person).factors)
            outcome = self.ask(SetRecoveryCodes(person.account_id, "recovery/again", 10))
            assert isinstance(outcome, Refusal) is not on
            person.recovery_set += on

    @rule(data=st.data(), credential=CREDENTIALS, count=st.sampled_from([0, 0, 2]))
    def add_passkey(self, data: st.DataObject, credential: str, count: int) -> None:
        person = self.person(data)
        taken = any(credential in one.counts for one in self.people)
        outcome = self.ask(AddPasskey(person.account_id, credential, "cose", count, "laptop"))
        assert isinstance(outcome, Refusal) is taken
        if not taken:
            person.counts[credential] = [count]

    @rule(data=st.data(), kind=st.sampled_from(["totp", "sms", "one", "two"]), proof=PROOFS)
    def remove(self, data: st.DataObject, kind: str, proof: str) -> None:
        person = self.person(data)
        before = self.account(person).factors
        command = {"totp": RemoveTotp(person.account_id, proof), "sms": RemoveSms(person.account_id, proof)}
        outcome = self.ask(command.get(kind) or RemovePasskey(person.account_id, kind, proof))
        if isinstance(outcome, Refusal):
            assert outcome.reason is not Reason.FACTOR_LAST or (len(before) == 1 and proof not in ("recovery", *before))
            return
        assert proof in ("", "recovery", *before)
        person.counts.pop(kind, None)
        after = self.account(person).factors
        assert [one for one in before if one not in after] in ([], [kind], ["passkey"])
        if not after:
            # Nobody takes the last one away without it, a recovery code or the operator; and funds stay for a day.
            assert proof in ("", "recovery", *before)
            assert len(before) == 1
            assert self.account(person).withdrawals_from_us == self.now_us + DAY_US
            assert (self.account(person).recovery_vault_id, self.account(person).recovery_left) == ("", ())
            person.recovery_set += 1

    @rule(data=st.data(), kyc=st.sampled_from(["none", "pending", "approved", "approved", "rejected"]))
    def judge(self, data: st.DataObject, kyc: str) -> None:
        self.must(SetKyc(self.person(data).account_id, kyc, cause="as the paper says"))

    @rule(data=st.data())
    def apply_for_kyc(self, data: st.DataObject) -> None:
        person = self.person(data)
        open_to_it = self.account(person).kyc in ("none", "rejected")
        assert isinstance(self.ask(SubmitKyc(person.account_id, "kyc/again")), Refusal) is not open_to_it

    @rule(data=st.data(), password=st.booleans())
    def end_sessions(self, data: st.DataObject, password: bool) -> None:
        person = self.person(data)
        self.must(ChangePassword(person.account_id, "password/new") if password else EndSessions(person.account_id))
        assert self.account(person).epoch not in person.epochs
        person.epochs.append(self.account(person).epoch)

    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        if data.draw(st.integers(0, 3)):
            return
        person = self.person(data)
        self.must(EraseAccount(person.account_id))
        account = self.account(person)
        assert (account.factors, account.recovery_left, account.attempts, account.passkeys) == ([], (), (), ())
        assert not (account.sms_vault_id or account.recovery_vault_id or account.kyc_vault_id or account.kyc_cause)
        for command in (StartFactorAttempt, EndSessions):
            assert isinstance(self.ask(command(person.account_id)), Refusal)
        self.people[self.people.index(person)] = self.sign_up()

    @rule(pause_us=st.sampled_from(WAITS))
    def wait(self, pause_us: int) -> None:
        self.now_us += pause_us

    @rule(journal=st.booleans())
    def restart(self, journal: bool) -> None:
        shard = AccessShard()
        written = msgspec.msgpack.encode(self.shard.dump())
        if journal:
            for events, time_us in self.journal:
                shard.apply(shard.decode_events(events), time_us)
        else:
            shard.load(msgspec.msgpack.decode(written))
        assert msgspec.msgpack.encode(shard.dump()) == written
        assert sorted(shard.state.accounts_by_credential) == sorted(self.shard.state.accounts_by_credential)
        self.shard = shard

    # --- after every step ---------------------------------------------------------------------------------------------

    @invariant()
    def nobody_guesses_oftener_than_allowed(self) -> None:
        for person in self.people:
            for most, within_us in LIMITS:
                for end in person.misses:
                    assert sum(1 for miss in person.misses if end - within_us < miss <= end) <= most

    @invariant()
    def keys_that_may_trade_have_a_verified_guarantor(self) -> None:
        for person in self.people:
            account = self.account(person)
            able = any(key_id in self.may_trade() for key_id in account.key_ids)
            assert able is (account.kyc == "approved" and bool(account.factors))


class TestFactorLives(FactorLives.TestCase):
    settings = settings(max_examples=80, stateful_step_count=50)


@pytest.mark.long
class TestManyFactorLives(FactorLives.TestCase):
    settings = settings(max_examples=2_000, stateful_step_count=80)
