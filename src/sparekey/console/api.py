"""The management API, `/sparekey/v1`: JSON, OpenAPI 3.1, an operator's token. An API key can never call it."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from sparekey.console.bans import Bans
from sparekey.console.bodies import (
    Broker,
    Cause,
    Duration,
    Funding,
    KeyEdit,
    Kyc,
    NewAccount,
    NewKey,
    Panic,
    PublicKey,
    Rotation,
    proof_in,
)
from sparekey.console.front_page import SECURITY_HEADERS, front_page
from sparekey.console.management import Management, ManagementRefused
from sparekey.console.receipts import Receipts
from sparekey.console.repeats import Repeats
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal


def make_console(
    management: Management, bans: Bans, receipts: Receipts, operator_token: str, facts: Mapping[str, str] | None = None
) -> FastAPI:
    """The ASGI application of the console: for now a front page with `facts`, and the management API."""
    application = FastAPI(
        title="Sparekey management API",
        version="1",
        openapi_url="/sparekey/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )

    page = front_page(facts or {})

    @application.get("/", include_in_schema=False)
    async def show_front_page() -> HTMLResponse:
        return HTMLResponse(page, headers=SECURITY_HEADERS)

    def need_operator(authorization: Annotated[str, Header()] = "") -> None:
        if not is_operators(authorization, operator_token):
            raise HTTPException(401, "the operator's token is missing or wrong; it is in operator.env")

    repeats = Repeats()

    async def once(request: Request, idempotency_key: Annotated[str, Header()] = "") -> AsyncIterator[None]:
        if request.method == "GET" or not idempotency_key:
            yield
            return
        refusal = repeats.take(idempotency_key)
        if refusal is not None:
            raise ManagementRefused(refusal)
        try:
            yield
        except (ManagementRefused, RequestValidationError, HTTPException):
            repeats.release(idempotency_key)
            raise

    router = APIRouter(prefix="/sparekey/v1", dependencies=[Depends(need_operator), Depends(once)])

    @router.post("/accounts")
    async def create_account(body: NewAccount) -> dict[str, Any]:
        return await management.create_account(body.email, kyc=body.kyc, totp=body.totp, fund=body.fund)

    @router.get("/accounts/{email}")
    async def show_account(email: str) -> dict[str, Any]:
        return management.show_account(email)

    @router.post("/accounts/{email}/fund")
    async def fund(email: str, body: Funding) -> dict[str, Any]:
        return await management.fund(email, body.fund)

    @router.put("/accounts/{email}/kyc")
    async def set_kyc(email: str, body: Kyc) -> dict[str, Any]:
        return await management.set_kyc(email, body.kyc)

    @router.post("/accounts/{email}/totp")
    async def add_totp(email: str) -> JSONResponse:
        return _secret(await management.add_totp(email))

    @router.delete("/accounts/{email}/totp")
    async def remove_totp(email: str) -> dict[str, Any]:
        return await management.remove_totp(email)

    @router.post("/accounts/{email}/suspend")
    async def suspend(email: str, body: Cause) -> dict[str, Any]:
        return await management.suspend(email, body.reason)

    @router.post("/accounts/{email}/restore")
    async def restore(email: str, body: Cause) -> dict[str, Any]:
        return await management.restore(email, body.reason)

    @router.post("/accounts/{email}/panic")
    async def panic(email: str, body: Panic) -> dict[str, Any]:
        return await (management.panic(email) if body.reason is None else management.panic(email, body.reason))

    @router.put("/accounts/{email}/broker")
    async def set_broker(email: str, body: Broker) -> dict[str, Any]:
        return await management.set_broker(email, body.broker)

    @router.delete("/accounts/{email}")
    async def erase(email: str) -> dict[str, Any]:
        return await management.erase(email)

    @router.post("/accounts/{email}/challenges")
    async def open_challenge(email: str, body: PublicKey) -> JSONResponse:
        return _secret(management.open_challenge(email, body.publicKey))

    @router.post("/accounts/{email}/keys")
    async def create_key(email: str, body: NewKey) -> JSONResponse:
        document = await management.create_key(
            email,
            label=body.label,
            key_type=body.type,
            public_key=body.publicKey or "",
            permissions=body.permissions,
            ips=body.ips,
            proof=proof_in(body),
        )
        return _secret(document)

    @router.get("/accounts/{email}/keys")
    async def list_keys(email: str) -> list[dict[str, Any]]:
        return management.list_keys(email)

    @router.get("/keys/{api_key}")
    async def show_key(api_key: str) -> dict[str, Any]:
        return management.show_key(api_key)

    @router.patch("/keys/{api_key}")
    async def edit_key(api_key: str, body: KeyEdit) -> dict[str, Any]:
        return await management.edit_key(api_key, label=body.label, permissions=body.permissions, ips=body.ips)

    @router.post("/keys/{api_key}/rotate")
    async def rotate_key(api_key: str, body: Rotation) -> JSONResponse:
        document = await management.rotate_key(
            api_key,
            overlap=body.overlap,
            public_key=body.publicKey or "",
            proof=proof_in(body),
        )
        return _secret(document)

    @router.post("/keys/{api_key}/disable")
    async def disable_key(api_key: str) -> dict[str, Any]:
        return await management.disable_key(api_key)

    @router.post("/keys/{api_key}/enable")
    async def enable_key(api_key: str) -> dict[str, Any]:
        return await management.enable_key(api_key)

    @router.get("/keys/{api_key}/usage")
    async def key_usage(api_key: str) -> dict[str, Any]:
        return await management.key_usage(api_key)

    @router.delete("/keys/{api_key}")
    async def delete_key(api_key: str) -> dict[str, Any]:
        return await management.delete_key(api_key)

    @router.get("/keys/{api_key}/receipts")
    async def key_receipts(api_key: str) -> list[dict[str, Any]]:
        management.need_key(api_key)
        return await receipts.receipts(api_key)

    @router.get("/bans")
    async def list_bans() -> list[dict[str, Any]]:
        return bans.list()

    @router.get("/bans/{ip}/receipts")
    async def ban_receipts(ip: str) -> list[dict[str, Any]]:
        return [receipt for receipt in await receipts.receipts(ip) if receipt["ip"] is not None]

    @router.delete("/bans/{ip}")
    async def lift_ban(ip: str) -> dict[str, Any]:
        if not bans.lift(ip):
            raise ManagementRefused(Refusal(Reason.BAN_UNKNOWN, (ip[:64],)))
        return {"ip": ip, "lifted": True}

    @router.get("/clock")
    async def show_clock() -> dict[str, int]:
        return management.show_clock()

    @router.post("/clock/advance")
    async def advance_clock(body: Duration) -> dict[str, int]:
        return await management.advance_clock(body.duration)

    @router.post("/clock/skew")
    async def skew_clock(body: Duration) -> dict[str, int]:
        return await management.skew_clock(body.duration)

    @router.get("/calls")
    async def tail_calls(
        key: Annotated[str, Query(max_length=64)] = "", limit: Annotated[int, Query(ge=1, le=10_000)] = 100
    ) -> list[dict[str, Any]]:
        return await management.tail_calls(api_key=key, limit=limit)

    application.include_router(router)

    @application.exception_handler(ManagementRefused)
    async def refuse(request: Request, error: ManagementRefused) -> JSONResponse:
        return _error(error.status, error.refusal.reason.slug, str(error))

    @application.exception_handler(RequestValidationError)
    async def refuse_body(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _error(422, "request-invalid", f"{where}: {first['msg']}")

    @application.exception_handler(HTTPException)
    async def refuse_http(request: Request, error: HTTPException) -> JSONResponse:
        slug = {401: "operator-token-wrong", 404: "route-unknown", 405: "method-unknown"}.get(
            error.status_code, "request-invalid"
        )
        return _error(error.status_code, slug, str(error.detail))

    @application.exception_handler(Exception)
    async def admit_failure(request: Request, error: Exception) -> JSONResponse:
        # The server logs what happened; nothing of it is for the caller.
        return _error(500, "internal-error", "the request failed inside; the server's own messages say why")

    return application


def is_operators(authorization: str, operator_token: str) -> bool:
    """Whether an Authorization header carries the operator's token."""
    scheme, _, token = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), operator_token.encode())


def _secret(document: dict[str, Any]) -> JSONResponse:
    """What is shown once must not stay in any cache on the way."""
    return JSONResponse(document, headers={"Cache-Control": "no-store"})


def _error(status: int, reason: str, message: str) -> JSONResponse:
    # A message may repeat what was sent, and JSON can send halves of characters that UTF-8 cannot write.
    message = message.encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"error": {"reason": reason, "message": message}}, status_code=status)
