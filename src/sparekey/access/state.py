"""What the access shard knows: accounts, keys, the policy clock's offset and the skew.

State changes only by `apply`. Times are policy time in int microseconds. Fields marked [derived] are never written
down, and rebuilt by `load`.
"""

from __future__ import annotations

import base64
import heapq
from collections.abc import Iterable
from typing import Any

import msgspec

from sparekey.access.allowlist import Allowlist
from sparekey.access.signatures import Verifier
from sparekey.terms.clocktime import MILLISECOND_US
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

KYC_STATES = ("none", "pending", "approved", "rejected")
#: What may be a second factor.
FACTORS = ("totp", "sms", "passkey")
KEY_TYPES = ("hmac", "rsa", "ed25519")
#: What opens a sub-account: its own master's call, or a broker's for a customer (Binance Link).
SUB_ACCOUNT_LINKS = ("virtual", "broker")

#: Account ids look like Binance's uid: nine digits.
FIRST_ACCOUNT_ID = 100_000_001
#: 0 is the operator (`terms.admissions.OPERATOR_KEY_ID`).
FIRST_KEY_ID = 1

#: "Never", as a time: about 146,000 years from 1970.
NEVER_US = 2**62

#: What an unverified account's keys may still have; a key with any other permission is refused as a whole.
HARMLESS = int(Permission.READING)

#: A caller's address that is none: it stands where no address was let in yet.
NOBODY = "-"
#: One object for each of the words that every key has, wherever they were read from.
_WORDS = {word: word for word in (*KEY_TYPES, "active", "disabled", "expired", "deleted")}

_DISABLED = Refusal(Reason.KEY_DISABLED)
_DELETED = Refusal(Reason.KEY_DELETED)
_SUSPENDED = Refusal(Reason.ACCOUNT_SUSPENDED)
_UNVERIFIED = Refusal(Reason.ACCOUNT_UNVERIFIED)
#: A special key acts on the margin account through spot's routes, and there is no margin account yet.
_SPECIAL = Refusal(Reason.MARGIN_KEY_IDLE)


class Passkey(msgspec.Struct, frozen=True, array_like=True):
    """`credential_id` and `public_key` (COSE) are base64url; `used_us` is 0 before its first use."""

    credential_id: str
    public_key: str
    sign_count: int
    label: str
    transports: tuple[str, ...]
    added_us: int
    used_us: int = 0


class Account(msgspec.Struct, eq=False):
    """`totp_vault_id` is empty without an authenticator; `totp_step` is the last step accepted (0: none yet)."""

    account_id: int
    email_digest: str
    password_vault_id: str
    kyc: str
    created_us: int
    futures_allowed: bool = True
    totp_vault_id: str = ""
    totp_step: int = 0
    suspended: bool = False
    erased: bool = False
    #: policy times of bans that its own calls earned, oldest first; what the rules of `strikes` still look at
    strikes: tuple[int, ...] = ()
    #: a sub-account's master (0: none), what links them, and a broker's tag; when it was closed (0: it is open)
    master_id: int = 0
    link: str = ""
    tag: str = ""
    closed_us: int = 0
    #: may have sub-accounts of kind broker
    is_broker: bool = False
    #: a session counts only while it is of this epoch
    epoch: int = 0
    #: names the sealed number; empty without codes by SMS
    sms_vault_id: str = ""
    #: oldest first
    passkeys: tuple[Passkey, ...] = ()
    #: names the sealed hashes of the recovery codes, and the indices of those that are not used yet
    recovery_vault_id: str = ""
    recovery_left: tuple[int, ...] = ()
    #: policy times of tries of any factor that did not come right, oldest first; what `attempts` still looks at
    attempts: tuple[int, ...] = ()
    #: names the sealed application for the identity check; who decided what last about it, why and when
    kyc_vault_id: str = ""
    kyc_cause: str = ""
    kyc_by: str = ""
    kyc_us: int = 0
    #: withdraws nothing before
    withdrawals_from_us: int = 0
    #: [derived] every key that was ever made for it, deleted ones included
    key_ids: list[int] = msgspec.field(default_factory=list)
    #: [derived] how many places its keys take (`Key.has_place`): what the limit of keys is held against
    keys_held: int = 0

    @property
    def factors(self) -> list[str]:
        """Second factors that are on, by name (`FACTORS`)."""
        found = ["totp"] if self.totp_vault_id else []
        if self.sms_vault_id:
            found.append("sms")
        if self.passkeys:
            found.append("passkey")
        return found

    @property
    def verified(self) -> bool:
        """KYC approved and a second factor on: what every key that may do more than read depends on."""
        return self.kyc == "approved" and bool(self.factors)

    def passkey(self, credential_id: str) -> Passkey | None:
        return next((one for one in self.passkeys if one.credential_id == credential_id), None)

    @property
    def api_access(self) -> str:
        return "SUSPENDED" if self.suspended else "ACTIVE"


class _Bearer(msgspec.Struct, eq=False, gc=False):
    """The part of a key that an admission is about."""

    key_id: int
    account_id: int
    permissions: int


class _Asked(_Bearer, eq=False, gc=False, kw_only=True):
    """What else the gate asks of a key at each call. A struct keeps the fields of its bases together and first, so
    that a call of one key among a million touches one place of cold memory instead of four."""

    #: [derived] the refusal that status and account make of every call, or None
    standing: Refusal | None = None
    #: [derived] the earlier of `expires_us` and `retires_us`, or `NEVER_US`
    dies_us: int = NEVER_US
    #: [derived] the address that the whitelist let in last; "-", which is none, before
    caller: str = NOBODY
    #: [derived] an HMAC key's opened secret (`signatures.hmac_block`), from its first call on; empty before
    hmac_block: bytes = b""
    #: [derived] the parsed public key, kept for a while by `signatures.Verifiers`
    verifier: Verifier | None = None


class Key(_Asked, eq=False, gc=False):
    """`status` is active, disabled, expired or deleted; a deleted one keeps only what tells it from an unknown one.

    `header` is the API key as it stands in the header of a call, `spki` a public key's DER, `vault_id` names a sealed
    HMAC secret. `expires_us` is None for "never". `replaces` and `replaced_by` link a rotated key and its replacement
    (0: none); `retires_us` is the end that the rotation set; nothing moves it but a further rotation, and only ahead.
    """

    header: bytes
    key_type: str
    label: str
    whitelist: tuple[str, ...]
    created_us: int
    expires_us: int | None
    vault_id: str
    spki: bytes
    status: str = "active"
    replaces: int = 0
    replaced_by: int = 0
    retires_us: int | None = None
    #: a special key of margin: "cross", or the isolated pair that it acts on; "" for all others
    special: str = ""
    #: when it was made or last edited
    updated_us: int = 0
    #: [derived] None when any address may call
    allowlist: Allowlist | None = None
    #: [derived] whether it takes one of the account's places
    has_place: bool = False

    def __repr__(self) -> str:
        """Without the fields: the opened secret is one of them."""
        return f"<key {self.key_id} of account {self.account_id}, {self.key_type}, {self.status}>"

    @property
    def api_key(self) -> str:
        return self.header.decode()

    @property
    def public_key(self) -> str:
        """Base64 of the SPKI DER, as events and snapshots have it; empty for hmac."""
        return base64.b64encode(self.spki).decode()

    @property
    def end(self) -> Refusal:
        """What every call is refused for once `dies_us` has come: its own expiry, or the end of a rotation."""
        rotated = self.retires_us == self.dies_us != self.expires_us
        return Refusal(Reason.KEY_ROTATED if rotated else Reason.KEY_EXPIRED, (self.dies_us // MILLISECOND_US,))


class AccessState:
    """`seq` counts the shard's records: the sequence that admissions carry."""

    __slots__ = (
        "accounts",
        "accounts_by_credential",
        "accounts_by_email",
        "expiries",
        "keys",
        "keys_by_api_key",
        "keys_by_spki",
        "next_account_id",
        "next_key_id",
        "policy_offset_us",
        "seq",
        "skew_us",
        "sub_account_ids",
    )

    def __init__(self) -> None:
        self.seq = 0
        self.next_account_id = FIRST_ACCOUNT_ID
        self.next_key_id = FIRST_KEY_ID
        self.policy_offset_us = 0
        self.skew_us = 0
        self.accounts: dict[int, Account] = {}
        self.keys: dict[int, Key] = {}
        #: [derived]; by the bytes of the header, so that the gate needs no decoding
        self.keys_by_api_key: dict[bytes, Key] = {}
        self.accounts_by_email: dict[str, Account] = {}
        #: [derived] the credential id of each passkey → its account
        self.accounts_by_credential: dict[str, Account] = {}
        #: [derived] master → ids of all sub-accounts that it ever had
        self.sub_account_ids: dict[int, list[int]] = {}
        #: [derived] SPKI → the keys with it that are not deleted, all of one account
        self.keys_by_spki: dict[bytes, tuple[Key, ...]] = {}
        #: [derived] heap of (due_us, key_id); stale entries stay until they reach the top
        self.expiries: list[tuple[int, int]] = []

    # --- look-ups ------------------------------------------------------------------------------------------------

    def account(self, account_id: int) -> Account | None:
        """None also for an erased or closed one: whoever asks, it is gone."""
        account = self.accounts.get(account_id)
        return None if account is None or account.erased or account.closed_us else account

    def account_by_email(self, email_digest: str) -> Account | None:
        return self.accounts_by_email.get(email_digest)

    def guarantor_of(self, account: Account) -> Account:
        """Whose identity check and factors stand behind the account's keys: its master's, or its own."""
        return self.accounts[account.master_id] if account.master_id else account

    def sub_accounts_of(self, master_id: int, link: str = "") -> list[Account]:
        """Those that are there, oldest first; of one link, or of all."""
        found = map(self.accounts.__getitem__, self.sub_account_ids.get(master_id, ()))
        return [one for one in found if not one.erased and not one.closed_us and link in ("", one.link)]

    def key_ids_under(self, account_id: int) -> list[int]:
        """Keys that stand and fall with the account: its own and its sub-accounts', deleted ones included."""
        key_ids = list(self.accounts[account_id].key_ids)
        for sub_account_id in self.sub_account_ids.get(account_id, ()):
            key_ids += self.accounts[sub_account_id].key_ids
        return key_ids

    def key_by_api_key(self, api_key: str) -> Key | None:
        """Also finds deleted keys; look at `status`."""
        return self.keys_by_api_key.get(api_key.encode("utf-8", "surrogatepass"))

    def keys_of(self, account_id: int) -> list[Key]:
        """The account's keys that are not deleted, oldest first."""
        account = self.accounts.get(account_id)
        if account is None:
            return []
        return [key for key in map(self.keys.__getitem__, account.key_ids) if key.status != "deleted"]

    def due(self, until_us: int) -> list[tuple[int, int]]:
        """(due_us, key_id) of every key whose time comes up to `until_us`, in the order in which it comes."""
        # All due entries of a heap hang together at its top, so the walk sees at most twice as many as there are.
        heap = self.expiries
        found: dict[tuple[int, int], None] = {}
        pending = [0]
        while pending:
            index = pending.pop()
            if index < len(heap) and heap[index][0] <= until_us:
                if self._still_due(heap[index]):
                    found[heap[index]] = None
                pending += (2 * index + 1, 2 * index + 2)
        return sorted(found)

    def next_due_us(self) -> int:
        """Policy time of the next timer, or `NEVER_US`."""
        return self.expiries[0][0] if self.expiries else NEVER_US

    def _still_due(self, entry: tuple[int, int]) -> bool:
        due_us, key_id = entry
        key = self.keys[key_id]
        return key.dies_us == due_us and is_alive(key)

    # --- changes, for `apply` only -------------------------------------------------------------------------------

    def add_account(self, account: Account) -> None:
        self.accounts[account.account_id] = account
        if account.master_id:
            self.sub_account_ids.setdefault(account.master_id, []).append(account.account_id)
        if not account.erased and not account.closed_us:
            self.accounts_by_email[account.email_digest] = account
        self.accounts_by_credential.update(dict.fromkeys([one.credential_id for one in account.passkeys], account))

    def set_passkeys(self, account: Account, passkeys: tuple[Passkey, ...]) -> None:
        for passkey in account.passkeys:
            del self.accounts_by_credential[passkey.credential_id]
        account.passkeys = passkeys
        self.accounts_by_credential.update(dict.fromkeys([one.credential_id for one in passkeys], account))

    def forget_account(self, account: Account) -> None:
        """Keep the number alone, for what happened under it."""
        del self.accounts_by_email[account.email_digest]
        account.erased = True
        account.email_digest = account.password_vault_id = account.totp_vault_id = ""
        account.sms_vault_id = account.recovery_vault_id = ""
        account.kyc = "none"
        account.kyc_vault_id = account.kyc_cause = account.kyc_by = ""
        account.totp_step = account.kyc_us = account.withdrawals_from_us = 0
        account.strikes = account.attempts = account.recovery_left = ()
        self.set_passkeys(account, ())
        self.settle_account(account)

    def add_key(self, key: Key) -> None:
        account = self.accounts[key.account_id]
        self.keys[key.key_id] = key
        self.keys_by_api_key[key.header] = key
        account.key_ids.append(key.key_id)
        if key.spki:
            self.keys_by_spki[key.spki] = (*self.keys_by_spki.get(key.spki, ()), key)
        self.set_whitelist(key, key.whitelist)
        self._settle_end(key)
        self.settle_place(key)
        self.settle_standing(key)

    def set_whitelist(self, key: Key, whitelist: tuple[str, ...]) -> None:
        key.whitelist = whitelist
        key.allowlist = Allowlist(whitelist) if whitelist else None
        key.caller = NOBODY

    def set_status(self, key: Key, status: str) -> None:
        key.status = status
        if status != "active":  # what cannot be called keeps no key material ready
            key.hmac_block = b""
            key.verifier = None

    def set_expiry(self, key: Key, expires_us: int | None) -> None:
        key.expires_us = expires_us
        self._settle_end(key)

    def set_retirement(self, key: Key, retires_us: int | None) -> None:
        key.retires_us = retires_us
        self._settle_end(key)

    def _settle_end(self, key: Key) -> None:
        ends = [end_us for end_us in (key.expires_us, key.retires_us) if end_us is not None]
        dies_us = min(ends, default=NEVER_US)
        if dies_us != key.dies_us:
            key.dies_us = dies_us
            if ends:
                heapq.heappush(self.expiries, (dies_us, key.key_id))
        self.drop_stale_expiries()

    def drop_stale_expiries(self) -> None:
        heap = self.expiries
        while heap and not self._still_due(heap[0]):
            heapq.heappop(heap)

    def forget_key(self, key: Key) -> None:
        """Reduce a deleted key to what tells it from an unknown one."""
        if key.spki:
            others = tuple(other for other in self.keys_by_spki.pop(key.spki) if other is not key)
            if others:
                self.keys_by_spki[key.spki] = others
        replaced = self.keys.get(key.replaces)
        self.set_status(key, "deleted")
        key.label = ""
        key.permissions = 0
        key.vault_id = ""
        key.spki = b""
        key.replaces = key.replaced_by = 0
        key.retires_us = None
        self.set_whitelist(key, ())
        self.set_expiry(key, None)
        self.settle_place(key)
        if replaced is not None:
            self.settle_place(replaced)
        self.settle_standing(key)

    def settle_place(self, key: Key) -> None:
        """Count the key among its account's, or no longer.

        An expired key holds its place until it is deleted. One that was replaced does not: its replacement has the
        place. Only if that is deleted while the old key lives, the old one has it again, and gives it up when it dies.
        """
        if key.status == "deleted":
            has_place = False
        elif key.replaced_by:
            has_place = is_alive(key) and not self._is_there(key.replaced_by)
        else:
            has_place = True
        if has_place is not key.has_place:
            key.has_place = has_place
            self.accounts[key.account_id].keys_held += 1 if has_place else -1

    def _is_there(self, key_id: int) -> bool:
        key = self.keys.get(key_id)
        return key is not None and key.status != "deleted"

    def settle_standing(self, key: Key) -> None:
        """Decide once what the key's status and its account make of every call; the gate only looks."""
        account = self.accounts[key.account_id]
        guarantor = self.guarantor_of(account)
        if key.status == "deleted":
            key.standing = _DELETED
        elif key.status == "disabled":
            key.standing = _DISABLED
        elif account.suspended or guarantor.suspended:
            key.standing = _SUSPENDED
        elif not guarantor.verified and key.permissions & ~HARMLESS:
            # A key that may trade or withdraw stops as a whole; a key that can only read goes on reading.
            key.standing = _UNVERIFIED
        elif key.status == "expired":
            key.standing = key.end
        elif key.special:
            key.standing = _SPECIAL
        else:
            key.standing = None

    def settle_account(self, account: Account) -> None:
        for key_id in self.key_ids_under(account.account_id):
            self.settle_standing(self.keys[key_id])

    # --- writing down --------------------------------------------------------------------------------------------

    def dump(self) -> list[Any]:
        return [
            self.seq,
            self.next_account_id,
            self.next_key_id,
            self.policy_offset_us,
            self.skew_us,
            [
                [
                    account.account_id,
                    account.email_digest,
                    account.password_vault_id,
                    account.kyc,
                    account.created_us,
                    account.futures_allowed,
                    account.totp_vault_id,
                    account.totp_step,
                    account.suspended,
                    account.erased,
                    list(account.strikes),
                    account.master_id,
                    account.link,
                    account.tag,
                    account.closed_us,
                    account.is_broker,
                    account.epoch,
                    account.sms_vault_id,
                    [msgspec.structs.astuple(passkey) for passkey in account.passkeys],
                    account.recovery_vault_id,
                    list(account.recovery_left),
                    list(account.attempts),
                    account.kyc_vault_id,
                    account.kyc_cause,
                    account.kyc_by,
                    account.kyc_us,
                    account.withdrawals_from_us,
                ]
                for account in self.accounts.values()
            ],
            [
                [
                    key.key_id,
                    key.account_id,
                    key.api_key,
                    key.key_type,
                    key.label,
                    key.permissions,
                    list(key.whitelist),
                    key.created_us,
                    key.expires_us,
                    key.vault_id,
                    key.public_key,
                    key.status,
                    key.replaces,
                    key.replaced_by,
                    key.retires_us,
                    key.special,
                    key.updated_us,
                ]
                for key in self.keys.values()
            ],
        ]

    def load(self, data: Any) -> None:
        """Replace everything by what `dump` wrote, also of an older version, whose rows are shorter.

        In place, because the gate holds on to the dictionaries.
        """
        seq, next_account_id, next_key_id, policy_offset_us, skew_us, accounts, keys = data
        self.seq = seq
        self.next_account_id = next_account_id
        self.next_key_id = next_key_id
        self.policy_offset_us = policy_offset_us
        self.skew_us = skew_us
        for derived in (self.accounts, self.keys, self.keys_by_api_key, self.accounts_by_email):
            derived.clear()
        self.accounts_by_credential.clear()
        self.keys_by_spki.clear()
        self.sub_account_ids.clear()
        self.expiries.clear()
        for row in accounts:
            account = Account(*row)
            account.strikes = tuple(account.strikes)
            account.attempts = tuple(account.attempts)
            account.recovery_left = tuple(account.recovery_left)
            account.passkeys = tuple(msgspec.convert(passkey, Passkey) for passkey in account.passkeys)
            self.add_account(account)
        self._load_keys(keys)

    def _load_keys(self, rows: Iterable[list[Any]]) -> None:
        for row in rows:
            key_id, account_id, api_key, key_type, label, permissions, whitelist, created_us, expires_us, *more = row
            vault_id, public_key, *optional = more
            key = Key(
                key_id,
                account_id,
                permissions,
                api_key.encode(),
                _WORDS[key_type],
                label,
                tuple(whitelist),
                created_us,
                expires_us,
                vault_id,
                base64.b64decode(public_key),
                *optional,
            )
            key.status = _WORDS[key.status]
            if key.updated_us == created_us:
                key.updated_us = created_us
            self.add_key(key)
        for key in self.keys.values():
            if key.replaced_by:  # its replacement was not there yet
                self.settle_place(key)


def is_alive(key: Key) -> bool:
    """Neither at its end nor deleted; it may be disabled."""
    return key.status in ("active", "disabled")
