"""Streams: trades to 200 readers, an order to its executionReport, orders over the WebSocket API.

The fan-out is the real one: signed orders trade, and readers of `btcusdt@trade` hear of it. So the server's rate has
its orders in it, which its peer, `websockets`' broadcast, does not have to make. Delays run from sending the order that
trades to the arrival of its last trade at a reader, over all readers sampled.
"""

from __future__ import annotations

import json
import re
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bench import flow
from bench.disk import BUSY_MS, percentile, sync_ms, synced
from bench.load import ask, closed_loop, fine
from bench.orders import Broken
from bench.ours import Sparekey
from bench.processes import ROOT, Cores, Server, free_port
from bench.report import Line, Section, verdict
from bench.signed_requests import Credentials, signed
from bench.sockets import ApiConnection, shake_hands, signed_frame, texts
from bench.spread import ratios, spread

#: Trades of one order, whose frames leave in one write to each reader.
TOGETHER = 20
OFFERED = 1_000

_FUNDS = dict.fromkeys(("USDT", "BTC", "ETH", "BNB", "LTC", "XRP", "ADA"), "100000000")
_REPORT = re.compile(rb'"c":"b(\d+)".*?"x":"NEW"')
_SETTLE_S = 0.3


class Plan(NamedTuple):
    rounds: int = 7
    seconds: float = 2.0
    readers: int = 200
    offered: int = OFFERED
    accounts: int = 10
    requests: int = 6_144
    durability: str = "full"


QUICK = Plan(rounds=3, seconds=1.0)
TINY = Plan(rounds=3, seconds=0.1, readers=4, offered=100, accounts=2, requests=32, durability="memory")


class FanOut(NamedTuple):
    """One stretch of it."""

    messages: int  # to all readers together
    seconds: float
    cpu_s: float
    delays_us: list[int]  # ascending

    @property
    def rate(self) -> float:
        return self.messages / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_s * 1e6 / max(self.messages, 1)

    def delay_ms(self, per_cent: float) -> float:
        return percentile([one / 1000 for one in self.delays_us], per_cent) if self.delays_us else 0.0


class Readers:
    """The process of `bench.readers`, on the generator's core."""

    def __init__(self, port: int, target: str, count: int, core: int) -> None:
        self._process = subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, "-m", "bench.readers", str(port), target, str(count)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready\n":
            raise Broken("the readers did not come up")

    def tell(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("now\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._line() or "{}")
        if not told:
            raise Broken("the readers were disconnected: the server dropped them")
        return told

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


#: Makes so many trades at once; returns when that was asked for, and the name of the last of them.
Trigger = Callable[[], tuple[int, str]]


def measure(folder: Path, cores: Cores, plan: Plan) -> Section:
    lines, raw, notes = _measure_fan_out(folder / "fan-out", cores, plan)
    server = Sparekey(folder / "orders", cores.server, *_options(plan.durability))
    try:
        keys = server.keys(plan.accounts, _FUNDS, per_account=1)
        for part in (_measure_reports(server, keys, folder, plan), _measure_api(server, keys, plan)):
            lines += part[0]
            raw |= part[1]
            notes += part[2]
    finally:
        server.stop()
    return Section(f"Streams ({plan.readers} readers) and WebSocket API", lines, {"plan": plan._asdict()} | raw, notes)


def _options(durability: str) -> tuple[str, ...]:
    return ("--profile", "off", "--market", "none", "--durability", durability)


# --- fan-out ---------------------------------------------------------------------------------------------------------


def _measure_fan_out(folder: Path, cores: Cores, plan: Plan) -> tuple[list[Line], dict[str, Any], list[str]]:
    opened: list[Server | Readers] = []
    try:
        server = Sparekey(folder, cores.server, *_options("memory"))
        opened.append(server)
        seller, buyer = server.keys(2, _FUNDS, per_account=1)
        readers = Readers(server.port, "/ws/btcusdt@trade", plan.readers, cores.generator)
        opened.append(readers)
        peer, trigger_port = _peer(folder, cores.server)
        opened.append(peer)
        peer_readers = Readers(peer.port, "/", plan.readers, cores.generator)
        opened.append(peer_readers)
        ours: dict[int, list[FanOut]] = {1: [], TOGETHER: []}
        theirs: dict[int, list[FanOut]] = {1: [], TOGETHER: []}
        for number in range(-1, plan.rounds):  # the first round warms up
            for together in (1, TOGETHER):
                with ExitStack() as dialled:
                    trading = _trading(dialled, server.port, seller, buyer, together)
                    one = _fan_out(trading, server, readers, plan.seconds)
                    other = _fan_out(_asking(dialled, trigger_port, together), peer, peer_readers, plan.seconds)
                if number >= 0:
                    ours[together].append(one)
                    theirs[together].append(other)
    finally:
        for opener in reversed(opened):
            opener.stop()
    lines: list[Line] = []
    for together, least in ((1, 60_000), (TOGETHER, 200_000)):
        how = "each trade alone" if together == 1 else f"{together} trades at once"
        rate = spread([one.rate for one in ours[together]])
        cpu = spread([one.cpu_us for one in ours[together]])
        lines.append(
            Line(
                f"{how}, messages to all",
                f"{rate.text('/s', 0)}, CPU {cpu.text(' µs')}",
                f"{least:,}/s",
                verdict(rate.median, least, noisy=rate.noisy),
            )
        )
        peer_rate = spread([one.rate for one in theirs[together]])
        ratio = ratios([one.rate for one in ours[together]], [one.rate for one in theirs[together]])
        by_cpu = ratios([one.cpu_us for one in theirs[together]], [one.cpu_us for one in ours[together]])
        lines.append(
            Line(
                "  against websockets' broadcast",
                f"{ratio.text(' ×')} by rate, {by_cpu.text(' ×')} by CPU (it: {peer_rate.text('/s', 0)})",
            )
        )
        tail = spread([one.delay_ms(99) for one in ours[together]])
        middle = spread([one.delay_ms(50) for one in ours[together]])
        lines.append(
            Line(
                "  order sent to trade heard, p50 and p99",
                f"{middle.median:.2f} ms and {tail.median:.2f} ms ({tail.low:.2f} to {tail.high:.2f})",
                "p99 under 5 ms" if together > 1 else "",
                verdict(tail.median, most=5.0) if together > 1 else "",
            )
        )
    raw = {
        f"{name}_{together}": [_raw(one) for one in slices]
        for name, by_size in (("ours", ours), ("websockets", theirs))
        for together, slices in by_size.items()
    }
    return lines, raw, []


def _peer(folder: Path, core: int) -> tuple[Server, int]:
    port, trigger_port = free_port(), free_port()
    script = str(ROOT / "bench" / "peers" / "websockets_broadcast.py")
    command = [sys.executable, script, str(port), str(trigger_port)]
    return Server("websockets", command, port, core, folder / "websockets.log"), trigger_port


def _fan_out(trigger: Trigger, server: Server, readers: Readers, seconds: float) -> FanOut:
    readers.tell()
    asked: list[tuple[int, str]] = []
    before = server.cpu_ns()
    started = time.perf_counter_ns()
    end = started + int(seconds * 1e9)
    while time.perf_counter_ns() < end:
        asked.append(trigger())
    time.sleep(_SETTLE_S)
    told = readers.tell()
    spent = server.cpu_ns() - before
    if told["messages"][0] != told["messages"][1] or told["bytes"][0] != told["bytes"][1]:
        raise Broken(f"not every reader heard the same: {told['messages']}, {told['bytes']}")
    arrivals = told["arrivals"]
    delays = [when - since for since, trade in asked for when in arrivals[trade]]
    return FanOut(
        told["messages"][0] * told["readers"],
        (told["last_ns"] - started) / 1e9,
        spent / 1e9,
        sorted(delay // 1000 for delay in delays),
    )


def _trading(dialled: ExitStack, port: int, seller: Credentials, buyer: Credentials, together: int) -> Trigger:
    """So many resting sells, and the buy that takes them all."""
    connection = _Line(dialled.enter_context(_dial(port)))
    order = "symbol=BTCUSDT&type=LIMIT&timeInForce=GTC&price=60000"
    sell = signed(seller, "POST", "/api/v3/order", f"{order}&side=SELL&quantity=0.001")
    buy = signed(buyer, "POST", "/api/v3/order", f"{order}&side=BUY&quantity={together / 1000:.3f}")

    def trigger() -> tuple[int, str]:
        for _ in range(together):
            connection.ask(sell)
        since = time.perf_counter_ns()
        reply = connection.ask(buy)
        fills = json.loads(reply.partition(b"\r\n\r\n")[2])["fills"]
        if len(fills) != together:
            raise Broken(f"{len(fills)} trades instead of {together}")
        return since, f"BTCUSDT {fills[-1]['tradeId']}"

    return trigger


class _Line:
    """One connection, one request at a time."""

    def __init__(self, one: socket.socket) -> None:
        self._socket = one

    def ask(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        reply = self._socket.recv(65_536)
        head, _, body = reply.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        while len(body) < length:
            more = self._socket.recv(65_536)
            reply += more
            body += more
        if not fine(reply):
            raise Broken(f"an order was refused: {reply[:300]!r}")
        return reply


def _dial(port: int) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port))
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def _asking(dialled: ExitStack, port: int, together: int) -> Trigger:
    line = dialled.enter_context(_dial(port))

    def trigger() -> tuple[int, str]:
        since = time.perf_counter_ns()
        line.sendall(b"%d\n" % together)
        return since, f"BTCUSDT {int(line.recv(64).split()[1])}"

    return trigger


def _raw(one: FanOut) -> dict[str, Any]:
    return {"rate": round(one.rate), "cpu_us": round(one.cpu_us, 3)} | {
        f"p{share}_ms": round(one.delay_ms(share), 3) for share in (50, 99, 100)
    }


# --- an order to its report ------------------------------------------------------------------------------------------


def _measure_reports(
    server: Sparekey, keys: list[Credentials], folder: Path, plan: Plan
) -> tuple[list[Line], dict[str, Any], list[str]]:
    listen_keys = [_listen_key(server.port, key) for key in keys]
    stream = shake_hands(server.port, f"/stream?streams={'/'.join(listen_keys)}")
    rounds: list[list[float]] = []
    syncs: list[float] = []
    try:
        for number in range(-1, plan.rounds):
            delays = _reports(server.port, stream, keys, plan, number)
            syncs += sync_ms(folder)
            if number >= 0:
                rounds.append(delays)
    finally:
        stream.close()
    middle = spread([percentile(delays, 50) for delays in rounds])
    tail = spread([percentile(delays, 99) for delays in rounds])
    busy = percentile(syncs, 99) > BUSY_MS
    line = Line(
        f"order to executionReport, {plan.offered:,}/s, durability {plan.durability}, p50",
        f"{middle.median:.2f} ms ({middle.low:.2f} to {middle.high:.2f}), p99 {tail.median:.1f} ms",
        "under 3 ms",
        verdict(middle.median, most=3.0, noisy=busy and middle.median > 3.0),
    )
    return [line], {"report_p50_ms": [percentile(delays, 50) for delays in rounds]}, [synced(syncs)]


def _listen_key(port: int, key: Credentials) -> str:
    request = f"POST /api/v3/userDataStream HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: {key.api_key}\r\n\r\n"
    text: str = json.loads(ask(port, request.encode()).partition(b"\r\n\r\n")[2])["listenKey"]
    return text


def _reports(port: int, stream: socket.socket, keys: list[Credentials], plan: Plan, seed: int) -> list[float]:
    """Milliseconds from the moment an order was due until its report came, ascending; open loop."""
    count = max(1, int(plan.offered * plan.seconds))
    first = (seed + 2) * 1_000_000
    requests = [
        signed(
            keys[one.account],
            "POST",
            "/api/v3/order",
            f"symbol={one.symbol}&side={one.side}&type=LIMIT&timeInForce=GTC&quantity={flow.money(one.quantity)}"
            f"&price={flow.money(one.price)}&newClientOrderId=b{first + number}",
        )
        for number, one in enumerate(islice(flow.pairs(len(keys), seed), count))
    ]
    poll = select.epoll()
    callers = {}
    for _ in range(64):
        caller = _dial(port)
        callers[caller.fileno()] = caller
        poll.register(caller, select.EPOLLIN)
    poll.register(stream, select.EPOLLIN)
    idle = deque(callers.values())
    held = bytearray()
    delays: list[float] = []
    clock = time.perf_counter_ns
    gap = 1e9 / plan.offered
    started = clock()
    sent = 0
    while len(delays) < count:
        if clock() - started > (plan.seconds + 10) * 1e9:
            raise Broken(f"{count - len(delays)} of {count} orders were never reported")
        while sent < count and idle and clock() >= started + sent * gap:
            idle.popleft().sendall(requests[sent])
            sent += 1
        for fd, _ in poll.poll(0 if sent < count else 0.01):
            if fd in callers:
                reply = callers[fd].recv(65_536)
                if not fine(reply):
                    raise Broken(f"an order was refused: {reply[:300]!r}")
                idle.append(callers[fd])
                continue
            held += stream.recv(262_144)
            now = clock()
            for text in texts(held):
                found = _REPORT.search(text)
                if found:
                    delays.append((now - started - (int(found[1]) - first) * gap) / 1e6)
    for caller in callers.values():
        caller.close()
    poll.close()
    return sorted(delays)


# --- the WebSocket API -----------------------------------------------------------------------------------------------


def _measure_api(server: Sparekey, keys: list[Credentials], plan: Plan) -> tuple[list[Line], dict[str, Any], list[str]]:
    over_rest: list[float] = []
    over_sockets: list[float] = []
    for number in range(-1, plan.rounds):
        orders = list(islice(flow.pairs(len(keys), number), plan.requests))
        values = [
            {
                "symbol": one.symbol,
                "side": one.side,
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": flow.money(one.quantity),
                "price": flow.money(one.price),
            }
            for one in orders
        ]
        requests = [
            signed(
                keys[one.account], "POST", "/api/v3/order", "&".join(f"{name}={text}" for name, text in each.items())
            )
            for one, each in zip(orders, values, strict=True)
        ]
        frames = [
            signed_frame(keys[one.account], "order.place", each, count)
            for count, (one, each) in enumerate(zip(orders, values, strict=True))
        ]
        rest = closed_loop(server.port, requests, plan.seconds, server.cpu_ns)
        sockets = closed_loop(server.port, frames, plan.seconds, server.cpu_ns, connect=ApiConnection)
        for slice_ in (rest, sockets):
            if slice_.failures:
                raise Broken(f"{slice_.failures} of {slice_.requests} orders were refused or not answered")
        if number >= 0:
            over_rest.append(rest.rate)
            over_sockets.append(sockets.rate)
    ratio = ratios(over_sockets, over_rest)
    line = Line(
        "signed orders over the WebSocket API, against REST",
        f"{ratio.text(' ×')}: {spread(over_sockets).text('/s', 0)} and {spread(over_rest).text('/s', 0)}",
        "at least 1 ×",
        verdict(ratio.median, 1.0, noisy=ratio.noisy),
    )
    return [line], {"orders_over_rest": over_rest, "orders_over_sockets": over_sockets}, []
