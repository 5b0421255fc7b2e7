"""The way to a key for who has no mouse, and for who has no JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.e2e.console.steps import API_MANAGEMENT, Reader

_MOST_STEPS = 80
_FOCUSED = """() => {
    const element = document.activeElement;
    const label = element.labels?.[0]?.innerText ?? "";
    return [element.tagName, (element.getAttribute("aria-label") ?? "") + " " + (label || element.innerText || "")];
}"""
_OUTLINED = "() => getComputedStyle(document.activeElement).outlineStyle !== 'none'"


def tab_to(page: Page, name: str) -> None:
    """By the Tab key alone, as far as it takes; what is reached shows that it is."""
    for _ in range(_MOST_STEPS):
        page.keyboard.press("Tab")
        _, text = page.evaluate(_FOCUSED)
        if re.match(rf"\s*{re.escape(name)}", text):
            assert page.evaluate(_OUTLINED), f"{name} does not show that it has the focus"
            return
    raise AssertionError(f"{name} is not reached by the keyboard on {page.url}")


def press_enter(page: Page) -> None:
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_a_key_is_created_by_the_keyboard_alone(trader_new: Callable[..., Reader]) -> None:
    ann = trader_new()
    page = ann.at.page
    tab_to(page, "Account menu")
    page.keyboard.press("Enter")
    tab_to(page, "API Management")
    press_enter(page)
    tab_to(page, "Create")
    press_enter(page)
    tab_to(page, "System generated")
    tab_to(page, "Label")
    page.keyboard.type("Quant Strategy A")
    tab_to(page, "Spot and margin trading")
    page.keyboard.press("Space")
    tab_to(page, "IP whitelist")
    page.keyboard.type("127.0.0.1")
    tab_to(page, "Go on to verification")
    press_enter(page)
    assert ann.authenticator is not None
    tab_to(page, "Code from the authenticator")
    page.keyboard.type(ann.authenticator.code())
    tab_to(page, "Code from the e-mail")
    page.keyboard.type(ann.mailed_code())
    press_enter(page)
    tab_to(page, "I have saved it")
    press_enter(page)
    ann.at.reads("Spot and margin trading", "127.0.0.1")


def test_the_first_tab_leads_past_the_navigation(trader_new: Callable[..., Reader]) -> None:
    ann = trader_new()
    ann.at.page.keyboard.press("Tab")
    assert ann.at.page.evaluate(_FOCUSED) == ["A", " Skip to the content"]
    ann.at.page.keyboard.press("Enter")
    assert ann.at.page.evaluate("document.activeElement.id") == "content"


@pytest.mark.long
def test_without_javascript_everything_up_to_a_rotated_and_deleted_key_works(
    somebody_new: Callable[..., Reader], enrolled: Callable[[Reader], Reader]
) -> None:
    newcomer = somebody_new(java_script_enabled=False)
    newcomer.sign_up()
    newcomer.sign_in()
    newcomer.turn_on_authenticator()
    ann = enrolled(somebody_new(java_script_enabled=False))
    ann.sign_in()
    ann.create_key("Quant Strategy A", permissions=("Spot and margin trading",), ips=("127.0.0.1",))
    ann.verify()
    key = ann.save_key()
    ann.open_key(key)
    ann.at.follow("Edit restrictions")
    ann.at.submit("Add my address")
    assert ann.at.address in ann.at.field("IP whitelist").input_value()
    ann.at.submit("Review the changes")
    ann.at.submit("Go on to verification")
    ann.verify()
    ann.open_key(key)
    ann.at.reads(ann.at.address)
    ann.at.follow("Rotate")
    ann.at.submit("Go on to verification")
    ann.verify()
    successor = ann.save_key()
    ann.open_key(successor)
    ann.at.follow("Delete")
    ann.at.fill("Type the label to confirm", "Quant Strategy A")
    ann.at.submit("Go on to verification")
    ann.verify()
    assert ann.at.path.startswith(API_MANAGEMENT)
    ann.sign_out()
