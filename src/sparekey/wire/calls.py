"""A call: a request that the gate let in, its parameters read, on its way to a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sparekey.terms.admissions import Admission

if TYPE_CHECKING:
    from sparekey.wire.table import Route
    from sparekey.wire.websocket_session import Session


class Call(msgspec.Struct, gc=False, eq=False):
    """`values` holds every declared parameter by its name, absent ones at their default.

    `now_us` is the wire clock when the request was received. `account_id` is 0 and `admission` None on public routes.
    A handler may set `headers`, rendered lines that join the reply's, and `free` where its outcome costs no weight.
    `session` is the WebSocket that the call came on, if it came over the WebSocket API.
    """

    route: Route
    values: dict[str, Any]
    now_us: int
    microseconds: bool
    account_id: int = 0
    admission: Admission | None = None
    headers: bytes = b""
    free: bool = False
    session: Session | None = None

    def time(self, time_us: int) -> int:
        """A time as the caller wants it: milliseconds, or microseconds (header `X-MBX-TIME-UNIT`). -1 stays -1."""
        return time_us if self.microseconds or time_us < 0 else time_us // 1_000

    def on_session(self) -> Session:
        """The WebSocket; only what is asked of the WebSocket API has one."""
        assert self.session is not None
        return self.session

    def admitted(self) -> Admission:
        """The gate's stamp; only routes that need a key have one."""
        assert self.admission is not None
        return self.admission
