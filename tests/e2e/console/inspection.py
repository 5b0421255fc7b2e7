"""Walks every page that links lead to, and measures each: size, layout shift, accessibility, narrow screens."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin

from axe_playwright_python.sync_playwright import Axe

from tests.e2e.console.visitors import Visitor

#: The one library that is not ours; only pages with candles load it, and it does not count.
_CHART = re.compile(r"/static/[^/]+/vendor/")
_SHIFT = """
    window.layoutShift = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.layoutShift += entry.value;
    }).observe({type: "layout-shift", buffered: true});
"""
_WEIGHT = """() => performance.getEntriesByType("navigation")
    .concat(performance.getEntriesByType("resource").filter(entry => /\\.(css|js)$/.test(entry.name)))
    .map(entry => [entry.name, entry.encodedBodySize])"""
_TOO_WIDE = """() => document.documentElement.scrollWidth
    - Math.round(document.documentElement.getBoundingClientRect().width)"""
_LINKS = "() => Array.from(document.links, link => link.href)"

#: Of the API, files, and what others made: letters as HTML, photographs.
_NOT_PAGES = ("/api/", "/sparekey/", "/static/", "/metrics", "/readyz", "/html", "/image")
_PHONE, _DESK = {"width": 320, "height": 640}, {"width": 1280, "height": 900}
_GRAVE = ("critical", "serious")


class Findings(NamedTuple):
    """What was measured of one page."""

    bytes: int
    shift: float
    violations: list[str]
    too_wide: int


def pattern_of(path: str) -> str:
    """The page's kind: keys, numbers and the like replaced, questions cut off."""
    path = path.partition("?")[0]
    path = re.sub(r"/[A-Za-z0-9_-]{16,}(?=/|$)", "/<id>", path)
    path = re.sub(r"/\d+(?=/|$)", "/<id>", path)
    path = re.sub(r"^/reasons/.+", "/reasons/<slug>", path)
    return re.sub(r"^/markets/.+", "/markets/<symbol>", path)


def watch_shifts(visitor: Visitor) -> None:
    visitor.context.add_init_script(_SHIFT)


def walk(visitor: Visitor, start: str, found: dict[str, Findings]) -> None:
    """Add to `found`, by kind of page, everything that links lead to from `start`; GET changes nothing."""
    watch_shifts(visitor)
    waiting = [start]
    asked_for: set[str] = set()
    while waiting:
        path = waiting.pop(0)
        if pattern_of(path) in asked_for or pattern_of(path) in found:
            continue
        asked_for.add(pattern_of(path))
        visitor.open(path)
        shown = pattern_of(visitor.path)  # may be another page: that to sign in on, say
        if shown not in found:
            found[shown] = inspect(visitor)
            waiting += links(visitor)


def links(visitor: Visitor) -> list[str]:
    """Paths of the console that the page links to."""
    here = [urldefrag(urljoin(visitor.page.url, address)).url for address in visitor.page.evaluate(_LINKS)]
    paths = [address.removeprefix(visitor.origin) for address in here if address.startswith(visitor.origin + "/")]
    return [path for path in paths if not path.startswith(_NOT_PAGES) and not path.endswith(_NOT_PAGES)]


def inspect(visitor: Visitor) -> Findings:
    page = visitor.page
    page.wait_for_load_state()
    page.wait_for_timeout(50)
    weight = sum(size for name, size in page.evaluate(_WEIGHT) if not _CHART.search(name))
    shift = page.evaluate("window.layoutShift")
    violations = grave_violations(visitor)
    page.emulate_media(color_scheme="dark")
    violations += [f"dark: {each}" for each in grave_violations(visitor)]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(_PHONE)
    too_wide = page.evaluate(_TOO_WIDE)
    page.set_viewport_size(_DESK)
    return Findings(weight, shift, violations, too_wide)


def grave_violations(visitor: Visitor) -> list[str]:
    """What axe finds critical or serious, each with the place it is at."""
    response = Axe().run(visitor.page, options={"resultTypes": ["violations"]}).response
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:120]} {node['failureSummary'][:200]}"
        for violation in response["violations"]
        if violation["impact"] in _GRAVE
        for node in violation["nodes"]
    ]
