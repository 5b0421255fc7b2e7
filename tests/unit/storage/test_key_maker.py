"""What makes keys: secrets are sealed before they are told, and forgotten when nothing can bring their key back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sparekey.access.credentials import has_valid_checksum
from sparekey.storage.key_maker import KeyMaker
from sparekey.storage.vault import SecretUnavailable, Vault


@pytest.fixture
def vault() -> Vault:
    return Vault(":memory:", bytes(32))


def durable(send: Callable[[], None]) -> bool:
    return True


def test_a_secret_is_sealed_under_its_account_when_it_is_told(vault: Vault) -> None:
    maker = KeyMaker(vault, durable)
    api_key = maker.make_api_key()
    secret, vault_id = maker.make_secret(7, api_key)
    assert has_valid_checksum(api_key) and has_valid_checksum(secret)
    assert vault_id == f"hmac-secret/account-7/{api_key}"
    assert vault.open(vault_id) == secret.encode()
    assert (maker.make_api_key(), maker.make_secret(7, api_key)[0]) != (api_key, secret)


def test_a_secret_is_forgotten_at_once_where_all_is_durable(vault: Vault) -> None:
    maker = KeyMaker(vault, durable)
    _, vault_id = maker.make_secret(7, "K")
    maker.forget(vault_id)
    with pytest.raises(SecretUnavailable):
        vault.open(vault_id)


def test_a_secret_outlives_its_keys_deletion_until_that_is_durable(vault: Vault) -> None:
    waiting: list[Callable[[], None]] = []

    def not_yet(send: Callable[[], None]) -> bool:
        waiting.append(send)
        return False

    maker = KeyMaker(vault, not_yet)
    secret, vault_id = maker.make_secret(7, "K")
    maker.forget(vault_id)
    assert vault.open(vault_id) == secret.encode()  # a crash now brings the key back, and with it needs its secret
    (commit,) = waiting
    commit()
    with pytest.raises(SecretUnavailable):
        vault.open(vault_id)


def test_an_address_is_found_by_its_digest_and_opens_under_its_account(vault: Vault) -> None:
    maker = KeyMaker(vault, durable)
    maker.seal_email(7, "desk1_virtual@abcnoemail.com")
    assert maker.email_of(7) == "desk1_virtual@abcnoemail.com"
    assert maker.digest_of("desk1_virtual@abcnoemail.com") == vault.digest("desk1_virtual@abcnoemail.com")
    assert maker.email_of(8) == ""
    vault.erase("account-7")
    assert maker.email_of(7) == ""


def test_drawn_letters_are_lower_case_and_never_the_same(vault: Vault) -> None:
    maker = KeyMaker(vault, durable)
    drawn = {maker.random_letters(8) for _ in range(100)}
    assert len(drawn) == 100
    assert all(len(text) == 8 and text.islower() and text.isascii() and text.isalpha() for text in drawn)
