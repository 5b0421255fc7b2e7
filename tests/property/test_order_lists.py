"""Random flows of order lists: a naive second venue agrees on money, holds, book and ends after every command."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparekey.terms.admissions import Admission
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import AmendOrder, PlaceOrder, PlaceOrderList
from sparekey.venue.effects import ClosedOrder
from sparekey.venue.events import Filled
from tests.naive_lists import NaiveList, NaiveLists
from tests.naive_venue import NaiveOrder
from tests.spot_desk import FOREVER_US, SpotDesk, units

ACCOUNTS = (1, 2, 3)
STEP = Decimal("0.00001")
SCALE = 10**8
RULES: dict[str, Any] = {
    "min_notional": 0,
    "min_quantity": units("0.00001"),
    "prevention_modes": ("EXPIRE_MAKER", "NONE"),
    "max_algo_orders": 0,
}
KINDS = ("LIMIT", "LIMIT", "MARKET", "OCO", "OCO", "OTO", "OTOCO", "OPO", "OPOCO", "cancel", "amend")
#: (account, kind, side, quantity in steps, price in cents above 100, distance in cents, which order, mode)
Action = tuple[int, str, str, int, int, int, int, str]
actions = st.tuples(
    st.sampled_from(ACCOUNTS),
    st.sampled_from(KINDS),
    st.sampled_from(("BUY", "SELL")),
    st.integers(1, 100_000),
    st.integers(-5, 5),
    st.integers(-1, 6),
    st.integers(0, 30),
    st.sampled_from(("EXPIRE_MAKER", "EXPIRE_MAKER", "NONE")),
)


def decimal(amount: int) -> Decimal:
    return Decimal(amount) / SCALE


class Pair:
    """The product and the naive venue, given the same commands."""

    def __init__(self) -> None:
        # So little money that some orders cannot be paid for, when they are placed or when they are let in.
        self.desk = SpotDesk(**RULES)
        self.naive = NaiveLists(STEP, {account: [Decimal(10), Decimal(1_000_000)] for account in ACCOUNTS})
        self.forms: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.amended = 0

    @property
    def next_number(self) -> int:
        return self.desk.state.markets["BTCUSDT"].next_order_id

    def order(self, action: Action, place: int, kind: str, side: str, cents: int, stop_cents: int = 0) -> NaiveOrder:
        account, _, _, steps, *_, mode = action
        order = NaiveOrder(self.next_number + place, account, side, steps * STEP, mode=mode, kind=kind)
        if kind in ("LIMIT", "MAKER"):
            order.price = Decimal(100) + Decimal(cents) / 100
        else:
            order.stop = Decimal(100) + Decimal(stop_cents) / 100
            order.kind, order.above = "MARKET", side == "BUY"
        return order

    def act(self, action: Action) -> None:
        account, kind, side, steps, cents, _away, chosen, mode = action
        if kind == "cancel":
            self.cancel(account, chosen)
        elif kind == "amend":
            self.amend(account, chosen)
        elif kind in ("LIMIT", "MARKET"):
            number = self.next_number
            price = Decimal(100) + Decimal(cents) / 100 if kind == "LIMIT" else None
            order = NaiveOrder(number, account, side, steps * STEP, price, kind, mode=mode)
            outcome = self.desk.order(
                account, side, f"{order.left:f}", "" if price is None else f"{price:f}", prevention_mode=mode
            )
            self.agree(outcome, self.naive.place(order))
        else:
            self.place_list(action)
        self.compare()

    def place_list(self, action: Action) -> None:
        _account, form, side, _, cents, away, chosen, _ = action
        pays = form.startswith("OPO")
        before = 0 if form == "OCO" else 1
        working = None
        if before:
            working = self.order(action, 0, "LIMIT", "BUY" if pays else side, cents)
        after = "SELL" if pays else side
        sign = 1 if after == "SELL" else -1
        if form in ("OTO", "OPO"):
            rest = [self.order(action, 1, "MAKER" if chosen % 2 else "LIMIT", after, cents + sign * away)]
        else:
            stop = self.order(action, before, "STOP", after, 0, cents - sign * away)
            rest = [stop, self.order(action, before + 1, "MAKER", after, cents + sign * away)]
        asked = tuple(
            self.command(order, sized=not (pays and order is not working))
            for order in ([working] if working else []) + rest
        )
        one = NaiveList(working, rest, pays)
        outcome = self.desk.do(PlaceOrderList(asked[0].admission, "BTCUSDT", form, asked))
        if self.agree(outcome, self.naive.place_list(one)):
            self.forms[form] += 1

    def command(self, order: NaiveOrder, sized: bool) -> PlaceOrder:
        types = {"LIMIT": "LIMIT", "MAKER": "LIMIT_MAKER", "MARKET": "STOP_LOSS"}
        return PlaceOrder(
            Admission(order.account, order.account, 1, FOREVER_US),
            "BTCUSDT",
            order.side,
            types[order.kind],
            "GTC" if order.kind == "LIMIT" else "",
            units(f"{order.left:f}") if sized else 0,
            0,
            0 if order.price is None else units(f"{order.price:f}"),
            0 if order.stop is None else units(f"{order.stop:f}"),
            prevention_mode=order.mode,
        )

    def agree(self, outcome: Any, refusal: str) -> bool:
        if isinstance(outcome, Refusal):
            assert outcome.reason.slug == refusal
            self.refusals[refusal] += 1
            return False
        assert not refusal
        return True

    def cancel(self, account: int, chosen: int) -> None:
        number = 1 + chosen % max(1, self.next_number - 1)
        done = not isinstance(self.desk.cancel(account, number), Refusal)
        assert done == self.naive.cancel(account, number)

    def amend(self, account: int, chosen: int) -> None:
        """Half of what is left of an order on the book, or of both orders of a pair that sells."""
        own = [order for order in self.desk.state.open_orders(account) if order.working_us >= 0]
        if not own:
            return
        order = own[chosen % len(own)]
        one = self.naive.list_of.get(order.order_id)
        if one is not None and (one.working is not None or one.chosen or order.side != "SELL"):
            return
        less = order.remaining // 2 // 1_000 * 1_000
        if not less:
            return
        admission = Admission(account, account, 1, FOREVER_US)
        outcome = self.desk.do(AmendOrder(admission, "BTCUSDT", order.quantity - less, order.order_id))
        assert not isinstance(outcome, Refusal)
        self.naive.amend(order.order_id, decimal(less))
        self.amended += 1

    def compare(self) -> None:
        state = self.desk.state
        assert state.audit() == ""
        market = state.markets["BTCUSDT"]
        closed = {
            one.order_id: (one.status, one.expiry_reason) for one in self.desk.effects if isinstance(one, ClosedOrder)
        }
        assert closed == dict(self.naive.ends)
        for account in ACCOUNTS:
            balances = state.balances(account)
            assert (decimal(balances["BTC"].locked), decimal(balances["USDT"].locked)) == self.naive.locked(account)
            assert (decimal(balances["BTC"].free), decimal(balances["USDT"].free)) == self.naive.free(account)
        for side, name, sign in ((market.bids, "BUY", -1), (market.asks, "SELL", 1)):
            mine = [
                (order.order_id, decimal(order.working_price), decimal(order.remaining))
                for order in side.orders_from_best()
            ]
            theirs = sorted(
                (order for order in self.naive.orders if order.side == name),
                key=lambda order: (sign * (order.price or 0), order.place_in_line),
            )
            assert mine == [(order.number, order.price, order.left) for order in theirs]
        trades = [
            (event.maker_order_id, event.taker_order_id, decimal(event.price), decimal(event.quantity))
            for _, events in self.desk.journal
            for event in events
            if isinstance(event, Filled)
        ]
        assert trades == [(one.maker, one.taker, one.price, one.quantity) for one in self.naive.trades]


@settings(max_examples=60, deadline=None)
@given(st.lists(actions, min_size=1, max_size=25))
def test_a_naive_venue_agrees_on_whatever_lists_do(flow: list[Action]) -> None:
    pair = Pair()
    for action in flow:
        pair.act(action)


def a_flow(seed: int, length: int) -> list[Action]:
    rng = random.Random(seed)
    return [
        (
            rng.choice(ACCOUNTS),
            rng.choice(KINDS),
            rng.choice(("BUY", "SELL")),
            rng.choice((1, 7, rng.randrange(1, 200_000))),
            rng.randrange(-4, 5),
            rng.choice((1, 2, 3, 5, 0, -1)),
            rng.randrange(1_000),
            rng.choice(("EXPIRE_MAKER", "EXPIRE_MAKER", "NONE")),
        )
        for _ in range(length)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_naive_venue_agrees_on_long_flows_of_lists(seed: int) -> None:
    pair = Pair()
    for action in a_flow(seed, 250):
        pair.act(action)
    assert set(pair.forms) == {"OCO", "OTO", "OTOCO", "OPO", "OPOCO"}
    assert pair.amended
    reasons = Counter(reason for _, reason in pair.naive.ends.values())
    assert reasons["OCO_TRIGGER"] > 3 and reasons["OTO_PHASE_ONE_EXPIRED"]
    assert set(pair.refusals) <= {"balance-insufficient", "would-match", "would-trigger", "list-prices"}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 160))
def test_a_naive_venue_agrees_on_many_long_flows_of_lists(seed: int) -> None:
    pair = Pair()
    for action in a_flow(seed, 300):
        pair.act(action)
