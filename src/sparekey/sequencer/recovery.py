"""A start: newest snapshot, then the journal's tail by `apply` only. Nothing acknowledged is ever decided again.

`redecide` is the opposite, for tests: it decides every record of a journal afresh and compares.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from sparekey.sequencer.frames import RawRecord, decode_batch, encode
from sparekey.sequencer.ports import (
    ENGINE_VERSION,
    Consumer,
    Journal,
    JournalDamaged,
    JournalTooNew,
    Machine,
    Published,
    Record,
    Snapshot,
    Snapshots,
)
from sparekey.terms.refusals import Refusal

_log = logging.getLogger(__name__)


class Recovered(msgspec.Struct, frozen=True):
    """Where a start ended: journal position, last (sequence, time_us) per shard, and what the tail cost."""

    position: int
    shards: dict[str, tuple[int, int]]
    snapshot_position: int
    tail_records: int
    tail_cost_us: int


class Diverged(Exception):
    """Deciding a record again gave something else. The text names position, command and both outcomes."""


class Continuity:
    """Follows each shard's sequence and time through the journal; raises `JournalDamaged` at a gap."""

    def __init__(self) -> None:
        self.shards: dict[str, tuple[int, int]] = {}

    def step(self, position: int, record: RawRecord) -> None:
        seq, time_us = self.shards.get(record.shard, (0, 0))
        if record.seq != seq + 1:
            raise JournalDamaged(
                f"at position {position} the shard {record.shard} continues with sequence {record.seq} after {seq}"
            )
        if record.time_us < time_us:
            raise JournalDamaged(f"at position {position} the time of shard {record.shard} goes backwards")
        self.shards[record.shard] = (record.seq, record.time_us)


def state_digest(machine: Machine) -> bytes:
    """SHA-256 of the canonical dump: equal states, equal digests."""
    return sha256(encode(machine.dump())).digest()


def recover(
    machines: Mapping[str, Machine],
    journal: Journal,
    snapshots: Snapshots | None = None,
    *,
    until: int | None = None,
    behind: Sequence[tuple[Consumer, int]] = (),
) -> Recovered:
    """Bring fresh machines to the journal's position (or to `until`, a position where a batch ends).

    `behind`: consumers with the position that each has already; they receive what follows it.
    Raises `JournalDamaged` where the journal contradicts itself or a snapshot is ahead of it, `JournalTooNew` where a
    newer engine wrote.
    """
    end = journal.position if until is None else until
    if end > journal.position:
        raise ValueError(f"the journal ends at position {journal.position}, before {end}")
    snapshot = _choose_snapshot(machines, journal, snapshots, min([end, *(position for _, position in behind)]))
    continuity = Continuity()
    start = 0
    if snapshot is not None:
        start = snapshot.position
        for shard in snapshot.shards:
            machines[shard.shard].load(msgspec.msgpack.decode(shard.state))
            continuity.shards[shard.shard] = (shard.seq, shard.time_us)
    position = start
    cost_us = 0
    for batch in journal.read(after=start):
        if batch.first > end:
            break
        published: list[Published] = []
        for raw in decode_batch(batch):
            position += 1
            machine = machines.get(raw.shard)
            if machine is None:
                raise JournalTooNew(f"position {position} belongs to the unknown shard {raw.shard}")
            continuity.step(position, raw)
            try:
                events = machine.decode_events(raw.events)
                command = machine.decode_command(raw.command) if behind else None
            except msgspec.MsgspecError as error:
                raise JournalDamaged(f"the record at position {position} cannot be decoded: {error}") from error
            machine.apply(events, raw.time_us)
            cost_us += machine.replay_cost_us(events)
            effects = machine.drain()
            if behind:
                record = Record(raw.shard, raw.seq, raw.time_us, raw.engine, command, events)
                published.append(Published(record, effects, position))
        for consumer, reached in behind:
            if reached < batch.last:
                consumer.receive([item for item in published if item.position > reached])
    if position != end:
        raise JournalDamaged(f"the journal can be read up to position {position} instead of {end}")
    return Recovered(position, continuity.shards, start, position - start, cost_us)


def redecide(machines: Mapping[str, Machine], journal: Journal) -> int:
    """Execute every command of the journal on fresh machines; raises `Diverged` at the first other outcome.

    Returns how many records agreed.
    """
    position = 0
    for batch in journal.read():
        for record in decode_batch(batch):
            position += 1
            machine = machines[record.shard]
            command = machine.decode_command(record.command)
            outcome = machine.execute(command, record.time_us)
            machine.drain()
            if isinstance(outcome, Refusal):
                raise Diverged(f"position {position}: {command!r} is refused now: {outcome.explanation}")
            if encode(outcome) != bytes(record.events):
                was = machine.decode_events(record.events)
                raise Diverged(f"position {position}: {command!r} gave {was!r} and gives {outcome!r} now")
    return position


def _choose_snapshot(
    machines: Mapping[str, Machine], journal: Journal, snapshots: Snapshots | None, end: int
) -> Snapshot | None:
    for snapshot in snapshots.newest_first() if snapshots is not None else ():
        if snapshot.position > journal.position:
            # Snapshots hold only what was durable, so the journal was ahead of this once.
            raise JournalDamaged(
                f"the journal's tail is cut off: it ends at position {journal.position}, a snapshot was taken at "
                f"position {snapshot.position}"
            )
        if snapshot.engine > ENGINE_VERSION:
            raise JournalTooNew(
                f"the snapshot at position {snapshot.position} was written by engine version {snapshot.engine}; this "
                f"Sparekey has engine version {ENGINE_VERSION}. Start it with the newer Sparekey"
            )
        if snapshot.position > end:
            continue
        if journal.chain_at(snapshot.position) != snapshot.chain:
            _log.warning("the snapshot at position %d is of another journal; ignored", snapshot.position)
            continue
        unknown = [shard.shard for shard in snapshot.shards if shard.shard not in machines]
        if unknown:
            raise JournalTooNew(f"the snapshot at position {snapshot.position} holds the unknown shard {unknown[0]}")
        return snapshot
    return None
