"""`docs/security.md` names a test for each line of the list; what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted({*re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE)})
LINES = range(1, 37)


@pytest.mark.parametrize("name", NAMED)
def test_what_the_page_names_is_there(name: str) -> None:
    path, _, test = name.partition("::")
    source = (ROOT / path).read_text()
    assert not test or f"def {test}(" in source


@pytest.mark.parametrize("line", LINES)
def test_every_line_names_a_test(line: int) -> None:
    (row,) = re.findall(rf"^\| {line}\. (.+)$", PAGE, re.MULTILINE)
    assert "`tests/" in row
