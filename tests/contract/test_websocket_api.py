"""The WebSocket API over a socket: envelope, signatures, sessions, limits, and user data on the same connection.

Texts and shapes come from Binance's documentation ("WebSocket API", "User data streams") and from what clients
have reported of the live service; who may call what is tried in `test_permission_matrix`.
"""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.signing import Caller, sign
from tests.venue import Credentials, Venue
from tests.websocket_caller import WebsocketCaller, signed

FUNDS = {"USDT": "1000000", "BTC": "10"}
ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "20000.00",
}
_ID_TEXT = "Invalid 'id' in JSON request; expected an integer, a string matching '^[a-zA-Z0-9-_]{1,36}$', or null."
KEY_REFUSED = {
    "id": None,
    "status": 401,
    "error": {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    one = Venue(tmp_path_factory.mktemp("venue") / "data", profile="off")
    yield one
    one.stop()


@pytest.fixture(scope="module")
def key(venue: Venue) -> Credentials:
    return venue.key(fund=FUNDS)


@pytest.fixture(scope="module")
def ed25519(venue: Venue) -> Credentials:
    return venue.key("ed25519", fund=FUNDS)


@pytest.fixture
def caller(venue: Venue) -> Iterator[WebsocketCaller]:
    one = WebsocketCaller(venue.url)
    yield one
    one.close()


def now_ms() -> int:
    return int(time.time() * 1000)


# --- the envelope ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "id", [1, 0, -7, 2**63 - 1, "1", "e2a85d9f-07a5-4f94-8d5f-789dc3deb097", "a_b", None], ids=repr
)
def test_an_id_is_echoed_in_its_json_type(caller: WebsocketCaller, id: Any) -> None:
    reply = caller.say(json.dumps({"id": id, "method": "ping"}))
    assert reply["id"] == id and type(reply["id"]) is type(id)
    assert (reply["status"], reply["result"]) == (200, {})


@pytest.mark.parametrize("id", ["1.5", '""', '"a b"', f'"{"x" * 37}"', "true", "[1]", "{}", "9223372036854775808"])
def test_an_id_of_another_kind_is_refused_without_one(caller: WebsocketCaller, id: str) -> None:
    assert caller.say(f'{{"id":{id},"method":"ping"}}') == {
        "id": None,
        "status": 400,
        "error": {"code": -1135, "msg": _ID_TEXT},
    }


@pytest.mark.parametrize(
    ("text", "id", "message"),
    [
        ("", None, "Invalid JSON Request"),
        ("{", None, "Invalid JSON Request"),
        ("[1]", None, "Invalid JSON Request"),
        ('"ping"', None, "Invalid JSON Request"),
        ('{"id":1,"method":"ping"} x', None, "Invalid JSON Request"),
        ("[" * 5000, None, "Invalid JSON Request"),
        (f'{{"id":{"9" * 5000},"method":"ping"}}', None, _ID_TEXT),
        ('{"method":"ping"}', None, _ID_TEXT),
        ('{"id":5}', 5, "Invalid 'method' in JSON request; expected a string."),
        ('{"id":5,"method":7}', 5, "Invalid 'method' in JSON request; expected a string."),
        ('{"id":5,"method":"ping","params":[]}', 5, "Invalid 'params' in JSON request; expected an object."),
        ('{"id":"a","method":"ping","params":"x"}', "a", "Invalid 'params' in JSON request; expected an object."),
        ('{"id":5,"method":"ping","params":null}', 5, "Invalid 'params' in JSON request; expected an object."),
    ],
)
def test_a_frame_that_is_no_request_is_told_what_is_wrong(
    caller: WebsocketCaller, text: str, id: int | str | None, message: str
) -> None:
    assert caller.say(text) == {"id": id, "status": 400, "error": {"code": -1135, "msg": message}}
    assert caller("ping").status == 200


def test_frame_after_frame_that_is_no_request_ends_the_connection(caller: WebsocketCaller) -> None:
    for _ in range(9):
        caller.say("nonsense")
    assert caller("ping").status == 200  # they are counted in a row
    for _ in range(10):
        caller.say("nonsense")
    with pytest.raises(ConnectionClosed) as closed:
        caller.hear()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "disconnected")


def test_a_method_may_carry_the_version_and_one_that_nobody_serves_is_refused(caller: WebsocketCaller) -> None:
    assert caller("v3/time").body.keys() == {"serverTime"}
    for name in ("order.Place", "v1/time", "v3/v3/time", "", "GET /api/v3/time", "session"):
        assert (caller(name).status, caller(name).code) == (404, -1020)


def test_replies_are_matched_by_id_however_many_are_asked_at_once(caller: WebsocketCaller, key: Credentials) -> None:
    """More than are heard in one go, and more than may be in flight, mixed of those that wait for a commit and those
    that do not."""
    requests: list[tuple[str, dict[str, Any]]] = []
    for number in range(150):
        requests.append(("order.place", signed(key, ORDER | {"newClientOrderId": f"many-{number}"})))
        requests.append(("ping", {}))
    replies = caller.ask_all(requests)
    assert [one.body["clientOrderId"] for one in replies[::2]] == [f"many-{number}" for number in range(150)]
    assert {one.status for one in replies} == {200}
    cancelled = caller("openOrders.cancelAll", {"symbol": "BTCUSDT"}, key)
    assert len(cancelled.body) == 150


def test_the_same_id_twice_in_flight_is_answered_twice(caller: WebsocketCaller) -> None:
    caller.socket.send('{"id":1,"method":"ping"}')
    assert caller.say('{"id":1,"method":"time"}')["id"] == 1
    assert caller.hear()["id"] == 1


def test_a_request_may_come_in_pieces(venue: Venue, caller: WebsocketCaller) -> None:
    def pieces() -> Iterator[str]:
        yield '{"id":1,'
        yield '"method":'
        yield '"ping"}'

    caller.socket.send(pieces())
    assert caller.hear()["result"] == {}


def test_binary_frames_end_the_connection(caller: WebsocketCaller) -> None:
    caller.socket.send(b'{"id":1,"method":"ping"}')
    with pytest.raises(ConnectionClosed) as closed:
        caller.hear()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1003


# --- parameters ------------------------------------------------------------------------------------------------------


def test_numbers_may_be_numbers_and_arrays_may_be_text(caller: WebsocketCaller, key: Credentials) -> None:
    for limit in (1, "1"):
        assert len(caller("trades.recent", {"symbol": "BTCUSDT", "limit": limit}).body) <= 1
    for symbols in (["BTCUSDT", "ETHUSDT"], '["BTCUSDT","ETHUSDT"]'):
        listed = caller("exchangeInfo", {"symbols": symbols, "showPermissionSets": False}).body["symbols"]
        assert [one["symbol"] for one in listed] == ["BTCUSDT", "ETHUSDT"]
        assert listed[0]["permissionSets"] == []
    assert caller("exchangeInfo", {"permissions": "SPOT", "showPermissionSets": "False"}).status == 200
    for quantity in (0.001, "0.001", "0.00100000"):
        assert caller("order.test", ORDER | {"quantity": quantity}, key).status == 200
    assert caller("account.status", {"omitZeroBalances": "true"}, key).status == 200


@pytest.mark.parametrize(
    ("method", "parameters", "code", "message"),
    [
        ("depth", {}, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ("depth", {"symbol": None}, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ("depth", {"symbol": "BTCUSDT", "limit": ""}, -1105, "Parameter 'limit' was empty."),
        ("depth", {"symbol": "NONE"}, -1121, "Invalid symbol."),
        ("depth", {"symbol": "BTCUSDT&limit=5"}, -1100, None),
        ("depth", {"symbol=BTCUSDT": ""}, -1102, None),
        ("depth", {"symbol": "BTCUSDT", "limit": 1.5}, -1100, None),
        ("depth", {"symbol": "BTCUSDT", "limit": {"a": 1}}, -1100, None),
        ("depth", {"symbol": ["BTCUSDT"]}, -1100, None),
        ("depth", {"symbol": "BTCUSDT", "more": 1}, -1104, None),
        ("ping", {"more": 1}, -1101, "Too many parameters; expected '0' and received '1'."),
        ("exchangeInfo", {"symbols": [1, 2]}, -1100, None),
        ("exchangeInfo", {"permissions": [1, 2]}, -1135, "JSON sent for parameter 'permissions' is not valid"),
        ("time", {"returnRateLimits": "perhaps"}, -1130, "Data sent for parameter 'returnRateLimits' is not valid."),
        ("klines", {"symbol": "BTCUSDT", "interval": "2m"}, -1120, "Invalid interval."),
    ],
)
def test_bad_parameters_are_refused_as_on_the_routes(
    caller: WebsocketCaller, method: str, parameters: dict[str, Any], code: int, message: str | None
) -> None:
    reply = caller(method, parameters)
    assert (reply.status, reply.code) == (400, code), reply
    assert message is None or reply.body["msg"] == message


def test_public_methods_tolerate_what_clients_send_to_signed_ones(caller: WebsocketCaller, key: Credentials) -> None:
    """ccxt signs public methods; the documents say that an apiKey there does not count."""
    assert caller("depth", {"symbol": "BTCUSDT"}, key).status == 200
    assert caller("ping", {"apiKey": "nobody's", "signature": "none"}).status == 200


def test_times_come_in_microseconds_to_a_connection_that_wants_them(venue: Venue) -> None:
    with_unit = WebsocketCaller(venue.url, "?timeUnit=MICROSECOND")
    assert with_unit("time").body["serverTime"] > 10**15
    assert WebsocketCaller(venue.url, "?timeUnit=millisecond")("time").body["serverTime"] < 10**14


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?timeUnit=NANOSECOND", -1194),
        ("?responseFormat=sbe&sbeSchemaId=3&sbeSchemaVersion=0", -1155),
        ("?responseFormat=xml", -1130),
        ("?returnRateLimits=perhaps", -1130),
    ],
)
def test_a_connection_that_asks_for_what_there_is_not_is_refused_with_a_body(
    venue: Venue, query: str, code: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        WebsocketCaller(venue.url, query)
    response = refused.value.response
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert json.loads(response.body)["code"] == code


# --- signatures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", ["hmac", "rsa", "ed25519"])
def test_requests_are_signed_with_keys_of_each_type(venue: Venue, caller: WebsocketCaller, key_type: str) -> None:
    credentials = venue.key(key_type, fund=FUNDS)
    placed = caller("order.place", ORDER, credentials)
    assert placed.status == 200
    # A state change seen through another route.
    found = Caller(venue.url, credentials)(
        "GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": placed.body["orderId"]}
    )
    assert found.body["clientOrderId"] == placed.body["clientOrderId"]


def test_a_wrong_signature_and_a_late_request_are_refused(caller: WebsocketCaller, key: Credentials) -> None:
    good = signed(key, ORDER)
    for name, value in (("price", "20000.01"), ("signature", "0" * 64), ("recvWindow", 59_999), ("apiKey", "K" * 64)):
        (reply,) = caller.ask_all([("order.place", good | {name: value})])
        assert (reply.status, reply.code) == ((401, -2015) if name == "apiKey" else (400, -1022))
    assert caller("order.place", ORDER | {"timestamp": now_ms() - 70_000}, key).code == -1021
    assert caller("order.place", ORDER | {"timestamp": now_ms() + 5_000}, key).code == -1021
    assert caller("order.place", ORDER | {"recvWindow": 60_001}, key).code == -1102
    missing = {name: value for name, value in good.items() if name != "timestamp"}
    (reply,) = caller.ask_all([("order.place", missing)])
    assert reply.body["msg"] == "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed."
    (reply,) = caller.ask_all([("order.place", good | {"apiKey": "short"})])
    assert (reply.status, reply.code) == (401, -2014)


def test_values_are_signed_as_they_are_and_the_official_connectors_spelling_counts_too(
    caller: WebsocketCaller, key: Credentials
) -> None:
    """The connector signs what `urlencode` makes; only reserved characters tell the two apart."""
    for spell in (lambda text: text, urllib.parse.quote_plus):
        pairs = {"apiKey": key.api_key, "symbol": "ＢＴＣ＆ ＵＳＤＴ", "timestamp": now_ms()}
        payload = "&".join(f"{name}={spell(str(value))}" for name, value in sorted(pairs.items()))
        (reply,) = caller.ask_all([("myTrades", pairs | {"signature": sign(key, payload)})])
        assert reply.code in (-1100, -1121), reply  # the signature was right: the symbol is not
        pairs["symbol"] = "１２３４５６"
        payload = "&".join(f"{name}={spell(str(value))}" for name, value in sorted(pairs.items()))
        (reply,) = caller.ask_all([("myTrades", pairs | {"signature": sign(key, payload)})])
        assert reply.code == -1121, reply


# --- sessions --------------------------------------------------------------------------------------------------------


def test_whoever_logged_on_signs_nothing_more_but_says_when(caller: WebsocketCaller, ed25519: Credentials) -> None:
    before = caller("session.status").body
    assert before["apiKey"] is None and before["authorizedSince"] is None and before["userDataStream"] is False
    session = caller("session.logon", None, ed25519).body
    assert list(session) == [
        "apiKey",
        "authorizedSince",
        "connectedSince",
        "returnRateLimits",
        "serverTime",
        "userDataStream",
    ]
    assert session["apiKey"] == ed25519.api_key
    assert before["connectedSince"] == session["connectedSince"] <= session["authorizedSince"] <= session["serverTime"]
    placed = caller("order.place", ORDER | {"timestamp": now_ms()})
    assert placed.status == 200
    assert caller("order.place", ORDER).code == -1102
    assert caller("order.place", ORDER | {"timestamp": now_ms() - 60_000}).code == -1021
    status = {"symbol": "BTCUSDT", "orderId": placed.body["orderId"], "timestamp": now_ms()}
    assert caller("order.status", status).body["status"] == "NEW"
    assert caller("session.logout").body["apiKey"] is None
    assert (caller("order.status", status).status, caller("order.status", status).code) == (400, -1102)
    assert caller("session.logout").status == 200


@pytest.mark.parametrize(("key_type", "name"), [("hmac", "HMAC_SHA256"), ("rsa", "RSA")])
def test_only_ed25519_keys_log_on(venue: Venue, caller: WebsocketCaller, key_type: str, name: str) -> None:
    credentials = venue.key(key_type)
    reply = caller("session.logon", None, credentials)
    assert (reply.status, reply.body) == (400, {"code": -4056, "msg": f"{name} API key is not supported."})
    assert caller("session.logon", None, credentials._replace(api_key="K" * 64)).code == -2015
    assert caller("session.status").body["apiKey"] is None


def test_a_request_that_signs_itself_is_its_signers_and_leaves_the_session_alone(
    caller: WebsocketCaller, key: Credentials, ed25519: Credentials
) -> None:
    caller("session.logon", None, ed25519)
    logged_on = caller("account.status", {"timestamp": now_ms()}).body["uid"]
    other = caller("account.status", None, key).body["uid"]
    assert other != logged_on
    assert caller("account.status", {"timestamp": now_ms(), "signature": "0" * 64}).code == -1102
    wrong = signed(key) | {"signature": "0" * 64}
    (reply,) = caller.ask_all([("account.status", wrong)])
    assert (reply.whole["id"] is not None, reply.code) == (True, -1022)
    assert caller("account.status", {"timestamp": now_ms()}).body["uid"] == logged_on


def test_a_second_logon_takes_the_place_of_the_first(venue: Venue, caller: WebsocketCaller) -> None:
    one, two = venue.key("ed25519"), venue.key("ed25519")
    caller("session.logon", None, one)
    assert caller("session.logon", None, two).body["apiKey"] == two.api_key
    assert caller("session.logon", None, two).status == 200


@pytest.mark.parametrize("request_", ["ping", "account.status", "session.status", "userDataStream.subscribe"])
def test_after_a_revocation_the_next_request_is_refused_without_an_id_and_nobody_is_logged_on(
    venue: Venue, caller: WebsocketCaller, request_: str
) -> None:
    credentials = venue.key("ed25519")
    caller("session.logon", None, credentials)
    venue.delete_key(credentials)
    timely = {"timestamp": now_ms()} if request_ == "account.status" else {}
    assert caller(request_, timely).whole == KEY_REFUSED
    assert caller("session.status").body["apiKey"] is None
    assert caller("ping").status == 200
    reasons = [call["reason"] for call in venue.calls(credentials)]
    assert reasons == ["", "key-deleted"]


def test_a_session_whose_key_lacks_a_permission_is_revoked_by_the_request_that_needs_it(
    venue: Venue, caller: WebsocketCaller
) -> None:
    caller("session.logon", None, venue.key("ed25519", permissions=("reading",), fund=FUNDS))
    assert caller("account.status", {"timestamp": now_ms()}).status == 200
    assert caller("order.place", ORDER | {"timestamp": now_ms()}).whole == KEY_REFUSED
    assert caller("session.status").body["apiKey"] is None


# --- limits ----------------------------------------------------------------------------------------------------------


def kinds(whole: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(item["rateLimitType"], item["interval"], item["intervalNum"]) for item in whole["rateLimits"]]


WEIGHT = ("REQUEST_WEIGHT", "MINUTE", 1)
ORDERS = [("ORDERS", "SECOND", 10), ("ORDERS", "DAY", 1)]


def test_replies_tell_the_limits_that_their_requests_counted_for(caller: WebsocketCaller, key: Credentials) -> None:
    assert list(caller("ping").whole) == ["id", "status", "result", "rateLimits"]
    first = caller("order.place", ORDER, key).whole
    assert kinds(first) == [*ORDERS, WEIGHT]
    assert [list(item) for item in first["rateLimits"]] == [
        ["rateLimitType", "interval", "intervalNum", "limit", "count"]
    ] * 3
    failed = caller("order.place", ORDER | {"quantity": "100"}, key)
    assert failed.code == -2010 and kinds(failed.whole) == [*ORDERS, WEIGHT]
    assert failed.whole["rateLimits"][-1]["count"] > first["rateLimits"][-1]["count"]
    for method, parameters in (
        ("order.test", ORDER),
        ("order.status", {"symbol": "BTCUSDT", "orderId": first["result"]["orderId"]}),
        ("order.cancel", {"symbol": "BTCUSDT", "orderId": first["result"]["orderId"]}),
        ("order.cancel", {"symbol": "BTCUSDT", "orderId": first["result"]["orderId"]}),
    ):
        assert kinds(caller(method, parameters, key).whole) == [WEIGHT]


def test_limits_are_hidden_by_connection_and_shown_by_request(
    venue: Venue, caller: WebsocketCaller, key: Credentials
) -> None:
    quiet = WebsocketCaller(venue.url, "?returnRateLimits=false")
    assert "rateLimits" not in quiet("ping").whole
    assert "rateLimits" in quiet("ping", {"returnRateLimits": True}).whole
    assert "rateLimits" in quiet("account.status", {"returnRateLimits": "true"}, key).whole
    assert quiet("session.status").body["returnRateLimits"] is False
    assert "rateLimits" not in caller("ping", {"returnRateLimits": False}).whole
    assert "rateLimits" not in caller("depth", {"returnRateLimits": "false"}).whole
    before = caller("ping").whole["rateLimits"][0]["count"]
    quiet("ping")
    assert caller("ping").whole["rateLimits"][0]["count"] == before + 2, "hidden limits count nevertheless"


def test_exchange_info_tells_of_connections_instead_of_raw_requests(caller: WebsocketCaller) -> None:
    listed = [
        (one["rateLimitType"], one["intervalNum"], one["interval"]) for one in caller("exchangeInfo").body["rateLimits"]
    ]
    assert listed == [
        ("REQUEST_WEIGHT", 1, "MINUTE"),
        ("ORDERS", 10, "SECOND"),
        ("ORDERS", 1, "DAY"),
        ("CONNECTIONS", 5, "MINUTE"),
    ]


def test_weight_is_shared_with_the_routes_and_a_connection_costs_two(venue: Venue) -> None:
    rest = Caller(venue.url)
    before = int(rest("GET", "/api/v3/ping", signed=False).headers["X-MBX-USED-WEIGHT-1M"])
    count = WebsocketCaller(venue.url)("ping").whole["rateLimits"][0]["count"]
    assert count == before + 3
    assert int(rest("GET", "/api/v3/ping", signed=False).headers["X-MBX-USED-WEIGHT-1M"]) == count + 1


def test_who_goes_over_a_limit_is_told_when_to_come_again_and_is_banned_and_closed_in_the_end(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    venue = Venue(tmp_path_factory.mktemp("classic") / "data", profile="classic")
    try:
        caller, idle = WebsocketCaller(venue.url), WebsocketCaller(venue.url)
        key = venue.key(fund=FUNDS)
        reply = caller("account.status", None, key)
        while reply.status == 200:
            reply = caller("account.status", None, key)
        assert (reply.status, reply.code) == (429, -1003)
        assert reply.body["msg"].startswith(
            "Too much request weight used; current limit is 1200 request weight per 1 M"
        )
        data = reply.body["data"]
        assert list(data) == ["serverTime", "retryAfter"]
        assert data["retryAfter"] % 60_000 == 0 and 0 < data["retryAfter"] - data["serverTime"] <= 60_000
        assert reply.whole["rateLimits"][0]["count"] > 1200
        with pytest.raises(InvalidStatus) as refused:
            WebsocketCaller(venue.url)
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["Retry-After"]) > 0
        while reply.status == 429:
            reply = caller("account.status", None, key)
        assert (reply.status, reply.code) == (418, -1003)
        until = reply.body["data"]["retryAfter"]
        assert f"IP banned until {until}." in reply.body["msg"]
        assert until - reply.body["data"]["serverTime"] == pytest.approx(120_000, abs=1_000)
        with pytest.raises(ConnectionClosed) as closed:
            caller.hear()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
        with pytest.raises(ConnectionClosed):
            idle.hear()  # within a second, with no request of its own
        with pytest.raises(InvalidStatus) as refused:
            WebsocketCaller(venue.url)
        assert refused.value.response.status_code == 418
    finally:
        venue.stop()


def test_too_many_orders_are_refused_until_their_window_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    venue = Venue(tmp_path_factory.mktemp("classic") / "data", profile="classic")
    try:
        caller = WebsocketCaller(venue.url)
        key = venue.key(fund=FUNDS)
        last = caller("order.place", ORDER, key)
        while last.status == 200:  # should the window end meanwhile, in the next one
            last = caller.ask_all([("order.place", signed(key, ORDER)) for _ in range(100)])[-1]
        assert last.body["msg"] == "Too many new orders; current limit is 100 orders per 10 SECOND."
        data = last.body["data"]
        assert data["retryAfter"] % 10_000 == 0 and 0 < data["retryAfter"] - data["serverTime"] <= 10_000
        assert last.whole["rateLimits"][0]["count"] >= 100
    finally:
        venue.stop()


# --- user data -------------------------------------------------------------------------------------------------------


def test_events_come_wrapped_behind_the_reply_that_caused_them(caller: WebsocketCaller, venue: Venue) -> None:
    credentials = venue.key(fund=FUNDS)
    assert caller("userDataStream.subscribe.signature", None, credentials).body == {"subscriptionId": 0}
    placed = caller("order.place", ORDER, credentials)
    report, position = caller.event(), caller.event()
    assert list(report) == ["subscriptionId", "event"] and report["subscriptionId"] == 0
    assert (report["event"]["e"], report["event"]["i"]) == ("executionReport", placed.body["orderId"])
    assert position["event"]["e"] == "outboundAccountPosition"
    venue.fund(credentials.email, USDT="5")
    assert [caller.event()["event"]["e"] for _ in range(1)] == ["balanceUpdate"]


def test_several_accounts_are_heard_on_one_connection_each_once(venue: Venue, caller: WebsocketCaller) -> None:
    one, two = venue.key(fund=FUNDS), venue.key("rsa", fund=FUNDS)
    for number, credentials in enumerate((one, two)):
        reply = caller("userDataStream.subscribe.signature", None, credentials)
        assert reply.body == {"subscriptionId": number}
        again = caller("userDataStream.subscribe.signature", None, credentials)
        assert (again.status, again.body) == (
            400,
            {"code": -2035, "msg": "User Data Stream subscription already active."},
        )
    assert caller("session.subscriptions").body == [{"subscriptionId": 0}, {"subscriptionId": 1}]
    for credentials in (one, two, one):
        Caller(venue.url, credentials).limit_order()
    heard = [caller.event() for _ in range(6)]
    assert [event["subscriptionId"] for event in heard] == [0, 0, 1, 1, 0, 0]
    assert caller("ping").status == 200 and not caller.events


def test_unsubscribing_ends_one_or_all_with_an_event_and_ids_are_not_used_again(
    venue: Venue, caller: WebsocketCaller
) -> None:
    keys = [venue.key(fund=FUNDS) for _ in range(3)]
    for credentials in keys:
        caller("userDataStream.subscribe.signature", None, credentials)
    inactive = {"code": -2036, "msg": "User Data Stream subscription not active."}
    assert caller("userDataStream.unsubscribe", {"subscriptionId": 7}).body == inactive
    assert caller("userDataStream.unsubscribe", {"subscriptionId": 1}).body == {}
    ended = caller.event()
    assert (ended["subscriptionId"], ended["event"]["e"]) == (1, "eventStreamTerminated")
    assert caller("userDataStream.unsubscribe", {"subscriptionId": "1"}).body == inactive
    assert caller("userDataStream.subscribe.signature", None, keys[1]).body == {"subscriptionId": 3}
    assert caller("userDataStream.unsubscribe").body == {}
    assert [caller.event()["subscriptionId"] for _ in range(3)] == [0, 2, 3]
    assert caller("userDataStream.unsubscribe").body == inactive
    assert caller("session.subscriptions").body == []
    Caller(venue.url, keys[0]).limit_order()
    assert caller("ping").status == 200 and not caller.events


def test_a_logout_ends_the_subscription_of_the_session_and_no_other(
    venue: Venue, caller: WebsocketCaller, ed25519: Credentials
) -> None:
    other = venue.key(fund=FUNDS)
    caller("userDataStream.subscribe.signature", None, other)
    caller("session.logon", None, ed25519)
    assert caller("userDataStream.subscribe").body == {"subscriptionId": 1}
    assert caller("userDataStream.subscribe").code == -2035
    assert caller("session.status").body["userDataStream"] is True
    assert caller("session.logout").body["userDataStream"] is True
    ended = caller.event()
    assert (ended["subscriptionId"], ended["event"]["e"]) == (1, "eventStreamTerminated")
    assert caller("session.subscriptions").body == [{"subscriptionId": 0}]


def test_a_key_that_ends_takes_its_subscriptions_along_and_its_receipt_says_when(
    venue: Venue, caller: WebsocketCaller
) -> None:
    email = venue.account(fund=FUNDS)
    gone, stays = venue.key(email=email), venue.key(fund=FUNDS)
    for credentials in (gone, stays):
        caller("userDataStream.subscribe.signature", None, credentials)
    venue.delete_key(gone)
    ended = caller.hear()  # at once, with no request
    assert (ended["subscriptionId"], ended["event"]["e"]) == (0, "eventStreamTerminated")
    assert caller("session.subscriptions").body == [{"subscriptionId": 1}]
    venue.fund(email, USDT="1")
    assert caller("ping").status == 200 and not caller.events
    (receipt,) = venue.ask("GET", f"/keys/{gone.api_key}/receipts")
    assert receipt["streamsClosed"] == 1


def test_a_connection_ends_with_the_server_after_what_was_accepted(tmp_path_factory: pytest.TempPathFactory) -> None:
    venue = Venue(tmp_path_factory.mktemp("short") / "data")
    caller = WebsocketCaller(venue.url)
    assert caller("ping").status == 200
    venue.stop()
    event = caller.hear()
    assert list(event) == ["event"] and event["event"]["e"] == "serverShutdown"
    with pytest.raises(ConnectionClosed) as closed:
        caller.hear()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001


# --- the calendar, and the log ---------------------------------------------------------------------------------------


def test_listen_keys_over_the_websocket_api_are_served_until_they_retired(
    caller: WebsocketCaller, key: Credentials, tmp_path_factory: pytest.TempPathFactory
) -> None:
    alone = {"apiKey": key.api_key}
    listen_key = caller("userDataStream.start", alone).body["listenKey"]
    assert caller("userDataStream.ping", alone | {"listenKey": listen_key}).body == {}
    assert caller("userDataStream.stop", alone | {"listenKey": listen_key}).body == {}
    assert caller("userDataStream.ping", alone | {"listenKey": listen_key}).code == -1125
    later = Venue(tmp_path_factory.mktemp("later") / "data", api_date="2026-02-20")
    try:
        assert WebsocketCaller(later.url)("userDataStream.start", alone).status == 404
    finally:
        later.stop()


def test_calls_are_logged_with_their_method_and_no_signature(venue: Venue, caller: WebsocketCaller) -> None:
    credentials = venue.key(fund=FUNDS)
    caller("order.place", ORDER, credentials)
    caller("order.place", ORDER | {"symbol": "NONE"}, credentials)
    first, second = venue.calls(credentials)
    assert (first["method"], first["path"], first["http"]) == ("WS", "/ws-api/v3/order.place", 200)
    assert (second["code"], second["reason"]) == (-1121, "symbol-unknown")


def test_an_array_may_be_spelled_with_blanks_here(caller: WebsocketCaller) -> None:
    """Over REST it may not; here it is JSON within JSON, as the documents' samples spell it."""
    asked = '{"id": 1, "method": "ticker.price", "params": {"symbols": ["BTCUSDT", "ETHUSDT"]}}'
    told = caller.say(asked)
    assert told["status"] == 200
    assert [row["symbol"] for row in told["result"]] == ["BTCUSDT", "ETHUSDT"]
