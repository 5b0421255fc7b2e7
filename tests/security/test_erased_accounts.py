"""An erased account: nothing that names its holder is left, in memory or in any file, and nothing comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.console_platform import HandClock, Platform, on_a_platform
from tests.papers import ANNA, hand_in, photograph
from tests.traces import everything_written, files_of, found_in

#: What names the holder and does not come back when the address signs up again.
PERSONAL = {
    "the surname": ANNA.surname,
    "the surname as in the zone": ANNA.surname.upper(),
    "the given names": ANNA.given_names,
    "the given names as in the zone": ANNA.given_names.upper().replace(" ", "<"),
    "the number of the document": ANNA.number,
    "the day of birth": ANNA.birth_date,
}
PICTURE = photograph()[-300:]


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
            assert "waiting" in (await hand_in(holder.browser)).words
        running = platform.running
        account_id = running._management.account_id_of(ann.email)
        assert account_id is not None
        subject = f"account-{account_id}"
        assert len(await running._documents.names("kyc-image")) == 2
        # What names its holder is sealed even while it is there; where it lies is named by a number.
        kept = list(files_of(data))
        assert found_in(PERSONAL | {"the address": ann.email}, kept) == []
        assert not any(PICTURE in content for _, content in kept)
        assert found_in({"the subject": subject}, kept) and found_in({"where from": "192.0.2.7"}, kept)

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
    left = list(everything_written(data))
    assert found_in(PERSONAL, left) == []
    assert not any(PICTURE in content for _, content in left)
    # The journal names the vault's entries, by number; it is chained and keeps what happened.
    named = {place.partition(",")[0] for place, content in left if subject.encode() in content}
    assert named <= {"journal.db", "journal.db-wal"}, named


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
        await hand_in(ann.browser)
        running = platform.running

        async def die(account_id: int, reached_at: Any) -> None:
            raise ConnectionAbortedError

        found["id"] = running._management.account_id_of(ann.email)
        with monkeypatch.context() as dying:
            dying.setattr(running._management, "on_erase", die)
            dying.setattr(running._vault, "erase", lambda subject: None)
            with pytest.raises(ConnectionAbortedError):
                await running._management.erase(ann.email)
        assert running._vault.knows(f"account-{found['id']}")

    async def after(platform: Platform) -> None:
        running = platform.running
        assert not running._vault.knows(f"account-{found['id']}")
        assert await running._documents.names("kyc-image") == [] == await running._documents.names("kyc-application")

    on_a_platform(monkeypatch, data, before, clock, durability="normal")
    on_a_platform(monkeypatch, data, after, clock, durability="normal")
