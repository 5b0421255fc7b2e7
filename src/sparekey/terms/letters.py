"""What is sent to a person: the struct that whoever composes letters and whoever delivers them share."""

from __future__ import annotations

import msgspec

EMAIL, SMS = "email", "sms"
LETTER_KINDS = (EMAIL, SMS)

#: How long a letter that cannot be delivered is tried again, where its sender says nothing else.
DAY_S = 86_400


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """`to` is an e-mail address or, for an SMS, a number such as +4915112345678. An SMS has neither `subject` nor
    `html`. After `worth_s` seconds nobody needs it any more: a code that is no longer taken, say.

    `subject` and `to` become headers, so neither can hold a line break; whoever composes a letter sees to that before,
    and this is what holds if it is forgotten.
    """

    kind: str
    to: str
    text: str
    subject: str = ""
    html: str = ""
    worth_s: int = DAY_S

    def __post_init__(self) -> None:
        if self.kind not in LETTER_KINDS:
            raise ValueError(f"there are no letters of the kind {self.kind!r}")
        for header in (self.to, self.subject):
            if not header.isprintable():
                raise ValueError("a header of a letter has a line break or another control character")
        if not self.to:
            raise ValueError("a letter is addressed to nobody")

    def __repr__(self) -> str:
        """Without whom it is for and what it says: both end up in logs by accident otherwise."""
        return f"Letter({self.kind!r})"
