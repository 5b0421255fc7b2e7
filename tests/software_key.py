"""A passkey's device in software, for tests: makes and uses EC P-256 credentials as WebAuthn level 2 words them.

Whatever a device or a browser could get wrong, or a thief would try, is an argument.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


class SoftwareKey:
    """`count` is the signature counter; a device that keeps its passkeys in step with others has 0 for ever."""

    def __init__(self, *, count: int = 1) -> None:
        self.credential_id = secrets.token_bytes(32)
        self.count = count
        self.holder = b""
        self._private = ec.generate_private_key(ec.SECP256R1())

    def create(
        self,
        options: str,
        *,
        origin: str,
        verified: bool = True,
        rp_id: str | None = None,
        kind: str = "webauthn.create",
    ) -> str:
        """What `navigator.credentials.create` answers, as the page sends it."""
        asked = json.loads(options)
        self.holder = _bytes(asked["user"]["id"])
        data = self._authenticator_data(rp_id or asked["rp"]["id"], verified, attested=True)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": _text(_said(kind, asked["challenge"], origin)),
            "attestationObject": _text(attestation),
            "transports": ["internal", "usb"],
        }
        return self._answer(response)

    def get(
        self,
        options: str,
        *,
        origin: str,
        verified: bool = True,
        rp_id: str | None = None,
        kind: str = "webauthn.get",
        holder: bytes | None = None,
    ) -> str:
        """What `navigator.credentials.get` answers, as the page sends it."""
        asked = json.loads(options)
        if self.count:
            self.count += 1
        data = self._authenticator_data(rp_id or asked["rpId"], verified)
        said = _said(kind, asked["challenge"], origin)
        signature = self._private.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256()))
        response = {
            "clientDataJSON": _text(said),
            "authenticatorData": _text(data),
            "signature": _text(signature),
            "userHandle": _text(self.holder if holder is None else holder),
        }
        return self._answer(response)

    def _answer(self, response: dict[str, Any]) -> str:
        name = _text(self.credential_id)
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
        )

    def _authenticator_data(self, rp_id: str, verified: bool, *, attested: bool = False) -> bytes:
        flags = _PRESENT | (_VERIFIED if verified else 0) | (_ATTESTED if attested else 0)
        data = hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")
        if not attested:
            return data
        numbers = self._private.public_key().public_numbers()
        # COSE: EC2, ES256, P-256 (RFC 9053).
        public_key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        identified = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        return data + identified + cbor2.dumps(public_key)


def _said(kind: str, challenge: str, origin: str) -> bytes:
    return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
