"""When ticks, recorded prints and timers are due, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparekey.access.commands import RunDueTimers
from sparekey.access.state import NEVER_US
from sparekey.market.recordings import Pacing, parse_recording
from sparekey.sequencer.pace import LONGEST_TICK_US, DueTimers, MarketPace, ReplayPace
from sparekey.terms.clocktime import DAY_US, HOUR_US, SECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import EndReplay, MarketTick, ReplayPrints


class Turned:
    """A loop whose time passes when `turn` is called; what is called later is called on the way."""

    def __init__(self) -> None:
        self.now_us = 1_000 * SECOND_US
        self.calls: list[tuple[int, int, Callable[[], object]]] = []
        self._number = 0

    def monotonic_us(self) -> int:
        return self.now_us

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Turned.Handle:
        self._number += 1
        self.calls.append((self.now_us + round(delay_s * SECOND_US), self._number, call))
        return Turned.Handle(self, self._number)

    class Handle:
        def __init__(self, loop: Turned, number: int) -> None:
            self._loop, self._number = loop, number

        def cancel(self) -> None:
            self._loop.calls = [one for one in self._loop.calls if one[1] != self._number]

    def turn(self, by_us: int) -> None:
        until_us = self.now_us + by_us
        while self.calls and min(self.calls)[0] <= until_us:
            due = min(self.calls)
            self.calls.remove(due)
            self.now_us = max(self.now_us, due[0])
            due[2]()
        self.now_us = until_us


class Shards:
    """Takes commands and remembers when they came and whether somebody waited for them."""

    def __init__(self, loop: Turned) -> None:
        self.loop = loop
        self.came: list[tuple[int, str, Any, bool]] = []
        self.outcome: Any = ("happened",)
        self.began_us = loop.now_us

    def submit(self, shard: str, command: Any, *, lazy: bool = False) -> Any:
        self.came.append((self.loop.now_us - self.began_us, shard, command, lazy))
        return self.outcome


def paced(busy: list[bool]) -> tuple[Turned, Shards, MarketPace]:
    loop = Turned()
    shards = Shards(loop)
    return loop, shards, MarketPace(shards.submit, lambda: busy[0], loop.monotonic_us, loop.call_later)


def test_a_busy_market_ticks_every_second_and_somebody_waits() -> None:
    loop, shards, pace = paced([True])
    pace.start()
    loop.turn(5 * SECOND_US)
    assert [at // SECOND_US for at, *_ in shards.came] == [0, 1, 2, 3, 4, 5]
    assert {command for _, _, command, _ in shards.came} == {MarketTick(SECOND_US)}
    assert not any(lazy for *_, lazy in shards.came)


def test_a_quiet_market_ticks_every_ten_seconds_and_nobody_waits() -> None:
    loop, shards, pace = paced([False])
    pace.start()
    loop.turn(31 * SECOND_US)
    assert [command.elapsed_us // SECOND_US for _, _, command, _ in shards.came] == [10, 10, 10]
    assert all(lazy for *_, lazy in shards.came)


def test_whoever_connects_finds_a_moving_market_within_a_second() -> None:
    busy = [False]
    loop, shards, pace = paced(busy)
    pace.start()
    loop.turn(14 * SECOND_US)
    seen = len(shards.came)
    busy[0] = True
    loop.turn(SECOND_US)
    assert len(shards.came) == seen + 1
    assert not shards.came[-1][3]


def test_a_tick_never_stands_for_a_nights_sleep() -> None:
    loop, shards, pace = paced([True])
    pace.start()
    loop.now_us += 8 * HOUR_US
    loop.turn(SECOND_US)
    assert max(command.elapsed_us for _, _, command, _ in shards.came) == LONGEST_TICK_US
    assert len(shards.came) <= 3


def test_a_stopped_pace_is_silent() -> None:
    loop, shards, pace = paced([True])
    pace.start()
    pace.stop()
    before = len(shards.came)
    loop.turn(60 * SECOND_US)
    assert len(shards.came) == before


def test_a_market_that_refuses_its_ticks_says_so_and_heals() -> None:
    loop, shards, pace = paced([True])
    shards.outcome = Refusal(Reason.REQUEST_INVALID, ("The market is not open.",))
    pace.start()
    assert "not open" in pace.problem
    shards.outcome = ("happened",)
    loop.turn(SECOND_US)
    assert pace.problem == ""


def replayed(offsets_ms: list[int], *, at_end: str = "halt") -> tuple[Turned, Shards, ReplayPace]:
    start_ms = 1_610_064_000_000
    lines = [f"{n},100.0,1,100.0,{start_ms + ms},True,True" for n, ms in enumerate(offsets_ms, 1)]
    loop = Turned()
    shards = Shards(loop)
    pacing = Pacing(parse_recording("BTCUSDT-trades-2021-01-08.csv", lines))
    pace = ReplayPace(
        shards.submit,
        pacing,
        at_end=at_end,
        busy=lambda: True,
        monotonic_us=loop.monotonic_us,
        call_later=loop.call_later,
    )
    return loop, shards, pace


def arrivals(shards: Shards) -> list[tuple[int, int]]:
    """(ms, how many prints)."""
    return [(at // 1000, len(command.prints)) for at, _, command, _ in shards.came if type(command) is ReplayPrints]


def test_recorded_prints_keep_their_distances_and_each_happens_once() -> None:
    loop, shards, pace = replayed([0, 0, 1_500, 1_501, 90_000])
    pace.start()
    loop.turn(200 * SECOND_US)
    assert arrivals(shards) == [(0, 2), (1_500, 1), (1_520, 1), (90_000, 1)]
    assert not loop.calls


def test_a_recording_begins_again_where_it_is_told_to() -> None:
    loop, shards, pace = replayed([0, 2_000], at_end="loop")
    pace.start()
    loop.turn(7 * SECOND_US)
    assert [at for at, _ in arrivals(shards)] == [0, 2_000, 3_000, 5_000, 6_000]


def test_participants_take_over_where_a_recording_ends_if_they_are_told_to() -> None:
    loop, shards, pace = replayed([0, 2_000], at_end="simulated")
    pace.start()
    loop.turn(7 * SECOND_US)
    assert [type(command) for _, _, command, _ in shards.came] == [ReplayPrints, ReplayPrints, EndReplay]
    assert not loop.calls


def test_many_recorded_prints_of_one_moment_come_in_commands_of_bounded_size() -> None:
    loop, shards, pace = replayed([0] * 1_201)
    pace.start()
    loop.turn(SECOND_US)
    assert [count for _, count in arrivals(shards)] == [500, 500, 201]


def test_a_replay_that_is_refused_stops_and_says_so() -> None:
    loop, shards, pace = replayed([0, 1_000, 2_000])
    shards.outcome = Refusal(Reason.SYMBOL_UNKNOWN)
    pace.start()
    loop.turn(10 * SECOND_US)
    assert len(shards.came) == 1
    assert "BTCUSDT-trades" in pace.problem


def test_a_timer_goes_off_when_it_is_due_and_not_before() -> None:
    loop = Turned()
    shards = Shards(loop)
    due = [shards.began_us + 90 * DAY_US]

    def submit(shard: str, command: Any, *, lazy: bool = False) -> Any:
        due[0] = NEVER_US
        return shards.submit(shard, command)

    timers = DueTimers(submit, lambda: due[0], loop.monotonic_us, loop.call_later)
    timers.arm()
    loop.turn(90 * DAY_US - SECOND_US)
    assert not shards.came
    loop.turn(2 * SECOND_US)
    assert [(at, shard, command) for at, shard, command, _ in shards.came] == [(90 * DAY_US, "access", RunDueTimers())]
    loop.turn(HOUR_US)
    assert len(shards.came) == 1


def test_a_timer_that_comes_closer_is_met_once_it_is_armed_anew() -> None:
    loop = Turned()
    shards = Shards(loop)
    due = [shards.began_us + 90 * DAY_US]
    timers = DueTimers(shards.submit, lambda: due[0], loop.monotonic_us, loop.call_later)
    timers.arm()
    due[0] = shards.began_us + 3 * SECOND_US
    timers.arm()
    loop.turn(3 * SECOND_US)
    assert len(shards.came) == 1
    assert shards.came[0][0] == 3 * SECOND_US
    assert len(loop.calls) == 1
