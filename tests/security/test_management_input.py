"""Whatever an operator's script sends to the management API, the answer is a document with a reason, never a 500."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.venue import Refused, Venue

TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "",
            " ",
            "\x00",
            "a\x00b",
            "\u202eevil",
            "=cmd|' /C calc'!A0",
            "\x1b[31m",
            "x" * 10_000,
            "\ufeff",
            "1" * 5_000,
            "１２３",
            "²",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            "0.0.0.0/0",
            "fe80::1%eth0",
            "a@b.c\r\nBcc: d@e.f",
            "NaN",
            "1e-8",
            "-1",
            "{0}",
            "%s",
        ]
    ),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ROUTES = {
    "POST /accounts": ("email", "kyc", "totp", "fund"),
    "POST /accounts/{email}/fund": ("fund",),
    "PUT /accounts/{email}/kyc": ("kyc",),
    "POST /accounts/{email}/suspend": ("reason",),
    "POST /accounts/{email}/restore": ("reason",),
    "PUT /accounts/{email}/broker": ("broker",),
    "POST /accounts/{email}/challenges": ("publicKey",),
    "POST /accounts/{email}/keys": ("label", "type", "publicKey", "permissions", "ips", "proof"),
    "PATCH /keys/{key}": ("label", "permissions", "ips"),
    "POST /keys/{key}/rotate": ("overlap", "publicKey", "proof"),
    "POST /clock/advance": ("duration",),
    "POST /clock/skew": ("duration",),
}


class Operator:
    """Sends bytes as they are, and expects a document."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.email = venue.account()
        self.key = venue.key(email=self.email)

    def send(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        address = urllib.parse.urlsplit(self.venue.url)
        assert address.hostname
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
        headers = {
            "Authorization": f"Bearer {self.venue._running.operator_token}",
            "Content-Type": "application/json",
        }
        try:
            path = path.replace("{email}", urllib.parse.quote(self.email)).replace("{key}", self.key.api_key)
            connection.request(method, f"/sparekey/v1{path}", body, headers)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def operator(lenient_venue: Venue) -> Operator:
    return Operator(lenient_venue)


def check(status: int, document: Any) -> None:
    assert status < 500, document
    if status >= 400:
        assert document["error"]["reason"]
        assert document["error"]["message"]
        assert "Traceback" not in document["error"]["message"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_odd_values_in_known_fields_get_a_reason(operator: Operator, data: st.DataObject) -> None:
    route = data.draw(st.sampled_from(sorted(ROUTES)))
    body = {name: data.draw(ANYTHING) for name in ROUTES[route] if data.draw(st.booleans())}
    check(*operator.send(*route.split(), json.dumps(body).encode()))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(ROUTES)), st.binary(max_size=60))
def test_bytes_that_are_no_document_get_a_reason(operator: Operator, route: str, body: bytes) -> None:
    status, document = operator.send(*route.split(), body)
    assert status in (400, 422), document
    check(status, document)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_odd_values_in_paths_get_a_reason(operator: Operator, text: str) -> None:
    quoted = urllib.parse.quote(text[:2_000], safe="")
    for method, path in (
        ("GET", f"/accounts/{quoted}"),
        ("GET", f"/accounts/{quoted}/keys"),
        ("GET", f"/keys/{quoted}"),
        ("DELETE", f"/keys/{quoted}"),
        ("DELETE", f"/accounts/{quoted}"),
        ("DELETE", f"/accounts/{quoted}/totp"),
        ("POST", f"/accounts/{quoted}/totp"),
        ("POST", f"/keys/{quoted}/disable"),
        ("POST", f"/keys/{quoted}/enable"),
        ("GET", f"/keys/{quoted}/usage"),
        ("GET", f"/calls?key={quoted}&limit={quoted}"),
    ):
        check(*operator.send(method, path, b""))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/accounts/{email}/keys", '{"label": "\\ud800"}'),
        ("/accounts/{email}/keys", '{"label": "x", "ips": ["\\udfff"]}'),
        ("/accounts/{email}/keys", '{"label": "x", "publicKey": "\\ud800", "type": "rsa"}'),
        ("/accounts", '{"email": "\\ud800@example.org"}'),
        ("/accounts/{email}/fund", '{"fund": {"\\ud800": "1"}}'),
        ("/accounts/{email}/fund", '{"fund": {"USDT": "\\ud800"}}'),
        ("/clock/advance", '{"duration": "\\ud800"}'),
        ("/accounts/{email}/suspend", '{"reason": "\\ud800"}'),
        ("/accounts/{email}/challenges", '{"publicKey": "\\ud800"}'),
        ("/accounts/{email}/keys", '{"label": "x", "proof": {"nonce": "\\ud800", "signature": "\\ud800"}}'),
        ("/keys/{key}/rotate", '{"overlap": "\\ud800"}'),
        ("/keys/{key}/rotate", '{"overlap": "-1s"}'),
        ("/keys/{key}/rotate", '{"overlap": "999999999999d"}'),
        ("/accounts", "[" * 100_000),
        ("/accounts", '{"email": "a@example.org", "email": "b@example.org", "kyc": NaN}'),
        ("/accounts/{email}/fund", '{"fund": {"USDT": 1e400}}'),
        ("/accounts/{email}/fund", '{"fund": {"USDT": "' + "9" * 5_000 + '"}}'),
        ("/clock/advance", '{"duration": "' + "9" * 39 + 'd"}'),
    ],
)
def test_what_json_can_say_and_nobody_means_gets_a_reason(operator: Operator, path: str, body: str) -> None:
    status, document = operator.send("POST", path, body.encode())
    assert 400 <= status < 500, document
    check(status, document)


@pytest.mark.parametrize(
    "duration", ["0d", "-1d", "-0s", "365000d", "999999999999d", "1y", "1000y", "1.5d", "", "d", "１d"]
)
def test_the_policy_clock_goes_ahead_within_reason_only(lenient_venue: Venue, duration: str) -> None:
    before = lenient_venue.clock.show()["policyMs"]
    with pytest.raises(Refused) as refused:
        lenient_venue.clock.advance(duration)
    assert refused.value.reason in ("clock-backwards", "clock-too-far", "request-invalid")
    assert lenient_venue.clock.show()["policyMs"] - before < 60_000


def test_an_address_is_one_account_however_it_is_written(lenient_venue: Venue) -> None:
    lenient_venue.ask("POST", "/accounts", {"email": "Grace.Hopper@Example.org"})
    for spelled in ("grace.hopper@example.org", "GRACE.HOPPER@EXAMPLE.ORG", " grace.hopper@example.org "):
        with pytest.raises(Refused) as refused:
            lenient_venue.ask("POST", "/accounts", {"email": spelled})
        assert refused.value.reason == "account-exists"
    for spelled in (
        "gracе.hopper@example.org",  # a Cyrillic letter
        "grace.hopper@example.org\r\nBcc: x@example.org",
        "grace.hopper@example.org\x00",
        "grace hopper@example.org",
        "grace@hopper@example.org",
        "<grace.hopper@example.org>",
        "@example.org",
        "grace.hopper@",
        "grace.hopper@localhost",
        "x" * 250 + "@example.org",
    ):
        with pytest.raises(Refused) as refused:
            lenient_venue.ask("POST", "/accounts", {"email": spelled})
        assert refused.value.reason == "email-invalid", spelled
