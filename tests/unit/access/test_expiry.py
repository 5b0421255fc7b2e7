"""The rules of expiry, at their edges."""

from __future__ import annotations

import pytest

from sparekey.access.expiry import STANDARD, ExpiryPolicy
from sparekey.access.state import NEVER_US
from sparekey.terms.clocktime import DAY_US

LISTED = ("203.0.113.7",)
BIRTH_US = 1_700_000_000_000_000


def test_the_standard_is_ninety_days_without_a_whitelist_and_no_end_with_one() -> None:
    assert STANDARD.at_birth((), BIRTH_US) == BIRTH_US + 90 * DAY_US
    assert STANDARD.at_birth(LISTED, BIRTH_US) is None


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), (), 5),  # nothing changes
        ((), LISTED, None),  # lifted
        (LISTED, ("203.0.113.0/24",), 5),  # whatever the end is
        (LISTED, (), BIRTH_US + 90 * DAY_US),  # from this moment
    ],
)
def test_only_gaining_or_losing_a_whitelist_moves_the_end(
    before: tuple[str, ...], after: tuple[str, ...], expected: int | None
) -> None:
    assert STANDARD.after_edit(5, before, after, BIRTH_US) == expected


@pytest.mark.parametrize("dies_us", [BIRTH_US + 1, BIRTH_US + 9, BIRTH_US + 10, BIRTH_US + 11, NEVER_US])
def test_a_replaced_key_dies_after_the_overlap_and_never_later_than_it_would_have(dies_us: int) -> None:
    assert STANDARD.retirement(dies_us, 10, BIRTH_US) == min(dies_us, BIRTH_US + 10)
    assert STANDARD.retirement(dies_us, 0, BIRTH_US) == BIRTH_US


def test_another_policy_is_other_numbers() -> None:
    short = ExpiryPolicy(life_us=7, overlap_max_us=3)
    assert short.at_birth((), BIRTH_US) == BIRTH_US + 7
