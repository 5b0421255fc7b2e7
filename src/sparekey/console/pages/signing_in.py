"""Pages of who is not signed in yet: sign-up and its confirmation, sign-in and its second factor, forgotten passwords.

A link from a letter opens a page that changes nothing: programs that look into mail open links, too. The button on it
does. What is shown never depends on whether an address has an account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.console.codes import Codes
from sparekey.console.factors import Factors
from sparekey.console.identity import Identity, SignedIn, Visitor, factor_purpose
from sparekey.console.pages.shell import SESSION_COOKIE, Shell, safe_path
from sparekey.console.passwords import LONGEST, SHORTEST
from sparekey.console.refused import retry_headers, status_of
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

DEVICE_COOKIE: Final = "sparekey_device"
#: Browsers keep no cookie for longer than 400 days.
_DEVICE_SECONDS: Final = 400 * 86_400
_HOME: Final = "/my"
_FACTORS: Final = ("totp", "sms", "passkey", "recovery")

#: Beside which field a refusal stands; others stand above the form.
_FIELD_OF = {
    Reason.EMAIL_INVALID: "email",
    Reason.PASSWORD_WEAK: "password",
}


class SigningIn:
    """`letters_stay`: no letter leaves this server, so that people must look for theirs where the operator sees it.

    `demo`: there is a demo account for whoever runs this server.
    """

    def __init__(
        self,
        shell: Shell,
        identity: Identity,
        factors: Factors,
        codes: Codes,
        *,
        letters_stay: bool = False,
        demo: bool = False,
    ) -> None:
        self._shell = shell
        self._identity = identity
        self._factors = factors
        self._codes = codes
        self._letters_stay = letters_stay
        self._demo = demo

    def routes(self) -> list[Route]:
        pages = {
            "/sign-up": (self._show_sign_up, self._sign_up),
            "/sign-up/sent": (self._show_sign_up_sent, None),
            "/sign-up/confirm": (self._show_confirm, self._confirm),
            "/sign-in": (self._show_sign_in, self._sign_in),
            "/sign-in/factor": (self._show_factor, self._prove_factor),
            "/sign-in/factor/send": (None, self._send_code),
            "/sign-out": (None, self._sign_out),
            "/forgotten": (self._show_forgotten, self._forgotten),
            "/forgotten/sent": (self._show_forgotten_sent, None),
            "/reset": (self._show_reset, self._reset),
        }
        routes: list[Route] = []
        for path, (show, act) in pages.items():
            routes += [] if show is None else [Route(path, show, methods=["GET"])]
            routes += [] if act is None else [Route(path, act, methods=["POST"])]
        return routes

    # --- signing up --------------------------------------------------------------------------------------------------

    async def _show_sign_up(self, request: Request) -> Response:
        if self._shell.session(request) is not None:
            return self._shell.redirect(_HOME)
        return self._form(request, "sign_up.html")

    async def _sign_up(self, request: Request) -> Response:
        form = await self._shell.form(request)
        email = form.text("email")
        refusal = await self._identity.sign_up(email, form.text("password"), visitor(self._shell, request))
        if refusal is not None:
            return self._form(request, "sign_up.html", refusal, email=email)
        return self._shell.redirect("/sign-up/sent")

    async def _show_sign_up_sent(self, request: Request) -> Response:
        return self._form(request, "sign_up_sent.html")

    async def _show_confirm(self, request: Request) -> Response:
        token = request.query_params.get("token", "")
        if not self._identity.waits_for_confirmation(token):
            return self._link_over(request, "/sign-up", "Sign up again")
        return self._form(request, "confirm.html", token=token)

    async def _confirm(self, request: Request) -> Response:
        form = await self._shell.form(request)
        if await self._identity.confirm(form.text("token")) is not None:
            return self._link_over(request, "/sign-up", "Sign up again")
        return self._shell.done(request, "/sign-in", "Your e-mail address is confirmed, and your account is open.")

    # --- signing in --------------------------------------------------------------------------------------------------

    async def _show_sign_in(self, request: Request) -> Response:
        ahead = request.query_params.get("next", "")
        if self._shell.session(request) is not None:
            return self._shell.redirect(safe_path(ahead, _HOME))
        return self._form(request, "sign_in.html", next=safe_path(ahead, ""))

    async def _sign_in(self, request: Request) -> Response:
        form = await self._shell.form(request)
        email, ahead = form.text("email"), safe_path(form.text("next"), "")
        answer = await self._identity.sign_in(email, form.text("password"), visitor(self._shell, request))
        if isinstance(answer, Refusal):
            return self._form(request, "sign_in.html", answer, email=email, next=ahead)
        self._leave(request)
        if answer.session.stage == "half":
            further = self._shell.redirect("/sign-in/factor" + (f"?next={quote(ahead, safe='')}" if ahead else ""))
            self._shell.set_cookie(request, further, SESSION_COOKIE, answer.token)
            return further
        return self._enter(request, answer, ahead)

    async def _show_factor(self, request: Request) -> Response:
        ahead = safe_path(request.query_params.get("next", ""), "")
        half = self._shell.half_session(request)
        if half is None:
            return self._show_whither(request, ahead)
        return self._factor_page(request, half, ahead)

    async def _prove_factor(self, request: Request) -> Response:
        form = await self._shell.form(request)
        ahead = safe_path(form.text("next"), "")
        half = self._shell.half_session(request)
        if half is None:
            return self._show_whither(request, ahead)
        proofs = {name: form.text(name) for name in _FACTORS if form.text(name).strip()}
        if len(proofs) != 1:
            wanted = " or ".join(self._factors.choices(half.account_id))
            refusal = Refusal(Reason.REQUEST_INVALID, (f"One second factor is wanted: {wanted}.",))
            return self._factor_page(request, half, ahead, refusal)
        [(name, code)] = proofs.items()
        answer = await self._identity.prove_factor(half, name, code, visitor(self._shell, request))
        if not isinstance(answer, Refusal):
            return self._enter(request, answer, ahead)
        if answer.reason is Reason.SESSION_ENDED:
            return self._shell.done(request, "/sign-in", "That took too long. Sign in again.", "warn")
        return self._factor_page(request, half, ahead, answer)

    async def _send_code(self, request: Request) -> Response:
        form = await self._shell.form(request)
        ahead = safe_path(form.text("next"), "")
        half = self._shell.half_session(request)
        if half is None:
            return self._show_whither(request, ahead)
        refusal = self._factors.send_sms(half.account_id, factor_purpose(half), "sign in")
        if refusal is not None:
            return self._factor_page(request, half, ahead, refusal)
        further = "/sign-in/factor" + (f"?next={quote(ahead, safe='')}" if ahead else "")
        return self._shell.done(request, further, "An SMS with a code is on its way.")

    async def _sign_out(self, request: Request) -> Response:
        if self._shell.session(request) is None and self._shell.half_session(request) is None:
            return self._shell.redirect("/")  # nothing is changed, so no form need be believed
        await self._shell.form(request)
        self._leave(request)
        answer = self._shell.done(request, "/", "You are signed out.")
        answer.delete_cookie(SESSION_COOKIE)
        return answer

    def _enter(self, request: Request, signed_in: SignedIn, ahead: str) -> Response:
        answer = self._shell.redirect(ahead or _HOME)
        self._shell.set_cookie(request, answer, SESSION_COOKIE, signed_in.token)
        self._shell.set_cookie(request, answer, DEVICE_COOKIE, signed_in.device, max_age=_DEVICE_SECONDS)
        return answer

    def _leave(self, request: Request) -> None:
        """Whoever was signed in on this browser is not any more."""
        for session in (self._shell.session(request), self._shell.half_session(request)):
            if session is not None:
                self._identity.sign_out(session)

    def _show_whither(self, request: Request, ahead: str) -> Response:
        """To where who has nothing to prove belongs: on, or back to the password."""
        if self._shell.session(request) is not None:
            return self._shell.redirect(ahead or _HOME)
        return self._shell.redirect("/sign-in" + (f"?next={quote(ahead, safe='')}" if ahead else ""))

    def _factor_page(self, request: Request, half: Any, ahead: str, refusal: Refusal | None = None) -> Response:
        names, purpose = self._factors.choices(half.account_id), factor_purpose(half)
        passkey: str | Refusal = ""
        if "passkey" in names:
            passkey = self._factors.ask_passkey(half.account_id, purpose, request.headers.get("host", ""))
        return self._form(
            request,
            "factor.html",
            refusal,
            names=names,
            number=self._factors.masked_number(half.account_id),
            sms_sent=self._codes.is_waiting("sms", purpose),
            passkey="" if isinstance(passkey, Refusal) else passkey,
            passkey_refusal=passkey if isinstance(passkey, Refusal) else None,
            next=ahead,
        )

    # --- a forgotten password ----------------------------------------------------------------------------------------

    async def _show_forgotten(self, request: Request) -> Response:
        return self._form(request, "forgotten.html")

    async def _forgotten(self, request: Request) -> Response:
        form = await self._shell.form(request)
        email = form.text("email")
        refusal = await self._identity.ask_reset(email, visitor(self._shell, request))
        if refusal is not None:
            return self._form(request, "forgotten.html", refusal, email=email)
        return self._shell.redirect("/forgotten/sent")

    async def _show_forgotten_sent(self, request: Request) -> Response:
        return self._form(request, "forgotten_sent.html")

    async def _show_reset(self, request: Request) -> Response:
        token = request.query_params.get("token", "")
        if not self._identity.can_reset(token):
            return self._link_over(request, "/forgotten", "Have another link sent")
        return self._form(request, "reset.html", token=token)

    async def _reset(self, request: Request) -> Response:
        form = await self._shell.form(request)
        token = form.text("token")
        refusal = await self._identity.reset(token, form.text("password"), visitor(self._shell, request))
        if refusal is None:
            told = "Your password is changed, and every session has ended. Sign in with the new one."
            return self._shell.done(request, "/sign-in", told)
        if refusal.reason is Reason.LINK_EXPIRED:
            return self._link_over(request, "/forgotten", "Have another link sent")
        return self._form(request, "reset.html", refusal, token=token)

    # --- within ------------------------------------------------------------------------------------------------------

    def _form(self, request: Request, template: str, refusal: Refusal | None = None, **context: Any) -> Response:
        field = "" if refusal is None else _FIELD_OF.get(refusal.reason, "")
        return self._shell.page(
            request,
            f"signing_in/{template}",
            status=200 if refusal is None else status_of(refusal),
            headers=_waiting(refusal),
            refusal=None if field else refusal,
            refused={name: refusal if name == field else None for name in _FIELD_OF.values()},
            shortest=SHORTEST,
            longest=LONGEST,
            letters_stay=self._letters_stay,
            demo=self._demo,
            **{"email": "", "next": "", **context},
        )

    def _link_over(self, request: Request, address: str, link: str) -> Response:
        return self._shell.page(
            request,
            "signing_in/link_over.html",
            status=status_of(Refusal(Reason.LINK_EXPIRED)),
            refusal=Refusal(Reason.LINK_EXPIRED),
            address=address,
            link=link,
        )


def _waiting(refusal: Refusal | None) -> Mapping[str, str]:
    return {} if refusal is None else retry_headers(refusal)


def visitor(shell: Shell, request: Request) -> Visitor:
    """Who sent the request."""
    return Visitor(
        shell.address(request), request.headers.get("user-agent", ""), request.cookies.get(DEVICE_COOKIE, "")
    )
