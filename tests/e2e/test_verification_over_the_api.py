"""Identity checks over the management API: what is wrong with an application is told field by field."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.papers import passport, photograph
from tests.venue import Refused, Venue

APPLICATION = {
    "surname": "Eriksson",
    "givenNames": "Anna Maria",
    "birthDate": "1990-08-12",
    "country": "UTO",
    "documentType": "passport",
    "number": "L898902C3",
    "mrz": passport(),
    "image": base64.b64encode(photograph()).decode(),
}


class Applicant:
    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.email = venue.account(kyc="none")
        self.token = venue.sessions_of(self.email)[0]["full"]

    def ask(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"{self.venue.url}/sparekey/v1/me/verification{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    venue = Venue(tmp_path_factory.mktemp("venue") / "data")
    venue.hash_cheaply()
    yield venue
    venue.stop()


def test_an_application_waits_is_decided_once_and_told(shared: Venue) -> None:
    ann = Applicant(shared)
    assert ann.ask("GET") == (200, {"state": "none", "cause": "", "sinceMs": None})
    assert ann.ask("POST", "", APPLICATION)[1]["state"] == "pending"
    status, again = ann.ask("POST", "", APPLICATION)
    assert (status, again["error"]["reason"]) == (409, "kyc-state")
    path = f"/accounts/{ann.email}/verification"
    shown = shared.ask("GET", path)
    assert (shown["surname"], shown["documentType"], shown["expires"]) == ("Eriksson", "passport", "2035-04-15")
    decision = {"application": "another", "decision": "approved", "by": "M. K."}
    with pytest.raises(Refused) as refused:
        shared.ask("PUT", path, decision)
    assert (refused.value.status, refused.value.reason) == (409, "kyc-undecidable")
    decision |= {"application": shown["application"], "decision": "rejected", "reason": "the photograph is blurred"}
    assert shared.ask("PUT", path, decision)["kyc"] == "rejected"
    status, state = ann.ask("GET")
    assert (state["state"], state["cause"]) == ("rejected", "the photograph is blurred")
    assert ann.ask("POST", "", APPLICATION)[1]["state"] == "pending"


def test_every_field_that_is_wrong_is_named_at_once_and_nothing_is_kept(shared: Venue) -> None:
    ann = Applicant(shared)
    wrong = APPLICATION | {"givenNames": "Anna 2", "birthDate": "1990-02-30", "number": "X" * 50, "mrz": "P<"}
    status, told = ann.ask("POST", "", wrong)
    assert (status, told["error"]["reason"]) == (400, "application-invalid")
    assert set(told["fields"]) == {"givenNames", "birthDate", "number", "mrz"}
    status, told = ann.ask("POST", "", APPLICATION | {"surname": "Smith", "image": "no base64"})
    assert (status, told["error"]["reason"]) == (400, "application-invalid")
    for image in ("", base64.b64encode(b"<html>").decode(), base64.b64encode(b"\xff\xd8\xff" + bytes(500)).decode()):
        status, told = ann.ask("POST", "", APPLICATION | {"image": image})
        assert (status, list(told["fields"])) == (400, ["image"])
    status, told = ann.ask("POST", "", APPLICATION | {"image": "A" * 3_000_000})
    assert (status, told["error"]["reason"]) == (413, "body-too-large")
    assert ann.ask("GET")[1]["state"] == "none"


def test_a_sandbox_approves_at_once(shared: Venue) -> None:
    ann = Applicant(shared)
    assert ann.ask("POST", "/approve")[1]["state"] == "approved"


def test_a_guarded_server_does_not(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("guarded") / "data"
    sandbox = Venue(data, durability="normal")
    email = sandbox.account(kyc="none")
    sandbox.stop()
    venue = Venue(data, durability="normal", mode="guarded")
    try:
        ann = Applicant.__new__(Applicant)
        ann.venue, ann.email, ann.token = venue, email, venue.sessions_of(email)[0]["full"]
        status, told = ann.ask("POST", "/approve")
        assert (status, told["error"]["reason"]) == (403, "mode-guarded")
        assert ann.ask("GET")[1]["state"] == "none"
    finally:
        venue.stop()
