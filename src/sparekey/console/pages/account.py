"""A holder's own pages: what is missing before keys can be had, balances, orders, fills. They only read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.access.state import NEVER_US, AccessState, Account, Key
from sparekey.console.activity import Activity
from sparekey.console.explained import title_of
from sparekey.console.pages.shell import Shell
from sparekey.console.statements import UNIT, Statements
from sparekey.storage.archive import Mark
from sparekey.terms.clocktime import DAY_US
from sparekey.terms.reasons import Reason

#: Rows of one page.
PAGE_ROWS: Final = 40
#: How long before its end a key is pointed out, as its replies do (`X-Sparekey-Key-Expires`).
SOON_US: Final = 14 * DAY_US
#: From this age on a key should be rotated.
OLD_US: Final = 90 * DAY_US

_LONGEST_SEARCH: Final = 40
_REASONS: Final = {reason.slug: reason for reason in Reason}


class Attention(NamedTuple):
    """Why a key should be looked at. `kind` is warn or bad."""

    key: Key
    kind: str
    title: str
    end_us: int = 0


def routes(
    shell: Shell, access: AccessState, statements: Statements, activity: Activity, policy_us: Callable[[], int]
) -> list[Route]:
    def symbol_in(request: Request) -> str:
        symbol = request.query_params.get("symbol", "")
        if symbol and symbol not in statements.symbols():
            raise HTTPException(404)
        return symbol

    async def overview(request: Request, session: Any) -> Response:
        account = access.accounts[session.account_id]
        keys = access.keys_of(account.account_id)
        holdings = [one for one in statements.holdings(account.account_id) if one.total]
        refusals = await activity.refusals([key.api_key for key in keys])
        return shell.page(
            request,
            "account/overview.html",
            account=account,
            steps=steps_of(account, keys),
            holdings=holdings,
            total=sum(one.worth or 0 for one in holdings),
            unit=UNIT,
            keys={key.api_key: key for key in keys},
            attention=attention_of(keys, policy_us()),
            refusals=[(entry, _REASONS.get(entry.reason)) for entry in refusals],
            title_of=title_of,
        )

    async def wallet(request: Request, session: Any) -> Response:
        text = request.query_params.get("q", "").strip()[:_LONGEST_SEARCH]
        every = bool(request.query_params.get("all"))
        holdings = statements.holdings(session.account_id)
        return shell.page(
            request,
            "account/wallet.html",
            holdings=[
                one
                for one in holdings
                if (one.total or every or text) and text.lower() in f"{one.asset} {one.name}".lower()
            ],
            total=sum(one.worth or 0 for one in holdings),
            nothing=not any(one.total for one in holdings),
            unit=UNIT,
            text=text,
            every=every,
        )

    async def orders(request: Request, session: Any) -> Response:
        symbol, before = symbol_in(request), mark_in(request)
        opened = [] if before is not None else statements.open_orders(session.account_id, symbol)
        closed, after = statements.closed_orders(session.account_id, symbol, before, PAGE_ROWS)
        return shell.page(
            request,
            "account/orders.html",
            symbol=symbol,
            symbols=statements.symbols(),
            first=before is None,
            open_count=len(opened),
            opened=[(order, statements.key_of(order)) for order in opened[:PAGE_ROWS]],
            closed=[(order, statements.key_of(order)) for order in closed],
            more=spell_mark(after),
        )

    async def fills(request: Request, session: Any) -> Response:
        symbol, before = symbol_in(request), mark_in(request)
        found, after = statements.fills(session.account_id, symbol, before, PAGE_ROWS)
        keys = statements.keys_of_fills(session.account_id, found)
        return shell.page(
            request,
            "account/fills.html",
            symbol=symbol,
            symbols=statements.symbols(),
            first=before is None,
            fills=[(fill, keys.get((fill.symbol, fill.order_id))) for fill in found],
            more=spell_mark(after),
        )

    pages = {"/my": overview, "/my/wallet": wallet, "/my/orders": orders, "/my/fills": fills}
    return [Route(path, shell.holders_only(page)) for path, page in pages.items()]


# --- what an account lacks, and what its keys need -------------------------------------------------------------------


class Step(NamedTuple):
    """One of the things that come before trading with a key. `told` says how it stands, `place` is its own page, and
    `address` and `link` are the way to get it done."""

    name: str
    is_done: bool
    told: str
    place: str
    address: str
    link: str


_KYC_TOLD: Final = {
    "none": "Not handed in yet. Keys need it approved.",
    "pending": "Handed in; an operator will decide. Keys need it approved.",
    "approved": "Approved.",
    "rejected": "Rejected. See why, and hand it in again; keys that trade stand still until it is approved.",
}
_FACTORS_TOLD: Final = {"totp": "authenticator", "sms": "text message", "passkey": "passkey"}


def steps_of(account: Account, keys: Sequence[Key]) -> list[Step]:
    factors = [_FACTORS_TOLD.get(name, name) for name in account.factors]
    holds = f"{len(keys)} of 30." if keys else "None yet."
    return [
        Step(
            "Identity check",
            account.kyc == "approved",
            _KYC_TOLD[account.kyc],
            "/my/settings/verification",
            "/my/settings/verification",
            "See the application" if account.kyc == "pending" else "Hand it in",
        ),
        Step(
            "Second factor",
            bool(factors),
            f"On: {', '.join(factors)}." if factors else "None is on. Keys need one: an authenticator is best.",
            "/my/settings/security",
            "/my/settings/security",
            "Turn one on",
        ),
        Step(
            "API keys",
            bool(keys),
            holds,
            "/my/settings/api-management",
            "/my/settings/api-management/create",
            "Create a key",
        ),
    ]


def attention_of(keys: Sequence[Key], now_us: int) -> list[Attention]:
    """The most urgent first."""
    found = []
    for key in keys:
        if key.status == "expired" or now_us >= key.dies_us:
            if not key.replaced_by:  # else its replacement is what counts
                found.append(Attention(key, "bad", "Expired", key.dies_us))
        elif key.dies_us - now_us < SOON_US:
            title = "Ends with its rotation" if key.replaced_by else "Expires soon"
            found.append(Attention(key, "warn", title, key.dies_us))
        elif now_us - key.created_us >= OLD_US:
            found.append(Attention(key, "warn", "Old: rotate it"))
    return sorted(found, key=lambda one: (one.kind != "bad", one.end_us or NEVER_US, one.key.key_id))


# --- where a page of a list begins -----------------------------------------------------------------------------------


def spell_mark(mark: Mark | None) -> str:
    return "" if mark is None else f"{mark.time_us}.{mark.symbol}.{mark.id}.{mark.side}"


def mark_in(request: Request) -> Mark | None:
    """The mark of `before`, None without one. A page at an address that no page of ours made does not exist."""
    text = request.query_params.get("before", "")
    if not text:
        return None
    parts = text.split(".")
    if len(parts) == 4:
        time_us, symbol, id, side = parts
        numbers = [time_us, id, side]
        if all(number.isascii() and number.isdigit() and len(number) <= 18 for number in numbers) and len(symbol) <= 30:
            return Mark(int(time_us), symbol, int(id), int(side))
    raise HTTPException(404)
