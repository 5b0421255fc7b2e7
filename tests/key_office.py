"""API Management over services in memory: pages are read and sent in process, with time, letters and calls in hand."""

from __future__ import annotations

import asyncio
import secrets
from base64 import b32encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from sparekey.access.commands import CreateAccount
from sparekey.access.state import Key
from sparekey.console.key_acts import KeyActs
from sparekey.console.letters import Letters
from sparekey.console.own_keys import OwnKeys
from sparekey.console.pages import front_page, key_pages
from sparekey.console.pages.key_desk import HOME, KeyDesk
from sparekey.console.pages.shell import Shell
from sparekey.console.pages.verifying import Verifying
from sparekey.console.shown_once import ShownOnce
from sparekey.storage.calls import CallLog
from sparekey.storage.key_maker import KeyMaker
from sparekey.terms.letters import Letter
from sparekey.terms.refusals import Refusal
from sparekey.watch.calls import CallEntry
from tests.holders_api import ORIGIN, HoldersApi
from tests.page_reader import PageReader, Seen

IP, AGENT = "192.0.2.1", "Firefox"
PERMISSIONS = ("reading", "spot-and-margin-trading")


class Compiled(BytecodeCache):
    """Templates of all offices of a test run, which each would compile for itself."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()


class KeyOffice(HoldersApi):
    """`reader` is a browser in which Ann is signed in; `calls` is the log of what her keys did."""

    def __init__(self, folder: Path, *, guarded: bool = False) -> None:
        super().__init__()
        now_us = self.clocks.policy_us
        self.calls = CallLog(folder)
        maker = KeyMaker(self.vault, self.sequencer.when_durable)
        self.acts = KeyActs(self.writer, self.access, maker, self.clocks, self.calls, loopback_allowed=not guarded)
        self.own = OwnKeys(
            self.acts,
            self.access,
            self.step_ups,
            Letters(ORIGIN),
            self.real_factors.tell,
            now_us,
            proof_wanted=guarded,
        )
        shell = Shell(self.sessions, maker.email_of, now_us, facts={"Mode": "guarded" if guarded else "sandbox"})
        verifying = Verifying(shell, self.step_ups, self.real_factors, self.real_factors._codes, self.sessions)
        self.once = ShownOnce(now_us)
        desk = KeyDesk(shell, self.own, verifying, self.once, self.calls, self.clocks)
        pages = [*front_page.routes(shell), *verifying.routes(), *key_pages.routes(desk)]
        shell._templates.bytecode_cache = COMPILED
        self.application = shell.application(pages)
        self.reader = PageReader(self.application, ip=IP)

    # --- people ------------------------------------------------------------------------------------------------------

    def add_account(self, email: str = "ann@example.com", *, kyc: str = "approved", totp: bool = True) -> int:
        subject = f"account-{self.access.next_account_id}"
        self.vault.seal(subject, "email", "address", email.encode())
        seed = secrets.token_bytes(20)
        vault_id = self.vault.seal(subject, "totp", "seed", b32encode(seed)) if totp else ""
        digest, password = self.vault.digest(email), self.vault.seal(subject, "password", "argon2id", b"none")
        created = self.submit(CreateAccount(digest, password, kyc=kyc, totp_vault_id=vault_id))
        if totp:
            self.seed = b32encode(seed).decode()
        account_id: int = created[0].account_id
        return account_id

    def sign_in_as(self, account_id: int) -> PageReader:
        _, token = self.sessions.open(account_id, ip=IP, agent=AGENT, proven=("password", "totp"))
        reader = PageReader(self.application, ip=IP)
        reader.cookies["sparekey_session"] = token
        return reader

    def submit(self, command: Any) -> Sequence[Any]:
        outcome = self.writer.submit(command)
        assert not isinstance(outcome, Refusal), outcome
        return outcome

    # --- pages -------------------------------------------------------------------------------------------------------

    async def open(self, path: str = "") -> Seen:
        return await self.reader.open(f"{HOME}{path}")

    async def verified(self, page: Seen, **proofs: str) -> Seen:
        """Pass the step-up that the page asks for; where that leads."""
        assert page.address.startswith("/verify/"), (page.address, page.words)
        fields = {"totp": self.shown(), "email": self.sent_code(), **proofs}
        return await self.reader.submit(page, fields, page.address)

    async def create(self, **fields: str | Iterable[str]) -> Seen:
        """Fill the form in and send it; the page that comes next."""
        page = await self.open("/create")
        wanted = {"label": "Grid bot", "permission": PERMISSIONS, "act": "create"} | fields
        return await self.reader.submit(page, wanted, f"{HOME}/create")

    async def make(self, **fields: str | Iterable[str]) -> Key:
        """A new key, by way of all its pages."""
        page = await self.verified(await self.create(**fields))
        assert page.status == 200, page.words
        key = self.access.key_by_api_key(page.by_id("api-key") or "")
        assert key is not None
        return key

    # --- what keys did -----------------------------------------------------------------------------------------------

    def call(self, key: Key, method: str, path: str, *, reason: str = "", ip: str = IP, times: int = 1) -> None:
        code, http = (-2015, 401) if reason else (0, 200)
        for _ in range(times):
            self.calls.add(CallEntry(self.now_us, key.api_key, ip, method, path, 1, http, code, reason, 100))

    def letters_about(self, subject: str) -> list[Letter]:
        return [letter for letter in self.post.letters if subject in letter.subject]


def at_the_desk(
    work: Callable[[KeyOffice], Awaitable[None]],
    folder: Path,
    *,
    guarded: bool = False,
    kyc: str = "approved",
    totp: bool = True,
) -> None:
    """Ann is signed in."""

    async def run() -> None:
        office = KeyOffice(folder, guarded=guarded)
        try:
            office.reader = office.sign_in_as(office.add_account(kyc=kyc, totp=totp))
            await work(office)
        finally:
            office.passwords.stop()

    asyncio.run(run())


__all__ = ["AGENT", "HOME", "IP", "KeyOffice", "at_the_desk"]
