"""The candle chart in a real browser: drawn from this server's klines, live by its stream, under the strict policy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Route, expect

from tests.e2e.console.visitors import Visitor

ERROR = {"code": -1003, "msg": "Way too much request weight used; IP banned until 1."}


def test_candles_are_drawn_and_go_on_live_and_nothing_breaks_the_content_policy(visitor: Visitor) -> None:
    """The visitor counts every error of the console as a fault: a refused style, script or socket is one."""
    visitor.open("/markets/BTCUSDT?interval=1s")
    expect(visitor.page.locator("#chart-status")).to_have_text("Live")
    expect(visitor.page.locator("#candles canvas").first).to_be_visible()
    expect(visitor.page.locator("#chart-line")).to_have_count(0)
    assert visitor.page.locator("style").count() == 0
    last = visitor.page.locator("#last")
    expect(last).not_to_have_text(last.inner_text())  # a print came by the stream
    visitor.page.emulate_media(color_scheme="dark")
    visitor.reads("TradingView Lightweight Charts™, © 2026 TradingView, Inc.")


def test_a_symbol_and_an_interval_are_chosen_from_the_page(visitor: Visitor) -> None:
    visitor.open("/markets/BTCUSDT")
    with visitor.page.expect_navigation(url=re.compile("/markets/ETHUSDT$")):
        visitor.choose("Symbol", "ETHUSDT")
    visitor.follow("1h")
    assert visitor.path == "/markets/ETHUSDT?interval=1h"
    expect(visitor.page.locator("#chart-status")).to_have_text("Live")


def test_candles_that_cannot_be_had_are_said_and_line_and_table_stay(visitor: Visitor) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=418, content_type="application/json", body=json.dumps(ERROR))

    visitor.page.route("**/api/v3/klines*", refuse)
    visitor.open("/markets/BTCUSDT")
    expect(visitor.page.locator("#chart-status")).to_have_text("No chart")
    assert "418: Way too much request weight used" in visitor.refusal()
    expect(visitor.page.locator("#chart-line svg")).to_be_visible()
    visitor.page.get_by_text("The newest candles as a table").click()
    expect(visitor.page.locator("#candle-table tbody tr").first).to_be_visible()
    assert [fault for fault in visitor.faults if "/api/v3/klines" not in fault] == []
    visitor.faults.clear()


def test_without_scripts_the_page_shows_a_line_and_a_table(arrive: Callable[..., Visitor]) -> None:
    visitor = arrive(java_script_enabled=False)
    visitor.open("/markets/BTCUSDT")
    expect(visitor.page.get_by_role("img", name="BTCUSDT, 24 hours")).to_be_visible()
    visitor.reads("Candles come with JavaScript")
    visitor.choose("Symbol", "ETHUSDT")
    visitor.submit("Show")
    assert visitor.heading == "ETHUSDT"
