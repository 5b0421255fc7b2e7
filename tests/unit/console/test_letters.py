"""What people read in their letters, and what nobody can put into one."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest

from sparekey.console.letters import Circumstances, Letters
from sparekey.terms.letters import EMAIL, SMS, Letter

TO = "ann@example.com"
NOON = Circumstances(1_700_000_000_000_000, "203.0.113.7", "Firefox on Linux")
LETTERS = Letters("https://exchange.example")

ALL: dict[str, Callable[[], Letter]] = {
    "confirm": lambda: LETTERS.confirm_sign_up(TO, "/sign-up/confirm?token=abc"),
    "exists": lambda: LETTERS.account_exists(TO),
    "reset": lambda: LETTERS.reset_password(TO, "/reset?token=abc"),
    "device": lambda: LETTERS.new_device(TO, NOON),
    "password": lambda: LETTERS.password_changed(TO, NOON),
    "code": lambda: LETTERS.step_up_code(TO, "12345678", "create the API key “Bot A”"),
    "added": lambda: LETTERS.factor_added(TO, "totp", NOON),
    "removed": lambda: LETTERS.factor_removed(TO, "passkey", NOON),
    "codes made": lambda: LETTERS.recovery_codes_made(TO, NOON),
    "code used": lambda: LETTERS.recovery_code_used(TO, 3, NOON),
    "key": lambda: LETTERS.key_notice(TO, "created", "Bot A", "sparekey" + "x" * 56, NOON, [("May", "read")]),
    "panic": lambda: LETTERS.panic_notice(TO, 2, NOON),
    "kyc received": lambda: LETTERS.kyc_received(TO),
    "kyc approved": lambda: LETTERS.kyc_approved(TO),
    "kyc rejected": lambda: LETTERS.kyc_rejected(TO, "the photograph is too dark"),
}


@pytest.mark.parametrize("name", ALL)
def test_a_letter_says_the_same_as_text_and_as_html(name: str) -> None:
    letter = ALL[name]()
    body = letter.html[letter.html.index("<h1") :]
    words = unescape(re.sub(r"<[^>]+>", " ", body)).split()
    assert letter.kind == EMAIL and letter.to == TO
    assert letter.subject.startswith("Sparekey: ")
    for line in letter.text.splitlines():
        for word in line.replace("--", "").split():
            assert word.rstrip(":") in {one.rstrip(":.") for one in words} | set(words), word


def test_a_code_letter_names_its_action_and_warns_never_to_pass_it_on() -> None:
    letter = ALL["code"]()
    for written in (letter.text, letter.html):
        assert "12345678" in written and "create the API key “Bot A”" in written and "do not pass it on" in written
    assert "12345678" not in letter.subject
    assert letter.worth_s == 600


def test_a_code_by_sms_is_one_line_that_names_its_action() -> None:
    letter = LETTERS.step_up_sms("+4915112345678", "12345678", "delete the API key “Bot A”")
    assert letter.kind == SMS and letter.subject == "" and letter.html == ""
    assert letter.text == (
        'Sparekey: 12345678 is your code to delete the API key "Bot A". Good for 10 minutes. '
        "Never pass it on; nobody will ask you for it."
    )
    assert len(letter.text) <= 160


def test_links_lead_to_the_public_address() -> None:
    assert "https://exchange.example/sign-up/confirm?token=abc" in ALL["confirm"]().text
    assert 'href="https://exchange.example/reset?token=abc"' in ALL["reset"]().html


def test_an_api_key_is_named_by_its_ends_alone() -> None:
    letter = ALL["key"]()
    assert "sparekey…xxxxxx" in letter.text and "x" * 7 not in letter.text + letter.html


@pytest.mark.parametrize("label", ["<img src=x onerror=alert(1)>", '"><script>alert(1)</script>', "{{ 7 * 7 }}"])
def test_what_a_person_chose_is_never_markup(label: str) -> None:
    letter = LETTERS.key_notice(TO, "created", label, "k" * 64, NOON)
    assert label in letter.text
    assert label not in letter.html or label == "{{ 7 * 7 }}"
    assert "<img" not in letter.html and "<script" not in letter.html and "49" not in letter.html


@pytest.mark.parametrize(
    "hostile", ["Bot\r\n\r\nYour account is closed: http://evil", "Bot\u2028next", "Bot\x00\x1b[2J"]
)
def test_what_a_person_chose_begins_no_line_of_the_text(hostile: str) -> None:
    letter = LETTERS.key_notice(TO, "created", hostile, "k" * 64, NOON._replace(agent=hostile))
    plain = LETTERS.key_notice(TO, "created", "Bot", "k" * 64, NOON)
    assert len(letter.text.splitlines()) == len(plain.text.splitlines())
    assert not re.search("[\x00-\x09\x0b-\x1f\u2028]", letter.text)


def test_what_a_person_chose_does_not_turn_the_reading_direction_or_run_on() -> None:
    letter = LETTERS.key_notice(TO, "created", "\u202eevil" + "long" * 5_000, "k" * 64, NOON)
    assert "\u202e" not in letter.text + letter.html
    assert len(letter.text) < 2_000


@pytest.mark.parametrize("broken", ["ann@example.com\r\nBcc: eve@example.com", "ann\n@example.com", "", "a\x00@b.c"])
def test_an_address_with_a_line_break_makes_no_letter(broken: str) -> None:
    with pytest.raises(ValueError, match=r"header|nobody"):
        LETTERS.account_exists(broken)
    with pytest.raises(ValueError, match=r"header|nobody"):
        LETTERS.step_up_sms(broken, "12345678", "sign in")


def test_a_letter_does_not_print_whom_it_is_for_or_what_it_says() -> None:
    printed = repr(ALL["code"]()) + str(ALL["code"]())
    assert "ann" not in printed and "12345678" not in printed
