"""Credentials that must not be let in, for each type of key."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.venue import Credentials

KEY_TYPES = ("hmac", "rsa", "ed25519")


def another_secret(key_type: str, api_key: str) -> Credentials:
    """The API key with a secret, or a private key, that was never its own."""
    if key_type == "hmac":
        return Credentials(api_key, "x" * 64, "", "")
    private = generate_private_key(65_537, 2048) if key_type == "rsa" else Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Credentials(api_key, "", pem, "")


def unknown_key(key_type: str) -> Credentials:
    """A well-formed API key that was never issued."""
    return another_secret(key_type, "A" * 64)
