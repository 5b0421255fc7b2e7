"""Spot: placing and cancelling orders, and asking for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sparekey.terms.clocktime import DAY_US, HOUR_US, MILLISECOND_US
from sparekey.terms.money import format_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import CancelOpenOrders, CancelOrder, PlaceOrder
from sparekey.venue.effects import ClosedOrderList
from sparekey.venue.events import OrderClosed
from sparekey.venue.listing import OrderLimit, SymbolRules
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.ports import OrderView
from sparekey.wire.spot_shapes import (
    CancelledOrder,
    ToldList,
    cancelled_order,
    encode_placement,
    queried_order,
    told_list,
)

_encode = msgspec.json.Encoder().encode

SHARD = "spot"

SIDES = ("BUY", "SELL")
TYPES = ("LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "LIMIT_MAKER")
TIMES_IN_FORCE = ("GTC", "IOC", "FOK")
RESPONSE_TYPES = ("ACK", "RESULT", "FULL")
PREVENTION_MODES = ("NONE", "EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")
CANCEL_RESTRICTIONS = ("ONLY_NEW", "ONLY_PARTIALLY_FILLED")
#: Strategy types below are reserved (spot REST, "New order").
LEAST_STRATEGY_TYPE = 1_000_000
#: A peg goes at most so many levels into the book.
MOST_PEG_OFFSET = 100

_LONGEST_SPAN_HOURS = 24
#: Orders that ended without a fill so long ago are not found any more (-2026).
_ARCHIVED_AFTER_US = 90 * DAY_US
_ENDED_EMPTY = frozenset(("CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"))

_ORDER_UNKNOWN = Refusal(Reason.ORDER_UNKNOWN)
_ORDER_NOT_FOUND = Refusal(Reason.ORDER_NOT_FOUND)
_ORDER_ARCHIVED = Refusal(Reason.ORDER_ARCHIVED)
_ID_MISMATCH = Refusal(Reason.CLIENT_ORDER_ID_MISMATCH)
_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_COMBINATION = Refusal(Reason.PARAMETERS_COMBINATION)
_PEG_OFFSET = Refusal(Reason.PARAMETER_TOO_LARGE, ("pegOffsetValue", MOST_PEG_OFFSET))
_STRATEGY_TYPE = Refusal(Reason.STRATEGY_TYPE_TOO_SMALL)
_TIF_NOT_REQUIRED = Refusal(Reason.TIME_IN_FORCE_NOT_REQUIRED)
_END_BEFORE_START = Refusal(Reason.PARAMETER_MISSING, ("endTime",))
_TRIGGER_MISSING = Refusal(Reason.PARAMETERS_EITHER, ("stopPrice", "trailingDelta"))
_QUANTITY_MISSING = Refusal(Reason.PARAMETERS_EITHER, ("quantity", "quoteOrderQty"))

# --- what each order type needs and refuses (spot REST, "New order", additional mandatory parameters) --------------

_MISSING = {name: Refusal(Reason.PARAMETER_MISSING, (name,)) for name in ("timeInForce", "quantity", "price")}
_NOT_REQUIRED = {
    name: Refusal(Reason.PARAMETER_NOT_REQUIRED, (name,))
    for name in ("price", "stopPrice", "trailingDelta", "icebergQty", "quoteOrderQty")
}
_NEEDED: dict[str, tuple[str, ...]] = {
    "LIMIT": ("timeInForce", "quantity", "price"),
    "LIMIT_MAKER": ("quantity", "price"),
    "MARKET": (),
    "STOP_LOSS": ("quantity",),
    "TAKE_PROFIT": ("quantity",),
    "STOP_LOSS_LIMIT": ("timeInForce", "quantity", "price"),
    "TAKE_PROFIT_LIMIT": ("timeInForce", "quantity", "price"),
}
_UNWANTED: dict[str, tuple[str, ...]] = {
    "LIMIT": ("stopPrice", "trailingDelta", "quoteOrderQty"),
    "LIMIT_MAKER": ("stopPrice", "trailingDelta", "quoteOrderQty"),
    "MARKET": ("price", "stopPrice", "trailingDelta", "icebergQty"),
    "STOP_LOSS": ("price", "icebergQty", "quoteOrderQty"),
    "TAKE_PROFIT": ("price", "icebergQty", "quoteOrderQty"),
    "STOP_LOSS_LIMIT": ("quoteOrderQty",),
    "TAKE_PROFIT_LIMIT": ("quoteOrderQty",),
}
_TAKES_TIME_IN_FORCE = frozenset(("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"))
_TRIGGERED = frozenset(("STOP_LOSS", "TAKE_PROFIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"))

#: An amount of zero is a number, and fails the filter that would judge it.
_ZERO = {
    "quantity": Refusal(Reason.FILTER_FAILED, ("LOT_SIZE",)),
    "quoteOrderQty": Refusal(Reason.FILTER_FAILED, ("NOTIONAL",)),
    "price": Refusal(Reason.FILTER_FAILED, ("PRICE_FILTER",)),
    "stopPrice": Refusal(Reason.FILTER_FAILED, ("PRICE_FILTER",)),
    "icebergQty": Refusal(Reason.FILTER_FAILED, ("LOT_SIZE",)),
}


def check_placement(values: Mapping[str, Any]) -> Refusal | None:
    """Mandatory and forbidden parameters by order type."""
    type_ = values["type"]
    for name in _NEEDED[type_]:
        if values[name] is None and not (name == "price" and values["pegPriceType"] is not None):
            return _MISSING[name]
    for name in _UNWANTED[type_]:
        if values[name] is not None:
            return _NOT_REQUIRED[name]
    if values["timeInForce"] is not None and type_ not in _TAKES_TIME_IN_FORCE:
        return _TIF_NOT_REQUIRED
    if type_ == "MARKET":
        if values["quantity"] is None:
            if values["quoteOrderQty"] is None:
                return _QUANTITY_MISSING
        elif values["quoteOrderQty"] is not None:
            return _NOT_REQUIRED["quoteOrderQty"]
    elif type_ in _TRIGGERED and values["stopPrice"] is None and values["trailingDelta"] is None:
        return _TRIGGER_MISSING
    offset = values["pegOffsetValue"] is not None, values["pegOffsetType"] is not None
    if any(offset):
        if not (all(offset) and values["pegPriceType"] is not None):
            return _COMBINATION
        if values["pegOffsetValue"] > MOST_PEG_OFFSET:
            return _PEG_OFFSET
    strategy_type = values["strategyType"]
    if strategy_type is not None and strategy_type < LEAST_STRATEGY_TYPE:
        return _STRATEGY_TYPE
    return None


#: Parameters that routed orders have not, which are LIMIT or MARKET by quantity (spot REST, "New order using SOR").
_UNROUTABLE: dict[str, Any] = dict.fromkeys(
    ("quoteOrderQty", "stopPrice", "trailingDelta", "pegPriceType", "pegOffsetValue", "pegOffsetType")
)


def check_routed_placement(values: Mapping[str, Any]) -> Refusal | None:
    return check_placement(_UNROUTABLE | dict(values))


# --- placing -----------------------------------------------------------------------------------------------------


def place_order(desk: Desk, call: Call, *, routed: bool = False) -> bytes | Refusal:
    """POST /api/v3/order, and with `routed` /api/v3/sor/order.

    The reply is told from the events; how detailed depends on `newOrderRespType`.
    """
    values = call.values
    rules = desk.spot.rules(values["symbol"])
    if rules is None:
        return _SYMBOL_UNKNOWN
    command = placement(call, check_only=False, routed=routed)
    if isinstance(command, Refusal):
        return command
    outcome = desk.submit(SHARD, command)
    call.headers += order_count_headers(desk, call)
    if isinstance(outcome, Refusal):
        return outcome
    return encode_placement(call, outcome, detail_of(values), rules.base_asset, rules.quote_asset, desk.spot.time_us)


def detail_of(values: Mapping[str, Any]) -> str:
    """How much a placement's reply tells."""
    return values["newOrderRespType"] or ("FULL" if values["type"] in ("MARKET", "LIMIT") else "ACK")


def check_order(desk: Desk, call: Call, *, routed: bool = False) -> bytes | Refusal:
    """POST /api/v3/order/test and /api/v3/sor/order/test: what is asked before the engine sees an order; no effect."""
    rules = desk.spot.rules(call.values["symbol"])
    if rules is None:
        return _SYMBOL_UNKNOWN
    command = placement(call, check_only=True, routed=routed)
    if isinstance(command, Refusal):
        return command
    outcome = desk.submit(SHARD, command)
    if isinstance(outcome, Refusal):
        return outcome
    if not call.values["computeCommissionRates"]:
        return b"{}"
    nothing = _rates(0, 0)
    return _encode(
        {
            "standardCommissionForOrder": _rates(rules.maker_rate, rules.taker_rate),
            "specialCommissionForOrder": nothing,
            "taxCommissionForOrder": nothing,
            "discount": NO_DISCOUNT,
        }
    )


#: Fees are taken from what is received; paying them in BNB is not offered.
NO_DISCOUNT = {
    "enabledForAccount": False,
    "enabledForSymbol": False,
    "discountAsset": "BNB",
    "discount": format_money(0),
}


def _rates(maker: int, taker: int) -> dict[str, str]:
    return {"maker": format_money(maker), "taker": format_money(taker)}


def placement(call: Call, *, check_only: bool, routed: bool = False) -> PlaceOrder | Refusal:
    return placement_of(call, _UNROUTABLE | call.values if routed else call.values, check_only, routed)


def placement_of(
    call: Call, values: Mapping[str, Any], check_only: bool = False, routed: bool = False
) -> PlaceOrder | Refusal:
    if 0 in (
        values["quantity"],
        values["quoteOrderQty"],
        values["price"],
        values["stopPrice"],
        values["icebergQty"],
    ):
        return next(refusal for name, refusal in _ZERO.items() if values[name] == 0)
    return PlaceOrder(
        call.admitted(),
        values["symbol"],
        values["side"],
        values["type"],
        values["timeInForce"] or "",
        values["quantity"] or 0,
        values["quoteOrderQty"] or 0,
        values["price"] or 0,
        values["stopPrice"] or 0,
        values["icebergQty"] or 0,
        values["trailingDelta"] or 0,
        values["newClientOrderId"] or "",
        values["selfTradePreventionMode"] or "",
        values["strategyId"],
        values["strategyType"],
        check_only,
        values["pegPriceType"] or "",
        values["pegOffsetValue"] or 0,
        routed,
    )


def order_count_headers(desk: Desk, call: Call) -> bytes:
    """`X-MBX-ORDER-COUNT-10S: 3` and so on, for the account's ORDERS limiters. Over the WebSocket API there are no
    headers; `rateLimits` tells of them to those who want it."""
    lines = b""
    if call.session is not None:
        return lines
    for limit, count in desk.spot.order_counts(call.account_id, call.now_us):
        lines += _count_header(desk, limit) % count
    return lines


def _count_header(desk: Desk, limit: OrderLimit) -> bytes:
    key = ("order-count-header", limit.interval_count, limit.interval)
    template: bytes | None = desk.cache.get(key)
    if template is None:
        template = f"X-MBX-ORDER-COUNT-{limit.interval_count}{limit.interval[0]}: %d\r\n".encode()
        desk.cache[key] = template
    return template


# --- cancelling --------------------------------------------------------------------------------------------------


def cancel_order(desk: Desk, call: Call) -> bytes | Refusal:
    """DELETE /api/v3/order, by `orderId`, by `origClientOrderId`, or by both if they name the same order.

    With an order of a list the whole list is cancelled, and the reply tells that.
    """
    values = call.values
    symbol = values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    order_id, client_order_id = values["orderId"] or 0, values["origClientOrderId"] or ""
    order = desk.spot.open_order(call.account_id, symbol, order_id=order_id, client_order_id=client_order_id)
    # Written down before the cancel: afterwards the order is closed and bears another client order id.
    before = None if order is None else cancelled_order(call, order, "", 0)
    one = desk.spot.open_list(call.account_id, list_id=order.list_id, client_list_id="") if order else None
    members = members_of(desk, call, one) if one else {}
    outcome = desk.submit(
        SHARD,
        CancelOrder(
            call.admitted(),
            symbol,
            order_id,
            client_order_id,
            values["newClientOrderId"] or "",
            values["cancelRestrictions"] or "",
        ),
    )
    if isinstance(outcome, Refusal):
        return outcome
    if before is None:
        return _ORDER_UNKNOWN
    if one is not None:
        return _encode(cancelled_list(call, one, cancellations(desk, call, members, outcome), desk.spot.time_us))
    return _encode(cancellations(desk, call, {before.order_id: before}, outcome)[0])


def cancel_open_orders(desk: Desk, call: Call) -> bytes | Refusal:
    """DELETE /api/v3/openOrders: all of the account's open orders on a symbol."""
    symbol = call.values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    before = {
        order.order_id: cancelled_order(call, order, "", 0) for order in desk.spot.open_orders(call.account_id, symbol)
    }
    lists = {one.list_id: one for one in desk.spot.open_lists(call.account_id) if one.symbol == symbol}
    outcome = desk.submit(SHARD, CancelOpenOrders(call.admitted(), symbol))
    if isinstance(outcome, Refusal):
        return outcome
    cancelled = cancellations(desk, call, before, outcome)
    return _encode(_in_lists(call, cancelled, lists, desk.spot.time_us)) if cancelled else _ORDER_UNKNOWN


def _in_lists(
    call: Call, cancelled: Sequence[CancelledOrder], lists: Mapping[int, ClosedOrderList], time_us: int
) -> list[CancelledOrder | ToldList]:
    """Orders of a list are told together, where the first one of them would stand."""
    told: list[CancelledOrder | ToldList] = []
    seen: set[int] = set()
    for order in cancelled:
        list_id = order.order_list_id
        if list_id not in lists:
            told.append(order)
        elif list_id not in seen:
            seen.add(list_id)
            members = [other for other in cancelled if other.order_list_id == list_id]
            told.append(cancelled_list(call, lists[list_id], members, time_us))
    return told


def members_of(desk: Desk, call: Call, one: ClosedOrderList) -> dict[int, CancelledOrder]:
    """The open orders of a list, as a cancel would tell them."""
    members = {}
    for order_id, _ in one.orders:
        order = desk.spot.open_order(call.account_id, one.symbol, order_id=order_id)
        if order is not None:
            members[order_id] = cancelled_order(call, order, "", 0)
    return members


def cancelled_list(call: Call, one: ClosedOrderList, cancelled: Sequence[CancelledOrder], time_us: int) -> ToldList:
    told = told_list(call, one, closed=True)
    told.transaction_time = call.time(time_us)
    told.order_reports = list(cancelled)
    return told


def cancellations(
    desk: Desk, call: Call, before: Mapping[int, CancelledOrder], events: Sequence[Any]
) -> list[CancelledOrder]:
    time = call.time(desk.spot.time_us)
    cancelled = []
    for event in events:
        if isinstance(event, OrderClosed) and event.order_id in before:
            reply = before[event.order_id]
            reply.client_order_id = event.cancel_client_order_id
            reply.transact_time = time
            cancelled.append(reply)
    return cancelled


# --- asking ------------------------------------------------------------------------------------------------------


def query_order(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/order: open ones from the state, closed ones from the archive."""
    values = call.values
    symbol = values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    order_id, client_order_id = values["orderId"] or 0, values["origClientOrderId"] or ""
    # By both: the id finds, the client order id must agree. -2039 says that it does not.
    by_client = "" if order_id else client_order_id
    order = desk.spot.open_order(
        call.account_id, symbol, order_id=order_id, client_order_id=by_client
    ) or desk.archive.order(call.account_id, symbol, order_id=order_id, client_order_id=by_client)
    if order is None:
        return _ORDER_NOT_FOUND
    if order_id and client_order_id and order.client_order_id != client_order_id:
        return _ID_MISMATCH
    if _too_old(order, call.now_us):
        return _ORDER_ARCHIVED
    return _encode(queried_order(call, order))


def _too_old(order: OrderView, now_us: int) -> bool:
    return not order.executed and order.status in _ENDED_EMPTY and now_us - order.updated_us > _ARCHIVED_AFTER_US


def open_orders(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/openOrders, of one symbol or of all."""
    symbol = call.values["symbol"] or ""
    if symbol and desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    return _encode([queried_order(call, order) for order in desk.spot.open_orders(call.account_id, symbol)])


def all_orders(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/allOrders: open and closed ones, ascending by id.

    Where times are given, `orderId` is not read; they are compared with an order's last change (WebSocket API,
    "Account order history"), so that a bot can ask what has changed since.
    """
    values = call.values
    symbol = values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    start_us, end_us, limit = values["startTime"], values["endTime"], values["limit"]
    from_id = values["orderId"] if start_us is None and end_us is None else None
    found = {
        order.order_id: order
        for order in desk.archive.orders(
            call.account_id, symbol, from_order_id=from_id, start_us=start_us, end_us=end_us, limit=limit
        )
    }
    for order in desk.spot.open_orders(call.account_id, symbol):
        if (
            order.order_id >= (from_id or 0)
            and (start_us is None or order.updated_us >= start_us)
            and (end_us is None or order.updated_us <= end_us)
        ):
            found[order.order_id] = order
    merged = [found[order_id] for order_id in sorted(found)]
    forwards = from_id is not None or start_us is not None
    return _encode([queried_order(call, order) for order in (merged[:limit] if forwards else merged[-limit:])])


def check_span(values: Mapping[str, Any]) -> Refusal | None:
    """At most 24 hours between `startTime` and `endTime` (-1127); the millisecond of the end counts whole.

    An end before the start counts as malformed, as Binance answers it.
    """
    start_us, end_us = values["startTime"], values["endTime"]
    if start_us is not None and end_us is not None and end_us < start_us:
        return _END_BEFORE_START
    if (
        start_us is not None
        and end_us is not None
        and end_us - start_us >= _LONGEST_SPAN_HOURS * HOUR_US + MILLISECOND_US
    ):
        return Refusal(Reason.SPAN_TOO_LONG, (_LONGEST_SPAN_HOURS,))
    return None


def commission_rates(rules: SymbolRules) -> dict[str, Any]:
    """GET /api/v3/account/commission for one symbol; both sides of a trade pay the same rate."""
    nothing = format_money(0)
    zero = {"maker": nothing, "taker": nothing, "buyer": nothing, "seller": nothing}
    return {
        "symbol": rules.symbol,
        "standardCommission": zero | {"maker": format_money(rules.maker_rate), "taker": format_money(rules.taker_rate)},
        "specialCommission": zero,
        "taxCommission": zero,
        "discount": NO_DISCOUNT,
    }
