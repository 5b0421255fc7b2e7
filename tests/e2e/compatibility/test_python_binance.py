"""python-binance with its socket manager, depth cache and WebSocket API, through a bot's day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from binance.async_client import AsyncClient
from binance.exceptions import BinanceAPIException
from binance.ws.constants import WSListenerState
from binance.ws.depthcache import DepthCacheManager
from binance.ws.streams import BinanceSocketManager
from websockets.protocol import State

from tests.e2e.compatibility.books import Kept, same_book
from tests.e2e.compatibility.script import Script, follow
from tests.venue import Credentials, Venue

pytestmark = [
    pytest.mark.clients,
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore:.*was never awaited"),  # of coroutines that it drops when a connection ends
]

SYMBOL = "BTCUSDT"


class Led:
    """The client's classes with other addresses, which are attributes of theirs."""

    def __init__(self, base: str) -> None:
        socket = base.replace("http", "ws", 1)

        class Client(AsyncClient):  # type: ignore[misc]
            API_URL = f"{base}/api"
            MARGIN_API_URL = f"{base}/sapi"
            WS_API_URL = f"{socket}/ws-api/v3"

        class Sockets(BinanceSocketManager):  # type: ignore[misc]
            STREAM_URL = f"{socket}/"

        self.client, self.socket_manager = Client, Sockets

    async def log_on(self, key: Credentials) -> Any:
        secret = {"private_key": key.private_pem} if key.private_pem else {"api_secret": key.secret}
        return await self.client.create(api_key=key.api_key, **secret)


@pytest.mark.venue(market="simulated", durability="normal")
def test_python_binance_follows_its_script(venue: Venue) -> None:
    with follow("python-binance", version("python-binance")) as script:
        asyncio.run(day(script, venue))


async def day(script: Script, venue: Venue) -> None:
    led = Led(venue.url)
    key = venue.key(fund={"USDT": "50000", "BTC": "1"})
    with script.step("starts: `AsyncClient.create`, `get_account`"):
        client = await led.log_on(key)
        assert (await client.get_asset_balance("USDT"))["free"] == "50000.00000000"
    try:
        sockets = led.socket_manager(client)
        await over_rest(script, client)
        await on_the_market(script, client, sockets)
        await over_the_websocket_api(script, client)
        await hearing_of_itself(script, client, sockets)
        await refused(script, led, key)
        await after_a_restart(script, venue, client, sockets)
    finally:
        await client.close_connection()
    for key_type in ("Ed25519", "RSA"):
        with script.step(f"does the same with an {key_type} key"):
            await with_another_key(led, venue.key(key_type.lower(), fund={"USDT": "50000"}))


async def over_rest(script: Script, client: Any) -> None:
    with script.step("places, finds and cancels an order over REST: `order_limit_buy` …"):
        placed = await client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price="40000.00")
        assert [order["orderId"] for order in await client.get_open_orders(symbol=SYMBOL)] == [placed["orderId"]]
        cancelled = await client.cancel_order(symbol=SYMBOL, orderId=placed["orderId"])
        assert cancelled["status"] == "CANCELED"
    with script.step("replaces an order: `cancel_replace_order`"):
        placed = await client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price="40000.00")
        replaced = await client.cancel_replace_order(
            symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price="41000.00",
            cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=placed["orderId"],
        )  # fmt: skip
        assert replaced["cancelResult"] == replaced["newOrderResult"] == "SUCCESS"
        assert replaced["newOrderResponse"]["price"] == "41000.00000000"
        await client.cancel_all_open_orders(symbol=SYMBOL)
        assert await client.get_open_orders(symbol=SYMBOL) == []
    with script.step("places and cancels an OCO: `create_oco_order`, `v3_delete_order_list`"):
        oco = await client.create_oco_order(
            symbol=SYMBOL, side="SELL", quantity="0.01",
            aboveType="LIMIT_MAKER", abovePrice="90000.00", belowType="STOP_LOSS", belowStopPrice="40000.00",
        )  # fmt: skip
        assert {report["type"] for report in oco["orderReports"]} == {"LIMIT_MAKER", "STOP_LOSS"}
        ended = await client.v3_delete_order_list(symbol=SYMBOL, orderListId=oco["orderListId"])
        assert {report["status"] for report in ended["orderReports"]} == {"CANCELED"}
        assert await client.get_open_orders(symbol=SYMBOL) == []


async def on_the_market(script: Script, client: Any, sockets: Any) -> None:
    with script.step("hears trades, candles, tickers and best prices: `trade_socket`, `kline_socket` …"):
        (trade,) = await hear(sockets.trade_socket(SYMBOL))
        assert trade["e"] == "trade"
        assert trade["t"] in {one["id"] for one in await client.get_recent_trades(symbol=SYMBOL, limit=100)}
        for socket, event in (
            (sockets.aggtrade_socket(SYMBOL), "aggTrade"),
            (sockets.kline_socket(SYMBOL), "kline"),
            (sockets.symbol_ticker_socket(SYMBOL), "24hrTicker"),
            (sockets.symbol_miniticker_socket(SYMBOL), "24hrMiniTicker"),
        ):
            (heard,) = await hear(socket)
            assert (heard["e"], heard["s"]) == (event, SYMBOL)
        (best,) = await hear(sockets.symbol_book_ticker_socket(SYMBOL))
        assert float(best["b"]) < float(best["a"])
        (all_of_them,) = await hear(sockets.miniticker_socket())
        assert {one["e"] for one in all_of_them} == {"24hrMiniTicker"}
        (partial,) = await hear(sockets.depth_socket(SYMBOL, depth="20", interval=100))
        assert len(partial["bids"]) == 20
    with script.step("hears several streams on one socket: `multiplex_socket`"):
        heard = await hear(sockets.multiplex_socket(["btcusdt@aggTrade", "ethusdt@bookTicker"]), 30)
        assert {one["stream"] for one in heard} == {"btcusdt@aggTrade", "ethusdt@bookTicker"}
    with script.step("keeps an order book that equals the server's: `DepthCacheManager`"):
        async with DepthCacheManager(client, SYMBOL, bm=sockets, limit=5000, ws_interval=100) as cache:
            # It lays the first difference over a newer snapshot; the second puts that right.
            for _ in range(3):
                await cache.recv()

            async def kept() -> Kept:
                book = await cache.recv()
                return cache._last_update_id, dict(map(tuple, book.get_bids())), dict(map(tuple, book.get_asks()))

            await same_book(kept, lambda: client.get_order_book(symbol=SYMBOL, limit=5000))


async def hear(socket: Any, count: int = 1) -> list[Any]:
    async with socket:
        return [await asyncio.wait_for(socket.recv(), 20) for _ in range(count)]


async def hear_until(socket: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    """What was heard, up to what was wanted."""
    heard = []
    while not heard or not wanted(heard[-1]):
        heard.append(await asyncio.wait_for(socket.recv(), 20))
    return heard


async def over_the_websocket_api(script: Script, client: Any) -> None:
    with script.step("asks over the WebSocket API: `ws_get_account`, `ws_get_order_book`, `ws_get_klines` …"):
        assert abs((await client.ws_get_time())["serverTime"] - (await client.get_server_time())["serverTime"]) < 5000
        balances = {row["asset"]: row["free"] for row in (await client.ws_get_account())["balances"]}
        assert balances["USDT"] == "50000.00000000"
        assert len((await client.ws_get_order_book(symbol=SYMBOL, limit=100))["bids"]) >= 50
        assert len(await client.ws_get_klines(symbol=SYMBOL, interval="1m", limit=20)) == 20
        assert float((await client.ws_get_ticker(symbol=SYMBOL))["lastPrice"]) > 0
        assert float((await client.ws_get_orderbook_ticker(symbol=SYMBOL))["bidPrice"]) > 0
    with script.step("places, finds and cancels an order over the WebSocket API: `ws_order_limit_buy` …"):
        placed = await client.ws_order_limit_buy(symbol=SYMBOL, quantity="0.01", price="40000.00")
        found = await client.ws_get_order(symbol=SYMBOL, orderId=placed["orderId"])
        assert found["status"] == "NEW"
        assert found == await client.get_order(symbol=SYMBOL, orderId=placed["orderId"])
        assert await client.ws_get_open_orders(symbol=SYMBOL) == [found]
        ended = await client.ws_cancel_order(symbol=SYMBOL, orderId=placed["orderId"])
        assert ended["status"] == "CANCELED"
        assert await client.ws_create_test_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.01") == {}
    with script.step("buys at the market over the WebSocket API: `ws_order_market_buy`, `ws_get_my_trades`"):
        bought = await client.ws_order_market_buy(symbol=SYMBOL, quantity="0.01")
        assert bought["status"] == "FILLED"
        trades = await client.ws_get_my_trades(symbol=SYMBOL, orderId=bought["orderId"])
        assert sum(float(trade["qty"]) for trade in trades) == pytest.approx(0.01)
    with script.step("a refusal over the WebSocket API is a BinanceAPIException with its code"):
        with pytest.raises(BinanceAPIException) as caught:
            await client.ws_order_limit_buy(symbol=SYMBOL, quantity="0.01", price="40000.001")
        assert (caught.value.code, caught.value.status_code) == (-1013, 400)
        with pytest.raises(BinanceAPIException) as caught:
            await client.ws_get_order(symbol=SYMBOL, orderId=999_999)
        assert caught.value.code == -2013


async def hearing_of_itself(script: Script, client: Any, sockets: Any) -> None:
    with script.step("hears of its order, fill and balances: `user_socket`"):
        async with sockets.user_socket() as socket:
            bought = await client.order_market_buy(symbol=SYMBOL, quantity="0.01")
            heard = await hear_until(socket, lambda event: event["e"] == "outboundAccountPosition")
            reports = [event for event in heard if event["e"] == "executionReport"]
            assert {report["i"] for report in reports} == {bought["orderId"]}
            assert (reports[0]["x"], reports[-1]["X"]) == ("NEW", "FILLED")
            told = {row["a"]: row["f"] for row in heard[-1]["B"]}
            balances = {row["asset"]: row["free"] for row in (await client.get_account())["balances"]}
            assert told == {asset: balances[asset] for asset in told} and "BTC" in told


async def refused(script: Script, led: Led, key: Credentials) -> None:
    with script.step("a wrong secret is -1022, over REST and over the WebSocket API"):
        wrong = await led.log_on(key._replace(secret="wrong" * 12))
        try:
            for call in (wrong.get_account, wrong.ws_get_account):
                with pytest.raises(BinanceAPIException) as caught:
                    await call()
                assert caught.value.code == -1022
        finally:
            await wrong.close_connection()
    with script.step("an unknown key is -2015, over REST and over the WebSocket API"):
        unknown = await led.log_on(key._replace(api_key="A" * 64))
        try:
            for call in (unknown.get_account, unknown.ws_get_account):
                with pytest.raises(BinanceAPIException) as caught:
                    await call()
                assert (caught.value.code, caught.value.status_code) == (-2015, 401)
        finally:
            await unknown.close_connection()


async def after_a_restart(script: Script, venue: Venue, client: Any, sockets: Any) -> None:
    with script.step("hears again after the server was restarted, and finds its order there"):
        resting = await client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price="40000.00")
        async with sockets.trade_socket(SYMBOL) as socket:
            await hear_until(socket, lambda event: event["e"] == "trade")
            await asyncio.to_thread(venue.restart)
            heard = await hear_until(socket, lambda event: event["e"] == "error")
            assert heard[-1]["type"].endswith(("ConnectionClosedOK", "ConnectionClosedError", "BinanceWebsocketClosed"))
            await hear_until(socket, lambda event: event["e"] == "trade")
        assert [order["orderId"] for order in await client.get_open_orders(symbol=SYMBOL)] == [resting["orderId"]]
        await its_own_reconnection(client)
        ended = await client.ws_cancel_order(symbol=SYMBOL, orderId=resting["orderId"])
        assert ended["status"] == "CANCELED"


async def its_own_reconnection(client: Any) -> None:
    """Wait until the client's WebSocket API connection has come back by itself.

    A request made before that opens a connection of its own, which the client's reader then replaces by another one:
    the reply to the request is never read, and ten seconds later the client says "Request timed out".
    """
    connection = client.ws_api
    async with asyncio.timeout(60):
        while connection.ws_state is not WSListenerState.STREAMING or connection.ws.state is not State.OPEN:
            await asyncio.sleep(0.1)


async def with_another_key(led: Led, key: Credentials) -> None:
    client = await led.log_on(key)
    try:
        async with led.socket_manager(client).user_socket() as socket:
            await client.order_market_buy(symbol=SYMBOL, quantity="0.01")
            bought = await client.ws_order_market_buy(symbol=SYMBOL, quantity="0.01")
            heard = await hear_until(
                socket, lambda event: event["e"] == "executionReport" and event["i"] == bought["orderId"]
            )
            assert {event["e"] for event in heard} <= {"executionReport", "outboundAccountPosition"}
    finally:
        await client.close_connection()
