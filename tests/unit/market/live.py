"""A live market: the real spot shard with seeded participants, on a clock that is a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparekey.market.participants import SeededParticipants
from sparekey.terms.admissions import operator_admission
from sparekey.terms.clocktime import SECOND_US
from sparekey.terms.money import parse_money
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import Fund, ListAsset, ListSymbol, MarketTick, PlaceOrder
from sparekey.venue.effects import Effect
from sparekey.venue.events import MarketPrint
from sparekey.venue.liquidity import Level
from sparekey.venue.spot_shard import SpotShard
from tests.unit.market.listed import BIRTH_US, SEED, catalogue, opening

ACCOUNT = 1


def fresh_shard() -> tuple[SpotShard, SeededParticipants]:
    shard: SpotShard
    participants = SeededParticipants(lambda symbol: shard.state.rules(symbol))
    shard = SpotShard(participants)
    return shard, participants


class LiveMarket:
    """`effects` holds what the last command left."""

    def __init__(self, seed: int = SEED, recorded: dict[str, int] | None = None) -> None:
        self.shard, self.participants = fresh_shard()
        self.now_us = BIRTH_US
        self.effects: Sequence[Effect] = ()
        for asset in catalogue().assets:
            self.do(ListAsset(asset))
        for symbol in catalogue().symbols:
            self.do(ListSymbol(symbol))
        self.do(opening(seed, BIRTH_US, recorded))

    def do(self, command: Any) -> Sequence[Any]:
        outcome = self.shard.execute(command, self.now_us)
        assert not isinstance(outcome, Refusal), outcome
        self.effects = self.shard.drain()
        return outcome

    def tick(self, elapsed_us: int = SECOND_US) -> Sequence[Any]:
        self.now_us += elapsed_us
        return self.do(MarketTick(elapsed_us))

    def fund(self, **amounts: str) -> None:
        for asset, amount in amounts.items():
            self.do(Fund(ACCOUNT, asset, parse_money(amount)))

    def order(self, symbol: str, side: str, type_: str, **terms: str) -> Sequence[Any]:
        money = {name: parse_money(amount) for name, amount in terms.items()}
        time_in_force = "GTC" if type_ == "LIMIT" else ""
        return self.do(
            PlaceOrder(operator_admission(ACCOUNT), symbol, side, type_, time_in_force, **money)  # type: ignore[arg-type]
        )

    def depth(self, symbol: str) -> tuple[Sequence[Level], Sequence[Level]]:
        return self.shard.state.depth(symbol, 5_000)


def middle(bids: Sequence[Level], asks: Sequence[Level]) -> float:
    return (bids[0][0] + asks[0][0]) / 2


def prints_of(events: Sequence[Any]) -> list[MarketPrint]:
    return [one for event in events if type(event).__name__ == "Printed" for one in event.prints]
