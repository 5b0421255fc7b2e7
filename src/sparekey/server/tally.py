"""What the server counts while it serves: plain integers, because they are touched on every request.

`health.Metrics` turns them into Prometheus samples when somebody asks.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

FAMILIES: Final = {b"/api/v": "api", b"/sapi/": "sapi", b"/fapi/": "fapi", b"/dapi/": "dapi"}
OTHER: Final = "other"
# A latency of n µs is counted in bucket n.bit_length(), that is up to 2^i - 1 µs; the last bucket has no bound.
LATENCY_BUCKETS: Final = 26


class FamilyTally:
    """Of one API family: replies by status class (index 1 to 5), latency by power of two of µs, weight charged."""

    __slots__ = ("by_class", "latency", "latency_sum_us", "weight")

    def __init__(self) -> None:
        self.by_class = [0] * 10
        self.latency = [0] * LATENCY_BUCKETS
        self.latency_sum_us = 0
        self.weight = 0


class Tally:
    """Counters of one server."""

    __slots__ = ("_families", "connections_accepted", "connections_handed_over", "faults", "other", "reasons")

    def __init__(self) -> None:
        self._families = {prefix: FamilyTally() for prefix in FAMILIES}
        self.other = FamilyTally()
        self.reasons: defaultdict[str, int] = defaultdict(int)  # exact reasons of refusals
        self.faults: defaultdict[str, int] = defaultdict(int)  # requests that could not even be read
        self.connections_accepted = 0
        self.connections_handed_over = 0

    def families(self) -> list[tuple[str, FamilyTally]]:
        """Every family with its counters, those of other paths last."""
        return [*((FAMILIES[prefix], tally) for prefix, tally in self._families.items()), (OTHER, self.other)]

    def count(self, path: bytes, status: int, weight: int, reason: str, latency_us: int) -> None:
        """One reply that left. `latency_us` runs from the request being complete to its reply being handed over."""
        family = self._families.get(path[:6], self.other)
        family.by_class[status // 100] += 1
        if latency_us < 0:  # the wall clock was set back meanwhile
            latency_us = 0
        bucket = latency_us.bit_length()
        family.latency[bucket if bucket < LATENCY_BUCKETS else -1] += 1
        family.latency_sum_us += latency_us
        if weight:
            family.weight += weight
        if reason:
            self.reasons[reason] += 1
