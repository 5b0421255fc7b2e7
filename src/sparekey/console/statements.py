"""What an account holds and did, for its pages: balances and their worth, orders, fills, and which key placed what.

Read from the same state and archive that answer the API's own calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sparekey.access.state import AccessState, Key
from sparekey.storage.archive import Archive, Fill, Mark, mark_of_fill, mark_of_order
from sparekey.terms.money import ONE
from sparekey.venue.effects import ClosedOrder
from sparekey.venue.listing import SymbolRules
from sparekey.venue.orders import Order
from sparekey.venue.spot_state import SpotState

#: What everything is valued in.
UNIT = "USDT"


class Holding(NamedTuple):
    """One asset of an account. `worth` is in the unit; None where no listed price leads there."""

    asset: str
    name: str
    free: int
    locked: int
    worth: int | None

    @property
    def total(self) -> int:
        return self.free + self.locked


class Statements:
    def __init__(self, spot: SpotState, access: AccessState, archive: Archive) -> None:
        self._spot = spot
        self._access = access
        self._archive = archive

    # --- balances ----------------------------------------------------------------------------------------------------

    def holdings(self, account_id: int) -> list[Holding]:
        """Of every listed asset, held or not; the most worth first."""
        balances = self._spot.balances(account_id)
        rates = self._rates()
        found = []
        for rules in self._spot.assets.values():
            balance = balances.get(rules.asset)
            free, locked = (0, 0) if balance is None else (balance.free, balance.locked)
            found.append(Holding(rules.asset, rules.name, free, locked, rates.worth(rules.asset, free + locked)))
        return sorted(found, key=lambda one: (-(one.worth or 0), one.total == 0, one.asset))

    def _rates(self) -> Rates:
        return rates_of([(rules, self._spot.last_price(rules.symbol)) for rules in self._spot.symbols()])

    # --- orders and fills --------------------------------------------------------------------------------------------

    def symbols(self) -> list[str]:
        return [rules.symbol for rules in self._spot.symbols()]

    def open_orders(self, account_id: int, symbol: str = "") -> list[Order]:
        """The newest first."""
        orders = self._spot.open_orders(account_id, symbol)
        return sorted(orders, key=lambda order: (order.created_us, order.order_id), reverse=True)

    def closed_orders(
        self, account_id: int, symbol: str, before: Mark | None, limit: int
    ) -> tuple[list[ClosedOrder], Mark | None]:
        """The newest `limit` after `before`, and where what is older begins (None: nothing is)."""
        chosen = [symbol] if symbol else self.symbols()
        found = self._archive.newest_orders(account_id, chosen, before=before, limit=limit + 1)
        return found[:limit], mark_of_order(found[limit - 1]) if len(found) > limit else None

    def fills(self, account_id: int, symbol: str, before: Mark | None, limit: int) -> tuple[list[Fill], Mark | None]:
        """As `closed_orders`."""
        chosen = [symbol] if symbol else self.symbols()
        found = self._archive.newest_fills(account_id, chosen, before=before, limit=limit + 1)
        return found[:limit], mark_of_fill(found[limit - 1]) if len(found) > limit else None

    # --- who placed it -----------------------------------------------------------------------------------------------

    def key_of(self, order: Order | ClosedOrder) -> Key | None:
        """The key that placed it; None for the operator's orders, and for those that an older version archived."""
        return self._access.keys.get(order.key_id)

    def keys_of_fills(self, account_id: int, fills: Sequence[Fill]) -> Mapping[tuple[str, int], Key]:
        """The keys behind fills, by symbol and order id."""
        found: dict[tuple[str, int], Key] = {}
        for symbol, order_id in dict.fromkeys((fill.symbol, fill.order_id) for fill in fills):
            order = self._spot.open_order(account_id, symbol, order_id=order_id) or self._archive.order(
                account_id, symbol, order_id=order_id
            )
            key = None if order is None else self.key_of(order)
            if key is not None:
                found[symbol, order_id] = key
        return found


class Rates:
    """What one unit of each asset is worth, as a fraction."""

    def __init__(self, fractions: Mapping[str, tuple[int, int]]) -> None:
        self._fractions = fractions

    def worth(self, asset: str, amount: int) -> int | None:
        fraction = self._fractions.get(asset)
        return None if fraction is None else amount * fraction[0] // fraction[1]


def rates_of(prices: Sequence[tuple[SymbolRules, int]]) -> Rates:
    """By last prices, over as few symbols as possible; symbols that never traded lead nowhere."""
    fractions = {UNIT: (1, 1)}
    waiting = [UNIT]
    while waiting:
        quote = waiting.pop(0)
        times, by = fractions[quote]
        for rules, price in prices:
            if not price:
                continue
            if rules.quote_asset == quote and rules.base_asset not in fractions:
                fractions[rules.base_asset] = times * price, by * ONE
                waiting.append(rules.base_asset)
            elif rules.base_asset == quote and rules.quote_asset not in fractions:
                fractions[rules.quote_asset] = times * ONE, by * price
                waiting.append(rules.quote_asset)
    return Rates(fractions)
