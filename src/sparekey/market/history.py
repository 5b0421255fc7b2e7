"""The past of a venue that has just been born: two years of trades, never stored, the same whenever one looks.

What happened in any minute follows from (seed, symbol, minute) alone. It is made from above: days walk backwards from
the opening price, a day is split into hours, an hour into spans of five minutes, these into minutes, and a minute into
its trades. Each split keeps what it splits: opens and closes join, one part has the whole's high and one its low,
volumes, trades and ids add up. So any span can be had without its past, and a year of days costs no minutes. Only the
quote volume is reckoned for each span by itself, from volume and mean of open, high, low and close.

Days walk with their assets, so that BTCUSDT, ETHUSDT and ETHBTC agree on the past as well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from math import isqrt

import msgspec

from sparekey.market.candles import Candle
from sparekey.market.participants import AT_PAR
from sparekey.market.prng import mix, next_random, seed_of, shock_e6
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US
from sparekey.terms.money import ONE
from sparekey.terms.rounding import notional
from sparekey.venue.listing import SymbolRules

#: How many whole days lie before the day of birth.
PAST_DAYS = 730
_FIVE_MINUTES_US = 5 * MINUTE_US
#: What a span is split into; a minute is split into trades.
_PART_US = {DAY_US: HOUR_US, HOUR_US: _FIVE_MINUTES_US, _FIVE_MINUTES_US: MINUTE_US}

#: Standard deviation of a day's return in 1e-9: 60 % a year over the root of 365.
_SIGMA_DAY_E9 = 31_400_000
#: Share of it that all assets have in common, and that each has alone (0.7**2 + 0.714**2 = 1), in 1e-3.
_MARKET_E3, _OWN_E3 = 700, 714
#: Prices drift back towards the opening by this share of the distance a day, in 1e-6: two years stay believable.
_PULL_E6 = 4_000
_FACTOR_ONE = 10**12
#: Variance of a day relative to the mean: a random walk that reverts, so that wild weeks follow wild weeks. In 1e-3.
_VARIANCE_MIN_E3, _VARIANCE_MAX_E3 = 300, 2_500

#: A day has about this many trades, five a second, as the live market has; a minute at least so many.
_TRADES_A_DAY = 430_000
_LEAST_TRADES_A_MINUTE = 4
#: How busy the hours of a day are (UTC), the mean being about 100.
_HOUR_WEIGHTS = (
    90,
    85,
    80,
    75,
    70,
    72,
    80,
    90,
    95,
    95,
    92,
    95,
    110,
    130,
    145,
    140,
    130,
    120,
    110,
    105,
    100,
    98,
    96,
    94,
)

_CACHED_SPLITS = 512
_CACHED_MINUTES = 48


class PastTrade(msgspec.Struct, frozen=True, gc=False):
    """A trade before the venue's birth; each is its own aggregate, with the same id."""

    trade_id: int
    time_us: int
    price: int
    quantity: int
    quote_quantity: int
    buyer_is_maker: bool


class _Span(msgspec.Struct, frozen=True, gc=False):
    """A day, an hour, five minutes or a minute, the last of each perhaps cut short by the birth.

    Prices in ticks, volumes in steps; `whole_us` is the length that is not cut; `taker_volume` is what takers bought.
    """

    open_us: int
    span_us: int
    whole_us: int
    first_id: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    trades: int
    taker_volume: int
    variance_e3: int


class History:
    """One symbol's past. `opening` is the price at which its market opened at `birth_us`; 1e-8 units."""

    def __init__(self, seed: int, rules: SymbolRules, opening: int, daily_volume: int, birth_us: int) -> None:
        self.symbol = rules.symbol
        self.birth_us = birth_us
        self.opening = opening
        self._rules = rules
        self._tick = rules.tick_size or 1
        self._step = rules.step_size or 1
        self._seed = seed_of(seed, "history", rules.symbol)
        self._asset_seeds = seed_of(seed, "asset", rules.base_asset), seed_of(seed, "asset", rules.quote_asset)
        self._splits: dict[tuple[int, int], list[_Span]] = {}
        self._minutes: dict[int, list[PastTrade]] = {}
        self._days = self._walk_days(seed, rules, daily_volume)
        self._day_opens = [day.open_us for day in self._days]
        self._first_ids = [day.first_id for day in self._days]
        last = self._days[-1]
        #: The id of the first trade that really happens; all smaller ones are here.
        self.first_trade_id = last.first_id + last.trades
        #: Open time of the first day.
        self.start_us = self._days[0].open_us

    # --- days --------------------------------------------------------------------------------------------------------

    def _walk_days(self, seed: int, rules: SymbolRules, daily_volume: int) -> list[_Span]:
        """All days, ascending: the walk goes backwards from the opening price, then ids are counted forwards."""
        today_us = self.birth_us // DAY_US * DAY_US
        part_us = self.birth_us - today_us
        base = _asset_factors(seed, rules.base_asset, part_us)
        quote = _asset_factors(seed, rules.quote_asset, part_us)
        variances = _day_variances(seed)
        tick = self._tick
        opening = max(self.opening // tick, 1)
        prices = [max(opening * base[k] // quote[k], 1) for k in range(PAST_DAYS + 2)]
        days: list[_Span] = []
        state = mix(self._seed)
        for k in range(PAST_DAYS + 1):
            state, bits = next_random(state)
            span_us = part_us if k == 0 else DAY_US
            if not span_us:
                continue
            opened, closed = prices[k + 1], prices[k]
            scale_e3 = closed * _sigma_e9(span_us, variances[k]) // 1_000_000
            high = max(opened, closed) + scale_e3 * (bits & 0xFFFF) * 9 // 655_360_000
            low = max(min(opened, closed) - scale_e3 * (bits >> 16 & 0xFFFF) * 9 // 655_360_000, 1)
            # A wild day is a busy one: 70 to 130 % of the mean, more with the variance.
            activity_e6 = (700_000 + (bits >> 24) % 600_000) * (2_000 + variances[k]) // 3_000
            minutes = -(-span_us // MINUTE_US)
            volume = daily_volume // self._step * activity_e6 // 1_000_000 * span_us // DAY_US
            trades = min(_TRADES_A_DAY * activity_e6 // 1_000_000 * span_us // DAY_US, volume // 2)
            trades = max(trades, _LEAST_TRADES_A_MINUTE * minutes)
            volume = max(volume, 2 * trades)
            days.append(
                _Span(
                    today_us - k * DAY_US,
                    span_us,
                    DAY_US,
                    0,
                    opened,
                    high,
                    low,
                    closed,
                    volume,
                    trades,
                    volume * (460_000 + (bits >> 40) % 80_000) // 1_000_000,
                    variances[k],
                )
            )
        days.reverse()
        first_id = 1
        for index, day in enumerate(days):
            days[index] = msgspec.structs.replace(day, first_id=first_id)
            first_id += day.trades
        return days

    # --- splitting ---------------------------------------------------------------------------------------------------

    def _parts(self, span: _Span) -> list[_Span]:
        """The hours of a day, five-minute spans of an hour, or minutes of these."""
        key = (span.open_us, span.whole_us)
        parts = self._splits.get(key)
        if parts is None:
            parts = self._split(span)
            if len(self._splits) >= _CACHED_SPLITS:
                del self._splits[next(iter(self._splits))]
            self._splits[key] = parts
        return parts

    def _split(self, span: _Span) -> list[_Span]:
        part_us = _PART_US[span.whole_us]
        count = -(-span.span_us // part_us)
        last_us = span.span_us - (count - 1) * part_us
        state = mix(self._seed ^ span.open_us ^ part_us)
        closes = self._closes(span, part_us, count)
        scale_e3 = max(span.close * _sigma_e9(part_us, span.variance_e3) // 1_000_000, 1)
        hours = span.whole_us == DAY_US
        opened = span.open
        highs: list[int] = []
        lows: list[int] = []
        count_weights: list[int] = []
        volume_weights: list[int] = []
        for index, closed in enumerate(closes):
            state, bits = next_random(state)
            if index == count - 1:  # perhaps cut short
                scale_e3 = max(span.close * _sigma_e9(last_us, span.variance_e3) // 1_000_000, 1)
            up, down = (opened, closed) if opened > closed else (closed, opened)
            highs.append(min(up + scale_e3 * (bits & 0xFFFF) * 9 // 655_360_000, span.high))
            lows.append(max(down - scale_e3 * (bits >> 16 & 0xFFFF) * 9 // 655_360_000, span.low))
            weight = (64 + (bits >> 32 & 0x7F)) * (_HOUR_WEIGHTS[index] if hours else 100)
            count_weights.append(weight)
            volume_weights.append(weight * (64 + (bits >> 48 & 0xFF)))
            opened = closed
        highs[highs.index(max(highs))] = span.high
        lows[lows.index(min(lows))] = span.low
        count_weights[-1] = count_weights[-1] * last_us // part_us
        volume_weights[-1] = volume_weights[-1] * last_us // part_us
        minutes = [part_us // MINUTE_US] * (count - 1) + [-(-last_us // MINUTE_US)]
        least = [_LEAST_TRADES_A_MINUTE * length for length in minutes]
        trades = _share(span.trades, least, count_weights)
        volumes = _share(span.volume, trades, volume_weights)
        takers = _lean(volumes, _share(span.taker_volume, [0] * count, volumes), state)
        parts: list[_Span] = []
        opened, open_us, first_id = span.open, span.open_us, span.first_id
        for index, closed in enumerate(closes):
            parts.append(
                _Span(
                    open_us,
                    part_us if index < count - 1 else last_us,
                    part_us,
                    first_id,
                    opened,
                    highs[index],
                    lows[index],
                    closed,
                    volumes[index],
                    trades[index],
                    takers[index],
                    span.variance_e3,
                )
            )
            opened, open_us, first_id = closed, open_us + part_us, first_id + trades[index]
        return parts

    def _closes(self, span: _Span, part_us: int, count: int) -> list[int]:
        """Where the parts of a span close: a bridge from its open to its close, held within its high and low."""
        bridge = _bridge(self._asset_seeds[0], span.open_us, part_us, count)
        if self._rules.quote_asset not in AT_PAR:
            other = _bridge(self._asset_seeds[1], span.open_us, part_us, count)
            # Half of an asset's variance is the market's, which a cross does not see; the seeds do not share it.
            bridge = [(a - b) * 707 // 1_000 for a, b in zip(bridge, other, strict=True)]
        scale_e3 = span.close * _sigma_e9(part_us, span.variance_e3) // 1_000_000
        opened, change, low, high = span.open, span.close - span.open, span.low, span.high
        closes: list[int] = []
        for index, away_e6 in enumerate(bridge, 1):
            price = opened + change * index // count + scale_e3 * away_e6 // 1_000_000_000
            if price > high:
                price = max(2 * high - price, low)
            elif price < low:
                price = min(2 * low - price, high)
            closes.append(price)
        closes[-1] = span.close
        return closes

    # --- candles -----------------------------------------------------------------------------------------------------

    def candle(self, open_us: int, next_us: int) -> Candle | None:
        """What traded from `open_us` to before `next_us` (whole minutes, or the birth); None outside the past."""
        first = None
        high = low = volume = quote = trades = taker = taker_quote = last = 0
        tick, step = self._tick, self._step
        for span in self._cover(open_us, next_us):
            if first is None:
                first, high, low = span.open, span.high, span.low
            else:
                high = span.high if span.high > high else high
                low = span.low if span.low < low else low
            last = span.close
            volume += span.volume
            trades += span.trades
            taker += span.taker_volume
            four = (span.open + span.high + span.low + span.close) * tick * step
            quote += four * span.volume // (4 * ONE)
            taker_quote += four * span.taker_volume // (4 * ONE)
        if first is None:
            return None
        return Candle(
            open_us,
            first * tick,
            high * tick,
            low * tick,
            last * tick,
            volume * step,
            quote,
            trades,
            taker * step,
            taker_quote,
            next_us - open_us,
        )

    def _cover(self, start_us: int, end_us: int) -> Iterator[_Span]:
        """The largest spans that make up the time from `start_us` to before `end_us`."""
        if end_us <= self.start_us or start_us >= self.birth_us:
            return
        index = max(bisect_right(self._day_opens, start_us) - 1, 0)
        for day in self._days[index:]:
            if day.open_us >= end_us:
                return
            yield from self._within(day, start_us, end_us)

    def _within(self, span: _Span, start_us: int, end_us: int) -> Iterator[_Span]:
        over_us = span.open_us + span.span_us
        if start_us <= span.open_us and over_us <= end_us:
            yield span
        elif start_us < over_us and span.open_us < end_us and span.whole_us > MINUTE_US:
            for part in self._parts(span):
                yield from self._within(part, start_us, end_us)

    # --- trades ------------------------------------------------------------------------------------------------------

    def trades_from(self, trade_id: int, limit: int) -> list[PastTrade]:
        """Ascending, from `trade_id` on; fewer than `limit` where the past ends."""
        found: list[PastTrade] = []
        trade_id = max(trade_id, 1)
        while len(found) < limit and trade_id < self.first_trade_id:
            minute = self._minute_of_id(trade_id)
            found += self._trades_of(minute)[trade_id - minute.first_id :][: limit - len(found)]
            trade_id = minute.first_id + minute.trades
        return found

    def trades_between(self, start_us: int, end_us: int, limit: int) -> list[PastTrade]:
        """The first `limit` within [start, end]."""
        end_us = min(end_us, self.birth_us - 1)
        found: list[PastTrade] = []
        start_us = max(start_us, self.start_us)
        while len(found) < limit and start_us <= end_us:
            trades = self._trades_of(self._minute_at(start_us))
            found += [trade for trade in trades if start_us <= trade.time_us <= end_us][: limit - len(found)]
            start_us = start_us // MINUTE_US * MINUTE_US + MINUTE_US
        return found

    def first_id_from(self, time_us: int) -> int:
        """Id of the first trade at `time_us` or after."""
        if time_us <= self.start_us:
            return 1
        if time_us >= self.birth_us:
            return self.first_trade_id
        minute = self._minute_at(time_us)
        return minute.first_id + sum(trade.time_us < time_us for trade in self._trades_of(minute))

    def _minute_of_id(self, trade_id: int) -> _Span:
        span = self._days[bisect_right(self._first_ids, trade_id) - 1]
        while span.whole_us > MINUTE_US:
            span = next(part for part in self._parts(span) if trade_id < part.first_id + part.trades)
        return span

    def _minute_at(self, time_us: int) -> _Span:
        span = self._days[bisect_right(self._day_opens, time_us) - 1]
        while span.whole_us > MINUTE_US:
            span = self._parts(span)[(time_us - span.open_us) // _PART_US[span.whole_us]]
        return span

    def _trades_of(self, minute: _Span) -> list[PastTrade]:
        trades = self._minutes.get(minute.open_us)
        if trades is None:
            trades = self._make_trades(minute)
            if len(self._minutes) >= _CACHED_MINUTES:
                del self._minutes[next(iter(self._minutes))]
            self._minutes[minute.open_us] = trades
        return trades

    def _make_trades(self, minute: _Span) -> list[PastTrade]:
        count, tick, step, span_us = minute.trades, self._tick, self._step, minute.span_us
        state = mix(self._seed ^ minute.open_us ^ 1)
        draws: list[int] = []
        for _ in range(count):
            state, bits = next_random(state)
            draws.append(bits)
        prices = _path(minute, draws)
        # Exactly as many buyers, with exactly as much volume, as the minute's candle says.
        buyers = minute.taker_volume * count // minute.volume
        if minute.taker_volume and not buyers:
            buyers = 1
        left = buyers
        bought: list[bool] = []
        for index, bits in enumerate(draws):
            buys = (bits >> 16) % (count - index) < left
            left -= buys
            bought.append(buys)
        # Squares of eight bits: many small trades and a few large ones.
        weights = [(bits >> 48 & 0xFF) ** 2 + 16 for bits in draws]
        sizes: dict[bool, Iterator[int]] = {}
        for buys, volume in ((True, minute.taker_volume), (False, minute.volume - minute.taker_volume)):
            own = [weight for weight, side in zip(weights, bought, strict=True) if side is buys]
            sizes[buys] = iter(_share(volume, [1] * len(own), own))
        trades: list[PastTrade] = []
        for index, bits in enumerate(draws):
            price, quantity = prices[index] * tick, next(sizes[bought[index]]) * step
            trades.append(
                PastTrade(
                    minute.first_id + index,
                    minute.open_us + (index * span_us + bits % span_us) // count,
                    price,
                    quantity,
                    notional(price, quantity),
                    not bought[index],
                )
            )
        return trades


def _path(minute: _Span, draws: Sequence[int]) -> list[int]:
    """Prices of a minute's trades: from the open by way of high and low, in either order, to the close."""
    count = len(draws)
    low, high = minute.low, minute.high
    # Two inner places of the four or more, never the same.
    at_high = 1 + draws[0] % (count - 2)
    at_low = 1 + draws[1] % (count - 3)
    at_low += at_low >= at_high
    way = [(0, minute.open), *sorted([(at_high, high), (at_low, low)]), (count - 1, minute.close)]
    width = high - low
    prices: list[int] = []
    for (start, began), (end, reached) in pairwise(way):
        prices.append(began)
        for index in range(start + 1, end):
            # Along the line, up to a sixtieth of the minute's range beside it.
            beside = ((draws[index] >> 32 & 0xFF) - 128) * width // 7_680
            price = began + (reached - began) * (index - start) // (end - start) + beside
            prices.append(high if price > high else low if price < low else price)
    prices.append(minute.close)
    return prices


def _share(total: int, least: Sequence[int], weights: Sequence[int]) -> list[int]:
    """`total` in whole parts: each its least, the rest by weight."""
    rest = total - sum(least)
    whole = sum(weights)
    if not weights:
        return []
    parts: list[int] = []
    reached = given = 0
    for minimum, weight in zip(least, weights, strict=True):
        reached += weight
        upto = rest * reached // whole if whole else 0
        parts.append(minimum + upto - given)
        given = upto
    parts[-1] += rest - given
    return parts


def _lean(volumes: Sequence[int], taken: list[int], state: int) -> list[int]:
    """Some parts are bought and some sold: neighbours exchange, within what each has, so that the sum stays."""
    for index in range(0, len(taken) - 1, 2):
        state, bits = next_random(state)
        giver, getter = (index, index + 1) if bits & 1 else (index + 1, index)
        given = min(taken[giver], volumes[getter] - taken[getter]) * (bits >> 1 & 0x7F) // 256
        taken[giver] -= given
        taken[getter] += given
    return taken


def _sigma_e9(span_us: int, variance_e3: int) -> int:
    """Standard deviation of the return over a span, in 1e-9."""
    return _SIGMA_DAY_E9 * isqrt(span_us * variance_e3 * 1_000 // (DAY_US // 1_000_000)) // 1_000_000


@lru_cache(maxsize=512)
def _bridge(asset_seed: int, open_us: int, part_us: int, count: int) -> list[int]:
    """A walk of `count` steps that ends where it began, in 1e-6 of a step's standard deviation."""
    state = mix(asset_seed ^ open_us ^ part_us)
    walk: list[int] = []
    at = 0
    while len(walk) < count:
        state, bits = next_random(state)
        for shift in (0, 16, 32, 48):
            # A 16-bit uniform has a standard deviation of 18,918.6.
            at += ((bits >> shift & 0xFFFF) - 32_768) * 52_858 // 1_000
            walk.append(at)
    del walk[count:]
    end = walk[-1]
    return [height - end * index // count for index, height in enumerate(walk, 1)]


@lru_cache(maxsize=8)
def _day_variances(seed: int) -> list[int]:
    """Variance of each day before birth relative to the mean, in 1e-3; the day of birth first."""
    state = seed_of(seed, "variances")
    variance = 1_000
    variances: list[int] = []
    for _ in range(PAST_DAYS + 1):
        state, bits = next_random(state)
        variance += (1_000 - variance) // 20 + 150 * shock_e6(bits) // 1_000_000
        variance = min(max(variance, _VARIANCE_MIN_E3), _VARIANCE_MAX_E3)
        variances.append(variance)
    return variances


@lru_cache(maxsize=64)
def _asset_factors(seed: int, asset: str, part_us: int) -> list[int]:
    """An asset's price in the measure at birth, at the midnight before, and so on back, as shares of that at birth."""
    if asset in AT_PAR:
        return [_FACTOR_ONE] * (PAST_DAYS + 2)
    variances = _day_variances(seed)
    market_state, state = seed_of(seed, "market"), seed_of(seed, "days", asset)
    factor = _FACTOR_ONE
    factors = [factor]
    for k in range(PAST_DAYS + 1):
        market_state, market_bits = next_random(market_state)
        state, bits = next_random(state)
        shock = (_MARKET_E3 * shock_e6(market_bits) + _OWN_E3 * shock_e6(bits)) // 1_000
        moved_e9 = _sigma_e9(DAY_US if k else part_us, variances[k]) * shock // 1_000_000
        moved_e9 += (factor - _FACTOR_ONE) * _PULL_E6 // factor * 1_000
        factor -= factor * moved_e9 // 1_000_000_000
        factors.append(factor)
    return factors
