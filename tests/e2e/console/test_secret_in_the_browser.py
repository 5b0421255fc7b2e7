"""The secret of a key that was just created is kept nowhere by the browser, once its page is left."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.console import chromium
from tests.e2e.console.letterbox import Letterbox
from tests.e2e.console.people import somebody
from tests.e2e.console.steps import Reader
from tests.e2e.console.visitors import Visitor, manners
from tests.venue import Venue

_KEPT = """async () => {
    const kept = [document.cookie, JSON.stringify(history.state)];
    for (const storage of [localStorage, sessionStorage]) kept.push(JSON.stringify(storage));
    for (const name of await caches.keys())
        for (const request of await (await caches.open(name)).keys()) kept.push(request.url);
    for (const database of await indexedDB.databases()) kept.push(database.name);
    return kept.join("\\n") + document.documentElement.outerHTML;
}"""


def test_leaving_the_page_of_a_secret_leaves_nothing_in_the_tab(trader_new: Callable[..., Reader]) -> None:
    ann = trader_new()
    ann.create_key("Quant Strategy A")
    ann.verify()
    key = ann.save_key()
    assert key.secret and key.secret not in ann.at.page.evaluate(_KEPT)
    ann.at.page.go_back()
    assert key.secret not in ann.at.page.evaluate(_KEPT)
    ann.at.page.go_forward()
    assert key.secret not in ann.at.page.evaluate(_KEPT)
    ann.at.forget_refusals()


@pytest.fixture
def lasting_profile(
    browser: Browser, shared_venue: Venue, tmp_path: Path
) -> Iterator[Callable[[], tuple[Visitor, Path]]]:
    """A browser whose profile stays on the disk when it ends, as a person's does."""
    origin, address, folder = shared_venue.settings.public_url, "203.0.112.1", tmp_path / "profile"
    visitors: list[Visitor] = []

    def start() -> tuple[Visitor, Path]:
        context = browser.browser_type.launch_persistent_context(
            folder, executable_path=chromium.program(), args=list(chromium.ARGUMENTS), **manners(origin, address)
        )
        visitors.append(Visitor(context, origin, address))
        return visitors[-1], folder

    yield start
    for visitor in visitors:
        visitor.close()
    shutil.rmtree(folder, ignore_errors=True)


def files_with(text: str, folder: Path) -> list[str]:
    spellings = [text.encode(coding) for coding in ("utf-8", "utf-16-le", "utf-16-be")]
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and any(one in path.read_bytes() for one in spellings)
    ]


@pytest.mark.long
def test_the_profile_of_the_browser_on_disk_holds_no_secret_that_it_showed(
    lasting_profile: Callable[[], tuple[Visitor, Path]],
    enrolled: Callable[[Reader], Reader],
    letterbox: Letterbox,
    shared_venue: Venue,
) -> None:
    visitor, folder = lasting_profile()
    ann = enrolled(Reader(somebody(), visitor, letterbox, shared_venue))
    ann.sign_in()
    ann.create_key("Quant Strategy A")
    ann.verify()
    key = ann.save_key()
    ann.go_to_api_management()
    assert visitor.complaints() == []
    visitor.close()
    assert len(list(folder.rglob("*"))) > 20
    assert files_with("sparekey.css", folder), "the cache was not looked into"
    assert files_with(key.secret, folder) == []
