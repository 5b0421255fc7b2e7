"""Signing up and in, and passwords that change: what each step leaves behind, and what a crash between two does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from sparekey.access.commands import CreateAccount, EnrolTotp, EraseAccount
from sparekey.console.identity import (
    LETTERS_MOST,
    LETTERS_WINDOW_US,
    MOST_SIGN_UPS,
    RESET_LASTS_US,
    SIGN_UP_LASTS_US,
    TRIES_MOST,
    TRIES_WINDOW_US,
    SignedIn,
    Visitor,
    _SignUp,
)
from sparekey.console.sessions import HALF_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from tests.console_office import ANN, CODE, NOON_US, OTHER_PASSWORD, PASSWORD, VISITOR, Office, in_office


def reason(answer: Any) -> Reason | None:
    return answer.reason if isinstance(answer, Refusal) else None


# --- signing up ------------------------------------------------------------------------------------------------------


def test_nothing_exists_until_the_link_of_the_letter_is_used() -> None:
    async def work(office: Office) -> None:
        assert await office.identity.sign_up(" Ann@Example.COM ", PASSWORD, VISITOR) is None
        assert not office.has_account()
        [letter] = office.post.letters
        assert letter.to == ANN
        assert PASSWORD not in letter.text
        assert reason(await office.identity.sign_in(ANN, PASSWORD, VISITOR)) is Reason.SIGN_IN_WRONG
        token = office.post.token("/sign-up/confirm")
        assert office.identity.waits_for_confirmation(token)
        assert not office.has_account()  # a look changes nothing
        assert await office.identity.confirm(token) is None
        assert office.has_account()
        assert office.sealed("sign-up") == 0
        assert office.vault.open(f"email/account-{office.account().account_id}/address") == ANN.encode()
        assert office.is_in(await office.sign_in())

    in_office(work)


def test_a_link_confirms_once_however_often_it_is_sent_at_the_same_time() -> None:
    async def work(office: Office) -> None:
        await office.identity.sign_up(ANN, PASSWORD, VISITOR)
        token = office.post.token("/sign-up/confirm")
        answers = await asyncio.gather(*(office.identity.confirm(token) for _ in range(5)))
        assert answers.count(None) == 1
        assert {reason(answer) for answer in answers if answer} == {Reason.LINK_EXPIRED}
        assert len(office.access.accounts) == 1

    in_office(work)


@pytest.mark.parametrize("token", ["", "x", "y" * 100_000, "\ud800", "../../x"])
def test_a_link_that_nobody_was_sent_confirms_nothing(token: str) -> None:
    async def work(office: Office) -> None:
        await office.identity.sign_up(ANN, PASSWORD, VISITOR)
        assert not office.identity.waits_for_confirmation(token)
        assert reason(await office.identity.confirm(token)) is Reason.LINK_EXPIRED
        assert not office.has_account()

    in_office(work)


def test_a_sign_up_that_nobody_confirms_is_forgotten_after_a_day() -> None:
    async def work(office: Office) -> None:
        await office.identity.sign_up(ANN, PASSWORD, VISITOR)
        token = office.post.token("/sign-up/confirm")
        office.now_us += SIGN_UP_LASTS_US - 1
        assert office.identity.waits_for_confirmation(token)
        office.now_us += 1
        assert reason(await office.identity.confirm(token)) is Reason.LINK_EXPIRED
        office.identity.tidy()
        assert office.sealed("sign-up") == 0

    in_office(work)


def test_of_two_sign_ups_for_one_address_the_first_that_is_confirmed_counts() -> None:
    async def work(office: Office) -> None:
        await office.identity.sign_up(ANN, OTHER_PASSWORD, VISITOR)
        first = office.post.token("/sign-up/confirm")
        await office.identity.sign_up(ANN, PASSWORD, VISITOR)
        second = office.post.token("/sign-up/confirm")
        assert await office.identity.confirm(second) is None
        assert reason(await office.identity.confirm(first)) is Reason.LINK_EXPIRED
        assert len(office.access.accounts) == 1
        assert office.sealed("sign-up") == 0
        assert office.sealed("password") == 1
        await office.sign_in(PASSWORD)

    in_office(work)


def test_a_thousand_sign_ups_wait_and_the_oldest_makes_room() -> None:
    async def work(office: Office) -> None:
        await office.identity.sign_up(ANN, PASSWORD, VISITOR)
        oldest = office.post.token("/sign-up/confirm")
        tokens = [office.identity._note_sign_up(_SignUp(f"{at}@example.com", "$")) for at in range(MOST_SIGN_UPS)]
        assert office.sealed("sign-up") == MOST_SIGN_UPS
        assert not office.identity.waits_for_confirmation(oldest)
        assert office.identity.waits_for_confirmation(tokens[0])

    in_office(work)


def test_a_restart_forgets_no_sign_up_that_still_has_time() -> None:
    async def work(office: Office) -> None:
        await office.identity.sign_up(ANN, PASSWORD, VISITOR)
        early = office.post.token("/sign-up/confirm")
        office.now_us += SIGN_UP_LASTS_US // 2
        await office.identity.sign_up("bob@example.com", PASSWORD, VISITOR)
        late = office.post.token("/sign-up/confirm")
        office.now_us += SIGN_UP_LASTS_US // 2
        identity = office.make_identity()
        assert not identity.waits_for_confirmation(early)
        assert office.sealed("sign-up") == 1
        assert await identity.confirm(late) is None

    in_office(work)


def test_a_crash_before_the_account_leaves_a_link_that_still_works() -> None:
    async def work(office: Office) -> None:
        await office.identity.sign_up(ANN, PASSWORD, VISITOR)
        token = office.post.token("/sign-up/confirm")
        # What stands in the vault when the process ends between sealing and the journal's commit:
        office.vault.seal("account-100000001", "email", "address", ANN.encode())
        orphan = office.vault.seal("account-100000001", "password", "argon2id-0000000000000000", b"$argon2id$")
        identity = office.make_identity()
        assert not office.holds(orphan)
        assert await identity.confirm(token) is None
        assert office.sealed("password") == 1

    in_office(work)


def test_a_crash_after_the_account_leaves_one_account_and_no_working_link() -> None:
    async def work(office: Office) -> None:
        await office.identity.sign_up(ANN, PASSWORD, VISITOR)
        token = office.post.token("/sign-up/confirm")
        erase, office.vault.erase = office.vault.erase, lambda subject: None  # type: ignore[method-assign]
        await office.identity.confirm(token)
        office.vault.erase = erase  # type: ignore[method-assign]
        identity = office.make_identity()
        assert reason(await identity.confirm(token)) is Reason.LINK_EXPIRED
        assert len(office.access.accounts) == 1
        assert office.sealed("sign-up") == 0
        await office.sign_in()

    in_office(work)


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@example.com", "a@b@example.com", "ann@localhost", "a" * 300])
def test_what_is_no_address_is_told_so_and_costs_nothing(email: str) -> None:
    async def work(office: Office) -> None:
        for answer in (
            await office.identity.sign_up(email, PASSWORD, VISITOR),
            await office.identity.sign_in(email, PASSWORD, VISITOR),
            await office.identity.ask_reset(email, VISITOR),
        ):
            assert reason(answer) is Reason.EMAIL_INVALID
        assert office.passwords.hashed == 0
        assert not office.post.letters

    in_office(work)


def test_a_weak_password_opens_no_account_and_sends_no_letter() -> None:
    async def work(office: Office) -> None:
        for password in ("", "short", "password1234", ANN):
            assert reason(await office.identity.sign_up(ANN, password, VISITOR)) is Reason.PASSWORD_WEAK
        assert not office.post.letters
        assert office.sealed("sign-up") == 0

    in_office(work)


# --- signing in ------------------------------------------------------------------------------------------------------


def test_an_account_without_a_second_factor_is_signed_in_by_its_password() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        signed_in = await office.sign_in()
        assert signed_in.session.account_id == account.account_id
        assert signed_in.session.proven == ("password",)
        assert office.is_in(signed_in)

    in_office(work)


def test_a_second_factor_is_asked_for_before_anything_is_open() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        office.writer.submit(EnrolTotp(account.account_id, "totp/x"))
        half = await office.sign_in()
        assert not half.device
        assert not office.is_in(half)
        found = office.sessions.find_half(half.token)
        assert found is not None
        assert reason(await office.identity.prove_factor(found, "totp", "000000", VISITOR)) is Reason.FACTOR_WRONG
        assert not office.is_in(half)
        full = await office.identity.prove_factor(found, "totp", CODE, VISITOR)
        assert isinstance(full, SignedIn)
        assert full.token != half.token
        assert full.session.proven == ("password", "totp")
        assert office.is_in(full) and not office.is_in(half)
        assert set(office.factors.purposes) == {f"sign-in {found.handle}"}

    in_office(work)


def test_a_factor_that_comes_too_late_opens_nothing() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        office.writer.submit(EnrolTotp(account.account_id, "totp/x"))
        half = await office.sign_in()
        office.now_us += HALF_US
        answer = await office.identity.prove_factor(half.session, "totp", CODE, VISITOR)
        assert reason(answer) is Reason.SESSION_ENDED

    in_office(work)


def test_a_wrong_password_opens_nothing() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        for password in ("", PASSWORD.upper(), PASSWORD + " ", OTHER_PASSWORD):
            assert reason(await office.identity.sign_in(ANN, password, VISITOR)) is Reason.SIGN_IN_WRONG

    in_office(work)


def test_an_account_that_was_erased_while_its_password_was_looked_at_is_not_signed_in() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        signing_in = asyncio.ensure_future(office.identity.sign_in(ANN, PASSWORD, VISITOR))
        await asyncio.sleep(0)
        office.writer.submit(EraseAccount(account.account_id))
        assert reason(await signing_in) is Reason.SIGN_IN_WRONG
        assert office.file.of(account.account_id) == []

    in_office(work)


def test_a_password_that_changed_while_it_was_looked_at_is_wrong() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        new = await office.passwords.hash(OTHER_PASSWORD)
        signing_in = asyncio.ensure_future(office.identity.sign_in(ANN, PASSWORD, VISITOR))
        await asyncio.sleep(0)
        office.identity._submit_password(account.account_id, new)
        assert reason(await signing_in) is Reason.SIGN_IN_WRONG

    in_office(work)


def test_a_password_hashed_at_an_older_cost_is_hashed_anew_at_a_sign_in_and_nothing_else_changes() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        vault_id = account.password_vault_id
        kind, subject, name = vault_id.split("/")
        old = PasswordHasher(time_cost=2, memory_cost=64, parallelism=2).hash(PASSWORD)
        office.vault.seal(subject, kind, name, old.encode())
        position = office.sequencer.position
        await office.sign_in()
        assert office.vault.open(vault_id).startswith(b"$argon2id$v=19$m=8,t=1,p=1$")
        assert (account.password_vault_id, office.sequencer.position) == (vault_id, position)
        await office.sign_in()

    in_office(work)


def test_a_letter_tells_of_a_device_that_the_account_does_not_know_and_of_no_other() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        office.post.letters.clear()
        first = await office.sign_in()
        [letter] = office.post.letters
        assert letter.to == ANN and "new device" in letter.subject
        assert "192.0.2.1" in letter.text and "Firefox" in letter.text and "2023-11-14 22:13:20 UTC" in letter.text
        assert "/my/settings/security" in letter.text
        again = await office.sign_in(visitor=VISITOR._replace(device=first.device))
        assert again.device == first.device
        assert len(office.post.letters) == 1
        await office.sign_in(visitor=Visitor("198.51.100.9", "curl"))
        assert len(office.post.letters) == 2

    in_office(work)


def test_who_does_not_pass_the_second_factor_makes_no_device_known() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        office.writer.submit(EnrolTotp(account.account_id, "totp/x"))
        office.post.letters.clear()
        half = await office.sign_in()
        assert not office.post.letters
        await office.identity.prove_factor(half.session, "totp", "000000", VISITOR)
        assert not office.post.letters and not office.file.account_ids()[1:]
        await office.identity.prove_factor(half.session, "totp", CODE, VISITOR)
        assert len(office.post.letters) == 1

    in_office(work)


def test_a_sign_out_ends_that_session_alone() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        one, other = await office.sign_in(), await office.sign_in()
        office.identity.sign_out(one.session)
        assert not office.is_in(one) and office.is_in(other)

    in_office(work)


# --- limits ----------------------------------------------------------------------------------------------------------


def test_the_eleventh_sign_in_from_one_address_within_five_minutes_is_not_looked_at() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        for at in range(TRIES_MOST):
            answer = await office.identity.sign_in(f"{at}@example.com", "x", VISITOR)
            assert reason(answer) is Reason.SIGN_IN_WRONG
        hashed = office.passwords.hashed
        refused = await office.identity.sign_in(ANN, PASSWORD, VISITOR)
        assert isinstance(refused, Refusal)
        assert (refused.reason, refused.facts) == (Reason.SIGN_IN_LIMIT, (300,))
        assert office.passwords.hashed == hashed
        await office.sign_in(visitor=Visitor("192.0.2.2"))
        office.now_us += TRIES_WINDOW_US
        await office.sign_in()

    in_office(work)


def test_the_eleventh_sign_in_to_one_account_is_not_looked_at_wherever_it_comes_from() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        for at in range(TRIES_MOST):
            await office.identity.sign_in(ANN, "x", Visitor(f"192.0.2.{at}"))
        refused = await office.identity.sign_in(ANN, PASSWORD, Visitor("203.0.113.1"))
        assert reason(refused) is Reason.SIGN_IN_LIMIT
        assert (
            reason(await office.identity.sign_in("b@example.com", "x", Visitor("203.0.113.1"))) is Reason.SIGN_IN_WRONG
        )

    in_office(work)


def test_a_household_of_ipv6_counts_as_one_and_callers_without_an_address_count_together() -> None:
    async def work(office: Office) -> None:
        for ips in ([f"2001:db8::{at:x}" for at in range(1, 12)], ["", "unknown", "?"] * 4):
            answers = [
                reason(await office.identity.sign_in(f"{at}.{len(ips)}@example.com", "x", Visitor(ip)))
                for at, ip in enumerate(ips)
            ]
            assert answers[:10] == [Reason.SIGN_IN_WRONG] * 10
            assert set(answers[10:]) == {Reason.SIGN_IN_LIMIT}

    in_office(work)


def test_an_address_that_is_over_its_limit_locks_nobody_out() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        for _ in range(TRIES_MOST):
            await office.identity.sign_in("b@example.com", "x", VISITOR)
        for _ in range(TRIES_MOST * 2):
            assert reason(await office.identity.sign_in(ANN, "x", VISITOR)) is Reason.SIGN_IN_LIMIT
        await office.sign_in(visitor=Visitor("192.0.2.2"))

    in_office(work)


def test_sign_ups_and_resets_have_limits_of_their_own() -> None:
    async def work(office: Office) -> None:
        for at in range(TRIES_MOST):
            assert await office.identity.sign_up(f"{at}@example.com", PASSWORD, VISITOR) is None
            assert await office.identity.ask_reset(f"r{at}@example.com", VISITOR) is None
        assert reason(await office.identity.sign_up(ANN, PASSWORD, VISITOR)) is Reason.SIGN_IN_LIMIT
        assert reason(await office.identity.ask_reset(ANN, VISITOR)) is Reason.SIGN_IN_LIMIT
        assert reason(await office.identity.sign_in(ANN, "x", VISITOR)) is Reason.SIGN_IN_WRONG

    in_office(work)


def test_nobody_floods_a_mailbox() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        answers = [reason(await office.identity.ask_reset(ANN, Visitor(f"192.0.2.{at}"))) for at in range(20)]
        assert len(office.post.letters) == LETTERS_MOST
        assert answers[-1] is Reason.SIGN_IN_LIMIT
        office.now_us += LETTERS_WINDOW_US
        assert await office.identity.ask_reset(ANN, VISITOR) is None

    in_office(work)


# --- another password ------------------------------------------------------------------------------------------------


def test_a_changed_password_ends_every_other_session_and_this_one_goes_on_under_another_token() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        this, other = await office.sign_in(), await office.sign_in()
        old_vault_id = account.password_vault_id
        prepared = await office.identity.prepare_change(this.session, PASSWORD, OTHER_PASSWORD)
        assert isinstance(prepared, str)
        changed = await office.identity.change_password(this.session, prepared, VISITOR)
        assert isinstance(changed, SignedIn)
        assert office.is_in(changed) and not office.is_in(this) and not office.is_in(other)
        assert office.identity.sessions(account.account_id) == [changed.session]
        assert not office.holds(old_vault_id) and office.holds(account.password_vault_id)
        assert "password was changed" in office.post.letters[-1].subject
        assert reason(await office.identity.sign_in(ANN, PASSWORD, VISITOR)) is Reason.SIGN_IN_WRONG
        await office.sign_in(OTHER_PASSWORD)

    in_office(work)


def test_a_change_needs_the_old_password_and_a_new_one_that_is_strong() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        session = (await office.sign_in()).session
        prepare = office.identity.prepare_change
        assert reason(await prepare(session, OTHER_PASSWORD, OTHER_PASSWORD + "!")) is Reason.PASSWORD_WRONG
        assert reason(await prepare(session, PASSWORD, PASSWORD)) is Reason.PASSWORD_SAME
        assert reason(await prepare(session, PASSWORD, "password1234")) is Reason.PASSWORD_WEAK
        assert reason(await prepare(session, PASSWORD, ANN + ANN)) is Reason.PASSWORD_WEAK

    in_office(work)


def test_whoever_holds_a_session_cannot_try_passwords_without_end() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        session = (await office.sign_in()).session
        answers = [reason(await office.identity.prepare_change(session, "x", OTHER_PASSWORD)) for _ in range(12)]
        assert answers == [Reason.PASSWORD_WRONG] * (TRIES_MOST - 1) + [Reason.SIGN_IN_LIMIT] * 3

    in_office(work)


def test_of_two_changes_that_were_prepared_the_second_finds_its_session_ended() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        one, other = await office.sign_in(), await office.sign_in()
        prepared = await office.passwords.hash(OTHER_PASSWORD)
        answers = await asyncio.gather(
            office.identity.change_password(one.session, prepared, VISITOR),
            office.identity.change_password(other.session, prepared, VISITOR),
        )
        assert [reason(answer) for answer in answers] == [None, Reason.SESSION_ENDED]
        assert office.sealed("password") == 1

    in_office(work)


def test_a_crash_after_a_change_was_sealed_leaves_the_old_password_in_force() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        sealed = office.identity._seal_password(f"account-{account.account_id}", "$argon2id$")
        office.make_identity()
        assert not office.holds(sealed)
        await office.sign_in()

    in_office(work)


def test_ending_all_sessions_leaves_this_one_under_another_token() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        this, other = await office.sign_in(), await office.sign_in()
        kept = await office.identity.end_all_sessions(this.session)
        assert isinstance(kept, SignedIn)
        assert office.is_in(kept) and not office.is_in(this) and not office.is_in(other)
        assert office.identity.sessions(account.account_id) == [kept.session]

    in_office(work)


def test_one_session_is_ended_by_its_handle_and_only_by_its_own_account() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        this, other = await office.sign_in(), await office.sign_in()
        stranger, _ = office.sessions.open(
            (await office.open_account("bob@example.com")).account_id, ip="", agent="", proven=()
        )
        assert reason(office.identity.end_session(stranger, other.session.handle)) is Reason.SESSION_UNKNOWN
        assert office.is_in(other)
        assert office.identity.end_session(this.session, other.session.handle) is None
        assert office.is_in(this) and not office.is_in(other)

    in_office(work)


# --- a forgotten password --------------------------------------------------------------------------------------------


def test_a_forgotten_password_is_set_anew_by_the_link_of_a_letter_and_every_session_ends() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        signed_in = await office.sign_in()
        assert await office.identity.ask_reset(ANN, VISITOR) is None
        token = office.post.token("/reset")
        assert office.identity.can_reset(token)
        assert office.is_in(signed_in)
        assert await office.identity.reset(token, OTHER_PASSWORD, VISITOR) is None
        assert not office.is_in(signed_in)
        assert office.file.of(account.account_id) == []
        assert "password was changed" in office.post.letters[-1].subject
        assert reason(await office.identity.sign_in(ANN, PASSWORD, VISITOR)) is Reason.SIGN_IN_WRONG
        await office.sign_in(OTHER_PASSWORD)
        assert office.sealed("password") == 1

    in_office(work)


def test_a_reset_leaves_the_second_factor_on() -> None:
    async def work(office: Office) -> None:
        account = await office.open_account()
        office.writer.submit(EnrolTotp(account.account_id, "totp/x"))
        await office.identity.ask_reset(ANN, VISITOR)
        await office.identity.reset(office.post.token("/reset"), OTHER_PASSWORD, VISITOR)
        half = await office.sign_in(OTHER_PASSWORD)
        assert half.session.stage == "half"

    in_office(work)


def test_a_reset_link_works_once_and_a_refused_password_does_not_use_it_up() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        await office.identity.ask_reset(ANN, VISITOR)
        await office.identity.ask_reset(ANN, VISITOR)
        token, other = office.post.token("/reset"), office.post.letters[-2].text.split("/reset?token=")[1].split()[0]
        assert reason(await office.identity.reset(token, "weak", VISITOR)) is Reason.PASSWORD_WEAK
        answers = await asyncio.gather(*(office.identity.reset(token, OTHER_PASSWORD, VISITOR) for _ in range(3)))
        assert sorted(map(repr, map(reason, answers))) == sorted(
            map(repr, (None, Reason.LINK_EXPIRED, Reason.LINK_EXPIRED))
        )
        assert reason(await office.identity.reset(token, PASSWORD, VISITOR)) is Reason.LINK_EXPIRED
        # Another link of before the change is over as well.
        assert not office.identity.can_reset(other)

    in_office(work)


def test_a_reset_link_lasts_half_an_hour() -> None:
    async def work(office: Office) -> None:
        await office.open_account()
        await office.identity.ask_reset(ANN, VISITOR)
        token = office.post.token("/reset")
        office.now_us += RESET_LASTS_US
        assert not office.identity.can_reset(token)
        assert reason(await office.identity.reset(token, OTHER_PASSWORD, VISITOR)) is Reason.LINK_EXPIRED
        assert office.now_us > NOON_US

    in_office(work)


def test_an_account_of_the_command_line_signs_in_without_ever_having_been_confirmed() -> None:
    async def work(office: Office) -> None:
        subject = f"account-{office.access.next_account_id}"
        office.vault.seal(subject, "email", "address", ANN.encode())
        hashed = await office.passwords.hash(PASSWORD)
        vault_id = office.vault.seal(subject, "password", "argon2id", hashed.encode())
        office.writer.submit(CreateAccount(office.vault.digest(ANN), vault_id, kyc="approved"))
        office.make_identity()
        assert office.is_in(await office.sign_in())

    in_office(work)


def test_no_clear_password_token_or_address_lies_in_the_vault_or_in_the_file_of_sessions(tmp_path: Path) -> None:
    async def run() -> None:
        office = Office(tmp_path / "vault.db", tmp_path / "sessions.db")
        await office.identity.sign_up("bob@example.com", OTHER_PASSWORD, VISITOR)
        waiting = office.post.token("/sign-up/confirm")
        await office.open_account()
        signed_in = await office.sign_in()
        await office.identity.ask_reset(ANN, VISITOR)
        reset = office.post.token("/reset")
        office.passwords.stop()
        secret = (PASSWORD, OTHER_PASSWORD, waiting, reset, signed_in.token, signed_in.device, ANN, "bob@example.com")
        written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert signed_in.session.handle.encode() in written
        for text in secret:
            assert text.encode() not in written

    asyncio.run(run())
