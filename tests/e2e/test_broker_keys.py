"""A broker's customers over sockets: sub-accounts and keys of theirs, which really trade and end as documented."""

from __future__ import annotations

import urllib.parse
from typing import Any

import pytest

from tests.e2e.test_sub_accounts import ELSEWHERE, HERE, KEY_REFUSED, NO_RELATION, Master
from tests.signing import Caller
from tests.venue import Credentials, Venue

ACCOUNT, KEY = "/sapi/v1/broker/subAccount", "/sapi/v1/broker/subAccountApi"
NOT_AUTHORIZED = {"code": -1002, "msg": "You are not authorized to execute this request."}


class Broker(Master):
    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        venue.ask("PUT", f"/accounts/{urllib.parse.quote(self.key.email)}/broker", {"broker": True})

    def customer(self, tag: str = "bob123d") -> dict[str, str]:
        made = self.ask("POST", ACCOUNT, tag=tag)
        return {"subAccountId": made["subaccountId"]}

    def customer_key(self, customer: dict[str, str], can_trade: str = "true") -> Credentials:
        made = self.ask("POST", KEY, **customer, canTrade=can_trade)
        assert made["subaccountId"] == customer["subAccountId"]
        return Credentials(made["apiKey"], made["secretKey"], "", "")


@pytest.fixture
def broker(venue: Venue) -> Broker:
    return Broker(venue)


def test_a_customers_key_trades_with_the_customers_funds(venue: Venue, broker: Broker) -> None:
    customer = broker.customer()
    bot = Caller(venue.url, broker.customer_key(customer))
    to = {"toId": customer["subAccountId"], "asset": "USDT", "amount": "300"}
    moved = broker.ask("POST", "/sapi/v1/broker/transfer", **to, clientTranId="x")
    assert broker.ask("POST", "/sapi/v1/broker/transfer", **to, clientTranId="x") == moved
    assert bot.limit_order(quantity="0.01", price="20000").body["status"] == "NEW"
    held = {row["asset"]: (row["free"], row["locked"]) for row in bot("GET", "/api/v3/account").body["balances"]}
    assert held["USDT"] == ("100.00000000", "200.00000000")


def test_who_is_no_broker_is_not_authorized(venue: Venue) -> None:
    master = Master(venue)
    assert master.refused("POST", ACCOUNT) == master.refused("GET", ACCOUNT) == NOT_AUTHORIZED
    assert master.refused("GET", "/sapi/v1/broker/info") == NOT_AUTHORIZED
    assert master.refused("POST", KEY, subAccountId="1", canTrade="true") == NOT_AUTHORIZED
    assert venue.last_call(master.key)["reason"] == "broker-only"


def test_a_brokers_customers_and_its_own_sub_accounts_are_kept_apart(venue: Venue, broker: Broker) -> None:
    customer, email = broker.customer(), broker.sub_account()
    (listed,) = broker.ask("GET", "/sapi/v1/sub-account/list", limit=200)["subAccounts"]
    assert listed["email"] == email
    (row,) = broker.ask("GET", ACCOUNT)
    assert (row["subaccountId"], row["tag"]) == (customer["subAccountId"], "bob123d")
    assert row["email"].endswith("noemail.com") and "_brokersubuser@" in row["email"]
    own = {"subAccountId": listed["subUserId"]}
    assert broker.refused("GET", KEY, **own) == broker.refused("GET", KEY, subAccountId="1") == NO_RELATION
    assert Broker(venue).refused("GET", KEY, **customer) == NO_RELATION
    assert broker.refused("GET", "/sapi/v1/sub-account/subAccountApi", email=row["email"]) == NO_RELATION
    assert broker.ask("GET", "/sapi/v1/broker/info")["subAccountQty"] == 1


def test_switches_and_addresses_decide_the_customers_very_next_call(venue: Venue, broker: Broker) -> None:
    customer = broker.customer()
    key = broker.customer_key(customer, can_trade="false")
    here, elsewhere = Caller(venue.url, key, HERE), Caller(venue.url, key, ELSEWHERE)
    named = customer | {"subAccountApiKey": key.api_key}
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
    assert here("POST", "/api/v3/order/test", order).body == KEY_REFUSED
    off = {"marginTrade": "false", "futuresTrade": "false"}
    changed = broker.ask("POST", f"{KEY}/permission", **named, **off, canTrade="true")
    assert here("POST", "/api/v3/order/test", order).status == 200
    assert broker.ask("GET", KEY, **customer) == [changed]
    broker.ask("POST", f"{KEY}/permission/universalTransfer", **named, canUniversalTransfer="true")
    assert here("GET", "/sapi/v1/account/apiRestrictions").body["permitsUniversalTransfer"] is True
    assert broker.refused("POST", f"{KEY}/permission", **named, **(off | {"marginTrade": "true"}), canTrade="true") == {
        "code": -3003,
        "msg": "Margin account does not exist.",
    }
    futures = off | {"futuresTrade": "true"}
    assert broker.refused("POST", f"{KEY}/permission", **named, **futures, canTrade="true")["code"] == -5011
    assert broker.refused("POST", f"{KEY}/permission", **named, canTrade="true")["code"] == -1102

    def served() -> list[bool]:
        return [call("GET", "/api/v3/account").status == 200 for call in (here, elsewhere)]

    change = "/sapi/v2/broker/subAccountApi/ipRestriction"
    assert broker.ask("POST", change, **named, status="2", ipAddress=HERE)["ipList"] == [HERE]
    assert served() == [True, False]
    assert broker.ask("GET", f"{KEY}/ipRestriction", **named)["ipRestrict"] is True
    assert broker.ask("POST", f"{KEY}/ipRestriction/ipList", **named, ipAddress=ELSEWHERE)["ip"] == ELSEWHERE
    assert served() == [True, True]
    assert broker.ask("DELETE", f"{KEY}/ipRestriction/ipList", **named, ipAddress=HERE)["ipList"] == [ELSEWHERE]
    assert served() == [False, True]
    assert broker.ask("DELETE", f"{KEY}/ipRestriction/ipList", **named)["ipList"] == ["0.0.0.0"]
    assert served() == [False, False]
    assert broker.ask("POST", change, **named, status="1")["ipList"] == []
    assert served() == [True, True]
    assert broker.ask("POST", f"{KEY}/ipRestriction", **named, ipRestrict="true")["ipRestrict"] is True
    assert served() == [False, False]


def test_one_key_a_second_is_made_for_a_customer(venue: Venue, broker: Broker) -> None:
    customer, other = broker.customer(), broker.customer("other")
    broker.customer_key(customer)
    too_soon = broker.call("POST", KEY, customer | {"canTrade": "true"})
    assert too_soon.status == 429 and too_soon.code == -1003
    assert int(too_soon.headers["Retry-After"]) >= 1
    assert venue.last_call(broker.key)["reason"] == "key-too-soon"
    broker.customer_key(other)
    venue.clock.advance("1s")
    broker.customer_key(customer)


def test_a_customers_key_is_paid_by_the_address_and_by_the_broker(broker: Broker) -> None:
    made = broker.call("POST", KEY, broker.customer() | {"canTrade": "true"})
    assert made.headers["X-SAPI-USED-IP-WEIGHT-1M"] == "8"
    assert made.headers["X-SAPI-USED-UID-WEIGHT-1M"] == "3000"
    assert made.headers["Cache-Control"] == "no-store"


def test_a_customer_is_deleted_once_neither_funds_nor_keys_are_left(venue: Venue, broker: Broker) -> None:
    customer = broker.customer()
    key = broker.customer_key(customer)
    number = customer["subAccountId"]
    spot: dict[str, Any] = {"asset": "USDT", "amount": "5"}
    broker.ask("POST", "/sapi/v1/broker/transfer", toId=number, **spot)
    assert broker.refused("DELETE", ACCOUNT, **customer)["code"] == -4001
    broker.ask("POST", "/sapi/v1/broker/transfer", fromId=number, **spot)
    assert broker.refused("DELETE", ACCOUNT, **customer)["code"] == -4001
    assert broker.ask("DELETE", KEY, **customer, subAccountApiKey=key.api_key) == {}
    assert Caller(venue.url, key)("GET", "/api/v3/account").body == KEY_REFUSED
    assert broker.ask("DELETE", ACCOUNT, **customer) == {}
    assert broker.ask("GET", ACCOUNT) == []
    assert broker.refused("DELETE", ACCOUNT, **customer) == NO_RELATION


def test_tags_are_shorter_than_thirty_two_characters(broker: Broker) -> None:
    broker.customer("x" * 31)
    assert broker.refused("POST", ACCOUNT, tag="x" * 32)["code"] == -1130
    assert broker.ask("POST", ACCOUNT)["tag"] == ""
