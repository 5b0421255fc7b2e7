"""The operator's pages: who gets in, what they show, and that each act goes through the same doors as the command."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sparekey.access.limits import IpLedger
from sparekey.access.shard import AccessShard
from sparekey.assemble import load_policy
from sparekey.console.bans import Bans
from sparekey.console.letters import Letters
from sparekey.console.management import Management
from sparekey.console.operator_door import TRIES_MOST, TRIES_WINDOW_US, OperatorDoor
from sparekey.console.oversight import PAGE, Oversight
from sparekey.console.pages import verification as verification_pages
from sparekey.console.pages.operator import OperatorPages
from sparekey.console.pages.shell import OPERATOR_COOKIE, SESSION_COOKIE, Shell
from sparekey.console.passwords import CHEAP, Passwords
from sparekey.console.sessions import OPERATOR, Sessions
from sparekey.console.verification import Verification
from sparekey.console.writing import AccessWriter
from sparekey.delivery.outbox import Outbox
from sparekey.market.participants import SeededParticipants
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.calls import CallLog
from sparekey.storage.documents import DocumentVault
from sparekey.storage.journal import MemoryJournal
from sparekey.storage.sessions import SessionFile
from sparekey.storage.vault import Vault
from sparekey.terms.letters import SMS, Letter
from sparekey.venue.spot_shard import SpotShard
from tests.page_reader import PageReader, Seen
from tests.papers import ANNA, hand_in, photograph

TOKEN = "the-operators-token-of-this-test"
EMAIL = "ann@example.com"
URL = "http://localhost:8080"
NOON_US = 1_700_000_000_000_000


class Office:
    """The pages of the operator and of identity checks, over shards in memory."""

    def __init__(self, folder: Path, *, sandbox: bool = True) -> None:
        self.now_us = NOON_US
        clocks = Clocks(lambda: self.now_us)
        shard = AccessShard()
        spot: SpotShard = SpotShard(SeededParticipants(lambda symbol: spot.state.rules(symbol)))
        self.access, self.spot = shard.state, spot.state
        self.sequencer = Sequencer(
            MemoryJournal(),
            {"access": shard, "spot": spot},
            {"access": clocks.policy_us, "spot": clocks.wire_us},
            asyncio.get_running_loop().call_soon,
        )
        self.vault = Vault(":memory:", bytes(32))
        self.passwords = Passwords(CHEAP)
        self.management = Management(
            self.sequencer,
            self.access,
            self.spot,
            self.vault,
            clocks,
            CallLog(folder),
            sandbox=True,
            passwords=self.passwords,
        )
        self.documents = DocumentVault(":memory:", bytes(32))
        self.outbox = Outbox({}, clocks.wall_us, readable=True)
        self.letters = Letters(URL)
        self.verification = Verification(
            AccessWriter(self.sequencer),
            self.access,
            self.documents,
            clocks,
            self.outbox,
            self.letters,
            self.management.email_of,
            sandbox=sandbox,
        )
        self.management.on_erase = self._forget
        self.ledger = IpLedger(load_policy("classic"))
        self.sessions = Sessions(SessionFile(":memory:"), lambda account_id: 0, clocks.policy_us)
        shell = Shell(self.sessions, self.management.email_of, clocks.policy_us, facts={})
        self.oversight = Oversight(self.access, self.spot, self.ledger, self.vault, clocks)
        self.pages = OperatorPages(
            shell,
            OperatorDoor(TOKEN, self.sessions, clocks.wall_us),
            self.oversight,
            self.management,
            self.verification,
            Bans(self.ledger, clocks),
            self.outbox,
            public_url=URL,
            sandbox=sandbox,
        )
        own = verification_pages.routes(shell, self.verification, self.access)
        self.application = shell.application([*self.pages.routes(), *own])
        # What a guarded server refuses is refused by the management itself; accounts are made before.
        self.guard = lambda: setattr(self.management, "_sandbox", sandbox)

    async def _forget(self, account_id: int, reached_at: Any) -> None:
        for to in reached_at:
            self.outbox.forget(to)
        await self.verification.forget_account(account_id)

    async def account(self, email: str = EMAIL, **options: Any) -> int:
        created = await self.management.create_account(email, **options)
        account_id: int = created["accountId"]
        return account_id

    def visitor(self, ip: str = "127.0.0.1") -> PageReader:
        return PageReader(self.application, ip)

    def operator(self) -> PageReader:
        one = self.visitor()
        one.cookies[OPERATOR_COOKIE] = self.sessions.open(OPERATOR, ip="", agent="", proven=("token",))[1]
        return one

    def holder(self, account_id: int) -> PageReader:
        one = self.visitor()
        one.cookies[SESSION_COOKIE] = self.sessions.open(account_id, ip="", agent="", proven=("password",))[1]
        return one


def in_office(work: Callable[[Office], Awaitable[None]], folder: Path, **options: Any) -> None:
    async def run() -> None:
        office = Office(folder, **options)
        try:
            await work(office)
        finally:
            office.documents.close()
            office.passwords.stop()

    asyncio.run(run())


async def sent(one: PageReader, page: str, action: str, **fields: str) -> Seen:
    return await one.submit(await one.get(page), fields, action)


# --- signing in ------------------------------------------------------------------------------------------------------


def test_the_operator_signs_in_with_the_token_and_goes_on_where_it_wanted(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        one = office.visitor()
        page = await one.open("/operator/keys?status=active")
        assert page.address == "/operator/sign-in?next=%2Foperator%2Fkeys%3Fstatus%3Dactive"
        arrived = await one.submit(page, {"token": TOKEN + "\n"}, "/operator/sign-in")
        assert (arrived.status, arrived.address) == (200, "/operator/keys?status=active")
        cookie = one.cookies[OPERATOR_COOKIE]
        assert TOKEN not in cookie
        left = await sent(one, "/operator", "/operator/sign-out")
        assert left.address == "/operator/sign-in" and OPERATOR_COOKIE not in one.cookies
        one.cookies[OPERATOR_COOKIE] = cookie
        assert (await one.get("/operator")).status == 303

    in_office(work, tmp_path)


def test_the_operators_cookie_is_for_these_pages_and_no_script(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        one = office.visitor()
        page = await one.get("/operator/sign-in")
        answer = await one.post("/operator/sign-in", {**page.form("/operator/sign-in"), "token": TOKEN})
        [cookie] = [cookie for cookie in answer.cookies if cookie.startswith(OPERATOR_COOKIE)]
        assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()

    in_office(work, tmp_path)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "\udcff", "x" * 60_000])
def test_a_wrong_token_opens_nothing(tmp_path: Path, token: str) -> None:
    async def work(office: Office) -> None:
        one = office.visitor()
        page = await one.get("/operator/sign-in")
        fields = {**page.form("/operator/sign-in"), "token": token.encode("utf-8", "replace").decode()}
        seen = await one.post("/operator/sign-in", fields)
        assert seen.status == 401 and seen.reasons == ["operator-token-wrong"]
        assert OPERATOR_COOKIE not in one.cookies

    in_office(work, tmp_path)


def test_an_address_tries_a_few_tokens_in_a_while_and_the_right_one_waits_as_well(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        one = office.visitor("203.0.113.7")
        page = await one.get("/operator/sign-in")
        for _ in range(TRIES_MOST):
            assert (await one.submit(page, {"token": "wrong"}, "/operator/sign-in")).status == 401
        refused = await one.submit(page, {"token": TOKEN}, "/operator/sign-in")
        assert refused.status == 429 and refused.reasons == ["sign-in-limit"]
        elsewhere = office.visitor("203.0.113.8")
        assert (await sent(elsewhere, "/operator/sign-in", "/operator/sign-in", token=TOKEN)).status == 200
        office.now_us += TRIES_WINDOW_US
        assert (await one.submit(page, {"token": TOKEN}, "/operator/sign-in")).address == "/operator"

    in_office(work, tmp_path)


def test_no_page_and_no_act_is_anybodys_but_the_operators(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        account_id = await office.account()
        holder = office.holder(account_id)
        holder.cookies[OPERATOR_COOKIE] = holder.cookies[SESSION_COOKIE]  # a holder's session is no operator's
        for route in office.application.routes:
            path = re.sub(r"\{\w+(:\w+)?\}", str(account_id), getattr(route, "path", ""))
            if not path.startswith("/operator") or path == "/operator/sign-in":
                continue
            for one in (office.visitor(), holder):
                for seen in (await one.get(path), await one.post(path, {"reason": "x"})):
                    assert seen.status == 405 or (
                        seen.status == 303 and seen.headers["location"].startswith("/operator/sign-in?next=")
                    ), path
        assert not office.access.accounts[account_id].suspended

    in_office(work, tmp_path)


def test_every_act_needs_the_token_of_its_form(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        account_id = await office.account()
        one = office.operator()
        acts = [
            re.sub(r"\{\w+(:\w+)?\}", str(account_id), route.path)  # type: ignore[attr-defined]
            for route in office.application.routes
            if "POST" in (getattr(route, "methods", None) or ()) and getattr(route, "path", "").startswith("/operator/")
        ]
        assert len(acts) >= 11
        for path in acts:
            assert (await one.post(path, {"reason": "x", "duration": "91d", "email": EMAIL})).status == 403, path
        account = office.access.account(account_id)
        assert account is not None and not account.suspended
        assert office.access.policy_offset_us == 0

    in_office(work, tmp_path)


# --- accounts --------------------------------------------------------------------------------------------------------


def test_an_account_is_found_by_its_whole_address_or_its_number(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        account_id = await office.account()
        one = office.operator()
        for text in ("ANN%40example.com", str(account_id), f"%20{account_id}%20"):
            assert (await one.open(f"/operator/accounts?q={text}")).address == f"/operator/accounts/{account_id}"
        for text in ("ann", "999", "%00", "x" * 5_000, "%3Cscript%3E", "9" * 40, "%D9%A3"):
            seen = await one.open(f"/operator/accounts?q={text}")
            assert seen.status == 200 and "No account has this" in seen.words and "<script>" not in seen.text
        assert (await one.get("/operator/accounts/999")).status == 404
        assert (await one.get("/operator/accounts/x")).status == 404

    in_office(work, tmp_path)


def test_accounts_are_listed_page_by_page_the_newest_first(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        for number in range(PAGE + 3):
            await office.account(f"trader-{number}@example.com")
        one = office.operator()
        page = await one.get("/operator/accounts")
        assert re.findall(r"trader-(\d+)@", page.text) == [str(number) for number in range(PAGE + 2, 2, -1)]
        [older] = re.findall(r'href="(\?before=\d+)"', page.text)
        page = await one.get(f"/operator/accounts{older}")
        assert re.findall(r"trader-(\d+)@", page.text) == ["2", "1", "0"]
        assert 'rel="next"' not in page.text
        for odd in ("-1", "x", "0", "9" * 30, "%00"):
            assert (await one.get(f"/operator/accounts?before={odd}")).status == 200

    in_office(work, tmp_path)


def test_suspending_and_restoring_need_a_reason_and_show_where_they_belong(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        account_id = await office.account()
        one, page = office.operator(), f"/operator/accounts/{account_id}"
        refused = await sent(one, page, f"{page}/suspend", reason=" ")
        assert refused.status == 400 and refused.reasons == ["cause-invalid"]
        seen = await sent(one, page, f"{page}/suspend", reason="stolen laptop")
        assert "Suspended." in (seen.by_id("notice") or "") and office.access.accounts[account_id].suspended
        assert EMAIL in (await one.get("/operator/suspensions")).text
        await sent(one, page, f"{page}/restore", reason="found again")
        assert not office.access.accounts[account_id].suspended
        assert EMAIL not in (await one.get("/operator/suspensions")).text

    in_office(work, tmp_path)


def test_panic_disables_every_key_and_the_pages_show_it(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        account_id = await office.account(kyc="approved", totp=True)
        key = await office.management.create_key(EMAIL, label="<b>Bot</b>")
        one, page = office.operator(), f"/operator/accounts/{account_id}"
        shown = await one.get(page)
        assert "&lt;b&gt;Bot" in shown.text and "<b>Bot" not in shown.text
        assert key["secretKey"] not in shown.text
        await sent(one, page, f"{page}/panic", reason="leaked")
        assert office.management.show_key(key["apiKey"])["status"] == "disabled"
        assert "disabled" in (await one.get(f"/operator/keys?q={key['apiKey']}")).words

    in_office(work, tmp_path)


def test_keys_are_filtered(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        await office.account(kyc="approved", totp=True)
        await office.management.create_key(EMAIL, label="Alpha", permissions=["spot-and-margin-trading"])
        beta = await office.management.create_key(EMAIL, label="Beta")
        gamma = await office.management.create_key(EMAIL, label="Gamma")
        await office.management.disable_key(beta["apiKey"])
        await office.management.delete_key(gamma["apiKey"])
        one = office.operator()

        async def labels(query: str) -> list[str]:
            return re.findall("Alpha|Beta|Gamma", (await one.get(f"/operator/keys{query}")).text)

        assert await labels("") == ["Beta", "Alpha"]
        assert await labels("?status=disabled") == ["Beta"]
        assert gamma["apiKey"] in (await one.get("/operator/keys?status=deleted")).text
        assert await labels("?permission=spot-and-margin-trading") == ["Alpha"]
        assert await labels("?type=rsa") == []
        assert await labels("?status=odd&type=odd&permission=odd&before=odd") == ["Beta", "Alpha"]
        assert "No such key" in (await one.get("/operator/keys?q=nothing")).words

    in_office(work, tmp_path)


def test_erasing_wants_the_address_typed_and_leaves_nothing_of_the_holder(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        account_id = await office.account()
        assert await office.verification.submit(account_id, ANNA, photograph()) == {}
        one, page = office.operator(), f"/operator/accounts/{account_id}"
        refused = await sent(one, page, f"{page}/erase", email="bob@example.com")
        assert "another e-mail address" in (refused.by_id("notice") or "")
        assert office.access.account(account_id) is not None
        done = await sent(one, page, f"{page}/erase", email=" Ann@Example.com ")
        assert done.address == "/operator/accounts" and EMAIL not in done.text
        assert not office.vault.knows(f"account-{account_id}")
        assert await office.documents.names("kyc-image") == [] and await office.documents.names("kyc-application") == []
        assert office.outbox.newest() == []
        for gone in (page, f"/operator/verification/{account_id}", f"/operator/verification/{account_id}/image"):
            assert (await one.get(gone)).status == 404

    in_office(work, tmp_path)


# --- identity checks -------------------------------------------------------------------------------------------------


def test_an_identity_is_verified_from_form_to_decision(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        account_id = await office.account()
        holder, operator = office.holder(account_id), office.operator()
        seen = await hand_in(holder, photograph())
        assert seen.status == 200 and "waiting" in (seen.by_id("kyc-state") or "").lower()
        assert EMAIL in (await operator.get("/operator/verification")).text
        page = f"/operator/verification/{account_id}"
        shown = await operator.get(page)
        assert "Eriksson" in shown.words and "L898902C3" in shown.words and "Utopia" in shown.words
        image = await operator.get(f"{page}/image")
        assert image.headers["content-type"] == "image/jpeg" and image.body.startswith(b"\xff\xd8")
        assert image.headers["cache-control"] == "no-store" and image.headers["x-content-type-options"] == "nosniff"
        assert (await holder.get(f"{page}/image")).status == 303
        refused = await sent(operator, page, f"{page}/reject", by="A. B.", reason="")
        assert refused.status == 400 and refused.reasons == ["cause-invalid"]
        await sent(operator, page, f"{page}/reject", by="A. B.", reason="<too dark>")
        seen = await holder.get("/my/settings/verification")
        assert "<too dark>" in (seen.by_id("rejected") or "") and "<too dark>" not in seen.text
        await hand_in(holder, photograph("PNG"))
        old = shown.form(f"{page}/approve")
        stale = await operator.post(f"{page}/approve", {**old, "by": "A. B."})
        assert stale.status == 409 and "kyc-undecidable" in stale.text
        await sent(operator, page, f"{page}/approve", by="A. B.")
        queue = await operator.get("/operator/verification")
        assert "Nobody waits" in queue.words and "A. B." in queue.words
        assert "Verified" in (await holder.get("/my/settings/verification")).words
        assert office.outbox.newest()[0].subject == "Sparekey: Your identity is verified"

    in_office(work, tmp_path, sandbox=False)


def test_what_does_not_fit_is_told_at_its_field_and_what_was_typed_stays(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        holder = office.holder(await office.account())
        seen = await hand_in(holder, b"<svg/>", number="X1", given_names='"><script>')
        assert seen.status == 400
        assert "zone has L898902C3 as the number" in (seen.by_id("number-error") or "")
        assert "neither a JPEG nor a PNG" in (seen.by_id("image-error") or "")
        assert seen.by_id("surname") == "Eriksson" and "<script>" not in seen.text.replace("<script type", "")
        assert (await hand_in(holder, b"")).by_id("image-error") is not None
        large = await hand_in(holder, b"\xff\xd8\xff" + bytes(2_000_000))
        assert "2,000,003 bytes" in (large.by_id("image-error") or "")
        assert (await hand_in(holder, bytes(5_000_000))).status == 413

    in_office(work, tmp_path)


def test_the_short_cut_is_there_in_a_sandbox_alone(tmp_path: Path) -> None:
    async def sandbox(office: Office) -> None:
        account_id = await office.account()
        holder = office.holder(account_id)
        seen = await sent(holder, "/my/settings/verification", "/my/settings/verification/approve")
        assert "Verified" in (seen.by_id("kyc-state") or "") and office.access.accounts[account_id].kyc == "approved"

    async def guarded(office: Office) -> None:
        account_id = await office.account()
        holder = office.holder(account_id)
        page = await holder.get("/my/settings/verification")
        assert "approve-at-once" not in page.text
        token = page.form("/my/settings/verification")["csrf"][0]
        seen = await holder.post("/my/settings/verification/approve", {"csrf": token})
        assert seen.status == 403 and seen.reasons == ["mode-guarded"]
        assert office.access.accounts[account_id].kyc == "none"

    in_office(sandbox, tmp_path)
    in_office(guarded, tmp_path, sandbox=False)


# --- bans, limits, letters, clocks -----------------------------------------------------------------------------------


def test_a_ban_is_seen_and_lifted(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        office.ledger.load_bans((0, [("203.0.113.9", 0, NOON_US + 120_000_000)]))
        one = office.operator()
        page = await one.get("/operator/bans")
        assert "203.0.113.9" in page.words and "in 2 minutes" in page.words
        seen = await one.submit(page, {}, "/operator/bans/lift")
        assert "203.0.113.9 is let in again" in seen.words and office.ledger.current_bans(NOON_US) == []
        again = await one.submit(page, {}, "/operator/bans/lift")
        assert "was not banned any more" in again.words

    in_office(work, tmp_path)


def test_limits_show_what_the_profile_allows_and_who_used_most(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        one = office.operator()
        assert "Nobody has called lately" in (await one.get("/operator/limits")).words
        office.ledger.charge("203.0.113.9", 600, NOON_US, NOON_US, "spot", "GET /api/v3/depth")
        office.ledger.charge("203.0.113.8", 20, NOON_US, NOON_US, "spot", "GET /api/v3/depth")
        office.ledger.charge_account(7, 60_000, NOON_US, "sapi", "GET /sapi/v1/x")
        seen = (await one.get("/operator/limits")).words
        assert re.search(
            r"203\.0\.113\.9 spot weight all 600 1,200 1 minute .*7 sapi account weight GET /sapi/v1/x 60,000", seen
        )
        assert "6,100" in seen and "2 minutes, then 10 minutes" in seen
        office.now_us += 3_600_000_000
        assert "Nobody has called lately" in (await one.get("/operator/limits")).words

    in_office(work, tmp_path)


def test_letters_are_read_in_full_and_lead_only_to_this_console(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        office.outbox.send(office.letters.confirm_sign_up(EMAIL, "/sign-up/confirm?token=abc"))
        office.outbox.send(Letter(kind=SMS, to="+4915112345678", text="12345678 <b> http://evil.example/"))
        one = office.operator()
        assert "waits here" in (await one.get("/operator/outbox")).words
        mail = await one.get("/operator/outbox/1")
        assert f'<a href="{URL}/sign-up/confirm?token=abc">' in mail.text
        message = await one.get("/operator/outbox/2")
        assert "12345678 <b> http://evil.example/" in (message.by_id("letter") or "")
        assert 'href="http://evil' not in message.text and "<b>" not in message.text
        html = await one.get("/operator/outbox/1/html")
        assert (
            "sandbox" in html.headers["content-security-policy"]
            and "script-src" not in html.headers["content-security-policy"]
        )
        for gone in ("/operator/outbox/3", "/operator/outbox/2/html", "/operator/outbox/x"):
            assert (await one.get(gone)).status == 404

    in_office(work, tmp_path)


class _Taken:
    """A way out that takes every letter."""

    async def deliver(self, letter: Letter, number: int) -> None:
        return


def test_a_letter_that_left_a_guarded_house_is_its_readers_alone(tmp_path: Path) -> None:
    async def work(office: Office) -> None:
        outbox = Outbox({"email": _Taken()}, lambda: NOON_US, readable=False)
        office.pages._outbox = outbox
        outbox.send(office.letters.step_up_code(EMAIL, "87654321", "delete the API key “Bot”"))
        one = office.operator()
        async with asyncio.timeout(20):
            while outbox.under_way:
                await asyncio.sleep(0)
        assert "its reader’s alone" in (await one.get("/operator/outbox/1")).words
        assert (await one.get("/operator/outbox/1/html")).status == 404
        for address in ("/operator/outbox", "/operator/outbox/1", "/operator"):
            assert "87654321" not in (await one.get(address)).text

    in_office(work, tmp_path, sandbox=False)


def test_clocks_are_turned_in_a_sandbox_alone(tmp_path: Path) -> None:
    async def sandbox(office: Office) -> None:
        one = office.operator()
        refused = await sent(one, "/operator/clock", "/operator/clock/advance", duration="tomorrow")
        assert refused.status == 400 and refused.reasons == ["request-invalid"]
        await sent(one, "/operator/clock", "/operator/clock/skew", duration="+3s")
        await sent(one, "/operator/clock", "/operator/clock/advance", duration="5m")
        assert office.management.show_clock() == {
            "policyMs": NOON_US // 1_000 + 300_000,
            "wireMs": NOON_US // 1_000 + 3_000,
        }

    async def guarded(office: Office) -> None:
        office.guard()
        one = office.operator()
        page = await one.get("/operator/clock")
        assert 'action="/operator/clock/advance"' not in page.text
        token = (await one.get("/operator/accounts")).text.partition('name="csrf" value="')[2].partition('"')[0]
        seen = await one.post("/operator/clock/advance", {"csrf": token, "duration": "5m"})
        assert seen.status == 403 and seen.reasons == ["mode-guarded"] and office.access.policy_offset_us == 0

    in_office(sandbox, tmp_path)
    in_office(guarded, tmp_path, sandbox=False)
