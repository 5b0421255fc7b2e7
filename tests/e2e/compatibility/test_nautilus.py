"""nautilus_trader in an environment of its own: a live node boots on spot, listens, trades, and survives a restart."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from tests.conftest import demand
from tests.e2e.compatibility.program import run
from tests.e2e.compatibility.script import follow
from tests.signing import Caller
from tests.venue import Credentials, Venue

pytestmark = [pytest.mark.clients, pytest.mark.timeout(240)]

_PROGRAM = Path(__file__).parent / "nautilus" / "bot.py"
_QUANTITY = "0.015"


def secret_for_nautilus(key: Credentials) -> str:
    """A text, or the base64 of the DER."""
    if key.secret:
        return key.secret
    private = load_pem_private_key(key.private_pem.encode(), None)
    return base64.b64encode(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


@pytest.mark.venue(market="simulated", durability="normal")
def test_nautilus_follows_its_script(venue: Venue, tmp_path: Path) -> None:
    python = Path(os.environ.get("SPAREKEY_NAUTILUS", ".venv-nautilus/bin")).absolute() / "python"
    demand(python.exists(), "nautilus_trader (make test-clients installs it)")
    asked = ["-c", "from importlib.metadata import version; print(version('nautilus_trader'))"]
    version = subprocess.run([python, *asked], capture_output=True, text=True, check=True).stdout.strip()
    with follow("nautilus_trader", version) as script:
        for key_type, after in (("ed25519", ""), ("hmac", ", with an HMAC key")):
            key = venue.key(key_type, fund={"USDT": "10000"})
            settings = {
                "base": venue.url,
                "api_key": key.api_key,
                "api_secret": secret_for_nautilus(key),
                "key_type": key_type,
                "quantity": _QUANTITY,
                "far_price": "40000.00",
                "restart": key_type == "ed25519",
            }
            facts = run(script, [python, _PROGRAM], settings, venue, tmp_path, after)
            with script.step(f"believes what the server did, and no call of its was refused{after}"):
                check_what_it_believes(venue, key, facts)


def check_what_it_believes(venue: Venue, key: Credentials, facts: dict[str, Any]) -> None:
    assert float(facts["taker_fee"]) == 0.001
    assert float(facts["usdt"]) == 10_000
    assert float(facts["btc"]) == pytest.approx(float(_QUANTITY) * 0.999)
    order = Caller(venue.url, key)("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": facts["order_id"]}).body
    assert order["status"] == "FILLED"
    assert float(order["executedQty"]) == float(facts["quantity"]) == float(_QUANTITY)
    calls = venue.calls(key, 1000)
    assert [(call["method"], call["path"], call["reason"]) for call in calls if call["code"]] == []
