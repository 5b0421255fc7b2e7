"""The states of the console that matter, as pictures that people have looked at; the README shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.console.pictures import hold_against_baseline, take
from tests.e2e.console.steps import API_MANAGEMENT, Reader
from tests.signing import Caller
from tests.venue import Credentials, Venue

pytestmark = pytest.mark.long

DESK = {"viewport": {"width": 1100, "height": 760}}
PHONE = {"viewport": {"width": 390, "height": 844}}
DARK = {"color_scheme": "dark"}
TRADING = ("Spot and margin trading",)


@pytest.fixture
def looks_as_before(tmp_path: Path) -> Callable[..., None]:
    """`looks_as_before(name, reader)`: the page that the reader is on looks like its baseline."""

    def compare(name: str, reader: Reader, **options: Any) -> None:
        hold_against_baseline(name, take(reader.at.page, **options), tmp_path / "pictures")

    return compare


def test_no_key_yet(trader_new: Callable[..., Reader], looks_as_before: Callable[..., None]) -> None:
    ann = trader_new(**DESK)
    ann.go_to_api_management()
    looks_as_before("no-key-yet", ann)


def test_what_is_missing(somebody_new: Callable[..., Reader], looks_as_before: Callable[..., None]) -> None:
    ann = somebody_new(**DESK)
    ann.sign_up()
    ann.sign_in()
    ann.go_to_api_management()
    looks_as_before("missing", ann)


def test_from_the_form_over_the_verification_to_the_secret(
    trader_new: Callable[..., Reader], looks_as_before: Callable[..., None]
) -> None:
    ann = trader_new(**DESK)
    ann.go_to_api_management()
    ann.at.follow("Create")
    looks_as_before("create", ann)
    ann.create_key("Quant Strategy A", permissions=TRADING, ips=("127.0.0.1",))
    looks_as_before("verification", ann)
    ann.verify()
    looks_as_before("secret", ann)


@pytest.mark.parametrize(("name", "options"), [("refused", DESK), ("refused-phone", PHONE | DARK)])
def test_a_refusal_explained(
    trader_new: Callable[..., Reader],
    looks_as_before: Callable[..., None],
    shared_venue: Venue,
    name: str,
    options: dict[str, Any],
) -> None:
    ann = trader_new(**options)
    ann.create_key("Quant Strategy A", permissions=TRADING, ips=("127.0.0.1",))
    ann.verify()
    key = ann.save_key()
    credentials = Credentials(key.api_key, key.secret, "", ann.person.email)
    assert Caller(shared_venue.url, credentials)("GET", "/api/v3/account").status == 200
    assert Caller(shared_venue.url, credentials, "127.0.0.2")("GET", "/api/v3/account").code == -2015
    ann.open_key(key)
    looks_as_before(name, ann)


def test_a_key_that_expires_soon(
    trader_new: Callable[..., Reader], looks_as_before: Callable[..., None], shared_venue: Venue
) -> None:
    ann = trader_new(**DESK | DARK)
    ann.create_key("Market Monitor")
    ann.verify()
    key = ann.save_key()
    shared_venue.clock.advance("86d")
    ann.sign_in()
    ann.open_key(key)
    looks_as_before("expires-soon-dark", ann)


@pytest.mark.parametrize(("name", "options"), [("full", DESK), ("full-phone", PHONE)])
def test_the_31st_key(
    trader_new: Callable[..., Reader], looks_as_before: Callable[..., None], name: str, options: dict[str, Any]
) -> None:
    ann = trader_new(keys=30, **options)
    ann.at.open(API_MANAGEMENT)
    looks_as_before(name, ann, full=False)
