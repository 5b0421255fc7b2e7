"""Transfers between accounts of one master: what was moved, and under which id a caller may ask for it again.

The newest of each master are kept, so that the state does not grow for ever; what is forgotten stays in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

#: Of each master. At the documented weight of a transfer, an account can make 500 in a minute.
TRANSFERS_KEPT = 10_000


class Transfer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`amount` in 1e-8 units. `client_transfer_id` is empty where the caller sent none."""

    transfer_id: int
    time_us: int
    master_id: int
    from_account_id: int
    to_account_id: int
    asset: str
    amount: int
    client_transfer_id: str


class Transfers:
    """Ids count over all masters."""

    __slots__ = ("_by_client_id", "_by_master", "next_id")

    def __init__(self) -> None:
        self.next_id = 1
        #: master → transfers, ascending
        self._by_master: dict[int, list[Transfer]] = {}
        #: [derived] (master, client id) → the transfer, while it is kept
        self._by_client_id: dict[tuple[int, str], Transfer] = {}

    def of(self, master_id: int) -> Sequence[Transfer]:
        """What is kept of a master's transfers, oldest first."""
        return self._by_master.get(master_id, ())

    def find(self, master_id: int, client_transfer_id: str) -> Transfer | None:
        return self._by_client_id.get((master_id, client_transfer_id))

    def add(self, transfer: Transfer) -> None:
        self.next_id = max(self.next_id, transfer.transfer_id + 1)
        kept = self._by_master.setdefault(transfer.master_id, [])
        kept.append(transfer)
        if transfer.client_transfer_id:
            self._by_client_id[transfer.master_id, transfer.client_transfer_id] = transfer
        if len(kept) > TRANSFERS_KEPT:
            oldest = kept.pop(0)
            if oldest.client_transfer_id:
                self._by_client_id.pop((oldest.master_id, oldest.client_transfer_id), None)

    # --- writing down --------------------------------------------------------------------------------------------

    def dump(self) -> list[Any]:
        """Empty before the first transfer, as a state of before there were any."""
        if self.next_id == 1:
            return []
        kept = [msgspec.to_builtins(one) for _, own in sorted(self._by_master.items()) for one in own]
        return [self.next_id, kept]

    def load(self, data: Any) -> None:
        """What `dump` wrote."""
        self.next_id = 1
        self._by_master.clear()
        self._by_client_id.clear()
        if data:
            for row in data[1]:
                self.add(msgspec.convert(row, Transfer))
            self.next_id = data[0]
