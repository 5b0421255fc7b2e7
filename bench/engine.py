"""The engine without sockets: commands decided, applied, checked and made durable, in batches as under load.

A quarter of the commands rests, a quarter cancels what rested before, half trades. What is measured is `submit` and
`commit` of the shipped sequencer, spot shard and journal; commands are made beforehand. Runs in a process of its own.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bench import flow
from bench.disk import sync_ms, synced
from bench.processes import ROOT, Cores
from bench.report import Line, Section, verdict
from bench.spread import spread
from sparekey.assemble import load_catalogue, load_policy, make_machines
from sparekey.sequencer.sequencer import Sequencer
from sparekey.storage.datadir import DataDirectory
from sparekey.storage.journal import Durability
from sparekey.storage.journal_opening import open_journal
from sparekey.terms.admissions import operator_admission
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import CancelOrder, Fund, ListAsset, ListSymbol, PlaceOrder, SetOrderLimits
from sparekey.venue.listing import OrderLimit

ACCOUNTS = 100
#: An order that rests is cancelled after so many others: about this many rest, over all symbols.
RESTING = 600
_FUNDS = 10**8 * 10**8


class Plan(NamedTuple):
    runs: int = 7
    commands: int = 30_000
    batches: tuple[int, ...] = (10, 100)


QUICK = Plan(runs=3, commands=10_000)
TINY = Plan(runs=3, commands=400, batches=(100,))


def measure(folder: Path, cores: Cores, plan: Plan) -> Section:
    folder.mkdir(parents=True)
    durable: dict[int, list[Run]] = {batch: [] for batch in plan.batches}
    bare: list[Run] = []
    syncs: list[float] = []
    for run in range(plan.runs):
        syncs += sync_ms(folder)
        for batch in plan.batches:
            durable[batch].append(_in_process(cores, folder / f"{run}-{batch}", plan.commands, batch, "full"))
        bare.append(_in_process(cores, folder / f"{run}-memory", plan.commands, plan.batches[-1], "memory"))
    lines = []
    for batch, measured in durable.items():
        one, cpu = spread([run.rate for run in measured]), spread([run.cpu_us for run in measured])
        last = batch == plan.batches[-1]
        lines.append(
            Line(
                f"durable, {batch} commands a commit",
                f"{one.text('/s', 0)}, CPU {cpu.text(' µs', 1)}",
                "30,000/s (goal 60,000)" if last else "",
                verdict(one.median, 30_000, noisy=one.noisy) if last else "",
            )
        )
    one = spread([run.rate for run in bare])
    lines.append(Line(f"not durable, {plan.batches[-1]} commands a commit", one.text("/s", 0)))
    title = f"Engine without sockets ({ACCOUNTS} accounts, about {RESTING} resting orders, all filters and events)"
    notes = [synced(syncs)]
    return Section(title, lines, {"plan": plan._asdict(), "durable": durable, "memory": bare, "sync_ms": syncs}, notes)


class Run(NamedTuple):
    rate: float
    cpu_us: float


def _in_process(cores: Cores, folder: Path, commands: int, batch: int, durability: str) -> Run:
    arguments = [str(folder), str(commands), str(batch), durability]
    done = subprocess.run(
        ["taskset", "-c", str(cores.server), sys.executable, "-m", "bench.engine", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the engine's run failed:\n{done.stderr[-3000:]}")
    measured = json.loads(done.stdout)
    return Run(measured["rate"], measured["cpu_us"])


# --- in the process that is measured ---------------------------------------------------------------------------------


def commands(accounts: int = ACCOUNTS, seed: int = 1) -> Iterator[Any]:
    """Endless: two that trade, one that rests, one that cancels an older one."""
    trading, resting = flow.pairs(accounts, seed), flow.resting(accounts, seed + 1)
    rested: list[flow.Placement] = []
    while True:
        for _ in range(2):
            yield _place(next(trading))
        one = next(resting)
        rested.append(one)
        yield _place(one, f"rest-{len(rested)}")
        number = len(rested) - RESTING
        if number > 0:
            old = rested[number - 1]
            yield CancelOrder(operator_admission(old.account + 1), old.symbol, 0, f"rest-{number}")


def _place(one: flow.Placement, client_order_id: str = "") -> PlaceOrder:
    return PlaceOrder(
        operator_admission(one.account + 1),
        one.symbol,
        one.side,
        "LIMIT",
        "GTC",
        one.quantity,
        0,
        one.price,
        client_order_id=client_order_id,
    )


class Engine:
    """The shipped parts, wired as `assemble` does it, but nobody outside."""

    def __init__(self, folder: Path, durability: Durability) -> None:
        self.data = DataDirectory.open(folder)
        self.journal = open_journal(self.data, durability).journal
        self.machines = make_machines()
        self.now_us = time.time_ns() // 1000
        clocks: dict[str, Callable[[], int]] = dict.fromkeys(self.machines, lambda: time.time_ns() // 1000)
        self.sequencer = Sequencer(self.journal, self.machines, clocks, lambda commit: None)
        catalogue = load_catalogue()
        self.must(*map(ListAsset, catalogue.assets), *map(ListSymbol, catalogue.symbols))
        limits = load_policy("off").families["spot"].orders
        self.must(
            SetOrderLimits(
                tuple(
                    OrderLimit(one.interval, one.interval_count, one.window_us, one.limit, False, False)
                    for one in limits
                )
            )
        )
        assets = sorted({listed.symbol.removesuffix("USDT") for listed in flow.LISTED} | {"USDT"})
        self.must(*(Fund(account + 1, asset, _FUNDS) for account in range(ACCOUNTS) for asset in assets))

    def must(self, *some: Any) -> None:
        for command in some:
            outcome = self.sequencer.submit("spot", command)
            if isinstance(outcome, Refusal):
                raise RuntimeError(f"{command} was refused: {outcome.explanation}")
        self.sequencer.commit()

    def run(self, some: list[Any], batch: int) -> tuple[float, float]:
        """Seconds on the wall and of CPU."""
        submit, commit = self.sequencer.submit, self.sequencer.commit
        started, cpu_started = time.perf_counter(), time.process_time()
        for start in range(0, len(some), batch):
            for command in some[start : start + batch]:
                if submit("spot", command).__class__ is Refusal:
                    raise RuntimeError(f"{command} was refused")
            commit()
        return time.perf_counter() - started, time.process_time() - cpu_started


def main() -> None:
    folder, count, batch, durability = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    engine = Engine(folder, Durability(durability))
    source = commands()
    engine.must(*islice(source, 4 * RESTING))  # until as many rest as will
    some = list(islice(source, count))
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    wall_s, cpu_s = engine.run(some, batch)
    print(json.dumps({"rate": count / wall_s, "cpu_us": cpu_s / count * 1e6}))


if __name__ == "__main__":
    main()
