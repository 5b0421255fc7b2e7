"""What a key may do beside what it did: which of its permissions its calls have needed.

Each row of the endpoint tables names the permission that it asks for, so what was called tells what was needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sparekey.storage.calls import RouteCalls
from sparekey.terms.permissions import PERMISSION_NAMES, PREREQUISITES, Permission
from sparekey.wire.routes import ALL_ROWS
from sparekey.wire.table import Row
from sparekey.wire.websocket_table import PATH as WEBSOCKET_API
from sparekey.wire.websocket_table import WEBSOCKET_ROWS


class Need(NamedTuple):
    """One permission: whether the key has it, the calls that needed it and were answered, and what they asked for.

    `implied`: another permission that was needed presupposes it.
    """

    name: str
    held: bool
    calls: int
    routes: tuple[str, ...]
    refused: int
    implied: bool = False


def permissions_of_routes(rows: Iterable[Row] = (*ALL_ROWS, *WEBSOCKET_ROWS)) -> dict[tuple[str, str], Permission]:
    """(method, path), as the call log has them, → the permission; those that need a key."""
    found: dict[tuple[str, str], Permission] = {}
    for row in rows:
        if row.permission:
            found[row.method, row.path] = row.permission
            if row.websocket:
                found["WS", f"{WEBSOCKET_API}/{row.websocket}"] = row.permission
    return found


def needs_of(
    held: Permission, called: Sequence[RouteCalls], permissions: Mapping[tuple[str, str], Permission]
) -> list[Need]:
    """In the order in which permissions are shown. Calls that were refused needed nothing: they got nothing."""
    answered = dict.fromkeys(Permission, 0)
    refused = dict.fromkeys(Permission, 0)
    routes: dict[Permission, list[str]] = {permission: [] for permission in Permission}
    for route in called:
        permission = permissions.get((route.method, route.path))
        if permission is None:
            continue
        answered[permission] += route.calls - route.refused
        refused[permission] += route.refused
        if route.calls > route.refused:
            routes[permission].append(f"{route.method} {route.path}")
    implied = Permission.NONE
    for permission, count in answered.items():
        if count:
            implied |= PREREQUISITES.get(permission, Permission.NONE)
    return [
        Need(
            name,
            bool(held & permission),
            answered[permission],
            tuple(sorted(routes[permission])),
            refused[permission],
            bool(implied & permission) and not answered[permission],
        )
        for name, permission in PERMISSION_NAMES.items()
    ]


def narrowest(needs: Iterable[Need]) -> list[str]:
    """The permissions that would have been enough; reading always is one, since every key has it."""
    return [one.name for one in needs if one.held and (one.calls or one.implied or one.name == "reading")]
