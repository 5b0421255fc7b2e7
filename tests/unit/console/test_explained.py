"""Every reason is explained, in the gate's order, and what the explanations show is what callers are answered."""

from __future__ import annotations

import json
import re

import pytest

from sparekey.console.explained import GROUPS, Explained, Explanations, by_group
from sparekey.terms.reasons import Reason
from sparekey.wire.errors import PUBLIC_ERRORS

EXPLANATIONS = Explanations()


def explained(reason: Reason) -> Explained:
    found = EXPLANATIONS.of(reason.slug)
    assert found is not None
    return found


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.slug)
def test_every_reason_is_explained_without_a_number_in_place_of_a_fact(reason: Reason) -> None:
    found = explained(reason)
    texts = [part.text for part in (*found.cause, *found.fix)]
    assert all(texts)
    assert not re.search(r"\{\d\}", "".join(texts) + found.body + found.management_body)
    assert json.loads(found.body)["code"] == PUBLIC_ERRORS[reason].code
    assert json.loads(found.management_body)["error"]["page"] == f"/reasons/{reason.slug}"


def test_every_fact_has_a_name() -> None:
    unnamed = [one.reason.slug for one in EXPLANATIONS.search("") if "‹…›" in one.management_body + one.body]
    assert unnamed == [], "name what stands in place of {0} in pages/reasons.toml"


def test_what_the_gate_asks_of_a_call_can_be_met_by_a_command() -> None:
    order = list(Reason)
    asked = order[: order.index(Reason.PARAMETER_MISSING)]
    # A race, a broken vault, margin that is not open, and limits that no single shell reaches.
    hard = {
        Reason.KEY_FENCED,
        Reason.SECRET_UNAVAILABLE,
        Reason.MARGIN_KEY_IDLE,
        Reason.IP_RAW_REQUESTS_EXCEEDED,
        Reason.ACCOUNT_WEIGHT_EXCEEDED,
    }
    assert {reason for reason in asked if not explained(reason).recipe} == hard


def test_what_looks_alike_outside_says_so() -> None:
    alike = explained(Reason.KEY_DELETED).alike
    assert Reason.KEY_UNKNOWN in alike and Reason.IP_FOREIGN in alike and Reason.KEY_DELETED not in alike
    assert not explained(Reason.KEY_MALFORMED).alike


def test_reasons_are_grouped_in_the_order_of_asking() -> None:
    shown = [one.reason for _, members in by_group(EXPLANATIONS.search("")) for one in members]
    assert shown == list(Reason)
    assert [group for group, _ in by_group(EXPLANATIONS.search(""))] == list(GROUPS)


@pytest.mark.parametrize("text", ["-2015", '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'])
def test_a_code_finds_all_reasons_behind_it(text: str) -> None:
    found = {one.reason for one in EXPLANATIONS.search(text)}
    assert found == {reason for reason in Reason if PUBLIC_ERRORS[reason].code == -2015}


def test_words_find_reasons_whatever_their_case_and_order() -> None:
    assert Reason.KEY_EXPIRED in {one.reason for one in EXPLANATIONS.search("WHITELIST 90")}
    assert not EXPLANATIONS.search("no such words anywhere")


def test_a_slug_that_is_no_reason_is_explained_by_nothing() -> None:
    assert EXPLANATIONS.of("key-lost") is None
