"""Who may open a stream and listen to an account: asked at the door, and again whenever the answer may have changed."""

from __future__ import annotations

from collections.abc import Callable

from sparekey.access.gate import Gate
from sparekey.access.limits import IpLedger
from sparekey.access.state import AccessState
from sparekey.sequencer.clocks import Clocks
from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.listen_keys import ListenKey, ListenKeys


class StreamDoor:
    """`listen_keys` are the desk's. A listenKey is worth what the API key that asked for it is worth."""

    def __init__(
        self, gate: Gate, ledger: IpLedger, access: AccessState, clocks: Clocks, listen_keys: ListenKeys
    ) -> None:
        self._gate = gate
        self._ledger = ledger
        self._access = access
        self.clocks = clocks
        self.listen_keys = listen_keys
        #: Told of each connection that is ended: id of the key that may no longer read (0: none), and address.
        self.on_end: Callable[[int, str], object] = lambda key_id, ip: None
        #: new connections per address in the present window (spot: 300 in 5 minutes)
        self._limit = ledger.policy.families["spot"].connections if ledger.policy.enforced else None
        self._window = -1
        self._connected: dict[tuple[str, str], int] = {}

    def enter(self, ip: str, service: str = "streams") -> Refusal | None:
        """A new connection: is its address banned, and does it connect too often to this service?"""
        banned = self.banned(ip)
        limit = self._limit
        if banned is not None or limit is None:
            return banned
        window = self.clocks.wire_us() // limit.window_us
        if window != self._window:
            # As with weight (`access.limits`): a clock that was set back gives nobody a window anew.
            if window > self._window:
                self._connected = {}
            self._window = window
        caller = (service, ip)
        count = self._connected[caller] = self._connected.get(caller, 0) + 1
        return Refusal(Reason.IP_RAW_REQUESTS_EXCEEDED, (limit.limit, limit.window)) if count > limit.limit else None

    def banned(self, ip: str) -> Refusal | None:
        if not self._ledger.bans:
            return None
        return self._ledger.ban_on(ip, self.clocks.wire_us(), self.clocks.policy_us())

    def find(self, name: str) -> ListenKey | None:
        """The live listenKey of this name."""
        return self.listen_keys.find(name, self.clocks.policy_us())

    def judge(self, key: ListenKey, ip: str) -> Refusal | None:
        """None: the API key behind it may read, from this address, now."""
        return self.judge_key(key.key_id, ip)

    def judge_key(self, key_id: int, ip: str) -> Refusal | None:
        outcome = self._gate.identify(ip, self._access.keys[key_id].header, Permission.READING, self.clocks.policy_us())
        return outcome if isinstance(outcome, Refusal) else None

    def api_key(self, key: ListenKey) -> str:
        """For the call log."""
        return self._access.keys[key.key_id].api_key
