"""Spot: ping, time, and what is listed (`exchangeInfo`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sparekey.access.limits import Limit
from sparekey.terms.money import SCALE_DIGITS, format_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.listing import SymbolRules
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk

_encode = msgspec.json.Encoder().encode

_COMBINATION = Refusal(Reason.PARAMETERS_COMBINATION)
_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)

SYMBOL_STATUSES = ("TRADING", "HALT", "BREAK")
#: What a symbol's permission sets and an account may name (spot REST, "Account and symbol permissions").
SPOT_PERMISSION = "SPOT"
PERMISSIONS = ("SPOT", "MARGIN", "LEVERAGED", *(f"TRD_GRP_{number:03}" for number in range(2, 26)))


def ping(desk: Desk, call: Call) -> bytes:
    """`{}`"""
    return b"{}"


def time(desk: Desk, call: Call) -> bytes:
    """The wire clock as it is now, which is what timestamps are compared with."""
    return b'{"serverTime":%d}' % call.time(desk.clocks.wire_us())


def exchange_info(desk: Desk, call: Call) -> bytes | Refusal:
    """All symbols, or those asked for. Each symbol's text is made once and joined anew."""
    values = call.values
    chosen = _chosen(desk, values)
    if isinstance(chosen, Refusal):
        return chosen
    with_sets: bool = values["showPermissionSets"]
    websocket = call.session is not None
    head = desk.cache.get(("exchange-info-head", websocket))
    if head is None:
        limits = _encode(rate_limits(desk, "spot", websocket=websocket))
        head = b'"rateLimits":' + limits + b',"exchangeFilters":[],"symbols":['
        desk.cache["exchange-info-head", websocket] = head
    symbols = b",".join([_symbol_text(desk, rules, with_sets) for rules in chosen])
    return b'{"timezone":"UTC","serverTime":%d,%b%b]%b}' % (
        call.time(desk.clocks.wire_us()),
        head,
        symbols,
        _sors(desk),
    )


def _sors(desk: Desk) -> bytes:
    """Whose books routed orders walk; no field at all where nothing is routed."""
    by_base: dict[str, list[str]] = {}
    for rules in desk.spot.symbols():
        if rules.routed:
            by_base.setdefault(rules.base_asset, []).append(rules.symbol)
    found = [{"baseAsset": base, "symbols": symbols} for base, symbols in by_base.items() if len(symbols) > 1]
    return b',"sors":' + _encode(found) if found else b""


def check_exchange_info(values: Mapping[str, Any]) -> Refusal | None:
    """`symbol`, `symbols` and `permissions` exclude each other; a status goes with neither of the first two."""
    given = [name for name in ("symbol", "symbols", "permissions") if values[name] is not None]
    if len(given) > 1 or (values["symbolStatus"] is not None and "permissions" not in given and given):
        return _COMBINATION
    for permission in values["permissions"] or ():
        if permission not in PERMISSIONS:
            return Refusal(Reason.PARAMETER_INVALID, ("permissions",))
    return None


def _chosen(desk: Desk, values: Mapping[str, Any]) -> Iterable[SymbolRules] | Refusal:
    named = values["symbols"] or ((values["symbol"],) if values["symbol"] else None)
    if named:
        found = []
        for symbol in named:
            rules = desk.spot.rules(symbol)
            if rules is None:
                return _SYMBOL_UNKNOWN
            found.append(rules)
        return found
    permissions = values["permissions"]
    if permissions is not None and SPOT_PERMISSION not in permissions:
        return ()
    status = values["symbolStatus"]
    return [rules for rules in desk.spot.symbols() if status is None or rules.status == status]


def execution_rules(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/executionRules: of the symbols asked for, or of all; no rules where nothing restrains takers."""
    chosen = _chosen(desk, call.values | {"permissions": None})
    if isinstance(chosen, Refusal):
        return chosen
    return _encode({"symbolRules": [{"symbol": rules.symbol, "rules": _describe_rules(rules)} for rules in chosen]})


def check_execution_rules(values: Mapping[str, Any]) -> Refusal | None:
    sent = sum(values[name] is not None for name in ("symbol", "symbols", "symbolStatus"))
    return _COMBINATION if sent > 1 else None


def _describe_rules(rules: SymbolRules) -> list[dict[str, Any]]:
    """A multiplier that binds nobody is left out."""
    bounds = rules.price_range
    if bounds is None:
        return []
    shown = {
        "bidLimitMultUp": bounds.bid_up,
        "bidLimitMultDown": bounds.bid_down,
        "askLimitMultUp": bounds.ask_up,
        "askLimitMultDown": bounds.ask_down,
    }
    return [{"ruleType": "PRICE_RANGE"} | {name: format_money(rate) for name, rate in shown.items() if rate}]


def rate_limits(desk: Desk, family: str, *, websocket: bool = False) -> list[dict[str, Any]]:
    """The profile's limiters as `exchangeInfo` lists them, which over the WebSocket API tells of connections instead of
    raw requests."""
    limits = desk.limits(family)
    listed = [_limiter("REQUEST_WEIGHT", limits.weight)]
    listed += [_limiter("ORDERS", limit) for limit in limits.orders]
    if websocket and limits.connections is not None:
        listed.append(_limiter("CONNECTIONS", limits.connections))
    elif limits.raw_requests is not None:
        listed.append(_limiter("RAW_REQUESTS", limits.raw_requests))
    return listed


def _limiter(kind: str, limit: Limit) -> dict[str, Any]:
    return {
        "rateLimitType": kind,
        "interval": limit.interval,
        "intervalNum": limit.interval_count,
        "limit": limit.limit,
    }


def _symbol_text(desk: Desk, rules: SymbolRules, with_sets: bool) -> bytes:
    # Rules are frozen, so a symbol that changes has new ones and misses this cache.
    key = ("exchange-info", rules.symbol, with_sets)
    cached: tuple[SymbolRules, bytes] | None = desk.cache.get(key)
    if cached is None or cached[0] is not rules:
        cached = desk.cache[key] = (rules, _encode(describe_symbol(rules, with_sets)))
    return cached[1]


def describe_symbol(rules: SymbolRules, with_sets: bool) -> dict[str, Any]:
    """One entry of `symbols`, with the filters that are enforced and no others."""
    types = rules.order_types
    return {
        "symbol": rules.symbol,
        "status": rules.status,
        "baseAsset": rules.base_asset,
        "baseAssetPrecision": SCALE_DIGITS,
        "quoteAsset": rules.quote_asset,
        "quotePrecision": SCALE_DIGITS,
        "quoteAssetPrecision": SCALE_DIGITS,
        "baseCommissionPrecision": SCALE_DIGITS,
        "quoteCommissionPrecision": SCALE_DIGITS,
        "orderTypes": types,
        "icebergAllowed": rules.iceberg_allowed,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": "MARKET" in types,
        "allowTrailingStop": rules.trailing_allowed,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": rules.peg_allowed,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": describe_filters(rules),
        "permissions": [],
        "permissionSets": [[SPOT_PERMISSION]] if with_sets else [],
        "defaultSelfTradePreventionMode": rules.default_prevention_mode,
        "allowedSelfTradePreventionModes": rules.prevention_modes,
    }


def describe_filters(rules: SymbolRules) -> list[dict[str, Any]]:
    money = format_money
    listed: list[dict[str, Any]] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": money(rules.min_price),
            "maxPrice": money(rules.max_price),
            "tickSize": money(rules.tick_size),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": money(rules.min_quantity),
            "maxQty": money(rules.max_quantity),
            "stepSize": money(rules.step_size),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": money(rules.min_market_quantity),
            "maxQty": money(rules.max_market_quantity),
            "stepSize": money(rules.market_step_size),
        },
        _percent_price(rules),
        _notional(rules),
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": rules.max_open_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": rules.max_algo_orders},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": rules.max_order_lists},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": rules.max_order_amends},
    ]
    if rules.iceberg_allowed:
        listed.append({"filterType": "ICEBERG_PARTS", "limit": rules.max_iceberg_parts})
        if rules.max_iceberg_orders:
            listed.append({"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": rules.max_iceberg_orders})
    if rules.max_position:
        listed.append({"filterType": "MAX_POSITION", "maxPosition": money(rules.max_position)})
    if rules.trailing_allowed:
        listed.append(
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": rules.min_trailing_above,
                "maxTrailingAboveDelta": rules.max_trailing_above,
                "minTrailingBelowDelta": rules.min_trailing_below,
                "maxTrailingBelowDelta": rules.max_trailing_below,
            }
        )
    return listed


def _percent_price(rules: SymbolRules) -> dict[str, Any]:
    money = format_money
    if not rules.percent_price_by_side:
        return {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": money(rules.bid_multiplier_up),
            "multiplierDown": money(rules.bid_multiplier_down),
            "avgPriceMins": rules.average_price_minutes,
        }
    return {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": money(rules.bid_multiplier_up),
        "bidMultiplierDown": money(rules.bid_multiplier_down),
        "askMultiplierUp": money(rules.ask_multiplier_up),
        "askMultiplierDown": money(rules.ask_multiplier_down),
        "avgPriceMins": rules.average_price_minutes,
    }


def _notional(rules: SymbolRules) -> dict[str, Any]:
    money = format_money
    if not rules.has_max_notional:
        return {
            "filterType": "MIN_NOTIONAL",
            "minNotional": money(rules.min_notional),
            "applyToMarket": rules.apply_min_notional_to_market,
            "avgPriceMins": rules.average_price_minutes,
        }
    return {
        "filterType": "NOTIONAL",
        "minNotional": money(rules.min_notional),
        "applyMinToMarket": rules.apply_min_notional_to_market,
        "maxNotional": money(rules.max_notional),
        "applyMaxToMarket": rules.apply_max_notional_to_market,
        "avgPriceMins": rules.average_price_minutes,
    }
