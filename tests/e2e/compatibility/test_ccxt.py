"""ccxt with its WebSockets (ccxt.pro), through a bot's day: what it hears and what it asks must agree."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tests.e2e.ccxt_urls import ccxt_urls
from tests.e2e.compatibility.books import same_book
from tests.e2e.compatibility.script import Script, follow
from tests.venue import Credentials, Venue

pytestmark = [pytest.mark.clients, pytest.mark.timeout(240)]

SYMBOL = "BTC/USDT"


def bot(venue: Venue, key: Credentials) -> ccxt.pro.binance:
    return ccxt.pro.binance(
        {
            "urls": ccxt_urls(venue.url),
            "apiKey": key.api_key,
            "secret": key.secret or key.private_pem,
            "enableRateLimit": False,
        }
    )


@pytest.mark.venue(market="simulated", durability="normal")
def test_ccxt_follows_its_script(venue: Venue) -> None:
    with follow("ccxt", ccxt.__version__) as script:
        asyncio.run(day(script, venue))


async def day(script: Script, venue: Venue) -> None:
    key = venue.key(fund={"USDT": "50000", "BTC": "1"})
    client = bot(venue, key)
    try:
        await over_rest(script, client)
        await on_the_market(script, client)
        await over_the_websocket_api(script, client)
        await hearing_of_itself(script, client)
        await refused(script, venue, key)
        await after_a_restart(script, venue, client)
    finally:
        await client.close()
    with script.step("does the same with an Ed25519 key: `create_order`, `create_order_ws`, `watch_orders`"):
        await with_another_key(venue, "ed25519")
    with script.step("does the same with an RSA key"):
        await with_another_key(venue, "rsa")


async def over_rest(script: Script, client: ccxt.pro.binance) -> None:
    with script.step("starts: `load_markets`, `fetch_balance`"):
        markets = await client.load_markets()
        assert markets[SYMBOL]["spot"]
        assert (await client.fetch_balance())["USDT"]["free"] == 50_000
    with script.step("reads the market: `fetch_order_book`, `fetch_ohlcv`, `fetch_trades`, `fetch_tickers`"):
        assert len((await client.fetch_order_book(SYMBOL))["bids"]) >= 50
        assert len(await client.fetch_ohlcv(SYMBOL, "1m", limit=50)) == 50
        assert await client.fetch_trades(SYMBOL, limit=10)
        assert (await client.fetch_tickers())[SYMBOL]["last"] > 0
    with script.step("places, finds, edits and cancels an order over REST"):
        placed = await client.create_order(SYMBOL, "limit", "buy", 0.01, 40_000)
        edited = await client.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.02, 41_000)
        assert [order["id"] for order in await client.fetch_open_orders(SYMBOL)] == [edited["id"]]
        assert (await client.cancel_order(edited["id"], SYMBOL))["status"] == "canceled"
        assert (await client.fetch_order(placed["id"], SYMBOL))["status"] == "canceled"
    with script.step("places and cancels a stop-loss order (`stopLossPrice`) and a trailing one (`trailingPercent`)"):
        stop = await client.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": 40_000})
        trailing = await client.create_order(
            SYMBOL, "market", "sell", 0.01, None, {"trailingPercent": 2, "stopLossOrTakeProfit": "stopLoss"}
        )
        found = {order["id"]: order for order in await client.fetch_open_orders(SYMBOL)}
        assert found[stop["id"]]["triggerPrice"] == 40_000 and trailing["id"] in found
        await client.cancel_all_orders(SYMBOL)
        assert await client.fetch_open_orders(SYMBOL) == []


async def on_the_market(script: Script, client: ccxt.pro.binance) -> None:
    with script.step("hears trades, tickers, best prices and candles: `watch_trades`, `watch_ticker` …"):
        trade = (await client.watch_trades(SYMBOL))[-1]
        known = await client.fetch_trades(SYMBOL, limit=50)
        assert trade["id"] in {one["id"] for one in known}
        ticker = await client.watch_ticker(SYMBOL)
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        assert SYMBOL in await client.watch_tickers([SYMBOL])
        best = (await client.watch_bids_asks([SYMBOL]))[SYMBOL]
        assert best["bid"] < best["ask"]
        (candle,) = await client.watch_ohlcv(SYMBOL, "1m")
        assert candle[3] <= candle[4] <= candle[2]
    with script.step("keeps an order book that equals the server's: `watch_order_book`"):
        await same_book(
            lambda: watched_book(client), lambda: client.publicGetDepth({"symbol": "BTCUSDT", "limit": 5000})
        )
    with script.step("leaves a stream: `un_watch_trades`"):
        await client.un_watch_trades(SYMBOL)


async def watched_book(client: ccxt.pro.binance) -> tuple[int, dict[float, float], dict[float, float]]:
    book = await client.watch_order_book(SYMBOL, 1000)
    return book["nonce"], dict(map(tuple, book["bids"])), dict(map(tuple, book["asks"]))


async def over_the_websocket_api(script: Script, client: ccxt.pro.binance) -> None:
    with script.step("asks over the WebSocket API: `fetch_balance_ws`, `fetch_ohlcv_ws` …"):
        # Of a spot account it hands over what it was told, and leaves the balances in there.
        account = (await client.fetch_balance_ws())["info"]
        assert {row["asset"]: row["free"] for row in account["balances"]}["USDT"] == "50000.00000000"
        assert len(await client.fetch_ohlcv_ws(SYMBOL, "1m", None, 20)) == 20
        assert await client.fetch_trades_ws(SYMBOL, None, 10)
    with script.step("places, finds, edits and cancels an order over the WebSocket API: `create_order_ws` …"):
        placed = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 40_000)
        assert placed["status"] == "open"
        edited = await client.edit_order_ws(placed["id"], SYMBOL, "limit", "buy", 0.02, 41_000)
        assert [order["id"] for order in await client.fetch_open_orders_ws(SYMBOL)] == [edited["id"]]
        assert (await client.cancel_order_ws(edited["id"], SYMBOL))["status"] == "canceled"
        assert (await client.fetch_order_ws(edited["id"], SYMBOL))["status"] == "canceled"
        await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 40_000)
        await client.cancel_all_orders_ws(SYMBOL)
        assert await client.fetch_open_orders(SYMBOL) == []
    with script.step("buys at the market over the WebSocket API and finds its trades: `fetch_my_trades_ws`"):
        bought = await client.create_order_ws(SYMBOL, "market", "buy", 0.02)
        assert bought["status"] == "closed" and bought["filled"] == 0.02
        trades = await client.fetch_my_trades_ws(SYMBOL)
        assert sum(trade["amount"] for trade in trades) == pytest.approx(0.02)
        assert [trade["id"] for trade in trades] == [trade["id"] for trade in await client.fetch_my_trades(SYMBOL)]


async def hearing_of_itself(script: Script, client: ccxt.pro.binance) -> None:
    with script.step("hears of its orders, fills and balances: `watch_orders`, `watch_my_trades`, `watch_balance`"):
        before = await client.fetch_balance()
        heard = [asyncio.create_task(watch) for watch in (client.watch_orders(SYMBOL), client.watch_my_trades(SYMBOL))]
        balances = asyncio.create_task(client.watch_balance())
        await subscribed(client)
        bought = await client.create_order(SYMBOL, "market", "buy", 0.02)
        orders, trades = await asyncio.wait_for(asyncio.gather(*heard), 20)
        assert {order["id"] for order in orders} == {bought["id"]}
        while orders[-1]["status"] != "closed":
            orders = await asyncio.wait_for(client.watch_orders(SYMBOL), 20)
        assert orders[-1]["filled"] == 0.02
        assert {trade["order"] for trade in trades} == {bought["id"]}
        balance = await asyncio.wait_for(balances, 20)
        after = await client.fetch_balance()
        assert balance["USDT"]["free"] == after["USDT"]["free"] < before["USDT"]["free"]


async def subscribed(client: ccxt.pro.binance) -> None:
    """Until the user data stream is; ccxt has no word for it."""
    for _ in range(200):
        await asyncio.sleep(0.05)
        if any("userDataStream" in str(one.subscriptions) for one in client.clients.values()):
            break
    await asyncio.sleep(0.5)


async def refused(script: Script, venue: Venue, key: Credentials) -> None:
    with script.step("a wrong secret is an AuthenticationError, over REST and over the WebSocket API"):
        wrong = bot(venue, key._replace(secret="wrong" * 12))
        try:
            with pytest.raises(ccxt.AuthenticationError, match="-1022"):
                await wrong.private_get_account()
            with pytest.raises(ccxt.AuthenticationError, match="-1022"):
                await wrong.fetch_balance_ws()
            with pytest.raises(ccxt.AuthenticationError, match="-1022"):
                await wrong.watch_balance()
        finally:
            await wrong.close()


async def after_a_restart(script: Script, venue: Venue, client: ccxt.pro.binance) -> None:
    with script.step("hears again after the server was restarted, and finds its order there"):
        resting = await client.create_order(SYMBOL, "limit", "buy", 0.01, 40_000)
        await client.watch_order_book(SYMBOL)
        await asyncio.to_thread(venue.restart)
        # What was watched ends with a NetworkError; the next call connects again.
        book = await again(lambda: client.watch_order_book(SYMBOL))
        assert book["bids"][0][0] < book["asks"][0][0]
        orders = asyncio.create_task(again(lambda: client.watch_orders(SYMBOL)))
        assert [order["id"] for order in await client.fetch_open_orders(SYMBOL)] == [resting["id"]]
        await client.cancel_order_ws(resting["id"], SYMBOL)
        # It subscribes again a while later, and nothing tells when; what happened before that, it does not hear.
        for _ in range(20):
            heard, _unheard = await asyncio.wait({orders}, timeout=1)
            if heard:
                break
            other = await client.create_order(SYMBOL, "limit", "buy", 0.01, 40_000)
            await client.cancel_order_ws(other["id"], SYMBOL)
        assert (await asyncio.wait_for(orders, 20))[-1]["status"] in ("open", "canceled")


async def again(watch: Any) -> Any:
    for _ in range(20):
        try:
            return await asyncio.wait_for(watch(), 30)
        except ccxt.NetworkError:
            await asyncio.sleep(0.2)
    raise AssertionError("it did not come back")


async def with_another_key(venue: Venue, key_type: str) -> None:
    client = bot(venue, venue.key(key_type, fund={"USDT": "50000"}))
    try:
        orders = asyncio.create_task(client.watch_orders(SYMBOL))
        await subscribed(client)
        over_rest = await client.create_order(SYMBOL, "market", "buy", 0.01)
        assert (await asyncio.wait_for(orders, 20))[-1]["id"] == over_rest["id"]
        assert (await client.create_order_ws(SYMBOL, "market", "buy", 0.01))["status"] == "closed"
    finally:
        await client.close()
