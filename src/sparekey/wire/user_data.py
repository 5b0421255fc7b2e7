"""The user data stream: what an account learns of its orders and balances, as Binance spells it, in order.

Events are made from a record's effects once it is durable. A listener hears of every record after the position at
which it began to listen, each exactly once: what it then asks over REST and what it hears fit together without a gap.
Fields and their order: Binance spot, "User data streams".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, UnsetType, field

from sparekey.sequencer.ports import EXECUTIONS_A_RECORD, Published
from sparekey.terms.money import format_money
from sparekey.venue.effects import BalanceAdjusted, BalancesReported, ListReported, OrderReported
from sparekey.wire.spelled import Spelled
from sparekey.wire.spot_shapes import ALLOCATED, NO_LIST, NO_TRADE_GROUP, PEG_OFFSET_TYPE

_encode = msgspec.json.Encoder().encode

_ZERO = format_money(0)
_NEVER_REST = ("MARKET", "STOP_LOSS", "TAKE_PROFIT")


class ExecutionReport(msgspec.Struct, kw_only=True, gc=False):
    """`executionReport`. Fields that only some reports have are left out where they do not apply."""

    event: str = field(default="executionReport", name="e")
    event_time: int = field(name="E")
    symbol: str = field(name="s")
    client_order_id: str = field(name="c")
    side: str = field(name="S")
    type: str = field(name="o")
    time_in_force: str = field(name="f")
    quantity: str = field(name="q")
    price: str = field(name="p")
    stop_price: str = field(name="P")
    iceberg_quantity: str = field(name="F")
    order_list_id: int = field(name="g")
    original_client_order_id: str = field(name="C")
    execution_type: str = field(name="x")
    status: str = field(name="X")
    reject_reason: str = field(default="NONE", name="r")
    order_id: int = field(name="i")
    last_quantity: str = field(name="l")
    executed: str = field(name="z")
    last_price: str = field(name="L")
    commission: str = field(name="n")
    commission_asset: str | None = field(name="N")
    transaction_time: int = field(name="T")
    trade_id: int = field(name="t")
    prevented_match_id: int | UnsetType = field(default=UNSET, name="v")
    execution_id: int = field(name="I")
    on_the_book: bool = field(name="w")
    is_maker: bool = field(name="m")
    ignored: bool = field(name="M")
    created: int = field(name="O")
    executed_quote: str = field(name="Z")
    last_quote: str = field(name="Y")
    quote_quantity: str = field(name="Q")
    working_time: int | UnsetType = field(default=UNSET, name="W")
    prevention_mode: str = field(name="V")
    trailing_delta: int | UnsetType = field(default=UNSET, name="d")
    trailing_time: int | UnsetType = field(default=UNSET, name="D")
    strategy_id: int | UnsetType = field(default=UNSET, name="j")
    strategy_type: int | UnsetType = field(default=UNSET, name="J")
    prevented: str | UnsetType = field(default=UNSET, name="A")
    last_prevented: str | UnsetType = field(default=UNSET, name="B")
    trade_group_id: int | UnsetType = field(default=UNSET, name="u")
    counter_order_id: int | UnsetType = field(default=UNSET, name="U")
    counter_symbol: str | UnsetType = field(default=UNSET, name="Cs")
    prevented_quantity: str | UnsetType = field(default=UNSET, name="pl")
    prevented_price: str | UnsetType = field(default=UNSET, name="pL")
    prevented_quote: str | UnsetType = field(default=UNSET, name="pY")
    peg_price_type: str | UnsetType = field(default=UNSET, name="gP")
    peg_offset_type: str | UnsetType = field(default=UNSET, name="gOT")
    peg_offset_value: int | UnsetType = field(default=UNSET, name="gOV")
    pegged_price: str | UnsetType = field(default=UNSET, name="gp")
    match_type: str | UnsetType = field(default=UNSET, name="b")
    allocation_id: int | UnsetType = field(default=UNSET, name="a")
    working_floor: str | UnsetType = field(default=UNSET, name="k")
    used_sor: bool | UnsetType = field(default=UNSET, name="uS")
    expiry_reason: str | UnsetType = field(default=UNSET, name="eR")


class ListedOrder(msgspec.Struct, gc=False):
    symbol: str = field(name="s")
    order_id: int = field(name="i")
    client_order_id: str = field(name="c")


class ListStatus(msgspec.Struct, kw_only=True, gc=False):
    """`listStatus`"""

    event: str = field(default="listStatus", name="e")
    event_time: int = field(name="E")
    symbol: str = field(name="s")
    list_id: int = field(name="g")
    contingency: str = field(name="c")
    status_type: str = field(name="l")
    order_status: str = field(name="L")
    reject_reason: str = field(default="NONE", name="r")
    client_list_id: str = field(name="C")
    transaction_time: int = field(name="T")
    orders: list[ListedOrder] = field(name="O")


class ReportedBalance(msgspec.Struct, gc=False):
    asset: str = field(name="a")
    free: str = field(name="f")
    locked: str = field(name="l")


class AccountPosition(msgspec.Struct, kw_only=True, gc=False):
    """`outboundAccountPosition`"""

    event: str = field(default="outboundAccountPosition", name="e")
    event_time: int = field(name="E")
    updated: int = field(name="u")
    balances: list[ReportedBalance] = field(name="B")


class BalanceUpdate(msgspec.Struct, kw_only=True, gc=False):
    """`balanceUpdate`"""

    event: str = field(default="balanceUpdate", name="e")
    event_time: int = field(name="E")
    asset: str = field(name="a")
    delta: str = field(name="d")
    clear_time: int = field(name="T")


def _time(time_us: int, microseconds: bool) -> int:
    return time_us if microseconds else time_us // 1_000


class UserEvent(Spelled):
    """One event; `shape` makes the struct that is encoded."""

    __slots__ = ()

    def __init__(self, shape: Callable[[bool], Any]) -> None:
        super().__init__(lambda microseconds: _encode(shape(microseconds)))


def execution_report(
    report: OrderReported, execution_id: int, quantity: int, microseconds: bool = False
) -> ExecutionReport:
    """`quantity` is the order's, which a MARKET order by quote quantity has only once it was fitted."""
    order = report.order
    execution = report.execution
    traded = execution == "TRADE"
    stopped = execution == "TRADE_PREVENTION"
    cancelled = execution == "CANCELED"
    status = report.status
    works = order.working_us >= 0
    rests = works and order.type not in _NEVER_REST and order.time_in_force not in ("IOC", "FOK")
    time = _time(report.time_us, microseconds)
    return ExecutionReport(
        event_time=time,
        symbol=order.symbol,
        client_order_id=report.cancel_client_order_id or order.client_order_id,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force or "GTC",
        quantity=format_money(quantity),
        price=_ZERO if order.type == "MARKET" else format_money(order.price),
        stop_price=format_money(order.stop_price),
        trailing_delta=order.trailing_delta or UNSET,
        trailing_time=_time(order.trailing_us, microseconds) if order.trailing_delta else UNSET,
        iceberg_quantity=format_money(order.iceberg_quantity),
        order_list_id=order.list_id or NO_LIST,
        original_client_order_id=order.client_order_id if cancelled else report.original_client_order_id,
        execution_type=execution,
        status=status,
        reject_reason=report.reject_reason,
        order_id=order.order_id,
        last_quantity=format_money(report.quantity),
        executed=format_money(order.executed),
        last_price=format_money(report.price),
        commission=format_money(report.fee) if traded else "0",
        commission_asset=report.fee_asset if traded else None,
        transaction_time=time,
        trade_id=report.trade_id,
        prevented_match_id=order.prevented_match_id if order.prevented_quantity else UNSET,
        execution_id=execution_id,
        # Every order that works begins with w true, also one that takes and never rests (Binance's worked example).
        on_the_book=(works and execution == "NEW") or (rests and status in ("NEW", "PARTIALLY_FILLED")),
        is_maker=report.is_maker,
        ignored=traded,
        created=_time(order.created_us, microseconds),
        executed_quote=format_money(order.executed_quote),
        last_quote=format_money(report.quote_quantity),
        quote_quantity=format_money(order.quote_quantity),
        strategy_id=UNSET if order.strategy_id is None else order.strategy_id,
        strategy_type=UNSET if order.strategy_type is None else order.strategy_type,
        working_time=_time(order.working_us, microseconds) if works else UNSET,
        prevention_mode=order.prevention_mode,
        prevented=format_money(order.prevented_quantity) if order.prevented_quantity else UNSET,
        last_prevented=format_money(report.prevented) if stopped else UNSET,
        trade_group_id=NO_TRADE_GROUP if stopped else UNSET,
        counter_order_id=report.counter_order_id if stopped else UNSET,
        counter_symbol=report.counter_symbol if stopped else UNSET,
        prevented_quantity=format_money(report.prevented_amount) if stopped else UNSET,
        prevented_price=format_money(report.prevented_price) if stopped else UNSET,
        prevented_quote=format_money(report.prevented_quote) if stopped else UNSET,
        peg_price_type=order.peg_price_type or UNSET,
        peg_offset_type=PEG_OFFSET_TYPE if order.peg_offset else UNSET,
        peg_offset_value=order.peg_offset or UNSET,
        pegged_price=format_money(order.pegged_price) if order.pegged_price else UNSET,
        match_type=ALLOCATED if report.allocation_id >= 0 else UNSET,
        allocation_id=report.allocation_id if report.allocation_id >= 0 else UNSET,
        working_floor=order.working_floor or UNSET,
        used_sor=True if order.working_floor else UNSET,
        expiry_reason=order.expiry_reason or UNSET,
    )


def list_status(report: ListReported, microseconds: bool = False) -> ListStatus:
    one, time = report.one, _time(report.time_us, microseconds)
    return ListStatus(
        event_time=time,
        symbol=one.symbol,
        list_id=one.list_id,
        contingency=one.contingency,
        status_type=report.status_type,
        order_status="ALL_DONE" if report.status_type == "ALL_DONE" else "EXECUTING",
        client_list_id=one.client_list_id,
        transaction_time=time,
        orders=[ListedOrder(one.symbol, order_id, client_order_id) for order_id, client_order_id in one.orders],
    )


def account_position(report: BalancesReported, microseconds: bool = False) -> AccountPosition:
    return AccountPosition(
        event_time=_time(report.time_us, microseconds),
        updated=_time(report.updated_us, microseconds),
        balances=[
            ReportedBalance(asset, format_money(free), format_money(locked)) for asset, free, locked in report.balances
        ],
    )


def balance_update(report: BalanceAdjusted, microseconds: bool = False) -> BalanceUpdate:
    time = _time(report.time_us, microseconds)
    return BalanceUpdate(event_time=time, asset=report.asset, delta=format_money(report.amount), clear_time=time)


def listen_key_expired(text: str, now_us: int, microseconds: bool) -> bytes:
    return _encode({"e": "listenKeyExpired", "E": _time(now_us, microseconds), "listenKey": text})


def event_stream_terminated(now_us: int, microseconds: bool) -> bytes:
    return _encode({"e": "eventStreamTerminated", "E": _time(now_us, microseconds)})


def server_shutdown(now_us: int, microseconds: bool) -> bytes:
    return _encode({"e": "serverShutdown", "E": _time(now_us, microseconds)})


def combined(stream: str, payload: bytes) -> bytes:
    """As a combined stream wraps a payload. `stream` needs no escaping, because only plain names are served."""
    return b'{"stream":"%s","data":%s}' % (stream.encode(), payload)


def user_events(published: Published) -> Iterator[tuple[int, UserEvent]]:
    """(account, event) of a record, in order. Execution ids depend on the record alone, not on who listens."""
    reports = [effect for effect in published.effects if effect.__class__ is OrderReported]
    fitted = {
        (report.order.symbol, report.order.order_id): report.order.executed
        for report in reports
        if not report.order.quantity
    }
    counts: dict[int, int] = {}
    first_id = published.position * EXECUTIONS_A_RECORD
    for effect in published.effects:
        kind = effect.__class__
        if kind is OrderReported:
            order = effect.order
            count = counts.get(order.account_id, 0)
            counts[order.account_id] = count + 1
            quantity = order.quantity or fitted[order.symbol, order.order_id]
            yield (
                order.account_id,
                UserEvent(
                    lambda us, one=effect, number=first_id + count, size=quantity: execution_report(  # type: ignore[misc]
                        one, number, size, us
                    )
                ),
            )
        elif kind is ListReported:
            yield effect.one.account_id, UserEvent(lambda us, one=effect: list_status(one, us))  # type: ignore[misc]
        elif kind is BalancesReported:
            yield effect.account_id, UserEvent(lambda us, one=effect: account_position(one, us))  # type: ignore[misc]
        elif kind is BalanceAdjusted:
            yield effect.account_id, UserEvent(lambda us, one=effect: balance_update(one, us))  # type: ignore[misc]


class Listener(Protocol):
    """One stream of one account."""

    def tell(self, event: UserEvent) -> None:
        """Remember it for `UserDataFeed.receive`'s caller to send. Must not begin or end any listening."""
        ...


class UserDataFeed:
    """Tells listeners what happens to their accounts. `watched` is the spot state's; `position` the sequencer's."""

    def __init__(self, watched: set[int], position: Callable[[], int]) -> None:
        self._watched = watched
        self._position = position
        #: account → listener → position up to which it needs to hear nothing
        self._listeners: dict[int, dict[Listener, int]] = {}

    @property
    def listeners(self) -> int:
        return sum(map(len, self._listeners.values()))

    def listen(self, account_id: int, listener: Listener) -> None:
        """From the next record on."""
        self._watched.add(account_id)
        self._listeners.setdefault(account_id, {})[listener] = self._position()

    def leave(self, account_id: int, listener: Listener) -> None:
        """At once; a listener that has left already may leave again."""
        listeners = self._listeners.get(account_id)
        if listeners is None:
            return
        listeners.pop(listener, None)
        if not listeners:
            del self._listeners[account_id]
            self._watched.discard(account_id)

    def tell(self, published: Published) -> None:
        """A record of the spot shard has become durable."""
        if not self._listeners:
            return
        for account_id, event in user_events(published):
            for listener, since in self._listeners.get(account_id, {}).items():
                if published.position > since:
                    listener.tell(event)
