"""Random flows on the spot shard: a naive second venue agrees, money is conserved, and applying equals deciding."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparekey.sequencer.frames import encode
from sparekey.terms.refusals import Refusal
from sparekey.venue.book_watch import watch_book
from sparekey.venue.effects import BookChanged, ClosedOrder
from sparekey.venue.events import Filled, OrderPlaced, OrderStarted
from tests.naive_venue import NaiveOrder, NaiveVenue
from tests.spot_desk import FixedQuotes, SpotDesk, units
from tests.unit.venue.test_book_watch import LocalBook

ACCOUNTS = (1, 2, 3)
STEP = Decimal("0.00001")
SCALE = 10**8

MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_BOTH", "DECREMENT")

#: What an order may be beside its time in force: (part of the quantity that shows, stop in cents above 100, trailing
#: basis points, peg, levels deeper)
Wish = tuple[int, int | None, int, str, int]
#: (account, action, side, quantity in steps, price in cents above 100, client order to cancel, wish)
Action = tuple[int, str, str, int, int, int, Wish]
RULES: dict[str, Any] = {
    "min_notional": 0,
    "min_quantity": units("0.00001"),
    "prevention_modes": ("EXPIRE_MAKER", *MODES),
    "max_algo_orders": 0,
    "iceberg_allowed": True,
    "trailing_allowed": True,
    "max_trailing_above": 100,
    "max_trailing_below": 100,
    "peg_allowed": True,
}
KINDS = ("GTC", "GTC", "GTC", "IOC", "FOK", "MAKER", "MARKET", "cancel", *MODES)
STOPS = ("STOP_LOSS", "TAKE_PROFIT")
PEGS = {"OWN": "PRIMARY_PEG", "OTHER": "MARKET_PEG"}
wishes = st.tuples(
    st.sampled_from((0, 0, 0, 2, 5)),
    st.sampled_from((None, None, -6, -4, -3, -2, -1, 1, 2, 3, 4, 6)),
    st.sampled_from((0, 0, 0, 1, 2, 3)),
    st.sampled_from(("", "", "", "OWN", "OTHER")),
    st.sampled_from((0, 0, 1)),
)
actions = st.tuples(
    st.sampled_from(ACCOUNTS),
    st.sampled_from((*KINDS, *STOPS, *STOPS)),
    st.sampled_from(("BUY", "SELL")),
    st.integers(1, 100_000),
    st.integers(-7, 7),
    st.integers(0, 30),
    wishes,
)


def decimal(amount: int) -> Decimal:
    return Decimal(amount) / SCALE


def text(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:f}"


def wanted(number: int, action: Action) -> tuple[NaiveOrder, str]:
    """The order that an action means, and the type that the product calls it by."""
    account, kind, side, steps, cents, _, (shows, stop_cents, delta, peg, level) = action
    order = NaiveOrder(number, account, side, steps * STEP, Decimal(100) + Decimal(cents) / 100)
    order.mode = kind if kind in MODES else "EXPIRE_MAKER"
    order.tif = kind if kind in ("IOC", "FOK") else "GTC"
    name = "LIMIT"
    if kind == "MARKET":
        order.kind = name = "MARKET"
    elif kind == "MAKER":
        order.kind, name = "MAKER", "LIMIT_MAKER"
    elif kind in STOPS:
        order.above = (side == "BUY") == (kind == "STOP_LOSS")
        order.delta = delta
        if stop_cents is not None or not delta:
            order.stop = Decimal(100) + Decimal(stop_cents or 1) / 100
        name = kind
        if shows or cents % 2:
            name = f"{kind}_LIMIT"
        else:
            order.kind = "MARKET"
    if order.kind == "MARKET":
        order.price = None
        return order, name
    if shows and steps >= shows and order.tif == "GTC":
        order.part = steps // shows * STEP
    pegs = name.endswith("_LIMIT") or (order.tif == "GTC" if peg == "OWN" else name == "LIMIT")
    if peg and pegs:
        order.price, order.peg, order.level = None, peg, level
    return order, name


class Pair:
    """The product and the naive venue, given the same orders."""

    def __init__(self) -> None:
        # Small balances, so that some orders are refused for want of money; no notional bound.
        self.desk = SpotDesk(**RULES)
        self.naive = NaiveVenue(STEP, {account: [Decimal(10), Decimal(1_000_000)] for account in ACCOUNTS})
        self.placed: list[tuple[int, int]] = []
        self.refusals: Counter[str] = Counter()
        #: what somebody knows of the book who is told of its changes alone
        self.told = LocalBook(*watch_book(self.desk.state, "BTCUSDT"))
        self.heard = 0

    def act(self, action: Action) -> None:
        account, kind, side, _, _, chosen, _ = action
        if kind == "cancel":
            self.cancel(account, chosen)
            return
        number = len(self.placed) + 1
        order, name = wanted(number, action)
        outcome = self.desk.order(
            account,
            side,
            text(order.left),
            text(order.price),
            type=name,
            tif=order.tif,
            stop=text(order.stop),
            prevention_mode=order.mode,
            iceberg_quantity=units(text(order.part)) if order.part else 0,
            trailing_delta=order.delta,
            peg_price_type=PEGS.get(order.peg, ""),
            peg_offset=order.level,
        )
        refusal = self.naive.place(order)
        if isinstance(outcome, Refusal):
            assert outcome.reason.slug == refusal
            self.refusals[refusal] += 1
            return
        assert not refusal
        placed = outcome[0]
        assert isinstance(placed, OrderPlaced)
        assert placed.order_id == number
        self.placed.append((account, number))
        self.compare()

    def cancel(self, account: int, chosen: int) -> None:
        if self.placed:
            _, number = self.placed[chosen % len(self.placed)]
            done = not isinstance(self.desk.cancel(account, number), Refusal)
            assert done == self.naive.cancel(account, number)
            self.compare()

    def compare(self) -> None:
        for account in ACCOUNTS:
            balances = self.desk.state.balances(account)
            assert (decimal(balances["BTC"].free), decimal(balances["USDT"].free)) == self.naive.free(account)
            assert (decimal(balances["BTC"].locked), decimal(balances["USDT"].locked)) == self.naive.locked(account)
        market = self.desk.state.markets["BTCUSDT"]
        for side, name in ((market.bids, "BUY"), (market.asks, "SELL")):
            mine = [
                (order.order_id, decimal(order.working_price), decimal(order.remaining), decimal(order.shown))
                for order in side.orders_from_best()
            ]
            sign = -1 if name == "BUY" else 1
            theirs = sorted(
                (order for order in self.naive.orders if order.side == name),
                key=lambda order: (sign * (order.price or 0), order.place_in_line),
            )
            assert mine == [(order.number, order.price, order.left, order.shown) for order in theirs]
        for effect in self.desk.effects[self.heard :]:
            if isinstance(effect, BookChanged):
                self.told.hear(effect)
        self.heard = len(self.desk.effects)
        assert self.told.levels() == tuple(map(list, self.desk.state.depth("BTCUSDT", 1_000)))
        waiting = {
            order.order_id: (order.trailing_us >= 0, decimal(order.best_seen) or None)
            for order in market.orders.values()
            if order.working_us < 0
        }
        assert waiting == {order.number: (order.tracking, order.best) for order in self.naive.waiting}
        closed = {
            one.order_id: (one.status, one.expiry_reason) for one in self.desk.effects if isinstance(one, ClosedOrder)
        }
        assert closed == self.naive.ends
        trades = [
            (event.maker_order_id, event.taker_order_id, decimal(event.price), decimal(event.quantity))
            for _, events in self.desk.journal
            for event in events
            if isinstance(event, Filled)
        ]
        assert trades == [(one.maker, one.taker, one.price, one.quantity) for one in self.naive.trades]


def agree(flow: Sequence[Action]) -> Pair:
    """Play it on both."""
    pair = Pair()
    for action in flow:
        pair.act(action)
    return pair


@settings(max_examples=60, deadline=None)
@given(st.lists(actions, min_size=1, max_size=30))
def test_a_naive_venue_gives_the_same_trades_balances_and_book(flow: list[Action]) -> None:
    agree(flow)


@pytest.mark.parametrize("seed", range(4))
def test_a_naive_venue_agrees_on_long_flows(seed: int) -> None:
    pair = agree(random_flow(seed, 250))
    assert len(pair.naive.trades) > 50
    # The flow has what it is there for.
    started = [event for _, events in pair.desk.journal for event in events if isinstance(event, OrderStarted)]
    assert len(started) > 10
    assert any(event.pegged_price for event in started)
    assert set(pair.refusals) <= {"balance-insufficient", "would-match", "would-trigger", "peg-liquidity"}


def random_flow(seed: int, length: int) -> list[Action]:
    rng = random.Random(seed)
    kinds = (*("GTC",) * 5, "IOC", "FOK", "MAKER", "MARKET", "cancel", "DECREMENT", "EXPIRE_BOTH", *STOPS, *STOPS)
    return [
        (
            rng.choice(ACCOUNTS),
            rng.choice(kinds),
            rng.choice(("BUY", "SELL")),
            rng.choice((1, 7, rng.randrange(1, 200_000))),
            rng.randrange(-6, 7),
            rng.randrange(1000),
            (
                rng.choice((0, 0, 0, 3, 7)),
                rng.choice((None, *range(-5, 0), *range(1, 6))),
                rng.choice((0, 0, 1, 2, 4)),
                rng.choice(("", "", "", "", "OWN", "OTHER")),
                rng.choice((0, 0, 1, 2)),
            ),
        )
        for _ in range(length)
    ]


def busy_desk(seed: int) -> SpotDesk:
    """Accounts, quotes, ticks and cancels in a mix."""
    rng = random.Random(seed)
    quotes = FixedQuotes([("99.9", "3")], [("100.1", "3")])
    desk = SpotDesk(quotes, **RULES)
    desk.open_market()
    for _ in range(150):
        desk.now_us += rng.randrange(2_000_000)
        account, side = rng.choice(ACCOUNTS), rng.choice(("BUY", "SELL"))
        quantity, price = f"0.{rng.randrange(1, 99):02}", f"{9_900 + rng.randrange(200)}"
        price = f"{price[:-2]}.{price[-2:]}"
        hidden = {"iceberg_quantity": units("0.01")} if rng.random() < 0.2 else {}
        match rng.randrange(8):
            case 0 | 1 | 2:
                desk.order(account, side, quantity, price, prevention_mode=rng.choice((*MODES, "")), **hidden)
            case 6:
                kind = rng.choice(("STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"))
                stop, delta = rng.choice(((price, 0), ("", rng.randrange(1, 30))))
                desk.order(account, side, quantity, price, type=kind, stop=stop, trailing_delta=delta, **hidden)
            case 7:
                kind, to = rng.choice((("STOP_LOSS_LIMIT", "MARKET_PEG"), ("LIMIT", "PRIMARY_PEG")))
                stop = price if kind == "STOP_LOSS_LIMIT" else ""
                desk.order(
                    account, side, quantity, type=kind, stop=stop, peg_price_type=to, peg_offset=rng.randrange(3)
                )
            case 3:
                desk.order(account, side, **rng.choice(({"quantity": quantity}, {"quote": "12.5"})))
            case 4:
                desk.cancel_all(account)
            case 5:
                middle = 9_900 + rng.randrange(200)
                quotes.quote(
                    [(f"{middle / 100 - 0.05 - step / 100:.2f}", "0.4") for step in range(3)],
                    [(f"{middle / 100 + 0.05 + step / 100:.2f}", "0.4") for step in range(3)],
                )
                quotes.take(side, "0.7")
                desk.tick()
    return desk


@pytest.mark.parametrize("seed", range(6))
def test_applying_the_journaled_events_gives_the_state_that_deciding_gave(seed: int) -> None:
    desk = busy_desk(seed)
    again = SpotDesk(FixedQuotes([("99.9", "3")], [("100.1", "3")]), **RULES)
    again.effects.clear()
    own = len(again.journal)
    assert [events for _, events in again.journal] == [events for _, events in desk.journal[:own]]
    for time_us, events in desk.journal[own:]:
        again.shard.apply(again.shard.decode_events(encode(events)), time_us)
        again.effects += again.shard.drain()
        assert again.shard.check() == ""
    assert encode(again.shard.dump()) == encode(desk.shard.dump())
    assert again.effects == desk.effects


@pytest.mark.parametrize("seed", range(3))
def test_a_dump_is_canonical_and_survives_the_trip(seed: int) -> None:
    dumped = encode(busy_desk(seed).shard.dump())
    again = SpotDesk(FixedQuotes())
    again.shard.load(msgspec.msgpack.decode(dumped))
    assert encode(again.shard.dump()) == dumped
    assert again.state.audit() == ""


def test_a_refused_command_leaves_no_trace() -> None:
    desk = busy_desk(1)
    before: Any = encode(desk.shard.dump())
    assert isinstance(desk.order(1, "BUY", "9999", "100"), Refusal)
    assert isinstance(desk.cancel(1, 999_999), Refusal)
    assert encode(desk.shard.dump()) == before
