"""Fields that only some orders have: there where the documents say, of the type that the official SDK declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract import documented
from tests.contract.shapes import differences
from tests.signing import Caller
from tests.venue import Venue

SYMBOL = {"symbol": "BTCUSDT"}
_LIMIT = {"side": "BUY", "timeInForce": "GTC", "quantity": "0.01", "price": "50000"}
_STOP = _LIMIT | {"type": "STOP_LOSS_LIMIT", "price": "62000"}
_PEG = _LIMIT | {"type": "LIMIT", "pegPriceType": "PRIMARY_PEG"}

#: Kind of order → what is sent, and the fields that it has beside those of every order (spot REST, "Conditional fields
#: in Order Responses").
KINDS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "stop": (_STOP | {"stopPrice": "61000"}, {"stopPrice"}),
    "stop to market": (
        {"side": "SELL", "type": "STOP_LOSS", "quantity": "0.01", "stopPrice": "59000"},
        {"stopPrice"},
    ),
    "trailing": (_STOP | {"trailingDelta": 100}, {"trailingDelta", "trailingTime"}),
    "trailing from a price": (
        _STOP | {"trailingDelta": 100, "stopPrice": "61000"},
        {"trailingDelta", "trailingTime", "stopPrice"},
    ),
    "iceberg": (_LIMIT | {"type": "LIMIT", "icebergQty": "0.004"}, {"icebergQty"}),
    "pegged": (_PEG, {"pegPriceType", "peggedPrice"}),
    "pegged deeper": (
        _PEG | {"pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": 1},
        {"pegPriceType", "pegOffsetType", "pegOffsetValue", "peggedPrice"},
    ),
    "pegged stop": (_STOP | {"stopPrice": "61000", "pegPriceType": "MARKET_PEG"}, {"stopPrice", "pegPriceType"}),
    "strategy": (
        _LIMIT | {"type": "LIMIT", "strategyId": 7, "strategyType": 1_000_001},
        {"strategyId", "strategyType"},
    ),
}
#: Every query has these two.
ALWAYS_QUERIED = {"stopPrice", "icebergQty"}


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    venue = Venue(tmp_path_factory.mktemp("fields") / "data", profile="off")
    call, other = (Caller(venue.url, venue.key(fund={"USDT": "100000", "BTC": "1"})) for _ in range(2))
    for order in ({"side": "SELL"}, {"side": "BUY"}):
        assert call.limit_order(**order, price="60000", quantity="0.01").status == 200
        call = other  # The first trade says what stop prices are compared with.
    for price in ("49000", "48000"):
        assert call.limit_order(price=price).status == 200
    yield call
    venue.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_an_order_has_the_fields_of_its_kind_in_every_reply(call: Caller, kind: str) -> None:
    sent, fields = KINDS[kind]
    placed = call("POST", "/api/v3/order", SYMBOL | sent | {"newOrderRespType": "FULL"}).body
    ids = SYMBOL | {"orderId": placed["orderId"]}
    queried = call("GET", "/api/v3/order", ids).body
    listed = [one for one in call("GET", "/api/v3/openOrders", SYMBOL).body if one["orderId"] == placed["orderId"]]
    cancelled = call("DELETE", "/api/v3/order", ids).body
    archived = call("GET", "/api/v3/order", ids).body
    assert set(placed) == set(documented.RESULT) | {"fills"} | fields
    assert set(cancelled) == set(documented.FIELDS["DELETE /api/v3/order"]) | fields
    for body in (queried, listed[0], archived):
        assert set(body) == set(documented.FIELDS["GET /api/v3/order"]) | fields | ALWAYS_QUERIED
    assert {name: placed[name] for name in fields} == {name: archived[name] for name in fields}
    # The SDK declares these for queries and cancels alone.
    assert differences("POST /api/v3/order", placed, frozenset(fields)) == []
    assert differences("DELETE /api/v3/order", cancelled) == []
    for body in (queried, archived):
        assert differences("GET /api/v3/order", body) == []
