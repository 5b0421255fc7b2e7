"""Makes what a new key or account needs and what must be sealed before the journal names it: secrets, addresses.

Entropy and the vault meet here, for everyone who creates keys. A secret that was sealed for nothing is forgotten again.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable

from sparekey.access.credentials import ENTROPY_BYTES, api_key_from, secret_from
from sparekey.storage.vault import SecretUnavailable, Vault

_SECRETS = "hmac-secret"


class KeyMaker:
    """`when_durable` is the sequencer's: it calls back once all that happened so far is durable, or says that it is."""

    def __init__(self, vault: Vault, when_durable: Callable[[Callable[[], None]], bool]) -> None:
        self._vault = vault
        self._when_durable = when_durable

    def make_api_key(self) -> str:
        return api_key_from(secrets.token_bytes(ENTROPY_BYTES))

    def make_secret(self, account_id: int, api_key: str) -> tuple[str, str]:
        """A new HMAC secret, and the vault id under which it is sealed; durable on return."""
        secret = secret_from(secrets.token_bytes(ENTROPY_BYTES))
        return secret, self._vault.seal(_subject(account_id), _SECRETS, api_key, secret.encode())

    def forget(self, vault_id: str) -> None:
        """Once all that happened so far is durable, so that no living key loses its secret to a crash."""
        if self._when_durable(lambda: self._vault.forget(vault_id)):
            self._vault.forget(vault_id)

    def forget_leftovers(self, is_deleted: Callable[[str], bool]) -> int:
        """Secrets of keys whose deletion was durable when the last process ended, and forgetting them was not.

        Only those: a key that the state does not know may be one of a newer journal that its owner puts back. How
        many there were.
        """
        left = [(subject, api_key) for subject, api_key in self._vault.names(_SECRETS) if is_deleted(api_key)]
        for subject, api_key in left:
            self._vault.forget(f"{_SECRETS}/{subject}/{api_key}")
        return len(left)

    # --- addresses ---------------------------------------------------------------------------------------------------

    def digest_of(self, email: str) -> str:
        """What look-ups go by; of an address in lower case."""
        return self._vault.digest(email)

    def seal_email(self, account_id: int, email: str) -> str:
        """The vault id. `account_id` may be of the account that will come into being."""
        return self._vault.seal(_subject(account_id), "email", "address", email.encode())

    def email_of(self, account_id: int) -> str:
        """Empty where the vault holds none: of an erased account nothing is left but its number."""
        try:
            return self._vault.open(f"email/{_subject(account_id)}/address").decode()
        except SecretUnavailable:
            return ""

    def random_letters(self, count: int) -> str:
        return "".join(secrets.choice(string.ascii_lowercase) for _ in range(count))


def _subject(account_id: int) -> str:
    return f"account-{account_id}"
