"""What can be asked of the access shard.

Secrets, addresses and passwords never stand in a command, because commands are journaled: the caller seals them in
the vault first and passes the vault id, or a keyed digest to find things by. Entropy is drawn by the caller, too.

`actor_account_id` on key commands is the account that asks; 0 stands for the operator. A key of another account is
as unknown as one that never existed.
"""

from __future__ import annotations

import msgspec


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True, tag_field="kind"):
    """Base of all access commands; the class name is the tag in the journal. Fields are only ever appended."""


class CreateAccount(Command, frozen=True):
    """`email_digest` is the vault's keyed digest of the normalised address. `kyc` is one of `state.KYC_STATES`.

    A `totp_vault_id` enrols an authenticator in the same commit. Vault ids may name the account that will come into
    being: the writer's `state.next_account_id`, read just before.
    """

    email_digest: str
    password_vault_id: str
    kyc: str = "none"
    totp_vault_id: str = ""
    futures_allowed: bool = True


class SetKyc(Command, frozen=True):
    """`by` says who decided, `cause` why; neither names the person that the account belongs to."""

    account_id: int
    kyc: str
    by: str = "operator"
    cause: str = ""


class SubmitKyc(Command, frozen=True):
    """`vault_id` names the sealed application, which then waits for a decision."""

    account_id: int
    vault_id: str


class ChangePassword(Command, frozen=True):
    """`vault_id` names the sealed hash of the new one. Every session of the account ends."""

    account_id: int
    vault_id: str


class EndSessions(Command, frozen=True):
    """Every session of the account ends, wherever it is kept."""

    account_id: int


class EnrolTotp(Command, frozen=True):
    """A second enrolment replaces the first; its accepted steps start anew."""

    account_id: int
    vault_id: str


class RemoveTotp(Command, frozen=True):
    """`proved_by`: the second factor, or "recovery", that the holder just proved; "" for the operator."""

    account_id: int
    proved_by: str = ""


class AcceptTotpStep(Command, frozen=True):
    """A code matched at this 30-second step (RFC 6238). Only a step later than the last accepted one counts."""

    account_id: int
    step: int


class EnrolSms(Command, frozen=True):
    """`vault_id` names the sealed number, to which a code was sent and came back. Replaces the number before."""

    account_id: int
    vault_id: str


class RemoveSms(Command, frozen=True):
    """`proved_by` as in `RemoveTotp`."""

    account_id: int
    proved_by: str = ""


class AddPasskey(Command, frozen=True):
    """A passkey whose registration the caller verified. `credential_id` and `public_key` (COSE) are base64url.

    A credential belongs to one account (WebAuthn Level 3, section 7.1, step 26).
    """

    account_id: int
    credential_id: str
    public_key: str
    sign_count: int
    label: str
    transports: tuple[str, ...] = ()


class UsePasskey(Command, frozen=True):
    """The caller verified a signature of this passkey. A count that does not grow tells of a copy (step 22 of 7.2)."""

    account_id: int
    credential_id: str
    sign_count: int


class RemovePasskey(Command, frozen=True):
    """`proved_by` as in `RemoveTotp`."""

    account_id: int
    credential_id: str
    proved_by: str = ""


class SetRecoveryCodes(Command, frozen=True):
    """A new set of `count` codes, whose sealed hashes `vault_id` names, in place of the whole set before."""

    account_id: int
    vault_id: str
    count: int


class UseRecoveryCode(Command, frozen=True):
    """The code with this index in the sealed set was right. It is right once."""

    account_id: int
    index: int


class StartFactorAttempt(Command, frozen=True):
    """Somebody is about to try a code. Asked before the code is looked at, so that no try goes uncounted."""

    account_id: int


class PassFactorAttempt(Command, frozen=True):
    """The code was right, which costs nothing: gives the newest attempt back."""

    account_id: int


class SuspendAccess(Command, frozen=True):
    """Stop all keys of the account. `cause` is for the audit trail."""

    account_id: int
    cause: str


class RestoreAccess(Command, frozen=True):
    account_id: int
    cause: str


class CreateKey(Command, frozen=True):
    """`api_key` is 64 letters and digits (`credentials.api_key_from`). `key_type` is hmac, rsa or ed25519.

    `permissions` is a mask of `Permission`; reading is implied. `whitelist` holds addresses and CIDR ranges as typed.
    hmac needs `vault_id` (the sealed secret); the others need `public_key`, PEM as pasted. `loopback_allowed`: sandbox
    mode, where loopback ranges do not count as too wide.
    """

    account_id: int
    api_key: str
    key_type: str
    label: str
    permissions: int
    whitelist: tuple[str, ...] = ()
    vault_id: str = ""
    public_key: str = ""
    loopback_allowed: bool = False
    key_limit: int = 30
    #: "" for an ordinary key; "cross" or an isolated pair for a special key of margin (`state.Key.special`)
    special: str = ""


class EditKey(Command, frozen=True):
    """What is given replaces the whole of it; None leaves it as it is.

    Taking the whitelist away takes withdrawals away in the same commit, unless `permissions` insists, which is refused.
    """

    key_id: int
    actor_account_id: int = 0
    label: str | None = None
    permissions: int | None = None
    whitelist: tuple[str, ...] | None = None
    loopback_allowed: bool = False


class DisableKey(Command, frozen=True):
    key_id: int
    actor_account_id: int = 0


class EnableKey(Command, frozen=True):
    key_id: int
    actor_account_id: int = 0


class DeleteKey(Command, frozen=True):
    """For good. What the vault holds for the key, the caller forgets once this is durable."""

    key_id: int
    actor_account_id: int = 0


class RotateKey(Command, frozen=True):
    """Replace a key by a new one of the same account, type, label, permissions and whitelist.

    The old key lives on for `overlap_us`, but never longer than it would have lived anyway; 0 ends it at once. Until
    then both share one place among the account's keys. What is new comes as with `CreateKey`: `api_key`, and `vault_id`
    for hmac or `public_key` for the others. A disabled key may be rotated, too: it stays disabled.

    A predecessor of the key that is dead already is deleted in the same commit, so that no trail of dead keys builds
    up; the caller forgets what the vault holds for it, as with `DeleteKey`.
    """

    key_id: int
    actor_account_id: int = 0
    api_key: str = ""
    vault_id: str = ""
    public_key: str = ""
    overlap_us: int = 0


class PanicKeys(Command, frozen=True):
    """Disable all active keys of the account, and of its sub-accounts, at once.

    `cause` is for the audit trail. Each key is enabled again by itself.
    """

    account_id: int
    cause: str = ""


class EraseAccount(Command, frozen=True):
    """Delete the account's keys and forget who it was; its e-mail address is free for a new account.

    The caller destroys the account's vault key once this is durable: with it go address, password, authenticator and
    secrets, in every copy. The ledger's entries stay, since the books must balance, under a number that names nobody;
    nothing can move them any more. Nobody could cancel its orders afterwards either, so the caller refuses to erase an
    account that has open orders. For everyone who asks, the account does not exist any more.
    """

    account_id: int


class RecordStrike(Command, frozen=True):
    """Charge the account with a ban that its correctly signed calls earned (`strikes`); too many suspend it."""

    account_id: int
    cause: str = ""


class AdvanceClock(Command, frozen=True):
    """Move the policy clock ahead; timers that fall due on the way go off in their order."""

    by_us: int


class RunDueTimers(Command, frozen=True):
    """Let timers go off that are due by now; nothing happens when none is."""


class SetSkew(Command, frozen=True):
    """Let the wire clock run `skew_us` ahead of the host's (negative: behind); 0 ends the fault."""

    skew_us: int


class CreateSubAccount(Command, frozen=True):
    """`link` is one of `state.SUB_ACCOUNT_LINKS`. `most`: how many of its kind a master may have.

    The vault entry of its e-mail address may name the account that will come into being, as for `CreateAccount`.
    """

    master_id: int
    email_digest: str
    link: str
    tag: str = ""
    most: int = 200


class CloseSubAccount(Command, frozen=True):
    """For good, and only without keys; whoever asks makes sure that it holds no funds. `daily_most`: per master."""

    account_id: int
    actor_account_id: int = 0
    daily_most: int = 20


class SetBroker(Command, frozen=True):
    """Whether the account may have sub-accounts of its customers (Binance Link). The operator's to say."""

    account_id: int
    broker: bool


AccessCommand = (
    CreateAccount
    | SetKyc
    | EnrolTotp
    | RemoveTotp
    | AcceptTotpStep
    | SuspendAccess
    | RestoreAccess
    | CreateKey
    | EditKey
    | DisableKey
    | EnableKey
    | DeleteKey
    | RotateKey
    | PanicKeys
    | EraseAccount
    | RecordStrike
    | AdvanceClock
    | RunDueTimers
    | SetSkew
    | CreateSubAccount
    | CloseSubAccount
    | SetBroker
    | SubmitKyc
    | ChangePassword
    | EndSessions
    | EnrolSms
    | RemoveSms
    | AddPasskey
    | UsePasskey
    | RemovePasskey
    | SetRecoveryCodes
    | UseRecoveryCode
    | StartFactorAttempt
    | PassFactorAttempt
)
