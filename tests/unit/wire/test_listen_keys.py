"""Listen keys: an hour each, one per API key, of no use to another account."""

from __future__ import annotations

from sparekey.wire.listen_keys import VALIDITY_US, ListenKeys

MINE, OTHERS = 100_000_001, 100_000_002


def test_asking_again_within_the_hour_gives_the_same_key_a_fresh_hour() -> None:
    keys = ListenKeys()
    text = keys.open("spot", MINE, 1, 0)
    assert len(text) == 64
    assert keys.open("spot", MINE, 1, VALIDITY_US - 1) == text
    assert keys.find(text, 2 * VALIDITY_US - 2) is not None


def test_a_key_that_nobody_keeps_alive_is_gone_after_an_hour() -> None:
    keys = ListenKeys()
    text = keys.open("spot", MINE, 1, 0)
    assert keys.find(text, VALIDITY_US) is None
    assert not keys.keep_alive(text, MINE, VALIDITY_US)
    assert keys.open("spot", MINE, 1, VALIDITY_US) != text


def test_each_keep_alive_starts_the_hour_anew() -> None:
    keys = ListenKeys()
    text = keys.open("spot", MINE, 1, 0)
    assert keys.keep_alive(text, MINE, VALIDITY_US - 1)
    assert keys.find(text, 2 * VALIDITY_US - 2) is not None


def test_another_account_can_neither_keep_nor_close_a_key() -> None:
    keys = ListenKeys()
    text = keys.open("spot", MINE, 1, 0)
    assert not keys.keep_alive(text, OTHERS, 1)
    assert not keys.close(text, OTHERS, 1)
    assert keys.find(text, 1) is not None


def test_a_closed_key_is_unknown_and_the_next_one_is_new() -> None:
    keys = ListenKeys()
    text = keys.open("spot", MINE, 1, 0)
    assert keys.close(text, MINE, 1)
    assert keys.find(text, 1) is None
    assert not keys.close(text, MINE, 1)
    assert keys.open("spot", MINE, 1, 1) != text


def test_two_api_keys_of_an_account_have_a_key_each_and_either_may_keep_or_close_it() -> None:
    keys = ListenKeys()
    first, second = keys.open("spot", MINE, 1, 0), keys.open("spot", MINE, 2, 0)
    assert first != second
    assert keys.keep_alive(first, MINE, 1)
    held = keys.find(second, 1)
    assert held is not None and held.key_id == 2
    assert keys.close(second, MINE, 1)
    assert held.closed
    assert keys.find(first, 1) is not None


def test_what_a_revoked_api_key_opened_is_gone_and_nothing_else() -> None:
    keys = ListenKeys()
    mine, other = keys.open("spot", MINE, 1, 0), keys.open("spot", MINE, 2, 0)
    keys.revoke(1)
    assert keys.find(mine, 1) is None
    assert not keys.keep_alive(mine, MINE, 1)
    assert keys.find(other, 1) is not None
    assert keys.open("spot", MINE, 1, 1) != mine
