"""A console's services around one account, in memory, with time, letters and devices in the test's hand."""

from __future__ import annotations

import asyncio
import re
from base64 import b32decode
from collections.abc import Awaitable, Callable

import msgspec

from sparekey.access.commands import CreateAccount
from sparekey.access.one_time import code_at, step_at
from sparekey.access.shard import AccessShard
from sparekey.access.state import Account
from sparekey.console.codes import Codes
from sparekey.console.factors import Factors
from sparekey.console.letters import Letters
from sparekey.console.own_factors import OwnFactors
from sparekey.console.passkeys import Passkeys
from sparekey.console.passwords import CHEAP, Passwords
from sparekey.console.step_up import Action, StepUp, StepUps
from sparekey.console.writing import AccessWriter
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.journal import MemoryJournal
from sparekey.storage.vault import Vault
from sparekey.terms.clocktime import SECOND_US
from sparekey.terms.letters import SMS, Letter
from sparekey.terms.refusals import Refusal

NOON_US = 1_700_000_000_000_000
EMAIL = "ann@example.com"
PASSWORD = "correct horse battery staple"
NUMBER = "+447400123456"
ORIGIN = "http://localhost:8080"
HOST = "localhost:8080"


class HolderSession(msgspec.Struct, frozen=True):
    handle: str
    account_id: int
    ip: str = "203.0.113.7"
    agent: str = "a browser"


class Postbox:
    """Keeps letters for the test to read."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def send(self, letter: Letter) -> None:
        self.letters.append(letter)

    def forget(self, to: str) -> None:
        self.letters = [letter for letter in self.letters if letter.to != to]

    def code(self, kind: str) -> str:
        """Of the newest letter of this kind that holds one."""
        for letter in reversed(self.letters):
            found = re.search(r"\b\d{8}\b", letter.text)
            if letter.kind == kind and found:
                return found[0]
        raise AssertionError(f"no {kind} with a code was sent")


class Counter:
    """The console of one account holder, Ann, who begins with a password and no second factor."""

    def __init__(self, needs_email: bool) -> None:
        self.now_us = NOON_US
        clock = self.clock
        shard = AccessShard()
        self.journal = MemoryJournal()
        self.access = shard.state
        self.vault = Vault(":memory:", bytes(32))
        sequencer = Sequencer(self.journal, {"access": shard}, {"access": clock}, asyncio.get_running_loop().call_soon)
        self.writer = AccessWriter(sequencer)
        self.passwords = Passwords(CHEAP)
        self.post = Postbox()
        self.codes = Codes(clock)
        self.passkeys = Passkeys(
            [ORIGIN, "https://exchange.example"], lambda account_id: account_id.to_bytes(32, "big"), clock
        )
        letters = Letters(ORIGIN)
        self.factors = Factors(
            self.writer,
            self.access,
            self.vault,
            self.passwords,
            self.codes,
            self.passkeys,
            letters,
            self.post,
            wall_us=clock,
            now_us=clock,
        )
        self.step_ups = StepUps(self.factors, self.codes, clock, needs_email=needs_email)
        self.own = OwnFactors(
            self.factors,
            self.step_ups,
            self.writer,
            self.access,
            self.vault,
            self.passwords,
            self.codes,
            self.passkeys,
            letters,
            clock,
        )
        self.seeds: dict[int, str] = {}

    def clock(self) -> int:
        return self.now_us

    async def sign_up(self, email: str = EMAIL) -> HolderSession:
        subject = f"account-{self.access.next_account_id}"
        self.vault.seal(subject, "email", "address", email.encode())
        hashed = await self.passwords.hash(PASSWORD)
        assert isinstance(hashed, str)
        vault_id = self.vault.seal(subject, "password", "argon2id", hashed.encode())
        [created] = done(self.writer.submit(CreateAccount(self.vault.digest(email), vault_id)))
        await self.writer.durable()
        return HolderSession(f"session of {email}", created.account_id)

    def account(self, session: HolderSession) -> Account:
        return self.access.accounts[session.account_id]

    # --- the authenticator -------------------------------------------------------------------------------------------

    async def add_totp(self, session: HolderSession, step_up_id: str = "") -> None:
        refused(await self.own.open_totp(session, password=PASSWORD, step_up_id=step_up_id), None)
        seed = self.own.seed_of(session)
        assert seed is not None
        self.seeds[session.account_id] = seed
        refused(await self.own.confirm_totp(session, self.totp(session)), None)
        self.now_us += 30 * SECOND_US  # the next code is one that was not used

    def totp(self, session: HolderSession, *, off_us: int = 0) -> str:
        return code_at(b32decode(self.seeds[session.account_id]), step_at(self.now_us + off_us))

    # --- step-ups ----------------------------------------------------------------------------------------------------

    def begin(self, session: HolderSession, action: Action) -> StepUp:
        step_up = self.step_ups.begin(session, action)
        assert isinstance(step_up, StepUp)
        return step_up

    async def step_up(self, session: HolderSession, action: Action) -> str:
        """A step-up proven by the authenticator."""
        step_up = self.begin(session, action)
        proofs = {"totp": self.totp(session)}
        if step_up.needs_email:
            refused(self.step_ups.send_code(step_up.id, session, "email"), None)
            proofs["email"] = self.post.code("email")
        refused(await self.step_ups.prove(step_up.id, session, proofs), None)
        self.now_us += 30 * SECOND_US
        return step_up.id

    async def add_sms(self, session: HolderSession, step_up_id: str = "") -> None:
        refused(await self.own.open_sms(session, NUMBER, password=PASSWORD, step_up_id=step_up_id), None)
        refused(await self.own.confirm_sms(session, self.post.code(SMS)), None)


def done(outcome: object) -> list[object]:
    assert not isinstance(outcome, Refusal), outcome
    return list(outcome)  # type: ignore[call-overload]


def refused(outcome: object, reason: object) -> None:
    """The outcome is a refusal for this reason, or with None, none."""
    found = outcome.reason if isinstance(outcome, Refusal) else None
    assert found is reason, outcome


def at_counter(work: Callable[[Counter], Awaitable[None]], *, needs_email: bool = True) -> None:
    async def run() -> None:
        counter = Counter(needs_email)
        try:
            await work(counter)
        finally:
            counter.passwords.stop()

    asyncio.run(run())
