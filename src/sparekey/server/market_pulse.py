"""What drives the market streams: each commit, and a timer that runs only while somebody listens to something timed.

The timer keeps to whole tenths of a second and whole seconds of the wire clock, so that a candle's end is told as the
next one begins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from sparekey.sequencer.ports import Published
from sparekey.server.sockets import Sockets
from sparekey.terms.clocktime import SECOND_US
from sparekey.wire.market_feed import MarketFeed

_log = logging.getLogger(__name__)


class _Handle(Protocol):
    def cancel(self) -> object: ...


class MarketPulse:
    """Implements the sequencer's `Consumer`; to be added before `sockets`, which sends what was said here.

    `hurry` commits what nobody has waited for so far.
    """

    def __init__(
        self,
        feed: MarketFeed,
        sockets: Sockets,
        wire_us: Callable[[], int],
        call_later: Callable[[float, Callable[[], object]], _Handle],
        hurry: Callable[[], object],
    ) -> None:
        self._feed = feed
        self._sockets = sockets
        self._wire_us = wire_us
        self._call_later = call_later
        self._hurry = hurry
        self._handle: _Handle | None = None
        feed.on_period = self._arm

    def receive(self, published: Sequence[Published]) -> None:
        feed = self._feed
        try:
            for one in published:
                if one.effects and one.record.shard == "spot":
                    feed.tell(one)
            feed.heard(published[-1].position)
        except Exception:
            self._lose()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        """When the next pulse is due, if there is to be one."""
        self.stop()
        period_us = self._feed.period_us
        if period_us:
            wait_us = period_us - self._wire_us() % period_us
            self._handle = self._call_later(wait_us / SECOND_US, self._wake)

    def _wake(self) -> None:
        self._handle = None
        try:
            if not self._feed.pulse(self._wire_us()):
                self._hurry()
        except Exception:
            self._lose()
        self._sockets.flush()
        self._arm()

    def _lose(self) -> None:
        _log.exception("market streams cannot tell what happened; all streams are closed")
        self._sockets.end_all("Events were lost.")
