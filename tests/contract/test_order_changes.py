"""cancelReplace and amend over a socket: bodies, HTTP statuses and refusals as the documents give them.

Spot REST, "Cancel an Existing Order and Send a New Order" with its matrix of outcomes, and "Order Amend Keep Priority".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sparekey.terms.admissions import Admission
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import SetOrderLimits
from sparekey.venue.listing import OrderLimit
from sparekey.wire.calls import Call
from sparekey.wire.errors import RefusalWithData, error_body, public_error, retry_after
from sparekey.wire.spot_changes import replace_order
from sparekey.wire.spot_table import SPOT_ROWS
from sparekey.wire.table import build_routes
from sparekey.wire.weights import load_weights
from tests.contract import documented
from tests.signing import Answer, Caller
from tests.spot_desk import FOREVER_US, SpotDesk
from tests.venue import Venue

SYMBOL = {"symbol": "BTCUSDT"}
UNKNOWN = {"code": -2011, "msg": "Unknown order sent."}
BROKE = {"code": -2010, "msg": "Account has insufficient balance for requested action."}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    venue = Venue(tmp_path_factory.mktemp("changes") / "data", profile="current")
    yield venue
    venue.stop()


@pytest.fixture
def trader(venue: Venue) -> Iterator[Caller]:
    caller = Caller(venue.url, venue.key(fund={"USDT": "1000", "BTC": "1"}))
    yield caller
    caller("DELETE", "/api/v3/openOrders", SYMBOL)
    caller.close()


def replace(trader: Caller, cancelled: int, mode: str = "STOP_ON_FAILURE", **changes: Any) -> Answer:
    order = SYMBOL | {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001", "price": "21000"}
    sent = order | {"cancelReplaceMode": mode, "cancelOrderId": cancelled} | changes
    return trader("POST", "/api/v3/order/cancelReplace", {name: value for name, value in sent.items() if value != ""})


def amend(trader: Caller, **parameters: Any) -> Answer:
    return trader("PUT", "/api/v3/order/amend/keepPriority", SYMBOL | parameters)


def status_of(trader: Caller, order_id: int) -> str:
    return trader("GET", "/api/v3/order", SYMBOL | {"orderId": order_id}).body["status"]


# --- cancelReplace -------------------------------------------------------------------------------------------------


def test_both_halves_done_are_a_cancel_and_a_placement_as_they_are_told_alone(trader: Caller) -> None:
    old = trader.limit_order(newClientOrderId="old").body
    answer = replace(trader, old["orderId"], cancelNewClientOrderId="cancel", newClientOrderId="old")
    assert answer.status == 200
    assert list(answer.body) == ["cancelResult", "newOrderResult", "cancelResponse", "newOrderResponse"]
    assert (answer.body["cancelResult"], answer.body["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    cancel, new = answer.body["cancelResponse"], answer.body["newOrderResponse"]
    assert tuple(cancel) == documented.FIELDS["DELETE /api/v3/order"]
    assert tuple(new) == documented.FIELDS["POST /api/v3/order"]
    assert (cancel["orderId"], cancel["origClientOrderId"], cancel["clientOrderId"]) == (
        old["orderId"],
        "old",
        "cancel",
    )
    # The id of the cancelled order is free for the new one.
    assert new["clientOrderId"] == "old"
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "2"
    assert status_of(trader, old["orderId"]) == "CANCELED"
    [open_order] = trader("GET", "/api/v3/openOrders", SYMBOL).body
    assert (open_order["orderId"], open_order["price"]) == (new["orderId"], "21000.00000000")


def test_a_new_order_may_be_told_as_briefly_as_any(trader: Caller) -> None:
    old = trader.limit_order().body["orderId"]
    answer = replace(trader, old, newOrderRespType="ACK")
    assert tuple(answer.body["newOrderResponse"]) == documented.ACK


def test_what_a_cancel_frees_pays_for_the_new_order(trader: Caller) -> None:
    old = trader.limit_order(price="20000", quantity="0.05").body["orderId"]
    answer = replace(trader, old, price="19000", quantity="0.052")
    assert answer.status == 200


def test_a_cancel_that_fails_stops_the_placement_which_counts_all_the_same(trader: Caller) -> None:
    counted = int(trader.limit_order().headers["X-MBX-ORDER-COUNT-10S"])
    answer = replace(trader, 999_999)
    assert answer.status == 400
    assert answer.body == {
        "code": -2022,
        "msg": "Order cancel-replace failed.",
        "data": {
            "cancelResult": "FAILURE",
            "newOrderResult": "NOT_ATTEMPTED",
            "cancelResponse": UNKNOWN,
            "newOrderResponse": None,
        },
    }
    assert int(answer.headers["X-MBX-ORDER-COUNT-10S"]) == counted + 1
    assert len(trader("GET", "/api/v3/openOrders", SYMBOL).body) == 1


def test_a_placement_may_go_on_where_the_cancel_failed(trader: Caller) -> None:
    answer = replace(trader, 999_999, "ALLOW_FAILURE")
    assert answer.status == 409
    assert (answer.body["code"], answer.body["msg"]) == (-2021, "Order cancel-replace partially failed.")
    data = answer.body["data"]
    assert (data["cancelResult"], data["newOrderResult"], data["cancelResponse"]) == ("FAILURE", "SUCCESS", UNKNOWN)
    assert status_of(trader, data["newOrderResponse"]["orderId"]) == "NEW"


def test_a_cancel_stays_done_where_the_placement_fails(trader: Caller) -> None:
    old = trader.limit_order().body["orderId"]
    answer = replace(trader, old, quantity="10")
    assert answer.status == 409
    assert answer.body["code"] == -2021
    data = answer.body["data"]
    assert (data["cancelResult"], data["newOrderResult"], data["newOrderResponse"]) == ("SUCCESS", "FAILURE", BROKE)
    assert data["cancelResponse"]["status"] == "CANCELED"
    assert trader("GET", "/api/v3/openOrders", SYMBOL).body == []


def test_both_halves_may_fail(trader: Caller) -> None:
    answer = replace(trader, 999_999, "ALLOW_FAILURE", quantity="10")
    assert answer.status == 400
    assert answer.body == {
        "code": -2022,
        "msg": "Order cancel-replace failed.",
        "data": {
            "cancelResult": "FAILURE",
            "newOrderResult": "FAILURE",
            "cancelResponse": UNKNOWN,
            "newOrderResponse": BROKE,
        },
    }


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"quantity": "0.0000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"price": ""}, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
        ({"cancelOrderId": ""}, -1102, None),
        ({"cancelReplaceMode": "SOMETIMES"}, -1130, "Data sent for parameter 'cancelReplaceMode' is not valid."),
        ({"cancelRestrictions": "ONLY_OLD"}, -1145, "Invalid cancelRestrictions"),
        ({"orderRateLimitExceededMode": "WAIT"}, -1130, None),
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
    ],
)
def test_what_is_asked_before_the_engine_refuses_the_whole(
    trader: Caller, changes: dict[str, Any], code: int, message: str | None
) -> None:
    old = trader.limit_order().body["orderId"]
    answer = replace(trader, old, **changes)
    assert (answer.status, answer.body["code"], list(answer.body)) == (400, code, ["code", "msg"])
    assert message in (None, answer.body["msg"])
    assert status_of(trader, old) == "NEW"


def test_a_restricted_cancel_is_refused_by_the_status_of_its_order(trader: Caller) -> None:
    old = trader.limit_order().body["orderId"]
    answer = replace(trader, old, cancelRestrictions="ONLY_PARTIALLY_FILLED")
    assert answer.body["data"]["cancelResponse"] == {
        "code": -2011,
        "msg": "Order was not canceled due to cancel restrictions.",
    }
    assert status_of(trader, old) == "NEW"


def test_both_ids_must_name_the_same_order(trader: Caller) -> None:
    old = trader.limit_order(newClientOrderId="right").body["orderId"]
    wrong = replace(trader, old, cancelOrigClientOrderId="wrong")
    assert (wrong.status, wrong.body["data"]["cancelResult"]) == (400, "FAILURE")
    assert replace(trader, old, cancelOrigClientOrderId="right").status == 200


def test_over_the_limit_of_orders_nothing_is_done_unless_the_caller_wants_the_cancel() -> None:
    desk = HeldDesk()
    old, over = desk.venue.rest(1, "BUY", "1", "100"), {"orderRateLimitExceededMode": "CANCEL_ONLY"}
    other = desk.venue.rest(1, "BUY", "1", "100")
    desk.venue.do(SetOrderLimits((OrderLimit("SECOND", 10, 10_000_000, 1, gives_back=False),)))
    desk.venue.rest(1, "BUY", "1", "100")
    nothing = desk.replace(cancelOrderId=old)
    assert isinstance(nothing, Refusal) and not isinstance(nothing, RefusalWithData)
    too_many = {"code": -1015, "msg": "Too many new orders; current limit is 1 orders per 10 SECOND."}
    assert desk.told(nothing) == (429, too_many)
    status, body = desk.told(desk.replace(cancelOrderId=old, **over))
    data = body.pop("data")
    assert (status, body) == (409, {"code": -2021, "msg": "Order cancel-replace partially failed."})
    assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE")
    assert data["newOrderResponse"] == too_many
    not_tried = desk.replace(cancelOrderId=old, **over)
    status, body = desk.told(not_tried)
    assert (status, body["code"], body["data"]["newOrderResult"]) == (429, -2022, "NOT_ATTEMPTED")
    assert isinstance(not_tried, Refusal) and retry_after(not_tried, desk.venue.now_us) == 10
    status, body = desk.told(desk.replace(cancelOrderId=old, cancelReplaceMode="ALLOW_FAILURE", **over))
    assert (status, body["code"], body["data"]["newOrderResponse"]) == (400, -2022, too_many)
    assert desk.venue.state.open_order(1, "BTCUSDT", order_id=other)


class HeldDesk:
    """The handler on a venue whose clock stands still, so that no window of the limit ends in between."""

    def __init__(self) -> None:
        self.venue = SpotDesk()
        self.reader = build_routes(SPOT_ROWS, load_weights("current"))["POST"][b"/api/v3/order/cancelReplace"].reader

    def submit(self, shard: str, command: Any) -> Any:
        return self.venue.do(command)

    def replace(self, **changes: Any) -> bytes | Refusal:
        sent = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1"}
        sent |= {"price": "99", "cancelReplaceMode": "STOP_ON_FAILURE", "timestamp": "1", "signature": "s"}
        values = self.reader.read(sent | {name: str(value) for name, value in changes.items()})
        assert not isinstance(values, Refusal), values
        admission = Admission(1, 1, 1, FOREVER_US)
        call: Any = Call(None, values, self.venue.now_us, False, 1, admission)  # type: ignore[arg-type]
        desk: Any = SimpleNamespace(submit=self.submit, spot=self.venue.state, cache={})
        return replace_order(desk, call)

    @staticmethod
    def told(refusal: Any) -> tuple[int, dict[str, Any]]:
        error = public_error(refusal)
        return error.status, json.loads(error_body(error, refusal))


# --- amending ------------------------------------------------------------------------------------------------------


def test_an_amended_order_is_told_field_by_field_and_found_everywhere(trader: Caller) -> None:
    order = trader.limit_order(quantity="0.005", newClientOrderId="first").body
    answer = amend(trader, orderId=order["orderId"], newQty="0.002", newClientOrderId="second")
    assert answer.status == 200
    assert tuple(answer.body) == ("transactTime", "executionId", "amendedOrder")
    assert answer.body["amendedOrder"] == {
        "symbol": "BTCUSDT",
        "orderId": order["orderId"],
        "orderListId": -1,
        "origClientOrderId": "first",
        "clientOrderId": "second",
        "price": "20000.00000000",
        "qty": "0.00200000",
        "executedQty": "0.00000000",
        "preventedQty": "0.00000000",
        "quoteOrderQty": "0.00000000",
        "cumulativeQuoteQty": "0.00000000",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "workingTime": order["workingTime"],
        "selfTradePreventionMode": order["selfTradePreventionMode"],
    }
    by_id = trader("GET", "/api/v3/order", SYMBOL | {"origClientOrderId": "second"}).body
    assert (by_id["orderId"], by_id["origQty"]) == (order["orderId"], "0.00200000")
    assert trader("GET", "/api/v3/order", SYMBOL | {"origClientOrderId": "first"}).body["code"] == -2013
    balances = trader("GET", "/api/v3/account", {"omitZeroBalances": "true"}).body["balances"]
    assert {"asset": "USDT", "free": "960.00000000", "locked": "40.00000000"} in balances
    [row] = trader("GET", "/api/v3/order/amendments", SYMBOL | {"orderId": order["orderId"]}).body
    assert row == {
        "symbol": "BTCUSDT",
        "orderId": order["orderId"],
        "executionId": answer.body["executionId"],
        "origClientOrderId": "first",
        "newClientOrderId": "second",
        "origQty": "0.00500000",
        "newQty": "0.00200000",
        "time": answer.body["transactTime"],
    }


def test_amendments_of_an_order_are_read_on_from_an_execution(trader: Caller) -> None:
    order_id = trader.limit_order(quantity="0.005").body["orderId"]
    made = [amend(trader, orderId=order_id, newQty=f"0.00{left}").body["executionId"] for left in (4, 3, 2)]
    assert made == sorted(made)
    asked = SYMBOL | {"orderId": order_id}
    rows = trader("GET", "/api/v3/order/amendments", asked).body
    assert [row["executionId"] for row in rows] == made
    # Each takes up the id that the one before gave, and none was asked for.
    assert [row["origClientOrderId"] for row in rows[1:]] == [row["newClientOrderId"] for row in rows[:-1]]
    assert trader("GET", "/api/v3/order/amendments", asked | {"fromExecutionId": made[1]}).body == rows[1:]
    assert trader("GET", "/api/v3/order/amendments", asked | {"limit": 2}).body == rows[:2]


@pytest.mark.parametrize(
    ("sent", "code", "message"),
    [
        ({"newQty": "0.005"}, -2038, "The requested action would change no state; rejecting"),
        ({"newQty": "0.006"}, -2038, "Order amend (quantity increase) is not supported."),
        ({"newQty": "0.002", "orderId": 999_999}, -2038, "Unknown order sent."),
        ({"newQty": "0.002", "origClientOrderId": "another"}, -2038, "Unknown order sent."),
        ({"newQty": "0.002", "newClientOrderId": "taken"}, -2038, "Duplicate order sent."),
        ({"newQty": "0.0000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"newQty": "0"}, -1013, "Filter failure: LOT_SIZE"),
        ({"newQty": "0.00001"}, -1013, "Filter failure: NOTIONAL"),
        ({}, -1102, "Mandatory parameter 'newQty' was not sent, was empty/null, or malformed."),
        ({"newQty": "0.002", "symbol": "NOPE"}, -1121, "Invalid symbol."),
    ],
)
def test_a_refused_amendment_leaves_the_order_as_it_was(
    trader: Caller, sent: dict[str, Any], code: int, message: str
) -> None:
    trader.limit_order(newClientOrderId="taken")
    order_id = trader.limit_order(quantity="0.005", newClientOrderId="mine").body["orderId"]
    before = trader("GET", "/api/v3/order", SYMBOL | {"orderId": order_id}).body
    answer = amend(trader, **({"orderId": order_id} | sent))
    assert (answer.status, answer.body) == (400, {"code": code, "msg": message})
    assert trader("GET", "/api/v3/order", SYMBOL | {"orderId": order_id}).body == before
    assert trader("GET", "/api/v3/order/amendments", SYMBOL | {"orderId": order_id}).body == []


def test_an_order_is_amended_ten_times_and_no_more(trader: Caller) -> None:
    order_id = trader.limit_order(quantity="0.02").body["orderId"]
    for left in range(19, 9, -1):
        assert amend(trader, orderId=order_id, newQty=f"0.0{left}", newClientOrderId="same").status == 200
    refused = amend(trader, orderId=order_id, newQty="0.001")
    assert (refused.status, refused.body) == (400, {"code": -2038, "msg": "Filter failure: MAX_NUM_ORDER_AMENDS"})


def test_an_amendment_counts_no_order_and_is_free_only_where_the_order_expires(venue: Venue, trader: Caller) -> None:
    order = trader.limit_order(side="SELL", price="30000", quantity="0.02")
    other = Caller(venue.url, venue.key(fund={"USDT": "1000"}))
    other.limit_order(price="30000", quantity="0.01")
    other.close()
    counted = trader("GET", "/api/v3/rateLimit/order").body[0]["count"]
    amended = amend(trader, orderId=order.body["orderId"], newQty="0.015")
    expired = amend(trader, orderId=order.body["orderId"], newQty="0.01")
    ended = expired.body["amendedOrder"]
    assert (ended["status"], ended["qty"], ended["executedQty"]) == ("EXPIRED", "0.01000000", "0.01000000")
    used = [int(answer.headers["X-MBX-USED-WEIGHT-1M"]) for answer in (amended, expired)]
    assert used[1] == used[0]
    assert trader("GET", "/api/v3/rateLimit/order").body[0]["count"] == counted
    assert status_of(trader, order.body["orderId"]) == "EXPIRED"
