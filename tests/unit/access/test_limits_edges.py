"""The ledger of addresses where a small mistake would not show at once: clocks set back, restarts, what starts anew."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import sparekey.access
from sparekey.access.limits import IpLedger, Limit, parse_profile
from sparekey.terms.clocktime import MINUTE_US, SECOND_US
from sparekey.terms.reasons import Reason
from tests.unit.access.test_limits import IP, OTHER, Counter
from tests.unit.access.venue_of_keys import profile

BAN_US = 2 * MINUTE_US


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.mark.parametrize(("interval", "seconds"), [("SECOND", 1), ("MINUTE", 60), ("HOUR", 3_600), ("DAY", 86_400)])
def test_a_window_is_as_long_as_its_name_says(interval: str, seconds: int) -> None:
    assert Limit(interval=interval, interval_count=3, limit=1).window_us == 3 * seconds * SECOND_US


# --- clocks set back -------------------------------------------------------------------------------------------------


def test_a_clock_set_back_by_a_little_leaves_a_ban_what_was_left_of_it(counter: Counter) -> None:
    """Not the whole of its length again: seconds that were waited are waited."""
    counter.get_banned()
    counter.now_us += MINUTE_US
    counter.ledger.note_time(counter.policy_us)
    counter.now_us -= 30 * SECOND_US
    counter.ledger.note_time(counter.policy_us)
    assert counter.wait_s() == 60
    assert counter.ledger.bans[IP].until_us == counter.policy_us + MINUTE_US


def test_a_banned_address_that_asks_is_enough_to_notice_a_clock_set_back(counter: Counter) -> None:
    counter.get_banned()
    counter.now_us += MINUTE_US
    assert counter.ask() is Reason.IP_BANNED
    counter.now_us -= 30 * SECOND_US
    assert counter.ask() is Reason.IP_BANNED
    assert counter.wait_s() == 60


def test_a_clock_that_goes_ahead_or_stands_changes_nothing(counter: Counter) -> None:
    counter.get_banned()
    counter.ask(7, ip=OTHER)
    told: list[None] = []
    counter.ledger.on_change = lambda: told.append(None)
    until_us = counter.ledger.bans[IP].until_us
    for step_us in (0, 1, SECOND_US, 30 * SECOND_US):
        counter.now_us += step_us
        counter.ledger.note_time(counter.policy_us)
    assert counter.ledger.bans[IP].until_us == until_us
    assert counter.ledger.used_weight(OTHER) == 7
    counter.ask(1, ip=OTHER)
    assert counter.ledger.used_weight(OTHER) == 8
    assert told == []


def test_a_clock_set_back_is_saved_unless_it_is_the_tremor_of_a_clock(counter: Counter) -> None:
    told: list[None] = []
    counter.get_banned()
    counter.ledger.note_time(counter.policy_us)
    counter.ledger.on_change = lambda: told.append(None)
    counter.ledger.note_time(counter.policy_us - SECOND_US + 1)
    assert told == []
    counter.ledger.note_time(counter.policy_us - 2 * SECOND_US + 1)
    assert told == [None]


def test_saved_bans_say_when_they_were_what_they_say(counter: Counter) -> None:
    counter.get_banned()
    assert counter.ledger.dump_bans()[0] == counter.policy_us
    again = IpLedger(counter.ledger.policy)
    again.load_bans(counter.ledger.dump_bans())
    assert again.dump_bans() == counter.ledger.dump_bans()
    assert again.bans[IP].until_us == counter.policy_us + BAN_US


# --- what starts anew ------------------------------------------------------------------------------------------------


def test_whoever_was_let_back_in_is_warned_as_often_as_before_the_next_ban(counter: Counter) -> None:
    counter.get_banned()
    assert counter.ledger.lift(IP) is True
    assert counter.ledger.lift(IP) is False
    for _ in range(counter.ledger.policy.bans.refusals):
        assert counter.ask() is Reason.IP_WEIGHT_EXCEEDED
    assert counter.ask() is Reason.IP_BANNED


def test_a_budget_that_is_used_up_stays_so_until_its_minute_ends() -> None:
    ledger = IpLedger(profile("classic"))
    now_us = Counter().now_us
    assert not ledger.verification_exhausted(IP, now_us)
    ledger.charge_verification(IP, ledger.policy.verification_budget_us - 1)
    assert not ledger.verification_exhausted(IP, now_us + 10 * SECOND_US)
    ledger.charge_verification(IP, 1)
    for passed_us in (11 * SECOND_US, 30 * SECOND_US, MINUTE_US - 1):
        assert ledger.verification_exhausted(IP, now_us + passed_us)
    assert not ledger.verification_exhausted(OTHER, now_us + 30 * SECOND_US)
    assert not ledger.verification_exhausted(IP, now_us + MINUTE_US)


# --- nobody has called yet -------------------------------------------------------------------------------------------


def test_who_never_called_has_used_nothing(counter: Counter) -> None:
    assert counter.ledger.used_weight(IP) == 0
    assert counter.ledger.used_weight(IP, "sapi", "GET /sapi/v1/never") == 0
    assert counter.ledger.used_account_weight(7, "sapi", "GET /sapi/v1/never") == 0
    assert counter.ledger.cancels_let_through == 0
    assert counter.wait_s() == 0
    assert counter.wait_s("sapi", "GET /sapi/v1/never") == 0


def test_what_names_no_family_is_spot(counter: Counter) -> None:
    counter.ask(1_300)
    ledger, now_us, policy_us = counter.ledger, counter.now_us, counter.policy_us
    assert ledger.retry_after_s(IP, now_us, policy_us) == ledger.retry_after_s(IP, now_us, policy_us, "spot") > 0
    ledger.give_back(IP, 100, now_us)
    assert ledger.used_weight(IP) == ledger.used_weight(IP, "spot") == 1_200
    assert ledger.forecast(IP, now_us, policy_us) == ledger.forecast(IP, now_us, policy_us, "spot")


@pytest.mark.parametrize("started_us", [Counter().now_us, Counter().now_us + MINUTE_US])
def test_the_budget_of_verifications_is_of_one_minute(started_us: int) -> None:
    ledger = IpLedger(profile("classic"))
    ledger.verification_exhausted(IP, started_us)
    ledger.charge_verification(IP, ledger.policy.verification_budget_us)
    assert ledger.verification_exhausted(IP, started_us + MINUTE_US - 1)
    assert not ledger.verification_exhausted(IP, started_us + MINUTE_US)


def test_a_limit_of_one_is_a_limit() -> None:
    policy = profile("classic")
    narrow = msgspec.structs.replace(
        policy.families["spot"], weight=Limit(interval="MINUTE", interval_count=1, limit=1)
    )
    counter = Counter(msgspec.structs.replace(policy, families=policy.families | {"spot": narrow}))
    assert [counter.ask(), counter.ask()] == [None, Reason.IP_WEIGHT_EXCEEDED]
    text = Path(sparekey.access.__file__).with_name("profiles").joinpath("classic.toml").read_text()
    assert parse_profile(text.replace("limit = 1200 }", "limit = 1 }", 1)).families["spot"].weight.limit == 1


def test_a_forecast_has_nothing_left_beyond_the_limit_and_names_the_limiter_that_is_nearer(counter: Counter) -> None:
    counter.ask(1_300)
    told = counter.ledger.forecast(IP, counter.now_us, counter.policy_us)
    assert told is not None
    assert told.left == 0
    other = Counter()
    for minute in range(4):
        other.now_us = Counter().now_us + minute * MINUTE_US
        for _ in range(1_200):
            assert other.ask(1) is None
    other.now_us += MINUTE_US
    for _ in range(900):
        assert other.ask(1) is None
    told = other.ledger.forecast(IP, other.now_us, other.policy_us)
    assert told is not None
    # Three quarters of the weight, and 5,700 of 6,100 raw requests in five minutes.
    assert told.left == 400


def test_an_address_that_was_good_for_long_starts_at_the_first_step_again(counter: Counter) -> None:
    counter.get_banned()
    counter.now_us += 10 * 24 * 60 * MINUTE_US
    told = counter.ledger.forecast(IP, counter.now_us, counter.policy_us)
    assert told is not None
    assert told.ban_s == 120


def test_the_moment_of_the_very_first_ban_is_noted() -> None:
    ledger, now_us = IpLedger(profile("classic")), Counter().now_us
    ledger.charge(IP, 1_200, now_us, now_us, "spot", "")
    for _ in range(ledger.policy.bans.refusals + 1):
        ledger.charge(IP, 1, now_us, now_us, "spot", "")
    assert IP in ledger.bans
    assert ledger.dump_bans()[0] == now_us


def test_raw_requests_of_a_family_that_counts_none_any_more_are_left_out(counter: Counter) -> None:
    counter.ask(5)
    saved = counter.ledger.dump()
    saved[1].append(["fapi", saved[1][0][1], [[IP, 3, 0]]])
    again = IpLedger(counter.ledger.policy)
    again.load(saved)
    assert again.dump() == counter.ledger.dump()
