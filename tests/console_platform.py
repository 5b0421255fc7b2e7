"""The assembled platform on the test's own loop, asked in process: pages, management API and API alike, with letters
and the host's clock in the test's hand."""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import b32decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sparekey import assemble
from sparekey.access.one_time import code_at, step_at
from sparekey.console.passwords import CHEAP, Passwords
from sparekey.console.sessions import OPERATOR
from sparekey.settings import Settings
from sparekey.terms.clocktime import MINUTE_US
from sparekey.terms.letters import Letter
from tests.page_reader import PageReader, Seen

PASSWORD, OTHER_PASSWORD = "tin giraffe, 40 lanterns", "seven quiet harbours 19"
NUMBER = "+447400123456"
ORIGIN = "http://localhost:8080"
_JSON = {"content-type": "application/json"}


class Answer(NamedTuple):
    """Of the management API."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def reason(self) -> str:
        """Empty for what was done."""
        return str(self.body["error"]["reason"]) if self.status >= 400 else ""


class Holder:
    """Somebody with an account: a browser, a token of the management API, and an authenticator."""

    def __init__(self, platform: Platform, email: str, ip: str) -> None:
        self.platform = platform
        self.email = email
        self.password = PASSWORD
        self.browser = PageReader(platform.application, ip)
        self.token = ""
        self.seed = ""
        #: all that was ever told to this holder alone, by what it is
        self.secrets: dict[str, str] = {}

    @property
    def account_id(self) -> int:
        account_id = self.platform.running._management.account_id_of(self.email)
        assert account_id is not None
        return account_id

    # --- the management API ------------------------------------------------------------------------------------------

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Header names are spelled with underscores."""
        answer = await self.platform.ask(method, path, body, self.token, self.browser.ip, **headers)
        if answer.status == 200 and isinstance(answer.body, dict) and "token" in answer.body:
            self.token = answer.body["token"]
            self.tell(f"a token after {method} {path}", self.token)
        return answer

    async def done(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.ask(method, path, body, **headers)
        assert answer.status == 200, (method, path, answer.body)
        return answer.body

    async def sign_up(self) -> None:
        await self.done("POST", "/sign-up", {"email": self.email, "password": self.password})
        token = self.platform.link_token(self.email, "/sign-up/confirm")
        self.tell("the link of the sign-up", token)
        await self.done("POST", "/sign-up/confirm", {"token": token})
        self.tell("the password", self.password)

    async def enter(self) -> Any:
        """Sign in, with the authenticator where there is one."""
        opened = await self.done("POST", "/session", {"email": self.email, "password": self.password})
        if opened["stage"] == "half":
            opened = await self.done("POST", "/session/factor", {"factor": "totp", "code": self.shown()})
        return opened

    async def add_totp(self) -> None:
        """The first factor."""
        self.seed = (await self.done("POST", "/me/factors/totp", {"password": self.password}))["secret"]
        self.tell("the authenticator's seed", self.seed)
        await self.done("POST", "/me/factors/totp/confirm", {"code": self.shown()})

    async def prove(self, wanted: Answer) -> str:
        """Prove what the answer wants; its step-up's id, to send along."""
        assert wanted.reason == "step-up-required", wanted
        step_up_id = str(wanted.body["stepUp"]["id"])
        path = f"/me/step-ups/{step_up_id}"
        await self.done("POST", f"{path}/codes", {"kind": "email"})
        await self.done("POST", f"{path}/proof", {"totp": self.shown(), "email": self.code("email")})
        return step_up_id

    async def step_up(self, method: str, path: str, body: Any = None) -> Any:
        """Ask, prove, and ask again."""
        step_up_id = await self.prove(await self.ask(method, path, body))
        return await self.done(method, path, body, X_Step_Up=step_up_id)

    # --- what only the holder knows ----------------------------------------------------------------------------------

    def tell(self, what: str, secret: str) -> None:
        self.secrets[f"{what}, of {self.email}"] = secret

    def shown(self) -> str:
        """The authenticator's next code that was not used yet."""
        self.platform.wait(MINUTE_US)
        return code_at(b32decode(self.seed), step_at(self.platform.now_us()))

    def code(self, kind: str, to: str = "") -> str:
        """Of the newest letter that holds one."""
        for letter in reversed(self.platform.letters(to or (self.email if kind == "email" else NUMBER))):
            if letter.kind == kind and (found := re.search(r"\b(\d{8})\b", letter.text)):
                self.tell(f"the {kind} code {found[1]}", found[1])
                return found[1]
        raise AssertionError("no code was sent")

    # --- pages -------------------------------------------------------------------------------------------------------

    async def sign_in_at_the_page(self) -> Seen:
        page = await self.browser.open("/sign-in")
        page = await self.browser.submit(page, {"email": self.email, "password": self.password}, "/sign-in")
        if page.address.startswith("/sign-in/factor"):
            page = await self.browser.submit(page, {"totp": self.shown()}, "/sign-in/factor")
        return page


class Platform:
    def __init__(self, running: assemble.Running, clock: HandClock) -> None:
        self.running = running
        self._clock = clock
        self.application = running.asgi
        running.asgi._wall_us = clock
        self.operator = PageReader(self.application)

    def now_us(self) -> int:
        return self._clock()

    def wait(self, us: int) -> None:
        self._clock.offset_us += us

    def holder(self, name: str = "ann", ip: str = "192.0.2.7") -> Holder:
        return Holder(self, f"{name}@example.com", ip)

    async def verified(self, name: str = "ann", ip: str = "192.0.2.7") -> Holder:
        """An account with everything that keys need, signed in over the management API."""
        holder = self.holder(name, ip)
        await holder.sign_up()
        await holder.enter()
        await holder.add_totp()
        await self.operate("PUT", f"/accounts/{holder.email}/kyc", {"kyc": "approved"})
        return holder

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = "", ip: str = "127.0.0.1", **headers: str
    ) -> Answer:
        sent = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        sent = {"host": "localhost:8080", **(_JSON if body is not None else {}), **sent}
        if token:
            sent.setdefault("authorization", f"Bearer {token}")
        content = b"" if body is None else json.dumps(body).encode()
        seen = await PageReader(self.application, ip).send(method, f"/sparekey/v1{path}", content, sent)
        return Answer(seen.status, seen.json, seen.headers)

    async def operate(self, method: str, path: str, body: Any = None) -> Any:
        """As the operator of the management API."""
        answer = await self.ask(method, path, body, self.running.operator_token)
        assert answer.status == 200, (method, path, answer.body)
        return answer.body

    def letters(self, to: str = "") -> list[Letter]:
        """Oldest first; to one address, or all."""
        posted = [one.letter for one in reversed(self.running._outbox.newest()) if to in ("", one.to)]
        return [letter for letter in posted if letter is not None]

    def link_token(self, to: str, path: str) -> str:
        """Of the link in the newest letter that has one."""
        for letter in reversed(self.letters(to)):
            if found := re.search(re.escape(path) + r"\?token=([\w-]+)", letter.text):
                return found[1]
        raise AssertionError(f"no letter to {to} has a link to {path}")

    def signed_in_operator(self) -> tuple[str, Any]:
        """The token of a browser of the operator's, and its session."""
        session, token = self.running._sessions.open(OPERATOR, ip="127.0.0.1", agent="", proven=("token",))
        return token, session

    def csrf_of(self, token: str) -> str:
        """What forms of the pages of this browser carry."""
        session = self.running._sessions.find(token)
        assert session is not None
        return session.csrf

    async def settle(self) -> None:
        """Until the archive and the call log have written what they got."""
        await asyncio.to_thread(self.running._archive.flush)
        await asyncio.to_thread(self.running._calls.flush)

    @property
    def position(self) -> int:
        """How much was ever decided."""
        return self.running._sequencer.position


#: Files, and the same page for whoever looks.
_ALIKE_FOR_ALL = ("/static/", "/reasons/")


async def crawl(reader: PageReader, *starts: str) -> list[Seen]:
    """Every page that can be reached by links from these, with one of its queries."""
    pending, seen = [*starts], dict.fromkeys(starts)
    found = []
    while pending:
        page = await reader.get(pending.pop())
        found.append(page)
        assert page.status < 500, page.address
        for link in [page.headers.get("location", ""), *re.findall(r'(?:href|src)="(/[^"#]*)', page.text)]:
            path = link.partition("?")[0]
            if path and path not in seen and "?token=" not in link and not path.startswith(_ALIKE_FOR_ALL):
                seen[path] = None
                pending.append(link)
    return found


class HandClock:
    """The host's clock, moved ahead by hand."""

    def __init__(self) -> None:
        self.offset_us = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.offset_us


def on_a_platform(
    monkeypatch: pytest.MonkeyPatch,
    data: Path,
    work: Callable[[Platform], Awaitable[None]],
    clock: HandClock | None = None,
    **settings: Any,
) -> None:
    """Start, do the work, stop. Passwords cost little; everything else is what users run."""
    clock = clock or HandClock()
    monkeypatch.setattr(assemble, "_wall_us", clock)
    monkeypatch.setattr(assemble, "Passwords", lambda: Passwords(CHEAP))

    async def run() -> None:
        chosen: dict[str, Any] = {"port": 0, "market": "none", "durability": "memory"} | settings
        running = await assemble.start(Settings(data=data, **chosen), demo=False)
        try:
            await work(Platform(running, clock))
        finally:
            await running.stop()

    asyncio.run(run())
