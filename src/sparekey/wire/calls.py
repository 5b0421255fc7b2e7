"""A call: a request that the gate let in, its parameters read, on its way to a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparekey.terms.admissions import Admission

if TYPE_CHECKING:
    from sparekey.wire.table import Route


class Call:
    """`values` holds every declared parameter by its name, absent ones at their default.

    `now_us` is the wire clock when the request was received. `account_id` is 0 and `admission` None on public routes.
    A handler may set `headers`, rendered lines that join the reply's.
    """

    __slots__ = ("account_id", "admission", "headers", "microseconds", "now_us", "route", "values")

    def __init__(self, route: Route, values: dict[str, Any], now_us: int, microseconds: bool) -> None:
        self.route = route
        self.values = values
        self.now_us = now_us
        self.microseconds = microseconds
        self.account_id = 0
        self.admission: Admission | None = None
        self.headers = b""

    def time(self, time_us: int) -> int:
        """A time as the caller wants it: milliseconds, or microseconds (header `X-MBX-TIME-UNIT`). -1 stays -1."""
        return time_us if self.microseconds or time_us < 0 else time_us // 1_000

    def admitted(self) -> Admission:
        """The gate's stamp; only routes that need a key have one."""
        assert self.admission is not None
        return self.admission
