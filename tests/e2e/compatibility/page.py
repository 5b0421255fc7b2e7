"""The compatibility page of the documentation: read into rows, written from them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "compatibility.md"
PASSES = "passes"

_HEAD = """\
# Compatibility

Each client below is taken from its registry as it is, told another address ([how](clients.md)), and run through a
script of steps against a started server. CI runs every script on every change: where a step that passes here does not
pass there, or the version differs, the change is stopped. The date is the day on which a row became what it is.
`make compatibility` writes this page.

| Client | Version | Steps passed | Since |
|---|---|---|---|
"""
_ROW = re.compile(r"^\| \[([^]]+)\]\(#[^)]*\) \| (\S+) \| \d+ of \d+ \| (\d{4}-\d\d-\d\d) \|$", re.MULTILINE)
_SECTION = re.compile(r"^## (.+)\n\n\| Step \| Outcome \|\n\|---\|---\|\n((?:\|.*\n)*)", re.MULTILINE)
_STEP = re.compile(rf"^\| (.+) \| ({PASSES}|does not: .+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Row:
    """`steps`: what became of each, in order. `day`: since when, as YYYY-MM-DD."""

    client: str
    version: str
    steps: dict[str, str]
    day: str

    @property
    def passed(self) -> int:
        return sum(outcome == PASSES for outcome in self.steps.values())


def read(text: str) -> dict[str, Row]:
    """By client."""
    steps = {client: dict(_STEP.findall(table)) for client, table in _SECTION.findall(text)}
    return {client: Row(client, version, steps[client], day) for client, version, day in _ROW.findall(text)}


def write(rows: Iterable[Row]) -> str:
    ordered = sorted(rows, key=lambda row: row.client.lower())
    summary = [
        f"| [{row.client}](#{_anchor(row.client)}) | {row.version} | {row.passed} of {len(row.steps)} | {row.day} |\n"
        for row in ordered
    ]
    sections = [
        f"\n## {row.client}\n\n| Step | Outcome |\n|---|---|\n"
        + "".join(f"| {step} | {outcome} |\n" for step, outcome in row.steps.items())
        for row in ordered
    ]
    return _HEAD + "".join(summary + sections)


def _anchor(heading: str) -> str:
    """As MyST and GitHub make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
