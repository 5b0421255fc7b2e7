"""Random flows on the spot shard: a naive second venue agrees, money is conserved, and applying equals deciding."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparekey.sequencer.frames import encode
from sparekey.terms.refusals import Refusal
from sparekey.venue.events import Filled, OrderPlaced
from sparekey.venue.orders import Order
from tests.naive_venue import NaiveOrder, NaiveVenue
from tests.spot_desk import FixedQuotes, SpotDesk, ending, units

ACCOUNTS = (1, 2, 3)
STEP = Decimal("0.00001")
SCALE = 10**8

MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_BOTH", "DECREMENT")

#: (account, action, side, quantity in steps, price in cents above 100, client order to cancel)
Action = tuple[int, str, str, int, int, int]
actions = st.tuples(
    st.sampled_from(ACCOUNTS),
    st.sampled_from(("GTC", "GTC", "GTC", "IOC", "FOK", "MAKER", "MARKET", "cancel", *MODES)),
    st.sampled_from(("BUY", "SELL")),
    st.integers(1, 100_000),
    st.integers(-7, 7),
    st.integers(0, 30),
)


def decimal(amount: int) -> Decimal:
    return Decimal(amount) / SCALE


class Pair:
    """The product and the naive venue, given the same orders."""

    def __init__(self) -> None:
        # Small balances, so that some orders are refused for want of money; no notional bound.
        self.desk = SpotDesk(min_notional=0, min_quantity=units("0.00001"), prevention_modes=("EXPIRE_MAKER", *MODES))
        self.naive = NaiveVenue(STEP, {account: [Decimal(10), Decimal(1_000_000)] for account in ACCOUNTS})
        self.placed: list[tuple[int, int]] = []

    def act(self, action: Action) -> None:
        account, kind, side, steps, cents, chosen = action
        if kind == "cancel":
            self.cancel(account, chosen)
            return
        quantity = steps * STEP
        price = None if kind == "MARKET" else Decimal(100) + Decimal(cents) / 100
        mode = kind if kind in MODES else "EXPIRE_MAKER"
        tif = kind if kind in ("IOC", "FOK") else "GTC"
        outcome = self.desk.order(
            account,
            side,
            f"{quantity:f}",
            "" if price is None else f"{price:f}",
            type="LIMIT_MAKER" if kind == "MAKER" else "",
            tif=tif,
            prevention_mode=mode,
        )
        number = len(self.placed) + 1
        verdict = self.naive.place(number, account, side, quantity, price, "MAKER" if kind == "MAKER" else tif, mode)
        if isinstance(outcome, Refusal):
            assert verdict == {"balance-insufficient": "refused", "would-match": "would-match"}[outcome.reason.slug]
            return
        placed = outcome[0]
        assert isinstance(placed, OrderPlaced)
        assert placed.order_id == number
        self.placed.append((account, number))
        assert ending(outcome)[0] == verdict
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
            mine = [self.image(order) for order in side.orders_from_best()]
            theirs = sorted(
                (order for order in self.naive.orders if order.side == name),
                key=lambda order: (-order.price if order.side == "BUY" else order.price, order.number),
            )
            assert mine == theirs
        trades = [
            (event.maker_order_id, event.taker_order_id, decimal(event.price), decimal(event.quantity))
            for _, events in self.desk.journal
            for event in events
            if isinstance(event, Filled)
        ]
        assert trades == [(one.maker, one.taker, one.price, one.quantity) for one in self.naive.trades]

    @staticmethod
    def image(order: Order) -> NaiveOrder:
        return NaiveOrder(order.order_id, order.account_id, order.side, decimal(order.price), decimal(order.remaining))


def agree(flow: Sequence[Action]) -> int:
    """Play it on both; how many trades there were."""
    pair = Pair()
    for action in flow:
        pair.act(action)
    return len(pair.naive.trades)


@settings(max_examples=60, deadline=None)
@given(st.lists(actions, min_size=1, max_size=30))
def test_a_naive_venue_gives_the_same_trades_balances_and_book(flow: list[Action]) -> None:
    agree(flow)


@pytest.mark.parametrize("seed", range(4))
def test_a_naive_venue_agrees_on_long_flows(seed: int) -> None:
    assert agree(random_flow(seed, 250)) > 50


def random_flow(seed: int, length: int) -> list[Action]:
    rng = random.Random(seed)
    kinds = ("GTC", "GTC", "GTC", "GTC", "IOC", "FOK", "MAKER", "MARKET", "cancel", "DECREMENT", "EXPIRE_BOTH")
    return [
        (
            rng.choice(ACCOUNTS),
            rng.choice(kinds),
            rng.choice(("BUY", "SELL")),
            rng.choice((1, 7, rng.randrange(1, 200_000))),
            rng.randrange(-6, 7),
            rng.randrange(1000),
        )
        for _ in range(length)
    ]


def busy_desk(seed: int) -> SpotDesk:
    """Accounts, quotes, ticks and cancels in a mix."""
    rng = random.Random(seed)
    quotes = FixedQuotes([("99.9", "3")], [("100.1", "3")])
    desk = SpotDesk(quotes, min_notional=0, prevention_modes=("EXPIRE_MAKER", *MODES))
    desk.open_market()
    for _ in range(150):
        desk.now_us += rng.randrange(2_000_000)
        account, side = rng.choice(ACCOUNTS), rng.choice(("BUY", "SELL"))
        quantity, price = f"0.{rng.randrange(1, 99):02}", f"{9_900 + rng.randrange(200)}"
        price = f"{price[:-2]}.{price[-2:]}"
        match rng.randrange(6):
            case 0 | 1 | 2:
                desk.order(account, side, quantity, price, prevention_mode=rng.choice((*MODES, "")))
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
    again = SpotDesk(
        FixedQuotes([("99.9", "3")], [("100.1", "3")]), min_notional=0, prevention_modes=("EXPIRE_MAKER", *MODES)
    )
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
