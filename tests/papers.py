"""Documents of people who do not exist, for identity checks: zones with right check digits, photographs, and what is
handed in with them."""

from __future__ import annotations

import base64
import functools
import io
from typing import Any

import msgspec
from PIL import Image

from sparekey.access.documents import check_digit
from sparekey.console.verification import Application
from tests.page_reader import PageReader, Seen


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


ANNA = Application(
    surname="Eriksson",
    given_names="Anna Maria",
    birth_date="1990-08-12",
    country="UTO",
    document_type="passport",
    number="L898902C3",
    mrz=passport(),
)


def over_the_api(application: Application = ANNA) -> dict[str, Any]:
    """What a client of the management API sends."""
    fields = msgspec.structs.asdict(application)
    camels = {"given_names": "givenNames", "birth_date": "birthDate", "document_type": "documentType"}
    document = {camels.get(name, name): value for name, value in fields.items()}
    return {**document, "image": base64.b64encode(photograph()).decode()}


async def hand_in(reader: PageReader, image: bytes | None = None, **changed: str) -> Seen:
    """Anna's application, on the page for it; where that leads."""
    path = "/my/settings/verification"
    page = await reader.open(path)
    fields = {**msgspec.structs.asdict(ANNA), "csrf": page.form(path)["csrf"][0], **changed}
    return await reader.follow(await reader.upload(path, fields, photograph() if image is None else image))
