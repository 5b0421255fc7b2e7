"""Is anybody there? The market keeps pace while somebody is connected, or asked a moment ago and will ask again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from sparekey.server.tally import OTHER, Tally
from sparekey.terms.clocktime import SECOND_US

#: A client that opens a connection for each call is still there between two of them.
LINGERS_US: Final = 15 * SECOND_US


class Audience:
    """Ask `is_there` about once a second. Calls of the API count; whoever only looks at health pages does not."""

    def __init__(
        self, tally: Tally, connections: Callable[[], Collection[object]], monotonic_us: Callable[[], int]
    ) -> None:
        self._tally = tally
        self._connections = connections
        self._monotonic_us = monotonic_us
        self._answered = 0
        self._seen_us = -LINGERS_US

    def is_there(self) -> bool:
        now_us = self._monotonic_us()
        answered = sum(sum(family.by_class) for name, family in self._tally.families() if name != OTHER)
        if answered != self._answered or self._connections():
            self._answered = answered
            self._seen_us = now_us
        return now_us - self._seen_us < LINGERS_US
