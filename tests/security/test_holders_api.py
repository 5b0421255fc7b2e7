"""Account holders over the management API: the same doors as the pages, and the same locks."""

from __future__ import annotations

import asyncio
import re

from sparekey.terms.clocktime import MINUTE_US
from tests.console_office import ANN, OTHER_PASSWORD, PASSWORD, STRANGER
from tests.holders_api import NUMBER, Answer, HoldersApi, over_the_api


def test_a_holder_signs_up_turns_factors_on_and_signs_in_with_one() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        assert (await api.enter())["stage"] == "full"
        me = await api.done("GET", "/me")
        assert (me["email"], me["kyc"], me["factors"]) == (ANN, "none", [])
        await api.add_totp()
        assert (await api.done("GET", "/me"))["factors"] == ["totp"]
        half = await api.done("POST", "/session", {"email": ANN, "password": PASSWORD})
        assert (half["stage"], half["factors"]) == ("half", ["totp"])
        assert (await api.ask("GET", "/me")).reason == "sign-in-required"
        full = await api.done("POST", "/session/factor", {"factor": "totp", "code": api.shown()})
        assert full["stage"] == "full" and full["token"] != half["token"]
        assert (await api.ask("GET", "/me", Authorization=f"Bearer {half['token']}")).status == 401
        assert [one["current"] for one in await api.done("GET", "/sessions")].count(True) == 1

    over_the_api(work)


def test_an_act_that_matters_names_the_proof_that_it_wants_and_goes_on_with_it() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        await api.enter()
        await api.add_totp()
        wanted = await api.ask("POST", "/me/recovery-codes")
        assert (wanted.status, wanted.reason) == (403, "step-up-required")
        step_up = wanted.body["stepUp"]
        assert step_up | {"id": ""} == {
            "id": "",
            "action": "make new recovery codes",
            "factors": ["totp"],
            "needsEmail": True,
            "proven": False,
        }
        step_up_id = await api.prove(wanted)
        assert (await api.done("GET", f"/me/step-ups/{step_up_id}"))["proven"]
        codes = (await api.done("POST", "/me/recovery-codes", X_Step_Up=step_up_id))["codes"]
        assert len(codes) == 10
        # It is used up, and another one is offered.
        again = await api.ask("POST", "/me/recovery-codes", X_Step_Up=step_up_id)
        assert again.reason == "step-up-required" and again.body["stepUp"]["id"] != step_up_id

    over_the_api(work)


def test_a_proof_for_one_act_is_good_for_no_other_and_for_no_other_session() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        await api.enter()
        await api.add_totp()
        step_up_id = await api.prove(await api.ask("POST", "/me/recovery-codes"))
        other = await api.ask("DELETE", "/me/factors/totp", X_Step_Up=step_up_id)
        assert other.reason == "step-up-required"
        first = api.token
        await api.enter()
        assert (await api.ask("POST", "/me/recovery-codes", X_Step_Up=step_up_id)).reason == "step-up-required"
        assert (await api.ask("GET", f"/me/step-ups/{step_up_id}")).reason == "step-up-unknown"
        api.token = first
        assert (await api.ask("POST", "/me/recovery-codes", X_Step_Up=step_up_id)).status == 200

    over_the_api(work)


def test_the_same_proof_sent_several_times_at_once_gives_one_token_that_works() -> None:
    async def work(api: HoldersApi) -> None:
        await api.verified()
        wanted = await api.ask("POST", "/me/recovery-codes")
        path = f"/me/step-ups/{wanted.body['stepUp']['id']}"
        await api.done("POST", f"{path}/codes", {"kind": "email"})
        proofs = {"totp": api.shown(), "email": api.sent_code()}
        answers = await asyncio.gather(*[api.ask("POST", f"{path}/proof", proofs) for _ in range(5)])
        [token] = [answer.body["token"] for answer in answers if answer.status == 200]
        made = [
            await api.ask("POST", "/me/recovery-codes", Authorization=f"Bearer {token}", X_Step_Up=path[13:])
            for _ in range(2)
        ]
        assert [answer.status for answer in made] == [200, 403]

    over_the_api(work)


def test_an_act_sent_several_times_at_once_with_one_proof_is_done_once() -> None:
    async def work(api: HoldersApi) -> None:
        await api.verified()
        body = {"label": "Bot A", "ips": ["203.0.113.7"]}
        step_up_id = await api.prove(await api.ask("POST", "/me/keys", body))
        sent = [api.ask("POST", "/me/keys", body, X_Step_Up=step_up_id) for _ in range(5)]
        assert sorted([answer.status for answer in await asyncio.gather(*sent)]) == [200, 403, 403, 403, 403]
        assert len(await api.done("GET", "/me/keys")) == 1

    over_the_api(work)


def test_sms_works_as_a_second_factor_and_the_last_one_goes_only_by_itself() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        await api.enter()
        await api.done("POST", "/me/factors/sms", {"number": NUMBER, "password": PASSWORD})
        me = await api.done("POST", "/me/factors/sms/confirm", {"code": api.sent_code("sms")})
        assert me["factors"] == ["sms"] and NUMBER[4:-2] not in me["sms"]
        await api.done("POST", "/session", {"email": ANN, "password": PASSWORD})
        await api.done("POST", "/session/codes", {"kind": "sms"})
        await api.done("POST", "/session/factor", {"factor": "sms", "code": api.sent_code("sms")})
        wanted = await api.ask("DELETE", "/me/factors/sms")
        path = f"/me/step-ups/{wanted.body['stepUp']['id']}"
        for kind in ("email", "sms"):
            await api.done("POST", f"{path}/codes", {"kind": kind})
        proofs = {"sms": api.sent_code("sms"), "email": api.sent_code()}
        wrong = await api.ask("POST", f"{path}/proof", proofs | {"sms": "00000000"})
        assert (wrong.status, wrong.reason) == (400, "code-wrong")
        await api.done("POST", f"{path}/proof", proofs)
        me = await api.done("DELETE", "/me/factors/sms", X_Step_Up=wanted.body["stepUp"]["id"])
        assert me["factors"] == [] and me["sms"] is None

    over_the_api(work)


def test_another_password_ends_every_other_session_and_this_token() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        await api.enter()
        await api.add_totp()
        other = api.token
        await api.enter()
        body = {"old": PASSWORD, "new": OTHER_PASSWORD}
        assert (await api.ask("POST", "/me/password", body | {"old": "x"})).reason == "password-wrong"
        assert (await api.ask("POST", "/me/password", body | {"new": "short"})).reason == "password-weak"
        await api.step_up("POST", "/me/password", body)
        assert (await api.ask("GET", "/me", Authorization=f"Bearer {other}")).status == 401
        assert (await api.ask("GET", "/me")).status == 200
        await api.enter(password=OTHER_PASSWORD)

    over_the_api(work)


def test_sessions_are_ended_one_by_one_or_all_at_once() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        first, second, third = [(await api.enter())["token"] for _ in range(3)]
        handles = {one["handle"]: one["current"] for one in await api.done("GET", "/sessions")}
        assert len(handles) == 3
        gone = next(handle for handle, current in handles.items() if not current)
        await api.done("DELETE", f"/sessions/{gone}")
        assert (await api.ask("DELETE", f"/sessions/{gone}")).reason == "session-unknown"
        renewed = (await api.done("DELETE", "/sessions"))["token"]
        assert renewed not in (first, second, third)
        for token in (first, second, third):
            assert (await api.ask("GET", "/me", Authorization=f"Bearer {token}")).status == 401
        await api.done("DELETE", "/session")
        assert (await api.ask("GET", "/me")).reason == "sign-in-required"

    over_the_api(work)


def test_a_forgotten_password_is_set_anew_by_the_letters_link_once() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        await api.enter()
        await api.done("POST", "/forgotten", {"email": ANN})
        body = {"token": api.post.token("/reset"), "password": OTHER_PASSWORD}
        await api.done("POST", "/reset", body)
        again = await api.ask("POST", "/reset", body)
        assert (again.status, again.reason) == (410, "link-expired")
        assert (await api.ask("GET", "/me")).status == 401
        await api.enter(password=OTHER_PASSWORD)

    over_the_api(work)


def test_nobody_learns_whether_an_address_has_an_account() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()

        async def answers(email: str) -> list[Answer]:
            return [
                await api.ask("POST", "/sign-up", {"email": email, "password": PASSWORD}),
                await api.ask("POST", "/forgotten", {"email": email}),
                await api.ask("POST", "/session", {"email": email, "password": "not this one at all"}),
            ]

        known, unknown = await answers(ANN), await answers(STRANGER)
        assert known == unknown
        assert [answer.status for answer in known] == [200, 200, 401]

    over_the_api(work)


def test_too_many_tries_are_told_when_the_next_one_counts() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        for _ in range(10):
            assert (await api.ask("POST", "/session", {"email": ANN, "password": "wrong"})).status == 401
        refused = await api.ask("POST", "/session", {"email": ANN, "password": PASSWORD})
        assert (refused.status, refused.reason) == (429, "sign-in-limit")
        assert 0 < int(refused.headers["retry-after"]) <= 300

    over_the_api(work)


def test_five_wrong_codes_over_all_factors_end_the_looking() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        await api.enter()
        await api.add_totp()
        await api.done("POST", "/session", {"email": ANN, "password": PASSWORD})
        for factor in ("totp", "recovery", "sms", "passkey", "totp"):
            assert (await api.ask("POST", "/session/factor", {"factor": factor, "code": "000000"})).status in (400, 403)
        refused = await api.ask("POST", "/session/factor", {"factor": "totp", "code": api.shown()})
        assert (refused.status, refused.reason) == (429, "factor-limit")

    over_the_api(work)


def test_no_cookie_is_a_token_and_none_is_ever_set() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        opened = await api.ask("POST", "/session", {"email": ANN, "password": PASSWORD})
        assert "set-cookie" not in opened.headers
        token = opened.body["token"]
        for cookie in ("sparekey_session", "session", "token"):
            assert (await api.ask("GET", "/me", Authorization="", Cookie=f"{cookie}={token}")).status == 401
        assert (await api.ask("GET", "/me", Authorization=f"Basic {token}")).status == 401
        assert (await api.ask("GET", "/me", Authorization=f"bearer {token}")).status == 200

    over_the_api(work)


def test_no_field_is_taken_that_the_document_does_not_name() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        await api.enter()
        for path, body in (
            ("/session", {"email": ANN, "password": PASSWORD, "stage": "full"}),
            ("/sign-up", {"email": STRANGER, "password": PASSWORD, "kyc": "approved"}),
            ("/me/password", {"old": PASSWORD, "new": OTHER_PASSWORD, "accountId": 100_000_001}),
            ("/me/factors/totp", {"password": PASSWORD, "secret": "A" * 32}),
        ):
            refused = await api.ask("POST", path, body)
            assert (refused.status, refused.reason) == (422, "request-invalid"), path

    over_the_api(work)


def test_what_carries_an_idempotency_key_is_done_once_for_each_account() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        await api.enter()
        first = {"Idempotency_Key": "one"}
        assert (await api.ask("POST", "/me/factors/totp", {"password": "x" * 12}, **first)).status == 403
        await api.done("POST", "/me/factors/totp", {"password": PASSWORD}, **first)
        again = await api.ask("POST", "/me/factors/totp", {"password": PASSWORD}, **first)
        assert (again.status, again.reason) == (409, "request-repeated")
        await api.sign_up(STRANGER)
        await api.enter(STRANGER)
        await api.done("POST", "/me/factors/totp", {"password": PASSWORD}, **first)

    over_the_api(work)


def test_a_secret_that_is_shown_once_stands_in_no_other_answer() -> None:
    async def work(api: HoldersApi) -> None:
        await api.sign_up()
        await api.enter()
        await api.add_totp()
        codes = (await api.step_up("POST", "/me/recovery-codes"))["codes"]
        told = [str((await api.ask("GET", path)).body) for path in ("/me", "/sessions")]
        told += [letter.text + letter.html for letter in api.post.letters]
        for text in told:
            assert api.seed not in text and api.token not in text
            assert not any(code in text for code in codes)
            assert not re.search(r"\$argon2", text)

    over_the_api(work)


ODD = (
    "\ud800",
    "a\x00b",
    "\u202e\r\n",
    "x" * 100_000,
    "１２３４５６",
    '{"id": "\udfff", "rawId": 1, "response": {}, "type": "public-key"}',
)
FIELDS = {
    "/sign-up": ("email", "password"),
    "/sign-up/confirm": ("token",),
    "/session": ("email", "password", "device"),
    "/forgotten": ("email",),
    "/reset": ("token", "password"),
    "/me/password": ("old", "new"),
    "/me/factors/totp/confirm": ("code",),
    "/me/factors/sms": ("number",),
    "/me/factors/passkeys/confirm": ("label", "credential"),
    "/me/step-ups/unknown/proof": ("totp", "email"),
    "/me/keys": ("label", "publicKey"),
    "/me/keys/challenges": ("publicKey",),
}
SAID = {"email": ANN, "password": PASSWORD, "old": PASSWORD, "new": OTHER_PASSWORD, "number": NUMBER, "label": "Bot"}


def test_odd_texts_get_a_reason() -> None:
    """Half characters, controls, lengths: in one field, while the others are as they should be."""

    async def work(api: HoldersApi) -> None:
        await api.verified()
        token = api.token
        for path, fields in FIELDS.items():
            for field in fields:
                for odd in ODD:
                    api.now_us += MINUTE_US
                    body = {name: SAID.get(name, "x" * 20) for name in fields} | {field: odd}
                    answer = await api.ask("POST", path, body, Authorization=f"Bearer {token}")
                    assert answer.status < 500, (path, field, odd, answer)
                    assert answer.reason != "sign-in-required"

    over_the_api(work)


def test_odd_codes_of_a_second_factor_get_a_reason() -> None:
    async def work(api: HoldersApi) -> None:
        await api.verified()
        for odd in ODD:
            for factor in ("totp", "sms", "recovery", "passkey"):
                api.now_us += 10 * MINUTE_US
                half = (await api.done("POST", "/session", {"email": ANN, "password": PASSWORD}))["token"]
                body = {"factor": factor, "code": odd, "device": odd[:200]}
                answer = await api.ask("POST", "/session/factor", body, Authorization=f"Bearer {half}")
                assert 400 <= answer.status < 500, (factor, odd, answer)

    over_the_api(work)
