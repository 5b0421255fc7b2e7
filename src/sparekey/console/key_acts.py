"""What can be done to API keys, for whoever may: the operator of a sandbox and the keys' own holders.

Who may is asked by those who call this; that a key belongs to the account that acts (`actor`; 0: the operator) is
decided once more by the access shard. Raises `ManagementRefused`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from sparekey.access.allowlist import parse_allowlist
from sparekey.access.commands import CreateKey, DeleteKey, DisableKey, EditKey, EnableKey, PanicKeys, RotateKey
from sparekey.access.decide import decide
from sparekey.access.events import KeyCreated, KeyDeleted, KeyDisabled
from sparekey.access.possession import NONCE_BYTES, Challenge, Challenges
from sparekey.access.state import KEY_TYPES, NEVER_US, AccessState, Key
from sparekey.console.refused import ManagementRefused
from sparekey.console.writing import AccessWriter
from sparekey.sequencer.clocks import Clocks
from sparekey.storage.calls import CallLog
from sparekey.storage.key_maker import KeyMaker
from sparekey.terms.clocktime import MILLISECOND_US
from sparekey.terms.permissions import PERMISSION_NAMES, Permission, names_of
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: Keys of one account (Binance: "You can create up to 30 API Keys per account").
KEY_LIMIT: Final = 30
#: Stand for what is made only when a key really is.
_TRIAL_KEY: Final = "0" * 64
_TRIAL_VAULT_ID: Final = "trial"


class Proof(NamedTuple):
    """A challenge's nonce, and the base64 signature of its text."""

    nonce: str
    signature: str


class KeyWish(NamedTuple):
    """A key that somebody wants; all of it as typed. `public_key` is empty for hmac."""

    label: str
    key_type: str = "hmac"
    public_key: str = ""
    permissions: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()


class Restrictions(NamedTuple):
    """What a key shall have from now on; None leaves it as it is."""

    label: str | None = None
    permissions: Sequence[str] | None = None
    ips: Sequence[str] | None = None


class Made(NamedTuple):
    """A new key, and its secret, which nobody can tell a second time. None: its owner has the private key."""

    key: Key
    secret: str | None


class KeyActs:
    """`loopback_allowed`: whitelists may hold loopback addresses, as in a sandbox."""

    def __init__(
        self,
        writer: AccessWriter,
        access: AccessState,
        key_maker: KeyMaker,
        clocks: Clocks,
        calls: CallLog,
        *,
        loopback_allowed: bool,
    ) -> None:
        self._writer = writer
        self._access = access
        self._key_maker = key_maker
        self._clocks = clocks
        self._calls = calls
        self._loopback_allowed = loopback_allowed
        self._challenges = Challenges()

    # --- making ------------------------------------------------------------------------------------------------------

    async def create(self, account_id: int, wish: KeyWish) -> Made:
        command = self._creation(account_id, wish)
        api_key, secret, vault_id = self._make_pair(account_id, wish.key_type)
        return await self._make(_with(command, api_key, vault_id), secret)

    async def rotate(self, key: Key, overlap_us: int, public_key: str = "", *, actor: int = 0) -> Made:
        """A new key in place of this one, which lives on for the overlap."""
        held = self._access.keys.get(key.replaces)
        forgotten = "" if held is None else held.vault_id
        api_key, secret, vault_id = self._make_pair(key.account_id, key.key_type)
        command = RotateKey(key.key_id, actor, api_key, vault_id, public_key, overlap_us)
        return await self._make(command, secret, forgotten)

    async def _make(self, command: CreateKey | RotateKey, secret: str | None, forgotten: str = "") -> Made:
        """`forgotten`: the vault id of a predecessor's predecessor, should the rotation delete it."""
        try:
            events = self._submit(command)
        except ManagementRefused:
            if command.vault_id:  # a secret that was sealed for nothing
                self._key_maker.forget(command.vault_id)
            raise
        await self._writer.durable()
        if forgotten and any(isinstance(event, KeyDeleted) for event in events):
            self._key_maker.forget(forgotten)
        created = next(event for event in events if isinstance(event, KeyCreated))
        return Made(self._access.keys[created.key_id], secret)

    def _make_pair(self, account_id: int, key_type: str) -> tuple[str, str | None, str]:
        """API key, secret and vault id of a new key; a key that is not hmac has neither of the last two."""
        api_key = self._key_maker.make_api_key()
        if key_type != "hmac":
            return api_key, None, ""
        return api_key, *self._key_maker.make_secret(account_id, api_key)

    # --- what would become of it -------------------------------------------------------------------------------------

    def try_creation(self, account_id: int, wish: KeyWish) -> KeyCreated | Refusal:
        """What creating this key now would lead to, decided by the same rules; nothing happens."""
        try:
            command = self._creation(account_id, wish)
        except ManagementRefused as refused:
            return refused.refusal
        vault_id = _TRIAL_VAULT_ID if wish.key_type == "hmac" else ""
        return self._try(_with(command, _TRIAL_KEY, vault_id), KeyCreated)

    def try_rotation(self, key: Key, overlap_us: int, public_key: str = "") -> KeyCreated | Refusal:
        vault_id = _TRIAL_VAULT_ID if key.key_type == "hmac" else ""
        command = RotateKey(key.key_id, key.account_id, _TRIAL_KEY, vault_id, public_key, overlap_us)
        return self._try(command, KeyCreated)

    def try_edit(self, key: Key, wanted: Restrictions) -> Any:
        """The `KeyEdited` that this edit would lead to, None if it changes nothing, or the refusal."""
        try:
            command = self._edit(key, wanted, key.account_id)
        except ManagementRefused as refused:
            return refused.refusal
        outcome = decide(self._access, command, self._clocks.policy_us())
        return outcome if isinstance(outcome, Refusal) else next(iter(outcome), None)

    def _try(self, command: CreateKey | RotateKey, kind: type[KeyCreated]) -> KeyCreated | Refusal:
        outcome = decide(self._access, command, self._clocks.policy_us())
        return outcome if isinstance(outcome, Refusal) else next(one for one in outcome if isinstance(one, kind))

    def parse_ips(self, ips: Sequence[str]) -> tuple[str, ...] | Refusal:
        """The whitelist in its one spelling."""
        return parse_allowlist(ips, loopback_allowed=self._loopback_allowed)

    # --- changing ----------------------------------------------------------------------------------------------------

    async def edit(self, key: Key, wanted: Restrictions, *, actor: int = 0) -> dict[str, Any]:
        return await self._change(key, self._edit(key, wanted, actor))

    async def disable(self, key: Key, *, actor: int = 0) -> dict[str, Any]:
        return await self._change(key, DisableKey(key.key_id, actor))

    async def enable(self, key: Key, *, actor: int = 0) -> dict[str, Any]:
        return await self._change(key, EnableKey(key.key_id, actor))

    async def delete(self, key: Key, *, actor: int = 0) -> dict[str, Any]:
        """For good; the sealed secret is forgotten once the deletion is durable."""
        document, vault_id = document_of(key), key.vault_id
        self._submit(DeleteKey(key.key_id, actor))
        await self._writer.durable()
        if vault_id:
            self._key_maker.forget(vault_id)
        return document | {"status": "deleted"}

    async def panic(self, account_id: int, cause: str) -> list[str]:
        """Disable every active key of the account and its sub-accounts; the API keys of those that were."""
        events = self._submit(PanicKeys(account_id, cause))
        await self._writer.durable()
        return [self._access.keys[event.key_id].api_key for event in events if isinstance(event, KeyDisabled)]

    async def _change(self, key: Key, command: Any) -> dict[str, Any]:
        self._submit(command)
        document = document_of(key)  # as this change left it, whatever comes while it becomes durable
        await self._writer.durable()
        return document

    # --- possession --------------------------------------------------------------------------------------------------

    def open_challenge(self, account_id: int, public_key: str) -> Challenge:
        """A text that whoever has the private half of this public key can sign, and nobody else."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        challenge = self._challenges.open(account_id, public_key, nonce, self._clocks.policy_us())
        if isinstance(challenge, Refusal):
            raise ManagementRefused(challenge)
        return challenge

    def check_proof(self, account_id: int, public_key: str, proof: Proof) -> None:
        now_us = self._clocks.policy_us()
        refusal = self._challenges.redeem(account_id, proof.nonce, public_key, proof.signature, now_us)
        if refusal is not None:
            raise ManagementRefused(refusal)

    # --- looking -----------------------------------------------------------------------------------------------------

    async def usage(self, key: Key) -> dict[str, Any]:
        """Who calls this key, and what a rotation has set. Reads files, on a thread."""
        callers = await asyncio.to_thread(self._calls.callers, key.api_key)
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

    # --- within ------------------------------------------------------------------------------------------------------

    def _creation(self, account_id: int, wish: KeyWish) -> CreateKey:
        if wish.key_type not in KEY_TYPES:
            raise ManagementRefused(Refusal(Reason.KEY_TYPE_INVALID))
        return CreateKey(
            account_id=account_id,
            api_key=_TRIAL_KEY,
            key_type=wish.key_type,
            label=wish.label,
            permissions=int(mask_of(wish.permissions)),
            whitelist=wish.ips,
            public_key=wish.public_key,
            loopback_allowed=self._loopback_allowed,
            key_limit=KEY_LIMIT,
        )

    def _edit(self, key: Key, wanted: Restrictions, actor: int) -> EditKey:
        return EditKey(
            key.key_id,
            actor,
            label=wanted.label,
            permissions=None if wanted.permissions is None else int(mask_of(wanted.permissions)),
            whitelist=None if wanted.ips is None else tuple(wanted.ips),
            loopback_allowed=self._loopback_allowed,
        )

    def _submit(self, command: Any) -> Sequence[Any]:
        outcome = self._writer.submit(command)
        if isinstance(outcome, Refusal):
            raise ManagementRefused(outcome)
        return outcome


def mask_of(names: Sequence[str]) -> Permission:
    mask = Permission.NONE
    for name in names:
        if name not in PERMISSION_NAMES:
            raise ManagementRefused(Refusal(Reason.PERMISSION_UNKNOWN, (name[:64],)))
        mask |= PERMISSION_NAMES[name]
    return mask


def document_of(key: Key) -> dict[str, Any]:
    """The key as the management API and the command show it."""
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


def _with(command: CreateKey, api_key: str, vault_id: str) -> CreateKey:
    return msgspec.structs.replace(command, api_key=api_key, vault_id=vault_id)
