"""`/my/settings/security/sessions` and `…/password`: where an account is signed in, and another password for it."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.console.factors import Factors
from sparekey.console.identity import Identity, SignedIn
from sparekey.console.pages.shell import SESSION_COOKIE, Shell
from sparekey.console.pages.signing_in import visitor
from sparekey.console.pages.verifying import Verifying
from sparekey.console.passwords import LONGEST, SHORTEST
from sparekey.console.refused import retry_headers, status_of
from sparekey.console.step_up import Action, StepUps
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

SESSIONS: Final = "/my/settings/security/sessions"
PASSWORD: Final = "/my/settings/security/password"  # noqa: S105

#: Beside which field a refusal stands; others stand above the form.
_FIELD_OF = {
    Reason.PASSWORD_WRONG: "old",
    Reason.PASSWORD_WEAK: "password",
    Reason.PASSWORD_SAME: "password",
}


class SessionPages:
    def __init__(
        self, shell: Shell, identity: Identity, factors: Factors, step_ups: StepUps, verifying: Verifying
    ) -> None:
        self._shell = shell
        self._identity = identity
        self._factors = factors
        self._step_ups = step_ups
        self._verifying = verifying

    def routes(self) -> list[Route]:
        only = self._shell.holders_only
        return [
            Route(SESSIONS, only(self._show_sessions), methods=["GET"]),
            Route(f"{SESSIONS}/end", only(self._end), methods=["POST"]),
            Route(f"{SESSIONS}/end-all", only(self._end_all), methods=["POST"]),
            Route(PASSWORD, only(self._show_password), methods=["GET"]),
            Route(PASSWORD, only(self._change_password), methods=["POST"]),
        ]

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def _show_sessions(self, request: Request, session: Any) -> Response:
        return self._list(request, session)

    def _list(self, request: Request, session: Any, refusal: Refusal | None = None) -> Response:
        return self._shell.page(
            request,
            "security/sessions.html",
            status=200 if refusal is None else status_of(refusal),
            sessions=self._identity.sessions(session.account_id),
            refusal=refusal,
        )

    async def _end(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        handle = form.text("handle")
        refusal = self._identity.end_session(session, handle)
        if refusal is not None:
            return self._list(request, session, refusal)
        if handle != session.handle:
            return self._shell.done(request, SESSIONS, "The session is ended.")
        answer = self._shell.done(request, "/", "You are signed out.")
        answer.delete_cookie(SESSION_COOKIE)
        return answer

    async def _end_all(self, request: Request, session: Any) -> Response:
        await self._shell.form(request)
        return self._went_on(
            request, await self._identity.end_all_sessions(session), SESSIONS, "All other sessions are ended."
        )

    # --- the password ------------------------------------------------------------------------------------------------

    async def _show_password(self, request: Request, session: Any) -> Response:
        return self._password_form(request, session)

    def _password_form(self, request: Request, session: Any, refusal: Refusal | None = None) -> Response:
        field = "" if refusal is None else _FIELD_OF.get(refusal.reason, "")
        return self._shell.page(
            request,
            "security/password.html",
            status=200 if refusal is None else status_of(refusal),
            headers={} if refusal is None else retry_headers(refusal),
            refusal=None if field else refusal,
            refused={name: refusal if name == field else None for name in ("old", "password")},
            has_factors=bool(self._factors.choices(session.account_id)),
            shortest=SHORTEST,
            longest=LONGEST,
        )

    async def _change_password(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        prepared = await self._identity.prepare_change(session, form.text("old"), form.text("password"))
        if isinstance(prepared, Refusal):
            return self._password_form(request, session, prepared)
        # From here on the server knows the new password's hash alone.
        action = Action.of("password-change", "", "change your password", prepared)

        async def change(request: Request, step_up_id: str) -> Response:
            refusal = self._step_ups.take(step_up_id, session, action)
            if refusal is not None:
                return self._shell.refused(request, refusal)
            return await self._put_in_force(request, session, prepared)

        if self._factors.choices(session.account_id):
            return await self._verifying.ask(request, session, action, change, back=PASSWORD)
        # Without a second factor the old password is all that there is to prove.
        return await self._put_in_force(request, session, prepared)

    async def _put_in_force(self, request: Request, session: Any, password_hash: str) -> Response:
        answer = await self._identity.change_password(session, password_hash, visitor(self._shell, request))
        told = "Your password is changed, and every other session is ended."
        return self._went_on(request, answer, "/my/settings/security", told)

    def _went_on(self, request: Request, answer: SignedIn | Refusal, address: str, told: str) -> Response:
        """The session goes on under another token, unless it ended meanwhile."""
        if isinstance(answer, Refusal):
            return self._shell.refused(request, answer)
        further = self._shell.done(request, address, told)
        self._shell.set_cookie(request, further, SESSION_COOKIE, answer.token)
        return further
