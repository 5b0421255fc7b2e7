"""Who is banned, and how an operator lets somebody back in early."""

from __future__ import annotations

from typing import Any

from sparekey.access.limits import IpLedger
from sparekey.sequencer.clocks import Clocks
from sparekey.terms.clocktime import MILLISECOND_US


class Bans:
    """Addresses in documents are spelled as in the call log."""

    def __init__(self, ledger: IpLedger, clocks: Clocks) -> None:
        self._ledger = ledger
        self._clocks = clocks

    def list(self) -> list[dict[str, Any]]:
        """Bans that run now, by address. `untilMs` is policy time; `level` 1 is the shortest."""
        return [
            {"ip": ip, "untilMs": ban.until_us // MILLISECOND_US, "level": ban.level + 1}
            for ip, ban in self._ledger.current_bans(self._clocks.policy_us())
        ]

    def lift(self, ip: str) -> bool:
        """End the address's ban and forget that there was one; False if it is not banned."""
        banned = any(ip == other for other, _ in self._ledger.current_bans(self._clocks.policy_us()))
        return banned and self._ledger.lift(ip)
