"""What holders do with their factors: each is on once it has shown that it works, and every change is told of."""

from __future__ import annotations

import asyncio
import re

import pyotp
import pytest

from sparekey.access.commands import EraseAccount, RemoveTotp
from sparekey.console.own_factors import parse_number
from sparekey.console.recovery import COUNT, make_codes, parse_code, spelled
from sparekey.storage.vault import SecretUnavailable
from sparekey.terms.clocktime import DAY_US, MINUTE_US, SECOND_US
from sparekey.terms.letters import SMS
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from tests.unit.console.holders import NUMBER, PASSWORD, Counter, HolderSession, at_counter, done, refused


async def signed_in(counter: Counter) -> HolderSession:
    session = await counter.sign_up()
    await counter.add_totp(session)
    return session


async def recovery_codes(counter: Counter, session: HolderSession) -> list[str]:
    step_up_id = await counter.step_up(session, counter.own.making_codes())
    codes = await counter.own.make_codes(session, step_up_id=step_up_id)
    assert isinstance(codes, list)
    return codes


async def check(counter: Counter, session: HolderSession, name: str, code: str) -> Reason | None:
    refusal = await counter.factors.check(session.account_id, name, code, "sign in")
    return None if refusal is None else refusal.reason


# --- the authenticator -----------------------------------------------------------------------------------------------


def test_an_authenticator_is_on_only_after_a_right_code() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        refused(await counter.own.open_totp(session, password=PASSWORD), None)
        seed = counter.own.seed_of(session)
        assert seed is not None
        assert not counter.vault.names("totp")  # nothing is kept of what may never be confirmed
        address = pyotp.parse_uri(counter.own.totp_address(session, seed))
        assert (address.issuer, address.name) == ("Sparekey", "ann@example.com")
        right = address.at(counter.now_us // SECOND_US)
        refused(
            await counter.own.confirm_totp(session, "000000" if right != "000000" else "111111"), Reason.FACTOR_WRONG
        )
        assert counter.account(session).factors == []
        refused(await counter.own.confirm_totp(session, f" {right[:3]} {right[3:]} "), None)
        assert counter.account(session).factors == ["totp"]
        assert counter.vault.open(counter.account(session).totp_vault_id).decode() == seed
        assert "the authenticator was turned on" in counter.post.letters[-1].text
        assert "203.0.113.7" in counter.post.letters[-1].text
        # It is confirmed once, and its code counts no second time.
        refused(await counter.own.confirm_totp(session, right), Reason.SETUP_OVER)
        assert counter.own.seed_of(session) is None
        assert await check(counter, session, "totp", right) is Reason.FACTOR_USED

    at_counter(work)


@pytest.mark.parametrize(("off_us", "said"), [(-3 * MINUTE_US, "behind"), (3 * MINUTE_US, "ahead")])
def test_a_clock_that_drifts_is_named_while_it_is_set_up_and_not_accepted(off_us: int, said: str) -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        await counter.own.open_totp(session, password=PASSWORD)
        seed = counter.own.seed_of(session)
        assert seed is not None
        counter.seeds[session.account_id] = seed
        refusal = await counter.own.confirm_totp(session, counter.totp(session, off_us=off_us))
        refused(refusal, Reason.FACTOR_DRIFT)
        assert refusal is not None
        assert refusal.facts == (180, said)
        assert counter.account(session).factors == []

    at_counter(work)


def test_a_seed_that_is_not_confirmed_within_ten_minutes_is_forgotten() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        await counter.own.open_totp(session, password=PASSWORD)
        seed = counter.own.seed_of(session)
        assert seed is not None
        counter.seeds[session.account_id] = seed
        counter.now_us += 10 * MINUTE_US
        assert counter.own.seed_of(session) is None
        refused(await counter.own.confirm_totp(session, counter.totp(session)), Reason.SETUP_OVER)

    at_counter(work)


def test_a_session_sets_up_one_factor_at_a_time() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        await counter.own.open_totp(session, password=PASSWORD)
        await counter.own.open_sms(session, NUMBER, password=PASSWORD)
        assert counter.own.seed_of(session) is None
        refused(await counter.own.confirm_totp(session, "123456"), Reason.SETUP_OVER)
        refused(await counter.own.confirm_passkey(session, "x", "{}"), Reason.SETUP_OVER)
        refused(await counter.own.confirm_sms(session, counter.post.code(SMS)), None)

    at_counter(work)


def test_another_session_does_not_see_the_seed() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        await counter.own.open_totp(session, password=PASSWORD)
        assert counter.own.seed_of(HolderSession("another", session.account_id)) is None

    at_counter(work)


def test_the_first_factor_wants_the_password_and_a_further_one_a_step_up() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        refused(await counter.own.open_totp(session), Reason.PASSWORD_WRONG)
        refused(await counter.own.open_totp(session, password="guess"), Reason.PASSWORD_WRONG)
        refused(await counter.own.open_sms(session, NUMBER, password="guess"), Reason.PASSWORD_WRONG)
        assert not counter.post.letters
        await counter.add_totp(session)
        refused(await counter.own.open_sms(session, NUMBER, password=PASSWORD), Reason.STEP_UP_REQUIRED)
        refused(await counter.own.open_passkey(session, password=PASSWORD), Reason.STEP_UP_REQUIRED)
        for other in (counter.own.adding("passkey"), counter.own.adding("sms", "+447400999999")):
            step_up_id = await counter.step_up(session, other)
            refused(await counter.own.open_sms(session, NUMBER, step_up_id=step_up_id), Reason.STEP_UP_REQUIRED)
        await counter.add_sms(session, await counter.step_up(session, counter.own.adding("sms", NUMBER)))
        assert counter.account(session).factors == ["totp", "sms"]

    at_counter(work)


def test_a_first_factor_that_was_begun_for_the_password_is_over_once_there_is_another() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        elsewhere = HolderSession("elsewhere", session.account_id)
        await counter.own.open_totp(elsewhere, password=PASSWORD)
        seed = counter.own.seed_of(elsewhere)
        await counter.add_sms(session)
        assert seed is not None
        counter.seeds[session.account_id] = seed
        assert counter.own.seed_of(elsewhere) is None
        refused(await counter.own.confirm_totp(elsewhere, counter.totp(session)), Reason.SETUP_OVER)
        assert counter.account(session).factors == ["sms"]

    at_counter(work)


def test_a_guessed_password_counts_as_an_attempt() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        for _ in range(5):
            refused(await counter.own.open_totp(session, password="guess"), Reason.PASSWORD_WRONG)
        refused(await counter.own.open_totp(session, password=PASSWORD), Reason.FACTOR_LIMIT)

    at_counter(work)


def test_a_code_counts_once_in_the_order_a_b_a_and_of_two_at_the_same_time() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        a = counter.totp(session)
        assert await check(counter, session, "totp", a) is None
        counter.now_us += 30 * SECOND_US
        b = counter.totp(session)
        assert await check(counter, session, "totp", b) is None
        assert await check(counter, session, "totp", a) is Reason.FACTOR_USED
        counter.now_us += 30 * SECOND_US
        c = counter.totp(session)
        outcomes = await asyncio.gather(*(check(counter, session, "totp", c) for _ in range(3)))
        assert sorted(outcomes, key=str) == [None, Reason.FACTOR_USED, Reason.FACTOR_USED]

    at_counter(work)


def test_an_authenticator_that_replaces_another_leaves_nothing_of_it() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        before = counter.totp(session)
        old = counter.account(session).totp_vault_id
        await counter.add_totp(session, await counter.step_up(session, counter.own.adding("totp")))
        assert counter.account(session).totp_vault_id != old
        assert [f"totp/{subject}/{name}" for subject, name in counter.vault.names("totp")] == [
            counter.account(session).totp_vault_id
        ]
        assert await check(counter, session, "totp", before) is Reason.FACTOR_WRONG

    at_counter(work)


# --- SMS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "number"),
    [("+44 7400 123456", "+447400123456"), ("+49 (1512) 345-6789", "+4915123456789"), ("+12025550173", "+12025550173")],
)
def test_a_number_is_kept_as_the_whole_world_writes_it(typed: str, number: str) -> None:
    assert parse_number(typed) == number


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "x",
        "07400 123456",
        "+44",
        "+999 123 456",
        "+49 30 123456",
        "+44" + "7" * 60,
        "+44\n7400 123456; rm",
        "+1 900 555 0100",
    ],
)
def test_what_takes_no_sms_is_no_number(typed: str) -> None:
    refused(parse_number(typed), Reason.PHONE_INVALID)


def test_a_number_is_on_after_the_code_that_went_to_it_and_shown_masked() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        refused(await counter.own.confirm_sms(session, "12345678"), Reason.SETUP_OVER)
        refused(await counter.own.open_sms(session, "+44 7400 123456", password=PASSWORD), None)
        [letter] = counter.post.letters
        assert (letter.kind, letter.to) == (SMS, NUMBER)
        code = counter.post.code(SMS)
        refused(
            await counter.own.confirm_sms(session, "00000000" if code != "00000000" else "11111111"), Reason.CODE_WRONG
        )
        assert not counter.vault.names("sms")
        refused(await counter.own.confirm_sms(session, code), None)
        assert counter.account(session).factors == ["sms"]
        assert counter.factors.masked_number(session.account_id) == "+44••••••••56"
        assert "codes by SMS were turned on" in counter.post.letters[-1].text
        refused(counter.factors.send_sms(session.account_id, "sign in", "sign in"), None)
        assert await check(counter, session, "sms", code) is Reason.CODE_WRONG
        assert await check(counter, session, "sms", counter.post.code(SMS)) is None
        assert await check(counter, session, "sms", counter.post.code(SMS)) is Reason.CODE_EXPIRED
        # Neither number nor code ever stands in the journal.
        journal = b"".join(batch.frame for batch in counter.journal.read())
        assert NUMBER.encode() not in journal
        assert code.encode() not in journal

    at_counter(work)


def test_a_code_that_went_to_one_number_proves_no_other() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        await counter.own.open_sms(session, NUMBER, password=PASSWORD)
        code = counter.post.code(SMS)
        counter.codes.issue = lambda kind, purpose, account_id: Refusal(Reason.CODE_LIMIT, (5, "for this"))  # type: ignore[method-assign]
        refused(await counter.own.open_sms(session, "+447400999999", password=PASSWORD), Reason.CODE_LIMIT)
        refused(await counter.own.confirm_sms(session, code), Reason.CODE_EXPIRED)
        assert counter.account(session).factors == []

    at_counter(work)


def test_what_is_being_set_up_goes_with_the_account() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        await counter.own.open_sms(session, NUMBER, password=PASSWORD)
        counter.own.forget_account(session.account_id + 1)
        assert counter.own.number_of(session) == NUMBER
        counter.own.forget_account(session.account_id)
        assert counter.own.number_of(session) is None

    at_counter(work)


def test_a_code_that_nobody_has_the_time_to_look_at_costs_no_try() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        codes = await recovery_codes(counter, session)
        counter.passwords._most_waiting = 0
        for _ in range(6):
            assert await check(counter, session, "recovery", codes[0]) is Reason.SERVER_BUSY
        assert not counter.account(session).attempts
        counter.passwords._most_waiting = 1
        assert await check(counter, session, "recovery", codes[0]) is None

    at_counter(work)


# --- away with them --------------------------------------------------------------------------------------------------


def test_the_last_factor_goes_with_itself_or_a_recovery_code_and_withdrawals_wait_a_day() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        codes = await recovery_codes(counter, session)
        action = counter.own.removing(session.account_id, "totp")
        assert not isinstance(action, Refusal)
        refused(await counter.own.remove(session, "totp", step_up_id=""), Reason.STEP_UP_REQUIRED)
        other = await counter.step_up(session, counter.own.making_codes())
        refused(await counter.own.remove(session, "totp", step_up_id=other), Reason.STEP_UP_REQUIRED)
        step_up = counter.begin(session, action)
        counter.step_ups.send_code(step_up.id, session, "email")
        proofs = {"recovery": codes[0], "email": counter.post.code("email")}
        refused(await counter.step_ups.prove(step_up.id, session, proofs), None)
        refused(await counter.own.remove(session, "totp", step_up_id=step_up.id), None)
        account = counter.account(session)
        assert account.factors == []
        assert account.withdrawals_from_us == counter.now_us + DAY_US
        assert not counter.vault.names("totp")
        assert not counter.vault.names("recovery")
        assert "no longer a second factor" in counter.post.letters[-1].text

    at_counter(work)


def test_a_removal_takes_the_factor_that_was_named_and_no_other() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        await counter.add_sms(session, await counter.step_up(session, counter.own.adding("sms", NUMBER)))
        action = counter.own.removing(session.account_id, "sms")
        assert not isinstance(action, Refusal)
        step_up_id = await counter.step_up(session, action)
        refused(await counter.own.remove(session, "totp", step_up_id=step_up_id), Reason.STEP_UP_REQUIRED)
        refused(await counter.own.remove(session, "passkey", "x", step_up_id=step_up_id), Reason.FACTOR_MISSING)
        refused(await counter.own.remove(session, "sms", step_up_id=step_up_id), None)
        refused(await counter.own.remove(session, "sms", step_up_id=step_up_id), Reason.FACTOR_MISSING)
        assert counter.account(session).factors == ["totp"]
        assert not counter.vault.names("sms")

    at_counter(work)


def test_what_comes_too_late_changes_nothing() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        await counter.own.open_sms(session, NUMBER, password=PASSWORD)
        code = counter.post.code(SMS)
        done(counter.writer.submit(EraseAccount(session.account_id)))
        refused(await counter.own.confirm_sms(session, code), Reason.SETUP_OVER)
        assert not counter.vault.names("sms")

    at_counter(work)


# --- recovery codes --------------------------------------------------------------------------------------------------


def test_codes_are_told_apart_from_everything_else_and_read_as_people_type_them() -> None:
    codes = make_codes()
    assert len(set(codes)) == COUNT == 10
    for index, code in enumerate(codes):
        assert parse_code(spelled(code)) == (index, code)
        assert parse_code(f"  {spelled(code).upper().replace('-', ' ')} ") == (index, code)
        assert parse_code(code.replace("0", "O").replace("1", "l")) == (index, code)
    for typed in (
        "",
        "a",
        codes[0][:-1],
        codes[0] + "0",
        "!" * 16,
        "z" + codes[0][1:],
        "ä" * 16,
        "a" * 1_000,
        "\ud800" * 16,
    ):
        assert parse_code(typed) is None


def test_a_recovery_code_is_a_second_factor_once_and_its_use_is_told_of() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        assert counter.factors.choices(session.account_id) == ["totp"]
        codes = await recovery_codes(counter, session)
        assert len(codes) == 10
        assert all(re.fullmatch(r"[0-9a-z]{4}(-[0-9a-z]{4}){3}", code) for code in codes)
        assert "new recovery codes were made" in counter.post.letters[-1].text
        assert counter.factors.choices(session.account_id) == ["totp", "recovery"]
        outcomes = await asyncio.gather(*(check(counter, session, "recovery", codes[3]) for _ in range(3)))
        assert sorted(outcomes, key=str) == [None, Reason.FACTOR_USED, Reason.FACTOR_USED]
        assert "9 are left" in counter.post.letters[-1].text
        assert await check(counter, session, "recovery", codes[4].upper()) is None
        letters = "\n".join(letter.text + letter.html for letter in counter.post.letters)
        assert not [code for code in codes if code in letters]

    at_counter(work)


def test_a_new_set_ends_the_old_one_and_only_hashes_are_kept() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        old = await recovery_codes(counter, session)
        counter.now_us += 5 * MINUTE_US
        new = await recovery_codes(counter, session)
        assert await check(counter, session, "recovery", old[0]) is Reason.RECOVERY_WRONG
        assert await check(counter, session, "recovery", new[0]) is None
        [(subject, name)] = counter.vault.names("recovery")
        sealed = counter.vault.open(f"recovery/{subject}/{name}").decode()
        assert sealed.count("$argon2id$") == 10
        journal = b"".join(batch.frame for batch in counter.journal.read())
        for code in (*old, *new):
            bare = code.replace("-", "")
            assert bare not in sealed
            assert bare.encode() not in journal
            assert code.encode() not in journal

    at_counter(work)


def test_recovery_codes_need_a_step_up_of_their_own() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        refused(await counter.own.make_codes(session, step_up_id=""), Reason.STEP_UP_REQUIRED)
        other = await counter.step_up(session, counter.own.adding("sms", NUMBER))
        refused(await counter.own.make_codes(session, step_up_id=other), Reason.STEP_UP_REQUIRED)
        step_up_id = await counter.step_up(session, counter.own.making_codes())
        done(counter.writer.submit(RemoveTotp(session.account_id)))  # by the operator, meanwhile
        refused(await counter.own.make_codes(session, step_up_id=step_up_id), Reason.FACTOR_MISSING)
        assert not counter.vault.names("recovery")

    at_counter(work)


def test_a_start_forgets_what_was_sealed_for_nothing_and_nothing_else() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        codes = await recovery_codes(counter, session)
        await counter.add_sms(session, await counter.step_up(session, counter.own.adding("sms", NUMBER)))
        subject = f"account-{session.account_id}"
        left = [counter.vault.seal(subject, kind, "left", b"x") for kind in ("totp", "sms", "recovery")]
        counter.own.begin()
        for vault_id in left:
            with pytest.raises(SecretUnavailable):
                counter.vault.open(vault_id)
        assert await check(counter, session, "totp", counter.totp(session)) is None
        assert await check(counter, session, "recovery", codes[0]) is None
        assert counter.factors.masked_number(session.account_id)

    at_counter(work)


def test_tries_are_counted_over_all_factors_and_before_they_are_looked_at() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        codes = await recovery_codes(counter, session)
        await counter.add_sms(session, await counter.step_up(session, counter.own.adding("sms", NUMBER)))
        counter.factors.send_sms(session.account_id, "sign in", "sign in")
        sms = counter.post.code(SMS)
        for name, code in (("totp", "x"), ("sms", "x"), ("recovery", "x"), ("passkey", "x"), ("email", "x")):
            assert await check(counter, session, name, code) is not None
        right = {"totp": counter.totp(session), "sms": sms, "recovery": codes[0]}
        for name, code in right.items():
            assert await check(counter, session, name, code) is Reason.FACTOR_LIMIT
        counter.now_us += 5 * MINUTE_US
        right["totp"] = counter.totp(session)
        for name, code in right.items():
            assert await check(counter, session, name, code) is None

    at_counter(work)


def test_huge_and_odd_codes_are_wrong_codes() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        await recovery_codes(counter, session)
        for code in ("9" * 100_000, "\u0663" * 6, "12345\x00", "\ud800"):
            for name in ("totp", "recovery"):
                assert await check(counter, session, name, code) in (Reason.FACTOR_WRONG, Reason.RECOVERY_WRONG)
            counter.now_us += 5 * MINUTE_US

    at_counter(work)
