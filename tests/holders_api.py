"""The management API of account holders over services in memory: asked in process, with time and letters in hand."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from base64 import b32decode
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sparekey.access.commands import SetKyc
from sparekey.access.one_time import code_at, step_at
from sparekey.console.api_contract import make_api
from sparekey.console.api_me import Steps, me_routes
from sparekey.console.api_my_keys import own_key_routes
from sparekey.console.api_session import session_routes
from sparekey.console.codes import Codes
from sparekey.console.factors import Factors
from sparekey.console.identity import Identity
from sparekey.console.key_acts import KeyActs
from sparekey.console.letters import Letters
from sparekey.console.own_factors import OwnFactors
from sparekey.console.own_keys import OwnKeys
from sparekey.console.passkeys import Passkeys
from sparekey.console.step_up import StepUps
from sparekey.storage.calls import CallLog
from sparekey.storage.key_maker import KeyMaker
from sparekey.terms.clocktime import MINUTE_US
from sparekey.terms.letters import SMS
from sparekey.terms.refusals import Refusal
from tests.console_office import ANN, PASSWORD, Office

ORIGIN = "http://localhost:8080"
NUMBER = "+447400123456"


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def reason(self) -> str:
        """Empty for what was done."""
        return str(self.body["error"]["reason"]) if self.status >= 400 else ""


class HoldersApi(Office):
    """`token` is sent with every request, `seed` the authenticator of whoever signed in last."""

    def __init__(self) -> None:
        super().__init__()
        letters = Letters(ORIGIN)
        now_us = self.clocks.policy_us
        codes = Codes(now_us)
        passkeys = Passkeys([ORIGIN], lambda account_id: b"%d" % account_id, now_us)
        self.real_factors = Factors(
            self.writer,
            self.access,
            self.vault,
            self.passwords,
            codes,
            passkeys,
            letters,
            self.post,
            wall_us=lambda: self.now_us,
            now_us=now_us,
        )
        self.step_ups = StepUps(self.real_factors, codes, now_us)
        own_factors = OwnFactors(
            self.real_factors,
            self.step_ups,
            self.writer,
            self.access,
            self.vault,
            self.passwords,
            codes,
            passkeys,
            letters,
            now_us,
        )
        self.identity = Identity(
            self.writer,
            self.access,
            self.vault,
            self.sessions,
            self.passwords,
            self.real_factors,
            letters,
            self.post,
            now_us,
        )
        self.identity.begin()
        self.calls_folder = tempfile.TemporaryDirectory(prefix="sparekey-calls-")
        acts = KeyActs(
            self.writer,
            self.access,
            KeyMaker(self.vault, self.sequencer.when_durable),
            self.clocks,
            CallLog(Path(self.calls_folder.name)),
            loopback_allowed=False,
        )
        own_keys = OwnKeys(acts, self.access, self.step_ups, letters, self.real_factors.tell, now_us, proof_wanted=True)
        steps = Steps(self.step_ups, self.real_factors)
        self.api = make_api(
            [
                *session_routes(self.identity, self.sessions, self.real_factors),
                *me_routes(
                    self.access, self.identity, self.sessions, self.real_factors, own_factors, self.step_ups, steps
                ),
                *own_key_routes(self.access, self.sessions, own_keys, steps),
            ],
            {},
        )
        self.token = ""
        self.seed = ""

    # --- asking ------------------------------------------------------------------------------------------------------

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Header names are spelled with underscores."""
        sent = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        sent.setdefault("authorization", f"Bearer {self.token}")
        content = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            sent.setdefault("content-type", "application/json")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": f"/sparekey/v1{path}",
            "raw_path": f"/sparekey/v1{path}".encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in ({"host": "localhost:8080"} | sent).items()],
            "client": ("192.0.2.1", 40_000),
            "server": ("localhost", 8080),
        }
        messages: list[Mapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            messages.append(message)

        await self.api(scope, receive, send)  # type: ignore[arg-type]
        told = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        answered = b"".join(message.get("body", b"") for message in messages[1:])
        assert told["cache-control"] == "no-store"
        answer = Answer(messages[0]["status"], json.loads(answered), told)
        if answer.status == 200 and isinstance(answer.body, dict) and "token" in answer.body:
            self.token = answer.body["token"]
        return answer

    async def done(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.ask(method, path, body, **headers)
        assert answer.status == 200, answer.body
        return answer.body

    # --- what people do ----------------------------------------------------------------------------------------------

    def shown(self) -> str:
        """The authenticator's next code that was not used yet."""
        self.now_us += MINUTE_US
        return code_at(b32decode(self.seed), step_at(self.now_us))

    def sent_code(self, kind: str = "email") -> str:
        """Of the newest letter that holds one."""
        for letter in reversed(self.post.letters):
            if letter.kind == kind and (found := re.search(r"\b(\d{8})\b", letter.text)):
                return found[1]
        raise AssertionError("no code was sent")

    async def sign_up(self, email: str = ANN, password: str = PASSWORD) -> None:
        await self.done("POST", "/sign-up", {"email": email, "password": password})
        await self.done("POST", "/sign-up/confirm", {"token": self.post.token("/sign-up/confirm")})

    async def enter(self, email: str = ANN, password: str = PASSWORD) -> Any:
        """Sign in, with the authenticator where there is one."""
        opened = await self.done("POST", "/session", {"email": email, "password": password})
        if opened["stage"] == "half":
            opened = await self.done("POST", "/session/factor", {"factor": "totp", "code": self.shown()})
        return opened

    async def add_totp(self) -> None:
        """The first factor of the account that is signed in."""
        self.seed = (await self.done("POST", "/me/factors/totp", {"password": PASSWORD}))["secret"]
        await self.done("POST", "/me/factors/totp/confirm", {"code": self.shown()})

    async def verified(self, email: str = ANN) -> None:
        """A holder who may have keys, signed in."""
        await self.sign_up(email)
        await self.enter(email)
        await self.add_totp()
        assert not isinstance(self.writer.submit(SetKyc(self.account(email).account_id, "approved")), Refusal)

    async def prove(self, wanted: Answer) -> str:
        """Prove what the answer wants; its step-up's id, to send along."""
        assert wanted.reason == "step-up-required"
        step_up_id = str(wanted.body["stepUp"]["id"])
        path = f"/me/step-ups/{step_up_id}"
        await self.done("POST", f"{path}/codes", {"kind": "email"})
        await self.done("POST", f"{path}/proof", {"totp": self.shown(), "email": self.sent_code()})
        return step_up_id

    async def step_up(self, method: str, path: str, body: Any = None) -> Any:
        """Ask, prove, and ask again."""
        step_up_id = await self.prove(await self.ask(method, path, body))
        return await self.done(method, path, body, X_Step_Up=step_up_id)


def over_the_api(work: Callable[[HoldersApi], Awaitable[None]]) -> None:
    async def run() -> None:
        api = HoldersApi()
        try:
            await work(api)
        finally:
            api.passwords.stop()
            api.calls_folder.cleanup()

    asyncio.run(run())


__all__ = ["ANN", "NUMBER", "PASSWORD", "SMS", "Answer", "HoldersApi", "over_the_api"]
