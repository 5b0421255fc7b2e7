"""Parameters: raw pairs from query and body, then typed values by an endpoint's declaration.

Splitting is by hand, because a call is small and almost never percent-encoded; the first `%` or `+` in a field sends
that field to the full decoding. Only `&` separates (`;` never does). Refusals carry what Binance's messages name
(spot REST, "Error codes", -11xx).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from sparekey.terms.clocktime import HOUR_US, MINUTE_US
from sparekey.terms.money import MoneyError, parse_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

# --- raw pairs --------------------------------------------------------------------------------------------------

_DUPLICATE = Refusal(Reason.PARAMETER_DUPLICATE)
_SIGNATURE_DISGUISED = Refusal(Reason.PARAMETER_ILLEGAL, ("signature", "^[A-Za-z0-9+/=]{1,684}$"))
_UNDECODABLE = Refusal(Reason.PARAMETER_ILLEGAL, ("(query string)", "percent-encoded UTF-8"))

#: More fields than any endpoint has; a body of a million `a&a&a` must not be taken apart.
MOST_FIELDS = 256
_TOO_MANY_FIELDS = Refusal(Reason.PARAMETERS_SURPLUS, (MOST_FIELDS, "more"))


def split_pairs(raw: bytes) -> dict[str, str] | Refusal:
    """`b"a=1&b=%C3%A4"` → `{"a": "1", "b": "ä"}`. A name sent twice, or bytes that are no UTF-8, are refused.

    A field without `=` counts as sent empty; an empty field (`a=1&&b=2`) counts as not sent.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return _UNDECODABLE
    fields = text.split("&")
    if len(fields) > MOST_FIELDS:
        return _TOO_MANY_FIELDS
    pairs: dict[str, str] = {}
    if "%" in text or "+" in text:
        return _split_encoded(fields, pairs)
    for field in fields:
        name, _, value = field.partition("=")
        pairs[name] = value
    if len(pairs) != len(fields) or "" in pairs:
        pairs.clear()
        return _split_encoded(fields, pairs)
    return pairs


def _split_encoded(fields: list[str], pairs: dict[str, str]) -> dict[str, str] | Refusal:
    for field in fields:
        name, _, value = field.partition("=")
        if "%" in field or "+" in field:
            sent_name = name
            try:
                name = unquote(name.replace("+", " "), errors="strict")
                value = unquote(value.replace("+", " "), errors="strict")
            except UnicodeDecodeError:
                return Refusal(Reason.PARAMETER_ILLEGAL, (sent_name[:40], "percent-encoded UTF-8"))
            if name == "signature" and sent_name != name:
                # The signed bytes are found by the literal name; another spelling of it would be signed itself.
                return _SIGNATURE_DISGUISED
        if name:
            if name in pairs:
                return _DUPLICATE
            pairs[name] = value
        elif value:
            return Refusal(Reason.PARAMETER_UNKNOWN)
    return pairs


def merge_pairs(query: bytes, body: bytes) -> dict[str, str] | Refusal:
    """Pairs of both places; the query's value wins where both have a name, except that there is one signature."""
    pairs = split_pairs(query) if query else {}
    if not body or isinstance(pairs, Refusal):
        return pairs
    more = split_pairs(body)
    if isinstance(more, Refusal):
        return more
    if "signature" in more and "signature" in pairs:
        return _DUPLICATE
    return more | pairs


# --- declarations -----------------------------------------------------------------------------------------------

#: Text → typed value, or why not. Never called with an empty text.
Parse = Callable[[str], Any]


class Parameter:
    """One parameter of an endpoint. `kind`, `default` and `legal` are also what the reference pages print."""

    __slots__ = ("default", "kind", "legal", "mandatory", "name", "parse", "repeats")

    def __init__(
        self,
        name: str,
        kind: str,
        parse: Parse,
        *,
        mandatory: bool = False,
        default: Any = None,
        legal: str = "",
        repeats: bool = True,
    ) -> None:
        self.name = name
        self.kind = kind
        self.parse = parse
        self.mandatory = mandatory
        self.default = default
        self.legal = legal
        #: False where nearly every call has a value of its own, so that remembering values is in vain
        self.repeats = repeats

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "mandatory": self.mandatory,
            "default": self.default if isinstance(self.default, str | int | bool) else None,
            "legal": self.legal,
        }


MAX_LONG = 2**63 - 1

DECIMAL_RANGE = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
LONG_RANGE = "^[0-9]{1,20}$"
#: Seen in Binance's -1100 replies on spot. Futures allow more (`^[\.A-Z\:/a-z0-9_-]{1,36}$`, USDⓈ-M "New Order"), but
#: spot refuses a dot, so a bot that sends one must find that out here and not there.
CLIENT_ORDER_ID_RANGE = "^[a-zA-Z0-9-_]{1,36}$"
#: As the live exchange answers since symbols may hold letters of any script (December 2025): word characters, as Java
#: spells them, without the small ones of ASCII; in lists without a blank.
_SYMBOL_CHARACTERS = r"[\w\-._&&[^a-z]]{1,50}"
SYMBOL_RANGE = f"^{_SYMBOL_CHARACTERS}$"
SYMBOLS_RANGE = rf'^\[("{_SYMBOL_CHARACTERS}"(,"{_SYMBOL_CHARACTERS}"){{0,}}){{0,1}}\]$'

LISTEN_KEY_RANGE = "^[a-zA-Z0-9-_]{1,128}$"

_LISTEN_KEY = re.compile(r"[a-zA-Z0-9\-_]{1,128}\Z")
_CLIENT_ORDER_ID = re.compile(r"[a-zA-Z0-9\-_]{1,36}\Z")
_A_SYMBOL = r"(?:[\w\-.](?<![a-z])){1,50}"
_SYMBOL = re.compile(rf"{_A_SYMBOL}\Z")
_SYMBOLS = re.compile(rf'\[(?:"{_A_SYMBOL}"(?:,"{_A_SYMBOL}")*)?\]\Z')


def _illegal(name: str, legal: str) -> Refusal:
    return Refusal(Reason.PARAMETER_ILLEGAL, (name, legal))


def pattern(
    name: str, compiled: re.Pattern[str], legal: str, *, mandatory: bool = False, repeats: bool = True
) -> Parameter:
    """A text that must match as a whole."""
    illegal = _illegal(name, legal)
    match = compiled.match

    def parse(text: str) -> str | Refusal:
        return text if match(text) else illegal

    return Parameter(name, "STRING", parse, mandatory=mandatory, legal=legal, repeats=repeats)


def symbol(name: str = "symbol", *, mandatory: bool = False) -> Parameter:
    return pattern(name, _SYMBOL, SYMBOL_RANGE, mandatory=mandatory)


def client_order_id(name: str) -> Parameter:
    return pattern(name, _CLIENT_ORDER_ID, CLIENT_ORDER_ID_RANGE, repeats=False)


def listen_key() -> Parameter:
    return pattern("listenKey", _LISTEN_KEY, LISTEN_KEY_RANGE, mandatory=True)


def long(name: str, *, mandatory: bool = False, least: int = 0, default: int | None = None) -> Parameter:
    """A whole number from `least` to 2^63-1, in ASCII digits."""
    illegal = _illegal(name, LONG_RANGE)
    overflow = Refusal(Reason.PARAMETER_OVERFLOW, (name,))
    invalid = Refusal(Reason.PARAMETER_INVALID, (name,))

    def parse(text: str) -> int | Refusal:
        # isascii + isdigit: int() and isdigit alone also take digits of other scripts.
        if not (text.isdigit() and text.isascii() and len(text) <= 20):
            return illegal
        number = int(text)
        if number > MAX_LONG:
            return overflow
        return invalid if number < least else number

    return Parameter(name, "LONG", parse, mandatory=mandatory, default=default, legal=LONG_RANGE)


def limit(default: int | None, most: int) -> Parameter:
    """`limit`: at least 1; more than `most` is clamped, as `depth` documents it and the others do. `default` None: it
    matters whether it was sent."""
    illegal = _illegal("limit", LONG_RANGE)
    invalid = Refusal(Reason.PARAMETER_INVALID, ("limit",))

    def parse(text: str) -> int | Refusal:
        if not (text.isdigit() and text.isascii() and len(text) <= 20):
            return illegal
        number = int(text)
        return min(number, most) if number else invalid

    return Parameter("limit", "INT", parse, default=default, legal=f"1 to {most}")


def decimal(name: str, *, mandatory: bool = False) -> Parameter:
    """An amount, price or quantity in 1e-8 units."""
    illegal = _illegal(name, DECIMAL_RANGE)
    refusals = {
        "malformed": illegal,
        "precision": Refusal(Reason.PARAMETER_PRECISION, (name,)),
        "overflow": Refusal(Reason.PARAMETER_OVERFLOW, (name,)),
    }

    def parse(text: str) -> int | Refusal:
        try:
            return parse_money(text)
        except MoneyError as error:
            return refusals[error.kind]

    return Parameter(name, "DECIMAL", parse, mandatory=mandatory, legal=DECIMAL_RANGE)


def enum(
    name: str,
    allowed: Iterable[str],
    reason: Reason = Reason.PARAMETER_INVALID,
    *,
    mandatory: bool = False,
    default: str | None = None,
) -> Parameter:
    """One of a few words; the case matters, as on Binance."""
    words = {word: word for word in allowed}
    refusal = Refusal(reason, (name,))

    def parse(text: str) -> str | Refusal:
        return words.get(text, refusal)

    return Parameter(name, "ENUM", parse, mandatory=mandatory, default=default, legal=", ".join(words))


def boolean(name: str, default: bool = False) -> Parameter:
    """`true`, `True`, `TRUE` (Python clients print booleans their way)."""
    invalid = Refusal(Reason.PARAMETER_INVALID, (name,))
    words = {spelling: value for value in (True, False) for word in [str(value)] for spelling in _spellings(word)}

    def parse(text: str) -> bool | Refusal:
        return words.get(text, invalid)

    return Parameter(name, "BOOLEAN", parse, default=default, legal="true, false")


def _spellings(word: str) -> tuple[str, ...]:
    return word, word.lower(), word.upper(), f'"{word.lower()}"'


#: Magnitude tells milliseconds (13 digits) from microseconds (16 digits); in milliseconds this is the year 5138.
_LEAST_MICROSECONDS = 10**14
_LATEST_US = 2**62


def time(name: str, *, mandatory: bool = False, ends: bool = False) -> Parameter:
    """A Unix time in milliseconds or microseconds, as int microseconds.

    `ends`: the end of a span; a millisecond then counts whole, so that what is shown with this time lies within.
    """
    added_us = 999 if ends else 0
    illegal = _illegal(name, LONG_RANGE)

    def parse(text: str) -> int | Refusal:
        if not (text.isdigit() and text.isascii() and len(text) <= 20):
            return illegal
        number = int(text)
        return min(number, _LATEST_US) if number >= _LEAST_MICROSECONDS else number * 1_000 + added_us

    return Parameter(name, "TIME", parse, mandatory=mandatory, legal=LONG_RANGE, repeats=False)


_strings = msgspec.json.Decoder(list[str])


def text_array(name: str, *, most: int = 0, single_allowed: bool = False) -> Parameter:
    """A JSON array of texts. `most` 0: no bound. `single_allowed`: a bare value stands for an array of one."""
    malformed = Refusal(Reason.PARAMETER_JSON, (name,))
    empty = Refusal(Reason.PARAMETER_INVALID, (name,))
    repeated = Refusal(Reason.SYMBOLS_DUPLICATE)
    too_many = Refusal(Reason.TOO_MANY_VALUES, (name, most))

    def parse(text: str) -> tuple[str, ...] | Refusal:
        if single_allowed and not text.startswith("["):
            return (text,)
        try:
            values = _strings.decode(text)
        except msgspec.MsgspecError:
            return malformed
        if not values:
            return empty
        if most and len(values) > most:
            return too_many
        return repeated if len(set(values)) != len(values) else tuple(values)

    return Parameter(name, "STRING[]", parse, legal=f"JSON array, at most {most}" if most else "JSON array")


def symbols(*, most: int = 0) -> Parameter:
    """`symbols`: as `text_array`, but of symbols alone, and written as tightly as Binance wants it."""
    illegal = _illegal("symbols", SYMBOLS_RANGE)
    array = text_array("symbols", most=most)
    parse_array = array.parse

    def parse(text: str) -> tuple[str, ...] | Refusal:
        outcome: tuple[str, ...] | Refusal = parse_array(text) if _SYMBOLS.match(text) else illegal
        return outcome

    array.parse = parse
    return array


_ZONE = re.compile(r"(-?)(\d{1,2})(?::(\d{2}))?\Z", re.ASCII)


def time_zone() -> Parameter:
    """`timeZone` of candles and days: `0`, `-1:00`, `05:45`; from -12:00 to +14:00, as microseconds."""
    invalid = Refusal(Reason.PARAMETER_INVALID, ("timeZone",))

    def parse(text: str) -> int | Refusal:
        parts = _ZONE.match(text)
        if parts is None:
            return invalid
        offset_us = int(parts[2]) * HOUR_US + int(parts[3] or 0) * MINUTE_US
        if parts[1]:
            offset_us = -offset_us
        if int(parts[3] or 0) > 59 or not -12 * HOUR_US <= offset_us <= 14 * HOUR_US:
            return invalid
        return offset_us

    return Parameter("timeZone", "STRING", parse, default=0, legal="-12:00 to 14:00")


# --- what every signed call sends ---------------------------------------------------------------------------------

DEFAULT_RECV_WINDOW_US = 5_000_000
MAX_RECV_WINDOW_MS = 60_000
_RECV_WINDOW_RANGE = r"^[0-9]{1,20}(\.[0-9]{1,3})?$"


def _parse_recv_window(text: str) -> int | Refusal:
    """Milliseconds with up to three decimals, as microseconds."""
    whole, point, fraction = text.partition(".")
    digits = whole + fraction
    if not (digits.isdigit() and digits.isascii() and whole and len(whole) <= 20) or (point and not fraction):
        return _illegal("recvWindow", _RECV_WINDOW_RANGE)
    if len(fraction) > 3:
        return _illegal("recvWindow", _RECV_WINDOW_RANGE)
    window_us = int(whole) * 1_000 + int((fraction + "000")[:3])
    if window_us > MAX_RECV_WINDOW_MS * 1_000:
        return Refusal(Reason.PARAMETER_TOO_LARGE, ("recvWindow", MAX_RECV_WINDOW_MS))
    return window_us


def _parse_as_sent(text: str) -> str:
    return text


RECV_WINDOW = Parameter(
    "recvWindow",
    "DECIMAL",
    _parse_recv_window,
    default=DEFAULT_RECV_WINDOW_US,
    legal="0 to 60000 ms, up to three decimals",
)
TIMESTAMP = time("timestamp", mandatory=True)
#: The form depends on the key's type, so only the gate can judge it.
SIGNATURE = Parameter("signature", "STRING", _parse_as_sent, mandatory=True)
#: Of the WebSocket API, where it is a parameter.
API_KEY = Parameter("apiKey", "STRING", _parse_as_sent, mandatory=True)


_SIGNATURE_AT_END = b"&signature="

# --- reading ----------------------------------------------------------------------------------------------------

#: A check across parameters (mandatory by order type, allowed combinations), after each of them was read.
Check = Callable[[Mapping[str, Any]], Refusal | None]

#: These two have empty-value codes of their own (-1118, -1119).
_EMPTY = {
    "newClientOrderId": Refusal(Reason.CLIENT_ORDER_ID_EMPTY),
    "origClientOrderId": Refusal(Reason.ORIGINAL_CLIENT_ORDER_ID_EMPTY),
}


class _Unusual(Exception):
    """A field that only the thorough way of reading can judge."""


class _Fields(dict[str, tuple[str, Any]]):
    """Fields as they stand between two `&` → name and typed value. Those that repeat are remembered, up to a bound:
    bots send the same symbol, side, window and sizes over and over."""

    __slots__ = ("_parsers",)

    MOST = 2_048
    LONGEST = 64

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        super().__init__()
        self._parsers = {parameter.name: (parameter.parse, parameter.repeats) for parameter in parameters}

    def __missing__(self, field: str) -> tuple[str, Any]:
        name, _, text = field.partition("=")
        known = self._parsers.get(name)
        if known is None or not text or "%" in text or "+" in text:
            raise _Unusual
        parse, repeats = known
        value = parse(text)
        if value.__class__ is Refusal:
            raise _Unusual
        entry = (name, value)
        if repeats and len(field) <= self.LONGEST:
            if len(self) >= self.MOST:
                self.clear()
            self[field] = entry
        return entry


class Reader:
    """An endpoint's parameters made ready: raw pairs in, typed values by name out (absent ones at their default).

    `tolerated` parameters may be sent and are dropped unread; a `tolerant` reader drops every other one, too.
    """

    __slots__ = (
        "_check",
        "_field",
        "_known",
        "_mandatory",
        "_mandatory_names",
        "_parsers",
        "_tolerant",
        "_wants_any",
        "defaults",
    )

    def __init__(
        self,
        parameters: Iterable[Parameter],
        *,
        wants_any: tuple[str, ...] = (),
        tolerated: Iterable[Parameter] = (),
        tolerant: bool = False,
        check: Check | None = None,
    ) -> None:
        declared = tuple(parameters)
        self.defaults: dict[str, Any] = {parameter.name: parameter.default for parameter in declared}
        self._known = len(declared)
        self._parsers: dict[str, Parse | None] = {parameter.name: parameter.parse for parameter in declared}
        self._parsers |= {parameter.name: None for parameter in tolerated}
        self._mandatory = {
            parameter.name: Refusal(Reason.PARAMETER_MISSING, (parameter.name,))
            for parameter in declared
            if parameter.mandatory
        }
        #: Of fields as they are signed; these two stand beside them.
        beside = (SIGNATURE, API_KEY)
        self._mandatory_names = frozenset(
            parameter.name for parameter in declared if parameter.mandatory and parameter not in beside
        )
        self._wants_any = wants_any
        self._tolerant = tolerant
        self._check = check
        self._field = _Fields(parameter for parameter in declared if parameter is not SIGNATURE).__getitem__

    def read_signed(self, raw: bytes) -> tuple[bytes, dict[str, Any]] | None:
        """The short way for a call as nearly all are: all of it in one place, nothing percent-encoded, a signature of
        letters and digits at the end. The signed bytes, and what `read` gives; None: go the thorough way."""
        payload, found, signature = raw.rpartition(_SIGNATURE_AT_END)
        if not found or len(signature) != 64 or not signature.isalnum():
            return None
        try:
            fields = payload.decode("ascii").split("&")
        except UnicodeDecodeError:
            return None
        values = self.read_fields(fields)
        if values is None:
            return None
        values[SIGNATURE.name] = signature.decode("ascii")
        return payload, values

    def read_fields(self, fields: list[str]) -> dict[str, Any] | None:
        """What `read` gives of `name=text` fields in which nothing is encoded; None: go the thorough way."""
        try:
            sent = dict(map(self._field, fields))
        except _Unusual:
            return None
        if len(sent) != len(fields) or not self._mandatory_names <= sent.keys():
            return None
        values = self.defaults | sent
        if self._wants_any and all(values[name] is None for name in self._wants_any):
            return None
        if self._check is not None and self._check(values) is not None:
            return None
        return values

    def read(self, pairs: Mapping[str, str]) -> dict[str, Any] | Refusal:
        values = self.defaults.copy()
        parsers = self._parsers
        unread = 0
        for name, text in pairs.items():
            if name not in parsers:
                unread += 1
                continue
            parse = parsers[name]
            if parse is None:
                continue
            if not text:
                return self._empty(name)
            value = parse(text)
            if value.__class__ is Refusal:
                return value
            values[name] = value
        for name, missing in self._mandatory.items():
            if name not in pairs:
                return missing
        if self._wants_any and all(values[name] is None for name in self._wants_any):
            return Refusal(Reason.PARAMETERS_EITHER, self._wants_any)
        if unread and not self._tolerant:
            sent = len(pairs)
            if not self._known:
                return Refusal(Reason.PARAMETERS_SURPLUS, (0, sent))
            return Refusal(Reason.PARAMETERS_UNREAD, (sent - unread, sent))
        if self._check is not None:
            refusal = self._check(values)
            if refusal is not None:
                return refusal
        return values

    def _empty(self, name: str) -> Refusal:
        if name in self._mandatory:
            return self._mandatory[name]
        return _EMPTY.get(name) or Refusal(Reason.PARAMETER_EMPTY, (name,))
