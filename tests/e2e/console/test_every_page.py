"""Every page of the console, found by its links: light, steady, readable by everyone, on any screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.console.inspection import Findings, walk
from tests.e2e.console.letterbox import Letterbox
from tests.e2e.console.people import somebody
from tests.e2e.console.steps import Operator, Reader
from tests.e2e.console.visitors import Visitor, manners
from tests.signing import Caller
from tests.venue import Venue

pytestmark = pytest.mark.long

MOST_BYTES = 100_000
MOST_SHIFT = 0.02


@pytest.fixture(scope="module")
def pages(
    browser: Browser, shared_venue: Venue, letterbox: Letterbox, enrolled: Callable[[Reader, int], Reader]
) -> Iterator[dict[str, Findings]]:
    """What was found on each kind of page, for who is signed out, a holder with two keys, and the operator."""
    origin, address = shared_venue.settings.public_url, "203.0.112.2"
    visitors = [Visitor(browser.new_context(**manners(origin, address)), origin, address) for _ in range(3)]
    nobody, somebodys, operators = visitors
    holder = enrolled(Reader(somebody(), somebodys, letterbox, shared_venue), 2)
    calling = Caller(shared_venue.url, shared_venue.key(email=holder.person.email))
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    assert calling("POST", "/api/v3/order", order).status == 200
    assert calling("POST", "/api/v3/order", order | {"symbol": "NONSENSE"}).status == 400
    holder.sign_in()
    operator = Operator(operators, shared_venue.operator_token)
    operator.sign_in()
    found: dict[str, Findings] = {}
    for visitor, start in ((nobody, "/"), (somebodys, "/my"), (operators, "/operator")):
        walk(visitor, start, found)
    assert [complaint for visitor in visitors for complaint in visitor.complaints()] == []
    yield found
    for visitor in visitors:
        visitor.close()


def test_the_pages_of_all_readers_are_looked_at(pages: dict[str, Findings]) -> None:
    assert set(pages) >= {
        *("/", "/sign-up", "/sign-in", "/forgotten", "/reasons", "/reasons/<slug>", "/my", "/my/wallet", "/my/orders"),
        *("/my/fills", "/markets/<symbol>", "/my/settings/security", "/my/settings/verification"),
        *(f"/my/settings/api-management{page}" for page in ("", "/create", "/panic", "/<id>")),
        *(f"/my/settings/api-management/<id>/{page}" for page in ("edit", "rotate", "delete", "usage")),
        *(f"/operator{page}" for page in ("", "/sign-in", "/accounts", "/accounts/<id>", "/verification", "/keys")),
        *(f"/operator/{page}" for page in ("bans", "suspensions", "limits", "outbox", "outbox/<id>")),
    }


def test_every_page_weighs_little(pages: dict[str, Findings]) -> None:
    assert {page: found.bytes for page, found in pages.items() if found.bytes > MOST_BYTES} == {}


def test_no_page_moves_while_it_loads(pages: dict[str, Findings]) -> None:
    assert {page: found.shift for page, found in pages.items() if found.shift >= MOST_SHIFT} == {}


def test_no_page_has_a_grave_fault_of_accessibility_light_or_dark(pages: dict[str, Findings]) -> None:
    assert {page: found.violations for page, found in pages.items() if found.violations} == {}


def test_every_page_fits_a_screen_of_320_pixels(pages: dict[str, Findings]) -> None:
    assert {page: found.too_wide for page, found in pages.items() if found.too_wide > 0} == {}
