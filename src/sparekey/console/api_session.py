"""Sessions over the management API: signing up and in, what is signed in where, and forgotten passwords.

A session's token is sent as a Bearer token, never as a cookie: what no browser sends by itself needs no guard against
other sites' forms. Tries are limited, and answers alike, as on the pages: it is the same `Identity`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Path, Request
from fastapi.security import HTTPBearer

from sparekey.console import answers
from sparekey.console.api_contract import PREFIX, refusals, routed
from sparekey.console.bodies import CodeWanted, Confirmation, Forgotten, Reset, SecondFactor, SignIn, SignUp
from sparekey.console.factors import Factors
from sparekey.console.identity import Identity, SignedIn, Visitor, factor_purpose
from sparekey.console.refused import ManagementRefused
from sparekey.console.sessions import Session, Sessions
from sparekey.terms.clocktime import MILLISECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

TAGS = {"sessions": "Account holders sign up and in. A session's token opens the routes under `/me` and `/sessions`."}

T = TypeVar("T")
Handle = Annotated[str, Path(description="The session's handle.", max_length=64)]


class Bearers(NamedTuple):
    """Who may call a holder's routes: `full` sessions, those that lack the second factor, and either."""

    full: Callable[[Request], Awaitable[None]]
    half: Callable[[Request], Awaitable[None]]
    either: Callable[[Request], Awaitable[None]]


def bearers(sessions: Sessions) -> Bearers:
    def allow(*finders: Callable[[str], Session | None]) -> Callable[[Request], Awaitable[None]]:
        async def check(request: Request) -> None:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            found = (find(token) for find in finders) if scheme.lower() == "bearer" else iter(())
            session = next((one for one in found if one is not None and one.account_id), None)
            if session is None:
                raise ManagementRefused(Refusal(Reason.SIGN_IN_REQUIRED))
            request.state.session, request.state.token = session, token

        return check

    return Bearers(allow(sessions.find), allow(sessions.find_half), allow(sessions.find, sessions.find_half))


async def anybody(request: Request) -> None:
    """Whoever has no session yet."""


def signed_in(request: Request) -> Session:
    """The session that the request came with."""
    session: Session = request.state.session
    return session


def whose(request: Request) -> str:
    """Idempotency keys are each account's own."""
    return str(signed_in(request).account_id)


#: Only describes; `bearers` asks.
TOKEN = HTTPBearer(scheme_name="sessionToken", description="The token that a sign-in answered", auto_error=False)
Here = Annotated[Session, Depends(signed_in)]


def granted(outcome: T | Refusal) -> T:
    """What a service answered, unless it refused."""
    if isinstance(outcome, Refusal):
        raise ManagementRefused(outcome)
    return outcome


def visitor(request: Request, device: str = "") -> Visitor:
    return Visitor(request.client.host if request.client else "", request.headers.get("user-agent", "")[:1_000], device)


def session_routes(identity: Identity, sessions: Sessions, factors: Factors) -> list[APIRouter]:
    may = bearers(sessions)
    shared = [Depends(TOKEN)]
    strangers = APIRouter(prefix=PREFIX, route_class=routed(anybody), tags=["sessions"])
    halves = APIRouter(prefix=PREFIX, route_class=routed(may.half), tags=["sessions"], dependencies=shared)
    either = APIRouter(prefix=PREFIX, route_class=routed(may.either), tags=["sessions"], dependencies=shared)
    holders = APIRouter(prefix=PREFIX, route_class=routed(may.full), tags=["sessions"], dependencies=shared)

    def opened(result: SignedIn) -> dict[str, Any]:
        session = result.session
        return {
            "token": result.token,
            "stage": session.stage,
            "factors": factors.choices(session.account_id) if session.stage == "half" else [],
            "expiresMs": session.until_us // MILLISECOND_US,
            "device": result.device,
        }

    # --- signing up --------------------------------------------------------------------------------------------------

    @strangers.post("/sign-up", response_model=answers.Done, responses=refusals(400, 413, 415, 429, 503))
    async def sign_up(request: Request, body: SignUp) -> dict[str, Any]:
        """Have a letter sent with a link that makes the account. The answer is the same if there is one already."""
        granted(await identity.sign_up(body.email, body.password, visitor(request)))
        return {"done": True}

    @strangers.post("/sign-up/confirm", response_model=answers.Done, responses=refusals(410, 413, 415))
    async def confirm_sign_up(body: Confirmation) -> dict[str, Any]:
        """Make the account, with the token of the letter's link."""
        granted(await identity.confirm(body.token))
        return {"done": True}

    @strangers.post("/forgotten", response_model=answers.Done, responses=refusals(400, 413, 415, 429))
    async def forget_password(request: Request, body: Forgotten) -> dict[str, Any]:
        """Have a letter sent with a link that sets another password. The answer is the same without an account."""
        granted(await identity.ask_reset(body.email, visitor(request)))
        return {"done": True}

    @strangers.post("/reset", response_model=answers.Done, responses=refusals(400, 410, 413, 415, 503))
    async def reset_password(request: Request, body: Reset) -> dict[str, Any]:
        """Set another password, with the token of the letter's link. All sessions end."""
        granted(await identity.reset(body.token, body.password, visitor(request)))
        return {"done": True}

    # --- signing in --------------------------------------------------------------------------------------------------

    @strangers.post("/session", response_model=answers.SessionOpened, responses=refusals(400, 401, 413, 415, 429, 503))
    async def sign_in(request: Request, body: SignIn) -> dict[str, Any]:
        """Sign in. Where the account has a second factor, the session is half open until one is proven."""
        return opened(granted(await identity.sign_in(body.email, body.password, visitor(request, body.device))))

    @halves.post("/session/codes", response_model=answers.Done, responses=refusals(400, 403, 413, 415, 429))
    async def send_sign_in_code(session: Here, body: CodeWanted) -> dict[str, Any]:
        """Have a code sent by SMS, for the second step of the sign-in."""
        if body.kind != "sms":
            raise ManagementRefused(Refusal(Reason.REQUEST_INVALID, ("Codes for signing in go out by SMS.",)))
        granted(factors.send_sms(session.account_id, factor_purpose(session), "sign in"))
        return {"done": True}

    @halves.post("/session/passkey", response_model=answers.PasskeyOptions, responses=refusals(400, 403))
    async def ask_sign_in_passkey(request: Request, session: Here) -> dict[str, Any]:
        """Get the options for a passkey, for the second step of the sign-in."""
        host = request.headers.get("host", "")
        return passkey_options(factors.ask_passkey(session.account_id, factor_purpose(session), host))

    @halves.post(
        "/session/factor",
        response_model=answers.SessionOpened,
        responses=refusals(400, 403, 404, 409, 410, 413, 415, 429, 503),
    )
    async def prove_factor(request: Request, session: Here, body: SecondFactor) -> dict[str, Any]:
        """Prove a second factor: the session is open, under another token."""
        result = await identity.prove_factor(session, body.factor, body.code, visitor(request, body.device))
        return opened(granted(result))

    @either.delete("/session", response_model=answers.Done, responses=refusals())
    async def sign_out(session: Here) -> dict[str, Any]:
        """End this session."""
        identity.sign_out(session)
        return {"done": True}

    # --- sessions ----------------------------------------------------------------------------------------------------

    @holders.get("/sessions", response_model=list[answers.SessionShown], responses=refusals())
    async def list_sessions(session: Here) -> list[dict[str, Any]]:
        """List the account's sessions, the newest first."""
        return [_document(one, session) for one in identity.sessions(session.account_id)]

    @holders.delete("/sessions/{handle}", response_model=answers.Done, responses=refusals(404))
    async def end_session(session: Here, handle: Handle) -> dict[str, Any]:
        """End one session of the account."""
        granted(identity.end_session(session, handle))
        return {"done": True}

    @holders.delete("/sessions", response_model=answers.Renewed, responses=refusals())
    async def end_other_sessions(session: Here) -> dict[str, Any]:
        """End every session of the account but this one, which goes on under another token."""
        return {"token": granted(await identity.end_all_sessions(session)).token}

    return [strangers, halves, either, holders]


def passkey_options(options: str | Refusal) -> dict[str, Any]:
    return {"options": msgspec.json.decode(granted(options))}


def _document(session: Session, current: Session) -> dict[str, Any]:
    return {
        "handle": session.handle,
        "current": session.handle == current.handle,
        "ip": session.ip,
        "agent": session.agent,
        "createdMs": session.created_us // MILLISECOND_US,
        "seenMs": session.seen_us // MILLISECOND_US,
        "expiresMs": session.until_us // MILLISECOND_US,
    }
