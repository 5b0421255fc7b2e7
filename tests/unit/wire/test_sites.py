"""Binance's host names. What each serves: "General information" of spot, USDⓈ-M and COIN-M futures."""

from __future__ import annotations

import pytest

from sparekey.wire.sites import HOST_NAMES, site_of


@pytest.mark.parametrize(
    ("host", "path", "placed"),
    [
        ("api.binance.com", "/api/v3/order", "/api/v3/order"),
        ("api.binance.com", "/sapi/v1/account/status", "/sapi/v1/account/status"),
        ("api.binance.com", "/fapi/v1/time", "/api/fapi/v1/time"),
        ("api.binance.com", "/ws/btcusdt@trade", "/api/ws/btcusdt@trade"),
        ("api.binance.com", "/", "/api/"),
        ("api.binance.com", "/sparekey/v1/accounts", "/api/sparekey/v1/accounts"),
        ("api.binance.com", "//api/v3/time", "/api//api/v3/time"),
        ("api1.binance.com", "/api/v3/time", "/api/v3/time"),
        ("api4.binance.com", "/api/v3/time", "/api/v3/time"),
        ("api-gcp.binance.com", "/api/v3/time", "/api/v3/time"),
        ("fapi.binance.com", "/fapi/v1/time", "/fapi/v1/time"),
        ("fapi.binance.com", "/api/v3/time", "/fapi/api/v3/time"),
        ("dapi.binance.com", "/dapi/v1/time", "/dapi/v1/time"),
        ("dapi.binance.com", "/fapi/v1/time", "/dapi/fapi/v1/time"),
        ("stream.binance.com", "/ws", "/ws"),
        ("stream.binance.com", "/ws/btcusdt@trade", "/ws/btcusdt@trade"),
        ("stream.binance.com", "/stream", "/stream"),
        ("stream.binance.com", "/wsx", "/stream/wsx"),
        ("stream.binance.com", "/api/v3/time", "/stream/api/v3/time"),
        ("stream.binance.com", "/fstream/ws", "/stream/fstream/ws"),
        ("fstream.binance.com", "/ws", "/fstream/ws"),
        ("fstream.binance.com", "/stream", "/fstream/stream"),
        ("fstream.binance.com", "/private/ws", "/fstream/private/ws"),
        ("dstream.binance.com", "/ws/btcusd_perp@trade", "/dstream/ws/btcusd_perp@trade"),
        ("ws-api.binance.com", "/ws-api/v3", "/ws-api/v3"),
        ("ws-api.binance.com", "/ws/btcusdt@trade", "/ws-api/ws/btcusdt@trade"),
        ("ws-fapi.binance.com", "/ws-fapi/v1", "/ws-fapi/v1"),
        ("ws-dapi.binance.com", "/ws-dapi/v1", "/ws-dapi/v1"),
        ("data-api.binance.vision", "/api/v3/ticker", "/api/v3/ticker"),
        ("data-api.binance.vision", "/api/v3/ticker/24hr", "/api/v3/ticker/24hr"),
        ("data-api.binance.vision", "/api/v3/order", "/api/api/v3/order"),
        ("data-api.binance.vision", "/api/v3/ticker/", "/api/api/v3/ticker/"),
        ("data-stream.binance.vision", "/ws", "/data-stream/ws"),
    ],
)
def test_a_host_serves_its_own_paths_and_no_other(host: str, path: str, placed: str) -> None:
    site = site_of(host.encode())
    assert site is not None
    assert site.place(path.encode()) == placed.encode()


@pytest.mark.parametrize("written", ["{}", "{}:443", "{}:9443", "{}:", "{}.", "{}.:8443"])
@pytest.mark.parametrize("name", HOST_NAMES)
def test_a_host_is_known_in_any_case_with_any_port_and_with_the_root_s_dot(name: str, written: str) -> None:
    site = site_of(name.encode())
    assert site is not None
    for spelling in (name, name.upper(), name.title()):
        assert site_of(written.format(spelling).encode()) is site


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b":443",
        b".",
        b"127.0.0.1:8080",
        b"[::1]:8080",
        b"localhost",
        b"binance.com",
        b"www.binance.com",
        b"xapi.binance.com",
        b"api.binance.com..",
        b".api.binance.com",
        b"api.binance.com.example.org",
        b"api.binance.com@example.org",
        b"api.binance.org",
        b"api.binance.vision",
        b"api.binance.com" * 1000,
    ],
)
def test_any_other_host_is_no_site(host: bytes) -> None:
    assert site_of(host) is None
