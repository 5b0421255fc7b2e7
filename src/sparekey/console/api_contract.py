"""What holds for every route of the management API: who may call, what a request may look like, how a no is told.

A caller without the right to call is told so before anything else of the request is looked at.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from sparekey.console.answers import Refused
from sparekey.console.refused import ManagementRefused, retry_headers
from sparekey.console.repeats import LONGEST, Repeats
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

PREFIX = "/sparekey/v1"
#: Of a request's body; a route that takes an image allows more.
BODY_BYTES = 262_144

_MEANINGS = {
    400: "What was asked for cannot be; the reason says why.",
    401: "The token is missing, wrong or over.",
    403: "Not allowed: in this mode, to this account as it is, or without a fresh proof.",
    404: "There is no such thing, or it is another account's.",
    409: "It is in the way of what exists already, or was asked for before under this Idempotency-Key.",
    410: "The code or link was used before, or is too old.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
    422: "The request has not the form that this document describes.",
    429: "Too many of these; Retry-After says when the next may come.",
    503: "Too much is being worked on; try again in a moment.",
}
_DESCRIPTION = """
Accounts, keys, identity checks, bans, clocks and logs of one Sparekey server.

An **operator** sends the token of `operator.env`. An **account holder** signs in (`POST /session`) and sends the
session's token. Both go into `Authorization: Bearer`; an API key can never call this. What matters wants proof afresh:
such a request is answered 403 with a `stepUp`, which says what is to be proven for exactly this act; after that the
same request is sent again with `X-Step-Up` and its id.

A refusal is `{"error": {"reason", "message", "page"}}`: `reason` is permanent and for programs, `message` for people,
and `page` explains it. A method that a path does not have is 405 in the same form. A change that carries an
`Idempotency-Key` is made once, however often it is sent. What the server cannot read as HTTP, it answers before this
API sees it: 408, 413, 414, 431 or 503 with `{"code", "msg"}`.
"""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=`: these, and those that any route can answer."""
    return {status: {"model": Refused, "description": _MEANINGS[status]} for status in sorted({401, 422, *statuses})}


# --- one request -----------------------------------------------------------------------------------------------------


def routed(allow: Callable[[Request], Awaitable[None]], body_bytes: int = BODY_BYTES) -> type[APIRoute]:
    """Routes that ask `allow` first, and then whether the request is plain. FastAPI by itself reads and parses a body
    before it asks who sends it."""

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            takes_body = self.body_field is not None
            known = {field.alias for field in self.dependant.query_params}

            async def checked(request: Request) -> Response:
                await allow(request)
                _check_query(request, known)
                if takes_body:
                    request = await _with_body(request, body_bytes)
                response = await handle(request)
                # Answers may hold what is shown once, and all of them are about somebody.
                response.headers["Cache-Control"] = "no-store"
                return response

            return checked

    return Route


def _check_query(request: Request, known: set[str]) -> None:
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known or name in seen:
            what = "is there twice" if name in known else "is no parameter of this route"
            raise _invalid(f"query.{name[:64]}: {what}.")
        seen.add(name)


async def _with_body(request: Request, most: int) -> Request:
    """The same request with its body read, checked for its size and kind."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise ManagementRefused(Refusal(Reason.BODY_TOO_LARGE, (most,)))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/json":
        raise ManagementRefused(Refusal(Reason.BODY_NOT_JSON))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return _PlainRequest(request.scope, receive)


class _PlainRequest(Request):
    """Reads JSON as it is standardised: no NaN, and no name twice in an object, of which readers differ on which one
    counts (RFC 8259, section 4)."""

    async def json(self) -> Any:
        body = await self.body()
        try:
            return json.loads(body, object_pairs_hook=_object, parse_constant=_refuse_constant)
        except RecursionError:
            raise _invalid("body: nested too deeply.") from None
        except UnicodeDecodeError:
            raise _invalid("body: no UTF-8.") from None
        except json.JSONDecodeError:
            raise _invalid("body: no JSON.") from None
        except ValueError:  # an integer of thousands of digits
            raise _invalid("body: a number is too long.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _invalid("body: a field is there twice.")
    return document


def _refuse_constant(name: str) -> Any:
    raise _invalid(f"body: {name} is no JSON.")


def _invalid(message: str) -> HTTPException:
    return HTTPException(422, message)


def once(repeats: Repeats, whose: Callable[[Request], str] = lambda request: "") -> Callable[..., AsyncIterator[None]]:
    """A dependency: what carries an Idempotency-Key is done once. A refusal frees the name again.

    `whose`: each has names of their own.
    """

    async def guard(
        request: Request,
        name: Annotated[
            str,
            Header(
                alias="Idempotency-Key",
                description=f"Any text of up to {LONGEST} characters that names this one request.",
                max_length=LONGEST,
            ),
        ] = "",
    ) -> AsyncIterator[None]:
        if not name:
            yield
            return
        owner = whose(request)
        refusal = repeats.take(name, owner)
        if refusal is not None:
            raise ManagementRefused(refusal)
        try:
            yield
        except (ManagementRefused, RequestValidationError, HTTPException):
            repeats.release(name, owner)
            raise

    return guard


# --- the application -------------------------------------------------------------------------------------------------


def make_api(routers: Sequence[APIRouter], tags: Mapping[str, str]) -> FastAPI:
    """The application of these routers, which answers every error in one form."""
    api = FastAPI(
        title="Sparekey management API",
        version="1",
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_tags=[{"name": name, "description": text} for name, text in tags.items()],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        separate_input_output_schemas=False,
    )
    for router in routers:
        api.include_router(router)

    @api.get(f"{PREFIX}/openapi.json", include_in_schema=False)
    async def show_document() -> Response:
        # Made when it is first asked for, which takes a quarter of a second: not on the loop.
        return Response(await asyncio.to_thread(document), media_type="application/json")

    @functools.cache
    def document() -> bytes:
        return json.dumps(api.openapi(), separators=(",", ":")).encode()

    @api.exception_handler(ManagementRefused)
    async def refuse(request: Request, error: ManagementRefused) -> JSONResponse:
        return _error(error.status, error.refusal.reason, str(error), retry_headers(error.refusal), error.more)

    @api.exception_handler(RequestValidationError)
    async def refuse_body(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _error(422, Reason.REQUEST_INVALID, f"{where}: {first['msg']}")

    @api.exception_handler(HTTPException)
    async def refuse_http(request: Request, error: HTTPException) -> JSONResponse:
        reason = {404: Reason.ROUTE_UNKNOWN, 405: Reason.METHOD_UNKNOWN}.get(error.status_code, Reason.REQUEST_INVALID)
        return _error(error.status_code, reason, str(error.detail), error.headers)

    @api.exception_handler(Exception)
    async def admit_failure(request: Request, error: Exception) -> JSONResponse:
        # The server logs what happened; nothing of it is for the caller.
        message = "the request failed inside; the server's own messages say why"
        return JSONResponse({"error": {"reason": "internal-error", "message": message}}, status_code=500)

    return api


def _error(
    status: int,
    reason: Reason,
    message: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> JSONResponse:
    # A message may repeat what was sent, and JSON can send halves of characters that UTF-8 cannot write.
    message = message.encode("utf-8", "backslashreplace").decode()
    sent = {"Cache-Control": "no-store", **(headers or {})}
    if status == 401:
        sent["WWW-Authenticate"] = "Bearer"
    document = {"reason": reason.slug, "message": message, "page": reason.page}
    return JSONResponse({"error": document, **(more or {})}, status_code=status, headers=sent)
