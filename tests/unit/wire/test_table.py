"""The tables: nothing opens by forgetfulness, and the permission of each route is what the documents say."""

from __future__ import annotations

import datetime
from functools import partial

import pytest

from sparekey.terms.permissions import Permission, names_of
from sparekey.wire.routes import ALL_ROWS, load_routes
from sparekey.wire.spot_table import SPOT_ROWS
from sparekey.wire.table import Limiter, Route, Row, Security, TableIncomplete, build_routes, describe
from sparekey.wire.weights import WeightRow
from tests.permission_table import differences


def test_every_route_needs_exactly_the_permission_that_the_documents_say() -> None:
    """The documents' side is the hand-written table in `tests/permission_table.py`; an endpoint adds its line there."""
    found = {
        (row.method, row.path): (row.security.value, frozenset(names_of(row.permission)))
        for row in ALL_ROWS
        if row.security is not None and row.permission is not None
    }
    assert differences(found) == []


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


#: Since when an endpoint is there (changelog of the spot documentation); what is older than 2022-08 has no date.
NEWER = {
    "executionRules": "2026-03-09",
    "referencePrice": "2026-03-09",
    "referencePrice/calculation": "2026-03-09",
    "historicalBlockTrades": "2026-05-08",
    "sor/order": "2023-08-08",
    "sor/order/test": "2023-08-08",
    "myAllocations": "2023-08-08",
    "account/commission": "2023-12-04",
    "ticker/tradingDay": "2023-12-04",
    "order/amend/keepPriority": "2025-05-07",
    "order/amendments": "2025-05-07",
    "orderList/oco": "2024-04-02",
    "orderList/oto": "2024-06-11",
    "orderList/otoco": "2024-06-11",
    "orderList/opo": "2025-12-18",
    "orderList/opoco": "2025-12-18",
    "myFilters": "2025-09-29",
    "uiKlines": "2022-08-23",
    "myPreventedMatches": "2023-01-26",
}
#: When one went. Clients that are older than this still call it, so it is there where no date is asked for.
RETIRED = {
    "POST userDataStream": "2026-02-20",
    "PUT userDataStream": "2026-02-20",
    "DELETE userDataStream": "2026-02-20",
}


def served_on(date: str) -> set[tuple[str, bytes]]:
    return {(method, path) for method, paths in load_routes("classic", api_date=date).items() for path in paths}


def the_day_before(date: str) -> str:
    return (datetime.date.fromisoformat(date) - datetime.timedelta(days=1)).isoformat()


@pytest.mark.parametrize(("name", "date"), NEWER.items())
def test_an_endpoint_is_there_from_the_day_on_which_the_documents_brought_it(name: str, date: str) -> None:
    path = f"/api/v3/{name}".encode()
    for day, expected in ((date, True), (the_day_before(date), False), ("", True)):
        assert any(served == path for _, served in served_on(day)) == expected


@pytest.mark.parametrize(("name", "date"), RETIRED.items())
def test_a_retired_endpoint_is_gone_from_its_day_on_and_there_without_a_date(name: str, date: str) -> None:
    method, _, path = name.partition(" ")
    for day, expected in ((date, False), (the_day_before(date), True), ("", True)):
        assert ((method, f"/api/v3/{path}".encode()) in served_on(day)) == expected


def test_every_date_in_the_spot_table_is_one_of_the_documents() -> None:
    told = {row.path.removeprefix("/api/v3/"): row.since for row in SPOT_ROWS if row.since}
    assert told == NEWER
    assert {f"{row.method} {row.path[8:]}": row.retired_since for row in SPOT_ROWS if row.retired_since} == RETIRED


def test_each_version_of_the_routes_for_sub_accounts_keys_has_its_time() -> None:
    first, present = b"/sapi/v1/sub-account/subAccountApi/ipRestriction", b"/sapi/v1/sub-account/subAccountApi"
    for date, served in (("2023-01-12", (True, False)), ("2023-01-13", (False, False)), ("2026-07-14", (False, True))):
        routes = load_routes("classic", api_date=date)["POST"]
        assert (first in routes, present in routes) == served, date
    assert {first, present} <= set(load_routes("classic")["POST"])


def test_websocket_names_are_unique_and_rows_describe_themselves() -> None:
    names = [row.websocket for row in ALL_ROWS if row.websocket]
    assert len(names) == len(set(names))
    for row in ALL_ROWS:
        assert describe(row)["path"] == row.path


def weighed(limiter: Limiter, rule: str) -> Route:
    row = unfinished(security=Security.USER_DATA, permission=Permission.READING, limiter=limiter)
    return build_routes([row], {(row.method, row.path): WeightRow(row.method, row.path, rule, 0)})["GET"][b"/api/v3/x"]


@pytest.mark.parametrize(
    ("limiter", "rule", "address_pays", "account_pays"),
    [
        (Limiter.ENDPOINT_IP, "10", 10, 0),
        (Limiter.ENDPOINT_UID, "3000", 0, 3000),
        (Limiter.ENDPOINT_BOTH, "8+3000", 8, 3000),
    ],
)
def test_address_and_account_pay_what_the_rule_says(
    limiter: Limiter, rule: str, address_pays: int, account_pays: int
) -> None:
    route = weighed(limiter, rule)
    assert (route.fixed_weight, route.account_weight) == (address_pays, account_pays)


@pytest.mark.parametrize(
    ("limiter", "rule"),
    [
        (Limiter.ENDPOINT_UID, "5:limit<=100;50:limit"),
        (Limiter.ENDPOINT_BOTH, "8"),
        (Limiter.ENDPOINT_BOTH, "8+"),
        (Limiter.ENDPOINT_BOTH, "8+5:limit"),
    ],
)
def test_a_rule_that_leaves_open_what_the_account_pays_stops_the_start(limiter: Limiter, rule: str) -> None:
    with pytest.raises(TableIncomplete, match="paid by the account"):
        weighed(limiter, rule)
