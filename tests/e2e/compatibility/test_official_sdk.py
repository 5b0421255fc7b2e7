"""The official SDK's streams and WebSocket API. It only warns of a reply of another type; here that is a failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError, UnauthorizedError
from binance_sdk_spot.spot import Spot

from tests.e2e.compatibility.books import Kept, same_book
from tests.e2e.compatibility.script import Script, follow
from tests.venue import Credentials, Venue

pytestmark = [pytest.mark.clients, pytest.mark.timeout(240)]

SYMBOL = "BTCUSDT"
LIMIT: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "quantity": 0.01}


def client(base: str, key: Credentials, home: Path) -> Spot:
    credentials: dict[str, Any] = {"api_key": key.api_key}
    if key.private_pem:
        pem = home / f"{key.api_key[-8:]}.pem"
        pem.write_text(key.private_pem)
        credentials["private_key"] = str(pem)
    else:
        credentials["api_secret"] = key.secret
    socket = base.replace("http", "ws", 1)
    quickly: dict[str, Any] = {"reconnect_delay": 200, "reconnect_attempts": 10}
    return Spot(
        config_rest_api=ConfigurationRestAPI(base_path=base, retries=0, timeout=30_000, **credentials),
        config_ws_api=ConfigurationWebSocketAPI(stream_url=f"{socket}/ws-api/v3", **quickly, **credentials),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=socket, **quickly),
    )


@pytest.mark.venue(market="simulated", durability="normal")
def test_the_official_sdk_follows_its_script(venue: Venue, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with follow("binance-sdk-spot", version("binance-sdk-spot")) as script:
        asyncio.run(day(script, venue, tmp_path, caplog))


async def day(script: Script, venue: Venue, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    def complaints() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    key = venue.key(fund={"USDT": "50000", "BTC": "1"})
    spot = client(venue.url, key, home)
    over_rest(script, spot)
    await on_the_market(script, spot)
    await over_the_websocket_api(script, spot)
    await hearing_of_itself(script, spot)
    with script.step("every reply and event had the types that the SDK declares"):
        assert complaints() == []
    await logged_on(script, client(venue.url, venue.key("ed25519", fund={"USDT": "50000"}), home))
    await refused(script, venue, key, home)
    await after_a_restart(script, venue, spot)


def over_rest(script: Script, spot: Spot) -> None:
    api = spot.rest_api
    with script.step("reads, places, finds, replaces and cancels over REST: `get_account`, `new_order` …"):
        balances = {balance.asset: balance.free for balance in api.get_account().data().balances}
        assert balances["USDT"] == "50000.00000000"
        placed = api.new_order(**LIMIT, price=40000).data()
        replaced = api.order_cancel_replace(
            **LIMIT, price=41000, cancel_replace_mode="STOP_ON_FAILURE", cancel_order_id=placed.order_id
        ).data()
        assert replaced.new_order_result == "SUCCESS"
        (open_order,) = api.get_open_orders(symbol=SYMBOL).data()
        assert open_order.price == "41000.00000000"
        assert api.delete_order(symbol=SYMBOL, order_id=open_order.order_id).data().status == "CANCELED"
    with script.step("amends an order: `order_amend_keep_priority`"):
        placed = api.new_order(**LIMIT, price=40000).data()
        amended = api.order_amend_keep_priority(symbol=SYMBOL, new_qty=0.005, order_id=placed.order_id).data()
        assert amended.amended_order.qty == "0.00500000"
        assert api.delete_order(symbol=SYMBOL, order_id=placed.order_id).data().orig_qty == "0.00500000"
    with script.step("places an OCO, an OTO and an OTOCO, and cancels them: `order_list_oco` …"):
        oco = api.order_list_oco(
            symbol=SYMBOL, side="SELL", quantity=0.01,
            above_type="LIMIT_MAKER", above_price=90000, below_type="STOP_LOSS", below_stop_price=40000,
        ).data()  # fmt: skip
        oto = api.order_list_oto(
            symbol=SYMBOL, working_type="LIMIT", working_side="BUY", working_price=40000, working_quantity=0.01,
            working_time_in_force="GTC", pending_type="LIMIT", pending_side="SELL", pending_price=90000,
            pending_quantity=0.01, pending_time_in_force="GTC",
        ).data()  # fmt: skip
        otoco = api.order_list_otoco(
            symbol=SYMBOL, working_type="LIMIT", working_side="BUY", working_price=40000, working_quantity=0.01,
            working_time_in_force="GTC", pending_side="SELL", pending_quantity=0.01, pending_above_type="LIMIT_MAKER",
            pending_above_price=90000, pending_below_type="STOP_LOSS", pending_below_stop_price=39000,
        ).data()  # fmt: skip
        ids = {made.order_list_id for made in (oco, oto, otoco)}
        assert {made.order_list_id for made in api.open_order_list().data()} == ids
        for order_list_id in ids:
            ended = api.delete_order_list(symbol=SYMBOL, order_list_id=order_list_id).data()
            assert ended.list_order_status == "ALL_DONE"
        assert api.get_open_orders(symbol=SYMBOL).data() == []


async def on_the_market(script: Script, spot: Spot) -> None:
    streams = await spot.websocket_streams.create_connection()
    try:
        with script.step("hears every kind of market stream: `trade`, `agg_trade`, `kline`, `ticker`, `book_ticker` …"):
            trade = await heard(await streams.trade(symbol="btcusdt"))
            recent = spot.rest_api.get_trades(symbol=SYMBOL, limit=100).data()
            assert trade.t in {one.id for one in recent}
            assert (await heard(await streams.agg_trade(symbol="btcusdt"))).s == SYMBOL
            assert (await heard(await streams.kline(symbol="btcusdt", interval="1m"))).k.i == "1m"
            assert (await heard(await streams.mini_ticker(symbol="btcusdt"))).s == SYMBOL
            assert (await heard(await streams.ticker(symbol="btcusdt"))).s == SYMBOL
            assert (await heard(await streams.avg_price(symbol="btcusdt"))).s == SYMBOL
            assert (await heard(await streams.book_ticker(symbol="btcusdt"))).s == SYMBOL
            assert (await heard(await streams.rolling_window_ticker(symbol="btcusdt", window_size="1h"))).s == SYMBOL
            partial = await heard(await streams.partial_book_depth(symbol="btcusdt", levels="20"))
            assert len(partial.bids) == 20
        with script.step("keeps an order book that equals the server's: `diff_book_depth`"):
            await keep_a_book(streams, spot)
        with script.step("lists and leaves its streams: `list_subscribe`, `unsubscribe`"):
            assert "btcusdt@trade" in str(await streams.list_subscribe())
            await streams.unsubscribe(["btcusdt@trade"])
            assert "btcusdt@trade" not in str(await streams.list_subscribe())
    finally:
        await streams.close_connection(close_session=True)


async def heard(stream: Any, wanted: Callable[[Any], bool] = lambda event: True) -> Any:
    """The first event that is wanted."""
    events: asyncio.Queue[Any] = asyncio.Queue()
    stream.on("message", events.put_nowait)
    while True:
        event = await asyncio.wait_for(events.get(), 20)
        event = getattr(event, "actual_instance", event)
        if wanted(event):
            return event


async def keep_a_book(streams: Any, spot: Spot) -> None:
    """The rule of the documents, as a user of the SDK has to write it."""
    events: asyncio.Queue[Any] = asyncio.Queue()
    (await streams.diff_book_depth(symbol="btcusdt", update_speed="100ms")).on("message", events.put_nowait)
    first = await asyncio.wait_for(events.get(), 20)

    async def snapshot() -> dict[str, Any]:
        answer = await asyncio.to_thread(spot.rest_api.depth, symbol=SYMBOL, limit=5000)
        book = answer.data()
        return {"lastUpdateId": book.last_update_id, "bids": book.bids, "asks": book.asks}

    begun = await snapshot()
    while begun["lastUpdateId"] < first.U:
        begun = await snapshot()
    last = begun["lastUpdateId"]
    sides = [{float(price): float(quantity) for price, quantity in begun[side]} for side in ("bids", "asks")]
    pending = [first]

    async def kept() -> Kept:
        nonlocal last
        while True:
            event = pending.pop() if pending else await asyncio.wait_for(events.get(), 20)
            if event.u <= last:
                continue
            assert last + 1 >= event.U
            for side, changes in zip(sides, (event.b, event.a), strict=True):
                for price, quantity in changes:
                    side[float(price)] = float(quantity)
                    if float(quantity) == 0:
                        del side[float(price)]
            last = event.u
            return last, *sides

    await same_book(kept, snapshot)


async def over_the_websocket_api(script: Script, spot: Spot) -> None:
    api = await spot.websocket_api.create_connection()
    try:
        with script.step("asks over the WebSocket API: `account_status`, `depth`, `klines`, `exchange_info` …"):
            balances = {row.asset: row.free for row in (await api.account_status()).data().result.balances}
            assert balances["USDT"] == "50000.00000000"
            reply = await api.depth(symbol=SYMBOL, limit=100)
            assert len(reply.data().result.bids) >= 50
            assert reply.rate_limits
            assert len((await api.klines(symbol=SYMBOL, interval="1m", limit=20)).data().result) == 20
            # Its model of this reply forgets the envelope.
            told = (await api.exchange_info(symbol=SYMBOL)).data().additional_properties["result"]
            assert [one["symbol"] for one in told["symbols"]] == [SYMBOL]
            assert (await api.time()).data().result.server_time > 0
        with script.step("places, finds, replaces and cancels over the WebSocket API: `order_place` …"):
            placed = (await api.order_place(**LIMIT, price=40000)).data().result
            status = (await api.order_status(symbol=SYMBOL, order_id=placed.order_id)).data().result
            assert status.status == "NEW"
            replaced = await api.order_cancel_replace(
                **LIMIT, price=41000, cancel_replace_mode="STOP_ON_FAILURE", cancel_order_id=placed.order_id
            )
            new = replaced.data().result.new_order_response
            assert [one.order_id for one in (await api.open_orders_status(symbol=SYMBOL)).data().result] == [
                new.order_id
            ]
            ended = (await api.order_cancel(symbol=SYMBOL, order_id=new.order_id)).data().result
            assert ended.status == "CANCELED"
    finally:
        await api.close_connection(close_session=True)


async def hearing_of_itself(script: Script, spot: Spot) -> None:
    with script.step("hears of its order, fill and balances: `user_data_stream_subscribe_signature`"):
        api = await spot.websocket_api.create_connection()
        try:
            subscribed = await api.user_data_stream_subscribe_signature()
            await check_what_is_heard(subscribed.stream, spot)
        finally:
            await api.close_connection(close_session=True)
    with script.step("hears it under a listenKey, as older programs do: `user_data`"):
        listen_key = requests.post(
            f"{spot.rest_api.configuration.base_path}/api/v3/userDataStream",
            headers={"X-MBX-APIKEY": spot.rest_api.configuration.api_key},
            timeout=10,
        ).json()["listenKey"]
        streams = await spot.websocket_streams.create_connection()
        try:
            await check_what_is_heard(await streams.user_data(listen_key), spot)
        finally:
            await streams.close_connection(close_session=True)


async def check_what_is_heard(stream: Any, spot: Spot) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    stream.on("message", events.put_nowait)
    bought = spot.rest_api.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01).data()
    told = []
    # Its models of events are told apart by their classes; the field `e` is not among theirs.
    while not told or type(told[-1]).__name__ != "OutboundAccountPosition":
        event = await asyncio.wait_for(events.get(), 20)
        told.append(event.actual_instance)
    reports = [event for event in told if type(event).__name__ == "ExecutionReport"]
    assert {report.i for report in reports} == {bought.order_id}
    assert (reports[0].x, reports[-1].X) == ("NEW", "FILLED")


async def logged_on(script: Script, spot: Spot) -> None:
    with script.step(
        "logs on with an Ed25519 key and then asks unsigned: `session_logon`, `session_status`, `order_place`"
    ):
        api = await spot.websocket_api.create_connection()
        try:
            assert (await api.session_logon()).data().result.api_key == spot.websocket_api.configuration.api_key
            assert (await api.session_status()).data().result.authorized_since > 0
            placed = (await api.order_place(**LIMIT, price=40000)).data().result
            assert (await api.order_cancel(symbol=SYMBOL, order_id=placed.order_id)).data().result.status == "CANCELED"
            subscribed = await api.user_data_stream_subscribe()
            await check_what_is_heard(subscribed.stream, spot)
            await api.user_data_stream_unsubscribe()
            assert (await api.session_logout()).data().result.authorized_since is None
        finally:
            await api.close_connection(close_session=True)


async def refused(script: Script, venue: Venue, key: Credentials, home: Path) -> None:
    with script.step("a wrong secret is -1022, an unknown key -2015, over REST and over the WebSocket API"):
        for wrong, code, error in (
            (key._replace(secret="wrong" * 12), -1022, BadRequestError),
            (key._replace(api_key="A" * 64), -2015, UnauthorizedError),
        ):
            spot = client(venue.url, wrong, home)
            with pytest.raises(error):
                spot.rest_api.get_account()
            api = await spot.websocket_api.create_connection()
            try:
                # It does not raise, it hands the error over.
                assert (await api.account_status()).data()["error"]["code"] == code
            finally:
                await api.close_connection(close_session=True)


async def after_a_restart(script: Script, venue: Venue, spot: Spot) -> None:
    with script.step("hears of its orders again after the server was restarted: the WebSocket API connects by itself"):
        api = await spot.websocket_api.create_connection()
        try:
            subscribed = await api.user_data_stream_subscribe_signature()
            await asyncio.to_thread(venue.restart)
            # It subscribes to the user data again by itself, a while later.
            events: asyncio.Queue[Any] = asyncio.Queue()
            subscribed.stream.on("message", events.put_nowait)
            for _ in range(40):
                spot.rest_api.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.001)
                await asyncio.sleep(0.5)
                if not events.empty():
                    break
            assert type(events.get_nowait().actual_instance).__name__ == "ExecutionReport"
        finally:
            await api.close_connection(close_session=True)
    with script.step("hears the market again after a restart, on a new connection: `create_connection`"):
        # A market connection that ended stays ended: the SDK looks for the notice in the WebSocket API's form only.
        streams = await spot.websocket_streams.create_connection()
        try:
            since = spot.rest_api.time().data().server_time
            await heard(await streams.trade(symbol="btcusdt"), lambda trade: since < trade.T)
        finally:
            await streams.close_connection(close_session=True)
