"""The desk: all that a handler may look at or ask. Handlers get it with each call and keep nothing themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sparekey.access.limits import FamilyLimits, LimitPolicy
from sparekey.access.state import AccessState
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.ports import EXECUTIONS_A_RECORD
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.listing import SymbolRules
from sparekey.wire.listen_keys import ListenKeys
from sparekey.wire.ports import KeyMaker, MarketViews, OrderArchive, SpotView

_SYMBOL_UNKNOWN = Refusal(Reason.SYMBOL_UNKNOWN)

#: Asks a shard: `submit("spot", PlaceOrder(...))` → events or a refusal.
Submit = Callable[[str, Any], "Sequence[Any] | Refusal"]


class Desk:
    """`policy` is the profile of limits. `loopback_allowed`: whitelists of keys may hold loopback addresses (sandbox).

    `position` is where the journal stands with what was submitted last. What `cache` holds is derived and may be
    dropped at any time.
    """

    __slots__ = (
        "access",
        "archive",
        "cache",
        "clocks",
        "key_maker",
        "listen_keys",
        "loopback_allowed",
        "policy",
        "position",
        "spot",
        "submit",
        "views",
    )

    def __init__(
        self,
        *,
        submit: Submit,
        spot: SpotView,
        access: AccessState,
        archive: OrderArchive,
        views: MarketViews,
        clocks: Clocks,
        policy: LimitPolicy,
        key_maker: KeyMaker,
        loopback_allowed: bool,
        position: Callable[[], int],
    ) -> None:
        self.submit = submit
        self.spot = spot
        self.access = access
        self.archive = archive
        self.views = views
        self.clocks = clocks
        self.policy = policy
        self.key_maker = key_maker
        self.loopback_allowed = loopback_allowed
        self.position = position
        self.listen_keys = ListenKeys()
        self.cache: dict[Any, Any] = {}

    def rules(self, symbol: str) -> SymbolRules | Refusal:
        """A listed symbol's rules, or `SYMBOL_UNKNOWN`."""
        return self.spot.rules(symbol) or _SYMBOL_UNKNOWN

    def limits(self, family: str) -> FamilyLimits:
        return self.policy.families[family]

    def execution_id(self, number: int) -> int:
        """Of an execution in the record submitted last, as the user data stream and the archive tell it."""
        return self.position() * EXECUTIONS_A_RECORD + number

    def policy_us(self) -> int:
        return self.clocks.policy_us()
