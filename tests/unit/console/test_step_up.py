"""A step-up: proof for one act, in one session, once, while it is fresh."""

from __future__ import annotations

import asyncio

from sparekey.access.commands import RemoveTotp
from sparekey.console.codes import SENT_MOST, SENT_MOST_1H
from sparekey.console.step_up import OPEN_MOST, Action
from sparekey.terms.clocktime import HOUR_US, MINUTE_US, SECOND_US
from sparekey.terms.reasons import Reason
from tests.unit.console.holders import Counter, HolderSession, at_counter, refused

CREATE = Action.of("key-create", "", "create the API key “Bot A”", {"label": "Bot A", "permissions": ["reading"]})
DELETE = Action.of("key-delete", "7", "delete the API key “Bot A”")


async def signed_in(counter: Counter) -> HolderSession:
    session = await counter.sign_up()
    await counter.add_totp(session)
    return session


def test_an_act_with_other_parameters_is_another_act() -> None:
    assert Action.of("edit", "7", "edit", {"a": 1, "b": 2}) == Action.of("edit", "7", "edit", {"b": 2, "a": 1})
    assert Action.of("edit", "7", "edit", {"a": 1}) != Action.of("edit", "7", "edit", {"a": 2})
    assert Action.of("edit", "7", "edit") != Action.of("edit", "8", "edit")


def test_a_right_authenticator_and_the_mailed_code_prove_an_act_once() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        step_up_id = await counter.step_up(session, CREATE)
        assert "create the API key" in counter.post.letters[-1].text
        refused(counter.step_ups.take(step_up_id, session, CREATE), None)
        refused(counter.step_ups.take(step_up_id, session, CREATE), Reason.STEP_UP_REQUIRED)

    at_counter(work)


def test_a_proof_is_for_its_act_its_session_and_five_minutes() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        step_up_id = await counter.step_up(session, CREATE)
        refused(counter.step_ups.take(step_up_id, session, DELETE), Reason.STEP_UP_REQUIRED)
        other = HolderSession("another session", session.account_id)
        refused(counter.step_ups.take(step_up_id, other, CREATE), Reason.STEP_UP_REQUIRED)
        assert counter.step_ups.find(step_up_id, other) is None
        proven_us = counter.now_us - 30 * SECOND_US
        counter.now_us = proven_us + 5 * MINUTE_US
        refused(counter.step_ups.take(step_up_id, session, CREATE), Reason.STEP_UP_REQUIRED)
        step_up_id = await counter.step_up(session, CREATE)
        counter.now_us += 5 * MINUTE_US - 30 * SECOND_US - 1
        refused(counter.step_ups.take(step_up_id, session, CREATE), None)

    at_counter(work)


def test_nothing_is_taken_before_it_is_proven() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        step_up = counter.begin(session, CREATE)
        refused(counter.step_ups.take(step_up.id, session, CREATE), Reason.STEP_UP_REQUIRED)
        refused(counter.step_ups.take("", session, CREATE), Reason.STEP_UP_REQUIRED)
        refused(counter.step_ups.take("nonsense", session, CREATE), Reason.STEP_UP_REQUIRED)

    at_counter(work)


def test_a_code_that_was_mailed_for_one_act_is_good_for_no_other() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        first, second = counter.begin(session, CREATE), counter.begin(session, DELETE)
        counter.step_ups.send_code(first.id, session, "email")
        code = counter.post.code("email")
        counter.step_ups.send_code(second.id, session, "email")
        proofs = {"totp": counter.totp(session), "email": code}
        refused(await counter.step_ups.prove(second.id, session, proofs), Reason.CODE_WRONG)
        # The authenticator's code was not looked at, so it is still good where the mailed one belongs.
        refused(await counter.step_ups.prove(first.id, session, proofs), None)

    at_counter(work)


def test_a_mailed_code_lives_ten_minutes_and_the_newest_ends_those_before() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        step_up = counter.begin(session, CREATE)
        counter.step_ups.send_code(step_up.id, session, "email")
        old = counter.post.code("email")
        counter.step_ups.send_code(step_up.id, session, "email")
        new = counter.post.code("email")
        prove = counter.step_ups.prove
        assert old != new
        refused(await prove(step_up.id, session, {"totp": counter.totp(session), "email": old}), Reason.CODE_WRONG)
        counter.now_us += 10 * MINUTE_US
        refused(await prove(step_up.id, session, {"totp": counter.totp(session), "email": new}), Reason.CODE_EXPIRED)
        counter.step_ups.send_code(step_up.id, session, "email")
        counter.now_us += 10 * MINUTE_US - 1
        proofs = {"totp": counter.totp(session), "email": counter.post.code("email")}
        refused(await prove(step_up.id, session, proofs), None)

    at_counter(work)


def test_codes_go_out_a_few_times_for_an_act_and_a_few_more_within_an_hour() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        sent = 0
        while sent < SENT_MOST_1H:
            step_up = counter.begin(session, CREATE)
            for _ in range(SENT_MOST):
                refused(counter.step_ups.send_code(step_up.id, session, "email"), None)
                sent += 1
            refused(counter.step_ups.send_code(step_up.id, session, "email"), Reason.CODE_LIMIT)
        step_up = counter.begin(session, CREATE)
        refused(counter.step_ups.send_code(step_up.id, session, "email"), Reason.CODE_LIMIT)
        assert len([letter for letter in counter.post.letters if "verification code" in letter.subject]) == sent
        counter.now_us += HOUR_US
        step_up = counter.begin(session, CREATE)
        refused(counter.step_ups.send_code(step_up.id, session, "email"), None)

    at_counter(work)


def test_a_code_that_came_to_use_counts_no_more_among_those_sent() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        for _ in range(SENT_MOST_1H + 5):
            await counter.step_up(session, CREATE)
        step_up = counter.begin(session, CREATE)
        refused(counter.step_ups.send_code(step_up.id, session, "email"), None)

    at_counter(work)


def test_the_mailed_code_alone_the_factor_alone_and_two_factors_prove_nothing() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        step_up = counter.begin(session, CREATE)
        counter.step_ups.send_code(step_up.id, session, "email")
        email, totp = counter.post.code("email"), counter.totp(session)
        before = counter.journal.position
        for proofs in (
            {"email": email},
            {"totp": totp},
            {"totp": totp, "recovery": "x", "email": email},
            {},
            {"x": "y"},
        ):
            refused(await counter.step_ups.prove(step_up.id, session, proofs), Reason.REQUEST_INVALID)
        assert counter.journal.position == before  # nothing was looked at, so nothing was counted
        refused(await counter.step_ups.prove(step_up.id, session, {"totp": totp, "email": email}), None)

    at_counter(work)


def test_where_the_policy_says_so_the_factor_alone_proves() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        step_up = counter.begin(session, CREATE)
        assert not step_up.needs_email
        refused(counter.step_ups.send_code(step_up.id, session, "email"), Reason.REQUEST_INVALID)
        refused(await counter.step_ups.prove(step_up.id, session, {"totp": counter.totp(session)}), None)
        refused(counter.step_ups.take(step_up.id, session, CREATE), None)

    at_counter(work, needs_email=False)


def test_without_a_second_factor_there_is_nothing_to_prove() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        refused(counter.step_ups.begin(session, CREATE), Reason.FACTOR_MISSING)

    at_counter(work)


def test_a_step_up_without_a_factor_left_says_so() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        step_up = counter.begin(session, CREATE)
        totp = counter.totp(session)
        counter.writer.submit(RemoveTotp(session.account_id))  # by the operator, meanwhile
        refused(await counter.step_ups.prove(step_up.id, session, {"totp": totp}), Reason.FACTOR_MISSING)

    at_counter(work)


def test_an_sms_is_a_second_factor_and_bound_to_the_act_as_well() -> None:
    async def work(counter: Counter) -> None:
        session = await counter.sign_up()
        await counter.add_sms(session)
        step_up, other = counter.begin(session, CREATE), counter.begin(session, DELETE)
        refused(counter.step_ups.send_code(step_up.id, session, "sms"), None)
        refused(counter.step_ups.send_code(step_up.id, session, "email"), None)
        refused(counter.step_ups.send_code(other.id, session, "email"), None)
        proofs = {"sms": counter.post.code("sms"), "email": counter.post.code("email")}
        refused(await counter.step_ups.prove(other.id, session, proofs), Reason.CODE_EXPIRED)
        refused(counter.step_ups.send_code(step_up.id, session, "email"), None)
        proofs["email"] = counter.post.code("email")
        refused(await counter.step_ups.prove(step_up.id, session, proofs), None)
        assert step_up.proved_by == "sms"

    at_counter(work)


def test_of_two_proofs_with_one_code_at_the_same_time_one_counts() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        first, second = counter.begin(session, CREATE), counter.begin(session, CREATE)
        asked = []
        for step_up in (first, second):
            counter.step_ups.send_code(step_up.id, session, "email")
            proofs = {"totp": counter.totp(session), "email": counter.post.code("email")}
            asked.append(counter.step_ups.prove(step_up.id, session, proofs))
        outcomes = await asyncio.gather(*asked)
        assert [None if outcome is None else outcome.reason for outcome in outcomes] == [None, Reason.FACTOR_USED]

    at_counter(work)


def test_wrong_proofs_are_counted_over_all_factors_and_then_nothing_is_looked_at() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        step_up = counter.begin(session, CREATE)
        counter.step_ups.send_code(step_up.id, session, "email")
        right = {"totp": counter.totp(session), "email": counter.post.code("email")}
        wrong_email = right | {"email": "00000000" if right["email"] != "00000000" else "11111111"}
        wrong_totp = right | {"totp": "000000" if right["totp"] != "000000" else "111111"}
        for proofs, reason in ((wrong_email, Reason.CODE_WRONG), (wrong_totp, Reason.FACTOR_WRONG)) * 2:
            refused(await counter.step_ups.prove(step_up.id, session, proofs), reason)
        refused(await counter.factors.check(session.account_id, "recovery", "x", ""), Reason.FACTOR_MISSING)
        refused(await counter.step_ups.prove(step_up.id, session, right), Reason.FACTOR_LIMIT)
        counter.now_us += 5 * MINUTE_US
        right["totp"] = counter.totp(session)
        refused(await counter.step_ups.prove(step_up.id, session, right), None)

    at_counter(work)


def test_a_session_keeps_a_few_step_ups_open_and_the_oldest_makes_room() -> None:
    async def work(counter: Counter) -> None:
        session = await signed_in(counter)
        step_ups = [counter.begin(session, CREATE) for _ in range(OPEN_MOST + 1)]
        assert counter.step_ups.find(step_ups[0].id, session) is None
        assert all(counter.step_ups.find(step_up.id, session) is step_up for step_up in step_ups[1:])

    at_counter(work)
