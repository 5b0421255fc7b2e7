"""The outbox: keeps the newest letters for the operator's page, and sends those for which there is a way out.

Without a way out a letter waits in the outbox for whoever runs the platform, so that all works with no provider. With
one it is tried again, each time later, until it is taken, refused for good, or worth nothing any more. What is kept is
memory and bounded; letters carry codes, so none is ever written to disk, and a restart forgets them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import msgspec

from sparekey.terms.letters import Letter

_log = logging.getLogger(__name__)

#: How many letters are kept for the page.
KEPT: Final = 200
#: How many are on their way at most; more are refused, and the page says so.
MOST_UNDER_WAY: Final = 1_000
#: How many are being handed over at once, for each way out.
_AT_ONCE: Final = 4
_FIRST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 600.0

#: What becomes of a letter. KEPT_HERE: there is no way out for its kind.
KEPT_HERE, UNDER_WAY, SENT, FAILED = "kept", "under way", "sent", "failed"


class Undelivered(Exception):
    """A letter was not taken. `for_good`: trying again changes nothing. `told` is for the operator, and may name whom
    the letter is for; `kind` is for logs and metrics, and says nothing of people."""

    def __init__(self, kind: str, told: str, *, for_good: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.told = told
        self.for_good = for_good


class WayOut(Protocol):
    """Hands letters of one kind to somebody who delivers them."""

    async def deliver(self, letter: Letter, number: int) -> None:
        """Raises `Undelivered`. `number` is the letter's own, the same each time it is tried."""


class Posted(msgspec.Struct, eq=False):
    """A letter in the outbox. `letter` is None once it is no longer to be read here."""

    number: int
    kind: str
    to: str
    subject: str
    letter: Letter | None
    posted_us: int
    state: str
    attempts: int = 0
    problem: str = ""
    done_us: int = 0


class Outbox:
    """Made and used on the loop. `readable`: letters that were sent stay readable for the operator; else only those
    that have no other way to their readers."""

    def __init__(
        self,
        ways_out: Mapping[str, WayOut],
        wall_us: Callable[[], int],
        *,
        readable: bool,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ways_out = dict(ways_out)
        self._wall_us = wall_us
        self._readable = readable
        self._loop = asyncio.get_running_loop()
        self._monotonic = self._loop.time if monotonic is None else monotonic
        self._sleep = sleep
        self._gates = {kind: asyncio.Semaphore(_AT_ONCE) for kind in ways_out}
        self._posted: deque[Posted] = deque(maxlen=KEPT)
        self._tasks: dict[asyncio.Task[None], Posted] = {}
        self._last_number = 0
        #: of each kind that has a way out: why its newest attempt failed, or ""
        self._troubles = dict.fromkeys(ways_out, "")
        self.sent = 0
        self.failed = 0

    # --- what others do ----------------------------------------------------------------------------------------------

    def send(self, letter: Letter) -> None:
        """Take the letter. Never blocks, never raises."""
        self._last_number += 1
        posted = Posted(
            number=self._last_number,
            kind=letter.kind,
            to=letter.to,
            subject=letter.subject,
            letter=letter,
            posted_us=self._wall_us(),
            state=UNDER_WAY if letter.kind in self._ways_out else KEPT_HERE,
        )
        self._posted.append(posted)
        if posted.state == KEPT_HERE:
            return
        if len(self._tasks) >= MOST_UNDER_WAY:
            self._give_up(posted, "queue-full", f"{MOST_UNDER_WAY} letters are on their way already")
            return
        task = self._loop.create_task(self._see_to(posted, letter))
        self._tasks[task] = posted
        task.add_done_callback(self._ended)

    def forget(self, to: str) -> None:
        """Drop every letter to this address or number."""
        for task, posted in self._tasks.items():
            if posted.to == to:
                task.cancel()
        kept = [posted for posted in self._posted if posted.to != to]
        self._posted.clear()
        self._posted.extend(kept)

    # --- what the operator sees --------------------------------------------------------------------------------------

    def newest(self) -> list[Posted]:
        """What is kept, newest first."""
        return list(reversed(self._posted))

    def find(self, number: int) -> Posted | None:
        return next((posted for posted in self._posted if posted.number == number), None)

    @property
    def under_way(self) -> int:
        return len(self._tasks)

    @property
    def ways_out(self) -> tuple[str, ...]:
        """The kinds of letters that leave the house."""
        return tuple(self._ways_out)

    @property
    def problem(self) -> str:
        """ "" while letters leave as they should. Names nobody: it is told to whoever asks `/readyz`."""
        said = [f"{kind}: {trouble}" for kind, trouble in self._troubles.items() if trouble]
        waits = "1 letter waits" if len(self._tasks) == 1 else f"{len(self._tasks)} letters wait"
        return f"{'; '.join(said)} ({waits})" if said else ""

    async def stop(self) -> None:
        """Letters that are still on their way are lost, as the journal holds none; the log says how many."""
        tasks = list(self._tasks)
        if tasks:
            _log.warning("%d letters were not delivered before the end", len(tasks))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- within ------------------------------------------------------------------------------------------------------

    async def _see_to(self, posted: Posted, letter: Letter) -> None:
        way_out, gate = self._ways_out[letter.kind], self._gates[letter.kind]
        until = self._monotonic() + letter.worth_s
        pause = _FIRST_PAUSE_S
        while True:
            async with gate:
                posted.attempts += 1
                try:
                    await way_out.deliver(letter, posted.number)
                except Undelivered as error:
                    undelivered = error
                except Exception as error:
                    # A way out that breaks must not take a letter with it without a word.
                    _log.exception("a letter of the kind %s could not be handed over", letter.kind)
                    undelivered = Undelivered("broken", f"the delivery failed inside: {type(error).__name__}")
                else:
                    self._arrived(posted)
                    return
            if undelivered.for_good:
                self._give_up(posted, undelivered.kind, undelivered.told)
                return
            self._troubles[letter.kind] = undelivered.kind
            posted.problem = undelivered.told
            if self._monotonic() + pause >= until:
                self._give_up(posted, undelivered.kind, undelivered.told)
                return
            await self._sleep(pause)
            pause = min(pause * 3, _LONGEST_PAUSE_S)

    def _arrived(self, posted: Posted) -> None:
        posted.state, posted.problem, posted.done_us = SENT, "", self._wall_us()
        self._troubles[posted.kind] = ""
        self.sent += 1
        if not self._readable:
            posted.letter = None

    def _give_up(self, posted: Posted, kind: str, told: str) -> None:
        posted.state, posted.problem, posted.done_us = FAILED, told, self._wall_us()
        self.failed += 1
        if not self._readable:
            posted.letter = None
        _log.warning("letter %d (%s) was not delivered: %s", posted.number, posted.kind, kind)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
