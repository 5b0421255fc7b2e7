"""Participants decide from a few integers, change nothing by deciding, and are the same wherever they are loaded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sparekey.market.opening import compose_opening
from sparekey.market.participants import PROGRAM, MarketMoved, SeededParticipants
from sparekey.terms.clocktime import DAY_US, SECOND_US
from sparekey.terms.money import ONE
from sparekey.venue.catalogue import Anchor
from sparekey.venue.commands import MarketTick, ReplayPrints
from sparekey.venue.events import MarketOpened, MarketPrint, OpenedSymbol
from tests.unit.market.listed import BIRTH_US, catalogue, listed, opened, rules_of
from tests.unit.market.live import LiveMarket, fresh_shard, middle, prints_of

BTC = 6_500_000_000_000


def participants(event: MarketOpened | None = None) -> SeededParticipants:
    made = SeededParticipants(rules_of)
    made.apply_opened(event or opened())
    return made


def quotes(market: SeededParticipants) -> list[Any]:
    return [(list(market.bids(symbol)), list(market.asks(symbol))) for symbol in listed()]


def through_msgpack(data: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(data))


def test_deciding_changes_nothing() -> None:
    market = participants()
    for _ in range(5):
        before, quoted = market.dump(), quotes(market)
        event, takers = market.decide_tick(SECOND_US)
        assert (market.dump(), quotes(market)) == (before, quoted)
        assert market.decide_tick(SECOND_US) == (event, takers)
        market.apply(event)
        assert quotes(market) != quoted


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    one, same, other = participants(), participants(), participants(opened(7))
    for _ in range(20):
        event, takers = one.decide_tick(SECOND_US)
        assert same.decide_tick(SECOND_US) == (event, takers)
        stranger, strange_takers = other.decide_tick(SECOND_US)
        assert stranger != event and strange_takers != takers
        one.apply(event)
        same.apply(event)
        other.apply(stranger)


def test_a_market_that_was_written_down_goes_on_as_if_it_had_not_been() -> None:
    market = participants()
    market.note_taken("ETHBTC", 5 * ONE, True)
    for tick in range(30):
        copy = SeededParticipants(rules_of)
        copy.load(through_msgpack(market.dump()))
        assert copy.dump() == market.dump()
        assert copy.opened == market.opened
        assert quotes(copy) == quotes(market)
        event, takers = market.decide_tick(SECOND_US * (1 + tick % 10))
        assert copy.decide_tick(SECOND_US * (1 + tick % 10)) == (event, takers)
        market.apply(event)


def test_an_unopened_market_quotes_nothing_and_is_written_down_as_nothing() -> None:
    market = SeededParticipants(rules_of)
    assert market.bids("BTCUSDT") == market.asks("BTCUSDT") == ()
    assert market.dump() == []
    loaded = participants()
    loaded.load([])
    assert loaded.bids("BTCUSDT") == () and loaded.dump() == []


def test_a_journal_that_is_only_applied_ends_in_the_same_state() -> None:
    """The way of a start: events out of the journal's bytes, nothing decided; every tick compared."""
    live = LiveMarket()
    live.fund(BTC="100", USDT="1000000")
    shard, _ = fresh_shard()
    shard.load(through_msgpack(live.shard.dump()))
    for tick in range(60):
        events = list(live.tick(SECOND_US * (1 + tick % 3)))
        if tick % 7 == 0:
            events += live.order("BTCUSDT", "BUY", "MARKET", quantity="0.7")
        if tick % 11 == 0:
            events += live.order("BTCUSDT", "SELL", "LIMIT", quantity="0.05", price="65000")
        shard.apply(shard.decode_events(msgspec.msgpack.encode(events)), live.now_us)
        assert shard.dump() == live.shard.dump()
        assert shard.state.depth("BTCUSDT", 100) == live.shard.state.depth("BTCUSDT", 100)


def test_a_program_that_is_not_known_is_refused_by_both_versions() -> None:
    event = opened()
    strange = MarketOpened(PROGRAM + 1, event.seed, event.symbols, event.birth_us)
    with pytest.raises(ValueError, match=rf"version {PROGRAM + 1} .* knows\s+version {PROGRAM}"):
        participants(strange)
    market = participants()
    dumped = market.dump()
    dumped[0] = PROGRAM + 1
    with pytest.raises(ValueError, match=f"version {PROGRAM + 1}"):
        SeededParticipants(rules_of).load(dumped)


def test_a_symbol_that_is_not_listed_and_an_event_of_others_are_refused() -> None:
    with pytest.raises(ValueError, match="NOSUCH, which is not listed"):
        participants(MarketOpened(PROGRAM, 1, (OpenedSymbol("NOSUCH", ONE, ONE, 1),)))
    with pytest.raises(ValueError, match="OpenedSymbol is no event of the participants"):
        participants().apply(OpenedSymbol("BTCUSDT", ONE, ONE, 1))


def assert_lawful(market: SeededParticipants) -> None:
    for symbol, rules in listed().items():
        bids, asks = market.bids(symbol), market.asks(symbol)
        assert all(price > 0 and price % rules.tick_size == 0 for price, _ in [*bids, *asks])
        assert all(quantity >= rules.min_quantity and quantity % rules.step_size == 0 for _, quantity in [*bids, *asks])
        assert [price for price, _ in bids] == sorted({price for price, _ in bids}, reverse=True)
        assert [price for price, _ in asks] == sorted({price for price, _ in asks})
        assert bids[0][0] < asks[0][0]


def test_quotes_are_on_tick_and_step_in_order_and_apart() -> None:
    market = participants()
    for _ in range(200):
        event, takers = market.decide_tick(SECOND_US)
        market.apply(event)
        assert_lawful(market)
        for symbol, acting in takers.items():
            rules = listed()[symbol]
            for taker in acting:
                assert taker.quantity >= rules.min_quantity and taker.quantity % rules.step_size == 0


def test_a_price_of_a_few_ticks_still_has_quotes_above_zero() -> None:
    symbols = tuple(OpenedSymbol(symbol, rules.tick_size * 3, 1_000_000 * ONE, 1) for symbol, rules in listed().items())
    market = participants(MarketOpened(PROGRAM, 3, symbols))
    for _ in range(50):
        event, _ = market.decide_tick(SECOND_US)
        market.apply(event)
        for symbol in listed():
            bids, asks = market.bids(symbol), market.asks(symbol)
            assert bids[-1][0] > 0 and bids[0][0] < asks[0][0]


@pytest.mark.parametrize("elapsed_us", [1, 1_000, 10 * SECOND_US, 91 * DAY_US, 10_000 * DAY_US])
def test_a_tick_of_any_length_is_survived(elapsed_us: int) -> None:
    market = participants()
    for _ in range(20):
        event, _ = market.decide_tick(elapsed_us)
        market.apply(msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=MarketMoved))
        assert_lawful(market)
        assert msgspec.msgpack.encode(market.dump())


def test_what_accounts_press_is_bounded_and_can_be_written_down() -> None:
    market = participants(opened(2**64 - 1))
    for _ in range(100):
        market.note_taken("BTCUSDT", 2**63 - 1, True)
        market.note_taken("ETHBTC", 2**63 - 1, False)
    assert market.dump() == through_msgpack(market.dump())
    for _ in range(30):
        event, _ = market.decide_tick(SECOND_US)
        market.apply(event)
        assert_lawful(market)


# --- pressure --------------------------------------------------------------------------------------------------------


def moved_by_pressing(symbol: str, usdt: int, *, is_buy: bool, ticks: int = 3) -> dict[str, float]:
    """How much each symbol's price differs, in basis points, from the same market left alone."""
    pressed, alone = participants(), participants()
    rate = {"USDT": ONE, "BTC": BTC}[listed()[symbol].quote_asset]
    pressed.note_taken(symbol, usdt * ONE * ONE // rate, is_buy)
    for _ in range(ticks):
        pressed.apply(pressed.decide_tick(SECOND_US)[0])
        alone.apply(alone.decide_tick(SECOND_US)[0])

    def price(market: SeededParticipants, name: str) -> float:
        return middle(market.bids(name), market.asks(name))

    return {name: (price(pressed, name) / price(alone, name) - 1) * 10_000 for name in listed()}


def test_buying_for_100_000_usdt_lifts_the_price_by_two_basis_points_for_good() -> None:
    for ticks in (1, 10):
        moved = moved_by_pressing("BTCUSDT", 100_000, is_buy=True, ticks=ticks)
        assert moved["BTCUSDT"] == pytest.approx(2, abs=0.05)
        assert moved["ETHUSDT"] == 0
        assert moved["ETHBTC"] < 0
    assert moved_by_pressing("BTCUSDT", 100_000, is_buy=False)["BTCUSDT"] == pytest.approx(-2, abs=0.05)


def test_buying_a_cross_lifts_its_base_and_lowers_its_quote() -> None:
    moved = moved_by_pressing("ETHBTC", 1_000_000, is_buy=True)
    assert moved["ETHUSDT"] == pytest.approx(20, abs=0.5)
    assert moved["BTCUSDT"] == pytest.approx(-20, abs=0.5)


def test_only_accounts_press() -> None:
    """Participants trade with each other all the time; what is noted comes from an account's fills."""
    live = LiveMarket()
    live.fund(USDT="1000000")
    live.tick()
    assert live.participants.dump()[-1] == []
    live.order("BTCUSDT", "BUY", "MARKET", quote_quantity="50000")
    ((asset, taken),) = live.participants.dump()[-1]
    assert asset == "BTC" and taken == pytest.approx(50_000 * ONE, rel=0.001)
    live.tick()
    assert live.participants.dump()[-1] == []


# --- recorded symbols ------------------------------------------------------------------------------------------------


def test_a_recorded_symbol_is_quoted_around_its_last_print_and_by_nothing_else() -> None:
    first = 3_943_248_000_000
    live = LiveMarket(recorded={"BTCUSDT": first})
    assert abs(middle(*live.depth("BTCUSDT")) - first) <= 1_000_000
    for _ in range(5):
        quoted = live.depth("BTCUSDT")
        live.tick()
        assert live.depth("BTCUSDT") == quoted
        assert {effect.symbol for effect in live.effects} == set(listed()) - {"BTCUSDT"}
    recorded = (MarketPrint(3_950_000_000_000, ONE, True), MarketPrint(3_960_000_000_000, ONE // 2, False))
    events = live.do(ReplayPrints("BTCUSDT", recorded))
    assert prints_of(events) == list(recorded)
    bids, asks = live.depth("BTCUSDT")
    assert abs(middle(bids, asks) - 3_960_000_000_000) <= 1_000_000
    assert min(len(bids), len(asks)) >= 50


def test_crosses_follow_a_recorded_price() -> None:
    live = LiveMarket(recorded={"BTCUSDT": 4_000_000_000_000})
    for price in (4_000_000_000_000, 5_000_000_000_000):
        live.do(ReplayPrints("BTCUSDT", (MarketPrint(price, ONE, True),)))
        live.do(MarketTick(SECOND_US))
        implied = middle(*live.depth("ETHUSDT")) / price
        assert middle(*live.depth("ETHBTC")) / ONE == pytest.approx(implied, rel=0.002)


def test_a_recorded_cross_leaves_the_other_prices_alone() -> None:
    live = LiveMarket(recorded={"XRPETH": 141_342})
    quoted = live.depth("XRPUSDT"), live.depth("ETHUSDT")
    live.do(ReplayPrints("XRPETH", (MarketPrint(150_000, ONE, True),)))
    assert (live.depth("XRPUSDT"), live.depth("ETHUSDT")) == quoted
    assert middle(*live.depth("XRPETH")) == pytest.approx(150_000, rel=0.001)


def test_the_assets_of_a_recorded_cross_open_where_the_triangle_holds() -> None:
    live = LiveMarket(recorded={"XRPETH": 141_342})
    implied = middle(*live.depth("XRPUSDT")) / middle(*live.depth("ETHUSDT"))
    assert implied == pytest.approx(141_342 / ONE, rel=0.002)


# --- opening ---------------------------------------------------------------------------------------------------------


def test_crosses_without_an_anchor_open_where_their_assets_prices_meet() -> None:
    prices = {symbol.symbol: symbol.price for symbol in opened().symbols}
    assert prices["BTCUSDT"] == BTC
    assert prices["ETHBTC"] == pytest.approx(prices["ETHUSDT"] * ONE / BTC, abs=listed()["ETHBTC"].tick_size)
    recorded = {symbol.symbol: symbol.price for symbol in opened(recorded={"BTCUSDT": BTC // 2}).symbols}
    assert recorded["ETHBTC"] == pytest.approx(2 * prices["ETHBTC"], abs=2 * listed()["ETHBTC"].tick_size)


def test_what_cannot_open_is_refused_by_name() -> None:
    anchors = catalogue().anchors
    with pytest.raises(ValueError, match="seed must be a whole number from 0"):
        compose_opening(2**64, anchors, rules_of, BIRTH_US)
    with pytest.raises(ValueError, match="recording of DOGEEUR, which this venue does not list"):
        compose_opening(1, anchors, rules_of, BIRTH_US, {"DOGEEUR": ONE})
    with pytest.raises(ValueError, match="no price for ETHBTC"):
        compose_opening(1, [Anchor("ETHBTC", 0, ONE)], rules_of, BIRTH_US)
    with pytest.raises(ValueError, match="NOSUCH is not listed"):
        compose_opening(1, [Anchor("NOSUCH", ONE, ONE)], rules_of, BIRTH_US)


# --- idling ----------------------------------------------------------------------------------------------------------


def test_an_idle_day_of_ticks_is_less_than_fifteen_megabytes_of_events() -> None:
    live = LiveMarket()
    ticks, written = 500, 0
    for _ in range(ticks):
        events = live.tick(10 * SECOND_US)
        written += len(msgspec.msgpack.encode(events))
        assert all(1 <= sum(e.symbol == symbol for e in live.effects) <= 2 for symbol in listed())
    assert written / ticks * 8_640 < 15_000_000
