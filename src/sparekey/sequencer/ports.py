"""What the sequencer needs from others: pure state machines to order, and places that make things durable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from sparekey.terms.refusals import Refusal

#: Version of the deciding code, written into every record. Raised when a decision changes for the same command.
ENGINE_VERSION = 1


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One command and what followed from it, on one shard. `seq` starts at 1 and has no gaps within a shard."""

    shard: str
    seq: int
    time_us: int
    engine: int
    command: Any
    events: Sequence[Any]


class Machine(Protocol):
    """A shard's pure state: decides commands, applies events, and can be written down canonically.

    `execute` is the live path: it decides and applies, internal steps included, and returns the events, or a refusal
    and leaves the state as it was. `apply` is the path of a start: events only, nothing is decided.
    Effects are facts that consumers need and that state does not keep (closed orders, prints); `drain` hands them over.
    """

    name: str

    def execute(self, command: Any, time_us: int) -> Sequence[Any] | Refusal: ...

    def apply(self, events: Sequence[Any], time_us: int) -> None: ...

    def drain(self) -> Sequence[Any]: ...

    def dump(self) -> Any:
        """Canonical plain data (lists, ints, strings) of the whole state: equal states give equal bytes."""
        ...

    def load(self, data: Any) -> None: ...

    def decode_command(self, raw: bytes | msgspec.Raw) -> Any: ...

    def decode_events(self, raw: bytes | msgspec.Raw) -> Sequence[Any]: ...


class Batch(msgspec.Struct, frozen=True, gc=False):
    """One journal row: records `first`..`last` (positions in the whole journal) as one msgpack frame."""

    first: int
    last: int
    frame: bytes


class Journal(Protocol):
    """Append-only, hash-chained. `append` returns when the batch is durable, or raises `JournalFailed`."""

    def append(self, batch: Batch) -> None: ...

    def read(self, after: int = 0) -> Iterator[Batch]:
        """Batches with `last > after`, in order, each verified; raises `JournalDamaged`, naming the position."""
        ...

    @property
    def position(self) -> int:
        """Position of the last durable record; 0 when empty."""
        ...

    def close(self) -> None: ...


class JournalFailed(Exception):
    """A commit did not become durable. The process must end: what it holds in memory may be ahead of the disk."""


class JournalDamaged(Exception):
    """The journal on disk contradicts its checksums, its hash chain or its checkpoints. The text names where."""


class Published(msgspec.Struct, frozen=True, gc=False):
    """What consumers (archive, market views, streams) receive once a record is durable."""

    record: Record
    effects: Sequence[Any]


class Consumer(Protocol):
    def receive(self, published: Iterable[Published]) -> None: ...
