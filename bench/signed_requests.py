"""Signed requests as bytes, prepared just before they are replayed, so that signing costs nobody anything then."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Credentials(NamedTuple):
    api_key: str
    secret: str


#: What a client sends beside the key: the header block of python-requests, as the older Python clients have it.
_HEADERS = (
    "Host: 127.0.0.1\r\nUser-Agent: python-requests/2.32\r\nAccept-Encoding: gzip, deflate\r\n"
    "Accept: application/json\r\nConnection: keep-alive\r\n"
)
_FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


def signed(credentials: Credentials, method: str, path: str, parameters: str, *, recv_window: int = 60_000) -> bytes:
    """GET and DELETE carry their parameters in the query, POST in the body."""
    payload = f"{parameters}{'&' if parameters else ''}recvWindow={recv_window}&timestamp={time.time_ns() // 10**6}"
    signature = hmac.new(credentials.secret.encode(), payload.encode(), "sha256").hexdigest()
    payload += f"&signature={signature}"
    key = f"X-MBX-APIKEY: {credentials.api_key}\r\n"
    if method == "POST":
        return f"POST {path} HTTP/1.1\r\n{_HEADERS}{key}{_FORM}Content-Length: {len(payload)}\r\n\r\n{payload}".encode()
    return f"{method} {path}?{payload} HTTP/1.1\r\n{_HEADERS}{key}\r\n".encode()


#: A call that many bots repeat, and the one that checks an order without placing it.
ASK = ("GET", "/api/v3/rateLimit/order")
TRY = ("POST", "/api/v3/order/test")


def mixed(keys: Sequence[Credentials], count: int) -> list[bytes]:
    """GET with query and POST with body in turns, over all keys."""
    requests = []
    for number in range(count):
        credentials = keys[number * 7919 % len(keys)]
        if number % 2:
            price, quantity = 60_000 + number % 997, 100 + number % 89
            order = f"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.{quantity:05d}&price={price}.01"
            requests.append(signed(credentials, *TRY, order))
        else:
            requests.append(signed(credentials, *ASK, ""))
    return requests


def with_wrong_signature(request: bytes) -> bytes:
    """The same request with another last digit."""
    at = request.rfind(b"signature=") + len(b"signature=")
    digit = b"0" if request[at : at + 1] != b"0" else b"1"
    return request[:at] + digit + request[at + 1 :]


def write_keys(keys: Iterable[Credentials], path: str) -> None:
    """For the peers: key, secret, permissions, whitelist."""
    with open(path, "w", encoding="ascii") as file:
        for key in keys:
            file.write(f"{key.api_key}\t{key.secret}\treading,spot-and-margin-trading\t127.0.0.0/8,10.1.2.0/24\n")
