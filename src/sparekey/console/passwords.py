"""Passwords: which are strong enough, and Argon2id over them, in one thread of its own.

One thread, and one lane of Argon2 within it, so that a crowd that signs in takes one core at most and leaves the other
to trading; what does not fit into the queue is refused as busy. Whoever names an account that does not exist costs the
same work as one that does: a hash is computed either way.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from zxcvbn import zxcvbn

from sparekey.console.refused import ManagementRefused
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

#: NIST SP 800-63B asks for at least 8 where a second factor is on, 15 where none is; ours stands between.
SHORTEST: Final = 12
LONGEST: Final = 128
#: Of zxcvbn's 0 to 4: "safely unguessable: moderate protection from offline slow-hash scenario".
LEAST_SCORE: Final = 3
#: What zxcvbn looks at: its time grows faster than the length, and what begins strong is strong.
_LOOKED_AT = 64
#: Nice levels below the loop: about a tenth of a core that both want.
_LOWER = 10
#: How many may wait for the thread.
MOST_WAITING: Final = 40


class Cost(NamedTuple):
    """Of Argon2id. RFC 9106 §4 recommends 3 passes over 64 MiB where memory is scarce."""

    passes: int = 3
    memory_kib: int = 65_536


#: For tests: as little as Argon2 allows.
CHEAP: Final = Cost(passes=1, memory_kib=8)


class PasswordsBusy(ManagementRefused):
    """More ask for the thread than may wait for it. The same for whoever asks, and about nobody's password."""

    def __init__(self) -> None:
        super().__init__(Refusal(Reason.SERVER_BUSY))


class Passwords:
    """All raise `PasswordsBusy`. Give `stop` to whoever ends the process cleanly."""

    def __init__(self, cost: Cost | None = None, *, most_waiting: int = MOST_WAITING) -> None:
        passes, memory_kib = cost if cost is not None else Cost()
        # One lane: see the module's first lines. A hash names its own parameters, so others verify as well.
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._thread = ThreadPoolExecutor(1, "passwords", initializer=_yield_to_trading)
        self._most_waiting = most_waiting
        self._waiting = 0
        #: Of a password that nobody knows: what an unknown account's is compared with. Made when it is first needed.
        self._nobodys = ""
        #: How many hashes were computed: what tests hold "the same work" against.
        self.hashed = 0

    async def check(self, password: str, about: tuple[str, ...] = ()) -> Refusal | None:
        """Why this may not be anybody's password. `about`: what a guesser would try first, such as the address."""
        text = _normal(password)
        if len(text) < SHORTEST:
            return Refusal(Reason.PASSWORD_WEAK, (f"it has {len(text)} characters, {SHORTEST} are the least",))
        if len(text) > LONGEST:
            return Refusal(Reason.PASSWORD_WEAK, (f"it has more than {LONGEST} characters",))
        return await self._in_thread(lambda: _judge(text, about))

    async def hash(self, password: str) -> str:
        text = _normal(password)
        return await self._in_thread(lambda: self._hash(text))

    async def verify(self, known: str, password: str) -> bool:
        """Whether it is the password that `known` is the hash of; "" stands for an account that does not exist."""
        text = _normal(password)
        return await self._in_thread(lambda: self._verify(known, text))

    def is_outdated(self, known: str) -> bool:
        """Whether a hash was made at another cost than ours of today."""
        try:
            return self._hasher.check_needs_rehash(known)
        except InvalidHashError:
            return False

    def stop(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        if self._waiting >= self._most_waiting:
            raise PasswordsBusy
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        # Counted until the thread is done with it, also when whoever asked has gone away.
        future.add_done_callback(self._left)
        return await asyncio.shield(future)

    def _left(self, future: asyncio.Future[_Result]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # is looked at, should whoever asked have gone away

    def _hash(self, text: str) -> str:
        self.hashed += 1
        return self._hasher.hash(text.encode("utf-8", "surrogatepass"))

    def _verify(self, known: str, text: str) -> bool:
        if not self._nobodys:
            self._nobodys = self._hasher.hash(secrets.token_bytes(32))
        self.hashed += 1
        try:
            return self._hasher.verify(known or self._nobodys, text.encode("utf-8", "surrogatepass")) and bool(known)
        except InvalidHashError:
            _log.error("a sealed password hash is none that can be read")
            return False
        except Argon2Error:
            return False


def _yield_to_trading() -> None:
    """On Linux a priority is a thread's own (man 2 setpriority): where cores are scarce, orders come before hashes."""
    if sys.platform == "linux":
        try:
            lowered = os.getpriority(os.PRIO_PROCESS, 0) + _LOWER
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(lowered, 19))
        except OSError:
            pass  # it takes its turn as everyone, then


def _normal(password: str) -> str:
    """The same character typed on another keyboard is the same (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password[: 4 * LONGEST])


def _judge(text: str, about: tuple[str, ...]) -> Refusal | None:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return Refusal(Reason.PASSWORD_WEAK, ("it holds a control character",))
    parts = (part for one in about for part in (one, *one.split("@"), *one.replace("@", ".").split(".")))
    words = [part for part in parts if len(part) > 2]
    judged = zxcvbn(text[:_LOOKED_AT], user_inputs=words)
    if judged["score"] >= LEAST_SCORE:
        return None
    warning = judged["feedback"]["warning"].rstrip(".")
    return Refusal(Reason.PASSWORD_WEAK, ("it is easy to guess" + (f" ({warning})" if warning else ""),))
