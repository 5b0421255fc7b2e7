"""Applies access events to the state. Nothing is decided here: a start runs this alone."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec

from sparekey.access.attempts import with_attempt
from sparekey.access.events import (
    AccessEvent,
    AccessRestored,
    AccessSuspended,
    AccountCreated,
    AccountErased,
    BrokerSet,
    ClockAdvanced,
    FactorAttempted,
    FactorAttemptPassed,
    KeyCreated,
    KeyDeleted,
    KeyDisabled,
    KeyEdited,
    KeyEnabled,
    KeyExpired,
    KeyRotated,
    KycSet,
    KycSubmitted,
    PasskeyAdded,
    PasskeyRemoved,
    PasskeyUsed,
    PasswordChanged,
    RecoveryCodesSet,
    RecoveryCodeUsed,
    SessionsEnded,
    SkewSet,
    SmsEnrolled,
    SmsRemoved,
    StrikeRecorded,
    SubAccountClosed,
    SubAccountCreated,
    TotpEnrolled,
    TotpRemoved,
    TotpStepAccepted,
    WithdrawalsHeld,
)
from sparekey.access.state import KEY_TYPES, AccessState, Account, Key, Passkey
from sparekey.access.strikes import with_strike


def apply(state: AccessState, event: AccessEvent, time_us: int) -> None:
    """`time_us` is the record's policy time."""
    _APPLIERS[type(event)](state, event, time_us)


def _account_created(state: AccessState, event: AccountCreated, time_us: int) -> None:
    state.next_account_id = event.account_id + 1
    state.add_account(
        Account(
            event.account_id, event.email_digest, event.password_vault_id, event.kyc, time_us, event.futures_allowed
        )
    )


def _kyc_set(state: AccessState, event: KycSet, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.kyc = event.kyc
    account.kyc_by = event.by
    account.kyc_cause = event.cause
    account.kyc_us = time_us
    state.settle_account(account)


def _kyc_submitted(state: AccessState, event: KycSubmitted, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.kyc = "pending"
    account.kyc_vault_id = event.vault_id
    account.kyc_by = account.kyc_cause = ""
    account.kyc_us = time_us
    state.settle_account(account)


def _password_changed(state: AccessState, event: PasswordChanged, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.password_vault_id = event.vault_id
    account.epoch = event.epoch


def _sessions_ended(state: AccessState, event: SessionsEnded, time_us: int) -> None:
    state.accounts[event.account_id].epoch = event.epoch


def _totp_enrolled(state: AccessState, event: TotpEnrolled, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.totp_vault_id = event.vault_id
    account.totp_step = 0
    state.settle_account(account)


def _totp_removed(state: AccessState, event: TotpRemoved, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.totp_vault_id = ""
    account.totp_step = 0
    state.settle_account(account)


def _totp_step_accepted(state: AccessState, event: TotpStepAccepted, time_us: int) -> None:
    state.accounts[event.account_id].totp_step = event.step


def _sms_enrolled(state: AccessState, event: SmsEnrolled, time_us: int) -> None:
    _set_sms(state, event.account_id, event.vault_id)


def _sms_removed(state: AccessState, event: SmsRemoved, time_us: int) -> None:
    _set_sms(state, event.account_id, "")


def _set_sms(state: AccessState, account_id: int, vault_id: str) -> None:
    account = state.accounts[account_id]
    account.sms_vault_id = vault_id
    state.settle_account(account)


def _passkey_added(state: AccessState, event: PasskeyAdded, time_us: int) -> None:
    account = state.accounts[event.account_id]
    added = Passkey(
        event.credential_id, event.public_key, event.sign_count, event.label, tuple(event.transports), time_us
    )
    state.set_passkeys(account, (*account.passkeys, added))
    state.settle_account(account)


def _passkey_used(state: AccessState, event: PasskeyUsed, time_us: int) -> None:
    account = state.accounts[event.account_id]
    passkeys = tuple(
        msgspec.structs.replace(one, sign_count=event.sign_count, used_us=time_us)
        if one.credential_id == event.credential_id
        else one
        for one in account.passkeys
    )
    state.set_passkeys(account, passkeys)


def _passkey_removed(state: AccessState, event: PasskeyRemoved, time_us: int) -> None:
    account = state.accounts[event.account_id]
    state.set_passkeys(account, tuple(one for one in account.passkeys if one.credential_id != event.credential_id))
    state.settle_account(account)


def _recovery_codes_set(state: AccessState, event: RecoveryCodesSet, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.recovery_vault_id = event.vault_id
    account.recovery_left = tuple(range(event.count))


def _recovery_code_used(state: AccessState, event: RecoveryCodeUsed, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.recovery_left = tuple(index for index in account.recovery_left if index != event.index)


def _factor_attempted(state: AccessState, event: FactorAttempted, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.attempts = with_attempt(account.attempts, time_us)


def _factor_attempt_passed(state: AccessState, event: FactorAttemptPassed, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.attempts = account.attempts[:-1]


def _withdrawals_held(state: AccessState, event: WithdrawalsHeld, time_us: int) -> None:
    state.accounts[event.account_id].withdrawals_from_us = event.until_us


def _access_suspended(state: AccessState, event: AccessSuspended, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.suspended = True
    state.settle_account(account)


def _access_restored(state: AccessState, event: AccessRestored, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.suspended = False
    account.strikes = ()  # who was let back in starts anew, or the next ban would throw them out again
    state.settle_account(account)


def _account_erased(state: AccessState, event: AccountErased, time_us: int) -> None:
    state.forget_account(state.accounts[event.account_id])


def _strike_recorded(state: AccessState, event: StrikeRecorded, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.strikes = with_strike(account.strikes, time_us)


def _key_created(state: AccessState, event: KeyCreated, time_us: int) -> None:
    state.next_key_id = event.key_id + 1
    state.add_key(
        Key(
            event.key_id,
            event.account_id,
            event.permissions,
            event.api_key.encode(),
            KEY_TYPES[KEY_TYPES.index(event.key_type)],  # one object for all, however many are read from a journal
            event.label,
            event.whitelist,
            time_us,
            event.expires_us,
            event.vault_id,
            base64.b64decode(event.public_key),
            replaces=event.replaces,
            special=event.special,
            updated_us=time_us,
        )
    )


def _key_edited(state: AccessState, event: KeyEdited, time_us: int) -> None:
    key = state.keys[event.key_id]
    key.updated_us = time_us
    key.label = event.label
    key.permissions = event.permissions
    state.set_whitelist(key, event.whitelist)
    if event.expires_us != key.expires_us:
        state.set_expiry(key, event.expires_us)
    state.settle_standing(key)


def _key_disabled(state: AccessState, event: KeyDisabled, time_us: int) -> None:
    _set_status(state, event.key_id, "disabled")


def _key_enabled(state: AccessState, event: KeyEnabled, time_us: int) -> None:
    _set_status(state, event.key_id, "active")


def _key_deleted(state: AccessState, event: KeyDeleted, time_us: int) -> None:
    state.forget_key(state.keys[event.key_id])


def _key_expired(state: AccessState, event: KeyExpired, time_us: int) -> None:
    _set_status(state, event.key_id, "expired")
    state.drop_stale_expiries()


def _key_rotated(state: AccessState, event: KeyRotated, time_us: int) -> None:
    key = state.keys[event.key_id]
    key.replaced_by = event.replaced_by
    state.set_retirement(key, event.retires_us)
    state.settle_place(key)


def _set_status(state: AccessState, key_id: int, status: str) -> None:
    key = state.keys[key_id]
    state.set_status(key, status)
    state.settle_place(key)
    state.settle_standing(key)


def _clock_advanced(state: AccessState, event: ClockAdvanced, time_us: int) -> None:
    state.policy_offset_us += event.by_us


def _skew_set(state: AccessState, event: SkewSet, time_us: int) -> None:
    state.skew_us = event.skew_us


def _sub_account_created(state: AccessState, event: SubAccountCreated, time_us: int) -> None:
    state.next_account_id = event.account_id + 1
    state.add_account(
        Account(
            event.account_id,
            event.email_digest,
            "",
            "none",
            time_us,
            futures_allowed=False,
            master_id=event.master_id,
            link=event.link,
            tag=event.tag,
        )
    )


def _sub_account_closed(state: AccessState, event: SubAccountClosed, time_us: int) -> None:
    account = state.accounts[event.account_id]
    account.closed_us = time_us
    del state.accounts_by_email[account.email_digest]


def _broker_set(state: AccessState, event: BrokerSet, time_us: int) -> None:
    state.accounts[event.account_id].is_broker = event.broker


_APPLIERS: dict[type, Callable[[AccessState, Any, int], None]] = {
    AccountCreated: _account_created,
    KycSet: _kyc_set,
    KycSubmitted: _kyc_submitted,
    PasswordChanged: _password_changed,
    SessionsEnded: _sessions_ended,
    TotpEnrolled: _totp_enrolled,
    TotpRemoved: _totp_removed,
    TotpStepAccepted: _totp_step_accepted,
    SmsEnrolled: _sms_enrolled,
    SmsRemoved: _sms_removed,
    PasskeyAdded: _passkey_added,
    PasskeyUsed: _passkey_used,
    PasskeyRemoved: _passkey_removed,
    RecoveryCodesSet: _recovery_codes_set,
    RecoveryCodeUsed: _recovery_code_used,
    FactorAttempted: _factor_attempted,
    FactorAttemptPassed: _factor_attempt_passed,
    WithdrawalsHeld: _withdrawals_held,
    AccessSuspended: _access_suspended,
    AccessRestored: _access_restored,
    KeyCreated: _key_created,
    KeyEdited: _key_edited,
    KeyDisabled: _key_disabled,
    KeyEnabled: _key_enabled,
    KeyDeleted: _key_deleted,
    KeyExpired: _key_expired,
    KeyRotated: _key_rotated,
    AccountErased: _account_erased,
    StrikeRecorded: _strike_recorded,
    ClockAdvanced: _clock_advanced,
    SkewSet: _skew_set,
    SubAccountCreated: _sub_account_created,
    SubAccountClosed: _sub_account_closed,
    BrokerSet: _broker_set,
}
