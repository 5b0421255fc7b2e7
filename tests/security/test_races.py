"""Two things at once: whichever comes first, the outcome is one of the two that make sense, and nothing in between."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.test_user_data import listen_key, stream
from tests.signing import Caller
from tests.venue import Credentials, Refused, Venue


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Each in a thread of its own, begun together; what each returned, or the `Refused` that it met."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return act()
        except Refused as refused:
            return refused

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def held(venue: Venue, email: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = venue.ask("GET", f"/accounts/{email}/keys")
    return found


@pytest.mark.parametrize("order", list(itertools.permutations(("rotate", "delete", "edit"))), ids="-".join)
def test_rotate_delete_and_edit_of_one_key_at_once_leave_it_deleted_and_at_most_one_successor(
    lenient_venue: Venue, order: tuple[str, ...]
) -> None:
    key = lenient_venue.key(permissions=["reading"], ips=["127.0.0.1"])
    path = f"/keys/{key.api_key}"
    acts: dict[str, Callable[[], Any]] = {
        "rotate": lambda: lenient_venue.ask("POST", f"{path}/rotate", {"overlap": "24h"}),
        "delete": lambda: lenient_venue.ask("DELETE", path),
        "edit": lambda: lenient_venue.ask("PATCH", path, {"ips": ["127.0.0.2"]}),
    }
    outcome = dict(zip(order, at_once(*(acts[name] for name in order)), strict=True))
    assert not isinstance(outcome["delete"], Refused)
    assert Caller(lenient_venue.url, key)("GET", "/api/v3/account").code == -2015
    left = held(lenient_venue, key.email)
    for name in ("rotate", "edit"):
        if isinstance(outcome[name], Refused):
            assert outcome[name].reason in ("key-unknown", "key-deleted")
    if isinstance(outcome["rotate"], Refused):
        assert left == []
    else:
        (successor,) = left
        assert successor["apiKey"] == outcome["rotate"]["apiKey"]
        assert successor["permissions"] == ["reading"]
        # As the key was when it was rotated: before the edit, or after it.
        assert successor["ips"] in (["127.0.0.1"], ["127.0.0.2"])


def test_of_many_rotations_of_one_key_at_once_one_is_done(lenient_venue: Venue) -> None:
    key = lenient_venue.key()
    rotate = lambda: lenient_venue.ask("POST", f"/keys/{key.api_key}/rotate", {"overlap": "24h"})  # noqa: E731
    outcomes = at_once(*[rotate] * 8)
    assert sum(not isinstance(outcome, Refused) for outcome in outcomes) == 1
    assert len(held(lenient_venue, key.email)) == 2


def test_rotations_and_creations_at_once_never_pass_thirty(lenient_venue: Venue) -> None:
    email = lenient_venue.account()
    keys = [lenient_venue.key(email=email) for _ in range(25)]
    acts: list[Callable[[], Any]] = [lambda: lenient_venue.key(email=email)] * 10
    acts += [
        lambda key=key: lenient_venue.ask("POST", f"/keys/{key.api_key}/rotate", {"overlap": "24h"})  # type: ignore[misc]
        for key in keys[:10]
    ]
    outcomes = at_once(*acts)
    assert sum(isinstance(outcome, Credentials) for outcome in outcomes) == 5
    assert all(not isinstance(outcome, Refused) for outcome in outcomes[10:])
    # A key and its replacement share one place.
    assert len(held(lenient_venue, email)) == 40
    with pytest.raises(Refused):
        lenient_venue.key(email=email)


@pytest.mark.parametrize("narrowed", ["ips", "permissions", "deleted"])
def test_a_call_in_flight_while_its_key_narrows_is_done_or_refused_and_none_after_it_is_done(
    lenient_venue: Venue, narrowed: str
) -> None:
    """No call that is sent after the change was acknowledged is honoured."""
    key = lenient_venue.key(fund={"USDT": "1000000"})
    path = f"/keys/{key.api_key}"
    changed = threading.Event()

    def trade() -> list[tuple[bool, int]]:
        call = Caller(lenient_venue.url, key)
        seen = []
        for _ in range(400):
            after = changed.is_set()
            code = call.limit_order().code
            seen.append((after, code))
            if after and len(seen) > 60:
                break
        return seen

    def narrow() -> None:
        change: dict[str, Callable[[], Any]] = {
            "ips": lambda: lenient_venue.ask("PATCH", path, {"ips": ["203.0.113.7"]}),
            "permissions": lambda: lenient_venue.ask("PATCH", path, {"permissions": ["reading"]}),
            "deleted": lambda: lenient_venue.ask("DELETE", path),
        }
        change[narrowed]()
        changed.set()

    first, second, _ = at_once(trade, trade, narrow)
    seen = first + second
    assert {code for after, code in seen if after} <= {-2015}
    assert {code for _, code in seen} <= {0, -2015}
    placed = sum(code == 0 for _, code in seen)
    reader = lenient_venue.key(email=key.email, permissions=["reading"])
    # Every order that was answered with success stands in the book, and no other.
    assert len(Caller(lenient_venue.url, reader)("GET", "/api/v3/openOrders").body) == placed


def test_a_whitelist_that_goes_takes_withdrawals_along_whatever_else_is_edited_at_once(lenient_venue: Venue) -> None:
    for _ in range(5):
        key = lenient_venue.key(permissions=["reading", "withdrawals"], ips=["127.0.0.1"])
        path = f"/keys/{key.api_key}"
        at_once(
            lambda: lenient_venue.ask("PATCH", path, {"ips": []}),  # noqa: B023
            lambda: lenient_venue.ask("PATCH", path, {"permissions": ["reading", "withdrawals"]}),  # noqa: B023
            lambda: lenient_venue.ask("PATCH", path, {"label": "other"}),  # noqa: B023
        )
        document = lenient_venue.ask("GET", path)
        assert document["ips"] or "withdrawals" not in document["permissions"]
        assert document["ips"] == []


def test_open_orders_stay_when_the_identity_check_is_withdrawn_and_can_be_cancelled_when_it_is_back(
    lenient_venue: Venue,
) -> None:
    """Defined so: orders rest on, since nobody asked for their end; no key may add to them, nor cancel them."""
    key = lenient_venue.key(fund={"USDT": "1000000"})
    reader = lenient_venue.key(email=key.email, permissions=["reading"])
    call, look = Caller(lenient_venue.url, key), Caller(lenient_venue.url, reader)
    placed = call.limit_order().body
    outcomes = at_once(
        lambda: lenient_venue.ask("PUT", f"/accounts/{key.email}/kyc", {"kyc": "rejected"}),
        lambda: Caller(lenient_venue.url, key).limit_order(newClientOrderId="at-the-same-time").code,
    )
    assert outcomes[1] in (0, -2015)
    expected = {placed["clientOrderId"]} | ({"at-the-same-time"} if outcomes[1] == 0 else set())
    assert {order["clientOrderId"] for order in look("GET", "/api/v3/openOrders").body} == expected
    assert call.limit_order().code == -2015
    cancel = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    assert call("DELETE", "/api/v3/order", cancel).code == -2015
    assert {order["clientOrderId"] for order in look("GET", "/api/v3/openOrders").body} == expected
    lenient_venue.ask("PUT", f"/accounts/{key.email}/kyc", {"kyc": "approved"})
    assert call("DELETE", "/api/v3/order", cancel).body["status"] == "CANCELED"


def test_one_client_order_id_sent_over_many_sockets_at_once_is_one_order(lenient_venue: Venue) -> None:
    key = lenient_venue.key(fund={"USDT": "1000000"})
    acts = [lambda: Caller(lenient_venue.url, key).limit_order(newClientOrderId="the-same")] * 8
    answers = at_once(*acts)
    assert Counter(answer.code for answer in answers) == {0: 1, -2010: 7}
    (order,) = Caller(lenient_venue.url, key)("GET", "/api/v3/openOrders").body
    assert order["clientOrderId"] == "the-same"


def test_an_order_that_is_cancelled_and_filled_at_once_is_one_of_the_two(venue: Venue) -> None:
    """With nobody else in the market; three attempts that race as the machine pleases."""
    maker = venue.key(fund={"USDT": "100000"})
    taker = venue.key(fund={"BTC": "10"})
    for _ in range(3):
        order_id = Caller(venue.url, maker).limit_order().body["orderId"]
        cancel = {"symbol": "BTCUSDT", "orderId": order_id}
        cancelled, sold = at_once(
            lambda cancel=cancel: Caller(venue.url, maker)("DELETE", "/api/v3/order", cancel),
            lambda: Caller(venue.url, taker).limit_order(side="SELL", timeInForce="IOC"),
        )
        order = Caller(venue.url, maker)("GET", "/api/v3/order", cancel).body
        trades = Caller(venue.url, maker)("GET", "/api/v3/myTrades", cancel).body
        if sold.body["status"] == "FILLED":
            assert (cancelled.status, cancelled.code) == (400, -2011)
            assert (order["status"], len(trades)) == ("FILLED", 1)
        else:
            assert (sold.body["status"], sold.body["executedQty"]) == ("EXPIRED", "0.00000000")
            assert (cancelled.code, order["status"], trades) == (0, "CANCELED", [])
    assert venue._running._spot.ledger.audit() == ""


def test_an_account_that_is_erased_while_it_trades_leaves_books_that_balance(lenient_venue: Venue) -> None:
    key = lenient_venue.key(fund={"USDT": "1000000"})
    outcomes = at_once(
        lambda: [Caller(lenient_venue.url, key).limit_order().code for _ in range(30)],
        lambda: lenient_venue.ask("DELETE", f"/accounts/{key.email}"),
    )
    assert set(outcomes[0]) <= {0, -2015}
    if isinstance(outcomes[1], Refused):  # it has open orders, which nobody could cancel afterwards
        assert 0 in outcomes[0]
        assert len(Caller(lenient_venue.url, key)("GET", "/api/v3/openOrders").body) == outcomes[0].count(0)
    else:
        assert outcomes[0].count(0) == 0
    assert lenient_venue._running._spot.ledger.audit() == ""


def test_a_ban_that_comes_with_a_reply_in_flight_answers_what_was_admitted_and_closes_the_streams(
    venue: Venue,
) -> None:
    """The calls that earned the ban are answered in order; all later ones from that address are 418."""
    key = venue.key(ips=["127.0.0.0/8"])
    source = "127.0.0.71"
    text = listen_key(Caller(venue.url, key))
    with stream(venue, f"/ws/{text}", source_address=(source, 0)) as heard:

        def ask() -> int | str:
            try:
                asked = Caller(venue.url, source_ip=source)
                return asked("GET", "/api/v3/exchangeInfo", {"symbol": "BTCUSDT"}, signed=False).status
            except ConnectionError:  # connected before the ban, and closed by it before the call had arrived
                return "closed"

        acts: list[Callable[[], Any]] = [lambda: [ask() for _ in range(60)]] * 4
        for statuses in at_once(*acts):
            # In the order of asking: served, then told to wait, then parted with, then banned; never back.
            assert statuses == sorted(statuses, key=(200, 429, "closed", 418).index)
            assert statuses.count("closed") <= 1
        assert Caller(venue.url, source_ip=source)("GET", "/api/v3/ping", signed=False).status == 418
        heard.ended(timeout=20)
    assert Caller(venue.url, key, "127.0.0.72")("GET", "/api/v3/account").status == 200
