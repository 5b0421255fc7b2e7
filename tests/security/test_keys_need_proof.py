"""What a session alone cannot do to keys: everything that gives power wants fresh proof for exactly that act, and an
account that is verified, at every door, up to the moment of the act."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sparekey.terms.clocktime import MINUTE_US
from tests.console_platform import Answer, HandClock, Holder, Platform, on_a_platform
from tests.page_reader import PageReader
from tests.signing import sign
from tests.software_key import SoftwareKey
from tests.venue import Credentials

KEYS = "/my/settings/api-management"
HERE = ["127.0.0.1"]


def keys_of(platform: Platform) -> bytes:
    """All that is known of all keys."""
    return msgspec.msgpack.encode(platform.running._access.dump()[6])


async def made_by_the_operator(platform: Platform, ann: Holder, *permissions: str, label: str = "bot") -> Credentials:
    body = {"label": label, "permissions": ["reading", *permissions], "ips": HERE}
    made = await platform.operate("POST", f"/accounts/{ann.email}/keys", body)
    return Credentials(made["apiKey"], made["secretKey"], "", ann.email)


def acts_on(key: Credentials) -> list[tuple[str, str, Any]]:
    path = f"/me/keys/{key.api_key}"
    return [
        ("POST", "/me/keys", {"label": "new"}),
        ("PATCH", path, {"ips": ["203.0.113.7"]}),
        ("POST", f"{path}/rotate", {"overlap": "1h"}),
        ("POST", f"{path}/enable", None),
        ("DELETE", path, None),
    ]


async def call(platform: Platform, key: Credentials, path: str = "/api/v3/order") -> int:
    """Binance's code for a signed call of this key; 0 for a success."""
    query = f"symbol=BTCUSDT&orderId=1&timestamp={platform.now_us() // 1000}"
    if path != "/api/v3/order":
        query = query.partition("&orderId=1&")[2]
    headers = {"x-mbx-apikey": key.api_key, "host": "localhost:8080"}
    seen = await PageReader(platform.application).send(
        "GET" if path != "/api/v3/order" else "DELETE", f"{path}?{query}&signature={sign(key, query)}", headers=headers
    )
    return int(seen.json.get("code", 0))


def test_no_session_alone_makes_changes_rotates_enables_or_deletes_a_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        key = await made_by_the_operator(platform, ann)
        await ann.done("POST", f"/me/keys/{key.api_key}/disable")
        acts = acts_on(key)
        proven = [await ann.prove(await ann.ask(*act)) for act in acts]
        ours, other = ann.token, await another_session(ann)
        before = keys_of(platform)
        for number, act in enumerate(acts):
            for what, step_up_id in (
                ("none", ""),
                ("one that never was", "x" * 22),
                ("one for another act", proven[number - 1]),
            ):
                refused = await ann.ask(*act, X_Step_Up=step_up_id)
                assert (refused.status, refused.reason) == (403, "step-up-required"), (act, what)
            ann.token = other
            refused = await ann.ask(*act, X_Step_Up=proven[number])
            assert (refused.status, refused.reason) == (403, "step-up-required"), (act, "another session's")
            ann.token = ours
        changed = [(acts[1][0], acts[1][1], {"ips": ["203.0.113.8"]}), ("POST", "/me/keys", {"label": "newer"})]
        for act, step_up_id in zip(changed, (proven[1], proven[0]), strict=True):
            assert (await ann.ask(*act, X_Step_Up=step_up_id)).reason == "step-up-required", "for other parameters"
        platform.wait(5 * MINUTE_US)
        for act, step_up_id in zip(acts, proven, strict=True):
            assert (await ann.ask(*act, X_Step_Up=step_up_id)).reason == "step-up-required", (act, "too old")
        assert keys_of(platform) == before
        # With a proof of its own each is done once.
        for act in (acts[0], acts[1], acts[3], acts[4]):
            step_up_id = await ann.prove(await ann.ask(*act))
            assert (await ann.ask(*act, X_Step_Up=step_up_id)).status == 200, act
            assert keys_of(platform) != before
            before = keys_of(platform)
            again = await ann.ask(*act, X_Step_Up=step_up_id)
            assert again.reason in ("step-up-required", "key-unknown"), act
            assert keys_of(platform) == before

    async def another_session(ann: Holder) -> str:
        kept = ann.token
        await ann.enter()
        token, ann.token = ann.token, kept
        return token

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_no_form_about_a_key_does_more_than_ask_for_proof(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        key = await made_by_the_operator(platform, ann, "spot-and-margin-trading")
        stopped = await made_by_the_operator(platform, ann, label="stopped")
        await ann.done("POST", f"/me/keys/{stopped.api_key}/disable")
        await ann.sign_in_at_the_page()
        ids = {one.api_key: one.key_id for one in platform.running._access.keys_of(ann.account_id)}
        one = f"{KEYS}/{ids[key.api_key]}"
        before = keys_of(platform)
        forms = [
            (f"{KEYS}/create", f"{KEYS}/create", {"label": "new", "type": "system", "act": "create"}),
            (one, f"{one}/edit", {"label": "renamed", "permission": "reading", "ips": "203.0.113.7", "act": "save"}),
            (f"{one}/rotate", f"{one}/rotate", {"overlap": "0"}),
            (f"{one}/delete", f"{one}/delete", {"label": "bot"}),
            (one, f"{one}/narrow", {}),
            (KEYS, f"{KEYS}/{ids[stopped.api_key]}/enable", {}),
        ]
        for address, action, fields in forms:
            page = await ann.browser.open(address)
            csrf = page.form("/theme")["csrf"]
            answer = await ann.browser.post(action, {"csrf": csrf, **fields})
            assert answer.status == 303, (action, answer.words[:600])
            assert answer.headers["location"].startswith("/verify/"), (action, answer.headers["location"])
            platform.wait(13 * MINUTE_US)  # for the letters of an hour
            for proofs in ({}, {"totp": "000000", "email": "00000000"}, {"email": ann.code("email")}):
                page = await ann.browser.open(answer.headers["location"])
                refused = await ann.browser.submit(page, proofs, answer.headers["location"])
                assert refused.status in (400, 410), (action, refused.words[:300])
            assert keys_of(platform) == before, action

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_without_an_approved_identity_and_a_second_factor_no_door_makes_a_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def try_doors(platform: Platform, kyc: str, *, factor: bool, reason: str) -> None:
        ann = platform.holder(f"kyc-{kyc}", f"192.0.2.{len(platform.letters()) + 1}")
        await ann.sign_up()
        await ann.enter()
        if factor:
            await ann.add_totp()
        await platform.operate("PUT", f"/accounts/{ann.email}/kyc", {"kyc": kyc})
        body = {"label": "bot"}
        doors: list[Answer] = [
            await ann.ask("POST", "/me/keys", body),
            await platform.ask("POST", f"/accounts/{ann.email}/keys", body, platform.running.operator_token),
        ]
        assert [(answer.status, answer.reason) for answer in doors] == [(403, reason)] * 2
        await ann.sign_in_at_the_page()
        page = await ann.browser.open(f"{KEYS}/create")
        assert reason in page.reasons
        fields = {"csrf": page.form("/theme")["csrf"], **body, "type": "system", "act": "create"}
        answer = await ann.browser.post(f"{KEYS}/create", fields)
        assert answer.status in (403, 422)
        assert reason in answer.reasons

    async def work(platform: Platform) -> None:
        for kyc in ("none", "pending", "rejected"):
            await try_doors(platform, kyc, factor=True, reason="kyc-missing")
        await try_doors(platform, "approved", factor=False, reason="factor-missing")
        assert platform.running._access.keys == {}

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_an_identity_that_is_revoked_between_proof_and_act_makes_no_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        act = ("POST", "/me/keys", {"label": "bot"})
        step_up_id = await ann.prove(await ann.ask(*act))
        await platform.operate("PUT", f"/accounts/{ann.email}/kyc", {"kyc": "rejected"})
        refused = await ann.ask(*act, X_Step_Up=step_up_id)
        assert (refused.status, refused.reason) == (403, "kyc-missing")
        assert platform.running._access.keys == {}

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_keys_that_may_trade_stop_with_the_identity_or_the_last_factor_and_those_that_only_read_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        trades = await made_by_the_operator(platform, ann, "spot-and-margin-trading")
        reads = await made_by_the_operator(platform, ann)

        async def must_have_stopped() -> None:
            assert await call(platform, trades) == -2015
            assert await call(platform, trades, "/api/v3/account") == -2015
            assert await call(platform, reads, "/api/v3/account") == 0

        assert await call(platform, trades) == -2011  # no such order: it was let in
        await platform.operate("PUT", f"/accounts/{ann.email}/kyc", {"kyc": "pending"})
        await must_have_stopped()
        await platform.operate("PUT", f"/accounts/{ann.email}/kyc", {"kyc": "approved"})
        assert await call(platform, trades) == -2011
        await ann.step_up("DELETE", "/me/factors/totp")
        await must_have_stopped()
        await ann.add_totp()
        assert await call(platform, trades) == -2011

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_in_guarded_mode_a_public_key_is_registered_by_who_proves_to_have_the_private_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    async def before(platform: Platform) -> None:
        await platform.verified()

    async def work(platform: Platform) -> None:
        ann = platform.holder()
        ann.seed = seed_of(platform)
        await ann.enter()
        body: dict[str, Any] = {"label": "bot", "type": "ed25519", "publicKey": pem}
        assert (await ann.ask("POST", "/me/keys", body)).reason == "possession-unproven"

        async def signed_by(signer: Ed25519PrivateKey) -> dict[str, Any]:
            challenge = await ann.done("POST", "/me/keys/challenges", {"publicKey": pem})
            signature = base64.b64encode(signer.sign(challenge["text"].encode())).decode()
            return body | {"proof": {"nonce": challenge["nonce"], "signature": signature}}

        wrong = await signed_by(Ed25519PrivateKey.generate())
        step_up_id = await ann.prove(await ann.ask("POST", "/me/keys", wrong))
        right = await signed_by(private)
        spent = body | {"proof": right["proof"] | {"nonce": wrong["proof"]["nonce"]}}
        for one in (wrong, wrong, spent):
            refused = await ann.ask("POST", "/me/keys", one, X_Step_Up=step_up_id)
            assert refused.reason == "possession-unproven"
        made = await ann.done("POST", "/me/keys", right, X_Step_Up=step_up_id)
        assert made["type"] == "ed25519"
        # What only a sandbox's operator may do.
        for method, path, asked in (
            ("POST", f"/accounts/{ann.email}/keys", {"label": "bot"}),
            ("DELETE", f"/keys/{made['apiKey']}", None),
            ("PUT", f"/accounts/{ann.email}/kyc", {"kyc": "approved"}),
        ):
            refused = await platform.ask(method, path, asked, platform.running.operator_token)
            assert (refused.status, refused.reason) == (403, "mode-guarded"), path

    def seed_of(platform: Platform) -> str:
        vault = platform.running._vault
        (name,) = [f"totp/{subject}/{name}" for subject, name in vault.names("totp")]
        return vault.open(name).decode()

    data, clock = tmp_path / "data", HandClock()
    on_a_platform(monkeypatch, data, before, clock, durability="normal")
    on_a_platform(monkeypatch, data, work, clock, durability="normal", mode="guarded")


def test_a_key_is_made_by_a_passkey_only_as_its_device_was_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At another origin, for another site, without a look at its holder, by a copy, or twice, it proves nothing."""

    async def work(platform: Platform) -> None:
        ann = platform.holder()
        origin = platform.running.public_url
        host = origin.removeprefix("http://")
        await ann.sign_up()
        await ann.enter()
        await platform.operate("PUT", f"/accounts/{ann.email}/kyc", {"kyc": "approved"})
        device = SoftwareKey(count=7)
        asked = await ann.done("POST", "/me/factors/passkeys", {"password": ann.password}, host=host)
        credential = device.create(json.dumps(asked["options"]), origin=origin)
        await ann.done("POST", "/me/factors/passkeys/confirm", {"label": "phone", "credential": credential})
        act = ("POST", "/me/keys", {"label": "bot"})
        path = f"/me/step-ups/{(await ann.ask(*act)).body['stepUp']['id']}"
        await ann.done("POST", f"{path}/codes", {"kind": "email"})
        email = ann.code("email")

        async def answered(**changes: Any) -> Answer:
            options = json.dumps((await ann.done("POST", f"{path}/passkey", host=host))["options"])
            answer = device.get(options, **({"origin": origin} | changes))
            return await ann.ask("POST", f"{path}/proof", {"passkey": answer, "email": email})

        for changes in (
            {"origin": "https://evil.example"},
            {"origin": f"{origin}0"},
            {"rp_id": "evil.example"},
            {"verified": False},
        ):
            assert (await answered(**changes)).reason == "passkey-invalid", changes
        device.count = 5  # of a copy that was made before
        assert (await answered()).reason == "passkey-copied"
        platform.wait(5 * MINUTE_US)
        device.count = 20
        options = json.dumps((await ann.done("POST", f"{path}/passkey", host=host))["options"])
        answer = device.get(options, origin=origin)
        elsewhere = await ann.ask("POST", "/me/recovery-codes")
        other = f"/me/step-ups/{elsewhere.body['stepUp']['id']}"
        await ann.done("POST", f"{other}/codes", {"kind": "email"})
        crossed = await ann.ask("POST", f"{other}/proof", {"passkey": answer, "email": ann.code("email")})
        assert crossed.reason == "passkey-invalid"
        await ann.done("POST", f"{path}/proof", {"passkey": answer, "email": email})
        await ann.done(*act, X_Step_Up=path.rpartition("/")[2])
        again = await ann.ask(*act)
        path = f"/me/step-ups/{again.body['stepUp']['id']}"
        await ann.done("POST", f"{path}/codes", {"kind": "email"})
        replayed = await ann.ask("POST", f"{path}/proof", {"passkey": answer, "email": ann.code("email")})
        assert replayed.reason == "passkey-invalid"
        assert len(platform.running._access.keys) == 1

    on_a_platform(monkeypatch, tmp_path / "data", work)


def test_a_proof_that_is_sent_several_times_at_once_makes_one_key_and_locks_nobody_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All that sent the same get the same answer; whoever has the session, and not the codes, gets nothing by it."""

    async def work(platform: Platform) -> None:
        ann = await platform.verified()
        await ann.sign_in_at_the_page()
        page = await ann.browser.open(f"{KEYS}/create")
        page = await ann.browser.submit(page, {"label": "bot", "act": "create"}, f"{KEYS}/create")
        proofs = {**page.form(page.address), "totp": ann.shown(), "email": ann.code("email")}
        readers = []
        for _ in range(6):
            readers.append(PageReader(platform.application, ann.browser.ip))
            readers[-1].cookies = dict(ann.browser.cookies)
        wrong = proofs | {"totp": "000000"}
        sent = [proofs, wrong, proofs, proofs, wrong, proofs]
        answers = await asyncio.gather(
            *(reader.post(page.address, fields) for reader, fields in zip(readers, sent, strict=True))
        )
        assert len(platform.running._access.keys) == 1
        right = [number for number, fields in enumerate(sent) if fields is proofs]
        for number, (reader, answer) in enumerate(zip(readers, answers, strict=True)):
            if number in right:
                assert answer.headers["location"] == f"{KEYS}/1/secret"
                assert (await reader.get("/my")).status == 200
            else:
                assert answer.status in (400, 403, 410)
                assert answer.cookies == []
                assert (await reader.get("/my")).status == 303
        shown = [await readers[number].get(f"{KEYS}/1/secret") for number in right]
        assert [seen.status for seen in shown] == [200, 410, 410, 410]

    on_a_platform(monkeypatch, tmp_path / "data", work)
