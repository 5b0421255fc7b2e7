"""The comparison of pictures sees what a reader would see, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.e2e.console import pictures
from tests.e2e.console.pictures import hold_against_baseline, unlikeness


def page(*words: str, shade: int = 0, width: int = 600, height: int = 400) -> Image.Image:
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    for number, word in enumerate(words):
        pen.text((20, 20 + 30 * number), word, fill=(shade, shade, shade), font_size=16)
    return picture


def test_the_same_page_looks_the_same() -> None:
    assert unlikeness(page("Create API key"), page("Create API key")) is None


def test_edges_of_letters_drawn_a_little_otherwise_are_forgiven() -> None:
    assert unlikeness(page("Create API key"), page("Create API key", shade=24)) is None


@pytest.mark.parametrize(
    "other",
    [
        page("Create API kez and more"),
        page("Create API key", "It expires"),
        page("", "Create API key"),
        page("Create API key", height=401),
    ],
    ids=["a word", "a line", "a place", "a size"],
)
def test_what_a_reader_would_see_is_a_difference(other: Image.Image) -> None:
    assert unlikeness(page("Create API key"), other) is not None


def test_a_baseline_is_kept_small_and_a_difference_leaves_three_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "BASELINE", tmp_path / "baseline")
    monkeypatch.setenv("SPAREKEY_PICTURES", "renew")
    hold_against_baseline("keys", page("Create API key"), tmp_path)
    monkeypatch.delenv("SPAREKEY_PICTURES")
    hold_against_baseline("keys", page("Create API key"), tmp_path)
    with pytest.raises(AssertionError, match="looks otherwise"):
        hold_against_baseline("keys", page("Delete API key"), tmp_path / "seen")
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {
        f"keys-{what}.png" for what in ("expected", "taken", "difference")
    }
    with pytest.raises(AssertionError, match="no baseline"):
        hold_against_baseline("unknown", page(), tmp_path)
