"""What a person brings to the console: name, password, passport, and an authenticator on their phone."""

from __future__ import annotations

import itertools
import string
from typing import NamedTuple

import pyotp

from tests.venue import Venue

_numbers = itertools.count(1)
_STEP_SECONDS = 30


class Person(NamedTuple):
    email: str
    password: str
    given: str
    family: str
    born: str  # 1990-04-17
    document: str


def somebody() -> Person:
    number = next(_numbers)
    return Person(
        f"reader-{number}@example.com", f"plum wagon {number} eats quietly", "Ann", "Example", "1990-04-17", "L898902C3"
    )


class Authenticator:
    """An app that was told `secret`. Where a code was used, it has everybody wait for the next one."""

    def __init__(self, venue: Venue, secret: str) -> None:
        self._venue = venue
        self._totp = pyotp.TOTP("".join(secret.split()))
        self._used_step = -1

    def code(self) -> str:
        while (step := self._step()) <= self._used_step:
            self._venue.let_codes_pass(_STEP_SECONDS)
        self._used_step = step
        return self._totp.generate_otp(step)

    def _step(self) -> int:
        return self._venue.authenticators_us() // 1_000_000 // _STEP_SECONDS


_VALUES = {letter: value for value, letter in enumerate(string.digits + string.ascii_uppercase)} | {"<": 0}


def check_digit(field: str) -> str:
    """ICAO 9303, part 3, 4.9."""
    return str(sum(_VALUES[letter] * weight for letter, weight in zip(field, itertools.cycle((7, 3, 1)))) % 10)


def passport_lines(person: Person, country: str = "CHE") -> str:
    """The two lines of 44 at the foot of a passport (ICAO 9303, part 4)."""
    name = f"{person.family}<<{person.given}".upper().replace(" ", "<")
    number = person.document.ljust(9, "<")
    born, until, more = person.born[2:].replace("-", ""), "350415", "<" * 14
    checked = [field + check_digit(field) for field in (number, born, until, more)]
    upper = f"P<{country}{name}".ljust(44, "<")
    lower = f"{checked[0]}{country}{checked[1]}F{checked[2]}{checked[3]}"
    return f"{upper}\n{lower}{check_digit(''.join(checked))}"
