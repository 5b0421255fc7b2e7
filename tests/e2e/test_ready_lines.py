"""The lines that a new key's page shows lead each client here, as they stand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sparekey.access.state import KEY_TYPES
from sparekey.console.ready_lines import pem_name, ready_lines
from tests.venue import Venue


def lines_for(venue: Venue, key_type: str, folder: Path) -> dict[str, str]:
    key = venue.key(key_type, fund={"USDT": "1234"})
    if key.private_pem:
        (folder / pem_name(key_type)).write_text(key.private_pem)
    return {one.id: one.text for one in ready_lines(venue.url, key.api_key, key_type, key.secret or "")}


EVERY = [(client, key_type) for client in ("ccxt", "python-binance", "official-sdk") for key_type in KEY_TYPES]
#: One of each client and of each type; the others differ in nothing that the first do not show.
SHORT = {("ccxt", "rsa"), ("python-binance", "ed25519"), ("official-sdk", "hmac")}


@pytest.mark.parametrize(
    ("client", "key_type"), [pytest.param(*one, marks=[] if one in SHORT else [pytest.mark.long]) for one in EVERY]
)
def test_the_lines_of_a_client_show_the_balance_of_the_account(
    venue: Venue,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    client: str,
    key_type: str,
) -> None:
    text = lines_for(venue, key_type, tmp_path)[client]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__lines__"}
    exec(compile(text, client, "exec"), names)
    assert "1234" in capsys.readouterr().out


def test_the_lines_of_the_environment_are_an_env_file(venue: Venue, tmp_path: Path) -> None:
    read = dict(line.split("=", 1) for line in lines_for(venue, "hmac", tmp_path)["env"].splitlines())
    assert read.keys() == {"BASE_URL", "WS_URL", "API_KEY", "API_SECRET"}
    assert read["WS_URL"] == venue.url.replace("http", "ws", 1)
    own = dict(line.split("=", 1) for line in lines_for(venue, "rsa", tmp_path)["env"].splitlines())
    assert os.path.exists(tmp_path / own["KEY_PEM"])


def test_the_lines_of_freqtrade_are_its_configuration(venue: Venue, tmp_path: Path) -> None:
    told = json.loads(lines_for(venue, "hmac", tmp_path)["freqtrade"])["exchange"]
    assert told["name"] == "binance"
    assert told["ccxt_config"]["urls"]["api"]["private"] == f"{venue.url}/api/v3"


def test_hummingbot_is_told_what_it_cannot_use(venue: Venue) -> None:
    notes = {kind: {one.id: one.note for one in ready_lines(venue.url, "k", kind, "")} for kind in ("hmac", "rsa")}
    assert "system generated" in notes["rsa"]["hummingbot"]
    assert "system generated" not in notes["hmac"]["hummingbot"]
