"""Decides spot commands: state and command in, events or a refusal out. Changes nothing.

A placement is judged in Binance's order: admission, order limit, order type, filters, then the engine's own questions
(duplicate id, balance, price).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sparekey.terms.money import format_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.terms.rounding import affordable_quantity, notional
from sparekey.venue import filters
from sparekey.venue.amending import amend_order
from sparekey.venue.beginning import Intent, begin
from sparekey.venue.commands import (
    AmendOrder,
    CancelOpenOrders,
    CancelOrder,
    Fence,
    Fund,
    ListAsset,
    ListSymbol,
    OpenMarket,
    PlaceOrder,
    SetOrderLimits,
    TransferFunds,
)
from sparekey.venue.events import (
    AssetListed,
    Event,
    FenceRaised,
    Funded,
    FundsTransferred,
    MarketOpened,
    OrderClosed,
    OrderLimitsSet,
    OrderPlaced,
    SymbolListed,
)
from sparekey.venue.listing import SymbolRules
from sparekey.venue.matching import best_offer
from sparekey.venue.orders import Order, generated_cancel_id, generated_client_order_id
from sparekey.venue.spot_state import SpotState, SymbolMarket
from sparekey.venue.triggers import STOPS, STOPS_TO_MARKET, fires_above

Decision = tuple[Event, ...] | list[Any] | Refusal

#: More than this an account cannot be given at once; with it sums stay far below 64 bits' neighbours in the journal.
LARGEST_FUNDING = 10**9 * 10**8

_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)
_MARKET_CLOSED = Refusal(Reason.MARKET_CLOSED)
_FENCED = Refusal(Reason.KEY_FENCED)
_NOT_ROUTED = Refusal(Reason.ROUTING_NOT_ENABLED)
_DUPLICATE = Refusal(Reason.CLIENT_ORDER_ID_DUPLICATE)
_ORDER_UNKNOWN = Refusal(Reason.ORDER_UNKNOWN)
_ID_MISMATCH = Refusal(Reason.CANCEL_ID_MISMATCH)
_RESTRICTED = Refusal(Reason.CANCEL_RESTRICTED)
_PREVENTION_MODE = Refusal(Reason.PREVENTION_MODE_NOT_ALLOWED)
_ICEBERG = Refusal(Reason.ICEBERG_NOT_ENABLED)
_ICEBERG_TOO_LARGE = Refusal(Reason.ICEBERG_TOO_LARGE)
_ICEBERG_NOT_GTC = Refusal(Reason.ICEBERG_NOT_GTC)
_PEGGED = Refusal(Reason.PEGGED_NOT_ENABLED)
_PEG_TYPE = Refusal(Reason.PEG_NOT_FOR_TYPE)
_PEG_KIND = Refusal(Reason.PEG_KIND_NOT_FOR_TYPE)
_COMBINATION = Refusal(Reason.ORDER_COMBINATION)
_TRAILING = Refusal(Reason.TRAILING_NOT_ENABLED)


def decide(state: SpotState, command: Any, now_us: int) -> Decision:
    """What the command leads to; the market's own commands are `spot_shard`'s, because they act in several steps."""
    return _DECIDERS[type(command)](state, command, now_us)


# --- placing ---------------------------------------------------------------------------------------------------------


def _place_order(state: SpotState, command: PlaceOrder, now_us: int) -> Decision:
    """A test order never reaches the engine (spot REST, "Test new order"): balance, book and ids are not asked for."""
    market = judge_placement(state, command, now_us, counted=not command.check_only)
    if isinstance(market, Refusal):
        return market
    return () if command.check_only else enter_order(state, market, command, now_us)


def judge_placement(
    state: SpotState,
    command: PlaceOrder,
    now_us: int,
    *,
    counted: bool,
    beside: Sequence[PlaceOrder] = (),
    sized: bool = True,
) -> SymbolMarket | Refusal:
    """What is asked before the engine sees an order; its market, if nothing speaks against it there.

    `counted`: the account may not have placed too many orders already. `beside` are other orders of the same request.
    `sized`: the quantity is known.
    """
    market = state.markets.get(command.symbol)
    if market is None:
        return _SYMBOL_UNKNOWN
    admission = command.admission
    if state.is_fenced(admission):
        return _FENCED
    account_id = admission.account_id
    if counted:
        refusal = check_order_limits(state, account_id, now_us)
        if refusal is not None:
            return refusal
    rules = market.rules
    kind = command.type
    if rules.status != "TRADING":
        return _MARKET_CLOSED
    if command.routed and market not in state.routed(rules.base_asset):
        return _NOT_ROUTED
    if kind not in rules.order_types:
        return Refusal(Reason.ORDER_TYPE_NOT_ENABLED, (kind,))
    if command.iceberg_quantity and not rules.iceberg_allowed:
        return _ICEBERG
    if command.trailing_delta and not rules.trailing_allowed:
        return _TRAILING
    if command.peg_price_type:
        refusal = _check_peg(rules, command)
        if refusal is not None:
            return refusal
    mode = command.prevention_mode
    if mode and mode not in rules.prevention_modes:
        return _PREVENTION_MODE
    own = market.by_client_order_id.get(account_id)
    refusal = _check_filters(state, market, command, command.side == "BUY", own or {}, now_us, beside, sized)
    return market if refusal is None else refusal


def enter_order(state: SpotState, market: SymbolMarket, command: PlaceOrder, now_us: int) -> Decision:
    """The engine's own questions, and what the order does then."""
    account_id, kind = command.admission.account_id, command.type
    own = market.by_client_order_id.get(account_id)
    mode = command.prevention_mode or market.rules.default_prevention_mode
    is_buy = command.side == "BUY"
    if command.iceberg_quantity:
        refusal = check_shown(command)
        if refusal is not None:
            return refusal
    order_id = market.next_order_id
    client_order_id = command.client_order_id
    if client_order_id and own is not None and client_order_id in own:
        return _DUPLICATE
    beginning = begin(
        state,
        market,
        Intent(
            order_id,
            account_id,
            is_buy,
            kind,
            command.time_in_force,
            command.price,
            command.quantity,
            command.quote_quantity,
            mode,
            command.stop_price,
            command.trailing_delta,
            0,
            command.peg_price_type,
            command.peg_offset,
            routed=command.routed,
        ),
        now_us,
    )
    if isinstance(beginning, Refusal):
        return beginning
    placed = OrderPlaced(
        command.symbol,
        order_id,
        account_id,
        command.admission.key_id,
        client_order_id or generated_client_order_id(order_id),
        command.side,
        kind,
        command.time_in_force,
        command.quantity,
        command.quote_quantity,
        command.price,
        beginning.hold,
        mode,
        command.stop_price,
        command.iceberg_quantity,
        command.trailing_delta,
        command.strategy_id,
        command.strategy_type,
        beginning.waits,
        command.peg_price_type,
        command.peg_offset,
        beginning.pegged_price,
        command.routed,
    )
    return [placed, *beginning.events]


def check_shown(command: PlaceOrder) -> Refusal | None:
    """An iceberg shows less than there is, and rests. What a working order pays for has no quantity yet."""
    if 0 < command.quantity <= command.iceberg_quantity:
        return _ICEBERG_TOO_LARGE
    return _ICEBERG_NOT_GTC if command.time_in_force not in ("", "GTC") else None


def check_order_limits(state: SpotState, account_id: int, now_us: int, count: int = 1) -> Refusal | None:
    """Whether an account may place so many orders more."""
    used = state.order_counts_used.get(account_id)
    if used is None:
        return None
    index = 0
    for limit in state.order_limits:
        if used[index + 1] + count > limit.limit and limit.enforced and used[index] == now_us // limit.window_us:
            return Refusal(Reason.ORDER_COUNT_EXCEEDED, (limit.limit, f"{limit.interval_count} {limit.interval}"))
        index += 2
    return None


def _check_peg(rules: SymbolRules, command: PlaceOrder) -> Refusal | None:
    """Which orders may take their price from the book (spot documentation, "Pegged orders")."""
    if not rules.peg_allowed:
        return _PEGGED
    if command.type == "MARKET" or command.type in STOPS_TO_MARKET:
        return _PEG_TYPE
    if command.type == "LIMIT_MAKER" and command.peg_price_type != "PRIMARY_PEG":
        return _PEG_KIND
    if command.type == "LIMIT" and command.peg_price_type == "PRIMARY_PEG" and command.time_in_force != "GTC":
        return _COMBINATION
    return None


def _check_filters(
    state: SpotState,
    market: SymbolMarket,
    command: PlaceOrder,
    is_buy: bool,
    own: Mapping[str, Order],
    now_us: int,
    beside: Sequence[PlaceOrder],
    sized: bool,
) -> Refusal | None:
    """`own` are the account's open orders on the symbol, `beside` others of the same request."""
    rules = market.rules
    price, quantity, stop = command.price, command.quantity, command.stop_price
    if stop:
        refusal = filters.check_price(rules, stop)
        if refusal is not None:
            return refusal
    if not sized:
        refusal = filters.check_price(rules, price) if price else None
        refusal = refusal or (
            filters.check_percent_price(rules, is_buy, price, market.reference_price(now_us)) if price else None
        )
        if refusal is not None:
            return refusal
    elif command.type == "MARKET":
        reference = market.reference_price(now_us) or best_offer(market, state.participants, is_buy)
        if quantity:
            refusal = (
                filters.check_lot(rules, quantity)
                or filters.check_market_lot(rules, quantity)
                # Without any trade and any offer there is no price to value the order by.
                or (filters.check_market_notional(rules, notional(reference, quantity)) if reference else None)
            )
        else:
            refusal = filters.check_market_notional(rules, command.quote_quantity)
        if refusal is not None:
            return refusal
    elif command.type in STOPS_TO_MARKET:
        reference = stop or market.reference_price(now_us)
        refusal = filters.check_lot(rules, quantity) or (
            filters.check_market_notional(rules, notional(reference, quantity)) if reference else None
        )
        if refusal is not None:
            return refusal
    elif not price:  # it is pegged, and what the book chooses is judged when it does
        refusal = filters.check_lot(rules, quantity)
        if refusal is not None:
            return refusal
    else:
        refusal = (
            filters.check_price(rules, price)
            or filters.check_percent_price(rules, is_buy, price, market.reference_price(now_us))
            or filters.check_lot(rules, quantity)
            or filters.check_notional(rules, price, quantity)
        )
        if refusal is not None:
            return refusal
    if command.trailing_delta:
        refusal = filters.check_trailing_delta(rules, fires_above(command.type, is_buy), command.trailing_delta)
        if refusal is not None:
            return refusal
    iceberg_quantity = command.iceberg_quantity
    if iceberg_quantity and sized:
        refusal = filters.check_iceberg(rules, quantity, iceberg_quantity)
        if refusal is not None:
            return refusal
    if rules.max_open_orders and len(own) + len(beside) >= rules.max_open_orders:
        return filters.MAX_NUM_ORDERS
    if command.type in STOPS and rules.max_algo_orders:
        algo_orders = sum(order.type in STOPS for order in own.values()) + sum(one.type in STOPS for one in beside)
        if algo_orders >= rules.max_algo_orders:
            return filters.MAX_NUM_ALGO_ORDERS
    if iceberg_quantity and rules.max_iceberg_orders:
        icebergs = sum(order.iceberg_quantity > 0 for order in own.values())
        icebergs += sum(one.iceberg_quantity > 0 for one in beside)
        if icebergs >= rules.max_iceberg_orders:
            return filters.MAX_NUM_ICEBERG_ORDERS
    base_most, quote_most = state.assets[rules.base_asset].max_order, state.assets[rules.quote_asset].max_order
    limits_position = is_buy and rules.max_position
    if not (base_most or quote_most or limits_position):
        return None
    valued_at = price or stop or market.reference_price(now_us) or best_offer(market, state.participants, is_buy)
    if limits_position:
        wanted = quantity or (affordable_quantity(command.quote_quantity, valued_at, 0) if valued_at else 0)
        if _position(state, market, command.admission.account_id) + wanted > rules.max_position:
            return filters.MAX_POSITION
    return filters.check_assets(base_most, quote_most, quantity, command.quote_quantity, valued_at)


def _position(state: SpotState, market: SymbolMarket, account_id: int) -> int:
    """What an account has of the base asset, and what its open orders on the symbol may still buy of it."""
    held = state.ledger.of(account_id).get(market.rules.base_asset)
    own = market.by_client_order_id.get(account_id, {})
    bought = sum(order.remaining for order in own.values() if order.is_buy)
    return bought if held is None else bought + held.free + held.locked


# --- cancelling ------------------------------------------------------------------------------------------------------


def _cancel_order(state: SpotState, command: CancelOrder, now_us: int) -> Decision:
    market = state.markets.get(command.symbol)
    if market is None:
        return _SYMBOL_UNKNOWN
    if state.is_fenced(command.admission):
        return _FENCED
    original = command.original_client_order_id
    order = market.open_order(command.admission.account_id, command.order_id, original)
    if order is None:
        return _ORDER_UNKNOWN
    if command.order_id and original and order.client_order_id != original:
        return _ID_MISMATCH
    if command.restrictions:
        wanted = "NEW" if command.restrictions == "ONLY_NEW" else "PARTIALLY_FILLED"
        if order.status != wanted:
            return _RESTRICTED
    return (_cancelled(order, command.new_client_order_id),)


def _cancel_open_orders(state: SpotState, command: CancelOpenOrders, now_us: int) -> Decision:
    if command.symbol not in state.markets:
        return _SYMBOL_UNKNOWN
    if state.is_fenced(command.admission):
        return _FENCED
    orders = state.open_orders(command.admission.account_id, command.symbol)
    if not orders:
        return _ORDER_UNKNOWN
    return tuple(_cancelled(order, "") for order in orders)


def _cancelled(order: Order, cancel_client_order_id: str) -> OrderClosed:
    return OrderClosed(
        order.symbol, order.order_id, "CANCELED", "", cancel_client_order_id or generated_cancel_id(order.order_id)
    )


# --- listings, funding, fences ---------------------------------------------------------------------------------------


def _list_asset(state: SpotState, command: ListAsset, now_us: int) -> Decision:
    return () if state.assets.get(command.rules.asset) == command.rules else (AssetListed(command.rules),)


def _list_symbol(state: SpotState, command: ListSymbol, now_us: int) -> Decision:
    rules = command.rules
    for asset in (rules.base_asset, rules.quote_asset):
        if asset not in state.assets:
            return Refusal(Reason.ASSET_UNKNOWN, (asset,))
    return () if state.rules(rules.symbol) == rules else (SymbolListed(rules),)


def _set_order_limits(state: SpotState, command: SetOrderLimits, now_us: int) -> Decision:
    return () if state.order_limits == command.limits else (OrderLimitsSet(command.limits),)


def _fund(state: SpotState, command: Fund, now_us: int) -> Decision:
    if command.asset not in state.assets:
        return Refusal(Reason.ASSET_UNKNOWN, (command.asset,))
    if not 0 < command.amount <= LARGEST_FUNDING:
        return Refusal(Reason.AMOUNT_INVALID, (command.amount,))
    held = state.ledger.of(command.account_id).get(command.asset)
    if held is not None and held.free + held.locked + command.amount > LARGEST_FUNDING:
        return Refusal(Reason.AMOUNT_INVALID, (command.amount,))
    return (Funded(command.account_id, command.asset, command.amount),)


def _transfer_funds(state: SpotState, command: TransferFunds, now_us: int) -> Decision:
    if state.is_fenced(command.admission):
        return _FENCED
    asset, amount = command.asset, command.amount
    from_id, to_id, client_id = command.from_account_id, command.to_account_id, command.client_transfer_id
    if asset not in state.assets:
        return Refusal(Reason.ASSET_UNKNOWN, (asset,))
    if amount <= 0:
        return Refusal(Reason.PARAMETER_INVALID, ("amount",))
    if from_id == to_id:
        return Refusal(Reason.TRANSFER_NOWHERE)
    known = state.transfers.find(command.master_id, client_id) if client_id else None
    if known is not None:
        same = (known.from_account_id, known.to_account_id, known.asset, known.amount) == (
            from_id,
            to_id,
            asset,
            amount,
        )
        return () if same else Refusal(Reason.TRANSFER_ID_USED)
    free = state.ledger.free(from_id, asset)
    if free < amount:
        return Refusal(Reason.TRANSFER_BALANCE, (asset, format_money(free), format_money(amount)))
    held = state.ledger.of(to_id).get(asset)
    if held is not None and held.free + held.locked + amount > LARGEST_FUNDING:
        return Refusal(Reason.PARAMETER_INVALID, ("amount",))
    return (FundsTransferred(state.transfers.next_id, command.master_id, from_id, to_id, asset, amount, client_id),)


def _fence(state: SpotState, command: Fence, now_us: int) -> Decision:
    if state.fences.get(command.key_id, 0) >= command.access_seq:
        return ()
    return (FenceRaised(command.key_id, command.access_seq),)


def _open_market(state: SpotState, command: OpenMarket, now_us: int) -> Decision:
    if state.market_open:
        return Refusal(Reason.REQUEST_INVALID, ("The market is open already.",))
    for opened in command.symbols:
        if opened.symbol not in state.markets:
            return _SYMBOL_UNKNOWN
    return (MarketOpened(command.program, command.seed, command.symbols, command.birth_us),)


_DECIDERS: dict[type, Callable[[SpotState, Any, int], Decision]] = {
    PlaceOrder: _place_order,
    CancelOrder: _cancel_order,
    CancelOpenOrders: _cancel_open_orders,
    AmendOrder: amend_order,
    ListAsset: _list_asset,
    ListSymbol: _list_symbol,
    SetOrderLimits: _set_order_limits,
    Fund: _fund,
    TransferFunds: _transfer_funds,
    Fence: _fence,
    OpenMarket: _open_market,
}
