"""The console's ASGI application: the management API on `/sparekey/v1`, pages on all other paths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from sparekey.console.api_contract import PREFIX, make_api
from sparekey.console.api_operator import TAGS, operator_routes
from sparekey.console.bans import Bans
from sparekey.console.front_page import SECURITY_HEADERS, front_page
from sparekey.console.management import Management
from sparekey.console.receipts import Receipts

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


def make_console(
    management: Management, bans: Bans, receipts: Receipts, operator_token: str, facts: Mapping[str, str] | None = None
) -> Asgi:
    """For now a front page with `facts`, and the management API."""
    api = make_api(operator_routes(management, bans, receipts, operator_token), TAGS)
    page = front_page(facts or {})

    async def show_front_page(request: Request) -> HTMLResponse:
        return HTMLResponse(page, headers=SECURITY_HEADERS)

    return beside(api, Starlette(routes=[Route("/", show_front_page)]))


def beside(api: Asgi, pages: Asgi) -> Asgi:
    """One application of two: each answers its own paths, and its own errors in its own form."""

    async def console(scope: _Scope, receive: _Receive, send: _Send) -> None:
        path = scope.get("path", "")
        is_api = path == PREFIX or path.startswith(f"{PREFIX}/")
        await (api if is_api else pages)(scope, receive, send)

    return console
