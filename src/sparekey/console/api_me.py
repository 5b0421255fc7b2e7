"""What signed-in account holders do over the management API with their own account: factors, password, step-ups.

Whatever matters wants proof afresh. Asked for without one, it answers 403 and opens a step-up for exactly this act:
its owner proves that, and sends the same request again with the step-up's id in `X-Step-Up`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Request

from sparekey.access.state import AccessState
from sparekey.console import answers
from sparekey.console.api_contract import PREFIX, once, refusals, routed
from sparekey.console.api_session import TOKEN, Here, bearers, granted, passkey_options, visitor, whose
from sparekey.console.bodies import Code, CodeWanted, FirstFactor, NewPasskey, PasswordChange, Proofs, SmsNumber
from sparekey.console.factors import Factors
from sparekey.console.identity import Identity
from sparekey.console.own_factors import OwnFactors
from sparekey.console.refused import ManagementRefused
from sparekey.console.repeats import Repeats
from sparekey.console.sessions import Session, Sessions
from sparekey.console.step_up import Action, StepUp, StepUps
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

TAGS = {
    "me": "What account holders do with their own account.",
    "step-ups": "Fresh proof for one act, which a 403 with `stepUp` asks for.",
}

T = TypeVar("T")
_UNPROVEN = Refusal(Reason.STEP_UP_REQUIRED, ("nothing was proven yet",))
StepUpHeader = Annotated[
    str,
    Header(alias="X-Step-Up", max_length=64, description="The id of a step-up that was proven for this very request."),
]
StepUpId = Annotated[str, Path(description="The step-up's id.", max_length=64)]


def wanting_step_up(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of what needs a step-up."""
    documented = refusals(403, *statuses)
    documented[403]["model"] = answers.StepUpWanted
    return documented


class Steps:
    """Opens a step-up where one is missing."""

    def __init__(self, step_ups: StepUps, factors: Factors) -> None:
        self._step_ups = step_ups
        self._factors = factors

    def granted(self, session: Session, action: Action | Refusal, outcome: T | Refusal) -> T:
        """What a service answered. If it wanted a step-up for this action, the refusal carries one."""
        if not isinstance(outcome, Refusal):
            return outcome
        if outcome.reason is Reason.STEP_UP_REQUIRED and isinstance(action, Action):
            raise self.wanted(session, action, outcome)
        raise ManagementRefused(outcome)

    @contextmanager
    def opening(self, session: Session, action: Action) -> Iterator[None]:
        """The same for services that raise."""
        try:
            yield
        except ManagementRefused as refused:
            if refused.refusal.reason is Reason.STEP_UP_REQUIRED:
                raise self.wanted(session, action, refused.refusal) from None
            raise

    def wanted(self, session: Session, action: Action, refusal: Refusal = _UNPROVEN) -> ManagementRefused:
        refused = ManagementRefused(refusal)
        refused.more = {"stepUp": self.document(granted(self._step_ups.begin(session, action)))}
        return refused

    def is_proven(self, session: Session, step_up_id: str, action: Action) -> bool:
        """Whether this step-up would be taken for the action."""
        step_up = self._step_ups.find(step_up_id, session)
        return step_up is not None and step_up.proved_us > 0 and step_up.action == action

    def document(self, step_up: StepUp) -> dict[str, Any]:
        return {
            "id": step_up.id,
            "action": step_up.action.text,
            "factors": self._factors.choices(step_up.account_id),
            "needsEmail": step_up.needs_email,
            "proven": bool(step_up.proved_us),
        }


def me_routes(
    access: AccessState,
    identity: Identity,
    sessions: Sessions,
    factors: Factors,
    own_factors: OwnFactors,
    step_ups: StepUps,
    steps: Steps,
) -> list[APIRouter]:
    route_class = routed(bearers(sessions).full)
    looking = APIRouter(prefix=f"{PREFIX}/me", route_class=route_class, dependencies=[Depends(TOKEN)])
    acting = APIRouter(
        prefix=f"{PREFIX}/me", route_class=route_class, dependencies=[Depends(TOKEN), Depends(once(Repeats(), whose))]
    )

    def me(session: Session) -> dict[str, Any]:
        account = access.account(session.account_id)
        if account is None:  # erased in this moment
            raise ManagementRefused(Refusal(Reason.SESSION_ENDED))
        return {
            "accountId": account.account_id,
            "email": factors.email_of(account.account_id),
            "kyc": account.kyc,
            "kycCause": account.kyc_cause,
            "factors": account.factors,
            "sms": factors.masked_number(account.account_id) or None,
            "passkeys": [{"credentialId": one.credential_id, "label": one.label} for one in account.passkeys],
            "recoveryCodes": len(account.recovery_left),
            "keys": account.keys_held,
            "apiAccess": account.api_access,
        }

    @looking.get("", tags=["me"], response_model=answers.MeShown, responses=refusals())
    async def show_me(session: Here) -> dict[str, Any]:
        """Show the account of this session."""
        return me(session)

    @acting.post(
        "/password",
        tags=["me"],
        response_model=answers.Renewed,
        responses=wanting_step_up(400, 409, 413, 415, 429, 503),
    )
    async def change_password(
        request: Request, session: Here, body: PasswordChange, step_up_id: StepUpHeader = ""
    ) -> dict[str, Any]:
        """Choose another password (step-up, if the account has a second factor). Every other session ends; this one
        goes on under another token."""
        password_hash = granted(await identity.prepare_change(session, body.old, body.new))
        if factors.choices(session.account_id):
            action = Action.of("password-change", "", "change your password")
            steps.granted(session, action, step_ups.take(step_up_id, session, action))
        return {"token": granted(await identity.change_password(session, password_hash, visitor(request))).token}

    # --- factors -----------------------------------------------------------------------------------------------------

    adds = wanting_step_up(400, 409, 413, 415, 429, 503)
    confirms = refusals(400, 403, 409, 410, 413, 415, 429)
    removes = wanting_step_up(400, 404, 409)

    @acting.post("/factors/totp", tags=["me"], response_model=answers.TotpOffered, responses=adds)
    async def open_totp(session: Here, body: FirstFactor, step_up_id: StepUpHeader = "") -> dict[str, Any]:
        """Get the secret of an authenticator to come (password for the first factor, step-up for another one)."""
        outcome = await own_factors.open_totp(session, password=body.password, step_up_id=step_up_id)
        steps.granted(session, own_factors.adding("totp"), outcome)
        secret = own_factors.seed_of(session)
        if secret is None:
            raise ManagementRefused(Refusal(Reason.SETUP_OVER))
        return {"secret": secret, "address": own_factors.totp_address(session, secret)}

    @acting.post("/factors/totp/confirm", tags=["me"], response_model=answers.MeShown, responses=confirms)
    async def confirm_totp(session: Here, body: Code) -> dict[str, Any]:
        """Turn the authenticator on, with a code that it shows."""
        granted(await own_factors.confirm_totp(session, body.code))
        return me(session)

    @acting.delete("/factors/totp", tags=["me"], response_model=answers.MeShown, responses=removes)
    async def remove_own_totp(session: Here, step_up_id: StepUpHeader = "") -> dict[str, Any]:
        """Turn the authenticator off (step-up)."""
        return await _removed(session, "totp", "", step_up_id)

    @acting.post("/factors/sms", tags=["me"], response_model=answers.Done, responses=adds)
    async def open_sms(session: Here, body: SmsNumber, step_up_id: StepUpHeader = "") -> dict[str, Any]:
        """Have a code sent to a number (password for the first factor, step-up for another one)."""
        outcome = await own_factors.open_sms(session, body.number, password=body.password, step_up_id=step_up_id)
        steps.granted(session, own_factors.adding("sms", body.number), outcome)
        return {"done": True}

    @acting.post("/factors/sms/confirm", tags=["me"], response_model=answers.MeShown, responses=confirms)
    async def confirm_sms(session: Here, body: Code) -> dict[str, Any]:
        """Turn SMS on, with the code that came."""
        granted(await own_factors.confirm_sms(session, body.code))
        return me(session)

    @acting.delete("/factors/sms", tags=["me"], response_model=answers.MeShown, responses=removes)
    async def remove_sms(session: Here, step_up_id: StepUpHeader = "") -> dict[str, Any]:
        """Turn SMS off (step-up)."""
        return await _removed(session, "sms", "", step_up_id)

    @acting.post("/factors/passkeys", tags=["me"], response_model=answers.PasskeyOptions, responses=adds)
    async def open_passkey(
        request: Request, session: Here, body: FirstFactor, step_up_id: StepUpHeader = ""
    ) -> dict[str, Any]:
        """Get the options for a new passkey (password for the first factor, step-up for another one)."""
        outcome = await own_factors.open_passkey(session, password=body.password, step_up_id=step_up_id)
        steps.granted(session, own_factors.adding("passkey"), outcome)
        return passkey_options(own_factors.ask_passkey(session, request.headers.get("host", "")))

    @acting.post("/factors/passkeys/confirm", tags=["me"], response_model=answers.MeShown, responses=confirms)
    async def confirm_passkey(session: Here, body: NewPasskey) -> dict[str, Any]:
        """Add the passkey that the device made."""
        granted(await own_factors.confirm_passkey(session, body.label, body.credential))
        return me(session)

    @acting.delete("/factors/passkeys/{credential_id}", tags=["me"], response_model=answers.MeShown, responses=removes)
    async def remove_passkey(
        session: Here,
        credential_id: Annotated[str, Path(max_length=2_000, description="Of the passkey.")],
        step_up_id: StepUpHeader = "",
    ) -> dict[str, Any]:
        """Remove a passkey (step-up)."""
        return await _removed(session, "passkey", credential_id, step_up_id)

    async def _removed(session: Session, factor: str, credential_id: str, step_up_id: str) -> dict[str, Any]:
        action = own_factors.removing(session.account_id, factor, credential_id)
        outcome = await own_factors.remove(session, factor, credential_id, step_up_id=step_up_id)
        steps.granted(session, action, outcome)
        return me(session)

    @acting.post(
        "/recovery-codes",
        tags=["me"],
        response_model=answers.RecoveryCodes,
        responses=wanting_step_up(400, 409, 503),
    )
    async def make_recovery_codes(session: Here, step_up_id: StepUpHeader = "") -> dict[str, Any]:
        """Make new recovery codes (step-up)."""
        outcome = await own_factors.make_codes(session, step_up_id=step_up_id)
        return {"codes": steps.granted(session, own_factors.making_codes(), outcome)}

    # --- step-ups ----------------------------------------------------------------------------------------------------

    def open_step_up(session: Session, step_up_id: str) -> StepUp:
        step_up = step_ups.find(step_up_id, session)
        if step_up is None:
            raise ManagementRefused(Refusal(Reason.STEP_UP_UNKNOWN))
        return step_up

    @looking.get(
        "/step-ups/{step_up_id}", tags=["step-ups"], response_model=answers.StepUpShown, responses=refusals(404)
    )
    async def show_step_up(session: Here, step_up_id: StepUpId) -> dict[str, Any]:
        """Show what a step-up wants, and whether it is proven."""
        return steps.document(open_step_up(session, step_up_id))

    @acting.post(
        "/step-ups/{step_up_id}/codes",
        tags=["step-ups"],
        response_model=answers.Done,
        responses=refusals(400, 403, 404, 409, 413, 415, 429),
    )
    async def send_step_up_code(session: Here, step_up_id: StepUpId, body: CodeWanted) -> dict[str, Any]:
        """Have a code sent that is good for this step-up alone."""
        open_step_up(session, step_up_id)
        granted(step_ups.send_code(step_up_id, session, body.kind))
        return {"done": True}

    @acting.post(
        "/step-ups/{step_up_id}/passkey",
        tags=["step-ups"],
        response_model=answers.PasskeyOptions,
        responses=refusals(400, 403, 404, 409),
    )
    async def ask_step_up_passkey(request: Request, session: Here, step_up_id: StepUpId) -> dict[str, Any]:
        """Get the options for a passkey that proves this step-up."""
        step_up = open_step_up(session, step_up_id)
        host = request.headers.get("host", "")
        return passkey_options(factors.ask_passkey(step_up.account_id, step_up.id, host))

    @acting.post(
        "/step-ups/{step_up_id}/proof",
        tags=["step-ups"],
        response_model=answers.Renewed,
        responses=refusals(400, 403, 404, 409, 410, 413, 415, 429, 503),
    )
    async def prove_step_up(request: Request, session: Here, step_up_id: StepUpId, body: Proofs) -> dict[str, Any]:
        """Prove a step-up. The session goes on under another token; the act may follow within five minutes."""
        open_step_up(session, step_up_id)
        granted(await step_ups.prove(step_up_id, session, body.model_dump()))
        # Of the same proof sent twice at once, one gets the new token: another one would end that again.
        current = sessions.find(request.state.token)
        renewed = None if current is None else sessions.rotate(current)
        if renewed is None:
            raise ManagementRefused(Refusal(Reason.SESSION_ENDED))
        return {"token": renewed[1]}

    return [looking, acting]
