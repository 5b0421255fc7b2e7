"""What all pages share: who is looking, the frame around a page, forms that can be believed, notices, refusals.

A page changes nothing by GET. A change is a form with a token that this browser's session holds (or, signed out, its
cookie: the double-submit pattern), sent from a page of ours, and answered with 303.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sparekey.console.pages.forms import LARGEST_FORM, Form, FormRefused, read_form
from sparekey.console.pages.spelling import make_environment
from sparekey.console.pages.static_files import StaticFiles
from sparekey.console.refused import ManagementRefused, retry_headers, status_of
from sparekey.terms.refusals import Refusal

SESSION_COOKIE: Final = "sparekey_session"
OPERATOR_COOKIE: Final = "sparekey_operator"
_FORM_COOKIE: Final = "sparekey_form"
_NOTICE_COOKIE: Final = "sparekey_notice"
_THEME_COOKIE: Final = "sparekey_theme"
_THEMES: Final = ("auto", "light", "dark")
_YEAR_S: Final = 31_536_000
#: Notices that wait for their reader.
_MOST_NOTICES: Final = 1_000

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer, with which browsers send the Origin of our own forms as "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class SessionFinder(Protocol):
    """Where the sessions of tokens are found. Each has an `account_id` (0 is the operator) and a `csrf` secret."""

    def find(self, token: str) -> Any:
        """The full session of this token; None for one that ended or never was."""

    def find_half(self, token: str) -> Any:
        """The session of this token whose second factor is still due."""


Page = Callable[[Request], Awaitable[Response]]
#: The session's own class is known to those who open sessions; pages take it as it comes.
PageOfSession = Callable[[Request, Any], Awaitable[Response]]


class Shell:
    """`name_of` tells an account's e-mail address; `facts` stand at the foot of the page of the signed out."""

    def __init__(
        self,
        sessions: SessionFinder,
        name_of: Callable[[int], str],
        policy_us: Callable[[], int],
        *,
        facts: Mapping[str, str],
        secure: bool = False,
    ) -> None:
        """`secure`: the console is reached by TLS although this process does not see it."""
        self._sessions = sessions
        self._name_of = name_of
        self._secure = secure
        self._notices: dict[str, tuple[str, str]] = {}
        self.static = StaticFiles()
        self._templates = make_environment(self.static, policy_us)
        self._templates.globals["facts"] = facts

    def prepare(self) -> None:
        """Compile every template, which else the first reader of each page, and every call meanwhile, waits for. The
        first time it takes a quarter of a second, so it is for a thread."""
        for name in self._templates.list_templates():
            self._templates.get_template(name)

    # --- who is looking ----------------------------------------------------------------------------------------------

    def session(self, request: Request) -> Any:
        """The account holder's session; None when signed out, or while the second factor is due."""
        session = self._find(request, SESSION_COOKIE, self._sessions.find)
        return session if session is not None and session.account_id else None

    def half_session(self, request: Request) -> Any:
        """The session of who has given the password, and not yet the second factor."""
        return self._find(request, SESSION_COOKIE, self._sessions.find_half)

    def operator(self, request: Request) -> Any:
        """The operator's session, or None."""
        session = self._find(request, OPERATOR_COOKIE, self._sessions.find)
        return session if session is not None and not session.account_id else None

    @staticmethod
    def _find(request: Request, cookie: str, find: Callable[[str], Any]) -> Any:
        # Asked several times for one page; the answer is kept with the request.
        kept: dict[tuple[str, str], Any] = request.scope.setdefault("sparekey.sessions", {})
        asked = (cookie, find.__name__)
        if asked not in kept:
            token = request.cookies.get(cookie, "")
            kept[asked] = find(token) if token else None
        return kept[asked]

    def holders_only(self, page: PageOfSession) -> Page:
        """A page for who is fully signed in; others sign in first, and come back."""

        async def guarded(request: Request) -> Response:
            session = self.session(request)
            if session is not None:
                return await page(request, session)
            step = "" if self.half_session(request) is None else "/factor"
            return self.redirect(f"/sign-in{step}?next={quote(_here(request), safe='')}")

        return guarded

    def operators_only(self, page: PageOfSession) -> Page:
        async def guarded(request: Request) -> Response:
            session = self.operator(request)
            if session is not None:
                return await page(request, session)
            return self.redirect(f"/operator/sign-in?next={quote(_here(request), safe='')}")

        return guarded

    @staticmethod
    def address(request: Request) -> str:
        """The caller's address, as the call log spells it; "" where it cannot be known."""
        return request.client.host if request.client else ""

    def is_secure(self, request: Request) -> bool:
        return self._secure or request.url.scheme == "https"

    # --- answers -----------------------------------------------------------------------------------------------------

    def page(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> HTMLResponse:
        """The template within the frame, with what the frame needs to know of the reader."""
        of_operator = _is_operators(request)
        session = self.operator(request) if of_operator else self.session(request)
        form_token, new_form_token = self._form_token(request), ""
        if not form_token:
            form_token = new_form_token = secrets.token_urlsafe(24)
        theme = request.cookies.get(_THEME_COOKIE, "auto")
        holder = session is not None and not of_operator
        notice = request.cookies.get(_NOTICE_COOKIE, "")
        text = self._templates.get_template(template).render(
            path=request.url.path,
            here=_here(request),
            csrf=form_token,
            theme=theme if theme in _THEMES else "auto",
            session=session,
            is_holder=holder,
            is_operator=session is not None and of_operator,
            name=self._name_of(session.account_id) if holder else "",
            notice=self._notices.pop(notice, None) if notice else None,
            **context,
        )
        answer = HTMLResponse(text, status_code=status, headers={**SECURITY_HEADERS, **(headers or {})})
        if new_form_token:
            self.set_cookie(request, answer, _FORM_COOKIE, new_form_token)
        if notice:
            answer.delete_cookie(_NOTICE_COOKIE)
        return answer

    def redirect(self, address: str) -> RedirectResponse:
        return RedirectResponse(address, 303, headers={"Cache-Control": "no-store", "Referrer-Policy": "same-origin"})

    def done(self, request: Request, address: str, notice: str, kind: str = "good") -> RedirectResponse:
        """On to a page that says once what was just done. `kind` is good, warn or bad. No secret goes in here."""
        answer = self.redirect(address)
        name = secrets.token_urlsafe(16)
        if len(self._notices) >= _MOST_NOTICES:
            del self._notices[next(iter(self._notices))]
        self._notices[name] = (kind, notice)
        self.set_cookie(request, answer, _NOTICE_COOKIE, name, max_age=120)
        return answer

    def set_cookie(
        self,
        request: Request,
        answer: Response,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        strict: bool = False,
    ) -> None:
        answer.set_cookie(
            name,
            value,
            max_age=max_age,
            httponly=True,
            secure=self.is_secure(request),
            samesite="strict" if strict else "lax",
        )

    def refusal_page(self, request: Request, status: int, title: str, text: str, fix: str = "") -> Response:
        """A whole page that says no; JSON for a caller that did not ask for HTML."""
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"error": {"reason": _SLUGS.get(status, "request-invalid"), "message": text}}, status)
        return self.page(request, "refused.html", status=status, title=title, text=text, fix=fix)

    def refused(self, request: Request, refusal: Refusal) -> Response:
        """The same, for a refusal that no form shows beside what was typed."""
        answer = self.refusal_page(
            request, status_of(refusal), "This was not done", refusal.explanation, refusal.reason.fix
        )
        answer.headers.update(retry_headers(refusal))
        return answer

    # --- forms -------------------------------------------------------------------------------------------------------

    async def form(self, request: Request, most_bytes: int = LARGEST_FORM) -> Form:
        """The form that was posted; raises FormRefused, which becomes a page, for one that no page of ours sent."""
        self._check_source(request)
        form = await read_form(request, most_bytes)
        expected = [self._form_token(request)]
        if request.url.path == "/theme":  # on the pages of either
            expected += [one.csrf for one in (self.operator(request), self.session(request)) if one is not None]
            expected.append(_form_cookie(request))
        given = form.text("csrf").encode()
        if not any(one and hmac.compare_digest(given, one.encode()) for one in expected):
            raise FormRefused(
                403,
                "The form was made for another session. It may have been open since before you signed in or out; "
                "or this browser keeps no cookies.",
            )
        return form

    def _form_token(self, request: Request) -> str:
        """What a form of this browser must carry; "" for a browser that has not seen a page yet."""
        if _is_operators(request):
            session = self.operator(request)
        else:
            session = self.session(request) or self.half_session(request)
        token: str = _form_cookie(request) if session is None else session.csrf
        return token

    @staticmethod
    def _check_source(request: Request) -> None:
        """Browsers say where a form comes from; a caller that says nothing still needs the token."""
        fetched = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        foreign = fetched is not None and fetched not in ("same-origin", "none")
        if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
            foreign = True
        if foreign:
            raise FormRefused(403, "The form was sent by a page of another site. Nothing was done.")

    # --- its own routes ----------------------------------------------------------------------------------------------

    def application(self, pages: Sequence[Route]) -> Starlette:
        """The ASGI application of these pages and of what is the shell's own."""
        own = [self.static.route(), Route("/theme", self._choose_theme, methods=["POST"])]
        handlers: dict[Any, Any] = {
            FormRefused: self._refuse_form,
            ManagementRefused: self._refuse,
            HTTPException: self._refuse_http,
            Exception: self._admit_failure,
        }
        return Starlette(routes=[*own, *pages], exception_handlers=handlers)

    async def _choose_theme(self, request: Request) -> Response:
        form = await self.form(request)
        theme = form.text("theme")
        answer = self.redirect(safe_path(form.text("next"), "/"))
        if theme in _THEMES:
            self.set_cookie(request, answer, _THEME_COOKIE, theme, max_age=_YEAR_S)
        return answer

    # --- what went wrong ---------------------------------------------------------------------------------------------

    async def _refuse_form(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, FormRefused)
        fix = "Go back, reload the page and send the form again."
        return self.refusal_page(request, error.status, "This form was not accepted", str(error), fix)

    async def _refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, ManagementRefused)
        return self.refused(request, error.refusal)

    async def _refuse_http(self, request: Request, error: HTTPException) -> Response:
        title, text, fix = _ERRORS.get(error.status_code, ("This did not work", str(error.detail), ""))
        answer = self.refusal_page(request, error.status_code, title, text, fix)
        for name, value in (error.headers or {}).items():
            answer.headers[name] = value
        return answer

    async def _admit_failure(self, request: Request, error: Exception) -> Response:
        """The server logs what happened; nothing of it is for the reader."""
        text = "The request failed inside; the server's own messages say why. Nothing was half done."
        return self.refusal_page(
            request, 500, "Something broke here", text, "Try again; tell the operator if it stays."
        )


_SLUGS = {404: "route-unknown", 405: "method-unknown", 500: "internal-error"}
_ERRORS = {
    404: ("There is no such page", "Nothing is at this address; it may have been deleted.", "Check the address."),
    405: ("This address takes no such request", "The page exists, but not for this method.", "Open it from its link."),
}


def safe_path(text: str, otherwise: str) -> str:
    """A path of ours to go on to, from an address that anybody may have made: never another site."""
    legal = text.startswith("/") and not text.startswith("//") and len(text) <= 2_000
    return text if legal and text.isascii() and text.isprintable() and "\\" not in text else otherwise


def _here(request: Request) -> str:
    """The page's own address, to come back to; after a form, the page that shows it."""
    return request.url.path + (f"?{request.url.query}" if request.url.query and request.method == "GET" else "")


def _is_operators(request: Request) -> bool:
    return request.url.path == "/operator" or request.url.path.startswith("/operator/")


def _form_cookie(request: Request) -> str:
    token = request.cookies.get(_FORM_COOKIE, "")
    return token if 16 <= len(token) <= 128 else ""


class NobodySignedIn:
    """Sessions of a console in which nobody can sign in."""

    def find(self, token: str) -> None:
        return None

    def find_half(self, token: str) -> None:
        return None
