"""The console's ASGI application: the management API on `/sparekey/v1`, pages on all other paths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.routing import Route

from sparekey.console import api_me, api_my_keys, api_operator, api_session
from sparekey.console.api_contract import PREFIX, make_api
from sparekey.console.pages import front_page
from sparekey.console.pages.shell import Shell

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


_TAGS = {**api_session.TAGS, **api_me.TAGS, **api_my_keys.TAGS, **api_operator.TAGS}


def make_console(routers: Sequence[APIRouter], shell: Shell, pages: Sequence[Route] = ()) -> Asgi:
    """The management API of these routers, and `pages` on the shell besides the shell's own."""
    return beside(make_api(routers, _TAGS), shell.application([*front_page.routes(shell), *pages]))


def beside(api: Asgi, pages: Asgi) -> Asgi:
    """One application of two: each answers its own paths, and its own errors in its own form."""

    async def console(scope: _Scope, receive: _Receive, send: _Send) -> None:
        path = scope.get("path", "")
        is_api = path == PREFIX or path.startswith(f"{PREFIX}/")
        await (api if is_api else pages)(scope, receive, send)

    return console
