"""python-binance, unmodified: its class attributes name the hosts, so a subclass leads it here."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from binance.async_client import AsyncClient
from binance.client import Client
from binance.exceptions import BinanceAPIException

from tests.e2e.loopback import leave_from
from tests.e2e.wrong_secrets import KEY_TYPES, another_secret, unknown_key
from tests.venue import Credentials, Venue


def led_here(base: type, venue: Venue) -> type:
    """A subclass whose host attributes point at the venue; nothing of the client's behaviour changes."""
    urls = {name: f"{venue.url}/api" for name in dir(base) if name.startswith("API_") and name.endswith("URL")}
    urls |= {name: f"{venue.url}/sapi" for name in dir(base) if name.startswith("MARGIN_API") and name.endswith("URL")}
    return type("LedHere", (base,), urls)


def secret_of(key: Credentials) -> dict[str, str]:
    return {"private_key": key.private_pem} if key.private_pem else {"api_secret": key.secret}


def client(venue: Venue, key: Credentials) -> Client:
    made: Client = led_here(Client, venue)(api_key=key.api_key, **secret_of(key))
    return made


@pytest.mark.venue(market="simulated")
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_bot_on_python_binance_lives_its_day_with_each_key_type(venue: Venue, key_type: str) -> None:
    bot = client(venue, venue.key(key_type, fund={"USDT": "50000", "BTC": "1"}))
    assert bot.get_asset_balance("USDT")["free"] == "50000.00000000"
    assert bot.get_symbol_info("BTCUSDT")["baseAsset"] == "BTC"
    book = bot.get_order_book(symbol="BTCUSDT", limit=100)
    assert len(book["bids"]) >= 50
    assert len(bot.get_klines(symbol="BTCUSDT", interval="1m", limit=50)) == 50
    assert float(bot.get_symbol_ticker(symbol="BTCUSDT")["price"]) > 0
    assert bot.get_avg_price(symbol="BTCUSDT")["mins"] == 5

    resting = bot.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price="40000.00", newClientOrderId="mine-1")
    assert resting["status"] == "NEW" and resting["clientOrderId"] == "mine-1" and resting["fills"] == []
    assert [order["orderId"] for order in bot.get_open_orders(symbol="BTCUSDT")] == [resting["orderId"]]
    # python-binance sends the parameters of DELETE in the body.
    cancelled = bot.cancel_order(symbol="BTCUSDT", orderId=resting["orderId"])
    assert cancelled["status"] == "CANCELED" and cancelled["origClientOrderId"] == "mine-1"

    bought = bot.order_market_buy(symbol="BTCUSDT", quoteOrderQty="1000")
    assert bought["status"] == "FILLED"
    assert sum(float(fill["qty"]) for fill in bought["fills"]) == pytest.approx(float(bought["executedQty"]))
    assert bot.get_order(symbol="BTCUSDT", orderId=bought["orderId"])["status"] == "FILLED"
    assert {trade["orderId"] for trade in bot.get_my_trades(symbol="BTCUSDT")} == {bought["orderId"]}
    assert [order["orderId"] for order in bot.get_all_orders(symbol="BTCUSDT")] == [
        resting["orderId"],
        bought["orderId"],
    ]
    assert bot.create_test_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01") == {}


@pytest.mark.venue(market="simulated")
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_bot_on_async_python_binance_lives_its_day_with_each_key_type(venue: Venue, key_type: str) -> None:
    async def day() -> None:
        key = venue.key(key_type, fund={"USDT": "50000"})
        bot = await led_here(AsyncClient, venue).create(api_key=key.api_key, **secret_of(key))  # type: ignore[attr-defined]
        try:
            assert (await bot.get_asset_balance("USDT"))["free"] == "50000.00000000"
            assert len((await bot.get_order_book(symbol="BTCUSDT"))["bids"]) >= 50
            assert len(await bot.get_klines(symbol="BTCUSDT", interval="1m", limit=50)) == 50
            resting = await bot.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price="40000.00")
            ids = {"symbol": "BTCUSDT", "orderId": resting["orderId"]}
            assert (await bot.cancel_order(**ids))["status"] == (await bot.get_order(**ids))["status"] == "CANCELED"
            order = await bot.order_market_buy(symbol="BTCUSDT", quantity="0.01")
            assert order["status"] == "FILLED"
            assert (await bot.get_my_trades(symbol="BTCUSDT"))[0]["orderId"] == order["orderId"]
            with pytest.raises(BinanceAPIException) as caught:
                await bot.cancel_order(**ids)
            assert caught.value.code == -2011
        finally:
            await bot.close_connection()

    asyncio.run(day())


def test_what_else_python_binance_asks_of_an_account_is_answered(venue: Venue) -> None:
    bot = client(venue, venue.key(fund={"USDT": "50000"}))
    assert bot.get_system_status() == {"status": 0, "msg": "normal"}
    assert bot.get_account_status() == {"data": "Normal"}
    assert bot.get_account_api_trading_status()["data"]["isLocked"] is False
    assert bot.get_account_api_permissions()["enableSpotAndMarginTrading"] is True
    assert {fee["takerCommission"] for fee in bot.get_trade_fee()} == {"0.00100000"}
    coins = {coin["coin"]: coin for coin in bot.get_all_coins_info()}
    assert coins["USDT"]["free"] == "50000.00000000"
    assert bot.get_margin_all_pairs() == []
    listen_key = bot.stream_get_listen_key()
    assert bot.stream_keepalive(listen_key) == bot.stream_close(listen_key) == {}


LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}


def refused(bot: Client, call: str, **parameters: Any) -> BinanceAPIException:
    with pytest.raises(BinanceAPIException) as caught:
        getattr(bot, call)(**parameters)
    return caught.value


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_each_refusal_reaches_python_binance_with_its_code_and_status(venue: Venue, key_type: str) -> None:
    key = venue.key(key_type, fund={"USDT": "100"})
    bot = client(venue, key)
    wrong_secret = client(venue, another_secret(key_type, key.api_key))
    unknown = client(venue, unknown_key(key_type))
    reader = client(venue, venue.key(key_type, permissions=["reading"]))
    only_here = venue.key(key_type, ips=["127.0.0.1"])
    assert client(venue, only_here).get_account()["accountType"] == "SPOT"
    foreign = client(venue, only_here)
    leave_from(foreign.session)
    cases = [
        (refused(wrong_secret, "get_account"), -1022, 400),
        (refused(unknown, "get_account"), -2015, 401),
        (refused(reader, "create_order", **LIMIT, quantity="0.01", price="30000"), -2015, 401),
        (refused(foreign, "get_account"), -2015, 401),
        (refused(bot, "get_order_book", symbol="NOPE"), -1121, 400),
        (refused(bot, "create_order", **LIMIT, quantity="0.01", price="30000.001"), -1013, 400),
        (refused(bot, "create_order", **LIMIT, quantity="1", price="30000"), -2010, 400),
        (refused(bot, "get_order", symbol="BTCUSDT", orderId=5), -2013, 400),
        (refused(bot, "cancel_order", symbol="BTCUSDT", orderId=5), -2011, 400),
    ]
    assert [(error.code, error.status_code) for error, _, _ in cases] == [(code, http) for _, code, http in cases]
    venue.clock.skew("+2m")
    assert refused(bot, "get_account").code == -1021
