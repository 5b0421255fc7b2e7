"""The operator's pages, `/operator`: accounts, identity checks, keys, bans, suspensions, limits, letters, clocks.

They look by `Oversight` and act by `Management` and `Verification`, as the command and the API do.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sparekey.access.state import KEY_TYPES, Account
from sparekey.console.bans import Bans
from sparekey.console.letters import LetterBook, PostedLetter
from sparekey.console.management import Management
from sparekey.console.operator_door import OperatorDoor
from sparekey.console.oversight import Oversight
from sparekey.console.pages.forms import Form
from sparekey.console.pages.shell import OPERATOR_COOKIE, SECURITY_HEADERS, Shell, safe_path
from sparekey.console.refused import ManagementRefused
from sparekey.console.verification import DOCUMENT_TYPES, Verification
from sparekey.terms.permissions import PERMISSION_NAMES
from sparekey.terms.refusals import Refusal

_STATUSES: Final = ("active", "disabled", "expired", "deleted")
_LONGEST_SEARCH: Final = 300
#: A letter's own page: it loads nothing, and runs nothing.
_LETTER_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox allow-popups "
    "allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
_IMAGE_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
_LINK: Final = re.compile(r"(https?://[^\s<>\"]+)")


class OperatorPages:
    def __init__(
        self,
        shell: Shell,
        door: OperatorDoor,
        oversight: Oversight,
        management: Management,
        verification: Verification,
        bans: Bans,
        outbox: LetterBook,
        *,
        public_url: str,
        sandbox: bool,
    ) -> None:
        """Links of letters that lead to `public_url` can be followed from the outbox."""
        self._shell = shell
        self._door = door
        self._oversight = oversight
        self._management = management
        self._verification = verification
        self._bans = bans
        self._outbox = outbox
        self._public_url = public_url
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        only = self._shell.operators_only
        account = "/operator/accounts/{account_id:int}"
        identity = "/operator/verification/{account_id:int}"
        gets: dict[str, Any] = {
            "/operator": self._overview,
            "/operator/accounts": self._accounts,
            account: self._account,
            "/operator/verification": self._queue,
            identity: self._application,
            f"{identity}/image": self._image,
            "/operator/keys": self._keys,
            "/operator/bans": self._list_bans,
            "/operator/suspensions": self._suspensions,
            "/operator/limits": self._limits,
            "/operator/outbox": self._letters,
            "/operator/outbox/{number:int}": self._letter,
            "/operator/outbox/{number:int}/html": self._letter_html,
            "/operator/clock": self._clock,
        }
        posts: dict[str, Any] = {
            f"{account}/suspend": self._suspend,
            f"{account}/restore": self._restore,
            f"{account}/panic": self._panic,
            f"{account}/erase": self._erase,
            f"{identity}/approve": self._approve,
            f"{identity}/reject": self._reject,
            "/operator/bans/lift": self._lift,
            "/operator/clock/advance": self._advance,
            "/operator/clock/skew": self._skew,
            "/operator/sign-out": self._sign_out,
        }
        return [
            Route("/operator/sign-in", self._show_sign_in, methods=["GET"]),
            Route("/operator/sign-in", self._sign_in, methods=["POST"]),
            *(Route(path, only(page), methods=["GET"]) for path, page in gets.items()),
            *(Route(path, only(page), methods=["POST"]) for path, page in posts.items()),
        ]

    # --- signing in --------------------------------------------------------------------------------------------------

    async def _show_sign_in(self, request: Request) -> Response:
        goes_on = safe_path(request.query_params.get("next", ""), "/operator")
        if self._shell.operator(request) is not None:
            return self._shell.redirect(goes_on)
        return self._sign_in_page(request, goes_on)

    def _sign_in_page(self, request: Request, goes_on: str, refusal: Refusal | None = None) -> Response:
        status = 200 if refusal is None else ManagementRefused(refusal).status
        return self._shell.page(request, "operator/sign_in.html", status=status, next=goes_on, refusal=refusal)

    async def _sign_in(self, request: Request) -> Response:
        form = await self._shell.form(request)
        goes_on = safe_path(form.text("next"), "/operator")
        agent = request.headers.get("user-agent", "")
        token = self._door.sign_in(form.text("token"), self._shell.address(request), agent)
        if isinstance(token, Refusal):
            return self._sign_in_page(request, goes_on, token)
        answer = self._shell.redirect(goes_on)
        self._shell.set_cookie(request, answer, OPERATOR_COOKIE, token, strict=True)
        return answer

    async def _sign_out(self, request: Request, session: Any) -> Response:
        await self._shell.form(request)
        self._door.sign_out(session)
        answer = self._shell.redirect("/operator/sign-in")
        answer.delete_cookie(OPERATOR_COOKIE, httponly=True, samesite="strict")
        return answer

    async def _overview(self, request: Request, session: Any) -> Response:
        return self._shell.page(
            request,
            "operator/overview.html",
            accounts=self._oversight.account_count,
            keys=self._oversight.key_count,
            waiting=len(self._verification.waiting()),
            bans=len(self._bans.list()),
            suspended=len(self._oversight.suspended().rows),
            letters=self._outbox,
            sandbox=self._sandbox,
        )

    # --- accounts ----------------------------------------------------------------------------------------------------

    async def _accounts(self, request: Request, session: Any) -> Response:
        text = request.query_params.get("q", "").strip()[:_LONGEST_SEARCH]
        if text:
            account = self._oversight.find_account(text)
            if account is not None:
                return self._shell.redirect(f"/operator/accounts/{account.account_id}")
        found = self._oversight.accounts(_number(request.query_params.get("before", "")))
        return self._shell.page(request, "operator/accounts.html", found=found, text=text)

    async def _account(self, request: Request, session: Any) -> Response:
        return self._account_page(request)

    def _account_page(self, request: Request, refused: ManagementRefused | None = None, cause: str = "") -> Response:
        account = self._known(request)
        return self._shell.page(
            request,
            "operator/account.html",
            status=200 if refused is None else refused.status,
            account=account,
            email=self._oversight.email_of(account.account_id),
            master=self._oversight.email_of(account.master_id) if account.master_id else "",
            subs=self._oversight.sub_accounts(account.account_id),
            keys=self._oversight.keys_of(account.account_id),
            sandbox=self._sandbox,
            refusal=None if refused is None else refused.refusal,
            cause=cause,
        )

    async def _suspend(self, request: Request, session: Any) -> Response:
        return await self._act(request, self._management.suspend, "Suspended. Every call with its keys is refused.")

    async def _restore(self, request: Request, session: Any) -> Response:
        return await self._act(request, self._management.restore, "Restored. Its keys are served again.")

    async def _panic(self, request: Request, session: Any) -> Response:
        return await self._act(request, self._management.panic, "All its keys are disabled. Each is enabled by itself.")

    async def _act(self, request: Request, act: Callable[[str, str], Awaitable[Any]], told: str) -> Response:
        form = await self._shell.form(request)
        account, cause = self._known(request), form.text("reason")
        try:
            await act(self._oversight.email_of(account.account_id), cause)
        except ManagementRefused as error:
            return self._account_page(request, error, cause[:_LONGEST_SEARCH])
        return self._shell.done(request, f"/operator/accounts/{account.account_id}", told, "warn")

    async def _erase(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        email = self._oversight.email_of(self._known(request).account_id)
        if form.text("email").strip().lower() != email:
            return self._shell.done(
                request, request.url.path.removesuffix("/erase"), "Not erased: another e-mail address was typed.", "bad"
            )
        try:
            await self._management.erase(email)
        except ManagementRefused as error:
            return self._account_page(request, error)
        return self._shell.done(
            request, "/operator/accounts", "Erased: what it did is kept under its number, and nothing that names it."
        )

    def _known(self, request: Request) -> Account:
        account = self._oversight.account(request.path_params["account_id"])
        if account is None:
            raise HTTPException(404)
        return account

    # --- identity checks ---------------------------------------------------------------------------------------------

    async def _queue(self, request: Request, session: Any) -> Response:
        waiting, decided = self._verification.waiting(), self._verification.decided()
        emails = {one.account_id: self._oversight.email_of(one.account_id) for one in (*waiting, *decided)}
        return self._shell.page(request, "operator/queue.html", waiting=waiting, decided=decided, emails=emails)

    async def _application(self, request: Request, session: Any) -> Response:
        return await self._application_page(request)

    async def _application_page(
        self, request: Request, refusal: Refusal | None = None, form: Form | None = None
    ) -> Response:
        account = self._known(request)
        filed = await self._verification.look(account.account_id)
        if filed is None:
            raise HTTPException(404)
        return self._shell.page(
            request,
            "operator/application.html",
            status=200 if refusal is None else ManagementRefused(refusal).status,
            account=account,
            email=self._oversight.email_of(account.account_id),
            filed=filed,
            countries=self._verification.countries,
            document_types=DOCUMENT_TYPES,
            refusal=refusal,
            by="" if form is None else form.text("by"),
            cause="" if form is None else form.text("reason"),
        )

    async def _image(self, request: Request, session: Any) -> Response:
        found = await self._verification.photograph(self._known(request).account_id)
        if found is None:
            raise HTTPException(404)
        media_type, content = found
        headers = {**SECURITY_HEADERS, "Content-Security-Policy": _IMAGE_POLICY, "Content-Disposition": "inline"}
        return Response(content, media_type=media_type, headers=headers)

    async def _approve(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        account = self._known(request)
        refusal = await self._verification.approve(account.account_id, form.text("application"), form.text("by"))
        return await self._decided(request, form, refusal, "Approved. The holder was told.")

    async def _reject(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        account = self._known(request)
        refusal = await self._verification.reject(
            account.account_id, form.text("application"), form.text("by"), form.text("reason")
        )
        return await self._decided(request, form, refusal, "Rejected. The holder was told, with the reason.")

    async def _decided(self, request: Request, form: Form, refusal: Refusal | None, told: str) -> Response:
        if refusal is not None:
            return await self._application_page(request, refusal, form)
        return self._shell.done(request, "/operator/verification", told)

    # --- keys, bans, suspensions, limits -----------------------------------------------------------------------------

    async def _keys(self, request: Request, session: Any) -> Response:
        query = request.query_params
        text = query.get("q", "").strip()[:_LONGEST_SEARCH]
        status, key_type, permission = (
            _one_of(query.get(name, ""), allowed)
            for name, allowed in (("status", _STATUSES), ("type", KEY_TYPES), ("permission", PERMISSION_NAMES))
        )
        found = self._oversight.keys(
            _number(query.get("before", "")), status=status, key_type=key_type, permission=permission
        )
        return self._shell.page(
            request,
            "operator/keys.html",
            found=found,
            one=self._oversight.key(text) if text else None,
            text=text,
            status_wanted=status,
            type_wanted=key_type,
            permission_wanted=permission,
            statuses=_STATUSES,
            types=KEY_TYPES,
            permissions=list(PERMISSION_NAMES),
        )

    async def _list_bans(self, request: Request, session: Any) -> Response:
        return self._shell.page(request, "operator/bans.html", bans=self._bans.list())

    async def _lift(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        ip = form.text("ip")
        if self._bans.lift(ip):
            return self._shell.done(request, "/operator/bans", f"{ip[:64]} is let in again.")
        return self._shell.done(request, "/operator/bans", f"{ip[:64]} was not banned any more.", "warn")

    async def _suspensions(self, request: Request, session: Any) -> Response:
        found = self._oversight.suspended(_number(request.query_params.get("before", "")))
        return self._shell.page(request, "operator/suspensions.html", found=found)

    async def _limits(self, request: Request, session: Any) -> Response:
        return self._shell.page(
            request,
            "operator/limits.html",
            profile=self._oversight,
            limits=self._oversight.limits(),
            usage=self._oversight.usage(),
            orders=self._oversight.order_counts(),
        )

    # --- letters -----------------------------------------------------------------------------------------------------

    async def _letters(self, request: Request, session: Any) -> Response:
        return self._shell.page(
            request, "operator/outbox.html", outbox=self._outbox, letters=self._outbox.newest(), sandbox=self._sandbox
        )

    async def _letter(self, request: Request, session: Any) -> Response:
        posted = self._posted(request)
        text = "" if posted.letter is None else posted.letter.text
        parts = [(part, self._is_ours(part)) for part in _LINK.split(text)]
        return self._shell.page(request, "operator/letter.html", posted=posted, parts_of_text=parts)

    async def _letter_html(self, request: Request, session: Any) -> Response:
        posted = self._posted(request)
        if posted.letter is None or not posted.letter.html:
            raise HTTPException(404)
        headers = {**SECURITY_HEADERS, "Content-Security-Policy": _LETTER_POLICY}
        return HTMLResponse(posted.letter.html, headers=headers)

    def _posted(self, request: Request) -> PostedLetter:
        posted = self._outbox.find(request.path_params["number"])
        if posted is None:
            raise HTTPException(404)
        return posted

    def _is_ours(self, part: str) -> bool:
        return part.startswith(f"{self._public_url}/")

    # --- clocks ------------------------------------------------------------------------------------------------------

    async def _clock(self, request: Request, session: Any) -> Response:
        return self._clock_page(request)

    def _clock_page(self, request: Request, refused: ManagementRefused | None = None) -> Response:
        return self._shell.page(
            request,
            "operator/clock.html",
            status=200 if refused is None else refused.status,
            clock=self._management.show_clock(),
            sandbox=self._sandbox,
            refusal=None if refused is None else refused.refusal,
        )

    async def _advance(self, request: Request, session: Any) -> Response:
        return await self._turn(request, self._management.advance_clock, "The policy clock went ahead.")

    async def _skew(self, request: Request, session: Any) -> Response:
        return await self._turn(request, self._management.skew_clock, "The wire clock is off by that now.")

    async def _turn(self, request: Request, turn: Callable[[str], Awaitable[Any]], told: str) -> Response:
        form = await self._shell.form(request)
        try:
            await turn(form.text("duration"))
        except ManagementRefused as error:
            return self._clock_page(request, error)
        return self._shell.done(request, "/operator/clock", told)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _one_of(text: str, allowed: Sequence[str] | dict[str, Any]) -> str:
    return text if text in allowed else ""
