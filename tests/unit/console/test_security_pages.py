"""The pages of factors and of verification, read and filled in as a person does, without a script."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sparekey.console.pages.security import HERE, SecurityPages
from sparekey.console.pages.shell import SESSION_COOKIE, Shell
from sparekey.console.pages.verifying import Verifying
from sparekey.console.sessions import Session, Sessions
from sparekey.console.step_up import Action
from sparekey.storage.sessions import SessionFile
from sparekey.terms.clocktime import MINUTE_US, SECOND_US
from sparekey.terms.letters import EMAIL, SMS
from tests.page_reader import PageReader, Seen
from tests.software_key import SoftwareKey
from tests.unit.console.holders import HOST, NUMBER, ORIGIN, PASSWORD, Counter, HolderSession, at_counter

ACT = Action.of("act", "7", "do <something> that matters")


class Browser(PageReader):
    """Ann's, signed in; with a page of the test's own that does something for a step-up."""

    def __init__(self, counter: Counter, account_id: int) -> None:
        self.counter = counter
        self.sessions = Sessions(SessionFile(":memory:"), lambda account_id: 0, counter.clock)
        session, token = self.sessions.open(account_id, ip="203.0.113.7", agent="a browser", proven=("password",))
        self.session: Session = session
        self.done: list[str] = []
        shell = Shell(self.sessions, lambda account_id: "ann@example.com", counter.clock, facts={})
        self.verifying = Verifying(shell, counter.step_ups, counter.factors, counter.codes, self.sessions)
        pages = SecurityPages(
            shell,
            self.verifying,
            counter.own,
            counter.factors,
            counter.passkeys,
            counter.access,
            counter.clock,
        )

        async def act(request: Request, session: Any) -> Response:
            form = await shell.form(request)
            what = form.text("what")

            async def go_on(request: Request, step_up_id: str) -> Response:
                refusal = counter.step_ups.take(step_up_id, session, ACT)
                if refusal is not None:
                    return self.verifying.refused(request, refusal)
                self.done.append(what)
                return PlainTextResponse(f"done: {what}")

            return await self.verifying.ask(request, session, ACT, go_on, back="/my")

        own = Route("/act", shell.holders_only(act), methods=["POST"])
        super().__init__(shell.application([own, *self.verifying.routes(), *pages.routes()]))
        self.cookies[SESSION_COOKIE] = token

    async def page(self, path: str = "") -> Seen:
        return await self.open(HERE + path)

    async def act(self, what: str = "it") -> Seen:
        return await self.follow(await self.post("/act", {"csrf": self.session.csrf, "what": what}))

    async def verify(self, page: Seen, **proofs: str) -> Seen:
        """Fill in the verification page and follow where it leads."""
        return await self.submit(page, proofs, page.address)


def with_browser(work: Callable[[Browser, HolderSession], Awaitable[None]]) -> None:
    async def at(counter: Counter) -> None:
        session = await counter.sign_up()
        await work(Browser(counter, session.account_id), session)

    at_counter(at)


async def with_totp(browser: Browser, session: HolderSession) -> None:
    await browser.counter.add_totp(session)


def test_an_authenticator_is_set_up_by_its_picture_or_its_text() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        counter = browser.counter
        assert "No second factor is on" in (await browser.page()).words
        page = await browser.page("/totp")
        wrong = await browser.submit(page, {"password": "guess"}, f"{HERE}/totp")
        assert (wrong.status, wrong.reasons) == (403, ["password-wrong"])
        page = await browser.submit(page, {"password": PASSWORD}, f"{HERE}/totp")
        secret = (page.by_id("totp-secret") or "").replace(" ", "")
        assert re.fullmatch("[A-Z2-7]{32}", secret)
        assert page.headers["cache-control"] == "no-store"
        picture = unquote(html.unescape(re.findall(r'src="(data:[^"]*)"', page.text)[0]))
        assert picture.startswith("data:image/svg+xml")
        assert "img-src 'self' data:" in page.headers["content-security-policy"]
        counter.seeds[session.account_id] = secret
        late = await browser.submit(
            page, {"code": counter.totp(session, off_us=-2 * MINUTE_US)}, f"{HERE}/totp/confirm"
        )
        assert late.reasons == ["factor-drift"]
        assert "120 seconds behind" in late.words
        done = await browser.submit(page, {"code": counter.totp(session)}, f"{HERE}/totp/confirm")
        assert "Make recovery codes" in done.words
        assert counter.account(session).factors == ["totp"]
        # Nothing shows the secret again.
        for path in ("", "/totp", "/recovery"):
            assert secret not in (await browser.page(path)).text.replace(" ", "")

    with_browser(work)


def test_an_act_waits_for_its_proof_and_then_happens_once() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        counter = browser.counter
        await with_totp(browser, session)
        page = await browser.act("buy <bread>")
        assert page.by_id("action") == "do <something> that matters"
        assert not browser.done
        token = browser.cookies[SESSION_COOKIE]
        email = counter.post.code(EMAIL)
        wrong = await browser.verify(page, totp="000000", email=email)
        assert (wrong.status, wrong.reasons, wrong.by_id("email")) == (400, ["factor-wrong"], email)
        proofs = {"totp": counter.totp(session), "email": email}
        done = await browser.verify(page, **proofs)
        assert done.text == "done: buy <bread>"
        assert browser.cookies[SESSION_COOKIE] != token
        assert browser.sessions.find(token) is None
        again = await browser.verify(page, **proofs)
        assert again.status == 410
        assert browser.done == ["buy <bread>"]

    with_browser(work)


def test_of_two_proofs_sent_at_the_same_time_one_acts() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        counter = browser.counter
        await with_totp(browser, session)
        page = await browser.act()
        fields = page.form(page.address) | {"totp": [counter.totp(session)], "email": [counter.post.code(EMAIL)]}
        await asyncio.gather(*(browser.post(page.address, fields) for _ in range(3)))
        assert browser.done == ["it"]

    with_browser(work)


def test_looking_at_a_verification_sends_no_code_and_pressing_the_button_does() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        counter = browser.counter
        await with_totp(browser, session)
        page = await browser.act()
        sent = len(counter.post.letters)
        for _ in range(3):
            await browser.get(page.address)
        assert len(counter.post.letters) == sent
        first = counter.post.code(EMAIL)
        fields = {"csrf": browser.session.csrf, "kind": "email"}
        page = await browser.follow(await browser.post(f"{page.address}/send", fields))
        assert "on its way" in page.words
        assert counter.post.code(EMAIL) != first
        for _ in range(3):
            await browser.post(f"{page.address}/send", fields)
        limited = await browser.post(f"{page.address}/send", fields)
        assert (limited.status, limited.reasons) == (429, ["code-limit"])
        odd = await browser.post(f"{page.address}/send", fields | {"kind": "pigeon"})
        assert odd.reasons == ["request-invalid"]

    with_browser(work)


def test_a_verification_is_nobody_elses() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        counter = browser.counter
        await with_totp(browser, session)
        page = await browser.act()
        other, token = browser.sessions.open(session.account_id, ip="", agent="", proven=("password",))
        browser.cookies[SESSION_COOKIE] = token
        assert (await browser.get(page.address)).status == 410
        fields = {"csrf": other.csrf, "totp": counter.totp(session), "email": counter.post.code(EMAIL)}
        assert (await browser.post(page.address, fields)).status == 410
        assert (await browser.post(f"{page.address}/send", {"csrf": other.csrf, "kind": "email"})).status == 410
        assert (await browser.get("/verify/nonsense")).status == 410
        browser.cookies.clear()
        assert (await browser.get(page.address)).headers["location"].startswith("/sign-in")
        assert not browser.done

    with_browser(work)


def test_every_form_wants_its_token() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        await with_totp(browser, session)
        page = await browser.act()
        paths = ["/totp", "/totp/confirm", "/totp/remove", "/sms", "/sms/send", "/sms/confirm", "/sms/remove"]
        paths += ["/passkeys", "/passkeys/confirm", "/passkeys/remove", "/recovery", "/abandon"]
        for address in [*(HERE + path for path in paths), page.address, f"{page.address}/send"]:
            assert (await browser.post(address, {"csrf": "x" * 40})).status == 403, address
            assert (await browser.get(f"{address}?csrf={browser.session.csrf}")).status in (200, 303, 405)

    with_browser(work)


def test_a_number_is_added_by_a_step_up_and_shown_masked_afterwards() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        counter = browser.counter
        await with_totp(browser, session)
        page = await browser.page("/sms")
        assert "password" not in page.form(f"{HERE}/sms")
        bad = await browser.submit(page, {"number": "12 <34>"}, f"{HERE}/sms")
        assert (bad.reasons, bad.by_id("number")) == (["phone-invalid"], "12 <34>")
        asked = await browser.submit(page, {"number": "+44 7400 123456"}, f"{HERE}/sms")
        assert "have codes sent to +44••••••••56 by SMS" in asked.words
        page = await browser.verify(asked, totp=counter.totp(session), email=counter.post.code(EMAIL))
        assert page.by_id("sms-number") == NUMBER
        code = counter.post.code(SMS)
        page = await browser.submit(page, {}, f"{HERE}/sms/send")
        assert (await browser.submit(page, {"code": code}, f"{HERE}/sms/confirm")).reasons == ["code-wrong"]
        await browser.submit(page, {"code": counter.post.code(SMS)}, f"{HERE}/sms/confirm")
        assert counter.account(session).factors == ["totp", "sms"]
        for path in ("", "/sms"):
            seen = await browser.page(path)
            assert "+44••••••••56" in seen.words
            assert NUMBER not in seen.text

    with_browser(work)


def test_a_passkey_is_made_used_and_removed() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        counter, key = browser.counter, SoftwareKey()
        there = {"host": HOST, "origin": ORIGIN}
        elsewhere = await browser.page("/passkeys")  # asked for at 127.0.0.1
        assert f"{ORIGIN}{HERE}/passkeys" in elsewhere.text
        assert not elsewhere.by_id("passkey-open")
        page = await browser.get(f"{HERE}/passkeys", there)
        await browser.post(f"{HERE}/passkeys", page.form(f"{HERE}/passkeys") | {"password": [PASSWORD]}, there)
        page = await browser.get(f"{HERE}/passkeys", there)
        answer = key.create(options_of(page), origin=ORIGIN)
        fields = page.form(f"{HERE}/passkeys/confirm") | {"passkey": [answer], "label": ["My <phone>"]}
        await browser.post(f"{HERE}/passkeys/confirm", fields, there)
        page = await browser.page("/passkeys")
        assert "My <phone>" in page.words
        # It proves its own removal, though it is the last.
        [passkey] = counter.account(session).passkeys
        removal = {"csrf": browser.session.csrf, "credential": passkey.credential_id}
        asked = await browser.post(f"{HERE}/passkeys/remove", removal, there)
        page = await browser.get(asked.headers["location"], there)
        assert "remove the passkey “My <phone>”" in page.words
        answer = key.get(options_of(page), origin=ORIGIN)
        fields = page.form(page.address) | {"passkey": [answer], "email": [counter.post.code(EMAIL)]}
        await browser.post(page.address, fields, there)
        assert counter.account(session).factors == []
        assert "withdrawals wait" in (await browser.page()).words

    with_browser(work)


def options_of(page: Seen) -> str:
    options = html.unescape(re.findall(r'data-options="([^"]*)"', page.text)[0])
    assert json.loads(options)["challenge"]
    return options


def test_recovery_codes_are_shown_once_and_stored_nowhere() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        counter = browser.counter
        assert "turn one on first" in (await browser.page("/recovery")).words
        await with_totp(browser, session)
        asked = await browser.submit(await browser.page("/recovery"), {}, f"{HERE}/recovery")
        shown = await browser.verify(asked, totp=counter.totp(session), email=counter.post.code(EMAIL))
        assert shown.headers["cache-control"] == "no-store"
        codes = (shown.by_id("recovery-codes") or "").split()
        assert len(codes) == 10
        assert all(code in unquote(shown.text.split('href="data:')[1].split('"')[0]) for code in codes)
        for address in (HERE, f"{HERE}/recovery", asked.address):
            later = await browser.get(address)
            assert not [code for code in codes if code in later.text]
        counter.now_us += 30 * SECOND_US
        # One of them steps up in place of the authenticator.
        page = await browser.act()
        done = await browser.verify(page, recovery=codes[0].upper(), email=counter.post.code(EMAIL))
        assert done.text == "done: it"
        assert "9 of 10 left" in (await browser.page()).words

    with_browser(work)


def test_turning_the_last_factor_off_says_what_it_costs() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        counter = browser.counter
        refusal = await browser.post(f"{HERE}/totp/remove", {"csrf": browser.session.csrf})
        assert (refusal.status, "no second factor" in refusal.words) == (403, True)
        await with_totp(browser, session)
        page = await browser.page("/totp")
        assert "your only second factor" in page.words
        asked = await browser.submit(page, {}, f"{HERE}/totp/remove")
        done = await browser.verify(asked, totp=counter.totp(session), email=counter.post.code(EMAIL))
        assert "none any more" in done.words
        assert counter.account(session).factors == []

    with_browser(work)


def test_what_is_being_set_up_can_be_abandoned() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        page = await browser.submit(await browser.page("/totp"), {"password": PASSWORD}, f"{HERE}/totp")
        assert page.by_id("totp-secret")
        await browser.submit(page, {}, f"{HERE}/abandon")
        assert not (await browser.page("/totp")).by_id("totp-secret")
        late = await browser.submit(page, {"code": "123456"}, f"{HERE}/totp/confirm")
        assert (late.status, late.reasons) == (410, ["setup-over"])

    with_browser(work)


def test_an_sms_proves_an_act_when_it_was_asked_for() -> None:
    async def work(browser: Browser, session: HolderSession) -> None:
        counter = browser.counter
        await counter.add_sms(session)
        page = await browser.act()
        assert "+44••••••••56" in page.words
        email = counter.post.code(EMAIL)
        page = await browser.follow(
            await browser.post(f"{page.address}/send", {"csrf": browser.session.csrf, "kind": "sms"})
        )
        done = await browser.verify(page, sms=counter.post.code(SMS), email=email)
        assert done.text == "done: it"

    with_browser(work)
