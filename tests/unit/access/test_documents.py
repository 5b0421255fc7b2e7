"""Machine-readable zones: the specimens of ICAO 9303, and every slip that their check digits tell."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparekey.access.documents import Document, check_digit, parse_mrz
from sparekey.terms.clocktime import DAY_US, date_of, is_date
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: 2011-01-01 and 1990-01-01, when the specimens had not expired.
IN_2011, IN_1990 = 14_975 * DAY_US, 7_305 * DAY_US

# Parts 4, 5 and 6, appendix B; numbers of more than nine characters: part 11, appendix D.2.
PASSPORT = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
CARD = "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<"
LARGE_CARD = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6"
LONG_CARD = "I<UTOD23145890<7349<<<<<<<<<<<\n3407127M9507122UTO<<<<<<<<<<<2\nSTEVENSON<<PETER<JOHN<<<<<<<<<"
LONG_LARGE_CARD = "I<UTOSTEVENSON<<PETER<JOHN<<<<<<<<<<\nD23145890<UTO3407127M95071227349<<<8"

ANNA = Document("TD3", "L898902C3", "ERIKSSON", "ANNA MARIA", "1974-08-12", "2012-04-15", "UTO", "UTO")


def refused(text: str, now_us: int = IN_2011) -> str:
    outcome = parse_mrz(text, now_us)
    assert isinstance(outcome, Refusal), outcome
    assert outcome.reason is Reason.DOCUMENT_INVALID
    assert "{" not in outcome.explanation
    return str(outcome.facts[0])


def test_the_specimen_passport_and_cards_are_read() -> None:
    assert parse_mrz(PASSPORT, IN_2011) == ANNA
    for text, kind in ((CARD, "TD1"), (LARGE_CARD, "TD2")):
        document = parse_mrz(text, IN_2011)
        assert isinstance(document, Document)
        assert (document.kind, document.number) == (kind, "D23145890")
        assert (document.surname, document.given_names) == (ANNA.surname, ANNA.given_names)
        assert (document.birth_date, document.expires) == (ANNA.birth_date, ANNA.expires)


@pytest.mark.parametrize(("text", "kind"), [(LONG_CARD, "TD1"), (LONG_LARGE_CARD, "TD2")])
def test_a_number_of_more_than_nine_characters_goes_on_in_the_optional_field(text: str, kind: str) -> None:
    document = parse_mrz(text, IN_1990)
    assert document == Document(
        kind, "D23145890734", "STEVENSON", "PETER JOHN", "1934-07-12", "1995-07-12", "UTO", "UTO"
    )
    assert "check digit of the document number is 8, where 9" in refused(text.replace("7349", "7348"), IN_1990)


@pytest.mark.parametrize("change", [str.lower, lambda text: text.replace("\n", ""), lambda text: f"\r\n {text} \n"])
def test_case_blanks_and_line_ends_do_not_matter(change: object) -> None:
    assert callable(change)
    assert parse_mrz(change(PASSPORT), IN_2011) == ANNA


@pytest.mark.parametrize(
    ("was", "typed", "named"),
    [
        ("L898902C3", "L898902C8", "document number"),
        ("7408122", "7408132", "date of birth"),
        ("1204159", "1204169", "date of expiry"),
        ("ZE184226B", "ZE184226C", "personal number"),
        ("<<<<<10", "<<<<<11", "whole zone"),
    ],
)
def test_the_check_digit_that_is_wrong_is_named(was: str, typed: str, named: str) -> None:
    assert f"check digit of the {named} is" in refused(PASSPORT.replace(was, typed))


def test_no_digit_of_a_card_can_be_mistyped_unnoticed() -> None:
    for text in (PASSPORT, CARD, LARGE_CARD):
        for at, character in enumerate(text):
            if character.isdigit():
                for digit in set("0123456789") - {character}:
                    assert isinstance(parse_mrz(text[:at] + digit + text[at + 1 :], IN_2011), Refusal), (text, at)


def test_an_empty_personal_number_may_have_a_filler_or_a_zero_for_its_check_digit() -> None:
    for digit in "<0":
        lower = f"L898902C36UTO7408122F1204159{'<' * 14}{digit}"
        whole = check_digit(lower[:10] + lower[13:20] + lower[21:])
        assert isinstance(parse_mrz(PASSPORT[:45] + lower + whole, IN_2011), Document)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither two lines"),
        (PASSPORT[:-1], "neither two lines"),
        (PASSPORT + "<", "neither two lines"),
        (" " * 100_000, "neither two lines"),
        ("P" * 100_000, "neither two lines"),
        (PASSPORT.replace("ANNA", "AN+A"), "character other than"),
        (PASSPORT.replace("ANNA", "ANÑA"), "character other than"),
        (PASSPORT.replace("L898902C3", "L89890²C3"), "character other than"),
        (PASSPORT.replace("P<UTO", "V<UTO"), "no passport or identity card"),
        (PASSPORT.replace("P<UTO", "<<UTO"), "no passport or identity card"),
        (CARD.replace("I<UTO", "P<UTO"), "no passport or identity card"),
        (PASSPORT.replace("P<UTO", "P<<<<"), "no code of letters"),
        (PASSPORT.replace("P<UTO", "P<U1O"), "no code of letters"),
        (PASSPORT.replace("ERIKSSON<<ANNA", "<<<<<<<<<<ANNA"), "name is missing"),
        (PASSPORT.replace("ANNA", "4NNA"), "holds a digit"),
        (PASSPORT.replace("2F120", "2Q120"), "the sex is none"),
    ],
)
def test_what_is_no_zone_says_what_is_wrong(text: str, said: str) -> None:
    assert said in refused(text)


def zone(born: str, expires: str, issuer: str = "UTO", names: str = "ERIKSSON<<ANNA") -> str:
    """A card that checks."""
    upper = f"I<{issuer:<<3}D231458907{'<' * 15}"
    middle = f"{born}{check_digit(born)}F{expires}{check_digit(expires)}UTO{'<' * 11}"
    whole = check_digit(upper[5:] + middle[:7] + middle[8:15] + middle[18:29])
    return f"{upper}\n{middle}{whole}\n{names:<<30}"


@pytest.mark.parametrize(
    ("born", "said"),
    [
        ("110101", "2011-01-01"),  # today
        ("110102", "1911-01-02"),  # not tomorrow: a hundred years ago
        ("000229", "2000-02-29"),
        ("740812", "1974-08-12"),
    ],
)
def test_a_date_of_birth_is_the_last_one_that_is_not_in_the_future(born: str, said: str) -> None:
    document = parse_mrz(zone(born, "200101"), IN_2011)
    assert isinstance(document, Document)
    assert document.birth_date == said


@pytest.mark.parametrize("born", ["740230", "741312", "740800", "7408<<", "<<<<<<"])
def test_a_date_of_birth_that_is_no_whole_date_is_refused(born: str) -> None:
    assert refused(zone(born, "200101")) == "the date of birth is not a whole date"


@pytest.mark.parametrize(
    ("expires", "said"), [("110101", ""), ("101231", "2010-12-31"), ("990101", "1999-01-01"), ("601231", "")]
)
def test_a_document_counts_up_to_the_day_on_which_it_expires(expires: str, said: str) -> None:
    outcome = parse_mrz(zone("740812", expires), IN_2011)
    if said:
        assert refused(zone("740812", expires)) == f"the document expired on {said}"
    else:
        assert isinstance(outcome, Document)


def test_germany_has_one_letter_in_the_zone_and_three_elsewhere() -> None:
    document = parse_mrz(zone("740812", "200101", issuer="D"), IN_2011)
    assert isinstance(document, Document)
    assert (document.issuer, document.nationality) == ("DEU", "UTO")


@pytest.mark.parametrize(
    ("names", "surname", "given"),
    [("ARKFREITH<VAN<DER", "ARKFREITH VAN DER", ""), ("O<CONNOR<<ENYA<SIOBHAN", "O CONNOR", "ENYA SIOBHAN")],
)
def test_names_are_read_without_fillers(names: str, surname: str, given: str) -> None:
    document = parse_mrz(zone("740812", "200101", names=names), IN_2011)
    assert isinstance(document, Document)
    assert (document.surname, document.given_names) == (surname, given)


def test_the_check_digit_is_that_of_the_examples_in_part_3() -> None:
    assert (check_digit("520727"), check_digit("AB2134<<<")) == ("3", "5")


@settings(max_examples=40)
@given(st.text(max_size=120) | st.text("PIAC<0123456789UTO\n", min_size=72, max_size=92))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    assert isinstance(parse_mrz(text, IN_2011), Document | Refusal)


@given(st.dates())
def test_days_of_the_calendar_are_those_of_the_standard_library(day: date) -> None:
    assert date_of((day - date(1970, 1, 1)).days * DAY_US + DAY_US - 1) == day.isoformat()
    assert is_date(day.year, day.month, day.day)
    last = monthrange(day.year, day.month)[1]
    assert [is_date(day.year, day.month, one) for one in (0, 1, last, last + 1)] == [False, True, True, False]
    assert not is_date(day.year, 13, 1)
    assert not is_date(day.year, 0, 1)
