"""Special keys of margin (`/sapi/v1/margin/apiKey`): one row per endpoint, paid by the account."""

from __future__ import annotations

from functools import partial

from sparekey.terms.permissions import Permission
from sparekey.wire import margin_keys
from sparekey.wire.account_parameters import addresses, api_key, label, public_key
from sparekey.wire.parameters import enum, symbol
from sparekey.wire.table import Limiter, Row, Security

_row = partial(
    Row,
    security=Security.TRADE,
    permission=Permission.SPOT_AND_MARGIN_TRADING,
    limiter=Limiter.ENDPOINT_UID,
    tolerant=True,
)
_KEY = "/sapi/v1/margin/apiKey"

MARGIN_KEY_ROWS: tuple[Row, ...] = (
    _row(
        "POST",
        _KEY,
        handler=margin_keys.create,
        parameters=(
            label(),
            symbol(),
            addresses("ip"),
            public_key(),
            enum("permissionMode", (margin_keys.TRADE, margin_keys.READ), default=margin_keys.TRADE),
        ),
    ),
    _row("GET", _KEY, handler=margin_keys.query, parameters=(api_key("apiKey"), symbol())),
    _row("GET", "/sapi/v1/margin/api-key-list", handler=margin_keys.list_keys, parameters=(symbol(),)),
    _row(
        "PUT",
        f"{_KEY}/ip",
        handler=margin_keys.change_addresses,
        parameters=(api_key("apiKey"), addresses("ip", mandatory=True), symbol()),
    ),
    _row(
        "DELETE",
        _KEY,
        handler=margin_keys.delete,
        parameters=(api_key("apiKey", mandatory=False), label(mandatory=False), symbol()),
    ),
)
