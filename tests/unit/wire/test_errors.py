"""Refusals as Binance words them: every reason has a public side, and what lies behind -2015 looks alike."""

from __future__ import annotations

import json

import pytest

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.errors import PUBLIC_ERRORS, error_body, public_error, retry_after

SECOND_US = 1_000_000


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.slug)
def test_every_reason_has_a_public_side(reason: Reason) -> None:
    error = PUBLIC_ERRORS[reason]
    assert error.code < 0
    assert 400 <= error.status < 500


def test_the_gates_refusals_of_a_key_look_alike_to_the_byte() -> None:
    reasons = [
        Reason.KEY_UNKNOWN,
        Reason.KEY_DISABLED,
        Reason.KEY_DELETED,
        Reason.KEY_EXPIRED,
        Reason.KEY_FENCED,
        Reason.ACCOUNT_SUSPENDED,
        Reason.ACCOUNT_UNVERIFIED,
        Reason.IP_FOREIGN,
        Reason.PERMISSION_MISSING,
    ]
    seen = {
        (public_error(refusal).status, error_body(public_error(refusal)))
        for refusal in (Refusal(reason, ("198.51.100.7",)) for reason in reasons)
    }
    assert seen == {(401, b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}')}


# Texts as in Binance's documentation, "Error codes" (spot).
DOCUMENTED = [
    (Reason.SYMBOL_UNKNOWN, (), 400, -1121, "Invalid symbol."),
    (Reason.KEY_MALFORMED, (), 401, -2014, "API-key format invalid."),
    (Reason.SIGNATURE_INVALID, (), 400, -1022, "Signature for this request is not valid."),
    (Reason.SIGNATURE_WRONG_TYPE, ("HMAC",), 400, -1022, "Signature for this request is not valid."),
    (Reason.TIMESTAMP_TOO_OLD, (7_000, 5_000), 400, -1021, "Timestamp for this request is outside of the recvWindow."),
    (
        Reason.TIMESTAMP_AHEAD,
        (1_500,),
        400,
        -1021,
        "Timestamp for this request was 1000ms ahead of the server's time.",
    ),
    (
        Reason.IP_WEIGHT_EXCEEDED,
        (1200, "1 MINUTE"),
        429,
        -1003,
        "Too much request weight used; current limit is 1200 request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
    ),
    (
        Reason.IP_BANNED,
        (1_700_000_000_000,),
        418,
        -1003,
        "Way too much request weight used; IP banned until 1700000000000. "
        "Please use WebSocket Streams for live updates to avoid bans.",
    ),
    (
        Reason.ORDER_COUNT_EXCEEDED,
        (100, "10 SECOND"),
        429,
        -1015,
        "Too many new orders; current limit is 100 orders per 10 SECOND.",
    ),
    (Reason.FILTER_FAILED, ("PRICE_FILTER",), 400, -1013, "Filter failure: PRICE_FILTER"),
    (
        Reason.BALANCE_INSUFFICIENT,
        ("USDT", "1", "2"),
        400,
        -2010,
        "Account has insufficient balance for requested action.",
    ),
    (Reason.CLIENT_ORDER_ID_DUPLICATE, (), 400, -2010, "Duplicate order sent."),
    (Reason.WOULD_MATCH, (), 400, -2010, "Order would immediately match and take."),
    (
        Reason.ORDER_TYPE_NOT_ENABLED,
        ("STOP_LOSS_LIMIT",),
        400,
        -2010,
        "Stop loss limit orders are not supported for this symbol.",
    ),
    (Reason.ORDER_UNKNOWN, (), 400, -2011, "Unknown order sent."),
    (Reason.ORDER_NOT_FOUND, (), 400, -2013, "Order does not exist."),
    (Reason.LISTEN_KEY_UNKNOWN, (), 400, -1125, "This listenKey does not exist."),
    (Reason.TIME_IN_FORCE_NOT_REQUIRED, (), 400, -1114, "TimeInForce parameter sent when not required."),
    (Reason.TOO_MANY_VALUES, ("symbols", 100), 400, -1101,
     "Too many values sent for parameter 'symbols', maximum allowed up to 100."),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "facts", "status", "code", "text"), DOCUMENTED)
def test_texts_are_binances_own(
    reason: Reason, facts: tuple[str | int, ...], status: int, code: int, text: str
) -> None:
    error = public_error(Refusal(reason, facts))
    assert (error.status, error.code, error.text) == (status, code, text)
    assert json.loads(error_body(error)) == {"code": code, "msg": text}


@pytest.mark.parametrize(
    ("refusal", "now_us", "seconds"),
    [
        (Refusal(Reason.IP_WEIGHT_EXCEEDED, (1200, "1 MINUTE")), 90 * SECOND_US, 30),
        (Refusal(Reason.ORDER_COUNT_EXCEEDED, (100, "10 SECOND")), 93 * SECOND_US + 1, 7),
        (Refusal(Reason.ORDER_COUNT_EXCEEDED, (100, "1 DAY")), 86_399 * SECOND_US, 1),
        (Refusal(Reason.IP_BANNED, (130_000,)), 10 * SECOND_US, 120),
        (Refusal(Reason.KEY_TOO_SOON), 59 * SECOND_US + 999_999, 1),
    ],
)
def test_retry_after_is_the_rest_of_the_window_in_whole_seconds(refusal: Refusal, now_us: int, seconds: int) -> None:
    assert retry_after(refusal, now_us) == seconds
