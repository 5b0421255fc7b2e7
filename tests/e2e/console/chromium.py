"""The system's Chromium, driven by Playwright: found through the environment, started with a fresh profile.

Playwright's synchronous interface keeps an event loop running in the thread that uses it, so nothing in this folder
calls `asyncio.run`, and the browser ends before a test of another folder begins (fixtures of the package).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

from tests.conftest import demand

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # The same picture on every machine.
    "--font-render-hinting=none",
    "--disable-lcd-text",
    "--force-color-profile=srgb",
)
#: For a machine that is busy with everything else; nothing waits longer than it has to.
PATIENCE_MS = 10_000


def program() -> str:
    """The browser's path; skips (or fails, where CI demands everything) without one."""
    named = os.environ.get("SPAREKEY_CHROMIUM", "")
    found = next(filter(None, map(shutil.which, (named,) if named else _PROGRAMS)), None)
    demand(found is not None, f"Chromium ({named or ', '.join(_PROGRAMS)}; SPAREKEY_CHROMIUM names another)")
    assert found is not None
    return found


@contextmanager
def started() -> Iterator[Browser]:
    path = program()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
