"""Limits: what is counted, when it is refused, and how long it takes to be heard again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import sparekey.access
from sparekey.access.commands import AdvanceClock, SetSkew
from sparekey.access.limits import FAMILIES, IpLedger, LimitPolicy, parse_profile
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from tests.unit.access.test_public_keys import ED_PRIVATE, RSA_PRIVATE
from tests.unit.access.venue_of_keys import Desk, pem, profile, reason, sign_ed25519

IP = "198.51.100.7"
OTHER = "198.51.100.8"
#: A minute's start.
MINUTE = 1_700_000_040_000_000
FIVE_MINUTES = 1_700_000_100_000_000


class Counter:
    """A ledger, asked by one address unless told otherwise."""

    def __init__(self, policy: str | LimitPolicy = "classic", now_us: int = FIVE_MINUTES) -> None:
        self.ledger = IpLedger(profile(policy) if isinstance(policy, str) else policy)
        self.now_us = now_us
        self.offset_us = 0

    @property
    def policy_us(self) -> int:
        return self.now_us + self.offset_us

    def ask(self, weight: int = 1, ip: str = IP, family: str = "spot", endpoint: str = "") -> Reason | None:
        """As the gate does: ban first, then the charge."""
        refusal = self.ledger.ban_on(ip, self.now_us, self.policy_us) or self.ledger.charge(
            ip, weight, self.now_us, self.policy_us, family, endpoint
        )
        return refusal.reason if isinstance(refusal, Refusal) else None

    def wait_s(self, family: str = "spot", endpoint: str = "") -> int:
        return self.ledger.retry_after_s(IP, self.now_us, self.policy_us, family, endpoint)

    def get_banned(self) -> None:
        self.ask(self.ledger.policy.families["spot"].weight.limit)
        for _ in range(self.ledger.policy.bans.refusals):
            assert self.ask() is Reason.IP_WEIGHT_EXCEEDED
        assert self.ask() is Reason.IP_BANNED


@pytest.fixture
def counter() -> Counter:
    return Counter()


# --- profiles --------------------------------------------------------------------------------------------------------

#: By hand from the public documentation, not from the files: weight a minute, raw requests, orders.
PUBLISHED = {
    "classic": {
        "spot": (1_200, (6_100, "5 MINUTE"), [(100, "10 SECOND"), (160_000, "1 DAY")]),
        "fapi": (2_400, None, [(300, "10 SECOND"), (1_200, "1 MINUTE")]),
        "dapi": (2_400, None, [(300, "10 SECOND"), (1_200, "1 MINUTE")]),
        "sapi": (12_000, None, []),
    },
    "current": {
        "spot": (6_000, (300_000, "5 MINUTE"), [(50, "10 SECOND"), (160_000, "1 DAY")]),
        "fapi": (2_400, None, [(300, "10 SECOND"), (1_200, "1 MINUTE")]),
        "dapi": (2_400, None, [(300, "10 SECOND"), (1_200, "1 MINUTE")]),
        "sapi": (12_000, None, []),
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_profile_holds_the_published_numbers(name: str, family: str) -> None:
    weight, raw, orders = PUBLISHED[name][family]
    limits = profile(name).families[family]
    assert (limits.weight.limit, limits.weight.window) == (weight, "1 MINUTE")
    found = None if limits.raw_requests is None else (limits.raw_requests.limit, limits.raw_requests.window)
    assert found == raw
    assert [(limit.limit, limit.window) for limit in limits.orders] == orders


def test_ban_lengths_are_the_published_ones_two_minutes_to_three_days() -> None:
    for name in ("classic", "current"):
        steps = profile(name).bans.steps_us
        assert (steps[0], steps[-1]) == (2 * MINUTE_US, 3 * DAY_US)
        assert list(steps) == sorted(set(steps))


def test_only_the_profile_off_refuses_nothing() -> None:
    assert {name: profile(name).enforced for name in ("classic", "current", "off")} == {
        "classic": True,
        "current": True,
        "off": False,
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("limit = 1200 }", "limit = 0 }"),
        ("limit = 1200 }", "limit = -1 }"),
        ("limit = 1200 }", 'limit = "many" }'),
        (
            'interval = "MINUTE", interval_count = 1, limit = 1200',
            'interval = "WEEK", interval_count = 1, limit = 1200',
        ),
        ("interval_count = 5, limit = 6100", "interval_count = 0, limit = 6100"),
        ("[families.dapi]", "[families.papi]"),
        ("refusals = 50", "refusals = 0"),
        ('steps = ["2m", "10m", "1h", "6h", "24h", "72h"]', "steps = []"),
        ('"2m"', '"soon"'),
        ('verification_budget = "100ms"', 'verification_budget = "a lot"'),
        ('decay = "24h"', 'decay = "0s"'),
        ('"2m", "10m"', '"0s", "10m"'),
        ("limit = 10 }", "limit = 0 }"),
        ("enforced = true", 'enforced = "yes"'),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(old: str, new: str) -> None:
    text = (Path(sparekey.access.__file__).parent / "profiles/classic.toml").read_text()
    assert old in text
    with pytest.raises((ValueError, msgspec.ValidationError)):
        parse_profile(text.replace(old, new))


# --- weight ----------------------------------------------------------------------------------------------------------


def test_weight_1200_in_a_minute_is_fine_and_1201_is_refused_and_counted(counter: Counter) -> None:
    for _ in range(1_200):
        assert counter.ask() is None
    assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED
    assert counter.ledger.used_weight(IP) == 1_201
    assert counter.ask(50) is Reason.IP_WEIGHT_EXCEEDED
    assert counter.ledger.used_weight(IP) == 1_251
    assert counter.ask(ip=OTHER) is None
    assert counter.ledger.used_weight(OTHER) == 1


def test_one_heavy_request_may_overstep_alone(counter: Counter) -> None:
    assert counter.ask(1_150) is None
    assert counter.ask(51) is Reason.IP_WEIGHT_EXCEEDED
    assert counter.ask(0) is Reason.IP_WEIGHT_EXCEEDED


def test_windows_are_minutes_of_the_clock_not_of_the_first_request() -> None:
    counter = Counter(now_us=MINUTE + 59_999_999)
    counter.ask(1_200)
    assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED
    assert counter.wait_s() == 1
    counter.now_us = MINUTE + MINUTE_US
    assert counter.ask(1_200) is None
    assert counter.ledger.used_weight(IP) == 1_200
    counter.now_us = MINUTE + 2 * MINUTE_US - 1
    assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED


@pytest.mark.parametrize(("into_us", "wait_s"), [(0, 60), (1, 60), (1_000_000, 59), (59_000_001, 1), (59_999_999, 1)])
def test_retry_after_is_the_whole_seconds_to_the_end_of_the_minute(into_us: int, wait_s: int) -> None:
    counter = Counter(now_us=MINUTE + into_us)
    counter.ask(1_200)
    assert counter.wait_s() == 0
    counter.ask()
    assert counter.wait_s() == wait_s


def test_families_count_apart(counter: Counter) -> None:
    counter.ask(1_201)
    for family in ("fapi", "dapi", "sapi"):
        assert counter.ask(family=family, endpoint="x") is None
    assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED


def test_every_sapi_endpoint_has_a_window_of_its_own(counter: Counter) -> None:
    assert counter.ask(12_000, family="sapi", endpoint="one") is None
    assert counter.ask(1, family="sapi", endpoint="one") is Reason.IP_WEIGHT_EXCEEDED
    assert counter.ask(1, family="sapi", endpoint="two") is None
    assert counter.ledger.used_weight(IP, "sapi", "one") == 12_001
    assert counter.ledger.used_weight(IP, "sapi", "two") == 1


def test_an_account_has_a_weight_of_its_own_on_sapi_and_nowhere_else(counter: Counter) -> None:
    ledger = counter.ledger

    def charge(weight: int, account_id: int = 7, family: str = "sapi") -> Refusal | None:
        return ledger.charge_account(account_id, weight, counter.now_us, family, "one")

    assert charge(180_000) is None
    assert reason(charge(1)) is Reason.ACCOUNT_WEIGHT_EXCEEDED
    assert ledger.used_account_weight(7, "sapi", "one") == 180_001
    assert charge(1, account_id=8) is None
    counter.now_us += MINUTE_US
    assert charge(1) is None
    assert charge(10**9, family="spot") is None


def test_raw_requests_count_whatever_their_weight(counter: Counter) -> None:
    for minute in range(5):
        counter.now_us = FIVE_MINUTES + minute * MINUTE_US
        for _ in range(1_200):
            assert counter.ask(1) is None
    for _ in range(100):
        assert counter.ask(0) is None
    assert counter.ask(0) is Reason.IP_RAW_REQUESTS_EXCEEDED
    counter.now_us = FIVE_MINUTES + 5 * MINUTE_US
    assert counter.ask(1) is None


def test_what_was_charged_for_a_failure_is_given_back_in_its_own_minute_only(counter: Counter) -> None:
    counter.ask(10)
    counter.ledger.give_back(IP, 4, counter.now_us)
    assert counter.ledger.used_weight(IP) == 6
    counter.ledger.give_back(IP, 100, counter.now_us)
    assert counter.ledger.used_weight(IP) == 0
    charged_us = counter.now_us
    counter.ask(10)
    counter.now_us += MINUTE_US
    counter.ask(3)
    counter.ledger.give_back(IP, 10, charged_us)
    assert counter.ledger.used_weight(IP) == 3
    counter.ledger.give_back("never seen", 1, counter.now_us)
    assert counter.ledger.used_weight("never seen") == 0


def test_the_profile_off_counts_and_refuses_nothing() -> None:
    counter = Counter("off")
    counter.ask(1_200_000)
    for _ in range(200):
        assert counter.ask(1) is None
    assert counter.ledger.used_weight(IP) == 1_200_200
    assert counter.ledger.current_bans(counter.policy_us) == []


# --- bans ------------------------------------------------------------------------------------------------------------


def test_ignoring_429_is_a_ban_of_two_minutes(counter: Counter) -> None:
    counter.get_banned()
    assert counter.wait_s() == 120
    assert counter.ask(ip=OTHER) is None
    counter.now_us += 2 * MINUTE_US - 1
    assert counter.ask() is Reason.IP_BANNED
    assert counter.wait_s() == 1
    counter.now_us += 1
    assert counter.ask() is None


def test_a_profile_may_ban_after_a_single_refusal() -> None:
    text = (Path(sparekey.access.__file__).parent / "profiles/classic.toml").read_text()
    counter = Counter(parse_profile(text.replace("refusals = 50", "refusals = 1")))
    counter.ask(1_200)
    assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED
    assert counter.ask() is Reason.IP_BANNED


def test_an_address_that_was_banned_once_is_forgotten_in_the_end(counter: Counter) -> None:
    counter.get_banned()
    counter.now_us += 2 * MINUTE_US + DAY_US - 1
    counter.ask(ip=OTHER)
    assert IP in counter.ledger.bans
    counter.now_us += MINUTE_US
    counter.ask(ip=OTHER)
    assert IP not in counter.ledger.bans


def test_refusals_of_another_minute_do_not_count_towards_a_ban(counter: Counter) -> None:
    for _ in range(5):
        counter.ask(1_200)
        for _ in range(50):
            assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED
        counter.now_us += MINUTE_US
    assert counter.ledger.bans == {}


def test_bans_grow_with_repetition_to_three_days(counter: Counter) -> None:
    lengths = []
    for _ in range(8):
        counter.get_banned()
        lengths.append(counter.wait_s())
        counter.now_us += lengths[-1] * SECOND_US + MINUTE_US
    assert lengths == [120, 600, 3_600, 6 * 3_600, 24 * 3_600, 72 * 3_600, 72 * 3_600, 72 * 3_600]


@pytest.mark.parametrize(
    ("quiet_us", "wait_s"),
    [
        (0, 24 * 3_600),
        (DAY_US - 1, 24 * 3_600),
        (DAY_US, 6 * 3_600),
        (2 * DAY_US, 3_600),
        (3 * DAY_US, 600),
        (4 * DAY_US - 1, 600),
        (4 * DAY_US, 120),
        (40 * DAY_US, 120),
    ],
)
def test_each_quiet_day_after_a_ban_makes_the_next_one_a_step_shorter(quiet_us: int, wait_s: int) -> None:
    counter = Counter(now_us=FIVE_MINUTES)
    for _ in range(4):
        counter.get_banned()
        ban = counter.ledger.bans[IP]
        counter.now_us = ban.until_us
        counter.ask(0, ip=OTHER)
    assert ban.level == 3
    counter.now_us = ban.until_us + quiet_us
    counter.get_banned()
    assert counter.wait_s() == wait_s


def test_a_ban_ends_early_when_it_is_lifted_and_the_next_starts_small(counter: Counter) -> None:
    counter.get_banned()
    assert [ip for ip, _ in counter.ledger.current_bans(counter.policy_us)] == [IP]
    assert counter.ledger.lift(IP)
    assert not counter.ledger.lift(IP)
    counter.now_us += MINUTE_US
    counter.get_banned()
    assert counter.wait_s() == 120


def test_advancing_the_policy_clock_ends_a_ban(counter: Counter) -> None:
    counter.get_banned()
    counter.offset_us += HOUR_US
    counter.now_us += MINUTE_US
    assert counter.ask() is None


def test_a_ban_names_its_end_in_the_clock_that_callers_see(counter: Counter) -> None:
    counter.offset_us = 91 * DAY_US
    counter.get_banned()
    refusal = counter.ledger.ban_on(IP, counter.now_us, counter.policy_us)
    assert refusal == Refusal(Reason.IP_BANNED, ((counter.now_us + 2 * MINUTE_US) // 1_000,))


def test_whoever_is_told_of_a_ban_is_told_once_and_before_the_banned_caller(counter: Counter) -> None:
    told: list[str] = []
    changes: list[int] = []
    counter.ledger.on_ban = told.append
    counter.ledger.on_change = lambda: changes.append(len(counter.ledger.bans))
    counter.get_banned()
    counter.ask()
    assert (told, changes) == ([IP], [1])
    counter.ledger.lift(OTHER)
    counter.ledger.lift(IP)
    assert changes == [1, 0]


def test_the_call_that_earned_a_ban_is_known_from_those_that_met_it(counter: Counter) -> None:
    ledger = counter.ledger
    ledger.charge(IP, 1_200, counter.now_us, counter.policy_us, "spot", "")
    refusals = [ledger.charge(IP, 1, counter.now_us, counter.policy_us, "spot", "") for _ in range(51)]
    assert [refusal is ledger.newest_ban for refusal in refusals] == [False] * 50 + [True]
    assert ledger.ban_on(IP, counter.now_us, counter.policy_us) is not ledger.newest_ban


def test_looking_at_a_clock_that_goes_on_moves_no_ban(counter: Counter) -> None:
    counter.get_banned()
    until_us = counter.ledger.bans[IP].until_us
    for _ in range(119):
        counter.now_us += SECOND_US
        counter.ledger.note_time(counter.policy_us)
    assert counter.ledger.bans[IP].until_us == until_us
    assert counter.wait_s() == 1


@pytest.mark.parametrize(("back_us", "saved"), [(-SECOND_US, 0), (0, 0), (SECOND_US - 1, 0), (SECOND_US, 1)])
def test_a_clock_that_was_set_back_is_saved_so_that_no_start_sees_it_again(
    counter: Counter, back_us: int, saved: int
) -> None:
    counter.get_banned()
    until_us = counter.ledger.bans[IP].until_us
    changes: list[int] = []
    counter.ledger.on_change = lambda: changes.append(1)
    counter.ledger.note_time(counter.policy_us - back_us)
    assert len(changes) == saved
    assert counter.ledger.bans[IP].until_us == until_us - max(0, back_us)


def test_the_very_first_ban_remembers_when_it_was_given(counter: Counter) -> None:
    ledger = counter.ledger
    for _ in range(52):  # as the gate asks while nobody is banned
        ledger.charge(IP, 1_200, counter.now_us, counter.policy_us, "spot", "")
    counter.now_us -= HOUR_US
    assert counter.ask() is Reason.IP_BANNED
    counter.now_us += 2 * MINUTE_US - 1
    assert counter.ask() is Reason.IP_BANNED
    counter.now_us += 1
    assert counter.ask() is not Reason.IP_BANNED


def test_after_a_ban_the_refusals_are_counted_anew(counter: Counter) -> None:
    counter.get_banned()
    counter.ledger.lift(IP)
    assert [counter.ask() for _ in range(51)] == [Reason.IP_WEIGHT_EXCEEDED] * 50 + [Reason.IP_BANNED]


# --- the reserve for cancels -----------------------------------------------------------------------------------------

CANCEL = "DELETE /api/v3/order"


class Reserving(Counter):
    """A counter whose ledger lets cancels through."""

    def __init__(self, policy: str | LimitPolicy = "classic") -> None:
        super().__init__(policy)
        self.ledger = IpLedger(self.ledger.policy, frozenset((CANCEL,)))

    def cancel(self, ip: str = IP, family: str = "spot") -> Reason | None:
        return self.ask(ip=ip, family=family, endpoint=CANCEL)


def test_ten_cancels_a_minute_go_through_although_the_weight_is_used_up_and_the_eleventh_does_not() -> None:
    counter = Reserving()
    counter.ask(1_200)
    assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED
    assert [counter.cancel() for _ in range(11)] == [None] * 10 + [Reason.IP_WEIGHT_EXCEEDED]
    assert counter.ledger.cancels_used(IP) == counter.ledger.cancels_let_through == 10
    assert counter.ledger.used_weight(IP) == 1_200 + 12  # all are counted
    counter.ask(1_200, ip=OTHER)
    assert counter.cancel(ip=OTHER) is None
    counter.now_us += MINUTE_US
    counter.ask(1_200)
    assert [counter.cancel() for _ in range(11)] == [None] * 10 + [Reason.IP_WEIGHT_EXCEEDED]


def test_cancels_below_the_limit_take_nothing_of_the_reserve() -> None:
    counter = Reserving()
    for _ in range(1_200):
        assert counter.cancel() is None
    assert counter.ledger.cancels_used(IP) == 0


def test_a_cancel_of_the_reserve_is_no_step_towards_a_ban_and_does_not_survive_one() -> None:
    counter = Reserving()
    counter.ask(1_200)
    for _ in range(50):
        counter.ask()
    assert counter.cancel() is None
    assert counter.ask() is Reason.IP_BANNED
    assert counter.cancel() is Reason.IP_BANNED
    assert counter.ledger.cancels_used(IP) == 1


def test_a_reserved_cancel_over_both_limits_takes_one_of_the_reserve() -> None:
    counter = Reserving()
    counter.ask(1_200)
    for _ in range(6_099):
        counter.ledger.charge(IP, 0, counter.now_us, counter.policy_us, "spot", CANCEL)
    assert counter.cancel() is None
    assert counter.ledger.cancels_used(IP) == 1


def test_a_restart_fills_no_reserve() -> None:
    counter = Reserving()
    counter.ask(1_200)
    for _ in range(10):
        counter.cancel()
    again = Reserving()
    again.now_us = counter.now_us
    again.ledger.load(msgspec.msgpack.decode(msgspec.msgpack.encode(counter.ledger.dump())))
    assert again.cancel() is Reason.IP_WEIGHT_EXCEEDED


def test_without_a_reserve_a_cancel_is_a_call_like_any_other() -> None:
    for counter in (Counter(), Reserving(msgspec.structs.replace(profile("classic"), reserved_cancels=None))):
        counter.ask(1_200)
        assert counter.ask(endpoint=CANCEL) is Reason.IP_WEIGHT_EXCEEDED


# --- forecasts -------------------------------------------------------------------------------------------------------


def forecast(counter: Counter) -> tuple[int, ...] | None:
    return counter.ledger.forecast(IP, counter.now_us, counter.policy_us)


def test_a_forecast_counts_down_to_the_ban_and_names_its_length(counter: Counter) -> None:
    counter.ask(1_000)
    assert forecast(counter) == (200, 50, 60, 120)
    counter.now_us += 20 * SECOND_US
    counter.ask(200)
    assert forecast(counter) == (0, 50, 40, 120)
    for left in range(49, -1, -1):
        assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED
        assert forecast(counter) == (0, left, 40, 120)
    assert counter.ask() is Reason.IP_BANNED
    assert forecast(counter) is None
    counter.now_us += 2 * MINUTE_US
    counter.ask(300)
    assert forecast(counter) == (900, 50, 40, 600)


def test_a_forecast_is_of_the_limiter_that_is_nearest_to_its_limit(counter: Counter) -> None:
    for _ in range(5_000):
        counter.ask(0)
    assert forecast(counter) == (1_100, 50, 300, 120)
    counter.ask(1_100)
    assert forecast(counter) == (100, 50, 60, 120)


# --- clocks that misbehave -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watched", [False, True])
def test_a_host_clock_set_back_an_hour_neither_empties_a_window_nor_keeps_it_full(
    counter: Counter, watched: bool
) -> None:
    counter.ledger.note_time(counter.policy_us)
    counter.ask(1_201)
    counter.now_us -= HOUR_US
    if watched:
        counter.ledger.note_time(counter.policy_us)
    assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED
    assert counter.ledger.used_weight(IP) == 1_202
    assert counter.wait_s() == 60
    counter.now_us += MINUTE_US
    assert counter.ask() is None
    assert counter.ledger.used_weight(IP) == 1


def test_a_window_that_was_full_when_the_host_clock_was_set_back_ends_although_nobody_asked_meanwhile() -> None:
    counter = Counter()
    counter.ledger.note_time(counter.policy_us)
    counter.ask(1_201)
    counter.now_us -= HOUR_US
    counter.ledger.note_time(counter.policy_us)
    counter.now_us += MINUTE_US
    assert counter.ask() is None


def test_a_clock_set_back_across_a_minute_s_start_gives_nobody_what_was_used_up(counter: Counter) -> None:
    counter.ask(1_200)
    counter.now_us -= 10 * SECOND_US
    assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED


def test_a_host_clock_set_back_an_hour_makes_no_ban_longer(counter: Counter) -> None:
    counter.get_banned()
    counter.now_us -= HOUR_US
    assert counter.ask() is Reason.IP_BANNED
    assert counter.wait_s() == 120
    counter.now_us += 2 * MINUTE_US
    assert counter.ask() is None


def test_the_skew_fault_of_the_wire_clock_neither_lifts_nor_lengthens_a_ban() -> None:
    desk = Desk()

    def enter(weight: int = 1) -> Refusal | None:
        return desk.gate.enter(IP, weight, desk.now_us + desk.state.skew_us)

    enter(1_200)
    while reason(enter()) is not Reason.IP_BANNED:
        pass
    for skew_us in (DAY_US, -DAY_US, 3 * SECOND_US):
        desk.do(SetSkew(skew_us))
        refusal = enter()
        assert reason(refusal) is Reason.IP_BANNED
        # The end is told in the clock that callers see.
        assert refusal.facts == ((desk.now_us + skew_us + 2 * MINUTE_US) // 1_000,)  # type: ignore[union-attr]
        assert desk.gate.retry_after_s(IP, desk.now_us + skew_us) == 120
    desk.now_us += 2 * MINUTE_US
    assert enter() is None


def test_advancing_the_policy_clock_lifts_a_ban_at_the_gate_for_as_long_as_it_was() -> None:
    desk = Desk()
    desk.gate.enter(IP, 1_200, desk.now_us)
    while reason(desk.gate.enter(IP, 1, desk.now_us)) is not Reason.IP_BANNED:
        pass
    desk.do(AdvanceClock(MINUTE_US))
    assert reason(desk.gate.enter(IP, 1, desk.now_us)) is Reason.IP_BANNED
    assert desk.gate.retry_after_s(IP, desk.now_us) == 60
    desk.do(AdvanceClock(MINUTE_US))
    desk.now_us += MINUTE_US  # of which the full window knows
    assert desk.gate.enter(IP, 1, desk.now_us) is None


# --- verifications that fail -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_flood_of_wrong_signatures_is_cut_off_before_it_costs_more_than_its_budget(kind: str) -> None:
    desk = Desk()
    private: Any = {"rsa": RSA_PRIVATE, "ed25519": ED_PRIVATE}[kind]
    key = desk.key(desk.account(), key_type=kind, public_key=pem(private))
    wrong = {"rsa": "A" * 342 + "==", "ed25519": "A" * 86 + "=="}[kind]
    refusals = [reason(desk.call(key, ip=IP, sign=lambda _: wrong)) for _ in range(4_000)]
    cut = refusals.index(Reason.VERIFICATION_BUDGET_EXCEEDED)
    assert set(refusals[:cut]) == {Reason.SIGNATURE_INVALID}
    assert set(refusals[cut:]) == {Reason.VERIFICATION_BUDGET_EXCEEDED}
    assert key.verifier is not None
    assert cut * key.verifier.cost_us >= desk.policy.verification_budget_us
    assert (cut - 1) * key.verifier.cost_us < desk.policy.verification_budget_us
    # Another address is heard, and this one again in the next minute.
    assert reason(desk.call(key, ip=OTHER, sign=lambda _: wrong)) is Reason.SIGNATURE_INVALID
    desk.now_us += MINUTE_US
    assert reason(desk.call(key, ip=IP, sign=lambda _: wrong)) is Reason.SIGNATURE_INVALID


def test_right_signatures_and_hmac_cost_nothing_of_the_budget() -> None:
    desk = Desk()
    account_id = desk.account()
    hmac_key = desk.key(account_id, "hmac")
    for _ in range(5_000):
        assert reason(desk.call(hmac_key, sign=lambda _: "0" * 64)) is Reason.SIGNATURE_INVALID
    key = desk.key(account_id, "ed", key_type="ed25519", public_key=pem(ED_PRIVATE))
    sign = sign_ed25519(ED_PRIVATE)
    for _ in range(1_200):
        assert not isinstance(desk.call(key, permission=Permission.READING, sign=sign), Refusal)


# --- saving ----------------------------------------------------------------------------------------------------------


def busy_ledger() -> Counter:
    counter = Counter()
    counter.get_banned()
    counter.now_us += MINUTE_US
    counter.ask(700, ip=OTHER)
    counter.ask(1_250, ip="2001:db8::1")
    counter.ask(30, ip=OTHER, family="sapi", endpoint="one")
    counter.ask(40, ip=OTHER, family="fapi")
    counter.ledger.charge_account(7, 50, counter.now_us, "sapi", "one")
    return counter


def test_a_saved_ledger_goes_on_counting_where_it_was() -> None:
    counter = busy_ledger()
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(counter.ledger.dump()))
    again = Counter(now_us=counter.now_us)
    again.ledger.load(saved)
    assert again.ledger.dump() == counter.ledger.dump()
    for one in (counter, again):
        assert one.ask(ip=IP) is Reason.IP_BANNED
        assert one.ask(501, ip=OTHER) is Reason.IP_WEIGHT_EXCEEDED
        assert one.ask(0, ip="2001:db8::1") is Reason.IP_WEIGHT_EXCEEDED
        assert one.ledger.used_weight(OTHER, "sapi", "one") == 30
        assert one.ledger.used_account_weight(7, "sapi", "one") == 50
    assert again.ledger.dump() == counter.ledger.dump()


def test_a_ledger_saved_under_another_profile_is_read_as_far_as_it_fits() -> None:
    counter = busy_ledger()
    policy = profile("off")
    families = {name: limits for name, limits in policy.families.items() if name in ("spot", "dapi")}
    ledger = IpLedger(msgspec.structs.replace(policy, families=families))
    ledger.load(counter.ledger.dump())
    assert ledger.used_weight(OTHER) == 700
    assert ledger.ban_on(IP, counter.now_us, counter.policy_us) is None


def test_a_ban_of_a_level_that_the_profile_does_not_have_lasts_as_long_as_its_longest() -> None:
    counter = Counter()
    counter.ledger.load([[], [], [], [], [[IP, 9, counter.policy_us + 30 * DAY_US]]])
    assert counter.ask() is Reason.IP_BANNED
    assert counter.wait_s() == 3 * 24 * 3_600
    assert [ip for ip, _ in counter.ledger.current_bans(counter.policy_us)] == [IP]
    counter.now_us += 3 * DAY_US
    assert counter.ledger.current_bans(counter.policy_us) == []
    assert counter.wait_s() == 0
    assert counter.ask() is None


@pytest.mark.parametrize(
    "spoiled",
    [
        None,
        [],
        {},
        [[], [], [], []],
        [[["spot", 1, [["ip", "many", 0]]]], [], [], [], []],
        [[["spot", 1, [["ip", -1, 0]]]], [], [], [], []],
        [[["spot", "now", []]], [], [], [], []],
        [[], [], [["sapi", 1, []]], [], []],
        [[], [], [], [], [["ip", -1, 5]]],
        [[["spot", 1, [["ip", 5, 0]]]], [], [], [], [["ip", 0, None]]],
    ],
)
def test_a_spoiled_ledger_is_refused_as_a_whole(spoiled: Any) -> None:
    counter = busy_ledger()
    before = counter.ledger.dump()
    with pytest.raises(msgspec.ValidationError):
        counter.ledger.load(spoiled)
    assert counter.ledger.dump() == before


def test_memory_holds_the_addresses_of_one_window_only() -> None:
    counter = Counter("off")
    for number in range(5_000):
        counter.ask(ip=f"10.0.{number // 256}.{number % 256}")
    counter.now_us += 5 * MINUTE_US
    counter.ask()
    rows = counter.ledger.dump()
    assert len(rows[0][0][2]) == 1
    assert len(rows[1][0][2]) == 1
