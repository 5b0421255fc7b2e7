"""Receipts: when everything stopped honouring a key that was narrowed or stopped, or an address that was banned.

A receipt is written as it happens: the record of the access shard, then the fence of each shard in the same commit,
then the streams that were closed. When the last call was honoured is read from the call log, which others write, so
that the two can contradict each other if something is wrong. Receipts live in memory, the newest ones; what the
journal holds of them (`accessSeq` and each shard's `seq`) outlives the process.

All times are wall time in int microseconds, as in the call log.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sparekey.access.commands import PanicKeys
from sparekey.access.events import (
    AccessRestored,
    AccessSuspended,
    KeyDeleted,
    KeyDisabled,
    KeyEdited,
    KeyEnabled,
    KeyExpired,
    KeyRotated,
    KycSet,
    TotpEnrolled,
    TotpRemoved,
)
from sparekey.access.state import AccessState
from sparekey.sequencer.ports import Record
from sparekey.storage.calls import CallLog

#: How many receipts are kept.
MOST = 10_000

_CAUSES: dict[type, str] = {
    KeyDeleted: "deleted",
    KeyDisabled: "disabled",
    KeyEdited: "edited",
    KeyExpired: "expired",
    KeyRotated: "rotated",
    KycSet: "kyc-withdrawn",
    TotpRemoved: "factor-removed",
    AccessSuspended: "suspended",
}
_OF_ACCOUNT = (KycSet, TotpRemoved, AccessSuspended)
#: After these a key that was stopped may be served again.
_GIVES_BACK = (KeyEnabled, AccessRestored, KycSet, TotpEnrolled)
_PAGE = 1_000
_PAGES = 100


class Receipt(msgspec.Struct, eq=False):
    """`key_id` is 0 for an address. `ends_us`: calls from then on are honoured again, on other terms; 0: they are not.

    `shards` holds (shard, sequence of the fence, time).
    """

    key_id: int
    subject: str
    cause: str
    access_seq: int
    access_us: int
    ends_us: int = 0
    shards: list[tuple[str, int, int]] = msgspec.field(default_factory=list)
    streams_closed: int = 0
    closed_us: int = 0


class Receipts:
    """Written on the loop by whoever stops things."""

    def __init__(self, state: AccessState, calls: CallLog, wall_us: Callable[[], int], most: int = MOST) -> None:
        self._state = state
        self._calls = calls
        self._wall_us = wall_us
        self._most = most
        self._kept: deque[Receipt] = deque()
        #: API key or address → its receipts, oldest first
        self._of: dict[str, list[Receipt]] = {}

    # --- writing -----------------------------------------------------------------------------------------------------

    def note(self, record: Record, narrowed: Sequence[int]) -> None:
        """A record of the access shard was applied, after which these keys may do less."""
        now_us = self._wall_us()
        if any(isinstance(event, _GIVES_BACK) for event in record.events):
            self._note_given_back(now_us)
        if not narrowed:
            return
        own = {event.key_id: type(event) for event in record.events if hasattr(event, "key_id")}
        of_account = next((type(event) for event in record.events if type(event) in _OF_ACCOUNT), AccessSuspended)
        for key_id in narrowed:
            key = self._state.keys[key_id]
            cause = _CAUSES[own.get(key_id, of_account)]
            if isinstance(record.command, PanicKeys):
                cause = "panic"
            for earlier in self._of.get(key.api_key, ()):
                earlier.ends_us = earlier.ends_us or now_us
            # Narrowed, but not stopped: what comes after is honoured on the new terms.
            ends_us = now_us if key.standing is None else 0
            self._keep(Receipt(key_id, key.api_key, cause, record.seq, now_us, ends_us))

    def fenced(self, key_id: int, shard: str, seq: int) -> None:
        """The shard refuses from now on what the key was admitted for before."""
        self._of[self._state.keys[key_id].api_key][-1].shards.append((shard, seq, self._wall_us()))

    def banned(self, ip: str) -> None:
        self._keep(Receipt(0, ip, "banned", 0, self._wall_us()))

    def stream_closed(self, key_id: int, ip: str) -> None:
        """A stream was ended because of its key, or, without one, because of its address."""
        receipts = self._of.get(self._state.keys[key_id].api_key if key_id else ip)
        if receipts:
            receipts[-1].streams_closed += 1
            receipts[-1].closed_us = self._wall_us()

    def _note_given_back(self, now_us: int) -> None:
        for receipt in self._kept:
            if receipt.key_id and not receipt.ends_us and self._state.keys[receipt.key_id].standing is None:
                receipt.ends_us = now_us

    def _keep(self, receipt: Receipt) -> None:
        self._kept.append(receipt)
        self._of.setdefault(receipt.subject, []).append(receipt)
        if len(self._kept) > self._most:
            oldest = self._kept.popleft()
            rest = self._of[oldest.subject]
            rest.remove(oldest)
            if not rest:
                del self._of[oldest.subject]

    # --- reading -----------------------------------------------------------------------------------------------------

    async def receipts(self, subject: str) -> list[dict[str, Any]]:
        """The receipts of an API key, or of an address, oldest first."""
        found = list(self._of.get(subject, ()))
        honoured = await asyncio.to_thread(lambda: [self._last_honoured_us(one) for one in found])
        return [_document(one, last_us) for one, last_us in zip(found, honoured, strict=True)]

    def _last_honoured_us(self, receipt: Receipt) -> int | None:
        """When the last call came that was answered with success, before others were on other terms."""
        if not receipt.key_id:
            return None
        until_us = receipt.ends_us
        for _ in range(_PAGES):
            entries = self._calls.tail(_PAGE, receipt.subject, until_us)
            for entry in reversed(entries):
                if entry.http == 200:
                    return entry.time_us
            if len(entries) < _PAGE:
                break
            until_us = entries[0].time_us
        return None


def _document(receipt: Receipt, last_honoured_us: int | None) -> dict[str, Any]:
    return {
        "apiKey": receipt.subject if receipt.key_id else None,
        "ip": None if receipt.key_id else receipt.subject,
        "cause": receipt.cause,
        "accessSeq": receipt.access_seq or None,
        "accessUs": receipt.access_us,
        "shards": [{"shard": shard, "seq": seq, "us": time_us} for shard, seq, time_us in receipt.shards],
        "streamsClosed": receipt.streams_closed,
        "closedUs": receipt.closed_us or None,
        "lastHonouredUs": last_honoured_us,
    }
