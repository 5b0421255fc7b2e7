"""Identity checks over the management API: what account holders hand in, and what becomes of it."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from fastapi import APIRouter, Depends

from sparekey.access.state import AccessState
from sparekey.console import answers
from sparekey.console.api_contract import PREFIX, once, refusals, routed
from sparekey.console.api_session import TOKEN, Here, bearers, granted, whose
from sparekey.console.bodies import KycApplication
from sparekey.console.refused import ManagementRefused
from sparekey.console.repeats import Repeats
from sparekey.console.sessions import Session, Sessions
from sparekey.console.verification import Application, Verification
from sparekey.terms.clocktime import MILLISECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: Base64 of the largest photograph that is taken, and the rest of the form.
_BODY_BYTES: Final = 2_750_000
_SPELLED: Final = {"given_names": "givenNames", "birth_date": "birthDate", "document_type": "documentType"}


def own_verification_routes(access: AccessState, sessions: Sessions, verification: Verification) -> list[APIRouter]:
    router = APIRouter(
        prefix=f"{PREFIX}/me/verification",
        route_class=routed(bearers(sessions).full, _BODY_BYTES),
        tags=["me"],
        dependencies=[Depends(TOKEN), Depends(once(Repeats(), whose))],
    )

    def state(session: Session) -> dict[str, Any]:
        account = access.account(session.account_id)
        if account is None:
            raise ManagementRefused(Refusal(Reason.SESSION_ENDED))
        since_ms = account.kyc_us // MILLISECOND_US if account.kyc_us else None
        return {"state": account.kyc, "cause": account.kyc_cause, "sinceMs": since_ms}

    @router.get("", response_model=answers.VerificationState, responses=refusals(400, 409))
    async def show_verification(session: Here) -> dict[str, Any]:
        """Show the state of the identity check."""
        return state(session)

    may_be_wrong = refusals(400, 409, 413, 415)
    may_be_wrong[400]["model"] = answers.ApplicationRefused

    @router.post("", response_model=answers.VerificationState, responses=may_be_wrong)
    async def submit_application(session: Here, body: KycApplication) -> dict[str, Any]:
        """Hand an application in; it waits for the operator's decision."""
        problems = await verification.submit(
            session.account_id,
            Application(
                surname=body.surname,
                given_names=body.givenNames,
                birth_date=body.birthDate,
                country=body.country,
                document_type=body.documentType,
                number=body.number,
                mrz=body.mrz,
            ),
            _image(body.image),
        )
        if problems:
            refused = ManagementRefused(problems.get("") or next(iter(problems.values())))
            if "" not in problems:
                refused.more = {
                    "fields": {_SPELLED.get(name, name): told.explanation for name, told in problems.items()}
                }
            raise refused
        return state(session)

    @router.post("/approve", response_model=answers.VerificationState, responses=refusals(400, 403, 409))
    async def approve_at_once(session: Here) -> dict[str, Any]:
        """Be approved at once (sandbox)."""
        granted(await verification.approve_at_once(session.account_id))
        return state(session)

    return [router]


def _image(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ManagementRefused(Refusal(Reason.APPLICATION_INVALID, ("the image is no base64",))) from None
