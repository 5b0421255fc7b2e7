"""Keys of sub-accounts, by their master's calls: sub-account REST, "API Management", and the routes of before it."""

from __future__ import annotations

from typing import Any

import msgspec

from sparekey.access.state import Account, Key
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.account_parameters import page_of
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.managed_keys import (
    create_key,
    delete_key,
    edit_key,
    find_key,
    living_keys,
    master_of_call,
    restrict,
    unlist,
    unrestrict,
)
from sparekey.wire.sub_accounts import sub_account_by_email

_encode = msgspec.json.Encoder().encode

#: The switches of a sub-account's key. Options are not served, so theirs can only stay off.
SWITCHES: dict[str, Permission] = {
    "canTrade": Permission.SPOT_AND_MARGIN_TRADING,
    "canMarginLoanRepay": Permission.MARGIN_LOAN,
    "canFuturesTrade": Permission.FUTURES,
    "canUniversalTransfer": Permission.UNIVERSAL_TRANSFER,
}
OPTIONS_SWITCH = "canVanillaOptions"

#: `status` of a restriction: open to any address, trusted addresses only, or a third party's.
OPEN, TRUSTED, THIRD_PARTY = "1", "2", "3"

_EMPTY = b"{}"
_OPTIONS_UNSUPPORTED = Refusal(Reason.OPERATION_UNSUPPORTED)
_ADDRESSES_MISSING = Refusal(Reason.PARAMETER_MISSING, ("ipAddress",))
_ADDRESSES_NOT_REQUIRED = Refusal(Reason.PARAMETER_NOT_REQUIRED, ("ipAddress",))
#: Nobody is known here whose addresses a key could be bound to.
_THIRD_PARTY_UNKNOWN = Refusal(Reason.PARAMETER_INVALID, ("thirdPartyName",))


def permissions_from(values: dict[str, Any], held: Permission) -> Permission | Refusal:
    """What the switches make of `held`; what is not sent stays as it is."""
    if values[OPTIONS_SWITCH]:
        return _OPTIONS_UNSUPPORTED
    permissions = held
    for name, permission in SWITCHES.items():
        sent = values[name]
        if sent is not None:
            permissions = permissions | permission if sent else permissions & ~permission
    return permissions


def _switches_of(key: Key) -> dict[str, bool]:
    granted = Permission(key.permissions)
    return {name: permission in granted for name, permission in SWITCHES.items()} | {OPTIONS_SWITCH: False}


def create(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/sub-account/subAccountApi. The secret is in this reply and in no other."""
    values = call.values
    account = sub_account_by_email(desk, call, values["email"])
    if isinstance(account, Refusal):
        return account
    addresses = values["ipAddress"] or ()
    if values["status"] == THIRD_PARTY:
        return _THIRD_PARTY_UNKNOWN
    if values["status"] == TRUSTED and not addresses:
        return _ADDRESSES_MISSING
    if values["status"] == OPEN and addresses:
        return _ADDRESSES_NOT_REQUIRED
    permissions = permissions_from(values, Permission.READING)
    if isinstance(permissions, Refusal):
        return permissions
    created = create_key(
        desk,
        call,
        account,
        label=values["apiName"],
        permissions=permissions,
        whitelist=addresses,
        public_key=values["publicKey"],
        key_types=("ed25519",),
    )
    if isinstance(created, Refusal):
        return created
    key, secret = created
    return _encode(
        {"apiName": key.label, "apiKey": key.api_key, "secretKey": secret}
        | _switches_of(key)
        | {"status": int(TRUSTED if key.whitelist else OPEN), "ipList": key.whitelist}
    )


def query(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/sub-account/subAccountApi"""
    values = call.values
    account = sub_account_by_email(desk, call, values["email"])
    if isinstance(account, Refusal):
        return account
    keys = living_keys(desk, account.account_id)
    if values["subAccountApiKey"] is not None:
        keys = [key for key in keys if key.api_key == values["subAccountApiKey"]]
    return _encode(
        {
            "total": len(keys),
            "rows": [
                {"email": values["email"], "apiName": key.label, "apikey": key.api_key}
                | _switches_of(key)
                | {"timestamp": call.time(key.updated_us)}
                for key in page_of(keys, values["page"], values["size"])
            ],
        }
    )


def change_permissions(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/sub-account/subAccountApiPermission"""
    key = _named_key(desk, call)
    if isinstance(key, Refusal):
        return key
    permissions = permissions_from(call.values, Permission(key.permissions))
    if isinstance(permissions, Refusal):
        return permissions
    refusal = edit_key(desk, call, key, permissions=permissions)
    if refusal is not None:
        return refusal
    return _encode(
        {"apiName": key.label, "apikey": key.api_key} | _switches_of(key) | {"timestamp": call.time(key.updated_us)}
    )


def delete(desk: Desk, call: Call) -> bytes | Refusal:
    """DELETE /sapi/v1/sub-account/subAccountApi"""
    key = _named_key(desk, call)
    if isinstance(key, Refusal):
        return key
    return delete_key(desk, call, key) or _EMPTY


# --- addresses -------------------------------------------------------------------------------------------------------


def restriction(desk: Desk, call: Call) -> bytes | Refusal:
    """GET …/ipRestriction"""
    key = _named_key(desk, call)
    return key if isinstance(key, Refusal) else _restriction_of(call, key)


def change_restriction(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v2/sub-account/subAccountApi/ipRestriction: add trusted addresses, or open the key to any."""
    values = call.values
    key = _named_key(desk, call)
    if isinstance(key, Refusal):
        return key
    refusal = apply_status(desk, call, key, values["status"], values["ipAddress"])
    if refusal is not None:
        return refusal
    document: dict[str, Any] = {"status": values["status"]}
    if key.whitelist:
        document["ipList"] = key.whitelist
    return _encode(document | {"updateTime": call.time(key.updated_us), "apiKey": key.api_key})


def apply_status(desk: Desk, call: Call, key: Key, status: str, addresses: tuple[str, ...] | None) -> Refusal | None:
    if status == THIRD_PARTY:
        return _THIRD_PARTY_UNKNOWN
    if status == TRUSTED:
        return restrict(desk, call, key, addresses or ())
    return _ADDRESSES_NOT_REQUIRED if addresses else unrestrict(desk, call, key)


def switch_restriction(desk: Desk, call: Call) -> bytes | Refusal:
    """POST …/ipRestriction of the first version: on or off. Turned on without addresses, nobody may call."""
    key = _named_key(desk, call)
    if isinstance(key, Refusal):
        return key
    refusal = restrict(desk, call, key) if call.values["ipRestrict"] else unrestrict(desk, call, key)
    return refusal or _restriction_of(call, key)


def list_addresses(desk: Desk, call: Call) -> bytes | Refusal:
    """POST …/ipRestriction/ipList of the first version: add addresses."""
    key = _named_key(desk, call)
    if isinstance(key, Refusal):
        return key
    refusal = restrict(desk, call, key, call.values["ipAddress"])
    if refusal is not None:
        return refusal
    ip = ",".join(call.values["ipAddress"])
    return _encode({"ip": ip, "updateTime": call.time(key.updated_us), "apiKey": key.api_key})


def unlist_addresses(desk: Desk, call: Call) -> bytes | Refusal:
    """DELETE …/ipRestriction/ipList"""
    key = _named_key(desk, call)
    if isinstance(key, Refusal):
        return key
    return unlist(desk, call, key, call.values["ipAddress"]) or _restriction_of(call, key)


def _restriction_of(call: Call, key: Key) -> bytes:
    return _encode(
        {
            "ipRestrict": "true" if key.whitelist else "false",
            "ipList": key.whitelist,
            "updateTime": call.time(key.updated_us),
            "apiKey": key.api_key,
        }
    )


def _named_key(desk: Desk, call: Call) -> Key | Refusal:
    """The key that a call names: by the sub-account's address, or by its number and `accountApiKey` (legacy)."""
    values = call.values
    account: Account | Refusal
    if "email" in values:
        account = sub_account_by_email(desk, call, values["email"])
        api_key = values["subAccountApiKey"]
    else:
        account = _by_number(desk, call, values["subAccountId"])
        api_key = values["accountApiKey"]
    return account if isinstance(account, Refusal) else find_key(desk, account.account_id, api_key)


def _by_number(desk: Desk, call: Call, account_id: int) -> Account | Refusal:
    master = master_of_call(desk, call)
    if isinstance(master, Refusal):
        return master
    for account in desk.access.sub_accounts_of(master.account_id, "virtual"):
        if account.account_id == account_id:
            return account
    return Refusal(Reason.SUB_ACCOUNT_UNKNOWN)
