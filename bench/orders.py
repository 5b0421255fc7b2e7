"""Durable signed LIMIT orders through sockets, gate, engine and journal, as fast as they go and at a steady rate.

The flow trades: every sell finds its buy, so that the books stay small for ever. The steady rate is open-loop: latency
counts from the moment an order was due, so that a stall is not hidden by orders that were never sent.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bench import flow
from bench.disk import BUSY_MS, percentile, sync_ms, synced
from bench.load import Slice, ask, closed_loop, open_loop
from bench.ours import Sparekey
from bench.processes import Cores
from bench.report import Line, Section, verdict
from bench.signed_requests import Credentials, signed
from bench.spread import spread

ACCOUNTS = 100
OFFERED = 2_000


class Plan(NamedTuple):
    rounds: int = 7
    seconds: float = 4.0
    accounts: int = ACCOUNTS
    requests: int = 12_288
    offered: int = OFFERED
    durability: str = "full"


QUICK = Plan(rounds=3, seconds=1.5)
TINY = Plan(rounds=3, seconds=0.1, accounts=4, requests=96, offered=200)

FUNDS = dict.fromkeys(("USDT", "BTC", "ETH", "BNB", "LTC", "XRP", "ADA"), "100000000")


class Broken(Exception):
    """Orders were refused, or the books grew: what was measured is not what was meant."""


def measure(folder: Path, cores: Cores, plan: Plan) -> Section:
    options = ("--profile", "off", "--market", "none", "--durability", plan.durability)
    server = Sparekey(folder, cores.server, *options)
    try:
        keys = server.keys(plan.accounts, FUNDS, per_account=1)
        busy: list[Slice] = []
        steady: list[Slice] = []
        open_orders: list[int] = []
        syncs: list[float] = []
        for number in range(-1, plan.rounds):  # the first round warms up
            seconds = plan.seconds if number >= 0 else plan.seconds / 4
            one = closed_loop(server.port, orders_of(keys, plan.requests, number * 2), seconds, server.cpu_ns)
            other = open_loop(
                server.port, orders_of(keys, plan.requests, number * 2 + 1), plan.offered, seconds, server.cpu_ns
            )
            for slice_ in (one, other):
                if slice_.failures:
                    raise Broken(f"{slice_.failures} of {slice_.requests} orders were refused or not answered")
            syncs += sync_ms(folder)
            if number >= 0:
                busy.append(one)
                steady.append(other)
                open_orders.append(_most_open(server, keys))
    finally:
        server.stop()
    rate = spread([one.rate for one in busy])
    cpu = spread([one.cpu_us for one in busy])
    tails = {share: spread([one.percentile_us(share) / 1000 for one in steady]) for share in (50, 99, 99.9)}
    busy_disk = percentile(syncs, 99) > BUSY_MS
    notes = [synced(syncs)]
    if busy_disk:
        notes.append("It was busy with others' work: latencies and rates are theirs as much as ours.")
    lines = [
        Line(
            "as many as it takes, 64 connections",
            f"{rate.text('/s', 0)}, CPU {cpu.text(' µs', 1)}",
            "6,000/s (goal 10,000)",
            verdict(rate.median, 6_000, noisy=rate.noisy),
        ),
        Line(
            f"{plan.offered:,}/s offered, p99",
            f"{tails[99].median:.1f} ms ({tails[99].low:.1f} to {tails[99].high:.1f})",
            "under 25 ms",
            verdict(tails[99].median, most=25.0, noisy=busy_disk and tails[99].median > 25.0),
        ),
        Line(f"{plan.offered:,}/s offered, p50", f"{tails[50].median:.2f} ms"),
        Line(f"{plan.offered:,}/s offered, p99.9", f"{tails[99.9].median:.1f} ms (worst {tails[99.9].high:.1f})"),
        Line(
            "open orders of the fullest symbol",
            f"{max(open_orders)}",
            "at most 200",
            verdict(max(open_orders), most=200),
        ),
    ]
    raw = {
        "plan": plan._asdict(),
        "open_orders": open_orders,
        "closed_loop": [
            {"rate": one.rate, "cpu_us": one.cpu_us, "busy": one.server_busy, "p99_us": one.percentile_us(99)}
            for one in busy
        ],
        "open_loop": [
            {"rate": one.rate, "cpu_us": one.cpu_us}
            | {f"p{share}_us": one.percentile_us(share) for share in (50, 90, 99, 99.9, 100)}
            for one in steady
        ],
    }
    title = f"Signed LIMIT order, durability {plan.durability} ({plan.accounts} accounts, {len(flow.LISTED)} symbols)"
    return Section(title, lines, raw | {"sync_ms": [round(one, 3) for one in syncs]}, notes)


def orders_of(keys: list[Credentials], count: int, seed: int) -> list[bytes]:
    return [
        signed(
            keys[one.account],
            "POST",
            "/api/v3/order",
            f"symbol={one.symbol}&side={one.side}&type=LIMIT&timeInForce=GTC"
            f"&quantity={flow.money(one.quantity)}&price={flow.money(one.price)}",
        )
        for one in islice(flow.pairs(len(keys), seed), count)
    ]


def _most_open(server: Sparekey, keys: list[Credentials]) -> int:
    """Open orders of all accounts on the symbol that has most of them."""
    by_symbol: dict[str, int] = {}
    for key in keys:
        reply = ask(server.port, signed(key, "GET", "/api/v3/openOrders", ""))
        for order in json.loads(reply.partition(b"\r\n\r\n")[2]):
            by_symbol[order["symbol"]] = by_symbol.get(order["symbol"], 0) + 1
    return max(by_symbol.values(), default=0)
