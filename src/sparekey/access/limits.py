"""Limits as data, and the ledger that counts what each address used.

A profile says how much weight an address may use, how many orders an account may place, what is charged, and when an
address is banned. Windows are fixed and aligned to UTC (Binance spot REST, "General information on rate limits"), and
what is refused is charged as well, so that the used weight in the headers goes on growing past the limit.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_duration_us
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

_INTERVAL_US = {"SECOND": SECOND_US, "MINUTE": MINUTE_US, "HOUR": HOUR_US, "DAY": DAY_US}

FAMILIES = ("spot", "sapi", "fapi", "dapi")


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """`limit` units in each `interval_count` × `interval` (SECOND, MINUTE, HOUR or DAY)."""

    interval: str
    interval_count: int
    limit: int

    @property
    def window_us(self) -> int:
        return self.interval_count * _INTERVAL_US[self.interval]

    @property
    def window(self) -> str:
        """As Binance's messages spell it: `1 MINUTE`."""
        return f"{self.interval_count} {self.interval}"


class FamilyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limiters of one API family; None where the family has no such limiter.

    `weight` and `raw_requests` count per address and end a minute or a multiple of it. With `per_endpoint`, every
    endpoint has a weight window of its own, by address (`weight`) or by account (`account_weight`), as `/sapi` has.
    `orders` count per account in the venue. `connections` count new WebSocket API connections per address.
    """

    weight: Limit
    raw_requests: Limit | None = None
    account_weight: Limit | None = None
    per_endpoint: bool = False
    orders: tuple[Limit, ...] = ()
    connections: Limit | None = None


class BanRules(msgspec.Struct, frozen=True, kw_only=True):
    """An address that was answered 429 `refusals` times in a window is banned with its next request.

    The first ban lasts `steps_us[0]`; each further one a step more, and every `decay_us` without a ban a step less.
    """

    refusals: int
    steps_us: tuple[int, ...]
    decay_us: int


class LimitPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A profile. `enforced` is false where everything is counted and shown, and nothing refused.

    `weights` names the table of endpoint weights. `gives_back`: an order's first fill gives its count back.
    `free_on_success`: placing and cancelling charge no weight unless they fail. `verification_budget_us`: time a
    minute that an address may make us spend on signatures that turn out wrong. `reserved_cancels`: how many cancels of
    an address are let through although it is over a limit; never those of a banned one. Binance has no such thing.
    """

    name: str
    enforced: bool
    weights: str
    gives_back: bool
    free_on_success: bool
    verification_budget_us: int
    bans: BanRules
    families: dict[str, FamilyLimits]
    reserved_cancels: Limit | None = None


def parse_profile(text: str) -> LimitPolicy:
    """The text of a profile (TOML) → the policy. ValueError or msgspec.ValidationError names what is wrong."""
    data = tomllib.loads(text)
    bans = data["bans"]
    bans["steps_us"] = [parse_duration_us(step) for step in bans.pop("steps")]
    bans["decay_us"] = parse_duration_us(bans.pop("decay"))
    data["verification_budget_us"] = parse_duration_us(data.pop("verification_budget"))
    policy = msgspec.convert(data, LimitPolicy)
    for name in FAMILIES:
        if name not in policy.families:
            raise ValueError(f"the profile {policy.name} lacks the family {name}")
        family = policy.families[name]
        for limit in (family.weight, family.raw_requests, family.account_weight, family.connections, *family.orders):
            if limit is not None and not _is_possible(limit):
                raise ValueError(f"the profile {policy.name} has an impossible limit in the family {name}: {limit}")
    if policy.reserved_cancels is not None and not _is_possible(policy.reserved_cancels):
        raise ValueError(f"the profile {policy.name} reserves an impossible number of cancels")
    rules = policy.bans
    if rules.refusals < 1 or not rules.steps_us or min(rules.steps_us) < 1 or rules.decay_us < 1:
        raise ValueError(f"the profile {policy.name} has impossible ban rules")
    return policy


def _is_possible(limit: Limit) -> bool:
    return limit.interval in _INTERVAL_US and limit.limit > 0 and limit.interval_count > 0


class Ban(msgspec.Struct):
    """`level` counts from 0 and picks the step; `until_us` is policy time. Kept for a while after its end."""

    level: int
    until_us: int


class Forecast(NamedTuple):
    """How far an address is from being refused and banned: weight (or raw requests) and refusals that are left,
    seconds until the window starts anew, and how long the ban would last."""

    left: int
    refusals_left: int
    resets_s: int
    ban_s: int


class Usage(NamedTuple):
    """What an address, or an account by its number, used of a limiter in the window that runs."""

    family: str
    limiter: str
    endpoint: str
    subject: str
    used: int
    limit: int
    window: str


class _Window:
    """What each address used in the present window of one limiter. A new window starts with nothing: memory holds
    the addresses of one window only."""

    __slots__ = ("number", "over", "refusals", "used", "window_us")

    def __init__(self, limit: Limit) -> None:
        self.window_us = limit.window_us
        self.number = -1
        self.used: dict[Any, int] = {}
        #: how often each address over the limit was refused
        self.refusals: dict[Any, int] = {}
        self.over = limit.limit

    def roll(self, number: int) -> None:
        # A host clock set back must neither keep a full window full for an hour nor empty it: what was used counts in
        # the window that the clock shows now, and is forgotten with it.
        if number > self.number:
            self.used = {}
            self.refusals = {}
        self.number = number


_Count = Annotated[int, msgspec.Meta(ge=0)]
_ByIp = list[tuple[str, _Count, _Count]]
_SavedBans = list[tuple[str, _Count, int]]
#: The shape of `IpLedger.dump`: weights and raw requests by family, by endpoint, by account, and bans; then, which
#: older versions did not write, cancels that were let through.
_Saved = tuple[
    list[tuple[str, int, _ByIp]],
    list[tuple[str, int, _ByIp]],
    list[tuple[str, str, int, _ByIp]],
    list[tuple[str, str, int, list[tuple[int, _Count, _Count]]]],
    _SavedBans,
]
_SavedCancels = tuple[int, _ByIp]


class IpLedger:
    """Weight and raw requests per address, weight per account and endpoint, bans, and the verification budget.

    Times: `now_us` is wall or wire time and picks windows; `policy_us` is policy time, which bans live in.
    `cancels` names the endpoints that may use the reserve for cancels.
    """

    def __init__(self, policy: LimitPolicy, cancels: frozenset[str] = frozenset()) -> None:
        self.policy = policy
        self._enforced = policy.enforced
        self.bans: dict[str, Ban] = {}
        #: The refusal that came with the newest ban: whoever meets it made the call that earned the ban.
        self.newest_ban: Refusal | None = None
        #: Told of each address that is banned, in the middle of its call; and of every change of `bans`.
        self.on_ban: Callable[[str], object] = _tell_nobody
        self.on_change: Callable[[], object] = _tell_nobody
        #: The latest policy time that was noted, by which a clock that was set back is known.
        self._latest_us = 0
        reserve = policy.reserved_cancels
        self._cancels = cancels if reserve is not None else frozenset()
        self._reserve = _Window(reserve or Limit(interval="MINUTE", interval_count=1, limit=0))
        #: how many cancels the reserve has let through since the start
        self.cancels_let_through = 0
        self._windows: dict[str, _Window] = {}
        self._raw: dict[str, _Window] = {}
        #: per-endpoint families: (family, endpoint) → window
        self._endpoints: dict[tuple[str, str], _Window] = {}
        self._accounts: dict[tuple[str, str], _Window] = {}
        self._weight_refusal: dict[str, Refusal] = {}
        self._raw_refusal: dict[str, Refusal] = {}
        for name, family in policy.families.items():
            if not family.per_endpoint:
                self._windows[name] = _Window(family.weight)
            self._weight_refusal[name] = Refusal(Reason.IP_WEIGHT_EXCEEDED, (family.weight.limit, family.weight.window))
            if family.raw_requests is not None:
                self._raw[name] = _Window(family.raw_requests)
                self._raw_refusal[name] = Refusal(
                    Reason.IP_RAW_REQUESTS_EXCEEDED, (family.raw_requests.limit, family.raw_requests.window)
                )
        self._budget = _Window(Limit(interval="MINUTE", interval_count=1, limit=policy.verification_budget_us))
        self._swept_minute = 0

    # --- charging --------------------------------------------------------------------------------------------------

    def charge(self, ip: str, weight: int, now_us: int, policy_us: int, family: str, endpoint: str) -> Refusal | None:
        """Count one request. A refusal is 429, or 418 when the address has ignored too many."""
        let_through = False
        raw = self._raw.get(family)
        if raw is not None:
            number = now_us // raw.window_us
            if number != raw.number:
                raw.roll(number)
            used = raw.used.get(ip, 0) + 1
            raw.used[ip] = used
            if used > raw.over and self._enforced:
                if not self._lets_through(ip, now_us, endpoint):
                    return self._refuse(raw, ip, now_us, policy_us, self._raw_refusal[family])
                let_through = True
        window = self._windows.get(family)
        if window is None:
            window = self._endpoint_window(family, endpoint)
        number = now_us // window.window_us
        if number != window.number:
            window.roll(number)
            self._sweep(number, policy_us)
        used = window.used.get(ip, 0) + weight
        window.used[ip] = used
        if used > window.over and self._enforced and not let_through and not self._lets_through(ip, now_us, endpoint):
            return self._refuse(window, ip, now_us, policy_us, self._weight_refusal[family])
        return None

    def give_back(self, ip: str, weight: int, now_us: int, family: str = "spot", endpoint: str = "") -> None:
        """Take back what `charge` counted, if its window still runs (`free_on_success`)."""
        window = self._windows.get(family) or self._endpoint_window(family, endpoint)
        if now_us // window.window_us == window.number and ip in window.used:
            window.used[ip] = max(0, window.used[ip] - weight)

    def charge_account(self, account_id: int, weight: int, now_us: int, family: str, endpoint: str) -> Refusal | None:
        """Count weight of an account on an endpoint (`/sapi`'s UID limiters); None where the family has none."""
        limit = self.policy.families[family].account_weight
        if limit is None:
            return None
        window = self._accounts.get((family, endpoint))
        if window is None:
            window = self._accounts[family, endpoint] = _Window(limit)
        number = now_us // window.window_us
        if number != window.number:
            window.roll(number)
        used = window.used.get(account_id, 0) + weight
        window.used[account_id] = used
        if used > window.over and self._enforced:
            return Refusal(Reason.ACCOUNT_WEIGHT_EXCEEDED, (limit.limit, limit.window))
        return None

    # --- what the headers show ---------------------------------------------------------------------------------------

    def used_weight(self, ip: str, family: str = "spot", endpoint: str = "") -> int:
        """What the address used in the window of its last request."""
        window = self._windows.get(family) or self._endpoints.get((family, endpoint))
        return 0 if window is None else window.used.get(ip, 0)

    def used_account_weight(self, account_id: int, family: str, endpoint: str) -> int:
        window = self._accounts.get((family, endpoint))
        return 0 if window is None else window.used.get(account_id, 0)

    def retry_after_s(self, ip: str, now_us: int, policy_us: int, family: str = "spot", endpoint: str = "") -> int:
        """Whole seconds until the address is heard again: the end of its ban, or of the fullest window; 0: now."""
        ban = self.bans.get(ip)
        if ban is not None and policy_us < ban.until_us:
            return _whole_seconds(ban.until_us - policy_us)
        wait_us = 0
        for window in (
            self._raw.get(family),
            self._windows.get(family) or self._endpoints.get((family, endpoint)),
        ):
            if window is not None and window.used.get(ip, 0) > window.over:
                wait_us = max(wait_us, (window.number + 1) * window.window_us - now_us)
        return _whole_seconds(wait_us)

    def cancels_used(self, ip: str) -> int:
        """How many cancels of the address the reserve has let through in this window."""
        return self._reserve.used.get(ip, 0)

    def usage(self, now_us: int) -> list[Usage]:
        """What was used in the windows that run at `now_us`, in no order."""
        running: list[tuple[str, str, str, Limit | None, _Window]] = []
        for name, family in self.policy.families.items():
            if name in self._windows:
                running.append((name, "weight", "", family.weight, self._windows[name]))
            if name in self._raw:
                running.append((name, "raw requests", "", family.raw_requests, self._raw[name]))
        for (name, endpoint), window in self._endpoints.items():
            running.append((name, "weight", endpoint, self.policy.families[name].weight, window))
        for (name, endpoint), window in self._accounts.items():
            running.append((name, "account weight", endpoint, self.policy.families[name].account_weight, window))
        return [
            Usage(family, limiter, endpoint, str(subject), used, limit.limit, limit.window)
            for family, limiter, endpoint, limit, one in running
            if limit is not None and one.number == now_us // one.window_us
            for subject, used in one.used.items()
        ]

    def forecast(
        self, ip: str, now_us: int, policy_us: int, family: str = "spot", endpoint: str = ""
    ) -> Forecast | None:
        """Of the limiter that is nearest to its limit; None for an address that is banned already."""
        ban = self.bans.get(ip)
        if ban is not None and policy_us < ban.until_us:
            return None
        window = self._windows.get(family) or self._endpoint_window(family, endpoint)
        raw = self._raw.get(family)
        if raw is not None and raw.used.get(ip, 0) * window.over > window.used.get(ip, 0) * raw.over:
            window = raw
        rules = self.policy.bans
        return Forecast(
            left=max(0, window.over - window.used.get(ip, 0)),
            refusals_left=rules.refusals - window.refusals.get(ip, 0),
            resets_s=_whole_seconds((window.number + 1) * window.window_us - now_us),
            ban_s=_whole_seconds(rules.steps_us[self._next_level(ip, policy_us)]),
        )

    # --- bans --------------------------------------------------------------------------------------------------------

    def note_time(self, policy_us: int) -> None:
        """Look at the clock, about once a second: only who saw it before knows that it was set back.

        Then bans and windows end as much earlier, so that nobody is shut out longer in real time than they were to be.
        """
        back_us = self._latest_us - policy_us
        self._latest_us = policy_us
        if back_us <= 0:
            return
        tables = (self._windows, self._raw, self._endpoints, self._accounts)
        for window in (self._reserve, *(window for table in tables for window in table.values())):
            window.number -= back_us // window.window_us
        for ban in self.bans.values():
            ban.until_us -= back_us
        if back_us >= SECOND_US:
            self.on_change()  # else the next start would see it go back once more

    def ban_on(self, ip: str, now_us: int, policy_us: int) -> Refusal | None:
        """The refusal of a banned address. It names the end in the clock that callers see."""
        if policy_us < self._latest_us:
            self.note_time(policy_us)
        self._latest_us = policy_us
        ban = self.bans.get(ip)
        if ban is None or policy_us >= ban.until_us or not self._enforced:
            return None
        length_us = self.policy.bans.steps_us[min(ban.level, len(self.policy.bans.steps_us) - 1)]
        if ban.until_us - policy_us > length_us:
            # Saved under another profile, or before the clock was set back while nobody ran.
            ban.until_us = policy_us + length_us
        return _banned(ban, now_us, policy_us)

    def lift(self, ip: str) -> bool:
        """End a ban and forget its level; False if there is none."""
        if self.bans.pop(ip, None) is None:
            return False
        self.on_change()
        return True

    def current_bans(self, policy_us: int) -> list[tuple[str, Ban]]:
        """Bans that run, by address."""
        return [(ip, ban) for ip, ban in sorted(self.bans.items()) if policy_us < ban.until_us]

    # --- the budget of verifications that fail -----------------------------------------------------------------------

    def verification_exhausted(self, ip: str, now_us: int) -> bool:
        budget = self._budget
        number = now_us // budget.window_us
        if number != budget.number:
            budget.roll(number)
        return self._enforced and budget.used.get(ip, 0) >= budget.over

    def charge_verification(self, ip: str, cost_us: int) -> None:
        used = self._budget.used
        used[ip] = used.get(ip, 0) + cost_us

    # --- saving ------------------------------------------------------------------------------------------------------

    def dump(self) -> Any:
        """Plain data, equal for equal ledgers. The verification budget is not worth saving."""
        return [
            [[family, *_dump_window(window)] for family, window in self._windows.items()],
            [[family, *_dump_window(window)] for family, window in self._raw.items()],
            [[*key, *_dump_window(window)] for key, window in sorted(self._endpoints.items())],
            [[*key, *_dump_window(window)] for key, window in sorted(self._accounts.items())],
            _dump_bans(self.bans),
            _dump_window(self._reserve),
        ]

    def dump_bans(self) -> Any:
        """The bans alone, which are saved whenever one changes, and the time at which this was so."""
        return [self._latest_us, _dump_bans(self.bans)]

    def load_bans(self, data: Any) -> None:
        """What `dump_bans` wrote, in place of the bans that `load` found. msgspec.ValidationError for anything else."""
        self._latest_us, bans = msgspec.convert(data, tuple[int, _SavedBans])
        self.bans = {ip: Ban(level, until_us) for ip, level, until_us in bans}

    def load(self, data: Any) -> None:
        """What `dump` wrote; families that the policy does not know any more are left out.

        msgspec.ValidationError for anything else, before anything is changed.
        """
        more = data[5:] if isinstance(data, list) else []
        weights, raw, endpoints, accounts, bans = msgspec.convert(data[:5] if more else data, _Saved)
        cancels = msgspec.convert(more[0], _SavedCancels) if more else (-1, [])
        for family, *saved in weights:
            if family in self._windows:
                _load_window(self._windows[family], saved)
        for family, *saved in raw:
            if family in self._raw:
                _load_window(self._raw[family], saved)
        for family, endpoint, *saved in endpoints:
            if family in self.policy.families and self.policy.families[family].per_endpoint:
                _load_window(self._endpoint_window(family, endpoint), saved)
        for family, endpoint, *saved in accounts:
            limit = self.policy.families[family].account_weight if family in self.policy.families else None
            if limit is not None:
                self._accounts[family, endpoint] = _Window(limit)
                _load_window(self._accounts[family, endpoint], saved)
        _load_window(self._reserve, cancels)
        self.bans = {ip: Ban(level, until_us) for ip, level, until_us in bans}

    # --- inside ------------------------------------------------------------------------------------------------------

    def _endpoint_window(self, family: str, endpoint: str) -> _Window:
        window = self._endpoints.get((family, endpoint))
        if window is None:
            window = self._endpoints[family, endpoint] = _Window(self.policy.families[family].weight)
        return window

    def _refuse(self, window: _Window, ip: str, now_us: int, policy_us: int, refusal: Refusal) -> Refusal:
        refusals = window.refusals.get(ip, 0)
        if refusals < self.policy.bans.refusals:
            window.refusals[ip] = refusals + 1
            return refusal
        window.refusals[ip] = 0
        level = self._next_level(ip, policy_us)
        ban = self.bans[ip] = Ban(level, policy_us + self.policy.bans.steps_us[level])
        self._latest_us = policy_us
        self.newest_ban = _banned(ban, now_us, policy_us)
        self.on_change()
        self.on_ban(ip)
        return self.newest_ban

    def _lets_through(self, ip: str, now_us: int, endpoint: str) -> bool:
        """Whether an address over a limit may do this nevertheless: one of the cancels that are reserved for it."""
        if endpoint not in self._cancels:
            return False
        reserve = self._reserve
        number = now_us // reserve.window_us
        if number != reserve.number:
            reserve.roll(number)
        used = reserve.used.get(ip, 0)
        if used >= reserve.over:
            return False
        reserve.used[ip] = used + 1
        self.cancels_let_through += 1
        return True

    def _next_level(self, ip: str, policy_us: int) -> int:
        """The level of a ban that the address would be given now."""
        ban = self.bans.get(ip)
        if ban is None:
            return 0
        rules = self.policy.bans
        level = ban.level + 1 - max(0, policy_us - ban.until_us) // rules.decay_us
        return min(max(0, level), len(rules.steps_us) - 1)

    def _sweep(self, minute: int, policy_us: int) -> None:
        """Once a minute: forget bans that no longer raise the next one's level."""
        if minute != self._swept_minute and self.bans:
            self._swept_minute = minute
            decay_us = self.policy.bans.decay_us
            self.bans = {
                ip: ban for ip, ban in self.bans.items() if policy_us < ban.until_us + (ban.level + 1) * decay_us
            }


def _tell_nobody(*about: object) -> None:
    pass


def _dump_bans(bans: dict[str, Ban]) -> Any:
    return [[ip, ban.level, ban.until_us] for ip, ban in sorted(bans.items())]


def _banned(ban: Ban, now_us: int, policy_us: int) -> Refusal:
    return Refusal(Reason.IP_BANNED, ((now_us + ban.until_us - policy_us) // 1_000,))


def _whole_seconds(wait_us: int) -> int:
    return -(-wait_us // SECOND_US) if wait_us > 0 else 0


def _dump_window(window: _Window) -> list[Any]:
    return [
        window.number,
        [[key, used, window.refusals.get(key, 0)] for key, used in sorted(window.used.items())],
    ]


def _load_window(window: _Window, saved: Sequence[Any]) -> None:
    number, rows = saved
    window.number, window.used, window.refusals = number, {}, {}
    for key, used, refusals in rows:
        window.used[key] = used
        if refusals:
            window.refusals[key] = refusals
