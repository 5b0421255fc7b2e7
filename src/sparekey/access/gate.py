"""The gate: every call passes it, and it asks in one order, cheap questions before dear ones.

Address banned, raw requests, weight (`enter`); then the caller parses the parameters; then key format, key, account,
expiry, address, permission, time and signature (`admit`). The order of Binance's own answers is not published; this
one follows what clients observe. Within `-2015` all answers look alike outside; the reasons tell the owner apart.

Times: `now_us` is the wire clock, skew fault included, which timestamps are compared with and which picks windows;
policy time, which knows no skew, decides expiry and bans.
"""

from __future__ import annotations

from collections.abc import Callable

from sparekey.access.credentials import is_mistyped
from sparekey.access.limits import Forecast, IpLedger
from sparekey.access.signatures import Verifiers, hmac_block, verify_hmac
from sparekey.access.state import AccessState, Key
from sparekey.terms.admissions import Admission
from sparekey.terms.clocktime import MILLISECOND_US, SECOND_US
from sparekey.terms.permissions import Permission, names_of
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: How far ahead a timestamp may be, exclusive (Binance spot REST, "Timing security": serverTime + 1 second).
AHEAD_US = SECOND_US

_KEY_MALFORMED = Refusal(Reason.KEY_MALFORMED)
_KEY_UNKNOWN = Refusal(Reason.KEY_UNKNOWN)
_KEY_MISTYPED = Refusal(Reason.KEY_MISTYPED)
#: A proxy that is trusted told an address that does not parse: whoever that is, no key is theirs.
_FROM_NOWHERE = Refusal(Reason.IP_FOREIGN, ("an address that cannot be read",))
_SECRET_UNAVAILABLE = Refusal(Reason.SECRET_UNAVAILABLE)
_BUDGET_EXCEEDED = Refusal(Reason.VERIFICATION_BUDGET_EXCEEDED)
# `mask & permission` would go through IntFlag's Python-level operator, which costs as much as the look-up of a key.
_both = int.__and__


class Gate:
    """`open_secret` opens the sealed secret of an HMAC key, or returns None where the vault cannot."""

    __slots__ = ("_keys", "_ledger", "_open_secret", "_state", "_verifiers", "used_weight")

    def __init__(self, state: AccessState, ledger: IpLedger, open_secret: Callable[[Key], bytes | None]) -> None:
        self._state = state
        self._keys = state.keys_by_api_key
        self._ledger = ledger
        self._open_secret = open_secret
        self._verifiers = Verifiers()
        #: Weight used by the address in the window of its last request, for the headers of the reply.
        self.used_weight = ledger.used_weight

    # --- before the parameters are parsed ----------------------------------------------------------------------------

    def enter(self, ip: str, weight: int, now_us: int, family: str = "spot", endpoint: str = "") -> Refusal | None:
        """Charge a request to its address: None, or `IP_BANNED`, `IP_RAW_REQUESTS_EXCEEDED`, `IP_WEIGHT_EXCEEDED`.

        `endpoint` tells the windows of `/sapi` apart, which has one for each.
        """
        ledger = self._ledger
        state = self._state
        policy_us = now_us - state.skew_us + state.policy_offset_us
        if ledger.bans:
            banned = ledger.ban_on(ip, now_us, policy_us)
            if banned is not None:
                return banned
        return ledger.charge(ip, weight, now_us, policy_us, family, endpoint)

    def retry_after_s(self, ip: str, now_us: int, family: str = "spot", endpoint: str = "") -> int:
        """Whole seconds for `Retry-After`: until the ban or the window ends."""
        state = self._state
        policy_us = now_us - state.skew_us + state.policy_offset_us
        return self._ledger.retry_after_s(ip, now_us, policy_us, family, endpoint)

    def forecast(self, ip: str, now_us: int, family: str = "spot", endpoint: str = "") -> Forecast | None:
        """How far the address is from being refused and banned; None if it is banned."""
        state = self._state
        policy_us = now_us - state.skew_us + state.policy_offset_us
        return self._ledger.forecast(ip, now_us, policy_us, family, endpoint)

    def cancels_used(self, ip: str) -> int:
        """How many of the cancels that are reserved for it the address has used."""
        return self._ledger.cancels_used(ip)

    @property
    def newest_ban(self) -> Refusal | None:
        """The refusal by which the newest ban was told. It is this very object only for the call that earned it."""
        return self._ledger.newest_ban

    def give_back(self, ip: str, weight: int, now_us: int, family: str = "spot", endpoint: str = "") -> None:
        """Take back a charge of `enter` (profiles where successful orders are free)."""
        self._ledger.give_back(ip, weight, now_us, family, endpoint)

    def charge_account(self, account_id: int, weight: int, now_us: int, endpoint: str) -> Refusal | None:
        """Charge `/sapi` weight to the account that was admitted (limiters by UID)."""
        return self._ledger.charge_account(account_id, weight, now_us, "sapi", endpoint)

    def used_account_weight(self, account_id: int, endpoint: str) -> int:
        return self._ledger.used_account_weight(account_id, "sapi", endpoint)

    # --- after the parameters are parsed -----------------------------------------------------------------------------

    def admit(
        self,
        ip: str,
        api_key: bytes | None,
        permission: Permission,
        timestamp_us: int,
        recv_window_us: int,
        payload: bytes,
        signature: str,
        now_us: int,
        policy_now_us: int,
    ) -> Admission | Refusal:
        """Judge a signed call. `payload` is what was signed, bytes as sent; `signature` is percent-decoded text."""
        key = self._keys.get(api_key) if api_key is not None else None
        if key is None:
            return _unknown(api_key)
        # The next questions are `_standing_of`, written out: a call of a function costs as much as all of them.
        if key.standing is not None:
            return key.standing
        if policy_now_us >= key.dies_us:
            return key.end
        if ip != key.caller:
            stranger = _stranger(key, ip)
            if stranger is not None:
                return stranger
        if _both(permission, key.permissions) != permission:
            return _permission_missing(key, permission)
        if timestamp_us >= now_us + AHEAD_US or now_us - timestamp_us > recv_window_us:
            return _untimely(timestamp_us, recv_window_us, now_us)
        block = key.hmac_block
        refusal = verify_hmac(block, payload, signature) if block else self._verify(key, payload, signature, ip, now_us)
        if refusal is not None:
            return refusal
        return Admission(key.account_id, key.key_id, self._state.seq, key.dies_us)

    def _verify(self, key: Key, payload: bytes, signature: str, ip: str, now_us: int) -> Refusal | None:
        """By a public key, within what the address may make us spend; or by a secret that is not open yet."""
        if key.key_type == "hmac":
            secret = self._open_secret(key)
            if not secret:
                return _SECRET_UNAVAILABLE
            key.hmac_block = hmac_block(secret)
            return verify_hmac(key.hmac_block, payload, signature)
        if self._ledger.verification_exhausted(ip, now_us):
            return _BUDGET_EXCEEDED
        verifier = key.verifier or self._verifiers.prepare(key)
        refusal = verifier.verify(payload, signature)
        if refusal is not None:
            self._ledger.charge_verification(ip, verifier.cost_us)
        return refusal

    def admit_again(
        self,
        ip: str,
        api_key: bytes | None,
        permission: Permission,
        timestamp_us: int,
        recv_window_us: int,
        now_us: int,
        policy_now_us: int,
    ) -> Admission | Refusal:
        """Judge a call of somebody who logged on before with a signature; all other questions are asked anew."""
        admission = self.identify(ip, api_key, permission, policy_now_us)
        if isinstance(admission, Refusal):
            return admission
        if timestamp_us >= now_us + AHEAD_US or now_us - timestamp_us > recv_window_us:
            return _untimely(timestamp_us, recv_window_us, now_us)
        return admission

    def identify(
        self, ip: str, api_key: bytes | None, permission: Permission, policy_now_us: int
    ) -> Admission | Refusal:
        """Judge a call that sends the key header only, without time and signature (the retired listenKey routes)."""
        key = self._keys.get(api_key) if api_key is not None else None
        if key is None:
            return _unknown(api_key)
        refusal = self._standing_of(key, ip, permission, policy_now_us)
        if refusal is not None:
            return refusal
        return Admission(key.account_id, key.key_id, self._state.seq, key.dies_us)

    def _standing_of(self, key: Key, ip: str, permission: Permission, policy_now_us: int) -> Refusal | None:
        if key.standing is not None:
            return key.standing
        if policy_now_us >= key.dies_us:
            return key.end
        if ip != key.caller:
            stranger = _stranger(key, ip)
            if stranger is not None:
                return stranger
        if _both(permission, key.permissions) != permission:
            return _permission_missing(key, permission)
        return None


def late_check(timestamp_us: int, recv_window_us: int, now_us: int) -> Refusal | None:
    """The second look at the clock, just before the engine: only age counts then (Binance spot REST, "Timing
    security": the check is repeated before the request is forwarded to the matching engine)."""
    if now_us - timestamp_us > recv_window_us:
        return _untimely(timestamp_us, recv_window_us, now_us)
    return None


def _unknown(api_key: bytes | None) -> Refusal:
    # Asked after the look-up, because a key that is known is well formed.
    if api_key is None or len(api_key) != 64 or not api_key.isalnum():
        return _KEY_MALFORMED
    # A stranger sees no difference; the owner's log tells a typing error from a deleted key.
    return _KEY_MISTYPED if is_mistyped(api_key) else _KEY_UNKNOWN


def _stranger(key: Key, ip: str) -> Refusal | None:
    """Why the address may not call with the key; if it may, it is noted, and its next call is not asked again."""
    if not ip:
        return _FROM_NOWHERE
    if key.allowlist is not None and not key.allowlist.contains(ip):
        return Refusal(Reason.IP_FOREIGN, (ip,))
    key.caller = ip
    return None


def _permission_missing(key: Key, permission: Permission) -> Refusal:
    missing = Permission(int(permission) & ~key.permissions)
    return Refusal(Reason.PERMISSION_MISSING, (" and ".join(names_of(missing)),))


def _untimely(timestamp_us: int, recv_window_us: int, now_us: int) -> Refusal:
    if timestamp_us >= now_us + AHEAD_US:
        return Refusal(Reason.TIMESTAMP_AHEAD, ((timestamp_us - now_us) // MILLISECOND_US,))
    behind_ms = -(-(now_us - timestamp_us) // MILLISECOND_US)
    return Refusal(Reason.TIMESTAMP_TOO_OLD, (behind_ms, recv_window_us // MILLISECOND_US))
