"""How a browser's name for itself is told to people."""

from __future__ import annotations

import pytest

from sparekey.console.pages.spelling import browser, told

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        (CHROME, "Chrome 126 on Linux"),
        (CHROME + " Edg/126.0.2592.87", "Edge 126 on Linux"),
        (CHROME + " OPR/111.0.0.0", "Opera 111 on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox 128 on Windows"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0", "Firefox 127 on Android"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
            "Safari/605.1.15",
            "Safari 17 on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.5 Mobile/15E148 Safari/604.1",
            "Safari 17 on iPhone",
        ),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "Unknown"),
        ("x" * 500, "x" * 40),
        ("Chrome/", "Chrome/"),
    ],
)
def test_a_browser_is_told_by_name_version_and_system(agent: str, told: str) -> None:
    assert browser(agent) == told


def test_a_refusals_times_are_told_as_people_read_them_and_the_rest_as_text() -> None:
    assert told("Wrong <b>; until 1700000000000 (ms) nothing & more.") == (
        'Wrong &lt;b&gt;; until <time datetime="2023-11-14T22:13:20Z" data-precision="second" '
        'title="2023-11-14 22:13:20 UTC">2023-11-14 22:13:20</time> nothing &amp; more.'
    )
    assert told("17000 (ms) and 1700000000000 are no times.") == "17000 (ms) and 1700000000000 are no times."
