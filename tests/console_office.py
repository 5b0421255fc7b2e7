"""The console's services over shards in memory, with the clock, and what was posted, in the test's hand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from sparekey.access.shard import AccessShard
from sparekey.access.state import Account
from sparekey.console.identity import Identity, SignedIn, Visitor
from sparekey.console.letters import Letters
from sparekey.console.passwords import CHEAP, Passwords
from sparekey.console.sessions import Sessions
from sparekey.console.writing import AccessWriter
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.journal import MemoryJournal
from sparekey.storage.sessions import SessionFile
from sparekey.storage.vault import SecretUnavailable, Vault
from sparekey.terms.letters import Letter
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

ANN, STRANGER = "ann@example.com", "nobody@example.com"
PASSWORD, OTHER_PASSWORD = "tin giraffe, 40 lanterns", "seven quiet harbours 19"
CODE = "123456"
NOON_US = 1_700_000_000_000_000
VISITOR = Visitor("192.0.2.1", "Firefox")


class Postbox:
    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def send(self, letter: Letter) -> None:
        self.letters.append(letter)

    def forget(self, to: str) -> None:
        self.letters = [letter for letter in self.letters if letter.to != to]

    def token(self, path: str) -> str:
        """Of the link in the newest letter."""
        found = re.search(re.escape(path) + r"\?token=([\w-]+)", self.letters[-1].text)
        assert found, self.letters[-1].text
        return found[1]


class OneCode:
    """Second factors of which one code is right, whichever factor it is."""

    def __init__(self) -> None:
        self.purposes: list[str] = []

    async def check(self, account_id: int, name: str, code: str, purpose: str) -> Refusal | None:
        self.purposes.append(purpose)
        return None if code == CODE else Refusal(Reason.FACTOR_WRONG)


class Office:
    def __init__(self, vault: Path | str = ":memory:", sessions: Path | str = ":memory:") -> None:
        self.now_us = NOON_US
        self.clocks = Clocks(lambda: self.now_us)
        self.shard = AccessShard()
        self.access = self.shard.state
        self.vault = Vault(vault, bytes(32))
        self.sequencer = Sequencer(
            MemoryJournal(),
            {"access": self.shard},
            {"access": self.clocks.policy_us},
            asyncio.get_running_loop().call_soon,
        )
        self.writer = AccessWriter(self.sequencer)
        self.file = SessionFile(sessions)
        self.sessions = Sessions(self.file, self.epoch_of, self.clocks.policy_us)
        self.passwords = Passwords(CHEAP)
        self.post = Postbox()
        self.factors = OneCode()
        self.identity = self.make_identity()

    def make_identity(self) -> Identity:
        """One that remembers nothing, as after a restart."""
        identity = Identity(
            self.writer,
            self.access,
            self.vault,
            self.sessions,
            self.passwords,
            self.factors,
            Letters("https://exchange.example"),
            self.post,
            self.clocks.policy_us,
        )
        identity.begin()
        return identity

    def epoch_of(self, account_id: int) -> int | None:
        account = self.access.account(account_id)
        return None if account is None else account.epoch

    def account(self, email: str = ANN) -> Account:
        account = self.access.account_by_email(self.vault.digest(email))
        assert account is not None
        return account

    def has_account(self, email: str = ANN) -> bool:
        return self.access.account_by_email(self.vault.digest(email)) is not None

    async def open_account(self, email: str = ANN, password: str = PASSWORD) -> Account:
        """By the way that people go."""
        assert await self.identity.sign_up(email, password, VISITOR) is None
        assert await self.identity.confirm(self.post.token("/sign-up/confirm")) is None
        return self.account(email)

    async def sign_in(self, password: str = PASSWORD, visitor: Visitor = VISITOR) -> SignedIn:
        answer = await self.identity.sign_in(ANN, password, visitor)
        assert isinstance(answer, SignedIn), answer
        return answer

    def is_in(self, signed_in: SignedIn) -> bool:
        return self.sessions.find(signed_in.token) is not None

    def holds(self, vault_id: str) -> bool:
        try:
            return bool(self.vault.open(vault_id))
        except SecretUnavailable:
            return False

    def sealed(self, kind: str) -> int:
        return len(self.vault.names(kind))


def in_office(work: Callable[[Office], Awaitable[None]]) -> None:
    async def run() -> None:
        office = Office()
        try:
            await work(office)
        finally:
            office.passwords.stop()

    asyncio.run(run())
