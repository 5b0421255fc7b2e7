"""The tables: nothing opens by forgetfulness, and the permission of each route is what the documents say."""

from __future__ import annotations

from functools import partial

import pytest

from sparekey.terms.permissions import Permission
from sparekey.wire.routes import ALL_ROWS, load_routes
from sparekey.wire.table import Row, Security, TableIncomplete, build_routes, describe
from sparekey.wire.weights import WeightRow

NONE, READ, TRADE = Permission.NONE, Permission.READING, Permission.SPOT_AND_MARGIN_TRADING

# Written by hand from the endpoint pages of Binance's documentation ("Security type" of each) and from the table of
# permissions in the wallet documentation, not from our tables: a row that flips must fail here.
MATRIX: dict[tuple[str, str], tuple[str, Permission]] = {
    ("GET", "/api/v3/ping"): ("NONE", NONE),
    ("GET", "/api/v3/time"): ("NONE", NONE),
    ("GET", "/api/v3/exchangeInfo"): ("NONE", NONE),
    ("GET", "/api/v3/depth"): ("NONE", NONE),
    ("GET", "/api/v3/trades"): ("NONE", NONE),
    ("GET", "/api/v3/historicalTrades"): ("NONE", NONE),
    ("GET", "/api/v3/aggTrades"): ("NONE", NONE),
    ("GET", "/api/v3/klines"): ("NONE", NONE),
    ("GET", "/api/v3/uiKlines"): ("NONE", NONE),
    ("GET", "/api/v3/avgPrice"): ("NONE", NONE),
    ("GET", "/api/v3/ticker/24hr"): ("NONE", NONE),
    ("GET", "/api/v3/ticker/tradingDay"): ("NONE", NONE),
    ("GET", "/api/v3/ticker/price"): ("NONE", NONE),
    ("GET", "/api/v3/ticker/bookTicker"): ("NONE", NONE),
    ("GET", "/api/v3/ticker"): ("NONE", NONE),
    ("POST", "/api/v3/order"): ("TRADE", TRADE),
    ("POST", "/api/v3/order/test"): ("TRADE", TRADE),
    ("DELETE", "/api/v3/order"): ("TRADE", TRADE),
    ("DELETE", "/api/v3/openOrders"): ("TRADE", TRADE),
    ("GET", "/api/v3/order"): ("USER_DATA", READ),
    ("GET", "/api/v3/openOrders"): ("USER_DATA", READ),
    ("GET", "/api/v3/allOrders"): ("USER_DATA", READ),
    ("GET", "/api/v3/account"): ("USER_DATA", READ),
    ("GET", "/api/v3/myTrades"): ("USER_DATA", READ),
    ("GET", "/api/v3/rateLimit/order"): ("USER_DATA", READ),
    ("GET", "/api/v3/account/commission"): ("USER_DATA", READ),
    ("POST", "/api/v3/userDataStream"): ("USER_STREAM", READ),
    ("PUT", "/api/v3/userDataStream"): ("USER_STREAM", READ),
    ("DELETE", "/api/v3/userDataStream"): ("USER_STREAM", READ),
    ("GET", "/sapi/v1/system/status"): ("NONE", NONE),
    ("GET", "/sapi/v1/capital/config/getall"): ("USER_DATA", READ),
    ("GET", "/sapi/v1/account/apiRestrictions"): ("USER_DATA", READ),
    ("GET", "/sapi/v1/account/status"): ("USER_DATA", READ),
    ("GET", "/sapi/v1/account/apiTradingStatus"): ("USER_DATA", READ),
    ("GET", "/sapi/v1/asset/tradeFee"): ("USER_DATA", READ),
    ("GET", "/sapi/v1/margin/allPairs"): ("MARKET_DATA", READ),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): ("MARKET_DATA", READ),
    ("GET", "/fapi/v1/ping"): ("NONE", NONE),
    ("GET", "/fapi/v1/time"): ("NONE", NONE),
    ("GET", "/fapi/v1/exchangeInfo"): ("NONE", NONE),
    ("GET", "/dapi/v1/ping"): ("NONE", NONE),
    ("GET", "/dapi/v1/time"): ("NONE", NONE),
    ("GET", "/dapi/v1/exchangeInfo"): ("NONE", NONE),
}


def test_every_route_needs_exactly_the_permission_that_the_documents_say() -> None:
    found = {
        (row.method, row.path): (row.security.value, row.permission)
        for row in ALL_ROWS
        if row.security is not None and row.permission is not None
    }
    assert found == MATRIX


def build(row: Row) -> None:
    build_routes([row], {(row.method, row.path): WeightRow(row.method, row.path, "1", 0)})


unfinished = partial(Row, "GET", "/api/v3/x", handler=lambda desk, call: b"{}")


@pytest.mark.parametrize(
    "row",
    [
        unfinished(permission=Permission.READING),
        unfinished(security=Security.USER_DATA),
        unfinished(security=Security.TRADE, permission=Permission.NONE),
        unfinished(security=Security.NONE, permission=Permission.READING),
    ],
)
def test_an_application_is_not_built_of_a_row_without_security_and_permission(row: Row) -> None:
    with pytest.raises(TableIncomplete):
        build(row)


def test_a_row_without_a_weight_or_with_another_order_count_stops_the_start() -> None:
    row = unfinished(security=Security.NONE, permission=Permission.NONE)
    with pytest.raises(TableIncomplete, match="no weight"):
        build_routes([row], {})
    with pytest.raises(TableIncomplete, match="orders"):
        build_routes([row], {("GET", "/api/v3/x"): WeightRow("GET", "/api/v3/x", "1", 2)})
    with pytest.raises(TableIncomplete, match="twice"):
        build_routes([row, row], {("GET", "/api/v3/x"): WeightRow("GET", "/api/v3/x", "1", 0)})


def test_the_api_date_chooses_the_routes() -> None:
    path = b"/api/v3/userDataStream"
    assert path in load_routes("classic")["POST"]
    assert path in load_routes("classic", api_date="2026-02-19")["POST"]
    assert path not in load_routes("classic", api_date="2026-02-20")["POST"]


def test_websocket_names_are_unique_and_rows_describe_themselves() -> None:
    names = [row.websocket for row in ALL_ROWS if row.websocket]
    assert len(names) == len(set(names))
    for row in ALL_ROWS:
        assert describe(row)["path"] == row.path
