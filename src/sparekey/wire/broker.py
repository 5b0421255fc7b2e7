"""A broker's sub-accounts, one for each customer, and their keys (Binance Link). An operator says who is a broker.

The spellings are Binance's: `subAccountId` is asked for and `subaccountId` answered; `apiKey` where a key is made or
restricted by the second version, `apikey` elsewhere; `ipRestrict` is a boolean here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sparekey.access.commands import CloseSubAccount
from sparekey.access.state import Account, Key
from sparekey.terms.clocktime import SECOND_US
from sparekey.terms.money import ONE
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.account_parameters import page_of
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.key_restrictions import Restrictions, Spelling
from sparekey.wire.managed_keys import (
    create_key,
    delete_key,
    edit_key,
    find_key,
    living_keys,
)
from sparekey.wire.sub_accounts import move_funds, open_sub_account

_encode = msgspec.json.Encoder().encode

#: `maxSubAccountQty` of the documents' sample.
SUB_ACCOUNTS_MAX = 1_000
_DOMAIN_LETTERS = 8
#: Margin is off for all accounts, which Binance tells by a commission below nothing.
_MARGIN_OFF = -1

_EMPTY = b"{}"
_BROKER_ONLY = Refusal(Reason.BROKER_ONLY)
_SUB_ACCOUNT_UNKNOWN = Refusal(Reason.SUB_ACCOUNT_UNKNOWN)
_MARGIN_MISSING = Refusal(Reason.MARGIN_ACCOUNT_MISSING)
_KEY_TOO_SOON = Refusal(Reason.KEY_TOO_SOON, (1, "1 SECOND"))


def _broker(desk: Desk, call: Call) -> Account | Refusal:
    account = desk.access.accounts[call.account_id]
    return account if account.is_broker else _BROKER_ONLY


def _sub_account(desk: Desk, call: Call, account_id: int) -> Account | Refusal:
    broker = _broker(desk, call)
    if isinstance(broker, Refusal):
        return broker
    account = desk.access.account(account_id)
    if account is None or account.master_id != broker.account_id or account.link != "broker":
        return _SUB_ACCOUNT_UNKNOWN
    return account


def _named_key(desk: Desk, call: Call) -> Key | Refusal:
    account = _sub_account(desk, call, call.values["subAccountId"])
    if isinstance(account, Refusal):
        return account
    return find_key(desk, account.account_id, call.values["subAccountApiKey"])


# --- sub-accounts ----------------------------------------------------------------------------------------------------


def create(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/broker/subAccount"""
    broker = _broker(desk, call)
    if isinstance(broker, Refusal):
        return broker
    domain = f"{desk.key_maker.random_letters(_DOMAIN_LETTERS)}noemail.com"
    email = f"{broker.account_id}_{desk.access.next_account_id}_brokersubuser@{domain}"
    account = open_sub_account(desk, broker, email, "broker", call.values["tag"] or "", SUB_ACCOUNTS_MAX)
    if isinstance(account, Refusal):
        return account
    return _encode({"subaccountId": str(account.account_id), "email": email, "tag": account.tag})


def query(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/broker/subAccount"""
    values = call.values
    broker = _broker(desk, call)
    if isinstance(broker, Refusal):
        return broker
    accounts = desk.access.sub_accounts_of(broker.account_id, "broker")
    if values["subAccountId"] is not None:
        accounts = [account for account in accounts if account.account_id == values["subAccountId"]]
        if not accounts:
            return _SUB_ACCOUNT_UNKNOWN
    maker, taker = _commissions(desk)
    return _encode(
        [
            {
                "subaccountId": str(account.account_id),
                "email": desk.key_maker.email_of(account.account_id),
                "tag": account.tag,
                "makerCommission": maker,
                "takerCommission": taker,
                "marginMakerCommission": _MARGIN_OFF,
                "marginTakerCommission": _MARGIN_OFF,
                "createTime": call.time(account.created_us),
            }
            for account in page_of(accounts, values["page"], values["size"])
        ]
    )


def close(desk: Desk, call: Call) -> bytes | Refusal:
    """DELETE /sapi/v1/broker/subAccount, which must be empty: no keys, no funds, no orders."""
    account = _sub_account(desk, call, call.values["subAccountId"])
    if isinstance(account, Refusal):
        return account
    if any(balance.free or balance.locked for balance in desk.spot.balances(account.account_id).values()):
        return Refusal(Reason.SUB_ACCOUNT_IN_USE, ("funds",))
    outcome = desk.submit("access", CloseSubAccount(account.account_id, call.account_id))
    return outcome if isinstance(outcome, Refusal) else _EMPTY


def info(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/broker/info. Commissions are the symbols' own, so there is one of each."""
    broker = _broker(desk, call)
    if isinstance(broker, Refusal):
        return broker
    maker, taker = _commissions(desk)
    return _encode(
        {
            "maxMakerCommission": maker,
            "minMakerCommission": maker,
            "maxTakerCommission": taker,
            "minTakerCommission": taker,
            "subAccountQty": len(desk.access.sub_accounts_of(broker.account_id, "broker")),
            "maxSubAccountQty": SUB_ACCOUNTS_MAX,
        }
    )


def _commissions(desk: Desk) -> tuple[float, float]:
    rules = desk.spot.symbols()[0]
    return rules.maker_rate / ONE, rules.taker_rate / ONE


def transfer(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/broker/transfer, between spot accounts; no number means the broker's own account."""
    broker = _broker(desk, call)
    if isinstance(broker, Refusal):
        return broker
    ends = []
    for account_id in (call.values["fromId"], call.values["toId"]):
        end = broker if account_id is None else _sub_account(desk, call, account_id)
        if isinstance(end, Refusal):
            return end
        ends.append(end.account_id)
    made = move_funds(desk, call, broker.account_id, ends[0], ends[1])
    if isinstance(made, Refusal):
        return made
    return _encode({"txnId": str(made.transfer_id), "clientTranId": made.client_transfer_id})


# --- keys ------------------------------------------------------------------------------------------------------------


def create_sub_key(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/broker/subAccountApi: one a second for each sub-account; its secret is in this reply alone."""
    values = call.values
    account = _sub_account(desk, call, values["subAccountId"])
    if isinstance(account, Refusal):
        return account
    key_ids = account.key_ids
    if key_ids and desk.policy_us() - desk.access.keys[key_ids[-1]].created_us < SECOND_US:
        return _KEY_TOO_SOON
    permissions = _permissions(values)
    if isinstance(permissions, Refusal):
        return permissions
    created = create_key(
        desk,
        call,
        account,
        label=f"broker key {len(key_ids) + 1}",
        permissions=permissions,
        public_key=values["publicKey"],
    )
    if isinstance(created, Refusal):
        return created
    key, secret = created
    return _encode(
        {"subaccountId": str(account.account_id), "apiKey": key.api_key, "secretKey": secret} | _switches_of(key)
    )


def query_keys(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/broker/subAccountApi"""
    values = call.values
    account = _sub_account(desk, call, values["subAccountId"])
    if isinstance(account, Refusal):
        return account
    keys = living_keys(desk, account.account_id)
    if values["subAccountApiKey"] is not None:
        keys = [key for key in keys if key.api_key == values["subAccountApiKey"]]
    return _encode(
        [
            {"subaccountId": str(account.account_id), "apikey": key.api_key} | _switches_of(key)
            for key in page_of(keys, values["page"], values["size"])
        ]
    )


def delete_sub_key(desk: Desk, call: Call) -> bytes | Refusal:
    """DELETE /sapi/v1/broker/subAccountApi"""
    key = _named_key(desk, call)
    if isinstance(key, Refusal):
        return key
    return delete_key(desk, call, key) or _EMPTY


def change_permission(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/broker/subAccountApi/permission: all three switches at once; the others stay."""
    key = _named_key(desk, call)
    if isinstance(key, Refusal):
        return key
    permissions = _permissions(call.values)
    if isinstance(permissions, Refusal):
        return permissions
    kept = Permission(key.permissions) & Permission.UNIVERSAL_TRANSFER
    return edit_key(desk, call, key, permissions=permissions | kept) or _encode(_named(key) | _switches_of(key))


def change_universal_transfer(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/broker/subAccountApi/permission/universalTransfer"""
    key = _named_key(desk, call)
    if isinstance(key, Refusal):
        return key
    on: bool = call.values["canUniversalTransfer"]
    held = Permission(key.permissions)
    permissions = held | Permission.UNIVERSAL_TRANSFER if on else held & ~Permission.UNIVERSAL_TRANSFER
    refusal = edit_key(desk, call, key, permissions=permissions)
    return refusal or _encode(_named(key) | {"canUniversalTransfer": on})


def _permissions(values: dict[str, Any]) -> Permission | Refusal:
    if values["marginTrade"]:
        # "Sub account should be enable margin before its api-key's marginTrade being enabled": none is.
        return _MARGIN_MISSING
    permissions = Permission.READING
    if values["canTrade"]:
        permissions |= Permission.SPOT_AND_MARGIN_TRADING
    if values["futuresTrade"]:
        permissions |= Permission.FUTURES
    return permissions


def _switches_of(key: Key) -> dict[str, bool]:
    granted = Permission(key.permissions)
    return {
        "canTrade": Permission.SPOT_AND_MARGIN_TRADING in granted,
        "marginTrade": False,
        "futuresTrade": Permission.FUTURES in granted,
    }


def _named(key: Key) -> dict[str, Any]:
    return {"subaccountId": str(key.account_id), "apikey": key.api_key}


# --- addresses -------------------------------------------------------------------------------------------------------


def _shown(call: Call, key: Key) -> dict[str, Any]:
    return {
        "subaccountId": str(key.account_id),
        "ipRestrict": bool(key.whitelist),
        "apikey": key.api_key,
        "ipList": key.whitelist,
        "updateTime": call.time(key.updated_us),
    }


def _changed(call: Call, key: Key) -> dict[str, Any]:
    return {
        "status": call.values["status"],
        "ipList": key.whitelist,
        "updateTime": call.time(key.updated_us),
        "apiKey": key.api_key,
    }


def _listed(call: Call, key: Key) -> dict[str, Any]:
    return _named(key) | {"ip": ",".join(call.values["ipAddress"]), "updateTime": call.time(key.updated_us)}


def _unlisted(call: Call, key: Key) -> dict[str, Any]:
    return _named(key) | {"ipList": key.whitelist, "updateTime": call.time(key.updated_us)}


restrictions = Restrictions(Spelling(_named_key, shown=_shown, changed=_changed, listed=_listed, unlisted=_unlisted))
