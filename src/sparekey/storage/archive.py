"""The archive: closed orders, fills, prints and candles, written after the journal and rebuilt from it.

A thread writes; queries on the loop merge what is not written yet, so that a fill is visible at once. A full disk
never stops trading: rows wait in bounded memory, `problem` says so, and `position` tells from where a later start
catches up out of the journal.

Prints are written in blocks, a row per symbol and flush, and what nobody traded may wait for an hour: an idle market
prints all day, and a row with three index entries for each would be the most that an idle server writes.
"""

from __future__ import annotations

import sqlite3
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sparekey.market.aggregates import aggregate_key
from sparekey.market.candles import Candle, add_print, join_candles, print_candle
from sparekey.sequencer.ports import EXECUTIONS_A_RECORD, Published
from sparekey.storage.private_files import make_private
from sparekey.terms.clocktime import HOUR_US, MINUTE_US
from sparekey.venue.effects import Allocation, Amendment, ClosedOrder, ClosedOrderList, Prevented, Print

#: Rows that may wait for a disk that refuses them. Beyond it the archive stops taking rows until the next start.
MAX_WAITING = 400_000
#: Rows that are written without waiting longer, and intervals after which the others are: soon with an account's
#: order or fill among them, after an hour otherwise.
MANY_ROWS = 10_000
URGENT_INTERVALS = 5
IDLE_INTERVALS = 3_600
#: Prints of one block: as many as a query may have to read for one.
BLOCK_PRINTS = 500
#: Blocks kept as they were read: tickers ask for the same ones every second.
_KEPT_BLOCKS = 32

#: Of the tables below. A file of an older one lacks what the journal tells, and is rebuilt from it.
SCHEMA_VERSION = 4

_SCHEMA = """
CREATE TABLE IF NOT EXISTS progress (id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL);
INSERT OR IGNORE INTO progress VALUES (1, 0);
CREATE TABLE IF NOT EXISTS orders (
    account_id INTEGER, symbol TEXT, order_id INTEGER, client_order_id TEXT, updated_us INTEGER,
    image BLOB NOT NULL, PRIMARY KEY (account_id, symbol, order_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_by_client_id ON orders (account_id, symbol, client_order_id);
CREATE INDEX IF NOT EXISTS orders_by_time ON orders (account_id, symbol, updated_us);
CREATE TABLE IF NOT EXISTS fills (
    account_id INTEGER, symbol TEXT, trade_id INTEGER, is_buyer INTEGER, order_id INTEGER, time_us INTEGER,
    price INTEGER, quantity INTEGER, quote_quantity INTEGER, fee INTEGER, fee_asset TEXT, is_maker INTEGER,
    list_id INTEGER,
    PRIMARY KEY (account_id, symbol, trade_id, is_buyer)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fills_by_order ON fills (account_id, symbol, order_id, trade_id);
CREATE INDEX IF NOT EXISTS fills_by_time ON fills (account_id, symbol, time_us);
CREATE TABLE IF NOT EXISTS order_lists (
    account_id INTEGER, list_id INTEGER, client_list_id TEXT, updated_us INTEGER, image BLOB NOT NULL,
    PRIMARY KEY (account_id, list_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS order_lists_by_client_id ON order_lists (account_id, client_list_id);
CREATE TABLE IF NOT EXISTS allocations (
    account_id INTEGER, symbol TEXT, allocation_id INTEGER, order_id INTEGER, time_us INTEGER, image BLOB NOT NULL,
    PRIMARY KEY (account_id, symbol, allocation_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS allocations_by_order ON allocations (account_id, symbol, order_id, allocation_id);
CREATE TABLE IF NOT EXISTS prevented (
    account_id INTEGER, symbol TEXT, order_id INTEGER, prevented_match_id INTEGER, image BLOB NOT NULL,
    PRIMARY KEY (account_id, symbol, order_id, prevented_match_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS prevented_by_id ON prevented (account_id, symbol, prevented_match_id);
CREATE TABLE IF NOT EXISTS amendments (
    account_id INTEGER, symbol TEXT, order_id INTEGER, execution_id INTEGER, image BLOB NOT NULL,
    PRIMARY KEY (account_id, symbol, order_id, execution_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prints (
    symbol TEXT, last_trade_id INTEGER, first_us INTEGER, last_us INTEGER, last_aggregate_id INTEGER, image BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS prints_by_id ON prints (symbol, last_trade_id);
CREATE INDEX IF NOT EXISTS prints_by_time ON prints (symbol, last_us, last_trade_id);
CREATE INDEX IF NOT EXISTS prints_by_aggregate ON prints (symbol, last_aggregate_id, last_trade_id);
CREATE TABLE IF NOT EXISTS candles (
    symbol TEXT, span_us INTEGER, open_us INTEGER, open INTEGER, high INTEGER, low INTEGER, close INTEGER,
    volume INTEGER, quote_volume INTEGER, trades INTEGER, taker_volume INTEGER, taker_quote_volume INTEGER,
    PRIMARY KEY (symbol, span_us, open_us)
) WITHOUT ROWID;
"""


class Fill(NamedTuple):
    """One account's side of a trade; the row of `GET /api/v3/myTrades`. Amounts in 1e-8 units."""

    account_id: int
    symbol: str
    trade_id: int
    is_buyer: bool
    order_id: int
    time_us: int
    price: int
    quantity: int
    quote_quantity: int
    fee: int
    fee_asset: str
    is_maker: bool
    list_id: int


class Mark(NamedTuple):
    """A place in what is listed newest first over several symbols. `side` is 1 for the buyer's fill of a trade."""

    time_us: int
    symbol: str
    id: int
    side: int = 0

    @property
    def rest(self) -> tuple[int, int, int]:
        return self.time_us, self.id, self.side

    def bound(self, symbol: str) -> tuple[int, int, int]:
        """What the rows of a symbol have to be below, by time, id and side, to come after this place."""
        if symbol == self.symbol:
            return self.rest
        return (self.time_us, _END, 1) if symbol < self.symbol else (self.time_us, -1, 0)


def mark_of_order(order: ClosedOrder) -> Mark:
    return Mark(order.updated_us, order.symbol, order.order_id)


def mark_of_fill(fill: Fill) -> Mark:
    return Mark(fill.time_us, fill.symbol, fill.trade_id, int(fill.is_buyer))


class Trade(NamedTuple):
    """The market's print. Prints of one taker order at one price share an `aggregate_id`."""

    symbol: str
    trade_id: int
    time_us: int
    price: int
    quantity: int
    quote_quantity: int
    buyer_is_maker: bool
    aggregate_id: int


#: Above all ids and times.
_END = 2**62

_trade_id_of = attrgetter("trade_id")
_time_of = attrgetter("time_us")
_aggregate_of = attrgetter("aggregate_id")


def _encode_block(trades: Sequence[Trade]) -> bytes:
    """Ids, times and prices as differences from the block's first, which are short."""
    _, first_id, first_us, first_price, _, _, _, first_aggregate = trades[0]
    return msgspec.msgpack.encode(
        [
            (first_id, first_us, first_price, first_aggregate),
            [
                (
                    trade.trade_id - first_id,
                    trade.time_us - first_us,
                    trade.price - first_price,
                    trade.quantity,
                    trade.quote_quantity,
                    trade.buyer_is_maker,
                    trade.aggregate_id - first_aggregate,
                )
                for trade in trades
            ],
        ]
    )


_Block = tuple[tuple[int, int, int, int], list[tuple[int, int, int, int, int, bool, int]]]
_block_decoder = msgspec.msgpack.Decoder(_Block)


def _decode_block(symbol: str, image: bytes) -> list[Trade]:
    (first_id, first_us, first_price, first_aggregate), rows = _block_decoder.decode(image)
    return [
        Trade(symbol, first_id + a, first_us + b, first_price + c, quantity, quote, maker, first_aggregate + d)
        for a, b, c, quantity, quote, maker, d in rows
    ]


class _Rows:
    """Rows on their way to disk, also queryable, in arrival order."""

    __slots__ = (
        "allocations",
        "amendments",
        "candles",
        "count",
        "fills",
        "lists",
        "orders",
        "position",
        "prevented",
        "trades",
        "urgent",
    )

    def __init__(self) -> None:
        self.orders: dict[tuple[int, str], dict[int, ClosedOrder]] = {}
        self.fills: dict[tuple[int, str], list[Fill]] = {}
        self.lists: dict[int, dict[int, ClosedOrderList]] = {}  # by account and id
        self.allocations: dict[tuple[int, str], list[Allocation]] = {}
        self.prevented: dict[tuple[int, str], list[Prevented]] = {}
        self.amendments: dict[tuple[int, str, int], list[tuple[int, Amendment]]] = {}  # with their execution ids
        self.trades: dict[str, list[Trade]] = {}
        self.candles: dict[tuple[str, int, int], Candle] = {}  # by symbol, span and open time
        self.position = 0
        self.count = 0
        self.urgent = False


class Archive:
    """A consumer of the sequencer. Queries and `receive` run on the loop; a thread writes.

    `assets_of` gives a symbol's (base, quote) assets. `pending` gives what the sequencer has applied but not published
    yet, so that a query made in the same pass of the loop misses nothing. Candles of minutes and hours are made of the
    prints as they arrive, so that they hold exactly the prints up to `position`.
    """

    def __init__(
        self,
        path: Path | str,
        assets_of: Callable[[str], tuple[str, str]],
        pending: Callable[[], Sequence[Published]] = tuple,
        interval_s: float = 1.0,
    ) -> None:
        self._path = Path(path)
        self._assets_of = assets_of
        self._pending = pending
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._arriving = _Rows()
        self._writing = _Rows()
        self._blocks: dict[int, list[Trade]] = {}
        self._refusing = False
        self._intervals_waited = 0
        self.problem = ""
        self._writer = self._connect()
        self._writer.executescript(_SCHEMA)
        (self.version,) = self._writer.execute("PRAGMA user_version").fetchone()
        self._reader = self._connect()
        #: Everything up to this journal position is in the file.
        self.position: int = self._reader.execute("SELECT position FROM progress").fetchone()[0]
        if not self.position:
            self.version = SCHEMA_VERSION
            self._writer.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._received = self.position
        #: Per symbol: the last aggregate id, and what its prints have in common.
        self._aggregates: dict[str, tuple[int, tuple[int, ...]]] = {
            symbol: (aggregate_id, ())
            for symbol, aggregate_id in self._reader.execute(
                "SELECT symbol, max(last_aggregate_id) FROM prints GROUP BY symbol"
            )
        }
        #: Per symbol: its newest minute, which further prints go into.
        self._running = {
            row[0]: Candle(*row[1:])
            for row in self._reader.execute(
                "SELECT symbol, max(open_us), open, high, low, close, volume, quote_volume, trades, taker_volume,"
                " taker_quote_volume FROM candles WHERE span_us = ? GROUP BY symbol",
                (MINUTE_US,),
            )
        }

    def last_aggregate_id(self, symbol: str) -> int:
        """Of the prints received; 0: there were none."""
        return self._aggregates.get(symbol, (0, ()))[0]

    # --- writing -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, end the thread, close the file."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.flush()
        self.flush()  # what arrived while older rows were being written
        self._writer.close()
        self._reader.close()

    def set_first_aggregate(self, symbol: str, aggregate_id: int) -> None:
        """The id that the symbol's first live aggregate gets (ids run on from the synthetic history)."""
        self._aggregates.setdefault(symbol, (aggregate_id - 1, ()))

    def receive(self, published: Sequence[Published]) -> None:
        """Take what a commit published; positions that are known already are passed over."""
        with self._lock:
            if self._arriving.count + self._writing.count > MAX_WAITING:
                self._refusing = True
                self.problem = f"the archive stopped at journal position {self.position}; a restart catches up"
            if self._refusing:
                return
            for item in published:
                if item.position > self._received:
                    for effect in item.effects:
                        self._add(self._arriving, effect, item.position)
                    self._received = self._arriving.position = item.position

    def flush(self) -> None:
        """Write everything that waits now; what fails keeps waiting, and `problem` names the cause."""
        with self._lock:
            if not self._writing.position:
                self._writing, self._arriving = self._arriving, _Rows()
            rows = self._writing
        if not rows.position:
            return
        try:
            self._write(rows)
        except (sqlite3.Error, OSError) as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            if not self._refusing:
                self.problem = f"the archive cannot be written ({error}); {rows.count} rows wait"
            return
        with self._lock:
            self._writing = _Rows()
            self.position = rows.position
            if not self._refusing:
                self.problem = ""

    def pass_interval(self) -> None:
        """Another interval has passed: write if enough waits, or has waited long enough."""
        self._intervals_waited += 1
        patience = URGENT_INTERVALS if self._arriving.urgent else IDLE_INTERVALS
        if self._arriving.count >= MANY_ROWS or self._intervals_waited >= patience or self._writing.position:
            self._intervals_waited = 0
            self.flush()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.pass_interval()

    def _connect(self) -> sqlite3.Connection:
        make_private(self._path)
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode=WAL")
        # Rebuilt from the journal when lost: nothing here needs a sync of its own.
        database.execute("PRAGMA synchronous=OFF")
        return database

    def _add(self, rows: _Rows, effect: Any, position: int) -> None:
        if type(effect) is ClosedOrder:
            rows.orders.setdefault((effect.account_id, effect.symbol), {})[effect.order_id] = effect
            rows.count += 1
            rows.urgent = True
        elif type(effect) is ClosedOrderList:
            rows.lists.setdefault(effect.account_id, {})[effect.list_id] = effect
            rows.count += 1
            rows.urgent = True
        elif type(effect) is Allocation:
            rows.allocations.setdefault((effect.account_id, effect.symbol), []).append(effect)
            rows.count += 1
            rows.urgent = True
        elif type(effect) is Prevented:
            rows.prevented.setdefault((effect.account_id, effect.symbol), []).append(effect)
            rows.count += 1
            rows.urgent = True
        elif type(effect) is Amendment:
            execution_id = position * EXECUTIONS_A_RECORD + effect.number
            of_order = (effect.account_id, effect.symbol, effect.order_id)
            rows.amendments.setdefault(of_order, []).append((execution_id, effect))
            rows.count += 1
            rows.urgent = True
        elif type(effect) is Print:
            rows.trades.setdefault(effect.symbol, []).append(self._trade_of(effect, position))
            self._count_in_candles(rows, effect)
            rows.count += 1
            if effect.taker_order_id or effect.maker_order_id:
                rows.urgent = True
                for fill in self._fills_of(effect):
                    rows.fills.setdefault((fill.account_id, fill.symbol), []).append(fill)

    def _count_in_candles(self, rows: _Rows, effect: Print) -> None:
        symbol, open_us = effect.symbol, effect.time_us // MINUTE_US * MINUTE_US
        printed = (effect.price, effect.quantity, effect.quote_quantity, effect.buyer_is_maker)
        running = self._running.get(symbol)
        if running is not None and running.open_us == open_us:
            running = add_print(running, *printed)
        else:
            if running is not None and running.open_us // HOUR_US != open_us // HOUR_US:
                hour_us = running.open_us // HOUR_US * HOUR_US
                unwritten = (self._writing, self._arriving, rows)
                minutes = self._candles(symbol, MINUTE_US, hour_us, running.open_us, unwritten)
                hour = join_candles(minutes, hour_us, HOUR_US)
                if hour is not None:
                    rows.candles[symbol, HOUR_US, hour_us] = hour
            running = print_candle(open_us, MINUTE_US, *printed)
        rows.candles[symbol, MINUTE_US, open_us] = self._running[symbol] = running

    def _trade_of(self, effect: Print, position: int) -> Trade:
        # The record stands for the time: two records may have the same one.
        common = (position, *aggregate_key(effect))
        aggregate_id, last_common = self._aggregates.get(effect.symbol, (0, ()))
        if common != last_common:
            aggregate_id += 1
            self._aggregates[effect.symbol] = (aggregate_id, common)
        return Trade(
            effect.symbol,
            effect.trade_id,
            effect.time_us,
            effect.price,
            effect.quantity,
            effect.quote_quantity,
            effect.buyer_is_maker,
            aggregate_id,
        )

    def _fills_of(self, effect: Print) -> Iterator[Fill]:
        """The sides that real accounts had in a trade; order id 0 is a market participant."""
        base, quote = self._assets_of(effect.symbol)
        for order_id, account_id, fee, is_maker, list_id in (
            (effect.maker_order_id, effect.maker_account_id, effect.maker_fee, True, effect.maker_list_id),
            (effect.taker_order_id, effect.taker_account_id, effect.taker_fee, False, effect.taker_list_id),
        ):
            if order_id:
                is_buyer = effect.buyer_is_maker == is_maker
                yield Fill(
                    account_id,
                    effect.symbol,
                    effect.trade_id,
                    is_buyer,
                    order_id,
                    effect.time_us,
                    effect.price,
                    effect.quantity,
                    effect.quote_quantity,
                    fee,
                    base if is_buyer else quote,
                    is_maker,
                    list_id,
                )

    def _write(self, rows: _Rows) -> None:
        encode = msgspec.msgpack.encode
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        writer.executemany(
            "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?)",
            [
                (o.account_id, o.symbol, o.order_id, o.client_order_id, o.updated_us, encode(o))
                for orders in rows.orders.values()
                for o in orders.values()
            ],
        )
        writer.executemany(
            "INSERT OR REPLACE INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [fill for fills in rows.fills.values() for fill in fills],
        )
        writer.executemany(
            "INSERT OR REPLACE INTO order_lists VALUES (?, ?, ?, ?, ?)",
            [
                (one.account_id, one.list_id, one.client_list_id, one.updated_us, encode(one))
                for lists in rows.lists.values()
                for one in lists.values()
            ],
        )
        writer.executemany(
            "INSERT OR REPLACE INTO allocations VALUES (?, ?, ?, ?, ?, ?)",
            [
                (one.account_id, one.symbol, one.allocation_id, one.order_id, one.time_us, encode(one))
                for allocations in rows.allocations.values()
                for one in allocations
            ],
        )
        writer.executemany(
            "INSERT OR REPLACE INTO prevented VALUES (?, ?, ?, ?, ?)",
            [
                (match.account_id, match.symbol, order_id, match.prevented_match_id, encode(match))
                for matches in rows.prevented.values()
                for match in matches
                for order_id in _orders_of(match)
            ],
        )
        writer.executemany(
            "INSERT OR REPLACE INTO amendments VALUES (?, ?, ?, ?, ?)",
            [
                (*of_order, execution_id, encode(one))
                for of_order, amended in rows.amendments.items()
                for execution_id, one in amended
            ],
        )
        writer.executemany(
            "INSERT OR REPLACE INTO prints VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    symbol,
                    block[-1].trade_id,
                    block[0].time_us,
                    block[-1].time_us,
                    block[-1].aggregate_id,
                    _encode_block(block),
                )
                for symbol, trades in rows.trades.items()
                for block in (trades[i : i + BLOCK_PRINTS] for i in range(0, len(trades), BLOCK_PRINTS))
            ],
        )
        writer.executemany(
            "INSERT OR REPLACE INTO candles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (symbol, span_us, *msgspec.structs.astuple(candle)[:-1])
                for (symbol, span_us, _), candle in rows.candles.items()
            ],
        )
        writer.execute("UPDATE progress SET position = ?", (rows.position,))
        writer.execute("COMMIT")

    # --- queries -----------------------------------------------------------------------------------------------------

    def order(
        self, account_id: int, symbol: str, *, order_id: int = 0, client_order_id: str = ""
    ) -> ClosedOrder | None:
        """A closed order by id, else the newest one with this client order id; None if there is none."""
        waiting = [
            order
            for rows in self._waiting()
            for order in rows.orders.get((account_id, symbol), {}).values()
            if (order.order_id == order_id if order_id else order.client_order_id == client_order_id)
        ]
        if waiting:
            return max(waiting, key=lambda order: order.order_id)
        condition, value = ("order_id = ?", order_id) if order_id else ("client_order_id = ?", client_order_id)
        row = self._reader.execute(
            f"SELECT image FROM orders WHERE account_id = ? AND symbol = ? AND {condition}"
            " ORDER BY order_id DESC LIMIT 1",
            (account_id, symbol, value),
        ).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=ClosedOrder)

    def orders(
        self,
        account_id: int,
        symbol: str,
        *,
        from_order_id: int | None = None,
        start_us: int | None = None,
        end_us: int | None = None,
        limit: int = 500,
    ) -> list[ClosedOrder]:
        """Closed orders ascending by id: from an id, or ended within [start, end], or else the newest `limit`."""
        forwards = from_order_id is not None or start_us is not None
        first = from_order_id or 0
        low, high = _bounds(start_us, end_us)
        waiting = [
            order
            for rows in self._waiting()
            for order in rows.orders.get((account_id, symbol), {}).values()
            if order.order_id >= first and low <= order.updated_us <= high
        ]
        rows = self._reader.execute(
            "SELECT image FROM orders WHERE account_id = ? AND symbol = ? AND order_id >= ?"
            f" AND updated_us BETWEEN ? AND ? ORDER BY order_id {'ASC' if forwards else 'DESC'} LIMIT ?",
            (account_id, symbol, first, low, high, limit),
        )
        stored = [msgspec.msgpack.decode(row[0], type=ClosedOrder) for row in rows]
        merged = sorted({order.order_id: order for order in stored + waiting}.values(), key=lambda o: o.order_id)
        return merged[:limit] if forwards else merged[-limit:]

    def trades(
        self,
        account_id: int,
        symbol: str,
        *,
        order_id: int | None = None,
        from_id: int | None = None,
        start_us: int | None = None,
        end_us: int | None = None,
        limit: int = 500,
    ) -> list[Fill]:
        """An account's trades ascending by id: of an order, from an id, within [start, end], or the newest `limit`."""
        forwards = from_id is not None or start_us is not None
        low, high = _bounds(start_us, end_us)
        waiting = [
            fill
            for rows in self._waiting()
            for fill in rows.fills.get((account_id, symbol), ())
            if (not order_id or fill.order_id == order_id)
            and fill.trade_id >= (from_id or 0)
            and low <= fill.time_us <= high
        ]
        conditions = "account_id = ? AND symbol = ? AND trade_id >= ? AND time_us BETWEEN ? AND ?"
        values = [account_id, symbol, from_id or 0, low, high]
        if order_id:
            conditions += " AND order_id = ?"
            values.append(order_id)
        rows = self._reader.execute(
            f"SELECT * FROM fills WHERE {conditions} ORDER BY trade_id {'ASC' if forwards else 'DESC'} LIMIT ?",
            (*values, limit),
        )
        stored = [Fill(*row) for row in rows]
        merged = sorted({(fill.trade_id, bool(fill.is_buyer)): fill for fill in stored + waiting}.items())
        chosen = merged[:limit] if forwards else merged[-limit:]
        return [fill for _, fill in chosen]

    def newest_orders(
        self, account_id: int, symbols: Iterable[str], *, before: Mark | None = None, limit: int
    ) -> list[ClosedOrder]:
        """Closed orders of several symbols together, the latest change first, and only what comes after `before`."""
        found: dict[tuple[str, int], ClosedOrder] = {}
        waiting = self._waiting()
        for symbol in symbols:
            bound = (_END, _END) if before is None else before.bound(symbol)
            rows = self._reader.execute(
                "SELECT image FROM orders WHERE account_id = ? AND symbol = ? AND (updated_us, order_id) < (?, ?)"
                " ORDER BY updated_us DESC, order_id DESC LIMIT ?",
                (account_id, symbol, *bound[:2], limit),
            )
            for (image,) in rows:
                order = msgspec.msgpack.decode(image, type=ClosedOrder)
                found[symbol, order.order_id] = order
            for some in waiting:
                for order in some.orders.get((account_id, symbol), {}).values():
                    if (order.updated_us, order.order_id) < bound[:2]:
                        found[symbol, order.order_id] = order
        return sorted(found.values(), key=mark_of_order, reverse=True)[:limit]

    def newest_fills(
        self, account_id: int, symbols: Iterable[str], *, before: Mark | None = None, limit: int
    ) -> list[Fill]:
        """Fills of several symbols together, the newest first, and only what comes after `before`."""
        found: dict[tuple[str, int, bool], Fill] = {}
        waiting = self._waiting()
        for symbol in symbols:
            bound = (_END, _END, 1) if before is None else before.bound(symbol)
            rows = self._reader.execute(
                "SELECT * FROM fills WHERE account_id = ? AND symbol = ? AND (time_us, trade_id, is_buyer) < (?, ?, ?)"
                " ORDER BY time_us DESC, trade_id DESC, is_buyer DESC LIMIT ?",
                (account_id, symbol, *bound, limit),
            )
            fills = [Fill(*row) for row in rows]
            for some in waiting:
                fills += [one for one in some.fills.get((account_id, symbol), ()) if mark_of_fill(one).rest < bound]
            for fill in fills:
                found[symbol, fill.trade_id, bool(fill.is_buyer)] = fill
        return sorted(found.values(), key=mark_of_fill, reverse=True)[:limit]

    def order_list(self, account_id: int, *, list_id: int, client_list_id: str) -> ClosedOrderList | None:
        """A closed list by id, else the newest one with this client list id; None if there is none."""
        waiting = [
            one
            for rows in self._waiting()
            for one in rows.lists.get(account_id, {}).values()
            if (one.list_id == list_id if list_id else one.client_list_id == client_list_id)
        ]
        if waiting:
            return max(waiting, key=lambda one: one.list_id)
        condition, value = ("list_id = ?", list_id) if list_id else ("client_list_id = ?", client_list_id)
        row = self._reader.execute(
            f"SELECT image FROM order_lists WHERE account_id = ? AND {condition} ORDER BY list_id DESC LIMIT 1",
            (account_id, value),
        ).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=ClosedOrderList)

    def order_lists(
        self, account_id: int, *, from_id: int | None, start_us: int | None, end_us: int | None, limit: int
    ) -> list[ClosedOrderList]:
        """Closed lists ascending by id: from an id, or ended within [start, end], or else the newest `limit`."""
        forwards = from_id is not None or start_us is not None
        first = from_id or 0
        low, high = _bounds(start_us, end_us)
        waiting = [
            one
            for rows in self._waiting()
            for one in rows.lists.get(account_id, {}).values()
            if one.list_id >= first and low <= one.updated_us <= high
        ]
        rows = self._reader.execute(
            "SELECT image FROM order_lists WHERE account_id = ? AND list_id >= ? AND updated_us BETWEEN ? AND ?"
            f" ORDER BY list_id {'ASC' if forwards else 'DESC'} LIMIT ?",
            (account_id, first, low, high, limit),
        )
        stored = [msgspec.msgpack.decode(row[0], type=ClosedOrderList) for row in rows]
        merged = {one.list_id: one for one in stored + waiting}
        ids = sorted(merged)
        return [merged[one] for one in (ids[:limit] if forwards else ids[-limit:])]

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
    ) -> list[Allocation]:
        """Ascending by id, the oldest `limit`: of an order, from an id, within [start, end]; the newest of all before
        `end_us` where that alone is given."""
        forwards = start_us is not None or end_us is None
        low, high = _bounds(start_us, end_us)
        waiting = [
            one
            for rows in self._waiting()
            for one in rows.allocations.get((account_id, symbol), ())
            if (order_id is None or one.order_id == order_id)
            and one.allocation_id >= (from_id or 0)
            and low <= one.time_us <= high
        ]
        conditions = "account_id = ? AND symbol = ? AND allocation_id >= ? AND time_us BETWEEN ? AND ?"
        values = [account_id, symbol, from_id or 0, low, high]
        if order_id is not None:
            conditions += " AND order_id = ?"
            values.append(order_id)
        rows = self._reader.execute(
            f"SELECT image FROM allocations WHERE {conditions}"
            f" ORDER BY allocation_id {'ASC' if forwards else 'DESC'} LIMIT ?",
            (*values, limit),
        )
        stored = [msgspec.msgpack.decode(row[0], type=Allocation) for row in rows]
        merged = {one.allocation_id: one for one in stored + waiting}
        ids = sorted(merged)
        return [merged[one] for one in (ids[:limit] if forwards else ids[-limit:])]

    def prevented_matches(
        self, account_id: int, symbol: str, *, match_id: int | None, order_id: int | None, from_id: int, limit: int
    ) -> list[Prevented]:
        """The one with this id, or those that an order was in from an id on, ascending."""
        waiting = [
            match
            for rows in self._waiting()
            for match in rows.prevented.get((account_id, symbol), ())
            if match.prevented_match_id >= from_id
            and (match.prevented_match_id == match_id if order_id is None else order_id in _orders_of(match))
        ]
        column, value = ("prevented_match_id", match_id) if order_id is None else ("order_id", order_id)
        rows = self._reader.execute(
            f"SELECT image FROM prevented WHERE account_id = ? AND symbol = ? AND {column} = ?"
            " AND prevented_match_id >= ? ORDER BY prevented_match_id LIMIT ?",
            (account_id, symbol, value, from_id, limit),
        )
        stored = [msgspec.msgpack.decode(row[0], type=Prevented) for row in rows]
        merged = {match.prevented_match_id: match for match in stored + waiting}
        return [merged[match_id] for match_id in sorted(merged)][:limit]

    def amendments(
        self, account_id: int, symbol: str, *, order_id: int, from_execution_id: int, limit: int
    ) -> list[tuple[int, Amendment]]:
        """An order's amendments with their execution ids, ascending by these."""
        waiting = [
            one
            for rows in self._waiting()
            for one in rows.amendments.get((account_id, symbol, order_id), ())
            if one[0] >= from_execution_id
        ]
        rows = self._reader.execute(
            "SELECT execution_id, image FROM amendments WHERE account_id = ? AND symbol = ? AND order_id = ?"
            " AND execution_id >= ? ORDER BY execution_id LIMIT ?",
            (account_id, symbol, order_id, from_execution_id, limit),
        )
        merged = {row[0]: msgspec.msgpack.decode(row[1], type=Amendment) for row in rows}
        merged.update(waiting)
        return sorted(merged.items())[:limit]

    def prints(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        from_aggregate_id: int | None = None,
        start_us: int | None = None,
        end_us: int | None = None,
        limit: int = 500,
    ) -> list[Trade]:
        """The market's prints ascending by id: from a trade or aggregate id, within [start, end], or the newest."""
        if limit <= 0:
            return []
        forwards = from_id is not None or from_aggregate_id is not None or start_us is not None
        low, high = _bounds(start_us, end_us)
        waiting: list[Trade] = []
        first_waiting = 2**62  # What was written meanwhile is in the file as well.
        for rows in self._waiting():
            trades = rows.trades.get(symbol, ())
            if trades:
                first_waiting = min(first_waiting, trades[0].trade_id)
            first = max(
                bisect_left(trades, from_id or 0, key=_trade_id_of),
                bisect_left(trades, from_aggregate_id or 0, key=_aggregate_of),
                bisect_left(trades, low, key=_time_of),
            )
            last = bisect_right(trades, high, key=_time_of)
            waiting += trades[first:last]
        if not forwards:
            del waiting[:-limit]
            stored: list[Trade] = []
            if len(waiting) < limit:
                for block in self._blocks_back_from(symbol, high):
                    stored[:0] = [trade for trade in block if trade.time_us <= high and trade.trade_id < first_waiting]
                    if len(stored) + len(waiting) >= limit:
                        break
            return (stored + waiting)[-limit:]
        found: list[Trade] = []
        for block in self._blocks_from(symbol, from_id, from_aggregate_id, start_us):
            found += [
                trade
                for trade in block
                if (from_id or 0) <= trade.trade_id < first_waiting
                and trade.aggregate_id >= (from_aggregate_id or 0)
                and low <= trade.time_us <= high
            ]
            if len(found) >= limit or block[-1].time_us > high:
                break
        return (found + waiting)[:limit]

    def _blocks_from(
        self, symbol: str, from_id: int | None, from_aggregate_id: int | None, start_us: int | None
    ) -> Iterator[list[Trade]]:
        """Stored blocks, ascending, from the first that may hold what is asked for; ids and times ascend together."""
        column, value = "last_trade_id", from_id or 0
        if from_aggregate_id is not None:
            column, value = "last_aggregate_id", from_aggregate_id
        elif from_id is None and start_us is not None:
            column, value = "last_us", start_us
        for (row,) in self._reader.execute(
            f"SELECT rowid FROM prints WHERE symbol = ? AND {column} >= ? ORDER BY {column}, last_trade_id",
            (symbol, value),
        ):
            yield self._block(symbol, row)

    def _block(self, symbol: str, row: int) -> list[Trade]:
        block = self._blocks.pop(row, None)
        if block is None:
            (image,) = self._reader.execute("SELECT image FROM prints WHERE rowid = ?", (row,)).fetchone()
            block = _decode_block(symbol, image)
            if len(self._blocks) >= _KEPT_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
        self._blocks[row] = block  # the last used are last
        return block

    def _blocks_back_from(self, symbol: str, end_us: int) -> Iterator[list[Trade]]:
        """Stored blocks, newest first, from the last one that may hold prints of `end_us` or before."""
        across = self._reader.execute(
            "SELECT rowid FROM prints WHERE symbol = ? AND last_us > ? ORDER BY last_us, last_trade_id LIMIT 1",
            (symbol, end_us),
        ).fetchall()
        before = self._reader.execute(
            "SELECT rowid FROM prints WHERE symbol = ? AND last_us <= ? ORDER BY last_us DESC, last_trade_id DESC",
            (symbol, end_us),
        )
        for (row,) in chain(across, before):
            yield self._block(symbol, row)

    def minutes(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        """One-minute candles that open within [start, end], ascending; minutes without a trade are missing."""
        return self._candles(symbol, MINUTE_US, start_us, end_us, self._waiting())

    def hours(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        """The same of hours that are over, which a print after them told; those without a trade are missing."""
        return self._candles(symbol, HOUR_US, start_us, end_us, self._waiting())

    def _candles(self, symbol: str, span_us: int, start_us: int, end_us: int, waiting: Sequence[_Rows]) -> list[Candle]:
        found = {
            row[0]: Candle(*row)
            for row in self._reader.execute(
                "SELECT open_us, open, high, low, close, volume, quote_volume, trades, taker_volume,"
                " taker_quote_volume, span_us FROM candles"
                " WHERE symbol = ? AND span_us = ? AND open_us BETWEEN ? AND ?",
                (symbol, span_us, start_us, end_us),
            )
        }
        for rows in waiting:
            for (of_symbol, of_span, open_us), candle in rows.candles.items():
                if of_symbol == symbol and of_span == span_us and start_us <= open_us <= end_us:
                    found[open_us] = candle
        return [found[open_us] for open_us in sorted(found)]

    def _waiting(self) -> list[_Rows]:
        """What is not in the file yet, oldest first, including what the sequencer has not published."""
        with self._lock:  # Taken together, and before the file is read: the thread moves rows from one to the next.
            waiting = [self._writing, self._arriving]
        unpublished = [item for item in self._pending() if item.position > self._received]
        if unpublished:
            rows = _Rows()
            aggregates, running = dict(self._aggregates), dict(self._running)
            for item in unpublished:
                for effect in item.effects:
                    self._add(rows, effect, item.position)
            self._aggregates, self._running = aggregates, running  # they will be counted when they are received
            waiting.append(rows)
        return waiting


def _orders_of(match: Prevented) -> tuple[int, ...]:
    """The orders of the match's own symbol; the maker may be of another one."""
    if match.maker_symbol != match.symbol:
        return (match.taker_order_id,)
    return match.taker_order_id, match.maker_order_id


def _bounds(start_us: int | None, end_us: int | None) -> tuple[int, int]:
    return (0 if start_us is None else start_us), (2**62 if end_us is None else end_us)
