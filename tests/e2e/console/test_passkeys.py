"""Passkeys, with the browser's virtual authenticator: added, signed in with, proving a step-up; never unverified."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.console.passkeys import VirtualAuthenticator
from tests.e2e.console.steps import Reader


def add_passkey(reader: Reader) -> VirtualAuthenticator:
    device = VirtualAuthenticator(reader.at)
    reader.at.open("/my/settings/security/passkeys")
    reader.at.submit("Add a passkey")
    if reader.at.heading == "Security verification":
        reader.verify()
    reader.at.fill("Name", "My laptop")
    with reader.at.page.expect_navigation():
        reader.at.button("Ask my device").click()
    reader.at.reads("The passkey is a second factor of your account now")
    reader.at.open("/my/settings/security/passkeys")
    reader.at.reads("My laptop")
    return device


def go_to_the_factor(reader: Reader) -> None:
    reader.at.open("/sign-in")
    reader.at.fill("E-mail address", reader.person.email)
    reader.at.fill("Password", reader.person.password)
    reader.at.submit("Sign in")
    if not reader.at.button("Use a passkey").is_visible():
        reader.at.page.locator("#use-passkey > summary").click()


def test_a_passkey_is_added_signs_in_and_proves_a_sensitive_act(trader_new: Callable[..., Reader]) -> None:
    ann = trader_new()
    device = add_passkey(ann)
    [credential] = device.credentials()
    assert credential["rpId"] == "localhost" and credential["isResidentCredential"] in (True, False)

    ann.sign_out()
    go_to_the_factor(ann)
    with ann.at.page.expect_navigation():
        ann.at.button("Use a passkey").click()
    assert ann.at.path == "/my"

    ann.create_key("By passkey")
    ann.at.fill("Code from the e-mail", ann.mailed_code())
    ann.at.page.locator("#use-passkey > summary").click()
    with ann.at.page.expect_navigation():
        ann.at.button("Use a passkey").click()
    assert ann.save_key().secret
    assert device.credentials()[0]["signCount"] > credential["signCount"]


@pytest.mark.long
def test_a_passkey_that_did_not_verify_its_user_signs_nobody_in(trader_new: Callable[..., Reader]) -> None:
    ann = trader_new()
    device = add_passkey(ann)
    device.verify_user(False)
    ann.sign_out()
    go_to_the_factor(ann)
    ann.at.button("Use a passkey").click()
    expect(ann.at.page.locator("#passkey-status")).not_to_have_text("")
    assert ann.at.path.startswith("/sign-in/factor")
    ann.at.open("/my")
    assert ann.at.path.startswith("/sign-in")


def test_a_passkey_is_not_added_by_a_device_that_does_not_verify_its_user(trader_new: Callable[..., Reader]) -> None:
    ann = trader_new()
    device = VirtualAuthenticator(ann.at, verified=False)
    ann.at.open("/my/settings/security/passkeys")
    ann.at.submit("Add a passkey")
    ann.verify()
    ann.at.fill("Name", "My laptop")
    ann.at.button("Ask my device").click()
    expect(ann.at.page.locator("#passkey-status")).not_to_have_text("Passkeys need JavaScript.")
    assert device.credentials() == []
    ann.at.open("/my/settings/security")
    ann.at.reads_not("1 passkey")
