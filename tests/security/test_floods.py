"""What is too large, too many or too wrong is refused early and costs little; others are served meanwhile."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.parse
from pathlib import Path

import pytest

from tests.signing import Caller, sign
from tests.venue import Credentials, Venue

LONG = "A" * 8_000


def raw(venue: Venue, data: bytes) -> bytes:
    """What comes back until the server closes, or has answered once."""
    address = urllib.parse.urlsplit(venue.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as one:
        try:
            one.sendall(data)
            return one.recv(65_536)
        except (ConnectionResetError, BrokenPipeError):
            return b""


def status_of(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1]) if reply else 0


@pytest.mark.parametrize(
    ("what", "request_bytes", "allowed"),
    [
        ("key id", f"GET /api/v3/account HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: {LONG}\r\n\r\n", (400, 401)),
        ("header", f"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\nX-Long: {LONG * 4}\r\n\r\n", (400, 413, 431)),
        ("headers", "GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n" + "X-More: 1\r\n" * 200 + "\r\n", (400, 413, 431)),
        ("path", f"GET /api/v3/{LONG * 4} HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404, 414, 431)),
        (
            "query",
            f"GET /api/v3/account?{'&'.join(f'a{n}=1' for n in range(10_000))} HTTP/1.1\r\nHost: x\r\n\r\n",
            (400, 414, 431),
        ),
        ("body", "POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", (400, 413)),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_read(
    lenient_venue: Venue, what: str, request_bytes: str, allowed: tuple[int, ...]
) -> None:
    begun = time.process_time()
    assert status_of(raw(lenient_venue, request_bytes.encode())) in allowed, what
    # The server runs in this process: its work for the refusal is in here. Generous, and far below what reading takes.
    assert time.process_time() - begun < 2
    assert Caller(lenient_venue.url)("GET", "/api/v3/ping", signed=False).status == 200


@pytest.mark.parametrize("signed", [False, True])
def test_ten_thousand_parameters_in_a_body_are_refused_in_one_answer(lenient_venue: Venue, signed: bool) -> None:
    key = lenient_venue.key()
    pairs = {f"p{number}": "1" for number in range(10_000)} | {"symbol": "BTCUSDT"}
    begun = time.process_time()
    answer = Caller(lenient_venue.url, key)("POST", "/api/v3/order", pairs, signed=signed, in_body=True)
    assert (answer.status, answer.code < 0) == (400, True)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("key_type", ["ed25519", "rsa"])
def test_junk_signatures_of_one_address_stop_being_verified_and_its_neighbours_are_served(
    venue: Venue, key_type: str
) -> None:
    """Verification is the dear part of the gate: an address that makes us spend it on junk runs out of it, and the
    owner, who calls from elsewhere, notices nothing."""
    key = venue.key(key_type, ips=["127.0.0.0/8"])
    address = urllib.parse.urlsplit(venue.url)
    verified: list[int] = []
    state = venue._running._access
    stored = state.key_by_api_key(key.api_key)
    assert stored is not None
    assert Caller(venue.url, key, "127.0.0.82")("GET", "/api/v3/account").status == 200
    verifier = stored.verifier
    assert verifier is not None

    class Counting:
        """The key's own verifier, with its calls counted."""

        cost_us = verifier.cost_us

        def verify(self, payload: bytes, signature: str) -> object:
            verified.append(1)
            return verifier.verify(payload, signature)

    stored.verifier = Counting()  # type: ignore[assignment]
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=20, source_address=("127.0.0.81", 0)
    )
    junk = sign(key, "something else entirely")
    most = -(-venue._running._policy.verification_budget_us // verifier.cost_us)
    window = time.time() // 60
    answers = []
    for _ in range(most + 40):  # cheap in weight: the limit by weight must not be what stops it
        text = f"timestamp={int(time.time() * 1000)}&recvWindow=60000&signature={junk}"
        connection.request("GET", f"/sapi/v1/account/status?{text}", headers={"X-MBX-APIKEY": key.api_key})
        reply = connection.getresponse()
        answers.append((reply.status, reply.read()))
    connection.close()
    windows = int(time.time() // 60 - window) + 1
    assert len(verified) <= most * windows
    if windows == 1:
        assert len(verified) == most
        assert venue.last_call(key)["reason"] == "verification-budget-exceeded"
    # Binance tells nobody of such a budget: the answer is the same before and after.
    assert set(answers) == {(400, b'{"code":-1022,"msg":"Signature for this request is not valid."}')}
    assert Caller(venue.url, key, "127.0.0.82")("GET", "/api/v3/account").status == 200


def test_unknown_and_mistyped_keys_never_reach_the_vault(venue: Venue) -> None:
    """Whatever is invented as a key costs a look into a table in memory."""
    key = venue.key()
    vault = venue._running._vault
    opened: list[str] = []
    original = vault.open
    vault.open = lambda vault_id: opened.append(vault_id) or original(vault_id)  # type: ignore[method-assign,func-returns-value]
    try:
        mistyped = key.api_key[:20] + ("a" if key.api_key[20] != "a" else "b") + key.api_key[21:]
        for name in (mistyped, key.api_key.swapcase(), "sparekey" + "0" * 56, "U" * 64):
            unknown = Credentials(name, key.secret, "", "")
            answer = Caller(venue.url, unknown)("GET", "/api/v3/account")
            assert (answer.status, answer.code) == (401, -2015)
        assert opened == []
        assert [row["reason"] for row in venue.calls(limit=4)] == [
            "key-mistyped",
            "key-unknown",  # without the prefix nothing says that it was to be one of ours
            "key-mistyped",
            "key-unknown",
        ]
        assert Caller(venue.url, key)("GET", "/api/v3/account").status == 200
        assert len(opened) == 1
    finally:
        vault.open = original  # type: ignore[method-assign]


def test_limits_hold_when_the_file_of_counts_cannot_be_written(venue: Venue) -> None:
    """The limiter counts in memory: its file is for the next start, and losing it opens nothing meanwhile."""
    saved = [path for path in Path(venue.data).iterdir() if "address" in path.name or "ban" in path.name]
    for path in saved:
        if path.is_dir():
            continue
        path.unlink()
        path.mkdir()  # nothing can be put in its place
    call = Caller(venue.url, source_ip="127.0.0.83")
    statuses = [call("GET", "/api/v3/exchangeInfo", {"symbol": "BTCUSDT"}, signed=False).status for _ in range(200)]
    assert set(statuses) <= {200, 429, 418}
    assert statuses.count(200) <= 2 * 120  # of two minutes at most
    assert 429 in statuses or statuses.count(200) > 120
