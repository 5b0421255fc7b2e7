"""Signing up and in: what stands between an e-mail address and a session, and how a password is changed or forgotten.

Nobody is told whether an address has an account. Whoever asks gets the same answer, and the same work is done: as many
hashes, as much sealed and kept, one letter either way where one is due. Only the letter, which its owner alone reads,
tells the cases apart. Limits count the address that is asked for, whether it has an account or not.

What takes several steps can end between any two. A secret is sealed before the command that names it, so that no
account is without one; what was sealed for nothing is forgotten at once, or at the next start.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import msgspec

from sparekey.access.commands import ChangePassword, CreateAccount, EndSessions
from sparekey.access.state import AccessState, Account
from sparekey.console.allowances import Allowance, neighbourhood
from sparekey.console.holders import email_vault_id, normalised_email, subject_of
from sparekey.console.letters import CONFIRM_HOURS, RESET_MINUTES, Circumstances, Letters, Post
from sparekey.console.passwords import Passwords, PasswordsBusy
from sparekey.console.sessions import Session, Sessions
from sparekey.console.writing import AccessWriter
from sparekey.storage.vault import SecretUnavailable, Vault
from sparekey.terms.clocktime import HOUR_US, MINUTE_US
from sparekey.terms.letters import Letter
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

_log = logging.getLogger(__name__)

#: Tries to sign in, by address and by account; likewise sign-ups, and forgotten passwords, by address.
TRIES_MOST: Final = 10
TRIES_WINDOW_US: Final = 5 * MINUTE_US
#: Letters that anybody can have sent to one address of somebody else's.
LETTERS_MOST: Final = 5
LETTERS_WINDOW_US: Final = HOUR_US

SIGN_UP_LASTS_US: Final = CONFIRM_HOURS * HOUR_US
RESET_LASTS_US: Final = RESET_MINUTES * MINUTE_US
#: Sign-ups that wait for their confirmation; the oldest makes room.
MOST_SIGN_UPS: Final = 1_000

_TOKEN_BYTES = 32
_LONGEST_TOKEN = 128
_SIGN_UP = "sign-up"

_WRONG = Refusal(Reason.SIGN_IN_WRONG)
_ENDED = Refusal(Reason.SESSION_ENDED)
_LINK_OVER = Refusal(Reason.LINK_EXPIRED)


class Visitor(NamedTuple):
    """Who is at the other end: the address as the gate sees it, the browser's word for itself, its device cookie."""

    ip: str
    agent: str = ""
    device: str = ""


class SignedIn(NamedTuple):
    """A session, with the token that the browser gets for it; `device` is its device's, "" while a factor is due."""

    session: Session
    token: str
    device: str = ""


class FactorCheck(Protocol):
    """Looks at a code of a second factor, and counts the look; `Factors` of the console."""

    async def check(self, account_id: int, name: str, code: str, purpose: str) -> Refusal | None: ...


class _SignUp(msgspec.Struct, array_like=True):
    """What the vault keeps of a sign-up until the link is used."""

    email: str
    password_hash: str


class Identity:
    """`now_us` is policy time."""

    def __init__(
        self,
        writer: AccessWriter,
        access: AccessState,
        vault: Vault,
        sessions: Sessions,
        passwords: Passwords,
        factors: FactorCheck,
        letters: Letters,
        post: Post,
        now_us: Callable[[], int],
    ) -> None:
        self._writer = writer
        self._access = access
        self._vault = vault
        self._sessions = sessions
        self._passwords = passwords
        self._factors = factors
        self._letters = letters
        self._post = post
        self._now_us = now_us
        self._sign_ins_by_ip = Allowance(TRIES_MOST, TRIES_WINDOW_US, now_us)
        self._sign_ins_by_account = Allowance(TRIES_MOST, TRIES_WINDOW_US, now_us)
        self._sign_ups_by_ip = Allowance(TRIES_MOST, TRIES_WINDOW_US, now_us)
        self._resets_by_ip = Allowance(TRIES_MOST, TRIES_WINDOW_US, now_us)
        self._letters_by_address = Allowance(LETTERS_MOST, LETTERS_WINDOW_US, now_us)
        #: When each sign-up came, by the digest of its link's token; the oldest first.
        self._sign_ups: dict[str, int] = {}

    # --- signing up --------------------------------------------------------------------------------------------------

    async def sign_up(self, email: str, password: str, visitor: Visitor) -> Refusal | None:
        """A letter with a link goes to the address, or one that says that there is an account: the answer is the same.

        Until the link is used there is nothing but a sealed note.
        """
        address = normalised_email(email)
        if address is None:
            return Refusal(Reason.EMAIL_INVALID)
        if wait_s := self._sign_ups_by_ip.take(neighbourhood(visitor.ip)):
            return Refusal(Reason.SIGN_IN_LIMIT, (wait_s,))
        refusal = await self._passwords.check(password, (address,))
        if refusal is not None:
            return refusal
        digest = self._vault.digest(address)
        if wait_s := self._letters_by_address.take(digest):
            return Refusal(Reason.SIGN_IN_LIMIT, (wait_s,))
        password_hash = await self._passwords.hash(password)
        # Noted for an address with an account as well, by which nobody can tell; its link is told to nobody.
        token = self._note_sign_up(_SignUp(address, password_hash))
        link = f"/sign-up/confirm?token={token}"
        letters = (self._letters.confirm_sign_up(address, link), self._letters.account_exists(address))
        self._post.send(letters[0] if self._access.account_by_email(digest) is None else letters[1])
        return None

    def waits_for_confirmation(self, token: str) -> bool:
        """Whether the link of this token can be used."""
        noted_us = self._sign_ups.get(_digest_of(token))
        return noted_us is not None and self._now_us() - noted_us < SIGN_UP_LASTS_US

    async def confirm(self, token: str) -> Refusal | None:
        """The link was used: the account comes into being."""
        digest = _digest_of(token)
        if not self.waits_for_confirmation(token):
            return _LINK_OVER
        noted_us = self._sign_ups.pop(digest)
        subject = _sign_up_subject(digest)
        try:
            noted = msgspec.msgpack.decode(self._vault.open(f"{_SIGN_UP}/{subject}/{noted_us}"), type=_SignUp)
        except (SecretUnavailable, msgspec.MsgspecError) as error:
            _log.warning("a sign-up cannot be confirmed: %s", error)
            return _LINK_OVER
        created = self._create_account(noted)
        await self._writer.durable()
        self._vault.erase(subject)
        return _LINK_OVER if isinstance(created, Refusal) else None

    def _create_account(self, noted: _SignUp) -> Refusal | None:
        """No await in here: the id that the vault entries name is the id that the account gets."""
        digest = self._vault.digest(noted.email)
        if self._access.account_by_email(digest) is not None:
            return Refusal(Reason.ACCOUNT_EXISTS)
        subject = subject_of(self._access.next_account_id)
        self._vault.seal(subject, "email", "address", noted.email.encode())
        vault_id = self._seal_password(subject, noted.password_hash)
        outcome = self._writer.submit(CreateAccount(email_digest=digest, password_vault_id=vault_id))
        if isinstance(outcome, Refusal):
            self._vault.erase(subject)
            return outcome
        return None

    def _note_sign_up(self, sign_up: _SignUp) -> str:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        digest = _digest_of(token)
        noted_us = self._now_us()
        self._vault.seal(_sign_up_subject(digest), _SIGN_UP, str(noted_us), msgspec.msgpack.encode(sign_up))
        self._sign_ups[digest] = noted_us
        while len(self._sign_ups) > MOST_SIGN_UPS:
            self._forget_sign_up(next(iter(self._sign_ups)))
        return token

    def _forget_sign_up(self, digest: str) -> None:
        del self._sign_ups[digest]
        self._vault.erase(_sign_up_subject(digest))

    # --- signing in --------------------------------------------------------------------------------------------------

    async def sign_in(self, email: str, password: str, visitor: Visitor) -> SignedIn | Refusal:
        """A half session if the account has a second factor, else a full one."""
        address = normalised_email(email)
        if address is None:
            return Refusal(Reason.EMAIL_INVALID)
        if wait_s := self._sign_ins_by_ip.take(neighbourhood(visitor.ip)):
            return Refusal(Reason.SIGN_IN_LIMIT, (wait_s,))
        digest = self._vault.digest(address)
        if wait_s := self._sign_ins_by_account.take(digest):
            return Refusal(Reason.SIGN_IN_LIMIT, (wait_s,))
        account = self._holder(digest)
        epoch = 0 if account is None else account.epoch
        if not await self._is_password(account, password):
            return _WRONG
        assert account is not None
        await self._renew_outdated(account, password)
        if account.erased or account.epoch != epoch:  # what was right is not any more
            return _WRONG
        open_session = self._sessions.open_half if account.factors else self._sessions.open
        session, token = open_session(account.account_id, ip=visitor.ip, agent=visitor.agent, proven=("password",))
        return SignedIn(session, token) if account.factors else self._signed_in(session, token, visitor)

    async def prove_factor(self, half: Session, name: str, code: str, visitor: Visitor) -> SignedIn | Refusal:
        """The second step: a code of one of the account's factors."""
        refusal = await self._factors.check(half.account_id, name, code, factor_purpose(half))
        if refusal is not None:
            return refusal
        completed = self._sessions.complete(half, name)
        return _ENDED if completed is None else self._signed_in(*completed, visitor)

    def _signed_in(self, session: Session, token: str, visitor: Visitor) -> SignedIn:
        known = self._sessions.knows_device(session.account_id, visitor.device)
        device = self._sessions.note_device(session.account_id, visitor.device)
        if not known:
            circumstances = Circumstances(session.created_us, visitor.ip, session.agent)
            self._tell(session.account_id, lambda address: self._letters.new_device(address, circumstances))
        return SignedIn(session, token, device)

    def sign_out(self, session: Session) -> None:
        self._sessions.end(session)

    # --- sessions ----------------------------------------------------------------------------------------------------

    def sessions(self, account_id: int) -> list[Session]:
        return self._sessions.of(account_id)

    def end_session(self, session: Session, handle: str) -> Refusal | None:
        """End another session of the same account, or this one."""
        ended = self._sessions.end_one(session.account_id, handle)
        return None if ended else Refusal(Reason.SESSION_UNKNOWN)

    async def end_all_sessions(self, session: Session) -> SignedIn | Refusal:
        """All of the account but this one, which goes on under another token."""
        outcome = self._writer.submit(EndSessions(session.account_id))
        if isinstance(outcome, Refusal):
            return outcome
        carried = self._sessions.carry_over(session)
        await self._writer.durable()
        self._sessions.end_all(session.account_id, but=session.handle)
        return _ENDED if carried is None else SignedIn(*carried)

    # --- another password --------------------------------------------------------------------------------------------

    async def prepare_change(self, session: Session, old: str, new: str) -> str | Refusal:
        """The hash of the new password, if the old one is right: to be handed to `change_password` after a step-up."""
        account = self._access.account(session.account_id)
        if account is None or not account.password_vault_id:
            return _ENDED
        # Whoever holds somebody's session must not find the password out this way.
        if wait_s := self._sign_ins_by_account.take(account.email_digest):
            return Refusal(Reason.SIGN_IN_LIMIT, (wait_s,))
        if not await self._is_password(account, old):
            return Refusal(Reason.PASSWORD_WRONG)
        if old == new:
            return Refusal(Reason.PASSWORD_SAME)
        refusal = await self._passwords.check(new, self._about(account.account_id))
        return refusal if refusal is not None else await self._passwords.hash(new)

    async def change_password(self, session: Session, password_hash: str, visitor: Visitor) -> SignedIn | Refusal:
        """Every other session ends; this one goes on under another token."""
        if not self._sessions.is_alive(session):
            return _ENDED
        old_vault_id = self._submit_password(session.account_id, password_hash)
        if isinstance(old_vault_id, Refusal):
            return old_vault_id
        carried = self._sessions.carry_over(session)
        await self._settle_password(session.account_id, old_vault_id, visitor, but=session.handle)
        return _ENDED if carried is None else SignedIn(*carried)

    async def ask_reset(self, email: str, visitor: Visitor) -> Refusal | None:
        """A letter with a link goes to the address, if it has an account: the answer is the same."""
        address = normalised_email(email)
        if address is None:
            return Refusal(Reason.EMAIL_INVALID)
        if wait_s := self._resets_by_ip.take(neighbourhood(visitor.ip)):
            return Refusal(Reason.SIGN_IN_LIMIT, (wait_s,))
        digest = self._vault.digest(address)
        if wait_s := self._letters_by_address.take(digest):
            return Refusal(Reason.SIGN_IN_LIMIT, (wait_s,))
        account = self._holder(digest)
        # A link is kept, and a letter written, for an address without an account as well.
        token = self._sessions.open_link(0 if account is None else account.account_id, RESET_LASTS_US)
        letter = self._letters.reset_password(address, f"/reset?token={token}")
        if account is not None:
            self._post.send(letter)
        return None

    def can_reset(self, token: str) -> bool:
        """Whether the link of this token can be used."""
        return self._sessions.account_of_link(token) is not None

    async def reset(self, token: str, password: str, visitor: Visitor) -> Refusal | None:
        """Set the password anew by a letter's link, which is used up unless the password is refused. All sessions end.

        Second factors are asked for at the next sign-in, as ever.
        """
        account_id = self._sessions.account_of_link(token)
        if account_id is None:
            return _LINK_OVER
        refusal = await self._passwords.check(password, self._about(account_id))
        if refusal is not None:
            return refusal
        password_hash = await self._passwords.hash(password)
        if self._sessions.take_link(token) is None:  # used by somebody else meanwhile
            return _LINK_OVER
        old_vault_id = self._submit_password(account_id, password_hash)
        if isinstance(old_vault_id, Refusal):
            return old_vault_id
        await self._settle_password(account_id, old_vault_id, visitor)
        return None

    def _submit_password(self, account_id: int, password_hash: str) -> str | Refusal:
        """Put a password in force; answers the vault id of the one before, which is forgotten once this is durable."""
        account = self._access.account(account_id)
        if account is None:
            return _ENDED
        old_vault_id = account.password_vault_id
        vault_id = self._seal_password(subject_of(account_id), password_hash)
        outcome = self._writer.submit(ChangePassword(account_id, vault_id))
        if isinstance(outcome, Refusal):
            self._vault.forget(vault_id)
            return outcome
        return old_vault_id

    async def _settle_password(self, account_id: int, old_vault_id: str, visitor: Visitor, but: str = "") -> None:
        await self._writer.durable()
        self._sessions.end_all(account_id, but=but)
        self._vault.forget(old_vault_id)
        circumstances = Circumstances(self._now_us(), visitor.ip, visitor.agent)
        self._tell(account_id, lambda address: self._letters.password_changed(address, circumstances))

    # --- time --------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """At a start: find the sign-ups that still wait, and forget what the last process sealed for nothing."""
        waiting = [(int(noted_us), subject) for subject, noted_us in self._vault.names(_SIGN_UP)]
        self._sign_ups = {subject.removeprefix(f"{_SIGN_UP}-"): noted_us for noted_us, subject in sorted(waiting)}
        in_force = {account.password_vault_id for account in self._access.accounts.values()}
        for subject, name in self._vault.names("password"):
            if f"password/{subject}/{name}" not in in_force:
                self._vault.forget(f"password/{subject}/{name}")
        self._sessions.begin()
        self.tidy()

    def tidy(self) -> None:
        """Forget what has run out; about once a minute."""
        long_ago_us = self._now_us() - SIGN_UP_LASTS_US
        for digest in [digest for digest, noted_us in self._sign_ups.items() if noted_us <= long_ago_us]:
            self._forget_sign_up(digest)
        self._sessions.tidy()

    # --- within ------------------------------------------------------------------------------------------------------

    def _holder(self, digest: str) -> Account | None:
        """The account of an address that signs in here; a sub-account has no password."""
        account = self._access.account_by_email(digest)
        return account if account is not None and account.password_vault_id else None

    async def _is_password(self, account: Account | None, password: str) -> bool:
        """One hash is computed whatever the account is. What changed meanwhile makes the answer a no."""
        vault_id = "" if account is None else account.password_vault_id
        right = await self._passwords.verify(self._opened(vault_id), password)
        return right and account is not None and not account.erased and account.password_vault_id == vault_id

    async def _renew_outdated(self, account: Account, password: str) -> None:
        """Hash a password anew that was hashed at another cost, once it is known to be right."""
        vault_id = account.password_vault_id
        known = self._opened(vault_id)
        if not self._passwords.is_outdated(known):
            return
        try:
            renewed = await self._passwords.hash(password)
        except PasswordsBusy:
            return  # next time, then
        if account.password_vault_id == vault_id and self._opened(vault_id) == known:
            kind, subject, name = vault_id.split("/")
            self._vault.seal(subject, kind, name, renewed.encode())

    def _seal_password(self, subject: str, password_hash: str) -> str:
        """Under a name of its own: what is in force stays until the journal names another."""
        return self._vault.seal(subject, "password", f"argon2id-{secrets.token_hex(8)}", password_hash.encode())

    def _opened(self, vault_id: str) -> str:
        if not vault_id:
            return ""
        try:
            return self._vault.open(vault_id).decode()
        except SecretUnavailable as error:
            _log.warning("a password cannot be looked at: %s", error)
            return ""

    def _about(self, account_id: int) -> tuple[str, ...]:
        address = self._address_of(account_id)
        return (address,) if address else ()

    def _address_of(self, account_id: int) -> str:
        try:
            return self._vault.open(email_vault_id(account_id)).decode()
        except SecretUnavailable as error:
            _log.warning("an account's address cannot be read: %s", error)
            return ""

    def _tell(self, account_id: int, compose: Callable[[str], Letter]) -> None:
        address = self._address_of(account_id)
        if address:
            self._post.send(compose(address))


def factor_purpose(half: Session) -> str:
    """What a code by SMS, or a passkey's challenge, for the second step of a sign-in is good for."""
    return f"sign-in {half.handle}"


def _sign_up_subject(digest: str) -> str:
    return f"{_SIGN_UP}-{digest}"


def _digest_of(token: str) -> str:
    return hashlib.sha256(token[:_LONGEST_TOKEN].encode("utf-8", "surrogatepass")).hexdigest()
