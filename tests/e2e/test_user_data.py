"""The user data stream of a running server, heard by the `websockets` client, against what REST says."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any

import pytest
from binance_common.configuration import ConfigurationWebSocketStreams
from binance_sdk_spot.spot import Spot
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.signing import Caller
from tests.venue import Credentials, Venue

#: REST field (`GET /api/v3/order`) → field of an execution report that must say the same.
SAME = {
    "symbol": "s",
    "orderId": "i",
    "orderListId": "g",
    "clientOrderId": "c",
    "price": "p",
    "origQty": "q",
    "executedQty": "z",
    "cummulativeQuoteQty": "Z",
    "status": "X",
    "timeInForce": "f",
    "type": "o",
    "side": "S",
    "stopPrice": "P",
    "icebergQty": "F",
    "time": "O",
    "updateTime": "T",
    "workingTime": "W",
    "origQuoteOrderQty": "Q",
    "selfTradePreventionMode": "V",
}


class Stream:
    """A connected client that hears one event after the other."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def hear(self, timeout: float = 10) -> Any:
        return json.loads(self.socket.recv(timeout))

    def ask(self, **message: Any) -> Any:
        self.socket.send(json.dumps(message))
        return self.hear()

    def until_quiet(self, seconds: float = 0.3) -> list[Any]:
        """What comes until nothing comes for so long."""
        heard = []
        while True:
            try:
                heard.append(self.hear(seconds))
            except TimeoutError:
                return heard

    def ended(self, timeout: float = 10) -> tuple[int, str]:
        """Code and reason with which the server closed."""
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                self.socket.recv(timeout)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason


def listen_key(call: Caller) -> str:
    text: str = call("POST", "/api/v3/userDataStream", signed=False).body["listenKey"]
    return text


@contextmanager
def stream(venue: Venue, target: str, **options: Any) -> Iterator[Stream]:
    # No proxy of the environment stands between the test and its own server.
    with connect(f"ws{venue.url.removeprefix('http')}{target}", proxy=None, **options) as socket:
        yield Stream(socket)


def cancel(call: Caller, order_id: int, **more: Any) -> Any:
    return call("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": order_id} | more).body


def test_an_order_is_heard_from_its_placing_to_its_end_as_rest_tells_it(venue: Venue) -> None:
    seller = Caller(venue.url, venue.key(fund={"BTC": "1"}))
    buyer = Caller(venue.url, venue.key(fund={"USDT": "100000"}))
    text = listen_key(buyer)
    assert listen_key(buyer) == text
    with stream(venue, f"/ws/{text}") as raw, stream(venue, f"/stream?streams={text}") as combined:
        placed = buyer.limit_order(price="60000", quantity="0.5", newClientOrderId="first").body
        seller.limit_order(side="SELL", price="59000", quantity="0.2")
        cancelled = cancel(buyer, placed["orderId"], newClientOrderId="the-cancel")
        heard = raw.until_quiet()
        wrapped = combined.until_quiet()
    assert wrapped == [{"stream": text, "data": event} for event in heard]
    new, _, trade, _, gone, position = heard
    assert [(event["x"], event["X"], event["w"]) for event in (new, trade, gone)] == [
        ("NEW", "NEW", True),
        ("TRADE", "PARTIALLY_FILLED", True),
        ("CANCELED", "CANCELED", False),
    ]
    assert new["T"] == placed["transactTime"]
    assert gone["T"] == cancelled["transactTime"]
    assert (gone["c"], gone["C"]) == (cancelled["clientOrderId"], cancelled["origClientOrderId"])
    order = buyer("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": placed["orderId"]}).body
    assert {name: order[name] for name in SAME} == {name: gone[key] for name, key in SAME.items()}
    (own,) = buyer("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT"}).body
    assert (trade["t"], trade["L"], trade["l"], trade["Y"], trade["n"], trade["N"], trade["T"], trade["m"]) == (
        own["id"],
        own["price"],
        own["qty"],
        own["quoteQty"],
        own["commission"],
        own["commissionAsset"],
        own["time"],
        own["isMaker"],
    )
    account = buyer("GET", "/api/v3/account").body
    assert position["u"] == account["updateTime"]
    balances = {one["asset"]: (one["free"], one["locked"]) for one in account["balances"]}
    assert {one["a"]: (one["f"], one["l"]) for one in position["B"]} == {
        asset: balances[asset] for asset in ("BTC", "USDT")
    }


@pytest.mark.venue(market="simulated")
def test_a_market_order_in_a_live_market_is_heard_as_filled(venue: Venue) -> None:
    call = Caller(venue.url, venue.key(fund={"USDT": "10000"}))
    with stream(venue, f"/ws/{listen_key(call)}?timeUnit=MICROSECOND") as heard:
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.015"}
        placed = call("POST", "/api/v3/order", order | {"newOrderRespType": "FULL"}).body
        events = heard.until_quiet()
    assert events[0]["x"] == "NEW"
    assert events[0]["O"] // 1000 == placed["transactTime"]
    assert [(one["L"], one["l"], one["n"], one["t"]) for one in events[1:-1]] == [
        (fill["price"], fill["qty"], fill["commission"], fill["tradeId"]) for fill in placed["fills"]
    ]
    assert [one["X"] for one in events[1:-1]][-1] == "FILLED"
    assert events[-1]["e"] == "outboundAccountPosition"


def test_funds_are_heard(venue: Venue) -> None:
    key = venue.key(fund={"USDT": "1"})
    with stream(venue, f"/ws/{listen_key(Caller(venue.url, key))}") as heard:
        venue.fund(key.email, USDT="2.5")
        update, position = heard.until_quiet()
    assert (update["e"], update["a"], update["d"]) == ("balanceUpdate", "USDT", "2.50000000")
    assert position["B"] == [{"a": "USDT", "f": "3.50000000", "l": "0.00000000"}]


@pytest.mark.venue(profile="off")
def test_of_500_orders_nothing_is_lost_and_nothing_comes_twice(venue: Venue) -> None:
    """Two accounts trade with each other at random; from the events alone, each of three listeners knows what REST
    says of orders, trades and balances."""
    callers = [Caller(venue.url, venue.key(fund={"BTC": "100", "USDT": "1000000"})) for _ in range(2)]
    texts = [listen_key(call) for call in callers]
    chance = random.Random(7)
    with ExitStack() as stack:
        targets = [f"/ws/{texts[0]}", f"/ws/{texts[0]}", f"/ws/{texts[1]}"]
        streams = [stack.enter_context(stream(venue, target, max_queue=None)) for target in targets]
        open_ids: dict[int, list[int]] = {0: [], 1: []}
        for number in range(500):
            side = chance.choice(("BUY", "SELL"))
            who = chance.randrange(2)
            price = 60_000 + chance.randrange(-5, 6) * 10
            placed = callers[who].limit_order(
                side=side,
                price=str(price),
                quantity=f"0.0{chance.randrange(1, 10)}",
                timeInForce=chance.choice(("GTC", "GTC", "GTC", "IOC", "FOK")),
                newClientOrderId=f"order-{number}",
            )
            assert placed.status == 200, placed.body
            open_ids[who].append(placed.body["orderId"])
            if chance.random() < 0.3:
                cancel(callers[who], open_ids[who].pop(chance.randrange(len(open_ids[who]))))
        heard = [one.until_quiet() for one in streams]
    assert heard[0] == heard[1]
    for call, events in ((callers[0], heard[0]), (callers[1], heard[2])):
        reports = [event for event in events if event["e"] == "executionReport"]
        ids = [event["I"] for event in reports]
        assert ids == sorted(set(ids))
        # Each order's reports add up by themselves …
        executed: dict[int, Decimal] = defaultdict(Decimal)
        for event in reports:
            executed[event["i"]] += Decimal(event["l"])
            assert executed[event["i"]] == Decimal(event["z"])
        # … and end where REST sees it.
        last = {event["i"]: event for event in reports}
        orders = call("GET", "/api/v3/allOrders", {"symbol": "BTCUSDT", "limit": 1000}).body
        assert {order["orderId"] for order in orders} == set(last)
        for order in orders:
            event = last[order["orderId"]]
            assert {name: order[name] for name in SAME} == {name: event[key] for name, key in SAME.items()}
        trades = call("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT", "limit": 1000}).body
        assert len(trades) > 50
        assert sorted((one["id"], one["orderId"], one["qty"], one["commission"]) for one in trades) == sorted(
            (event["t"], event["i"], event["l"], event["n"]) for event in reports if event["x"] == "TRADE"
        )
        balances = {
            one["asset"]: (one["free"], one["locked"]) for one in call("GET", "/api/v3/account").body["balances"]
        }
        position = events[-1]
        assert {one["a"]: (one["f"], one["l"]) for one in position["B"]} == {
            asset: balances[asset] for asset in ("BTC", "USDT")
        }


def test_the_official_sdk_hears_events_of_the_types_that_it_declares(
    venue: Venue, caplog: pytest.LogCaptureFixture
) -> None:
    """It subscribes after connecting, and reads each event into its own model; a wrong type would raise in there."""
    call = Caller(venue.url, venue.key(fund={"USDT": "1000", "BTC": "1"}))
    text = listen_key(call)

    async def listen() -> list[Any]:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        configuration = ConfigurationWebSocketStreams(stream_url=f"ws{venue.url.removeprefix('http')}")
        client = Spot(config_ws_streams=configuration).websocket_streams
        await client.create_connection()
        handle = await client.user_data(text)
        handle.on("message", heard.put_nowait)
        await asyncio.to_thread(call.limit_order, side="SELL", price="50000", strategyId=7)
        await asyncio.to_thread(call.limit_order, price="50000", selfTradePreventionMode="EXPIRE_TAKER")
        events = [await asyncio.wait_for(heard.get(), 10) for _ in range(5)]
        await client.close_connection()
        return [event.actual_instance for event in events]

    events = asyncio.run(listen())
    assert [type(event).__name__ for event in events] == [
        "ExecutionReport",
        "OutboundAccountPosition",
        "ExecutionReport",
        "ExecutionReport",
        "OutboundAccountPosition",
    ]
    assert (events[0].x, events[0].j, events[0].c) == ("NEW", 7, events[0].c)
    assert (events[3].x, events[3].X, events[3].U) == ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", events[0].i)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


# --- how it ends -----------------------------------------------------------------------------------------------------


def test_a_listen_key_lives_an_hour_after_each_keep_alive_and_says_when_it_ends(venue: Venue) -> None:
    call = Caller(venue.url, venue.key(fund={"USDT": "1000"}, ips=["127.0.0.0/8"]))
    text = listen_key(call)
    with stream(venue, f"/ws/{text}") as heard:
        venue.clock.advance("59m")
        assert call("PUT", "/api/v3/userDataStream", {"listenKey": text}, signed=False).body == {}
        venue.clock.advance("59m")
        call.limit_order()
        assert heard.hear()["x"] == "NEW"
        heard.hear()
        venue.clock.advance("61m")
        assert heard.hear()["e"] == "listenKeyExpired"
        call.limit_order()
        assert heard.until_quiet() == []
        assert listen_key(call) != text


def test_a_deleted_listen_key_is_silent_at_once(venue: Venue) -> None:
    call = Caller(venue.url, venue.key(fund={"USDT": "1000"}))
    text = listen_key(call)
    with stream(venue, f"/ws/{text}") as heard:
        assert call("DELETE", "/api/v3/userDataStream", {"listenKey": text}, signed=False).body == {}
        call.limit_order()
        assert heard.until_quiet() == []
        assert heard.ask(method="SUBSCRIBE", params=[text], id=1)["error"]["code"] == 2


def closed_within_a_second(heard: Stream, since: float) -> bool:
    assert heard.ended() == (1008, "The API key may no longer read this stream.")
    return time.monotonic() - since < 1


def test_a_deleted_key_closes_its_stream_within_a_second_and_no_other(venue: Venue) -> None:
    email = venue.account(fund={"USDT": "1000"})
    doomed, other = venue.key(email=email), venue.key(email=email)
    call = Caller(venue.url, other)
    text = listen_key(Caller(venue.url, doomed))
    with stream(venue, f"/ws/{text}") as gone, stream(venue, f"/ws/{listen_key(call)}") as kept:
        began = time.monotonic()
        venue.delete_key(doomed)
        assert closed_within_a_second(gone, began)
        call.limit_order()
        assert kept.hear()["x"] == "NEW"
    # The listenKey went with it.
    with stream(venue, f"/ws/{text}") as silent:
        call.limit_order()
        assert [event["e"] for event in silent.until_quiet()] == ["listenKeyExpired"]


def test_a_key_that_expires_closes_its_stream_without_a_request(venue: Venue) -> None:
    key = venue.key(ips=[])
    with stream(venue, f"/stream?streams={listen_key(Caller(venue.url, key))}") as heard:
        began = time.monotonic()
        venue.clock.advance("91d")
        assert closed_within_a_second(heard, began)


def test_a_listen_key_opens_nothing_from_an_address_outside_the_whitelist(venue: Venue) -> None:
    key = venue.key(ips=["127.0.0.1"], fund={"USDT": "1000"})
    text = listen_key(Caller(venue.url, key))
    with pytest.raises(InvalidStatus) as refused, stream(venue, f"/ws/{text}", source_address=("127.0.0.2", 0)):
        pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"")["code"] == -2015
    with stream(venue, "/ws", source_address=("127.0.0.2", 0)) as other:
        assert other.ask(method="SUBSCRIBE", params=[text], id=1)["error"]["code"] == -2015
    with stream(venue, f"/ws/{text}"):
        pass
    rows = [row for row in venue.calls(limit=1000) if row["path"] == "/ws"]
    assert [(row["http"], row["reason"]) for row in rows] == [(401, "ip-foreign"), (101, ""), (101, "")]
    assert rows[-1]["apiKey"] == key.api_key
    assert text not in json.dumps(venue.calls(limit=1000))


def test_a_stop_closes_streams_with_notice(venue: Venue) -> None:
    key: Credentials = venue.key()
    with stream(venue, f"/ws/{listen_key(Caller(venue.url, key))}") as heard:
        # The server's own graceful stop, as a signal would begin it.
        stopping = threading.Thread(target=lambda: venue._await(venue._running.stop()))
        stopping.start()
        assert heard.hear()["e"] == "serverShutdown"
        assert heard.ended()[0] == 1001
        stopping.join(30)
