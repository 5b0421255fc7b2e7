"""One-time codes: the vectors of RFC 4226 and RFC 6238, the window, codes used before and clocks that drift."""

from __future__ import annotations

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.access.one_time import STEP_US, code_at, match_code, step_at
from sparekey.terms.clocktime import SECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from tests.unit.access.venue_of_keys import NOW_US

SEED = b"12345678901234567890"
NOW = step_at(NOW_US)


@pytest.mark.parametrize(
    ("counter", "code"),
    enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]),
)
def test_codes_are_those_of_rfc_4226_appendix_d(counter: int, code: str) -> None:
    assert code_at(SEED, counter) == code


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_the_last_six_digits_of_rfc_6238_appendix_b(second: int, code: str) -> None:
    step = match_code(SEED, code[-6:], second * SECOND_US)
    assert step == second // 30


@given(st.binary(min_size=16, max_size=32), st.integers(0, 2**33))
def test_codes_are_those_of_another_authenticator(seed: bytes, second: int) -> None:
    import base64

    other = pyotp.TOTP(base64.b32encode(seed).decode())
    assert code_at(seed, step_at(second * SECOND_US)) == other.at(second)


@pytest.mark.parametrize("off", range(-13, 14))
@pytest.mark.parametrize("enrolling", [False, True])
def test_a_code_counts_one_step_around_now_and_a_clock_that_is_off_further_is_named(off: int, enrolling: bool) -> None:
    outcome = match_code(SEED, code_at(SEED, NOW + off), NOW_US, enrolling=enrolling)
    if abs(off) <= 1:
        assert outcome == NOW + off
    elif abs(off) > 10:
        assert outcome == Refusal(Reason.FACTOR_WRONG)
    elif off < 0:
        assert outcome == Refusal(Reason.FACTOR_DRIFT, (-off * 30, "behind"))
    elif enrolling:
        assert outcome == Refusal(Reason.FACTOR_DRIFT, (off * 30, "ahead"))
    else:
        # Nobody learns by guessing which code becomes right in a few minutes.
        assert outcome == Refusal(Reason.FACTOR_WRONG)


def test_a_clock_that_is_ahead_is_named_to_nobody_who_does_not_enrol() -> None:
    assert match_code(SEED, code_at(SEED, NOW + 5), NOW_US) == Refusal(Reason.FACTOR_WRONG)


def test_the_step_ends_with_its_last_microsecond() -> None:
    start_us = NOW * STEP_US
    code = code_at(SEED, NOW)
    assert match_code(SEED, code, start_us - STEP_US) == NOW
    assert match_code(SEED, code, start_us + 2 * STEP_US - 1) == NOW
    assert isinstance(match_code(SEED, code, start_us - STEP_US - 1), Refusal)
    assert isinstance(match_code(SEED, code, start_us + 2 * STEP_US), Refusal)


@pytest.mark.parametrize(("last", "found"), [(NOW - 2, True), (NOW - 1, True), (NOW, False), (NOW + 1, False)])
def test_a_code_of_a_step_up_to_the_last_accepted_one_was_used(last: int, found: bool) -> None:
    outcome = match_code(SEED, code_at(SEED, NOW), NOW_US, last_step=last)
    assert outcome == (NOW if found else Refusal(Reason.FACTOR_USED))


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", " 05924", "٠٠٥٩٢٤", "+05924", "-05924", "0x5924", "005 924", "\x00" * 6, "🔑" * 6]
)
def test_what_is_not_six_digits_is_a_wrong_code(code: str) -> None:
    assert match_code(SEED, code, 1234567890 * SECOND_US) == Refusal(Reason.FACTOR_WRONG)


def test_the_first_steps_of_time_have_none_before_them() -> None:
    assert match_code(SEED, "287082", 0) == 1
