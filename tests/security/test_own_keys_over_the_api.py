"""Account holders' keys over the management API: each act with the proof that it wants, and nobody else's keys."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sparekey.access.commands import SetKyc
from tests.console_office import STRANGER
from tests.holders_api import HoldersApi, over_the_api

NEW_KEY = {"label": "Bot A", "permissions": ["reading", "spot-and-margin-trading"], "ips": ["203.0.113.7"]}


def test_a_key_lives_its_whole_life_by_its_holders_hand() -> None:
    async def work(api: HoldersApi) -> None:
        await api.verified()
        created = await api.step_up("POST", "/me/keys", NEW_KEY)
        path = f"/me/keys/{created['apiKey']}"
        assert created["secretKey"] and created["ips"] == ["203.0.113.7"]
        shown = await api.done("GET", path)
        assert shown == created | {"secretKey": None}
        edited = await api.step_up("PATCH", path, {"label": "Bot B", "permissions": ["reading"]})
        assert (edited["label"], edited["permissions"]) == ("Bot B", ["reading"])
        assert (await api.done("POST", f"{path}/disable"))["status"] == "disabled"
        assert (await api.step_up("POST", f"{path}/enable"))["status"] == "active"
        rotated = await api.step_up("POST", f"{path}/rotate", {"overlap": "1h"})
        assert rotated["secretKey"] and rotated["apiKey"] != created["apiKey"]
        usage = await api.done("GET", f"{path}/usage")
        assert (usage["replacedBy"], usage["callers"]) == (rotated["apiKey"], [])
        assert len(await api.done("GET", "/me/keys")) == 2
        assert (await api.done("POST", "/me/keys/panic"))["disabled"] == [created["apiKey"], rotated["apiKey"]]
        assert (await api.step_up("DELETE", path))["status"] == "deleted"
        assert [one["apiKey"] for one in await api.done("GET", "/me/keys")] == [rotated["apiKey"]]
        assert (await api.ask("GET", path)).reason == "key-unknown"

    over_the_api(work)


def test_nothing_that_gives_power_happens_without_proof_for_exactly_that() -> None:
    async def work(api: HoldersApi) -> None:
        await api.verified()
        key = await api.step_up("POST", "/me/keys", NEW_KEY)
        path = f"/me/keys/{key['apiKey']}"
        acts: list[tuple[str, str, Any]] = [
            ("POST", "/me/keys", NEW_KEY),
            ("PATCH", path, {"permissions": ["reading"]}),
            ("PATCH", path, {"permissions": ["reading", "futures"]}),
            ("POST", f"{path}/rotate", {"overlap": "1h"}),
            ("POST", f"{path}/rotate", {"overlap": "2h"}),
            ("POST", f"{path}/enable", None),
            ("DELETE", path, None),
        ]
        before = await api.done("GET", "/me/keys")
        step_up_id = await api.prove(await api.ask("POST", "/me/keys", NEW_KEY | {"label": "Bot C"}))
        for method, target, body in acts:
            for sent in ("", step_up_id, "x" * 22):
                refused = await api.ask(method, target, body, X_Step_Up=sent)
                assert (refused.status, refused.reason) == (403, "step-up-required"), (method, target)
                assert refused.body["stepUp"]["action"]
        assert await api.done("GET", "/me/keys") == before

    over_the_api(work)


def test_a_proof_is_taken_once_for_five_minutes() -> None:
    async def work(api: HoldersApi) -> None:
        await api.verified()
        step_up_id = await api.prove(await api.ask("POST", "/me/keys", NEW_KEY))
        await api.done("POST", "/me/keys", NEW_KEY, X_Step_Up=step_up_id)
        assert (await api.ask("POST", "/me/keys", NEW_KEY, X_Step_Up=step_up_id)).reason == "step-up-required"
        step_up_id = await api.prove(await api.ask("POST", "/me/keys", NEW_KEY))
        api.now_us += 5 * 60_000_000
        assert (await api.ask("POST", "/me/keys", NEW_KEY, X_Step_Up=step_up_id)).reason == "step-up-required"
        assert len(await api.done("GET", "/me/keys")) == 1

    over_the_api(work)


def test_another_accounts_keys_are_as_unknown_as_keys_that_never_were() -> None:
    async def work(api: HoldersApi) -> None:
        await api.verified()
        key = await api.step_up("POST", "/me/keys", NEW_KEY)
        await api.verified(STRANGER)
        acts: list[tuple[str, str, Any]] = [
            ("GET", "", None),
            ("GET", "/usage", None),
            ("PATCH", "", {"label": "mine"}),
            ("POST", "/rotate", {"overlap": "1h"}),
            ("POST", "/disable", None),
            ("POST", "/enable", None),
            ("DELETE", "", None),
        ]
        for method, act, body in acts:
            theirs = await api.ask(method, f"/me/keys/{key['apiKey']}{act}", body)
            nobodys = await api.ask(method, f"/me/keys/{'U' * 64}{act}", body)
            assert theirs == nobodys
            assert (theirs.status, theirs.reason) == (404, "key-unknown")
        assert await api.done("GET", "/me/keys") == []
        assert (await api.done("POST", "/me/keys/panic"))["disabled"] == []

    over_the_api(work)


def test_without_identity_check_or_second_factor_there_is_no_key() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        await api.enter()
        refused = await api.ask("POST", "/me/keys", NEW_KEY)
        assert (refused.status, refused.reason) == (403, "kyc-missing")
        api.writer.submit(SetKyc(api.account().account_id, "approved"))
        refused = await api.ask("POST", "/me/keys", NEW_KEY)
        assert (refused.status, refused.reason) == (403, "factor-missing")
        await api.add_totp()
        await api.step_up("POST", "/me/keys", NEW_KEY)

    over_the_api(work)


def test_a_public_key_wants_the_signature_of_its_owner_which_the_question_does_not_spend() -> None:
    async def work(api: HoldersApi) -> None:
        await api.verified()
        private = Ed25519PrivateKey.generate()
        pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        body: dict[str, Any] = NEW_KEY | {"type": "ed25519", "publicKey": pem}
        assert (await api.ask("POST", "/me/keys", body)).reason == "possession-unproven"
        challenge = await api.done("POST", "/me/keys/challenges", {"publicKey": pem})
        signature = base64.b64encode(private.sign(challenge["text"].encode())).decode()
        body["proof"] = {"nonce": challenge["nonce"], "signature": signature}
        created = await api.step_up("POST", "/me/keys", body)
        assert (created["type"], created["secretKey"]) == ("ed25519", None)
        replayed = await api.ask("POST", f"/me/keys/{created['apiKey']}/rotate", {"overlap": "1h", "publicKey": pem})
        assert replayed.status == 400

    over_the_api(work)


def test_what_cannot_be_is_refused_before_anything_has_to_be_proven() -> None:
    async def work(api: HoldersApi) -> None:
        await api.verified()
        for changed, reason in (
            ({"label": ""}, "label-invalid"),
            ({"ips": ["0.0.0.0/0"]}, "whitelist-too-wide"),
            ({"ips": ["127.0.0.1"]}, "whitelist-loopback"),
            ({"permissions": ["everything"]}, "permission-unknown"),
            ({"permissions": ["withdrawals"], "ips": []}, "withdrawals-need-whitelist"),
            ({"type": "rsa"}, "public-key-missing"),
        ):
            assert (await api.ask("POST", "/me/keys", NEW_KEY | changed)).reason == reason
        for surplus in ("accountId", "expiryTime", "owner", "secretKey", "status"):
            assert (await api.ask("POST", "/me/keys", NEW_KEY | {surplus: 1})).reason == "request-invalid"

    over_the_api(work)
