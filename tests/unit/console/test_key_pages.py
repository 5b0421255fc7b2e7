"""API Management as its holder meets it: every way through its pages, every refusal at its field."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sparekey.access.commands import CreateKey, SuspendAccess
from sparekey.console.key_acts import KEY_LIMIT
from sparekey.terms.clocktime import DAY_US, HOUR_US
from sparekey.terms.permissions import Permission
from tests.key_office import HOME, IP, KeyOffice, at_the_desk
from tests.page_reader import Seen


def errors_at(page: Seen, field: str) -> str:
    return page.by_id(f"{field}-error") or ""


def pair(folder: Path, kind: str = "ed25519") -> tuple[Path, str]:
    """A private key's file and the public half, made by the commands of the page."""
    private, public = folder / f"{kind}-private.pem", folder / f"{kind}-public.pem"
    options = ["-pkeyopt", "rsa_keygen_bits:2048"] if kind == "rsa" else []
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", kind, *options, "-out", private], check=True, capture_output=True
    )
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public.read_text()


# --- create ----------------------------------------------------------------------------------------------------------


def test_a_secret_is_shown_once_and_on_no_later_page(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        empty = await office.open()
        assert "No API key yet" in empty.words
        page = await office.verified(await office.create())
        secret, api_key = page.by_id("secret-key"), page.by_id("api-key")
        assert secret is not None
        assert api_key is not None
        assert len(secret) == len(api_key) == 64
        assert page.headers["cache-control"] == "no-store"
        again = await office.reader.get(page.address)
        assert again.status == 410
        assert again.by_id("secret-gone") is not None
        addresses = ["", "/1", "/1/edit", "/1/usage", "/1/rotate", "/1/delete", "/create", "/panic"]
        for later in [again, *[await office.open(address) for address in addresses]]:
            assert secret not in later.text
        assert not any(secret in letter.text or secret in letter.html for letter in office.post.letters)
        assert secret not in repr(office.once)
        [letter] = office.letters_about("created")
        assert "Grid bot" in letter.text
        assert IP in letter.text

    at_the_desk(work, tmp_path)


def test_a_secret_is_shown_to_no_other_session_and_not_after_five_minutes(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        first = await office.reader.post(
            (page := await office.create()).address,
            {**page.form(page.address), "totp": office.shown(), "email": office.sent_code()},
        )
        address = first.headers["location"]
        assert not (await office.reader.send("HEAD", address)).body  # nor does what nobody sees use it up
        other = office.sign_in_as(office.access.next_account_id - 1)
        assert (await other.get(address)).status == 410
        stranger = office.sign_in_as(office.add_account("eve@example.com"))
        assert (await stranger.get(address)).status == 404
        office.now_us += 6 * 60_000_000
        assert (await office.reader.get(address)).status == 410

    at_the_desk(work, tmp_path)


def test_a_proof_makes_one_key_and_a_form_sent_again_makes_none(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        page = await office.create()
        proofs = {**page.form(page.address), "totp": office.shown(), "email": office.sent_code()}
        await office.reader.post(page.address, proofs)
        again = await office.reader.post(page.address, proofs)
        assert again.status == 410
        assert len(office.access.keys) == 1

    at_the_desk(work, tmp_path)


def test_without_proof_nothing_is_made(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        page = await office.create()
        refused = await office.verified(page, email="00000000")
        assert refused.reasons == ["code-wrong"]
        assert not office.access.keys

    at_the_desk(work, tmp_path)


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"label": ""}, "label", "label-invalid"),
        ({"label": "x" * 65}, "label", "label-invalid"),
        ({"label": "a\u202eb"}, "label", "label-invalid"),
        ({"ips": "300.1.1.1"}, "ips", "whitelist-invalid"),
        ({"ips": "10.0.0.0/8"}, "ips", "whitelist-too-wide"),
        ({"ips": "10.0.0.1/24"}, "ips", "whitelist-invalid"),
        ({"ips": "\n".join(f"10.0.{n}.1" for n in range(31))}, "ips", "whitelist-too-long"),
        ({"permission": ("withdrawals",)}, "permissions", "withdrawals-need-whitelist"),
        ({"permission": ("margin-loan",)}, "permissions", "permission-prerequisite"),
        ({"permission": ("everything",)}, "permissions", "permission-unknown"),
        ({"type": "none"}, "type", "key-type-invalid"),
        ({"type": "self", "public-key": ""}, "public-key", "public-key-missing"),
        ({"type": "self", "public-key": "ssh-ed25519 AAAA"}, "public-key", "public-key-invalid"),
        ({"type": "self", "public-key": "x" * 9000}, "public-key", "public-key-invalid"),
    ],
)
def test_each_refusal_stands_at_its_field_with_what_was_typed(
    tmp_path: Path, fields: dict[str, str], field: str, reason: str
) -> None:
    async def work(office: KeyOffice) -> None:
        page = await office.create(**fields)
        assert page.status == 422
        assert reason in page.reasons
        assert errors_at(page, field)
        assert f"/reasons/{reason}" in page.text
        form = page.form(f"{HOME}/create")
        assert form["label"] == [fields.get("label", "Grid bot")]
        assert form["ips"] == [fields.get("ips", "")]
        ticked = fields.get("permission", ("spot-and-margin-trading",))
        assert set(form.get("permission", [])) >= {name for name in ticked if name not in ("reading", "everything")}
        assert not office.access.keys

    at_the_desk(work, tmp_path)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        page = await office.create(label="", ips="nonsense", type="self", **{"public-key": "nonsense"})
        assert set(page.reasons) >= {"label-invalid", "whitelist-invalid", "public-key-invalid"}

    at_the_desk(work, tmp_path)


def test_a_private_key_is_refused_and_never_comes_back(tmp_path: Path) -> None:
    private, _ = pair(tmp_path)

    async def work(office: KeyOffice) -> None:
        page = await office.create(type="self", **{"public-key": private.read_text()})
        assert page.status == 422
        assert "private-key-pasted" in page.reasons
        assert "PRIVATE KEY-----" not in page.text
        assert private.read_text().splitlines()[1] not in page.text
        added = await office.create(type="self", act="add-address", **{"public-key": private.read_text()})
        assert private.read_text().splitlines()[1] not in added.text

    at_the_desk(work, tmp_path / "calls")


def test_the_31st_key_is_refused_before_and_after_the_step_up(tmp_path: Path) -> None:
    def fill(office: KeyOffice, count: int) -> None:
        for _ in range(count):
            api_key = office.acts._key_maker.make_api_key()
            office.submit(CreateKey(100_000_001, api_key, "hmac", "bot", 1, vault_id="none"))

    async def work(office: KeyOffice) -> None:
        fill(office, KEY_LIMIT - 1)
        page = await office.create()
        fill(office, 1)  # from elsewhere, while the code is on its way
        refused = await office.verified(page)
        assert refused.status == 422
        assert refused.reasons.count("key-limit") == 1
        assert refused.form(f"{HOME}/create")["label"] == ["Grid bot"]
        again = await office.create()
        assert "key-limit" in again.reasons
        listed = await office.open()
        assert listed.by_id("create-key") is None
        assert "30 of 30 keys" in (listed.by_id("key-count") or "")
        assert office.access.accounts[100_000_001].keys_held == KEY_LIMIT

    at_the_desk(work, tmp_path)


def test_add_my_address_keeps_the_form_and_adds_the_address(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        page = await office.create(ips="203.0.113.7", act="add-address")
        form = page.form(f"{HOME}/create")
        assert form["ips"] == [f"203.0.113.7\n{IP}"]
        assert form["label"] == ["Grid bot"]
        key = await office.make(ips=form["ips"])
        assert key.whitelist == (IP, "203.0.113.7")
        assert key.expires_us is None

    at_the_desk(work, tmp_path)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_self_generated_key_is_proven_with_the_very_command_of_the_page(tmp_path: Path, kind: str) -> None:
    _, public = pair(tmp_path, kind)

    async def work(office: KeyOffice) -> None:
        page = await office.create(type="self", **{"public-key": public})
        command = page.by_id("proof-command")
        assert command is not None
        signed = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True, text=True)
        page = await office.reader.submit(page, {"signature": signed.stdout, "act": "prove"}, f"{HOME}/create")
        page = await office.verified(page)
        assert page.by_id("secret-key") is None
        key = office.access.key_by_api_key(page.by_id("api-key") or "")
        assert key is not None
        assert (key.key_type, key.label) == (kind, "Grid bot")
        assert f"{kind}-private.pem" in page.text
        assert (await office.reader.get(page.address)).status == 200  # it holds no secret

    at_the_desk(work, tmp_path / "calls", guarded=True)


def test_guarded_a_public_key_without_proof_is_refused_and_in_a_sandbox_it_is_not(tmp_path: Path) -> None:
    _, public = pair(tmp_path)

    async def guarded(office: KeyOffice) -> None:
        page = await office.create(type="self", **{"public-key": public})
        assert page.by_id("skip-proof") is None
        wrong = await office.reader.submit(page, {"signature": "AAAA", "act": "prove"}, f"{HOME}/create")
        assert wrong.status == 422
        assert "possession-unproven" in wrong.reasons
        assert wrong.form(f"{HOME}/create")["nonce"] != page.form(f"{HOME}/create")["nonce"]
        skipped = await office.reader.submit(page, {"signature": "", "act": "skip-proof"}, f"{HOME}/create")
        assert "possession-unproven" in skipped.reasons
        assert not office.access.keys

    async def sandbox(office: KeyOffice) -> None:
        page = await office.create(type="self", **{"public-key": public})
        page = await office.reader.submit(page, {"act": "skip-proof"}, f"{HOME}/create")
        assert (await office.verified(page)).status == 200
        assert len(office.access.keys) == 1

    at_the_desk(guarded, tmp_path / "1", guarded=True)
    at_the_desk(sandbox, tmp_path / "2")


# --- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kyc", "totp", "reasons"),
    [
        ("none", True, {"kyc-missing"}),
        ("rejected", True, {"kyc-missing"}),
        ("approved", False, {"factor-missing"}),
        ("none", False, {"kyc-missing", "factor-missing"}),
    ],
)
def test_what_is_missing_is_named_with_the_way_to_it(tmp_path: Path, kyc: str, totp: bool, reasons: set[str]) -> None:
    async def work(office: KeyOffice) -> None:
        page = await office.open()
        assert set(page.reasons) == reasons
        assert page.by_id("create-key") is None
        assert ('href="/my/settings/verification">Verify' in page.text) == ("kyc-missing" in reasons)
        assert ('href="/my/settings/security">Turn' in page.text) == ("factor-missing" in reasons)
        assert set((await office.open("/create")).reasons) == reasons
        token = page.form("/theme")["csrf"]
        posted = await office.reader.post(f"{HOME}/create", {"csrf": token, "type": "system", "label": "x"})
        assert posted.status in (403, 422)
        assert not office.access.keys

    at_the_desk(work, tmp_path, kyc=kyc, totp=totp)


def test_suspended_access_is_said_on_the_list_and_on_each_key(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        await office.make()
        office.submit(SuspendAccess(100_000_001, "a test"))
        assert "account-suspended" in (await office.open()).reasons
        assert "account-suspended" in (await office.open("/1")).reasons

    at_the_desk(work, tmp_path)


def test_another_accounts_key_is_as_absent_as_one_that_never_was(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        await office.make()
        eve = office.sign_in_as(office.add_account("eve@example.com"))
        token = (await eve.open(HOME)).form("/theme")["csrf"]
        for address in ("", "/edit", "/rotate", "/delete", "/usage", "/secret"):
            absent = await eve.get(f"{HOME}/99{address}")
            there = await eve.get(f"{HOME}/1{address}")
            assert (there.status, there.words) == (404, absent.words)
        for number in ("0", "-1", "1e3", "x", "9" * 5000, "١"):
            assert (await eve.get(f"{HOME}/{number}")).status == 404
        for act in ("edit", "rotate", "delete", "disable", "enable", "narrow"):
            assert (await eve.post(f"{HOME}/1/{act}", {"csrf": token, "label": "Grid bot"})).status == 404
        assert office.access.keys[1].status == "active"

    at_the_desk(work, tmp_path)


# --- edit ------------------------------------------------------------------------------------------------------------


def test_consequences_are_told_before_anything_is_saved_and_then_hold(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        key = await office.make(ips=IP, permission=("spot-and-margin-trading", "withdrawals"))
        page = await office.open("/1/edit")
        review = await office.reader.submit(page, {"ips": "", "act": "review"}, f"{HOME}/1/edit")
        told = " ".join((review.by_id("consequences") or "").split())
        assert "Removing the whitelist takes withdrawals away." in told
        assert "Without a whitelist this key expires on" in told
        assert key.whitelist == (IP,)
        page = await office.reader.submit(review, {"act": "save"}, f"{HOME}/1/edit")
        assert "from any address" in (page.by_id("action") or "")
        done = await office.verified(page)
        assert done.by_id("notice") == "The key was changed."
        assert key.whitelist == ()
        assert not key.permissions & Permission.WITHDRAWALS
        assert key.expires_us is not None
        assert abs(key.expires_us - office.now_us - 90 * DAY_US) < HOUR_US
        assert office.letters_about("edited")

    at_the_desk(work, tmp_path)


def test_withdrawals_that_are_insisted_on_without_a_whitelist_are_refused_at_the_field(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        await office.make()
        page = await office.open("/1/edit")
        refused = await office.reader.submit(page, {"permission": ("withdrawals",), "act": "review"}, f"{HOME}/1/edit")
        assert refused.status == 422
        assert errors_at(refused, "permissions")

    at_the_desk(work, tmp_path)


def test_the_review_can_be_taken_back_to_the_form_with_what_was_typed(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        await office.make()
        page = await office.open("/1/edit")
        review = await office.reader.submit(page, {"label": "Other", "ips": IP, "act": "review"}, f"{HOME}/1/edit")
        form = await office.reader.submit(review, {"act": "change"}, f"{HOME}/1/edit")
        assert form.form(f"{HOME}/1/edit")["label"] == ["Other"]
        assert form.form(f"{HOME}/1/edit")["ips"] == [IP]
        assert office.access.keys[1].label == "Grid bot"

    at_the_desk(work, tmp_path)


def test_a_proof_for_one_edit_is_good_for_no_other(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        await office.make()
        page = await office.open("/1/edit")
        edited = await office.reader.submit(page, {"label": "Other", "act": "save"}, f"{HOME}/1/edit")
        session = office.sessions.of(100_000_001)[0]
        step_up_id = edited.address.rsplit("/", 1)[1]
        proofs = {"totp": office.shown(), "email": office.sent_code()}
        assert await office.step_ups.prove(step_up_id, session, proofs) is None
        deletion = office.own.deletion(office.access.keys[1])
        refused = office.step_ups.take(step_up_id, session, deletion)
        assert refused is not None
        assert refused.reason.slug == "step-up-required"

    at_the_desk(work, tmp_path)


def test_an_edit_that_changes_nothing_asks_for_no_proof(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        await office.make(ips=IP)
        page = await office.open("/1/edit")
        done = await office.reader.submit(page, {"act": "save"}, f"{HOME}/1/edit")
        assert done.address == f"{HOME}/1"
        assert "Nothing was changed" in (done.by_id("notice") or "")

    at_the_desk(work, tmp_path)


# --- rotate ----------------------------------------------------------------------------------------------------------


def test_a_rotation_shows_the_new_secret_and_who_still_uses_the_old_key(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        old = await office.make(ips=IP)
        page = await office.open("/1/rotate")
        page = await office.verified(await office.reader.submit(page, {"overlap": str(HOUR_US)}, f"{HOME}/1/rotate"))
        new = office.access.keys[2]
        assert page.by_id("api-key") == new.api_key
        assert page.by_id("secret-key")
        assert (new.permissions, new.whitelist, new.label) == (old.permissions, old.whitelist, old.label)
        assert "Nobody called with it" in ((await office.open("/2")).by_id("still-old") or "")
        office.call(old, "GET", "/api/v3/account", ip="203.0.113.9")
        seen = await office.open("/2")
        assert "203.0.113.9" in (seen.by_id("old-callers") or "")
        listed = await office.open()
        assert listed.words.index("replaces") < listed.words.index("replaced by")
        assert "1 of 30 keys" in (listed.by_id("key-count") or "")
        assert "key-in-rotation" in (await office.open("/1/rotate")).reasons
        office.now_us += 2 * HOUR_US
        assert "key-rotated" in (await office.open("/1")).reasons

    at_the_desk(work, tmp_path)


def test_a_self_generated_key_is_replaced_by_a_proven_pair_of_its_type(tmp_path: Path) -> None:
    for name in ("old", "new", "rsa"):
        (tmp_path / name).mkdir()
    (_, old), (private, new), (_, rsa) = pair(tmp_path / "old"), pair(tmp_path / "new"), pair(tmp_path / "rsa", "rsa")

    async def work(office: KeyOffice) -> None:
        page = await office.create(type="self", **{"public-key": old})
        page = await office.reader.submit(page, {"act": "skip-proof"}, f"{HOME}/create")
        await office.verified(page)
        form = await office.open("/1/rotate")
        for wrong, reason in (
            ("", "public-key-missing"),
            (old, "public-key-invalid"),
            (rsa, "public-key-invalid"),
            (private.read_text(), "private-key-pasted"),
        ):
            refused = await office.reader.submit(form, {"public-key": wrong}, f"{HOME}/1/rotate")
            assert refused.reasons == [reason]
            assert errors_at(refused, "public-key")
            assert private.read_text().splitlines()[1] not in refused.text
        page = await office.reader.submit(form, {"public-key": new, "overlap": "0"}, f"{HOME}/1/rotate")
        command = page.by_id("proof-command")
        assert command is not None
        signed = subprocess.run(["sh", "-c", command], cwd=tmp_path / "new", capture_output=True, check=True, text=True)
        page = await office.reader.submit(page, {"signature": signed.stdout, "act": "prove"}, f"{HOME}/1/rotate")
        page = await office.verified(page)
        assert page.by_id("api-key") == office.access.keys[2].api_key
        assert office.access.keys[1].status == "expired"

    at_the_desk(work, tmp_path / "calls")


@pytest.mark.parametrize("overlap", ["", "-1", "1e9", "9" * 17, str(31 * DAY_US), "ten"])
def test_an_overlap_that_is_none_is_refused_at_its_field(tmp_path: Path, overlap: str) -> None:
    async def work(office: KeyOffice) -> None:
        await office.make()
        page = await office.open("/1/rotate")
        refused = await office.reader.submit(page, {"overlap": overlap}, f"{HOME}/1/rotate")
        assert refused.status == 422
        assert errors_at(refused, "overlap")
        assert len(office.access.keys) == 1

    at_the_desk(work, tmp_path)


# --- stop, let go on, delete -----------------------------------------------------------------------------------------


def test_disabling_needs_no_proof_enabling_does(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        key = await office.make()
        page = await office.open("/1")
        page = await office.reader.submit(page, {}, f"{HOME}/1/disable")
        assert key.status == "disabled"
        assert "disabled" in (page.by_id("notice") or "")
        page = await office.reader.submit(page, {}, f"{HOME}/1/enable")
        assert key.status == "disabled"
        await office.verified(page)
        assert key.status == "active"
        assert office.letters_about("disabled")
        assert office.letters_about("enabled")

    at_the_desk(work, tmp_path)


def test_a_key_is_deleted_by_typing_its_label_and_its_secret_goes_with_it(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        key = await office.make()
        vault_id = key.vault_id
        page = await office.open("/1/delete")
        wrong = await office.reader.submit(page, {"label": "grid"}, f"{HOME}/1/delete")
        assert wrong.status == 422
        assert errors_at(wrong, "label")
        page = await office.verified(await office.reader.submit(wrong, {"label": "Grid bot"}, f"{HOME}/1/delete"))
        assert page.address == HOME
        assert "“Grid bot” is deleted" in (page.by_id("notice") or "")
        assert key.status == "deleted"
        assert not office.holds(vault_id)
        [letter] = office.letters_about("deleted")
        assert "Grid bot" in letter.text

    at_the_desk(work, tmp_path)


def test_panic_stops_every_key_at_once(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        keys = [await office.make(label=f"bot {number}") for number in range(3)]
        page = await office.open("/panic")
        done = await office.reader.submit(page, {}, f"{HOME}/panic")
        assert "3 keys stopped" in (done.by_id("notice") or "")
        assert {key.status for key in keys} == {"disabled"}
        assert "No key is active" in (await office.open("/panic")).words
        assert office.letters_about("stopped")

    at_the_desk(work, tmp_path)


# --- what it may do, and what it did ---------------------------------------------------------------------------------


def test_a_key_is_narrowed_to_what_its_answered_calls_needed(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        key = await office.make(permission=("spot-and-margin-trading", "futures", "universal-transfer"))
        office.call(key, "GET", "/api/v3/account", times=3)
        office.call(key, "WS", "/ws-api/v3/order.place")
        office.call(key, "POST", "/sapi/v1/asset/transfer", reason="permission-missing")
        page = await office.open("/1")
        assert "Take away futures, universal transfer" in page.words
        page = await office.reader.submit(page, {}, f"{HOME}/1/narrow")
        assert "let it do: reading, spot and margin trading" in (page.by_id("action") or "")
        await office.verified(page)
        assert Permission(key.permissions) == Permission.READING | Permission.SPOT_AND_MARGIN_TRADING
        assert (await office.open("/1")).by_id("narrow-key") is None

    at_the_desk(work, tmp_path)


def test_a_refused_call_links_to_its_reason(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        key = await office.make()
        office.call(key, "POST", "/api/v3/order", reason="ip-foreign")
        for address in ("/1", "/1/usage"):
            assert '<a href="/reasons/ip-foreign"' in (await office.open(address)).text

    at_the_desk(work, tmp_path)


def test_a_key_that_ends_soon_or_is_old_or_over_says_so(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        await office.make(label="open")
        await office.make(label="closed", ips=IP)
        office.now_us += 80 * DAY_US
        office.reader = office.sign_in_as(100_000_001)
        page = await office.open("/1")
        assert "expires in 9 days" in " ".join((page.by_id("key-expires") or "").split())
        assert "Expires soon" in (await office.open()).words
        office.now_us += 11 * DAY_US
        office.reader = office.sign_in_as(100_000_001)
        page = await office.open("/1")
        assert "key-expired" in page.reasons
        assert page.by_id("edit-key") is None
        assert page.by_id("delete-key") is not None
        office.now_us += 90 * DAY_US
        office.reader = office.sign_in_as(100_000_001)
        assert (await office.open("/2")).by_id("key-old")

    at_the_desk(work, tmp_path)


def test_a_label_cannot_bring_markup_into_a_page_or_a_letter(tmp_path: Path) -> None:
    async def work(office: KeyOffice) -> None:
        await office.make(label="<img src=x onerror=alert(1)>")
        for address in ("", "/1", "/1/edit", "/1/delete", "/panic"):
            assert "<img" not in (await office.open(address)).text
        assert not any("<img" in letter.html for letter in office.post.letters)

    at_the_desk(work, tmp_path)
