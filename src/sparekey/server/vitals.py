"""What `/readyz` looks at and what `/metrics` reads, component by component."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from sparekey.access.limits import IpLedger
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.pace import MarketPace, ReplayPace
from sparekey.sequencer.sequencer import Sequencer
from sparekey.server.health import Condition, Finding, Probe, Reading
from sparekey.storage.address_counts import AddressCounts
from sparekey.storage.archive import Archive
from sparekey.storage.calls import CallLog
from sparekey.storage.checkpoints import CheckpointSigner
from sparekey.storage.snapshots import SnapshotSchedule


class Delivery(Protocol):
    """What is seen of the letters on their way."""

    sent: int
    failed: int

    @property
    def problem(self) -> str: ...

    @property
    def under_way(self) -> int: ...


class Vitals(NamedTuple):
    """`signer` and `schedule` are None for a journal in memory, `replay` where nothing is replayed."""

    sequencer: Sequencer
    archive: Archive
    calls: CallLog
    counts: AddressCounts
    ledger: IpLedger
    clocks: Clocks
    pace: MarketPace
    replay: ReplayPace | None
    signer: CheckpointSigner | None
    schedule: SnapshotSchedule | None
    delivery: Delivery

    def probes(self) -> list[Probe]:
        probes = [
            # A failed commit ends the process, so that an answer means that the journal works.
            Probe("journal", self._journal, critical=True),
            Probe("archive", _degraded(lambda: self.archive.problem)),
            Probe("calls", _degraded(self._call_log)),
            Probe("addresses", _degraded(lambda: self.counts.problem)),
            Probe("market", _degraded(self._market)),
            Probe("letters", _degraded(lambda: self.delivery.problem)),
        ]
        signer, schedule = self.signer, self.schedule
        if signer is not None:
            probes.append(Probe("checkpoints", _degraded(lambda: signer.problem)))
        if schedule is not None:
            probes.append(Probe("snapshots", _degraded(lambda: schedule.problem)))
        return probes

    def readings(self) -> list[Reading]:
        sequencer, schedule = self.sequencer, self.schedule
        return [
            Reading("sparekey_journal_position", "Last durable journal position.", lambda: sequencer.durable_position),
            Reading(
                "sparekey_archive_position", "Journal position that the archive holds.", lambda: self.archive.position
            ),
            Reading("sparekey_calls_dropped", "Call log entries dropped.", lambda: self.calls.dropped, counts=True),
            Reading(
                "sparekey_banned_addresses",
                "Addresses that are banned now.",
                lambda: len(self.ledger.current_bans(self.clocks.policy_us())),
            ),
            Reading(
                "sparekey_cancels_let_through",
                "Cancels of addresses over their limits that the reserve let through.",
                lambda: self.ledger.cancels_let_through,
                counts=True,
            ),
            Reading("sparekey_letters_sent", "Letters that were taken.", lambda: self.delivery.sent, counts=True),
            Reading(
                "sparekey_letters_failed", "Letters that were given up.", lambda: self.delivery.failed, counts=True
            ),
            Reading("sparekey_letters_under_way", "Letters on their way.", lambda: self.delivery.under_way),
            Reading(
                "sparekey_replay_tail_seconds",
                "About how long a start would take now to apply the journal's tail.",
                lambda: 0.0 if schedule is None else schedule.tail_cost_us / 1e6,
            ),
        ]

    def _journal(self) -> Finding:
        return Finding(Condition.OK, f"durable up to position {self.sequencer.durable_position}")

    def _call_log(self) -> str:
        return self.calls.problem or (f"{self.calls.dropped} entries were dropped" if self.calls.dropped else "")

    def _market(self) -> str:
        return self.pace.problem or (self.replay.problem if self.replay is not None else "")


def _degraded(problem: Callable[[], str]) -> Callable[[], Finding]:
    def look() -> Finding:
        said = problem()
        return Finding(Condition.DEGRADED, said) if said else Finding(Condition.OK)

    return look
