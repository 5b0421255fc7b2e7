"""`/my/settings/security`: second factors, each turned on and off on a page of its own, and recovery codes.

The first factor is added for the password; what comes after that goes by way of `/verify/<id>`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import segno
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.access.state import AccessState, Account
from sparekey.console.factors import Factors
from sparekey.console.own_factors import OwnFactors, parse_number
from sparekey.console.pages.shell import Shell
from sparekey.console.pages.verifying import Verifying
from sparekey.console.passkeys import Passkeys
from sparekey.console.recovery import COUNT
from sparekey.console.refused import ManagementRefused
from sparekey.terms.refusals import Refusal

HERE: Final = "/my/settings/security"
#: What a page shows again of what was typed.
_LONGEST_SHOWN: Final = 64
_Opening = Callable[..., Awaitable[Refusal | None]]


class SecurityPages:
    def __init__(
        self,
        shell: Shell,
        verifying: Verifying,
        own: OwnFactors,
        factors: Factors,
        passkeys: Passkeys,
        access: AccessState,
        now_us: Callable[[], int],
    ) -> None:
        self._shell = shell
        self._verifying = verifying
        self._own = own
        self._factors = factors
        self._passkeys = passkeys
        self._access = access
        self._now_us = now_us

    def routes(self) -> list[Route]:
        shown: list[tuple[str, Any]] = [
            ("", self._show),
            ("/totp", self._show_totp),
            ("/sms", self._show_sms),
            ("/passkeys", self._show_passkeys),
            ("/recovery", self._show_recovery),
        ]
        sent: list[tuple[str, Any]] = [
            ("/totp", self._open_totp),
            ("/totp/confirm", self._confirm_totp),
            ("/totp/remove", partial(self._remove, "totp")),
            ("/sms", self._open_sms),
            ("/sms/send", self._send_sms),
            ("/sms/confirm", self._confirm_sms),
            ("/sms/remove", partial(self._remove, "sms")),
            ("/passkeys", self._open_passkey),
            ("/passkeys/confirm", self._confirm_passkey),
            ("/passkeys/remove", partial(self._remove, "passkey")),
            ("/recovery", self._make_codes),
            ("/abandon", self._abandon),
        ]
        only = self._shell.holders_only
        return [
            *(Route(HERE + path, only(page), methods=["GET"]) for path, page in shown),
            *(Route(HERE + path, only(page), methods=["POST"]) for path, page in sent),
        ]

    def _account(self, session: Any) -> Account:
        """Of the session, which would have ended with it."""
        return self._access.accounts[session.account_id]

    def _page(
        self, request: Request, session: Any, template: str, refusal: Refusal | None = None, **context: Any
    ) -> Response:
        return self._shell.page(
            request,
            f"security/{template}.html",
            status=200 if refusal is None else ManagementRefused(refusal).status,
            account=self._account(session),
            refusal=refusal,
            top=HERE,
            **context,
        )

    async def _show(self, request: Request, session: Any) -> Response:
        account = self._account(session)
        held_until_us = account.withdrawals_from_us if self._now_us() < account.withdrawals_from_us else 0
        return self._page(
            request,
            session,
            "index",
            number=self._factors.masked_number(session.account_id),
            codes_left=len(account.recovery_left),
            codes_made=COUNT,
            held_until_us=held_until_us,
        )

    # --- what all have in common -------------------------------------------------------------------------------------

    async def _open(
        self,
        request: Request,
        session: Any,
        factor: str,
        path: str,
        opening: _Opening,
        password: str,
        again: Callable[[Refusal], Awaitable[Response]],
        number: str = "",
    ) -> Response:
        """Begin to set up a factor: for the password, or after a step-up. `again` shows the form with a refusal."""
        if not self._account(session).factors:
            refusal = await opening(password=password)
            return self._shell.redirect(HERE + path) if refusal is None else await again(refusal)

        async def go_on(request: Request, step_up_id: str) -> Response:
            refusal = await opening(step_up_id=step_up_id)
            return self._shell.redirect(HERE + path) if refusal is None else self._verifying.refused(request, refusal)

        return await self._verifying.ask(request, session, self._own.adding(factor, number), go_on, back=HERE + path)

    async def _remove(self, factor: str, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        credential_id = form.text("credential")
        action = self._own.removing(session.account_id, factor, credential_id)
        if isinstance(action, Refusal):
            return self._verifying.refused(request, action)

        async def go_on(request: Request, step_up_id: str) -> Response:
            refusal = await self._own.remove(session, factor, credential_id, step_up_id=step_up_id)
            if refusal is not None:
                return self._verifying.refused(request, refusal)
            left = self._account(session).factors
            told = "It is no longer a second factor. "
            if left:
                return self._shell.done(request, HERE, told + "The others stay as they are.")
            told += "Your account has none any more: its keys only read until there is one, and no key can be made."
            return self._shell.done(request, HERE, told, "warn")

        return await self._verifying.ask(request, session, action, go_on, back=HERE)

    async def _abandon(self, request: Request, session: Any) -> Response:
        await self._shell.form(request)
        self._own.abandon(session)
        return self._shell.redirect(HERE)

    def _added(self, request: Request, session: Any, what: str) -> Response:
        """To the recovery codes, for who has a factor to lose now and no way back."""
        if self._account(session).recovery_left:
            return self._shell.done(request, HERE, f"{what} is a second factor of your account now.")
        told = f"{what} is a second factor of your account now. Make recovery codes, in case you lose it."
        return self._shell.done(request, f"{HERE}/recovery", told)

    # --- the authenticator -------------------------------------------------------------------------------------------

    async def _show_totp(self, request: Request, session: Any, refusal: Refusal | None = None) -> Response:
        seed = self._own.seed_of(session)
        drawn = ""
        if seed is not None:
            drawn = await asyncio.to_thread(_draw, self._own.totp_address(session, seed))
        groups = " ".join(seed[start : start + 4] for start in range(0, len(seed), 4)) if seed else ""
        return self._page(request, session, "totp", refusal, seed=groups, drawn=drawn)

    async def _open_totp(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        opening = partial(self._own.open_totp, session)
        again = partial(self._show_totp, request, session)
        return await self._open(request, session, "totp", "/totp", opening, form.text("password"), again)

    async def _confirm_totp(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        refusal = await self._own.confirm_totp(session, form.text("code"))
        if refusal is not None:
            return await self._show_totp(request, session, refusal)
        return self._added(request, session, "The authenticator")

    # --- SMS ---------------------------------------------------------------------------------------------------------

    async def _show_sms(
        self, request: Request, session: Any, refusal: Refusal | None = None, typed: str = ""
    ) -> Response:
        return self._page(
            request,
            session,
            "sms",
            refusal,
            number=self._factors.masked_number(session.account_id),
            setting_up=self._own.number_of(session),
            typed=typed[:_LONGEST_SHOWN],
        )

    async def _open_sms(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        number = form.text("number")
        parsed = await asyncio.to_thread(parse_number, number)
        if isinstance(parsed, Refusal):
            return await self._show_sms(request, session, parsed, number)
        opening = partial(self._own.open_sms, session, parsed)

        async def again(refusal: Refusal) -> Response:
            return await self._show_sms(request, session, refusal, number)

        return await self._open(request, session, "sms", "/sms", opening, form.text("password"), again, parsed)

    async def _send_sms(self, request: Request, session: Any) -> Response:
        await self._shell.form(request)
        refusal = self._own.send_sms(session)
        if refusal is not None:
            return await self._show_sms(request, session, refusal)
        return self._shell.done(request, f"{HERE}/sms", "Another SMS with a code is on its way.")

    async def _confirm_sms(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        refusal = await self._own.confirm_sms(session, form.text("code"))
        if refusal is not None:
            return await self._show_sms(request, session, refusal)
        return self._added(request, session, "Your number")

    # --- passkeys ----------------------------------------------------------------------------------------------------

    async def _show_passkeys(
        self, request: Request, session: Any, refusal: Refusal | None = None, label: str = ""
    ) -> Response:
        host = request.headers.get("host", "")
        options: str | Refusal = ""
        if self._own.setup(session, "passkey") is not None:
            options = self._own.ask_passkey(session, host)
        return self._page(
            request,
            session,
            "passkeys",
            refusal,
            options="" if isinstance(options, Refusal) else options,
            can_here=self._passkeys.origin_of(host) is not None,
            origins=self._passkeys.origins,
            label=label[:_LONGEST_SHOWN],
        )

    async def _open_passkey(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        opening = partial(self._own.open_passkey, session)
        again = partial(self._show_passkeys, request, session)
        return await self._open(request, session, "passkey", "/passkeys", opening, form.text("password"), again)

    async def _confirm_passkey(self, request: Request, session: Any) -> Response:
        form = await self._shell.form(request)
        label = form.text("label")
        refusal = await self._own.confirm_passkey(session, label, form.text("passkey"))
        if refusal is not None:
            return await self._show_passkeys(request, session, refusal, label)
        return self._added(request, session, "The passkey")

    # --- recovery codes ----------------------------------------------------------------------------------------------

    async def _show_recovery(self, request: Request, session: Any) -> Response:
        left = len(self._account(session).recovery_left)
        return self._page(request, session, "recovery", codes_left=left, codes_made=COUNT, codes=[])

    async def _make_codes(self, request: Request, session: Any) -> Response:
        await self._shell.form(request)

        async def go_on(request: Request, step_up_id: str) -> Response:
            codes = await self._own.make_codes(session, step_up_id=step_up_id)
            if isinstance(codes, Refusal):
                return self._verifying.refused(request, codes)
            # Told this once, by this answer alone, which is not to be stored anywhere.
            text = "".join(f"{code}\n" for code in ["Recovery codes of Sparekey, each good once:", *codes])
            return self._page(
                request,
                session,
                "recovery",
                codes_left=len(codes),
                codes_made=COUNT,
                codes=codes,
                file=f"data:text/plain;charset=utf-8,{quote(text)}",
            )

        action = self._own.making_codes()
        return await self._verifying.ask(request, session, action, go_on, back=f"{HERE}/recovery")


def _draw(text: str) -> str:
    """A QR code as an address that holds the image. Black on white on a dark page, too: cameras want that."""
    drawn: str = segno.make(text, error="m").svg_data_uri(scale=5, border=4, dark="#000", light="#fff")
    return drawn
