"""Parameters of the routes that manage accounts and keys: addresses, API keys, switches, pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.parameters import LONG_RANGE, Parameter, decimal, pattern

T = TypeVar("T")

#: Binance's own keys have 64 letters and digits; another length names no key and is told so, not called illegal.
_API_KEY = re.compile(r"[A-Za-z0-9]{1,128}\Z")
_CLIENT_TRANSFER_ID = re.compile(r"[A-Za-z0-9\-_.]{1,64}\Z")
_SUB_ACCOUNT_ID = re.compile(r"[0-9]{1,18}\Z")
_SUB_ACCOUNT_STRING = re.compile(r"[A-Za-z0-9\-_.]{1,32}\Z")
#: Sub-account REST, "Create Sub-account API Key": at most 500 characters of addresses.
ADDRESSES_MAX = 500
_EMAIL_MAX = 254
#: An RSA-4096 block has about 800 characters; longer texts are refused with a reason of their own.
_PUBLIC_KEY_MAX = 16_384


def api_key(name: str = "subAccountApiKey", *, mandatory: bool = True) -> Parameter:
    return pattern(name, _API_KEY, "^[A-Za-z0-9]{1,128}$", mandatory=mandatory, repeats=False)


def client_transfer_id() -> Parameter:
    return pattern("clientTranId", _CLIENT_TRANSFER_ID, "^[A-Za-z0-9-_.]{1,64}$", repeats=False)


def sub_account_id(name: str = "subAccountId", *, mandatory: bool = True) -> Parameter:
    """A number, as text on the wire."""
    legal = "^[0-9]{1,18}$"
    illegal = Refusal(Reason.PARAMETER_ILLEGAL, (name, legal))

    def parse(text: str) -> int | Refusal:
        return int(text) if _SUB_ACCOUNT_ID.match(text) else illegal

    return Parameter(name, "STRING", parse, mandatory=mandatory, legal=legal)


def sub_account_string() -> Parameter:
    return pattern("subAccountString", _SUB_ACCOUNT_STRING, "^[A-Za-z0-9-_.]{1,32}$", mandatory=True, repeats=False)


def email(name: str = "email", *, mandatory: bool = True) -> Parameter:
    """In lower case, as look-ups go by it."""
    invalid = Refusal(Reason.EMAIL_INVALID)

    def parse(text: str) -> str | Refusal:
        address = text.strip().lower()
        front, at, domain = address.partition("@")
        fine = front and at and domain and "@" not in domain and len(address) <= _EMAIL_MAX
        return address if fine and address.isascii() and address.isprintable() and " " not in address else invalid

    return Parameter(name, "STRING", parse, mandatory=mandatory, legal="an e-mail address", repeats=False)


def label(name: str = "apiName", *, mandatory: bool = True) -> Parameter:
    """What a label may be, the access shard decides; here only what none ever is."""
    return Parameter(name, "STRING", str, mandatory=mandatory, legal="at most 64 printable characters", repeats=False)


def tag() -> Parameter:
    return Parameter("tag", "STRING", str, legal="shorter than 32 characters", repeats=False)


def public_key() -> Parameter:
    """PEM as pasted."""
    too_long = Refusal(Reason.PUBLIC_KEY_INVALID, (f"it is longer than {_PUBLIC_KEY_MAX} characters",))

    def parse(text: str) -> str | Refusal:
        return text if len(text) <= _PUBLIC_KEY_MAX else too_long

    return Parameter("publicKey", "STRING", parse, legal="PEM", repeats=False)


def addresses(name: str = "ipAddress", *, mandatory: bool = False) -> Parameter:
    """Addresses and ranges in one text, separated by commas, as typed; the access shard judges each."""
    too_long = Refusal(Reason.WHITELIST_INVALID, (f"A text of more than {ADDRESSES_MAX} characters",))

    def parse(text: str) -> tuple[str, ...] | Refusal:
        return tuple(entry.strip() for entry in text.split(",")) if len(text) <= ADDRESSES_MAX else too_long

    return Parameter(name, "STRING", parse, mandatory=mandatory, legal="separated by commas", repeats=False)


_WORDS = {spelling: value for value in (True, False) for word in (str(value),) for spelling in (word, word.lower())}


def switch(name: str, *, mandatory: bool = False) -> Parameter:
    """True, False, or None where it is not sent."""
    invalid = Refusal(Reason.PARAMETER_INVALID, (name,))

    def parse(text: str) -> bool | Refusal:
        return _WORDS.get(text, invalid)

    return Parameter(name, "BOOLEAN", parse, mandatory=mandatory, legal="true, false")


def amount() -> Parameter:
    parameter = decimal("amount")
    parameter.mandatory = True
    return parameter


def count(name: str, default: int, most: int) -> Parameter:
    """At least 1; more than `most` is taken for `most`, as with `limit` elsewhere."""
    illegal = Refusal(Reason.PARAMETER_ILLEGAL, (name, LONG_RANGE))
    invalid = Refusal(Reason.PARAMETER_INVALID, (name,))

    def parse(text: str) -> int | Refusal:
        if not (text.isdigit() and text.isascii() and len(text) <= 20):
            return illegal
        number = int(text)
        return min(number, most) if number else invalid

    return Parameter(name, "INT", parse, default=default, legal=f"1 to {most}")


def page() -> Parameter:
    return count("page", 1, 10**9)


def page_of(found: Sequence[T], number: int, size: int) -> Sequence[T]:
    """The `number`th page, counted from 1."""
    return found[(number - 1) * size : number * size]
