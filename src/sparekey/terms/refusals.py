"""Refusals are values: what was asked for, a fine-grained reason why not, and the numbers that explain it."""

from __future__ import annotations

import msgspec

from sparekey.terms.reasons import Reason


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A reasoned no. `facts` fill the placeholders of the public message and of the owner's explanation.

    Inside the house a reason is exact; the wire maps many reasons to one public code.
    """

    reason: Reason
    facts: tuple[str | int, ...] = ()

    @property
    def explanation(self) -> str:
        """The owner's sentence: cause, with the facts filled in."""
        return self.reason.cause.format(*self.facts) if self.facts else self.reason.cause
