"""What the wire side asks of others: history, market views, and the present state of the spot shard.

Others implement these by shape; nothing here is imported by them, because storage and wire do not know each other.
All amounts, prices and rates are ints in 1e-8 units, all times int microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sparekey.venue.effects import Allocation, Amendment, ClosedOrderList, Prevented
from sparekey.venue.listing import AssetRules, OrderLimit, SymbolRules
from sparekey.venue.transfers import Transfers


class OrderView(Protocol):
    """An order as replies show it, open or closed.

    `quantity` is 0 while a MARKET order by `quote_quantity` has not been fitted. `client_order_id` is the present one
    (a cancel renames the order). `working_us` is -1 until the order was on the book, and `trailing_us` until a trailing
    stop tracks the price. `price` is what was sent; `pegged_price` is 0 until the book chose one for a pegged order.
    `working_floor` is empty unless the order is routed, `list_id` 0 unless it is in a list.
    """

    @property
    def symbol(self) -> str: ...
    @property
    def order_id(self) -> int: ...
    @property
    def account_id(self) -> int: ...
    @property
    def client_order_id(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def time_in_force(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def price(self) -> int: ...
    @property
    def quantity(self) -> int: ...
    @property
    def quote_quantity(self) -> int: ...
    @property
    def executed(self) -> int: ...
    @property
    def executed_quote(self) -> int: ...
    @property
    def stop_price(self) -> int: ...
    @property
    def iceberg_quantity(self) -> int: ...
    @property
    def trailing_delta(self) -> int: ...
    @property
    def peg_price_type(self) -> str: ...
    @property
    def peg_offset(self) -> int: ...
    @property
    def pegged_price(self) -> int: ...
    @property
    def trailing_us(self) -> int: ...
    @property
    def strategy_id(self) -> int | None: ...
    @property
    def strategy_type(self) -> int | None: ...
    @property
    def prevention_mode(self) -> str: ...
    @property
    def prevented_match_id(self) -> int: ...
    @property
    def prevented_quantity(self) -> int: ...
    @property
    def expiry_reason(self) -> str: ...
    @property
    def created_us(self) -> int: ...
    @property
    def updated_us(self) -> int: ...
    @property
    def working_us(self) -> int: ...
    @property
    def working_floor(self) -> str: ...
    @property
    def list_id(self) -> int: ...


class FillView(Protocol):
    """One account's side of one trade (`GET /api/v3/myTrades`)."""

    @property
    def symbol(self) -> str: ...
    @property
    def trade_id(self) -> int: ...
    @property
    def order_id(self) -> int: ...
    @property
    def list_id(self) -> int: ...
    @property
    def price(self) -> int: ...
    @property
    def quantity(self) -> int: ...
    @property
    def quote_quantity(self) -> int: ...
    @property
    def fee(self) -> int: ...
    @property
    def fee_asset(self) -> str: ...
    @property
    def time_us(self) -> int: ...
    @property
    def is_buyer(self) -> bool: ...
    @property
    def is_maker(self) -> bool: ...


class OrderArchive(Protocol):
    """Closed orders and all fills, what is pending merged in: a fill shows in the same instant as its reply leaves.

    `orders` and `trades` are ascending by id. Bounds are inclusive; None means unbounded. Without `from_order_id`,
    `from_id` and `start_us` the newest `limit` are meant, otherwise the oldest from there.
    """

    def order(self, account_id: int, symbol: str, *, order_id: int = 0, client_order_id: str = "") -> OrderView | None:
        """A closed order by id, or the newest closed one with this client order id."""
        ...

    def orders(
        self,
        account_id: int,
        symbol: str,
        *,
        from_order_id: int | None,
        start_us: int | None,
        end_us: int | None,
        limit: int,
    ) -> Sequence[OrderView]:
        """Closed orders; times filter by the last change. The caller merges the open ones."""
        ...

    def trades(
        self,
        account_id: int,
        symbol: str,
        *,
        order_id: int | None,
        from_id: int | None,
        start_us: int | None,
        end_us: int | None,
        limit: int,
    ) -> Sequence[FillView]: ...

    def prevented_matches(
        self, account_id: int, symbol: str, *, match_id: int | None, order_id: int | None, from_id: int, limit: int
    ) -> Sequence[Prevented]:
        """The one with this id, or those that an order was in from `from_id` on, ascending."""
        ...

    def amendments(
        self, account_id: int, symbol: str, *, order_id: int, from_execution_id: int, limit: int
    ) -> Sequence[tuple[int, Amendment]]:
        """An order's amendments with their execution ids, ascending by these."""
        ...

    def allocations(
        self,
        account_id: int,
        symbol: str,
        *,
        order_id: int | None,
        from_id: int | None,
        start_us: int | None,
        end_us: int | None,
        limit: int,
    ) -> Sequence[Allocation]: ...

    def order_list(self, account_id: int, *, list_id: int, client_list_id: str) -> ClosedOrderList | None:
        """A closed list by id, or the newest closed one with this client list id."""
        ...

    def order_lists(
        self, account_id: int, *, from_id: int | None, start_us: int | None, end_us: int | None, limit: int
    ) -> Sequence[ClosedOrderList]:
        """Closed lists ascending by id; times filter by the last change. The caller merges the open ones."""
        ...


class PrintView(Protocol):
    """One print of the market."""

    @property
    def trade_id(self) -> int: ...
    @property
    def price(self) -> int: ...
    @property
    def quantity(self) -> int: ...
    @property
    def quote_quantity(self) -> int: ...
    @property
    def time_us(self) -> int: ...
    @property
    def buyer_is_maker(self) -> bool: ...


class AggregateView(Protocol):
    """Prints of one taker order at one price and time."""

    @property
    def aggregate_id(self) -> int: ...
    @property
    def price(self) -> int: ...
    @property
    def quantity(self) -> int: ...
    @property
    def first_trade_id(self) -> int: ...
    @property
    def last_trade_id(self) -> int: ...
    @property
    def time_us(self) -> int: ...
    @property
    def buyer_is_maker(self) -> bool: ...


class CandleView(Protocol):
    """`close_us` is the last microsecond of the bucket (next open - 1)."""

    @property
    def open_us(self) -> int: ...
    @property
    def close_us(self) -> int: ...
    @property
    def open(self) -> int: ...
    @property
    def high(self) -> int: ...
    @property
    def low(self) -> int: ...
    @property
    def close(self) -> int: ...
    @property
    def volume(self) -> int: ...
    @property
    def quote_volume(self) -> int: ...
    @property
    def trades(self) -> int: ...
    @property
    def taker_volume(self) -> int: ...
    @property
    def taker_quote_volume(self) -> int: ...


class WindowView(Protocol):
    """Statistics of one symbol over one window. Ids are -1 and prices 0 where nothing traded.

    `previous_close` is the price of the last trade before the window (0: none known).
    """

    @property
    def open_us(self) -> int: ...
    @property
    def close_us(self) -> int: ...
    @property
    def open(self) -> int: ...
    @property
    def high(self) -> int: ...
    @property
    def low(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def last_quantity(self) -> int: ...
    @property
    def previous_close(self) -> int: ...
    @property
    def volume(self) -> int: ...
    @property
    def quote_volume(self) -> int: ...
    @property
    def trades(self) -> int: ...
    @property
    def first_trade_id(self) -> int: ...
    @property
    def last_trade_id(self) -> int: ...


class MarketViews(Protocol):
    """What is derived from prints, the synthetic past included. Sequences are ascending; None means unbounded."""

    def trades(self, symbol: str, *, from_id: int | None, limit: int) -> Sequence[PrintView]:
        """From `from_id` on, or the newest `limit`."""
        ...

    def agg_trades(
        self, symbol: str, *, from_id: int | None, start_us: int | None, end_us: int | None, limit: int
    ) -> Sequence[AggregateView]: ...

    def candles(
        self,
        symbol: str,
        interval: str,
        *,
        start_us: int | None,
        end_us: int | None,
        limit: int,
        zone_offset_us: int,
        now_us: int,
    ) -> Sequence[CandleView]:
        """Candles whose open time lies within the bounds (always UTC); the zone shifts bucket boundaries only.

        `interval` is one of Binance's sixteen. Without `start_us` the newest up to `end_us`. The last one may be
        unfinished; minutes without a print repeat the price before.
        """
        ...

    def ticker_window(self, symbol: str, open_us: int, close_us: int) -> WindowView:
        """Rolling windows and days alike: the caller computes the bounds, both inclusive."""
        ...


class BalanceView(Protocol):
    @property
    def free(self) -> int: ...
    @property
    def locked(self) -> int: ...


#: (price, quantity) of a level.
Level = tuple[int, int]


class SpotView(Protocol):
    """What replies read of the spot shard's state."""

    @property
    def assets(self) -> Mapping[str, AssetRules]: ...

    @property
    def transfers(self) -> Transfers: ...

    def rules(self, symbol: str) -> SymbolRules | None: ...

    def symbols(self) -> Sequence[SymbolRules]:
        """In the order of listing."""
        ...

    def balances(self, account_id: int) -> Mapping[str, BalanceView]:
        """Assets that the account ever held."""
        ...

    def account_updated_us(self, account_id: int) -> int:
        """When a balance last changed; 0: never."""
        ...

    def open_order(
        self, account_id: int, symbol: str, *, order_id: int = 0, client_order_id: str = ""
    ) -> OrderView | None: ...

    def open_orders(self, account_id: int, symbol: str = "") -> Sequence[OrderView]:
        """Ascending by id; all symbols when `symbol` is empty."""
        ...

    def open_list(self, account_id: int, *, list_id: int, client_list_id: str) -> ClosedOrderList | None:
        """By id if there is one, else by client list id."""
        ...

    def open_lists(self, account_id: int) -> Sequence[ClosedOrderList]:
        """Ascending by id."""
        ...

    def depth(self, symbol: str, limit: int) -> tuple[Sequence[Level], Sequence[Level]]:
        """Bids and asks, best first."""
        ...

    def last_price(self, symbol: str) -> int:
        """0: never traded."""
        ...

    def last_trade_us(self, symbol: str) -> int:
        """0: never traded here."""
        ...

    def average_price(self, symbol: str, now_us: int) -> int:
        """Volume-weighted over `average_price_minutes`, else the last; 0: none."""
        ...

    def reference_price(self, symbol: str, now_us: int) -> int | None:
        """None: the symbol never had one; 0: it has none now."""
        ...

    def last_update_id(self, symbol: str) -> int:
        """Changes with every change of the book; streams count by it as well."""
        ...

    def order_counts(self, account_id: int, now_us: int) -> Sequence[tuple[OrderLimit, int]]:
        """The ORDERS limiters, each with what the account has used of its present window."""
        ...

    @property
    def time_us(self) -> int:
        """Time of the last command executed: of what has just happened."""
        ...


class KeyMaker(Protocol):
    """What new keys and accounts need and handlers cannot make themselves: entropy, and the vault."""

    def make_api_key(self) -> str: ...

    def make_secret(self, account_id: int, api_key: str) -> tuple[str, str]:
        """A new HMAC secret and the vault id under which it is sealed already."""
        ...

    def forget(self, vault_id: str) -> None:
        """Once all that happened so far is durable."""
        ...

    def digest_of(self, email: str) -> str:
        """What accounts are found by; `email` in lower case."""
        ...

    def seal_email(self, account_id: int, email: str) -> str:
        """`account_id` may be of the account that will come into being. Answers the vault id."""
        ...

    def email_of(self, account_id: int) -> str:
        """Empty for an account that was erased."""
        ...

    def random_letters(self, count: int) -> str: ...
