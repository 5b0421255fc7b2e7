"""One browser, one SMTP server and one `sparekey up` for the tests of this folder; a fresh person for each test."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from sparekey.settings import delivery_in
from tests.e2e.console import chromium
from tests.e2e.console.letterbox import Letterbox
from tests.e2e.console.people import Authenticator, somebody
from tests.e2e.console.steps import Operator, Reader
from tests.e2e.console.visitors import Visitor, manners
from tests.venue import Venue

_addresses = (f"203.0.{third}.{fourth}" for third, fourth in itertools.product(range(113, 120), range(1, 255)))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium.started() as running:
        yield running


@pytest.fixture(scope="package")
def letterbox() -> Iterator[Letterbox]:
    box = Letterbox()
    yield box
    box.close()


@pytest.fixture(scope="package")
def shared_venue(tmp_path_factory: pytest.TempPathFactory, letterbox: Letterbox, browser: Browser) -> Iterator[Venue]:
    """Asks for the browser first, so that nothing is started in vain where there is none."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    venue = Venue(
        tmp_path_factory.mktemp("console") / "data",
        port=port,
        public_url=f"http://localhost:{port}",  # the only name without TLS that a passkey can be bound to
        market="simulated",
        trusted_proxies=("127.0.0.1", "::1"),
        **delivery_in({"SPAREKEY_SMTP_URL": letterbox.url, "SPAREKEY_MAIL_FROM": "Sparekey <keys@sparekey.example>"}),
    )
    yield venue
    venue.stop()


@pytest.fixture
def arrive(browser: Browser, shared_venue: Venue) -> Iterator[Callable[..., Visitor]]:
    """`arrive()` → another person, at a browser and an address of their own."""
    arrived: list[Visitor] = []

    def come(**options: Any) -> Visitor:
        origin, address = shared_venue.settings.public_url, next(_addresses)
        context = browser.new_context(**(manners(origin, address) | options))
        arrived.append(Visitor(context, origin, address))
        return arrived[-1]

    yield come
    complaints = [complaint for visitor in arrived for complaint in visitor.complaints()]
    for visitor in arrived:
        visitor.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def visitor(arrive: Callable[..., Visitor]) -> Visitor:
    return arrive()


@pytest.fixture
def somebody_new(arrive: Callable[..., Visitor], letterbox: Letterbox, shared_venue: Venue) -> Callable[..., Reader]:
    """`somebody_new()` → a reader of the guide at a browser of their own, without an account yet."""

    def come(**options: Any) -> Reader:
        return Reader(somebody(), arrive(**options), letterbox, shared_venue)

    return come


@pytest.fixture(scope="package")
def enrolled(shared_venue: Venue) -> Callable[..., Reader]:
    """`enrolled(reader)` → the reader with an account, verified, with an authenticator and money."""

    def enrol(reader: Reader, keys: int = 0) -> Reader:
        email = reader.person.email
        body = {"email": email, "kyc": "approved", "totp": True, "fund": {"USDT": "50000", "BTC": "1"}}
        made = shared_venue.ask("POST", "/accounts", body)
        reader.person = reader.person._replace(password=made["password"])
        reader.authenticator = Authenticator(shared_venue, made["totpSecret"])
        for number in range(1, keys + 1):
            label = {"label": f"Bot {number}", "type": "hmac", "ips": ["127.0.0.1"]}
            shared_venue.ask("POST", f"/accounts/{email}/keys", label)
        return reader

    return enrol


@pytest.fixture
def trader_new(somebody_new: Callable[..., Reader], enrolled: Callable[[Reader, int], Reader]) -> Callable[..., Reader]:
    """`trader_new()` → a reader who is enrolled and signed in."""

    def come(*, keys: int = 0, **options: Any) -> Reader:
        reader = enrolled(somebody_new(**options), keys)
        reader.sign_in()
        return reader

    return come


@pytest.fixture
def operator(arrive: Callable[..., Visitor], shared_venue: Venue) -> Operator:
    return Operator(arrive(), shared_venue.operator_token)
