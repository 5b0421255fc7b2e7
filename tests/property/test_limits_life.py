"""Random lives of addresses, against a naive model: no sequence of calls, restarts and clock moves gives an address
more than its limits allow, and none shuts one out longer than its bans were given for.

The model keeps a list of everything that was charged and adds it up anew for each question. It knows real time beside
the host's clock, which may be set back: what was charged is forgotten with the window that the clock shows after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sparekey.access.limits import BanRules, IpLedger, Limit, LimitPolicy
from sparekey.storage.address_counts import AddressCounts
from sparekey.terms.reasons import Reason
from tests.unit.access.venue_of_keys import profile

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE
WEIGHT, RAW, RESERVE, REFUSALS = 20, 30, 2, 3
STEPS = (2 * MINUTE, 10 * MINUTE, 60 * MINUTE)
DECAY = 24 * 60 * MINUTE
CANCEL = "DELETE /api/v3/order"
ADDRESSES = ("192.0.2.1", "192.0.2.2")


def small_policy() -> LimitPolicy:
    classic = profile("classic")
    spot = msgspec.structs.replace(
        classic.families["spot"],
        weight=Limit(interval="MINUTE", interval_count=1, limit=WEIGHT),
        raw_requests=Limit(interval="MINUTE", interval_count=5, limit=RAW),
    )
    return msgspec.structs.replace(
        classic,
        families=classic.families | {"spot": spot},
        bans=BanRules(refusals=REFUSALS, steps_us=STEPS, decay_us=DECAY),
        reserved_cancels=Limit(interval="MINUTE", interval_count=1, limit=RESERVE),
    )


POLICY = small_policy()


@dataclass
class Naive:
    """One address. Times are wall time; `ban_left_us` and `quiet_us` are durations, which no clock can bend."""

    #: (when by the wall clock, how much), for each of the three counters
    weight: list[tuple[int, int]] = field(default_factory=list)
    raw: list[tuple[int, int]] = field(default_factory=list)
    cancels: list[tuple[int, int]] = field(default_factory=list)
    weight_refused: list[tuple[int, int]] = field(default_factory=list)
    raw_refused: list[tuple[int, int]] = field(default_factory=list)
    level: int = -1
    ban_left_us: int = 0
    quiet_us: int = 0

    def counters(self) -> tuple[tuple[list[tuple[int, int]], int], ...]:
        return (
            (self.weight, MINUTE),
            (self.raw, 5 * MINUTE),
            (self.cancels, MINUTE),
            (self.weight_refused, MINUTE),
            (self.raw_refused, 5 * MINUTE),
        )

    def pass_time(self, by_us: int) -> None:
        """Policy time: what passes by itself, and what the operator adds."""
        banned_us = min(self.ban_left_us, by_us)
        self.ban_left_us -= banned_us
        self.quiet_us += by_us - banned_us

    def ban(self) -> None:
        stepped_back = self.quiet_us // DECAY
        self.level = 0 if self.level < 0 else min(max(0, self.level + 1 - stepped_back), len(STEPS) - 1)
        self.ban_left_us, self.quiet_us = STEPS[self.level], 0


def within(charged: list[tuple[int, int]], now_us: int, window_us: int) -> int:
    return sum(amount for at_us, amount in charged if at_us // window_us == now_us // window_us)


class LimitsLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.wall_us = 1_700_000_100 * SECOND
        self.offset_us = 0
        self.naive = {ip: Naive() for ip in ADDRESSES}

    @initialize()
    def begin(self) -> None:
        self.start()

    def start(self) -> None:
        self.ledger = IpLedger(POLICY, frozenset((CANCEL,)))
        self.counts = AddressCounts(Path(self.folder.name, "addresses"), self.ledger)
        self.counts.load()
        self.ledger.on_change = self.counts.save_bans
        self.ledger.note_time(self.policy_us)

    @property
    def policy_us(self) -> int:
        return self.wall_us + self.offset_us

    # --- what happens ------------------------------------------------------------------------------------------------

    @rule(ip=st.sampled_from(ADDRESSES), weight=st.sampled_from((0, 1, 1, 5, 20)), times=st.integers(1, 12))
    def call(self, ip: str, weight: int, times: int) -> None:
        for _ in range(times):
            assert self.ask(ip, weight, "") == self.expected(ip, weight, cancels=False)

    @rule(ip=st.sampled_from(ADDRESSES), times=st.integers(1, 4))
    def cancel(self, ip: str, times: int) -> None:
        for _ in range(times):
            assert self.ask(ip, 1, CANCEL) == self.expected(ip, 1, cancels=True)

    @rule(by_us=st.sampled_from((1, SECOND, 20 * SECOND, MINUTE - 1, MINUTE, 2 * MINUTE, 11 * MINUTE, DAY, 2 * DAY)))
    def time_passes(self, by_us: int) -> None:
        self.wall_us += by_us
        for one in self.naive.values():
            one.pass_time(by_us)
        self.ledger.note_time(self.policy_us)

    @rule(by_us=st.sampled_from((SECOND, MINUTE, 2 * MINUTE, 10 * MINUTE, 60 * MINUTE, DAY)))
    def policy_clock_is_advanced(self, by_us: int) -> None:
        self.offset_us += by_us
        for one in self.naive.values():
            one.pass_time(by_us)
        self.ledger.note_time(self.policy_us)

    @rule(minutes=st.sampled_from((5, 60, 1_440)), running=st.booleans())
    def host_clock_is_set_back(self, minutes: int, running: bool) -> None:
        """By whole windows, so that the model can move what was charged along with it."""
        by_us = minutes * MINUTE
        self.counts.save(self.counts.dump())
        self.counts.save_bans()
        self.wall_us -= by_us
        for one in self.naive.values():
            for charged, _ in one.counters():
                charged[:] = [(at_us - by_us, amount) for at_us, amount in charged]
        if running:
            self.ledger.note_time(self.policy_us)
        else:
            self.start()

    @rule()
    def restart(self) -> None:
        self.counts.save(self.counts.dump())
        self.start()

    @rule()
    def crash_within_a_second_of_saving(self) -> None:
        """Bans are saved by themselves; what was used has just been saved by the second's turn."""
        self.counts.save(self.counts.dump())
        kept = self.ledger.current_bans(self.policy_us)
        self.start()
        assert self.ledger.current_bans(self.policy_us) == kept

    @rule(ip=st.sampled_from(ADDRESSES))
    def lift(self, ip: str) -> None:
        self.ledger.lift(ip)
        one = self.naive[ip]
        one.level, one.ban_left_us, one.quiet_us = -1, 0, 0

    # --- what must be so ---------------------------------------------------------------------------------------------

    def ask(self, ip: str, weight: int, endpoint: str) -> Reason | None:
        """As the gate does."""
        refusal = self.ledger.ban_on(ip, self.wall_us, self.policy_us) or self.ledger.charge(
            ip, weight, self.wall_us, self.policy_us, "spot", endpoint
        )
        return None if refusal is None else refusal.reason

    def expected(self, ip: str, weight: int, *, cancels: bool) -> Reason | None:
        one, now_us = self.naive[ip], self.wall_us
        if one.ban_left_us:
            return Reason.IP_BANNED
        one.raw.append((now_us, 1))
        let_through = False
        if within(one.raw, now_us, 5 * MINUTE) > RAW:
            if not (cancels and self.reserved(one)):
                return self.refused(one, one.raw_refused, 5 * MINUTE, Reason.IP_RAW_REQUESTS_EXCEEDED)
            let_through = True
        one.weight.append((now_us, weight))
        if within(one.weight, now_us, MINUTE) > WEIGHT and not let_through and not (cancels and self.reserved(one)):
            return self.refused(one, one.weight_refused, MINUTE, Reason.IP_WEIGHT_EXCEEDED)
        return None

    def reserved(self, one: Naive) -> bool:
        if within(one.cancels, self.wall_us, MINUTE) >= RESERVE:
            return False
        one.cancels.append((self.wall_us, 1))
        return True

    def refused(self, one: Naive, refused: list[tuple[int, int]], window_us: int, reason: Reason) -> Reason:
        if within(refused, self.wall_us, window_us) < REFUSALS:
            refused.append((self.wall_us, 1))
            return reason
        refused.clear()
        one.ban()
        return Reason.IP_BANNED

    @invariant()
    def bans_are_as_long_as_they_were_given(self) -> None:
        running = {ip: ban.until_us - self.policy_us for ip, ban in self.ledger.current_bans(self.policy_us)}
        assert running == {ip: one.ban_left_us for ip, one in self.naive.items() if one.ban_left_us}

    def teardown(self) -> None:
        self.folder.cleanup()


LimitsLife.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestLimitsLife = LimitsLife.TestCase
