"""What keys are made of: chance enough, a form that tells typing errors, public keys of whoever has the other half."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sparekey.access.credentials import KEY_PREFIX, SECRET_PREFIX, has_valid_checksum
from tests.signing import Caller
from tests.unit.access.test_public_keys import MODULUS, PRIVATE, block, rsa_spki
from tests.unit.access.venue_of_keys import pem
from tests.venue import Refused, Venue

#: Public keys that are none, or that anybody could sign for → a word of the reason.
WEAK: dict[str, tuple[str, str]] = {
    "RSA of 1,024 bits": (block(rsa_spki((1 << 1_023) + 1_155, 65_537)), "1024 bits"),
    "RSA of 4,097 bits": (block(rsa_spki((1 << 4_096) + 9, 65_537)), "4097 bits"),
    "RSA with exponent 3": (block(rsa_spki(MODULUS, 3)), "exponent"),
    "RSA with small factors": (block(rsa_spki(MODULUS * 3, 65_537)), "small factors"),
    "Ed25519 of small order": (
        block(bytes.fromhex("302a300506032b6570032100") + b"\1" + bytes(31)),
        "large group",
    ),
    "Ed25519 not canonical": (block(bytes.fromhex("302a300506032b6570032100") + b"\xff" * 31 + b"\x7f"), "canonical"),
    "a certificate": (block(b"\x30\x03\x02\x01\x01", "CERTIFICATE"), "certificate"),
    "an OpenSSH line": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA ada@example.com", "OpenSSH"),
    "two blocks": (pem(Ed25519PrivateKey.generate()) * 2, "more than one"),
    "nothing readable": ("-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----", "base64"),
}


@pytest.fixture(scope="module")
def email(lenient_venue: Venue) -> str:
    return lenient_venue.account()


def create(venue: Venue, email: str, **more: Any) -> Any:
    return venue.ask("POST", f"/accounts/{email}/keys", {"label": "test", "permissions": ["reading"]} | more)


def test_keys_and_secrets_are_drawn_from_the_systems_chance_and_carry_a_checksum(
    lenient_venue: Venue, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[bytes] = []
    original = secrets.token_bytes
    monkeypatch.setattr(secrets, "token_bytes", lambda size=None: drawn.append(original(size)) or drawn[-1])
    documents = [create(lenient_venue, email) for _ in range(5)]
    # Two draws for each, of 384 bits, none of them used twice.
    assert len([one for one in drawn if len(one) == 48]) == 10
    assert len({*drawn}) == len(drawn)
    texts = [document[field] for document in documents for field in ("apiKey", "secretKey")]
    assert len({*texts}) == 10
    for document in documents:
        assert document["apiKey"].startswith(KEY_PREFIX)
        assert document["secretKey"].startswith(SECRET_PREFIX)
    for text in texts:
        assert len(text) == 64
        assert text.isascii()
        assert text.isalnum()
        assert has_valid_checksum(text)
        assert not has_valid_checksum(text[:30] + ("0" if text[30] != "0" else "1") + text[31:])


@pytest.mark.parametrize("name", WEAK)
def test_a_public_key_that_proves_nothing_is_refused_with_the_reason(
    lenient_venue: Venue, email: str, name: str
) -> None:
    text, word = WEAK[name]
    before = lenient_venue.ask("GET", f"/accounts/{email}/keys")
    for key_type in ("rsa", "ed25519"):
        with pytest.raises(Refused) as refused:
            create(lenient_venue, email, type=key_type, publicKey=text)
        assert refused.value.reason == "public-key-invalid"
        assert word in str(refused.value)
    with pytest.raises(Refused):
        lenient_venue.ask("POST", f"/accounts/{email}/challenges", {"publicKey": text})
    assert lenient_venue.ask("GET", f"/accounts/{email}/keys") == before


def test_a_pasted_private_key_is_refused_everywhere_and_kept_nowhere(venue: Venue) -> None:
    """In creation, rotation and challenge; afterwards no file of the server holds a piece of any of them."""
    key = venue.key("ed25519")
    for text in PRIVATE.values():
        for path, body in (
            (f"/accounts/{key.email}/keys", {"label": "x", "type": "rsa", "publicKey": text}),
            (f"/keys/{key.api_key}/rotate", {"overlap": "1h", "publicKey": text}),
            (f"/accounts/{key.email}/challenges", {"publicKey": text}),
        ):
            with pytest.raises(Refused) as refused:
                venue.ask("POST", path, body)
            assert refused.value.reason == "private-key-pasted"
            assert text.splitlines()[-1] not in str(refused.value) or len(text.splitlines()[-1]) < 20
    Caller(venue.url, key)("GET", "/api/v3/account")
    written = b"".join(path.read_bytes() for path in Path(venue.data).rglob("*") if path.is_file())
    for text in PRIVATE.values():
        for line in text.splitlines():
            if len(line) > 40 and not line.startswith("-----"):
                assert line.encode() not in written
    assert json.dumps(venue.ask("GET", f"/accounts/{key.email}/keys")).count("PRIVATE") == 0


def test_a_public_key_is_of_one_account(lenient_venue: Venue, email: str) -> None:
    public_key = pem(Ed25519PrivateKey.generate())
    create(lenient_venue, email, type="ed25519", publicKey=public_key)
    with pytest.raises(Refused) as refused:
        create(lenient_venue, lenient_venue.account(), type="ed25519", publicKey=public_key)
    assert refused.value.reason == "public-key-invalid"
    assert "account" in str(refused.value)


def test_possession_is_proved_over_a_fresh_text_once_and_by_the_right_key_alone(
    lenient_venue: Venue, email: str
) -> None:
    private, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public_key = pem(private)

    def challenge() -> Any:
        return lenient_venue.ask("POST", f"/accounts/{email}/challenges", {"publicKey": public_key})

    def register(nonce: str, text: str, by: Ed25519PrivateKey) -> Any:
        signature = base64.b64encode(by.sign(text.encode())).decode()
        proof = {"nonce": nonce, "signature": signature}
        return create(lenient_venue, email, type="ed25519", publicKey=public_key, proof=proof)

    first = challenge()
    with pytest.raises(Refused):
        register(first["nonce"], first["text"], other)
    with pytest.raises(Refused):  # the wrong signature has spent it
        register(first["nonce"], first["text"], private)
    second = challenge()
    assert second["nonce"] != first["nonce"]
    with pytest.raises(Refused):
        register(second["nonce"], first["text"], private)
    third = challenge()
    document = register(third["nonce"], third["text"], private)
    assert document["secretKey"] is None
    with pytest.raises(Refused):  # the same proof again, as whoever overheard it would send it
        register(third["nonce"], third["text"], private)
