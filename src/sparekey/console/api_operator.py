"""The operator's routes of the management API. What they may do in guarded mode: docs/decisions/0007."""

from __future__ import annotations

import hmac
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.security import HTTPBearer

from sparekey.console import answers
from sparekey.console.api_contract import PREFIX, once, refusals, routed
from sparekey.console.bans import Bans
from sparekey.console.bodies import (
    Broker,
    Cause,
    Decision,
    Duration,
    Funding,
    KeyEdit,
    Kyc,
    NewAccount,
    NewKey,
    Panic,
    PublicKey,
    Rotation,
    proof_in,
)
from sparekey.console.management import Management
from sparekey.console.receipts import Receipts
from sparekey.console.refused import ManagementRefused
from sparekey.console.repeats import Repeats
from sparekey.console.verification import Verification
from sparekey.terms.clocktime import MILLISECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

TAGS = {
    "accounts": "The operator's view of accounts. In guarded mode the operator acts for nobody.",
    "keys": "The operator's view of API keys.",
    "bans": "Addresses that are shut out.",
    "clocks": "The policy clock and the wire clock.",
    "calls": "The call log.",
    "limits": "What the profile of limits allows, and who used how much of it.",
    "letters": "What was sent to people, or waits here for want of a mail server.",
}

Email = Annotated[str, Path(description="The account's e-mail address.", examples=["ann@example.com"])]
ApiKey = Annotated[str, Path(description="The API key.", examples=["U" * 64])]
Ip = Annotated[str, Path(description="An address, as the call log spells it.", examples=["203.0.113.7"])]

_LOOKS = refusals(400, 404)
_ACTS = refusals(400, 403, 404, 409)
_ACTS_ON_BODY = refusals(400, 403, 404, 409, 413, 415)


def is_operators(authorization: str, operator_token: str) -> bool:
    """Whether an Authorization header carries the operator's token."""
    scheme, _, token = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), operator_token.encode())


#: Only describes; `operators_router` asks.
_TOKEN = HTTPBearer(scheme_name="operatorToken", description="OPERATOR_TOKEN of operator.env", auto_error=False)


def operators_router(operator_token: str, *dependencies: Any) -> APIRouter:
    """Its routes want the operator's token."""

    async def need_operator(request: Request) -> None:
        if not is_operators(request.headers.get("authorization", ""), operator_token):
            raise ManagementRefused(Refusal(Reason.OPERATOR_TOKEN_WRONG))

    return APIRouter(prefix=PREFIX, route_class=routed(need_operator), dependencies=[Depends(_TOKEN), *dependencies])


def operator_routes(
    management: Management, bans: Bans, receipts: Receipts, verification: Verification, operator_token: str
) -> list[APIRouter]:
    looking = operators_router(operator_token)
    acting = operators_router(operator_token, Depends(once(Repeats())))

    # --- accounts ----------------------------------------------------------------------------------------------------

    @acting.post(
        "/accounts",
        tags=["accounts"],
        response_model=answers.NewAccountShown,
        responses=refusals(400, 403, 409, 413, 415),
    )
    async def create_account(body: NewAccount) -> dict[str, Any]:
        """Create an account with a random password (sandbox)."""
        return await management.create_account(body.email, kyc=body.kyc, totp=body.totp, fund=body.fund)

    @looking.get("/accounts/{email}", tags=["accounts"], response_model=answers.AccountShown, responses=_LOOKS)
    async def show_account(email: Email) -> dict[str, Any]:
        """Show an account."""
        return management.show_account(email)

    @acting.post("/accounts/{email}/fund", tags=["accounts"], response_model=answers.Funded, responses=_ACTS_ON_BODY)
    async def fund(email: Email, body: Funding) -> dict[str, Any]:
        """Credit an account from nowhere (sandbox)."""
        return await management.fund(email, body.fund)

    @acting.put(
        "/accounts/{email}/kyc", tags=["accounts"], response_model=answers.AccountShown, responses=_ACTS_ON_BODY
    )
    async def set_kyc(email: Email, body: Kyc) -> dict[str, Any]:
        """Set the state of the identity check (sandbox). Unless approved, trading and withdrawing keys stop."""
        return await management.set_kyc(email, body.kyc)

    @acting.post("/accounts/{email}/totp", tags=["accounts"], response_model=answers.TotpShown, responses=_ACTS)
    async def add_totp(email: Email) -> dict[str, Any]:
        """Turn on an authenticator (sandbox)."""
        return await management.add_totp(email)

    @acting.delete("/accounts/{email}/totp", tags=["accounts"], response_model=answers.AccountShown, responses=_ACTS)
    async def remove_totp(email: Email) -> dict[str, Any]:
        """Turn the authenticator off (sandbox)."""
        return await management.remove_totp(email)

    @acting.post(
        "/accounts/{email}/suspend", tags=["accounts"], response_model=answers.AccountShown, responses=_ACTS_ON_BODY
    )
    async def suspend(email: Email, body: Cause) -> dict[str, Any]:
        """Stop all API access of an account, until it is restored."""
        return await management.suspend(email, body.reason)

    @acting.post(
        "/accounts/{email}/restore", tags=["accounts"], response_model=answers.AccountShown, responses=_ACTS_ON_BODY
    )
    async def restore(email: Email, body: Cause) -> dict[str, Any]:
        """Lift a suspension."""
        return await management.restore(email, body.reason)

    @acting.post("/accounts/{email}/panic", tags=["accounts"], response_model=answers.Disabled, responses=_ACTS_ON_BODY)
    async def panic(email: Email, body: Panic) -> dict[str, Any]:
        """Disable every active key of an account at once."""
        return await (management.panic(email) if body.reason is None else management.panic(email, body.reason))

    @acting.put(
        "/accounts/{email}/broker", tags=["accounts"], response_model=answers.BrokerShown, responses=_ACTS_ON_BODY
    )
    async def set_broker(email: Email, body: Broker) -> dict[str, Any]:
        """Say whether an account may have sub-accounts of its customers (sandbox)."""
        return await management.set_broker(email, body.broker)

    @acting.delete("/accounts/{email}", tags=["accounts"], response_model=answers.Erased, responses=_ACTS)
    async def erase(email: Email) -> dict[str, Any]:
        """Delete an account's keys and destroy what is sealed of it (sandbox). It must have no open orders."""
        return await management.erase(email)

    # --- identity checks ---------------------------------------------------------------------------------------------

    def account_of(email: str) -> int:
        account_id = management.account_id_of(email)
        if account_id is None:
            raise ManagementRefused(Refusal(Reason.ACCOUNT_UNKNOWN))
        return account_id

    @looking.get(
        "/verifications", tags=["accounts"], response_model=list[answers.ApplicationWaiting], responses=refusals()
    )
    async def list_verifications() -> list[dict[str, Any]]:
        """List the applications that wait, the longest first."""
        return [
            {
                "accountId": account.account_id,
                "email": management.email_of(account.account_id),
                "sinceMs": account.kyc_us // MILLISECOND_US,
            }
            for account in verification.waiting()
        ]

    @looking.get(
        "/accounts/{email}/verification",
        tags=["accounts"],
        response_model=answers.ApplicationShown,
        responses=refusals(400, 404, 409),
    )
    async def show_application(email: Email) -> dict[str, Any]:
        """Show an account's newest application."""
        account_id = account_of(email)
        filed = await verification.look(account_id)
        if filed is None:
            raise ManagementRefused(Refusal(Reason.KYC_UNDECIDABLE, ("the account has handed none in",)))
        said = filed.application
        return {
            "accountId": account_id,
            "email": management.email_of(account_id),
            "application": filed.vault_id,
            "state": filed.state,
            "submittedMs": filed.submitted_us // MILLISECOND_US if said else None,
            "surname": said.surname if said else None,
            "givenNames": said.given_names if said else None,
            "birthDate": said.birth_date if said else None,
            "country": said.country if said else None,
            "documentType": said.document_type if said else None,
            "number": said.number if said else None,
            "expires": filed.expires if said else None,
        }

    @acting.put(
        "/accounts/{email}/verification",
        tags=["accounts"],
        response_model=answers.AccountShown,
        responses=refusals(400, 404, 409, 413, 415),
    )
    async def decide_application(email: Email, body: Decision) -> dict[str, Any]:
        """Approve or reject an application that waits. Who decided, and why, is journaled."""
        account_id = account_of(email)
        if body.decision == "approved":
            refusal = await verification.approve(account_id, body.application, body.by)
        else:
            refusal = await verification.reject(account_id, body.application, body.by, body.reason)
        if refusal is not None:
            raise ManagementRefused(refusal)
        return management.show_account(email)

    # --- keys --------------------------------------------------------------------------------------------------------

    @acting.post(
        "/accounts/{email}/challenges",
        tags=["keys"],
        response_model=answers.ChallengeShown,
        responses=refusals(400, 404, 409, 413, 415),
    )
    async def open_challenge(email: Email, body: PublicKey) -> dict[str, Any]:
        """Get a text whose signature proves possession of a public key's private half."""
        return management.open_challenge(email, body.publicKey)

    @acting.post("/accounts/{email}/keys", tags=["keys"], response_model=answers.KeyShown, responses=_ACTS_ON_BODY)
    async def create_key(email: Email, body: NewKey) -> dict[str, Any]:
        """Create a key (sandbox); an HMAC key's secret is in this answer and never in another."""
        return await management.create_key(
            email,
            label=body.label,
            key_type=body.type,
            public_key=body.publicKey or "",
            permissions=body.permissions,
            ips=body.ips,
            proof=proof_in(body),
        )

    @looking.get("/accounts/{email}/keys", tags=["keys"], response_model=list[answers.KeyShown], responses=_LOOKS)
    async def list_keys(email: Email) -> list[dict[str, Any]]:
        """List the keys of an account."""
        return management.list_keys(email)

    @looking.get("/keys/{api_key}", tags=["keys"], response_model=answers.KeyShown, responses=refusals(404))
    async def show_key(api_key: ApiKey) -> dict[str, Any]:
        """Show a key, never its secret."""
        return management.show_key(api_key)

    @acting.patch("/keys/{api_key}", tags=["keys"], response_model=answers.KeyShown, responses=_ACTS_ON_BODY)
    async def edit_key(api_key: ApiKey, body: KeyEdit) -> dict[str, Any]:
        """Change label, permissions or whitelist (sandbox); what is given replaces the whole of it."""
        return await management.edit_key(api_key, label=body.label, permissions=body.permissions, ips=body.ips)

    @acting.post("/keys/{api_key}/rotate", tags=["keys"], response_model=answers.KeyShown, responses=_ACTS_ON_BODY)
    async def rotate_key(api_key: ApiKey, body: Rotation) -> dict[str, Any]:
        """Replace a key by a new one, which is the answer (sandbox). The old one lives on for the overlap."""
        return await management.rotate_key(
            api_key,
            overlap=body.overlap,
            public_key=body.publicKey or "",
            proof=proof_in(body),
        )

    @acting.post("/keys/{api_key}/disable", tags=["keys"], response_model=answers.KeyShown, responses=_ACTS)
    async def disable_key(api_key: ApiKey) -> dict[str, Any]:
        """Stop a key until it is enabled again (sandbox)."""
        return await management.disable_key(api_key)

    @acting.post("/keys/{api_key}/enable", tags=["keys"], response_model=answers.KeyShown, responses=_ACTS)
    async def enable_key(api_key: ApiKey) -> dict[str, Any]:
        """Let a disabled key call again (sandbox)."""
        return await management.enable_key(api_key)

    @looking.get("/keys/{api_key}/usage", tags=["keys"], response_model=answers.UsageShown, responses=refusals(404))
    async def key_usage(api_key: ApiKey) -> dict[str, Any]:
        """Show who calls a key, by address."""
        return await management.key_usage(api_key)

    @acting.delete("/keys/{api_key}", tags=["keys"], response_model=answers.KeyShown, responses=_ACTS)
    async def delete_key(api_key: ApiKey) -> dict[str, Any]:
        """Delete a key for good (sandbox)."""
        return await management.delete_key(api_key)

    @looking.get(
        "/keys/{api_key}/receipts", tags=["keys"], response_model=list[answers.ReceiptShown], responses=refusals(404)
    )
    async def key_receipts(api_key: ApiKey) -> list[dict[str, Any]]:
        """Show when everything stopped honouring a key that was narrowed or stopped."""
        management.need_key(api_key)
        return await receipts.receipts(api_key)

    # --- bans, clocks, calls -----------------------------------------------------------------------------------------

    @looking.get("/bans", tags=["bans"], response_model=list[answers.BanShown], responses=refusals())
    async def list_bans() -> list[dict[str, Any]]:
        """List the bans that run."""
        return bans.list()

    @looking.get(
        "/bans/{ip}/receipts", tags=["bans"], response_model=list[answers.ReceiptShown], responses=refusals(404)
    )
    async def ban_receipts(ip: Ip) -> list[dict[str, Any]]:
        """Show when an address was banned, and what it had open then."""
        return [receipt for receipt in await receipts.receipts(ip) if receipt["ip"] is not None]

    @acting.delete("/bans/{ip}", tags=["bans"], response_model=answers.Lifted, responses=refusals(400, 404, 409))
    async def lift_ban(ip: Ip) -> dict[str, Any]:
        """Let an address in again and forget that it was banned."""
        if not bans.lift(ip):
            raise ManagementRefused(Refusal(Reason.BAN_UNKNOWN, (ip[:64],)))
        return {"ip": ip, "lifted": True}

    @looking.get("/clock", tags=["clocks"], response_model=answers.ClockShown, responses=refusals())
    async def show_clock() -> dict[str, int]:
        """Show both clocks."""
        return management.show_clock()

    @acting.post(
        "/clock/advance",
        tags=["clocks"],
        response_model=answers.ClockShown,
        responses=refusals(400, 403, 409, 413, 415),
    )
    async def advance_clock(body: Duration) -> dict[str, int]:
        """Advance the policy clock (sandbox); timestamps of running clients stay valid."""
        return await management.advance_clock(body.duration)

    @acting.post(
        "/clock/skew", tags=["clocks"], response_model=answers.ClockShown, responses=refusals(400, 403, 409, 413, 415)
    )
    async def skew_clock(body: Duration) -> dict[str, int]:
        """Let the wire clock run ahead or behind of the host (sandbox)."""
        return await management.skew_clock(body.duration)

    @looking.get("/calls", tags=["calls"], response_model=list[answers.CallShown], responses=refusals())
    async def tail_calls(
        key: Annotated[str, Query(max_length=64, description="Only calls with this API key.")] = "",
        limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    ) -> list[dict[str, Any]]:
        """The newest calls, oldest first, with the exact reason of each refusal."""
        return await management.tail_calls(api_key=key, limit=limit)

    return [looking, acting]
