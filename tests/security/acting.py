"""Commands to the access shard of a running server, through its one writer: what a management side would send."""

from __future__ import annotations

from typing import Any

from sparekey.access.state import Account, Key
from sparekey.terms.refusals import Refusal
from tests.venue import Credentials, Venue


def act(venue: Venue, command: object) -> Any:
    """Its events, durable; or the refusal."""

    async def submit() -> Any:
        outcome = venue._running._sequencer.submit("access", command)
        if not isinstance(outcome, Refusal):
            await venue._running._management._durable()
        return outcome

    return venue._await(submit())


def key_of(venue: Venue, credentials: Credentials) -> Key:
    key = venue._running._access.key_by_api_key(credentials.api_key)
    assert key is not None
    return key


def account_of(venue: Venue, credentials: Credentials) -> Account:
    return venue._running._access.accounts[key_of(venue, credentials).account_id]
