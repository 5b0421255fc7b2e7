"""Signatures: one verifier per key, made from the stored key alone. What a caller claims never picks the algorithm.

The signed bytes are the bytes as sent (Binance spot REST, "SIGNED endpoint security": query string and body,
percent-encoded as on the wire). HMAC signatures are 64 hex digits in either case; RSA (PKCS#1 v1.5 with SHA-256) and
Ed25519 signatures are standard base64 with padding, case-sensitive, in the one canonical spelling.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections import deque
from hmac import compare_digest
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

if TYPE_CHECKING:
    from sparekey.access.state import Key

#: How many keys' parsed material stays in memory (an RSA key takes about 2 KB).
VERIFIERS_KEPT = 16_384

_INVALID = Refusal(Reason.SIGNATURE_INVALID)
_WRONG_TYPE_HMAC = Refusal(Reason.SIGNATURE_WRONG_TYPE, ("HMAC",))
_HEX_64 = re.compile(r"[0-9A-Fa-f]{64}")
_BLOCK_BYTES = 64  # SHA-256
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_INNER_TO_OUTER = bytes(byte ^ 0x36 ^ 0x5C for byte in range(256))
_sha256 = hashlib.sha256
_SPKI_ED25519_HEADER_BYTES = 12


class Verifier(Protocol):
    #: About what one verification costs, in microseconds.
    cost_us: int

    def verify(self, payload: bytes, signature: str) -> Refusal | None:
        """None if the signature is right; else `SIGNATURE_INVALID` or, for another form, `SIGNATURE_WRONG_TYPE`."""
        ...


def hmac_block(secret: bytes) -> bytes:
    """A secret as HMAC-SHA256 hashes it first: filled up to a block, combined with the inner pad (RFC 2104)."""
    if len(secret) > _BLOCK_BYTES:
        secret = _sha256(secret).digest()
    return secret.ljust(_BLOCK_BYTES, b"\0").translate(_INNER)


def verify_hmac(block: bytes, payload: bytes, signature: str) -> Refusal | None:
    """None if the signature is right; else as `Verifier.verify`.

    By hand, because setting up an HMAC object costs twice as much. Prepared SHA-256 states to copy would spare a third
    as long as they are in the processor's cache; among a million keys they are not, and take nine times the memory.
    """
    expected = _sha256(block.translate(_INNER_TO_OUTER) + _sha256(block + payload).digest()).hexdigest()
    try:
        if compare_digest(expected, signature):
            return None
    except TypeError:  # not ASCII
        return _WRONG_TYPE_HMAC
    if not _HEX_64.fullmatch(signature):
        return _WRONG_TYPE_HMAC
    return None if compare_digest(expected, signature.lower()) else _INVALID


class RsaVerifier:
    __slots__ = ("_bytes", "_key", "cost_us")

    _wrong_type = Refusal(Reason.SIGNATURE_WRONG_TYPE, ("RSA",))
    _padding = PKCS1v15()
    _hash = SHA256()

    def __init__(self, der: bytes) -> None:
        key = load_der_public_key(der)
        if not isinstance(key, RSAPublicKey):
            raise TypeError("the stored key is not an RSA key")
        self._key = key
        self._bytes = (key.key_size + 7) // 8
        self.cost_us = self._bytes // 5  # measured: 32 us at 2048 bits, about 100 us at 4096

    def verify(self, payload: bytes, signature: str) -> Refusal | None:
        raw = decode_base64(signature)
        if raw is None or len(raw) != self._bytes:
            return self._wrong_type
        try:
            self._key.verify(raw, payload, self._padding, self._hash)
        except InvalidSignature:
            return _INVALID
        return None


class Ed25519Verifier:
    """By libsodium: half of OpenSSL's time, and it refuses non-canonical and small-order values."""

    __slots__ = ("_public",)

    cost_us = 100
    _wrong_type = Refusal(Reason.SIGNATURE_WRONG_TYPE, ("Ed25519",))

    def __init__(self, public: bytes) -> None:
        self._public = public

    def verify(self, payload: bytes, signature: str) -> Refusal | None:
        raw = decode_base64(signature)
        if raw is None or len(raw) != 64:
            return self._wrong_type
        try:
            crypto_sign_open(raw + payload, self._public)
        except BadSignatureError:
            return _INVALID
        return None


def public_verifier(key_type: str, spki: bytes) -> Verifier:
    """For an rsa or ed25519 key: `spki` is its DER, canonical, as `public_keys` makes it."""
    return RsaVerifier(spki) if key_type == "rsa" else Ed25519Verifier(spki[_SPKI_ED25519_HEADER_BYTES:])


def decode_base64(text: str) -> bytes | None:
    """Standard base64 with padding in its one canonical spelling (no stray bits in the last character), or None."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error is one; also text that is not ASCII
        return None
    return raw if binascii.b2a_base64(raw, newline=False).decode() == text else None


class Verifiers:
    """Parses public keys and keeps the newest `kept` of them on their keys."""

    __slots__ = ("_holders", "_kept")

    def __init__(self, kept: int = VERIFIERS_KEPT) -> None:
        self._kept = kept
        self._holders: deque[Key] = deque()

    def prepare(self, key: Key) -> Verifier:
        """A verifier for a key that has none, from now on in `key.verifier`."""
        verifier = public_verifier(key.key_type, key.spki)
        if len(self._holders) >= self._kept:
            # The oldest goes, used or not: a used one is back with its next call, and the gate keeps no order of use.
            self._holders.popleft().verifier = None
        self._holders.append(key)
        key.verifier = verifier
        return verifier
