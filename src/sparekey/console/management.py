"""What the management side can do: accounts, keys, clocks, the call log. The same commands as everyone; no side door.

Answers are plain documents whose fields the command line prints as JSON; they are a contract that scripts rely on.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b32encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from argon2 import PasswordHasher

from sparekey.access.commands import (
    AdvanceClock,
    CreateAccount,
    CreateKey,
    DeleteKey,
    DisableKey,
    EditKey,
    EnableKey,
    EnrolTotp,
    EraseAccount,
    PanicKeys,
    RemoveTotp,
    RestoreAccess,
    RotateKey,
    SetBroker,
    SetKyc,
    SetSkew,
    SuspendAccess,
)
from sparekey.access.events import KeyCreated, KeyDeleted, KeyDisabled
from sparekey.access.possession import NONCE_BYTES, Challenges
from sparekey.access.state import KEY_TYPES, NEVER_US, AccessState, Account, Key
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.calls import CallLog
from sparekey.storage.key_maker import KeyMaker
from sparekey.storage.vault import Vault
from sparekey.terms.clocktime import MILLISECOND_US, parse_duration_us
from sparekey.terms.money import MoneyError, format_money, parse_money
from sparekey.terms.permissions import PERMISSION_NAMES, Permission, names_of
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import Fund
from sparekey.venue.spot_decide import LARGEST_FUNDING
from sparekey.venue.spot_state import SpotState

ACCESS, SPOT = "access", "spot"

#: Keys of one account (Binance: "You can create up to 30 API Keys per account").
KEY_LIMIT = 30

#: RFC 4226 recommends 160 bits.
_TOTP_SEED_BYTES = 20
_LONGEST_EMAIL = 254
#: Of the sentence with which an operator suspends, restores or stops an account.
_LONGEST_CAUSE = 200
_HTTP_OF_REASON = {
    Reason.ACCOUNT_UNKNOWN: 404,
    Reason.KEY_UNKNOWN: 404,
    Reason.BAN_UNKNOWN: 404,
    Reason.ACCOUNT_EXISTS: 409,
    Reason.ACCOUNT_IN_USE: 409,
    Reason.FACTOR_EXISTS: 409,
    Reason.KEY_LIMIT: 409,
    Reason.KEY_IN_ROTATION: 409,
    Reason.REQUEST_REPEATED: 409,
    Reason.KYC_STATE: 409,
    Reason.FACTOR_USED: 409,
    Reason.FACTOR_LAST: 409,
    Reason.PASSKEY_EXISTS: 409,
    Reason.PASSKEY_LIMIT: 409,
    Reason.PASSKEY_UNKNOWN: 404,
    Reason.LINK_EXPIRED: 410,
    Reason.CODE_EXPIRED: 410,
    Reason.MODE_GUARDED: 403,
    Reason.OPERATOR_TOKEN_WRONG: 401,
    Reason.BODY_TOO_LARGE: 413,
    Reason.BODY_NOT_JSON: 415,
    Reason.STEP_UP_REQUIRED: 403,
    Reason.CSRF_WRONG: 403,
    Reason.KYC_MISSING: 403,
    Reason.FACTOR_MISSING: 403,
    Reason.SIGN_IN_WRONG: 401,
    Reason.SIGN_IN_REQUIRED: 401,
    Reason.SESSION_ENDED: 401,
    Reason.SESSION_UNKNOWN: 404,
    Reason.SERVER_BUSY: 503,
    Reason.FACTOR_LIMIT: 429,
    Reason.SIGN_IN_LIMIT: 429,
}


class ManagementRefused(Exception):
    """A refusal on its way to the caller, with the HTTP status that fits it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.explanation} {refusal.reason.fix}")
        self.refusal = refusal
        self.status = _HTTP_OF_REASON.get(refusal.reason, 400)


class Proof(NamedTuple):
    """A challenge's nonce, and the base64 signature of its text."""

    nonce: str
    signature: str


class Management:
    """`sandbox`: the operator may act for accounts, fund and verify them, and move clocks; else those are refused.

    What keeps the platform safe is the operator's in either mode: suspending and restoring API access, and stopping
    all keys of an account.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        access: AccessState,
        spot: SpotState,
        vault: Vault,
        clocks: Clocks,
        calls: CallLog,
        *,
        sandbox: bool,
    ) -> None:
        self._sequencer = sequencer
        self._access = access
        self._spot = spot
        self._vault = vault
        self._clocks = clocks
        self._calls = calls
        self._sandbox = sandbox
        self._key_maker = KeyMaker(vault, sequencer.when_durable)
        self._challenges = Challenges()
        self._hasher = PasswordHasher()  # argon2id with the library's current recommendation

    # --- accounts ----------------------------------------------------------------------------------------------------

    async def create_account(
        self, email: str, *, kyc: str = "none", totp: bool = False, fund: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Create an account with a random password; answers it this once, with the authenticator's secret."""
        self._need_sandbox()
        address = _normalised(email)
        amounts = self._amounts(fund or {})
        password = secrets.token_urlsafe(18)
        password_hash = await asyncio.to_thread(self._hasher.hash, password)
        digest = self._vault.digest(address)
        if self._access.account_by_email(digest) is not None:
            raise ManagementRefused(Refusal(Reason.ACCOUNT_EXISTS))
        # No await from here to the submit: the id that the vault entries name is the id that the account gets.
        subject = _subject(self._access.next_account_id)
        totp_secret = b32encode(secrets.token_bytes(_TOTP_SEED_BYTES)).decode() if totp else None
        self._vault.seal(subject, "email", "address", address.encode())
        created = self._submit(
            ACCESS,
            CreateAccount(
                email_digest=digest,
                password_vault_id=self._vault.seal(subject, "password", "argon2id", password_hash.encode()),
                kyc=kyc,
                totp_vault_id=self._vault.seal(subject, "totp", "seed", totp_secret.encode()) if totp_secret else "",
            ),
        )
        account_id = created[0].account_id
        for asset, amount in amounts.items():
            self._submit(SPOT, Fund(account_id, asset, amount))
        await self._durable()
        return {
            "accountId": account_id,
            "email": address,
            "password": password,
            "totpSecret": totp_secret,
            "kyc": kyc,
        }

    async def renew_credentials(self, email: str) -> dict[str, Any]:
        """A new password and authenticator in place of lost ones; answers both this once."""
        self._need_sandbox()
        account = self._account(email)
        password = secrets.token_urlsafe(18)
        password_hash = await asyncio.to_thread(self._hasher.hash, password)
        subject = _subject(account.account_id)
        totp_secret = b32encode(secrets.token_bytes(_TOTP_SEED_BYTES)).decode()
        # Sealed under the same ids as before, which replaces the old ones.
        self._vault.seal(subject, "password", "argon2id", password_hash.encode())
        vault_id = self._vault.seal(subject, "totp", "seed", totp_secret.encode())
        self._submit(ACCESS, EnrolTotp(account.account_id, vault_id))
        await self._durable()
        return {"password": password, "totpSecret": totp_secret}

    def account_id_of(self, email: str) -> int | None:
        """None: no account has this address."""
        account = self._access.account_by_email(self._vault.digest(_normalised(email)))
        return None if account is None else account.account_id

    def email_of(self, account_id: int) -> str:
        return self._vault.open(_email_vault_id(account_id)).decode()

    def show_account(self, email: str) -> dict[str, Any]:
        account = self._account(email)
        return {
            "accountId": account.account_id,
            "email": self.email_of(account.account_id),
            "kyc": account.kyc,
            "factors": account.factors,
            "keys": account.keys_held,
            "apiAccess": account.api_access,
        }

    async def fund(self, email: str, fund: Mapping[str, str]) -> dict[str, Any]:
        """Credit an account from issuance; answers its free balances of the assets funded."""
        self._need_sandbox()
        account = self._account(email)
        amounts = self._amounts(fund, account.account_id)
        for asset, amount in amounts.items():
            self._submit(SPOT, Fund(account.account_id, asset, amount))
        await self._durable()
        free = {asset: balance.free for asset, balance in self._spot.balances(account.account_id).items()}
        return {
            "accountId": account.account_id,
            "free": {asset: format_money(free[asset]) for asset in amounts},
        }

    async def set_kyc(self, email: str, kyc: str) -> dict[str, Any]:
        """Whatever the state was before. Anything but approved stops the account's trading and withdrawing keys."""
        self._need_sandbox()
        account = self._account(email)
        self._submit(ACCESS, SetKyc(account.account_id, kyc))
        await self._durable()
        return self.show_account(email)

    async def add_totp(self, email: str) -> dict[str, Any]:
        """Turn on an authenticator; its secret is in this answer and never in another."""
        self._need_sandbox()
        account = self._account(email)
        if account.totp_vault_id:
            raise ManagementRefused(Refusal(Reason.FACTOR_EXISTS))
        totp_secret = b32encode(secrets.token_bytes(_TOTP_SEED_BYTES)).decode()
        vault_id = self._vault.seal(_subject(account.account_id), "totp", "seed", totp_secret.encode())
        self._submit(ACCESS, EnrolTotp(account.account_id, vault_id))
        await self._durable()
        return {"accountId": account.account_id, "email": _normalised(email), "totpSecret": totp_secret}

    async def remove_totp(self, email: str) -> dict[str, Any]:
        """Turn the authenticator off, which stops the account's trading and withdrawing keys."""
        self._need_sandbox()
        account = self._account(email)
        vault_id = account.totp_vault_id
        self._submit(ACCESS, RemoveTotp(account.account_id))
        await self._durable()
        if not account.totp_vault_id:  # nobody turned another one on meanwhile
            self._vault.forget(vault_id)
        return self.show_account(email)

    async def suspend(self, email: str, cause: str) -> dict[str, Any]:
        """Stop all keys of the account until `restore`. The cause is journaled."""
        account = self._account(email)
        self._submit(ACCESS, SuspendAccess(account.account_id, _cause(cause)))
        await self._durable()
        return self.show_account(email)

    async def restore(self, email: str, cause: str) -> dict[str, Any]:
        account = self._account(email)
        self._submit(ACCESS, RestoreAccess(account.account_id, _cause(cause)))
        await self._durable()
        return self.show_account(email)

    async def panic(self, email: str, cause: str = "the operator's panic command") -> dict[str, Any]:
        """Disable every active key of the account; answers which. Each is enabled by itself."""
        account = self._account(email)
        events = self._submit(ACCESS, PanicKeys(account.account_id, _cause(cause)))
        await self._durable()
        disabled = [event.key_id for event in events if isinstance(event, KeyDisabled)]
        return {
            "accountId": account.account_id,
            "disabled": [self._access.keys[key_id].api_key for key_id in disabled],
        }

    async def set_broker(self, email: str, broker: bool) -> dict[str, Any]:
        """Whether the account may have sub-accounts of its customers."""
        self._need_sandbox()
        account = self._account(email)
        self._submit(ACCESS, SetBroker(account.account_id, broker))
        await self._durable()
        return {"accountId": account.account_id, "email": _normalised(email), "broker": account.is_broker}

    async def erase(self, email: str) -> dict[str, Any]:
        """Delete the account's keys, and destroy what the vault holds of the account and its sub-accounts."""
        self._need_sandbox()
        account = self._account(email)
        account_ids = [account.account_id]
        account_ids += [sub.account_id for sub in self._access.sub_accounts_of(account.account_id)]
        orders = sum(len(self._spot.open_orders(account_id)) for account_id in account_ids)
        if orders:
            raise ManagementRefused(Refusal(Reason.ACCOUNT_IN_USE, (orders,)))
        # No await from the look at the orders to the submit: none is placed between.
        self._submit(ACCESS, EraseAccount(account.account_id))
        await self._durable()
        for account_id in account_ids:
            self._vault.erase(_subject(account_id))
        return {"accountId": account.account_id, "erased": True}

    def finish_deletions(self) -> None:
        """Destroy what the vault still holds of erased accounts and deleted keys, should the last process have ended
        between their record and that."""
        for account in self._access.accounts.values():
            if account.erased and self._vault.knows(_subject(account.account_id)):
                self._vault.erase(_subject(account.account_id))
        self._key_maker.forget_leftovers(self._is_deleted)

    def _is_deleted(self, api_key: str) -> bool:
        key = self._access.key_by_api_key(api_key)
        return key is not None and key.status == "deleted"

    # --- keys --------------------------------------------------------------------------------------------------------

    async def create_key(
        self,
        email: str,
        *,
        label: str,
        key_type: str = "hmac",
        public_key: str = "",
        permissions: Sequence[str] = (),
        ips: Sequence[str] = (),
        proof: Proof | None = None,
    ) -> dict[str, Any]:
        """Create a key; `secretKey` is in this answer and never in another."""
        self._need_sandbox()
        account = self._account(email)
        mask = _mask(permissions)
        if key_type not in KEY_TYPES:
            raise ManagementRefused(Refusal(Reason.KEY_TYPE_INVALID))
        self._check_proof(account.account_id, public_key, proof)
        api_key, secret, vault_id = self._make_pair(account.account_id, key_type)
        events = self._submit_pair(
            CreateKey(
                account_id=account.account_id,
                api_key=api_key,
                key_type=key_type,
                label=label,
                permissions=int(mask),
                whitelist=tuple(ips),
                vault_id=vault_id,
                public_key=public_key,
                loopback_allowed=self._sandbox,
                key_limit=KEY_LIMIT,
            ),
            vault_id,
        )
        await self._durable()
        created = next(event for event in events if isinstance(event, KeyCreated))
        return self._document(self._access.keys[created.key_id]) | {"secretKey": secret}

    async def rotate_key(
        self, api_key: str, *, overlap: str, public_key: str = "", proof: Proof | None = None
    ) -> dict[str, Any]:
        """Replace a key; the answer is the new key's, with its secret. The old one lives on for the overlap."""
        self._need_sandbox()
        key = self._key(api_key)
        overlap_us = _duration_us(overlap)
        self._check_proof(key.account_id, public_key, proof)
        held = self._access.keys.get(key.replaces)
        forgotten = "" if held is None else held.vault_id
        new_api_key, secret, vault_id = self._make_pair(key.account_id, key.key_type)
        command = RotateKey(
            key.key_id, api_key=new_api_key, vault_id=vault_id, public_key=public_key, overlap_us=overlap_us
        )
        events = self._submit_pair(command, vault_id)
        await self._durable()
        if forgotten and any(isinstance(event, KeyDeleted) for event in events):
            self._vault.forget(forgotten)
        created = next(event for event in events if isinstance(event, KeyCreated))
        return self._document(self._access.keys[created.key_id]) | {"secretKey": secret}

    def open_challenge(self, email: str, public_key: str) -> dict[str, Any]:
        """A text that whoever has the private half of this public key can sign, and nobody else."""
        account = self._account(email)
        now_us = self._clocks.policy_us()
        challenge = self._challenges.open(account.account_id, public_key, secrets.token_bytes(NONCE_BYTES), now_us)
        if isinstance(challenge, Refusal):
            raise ManagementRefused(challenge)
        return {
            "nonce": challenge.nonce,
            "text": challenge.text,
            "expiresMs": challenge.expires_us // MILLISECOND_US,
        }

    async def edit_key(
        self,
        api_key: str,
        *,
        label: str | None = None,
        permissions: Sequence[str] | None = None,
        ips: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """What is given replaces the whole of it."""
        self._need_sandbox()
        key = self._key(api_key)
        command = EditKey(
            key.key_id,
            label=label,
            permissions=None if permissions is None else int(_mask(permissions)),
            whitelist=None if ips is None else tuple(ips),
            loopback_allowed=self._sandbox,
        )
        return await self._change(key, command)

    async def disable_key(self, api_key: str) -> dict[str, Any]:
        self._need_sandbox()
        key = self._key(api_key)
        return await self._change(key, DisableKey(key.key_id))

    async def enable_key(self, api_key: str) -> dict[str, Any]:
        self._need_sandbox()
        key = self._key(api_key)
        return await self._change(key, EnableKey(key.key_id))

    async def _change(self, key: Key, command: Any) -> dict[str, Any]:
        self._submit(ACCESS, command)
        document = self._document(key)  # as this change left it, whatever comes while it becomes durable
        await self._durable()
        return document

    def list_keys(self, email: str) -> list[dict[str, Any]]:
        account = self._account(email)
        return [self._document(key) for key in self._access.keys_of(account.account_id) if key.status != "deleted"]

    def show_key(self, api_key: str) -> dict[str, Any]:
        return self._document(self._key(api_key))

    def need_key(self, api_key: str) -> None:
        """Refuses an API key that was never issued; a deleted one was."""
        if self._access.key_by_api_key(api_key) is None:
            raise ManagementRefused(Refusal(Reason.KEY_UNKNOWN))

    async def delete_key(self, api_key: str) -> dict[str, Any]:
        """Delete for good; the sealed secret is forgotten once the deletion is durable."""
        self._need_sandbox()
        key = self._key(api_key)
        document, vault_id = self._document(key), key.vault_id
        self._submit(ACCESS, DeleteKey(key.key_id))
        await self._durable()
        if vault_id:
            self._vault.forget(vault_id)
        return document | {"status": "deleted"}

    async def key_usage(self, api_key: str) -> dict[str, Any]:
        """Who calls this key, and what a rotation has set. Reads files, so it runs on a thread."""
        key = self._key(api_key)
        callers = await asyncio.to_thread(self._calls.callers, api_key)
        return {
            "apiKey": key.api_key,
            "status": key.status,
            "replaces": self._api_key_of(key.replaces),
            "replacedBy": self._api_key_of(key.replaced_by),
            "endsMs": None if key.dies_us == NEVER_US else key.dies_us // MILLISECOND_US,
            "callers": [
                {
                    "ip": caller.ip,
                    "calls": caller.calls,
                    "refused": caller.refused,
                    "lastHourMs": caller.last_hour_us // MILLISECOND_US,
                }
                for caller in callers
            ],
        }

    def _api_key_of(self, key_id: int) -> str | None:
        key = self._access.keys.get(key_id)
        return None if key is None else key.api_key

    # --- clocks and the log ------------------------------------------------------------------------------------------

    def show_clock(self) -> dict[str, int]:
        return {
            "policyMs": self._clocks.policy_us() // MILLISECOND_US,
            "wireMs": self._clocks.wire_us() // MILLISECOND_US,
        }

    async def advance_clock(self, duration: str) -> dict[str, int]:
        self._need_sandbox()
        self._submit(ACCESS, AdvanceClock(_duration_us(duration)))
        self._clocks.policy_offset_us = self._access.policy_offset_us
        await self._durable()
        return self.show_clock()

    async def skew_clock(self, duration: str) -> dict[str, int]:
        self._need_sandbox()
        self._submit(ACCESS, SetSkew(_duration_us(duration)))
        self._clocks.skew_us = self._access.skew_us
        await self._durable()
        return self.show_clock()

    async def tail_calls(self, *, api_key: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """The newest calls, oldest first. Reads files, so it runs on a thread."""
        entries = await asyncio.to_thread(self._calls.tail, limit, api_key)
        return [
            {
                "timeMs": entry.time_us // MILLISECOND_US,
                "apiKey": entry.api_key,
                "ip": entry.ip,
                "method": entry.method,
                "path": entry.path,
                "weight": entry.weight,
                "http": entry.http,
                "code": entry.code,
                "reason": entry.reason,
                "latencyUs": entry.latency_us,
            }
            for entry in entries
        ]

    # --- within ------------------------------------------------------------------------------------------------------

    def _submit(self, shard: str, command: Any) -> Sequence[Any]:
        outcome = self._sequencer.submit(shard, command)
        if isinstance(outcome, Refusal):
            raise ManagementRefused(outcome)
        return outcome

    def _make_pair(self, account_id: int, key_type: str) -> tuple[str, str | None, str]:
        """API key, secret and vault id of a new key; a key that is not hmac has neither of the last two."""
        api_key = self._key_maker.make_api_key()
        if key_type != "hmac":
            return api_key, None, ""
        return api_key, *self._key_maker.make_secret(account_id, api_key)

    def _submit_pair(self, command: Any, vault_id: str) -> Sequence[Any]:
        """A secret that was sealed for nothing is forgotten again."""
        try:
            return self._submit(ACCESS, command)
        except ManagementRefused:
            if vault_id:
                self._vault.forget(vault_id)
            raise

    def _check_proof(self, account_id: int, public_key: str, proof: Proof | None) -> None:
        """The operator of a sandbox may register a public key without one; a wrong one is refused there, too."""
        if proof is not None:
            refusal = self._challenges.redeem(
                account_id, proof.nonce, public_key, proof.signature, self._clocks.policy_us()
            )
            if refusal is not None:
                raise ManagementRefused(refusal)

    async def _durable(self) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle() -> None:
            if not done.done():
                done.set_result(None)

        if not self._sequencer.when_durable(settle):
            await done

    def _need_sandbox(self) -> None:
        if not self._sandbox:
            raise ManagementRefused(Refusal(Reason.MODE_GUARDED))

    def _account(self, email: str) -> Account:
        account = self._access.account_by_email(self._vault.digest(_normalised(email)))
        if account is None:
            raise ManagementRefused(Refusal(Reason.ACCOUNT_UNKNOWN))
        return account

    def _key(self, api_key: str) -> Key:
        key = self._access.key_by_api_key(api_key)
        if key is None or key.status == "deleted":
            raise ManagementRefused(Refusal(Reason.KEY_UNKNOWN))
        return key

    def _amounts(self, texts: Mapping[str, str], account_id: int = 0) -> dict[str, int]:
        """All amounts are checked before any is credited, so that a bad one leaves nothing half done."""
        held = self._spot.balances(account_id) if account_id else {}
        amounts: dict[str, int] = {}
        for asset, text in texts.items():
            if asset not in self._spot.assets:
                raise ManagementRefused(Refusal(Reason.ASSET_UNKNOWN, (asset[:20],)))
            try:
                amounts[asset] = parse_money(text)
            except MoneyError:
                raise ManagementRefused(Refusal(Reason.AMOUNT_INVALID, (text[:40],))) from None
            balance = held.get(asset)
            total = amounts[asset] + (0 if balance is None else balance.free + balance.locked)
            if amounts[asset] <= 0 or total > LARGEST_FUNDING:
                raise ManagementRefused(Refusal(Reason.AMOUNT_INVALID, (text[:40],)))
        return amounts

    def _document(self, key: Key) -> dict[str, Any]:
        return {
            "apiKey": key.api_key,
            "secretKey": None,
            "label": key.label,
            "type": key.key_type,
            "permissions": names_of(Permission(key.permissions)),
            "ips": list(key.whitelist),
            "createTime": key.created_us // MILLISECOND_US,
            # the end of a rotation's overlap, where that is earlier
            "expiryTime": None if key.dies_us == NEVER_US else key.dies_us // MILLISECOND_US,
            "status": key.status,
        }


def _subject(account_id: int) -> str:
    return f"account-{account_id}"


def _email_vault_id(account_id: int) -> str:
    return f"email/{_subject(account_id)}/address"


def _normalised(email: str) -> str:
    """Lower case, ASCII, one @, a dot in the domain: what look-ups go by, so that A@x.org and a@x.org are one."""
    address = email.strip().lower()
    name, _, domain = address.rpartition("@")
    legal = (
        address.isascii() and address.isprintable() and not any(character in ' "<>,;:\\()[]' for character in address)
    )
    if not legal or not name or "@" in name or "." not in domain.strip(".") or len(address) > _LONGEST_EMAIL:
        raise ManagementRefused(Refusal(Reason.EMAIL_INVALID))
    return address


def _mask(names: Sequence[str]) -> Permission:
    mask = Permission.NONE
    for name in names:
        if name not in PERMISSION_NAMES:
            raise ManagementRefused(Refusal(Reason.PERMISSION_UNKNOWN, (name[:64],)))
        mask |= PERMISSION_NAMES[name]
    return mask


def _cause(text: str) -> str:
    """What an operator gives as the reason of an act, for the audit trail."""
    cause = text.strip()
    if not cause or len(cause) > _LONGEST_CAUSE or not cause.isprintable():
        raise ManagementRefused(Refusal(Reason.CAUSE_INVALID, (_LONGEST_CAUSE,)))
    return cause


def _duration_us(text: str) -> int:
    try:
        return parse_duration_us(text)
    except ValueError as error:
        raise ManagementRefused(Refusal(Reason.REQUEST_INVALID, (f"{error}.",))) from None
