"""Double entry: whatever one account gains another loses, so every asset sums to zero over all accounts.

Four accounts are the house's own: funds come from `ISSUANCE`, commissions go to `FEES`, market participants trade out
of `MARKET`, and `ROUTER` stands between an order and the book of another symbol that fills it. They may be below zero;
nobody else may.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Market participants; also the account id that stands for them in events.
MARKET = 0
FEES = -1
ISSUANCE = -2
ROUTER = -3


class AssetBooks:
    """`total` is the sum over all accounts, kept with every posting: anything but zero is a defect.

    `overdrawn` is the account that a posting took below zero, if any did.
    """

    __slots__ = ("asset", "fees", "issuance", "market", "overdrawn", "router", "total")

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.total = 0
        self.overdrawn: int | None = None
        self.market = Balance(MARKET, self)
        self.fees = Balance(FEES, self)
        self.issuance = Balance(ISSUANCE, self)
        self.router = Balance(ROUTER, self)


class Balance:
    """What one account holds of one asset: `free` to spend, and `locked` for its open orders. 1e-8 units."""

    __slots__ = ("account_id", "books", "free", "locked")

    def __init__(self, account_id: int, books: AssetBooks) -> None:
        self.account_id = account_id
        self.books = books
        self.free = 0
        self.locked = 0

    def post(self, free: int, locked: int = 0) -> None:
        """One line of an entry: changes of the free and of the locked amount."""
        self.free += free
        self.locked += locked
        books = self.books
        books.total += free + locked
        if (self.free < 0 or self.locked < 0) and self.account_id > 0:
            books.overdrawn = self.account_id


class Ledger:
    """Accounts come into being with their first posting; listed assets have books from the start."""

    __slots__ = ("books", "holdings", "updated_us")

    def __init__(self) -> None:
        self.books: dict[str, AssetBooks] = {}
        #: account → asset → balance, for accounts of people
        self.holdings: dict[int, dict[str, Balance]] = {}
        #: account → when a balance of it last changed
        self.updated_us: dict[int, int] = {}

    def open_books(self, asset: str) -> None:
        self.books[asset] = AssetBooks(asset)

    def balance(self, account_id: int, asset: str) -> Balance:
        """The balance to post to; made if the account never held the asset."""
        held = self.holdings.get(account_id)
        if held is None:
            held = self.holdings[account_id] = {}
        balance = held.get(asset)
        if balance is None:
            balance = held[asset] = Balance(account_id, self.books[asset])
        return balance

    def free(self, account_id: int, asset: str) -> int:
        held = self.holdings.get(account_id)
        balance = None if held is None else held.get(asset)
        return 0 if balance is None else balance.free

    def of(self, account_id: int) -> Mapping[str, Balance]:
        return self.holdings.get(account_id, {})

    def check(self) -> str:
        """What does not balance, by the running totals; "" while all is well."""
        for books in self.books.values():
            if books.total:
                return f"all accounts together hold {books.total} of {books.asset} (1e-8 units) instead of nothing"
            if books.overdrawn is not None:
                return f"account {books.overdrawn} holds less than nothing of {books.asset}"
        return ""

    def audit(self) -> str:
        """As `check`, by walking over all accounts: for tests, snapshots and doubts."""
        sums = {
            asset: books.market.free + books.fees.free + books.issuance.free + books.router.free
            for asset, books in self.books.items()
        }
        for account_id, held in self.holdings.items():
            for asset, balance in held.items():
                if balance.free < 0 or balance.locked < 0:
                    return f"account {account_id} holds less than nothing of {asset}"
                sums[asset] += balance.free + balance.locked
        return "; ".join(f"{asset} sums to {total}" for asset, total in sums.items() if total)

    # --- writing down --------------------------------------------------------------------------------------------

    def dump(self) -> list[Any]:
        return [
            [
                [asset, books.market.free, books.fees.free, books.issuance.free, books.router.free]
                for asset, books in sorted(self.books.items())
            ],
            [
                [
                    account_id,
                    self.updated_us.get(account_id, 0),
                    [[asset, balance.free, balance.locked] for asset, balance in sorted(held.items())],
                ]
                for account_id, held in sorted(self.holdings.items())
            ],
        ]

    def load(self, data: Any) -> None:
        """What `dump` wrote; the totals are counted anew."""
        house, accounts = data
        self.books = {}
        self.holdings = {}
        self.updated_us = {}
        for asset, market, fees, issuance, *router in house:
            self.open_books(asset)
            books = self.books[asset]
            books.market.post(market)
            books.fees.post(fees)
            books.issuance.post(issuance)
            books.router.post(*router or (0,))
        for account_id, updated_us, held in accounts:
            if updated_us:
                self.updated_us[account_id] = updated_us
            for asset, free, locked in held:
                self.balance(account_id, asset).post(free, locked)
