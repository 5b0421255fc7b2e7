"""`/verify/<id>`: what is about to happen, which proof it wants, and then that it happens.

A page that has read a form whose act wants a step-up calls `Verifying.ask` with what goes on once it is proven. The
form stays on the server meanwhile; the browser holds the step-up's id alone.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.console.codes import Codes
from sparekey.console.factors import Factors, SignedIn
from sparekey.console.pages.shell import SESSION_COOKIE, Shell, safe_path
from sparekey.console.refused import ManagementRefused
from sparekey.console.step_up import Action, Continuation, StepUp, StepUps
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: What may be proven here; one of these, and `email` where it is wanted.
_PROOFS: Final = ("totp", "sms", "passkey", "recovery", "email")


class Rotation(Protocol):
    def rotate(self, session: Any) -> tuple[Any, str] | None:
        """The session under a new token; None if it ended."""


class Verifying:
    def __init__(self, shell: Shell, step_ups: StepUps, factors: Factors, codes: Codes, sessions: Rotation) -> None:
        self._shell = shell
        self._step_ups = step_ups
        self._factors = factors
        self._codes = codes
        self._sessions = sessions
        #: by step-up: what was sent with its form, and what comes of it
        self._under_way: dict[str, tuple[bytes, asyncio.Task[Response]]] = {}

    async def ask(
        self, request: Request, session: SignedIn, action: Action, then: Continuation, *, back: str
    ) -> Response:
        """Answer a form whose act wants a step-up: `then(request, step_up_id)` takes the proof, acts, and answers.

        `back` is the page to return to for who thinks better of it. Only for the answer to a POST, because it sends
        the code by e-mail at once.
        """
        step_up = self._step_ups.begin(session, action, then, back=back)
        if isinstance(step_up, Refusal):
            return self.refused(request, step_up)
        if step_up.needs_email:
            refusal = self._step_ups.send_code(step_up.id, session, "email")
            if refusal is not None:
                return self.refused(request, refusal)
        return self._shell.redirect(f"/verify/{step_up.id}")

    def refused(self, request: Request, refusal: Refusal) -> Response:
        """A whole page that says why not."""
        status = ManagementRefused(refusal).status
        return self._shell.refusal_page(request, status, "This was not done", refusal.explanation, refusal.reason.fix)

    def routes(self) -> list[Route]:
        only = self._shell.holders_only
        return [
            Route("/verify/{step_up_id}", only(self._show), methods=["GET"]),
            Route("/verify/{step_up_id}", only(self._prove), methods=["POST"]),
            Route("/verify/{step_up_id}/send", only(self._send), methods=["POST"]),
        ]

    async def _show(self, request: Request, session: Any) -> Response:
        step_up = self._step_ups.find(request.path_params["step_up_id"], session)
        if step_up is None:
            return self._over(request)
        return self._page(request, step_up)

    async def _send(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        step_up = self._step_ups.find(request.path_params["step_up_id"], session)
        if step_up is None:
            return self._over(request)
        kind = form.text("kind")
        refusal = self._step_ups.send_code(step_up.id, session, kind)
        if refusal is not None:
            return self._page(request, step_up, refusal)
        told = "An SMS with a code is on its way." if kind == "sms" else "An e-mail with a new code is on its way."
        return self._shell.done(request, f"/verify/{step_up.id}", told)

    async def _prove(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        step_up = self._step_ups.find(request.path_params["step_up_id"], session)
        if step_up is None:
            return self._over(request)
        proofs = {name: form.text(name) for name in _PROOFS}
        said = msgspec.json.encode(proofs, order="sorted")
        under_way = self._under_way.get(step_up.id)
        if under_way is not None and hmac.compare_digest(under_way[0], said):
            # The same form once more, before the first was answered: one act, and one answer for both.
            return await asyncio.shield(under_way[1])
        task = asyncio.ensure_future(self._go_on(request, session, step_up, proofs))
        if under_way is None:
            self._under_way[step_up.id] = (said, task)
            task.add_done_callback(lambda _: self._under_way.pop(step_up.id, None))
        # What was begun goes on, also if whoever asked goes away.
        return await asyncio.shield(task)

    async def _go_on(self, request: Request, session: Any, step_up: StepUp, proofs: Mapping[str, str]) -> Response:
        refusal = await self._step_ups.prove(step_up.id, session, proofs)
        if refusal is not None:
            return self._page(request, step_up, refusal, proofs)
        # No await between: of several that were right the first one acts, and the others change nothing.
        then, step_up.then = step_up.then, None
        if then is None:
            return self._over(request)
        # Whoever had the token before has nothing that was proven.
        renewed = self._sessions.rotate(session)
        if renewed is None:
            return self._over(request)
        session, token = renewed
        try:
            answer: Response = await then(request, step_up.id)
        except ManagementRefused as refused:  # an answer like any other: it has to carry the new token
            answer = self.refused(request, refused.refusal)
        if not step_up.taken:  # the act was not done, and may be asked for again while the proof is fresh
            step_up.then = then
        if not _sets(answer, SESSION_COOKIE):  # the act may have put the session under a token of its own
            self._shell.set_cookie(request, answer, SESSION_COOKIE, token)
        return answer

    def _page(
        self, request: Request, step_up: StepUp, refusal: Refusal | None = None, proofs: Mapping[str, str] | None = None
    ) -> Response:
        names = self._factors.choices(step_up.account_id)
        wrong = "" if refusal is None or proofs is None else _field_of(refusal, proofs)
        passkey: str | Refusal = ""
        if "passkey" in names:
            passkey = self._factors.ask_passkey(step_up.account_id, step_up.id, request.headers.get("host", ""))
        return self._shell.page(
            request,
            "verifying/verify.html",
            status=200 if refusal is None else ManagementRefused(refusal).status,
            step_up=step_up,
            names=names,
            number=self._factors.masked_number(step_up.account_id),
            email_sent=self._codes.is_waiting("email", step_up.id),
            sms_sent=self._codes.is_waiting("sms", step_up.id),
            passkey="" if isinstance(passkey, Refusal) else passkey,
            passkey_refusal=passkey if isinstance(passkey, Refusal) else None,
            wrong=wrong,
            # Shown again, so that only what was wrong is typed anew.
            email="" if proofs is None or wrong == "email" else proofs["email"][:40],
            back=safe_path(step_up.back, "/my"),
            refusal=refusal,
        )

    def _over(self, request: Request) -> Response:
        return self._shell.refusal_page(
            request,
            410,
            "This verification is over",
            "It was finished already, is too old, or was begun in another session. Nothing was done now.",
            "Begin anew from the page that wants it.",
        )


def _field_of(refusal: Refusal, proofs: Mapping[str, str]) -> str:
    """The field that a refusal is about; "" where it is about none, or could be about two."""
    if refusal.reason in (Reason.CODE_WRONG, Reason.CODE_EXPIRED):
        return "" if proofs["sms"] else "email"
    if refusal.reason is Reason.RECOVERY_WRONG:
        return "recovery"
    of_factor = refusal.reason in (Reason.FACTOR_WRONG, Reason.FACTOR_USED, Reason.FACTOR_DRIFT)
    return next((name for name in ("totp", "recovery") if proofs[name]), "") if of_factor else ""


def _sets(answer: Response, cookie: str) -> bool:
    return any(value.startswith(f"{cookie}=") for value in answer.headers.getlist("set-cookie"))
