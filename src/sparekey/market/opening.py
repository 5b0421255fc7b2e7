"""How a market opens: prices out of the catalogue's anchors and of recordings, and the past behind each symbol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sparekey.market.history import History
from sparekey.market.participants import AT_PAR, PROGRAM
from sparekey.terms.money import ONE
from sparekey.terms.rounding import floor_to_step
from sparekey.venue.catalogue import Anchor
from sparekey.venue.commands import OpenMarket
from sparekey.venue.events import MarketOpened, OpenedSymbol
from sparekey.venue.listing import SymbolRules

#: What a msgpack integer holds.
_MAX_SEED = 2**64 - 1

RulesOf = Callable[[str], SymbolRules | None]


def compose_opening(
    seed: int, anchors: Sequence[Anchor], rules_of: RulesOf, birth_us: int, recorded: Mapping[str, int] | None = None
) -> OpenMarket:
    """The command that opens a market at `birth_us`, now.

    `recorded`: the first price of each symbol whose prints come from a recording. Raises ValueError for a seed that is
    too large, a symbol that is not listed, or a price that nothing tells.
    """
    if not 0 <= seed <= _MAX_SEED:
        raise ValueError(f"the market's seed must be a whole number from 0 to {_MAX_SEED}")
    recorded = recorded or {}
    rules = {anchor.symbol: _listed(anchor.symbol, rules_of) for anchor in anchors}
    for symbol in recorded:
        if symbol not in rules:
            raise ValueError(f"there is a recording of {symbol}, which this venue does not list")
    prices = {anchor.symbol: recorded.get(anchor.symbol, anchor.price) for anchor in anchors}
    _value_by_recordings(recorded, rules, prices)
    opened = []
    for anchor in anchors:
        own = rules[anchor.symbol]
        price = floor_to_step(prices[anchor.symbol] or _cross_price(own, rules, prices), own.tick_size)
        if price <= 0:
            raise ValueError(f"the catalogue tells no price for {anchor.symbol}")
        past = History(seed, own, price, anchor.daily_volume, birth_us)
        opened.append(
            OpenedSymbol(
                anchor.symbol, price, anchor.daily_volume, past.first_trade_id, recorded=anchor.symbol in recorded
            )
        )
    return OpenMarket(PROGRAM, seed, tuple(opened), birth_us)


def histories_of(opened: MarketOpened, rules_of: RulesOf) -> dict[str, History]:
    """The past of every symbol of a market, as it was when the market opened."""
    return {
        symbol.symbol: History(
            opened.seed, _listed(symbol.symbol, rules_of), symbol.price, symbol.daily_volume, opened.birth_us
        )
        for symbol in opened.symbols
    }


def _listed(symbol: str, rules_of: RulesOf) -> SymbolRules:
    rules = rules_of(symbol)
    if rules is None:
        raise ValueError(f"the market's symbol {symbol} is not listed")
    return rules


def _value_by_recordings(recorded: Mapping[str, int], rules: Mapping[str, SymbolRules], prices: dict[str, int]) -> None:
    """A recorded cross tells what its base asset is worth; its USDT symbol opens there, so that the triangle holds."""
    usdt = {listed.base_asset: symbol for symbol, listed in rules.items() if listed.quote_asset == "USDT"}
    for symbol, price in recorded.items():
        base, quote = usdt.get(rules[symbol].base_asset), usdt.get(rules[symbol].quote_asset)
        if base is not None and quote is not None and base not in recorded:
            prices[base] = price * prices[quote] // ONE


def _cross_price(own: SymbolRules, rules: Mapping[str, SymbolRules], prices: Mapping[str, int]) -> int:
    """Price of a cross from its assets' USDT prices, to the nearest tick; 0 if they tell none."""
    base = quote = 0
    for symbol, listed in rules.items():
        if listed.quote_asset == "USDT" and prices[symbol]:
            if listed.base_asset == own.base_asset:
                base = prices[symbol]
            elif listed.base_asset == own.quote_asset:
                quote = prices[symbol]
    if own.quote_asset in AT_PAR:
        quote = ONE
    return base * ONE // quote + own.tick_size // 2 if base and quote else 0
