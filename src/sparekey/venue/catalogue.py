"""The catalogue of a fresh venue: TOML text to listing records and market anchors. Pure: no file is read."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec

from sparekey.terms.money import parse_money
from sparekey.venue.listing import AssetRules, NetworkRules, PriceRange, SymbolRules

#: PERCENT_PRICE_BY_SIDE of most live spot symbols: five times up, a fifth down.
_MULTIPLIER_UP = "5"
_MULTIPLIER_DOWN = "0.2"
#: TRAILING_DELTA of live spot symbols, in basis points.
_MIN_TRAILING, _MAX_TRAILING = 10, 2_000


class Anchor(msgspec.Struct, frozen=True, gc=False):
    """Where a simulated market starts: `price` 0 means "derived from its assets' USDT prices". 1e-8 units."""

    symbol: str
    price: int
    daily_volume: int


class Catalogue(msgspec.Struct, frozen=True):
    assets: tuple[AssetRules, ...]
    symbols: tuple[SymbolRules, ...]
    anchors: tuple[Anchor, ...]


def parse_catalogue(text: str) -> Catalogue:
    """TOML text → catalogue. Raises ValueError or KeyError, naming what is wrong."""
    document = tomllib.loads(text)
    symbols = document["symbol"]
    return Catalogue(
        assets=tuple(_asset(row) for row in document["asset"]),
        symbols=tuple(_symbol(row) for row in symbols),
        anchors=tuple(
            Anchor(row["symbol"], parse_money(row.get("anchor_price", "0")), parse_money(row["daily_volume"]))
            for row in symbols
        ),
    )


def _asset(row: dict[str, Any]) -> AssetRules:
    return AssetRules(
        asset=row["asset"],
        name=row["name"],
        is_legal_money=row.get("is_legal_money", False),
        networks=tuple(
            NetworkRules(
                network=network["network"],
                name=network["name"],
                withdraw_fee=parse_money(network["withdraw_fee"]),
                withdraw_min=parse_money(network["withdraw_min"]),
                withdraw_max=parse_money(network["withdraw_max"]),
                address_regex=network["address_regex"],
                confirmations=network["confirmations"],
            )
            for network in row.get("network", ())
        ),
        max_order=parse_money(row.get("max_order", "0")),
    )


def _symbol(row: dict[str, Any]) -> SymbolRules:
    up, down = parse_money(_MULTIPLIER_UP), parse_money(_MULTIPLIER_DOWN)
    return SymbolRules(
        symbol=row["symbol"],
        base_asset=row["base_asset"],
        quote_asset=row["quote_asset"],
        tick_size=parse_money(row["tick_size"]),
        step_size=parse_money(row["step_size"]),
        min_price=parse_money(row["min_price"]),
        max_price=parse_money(row["max_price"]),
        min_quantity=parse_money(row["min_quantity"]),
        max_quantity=parse_money(row["max_quantity"]),
        max_market_quantity=parse_money(row["max_market_quantity"]),
        min_notional=parse_money(row["min_notional"]),
        max_notional=parse_money(row["max_notional"]),
        bid_multiplier_up=up,
        bid_multiplier_down=down,
        ask_multiplier_up=up,
        ask_multiplier_down=down,
        reference_buckets=row.get("reference_buckets", 0),
        peg_allowed=True,
        iceberg_allowed=True,
        trailing_allowed=True,
        min_trailing_above=_MIN_TRAILING,
        max_trailing_above=_MAX_TRAILING,
        min_trailing_below=_MIN_TRAILING,
        max_trailing_below=_MAX_TRAILING,
        price_range=_price_range(row),
        max_iceberg_orders=row.get("max_iceberg_orders", 0),
        max_position=parse_money(row.get("max_position", "0")),
        routed=row.get("routed", False),
    )


def _price_range(row: dict[str, Any]) -> PriceRange | None:
    bounds = row.get("price_range")
    if bounds is None:
        return None
    return PriceRange(*(parse_money(bounds.get(name, "0")) for name in ("bid_up", "bid_down", "ask_up", "ask_down")))
