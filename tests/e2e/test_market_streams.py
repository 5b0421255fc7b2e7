"""Market streams of a running server, heard by clients that we did not write, against what REST says."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import threading
import time
from contextlib import suppress
from decimal import Decimal
from itertools import count, pairwise
from typing import Any

import pytest
from binance_common.configuration import ConfigurationWebSocketStreams
from binance_sdk_spot.spot import Spot
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.signing import Caller
from tests.unit.wire.test_market_feed import LocalBook
from tests.venue import Venue


def listen(venue: Venue, *names: str) -> ClientConnection:
    return connect(f"ws{venue.url.removeprefix('http')}/stream?streams={'/'.join(names)}")


def get(call: Caller, path: str, **asked: Any) -> Any:
    return call("GET", f"/api/v3/{path}", asked, signed=False).body


@pytest.mark.venue(market="simulated")
def test_books_trades_and_candles_of_streams_are_those_of_rest(venue: Venue) -> None:
    """A bot trades while the market moves; its local book, begun by the documented procedure, is the server's."""
    call, bot = Caller(venue.url), Caller(venue.url, venue.key(fund={"USDT": "10000000", "BTC": "100"}))
    names = ("btcusdt@depth@100ms", "btcusdt@trade", "btcusdt@aggTrade", "btcusdt@bookTicker", "btcusdt@kline_1s")
    heard: dict[str, list[Any]] = {name: [] for name in names}
    book = LocalBook()
    trades_at_end = threading.Event()

    def trade() -> None:
        for number in range(30):
            bids = get(bot, "depth", symbol="BTCUSDT", limit=5)["bids"]
            bot.limit_order(quantity="0.02", price=bids[number % 5][0])
            bot.limit_order(side="SELL", quantity="0.05", price=bids[4][0])
        trades_at_end.set()

    with listen(venue, *names) as socket:

        def hear() -> str:
            message = json.loads(socket.recv(10))
            heard[message["stream"]].append(message["data"])
            if message["stream"] == names[0]:
                book.hear(message["data"])
            return str(message["stream"])

        def snapshot() -> bool:
            body = get(call, "depth", symbol="BTCUSDT", limit=5000)
            sides = ([tuple(map(_units, level)) for level in body[side]] for side in ("bids", "asks"))
            return book.snapshot(body["lastUpdateId"], *sides)

        while hear() != names[0]:
            pass
        trader = threading.Thread(target=trade)
        trader.start()
        while not snapshot():
            hear()
        until = time.monotonic() + 30
        equal = False
        while not (equal and trades_at_end.is_set() and any(one["k"]["x"] for one in heard["btcusdt@kline_1s"])):
            assert time.monotonic() < until, "the books never met"
            if hear() != names[0]:
                continue
            body = get(call, "depth", symbol="BTCUSDT", limit=5000)
            if body["lastUpdateId"] == book.update_id:
                assert book.shown() == [body["bids"], body["asks"]]
                equal = True
        trader.join()
    events = heard[names[0]]
    assert all(after["U"] == before["u"] + 1 for before, after in pairwise(events))
    trades = heard["btcusdt@trade"]
    rows = get(call, "historicalTrades", symbol="BTCUSDT", fromId=trades[0]["t"], limit=len(trades))
    assert [(one["t"], one["p"], one["q"], one["T"], one["m"]) for one in trades] == [
        (row["id"], row["price"], row["qty"], row["time"], row["isBuyerMaker"]) for row in rows
    ]
    aggregates = heard["btcusdt@aggTrade"]
    rows = get(call, "aggTrades", symbol="BTCUSDT", fromId=aggregates[0]["a"], limit=min(len(aggregates), 1000))
    assert [{name: one[name] for name in "apqflTmM"} for one in aggregates[: len(rows)]] == rows
    closed = [one["k"] for one in heard["btcusdt@kline_1s"] if one["k"]["x"]]
    rows = get(call, "klines", symbol="BTCUSDT", interval="1s", startTime=closed[0]["t"], limit=len(closed))
    assert [[one[name] for name in "tohlcvTqnVQB"] for one in closed] == rows
    ids = [one["u"] for one in heard["btcusdt@bookTicker"]]
    assert ids == sorted(set(ids))


def _units(text: str) -> int:
    return int(Decimal(text) * 10**8)


@pytest.mark.venue(market="simulated")
def test_the_official_sdk_hears_the_market_in_the_types_that_it_declares(
    venue: Venue, caplog: pytest.LogCaptureFixture
) -> None:
    async def hear() -> list[Any]:
        heard: dict[str, asyncio.Future[Any]] = {}
        configuration = ConfigurationWebSocketStreams(stream_url=f"ws{venue.url.removeprefix('http')}")
        client = Spot(config_ws_streams=configuration).websocket_streams
        await client.create_connection()

        async def await_one(name: str, subscribing: Any) -> None:
            future = heard[name] = asyncio.get_running_loop().create_future()
            handle = await subscribing
            handle.on("message", lambda message: future.done() or future.set_result(message))

        await await_one("depth", client.diff_book_depth(symbol="btcusdt"))
        await await_one("ticker", client.ticker(symbol="btcusdt"))
        found = [await asyncio.wait_for(future, 10) for future in heard.values()]
        await client.close_connection()
        return found

    depth, ticker = asyncio.run(hear())
    assert (depth.e, depth.s) == ("depthUpdate", "BTCUSDT")
    assert depth.u >= depth.U
    assert (ticker.e, ticker.s) == ("24hrTicker", "BTCUSDT")
    assert ticker.n == ticker.L - ticker.F + 1
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.long
def test_what_was_heard_before_a_kill_is_there_after_it_and_ids_go_on(start: Any) -> None:
    """Nothing is told before it is durable: queries give every trade that a stream told, and the rest of the story."""
    trades: dict[int, tuple[str, str]] = {}
    update_ids, aggregate_ids = [0], [0]

    def hear(socket: ClientConnection, timeout: float) -> None:
        while True:
            event = json.loads(socket.recv(timeout))["data"]
            if event["e"] == "trade":
                trades[event["t"]] = event["p"], event["q"]
            elif event["e"] == "aggTrade":
                aggregate_ids.append(event["a"])
            else:
                update_ids.append(event["u"])

    for life in range(4):
        server = start("--profile", "off", market="simulated")
        call = server.call()
        if trades:
            found: dict[int, tuple[str, str]] = {}
            for first_id in range(min(trades), max(trades) + 1, 1000):
                rows = get(call, "historicalTrades", symbol="BTCUSDT", fromId=first_id, limit=1000)
                found |= {row["id"]: (row["price"], row["qty"]) for row in rows}
            assert {trade_id: found.get(trade_id) for trade_id in trades} == trades
            assert get(call, "depth", symbol="BTCUSDT", limit=5)["lastUpdateId"] >= update_ids[-1]
            assert get(call, "aggTrades", symbol="BTCUSDT", limit=1)[0]["a"] >= aggregate_ids[-1]
        names = "btcusdt@trade/btcusdt@depth@100ms/btcusdt@aggTrade"
        killer = threading.Timer(1 + life * 0.17, server.kill)
        with connect(f"ws{server.url.removeprefix('http')}/stream?streams={names}") as socket:
            killer.start()
            with suppress(OSError, http.client.HTTPException, ConnectionClosed):
                for number in count():
                    side = "BUY" if number % 2 else "SELL"
                    terms = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "quantity": "0.001"}
                    call("POST", "/api/v3/order", terms, in_body=True)
                    if number % 10 == 0:
                        with suppress(TimeoutError):
                            hear(socket, 0.02)
            killer.join()
            with suppress(ConnectionClosed):
                hear(socket, 10)
    assert len(trades) > 100
    assert update_ids == sorted(set(update_ids))
    assert aggregate_ids == sorted(set(aggregate_ids))
