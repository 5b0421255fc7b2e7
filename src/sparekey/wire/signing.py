"""The signed payload: the raw query without its signature pair, then the raw body without its own, nothing between.

Bytes count exactly as they were sent (spot REST, "Signed endpoints": percent-encode before signing; enforced since
2026-01-15). Nothing is decoded, re-encoded or sorted, because two spellings of one value are two payloads.
"""

from __future__ import annotations

_NAME = b"signature="
_NAME_LENGTH = len(_NAME)
_AMPERSAND = 38


def signed_payload(query: bytes, body: bytes) -> bytes:
    """What the caller must have signed. Each place loses its first signature pair with one adjoining `&`."""
    if not body:
        return without_signature(query)
    return without_signature(query) + without_signature(body)


def without_signature(raw: bytes) -> bytes:
    """`b"a=1&signature=ff&b=2"` → `b"a=1&b=2"`. Only a whole name counts: `mysignature=` stays."""
    at = raw.rfind(_NAME)  # clients put it last
    while at > 0 and raw[at - 1] != _AMPERSAND:
        at = raw.rfind(_NAME, 0, at + _NAME_LENGTH - 1)
    if at < 0:
        return raw
    end = raw.find(b"&", at)
    if end < 0:
        return raw[: at - 1] if at else b""
    return raw[:at] + raw[end + 1 :]
