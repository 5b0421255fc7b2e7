"""A second venue, written for plainness alone: one list of orders, sorted anew for every match, exact decimals.

It shares no code with the product. Amounts are `Decimal` with eight places, truncated as the documents say.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

UNIT = Decimal("0.00000001")
FEE = Decimal("0.001")
NOTHING = Decimal(0)
#: What ends an order that was refused when its time came.
REJECTED = ("EXPIRED", "REJECTED")


def cut(amount: Decimal) -> Decimal:
    return amount.quantize(UNIT, ROUND_DOWN)


@dataclass
class NaiveOrder:
    """`price` None: any. `kind` is LIMIT, MAKER or MARKET; with `stop` or `delta` it waits first. `part` makes an
    iceberg of it, `peg` (OWN or OTHER side) and `level` take its price from the book. `reserved` is what a buyer whose
    price is not known has locked."""

    number: int
    account: int
    side: str
    left: Decimal
    price: Decimal | None = None
    kind: str = "LIMIT"
    tif: str = "GTC"
    mode: str = "EXPIRE_MAKER"
    part: Decimal | None = None
    stop: Decimal | None = None
    above: bool = False
    delta: int = 0
    peg: str = ""
    level: int = 0
    reserved: Decimal = NOTHING
    shown: Decimal = NOTHING
    place_in_line: int = 0
    tracking: bool = False
    best: Decimal | None = None

    def locks(self) -> Decimal:
        if self.side == "SELL":
            return self.left
        return self.reserved if self.price is None else cut(self.left * self.price)


@dataclass
class NaiveTrade:
    maker: int
    taker: int
    price: Decimal
    quantity: Decimal


@dataclass
class NaiveVenue:
    """One symbol. `money[account]` is [base, quote] in all, locked or not. `ends` says how closed orders ended."""

    step: Decimal
    money: dict[int, list[Decimal]]
    orders: list[NaiveOrder] = field(default_factory=list)
    waiting: list[NaiveOrder] = field(default_factory=list)
    fired: list[NaiveOrder] = field(default_factory=list)
    trades: list[NaiveTrade] = field(default_factory=list)
    ends: dict[int, tuple[str, str]] = field(default_factory=dict)
    last: Decimal | None = None
    line: int = 0

    # --- money -------------------------------------------------------------------------------------------------------

    def locked(self, account: int) -> tuple[Decimal, Decimal]:
        mine = [order for order in (*self.orders, *self.waiting, *self.fired) if order.account == account]
        return (
            sum((order.locks() for order in mine if order.side == "SELL"), NOTHING),
            sum((order.locks() for order in mine if order.side == "BUY"), NOTHING),
        )

    def free(self, account: int) -> tuple[Decimal, Decimal]:
        base, quote = self.locked(account)
        return self.money[account][0] - base, self.money[account][1] - quote

    def can_lock(self, order: NaiveOrder, amount: Decimal) -> bool:
        return self.free(order.account)[order.side == "BUY"] >= amount

    # --- what is asked -----------------------------------------------------------------------------------------------

    def cancel(self, account: int, number: int) -> bool:
        for orders in (self.orders, self.waiting):
            for order in orders:
                if (order.account, order.number) == (account, number):
                    orders.remove(order)
                    self.ends[number] = ("CANCELED", "")
                    return True
        return False

    def place(self, order: NaiveOrder) -> str:
        """Why it is refused; "" if it is not."""
        waits = order.stop is not None or order.delta
        refusal = self.wait(order) if waits else self.begin(order)
        while not refusal and self.fired:
            first = self.fired.pop(0)
            first.reserved, reserved = NOTHING, first.reserved
            first.stop, first.delta = None, 0
            if self.begin(first):
                first.reserved = reserved
                self.ends[first.number] = REJECTED
        return refusal

    def wait(self, order: NaiveOrder) -> str:
        if order.stop is not None and self.last is not None:
            if order.above and self.last >= order.stop:
                return "would-trigger"
            if not order.above and self.last <= order.stop:
                return "would-trigger"
        if order.price is None and order.side == "BUY":
            order.reserved = cut(order.left * (order.stop or self.last or NOTHING))
        if not self.can_lock(order, order.locks()):
            return "balance-insufficient"
        if order.stop is None:
            order.tracking, order.best = True, self.last
        self.waiting.append(order)
        return ""

    def begin(self, order: NaiveOrder) -> str:
        if order.peg:
            side = order.side if order.peg == "OWN" else "SELL" if order.side == "BUY" else "BUY"
            prices = sorted({one.price for one in self.orders if one.side == side and one.price is not None})
            if side == "BUY":
                prices.reverse()
            if len(prices) <= order.level:
                return "peg-liquidity"
            order.price = prices[order.level]
        if order.kind != "MARKET" and not self.can_lock(order, order.locks()):
            return "balance-insufficient"
        if order.kind == "MAKER" and self.met_by(order):
            return "would-match"
        if order.kind == "MARKET" or order.tif == "FOK":
            trial = NaiveVenue(self.step, deepcopy(self.money), deepcopy(self.orders))
            trial.line = self.line
            trial.take(deepcopy(order))
            if order.kind == "MARKET":
                cost = sum((cut(trade.price * trade.quantity) for trade in trial.trades), NOTHING)
                if not self.can_lock(order, cost if order.side == "BUY" else order.left):
                    return "balance-insufficient"
            elif sum((trade.quantity for trade in trial.trades), NOTHING) < order.left:
                self.ends[order.number] = ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")
                return ""
        if self.take(order):
            self.ends[order.number] = ("EXPIRED_IN_MATCH", "")
        elif not order.left:
            self.ends[order.number] = ("FILLED", "")
        elif order.kind == "MARKET":
            self.ends[order.number] = ("EXPIRED", "INSUFFICIENT_LIQUIDITY")
        elif order.tif == "IOC":
            self.ends[order.number] = ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")
        else:
            self.show(order)
            self.orders.append(order)
        return ""

    # --- matching ----------------------------------------------------------------------------------------------------

    def show(self, order: NaiveOrder) -> None:
        """What is left of it, or the next part of it, behind all others."""
        order.shown = order.left if order.part is None else min(order.part, order.left)
        self.line += 1
        order.place_in_line = self.line

    def met_by(self, taker: NaiveOrder) -> list[NaiveOrder]:
        found = []
        for order in self.orders:
            assert order.price is not None
            if order.side == taker.side:
                continue
            if taker.price is None or (
                order.price <= taker.price if taker.side == "BUY" else order.price >= taker.price
            ):
                found.append(order)
        return found

    def take(self, taker: NaiveOrder) -> bool:
        """True if self-trade prevention ended the taker."""
        while taker.left:
            met = self.met_by(taker)
            if not met:
                return False
            sign = 1 if taker.side == "BUY" else -1
            maker = min(met, key=lambda order: (sign * (order.price or NOTHING), order.place_in_line))
            if maker.account == taker.account and taker.mode != "NONE":
                if self.prevent(taker, maker):
                    return True
                continue
            amount = min(taker.left, maker.shown)
            self.settle(taker, maker, amount)
            if not maker.left:
                self.orders.remove(maker)
                self.ends[maker.number] = ("FILLED", "")
            elif not maker.shown:
                self.show(maker)
        return False

    def prevent(self, taker: NaiveOrder, maker: NaiveOrder) -> bool:
        if taker.mode == "DECREMENT":
            amount = min(taker.left, maker.left)
            taker.left -= amount
            maker.left -= amount
            maker.shown = min(maker.shown, maker.left)
        if taker.mode in ("EXPIRE_MAKER", "EXPIRE_BOTH") or not maker.left:
            self.orders.remove(maker)
            self.ends[maker.number] = ("EXPIRED_IN_MATCH", "")
        return taker.mode in ("EXPIRE_TAKER", "EXPIRE_BOTH") or not taker.left

    def settle(self, taker: NaiveOrder, maker: NaiveOrder, amount: Decimal) -> None:
        assert maker.price is not None
        value = cut(maker.price * amount)
        buyer, seller = (taker, maker) if taker.side == "BUY" else (maker, taker)
        self.money[buyer.account][1] -= value
        self.money[buyer.account][0] += amount - cut(amount * FEE)
        self.money[seller.account][0] -= amount
        self.money[seller.account][1] += value - cut(value * FEE)
        taker.left -= amount
        maker.left -= amount
        maker.shown -= amount
        self.trades.append(NaiveTrade(maker.number, taker.number, maker.price, amount))
        self.print(maker.price)

    # --- triggers ----------------------------------------------------------------------------------------------------

    def print(self, price: Decimal) -> None:
        """Who waits for this price: those for a fixed one first, nearest first, then those that trail."""
        self.last = price
        turned = [order for order in self.waiting if order.tracking and self.track(order, price)]
        rising = [order for order in self.waiting if not order.tracking and order.above and order.stop <= price]  # type: ignore[operator]
        falling = [order for order in self.waiting if not order.tracking and not order.above and order.stop >= price]  # type: ignore[operator]
        rising.sort(key=lambda order: (order.stop, order.number))
        falling.sort(key=lambda order: (-(order.stop or NOTHING), order.number))
        for order in rising + falling:
            if order.delta:
                order.tracking, order.best = True, price
            else:
                self.fire(order)
        for order in sorted(turned, key=lambda order: order.number):
            self.fire(order)

    def track(self, order: NaiveOrder, price: Decimal) -> bool:
        share = Decimal(order.delta) / 10_000
        if order.best is None:
            order.best = price
        if order.side == "BUY":
            order.best = min(order.best, price)
            return price >= order.best * (1 + share)
        order.best = max(order.best, price)
        return price <= order.best * (1 - share)

    def fire(self, order: NaiveOrder) -> None:
        self.waiting.remove(order)
        self.fired.append(order)
