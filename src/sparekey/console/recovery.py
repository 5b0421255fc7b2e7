"""Recovery codes: ten, each good once, for whoever lost the device that was the second factor.

A code is a letter that says which of the ten it is, and fifteen more that are random: 75 bits, in the alphabet of
Crockford's base 32, which has no letters that look alike. What is kept is the argon2id hash of each, sealed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

import msgspec

COUNT: Final = 10
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
#: Which of the ten a code is, as its first letter.
_PLACES: Final = "abcdefghjk"
_LENGTH: Final = 16
_GROUP: Final = 4
#: What people type for what they see.
_SAME: Final = str.maketrans({"o": "0", "i": "1", "l": "1", "-": "", " ": "", "–": "", "\t": ""})


def make_codes() -> list[str]:
    return [place + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH - 1)) for place in _PLACES[:COUNT]]


def spelled(code: str) -> str:
    """In groups of four, for people."""
    return "-".join(code[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def parse_code(typed: str) -> tuple[int, str] | None:
    """Which of the ten it would be, and its sixteen letters; None for what cannot be a code."""
    if len(typed) > 4 * _LENGTH:
        return None
    code = typed.strip().lower().translate(_SAME)
    if len(code) != _LENGTH or any(letter not in _ALPHABET for letter in code) or code[0] not in _PLACES:
        return None
    return _PLACES.index(code[0]), code


def encode_hashes(hashes: Sequence[str]) -> bytes:
    """What the vault seals."""
    return msgspec.json.encode(list(hashes))


def decode_hashes(sealed: bytes) -> list[str]:
    return msgspec.json.decode(sealed, type=list[str])
