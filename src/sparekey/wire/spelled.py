"""What many hear, written once."""

from __future__ import annotations

from collections.abc import Callable

#: Times in microseconds or in milliseconds → JSON.
Spell = Callable[[bool], bytes]


class Spelled:
    """Encoded at most once for each time unit, however many listen."""

    __slots__ = ("_payloads", "_spell")

    def __init__(self, spell: Spell) -> None:
        self._spell = spell
        self._payloads: list[bytes | None] = [None, None]

    def payload(self, microseconds: bool) -> bytes:
        payload = self._payloads[microseconds]
        if payload is None:
            payload = self._payloads[microseconds] = self._spell(microseconds)
        return payload
