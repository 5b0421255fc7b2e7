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
    and leaves the state as it was. No events mean that nothing changed; such an outcome is not journaled.
    `apply` is the path of a start: events only, nothing is decided.
    Effects are facts that consumers need and that state does not keep (closed orders, prints); `drain` hands them over.
    """

    name: str

    def execute(self, command: Any, time_us: int) -> Sequence[Any] | Refusal: ...

    def apply(self, events: Sequence[Any], time_us: int) -> None: ...

    def drain(self) -> Sequence[Any]: ...

    def due(self) -> Any | None:
        """A command that must come before any other, because the last one left something undone; nearly always none."""
        ...

    def check(self) -> str:
        """Asked before every commit: "" while the books balance, else one sentence that says what does not.

        Must be cheap (running totals, not a walk over all accounts).
        """
        ...

    def replay_cost_us(self, events: Sequence[Any]) -> int:
        """About how long `apply` of these events takes at a start, in microseconds; paces snapshots."""
        ...

    def dump(self) -> Any:
        """Canonical plain data (lists, ints within 64 bits, strings) of the whole state: equal states, equal bytes."""
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

    def chain_at(self, position: int) -> bytes | None:
        """Chain hash of the batch that ends at `position`; None where no batch ends there."""
        ...

    def sync(self) -> None:
        """Make durable what `append` left to the operating system (only with less than full durability)."""
        ...

    @property
    def position(self) -> int:
        """Position of the last durable record; 0 when empty."""
        ...

    @property
    def chain(self) -> bytes:
        """Chain hash at `position`."""
        ...

    def close(self) -> None: ...


class JournalFailed(Exception):
    """A commit did not become durable. The process must end: what it holds in memory may be ahead of the disk."""


class JournalDamaged(Exception):
    """The journal on disk contradicts its checksums, its hash chain or its checkpoints. The text names where."""


class JournalTooNew(Exception):
    """A newer Sparekey wrote this; what it means is unknown here. The text names both versions."""


class StateBroken(Exception):
    """A state machine raised, or its books do not balance. The process must end before this becomes durable."""


class ShardState(msgspec.Struct, frozen=True):
    """One shard in a snapshot. `state` is the canonical msgpack of `Machine.dump`, `digest` its SHA-256."""

    shard: str
    seq: int
    time_us: int
    digest: bytes
    state: bytes


class Snapshot(msgspec.Struct, frozen=True):
    """All shards after the record at `position`, where the journal's chain hash is `chain`."""

    position: int
    chain: bytes
    engine: int
    shards: tuple[ShardState, ...]


class Snapshots(Protocol):
    def newest_first(self) -> Iterator[Snapshot]:
        """Sound snapshots only; a damaged one is skipped with a warning that names it."""
        ...


#: Execution ids grow from one execution of an account to the next, and not by one: so many fit behind each record.
EXECUTIONS_A_RECORD = 1 << 16


class Published(msgspec.Struct, frozen=True, gc=False):
    """What consumers (archive, market views, streams) receive once a record is durable.

    `position` is the record's place in the whole journal; a consumer that keeps it knows where to go on.
    """

    record: Record
    effects: Sequence[Any]
    position: int = 0


class Consumer(Protocol):
    def receive(self, published: Sequence[Published]) -> None:
        """Called once per commit, after its replies left. Must not block; what it raises is logged, not passed on."""
        ...


class Follow(Protocol):
    """What other shards must learn from a record, in the same commit: commands, each with its shard."""

    def __call__(self, record: Record) -> Iterable[tuple[str, Any]]: ...
