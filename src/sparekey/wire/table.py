"""What an endpoint is: one row of a family's table, and a handler.

The tables drive routing, security, weight, parameters, the WebSocket twin and the reference pages. `build_routes`
refuses a table whose row says nothing about security or permission, so no endpoint opens by forgetfulness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from sparekey.terms.permissions import Permission
from sparekey.terms.refusals import Refusal
from sparekey.wire.parameters import RECV_WINDOW, SIGNATURE, TIMESTAMP, Check, Parameter, Reader
from sparekey.wire.weights import Weigh, WeightRow, compile_weight

if TYPE_CHECKING:
    from sparekey.wire.calls import Call
    from sparekey.wire.desk import Desk


class Security(Enum):
    """Binance's security types (spot REST, "Endpoint security type"). All but the first need a key.

    `USER_STREAM` and `MARKET_DATA` send the key alone; `TRADE` and `USER_DATA` are signed.
    """

    NONE = "NONE"
    MARKET_DATA = "MARKET_DATA"
    USER_STREAM = "USER_STREAM"
    USER_DATA = "USER_DATA"
    TRADE = "TRADE"

    @property
    def signed(self) -> bool:
        return self in (Security.USER_DATA, Security.TRADE)

    @property
    def keyed(self) -> bool:
        return self is not Security.NONE


class Limiter(Enum):
    """Who pays: the address for a whole family, or per endpoint the address, the account or both (`/sapi`)."""

    IP = "ip"
    ENDPOINT_IP = "endpoint-ip"
    ENDPOINT_UID = "endpoint-uid"
    ENDPOINT_BOTH = "endpoint-both"


#: What the API families are called where limits are set (`access.limits.FAMILIES`).
LIMIT_FAMILIES = {"api": "spot", "sapi": "sapi", "fapi": "fapi", "dapi": "dapi", "ws-api": "spot"}


class Twin(NamedTuple):
    """A row over the WebSocket API, where it differs from the row (Binance spot, "WebSocket API").

    `in_array`: the reply is an array of one. `tells_orders`: the reply tells the ORDERS limiters; None: if the row
    counts orders. `ignored_with_times`: parameters that do not count where `startTime` or `endTime` is sent, instead
    of being refused together with them. `asks`: the one way in which it may be known who calls, "signature" (of this
    request) or "logon"; otherwise either will do.
    """

    name: str
    in_array: bool = False
    tells_orders: bool | None = None
    ignored_with_times: tuple[str, ...] = ()
    asks: str = ""


#: A handler's answer: the body, or why not. What else the reply needs (headers) it notes on the call.
Handler = Callable[["Desk", "Call"], "bytes | Refusal"]


class Row:
    """One endpoint.

    `order_count`: how many orders a placement adds to the ORDERS limiters. `tolerant`: parameters that the endpoint
    does not know are ignored instead of refused. `since` and `retired_since` are ISO dates for `--api-date`.
    `cancels`: the call takes orders off the book, for which each address has a reserve when it is over its limits.
    `websocket` names the method of the WebSocket API that does the same; a `Twin` also says what differs there.
    `wants_any` names parameters of which at least one must be sent (`orderId` or `origClientOrderId`); `check` looks
    across parameters before anybody is asked who calls.
    """

    __slots__ = (
        "cancels",
        "check",
        "family",
        "handler",
        "limiter",
        "method",
        "order_count",
        "parameters",
        "path",
        "permission",
        "retired_since",
        "security",
        "since",
        "tolerant",
        "twin",
        "wants_any",
        "websocket",
    )

    def __init__(
        self,
        method: str,
        path: str,
        *,
        security: Security | None = None,
        permission: Permission | None = None,
        handler: Handler,
        parameters: tuple[Parameter, ...] = (),
        wants_any: tuple[str, ...] = (),
        check: Check | None = None,
        order_count: int = 0,
        cancels: bool = False,
        limiter: Limiter = Limiter.IP,
        tolerant: bool = False,
        websocket: str | Twin = "",
        since: str = "",
        retired_since: str = "",
    ) -> None:
        self.method = method
        self.path = path
        self.family = path.split("/", 2)[1]
        self.security = security
        self.permission = permission
        self.handler = handler
        self.parameters = parameters
        self.wants_any = wants_any
        self.check = check
        self.order_count = order_count
        self.cancels = cancels
        self.limiter = limiter
        self.tolerant = tolerant
        self.twin = websocket if isinstance(websocket, Twin) else Twin(websocket)
        self.websocket = self.twin.name
        self.since = since
        self.retired_since = retired_since

    def __repr__(self) -> str:
        return f"Row({self.method} {self.path})"


class Route:
    """A row made ready to serve: its weight rule compiled, its parameters bound, its gate flags spread out."""

    __slots__ = (
        "account_weight",
        "charged_on_failure",
        "endpoint",
        "family",
        "fixed_weight",
        "handler",
        "keyed",
        "late_checked",
        "limiter",
        "order_count",
        "path",
        "permission",
        "reader",
        "row",
        "signed",
        "symbol_unknown_weight",
        "weigh",
        "weighs_afterwards",
    )

    def __init__(self, row: Row, weight: WeightRow, *, strict: bool) -> None:
        if row.security is None or row.permission is None:
            raise TableIncomplete(f"{row.method} {row.path} says nothing about its security or permission")
        if row.security.keyed and not row.permission:
            raise TableIncomplete(f"{row.method} {row.path} needs a key, but no permission")
        if row.permission and not row.security.keyed:
            raise TableIncomplete(f"{row.method} {row.path} needs a permission, but no key")
        self.row = row
        self.path = row.path
        #: Which limits count the call; `endpoint` tells windows apart where each endpoint has its own, and cancels
        #: from all else.
        self.family = LIMIT_FAMILIES[row.family]
        self.endpoint = "" if row.limiter is Limiter.IP and not row.cancels else f"{row.method} {row.path}"
        self.handler = row.handler
        self.signed = row.security.signed
        #: The clock is read again just before the engine (spot REST, "Timing security").
        self.late_checked = row.security is Security.TRADE
        self.keyed = row.security.keyed
        self.permission = row.permission
        self.order_count = row.order_count
        self.limiter = row.limiter
        parameters = row.parameters
        tolerated: tuple[Parameter, ...] = ()
        if self.signed:
            parameters = (*parameters, RECV_WINDOW, TIMESTAMP, SIGNATURE)
        elif row.security.keyed:
            # Several clients sign these although nothing asks them to (ccxt, python-binance on margin/allPairs).
            tolerated = (RECV_WINDOW, TIMESTAMP, SIGNATURE)
        self.reader = Reader(
            parameters,
            wants_any=row.wants_any,
            tolerated=tolerated,
            tolerant=row.tolerant and not strict,
            check=row.check,
        )
        address_rule, account_rule = split_rule(weight.rule, row.limiter)
        if account_rule and not account_rule.isdigit():
            raise TableIncomplete(f"{row.method} {row.path} is paid by the account, by a rule that is no number")
        rule = compile_weight(address_rule, self.reader.defaults)
        #: The weight where no parameter matters, else -1.
        self.fixed_weight: int = rule.fixed
        self.account_weight: int = int(account_rule or 0)
        self.weigh: Weigh = rule.weigh
        #: Free on success, this much on failure; 0 where success costs the same.
        self.charged_on_failure: int = rule.on_failure
        #: What the call costs where no symbol has the name that was sent; -1: as much as otherwise.
        self.symbol_unknown_weight: int = rule.symbol_unknown
        #: What the call costs depends on what becomes of it.
        self.weighs_afterwards = rule.on_failure > 0 or rule.symbol_unknown >= 0


def split_rule(rule: str, limiter: Limiter) -> tuple[str, str]:
    """What the address pays, and what the account does; `8+3000` where both pay, in this order."""
    if limiter is Limiter.ENDPOINT_UID:
        return "0", rule
    if limiter is not Limiter.ENDPOINT_BOTH:
        return rule, ""
    address_rule, _, account_rule = rule.partition("+")
    return address_rule, account_rule or "nothing"


class TableIncomplete(Exception):
    """A table row lacks what the gate must know. The application is not built."""


Routes = Mapping[str, Mapping[bytes, Route]]


def build_routes(
    rows: Iterable[Row], weights: Mapping[tuple[str, str], WeightRow], *, api_date: str = "", strict: bool = False
) -> Routes:
    """Method → path → route, for the rows that exist at `api_date` (empty: all of them, lately retired ones too)."""
    routes: dict[str, dict[bytes, Route]] = {}
    for row in rows:
        if not exists_at(row, api_date):
            continue
        weight = weights.get((row.method, row.path))
        if weight is None:
            raise TableIncomplete(f"{row.method} {row.path} has no weight in this profile")
        if weight.order_count != row.order_count:
            raise TableIncomplete(f"{row.method} {row.path} counts {row.order_count} orders, its weight row another")
        paths = routes.setdefault(row.method, {})
        path = row.path.encode()
        if path in paths:
            raise TableIncomplete(f"{row.method} {row.path} stands twice in the table")
        paths[path] = Route(row, weight, strict=strict)
    return routes


def exists_at(row: Row, api_date: str) -> bool:
    """Whether Binance served it on that day; empty: at any time."""
    return not api_date or (api_date >= row.since and not (row.retired_since and api_date >= row.retired_since))


def cancels_of(routes: Routes) -> frozenset[str]:
    """The endpoints that may use the reserve for cancels."""
    return frozenset(route.endpoint for paths in routes.values() for route in paths.values() if route.row.cancels)


def describe(row: Row) -> dict[str, Any]:
    """The row as plain data, for reference pages and `sparekey` subcommands."""
    assert row.security is not None
    assert row.permission is not None
    return {
        "method": row.method,
        "path": row.path,
        "security": row.security.value,
        "permission": row.permission.name or "",
        "orders": row.order_count,
        "limiter": row.limiter.value,
        "websocket": row.websocket,
        "retiredSince": row.retired_since,
        "parameters": [parameter.describe() for parameter in row.parameters],
    }
