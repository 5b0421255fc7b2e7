"""Every page of the console, found by its links: light, steady, readable by everyone, on any screen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.console.inspection import Findings, walk
from tests.e2e.console.visitors import Visitor, manners
from tests.venue import Venue

MOST_BYTES = 100_000
MOST_SHIFT = 0.02


@pytest.fixture(scope="module")
def pages(browser: Browser, shared_venue: Venue) -> Iterator[dict[str, Findings]]:
    """What was found on each kind of page, for who is signed out, a holder with keys, and the operator."""
    origin = shared_venue.settings.public_url
    visitor = Visitor(browser.new_context(**manners(origin, "203.0.113.250")), origin, "203.0.113.250")
    found = walk(visitor, "/")
    assert visitor.complaints() == []
    yield found
    visitor.close()


def test_every_page_weighs_little(pages: dict[str, Findings]) -> None:
    assert {page: found.bytes for page, found in pages.items() if found.bytes > MOST_BYTES} == {}


def test_no_page_moves_while_it_loads(pages: dict[str, Findings]) -> None:
    assert {page: found.shift for page, found in pages.items() if found.shift >= MOST_SHIFT} == {}


def test_no_page_has_a_grave_fault_of_accessibility_light_or_dark(pages: dict[str, Findings]) -> None:
    assert {page: found.violations for page, found in pages.items() if found.violations} == {}


def test_every_page_fits_a_screen_of_320_pixels(pages: dict[str, Findings]) -> None:
    assert {page: found.too_wide for page, found in pages.items() if found.too_wide > 0} == {}
