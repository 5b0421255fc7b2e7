"""However a key ends or narrows, it ends everywhere at once: its next call, its open streams, its listenKeys."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.test_user_data import listen_key, stream
from tests.signing import Caller
from tests.venue import EVERYTHING, Credentials, Refused, Venue

Ending = Callable[[Venue, Credentials], Any]


def on_key(method: str, what: str = "", **body: Any) -> Ending:
    return lambda venue, key: venue.ask(method, f"/keys/{key.api_key}{what}", body or None)


def on_account(method: str, what: str, **body: Any) -> Ending:
    return lambda venue, key: venue.ask(method, f"/accounts/{key.email}{what}", body or None)


#: What an operator can do to a key → the reason that its owner finds in the log.
ENDINGS: dict[str, tuple[Ending, str]] = {
    "deleted": (on_key("DELETE"), "key-deleted"),
    "disabled": (on_key("POST", "/disable"), "key-disabled"),
    "rotated without overlap": (on_key("POST", "/rotate", overlap="0s"), "key-rotated"),
    "another whitelist": (on_key("PATCH", ips=["203.0.113.7"]), "ip-foreign"),
    "panic": (on_account("POST", "/panic", reason="a test"), "key-disabled"),
    "suspended": (on_account("POST", "/suspend", reason="a test"), "account-suspended"),
    "identity check withdrawn": (on_account("PUT", "/kyc", kyc="rejected"), "account-unverified"),
    "last factor removed": (on_account("DELETE", "/totp"), "account-unverified"),
    "account erased": (on_account("DELETE", ""), "key-deleted"),
}


def deaf(venue: Venue, listen_key: str) -> bool:
    """Whether a listenKey opens nothing: it is refused, or, forgotten, is a stream of nobody."""
    try:
        with stream(venue, f"/ws/{listen_key}") as heard:
            return all(event["e"] == "listenKeyExpired" for event in heard.until_quiet())
    except InvalidStatus as refused:
        return refused.response.status_code == 401


@pytest.mark.parametrize("name", ENDINGS)
def test_a_key_that_ends_is_refused_on_its_next_call_and_its_open_stream_is_closed(
    lenient_venue: Venue, name: str
) -> None:
    end, reason = ENDINGS[name]
    key = lenient_venue.key(permissions=EVERYTHING)
    call = Caller(lenient_venue.url, key)
    text = listen_key(call)
    assert call("GET", "/api/v3/account").status == 200
    with stream(lenient_venue, f"/ws/{text}") as heard:
        end(lenient_venue, key)
        begun = time.monotonic()
        answer = call("GET", "/api/v3/account")
        assert (answer.status, answer.code) == (401, -2015)
        assert lenient_venue.last_call(key)["reason"] == reason
        heard.ended(timeout=20)  # with no request from the client
        # A second is promised; a busy machine is given more, and a server that waits for a request never comes.
        assert time.monotonic() - begun < 15
    assert deaf(lenient_venue, text)


def test_a_stream_outlives_what_does_not_concern_its_key(lenient_venue: Venue) -> None:
    key = lenient_venue.key(permissions=EVERYTHING)
    other = lenient_venue.key(email=key.email)
    call = Caller(lenient_venue.url, key)
    with stream(lenient_venue, f"/ws/{listen_key(call)}") as heard:
        lenient_venue.ask("PATCH", f"/keys/{key.api_key}", {"label": "another name", "permissions": ["reading"]})
        lenient_venue.ask("PATCH", f"/keys/{key.api_key}", {"ips": ["127.0.0.1"]})
        lenient_venue.delete_key(other)
        lenient_venue.fund(key.email, USDT="1")
        assert heard.hear()["e"] in ("balanceUpdate", "outboundAccountPosition")


@pytest.mark.parametrize("name", [one for one in ENDINGS if one not in ("another whitelist",)])
def test_what_ended_for_good_does_not_come_back_by_an_edit(lenient_venue: Venue, name: str) -> None:
    end, _ = ENDINGS[name]
    key = lenient_venue.key(permissions=EVERYTHING)
    end(lenient_venue, key)
    for body in ({"label": "again"}, {"ips": ["127.0.0.1"]}, {"permissions": ["reading", "futures"]}):
        with suppress(Refused):  # where there is nothing left to edit
            lenient_venue.ask("PATCH", f"/keys/{key.api_key}", body)
    if name in ("identity check withdrawn", "last factor removed"):
        lenient_venue.ask("PATCH", f"/keys/{key.api_key}", {"permissions": ["spot-and-margin-trading"]})
    assert Caller(lenient_venue.url, key)("GET", "/api/v3/account").code == -2015


def test_a_key_without_the_right_to_trade_reads_on_when_the_identity_check_is_withdrawn(lenient_venue: Venue) -> None:
    reader = lenient_venue.key(permissions=["reading"])
    trader = lenient_venue.key(email=reader.email)
    lenient_venue.ask("PUT", f"/accounts/{reader.email}/kyc", {"kyc": "none"})
    assert Caller(lenient_venue.url, reader)("GET", "/api/v3/account").status == 200
    assert Caller(lenient_venue.url, trader)("GET", "/api/v3/account").code == -2015
    lenient_venue.ask("PUT", f"/accounts/{reader.email}/kyc", {"kyc": "approved"})
    assert Caller(lenient_venue.url, trader)("GET", "/api/v3/account").status == 200


# --- time ------------------------------------------------------------------------------------------------------------


def test_ninety_days_end_a_key_without_whitelist_and_no_toggling_gives_it_more(venue: Venue) -> None:
    """`tests/unit/access/test_expiry.py` and `test_gate.py` have the microsecond."""
    email = venue.account()
    plain, lifted, toggled, late = (venue.key(email=email, ips=[]) for _ in range(4))
    day_ms = 86_400_000

    def expiry(key: Credentials) -> int | None:
        found: int | None = venue.ask("GET", f"/keys/{key.api_key}")["expiryTime"]
        return found

    def created(key: Credentials) -> int:
        return int(venue.ask("GET", f"/keys/{key.api_key}")["createTime"])

    for key in (plain, lifted, toggled, late):
        assert expiry(key) == created(key) + 90 * day_ms
    venue.clock.advance("50d")
    venue.ask("PATCH", f"/keys/{lifted.api_key}", {"ips": ["127.0.0.0/8"]})
    assert expiry(lifted) is None
    venue.ask("PATCH", f"/keys/{toggled.api_key}", {"ips": ["127.0.0.0/8"]})
    venue.clock.advance("1d")
    venue.ask("PATCH", f"/keys/{toggled.api_key}", {"ips": []})
    from_removal = expiry(toggled)
    assert from_removal is not None
    # From the moment of the removal, not from the creation, and not from the addition.
    assert abs(from_removal - (created(toggled) + (51 + 90) * day_ms)) < day_ms // 2
    venue.clock.advance("39d")
    call = {key: Caller(venue.url, key) for key in (plain, lifted, toggled, late)}
    assert [call[key]("GET", "/api/v3/account").status for key in (plain, lifted, toggled)] == [401, 200, 200]
    assert venue.last_call(plain)["reason"] == "key-expired"
    # Expired is final: no list lifts it any more.
    for body in ({"ips": ["127.0.0.0/8"]}, {"ips": []}, {"label": "young again"}):
        with pytest.raises(Refused):
            venue.ask("PATCH", f"/keys/{late.api_key}", body)
    assert call[late]("GET", "/api/v3/account").status == 401
    venue.clock.advance("52d")
    assert [call[key]("GET", "/api/v3/account").status for key in (lifted, toggled)] == [200, 401]


@pytest.mark.parametrize("duration", ["-1d", "0s", "-250ms", "1000000d"])
def test_time_goes_ahead_within_reason_or_not_at_all(lenient_venue: Venue, duration: str) -> None:
    key = lenient_venue.key(ips=[])
    before = lenient_venue.clock.show()
    with pytest.raises(Refused):
        lenient_venue.clock.advance(duration)
    assert Caller(lenient_venue.url, key)("GET", "/api/v3/account").status == 200
    assert lenient_venue.clock.show().keys() == before.keys()


# --- rotation --------------------------------------------------------------------------------------------------------


def rotate(venue: Venue, key: Credentials, overlap: str) -> Credentials:
    document = venue.ask("POST", f"/keys/{key.api_key}/rotate", {"overlap": overlap})
    return key._replace(api_key=document["apiKey"], secret=document["secretKey"])


def test_a_rotated_key_and_its_replacement_both_call_until_the_deadline_and_the_replacement_after_it(
    venue: Venue,
) -> None:
    old = venue.key(permissions=["reading", "futures"], ips=["127.0.0.1"])
    new = rotate(venue, old, "24h")
    calls = [Caller(venue.url, key) for key in (old, new)]
    assert [call("GET", "/api/v3/account").status for call in calls] == [200, 200]
    documents = [venue.ask("GET", f"/keys/{key.api_key}") for key in (old, new)]
    for field in ("label", "type", "permissions", "ips"):
        assert documents[0][field] == documents[1][field]
    venue.clock.advance("23h")
    venue.clock.advance("30m")
    assert [call("GET", "/api/v3/account").status for call in calls] == [200, 200]
    with stream(venue, f"/ws/{listen_key(calls[0])}") as heard:
        venue.clock.advance("30m")
        assert [call("GET", "/api/v3/account").status for call in calls] == [401, 200]
        heard.ended(timeout=20)
    assert venue.last_call(old)["reason"] == "key-rotated"
    assert Caller(venue.url, new, "127.0.0.2")("GET", "/api/v3/account").status == 401


def test_an_overlap_never_outlives_the_old_keys_own_end(venue: Venue) -> None:
    old = venue.key(ips=[])
    end = venue.ask("GET", f"/keys/{old.api_key}")["expiryTime"]
    venue.clock.advance("89d")
    rotate(venue, old, "30d")
    assert venue.ask("GET", f"/keys/{old.api_key}")["expiryTime"] <= end
    venue.clock.advance("1d")
    assert Caller(venue.url, old)("GET", "/api/v3/account").status == 401


def test_a_rotation_sent_again_makes_no_third_key(lenient_venue: Venue) -> None:
    old = lenient_venue.key()
    rotate(lenient_venue, old, "24h")
    with pytest.raises(Refused):
        rotate(lenient_venue, old, "24h")
    assert len(lenient_venue.ask("GET", f"/accounts/{old.email}/keys")) == 2
