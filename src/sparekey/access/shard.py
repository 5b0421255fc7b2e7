"""The access shard as the sequencer's machine: decide, apply, write down.

Hand it the policy clock: `time_us` must be `Clocks.policy_us()`. After each record with a `ClockAdvanced` or `SkewSet`
the owner of the clocks copies `state.policy_offset_us` and `state.skew_us` to them; after a start as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sparekey.access.apply import apply
from sparekey.access.commands import AccessCommand
from sparekey.access.decide import decide
from sparekey.access.events import (
    AccessEvent,
    AccessSuspended,
    KeyDeleted,
    KeyDisabled,
    KeyEdited,
    KeyExpired,
    KeyRotated,
    KycSet,
    PasskeyRemoved,
    SmsRemoved,
    TotpRemoved,
)
from sparekey.access.state import AccessState
from sparekey.terms.refusals import Refusal

#: Events after which what a key was admitted for earlier must be asked anew: one key's, or all keys' of an account.
#: A rotation shortens a life; panic and erasure come as one event for each key.
_NARROWS_KEY = (KeyEdited, KeyDisabled, KeyDeleted, KeyExpired, KeyRotated)
_NARROWS_ACCOUNT = (KycSet, TotpRemoved, SmsRemoved, PasskeyRemoved, AccessSuspended)


class AccessShard:
    """Implements the sequencer's `Machine`. `state` is the same object for the shard's whole life."""

    name = "access"

    def __init__(self) -> None:
        self.state = AccessState()
        self._commands = msgspec.msgpack.Decoder(AccessCommand)
        self._events = msgspec.msgpack.Decoder(list[AccessEvent])

    def execute(self, command: Any, time_us: int) -> Sequence[AccessEvent] | Refusal:
        outcome = decide(self.state, command, time_us)
        if not isinstance(outcome, Refusal) and outcome:
            self.apply(outcome, time_us)
        return outcome

    def apply(self, events: Sequence[Any], time_us: int) -> None:
        state = self.state
        state.seq += 1
        for event in events:
            apply(state, event, time_us)

    def narrowed_keys(self, events: Sequence[Any]) -> list[int]:
        """Ids of the keys that may do less after these events, ascending: other shards must fence them at `state.seq`,
        and what they opened must close. Ask right after the events were applied."""
        state = self.state
        narrowed: dict[int, None] = {}
        for event in events:
            if isinstance(event, _NARROWS_KEY):
                narrowed[event.key_id] = None
            elif isinstance(event, _NARROWS_ACCOUNT):
                for key_id in state.key_ids_under(event.account_id):
                    if state.keys[key_id].standing is not None:
                        narrowed[key_id] = None
        return sorted(narrowed)

    def drain(self) -> Sequence[Any]:
        return ()

    def due(self) -> Any | None:
        return None

    def check(self) -> str:
        return ""  # no books are kept here

    def replay_cost_us(self, events: Sequence[Any]) -> int:
        return 10 * len(events)

    def dump(self) -> Any:
        return self.state.dump()

    def load(self, data: Any) -> None:
        self.state.load(data)

    def decode_command(self, raw: bytes | msgspec.Raw) -> Any:
        return self._commands.decode(raw)

    def decode_events(self, raw: bytes | msgspec.Raw) -> Sequence[AccessEvent]:
        return self._events.decode(raw)
