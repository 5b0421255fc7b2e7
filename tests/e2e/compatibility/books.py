"""A client's own order book, made of differences, against the server's at the same update."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

#: update id, price → quantity of both sides
Kept = tuple[int, Mapping[float, float], Mapping[float, float]]

_TRIES = 400


async def same_book(kept: Callable[[], Awaitable[Kept]], asked: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
    """Three times, the book that `kept` gives is the one of `GET /api/v3/depth` with the same `lastUpdateId`.

    The two seldom have the same one at the same time, as a stream sums up: both are remembered until they meet.
    """
    mine: dict[int, Any] = {}
    theirs: dict[int, Any] = {}
    for _ in range(_TRIES):
        update_id, bids, asks = await kept()
        mine[update_id] = (dict(bids), dict(asks))
        document = await asked()
        theirs[int(document["lastUpdateId"])] = tuple(
            {float(price): float(quantity) for price, quantity in document[side]} for side in ("bids", "asks")
        )
        met = mine.keys() & theirs.keys()
        if len(met) >= 3:
            assert {update_id: mine[update_id] for update_id in met} == {one: theirs[one] for one in met}
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"after {_TRIES} updates the books have met {len(mine.keys() & theirs.keys())} times")
