"""Snapshots: states to start from, written by a process of their own so that trading never waits for one.

A snapshot file is `MAGIC`, the SHA-256 of the rest, and the rest: one msgpack array of the journal position, the chain
hash there, the engine version, and per shard its sequence, time, state and the state's SHA-256. It is written beside
its name and renamed when it is durable, so that it exists wholly or not at all. Two are kept: should the newer one be
damaged, a start reads the older one and a longer tail.

    python -m sparekey.storage.snapshots JOURNAL SNAPSHOTS MODULE:FACTORY UNTIL

`FACTORY()` returns fresh machines by shard; it is named on the command line because storage must not know which
machines there are.
"""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from sparekey.sequencer.frames import encode
from sparekey.sequencer.ports import (
    ENGINE_VERSION,
    Journal,
    JournalDamaged,
    JournalFailed,
    JournalTooNew,
    Machine,
    Published,
    ShardState,
    Snapshot,
    StateBroken,
)
from sparekey.sequencer.recovery import Recovered, recover
from sparekey.storage.journal import Durability, SqliteJournal
from sparekey.storage.private_files import replace_file

_log = logging.getLogger(__name__)

KEPT = 2
#: A start applies at most about this much tail, in microseconds of replay, and what came in during one snapshot.
TAIL_BUDGET_US = 1_000_000
#: The process yields to the server. On one busy core it still gets about a quarter, which keeps up: applying what
#: others decide, verify and answer costs a tenth of that. At the lowest priority it would starve, and the tail grow.
NICENESS = 5
#: How much further the tail grows before a failed snapshot is tried again.
_RETRY_US = 500_000

_MAGIC = b"SPKSNAP1"
_DIGEST_BYTES = 32


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    position: int
    chain: bytes
    engine: int
    shards: tuple[tuple[str, int, int, bytes, bytes], ...]


class SnapshotDamaged(Exception):
    """A snapshot file contradicts its digests. The text names the file and what is wrong."""


class SnapshotFolder:
    """The snapshots of one data directory. Missing is empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Why files were skipped, for the start's report.
        self.warnings: list[str] = []

    def paths(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob("*.snapshot"), reverse=True)

    def newest_first(self) -> Iterator[Snapshot]:
        for path in self.paths():
            try:
                yield read_snapshot(path)
            except FileNotFoundError:
                continue  # a snapshot process has made a newer one meanwhile, and this one was the third
            except SnapshotDamaged as error:
                self.warnings.append(str(error))
                _log.warning("%s; it is ignored", error)

    def write(self, snapshot: Snapshot) -> Path:
        """Durable on return; older ones than the newest two are deleted."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in self.folder.glob(".*.part"):
            part.unlink(missing_ok=True)
        path = self.folder / f"{snapshot.position:020d}.snapshot"
        body = encode(
            _Stored(
                snapshot.position,
                snapshot.chain,
                snapshot.engine,
                tuple((one.shard, one.seq, one.time_us, one.digest, one.state) for one in snapshot.shards),
            )
        )
        replace_file(path, _MAGIC + sha256(body).digest() + body)
        for old in self.paths()[KEPT:]:
            old.unlink(missing_ok=True)
        return path


def read_snapshot(path: Path) -> Snapshot:
    """Raises `SnapshotDamaged`, or `FileNotFoundError` where it is no longer there."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SnapshotDamaged(f"the snapshot {path} cannot be read: {error.strerror}") from error
    start = len(_MAGIC) + _DIGEST_BYTES
    if content[: len(_MAGIC)] != _MAGIC or sha256(content[start:]).digest() != content[len(_MAGIC) : start]:
        raise SnapshotDamaged(f"the snapshot {path} is damaged or half written: its digest does not match")
    try:
        stored = msgspec.msgpack.decode(content[start:], type=_Stored)
    except msgspec.MsgspecError as error:
        raise SnapshotDamaged(f"the snapshot {path} is unreadable: {error}") from error
    for shard, _, _, digest, state in stored.shards:
        if sha256(state).digest() != digest:
            raise SnapshotDamaged(f"the snapshot {path} is damaged: the state of shard {shard} has another hash")
    return Snapshot(stored.position, stored.chain, stored.engine, tuple(ShardState(*one) for one in stored.shards))


def take_snapshot(
    make_machines: Callable[[], Mapping[str, Machine]], journal: Journal, folder: SnapshotFolder, until: int
) -> Snapshot:
    """Start from the newest snapshot, apply the tail up to `until`, write the state down.

    Raises `StateBroken` if a machine does not load what it dumped: such a snapshot would be a trap.
    """
    machines = make_machines()
    recovered = recover(machines, journal, folder, until=until)
    if recovered.position == recovered.snapshot_position:
        raise ValueError(f"there is a snapshot at position {until} already")
    shards = []
    for shard, machine in machines.items():
        state = encode(machine.dump())
        seq, time_us = recovered.shards.get(shard, (0, 0))
        shards.append(ShardState(shard, seq, time_us, sha256(state).digest(), state))
    for one, machine in zip(shards, make_machines().values(), strict=True):
        machine.load(msgspec.msgpack.decode(one.state))
        if encode(machine.dump()) != one.state:
            raise StateBroken(f"the shard {one.shard} does not load what it dumped at position {until}")
    chain = journal.chain_at(recovered.position)
    if chain is None:
        raise ValueError(f"no batch ends at position {recovered.position}")
    snapshot = Snapshot(recovered.position, chain, ENGINE_VERSION, tuple(shards))
    folder.write(snapshot)
    return snapshot


class SnapshotSchedule:
    """A consumer that starts the snapshot process when the tail has become too dear to replay.

    The cost of a record is the machine's own estimate, because an idle market's tick and an order differ by orders of
    magnitude. One process at a time, at low priority; nothing here waits for it.
    """

    def __init__(
        self,
        machines: Mapping[str, Machine],
        recovered: Recovered,
        start: Callable[[int], subprocess.Popen[bytes]],
        budget_us: int = TAIL_BUDGET_US,
    ) -> None:
        self._costs = {shard: machine.replay_cost_us for shard, machine in machines.items()}
        self._start = start
        self._budget_us = budget_us
        self._threshold_us = budget_us
        self._tail_us = recovered.tail_cost_us
        self._covered_us = 0
        self._process: subprocess.Popen[bytes] | None = None
        #: For the readiness page; "" while all is well.
        self.problem = ""

    @property
    def tail_cost_us(self) -> int:
        """About how long a start would take now to apply the tail."""
        return self._tail_us

    def receive(self, published: Sequence[Published]) -> None:
        costs = self._costs
        for item in published:
            self._tail_us += costs[item.record.shard](item.record.events)
        if self._process is not None:
            self._look_at_process()
        elif self._tail_us >= self._threshold_us:
            self._covered_us = self._tail_us
            try:
                self._process = self._start(published[-1].position)
            except OSError as error:
                self._failed(f"the snapshot process could not be started: {error}")

    def wait(self) -> None:
        """For a clean end: let a running process finish."""
        if self._process is not None:
            self._process.wait()
            self._look_at_process()

    def _look_at_process(self) -> None:
        process = self._process
        assert process is not None
        code = process.poll()
        if code is None:
            return
        self._process = None
        said = process.stderr.read().decode(errors="replace").strip() if process.stderr is not None else ""
        if code != 0:
            self._failed(f"the snapshot process ended with code {code}: {said or 'it said nothing'}")
            return
        self._tail_us -= self._covered_us
        self._threshold_us = self._budget_us
        self.problem = ""

    def _failed(self, problem: str) -> None:
        self.problem = problem.splitlines()[-1]
        self._threshold_us = self._tail_us + _RETRY_US
        _log.warning("%s", problem)


def snapshot_process(
    journal: SqliteJournal, folder: SnapshotFolder, factory: str
) -> Callable[[int], subprocess.Popen[bytes]]:
    """How `SnapshotSchedule` starts the process; `factory` is `package.module:function`."""

    def start(until: int) -> subprocess.Popen[bytes]:
        journal.sync()  # Under NORMAL a snapshot must not outlive the records it holds.
        return subprocess.Popen(
            [sys.executable, "-m", __name__, str(journal.path), str(folder.folder), factory, str(until)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    return start


def main(arguments: Sequence[str]) -> int:
    """The process. Exit code 0 with a snapshot written, else 1 and one line."""
    journal_path, folder_path, factory, until = arguments
    os.nice(NICENESS)
    module, _, function = factory.partition(":")
    make_machines = getattr(importlib.import_module(module), function)
    try:
        journal = SqliteJournal(Path(journal_path), Durability.FULL, read_only=True)
        take_snapshot(make_machines, journal, SnapshotFolder(Path(folder_path)), int(until))
        journal.close()
    except (JournalDamaged, JournalFailed, JournalTooNew, StateBroken, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
