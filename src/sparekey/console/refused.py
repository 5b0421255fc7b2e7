"""A refusal on its way out of the console's services, with the HTTP status that fits it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

_HTTP_OF_REASON = {
    Reason.PASSWORD_WRONG: 403,
    Reason.ACCOUNT_UNKNOWN: 404,
    Reason.KEY_UNKNOWN: 404,
    Reason.BAN_UNKNOWN: 404,
    Reason.LETTER_UNKNOWN: 404,
    Reason.ACCOUNT_EXISTS: 409,
    Reason.ACCOUNT_IN_USE: 409,
    Reason.FACTOR_EXISTS: 409,
    Reason.KEY_LIMIT: 409,
    Reason.KEY_IN_ROTATION: 409,
    Reason.REQUEST_REPEATED: 409,
    Reason.KYC_STATE: 409,
    Reason.KYC_UNDECIDABLE: 409,
    Reason.FACTOR_USED: 409,
    Reason.FACTOR_LAST: 409,
    Reason.PASSKEY_EXISTS: 409,
    Reason.PASSKEY_LIMIT: 409,
    Reason.PASSKEY_UNKNOWN: 404,
    Reason.LINK_EXPIRED: 410,
    Reason.CODE_EXPIRED: 410,
    Reason.SETUP_OVER: 410,
    Reason.PASSWORD_WRONG: 403,
    Reason.PASSKEY_COPIED: 403,
    Reason.MODE_GUARDED: 403,
    Reason.OPERATOR_TOKEN_WRONG: 401,
    Reason.BODY_TOO_LARGE: 413,
    Reason.BODY_NOT_JSON: 415,
    Reason.SETUP_OVER: 410,
    Reason.STEP_UP_REQUIRED: 403,
    Reason.STEP_UP_UNKNOWN: 404,
    Reason.CSRF_WRONG: 403,
    Reason.KYC_MISSING: 403,
    Reason.FACTOR_MISSING: 403,
    Reason.SIGN_IN_WRONG: 401,
    Reason.SIGN_IN_REQUIRED: 401,
    Reason.SESSION_ENDED: 401,
    Reason.SESSION_UNKNOWN: 404,
    Reason.SERVER_BUSY: 503,
    Reason.FACTOR_LIMIT: 429,
    Reason.CODE_LIMIT: 429,
    Reason.SIGN_IN_LIMIT: 429,
}


#: What a caller that was refused as busy is told to wait: about as long as a whole queue of passwords takes.
_BUSY_SECONDS = 5


def status_of(refusal: Refusal) -> int:
    """The HTTP status that fits the refusal."""
    return _HTTP_OF_REASON.get(refusal.reason, 400)


def retry_headers(refusal: Refusal) -> dict[str, str]:
    """`Retry-After`, where waiting helps and it is known how long."""
    if refusal.reason is Reason.SERVER_BUSY:
        return {"Retry-After": str(_BUSY_SECONDS)}
    if refusal.reason is Reason.SIGN_IN_LIMIT:
        return {"Retry-After": str(refusal.facts[0])}
    return {}


class ManagementRefused(Exception):
    """A refusal on its way to the caller, with the HTTP status that fits it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.explanation} {refusal.reason.fix}")
        self.refusal = refusal
        self.status = status_of(refusal)
        #: what an answer of the management API tells beside the error
        self.more: Mapping[str, Any] = {}
