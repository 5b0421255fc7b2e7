"""What a crowd that signs in does to orders: their 99th percentile at a steady rate, without it and with it in turns.

The sign-ins are the console's own, whole: form, limits, Argon2id at the cost that is shipped, a session made durable, a
letter about a new device. All are sent at once while orders run, each from an address of its own, and every one must
have got in when the stretch is over. The server has one core, as elsewhere here, so hashing has
to share it with the orders: on a machine with cores to spare the crowd is felt less.
"""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from bench.disk import BUSY_MS, percentile, sync_ms, synced
from bench.load import Slice, open_loop
from bench.orders import FUNDS, Broken, orders_of
from bench.ours import Sparekey
from bench.processes import Cores
from bench.report import Line, Section, verdict
from bench.spread import spread

MOST_MS = 20.0


class Plan(NamedTuple):
    rounds: int = 9  # an account takes ten sign-ins in five minutes, and one round warms up
    seconds: float = 4.0
    warm_s: float = 1.0
    crowd: int = 20
    offered: int = 1_000
    accounts: int = 20
    requests: int = 6_144
    durability: str = "full"


QUICK = Plan(rounds=3)
TINY = Plan(rounds=3, seconds=0.3, warm_s=0.1, crowd=2, offered=100, accounts=2, requests=32, durability="memory")


class Person(NamedTuple):
    email: str
    password: str
    #: where this one calls from: limits count addresses
    ip: str


def measure(folder: Path, cores: Cores, plan: Plan) -> Section:
    options = ("--profile", "off", "--market", "none", "--durability", plan.durability)
    server = Sparekey(folder, cores.server, *options)
    try:
        keys = server.keys(plan.accounts, FUNDS, per_account=1)
        people = [_open_account(server, number) for number in range(plan.crowd)]
        alone: list[Slice] = []
        crowded: list[Slice] = []
        lasted: list[float] = []
        syncs: list[float] = []
        for number in range(-1, plan.rounds):  # the first round warms up
            pair = []
            for with_crowd in (False, True):
                orders = orders_of(keys, plan.requests, number * 2 + with_crowd)
                waiting = [_Waiting(server.port, person) for person in people] if with_crowd else []
                crowd = [one.send for one in waiting]
                slice_ = open_loop(
                    server.port,
                    orders,
                    plan.offered,
                    plan.seconds,
                    server.cpu_ns,
                    warm_s=plan.warm_s,
                    then=lambda crowd=crowd: [send() for send in crowd],
                )
                if slice_.failures:
                    raise Broken(f"{slice_.failures} of {slice_.requests} orders were refused or not answered")
                for one in waiting:
                    one.expect_in()
                pair.append(slice_)
            syncs += sync_ms(folder)
            if number >= 0:
                alone.append(pair[0])
                crowded.append(pair[1])
                lasted.append((pair[1].server_cpu_s - pair[0].server_cpu_s) * 1000 / plan.crowd)
    finally:
        server.stop()
    raised = spread([(b.percentile_us(99) - a.percentile_us(99)) / 1000 for a, b in zip(alone, crowded, strict=True)])
    before, after = (spread([one.percentile_us(99) / 1000 for one in slices]) for slices in (alone, crowded))
    worst = max(one.percentile_us(100) for one in crowded) / 1000
    cost = spread(lasted)
    # What wavers by more than the allowance when nobody signs in can say nothing about those who do.
    noisy = before.high - before.low > MOST_MS or percentile(syncs, 99) > BUSY_MS
    lines = [
        Line(
            f"p99 at {plan.offered:,}/s offered, raised by",
            f"{raised.median:.1f} ms ({raised.low:.1f} to {raised.high:.1f})",
            f"under {MOST_MS:.0f} ms",
            verdict(raised.median, most=MOST_MS, noisy=noisy),
        ),
        Line("p99 without them", f"{before.median:.1f} ms ({before.low:.1f} to {before.high:.1f})"),
        Line("p99 with them", f"{after.median:.1f} ms ({after.low:.1f} to {after.high:.1f}), slowest {worst:.1f}"),
        Line("CPU of a sign-in", f"{cost.median:.0f} ms ({cost.low:.0f} to {cost.high:.0f})"),
    ]
    raw = {
        "plan": plan._asdict(),
        "sign_in_cpu_ms": lasted,
        "sync_ms": [round(one, 3) for one in syncs],
    } | {
        name: [{f"p{share}_us": one.percentile_us(share) for share in (50, 90, 99, 99.9, 100)} for one in slices]
        for name, slices in (("alone", alone), ("crowded", crowded))
    }
    title = f"{plan.crowd} sign-ins at once beside signed LIMIT orders, durability {plan.durability}"
    return Section(title, lines, raw, [synced(syncs)])


def _open_account(server: Sparekey, number: int) -> Person:
    email = f"crowd-{number}@example.com"
    password: str = server.ask("POST", "/accounts", {"email": email})["password"]
    return Person(email, password, f"127.0.1.{number + 1}")


class _Waiting:
    """Somebody in front of the sign-in page, who has filled it in and not sent it yet."""

    def __init__(self, port: int, person: Person) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(person.ip, 0))
        host = f"Host: 127.0.0.1:{port}\r\n"
        self._socket.sendall(f"GET /sign-in HTTP/1.1\r\n{host}Accept: text/html\r\n\r\n".encode())
        page = self._read()
        cookie = re.search(r"^set-cookie: (sparekey_form=[^;]+)", page, re.MULTILINE | re.IGNORECASE)
        token = re.search(r'action="/sign-in"[^>]*>\s*<input type="hidden" name="csrf" value="([^"]+)"', page)
        if cookie is None or token is None:
            raise Broken(f"the sign-in page is not what was expected: {page[:200]}")
        body = urlencode({"csrf": token[1], "next": "", "email": person.email, "password": person.password})
        self._form = (
            f"POST /sign-in HTTP/1.1\r\n{host}Cookie: {cookie[1]}\r\nAccept: text/html\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def send(self) -> None:
        self._socket.sendall(self._form)

    def expect_in(self) -> None:
        answer = self._read()
        self._socket.close()
        if " 303 " not in answer.splitlines()[0] or "sparekey_session=" not in answer:
            raise Broken(f"somebody could not sign in: {answer.splitlines()[0]}")

    def _read(self) -> str:
        data = b""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            part = self._socket.recv(65_536)
            data += part
            head, found, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            if not part or (found and length and len(body) >= int(length[1])):
                return data.decode()
        raise Broken("the console did not answer within a minute")
