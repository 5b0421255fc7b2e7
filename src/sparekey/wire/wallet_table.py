"""The wallet and margin family (`/sapi`): one row per endpoint. Each endpoint has weight windows of its own.

Surplus parameters are ignored here, as clients rely on: some sign `margin/allPairs`, which nobody asks them to.
"""

from __future__ import annotations

from functools import partial

from sparekey.terms.permissions import Permission
from sparekey.wire import wallet
from sparekey.wire.parameters import symbol
from sparekey.wire.table import Limiter, Row, Security

_read = partial(
    Row, security=Security.USER_DATA, permission=Permission.READING, limiter=Limiter.ENDPOINT_IP, tolerant=True
)
_keyed = partial(
    Row, security=Security.MARKET_DATA, permission=Permission.READING, limiter=Limiter.ENDPOINT_IP, tolerant=True
)

WALLET_ROWS: tuple[Row, ...] = (
    Row(
        "GET",
        "/sapi/v1/system/status",
        security=Security.NONE,
        permission=Permission.NONE,
        handler=wallet.system_status,
        limiter=Limiter.ENDPOINT_IP,
        tolerant=True,
    ),
    _read("GET", "/sapi/v1/capital/config/getall", handler=wallet.all_coins),
    _read("GET", "/sapi/v1/account/apiRestrictions", handler=wallet.api_restrictions),
    _read("GET", "/sapi/v1/account/status", handler=wallet.account_status),
    _read("GET", "/sapi/v1/account/apiTradingStatus", handler=wallet.api_trading_status),
    _read("GET", "/sapi/v1/asset/tradeFee", handler=wallet.trade_fees, parameters=(symbol(),)),
    _keyed("GET", "/sapi/v1/margin/allPairs", handler=wallet.margin_pairs, parameters=(symbol(),)),
    _keyed("GET", "/sapi/v1/margin/isolated/allPairs", handler=wallet.margin_pairs, parameters=(symbol(),)),
)
