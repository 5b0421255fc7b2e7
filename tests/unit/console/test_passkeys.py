"""Passkeys: only the right device, at our own address, for the challenge that was asked, by a person it verified."""

from __future__ import annotations

import asyncio
import json

import pytest

from sparekey.console.passkeys import Passkeys
from sparekey.console.step_up import Action
from sparekey.terms.clocktime import MINUTE_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from tests.software_key import SoftwareKey
from tests.unit.console.holders import HOST, ORIGIN, PASSWORD, Counter, HolderSession, at_counter, refused

EDIT = Action.of("key-edit", "7", "edit the API key “Bot A”")


async def with_passkey(counter: Counter, key: SoftwareKey, email: str = "ann@example.com") -> HolderSession:
    session = await counter.sign_up(email)
    refused(await counter.own.open_passkey(session, password=PASSWORD), None)
    refused(
        await counter.own.confirm_passkey(session, "My phone", key.create(asked_new(counter, session), origin=ORIGIN)),
        None,
    )
    return session


def asked_new(counter: Counter, session: HolderSession) -> str:
    options = counter.own.ask_passkey(session, HOST)
    assert isinstance(options, str)
    return options


def asked(counter: Counter, session: HolderSession, purpose: str = "sign in") -> str:
    options = counter.factors.ask_passkey(session.account_id, purpose, HOST)
    assert isinstance(options, str)
    return options


async def check(counter: Counter, session: HolderSession, answer: str, purpose: str = "sign in") -> Reason | None:
    refusal = await counter.factors.check(session.account_id, "passkey", answer, purpose)
    return None if refusal is None else refusal.reason


def test_a_passkey_is_made_and_proves_its_owner() -> None:
    async def work(counter: Counter) -> None:
        key = SoftwareKey()
        session = await with_passkey(counter, key)
        [passkey] = counter.account(session).passkeys
        assert (passkey.label, passkey.sign_count, passkey.transports) == ("My phone", 1, ("usb", "internal"))
        assert counter.account(session).factors == ["passkey"]
        options = json.loads(asked(counter, session))
        assert options["userVerification"] == "required"
        assert options["rpId"] == "localhost"
        assert [one["id"] for one in options["allowCredentials"]] == [passkey.credential_id]
        assert await check(counter, session, key.get(asked(counter, session), origin=ORIGIN)) is None
        assert counter.account(session).passkeys[0].sign_count == 2
        assert "the passkey was turned on" in counter.post.letters[-1].text
        assert not counter.account(session).attempts  # what was right costs nothing

    at_counter(work)


def test_a_passkey_steps_up_together_with_the_mailed_code() -> None:
    async def work(counter: Counter) -> None:
        key = SoftwareKey()
        session = await with_passkey(counter, key)
        step_up = counter.begin(session, EDIT)
        counter.step_ups.send_code(step_up.id, session, "email")
        answer = key.get(asked(counter, session, step_up.id), origin=ORIGIN)
        proofs = {"passkey": answer, "email": counter.post.code("email")}
        refused(await counter.step_ups.prove(step_up.id, session, proofs), None)
        refused(counter.step_ups.take(step_up.id, session, EDIT), None)

    at_counter(work)


def test_a_challenge_is_good_once_for_its_purpose_and_five_minutes() -> None:
    async def work(counter: Counter) -> None:
        key = SoftwareKey(count=0)
        session = await with_passkey(counter, key)
        options = asked(counter, session)
        assert asked(counter, session) == options  # a page may be loaded twice
        answer = key.get(options, origin=ORIGIN)
        assert await check(counter, session, answer, "another purpose") is Reason.PASSKEY_INVALID
        assert await check(counter, session, answer) is None
        assert await check(counter, session, answer) is Reason.PASSKEY_INVALID
        # A new challenge for the same purpose is another one.
        asked(counter, session)
        assert await check(counter, session, answer) is Reason.PASSKEY_INVALID
        late = key.get(asked(counter, session), origin=ORIGIN)
        counter.now_us += 5 * MINUTE_US
        assert await check(counter, session, late) is Reason.PASSKEY_INVALID

    at_counter(work)


def test_of_two_answers_at_the_same_time_one_counts() -> None:
    async def work(counter: Counter) -> None:
        key = SoftwareKey()
        session = await with_passkey(counter, key)
        answer = key.get(asked(counter, session), origin=ORIGIN)
        outcomes = await asyncio.gather(check(counter, session, answer), check(counter, session, answer))
        assert sorted(outcomes, key=str) == [None, Reason.PASSKEY_INVALID]

    at_counter(work)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "http://localhost:9999"},
        {"origin": "https://localhost:8080"},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "https://exchange.example"},  # ours, and not where it was asked
        {"origin": "http://localhost:8080.attacker.example"},
        {"rp_id": "attacker.example"},
        {"rp_id": "exchange.example"},
        {"verified": False},
        {"kind": "webauthn.create"},
        {"holder": b"somebody else"},
    ],
    ids=str,
)
def test_an_answer_with_anything_wrong_in_it_proves_nothing(changes: dict[str, object]) -> None:
    async def work(counter: Counter) -> None:
        key = SoftwareKey()
        session = await with_passkey(counter, key)
        answer = key.get(asked(counter, session), **({"origin": ORIGIN} | changes))  # type: ignore[arg-type]
        assert await check(counter, session, answer) is Reason.PASSKEY_INVALID
        assert counter.account(session).passkeys[0].sign_count == 1

    at_counter(work)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "http://localhost:9999"},
        {"origin": "https://exchange.example"},
        {"rp_id": "attacker.example"},
        {"verified": False},
        {"kind": "webauthn.get"},
    ],
    ids=str,
)
def test_a_passkey_with_anything_wrong_in_its_making_is_not_taken(changes: dict[str, object]) -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        await counter.own.open_passkey(session, password=PASSWORD)
        answer = SoftwareKey().create(asked_new(counter, session), **({"origin": ORIGIN} | changes))  # type: ignore[arg-type]
        refused(await counter.own.confirm_passkey(session, "x", answer), Reason.PASSKEY_INVALID)
        assert counter.account(session).factors == []

    at_counter(work)


def test_a_signature_that_was_changed_or_made_by_another_device_proves_nothing() -> None:
    async def work(counter: Counter) -> None:
        key, thief = SoftwareKey(), SoftwareKey()
        session = await with_passkey(counter, key)
        thief.credential_id, thief.holder, thief.count = key.credential_id, key.holder, 50
        assert (
            await check(counter, session, thief.get(asked(counter, session), origin=ORIGIN)) is Reason.PASSKEY_INVALID
        )
        answer = json.loads(key.get(asked(counter, session), origin=ORIGIN))
        signature = answer["response"]["signature"]
        answer["response"]["signature"] = signature[:-8] + ("AAAAAAAA" if signature[-8:] != "AAAAAAAA" else "BBBBBBBB")
        assert await check(counter, session, json.dumps(answer)) is Reason.PASSKEY_INVALID

    at_counter(work)


@pytest.mark.parametrize("count", [5, 4, 0])
def test_a_count_of_signatures_that_does_not_grow_tells_of_a_copy(count: int) -> None:
    async def work(counter: Counter) -> None:
        key = SoftwareKey(count=4)
        session = await with_passkey(counter, key)
        assert await check(counter, session, key.get(asked(counter, session), origin=ORIGIN)) is None  # 5
        key.count = max(count - 1, 0)
        assert await check(counter, session, key.get(asked(counter, session), origin=ORIGIN)) is Reason.PASSKEY_COPIED

    at_counter(work)


def test_a_device_without_a_count_stays_good() -> None:
    async def work(counter: Counter) -> None:
        key = SoftwareKey(count=0)
        session = await with_passkey(counter, key)
        for _ in range(2):
            assert await check(counter, session, key.get(asked(counter, session), origin=ORIGIN)) is None

    at_counter(work)


def test_the_passkey_of_another_account_proves_nothing() -> None:
    async def work(counter: Counter) -> None:
        anns, bobs = SoftwareKey(), SoftwareKey()
        ann = await with_passkey(counter, anns)
        bob = await with_passkey(counter, bobs, "bob@example.com")
        assert await check(counter, ann, bobs.get(asked(counter, ann), origin=ORIGIN)) is Reason.PASSKEY_INVALID
        # A challenge is the account's whose page asked, whatever purpose somebody names.
        answer = bobs.get(asked(counter, ann, "x"), origin=ORIGIN)
        assert await check(counter, bob, answer, "x") is Reason.PASSKEY_INVALID
        # Nor can it be registered a second time.
        refused(await counter.own.open_passkey(ann, step_up_id=await passkey_step_up(counter, ann, anns)), None)
        copied = bobs.create(asked_new(counter, ann), origin=ORIGIN)
        refused(await counter.own.confirm_passkey(ann, "x", copied), Reason.PASSKEY_EXISTS)

    at_counter(work)


def test_each_of_two_passkeys_is_known_by_its_own_name_and_count() -> None:
    async def work(counter: Counter) -> None:
        phone, stick = SoftwareKey(count=100), SoftwareKey()
        session = await with_passkey(counter, phone)
        await counter.own.open_passkey(session, step_up_id=await passkey_step_up(counter, session, phone))
        made = stick.create(asked_new(counter, session), origin=ORIGIN)
        refused(await counter.own.confirm_passkey(session, "Blue stick", made), None)
        for key in (stick, phone, stick):
            assert await check(counter, session, key.get(asked(counter, session), origin=ORIGIN)) is None
        assert [passkey.sign_count for passkey in counter.account(session).passkeys] == [102, 3]

    at_counter(work)


async def passkey_step_up(counter: Counter, session: HolderSession, key: SoftwareKey) -> str:
    step_up = counter.begin(session, counter.own.adding("passkey"))
    counter.step_ups.send_code(step_up.id, session, "email")
    answer = key.get(asked(counter, session, step_up.id), origin=ORIGIN)
    proofs = {"passkey": answer, "email": counter.post.code("email")}
    refused(await counter.step_ups.prove(step_up.id, session, proofs), None)
    return step_up.id


@pytest.mark.parametrize("answer", ["", "{", "[]", "null", '"x"', "{}", '{"id": 7}', "x" * 20_001, "\ud800", "\x00"])
def test_an_answer_that_is_none_is_refused_like_any_other(answer: str) -> None:
    async def work(counter: Counter) -> None:
        session = await with_passkey(counter, SoftwareKey())
        asked(counter, session)
        assert await check(counter, session, answer) is Reason.PASSKEY_INVALID
        fresh = await counter.sign_up("new@example.com")
        await counter.own.open_passkey(fresh, password=PASSWORD)
        asked_new(counter, fresh)
        refused(await counter.own.confirm_passkey(fresh, "x", answer), Reason.PASSKEY_INVALID)

    at_counter(work)


def test_passkeys_are_asked_for_at_our_own_names_only() -> None:
    passkeys = Passkeys(
        ["https://exchange.example", "http://127.0.0.1:8080", "http://localhost:8080", "http://plain.example"],
        lambda account_id: b"",
        lambda: 0,
    )
    assert passkeys.origins == ["https://exchange.example", "http://localhost:8080"]
    assert passkeys.origin_of("LOCALHOST:8080") == "http://localhost:8080"
    for host in ("127.0.0.1:8080", "[::1]:8080", "attacker.example", "localhost:9999", "localhost", ""):
        assert passkeys.origin_of(host) is None

    async def work(counter: Counter) -> None:
        session = await with_passkey(counter, SoftwareKey())
        refusal = counter.factors.ask_passkey(session.account_id, "x", "127.0.0.1:8080")
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.PASSKEY_ADDRESS
        assert ORIGIN in refusal.explanation

    at_counter(work)
