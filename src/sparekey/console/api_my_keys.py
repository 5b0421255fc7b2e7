"""What signed-in account holders do with their own keys over the management API: the same as on the pages.

A key of another account is as unknown as one that never was. What gives power, or cannot be undone, wants a step-up;
a signed challenge is looked at only once that is proven, so that it is not spent on the question.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from sparekey.access.state import AccessState, Key
from sparekey.console import answers
from sparekey.console.api_contract import PREFIX, once, refusals, routed
from sparekey.console.api_me import Steps, StepUpHeader, wanting_step_up
from sparekey.console.api_session import TOKEN, Here, bearers, whose
from sparekey.console.bodies import KeyEdit, NewKey, PublicKey, Rotation, proof_in
from sparekey.console.key_acts import KeyWish, Made, Proof, Restrictions, document_of
from sparekey.console.own_keys import OwnKeys, Possession
from sparekey.console.refused import ManagementRefused
from sparekey.console.repeats import Repeats
from sparekey.console.sessions import Session, Sessions
from sparekey.console.step_up import Action
from sparekey.terms.clocktime import MILLISECOND_US, parse_duration_us
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

TAGS = {"own keys": "What account holders do with their own API keys."}

OwnApiKey = Annotated[str, Path(description="An API key of the account.", examples=["U" * 64], max_length=1_000)]


def own_key_routes(access: AccessState, sessions: Sessions, own_keys: OwnKeys, steps: Steps) -> list[APIRouter]:
    route_class = routed(bearers(sessions).full)
    prefix = f"{PREFIX}/me/keys"
    looking = APIRouter(prefix=prefix, route_class=route_class, tags=["own keys"], dependencies=[Depends(TOKEN)])
    acting = APIRouter(
        prefix=prefix,
        route_class=route_class,
        tags=["own keys"],
        dependencies=[Depends(TOKEN), Depends(once(Repeats(), whose))],
    )

    def own(session: Session, api_key: str) -> Key:
        key = access.key_by_api_key(api_key)
        return own_keys.key(session, 0 if key is None else key.key_id)

    def possession(
        session: Session, step_up_id: str, action: Action, public_key: str, proof: Proof | None
    ) -> Possession | None:
        if proof is None:
            return None
        if not steps.is_proven(session, step_up_id, action):
            raise steps.wanted(session, action)
        return own_keys.prove(session, public_key, proof)

    # --- looking -----------------------------------------------------------------------------------------------------

    @looking.get("", response_model=list[answers.KeyShown], responses=refusals())
    async def list_own_keys(session: Here) -> list[dict[str, Any]]:
        """List the account's keys, oldest first."""
        return [document_of(key) for key in own_keys.keys(session)]

    @looking.get("/{api_key}", response_model=answers.KeyShown, responses=refusals(404))
    async def show_own_key(session: Here, api_key: OwnApiKey) -> dict[str, Any]:
        """Show a key, never its secret."""
        return document_of(own(session, api_key))

    @looking.get("/{api_key}/usage", response_model=answers.UsageShown, responses=refusals(404))
    async def own_key_usage(session: Here, api_key: OwnApiKey) -> dict[str, Any]:
        """Show who calls a key, by address."""
        return await own_keys.acts.usage(own(session, api_key))

    # --- acting ------------------------------------------------------------------------------------------------------

    @acting.post("/challenges", response_model=answers.ChallengeShown, responses=refusals(400, 409, 413, 415))
    async def open_own_challenge(session: Here, body: PublicKey) -> dict[str, Any]:
        """Get a text whose signature proves possession of a public key's private half."""
        challenge = own_keys.open_challenge(session, body.publicKey)
        return {
            "nonce": challenge.nonce,
            "text": challenge.text,
            "expiresMs": challenge.expires_us // MILLISECOND_US,
        }

    @acting.post("/panic", response_model=answers.Disabled, responses=refusals(400, 404, 409))
    async def panic_own_keys(session: Here) -> dict[str, Any]:
        """Disable every active key of the account at once. It takes power and gives none, so no step-up is wanted."""
        return {"accountId": session.account_id, "disabled": await own_keys.panic(session)}

    @acting.post("", response_model=answers.KeyShown, responses=wanting_step_up(400, 404, 409, 413, 415))
    async def create_own_key(session: Here, body: NewKey, step_up_id: StepUpHeader = "") -> dict[str, Any]:
        """Create a key (step-up); an HMAC key's secret is in this answer and never in another."""
        wish = KeyWish(body.label, body.type, body.publicKey or "", tuple(body.permissions), tuple(body.ips))
        action = own_keys.creation(wish)
        _need(own_keys.acts.try_creation(session.account_id, wish))
        proven = possession(session, step_up_id, action, wish.public_key, proof_in(body))
        with steps.opening(session, action):
            made = await own_keys.create(session, step_up_id, wish, proven)
        return _made(made)

    @acting.patch("/{api_key}", response_model=answers.KeyShown, responses=wanting_step_up(400, 404, 409, 413, 415))
    async def edit_own_key(
        session: Here, api_key: OwnApiKey, body: KeyEdit, step_up_id: StepUpHeader = ""
    ) -> dict[str, Any]:
        """Change label, permissions or whitelist (step-up); what is given replaces the whole of it."""
        key = own(session, api_key)
        wanted = Restrictions(body.label, body.permissions, body.ips)
        with steps.opening(session, own_keys.edit(key, wanted)):
            return await own_keys.change(session, step_up_id, key.key_id, wanted)

    @acting.post(
        "/{api_key}/rotate", response_model=answers.KeyShown, responses=wanting_step_up(400, 404, 409, 413, 415)
    )
    async def rotate_own_key(
        session: Here, api_key: OwnApiKey, body: Rotation, step_up_id: StepUpHeader = ""
    ) -> dict[str, Any]:
        """Replace a key by a new one, which is the answer (step-up). The old one lives on for the overlap."""
        key, public_key = own(session, api_key), body.publicKey or ""
        try:
            overlap_us = parse_duration_us(body.overlap)
        except ValueError as error:
            raise ManagementRefused(Refusal(Reason.REQUEST_INVALID, (f"{error}.",))) from None
        _need(own_keys.acts.try_rotation(key, overlap_us, public_key))
        action = own_keys.rotation(key, overlap_us, public_key)
        proven = possession(session, step_up_id, action, public_key, proof_in(body))
        with steps.opening(session, action):
            return _made(await own_keys.rotate(session, step_up_id, key.key_id, overlap_us, public_key, proven))

    @acting.post("/{api_key}/disable", response_model=answers.KeyShown, responses=refusals(400, 404, 409))
    async def disable_own_key(session: Here, api_key: OwnApiKey) -> dict[str, Any]:
        """Stop a key until it is enabled again. It takes power and gives none, so no step-up is wanted."""
        return await own_keys.disable(session, own(session, api_key).key_id)

    @acting.post("/{api_key}/enable", response_model=answers.KeyShown, responses=wanting_step_up(400, 404, 409))
    async def enable_own_key(session: Here, api_key: OwnApiKey, step_up_id: StepUpHeader = "") -> dict[str, Any]:
        """Let a disabled key call again (step-up)."""
        key = own(session, api_key)
        with steps.opening(session, own_keys.enabling(key)):
            return await own_keys.enable(session, step_up_id, key.key_id)

    @acting.delete("/{api_key}", response_model=answers.KeyShown, responses=wanting_step_up(400, 404, 409))
    async def delete_own_key(session: Here, api_key: OwnApiKey, step_up_id: StepUpHeader = "") -> dict[str, Any]:
        """Delete a key for good (step-up)."""
        key = own(session, api_key)
        with steps.opening(session, own_keys.deletion(key)):
            return await own_keys.delete(session, step_up_id, key.key_id)

    return [looking, acting]


def _need(outcome: object) -> None:
    if isinstance(outcome, Refusal):
        raise ManagementRefused(outcome)


def _made(made: Made) -> dict[str, Any]:
    return document_of(made.key) | {"secretKey": made.secret}
