"""A watched book: what is reported after each command gives, bit by bit, the book that queries show."""

from __future__ import annotations

import random
from collections.abc import Sequence

from sparekey.terms.money import format_money
from sparekey.venue.book_watch import leave_book, watch_book
from sparekey.venue.effects import BookChanged
from sparekey.venue.events import Allocated, MatchPrevented
from tests.spot_desk import MODES, FixedQuotes, SpotDesk, routed_desk, units
from tests.unit.market.live import LiveMarket

SYMBOL = "BTCUSDT"


class LocalBook:
    """What somebody knows who was told where a book stood, and every change since."""

    def __init__(self, update_id: int, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]]) -> None:
        self.update_id = update_id
        self.bids, self.asks = dict(bids), dict(asks)
        self.reports = 0

    def hear(self, report: BookChanged) -> None:
        assert report.update_id > self.update_id
        self.update_id = report.update_id
        self.reports += 1
        for side, changes in ((self.bids, report.bids), (self.asks, report.asks)):
            if report.whole:
                side.clear()
            for price, quantity in changes:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)

    def levels(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())


def test_a_watched_book_is_told_change_by_change_in_a_live_market() -> None:
    """Ticks, takers, orders that rest, trade and prevent each other, icebergs among them, on three symbols."""
    chance = random.Random(5)
    live = LiveMarket()
    live.fund(BTC="1000", ETH="1000", USDT="100000000")
    for _ in range(3):
        live.tick()
    state = live.shard.state
    symbols = (SYMBOL, "ETHUSDT", "ETHBTC")
    books = {symbol: LocalBook(*watch_book(state, symbol)) for symbol in symbols}
    for step in range(400):
        symbol = chance.choice(symbols)
        bids, asks = live.depth(symbol)
        act = chance.randrange(10)
        if act == 0:
            live.tick()
        elif act == 1:
            live.order(symbol, chance.choice(("BUY", "SELL")), "MARKET", quantity="0.5")
        else:
            level = chance.choice((bids, asks))[chance.randrange(12)]
            side = chance.choice(("BUY", "SELL"))
            iceberg = {"iceberg_quantity": "0.02"} if act == 2 else {}
            live.order(symbol, side, "LIMIT", quantity="0.05", price=format_money(level[0]), **iceberg)
        for effect in live.effects:
            if isinstance(effect, BookChanged):
                books[effect.symbol].hear(effect)
        for name, book in books.items():
            assert book.levels() == tuple(map(list, live.depth(name))), (step, name)
            assert book.update_id <= state.last_update_id(name)
    assert all(book.reports > 30 for book in books.values())


def test_quotes_that_are_taken_and_orders_that_prevent_each_other_are_told_of() -> None:
    quotes = FixedQuotes([("99", "2")], [("101", "2")])
    desk = SpotDesk(quotes)
    desk.open_market()
    desk.tick()
    book = LocalBook(*watch_book(desk.state, SYMBOL))

    def follows() -> None:
        for effect in desk.effects:
            if isinstance(effect, BookChanged):
                book.hear(effect)
        desk.effects.clear()
        assert book.levels() == tuple(map(list, desk.state.depth(SYMBOL, 100)))

    desk.rest(1, "BUY", "1", "99")
    follows()
    desk.order(2, "SELL", "2.5", "99")  # the order and part of the quote behind it
    follows()
    desk.rest(1, "BUY", "3", "98")
    desk.order(1, "SELL", "1", "98", prevention_mode="DECREMENT")
    follows()
    desk.rest(2, "SELL", "1.5", "103")
    quotes.quote([("104", "1")], [("105", "1")])  # the quote meets the resting order
    quotes.take("BUY", "0.25")
    desk.tick()
    follows()
    assert desk.state.depth(SYMBOL, 1)[1] == [(103 * 10**8, 25 * 10**6)]


def test_a_book_that_orders_of_another_symbol_are_routed_to_is_told_of_as_well() -> None:
    chance = random.Random(9)
    one = routed_desk(FixedQuotes([("99.98", "5")], [("100.02", "5")]))
    one.open_market()
    one.tick()
    books = {symbol: LocalBook(*watch_book(one.state, symbol)) for symbol in ("BTCUSDT", "BTCUSDC")}
    for step in range(300):
        one.order(
            chance.choice((1, 2, 3)),
            chance.choice(("BUY", "SELL")),
            f"{chance.randrange(1, 100) / 100:.2f}",
            f"{chance.randrange(9_996, 10_005) / 100:.2f}",
            symbol=chance.choice(tuple(books)),
            iceberg_quantity=units("0.01") if chance.randrange(4) == 0 else 0,
            prevention_mode=chance.choice(MODES),
            routed=chance.randrange(2) == 0,
        )
        for effect in one.effects:
            if isinstance(effect, BookChanged):
                books[effect.symbol].hear(effect)
        one.effects.clear()
        for name, book in books.items():
            assert book.levels() == tuple(map(list, one.state.depth(name, 1_000))), (step, name)
    events = [event for _, events in one.journal for event in events]
    assert len({event.source for event in events if isinstance(event, Allocated)}) == 2
    assert any(event.maker_symbol for event in events if isinstance(event, MatchPrevented))


def test_a_book_that_nobody_watches_any_more_costs_and_tells_nothing() -> None:
    live = LiveMarket()
    live.fund(USDT="1000000")
    watch_book(live.shard.state, SYMBOL)
    live.order(SYMBOL, "BUY", "LIMIT", quantity="0.05", price="40000")
    assert [type(effect) for effect in live.effects] == [BookChanged]
    leave_book(live.shard.state, SYMBOL)
    leave_book(live.shard.state, SYMBOL)
    live.order(SYMBOL, "BUY", "LIMIT", quantity="0.05", price="40000")
    live.tick()
    assert not any(isinstance(effect, BookChanged) for effect in live.effects)
    assert live.shard.state.markets[SYMBOL].bids.touched is None
