"""What people do in the console, step by step, as the mission's guide tells them to."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.e2e.console.letterbox import Letterbox, code_in, link_in
from tests.e2e.console.people import Authenticator, Person, passport_lines
from tests.e2e.console.photograph import photograph
from tests.e2e.console.visitors import Visitor
from tests.venue import Venue

API_MANAGEMENT = "/my/settings/api-management"


class SavedKey(NamedTuple):
    """What the page of a new key shows once; `secret` is "" for a self generated one."""

    number: str
    api_key: str
    secret: str


class Reader:
    """Somebody who follows the guide: a person, at their browser, with their mailbox and their authenticator."""

    def __init__(self, person: Person, browser: Visitor, letterbox: Letterbox, venue: Venue) -> None:
        self.person = person
        self.at = browser
        self._letterbox = letterbox
        self._venue = venue
        self.authenticator: Authenticator | None = None

    # --- identity -----------------------------------------------------------------------------------------------------

    def sign_up(self) -> None:
        self.at.open("/sign-up")
        self.at.fill("E-mail address", self.person.email)
        self.at.fill("Password", self.person.password)
        self.at.submit("Open the account")
        self.at.reads("letter is on its way")
        self.at.open(link_in(self._letterbox.take(self.person.email, "Confirm your e-mail address")))
        self.at.submit("Confirm and open the account")
        self.at.reads("your account is open")

    def sign_in(self) -> None:
        self.at.open("/sign-in")
        self.at.fill("E-mail address", self.person.email)
        self.at.fill("Password", self.person.password)
        self.at.submit("Sign in")
        if self.authenticator is not None:
            self.at.fill("Code from the authenticator", self.authenticator.code())
            self.at.submit("Go on")
        assert self.at.path == "/my", self.at.text

    def sign_out(self) -> None:
        self.at.page.locator("#user-menu > summary").click()
        self.at.submit("Sign out")

    def apply_for_verification(self) -> None:
        self.at.open("/my/settings/verification")
        self.at.fill("Surname", self.person.family)
        self.at.fill("Given names", self.person.given)
        self.at.fill("Date of birth", self.person.born)
        self.at.choose("Country that issued it", "Switzerland")
        self.at.choose("Kind", "Passport")
        self.at.fill("Number", self.person.document)
        self.at.fill("Machine-readable zone", passport_lines(self.person))
        self.at.field("Photograph").set_input_files(
            {"name": "passport.png", "mimeType": "image/png", "buffer": photograph()}
        )
        self.at.submit("Hand in")

    # --- factors ------------------------------------------------------------------------------------------------------

    def turn_on_authenticator(self) -> None:
        """The first factor, which is turned on for the password."""
        self.at.open("/my/settings/security/totp")
        self.at.fill("Your password", self.person.password)
        self.at.submit("Set it up")
        self.authenticator = Authenticator(self._venue, self.at.page.locator("#totp-secret").inner_text())
        self.at.fill("Code from the app", self.authenticator.code())
        self.at.submit("Turn on")

    def turn_on_sms(self, number: str, operator: Operator) -> None:
        """No provider is set up, so the SMS wait at the operator's."""
        self.at.open("/my/settings/security/sms")
        self.at.fill("Your number", number)
        self.at.fill("Your password", self.person.password)
        self.at.submit("Send a code to it")
        self.at.fill("Code from the SMS", code_in(operator.newest_sms()))
        self.at.submit("Turn on")

    def verify(self) -> None:
        """Security verification: a code of the authenticator, and the one that came by e-mail."""
        assert self.authenticator is not None
        assert self.at.heading == "Security verification", self.at.text
        self.at.fill("Code from the authenticator", self.authenticator.code())
        self.at.fill("Code from the e-mail", self.mailed_code())
        self.at.submit("Verify and go on")

    def mailed_code(self) -> str:
        return code_in(self._letterbox.take(self.person.email, "Your verification code"))

    # --- keys ---------------------------------------------------------------------------------------------------------

    def go_to_api_management(self) -> None:
        """By the menu behind the icon in the upper right corner."""
        self.at.page.locator("#user-menu > summary").click()
        self.at.follow("API Management")
        assert self.at.path == API_MANAGEMENT

    def create_key(
        self, label: str, *, permissions: tuple[str, ...] = (), ips: tuple[str, ...] = (), public_pem: str = ""
    ) -> None:
        """Fill the form for a new key, up to its verification (a self generated one: up to the proof)."""
        self.go_to_api_management()
        self.at.follow("Create")
        if public_pem:
            self.at.tick("Self generated")
            self.at.fill("Public key", public_pem)
        self.at.fill("Label", label)
        for permission in permissions:
            self.at.tick(permission)
        self.at.fill("IP whitelist", "\n".join(ips))
        self.at.submit("Go on to verification")

    def save_key(self) -> SavedKey:
        """Read the page that shows a new key, and leave it."""
        number = re.search(r"/(\d+)/secret$", self.at.path)
        assert number, f"{self.at.path}: {self.at.text}"
        secret = self.at.page.locator("#secret-key")
        saved = SavedKey(
            number[1],
            self.at.page.locator("#api-key").inner_text(),
            secret.inner_text() if secret.count() else "",
        )
        self.at.follow("I have saved it" if saved.secret else "To the key")
        return saved

    def open_key(self, key: SavedKey) -> None:
        self.at.open(f"{API_MANAGEMENT}/{key.number}")


class Operator:
    def __init__(self, browser: Visitor, token: str) -> None:
        self.at = browser
        self._token = token

    def sign_in(self) -> None:
        self.at.open("/operator/sign-in")
        self.at.fill("Operator’s token", self._token)
        self.at.submit("Sign in")
        assert self.at.path == "/operator", self.at.text

    def approve(self, person: Person) -> None:
        self.at.open("/operator/verification")
        self.at.follow(person.email)
        self.at.page.get_by_role("region", name="Approve").get_by_label("Decided by").fill("Olive Operator")
        self.at.submit("Approve")

    def newest_sms(self) -> str:
        """What an SMS says that waits here, as no provider is set up."""
        self.at.open("/operator/outbox")
        self.at.follow("SMS")
        return self.at.page.locator("#letter").inner_text()
