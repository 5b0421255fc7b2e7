"""The stored key decides the algorithm, over sockets too: a public key is no secret, and no call picks its own."""

from __future__ import annotations

import base64
import hmac
import time
import urllib.parse

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.signing import Caller
from tests.venue import Credentials, Venue


def public_spellings(key: Credentials) -> list[bytes]:
    """The public key in every form in which somebody might hand it to an HMAC."""
    private = load_pem_private_key(key.private_pem.encode(), None)
    assert isinstance(private, RSAPrivateKey | Ed25519PrivateKey)
    public = private.public_key()
    text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = b"".join(text.splitlines()[1:-1])
    return [text, text.strip(), text.replace(b"\n", b"\r\n"), body, spki, spki[-32:], b"", key.api_key.encode()]


@pytest.mark.parametrize("key_type", ["rsa", "ed25519"])
def test_an_hmac_keyed_with_the_public_key_is_refused(lenient_venue: Venue, key_type: str) -> None:
    key = lenient_venue.key(key_type)
    call = Caller(lenient_venue.url, key)
    assert call("GET", "/api/v3/account").status == 200
    for secret in public_spellings(key):
        payload = f"timestamp={int(time.time() * 1000)}&recvWindow=60000"
        digest = hmac.digest(secret, payload.encode(), "sha256")
        for signature in (digest.hex(), base64.b64encode(digest).decode()):
            pairs = dict(urllib.parse.parse_qsl(payload)) | {"signature": signature}
            answer = call("GET", "/api/v3/account", pairs, signed=False)
            assert (answer.status, answer.code) == (400, -1022)
    assert {row["reason"] for row in lenient_venue.calls(key)[1:]} == {"signature-wrong-type"}


@pytest.mark.parametrize("key_type", ["hmac", "rsa", "ed25519"])
@pytest.mark.parametrize("named", ["hmac", "rsa", "ed25519", "none"])
def test_no_parameter_or_header_names_the_algorithm(lenient_venue: Venue, key_type: str, named: str) -> None:
    """What a caller claims is either refused as unknown or ignored; it never changes how the signature is judged."""
    key, other = lenient_venue.key(key_type), lenient_venue.key("ed25519" if key_type != "ed25519" else "hmac")
    headers = {"X-MBX-ALGORITHM": named, "alg": named}
    assert Caller(lenient_venue.url, key)("GET", "/api/v3/account", headers=headers).status == 200
    forged = Credentials(key.api_key, other.secret, other.private_pem, key.email)
    answer = Caller(lenient_venue.url, forged)("GET", "/api/v3/account", headers=headers)
    assert (answer.status, answer.code) == (400, -1022)
    answer = Caller(lenient_venue.url, key)("GET", "/api/v3/account", {"alg": named})
    assert answer.status == 400
    assert answer.code in (-1101, -1104)
