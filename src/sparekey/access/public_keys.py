"""Public keys of self generated API keys: what is accepted, and one sentence for everything that is not.

Accepted is an SPKI PEM block ("BEGIN PUBLIC KEY", as Binance asks for it) with an RSA key of 2048 to 4096 bits or an
Ed25519 key. Windows line ends, a byte order mark, blanks around it and line ends written as `\\n` do no harm.
"""

from __future__ import annotations

import base64
import binascii
import math
import re

import msgspec
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from nacl.bindings import crypto_core_ed25519_is_valid_point

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

RSA_BITS_MIN = 2048
RSA_BITS_MAX = 4096
#: A long exponent makes each verification as dear as a signature, which would be a way to burn our time.
RSA_EXPONENT_MAX = 2**32 - 1
RSA_EXPONENT_MIN = 65_537
#: An RSA-4096 block has about 800 characters.
_TEXT_MAX = 8_192
_DER_MAX = 1_024

_DER_INTEGER, _DER_OCTETS, _DER_SEQUENCE = 0x02, 0x04, 0x30
_ED25519_PRIME = 2**255 - 19

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,64})-----(.*)-----END \1-----", re.DOTALL)
#: id-RSASSA-PSS as DER: such a key is bound to PSS signatures, which are not accepted.
_RSA_PSS = bytes.fromhex("06092a864886f70d01010a")
_SMALL_PRIMES = math.prod(n for n in range(3, 1_000, 2) if all(n % d for d in range(3, 32, 2) if d < n))

_LABELS = {
    "RSA PUBLIC KEY": "it is in PKCS#1 form; convert it with `openssl rsa -RSAPublicKey_in -in KEY -pubout`",
    "CERTIFICATE": "it is a certificate; extract the key with `openssl x509 -in FILE -noout -pubkey`",
    "CERTIFICATE REQUEST": "it is a certificate request; extract the key with `openssl req -in FILE -noout -pubkey`",
    "PGP PUBLIC KEY BLOCK": "it is a PGP key",
}
_OTHER_ALGORITHMS: tuple[tuple[type, str], ...] = (
    (ec.EllipticCurvePublicKey, "an elliptic curve (ECDSA)"),
    (dsa.DSAPublicKey, "a DSA"),
    (x25519.X25519PublicKey, "an X25519"),
    (x448.X448PublicKey, "an X448"),
    (ed448.Ed448PublicKey, "an Ed448"),
)


class PublicKey(msgspec.Struct, frozen=True):
    """`type` is "rsa" or "ed25519"; `spki` the base64 of its DER, canonical, so that equal keys have equal texts."""

    type: str
    spki: str


def parse_public_key(text: str) -> PublicKey | Refusal:
    """PEM as pasted → the key, or `PUBLIC_KEY_INVALID` / `PRIVATE_KEY_PASTED` with a sentence."""
    if len(text) > _TEXT_MAX:
        return _invalid(f"it is longer than {_TEXT_MAX} characters")
    text = text.removeprefix("\ufeff").replace("\\r", "").replace("\\n", "\n").strip()
    if "PRIVATE KEY" in text.upper() or "Private-Lines:" in text:
        return Refusal(Reason.PRIVATE_KEY_PASTED)
    if not text:
        return Refusal(Reason.PUBLIC_KEY_MISSING)
    blocks = text.count("-----BEGIN")
    if blocks == 0:
        return _no_block(text)
    if blocks > 1:
        return _invalid("there is more than one PEM block")
    match = _BLOCK.fullmatch(text)
    if match is None:
        return _invalid("the text is not exactly one PEM block with matching BEGIN and END lines")
    label, body = match.groups()
    if label != "PUBLIC KEY":
        return _invalid(_LABELS.get(label, f"the block is named {label}, not PUBLIC KEY"))
    der = _decode_base64("".join(body.split()))
    if der is None:
        return _invalid("the lines between BEGIN and END are not base64")
    return _judge(der)


def pem_of(spki: str) -> str:
    """The stored base64 as a PEM block, to show it to its owner."""
    lines = [spki[start : start + 64] for start in range(0, len(spki), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def _no_block(text: str) -> Refusal:
    if text.startswith(("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-")):
        return _invalid("it is an OpenSSH line; convert it with `ssh-keygen -e -m PKCS8 -f KEY.pub`")
    if "---- BEGIN SSH2 PUBLIC KEY" in text:
        return _invalid("it is in SSH2 form; convert it with `ssh-keygen -i -f KEY | ssh-keygen -e -m PKCS8 -f -`")
    der = _decode_base64("".join(text.split()))
    if der is not None and _is_private(der):
        return Refusal(Reason.PRIVATE_KEY_PASTED)
    return _invalid("the lines BEGIN PUBLIC KEY and END PUBLIC KEY are missing")


def _judge(der: bytes) -> PublicKey | Refusal:
    if _is_private(der):  # the contents decide, not the label
        return Refusal(Reason.PRIVATE_KEY_PASTED)
    if len(der) > _DER_MAX:
        return _invalid(f"it is larger than an RSA key of {RSA_BITS_MAX} bits")
    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, InternalError):
        return _invalid("the block is damaged, or holds no public key that is known here")
    if isinstance(key, rsa.RSAPublicKey):
        sentence = _rsa_form_fault(der) or _rsa_fault(key)
        kind = "rsa"
    elif isinstance(key, ed25519.Ed25519PublicKey):
        sentence = _ed25519_fault(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
        kind = "ed25519"
    else:
        name = next((name for known, name in _OTHER_ALGORITHMS if isinstance(key, known)), "another")
        return _invalid(f"it is {name} key; RSA and Ed25519 are accepted")
    if sentence:
        return _invalid(sentence)
    canonical = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(kind, base64.b64encode(canonical).decode())


def _rsa_form_fault(der: bytes) -> str:
    """The library also takes other forms than SPKI for rsaEncryption, whatever the block is named."""
    if _RSA_PSS in der[:32]:
        return "it is an RSA-PSS key; signatures here are PKCS#1 v1.5, so make a plain RSA key"
    outer = _element(der, 0)
    first = _element(der, outer.start) if outer is not None else None
    # SPKI is a sequence of a sequence and a bit string; PKCS#1 a sequence of two integers.
    return _LABELS["RSA PUBLIC KEY"] if first is None or first.tag == _DER_INTEGER else ""


def _rsa_fault(key: rsa.RSAPublicKey) -> str:
    bits = key.key_size
    if not RSA_BITS_MIN <= bits <= RSA_BITS_MAX:
        return f"the RSA key has {bits} bits; {RSA_BITS_MIN} to {RSA_BITS_MAX} are accepted"
    numbers = key.public_numbers()
    exponent = numbers.e
    if exponent % 2 == 0:
        return "the RSA exponent is even"
    if not RSA_EXPONENT_MIN <= exponent <= RSA_EXPONENT_MAX:
        return f"the RSA exponent is not within {RSA_EXPONENT_MIN} and {RSA_EXPONENT_MAX}; 65537 is usual"
    if numbers.n % 2 == 0 or math.gcd(numbers.n, _SMALL_PRIMES) != 1:
        return "the RSA modulus has small factors"
    return ""


def _ed25519_fault(raw: bytes) -> str:
    # The last bit is the sign of x; the rest is y, which has one spelling below the field's prime.
    if int.from_bytes(raw, "little") % 2**255 >= _ED25519_PRIME:
        return "the Ed25519 key is not in canonical form"
    if not crypto_core_ed25519_is_valid_point(raw):
        return "the Ed25519 key is no point of the large group: anybody could forge signatures for it"
    return ""


def _is_private(der: bytes) -> bool:
    """By its shape alone: to load somebody's private key can take seconds, or fail in ways of its own.

    PKCS#8, PKCS#1 and SEC 1 begin with a small version number, encrypted PKCS#8 with an algorithm and an octet string;
    SPKI with an algorithm and a bit string, a PKCS#1 public key with a large number.
    """
    outer = _element(der, 0)
    first = _element(der, outer.start) if outer is not None and outer.tag == _DER_SEQUENCE else None
    second = _element(der, first.end) if first is not None else None
    if first is None or second is None:
        return False
    if first.tag == _DER_INTEGER:
        return first.end - first.start == 1
    return first.tag == _DER_SEQUENCE and second.tag == _DER_OCTETS


class _Element(msgspec.Struct, frozen=True):
    """One value in DER: its tag, and where its contents start and end."""

    tag: int
    start: int
    end: int


def _element(der: bytes, at: int) -> _Element | None:
    if at + 2 > len(der):
        return None
    tag, size, start = der[at], der[at + 1], at + 2
    if size & 0x80:
        length_bytes = size & 0x7F
        start += length_bytes
        size = int.from_bytes(der[at + 2 : start], "big") if length_bytes <= 4 else len(der)
    return _Element(tag, start, start + size) if start <= len(der) else None


def _decode_base64(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        return None


def _invalid(sentence: str) -> Refusal:
    return Refusal(Reason.PUBLIC_KEY_INVALID, (sentence,))
