"""What lets time pass in a venue that nobody asks anything: the market's ticks, recorded prints, and due timers.

All are commands like any other; this only decides when one is due. `call_later` is the event loop's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from sparekey.access.commands import RunDueTimers
from sparekey.market.recordings import Pacing
from sparekey.terms.clocktime import SECOND_US
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import EndReplay, MarketTick, ReplayPrints

_log = logging.getLogger(__name__)

TICK_US = SECOND_US
#: Between two ticks while nobody is connected and no order rests. A quarter of a second early is on time, because the
#: loop wakes us a little late or a little early.
QUIET_US = 10 * SECOND_US
_EARLY_US = SECOND_US // 4
#: A tick never stands for more than this: after a long sleep of the machine the market goes on, it does not catch up.
LONGEST_TICK_US = 60 * SECOND_US
#: A timer is looked at again after this long at most, because the host's clock may be set meanwhile.
LONGEST_WAIT_US = 60 * SECOND_US
#: Recorded prints closer together than this arrive together, and one command has at most so many.
_SHORTEST_WAIT_US = SECOND_US // 50
_PRINTS_AT_ONCE = 500


class Handle(Protocol):
    def cancel(self) -> object: ...


CallLater = Callable[[float, Callable[[], object]], Handle]


class Submit(Protocol):
    """`Sequencer.submit`."""

    def __call__(self, shard: str, command: Any, *, lazy: bool = False) -> Any: ...


class MarketPace:
    """Ticks about once a second while `busy()`, and every ten seconds, lazily, while not.

    `monotonic_us` is a clock that stands still while the machine sleeps, or at least never goes back.
    """

    def __init__(
        self, submit: Submit, busy: Callable[[], bool], monotonic_us: Callable[[], int], call_later: CallLater
    ) -> None:
        self._submit = submit
        self._busy = busy
        self._monotonic_us = monotonic_us
        self._call_later = call_later
        self._last_us = 0
        self._handle: Handle | None = None
        #: For the readiness page; "" while all is well.
        self.problem = ""

    def start(self) -> None:
        self._last_us = self._monotonic_us() - TICK_US
        self.wake()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def wake(self) -> None:
        """Once a second: tick if a tick is due."""
        self._handle = self._call_later(TICK_US / SECOND_US, self.wake)
        now_us = self._monotonic_us()
        elapsed_us = now_us - self._last_us
        busy = self._busy()
        if elapsed_us < (TICK_US if busy else QUIET_US) - _EARLY_US:
            return
        self._last_us = now_us
        outcome = self._submit("spot", MarketTick(min(elapsed_us, LONGEST_TICK_US)), lazy=not busy)
        problem = f"the market does not move: {outcome.explanation}" if isinstance(outcome, Refusal) else ""
        if problem and problem != self.problem:
            _log.warning("%s", problem)
        self.problem = problem


class ReplayPace:
    """Lets recorded prints happen at the distances in time that they were recorded with.

    At the end: `halt` and nothing more happens, `loop` and they begin again, or `simulated` and participants take over.
    """

    def __init__(
        self,
        submit: Submit,
        pacing: Pacing,
        *,
        at_end: str,
        busy: Callable[[], bool],
        monotonic_us: Callable[[], int],
        call_later: CallLater,
    ) -> None:
        self._submit = submit
        self._pacing = pacing
        self._at_end = at_end
        self._busy = busy
        self._monotonic_us = monotonic_us
        self._call_later = call_later
        self._began_us = 0
        self._handle: Handle | None = None
        #: For the readiness page; "" while all is well.
        self.problem = ""

    def start(self) -> None:
        self._began_us = self._monotonic_us()
        self.wake()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def wake(self) -> None:
        """Submit what is due, and come back when the next print is."""
        self._handle = None
        pacing = self._pacing
        prints = pacing.due(self._monotonic_us() - self._began_us, _PRINTS_AT_ONCE)
        if prints:
            symbol = pacing.recording.symbol
            outcome = self._submit("spot", ReplayPrints(symbol, tuple(prints)), lazy=not self._busy())
            if isinstance(outcome, Refusal):
                self.problem = f"the replay of {pacing.recording.name} stopped: {outcome.explanation}"
                _log.warning("%s", self.problem)
                return
        if pacing.finished:
            if self._at_end == "simulated":
                self._submit("spot", EndReplay(pacing.recording.symbol))
            if self._at_end != "loop":
                return
            pacing.rewind()
            # The first print follows the last one like any other, a moment later.
            self._began_us = self._monotonic_us() + TICK_US
        wait_us = pacing.next_us - (self._monotonic_us() - self._began_us)
        self._handle = self._call_later(max(wait_us, _SHORTEST_WAIT_US) / SECOND_US, self.wake)


class DueTimers:
    """Lets the access shard's timers (expiry of keys) go off when their policy time comes."""

    def __init__(
        self,
        submit: Submit,
        next_due_us: Callable[[], int],
        policy_us: Callable[[], int],
        call_later: CallLater,
    ) -> None:
        self._submit = submit
        self._next_due_us = next_due_us
        self._policy_us = policy_us
        self._call_later = call_later
        self._handle: Handle | None = None

    def arm(self) -> None:
        """Look again when the next timer is due; to be called after every record of the access shard."""
        self.stop()
        wait_us = min(max(self._next_due_us() - self._policy_us(), _SHORTEST_WAIT_US), LONGEST_WAIT_US)
        self._handle = self._call_later(wait_us / SECOND_US, self._wake)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _wake(self) -> None:
        if self._next_due_us() <= self._policy_us():
            self._submit("access", RunDueTimers())
        self.arm()
