"""API keys and secrets as texts: 64 letters and digits that a scanner recognises and a typing error does not survive.

    sparekey  <50 random characters>  <6 characters of CRC-32>      an API key
    sparesec  <50 random characters>  <6 characters of CRC-32>      a secret

50 characters out of 62 carry 297 bits. Binance's own keys are 64 alphanumerics without any structure; clients treat
them as opaque, so the structure costs nothing at the wire.
"""

from __future__ import annotations

import zlib

ENTROPY_BYTES = 48
KEY_PREFIX = "sparekey"
SECRET_PREFIX = "sparesec"  # noqa: S105 -- what secrets begin with is no secret

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARACTERS = 50
_CHECK_CHARACTERS = 6  # 62^6 > 2^32


def api_key_from(entropy: bytes) -> str:
    """A new API key out of 48 random bytes; equal bytes give equal keys. ValueError for any other length."""
    return _credential(KEY_PREFIX, entropy)


def secret_from(entropy: bytes) -> str:
    """A new HMAC secret out of 48 random bytes (other ones than the API key's)."""
    return _credential(SECRET_PREFIX, entropy)


def has_valid_checksum(text: str) -> bool:
    """True for an API key or a secret of ours without a typing error. Keys made elsewhere have no checksum."""
    if len(text) != 64 or text[:8] not in (KEY_PREFIX, SECRET_PREFIX) or not text.isascii():
        return False
    return text[-_CHECK_CHARACTERS:] == _checksum(text[:-_CHECK_CHARACTERS])


def is_mistyped(api_key: bytes) -> bool:
    """True for what looks like an API key of ours and cannot be one, because its checksum is wrong.

    It needs no look-up, so a typing error is told from a deleted key without asking anything. The gate asks it once
    its own dictionary does not know the key: that look-up costs a tenth of the checksum, a key that is known has a
    right one, and behind the dictionary, where a look-up would be dear (a database, another process), nobody is asked.
    """
    prefix = KEY_PREFIX.encode()
    return len(api_key) == 64 and api_key.startswith(prefix) and not has_valid_checksum(api_key.decode("latin-1"))


def _credential(prefix: str, entropy: bytes) -> str:
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"{ENTROPY_BYTES} bytes of entropy are needed, not {len(entropy)}")
    # 384 bits folded into 297: what the remainder prefers is below 2^-86 and of no use to anyone.
    body = prefix + _spell(int.from_bytes(entropy, "big"), _RANDOM_CHARACTERS)
    return body + _checksum(body)


def _checksum(body: str) -> str:
    return _spell(zlib.crc32(body.encode("ascii")), _CHECK_CHARACTERS)


def _spell(number: int, characters: int) -> str:
    spelled = []
    for _ in range(characters):
        number, digit = divmod(number, 62)
        spelled.append(_ALPHABET[digit])
    return "".join(spelled)
