"""What a start asks of the spot shard before anybody is served: listings, order limits, and a market."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sparekey.access.limits import LimitPolicy
from sparekey.market.opening import compose_opening
from sparekey.market.participants import SeededParticipants
from sparekey.market.recordings import Recording
from sparekey.terms.refusals import Refusal
from sparekey.venue.catalogue import Anchor, Catalogue
from sparekey.venue.commands import ListAsset, ListSymbol, SetOrderLimits
from sparekey.venue.listing import OrderLimit
from sparekey.venue.spot_state import SpotState

#: Hands a command to the spot shard.
SubmitSpot = Callable[[Any], Sequence[Any] | Refusal]


class MarketRefused(Exception):
    """This venue cannot have the market that is asked for. The text is one line for people, and says what to do."""


def list_what_is_new(submit: SubmitSpot, spot: SpotState, catalogue: Catalogue) -> None:
    """Listed symbols keep their rules, whatever a newer catalogue says: a market has been trading by them."""
    for asset in catalogue.assets:
        if asset.asset not in spot.assets:
            _must(submit(ListAsset(asset)))
    for symbol in catalogue.symbols:
        if spot.rules(symbol.symbol) is None:
            _must(submit(ListSymbol(symbol)))


def set_order_limits(submit: SubmitSpot, policy: LimitPolicy) -> None:
    """The profile's ORDERS limiters; nothing happens where they are the same as before."""
    limits = tuple(
        OrderLimit(
            limit.interval, limit.interval_count, limit.window_us, limit.limit, policy.gives_back, policy.enforced
        )
        for limit in policy.families["spot"].orders
    )
    _must(submit(SetOrderLimits(limits)))


def check_market(
    spot: SpotState, participants: SeededParticipants, recording: Recording | None, *, market: str, at_end: str
) -> None:
    """Raises `MarketRefused` unless the venue has the market asked for, or can still open it."""
    opened = participants.opened
    if market == "none":
        if opened is not None:
            raise MarketRefused(
                "there is a market already, which --market none would leave standing still; start with --market "
                "simulated, or choose another --data"
            )
        return
    if opened is None:
        if any(spot.last_trade_us(rules.symbol) for rules in spot.symbols()):
            raise MarketRefused(
                "accounts have traded here without a market, and a market opens only where nothing was traded; start "
                "with --market none, or choose another --data"
            )
        return
    recorded = participants.recorded_symbols
    if recorded == ([] if recording is None else [recording.symbol]):
        return
    if recording is not None and at_end == "simulated" and was_taken_over(participants):
        return
    kind = f"replays {recorded[0]}" if recorded else "is simulated"
    raise MarketRefused(
        f"the market here {kind}, which cannot change; start with --market "
        f"{'replay:FILE' if recorded else 'simulated'}, or choose another --data"
    )


def was_taken_over(participants: SeededParticipants) -> bool:
    """Whether participants trade on where a recording has ended."""
    opened = participants.opened
    return opened is not None and not participants.recorded_symbols and any(one.recorded for one in opened.symbols)


def open_market(
    submit: SubmitSpot, spot: SpotState, anchors: Sequence[Anchor], seed: int, now_us: int, recording: Recording | None
) -> None:
    """Once in a venue's life. Raises `MarketRefused`."""
    first_prices = {} if recording is None else {recording.symbol: recording.first_price}
    try:
        opening = compose_opening(seed, anchors, spot.rules, now_us, first_prices)
    except ValueError as error:
        raise MarketRefused(f"the market cannot open: {error}") from error
    _must(submit(opening))


def _must(outcome: Sequence[Any] | Refusal) -> None:
    if isinstance(outcome, Refusal):
        raise MarketRefused(f"the venue refuses what it needs to begin: {outcome.explanation}")
