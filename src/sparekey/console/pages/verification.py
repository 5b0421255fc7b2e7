"""`/my/settings/verification`: how the identity check stands, and the form with which it is asked for."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.access.state import AccessState
from sparekey.console.document_images import MOST_BYTES
from sparekey.console.pages.forms import LARGEST_FORM, Form
from sparekey.console.pages.shell import Shell
from sparekey.console.refused import ManagementRefused
from sparekey.console.verification import DOCUMENT_TYPES, LEAST_AGE, Application, Verification
from sparekey.terms.refusals import Refusal

ADDRESS: Final = "/my/settings/verification"
#: With room for a photograph that is too large, which is told to whoever chose it.
_LARGEST: Final = 2 * MOST_BYTES + LARGEST_FORM
#: No field is shown again that is longer than any that could be right.
_SHOWN_AGAIN: Final = 300


def routes(shell: Shell, verification: Verification, access: AccessState) -> list[Route]:
    def page(
        request: Request,
        session: Any,
        given: Application | None = None,
        problems: dict[str, Refusal] | None = None,
    ) -> Response:
        account = access.accounts[session.account_id]
        problems = problems or {}
        first = next(iter(problems.values()), None)
        return shell.page(
            request,
            "verification/verification.html",
            status=200 if first is None else ManagementRefused(first).status,
            account=account,
            given=given or Application(),
            problems=problems,
            countries=verification.countries,
            document_types=DOCUMENT_TYPES,
            least_age=LEAST_AGE,
            most_bytes=MOST_BYTES,
            sandbox=verification.sandbox,
        )

    async def show(request: Request, session: Any) -> Response:
        return page(request, session)

    async def submit(request: Request, session: Any) -> Response:
        form = await shell.form(request, _LARGEST)
        given = _application(form)
        upload = form.upload("image")
        problems = await verification.submit(session.account_id, given, b"" if upload is None else upload.content)
        if problems:
            return page(request, session, given, problems)
        return shell.done(request, ADDRESS, "Your application was received.")

    async def approve(request: Request, session: Any) -> Response:
        await shell.form(request)
        refusal = await verification.approve_at_once(session.account_id)
        if refusal is not None:
            return page(request, session, problems={"": refusal})
        return shell.done(request, ADDRESS, "Approved at once, as sandboxes may.")

    return [
        Route(ADDRESS, shell.holders_only(show), methods=["GET"]),
        Route(ADDRESS, shell.holders_only(submit), methods=["POST"]),
        Route(f"{ADDRESS}/approve", shell.holders_only(approve), methods=["POST"]),
    ]


def _application(form: Form) -> Application:
    fields = {name: form.text(name)[:_SHOWN_AGAIN] for name in Application.__struct_fields__}
    return Application(**fields)
