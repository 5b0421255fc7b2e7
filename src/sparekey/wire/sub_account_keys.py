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
from sparekey.wire.key_restrictions import (
    ADDRESSES_MISSING,
    ADDRESSES_NOT_REQUIRED,
    OPEN,
    THIRD_PARTY,
    THIRD_PARTY_UNKNOWN,
    TRUSTED,
    Restrictions,
    Spelling,
)
from sparekey.wire.managed_keys import (
    create_key,
    delete_key,
    edit_key,
    find_key,
    living_keys,
    master_of_call,
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

_EMPTY = b"{}"
_OPTIONS_UNSUPPORTED = Refusal(Reason.OPERATION_UNSUPPORTED)


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
        return THIRD_PARTY_UNKNOWN
    if values["status"] == TRUSTED and not addresses:
        return ADDRESSES_MISSING
    if values["status"] == OPEN and addresses:
        return ADDRESSES_NOT_REQUIRED
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


# --- addresses -------------------------------------------------------------------------------------------------------


def _shown(call: Call, key: Key) -> dict[str, Any]:
    return {
        "ipRestrict": "true" if key.whitelist else "false",
        "ipList": key.whitelist,
        "updateTime": call.time(key.updated_us),
        "apiKey": key.api_key,
    }


def _changed(call: Call, key: Key) -> dict[str, Any]:
    listed: dict[str, Any] = {"ipList": key.whitelist} if key.whitelist else {}
    times = {"updateTime": call.time(key.updated_us), "apiKey": key.api_key}
    return {"status": call.values["status"]} | listed | times


def _listed(call: Call, key: Key) -> dict[str, Any]:
    ip = ",".join(call.values["ipAddress"])
    return {"ip": ip, "updateTime": call.time(key.updated_us), "apiKey": key.api_key}


restrictions = Restrictions(Spelling(_named_key, shown=_shown, changed=_changed, listed=_listed, unlisted=_shown))
