"""What identifies an account's holder: the e-mail address, as look-ups go by it, and where the vault keeps it."""

from __future__ import annotations

LONGEST_EMAIL = 254


def normalised_email(text: str) -> str | None:
    """Lower case, ASCII, one @, a dot in the domain: what look-ups go by, so that A@x.org and a@x.org are one.

    None for what is no address.
    """
    address = text.strip().lower()
    name, _, domain = address.rpartition("@")
    legal = (
        address.isascii() and address.isprintable() and not any(character in ' "<>,;:\\()[]' for character in address)
    )
    if not legal or not name or "@" in name or "." not in domain.strip(".") or len(address) > LONGEST_EMAIL:
        return None
    return address


def subject_of(account_id: int) -> str:
    """Whose data key seals what the vault holds of the account."""
    return f"account-{account_id}"


def email_vault_id(account_id: int) -> str:
    return f"email/{subject_of(account_id)}/address"
