"""Whitelists: one spelling each, wide enough to use, and narrow enough to restrict."""

from __future__ import annotations

import ipaddress

import pytest

from sparekey.access.allowlist import Allowlist, parse_allowlist
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal


def parsed(*typed: str, sandbox: bool = False) -> tuple[str, ...]:
    outcome = parse_allowlist(typed, loopback_allowed=sandbox)
    assert not isinstance(outcome, Refusal), outcome
    return outcome


def refused(*typed: str, sandbox: bool = False) -> Reason:
    outcome = parse_allowlist(typed, loopback_allowed=sandbox)
    assert isinstance(outcome, Refusal), outcome
    assert "{" not in outcome.explanation
    return outcome.reason


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        (" 203.0.113.7\n", "203.0.113.7"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("10.0.0.0/16", "10.0.0.0/16"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
        ("::FFFF:203.0.113.7/128", "203.0.113.7"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
    ],
)
def test_what_is_typed_is_kept_in_one_spelling(typed: str, kept: str) -> None:
    assert parsed(typed) == (kept,)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "localhost",
        "example.com",
        "203.0.113",
        "203.0.113.7.1",
        "203.0.113.256",
        "203.0.113.007",  # octal to some, decimal to others
        "0203.0.113.7",
        "0xcb.0.113.7",
        "3405803783",
        "203.0.113.7:8080",
        "[2001:db8::1]",
        "203.0.113.7/",
        "203.0.113.7/33",
        "203.0.113.0/024",
        "203.0.113.0/+24",
        "203.0.113.0/-1",
        "203.0.113.0/²⁴",
        "203.0.113.0/２４",
        "２０３.0.113.7",
        "203.0.113.0/24/24",
        "203.0.113.0/255.255.255.0",
        "203.0.113.0/0.0.0.255",
        "203.0.113.1/24",
        "203.0.113.0-203.0.113.9",
        "203.0.113.*",
        "203.0.113.7,203.0.113.8",
        "203.0.113.7\x00",
        "2001:db8::1/129",
        "2001:db8::1/64",
        "fe80::1%eth0",
        "fe80::%1/64",
        "::ffff:203.0.113.1/120",
        "::ffff:0:0/95",
        "/24",
        "1" * 10_000,
        " " * 10_000 + "203.0.113.7",
        "203.0.113.7/" + "0" * 5_000,
    ],
)
def test_what_is_not_exactly_an_address_or_a_range_is_refused_rather_than_guessed_at(typed: str) -> None:
    assert refused(typed) is Reason.WHITELIST_INVALID
    assert refused("198.51.100.1", typed, sandbox=True) is Reason.WHITELIST_INVALID


def test_blanks_around_an_entry_do_no_harm_within_reason() -> None:
    assert parsed("203.0.113.7".rjust(128)) == ("203.0.113.7",)
    assert refused("203.0.113.7".rjust(129)) is Reason.WHITELIST_INVALID


def test_host_bits_are_answered_with_the_range_that_may_be_meant() -> None:
    outcome = parse_allowlist(["10.1.2.3/24"], loopback_allowed=False)
    assert isinstance(outcome, Refusal)
    assert "10.1.2.0/24" in outcome.explanation


@pytest.mark.parametrize(
    "typed",
    [
        ("0.0.0.0/0",),
        ("::/0",),
        ("0.0.0.0/1", "128.0.0.0/1"),
        ("10.0.0.0/15",),
        ("10.0.0.0/16", "10.1.0.0/16"),
        ("10.0.0.0/16", "192.0.2.1"),
        tuple(f"{first}.0.0.0/17" for first in (10, 20, 30)),
        ("2001:db8::/31",),
        ("2001:db8::/32", "2001:db9::1"),
        ("::ffff:0.0.0.0/96",),
        ("::ffff:10.0.0.0/111",),
    ],
)
@pytest.mark.parametrize("sandbox", [False, True])
def test_a_whitelist_that_restricts_nothing_is_none(typed: tuple[str, ...], *, sandbox: bool) -> None:
    assert refused(*typed, sandbox=sandbox) is Reason.WHITELIST_TOO_WIDE


def test_widths_of_the_two_families_are_counted_apart_and_overlaps_once() -> None:
    assert parsed("10.0.0.0/16", "10.0.0.0/17", "10.0.3.0/24", "2001:db8::/32", "2001:db8:1::/48") == (
        "10.0.0.0/16",
        "2001:db8::/32",
    )


@pytest.mark.parametrize("typed", ["127.0.0.1", "127.0.0.0/8", "127.3.0.0/16", "::1", "::ffff:127.0.0.1", "::/32"])
def test_loopback_is_for_the_sandbox(typed: str) -> None:
    assert refused(typed) is Reason.WHITELIST_LOOPBACK


def test_in_the_sandbox_loopback_does_not_count_towards_the_width() -> None:
    assert parsed("127.0.0.0/8", "::1", "10.0.0.0/16", sandbox=True) == ("10.0.0.0/16", "127.0.0.0/8", "::1")
    assert refused("126.0.0.0/8", sandbox=True) is Reason.WHITELIST_TOO_WIDE


def test_order_and_repetition_of_entries_change_nothing() -> None:
    entries = ["198.51.100.7", "2001:db8::1", "10.0.0.0/24", "10.0.0.7", "198.51.100.7/32", "::ffff:198.51.100.7"]
    kept = ("10.0.0.0/24", "198.51.100.7", "2001:db8::1")
    assert parsed(*entries) == parsed(*reversed(entries)) == kept
    assert parsed(*kept) == kept


def test_thirty_entries_count_after_merging() -> None:
    apart = [f"10.0.0.{2 * number}" for number in range(31)]
    assert len(parsed(*apart[:30])) == 30
    assert refused(*apart) is Reason.WHITELIST_TOO_LONG
    together = [f"10.0.0.{number}" for number in range(64)]
    assert parsed(*together) == ("10.0.0.0/26",)
    assert parsed(*["10.0.0.1"] * 1_000) == ("10.0.0.1",)
    assert refused(*["10.0.0.1"] * 1_001) is Reason.WHITELIST_TOO_LONG


def test_nothing_typed_is_no_whitelist() -> None:
    assert parsed() == ()


def test_an_address_is_in_the_list_or_not_whatever_its_spelling() -> None:
    allowlist = Allowlist(parsed("203.0.113.0/24", "2001:db8::/64", "198.51.100.7"))
    for inside in ("203.0.113.0", "203.0.113.255", "::ffff:203.0.113.9", "::FFFF:CB00:7109", "2001:DB8::ffff"):
        assert allowlist.contains(inside), inside
    for outside in (
        "203.0.114.0",
        "203.0.112.255",
        "198.51.100.8",
        "2001:db8:0:1::",
        "::203.0.113.9",
        "64:ff9b::203.0.113.9",
        "2001:db8::1%eth0",
        "203.0.113.9 ",
        "203.0.113.09",
        "203.0.113.9/32",
        "",
        "unknown",
        "/run/socket",
        "\ud800",
    ):
        assert not allowlist.contains(outside), outside


def test_remembered_verdicts_do_not_change_the_answer() -> None:
    allowlist = Allowlist(parsed("10.0.0.0/28"))
    network = ipaddress.ip_network("10.0.0.0/28")
    for _ in range(3):
        for number in range(64):
            ip = f"10.0.0.{number}"
            assert allowlist.contains(ip) is (ipaddress.ip_address(ip) in network)


def test_a_listed_range_is_no_address_that_calls() -> None:
    allowlist = Allowlist(parsed("10.0.0.0/24", "2001:db8::/32"))
    for entry in allowlist.entries:
        assert not allowlist.contains(entry)
    assert not allowlist.contains("")


def test_callers_that_alternate_are_judged_alike_every_time() -> None:
    allowlist = Allowlist(parsed("10.0.0.0/24", "192.0.2.1", "2001:db8::/32"))
    listed = ["10.0.0.1", "192.0.2.1", "::ffff:10.0.0.9", "2001:db8::5", "10.0.0.255"]
    foreign = ["10.0.1.0", "192.0.2.2", "::ffff:10.0.1.9", "2001:db9::", "10.0.0.256", "2001:db8::%1"]
    for _ in range(3):
        for one, other in zip(listed, foreign[: len(listed)], strict=True):
            assert allowlist.contains(one)
            assert not allowlist.contains(other)
    assert not any(map(allowlist.contains, foreign))
    assert all(map(allowlist.contains, reversed(listed)))
