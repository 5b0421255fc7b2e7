"""API keys and secrets: 64 letters and digits with a prefix that scanners find and a checksum that typos break."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.access.credentials import ENTROPY_BYTES, api_key_from, has_valid_checksum, is_mistyped, secret_from

ENTROPY = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@given(ENTROPY)
def test_credentials_have_the_form_that_clients_expect(entropy: bytes) -> None:
    key, secret = api_key_from(entropy), secret_from(entropy)
    assert re.fullmatch(r"sparekey[0-9A-Za-z]{56}", key)
    assert re.fullmatch(r"sparesec[0-9A-Za-z]{56}", secret)
    assert has_valid_checksum(key)
    assert has_valid_checksum(secret)


@given(ENTROPY, st.integers(8, 63), st.sampled_from(ALPHABET))
def test_one_wrong_character_breaks_the_checksum(entropy: bytes, place: int, character: str) -> None:
    key = api_key_from(entropy)
    wrong = key[:place] + character + key[place + 1 :]
    assert has_valid_checksum(wrong) is (wrong == key)


@given(ENTROPY, st.integers(8, 62))
def test_two_exchanged_neighbours_break_the_checksum(entropy: bytes, place: int) -> None:
    key = api_key_from(entropy)
    wrong = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    assert has_valid_checksum(wrong) is (wrong == key)


@given(st.lists(ENTROPY, min_size=2, max_size=20, unique=True))
def test_other_entropy_gives_other_credentials(entropies: list[bytes]) -> None:
    assert len({api_key_from(entropy) for entropy in entropies}) == len(entropies)


@pytest.mark.parametrize("length", [0, 32, 47, 49])
def test_too_little_or_too_much_entropy_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="48 bytes of entropy"):
        api_key_from(bytes(length))


@pytest.mark.parametrize("text", ["", "sparekey", "é" * 64, "sparekey" + "é" * 56, "a" * 64, "sparekey" + "0" * 57])
def test_what_is_not_ours_has_no_valid_checksum(text: str) -> None:
    assert not has_valid_checksum(text)


@given(ENTROPY, st.integers(8, 63), st.sampled_from(ALPHABET))
def test_a_mistyped_api_key_is_told_without_a_look_up(entropy: bytes, place: int, character: str) -> None:
    key = api_key_from(entropy)
    wrong = key[:place] + character + key[place + 1 :]
    assert is_mistyped(wrong.encode()) is (wrong != key)


@given(ENTROPY)
def test_a_key_of_ours_is_not_mistyped_and_others_have_nothing_to_mistype(entropy: bytes) -> None:
    key = api_key_from(entropy)
    assert not is_mistyped(key.encode())
    for other in (b"a" * 64, secret_from(entropy).encode(), key[:-1].encode(), key.encode() + b"0", b"", b"\xff" * 64):
        assert not is_mistyped(other)
    assert is_mistyped(b"sparekey" + b"\xff" * 56)
