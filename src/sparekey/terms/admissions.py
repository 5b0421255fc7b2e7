"""An admission: the gate's stamp on a command, good for one account, one key and one state of the access shard."""

from __future__ import annotations

import msgspec


class Admission(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`access_seq` is the access shard's sequence that the gate looked at; a shard that holds a newer fence for the
    key refuses the command. After `not_after_us` (policy clock) the admission is void."""

    account_id: int
    key_id: int
    access_seq: int
    not_after_us: int


#: What the operator does for an account in sandbox mode; journaled as such.
OPERATOR_KEY_ID = 0


def operator_admission(account_id: int) -> Admission:
    """The admission of an operator acting for an account: no key, never fenced."""
    return Admission(account_id, OPERATOR_KEY_ID, 2**62, 2**62)
