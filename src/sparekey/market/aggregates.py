"""Aggregate trades: consecutive prints of one taker order at one price, told as one with an id of its own.

Binance spot REST, "Compressed/Aggregate trades list". A taker acts within one record of the journal, so an aggregate
never goes on in the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from sparekey.venue.effects import Print


class Aggregate(msgspec.Struct, frozen=True, gc=False):
    """Prints of one taker order at one price and time."""

    aggregate_id: int
    price: int
    quantity: int
    first_trade_id: int
    last_trade_id: int
    time_us: int
    buyer_is_maker: bool


def aggregate_key(one: Print) -> tuple[int, int, bool]:
    """What prints of one record share that belong together."""
    return one.price, one.taker_order_id, one.buyer_is_maker


def aggregates_of(prints: Sequence[Print], aggregate_id: int) -> Iterator[Aggregate]:
    """One symbol's prints of one record, put together; ids follow `aggregate_id`."""
    for _, group in groupby(prints, key=aggregate_key):
        aggregate_id += 1
        together = list(group)
        first = together[0]
        yield Aggregate(
            aggregate_id,
            first.price,
            sum(one.quantity for one in together),
            first.trade_id,
            together[-1].trade_id,
            first.time_us,
            first.buyer_is_maker,
        )
