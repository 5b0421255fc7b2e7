"""Special keys of margin over sockets: made, listed, restricted and deleted; what they open waits for margin."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.test_sub_accounts import KEY_REFUSED, Master
from tests.signing import Caller
from tests.venue import Credentials, Venue

KEY, LIST = "/sapi/v1/margin/apiKey", "/sapi/v1/margin/api-key-list"


@pytest.fixture
def trader(venue: Venue) -> Master:
    return Master(venue)


def pem_of(private: Any) -> str:
    pem: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def test_a_special_key_lives_its_life_and_opens_nothing_while_margin_is_closed(venue: Venue, trader: Master) -> None:
    answer = trader.call("POST", KEY, {"apiName": "fast", "ip": "127.0.0.1"})
    made = answer.body
    assert answer.headers["Cache-Control"] == "no-store" and made["type"] == "HMAC_SHA256"
    bot = Caller(venue.url, Credentials(made["apiKey"], made["secretKey"], "", ""))
    shown = {"apiName": "fast", "apiKey": made["apiKey"], "ip": "127.0.0.1"}
    shown |= {"type": "HMAC_SHA256", "permissionMode": "TRADE"}
    assert trader.ask("GET", KEY, apiKey=made["apiKey"]) == shown
    assert trader.ask("GET", LIST) == [shown]
    for path in ("/api/v3/account", "/sapi/v1/account/apiRestrictions"):
        assert bot("GET", path).body == KEY_REFUSED
        assert venue.calls(Credentials(made["apiKey"], "", "", ""))[-1]["reason"] == "margin-key-idle"
    assert bot.limit_order().body == KEY_REFUSED
    assert trader.ask("PUT", f"{KEY}/ip", apiKey=made["apiKey"], ip="10.0.0.1,10.0.0.2") == {}
    assert trader.ask("GET", KEY, apiKey=made["apiKey"])["ip"] == "10.0.0.1,10.0.0.2"
    # It is no key of the ordinary kind anywhere.
    assert trader.ask("GET", "/sapi/v1/account/apiRestrictions")["ipRestrict"] is True
    assert trader.ask("DELETE", KEY, apiKey=made["apiKey"]) == {}
    assert trader.ask("GET", LIST) == []
    assert trader.refused("DELETE", KEY, apiKey=made["apiKey"])["code"] == -1130


def test_public_keys_have_types_and_the_mode_counts_for_ed25519_alone(trader: Master) -> None:
    pems = {"Ed25519": pem_of(Ed25519PrivateKey.generate()), "RSA": pem_of(generate_private_key(65_537, 2048))}
    modes = {}
    for kind, pem in pems.items():
        made = trader.ask("POST", KEY, apiName=kind, publicKey=pem, permissionMode="READ")
        assert made["secretKey"] is None and made["type"] == kind
        modes[kind] = trader.ask("GET", KEY, apiKey=made["apiKey"])["permissionMode"]
    assert modes == {"Ed25519": "READ", "RSA": "TRADE"}
    assert trader.refused("POST", KEY, apiName="x", publicKey="-----BEGIN")["code"] == -1130
    assert trader.refused("POST", KEY, apiName="x", permissionMode="WRITE")["code"] == -1130


def test_cross_and_isolated_keys_are_listed_apart_and_names_delete_all_that_have_them(trader: Master) -> None:
    for symbol in ({}, {}, {"symbol": "BTCUSDT"}):
        trader.ask("POST", KEY, apiName="same", **symbol)
    trader.ask("POST", KEY, apiName="other")
    assert [row["apiName"] for row in trader.ask("GET", LIST)] == ["same", "same", "other"]
    (isolated,) = trader.ask("GET", LIST, symbol="BTCUSDT")
    assert isolated["ip"] == "0.0.0.0"  # "just an initial state reference (no extra meaning)"
    assert trader.refused("GET", KEY, apiKey=isolated["apiKey"], symbol="ETHUSDT")["code"] == -1130
    assert trader.ask("DELETE", KEY, apiName="same") == {}
    assert [row["apiName"] for row in trader.ask("GET", LIST)] == ["other"]
    assert trader.ask("GET", LIST, symbol="BTCUSDT") == [isolated]
    assert trader.refused("POST", KEY, apiName="x", symbol="NOPE")["code"] == -1121
    assert trader.refused("DELETE", KEY)["code"] == -1102


def test_another_accounts_special_keys_are_unknown_and_ordinary_ones_are_none(venue: Venue, trader: Master) -> None:
    made = trader.ask("POST", KEY, apiName="fast")
    stranger = Master(venue)
    for method, path, more in (("GET", KEY, {}), ("DELETE", KEY, {}), ("PUT", f"{KEY}/ip", {"ip": "10.0.0.1"})):
        assert stranger.refused(method, path, apiKey=made["apiKey"], **more)["code"] == -1130
        assert trader.refused(method, path, apiKey=trader.key.api_key, **more)["code"] == -1130
    assert len(trader.ask("GET", LIST)) == 1


def test_the_account_pays_one_for_a_call(trader: Master) -> None:
    headers = trader.call("GET", LIST).headers
    assert headers["X-SAPI-USED-UID-WEIGHT-1M"] == "1" and "X-SAPI-USED-IP-WEIGHT-1M" not in headers
