"""The signed payload, checked with the signatures that Binance's documentation prints for its sample key.

Source: Binance spot REST documentation, "SIGNED endpoint examples for POST /api/v3/order", HMAC keys.
"""

from __future__ import annotations

import hashlib
import hmac

import pytest

from sparekey.wire.signing import signed_payload, without_signature

SECRET = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ALL = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
HEAD = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
TAIL = b"quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
IN_ONE = b"c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
IN_TWO = b"0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
OTHER_SCRIPT = b"e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"


def sign(payload: bytes) -> bytes:
    return hmac.new(SECRET, payload, hashlib.sha256).hexdigest().encode()


@pytest.mark.parametrize(
    ("query", "body", "signature"),
    [
        (ALL + b"&signature=" + IN_ONE, b"", IN_ONE),
        (b"", ALL + b"&signature=" + IN_ONE, IN_ONE),
        (HEAD, TAIL + b"&signature=" + IN_TWO, IN_TWO),
        (HEAD + b"&signature=" + IN_TWO, TAIL, IN_TWO),
    ],
)
def test_the_documented_samples_verify_wherever_the_parameters_stand(
    query: bytes, body: bytes, signature: bytes
) -> None:
    assert sign(signed_payload(query, body)) == signature


def test_percent_encoded_bytes_are_signed_as_sent() -> None:
    payload = ALL.replace(b"LTCBTC", b"%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96")
    assert sign(signed_payload(payload + b"&signature=00", b"")) == OTHER_SCRIPT


@pytest.mark.parametrize(
    ("raw", "rest"),
    [
        (b"", b""),
        (b"signature=1", b""),
        (b"a=1&signature=2", b"a=1"),
        (b"signature=2&a=1", b"a=1"),
        (b"a=1&signature=2&b=3", b"a=1&b=3"),
        (b"a=1&mysignature=3", b"a=1&mysignature=3"),
        (b"signature=2&mysignature=3", b"mysignature=3"),
        (b"a=signature=1&b=2", b"a=signature=1&b=2"),
        (b"a=%2B&signature=x%3D%3D", b"a=%2B"),
    ],
)
def test_only_the_whole_signature_pair_is_taken_out(raw: bytes, rest: bytes) -> None:
    assert without_signature(raw) == rest
