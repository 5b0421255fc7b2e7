"""One line of the call log: what a key's owner and an operator may know of a call. No secret, no signature."""

from __future__ import annotations

from typing import NamedTuple


class CallEntry(NamedTuple):
    """`time_us` is when the request was complete, `latency_us` until its reply left. `code` is Binance's (0 = fine),
    `reason` the exact slug (empty = fine). `path` has no query string.

    A named tuple, because one is made per call and handed to SQLite as it is.
    """

    time_us: int
    api_key: str
    ip: str
    method: str
    path: str
    weight: int
    http: int
    code: int
    reason: str
    latency_us: int
    user_agent: str = ""
