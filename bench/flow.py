"""A flow of orders that trades for ever without the book growing: every sell finds its buy, what rests is cancelled.

Half of the accounts sell and half buy, so that nobody meets himself; quantities come in pairs, so that nothing is left.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

#: Symbol, price and the tick in 1e-8 units, a quantity step of about 100 USDT; the prices of the shipped catalogue.
_ONE = 10**8


class Listed(NamedTuple):
    symbol: str
    price: int
    tick: int
    step: int


LISTED = (
    Listed("BTCUSDT", 60_000 * _ONE, _ONE // 100, 100_000),
    Listed("ETHUSDT", 3_000 * _ONE, _ONE // 100, 3_000_000),
    Listed("BNBUSDT", 600 * _ONE, _ONE // 100, 15_000_000),
    Listed("LTCUSDT", 80 * _ONE, _ONE // 100, 100_000_000),
    Listed("XRPUSDT", _ONE, _ONE // 10_000, 10_000_000_000),
    Listed("ADAUSDT", _ONE // 2, _ONE // 10_000, 20_000_000_000),
)


class Placement(NamedTuple):
    """A LIMIT order, GTC. `account` is a number from 0; amounts in 1e-8 units."""

    account: int
    symbol: str
    side: str
    quantity: int
    price: int


def pairs(accounts: int, seed: int) -> Iterator[Placement]:
    """A sell at or below the middle, a buy at or above it: whichever comes first rests, the other one takes it."""
    chance = random.Random(seed)
    half = accounts // 2
    number = 0
    while True:
        listed = LISTED[number % len(LISTED)]
        number += 1
        quantity = listed.step * chance.randrange(1, 6)
        below, above = (listed.tick * chance.randrange(0, 10) for _ in range(2))
        yield Placement(chance.randrange(half), listed.symbol, "SELL", quantity, listed.price - below)
        yield Placement(half + chance.randrange(half), listed.symbol, "BUY", quantity, listed.price + above)


def resting(accounts: int, seed: int) -> Iterator[Placement]:
    """Orders that nobody takes, on both sides of the middle."""
    chance = random.Random(seed)
    number = 0
    while True:
        listed = LISTED[number % len(LISTED)]
        number += 1
        away = listed.tick * chance.randrange(20, 120)
        side, price = ("SELL", listed.price + away) if number & 1 else ("BUY", listed.price - away)
        yield Placement(chance.randrange(accounts), listed.symbol, side, listed.step, price)


def money(amount: int) -> str:
    """As a client spells it."""
    return f"{amount // _ONE}.{amount % _ONE:08d}"
