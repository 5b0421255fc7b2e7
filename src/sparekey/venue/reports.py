"""What an account that somebody listens to learns of its orders and balances, at the instant of each change.

Reports are effects: no decision looks at them and the state does not keep them. They are made for accounts in
`SpotState.watched` only, so that nobody pays for a stream that nobody reads.
"""

from __future__ import annotations

from sparekey.terms.reasons import Reason
from sparekey.terms.rounding import notional
from sparekey.venue.effects import BalanceAdjusted, BalancesReported, ClosedOrder, Effect, ListReported, OrderReported
from sparekey.venue.events import Allocated, Filled, MatchPrevented, OrderClosed, PlacementRefused
from sparekey.venue.order_lists import OrderList
from sparekey.venue.orders import Order
from sparekey.venue.spot_state import SpotState, SymbolMarket

#: Stands where an order would have its id.
NO_ORDER = -1


def report_new(order: Order, time_us: int, effects: list[Effect]) -> None:
    effects.append(OrderReported(order.closed(order.status), time_us, "NEW", order.status))


def report_list(one: OrderList, status_type: str, time_us: int, effects: list[Effect]) -> None:
    effects.append(ListReported(one.closed(), time_us, status_type))


def report_fill(state: SpotState, market: SymbolMarket, event: Filled, time_us: int, effects: list[Effect]) -> None:
    """Both sides, after both were settled. Whether a fill was an order's last, its closing says (`report_closed`)."""
    rules = market.rules
    for account_id, order_id, fee, is_maker in (
        (event.taker_account_id, event.taker_order_id, event.taker_fee, False),
        (event.maker_account_id, event.maker_order_id, event.maker_fee, True),
    ):
        if account_id in state.watched:
            order = market.orders[order_id]
            effects.append(
                OrderReported(
                    order.closed(order.status),
                    time_us,
                    "TRADE",
                    order.status,
                    trade_id=event.trade_id,
                    price=event.price,
                    quantity=event.quantity,
                    quote_quantity=event.quote_quantity,
                    fee=fee,
                    fee_asset=rules.base_asset if order.is_buy else rules.quote_asset,
                    is_maker=is_maker,
                )
            )


def report_allocated(
    state: SpotState,
    market: SymbolMarket,
    source: SymbolMarket,
    event: Allocated,
    time_us: int,
    effects: list[Effect],
) -> None:
    """The routed order's allocation, and the maker's trade on its own book."""
    for book, account_id, order_id, fee, is_maker in (
        (market, event.account_id, event.order_id, event.fee, False),
        (source, event.maker_account_id, event.maker_order_id, event.maker_fee, True),
    ):
        if account_id in state.watched:
            order, rules = book.orders[order_id], book.rules
            effects.append(
                OrderReported(
                    order.closed(order.status),
                    time_us,
                    "TRADE",
                    order.status,
                    trade_id=event.trade_id if is_maker else -1,
                    price=event.price,
                    quantity=event.quantity,
                    quote_quantity=event.quote_quantity,
                    fee=fee,
                    fee_asset=rules.base_asset if order.is_buy else rules.quote_asset,
                    is_maker=is_maker,
                    allocation_id=-1 if is_maker else event.allocation_id,
                )
            )


def report_prevented(
    state: SpotState,
    market: SymbolMarket,
    maker_market: SymbolMarket,
    event: MatchPrevented,
    time_us: int,
    effects: list[Effect],
) -> None:
    """Each side that lost quantity, after it did."""
    taker, maker = market.orders[event.taker_order_id], maker_market.orders[event.maker_order_id]
    # What would have traded is what the smaller of the two had left. A taker by quote quantity has no quantity of its
    # own, so only what it lost is known of it.
    amount = maker.remaining + event.maker_prevented
    taker_left = taker.remaining + event.taker_prevented if taker.quantity else event.taker_prevented
    if taker_left:
        amount = min(amount, taker_left)
    for order, counter, prevented in (
        (taker, maker, event.taker_prevented),
        (maker, taker, event.maker_prevented),
    ):
        if prevented and order.account_id in state.watched:
            effects.append(
                OrderReported(
                    order.closed(order.status),
                    time_us,
                    "TRADE_PREVENTION",
                    order.status,
                    prevented=prevented,
                    prevented_price=event.price,
                    prevented_amount=amount,
                    prevented_quote=notional(event.price, amount),
                    counter_order_id=counter.order_id,
                    counter_symbol=counter.symbol,
                )
            )


def report_closed(order: Order, event: OrderClosed, time_us: int, effects: list[Effect]) -> None:
    """Before a cancel renames the order. Binance reports no separate end after a last trade or a prevented match:
    their own report carries the status."""
    status = event.status
    if status in ("FILLED", "EXPIRED_IN_MATCH"):
        for effect in reversed(effects):
            if (
                effect.__class__ is OrderReported
                and effect.order.order_id == event.order_id
                and effect.order.symbol == event.symbol
            ):
                effect.status = status
                return
    effects.append(
        OrderReported(
            order.closed(status),
            time_us,
            "CANCELED" if status == "CANCELED" else "EXPIRED",
            status,
            cancel_client_order_id=event.cancel_client_order_id,
        )
    )


def report_amended(order: Order, original_client_order_id: str, time_us: int, effects: list[Effect]) -> None:
    effects.append(
        OrderReported(
            order.closed(order.status),
            time_us,
            "REPLACED",
            order.status,
            original_client_order_id=original_client_order_id,
        )
    )


#: What Binance calls some causes on the user data stream; every other one goes without a name there.
_REJECT_REASONS = {
    Reason.BALANCE_INSUFFICIENT.slug: "INSUFFICIENT_BALANCES",
    Reason.WOULD_TRIGGER.slug: "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY",
    Reason.WOULD_MATCH.slug: "WOULD_MATCH_IMMEDIATELY",
}


def report_rejected(event: PlacementRefused, time_us: int, effects: list[Effect]) -> None:
    """An order that the engine refused has no id: -1 stands in its place."""
    order = ClosedOrder(
        event.symbol,
        NO_ORDER,
        event.account_id,
        event.client_order_id,
        event.side,
        event.type,
        event.time_in_force,
        "REJECTED",
        event.price,
        event.quantity,
        event.quote_quantity,
        0,
        0,
        time_us,
        time_us,
        -1,
        event.prevention_mode,
        stop_price=event.stop_price,
        iceberg_quantity=event.iceberg_quantity,
        trailing_delta=event.trailing_delta,
        strategy_id=event.strategy_id,
        strategy_type=event.strategy_type,
    )
    effects.append(
        OrderReported(
            order,
            time_us,
            "REJECTED",
            "REJECTED",
            reject_reason=_REJECT_REASONS.get(event.reason, "NONE"),
        )
    )


def report_adjusted(account_id: int, asset: str, amount: int, time_us: int, effects: list[Effect]) -> None:
    effects.append(BalanceAdjusted(account_id, asset, amount, time_us))


def report_balances(state: SpotState, effects: list[Effect]) -> None:
    """Once a command, after everything else: the balances that it may have changed, as they are now."""
    touched: dict[int, dict[str, None]] = {}
    for effect in effects:
        if isinstance(effect, OrderReported):
            rules = state.markets[effect.order.symbol].rules
            assets = touched.setdefault(effect.order.account_id, {})
            assets[rules.base_asset] = assets[rules.quote_asset] = None
        elif isinstance(effect, BalanceAdjusted):
            touched.setdefault(effect.account_id, {})[effect.asset] = None
    for account_id, assets in touched.items():
        held = state.ledger.of(account_id)
        effects.append(
            BalancesReported(
                account_id,
                state.time_us,
                state.ledger.updated_us.get(account_id, 0),
                tuple(
                    (asset, held[asset].free, held[asset].locked) if asset in held else (asset, 0, 0)
                    for asset in assets
                ),
            )
        )
