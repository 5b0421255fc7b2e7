"""nautilus_trader, unmodified, in an environment of its own: its live node boots on spot and fills one order.

Once it learns of the fill from the user data stream, once over REST, because its stream leads to a socket of this
test that never says a word: its own check of orders that nothing was heard of must find the same facts.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from websockets.sync.server import ServerConnection, serve

from tests.conftest import demand
from tests.e2e.compatibility.script import follow
from tests.signing import Caller
from tests.venue import Credentials, Venue

pytestmark = [pytest.mark.clients, pytest.mark.timeout(400)]

_PROGRAM = Path(__file__).parent / "nautilus" / "one_fill.py"
_QUANTITY = "0.015"


@contextmanager
def silent_stream() -> Iterator[tuple[str, list[str]]]:
    """A WebSocket address that accepts whoever connects and never says a word; and the paths that were asked for."""
    asked: list[str] = []

    def listen_only(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(connection.request.path)
        for _ in connection:
            pass

    with serve(listen_only, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", asked
        server.shutdown()
        thread.join(10)


def as_nautilus_takes_it(key: Credentials) -> tuple[str, str]:
    """Its name for the key's type, and the secret: a text, a PEM, or the base64 of the DER."""
    if key.secret:
        return "HMAC", key.secret
    private = load_pem_private_key(key.private_pem.encode(), None)
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return "ED25519", base64.b64encode(der).decode()


def nautilus_python() -> Path:
    python = Path(os.environ.get("SPAREKEY_NAUTILUS", ".venv-nautilus/bin")).absolute() / "python"
    demand(python.exists(), "nautilus_trader (make test-clients installs it)")
    return python


def run(settings: dict[str, Any], home: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """What the node said, by word; and its log."""
    said = home / "said"
    said.touch()
    try:
        done = subprocess.run(
            [nautilus_python(), _PROGRAM],
            input=json.dumps(settings | {"said": str(said)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            cwd=home,
        )
        log = done.stdout
    except subprocess.TimeoutExpired as expired:
        log = (expired.stdout or b"").decode() + "\n(did not end)"
    return {line["what"]: line for line in map(json.loads, said.read_text().splitlines())}, log


def node_settings(venue: Venue, key: Credentials, stream_url: str) -> dict[str, Any]:
    its_type, its_secret = as_nautilus_takes_it(key)
    return {
        "api_key": key.api_key,
        "api_secret": its_secret,
        "key_type": its_type,
        "base_url_http": venue.url,
        "base_url_ws": stream_url,
        "quantity": _QUANTITY,
    }


def check_what_it_believes(venue: Venue, key: Credentials, said: dict[str, dict[str, Any]]) -> None:
    """Against the venue's own account of it."""
    assert float(said["started"]["taker_fee"]) == 0.001
    assert float(said["started"]["balances"]["USDT"]) == 10_000
    assert float(said["candles"]["close"]) > 0
    call = Caller(venue.url, key)
    order = call("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": said["filled"]["order_id"]}).body
    assert order["status"] == "FILLED"
    assert float(order["executedQty"]) == float(said["filled"]["quantity"]) == float(_QUANTITY)
    assert [(c["method"], c["path"], c["reason"]) for c in venue.calls(key, 1000) if c["code"]] == []


@pytest.mark.venue(market="simulated")
def test_nautilus_follows_its_script(venue: Venue, tmp_path: Path) -> None:
    asked = ["-c", "from importlib.metadata import version; print(version('nautilus_trader'))"]
    version = subprocess.run([nautilus_python(), *asked], capture_output=True, text=True, check=True).stdout.strip()
    with follow("nautilus_trader", version) as script:
        for key_type, named in (("hmac", "an HMAC key"), ("ed25519", "an Ed25519 key")):
            with script.step(f"boots, reads candles, buys and hears of its fill and balances, with {named}"):
                home = tmp_path / key_type
                home.mkdir()
                hears_of_its_fill(venue, key_type, home)
        with script.step("finds its fill over REST when its stream says nothing"):
            home = tmp_path / "silent"
            home.mkdir()
            asks_for_its_fill(venue, home)


def hears_of_its_fill(venue: Venue, key_type: str, home: Path) -> None:
    key = venue.key(key_type, fund={"USDT": "10000"})
    # In this long it asks about orders over REST, and by then it must have heard.
    settings = node_settings(venue, key, venue.url.replace("http", "ws"))
    said, log = run(settings | {"patience_ms": 60_000, "await_balances": True}, home)
    assert "filled" in said, log
    # Its view of the account is what the stream said after the fill.
    assert float(said["filled"]["balances"]["BTC"]) == pytest.approx(float(_QUANTITY) * 0.999)
    asked = {(call["method"], call["path"]) for call in venue.calls(key, 1000)}
    assert ("POST", "/api/v3/order") in asked and ("GET", "/api/v3/order") not in asked
    check_what_it_believes(venue, key, said)


def asks_for_its_fill(venue: Venue, home: Path) -> None:
    key = venue.key(fund={"USDT": "10000"})
    with silent_stream() as (stream_url, asked):
        settings = node_settings(venue, key, stream_url)
        said, log = run(settings | {"patience_ms": 500, "await_balances": False}, home)
    assert "filled" in said, log
    # It connected under the listen key that the server gave it.
    assert [path.partition("=")[0] for path in asked] == ["/stream?streams"]
    check_what_it_believes(venue, key, said)
