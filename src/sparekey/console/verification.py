"""Identity checks: what an account holder hands in, how it is held against itself, and who decides about it.

An application and its photograph are sealed under the account's own data key, in the vault of documents; the journal
knows their name and the decision, never what they say. In guarded mode nobody is verified without an application that
somebody has decided; in a sandbox there is a short cut for those who only want to go on.
"""

from __future__ import annotations

import asyncio
import heapq
import importlib.resources
import secrets
import unicodedata
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from sparekey.access.commands import SetKyc, SubmitKyc
from sparekey.access.documents import Document, parse_mrz
from sparekey.access.state import AccessState, Account
from sparekey.console.document_images import DocumentImage, ImageRefused, read_image
from sparekey.console.holders import subject_of
from sparekey.console.letters import Letters, Post
from sparekey.console.writing import AccessWriter
from sparekey.sequencer.clocks import Clocks
from sparekey.storage.documents import DocumentVault
from sparekey.storage.vault import SecretUnavailable
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

DOCUMENT_TYPES: Final = {"passport": "Passport", "identity-card": "Identity card or residence permit"}
_FORMATS: Final = {"TD3": "passport", "TD2": "identity-card", "TD1": "identity-card"}
#: What does not fit is cut off (ICAO 9303, parts 4 to 6).
_ROOM_FOR_NAMES: Final = {"TD3": 39, "TD2": 31, "TD1": 30}
LEAST_AGE: Final = 18
_OLDEST: Final = 120
LONGEST_NAME: Final = 100
_LONGEST_NUMBER: Final = 20
#: Of the sentence with which an application is rejected, and of the name under a decision.
LONGEST_CAUSE: Final = 200
LONGEST_SIGNATURE: Final = 64
#: How many decisions are shown.
DECIDED_MOST: Final = 50
#: Photographs that are being looked at, at once.
_AT_ONCE: Final = 2

#: What a document's printed letters become in its zone (ICAO 9303, part 3, section 6); other letters lose their marks.
_IN_ZONE: Final = {
    "Ä": ("AE", "A"),
    "Ö": ("OE", "O"),
    "Ü": ("UE", "UXX", "U"),
    "Å": ("AA", "A"),
    "Æ": ("AE",),
    "Ø": ("OE", "O"),
    "Œ": ("OE",),
    "Ñ": ("N", "NXX"),
    "Þ": ("TH",),
    "Ð": ("D",),
    "Đ": ("D",),
    "Ł": ("L",),
    "Ħ": ("H",),
}


class Application(msgspec.Struct, frozen=True):
    """What a holder says. `country` issued the document; `birth_date` is YYYY-MM-DD."""

    surname: str = ""
    given_names: str = ""
    birth_date: str = ""
    country: str = ""
    document_type: str = ""
    number: str = ""
    mrz: str = ""

    def __repr__(self) -> str:
        return "Application(…)"


class _Sealed(msgspec.Struct, frozen=True):
    """An application as it lies in the vault of documents, with the name of its photograph there."""

    application: Application
    submitted_us: int
    image_vault_id: str
    media_type: str
    expires: str


class Filed(msgspec.Struct, frozen=True):
    """An application as the operator sees it, beside what the account says of it. `application` is None where it
    cannot be opened: it was forgotten, or its key was destroyed."""

    account_id: int
    vault_id: str
    state: str
    application: Application | None
    submitted_us: int = 0
    expires: str = ""


def countries() -> dict[str, str]:
    """Code → name of what issues documents, by name."""
    text = importlib.resources.files("sparekey.console").joinpath("countries.tsv").read_text("utf-8")
    return dict(line.split("\t", 1) for line in text.splitlines())


class Verification:
    """`email_of` tells an account's address. `sandbox`: identities may be approved without a look at anything."""

    def __init__(
        self,
        writer: AccessWriter,
        access: AccessState,
        documents: DocumentVault,
        clocks: Clocks,
        post: Post,
        letters: Letters,
        email_of: Callable[[int], str],
        *,
        sandbox: bool,
    ) -> None:
        self._writer = writer
        self._access = access
        self._documents = documents
        self._clocks = clocks
        self._post = post
        self._letters = letters
        self._email_of = email_of
        self.sandbox = sandbox
        self.countries = countries()
        #: account ids: of those who may wait, and of those about whom was decided last, the newest at the end
        self._waiting: dict[int, None] = {}
        self._decided: deque[int] = deque(maxlen=DECIDED_MOST)
        self._looking = asyncio.Semaphore(_AT_ONCE)

    # --- the holder's ------------------------------------------------------------------------------------------------

    async def submit(self, account_id: int, application: Application, image: bytes) -> dict[str, Refusal]:
        """Hand an application in. Answers what is wrong with which field; nothing, if it was taken. "" is the whole."""
        account = self._account(account_id)
        if account.kyc in ("pending", "approved"):
            return {"": Refusal(Reason.KYC_STATE, (account.kyc,))}
        tidied, document, problems = self._check(application)
        try:
            async with self._looking:
                photograph = await asyncio.to_thread(read_image, image)
        except ImageRefused as error:
            problems["image"] = _invalid(str(error))
        if problems:
            return problems
        assert document is not None
        refusal = await self._file(account, tidied, document, photograph)
        return {} if refusal is None else {"": refusal}

    async def _file(
        self, account: Account, application: Application, document: Document, photograph: DocumentImage
    ) -> Refusal | None:
        subject, name = subject_of(account.account_id), secrets.token_hex(8)
        image_id = await self._documents.seal(subject, "kyc-image", name, photograph.content)
        sealed = _Sealed(application, self._clocks.policy_us(), image_id, photograph.media_type, document.expires)
        vault_id = await self._documents.seal(subject, "kyc-application", name, msgspec.json.encode(sealed))
        earlier = account.kyc_vault_id
        outcome = self._writer.submit(SubmitKyc(account.account_id, vault_id))
        if isinstance(outcome, Refusal):
            await self._forget(vault_id)
            if account.erased:
                await self._documents.erase(subject)
            return outcome
        self._waiting[account.account_id] = None
        await self._writer.durable()
        if earlier:
            await self._forget(earlier)
        self._post.send(self._letters.kyc_received(self._email_of(account.account_id)))
        return None

    async def approve_at_once(self, account_id: int) -> Refusal | None:
        """The sandbox's short cut, whatever was handed in."""
        if not self.sandbox:
            return Refusal(Reason.MODE_GUARDED)
        return await self._decide(account_id, "approved", "sandbox", "")

    # --- the operator's ----------------------------------------------------------------------------------------------

    def waiting(self) -> list[Account]:
        """Accounts whose application waits, the longest first."""
        accounts = map(self._access.accounts.__getitem__, self._waiting)
        pending = [account for account in accounts if account.kyc == "pending" and account.kyc_vault_id]
        self._waiting = dict.fromkeys(account.account_id for account in pending)
        return sorted(pending, key=lambda account: (account.kyc_us, account.account_id))

    def decided(self) -> list[Account]:
        """Accounts about which was decided last, the newest first."""
        accounts = map(self._access.accounts.__getitem__, reversed(self._decided))
        return [account for account in accounts if account.kyc_by and not account.erased]

    async def look(self, account_id: int) -> Filed | None:
        """The account's newest application; None if there never was one."""
        account = self._access.account(account_id)
        if account is None or not account.kyc_vault_id:
            return None
        sealed = await self._open(account.kyc_vault_id)
        if sealed is None:
            return Filed(account_id, account.kyc_vault_id, account.kyc, None)
        return Filed(
            account_id, account.kyc_vault_id, account.kyc, sealed.application, sealed.submitted_us, sealed.expires
        )

    async def photograph(self, account_id: int) -> tuple[str, bytes] | None:
        """Media type and content; None where there is none."""
        account = self._access.account(account_id)
        sealed = None if account is None or not account.kyc_vault_id else await self._open(account.kyc_vault_id)
        if sealed is None:
            return None
        try:
            return sealed.media_type, await self._documents.open(sealed.image_vault_id)
        except SecretUnavailable:
            return None

    async def approve(self, account_id: int, vault_id: str, by: str) -> Refusal | None:
        """`vault_id` is the application that was looked at."""
        return self._unfit(account_id, vault_id, by) or await self._decide(account_id, "approved", by.strip(), "")

    async def reject(self, account_id: int, vault_id: str, by: str, cause: str) -> Refusal | None:
        """`cause` is told to the holder and journaled."""
        cause = cause.strip()
        if not cause or len(cause) > LONGEST_CAUSE or not cause.isprintable():
            return Refusal(Reason.CAUSE_INVALID, (LONGEST_CAUSE,))
        return self._unfit(account_id, vault_id, by) or await self._decide(account_id, "rejected", by.strip(), cause)

    def _unfit(self, account_id: int, vault_id: str, by: str) -> Refusal | None:
        account = self._access.account(account_id)
        if account is None:
            return Refusal(Reason.ACCOUNT_UNKNOWN)
        if account.kyc != "pending":
            return Refusal(Reason.KYC_UNDECIDABLE, (f"it is {account.kyc}",))
        if not vault_id or account.kyc_vault_id != vault_id:
            return Refusal(Reason.KYC_UNDECIDABLE, ("it is another one than the page showed",))
        if not by.strip() or len(by.strip()) > LONGEST_SIGNATURE or not by.strip().isprintable():
            return _invalid("whoever decides signs with a name or initials of up to 64 characters")
        return None

    async def _decide(self, account_id: int, kyc: str, by: str, cause: str) -> Refusal | None:
        """No await before the submit: what was checked still holds."""
        outcome = self._writer.submit(SetKyc(account_id, kyc, by, cause))
        if isinstance(outcome, Refusal):
            return outcome
        await self._writer.durable()
        if outcome:
            if account_id in self._decided:
                self._decided.remove(account_id)
            self._decided.append(account_id)
            to = self._email_of(account_id)
            approved = kyc == "approved"
            self._post.send(self._letters.kyc_approved(to) if approved else self._letters.kyc_rejected(to, cause))
        return None

    # --- forgetting --------------------------------------------------------------------------------------------------

    async def forget_account(self, account_id: int) -> None:
        await self._documents.erase(subject_of(account_id))

    async def begin(self) -> None:
        """At a start: find who waits and about whom was decided last; forget what the last process left behind of
        erased accounts, and what no account names."""
        applied = [account for account in self._access.accounts.values() if account.kyc_vault_id]
        self._waiting.update(dict.fromkeys(account.account_id for account in applied if account.kyc == "pending"))
        newest = heapq.nlargest(DECIDED_MOST, applied, key=lambda account: (bool(account.kyc_by), account.kyc_us))
        self._decided.extend(account.account_id for account in reversed(newest))
        kept_names = {account.kyc_vault_id.rpartition("/")[2] for account in applied}
        for kind in ("kyc-application", "kyc-image"):
            for subject, name in await self._documents.names(kind):
                if name not in kept_names:
                    await self._documents.forget(f"{kind}/{subject}/{name}")
        erased = [account.account_id for account in self._access.accounts.values() if account.erased]
        await self._documents.erase_all(list(map(subject_of, erased)))

    # --- within ------------------------------------------------------------------------------------------------------

    def _check(self, given: Application) -> tuple[Application, Document | None, dict[str, Refusal]]:
        """The application without blanks around its fields, its document, and what is wrong with which field."""
        now_us = self._clocks.policy_us()
        application = Application(
            surname=_blanks_out(given.surname),
            given_names=_blanks_out(given.given_names),
            birth_date=given.birth_date.strip(),
            country=given.country.strip(),
            document_type=given.document_type.strip(),
            number=given.number.upper().replace(" ", "").replace("-", ""),
            mrz="\n".join(given.mrz.upper().split()),
        )
        problems: dict[str, Refusal] = {}

        def wrong(field: str, text: str) -> None:
            problems.setdefault(field, _invalid(text))

        for field, name in (("surname", application.surname), ("given_names", application.given_names)):
            if len(name) > LONGEST_NAME or not name.isprintable() or any(character.isdigit() for character in name):
                wrong(field, f"a name has up to {LONGEST_NAME} letters, and no digits or control characters")
        if not application.surname:
            wrong("surname", "the surname is missing; a sole name goes there")
        if problem := _unfit_birth(application.birth_date, now_us):
            wrong("birth_date", problem)
        if application.country not in self.countries:
            wrong("country", "no country was chosen")
        if application.document_type not in DOCUMENT_TYPES:
            wrong("document_type", "no kind of document was chosen")
        number = application.number
        if not number or len(number) > _LONGEST_NUMBER or not (number.isascii() and number.isalnum()):
            wrong("number", f"a document's number has up to {_LONGEST_NUMBER} letters A to Z and digits")
        document = parse_mrz(given.mrz, now_us)
        if isinstance(document, Refusal):
            problems["mrz"] = document
            return application, None, problems
        for field, text in self._contradictions(application, document):
            wrong(field, text)
        return application, document, problems

    def _contradictions(self, application: Application, document: Document) -> list[tuple[str, str]]:
        """Where the machine-readable zone says something else than the form does."""
        found: list[tuple[str, str]] = []
        cut_off = len(document.surname) + 2 + len(document.given_names) >= _ROOM_FOR_NAMES[document.kind]
        if not _may_be(application.surname, document.surname, cut_off=cut_off):
            found.append(("surname", f"the machine-readable zone has {document.surname} as the surname"))
        if not _may_be(application.given_names, document.given_names, cut_off=cut_off):
            said = document.given_names or "none"
            found.append(("given_names", f"the machine-readable zone has {said} as the given names"))
        if application.birth_date != document.birth_date:
            found.append(("birth_date", f"the machine-readable zone has {document.birth_date} as the date of birth"))
        if application.number != document.number.replace(" ", ""):
            found.append(("number", f"the machine-readable zone has {document.number} as the number"))
        if application.country != document.issuer:
            issuer = self.countries.get(document.issuer, document.issuer)
            found.append(("country", f"the machine-readable zone was issued by {issuer}"))
        if application.document_type != _FORMATS[document.kind]:
            told = DOCUMENT_TYPES[_FORMATS[document.kind]].lower()
            found.append(("document_type", f"the machine-readable zone is that of a {told}"))
        return found

    async def _open(self, vault_id: str) -> _Sealed | None:
        try:
            return msgspec.json.decode(await self._documents.open(vault_id), type=_Sealed)
        except SecretUnavailable:
            return None

    async def _forget(self, vault_id: str) -> None:
        await self._documents.forget(vault_id.replace("kyc-application/", "kyc-image/", 1))
        await self._documents.forget(vault_id)

    def _account(self, account_id: int) -> Account:
        account = self._access.account(account_id)
        if account is None:
            raise LookupError(f"no account {account_id} to verify")
        return account


def _invalid(text: str) -> Refusal:
    return Refusal(Reason.APPLICATION_INVALID, (text[:1].lower() + text[1:].rstrip("."),))


def _blanks_out(text: str) -> str:
    return " ".join(text.split()) if len(text) <= 10 * LONGEST_NAME else text


def _unfit_birth(text: str, now_us: int) -> str:
    try:
        born = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        born = None
    if born is None:
        return "the date of birth is no date such as 1990-12-31"
    today = datetime.fromtimestamp(now_us // 1_000_000, UTC).date()
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if born > today:
        return "the date of birth is in the future"
    if age < LEAST_AGE:
        return f"account holders are {LEAST_AGE} years old at least"
    return f"nobody was born before {today.year - _OLDEST}" if age > _OLDEST else ""


def _may_be(typed: str, printed: str, *, cut_off: bool) -> bool:
    """Whether a name as typed may be the zone's, which has capitals A to Z only."""
    wanted = "".join(printed.split())
    spellings = {""}
    for character in unicodedata.normalize("NFC", typed).upper():
        if character.isalpha() or unicodedata.combining(character):
            plain = "".join(one for one in unicodedata.normalize("NFD", character) if one.isascii() and one.isalpha())
            ways = _IN_ZONE.get(character, (plain,))
            spellings = {
                longer
                for spelling in spellings
                for way in ways
                if wanted.startswith((longer := spelling + way)[: len(wanted)])
            }
    return any(spelling == wanted or (cut_off and spelling.startswith(wanted)) for spelling in spellings)
