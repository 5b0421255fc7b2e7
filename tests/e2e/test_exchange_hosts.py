"""Clients that know no address but Binance's: of them only the environment is told, and the resolver."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt
import ccxt.async_support
import pytest
import requests
from binance.client import Client
from binance_common.configuration import ConfigurationRestAPI
from binance_sdk_spot.spot import Spot
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sparekey.assemble import StartRefused
from sparekey.console.greeting import tls_lines
from sparekey.settings import Settings
from sparekey.wire.sites import HOST_NAMES
from tests.e2e.exchange_hosts import hosts_lead_to
from tests.venue import Credentials, Venue

SYMBOL = "BTC/USDT"


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    running = Venue(tmp_path_factory.mktemp("tls") / "data", market="simulated", tls=True, tls_ports=(0,))
    yield running
    running.stop()


@pytest.fixture
def authority(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The environment that `sparekey up --tls` prints."""
    path = str(venue.data / "tls" / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", path)
    with hosts_lead_to(venue.tls_ports[0], monkeypatch):
        yield path


@pytest.fixture(scope="module")
def key(venue: Venue) -> Credentials:
    return venue.key(fund={"USDT": "50000", "BTC": "1"})


def test_ccxt_trades_by_the_addresses_that_it_comes_with(authority: str, key: Credentials) -> None:
    bot = ccxt.binance({"apiKey": key.api_key, "secret": key.secret, "requests_trust_env": True})
    bot.load_markets()
    bought = bot.create_order(SYMBOL, "market", "buy", 0.01)
    assert (bought["status"], bought["filled"]) == ("closed", 0.01)
    assert bot.fetch_my_trades(SYMBOL)[-1]["order"] == bought["id"]


def test_ccxt_async_is_told_the_authority_itself_because_it_brings_its_own(authority: str, key: Credentials) -> None:
    async def bought(**more: Any) -> Any:
        bot = ccxt.async_support.binance({"apiKey": key.api_key, "secret": key.secret, **more})
        try:
            await bot.load_markets()
            return await bot.create_order(SYMBOL, "market", "buy", 0.01)
        finally:
            await bot.close()

    assert asyncio.run(bought(cafile=authority))["filled"] == 0.01
    with pytest.raises(ccxt.NetworkError) as found:
        asyncio.run(bought())
    assert "CERTIFICATE_VERIFY_FAILED" in str(found.value.__cause__)


def test_python_binance_trades_by_the_addresses_that_it_comes_with(authority: str, key: Credentials) -> None:
    client = Client(key.api_key, key.secret)
    order = client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
    assert order["status"] == "FILLED"
    assert client.get_order(symbol="BTCUSDT", orderId=order["orderId"])["executedQty"] == "0.01000000"


def test_the_official_sdk_trades_by_the_addresses_that_it_comes_with(authority: str, key: Credentials) -> None:
    api = Spot(config_rest_api=ConfigurationRestAPI(api_key=key.api_key, api_secret=key.secret)).rest_api
    free = {balance.asset: float(balance.free) for balance in api.get_account().data().balances}
    assert free["USDT"] > 0


def test_aiohttp_takes_the_authority_from_the_environment(authority: str, venue: Venue) -> None:
    # In a process of its own, because aiohttp looks at the environment once, when it is imported.
    script = f"""
import aiohttp, asyncio, pytest
from tests.e2e.exchange_hosts import hosts_lead_to

async def ask():
    async with aiohttp.ClientSession() as session, session.get("https://api.binance.com/api/v3/time") as reply:
        print(await reply.text())

with hosts_lead_to({venue.tls_ports[0]}, pytest.MonkeyPatch()):
    asyncio.run(ask())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith('{"serverTime":'), done.stderr


def test_each_host_serves_its_own_and_the_futures_are_not_the_spot_market(authority: str) -> None:
    def status(url: str) -> int:
        return requests.get(url, timeout=10).status_code

    assert status("https://api.binance.com/api/v3/ping") == 200
    assert status("https://fapi.binance.com/fapi/v1/ping") == 200
    assert status("https://fapi.binance.com/api/v3/ping") == 404
    assert status("https://data-api.binance.vision/api/v3/depth?symbol=BTCUSDT") == 200
    assert status("https://data-api.binance.vision/api/v3/account") == 404
    assert status("https://api.binance.com/sparekey/v1/accounts") == 404
    assert status("https://api.binance.com/") == 404
    assert status("https://stream.binance.com/api/v3/ping") == 404


def test_streams_and_upgrades_run_over_tls_and_go_by_the_host(authority: str, venue: Venue, key: Credentials) -> None:
    listen_key = requests.post(
        "https://api.binance.com/api/v3/userDataStream", headers={"X-MBX-APIKEY": key.api_key}, timeout=10
    ).json()["listenKey"]
    with connect(f"wss://stream.binance.com:9443/ws/{listen_key}") as stream:
        Client(key.api_key, key.secret).order_market_buy(symbol="BTCUSDT", quantity="0.01")
        assert '"e":"executionReport"' in str(stream.recv(10))
    with connect("wss://data-stream.binance.vision/ws/btcusdt@depth5@100ms") as stream:
        assert '"lastUpdateId"' in str(stream.recv(10))
    with connect(f"wss://data-stream.binance.vision/ws/{listen_key}") as stream:
        Client(key.api_key, key.secret).order_market_buy(symbol="BTCUSDT", quantity="0.01")
        with pytest.raises(TimeoutError):
            stream.recv(0.1)
    for url, refused in (
        ("wss://fstream.binance.com/ws/btcusdt@aggTrade", 501),
        ("wss://fstream.binance.com/private/ws", 501),
        ("wss://dstream.binance.com/stream?streams=btcusd_perp@aggTrade", 501),
        ("wss://ws-fapi.binance.com/ws-fapi/v1", 501),
        ("wss://api.binance.com/ws/btcusdt@trade", 404),
    ):
        with pytest.raises(InvalidStatus) as found:
            connect(url)
        assert found.value.response.status_code == refused, url


def test_a_client_without_the_authority_does_not_take_this_for_the_exchange(
    authority: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(requests.exceptions.SSLError):
        requests.get("https://api.binance.com/api/v3/time", timeout=10)


def test_a_client_that_trusts_the_authority_takes_no_other_name_from_it(authority: str, venue: Venue) -> None:
    trusting = ssl.create_default_context(cafile=authority)
    with (
        socket.create_connection(("127.0.0.1", venue.tls_ports[0])) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        trusting.wrap_socket(plain, server_hostname="www.binance.com")


def test_a_second_start_keeps_the_authority_and_serves_every_port(tmp_path: Path) -> None:
    kept = set()
    for _ in range(2):
        running = Venue(tmp_path / "data", tls=True, tls_ports=(0,))
        kept.add((tmp_path / "data" / "tls" / "authority.pem").read_bytes())
        trusting = ssl.create_default_context(cafile=tmp_path / "data" / "tls" / "authority.pem")
        with socket.create_connection(("127.0.0.1", running.tls_ports[0])) as plain:
            trusting.wrap_socket(plain, server_hostname="dapi.binance.com").close()
        running.stop()
    assert len(kept) == 1


def test_a_start_without_tls_keeps_no_certificates(tmp_path: Path) -> None:
    Venue(tmp_path / "data").stop()
    assert not (tmp_path / "data" / "tls").exists()


def test_a_port_that_is_taken_or_an_authority_that_is_none_is_one_line(tmp_path: Path, venue: Venue) -> None:
    taken = venue.tls_ports[0]
    with pytest.raises(StartRefused, match=rf"Port {taken} is taken.*--tls-port") as refused:
        Venue(tmp_path / "data", tls=True, tls_ports=(taken,))
    assert "\n" not in str(refused.value)
    (tmp_path / "data" / "tls" / "authority.key").write_text("no key")
    with pytest.raises(StartRefused, match="holds no authority"):
        Venue(tmp_path / "data", tls=True, tls_ports=(0,))


@pytest.mark.parametrize(
    ("ports", "tls", "said"),
    [
        ((443,), False, "--tls-port needs --tls"),
        ((65_536,), True, "expected 0 .any free one. to 65535"),
        ((-1,), True, "expected 0 .any free one. to 65535"),
        ((9443, 9000), True, "are both 9000"),
    ],
)
def test_ports_that_cannot_be_are_refused(tmp_path: Path, ports: tuple[int, ...], tls: bool, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Settings(data=tmp_path, port=9000, tls=tls, tls_ports=ports)


def test_a_greeting_says_how_to_lead_a_client_here() -> None:
    authority = Path("/a b/authority.pem")
    said = tls_lines(HOST_NAMES, [8443], authority)
    assert any(line.startswith("127.0.0.1 api.binance.com ") for line in said)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        assert any(f" {name}='/a b/authority.pem'" in line for line in said)
    assert "call port 443 and 9443; start with --tls-port 443 --tls-port 9443" in said[-1]
    assert "call port 9443" in tls_lines(HOST_NAMES, [443], authority)[-1]
    assert len(tls_lines(HOST_NAMES, [443, 9443], authority)) == len(said) - 1
