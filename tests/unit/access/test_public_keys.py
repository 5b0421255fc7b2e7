"""Public keys as pasted: the one accepted form, and a sentence for every other."""

from __future__ import annotations

import base64
import datetime
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from sparekey.access.commands import CreateKey, DeleteKey
from sparekey.access.credentials import api_key_from
from sparekey.access.public_keys import PublicKey, parse_public_key, pem_of
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from tests.unit.access.venue_of_keys import Desk, entropy, pem

RSA_OID = bytes.fromhex("06092a864886f70d010101")
PSS_OID = bytes.fromhex("06092a864886f70d01010a")
NULL = b"\x05\x00"
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")

RSA_PRIVATE = rsa.generate_private_key(65_537, 2_048)
RSA_PEM = pem(RSA_PRIVATE)
MODULUS = RSA_PRIVATE.public_key().public_numbers().n
ED_PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ED_PEM = pem(ED_PRIVATE)


def der(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    if size < 128:
        return bytes([tag, size]) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + contents


def integer(number: int) -> bytes:
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def rsa_spki(modulus: int, exponent: int, algorithm: bytes = RSA_OID + NULL) -> bytes:
    key = der(0x30, integer(modulus) + integer(exponent))
    return der(0x30, der(0x30, algorithm) + der(3, b"\0" + key))


def block(contents: bytes, label: str = "PUBLIC KEY") -> str:
    text = base64.b64encode(contents).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def refused(text: str, *naming: str) -> Reason:
    outcome = parse_public_key(text)
    assert isinstance(outcome, Refusal), outcome
    assert "{" not in outcome.explanation
    for name in naming:
        assert name in outcome.explanation
    return outcome.reason


@pytest.mark.parametrize("text", [RSA_PEM, ED_PEM])
def test_the_same_key_is_the_same_text_however_it_was_pasted(text: str) -> None:
    plain = parse_public_key(text)
    assert isinstance(plain, PublicKey)
    for spelled in (
        "\ufeff" + text,
        text.replace("\n", "\r\n"),
        text.replace("\n", "\\n"),
        text.replace("\n", "\\r\\n"),
        f"\n  {text}\n\n",
        text.replace("\n", " "),
        text.rstrip("\n"),
        pem_of(plain.spki),
    ):
        assert parse_public_key(spelled) == plain


def test_an_ed25519_key_has_the_body_that_binance_shows() -> None:
    outcome = parse_public_key(ED_PEM)
    assert isinstance(outcome, PublicKey)
    assert outcome.type == "ed25519"
    assert outcome.spki.startswith("MCowBQYDK2VwAyEA")
    assert len(outcome.spki) == 60


@pytest.mark.parametrize("bits", [2_048, 3_072, 4_096])
def test_rsa_keys_of_usual_lengths_are_accepted(bits: int) -> None:
    # A modulus need not be a product of two primes to be parsed; only small factors are looked for.
    modulus = (MODULUS << (bits - 2_048)) | 1
    while modulus % 3 == 0 or any(modulus % small == 0 for small in range(3, 1_000, 2)):
        modulus += 2
    outcome = parse_public_key(block(rsa_spki(modulus, 65_537)))
    assert isinstance(outcome, PublicKey)
    assert outcome.type == "rsa"


@pytest.mark.parametrize(
    ("modulus", "exponent", "naming"),
    [
        ((1 << 1_023) + 1_155, 65_537, "1024 bits"),
        ((1 << 2_046) + 9, 65_537, "2047 bits"),
        ((1 << 4_096) + 9, 65_537, "4097 bits"),
        (MODULUS, 1, ""),
        (MODULUS, 2, ""),
        (MODULUS, 3, "exponent"),
        (MODULUS, 17, "exponent"),
        (MODULUS, 65_538, ""),
        (MODULUS, 2**32 + 15, "exponent"),
        (MODULUS, MODULUS - 2, "exponent"),
        (MODULUS, MODULUS + 2, ""),
        (MODULUS - 1, 65_537, "small factors"),
        (MODULUS * 3, 65_537, "small factors"),
        (MODULUS * 997, 65_537, "small factors"),
        (0, 65_537, ""),
    ],
    ids=lambda value: "drawn" if isinstance(value, int) and value > 2**64 else str(value),
)
def test_weak_or_dear_rsa_keys_are_refused(modulus: int, exponent: int, naming: str) -> None:
    assert refused(block(rsa_spki(modulus, exponent)), naming) is Reason.PUBLIC_KEY_INVALID


def test_an_rsa_key_of_16384_bits_is_refused_unread() -> None:
    before = time.process_time()
    assert refused(block(rsa_spki((1 << 16_383) + 1, 65_537)), "4096") is Reason.PUBLIC_KEY_INVALID
    assert time.process_time() - before < 1


def test_a_key_bound_to_pss_is_refused_because_pss_signatures_are() -> None:
    for parameters in (b"", der(0x30, b"")):
        text = block(rsa_spki(MODULUS, 65_537, PSS_OID + parameters))
        assert refused(text, "PSS") is Reason.PUBLIC_KEY_INVALID


def test_a_pkcs1_key_is_refused_with_the_command_that_converts_it_whatever_its_label() -> None:
    pkcs1 = RSA_PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    for label in ("RSA PUBLIC KEY", "PUBLIC KEY"):
        assert refused(block(pkcs1, label), "openssl rsa -RSAPublicKey_in") is Reason.PUBLIC_KEY_INVALID


def test_a_certificate_is_refused_with_the_command_that_extracts_the_key() -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bot")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, RSA_PRIVATE.public_key(), 1, start, start.replace(year=2027))
        .sign(RSA_PRIVATE, SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )
    assert refused(certificate, "openssl x509") is Reason.PUBLIC_KEY_INVALID


def test_an_openssh_line_is_refused_with_the_command_that_converts_it() -> None:
    line = ED_PRIVATE.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert refused(line + " bot@host", "ssh-keygen -e -m PKCS8") is Reason.PUBLIC_KEY_INVALID


@pytest.mark.parametrize(
    ("key", "naming"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "elliptic curve"),
        (x25519.X25519PrivateKey.generate(), "X25519"),
        (ed448.Ed448PrivateKey.generate(), "Ed448"),
    ],
)
def test_other_algorithms_are_named(key: object, naming: str) -> None:
    text = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()  # type: ignore[attr-defined]
    assert refused(text, naming, "RSA and Ed25519") is Reason.PUBLIC_KEY_INVALID


#: Encodings of points of order 1, 2, 4 and 8, and encodings of y at or beyond the prime.
WEAK_ED25519 = {
    "y = 0": "00" * 32,
    "y = 1, the neutral point": "01" + "00" * 31,
    "y = -1": "ec" + "ff" * 30 + "7f",
    "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 8, the other": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "y = p": "ed" + "ff" * 30 + "7f",
    "y = p + 1": "ee" + "ff" * 30 + "7f",
    "y = 2^255 - 1": "ff" * 31 + "7f",
    "y = 0, sign": "00" * 31 + "80",
    "y = 1, sign": "01" + "00" * 30 + "80",
    "all ones": "ff" * 32,
    "not on the curve": "02" + "00" * 31,
}


@pytest.mark.parametrize("raw", WEAK_ED25519.values(), ids=WEAK_ED25519.keys())
def test_an_ed25519_key_that_anybody_could_sign_for_is_refused(raw: str) -> None:
    assert refused(block(ED25519_SPKI + bytes.fromhex(raw))) is Reason.PUBLIC_KEY_INVALID


@pytest.mark.parametrize(
    "text",
    [
        "key",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
        ED_PEM + ED_PEM,
        ED_PEM + RSA_PEM,
        ED_PEM.replace("END PUBLIC", "END SECRET"),
        ED_PEM.replace("MCow", "MC!w"),
        ED_PEM.replace("MCow", "MCо" + "w"),  # a Cyrillic letter
        "a comment\n" + ED_PEM,
        ED_PEM + "trailing",
        block(ED25519_SPKI + bytes(31)),
        block(ED25519_SPKI + bytes(33)),
        block(rsa_spki(MODULUS, 65_537) + b"\0\0"),
        block(b""),
        block(b"\x30"),
        block(b"\0" * 64),
        "-----BEGIN PUBLIC KEY-----\n" + "A" * 9_000 + "\n-----END PUBLIC KEY-----",
        "\x00" * 100,
        "\ud800",
    ],
)
def test_everything_else_is_refused_in_a_sentence(text: str) -> None:
    assert refused(text) is Reason.PUBLIC_KEY_INVALID


@pytest.mark.parametrize("text", ["", " \n", "\ufeff"])
def test_an_empty_paste_is_a_missing_key(text: str) -> None:
    assert refused(text) is Reason.PUBLIC_KEY_MISSING


def private_spellings() -> dict[str, str]:
    spelled: dict[str, str] = {}
    for name, key in (("rsa", RSA_PRIVATE), ("ed25519", ED_PRIVATE)):
        formats = {"pkcs8": PrivateFormat.PKCS8, "openssh": PrivateFormat.OpenSSH}
        if name == "rsa":
            formats["pkcs1"] = PrivateFormat.TraditionalOpenSSL
        for form, private_format in formats.items():
            text = key.private_bytes(Encoding.PEM, private_format, NoEncryption()).decode()
            spelled[f"{name} {form}"] = text
            spelled[f"{name} {form} lower case"] = text.lower()
        encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
        spelled[f"{name} encrypted"] = encrypted.decode()
        bare = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        spelled[f"{name} without its lines"] = base64.b64encode(bare).decode()
        spelled[f"{name} named public"] = block(bare)
    spelled["both"] = ED_PEM + spelled["ed25519 pkcs8"]
    spelled["putty"] = "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nAAAA\n"
    return spelled


PRIVATE = private_spellings()
PRIVATE_DER = ED_PRIVATE.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("text", PRIVATE.values(), ids=PRIVATE.keys())
def test_a_private_key_is_told_so_and_never_called_something_else(text: str) -> None:
    assert refused(text) is Reason.PRIVATE_KEY_PASTED


@pytest.mark.parametrize("name", PRIVATE)
def test_a_pasted_private_key_is_kept_nowhere(name: str) -> None:
    desk = Desk()
    account_id = desk.account()
    command = CreateKey(account_id, api_key_from(entropy("x")), "rsa", "bot", 1, public_key=PRIVATE[name])
    refusal = desk.refused(command)  # and the state is as it was
    body = "".join(line for line in PRIVATE[name].splitlines() if "-----" not in line)
    assert body[:20] not in repr(refusal)
    assert body[:20] not in repr(desk.shard.dump())


def test_a_huge_private_key_is_told_by_its_shape_at_once() -> None:
    """Loading it would prove its primes, which takes seconds, or end in an error inside OpenSSL."""
    huge = (1 << 20_000) + 123_457
    diffie_hellman = der(0x30, bytes.fromhex("06092a864886f70d010301") + der(0x30, integer(huge) + integer(2)))
    before = time.process_time()
    for contents in (
        der(0x30, b"".join(map(integer, [0, huge, 65_537, 3, 5, 7, 9, 11, 13]))),
        der(0x30, integer(0) + diffie_hellman + der(4, integer(3))),
    ):
        assert refused(base64.b64encode(contents).decode()) is Reason.PRIVATE_KEY_PASTED
        assert refused(block(contents)) is Reason.PRIVATE_KEY_PASTED
    assert time.process_time() - before < 1


@given(st.binary(max_size=64), st.integers(0, 400), st.integers(0, 16))
def test_no_garbage_in_the_block_ends_in_anything_but_a_sentence(garbage: bytes, at: int, cut: int) -> None:
    for sound in (rsa_spki(MODULUS, 65_537), ED25519_SPKI + bytes(range(32)), PRIVATE_DER):
        spoiled = sound[:at] + garbage + sound[at + cut :]
        for text in (block(spoiled), base64.b64encode(spoiled).decode()):
            outcome = parse_public_key(text)
            if isinstance(outcome, PublicKey):
                assert parse_public_key(pem_of(outcome.spki)) == outcome
            else:
                assert "{" not in outcome.explanation


# --- keys and accounts -----------------------------------------------------------------------------------------------


def test_a_public_key_belongs_to_one_account_until_its_keys_are_deleted() -> None:
    desk = Desk()
    ada, bob = desk.account("ada"), desk.account("bob")

    def make(account_id: int, name: str) -> CreateKey:
        return CreateKey(account_id, api_key_from(entropy(name)), "ed25519", name, 1, public_key=ED_PEM)

    desk.do(make(ada, "one"))
    desk.do(make(ada, "two"))
    assert desk.refused(make(bob, "three")).reason is Reason.PUBLIC_KEY_INVALID
    desk.do(DeleteKey(1))
    assert desk.refused(make(bob, "three")).reason is Reason.PUBLIC_KEY_INVALID
    desk.do(DeleteKey(2))
    desk.do(make(bob, "three"))


def test_the_type_that_was_chosen_must_be_the_type_of_the_key() -> None:
    desk = Desk()
    account_id = desk.account()
    for key_type, text in (("rsa", ED_PEM), ("ed25519", RSA_PEM)):
        command = CreateKey(account_id, api_key_from(entropy("x")), key_type, "bot", 1, public_key=text)
        assert desk.refused(command).reason is Reason.PUBLIC_KEY_INVALID
