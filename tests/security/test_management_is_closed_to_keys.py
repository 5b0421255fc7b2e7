"""The management API takes the operator's token, or a holder's session, and nothing else: no API key, signed or not,
and no part of a token."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator, Mapping

import pytest

from tests.signing import sign
from tests.venue import Credentials, Venue

PREFIX = "/sparekey/v1"


def ask(venue: Venue, method: str, path: str, headers: Mapping[str, str], body: str = "") -> tuple[int, str]:
    address = urllib.parse.urlsplit(venue.url)
    assert address.hostname
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    try:
        connection.request(method, path, body or None, dict(headers))
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


#: What people ask for who cannot have a token yet.
OPEN_TO_ALL = {("POST", f"{PREFIX}/{path}") for path in ("sign-up", "sign-up/confirm", "session", "forgotten", "reset")}
REASONS = {"operatorToken": "operator-token-wrong", "sessionToken": "sign-in-required"}


def routes(venue: Venue) -> Iterator[tuple[str, str, str]]:
    """Method, path and kind of token ("": none) of every route there is, as the API describes itself."""
    status, text = ask(venue, "GET", f"{PREFIX}/openapi.json", {})
    assert status == 200
    for path, operations in json.loads(text)["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path, next(iter(operation.get("security", [{"": []}])[0]))


@pytest.fixture(scope="module")
def key(lenient_venue: Venue) -> Credentials:
    return lenient_venue.key()


def test_every_route_is_closed_without_the_token_whatever_else_is_sent(lenient_venue: Venue, key: Credentials) -> None:
    query = f"timestamp={int(time.time() * 1000)}&recvWindow=60000"
    signed = f"{query}&signature={sign(key, query)}"
    found = list(routes(lenient_venue))
    assert len(found) >= 10
    assert {(method, path) for method, path, kind in found if not kind} == OPEN_TO_ALL
    for method, path, kind in found:
        if not kind:
            continue
        filled = path.replace("{email}", urllib.parse.quote(key.email)).replace("{api_key}", key.api_key)
        filled = filled.replace("{number}", "1")
        for name in ("ip", "handle", "credential_id", "step_up_id"):
            filled = filled.replace(f"{{{name}}}", "127.0.0.1")
        assert "{" not in filled
        for headers in (
            {},
            {"X-MBX-APIKEY": key.api_key},
            {"Authorization": f"Bearer {key.api_key}"},
            {"Authorization": f"Bearer {key.secret}"},
            {"Authorization": f"Basic {key.api_key}"},
        ):
            for target in (filled, f"{filled}?{signed}"):
                status, text = ask(lenient_venue, method, target, headers)
                assert status == 401, (method, target, headers, text)
                assert json.loads(text)["error"]["reason"] == REASONS[kind]


def test_each_token_opens_its_own_routes_alone(lenient_venue: Venue) -> None:
    """The operator of a guarded server acts for nobody, so their token is nobody's session."""
    token = {"Authorization": f"Bearer {lenient_venue._running.operator_token}"}
    for method, path, kind in routes(lenient_venue):
        if kind == "sessionToken":
            assert ask(lenient_venue, method, path, token)[0] == 401, (method, path)


def test_nothing_but_the_whole_token_opens(lenient_venue: Venue) -> None:
    token = lenient_venue._running.operator_token
    assert len(token) >= 32
    right = {"Authorization": f"Bearer {token}"}
    assert ask(lenient_venue, "GET", f"{PREFIX}/clock", right)[0] == 200
    for wrong in (
        "",
        token,
        "Bearer",
        "Bearer ",
        f"Bearer {token[:-1]}",
        f"Bearer {token}x",
        f"Bearer {token} x",
        f"Bearer  {token}",
        f"Bearer {token.swapcase()}",
        f"Basic {token}",
        f"Token {token}",
        "Bearer é",
        "Bearer null",
    ):
        status, _ = ask(lenient_venue, "GET", f"{PREFIX}/clock", {"Authorization": wrong})
        assert status == 401, wrong
    for place in (f"{PREFIX}/clock?token={token}", f"{PREFIX}/clock?authorization=Bearer%20{token}"):
        assert ask(lenient_venue, "GET", place, {})[0] == 401
    assert ask(lenient_venue, "GET", f"{PREFIX}/clock", {"Cookie": f"token={token}"})[0] == 401


def test_the_operators_token_signs_no_call(lenient_venue: Venue, key: Credentials) -> None:
    token = lenient_venue._running.operator_token
    query = f"timestamp={int(time.time() * 1000)}&recvWindow=60000"
    for headers in ({"Authorization": f"Bearer {token}"}, {"X-MBX-APIKEY": token}):
        status, text = ask(lenient_venue, "GET", f"/api/v3/account?{query}&signature={'0' * 64}", headers)
        assert (status, json.loads(text)["code"]) == (401, -2014)
    forged = sign(key._replace(secret=token), query)
    status, text = ask(
        lenient_venue,
        "GET",
        f"/api/v3/account?{query}&signature={forged}",
        {"X-MBX-APIKEY": key.api_key, "Authorization": f"Bearer {token}"},
    )
    assert (status, json.loads(text)["code"]) == (400, -1022)


def test_a_refused_token_does_not_say_what_the_path_leads_to(lenient_venue: Venue, key: Credentials) -> None:
    """An account or key that exists and one that does not are the same answer to a stranger."""
    for there, absent in (
        (f"/keys/{key.api_key}", f"/keys/{'U' * 64}"),
        (f"/accounts/{urllib.parse.quote(key.email)}", "/accounts/nobody%40example.com"),
    ):
        assert ask(lenient_venue, "GET", PREFIX + there, {}) == ask(lenient_venue, "GET", PREFIX + absent, {})
