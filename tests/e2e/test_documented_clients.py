"""The settings that the documentation gives for each client, taken from the page and run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.venue import Venue

_PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
BLOCKS: dict[str, str] = dict(
    re.findall(r"^## ([\w-]+)[^\n]*$(?:(?!^##).)*?^```python\n(.*?)^```", _PAGE.read_text(), re.DOTALL | re.MULTILINE)
)


def test_the_page_has_settings_for_three_clients_in_python() -> None:
    assert set(BLOCKS) == {"ccxt", "python-binance", "binance-sdk-spot"}


@pytest.mark.parametrize("client", sorted(BLOCKS))
def test_the_documented_settings_lead_a_client_to_its_balance(venue: Venue, client: str) -> None:
    key = venue.key(fund={"USDT": "1234.5"})
    names: dict[str, Any] = {"base": venue.url, "api_key": key.api_key, "api_secret": key.secret}
    exec(compile(BLOCKS[client], f"{_PAGE.name}: {client}", "exec"), names)
    assert names["free"] == 1234.5
    assert venue.last_call(key)["code"] == 0
