"""How templates spell what they show: times, spans of time, keys, counts. HTML is escaped unless a template says not.

The templates' environment is made here, with everything that a template may call.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sparekey.console.compiled import compiled_templates
from sparekey.console.pages.static_files import StaticFiles
from sparekey.terms.clocktime import MILLISECOND_US, SECOND_US
from sparekey.terms.money import ONE, format_money

_FOLDER = Path(__file__).parent.parent / "templates"

_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_BROWSERS: Final = (
    ("Edge", "Edg/"),
    ("Opera", "OPR/"),
    ("Firefox", "Firefox/"),
    ("Chrome", "Chrome/"),
    ("Safari", "Version/"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
#: A time in a sentence of `terms.reasons`.
_TIME_TOLD: Final = re.compile(r"\b(\d{12,16}) \(ms\)")
_LARGEST_US: Final = 253_402_300_799_000_000  # the end of the year 9999


def make_environment(static: StaticFiles, policy_us: Callable[[], int]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
        bytecode_cache=compiled_templates(),
    )
    environment.filters |= {
        "when": when,
        "second": second,
        "day": day,
        "told": told,
        "span": span,
        "until": lambda us: span(us - policy_us()),
        "ago": lambda us: f"{span(policy_us() - us)} ago",
        "masked": masked,
        "counted": counted,
        "browser": browser,
        "amount": amount,
        "worth": worth,
    }
    environment.globals |= {"static": static.address}
    return environment


def when(time_us: int) -> Markup:
    """To the minute, in UTC; a script puts it into the reader's zone without changing its width."""
    return _time(time_us, "%Y-%m-%d %H:%M", "minute")


def second(time_us: int) -> Markup:
    return _time(time_us, "%Y-%m-%d %H:%M:%S", "second")


def day(time_us: int) -> Markup:
    return _time(time_us, "%Y-%m-%d", "day")


def told(sentence: str) -> Markup:
    """A refusal's sentence, with the times in it as people read them."""
    parts: list[str] = _TIME_TOLD.split(sentence)  # text and time by turns
    return Markup("").join(second(int(part) * MILLISECOND_US) if at % 2 else part for at, part in enumerate(parts))


def _time(time_us: int, form: str, precision: str) -> Markup:
    moment = datetime.fromtimestamp(min(time_us, _LARGEST_US) // SECOND_US, UTC)
    return Markup('<time datetime="{}" data-precision="{}" title="{} UTC">{}</time>').format(
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"), precision, moment.strftime("%Y-%m-%d %H:%M:%S"), moment.strftime(form)
    )


def span(us: int) -> str:
    """In the largest unit that fits, rounded down: "89 days", "1 hour"; what is over is "0 seconds"."""
    seconds = max(us, 0) // SECOND_US
    for unit, size in _UNITS:
        if seconds >= size:
            return counted(seconds // size, unit)
    return "0 seconds"


def counted(count: int, noun: str, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def amount(value: int) -> str:
    """Of money, a price or a quantity: without the zeros that the wire pads with."""
    return format_money(value).rstrip("0").rstrip(".")


def worth(value: int) -> str:
    """Rounded down to cents, for sums that nobody pays: "1,234,567.89"."""
    cents = value // (ONE // 100)
    return f"{cents // 100:,}.{cents % 100:02}"


def browser(agent: str) -> str:
    """ "Firefox 128 on Linux", of what a browser says of itself; as it came, where that is not understood.

    Every browser names the older ones that it wants to be taken for, so the newest name counts, and comes first here.
    """
    for name, mark in _BROWSERS:
        version = re.search(rf"{mark}(\d{{1,4}})", agent)
        if version is not None:
            system = next((f" on {system}" for mark, system in _SYSTEMS if mark in agent), "")
            return f"{name} {version[1]}{system}"
    return agent[:40] or "Unknown"


def masked(api_key: str) -> str:
    """Keys share their beginning, so that their end tells them apart (as in the call log)."""
    return f"{api_key[:8]}…{api_key[-6:]}"
