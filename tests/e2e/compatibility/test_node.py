"""The Node client `binance`, with its REST, stream and WebSocket API classes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import demand
from tests.e2e.compatibility.program import run
from tests.e2e.compatibility.script import follow
from tests.venue import Venue

pytestmark = [pytest.mark.clients, pytest.mark.timeout(240)]

_BOT = Path(__file__).parent / "node"


def flags(node: str) -> list[str]:
    """The client signs with the global `crypto`, which Node 18, that of Debian 12, has only when asked."""
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return ["--experimental-global-webcrypto"] if int(version[1:].partition(".")[0]) < 20 else []


@pytest.mark.venue(market="simulated", durability="normal")
def test_the_node_client_follows_its_script(venue: Venue, require: Callable[[str], str]) -> None:
    node = require("node")
    package = _BOT / "node_modules" / "binance" / "package.json"
    demand(package.exists(), "the Node client (make test-clients installs it)")
    keys = {
        name: venue.key(key_type, fund={"USDT": "50000", "BTC": "1"})
        for name, key_type in (("bot", "hmac"), ("ed25519", "ed25519"))
    }
    settings = {
        name: {"api_key": key.api_key, "api_secret": key.secret, "private_pem": key.private_pem}
        for name, key in keys.items()
    }
    with follow("binance (Node)", json.loads(package.read_text())["version"]) as script:
        run(script, [node, *flags(node), "bot.mjs"], {"base": venue.url, **settings}, venue, _BOT)
