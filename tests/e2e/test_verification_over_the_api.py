"""Identity checks over the management API: what is wrong with an application is told field by field."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.papers import over_the_api
from tests.venue import Refused, Venue

APPLICATION = over_the_api()


class Applicant:
    """Asks about the identity check of a new account, or of the account of `email`."""

    def __init__(self, venue: Venue, email: str = "") -> None:
        self.venue = venue
        self.email = email or venue.account(kyc="none")
        self.token = venue.sessions_of(self.email)[0]["full"]

    def ask(self, method: str, path: str = "", body: Any = None) -> Any:
        return self.venue.ask(method, f"/me/verification{path}", body, token=self.token)

    def is_refused(self, method: str, path: str = "", body: Any = None) -> Refused:
        with pytest.raises(Refused) as refused:
            self.ask(method, path, body)
        return refused.value


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    venue = Venue(tmp_path_factory.mktemp("venue") / "data")
    venue.hash_cheaply()
    yield venue
    venue.stop()


def test_an_application_waits_is_decided_once_and_told(shared: Venue) -> None:
    ann = Applicant(shared)
    assert ann.ask("GET") == {"state": "none", "cause": "", "sinceMs": None}
    assert ann.ask("POST", "", APPLICATION)["state"] == "pending"
    again = ann.is_refused("POST", "", APPLICATION)
    assert (again.status, again.reason) == (409, "kyc-state")
    path = f"/accounts/{ann.email}/verification"
    shown = shared.ask("GET", path)
    assert (shown["surname"], shown["documentType"], shown["expires"]) == ("Eriksson", "passport", "2035-04-15")
    decision = {"application": "another", "decision": "approved", "by": "M. K."}
    with pytest.raises(Refused) as refused:
        shared.ask("PUT", path, decision)
    assert (refused.value.status, refused.value.reason) == (409, "kyc-undecidable")
    decision |= {"application": shown["application"], "decision": "rejected", "reason": "the photograph is blurred"}
    assert shared.ask("PUT", path, decision)["kyc"] == "rejected"
    state = ann.ask("GET")
    assert (state["state"], state["cause"]) == ("rejected", "the photograph is blurred")
    assert ann.ask("POST", "", APPLICATION)["state"] == "pending"


def test_every_field_that_is_wrong_is_named_at_once_and_nothing_is_kept(shared: Venue) -> None:
    ann = Applicant(shared)

    def told(**wrong: str) -> list[str]:
        """The fields that are named."""
        refused = ann.is_refused("POST", "", APPLICATION | wrong)
        assert (refused.status, refused.reason) == (400, "application-invalid")
        return list(refused.document.get("fields", ()))

    named = told(givenNames="Anna 2", birthDate="1990-02-30", number="X" * 50, mrz="P<")
    assert set(named) == {"givenNames", "birthDate", "number", "mrz"}
    assert told(surname="Smith", image="no base64") == []
    for image in ("", base64.b64encode(b"<html>").decode(), base64.b64encode(b"\xff\xd8\xff" + bytes(500)).decode()):
        assert told(image=image) == ["image"]
    large = ann.is_refused("POST", "", APPLICATION | {"image": "A" * 3_000_000})
    assert (large.status, large.reason) == (413, "body-too-large")
    assert ann.ask("GET")["state"] == "none"


def test_a_sandbox_approves_at_once(shared: Venue) -> None:
    assert Applicant(shared).ask("POST", "/approve")["state"] == "approved"


def test_a_guarded_server_does_not(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("guarded") / "data"
    sandbox = Venue(data, durability="normal")
    email = sandbox.account(kyc="none")
    sandbox.stop()
    venue = Venue(data, durability="normal", mode="guarded")
    try:
        ann = Applicant(venue, email)
        refused = ann.is_refused("POST", "/approve")
        assert (refused.status, refused.reason) == (403, "mode-guarded")
        assert ann.ask("GET")["state"] == "none"
    finally:
        venue.stop()
