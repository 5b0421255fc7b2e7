"""Drawings: a heat map of hours and days, and a line of prices. Numbers in, SVG out; a pure function.

Colours come from classes of the style sheet, so that nothing in the drawing needs a style of its own. Each drawing
tells its title and its description to those who do not see it; exact numbers stand in a table beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

#: Shades from one call on; hours without any have none.
_SHADES: Final = 4
#: Of which the style sheet leaves a gap.
_CELL: Final = 12
_LEFT: Final = 38
_TOP: Final = 16


class HeatCell(NamedTuple):
    """What happened in one hour: `refused` of `calls` were refused."""

    calls: int
    refused: int


def heat_map(id: str, title: str, text: str, columns: Sequence[tuple[str, Sequence[HeatCell]]]) -> Markup:
    """A column for each day, named, with a cell for each of its hours, midnight on top. Hours with refusals are dotted.

    Cells of a shade are one path, each a point with a square stroke: seven hundred elements would be most of the page.
    """
    most = max((cell.calls for _, cells in columns for cell in cells), default=0)
    shades: dict[int, list[str]] = {shade: [] for shade in range(_SHADES + 1)}
    dots: list[str] = []
    half = _CELL // 2
    for at, (_, cells) in enumerate(columns):
        for hour, cell in enumerate(cells):
            point = f"M{_LEFT + at * _CELL + half} {_TOP + hour * _CELL + half}h0"
            shades[shade_of(cell.calls, most)].append(point)
            if cell.refused:
                dots.append(point)
    rows = max((len(cells) for _, cells in columns), default=0)
    width, height = _LEFT + len(columns) * _CELL, _TOP + rows * _CELL
    drawn = [_path(f"heat-{shade}", "".join(paths)) for shade, paths in shades.items() if paths]
    if dots:
        drawn.append(_path("heat-refused", "".join(dots)))
    drawn += [_label(_LEFT - 5, _TOP + (hour + 1) * _CELL - 3, f"{hour:02}:00", "end") for hour in range(0, rows, 6)]
    # From the newest day back, so that today is always named.
    drawn += [
        _label(_LEFT + (at + 1) * _CELL, _TOP - 5, columns[at][0], "end") for at in range(len(columns) - 1, 1, -7)
    ]
    return _drawing(id, "heat", title, text, width, height, drawn)


def shade_of(calls: int, most: int) -> int:
    """0 for none, else 1 to 4: by magnitude, so that one busy hour does not turn all others pale."""
    return (_SHADES * calls.bit_length() - 1) // most.bit_length() + 1 if calls else 0


def price_line(id: str, title: str, text: str, prices: Sequence[int], width: int = 640, height: int = 160) -> Markup:
    """Prices at equal distances in time, the oldest first. Fewer than two make no line."""
    drawn: list[Markup] = []
    if len(prices) > 1:
        low, high = min(prices), max(prices)
        room = height - 12
        span = high - low or 1
        last = len(prices) - 1
        points = [
            (at * width / last, 6 + (room * (high - price) / span if high > low else room / 2))
            for at, price in enumerate(prices)
        ]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        drawn = [_path("line-area", f"M{line}V{height}H0z"), _path("line-price", f"M{line}")]
    direction = "line-up" if not prices or prices[-1] >= prices[0] else "line-down"
    return _drawing(id, f"line {direction}", title, text, width, height, drawn, stretched=True)


def _path(kind: str, points: str) -> Markup:
    return Markup('<path class="{}" d="{}"/>').format(kind, points)


def _label(x: int, y: int, text: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _drawing(
    id: str, kind: str, title: str, text: str, width: int, height: int, drawn: Iterable[Markup], stretched: bool = False
) -> Markup:
    """`stretched`: as wide as there is room, at its own height."""
    head = Markup(
        '<svg class="drawing {}" viewBox="0 0 {} {}" {}role="img" aria-labelledby="{}-title {}-text">'
        '<title id="{}-title">{}</title><desc id="{}-text">{}</desc>'
    ).format(
        kind, width, height, Markup('preserveAspectRatio="none" ') if stretched else "", id, id, id, title, id, text
    )
    return head + Markup("").join(drawn) + Markup("</svg>")
