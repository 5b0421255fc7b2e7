"""What the access shard knows: accounts, keys, the policy clock's offset and the skew.

State changes only by `apply`. Times are policy time in int microseconds. Fields in brackets below a record's own ones
are derived, never written down, and rebuilt by `load`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any

import msgspec

from sparekey.access.allowlist import Allowlist
from sparekey.access.signatures import Verifier
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

KYC_STATES = ("none", "pending", "approved", "rejected")
KEY_TYPES = ("hmac", "rsa", "ed25519")

#: Account ids look like Binance's uid: nine digits.
FIRST_ACCOUNT_ID = 100_000_001
#: 0 is the operator (`terms.admissions.OPERATOR_KEY_ID`).
FIRST_KEY_ID = 1

#: "Never", as a time: about 146,000 years from 1970.
NEVER_US = 2**62

#: What an unverified account's keys may still have; a key with any other permission is refused as a whole.
HARMLESS = int(Permission.READING)

_DISABLED = Refusal(Reason.KEY_DISABLED)
_DELETED = Refusal(Reason.KEY_DELETED)
_SUSPENDED = Refusal(Reason.ACCOUNT_SUSPENDED)
_UNVERIFIED = Refusal(Reason.ACCOUNT_UNVERIFIED)


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
    #: [derived] every key that was ever made for it, deleted ones included
    key_ids: list[int] = msgspec.field(default_factory=list)
    #: [derived] keys that are not deleted
    keys_held: int = 0

    @property
    def factors(self) -> list[str]:
        """Second factors that are on, by name."""
        return ["totp"] if self.totp_vault_id else []

    @property
    def verified(self) -> bool:
        """KYC approved and a second factor on: what every key that may do more than read depends on."""
        return self.kyc == "approved" and self.totp_vault_id != ""

    @property
    def api_access(self) -> str:
        return "SUSPENDED" if self.suspended else "ACTIVE"


class Key(msgspec.Struct, eq=False, gc=False):
    """`status` is active, disabled, expired or deleted; a deleted one keeps only what tells it from an unknown one.

    `expires_us` is None for "never". `public_key` is base64 SPKI DER, `vault_id` names the sealed HMAC secret.
    """

    key_id: int
    account_id: int
    api_key: str
    key_type: str
    label: str
    permissions: int
    whitelist: tuple[str, ...]
    created_us: int
    expires_us: int | None
    vault_id: str
    public_key: str
    status: str = "active"
    #: [derived] None when any address may call
    allowlist: Allowlist | None = None
    #: [derived] the refusal that status and account make of every call, or None
    standing: Refusal | None = None
    #: [derived] `expires_us`, or `NEVER_US`
    dies_us: int = NEVER_US
    #: [derived] parsed key material, kept for a while by `signatures.Verifiers`
    verifier: Verifier | None = None


class AccessState:
    """`seq` counts the shard's records: the sequence that admissions carry."""

    __slots__ = (
        "accounts",
        "accounts_by_email",
        "expiries",
        "keys",
        "keys_by_api_key",
        "keys_by_public_key",
        "next_account_id",
        "next_key_id",
        "policy_offset_us",
        "seq",
        "skew_us",
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
        #: [derived] SPKI → account that registered it with a key that is not deleted
        self.keys_by_public_key: dict[str, list[Key]] = {}
        #: [derived] heap of (due_us, key_id); stale entries stay until they reach the top
        self.expiries: list[tuple[int, int]] = []

    # --- look-ups ------------------------------------------------------------------------------------------------

    def account_by_email(self, email_digest: str) -> Account | None:
        return self.accounts_by_email.get(email_digest)

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
        return key.expires_us == due_us and key.status in ("active", "disabled")

    # --- changes, for `apply` only -------------------------------------------------------------------------------

    def add_account(self, account: Account) -> None:
        self.accounts[account.account_id] = account
        self.accounts_by_email[account.email_digest] = account

    def add_key(self, key: Key) -> None:
        account = self.accounts[key.account_id]
        self.keys[key.key_id] = key
        self.keys_by_api_key[key.api_key.encode()] = key
        account.key_ids.append(key.key_id)
        if key.status != "deleted":
            account.keys_held += 1
            if key.public_key:
                self.keys_by_public_key.setdefault(key.public_key, []).append(key)
        self.set_whitelist(key, key.whitelist)
        self.set_expiry(key, key.expires_us)
        self.settle_standing(key)

    def set_whitelist(self, key: Key, whitelist: tuple[str, ...]) -> None:
        key.whitelist = whitelist
        key.allowlist = Allowlist(whitelist) if whitelist else None

    def set_expiry(self, key: Key, expires_us: int | None) -> None:
        key.expires_us = expires_us
        key.dies_us = NEVER_US if expires_us is None else expires_us
        if expires_us is not None:
            heapq.heappush(self.expiries, (expires_us, key.key_id))
        self.drop_stale_expiries()

    def drop_stale_expiries(self) -> None:
        heap = self.expiries
        while heap and not self._still_due(heap[0]):
            heapq.heappop(heap)

    def forget_key(self, key: Key) -> None:
        """Reduce a deleted key to what tells it from an unknown one."""
        if key.public_key:
            holders = self.keys_by_public_key[key.public_key]
            holders.remove(key)
            if not holders:
                del self.keys_by_public_key[key.public_key]
        self.accounts[key.account_id].keys_held -= 1
        key.status = "deleted"
        key.label = ""
        key.permissions = 0
        key.vault_id = ""
        key.public_key = ""
        key.verifier = None
        self.set_whitelist(key, ())
        self.set_expiry(key, None)
        self.settle_standing(key)

    def settle_standing(self, key: Key) -> None:
        """Decide once what the key's status and its account make of every call; the gate only looks."""
        account = self.accounts[key.account_id]
        if key.status == "deleted":
            key.standing = _DELETED
        elif key.status == "disabled":
            key.standing = _DISABLED
        elif account.suspended:
            key.standing = _SUSPENDED
        elif not account.verified and key.permissions & ~HARMLESS:
            # A key that may trade or withdraw stops as a whole; a key that can only read goes on reading.
            key.standing = _UNVERIFIED
        elif key.status == "expired":
            key.standing = Refusal(Reason.KEY_EXPIRED, (key.dies_us // 1_000,))
        else:
            key.standing = None

    def settle_account(self, account: Account) -> None:
        for key_id in account.key_ids:
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
                ]
                for key in self.keys.values()
            ],
        ]

    def load(self, data: Any) -> None:
        """Replace everything by what `dump` wrote. In place, because the gate holds on to the dictionaries."""
        seq, next_account_id, next_key_id, policy_offset_us, skew_us, accounts, keys = data
        self.seq = seq
        self.next_account_id = next_account_id
        self.next_key_id = next_key_id
        self.policy_offset_us = policy_offset_us
        self.skew_us = skew_us
        for derived in (self.accounts, self.keys, self.keys_by_api_key, self.accounts_by_email):
            derived.clear()
        self.keys_by_public_key.clear()
        self.expiries.clear()
        for row in accounts:
            self.add_account(Account(*row))
        self._load_keys(keys)

    def _load_keys(self, rows: Iterable[list[Any]]) -> None:
        for row in rows:
            key = Key(*row)
            key.whitelist = tuple(key.whitelist)
            self.add_key(key)
