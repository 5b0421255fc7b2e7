"""Participants beside accounts: quotes in the book, orders that quotes cross, takers, recorded prints."""

from __future__ import annotations

from typing import Any

from sparekey.terms.reasons import Reason
from sparekey.venue.commands import MarketTick, ReplayPrints
from sparekey.venue.effects import Print
from sparekey.venue.events import Filled, MarketPrint, Printed
from tests.spot_desk import FixedQuotes, SpotDesk, ending, fills, plain, refused, units


def opened(bids: Any = (("99", "5"), ("98", "5")), asks: Any = (("101", "5"), ("102", "5"))) -> tuple[SpotDesk, FixedQuotes]:  # fmt: skip  # noqa: E501
    quotes = FixedQuotes(bids, asks)
    desk = SpotDesk(quotes)
    desk.open_market()
    return desk, quotes


def shown(desk: SpotDesk) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    bids, asks = desk.state.depth("BTCUSDT", 100)
    return [(plain(p), plain(q)) for p, q in bids], [(plain(p), plain(q)) for p, q in asks]


def test_quotes_and_orders_show_as_one_book() -> None:
    desk, _ = opened()
    desk.rest(1, "BUY", "1", "100")
    desk.rest(1, "BUY", "1", "98")
    desk.rest(2, "SELL", "2", "105")
    assert shown(desk) == (
        [("100", "1"), ("99", "5"), ("98", "6")],
        [("101", "5"), ("102", "5"), ("105", "2")],
    )


def test_an_account_takes_from_quotes_and_they_stay_taken_until_renewed() -> None:
    desk, quotes = opened()
    events = desk.order(1, "BUY", "7", "102")
    assert fills(events) == [("101", "5"), ("102", "2")]
    assert shown(desk)[1] == [("102", "3")]
    assert quotes.taken == [("BTCUSDT", units("505"), True), ("BTCUSDT", units("204"), True)]
    desk.tick()
    assert shown(desk)[1] == [("101", "5"), ("102", "5")]


def test_at_one_price_the_accounts_order_goes_before_the_quote() -> None:
    desk, _ = opened()
    desk.rest(1, "SELL", "1", "101")
    events = desk.order(2, "BUY", "2", "101")
    assert not isinstance(events, tuple)
    assert [event.maker_account_id for event in events if isinstance(event, Filled)] == [1, 0]  # type: ignore[union-attr]


def test_quotes_that_cross_a_resting_order_fill_it_at_its_own_price() -> None:
    desk, quotes = opened()
    order_id = desk.rest(1, "BUY", "8", "100")
    quotes.quote([("97", "5")], [("98", "3"), ("99", "4"), ("103", "5")])
    events = desk.tick()
    assert fills(events) == [("100", "7")]
    order = desk.state.open_order(1, "BTCUSDT", order_id=order_id)
    assert order is not None
    assert plain(order.remaining) == "1"
    # What met the order is gone, so the book is not crossed.
    assert shown(desk) == ([("100", "1"), ("97", "5")], [("103", "5")])
    assert desk.holds(1, "BTC") == ("16.993", "0")


def test_resting_sells_are_crossed_from_below_in_their_order() -> None:
    desk, quotes = opened()
    desk.rest(1, "SELL", "1", "101")
    desk.rest(2, "SELL", "1", "100.5")
    quotes.quote([("101", "1.5")], [("110", "1")])
    events = desk.tick()
    assert fills(events) == [("100.5", "1"), ("101", "0.5")]
    assert shown(desk) == ([], [("101", "0.5"), ("110", "1")])


def test_takers_print_against_quotes_and_fill_accounts() -> None:
    desk, quotes = opened()
    desk.rest(1, "SELL", "1", "101")
    desk.rest(1, "SELL", "1", "101.5")
    quotes.take("BUY", "8")
    events = desk.tick()
    assert isinstance(events, list)
    kinds = [type(event).__name__ for event in events[1:]]
    assert kinds == ["Filled", "OrderClosed", "Printed", "Filled", "OrderClosed", "Printed"]
    prints = [(plain(one.price), plain(one.quantity)) for one in desk.effects if isinstance(one, Print)]
    assert prints == [("101", "1"), ("101", "5"), ("101.5", "1"), ("102", "1")]
    ids = [one.trade_id for one in desk.effects if isinstance(one, Print)]
    assert ids == [1000, 1001, 1002, 1003]
    assert plain(desk.state.last_price("BTCUSDT")) == "102"
    assert shown(desk)[1] == [("102", "4")]


def test_recorded_prints_take_accounts_orders_first_and_print_the_rest() -> None:
    desk, _ = opened()
    desk.rest(1, "BUY", "1", "99.5")
    events = desk.do(
        ReplayPrints("BTCUSDT", (MarketPrint(units("99.123"), units("3"), True), MarketPrint(units("99.2"), 5, False)))
    )
    assert isinstance(events, list)
    assert fills(events) == [("99.5", "1")]
    assert [plain(one.price) for event in events if isinstance(event, Printed) for one in event.prints] == [
        "99.123",
        "99.2",
    ]
    assert shown(desk) == ([("99.19", "1")], [("99.21", "1")])


def test_a_market_that_is_not_open_does_not_tick() -> None:
    assert refused(SpotDesk().do(MarketTick(1))) is Reason.REQUEST_INVALID
    assert refused(SpotDesk().do(ReplayPrints("BTCUSDT", ()))) is Reason.REQUEST_INVALID


def test_the_update_id_grows_with_every_change_of_the_book() -> None:
    desk, _ = opened()
    seen = [desk.state.last_update_id("BTCUSDT")]

    def grew() -> bool:
        seen.append(desk.state.last_update_id("BTCUSDT"))
        return seen[-1] > seen[-2]

    order_id = desk.rest(1, "BUY", "1", "90")
    assert grew()
    desk.order(1, "BUY", "1", "101")
    assert grew()
    desk.cancel(1, order_id)
    assert grew()
    desk.tick()
    assert grew()
    assert ending(desk.order(1, "BUY", "1", "90", tif="IOC"))[0] == "EXPIRED"
    assert not grew()


def test_a_shard_loads_what_it_dumped_and_goes_on_alike() -> None:
    desk, _ = opened()
    for number in range(5):
        desk.rest(1, "BUY", "1", f"9{number}.5")
        desk.rest(2, "SELL", "1", f"10{number}.5", symbol="BTCUSDT")
    desk.order(3, "BUY", "2", "101")
    again = SpotDesk(FixedQuotes())
    again.shard.load(desk.shard.dump())
    assert again.shard.dump() == desk.shard.dump()
    again.now_us = desk.now_us
    for one in (desk, again):
        one.order(3, "SELL", "20")
        one.cancel_all(1)
    assert again.shard.dump() == desk.shard.dump()
