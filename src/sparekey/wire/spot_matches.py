"""Spot: what matching did to an account beside its trades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sparekey.terms.money import format_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.spot_orders import check_span
from sparekey.wire.spot_shapes import NO_LIST, NO_TRADE_GROUP

_encode = msgspec.json.Encoder().encode

_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_COMBINATION = Refusal(Reason.PARAMETERS_COMBINATION)

_MOST_PREVENTED_MATCHES = 500

#: Which parameters may go together (spot REST, "Query Prevented Matches").
_PREVENTED_COMBINATIONS = frozenset(
    frozenset(names)
    for names in (
        ("preventedMatchId",),
        ("orderId",),
        ("orderId", "fromPreventedMatchId"),
        ("orderId", "fromPreventedMatchId", "limit"),
    )
)


class AccountPreventedMatch(msgspec.Struct, rename="camel", gc=False):
    symbol: str
    prevented_match_id: int
    taker_order_id: int
    maker_symbol: str
    maker_order_id: int
    trade_group_id: int
    self_trade_prevention_mode: str
    price: str
    taker_prevented_quantity: str | UnsetType
    maker_prevented_quantity: str | UnsetType
    transact_time: int


def prevented_matches(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/myPreventedMatches: one by its id, or those that an order was in, ascending."""
    values = call.values
    symbol = values["symbol"]
    if desk.spot.rules(symbol) is None:
        return _SYMBOL_UNKNOWN
    found = desk.archive.prevented_matches(
        call.account_id,
        symbol,
        match_id=values["preventedMatchId"],
        order_id=values["orderId"],
        from_id=values["fromPreventedMatchId"] or 0,
        limit=values["limit"] or _MOST_PREVENTED_MATCHES,
    )
    return _encode(
        [
            AccountPreventedMatch(
                match.symbol,
                match.prevented_match_id,
                match.taker_order_id,
                match.maker_symbol,
                match.maker_order_id,
                NO_TRADE_GROUP,
                match.mode,
                format_money(match.price),
                format_money(match.taker_prevented) if match.taker_prevented else UNSET,
                format_money(match.maker_prevented) if match.maker_prevented else UNSET,
                call.time(match.time_us),
            )
            for match in found
        ]
    )


class AccountAllocation(msgspec.Struct, rename="camel", gc=False):
    symbol: str
    allocation_id: int
    allocation_type: str
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
    is_allocator: bool


def allocations(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /api/v3/myAllocations: what books of other symbols gave to the account's routed orders, ascending."""
    values = call.values
    rules = desk.spot.rules(values["symbol"])
    if rules is None:
        return _SYMBOL_UNKNOWN
    found = desk.archive.allocations(
        call.account_id,
        rules.symbol,
        order_id=values["orderId"],
        from_id=values["fromAllocationId"],
        start_us=values["startTime"],
        end_us=values["endTime"],
        limit=values["limit"],
    )
    return _encode(
        [
            AccountAllocation(
                one.symbol,
                one.allocation_id,
                "SOR",
                one.order_id,
                NO_LIST,
                format_money(one.price),
                format_money(one.quantity),
                format_money(one.quote_quantity),
                format_money(one.fee),
                rules.base_asset if one.is_buyer else rules.quote_asset,
                call.time(one.time_us),
                one.is_buyer,
                False,  # a routed order takes, and the house allocates
                False,
            )
            for one in found
        ]
    )


#: Which optional parameters may go together (spot REST, "Query Allocations").
_ALLOCATION_COMBINATIONS = frozenset(
    frozenset(names)
    for names in (
        (),
        ("startTime",),
        ("endTime",),
        ("startTime", "endTime"),
        ("fromAllocationId",),
        ("orderId",),
        ("orderId", "fromAllocationId"),
    )
)


def check_allocations(values: Mapping[str, Any]) -> Refusal | None:
    names = ("startTime", "endTime", "fromAllocationId", "orderId")
    sent = frozenset(name for name in names if values[name] is not None)
    return check_span(values) if sent in _ALLOCATION_COMBINATIONS else _COMBINATION


def check_prevented_matches(values: Mapping[str, Any]) -> Refusal | None:
    names = ("preventedMatchId", "orderId", "fromPreventedMatchId", "limit")
    sent = frozenset(name for name in names if values[name] is not None)
    return None if sent in _PREVENTED_COMBINATIONS else _COMBINATION
