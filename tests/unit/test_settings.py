"""What a start is told about letters: checked at once, and never shown with a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparekey.settings import Settings, delivery_in

MAIL = {"SPAREKEY_SMTP_URL": "smtp://ann:hunter2@mail.test", "SPAREKEY_MAIL_FROM": "Sparekey <keys@exchange.example>"}


def test_settings_are_never_printed_with_a_password() -> None:
    environment = MAIL | {"SPAREKEY_SMS_URL": "json://ann:hunter2@host/{to}"}
    settings = Settings(data=Path("data"), **delivery_in(environment))
    assert settings.smtp is not None and settings.smtp.password == "hunter2"
    assert settings.sms is not None and "hunter2" in settings.sms.url
    assert "hunter2" not in repr(settings) + str(settings)


def test_an_environment_without_letters_leaves_them_in_the_outbox() -> None:
    assert delivery_in({}) == {"smtp": None, "mail_from": None, "sms": None}


def test_mail_needs_somebody_whom_it_is_from() -> None:
    with pytest.raises(ValueError, match="SPAREKEY_MAIL_FROM"):
        Settings(data=Path("data"), **delivery_in({"SPAREKEY_SMTP_URL": MAIL["SPAREKEY_SMTP_URL"]}))


@pytest.mark.parametrize("url", ["https://exchange.example", "http://localhost:8080", "https://[::1]:8443"])
def test_a_public_url_is_an_origin(url: str) -> None:
    assert Settings(data=Path("data"), public_url=url).public_url == url


@pytest.mark.parametrize(
    "url",
    [
        "exchange.example",
        "https://exchange.example/",
        "https://exchange.example/path",
        "ftp://exchange.example",
        "https://",
        "https://ann:hunter2@exchange.example",
        "https://exchange.example:99999",
        "https://exchange.example\r\nX: y",
        "https://ex ample",
        'https://"><script>',
    ],
)
def test_a_public_url_that_is_more_or_less_than_an_origin_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="--public-url"):
        Settings(data=Path("data"), public_url=url)
