"""Listen keys: the retired way to open a user data stream, which several clients in use still take.

A key lives 60 minutes; each keep-alive starts the hour anew, and asking again while it lives returns the same one
(Binance spot, "User data streams", as documented until 2025). They are not journaled: a restart ends streams anyway.

Each API key has a listenKey of its own, so that what becomes of one API key touches its own streams and no others.
"""

from __future__ import annotations

import re
import secrets

from sparekey.terms.clocktime import HOUR_US

VALIDITY_US = HOUR_US
_ENTROPY_BYTES = 48  # 64 characters of URL-safe base64
_SPELLING = re.compile(r"[A-Za-z0-9_-]{64}\Z")


def is_listen_key(text: str) -> bool:
    """Whether it looks like one, alive or not."""
    return _SPELLING.match(text) is not None


class ListenKey:
    """`key_id` is the API key that opened it: what becomes of that one becomes of the stream.

    `closed`: its owner closed it, before its time.
    """

    __slots__ = ("account_id", "closed", "expires_us", "key_id", "text")

    def __init__(self, text: str, account_id: int, key_id: int, expires_us: int) -> None:
        self.text = text
        self.account_id = account_id
        self.key_id = key_id
        self.expires_us = expires_us
        self.closed = False


class ListenKeys:
    """One live key per API key and product (`spot`, `margin`, `um`, `cm`). Times are policy time."""

    def __init__(self) -> None:
        self._by_text: dict[str, ListenKey] = {}
        self._by_owner: dict[tuple[str, int], ListenKey] = {}

    def open(self, product: str, account_id: int, key_id: int, now_us: int) -> str:
        """The API key's live listenKey with a fresh hour, or a new one."""
        owner = (product, key_id)
        held = self._by_owner.get(owner)
        if held is None or held.expires_us <= now_us:
            if held is not None:
                del self._by_text[held.text]
            held = ListenKey(secrets.token_urlsafe(_ENTROPY_BYTES), account_id, key_id, 0)
            self._by_owner[owner] = self._by_text[held.text] = held
        held.expires_us = now_us + VALIDITY_US
        return held.text

    def find(self, text: str, now_us: int) -> ListenKey | None:
        """A live key, for streams to connect with."""
        held = self._by_text.get(text)
        return held if held is not None and held.expires_us > now_us else None

    def keep_alive(self, text: str, account_id: int, now_us: int) -> bool:
        """False: no live key of this account reads so."""
        held = self.find(text, now_us)
        if held is None or held.account_id != account_id:
            return False
        held.expires_us = now_us + VALIDITY_US
        return True

    def close(self, text: str, account_id: int, now_us: int) -> bool:
        """False: no live key of this account reads so."""
        held = self.find(text, now_us)
        if held is None or held.account_id != account_id:
            return False
        held.closed = True
        del self._by_text[text]
        self._by_owner = {owner: key for owner, key in self._by_owner.items() if key is not held}
        return True

    def revoke(self, key_id: int) -> None:
        """What an API key opened ends with it."""
        for owner, held in list(self._by_owner.items()):
            if held.key_id == key_id:
                held.closed = True
                del self._by_owner[owner]
                del self._by_text[held.text]
