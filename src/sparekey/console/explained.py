"""Every reason of a refusal, explained: what is wrong, what helps, what a caller is answered, and how to meet it.

Cause and fix come from `terms.reasons`, the answers from `wire.errors`, and what is only for reading (names for the
facts, commands to try, related reasons) from `pages/reasons.toml`.
"""

from __future__ import annotations

import importlib.resources
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sparekey.console.refused import ManagementRefused
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.errors import NOT_MET_BY_CALLS, PUBLIC_ERRORS, PublicError, error_body

_FACT = re.compile(r"\{(\d)\}")
_CODE = re.compile(r"(?<!\d)-\d{4,5}\b")
#: Words of a slug that are not written like other words.
_SPELLED = {
    "ip": "IP",
    "json": "JSON",
    "kyc": "KYC",
    "gtc": "GTC",
    "sbe": "SBE",
    "id": "ID",
    "sms": "SMS",
    "api": "API",
}
#: Pages and addresses that texts name, as links. Longer ones first, where one begins with another.
_NAMED = {
    "API Management": "/my/settings/api-management",
    "Identity verification": "/my/settings/verification",
    "Security": "/my/settings/security",
    "GET /api/v3/exchangeInfo": "/api/v3/exchangeInfo",
    "GET /api/v3/time": "/api/v3/time",
}
_LINK = re.compile("|".join(re.escape(name) for name in _NAMED))

_BY_SLUG = {reason.slug: reason for reason in Reason}


class Part(NamedTuple):
    """A piece of a text: plain, a fact that is named instead of told (`is_fact`), or a link (`address`)."""

    text: str
    is_fact: bool = False
    address: str = ""


class Group(NamedTuple):
    """Reasons that stand together, from `first` on."""

    title: str
    intro: str
    first: Reason
    anchor: str


#: In the order of `Reason`, which is the order of asking.
GROUPS = (
    Group(
        "At the gate",
        "Asked of every call, in this order; the first “no” is the answer. Cheap questions come before dear ones, so "
        "a banned address is not told that its signature is wrong, too.",
        Reason.ROUTE_UNKNOWN,
        "gate",
    ),
    Group(
        "Parameters",
        "What was sent is read before the key is looked at, so these are answered without a right signature.",
        Reason.PARAMETER_MISSING,
        "parameters",
    ),
    Group(
        "Orders, before the engine",
        "What an order has to be by the rules of its symbol.",
        Reason.ORDER_COMBINATION,
        "order-rules",
    ),
    Group(
        "Orders, at the engine",
        "What depends on the book, the balances and the account's other orders at that moment.",
        Reason.MARKET_CLOSED,
        "engine",
    ),
    Group(
        "Accounts, factors and keys",
        "What the console, the management API and the sub-account calls refuse.",
        Reason.ACCOUNT_UNKNOWN,
        "accounts",
    ),
)


class Explained(NamedTuple):
    """A reason as its page shows it. `recipe` is empty where no short command meets it."""

    reason: Reason
    title: str
    group: Group
    cause: Sequence[Part]
    fix: Sequence[Part]
    #: what a call is answered; the body with its facts named
    status: int
    code: int
    body: str
    #: whether a call of the API can meet it; the console and the management API can meet them all
    met_by_calls: bool
    management_status: int
    management_body: str
    #: other reasons whose answer is the same to the letter
    alike: Sequence[Reason]
    related: Sequence[Reason]
    recipe: str

    @property
    def words(self) -> str:
        """What a search looks at."""
        texts = [part.text for part in (*self.cause, *self.fix)]
        return " ".join([self.reason.slug, self.title, self.body, *texts]).lower()


class Explanations:
    """All of them, made once. `preface` stands before every recipe."""

    def __init__(self) -> None:
        notes = tomllib.loads(importlib.resources.files(__package__).joinpath("pages/reasons.toml").read_text("utf-8"))
        self.preface: str = notes.pop("preface")["text"].strip()
        functions: Mapping[str, str] = notes.pop("functions")
        unknown = notes.keys() - _BY_SLUG.keys()
        if unknown:
            raise ValueError(f"notes on reasons that do not exist: {', '.join(sorted(unknown))}")
        alike: dict[PublicError, list[Reason]] = {}
        for reason in Reason:
            if reason not in NOT_MET_BY_CALLS:
                alike.setdefault(PUBLIC_ERRORS[reason], []).append(reason)
        self._by_slug = {
            reason.slug: _explain(reason, notes.get(reason.slug, {}), functions, alike) for reason in Reason
        }
        self._words = {slug: explained.words for slug, explained in self._by_slug.items()}

    def of(self, slug: str) -> Explained | None:
        return self._by_slug.get(slug)

    def search(self, text: str) -> list[Explained]:
        """Those that a code (`-2015`, also within a pasted reply) or all words are found in; all for an empty text."""
        codes = [int(code) for code in _CODE.findall(text)]
        words = text.lower().split()
        return [
            explained
            for slug, explained in self._by_slug.items()
            if (explained.code in codes and explained.met_by_calls if codes else _holds(self._words[slug], words))
        ]


def by_group(found: Iterable[Explained]) -> list[tuple[Group, list[Explained]]]:
    """In the gate's order; groups in which nothing was found are left out."""
    grouped: dict[Group, list[Explained]] = {}
    for explained in found:
        grouped.setdefault(explained.group, []).append(explained)
    return list(grouped.items())


def title_of(reason: Reason) -> str:
    """`ip-banned` → "IP banned"."""
    words = " ".join(_SPELLED.get(word, word) for word in reason.slug.split("-"))
    return words[0].upper() + words[1:]


def _holds(haystack: str, words: Sequence[str]) -> bool:
    return all(word in haystack for word in words)


def _explain(
    reason: Reason,
    notes: Mapping[str, Any],
    functions: Mapping[str, str],
    alike: Mapping[PublicError, Sequence[Reason]],
) -> Explained:
    names: Sequence[str] = notes.get("names", ())
    error = PUBLIC_ERRORS[reason]
    met = reason not in NOT_MET_BY_CALLS
    told = PublicError(error.status, error.code, _FACT.sub(lambda found: f"‹{_name(names, found)}›", error.text))
    refused = ManagementRefused(Refusal(reason))
    message = _FACT.sub(lambda found: f"‹{_name(names, found)}›", f"{reason.cause} {reason.fix}")
    managed = {"error": {"reason": reason.slug, "message": message, "page": reason.page}}
    return Explained(
        reason=reason,
        title=title_of(reason),
        group=_group_of(reason),
        cause=_parts(reason.cause, names),
        fix=_parts(reason.fix, names),
        status=told.status,
        code=told.code,
        body=error_body(told).decode(),
        met_by_calls=met,
        management_status=refused.status,
        management_body=json.dumps(managed, ensure_ascii=False),
        alike=[other for other in alike.get(error, ()) if met and other is not reason],
        related=[_BY_SLUG[slug] for slug in notes.get("see", ())],
        recipe="".join([*(functions[name] for name in notes.get("uses", ())), notes.get("try", "")]).strip(),
    )


def _group_of(reason: Reason) -> Group:
    order = list(Reason)
    at = order.index(reason)
    return max((group for group in GROUPS if order.index(group.first) <= at), key=lambda one: order.index(one.first))


def _name(names: Sequence[str], found: re.Match[str]) -> str:
    at = int(found[1])
    return names[at] if at < len(names) else "…"


def _parts(text: str, names: Sequence[str]) -> list[Part]:
    parts: list[Part] = []
    pieces = _FACT.split(text)
    for plain, at in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        parts += _linked(plain)
        if at:
            parts.append(Part(names[int(at)] if int(at) < len(names) else "…", is_fact=True))
    return parts


def _linked(text: str) -> list[Part]:
    parts, end = list[Part](), 0
    for found in _LINK.finditer(text):
        parts += [Part(text[end : found.start()]), Part(found[0], address=_NAMED[found[0]])]
        end = found.end()
    return [part for part in (*parts, Part(text[end:])) if part.text]
