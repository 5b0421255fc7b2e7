"""The caller's address is the socket's peer, unless a trusted proxy says another; a whitelist restricts or is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.signing import Answer, Caller
from tests.venue import Credentials, Refused, Venue

#: Headers in which somebody else's address may be claimed.
CLAIMS = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "Via")
PROXY, STRANGER, OWNER = "127.0.0.3", "127.0.0.99", "127.0.0.50"


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    running = Venue(tmp_path_factory.mktemp("venue") / "data", profile="off", trusted_proxies=(PROXY,))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def key(behind_proxy: Venue) -> Credentials:
    return behind_proxy.key(ips=[OWNER])


@pytest.fixture(scope="module")
def email(lenient_venue: Venue) -> str:
    return lenient_venue.account()


def account(call: Caller, **headers: str) -> Answer:
    return call("GET", "/api/v3/account", headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("header", CLAIMS)
def test_a_claimed_address_from_a_direct_peer_opens_nothing_and_is_not_believed_in_the_log(
    behind_proxy: Venue, key: Credentials, header: str
) -> None:
    claim = f"for={OWNER}" if header == "Forwarded" else OWNER
    answer = Caller(behind_proxy.url, key, STRANGER)("GET", "/api/v3/account", headers={header: claim})
    assert (answer.status, answer.code) == (401, -2015)
    entry = behind_proxy.last_call(key)
    assert (entry["ip"], entry["reason"]) == (STRANGER, "ip-foreign")


@pytest.mark.parametrize("header", [one for one in CLAIMS if one != "X-Forwarded-For"])
def test_a_trusted_proxy_is_believed_in_one_header_alone(behind_proxy: Venue, key: Credentials, header: str) -> None:
    answer = Caller(behind_proxy.url, key, PROXY)("GET", "/api/v3/account", headers={header: OWNER})
    assert answer.code == -2015
    assert behind_proxy.last_call(key)["ip"] == PROXY


@pytest.mark.parametrize(
    ("forwarded", "seen"),
    [
        (OWNER, OWNER),
        (f"{STRANGER}, {OWNER}", OWNER),  # what stands left of it, the caller wrote
        (f"{OWNER}, {STRANGER}", STRANGER),
        (f"{STRANGER}, {OWNER}, {PROXY}", OWNER),
        (f"::ffff:{OWNER}", OWNER),
        (f"{OWNER}, nonsense", ""),  # nobody: fails closed
        (f"{OWNER},", ""),
        ("unknown", ""),
        (f"{OWNER}:443", ""),
        ("0127.0.0.50", ""),
    ],
)
def test_a_proxys_list_is_read_from_the_right_and_what_does_not_parse_is_nobody(
    behind_proxy: Venue, key: Credentials, forwarded: str, seen: str
) -> None:
    answer = account(Caller(behind_proxy.url, key, PROXY), X_Forwarded_For=forwarded)
    assert answer.status == (200 if seen == OWNER else 401)
    assert behind_proxy.last_call(key)["ip"] == seen


def test_nobody_is_not_let_in_by_a_key_without_a_whitelist_either(behind_proxy: Venue) -> None:
    key = behind_proxy.key(ips=[])
    assert account(Caller(behind_proxy.url, key, PROXY), X_Forwarded_For="unknown").code == -2015
    assert account(Caller(behind_proxy.url, key, PROXY), X_Forwarded_For=OWNER).status == 200


def test_a_claimed_address_pays_for_nothing(venue: Venue) -> None:
    """Limits and bans count the peer: nobody gets another address banned by claiming it."""
    stranger = Caller(venue.url, source_ip="127.0.0.61")
    for number in range(10):
        stranger(
            "GET",
            "/api/v3/exchangeInfo",
            {"symbol": "BTCUSDT"},
            signed=False,
            headers={CLAIMS[number % len(CLAIMS)]: "127.0.0.62"},
        )
    owner = Caller(venue.url, source_ip="127.0.0.62")("GET", "/api/v3/ping", signed=False)
    assert owner.headers["X-MBX-USED-WEIGHT-1M"] == "1"


# --- whitelists ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (["0.0.0.0/0"], "whitelist-too-wide"),
        (["::/0"], "whitelist-too-wide"),
        (["0.0.0.0/1", "128.0.0.0/1"], "whitelist-too-wide"),
        (["10.0.0.0/15"], "whitelist-too-wide"),
        (["10.0.0.0/16", "10.9.0.0/16"], "whitelist-too-wide"),
        ([f"{number}.0.0.0/17" for number in range(1, 4)], "whitelist-too-wide"),
        (["2001::/31"], "whitelist-too-wide"),
        (["::ffff:0:0/96"], "whitelist-too-wide"),
        (["fe80::1%eth0"], "whitelist-invalid"),
        (["10.0.0.1/24"], "whitelist-invalid"),
        (["010.0.0.1"], "whitelist-invalid"),
        (["10.0.0.0/255.255.0.0"], "whitelist-invalid"),
        (["10.0.0.256"], "whitelist-invalid"),
        (["10.1"], "whitelist-invalid"),
        (["2130706433"], "whitelist-invalid"),
        (["localhost"], "whitelist-invalid"),
        ([""], "whitelist-invalid"),
        (["*"], "whitelist-invalid"),
        ([f"10.0.{number}.1" for number in range(31)], "whitelist-too-long"),
    ],
)
def test_a_whitelist_that_restricts_nothing_or_can_be_misread_makes_no_key(
    lenient_venue: Venue, email: str, typed: list[str], reason: str
) -> None:
    before = lenient_venue.ask("GET", f"/accounts/{email}/keys")
    with pytest.raises(Refused) as refused:
        lenient_venue.key(email=email, ips=typed)
    assert refused.value.reason == reason
    assert lenient_venue.ask("GET", f"/accounts/{email}/keys") == before


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["::ffff:203.0.113.7", "203.0.113.7"], ["203.0.113.7"]),
        (["10.0.0.0/25", "10.0.0.128/25"], ["10.0.0.0/24"]),
        (["2001:0DB8::1"], ["2001:db8::1"]),
        ([f"10.0.0.{number}" for number in range(64)], ["10.0.0.0/26"]),
    ],
)
def test_a_whitelist_is_kept_in_one_spelling_and_merged(
    lenient_venue: Venue, email: str, typed: list[str], kept: list[str]
) -> None:
    key = lenient_venue.key(email=email, ips=typed)
    document: dict[str, Any] = lenient_venue.ask("GET", f"/keys/{key.api_key}")
    assert document["ips"] == kept


def test_loopback_is_no_address_of_anybody_in_guarded_mode() -> None:
    """Nobody can be told apart by it behind a proxy on the same machine; `tests/unit/access/test_allowlist.py` has
    the spellings."""
    from sparekey.access.allowlist import parse_allowlist
    from sparekey.terms.refusals import Refusal

    for typed in ("127.0.0.1", "127.0.0.0/8", "::1", "::ffff:127.0.0.1"):
        assert isinstance(parse_allowlist([typed], loopback_allowed=False), Refusal)


def test_withdrawals_need_a_whitelist(lenient_venue: Venue) -> None:
    email = lenient_venue.account()
    with pytest.raises(Refused) as refused:
        lenient_venue.key(email=email, permissions=["reading", "withdrawals"], ips=[])
    assert refused.value.reason == "withdrawals-need-whitelist"
    assert lenient_venue.ask("GET", f"/accounts/{email}/keys") == []
