"""A second venue, written for plainness alone: one list of orders, sorted anew for every match, exact decimals.

It shares no code with the product. Amounts are `Decimal` with eight places, truncated as the documents say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

UNIT = Decimal("0.00000001")
FEE = Decimal("0.001")


def cut(amount: Decimal) -> Decimal:
    return amount.quantize(UNIT, ROUND_DOWN)


@dataclass
class NaiveOrder:
    number: int
    account: int
    side: str
    price: Decimal
    left: Decimal


@dataclass
class NaiveTrade:
    maker: int
    taker: int
    price: Decimal
    quantity: Decimal


@dataclass
class NaiveVenue:
    """One symbol. `money[account]` is [base, quote] in all, locked or not."""

    step: Decimal
    money: dict[int, list[Decimal]]
    orders: list[NaiveOrder] = field(default_factory=list)
    trades: list[NaiveTrade] = field(default_factory=list)

    def locked(self, account: int) -> tuple[Decimal, Decimal]:
        mine = [order for order in self.orders if order.account == account]
        return (
            sum((order.left for order in mine if order.side == "SELL"), Decimal(0)),
            sum((cut(order.left * order.price) for order in mine if order.side == "BUY"), Decimal(0)),
        )

    def free(self, account: int) -> tuple[Decimal, Decimal]:
        base, quote = self.locked(account)
        return self.money[account][0] - base, self.money[account][1] - quote

    def cancel(self, account: int, number: int) -> bool:
        before = len(self.orders)
        self.orders = [order for order in self.orders if (order.account, order.number) != (account, number)]
        return len(self.orders) < before

    def opposite(self, side: str, price: Decimal | None) -> list[NaiveOrder]:
        """What an order of this side meets, best first."""
        if side == "BUY":
            found = [order for order in self.orders if order.side == "SELL" and (price is None or order.price <= price)]
            return sorted(found, key=lambda order: (order.price, order.number))
        found = [order for order in self.orders if order.side == "BUY" and (price is None or order.price >= price)]
        return sorted(found, key=lambda order: (-order.price, order.number))

    def place(
        self, number: int, account: int, side: str, quantity: Decimal, price: Decimal | None, tif: str, mode: str
    ) -> str:
        """The order's status; `refused` where the balance does not suffice, `would-match` for a maker that takes."""
        base, quote = self.free(account)
        meets = self.opposite(side, price)
        if price is not None and (quote < cut(price * quantity) if side == "BUY" else base < quantity):
            return "refused"
        if tif == "MAKER" and meets:
            return "would-match"
        trades, expired, left, spent = [], [], quantity, Decimal(0)
        ended = ""
        reduced: list[tuple[NaiveOrder, Decimal]] = []
        for order in meets:
            if not left:
                break
            if order.account == account and mode != "NONE":
                if mode in ("EXPIRE_MAKER", "EXPIRE_BOTH"):
                    expired.append(order)
                if mode in ("EXPIRE_TAKER", "EXPIRE_BOTH"):
                    ended = "EXPIRED_IN_MATCH"
                    break
                if mode == "DECREMENT":
                    amount = min(left, order.left)
                    left -= amount
                    reduced.append((order, amount))
                    if not left:
                        ended = "EXPIRED_IN_MATCH"
                continue
            amount = min(left, order.left)
            trades.append((order, amount))
            left -= amount
            spent += cut(order.price * amount)
        if price is None and (quote < spent if side == "BUY" else base < quantity):
            return "refused"
        if tif == "FOK" and sum((amount for _, amount in trades), Decimal(0)) < quantity:
            return "EXPIRED"
        for order, amount in trades:
            self.settle(number, account, side, order, amount)
        for order, amount in reduced:
            order.left -= amount
        self.orders = [order for order in self.orders if order.left and order not in expired]
        if ended:
            return ended
        if not left:
            return "FILLED"
        if price is None or tif in ("IOC", "FOK"):
            return "EXPIRED"
        self.orders.append(NaiveOrder(number, account, side, price, left))
        return "NEW"

    def settle(self, number: int, account: int, side: str, order: NaiveOrder, amount: Decimal) -> None:
        value = cut(order.price * amount)
        buyer, seller = (account, order.account) if side == "BUY" else (order.account, account)
        self.money[buyer][1] -= value
        self.money[buyer][0] += amount - cut(amount * FEE)
        self.money[seller][0] -= amount
        self.money[seller][1] += value - cut(value * FEE)
        order.left -= amount
        self.trades.append(NaiveTrade(order.number, number, order.price, amount))
