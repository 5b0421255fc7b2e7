"""What a key may do beside what it did; secrets that wait for the one page that shows them."""

from __future__ import annotations

from sparekey.console.least_privilege import narrowest, needs_of, permissions_of_routes
from sparekey.console.shown_once import ShownOnce
from sparekey.storage.calls import RouteCalls
from sparekey.terms.permissions import Permission
from sparekey.wire.routes import ALL_ROWS

EVERYTHING = Permission(sum(Permission))
ROUTES = permissions_of_routes()


def called(method: str, path: str, calls: int = 1, refused: int = 0) -> RouteCalls:
    return RouteCalls(method, path, calls, refused, 0)


def enough(*calls: RouteCalls, held: Permission = EVERYTHING) -> list[str]:
    return narrowest(needs_of(held, calls, ROUTES))


def test_every_endpoint_that_needs_a_key_tells_its_permission_over_rest_and_the_websocket_api() -> None:
    keyed = [row for row in ALL_ROWS if row.security is not None and row.security.keyed]
    assert keyed
    assert all(ROUTES[row.method, row.path] for row in keyed)
    assert all(ROUTES["WS", f"/ws-api/v3/{row.websocket}"] for row in keyed if row.websocket)
    assert ("GET", "/api/v3/time") not in ROUTES


def test_reading_is_always_enough_for_a_key_that_did_nothing() -> None:
    assert enough() == ["reading"]


def test_what_was_answered_was_needed_and_what_was_refused_was_not() -> None:
    assert enough(called("POST", "/api/v3/order", 5, 5)) == ["reading"]
    assert enough(called("POST", "/api/v3/order", 5, 4)) == ["reading", "spot-and-margin-trading"]
    assert enough(called("WS", "/ws-api/v3/order.place")) == ["reading", "spot-and-margin-trading"]


def test_what_a_needed_permission_presupposes_is_kept() -> None:
    routes = {("POST", "/loan"): Permission.MARGIN_LOAN}
    needs = needs_of(EVERYTHING, [called("POST", "/loan")], routes)
    assert narrowest(needs) == ["reading", "spot-and-margin-trading", "margin-loan"]


def test_public_calls_and_unknown_paths_need_nothing() -> None:
    assert enough(called("GET", "/api/v3/time"), called("GET", "/nowhere"), called("PUT", "/api/v3/order")) == [
        "reading"
    ]


def test_a_permission_that_the_key_lacks_is_never_proposed_but_named_when_it_was_asked_for() -> None:
    calls = [called("POST", "/api/v3/order", 3, 3)]
    needs = needs_of(Permission.READING, calls, ROUTES)
    assert narrowest(needs) == ["reading"]
    [asked] = [one for one in needs if one.refused]
    assert (asked.name, asked.held, asked.refused) == ("spot-and-margin-trading", False, 3)


def test_a_secret_that_waits_is_given_once_to_its_session_and_not_for_long() -> None:
    now = [0]
    once = ShownOnce(lambda: now[0])
    once.keep("session", 1, "hush")
    assert once.take("other", 1) is None
    assert once.take("session", 2) is None
    assert "hush" not in repr(once)
    assert once.take("session", 1) == "hush"
    assert once.take("session", 1) is None
    once.keep("session", 1, "hush")
    now[0] = 5 * 60_000_000
    assert once.take("session", 1) is None


def test_secrets_that_nobody_fetches_are_bounded() -> None:
    once = ShownOnce(lambda: 0)
    for number in range(1_001):
        once.keep("session", number, f"secret {number}")
    assert once.take("session", 0) is None
    assert once.take("session", 1) == "secret 1"
