"""Whatever is wrong with a key, a stranger sees one answer: the same status, the same bytes, the same headers."""

from __future__ import annotations

import http.client
import itertools
import time
import urllib.parse

import pytest

from tests.signing import Caller, sign
from tests.venue import EVERYTHING, Credentials, Venue

#: Each call from an address of its own, so that what an address used of its limits is the same in every answer.
_strangers = (f"127.7.{high}.{low}" for high, low in itertools.product(range(256), range(1, 255)))

Seen = tuple[int, tuple[tuple[str, str], ...], bytes]


def seen(venue: Venue, key: Credentials, method: str, path: str, *, source_ip: str = "", **parameters: str) -> Seen:
    """All that the caller gets, apart from the time of day."""
    address = urllib.parse.urlsplit(venue.url)
    assert address.hostname
    connection = http.client.HTTPConnection(
        address.hostname, address.port, source_address=(source_ip or next(_strangers), 0), timeout=20
    )
    pairs = {"timestamp": str(int(time.time() * 1000)), "recvWindow": "60000"} | parameters
    text = urllib.parse.urlencode(pairs)
    text += f"&signature={sign(key, text)}"
    try:
        connection.request(method, f"{path}?{text}", headers={"X-MBX-APIKEY": key.api_key})
        reply = connection.getresponse()
        headers = tuple((name, value) for name, value in reply.getheaders() if name.lower() != "date")
        return reply.status, headers, reply.read()
    finally:
        connection.close()


ROUTES = [
    ("GET", "/api/v3/account"),
    ("GET", "/api/v3/openOrders"),
    ("DELETE", "/api/v3/openOrders"),
    ("POST", "/api/v3/userDataStream"),
    ("GET", "/sapi/v1/account/apiRestrictions"),
    ("GET", "/sapi/v1/capital/config/getall"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_stranger_cannot_tell_why_a_key_is_refused(lenient_venue: Venue, method: str, path: str) -> None:
    email = lenient_venue.account()
    listed = lenient_venue.key(email=email, ips=["127.0.0.1"])
    deleted = lenient_venue.key(email=email, ips=["127.0.0.1"])
    lenient_venue.delete_key(deleted)
    dead = lenient_venue.key(email=email, ips=[])
    lenient_venue.clock.advance("91d")
    nobody = Credentials("U" * 64, "s" * 64, "", "")
    forged = listed._replace(secret="x" * 64)
    symbol = {"symbol": "BTCUSDT"} if "openOrders" in path else {}
    answers = {
        "unknown": seen(lenient_venue, nobody, method, path, **symbol),
        "foreign": seen(lenient_venue, listed, method, path, **symbol),
        "foreign and forged": seen(lenient_venue, forged, method, path, **symbol),
        "foreign and late": seen(lenient_venue, listed, method, path, timestamp="1600000000000", **symbol),
        "unknown and late": seen(lenient_venue, nobody, method, path, timestamp="1600000000000", **symbol),
        "deleted": seen(lenient_venue, deleted, method, path, **symbol),
        "expired": seen(lenient_venue, dead, method, path, **symbol),
        "expired and forged": seen(lenient_venue, dead._replace(secret="x" * 64), method, path, **symbol),
    }
    assert {name for name, answer in answers.items() if answer != answers["unknown"]} == set()
    status, _, body = answers["unknown"]
    assert (status, body) == (401, b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}')
    # The log tells them apart.
    reasons = [row["reason"] for row in lenient_venue.calls(limit=len(answers))]
    assert reasons == [
        "key-unknown",
        "ip-foreign",
        "ip-foreign",
        "ip-foreign",
        "key-unknown",
        "key-deleted",
        "key-expired",
        "key-expired",
    ]


@pytest.mark.parametrize("key_type", ["hmac", "rsa", "ed25519"])
def test_a_stranger_cannot_tell_the_type_of_a_key(lenient_venue: Venue, key_type: str) -> None:
    key = lenient_venue.key(key_type, ips=["127.0.0.1"])
    nobody = key._replace(api_key="U" * 64)
    assert seen(lenient_venue, key, "GET", "/api/v3/account") == seen(lenient_venue, nobody, "GET", "/api/v3/account")


def test_a_missing_permission_looks_like_no_key_at_all(lenient_venue: Venue) -> None:
    reader = lenient_venue.key(permissions=["reading"])
    nobody = Credentials("U" * 64, "s" * 64, "", "")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    for path in ("/api/v3/order", "/api/v3/order/test"):
        assert seen(lenient_venue, reader, "POST", path, **order) == seen(lenient_venue, nobody, "POST", path, **order)


def test_keys_of_an_account_that_lost_its_rights_look_like_no_keys(lenient_venue: Venue) -> None:
    """Whatever has all permissions and is refused is refused alike, also on routes that need none of them."""
    key = lenient_venue.key(permissions=EVERYTHING, ips=["127.0.0.9"])
    nobody = key._replace(api_key="U" * 64)
    for method, path in ROUTES[:2]:
        assert seen(lenient_venue, key, method, path) == seen(lenient_venue, nobody, method, path)


def test_foreign_calls_cannot_use_up_what_belongs_to_the_account(lenient_venue: Venue) -> None:
    """An API key is no secret: whoever knows it must not be able to spend the owner's order count or weight."""
    owner = lenient_venue.key(ips=["127.0.0.1"], fund={"USDT": "1000"})
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "9"}
    for number in range(150):
        forged = owner._replace(secret="x" * 64)
        source_ip = "127.0.0.1" if number % 2 else ""
        assert seen(lenient_venue, forged, "POST", "/api/v3/order", source_ip=source_ip, **order)[0] in (400, 401)
    answer = Caller(lenient_venue.url, owner).limit_order()
    assert answer.status == 200
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "1"
