"""Permission × endpoint × key type × transport, over sockets, against the table written from the documents.

Every endpoint is called without a key, with the key alone, and signed by keys of each type with each permission; what
the gate makes of each call must be what the documents make of it. Then every row is flipped in a running server, and
the same calls must notice.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
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
from sparekey.wire.websocket_api import Method
from sparekey.wire.websocket_table import WEBSOCKET_ROWS
from sparekey.wire.weights import load_weights
from tests.permission_table import MATRIX, WEBSOCKET_MATRIX, Documented, differences
from tests.signing import Answer, Caller
from tests.venue import Credentials, Venue
from tests.websocket_caller import Reply, WebsocketCaller, signed

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
        with self.held_up():
            late = call(everything, signed=signed, **({"recvWindow": "5000"} if signed else {}))
        yield "held up on its way", late

    @contextmanager
    def held_up(self) -> Iterator[None]:
        clocks = self.application._clocks
        self.application._clocks = HeldUp(clocks)
        try:
            yield
        finally:
            self.application._clocks = clocks


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


# --- over the WebSocket API ------------------------------------------------------------------------------------------

METHODS = {row.websocket: row for row in (*ALL_ROWS, *WEBSOCKET_ROWS) if row.websocket}
EACH_METHOD = pytest.mark.parametrize("name", METHODS)
#: Only whoever is logged on may ask this; its cells are those of the logged on.
BY_LOGON_ALONE = ("userDataStream.subscribe",)


def method_line(name: str) -> Documented:
    row = METHODS[name]
    if row.method != "WS":
        return line_of(row)
    line = WEBSOCKET_MATRIX.get(name)
    if line is None:
        pytest.fail(f"{name} is served, but WEBSOCKET_MATRIX in tests/permission_table.py has no line for it")
    return line


def expected_of_method(line: Documented) -> dict[str, str]:
    """As of a route, except that who sends no key is told so first: it is a parameter like the others."""
    return expected(line) | {"nobody": ADMITTED if line.security == "NONE" else "no key"}


class Methods:
    """The same desk, asked over one connection of the WebSocket API; the calls of a line go out at once."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.caller = WebsocketCaller(desk.venue.url)

    def observe(self, name: str, line: Documented, key_type: str) -> dict[str, str]:
        keys = self.desk.keys
        everything = keys[key_type, "everything"]
        alone = line.parameters | {"apiKey": everything.api_key}
        requests = {"nobody": dict(line.parameters), "the key alone": alone}
        for cell in (*GRANTS, "everything but reading"):
            key = keys[key_type, cell]
            requests[cell] = (
                signed(key, line.parameters) if line.security in SIGNED else alone | {"apiKey": key.api_key}
            )
        cells = dict(zip(requests, self._made_of(name, requests.values()), strict=True))
        late = signed(everything, line.parameters | {"recvWindow": "5000"}) if line.security in SIGNED else alone
        with self.desk.held_up():
            (cells["held up on its way"],) = self._made_of(name, [late])
        return cells

    def observe_logged_on(self, name: str, line: Documented) -> dict[str, str]:
        """By whoever is logged on, with a key of each grant; only Ed25519 keys can be."""
        timely = {"timestamp": int(time.time() * 1000), "recvWindow": 60_000} if line.security in SIGNED else {}
        cells = {}
        for cell in (*GRANTS, "everything but reading"):
            key = self.desk.keys["ed25519", cell]
            if cell == "everything but reading":
                continue  # it cannot log on
            logon, made, _ = self.caller.ask_all(
                [("session.logon", signed(key)), (name, line.parameters | timely), ("session.logout", {})]
            )
            assert logon.status == 200
            cells[cell] = method_outcome(made)
        return cells

    def _made_of(self, name: str, requests: Iterable[Mapping[str, Any]]) -> list[str]:
        made = [method_outcome(reply) for reply in self.caller.ask_all((name, one) for one in requests)]
        if name.startswith(("userDataStream.subscribe", "session.log")):
            self.caller.ask_all([("session.logout", {}), ("userDataStream.unsubscribe", {})])
        return made


def method_outcome(reply: Reply) -> str:
    if reply.code == -1102 and "'apiKey'" in reply.body["msg"]:
        return "no key"
    return outcome(Answer(reply.status, reply.body, {}))


@pytest.fixture(scope="module")
def methods(desk: Desk) -> Iterator[Methods]:
    one = Methods(desk)
    yield one
    one.caller.close()


@EACH_METHOD
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_method_lets_in_exactly_whom_the_documents_let_in(methods: Methods, name: str, key_type: str) -> None:
    line = method_line(name)
    if name in BY_LOGON_ALONE:
        cells = methods.observe(name, line, key_type)
        assert set(cells.values()) == {"no key"}
    else:
        assert methods.observe(name, line, key_type) == expected_of_method(line)


@EACH_METHOD
def test_a_method_lets_in_whoever_is_logged_on_as_the_documents_say(methods: Methods, name: str) -> None:
    line = method_line(name)
    if METHODS[name].twin.asks == "signature":
        assert set(methods.observe_logged_on(name, line).values()) == {"no key"}
        return
    cells = expected(line)
    assert methods.observe_logged_on(name, line) == {cell: cells[cell] for cell in GRANTS}


@EACH_METHOD
def test_a_flipped_row_is_noticed_over_the_websocket_api(methods: Methods, name: str) -> None:
    row, line = METHODS[name], method_line(name)
    served = methods.desk.venue._running._websocket_api.methods
    original = served[name]
    weight = load_weights("classic")[row.method, row.path]
    cells = expected(line) if name in BY_LOGON_ALONE else expected_of_method(line)
    unnoticed = []
    try:
        for other in flips(row):
            assert other.security is not None
            if {other.security, row.security} == {Security.USER_STREAM, Security.MARKET_DATA}:
                continue
            served[name] = Method(other, weight, strict=False)
            seen = (
                methods.observe_logged_on(name, line) if name in BY_LOGON_ALONE else methods.observe(name, line, "hmac")
            )
            if all(cells[cell] == made for cell, made in seen.items()):
                unnoticed.append((other.security, other.permission))
    finally:
        served[name] = original
    assert unnoticed == []


def test_the_matrix_has_every_method_that_has_no_route() -> None:
    assert set(WEBSOCKET_MATRIX) == {row.websocket for row in WEBSOCKET_ROWS}


# --- streams -------------------------------------------------------------------------------------------------------


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


def test_the_websocket_apis_of_futures_are_not_served_yet_and_say_so(desk: Desk) -> None:
    """The day they are, this fails: then they are a transport of the matrix above, too."""
    for path in ("/ws-fapi/v1", "/ws-dapi/v1"):
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(f"ws{desk.venue.url.removeprefix('http')}{path}", proxy=None),
        ):
            pass
        assert refused.value.response.status_code in (404, 501)
