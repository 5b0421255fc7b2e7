"""Spot: balances, own trades, commission, order counts, and listen keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sparekey.terms.money import format_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.spot_general import SPOT_PERMISSION, describe_filters
from sparekey.wire.spot_orders import check_span, commission_rates
from sparekey.wire.spot_shapes import account_trades
from sparekey.wire.standing import may_act

_encode = msgspec.json.Encoder().encode

_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_COMBINATION = Refusal(Reason.PARAMETERS_COMBINATION)
_LISTEN_KEY_UNKNOWN = Refusal(Reason.LISTEN_KEY_UNKNOWN)

#: Rates are 1e-8; the legacy fields of `account` count basis points.
_BASIS_POINT = 10_000
_ZERO = format_money(0)


class Balance(msgspec.Struct, gc=False):
    asset: str
    free: str
    locked: str


class CommissionRates(msgspec.Struct, gc=False):
    maker: str
    taker: str
    buyer: str
    seller: str


class SpotAccount(msgspec.Struct, rename="camel", gc=False):
    maker_commission: int
    taker_commission: int
    buyer_commission: int
    seller_commission: int
    commission_rates: CommissionRates
    can_trade: bool
    can_withdraw: bool
    can_deposit: bool
    brokered: bool
    require_self_trade_prevention: bool
    prevent_sor: bool
    update_time: int
    account_type: str
    balances: list[Balance]
    permissions: list[str]
    uid: int


def account(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/account: every listed asset, held or not, unless `omitZeroBalances` is set."""
    held = desk.spot.balances(call.account_id)
    omit = call.values["omitZeroBalances"]
    balances = []
    for asset in desk.spot.assets:
        balance = held.get(asset)
        if balance is not None and (balance.free or balance.locked):
            balances.append(Balance(asset, format_money(balance.free), format_money(balance.locked)))
        elif not omit:
            balances.append(Balance(asset, _ZERO, _ZERO))
    # One fee tier: every symbol is listed with the same rates, which `account/commission` shows by symbol.
    symbols = desk.spot.symbols()
    maker, taker = (symbols[0].maker_rate, symbols[0].taker_rate) if symbols else (0, 0)
    active = may_act(desk.access, call.account_id)
    return _encode(
        SpotAccount(
            maker // _BASIS_POINT,
            taker // _BASIS_POINT,
            0,
            0,
            CommissionRates(format_money(maker), format_money(taker), _ZERO, _ZERO),
            active,
            active,
            True,
            False,
            False,
            False,
            call.time(desk.spot.account_updated_us(call.account_id)),
            "SPOT",
            balances,
            [SPOT_PERMISSION],
            call.account_id,
        )
    )


def my_trades(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/myTrades: the account's side of its trades, ascending by id."""
    values = call.values
    if desk.spot.rules(values["symbol"]) is None:
        return _SYMBOL_UNKNOWN
    fills = desk.archive.trades(
        call.account_id,
        values["symbol"],
        order_id=values["orderId"],
        from_id=values["fromId"],
        start_us=values["startTime"],
        end_us=values["endTime"],
        limit=values["limit"],
    )
    return _encode(account_trades(call, fills))


#: Which optional parameters may go together (spot REST, "Account trade list").
_TRADE_COMBINATIONS = frozenset(
    frozenset(names)
    for names in (
        (),
        ("orderId",),
        ("startTime",),
        ("endTime",),
        ("fromId",),
        ("startTime", "endTime"),
        ("orderId", "fromId"),
    )
)


def check_my_trades(values: Mapping[str, Any]) -> Refusal | None:
    sent = frozenset(name for name in ("orderId", "fromId", "startTime", "endTime") if values[name] is not None)
    return check_span(values) if sent in _TRADE_COMBINATIONS else _COMBINATION


def order_rate_limits(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/rateLimit/order: the ORDERS limiters with what the account has used."""
    return _encode(
        [
            {
                "rateLimitType": "ORDERS",
                "interval": limit.interval,
                "intervalNum": limit.interval_count,
                "limit": limit.limit,
                "count": count,
            }
            for limit, count in desk.spot.order_counts(call.account_id, call.now_us)
        ]
    )


def commission(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/account/commission"""
    rules = desk.spot.rules(call.values["symbol"])
    return _SYMBOL_UNKNOWN if rules is None else _encode(commission_rates(rules))


def my_filters(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/myFilters: what an order of the account on a symbol has to pass, and where its assets are shown."""
    rules = desk.spot.rules(call.values["symbol"])
    if rules is None:
        return _SYMBOL_UNKNOWN
    assets = (desk.spot.assets[asset] for asset in (rules.base_asset, rules.quote_asset))
    return _encode(
        {
            "exchangeFilters": [],
            "symbolFilters": describe_filters(rules),
            "assetFilters": [
                {"filterType": "MAX_ASSET", "asset": asset.asset, "limit": format_money(asset.max_order)}
                for asset in assets
                if asset.max_order
            ],
        }
    )


# --- listen keys -------------------------------------------------------------------------------------------------


def open_listen_key(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /api/v3/userDataStream"""
    text = desk.listen_keys.open("spot", call.account_id, call.admitted().key_id, desk.policy_us())
    return _encode({"listenKey": text})


def keep_listen_key(desk: Desk, call: Call) -> bytes | Refusal:
    """PUT /api/v3/userDataStream"""
    kept = desk.listen_keys.keep_alive(call.values["listenKey"], call.account_id, desk.policy_us())
    return b"{}" if kept else _LISTEN_KEY_UNKNOWN


def close_listen_key(desk: Desk, call: Call) -> bytes | Refusal:
    """DELETE /api/v3/userDataStream"""
    closed = desk.listen_keys.close(call.values["listenKey"], call.account_id, desk.policy_us())
    return b"{}" if closed else _LISTEN_KEY_UNKNOWN
