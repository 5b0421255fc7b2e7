"""Special keys of margin, for low latency: an account makes, lists, restricts and deletes its own.

On Binance such a key acts on the margin account through spot's routes. Margin is not open here yet, so the gate refuses
every call of one (`-2015`, reason `margin-key-idle`); all else about it is as it will be. Special and ordinary keys
share the account's places (Binance, FAQ on the Margin Special API Key).
"""

from __future__ import annotations

from typing import Any

import msgspec

from sparekey.access.public_keys import parse_public_key
from sparekey.access.state import Key
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.managed_keys import NOBODY, create_key, delete_key, edit_key, find_key, living_keys

_encode = msgspec.json.Encoder().encode

#: What acts on the cross margin account; an isolated one is named by its pair.
CROSS = "cross"
TRADE, READ = "TRADE", "READ"
_PERMISSIONS = {TRADE: Permission.READING | Permission.SPOT_AND_MARGIN_TRADING, READ: Permission.READING}
_TYPES = {"hmac": "HMAC_SHA256", "rsa": "RSA", "ed25519": "Ed25519"}

_EMPTY = b"{}"
_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_KEY_UNKNOWN = Refusal(Reason.SUB_ACCOUNT_KEY_UNKNOWN)
_NAME_OR_KEY = Refusal(Reason.PARAMETERS_EITHER, ("apiKey", "apiName"))


def create(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/margin/apiKey. The secret is in this reply and in no other; asymmetric keys have none."""
    values = call.values
    special = _account_of(desk, values["symbol"])
    if isinstance(special, Refusal):
        return special
    public_key = values["publicKey"]
    mode = TRADE
    if public_key is not None:
        parsed = parse_public_key(public_key)
        if isinstance(parsed, Refusal):
            return parsed
        if parsed.type == "ed25519":
            # "Only for the Ed25519 API key, and does not effect for other encryption methods."
            mode = values["permissionMode"]
    created = create_key(
        desk,
        call,
        desk.access.accounts[call.account_id],
        label=values["apiName"],
        permissions=_PERMISSIONS[mode],
        whitelist=values["ip"] or (),
        public_key=public_key,
        special=special,
    )
    if isinstance(created, Refusal):
        return created
    key, secret = created
    return _encode({"apiKey": key.api_key, "secretKey": secret, "type": _TYPES[key.key_type]})


def query(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/margin/apiKey"""
    key = _named_key(desk, call)
    return key if isinstance(key, Refusal) else _encode(_described(key))


def list_keys(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/margin/api-key-list: of the cross account, or of an isolated pair."""
    special = _account_of(desk, call.values["symbol"])
    if isinstance(special, Refusal):
        return special
    keys = living_keys(desk, call.account_id, special=True)
    return _encode([_described(key) for key in keys if key.special == special])


def change_addresses(desk: Desk, call: Call) -> bytes | Refusal:
    """PUT /sapi/v1/margin/apiKey/ip: these addresses and no others."""
    key = _named_key(desk, call)
    if isinstance(key, Refusal):
        return key
    return edit_key(desk, call, key, whitelist=call.values["ip"]) or _EMPTY


def delete(desk: Desk, call: Call) -> bytes | Refusal:
    """DELETE /sapi/v1/margin/apiKey: one by its API key, or all that have a name."""
    values = call.values
    if values["apiKey"] is not None:
        key = _named_key(desk, call)
        keys = [] if isinstance(key, Refusal) else [key]
    elif values["apiName"] is not None:
        special = _account_of(desk, values["symbol"])
        if isinstance(special, Refusal):
            return special
        named = living_keys(desk, call.account_id, special=True)
        keys = [key for key in named if key.label == values["apiName"].strip() and key.special == special]
    else:
        return _NAME_OR_KEY
    if not keys:
        return _KEY_UNKNOWN
    for key in keys:
        refusal = delete_key(desk, call, key)
        if refusal is not None:
            return refusal
    return _EMPTY


def _account_of(desk: Desk, symbol: str | None) -> str | Refusal:
    """What a special key acts on."""
    if symbol is None:
        return CROSS
    return symbol if desk.spot.rules(symbol) is not None else _SYMBOL_UNKNOWN


def _named_key(desk: Desk, call: Call) -> Key | Refusal:
    special = _account_of(desk, call.values["symbol"])
    if isinstance(special, Refusal):
        return special
    key = find_key(desk, call.account_id, call.values["apiKey"], special=True)
    if isinstance(key, Refusal) or (key.special != special and call.values["symbol"] is not None):
        return _KEY_UNKNOWN
    return key


def _described(key: Key) -> dict[str, Any]:
    trades = Permission.SPOT_AND_MARGIN_TRADING in Permission(key.permissions)
    return {
        "apiName": key.label,
        "apiKey": key.api_key,
        # Without a list Binance shows the address of nobody, "just an initial state reference (no extra meaning)".
        "ip": ",".join(key.whitelist or (NOBODY,)),
        "type": _TYPES[key.key_type],
        "permissionMode": TRADE if trades else READ,
    }
