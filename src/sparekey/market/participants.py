"""Who else trades: seeded participants as a program whose whole memory is a few integers per symbol.

Once a tick the program moves each asset's fair price, quotes a ladder around each symbol's fair price, and sends a
handful of takers. Nothing is stored but the integers below: the ladders are a pure function of them, so a tick costs
a few hundred bytes of journal however many levels it moves. What trades, and every print, is an event of the venue.

Calibration (units in the names): returns have a common factor and a variance that wanders and reverts, which gives
clustered volatility around 60 % a year; prices of crosses follow from those of their assets, so triangles hold; quotes
stand on price grids that widen with the distance, so that far levels stay where they are while near ones follow the
price; taker sizes cluster around round numbers and repeat, and busy seconds follow busy seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import isqrt
from typing import Any

import msgspec
from msgspec.structs import astuple

from sparekey.market.prng import mix, next_random, seed_of, shock_e6
from sparekey.terms.clocktime import SECOND_US
from sparekey.terms.money import ONE
from sparekey.terms.rounding import floor_to_step, notional
from sparekey.venue.events import Event, MarketOpened, OpenedSymbol
from sparekey.venue.liquidity import Level, Taker
from sparekey.venue.listing import SymbolRules

#: Version of the program. A change that makes it draw or quote other numbers adds a new version and keeps the old one,
#: because journals written by the old one are applied with it.
PROGRAM = 1

#: The asset that others are valued in; its own price is one.
MEASURE = "USDT"
#: Assets that stay worth exactly one of it: no symbol moves their price.
AT_PAR = frozenset((MEASURE, "USDC"))
#: Fair prices carry this many extra units per 1e-8, so that small shocks are not lost to truncation.
FINE = 10_000
_MEASURE_FAIR = ONE * FINE
_MAX_FAIR = 2**62
_MAX_PRESSURE = 2**62

#: Standard deviation of one second's return at variance one, in 1e-9: 53 % a year (31.5 million
#: seconds); the variance's mean is above one, which makes it about 60.
SIGMA_PER_SECOND_E9 = 95_000
#: Shares of a shock that all assets have in common and that each has alone: 0.7**2 + 0.714**2 = 1. In 1e-3.
MARKET_LOADING_E3 = 700
OWN_LOADING_E3 = 714
#: The variance multiplier reverts to one with a mean life of about 150 seconds, and stays within these bounds.
VARIANCE_ONE = 1_000_000
VARIANCE_REVERSION_SECONDS = 150
VARIANCE_NOISE_E6 = 110_000
VARIANCE_MIN, VARIANCE_MAX = 150_000, 3_000_000
#: No single tick moves a fair price by more than this, in 1e-9, whatever was taken or however long it lasted.
MAX_MOVE_E9 = 300_000_000
#: A net 100,000 USDT taken by accounts moves the fair price by two basis points for good: in 1e-9 per USDT.
IMPACT_E9_PER_USDT = 2

#: Takers leave at most this many ticks between the quotes.
WIDEST_SPREAD_TICKS = 3
LEVELS_A_SIDE = 64
#: Contiguous ticks at the touch, before the grid widens.
NEAR_LEVELS = 8
#: The farthest quotes stand this share of the price away, in 1e-4.
REACH_E4 = 200
#: Quoted value of the level at the touch: this share of the value that trades in a day, within bounds, in USDT. It
#: grows by a sixth of itself per level outwards.
TOUCH_SHARE_OF_DAY = 5_000
TOUCH_MIN_USDT, TOUCH_MAX_USDT = 4_000, 30_000
GROWTH_LEVELS = 6
_SALT_MASK = 0xFFFF

#: What the catalogue's daily volume is divided by for the mean size of a taker: about 4.8 takers a second, and the
#: distribution of `_draw_size` has a mean of about 1.3.
TAKERS_PER_DAY = 536_000
MAX_PRINTS_PER_TICK = 20
#: Sizes and counts of a tick up to this long are those of a second; longer ones have one or two prints.
BUSY_TICK_US = 3 * SECOND_US
#: `heat` decays by an eighth a tick and gains a little, and one time in sixteen a lot: its mean is about 400.
_HEAT_MEAN = 400
_HEAT_GAIN = 20
_HEAT_BURST = 960
_HEAT_UNIT = 100_000


class SymbolMoved(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a tick leaves of one symbol. Fields are only ever appended."""

    spread_ticks: int
    salt: int
    heat: int
    last_size: int
    trend: int


class MarketMoved(Event, frozen=True):
    """A tick of the participants: everything that they remember afterwards, in the order of assets and symbols."""

    random_state: int
    fairs: tuple[int, ...]
    variances: tuple[int, ...]
    symbols: tuple[SymbolMoved, ...]


class Requoted(Event, frozen=True):
    """Quotes of a recorded symbol stand around `fair` (1e-8 * FINE units) from now on.

    `asset_fair` is what its base asset is now worth in the measure, 0 if the symbol does not tell.
    """

    symbol: str
    fair: int
    asset_fair: int


class Released(Event, frozen=True):
    """A symbol's recording is over: ticks move it from now on, and its base asset starts from `asset_fair`."""

    symbol: str
    asset_fair: int


class _Asset(msgspec.Struct):
    """Fair price in 1e-8 * FINE units of the measure, and the variance multiplier in 1e-6.

    `recorded`: the price comes from recorded prints, so that ticks leave it alone.
    """

    asset: str
    fair: int
    variance: int = VARIANCE_ONE
    recorded: bool = False


class _Symbol(msgspec.Struct):
    """`mean_size` in 1e-8 of the base asset; `touch_usdt` in whole USDT; `fair` is kept for recorded symbols only."""

    symbol: str
    recorded: bool
    mean_size: int
    touch_usdt: int
    fair: int = 0
    spread_ticks: int = 1
    salt: int = 0
    heat: int = _HEAT_MEAN
    last_size: int = 0
    trend: int = 0


#: Everything that a ladder depends on: fair price in ticks * FINE, spread, salt, quantity at the touch.
_LadderKey = tuple[int, int, int, int]


class SeededParticipants:
    """The program and its memory; implements `venue.liquidity.Participants`.

    `rules_of` tells a listed symbol's rules; asked when the market opens and after a load, never in between.
    """

    event_types: tuple[type, ...] = (MarketMoved, Requoted, Released)

    def __init__(self, rules_of: Callable[[str], SymbolRules | None]) -> None:
        self._rules_of = rules_of
        #: How the market was opened: where the past before it begins from.
        self.opened: MarketOpened | None = None
        self._seed = 0
        self._random = 0
        self._assets: list[_Asset] = []
        self._symbols: dict[str, _Symbol] = {}
        #: Net USDT (1e-8) that accounts took of an asset since the last tick; what they sold counts negative.
        self._pressure: dict[str, int] = {}
        # Not memory, but what follows from it:
        self._rules: dict[str, SymbolRules] = {}
        self._asset_of: dict[str, _Asset] = {}
        self._ladders: dict[str, tuple[_LadderKey, list[Level], list[Level]]] = {}

    # --- the market opens --------------------------------------------------------------------------------------------

    def apply_opened(self, event: MarketOpened) -> None:
        """Raises ValueError for a program that this version does not know, or a symbol that is not listed."""
        _check_program(event.program)
        self.opened = event
        self._seed = seed_of(event.seed, "participants")
        self._random = seed_of(event.seed, "ticks")
        self._pressure = {}
        self._ladders = {}
        self._rules = {opened.symbol: self._rules_for(opened.symbol) for opened in event.symbols}
        self._assets = _priced_assets(
            [(self._rules[opened.symbol], opened.price, opened.recorded) for opened in event.symbols]
        )
        self._asset_of = {asset.asset: asset for asset in self._assets}
        self._symbols = {}
        for opened in event.symbols:
            rules = self._rules[opened.symbol]
            day_usdt = notional(opened.price, opened.daily_volume) * self._worth(rules.quote_asset) // FINE // ONE
            touch_usdt = day_usdt // ONE // TOUCH_SHARE_OF_DAY
            self._symbols[opened.symbol] = _Symbol(
                opened.symbol,
                opened.recorded,
                mean_size=max(opened.daily_volume // TAKERS_PER_DAY, rules.min_quantity, 1),
                touch_usdt=min(max(touch_usdt, TOUCH_MIN_USDT), TOUCH_MAX_USDT),
                fair=opened.price * FINE if opened.recorded else 0,
                salt=seed_of(event.seed, opened.symbol) & _SALT_MASK,
            )

    def _rules_for(self, symbol: str) -> SymbolRules:
        rules = self._rules_of(symbol)
        if rules is None:
            raise ValueError(f"the market opens with the symbol {symbol}, which is not listed")
        return rules

    def _worth(self, asset: str) -> int:
        return _MEASURE_FAIR if asset == MEASURE else self._asset_of[asset].fair

    # --- quotes ------------------------------------------------------------------------------------------------------

    def bids(self, symbol: str) -> Sequence[Level]:
        return self._present_ladder(symbol)[1] if symbol in self._symbols else ()

    def asks(self, symbol: str) -> Sequence[Level]:
        return self._present_ladder(symbol)[2] if symbol in self._symbols else ()

    def _present_ladder(self, symbol: str) -> tuple[_LadderKey, list[Level], list[Level]]:
        known = self._ladders.get(symbol)
        if known is None:
            market, rules = self._symbols[symbol], self._rules[symbol]
            worth = self._worth
            fair = market.fair or _fair_of(worth(rules.base_asset), worth(rules.quote_asset))
            known = self._ladder(market, fair, worth(rules.quote_asset), market.spread_ticks, market.salt)
        return known

    def _ladder(
        self, market: _Symbol, fair: int, quote_worth: int, spread_ticks: int, salt: int
    ) -> tuple[_LadderKey, list[Level], list[Level]]:
        """Remembered until the next tick; the same integers always give the same ladder."""
        rules = self._rules[market.symbol]
        # Quantity worth `touch_usdt`, to two digits, so that it changes seldom.
        touch = _two_digits(market.touch_usdt * ONE * FINE * ONE // quote_worth * FINE * ONE // fair, 1)
        key = (fair // rules.tick_size, spread_ticks, salt, touch)
        known = self._ladders.get(market.symbol)
        if known is None or known[0] != key:
            known = (key, *ladder(rules, key, self._seed))
            self._ladders[market.symbol] = known
        return known

    # --- a tick ------------------------------------------------------------------------------------------------------

    def decide_tick(self, elapsed_us: int) -> tuple[MarketMoved, Mapping[str, Sequence[Taker]]]:
        self._ladders, before = {}, self._ladders
        state, fairs, variances = self._decide_fairs(max(elapsed_us, 1))
        worth = {asset.asset: fair for asset, fair in zip(self._assets, fairs, strict=True)}
        worth[MEASURE] = _MEASURE_FAIR
        moved: list[SymbolMoved] = []
        takers: dict[str, Sequence[Taker]] = {}
        for market in self._symbols.values():
            if market.recorded:
                moved.append(SymbolMoved(market.spread_ticks, market.salt, market.heat, market.last_size, market.trend))
                continue
            rules = self._rules[market.symbol]
            fair = _fair_of(worth[rules.base_asset], worth[rules.quote_asset])
            was = _fair_of(self._worth(rules.base_asset), self._worth(rules.quote_asset))
            trend = 1 if fair > was else -1 if fair < was else 0
            state, spread, salt, heat = _decide_quotes(state, market)
            _, bids, asks = self._ladder(market, fair, worth[rules.quote_asset], spread, salt)
            state, acting, last_size = _decide_takers(state, market, rules, elapsed_us, spread, heat, trend, bids, asks)
            takers[market.symbol] = acting
            moved.append(SymbolMoved(spread, salt, heat, last_size, trend))
        # Deciding changes nothing: the ladders stay those of the last event applied until this one is.
        self._decided, self._ladders = self._ladders, before
        event = MarketMoved(state, tuple(fairs), tuple(variances), tuple(moved))
        self._decided_event = event
        return event, takers

    #: Ladders of the tick decided last, so that applying it need not build them again.
    _decided: dict[str, tuple[_LadderKey, list[Level], list[Level]]]
    _decided_event: MarketMoved | None = None

    def _decide_fairs(self, elapsed_us: int) -> tuple[int, list[int], list[int]]:
        """Move every asset's fair price by a random walk of `elapsed_us` and by what accounts pressed."""
        root_seconds_e3 = isqrt(elapsed_us) or 1
        seconds_e3 = min(elapsed_us // 1_000, VARIANCE_REVERSION_SECONDS * 1_000)
        state, bits = next_random(self._random)
        market_shock = shock_e6(bits)
        fairs: list[int] = []
        variances: list[int] = []
        for asset in self._assets:
            state, bits = next_random(state)
            own_shock = shock_e6(bits)
            state, bits = next_random(state)
            pull = (VARIANCE_ONE - asset.variance) * seconds_e3 // (VARIANCE_REVERSION_SECONDS * 1_000)
            noise = VARIANCE_NOISE_E6 * shock_e6(bits) // 1_000_000 * isqrt(seconds_e3 * 1_000) // 1_000
            variance = min(max(asset.variance + pull + noise, VARIANCE_MIN), VARIANCE_MAX)
            variances.append(variance)
            if asset.recorded:
                fairs.append(asset.fair)
                continue
            shock = (MARKET_LOADING_E3 * market_shock + OWN_LOADING_E3 * own_shock) // 1_000
            # The root of a variance in 1e-6 is in 1e-3, like the root of the seconds.
            sigma_e9 = SIGMA_PER_SECOND_E9 * isqrt(variance) // 1_000 * root_seconds_e3 // 1_000
            moved_e9 = sigma_e9 * shock // 1_000_000
            moved_e9 += self._pressure.get(asset.asset, 0) * IMPACT_E9_PER_USDT // ONE
            moved_e9 = min(max(moved_e9, -MAX_MOVE_E9), MAX_MOVE_E9)
            fairs.append(min(max(asset.fair + asset.fair * moved_e9 // 1_000_000_000, FINE), _MAX_FAIR))
        return state, fairs, variances

    # --- recorded prints ---------------------------------------------------------------------------------------------

    def decide_requote(self, symbol: str, price: int) -> Requoted:
        rules = self._rules[symbol]
        fair = max(price, 1) * FINE
        return Requoted(symbol, fair, fair if rules.quote_asset == MEASURE else 0)

    @property
    def recorded_symbols(self) -> list[str]:
        """Symbols whose prints come from a recording that is not over."""
        return [market.symbol for market in self._symbols.values() if market.recorded]

    def decide_release(self, symbol: str) -> Released | None:
        market = self._symbols.get(symbol)
        if market is None or not market.recorded:
            return None
        rules = self._rules[symbol]
        quote_worth = self._worth(rules.quote_asset)
        return Released(symbol, min(max(market.fair * quote_worth // _MEASURE_FAIR, FINE), _MAX_FAIR))

    # --- applying ----------------------------------------------------------------------------------------------------

    def apply(self, event: Any) -> None:
        if type(event) is MarketMoved:
            self._random = event.random_state
            for asset, fair, variance in zip(self._assets, event.fairs, event.variances, strict=True):
                asset.fair = fair
                asset.variance = variance
            for market, moved in zip(self._symbols.values(), event.symbols, strict=True):
                market.spread_ticks = moved.spread_ticks
                market.salt = moved.salt
                market.heat = moved.heat
                market.last_size = moved.last_size
                market.trend = moved.trend
            self._pressure.clear()
            self._ladders = self._decided if event is self._decided_event else {}
            self._decided_event = None
        elif type(event) is Requoted:
            self._symbols[event.symbol].fair = event.fair
            asset = self._asset_of[self._rules[event.symbol].base_asset]
            if event.asset_fair and asset.recorded:
                asset.fair = event.asset_fair
            # Crosses of the asset follow at once: they are quoted from its fair price.
            self._ladders.clear()
        elif type(event) is Released:
            released = self._symbols[event.symbol]
            released.recorded = False
            released.fair = 0
            asset = self._asset_of[self._rules[event.symbol].base_asset]
            asset.recorded = False
            asset.fair = event.asset_fair
            self._ladders.clear()
        else:
            raise ValueError(f"{type(event).__name__} is no event of the participants")

    def note_taken(self, symbol: str, quote_quantity: int, is_buy: bool) -> None:
        rules = self._rules[symbol]
        usdt = quote_quantity * self._worth(rules.quote_asset) // _MEASURE_FAIR
        for asset, taken in ((rules.base_asset, usdt), (rules.quote_asset, -usdt)):
            if asset != MEASURE:
                net = self._pressure.get(asset, 0) + (taken if is_buy else -taken)
                self._pressure[asset] = min(max(net, -_MAX_PRESSURE), _MAX_PRESSURE)

    # --- written down ------------------------------------------------------------------------------------------------

    def dump(self) -> Any:
        if self.opened is None:
            return []
        return [
            PROGRAM,
            self.opened.seed,
            self.opened.birth_us,
            [list(astuple(symbol)) for symbol in self.opened.symbols],
            self._random,
            [list(astuple(asset)) for asset in self._assets],
            [list(astuple(m)) for m in self._symbols.values()],
            [[asset, self._pressure[asset]] for asset in sorted(self._pressure)],
        ]

    def load(self, data: Any) -> None:
        self._ladders = {}
        self._decided_event = None
        if not data:
            self.opened = None
            self._seed = self._random = 0
            self._assets, self._symbols, self._pressure = [], {}, {}
            self._rules, self._asset_of = {}, {}
            return
        program, seed, birth_us, opened, self._random, assets, symbols, pressure = data
        _check_program(program)
        self.opened = MarketOpened(program, seed, tuple(OpenedSymbol(*row) for row in opened), birth_us)
        self._seed = seed_of(seed, "participants")
        self._assets = [_Asset(*row) for row in assets]
        self._asset_of = {asset.asset: asset for asset in self._assets}
        self._symbols = {row[0]: _Symbol(*row) for row in symbols}
        self._rules = {symbol: self._rules_for(symbol) for symbol in self._symbols}
        self._pressure = dict(pressure)


def _check_program(program: int) -> None:
    if program != PROGRAM:
        raise ValueError(
            f"the market was opened with version {program} of the participants' program; this Sparekey knows "
            f"version {PROGRAM}"
        )


def _priced_assets(symbols: Sequence[tuple[SymbolRules, int, bool]]) -> list[_Asset]:
    """Every asset's price in the measure, as far as prices of symbols tell; in the order of the symbols.

    A quote asset that nothing tells about counts as one USDT: only its symbols' depth hangs on that.
    """
    found: dict[str, _Asset] = {}

    def worth(asset: str) -> int:
        return _MEASURE_FAIR if asset == MEASURE else found[asset].fair if asset in found else 0

    waiting = list(symbols)
    while waiting:
        settled = [row for row in waiting if worth(row[0].quote_asset)]
        if not settled:
            quote = waiting[0][0].quote_asset
            found[quote] = _Asset(quote, _MEASURE_FAIR, recorded=True)
            continue
        for rules, price, recorded in settled:
            if rules.base_asset not in found and rules.base_asset != MEASURE:
                fair = max(price * worth(rules.quote_asset) // ONE, 1)
                found[rules.base_asset] = _Asset(
                    rules.base_asset, fair, recorded=recorded and rules.quote_asset == MEASURE
                )
        waiting = [row for row in waiting if row not in settled]
    return list(found.values())


def _fair_of(base_worth: int, quote_worth: int) -> int:
    """Price of base in quote, in 1e-8 * FINE units, from what both are worth in the measure."""
    return base_worth if quote_worth == _MEASURE_FAIR else base_worth * _MEASURE_FAIR // quote_worth


def _two_digits(amount: int, step: int) -> int:
    """Two leading digits, as people type sizes, on the lot step; at least one step."""
    unit = max(step, 1)
    while unit * 100 <= amount:
        unit *= 10
    return max(amount // unit * unit, step)


# --- quotes ----------------------------------------------------------------------------------------------------------


def _decide_quotes(state: int, market: _Symbol) -> tuple[int, int, int, int]:
    """Next generator state, and the symbol's new spread, salt and heat."""
    state, bits = next_random(state)
    spread = market.spread_ticks  # 1 to WIDEST_SPREAD_TICKS
    # The spread lingers: one time in eight it is drawn anew, mostly one tick, seldom three.
    if bits & 7 == 0:
        draw = (bits >> 8) % 100
        spread = 1 + (draw >= 62) + (draw >= 90)
    # Levels keep their quantities while the salt stays; a thirtieth of the ticks draws a new one.
    salt = bits >> 40 & _SALT_MASK if (bits >> 16) % 30 == 0 else market.salt
    heat = market.heat * 7 // 8 + _HEAT_GAIN
    if bits >> 60 == 0:
        heat += (bits >> 20) % _HEAT_BURST
    return state, spread, salt, heat


def ladder(rules: SymbolRules, key: _LadderKey, seed: int) -> tuple[list[Level], list[Level]]:
    """Bids and asks, best first: a pure function of the symbol's few integers.

    The fair price lies within the spread, at most half a tick from its middle, so that triangles hold.
    """
    fair_ticks_fine, spread, salt, touch = key
    best_bid = max((fair_ticks_fine - (spread - 1) * FINE // 2) // FINE, 1)
    reach = max(_two_digits(best_bid * REACH_E4 // 10_000, 1), LEVELS_A_SIDE)
    offsets = _offsets(reach)
    salt = mix(seed ^ salt)
    return _side(rules, best_bid, -1, offsets, touch, salt), _side(rules, best_bid + spread, 1, offsets, touch, salt)


@lru_cache(maxsize=256)
def _offsets(reach: int) -> tuple[tuple[int, int], ...]:
    """Per level behind the near ones: distance from the touch and grid, in ticks.

    Distances grow as the fourth power of the level's number; grids are powers of ten.
    """
    rows = []
    ranks = LEVELS_A_SIDE - NEAR_LEVELS
    for rank in range(1, ranks + 1):
        offset = reach * rank**4 // ranks**4 + NEAR_LEVELS
        grid = 1
        while grid * 80 <= offset:
            grid *= 10
        rows.append((offset, grid))
    return tuple(rows)


def _side(
    rules: SymbolRules, best: int, direction: int, offsets: Sequence[tuple[int, int]], touch: int, salt: int
) -> list[Level]:
    tick = rules.tick_size
    prices = [best + direction * index for index in range(NEAR_LEVELS)]
    price = prices[-1]
    if direction < 0:
        for offset, grid in offsets:
            target = (best - offset) // grid * grid
            price = target if target < price else price - 1
            prices.append(price)
        while prices[-1] <= 0:
            prices.pop()
    else:
        for offset, grid in offsets:
            # Away from the touch, so that a level on the grid stays put while the touch moves.
            target = -(-(best + offset) // grid) * grid
            price = target if target > price else price + 1
            prices.append(price)
    step = rules.step_size or 1
    least = max(rules.min_quantity, step)
    levels: list[Level] = []
    size = touch // GROWTH_LEVELS
    for index, price in enumerate(prices, GROWTH_LEVELS):
        # One multiplication as a hash: prices are small, the salt is well mixed already. 0.4 to 1.6 times the mean.
        noise = ((price ^ salt) * 0x9E37_79B9_7F4A_7C15 >> 40) % 1_200 + 400
        quantity = size * index * noise // 1_000
        levels.append((price * tick, quantity // step * step if quantity > least else least))
    return levels


# --- takers ----------------------------------------------------------------------------------------------------------


def _decide_takers(
    state: int,
    market: _Symbol,
    rules: SymbolRules,
    elapsed_us: int,
    spread: int,
    heat: int,
    trend: int,
    bids: Sequence[Level],
    asks: Sequence[Level],
) -> tuple[int, list[Taker], int]:
    """Next generator state, the tick's taker orders, and the size that the next ones may repeat.

    The takers walk the quotes here as the venue will let them, so that a tick has at most twenty prints and leaves a
    narrow spread. A long tick (an idle venue) has one or two prints, each at the touch.
    """
    state, bits = next_random(state)
    busy = elapsed_us <= BUSY_TICK_US
    count = 1 + (bits % 1_000 * heat * 2 // _HEAT_UNIT if busy else bits % 2)
    least, step = max(rules.min_quantity, 1), rules.step_size or 1
    left = {True: [quantity for _, quantity in asks], False: [quantity for _, quantity in bids]}
    at = {True: 0, False: 0}
    takers: list[Taker] = []
    last_size = market.last_size
    prints = 0
    may_empty = WIDEST_SPREAD_TICKS - spread
    for _ in range(min(count, MAX_PRINTS_PER_TICK)):
        state, draw = next_random(state)
        last_size = size = _draw_size(draw, market.mean_size, last_size, least, step)
        # A rising fair price draws buyers: 60 to 40.
        is_buy = (draw >> 40) % 100 < 50 + 10 * trend
        quantities, level = left[is_buy], at[is_buy]
        if not busy:
            # All of what a long tick would trade at the touch, in one print.
            size = quantities[level] * (20 + (draw >> 48) % 60) // 100 // step * step if quantities else 0
        filled = 0
        while filled < size and level < len(quantities) and prints < MAX_PRINTS_PER_TICK:
            part = min(size - filled, quantities[level])
            if part == quantities[level] and not may_empty:
                size = 0  # somebody stays at the touch: half of what is there, and no more
                part = part // 2 // step * step
                if part < least:
                    break
            if part == quantities[level]:
                may_empty -= 1
                level += 1
            else:
                quantities[level] -= part
            filled += part
            prints += 1
        at[is_buy] = level
        if filled:
            takers.append(Taker(is_buy, filled))
    return state, takers, last_size


def _draw_size(draw: int, mean_size: int, last_size: int, least: int, step: int) -> int:
    """A third repeats the size before, most are near the mean, a tenth is several times as large."""
    kind = draw % 100
    if kind < 30 and last_size:
        return last_size
    spread = (draw >> 24) % 100
    if kind < 90:
        # Roughly exponential: the number of trailing zero bits is geometric.
        bits = draw >> 8 & 0xFFF | 0x1000
        size = mean_size * (bits & -bits).bit_length() * (spread + 20) // 160
    else:
        size = mean_size * (3 + spread % 5)
    return max(floor_to_step(_two_digits(size, step), step), -(-least // step) * step)
