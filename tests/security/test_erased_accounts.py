"""An erased account: nothing that names its holder is left, in memory or in any file, and nothing comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparekey import assemble
from sparekey.console.passwords import CHEAP, Passwords
from sparekey.console.verification import Application
from tests.console_platform import HandClock, Holder, Platform, on_a_platform
from tests.page_reader import Seen
from tests.papers import passport, photograph

ANNA = Application(
    surname="Eriksson",
    given_names="Anna Maria",
    birth_date="1990-08-12",
    country="UTO",
    document_type="passport",
    number="L898902C3",
    mrz=passport(),
)


async def hand_in(holder: Holder) -> Seen:
    browser, path = holder.browser, "/my/settings/verification"
    page = await browser.open(path)
    fields = {name: getattr(ANNA, name) for name in Application.__struct_fields__}
    fields["csrf"] = page.form(path)["csrf"][0]
    disposition = "Content-Disposition: form-data"
    parts = [f'--cut\r\n{disposition}; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()]
    head = "".join([*parts, f'--cut\r\n{disposition}; name="image"; filename="a.jpg"\r\n\r\n'])
    body = head.encode() + photograph() + b"\r\n--cut--\r\n"
    return await browser.follow(
        await browser.send("POST", path, body, {"content-type": "multipart/form-data; boundary=cut"})
    )


def files(data: Path) -> bytes:
    """Every byte that is kept."""
    return b"".join(path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file())


def test_nothing_of_an_erased_account_is_left_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = tmp_path / "data"
    clock = HandClock()
    subject = ""

    async def work(platform: Platform) -> None:
        nonlocal subject
        ann, bob = platform.holder("ann"), platform.holder("bob", "192.0.2.8")
        for holder in (ann, bob):
            await holder.sign_up()
            await holder.enter()
            await holder.add_totp()
            await holder.sign_in_at_the_page()
            assert "waiting" in (await hand_in(holder)).words
        running = platform.running
        account_id = running._management.account_id_of(ann.email)
        assert account_id is not None
        subject = f"account-{account_id}"
        assert len(await running._documents.names("kyc-image")) == 2
        kept = files(data)
        # What names its holder is sealed even while it is there; where it lies is named by a number.
        for secret in (
            b"ann@example.com",
            b"Eriksson",
            b"ERIKSSON",
            b"L898902C3",
            photograph()[-300:],
        ):
            assert secret not in kept, secret
        assert subject.encode() in kept and b"192.0.2.7" in kept

        await platform.operate("DELETE", f"/accounts/{ann.email}")

        assert not running._vault.knows(subject)
        assert [name for name, _ in await running._documents.names("kyc-image")] == [f"account-{account_id + 1}"]
        assert platform.letters(ann.email) == [] and platform.letters(bob.email) != []
        assert running._sessions.of(account_id) == [] and running._sessions.of(account_id + 1) != []
        assert (await ann.browser.get("/my")).headers["location"].startswith("/sign-in")
        assert (await ann.ask("GET", "/me")).status == 401
        assert (await bob.browser.get("/my")).status == 200
        operator, _ = platform.signed_in_operator()
        platform.operator.cookies["sparekey_operator"] = operator
        for address in (f"/operator/accounts/{account_id}", f"/operator/verification/{account_id}/image"):
            assert (await platform.operator.get(address)).status == 404
        for address in ("/operator/accounts", "/operator/verification", "/operator/outbox", "/operator/keys"):
            page = await platform.operator.get(address)
            assert page.status == 200 and "ann@example.com" not in page.text
        await ann.sign_up()  # the address is free again, and nothing of before belongs to it
        opened = await ann.done("POST", "/session", {"email": ann.email, "password": ann.password})
        assert opened["stage"] == "full"
        assert running._management.show_account(ann.email)["kyc"] == "none"

    on_a_platform(monkeypatch, data, work, clock, durability="normal")
    left = {path.name for path in data.iterdir() if path.is_file() and subject.encode() in path.read_bytes()}
    # The journal names the vault's entries, by number; it is chained and keeps what happened.
    assert left <= {"journal.db", "journal.db-wal"}, left


def test_a_crash_between_the_record_and_the_destruction_is_made_up_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    clock = HandClock()
    found: dict[str, Any] = {}

    async def before(platform: Platform) -> None:
        ann = platform.holder()
        await ann.sign_up()
        await ann.sign_in_at_the_page()
        await hand_in(ann)
        running = platform.running

        async def die(account_id: int, reached_at: Any) -> None:
            raise ConnectionAbortedError

        monkeypatch.setattr(running._management, "on_erase", die)
        monkeypatch.setattr(running._vault, "erase", lambda subject: None)
        found["id"] = running._management.account_id_of(ann.email)
        with pytest.raises(ConnectionAbortedError):
            await running._management.erase(ann.email)
        assert running._vault.knows(f"account-{found['id']}")
        monkeypatch.undo()
        monkeypatch.setattr(assemble, "_wall_us", clock)
        monkeypatch.setattr(assemble, "Passwords", lambda: Passwords(CHEAP))

    async def after(platform: Platform) -> None:
        running = platform.running
        assert not running._vault.knows(f"account-{found['id']}")
        assert await running._documents.names("kyc-image") == [] == await running._documents.names("kyc-application")

    on_a_platform(monkeypatch, data, before, clock, durability="normal")
    on_a_platform(monkeypatch, data, after, clock, durability="normal")
