"""A management request that is sent again, by a script that lost the answer or by somebody who recorded it."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest

from sparekey.console.repeats import LONGEST, Repeats
from sparekey.terms.reasons import Reason
from tests.venue import Venue


def send(venue: Venue, method: str, path: str, body: Any, name: str) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{venue.url}/sparekey/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {venue._running.operator_token}",
            "Content-Type": "application/json",
            "Idempotency-Key": name,
        },
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]["reason"]


def test_the_same_request_for_a_key_sent_again_makes_no_second_key(lenient_venue: Venue) -> None:
    email = lenient_venue.account()
    ask = ("POST", f"/accounts/{email}/keys", {"label": "bot"})
    status, made = send(lenient_venue, *ask, "lost answer 1")
    assert (status, made["label"]) == (200, "bot")
    assert send(lenient_venue, *ask, "lost answer 1") == (409, "request-repeated")
    assert len(lenient_venue.ask("GET", f"/accounts/{email}/keys")) == 1
    # The name stands for one request, whatever the second one asks for.
    gone = ("DELETE", f"/keys/{made['apiKey']}", None)
    assert send(lenient_venue, *gone, "lost answer 1") == (409, "request-repeated")
    assert send(lenient_venue, *gone, "lost answer 2")[0] == 200


def test_of_many_that_come_at_once_one_is_done(lenient_venue: Venue) -> None:
    email = lenient_venue.account()
    answers: list[tuple[int, Any]] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(
                send(lenient_venue, "POST", f"/accounts/{email}/keys", {"label": "bot"}, "at once")
            )
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200] + [409] * 7
    assert len(lenient_venue.ask("GET", f"/accounts/{email}/keys")) == 1


@pytest.mark.parametrize("body", [{"label": "x" * 500}, {"label": 7}, {"label": "bot", "unheard": 1}])
def test_a_request_that_was_refused_did_nothing_and_its_name_serves_the_corrected_one(
    lenient_venue: Venue, body: Any
) -> None:
    path = f"/accounts/{lenient_venue.account()}/keys"
    name = f"corrected {path}"
    assert send(lenient_venue, "POST", path, body, name)[0] in (400, 422)
    assert send(lenient_venue, "POST", path, {"label": "bot"}, name)[0] == 200


def test_looking_twice_is_no_repetition(lenient_venue: Venue) -> None:
    for _ in range(2):
        assert send(lenient_venue, "GET", "/clock", None, "a look")[0] == 200


def test_nothing_is_remembered_of_whoever_has_no_token(lenient_venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/accounts/{lenient_venue.account()}/keys"
    with monkeypatch.context() as stranger:
        stranger.setattr(lenient_venue._running, "operator_token", "guessed")
        assert send(lenient_venue, "POST", path, {"label": "bot"}, "foreseen")[0] == 401
    assert send(lenient_venue, "POST", path, {"label": "bot"}, "foreseen")[0] == 200


def test_names_are_bounded_in_number_and_length() -> None:
    repeats = Repeats(most=3)
    for name in "abc":
        assert repeats.take(name) is None
    assert repeats.take("d") is None
    refusal = repeats.take("b")
    assert refusal is not None
    assert refusal.reason is Reason.REQUEST_REPEATED
    assert repeats.take("a") is None  # the oldest was forgotten
    for odd in ("x" * (LONGEST + 1), "é", "a\x7f"):
        refusal = repeats.take(odd)
        assert refusal is not None
        assert refusal.reason is Reason.REQUEST_INVALID
    assert repeats.take("x" * LONGEST) is None
