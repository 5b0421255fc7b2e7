"""Applies spot events to the state. Nothing is decided here: a start runs this alone.

Each function posts its whole double entry, so that the books balance after every event, not only after every command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparekey.terms.rounding import notional
from sparekey.venue.effects import Allocation, Amendment, Effect, Prevented, Print
from sparekey.venue.events import (
    Allocated,
    AssetListed,
    CancelRefused,
    FenceRaised,
    Filled,
    Funded,
    FundsTransferred,
    MarketOpened,
    MatchPrevented,
    OrderAmended,
    OrderArmed,
    OrderClosed,
    OrderLimitsSet,
    OrderPlaced,
    OrderRested,
    OrderStarted,
    PlacementRefused,
    Printed,
    QuotesTaken,
    SymbolListed,
)
from sparekey.venue.order_list_apply import LIST_APPLIERS, note_filled, note_received, note_renamed
from sparekey.venue.order_lists import PENDING_NEW
from sparekey.venue.orders import Order
from sparekey.venue.reports import (
    report_adjusted,
    report_allocated,
    report_amended,
    report_closed,
    report_fill,
    report_new,
    report_prevented,
    report_rejected,
)
from sparekey.venue.spot_state import SpotState, SymbolMarket
from sparekey.venue.transfers import Transfer

#: What the first fill of an order gives back of its account's order counts where a profile gives back: more to makers
#: (spot documentation, "Unfilled order count": the worked example uses five).
GIVEN_BACK_TAKER = 1
GIVEN_BACK_MAKER = 5


def apply(state: SpotState, event: Any, time_us: int, effects: list[Effect]) -> None:
    """`effects` receives what consumers need and the state does not keep."""
    applier = _APPLIERS.get(event.__class__)
    if applier is not None:
        applier(state, event, time_us, effects)
    else:
        state.participants.apply(event)
        for market in state.markets.values():
            # The participants renewed their quotes: what was taken of the old ones is forgotten.
            if market.taken_bids:
                market.taken_bids.clear()
            if market.taken_asks:
                market.taken_asks.clear()
            market.update_id += 1
            market.renewed = True


# --- orders ----------------------------------------------------------------------------------------------------------


def _order_placed(state: SpotState, event: OrderPlaced, time_us: int, effects: list[Effect]) -> None:
    market = state.markets[event.symbol]
    account_id = event.account_id
    rules = market.rules
    balance = state.ledger.balance
    base, quote = balance(account_id, rules.base_asset), balance(account_id, rules.quote_asset)
    is_buy = event.side == "BUY"
    order = Order(
        event.symbol,
        event.order_id,
        account_id,
        event.key_id,
        event.client_order_id,
        event.side,
        event.type,
        event.time_in_force,
        event.price,
        event.quantity,
        event.quote_quantity,
        event.prevention_mode,
        event.hold,
        time_us,
        time_us,
        -1 if event.waits else time_us,
        is_buy,
        base,
        quote,
        event.stop_price,
        event.iceberg_quantity,
        event.trailing_delta,
        event.strategy_id,
        event.strategy_type,
    )
    if event.peg_price_type:
        order.peg_price_type, order.peg_offset = event.peg_price_type, event.peg_offset
        order.pegged_price = event.pegged_price
    if event.routed:
        order.working_floor = "EXCHANGE"
    if event.list_id:
        order.list_id = event.list_id
        if event.pending:
            order.status = PENDING_NEW
    (quote if is_buy else base).post(-event.hold, event.hold)
    market.next_order_id = event.order_id + 1
    market.orders[event.order_id] = order
    own = market.by_client_order_id.get(account_id)
    if own is None:
        own = market.by_client_order_id[account_id] = {}
    own[event.client_order_id] = order
    state.ledger.updated_us[account_id] = time_us
    state.count_order(account_id, time_us)
    if state.watched and account_id in state.watched:
        report_new(order, time_us, effects)


def _order_armed(state: SpotState, event: OrderArmed, time_us: int, effects: list[Effect]) -> None:
    market = state.markets[event.symbol]
    order = market.orders[event.order_id]
    if order.trailing_delta and not order.stop_price:
        order.trailing_us = time_us
        order.best_seen = market.last_price
    market.triggers.add(order)


def _order_started(state: SpotState, event: OrderStarted, time_us: int, effects: list[Effect]) -> None:
    market = state.markets[event.symbol]
    order = market.orders[event.order_id]
    _leave_triggers(state, market, order)
    if event.hold != order.hold:
        (order.quote if order.is_buy else order.base).post(order.hold - event.hold, event.hold - order.hold)
        order.hold = event.hold
        state.ledger.updated_us[order.account_id] = time_us
    order.pegged_price = event.pegged_price
    order.working_us = order.updated_us = time_us
    if state.watched and order.account_id in state.watched:
        report_new(order, time_us, effects)


def _leave_triggers(state: SpotState, market: SymbolMarket, order: Order) -> None:
    market.triggers.remove(order)
    if not market.triggers.queue:
        state.queued.pop(market.rules.symbol, None)


def _order_rested(state: SpotState, event: OrderRested, time_us: int, effects: list[Effect]) -> None:
    market = state.markets[event.symbol]
    order = market.orders[event.order_id]
    if order.iceberg_quantity:
        order.visible = min(order.iceberg_quantity, order.remaining)
    (market.bids if order.is_buy else market.asks).add(order)
    if order.working_floor:
        order.working_floor = "EXCHANGE"
    market.update_id += 1


def _filled(state: SpotState, event: Filled, time_us: int, effects: list[Effect]) -> None:
    market = state.markets[event.symbol]
    price, quantity, quote = event.price, event.quantity, event.quote_quantity
    if event.taker_order_id:
        _settle(state, market, market.orders[event.taker_order_id], event, event.taker_fee, time_us, GIVEN_BACK_TAKER)
    else:
        _settle_participant(market, event, is_buy=not event.buyer_is_maker)
    _settle_maker(state, market, event, time_us)
    if not (event.taker_order_id and event.maker_order_id):
        # An account bought if it took from a seller, or rested with a bid.
        account_bought = event.buyer_is_maker == (event.taker_order_id == 0)
        state.participants.note_taken(event.symbol, quote, account_bought)
    _note_trade(state, market, event, time_us)
    taker_list = maker_list = 0
    if state.lists.open:
        taker_list, maker_list = _list_id(market, event.taker_order_id), _list_id(market, event.maker_order_id)
    effects.append(
        Print(
            event.symbol,
            event.trade_id,
            time_us,
            price,
            quantity,
            quote,
            event.buyer_is_maker,
            event.taker_order_id,
            event.taker_account_id,
            event.taker_fee,
            event.maker_order_id,
            event.maker_account_id,
            event.maker_fee,
            taker_list,
            maker_list,
        )
    )
    if state.watched:
        report_fill(state, market, event, time_us, effects)


def _allocated(state: SpotState, event: Allocated, time_us: int, effects: list[Effect]) -> None:
    """The house takes on the source's book and passes on what it took; what it keeps is quote for quote."""
    market, source = state.markets[event.symbol], state.markets[event.source]
    order = market.orders[event.order_id]
    quote = event.quote_quantity
    market.next_allocation_id = event.allocation_id + 1
    _settle(state, market, order, event, event.fee, time_us, GIVEN_BACK_TAKER)
    order.working_floor = "SOR"
    _settle_maker(state, source, event, time_us)
    paid = quote if order.is_buy else -quote
    market.quote.router.post(paid)
    source.quote.router.post(-paid)
    if not event.maker_order_id:
        state.participants.note_taken(event.source, quote, order.is_buy)
    _note_trade(state, source, event, time_us)
    effects.append(
        Print(
            event.source,
            event.trade_id,
            time_us,
            event.price,
            event.quantity,
            quote,
            event.buyer_is_maker,
            maker_order_id=event.maker_order_id,
            maker_account_id=event.maker_account_id,
            maker_fee=event.maker_fee,
            maker_list_id=_list_id(source, event.maker_order_id),
        )
    )
    effects.append(
        Allocation(
            event.symbol,
            event.allocation_id,
            event.account_id,
            event.order_id,
            time_us,
            event.price,
            event.quantity,
            quote,
            event.fee,
            order.is_buy,
        )
    )
    if state.watched:
        report_allocated(state, market, source, event, time_us, effects)


def _settle_maker(state: SpotState, market: SymbolMarket, event: Filled | Allocated, time_us: int) -> None:
    """Whoever rested on this book, an account or a participant."""
    if event.maker_order_id:
        _settle(state, market, market.orders[event.maker_order_id], event, event.maker_fee, time_us, GIVEN_BACK_MAKER)
    else:
        _settle_participant(market, event, is_buy=event.buyer_is_maker)
        taken = market.taken_bids if event.buyer_is_maker else market.taken_asks
        taken[event.price] = taken.get(event.price, 0) + event.quantity


def _note_trade(state: SpotState, market: SymbolMarket, event: Filled | Allocated, time_us: int) -> None:
    """A trade on this book: it moves prices, and may cross triggers."""
    price = event.price
    market.touch(event.buyer_is_maker, price)
    market.count_trade(price, event.quantity, event.quote_quantity, time_us)
    if market.triggers.cross(price, time_us):
        state.queued[market.rules.symbol] = market
    market.update_id += 1


def _list_id(market: SymbolMarket, order_id: int) -> int:
    return market.orders[order_id].list_id if order_id else 0


def _settle(
    state: SpotState,
    market: SymbolMarket,
    order: Order,
    event: Filled | Allocated,
    fee: int,
    time_us: int,
    given_back: int,
) -> None:
    """One account's side of a trade: pay out of the hold, receive less the fee, free what the hold no longer needs."""
    quantity, quote = event.quantity, event.quote_quantity
    if not order.executed:
        state.give_back_order(order.account_id, time_us, given_back)
    order.executed += quantity
    order.executed_quote += quote
    order.status = "PARTIALLY_FILLED"
    order.updated_us = time_us
    level = order.level
    if level is not None:
        if order.iceberg_quantity:
            level.renew(order, quantity)
        else:
            level.quantity -= quantity
    if order.is_buy:
        working_price = order.working_price
        hold = notional(working_price, order.remaining) if working_price else order.hold - quote
        order.quote.post(order.hold - hold - quote, hold - order.hold)
        order.base.post(quantity - fee)
        if fee:
            market.base.fees.post(fee)
        if order.list_id:
            note_received(state, market, order, quantity, fee)
    else:
        hold = order.hold - quantity
        order.base.post(0, -quantity)
        order.quote.post(quote - fee)
        if fee:
            market.quote.fees.post(fee)
    order.hold = hold
    state.ledger.updated_us[order.account_id] = time_us


def _settle_participant(market: SymbolMarket, event: Filled | Allocated, *, is_buy: bool) -> None:
    """The participants' side: out of their account, without fees."""
    sign = 1 if is_buy else -1
    market.base.market.post(sign * event.quantity)
    market.quote.market.post(-sign * event.quote_quantity)


def _match_prevented(state: SpotState, event: MatchPrevented, time_us: int, effects: list[Effect]) -> None:
    market = state.markets[event.symbol]
    maker_market = state.markets[event.maker_symbol] if event.maker_symbol else market
    market.next_prevented_match_id = event.prevented_match_id + 1
    for book, order_id, prevented in (
        (market, event.taker_order_id, event.taker_prevented),
        (maker_market, event.maker_order_id, event.maker_prevented),
    ):
        if prevented:
            order = book.orders[order_id]
            order.prevented_quantity += prevented
            order.prevented_match_id = event.prevented_match_id
            order.updated_us = time_us
            if order.level is not None:
                (book.bids if order.is_buy else book.asks).lessen(order, prevented)
                book.touch(order.is_buy, order.working_price)
            if order.working_price:
                hold = order.hold_needed()
                (order.quote if order.is_buy else order.base).post(order.hold - hold, hold - order.hold)
                order.hold = hold
    market.update_id += 1
    if maker_market is not market:
        maker_market.update_id += 1
    effects.append(
        Prevented(
            event.symbol,
            event.prevented_match_id,
            market.orders[event.taker_order_id].account_id,
            time_us,
            event.price,
            event.mode,
            event.taker_order_id,
            event.taker_prevented,
            event.maker_symbol or event.symbol,
            event.maker_order_id,
            event.maker_prevented,
        )
    )
    if state.watched:
        report_prevented(state, market, maker_market, event, time_us, effects)


def _order_closed(state: SpotState, event: OrderClosed, time_us: int, effects: list[Effect]) -> None:
    market = state.markets[event.symbol]
    order = market.orders.pop(event.order_id)
    own = market.by_client_order_id[order.account_id]
    del own[order.client_order_id]
    if not own:
        del market.by_client_order_id[order.account_id]
    if order.level is not None:
        (market.bids if order.is_buy else market.asks).remove(order)
        market.update_id += 1
    elif order.working_us < 0:
        _leave_triggers(state, market, order)
    hold = order.hold
    if hold:
        (order.quote if order.is_buy else order.base).post(hold, -hold)
        order.hold = 0
        state.ledger.updated_us[order.account_id] = time_us
    order.updated_us = time_us
    order.status = event.status
    if order.list_id and event.status == "FILLED":
        note_filled(state, order)
    order.expiry_reason = event.expiry_reason
    if state.watched and order.account_id in state.watched:
        report_closed(order, event, time_us, effects)
    if event.cancel_client_order_id:
        order.client_order_id = event.cancel_client_order_id
    effects.append(order.closed(event.status))


def _order_amended(state: SpotState, event: OrderAmended, time_us: int, effects: list[Effect]) -> None:
    market = state.markets[event.symbol]
    order = market.orders[event.order_id]
    account_id, original_id, original_quantity = order.account_id, order.client_order_id, order.quantity
    order.quantity = event.quantity
    if order.level is not None:
        (market.bids if order.is_buy else market.asks).lessen(order, original_quantity - event.quantity)
        market.touch(order.is_buy, order.working_price)
        market.update_id += 1
    if event.hold != order.hold:
        (order.quote if order.is_buy else order.base).post(order.hold - event.hold, event.hold - order.hold)
        order.hold = event.hold
        state.ledger.updated_us[account_id] = time_us
    if event.client_order_id != original_id:
        own = market.by_client_order_id[account_id]
        del own[original_id]
        own[event.client_order_id] = order
        order.client_order_id = event.client_order_id
    order.amends += 1
    order.updated_us = time_us
    effects.append(
        Amendment(
            event.symbol,
            event.order_id,
            account_id,
            time_us,
            event.number,
            original_id,
            event.client_order_id,
            original_quantity,
            event.quantity,
        )
    )
    if state.watched and account_id in state.watched:
        report_amended(order, original_id, time_us, effects)
    if order.list_id and order.client_order_id != original_id:
        note_renamed(state, order, time_us, effects)


def _placement_refused(state: SpotState, event: PlacementRefused, time_us: int, effects: list[Effect]) -> None:
    if event.counted:
        state.count_order(event.account_id, time_us)
    if event.told and event.account_id in state.watched:
        report_rejected(event, time_us, effects)


def _cancel_refused(state: SpotState, event: CancelRefused, time_us: int, effects: list[Effect]) -> None:
    """It is written down for whoever asks later what was answered."""


# --- the market ------------------------------------------------------------------------------------------------------


def _market_opened(state: SpotState, event: MarketOpened, time_us: int, effects: list[Effect]) -> None:
    for opened in event.symbols:
        market = state.markets[opened.symbol]
        market.next_trade_id = opened.first_trade_id
        market.last_price = opened.price
        market.last_trade_us = time_us
        market.update_id += 1
        market.renewed = True
    state.market_open = True
    state.participants.apply_opened(event)


def _printed(state: SpotState, event: Printed, time_us: int, effects: list[Effect]) -> None:
    market = state.markets[event.symbol]
    trade_id = event.first_trade_id
    for one in event.prints:
        quote = notional(one.price, one.quantity)
        taken = market.taken_bids if one.buyer_is_maker else market.taken_asks
        taken[one.price] = taken.get(one.price, 0) + one.quantity
        market.touch(one.buyer_is_maker, one.price)
        market.count_trade(one.price, one.quantity, quote, time_us)
        if market.triggers.cross(one.price, time_us):
            state.queued[event.symbol] = market
        effects.append(Print(event.symbol, trade_id, time_us, one.price, one.quantity, quote, one.buyer_is_maker))
        trade_id += 1
    market.update_id += 1


def _quotes_taken(state: SpotState, event: QuotesTaken, time_us: int, effects: list[Effect]) -> None:
    market = state.markets[event.symbol]
    taken = market.taken_bids if event.are_bids else market.taken_asks
    taken[event.price] = taken.get(event.price, 0) + event.quantity
    market.touch(event.are_bids, event.price)
    market.update_id += 1


# --- listings, funding, fences ---------------------------------------------------------------------------------------


def _asset_listed(state: SpotState, event: AssetListed, time_us: int, effects: list[Effect]) -> None:
    asset = event.rules.asset
    if asset not in state.assets:
        state.ledger.open_books(asset)
    state.assets[asset] = event.rules


def _symbol_listed(state: SpotState, event: SymbolListed, time_us: int, effects: list[Effect]) -> None:
    state.list_symbol(event.rules)


def _order_limits_set(state: SpotState, event: OrderLimitsSet, time_us: int, effects: list[Effect]) -> None:
    # Counts belong to limiters; other limiters start with none.
    state.order_limits = event.limits
    state.order_counts_used.clear()


def _funded(state: SpotState, event: Funded, time_us: int, effects: list[Effect]) -> None:
    balance = state.ledger.balance(event.account_id, event.asset)
    balance.post(event.amount)
    balance.books.issuance.post(-event.amount)
    state.ledger.updated_us[event.account_id] = time_us
    if state.watched and event.account_id in state.watched:
        report_adjusted(event.account_id, event.asset, event.amount, time_us, effects)


def _funds_transferred(state: SpotState, event: FundsTransferred, time_us: int, effects: list[Effect]) -> None:
    asset, amount = event.asset, event.amount
    for account_id, change in ((event.from_account_id, -amount), (event.to_account_id, amount)):
        state.ledger.balance(account_id, asset).post(change)
        state.ledger.updated_us[account_id] = time_us
        if state.watched and account_id in state.watched:
            report_adjusted(account_id, asset, change, time_us, effects)
    state.transfers.add(
        Transfer(
            event.transfer_id,
            time_us,
            event.master_id,
            event.from_account_id,
            event.to_account_id,
            asset,
            amount,
            event.client_transfer_id,
        )
    )


def _fence_raised(state: SpotState, event: FenceRaised, time_us: int, effects: list[Effect]) -> None:
    state.fences[event.key_id] = event.access_seq


_APPLIERS: dict[type, Callable[[SpotState, Any, int, list[Effect]], None]] = {
    **LIST_APPLIERS,
    OrderPlaced: _order_placed,
    OrderArmed: _order_armed,
    OrderStarted: _order_started,
    OrderRested: _order_rested,
    Filled: _filled,
    Allocated: _allocated,
    MatchPrevented: _match_prevented,
    OrderClosed: _order_closed,
    OrderAmended: _order_amended,
    PlacementRefused: _placement_refused,
    CancelRefused: _cancel_refused,
    MarketOpened: _market_opened,
    Printed: _printed,
    QuotesTaken: _quotes_taken,
    AssetListed: _asset_listed,
    SymbolListed: _symbol_listed,
    OrderLimitsSet: _order_limits_set,
    Funded: _funded,
    FundsTransferred: _funds_transferred,
    FenceRaised: _fence_raised,
}
