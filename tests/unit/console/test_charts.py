"""Drawings are the same for the same numbers, obey the pages' content policy, and say in words what they show."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from sparekey.console.activity import HEAT_DAYS, draw_heat
from sparekey.console.charts import HeatCell, heat_map, price_line, shade_of
from sparekey.storage.calls import HourOfKey
from sparekey.terms.clocktime import DAY_US, HOUR_US

TODAY = 20_782  # 2026-11-25


def test_a_busy_month_is_drawn_in_few_elements_and_no_style_of_its_own() -> None:
    hours = [
        HourOfKey((TODAY - day) * DAY_US + hour * HOUR_US, day * hour + 1, hour % 2)
        for day in range(30)
        for hour in range(24)
    ]
    heat = draw_heat(hours, TODAY, "heat")
    assert len(heat.drawing) < 12_000
    assert not re.search(r"style=|<style|<script|\son\w+=|fill=|href", heat.drawing)
    root = ElementTree.fromstring(heat.drawing)  # well formed
    cells = "".join(path.get("d") or "" for path in root.iter("path") if "refused" not in (path.get("class") or ""))
    assert cells.count("M") == 30 * 24
    refused = next(path for path in root.iter("path") if path.get("class") == "heat-refused")
    assert (refused.get("d") or "").count("M") == 30 * 12


def test_a_heat_map_says_in_words_what_it_shows() -> None:
    at = (TODAY - 1) * DAY_US
    heat = draw_heat([HourOfKey(at, 1_200, 7), HourOfKey(at + HOUR_US, 3, 0)], TODAY, "heat")
    root = ElementTree.fromstring(heat.drawing)
    labels = {element.get("id"): element.text for element in root.iter() if element.get("id")}
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "heat-title heat-text"
    assert labels["heat-title"] == f"Calls per hour of the last {HEAT_DAYS} days"
    assert labels["heat-text"] == "1,203 calls, 7 of them refused. The busiest day was 2026-11-24 with 1,203."
    assert [tuple(day) for day in heat.days] == [("2026-11-24", 1_203, 7)]


def test_hours_before_the_month_are_left_out_and_an_unused_key_has_an_empty_month() -> None:
    assert draw_heat([HourOfKey((TODAY - 30) * DAY_US, 5, 0)], TODAY, "heat").calls == 0
    empty = draw_heat([], TODAY, "heat")
    assert (empty.calls, list(empty.days)) == (0, [])
    assert "heat-4" not in empty.drawing and "0 calls, 0 of them refused." in empty.drawing


def test_shades_tell_magnitudes_apart() -> None:
    assert [shade_of(calls, 1_000) for calls in (0, 1, 10, 100, 1_000)] == [0, 1, 2, 3, 4]
    assert shade_of(1, 1) == 4


def test_names_in_a_drawing_are_text() -> None:
    drawing = heat_map("id", "<b>", "<script>", [("<i>", [HeatCell(1, 1)])])
    assert "<b>" not in drawing and "<script>" not in drawing
    ElementTree.fromstring(drawing)


def test_a_line_runs_from_the_lowest_price_to_the_highest() -> None:
    root = ElementTree.fromstring(price_line("line", "BTCUSDT", "up", [10, 30, 20], width=100, height=52))
    line = next(path for path in root.iter("path") if path.get("class") == "line-price")
    assert line.get("d") == "M0.0 46.0L50.0 6.0L100.0 26.0"
    assert "line-up" in (root.get("class") or "")


def test_a_flat_line_and_no_line_are_drawn_without_a_division_by_nothing() -> None:
    flat = price_line("line", "BTCUSDT", "flat", [7, 7], width=100, height=52)
    assert 'd="M0.0 26.0L100.0 26.0"' in flat
    for prices in ([], [7]):
        assert "<path" not in price_line("line", "BTCUSDT", "nothing", prices)
