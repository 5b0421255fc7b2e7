"""The labels that people give to keys and passkeys: short, printable, without effect."""

from __future__ import annotations

LABEL_MAX = 64
#: Blanks around a label are dropped, but the command is journaled as typed.
_LABEL_TYPED_MAX = 1_000


def parse_label(text: str) -> str | None:
    """The label without blanks around it; None if it is none."""
    if len(text) > _LABEL_TYPED_MAX:
        return None
    label = text.strip()
    # isprintable is false for control and format characters: no ANSI, no NUL, no right-to-left override.
    return label if 0 < len(label) <= LABEL_MAX and label.isprintable() else None
