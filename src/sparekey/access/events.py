"""What happened on the access shard. Events say results, not intentions: applying one never decides anything."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True, tag_field="kind"):
    """Base of all access events; the class name is the tag in the journal. Fields are only ever appended."""


class AccountCreated(Event, frozen=True):
    account_id: int
    email_digest: str
    password_vault_id: str
    kyc: str
    futures_allowed: bool


class KycSet(Event, frozen=True):
    account_id: int
    kyc: str
    by: str = "operator"
    cause: str = ""


class KycSubmitted(Event, frozen=True):
    account_id: int
    vault_id: str


class PasswordChanged(Event, frozen=True):
    """`epoch` is the account's from now on: sessions of an earlier one are over."""

    account_id: int
    vault_id: str
    epoch: int


class SessionsEnded(Event, frozen=True):
    account_id: int
    epoch: int


class TotpEnrolled(Event, frozen=True):
    account_id: int
    vault_id: str


class TotpRemoved(Event, frozen=True):
    account_id: int


class TotpStepAccepted(Event, frozen=True):
    account_id: int
    step: int


class SmsEnrolled(Event, frozen=True):
    account_id: int
    vault_id: str


class SmsRemoved(Event, frozen=True):
    account_id: int


class PasskeyAdded(Event, frozen=True):
    account_id: int
    credential_id: str
    public_key: str
    sign_count: int
    label: str
    transports: tuple[str, ...]


class PasskeyUsed(Event, frozen=True):
    account_id: int
    credential_id: str
    sign_count: int


class PasskeyRemoved(Event, frozen=True):
    account_id: int
    credential_id: str


class RecoveryCodesSet(Event, frozen=True):
    """No codes and an empty vault id: the set is gone."""

    account_id: int
    vault_id: str
    count: int


class RecoveryCodeUsed(Event, frozen=True):
    account_id: int
    index: int


class FactorAttempted(Event, frozen=True):
    """The record's time is the attempt's."""

    account_id: int


class FactorAttemptPassed(Event, frozen=True):
    account_id: int


class WithdrawalsHeld(Event, frozen=True):
    """The account withdraws nothing before `until_us` (policy time)."""

    account_id: int
    until_us: int


class AccessSuspended(Event, frozen=True):
    account_id: int
    cause: str


class AccessRestored(Event, frozen=True):
    account_id: int
    cause: str


class KeyCreated(Event, frozen=True):
    """`whitelist` is canonical (merged, sorted). `public_key` is the base64 of its SPKI DER, empty for hmac.

    `expires_us` is policy time; None means never. `replaces` is the key that this one was made to replace, or 0.
    """

    key_id: int
    account_id: int
    api_key: str
    key_type: str
    label: str
    permissions: int
    whitelist: tuple[str, ...]
    expires_us: int | None
    vault_id: str
    public_key: str
    replaces: int = 0
    special: str = ""


class KeyEdited(Event, frozen=True):
    """The whole of what an edit may change, as it is from now on."""

    key_id: int
    label: str
    permissions: int
    whitelist: tuple[str, ...]
    expires_us: int | None


class KeyDisabled(Event, frozen=True):
    key_id: int


class KeyEnabled(Event, frozen=True):
    key_id: int


class KeyDeleted(Event, frozen=True):
    key_id: int


class KeyExpired(Event, frozen=True):
    """The key's time came at `due_us` (policy time). Final."""

    key_id: int
    due_us: int


class KeyRotated(Event, frozen=True):
    """The key has a replacement and dies at `retires_us` (policy time) at the latest."""

    key_id: int
    replaced_by: int
    retires_us: int


class AccountErased(Event, frozen=True):
    account_id: int


class StrikeRecorded(Event, frozen=True):
    """The record's time is the strike's."""

    account_id: int
    cause: str


class ClockAdvanced(Event, frozen=True):
    by_us: int


class SkewSet(Event, frozen=True):
    skew_us: int


class SubAccountCreated(Event, frozen=True):
    account_id: int
    master_id: int
    email_digest: str
    link: str
    tag: str


class SubAccountClosed(Event, frozen=True):
    account_id: int


class BrokerSet(Event, frozen=True):
    account_id: int
    broker: bool


AccessEvent = (
    AccountCreated
    | KycSet
    | TotpEnrolled
    | TotpRemoved
    | TotpStepAccepted
    | AccessSuspended
    | AccessRestored
    | KeyCreated
    | KeyEdited
    | KeyDisabled
    | KeyEnabled
    | KeyDeleted
    | KeyExpired
    | KeyRotated
    | AccountErased
    | StrikeRecorded
    | ClockAdvanced
    | SkewSet
    | SubAccountCreated
    | SubAccountClosed
    | BrokerSet
    | KycSubmitted
    | PasswordChanged
    | SessionsEnded
    | SmsEnrolled
    | SmsRemoved
    | PasskeyAdded
    | PasskeyUsed
    | PasskeyRemoved
    | RecoveryCodesSet
    | RecoveryCodeUsed
    | FactorAttempted
    | FactorAttemptPassed
    | WithdrawalsHeld
)
