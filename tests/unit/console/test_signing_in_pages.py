"""The pages of signing up and in, of sessions and passwords, read and filled in without a browser."""

from __future__ import annotations

import re

import pytest

from sparekey.access.commands import EnrolSms
from sparekey.console.pages.signing_in import DEVICE_COOKIE
from sparekey.terms.clocktime import HOUR_US, MINUTE_US
from tests.console_office import ANN, OTHER_PASSWORD, PASSWORD
from tests.console_pages import Console, in_console
from tests.page_reader import PageReader, Seen


async def is_in(browser: PageReader) -> bool:
    return (await browser.get("/my")).status == 200


# --- signing up and in -----------------------------------------------------------------------------------------------


def test_a_person_signs_up_by_the_letter_and_signs_in() -> None:
    async def work(console: Console) -> None:
        browser = console.browser()
        form = await browser.open("/sign-up")
        sent = await browser.submit(form, {"email": ANN, "password": PASSWORD})
        assert sent.address == "/sign-up/sent"
        assert "operator’s outbox" in (sent.by_id("letters-stay") or "")
        link = re.search(r"/sign-up/confirm\?token=[\w-]+", console.post.letters[-1].text)
        assert link
        for _ in range(3):
            page = await browser.get(link[0])
            assert page.status == 200
        assert not console.has_account()
        confirmed = await browser.submit(page, {}, "/sign-up/confirm")
        assert confirmed.address == "/sign-in"
        assert "your account is open" in confirmed.words
        again = await browser.get(link[0])
        assert (again.status, again.reasons) == (410, ["link-expired"])
        home = await browser.submit(confirmed, {"email": ANN, "password": PASSWORD})
        assert home.address == "/my"
        assert await is_in(browser)

    in_console(work)


def test_the_cookies_of_a_session_and_a_device_are_for_the_server_alone() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        for scheme in ("http", "https"):
            browser = PageReader(console.application, scheme=scheme)
            form = await browser.open("/sign-in")
            seen = await browser.post("/sign-in", {**form.form(), "email": ANN, "password": PASSWORD})
            cookies = {cookie.split("=")[0]: cookie.lower() for cookie in seen.cookies}
            for name in ("sparekey_session", DEVICE_COOKIE):
                assert "httponly" in cookies[name] and "samesite=lax" in cookies[name] and "path=/" in cookies[name]
                assert ("secure" in cookies[name]) == (scheme == "https")
            assert seen.headers["cache-control"] == "no-store"

    in_console(work)


def test_who_is_not_signed_in_comes_back_to_the_page_that_was_asked_for() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        await console.turn_on_totp()
        browser = console.browser()
        form = await browser.open("/my/wallet?all=1")
        assert form.address == "/sign-in?next=%2Fmy%2Fwallet%3Fall%3D1"
        factor = await browser.submit(form, {"email": ANN, "password": PASSWORD}, "/sign-in")
        assert (await browser.get("/my/wallet")).headers["location"] == "/sign-in/factor?next=%2Fmy%2Fwallet"
        seen = await browser.submit(factor, {"totp": console.totp()}, "/sign-in/factor")
        assert seen.address == "/my/wallet?all=1"

    in_console(work)


@pytest.mark.parametrize("ahead", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_a_sign_in_leads_to_no_other_site(ahead: str) -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        browser = console.browser()
        form = await browser.get(f"/sign-in?next={ahead}")
        told = {**form.form(), "email": ANN, "password": PASSWORD, "next": ahead}
        seen = await browser.post("/sign-in", told)
        assert (seen.status, seen.headers["location"]) == (303, "/my")
        assert (await browser.get(f"/sign-in?next={ahead}")).headers["location"] == "/my"

    in_console(work)


def test_a_wrong_password_is_told_above_the_form_and_never_shown_again() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        browser = console.browser()
        seen = await browser.submit(await browser.open("/sign-in"), {"email": ANN, "password": OTHER_PASSWORD})
        assert (seen.status, seen.reasons) == (401, ["sign-in-wrong"])
        assert seen.form()["email"] == [ANN]
        assert OTHER_PASSWORD not in seen.text
        assert not await is_in(browser)

    in_console(work)


@pytest.mark.parametrize(
    ("address", "fields", "reason", "field"),
    [
        ("/sign-up", {"email": "ann", "password": PASSWORD}, "email-invalid", "email-error"),
        ("/sign-up", {"email": ANN, "password": "short"}, "password-weak", "password-error"),
        ("/sign-up", {"email": "<b>@x.y", "password": "<script>alert(1)</script>"}, "email-invalid", "email-error"),
        ("/sign-in", {"email": "", "password": ""}, "email-invalid", "email-error"),
        ("/forgotten", {"email": "ann@"}, "email-invalid", "email-error"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(address: str, fields: dict[str, str], reason: str, field: str) -> None:
    async def work(console: Console) -> None:
        browser = console.browser()
        seen = await browser.submit(await browser.open(address), fields)
        assert (seen.status, seen.reasons) == (400, [reason])
        assert seen.by_id(field)
        assert "<script>alert" not in seen.text and "<b>" not in seen.text

    in_console(work)


def test_too_many_tries_are_told_when_to_come_back() -> None:
    async def work(console: Console) -> None:
        browser = console.browser()
        form = (await browser.open("/sign-in")).form()
        answers = [await browser.post("/sign-in", {**form, "email": ANN, "password": "x"}) for _ in range(11)]
        assert [seen.status for seen in answers] == [401] * 10 + [429]
        assert answers[-1].headers["retry-after"] == "300"
        assert answers[-1].reasons == ["sign-in-limit"]

    in_console(work)


def test_a_full_queue_is_busy_for_everybody_and_says_when_to_come_back() -> None:
    async def work(console: Console) -> None:
        console.passwords._most_waiting = 0
        browser = console.browser()
        seen = await browser.submit(await browser.open("/sign-in"), {"email": ANN, "password": "x"})
        assert (seen.status, seen.headers["retry-after"]) == (503, "5")
        assert "Nobody" not in seen.words and "Try again in a few seconds" in seen.words

    in_console(work)


def test_a_form_without_its_token_signs_nobody_up_or_in() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        console.post.letters.clear()
        fields = {"email": ANN, "password": PASSWORD, "csrf": "x" * 32, "next": "", "token": "x", "kind": "sms"}
        for address in ("/sign-up", "/sign-in", "/sign-up/confirm", "/forgotten", "/reset", "/sign-in/factor"):
            assert (await console.browser().post(address, fields)).status == 403, address
            browser = console.browser()
            form = await browser.open("/sign-in")
            told = {**fields, **form.form(), "email": ANN, "password": PASSWORD}
            foreign = await browser.post(address, told, {"origin": "https://evil.example"})
            assert foreign.status == 403, address
        assert not console.post.letters and not console.file.account_ids()

    in_console(work)


def test_a_field_that_is_sent_twice_is_refused() -> None:
    async def work(console: Console) -> None:
        browser = console.browser()
        form = (await browser.open("/sign-in")).form()
        seen = await browser.post("/sign-in", {**form, "email": [ANN, "bob@example.com"], "password": PASSWORD})
        assert seen.status == 400

    in_console(work)


def test_nothing_of_signing_in_changes_anything_by_get() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        browser = await console.signed_in()
        for address in ("/sign-out", "/sign-in/factor/send", "/my/settings/security/sessions/end"):
            assert (await browser.get(address)).status == 405
        assert await is_in(browser)

    in_console(work)


def test_a_sign_out_ends_the_session_and_asks_for_no_form_where_there_is_none() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        browser = await console.signed_in()
        token = browser.cookies["sparekey_session"]
        page = await browser.open("/my/settings/security/sessions")
        left = await browser.follow(await browser.post("/sign-out", page.form("/sign-out")))
        assert left.address == "/" and "You are signed out" in left.words
        assert console.sessions.find(token) is None
        assert "sparekey_session" not in browser.cookies
        assert (await browser.follow(await browser.post("/sign-out", {}))).status == 200

    in_console(work)


def test_signing_in_anew_ends_the_session_that_the_browser_had() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        browser = await console.signed_in()
        before = browser.cookies["sparekey_session"]
        csrf = (await browser.open("/my/settings/security/sessions")).form("/sign-out")["csrf"]
        await browser.post("/sign-in", {"csrf": csrf, "email": ANN, "password": PASSWORD, "next": ""})
        assert browser.cookies["sparekey_session"] != before
        assert console.sessions.find(before) is None

    in_console(work)


# --- the second factor -----------------------------------------------------------------------------------------------


def test_the_second_step_takes_one_factor_and_turns_the_session_into_another() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        await console.turn_on_totp()
        browser = console.browser()
        factor = await browser.submit(await browser.open("/sign-in"), {"email": ANN, "password": PASSWORD})
        assert factor.address == "/sign-in/factor"
        half = browser.cookies["sparekey_session"]
        assert not await is_in(browser)
        assert (await browser.get("/sign-in")).status == 200  # may begin anew
        none = await browser.submit(factor, {}, "/sign-in/factor")
        assert (none.status, none.reasons) == (400, ["request-invalid"])
        both = await browser.submit(factor, {"totp": console.totp(), "recovery": "x"}, "/sign-in/factor")
        assert both.reasons == ["request-invalid"]
        wrong = await browser.submit(factor, {"totp": "000000"}, "/sign-in/factor")
        assert wrong.reasons == ["factor-wrong"]
        assert not await is_in(browser)
        seen = await browser.submit(factor, {"totp": console.totp()}, "/sign-in/factor")
        assert seen.address == "/my"
        assert browser.cookies["sparekey_session"] != half
        assert console.sessions.find(half) is None and console.sessions.find_half(half) is None
        # The page of the second step is of no use any more.
        assert (await browser.get("/sign-in/factor")).headers["location"] == "/my"

    in_console(work)


def test_the_page_of_the_second_step_is_for_who_has_given_the_password() -> None:
    async def work(console: Console) -> None:
        browser = console.browser()
        assert (await browser.get("/sign-in/factor?next=/my/wallet")).headers["location"] == (
            "/sign-in?next=%2Fmy%2Fwallet"
        )
        form = await browser.open("/sign-in")
        for address in ("/sign-in/factor", "/sign-in/factor/send"):
            seen = await browser.post(address, {"csrf": form.form()["csrf"], "totp": "1", "kind": "sms"})
            assert (seen.status, seen.headers["location"]) == (303, "/sign-in")

    in_console(work)


def test_a_code_comes_by_sms_and_signs_in_only_the_session_that_asked_for_it() -> None:
    async def work(console: Console) -> None:
        account = await console.open_account()
        vault_id = console.vault.seal(f"account-{account.account_id}", "sms", "number", b"+4915112345678")
        console.writer.submit(EnrolSms(account.account_id, vault_id))
        pages, browsers = [], [console.browser(), console.browser()]
        for browser in browsers:
            form = await browser.open("/sign-in")
            pages.append(await browser.submit(form, {"email": ANN, "password": PASSWORD}))
        asked = await browsers[0].post("/sign-in/factor/send", pages[0].form("/sign-in/factor/send"))
        sent = await browsers[0].follow(asked)
        assert "An SMS with a code is on its way" in sent.words
        letter = console.post.letters[-1]
        assert letter.kind == "sms" and letter.to == "+4915112345678"
        assert "4915112345678" not in sent.text
        code = re.search(r"\b\d{8}\b", letter.text)
        assert code
        stolen = await browsers[1].submit(pages[1], {"sms": code[0]}, "/sign-in/factor")
        assert stolen.address == "/sign-in/factor"
        seen = await browsers[0].submit(sent, {"sms": code[0]}, "/sign-in/factor")
        assert seen.address == "/my"

    in_console(work)


def test_a_sign_in_can_be_given_up_before_the_second_step() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        await console.turn_on_totp()
        browser = console.browser()
        factor = await browser.submit(await browser.open("/sign-in"), {"email": ANN, "password": PASSWORD})
        half = browser.cookies["sparekey_session"]
        await browser.post("/sign-out", factor.form("/sign-out"))
        assert console.sessions.find_half(half) is None

    in_console(work)


def test_who_waits_too_long_with_the_second_factor_begins_anew() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        await console.turn_on_totp()
        browser = console.browser()
        factor = await browser.submit(await browser.open("/sign-in"), {"email": ANN, "password": PASSWORD})
        console.now_us += HOUR_US
        assert (await browser.get("/sign-in/factor")).headers["location"] == "/sign-in"
        seen = await browser.post("/sign-in/factor", {**factor.form("/sign-in/factor"), "totp": console.totp()})
        assert seen.status == 403  # the form is of a session that is over
        assert not await is_in(browser)

    in_console(work)


# --- forgotten, changed ----------------------------------------------------------------------------------------------


def test_a_forgotten_password_is_chosen_anew_by_the_letters_link() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        elsewhere = await console.signed_in()
        browser = console.browser()
        sent = await browser.submit(await browser.open("/forgotten"), {"email": ANN})
        assert sent.address == "/forgotten/sent"
        link = f"/reset?token={console.post.token('/reset')}"
        page = await browser.get(link)
        assert page.headers["referrer-policy"] == "same-origin" and page.headers["cache-control"] == "no-store"
        weak = await browser.submit(page, {"password": "weak"}, "/reset")
        assert weak.reasons == ["password-weak"]
        assert await is_in(elsewhere)
        done = await browser.submit(weak, {"password": OTHER_PASSWORD}, "/reset")
        assert done.address == "/sign-in" and "Your password is changed" in done.words
        assert not await is_in(elsewhere)
        again = await browser.get(link)
        assert (again.status, again.reasons) == (410, ["link-expired"])
        twice = await browser.submit(page, {"password": PASSWORD}, "/reset")
        assert (twice.status, twice.reasons) == (410, ["link-expired"])
        assert (await browser.submit(done, {"email": ANN, "password": OTHER_PASSWORD})).address == "/my"

    in_console(work)


def change(form: Seen, old: str = PASSWORD, new: str = OTHER_PASSWORD) -> dict[str, list[str] | str]:
    return {**form.form("/my/settings/security/password"), "old": old, "password": new}


def test_a_changed_password_wants_the_old_one_and_a_step_up_and_ends_the_other_sessions() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        await console.turn_on_totp()
        browser, elsewhere = await console.signed_in(), await console.signed_in("192.0.2.2")
        address = "/my/settings/security/password"
        form = await browser.open(address)
        wrong = await browser.post(address, change(form, old="guess"))
        assert wrong.reasons == ["password-wrong"] and wrong.by_id("old-error")
        weak = await browser.post(address, change(form, new="weak"))
        assert weak.reasons == ["password-weak"] and weak.by_id("password-error")
        same = await browser.post(address, change(form, new=PASSWORD))
        assert same.reasons == ["password-same"]
        verify = await browser.follow(await browser.post(address, change(form)))
        assert verify.address.startswith("/verify/")
        assert verify.by_id("action") == "change your password"
        assert OTHER_PASSWORD not in verify.text and PASSWORD not in verify.text
        assert await is_in(elsewhere)
        code = re.search(r"\b\d{8}\b", console.post.letters[-1].text)
        assert code
        console.now_us += MINUTE_US
        before = browser.cookies["sparekey_session"]
        done = await browser.submit(verify, {"totp": console.totp(), "email": code[0]}, verify.address)
        assert done.address == "/my/settings/security"
        assert await is_in(browser) and not await is_in(elsewhere)
        assert console.sessions.find(before) is None
        again = await browser.submit(verify, {"totp": console.totp(), "email": code[0]}, verify.address)
        assert again.status == 410
        console.now_us += MINUTE_US
        anew = console.browser("192.0.2.3")
        step = await anew.submit(await anew.open("/sign-in"), {"email": ANN, "password": OTHER_PASSWORD})
        assert step.address == "/sign-in/factor"

    in_console(work)


def test_without_a_second_factor_the_old_password_is_what_is_proven() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        browser, elsewhere = await console.signed_in(), await console.signed_in("192.0.2.2")
        form = await browser.open("/my/settings/security/password")
        done = await browser.follow(await browser.post("/my/settings/security/password", change(form)))
        assert done.address == "/my/settings/security"
        assert await is_in(browser) and not await is_in(elsewhere)

    in_console(work)


def test_sessions_are_listed_and_ended_one_by_one_or_all_others_at_once() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        browsers = [await console.signed_in(f"192.0.2.{at}") for at in range(1, 5)]
        address = "/my/settings/security/sessions"
        page = await browsers[0].open(address)
        assert [f"192.0.2.{at}" in page.words for at in range(1, 5)] == [True] * 4
        assert page.words.count("this one") == 1
        third = console.sessions.find(browsers[2].cookies["sparekey_session"])
        assert third is not None
        csrf = page.form("/sign-out")["csrf"]
        end_third = {"csrf": csrf, "handle": third.handle}
        ended = await browsers[0].follow(await browsers[0].post(f"{address}/end", end_third))
        assert "The session is ended" in ended.words
        assert [await is_in(browser) for browser in browsers] == [True, True, False, True]
        unknown = await browsers[0].post(f"{address}/end", end_third)
        assert (unknown.status, unknown.reasons) == (404, ["session-unknown"])
        kept = await browsers[0].submit(page, {}, f"{address}/end-all")
        assert "All other sessions are ended" in kept.words
        assert [await is_in(browser) for browser in browsers] == [True, False, False, False]
        own = console.sessions.find(browsers[0].cookies["sparekey_session"])
        assert own is not None
        csrf = kept.form("/sign-out")["csrf"]
        out = await browsers[0].follow(await browsers[0].post(f"{address}/end", {"csrf": csrf, "handle": own.handle}))
        assert out.address == "/" and not await is_in(browsers[0])

    in_console(work)


def test_a_browsers_name_for_itself_runs_nowhere() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        browser = console.browser()
        form = await browser.open("/sign-in")
        told = {**form.form(), "email": ANN, "password": PASSWORD}
        await browser.post("/sign-in", told, {"user-agent": "<script>alert(1)</script>"})
        page = await browser.open("/my/settings/security/sessions")
        assert "<script>alert" not in page.text and "&lt;script&gt;alert" in page.text
        assert "<script>alert" not in console.post.letters[-1].html

    in_console(work)
