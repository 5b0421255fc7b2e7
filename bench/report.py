"""Lines of the table, and the file with everything behind them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench.processes import ROOT

RESULTS = ROOT / "bench" / "results"


class Line(NamedTuple):
    """One measurement. `verdict`: "met", "missed", "too noisy", or "" where nothing was promised."""

    what: str
    measured: str
    target: str = ""
    verdict: str = ""


class Section(NamedTuple):
    """What one part of the bench has to say. `raw` goes into the file as it is."""

    title: str
    lines: list[Line]
    raw: dict[str, Any]
    notes: Sequence[str] = ()


def verdict(value: float, least: float | None = None, most: float | None = None, *, noisy: bool = False) -> str:
    if noisy:
        return "too noisy"
    return "met" if (least is None or value >= least) and (most is None or value <= most) else "missed"


def table(section: Section) -> str:
    rows = [("", "measured (quartiles)", "target", ""), *section.lines]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    text = [section.title, "-" * len(section.title)]
    text += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(text + [f"  {note}" for note in section.notes]) + "\n"


def save(machine: Mapping[str, str], sections: Iterable[Section], options: Mapping[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    document = {
        "machine": dict(machine),
        "options": dict(options),
        "sections": [
            {
                "title": section.title,
                "lines": [line._asdict() for line in section.lines],
                "notes": list(section.notes),
                "raw": section.raw,
            }
            for section in sections
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path
