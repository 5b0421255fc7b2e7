"""Golden journals: what an engine version decided, kept, so that another decision for the same command is noticed.

A file is the zlib-compressed msgpack of a `Golden`. There is one set per engine version, under
`tests/data/golden/engine-N/`; `python -m tests.make_golden` records them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sparekey.assemble import make_machines
from sparekey.sequencer.ports import ENGINE_VERSION, Batch, Machine
from sparekey.sequencer.recovery import recover, state_digest
from sparekey.storage.journal import MemoryJournal

FOLDER = Path(__file__).parent / "data" / "golden"


class Golden(msgspec.Struct, array_like=True):
    """`digests`: SHA-256 of each shard's state after the last record, in hex."""

    engine: int
    records: int
    digests: dict[str, str]
    batches: list[Batch]


def folder_of(engine: int = ENGINE_VERSION) -> Path:
    return FOLDER / f"engine-{engine}"


def write(path: Path, golden: Golden) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zlib.compress(msgspec.msgpack.encode(golden), 9))


def read(path: Path) -> Golden:
    return msgspec.msgpack.decode(zlib.decompress(path.read_bytes()), type=Golden)


def journal_of(golden: Golden) -> MemoryJournal:
    journal = MemoryJournal()
    for batch in golden.batches:
        journal.append(batch)
    return journal


def digests_of(machines: Mapping[str, Machine]) -> dict[str, str]:
    return {shard: state_digest(machine).hex() for shard, machine in machines.items()}


def replay(golden: Golden) -> dict[str, str]:
    """Apply every event to fresh machines; the digests of what comes out."""
    machines = make_machines()
    recover(machines, journal_of(golden))
    return digests_of(machines)
