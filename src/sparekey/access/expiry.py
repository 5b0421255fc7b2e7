"""How long a key lives: one object with the rules, so that nobody reckons an end of their own.

Ends are policy time in int microseconds; None means never. At its end a key is dead, one microsecond before it is not.
"""

from __future__ import annotations

import msgspec

from sparekey.terms.clocktime import DAY_US


class ExpiryPolicy(msgspec.Struct, frozen=True):
    """`life_us`: of a key that any address may use. `overlap_max_us`: for how long at most a key may go on beside its
    replacement."""

    life_us: int
    overlap_max_us: int

    def at_birth(self, whitelist: tuple[str, ...], now_us: int) -> int | None:
        """The end of a key that is made now."""
        return None if whitelist else now_us + self.life_us

    def after_edit(
        self, expires_us: int | None, before: tuple[str, ...], after: tuple[str, ...], now_us: int
    ) -> int | None:
        """The end of a living key whose whitelist changes from `before` to `after` now.

        Losing the whitelist starts a whole life from this moment, never from the key's birth; gaining one lifts the
        end. Whatever leaves the key with a whitelist, or without one, leaves its end alone.
        """
        if bool(before) == bool(after):
            return expires_us
        return self.at_birth(after, now_us)

    def retirement(self, dies_us: int, overlap_us: int, now_us: int) -> int:
        """The end of a key that is replaced now: after the overlap, and never later than it would have died anyway."""
        return min(now_us + overlap_us, dies_us)


#: Binance: a key without IP access restrictions expires after 90 days. The longest overlap is ours.
STANDARD = ExpiryPolicy(life_us=90 * DAY_US, overlap_max_us=30 * DAY_US)
