"""Order lists on the naive venue: who may act, who waits and who ends, written down once more from the documents.

It shares no code with the product. A pair locks what its dearer order needs until one of it acts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tests.naive_venue import FEE, NOTHING, REJECTED, NaiveOrder, NaiveVenue, cut

OTHER_ACTS = ("EXPIRED", "OCO_TRIGGER")
NEVER_LET_IN = ("EXPIRED", "OTO_PHASE_ONE_EXPIRED")
CANCELLED = ("CANCELED", "")


@dataclass
class NaiveList:
    """`rest` are one pending order, or a pair: the stop loss and the limit order. `pays`: what `working` buys is what
    they sell."""

    working: NaiveOrder | None
    rest: list[NaiveOrder]
    pays: bool = False
    received: Decimal = NOTHING
    started: bool = False
    chosen: bool = False

    def members(self) -> list[NaiveOrder]:
        return [*([self.working] if self.working else []), *self.rest]


class Ends(dict[int, tuple[str, str]]):
    """Tells the venue of each end."""

    def __init__(self, venue: NaiveLists) -> None:
        super().__init__()
        self.venue = venue

    def __setitem__(self, number: int, end: tuple[str, str]) -> None:
        super().__setitem__(number, end)
        self.venue.ended(number, end)


@dataclass
class NaiveLists(NaiveVenue):
    list_of: dict[int, NaiveList] = field(default_factory=dict)
    due: list[NaiveList] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ends = Ends(self)

    # --- money -------------------------------------------------------------------------------------------------------

    def lists(self) -> list[NaiveList]:
        found: list[NaiveList] = []
        for one in self.list_of.values():
            if not any(one is other for other in found):
                found.append(one)
        return found

    def locked(self, account: int) -> tuple[Decimal, Decimal]:
        base, quote = super().locked(account)
        for one in self.lists():
            if one.members()[0].account != account:
                continue
            if one.pays and not one.started and not all(order.number in self.ends for order in one.rest):
                base += one.received
            if one.started and not one.chosen and len(one.rest) == 2:
                stop, limit = one.rest
                if stop.number not in self.ends and limit.number not in self.ends:
                    shared = min(stop.locks(), limit.locks())
                    if stop.side == "SELL":
                        base -= shared
                    else:
                        quote -= shared
        return base, quote

    # --- what is asked -----------------------------------------------------------------------------------------------

    def place(self, order: NaiveOrder) -> str:
        refusal = self.begin(order)
        self.run()
        return refusal

    def place_list(self, one: NaiveList) -> str:
        if len(one.rest) == 2:
            sign = 1 if one.rest[0].side == "SELL" else -1
            stop, limit = one.rest
            assert stop.stop is not None and limit.price is not None
            if sign * limit.price <= sign * stop.stop:
                return "list-prices"
            outside = self.last is not None and not sign * stop.stop < sign * self.last < sign * limit.price
            if one.working is None and outside:
                return "list-prices"
        refusal = self.why_not(one.rest) if one.working is None else ""
        if one.working is not None and not self.can_lock(one.working, one.working.locks()):
            refusal = "balance-insufficient"
        if refusal:
            return refusal
        for order in one.members():
            self.list_of[order.number] = one
        if one.working is None:
            self.let_in(one)
        else:
            assert not self.begin(one.working)
        self.run()
        return ""

    def cancel(self, account: int, number: int) -> bool:
        one = self.list_of.get(number)
        if one is None or number in self.ends:
            return super().cancel(account, number)
        if one.members()[0].account != account:
            return False
        self.end(number, CANCELLED)
        return True

    def amend(self, number: int, less: Decimal) -> None:
        one = self.list_of.get(number)
        pair = one.rest if one is not None else []
        for order in (*self.orders, *self.waiting):
            if order.number == number or any(order is other for other in pair):
                order.left -= less
                order.shown = min(order.shown, order.left)

    # --- steps -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        while self.due or self.fired:
            if self.due:
                self.start(self.due.pop(0))
                continue
            first = self.fired.pop(0)
            self.choose(first.number)
            first.reserved, reserved = NOTHING, first.reserved
            first.stop, first.delta = None, 0
            if self.begin(first):
                first.reserved = reserved
                self.ends[first.number] = REJECTED

    def start(self, one: NaiveList) -> None:
        """The working order is filled."""
        one.started = True
        if one.pays:
            for order in one.rest:
                order.left = one.received - one.received % self.step
        for number, order in enumerate(one.rest):
            if not order.left or self.why_not([order]):
                # Nobody is let in; the one that cannot be is what ends the other.
                self.ends[one.rest[number].number] = REJECTED
                return
        if len(one.rest) == 2:
            self.let_in(one)
        else:
            assert not self.begin(one.rest[0])

    def why_not(self, orders: list[NaiveOrder]) -> str:
        """Why orders cannot begin, each as if it were alone."""
        for order in orders:
            if order.stop is not None:
                if self.last is not None and (self.last >= order.stop if order.above else self.last <= order.stop):
                    return "would-trigger"
                if order.side == "BUY":
                    order.reserved = cut(order.left * order.stop)
            if not self.can_lock(order, order.locks()):
                return "balance-insufficient"
            if order.kind == "MAKER" and self.met_by(order):
                return "would-match"
        return ""

    def let_in(self, one: NaiveList) -> None:
        stop, limit = one.rest
        one.started = True
        self.waiting.append(stop)
        self.show(limit)
        self.orders.append(limit)

    # --- what follows ------------------------------------------------------------------------------------------------

    def settle(self, taker: NaiveOrder, maker: NaiveOrder, amount: Decimal) -> None:
        for order in (taker, maker):
            one = self.list_of.get(order.number)
            if one is not None and one.pays and order is one.working:
                # The fee is taken from what is free, if there is enough of it.
                fee = cut(amount * FEE)
                one.received += amount if self.free(order.account)[0] >= fee else amount - fee
            self.choose(order.number)
        super().settle(taker, maker, amount)

    def choose(self, number: int) -> None:
        """An order acts: the other one of its pair cannot any more."""
        one = self.list_of.get(number)
        if one is None or not one.started or one.chosen or len(one.rest) != 2:
            return
        one.chosen = True
        for other in one.rest:
            if other.number != number:
                self.end(other.number, OTHER_ACTS)

    def end(self, number: int, how: tuple[str, str]) -> None:
        if number in self.ends:
            return
        for orders in (self.orders, self.waiting, self.fired):
            orders[:] = [order for order in orders if order.number != number]
        self.ends[number] = how

    def ended(self, number: int, how: tuple[str, str]) -> None:
        one = self.list_of.get(number)
        if one is None:
            return
        working = one.working is not None and one.working.number == number
        if how == CANCELLED:
            for order in one.members():
                self.end(order.number, CANCELLED)
        elif working and how[0] == "FILLED":
            self.due.append(one)
        elif working:
            for order in one.rest:
                self.end(order.number, NEVER_LET_IN)
        elif one.started and not one.chosen:
            for order in one.rest:
                self.end(order.number, OTHER_ACTS)
