"""What consumers learn beside the events: facts that the state does not keep once they are over."""

from __future__ import annotations

import msgspec


class ClosedOrder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order as it ended; amounts and prices in 1e-8 units, times in microseconds. Fields are only ever appended.

    `working_us` is -1 for an order that never was on the book or in a match. `status` is FILLED, CANCELED, EXPIRED or
    EXPIRED_IN_MATCH.
    """

    symbol: str
    order_id: int
    account_id: int
    client_order_id: str
    side: str
    type: str
    time_in_force: str
    status: str
    price: int
    quantity: int
    quote_quantity: int
    executed: int
    executed_quote: int
    created_us: int
    updated_us: int
    working_us: int
    prevention_mode: str
    prevented_match_id: int = 0
    prevented_quantity: int = 0
    expiry_reason: str = ""
    stop_price: int = 0
    iceberg_quantity: int = 0
    trailing_delta: int = 0
    strategy_id: int | None = None
    strategy_type: int | None = None


class Print(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One trade on the market. Order and account ids are 0 on the side of a market participant.

    Fees are in the asset that the side received, as in `Filled`.
    """

    symbol: str
    trade_id: int
    time_us: int
    price: int
    quantity: int
    quote_quantity: int
    buyer_is_maker: bool
    taker_order_id: int = 0
    taker_account_id: int = 0
    taker_fee: int = 0
    maker_order_id: int = 0
    maker_account_id: int = 0
    maker_fee: int = 0


Effect = ClosedOrder | Print
