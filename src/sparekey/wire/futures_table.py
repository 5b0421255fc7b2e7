"""The futures families (`/fapi`, `/dapi`): what clients ask for while they start. No contract trades yet."""

from __future__ import annotations

from functools import partial

from sparekey.terms.permissions import Permission
from sparekey.wire import futures, spot_general
from sparekey.wire.table import Row, Security

_public = partial(Row, security=Security.NONE, permission=Permission.NONE, tolerant=True)

FUTURES_ROWS: tuple[Row, ...] = (
    _public("GET", "/fapi/v1/ping", handler=spot_general.ping),
    _public("GET", "/fapi/v1/time", handler=spot_general.time),
    _public("GET", "/fapi/v1/exchangeInfo", handler=futures.exchange_info_usdm),
    _public("GET", "/dapi/v1/ping", handler=spot_general.ping),
    _public("GET", "/dapi/v1/time", handler=spot_general.time),
    _public("GET", "/dapi/v1/exchangeInfo", handler=futures.exchange_info_coinm),
)
