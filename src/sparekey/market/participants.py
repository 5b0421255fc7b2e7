"""Who else trades: seeded participants as a program whose whole state is a few integers per symbol.

Once a tick the program moves each asset's fair price, quotes a ladder around each symbol's fair price, and sends a
handful of takers. Nothing is stored but the integers below: the ladder is a pure function of them, so a tick costs a
few bytes of journal however many levels it moves. What trades with real accounts, and every print, is an event.

Calibration (units in the names): returns have a common factor and a variance that wanders and reverts, which gives
clustered volatility around 60 % a year; quotes stand on price grids that widen with the distance, so that far levels
stay where they are while near ones follow the price; taker sizes cluster around round numbers and repeat.
"""

from __future__ import annotations

from math import isqrt

import msgspec

from sparekey.market.prng import next_random
from sparekey.terms.clocktime import SECOND_US
from sparekey.terms.money import ONE

#: Version of the ladder and flow functions. A change that makes them give other numbers adds a new version and keeps
#: the old one, because journals written by the old one are applied with it.
PROGRAM = 1

#: Fair prices carry this many extra units per 1e-8, so that small shocks are not lost to truncation.
FINE = 1_000_000

#: Standard deviation of one second's return, in 1e-9; with the variance as it wanders below, about 60 % a year.
SIGMA_PER_SECOND_E9 = 94_000
#: Shares of variance: squares of the factor loadings add up to one (0.7**2 + 0.714**2), in 1e-3.
MARKET_LOADING_E3 = 700
OWN_LOADING_E3 = 714
#: The variance multiplier reverts to one with a mean life of about 150 ticks, and stays within these bounds.
VARIANCE_ONE = 1_000_000
VARIANCE_REVERSION = 150
VARIANCE_NOISE_E6 = 110_000
VARIANCE_MIN, VARIANCE_MAX = 150_000, 3_000_000
#: Sum of four 16-bit uniforms: its mean and its standard deviation.
_SUM_MEAN = 131_070
_SUM_DEVIATION = 37_837

LEVELS_A_SIDE = 64
#: Contiguous ticks at the touch, before the grid widens.
NEAR_LEVELS = 8
#: The farthest quotes stand this share of the price away, in 1e-4.
REACH_E4 = 200
#: Quoted value of the level at the touch, in USDT; it grows by a sixth of itself per level outwards.
TOUCH_VALUE_USDT = 14_000
CROSS_TOUCH_VALUE_USDT = 5_000
GROWTH_LEVELS = 6

#: Mean prints per second and symbol; the catalogue's daily volume is spread over them.
PRINTS_PER_SECOND = 4
MAX_PRINTS_PER_TICK = 20
#: A net 100,000 USDT taken by real accounts moves the fair price by two basis points for good: 1e-9 per USDT.
IMPACT_E9_PER_USDT = 2


class AssetMarket(msgspec.Struct):
    """An asset's fair price in USDT, in 1e-8 * FINE units, and its variance multiplier in 1e-6."""

    asset: str
    fair: int
    variance: int = VARIANCE_ONE


class SymbolMarket(msgspec.Struct):
    """What the program remembers of a symbol. `mean_size` is a taker's mean quantity, in 1e-8 of the base asset."""

    symbol: str
    base_asset: str
    quote_asset: str
    tick: int
    step: int
    min_quantity: int
    mean_size: int
    fair: int = 0
    spread_ticks: int = 1
    salt: int = 0
    heat: int = 0
    last_size: int = 0
    trend: int = 0


class Quoted(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="Quoted", tag_field="kind"):
    """The participants' new quotes on a symbol: applying it replaces the ladder by `ladder(...)` of these numbers."""

    symbol: str
    program: int
    fair: int
    spread_ticks: int
    salt: int
    heat: int
    last_size: int
    trend: int


class FairPricesMoved(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="FairPricesMoved", tag_field="kind"):
    """All assets' fair prices after a tick, in the order of the program's assets, and the generator's state."""

    random_state: int
    fairs: tuple[int, ...]
    variances: tuple[int, ...]


class Taker(msgspec.Struct, frozen=True, gc=False):
    """A participant's taker order: fills at the touch and, if larger, a few levels behind it."""

    is_buy: bool
    quantity: int


def draw_shock(state: int) -> tuple[int, int]:
    """Next generator state and a draw with mean 0 and standard deviation 1,000,000 (a sum of four uniforms)."""
    state, bits = next_random(state)
    total = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48 & 0xFFFF)
    return state, (total - _SUM_MEAN) * 1_000_000 // _SUM_DEVIATION


def decide_fair_prices(
    state: int, assets: list[AssetMarket], elapsed_us: int, pressure: dict[str, int]
) -> FairPricesMoved:
    """Move every asset's fair price by `elapsed_us` of random walk and by what real accounts pressed (USDT, 1e-8)."""
    root_seconds_e3 = isqrt(elapsed_us * 1_000_000 // SECOND_US) or 1
    state, market_shock = draw_shock(state)
    fairs: list[int] = []
    variances: list[int] = []
    for asset in assets:
        state, own_shock = draw_shock(state)
        state, variance_shock = draw_shock(state)
        pull = (VARIANCE_ONE - asset.variance) // VARIANCE_REVERSION
        variance = asset.variance + pull + VARIANCE_NOISE_E6 * variance_shock // 1_000_000
        variance = min(max(variance, VARIANCE_MIN), VARIANCE_MAX)
        shock_e6 = (MARKET_LOADING_E3 * market_shock + OWN_LOADING_E3 * own_shock) // 1000
        # sqrt(variance in 1e-6) is in 1e-3; sqrt(seconds) as well.
        sigma_e9 = SIGMA_PER_SECOND_E9 * isqrt(variance) // 1000 * root_seconds_e3 // 1000
        moved_e9 = sigma_e9 * shock_e6 // 1_000_000 + pressure.get(asset.asset, 0) * IMPACT_E9_PER_USDT // ONE
        moved_e9 = min(max(moved_e9, -50_000_000), 50_000_000)
        fairs.append(max(asset.fair + asset.fair * moved_e9 // 1_000_000_000, FINE))
        variances.append(variance)
    return FairPricesMoved(state, tuple(fairs), tuple(variances))


def fair_of_symbol(base_fair: int, quote_fair: int) -> int:
    """Fair price of base in quote, in 1e-8 * FINE units, from both assets' USDT prices in the same units."""
    return base_fair * ONE * FINE // quote_fair


def decide_quotes(state: int, market: SymbolMarket, fair: int) -> tuple[int, Quoted]:
    """New spread and salt for a symbol whose fair price is `fair`."""
    state, bits = next_random(state)
    # The spread lingers: one time in eight it is drawn anew, mostly one tick, seldom three.
    spread = market.spread_ticks
    if bits & 7 == 0:
        spread = 1 + (bits >> 8) % 100 // 62 + (bits >> 8) % 100 // 90
    # Far levels keep their quantities while the salt stays; a thirtieth of the ticks draws a new one.
    salt = bits >> 32 if (bits >> 16) % 30 == 0 or market.salt == 0 else market.salt
    heat = market.heat * 7 // 8 + (bits >> 20) % 100
    trend = 1 if fair > market.fair else -1 if fair < market.fair else 0
    return state, Quoted(market.symbol, PROGRAM, fair, spread, salt, heat, market.last_size, trend)


def ladder(
    market: SymbolMarket, quote_usdt_fair: int, seed: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Bids and asks, best first, as (price, quantity): a pure function of the symbol's few integers."""
    tick = market.tick
    width = market.spread_ticks * tick
    best_bid = (market.fair - width * FINE // 2) // (tick * FINE) * tick
    best_bid = max(best_bid, tick)
    bids = _side(market, best_bid, -1, quote_usdt_fair, seed)
    asks = _side(market, best_bid + width, 1, quote_usdt_fair, seed)
    return bids, asks


def _side(market: SymbolMarket, best: int, direction: int, quote_usdt_fair: int, seed: int) -> list[tuple[int, int]]:
    tick, step = market.tick, market.step
    touch_usdt = TOUCH_VALUE_USDT if market.quote_asset == "USDT" else CROSS_TOUCH_VALUE_USDT
    # Quantity at the touch: value / price, both in quote units. quote_usdt_fair is USDT per quote asset (1e-8 * FINE).
    touch_quantity = touch_usdt * ONE * FINE * ONE // quote_usdt_fair * ONE // best
    reach = max(best * REACH_E4 // 10_000, LEVELS_A_SIDE * tick)
    levels: list[tuple[int, int]] = []
    salt = market.salt ^ seed
    price = best
    for index in range(LEVELS_A_SIDE):
        if index >= NEAR_LEVELS:
            # Offsets grow as the fourth power of the level's number; grids are powers of ten of the tick.
            rank = index - NEAR_LEVELS + 1
            offset = reach * rank**4 // (LEVELS_A_SIDE - NEAR_LEVELS) ** 4 + NEAR_LEVELS * tick
            grid = tick
            while grid * 80 <= offset:
                grid *= 10
            target = best + direction * offset
            # Away from the touch, so that a level on the grid stays put while the touch moves.
            target = target // grid * grid if direction < 0 else -(-target // grid) * grid
            price = min(price - tick, target) if direction < 0 else max(price + tick, target)
        elif index:
            price += direction * tick
        if price <= 0:
            break
        # One multiplication as a hash: prices are small ints, the salt already is well mixed.
        noise = ((price ^ salt) * 0x9E3779B97F4A7C15 >> 40) % 1000
        quantity = touch_quantity * (GROWTH_LEVELS + index) // GROWTH_LEVELS * (400 + noise * 6 // 5) // 1000
        levels.append((price, max(quantity // step * step, market.min_quantity, step)))
    return levels


def decide_takers(state: int, market: SymbolMarket, elapsed_us: int) -> tuple[int, list[Taker], int]:
    """The tick's taker orders, 1 to 20, and the size that the next ones may repeat.

    A long tick (an idle venue) has few prints that carry the volume of all the seconds it stands for.
    """
    state, bits = next_random(state)
    seconds = max(elapsed_us // SECOND_US, 1)
    if seconds <= 2:
        # `heat` is a decaying sum of draws (mean 400): busy seconds follow busy seconds.
        count = 1 + (bits % 1000) * market.heat * 2 * PRINTS_PER_SECOND // 400_000
        swell = 1
    else:
        count = 1 + bits % 2
        swell = max(seconds * PRINTS_PER_SECOND // (count * 2), 1)
    takers: list[Taker] = []
    last_size = market.last_size
    for _ in range(min(count, MAX_PRINTS_PER_TICK)):
        state, draw = next_random(state)
        kind = draw % 100
        if kind < 30 and last_size:
            size = last_size
        elif kind < 90:
            # Roughly exponential: the mean times 0, 1/8, ... by the count of trailing zero bits.
            zeros = ((draw >> 8 & 0xFFF) | 0x1000) & -((draw >> 8 & 0xFFF) | 0x1000)
            size = market.mean_size * zeros.bit_length() * ((draw >> 24) % 100 + 20) // 160
        else:
            size = market.mean_size * (3 + (draw >> 24) % 5)
        size = _rounded(max(size, market.min_quantity), market.step)
        last_size = size
        # A rising fair price draws buyers: 60 to 40.
        is_buy = (draw >> 40) % 100 < 50 + 10 * market.trend
        takers.append(Taker(is_buy, max(size * swell, market.min_quantity)))
    return state, takers, last_size


def _rounded(size: int, step: int) -> int:
    """Two leading digits, as people type sizes, on the lot step."""
    unit = step
    while unit * 100 <= size:
        unit *= 10
    return max(size // unit * unit, step)
