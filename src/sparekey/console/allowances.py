"""How often something may be tried: so many times in so long, for each address, or for each account.

Counted is every try, also for accounts that do not exist, so that being refused tells nothing. In bounded memory: when
there is no room for one more subject, it is refused until there is.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from sparekey.terms.clocktime import SECOND_US

MOST_SUBJECTS = 20_000


class Allowance:
    """`most` tries within `window_us`, for each subject. `now_us` is policy time."""

    def __init__(
        self, most: int, window_us: int, now_us: Callable[[], int], *, most_subjects: int = MOST_SUBJECTS
    ) -> None:
        self._most = most
        self._window_us = window_us
        self._now_us = now_us
        self._most_subjects = most_subjects
        #: The times of each one's tries, oldest first; whoever tried last stands last.
        self._tries: dict[str, list[int]] = {}

    def take(self, subject: str) -> int:
        """0 for a try that is allowed, and counted; else in how many seconds the next one is."""
        now_us = self._now_us()
        self._forget_old(now_us)
        tries = [time_us for time_us in self._tries.get(subject, ()) if now_us - time_us < self._window_us]
        if len(tries) >= self._most:
            return self._seconds_until(tries[0] + self._window_us, now_us)
        if not tries and len(self._tries) >= self._most_subjects:
            oldest = next(iter(self._tries.values()))
            return self._seconds_until(oldest[-1] + self._window_us, now_us)
        self._tries.pop(subject, None)
        self._tries[subject] = [*tries, now_us]
        return 0

    def _forget_old(self, now_us: int) -> None:
        while self._tries:
            subject, tries = next(iter(self._tries.items()))
            if now_us - tries[-1] < self._window_us:
                return
            del self._tries[subject]

    @staticmethod
    def _seconds_until(then_us: int, now_us: int) -> int:
        return max(1, -((now_us - then_us) // SECOND_US))


def neighbourhood(ip: str) -> str:
    """What counts as one address: of IPv6 the /64 that one household or host has. "" for none that can be read."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)
