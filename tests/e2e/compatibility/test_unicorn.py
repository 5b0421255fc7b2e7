"""unicorn-binance-websocket-api and unicorn-binance-local-depth-cache, in an environment of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import demand
from tests.e2e.compatibility.program import run
from tests.e2e.compatibility.script import follow
from tests.venue import Venue

pytestmark = [pytest.mark.clients, pytest.mark.timeout(240)]

_PROGRAMS = Path(__file__).parent / "unicorn"


@pytest.mark.venue(market="simulated", durability="normal")
@pytest.mark.parametrize(
    ("client", "program"),
    [("unicorn-binance-websocket-api", "streams.py"), ("unicorn-binance-local-depth-cache", "depth_cache.py")],
)
def test_unicorn_follows_its_script(venue: Venue, tmp_path: Path, client: str, program: str) -> None:
    python = Path(os.environ.get("SPAREKEY_UNICORN", ".venv-unicorn/bin")).absolute() / "python"
    demand(python.exists(), f"{client} (make test-clients installs it)")
    asked = ["-c", f"from importlib.metadata import version; print(version('{client}'))"]
    version = subprocess.run([python, *asked], capture_output=True, text=True, check=True).stdout.strip()
    keys = {
        name: {"api_key": key.api_key, "api_secret": key.secret}
        for name, key in {"bot": venue.key(fund={"USDT": "50000", "BTC": "1"})}.items()
    }
    with follow(client, version) as script:
        run(script, [python, _PROGRAMS / program], {"base": venue.url, **keys["bot"]}, venue, tmp_path)
