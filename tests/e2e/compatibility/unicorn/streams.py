"""unicorn-binance-websocket-api through a bot's day: streams, user data, WebSocket API, a restart of the server."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from led import SOCKET, LedRest, passed, restart, settings, until
from unicorn_binance_websocket_api import BinanceWebSocketApiManager

SYMBOL = "BTCUSDT"
CREDENTIALS = {"api_key": settings["api_key"], "api_secret": settings["api_secret"]}

rest = LedRest(exchange="binance.com", warn_on_update=False, **CREDENTIALS)
balances = {row["asset"]: row["free"] for row in rest.get_account()["balances"]}
assert balances["USDT"] == "50000.00000000", balances
passed("reads its balances over REST: `get_account`")

placed = rest.create_order(
    symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price="40000.00"
)
assert [order["orderId"] for order in rest.get_open_orders(symbol=SYMBOL)] == [placed["orderId"]]
assert rest.cancel_order(symbol=SYMBOL, orderId=placed["orderId"])["status"] == "CANCELED"
passed("places, finds and cancels an order over REST")

manager = BinanceWebSocketApiManager(
    exchange="binance.com",
    websocket_base_uri=f"{SOCKET}/",
    websocket_api_base_uri=f"{SOCKET}/ws-api/v3",
    ubra_manager=rest,
    warn_on_update=False,
    output_default="dict",
    restart_timeout=1,
)


def hear(stream: str) -> dict[str, Any]:
    return until(lambda: manager.pop_stream_data_from_stream_buffer(stream_buffer_name=stream) or None)


market = manager.create_stream(
    ["trade", "aggTrade", "kline_1m", "miniTicker", "ticker", "bookTicker", "depth5@100ms", "depth@100ms"],
    ["btcusdt"],
    stream_label="market",
    stream_buffer_name=True,
)
streams: set[str] = set()
while len(streams) < 8:
    event = hear(market)
    if "stream" in event:
        streams.add(event["stream"].partition("@")[2])
        assert event["data"].get("s", SYMBOL) == SYMBOL
passed("hears eight kinds of streams on one socket: `create_stream`")

manager.subscribe_to_stream(market, channels=["trade"], markets=["ethusdt"])
until(lambda: hear(market).get("stream") == "ethusdt@trade")
manager.unsubscribe_from_stream(market, channels=["trade"], markets=["ethusdt"])
passed("adds and leaves streams: `subscribe_to_stream`, `unsubscribe_from_stream`")

user = manager.create_stream("arr", "!userData", stream_label="user", stream_buffer_name=True, **CREDENTIALS)
assert manager.wait_till_stream_has_started(user, timeout=30)
until(lambda: manager.get_stream_info(user)["status"] == "running")


def reports(order_id: int) -> list[dict[str, Any]]:
    """What is said of an order, until the balances that it changed are."""
    said: list[dict[str, Any]] = []
    while not any(event.get("i") == order_id for event in said) or said[-1]["e"] != "outboundAccountPosition":
        event = hear(user)
        event = event.get("event", event)
        if "e" in event:
            said.append(event)
    return [event for event in said if event.get("i") == order_id]


bought = rest.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.01")
told = reports(bought["orderId"])
assert (told[0]["x"], told[-1]["X"]) == ("NEW", "FILLED"), told
passed("hears of its order, fill and balances: `create_stream('arr', '!userData')`")

api = manager.create_stream(api=True, stream_label="api", output="dict", stream_buffer_name=True, **CREDENTIALS)
assert manager.wait_till_stream_has_started(api, timeout=30)


def answer(method: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    """Out of the stream's buffer: `return_response` waits for ever if the answer comes before it starts to wait."""
    asked = f"ask-{next(numbers)}"
    method(stream_id=api, request_id=asked, **parameters)
    return until(lambda: next((reply for reply in [hear(api)] if reply.get("id") == asked), None))


numbers = count(1)
spot = manager.api.spot
assert answer(spot.get_server_time)["status"] == 200
assert answer(spot.get_account_status)["result"]["accountType"] == "SPOT"
assert len(answer(spot.get_order_book, symbol=SYMBOL, limit=10)["result"]["bids"]) == 10
passed("asks over the WebSocket API: `api.spot.get_account_status`, `get_order_book` …")

limit = {"side": "BUY", "order_type": "LIMIT", "time_in_force": "GTC", "quantity": 0.01, "price": 40000.0}
created = answer(spot.create_order, symbol=SYMBOL, new_client_order_id="mine-1", **limit)
assert created["status"] == 200, created
found = answer(spot.get_order, symbol=SYMBOL, orig_client_order_id="mine-1")["result"]
assert found["status"] == "NEW", found
ended = answer(spot.cancel_order, symbol=SYMBOL, order_id=found["orderId"])["result"]
assert ended["status"] == "CANCELED", ended
refused = answer(spot.get_order, symbol=SYMBOL, orig_client_order_id="never")
assert refused["error"]["code"] == -2013, refused
passed("places, finds and cancels an order over the WebSocket API: `api.spot.create_order` …")

restart()
manager.clear_stream_buffer(market)
now = rest.get_server_time()["serverTime"]
until(lambda: hear(market).get("data", {}).get("T", 0) > now)
passed("hears again after the server was restarted, by itself")

bought = until(lambda: rest.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.01"))
passed("trades after the restart")
manager.stop_manager()
