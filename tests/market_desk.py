"""Market streams without sockets: a live market, the one writer, archive and views, and ears that remember.

The clock is a number. `commit` lets the loop run; until then what happened is applied and not durable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sparekey.market.history import History
from sparekey.market.opening import histories_of
from sparekey.market.views import Views
from sparekey.sequencer.ports import Published
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.archive import Archive
from sparekey.storage.journal import MemoryJournal
from sparekey.terms.admissions import operator_admission
from sparekey.terms.clocktime import SECOND_US
from sparekey.terms.money import parse_money
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import CancelOpenOrders, Fund, ListAsset, ListSymbol, MarketTick, PlaceOrder
from sparekey.venue.effects import Print
from sparekey.wire.market_feed import MarketEvent, MarketFeed
from tests.toy_bank import Loop
from tests.unit.market.listed import BIRTH_US, SEED, catalogue, opening
from tests.unit.market.live import ACCOUNT, fresh_shard

SYMBOL = "BTCUSDT"


class Ear:
    """A listener that remembers (stream, payload)."""

    def __init__(self, microseconds: bool = False) -> None:
        self.microseconds = microseconds
        self.heard: list[tuple[str, Any]] = []

    def tell_market(self, event: MarketEvent) -> None:
        self.heard.append((event.stream, json.loads(event.payload(self.microseconds))))

    def heard_of(self, stream: str) -> list[Any]:
        return [payload for name, payload in self.heard if name == stream]

    def take(self, stream: str = "") -> list[Any]:
        """Payloads heard since the last look, of one stream or of all."""
        taken = [payload for name, payload in self.heard if not stream or name == stream]
        self.heard.clear()
        return taken


class MarketDesk:
    """`prints`: everything that was ever printed here, in order. `feeds`: its commits reach the feed by themselves.
    `opens`: participants act; else the books hold the account's orders alone.
    """

    def __init__(self, folder: Path, *, feeds: bool = True, opens: bool = True) -> None:
        self._feeds = feeds
        self.now_us = BIRTH_US
        self.loop = Loop()
        shard, self.participants = fresh_shard()
        self.spot = shard.state
        self.prints: list[Print] = []
        self.sequencer = Sequencer(MemoryJournal(), {"spot": shard}, {"spot": lambda: self.now_us}, self.loop.call_soon)
        self.archive = Archive(folder / "archive.db", self._assets_of, lambda: self.sequencer.pending)
        for asset in catalogue().assets:
            self.do(ListAsset(asset))
        for symbol in catalogue().symbols:
            self.do(ListSymbol(symbol))
        self.histories: Mapping[str, History] = {}
        if opens:
            self.do(opening(SEED, BIRTH_US))
            assert self.participants.opened is not None
            self.histories = histories_of(self.participants.opened, self.spot.rules)
        self.views = Views(self.archive, self.histories)
        self.views.warm_up([rules.symbol for rules in self.spot.symbols()])
        self.feed = MarketFeed(
            self.spot, self.views, lambda: self.sequencer.position, lambda: self.sequencer.durable_position
        )
        for consumer in (self.archive, self.views, self):
            self.sequencer.add_consumer(consumer)
        self.do(Fund(ACCOUNT, "USDT", parse_money("1000000000")), Fund(ACCOUNT, "BTC", parse_money("10000")))

    def _assets_of(self, symbol: str) -> tuple[str, str]:
        rules = self.spot.rules(symbol)
        assert rules is not None
        return rules.base_asset, rules.quote_asset

    def receive(self, published: Sequence[Published]) -> None:
        for one in published:
            self.prints += [effect for effect in one.effects if isinstance(effect, Print)]
            if self._feeds:
                self.feed.tell(one)
        if self._feeds:
            self.feed.heard(published[-1].position)

    def apply(self, *commands: Any) -> None:
        """Without a commit."""
        for command in commands:
            outcome = self.sequencer.submit("spot", command)
            assert not isinstance(outcome, Refusal), outcome

    def commit(self) -> None:
        self.loop.run()

    def do(self, *commands: Any) -> None:
        self.apply(*commands)
        self.commit()

    def order(self, side: str, quantity: str, price: int = 0, symbol: str = SYMBOL) -> PlaceOrder:
        """A LIMIT order if a price (1e-8 units) is given, else a MARKET order."""
        return PlaceOrder(
            operator_admission(ACCOUNT),
            symbol,
            side,
            "LIMIT" if price else "MARKET",
            "GTC" if price else "",
            parse_money(quantity),
            0,
            price,
        )

    def cancel_all(self) -> None:
        if self.spot.open_orders(ACCOUNT, SYMBOL):
            self.do(CancelOpenOrders(operator_admission(ACCOUNT), SYMBOL))

    def tick(self) -> None:
        """A second of the market."""
        self.now_us += SECOND_US
        self.do(MarketTick(SECOND_US))

    def pulse(self) -> bool:
        return self.feed.pulse(self.now_us)

    def seconds(self, count: int) -> None:
        """Ticks at this moment of each second, and pulses at each whole one."""
        for _ in range(count):
            tick_us = self.now_us + SECOND_US
            self.now_us = tick_us // SECOND_US * SECOND_US
            self.pulse()
            self.now_us = tick_us
            self.do(MarketTick(SECOND_US))

    def listen(self, *names: str, microseconds: bool = False) -> Ear:
        ear = Ear(microseconds)
        for name in names:
            self.feed.listen(name, ear, self.now_us)
        return ear

    def close(self) -> None:
        self.archive.stop()
