"""Routes that restrict a managed key to addresses. A master's and a broker's do the same and spell it differently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from sparekey.access.state import Key
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.managed_keys import restrict, unlist, unrestrict

_encode = msgspec.json.Encoder().encode

#: `status` of a restriction: open to any address, trusted addresses only, or a third party's.
OPEN, TRUSTED, THIRD_PARTY = "1", "2", "3"

ADDRESSES_MISSING = Refusal(Reason.PARAMETER_MISSING, ("ipAddress",))
ADDRESSES_NOT_REQUIRED = Refusal(Reason.PARAMETER_NOT_REQUIRED, ("ipAddress",))
#: Nobody is known here whose addresses a key could be bound to.
THIRD_PARTY_UNKNOWN = Refusal(Reason.PARAMETER_INVALID, ("thirdPartyName",))

Document = dict[str, Any]


class Spelling(NamedTuple):
    """How a family names a key and writes the replies: the restriction as it is, what the second version's change
    answers, and what is answered to addresses that were listed and taken off."""

    named_key: Callable[[Desk, Call], Key | Refusal]
    shown: Callable[[Call, Key], Document]
    changed: Callable[[Call, Key], Document]
    listed: Callable[[Call, Key], Document]
    unlisted: Callable[[Call, Key], Document]


class Restrictions:
    """The handlers of a family."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling

    def show(self, desk: Desk, call: Call) -> bytes | Refusal:
        """GET …/ipRestriction"""
        key = self._spelling.named_key(desk, call)
        return key if isinstance(key, Refusal) else _encode(self._spelling.shown(call, key))

    def change(self, desk: Desk, call: Call) -> bytes | Refusal:
        """POST …/ipRestriction of the second version: add trusted addresses, or open the key to any."""
        key = self._spelling.named_key(desk, call)
        if isinstance(key, Refusal):
            return key
        status, addresses = call.values["status"], call.values["ipAddress"]
        if status == THIRD_PARTY:
            return THIRD_PARTY_UNKNOWN
        if status == OPEN and addresses:
            return ADDRESSES_NOT_REQUIRED
        refusal = restrict(desk, call, key, addresses or ()) if status == TRUSTED else unrestrict(desk, call, key)
        return refusal or _encode(self._spelling.changed(call, key))

    def switch(self, desk: Desk, call: Call) -> bytes | Refusal:
        """POST …/ipRestriction of the first version: on or off. Turned on without addresses, nobody may call."""
        key = self._spelling.named_key(desk, call)
        if isinstance(key, Refusal):
            return key
        refusal = restrict(desk, call, key) if call.values["ipRestrict"] else unrestrict(desk, call, key)
        return refusal or _encode(self._spelling.shown(call, key))

    def list_addresses(self, desk: Desk, call: Call) -> bytes | Refusal:
        """POST …/ipRestriction/ipList: add addresses."""
        key = self._spelling.named_key(desk, call)
        if isinstance(key, Refusal):
            return key
        refusal = restrict(desk, call, key, call.values["ipAddress"])
        return refusal or _encode(self._spelling.listed(call, key))

    def unlist_addresses(self, desk: Desk, call: Call) -> bytes | Refusal:
        """DELETE …/ipRestriction/ipList"""
        key = self._spelling.named_key(desk, call)
        if isinstance(key, Refusal):
            return key
        refusal = unlist(desk, call, key, call.values["ipAddress"])
        return refusal or _encode(self._spelling.unlisted(call, key))
