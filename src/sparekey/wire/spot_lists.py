"""Spot: order lists, placed, cancelled and asked for (spot REST, "Order lists").

Parameters of an order are its place in the list and the name that they have for a single order: `pendingAbove` and
`stopPrice` are `pendingAboveStopPrice`. A reply tells the working order first, and of a pair the stop loss first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import CancelOrderList, PlaceOrder, PlaceOrderList
from sparekey.venue.effects import ClosedOrderList
from sparekey.venue.events import OrderListPlaced, OrderPlaced
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.spot_orders import (
    SHARD,
    cancellations,
    cancelled_list,
    check_placement,
    check_span,
    members_of,
    order_count_headers,
    placement_of,
)
from sparekey.wire.spot_shapes import (
    placement_report,
    told_list,
)

_encode = msgspec.json.Encoder().encode

#: Types of a working order.
WORKING_TYPES = ("LIMIT", "LIMIT_MAKER")
_STOP_LOSSES = frozenset(("STOP_LOSS", "STOP_LOSS_LIMIT"))
_TAKE_PROFITS = frozenset(("TAKE_PROFIT", "TAKE_PROFIT_LIMIT"))

_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_LIST_UNKNOWN = Refusal(Reason.ORDER_UNKNOWN)
_LIST_NOT_FOUND = Refusal(Reason.ORDER_NOT_FOUND)
_COMBINATION = Refusal(Reason.PARAMETERS_COMBINATION)
_PAIR_TYPE = Refusal(Reason.PAIR_TYPE)
_BUY_LIMIT_ABOVE = Refusal(Reason.PAIR_BUY_LIMIT_ABOVE)
_SELL_LIMIT_BELOW = Refusal(Reason.PAIR_SELL_LIMIT_BELOW)
_TWO_LIMITS = Refusal(Reason.PAIR_TWO_LIMITS)
_BUY_STOP_BELOW = Refusal(Reason.PAIR_BUY_STOP_BELOW)
_SELL_STOP_ABOVE = Refusal(Reason.PAIR_SELL_STOP_ABOVE)
_BUY_PROFIT_ABOVE = Refusal(Reason.PAIR_BUY_PROFIT_ABOVE)
_SELL_PROFIT_BELOW = Refusal(Reason.PAIR_SELL_PROFIT_BELOW)
_PAYER_SELLS = Refusal(Reason.PAYER_SELLS)
_PAID_BUYS = Refusal(Reason.PAID_BUYS)
_PAID_QUANTITY = Refusal(Reason.PAID_QUANTITY, ("pendingQuantity",))
_STOP_LIMIT_TIME = Refusal(Reason.STOP_LIMIT_TIME_MISSING)

#: An order's parameters without its place in the list, and what they are called for a single order.
_OWN_NAMES = {
    "Type": "type",
    "ClientOrderId": "newClientOrderId",
    "Price": "price",
    "StopPrice": "stopPrice",
    "TrailingDelta": "trailingDelta",
    "IcebergQty": "icebergQty",
    "TimeInForce": "timeInForce",
    "StrategyId": "strategyId",
    "StrategyType": "strategyType",
    "PegPriceType": "pegPriceType",
    "PegOffsetType": "pegOffsetType",
    "PegOffsetValue": "pegOffsetValue",
}
#: What stands in for a quantity that is known only once the working order is filled.
_SOME_QUANTITY = 1


class Place(NamedTuple):
    """An order's place in a list: what its parameters begin with, and those it shares with others."""

    prefix: str
    side: str
    quantity: str
    #: "": either way of acting, "above" or "below": one of a pair
    of_pair: str = ""


class Form(NamedTuple):
    """`places` in the order of the parameters. `paid`: what the working order buys is what the others sell."""

    name: str
    places: tuple[Place, ...]
    paid: bool = False

    @property
    def working(self) -> bool:
        return self.places[0].prefix == "working"


_WORKING = Place("working", "workingSide", "workingQuantity")


def _pair(prefix: str, side: str, quantity: str) -> tuple[Place, Place]:
    above, below = ("Above", "Below") if prefix else ("above", "below")
    return Place(f"{prefix}{above}", side, quantity, "above"), Place(f"{prefix}{below}", side, quantity, "below")


OCO = Form("OCO", _pair("", "side", "quantity"))
OTO = Form("OTO", (_WORKING, Place("pending", "pendingSide", "pendingQuantity")))
OTOCO = Form("OTOCO", (_WORKING, *_pair("pending", "pendingSide", "pendingQuantity")))
OPO = Form("OPO", (_WORKING, Place("pending", "pendingSide", "")), paid=True)
OPOCO = Form("OPOCO", (_WORKING, *_pair("pending", "pendingSide", "")), paid=True)


# --- what a list must be like ------------------------------------------------------------------------------------


def check_list(form: Form, values: Mapping[str, Any]) -> Refusal | None:
    """Each order's own parameters, then what the orders are to each other."""
    if form.paid:
        if values["workingSide"] != "BUY":
            return _PAYER_SELLS
        if values["pendingSide"] != "SELL":
            return _PAID_BUYS
        if values["pendingQuantity"] is not None:
            return _PAID_QUANTITY
    for place in form.places:
        refusal = _check_place(place, values)
        if refusal is not None:
            return refusal
    above, below = form.places[-2:]
    if above.of_pair:
        return _check_pair(values[above.side], values[f"{above.prefix}Type"], values[f"{below.prefix}Type"])
    return None


def _check_place(place: Place, values: Mapping[str, Any]) -> Refusal | None:
    own = own_values(place, values)
    if place.of_pair and own["type"] in ("LIMIT", "MARKET"):
        return _PAIR_TYPE
    refusal = check_placement(own)
    if refusal is not None:
        return _renamed(refusal, place)
    if place.of_pair and own["icebergQty"] is not None and own["timeInForce"] not in (None, "GTC"):
        return Refusal(Reason.PAIR_ICEBERG_NOT_GTC, (f"{place.prefix}IcebergQty",))
    return None


def _check_pair(side: str, above: str, below: str) -> Refusal | None:
    """A sale takes its profit above the market and stops its loss below it; a purchase the other way round."""
    if above == below == "LIMIT_MAKER":
        return _TWO_LIMITS
    buys = side == "BUY"
    stop, profit = (above, below) if buys else (below, above)
    if stop == "LIMIT_MAKER":
        return _BUY_LIMIT_ABOVE if buys else _SELL_LIMIT_BELOW
    if profit in _STOP_LOSSES:
        return _BUY_STOP_BELOW if buys else _SELL_STOP_ABOVE
    if stop in _TAKE_PROFITS:
        return _BUY_PROFIT_ABOVE if buys else _SELL_PROFIT_BELOW
    return None


def own_values(place: Place, values: Mapping[str, Any]) -> dict[str, Any]:
    """An order of a list as the parameters of a single one."""
    own = {name: values[f"{place.prefix}{part}"] for part, name in _OWN_NAMES.items()}
    own["side"] = values[place.side]
    own["quantity"] = values[place.quantity] if place.quantity else _SOME_QUANTITY
    own["quoteOrderQty"] = None
    own["symbol"] = values["symbol"]
    own["selfTradePreventionMode"] = values["selfTradePreventionMode"]
    return own


def _renamed(refusal: Refusal, place: Place) -> Refusal:
    """What is said of a parameter, with the name that it has in the list."""
    names = {name: f"{place.prefix}{part}" for part, name in _OWN_NAMES.items()} | {"quantity": place.quantity}
    if refusal.reason is Reason.TIME_IN_FORCE_NOT_REQUIRED:
        return refusal
    return Refusal(refusal.reason, tuple(names.get(str(fact), fact) for fact in refusal.facts))


# --- the deprecated pair -----------------------------------------------------------------------------------------

#: What its parameters are called for a single order.
_OLD_LIMIT = {
    "price": "price",
    "limitClientOrderId": "newClientOrderId",
    "limitStrategyId": "strategyId",
    "limitStrategyType": "strategyType",
    "limitIcebergQty": "icebergQty",
}
_OLD_STOP = {
    "stopPrice": "stopPrice",
    "trailingDelta": "trailingDelta",
    "stopLimitPrice": "price",
    "stopLimitTimeInForce": "timeInForce",
    "stopClientOrderId": "newClientOrderId",
    "stopStrategyId": "strategyId",
    "stopStrategyType": "strategyType",
    "stopIcebergQty": "icebergQty",
}


def check_old_pair(values: Mapping[str, Any]) -> Refusal | None:
    """POST /api/v3/order/oco"""
    if values["stopLimitPrice"] is not None and values["stopLimitTimeInForce"] is None:
        return _STOP_LIMIT_TIME
    for names, own in zip((_OLD_STOP, _OLD_LIMIT), _old_pair(values), strict=True):
        refusal = check_placement(own)
        if refusal is not None:
            called = {name: old for old, name in names.items()}
            return Refusal(refusal.reason, tuple(called.get(str(fact), fact) for fact in refusal.facts))
    if values["stopIcebergQty"] is not None and values["stopLimitTimeInForce"] not in (None, "GTC"):
        return Refusal(Reason.PAIR_ICEBERG_NOT_GTC, ("stopIcebergQty",))
    return None


def _old_pair(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The stop loss, and the limit order."""
    common = dict.fromkeys((*_OWN_NAMES.values(), "quoteOrderQty")) | {
        name: values[name] for name in ("symbol", "side", "quantity", "selfTradePreventionMode")
    }
    stop = common | {name: values[old] for old, name in _OLD_STOP.items()}
    stop["type"] = "STOP_LOSS" if stop["price"] is None else "STOP_LOSS_LIMIT"
    limit = common | {name: values[old] for old, name in _OLD_LIMIT.items()}
    limit["type"] = "LIMIT_MAKER"
    return stop, limit


# --- placing -----------------------------------------------------------------------------------------------------


def place_list(desk: Desk, call: Call, *, form: Form) -> bytes | Refusal:
    """POST /api/v3/orderList/…"""
    values = call.values
    legs = [own_values(place, values) for place in form.places]
    if legs[-2]["type"] not in _STOP_LOSSES and form.places[-2].of_pair:
        legs[-2:] = legs[-1], legs[-2]
    orders = []
    for number, leg in enumerate(legs):
        order = placement_of(call, leg)
        if isinstance(order, Refusal):
            return order
        orders.append(msgspec.structs.replace(order, quantity=0) if form.paid and number else order)
    return _place(desk, call, form.name, orders)


def place_old_pair(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /api/v3/order/oco, which is deprecated: a limit order and a stop loss."""
    orders = []
    for leg in _old_pair(call.values):
        order = placement_of(call, leg)
        if isinstance(order, Refusal):
            return order
        orders.append(order)
    return _place(desk, call, "OCO", orders)


def _place(desk: Desk, call: Call, form: str, orders: Sequence[PlaceOrder]) -> bytes | Refusal:
    values = call.values
    symbol = values["symbol"]
    rules = desk.spot.rules(symbol)
    if rules is None:
        return _SYMBOL_UNKNOWN
    outcome = desk.submit(
        SHARD,
        PlaceOrderList(call.admitted(), symbol, form, tuple(orders), values["listClientOrderId"] or ""),
    )
    call.headers += order_count_headers(desk, call)
    if isinstance(outcome, Refusal):
        return outcome
    placed: list[OrderPlaced] = [event for event in outcome if event.__class__ is OrderPlaced]
    listed: OrderListPlaced = next(event for event in outcome if event.__class__ is OrderListPlaced)
    time_us, detail = desk.spot.time_us, values["newOrderRespType"] or "RESULT"
    told = told_list(
        call,
        ClosedOrderList(
            listed.list_id,
            symbol,
            listed.account_id,
            listed.client_list_id,
            "OCO" if form == "OCO" else "OTO",
            time_us,
            time_us,
            tuple((order.order_id, order.client_order_id) for order in placed),
        ),
        closed=False,
    )
    told.order_reports = [
        placement_report(call, order, outcome, detail, rules.base_asset, rules.quote_asset, time_us) for order in placed
    ]
    return _encode(told)


# --- cancelling --------------------------------------------------------------------------------------------------


def cancel_list(desk: Desk, call: Call) -> bytes | Refusal:
    """DELETE /api/v3/orderList, by `orderListId`, by `listClientOrderId`, or by both if they name the same list."""
    values = call.values
    symbol = values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    list_id, client_list_id = values["orderListId"] or 0, values["listClientOrderId"] or ""
    one = desk.spot.open_list(call.account_id, list_id=list_id, client_list_id=client_list_id)
    # Written down before the cancel, as for a single order.
    before = {} if one is None else members_of(desk, call, one)
    outcome = desk.submit(
        SHARD,
        CancelOrderList(call.admitted(), symbol, list_id, client_list_id, values["newClientOrderId"] or ""),
    )
    if isinstance(outcome, Refusal):
        return outcome
    if one is None:
        return _LIST_UNKNOWN
    return _encode(cancelled_list(call, one, cancellations(desk, call, before, outcome), desk.spot.time_us))


# --- asking ------------------------------------------------------------------------------------------------------


def query_list(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/orderList. Where both are sent, the client's id of the list is what counts (WebSocket API)."""
    values = call.values
    client_list_id = values["origClientOrderId"] or ""
    list_id = 0 if client_list_id else values["orderListId"]
    one = desk.spot.open_list(call.account_id, list_id=list_id, client_list_id=client_list_id)
    if one is not None:
        return _encode(told_list(call, one, closed=False))
    one = desk.archive.order_list(call.account_id, list_id=list_id, client_list_id=client_list_id)
    return _LIST_NOT_FOUND if one is None else _encode(told_list(call, one, closed=True))


def open_lists(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/openOrderList, ascending."""
    return _encode([told_list(call, one, closed=False) for one in desk.spot.open_lists(call.account_id)])


def check_all_lists(values: Mapping[str, Any]) -> Refusal | None:
    if values["fromId"] is not None and (values["startTime"] is not None or values["endTime"] is not None):
        return _COMBINATION
    return check_span(values)


def all_lists(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/allOrderList: from an id or a time on, or the newest, and these first.

    Times are compared with the list's last change, which is the time that a reply tells.
    """
    values = call.values
    from_id, start_us, end_us, limit = values["fromId"], values["startTime"], values["endTime"], values["limit"]
    found = {
        one.list_id: (one, True)
        for one in desk.archive.order_lists(
            call.account_id, from_id=from_id, start_us=start_us, end_us=end_us, limit=limit
        )
    }
    for one in desk.spot.open_lists(call.account_id):
        if (
            one.list_id >= (from_id or 0)
            and (start_us is None or one.updated_us >= start_us)
            and (end_us is None or one.updated_us <= end_us)
        ):
            found[one.list_id] = (one, False)
    ids = sorted(found)
    ids = ids[:limit] if from_id is not None or start_us is not None else ids[: -limit - 1 : -1]
    return _encode([told_list(call, found[list_id][0], closed=found[list_id][1]) for list_id in ids])
