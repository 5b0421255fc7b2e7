"""Where a recording ends, participants go on: from its last price, on every symbol of the asset, and over restarts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from sparekey.terms.money import ONE
from sparekey.venue.commands import EndReplay, ReplayPrints
from sparekey.venue.events import MarketPrint, Printed
from tests.unit.market.live import LiveMarket, fresh_shard, middle


def replayed(symbol: str, first: int, last: int) -> LiveMarket:
    market = LiveMarket(recorded={symbol: first})
    market.do(ReplayPrints(symbol, (MarketPrint(last, ONE, True),)))
    return market


@pytest.mark.parametrize(
    ("symbol", "first", "last"), [("BTCUSDT", 40_000 * ONE, 39_000 * ONE), ("XRPETH", 150_000, 155_000)]
)
def test_participants_take_over_at_the_last_recorded_price(symbol: str, first: int, last: int) -> None:
    market = replayed(symbol, first, last)
    assert symbol in market.participants.recorded_symbols
    assert not prints_in(market.tick(), symbol)
    market.do(EndReplay(symbol))
    assert market.participants.recorded_symbols == []
    quoted = middle(market.participants.bids(symbol), market.participants.asks(symbol))
    assert abs(quoted - last) <= 4 * market.shard.state.markets[symbol].rules.tick_size
    assert sum(prints_in(market.tick(), symbol) for _ in range(30)) >= 10


def prints_in(events: Sequence[Any], symbol: str) -> int:
    return sum(len(event.prints) for event in events if isinstance(event, Printed) and event.symbol == symbol)


def test_ending_twice_or_what_was_never_recorded_changes_nothing() -> None:
    market = replayed("BTCUSDT", 40_000 * ONE, 39_000 * ONE)
    assert market.do(EndReplay("ETHUSDT")) == []
    assert market.do(EndReplay("BTCUSDT"))
    assert market.do(EndReplay("BTCUSDT")) == []


def test_a_market_that_was_taken_over_goes_on_the_same_from_its_events_and_from_a_dump() -> None:
    market = replayed("BTCUSDT", 40_000 * ONE, 39_000 * ONE)
    before = market.shard.dump()
    other, other_participants = fresh_shard()
    other.load(msgspec.msgpack.decode(msgspec.msgpack.encode(before)))
    events = market.do(EndReplay("BTCUSDT"))
    other.apply(other.decode_events(msgspec.msgpack.encode(events)), market.now_us)
    assert other.dump() == market.shard.dump()
    third, _ = fresh_shard()
    third.load(msgspec.msgpack.decode(msgspec.msgpack.encode(market.shard.dump())))
    assert third.dump() == market.shard.dump()
    assert other_participants.recorded_symbols == []
