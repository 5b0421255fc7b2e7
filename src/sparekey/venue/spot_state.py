"""What the spot shard knows: listings, books, balances, order counts. Changed by `spot_apply` alone.

Implements the wire's `SpotView`. Times are the spot shard's (the wire clock), in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import MINUTE_US
from sparekey.terms.money import MAX_AMOUNT
from sparekey.terms.rounding import average_price, least_times, mean, most_times
from sparekey.venue.book import BookSide
from sparekey.venue.effects import ClosedOrderList
from sparekey.venue.ledger import AssetBooks, Balance, Ledger
from sparekey.venue.liquidity import Level, Participants
from sparekey.venue.listing import AssetRules, OrderLimit, SymbolRules
from sparekey.venue.order_lists import PENDING_NEW, OrderLists
from sparekey.venue.orders import Order, load_order
from sparekey.venue.transfers import Transfers
from sparekey.venue.triggers import Triggers

#: One more than the longest average that a filter can ask for needs, because the oldest minute counts in part.
_MINUTES_KEPT = 61


class SymbolMarket:
    """Everything about one symbol. `update_id` grows with every change of what the book shows."""

    __slots__ = (
        "_average",
        "asks",
        "base",
        "bids",
        "by_client_order_id",
        "last_price",
        "last_trade_us",
        "minutes",
        "next_allocation_id",
        "next_order_id",
        "next_prevented_match_id",
        "next_trade_id",
        "orders",
        "quote",
        "renewed",
        "rules",
        "taken_asks",
        "taken_bids",
        "triggers",
        "update_id",
    )

    def __init__(self, rules: SymbolRules, base: AssetBooks, quote: AssetBooks) -> None:
        self.rules = rules
        self.base = base
        self.quote = quote
        self.bids = BookSide(is_bid=True)
        self.asks = BookSide(is_bid=False)
        #: open orders by id
        self.orders: dict[int, Order] = {}
        #: account → client order id → open order, in the order in which they were placed
        self.by_client_order_id: dict[int, dict[str, Order]] = {}
        self.next_order_id = 1
        self.next_trade_id = 1
        self.next_prevented_match_id = 1
        self.next_allocation_id = 0
        self.update_id = 1
        self.last_price = 0
        self.last_trade_us = 0
        #: [minute, volume, quote volume] of the last minutes with a trade, ascending; where the symbol has a reference
        #: price, also the sum of the trades' prices and their count
        self.minutes: list[list[int]] = []
        #: what was taken from the participants' quotes since they were last renewed: price → quantity
        self.taken_bids: dict[int, int] = {}
        self.taken_asks: dict[int, int] = {}
        #: the participants renewed their quotes since the book was last told to who watches it
        self.renewed = False
        self.triggers = Triggers(self.orders)
        #: [derived] (minute, trade id) that the average below belongs to
        self._average = (-1, -1, 0)

    def open_order(self, account_id: int, order_id: int, client_order_id: str) -> Order | None:
        """By id if one is given, else by client order id. Only the account's own."""
        if order_id:
            order = self.orders.get(order_id)
            return order if order is not None and order.account_id == account_id else None
        return self.by_client_order_id.get(account_id, {}).get(client_order_id)

    def count_trade(self, price: int, quantity: int, quote_quantity: int, time_us: int) -> None:
        """A print: it moves the last price and counts in the averages."""
        self.next_trade_id += 1
        self.last_price = price
        self.last_trade_us = time_us
        minute = time_us // MINUTE_US
        minutes = self.minutes
        if minutes and minutes[-1][0] == minute:
            last = minutes[-1]
            last[1] += quantity
            last[2] += quote_quantity
            if len(last) > 3:
                last[3] += price
                last[4] += 1
        else:
            row = [minute, quantity, quote_quantity]
            minutes.append([*row, price, 1] if self.rules.reference_buckets else row)
            if minutes[0][0] <= minute - _MINUTES_KEPT:
                del minutes[0]

    def touch(self, is_bid: bool, price: int) -> None:
        """What is shown at a price may have changed other than by an order that came or went."""
        touched = (self.bids if is_bid else self.asks).touched
        if touched is not None:
            touched[price] = None

    def reference_price(self, now_us: int) -> int:
        """What filters go by: the mean price where the symbol has one, else the average."""
        return (self.rules.reference_buckets and self.mean_price(now_us)) or self.average_price(now_us)

    def mean_price(self, now_us: int) -> int:
        """Mean of the trades' prices in the last `reference_buckets` minutes; 0 without a trade there."""
        return mean_of_minutes(self.minutes, self.rules.reference_buckets, now_us)

    def price_bounds(self, is_buy: bool, now_us: int) -> tuple[int, int] | None:
        """Between which prices a taker may trade now, both inclusive; None: at any (spot FAQ, "Execution rules")."""
        rule = self.rules.price_range
        reference = self.mean_price(now_us) if rule is not None else 0
        if rule is None or not reference:
            return None
        up, down = (rule.bid_up, rule.bid_down) if is_buy else (rule.ask_up, rule.ask_down)
        return least_times(reference, down), most_times(reference, up) if up else MAX_AMOUNT

    def average_price(self, now_us: int) -> int:
        """Volume-weighted over the symbol's minutes up to now, whole minutes; without a trade there the last price."""
        minute = now_us // MINUTE_US
        cached = self._average
        if cached[0] == minute and cached[1] == self.next_trade_id:
            return cached[2]
        oldest = minute - self.rules.average_price_minutes
        volume = quote = 0
        for bucket in reversed(self.minutes):
            if bucket[0] <= oldest:
                break
            volume += bucket[1]
            quote += bucket[2]
        average = average_price(quote, volume) or self.last_price
        self._average = (minute, self.next_trade_id, average)
        return average


def mean_of_minutes(minutes: Sequence[Sequence[int]], buckets: int, now_us: int) -> int:
    """Mean of the trades' prices in the last `buckets` minutes to the microsecond: of the oldest one as large a part
    counts as lies within (spot FAQ, "Reference price"). 0 without a trade there. Rows as in `SymbolMarket.minutes`."""
    minute, gone_us = now_us // MINUTE_US, now_us % MINUTE_US
    oldest = minute - buckets
    total = count = 0
    for bucket in reversed(minutes):
        if bucket[0] < oldest or len(bucket) < 5:
            break
        counted_us = MINUTE_US - gone_us if bucket[0] == oldest else MINUTE_US
        total += bucket[3] * counted_us
        count += bucket[4] * counted_us
    return mean(total, count)


class SpotState:
    """`participants` quote beside the accounts' orders; their memory is part of this state."""

    __slots__ = (
        "assets",
        "fences",
        "ledger",
        "lists",
        "market_open",
        "markets",
        "order_counts_used",
        "order_limits",
        "participants",
        "queued",
        "time_us",
        "transfers",
        "watched",
        "watched_books",
    )

    def __init__(self, participants: Participants) -> None:
        self.participants = participants
        self.assets: dict[str, AssetRules] = {}
        self.markets: dict[str, SymbolMarket] = {}
        self.ledger = Ledger()
        self.order_limits: tuple[OrderLimit, ...] = ()
        #: account → per limiter [window number, count], flat: [w, n, w, n]
        self.order_counts_used: dict[int, list[int]] = {}
        #: key → access sequence below which its admissions are void
        self.fences: dict[int, int] = {}
        self.market_open = False
        self.transfers = Transfers()
        self.lists = OrderLists()
        self.time_us = 0
        #: accounts that somebody listens to: reports are made for these. No state: never written down, decides nothing
        self.watched: set[int] = set()
        #: books that somebody watches, by symbol; no state either (see `book_watch`)
        self.watched_books: dict[str, SymbolMarket] = {}
        #: [derived] symbols with orders in the queue of their triggers
        self.queued: dict[str, SymbolMarket] = {}

    # --- what replies read (wire.ports.SpotView) -----------------------------------------------------------------

    def rules(self, symbol: str) -> SymbolRules | None:
        market = self.markets.get(symbol)
        return None if market is None else market.rules

    def symbols(self) -> Sequence[SymbolRules]:
        return [market.rules for market in self.markets.values()]

    def balances(self, account_id: int) -> Mapping[str, Balance]:
        return self.ledger.of(account_id)

    def account_updated_us(self, account_id: int) -> int:
        return self.ledger.updated_us.get(account_id, 0)

    def open_order(self, account_id: int, symbol: str, *, order_id: int = 0, client_order_id: str = "") -> Order | None:
        market = self.markets.get(symbol)
        return None if market is None else market.open_order(account_id, order_id, client_order_id)

    def is_fenced(self, admission: Admission) -> bool:
        """Whether the key has lost power since the gate admitted it."""
        fence = self.fences.get(admission.key_id)
        return fence is not None and admission.access_seq < fence

    def open_orders(self, account_id: int, symbol: str = "") -> Sequence[Order]:
        markets = self.markets.values() if not symbol else [self.markets[symbol]] if symbol in self.markets else []
        found = [order for market in markets for order in market.by_client_order_id.get(account_id, {}).values()]
        found.sort(key=lambda order: order.order_id)
        return found

    def open_list(self, account_id: int, *, list_id: int, client_list_id: str) -> ClosedOrderList | None:
        found = self.lists.find(account_id, list_id, client_list_id)
        return None if found is None else found.closed()

    def open_lists(self, account_id: int) -> Sequence[ClosedOrderList]:
        return [one.closed() for one in self.lists.of(account_id)]

    def depth(self, symbol: str, limit: int) -> tuple[Sequence[Level], Sequence[Level]]:
        market = self.markets[symbol]
        participants = self.participants
        return (
            _merged(market.bids, participants.bids(symbol), market.taken_bids, limit),
            _merged(market.asks, participants.asks(symbol), market.taken_asks, limit),
        )

    def last_update_id(self, symbol: str) -> int:
        return self.markets[symbol].update_id

    def last_price(self, symbol: str) -> int:
        return self.markets[symbol].last_price

    def last_trade_us(self, symbol: str) -> int:
        return self.markets[symbol].last_trade_us

    def average_price(self, symbol: str, now_us: int) -> int:
        return self.markets[symbol].average_price(now_us)

    def reference_price(self, symbol: str, now_us: int) -> int | None:
        market = self.markets[symbol]
        if not market.rules.reference_buckets or not market.minutes or len(market.minutes[-1]) < 5:
            return None
        return market.mean_price(now_us)

    def order_counts(self, account_id: int, now_us: int) -> Sequence[tuple[OrderLimit, int]]:
        used = self.order_counts_used.get(account_id)
        if used is None:
            return [(limit, 0) for limit in self.order_limits]
        return [
            (limit, used[2 * index + 1] if used[2 * index] == now_us // limit.window_us else 0)
            for index, limit in enumerate(self.order_limits)
        ]

    def routed(self, base_asset: str) -> Sequence[SymbolMarket]:
        """The books that routed orders in an asset walk, in the order of listing; empty while it is only one."""
        found = [
            market
            for market in self.markets.values()
            if market.rules.routed and market.rules.base_asset == base_asset and market.rules.status == "TRADING"
        ]
        return found if len(found) > 1 else ()

    # --- for the owner of the market's pace ------------------------------------------------------------------------

    @property
    def has_resting_orders(self) -> bool:
        return any(market.orders for market in self.markets.values())

    # --- changes, for `spot_apply` only ------------------------------------------------------------------------------

    def list_symbol(self, rules: SymbolRules) -> None:
        """A new symbol, or new rules of a listed one."""
        market = self.markets.get(rules.symbol)
        if market is None:
            books = self.ledger.books
            self.markets[rules.symbol] = SymbolMarket(rules, books[rules.base_asset], books[rules.quote_asset])
        else:
            market.rules = rules

    def count_order(self, account_id: int, time_us: int) -> None:
        """Each accepted order counts once in the present window of every limiter."""
        used = self.order_counts_used.get(account_id)
        if used is None:
            used = self.order_counts_used[account_id] = [0] * (2 * len(self.order_limits))
        index = 0
        for limit in self.order_limits:
            window = time_us // limit.window_us
            if used[index] == window:
                used[index + 1] += 1
            else:
                used[index] = window
                used[index + 1] = 1
            index += 2

    def give_back_order(self, account_id: int, time_us: int, count: int) -> None:
        """The first fill of an order lowers the account's counts, never below nothing."""
        used = self.order_counts_used.get(account_id)
        if used is None:
            return
        for index, limit in enumerate(self.order_limits):
            if limit.gives_back and used[2 * index] == time_us // limit.window_us:
                used[2 * index + 1] = max(used[2 * index + 1] - count, 0)

    # --- writing down --------------------------------------------------------------------------------------------

    def audit(self) -> str:
        """Everything that must hold between books and balances, by looking at all of it; "" if it does."""
        problem = self.ledger.audit()
        held: dict[tuple[int, str], int] = {}
        for market in self.markets.values():
            resting = [*market.bids.orders_from_best(), *market.asks.orders_from_best()]
            waiting = [market.orders[order_id] for order_id in market.triggers.waiting()]
            pending = [order for order in market.orders.values() if order.status == PENDING_NEW]
            if sorted(order.order_id for order in (*resting, *waiting, *pending)) != sorted(market.orders):
                problem = problem or f"book and triggers of {market.rules.symbol} do not hold exactly the open orders"
            for order in (*resting, *waiting, *pending):
                asset = (order.quote if order.is_buy else order.base).books.asset
                held[order.account_id, asset] = held.get((order.account_id, asset), 0) + order.hold
                if order.status == PENDING_NEW or self.lists.shared_hold(order):
                    if order.hold:
                        problem = (
                            problem or f"order {order.order_id} of {order.symbol} does not act and holds something"
                        )
                elif (order.working_price or not order.is_buy) and order.hold != order.hold_needed():
                    problem = problem or f"order {order.order_id} of {order.symbol} holds {order.hold}"
            if any(order.working_us >= 0 for order in waiting) or any(order.working_us < 0 for order in resting):
                problem = problem or f"an order of {market.rules.symbol} works while it waits"
            if bool(market.triggers.queue) != (market.rules.symbol in self.queued):
                problem = problem or f"the queue of {market.rules.symbol} is not looked at"
            best_bid, best_ask = market.bids.best_price(), market.asks.best_price()
            if best_bid and best_ask and best_bid >= best_ask:
                problem = problem or f"the book of {market.rules.symbol} is crossed"
        for one in self.lists.open.values():
            market = self.markets[one.symbol]
            asset = market.rules.base_asset if one.holds_base else market.rules.quote_asset
            held[one.account_id, asset] = held.get((one.account_id, asset), 0) + one.hold
            problem = problem or one.problem(market.orders)
        for account_id, balances in self.ledger.holdings.items():
            for asset, balance in balances.items():
                if balance.locked != held.get((account_id, asset), 0):
                    problem = problem or f"account {account_id} has {balance.locked} of {asset} locked"
        return problem

    def dump(self) -> list[Any]:
        lists = self.lists.dump()
        return [
            self.time_us,
            self.market_open,
            [msgspec.to_builtins(rules) for rules in self.assets.values()],
            [msgspec.to_builtins(limit) for limit in self.order_limits],
            [[account_id, *used] for account_id, used in sorted(self.order_counts_used.items())],
            [list(fence) for fence in sorted(self.fences.items())],
            self.ledger.dump(),
            [self._dump_market(market) for market in self.markets.values()],
            self.participants.dump(),
            # Nothing stands here before the first transfer or list, as in states that knew of none.
            *((self.transfers.dump() or [1, []]) if lists else self.transfers.dump()),
            *lists,
        ]

    def _dump_market(self, market: SymbolMarket) -> list[Any]:
        return [
            msgspec.to_builtins(market.rules),
            market.next_order_id,
            market.next_trade_id,
            market.next_prevented_match_id,
            market.update_id,
            market.last_price,
            market.last_trade_us,
            [list(bucket) for bucket in market.minutes],
            [list(taken) for taken in sorted(market.taken_bids.items())],
            [list(taken) for taken in sorted(market.taken_asks.items())],
            market.triggers.dump(),
            [order.dump() for order in market.bids.orders_from_best()],
            [order.dump() for order in market.asks.orders_from_best()],
            [order.dump() for _, order in sorted(market.orders.items()) if order.working_us < 0],
            market.next_allocation_id,
        ]

    def load(self, data: Any) -> None:
        """Replace everything by what `dump` wrote. In place, because others hold on to this object."""
        (self.time_us, self.market_open, assets, limits, counts, fences, ledger, markets, participants, *more) = data
        self.assets.clear()
        for row in assets:
            rules = msgspec.convert(row, AssetRules)
            self.assets[rules.asset] = rules
        self.order_limits = tuple(msgspec.convert(row, OrderLimit) for row in limits)
        self.order_counts_used = {account_id: list(used) for account_id, *used in counts}
        self.fences = dict(fences)
        self.ledger.load(ledger)
        self.markets.clear()
        self.queued.clear()
        for row in markets:
            self._load_market(row)
        self.participants.load(participants)
        self.transfers.load(more[:2])
        self.lists.load(more[2:], {symbol: market.orders for symbol, market in self.markets.items()})

    def _load_market(self, row: Any) -> None:
        rules = msgspec.convert(row[0], SymbolRules)
        self.list_symbol(rules)
        market = self.markets[rules.symbol]
        market.next_order_id, market.next_trade_id, market.next_prevented_match_id = row[1:4]
        market.update_id, market.last_price, market.last_trade_us = row[4:7]
        market.minutes = [list(bucket) for bucket in row[7]]
        market.taken_bids = dict(row[8])
        market.taken_asks = dict(row[9])
        market.triggers.load(row[10])
        if market.triggers.queue:
            self.queued[rules.symbol] = market
        market.next_allocation_id = row[14] if len(row) > 14 else 0
        loaded: list[Order] = []
        waiting = row[13] if len(row) > 13 else ()
        for order_row in (*row[11], *row[12], *waiting):
            account_id = order_row[1]
            order = load_order(
                rules.symbol,
                order_row,
                self.ledger.balance(account_id, rules.base_asset),
                self.ledger.balance(account_id, rules.quote_asset),
            )
            if order.working_us >= 0:
                (market.bids if order.is_buy else market.asks).add(order)
            elif order.trailing_us >= 0 and order.order_id not in market.triggers.queue:
                market.triggers.add(order)
            loaded.append(order)
        loaded.sort(key=lambda order: order.order_id)
        for order in loaded:
            market.orders[order.order_id] = order
            market.by_client_order_id.setdefault(order.account_id, {})[order.client_order_id] = order


def _merged(side: BookSide, quotes: Sequence[Level], taken: Mapping[int, int], limit: int) -> list[Level]:
    """The levels that are shown, best first: the accounts' orders and what is left of the participants' quotes."""
    if not side.keys and not taken:
        return list(quotes[:limit])
    shown: list[Level] = []
    resting: Iterator[Level] = ((level.price, level.quantity) for level in side.levels_from_best())
    quoted: Iterator[Level] = (
        (price, quantity - taken.get(price, 0)) for price, quantity in quotes if quantity > taken.get(price, 0)
    )
    sign = -1 if side.is_bid else 1
    mine, theirs = next(resting, None), next(quoted, None)
    while len(shown) < limit and (mine is not None or theirs is not None):
        if theirs is None or (mine is not None and mine[0] * sign < theirs[0] * sign):
            assert mine is not None
            shown.append(mine)
            mine = next(resting, None)
        elif mine is None or theirs[0] * sign < mine[0] * sign:
            shown.append(theirs)
            theirs = next(quoted, None)
        else:
            shown.append((mine[0], mine[1] + theirs[1]))
            mine, theirs = next(resting, None), next(quoted, None)
    return shown
