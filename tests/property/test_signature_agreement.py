"""libsodium, which verifies here, and OpenSSL, which most clients sign with, agree on every Ed25519 signature."""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from sparekey.access.public_keys import PublicKey, parse_public_key, pem_of
from sparekey.access.signatures import Ed25519Verifier

SPKI = bytes.fromhex("302a300506032b6570032100")
PRIME = 2**255 - 19
#: The order of the large group (RFC 8032, section 5.1).
ORDER = 2**252 + 27742317777372353535851937790883648493

#: y of the points of small order, and spellings of y at or beyond the prime.
STRANGE_POINTS = [
    bytes(32),
    (1).to_bytes(32, "little"),
    (PRIME - 1).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    PRIME.to_bytes(32, "little"),
    (PRIME + 1).to_bytes(32, "little"),
    (2**255 - 1).to_bytes(32, "little"),
    b"\xff" * 32,
]

points = st.one_of(st.sampled_from(STRANGE_POINTS), st.binary(min_size=32, max_size=32)).flatmap(
    lambda raw: st.sampled_from([raw, raw[:31] + bytes([raw[31] ^ 0x80])])
)
scalars = st.one_of(
    st.sampled_from([0, 1, ORDER - 1, ORDER, ORDER + 1, 2**252, 2**253, 2**255 - 1, 2**256 - 1]),
    st.integers(0, 2**256 - 1),
)
seeds = st.binary(min_size=32, max_size=32)
payloads = st.binary(max_size=100)


def both(public: bytes, payload: bytes, signature: bytes) -> tuple[bool, bool]:
    """(what we say, what OpenSSL says)."""
    ours = Ed25519Verifier(public).verify(payload, base64.b64encode(signature).decode()) is None
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, payload)
    except InvalidSignature:
        return ours, False
    return ours, True


@given(seeds, payloads)
def test_both_accept_what_was_signed(seed: bytes, payload: bytes) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    assert both(private.public_key().public_bytes_raw(), payload, private.sign(payload)) == (True, True)


@given(seeds, payloads, st.integers(0, 511), st.integers(0, 3))
def test_both_refuse_a_flipped_bit_and_a_second_spelling_of_the_scalar(
    seed: bytes, payload: bytes, bit: int, times: int
) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(payload)
    flipped = (int.from_bytes(signature, "little") ^ (1 << bit)).to_bytes(64, "little")
    assert both(public, payload, flipped) == (False, False)
    scalar = int.from_bytes(signature[32:], "little") + (times + 1) * ORDER
    if scalar < 2**256:
        assert both(public, payload, signature[:32] + scalar.to_bytes(32, "little")) == (False, False)


@given(seeds, payloads, points, scalars)
def test_both_refuse_strange_points_and_scalars_under_a_sound_key(
    seed: bytes, payload: bytes, point: bytes, scalar: int
) -> None:
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert both(public, payload, point + scalar.to_bytes(32, "little")) == (False, False)


@given(points, points, scalars, payloads)
def test_a_key_that_is_accepted_here_is_one_on_which_both_agree(
    public: bytes, point: bytes, scalar: int, payload: bytes
) -> None:
    """Under keys of small order OpenSSL accepts signatures that nobody made; such keys never get in."""
    outcome = parse_public_key(pem_of(base64.b64encode(SPKI + public).decode()))
    ours, theirs = both(public, payload, point + scalar.to_bytes(32, "little"))
    if isinstance(outcome, PublicKey):
        assert (ours, theirs) == (False, False)
    else:
        assert not ours


def test_there_is_a_key_that_openssl_takes_forged_signatures_for_and_it_is_refused_here() -> None:
    """What the rule above is for: with the neutral point as the key, (R = the neutral point, S = 0) signs anything."""
    neutral = (1).to_bytes(32, "little")
    assert both(neutral, b"anything", neutral + bytes(32)) == (False, True)
    assert not isinstance(parse_public_key(pem_of(base64.b64encode(SPKI + neutral).decode())), PublicKey)
