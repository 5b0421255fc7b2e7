"""The WebSocket API: one frame in, one reply out, by the same rows, gate and handlers as the routes.

What differs is how a request is written: parameters are JSON, the signed bytes are all of them but the signature,
sorted by name and not percent-encoded, and whoever logged on with `session.logon` signs nothing more. Binance spot,
"WebSocket API".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from sparekey.access.gate import Gate
from sparekey.access.limits import Limit
from sparekey.terms.clocktime import MILLISECOND_US, SECOND_US
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.listing import OrderLimit
from sparekey.wire.application import Application, shown_key
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.errors import UNKNOWN_ERROR, PublicError, RefusalWithData, error_body, public_error, retry_after
from sparekey.wire.parameters import API_KEY, RECV_WINDOW, SIGNATURE, TIMESTAMP, Parameter, Reader, boolean, split_pairs
from sparekey.wire.requests import Reply, Request
from sparekey.wire.table import Route, Row, TableIncomplete, exists_at
from sparekey.wire.websocket_frames import Frame, parse_frame
from sparekey.wire.websocket_session import Session
from sparekey.wire.websocket_table import PATH
from sparekey.wire.weights import WeightRow

_log = logging.getLogger(__name__)

#: "Connecting to WebSocket API costs 2 weight"; what is no request pays like the cheapest one.
CONNECTION_WEIGHT = 2
_UNREAD_WEIGHT = 1
_FAMILY = "spot"
_VERSION = "v3/"
_RETURN_LIMITS = "returnRateLimits"
_parse_boolean = boolean(_RETURN_LIMITS).parse
_ROUTE_UNKNOWN = Refusal(Reason.ROUTE_UNKNOWN)
_RETURN_LIMITS_INVALID = Refusal(Reason.PARAMETER_INVALID, (_RETURN_LIMITS,))
_KEY_REFUSED = -2015
_NULL = b"null"
_PATH = PATH.encode()
#: So many frames in a row that are no requests, and the connection ends, as clients have seen it.
_MOST_MALFORMED = 10
_OF_THE_CALLER = (API_KEY, RECV_WINDOW, TIMESTAMP, SIGNATURE)


class Method:
    """A row made ready for the WebSocket API."""

    __slots__ = ("by_logon", "by_signature", "path", "route", "tells_orders", "twin")

    def __init__(self, row: Row, weight: WeightRow, *, strict: bool) -> None:
        twin = row.twin
        route = self.route = Route(row, weight, strict=strict)
        self.twin = twin
        self.path = f"{PATH}/{twin.name}".encode()
        self.tells_orders = row.order_count > 0 if twin.tells_orders is None else twin.tells_orders

        def reader(declared: tuple[Parameter, ...], tolerated: tuple[Parameter, ...]) -> Reader:
            return Reader(
                (*row.parameters, *declared),
                wants_any=row.wants_any,
                tolerated=tolerated,
                tolerant=row.tolerant and not strict,
                check=row.check,
            )

        #: Of requests that say themselves who calls, and of those of whoever logged on. The first is also how methods
        #: are read that ask nobody; several clients sign those as well, and are let do so.
        if route.signed:
            self.by_signature = reader(_OF_THE_CALLER, ())
            self.by_logon = reader((RECV_WINDOW, TIMESTAMP), ())
        elif route.keyed:
            self.by_signature = reader((API_KEY,), (RECV_WINDOW, TIMESTAMP, SIGNATURE))
            self.by_logon = reader((), _OF_THE_CALLER)
        else:
            self.by_signature = self.by_logon = reader((), _OF_THE_CALLER)


Methods = dict[str, Method]


def build_methods(
    rows: Iterable[Row], weights: Mapping[tuple[str, str], WeightRow], *, api_date: str = "", strict: bool = False
) -> Methods:
    """By name: every row that has a twin here and exists at `api_date`."""
    methods: Methods = {}
    for row in rows:
        if not row.websocket or not exists_at(row, api_date):
            continue
        weight = weights.get((row.method, row.path))
        if weight is None:
            raise TableIncomplete(f"{row.method} {row.path} has no weight in this profile")
        if row.websocket in methods:
            raise TableIncomplete(f"{row.websocket} stands twice in the tables")
        methods[row.websocket] = Method(row, weight, strict=strict)
    return methods


class Target(NamedTuple):
    """What the URL of a connection asks for."""

    tells_limits: bool
    microseconds: bool


def parse_target(query: bytes) -> Target | Refusal:
    values = split_pairs(query)
    if isinstance(values, Refusal):
        return values
    unit = values.get("timeUnit", "")
    if unit not in ("", "MILLISECOND", "millisecond", "MICROSECOND", "microsecond"):
        return Refusal(Reason.TIME_UNIT_INVALID)
    encoding = values.get("responseFormat", "json")
    if encoding == "sbe":
        return Refusal(Reason.SBE_DISABLED)
    if encoding != "json":
        return Refusal(Reason.PARAMETER_INVALID, ("responseFormat",))
    tells_limits = _parse_boolean(values.get(_RETURN_LIMITS, "true"))
    if isinstance(tells_limits, Refusal):
        return tells_limits
    return Target(tells_limits, unit in ("MICROSECOND", "microsecond"))


class Answer(msgspec.Struct, gc=False):
    """`reply.body` is the whole frame; `afterwards` are events that follow it; `ends` says why it is the last one."""

    request: Request
    reply: Reply
    afterwards: list[bytes]
    ends: str = ""


class _Asked(msgspec.Struct, gc=False):
    """What is known of a request while it is answered."""

    session: Session
    id: bytes
    request: Request
    now_us: int
    tells_limits: bool
    weight: int = 0
    tells_orders: bool = False
    call: Call | None = None


class WebsocketApi:
    """Answers frames. `application` is whose routes these methods are the twins of."""

    def __init__(self, methods: Methods, application: Application, gate: Gate, desk: Desk) -> None:
        self.methods = methods
        self.when_durable: Callable[[Callable[[], None]], bool] = application.when_durable
        self._application = application
        self._gate = gate
        self._desk = desk
        self._clocks = desk.clocks
        weight = desk.limits(_FAMILY).weight
        self._weight_item = _limit_item("REQUEST_WEIGHT", weight)
        self._order_items: dict[OrderLimit, bytes] = {}

    def enter(self, ip: str) -> Refusal | None:
        """A new connection pays, too."""
        return self._gate.enter(ip, CONNECTION_WEIGHT, self._clocks.wire_us(), _FAMILY)

    def retry_after_s(self, ip: str) -> int:
        return self._gate.retry_after_s(ip, self._clocks.wire_us(), _FAMILY)

    # --- one frame ---------------------------------------------------------------------------------------------------

    def handle(self, session: Session, message: bytes, received_us: int) -> Answer:
        frame = parse_frame(message)
        method = self.methods.get(frame.method.removeprefix(_VERSION))
        path = _PATH if method is None else method.path
        request = Request("WS", path, ip=session.ip, received_us=received_us, user_agent=session.user_agent)
        asked = _Asked(session, frame.id, request, received_us + self._clocks.skew_us, session.tells_limits)
        try:
            reply = self._turn_away(asked, frame) if method is None else self._call(asked, frame.pairs, method)
        except Exception:
            # The path alone: parameters hold signatures.
            _log.exception("a call failed inside: %s", path.decode())
            asked.tells_limits = False
            reply = self._reply(asked, UNKNOWN_ERROR, error_body(UNKNOWN_ERROR), "internal-error")
        afterwards, session.afterwards = session.afterwards, []
        ends = ""
        if reply.status == 418:
            ends = "The address is banned."
        elif session.malformed >= _MOST_MALFORMED:
            ends = "disconnected"
        return Answer(request, reply, afterwards, ends)

    def _turn_away(self, asked: _Asked, frame: Frame) -> Reply:
        """A frame that is no request, or names no method."""
        asked.weight = _UNREAD_WEIGHT
        refusal = self._gate.enter(asked.session.ip, _UNREAD_WEIGHT, asked.now_us, _FAMILY)
        if refusal is not None:
            return self._refused(asked, refusal)
        if frame.refusal is None:
            return self._refused(asked, _ROUTE_UNKNOWN)
        asked.session.malformed += 1
        asked.tells_limits = False
        return self._refused(asked, frame.refusal)

    def _call(self, asked: _Asked, pairs: dict[str, str], method: Method) -> Reply:
        session, request, now_us = asked.session, asked.request, asked.now_us
        session.malformed = 0
        route = method.route
        weight = route.fixed_weight
        if weight < 0:
            weight = route.weigh(pairs)
        asked.weight = weight = weight + route.charged_on_failure
        if _RETURN_LIMITS in pairs:
            wanted = _parse_boolean(pairs[_RETURN_LIMITS])
            if isinstance(wanted, bool):
                asked.tells_limits = wanted
        signs = self._signs(session, method, pairs)
        gate = self._gate
        refusal = gate.enter(session.ip, weight, now_us, route.family, route.endpoint)
        if refusal is not None:
            if refusal is gate.newest_ban and route.signed:
                self._record_strike(asked, method, pairs, signs)
            return self._refused(asked, refusal)
        api_key = None if signs else session.api_key
        if api_key is not None and not route.keyed:
            # Whoever logged on hears with the next request, whatever it asks, that the key is worth nothing any more.
            policy_us = request.received_us + self._clocks.policy_offset_us
            standing = gate.identify(session.ip, api_key, Permission.NONE, policy_us)
            if isinstance(standing, Refusal):
                request.api_key = api_key
                return self._revoked(asked, standing)
        read = self._read(method, pairs, signs)
        if isinstance(read, Refusal):
            return self._refused(asked, read)
        values, payload = read
        if route.keyed:
            request.api_key = pairs[API_KEY.name].encode() if signs else api_key
        call = asked.call = Call(route, values, now_us, session.microseconds, session=session)
        asked.tells_orders = method.tells_orders
        act = self._application.act
        outcome = act(request, call, payload)
        if isinstance(outcome, Refusal) and outcome.reason is Reason.SIGNATURE_INVALID:
            # The official connector signs them percent-encoded; there is a difference only for reserved characters.
            encoded = _encoded_payload(pairs)
            if encoded != payload:
                outcome = act(request, call, encoded)
        if route.weighs_afterwards or call.free:
            asked.weight = self._application.settle(request, call, outcome, weight)
        if isinstance(outcome, Refusal):
            if api_key is not None and public_error(outcome).code == _KEY_REFUSED:
                return self._revoked(asked, outcome)
            return self._refused(asked, outcome)
        if method.twin.in_array:
            outcome = b"[%b]" % outcome
        limits = self._limits(asked) if asked.tells_limits else b""
        body = b'{"id":%b,"status":200,"result":%b%b}' % (asked.id, outcome, limits)
        return Reply(200, body, b"", asked.weight, "" if request.api_key is None else request.api_key.decode())

    # --- reading -----------------------------------------------------------------------------------------------------

    def _signs(self, session: Session, method: Method, pairs: dict[str, str]) -> bool:
        """Whether the request says itself who calls; else whoever is logged on does."""
        asks = method.twin.asks
        if asks:
            return asks == "signature"
        return session.api_key is None or API_KEY.name in pairs or (SIGNATURE.name in pairs and method.route.keyed)

    def _read(
        self, method: Method, pairs: dict[str, str], signs: bool
    ) -> tuple[dict[str, Any], bytes | None] | Refusal:
        """The parameters' values, and what was signed (None: whoever is logged on signed before)."""
        own = pairs
        if _RETURN_LIMITS in pairs:
            if isinstance(_parse_boolean(pairs[_RETURN_LIMITS]), Refusal):
                return _RETURN_LIMITS_INVALID
            own = {name: text for name, text in pairs.items() if name != _RETURN_LIMITS}
        ignored = method.twin.ignored_with_times
        if ignored and ("startTime" in pairs or "endTime" in pairs):
            own = {name: text for name, text in own.items() if name not in ignored}
        reader = method.by_signature if signs else method.by_logon
        payload = None
        if signs and method.route.signed:
            fields = [f"{name}={pairs[name]}" for name in sorted(pairs) if name != "signature"]
            payload = "&".join(fields).encode()
            signature, api_key = pairs.get("signature"), pairs.get("apiKey")
            if signature and api_key and own is pairs and not ignored:
                fields.remove(f"apiKey={api_key}")
                short = reader.read_fields(fields)
                if short is not None:
                    short["signature"], short["apiKey"] = signature, api_key
                    return short, payload
        values = reader.read(own)
        return values if isinstance(values, Refusal) else (values, payload)

    def _record_strike(self, asked: _Asked, method: Method, pairs: dict[str, str], signs: bool) -> None:
        """As on the routes: the call earned its address a ban; does it count against an account?"""
        read = self._read(method, pairs, signs)
        if isinstance(read, Refusal):
            return
        values, payload = read
        session, request = asked.session, asked.request
        request.api_key = pairs[API_KEY.name].encode() if signs else session.api_key
        call = Call(method.route, values, asked.now_us, session.microseconds, session=session)
        self._application.record_strike(request, call, payload)

    # --- replies -----------------------------------------------------------------------------------------------------

    def _revoked(self, asked: _Asked, refusal: Refusal) -> Reply:
        """The key that is logged on is worth nothing any more: nobody is logged on from here on."""
        asked.session.log_out(self._clocks.wire_us())
        asked.id = _NULL
        asked.tells_limits = False
        return self._refused(asked, refusal)

    def _refused(self, asked: _Asked, refusal: Refusal) -> Reply:
        error = public_error(refusal)
        body = error_body(error, refusal)
        if error.status in (418, 429) and not isinstance(refusal, RefusalWithData):
            body = b'%b,"data":%b}' % (body[:-1], self._when_again(asked, refusal))
        return self._reply(asked, error, body, refusal.reason.slug)

    def _reply(self, asked: _Asked, error: PublicError, body: bytes, reason: str) -> Reply:
        """`body` says what failed, as on the routes."""
        limits = self._limits(asked) if asked.tells_limits else b""
        reply = Reply(error.status, b'{"id":%b,"status":%d,"error":%b%b}' % (asked.id, error.status, body, limits))
        reply.weight = asked.weight
        reply.code = error.code
        reply.reason = reason
        api_key = asked.request.api_key
        if api_key is not None:
            reply.api_key = shown_key(api_key, known=api_key in self._desk.access.keys_by_api_key)
        return reply

    def _when_again(self, asked: _Asked, refusal: Refusal) -> bytes:
        """`retryAfter` is a time here, not a number of seconds: the end of the window or of the ban."""
        now_us = asked.now_us
        if refusal.reason is Reason.IP_BANNED:
            at_us = int(refusal.facts[0]) * MILLISECOND_US
        else:
            wait_s = self._gate.retry_after_s(asked.session.ip, now_us, _FAMILY) or retry_after(refusal, now_us)
            at_us = (now_us + wait_s * SECOND_US) // SECOND_US * SECOND_US
        unit_us = 1 if asked.session.microseconds else MILLISECOND_US
        return b'{"serverTime":%d,"retryAfter":%d}' % (now_us // unit_us, at_us // unit_us)

    def _limits(self, asked: _Asked) -> bytes:
        """`rateLimits`: what the request counted for, with what is used of it."""
        orders = b""
        call = asked.call
        if asked.tells_orders and call is not None and call.account_id:
            for limit, count in self._desk.spot.order_counts(call.account_id, call.now_us):
                item = self._order_items.get(limit)
                if item is None:
                    item = self._order_items[limit] = _limit_item("ORDERS", limit)
                orders += b"%b%d}," % (item, count)
        used = self._gate.used_weight(asked.session.ip, _FAMILY)
        return b',"rateLimits":[%b%b%d}]' % (orders, self._weight_item, used)


def _limit_item(kind: str, limit: Limit | OrderLimit) -> bytes:
    return b'{"rateLimitType":"%b","interval":"%b","intervalNum":%d,"limit":%d,"count":' % (
        kind.encode(),
        limit.interval.encode(),
        limit.interval_count,
        limit.limit,
    )


def _encoded_payload(pairs: dict[str, str]) -> bytes:
    return urlencode([(name, text) for name, text in sorted(pairs.items()) if name != SIGNATURE.name]).encode()
