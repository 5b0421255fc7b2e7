"""An idle server is quiet on the disk: a day of ticks, with marks and signed checkpoints, on accelerated clocks."""

from __future__ import annotations

from pathlib import Path

from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.checkpoints import CheckpointSigner
from sparekey.storage.datadir import DataDirectory
from sparekey.storage.journal import Durability
from sparekey.storage.journal_opening import open_journal
from sparekey.terms.clocktime import DAY_US, SECOND_US
from tests.conftest import demand
from tests.toy_bank import Clock, Loop, Pay, toy_machines

IDLE_TICK_US = 10 * SECOND_US
MEGABYTE = 1_000_000


def written() -> tuple[int, int]:
    """Bytes this process sent towards the disk (whole pages of the system's cache), and bytes it handed to `write`."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["write_bytes"]), int(lines["wchar"])


def a_day_of_ticks(path: Path, *, lazy: bool) -> tuple[float, float]:
    """Megabytes: to the disk, to `write`."""
    with DataDirectory.open(path) as data:
        opened = open_journal(data, Durability.FULL)
        assert opened.checkpoints is not None
        clock, loop = Clock(), Loop()
        signer = CheckpointSigner(opened.checkpoints, opened.journal, clock)
        sequencer = Sequencer(
            opened.journal, toy_machines(), {"bank": clock, "branch": clock}, loop.call_soon, consumers=[signer]
        )
        before = written()
        for _ in range(DAY_US // IDLE_TICK_US):
            clock.now_us += IDLE_TICK_US
            sequencer.submit("bank", Pay(1, 1), lazy=lazy)
            loop.run()
        sequencer.commit()
        opened.journal.close()
        opened.checkpoints.close()
        after = written()
    return (after[0] - before[0]) / MEGABYTE, (after[1] - before[1]) / MEGABYTE


def test_an_idle_day_writes_less_than_fifty_megabytes(tmp_path: Path) -> None:
    demand(Path("/proc/self/io").exists(), "/proc/self/io")
    pages, handed = a_day_of_ticks(tmp_path / "lazy", lazy=True)
    assert pages < 20
    assert handed < 10
