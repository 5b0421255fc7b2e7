"""A directory of a million keys: what a key takes, what the gate asks of a call among so many, and how fast one stops.

Keys are built by applying the events that a journal of their creation would hold, read as from there. The large
directory is measured against a small one, in short slices side by side; each slice draws anew, so that the large one's
keys come from memory that nobody just used, and each key calls from an address of its own. Every key was called
before: what a first call costs more is measured apart.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import hmac
import multiprocessing
import random
import select
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from bench.load import _Connection, closed_loop, fine
from bench.ours import Sparekey
from bench.processes import Cores
from bench.report import Line, Section, verdict
from bench.signed_requests import ASK, Credentials, mixed, signed
from bench.spread import Spread, ratios, spread
from sparekey.access.apply import apply
from sparekey.access.credentials import api_key_from, secret_from
from sparekey.access.events import AccessEvent, AccountCreated, KeyCreated, TotpEnrolled
from sparekey.access.gate import Gate
from sparekey.access.limits import IpLedger
from sparekey.access.signatures import hmac_block
from sparekey.access.state import AccessState, Key
from sparekey.assemble import Running, load_policy, start
from sparekey.settings import Settings
from sparekey.storage.vault import Vault
from sparekey.terms.permissions import Permission
from sparekey.terms.refusals import Refusal

_SPKI_ED25519 = bytes.fromhex("302a300506032b6570032100")
_KEYS_PER_ACCOUNT = 30
_BORN_US = 1_700_000_000_000_000
_NOW_US = _BORN_US + 86_400_000_000
_TRADE = Permission.SPOT_AND_MARGIN_TRADING
_GRANTED = int(Permission.READING | _TRADE)
_PAYLOAD = b"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=60000&recvWindow=5000&timestamp=%d"
#: A quarter of the keys has no whitelist, half have one address, a quarter an address and a range.
_WHITELISTS = 4
#: Keys that go on calling while others are revoked.
_CALLING_KEYS = 60


class Plan(NamedTuple):
    keys: int = 1_000_000
    small: int = 1_000
    calls: int = 4_000
    rounds: int = 11
    sealed: int = 500
    revocations: int = 200


QUICK = Plan(keys=200_000, calls=2_000, rounds=5, sealed=200, revocations=40)
TINY = Plan(keys=3_000, small=300, calls=60, rounds=3, sealed=5, revocations=3)


def measure(folder: Path, cores: Cores, plan: Plan) -> Section:
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[Line] = []
    raw: dict[str, Any] = {"plan": plan._asdict()}
    notes: list[str] = []
    # Each in a process of its own: memory that one gave back would hide what the next takes.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for kind in ("hmac", "ed25519", "rsa"):
            more, values = pool.apply(_directory, (kind, plan))
            lines += more
            raw |= values
        more, values = pool.apply(_whole_calls, (folder, plan))
        lines += more
        raw |= values
    notes.append("The gate alone does little for an HMAC key: 10 % of it is less than one look into cold memory takes.")
    _first_calls(folder, plan, lines, raw)
    _revocations(folder / "server", cores, plan, lines, raw, notes)
    return Section(f"{plan.keys:,} keys in the directory", lines, raw, notes)


# --- the directory ---------------------------------------------------------------------------------------------------


class Directory:
    """So many keys of a kind behind a gate. What only a client has is made of numbers, again for each call."""

    def __init__(self, count: int, kind: str, state: AccessState | None = None, born_us: int = _BORN_US) -> None:
        self.count, self.kind, self.born_us = count, kind, born_us
        self.state = state or AccessState()
        self.gate = Gate(self.state, IpLedger(load_policy("off")), self._open_secret)
        gc.disable()  # as the server does while it loads
        before = _resident_bytes()
        encode, decoder = msgspec.msgpack.encode, msgspec.msgpack.Decoder(AccessEvent)
        for event in self._events():
            apply(self.state, decoder.decode(encode(event)), born_us)
        if kind == "hmac":
            for number, key in enumerate(self.state.keys.values()):
                key.hmac_block = hmac_block(self._secret(number))  # as their first call leaves them
        self.bytes_per_key = (_resident_bytes() - before) / count
        for number, key in enumerate(self.state.keys.values()):
            key.caller = self.address(number)
        gc.enable()
        gc.freeze()

    def _events(self) -> Iterator[AccountCreated | TotpEnrolled | KeyCreated]:
        account_id = 0
        for number in range(self.count):
            if number % _KEYS_PER_ACCOUNT == 0:
                account_id = self.state.next_account_id
                digest = hashlib.sha256(b"%d" % account_id).hexdigest()
                yield AccountCreated(account_id, digest, f"password/account-{account_id}/argon2id", "approved", True)
                yield TotpEnrolled(account_id, f"totp/account-{account_id}/seed")
            api_key = self.api_key(number).decode()
            whitelist = self._whitelist(number)
            yield KeyCreated(
                self.state.next_key_id,
                account_id,
                api_key,
                self.kind,
                f"bot {number}",
                _GRANTED,
                whitelist,
                None if whitelist else self.born_us + 90 * 86_400_000_000 + number,
                f"hmac-secret/account-{account_id}/{api_key}" if self.kind == "hmac" else "",
                "" if self.kind == "hmac" else self._public_key(number),
            )

    def _whitelist(self, number: int) -> tuple[str, ...]:
        if number % _WHITELISTS == 0:
            return ()
        if number % _WHITELISTS == 3:
            return self.address(number), f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64"
        return (self.address(number),)

    def address(self, number: int) -> str:
        return f"198.{18 + number % 2}.{number // 2 % 256}.{number // 512 % 256}"

    def api_key(self, number: int) -> bytes:
        return api_key_from(hashlib.sha384(b"key %d" % number).digest()).encode()

    def _pair(self, number: int) -> tuple[bytes, bytes]:
        public, private = crypto_sign_seed_keypair(hashlib.sha256(b"pair %d" % number).digest())
        return public, private

    def _public_key(self, number: int) -> str:
        if self.kind == "rsa":
            # What a key of 2048 bits takes; nothing is ever verified with it.
            return base64.b64encode(random.Random(number).randbytes(294)).decode()
        return base64.b64encode(_SPKI_ED25519 + self._pair(number)[0]).decode()

    def _secret(self, number: int) -> bytes:
        return secret_from(hashlib.sha384(b"secret %d" % number).digest()).encode()

    def _open_secret(self, key: Key) -> bytes:
        return self._secret(key.key_id - 1)

    def call(self, number: int) -> tuple[str, bytes, bytes, str]:
        """Address, key, payload and signature of a call, made anew as they come off a socket."""
        payload = _PAYLOAD % (_NOW_US // 1000 + number)
        if self.kind == "hmac":
            signature = hmac.digest(self._secret(number), payload, "sha256").hex()
        else:
            signature = base64.b64encode(crypto_sign(payload, self._pair(number)[1])[:64]).decode()
        return self.address(number), self.api_key(number), payload, signature

    def look_up_us(self, calls: list[tuple[str, bytes, bytes, str]]) -> float:
        """Of the dictionary alone, per call: the part that no gate can do without."""
        get = self.state.keys_by_api_key.get
        started = time.perf_counter_ns()
        for _, api_key, _, _ in calls:
            get(api_key)
        return (time.perf_counter_ns() - started) / 1000 / len(calls)

    def cost_us(self, calls: list[tuple[str, bytes, bytes, str]]) -> float:
        """Of the gate, per call."""
        enter, admit = self.gate.enter, self.gate.admit
        started = time.perf_counter_ns()
        for ip, api_key, payload, signature in calls:
            enter(ip, 1, _NOW_US)
            outcome = admit(ip, api_key, _TRADE, _NOW_US, 5_000_000, payload, signature, _NOW_US, _NOW_US)
            if outcome.__class__ is Refusal:
                raise RuntimeError(f"a right call was refused: {outcome}")
        return (time.perf_counter_ns() - started) / 1000 / len(calls)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


Draw = Callable[[int, random.Random, int], list[int]]


def _uniform(count: int, chance: random.Random, calls: int) -> list[int]:
    return [chance.randrange(count) for _ in range(calls)]


def _zipf(*counts: int) -> Draw:
    """Key number n is called in proportion to 1/n; the busy ones lie anywhere in memory."""
    weights = {count: list(accumulate(1 / rank for rank in range(1, count + 1))) for count in counts}
    places = {count: random.Random(7).sample(range(count), count) for count in counts}
    return lambda count, chance, calls: chance.choices(places[count], cum_weights=weights[count], k=calls)


def _directory(kind: str, plan: Plan) -> tuple[list[Line], dict[str, Any]]:
    """One kind of key; run in a process of its own, whose memory holds nothing else."""
    large = Directory(plan.keys, kind)
    raw: dict[str, Any] = {f"bytes_per_key_{kind}": large.bytes_per_key}
    line = Line(f"a key in memory, {kind}", f"{large.bytes_per_key:,.0f} bytes")
    if kind == "rsa":
        judged = verdict(large.bytes_per_key, most=1_200)
        return [Line("a key in memory, RSA of 2,048 bits", line.measured, "at most 1,200 bytes", judged)], raw
    lines = [line._replace(target="at most 1,200 bytes", verdict=verdict(large.bytes_per_key, most=1_200))]
    small = Directory(plan.small, kind)
    draws: dict[str, Draw] = {"uniform": _uniform, "Zipf": _zipf(plan.small, plan.keys)}
    chance = random.Random(3)
    for name, draw in draws.items():
        costs: dict[int, list[float]] = {plan.small: [], plan.keys: []}
        look_ups: dict[int, list[float]] = {plan.small: [], plan.keys: []}
        for number in range(-2, plan.rounds):  # the first ones warm up
            for directory in chance.sample((small, large), 2):
                calls = [directory.call(one) for one in draw(directory.count, chance, plan.calls)]
                cost = directory.cost_us(calls)
                calls = [directory.call(one) for one in draw(directory.count, chance, plan.calls)]
                look_up = directory.look_up_us(calls)
                if number >= 0:
                    costs[directory.count].append(cost)
                    look_ups[directory.count].append(look_up)
        ratio = ratios(costs[plan.keys], costs[plan.small])
        text = f"{ratio.text(' ×', 3)}, {spread(costs[plan.keys]).text(' µs', 1)} a call"
        what = f"gate alone, {kind}, {name}, against {plan.small:,} keys"
        lines.append(Line(what, text, "at most 1.10 ×", _judge(ratio, 1.10)))
        if kind == "hmac":
            lines.append(Line("  more a call", f"{_more(costs, plan).text(' µs', 1)}"))
            lines.append(Line("  of which to find the key", f"{_more(look_ups, plan).text(' µs', 1)}"))
        raw[f"gate_{kind}_{name}"] = {str(count): one for count, one in costs.items()}
        raw[f"look_up_{kind}_{name}"] = {str(count): one for count, one in look_ups.items()}
    if kind == "ed25519":
        _verification(large, plan, lines, raw)
    return lines, raw


def _judge(ratio: Spread, most: float) -> str:
    return verdict(ratio.median, most=most, noisy=ratio.noisy and ratio.low <= most < ratio.high)


def _more(costs: dict[int, list[float]], plan: Plan) -> Spread:
    """What the large directory costs beyond the small one."""
    return spread([one - other for one, other in zip(costs[plan.keys], costs[plan.small], strict=True)])


# --- whole calls -----------------------------------------------------------------------------------------------------


class _Client(asyncio.Transport):
    """A client's end of a connection, without a socket: what is written to it is counted."""

    def __init__(self, ip: str) -> None:
        super().__init__({"peername": (ip, 40_000)})
        self.good = 0

    def write(self, data: Any) -> None:
        self.good += bytes(data).startswith(b"HTTP/1.1 200 ")


class Served:
    """A server with a directory of so many HMAC keys; requests come as bytes on connections that stand already."""

    def __init__(self, running: Running, count: int) -> None:
        self.server = running._server
        self.directory = Directory(count, "hmac", running._access, time.time_ns() // 1000)

    def _request(self, number: int) -> bytes:
        directory = self.directory
        return signed(Credentials(directory.api_key(number).decode(), directory._secret(number).decode()), *ASK, "")

    def cost_us(self, numbers: list[int]) -> float:
        """From the bytes of a request to those of its reply, per call."""
        clients = [_Client(self.directory.address(number)) for number in numbers]
        calls = []
        for number, client in zip(numbers, clients, strict=True):
            connection = self.server.connection()
            connection.connection_made(client)
            calls.append((connection, self._request(number)))
        started = time.perf_counter_ns()
        for connection, request in calls:
            connection.data_received(request)
        cost = (time.perf_counter_ns() - started) / 1000 / len(calls)
        for connection, _ in calls:
            connection.connection_lost(None)
        if sum(client.good for client in clients) != len(calls):
            raise RuntimeError("a right call was refused")
        return cost


def _whole_calls(folder: Path, plan: Plan) -> tuple[list[Line], dict[str, Any]]:
    """The same keys behind the whole server: parsing, gate, answer, call log; all but the sockets."""
    return asyncio.run(_measure_whole_calls(folder, plan))


async def _measure_whole_calls(folder: Path, plan: Plan) -> tuple[list[Line], dict[str, Any]]:
    lines: list[Line] = []
    raw: dict[str, Any] = {}
    started = [
        await start(
            Settings(data=folder / f"of-{count}", port=0, market="none", durability="memory", profile="off"), demo=False
        )
        for count in (plan.small, plan.keys)
    ]
    try:
        small, large = (Served(running, count) for running, count in zip(started, (plan.small, plan.keys), strict=True))
        chance = random.Random(5)
        draws: dict[str, Draw] = {"uniform": _uniform, "Zipf": _zipf(plan.small, plan.keys)}
        for name, draw in draws.items():
            costs: dict[int, list[float]] = {plan.small: [], plan.keys: []}
            for number in range(-2, plan.rounds):
                for served in chance.sample((small, large), 2):
                    cost = served.cost_us(draw(served.directory.count, chance, plan.calls))
                    await asyncio.sleep(0)  # the call log takes what it was handed
                    if number >= 0:
                        costs[served.directory.count].append(cost)
            ratio = ratios(costs[plan.keys], costs[plan.small])
            text = f"{ratio.text(' ×', 3)}, {spread(costs[plan.keys]).text(' µs', 1)} a call"
            what = f"whole call without sockets, hmac, {name}, against {plan.small:,} keys"
            lines.append(Line(what, text))
            raw[f"whole_call_{name}"] = {str(count): one for count, one in costs.items()}
    finally:
        for running in started:
            await running.stop()
    return lines, raw


def _verification(directory: Directory, plan: Plan, lines: list[Line], raw: dict[str, Any]) -> None:
    rates = []
    for number in range(plan.rounds):
        calls = [directory.call(number * plan.calls + one) for one in range(min(plan.calls, 2_000))]
        prepared = []
        for ip, api_key, payload, signature in calls:
            directory.gate.admit(ip, api_key, _TRADE, _NOW_US, 5_000_000, payload, signature, _NOW_US, _NOW_US)
            verifier = directory.state.keys_by_api_key[api_key].verifier
            assert verifier is not None
            prepared.append((verifier.verify, payload, signature))
        started = time.perf_counter_ns()
        for verify, payload, signature in prepared:
            if verify(payload, signature) is not None:
                raise RuntimeError("a right signature was refused")
        rates.append(len(prepared) / (time.perf_counter_ns() - started) * 1e9)
    rate = spread(rates)
    lines.append(
        Line("Ed25519 verifications, one core", rate.text("/s", 0), "at least 10,000/s", verdict(rate.median, 10_000))
    )
    raw["ed25519_rates"] = rates


def _first_calls(folder: Path, plan: Plan, lines: list[Line], raw: dict[str, Any]) -> None:
    """An HMAC key that was not called lately has its secret opened from the vault, its account's data key first."""
    vault = Vault(folder / "vault.db", bytes(32))
    try:
        ids = [vault.seal(f"account-{number}", "hmac-secret", "k", b"s" * 64) for number in range(plan.sealed)]
    finally:
        vault.close()
    vault = Vault(folder / "vault.db", bytes(32))
    costs = []
    try:
        for vault_id in ids:
            started = time.perf_counter_ns()
            vault.open(vault_id)
            costs.append((time.perf_counter_ns() - started) / 1000)
    finally:
        vault.close()
    opened = spread(costs)
    lines.append(Line("first call of an HMAC key: opening its secret", f"{opened.median:,.0f} µs more"))
    raw["first_call_us"] = costs


# --- revocation ------------------------------------------------------------------------------------------------------


def _revocations(
    folder: Path, cores: Cores, plan: Plan, lines: list[Line], raw: dict[str, Any], notes: list[str]
) -> None:
    options = ("--profile", "off", "--market", "none", "--durability", "full")
    server = Sparekey(folder, cores.server, *options)
    try:
        keys = server.keys(_CALLING_KEYS + plan.revocations, {"USDT": "1000000"})
        others, victims = keys[:_CALLING_KEYS], keys[_CALLING_KEYS:]
        stop = multiprocessing.Event()
        load = multiprocessing.Process(target=_load, args=(server.port, others, stop), daemon=True)
        load.start()
        try:
            time.sleep(0.5)
            measured = [_revoke(server, victim) for victim in victims]
        finally:
            stop.set()
            load.join(20)
    finally:
        server.stop()
    late_ms = sorted(one for one, _ in measured)
    p99 = late_ms[min(len(late_ms) - 1, len(late_ms) * 99 // 100)]
    after = sum(count for _, count in measured)
    lines.append(
        Line(
            f"revocation to last honoured call, {len(late_ms)} keys under load",
            f"p99 {p99:.1f} ms, median {late_ms[len(late_ms) // 2]:.1f} ms",
            "p99 under 50 ms",
            verdict(p99, most=50),
        )
    )
    lines.append(
        Line("calls honoured after the revocation was acknowledged", f"{after}", "none", verdict(after, most=0))
    )
    notes.append("Revocation runs from sending the request that deletes the key until the reply of the last good call.")
    raw["revocation_ms"] = late_ms


def _load(port: int, keys: list[Credentials], stop: Any) -> None:
    while not stop.is_set():
        closed_loop(port, mixed(keys, 2_000), 0.5, lambda: 0, warm_s=0.05, connections=16)


def _revoke(server: Sparekey, victim: Credentials) -> tuple[float, int]:
    """(milliseconds from asking until the last good reply, good calls that were sent after the answer)"""
    calling, asking = _Connection(server.port), _Connection(server.port)
    poll = select.epoll()
    poll.register(calling.socket, select.EPOLLIN)
    poll.register(asking.socket, select.EPOLLIN)
    request = signed(victim, *ASK, "")
    clock = time.perf_counter_ns
    try:
        good = honoured_after = 0
        asked_ns = answered_ns = last_ns = 0
        refused = False
        calling.since = clock()
        calling.send(request)
        while not (refused and answered_ns):
            for fd, _ in poll.poll(10):
                if fd == asking.socket.fileno():
                    if asking.read():
                        answered_ns = clock()
                    continue
                reply = calling.read()
                if not reply:
                    continue
                now = clock()
                if fine(reply):
                    good += 1
                    last_ns = now
                    honoured_after += bool(answered_ns and calling.since > answered_ns)
                elif not asked_ns:
                    raise RuntimeError(f"a key was refused before it was revoked: {reply[:200]!r}")
                else:
                    refused = True
                if good == 5 and not asked_ns:
                    asked_ns = clock()
                    asking.send(server.management_request("DELETE", f"/keys/{victim.api_key}"))
                if not refused:
                    calling.since = clock()
                    calling.send(request)
        return max(0.0, (last_ns - asked_ns) / 1e6), honoured_after
    finally:
        poll.close()
        calling.socket.close()
        asking.socket.close()
