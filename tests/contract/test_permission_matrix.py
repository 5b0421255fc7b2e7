"""Permission × endpoint × key type × transport, over sockets, against the table written from the documents.

Every endpoint is called without a key, with the key alone, and signed by keys of each type with each permission; what
the gate makes of each call must be what the documents make of it. Then every row is flipped in a running server, and
the same calls must notice.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sparekey import assemble
from sparekey.settings import Settings
from sparekey.terms.permissions import PERMISSION_NAMES, Permission, names_of
from sparekey.wire.routes import ALL_ROWS
from sparekey.wire.spot_table import SPOT_ROWS
from sparekey.wire.table import Route, Row, Security, TableIncomplete
from sparekey.wire.weights import load_weights
from tests.permission_table import MATRIX, Documented, differences
from tests.signing import Answer, Caller
from tests.venue import Credentials, Venue

Endpoint = tuple[str, str]

KEY_TYPES = ("hmac", "rsa", "ed25519")
#: What a key holds: each permission with what it presupposes, by the documents' table of permissions.
GRANTS: dict[str, tuple[str, ...]] = {
    "reading": ("reading",),
    "spot-and-margin-trading": ("reading", "spot-and-margin-trading"),
    "margin-loan": ("reading", "spot-and-margin-trading", "margin-loan"),
    "futures": ("reading", "futures"),
    "withdrawals": ("reading", "withdrawals"),
    "internal-transfer": ("reading", "internal-transfer"),
    "universal-transfer": ("reading", "universal-transfer"),
}
EVERYTHING = tuple(GRANTS)
SIGNED = ("TRADE", "USER_DATA")

#: What the gate can make of a call. Everything else that is answered was let through.
ADMITTED = "admitted"
_TURNED_AWAY = {-2014: "no key", -2015: "not permitted", -1022: "wrong signature", -1021: "too late"}
_PARAMETER_CODES = range(-1106, -1099)


def outcome(answer: Answer) -> str:
    if answer.code == -1102 and ("'timestamp'" in answer.body["msg"] or "'signature'" in answer.body["msg"]):
        return "not signed"
    if answer.code in _PARAMETER_CODES:
        return f"its parameters were refused ({answer.body['msg']})"
    if answer.status >= 500:
        return "it failed inside"
    return _TURNED_AWAY.get(answer.code, ADMITTED)


def expected(line: Documented) -> dict[str, str]:
    """Cell → what the documents make of it."""
    signed = line.security in SIGNED
    cells = {
        "nobody": "not signed" if signed else ADMITTED if line.security == "NONE" else "no key",
        "the key alone": "not signed" if signed else ADMITTED,
    }
    for name, granted in GRANTS.items():
        cells[name] = ADMITTED if set(line.permissions) <= set(granted) else "not permitted"
    cells["everything but reading"] = "not permitted" if "reading" in line.permissions else ADMITTED
    # Binance, "Timing security": the clock is read again just before the engine, which is where orders go.
    cells["held up on its way"] = "too late" if line.security == "TRADE" else ADMITTED
    return cells


class Desk:
    """A server with a key of each type for each grant, all of one account."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.application = venue._running._application
        self.access = venue._running._access
        accounts = {key_type: venue.account(fund={"USDT": "1000000"}) for key_type in KEY_TYPES}
        self.keys: dict[tuple[str, str], Credentials] = {
            (key_type, name): venue.key(key_type, email=accounts[key_type], permissions=granted)
            for key_type in KEY_TYPES
            for name, granted in {**GRANTS, "everything": EVERYTHING, "everything but reading": EVERYTHING}.items()
        }
        for key_type in KEY_TYPES:
            # No key is issued without reading, so this one loses it behind the server's back.
            key = self.access.key_by_api_key(self.keys[key_type, "everything but reading"].api_key)
            assert key is not None
            key.permissions &= ~int(Permission.READING)
        self._callers: dict[str, tuple[float, Caller]] = {}

    def caller(self, key: Credentials | None) -> Caller:
        """On a connection that the server has not closed for idleness yet."""
        name, now_s = key.api_key if key else "", time.monotonic()
        used_s, caller = self._callers.get(name, (-1_000.0, None))
        if caller is None or now_s - used_s > 10:
            caller = Caller(self.venue.url, key)
        self._callers[name] = now_s, caller
        return caller

    def observe(self, endpoint: Endpoint, line: Documented, key_type: str) -> Iterator[tuple[str, str]]:
        """(cell, what the server made of it)"""
        method, path = endpoint
        signed = line.security in SIGNED

        def call(key: Credentials | None, *, signed: bool, **more: str) -> str:
            return outcome(self.caller(key)(method, path, line.parameters | more, signed=signed))

        everything = self.keys[key_type, "everything"]
        yield "nobody", call(None, signed=False)
        yield "the key alone", call(everything, signed=False)
        for name in (*GRANTS, "everything but reading"):
            yield name, call(self.keys[key_type, name], signed=signed)
        clocks = self.application._clocks
        self.application._clocks = HeldUp(clocks)
        try:
            late = call(everything, signed=signed, **({"recvWindow": "5000"} if signed else {}))
        finally:
            self.application._clocks = clocks
        yield "held up on its way", late


class HeldUp:
    """The server's clocks, as they are at a call's second look when it took ten seconds to get there."""

    def __init__(self, clocks: Any) -> None:
        self._clocks = clocks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clocks, name)

    def wall_us(self) -> int:
        return int(self._clocks.wall_us()) + 10_000_000

    def wire_us(self) -> int:
        return int(self._clocks.wire_us()) + 10_000_000


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    venue = Venue(tmp_path_factory.mktemp("venue") / "data", profile="off")
    yield Desk(venue)
    venue.stop()


def line_of(row: Row) -> Documented:
    line = MATRIX.get((row.method, row.path))
    if line is None:
        pytest.fail(
            f"{row.method} {row.path} is served, but MATRIX in tests/permission_table.py has no line for it: add its"
            " security type, its permissions and parameters, from its page in the documentation"
        )
    return line


ENDPOINTS = pytest.mark.parametrize("row", ALL_ROWS, ids=lambda row: f"{row.method} {row.path}")


def test_the_grants_are_all_permissions_that_exist() -> None:
    assert list(GRANTS) == list(PERMISSION_NAMES), "a permission was added: give GRANTS a key that holds it"


@ENDPOINTS
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_an_endpoint_lets_in_exactly_whom_the_documents_let_in(desk: Desk, row: Row, key_type: str) -> None:
    line = line_of(row)
    assert dict(desk.observe((row.method, row.path), line, key_type)) == expected(line)


# --- the comparison notices ------------------------------------------------------------------------------------------


def flips(row: Row) -> Iterator[Row]:
    """The row with another security type, with other permissions, or with both."""
    assert row.security is not None
    assert row.permission is not None
    for security in Security:
        if security is row.security:
            continue
        if not security.keyed:
            yield flipped(row, security, Permission.NONE)
        else:
            yield flipped(row, security, row.permission or Permission.READING)
    if row.security.keyed:
        for permission in Permission:
            if permission and permission != row.permission:
                yield flipped(row, row.security, permission)
        for permission in Permission:
            if permission & ~row.permission:
                yield flipped(row, row.security, row.permission | permission)


def flipped(row: Row, security: Security, permission: Permission) -> Row:
    other = copy.copy(row)
    other.security, other.permission = security, permission
    return other


@ENDPOINTS
def test_a_flipped_row_is_noticed_over_the_socket(desk: Desk, row: Row) -> None:
    line = line_of(row)
    paths = desk.application._routes[row.method]
    name = row.path.encode()
    original = paths[name]
    weight = load_weights("classic")[row.method, row.path]
    unnoticed = []
    try:
        for other in flips(row):
            assert other.security is not None
            if {other.security, row.security} == {Security.USER_STREAM, Security.MARKET_DATA}:
                continue  # both mean "the key alone": the comparison of the tables, below, tells them apart
            paths[name] = Route(other, weight, strict=False)
            cells = expected(line)
            if all(cells[name] == made for name, made in desk.observe((row.method, row.path), line, "hmac")):
                unnoticed.append((other.security, other.permission))
    finally:
        paths[name] = original
    assert unnoticed == []


@ENDPOINTS
def test_a_flipped_row_differs_from_the_table_of_the_documents(row: Row) -> None:
    rows = {(one.method, one.path): one for one in ALL_ROWS}

    def compared() -> list[str]:
        return differences(
            {
                route: (one.security.value, frozenset(names_of(one.permission)))
                for route, one in rows.items()
                if one.security is not None and one.permission is not None
            }
        )

    assert compared() == []
    for other in flips(row):
        rows[row.method, row.path] = other
        (sentence,) = compared()
        assert sentence.startswith(f"{row.method} {row.path}")
    del rows[row.method, row.path]
    assert compared() == [
        f"{row.method} {row.path} stands in MATRIX of tests/permission_table.py, but nothing serves it"
    ]


def test_an_endpoint_that_the_documents_table_does_not_know_is_named_with_what_to_add() -> None:
    (sentence,) = [
        one for one in differences({("GET", "/api/v3/new"): ("NONE", frozenset())}) if one.startswith("GET /api/v3/new")
    ]
    assert "tests/permission_table.py" in sentence


# --- nothing is served that declares nothing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("security", "permission"),
    [
        (None, None),
        (Security.USER_DATA, None),
        (None, Permission.READING),
        (Security.TRADE, Permission.NONE),
        (Security.NONE, Permission.READING),
    ],
)
def test_a_server_with_an_endpoint_that_declares_no_permission_does_not_start(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, security: Security | None, permission: Permission | None
) -> None:
    careless = copy.copy(SPOT_ROWS[-1])
    careless.security, careless.permission = security, permission
    monkeypatch.setattr("sparekey.wire.routes.ALL_ROWS", (*SPOT_ROWS[:-1], careless))

    async def start() -> None:
        settings = Settings(data=tmp_path / "data", port=0, market="none", durability="memory")
        running = await assemble.start(settings, demo=False)
        await running.stop()

    with pytest.raises(TableIncomplete, match=f"{careless.method} {careless.path}"):
        asyncio.run(start())


# --- WebSocket -------------------------------------------------------------------------------------------------------


def opened(desk: Desk, listen_key: str, source_ip: str) -> int:
    """101, or the status with which the server would not."""
    url = f"ws{desk.venue.url.removeprefix('http')}/ws/{listen_key}"
    try:
        with connect(url, proxy=None, source_address=(source_ip, 0)):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize("key_type", KEY_TYPES)
@pytest.mark.parametrize("name", [*GRANTS, "everything"])
def test_any_key_that_may_read_opens_its_user_data_stream(desk: Desk, key_type: str, name: str) -> None:
    """User data streams need reading and no more (spot documentation, "User data streams": USER_STREAM)."""
    answer = desk.caller(desk.keys[key_type, name])("POST", "/api/v3/userDataStream", signed=False)
    assert opened(desk, answer.body["listenKey"], "127.0.0.1") == 101


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_key_that_may_not_read_opens_no_stream_even_with_a_listen_key_from_before(desk: Desk, key_type: str) -> None:
    credentials = desk.venue.key(key_type, permissions=EVERYTHING)
    listen_key = desk.caller(credentials)("POST", "/api/v3/userDataStream", signed=False).body["listenKey"]
    assert opened(desk, listen_key, "127.0.0.1") == 101
    key = desk.access.key_by_api_key(credentials.api_key)
    assert key is not None
    key.permissions &= ~int(Permission.READING)
    assert opened(desk, listen_key, "127.0.0.1") == 401


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_listen_key_opens_nothing_from_where_its_key_may_not_call(desk: Desk, key_type: str) -> None:
    credentials = desk.venue.key(key_type, permissions=EVERYTHING, ips=["127.0.0.1"])
    listen_key = desk.caller(credentials)("POST", "/api/v3/userDataStream", signed=False).body["listenKey"]
    assert opened(desk, listen_key, "127.0.0.1") == 101
    assert opened(desk, listen_key, "127.0.0.2") == 401


def test_the_websocket_api_is_not_served_yet_and_says_so(desk: Desk) -> None:
    """The day it is, this fails: then the rows' WebSocket names are a transport of the matrix above."""
    for path in ("/ws-api/v3", "/ws-fapi/v1", "/ws-dapi/v1"):
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(f"ws{desk.venue.url.removeprefix('http')}{path}", proxy=None),
        ):
            pass
        assert refused.value.response.status_code in (404, 501)
