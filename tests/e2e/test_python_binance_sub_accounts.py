"""python-binance, unmodified, manages sub-accounts: the methods that it has for them, by hand and generated."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from binance.async_client import AsyncClient
from binance.exceptions import BinanceAPIException

from tests.e2e.loopback import leave_from
from tests.e2e.test_python_binance import client, led_here, secret_of
from tests.e2e.test_sub_accounts import SUB
from tests.signing import Caller
from tests.venue import Credentials, Venue


def test_a_master_on_python_binance_makes_shows_and_restricts_a_sub_account(venue: Venue) -> None:
    key = venue.key(fund={"USDT": "1000"})
    master, caller = client(venue, key), Caller(venue.url, key)
    email = master.margin_v1_post_sub_account_virtual_sub_account(subAccountString="desk1")["email"]
    (listed,) = master.get_sub_account_list(email=email)["subAccounts"]
    assert listed["isFreeze"] is False
    assert [row["email"] for row in master.get_subaccount_futures_margin_status()] == [email]
    spot = {"fromAccountType": "SPOT", "toAccountType": "SPOT", "asset": "USDT", "amount": "250"}
    moved = caller("POST", f"{SUB}/universalTransfer", spot | {"toEmail": email}).body
    assert [row["asset"] for row in master.get_sub_account_assets(email=email)["balances"]] == ["USDT"]
    (transfer,) = master.get_universal_transfer_history(toEmail=email)["result"]
    assert transfer["tranId"] == moved["tranId"] and transfer["toEmail"] == email

    made = caller("POST", f"{SUB}/subAccountApi", {"email": email, "apiName": "x", "status": 1, "canTrade": True}).body
    credentials = Credentials(made["apiKey"], made["secretKey"], "", email)
    bot, elsewhere = client(venue, credentials), client(venue, credentials)
    leave_from(elsewhere.session)
    assert bot.get_asset_balance("USDT")["free"] == "250.00000000"
    order = bot.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price="20000")
    assert bot.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])["status"] == "CANCELED"
    bot.make_subaccount_to_master_transfer(asset="USDT", amount=50)
    assert bot.get_asset_balance("USDT")["free"] == "200.00000000"

    numbered = {"subAccountId": listed["subUserId"], "accountApiKey": made["apiKey"]}
    master.margin_v1_post_account_api_restrictions_ip_restriction(**numbered, ipRestrict=True)
    with pytest.raises(BinanceAPIException):
        bot.get_account()
    master.margin_v1_post_account_api_restrictions_ip_restriction_ip_list(**numbered, ipAddress="127.0.0.1")
    assert bot.get_account()["accountType"] == "SPOT"
    with pytest.raises(BinanceAPIException) as caught:
        elsewhere.get_account()
    assert caught.value.code == -2015
    named = {"email": email, "subAccountApiKey": made["apiKey"]}
    assert master.margin_v1_get_sub_account_sub_account_api_ip_restriction(**named)["ipList"] == ["127.0.0.1"]
    gone = master.margin_v1_delete_account_api_restrictions_ip_restriction_ip_list(**numbered, ipAddress="127.0.0.1")
    assert gone["ipList"] == ["0.0.0.0"]
    assert master.margin_v1_get_account_api_restrictions_ip_restriction(**numbered)["ipRestrict"] == "true"
    master.margin_v1_post_account_api_restrictions_ip_restriction(**numbered, ipRestrict=False)
    assert elsewhere.get_account()["accountType"] == "SPOT"


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        (
            "make_subaccount_universal_transfer",
            {"fromAccountType": "SPOT", "toAccountType": "SPOT", "asset": "USDT", "amount": 1, "toEmail": "{email}"},
        ),
        ("margin_v2_post_sub_account_sub_account_api_ip_restriction", {"status": "1"}),
        ("margin_v1_post_sub_account_sub_account_api_ip_restriction", {"ipRestrict": True}),
        ("margin_v1_post_sub_account_sub_account_api_ip_restriction_ip_list", {"ipAddress": "127.0.0.1"}),
        ("margin_v1_delete_sub_account_sub_account_api_ip_restriction_ip_list", {"ipAddress": "127.0.0.1"}),
    ],
)
def test_an_address_in_a_body_is_signed_otherwise_than_sent_and_refused_as_on_binance(
    venue: Venue, call: str, parameters: dict[str, Any]
) -> None:
    """It signs `name@host` and sends `name%40host`. Binance refuses that since 2026-01-15 (spot REST, "Signed
    endpoints": percent-encode before signing), so a bot that does it must find out here."""
    master = client(venue, venue.key(fund={"USDT": "1000"}))
    email = master.margin_v1_post_sub_account_virtual_sub_account(subAccountString="desk1")["email"]
    sent = {name: email if value == "{email}" else value for name, value in parameters.items()}
    if "toEmail" not in sent:
        sent |= {"email": email, "subAccountApiKey": "K" * 64}
    with pytest.raises(BinanceAPIException) as caught:
        getattr(master, call)(**sent)
    assert (caught.value.code, caught.value.status_code) == (-1022, 400)


def test_a_broker_on_python_binance_manages_a_customers_key(venue: Venue) -> None:
    key = venue.key(fund={"USDT": "1000"})
    venue.ask("PUT", f"/accounts/{key.email}/broker", {"broker": True})
    broker = client(venue, key)
    customer = {"subAccountId": broker.margin_v1_post_broker_sub_account(tag="bob")["subaccountId"]}
    assert [row["tag"] for row in broker.margin_v1_get_broker_sub_account()] == ["bob"]
    made = broker.margin_v1_post_broker_sub_account_api(**customer, canTrade=True)
    bot = client(venue, Credentials(made["apiKey"], made["secretKey"], "", ""))
    broker.margin_v1_post_broker_transfer(toId=customer["subAccountId"], asset="USDT", amount="10")
    assert bot.get_asset_balance("USDT")["free"] == "10.00000000"
    named = customer | {"subAccountApiKey": made["apiKey"]}
    broker.margin_v1_post_broker_sub_account_api_permission_universal_transfer(**named, canUniversalTransfer=True)
    assert bot.get_account_api_permissions()["permitsUniversalTransfer"] is True
    changed = broker.margin_v1_post_broker_sub_account_api_permission(
        **named, canTrade=False, marginTrade=False, futuresTrade=False
    )
    assert broker.margin_v1_get_broker_sub_account_api(**customer) == [changed]
    broker.margin_v2_post_broker_sub_account_api_ip_restriction(**named, status=2, ipAddress="10.0.0.1")
    broker.margin_v1_post_broker_sub_account_api_ip_restriction_ip_list(**named, ipAddress="10.0.0.2")
    broker.margin_v1_delete_broker_sub_account_api_ip_restriction_ip_list(**named, ipAddress="10.0.0.1")
    assert broker.margin_v1_get_broker_sub_account_api_ip_restriction(**named)["ipList"] == ["10.0.0.2"]
    broker.margin_v1_post_broker_sub_account_api_ip_restriction(**named, ipRestrict=False)
    assert bot.get_account()["accountType"] == "SPOT"
    assert broker.margin_v1_delete_broker_sub_account_api(**named) == {}
    with pytest.raises(BinanceAPIException) as caught:
        bot.get_account()
    assert caught.value.code == -2015


def test_the_async_client_asks_the_same_way(venue: Venue) -> None:
    async def day() -> None:
        key = venue.key(fund={"USDT": "1000"})
        master: Any = await led_here(AsyncClient, venue).create(api_key=key.api_key, **secret_of(key))  # type: ignore[attr-defined]
        try:
            email = (await master.margin_v1_post_sub_account_virtual_sub_account(subAccountString="desk1"))["email"]
            assert (await master.get_sub_account_assets(email=email))["balances"] == []
            assert (await master.get_universal_transfer_history())["totalCount"] == 0
            assert (await master.get_sub_account_list())["subAccounts"][0]["email"] == email
        finally:
            await master.close_connection()

    asyncio.run(day())
