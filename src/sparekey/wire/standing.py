"""Whether an account may act through the API at all, as several routes tell it."""

from __future__ import annotations

from sparekey.access.state import AccessState


def may_act(access: AccessState, account_id: int) -> bool:
    """A sub-account may if its master, who was identified in its place, may as well."""
    account = access.accounts[account_id]
    guarantor = access.guarantor_of(account)
    return guarantor.verified and not account.suspended and not guarantor.suspended
