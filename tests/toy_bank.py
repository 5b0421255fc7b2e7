"""A toy shard for tests of the sequencer and the journal: accounts with counters, and a total that must be zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal


class Command(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Pay(Command, frozen=True, tag=True):
    """From the bank's own account 0, or from another one if it has enough."""

    to: int
    amount: int
    source: int = 0


class Peek(Command, frozen=True, tag=True):
    """Changes nothing."""


class Explode(Command, frozen=True, tag=True):
    """A defect: changes half of the state, then raises."""


class Leak(Command, frozen=True, tag=True):
    """A defect: creates money."""


class Paid(msgspec.Struct, frozen=True, array_like=True, tag=True):
    source: int
    to: int
    amount: int


class Leaked(msgspec.Struct, frozen=True, array_like=True, tag=True):
    amount: int


_commands = msgspec.msgpack.Decoder(Pay | Peek | Explode | Leak)
_events = msgspec.msgpack.Decoder(list[Paid | Leaked])


class ToyBank:
    def __init__(self, name: str = "bank") -> None:
        self.name = name
        self.balances: dict[int, int] = {0: 0}
        self.total = 0
        self.last_time_us = 0
        self.effects: list[Any] = []

    def execute(self, command: Any, time_us: int) -> Sequence[Any] | Refusal:
        if isinstance(command, Pay):
            if command.source and self.balances.get(command.source, 0) < command.amount:
                return Refusal(Reason.BALANCE_INSUFFICIENT, ("X", self.balances.get(command.source, 0), 0))
            events: list[Any] = [Paid(command.source, command.to, command.amount)]
        elif isinstance(command, Leak):
            events = [Leaked(1)]
        elif isinstance(command, Explode):
            self.balances[0] -= 1
            raise RuntimeError("half way")
        else:
            return ()
        self.apply(events, time_us)
        return events

    def apply(self, events: Sequence[Any], time_us: int) -> None:
        self.last_time_us = time_us
        for event in events:
            if isinstance(event, Paid):
                self.balances[event.source] = self.balances.get(event.source, 0) - event.amount
                self.balances[event.to] = self.balances.get(event.to, 0) + event.amount
                self.effects.append(("paid", event.to))
            else:
                self.balances[0] += event.amount
                self.total += event.amount

    def drain(self) -> Sequence[Any]:
        effects, self.effects = self.effects, []
        return effects

    def due(self) -> Any | None:
        return None

    def check(self) -> str:
        return f"the total is {self.total}" if self.total else ""

    def replay_cost_us(self, events: Sequence[Any]) -> int:
        return 10 * len(events)

    def dump(self) -> Any:
        return [sorted(self.balances.items()), self.total, self.last_time_us]

    def load(self, data: Any) -> None:
        self.balances = dict(map(tuple, data[0]))
        self.total, self.last_time_us = data[1:]

    def decode_command(self, raw: bytes | msgspec.Raw) -> Any:
        return _commands.decode(raw)

    def decode_events(self, raw: bytes | msgspec.Raw) -> Sequence[Any]:
        return _events.decode(raw)


def toy_machines() -> dict[str, ToyBank]:
    """Two shards, as the snapshot process gets them by their dotted name."""
    return {"bank": ToyBank("bank"), "branch": ToyBank("branch")}


class Clock:
    """Time as a variable."""

    def __init__(self, now_us: int = 1_000_000) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


class Loop:
    """`call_soon` without a loop: `run` runs what was scheduled until then."""

    def __init__(self) -> None:
        self.ready: list[Any] = []

    def call_soon(self, callback: Any) -> None:
        self.ready.append(callback)

    def run(self) -> int:
        ready, self.ready = self.ready, []
        for callback in ready:
            callback()
        return len(ready)


def at_once(callback: Any) -> None:
    callback()


def never_fatal(error: BaseException) -> None:
    """Lets the sequencer raise instead of ending the test process."""
