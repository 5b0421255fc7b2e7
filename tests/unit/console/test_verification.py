"""Identity checks: what is taken, what is told about what is not, and who may decide what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from sparekey.access.commands import CreateAccount, EraseAccount
from sparekey.access.shard import AccessShard
from sparekey.access.state import Account
from sparekey.console.letters import Letters
from sparekey.console.verification import Verification
from sparekey.console.writing import AccessWriter
from sparekey.market.participants import SeededParticipants
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.documents import DocumentVault
from sparekey.storage.journal import MemoryJournal
from sparekey.terms.letters import Letter
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.spot_shard import SpotShard
from tests.papers import ANNA, card, passport, photograph

EMAIL = "ann@example.com"
NOON_US = 1_700_000_000_000_000


class Letterbox:
    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def send(self, letter: Letter) -> None:
        self.letters.append(letter)

    def forget(self, to: str) -> None:
        self.letters = [letter for letter in self.letters if letter.to != to]

    @property
    def subjects(self) -> list[str]:
        return [letter.subject for letter in self.letters]


class Office:
    """Identity checks over shards in memory."""

    def __init__(self, *, sandbox: bool = False) -> None:
        clocks = Clocks(lambda: NOON_US)
        shard = AccessShard()
        spot: SpotShard = SpotShard(SeededParticipants(lambda symbol: spot.state.rules(symbol)))
        self.access = shard.state
        self.journal = MemoryJournal()
        self.sequencer = Sequencer(
            self.journal,
            {"access": shard, "spot": spot},
            {"access": clocks.policy_us, "spot": clocks.wire_us},
            asyncio.get_running_loop().call_soon,
        )
        self.documents = DocumentVault(":memory:", bytes(32))
        self.post = Letterbox()
        self._clocks, self._sandbox = clocks, sandbox
        self.verification = self.another_start()

    def another_start(self) -> Verification:
        return Verification(
            AccessWriter(self.sequencer),
            self.access,
            self.documents,
            self._clocks,
            self.post,
            Letters("http://localhost"),
            lambda account_id: EMAIL,
            sandbox=self._sandbox,
        )

    def account(self, number: int = 0) -> Account:
        command = CreateAccount(email_digest=f"ann {number}", password_vault_id="hash")
        outcome = self.sequencer.submit("access", command)
        assert not isinstance(outcome, Refusal)
        return self.access.accounts[outcome[0].account_id]

    async def sealed(self) -> int:
        """How many documents the vault holds."""
        return len([*await self.documents.names("kyc-application"), *await self.documents.names("kyc-image")])


def in_office(work: Callable[[Office], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        office = Office(**options)
        try:
            await work(office)
        finally:
            office.documents.close()

    asyncio.run(run())


def reasons(problems: dict[str, Refusal]) -> dict[str, Reason]:
    return {field: refusal.reason for field, refusal in problems.items()}


def test_an_application_waits_sealed_until_somebody_decides() -> None:
    async def work(office: Office) -> None:
        account = office.account()
        assert await office.verification.submit(account.account_id, ANNA, photograph()) == {}
        assert account.kyc == "pending" and office.verification.waiting() == [account]
        filed = await office.verification.look(account.account_id)
        assert filed is not None and filed.application is not None
        assert (filed.application.surname, filed.application.number) == ("Eriksson", "L898902C3")
        assert filed.expires == "2035-04-15" and filed.submitted_us == NOON_US
        image = await office.verification.photograph(account.account_id)
        assert image is not None and image[0] == "image/jpeg" and image[1].startswith(b"\xff\xd8")
        assert office.post.subjects == ["Sparekey: We received your documents"]
        assert await office.verification.approve(account.account_id, filed.vault_id, "A. B.") is None
        assert (account.kyc, account.kyc_by, account.kyc_cause) == ("approved", "A. B.", "")
        assert office.verification.waiting() == [] and office.verification.decided() == [account]
        assert office.post.subjects[-1] == "Sparekey: Your identity is verified"

    in_office(work)


def test_nothing_of_an_application_is_in_the_journal() -> None:
    async def work(office: Office) -> None:
        account = office.account()
        await office.verification.submit(account.account_id, ANNA, photograph())
        written = b"".join(bytes(batch.frame) for batch in office.journal.read(0))
        assert b"kyc-application" in written
        for secret in (b"Eriksson", b"ERIKSSON", b"Anna", b"1990-08-12", b"L898902C3"):
            assert secret not in written

    in_office(work)


def test_a_rejection_tells_the_holder_why_and_lets_another_application_in() -> None:
    async def work(office: Office) -> None:
        account = office.account()
        await office.verification.submit(account.account_id, ANNA, photograph())
        first = account.kyc_vault_id
        assert await office.verification.reject(account.account_id, first, "AB", " too dark ") is None
        assert (account.kyc, account.kyc_cause, account.kyc_by) == ("rejected", "too dark", "AB")
        assert "too dark" in office.post.letters[-1].text
        assert await office.verification.submit(account.account_id, ANNA, photograph("PNG")) == {}
        assert account.kyc == "pending" and account.kyc_vault_id != first
        assert await office.sealed() == 2
        image = await office.verification.photograph(account.account_id)
        assert image is not None and image[0] == "image/png"

    in_office(work)


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"surname": "Erikson"}, "surname", "zone has ERIKSSON as the surname"),
        ({"surname": ""}, "surname", "surname is missing"),
        ({"surname": "Eri\u202eksson"}, "surname", "control characters"),
        ({"given_names": "Anna"}, "given_names", "zone has ANNA MARIA as the given names"),
        ({"given_names": "x" * 101}, "given_names", "up to 100 letters"),
        ({"birth_date": "1990-08-13"}, "birth_date", "zone has 1990-08-12 as the date of birth"),
        ({"birth_date": "1990-02-30"}, "birth_date", "no date such as"),
        ({"birth_date": "12.08.1990"}, "birth_date", "no date such as"),
        ({"birth_date": "2030-01-01"}, "birth_date", "in the future"),
        ({"birth_date": "2010-01-01"}, "birth_date", "18 years old"),
        ({"birth_date": "1890-01-01"}, "birth_date", "nobody was born"),
        ({"country": "DEU"}, "country", "issued by Utopia"),
        ({"country": "XXX"}, "country", "no country was chosen"),
        ({"document_type": "identity-card"}, "document_type", "that of a passport"),
        ({"document_type": "library-card"}, "document_type", "no kind of document"),
        ({"number": "L898902C4"}, "number", "zone has L898902C3 as the number"),
        ({"number": "'; DROP TABLE"}, "number", "letters A to Z and digits"),
        ({"mrz": ""}, "mrz", "two lines of 44"),
        ({"mrz": passport(expires="231113")}, "mrz", "expired on 2023-11-13"),
        ({"mrz": passport().replace("L898902C3", "L898902C4")}, "mrz", "check digit of the document number"),
    ],
)
def test_what_does_not_agree_is_told_field_by_field(changed: dict[str, str], field: str, said: str) -> None:
    async def work(office: Office) -> None:
        account = office.account()
        application = msgspec.structs.replace(ANNA, **changed)
        problems = await office.verification.submit(account.account_id, application, photograph())
        assert list(problems) == [field]
        assert said in problems[field].explanation
        assert account.kyc == "none" and await office.sealed() == 0 and not office.post.letters

    in_office(work)


@pytest.mark.parametrize(
    ("surname", "given_names", "zone"),
    [
        ("Müller-Lüdenscheidt", "Jörg", passport("MUELLER<LUEDENSCHEIDT", "JOERG")),
        ("Müller", "Jörg", passport("MULLER", "JORG")),
        ("O'Brien", "Seán", passport("OBRIEN", "SEAN")),
        ("Nguyễn", "Thị Ánh", passport("NGUYEN", "THI<ANH")),
        ("Łukasiewicz", "Zoë", passport("LUKASIEWICZ", "ZOE")),
        ("Groß", "Ñandú", passport("GROSS", "NXXANDU")),
        ("Suharto", "", passport("SUHARTO", "")),
        ("Papandropoulous", "Jonathon Alexander Trevor", passport("PAPANDROPOULOUS", "JONATHON<ALEXANDER<TRE")),
    ],
)
def test_a_name_may_be_spelled_as_on_the_document_or_as_in_its_zone(surname: str, given_names: str, zone: str) -> None:
    async def work(office: Office) -> None:
        account = office.account()
        application = msgspec.structs.replace(ANNA, surname=surname, given_names=given_names, mrz=zone)
        assert await office.verification.submit(account.account_id, application, photograph()) == {}

    in_office(work)


def test_a_name_that_goes_on_is_another_name_where_the_zone_had_room() -> None:
    async def work(office: Office) -> None:
        account = office.account()
        application = msgspec.structs.replace(ANNA, surname="Erikssonstein")
        assert list(await office.verification.submit(account.account_id, application, photograph())) == ["surname"]

    in_office(work)


def test_a_card_of_three_lines_is_taken() -> None:
    async def work(office: Office) -> None:
        account = office.account()
        application = msgspec.structs.replace(
            ANNA, given_names="Anna", document_type="identity-card", number="d23 145-890", mrz=card().lower()
        )
        assert await office.verification.submit(account.account_id, application, photograph()) == {}

    in_office(work)


def test_a_photograph_that_is_none_is_refused_beside_what_else_is_wrong() -> None:
    async def work(office: Office) -> None:
        account = office.account()
        application = msgspec.structs.replace(ANNA, number="")
        problems = await office.verification.submit(account.account_id, application, b"<svg/>")
        assert reasons(problems) == {"number": Reason.APPLICATION_INVALID, "image": Reason.APPLICATION_INVALID}
        assert "neither a JPEG nor a PNG" in problems["image"].explanation

    in_office(work)


def test_two_applications_at_once_leave_one() -> None:
    async def work(office: Office) -> None:
        account = office.account()
        answers = await asyncio.gather(
            *(office.verification.submit(account.account_id, ANNA, photograph()) for _ in range(3))
        )
        assert sorted(map(len, answers)) == [0, 1, 1]
        assert {refusal.reason for answer in answers for refusal in answer.values()} == {Reason.KYC_STATE}
        assert await office.sealed() == 2 and len(office.post.letters) == 1

    in_office(work)


def test_a_decision_is_for_the_application_that_was_looked_at_and_made_once() -> None:
    async def work(office: Office) -> None:
        account = office.account()
        decide = office.verification
        number = account.account_id

        async def refused(answer: Awaitable[Refusal | None]) -> Reason | None:
            refusal = await answer
            return None if refusal is None else refusal.reason

        assert await refused(decide.approve(number, "", "AB")) is Reason.KYC_UNDECIDABLE
        await decide.submit(number, ANNA, photograph())
        shown = account.kyc_vault_id
        assert await refused(decide.approve(number, "kyc-application/account-1/other", "AB")) is Reason.KYC_UNDECIDABLE
        assert await refused(decide.approve(number, shown, "  ")) is Reason.APPLICATION_INVALID
        assert await refused(decide.reject(number, shown, "AB", "")) is Reason.CAUSE_INVALID
        assert await refused(decide.reject(number, shown, "AB", "x" * 201)) is Reason.CAUSE_INVALID
        assert await refused(decide.approve(999, shown, "AB")) is Reason.ACCOUNT_UNKNOWN
        assert account.kyc == "pending"
        both = await asyncio.gather(decide.approve(number, shown, "AB"), decide.reject(number, shown, "CD", "no"))
        assert both[0] is None and both[1] is not None and both[1].reason is Reason.KYC_UNDECIDABLE
        assert (account.kyc, account.kyc_by) == ("approved", "AB")

    in_office(work)


def test_only_a_sandbox_approves_without_a_look() -> None:
    async def guarded(office: Office) -> None:
        account = office.account()
        refusal = await office.verification.approve_at_once(account.account_id)
        assert refusal is not None and refusal.reason is Reason.MODE_GUARDED and account.kyc == "none"

    async def sandbox(office: Office) -> None:
        account = office.account()
        assert await office.verification.approve_at_once(account.account_id) is None
        assert (account.kyc, account.kyc_by) == ("approved", "sandbox")
        assert await office.verification.approve_at_once(account.account_id) is None
        assert len(office.post.letters) == 1

    in_office(guarded)
    in_office(sandbox, sandbox=True)


def test_what_a_crash_left_behind_is_forgotten_at_the_next_start() -> None:
    async def work(office: Office) -> None:
        account = office.account()
        await office.verification.submit(account.account_id, ANNA, photograph())
        await office.documents.seal("account-1", "kyc-image", "sealed-before-the-crash", b"x")
        await office.documents.seal("account-1", "kyc-application", "sealed-before-the-crash", b"x")
        await office.verification.begin()
        assert await office.sealed() == 2
        assert await office.verification.photograph(account.account_id) is not None
        office.sequencer.submit("access", EraseAccount(account.account_id))
        await office.verification.begin()
        assert await office.sealed() == 0

    in_office(work)


def test_who_waits_and_who_decided_is_known_after_a_start() -> None:
    async def work(office: Office) -> None:
        accounts = [office.account(number) for number in range(3)]
        for account in accounts:
            assert await office.verification.submit(account.account_id, ANNA, photograph()) == {}
        await office.verification.approve(accounts[1].account_id, accounts[1].kyc_vault_id, "AB")
        again = office.another_start()
        assert again.waiting() == [] and again.decided() == []
        await again.begin()
        assert again.waiting() == office.verification.waiting() == [accounts[0], accounts[2]]
        assert again.decided() == office.verification.decided() == [accounts[1]]

    in_office(work)


def test_an_application_whose_key_was_destroyed_is_shown_as_gone() -> None:
    async def work(office: Office) -> None:
        account = office.account()
        await office.verification.submit(account.account_id, ANNA, photograph())
        await office.verification.forget_account(account.account_id)
        filed = await office.verification.look(account.account_id)
        assert filed is not None and filed.application is None and filed.state == "pending"
        assert await office.verification.photograph(account.account_id) is None

    in_office(work)


def test_an_application_does_not_print_what_it_says() -> None:
    assert "Eriksson" not in repr(ANNA) and "L898902C3" not in str(ANNA)
