"""The pages of a person, over the services of `console_office` with real second factors."""

from __future__ import annotations

import asyncio
from base64 import b32encode
from collections.abc import Awaitable, Callable

from pyotp import TOTP
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sparekey.access.commands import EnrolTotp
from sparekey.console.codes import Codes
from sparekey.console.factors import Factors
from sparekey.console.letters import Letters
from sparekey.console.pages import front_page
from sparekey.console.pages.sessions import SessionPages
from sparekey.console.pages.shell import Shell
from sparekey.console.pages.signing_in import SigningIn
from sparekey.console.pages.verifying import Verifying
from sparekey.console.passkeys import Passkeys
from sparekey.console.step_up import StepUps
from sparekey.terms.clocktime import MINUTE_US
from tests.console_office import ANN, PASSWORD, Office
from tests.page_reader import PageReader

SEED = b32encode(b"twenty bytes of seed").decode()


class Console(Office):
    """The same services with real second factors, and their pages."""

    def __init__(self) -> None:
        super().__init__()
        now_us = self.clocks.policy_us
        codes = Codes(now_us)
        passkeys = Passkeys(["http://localhost:8080"], lambda account_id: bytes(32), now_us)
        letters = Letters("https://exchange.example")
        parts = (self.writer, self.access, self.vault, self.passwords, codes, passkeys, letters, self.post)
        factors = Factors(*parts, wall_us=lambda: self.now_us, now_us=now_us)
        step_ups = StepUps(factors, codes, now_us)
        self.factors = factors  # type: ignore[assignment]
        self.identity = self.make_identity()
        shell = Shell(self.sessions, lambda account_id: ANN, now_us, facts={})
        verifying = Verifying(shell, step_ups, factors, codes, self.sessions)

        async def home(request: Request, session: object) -> Response:
            return PlainTextResponse(f"home of {session!r}")

        self.application = shell.application(
            [
                *front_page.routes(shell),
                *SigningIn(shell, self.identity, factors, codes, letters_stay=True).routes(),
                *SessionPages(shell, self.identity, factors, step_ups, verifying).routes(),
                *verifying.routes(),
                *(Route(path, shell.holders_only(home)) for path in ("/my", "/my/wallet", "/my/settings/security")),
            ]
        )

    def browser(self, ip: str = "192.0.2.1") -> PageReader:
        return PageReader(self.application, ip)

    def totp(self) -> str:
        return TOTP(SEED).at(self.now_us // 1_000_000)

    async def turn_on_totp(self) -> None:
        account = self.account()
        vault_id = self.vault.seal(f"account-{account.account_id}", "totp", "seed", SEED.encode())
        self.writer.submit(EnrolTotp(account.account_id, vault_id))
        await self.writer.durable()

    async def signed_in(self, ip: str = "192.0.2.1") -> PageReader:
        browser = self.browser(ip)
        seen = await browser.submit(await browser.open("/sign-in"), {"email": ANN, "password": PASSWORD})
        if seen.address == "/sign-in/factor":
            self.now_us += MINUTE_US  # a code is good once
            seen = await browser.submit(seen, {"totp": self.totp()}, "/sign-in/factor")
        assert seen.address == "/my", seen.words
        return browser


def in_console(work: Callable[[Console], Awaitable[None]], kind: type[Console] = Console) -> None:
    async def run() -> None:
        console = kind()
        try:
            await work(console)
        finally:
            console.passwords.stop()

    asyncio.run(run())
