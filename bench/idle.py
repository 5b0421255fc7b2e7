"""What an idle server writes in a day: the shipped start, on a loop whose clock jumps to whatever is due next."""

from __future__ import annotations

import asyncio
import heapq
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench.processes import ROOT, Cores
from bench.report import Line, Section, verdict

MEGABYTE = 1_000_000
_BLOCK = 512  # what `ru_oublock` counts in


class Plan(NamedTuple):
    hours: int = 24


QUICK = Plan(hours=24)
TINY = Plan(hours=1)


def measure(folder: Path, cores: Cores, plan: Plan) -> Section:
    folder.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "bench.idle", str(folder / "data"), str(plan.hours)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the idle day failed:\n{done.stderr[-3000:]}")
    raw = json.loads(done.stdout.splitlines()[-1])
    day = raw["written"] * 24 / plan.hours
    line = Line(
        f"written in {plan.hours} h, nobody connected" + ("" if plan.hours == 24 else ", scaled to a day"),
        f"{day / MEGABYTE:.1f} MB ({raw['ticks']:,} ticks)",
        "under 50 MB",
        verdict(day, most=50 * MEGABYTE),
    )
    return Section("Idle day", [line], {"plan": plan._asdict(), **raw})


# --- in the process that is measured ---------------------------------------------------------------------------------


class JumpingLoop(asyncio.SelectorEventLoop):
    """Where it would sleep, its clock moves on instead."""

    jumped_s = 0.0

    def time(self) -> float:
        return super().time() + self.jumped_s

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        scheduled: Any = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not ready and scheduled:
            self.jumped_s += max(0.0, scheduled[0]._when - self.time())
        super()._run_once()  # type: ignore[misc]


async def live(data: Path, hours: int) -> dict[str, Any]:
    from sparekey import assemble
    from sparekey.settings import Settings
    from sparekey.storage.archive import Archive

    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    assemble._wall_us = lambda: time.time_ns() // 1000 + int(loop.jumped_s * 1e6)
    assemble._monotonic_us = lambda: int(loop.time() * 1e6)
    receive = Archive.receive

    def receive_and_write(archive: Archive, published: Any) -> None:
        """Its thread keeps real time, and would write a day's worth in a few strokes."""
        receive(archive, published)
        archive.flush()

    Archive.receive = receive_and_write  # type: ignore[method-assign]
    running = await assemble.start(Settings(data=data, port=0))
    await asyncio.sleep(60)
    before, position = _written(), _journal_records(data)
    await asyncio.sleep(hours * 3600)
    after, last = _written(), _journal_records(data)
    await running.stop()
    return {"written": after - before, "ticks": last - position}


def _journal_records(data: Path) -> int:
    import apsw

    journal = apsw.Connection(str(data / "journal.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(next(iter(journal.execute("SELECT max(last) FROM batches")))[0] or 0)
    finally:
        journal.close()


def _written() -> int:
    """Bytes sent towards the disk by this process and by children that have ended."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(one).ru_oublock for one in who) * _BLOCK


def main() -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        print(json.dumps(runner.run(live(Path(sys.argv[1]), int(sys.argv[2])))))


if __name__ == "__main__":
    main()
