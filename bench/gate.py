"""Signed calls through the whole gate, beside peers that make the same checks.

All servers run at once, one worker each, on one core; the generator has the other. Short slices alternate between
them in random order, and ratios are taken inside each round.

Not all work is equal. Ours reads and types every parameter, decides the test order with all its filters and writes a
call log with a rollup; nginx writes its access log; FastAPI logs nothing. GET alone is therefore shown as well.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench import peer_servers
from bench.load import Slice, ask, closed_loop, fine
from bench.peer_servers import PeerMissing
from bench.processes import Cores, Server
from bench.report import Line, Section, verdict
from bench.signed_requests import Credentials, mixed, with_wrong_signature, write_keys
from bench.spread import Spread, ratios, spread

KEYS = 1_000
REQUESTS = 8_192


class Plan(NamedTuple):
    rounds: int = 15
    slice_s: float = 1.0
    keys: int = KEYS
    requests: int = REQUESTS


QUICK = Plan(rounds=3, slice_s=0.4)
TINY = Plan(rounds=3, slice_s=0.05, keys=20, requests=64)

Start = Callable[[Path, int, int], tuple[Server, list[Credentials]]]


#: Every how manieth of the mixed requests is sent.
MIXED = 1
GET_ALONE = 2


class NotAGate(Exception):
    """A server lets in what it must refuse, or refuses what it must let in: its speed means nothing."""


def measure(folder: Path, cores: Cores, plan: Plan, start: Start, fastapi_python: str) -> Section:
    """`start` brings up our server with so many keys, in a folder, on a core."""
    servers: list[Server] = []
    missing: list[str] = []
    try:
        server, keys = start(folder / "ours", plan.keys, cores.server)
        servers.append(server)
        keys_file = folder / "keys.tsv"
        keys_file.touch(mode=0o600)
        write_keys(keys, str(keys_file))
        for begin in (
            lambda: peer_servers.nginx("plain", keys_file, folder / "plain", cores.server),
            lambda: peer_servers.nginx("tuned", keys_file, folder / "tuned", cores.server),
            lambda: peer_servers.fastapi(fastapi_python, keys_file, folder / "fastapi", cores.server),
        ):
            try:
                servers.append(begin())
            except PeerMissing as lack:
                missing.append(str(lack))
        for one in servers:
            _try_out(one, keys)
        slices = _rounds(servers, keys, plan, MIXED)
        asking = _rounds(servers, keys, plan, GET_ALONE)
    finally:
        for one in servers:
            one.stop()
    return _section(slices, asking, sorted(set(missing)), plan)


def _try_out(server: Server, keys: list[Credentials]) -> None:
    for request in mixed(keys, 2):
        reply = ask(server.port, request)
        if not fine(reply):
            raise NotAGate(f"{server.name} refuses a right signature: {reply[:300]!r}")
        reply = ask(server.port, with_wrong_signature(request))
        if b"-1022" not in reply:
            raise NotAGate(f"{server.name} accepts a wrong signature: {reply[:300]!r}")


def _rounds(servers: list[Server], keys: list[Credentials], plan: Plan, step: int) -> dict[str, list[Slice]]:
    slices: dict[str, list[Slice]] = {server.name: [] for server in servers}
    chance = random.Random(1)
    for number in range(-1, plan.rounds):  # the first round warms up
        for server in chance.sample(servers, len(servers)):
            requests = mixed(keys, plan.requests)[::step]
            one = closed_loop(server.port, requests, plan.slice_s, server.cpu_ns)
            if one.failures:
                raise NotAGate(f"{server.name} refused {one.failures} of {one.requests} right calls")
            if number >= 0:
                slices[server.name].append(one)
    return slices


def _section(slices: dict[str, list[Slice]], asking: dict[str, list[Slice]], missing: list[str], plan: Plan) -> Section:
    targets = {"nginx + Lua, plain": 1.2, "FastAPI + slowapi": 8.0}
    ours, *peers = slices
    lines = []
    for name, measured in slices.items():
        rate = spread([one.rate for one in measured])
        cpu = spread([one.cpu_us for one in measured])
        lines.append(Line(name, f"{rate.text('/s', 0)}, CPU {cpu.text(' µs', 1)}"))
    for name in peers:
        rate = ratios([one.rate for one in slices[ours]], [one.rate for one in slices[name]])
        cpu = ratios([one.cpu_us for one in slices[name]], [one.cpu_us for one in slices[ours]])
        target = targets.get(name)
        lines.append(
            Line(
                f"{ours} against {name}",
                f"{rate.text(' ×')} by rate, {cpu.text(' ×')} by CPU",
                f"at least {target} ×" if target else "goal: 1 ×",
                _judge(min(rate, cpu, key=lambda one: (one.high - one.low) / one.median), target or 1.0),
            )
        )
    for name in peers:
        cpu = ratios([one.cpu_us for one in asking[name]], [one.cpu_us for one in asking[ours]])
        rate = ratios([one.rate for one in asking[ours]], [one.rate for one in asking[name]])
        lines.append(Line(f"GET alone, against {name}", f"{rate.text(' ×')} by rate, {cpu.text(' ×')} by CPU"))
    idle = [name for name, measured in slices.items() if spread([one.server_busy for one in measured]).median < 0.9]
    notes = [f"Not measured: {lack}" for lack in missing]
    if idle:
        notes.append(f"The core of {', '.join(idle)} was not full; trust the ratio by CPU.")
    raw: dict[str, Any] = {
        "plan": plan._asdict(),
        "slices": _raw(slices),
        "get_alone": _raw(asking),
    }
    title = f"Signed call through the gate ({plan.keys} keys, GET with query and POST with body)"
    return Section(title, lines, raw, notes)


def _judge(steadier: Spread, least: float) -> str:
    """By the steadier of the two ratios. A wide spread that lies on one side of the target still says something."""
    if steadier.noisy and steadier.low < least <= steadier.high:
        return "too noisy"
    return verdict(steadier.low if steadier.noisy else steadier.median, least)


def _raw(slices: dict[str, list[Slice]]) -> dict[str, Any]:
    return {
        name: [
            {
                "rate": round(one.rate, 1),
                "cpu_us": round(one.cpu_us, 2),
                "busy": round(one.server_busy, 3),
                "p50_us": one.percentile_us(50),
                "p99_us": one.percentile_us(99),
            }
            for one in measured
        ]
        for name, measured in slices.items()
    }
