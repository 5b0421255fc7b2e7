"""What belongs to another account is as unknown as what never existed; and no call grants itself anything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.test_user_data import listen_key, stream
from tests.permission_table import MATRIX
from tests.signing import Caller
from tests.venue import EVERYTHING, Credentials, Refused, Venue


@pytest.fixture(scope="module")
def owner(lenient_venue: Venue) -> Caller:
    return Caller(lenient_venue.url, lenient_venue.key(permissions=EVERYTHING, fund={"USDT": "1000000"}))


@pytest.fixture(scope="module")
def stranger(lenient_venue: Venue) -> Caller:
    return Caller(lenient_venue.url, lenient_venue.key(permissions=EVERYTHING, fund={"USDT": "1000000"}))


@pytest.mark.parametrize(("method", "code"), [("GET", -2013), ("DELETE", -2011)])
@pytest.mark.parametrize("by", ["orderId", "origClientOrderId"])
def test_an_order_of_another_account_is_an_order_that_does_not_exist(
    owner: Caller, stranger: Caller, method: str, code: int, by: str
) -> None:
    placed = owner.limit_order().body
    named = {"orderId": placed["orderId"], "origClientOrderId": placed["clientOrderId"]}[by]
    theirs = stranger(method, "/api/v3/order", {"symbol": "BTCUSDT", by: named})
    nobodys = stranger(method, "/api/v3/order", {"symbol": "BTCUSDT", by: 999_999_999})
    assert (theirs.status, theirs.body) == (nobodys.status, nobodys.body)
    assert theirs.code == code
    found = owner("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": placed["orderId"]})
    assert found.body["status"] == "NEW"


def test_cancelling_all_orders_cancels_ones_own(owner: Caller, stranger: Caller) -> None:
    placed = owner.limit_order().body["orderId"]
    stranger("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"})
    assert placed in {order["orderId"] for order in owner("GET", "/api/v3/openOrders").body}


@pytest.mark.parametrize("path", ["/api/v3/allOrders", "/api/v3/openOrders", "/api/v3/myTrades"])
def test_lists_hold_what_is_ones_own(owner: Caller, stranger: Caller, path: str) -> None:
    placed = owner.limit_order().body["orderId"]
    for more in ({}, {"orderId": placed}):
        if more and path == "/api/v3/openOrders":
            continue
        rows = stranger("GET", path, {"symbol": "BTCUSDT"} | more).body
        assert placed not in {row["orderId"] for row in rows}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_listen_key_of_another_account_does_not_exist(
    lenient_venue: Venue, owner: Caller, stranger: Caller, method: str
) -> None:
    text = listen_key(owner)
    answer = stranger(method, "/api/v3/userDataStream", {"listenKey": text}, signed=False)
    nobodys = stranger(method, "/api/v3/userDataStream", {"listenKey": "L" * 64}, signed=False)
    assert (answer.status, answer.body) == (nobodys.status, nobodys.body)
    assert answer.code == -1125
    with stream(lenient_venue, f"/ws/{text}") as heard:
        owner.limit_order()
        assert heard.hear()["x"] == "NEW"


def test_a_listen_key_is_worth_what_its_key_is_worth_whoever_knows_it(lenient_venue: Venue) -> None:
    """It is a bearer's token, as at Binance; but from where its key may not call it opens nothing."""
    key = lenient_venue.key(ips=["127.0.0.1"])
    text = listen_key(Caller(lenient_venue.url, key))
    with pytest.raises(InvalidStatus), stream(lenient_venue, f"/ws/{text}", source_address=("127.0.0.5", 0)):
        pass


# --- no call grants itself anything ----------------------------------------------------------------------------------

CLAIMS: dict[str, Any] = {
    "owner_id": 1,
    "accountId": 100_000_001,
    "expires_at": 9_999_999_999_999,
    "expiryTime": None,
    "status": "active",
    "apiKey": "A" * 64,
    "secretKey": "S" * 64,
    "keyLimit": 1000,
    "loopbackAllowed": True,
    "admin": True,
}


@pytest.mark.parametrize("field", CLAIMS)
def test_a_field_that_nobody_offers_is_refused_and_nothing_is_done(lenient_venue: Venue, field: str) -> None:
    key = lenient_venue.key(permissions=["reading"])
    claim = {field: CLAIMS[field]}
    before = lenient_venue.ask("GET", f"/accounts/{key.email}/keys")
    for method, path, body in (
        ("POST", f"/accounts/{key.email}/keys", {"label": "x", "type": "hmac"}),
        ("PATCH", f"/keys/{key.api_key}", {"label": "y"}),
        ("POST", f"/keys/{key.api_key}/rotate", {"overlap": "1h"}),
        ("POST", "/accounts", {"email": "claims@example.com"}),
    ):
        with pytest.raises(Refused) as refused:
            lenient_venue.ask(method, path, body | claim)
        assert refused.value.status == 422
    assert lenient_venue.ask("GET", f"/accounts/{key.email}/keys") == before


def test_what_an_edit_may_not_name_stays_as_it_was(lenient_venue: Venue) -> None:
    key = lenient_venue.key(permissions=["reading"])
    before = lenient_venue.ask("GET", f"/keys/{key.api_key}")
    lenient_venue.ask("PATCH", f"/keys/{key.api_key}", {"label": "renamed"})
    assert lenient_venue.ask("GET", f"/keys/{key.api_key}") == before | {"label": "renamed"}


@pytest.mark.parametrize("name", ["permissions", "apiKey", "accountId", "uid", "ipRestrict", "signatureType", "alg"])
def test_no_parameter_of_a_call_widens_the_key_that_it_is_signed_by(lenient_venue: Venue, name: str) -> None:
    key = lenient_venue.key(permissions=["reading"])
    call = Caller(lenient_venue.url, key)
    order = MATRIX["POST", "/api/v3/order"].parameters
    answer = call("POST", "/api/v3/order", order | {name: "spot-and-margin-trading"})
    assert answer.status in (400, 401)
    assert answer.code < 0
    told = call("GET", "/sapi/v1/account/apiRestrictions", {name: "true"}).body
    assert told["enableSpotAndMarginTrading"] is False


def test_no_api_key_reaches_the_management_of_keys(lenient_venue: Venue, owner: Caller) -> None:
    """`test_management_is_closed_to_keys.py` walks every route."""
    assert isinstance(owner.key, Credentials)
    for path in (f"/sparekey/v1/keys/{owner.key.api_key}", f"/sparekey/v1/accounts/{owner.key.email}/keys"):
        for method in ("GET", "PATCH", "POST", "DELETE"):
            answer = owner(method, path)
            assert answer.status in (401, 405), (method, path)
    document = json.dumps(lenient_venue.ask("GET", f"/keys/{owner.key.api_key}"))
    assert owner.key.secret not in document
