"""The gate never admits a call that was not signed as it stands: whatever byte changes on the way, it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from sparekey.access.state import Key
from sparekey.terms.admissions import Admission
from sparekey.terms.permissions import Permission
from sparekey.terms.refusals import Refusal
from sparekey.wire.signing import signed_payload
from tests.unit.access.venue_of_keys import HOME, NOW_US, Desk, Sign, pem, sign_ed25519, sign_rsa

RSA_KEY = generate_private_key(65_537, 2_048)
ED25519_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class Caller:
    """Signs calls with one key of each type, and sends them as bytes: query, body, headers."""

    def __init__(self) -> None:
        self.desk = Desk("off")  # no budget for wrong signatures, of which there are many here
        account_id = self.desk.account()
        self.keys: dict[str, tuple[Key, Sign]] = {}
        hmac_key = self.desk.key(account_id, "hmac")
        self.keys["hmac"] = (hmac_key, self.desk.sign(hmac_key))
        for name, private, sign in (
            ("rsa", RSA_KEY, sign_rsa(RSA_KEY)),
            ("ed25519", ED25519_KEY, sign_ed25519(ED25519_KEY)),
        ):
            key = self.desk.key(account_id, name, key_type=name, public_key=pem(private))
            self.keys[name] = (key, sign)

    def admitted(self, api_key: bytes, query: bytes, body: bytes, signature: str, timestamp_ms: int) -> bool:
        outcome = self.desk.gate.admit(
            HOME,
            api_key,
            Permission.SPOT_AND_MARGIN_TRADING,
            timestamp_ms * 1_000,
            5_000_000,
            signed_payload(query, body),
            signature,
            NOW_US,
            NOW_US,
        )
        assert isinstance(outcome, Admission | Refusal)
        return isinstance(outcome, Admission)


CALLER = Caller()
ORDER = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&newClientOrderId=a%2Fb"
TIMESTAMP_MS = NOW_US // 1_000
TIMED = ORDER + b"&timestamp=%d" % TIMESTAMP_MS

kinds = st.sampled_from(sorted(CALLER.keys))
cuts = st.integers(0, len(TIMED))


def split(at: int) -> tuple[bytes, bytes]:
    """The same parameters, partly in the query and partly in the body."""
    return TIMED[:at], TIMED[at:]


@given(kinds, cuts)
def test_what_was_signed_is_admitted_wherever_its_parts_travel(kind: str, at: int) -> None:
    key, sign = CALLER.keys[kind]
    query, body = split(at)
    assert CALLER.admitted(key.api_key.encode(), query, body, sign(query + body), TIMESTAMP_MS)


@given(kinds, cuts, st.integers(0, len(TIMED) - 1), st.integers(1, 255))
def test_a_changed_byte_of_the_payload_is_refused(kind: str, at: int, place: int, difference: int) -> None:
    key, sign = CALLER.keys[kind]
    signature = sign(TIMED)
    changed = bytearray(TIMED)
    changed[place] ^= difference
    query, body = bytes(changed[:at]), bytes(changed[at:])
    assert not CALLER.admitted(key.api_key.encode(), query, body, signature, TIMESTAMP_MS)


@given(kinds, st.integers(0, len(TIMED)), st.integers(1, 8), st.binary(max_size=8))
def test_bytes_put_in_or_taken_out_are_refused(kind: str, place: int, cut: int, put: bytes) -> None:
    changed = TIMED[:place] + put + TIMED[place + cut :]
    key, sign = CALLER.keys[kind]
    signature = sign(TIMED)
    if signed_payload(changed, b"") != TIMED:
        assert not CALLER.admitted(key.api_key.encode(), changed, b"", signature, TIMESTAMP_MS)


def flipped_hex(signature: str, place: int, change: int) -> str:
    digits = "0123456789abcdef"
    at = place % len(signature)
    return signature[:at] + digits[(digits.index(signature[at]) + change) % 16] + signature[at + 1 :]


def flipped_base64(signature: str, place: int, change: int) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = place % len(signature.rstrip("="))
    return signature[:at] + alphabet[(alphabet.index(signature[at]) + change) % 64] + signature[at + 1 :]


@given(kinds, st.integers(0, 400), st.integers(1, 15))
def test_a_changed_character_of_the_signature_is_refused(kind: str, place: int, change: int) -> None:
    key, sign = CALLER.keys[kind]
    flip: Callable[[str, int, int], str] = flipped_hex if kind == "hmac" else flipped_base64
    changed = flip(sign(TIMED), place, change)
    assert not CALLER.admitted(key.api_key.encode(), TIMED, b"", changed, TIMESTAMP_MS)


@given(kinds, st.text(max_size=100))
def test_no_made_up_signature_is_taken(kind: str, signature: str) -> None:
    key, _ = CALLER.keys[kind]
    assert not CALLER.admitted(key.api_key.encode(), TIMED, b"", signature, TIMESTAMP_MS)


@given(kinds, st.integers(0, 63), st.integers(1, 255))
def test_a_changed_byte_of_the_key_is_refused(kind: str, place: int, difference: int) -> None:
    key, sign = CALLER.keys[kind]
    header = bytearray(key.api_key.encode())
    header[place] ^= difference
    assert not CALLER.admitted(bytes(header), TIMED, b"", sign(TIMED), TIMESTAMP_MS)


@given(st.permutations(["hmac", "rsa", "ed25519"]))
def test_no_keys_signature_opens_another_key(kinds: list[str]) -> None:
    key, _ = CALLER.keys[kinds[0]]
    for other in kinds[1:]:
        signature = CALLER.keys[other][1](TIMED)
        assert not CALLER.admitted(key.api_key.encode(), TIMED, b"", signature, TIMESTAMP_MS)


@given(kinds, st.integers(-(2**63), 2**63))
def test_a_timestamp_out_of_the_window_is_refused_however_well_it_is_signed(kind: str, timestamp_ms: int) -> None:
    key, sign = CALLER.keys[kind]
    query = ORDER + b"&timestamp=%d" % timestamp_ms
    inside = TIMESTAMP_MS - 5_000 <= timestamp_ms < TIMESTAMP_MS + 1_000
    assert CALLER.admitted(key.api_key.encode(), query, b"", sign(query), timestamp_ms) is inside


@pytest.mark.parametrize("kind", ["hmac", "rsa", "ed25519"])
def test_another_spelling_of_the_same_parameters_is_another_payload(kind: str) -> None:
    key, sign = CALLER.keys[kind]
    signature = sign(TIMED)
    respelled: dict[str, Any] = {
        "decoded": unquote(TIMED.decode()).encode(),
        "lower case escapes": TIMED.replace(b"%2F", b"%2f"),
        "escaped more": quote(TIMED.decode(), safe="=&%").replace("symbol", "%73ymbol").encode(),
        "sorted": b"&".join(sorted(TIMED.split(b"&"))),
        "an empty pair": TIMED + b"&",
        "a doubled ampersand": TIMED.replace(b"&", b"&&", 1),
        "a separator between query and body": TIMED.replace(b"&", b";", 1),
    }
    for name, query in respelled.items():
        assert not CALLER.admitted(key.api_key.encode(), query, b"", signature, TIMESTAMP_MS), name
    at = TIMED.index(b"&side")
    # Nothing stands between query and body in what is signed, so a moved boundary keeps the payload ...
    assert CALLER.admitted(key.api_key.encode(), TIMED[:at], TIMED[at:], signature, TIMESTAMP_MS)
    # ... and an exchange of the two does not.
    assert not CALLER.admitted(key.api_key.encode(), TIMED[at:], TIMED[:at], signature, TIMESTAMP_MS)
