"""What the management side can do: accounts, keys, clocks, the call log. The same commands as everyone; no side door.

Answers are plain documents whose fields the command line prints as JSON; they are a contract that scripts rely on.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b32encode
from collections.abc import Mapping, Sequence
from typing import Any

from argon2 import PasswordHasher

from sparekey.access.commands import AdvanceClock, CreateAccount, CreateKey, DeleteKey, EnrolTotp, SetSkew
from sparekey.access.credentials import ENTROPY_BYTES, api_key_from, secret_from
from sparekey.access.events import KeyCreated
from sparekey.access.state import KEY_TYPES, AccessState, Account, Key
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.calls import CallLog
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
_HTTP_OF_REASON = {
    Reason.ACCOUNT_UNKNOWN: 404,
    Reason.KEY_UNKNOWN: 404,
    Reason.ACCOUNT_EXISTS: 409,
    Reason.KEY_LIMIT: 409,
    Reason.MODE_GUARDED: 403,
}


class ManagementRefused(Exception):
    """A refusal on its way to the caller, with the HTTP status that fits it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.explanation)
        self.refusal = refusal
        self.status = _HTTP_OF_REASON.get(refusal.reason, 400)


class Management:
    """`sandbox`: the operator may act for accounts, fund them and move clocks; else those are refused."""

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

    def show_account(self, email: str) -> dict[str, Any]:
        account = self._account(email)
        return {
            "accountId": account.account_id,
            "email": self._vault.open(_email_vault_id(account.account_id)).decode(),
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
    ) -> dict[str, Any]:
        """Create a key; `secretKey` is in this answer and never in another."""
        self._need_sandbox()
        account = self._account(email)
        mask = Permission.NONE
        for name in permissions:
            if name not in PERMISSION_NAMES:
                raise ManagementRefused(Refusal(Reason.PERMISSION_UNKNOWN, (name,)))
            mask |= PERMISSION_NAMES[name]
        if key_type not in KEY_TYPES:
            raise ManagementRefused(Refusal(Reason.KEY_TYPE_INVALID))
        api_key = api_key_from(secrets.token_bytes(ENTROPY_BYTES))
        secret = secret_from(secrets.token_bytes(ENTROPY_BYTES)) if key_type == "hmac" else None
        vault_id = ""
        if secret is not None:
            vault_id = self._vault.seal(_subject(account.account_id), "hmac-secret", api_key, secret.encode())
        try:
            events = self._submit(
                ACCESS,
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
            )
        except ManagementRefused:
            if vault_id:
                self._vault.forget(vault_id)
            raise
        await self._durable()
        created = next(event for event in events if isinstance(event, KeyCreated))
        return self._document(self._access.keys[created.key_id]) | {"secretKey": secret}

    def list_keys(self, email: str) -> list[dict[str, Any]]:
        account = self._account(email)
        return [self._document(key) for key in self._access.keys_of(account.account_id) if key.status != "deleted"]

    def show_key(self, api_key: str) -> dict[str, Any]:
        return self._document(self._key(api_key))

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
            "expiryTime": None if key.expires_us is None else key.expires_us // MILLISECOND_US,
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


def _duration_us(text: str) -> int:
    try:
        return parse_duration_us(text)
    except ValueError as error:
        raise ManagementRefused(Refusal(Reason.REQUEST_INVALID, (str(error),))) from None
