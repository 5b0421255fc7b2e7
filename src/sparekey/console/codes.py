"""Codes that go out by e-mail and SMS: eight digits, for one purpose, for ten minutes, once.

What is kept is a keyed digest, in memory alone: a restart forgets the codes, which costs their owner a second one.
Misses are not counted here but by the writer, over all factors (`StartFactorAttempt`).
"""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from sparekey.terms.clocktime import HOUR_US, MINUTE_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

DIGITS: Final = 8
LIFETIME_US: Final = 10 * MINUTE_US
#: Codes sent for one purpose, by e-mail and SMS together, and for one account within an hour.
SENT_MOST: Final = 5
SENT_MOST_1H: Final = 20
#: Purposes that are remembered at a time; the oldest makes room.
_PURPOSES_MOST: Final = 10_000


class _Sent(msgspec.Struct, eq=False):
    """`digests` by kind (email, sms) hold the newest code of each: a further one takes the place of the last."""

    account_id: int
    digests: dict[str, tuple[bytes, int]] = msgspec.field(default_factory=dict)
    count: int = 0
    newest_us: int = 0


class Codes:
    """`purpose` names what a code is for, and cannot be guessed: a step-up's id, a session's handle and an act.

    `now_us` is policy time.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._key = secrets.token_bytes(32)
        self._purposes: dict[str, _Sent] = {}
        self._sent_at: dict[int, deque[int]] = {}

    def issue(self, kind: str, purpose: str, account_id: int) -> str | Refusal:
        """A new code, which ends the one before of the same kind and purpose."""
        now_us = self._now_us()
        self._forget_old(now_us)
        sent = self._purposes.get(purpose) or _Sent(account_id)
        if sent.count >= SENT_MOST:
            return Refusal(Reason.CODE_LIMIT, (SENT_MOST, "for this"))
        sent_at = self._sent_at.setdefault(account_id, deque())
        while sent_at and sent_at[0] <= now_us - HOUR_US:
            sent_at.popleft()
        if len(sent_at) >= SENT_MOST_1H:
            return Refusal(Reason.CODE_LIMIT, (SENT_MOST_1H, "within an hour"))
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        sent_at.append(now_us)
        sent.count += 1
        sent.newest_us = now_us
        sent.digests[kind] = (self._digest(kind, purpose, code), now_us + LIFETIME_US)
        self._purposes.pop(purpose, None)  # to the end: the newest
        self._purposes[purpose] = sent
        return code

    def check(self, kind: str, purpose: str, typed: str) -> Refusal | None:
        """Whether this is the code; it stays good until it is spent."""
        sent = self._purposes.get(purpose)
        digest, until_us = (None, 0) if sent is None else sent.digests.get(kind, (None, 0))
        if digest is None or until_us <= self._now_us():
            return Refusal(Reason.CODE_EXPIRED)
        code = "".join(typed.split())
        legal = len(code) == DIGITS and code.isascii() and code.isdigit()
        if not legal or not hmac.compare_digest(self._digest(kind, purpose, code), digest):
            return Refusal(Reason.CODE_WRONG)
        return None

    def spend(self, kind: str, purpose: str, typed: str) -> Refusal | None:
        """The same, and the code is over if it was right. One that came to use counts no more among those sent."""
        refusal = self.check(kind, purpose, typed)
        if refusal is None:
            sent = self._purposes[purpose]
            del sent.digests[kind]
            if self._sent_at.get(sent.account_id):
                self._sent_at[sent.account_id].pop()
        return refusal

    def is_waiting(self, kind: str, purpose: str) -> bool:
        """Whether a code was sent that would still be taken."""
        sent = self._purposes.get(purpose)
        return sent is not None and sent.digests.get(kind, (b"", 0))[1] > self._now_us()

    def end(self, purpose: str) -> None:
        """No code for this purpose is taken any more; how many were sent is remembered."""
        sent = self._purposes.get(purpose)
        if sent is not None:
            sent.digests.clear()

    def _digest(self, kind: str, purpose: str, code: str) -> bytes:
        return hmac.digest(self._key, f"{kind}\0{purpose}\0{code}".encode(), "sha256")

    def _forget_old(self, now_us: int) -> None:
        """Purposes and accounts that nobody was sent a code for within an hour."""
        while self._purposes:  # they stand oldest first
            purpose, sent = next(iter(self._purposes.items()))
            if len(self._purposes) < _PURPOSES_MOST and now_us < sent.newest_us + HOUR_US:
                break
            del self._purposes[purpose]
        for account_id in [one for one, times in self._sent_at.items() if not times or times[-1] <= now_us - HOUR_US]:
            del self._sent_at[account_id]
