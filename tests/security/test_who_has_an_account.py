"""Hostile check 9: no answer of signing up, signing in or a forgotten password tells whether an address has an account.

Held against each other are whole answers and the work behind them. Time decides nothing here: what takes the time is
counted instead.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from sparekey.access.commands import CreateSubAccount, SetKyc
from tests.console_office import ANN, PASSWORD, STRANGER, VISITOR
from tests.console_pages import Console, in_console
from tests.page_reader import PageReader, Seen

#: Another account's own, so that it is wrong for both.
WRONG = "four copper kettles 77"
FORMS = {
    "/sign-up": {"password": WRONG},
    "/sign-in": {"password": WRONG},
    "/forgotten": {},
}


class Work(NamedTuple):
    hashes: int
    seals: int
    openings: int
    links: int
    records: int


class Watched(Console):
    """Counts what takes time, or leaves traces."""

    def __init__(self) -> None:
        super().__init__()
        self.openings = self.seals = self.links = 0
        seal, opened, open_link = self.vault.seal, self.vault.open, self.file.open_link

        def count_seal(*parts: object) -> str:
            self.seals += 1
            return seal(*parts)  # type: ignore[arg-type]

        def count_opening(vault_id: str) -> bytes:
            self.openings += 1
            return opened(vault_id)

        def count_link(*parts: object, most: int) -> None:
            self.links += 1
            open_link(*parts, most=most)  # type: ignore[arg-type]

        self.vault.seal, self.vault.open = count_seal, count_opening  # type: ignore[method-assign]
        self.file.open_link = count_link  # type: ignore[method-assign]

    def work(self) -> Work:
        return Work(self.passwords.hashed, self.seals, self.openings, self.links, self.sequencer.position)

    def since(self, before: Work) -> Work:
        return Work(*(now - then for now, then in zip(self.work(), before, strict=True)))


def told(seen: Seen, address: str) -> tuple[int, dict[str, str], list[str], str]:
    """All of an answer, without what is drawn anew for each page, and without what was sent."""
    headers = {name: value for name, value in seen.headers.items() if name not in ("set-cookie", "content-length")}
    cookies = [re.sub(r"=[^;]*", "=…", cookie, count=1) for cookie in seen.cookies]
    text = re.sub(r'(name="csrf" value=")[^"]*', r"\1…", seen.text).replace(address, "…")
    return seen.status, headers, cookies, text


async def ask(console: Console, path: str, address: str, fields: dict[str, str], ip: str) -> Seen:
    browser: PageReader = console.browser(ip)
    form = await browser.open(path)
    return await browser.post(path, {**form.form(), "email": address, **fields})


@pytest.mark.parametrize("path", FORMS)
def test_an_address_with_an_account_is_answered_as_one_without(path: str) -> None:
    async def work(console: Console) -> None:
        assert isinstance(console, Watched)
        await console.open_account()
        await console.open_account("other@example.com", WRONG)
        before = console.work()
        known = await ask(console, path, ANN, FORMS[path], "192.0.2.10")
        of_known = console.since(before)
        before = console.work()
        unknown = await ask(console, path, STRANGER, FORMS[path], "192.0.2.11")
        of_unknown = console.since(before)
        assert told(known, ANN) == told(unknown, STRANGER)
        # A look into the vault costs a thousandth of a hash; sign-in takes one more for whoever has a hash there.
        assert of_known._replace(openings=0) == of_unknown._replace(openings=0)
        assert of_known.openings - of_unknown.openings == (1 if path == "/sign-in" else 0)
        assert of_known.records == 0

    in_console(work, Watched)


@pytest.mark.parametrize("factors", [False, True])
def test_a_wrong_password_is_answered_alike_with_a_second_factor_and_without(factors: bool) -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        if factors:
            await console.turn_on_totp()
        known = await ask(console, "/sign-in", ANN, {"password": WRONG}, "192.0.2.10")
        unknown = await ask(console, "/sign-in", STRANGER, {"password": WRONG}, "192.0.2.11")
        assert told(known, ANN) == told(unknown, STRANGER)

    in_console(work)


def test_one_letter_goes_to_whoever_signs_up_and_only_its_reader_learns_more() -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        console.post.letters.clear()
        await ask(console, "/sign-up", ANN, {"password": WRONG}, "192.0.2.10")
        await ask(console, "/sign-up", STRANGER, {"password": WRONG}, "192.0.2.11")
        known, unknown = console.post.letters
        assert (known.to, unknown.to) == (ANN, STRANGER)
        assert "nothing about it was changed" in known.text and "/sign-up/confirm" not in known.text
        assert "/sign-up/confirm" in unknown.text
        await console.sign_in(PASSWORD)  # which is still the right one

    in_console(work)


@pytest.mark.parametrize("path", FORMS)
def test_limits_are_the_same_for_an_address_without_an_account(path: str) -> None:
    async def work(console: Console) -> None:
        await console.open_account()
        await console.open_account("other@example.com", WRONG)
        console.now_us += 2 * 3_600_000_000
        answers: dict[str, list[object]] = {}
        for at, address in enumerate((ANN, STRANGER)):
            seen = [await ask(console, path, address, FORMS[path], f"198.51.{at}.{turn}") for turn in range(12)]
            answers[address] = [told(one, address) for one in seen]
            assert seen[-1].status == 429
        assert answers[ANN] == answers[STRANGER]

    in_console(work)


def test_a_sub_accounts_address_signs_in_nowhere_and_is_answered_like_any_other() -> None:
    async def work(console: Console) -> None:
        account = await console.open_account()
        await console.turn_on_totp()
        console.writer.submit(SetKyc(account.account_id, "approved"))
        sub = "sub_virtual@example.com"
        console.writer.submit(CreateSubAccount(account.account_id, console.vault.digest(sub), "virtual"))
        assert console.access.account_by_email(console.vault.digest(sub)) is not None
        console.post.letters.clear()
        for path in ("/sign-in", "/forgotten"):
            known = await ask(console, path, sub, FORMS[path], "192.0.2.10")
            unknown = await ask(console, path, STRANGER, FORMS[path], "192.0.2.11")
            assert told(known, sub) == told(unknown, STRANGER)
        assert not console.post.letters

    in_console(work)


def test_a_link_that_never_was_is_answered_like_one_that_was_used() -> None:
    async def work(console: Console) -> None:
        await console.identity.sign_up(ANN, PASSWORD, VISITOR)
        used = console.post.token("/sign-up/confirm")
        await console.identity.confirm(used)
        browser = console.browser()
        await browser.open("/sign-in")
        for path in ("/sign-up/confirm", "/reset"):
            answers = [told(await browser.get(f"{path}?token={token}"), token) for token in (used, "A" * len(used))]
            assert answers[0] == answers[1]
            assert answers[0][0] == 410

    in_console(work)
