"""Second factors, looked at: authenticator, SMS, passkey, recovery code. For sign-in and step-up alike.

Every look is counted by the writer before anything is looked at, over all factors of the account, and a right one costs
nothing. What is good once is decided by the writer as well, so that of two that come at the same time one is refused.
"""

from __future__ import annotations

import logging
from base64 import b32decode
from collections.abc import Callable
from typing import Final, Protocol

from sparekey.access.commands import (
    AcceptTotpStep,
    PassFactorAttempt,
    StartFactorAttempt,
    UsePasskey,
    UseRecoveryCode,
)
from sparekey.access.one_time import match_code
from sparekey.access.state import AccessState, Account
from sparekey.console.codes import Codes
from sparekey.console.holders import email_vault_id
from sparekey.console.letters import Circumstances, Letters, Post
from sparekey.console.passkeys import Passkeys
from sparekey.console.passwords import Passwords, PasswordsBusy
from sparekey.console.recovery import decode_hashes, parse_code
from sparekey.console.writing import AccessWriter
from sparekey.storage.vault import SecretUnavailable, Vault
from sparekey.terms.letters import Letter
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

_log = logging.getLogger(__name__)

#: Longer than any code; a passkey's answer is longer, and has a limit of its own.
_LONGEST_CODE: Final = 128
#: Digits of a number that are shown.
_SHOWN: Final = 2


class SignedIn(Protocol):
    """What is asked of a session here. `handle` stays the same when the session's token changes."""

    @property
    def handle(self) -> str: ...
    @property
    def account_id(self) -> int: ...
    @property
    def ip(self) -> str: ...
    @property
    def agent(self) -> str: ...


class Factors:
    """`wall_us` is what people's own clocks show, which an authenticator goes by; `now_us` is policy time."""

    def __init__(
        self,
        writer: AccessWriter,
        access: AccessState,
        vault: Vault,
        passwords: Passwords,
        codes: Codes,
        passkeys: Passkeys,
        letters: Letters,
        post: Post,
        *,
        wall_us: Callable[[], int],
        now_us: Callable[[], int],
    ) -> None:
        self._writer = writer
        self._access = access
        self._vault = vault
        self._passwords = passwords
        self._codes = codes
        self._passkeys = passkeys
        self._letters = letters
        self._post = post
        self._wall_us = wall_us
        self._now_us = now_us

    # --- what there is -----------------------------------------------------------------------------------------------

    def choices(self, account_id: int) -> list[str]:
        """What can prove the account's owner now: its second factors, and `recovery` while there are codes left."""
        account = self._access.account(account_id)
        if account is None or not account.factors:
            return []
        return [*account.factors, "recovery"] if account.recovery_left else [*account.factors]

    def masked_number(self, account_id: int) -> str:
        """The number that codes go to, as much of it as its owner needs to know it; "" without one."""
        account = self._access.account(account_id)
        number = "" if account is None else self._opened(account.sms_vault_id).decode()
        return masked(number)

    # --- asking ------------------------------------------------------------------------------------------------------

    def send_sms(self, account_id: int, purpose: str, text: str) -> Refusal | None:
        """Send a code that is good for this purpose alone; `text` says what it is for: “sign in”."""
        account = self._access.account(account_id)
        number = "" if account is None else self._opened(account.sms_vault_id).decode()
        if not number:
            return Refusal(Reason.FACTOR_MISSING)
        return self.send_sms_to(number, account_id, purpose, text)

    def send_sms_to(self, number: str, account_id: int, purpose: str, text: str) -> Refusal | None:
        """The same, to a number that is not yet the account's."""
        code = self._codes.issue("sms", purpose, account_id)
        if isinstance(code, Refusal):
            return code
        self._post.send(self._letters.step_up_sms(number, code, text))
        return None

    def send_email(self, account_id: int, purpose: str, text: str) -> Refusal | None:
        if self._access.account(account_id) is None:
            return Refusal(Reason.ACCOUNT_UNKNOWN)
        code = self._codes.issue("email", purpose, account_id)
        if isinstance(code, Refusal):
            return code
        self.tell(account_id, lambda address: self._letters.step_up_code(address, code, text))
        return None

    def tell(self, account_id: int, compose: Callable[[str], Letter]) -> None:
        """Send the account's holder a letter."""
        address = self.email_of(account_id)
        if address:
            self._post.send(compose(address))

    def ask_passkey(self, account_id: int, purpose: str, host: str) -> str | Refusal:
        """Options of `navigator.credentials.get` as JSON, for a page asked for under this Host header."""
        account = self._access.account(account_id)
        if account is None or not account.passkeys:
            return Refusal(Reason.FACTOR_MISSING)
        origin = self._passkeys.origin_of(host)
        if origin is None:
            return Refusal(Reason.PASSKEY_ADDRESS, (" or ".join(self._passkeys.origins),))
        return self._passkeys.ask_proof(purpose, account_id, account.passkeys, origin)

    # --- looking -----------------------------------------------------------------------------------------------------

    async def check(self, account_id: int, name: str, code: str, purpose: str) -> Refusal | None:
        """Whether the code of the factor `name` (totp, sms, passkey, recovery) proves the account's owner.

        `purpose` is what an SMS or a passkey's challenge was sent for. A code that was right is used up.
        """
        refusal = self.start_attempt(account_id)
        if refusal is None:
            refusal = await self.verify(account_id, name, code, purpose)
            self.end_attempt(account_id, refusal)
        await self.durable()
        return refusal

    def start_attempt(self, account_id: int) -> Refusal | None:
        """Count an attempt, before anything is looked at. Whatever the writer refuses is not looked at."""
        outcome = self._writer.submit(StartFactorAttempt(account_id))
        return outcome if isinstance(outcome, Refusal) else None

    def end_attempt(self, account_id: int, refusal: Refusal | None) -> None:
        """An attempt that was right costs nothing, nor does one that nobody had the time to look at."""
        if refusal is None or refusal.reason is Reason.SERVER_BUSY:
            self._writer.submit(PassFactorAttempt(account_id))

    async def durable(self) -> None:
        await self._writer.durable()

    async def verify(self, account_id: int, name: str, code: str, purpose: str) -> Refusal | None:
        """Look at a code whose attempt was counted; what it led to is not durable yet."""
        account = self._access.account(account_id)
        if account is None:
            return Refusal(Reason.ACCOUNT_UNKNOWN)
        if name == "passkey":
            return self._verify_passkey(account, code, purpose)
        if len(code) > _LONGEST_CODE:
            return Refusal(Reason.FACTOR_WRONG)
        if name == "totp":
            return self._verify_totp(account, code)
        if name == "sms":
            return self._codes.spend("sms", purpose, code) if account.sms_vault_id else Refusal(Reason.FACTOR_MISSING)
        if name == "recovery":
            return await self._verify_recovery(account, code)
        return Refusal(Reason.REQUEST_INVALID, ("There is no such factor.",))

    def _verify_totp(self, account: Account, code: str) -> Refusal | None:
        if not account.totp_vault_id:
            return Refusal(Reason.FACTOR_MISSING)
        seed = self._opened(account.totp_vault_id).decode()
        step = self.match_totp(seed, code, last_step=account.totp_step) if seed else Refusal(Reason.FACTOR_WRONG)
        if isinstance(step, Refusal):
            return step
        outcome = self._writer.submit(AcceptTotpStep(account.account_id, step))
        return outcome if isinstance(outcome, Refusal) else None

    def match_totp(self, seed: str, code: str, *, last_step: int = 0, enrolling: bool = False) -> int | Refusal:
        """The step at which an authenticator with this seed (base32) shows this code, about now (`match_code`)."""
        typed = "".join(code[:_LONGEST_CODE].split())  # authenticators show them in two groups
        return match_code(b32decode(seed), typed, self._wall_us(), last_step=last_step, enrolling=enrolling)

    def _verify_passkey(self, account: Account, answer: str, purpose: str) -> Refusal | None:
        used = self._passkeys.take_proof(purpose, account.account_id, account.passkeys, answer)
        if isinstance(used, Refusal):
            return used
        outcome = self._writer.submit(UsePasskey(account.account_id, used.credential_id, used.sign_count))
        return outcome if isinstance(outcome, Refusal) else None

    async def _verify_recovery(self, account: Account, typed: str) -> Refusal | None:
        if not account.recovery_left:
            return Refusal(Reason.FACTOR_MISSING)
        parsed = parse_code(typed)
        vault_id = account.recovery_vault_id
        sealed = self._opened(vault_id)
        if parsed is None or not sealed:
            return Refusal(Reason.RECOVERY_WRONG)
        index, code = parsed
        hashes = decode_hashes(sealed)
        try:
            right = await self._passwords.verify(hashes[index] if index < len(hashes) else "", code)
        except PasswordsBusy as error:
            return error.refusal
        if not right or account.recovery_vault_id != vault_id:  # a new set may have come meanwhile
            return Refusal(Reason.RECOVERY_WRONG)
        outcome = self._writer.submit(UseRecoveryCode(account.account_id, index))
        if isinstance(outcome, Refusal):
            return outcome
        left, circumstances = len(account.recovery_left), Circumstances(self._now_us(), "")
        self.tell(account.account_id, lambda address: self._letters.recovery_code_used(address, left, circumstances))
        return None

    # --- within ------------------------------------------------------------------------------------------------------

    def email_of(self, account_id: int) -> str:
        """Empty of an account that was erased."""
        return self._opened(email_vault_id(account_id)).decode()

    def _opened(self, vault_id: str) -> bytes:
        """Empty for what is not there or does not open, which proves nothing."""
        if not vault_id:
            return b""
        try:
            return self._vault.open(vault_id)
        except SecretUnavailable as error:
            _log.warning("what a factor needs is missing: %s", error)
            return b""


def masked(number: str) -> str:
    return number[:3] + "•" * (len(number) - 3 - _SHOWN) + number[-_SHOWN:] if number else ""
