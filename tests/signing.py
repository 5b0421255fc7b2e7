"""A bare client for tests: signs bytes as Binance documents it and sends them from any loopback address."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
import urllib.parse
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.venue import Credentials


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> int:
        """Binance's error code, 0 for a success."""
        return self.body.get("code", 0) if isinstance(self.body, dict) else 0


@lru_cache(maxsize=64)
def _private_key(pem: str) -> RSAPrivateKey | Ed25519PrivateKey:
    private = load_pem_private_key(pem.encode(), None)  # checks an RSA key at length
    assert isinstance(private, (RSAPrivateKey, Ed25519PrivateKey))
    return private


def sign(key: Credentials, payload: str) -> str:
    """The signature as it goes onto the wire: hex for HMAC, percent-encoded base64 otherwise."""
    if key.secret:
        return hmac.new(key.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    private = _private_key(key.private_pem)
    if isinstance(private, RSAPrivateKey):
        raw = private.sign(payload.encode(), PKCS1v15(), SHA256())
    else:
        raw = private.sign(payload.encode())
    return urllib.parse.quote(base64.b64encode(raw).decode(), safe="")


class Caller:
    """One keep-alive connection from `source_ip`. Parameters go into the query, or into the body with `in_body`."""

    def __init__(self, url: str, key: Credentials | None = None, source_ip: str = "127.0.0.1") -> None:
        address = urllib.parse.urlsplit(url)
        assert address.hostname
        self.key = key
        self._connection = http.client.HTTPConnection(
            address.hostname, address.port, timeout=30, source_address=(source_ip, 0)
        )

    def __call__(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        signed: bool = True,
        in_body: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        pairs = dict(parameters or {})
        if signed:
            pairs.setdefault("timestamp", int(time.time() * 1000))
            pairs.setdefault("recvWindow", 60_000)
        text = urllib.parse.urlencode(pairs)
        sent = dict(headers or {})
        if self.key is not None:
            sent.setdefault("X-MBX-APIKEY", self.key.api_key)
            if signed:
                text = f"{text}&signature={sign(self.key, text)}"
        if in_body:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
            self._connection.request(method, path, text, sent)
        else:
            self._connection.request(method, f"{path}?{text}" if text else path, headers=sent)
        reply = self._connection.getresponse()
        body = reply.read()
        return Answer(reply.status, json.loads(body) if body else None, reply.headers)

    def close(self) -> None:
        self._connection.close()

    def __del__(self) -> None:
        self.close()

    def limit_order(self, **changes: Any) -> Answer:
        """A resting BUY far below the market unless told otherwise."""
        order = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.001",
            "price": "20000",
        }
        return self("POST", "/api/v3/order", order | changes, in_body=True)
