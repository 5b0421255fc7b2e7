"""What the management side can do: accounts, keys, clocks, the call log. The same commands as everyone; no side door.

Answers are plain documents whose fields the command line prints as JSON; they are a contract that scripts rely on.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b32encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sparekey.access.commands import (
    AdvanceClock,
    ChangePassword,
    CreateAccount,
    EnrolTotp,
    EraseAccount,
    RemoveTotp,
    RestoreAccess,
    SetBroker,
    SetKyc,
    SetSkew,
    SuspendAccess,
)
from sparekey.access.state import AccessState, Account, Key
from sparekey.console.holders import email_vault_id, normalised_email, subject_of
from sparekey.console.key_acts import KeyActs, KeyWish, Proof, Restrictions, document_of
from sparekey.console.passwords import Passwords
from sparekey.console.refused import ManagementRefused
from sparekey.console.writing import AccessWriter
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.calls import CallLog
from sparekey.storage.key_maker import KeyMaker
from sparekey.storage.vault import SecretUnavailable, Vault
from sparekey.terms.clocktime import MILLISECOND_US, parse_duration_us
from sparekey.terms.money import MoneyError, format_money, parse_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import Fund
from sparekey.venue.spot_decide import LARGEST_FUNDING
from sparekey.venue.spot_state import SpotState

ACCESS, SPOT = "access", "spot"

#: RFC 4226 recommends 160 bits.
_TOTP_SEED_BYTES = 20
#: Of the sentence with which an operator suspends, restores or stops an account.
_LONGEST_CAUSE = 200


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
        passwords: Passwords | None = None,
    ) -> None:
        self._sequencer = sequencer
        self._access = access
        self._spot = spot
        self._vault = vault
        self._clocks = clocks
        self._calls = calls
        self._sandbox = sandbox
        self._key_maker = KeyMaker(vault, sequencer.when_durable)
        self._writer = AccessWriter(sequencer)
        #: What can be done to keys; for whoever else acts on them, too.
        self.acts = KeyActs(self._writer, access, self._key_maker, clocks, calls, loopback_allowed=sandbox)
        #: Told of each account that was erased, and of its e-mail address and number, for what else is held of it.
        self.on_erase: Callable[[int, Sequence[str]], Awaitable[None]] = _hold_nothing
        self._passwords = passwords if passwords is not None else Passwords()

    # --- accounts ----------------------------------------------------------------------------------------------------

    async def create_account(
        self, email: str, *, kyc: str = "none", totp: bool = False, fund: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Create an account with a random password; answers it this once, with the authenticator's secret."""
        self._need_sandbox()
        address = _normalised(email)
        amounts = self._amounts(fund or {})
        password = secrets.token_urlsafe(18)
        password_hash = await self._passwords.hash(password)
        digest = self._vault.digest(address)
        if self._access.account_by_email(digest) is not None:
            raise ManagementRefused(Refusal(Reason.ACCOUNT_EXISTS))
        # No await from here to the submit: the id that the vault entries name is the id that the account gets.
        subject = subject_of(self._access.next_account_id)
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
        await self._writer.durable()
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
        password_hash = await self._passwords.hash(password)
        subject = subject_of(account.account_id)
        totp_secret = b32encode(secrets.token_bytes(_TOTP_SEED_BYTES)).decode()
        replaced = {account.password_vault_id, account.totp_vault_id}
        # Sealed under the ids that they had at first. Others, if their holder has changed them since, are forgotten.
        password_id = self._vault.seal(subject, "password", "argon2id", password_hash.encode())
        totp_id = self._vault.seal(subject, "totp", "seed", totp_secret.encode())
        self._submit(ACCESS, ChangePassword(account.account_id, password_id))
        self._submit(ACCESS, EnrolTotp(account.account_id, totp_id))
        await self._writer.durable()
        for vault_id in sorted(replaced - {password_id, totp_id, ""}):
            self._vault.forget(vault_id)
        return {"password": password, "totpSecret": totp_secret}

    def account_id_of(self, email: str) -> int | None:
        """None: no account has this address."""
        account = self._access.account_by_email(self._vault.digest(_normalised(email)))
        return None if account is None else account.account_id

    def email_of(self, account_id: int) -> str:
        return self._vault.open(email_vault_id(account_id)).decode()

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
        await self._writer.durable()
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
        await self._writer.durable()
        return self.show_account(email)

    async def add_totp(self, email: str) -> dict[str, Any]:
        """Turn on an authenticator; its secret is in this answer and never in another."""
        self._need_sandbox()
        account = self._account(email)
        if account.totp_vault_id:
            raise ManagementRefused(Refusal(Reason.FACTOR_EXISTS))
        totp_secret = b32encode(secrets.token_bytes(_TOTP_SEED_BYTES)).decode()
        vault_id = self._vault.seal(subject_of(account.account_id), "totp", "seed", totp_secret.encode())
        self._submit(ACCESS, EnrolTotp(account.account_id, vault_id))
        await self._writer.durable()
        return {"accountId": account.account_id, "email": _normalised(email), "totpSecret": totp_secret}

    async def remove_totp(self, email: str) -> dict[str, Any]:
        """Turn the authenticator off, which stops the account's trading and withdrawing keys."""
        self._need_sandbox()
        account = self._account(email)
        vault_id = account.totp_vault_id
        self._submit(ACCESS, RemoveTotp(account.account_id))
        await self._writer.durable()
        if not account.totp_vault_id:  # nobody turned another one on meanwhile
            self._vault.forget(vault_id)
        return self.show_account(email)

    async def suspend(self, email: str, cause: str) -> dict[str, Any]:
        """Stop all keys of the account until `restore`. The cause is journaled."""
        account = self._account(email)
        self._submit(ACCESS, SuspendAccess(account.account_id, _cause(cause)))
        await self._writer.durable()
        return self.show_account(email)

    async def restore(self, email: str, cause: str) -> dict[str, Any]:
        account = self._account(email)
        self._submit(ACCESS, RestoreAccess(account.account_id, _cause(cause)))
        await self._writer.durable()
        return self.show_account(email)

    async def panic(self, email: str, cause: str = "the operator's panic command") -> dict[str, Any]:
        """Disable every active key of the account; answers which. Each is enabled by itself."""
        account_id = self._account(email).account_id
        return {"accountId": account_id, "disabled": await self.acts.panic(account_id, _cause(cause))}

    async def set_broker(self, email: str, broker: bool) -> dict[str, Any]:
        """Whether the account may have sub-accounts of its customers."""
        self._need_sandbox()
        account = self._account(email)
        self._submit(ACCESS, SetBroker(account.account_id, broker))
        await self._writer.durable()
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
        reached_at = {account_id: self._reached_at(account_id) for account_id in account_ids}
        # No await from the look at the orders to the submit: none is placed between.
        self._submit(ACCESS, EraseAccount(account.account_id))
        await self._writer.durable()
        for account_id in account_ids:
            self._vault.erase(subject_of(account_id))
            await self.on_erase(account_id, reached_at[account_id])
        return {"accountId": account.account_id, "erased": True}

    def _reached_at(self, account_id: int) -> list[str]:
        """The account's e-mail address and the number of its SMS, as far as there are any."""
        reached: list[str] = []
        for vault_id in (email_vault_id(account_id), self._access.accounts[account_id].sms_vault_id):
            try:
                reached.append(self._vault.open(vault_id).decode())
            except SecretUnavailable:
                pass
        return reached

    def finish_deletions(self) -> None:
        """Destroy what the vault still holds of erased accounts and deleted keys, should the last process have ended
        between their record and that."""
        for account in self._access.accounts.values():
            if account.erased and self._vault.knows(subject_of(account.account_id)):
                self._vault.erase(subject_of(account.account_id))
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
        account_id = self._account(email).account_id
        wish = KeyWish(label, key_type, public_key, tuple(permissions), tuple(ips))
        self._check_proof(account_id, public_key, proof)
        made = await self.acts.create(account_id, wish)
        return document_of(made.key) | {"secretKey": made.secret}

    async def rotate_key(
        self, api_key: str, *, overlap: str, public_key: str = "", proof: Proof | None = None
    ) -> dict[str, Any]:
        """Replace a key; the answer is the new key's, with its secret. The old one lives on for the overlap."""
        self._need_sandbox()
        key = self._key(api_key)
        overlap_us = _duration_us(overlap)
        self._check_proof(key.account_id, public_key, proof)
        made = await self.acts.rotate(key, overlap_us, public_key)
        return document_of(made.key) | {"secretKey": made.secret}

    def open_challenge(self, email: str, public_key: str) -> dict[str, Any]:
        """A text that whoever has the private half of this public key can sign, and nobody else."""
        challenge = self.acts.open_challenge(self._account(email).account_id, public_key)
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
        return await self.acts.edit(self._key(api_key), Restrictions(label, permissions, ips))

    async def disable_key(self, api_key: str) -> dict[str, Any]:
        self._need_sandbox()
        return await self.acts.disable(self._key(api_key))

    async def enable_key(self, api_key: str) -> dict[str, Any]:
        self._need_sandbox()
        return await self.acts.enable(self._key(api_key))

    def list_keys(self, email: str) -> list[dict[str, Any]]:
        account = self._account(email)
        return [document_of(key) for key in self._access.keys_of(account.account_id)]

    def show_key(self, api_key: str) -> dict[str, Any]:
        return document_of(self._key(api_key))

    def need_key(self, api_key: str) -> None:
        """Refuses an API key that was never issued; a deleted one was."""
        if self._access.key_by_api_key(api_key) is None:
            raise ManagementRefused(Refusal(Reason.KEY_UNKNOWN))

    async def delete_key(self, api_key: str) -> dict[str, Any]:
        """Delete for good; the sealed secret is forgotten once the deletion is durable."""
        self._need_sandbox()
        return await self.acts.delete(self._key(api_key))

    async def key_usage(self, api_key: str) -> dict[str, Any]:
        """Who calls this key, and what a rotation has set. Reads files, on a thread."""
        return await self.acts.usage(self._key(api_key))

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
        await self._writer.durable()
        return self.show_clock()

    async def skew_clock(self, duration: str) -> dict[str, int]:
        self._need_sandbox()
        self._submit(ACCESS, SetSkew(_duration_us(duration)))
        self._clocks.skew_us = self._access.skew_us
        await self._writer.durable()
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

    def _check_proof(self, account_id: int, public_key: str, proof: Proof | None) -> None:
        """The operator of a sandbox may register a public key without one; a wrong one is refused there, too."""
        if proof is not None:
            self.acts.check_proof(account_id, public_key, proof)

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


async def _hold_nothing(account_id: int, reached_at: Sequence[str]) -> None:
    """Where nothing of an account is held but in the vault."""


def _normalised(email: str) -> str:
    address = normalised_email(email)
    if address is None:
        raise ManagementRefused(Refusal(Reason.EMAIL_INVALID))
    return address


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
