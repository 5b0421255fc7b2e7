"""The compatibility page says what the scripts saw: it is written by them, complete, and of the locked versions."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.e2e.compatibility.page import PAGE, PASSES, Row, read, write

_ROOT = Path(__file__).parents[3]
_NODE_LOCK = Path(__file__).parent / "node" / "package-lock.json"
#: client → lock and the package in it
_LOCKS = {
    "ccxt": ("test", "ccxt"),
    "python-binance": ("test", "python-binance"),
    "binance-sdk-spot": ("test", "binance-sdk-spot"),
    "freqtrade": ("freqtrade", "freqtrade"),
    "nautilus_trader": ("nautilus", "nautilus-trader"),
    "unicorn-binance-websocket-api": ("unicorn", "unicorn-binance-websocket-api"),
    "unicorn-binance-local-depth-cache": ("unicorn", "unicorn-binance-local-depth-cache"),
}


def locked_versions(client: str) -> set[str]:
    """More than one where a lock has others for older Pythons."""
    if client == "binance (Node)":
        return {json.loads(_NODE_LOCK.read_text())["packages"]["node_modules/binance"]["version"]}
    lock, package = _LOCKS[client]
    return set(re.findall(rf"^{package}==([\w.]+)", (_ROOT / "requirements" / f"{lock}.txt").read_text(), re.MULTILINE))


def test_the_page_is_what_its_own_rows_make_of_it() -> None:
    assert write(read(PAGE.read_text()).values()) == PAGE.read_text()


def test_a_row_survives_the_page() -> None:
    rows = [
        Row("binance (Node)", "3.6.5", {"places an order": PASSES, "sings": "does not: it has no voice"}, "2026-11-25"),
        Row("ccxt", "4.5.90", {"reads (`load_markets`)": PASSES}, "2026-11-24"),
    ]
    assert list(read(write(rows)).values()) == rows


def test_every_locked_client_has_a_row_with_a_locked_version() -> None:
    rows = read(PAGE.read_text())
    assert set(rows) == {*_LOCKS, "binance (Node)"}
    assert {client: rows[client].version in locked_versions(client) for client in rows} == dict.fromkeys(rows, True)
    assert all(row.steps for row in rows.values())


def test_the_lock_of_the_node_client_has_a_hash_for_each_package_and_names_no_address() -> None:
    packages = json.loads(_NODE_LOCK.read_text())["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
    assert not any("resolved" in package for package in packages.values())
