"""API Management: the list of an account's keys, each key's own page, and the page that shows a new secret once.

Stable address: /my/settings/api-management. How keys are made and changed stands in `key_making` and `key_changing`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.access.state import Key
from sparekey.console.activity import Activity
from sparekey.console.least_privilege import narrowest, needs_of
from sparekey.console.pages import key_changing, key_making
from sparekey.console.pages.key_desk import HOME, TITLES, KeyDesk
from sparekey.console.pages.shell import SECURITY_HEADERS
from sparekey.console.ready_lines import pem_name, ready_lines
from sparekey.storage.calls import CallLog
from sparekey.terms.permissions import Permission, names_of
from sparekey.terms.reasons import Reason

#: Calls on a key's page, and on the page of its calls.
_TAIL: Final = 12
_LONG_TAIL: Final = 100
_SLUGS: Final = {reason.slug: reason for reason in Reason}


def routes(desk: KeyDesk) -> list[Route]:
    only = desk.shell.holders_only
    activity = Activity(desk.calls, desk.clocks.wall_us)

    async def show_list(request: Request, session: Any) -> Response:
        keys = desk.own.keys(session)
        last = await asyncio.to_thread(desk.calls.last_calls, [key.api_key for key in keys])
        shown = [desk.shown(key, last.get(key.api_key)) for key in _in_order(keys)]
        return desk.page(
            request,
            "list.html",
            session,
            keys=shown,
            missing=desk.own.missing(session),
            active=sum(one.state[0] in ("Active", "Expires soon", "Retiring") for one in shown),
        )

    async def show_key(request: Request, session: Any) -> Response:
        key = desk.key_of(request, session)
        called, callers, tail = await asyncio.to_thread(_read, desk.calls, key, _TAIL)
        needs = needs_of(Permission(key.permissions), called, desk.permissions_of_routes)
        enough = narrowest(needs)
        predecessor = desk.own.neighbour(key.replaces)
        left_behind = [] if predecessor is None else await asyncio.to_thread(desk.calls.callers, predecessor.api_key)
        shown = desk.shown(key, tail[-1] if tail else None)
        return desk.page(
            request,
            "key.html",
            session,
            shown=shown,
            needs=needs,
            enough=enough,
            surplus=[one.name for one in needs if one.held and one.name not in enough],
            answered=sum(one.calls - one.refused for one in called),
            callers=callers,
            predecessor=None if predecessor is None else desk.shown(predecessor),
            left_behind=[one for one in left_behind if one.last_hour_us >= key.created_us - _offset(desk) - _HOUR_US],
            tail=[(entry, _SLUGS.get(entry.reason)) for entry in reversed(tail)],
        )

    async def show_usage(request: Request, session: Any) -> Response:
        key = desk.key_of(request, session)
        called, callers, tail = await asyncio.to_thread(_read, desk.calls, key, _LONG_TAIL)
        return desk.page(
            request,
            "usage.html",
            session,
            shown=desk.shown(key),
            heat=await activity.key_heat(key.api_key),
            called=called,
            callers=callers,
            tail=[(entry, _SLUGS.get(entry.reason)) for entry in reversed(tail)],
            needed={route: TITLES[name] for route, bit in desk.permissions_of_routes.items() for name in names_of(bit)},
        )

    async def show_secret(request: Request, session: Any) -> Response:
        key = desk.key_of(request, session)
        if request.method != "GET":  # the head alone shows nothing, and must not use it up
            return Response(headers=SECURITY_HEADERS)
        secret = desk.once.take(session.handle, key.key_id) if key.key_type == "hmac" else ""
        if secret is None:
            return desk.page(request, "secret_gone.html", session, status=410, shown=desk.shown(key))
        base = f"{'https' if desk.shell.is_secure(request) else 'http'}://{request.headers.get('host', '')}"
        return desk.page(
            request,
            "secret.html",
            session,
            shown=desk.shown(key),
            secret=secret,
            pem=pem_name(key.key_type),
            lines=ready_lines(base, key.api_key, key.key_type, secret),
        )

    return [
        Route(HOME, only(show_list), methods=["GET"]),
        *key_making.routes(desk),
        *key_changing.routes(desk),
        Route(f"{HOME}/{{key_id}}", only(show_key), methods=["GET"]),
        Route(f"{HOME}/{{key_id}}/usage", only(show_usage), methods=["GET"]),
        Route(f"{HOME}/{{key_id}}/secret", only(show_secret), methods=["GET"]),
    ]


_HOUR_US: Final = 3_600_000_000


def _offset(desk: KeyDesk) -> int:
    """From wall time, which the call log goes by, to policy time."""
    return desk.clocks.policy_us() - desk.clocks.wall_us()


def _in_order(keys: list[Key]) -> list[Key]:
    """The newest first, each followed by the key that it replaces."""
    by_id = {key.key_id: key for key in keys}
    replaced = {key.replaces for key in keys if key.replaces in by_id}
    ordered = []
    for key in reversed(keys):
        if key.key_id in replaced:
            continue
        in_row: Key | None = key
        while in_row is not None:
            ordered.append(in_row)
            in_row = by_id.get(in_row.replaces)
    return ordered


def _read(calls: CallLog, key: Key, limit: int) -> tuple[Any, Any, Any]:
    return calls.routes_called(key.api_key), calls.callers(key.api_key), calls.tail(limit, key.api_key)
