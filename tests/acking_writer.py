"""A process that writes and acknowledges over a pipe until it is killed: `python -m tests.acking_writer DIR ...`.

Prints `ready POSITION` after its start, then one line per released reply: the number of the payment and the journal
position that was durable then.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import apsw

from sparekey.sequencer.ports import JournalFailed
from sparekey.sequencer.recovery import recover
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.checkpoints import CheckpointSigner
from sparekey.storage.datadir import DataDirectory
from sparekey.storage.journal import Durability, SqliteJournal
from sparekey.storage.journal_opening import open_journal
from sparekey.storage.snapshots import SnapshotFolder, SnapshotSchedule, snapshot_process
from tests.power_cut_disk import PowerCutDisk
from tests.toy_bank import Loop, Pay, toy_machines


def wall_us() -> int:
    return time.time_ns() // 1_000


def run(directory: Path, durability: Durability, seed: int) -> None:
    rng = random.Random(seed)
    data = DataDirectory.open(directory)
    opened = open_journal(data, durability)
    assert isinstance(opened.journal, SqliteJournal)
    assert opened.checkpoints is not None
    machines = toy_machines()
    snapshots = SnapshotFolder(data.snapshots_path)
    recovered = recover(machines, opened.journal, snapshots)
    loop = Loop()
    schedule = SnapshotSchedule(
        machines,
        recovered,
        snapshot_process(opened.journal, snapshots, "tests.toy_bank:toy_machines"),
        budget_us=20_000,
    )
    sequencer = Sequencer(
        opened.journal,
        machines,
        {"bank": wall_us, "branch": wall_us},
        loop.call_soon,
        recovered=recovered,
        consumers=[CheckpointSigner(opened.checkpoints, opened.journal, wall_us, interval_us=5_000), schedule],
    )
    say(f"ready {recovered.position}")
    number = recovered.position
    while True:
        for _ in range(rng.choice((1, 1, 5, 60))):
            number += 1
            sequencer.submit(rng.choice(("bank", "branch")), Pay(number, number))

            def acknowledge(number: int = number) -> None:
                say(f"{number} {sequencer.durable_position}")

            sequencer.when_durable(acknowledge)
        loop.run()


def run_into_a_full_disk(directory: Path) -> None:
    """No clean-up, no handler: what the process does by itself when its journal's disk is full."""
    disk = PowerCutDisk("full", free_bytes=30_000)
    journal = SqliteJournal(directory / "journal.db", vfs=disk.name)
    loop = Loop()
    sequencer = Sequencer(journal, toy_machines(), {"bank": wall_us, "branch": wall_us}, loop.call_soon)
    for number in range(1, 10_000):
        sequencer.submit("bank", Pay(number, number))
        sequencer.when_durable(lambda number=number: say(f"{number} {sequencer.durable_position}"))
        try:
            loop.run()
        except (JournalFailed, apsw.Error):
            say("survived")


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    if sys.argv[2] == "full-disk":
        run_into_a_full_disk(Path(sys.argv[1]))
    else:
        run(Path(sys.argv[1]), Durability(sys.argv[2]), int(sys.argv[3]))
