"""What the operator's pages look at: accounts, keys, suspensions, and which limits were used. It changes nothing.

A look costs the same whether there are ten keys or a million: lists are pages, and go back a bounded number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

from sparekey.access.limits import IpLedger, Usage
from sparekey.access.state import FIRST_ACCOUNT_ID, FIRST_KEY_ID, NEVER_US, AccessState, Account, Key
from sparekey.console.holders import email_vault_id, normalised_email
from sparekey.sequencer.clocks import Clocks
from sparekey.storage.vault import SecretUnavailable, Vault
from sparekey.terms.permissions import Permission, names_of
from sparekey.venue.spot_state import SpotState

T = TypeVar("T")
Row = TypeVar("Row")

PAGE: Final = 50
#: How many accounts or keys a list looks at for one page.
_LOOKED_AT: Final = 20_000


class AccountRow(NamedTuple):
    account_id: int
    email: str
    kyc: str
    factors: list[str]
    keys: int
    suspended: bool
    master_id: int


class KeyRow(NamedTuple):
    """`dies_us` is None for a key without an end."""

    api_key: str
    account_id: int
    email: str
    label: str
    key_type: str
    permissions: list[str]
    whitelist: tuple[str, ...]
    status: str
    created_us: int
    dies_us: int | None


class Rows(NamedTuple, Generic[Row]):
    """`before` is what the next page is asked for with; 0: there is none."""

    rows: list[Row]
    before: int = 0


class LimitRow(NamedTuple):
    family: str
    limiter: str
    limit: int
    window: str
    counts: str


class OrderCount(NamedTuple):
    account_id: int
    email: str
    window: str
    used: int
    limit: int


class Oversight:
    def __init__(self, access: AccessState, spot: SpotState, ledger: IpLedger, vault: Vault, clocks: Clocks) -> None:
        self._access = access
        self._spot = spot
        self._ledger = ledger
        self._vault = vault
        self._clocks = clocks

    # --- accounts ----------------------------------------------------------------------------------------------------

    def email_of(self, account_id: int) -> str:
        """ "" for an address that is not there any more."""
        try:
            return self._vault.open(email_vault_id(account_id)).decode()
        except SecretUnavailable:
            return ""

    def account(self, account_id: int) -> Account | None:
        return self._access.account(account_id)

    def sub_accounts(self, account_id: int) -> list[AccountRow]:
        return list(map(self._account_row, self._access.sub_accounts_of(account_id)))

    def find_account(self, text: str) -> Account | None:
        """By its whole e-mail address or its number: addresses are sealed, so that no part of one finds it."""
        text = text.strip()
        if text.isascii() and text.isdigit() and len(text) < 19:
            return self._access.account(int(text))
        address = normalised_email(text)
        return None if address is None else self._access.account_by_email(self._vault.digest(address))

    def accounts(self, before: int = 0, keep: Callable[[Account], bool] = lambda account: True) -> Rows[AccountRow]:
        """The newest first."""
        return _page(
            self._access.accounts,
            FIRST_ACCOUNT_ID,
            min(before, self._access.next_account_id) if before else self._access.next_account_id,
            lambda account: not account.erased and not account.closed_us and keep(account),
            self._account_row,
        )

    def suspended(self, before: int = 0) -> Rows[AccountRow]:
        return self.accounts(before, lambda account: account.suspended)

    def _account_row(self, account: Account) -> AccountRow:
        return AccountRow(
            account.account_id,
            self.email_of(account.account_id),
            account.kyc,
            account.factors,
            account.keys_held,
            account.suspended,
            account.master_id,
        )

    # --- keys --------------------------------------------------------------------------------------------------------

    def key(self, api_key: str) -> KeyRow | None:
        key = self._access.key_by_api_key(api_key)
        return None if key is None else self._key_row(key)

    def keys_of(self, account_id: int) -> list[KeyRow]:
        return list(map(self._key_row, self._access.keys_of(account_id)))

    def keys(self, before: int = 0, *, status: str = "", key_type: str = "", permission: str = "") -> Rows[KeyRow]:
        """The newest first; deleted ones only where that is the status asked for."""

        def keep(key: Key) -> bool:
            fits = key.status == status if status else key.status != "deleted"
            fits = fits and key_type in ("", key.key_type)
            return fits and (not permission or permission in names_of(Permission(key.permissions)))

        next_id = self._access.next_key_id
        return _page(self._access.keys, FIRST_KEY_ID, min(before, next_id) if before else next_id, keep, self._key_row)

    def _key_row(self, key: Key) -> KeyRow:
        return KeyRow(
            key.api_key,
            key.account_id,
            self.email_of(key.account_id),
            key.label,
            key.key_type,
            names_of(Permission(key.permissions)),
            key.whitelist,
            key.status,
            key.created_us,
            None if key.dies_us == NEVER_US else key.dies_us,
        )

    # --- limits ------------------------------------------------------------------------------------------------------

    @property
    def profile(self) -> str:
        return self._ledger.policy.name

    @property
    def enforced(self) -> bool:
        return self._ledger.policy.enforced

    @property
    def ban_steps_us(self) -> tuple[int, ...]:
        return self._ledger.policy.bans.steps_us

    @property
    def refusals_before_ban(self) -> int:
        return self._ledger.policy.bans.refusals

    def limits(self) -> list[LimitRow]:
        """What the profile allows."""
        rows: list[LimitRow] = []
        for family, limits in self._ledger.policy.families.items():
            each = "address and endpoint" if limits.per_endpoint else "address"
            found = [("weight", limits.weight, each), ("raw requests", limits.raw_requests, "address")]
            found += [("weight", limits.account_weight, "account and endpoint")]
            found += [("orders", limit, "account") for limit in limits.orders]
            found += [("connections", limits.connections, "address")]
            rows += [
                LimitRow(family, limiter, limit.limit, limit.window, counts)
                for limiter, limit, counts in found
                if limit is not None
            ]
        return rows

    def usage(self, most: int = PAGE) -> list[Usage]:
        """Who used most of what they may, in the windows that run."""
        used = self._ledger.usage(self._clocks.wire_us())
        return sorted(used, key=lambda one: (-one.used * 1_000_000 // one.limit, one.family, one.subject))[:most]

    def order_counts(self, most: int = PAGE) -> list[OrderCount]:
        """Which accounts placed most orders, in the windows that run."""
        now_us = self._clocks.wire_us()
        found = [
            (account_id, limit, used)
            for account_id in list(self._spot.order_counts_used)
            for limit, used in self._spot.order_counts(account_id, now_us)
            if used
        ]
        found.sort(key=lambda one: (-one[2] * 1_000_000 // one[1].limit, one[0]))
        return [
            OrderCount(
                account_id, self.email_of(account_id), f"{limit.interval_count} {limit.interval}", used, limit.limit
            )
            for account_id, limit, used in found[:most]
        ]

    # --- in short ----------------------------------------------------------------------------------------------------

    @property
    def account_count(self) -> int:
        return len(self._access.accounts_by_email)

    @property
    def key_count(self) -> int:
        """Of all that were ever made."""
        return len(self._access.keys)


def _page(
    found: Mapping[int, T], first: int, after_last: int, keep: Callable[[T], bool], row: Callable[[T], Row]
) -> Rows[Row]:
    """Of what is numbered from `first` up to, and without, `after_last`: the last first."""
    rows: list[Row] = []
    down_to = max(first, after_last - _LOOKED_AT)
    for number in range(after_last - 1, down_to - 1, -1):
        one = found.get(number)
        if one is None or not keep(one):
            continue
        if len(rows) == PAGE:
            return Rows(rows, number + 1)
        rows.append(row(one))
    return Rows(rows, down_to if down_to > first else 0)
