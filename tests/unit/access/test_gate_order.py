"""Each question of the gate hides all later ones: a table of every pair.

A call is made that fails two questions at once; the answer must be the earlier one's. The order is that of the wire
contract: address (ban, raw requests, weight), key format, key, account, expiry, address of the key, permission, time,
signature.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from sparekey.access.commands import DeleteKey, DisableKey, EditKey, RemoveTotp, SuspendAccess
from sparekey.access.credentials import api_key_from
from sparekey.access.state import Key
from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import DAY_US
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.errors import PUBLIC_ERRORS
from tests.unit.access.venue_of_keys import HOME, PAYLOAD, Desk, entropy, sign_hmac

FOREIGN = "203.0.113.9"


class Attempt:
    """A call that would be admitted, until faults are put into it."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.account_id = self.desk.account()
        self.key: Key = self.desk.key(self.account_id)
        self.sign = sign_hmac(self.desk.vault[self.key.vault_id].decode())
        self.header = self.key.api_key.encode()
        self.ip = HOME
        self.permission = Permission.SPOT_AND_MARGIN_TRADING
        self.timestamp_us: int | None = None
        self.payload = PAYLOAD
        self.age_us = 0

    def make(self) -> Admission | Refusal:
        now_us = self.desk.now_us
        refusal = self.desk.gate.enter(self.ip, 1, now_us)
        if refusal is not None:
            return refusal
        return self.desk.gate.admit(
            self.ip,
            self.header,
            self.permission,
            now_us if self.timestamp_us is None else self.timestamp_us,
            5_000_000,
            self.payload,
            self.sign(PAYLOAD),
            now_us,
            now_us + self.age_us,
        )


def banned(attempt: Attempt) -> None:
    for ip in (HOME, FOREIGN):
        while attempt.desk.gate.enter(ip, 1_201, attempt.desk.now_us) != attempt.desk.ledger.ban_on(
            ip, attempt.desk.now_us, attempt.desk.now_us
        ):
            pass


def raw_spent(attempt: Attempt) -> None:
    for ip in (HOME, FOREIGN):
        for _ in range(6_100):
            attempt.desk.gate.enter(ip, 0, attempt.desk.now_us)


def weight_spent(attempt: Attempt) -> None:
    for ip in (HOME, FOREIGN):
        attempt.desk.gate.enter(ip, 1_200, attempt.desk.now_us)


def malformed(attempt: Attempt) -> None:
    attempt.header = attempt.header[:-1]


def unknown(attempt: Attempt) -> None:
    attempt.header = api_key_from(entropy("nobody's")).encode()


def mistyped(attempt: Attempt) -> None:
    attempt.header = attempt.header[:-1] + (b"0" if attempt.header[-1:] != b"0" else b"1")


def deleted(attempt: Attempt) -> None:
    attempt.desk.do(DeleteKey(attempt.key.key_id))


def disabled(attempt: Attempt) -> None:
    attempt.desk.do(DisableKey(attempt.key.key_id))


def suspended(attempt: Attempt) -> None:
    attempt.desk.do(SuspendAccess(attempt.account_id, ""))


def unverified(attempt: Attempt) -> None:
    attempt.desk.do(RemoveTotp(attempt.account_id))


def expired(attempt: Attempt) -> None:
    attempt.age_us = 90 * DAY_US


def foreign(attempt: Attempt) -> None:
    expires_us = attempt.key.expires_us
    attempt.desk.do(EditKey(attempt.key.key_id, whitelist=(HOME,), loopback_allowed=True))
    attempt.desk.state.set_expiry(attempt.key, expires_us)  # so that a key can be both expired and whitelisted
    attempt.ip = FOREIGN


def unpermitted(attempt: Attempt) -> None:
    attempt.permission = Permission.WITHDRAWALS


def untimely(attempt: Attempt) -> None:
    attempt.timestamp_us = attempt.desk.now_us - 5_000_001


def forged(attempt: Attempt) -> None:
    attempt.payload = PAYLOAD + b"&quantity=2"


#: In the order in which the gate must ask.
QUESTIONS: list[tuple[Callable[[Attempt], None], Reason]] = [
    (banned, Reason.IP_BANNED),
    (raw_spent, Reason.IP_RAW_REQUESTS_EXCEEDED),
    (weight_spent, Reason.IP_WEIGHT_EXCEEDED),
    (malformed, Reason.KEY_MALFORMED),
    (unknown, Reason.KEY_UNKNOWN),
    (mistyped, Reason.KEY_MISTYPED),
    (deleted, Reason.KEY_DELETED),
    (disabled, Reason.KEY_DISABLED),
    (suspended, Reason.ACCOUNT_SUSPENDED),
    (unverified, Reason.ACCOUNT_UNVERIFIED),
    (expired, Reason.KEY_EXPIRED),
    (foreign, Reason.IP_FOREIGN),
    (unpermitted, Reason.PERMISSION_MISSING),
    (untimely, Reason.TIMESTAMP_TOO_OLD),
    (forged, Reason.SIGNATURE_INVALID),
]
#: Faults that exclude each other: a key cannot be malformed and unknown, or deleted and disabled.
EXCLUSIVE = [
    {malformed, unknown},
    {malformed, mistyped},
    {unknown, mistyped},
    {deleted, disabled},
    {deleted, foreign},
]


def answer(*faults: Callable[[Attempt], None]) -> Reason:
    attempt = Attempt()
    # The last question's fault first, so that nothing an earlier fault does hinders a later one.
    for fault in reversed(faults):
        fault(attempt)
    outcome = attempt.make()
    assert isinstance(outcome, Refusal)
    return outcome.reason


def test_a_call_without_a_fault_is_admitted() -> None:
    assert isinstance(Attempt().make(), Admission)


@pytest.mark.parametrize(("fault", "expected"), QUESTIONS, ids=[reason.slug for _, reason in QUESTIONS])
def test_each_fault_alone_has_its_own_reason(fault: Callable[[Attempt], None], expected: Reason) -> None:
    assert answer(fault) is expected


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (earlier, later)
        for earlier, later in itertools.combinations(QUESTIONS, 2)
        if {earlier[0], later[0]} not in EXCLUSIVE
    ],
    ids=lambda question: question[1].slug,
)
def test_each_question_hides_the_later_ones(
    earlier: tuple[Callable[[Attempt], None], Reason], later: tuple[Callable[[Attempt], None], Reason]
) -> None:
    assert answer(earlier[0], later[0]) is earlier[1]


def test_every_reason_between_the_keys_format_and_the_time_looks_like_every_other() -> None:
    """Status, code and text: what a stranger learns of a key that is not theirs."""
    first, last = Reason.KEY_UNKNOWN, Reason.PERMISSION_MISSING
    asked = list(Reason)
    alike = [*asked[asked.index(first) : asked.index(last) + 1], Reason.SECRET_UNAVAILABLE]
    assert {reason for _, reason in QUESTIONS[4:13]} <= set(alike)
    answers = {PUBLIC_ERRORS[reason] for reason in alike}
    assert {(error.status, error.code, error.text) for error in answers} == {
        (401, -2015, "Invalid API-key, IP, or permissions for action.")
    }


@pytest.mark.parametrize("fault", [deleted, disabled, suspended, unverified, expired, foreign, unpermitted])
def test_the_key_header_alone_is_asked_the_same_questions(fault: Callable[[Attempt], None]) -> None:
    attempt = Attempt()
    fault(attempt)
    outcome = attempt.desk.gate.identify(
        attempt.ip, attempt.header, attempt.permission, attempt.desk.now_us + attempt.age_us
    )
    assert isinstance(outcome, Refusal)
    assert outcome.reason is dict(QUESTIONS)[fault]
