"""What a signature covers, how long it is good for, and what a captured call is worth to whoever captured it."""

from __future__ import annotations

import http.client
import time
import urllib.parse
from typing import Any

import pytest

from tests.contract.test_permission_matrix import HeldUp
from tests.signing import Caller, sign
from tests.venue import Credentials, Venue

KEY_TYPES = ("hmac", "rsa", "ed25519")
ORDER = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=20000&newClientOrderId="


class Wire:
    """Sends bytes as they are, on one connection."""

    def __init__(self, venue: Venue, key: Credentials) -> None:
        address = urllib.parse.urlsplit(venue.url)
        assert address.hostname
        self.key = key
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)

    def __call__(self, method: str, path: str, query: str = "", body: str = "", key: str = "") -> tuple[int, int]:
        """Status and code (0 for a success)."""
        headers = {"X-MBX-APIKEY": key or self.key.api_key}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        target = f"{path}?{query}" if query else path
        self._connection.request(method, target, body.encode("latin-1") if body else None, headers)
        reply = self._connection.getresponse()
        text = reply.read().decode()
        code = int(text.partition('"code":')[2].partition(",")[0]) if text.startswith('{"code":') else 0
        return reply.status, code

    def __del__(self) -> None:
        self._connection.close()


def stamped(text: str, offset_ms: float = 0, window: str = "60000") -> str:
    return f"{text}&recvWindow={window}&timestamp={int(time.time() * 1000 + offset_ms)}"


def with_signature(key: Credentials, payload: str) -> str:
    return f"{payload}&signature={sign(key, payload)}"


@pytest.fixture(scope="module")
def keys(lenient_venue: Venue) -> dict[str, Credentials]:
    """One of each type, of one account."""
    email = lenient_venue.account(fund={"USDT": "1000000"})
    return {key_type: lenient_venue.key(key_type, email=email) for key_type in KEY_TYPES}


# --- what is signed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_body", [False, True], ids=["query", "body"])
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_call_with_any_one_byte_changed_is_refused(lenient_venue: Venue, key_type: str, in_body: bool) -> None:
    """Every position of query or body, timestamp and signature included."""
    key = lenient_venue.key(key_type, fund={"USDT": "1000000"})
    wire = Wire(lenient_venue, key)
    orders = Caller(lenient_venue.url, key)
    right = with_signature(key, stamped(ORDER + "one"))

    def send(text: str) -> tuple[int, int]:
        return wire("POST", "/api/v3/order", body=text) if in_body else wire("POST", "/api/v3/order", query=text)

    for place, character in enumerate(right):
        changed = right[:place] + ("0" if character != "0" else "1") + right[place + 1 :]
        status, code = send(changed)
        assert status in (400, 401), (place, changed)
        assert code < 0
    assert orders("GET", "/api/v3/openOrders").body == []
    assert send(right) == (200, 0)


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_what_one_key_signed_no_other_key_sends(
    lenient_venue: Venue, keys: dict[str, Credentials], key_type: str
) -> None:
    key = keys[key_type]
    wire = Wire(lenient_venue, key)
    text = with_signature(key, stamped("omitZeroBalances=true"))
    for other_type in KEY_TYPES:
        other = lenient_venue.key(other_type, email=key.email)
        assert wire("GET", "/api/v3/account", query=text, key=other.api_key) == (400, -1022)
    assert wire("GET", "/api/v3/account", query=text) == (200, 0)


def test_method_host_and_path_are_not_part_of_what_is_signed(lenient_venue: Venue) -> None:
    """As Binance documents it ("SIGNED endpoint security": query string and body): so the two sides agree on it, and
    a signed query is good for every endpoint that takes those parameters, within its window."""
    key = lenient_venue.key(fund={"USDT": "1000000"})
    wire = Wire(lenient_venue, key)
    text = with_signature(key, stamped(ORDER + "elsewhere"))
    assert wire("POST", "/api/v3/order/test", query=text) == (200, 0)
    assert wire("POST", "/api/v3/order", query=text) == (200, 0)
    # An endpoint that does not take them refuses them, signed or not.
    assert wire("GET", "/api/v3/account", query=text)[0] == 400


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_signer_and_verifier_mean_the_bytes_as_sent(
    lenient_venue: Venue, keys: dict[str, Credentials], key_type: str
) -> None:
    """`+` and `%20`, escapes in either case, what needs no escape escaped: each is good as signed, and only so."""
    key = keys[key_type]
    wire = Wire(lenient_venue, key)
    spellings = ["symbol=BTCUSDT", "symbol=%42TCUSDT", "symbol=BTC%55SDT"]
    for signed in spellings:
        payload = stamped(signed)
        for sent in spellings:
            text = payload.replace(signed, sent) + f"&signature={sign(key, payload)}"
            assert wire("GET", "/api/v3/openOrders", query=text) == ((200, 0) if sent == signed else (400, -1022))


# --- which key decides how -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", KEY_TYPES)
@pytest.mark.parametrize("other_type", KEY_TYPES)
def test_a_key_takes_signatures_of_its_own_only(
    lenient_venue: Venue, keys: dict[str, Credentials], key_type: str, other_type: str
) -> None:
    key = keys[key_type]
    other = lenient_venue.key(other_type, email=key.email)
    payload = stamped("omitZeroBalances=true")
    text = f"{payload}&signature={sign(other, payload)}"
    assert Wire(lenient_venue, key)("GET", "/api/v3/account", query=text) == (400, -1022)


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timestamp", "window", "code"),
    [
        ("{now}", "60000", 0),
        ("{now}", "5000", 0),
        ("{now}", "60000.001", -1102),
        ("{now}", "60001", -1102),
        ("{now}", "99999999999999999999", -1102),
        ("{now}", "-1", -1100),
        ("{now}", "NaN", -1100),
        ("{now}", "1e309", -1100),
        ("{now}", "5000.0001", -1100),
        ("{now}", "٥", -1100),
        ("{ahead_900ms}", "60000", 0),
        ("{ahead_90s}", "60000", -1021),
        ("{behind_50s}", "60000", 0),
        ("{behind_50s}", "40000", -1021),
        ("{behind_90s}", "60000", -1021),
        ("{seconds}", "60000", -1021),
        ("{microseconds}", "60000", 0),
        ("{nanoseconds}", "60000", -1021),
        ("0", "60000", -1021),
        ("-1", "60000", -1100),
        ("-{now}", "60000", -1100),
        ("+{now}", "60000", -1100),
        (" {now}", "60000", -1100),
        ("{now}.0", "60000", -1100),
        ("NaN", "60000", -1100),
        ("Infinity", "60000", -1100),
        ("1e309", "60000", -1100),
        ("1_700_000_000_000", "60000", -1100),
        ("0x18bcfe56800", "60000", -1100),
        ("１７０００００００００００", "60000", -1100),
        ("9" * 5_000, "60000", -1100),
        ("", "60000", -1102),
        (None, "60000", -1102),
    ],
)
def test_a_time_that_is_none_or_another_is_told_apart(
    lenient_venue: Venue, keys: dict[str, Credentials], timestamp: str | None, window: str, code: int
) -> None:
    """Signed in order, so that it is the time alone that is refused."""
    key = keys["hmac"]
    now_ms = int(time.time() * 1000)
    values = {
        "now": now_ms,
        "ahead_900ms": now_ms + 900,
        "ahead_90s": now_ms + 90_000,
        "behind_50s": now_ms - 50_000,
        "behind_90s": now_ms - 90_000,
        "seconds": now_ms // 1000,
        "microseconds": now_ms * 1000,
        "nanoseconds": now_ms * 1_000_000,
    }
    pairs = {"recvWindow": window}
    if timestamp is not None:
        pairs["timestamp"] = timestamp.format(**values)
    text = with_signature(key, urllib.parse.urlencode(pairs))
    status, answered = Wire(lenient_venue, key)("GET", "/api/v3/account", query=text)
    assert (answered, status) == (code, 400 if code else 200)


def test_an_order_that_was_held_up_past_its_window_never_reaches_the_book(lenient_venue: Venue) -> None:
    """The clock is read again just before the engine (Binance, "Timing security")."""
    key = lenient_venue.key(fund={"USDT": "1000000"})
    wire = Wire(lenient_venue, key)
    application = lenient_venue._running._application
    clocks: Any = application._clocks
    application._clocks = HeldUp(clocks)
    try:
        assert wire("POST", "/api/v3/order", query=with_signature(key, stamped(ORDER + "late", window="5000"))) == (
            400,
            -1021,
        )
    finally:
        application._clocks = clocks
    assert Caller(lenient_venue.url, key)("GET", "/api/v3/openOrders").body == []


# --- again -----------------------------------------------------------------------------------------------------------


def test_a_replayed_call_is_what_binance_makes_of_it_and_no_second_order_with_the_same_id(lenient_venue: Venue) -> None:
    """Binance has no nonce: within its window the same bytes are the same call again. What protects an order is its
    client order id, and what protects everything is the window."""
    key = lenient_venue.key(fund={"USDT": "1000000"})
    wire = Wire(lenient_venue, key)
    orders = Caller(lenient_venue.url, key)
    placed = with_signature(key, stamped(ORDER + "once"))
    assert wire("POST", "/api/v3/order", query=placed) == (200, 0)
    assert wire("POST", "/api/v3/order", query=placed) == (400, -2010)
    assert len(orders("GET", "/api/v3/openOrders").body) == 1
    cancelled = with_signature(key, stamped("symbol=BTCUSDT&origClientOrderId=once"))
    assert wire("DELETE", "/api/v3/order", query=cancelled) == (200, 0)
    assert wire("DELETE", "/api/v3/order", query=cancelled) == (400, -2011)
    old = with_signature(key, stamped(ORDER + "old", offset_ms=-61_000))
    assert wire("POST", "/api/v3/order", query=old) == (400, -1021)
    assert orders("GET", "/api/v3/openOrders").body == []
