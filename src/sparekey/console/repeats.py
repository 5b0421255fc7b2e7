"""What is asked for twice under one `Idempotency-Key` is done once; the second time it is refused.

A script that lost the answer may so send its request again without making a second key, and a request that somebody
recorded does nothing more. The answer is not given again: it may hold a secret, which is shown once.
"""

from __future__ import annotations

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: How many requests are remembered; the oldest is forgotten first, and all of them by a restart.
MOST = 10_000
LONGEST = 128


class Repeats:
    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: dict[tuple[str, str], None] = {}

    def take(self, name: str, owner: str = "") -> Refusal | None:
        """None for a name that is new to its owner; it is taken from now on, also while its request is at work."""
        if len(name) > LONGEST or not (name.isascii() and name.isprintable()):
            return Refusal(
                Reason.REQUEST_INVALID, (f"Idempotency-Key is longer than {LONGEST} characters or has odd ones.",)
            )
        if (owner, name) in self._seen:
            return Refusal(Reason.REQUEST_REPEATED)
        if len(self._seen) >= self._most:
            del self._seen[next(iter(self._seen))]
        self._seen[owner, name] = None
        return None

    def release(self, name: str, owner: str = "") -> None:
        """Its request was refused, so nothing was done: a better one may use the name."""
        self._seen.pop((owner, name), None)
