"""Wallet and margin routes that clients call while they start: coins, the calling key, fees, status, margin pairs."""

from __future__ import annotations

from typing import Any

import msgspec

from sparekey.access.state import NEVER_US
from sparekey.terms.money import format_money
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.listing import AssetRules, NetworkRules
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.standing import may_act

_encode = msgspec.json.Encoder().encode

_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_ZERO = format_money(0)
_SMALLEST = format_money(1)
#: Minutes that a withdrawal is said to take.
_ARRIVAL_MINUTES = 1

#: Trigger conditions of the API trading status (wallet REST, "Account API trading status"): ratios in units of
#: trades. None of the indicators is measured, so none of them ever locks an account.
_TRIGGERS = {"GCR": 150, "IFER": 150, "UFR": 300}


def all_coins(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/capital/config/getall: every asset with its networks and what the account holds of it."""
    held = desk.spot.balances(call.account_id)
    coins = []
    for rules in desk.spot.assets.values():
        balance = held.get(rules.asset)
        coins.append(
            {
                "coin": rules.asset,
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "name": rules.name,
                "free": format_money(balance.free) if balance else _ZERO,
                "locked": format_money(balance.locked) if balance else _ZERO,
                "freeze": _ZERO,
                "withdrawing": _ZERO,
                "ipoing": _ZERO,
                "ipoable": _ZERO,
                "storage": _ZERO,
                "isLegalMoney": rules.is_legal_money,
                "trading": not rules.is_legal_money,
                "networkList": [
                    _network(desk, rules, network, default=not index) for index, network in enumerate(rules.networks)
                ],
            }
        )
    return _encode(coins)


def _network(desk: Desk, asset: AssetRules, network: NetworkRules, *, default: bool) -> dict[str, Any]:
    key = ("network", asset.asset, network.network)
    cached: dict[str, Any] | None = desk.cache.get(key)
    if cached is None:
        # Deposits and withdrawals do not exist yet, and clients read these two switches before they try.
        cached = desk.cache[key] = {
            "network": network.network,
            "coin": asset.asset,
            "withdrawIntegerMultiple": _SMALLEST,
            "isDefault": default,
            "depositEnable": False,
            "withdrawEnable": False,
            "depositDesc": "Deposits are not open.",
            "withdrawDesc": "Withdrawals are not open.",
            "specialTips": "",
            "specialWithdrawTips": "",
            "name": network.name,
            "resetAddressStatus": False,
            "addressRegex": network.address_regex,
            "memoRegex": "",
            "withdrawFee": format_money(network.withdraw_fee),
            "withdrawMin": format_money(network.withdraw_min),
            "withdrawMax": format_money(network.withdraw_max),
            "withdrawInternalMin": _SMALLEST,
            "depositDust": _SMALLEST,
            "minConfirm": network.confirmations,
            "unLockConfirm": network.confirmations,
            "sameAddress": False,
            "withdrawTag": False,
            "estimatedArrivalTime": _ARRIVAL_MINUTES,
            "busy": False,
            "contractAddressUrl": "",
            "contractAddress": "",
        }
    return cached


def api_restrictions(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/account/apiRestrictions: what the calling key may do."""
    key = desk.access.keys[call.admitted().key_id]
    granted = Permission(key.permissions)
    document: dict[str, Any] = {
        "ipRestrict": bool(key.whitelist),
        "createTime": call.time(key.created_us),
        "enableReading": Permission.READING in granted,
        "enableSpotAndMarginTrading": Permission.SPOT_AND_MARGIN_TRADING in granted,
        "enableWithdrawals": Permission.WITHDRAWALS in granted,
        "enableInternalTransfer": Permission.INTERNAL_TRANSFER in granted,
        "permitsUniversalTransfer": Permission.UNIVERSAL_TRANSFER in granted,
        "enableMargin": Permission.MARGIN_LOAN in granted,
        "enableFutures": Permission.FUTURES in granted,
        "enableVanillaOptions": False,
        "enablePortfolioMarginTrading": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
    }
    if key.dies_us != NEVER_US:
        # Its own expiry, or the end of a rotation's overlap.
        document["tradingAuthorityExpirationTime"] = call.time(key.dies_us)
    return _encode(document)


def account_status(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/account/status. A suspended account never gets this far: its keys are refused."""
    return b'{"data":"Normal"}'


def api_trading_status(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/account/apiTradingStatus: locked for a key that still reads although its account lost its standing.

    Nobody can say when that ends, so no time of recovery is planned.
    """
    return _encode(
        {
            "data": {
                "isLocked": not may_act(desk.access, call.account_id),
                "plannedRecoverTime": 0,
                "triggerCondition": _TRIGGERS,
                "updateTime": call.time(desk.spot.account_updated_us(call.account_id)),
            }
        }
    )


def system_status(desk: Desk, call: Call) -> bytes:
    """GET /sapi/v1/system/status. Whoever can read this finds the system normal."""
    return b'{"status":0,"msg":"normal"}'


def trade_fees(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/asset/tradeFee, of one symbol or of all; an array either way."""
    symbol = call.values["symbol"]
    if symbol is None:
        chosen = list(desk.spot.symbols())
    else:
        rules = desk.spot.rules(symbol)
        if rules is None:
            return _SYMBOL_UNKNOWN
        chosen = [rules]
    return _encode(
        [
            {
                "symbol": rules.symbol,
                "makerCommission": format_money(rules.maker_rate),
                "takerCommission": format_money(rules.taker_rate),
            }
            for rules in chosen
        ]
    )


def margin_pairs(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/margin/allPairs and margin/isolated/allPairs: no symbol is open to margin.

    The same is said by `isMarginTradingAllowed` in `exchangeInfo`.
    """
    return b"[]"
