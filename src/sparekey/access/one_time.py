"""One-time codes of authenticators: six digits that HMAC-SHA1 makes of a seed and of the 30 seconds that it is.

RFC 4226 (HOTP) and RFC 6238 (TOTP) with the settings that every authenticator understands. A code counts in its own
step, the one before and the one after. That it counts once is the shard's to see to (`AcceptTotpStep`).
"""

from __future__ import annotations

import hmac

from sparekey.terms.clocktime import SECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

STEP_US = 30 * SECOND_US
DIGITS = 6
#: How many steps a code may be off, either way (RFC 6238, section 5.2).
WINDOW = 1
#: How far off a device's clock is still recognised as such, and named, instead of the code merely being wrong.
DRIFT_MAX = 10


def step_at(now_us: int) -> int:
    return now_us // STEP_US


def code_at(seed: bytes, step: int) -> str:
    """RFC 4226, section 5.3, with the step as the counter."""
    digest = hmac.digest(seed, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def match_code(seed: bytes, code: str, now_us: int, *, last_step: int = 0, enrolling: bool = False) -> int | Refusal:
    """The step whose code this is, or why it counts for none now. Takes equally long whichever it is.

    `last_step`: the last one accepted; no step up to it is found, so that a code used before is one that was used.

    A clock that is behind is always named. One that is ahead only while `enrolling`, when the seed is on the screen
    anyway: naming it later would tell whoever guesses that a code becomes right in a few minutes.
    """
    typed = code.encode("ascii", "replace") if len(code) == DIGITS else b""
    now = step_at(now_us)
    matches = [
        step
        for step in range(max(0, now - DRIFT_MAX), now + DRIFT_MAX + 1)
        if hmac.compare_digest(code_at(seed, step).encode(), typed)
    ]
    near = [step for step in matches if abs(step - now) <= WINDOW]
    fresh = [step for step in near if step > last_step]
    if fresh:
        return fresh[0]
    if near:
        return Refusal(Reason.FACTOR_USED)
    drifts = [step - now for step in matches if step < now or enrolling]
    if not drifts:
        return Refusal(Reason.FACTOR_WRONG)
    drift = min(drifts, key=abs)
    return Refusal(Reason.FACTOR_DRIFT, (abs(drift) * STEP_US // SECOND_US, "behind" if drift < 0 else "ahead"))
