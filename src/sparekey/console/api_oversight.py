"""What the operator looks at over the management API, as on the pages: lists, limits, letters. It changes nothing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from sparekey.console import answers
from sparekey.console.answers import KeyStatus, KeyType, PermissionName
from sparekey.console.api_contract import refusals
from sparekey.console.api_operator import operators_router
from sparekey.console.letters import LetterBook, PostedLetter
from sparekey.console.oversight import AccountRow, KeyRow, Oversight
from sparekey.console.refused import ManagementRefused
from sparekey.terms.clocktime import MILLISECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

Before = Annotated[int, Query(ge=0, lt=2**62, description="Of the page before; 0 asks for the first one.")]
Number = Annotated[int, Path(ge=1, lt=2**62, description="The letter's number.")]


def oversight_routes(oversight: Oversight, letters: LetterBook, operator_token: str) -> list[APIRouter]:
    router = operators_router(operator_token)

    @router.get("/accounts", tags=["accounts"], response_model=answers.AccountRows, responses=refusals())
    async def list_accounts(before: Before = 0, access: Literal["", "SUSPENDED"] = "") -> dict[str, Any]:
        """List accounts, or those that are suspended, a page at a time."""
        found = oversight.suspended(before) if access else oversight.accounts(before)
        return {"accounts": list(map(_account, found.rows)), "before": found.before}

    @router.get("/keys", tags=["keys"], response_model=answers.KeyRows, responses=refusals())
    async def list_all_keys(
        before: Before = 0,
        status: KeyStatus | Literal[""] = "",
        type: KeyType | Literal[""] = "",
        permission: PermissionName | Literal[""] = "",
    ) -> dict[str, Any]:
        """List keys of all accounts, a page at a time; deleted ones only where that is the status asked for."""
        found = oversight.keys(before, status=status, key_type=type, permission=permission)
        return {"keys": list(map(_key, found.rows)), "before": found.before}

    @router.get("/limits", tags=["limits"], response_model=answers.LimitsShown, responses=refusals())
    async def show_limits() -> dict[str, Any]:
        """Show what the profile allows, and who used most of it."""
        return {
            "profile": oversight.profile,
            "enforced": oversight.enforced,
            "limits": [row._asdict() for row in oversight.limits()],
            "used": [row._asdict() for row in oversight.usage()],
            "orders": [
                {"accountId": row.account_id, "window": row.window, "used": row.used, "limit": row.limit}
                for row in oversight.order_counts()
            ],
        }

    @router.get("/letters", tags=["letters"], response_model=list[answers.LetterRow], responses=refusals())
    async def list_letters() -> list[dict[str, Any]]:
        """List the letters that are remembered, the newest first."""
        return list(map(_letter, letters.newest()))

    @router.get("/letters/{number}", tags=["letters"], response_model=answers.LetterShown, responses=refusals(404))
    async def show_letter(number: Number) -> dict[str, Any]:
        """Show a letter, and what it says where that may be read here."""
        posted = letters.find(number)
        if posted is None:
            raise ManagementRefused(Refusal(Reason.LETTER_UNKNOWN, (number,)))
        letter = posted.letter
        said = {"text": None, "html": None} if letter is None else {"text": letter.text, "html": letter.html}
        return _letter(posted) | said

    return [router]


def _account(row: AccountRow) -> dict[str, Any]:
    return {
        "accountId": row.account_id,
        "email": row.email,
        "kyc": row.kyc,
        "factors": row.factors,
        "keys": row.keys,
        "apiAccess": "SUSPENDED" if row.suspended else "ACTIVE",
        "masterId": row.master_id,
    }


def _key(row: KeyRow) -> dict[str, Any]:
    return {
        "apiKey": row.api_key,
        "accountId": row.account_id,
        "email": row.email,
        "label": row.label,
        "type": row.key_type,
        "permissions": row.permissions,
        "ips": list(row.whitelist),
        "createTime": row.created_us // MILLISECOND_US,
        "expiryTime": None if row.dies_us is None else row.dies_us // MILLISECOND_US,
        "status": row.status,
    }


def _letter(posted: PostedLetter) -> dict[str, Any]:
    return {
        "number": posted.number,
        "kind": posted.kind,
        "to": posted.to,
        "subject": posted.subject,
        "state": posted.state,
        "attempts": posted.attempts,
        "problem": posted.problem,
        "postedMs": posted.posted_us // MILLISECOND_US,
    }
