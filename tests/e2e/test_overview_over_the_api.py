"""What the operator and an account's holder see over the management API of what was made and done elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.signing import Caller
from tests.venue import Refused, Venue


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    venue = Venue(tmp_path_factory.mktemp("venue") / "data")
    venue.hash_cheaply()
    yield venue
    venue.stop()


def test_a_holder_sees_what_each_key_ordered_and_got(shared: Venue) -> None:
    first = shared.key(fund={"USDT": "1000"})
    second = shared.key(fund={"BTC": "1"})
    buying = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    for price in ("50000", "40000"):
        assert Caller(shared.url, first)("POST", "/api/v3/order", buying | {"price": price}).status == 200
    selling = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"}
    assert Caller(shared.url, second)("POST", "/api/v3/order", selling).status == 200
    token = {key.email: shared.sessions_of(key.email)[0]["full"] for key in (first, second)}

    def seen_by(email: str, path: str) -> Any:
        return shared.ask("GET", path, token=token[email])

    [opened] = seen_by(first.email, "/me/orders/open")
    [closed] = seen_by(first.email, "/me/orders/closed?symbol=BTCUSDT")
    [fill] = seen_by(first.email, "/me/fills?limit=1")
    assert (opened["price"], opened["status"], opened["executed"]) == ("40000.00000000", "NEW", "0.00000000")
    assert (closed["price"], closed["status"], closed["executed"]) == ("50000.00000000", "FILLED", "0.01000000")
    assert (fill["side"], fill["price"], fill["quoteQuantity"]) == ("BUY", "50000.00000000", "500.00000000")
    assert {opened["apiKey"], closed["apiKey"], fill["apiKey"]} == {first.api_key}
    held = {one["asset"]: (one["free"], one["locked"]) for one in seen_by(first.email, "/me/wallet")}
    assert held["USDT"] == ("100.00000000", "400.00000000")
    [sold] = seen_by(second.email, "/me/fills")
    assert (sold["side"], sold["orderId"]) != (fill["side"], fill["orderId"])
    for path in ("/me/fills?symbol=NOPE", "/me/orders/open?limit=0", "/me/orders/closed?limit=501"):
        with pytest.raises(Refused) as refused:
            seen_by(first.email, path)
        assert refused.value.status in (400, 422)


def test_the_operator_pages_through_accounts_and_keys(shared: Venue) -> None:
    keys = [shared.key() for _ in range(3)]
    shared.ask("POST", f"/accounts/{keys[0].email}/suspend", {"reason": "odd calls"})
    found = shared.ask("GET", "/accounts")
    assert [row["email"] for row in found["accounts"][:3]] == [key.email for key in reversed(keys)]
    [suspended] = shared.ask("GET", "/accounts?access=SUSPENDED")["accounts"]
    assert suspended["email"] == keys[0].email
    older = shared.ask("GET", f"/accounts?before={found['accounts'][1]['accountId']}")
    assert older["accounts"][0] == found["accounts"][2]
    shared.ask("POST", f"/keys/{keys[2].api_key}/disable")
    listed = shared.ask("GET", "/keys?status=disabled&type=hmac&permission=reading")["keys"]
    assert [row["apiKey"] for row in listed] == [keys[2].api_key]
    assert "secret" not in json.dumps(shared.ask("GET", "/keys"))


def test_the_operator_sees_limits_and_who_uses_them_up(shared: Venue) -> None:
    key = shared.key()
    assert Caller(shared.url, key)("GET", "/api/v3/account").status == 200
    shown = shared.ask("GET", "/limits")
    assert shown["enforced"] and any(row["limiter"] == "weight" for row in shown["limits"])
    assert any(row["subject"] == "127.0.0.1" and row["used"] >= 10 for row in shown["used"])


def test_the_operator_reads_letters_that_have_no_other_way_out(shared: Venue) -> None:
    shared.ask("POST", "/sign-up", {"email": "letters@example.com", "password": "tin giraffe, 40 lanterns"})
    newest = shared.ask("GET", "/letters")[0]
    assert (newest["to"], newest["state"]) == ("letters@example.com", "kept")
    letter = shared.ask("GET", f"/letters/{newest['number']}")
    assert "/sign-up/confirm?token=" in letter["text"] and letter["html"]
    with pytest.raises(Refused) as refused:
        shared.ask("GET", "/letters/999999")
    assert (refused.value.status, refused.value.reason) == (404, "letter-unknown")
