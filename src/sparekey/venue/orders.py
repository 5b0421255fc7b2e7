"""An open order, as the book and the queries see it."""

from __future__ import annotations

from binascii import b2a_base64
from typing import Any

import msgspec

from sparekey.terms.rounding import notional
from sparekey.venue.effects import ClosedOrder
from sparekey.venue.ledger import Balance

#: base64 with letters and digits alone: what two of its characters become is as good as any other.
_ALPHANUMERIC = bytes.maketrans(b"+/", b"Kq")
_MASK_128 = 2**128 - 1
#: Odd, so that different orders get different ids.
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
_CANCEL_SALT = 0xD1B54A32D192ED03
_LIST_SALT = 0xA24BAED4963EE407
_AMEND_SALT = 0x8CB92BA72F3D8DD7


class Order(msgspec.Struct, eq=False, gc=False):
    """Amounts and prices in 1e-8 units, times in microseconds. `hold` is what is still locked for it: quote for a BUY,
    base for a SELL. Implements the wire's `OrderView`.

    Without the collector: the links between the orders of a level are cut when an order leaves it.
    """

    symbol: str
    order_id: int
    account_id: int
    key_id: int
    client_order_id: str
    side: str
    type: str
    time_in_force: str
    price: int
    quantity: int
    quote_quantity: int
    prevention_mode: str
    hold: int
    created_us: int
    updated_us: int
    working_us: int
    is_buy: bool
    base: Balance
    quote: Balance
    stop_price: int = 0
    iceberg_quantity: int = 0
    trailing_delta: int = 0
    strategy_id: int | None = None
    strategy_type: int | None = None
    status: str = "NEW"
    executed: int = 0
    executed_quote: int = 0
    prevented_match_id: int = 0
    prevented_quantity: int = 0
    #: since when a trailing stop tracks the price (-1: not yet), and the best price for it since then (0: none)
    trailing_us: int = -1
    best_seen: int = 0
    #: of an iceberg on the book: what its level shows of it at present
    visible: int = 0
    #: of a pegged order: what it is pegged to, how many levels deeper, and the price that was chosen (0: not yet)
    peg_price_type: str = ""
    peg_offset: int = 0
    pegged_price: int = 0
    #: how often it was amended
    amends: int = 0
    #: of a routed order: SOR or EXCHANGE, whichever saw its last activity
    working_floor: str = ""
    #: the list that it belongs to; 0: none
    list_id: int = 0
    expiry_reason: str = ""
    #: [derived] its place on the book; None while it is not there
    level: Any = None
    before: Any = None
    after: Any = None

    @property
    def remaining(self) -> int:
        """What can still trade (Binance: available = origQty - executedQty - preventedQuantity)."""
        return self.quantity - self.executed - self.prevented_quantity

    @property
    def working_price(self) -> int:
        """The price that it works at; 0: at any."""
        return self.pegged_price or self.price

    @property
    def shown(self) -> int:
        """What its level on the book shows of it."""
        return self.visible if self.iceberg_quantity else self.remaining

    def hold_needed(self) -> int:
        """What a priced order must have locked for what remains of it. Never more than what it has locked, because
        floor(a) + floor(b) <= floor(a + b)."""
        return self.hold_for(self.remaining)

    def hold_for(self, remaining: int) -> int:
        return notional(self.working_price, remaining) if self.is_buy else remaining

    def closed(self, status: str) -> ClosedOrder:
        """The order as it ends, for the archive."""
        return ClosedOrder(
            self.symbol,
            self.order_id,
            self.account_id,
            self.client_order_id,
            self.side,
            self.type,
            self.time_in_force,
            status,
            self.price,
            self.quantity,
            self.quote_quantity,
            self.executed,
            self.executed_quote,
            self.created_us,
            self.updated_us,
            self.working_us,
            self.prevention_mode,
            self.prevented_match_id,
            self.prevented_quantity,
            self.expiry_reason,
            self.stop_price,
            self.iceberg_quantity,
            self.trailing_delta,
            self.strategy_id,
            self.strategy_type,
            self.trailing_us,
            self.peg_price_type,
            self.peg_offset,
            self.pegged_price,
            self.working_floor,
            self.list_id,
            self.key_id,
        )

    def dump(self) -> list[Any]:
        return [
            self.order_id,
            self.account_id,
            self.key_id,
            self.client_order_id,
            self.side,
            self.type,
            self.time_in_force,
            self.price,
            self.quantity,
            self.quote_quantity,
            self.prevention_mode,
            self.hold,
            self.created_us,
            self.updated_us,
            self.working_us,
            self.stop_price,
            self.iceberg_quantity,
            self.trailing_delta,
            self.strategy_id,
            self.strategy_type,
            self.status,
            self.executed,
            self.executed_quote,
            self.prevented_match_id,
            self.prevented_quantity,
            self.trailing_us,
            self.best_seen,
            self.visible,
            self.peg_price_type,
            self.peg_offset,
            self.pegged_price,
            self.amends,
            self.working_floor,
            self.list_id,
        ]


def load_order(symbol: str, row: list[Any], base: Balance, quote: Balance) -> Order:
    """What `Order.dump` wrote."""
    return Order(symbol, *row[:15], row[4] == "BUY", base, quote, *row[15:])  # type: ignore[call-arg]


def generated_client_order_id(order_id: int) -> str:
    """22 letters and digits, as Binance makes up where `newClientOrderId` is not sent; equal ones do not happen in
    practice, like equal hashes."""
    return _spell((order_id * _SPREAD) & _MASK_128)


def generated_cancel_id(order_id: int) -> str:
    """The same for the cancel of an order."""
    return _spell(((order_id << 64 | _CANCEL_SALT) * _SPREAD) & _MASK_128)


def generated_amend_id(order_id: int, amends: int) -> str:
    """And for an order's next amendment, of which there were so many before."""
    return _spell(((order_id << 64 | (_AMEND_SALT ^ amends)) * _SPREAD) & _MASK_128)


def generated_list_id(list_id: int) -> str:
    """And for an order list."""
    return _spell(((list_id << 64 | _LIST_SALT) * _SPREAD) & _MASK_128)


def _spell(number: int) -> str:
    return b2a_base64(number.to_bytes(16, "big"), newline=False)[:22].translate(_ALPHANUMERIC).decode("ascii")
