"""One request, one meaning: what could be read in two ways is refused, and nothing unsigned rides along."""

from __future__ import annotations

import json
import socket
import time
import urllib.parse
from typing import Any

import pytest

from tests.signing import sign
from tests.venue import Credentials, Venue

ACCOUNT = "/api/v3/account"


class Raw:
    """Sends bytes as given, and reads one reply."""

    def __init__(self, venue: Venue, key: Credentials) -> None:
        self.url = urllib.parse.urlsplit(venue.url)
        self.key = key

    def send(self, request_line: str, body: str = "", headers: tuple[bytes, ...] = ()) -> tuple[int, Any]:
        lines = [
            f"{request_line} HTTP/1.1".encode(),
            f"Host: {self.url.netloc}".encode(),
            *(headers or (b"X-MBX-APIKEY: " + self.key.api_key.encode(),)),
            b"Content-Type: application/x-www-form-urlencoded",
            b"Content-Length: %d" % len(body.encode()),
            b"Connection: close",
        ]
        assert self.url.hostname
        with socket.create_connection((self.url.hostname, self.url.port or 80), timeout=20) as connection:
            connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body.encode())
            answer = b""
            while received := connection.recv(65_536):
                answer += received
        head, _, content = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), json.loads(content) if content.startswith(b"{") else content

    def signed(self, **parameters: str) -> tuple[str, str]:
        """(payload, signature) of a call that is right as it stands."""
        pairs = parameters | {"timestamp": str(int(time.time() * 1000)), "recvWindow": "60000"}
        payload = urllib.parse.urlencode(pairs)
        return payload, sign(self.key, payload)


@pytest.fixture(scope="module")
def raw(lenient_venue: Venue) -> Raw:
    return Raw(lenient_venue, lenient_venue.key(fund={"USDT": "100000"}))


def order(**changes: str) -> dict[str, str]:
    return {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.001",
        "price": "20000",
    } | changes


def test_the_call_that_the_others_are_made_of_is_served(raw: Raw) -> None:
    payload, signature = raw.signed()
    assert raw.send(f"GET {ACCOUNT}?{payload}&signature={signature}")[0] == 200
    assert raw.send(f"GET {ACCOUNT}?signature={signature}&{payload}")[0] == 200
    payload, signature = raw.signed(**order())
    assert raw.send("POST /api/v3/order/test", f"{payload}&signature={signature}")[0] == 200
    assert raw.send(f"POST /api/v3/order/test?signature={signature}", payload)[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        "{payload}&signature={signature}&signature={signature}",
        "signature={signature}&{payload}&signature={signature}",
        "{payload}&signature={zeros}&signature={signature}",
        "{payload}&signature={signature}&signature={zeros}",
        "{payload}&signature={signature}&signature=",
        "{payload}&%73ignature={signature}",
        "{payload}&signature={signature}&%73ignature={signature}",
        "{payload}&signatur%65={zeros}&signature={signature}",
        "{payload}&signature+={signature}",
        "{payload}&Signature={signature}",
        "{payload}&mysignature={zeros}&signature={signature}",
        "{payload}&signature[]={signature}",
        "{payload};signature={signature}",
        "{payload}&amp;signature={signature}",
        "{payload}&signature={signature}%00",
        "{payload}&signature={signature}%20",
        "{payload}&signature=%20{signature}",
        "{payload}&signature={signature}&timestamp=1",
        "{payload}&signature={signature}&recvWindow=60001",
        "{payload}&signature={signature}&omitZeroBalances=true",
        "omitZeroBalances=true&{payload}&signature={signature}",
        "{payload}&signature={signature}&",
        "&{payload}&signature={signature}",
        "{payload}&&signature={signature}",
        "{payload}#&signature={signature}",
    ],
)
def test_a_query_with_another_meaning_than_the_signed_one_is_refused(raw: Raw, query: str) -> None:
    payload, signature = raw.signed()
    text = query.format(payload=payload, signature=signature, zeros="0" * 64)
    status, answer = raw.send(f"GET {ACCOUNT}?{text}")
    assert status == 400, answer
    assert "balances" not in str(answer)


def test_a_signature_in_both_places_is_refused_whichever_is_right(raw: Raw) -> None:
    payload, signature = raw.signed(**order())
    zeros = "0" * 64
    for in_query, in_body in ((signature, signature), (signature, zeros), (zeros, signature), ("", signature)):
        status, answer = raw.send(f"POST /api/v3/order?signature={in_query}", f"{payload}&signature={in_body}")
        assert status == 400, answer


def test_a_parameter_added_in_the_other_place_is_refused_because_it_was_not_signed(raw: Raw) -> None:
    payload, signature = raw.signed(**order())
    for query, body in (
        ("quantity=9", f"{payload}&signature={signature}"),
        (f"{payload}&signature={signature}", "quantity=9"),
        (f"signature={signature}&quantity=9", payload),
        (f"signature={signature}", f"{payload}&newClientOrderId=x"),
    ):
        status, answer = raw.send(f"POST /api/v3/order?{query}", body)
        assert (status, answer["code"]) == (400, -1022), answer


@pytest.mark.parametrize(
    "doubled",
    ["symbol=ETHUSDT", "quantity=9", "side=SELL", "%73ymbol=ETHUSDT", "timestamp=1"],
)
def test_a_parameter_sent_twice_in_one_place_is_refused_however_well_it_is_signed(raw: Raw, doubled: str) -> None:
    payload, _ = raw.signed(**order())
    for text in (f"{payload}&{doubled}", f"{doubled}&{payload}"):
        status, answer = raw.send("POST /api/v3/order", f"{text}&signature={sign(raw.key, text)}")
        assert (status, answer["code"]) == (400, -1101), answer


def test_where_both_places_name_a_parameter_the_query_counts_and_both_are_signed(raw: Raw) -> None:
    payload, _ = raw.signed(**order(newClientOrderId="in-body"))
    query = "newClientOrderId=in-query"
    signature = sign(raw.key, query + payload)
    status, answer = raw.send(f"POST /api/v3/order?{query}", f"{payload}&signature={signature}")
    assert status == 200, answer
    assert answer["clientOrderId"] == "in-query"
    status, answer = raw.send("POST /api/v3/order?newClientOrderId=changed", f"{payload}&signature={signature}")
    assert (status, answer["code"]) == (400, -1022), answer


@pytest.mark.parametrize(
    "path",
    [
        "//api/v3/account",
        "/api//v3/account",
        "/api/v3//account",
        "/api/v3/account/",
        "/api%2fv3/account",
        "/api%2Fv3%2Faccount",
        "/%61pi/v3/account",
        "/api/v3/%61ccount",
        "/api/v3/account%00",
        "/api/v3/account;x=1",
        "/api/v3/account%3f",
        "/api/v3/./account",
        "/api/v3/../v3/account",
        "/api/v3/ping/../account",
        "/API/v3/account",
        "/api/V3/account",
        "/api/v3/Account",
        "/api\\v3\\account",
    ],
)
def test_a_path_has_one_spelling(raw: Raw, path: str) -> None:
    payload, signature = raw.signed()
    status, answer = raw.send(f"GET {path}?{payload}&signature={signature}")
    assert status in (400, 404), answer
    assert "balances" not in str(answer)


@pytest.mark.parametrize(
    "path",
    ["//sparekey/v1/clock", "/sparekey%2fv1/clock", "/api/../sparekey/v1/clock", "/api/v3/../../sparekey/v1/clock"],
)
def test_no_spelling_of_a_path_leads_around_the_operators_token(raw: Raw, path: str) -> None:
    status, answer = raw.send(f"GET {path}")
    assert status in (400, 401, 404), answer
    assert "policyMs" not in str(answer)


def test_two_keys_in_one_request_are_refused(raw: Raw, lenient_venue: Venue) -> None:
    other = lenient_venue.key()
    payload, signature = raw.signed()
    mine, theirs = (b"X-MBX-APIKEY: " + key.api_key.encode() for key in (raw.key, other))
    for headers in ((mine, theirs), (theirs, mine), (mine, mine), (mine, b"x-mbx-apikey: " + b"a" * 64)):
        status, answer = raw.send(f"GET {ACCOUNT}?{payload}&signature={signature}", headers=headers)
        assert status in (400, 401), answer
        assert "balances" not in str(answer)


@pytest.mark.parametrize(
    "header",
    [
        b"X-MBX-APIKEY: %s\x00",
        b"X-MBX-APIKEY: \x00%s",
        b"X-MBX-APIKEY: %s\xc3\xa9",
        b"X-MBX-APIKEY: %s, %s",
        b'X-MBX-APIKEY: "%s"',
        b"X-MBX-APIKEY : %s",
        b"X_MBX_APIKEY: %s",
        b"X-MBX-APIKEY: %s\r\n folded",
        b"Authorization: Bearer %s",
        b"Cookie: X-MBX-APIKEY=%s",
    ],
)
def test_a_key_header_has_one_spelling(raw: Raw, header: bytes) -> None:
    payload, signature = raw.signed()
    key = raw.key.api_key.encode()
    line = header.replace(b"%s", key)
    status, answer = raw.send(f"GET {ACCOUNT}?{payload}&signature={signature}", headers=(line,))
    assert status in (400, 401), answer
    assert "balances" not in str(answer)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"symbol":"BTCUSDT"}'),
        ("multipart/form-data; boundary=x", "--x\r\n\r\n--x--"),
        ("text/plain", "quantity=9"),
    ],
)
def test_a_body_that_is_no_form_is_refused_not_skipped(raw: Raw, content_type: str, body: str) -> None:
    payload, signature = raw.signed(**order())
    key = b"X-MBX-APIKEY: " + raw.key.api_key.encode()
    lines = (key, b"Content-Type: " + content_type.encode())
    url = raw.url
    assert url.hostname
    with socket.create_connection((url.hostname, url.port or 80), timeout=20) as connection:
        head = b"\r\n".join(
            [
                f"POST /api/v3/order?{payload}&signature={signature} HTTP/1.1".encode(),
                f"Host: {url.netloc}".encode(),
                *lines,
                b"Content-Length: %d" % len(body),
                b"Connection: close",
            ]
        )
        connection.sendall(head + b"\r\n\r\n" + body.encode())
        answer = b""
        while received := connection.recv(65_536):
            answer += received
    assert answer.startswith(b"HTTP/1.1 400 "), answer
