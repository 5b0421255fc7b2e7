"""The spot shard as the sequencer's machine: decide, apply, write down; and the market's steps between them.

Hand it the wire clock. A tick of the market acts in several steps, each decided on what the one before left: quotes
are renewed, resting orders that now cross them are filled, and then each taker acts. Orders whose trigger a print
crossed begin right after the step that printed, each in a step of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.terms.rounding import fee, notional
from sparekey.venue.beginning import decide_queued
from sparekey.venue.book_watch import report_books
from sparekey.venue.commands import (
    BeginQueued,
    CancelOrderList,
    EndReplay,
    MarketTick,
    PlaceOrderList,
    ReplaceOrder,
    ReplayPrints,
    SpotCommand,
)
from sparekey.venue.contingencies import complete, decide_list_start
from sparekey.venue.effects import Effect
from sparekey.venue.events import Filled, MarketPrint, OrderClosed, Printed, QuotesTaken, SpotEvent
from sparekey.venue.liquidity import Participants, Taker
from sparekey.venue.matching import offers
from sparekey.venue.order_list_decide import cancel_order_list, place_order_list
from sparekey.venue.orders import Order
from sparekey.venue.replacing import replace_order
from sparekey.venue.reports import report_balances
from sparekey.venue.spot_apply import apply
from sparekey.venue.spot_decide import decide
from sparekey.venue.spot_state import SpotState, SymbolMarket

_NOT_OPEN = Refusal(Reason.REQUEST_INVALID, ("The market is not open.",))
_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)

#: More orders than this do not begin as internal steps of one command; the others are the first thing after it.
MOST_BEGUN = 1_000


#: How commands are decided that act in several steps.
_IN_STEPS: dict[type, Callable[[SpotState, Any, int, Callable[[Sequence[Any]], None]], Refusal | None]] = {
    ReplaceOrder: replace_order,
    PlaceOrderList: place_order_list,
    CancelOrderList: cancel_order_list,
}


class SpotShard:
    """Implements the sequencer's `Machine`. `state` is the same object for the shard's whole life."""

    name = "spot"

    def __init__(self, participants: Participants) -> None:
        self.participants = participants
        self.state = SpotState(participants)
        self._effects: list[Effect] = []
        #: orders out of the queues that began in the present command
        self._begun = 0
        self._commands = msgspec.msgpack.Decoder(SpotCommand)
        event_type: Any = reduce(or_, participants.event_types, SpotEvent)
        self._events = msgspec.msgpack.Decoder(list[event_type])

    def execute(self, command: Any, time_us: int) -> Sequence[Any] | Refusal:
        kind = command.__class__
        self._begun = 0
        if kind is MarketTick:
            return self._tick(command, time_us)
        if kind is ReplayPrints:
            return self._replay(command, time_us)
        if kind is EndReplay:
            return self._end_replay(command, time_us)
        if kind is BeginQueued:
            events: list[Any] = []
            self._begin_queued(time_us, events)
            return events
        if kind in _IN_STEPS:
            return self._decide_in_steps(command, time_us)
        state = self.state
        outcome: Any = decide(state, command, time_us)
        if outcome.__class__ is not Refusal and outcome:
            if state.lists.open:
                outcome = complete(state, outcome)
            self.apply(outcome, time_us)
            if state.queued or state.lists.due:
                outcome = list(outcome)
                self._begin_queued(time_us, outcome)
        decided: Sequence[Any] | Refusal = outcome
        return decided

    def due(self) -> Any | None:
        return BeginQueued() if self.state.queued or self.state.lists.due else None

    def apply(self, events: Sequence[Any], time_us: int) -> None:
        state, effects = self.state, self._effects
        state.time_us = time_us
        for event in events:
            apply(state, event, time_us, effects)

    def drain(self) -> Sequence[Effect]:
        effects, self._effects = self._effects, []
        if effects and self.state.watched:
            report_balances(self.state, effects)
        if self.state.watched_books:
            report_books(self.state, effects)
        return effects

    def check(self) -> str:
        return self.state.ledger.check()

    def replay_cost_us(self, events: Sequence[Any]) -> int:
        return 6 * len(events)

    def dump(self) -> Any:
        return self.state.dump()

    def load(self, data: Any) -> None:
        self.state.load(data)

    def decode_command(self, raw: bytes | msgspec.Raw) -> Any:
        return self._commands.decode(raw)

    def decode_events(self, raw: bytes | msgspec.Raw) -> Sequence[Any]:
        events: Sequence[Any] = self._events.decode(raw)
        return events

    def _decide_in_steps(self, command: Any, time_us: int) -> list[Any] | Refusal:
        """Commands of which one part is decided on what the part before left."""
        events: list[Any] = []
        decide_steps = _IN_STEPS[command.__class__]
        return decide_steps(self.state, command, time_us, lambda part: self._step(part, time_us, events)) or events

    # --- the market's steps ----------------------------------------------------------------------------------------

    def _tick(self, command: MarketTick, time_us: int) -> list[Any] | Refusal:
        if not self.state.market_open:
            return _NOT_OPEN
        if command.elapsed_us <= 0:
            return Refusal(Reason.CLOCK_BACKWARDS)
        renewed, takers = self.participants.decide_tick(command.elapsed_us)
        events: list[Any] = []
        self._step([renewed], time_us, events)
        for symbol, market in self.state.markets.items():
            if market.orders:
                self._step(self._crossed(market), time_us, events)
            for taker in takers.get(symbol, ()):
                self._step(self._taken(market, taker), time_us, events)
        return events

    def _replay(self, command: ReplayPrints, time_us: int) -> list[Any] | Refusal:
        market = self.state.markets.get(command.symbol)
        if market is None:
            return _SYMBOL_UNKNOWN
        if not self.state.market_open:
            return _NOT_OPEN
        events: list[Any] = []
        for one in command.prints:
            self._step(self._recorded(market, one), time_us, events)
        if command.prints:
            renewed = self.participants.decide_requote(command.symbol, command.prints[-1].price)
            self._step([renewed], time_us, events)
            if market.orders:
                self._step(self._crossed(market), time_us, events)
        return events

    def _end_replay(self, command: EndReplay, time_us: int) -> list[Any] | Refusal:
        market = self.state.markets.get(command.symbol)
        if market is None:
            return _SYMBOL_UNKNOWN
        released = self.participants.decide_release(command.symbol)
        events: list[Any] = []
        if released is not None:
            self._step([released], time_us, events)
            # Quotes of its crosses may have moved with it.
            for one in self.state.markets.values():
                if one.orders:
                    self._step(self._crossed(one), time_us, events)
        return events

    def _step(self, decided: Sequence[Any], time_us: int, events: list[Any]) -> None:
        if decided:
            state = self.state
            if state.lists.open:
                decided = complete(state, decided)
            self.apply(decided, time_us)
            events += decided
            if state.queued or state.lists.due:
                self._begin_queued(time_us, events)

    def _begin_queued(self, time_us: int, events: list[Any]) -> None:
        """What filled working orders let in begins, then the orders in the queues, in their order; all in all as many
        as a command lets begin."""
        state = self.state
        while (state.lists.due or state.queued) and self._begun < MOST_BEGUN:
            if state.lists.due:
                decided = decide_list_start(state, next(iter(state.lists.due.values())))
            else:
                market = next(iter(state.queued.values()))
                decided = decide_queued(state, market, market.orders[next(iter(market.triggers.queue))])
            completed = complete(state, decided)
            self.apply(completed, time_us)
            events += completed
            self._begun += 1

    def _crossed(self, market: SymbolMarket) -> list[Any]:
        """Resting orders that the new quotes cross: they are makers, at their own price, as far as the quotes go."""
        decided: list[Any] = []
        makers = _Makers(market, decided)
        symbol = market.rules.symbol
        for side, quotes, taken in (
            (market.bids, self.participants.asks(symbol), market.taken_asks),
            (market.asks, self.participants.bids(symbol), market.taken_bids),
        ):
            if not side.keys or not quotes:
                continue
            is_bid = side.is_bid
            best = side.best_price()
            if best < quotes[0][0] if is_bid else best > quotes[0][0]:
                continue
            left = [[price, quantity - taken.get(price, 0)] for price, quantity in quotes]
            at = 0
            for remaining, order in side.parts_from_best():
                filled = 0
                while remaining > filled and at < len(left):
                    price, available = left[at]
                    if order.working_price < price if is_bid else order.working_price > price:
                        break
                    amount = min(available, remaining - filled)
                    if amount > 0:
                        decided.append(QuotesTaken(symbol, price, amount, not is_bid))
                        filled += amount
                        left[at][1] -= amount
                    if left[at][1] <= 0:
                        at += 1
                if not filled:
                    break
                makers.fill(order, filled)
        return decided

    def _taken(self, market: SymbolMarket, taker: Taker) -> list[Any]:
        """A participant takes: accounts' orders give fills, other participants' quotes prints."""
        decided: list[Any] = []
        prints: list[MarketPrint] = []
        makers = _Makers(market, decided)
        remaining = taker.quantity
        for price, available, order, _ in offers(market, self.participants, taker.is_buy):
            amount = min(available, remaining)
            if order is None:
                prints.append(MarketPrint(price, amount, not taker.is_buy))
            else:
                makers.print(prints)
                prints = []
                makers.fill(order, amount)
            remaining -= amount
            if not remaining:
                break
        makers.print(prints)
        return decided

    def _recorded(self, market: SymbolMarket, one: MarketPrint) -> list[Any]:
        """A recorded trade: accounts' orders at its price or better go first, the rest prints as recorded."""
        decided: list[Any] = []
        makers = _Makers(market, decided)
        remaining = one.quantity
        side = market.bids if one.buyer_is_maker else market.asks
        for part, order in side.parts_from_best():
            if not remaining or (
                order.working_price < one.price if one.buyer_is_maker else order.working_price > one.price
            ):
                break
            amount = min(part, remaining)
            makers.fill(order, amount)
            remaining -= amount
        if remaining:
            makers.print([MarketPrint(one.price, remaining, one.buyer_is_maker)])
        return decided


class _Makers:
    """Writes down, step by step, what participants who take do to a market."""

    def __init__(self, market: SymbolMarket, decided: list[Any]) -> None:
        self._market = market
        self._decided = decided
        self._trade_id = market.next_trade_id
        #: order id → filled in this step, for icebergs, which fill in parts
        self._filled: dict[int, int] = {}

    def print(self, prints: list[MarketPrint]) -> None:
        """They trade among themselves."""
        if prints:
            self._decided.append(Printed(self._market.rules.symbol, self._trade_id, tuple(prints)))
            self._trade_id += len(prints)

    def fill(self, order: Order, quantity: int) -> None:
        """An account's resting order trades with a participant who takes."""
        rules = self._market.rules
        price = order.working_price
        quote = notional(price, quantity)
        self._decided.append(
            Filled(
                rules.symbol,
                self._trade_id,
                price,
                quantity,
                quote,
                order.is_buy,
                0,
                0,
                0,
                order.order_id,
                order.account_id,
                fee(quantity if order.is_buy else quote, rules.maker_rate),
            )
        )
        self._trade_id += 1
        filled = quantity
        if order.iceberg_quantity:
            filled = self._filled[order.order_id] = self._filled.get(order.order_id, 0) + quantity
        if filled == order.remaining:
            self._decided.append(OrderClosed(rules.symbol, order.order_id, "FILLED"))
