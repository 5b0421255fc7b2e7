"""What a server's age costs: memory when idle, per resting order and per million archived ones; and the next start."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bench import flow
from bench.load import closed_loop
from bench.ours import Sparekey
from bench.processes import Cores
from bench.report import Line, Section, verdict
from bench.signed_requests import Credentials, signed

MEGABYTE = 1_000_000


class Plan(NamedTuple):
    accounts: int = 100
    archived: int = 1_000_000
    resting: int = 40_000
    settle_s: float = 6.0
    starts: int = 3


QUICK = Plan(archived=30_000, resting=5_000, settle_s=3.0)
TINY = Plan(accounts=4, archived=200, resting=60, settle_s=0.2, starts=1)

_FUNDS = dict.fromkeys(("USDT", "BTC", "ETH", "BNB", "LTC", "XRP", "ADA"), "100000000")


def measure(folder: Path, cores: Cores, plan: Plan) -> Section:
    fresh = Sparekey(folder / "fresh", cores.server)
    try:
        time.sleep(plan.settle_s)
        idle = fresh.resident_bytes()
    finally:
        fresh.stop()
    first_start_s = fresh.started_in_s

    # Aged with less than full durability, which writes the same bytes, only sooner.
    options = ("--profile", "off", "--market", "none", "--durability")
    server = Sparekey(folder / "aged", cores.server, *options, "normal")
    try:
        keys = server.keys(plan.accounts, _FUNDS, per_account=1)
        trading, resting = flow.pairs(len(keys), 1), flow.resting(len(keys), 2)
        # First what rests, while no memory has been freed that it could hide in; a fifth of it to warm up.
        _send(server, keys, resting, plan.resting // 5)
        young = _settled(server, plan)
        _send(server, keys, resting, plan.resting)
        loaded = _settled(server, plan)
        # What a busy server holds of its last seconds (queues, rings) is there before archived orders are compared.
        _send(server, keys, trading, plan.archived // 5)
        before = _settled(server, plan)
        sent = _send(server, keys, trading, plan.archived)
        old = _settled(server, plan)
    finally:
        server.stop()
    starts = []
    after = 0
    for _ in range(plan.starts):
        again = Sparekey(folder / "aged", cores.server, *options, "full")
        try:
            starts.append(again.started_in_s)
            after = _settled(again, plan)
        finally:
            again.stop()
    orders = sent + plan.archived // 5 + plan.resting * 6 // 5
    per_order = (loaded - young) / plan.resting
    journal = sum(path.stat().st_size for path in (folder / "aged" / "data").glob("journal*"))
    lines = [
        Line("idle, live market", f"{idle / MEGABYTE:.0f} MB", "under 150 MB", verdict(idle, most=150 * MEGABYTE)),
        Line("a resting order", f"{per_order:,.0f} bytes", "at most 1,024 bytes", verdict(per_order, most=1024)),
        Line(
            f"idle after {sent:,} more archived orders",
            f"{old / MEGABYTE:.0f} MB (before {before / MEGABYTE:.0f}, after a restart {after / MEGABYTE:.0f})",
            "within 10 MB of before",
            verdict(old - before, most=10 * MEGABYTE),
        ),
        Line(
            "first start (market, demo account)", f"{first_start_s:.2f} s", "under 5 s", verdict(first_start_s, most=5)
        ),
        Line(
            f"start after {orders:,} orders (journal {journal / MEGABYTE:,.0f} MB)",
            f"{max(starts):.2f} s at worst of {len(starts)}",
            "under 3 s",
            verdict(max(starts), most=3),
        ),
    ]
    raw = {
        "plan": plan._asdict(),
        "resident": {"idle": idle, "young": young, "resting": loaded, "before": before, "old": old, "restarted": after},
        "starts_s": starts,
        "first_start_s": first_start_s,
        "journal_bytes": journal,
    }
    return Section("Memory and start", lines, raw)


def _settled(server: Sparekey, plan: Plan) -> int:
    """Resident bytes when what was pending has been written."""
    time.sleep(plan.settle_s)
    return server.resident_bytes()


def _send(server: Sparekey, keys: list[Credentials], orders: Iterator[flow.Placement], count: int) -> int:
    sent = 0
    while sent < count:
        requests = [
            signed(
                keys[one.account],
                "POST",
                "/api/v3/order",
                f"symbol={one.symbol}&side={one.side}&type=LIMIT&timeInForce=GTC"
                f"&quantity={flow.money(one.quantity)}&price={flow.money(one.price)}&newOrderRespType=ACK",
            )
            for one in islice(orders, min(20_000, count - sent))
        ]
        answered = once(server, requests)
        if answered != len(requests):
            raise RuntimeError(f"{len(requests) - answered} of {len(requests)} orders were refused")
        sent += answered
    return sent


def once(server: Sparekey, requests: list[bytes]) -> int:
    """Each request once; how many were fine."""
    one = closed_loop(server.port, requests, 0, server.cpu_ns, warm_s=0, exactly=len(requests))
    return one.requests - one.failures
