"""The catalogue that Sparekey ships, and markets opened on it, for tests of this room."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import sparekey.venue
from sparekey.market.opening import compose_opening
from sparekey.venue.catalogue import Catalogue, parse_catalogue
from sparekey.venue.commands import OpenMarket
from sparekey.venue.events import MarketOpened
from sparekey.venue.listing import SymbolRules

#: In the middle of a day, an hour, a minute and a second.
BIRTH_US = 1_700_000_123_456_789
SEED = 42


@cache
def catalogue() -> Catalogue:
    folder = Path(sparekey.venue.__file__).parent
    return parse_catalogue((folder / "catalogue.toml").read_text())


@cache
def listed() -> Mapping[str, SymbolRules]:
    return {rules.symbol: rules for rules in catalogue().symbols}


def rules_of(symbol: str) -> SymbolRules | None:
    return listed().get(symbol)


def daily_volume(symbol: str) -> int:
    return next(anchor.daily_volume for anchor in catalogue().anchors if anchor.symbol == symbol)


def opening(seed: int = SEED, birth_us: int = BIRTH_US, recorded: Mapping[str, int] | None = None) -> OpenMarket:
    return compose_opening(seed, catalogue().anchors, rules_of, birth_us, recorded)


def opened(seed: int = SEED, birth_us: int = BIRTH_US, recorded: Mapping[str, int] | None = None) -> MarketOpened:
    command = opening(seed, birth_us, recorded)
    return MarketOpened(command.program, command.seed, command.symbols, command.birth_us)
