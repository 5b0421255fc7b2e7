"""ccxt, unmodified, sync and async: a bot's day, and every refusal as ccxt's own exception."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from tests.e2e.ccxt_urls import ccxt_urls
from tests.e2e.loopback import ELSEWHERE, leave_from
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
@pytest.mark.parametrize("key_type", ["hmac", "rsa", "ed25519"])
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
def test_a_bot_on_async_ccxt_boots_and_trades(venue: Venue) -> None:
    async def day() -> None:
        bot = ccxt.async_support.binance(config(venue, venue.key(fund={"USDT": "50000"})))
        try:
            await bot.load_markets()
            book, balance = await asyncio.gather(bot.fetch_order_book(SYMBOL), bot.fetch_balance())
            assert balance["USDT"]["free"] == 50_000
            order = await bot.create_order(SYMBOL, "limit", "buy", 0.01, book["asks"][0][0] * 1.01)
            assert order["status"] == "closed"
            assert (await bot.fetch_my_trades(SYMBOL))[0]["order"] == order["id"]
        finally:
            await bot.close()

    asyncio.run(day())


def test_a_wrong_secret_is_an_authentication_error_for_ccxt(venue: Venue) -> None:
    key = venue.key()
    bot = client(venue, Credentials(key.api_key, "x" * 64, "", key.email))
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        bot.private_get_account()
    assert venue.last_call(key)["reason"] == "signature-invalid"


def test_an_unknown_key_is_an_authentication_error_for_ccxt(venue: Venue) -> None:
    bot = client(venue, Credentials("A" * 64, "x" * 64, "", ""))
    with pytest.raises(ccxt.AuthenticationError, match=r"-2015|-2014"):
        bot.private_get_account()


def test_a_missing_permission_is_an_authentication_error_for_ccxt(venue: Venue) -> None:
    key = venue.key(permissions=["reading"], fund={"USDT": "1000"})
    bot = client(venue, key)
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        bot.private_post_order(
            {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": 1, "price": 30000}
        )
    assert venue.last_call(key)["reason"] == "permission-missing"


def test_a_foreign_address_is_an_authentication_error_for_ccxt(venue: Venue) -> None:
    key = venue.key(ips=["127.0.0.1"])
    assert client(venue, key).private_get_account()["accountType"] == "SPOT"
    foreign = client(venue, key)
    leave_from(foreign.session)
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        foreign.private_get_account()
    assert venue.last_call(key)["reason"] == "ip-foreign"
    assert venue.last_call(key)["ip"] == ELSEWHERE


def test_an_old_timestamp_is_an_invalid_nonce_for_ccxt(venue: Venue) -> None:
    bot = client(venue, venue.key(), options={"timeDifference": 120_000})
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        bot.private_get_account()


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
