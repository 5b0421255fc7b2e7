"""Pictures of pages, held against a baseline that people have looked at (docs/screenshots, part of the README's tour).

`SPAREKEY_PICTURES=renew` writes the baseline anew; look at each picture before it is committed. A comparison forgives
what another version of the browser draws a little differently (edges of letters), and nothing that a reader would see.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image, ImageChops, ImageFilter
from playwright.sync_api import Page

BASELINE = Path(__file__).parents[3] / "docs" / "screenshots"
#: Of a picture's palette: the most frequent colours as they are, so that surfaces keep their shade, and further ones.
_EXACT, _FURTHER = 32, 64
#: How far a channel of a pixel may be off, of 255, once edges are blurred; and how many pixels may be further off.
_OFF = 32
_FURTHER_OFF = 20

#: What differs from run to run gets one look: times, ages, numbers of keys, keys, secrets, a tab's own noise.
_SETTLE = r"""() => {
    const settled = [
        [/\bsparesec[A-Za-z0-9]{56}\b/g, "sparesecThisIsHowASecretLooksAndNobodyShowsItASecondTime00000000"],
        [/\bsparekey[A-Za-z0-9]{56}\b/g, "sparekeyThisIsHowAnApiKeyLooksItSaysWhoCallsAndIsNoSecret0000000"],
        [/sparekey…[A-Za-z0-9]{6}/g, "sparekey…1a2B3c"],
        [/\b\d+ (second|minute)s?\b/g, "5 $1s"],
        [/localhost:\d+/g, "localhost:8080"],
        [/203\.0\.\d+\.\d+/g, "203.0.113.7"],
        [/reader-\d+@/g, "ann@"],
    ];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const node = walk.currentNode;
        if (node.parentElement.closest("time")) node.nodeValue = "2026-11-25 12:00";
        else for (const [found, shown] of settled) node.nodeValue = node.nodeValue.replace(found, shown);
    }
    document.activeElement?.blur();
    document.documentElement.style.scrollbarGutter = "auto";
}"""


def take(page: Page, *, full: bool = True) -> Image.Image:
    page.wait_for_load_state()
    page.evaluate(_SETTLE)
    shot = page.screenshot(full_page=full, animations="disabled", caret="hide", scale="css")
    return Image.open(io.BytesIO(shot)).convert("RGB")


def renewing() -> bool:
    return os.environ.get("SPAREKEY_PICTURES") == "renew"


def hold_against_baseline(name: str, taken: Image.Image, folder: Path) -> None:
    """Fails where `taken` does not look like the baseline's picture; leaves both and their difference in `folder`."""
    path = BASELINE / f"{name}.png"
    if renewing():
        BASELINE.mkdir(exist_ok=True)
        with_palette(taken).save(path, optimize=True)
        return
    assert path.is_file(), f"{path.name} has no baseline; SPAREKEY_PICTURES=renew makes one, to be looked at"
    expected = Image.open(path).convert("RGB")
    difference = unlikeness(expected, taken)
    if difference is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for what, picture in (("expected", expected), ("taken", taken), ("difference", difference)):
        picture.save(folder / f"{name}-{what}.png")
    raise AssertionError(f"{name} looks otherwise than its baseline: see {folder}/{name}-*.png")


def with_palette(picture: Image.Image) -> Image.Image:
    """The picture in few colours, for a small file."""
    counted = picture.getcolors(picture.width * picture.height) or []
    exact = [colour for _, colour in sorted(counted, reverse=True)[:_EXACT]]
    further = picture.quantize(_FURTHER, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in exact for part in colour] + (further or []))  # type: ignore[misc, union-attr]
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def unlikeness(expected: Image.Image, taken: Image.Image) -> Image.Image | None:
    """None if a reader sees no difference; else a picture of it."""
    if expected.size != taken.size:
        size = max(expected.width, taken.width), max(expected.height, taken.height)
        canvas = [Image.new("RGB", size, "magenta") for _ in range(2)]
        for sheet, picture in zip(canvas, (expected, taken), strict=True):
            sheet.paste(picture)
        return ImageChops.difference(*canvas)
    blurred = [picture.filter(ImageFilter.GaussianBlur(1)) for picture in (expected, taken)]
    difference = ImageChops.difference(*blurred)
    channels = difference.split()
    worst = ImageChops.lighter(ImageChops.lighter(channels[0], channels[1]), channels[2])
    further_off = sum(worst.histogram()[_OFF:])
    return difference if further_off > _FURTHER_OFF else None
