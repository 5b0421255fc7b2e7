"""What is told to an account's holder once is found nowhere afterwards: on no page, in no answer, no letter, no metric,
no log, and in no file, however spelled. Secrets of keys, passwords, seeds, recovery codes, codes and tokens alike."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sparekey.console.pages.shell import OPERATOR_COOKIE
from tests.console_platform import NUMBER, OTHER_PASSWORD, Holder, Platform, crawl, on_a_platform
from tests.page_reader import PageReader, Seen
from tests.papers import ANNA, over_the_api, passport, photograph
from tests.signing import sign
from tests.traces import everything_written, files_of, found_in
from tests.venue import Credentials

KEYS = "/my/settings/api-management"
OWN_ANSWERS = ("/me", "/me/keys", "/sessions", "/me/verification")
OPERATORS_ANSWERS = ("/accounts/{}", "/accounts/{}/keys", "/calls", "/bans")
MISTYPED = "tin giraffe, 40 lanternes"


def as_place(page: Seen) -> tuple[str, bytes]:
    return page.address, page.body + repr(page.headers).encode()


async def step_up(holder: Holder, page: Seen) -> Seen:
    """Prove what the page of a step-up wants, and go on."""
    assert page.address.startswith("/verify/"), page.words[:400]
    proofs = {"totp": holder.shown(), "email": holder.code("email")}
    return await holder.browser.submit(page, proofs, page.address)


async def make_key(holder: Holder, label: str, **fields: Any) -> str:
    """On the pages; the secret that the last of them shows."""
    page = await holder.browser.open(f"{KEYS}/create")
    page = await holder.browser.submit(page, {"label": label, "act": "create", **fields}, f"{KEYS}/create")
    return secret_on(await step_up(holder, page))


def secret_on(page: Seen) -> str:
    assert page.headers["cache-control"] == "no-store"
    secret = page.by_id("secret-key")
    assert secret is not None, page.words[:400]
    assert len(secret) == 64
    return secret


async def live(platform: Platform) -> Holder:
    """A holder's life with everything in it that is told once."""
    ann = await platform.verified()
    await ann.sign_in_at_the_page()
    ann.tell("a session's cookie", ann.browser.cookies["sparekey_session"])
    wrong = await platform.ask("POST", "/session", {"email": ann.email, "password": MISTYPED})
    assert wrong.reason == "sign-in-wrong"
    ann.tell("a mistyped password", MISTYPED)
    for number, code in enumerate((await ann.step_up("POST", "/me/recovery-codes"))["codes"]):
        ann.tell(f"recovery code {number}", code)
        ann.tell(f"recovery code {number}, without dashes", code.replace("-", ""))
    await ann.step_up("POST", "/me/factors/sms", {"number": NUMBER})
    await ann.done("POST", "/me/factors/sms/confirm", {"code": ann.code("sms")})
    await ann.done("POST", "/forgotten", {"email": ann.email})
    link = platform.link_token(ann.email, "/reset")
    ann.tell("the link of a reset", link)
    await ann.done("POST", "/reset", {"token": link, "password": OTHER_PASSWORD})
    ann.password = OTHER_PASSWORD
    ann.tell("another password", OTHER_PASSWORD)
    await ann.enter()
    await ann.sign_in_at_the_page()
    return ann


async def make_keys(platform: Platform, ann: Holder) -> dict[str, str]:
    """By every way there is; the secrets."""
    secrets = {"made on the pages": await make_key(ann, "of the pages", permission=["spot-and-margin-trading"])}
    (key,) = platform.running._access.keys_of(ann.account_id)
    page = await ann.browser.open(f"{KEYS}/{key.key_id}/rotate")
    page = await ann.browser.submit(page, {"overlap": "3600000000"}, f"{KEYS}/{key.key_id}/rotate")
    secrets["rotated on the pages"] = secret_on(await step_up(ann, page))
    made = await ann.step_up("POST", "/me/keys", {"label": "of the API"})
    secrets["made by the API"] = made["secretKey"]
    made = await ann.step_up("POST", f"/me/keys/{made['apiKey']}/rotate", {"overlap": "1h"})
    secrets["rotated by the API"] = made["secretKey"]
    made = await platform.operate("POST", f"/accounts/{ann.email}/keys", {"label": "of the operator"})
    secrets["made by the operator"] = made["secretKey"]
    assert all(len(secret) == 64 for secret in secrets.values())
    assert len(set(secrets.values())) == 5
    # One of them is called, edited and deleted.
    credentials = Credentials(made["apiKey"], made["secretKey"], "", ann.email)
    query = f"timestamp={platform.running._clocks.wire_us() // 1000}"
    headers = {"x-mbx-apikey": credentials.api_key, "host": "localhost:8080"}
    seen = await PageReader(platform.application).send(
        "GET", f"/api/v3/account?{query}&signature={sign(credentials, query)}", headers=headers
    )
    assert seen.status == 200, seen.text
    await platform.operate("PATCH", f"/keys/{credentials.api_key}", {"label": "edited"})
    await platform.operate("DELETE", f"/keys/{credentials.api_key}")
    # What people paste by mistake, in all the places where a form or a call takes text.
    secret = secrets["made on the pages"]
    for address in (f"{KEYS}/create", "/sign-in", "/my/settings/security/totp"):
        await ann.browser.post(address, {"csrf": "x", "label": secret, "password": secret})
    await PageReader(platform.application).send("GET", "/api/v3/account", headers=headers | {"x-mbx-apikey": secret})
    await PageReader(platform.application).send("GET", f"/api/v3/account?signature={secret}", headers=headers)
    await platform.ask("POST", "/session", {"email": secret, "password": secret, "x": secret})
    return secrets


async def paste_private_key(platform: Platform, ann: Holder) -> str:
    """Where the public one belongs; its body."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    page = await ann.browser.open(f"{KEYS}/create")
    page = await ann.browser.submit(page, {"label": "x", "type": "self", "public-key": pem}, f"{KEYS}/create")
    assert "private-key-pasted" in page.reasons
    assert pem.splitlines()[1] not in page.text
    refused = await ann.ask("POST", "/me/keys", {"label": "x", "type": "ed25519", "publicKey": pem})
    assert refused.reason == "private-key-pasted"
    assert pem.splitlines()[1] not in repr(refused)
    return pem.splitlines()[1]


async def all_that_can_be_seen(platform: Platform, ann: Holder) -> list[tuple[str, bytes]]:
    """By the holder, the operator and anybody, on pages and in answers."""
    platform.operator.cookies[OPERATOR_COOKIE], _ = platform.signed_in_operator()
    pages = await crawl(ann.browser, "/", "/my", KEYS, "/my/settings/security", "/my/settings/verification")
    operators = await crawl(platform.operator, "/operator")
    anybodys = await crawl(
        PageReader(platform.application), "/", "/metrics", "/readyz", "/healthz", "/sparekey/v1/openapi.json"
    )
    addresses = {page.address for page in [*pages, *operators, *anybodys] if page.status == 200}
    assert len([page for page in pages if KEYS in page.address]) > 10
    assert addresses >= {"/metrics", "/sparekey/v1/openapi.json", KEYS, "/operator/keys", "/operator/outbox"}
    answers = [(path, repr(await ann.done("GET", path)).encode()) for path in OWN_ANSWERS]
    answers += [
        (path, repr(await platform.operate("GET", path.format(ann.email))).encode()) for path in OPERATORS_ANSWERS
    ]
    letters = [("a letter", f"{one.subject}\n{one.text}\n{one.html}".encode()) for one in platform.letters()]
    assert len(letters) > 10
    told = [as_place(page) for page in [*pages, *operators, *anybodys]]
    return [*told, *answers, *letters]


def test_what_is_told_once_is_found_nowhere_afterwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    data = tmp_path / "data"
    secrets: dict[str, str] = {}
    api_keys: dict[str, str] = {}

    async def work(platform: Platform) -> None:
        ann = await live(platform)
        kept = await make_keys(platform, ann) | {"a pasted private key": await paste_private_key(platform, ann)}
        seen = await all_that_can_be_seen(platform, ann)
        # Letters may hold the codes and links that they were sent for, and the operator of a sandbox reads them;
        # whatever else there is stands in none of them, and on no page.
        sent = {what for what in ann.secrets if (" code " in what and "recovery" not in what) or " link " in what}
        never = {what: secret for what, secret in ann.secrets.items() if what not in sent} | kept
        assert len(sent) > 5
        assert len(never) > 35
        assert found_in(never, seen) == []
        # The search finds what is there: the newest code in its letter, and the API key on pages and in files.
        newest = [what for what in sent if " code " in what][-1]
        assert found_in({newest: ann.secrets[newest]}, seen)
        pages = [place for place in seen if place[0] != "a letter" and not place[0].startswith("/operator/outbox")]
        assert found_in({what: ann.secrets[what] for what in sent}, pages) == []
        # Files, also those that a clean end would have tidied up.
        secrets.update(ann.secrets | kept)
        await platform.settle()
        files = list(files_of(data))
        assert any(name.endswith("-wal") for name, _ in files)
        assert found_in(secrets, files) == []
        api_keys.update({key.api_key: key.api_key for key in platform.running._access.keys_of(ann.account_id)})
        assert len(found_in(api_keys, pages)) > len(api_keys)

    on_a_platform(monkeypatch, data, work, durability="normal")
    written = [
        *everything_written(data),
        ("the log", caplog.text.encode()),
        ("the output", repr(capfd.readouterr()).encode()),
    ]
    assert {what.partition(":")[0] for what in found_in(api_keys, written)} == set(api_keys)
    assert found_in(secrets, written) == []


def test_who_somebody_is_stands_in_no_file_in_the_clear_and_nowhere_after_an_erasure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    data = tmp_path / "data"
    picture = photograph()
    zone = passport("MUSTERFRAU", "ERIKA<ELFRIEDE", "C01X00T47")
    application = msgspec.structs.replace(
        ANNA, surname="Musterfrau", given_names="Erika Elfriede", number="C01X00T47", mrz=zone
    )
    sealed = {
        "the surname": "Musterfrau",
        "the given names": "Erika Elfriede",
        "the number of the document": "C01X00T47",
        "the zone of the document": zone.splitlines()[1],
        "the telephone number": NUMBER,
        "the address": "ann@example.com",
    }
    # What a session keeps of a browser, to be recognised in the list of sessions.
    known = {"the browser's own name": "Erikas Fuchs 1.0"}

    async def work(platform: Platform) -> None:
        ann = platform.holder()
        await ann.sign_up()
        await ann.enter()
        await ann.add_totp()
        await ann.step_up("POST", "/me/factors/sms", {"number": NUMBER})
        await ann.done("POST", "/me/factors/sms/confirm", {"code": ann.code("sms")})
        await ann.done("POST", "/me/verification", over_the_api(application))
        body = {"email": ann.email, "password": ann.password}
        await platform.ask("POST", "/session", body, user_agent=known["the browser's own name"])
        account = platform.running._access.accounts[ann.account_id]
        assert (account.kyc, account.kyc_vault_id != "") == ("pending", True)
        await platform.settle()
        files = list(files_of(data))
        assert found_in(sealed, files) == []
        assert found_in(known, files)
        await platform.operate("DELETE", f"/accounts/{ann.email}")
        await platform.settle()
        assert found_in(sealed | known, files_of(data)) == []
        vault = platform.running._vault
        subject = f"account-{account.account_id}"
        kinds = ("email", "password", "totp", "sms", "recovery")
        assert [kind for kind in kinds if any(one == subject for one, _ in vault.names(kind))] == []
        assert platform.letters(ann.email) == platform.letters(NUMBER) == []
        assert (await ann.ask("GET", "/me")).reason == "sign-in-required"

    on_a_platform(monkeypatch, data, work, durability="normal")
    written = [*everything_written(data), ("the log", caplog.text.encode())]
    assert found_in(sealed | known, written) == []
    assert not any(picture[len(picture) // 2 :][:64] in content for _, content in written)


def test_only_the_first_look_shows_a_secret_and_a_look_at_its_head_shows_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        await ann.sign_in_at_the_page()
        page = await ann.browser.open(f"{KEYS}/create")
        page = await ann.browser.submit(page, {"label": "bot", "act": "create"}, f"{KEYS}/create")
        proofs = {"totp": ann.shown(), "email": ann.code("email")}
        made = await ann.browser.post(page.address, {**page.form(page.address), **proofs})
        address = made.headers["location"]
        head = await ann.browser.send("HEAD", address)
        assert head.by_id("secret-key") is None
        first = await ann.browser.get(address)
        secret = secret_on(first)
        again = await ann.browser.get(address)
        assert secret not in again.text
        assert again.status == 410

    on_a_platform(monkeypatch, tmp_path / "data", work)
