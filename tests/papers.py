"""Documents of people who do not exist, for identity checks: zones with right check digits, and photographs."""

from __future__ import annotations

import functools
import io

from PIL import Image

from sparekey.access.documents import check_digit


def passport(
    surname: str = "ERIKSSON",
    given_names: str = "ANNA<MARIA",
    number: str = "L898902C3",
    birth: str = "900812",
    expires: str = "350415",
    issuer: str = "UTO",
) -> str:
    """A zone of two lines of 44 (ICAO 9303, part 4)."""
    upper = f"P<{issuer.ljust(3, '<')}{surname}<<{given_names}".ljust(44, "<")[:44]
    number = number.ljust(9, "<")
    lower = f"{number}{check_digit(number)}{issuer.ljust(3, '<')}{birth}{check_digit(birth)}F"
    lower += f"{expires}{check_digit(expires)}{'<' * 14}<"
    return f"{upper}\n{lower}{check_digit(lower[:10] + lower[13:20] + lower[21:43])}"


def card(surname: str = "ERIKSSON", given_names: str = "ANNA", number: str = "D23145890") -> str:
    """A zone of three lines of 30 (part 5)."""
    upper = f"I<UTO{number}{check_digit(number)}".ljust(30, "<")
    middle = f"900812{check_digit('900812')}F350415{check_digit('350415')}UTO".ljust(29, "<")
    whole = check_digit(upper[5:] + middle[:7] + middle[8:15] + middle[18:29])
    return f"{upper}\n{middle}{whole}\n{f'{surname}<<{given_names}'.ljust(30, '<')}"


@functools.cache
def photograph(kind: str = "JPEG", size: tuple[int, int] = (320, 240)) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(out, kind)
    return out.getvalue()
