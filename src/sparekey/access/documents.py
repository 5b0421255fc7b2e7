"""The machine-readable zone of identity documents, as ICAO 9303 sets it: read, and held against its check digits.

Cards have three lines of 30 characters (TD1, part 5) or two of 36 (TD2, part 6), passports two of 44 (TD3, part 4).
Check digits are of part 3, section 4.9: weights 7, 3, 1, letters from 10, modulo 10. They tell a slip of the pen from
a document; they prove nothing about who holds it.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sparekey.terms.clocktime import date_of, is_date
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

_DIGITS_OF = {character: value for value, character in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")} | {"<": 0}
_WEIGHTS = (7, 3, 1)
#: By length of the whole zone.
_FORMATS = {90: ("TD1", 30), 72: ("TD2", 36), 88: ("TD3", 44)}
#: Far above any zone with blanks and line ends; nothing longer is looked at.
_TYPED_MAX = 1_000
#: Of a document's life: what expires later than this from now belongs to the century before.
_EXPIRES_WITHIN_YEARS = 50


class Document(msgspec.Struct, frozen=True):
    """`kind` is TD1, TD2 or TD3. Dates are ISO; countries as printed, three letters (Germany's D is DEU)."""

    kind: str
    number: str
    surname: str
    given_names: str
    birth_date: str
    expires: str
    issuer: str
    nationality: str


class _Fields(NamedTuple):
    """What a format's zone has where. `checked`: name of a field, its characters, its check digit."""

    code: str
    issuer: str
    names: str
    nationality: str
    number: str
    sex: str
    checked: tuple[tuple[str, str, str], ...]


def check_digit(text: str) -> str:
    """Of A-Z, 0-9 and `<`; ValueError for another character."""
    try:
        total = sum(_DIGITS_OF[character] * _WEIGHTS[at % 3] for at, character in enumerate(text))
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} stands in no machine-readable zone") from None
    return str(total % 10)


def parse_mrz(text: str, now_us: int) -> Document | Refusal:
    """The zone as typed: blanks and line ends do not matter, nor does the case. `now_us` is policy time: it tells
    centuries apart, and a document that has expired is refused."""
    zone = "".join(text.split()).upper() if len(text) <= _TYPED_MAX else ""
    if len(zone) not in _FORMATS:
        return _invalid("it has neither two lines of 44 or 36 characters nor three of 30")
    odd = next((character for character in zone if character not in _DIGITS_OF), "")
    if odd:
        return _invalid("it holds a character other than A to Z, 0 to 9 and <")
    kind, width = _FORMATS[len(zone)]
    lines = [zone[start : start + width] for start in range(0, len(zone), width)]
    fields = _card_of_three(*lines) if kind == "TD1" else _two_lines(*lines)
    if fields.code[0] not in ("P" if kind == "TD3" else "ACI"):
        return _invalid(f"a document of type {fields.code.rstrip('<')} is no passport or identity card")
    for name, characters, digit in fields.checked:
        # An empty optional field may have the filler for its check digit (part 4, section 4.2.2).
        absent = name == "personal number" and digit == "<" and not _said(characters)
        if not absent and digit != check_digit(characters):
            return _invalid(f"the check digit of the {name} is {digit}, where {check_digit(characters)} is right")
    return _document(kind, fields, date_of(now_us))


def _two_lines(upper: str, lower: str) -> _Fields:
    number, digit, rest = lower[:9], lower[9], lower[28:-1]
    checked = [("date of birth", lower[13:19], lower[19]), ("date of expiry", lower[21:27], lower[27])]
    if len(lower) == 44:
        checked.append(("personal number", lower[28:42], lower[42]))
    else:
        number, digit = _long_number(number, digit, rest)
    checked.insert(0, ("document number", number, digit))
    checked.append(("whole zone", lower[:10] + lower[13:20] + lower[21:-1], lower[-1]))
    return _Fields(upper[:2], upper[2:5], upper[5:], lower[10:13], number, lower[20], tuple(checked))


def _card_of_three(upper: str, middle: str, names: str) -> _Fields:
    number, digit = _long_number(upper[5:14], upper[14], upper[15:])
    checked = (
        ("document number", number, digit),
        ("date of birth", middle[:6], middle[6]),
        ("date of expiry", middle[8:14], middle[14]),
        ("whole zone", upper[5:] + middle[:7] + middle[8:15] + middle[18:29], middle[29]),
    )
    return _Fields(upper[:2], upper[2:5], names, middle[15:18], number, middle[7], checked)


def _long_number(number: str, digit: str, optional: str) -> tuple[str, str]:
    """A number of more than nine characters goes on in the optional field, its check digit at its end; a filler
    stands where the digit would (part 5, section 4.2.2, note j)."""
    more = optional.split("<")[0]
    return (number + more[:-1], more[-1]) if digit == "<" and more else (number, digit)


def _document(kind: str, fields: _Fields, today: str) -> Document | Refusal:
    characters = {name: text for name, text, _ in fields.checked}
    born = _date(characters["date of birth"], today)
    if born is None:
        return _invalid("the date of birth is not a whole date")
    expires = _date(characters["date of expiry"], f"{int(today[:4]) + _EXPIRES_WITHIN_YEARS}-12-31")
    if expires is None:
        return _invalid("the date of expiry is no date")
    if expires < today:
        return _invalid(f"the document expired on {expires}")
    if fields.sex not in "MFX<":
        return _invalid("the sex is none of M, F and <")
    countries = [fields.issuer.rstrip("<"), fields.nationality.rstrip("<")]
    if not all(country.isalpha() for country in countries):
        return _invalid("a country is no code of letters")
    issuer, nationality = ("DEU" if country == "D" else country for country in countries)
    surname, _, given_names = fields.names.partition("<<")
    number = fields.number.rstrip("<")
    if not number:
        return _invalid("the document has no number")
    if not surname or not fields.names.replace("<", "").isalpha():
        return _invalid("the name is missing or holds a digit")
    return Document(
        kind,
        number.replace("<", " "),
        _said(surname),
        _said(given_names),
        born,
        expires,
        issuer,
        nationality,
    )


def _date(text: str, latest: str) -> str | None:
    """YYMMDD as the last such date that is not after `latest`; None if there is none. Dates are YYYY-MM-DD."""
    if not text.isdigit():
        return None
    month_and_day = f"-{text[2:4]}-{text[4:]}"
    latest_year = int(latest[:4])
    year = latest_year - (latest_year - int(text[:2])) % 100
    if f"{year}{month_and_day}" > latest:
        year -= 100
    return f"{year}{month_and_day}" if is_date(year, int(text[2:4]), int(text[4:])) else None


def _said(text: str) -> str:
    """Without fillers at the ends, and a blank for those within."""
    return " ".join(text.replace("<", " ").split())


def _invalid(sentence: str) -> Refusal:
    return Refusal(Reason.DOCUMENT_INVALID, (sentence,))
