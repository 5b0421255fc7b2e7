"""A person at a browser of their own. Says what they do in the words on the page, and misses no error of it.

Fields, buttons and links are found by their accessible names, as a screen reader reads them.
"""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Response, expect

from tests.e2e.console.chromium import PATIENCE_MS

#: Chromium's line about an answer from 400 up, which `_on_response` judges itself.
_ANSWER_LINE = "Failed to load resource: the server responded with a status of"


def manners(origin: str, address: str) -> dict[str, Any]:
    """Options of a browser context whose owner the server sees come from `address`."""
    return {
        "base_url": origin,
        "extra_http_headers": {"X-Forwarded-For": address},
        "locale": "en-GB",
        "timezone_id": "Europe/Paris",
        "reduced_motion": "reduce",
    }


class Visitor:
    """`context` is a browser's, made with `manners` of the same origin and address."""

    def __init__(self, context: BrowserContext, origin: str, address: str) -> None:
        self.origin = origin
        self.address = address
        self.context = context
        self.context.set_default_timeout(PATIENCE_MS)
        self.faults: list[str] = []
        self._refused: list[str] = []
        self.context.on("console", self._on_console)
        self.context.on("weberror", lambda error: self.faults.append(f"uncaught: {error.error}"))
        self.context.on("requestfailed", self._on_failed)
        self.context.on("response", self._on_response)
        self.page: Page = self.context.pages[0] if self.context.pages else self.context.new_page()

    # --- what they do -----------------------------------------------------------------------------------------------

    def open(self, path: str) -> None:
        self.page.goto(path)

    def fill(self, label: str, text: str) -> None:
        self.field(label).fill(text)

    def tick(self, label: str, on: bool = True) -> None:
        self.field(label).set_checked(on)

    def choose(self, label: str, option: str) -> None:
        self.field(label).select_option(label=option)

    def follow(self, name: str) -> None:
        """Take a link to another page."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=name).first.click()

    def submit(self, name: str) -> None:
        """Press a button that sends a form."""
        with self.page.expect_navigation():
            self.button(name).click()

    # --- what they see ----------------------------------------------------------------------------------------------

    def field(self, label: str) -> Locator:
        """Of that name; its label may say more ("optional", a time)."""
        named = self.page.get_by_label(re.compile(f"^\\s*{re.escape(label)}"))
        return self.page.locator("input:not([type=hidden]), textarea, select").and_(named)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    @property
    def path(self) -> str:
        return self.page.url.removeprefix(self.origin)

    @property
    def heading(self) -> str:
        return self.page.get_by_role("heading", level=1).inner_text()

    @property
    def text(self) -> str:
        """Everything that can be read in the page's main part."""
        return self.page.get_by_role("main").inner_text()

    def reads(self, *words: str | re.Pattern[str]) -> None:
        """Each of `words` is on the page (white space is taken as the browser shows it)."""
        for each in words:
            expect(self.page.get_by_role("main")).to_contain_text(each)

    def reads_not(self, *words: str) -> None:
        for each in words:
            expect(self.page.get_by_role("main")).not_to_contain_text(each)

    def refusal(self) -> str:
        """What a page says that refused something. A refusal that nobody asks for is a fault."""
        told = self.page.locator("[role=alert], p.error").first
        expect(told).to_be_visible()
        self._refused.clear()
        return told.inner_text()

    def forget_refusals(self) -> None:
        """What was answered so far with a refusal was meant to be."""
        self._refused.clear()

    def acknowledge(self, status: int) -> None:
        """The last answer was `status`, as it should be."""
        assert [line.rpartition(" ")[2] for line in self._refused] == [str(status)], self._refused
        self._refused.clear()

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def close(self) -> None:
        self.context.close()

    def complaints(self) -> list[str]:
        """What went wrong in this browser, and which refusals nobody looked at."""
        return self.faults + self._refused

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_ANSWER_LINE):
            self.faults.append(f"{message.type} in the console: {message.text}")

    def _on_failed(self, request: Request) -> None:
        if request.failure == "net::ERR_ABORTED" and request.resource_type in ("image", "other"):
            return  # they went on before the page's icon had come
        self.faults.append(f"{request.method} {request.url} failed: {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status < 400:
            return
        line = f"{response.request.method} {response.url} was answered {response.status}"
        if response.request.is_navigation_request() and response.status < 500:
            self._refused.append(line)
        else:
            self.faults.append(line)
