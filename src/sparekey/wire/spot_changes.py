"""Spot: changing an order that is open, by cancelling it for another one or by amending it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sparekey.terms.money import format_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import AmendOrder, CancelOrder, ReplaceOrder
from sparekey.venue.events import CancelRefused, OrderAmended, OrderPlaced, PlacementRefused
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.errors import RefusalWithData, error_body, public_error
from sparekey.wire.ports import OrderView
from sparekey.wire.spot_orders import (
    SHARD,
    cancellations,
    detail_of,
    order_count_headers,
    placement,
)
from sparekey.wire.spot_shapes import ListedOrder, cancelled_order, encode_placement, told_list

_encode = msgspec.json.Encoder().encode

REPLACE_MODES = ("STOP_ON_FAILURE", "ALLOW_FAILURE")
OVER_LIMIT_MODES = ("DO_NOTHING", "CANCEL_ONLY")

_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_QUANTITY_ZERO = Refusal(Reason.FILTER_FAILED, ("LOT_SIZE",))

_REASONS = {reason.slug: reason for reason in Reason}
_SUCCESS, _FAILURE, _NOT_ATTEMPTED = "SUCCESS", "FAILURE", "NOT_ATTEMPTED"


class Replacement(msgspec.Struct, rename="camel", gc=False):
    """The reply to a replacement, or what its error tells in `data`. A half that failed is its error."""

    cancel_result: str
    new_order_result: str
    cancel_response: msgspec.Raw
    new_order_response: msgspec.Raw | None


class AmendedOrder(msgspec.Struct, rename="camel", gc=False):
    symbol: str
    order_id: int
    order_list_id: int
    orig_client_order_id: str
    client_order_id: str
    price: str
    qty: str
    executed_qty: str
    prevented_qty: str
    quote_order_qty: str
    cumulative_quote_qty: str
    status: str
    time_in_force: str
    type: str
    side: str
    working_time: int | UnsetType
    self_trade_prevention_mode: str
    iceberg_qty: str | UnsetType
    stop_price: str | UnsetType
    trailing_delta: int | UnsetType
    trailing_time: int | UnsetType
    strategy_id: int | UnsetType
    strategy_type: int | UnsetType
    peg_price_type: str | UnsetType
    peg_offset_type: str | UnsetType
    peg_offset_value: int | UnsetType
    pegged_price: str | UnsetType


class AmendedList(msgspec.Struct, rename="camel", gc=False):
    order_list_id: int
    contingency_type: str
    list_order_status: str
    list_client_order_id: str
    symbol: str
    orders: list[ListedOrder]


class Amendment(msgspec.Struct, rename="camel", gc=False):
    """`list_status` where the order is in a list."""

    transact_time: int
    execution_id: int
    amended_order: AmendedOrder
    list_status: AmendedList | UnsetType = UNSET


class AmendmentRow(msgspec.Struct, rename="camel", gc=False):
    symbol: str
    order_id: int
    execution_id: int
    orig_client_order_id: str
    new_client_order_id: str
    orig_qty: str
    new_qty: str
    time: int


# --- cancel and replace ------------------------------------------------------------------------------------------


def replace_order(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /api/v3/order/cancelReplace: 200 where both halves are done, else an error that tells each in `data`."""
    values = call.values
    symbol = values["symbol"]
    rules = desk.spot.rules(symbol)
    if rules is None:
        return _SYMBOL_UNKNOWN
    place = placement(call, check_only=False)
    if isinstance(place, Refusal):
        return place
    order_id, client_order_id = values["cancelOrderId"] or 0, values["cancelOrigClientOrderId"] or ""
    order = desk.spot.open_order(call.account_id, symbol, order_id=order_id, client_order_id=client_order_id)
    before = None if order is None else cancelled_order(call, order, "", 0)
    outcome = desk.submit(
        SHARD,
        ReplaceOrder(
            CancelOrder(
                call.admitted(),
                symbol,
                order_id,
                client_order_id,
                values["cancelNewClientOrderId"] or "",
                values["cancelRestrictions"] or "",
            ),
            place,
            values["cancelReplaceMode"] == "ALLOW_FAILURE",
            values["orderRateLimitExceededMode"] == "CANCEL_ONLY",
        ),
    )
    call.headers += order_count_headers(desk, call)
    if isinstance(outcome, Refusal):
        return outcome
    cancel_refused: CancelRefused | None = _first(outcome, CancelRefused)
    place_refused: PlacementRefused | None = _first(outcome, PlacementRefused)
    if cancel_refused is None:
        assert before is not None
        cancel_result = _SUCCESS
        cancel_response = _encode(cancellations(desk, call, {before.order_id: before}, outcome)[0])
    else:
        cancel_result, cancel_response = _FAILURE, _told(cancel_refused)
    place_result, place_response = _SUCCESS, None
    if place_refused is None:
        at = next(at for at, event in enumerate(outcome) if event.__class__ is OrderPlaced)
        place_response = encode_placement(
            call, outcome[at:], detail_of(values), rules.base_asset, rules.quote_asset, desk.spot.time_us
        )
    elif place_refused.reason:
        place_result, place_response = _FAILURE, _told(place_refused)
    else:
        place_result = _NOT_ATTEMPTED
    body = _encode(
        Replacement(
            cancel_result,
            place_result,
            msgspec.Raw(cancel_response),
            None if place_response is None else msgspec.Raw(place_response),
        )
    )
    if cancel_refused is None and place_refused is None:
        return body
    return _failure(cancel_refused, place_refused, body)


def _failure(cancel: CancelRefused | None, place: PlacementRefused | None, data: bytes) -> RefusalWithData:
    """Which of the three errors it is (spot REST, the matrix of "Cancel an Existing Order and Send a New Order")."""
    if cancel is None or place is None:
        refused = place or cancel
        assert refused is not None
        return RefusalWithData(Reason.REPLACE_PARTLY, (refused.reason,), data)
    if not place.counted and not place.reason:
        # Over the limit of orders, and not even tried: the caller must wait.
        return RefusalWithData(Reason.REPLACE_OVER_LIMIT, place.facts, data)
    return RefusalWithData(Reason.REPLACE_FAILED, (cancel.reason,), data)


def _first(events: Sequence[Any], kind: type) -> Any:
    return next((event for event in events if event.__class__ is kind), None)


def _told(refused: CancelRefused | PlacementRefused) -> bytes:
    return error_body(public_error(Refusal(_REASONS[refused.reason], refused.facts)))


# --- amending ----------------------------------------------------------------------------------------------------


def amend_order(desk: Desk, call: Call) -> bytes | Refusal:
    """PUT /api/v3/order/amend/keepPriority. Free where the order has nothing left to trade and expires."""
    values = call.values
    symbol = values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    if not values["newQty"]:
        return _QUANTITY_ZERO
    order_id, client_order_id = values["orderId"] or 0, values["origClientOrderId"] or ""
    order = desk.spot.open_order(call.account_id, symbol, order_id=order_id, client_order_id=client_order_id)
    original_id = "" if order is None else order.client_order_id
    outcome = desk.submit(
        SHARD,
        AmendOrder(
            call.admitted(),
            symbol,
            values["newQty"],
            order_id,
            client_order_id,
            values["newClientOrderId"] or "",
        ),
    )
    if isinstance(outcome, Refusal):
        return outcome
    amended: OrderAmended = outcome[0]
    view = desk.spot.open_order(call.account_id, symbol, order_id=amended.order_id)
    if view is None:
        call.free = True
        view = desk.archive.order(call.account_id, symbol, order_id=amended.order_id)
    assert view is not None
    return _encode(
        Amendment(
            call.time(desk.spot.time_us),
            desk.execution_id(amended.number),
            _amended(call, view, original_id),
            _amended_list(desk, call, view.list_id) if view.list_id else UNSET,
        )
    )


def _amended_list(desk: Desk, call: Call, list_id: int) -> AmendedList | UnsetType:
    one = desk.spot.open_list(call.account_id, list_id=list_id, client_list_id="")
    closed = one is None
    if one is None:
        one = desk.archive.order_list(call.account_id, list_id=list_id, client_list_id="")
    if one is None:
        return UNSET
    told = told_list(call, one, closed=closed)
    return AmendedList(
        told.order_list_id,
        told.contingency_type,
        told.list_order_status,
        told.list_client_order_id,
        told.symbol,
        told.orders,
    )


def _amended(call: Call, order: OrderView, original_id: str) -> AmendedOrder:
    # An amended order is told like a cancelled one, with fields of other names in the middle.
    told = cancelled_order(call, order, "", 0)
    return AmendedOrder(
        told.symbol,
        told.order_id,
        told.order_list_id,
        original_id,
        order.client_order_id,
        told.price,
        told.orig_qty,
        told.executed_qty,
        format_money(order.prevented_quantity),
        told.orig_quote_order_qty,
        told.cummulative_quote_qty,
        order.status,
        told.time_in_force,
        told.type,
        told.side,
        call.time(order.working_us) if order.working_us >= 0 else UNSET,
        told.self_trade_prevention_mode,
        told.iceberg_qty,
        told.stop_price,
        told.trailing_delta,
        told.trailing_time,
        told.strategy_id,
        told.strategy_type,
        told.peg_price_type,
        told.peg_offset_type,
        told.peg_offset_value,
        told.pegged_price,
    )


def amendments(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/order/amendments: those of one order, ascending."""
    values = call.values
    symbol = values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    found = desk.archive.amendments(
        call.account_id,
        symbol,
        order_id=values["orderId"],
        from_execution_id=values["fromExecutionId"] or 0,
        limit=values["limit"],
    )
    return _encode(
        [
            AmendmentRow(
                one.symbol,
                one.order_id,
                execution_id,
                one.original_client_order_id,
                one.client_order_id,
                format_money(one.original_quantity),
                format_money(one.quantity),
                call.time(one.time_us),
            )
            for execution_id, one in found
        ]
    )
