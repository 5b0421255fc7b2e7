"""ccxt, unmodified, sync and async: a bot's day, and every refusal as ccxt's own exception."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from tests.e2e.ccxt_urls import ccxt_urls
from tests.e2e.loopback import ELSEWHERE, leave_from
from tests.e2e.wrong_secrets import KEY_TYPES, another_secret, unknown_key
from tests.venue import Credentials, Venue

SYMBOL = "BTC/USDT"


def config(venue: Venue, key: Credentials | None = None, **more: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"urls": ccxt_urls(venue.url), "enableRateLimit": False, **more}
    if key is not None:
        settings |= {"apiKey": key.api_key, "secret": key.secret or key.private_pem}
    return settings


def client(venue: Venue, key: Credentials | None = None, **more: Any) -> ccxt.binance:
    return ccxt.binance(config(venue, key, **more))


@pytest.mark.venue(market="simulated")
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_bot_on_ccxt_lives_its_day_with_each_key_type(venue: Venue, key_type: str) -> None:
    bot = client(venue, venue.key(key_type, fund={"USDT": "50000", "BTC": "1"}))
    markets = bot.load_markets()
    assert markets[SYMBOL]["active"] and markets[SYMBOL]["limits"]["amount"]["min"] > 0
    assert bot.fetch_balance()["USDT"]["free"] == 50_000

    book = bot.fetch_order_book(SYMBOL, 100)
    assert len(book["bids"]) >= 50 and len(book["asks"]) >= 50
    assert book["bids"][0][0] < book["asks"][0][0]
    candles = bot.fetch_ohlcv(SYMBOL, "1h", limit=100)
    assert len(candles) == 100
    assert all(low <= min(open_, close) and max(open_, close) <= high for _, open_, high, low, close, _ in candles)
    assert bot.fetch_ticker(SYMBOL)["last"] > 0
    assert bot.fetch_trades(SYMBOL, limit=10)

    resting = bot.create_order(SYMBOL, "limit", "buy", 0.01, book["bids"][0][0] * 0.9)
    assert resting["status"] == "open"
    assert [order["id"] for order in bot.fetch_open_orders(SYMBOL)] == [resting["id"]]
    assert bot.fetch_balance()["USDT"]["used"] == pytest.approx(resting["price"] * 0.01)
    cancelled = bot.cancel_order(resting["id"], SYMBOL)
    assert cancelled["status"] == "canceled"
    assert bot.fetch_order(resting["id"], SYMBOL)["status"] == "canceled"

    bought = bot.create_order(SYMBOL, "market", "buy", 0.02)
    assert bought["status"] == "closed" and bought["filled"] == 0.02
    assert bot.fetch_order(bought["id"], SYMBOL)["filled"] == 0.02
    trades = bot.fetch_my_trades(SYMBOL)
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.02)
    assert {trade["order"] for trade in trades} == {bought["id"]}
    assert {order["id"] for order in bot.fetch_orders(SYMBOL)} == {resting["id"], bought["id"]}
    assert bot.fetch_balance()["BTC"]["total"] == pytest.approx(1.02, rel=1e-3)


@pytest.mark.venue(market="simulated")
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_bot_on_async_ccxt_lives_its_day_with_each_key_type(venue: Venue, key_type: str) -> None:
    async def day() -> None:
        bot = ccxt.async_support.binance(config(venue, venue.key(key_type, fund={"USDT": "50000"})))
        try:
            await bot.load_markets()
            book, candles, balance = await asyncio.gather(
                bot.fetch_order_book(SYMBOL), bot.fetch_ohlcv(SYMBOL, "1m", limit=50), bot.fetch_balance()
            )
            assert len(candles) == 50 and balance["USDT"]["free"] == 50_000
            resting = await bot.create_order(SYMBOL, "limit", "buy", 0.01, book["bids"][0][0] * 0.9)
            assert [order["id"] for order in await bot.fetch_open_orders(SYMBOL)] == [resting["id"]]
            assert (await bot.cancel_order(resting["id"], SYMBOL))["status"] == "canceled"
            bought = await bot.create_order(SYMBOL, "limit", "buy", 0.01, book["asks"][0][0] * 1.01)
            assert bought["status"] == "closed"
            sold = await bot.create_order(SYMBOL, "market", "sell", 0.009)
            assert (await bot.fetch_order(sold["id"], SYMBOL))["status"] == "closed"
            assert {trade["order"] for trade in await bot.fetch_my_trades(SYMBOL)} == {bought["id"], sold["id"]}
        finally:
            await bot.close()

    asyncio.run(day())


@pytest.mark.venue(market="simulated")
def test_the_figures_of_every_ticker_agree_with_each_other(venue: Venue) -> None:
    bot = client(venue)
    tickers = bot.fetch_tickers()
    assert set(tickers) == set(bot.markets)
    for ticker in tickers.values():
        assert ticker["low"] <= min(ticker["open"], ticker["last"]) and ticker["bid"] < ticker["ask"]
        assert max(ticker["open"], ticker["last"]) <= ticker["high"]
        assert ticker["low"] <= ticker["quoteVolume"] / ticker["baseVolume"] <= ticker["high"]
        change = ticker["last"] - ticker["open"]
        assert ticker["percentage"] == pytest.approx(100 * change / ticker["open"], abs=0.001)


def test_what_else_ccxt_asks_of_an_account_at_its_start_is_answered(venue: Venue) -> None:
    bot = client(venue, venue.key(fund={"USDT": "50000"}))
    assert bot.fetch_status()["status"] == "ok"
    assert bot.fetch_trading_fees()[SYMBOL]["taker"] == 0.001
    assert {"BTC", "USDT", "BNB"} <= set(bot.fetch_currencies())
    assert abs(bot.fetch_time() - bot.milliseconds()) < 10_000
    assert bot.sapi_get_account_apirestrictions()["enableSpotAndMarginTrading"] is True
    assert bot.sapi_get_account_status() == {"data": "Normal"}
    assert bot.sapi_get_account_apitradingstatus()["data"]["isLocked"] is False


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_wrong_secret_is_an_authentication_error_for_ccxt(venue: Venue, key_type: str) -> None:
    key = venue.key(key_type)
    bot = client(venue, another_secret(key_type, key.api_key))
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        bot.private_get_account()
    assert venue.last_call(key)["reason"] == "signature-invalid"


def test_async_ccxt_raises_the_same_for_a_wrong_secret(venue: Venue) -> None:
    async def ask() -> None:
        bot = ccxt.async_support.binance(config(venue, another_secret("hmac", venue.key().api_key)))
        try:
            await bot.private_get_account()
        finally:
            await bot.close()

    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        asyncio.run(ask())


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_an_unknown_key_is_an_authentication_error_for_ccxt(venue: Venue, key_type: str) -> None:
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        client(venue, unknown_key(key_type)).private_get_account()


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_missing_permission_is_an_authentication_error_for_ccxt(venue: Venue, key_type: str) -> None:
    key = venue.key(key_type, permissions=["reading"], fund={"USDT": "1000"})
    bot = client(venue, key)
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        bot.private_post_order(
            {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": 1, "price": 30000}
        )
    assert venue.last_call(key)["reason"] == "permission-missing"


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_foreign_address_is_an_authentication_error_for_ccxt(venue: Venue, key_type: str) -> None:
    key = venue.key(key_type, ips=["127.0.0.1"])
    assert client(venue, key).private_get_account()["accountType"] == "SPOT"
    foreign = client(venue, key)
    leave_from(foreign.session)
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        foreign.private_get_account()
    assert venue.last_call(key)["reason"] == "ip-foreign"
    assert venue.last_call(key)["ip"] == ELSEWHERE


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_timestamp_too_old_or_too_new_is_an_invalid_nonce_for_ccxt(venue: Venue, key_type: str) -> None:
    bot = client(venue, venue.key(key_type))
    venue.clock.skew("+2m")
    with pytest.raises(ccxt.InvalidNonce, match="outside of the recvWindow"):
        bot.private_get_account()
    venue.clock.skew("-2m")
    with pytest.raises(ccxt.InvalidNonce, match="1000ms ahead of the server's time"):
        bot.private_get_account()
    venue.clock.skew("+0s")
    assert bot.private_get_account()["accountType"] == "SPOT"


def test_a_bad_symbol_is_a_bad_symbol_for_ccxt(venue: Venue) -> None:
    with pytest.raises(ccxt.BadSymbol, match="-1121"):
        client(venue).public_get_ticker_24hr({"symbol": "NOPEUSDT"})


def test_a_filter_failure_is_an_invalid_order_for_ccxt(venue: Venue) -> None:
    bot = client(venue, venue.key(fund={"USDT": "1000"}))
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    with pytest.raises(ccxt.InvalidOrder, match="PRICE_FILTER"):
        bot.private_post_order({**order, "price": "30000.001"})
    with pytest.raises(ccxt.InvalidOrder, match="LOT_SIZE"):
        bot.private_post_order({**order, "price": "30000", "quantity": "0.010001"})
    # ccxt has words of its own for those two filters only; the others are what -1013 is to it.
    with pytest.raises(ccxt.BadRequest, match="Filter failure: NOTIONAL"):
        bot.private_post_order({**order, "price": "30000", "quantity": "0.0001"})


def test_a_short_balance_is_insufficient_funds_for_ccxt(venue: Venue) -> None:
    bot = client(venue, venue.key(fund={"USDT": "10"}))
    bot.load_markets()
    with pytest.raises(ccxt.InsufficientFunds, match=r"Account has insufficient balance for requested action\."):
        bot.create_order(SYMBOL, "limit", "buy", 1, 30_000)


def test_an_unknown_order_is_order_not_found_for_ccxt(venue: Venue) -> None:
    bot = client(venue, venue.key())
    bot.load_markets()
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        bot.fetch_order("123456789", SYMBOL)
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        bot.cancel_order("123456789", SYMBOL)


def test_a_weight_limit_is_a_ddos_protection_for_ccxt(venue: Venue) -> None:
    bot = client(venue)
    with pytest.raises(ccxt.DDoSProtection, match="-1003") as caught:
        for _ in range(241):  # weight 10 each: 1,201 in one minute, wherever in the minute this starts
            bot.public_get_exchangeinfo()
    assert "current limit is 1200 request weight per 1 MINUTE" in str(caught.value)
    assert int(bot.last_response_headers["Retry-After"]) <= 60
