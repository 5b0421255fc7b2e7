"""What the gate counts, for whom, and what it remembers: the way from its questions to the ledger behind it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sparekey.access.commands import AdvanceClock, SetSkew
from sparekey.access.gate import Gate
from sparekey.access.limits import IpLedger
from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import DAY_US, SECOND_US
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from tests.unit.access.venue_of_keys import HOME, Desk, pem, reason, sign_ed25519

ELSEWHERE = "203.0.113.77"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_enters_is_counted_for_its_address_and_shown(desk: Desk) -> None:
    assert desk.gate.enter(HOME, 20, desk.now_us) is None
    assert desk.gate.enter(HOME, 5, desk.now_us) is None
    assert desk.gate.used_weight(HOME) == 25
    assert desk.gate.used_weight(HOME, "fapi") == 0
    assert desk.gate.used_weight(ELSEWHERE) == 0


def test_what_is_given_back_is_given_to_the_family_and_endpoint_that_were_charged(desk: Desk) -> None:
    endpoint = "GET /sapi/v1/account/status"
    desk.gate.enter(HOME, 20, desk.now_us)
    desk.gate.enter(HOME, 20, desk.now_us, "sapi", endpoint)
    desk.gate.give_back(HOME, 1, desk.now_us)
    assert (desk.gate.used_weight(HOME), desk.gate.used_weight(HOME, "sapi", endpoint)) == (19, 20)
    desk.gate.give_back(HOME, 2, desk.now_us, "sapi", endpoint)
    assert (desk.gate.used_weight(HOME), desk.gate.used_weight(HOME, "sapi", endpoint)) == (19, 18)


def test_an_account_pays_on_sapi_for_itself_and_for_each_endpoint_apart(desk: Desk) -> None:
    limit = desk.policy.families["sapi"].account_weight
    assert limit is not None
    assert desk.gate.charge_account(7, limit.limit, desk.now_us, "POST /sapi/v1/a") is None
    assert desk.gate.used_account_weight(7, "POST /sapi/v1/a") == limit.limit
    assert desk.gate.used_account_weight(7, "POST /sapi/v1/b") == 0
    assert desk.gate.used_account_weight(8, "POST /sapi/v1/a") == 0
    refusal = desk.gate.charge_account(7, 1, desk.now_us, "POST /sapi/v1/a")
    assert reason(refusal) is Reason.ACCOUNT_WEIGHT_EXCEEDED
    assert desk.gate.charge_account(7, 1, desk.now_us, "POST /sapi/v1/b") is None
    assert desk.gate.charge_account(8, 1, desk.now_us, "POST /sapi/v1/a") is None


def test_how_long_to_wait_is_asked_of_the_family_and_endpoint_that_refused(desk: Desk) -> None:
    desk.gate.enter(HOME, 1_201, desk.now_us)
    assert desk.gate.retry_after_s(HOME, desk.now_us) > 0
    assert desk.gate.retry_after_s(HOME, desk.now_us, "fapi") == 0
    assert desk.gate.retry_after_s(HOME, desk.now_us, "sapi", "GET /sapi/v1/account/status") == 0
    assert desk.gate.retry_after_s(ELSEWHERE, desk.now_us) == 0


def test_a_forecast_is_of_the_family_that_is_asked_for_and_none_of_a_banned_address(desk: Desk) -> None:
    desk.gate.enter(HOME, 1_000, desk.now_us)
    assert desk.gate.forecast(HOME, desk.now_us) == desk.gate.forecast(HOME, desk.now_us, "spot")
    told = desk.gate.forecast(HOME, desk.now_us)
    assert told is not None
    assert (told.left, told.refusals_left, told.ban_s) == (200, 50, 120)
    other = desk.gate.forecast(HOME, desk.now_us, "fapi")
    assert other is not None
    assert other.left == 2_400
    while reason(desk.gate.enter(HOME, 1_000, desk.now_us)) is not Reason.IP_BANNED:
        pass
    assert desk.gate.forecast(HOME, desk.now_us) is None


@pytest.mark.parametrize("skew_us", [-30 * SECOND_US, 30 * SECOND_US])
def test_a_forecast_sees_a_ban_by_the_policy_clock_alone(desk: Desk, skew_us: int) -> None:
    """The wire's clock may be skewed: a ban ends when policy time says so."""
    desk.do(AdvanceClock(7 * DAY_US))
    while reason(desk.gate.enter(HOME, 2_000, desk.now_us)) is not Reason.IP_BANNED:
        pass
    desk.do(SetSkew(skew_us))
    two_minutes = 120 * SECOND_US
    wire_us = desk.now_us + skew_us
    assert desk.gate.forecast(HOME, wire_us + two_minutes - 1) is None
    after = desk.gate.forecast(HOME, wire_us + two_minutes)
    assert after is not None
    assert after.ban_s == 600


def test_the_gate_tells_which_ban_is_the_newest_and_what_the_reserve_let_through(desk: Desk) -> None:
    endpoint = "DELETE /api/v3/order"
    desk.gate = Gate(desk.state, IpLedger(desk.policy, frozenset({endpoint})), lambda key: None)
    assert desk.gate.newest_ban is None
    assert desk.gate.cancels_used(HOME) == 0
    desk.gate.enter(HOME, 1_200, desk.now_us)
    assert desk.gate.enter(HOME, 1, desk.now_us, "spot", endpoint) is None
    assert desk.gate.enter(HOME, 1, desk.now_us, "spot", endpoint) is None
    assert (desk.gate.cancels_used(HOME), desk.gate.cancels_used(ELSEWHERE)) == (2, 0)
    refusal = desk.gate.enter(HOME, 1, desk.now_us)
    while reason(refusal) is not Reason.IP_BANNED:
        refusal = desk.gate.enter(HOME, 1, desk.now_us)
    assert desk.gate.newest_ban is refusal


def test_a_secret_is_opened_once_for_many_calls(desk: Desk) -> None:
    opened = []

    def open_secret(key: object) -> bytes:
        opened.append(key)
        return desk.vault[keys[0].vault_id]

    desk.gate = Gate(desk.state, IpLedger(desk.policy), open_secret)
    keys = [desk.key(desk.account())]
    for _ in range(3):
        assert isinstance(desk.call(keys[0]), Admission)
    assert len(opened) == 1


def test_a_wrong_signature_costs_what_its_verification_cost_and_nothing_where_that_is_nothing(desk: Desk) -> None:
    account_id = desk.account()
    plain = desk.key(account_id, "plain")
    private = Ed25519PrivateKey.generate()
    dear = desk.key(account_id, "dear", key_type="ed25519", public_key=pem(private))
    assert reason(desk.call(plain, sign=lambda payload: "0" * 64)) is Reason.SIGNATURE_INVALID
    assert desk.ledger._budget.used == {}
    assert isinstance(desk.call(dear, sign=sign_ed25519(private)), Admission)
    assert desk.ledger._budget.used == {}
    wrong = sign_ed25519(Ed25519PrivateKey.generate())
    assert reason(desk.call(dear, sign=wrong)) is Reason.SIGNATURE_INVALID
    assert dear.verifier is not None
    assert desk.ledger._budget.used == {HOME: dear.verifier.cost_us}


def test_all_that_a_key_lacks_is_named_in_one_sentence(desk: Desk) -> None:
    key = desk.key(desk.account(), permissions=int(Permission.READING))
    outcome = desk.call(key, permission=Permission.FUTURES | Permission.INTERNAL_TRANSFER | Permission.READING)
    assert isinstance(outcome, Refusal)
    assert outcome.facts == ("futures and internal-transfer",)
