"""Cancel and place in one command (spot REST, "Cancel an Existing Order and Send a New Order").

Order limit and filters are asked first, on the book as it stands: they refuse the whole. Then each half is decided on
what the one before left, and a half that is done stays done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import ReplaceOrder
from sparekey.venue.events import CancelRefused, PlacementRefused
from sparekey.venue.orders import generated_client_order_id
from sparekey.venue.spot_decide import check_order_limits, decide, enter_order, judge_placement
from sparekey.venue.spot_state import SpotState

#: Applies what a half led to, before the next one is decided.
Step = Callable[[Sequence[Any]], None]


def replace_order(state: SpotState, command: ReplaceOrder, now_us: int, step: Step) -> Refusal | None:
    """None: both halves were decided, and what came of them went through `step`."""
    place = command.place
    over_limit = check_order_limits(state, place.admission.account_id, now_us)
    if over_limit is not None and not command.cancel_over_limit:
        return over_limit
    market = judge_placement(state, place, now_us, counted=False)
    if isinstance(market, Refusal):
        return market
    cancelled = decide(state, command.cancel, now_us)
    if isinstance(cancelled, Refusal):
        step([CancelRefused(place.symbol, place.admission.account_id, cancelled.reason.slug, cancelled.facts)])
        if not command.place_anyway:
            step([_refused(state, command, over_limit, counted=over_limit is None, tried=False)])
            return None
    else:
        step(cancelled)
    if over_limit is not None:
        step([_refused(state, command, over_limit, counted=False)])
        return None
    placed = enter_order(state, market, place, now_us)
    if isinstance(placed, Refusal):
        step([_refused(state, command, placed, counted=True)])
    else:
        step(placed)
    return None


def _refused(
    state: SpotState, command: ReplaceOrder, why: Refusal | None, *, counted: bool, tried: bool = True
) -> PlacementRefused:
    place = command.place
    market = state.markets[place.symbol]
    return PlacementRefused(
        place.symbol,
        place.admission.account_id,
        place.client_order_id or generated_client_order_id(market.next_order_id),
        place.side,
        place.type,
        place.time_in_force,
        place.quantity,
        place.quote_quantity,
        place.price,
        place.prevention_mode or market.rules.default_prevention_mode,
        place.stop_price,
        place.iceberg_quantity,
        place.trailing_delta,
        place.strategy_id,
        place.strategy_type,
        why.reason.slug if tried and why is not None else "",
        () if why is None else why.facts,
        counted,
        counted and tried,
    )
