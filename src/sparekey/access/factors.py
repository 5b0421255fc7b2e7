"""Decides what concerns signing in: password, sessions, second factors, recovery codes, tries, the identity check.

As in `decide`: state and command in, events or a refusal out. The caller has looked at passwords, codes and signatures
already; here is decided what follows from a right one, that it is right only once, and how many may be tried. Nobody
signs in to a sub-account, so none of this is for those.
"""

from __future__ import annotations

from typing import Any

from sparekey.access.attempts import limited_until
from sparekey.access.commands import (
    AcceptTotpStep,
    AddPasskey,
    ChangePassword,
    EndSessions,
    EnrolSms,
    EnrolTotp,
    PassFactorAttempt,
    RemovePasskey,
    RemoveSms,
    RemoveTotp,
    SetKyc,
    SetRecoveryCodes,
    StartFactorAttempt,
    SubmitKyc,
    UsePasskey,
    UseRecoveryCode,
)
from sparekey.access.events import (
    AccessEvent,
    FactorAttempted,
    FactorAttemptPassed,
    KycSet,
    KycSubmitted,
    PasskeyAdded,
    PasskeyRemoved,
    PasskeyUsed,
    PasswordChanged,
    RecoveryCodesSet,
    RecoveryCodeUsed,
    SessionsEnded,
    SmsEnrolled,
    SmsRemoved,
    TotpEnrolled,
    TotpRemoved,
    TotpStepAccepted,
    WithdrawalsHeld,
)
from sparekey.access.labels import parse_label
from sparekey.access.state import KYC_STATES, AccessState, Account
from sparekey.terms.clocktime import DAY_US, MILLISECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

PASSKEYS_MOST = 10
RECOVERY_CODES_MOST = 20
#: Without any second factor left, withdrawals wait, so that whoever took it over gains nothing at once.
WITHDRAWALS_HELD_US = DAY_US
#: Of a credential id: 1,023 bytes (WebAuthn Level 3, section 4), as base64url.
_CREDENTIAL_ID_MAX = 1_364
#: Far above any COSE key of the algorithms that authenticators use, RSA included.
_COSE_KEY_MAX = 2_048
_SIGN_COUNT_MAX = 2**32 - 1
#: WebAuthn Level 3, section 5.8.4. Those that are unknown are passed over, as there.
_TRANSPORTS = ("usb", "nfc", "ble", "smart-card", "hybrid", "internal")
_CAUSE_MAX = 200

Decision = tuple[AccessEvent, ...] | Refusal


def _holder(state: AccessState, account_id: int) -> Account | Refusal:
    account = state.account(account_id)
    if account is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    return Refusal(Reason.MAIN_ACCOUNT_ONLY) if account.master_id else account


# --- password and sessions -------------------------------------------------------------------------------------------


def change_password(state: AccessState, command: ChangePassword, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    if not command.vault_id:
        return Refusal(Reason.REQUEST_INVALID, ("A password needs a sealed hash.",))
    return (PasswordChanged(command.account_id, command.vault_id, account.epoch + 1),)


def end_sessions(state: AccessState, command: EndSessions, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    return account if isinstance(account, Refusal) else (SessionsEnded(command.account_id, account.epoch + 1),)


# --- the authenticator -----------------------------------------------------------------------------------------------


def enrol_totp(state: AccessState, command: EnrolTotp, now_us: int) -> Decision:
    if state.account(command.account_id) is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    if not command.vault_id:
        return Refusal(Reason.REQUEST_INVALID, ("An authenticator needs a sealed seed.",))
    return (TotpEnrolled(command.account_id, command.vault_id),)


def remove_totp(state: AccessState, command: RemoveTotp, now_us: int) -> Decision:
    account = state.account(command.account_id)
    if account is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    if not account.totp_vault_id:
        return Refusal(Reason.FACTOR_MISSING)
    return _removal(account, "totp", command.proved_by, TotpRemoved(command.account_id), now_us)


def accept_totp_step(state: AccessState, command: AcceptTotpStep, now_us: int) -> Decision:
    account = state.account(command.account_id)
    if account is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    if not account.totp_vault_id:
        return Refusal(Reason.FACTOR_MISSING)
    # RFC 6238, section 5.2: a code must not be accepted twice. Later steps only, so that A, B, A fails as well.
    if command.step <= account.totp_step:
        return Refusal(Reason.FACTOR_USED)
    return (TotpStepAccepted(command.account_id, command.step),)


# --- codes by SMS ----------------------------------------------------------------------------------------------------


def enrol_sms(state: AccessState, command: EnrolSms, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    if not command.vault_id:
        return Refusal(Reason.REQUEST_INVALID, ("Codes by SMS need a sealed number.",))
    return (SmsEnrolled(command.account_id, command.vault_id),)


def remove_sms(state: AccessState, command: RemoveSms, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    if not account.sms_vault_id:
        return Refusal(Reason.FACTOR_MISSING)
    return _removal(account, "sms", command.proved_by, SmsRemoved(command.account_id), now_us)


# --- passkeys --------------------------------------------------------------------------------------------------------


def add_passkey(state: AccessState, command: AddPasskey, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    label = parse_label(command.label)
    if label is None:
        return Refusal(Reason.LABEL_INVALID)
    if not _is_base64url(command.credential_id, _CREDENTIAL_ID_MAX):
        return Refusal(Reason.PASSKEY_INVALID, ("its credential id is empty, too long or not base64url",))
    if not _is_base64url(command.public_key, _COSE_KEY_MAX):
        return Refusal(Reason.PASSKEY_INVALID, ("its public key is empty, too long or not base64url",))
    if not 0 <= command.sign_count <= _SIGN_COUNT_MAX:
        return Refusal(Reason.PASSKEY_INVALID, ("its signature count is out of range",))
    if command.credential_id in state.accounts_by_credential:
        return Refusal(Reason.PASSKEY_EXISTS)
    if len(account.passkeys) >= PASSKEYS_MOST:
        return Refusal(Reason.PASSKEY_LIMIT, (PASSKEYS_MOST,))
    transports = tuple(one for one in _TRANSPORTS if one in command.transports)
    return (
        PasskeyAdded(
            command.account_id, command.credential_id, command.public_key, command.sign_count, label, transports
        ),
    )


def use_passkey(state: AccessState, command: UsePasskey, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    passkey = account.passkey(command.credential_id)
    if passkey is None:
        return Refusal(Reason.PASSKEY_UNKNOWN)
    if not 0 <= command.sign_count <= _SIGN_COUNT_MAX:
        return Refusal(Reason.PASSKEY_INVALID, ("its signature count is out of range",))
    # Passkeys that are kept in step between devices have no count: theirs is 0 for ever.
    if command.sign_count <= passkey.sign_count and (command.sign_count or passkey.sign_count):
        return Refusal(Reason.PASSKEY_COPIED)
    return (PasskeyUsed(command.account_id, command.credential_id, command.sign_count),)


def remove_passkey(state: AccessState, command: RemovePasskey, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    if account.passkey(command.credential_id) is None:
        return Refusal(Reason.PASSKEY_UNKNOWN)
    removed = PasskeyRemoved(command.account_id, command.credential_id)
    factor = "passkey" if len(account.passkeys) == 1 else ""
    return _removal(account, factor, command.proved_by, removed, now_us)


def _is_base64url(text: str, most: int) -> bool:
    return 0 < len(text) <= most and text.isascii() and text.replace("-", "").replace("_", "").isalnum()


# --- recovery codes --------------------------------------------------------------------------------------------------


def set_recovery_codes(state: AccessState, command: SetRecoveryCodes, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    if not account.factors:
        return Refusal(Reason.FACTOR_MISSING)
    if not command.vault_id or not 0 < command.count <= RECOVERY_CODES_MOST:
        return Refusal(Reason.REQUEST_INVALID, (f"A set has 1 to {RECOVERY_CODES_MOST} sealed recovery codes.",))
    return (RecoveryCodesSet(command.account_id, command.vault_id, command.count),)


def use_recovery_code(state: AccessState, command: UseRecoveryCode, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    if not account.recovery_vault_id:
        return Refusal(Reason.FACTOR_MISSING)
    if command.index not in account.recovery_left:
        return Refusal(Reason.FACTOR_USED)
    return (RecoveryCodeUsed(command.account_id, command.index),)


# --- removals and tries ----------------------------------------------------------------------------------------------


def _removal(account: Account, factor: str, proved_by: str, removed: Any, now_us: int) -> Decision:
    """What removing a factor leads to. `factor` is the kind that goes; empty if another of its kind stays."""
    last = account.factors == [factor]
    if last and proved_by not in ("", factor, "recovery"):
        return Refusal(Reason.FACTOR_LAST, (factor,))
    if proved_by and proved_by not in (*account.factors, "recovery"):
        return Refusal(Reason.REQUEST_INVALID, (f"{proved_by[:64]} is no second factor that is on.",))
    if not last:
        return (removed,)
    held = WithdrawalsHeld(account.account_id, now_us + WITHDRAWALS_HELD_US)
    if not account.recovery_vault_id:
        return removed, held
    # Recovery codes stand in for a factor: with the next one comes a set of its own.
    return removed, RecoveryCodesSet(account.account_id, "", 0), held


def start_factor_attempt(state: AccessState, command: StartFactorAttempt, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    limited = limited_until(account.attempts, now_us)
    if limited is not None:
        rule, until_us = limited
        return Refusal(Reason.FACTOR_LIMIT, (rule.most, rule.within, -(-until_us // MILLISECOND_US)))
    return (FactorAttempted(command.account_id),)


def pass_factor_attempt(state: AccessState, command: PassFactorAttempt, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    return (FactorAttemptPassed(command.account_id),) if account.attempts else ()


# --- the identity check ----------------------------------------------------------------------------------------------


def kyc_unknown(kyc: str) -> Refusal:
    return Refusal(Reason.REQUEST_INVALID, (f"{kyc[:64]} is no state of an identity check: {', '.join(KYC_STATES)}.",))


def submit_kyc(state: AccessState, command: SubmitKyc, now_us: int) -> Decision:
    account = _holder(state, command.account_id)
    if isinstance(account, Refusal):
        return account
    if account.kyc in ("pending", "approved"):
        return Refusal(Reason.KYC_STATE, (account.kyc,))
    if not command.vault_id:
        return Refusal(Reason.REQUEST_INVALID, ("An identity check needs a sealed application.",))
    return (KycSubmitted(command.account_id, command.vault_id),)


def set_kyc(state: AccessState, command: SetKyc, now_us: int) -> Decision:
    account = state.account(command.account_id)
    if account is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    if command.kyc not in KYC_STATES:
        return kyc_unknown(command.kyc)
    if any(len(text) > _CAUSE_MAX or not (text.isprintable() or not text) for text in (command.by, command.cause)):
        return Refusal(Reason.CAUSE_INVALID, (_CAUSE_MAX,))
    if account.kyc == command.kyc:
        return ()
    return (KycSet(command.account_id, command.kyc, command.by, command.cause),)
