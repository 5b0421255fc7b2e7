"""Secrets between the moment in which they are made and the one page that shows them.

They are kept in memory alone, for the session that made them, and gone with the first look or after five minutes. What
is not looked at in time is lost, as it is when its page is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sparekey.terms.clocktime import MINUTE_US

_LASTS_US: Final = 5 * MINUTE_US
_MOST: Final = 1_000


class ShownOnce:
    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        #: (session's handle, key) → (secret, end); oldest first
        self._kept: dict[tuple[str, int], tuple[str, int]] = {}

    def __repr__(self) -> str:
        return f"<{len(self._kept)} secrets to show>"

    def keep(self, handle: str, key_id: int, secret: str) -> None:
        self._drop_old()
        if len(self._kept) >= _MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[handle, key_id] = (secret, self._now_us() + _LASTS_US)

    def take(self, handle: str, key_id: int) -> str | None:
        """The secret, this once; None if it was shown, is of another session, or waited too long."""
        self._drop_old()
        kept = self._kept.pop((handle, key_id), None)
        return None if kept is None else kept[0]

    def _drop_old(self) -> None:
        now_us = self._now_us()
        for name in [name for name, (_, end_us) in self._kept.items() if end_us <= now_us]:
            del self._kept[name]
