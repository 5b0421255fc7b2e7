"""All tables together, as routes of a profile, and as methods of the WebSocket API."""

from __future__ import annotations

from sparekey.wire.broker_table import BROKER_ROWS
from sparekey.wire.futures_table import FUTURES_ROWS
from sparekey.wire.margin_keys_table import MARGIN_KEY_ROWS
from sparekey.wire.spot_table import SPOT_ROWS
from sparekey.wire.sub_accounts_table import SUB_ACCOUNT_ROWS
from sparekey.wire.table import Routes, Row, build_routes
from sparekey.wire.wallet_table import WALLET_ROWS
from sparekey.wire.websocket_api import Methods, build_methods
from sparekey.wire.websocket_table import WEBSOCKET_ROWS
from sparekey.wire.weights import load_weights

ALL_ROWS: tuple[Row, ...] = (
    *SPOT_ROWS,
    *WALLET_ROWS,
    *SUB_ACCOUNT_ROWS,
    *BROKER_ROWS,
    *MARGIN_KEY_ROWS,
    *FUTURES_ROWS,
)


def load_routes(weights: str, *, api_date: str = "", strict: bool = False) -> Routes:
    """Every endpoint with the weights of a profile (`LimitPolicy.weights`).

    `api_date` (ISO) picks the routes of a day; `strict` refuses surplus parameters also where clients rely on their
    being ignored. Raises `TableIncomplete`.
    """
    return build_routes(ALL_ROWS, load_weights(weights), api_date=api_date, strict=strict)


def load_methods(weights: str, *, api_date: str = "", strict: bool = False) -> Methods:
    """Every method of the WebSocket API, in the same way."""
    rows = (*ALL_ROWS, *WEBSOCKET_ROWS)
    return build_methods(rows, load_weights(weights), api_date=api_date, strict=strict)
