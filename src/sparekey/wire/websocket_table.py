"""The methods of the WebSocket API that have no route: one row per method, like the tables of the routes."""

from __future__ import annotations

from functools import partial

from sparekey.terms.permissions import Permission
from sparekey.wire import websocket_session as session
from sparekey.wire.parameters import Parameter, long
from sparekey.wire.table import Handler, Row, Security, Twin

PATH = "/ws-api/v3"


def _row(
    name: str,
    handler: Handler,
    *,
    security: Security,
    permission: Permission,
    parameters: tuple[Parameter, ...] = (),
    asks: str = "",
) -> Row:
    return Row(
        "WS",
        f"{PATH}/{name}",
        security=security,
        permission=permission,
        handler=handler,
        parameters=parameters,
        websocket=Twin(name, asks=asks),
    )


_open = partial(_row, security=Security.NONE, permission=Permission.NONE)
#: Signed, although Binance files the subscription by signature under USER_STREAM.
_signed = partial(_row, security=Security.USER_DATA, permission=Permission.READING, asks="signature")

WEBSOCKET_ROWS: tuple[Row, ...] = (
    _signed("session.logon", session.log_on),
    _open("session.status", session.tell_status),
    _open("session.logout", session.log_out),
    _open("session.subscriptions", session.list_subscriptions),
    _row(
        "userDataStream.subscribe",
        session.subscribe,
        security=Security.USER_STREAM,
        permission=Permission.READING,
        asks="logon",
    ),
    _signed("userDataStream.subscribe.signature", session.subscribe_by_signature),
    _open("userDataStream.unsubscribe", session.unsubscribe, parameters=(long("subscriptionId"),)),
)
