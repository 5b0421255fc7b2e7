"""The JSON of spot orders and trades: fields in Binance's order, amounts as texts with eight decimals.

Struct fields are snake case here and camel case on the wire, Binance's misspellings included
(`cummulativeQuoteQty`). Fields that only some orders have are left out where they do not apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sparekey.terms.money import format_money
from sparekey.venue.effects import ClosedOrderList
from sparekey.venue.events import (
    Allocated,
    Filled,
    MatchPrevented,
    OrderClosed,
    OrderListStarted,
    OrderPlaced,
    OrderRested,
    OrderStarted,
)
from sparekey.wire.calls import Call
from sparekey.wire.ports import FillView, OrderView

#: Binance prints this where an order belongs to no list.
NO_LIST = -1
#: The only way in which a peg is offset: by levels of the book.
PEG_OFFSET_TYPE = "PRICE_LEVEL"
#: The trade id of what was allocated to a routed order, and how such a match is called.
NO_TRADE = -1
ALLOCATED = "ONE_PARTY_TRADE_REPORT"
#: And this where an account belongs to no group of accounts.
NO_TRADE_GROUP = -1

_encode = msgspec.json.Encoder().encode


class OrderAck(msgspec.Struct, rename="camel", gc=False):
    symbol: str
    order_id: int
    order_list_id: int
    client_order_id: str
    transact_time: int


class PreventedMatch(msgspec.Struct, rename="camel", gc=False):
    prevented_match_id: int
    maker_symbol: str
    maker_order_id: int
    price: str
    taker_prevented_quantity: str | UnsetType = UNSET
    maker_prevented_quantity: str | UnsetType = UNSET


class OrderFill(msgspec.Struct, rename="camel", gc=False):
    price: str
    qty: str
    commission: str
    commission_asset: str
    trade_id: int
    alloc_id: int | UnsetType = UNSET
    match_type: str | UnsetType = UNSET


class OrderResult(OrderAck, gc=False):
    """RESULT, and with `fills` FULL."""

    price: str
    #: unknown where a working order will pay for it
    orig_qty: str | UnsetType
    executed_qty: str
    orig_quote_order_qty: str
    cummulative_quote_qty: str
    status: str
    time_in_force: str
    type: str
    side: str
    working_time: int
    self_trade_prevention_mode: str
    iceberg_qty: str | UnsetType = UNSET
    stop_price: str | UnsetType = UNSET
    trailing_delta: int | UnsetType = UNSET
    trailing_time: int | UnsetType = UNSET
    strategy_id: int | UnsetType = UNSET
    strategy_type: int | UnsetType = UNSET
    peg_price_type: str | UnsetType = UNSET
    peg_offset_type: str | UnsetType = UNSET
    peg_offset_value: int | UnsetType = UNSET
    pegged_price: str | UnsetType = UNSET
    working_floor: str | UnsetType = UNSET
    used_sor: bool | UnsetType = UNSET
    prevented_match_id: int | UnsetType = UNSET
    prevented_quantity: str | UnsetType = UNSET
    expiry_reason: str | UnsetType = UNSET
    fills: list[OrderFill] | UnsetType = UNSET
    prevented_matches: list[PreventedMatch] | UnsetType = UNSET


class ListedOrder(msgspec.Struct, rename="camel", gc=False):
    symbol: str
    order_id: int
    client_order_id: str


class ToldList(msgspec.Struct, rename="camel", gc=False):
    """An order list; `order_reports` where it was just placed or cancelled."""

    order_list_id: int
    contingency_type: str
    list_status_type: str
    list_order_status: str
    list_client_order_id: str
    transaction_time: int
    symbol: str
    orders: list[ListedOrder]
    order_reports: list[Any] | UnsetType = UNSET


class CancelledOrder(msgspec.Struct, rename="camel", gc=False):
    """`client_order_id` is the id of the cancel, `orig_client_order_id` the order's."""

    symbol: str
    orig_client_order_id: str
    order_id: int
    order_list_id: int
    client_order_id: str
    transact_time: int
    price: str
    orig_qty: str
    executed_qty: str
    orig_quote_order_qty: str
    cummulative_quote_qty: str
    status: str
    time_in_force: str
    type: str
    side: str
    self_trade_prevention_mode: str
    iceberg_qty: str | UnsetType = UNSET
    stop_price: str | UnsetType = UNSET
    trailing_delta: int | UnsetType = UNSET
    trailing_time: int | UnsetType = UNSET
    strategy_id: int | UnsetType = UNSET
    strategy_type: int | UnsetType = UNSET
    peg_price_type: str | UnsetType = UNSET
    peg_offset_type: str | UnsetType = UNSET
    peg_offset_value: int | UnsetType = UNSET
    pegged_price: str | UnsetType = UNSET
    working_floor: str | UnsetType = UNSET
    used_sor: bool | UnsetType = UNSET
    prevented_match_id: int | UnsetType = UNSET
    prevented_quantity: str | UnsetType = UNSET


class QueriedOrder(msgspec.Struct, rename="camel", gc=False):
    symbol: str
    order_id: int
    order_list_id: int
    client_order_id: str
    price: str
    orig_qty: str
    executed_qty: str
    cummulative_quote_qty: str
    status: str
    time_in_force: str
    type: str
    side: str
    stop_price: str
    iceberg_qty: str
    time: int
    update_time: int
    is_working: bool
    working_time: int
    orig_quote_order_qty: str
    self_trade_prevention_mode: str
    trailing_delta: int | UnsetType = UNSET
    trailing_time: int | UnsetType = UNSET
    strategy_id: int | UnsetType = UNSET
    strategy_type: int | UnsetType = UNSET
    peg_price_type: str | UnsetType = UNSET
    peg_offset_type: str | UnsetType = UNSET
    peg_offset_value: int | UnsetType = UNSET
    pegged_price: str | UnsetType = UNSET
    working_floor: str | UnsetType = UNSET
    used_sor: bool | UnsetType = UNSET
    prevented_match_id: int | UnsetType = UNSET
    prevented_quantity: str | UnsetType = UNSET
    expiry_reason: str | UnsetType = UNSET


class AccountTrade(msgspec.Struct, rename="camel", gc=False):
    symbol: str
    id: int
    order_id: int
    order_list_id: int
    price: str
    qty: str
    quote_qty: str
    commission: str
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool
    is_best_match: bool


def _optional_amount(amount: int) -> str | UnsetType:
    return format_money(amount) if amount else UNSET


def _optional(number: int | None) -> int | UnsetType:
    return UNSET if number is None else number


def encode_placement(
    call: Call, events: Sequence[Any], detail: str, base_asset: str, quote_asset: str, time_us: int
) -> bytes:
    """What a placement's events say, as ACK, RESULT or FULL. The first event is the order's `OrderPlaced`."""
    return _encode(placement_report(call, events[0], events, detail, base_asset, quote_asset, time_us))


def placement_report(
    call: Call,
    placed: OrderPlaced,
    events: Sequence[Any],
    detail: str,
    base_asset: str,
    quote_asset: str,
    time_us: int,
) -> OrderAck | OrderResult:
    """Filled, expired or resting is told from the events, so the reply is what the journal says and nothing else.

    What other orders then did whose triggers this one set off, or which it let in, came after the placement and is not
    part of its reply.
    """
    order_id = placed.order_id
    time = call.time(time_us)
    if detail == "ACK":
        return OrderAck(placed.symbol, order_id, placed.list_id or NO_LIST, placed.client_order_id, time)
    executed = executed_quote = prevented = 0
    status, expiry_reason, floor = "", "", "EXCHANGE"
    fills: list[OrderFill] = []
    matches: list[PreventedMatch] = []
    buyer = placed.side == "BUY"
    for event in events:
        kind = event.__class__
        if kind is Filled and event.taker_order_id == order_id:
            executed += event.quantity
            executed_quote += event.quote_quantity
            fills.append(
                OrderFill(
                    format_money(event.price),
                    format_money(event.quantity),
                    format_money(event.taker_fee),
                    base_asset if buyer else quote_asset,
                    event.trade_id,
                )
            )
            floor = "EXCHANGE"
        elif kind is Allocated:
            executed += event.quantity
            executed_quote += event.quote_quantity
            fills.append(
                OrderFill(
                    format_money(event.price),
                    format_money(event.quantity),
                    format_money(event.fee),
                    base_asset if buyer else quote_asset,
                    NO_TRADE,
                    event.allocation_id,
                    ALLOCATED,
                )
            )
            floor = "SOR"
        elif kind is MatchPrevented and event.taker_order_id == order_id:
            prevented += event.taker_prevented
            matches.append(
                PreventedMatch(
                    event.prevented_match_id,
                    event.maker_symbol or event.symbol,
                    event.maker_order_id,
                    format_money(event.price),
                    _optional_amount(event.taker_prevented),
                    _optional_amount(event.maker_prevented),
                )
            )
        elif kind is OrderRested:
            floor = "EXCHANGE"
        elif kind is OrderClosed and event.order_id == order_id and event.symbol == placed.symbol:
            status, expiry_reason = event.status, event.expiry_reason
        elif kind is OrderStarted or kind is OrderListStarted:
            break
    market = placed.type == "MARKET"
    return OrderResult(
        placed.symbol,
        order_id,
        placed.list_id or NO_LIST,
        placed.client_order_id,
        time,
        "0.00000000" if market else format_money(placed.price),
        format_money(placed.quantity or executed) if placed.quantity or placed.quote_quantity else UNSET,
        format_money(executed),
        format_money(placed.quote_quantity),
        format_money(executed_quote),
        status or ("PENDING_NEW" if placed.pending else "PARTIALLY_FILLED" if executed else "NEW"),
        placed.time_in_force or "GTC",
        placed.type,
        placed.side,
        -1 if placed.waits else time,
        placed.prevention_mode,
        iceberg_qty=_optional_amount(placed.iceberg_quantity),
        stop_price=_optional_amount(placed.stop_price),
        trailing_delta=placed.trailing_delta or UNSET,
        trailing_time=UNSET if not placed.trailing_delta else -1 if placed.stop_price or placed.pending else time,
        strategy_id=_optional(placed.strategy_id),
        strategy_type=_optional(placed.strategy_type),
        peg_price_type=placed.peg_price_type or UNSET,
        peg_offset_type=PEG_OFFSET_TYPE if placed.peg_offset else UNSET,
        peg_offset_value=placed.peg_offset or UNSET,
        pegged_price=_optional_amount(placed.pegged_price),
        working_floor=floor if placed.routed else UNSET,
        used_sor=True if placed.routed else UNSET,
        prevented_match_id=matches[-1].prevented_match_id if prevented else UNSET,
        prevented_quantity=_optional_amount(prevented),
        expiry_reason=expiry_reason or UNSET,
        fills=fills if detail == "FULL" else UNSET,
        prevented_matches=matches or UNSET,
    )


def told_list(call: Call, one: ClosedOrderList, *, closed: bool) -> ToldList:
    return ToldList(
        one.list_id,
        one.contingency,
        "ALL_DONE" if closed else "EXEC_STARTED",
        "ALL_DONE" if closed else "EXECUTING",
        one.client_list_id,
        call.time(one.updated_us),
        one.symbol,
        [ListedOrder(one.symbol, order_id, client_order_id) for order_id, client_order_id in one.orders],
    )


def _only_of_some(call: Call, order: OrderView) -> dict[str, Any]:
    """The fields that only some orders have, whichever way an order is told of."""
    return {
        "trailing_delta": order.trailing_delta or UNSET,
        "trailing_time": call.time(order.trailing_us) if order.trailing_delta else UNSET,
        "strategy_id": _optional(order.strategy_id),
        "strategy_type": _optional(order.strategy_type),
        "peg_price_type": order.peg_price_type or UNSET,
        "peg_offset_type": PEG_OFFSET_TYPE if order.peg_offset else UNSET,
        "peg_offset_value": order.peg_offset or UNSET,
        "pegged_price": _optional_amount(order.pegged_price),
        "working_floor": order.working_floor or UNSET,
        "used_sor": True if order.working_floor else UNSET,
        "prevented_match_id": order.prevented_match_id if order.prevented_quantity else UNSET,
        "prevented_quantity": _optional_amount(order.prevented_quantity),
    }


def cancelled_order(call: Call, order: OrderView, cancel_client_order_id: str, time_us: int) -> CancelledOrder:
    """An order as it stood when it was cancelled."""
    return CancelledOrder(
        order.symbol,
        order.client_order_id,
        order.order_id,
        order.list_id or NO_LIST,
        cancel_client_order_id,
        call.time(time_us),
        format_money(order.price),
        format_money(order.quantity),
        format_money(order.executed),
        format_money(order.quote_quantity),
        format_money(order.executed_quote),
        "CANCELED",
        order.time_in_force or "GTC",
        order.type,
        order.side,
        order.prevention_mode,
        iceberg_qty=_optional_amount(order.iceberg_quantity),
        stop_price=_optional_amount(order.stop_price),
        **_only_of_some(call, order),
    )


def queried_order(call: Call, order: OrderView) -> QueriedOrder:
    time = call.time
    return QueriedOrder(
        order.symbol,
        order.order_id,
        order.list_id or NO_LIST,
        order.client_order_id,
        format_money(0 if order.type == "MARKET" else order.price),
        format_money(order.quantity or order.executed),
        format_money(order.executed),
        format_money(order.executed_quote),
        order.status,
        order.time_in_force or "GTC",
        order.type,
        order.side,
        format_money(order.stop_price),
        format_money(order.iceberg_quantity),
        time(order.created_us),
        time(order.updated_us),
        order.working_us >= 0,
        time(order.working_us),
        format_money(order.quote_quantity),
        order.prevention_mode,
        **_only_of_some(call, order),
        expiry_reason=order.expiry_reason or UNSET,
    )


def account_trades(call: Call, fills: Iterable[FillView]) -> list[AccountTrade]:
    return [
        AccountTrade(
            fill.symbol,
            fill.trade_id,
            fill.order_id,
            fill.list_id or NO_LIST,
            format_money(fill.price),
            format_money(fill.quantity),
            format_money(fill.quote_quantity),
            format_money(fill.fee),
            fill.fee_asset,
            call.time(fill.time_us),
            bool(fill.is_buyer),
            bool(fill.is_maker),
            True,
        )
        for fill in fills
    ]
