"""The one writer: puts commands in order, decides them, commits what followed, and only then lets anything out.

Natural group commit: the first record schedules one commit for the next pass of the event loop; whatever has been
applied until then goes into the same journal row. There is no timer, so a lone command waits for nobody, and under
load the batches grow by themselves (the pattern of the LMAX disruptor's journaller).
"""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from sparekey.sequencer.frames import encode_frame
from sparekey.sequencer.ports import (
    ENGINE_VERSION,
    Batch,
    Consumer,
    Follow,
    Journal,
    JournalFailed,
    Machine,
    Published,
    Record,
    StateBroken,
)
from sparekey.sequencer.recovery import Recovered
from sparekey.terms.refusals import Refusal

_log = logging.getLogger(__name__)

#: The process ended because a commit did not become durable (EX_IOERR in sysexits.h).
EXIT_JOURNAL_FAILED = 74
#: The process ended because a state machine raised or its books did not balance (EX_SOFTWARE in sysexits.h).
EXIT_STATE_BROKEN = 70

#: Records per journal row. Larger rows gain nothing and make the first reply of the batch wait for the last record.
BATCH_LIMIT = 1_000
#: How many records that nobody waits for may stay uncommitted: two minutes of an idle market's ticks. A commit dirties
#: about eight pages beside the records (the log's index, the mark, the checkpoint): more often would be mostly those.
LAZY_LIMIT = 12


def end_process(error: BaseException) -> None:
    """One line to standard error, then the end, without any clean-up that could still send replies."""
    code = EXIT_JOURNAL_FAILED if isinstance(error, JournalFailed) else EXIT_STATE_BROKEN
    sys.stderr.write(f"sparekey: {error}. Stopped; nothing unacknowledged was sent. Start again to recover.\n")
    sys.stderr.flush()
    os._exit(code)


class _Lane:
    """A shard's machine with its clock, its last sequence and its last time."""

    __slots__ = ("check", "clock", "drain", "due", "execute", "follow", "seq", "time_us", "touched")

    def __init__(self, machine: Machine, clock: Callable[[], int], follow: Follow | None) -> None:
        self.execute = machine.execute
        self.drain = machine.drain
        self.due = machine.due
        self.check = machine.check
        self.clock = clock
        self.follow = follow
        self.seq = 0
        self.time_us = 0
        self.touched = False


class Sequencer:
    """Owns the machines from here on; nobody else executes on them.

    `clocks` gives int microseconds per shard; times handed to a machine never decrease, also across restarts.
    `schedule` runs a callable soon (`loop.call_soon`); a test may run it at once. `follow` names, per shard, what
    other shards must be told in the same commit. `fatal` ends the process and does not return in production.
    """

    def __init__(
        self,
        journal: Journal,
        machines: Mapping[str, Machine],
        clocks: Mapping[str, Callable[[], int]],
        schedule: Callable[[Callable[[], None]], object],
        *,
        recovered: Recovered | None = None,
        follow: Mapping[str, Follow] | None = None,
        consumers: Sequence[Consumer] = (),
        fatal: Callable[[BaseException], object] = end_process,
        batch_limit: int = BATCH_LIMIT,
        lazy_limit: int = LAZY_LIMIT,
    ) -> None:
        self._journal = journal
        self._schedule = schedule
        self._consumers = list(consumers)
        self._fatal = fatal
        self._batch_limit = batch_limit
        self._lazy_limit = lazy_limit
        self._lanes = {
            shard: _Lane(machine, clocks[shard], (follow or {}).get(shard)) for shard, machine in machines.items()
        }
        if recovered is not None:
            if recovered.position != journal.position:
                raise ValueError(f"recovered to {recovered.position}, but the journal is at {journal.position}")
            for shard, (seq, time_us) in recovered.shards.items():
                self._lanes[shard].seq = seq
                self._lanes[shard].time_us = time_us
        elif journal.position:
            raise ValueError("the journal is not empty: recover first")
        self._applied = self._durable = journal.position
        self._pending: list[Published] = []
        #: Positions that must share a row with the position before: what followed on other shards.
        self._joined: set[int] = set()
        self._waiting: deque[tuple[int, Callable[[], object]]] = deque()
        self._scheduled = False
        self._committing = False
        self._again = False
        self._failure: BaseException | None = None

    @property
    def position(self) -> int:
        """Position of the last record applied; replies computed now leave when this is durable."""
        return self._applied

    @property
    def durable_position(self) -> int:
        return self._durable

    @property
    def pending(self) -> Sequence[Published]:
        """Applied, and not yet received by the consumers: what a history query must merge with the archive."""
        return tuple(self._pending)

    def seq_of(self, shard: str) -> int:
        """Sequence of the shard's last record applied."""
        return self._lanes[shard].seq

    def add_consumer(self, consumer: Consumer) -> None:
        """The consumer receives everything that is not durable yet, and what follows."""
        self._consumers.append(consumer)

    def submit(self, shard: str, command: Any, *, lazy: bool = False) -> Sequence[Any] | Refusal:
        """Decide and apply now; the reply may leave when `when_durable` says so.

        `lazy`: nobody waits for this one (a tick of an idle market); it is committed with the next one that somebody
        waits for, or when enough have gathered. An idle server would else spend a disk write on each tick.
        """
        if self._failure is not None:
            raise self._failure
        lane = self._lanes[shard]
        while (left := lane.due()) is not None and left != command:
            self.submit(shard, left)
        time_us = lane.clock()
        if time_us < lane.time_us:
            time_us = lane.time_us
        else:
            lane.time_us = time_us
        try:
            outcome = lane.execute(command, time_us)
        except Exception as error:
            # The state may be half changed, so it must neither be committed nor read.
            self._fail(StateBroken(f"the shard {shard} failed on {type(command).__name__}: {error!r}"), error)
        if isinstance(outcome, Refusal) or not outcome:
            return outcome
        lane.seq = seq = lane.seq + 1
        lane.touched = True
        record = Record(shard, seq, time_us, ENGINE_VERSION, command, outcome)
        self._applied = position = self._applied + 1
        self._pending.append(Published(record, lane.drain(), position))
        if lane.follow is not None:
            self._tell_others(lane.follow, record)
        if lane.due() is not None:
            self._schedule(lambda: self._go_on(shard))
        if not self._scheduled and (not lazy or len(self._pending) >= self._lazy_limit):
            self._scheduled = True
            self._schedule(self.commit)
        return outcome

    def _go_on(self, shard: str) -> None:
        """What the last command of a shard left undone, unless another one has done it meanwhile."""
        left = self._lanes[shard].due()
        if left is not None and self._failure is None:
            self.submit(shard, left)

    def hurry(self) -> None:
        """Somebody has come who will look: what waits lazily is committed, and published, in the loop's next pass."""
        if self._pending and not self._scheduled and self._failure is None:
            self._scheduled = True
            self._schedule(self.commit)

    def when_durable(self, callback: Callable[[], object]) -> bool:
        """True: everything applied so far is durable, go on now. False: `callback` runs, once, when it is, in order."""
        if self._failure is not None:
            raise self._failure
        if self._applied == self._durable:
            return True
        self._waiting.append((self._applied, callback))
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self.commit)
        return False

    def commit(self) -> None:
        """Make durable everything applied so far, release the replies, then publish."""
        self._scheduled = False
        if self._committing:  # A scheduler that runs at once was called from a released reply.
            self._again = True
            return
        if self._failure is not None:
            return
        self._committing = True
        try:
            while self._durable < self._applied:
                self._again = False
                self._commit_through(self._applied)
                if not self._again:
                    break
        finally:
            self._committing = False

    def _commit_through(self, target: int) -> None:
        for shard, lane in self._lanes.items():
            if lane.touched:
                lane.touched = False
                problem = lane.check()
                if problem:
                    self._fail(StateBroken(f"the books of shard {shard} do not balance: {problem}"))
        while self._durable < target:
            first = self._durable + 1
            last = min(target, self._durable + self._batch_limit)
            while last < target and last + 1 in self._joined:
                last += 1
            chunk = self._pending[: last - first + 1]
            try:
                frame = encode_frame([published.record for published in chunk])
            except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
                self._fail(StateBroken(f"positions {first} to {last} cannot be written down: {error}"), error)
            try:
                self._journal.append(Batch(first, last, frame))
            except JournalFailed as error:
                self._fail(error)
            self._durable = last
            self._release(last)
            self._publish(chunk)
            del self._pending[: len(chunk)]
        self._joined = {position for position in self._joined if position > target}

    def _release(self, last: int) -> None:
        waiting = self._waiting
        while waiting and waiting[0][0] <= last:
            callback = waiting.popleft()[1]
            try:
                callback()
            except Exception:
                _log.exception("a released reply failed")

    def _publish(self, chunk: list[Published]) -> None:
        for consumer in self._consumers:
            try:
                consumer.receive(chunk)
            except Exception:
                _log.exception("%s did not receive positions up to %d", type(consumer).__name__, self._durable)

    def _tell_others(self, follow: Follow, record: Record) -> None:
        scheduled, self._scheduled = self._scheduled, True  # No commit may come between a record and what follows.
        try:
            for shard, command in follow(record):
                before = self._applied
                outcome = self.submit(shard, command)
                if isinstance(outcome, Refusal):
                    self._fail(StateBroken(f"{type(command).__name__} was refused by {shard}: {outcome.explanation}"))
                self._joined.update(range(before + 1, self._applied + 1))
        finally:
            self._scheduled = scheduled

    def _fail(self, error: BaseException, cause: BaseException | None = None) -> Any:
        """Nothing goes out any more. Raises where `fatal` returns, as it does in tests."""
        self._failure = error
        self._waiting.clear()
        if cause is not None:
            error.__cause__ = cause
            _log.error("%s", error, exc_info=cause)
        self._fatal(error)
        raise error
