"""unicorn-binance-local-depth-cache against the server's own book, before and after a restart of the server."""

from __future__ import annotations

import time
from typing import Any

from led import SOCKET, LedRest, passed, restart, until
from unicorn_binance_local_depth_cache import BinanceLocalDepthCacheManager, DepthCacheOutOfSync

MARKET = "BTCUSDT"
_ITS_NAME = MARKET.lower()

rest = LedRest(exchange="binance.com", warn_on_update=False)
caches = BinanceLocalDepthCacheManager(
    exchange="binance.com", ubra_manager=rest, depth_cache_update_interval=100, warn_on_update=False
)
caches.ubwa.websocket_base_uri = f"{SOCKET}/"
caches.ubwa.restart_timeout = 1
caches.create_depthcache(markets=MARKET)


def best(side: Any) -> list[tuple[float, float]]:
    """The hundred best prices of a side with their quantities."""
    return [(float(price), float(quantity)) for price, quantity in side[:100]]


def kept() -> tuple[int, dict[str, Any]] | None:
    """The cache and the update that it is at, or None while it changes or is out of sync."""
    try:
        before = caches.depth_caches[_ITS_NAME]["last_update_id"]
        book = {
            "bids": best(caches.get_bids(MARKET)),
            "asks": best(caches.get_asks(MARKET)),
        }
        after = caches.depth_caches[_ITS_NAME]["last_update_id"]
    except DepthCacheOutOfSync:
        return None
    return (before, book) if before is not None and before == after else None


def same_book() -> bool:
    """Three times they were at the same update, and each time they were the same."""
    mine: dict[int, Any] = {}
    theirs: dict[int, Any] = {}
    next_look = 0.0

    def met() -> bool:
        nonlocal next_look
        now = kept()
        if now is not None:
            mine[now[0]] = now[1]
        if time.monotonic() >= next_look:  # a look weighs: the server's limits hold for tests too
            next_look = time.monotonic() + 0.5
            book = rest.get_order_book(symbol=MARKET, limit=100)
            theirs[book["lastUpdateId"]] = {side: best(book[side]) for side in ("bids", "asks")}
        return len(mine.keys() & theirs.keys()) >= 3

    until(met, 60)
    return all(mine[one] == theirs[one] for one in mine.keys() & theirs.keys())


until(lambda: caches.is_depth_cache_synchronized(MARKET))
passed("synchronises: `create_depthcache`, `is_depth_cache_synchronized`")
assert same_book()
passed("its hundred best prices a side are the server's: `get_bids`, `get_asks`")
restart()
until(lambda: not caches.is_depth_cache_synchronized(MARKET), 20)
until(lambda: caches.is_depth_cache_synchronized(MARKET), 60)
assert same_book()
passed("is in sync again after the server was restarted")
caches.stop_manager()
