"""Decides access commands: state and command in, events or a refusal out. Changes nothing.

`now_us` is policy time, so that `clock advance` ages keys and running clients' timestamps stay valid.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from sparekey.access.allowlist import parse_allowlist
from sparekey.access.commands import (
    AcceptTotpStep,
    AccessCommand,
    AddPasskey,
    AdvanceClock,
    ChangePassword,
    CloseSubAccount,
    CreateAccount,
    CreateKey,
    CreateSubAccount,
    DeleteKey,
    DisableKey,
    EditKey,
    EnableKey,
    EndSessions,
    EnrolSms,
    EnrolTotp,
    EraseAccount,
    PanicKeys,
    PassFactorAttempt,
    RecordStrike,
    RemovePasskey,
    RemoveSms,
    RemoveTotp,
    RestoreAccess,
    RotateKey,
    RunDueTimers,
    SetBroker,
    SetKyc,
    SetRecoveryCodes,
    SetSkew,
    StartFactorAttempt,
    SubmitKyc,
    SuspendAccess,
    UsePasskey,
    UseRecoveryCode,
)
from sparekey.access.events import (
    AccessEvent,
    AccessRestored,
    AccessSuspended,
    AccountCreated,
    AccountErased,
    ClockAdvanced,
    KeyCreated,
    KeyDeleted,
    KeyDisabled,
    KeyEdited,
    KeyEnabled,
    KeyExpired,
    KeyRotated,
    SkewSet,
    StrikeRecorded,
    TotpEnrolled,
)
from sparekey.access.expiry import STANDARD
from sparekey.access.factors import (
    accept_totp_step,
    add_passkey,
    change_password,
    end_sessions,
    enrol_sms,
    enrol_totp,
    kyc_unknown,
    pass_factor_attempt,
    remove_passkey,
    remove_sms,
    remove_totp,
    set_kyc,
    set_recovery_codes,
    start_factor_attempt,
    submit_kyc,
    use_passkey,
    use_recovery_code,
)
from sparekey.access.labels import parse_label
from sparekey.access.public_keys import parse_public_key
from sparekey.access.state import KEY_TYPES, KYC_STATES, AccessState, Account, Key, is_alive
from sparekey.access.strikes import are_too_many, with_strike
from sparekey.access.sub_accounts import close_sub_account, create_sub_account, set_broker
from sparekey.terms.clocktime import DAY_US
from sparekey.terms.permissions import PREREQUISITES, Permission, names_of
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: How long keys live.
EXPIRY = STANDARD
#: Furthest that the clock moves at once, and in all.
ADVANCE_MAX_DAYS = 3_650
ADVANCE_TOTAL_MAX_DAYS = 36_500
SKEW_MAX_US = DAY_US

_ALL_PERMISSIONS = sum(int(permission) for permission in Permission)
_WITHDRAWALS = int(Permission.WITHDRAWALS)
_FUTURES = int(Permission.FUTURES)
_READING = int(Permission.READING)

Decision = tuple[AccessEvent, ...] | Refusal


def decide(state: AccessState, command: AccessCommand, now_us: int) -> Decision:
    """What the command leads to. No events: nothing would change."""
    return _DECIDERS[type(command)](state, command, now_us)


# --- accounts --------------------------------------------------------------------------------------------------------


def _create_account(state: AccessState, command: CreateAccount, now_us: int) -> Decision:
    if command.kyc not in KYC_STATES:
        return kyc_unknown(command.kyc)
    if command.email_digest in state.accounts_by_email:
        return Refusal(Reason.ACCOUNT_EXISTS)
    account_id = state.next_account_id
    created = AccountCreated(
        account_id, command.email_digest, command.password_vault_id, command.kyc, command.futures_allowed
    )
    if command.totp_vault_id:
        return created, TotpEnrolled(account_id, command.totp_vault_id)
    return (created,)


def _suspend_access(state: AccessState, command: SuspendAccess, now_us: int) -> Decision:
    account = state.account(command.account_id)
    if account is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    return () if account.suspended else (AccessSuspended(command.account_id, command.cause),)


def _restore_access(state: AccessState, command: RestoreAccess, now_us: int) -> Decision:
    account = state.account(command.account_id)
    if account is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    return (AccessRestored(command.account_id, command.cause),) if account.suspended else ()


def _record_strike(state: AccessState, command: RecordStrike, now_us: int) -> Decision:
    account = state.account(command.account_id)
    if account is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    recorded = StrikeRecorded(command.account_id, command.cause)
    if account.suspended or not are_too_many(with_strike(account.strikes, now_us), now_us):
        return (recorded,)
    return recorded, AccessSuspended(command.account_id, command.cause)


def _erase_account(state: AccessState, command: EraseAccount, now_us: int) -> Decision:
    if state.account(command.account_id) is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    # Whoever is gone has no sub-accounts either: nobody could ever ask for them again.
    account_ids = [sub.account_id for sub in state.sub_accounts_of(command.account_id)] + [command.account_id]
    deleted = [KeyDeleted(key.key_id) for account_id in account_ids for key in state.keys_of(account_id)]
    return *deleted, *map(AccountErased, account_ids)


# --- keys ------------------------------------------------------------------------------------------------------------


def _create_key(state: AccessState, command: CreateKey, now_us: int) -> Decision:
    account = state.account(command.account_id)
    if account is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    unfit = _unfit_for_keys(state, account)
    if unfit is not None:
        return unfit
    if account.keys_held >= command.key_limit:
        return Refusal(Reason.KEY_LIMIT, (command.key_limit,))
    label = parse_label(command.label)
    if label is None:
        return Refusal(Reason.LABEL_INVALID)
    public_key = _parse_key_material(state, account.account_id, command.key_type, command.vault_id, command.public_key)
    if isinstance(public_key, Refusal):
        return public_key
    whitelist = parse_allowlist(command.whitelist, loopback_allowed=command.loopback_allowed)
    if isinstance(whitelist, Refusal):
        return whitelist
    permissions = _parse_permissions(command.permissions, account, whitelist)
    if isinstance(permissions, Refusal):
        return permissions
    unusable = _unusable_api_key(state, command.api_key)
    if unusable is not None:
        return unusable
    return (
        KeyCreated(
            state.next_key_id,
            command.account_id,
            command.api_key,
            command.key_type,
            label,
            permissions,
            whitelist,
            EXPIRY.at_birth(whitelist, now_us),
            command.vault_id,
            public_key,
            special=command.special,
        ),
    )


def _rotate_key(state: AccessState, command: RotateKey, now_us: int) -> Decision:
    key = _find_key(state, command.key_id, command.actor_account_id)
    if isinstance(key, Refusal):
        return key
    if _is_over(key, now_us):
        return key.end
    unfit = _unfit_for_keys(state, state.accounts[key.account_id])
    if unfit is not None:
        return unfit
    replaced, replacement = state.keys.get(key.replaces), state.keys.get(key.replaced_by)
    if (replacement is not None and replacement.status != "deleted") or (
        replaced is not None and not _is_over(replaced, now_us)
    ):
        # At most two keys ever live in one place.
        return Refusal(Reason.KEY_IN_ROTATION)
    if not 0 <= command.overlap_us <= EXPIRY.overlap_max_us:
        return Refusal(Reason.OVERLAP_INVALID, (EXPIRY.overlap_max_us // DAY_US,))
    public_key = _parse_key_material(state, key.account_id, key.key_type, command.vault_id, command.public_key)
    if isinstance(public_key, Refusal):
        return public_key
    if public_key and public_key == key.public_key:
        return Refusal(Reason.PUBLIC_KEY_INVALID, ("it is the one that is to be replaced",))
    unusable = _unusable_api_key(state, command.api_key)
    if unusable is not None:
        return unusable
    created = KeyCreated(
        state.next_key_id,
        key.account_id,
        command.api_key,
        key.key_type,
        key.label,
        key.permissions,
        key.whitelist,
        EXPIRY.at_birth(key.whitelist, now_us),
        command.vault_id,
        public_key,
        key.key_id,
        key.special,
    )
    retires_us = EXPIRY.retirement(key.dies_us, command.overlap_us, now_us)
    events: list[AccessEvent] = [created, KeyRotated(key.key_id, created.key_id, retires_us)]
    if replaced is not None and replaced.status != "deleted":
        events.insert(0, KeyDeleted(replaced.key_id))
    if retires_us <= now_us:
        events.append(KeyExpired(key.key_id, retires_us))
    return tuple(events)


def _unfit_for_keys(state: AccessState, account: Account) -> Refusal | None:
    """Why the account gets no new key, if so."""
    guarantor = state.guarantor_of(account)
    if account.suspended or guarantor.suspended:
        return Refusal(Reason.ACCOUNT_SUSPENDED)
    if guarantor.kyc != "approved":
        return Refusal(Reason.KYC_MISSING, (guarantor.kyc,))
    return None if guarantor.factors else Refusal(Reason.FACTOR_MISSING)


def _unusable_api_key(state: AccessState, api_key: str) -> Refusal | None:
    if len(api_key) != 64 or not (api_key.isascii() and api_key.isalnum()):
        return Refusal(Reason.KEY_MALFORMED)
    if state.key_by_api_key(api_key) is not None:
        return Refusal(Reason.REQUEST_INVALID, ("An API key with these characters exists, or existed.",))
    return None


def _parse_key_material(
    state: AccessState, account_id: int, key_type: str, vault_id: str, public_pem: str
) -> str | Refusal:
    """The public key's canonical base64, empty for hmac."""
    if key_type not in KEY_TYPES:
        return Refusal(Reason.KEY_TYPE_INVALID)
    if key_type == "hmac":
        if public_pem:
            return Refusal(Reason.PUBLIC_KEY_NOT_REQUIRED)
        if not vault_id:
            return Refusal(Reason.REQUEST_INVALID, ("A system generated key needs a sealed secret.",))
        return ""
    if not public_pem:
        return Refusal(Reason.PUBLIC_KEY_MISSING)
    public_key = parse_public_key(public_pem)
    if isinstance(public_key, Refusal):
        return public_key
    if public_key.type != key_type:
        return Refusal(Reason.PUBLIC_KEY_INVALID, (f"it is of type {public_key.type}, not {key_type}",))
    holders = state.keys_by_spki.get(base64.b64decode(public_key.spki), ())
    if any(key.account_id != account_id for key in holders):
        return Refusal(Reason.PUBLIC_KEY_INVALID, ("it is registered with another account",))
    return public_key.spki


def _edit_key(state: AccessState, command: EditKey, now_us: int) -> Decision:
    key = _find_key(state, command.key_id, command.actor_account_id)
    if isinstance(key, Refusal):
        return key
    if _is_over(key, now_us):
        # Final: a whitelist that comes too late does not bring a key back.
        return key.end
    account = state.accounts[key.account_id]
    label = key.label if command.label is None else parse_label(command.label)
    if label is None:
        return Refusal(Reason.LABEL_INVALID)
    whitelist: tuple[str, ...] | Refusal = key.whitelist
    if command.whitelist is not None:
        whitelist = parse_allowlist(command.whitelist, loopback_allowed=command.loopback_allowed)
    if isinstance(whitelist, Refusal):
        return whitelist
    if command.permissions is None:
        permissions: int | Refusal = key.permissions if whitelist else key.permissions & ~_WITHDRAWALS
    else:
        permissions = _parse_permissions(command.permissions, account, whitelist, held=key.permissions)
    if isinstance(permissions, Refusal):
        return permissions
    expires_us = EXPIRY.after_edit(key.expires_us, key.whitelist, whitelist, now_us)
    edited = KeyEdited(key.key_id, label, permissions, whitelist, expires_us)
    if edited == KeyEdited(key.key_id, key.label, key.permissions, key.whitelist, key.expires_us):
        return ()
    return (edited,)


def _disable_key(state: AccessState, command: DisableKey, now_us: int) -> Decision:
    key = _find_key(state, command.key_id, command.actor_account_id)
    if isinstance(key, Refusal):
        return key
    return (KeyDisabled(key.key_id),) if key.status == "active" else ()


def _enable_key(state: AccessState, command: EnableKey, now_us: int) -> Decision:
    key = _find_key(state, command.key_id, command.actor_account_id)
    if isinstance(key, Refusal):
        return key
    if _is_over(key, now_us):
        return key.end
    return (KeyEnabled(key.key_id),) if key.status == "disabled" else ()


def _delete_key(state: AccessState, command: DeleteKey, now_us: int) -> Decision:
    key = _find_key(state, command.key_id, command.actor_account_id)
    return key if isinstance(key, Refusal) else (KeyDeleted(key.key_id),)


def _panic_keys(state: AccessState, command: PanicKeys, now_us: int) -> Decision:
    if state.account(command.account_id) is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    keys = map(state.keys.__getitem__, state.key_ids_under(command.account_id))
    return tuple(KeyDisabled(key.key_id) for key in keys if key.status == "active")


def _is_over(key: Key, now_us: int) -> bool:
    """At its end or deleted, also before its timer goes off."""
    return not is_alive(key) or key.dies_us <= now_us


def _find_key(state: AccessState, key_id: int, actor_account_id: int) -> Key | Refusal:
    key = state.keys.get(key_id)
    if key is None or (actor_account_id and not _may_act(state, actor_account_id, key.account_id)):
        return Refusal(Reason.KEY_UNKNOWN)
    return Refusal(Reason.KEY_DELETED) if key.status == "deleted" else key


def _may_act(state: AccessState, actor_account_id: int, account_id: int) -> bool:
    """An account acts for itself, a master also for its sub-accounts."""
    return actor_account_id in (account_id, state.accounts[account_id].master_id)


def _parse_permissions(mask: int, account: Account, whitelist: tuple[str, ...], *, held: int = 0) -> int | Refusal:
    """The mask with reading, if everything in it has what it needs. `held`: what the key has already."""
    if mask < 0 or mask & ~_ALL_PERMISSIONS:
        return Refusal(Reason.PERMISSION_UNKNOWN, (mask,))
    mask |= _READING
    for permission, needed in PREREQUISITES.items():
        missing = int(needed) & ~mask
        if mask & int(permission) and missing:
            return Refusal(
                Reason.PERMISSION_PREREQUISITE, (names_of(permission)[0], " and ".join(names_of(Permission(missing))))
            )
    # A right that the key has it keeps, even if the account has lost futures since.
    if mask & _FUTURES & ~held and not account.futures_allowed:
        return Refusal(Reason.PERMISSION_PREREQUISITE, ("futures", "a futures account"))
    if mask & _WITHDRAWALS and not whitelist:
        return Refusal(Reason.WITHDRAWALS_NEED_WHITELIST)
    return mask


# --- clocks ----------------------------------------------------------------------------------------------------------


def _advance_clock(state: AccessState, command: AdvanceClock, now_us: int) -> Decision:
    if command.by_us <= 0:
        return Refusal(Reason.CLOCK_BACKWARDS)
    if command.by_us > ADVANCE_MAX_DAYS * DAY_US:
        return Refusal(Reason.CLOCK_TOO_FAR, (ADVANCE_MAX_DAYS,))
    if state.policy_offset_us + command.by_us > ADVANCE_TOTAL_MAX_DAYS * DAY_US:
        return Refusal(Reason.CLOCK_TOO_FAR, (ADVANCE_TOTAL_MAX_DAYS - state.policy_offset_us // DAY_US,))
    return ClockAdvanced(command.by_us), *_expire(state, now_us + command.by_us)


def _run_due_timers(state: AccessState, command: RunDueTimers, now_us: int) -> Decision:
    return _expire(state, now_us)


def _expire(state: AccessState, until_us: int) -> tuple[KeyExpired, ...]:
    return tuple(KeyExpired(key_id, due_us) for due_us, key_id in state.due(until_us))


def _set_skew(state: AccessState, command: SetSkew, now_us: int) -> Decision:
    if abs(command.skew_us) > SKEW_MAX_US:
        return Refusal(Reason.REQUEST_INVALID, ("The skew is at most one day either way.",))
    return () if command.skew_us == state.skew_us else (SkewSet(command.skew_us),)


_DECIDERS: dict[type, Callable[[AccessState, Any, int], Decision]] = {
    CreateAccount: _create_account,
    SetKyc: set_kyc,
    SubmitKyc: submit_kyc,
    ChangePassword: change_password,
    EndSessions: end_sessions,
    EnrolTotp: enrol_totp,
    RemoveTotp: remove_totp,
    AcceptTotpStep: accept_totp_step,
    EnrolSms: enrol_sms,
    RemoveSms: remove_sms,
    AddPasskey: add_passkey,
    UsePasskey: use_passkey,
    RemovePasskey: remove_passkey,
    SetRecoveryCodes: set_recovery_codes,
    UseRecoveryCode: use_recovery_code,
    StartFactorAttempt: start_factor_attempt,
    PassFactorAttempt: pass_factor_attempt,
    SuspendAccess: _suspend_access,
    RestoreAccess: _restore_access,
    CreateKey: _create_key,
    EditKey: _edit_key,
    DisableKey: _disable_key,
    EnableKey: _enable_key,
    DeleteKey: _delete_key,
    RotateKey: _rotate_key,
    PanicKeys: _panic_keys,
    EraseAccount: _erase_account,
    RecordStrike: _record_strike,
    AdvanceClock: _advance_clock,
    RunDueTimers: _run_due_timers,
    SetSkew: _set_skew,
    CreateSubAccount: create_sub_account,
    CloseSubAccount: close_sub_account,
    SetBroker: set_broker,
}
