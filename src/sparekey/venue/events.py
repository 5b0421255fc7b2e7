"""What happened on the spot shard. Events say results, not intentions: applying one never decides anything."""

from __future__ import annotations

import msgspec

from sparekey.venue.listing import AssetRules, OrderLimit, SymbolRules


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True, tag_field="kind"):
    """Base of all spot events; the class name is the tag in the journal. Fields are only ever appended."""


class AssetListed(Event, frozen=True):
    rules: AssetRules


class SymbolListed(Event, frozen=True):
    rules: SymbolRules


class OrderLimitsSet(Event, frozen=True):
    limits: tuple[OrderLimit, ...]


class Funded(Event, frozen=True):
    account_id: int
    asset: str
    amount: int


class OrderPlaced(Event, frozen=True):
    """An order was accepted. `hold` is the amount locked (base for SELL, quote for BUY); fills follow as events.

    `waits`: it does not act yet; a later event says when it does. `pegged_price`: the price that the book chose for it.
    `routed`: books of other symbols may fill it.
    `pending`: not even its list lets it in yet.
    """

    symbol: str
    order_id: int
    account_id: int
    key_id: int
    client_order_id: str
    side: str
    type: str
    time_in_force: str
    quantity: int
    quote_quantity: int
    price: int
    hold: int
    prevention_mode: str
    stop_price: int = 0
    iceberg_quantity: int = 0
    trailing_delta: int = 0
    strategy_id: int | None = None
    strategy_type: int | None = None
    waits: bool = False
    peg_price_type: str = ""
    peg_offset: int = 0
    pegged_price: int = 0
    routed: bool = False
    list_id: int = 0
    pending: bool = False


class OrderArmed(Event, frozen=True):
    """A stop order waits for its price from now on."""

    symbol: str
    order_id: int


class OrderStarted(Event, frozen=True):
    """An order that waited acts from now on. `hold` is what is locked for it, whatever was before.

    `pegged_price`: the price that the book chose for it, if it is pegged.
    """

    symbol: str
    order_id: int
    hold: int
    pegged_price: int = 0


class OrderListPlaced(Event, frozen=True):
    """The orders before this event are a list. `hold` is locked for the list itself, as in `OrderList`."""

    symbol: str
    list_id: int
    account_id: int
    client_list_id: str
    form: str
    order_ids: tuple[int, ...]
    hold: int
    holds_base: bool


class OrderListStarted(Event, frozen=True):
    """The working order was filled, and the pending ones are let in. `hold` is what is locked for their pair now.

    `quantity`: what the working order pays for is their quantity; 0: they have their own.
    """

    symbol: str
    list_id: int
    hold: int
    quantity: int = 0


class OrderReleased(Event, frozen=True):
    """A pending order begins, as `OrderStarted` says; with `waits` by waiting for its price."""

    symbol: str
    order_id: int
    hold: int
    pegged_price: int = 0
    waits: bool = False


class LegChosen(Event, frozen=True):
    """An order of a pair acts, so that what was locked for the pair is locked for it."""

    symbol: str
    list_id: int
    order_id: int


class OrderListHeld(Event, frozen=True):
    """Another amount is locked for a list itself."""

    symbol: str
    list_id: int
    hold: int


class OrderListClosed(Event, frozen=True):
    """The last order of a list has ended. What is locked for the list is released."""

    symbol: str
    list_id: int


class Filled(Event, frozen=True):
    """One trade. Order id 0 stands for a market participant. Fees in 1e-8 of the asset received by that side."""

    symbol: str
    trade_id: int
    price: int
    quantity: int
    quote_quantity: int
    buyer_is_maker: bool
    taker_order_id: int
    taker_account_id: int
    taker_fee: int
    maker_order_id: int
    maker_account_id: int
    maker_fee: int


class MatchPrevented(Event, frozen=True):
    """Self-trade prevention: nothing traded. Quantities prevented on each side (0 = side untouched)."""

    symbol: str
    prevented_match_id: int
    price: int
    taker_order_id: int
    maker_order_id: int
    mode: str
    taker_prevented: int
    maker_prevented: int
    #: where the maker rests, if that is another symbol's book
    maker_symbol: str = ""


class Allocated(Event, frozen=True):
    """A trade on the book of another symbol (`source`), whose other side the house passed on to a routed order.

    The house is the taker on that book and trades free of charge; the order gets the same amounts in its own symbol's
    assets, quote for quote. Fees are of the asset received by each side; maker order id 0 is a market participant.
    """

    symbol: str
    order_id: int
    account_id: int
    allocation_id: int
    fee: int
    price: int
    quantity: int
    quote_quantity: int
    source: str
    trade_id: int
    buyer_is_maker: bool
    maker_order_id: int
    maker_account_id: int
    maker_fee: int


class OrderRested(Event, frozen=True):
    """The remainder of an order went onto the book."""

    symbol: str
    order_id: int


class OrderClosed(Event, frozen=True):
    """`status`: FILLED, CANCELED, EXPIRED or EXPIRED_IN_MATCH. What is left of the hold is released.

    `cancel_client_order_id`: the id of the cancel, which the order's client order id becomes.
    """

    symbol: str
    order_id: int
    status: str
    expiry_reason: str = ""
    cancel_client_order_id: str = ""


class OrderAmended(Event, frozen=True):
    """An open order has less to trade, in the same place. `hold` is what is locked for it now.

    `number` counts the amendments of one command.
    """

    symbol: str
    order_id: int
    quantity: int
    client_order_id: str
    hold: int
    number: int = 0


class PlacementRefused(Event, frozen=True):
    """A replacement's other half did not come to be: why, or "" where it was not even tried.

    The reason is a slug with its facts, which are the limit's where the account was over it. `counted`: it counts as
    an order all the same. `told`: the engine refused it, which its account hears of as of an order without an id.
    """

    symbol: str
    account_id: int
    client_order_id: str
    side: str
    type: str
    time_in_force: str
    quantity: int
    quote_quantity: int
    price: int
    prevention_mode: str
    stop_price: int
    iceberg_quantity: int
    trailing_delta: int
    strategy_id: int | None
    strategy_type: int | None
    reason: str
    facts: tuple[str | int, ...]
    counted: bool
    told: bool


class CancelRefused(Event, frozen=True):
    """A replacement's first half did not come to be, and why: a slug with its facts."""

    symbol: str
    account_id: int
    reason: str
    facts: tuple[str | int, ...]


class FenceRaised(Event, frozen=True):
    key_id: int
    access_seq: int


class OpenedSymbol(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A symbol's part in an opened market. `price` and `daily_volume` (base asset) in 1e-8 units.

    `first_trade_id` is the id of the first trade that really happens here; smaller ids belong to the past before it.
    `recorded`: its prints come from a recording, so that participants quote but do not take.
    """

    symbol: str
    price: int
    daily_volume: int
    first_trade_id: int
    recorded: bool = False


class MarketOpened(Event, frozen=True):
    """Participants act from now on. `program` is the version of their program.

    `birth_us` is where the synthetic past ends; the ids in `symbols` go by it.
    """

    program: int
    seed: int
    symbols: tuple[OpenedSymbol, ...]
    birth_us: int = 0


class MarketPrint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    price: int
    quantity: int
    buyer_is_maker: bool


class Printed(Event, frozen=True):
    """Trades among participants, with consecutive ids; prices where quotes stood have that much less left there."""

    symbol: str
    first_trade_id: int
    prints: tuple[MarketPrint, ...]


class QuotesTaken(Event, frozen=True):
    """Participants' quotes that met an account's resting order when they were renewed: that much less is left there."""

    symbol: str
    price: int
    quantity: int
    are_bids: bool


class FundsTransferred(Event, frozen=True):
    transfer_id: int
    master_id: int
    from_account_id: int
    to_account_id: int
    asset: str
    amount: int
    client_transfer_id: str


SpotEvent = (
    AssetListed
    | SymbolListed
    | OrderLimitsSet
    | Funded
    | OrderPlaced
    | OrderArmed
    | OrderStarted
    | OrderListPlaced
    | OrderListStarted
    | OrderReleased
    | LegChosen
    | OrderListHeld
    | OrderListClosed
    | Filled
    | Allocated
    | MatchPrevented
    | OrderRested
    | OrderClosed
    | OrderAmended
    | PlacementRefused
    | CancelRefused
    | FenceRaised
    | MarketOpened
    | Printed
    | QuotesTaken
    | FundsTransferred
)
