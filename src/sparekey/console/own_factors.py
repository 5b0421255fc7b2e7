"""What holders do with their own factors: turn each on and off, and make recovery codes.

Whoever has no second factor yet adds the first with the session and the password; everything after that needs a
step-up. What is being set up (a seed, a number, a passkey's challenge) is kept in memory for ten minutes, and sealed
only once a right code, or a passkey's answer, has shown that it works. Every change sends its owner a notice.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b32encode
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import phonenumbers
from phonenumbers import PhoneNumberType

from sparekey.access.commands import (
    AcceptTotpStep,
    AddPasskey,
    EnrolSms,
    EnrolTotp,
    RemovePasskey,
    RemoveSms,
    RemoveTotp,
    SetRecoveryCodes,
)
from sparekey.access.state import AccessState, Account
from sparekey.console.codes import Codes
from sparekey.console.factors import Factors, SignedIn, masked
from sparekey.console.holders import subject_of
from sparekey.console.letters import FACTOR_NAMES, Circumstances, Letters
from sparekey.console.passkeys import Passkeys
from sparekey.console.passwords import Passwords, PasswordsBusy
from sparekey.console.recovery import encode_hashes, make_codes, spelled
from sparekey.console.step_up import Action, StepUps
from sparekey.console.writing import AccessWriter
from sparekey.storage.vault import Vault
from sparekey.terms.clocktime import MINUTE_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

OPEN_US: Final = 10 * MINUTE_US
#: RFC 4226 recommends 160 bits.
_SEED_BYTES: Final = 20
#: What is being set up at a time, by everybody; the oldest makes room.
_OPEN_MOST: Final = 10_000
#: E.164 has 15 digits; people add blanks, brackets and dashes.
_LONGEST_NUMBER: Final = 40
#: Kinds of what the vault holds of factors.
_SEALED: Final = ("totp", "sms", "recovery")
_ADDING: Final = {"totp": "set up an authenticator", "passkey": "add a passkey"}
_WITH_SMS: Final = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


class Setup(NamedTuple):
    """What a session is setting up. `what` is a seed (base32), a number (E.164), or empty for a passkey. `is_first`: it
    was begun for the password, as the account's first factor, and is over once there is one."""

    account_id: int
    factor: str
    what: str
    until_us: int
    is_first: bool


class OwnFactors:
    def __init__(
        self,
        factors: Factors,
        step_ups: StepUps,
        writer: AccessWriter,
        access: AccessState,
        vault: Vault,
        passwords: Passwords,
        codes: Codes,
        passkeys: Passkeys,
        letters: Letters,
        now_us: Callable[[], int],
    ) -> None:
        self._factors = factors
        self._step_ups = step_ups
        self._writer = writer
        self._access = access
        self._vault = vault
        self._passwords = passwords
        self._codes = codes
        self._passkeys = passkeys
        self._letters = letters
        self._now_us = now_us
        self._setups: dict[str, Setup] = {}

    def begin(self) -> None:
        """At a start: forget what the last process sealed for nothing, or did not come to forget."""
        accounts = self._access.accounts.values()
        in_force = {one.totp_vault_id for one in accounts} | {one.sms_vault_id for one in accounts}
        in_force |= {one.recovery_vault_id for one in accounts}
        for kind in _SEALED:
            for subject, name in self._vault.names(kind):
                if f"{kind}/{subject}/{name}" not in in_force:
                    self._vault.forget(f"{kind}/{subject}/{name}")

    # --- what each needs to be proven --------------------------------------------------------------------------------

    @staticmethod
    def adding(factor: str, number: str = "") -> Action:
        """What a step-up is for that comes before a further factor; before another telephone, for this number."""
        if factor != "sms":
            return Action.of("factor-add", factor, _ADDING[factor])
        parsed = parse_number(number)
        shown = "a number" if isinstance(parsed, Refusal) else masked(parsed)
        return Action.of(
            "factor-add", factor, f"have codes sent to {shown} by SMS", None if isinstance(parsed, Refusal) else parsed
        )

    def removing(self, account_id: int, factor: str, credential_id: str = "") -> Action | Refusal:
        account = self._access.account(account_id)
        if account is None or factor not in account.factors:
            return Refusal(Reason.FACTOR_MISSING)
        if factor != "passkey":
            return Action.of("factor-remove", factor, f"turn off {FACTOR_NAMES[factor]} as a second factor")
        passkey = account.passkey(credential_id)
        if passkey is None:
            return Refusal(Reason.PASSKEY_UNKNOWN)
        return Action.of("factor-remove", f"passkey {credential_id}", f"remove the passkey “{passkey.label}”")

    @staticmethod
    def making_codes() -> Action:
        return Action.of("recovery-codes", "", "make new recovery codes")

    async def _may_add(
        self, session: SignedIn, action: Action, *, password: str = "", step_up_id: str = ""
    ) -> Refusal | None:
        """Whether a factor may be added: the first for the password, a further one for a step-up, which is taken."""
        account = self._access.account(session.account_id)
        if account is None:
            return Refusal(Reason.ACCOUNT_UNKNOWN)
        if account.factors:
            return self._step_ups.take(step_up_id, session, action)
        refusal = self._factors.start_attempt(account.account_id)
        if refusal is None:
            refusal = await self._look_at_password(account, password)
            self._factors.end_attempt(account.account_id, refusal)
        await self._writer.durable()
        if refusal is None and account.factors:  # one came meanwhile, from elsewhere
            return self._step_ups.take(step_up_id, session, action)
        return refusal

    async def _look_at_password(self, account: Account, password: str) -> Refusal | None:
        try:
            right = await self._passwords.verify(self._vault.open(account.password_vault_id).decode(), password)
        except PasswordsBusy as error:
            return error.refusal
        return None if right else Refusal(Reason.PASSWORD_WRONG)

    # --- the authenticator -------------------------------------------------------------------------------------------

    async def open_totp(self, session: SignedIn, *, password: str = "", step_up_id: str = "") -> Refusal | None:
        """Draw a seed for this session to put into an authenticator: `seed_of` shows it until it is confirmed."""
        refusal = await self._may_add(session, self.adding("totp"), password=password, step_up_id=step_up_id)
        if refusal is None:
            self._set_up(session, "totp", b32encode(secrets.token_bytes(_SEED_BYTES)).decode())
        return refusal

    def seed_of(self, session: SignedIn) -> str | None:
        """The seed (base32) that this session is setting up."""
        setup = self.setup(session, "totp")
        return None if setup is None else setup.what

    def totp_address(self, session: SignedIn, seed: str) -> str:
        """What a QR code for authenticators says (the otpauth format, which they all read)."""
        name = quote(self._factors.email_of(session.account_id), safe="@")
        return f"otpauth://totp/Sparekey:{name}?secret={seed}&issuer=Sparekey&algorithm=SHA1&digits=6&period=30"

    async def confirm_totp(self, session: SignedIn, code: str) -> Refusal | None:
        """The authenticator counts from here on, if it shows the right code. That code counts no second time."""
        setup = self.setup(session, "totp")
        if setup is None:
            return Refusal(Reason.SETUP_OVER)
        refusal = self._factors.start_attempt(session.account_id)
        step = self._factors.match_totp(setup.what, code, enrolling=True) if refusal is None else refusal
        if isinstance(step, Refusal):
            await self._writer.durable()
            return step
        # No await from here to the submit: of two that confirm at the same time one finds nothing to confirm.
        del self._setups[session.handle]
        account = self._access.accounts[session.account_id]
        replaced = account.totp_vault_id
        vault_id = self._seal(session, "totp", setup.what)
        refusal = self._enrol(EnrolTotp(session.account_id, vault_id), vault_id)
        if refusal is None:
            self._writer.submit(AcceptTotpStep(session.account_id, step))
            self._factors.end_attempt(session.account_id, None)
        return await self._done(session, refusal, replaced, "totp")

    # --- SMS ---------------------------------------------------------------------------------------------------------

    async def open_sms(
        self, session: SignedIn, number: str, *, password: str = "", step_up_id: str = ""
    ) -> Refusal | None:
        """Send a code to the number, which `confirm_sms` wants back."""
        parsed = await asyncio.to_thread(parse_number, number)  # it reads a file for each country at first
        if isinstance(parsed, Refusal):
            return parsed
        refusal = await self._may_add(session, self.adding("sms", parsed), password=password, step_up_id=step_up_id)
        if refusal is not None:
            return refusal
        self._set_up(session, "sms", parsed)
        return self.send_sms(session)

    def number_of(self, session: SignedIn) -> str | None:
        """The number that this session is setting up."""
        setup = self.setup(session, "sms")
        return None if setup is None else setup.what

    def send_sms(self, session: SignedIn) -> Refusal | None:
        """Send (another) code to the number that is being set up."""
        number = self.number_of(session)
        if number is None:
            return Refusal(Reason.SETUP_OVER)
        text = "add this number as a second factor"
        return self._factors.send_sms_to(number, session.account_id, _purpose(session, number), text)

    async def confirm_sms(self, session: SignedIn, code: str) -> Refusal | None:
        setup = self.setup(session, "sms")
        if setup is None:
            return Refusal(Reason.SETUP_OVER)
        refusal = self._factors.start_attempt(session.account_id)
        if refusal is None:
            refusal = self._codes.spend("sms", _purpose(session, setup.what), code)
        if refusal is not None:
            await self._writer.durable()
            return refusal
        del self._setups[session.handle]
        account = self._access.accounts[session.account_id]
        replaced = account.sms_vault_id
        vault_id = self._seal(session, "sms", setup.what)
        refusal = self._enrol(EnrolSms(session.account_id, vault_id), vault_id)
        if refusal is None:
            self._factors.end_attempt(session.account_id, None)
        return await self._done(session, refusal, replaced, "sms")

    # --- passkeys ----------------------------------------------------------------------------------------------------

    async def open_passkey(self, session: SignedIn, *, password: str = "", step_up_id: str = "") -> Refusal | None:
        refusal = await self._may_add(session, self.adding("passkey"), password=password, step_up_id=step_up_id)
        if refusal is None:
            self._set_up(session, "passkey", "")
        return refusal

    def ask_passkey(self, session: SignedIn, host: str) -> str | Refusal:
        """Options of `navigator.credentials.create` as JSON, for a page asked for under this Host header."""
        account = self._access.account(session.account_id)
        if account is None or self.setup(session, "passkey") is None:
            return Refusal(Reason.SETUP_OVER)
        origin = self._passkeys.origin_of(host)
        if origin is None:
            return Refusal(Reason.PASSKEY_ADDRESS, (" or ".join(self._passkeys.origins),))
        name = self._factors.email_of(session.account_id)
        return self._passkeys.ask_new(_purpose(session), session.account_id, name, account.passkeys, origin)

    async def confirm_passkey(self, session: SignedIn, label: str, answer: str) -> Refusal | None:
        """`answer`: what the device made of the options, as JSON."""
        if self.setup(session, "passkey") is None:
            return Refusal(Reason.SETUP_OVER)
        made = self._passkeys.take_new(_purpose(session), session.account_id, answer)
        if isinstance(made, Refusal):
            return made
        command = AddPasskey(
            session.account_id, made.credential_id, made.public_key, made.sign_count, label, made.transports
        )
        outcome = self._writer.submit(command)
        if isinstance(outcome, Refusal):
            await self._writer.durable()
            return outcome
        del self._setups[session.handle]
        return await self._done(session, None, "", "passkey")

    # --- away with them ----------------------------------------------------------------------------------------------

    async def remove(
        self, session: SignedIn, factor: str, credential_id: str = "", *, step_up_id: str
    ) -> Refusal | None:
        """Turn a factor off. The last one goes for itself or a recovery code alone, which the writer sees to."""
        action = self.removing(session.account_id, factor, credential_id)
        if isinstance(action, Refusal):
            return action
        step_up = self._step_ups.find(step_up_id, session)
        refusal = self._step_ups.take(step_up_id, session, action)
        if refusal is not None or step_up is None:
            return refusal
        account = self._access.accounts[session.account_id]
        vault_id = {"totp": account.totp_vault_id, "sms": account.sms_vault_id}.get(factor, "")
        codes = account.recovery_vault_id
        command: Any = {
            "totp": RemoveTotp(session.account_id, step_up.proved_by),
            "sms": RemoveSms(session.account_id, step_up.proved_by),
            "passkey": RemovePasskey(session.account_id, credential_id, step_up.proved_by),
        }[factor]
        refusal = await self._writer.ask(command)
        if refusal is not None:
            return refusal
        self._forget_unused(account, vault_id, codes)
        circumstances = self._circumstances(session)
        self._factors.tell(
            account.account_id, lambda address: self._letters.factor_removed(address, factor, circumstances)
        )
        return None

    # --- recovery codes ----------------------------------------------------------------------------------------------

    async def make_codes(self, session: SignedIn, *, step_up_id: str) -> list[str] | Refusal:
        """A new set, which is told this once; those of the set before are good for nothing any more."""
        refusal = self._step_ups.take(step_up_id, session, self.making_codes())
        if refusal is not None:
            return refusal
        made = make_codes()
        try:
            hashes = [await self._passwords.hash(code) for code in made]  # one after the other: others wait, too
        except PasswordsBusy as error:
            return error.refusal
        account = self._access.account(session.account_id)
        if account is None:
            return Refusal(Reason.ACCOUNT_UNKNOWN)
        replaced = account.recovery_vault_id
        vault_id = self._seal(session, "recovery", encode_hashes(hashes).decode())
        refusal = self._enrol(SetRecoveryCodes(session.account_id, vault_id, len(made)), vault_id)
        await self._writer.durable()
        if refusal is not None:
            return refusal
        self._forget_unused(account, replaced)
        circumstances = self._circumstances(session)
        self._factors.tell(
            account.account_id, lambda address: self._letters.recovery_codes_made(address, circumstances)
        )
        return [spelled(code) for code in made]

    # --- within ------------------------------------------------------------------------------------------------------

    def setup(self, session: SignedIn, factor: str) -> Setup | None:
        """What this session is setting up, if it is this factor and not over."""
        setup = self._setups.get(session.handle)
        if setup is None or setup.factor != factor or setup.account_id != session.account_id:
            return None
        account = self._access.account(session.account_id)
        if account is None or (setup.is_first and account.factors):
            return None
        return setup if self._now_us() < setup.until_us else None

    def abandon(self, session: SignedIn) -> None:
        """What the session was setting up is forgotten."""
        self._setups.pop(session.handle, None)

    def forget_account(self, account_id: int) -> None:
        """The account was erased: so is what was being set up for it."""
        for handle in [handle for handle, setup in self._setups.items() if setup.account_id == account_id]:
            del self._setups[handle]

    def _set_up(self, session: SignedIn, factor: str, what: str) -> None:
        now_us = self._now_us()
        self._setups.pop(session.handle, None)
        while self._setups:  # they stand oldest first
            oldest = next(iter(self._setups))
            if len(self._setups) < _OPEN_MOST and now_us < self._setups[oldest].until_us:
                break
            del self._setups[oldest]
        is_first = not self._access.accounts[session.account_id].factors
        self._setups[session.handle] = Setup(session.account_id, factor, what, now_us + OPEN_US, is_first)

    def _seal(self, session: SignedIn, kind: str, what: str) -> str:
        """Under a name of its own, so that what it replaces stays until the change is durable."""
        return self._vault.seal(subject_of(session.account_id), kind, secrets.token_hex(8), what.encode())

    def _enrol(self, command: Any, vault_id: str) -> Refusal | None:
        """What was sealed for nothing is forgotten again."""
        outcome = self._writer.submit(command)
        if isinstance(outcome, Refusal):
            self._vault.forget(vault_id)
            return outcome
        return None

    async def _done(self, session: SignedIn, refusal: Refusal | None, replaced: str, factor: str) -> Refusal | None:
        await self._writer.durable()
        if refusal is not None:
            return refusal
        account = self._access.account(session.account_id)
        if account is None:  # erased meanwhile, and its owner told
            return Refusal(Reason.ACCOUNT_UNKNOWN)
        self._forget_unused(account, replaced)
        circumstances = self._circumstances(session)
        self._factors.tell(
            account.account_id, lambda address: self._letters.factor_added(address, factor, circumstances)
        )
        return None

    def _forget_unused(self, account: Account, *vault_ids: str) -> None:
        used = (account.totp_vault_id, account.sms_vault_id, account.recovery_vault_id)
        for vault_id in vault_ids:
            if vault_id and vault_id not in used:
                self._vault.forget(vault_id)

    def _circumstances(self, session: SignedIn) -> Circumstances:
        return Circumstances(self._now_us(), session.ip, session.agent)


def parse_number(typed: str) -> str | Refusal:
    """The number as E.164 has it, such as +447400123456; refused unless it is one that takes SMS."""
    if len(typed) > _LONGEST_NUMBER:
        return Refusal(Reason.PHONE_INVALID)
    try:
        number = phonenumbers.parse(typed, None)
    except phonenumbers.NumberParseException:
        return Refusal(Reason.PHONE_INVALID)
    if not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) not in _WITH_SMS:
        return Refusal(Reason.PHONE_INVALID)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _purpose(session: SignedIn, number: str = "") -> str:
    """What codes and challenges are for that belong to a setup: a code that went to one number proves no other."""
    return f"{session.handle}/setup {number}"
