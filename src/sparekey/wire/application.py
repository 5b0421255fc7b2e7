"""The wire side as one function: request in, reply out. Route, gate, parameters, handler, bytes.

Nothing raised in here reaches the caller as anything but -1000; what was computed leaves when it is durable.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from sparekey.access.commands import RecordStrike
from sparekey.access.gate import Gate, late_check
from sparekey.sequencer.clocks import Clocks
from sparekey.terms.clocktime import DAY_US, MILLISECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.watch.calls import CallEntry
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.errors import UNKNOWN_ERROR, error_body, public_error, retry_after
from sparekey.wire.parameters import merge_pairs
from sparekey.wire.requests import Reply, Request
from sparekey.wire.signing import signed_payload
from sparekey.wire.table import LIMIT_FAMILIES, Limiter, Route, Routes

_log = logging.getLogger(__name__)

_OWNED = (b"/api/", b"/sapi/", b"/fapi/", b"/dapi/")

_TIME_UNITS = {
    b"": False,
    b"MILLISECOND": False,
    b"millisecond": False,
    b"MICROSECOND": True,
    b"microsecond": True,
}
_FORM = b"application/x-www-form-urlencoded"
#: What clients that take JSON send; anything else is looked at.
_USUAL_ACCEPTS = frozenset((b"", b"*/*", b"application/json", b"application/json, text/plain, */*"))
_NO_BODY_METHODS = frozenset(("GET", "HEAD"))

_ROUTE_UNKNOWN = Refusal(Reason.ROUTE_UNKNOWN)
_BODY_REFUSED = Refusal(Reason.BODY_REFUSED)
_TIME_UNIT_INVALID = Refusal(Reason.TIME_UNIT_INVALID)
_ENCODING_NOT_ACCEPTED = Refusal(Reason.ENCODING_NOT_ACCEPTED)
_NOT_FOUND_PAGE = b"<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>\n"

#: Weight of a request that names no endpoint: it pays like the cheapest one, so that probing is not free.
_UNROUTED_WEIGHT = 1

#: An unknown "key" may be a secret pasted into the wrong field, so only this much of it is logged.
_SHOWN_OF_UNKNOWN_KEY = 8
_LONGEST_USER_AGENT = 200

#: How long before its end a key's replies say so.
_KEY_EXPIRES_WITHIN_US = 14 * DAY_US
_NEVER = 1 << 62
_STRIKE = "a correctly signed call of the account earned its address a ban"


class _Texts(dict[bytes, str]):
    """Bytes as text, one text for the same bytes: what the call log keeps of each call is nearly always the same."""

    MOST = 8_192
    LONGEST = 256

    def __missing__(self, raw: bytes) -> str:
        text = raw.decode("latin-1")
        if len(raw) <= self.LONGEST:
            if len(self) >= self.MOST:
                self.clear()
            self[raw] = text
        return text


_texts = _Texts()

# A named tuple's own constructor is a Python function around this one.
_new = tuple.__new__

Page = Callable[[Request], Reply]


class Application:
    """Implements `wire.requests.Application`. `log_call` takes the entry of every call; `pages` serves fixed paths
    beside the API families (`/healthz`). `strict`: no header that Binance does not send."""

    def __init__(
        self,
        routes: Routes,
        gate: Gate,
        desk: Desk,
        clocks: Clocks,
        *,
        when_durable: Callable[[Callable[[], None]], bool],
        log_call: Callable[[CallEntry], object],
        pages: Mapping[bytes, Page] | None = None,
        strict: bool = False,
    ) -> None:
        self._routes = routes
        self._gate = gate
        self._desk = desk
        self._clocks = clocks
        self._log_call = log_call
        self._pages = dict(pages or {})
        self.when_durable = when_durable
        policy = desk.policy
        #: From this much used weight on, four fifths of the limit, replies tell how far the ban is.
        self._forecast_from = {
            name: _NEVER if strict or not policy.enforced else limits.weight.limit * 4 // 5
            for name, limits in policy.families.items()
        }
        self._expiry_told_within_us = 0 if strict else _KEY_EXPIRES_WITHIN_US

    def owns(self, path: bytes) -> bool:
        return path.startswith(_OWNED) or path in self._pages

    def handle(self, request: Request) -> Reply | Awaitable[Reply]:
        try:
            paths = self._routes.get(request.method)
            route = paths.get(request.path) if paths is not None else None
            return self._unrouted(request) if route is None else self._handle(request, route)
        except Exception:
            # The path alone: a query holds signatures. Plain logging, which never shows what variables hold.
            _log.exception("a call failed inside: %s %s", request.method, request.path.decode("latin-1"))
            reply = Reply(UNKNOWN_ERROR.status, error_body(UNKNOWN_ERROR))
            reply.code = UNKNOWN_ERROR.code
            reply.reason = "internal-error"
            return reply

    def sent(self, request: Request, reply: Reply) -> None:
        """Write the call's log entry. No query string, so no signature."""
        received_us = request.received_us
        latency_us = (reply.sent_us or self._clocks.wall_us()) - received_us
        self._log_call(
            _new(
                CallEntry,
                (
                    received_us,
                    reply.api_key,
                    request.ip,
                    request.method,
                    _texts[request.path],
                    reply.weight,
                    reply.status,
                    reply.code,
                    reply.reason,
                    latency_us if latency_us > 0 else 0,
                    _texts[request.user_agent[:_LONGEST_USER_AGENT]],
                ),
            )
        )

    # --- one call ----------------------------------------------------------------------------------------------------

    def _handle(self, request: Request, route: Route) -> Reply:
        now_us = request.received_us + self._clocks.skew_us
        query, body = request.query, request.body
        pairs: dict[str, str] | Refusal | None = None
        weight = route.fixed_weight
        if weight < 0:
            pairs = merge_pairs(query, body)
            weight = route.weigh({} if isinstance(pairs, Refusal) else pairs)
        weight += route.charged_on_failure
        gate = self._gate
        refusal = gate.enter(request.ip, weight, now_us, route.family, route.endpoint)
        if refusal is not None:
            if refusal is gate.newest_ban:
                self._record_strike(request, route, now_us)
            return self._refused(request, route, refusal, weight, now_us)
        microseconds = _TIME_UNITS.get(request.time_unit)
        if microseconds is None:
            return self._refused(request, route, _TIME_UNIT_INVALID, weight, now_us)
        if body and not _is_form(request):
            return self._refused(request, route, _BODY_REFUSED, weight, now_us)
        if request.accept not in _USUAL_ACCEPTS and b"sbe" in request.accept and b"json" not in request.accept:
            return self._refused(request, route, _ENCODING_NOT_ACCEPTED, weight, now_us)
        # What is signed and what it says: in one go where the call is as nearly all are.
        read = route.reader.read_signed(query or body) if route.signed and not (query and body) else None
        if read is not None:
            payload, values = read
        else:
            if pairs is None:
                pairs = merge_pairs(query, body)
            if isinstance(pairs, Refusal):
                return self._refused(request, route, pairs, weight, now_us)
            thorough = route.reader.read(pairs)
            if isinstance(thorough, Refusal):
                return self._refused(request, route, thorough, weight, now_us)
            values = thorough
            payload = signed_payload(query, body) if route.signed else b""
        call = Call(route, values, now_us, microseconds)
        outcome = self.act(request, call, payload)
        if route.weighs_afterwards or call.free:
            weight = self.settle(request, call, outcome, weight)
        if isinstance(outcome, Refusal):
            return self._refused(request, route, outcome, weight, now_us, call)
        api_key = _texts[request.api_key] if route.keyed and request.api_key is not None else ""
        return Reply(200, outcome, self._usage(request, route, call) + call.headers, weight, api_key)

    # --- one call, whichever transport brought it --------------------------------------------------------------------

    def act(self, request: Request, call: Call, payload: bytes | None) -> bytes | Refusal:
        """Ask the gate, then the handler. `payload` is what was signed; None: the caller logged on before."""
        route = call.route
        if route.keyed:
            refusal = self._admit(request, route, call, payload)
            if refusal is not None:
                return refusal
        return route.handler(self._desk, call)

    def settle(self, request: Request, call: Call, outcome: bytes | Refusal, weight: int) -> int:
        """Give back what the call does not cost after all; answers what it does."""
        route = call.route
        surplus = 0
        if not isinstance(outcome, Refusal):
            surplus = weight if call.free else route.charged_on_failure
        elif outcome.reason is Reason.SYMBOL_UNKNOWN and route.symbol_unknown_weight >= 0:
            surplus = weight - route.symbol_unknown_weight
        if surplus:
            self._gate.give_back(request.ip, surplus, call.now_us, route.family, route.endpoint)
        return weight - surplus

    def _admit(self, request: Request, route: Route, call: Call, payload: bytes | None) -> Refusal | None:
        """Ask the gate who calls. None: `call` carries the admission."""
        clocks = self._clocks
        policy_us = request.received_us + clocks.policy_offset_us
        if route.signed:
            values = call.values
            timestamp_us, window_us = values["timestamp"], values["recvWindow"]
            if payload is None:
                admission = self._gate.admit_again(
                    request.ip, request.api_key, route.permission, timestamp_us, window_us, call.now_us, policy_us
                )
            else:
                admission = self._gate.admit(
                    request.ip,
                    request.api_key,
                    route.permission,
                    timestamp_us,
                    window_us,
                    payload,
                    values["signature"],
                    call.now_us,
                    policy_us,
                )
            if isinstance(admission, Refusal):
                return admission
            if route.late_checked and (now_us := clocks.wall_us() + clocks.skew_us) - timestamp_us > window_us:
                return late_check(timestamp_us, window_us, now_us)
        else:
            admission = self._gate.identify(request.ip, request.api_key, route.permission, policy_us)
            if isinstance(admission, Refusal):
                return admission
        call.admission = admission
        call.account_id = admission.account_id
        if admission.not_after_us - policy_us < self._expiry_told_within_us:
            call.headers = b"X-Sparekey-Key-Expires: %d\r\n" % (admission.not_after_us // MILLISECOND_US)
        if route.account_weight:
            return self._gate.charge_account(call.account_id, route.account_weight, call.now_us, route.endpoint)
        return None

    def _record_strike(self, request: Request, route: Route, now_us: int) -> None:
        """The call earned its address a ban. If the gate would have admitted it, it counts against the account.

        Only then: an API key is no secret, and nobody shall get a stranger suspended by sending it.
        """
        if not route.signed or (request.body and not _is_form(request)):
            return
        pairs = merge_pairs(request.query, request.body)
        values = pairs if isinstance(pairs, Refusal) else route.reader.read(pairs)
        if isinstance(values, Refusal):
            return
        self.record_strike(request, Call(route, values, now_us, False), signed_payload(request.query, request.body))

    def record_strike(self, request: Request, call: Call, payload: bytes | None) -> None:
        self._admit(request, call.route, call, payload)
        if call.admission is not None:
            self._desk.submit("access", RecordStrike(call.account_id, _STRIKE))

    # --- replies -----------------------------------------------------------------------------------------------------

    def _refused(
        self,
        request: Request,
        route: Route,
        refusal: Refusal,
        weight: int,
        now_us: int,
        call: Call | None = None,
    ) -> Reply:
        error = public_error(refusal)
        headers = self._usage(request, route, call)
        if error.status in (418, 429):
            wait_s = self._gate.retry_after_s(request.ip, now_us, route.family, route.endpoint)
            headers += b"Retry-After: %d\r\n" % (wait_s or retry_after(refusal, now_us))
        if call is not None:
            headers += call.headers
        reply = Reply(error.status, error_body(error, refusal), headers)
        reply.weight = weight
        reply.code = error.code
        reply.reason = refusal.reason.slug
        if route.keyed and request.api_key is not None:
            # Whatever the reason: what is no key of ours may be somebody's secret.
            known = request.api_key in self._desk.access.keys_by_api_key
            reply.api_key = shown_key(request.api_key, known=known)
        return reply

    def _usage(self, request: Request, route: Route, call: Call | None) -> bytes:
        """What the address (or the account) has used so far; on every reply."""
        used = self._gate.used_weight(request.ip, route.family, route.endpoint)
        forecast = self._forecast(request, route) if used >= self._forecast_from[route.family] else b""
        if route.family != "sapi":
            return b"X-MBX-USED-WEIGHT: %d\r\nX-MBX-USED-WEIGHT-1M: %d\r\n%b" % (used, used, forecast)
        of_address = b"" if route.limiter is Limiter.ENDPOINT_UID else b"X-SAPI-USED-IP-WEIGHT-1M: %d\r\n" % used
        of_address += forecast
        if not route.account_weight or call is None or not call.account_id:
            return of_address
        return of_address + b"X-SAPI-USED-UID-WEIGHT-1M: %d\r\n" % self._gate.used_account_weight(
            call.account_id, route.endpoint
        )

    def _forecast(self, request: Request, route: Route) -> bytes:
        """What an address near its limit may still do, before it is refused and before it is banned."""
        now_us = request.received_us + self._clocks.skew_us
        forecast = self._gate.forecast(request.ip, now_us, route.family, route.endpoint)
        if forecast is None:
            return b""
        lines = b"X-Sparekey-Ban-Forecast: left=%d; refusals-left=%d; resets-s=%d; ban-s=%d\r\n" % forecast
        reserve = self._desk.policy.reserved_cancels
        if route.row.cancels and reserve is not None:
            used = self._gate.cancels_used(request.ip)
            lines += b"X-Sparekey-Reserved-Cancels: used=%d; limit=%d\r\n" % (used, reserve.limit)
        return lines

    def _unrouted(self, request: Request) -> Reply:
        page = self._pages.get(request.path)
        if page is not None and request.method in _NO_BODY_METHODS:
            return page(request)
        now_us = request.received_us + self._clocks.skew_us
        family = LIMIT_FAMILIES.get(request.path.split(b"/", 2)[1].decode("latin-1"), "spot")
        endpoint = "unknown" if family == "sapi" else ""
        refusal = self._gate.enter(request.ip, _UNROUTED_WEIGHT, now_us, family, endpoint) or _ROUTE_UNKNOWN
        error = public_error(refusal)
        headers = b""
        if error.status in (418, 429):
            wait_s = self._gate.retry_after_s(request.ip, now_us, family, endpoint)
            headers = b"Retry-After: %d\r\n" % (wait_s or retry_after(refusal, now_us))
        reply = Reply(error.status, error_body(error), headers)
        if error.status == 404 and b"text/html" in request.accept:
            reply.body, reply.content_type = _NOT_FOUND_PAGE, b"text/html; charset=utf-8"
        reply.weight = _UNROUTED_WEIGHT
        reply.code = error.code
        reply.reason = refusal.reason.slug
        return reply


def _is_form(request: Request) -> bool:
    """Whether a body may be read: a form (or of no declared type), uncompressed, and not on GET.

    Binance takes parameters of GET from the query string alone; a body there is refused instead of interpreted.
    """
    if request.method in _NO_BODY_METHODS or request.content_encoding not in (b"", b"identity"):
        return False
    if request.content_type == _FORM:
        return True
    kind = request.content_type.partition(b";")[0].strip().lower()
    return kind in (b"", _FORM)


def shown_key(api_key: bytes, *, known: bool) -> str:
    text = api_key.decode("latin-1")
    return text if known else text[:_SHOWN_OF_UNKNOWN_KEY] + "…"
