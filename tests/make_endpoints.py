"""Writes `docs/endpoints.md`: what is served, from the routing tables, beside what the documents have.

`python -m tests.make_endpoints`. The documents' side is kept by hand in `tests/data/contract/documented_endpoints.tsv`;
`tests/contract/test_endpoints_page.py` sees to it that the page is what this writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from sparekey.terms.permissions import names_of
from sparekey.wire.routes import ALL_ROWS
from sparekey.wire.table import Row
from sparekey.wire.websocket_table import WEBSOCKET_ROWS
from sparekey.wire.weights import load_weights

DOCUMENTED = Path(__file__).parent / "data" / "contract" / "documented_endpoints.tsv"
PAGE = Path(__file__).parent.parent / "docs" / "endpoints.md"
PROFILES = ("classic", "current")
FAMILIES = {
    "/sapi/": "Wallet, sub-accounts, brokers, margin keys (`/sapi`)",
    "/fapi/": "USDⓈ-M futures (`/fapi`)",
    "/dapi/": "COIN-M futures (`/dapi`)",
}
#: Why a documented endpoint is not served, by what its path begins with. One without a line here fails the tests.
REFUSED: dict[str, str] = {}

HEAD = """\
# Endpoints

This page is written from the routing tables by `python -m tests.make_endpoints`; a test fails when it is out of date.
The spot part is held against a list of everything that Binance's documentation of July 2026 has. Each line that is
served is called by the tests with the documents' shapes and permissions; what nobody serves answers 404 with code
-1020.

`classic` and `current` are the weights in these profiles. "Orders" is what a call adds to the order counts. A day at
"from" or "until" matters under `--api-date` alone: without it everything here is served.

Replies are JSON: a call that accepts nothing but SBE gets a 406, and there is no FIX. `/api/v1`, which ended on
2026-03-25, is not served.
"""


class Endpoint(NamedTuple):
    """As the documents have it. `note` is ours."""

    method: str
    path: str
    websocket: str
    note: str


def documented() -> list[Endpoint]:
    lines = DOCUMENTED.read_text("utf-8").splitlines()
    return [Endpoint(*line.split("\t")) for line in lines if line and not line.startswith("#")]


def served() -> dict[tuple[str, str], Row]:
    return {(row.method, row.path): row for row in (*ALL_ROWS, *WEBSOCKET_ROWS)}


def why_not(path: str) -> str:
    """Why a documented endpoint is not served; "" if nobody has said."""
    return next((reason for start, reason in REFUSED.items() if path.startswith(start)), "")


# --- weights in words ------------------------------------------------------------------------------------------------

_WORDS: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"(\d+)", lambda m: m[1]),
    (r"(\d+)\+(\d+)", lambda m: f"{m[1]}, the account {m[2]}"),
    (r"(\d+):ok", lambda m: m[1]),
    (r"(\d+):fail", lambda m: f"{m[1]} if refused"),
    (r"(\d+):ok_and_order_expired", lambda m: f"{m[1]} if the order ends by it"),
    (r"(\d+):(?:default|none)", lambda m: f"{m[1]} otherwise"),
    (r"(\d+):invalid_symbol", lambda m: f"{m[1]} for an unknown symbol"),
    (r"(\d+)\*n:symbols,max=(\d+)", lambda m: f"{m[1]} each of `symbols`, at most {m[2]}"),
    (r"(\d+):(\w+)=true", lambda m: f"{m[1]} with `{m[2]}`"),
    (r"(\d+):(\w+)<=(\d+)", lambda m: f"{m[1]} up to {m[3]} `{m[2]}`"),
    (r"(\d+):(\w+)>(\d+)", lambda m: f"{m[1]} above {m[3]} `{m[2]}`"),
    (r"(\d+):(\w+)", lambda m: f"{m[1]} with `{m[2]}`"),
]


def spell_weight(rule: str) -> str:
    """`2:symbol;40:none` → "2 with `symbol`, 40 otherwise"."""
    items = sorted(rule.split(";"), key=lambda item: item.endswith(":default"))
    return ", ".join(_spell_item(item) for item in items)


def _spell_item(item: str) -> str:
    for pattern, spell in _WORDS:
        found = re.fullmatch(pattern, item)
        if found is not None:
            return spell(found)
    raise ValueError(f"nobody has said how to spell the weight {item!r}")


# --- the page --------------------------------------------------------------------------------------------------------


def page() -> str:
    return "\n".join([HEAD, *_spot(), *_families()])


def _spot() -> Iterable[str]:
    rows, endpoints = served(), documented()
    there = [endpoint for endpoint in endpoints if (endpoint.method, endpoint.path) in rows]
    yield f"## Spot (`/api/v3` and `/ws-api/v3`): {len(there)} of {len(endpoints)}"
    yield ""
    yield from _heading("Endpoint", "WebSocket method", "Security", "Permission", *PROFILES, "Orders", "Notes")
    for endpoint in endpoints:
        row = rows.get((endpoint.method, endpoint.path))
        name = "" if endpoint.method == "WS" else f"`{endpoint.method} {endpoint.path}`"
        method = f"`{endpoint.websocket}`" if endpoint.websocket else ""
        if row is None:
            yield _line(name, method, "", "", "", "", "", f"**Not served**: {why_not(endpoint.path)}.")
        else:
            yield _line(name, method, *_facts(row), " ".join(filter(None, (endpoint.note, _days(row)))))
    yield ""


def _families() -> Iterable[str]:
    for prefix, title in FAMILIES.items():
        yield f"## {title}"
        yield ""
        yield from _heading("Endpoint", "Security", "Permission", *PROFILES, "Orders", "Notes")
        for row in ALL_ROWS:
            if row.path.startswith(prefix):
                yield _line(f"`{row.method} {row.path}`", *_facts(row), _days(row))
        yield ""


def _facts(row: Row) -> tuple[str, ...]:
    assert row.security is not None
    assert row.permission is not None
    weights = [spell_weight(load_weights(profile)[row.method, row.path].rule) for profile in PROFILES]
    return row.security.value, ", ".join(names_of(row.permission)), *weights, str(row.order_count or "")


def _days(row: Row) -> str:
    days = (("From", row.since), ("Until", row.retired_since))
    return " ".join(f"{word} {day}." for word, day in days if day)


def _heading(*names: str) -> Iterable[str]:
    yield _line(*names)
    yield _line(*("---" for _ in names))


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(f"{PAGE.name}: {len(page().splitlines())} lines")
