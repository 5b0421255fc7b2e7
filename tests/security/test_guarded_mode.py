"""In guarded mode the operator's token acts for nobody; it only looks, stops accounts, and lifts what was stopped."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.signing import Caller
from tests.venue import Credentials, Refused, Venue

PEM = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    "-----END PUBLIC KEY-----\n"
)

#: Every route that changes something, with a body that would be accepted in a sandbox.
REFUSED: dict[str, Any] = {
    "POST /accounts": {"email": "new@example.com"},
    "POST /accounts/{email}/fund": {"fund": {"USDT": "1"}},
    "PUT /accounts/{email}/kyc": {"kyc": "approved"},
    "POST /accounts/{email}/totp": None,
    "DELETE /accounts/{email}/totp": None,
    "PUT /accounts/{email}/broker": {"broker": True},
    "DELETE /accounts/{email}": None,
    "POST /accounts/{email}/keys": {"label": "x"},
    "PATCH /keys/{api_key}": {"label": "x"},
    "POST /keys/{api_key}/rotate": {"overlap": "1h"},
    "POST /keys/{api_key}/disable": None,
    "POST /keys/{api_key}/enable": None,
    "DELETE /keys/{api_key}": None,
    "POST /clock/advance": {"duration": "1d"},
    "POST /clock/skew": {"duration": "1s"},
}
#: What account holders ask for themselves, with sessions of their own.
HOLDERS = ("/session", "/sign-up", "/forgotten", "/reset", "/me/")
ALLOWED = {
    "PUT /accounts/{email}/verification",
    "POST /accounts/{email}/suspend",
    "POST /accounts/{email}/restore",
    "POST /accounts/{email}/panic",
    "POST /accounts/{email}/challenges",
    "DELETE /bans/{ip}",
}


class Guarded(NamedTuple):
    venue: Venue
    key: Credentials

    def ask(self, route: str, body: Any = None) -> Any:
        method, path = route.split()
        path = path.replace("{email}", urllib.parse.quote(self.key.email)).replace("{api_key}", self.key.api_key)
        return self.venue.ask(method, path, body)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A sandbox's folder, started again in guarded mode."""
    data = tmp_path_factory.mktemp("guarded") / "data"
    sandbox = Venue(data, durability="normal")
    key = sandbox.key(fund={"USDT": "1000"})
    sandbox.stop()
    venue = Venue(data, durability="normal", mode="guarded")
    yield Guarded(venue, key)
    venue.stop()


@pytest.mark.parametrize("route", sorted(REFUSED))
def test_the_token_acts_for_nobody(guarded: Guarded, route: str) -> None:
    shown = guarded.ask("GET /accounts/{email}"), guarded.ask("GET /keys/{api_key}")
    with pytest.raises(Refused) as refused:
        guarded.ask(route, REFUSED[route])
    assert (refused.value.status, refused.value.reason) == (403, "mode-guarded")
    assert (guarded.ask("GET /accounts/{email}"), guarded.ask("GET /keys/{api_key}")) == shown


def test_every_route_that_changes_something_is_one_or_the_other(guarded: Guarded) -> None:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"{guarded.venue.url}/sparekey/v1/openapi.json", timeout=10
    ) as reply:
        paths = json.load(reply)["paths"]
    changing = {
        f"{method.upper()} {path.removeprefix('/sparekey/v1')}"
        for path, operations in paths.items()
        for method in operations
        if method != "get" and not path.removeprefix("/sparekey/v1").startswith(HOLDERS)
    }
    assert changing == set(REFUSED) | ALLOWED


def test_the_operator_can_still_stop_an_account_and_lift_the_stop(guarded: Guarded) -> None:
    caller = Caller(guarded.venue.url, guarded.key)
    assert caller("GET", "/api/v3/account").status == 200
    assert guarded.ask("POST /accounts/{email}/suspend", {"reason": "odd calls"})["apiAccess"] == "SUSPENDED"
    assert caller("GET", "/api/v3/account").code == -2015
    assert guarded.ask("POST /accounts/{email}/restore", {"reason": "explained"})["apiAccess"] == "ACTIVE"
    assert caller("GET", "/api/v3/account").status == 200
    with pytest.raises(Refused) as refused:
        guarded.venue.ask("DELETE", "/bans/127.0.0.9")
    assert refused.value.reason == "ban-unknown"
    assert "nonce" in guarded.ask("POST /accounts/{email}/challenges", {"publicKey": PEM})
    assert guarded.ask("POST /accounts/{email}/panic", {})["disabled"] == [guarded.key.api_key]
    assert caller("GET", "/api/v3/account").code == -2015
