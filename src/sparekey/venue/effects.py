"""What consumers learn beside the events: facts that the state does not keep once they are over."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class ClosedOrder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order as it ended; amounts and prices in 1e-8 units, times in microseconds. Fields are only ever appended.

    `working_us` is -1 for an order that never was on the book or in a match. `status` is FILLED, CANCELED, EXPIRED or
    EXPIRED_IN_MATCH. `trailing_us` is -1 until a trailing stop tracks the price. `list_id` is 0 without a list.
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
    trailing_us: int = -1
    peg_price_type: str = ""
    peg_offset: int = 0
    pegged_price: int = 0
    #: who saw its last activity, SOR or EXCHANGE; empty unless it is routed
    working_floor: str = ""
    list_id: int = 0
    #: the API key that placed it; 0: not known
    key_id: int = 0


class Print(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One trade on the market. Order and account ids are 0 on the side of a market participant, ids of lists also where
    an order is in none.

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
    taker_list_id: int = 0
    maker_list_id: int = 0


class Allocation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the house passed on to a routed order from the book of another symbol. Fields are only ever appended.

    `fee` is in the asset that the order received.
    """

    symbol: str
    allocation_id: int
    account_id: int
    order_id: int
    time_us: int
    price: int
    quantity: int
    quote_quantity: int
    fee: int
    is_buyer: bool


class Prevented(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A match that self-trade prevention kept from happening. `symbol` is the taker's, and its ids count by it.

    Quantities are what each side lost, 0 where it lost none. Fields are only ever appended.
    """

    symbol: str
    prevented_match_id: int
    account_id: int
    time_us: int
    price: int
    mode: str
    taker_order_id: int
    taker_prevented: int
    maker_symbol: str
    maker_order_id: int
    maker_prevented: int


class Amendment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order's quantity was lowered. `number` counts those of one command. Fields are only ever appended."""

    symbol: str
    order_id: int
    account_id: int
    time_us: int
    number: int
    original_client_order_id: str
    client_order_id: str
    original_quantity: int
    quantity: int


class ClosedOrderList(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A list as it ended, for the archive. `orders` are ids and client order ids. Fields are only ever appended."""

    list_id: int
    symbol: str
    account_id: int
    client_list_id: str
    contingency: str
    created_us: int
    updated_us: int
    orders: tuple[tuple[int, str], ...]


class ListReported(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What happened to a list of a watched account, and the list as it stood right after.

    `status_type` is EXEC_STARTED, UPDATED or ALL_DONE.
    """

    one: ClosedOrderList
    time_us: int
    status_type: str


class OrderReported(msgspec.Struct, array_like=True, gc=False):
    """What happened to an order of a watched account, and the order as it stood right after (its `status` apart).

    `execution` is NEW, TRADE, CANCELED, REPLACED, EXPIRED, REJECTED or TRADE_PREVENTION; `status` is the order's,
    which becomes final in place when a trade turns out to have been the last. `order.client_order_id` is the one from
    before a cancel, `original_client_order_id` the one from before an amendment.
    `prevented_amount` would have traded, had self-trade prevention let it; `prevented` is what this order lost.
    """

    order: ClosedOrder
    time_us: int
    execution: str
    status: str
    cancel_client_order_id: str = ""
    trade_id: int = -1
    price: int = 0
    quantity: int = 0
    quote_quantity: int = 0
    fee: int = 0
    fee_asset: str = ""
    is_maker: bool = False
    prevented: int = 0
    prevented_price: int = 0
    prevented_amount: int = 0
    prevented_quote: int = 0
    counter_order_id: int = 0
    original_client_order_id: str = ""
    reject_reason: str = "NONE"
    counter_symbol: str = ""
    allocation_id: int = -1


class BalanceAdjusted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A watched account's balance changed by other than trading: `amount` came in, or went out if negative."""

    account_id: int
    asset: str
    amount: int
    time_us: int


class BalancesReported(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A watched account's balances after a command that may have changed them: (asset, free, locked)."""

    account_id: int
    time_us: int
    updated_us: int
    balances: tuple[tuple[str, int, int], ...]


class BookChanged(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a command changed of a watched book: (price, quantity shown there now), quantity 0 where nothing is left.

    `update_id` is the book's after the command. `whole`: quotes were renewed, and these are all levels, best first.
    """

    symbol: str
    update_id: int
    bids: Sequence[tuple[int, int]]
    asks: Sequence[tuple[int, int]]
    whole: bool = False


Effect = (
    ClosedOrder
    | ClosedOrderList
    | Print
    | Allocation
    | Prevented
    | Amendment
    | ListReported
    | OrderReported
    | BalanceAdjusted
    | BalancesReported
    | BookChanged
)
