"""A seeded hour of the live market, through the real spot shard: 3,600 ticks of a second, looked at after each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt
from statistics import fmean, pstdev
from typing import NamedTuple

import pytest

from sparekey.terms.money import ONE
from sparekey.venue.liquidity import Level
from tests.unit.market.listed import daily_volume, listed
from tests.unit.market.live import LiveMarket, middle

HOUR_SECONDS = 3_600
YEAR_SECONDS = 365 * 86_400
MAJORS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
SYMBOLS = tuple(listed())
TRIANGLES = (
    ("ETHBTC", "ETHUSDT", "BTCUSDT"),
    ("BNBBTC", "BNBUSDT", "BTCUSDT"),
    ("LTCBTC", "LTCUSDT", "BTCUSDT"),
    ("XRPETH", "XRPUSDT", "ETHUSDT"),
)
TAKER_FEE = 0.001


class Second(NamedTuple):
    """One symbol after one tick."""

    best_bid: int
    best_ask: int
    levels: int
    bid_usdt: float
    ask_usdt: float
    sizes: list[int]

    @property
    def middle(self) -> float:
        return (self.best_bid + self.best_ask) / 2


def value_near(levels: Sequence[Level], price: float, share: float = 0.005) -> float:
    """In whole units of the quote asset."""
    return sum(at * quantity for at, quantity in levels if abs(at - price) <= share * price) / ONE / ONE


def look(market: LiveMarket, symbol: str, sizes: list[int]) -> Second:
    bids, asks = market.depth(symbol)
    price = middle(bids, asks)
    near = (value_near(bids, price), value_near(asks, price)) if symbol in MAJORS else (0.0, 0.0)
    return Second(bids[0][0], asks[0][0], min(len(bids), len(asks)), *near, sizes)


@pytest.fixture(scope="module")
def hour() -> dict[str, list[Second]]:
    market = LiveMarket()
    seen: dict[str, list[Second]] = {symbol: [] for symbol in SYMBOLS}
    for _ in range(HOUR_SECONDS):
        market.tick()
        sizes: dict[str, list[int]] = {symbol: [] for symbol in SYMBOLS}
        for effect in market.effects:
            sizes[effect.symbol].append(effect.quantity)
        for symbol in SYMBOLS:
            seen[symbol].append(look(market, symbol, sizes[symbol]))
    return seen


def returns(seconds: Sequence[Second], every: int = 1) -> list[float]:
    prices = [second.middle for second in seconds[::every]]
    return [log(after / before) for before, after in pairwise(prices)]


def volatility(found: Sequence[float], seconds_each: int) -> float:
    return sqrt(fmean(r * r for r in found) * YEAR_SECONDS / seconds_each)


def autocorrelation(values: Sequence[float], lag: int) -> float:
    mean = fmean(values)
    away = [value - mean for value in values]
    return sum(a * b for a, b in zip(away, away[lag:], strict=False)) / sum(a * a for a in away)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_at_least_fifty_levels_stand_on_each_side(hour: dict[str, list[Second]], symbol: str) -> None:
    assert min(second.levels for second in hour[symbol]) >= 50


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_spread_is_one_to_three_ticks(hour: dict[str, list[Second]], symbol: str) -> None:
    tick = listed()[symbol].tick_size
    spreads = Counter((second.best_ask - second.best_bid) // tick for second in hour[symbol])
    assert set(spreads) == {1, 2, 3}
    assert spreads[1] > spreads[2] > spreads[3]


@pytest.mark.parametrize("symbol", MAJORS)
def test_two_million_usdt_stand_within_half_a_percent_on_each_side(hour: dict[str, list[Second]], symbol: str) -> None:
    assert min(second.bid_usdt for second in hour[symbol]) >= 2_000_000
    assert min(second.ask_usdt for second in hour[symbol]) >= 2_000_000


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_one_to_twenty_prints_happen_each_second_and_busy_seconds_follow_busy_ones(
    hour: dict[str, list[Second]], symbol: str
) -> None:
    counts = [len(second.sizes) for second in hour[symbol]]
    assert min(counts) >= 1
    assert max(counts) <= 20
    assert 3 < fmean(counts) < 7
    assert autocorrelation(counts, 1) > 3 / sqrt(HOUR_SECONDS)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_sizes_cluster_and_add_up_to_the_catalogues_volume(hour: dict[str, list[Second]], symbol: str) -> None:
    sizes = [size for second in hour[symbol] for size in second.sizes]
    common = sum(count for _, count in Counter(sizes).most_common(20))
    assert common / len(sizes) > 0.2
    assert len(set(sizes)) > 30
    # Many small and a few large ones.
    assert pstdev(sizes) > 0.8 * fmean(sizes)
    assert sorted(sizes)[len(sizes) // 2] < fmean(sizes)
    repeats = sum(a == b for a, b in pairwise(sizes))
    assert repeats / len(sizes) > 0.15
    assert 0.8 < sum(sizes) * 24 / daily_volume(symbol) < 1.25


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_prices_move_by_forty_to_ninety_percent_a_year(hour: dict[str, list[Second]], symbol: str) -> None:
    """By the minute, and by the second where a tick is small against a second's move."""
    assert 0.4 < volatility(returns(hour[symbol], 60), 60) < 0.9
    if symbol in MAJORS:
        assert 0.4 < volatility(returns(hour[symbol]), 1) < 0.9


@pytest.mark.parametrize("symbol", MAJORS)
def test_wild_seconds_follow_wild_seconds(hour: dict[str, list[Second]], symbol: str) -> None:
    squares = [r * r for r in returns(hour[symbol])]
    sizes = [abs(r) for r in returns(hour[symbol])]
    # Without clustering each would be below this with 999 chances in 1,000.
    noise = 3.1 / sqrt(len(squares))
    assert autocorrelation(squares, 1) > noise
    assert autocorrelation(sizes, 1) > noise
    assert fmean(autocorrelation(sizes, lag) for lag in range(1, 31)) > noise
    # Directions are no guide: the market cannot be predicted that way.
    assert abs(autocorrelation(returns(hour[symbol]), 1)) < 2 * noise


@pytest.mark.parametrize(("cross", "base", "quote"), TRIANGLES)
def test_triangles_agree_within_twice_the_taker_fee(
    hour: dict[str, list[Second]], cross: str, base: str, quote: str
) -> None:
    for crossed, based, quoted in zip(hour[cross], hour[base], hour[quote], strict=True):
        implied = based.middle / quoted.middle
        assert abs(crossed.middle / ONE / implied - 1) < 2 * TAKER_FEE


def test_nobody_gains_by_going_round_a_triangle(hour: dict[str, list[Second]]) -> None:
    """USDT to base to quote to USDT and back the other way, at the best prices, each step with its fee."""
    kept = (1 - TAKER_FEE) ** 3
    for cross, base, quote in (*TRIANGLES, ("ADABTC", "ADAUSDT", "BTCUSDT")):
        for crossed, based, quoted in zip(hour[cross], hour[base], hour[quote], strict=True):
            assert crossed.best_bid / ONE * quoted.best_bid / based.best_ask * kept < 1
            assert based.best_bid / (quoted.best_ask * crossed.best_ask / ONE) * kept < 1


@pytest.mark.parametrize("symbol", MAJORS)
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_the_market_recovers_within_ten_seconds_from_an_order_of_100_000_usdt(symbol: str, side: str) -> None:
    """Against the same seeded market without the order: what remains is the lasting impact, two basis points."""
    market, untouched = LiveMarket(), LiveMarket()
    market.fund(USDT="1000000", **{listed()[symbol].base_asset: "2000"})
    for _ in range(30):
        market.tick()
        untouched.tick()
    bids, asks = market.depth(symbol)
    before = middle(bids, asks)
    events = market.order(symbol, side, "MARKET", quote_quantity="100000")
    spent = sum(event.quote_quantity for event in events if type(event).__name__ == "Filled") / ONE
    assert spent == pytest.approx(100_000, rel=0.001)
    hit = middle(*market.depth(symbol))
    assert hit > before if side == "BUY" else hit < before
    for _ in range(10):
        market.tick()
        untouched.tick()
    bids, asks = market.depth(symbol)
    assert (asks[0][0] - bids[0][0]) // listed()[symbol].tick_size <= 3
    assert value_near(bids, middle(bids, asks)) >= 2_000_000
    assert value_near(asks, middle(bids, asks)) >= 2_000_000
    moved = middle(bids, asks) / middle(*untouched.depth(symbol)) - 1
    assert (1e-4 if side == "BUY" else -3e-4) < moved < (3e-4 if side == "BUY" else -1e-4)
