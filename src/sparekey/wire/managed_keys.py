"""Keys that one call makes, changes or deletes for an account: what sub-accounts, brokers and margin have in common.

Every change is the access shard's command, by the account that asks. A secret is sealed before the journal names it
and leaves in one reply, which no cache may keep.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparekey.access.allowlist import parse_allowlist
from sparekey.access.commands import CreateKey, DeleteKey, EditKey
from sparekey.access.public_keys import parse_public_key
from sparekey.access.state import Account, Key
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk

#: What a list holds that is on and has no address yet: nobody calls from it. Binance shows it in the same place.
NOBODY = "0.0.0.0"  # noqa: S104 -- nothing listens there; it is an entry that matches no caller

_NO_STORE = b"Cache-Control: no-store\r\n"
_KEY_UNKNOWN = Refusal(Reason.SUB_ACCOUNT_KEY_UNKNOWN)
_MAIN_ACCOUNT_ONLY = Refusal(Reason.MAIN_ACCOUNT_ONLY)
_FUTURES_MISSING = Refusal(Reason.FUTURES_ACCOUNT_MISSING)
_GONE = frozenset((Reason.KEY_UNKNOWN, Reason.KEY_DELETED, Reason.KEY_EXPIRED, Reason.KEY_ROTATED))


def master_of_call(desk: Desk, call: Call) -> Account | Refusal:
    """The calling account, unless it is a sub-account itself."""
    account = desk.access.accounts[call.account_id]
    return _MAIN_ACCOUNT_ONLY if account.master_id else account


def living_keys(desk: Desk, account_id: int, *, special: bool = False) -> list[Key]:
    """Keys that are not deleted, oldest first: ordinary ones, or the special ones of margin."""
    return [key for key in desk.access.keys_of(account_id) if bool(key.special) is special]


def find_key(desk: Desk, account_id: int, api_key: str, *, special: bool = False) -> Key | Refusal:
    key = desk.access.key_by_api_key(api_key)
    if key is None or key.account_id != account_id or key.status == "deleted" or bool(key.special) is not special:
        return _KEY_UNKNOWN
    return key


def create_key(
    desk: Desk,
    call: Call,
    account: Account,
    *,
    label: str,
    permissions: Permission,
    whitelist: Sequence[str] = (),
    public_key: str | None = None,
    key_types: Sequence[str] = ("rsa", "ed25519"),
    special: str = "",
) -> tuple[Key, str | None] | Refusal:
    """The new key, and its secret where it is a system generated one. `key_types`: which public keys are taken."""
    if Permission.FUTURES in permissions and not account.futures_allowed:
        return _FUTURES_MISSING
    key_type = "hmac"
    if public_key is not None:
        parsed = parse_public_key(public_key)
        if isinstance(parsed, Refusal):
            return parsed
        key_type = parsed.type
        if key_type not in key_types:
            return Refusal(Reason.PUBLIC_KEY_INVALID, (f"it is of type {key_type}; {' or '.join(key_types)} is taken",))
    maker = desk.key_maker
    api_key = maker.make_api_key()
    secret, vault_id = maker.make_secret(account.account_id, api_key) if key_type == "hmac" else (None, "")
    outcome = desk.submit(
        "access",
        CreateKey(
            account_id=account.account_id,
            api_key=api_key,
            key_type=key_type,
            label=label,
            permissions=int(permissions),
            whitelist=tuple(whitelist),
            vault_id=vault_id,
            public_key=public_key or "",
            loopback_allowed=desk.loopback_allowed,
            special=special,
        ),
    )
    if isinstance(outcome, Refusal):
        if vault_id:
            maker.forget(vault_id)
        return outcome
    call.headers += _NO_STORE
    return desk.access.keys[outcome[0].key_id], secret


def edit_key(
    desk: Desk,
    call: Call,
    key: Key,
    *,
    permissions: Permission | None = None,
    whitelist: Sequence[str] | None = None,
) -> Refusal | None:
    """What is given replaces the whole of it. None: it was done."""
    account = desk.access.accounts[key.account_id]
    if permissions is not None and Permission.FUTURES in permissions and not account.futures_allowed:
        return _FUTURES_MISSING
    outcome = desk.submit(
        "access",
        EditKey(
            key.key_id,
            call.account_id,
            permissions=None if permissions is None else int(permissions),
            whitelist=None if whitelist is None else tuple(whitelist),
            loopback_allowed=desk.loopback_allowed,
        ),
    )
    return _of_the_target(outcome) if isinstance(outcome, Refusal) else None


def delete_key(desk: Desk, call: Call, key: Key) -> Refusal | None:
    vault_id = key.vault_id
    outcome = desk.submit("access", DeleteKey(key.key_id, call.account_id))
    if isinstance(outcome, Refusal):
        return _of_the_target(outcome)
    if vault_id:
        desk.key_maker.forget(vault_id)
    return None


# --- whitelists, address by address ----------------------------------------------------------------------------------


def restrict(desk: Desk, call: Call, key: Key, added: Sequence[str] = ()) -> Refusal | None:
    """Turn the list on, with these addresses beside those that it has. Without any, nobody may call."""
    listed = [entry for entry in key.whitelist if entry != NOBODY or not added]
    return edit_key(desk, call, key, whitelist=[*listed, *added] or [NOBODY])


def unrestrict(desk: Desk, call: Call, key: Key) -> Refusal | None:
    """Turn the list off: any address may call, and the key's life has an end again."""
    return edit_key(desk, call, key, whitelist=())


def unlist(desk: Desk, call: Call, key: Key, removed: Sequence[str] | None) -> Refusal | None:
    """Take these addresses off the list, or all (None). The last one gone leaves the list on: it never opens a key."""
    if removed is None:
        return edit_key(desk, call, key, whitelist=[NOBODY]) if key.whitelist else None
    listed = list(key.whitelist)
    for text in removed:
        entry = parse_allowlist([text], loopback_allowed=True)
        if isinstance(entry, Refusal):
            return entry
        if entry[0] not in listed:
            return Refusal(Reason.WHITELIST_INVALID, (f"{text[:64]} is not on the list; as an entry to remove it",))
        listed.remove(entry[0])
    return edit_key(desk, call, key, whitelist=listed or [NOBODY])


def _of_the_target(refusal: Refusal) -> Refusal:
    """-2015 speaks of the key that calls; what is wrong with the key that is spoken of needs another answer."""
    return _KEY_UNKNOWN if refusal.reason in _GONE else refusal
