"""The three clocks: policy (expiry, bans), wire (timestamps and `/time`), and the skew fault. All int microseconds.

The wire clock follows the host's clock even backwards, because the clients on this host do, too. Times that get into
records never decrease: the sequencer sees to that per shard.
"""

from __future__ import annotations

from collections.abc import Callable


class Clocks:
    """`wall` returns the host's time. The policy offset and the skew are access state; the owner sets them here."""

    __slots__ = ("policy_offset_us", "skew_us", "wall_us")

    def __init__(self, wall: Callable[[], int]) -> None:
        self.wall_us = wall
        self.policy_offset_us = 0
        self.skew_us = 0

    def policy_us(self) -> int:
        """Wall time plus everything that `clock advance` added."""
        return self.wall_us() + self.policy_offset_us

    def wire_us(self) -> int:
        """What `/time` shows and timestamps are checked against: wall time plus the skew fault."""
        return self.wall_us() + self.skew_us
