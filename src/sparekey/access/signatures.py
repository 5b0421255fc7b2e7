"""Signatures: one verifier per key, made from the stored key alone. What a caller claims never picks the algorithm.

The signed bytes are the bytes as sent (Binance spot REST, "SIGNED endpoint security": query string and body,
percent-encoded as on the wire). HMAC signatures are 64 hex digits in either case; RSA (PKCS#1 v1.5 with SHA-256) and
Ed25519 signatures are standard base64 with padding, case-sensitive, in the one canonical spelling.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import deque
from collections.abc import Callable
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

#: How many keys' parsed material stays in memory (an HMAC pair takes about 1 KB).
VERIFIERS_KEPT = 16_384

_INVALID = Refusal(Reason.SIGNATURE_INVALID)
_SECRET_UNAVAILABLE = Refusal(Reason.SECRET_UNAVAILABLE)
_HEX_64 = re.compile(r"[0-9A-Fa-f]{64}")
_BLOCK_BYTES = 64  # SHA-256
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_SPKI_ED25519_HEADER_BYTES = 12


class Verifier(Protocol):
    #: About what one verification costs, in microseconds; 0 where it costs no more than refusing it.
    cost_us: int

    def verify(self, payload: bytes, signature: str) -> Refusal | None:
        """None if the signature is right; else `SIGNATURE_INVALID` or, for another form, `SIGNATURE_WRONG_TYPE`."""
        ...


class HmacVerifier:
    """HMAC-SHA256 from two SHA-256 states that have swallowed the key already (RFC 2104, section 4): a copy of a
    prepared state costs half of setting up an HMAC object."""

    __slots__ = ("_inner", "_outer")

    cost_us = 0
    _wrong_type = Refusal(Reason.SIGNATURE_WRONG_TYPE, ("HMAC",))

    def __init__(self, secret: bytes) -> None:
        if len(secret) > _BLOCK_BYTES:
            secret = hashlib.sha256(secret).digest()
        block = secret.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER))
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def verify(self, payload: bytes, signature: str) -> Refusal | None:
        inner = self._inner.copy()
        inner.update(payload)
        outer = self._outer.copy()
        outer.update(inner.digest())
        expected = outer.hexdigest()
        try:
            if compare_digest(expected, signature):
                return None
        except TypeError:  # not ASCII
            return self._wrong_type
        if not _HEX_64.fullmatch(signature):
            return self._wrong_type
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


def public_verifier(key_type: str, spki: str) -> Verifier:
    """For an rsa or ed25519 key: `spki` is the base64 of its DER, as `public_keys` makes it."""
    der = base64.b64decode(spki)
    return RsaVerifier(der) if key_type == "rsa" else Ed25519Verifier(der[_SPKI_ED25519_HEADER_BYTES:])


def decode_base64(text: str) -> bytes | None:
    """Standard base64 with padding in its one canonical spelling (no stray bits in the last character), or None."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error is one; also text that is not ASCII
        return None
    return raw if binascii.b2a_base64(raw, newline=False).decode() == text else None


class Verifiers:
    """Makes verifiers and keeps the newest `kept` of them on their keys.

    `open_secret` opens the sealed secret of an HMAC key, or returns None where that fails.
    """

    __slots__ = ("_holders", "_kept", "_open_secret")

    def __init__(self, open_secret: Callable[[Key], bytes | None], kept: int = VERIFIERS_KEPT) -> None:
        self._open_secret = open_secret
        self._kept = kept
        self._holders: deque[Key] = deque()

    def prepare(self, key: Key) -> Verifier | Refusal:
        """A verifier for a key that has none, from now on in `key.verifier`."""
        verifier: Verifier
        if key.key_type == "hmac":
            secret = self._open_secret(key)
            if not secret:
                return _SECRET_UNAVAILABLE
            verifier = HmacVerifier(secret)
        else:
            verifier = public_verifier(key.key_type, key.public_key)
        if len(self._holders) >= self._kept:
            # The oldest goes, used or not: a used one is back with its next call, and the gate keeps no order of use.
            self._holders.popleft().verifier = None
        self._holders.append(key)
        key.verifier = verifier
        return verifier
