"""What the pages of API Management share: services, what a key looks like to people, and where refusals are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sparekey.access.labels import parse_label
from sparekey.access.public_keys import parse_public_key
from sparekey.access.state import NEVER_US, Key
from sparekey.console.key_acts import KEY_LIMIT
from sparekey.console.least_privilege import permissions_of_routes
from sparekey.console.own_keys import OwnKeys
from sparekey.console.pages.forms import Form
from sparekey.console.pages.shell import Shell
from sparekey.console.pages.verifying import Verifying
from sparekey.console.refused import ManagementRefused
from sparekey.console.shown_once import ShownOnce
from sparekey.sequencer.clocks import Clocks
from sparekey.storage.calls import CallLog
from sparekey.terms.clocktime import DAY_US
from sparekey.terms.permissions import PERMISSION_NAMES, Permission, names_of
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.watch.calls import CallEntry

HOME: Final = "/my/settings/api-management"
#: A key that ends within this is pointed out, and one that is older than that.
SOON_US: Final = 14 * DAY_US
OLD_US: Final = 180 * DAY_US
TYPE_NAMES: Final = {
    "hmac": "System generated (HMAC)",
    "rsa": "Self generated (RSA)",
    "ed25519": "Self generated (Ed25519)",
}
#: At which field of a form a refusal is shown; all others stand above it.
_FIELDS: Final = {
    Reason.LABEL_INVALID: "label",
    Reason.KEY_TYPE_INVALID: "type",
    Reason.PUBLIC_KEY_MISSING: "public-key",
    Reason.PUBLIC_KEY_NOT_REQUIRED: "public-key",
    Reason.PUBLIC_KEY_INVALID: "public-key",
    Reason.PRIVATE_KEY_PASTED: "public-key",
    Reason.PERMISSION_UNKNOWN: "permissions",
    Reason.PERMISSION_PREREQUISITE: "permissions",
    Reason.WITHDRAWALS_NEED_WHITELIST: "permissions",
    Reason.WHITELIST_INVALID: "ips",
    Reason.WHITELIST_TOO_WIDE: "ips",
    Reason.WHITELIST_LOOPBACK: "ips",
    Reason.WHITELIST_TOO_LONG: "ips",
    Reason.OVERLAP_INVALID: "overlap",
}


class PermissionText(NamedTuple):
    name: str
    title: str
    allows: str
    risk: str
    needs: str = ""


PERMISSION_TEXTS: Final = (
    PermissionText("reading", "Reading", "Sees balances, orders, fills and streams. Every key has it.", ""),
    PermissionText(
        "spot-and-margin-trading",
        "Spot and margin trading",
        "Places, changes and cancels orders.",
        "Whoever gets hold of the key can trade your funds away at bad prices.",
    ),
    PermissionText(
        "margin-loan",
        "Margin loan, repay and transfer",
        "Borrows against what you own, and repays.",
        "Debts can grow past what is lost in a trade.",
        "spot-and-margin-trading",
    ),
    PermissionText(
        "futures",
        "Futures",
        "Trades USD-M and COIN-M futures.",
        "Leverage: a position can be liquidated within minutes.",
    ),
    PermissionText(
        "withdrawals",
        "Withdrawals",
        "Sends funds out of the account.",
        "The one permission that can empty the account. Leave it off unless this key’s very task is to withdraw; it "
        "needs an IP whitelist.",
    ),
    PermissionText(
        "internal-transfer", "Internal transfer", "Moves funds between your sub-accounts.", "The funds stay yours."
    ),
    PermissionText(
        "universal-transfer",
        "Universal transfer",
        "Moves funds between your accounts and their wallets.",
        "The funds stay yours, but can be put where another key trades them.",
    ),
)
TITLES: Final = {text.name: text.title for text in PERMISSION_TEXTS}
assert [text.name for text in PERMISSION_TEXTS] == list(PERMISSION_NAMES)


class ShownKey(NamedTuple):
    """A key as lists and pages show it. `state` is (word, kind of tag); times are policy time, but for `last`."""

    key: Key
    type_name: str
    permissions: list[str]
    state: tuple[str, str]
    ends_us: int | None
    is_over: bool
    is_soon: bool
    is_old: bool
    age_us: int
    last: CallEntry | None
    last_ago_us: int
    replaces: Key | None
    replaced_by: Key | None


class KeyDesk:
    def __init__(
        self, shell: Shell, own: OwnKeys, verifying: Verifying, once: ShownOnce, calls: CallLog, clocks: Clocks
    ) -> None:
        self.shell = shell
        self.own = own
        self.verifying = verifying
        self.once = once
        self.calls = calls
        self.clocks = clocks
        self.permissions_of_routes = permissions_of_routes()

    def key_of(self, request: Request, session: Any) -> Key:
        """The key that the address names; a page that is not there for any other account's."""
        text = request.path_params["key_id"]
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise HTTPException(404)
        try:
            return self.own.key(session, int(text))
        except ManagementRefused:
            raise HTTPException(404) from None

    def shown(self, key: Key, last: CallEntry | None = None) -> ShownKey:
        now_us = self.clocks.policy_us()
        ends_us = None if key.dies_us == NEVER_US else key.dies_us
        is_over = key.status in ("expired", "deleted") or (ends_us is not None and ends_us <= now_us)
        is_soon = not is_over and ends_us is not None and ends_us - now_us <= SOON_US
        replaced_by = self.own.neighbour(key.replaced_by)
        if is_over:
            state = ("Replaced" if key.end.reason is Reason.KEY_ROTATED else "Expired", "bad")
        elif key.status == "disabled":
            state = ("Disabled", "plain")
        elif key.standing is not None:
            state = ("Refused", "bad")
        elif key.retires_us is not None and replaced_by is not None:
            state = ("Retiring", "warn")
        else:
            state = ("Expires soon", "warn") if is_soon else ("Active", "good")
        return ShownKey(
            key,
            TYPE_NAMES[key.key_type],
            [TITLES[name] for name in names_of(Permission(key.permissions))],
            state,
            ends_us,
            is_over,
            is_soon,
            not is_over and now_us - key.created_us >= OLD_US,
            now_us - key.created_us,
            last,
            0 if last is None else self.clocks.wall_us() - last.time_us,
            self.own.neighbour(key.replaces),
            replaced_by,
        )

    def page(
        self,
        request: Request,
        template: str,
        session: Any,
        *,
        status: int = 200,
        errors: Mapping[str, Refusal] | None = None,
        **context: Any,
    ) -> Response:
        """`errors`: what is refused, by the field at which it is shown; "" for what belongs to none."""
        return self.shell.page(
            request,
            f"keys/{template}",
            status=status,
            home=HOME,
            limit=KEY_LIMIT,
            titles=TITLES,
            texts=PERMISSION_TEXTS,
            account=self.own.account(session),
            errors=_Errors(errors or {}),
            **context,
        )

    def my_address(self, request: Request) -> str:
        """The reader's own address, where a whitelist would take it."""
        ip = self.shell.address(request)
        return "" if not ip or problem_of_ips(self.own, [ip]) else ip


class _Errors(dict[str, Refusal]):
    """Nothing is wrong with a field that is not in it."""

    def __missing__(self, name: str) -> None:
        return None


def listed(text: str) -> tuple[str, ...]:
    """Entries of a whitelist as people write them: a line each, or with commas or blanks between."""
    return tuple(text.replace(",", " ").replace(";", " ").split())


def chosen(form: Form) -> tuple[str, ...]:
    """The permissions that are ticked; reading cannot be unticked."""
    return ("reading", *(name for name in form.all("permission") if name != "reading"))


def placed(refusals: Iterable[Refusal]) -> dict[str, Refusal]:
    """Field → refusal; "" for what belongs to none."""
    found: dict[str, Refusal] = {}
    for refusal in refusals:
        found.setdefault(_FIELDS.get(refusal.reason, ""), refusal)
    return found


def problems_of(own: OwnKeys, *, label: str, ips: Sequence[str], public_key: str | None = None) -> list[Refusal]:
    """What is wrong with each field by itself, so that all of it is told at once."""
    found = []
    if parse_label(label) is None:
        found.append(Refusal(Reason.LABEL_INVALID))
    if public_key is not None:
        parsed = parse_public_key(public_key)
        if isinstance(parsed, Refusal):
            found.append(parsed)
    problem = problem_of_ips(own, ips)
    return [*found, problem] if problem is not None else found


def problem_of_ips(own: OwnKeys, ips: Sequence[str]) -> Refusal | None:
    parsed = own.acts.parse_ips(ips)
    return parsed if isinstance(parsed, Refusal) else None
