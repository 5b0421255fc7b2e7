"""What can be asked of the spot shard. Strings are the house's own spellings only where Binance has none; enum values
keep Binance's, which the wire passes through (`BUY`, `LIMIT`, `GTC`, `EXPIRE_MAKER`)."""

from __future__ import annotations

import msgspec

from sparekey.terms.admissions import Admission
from sparekey.venue.events import MarketPrint, OpenedSymbol
from sparekey.venue.listing import AssetRules, OrderLimit, SymbolRules


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True, tag_field="kind"):
    """Base of all spot commands; the class name is the tag in the journal."""


class ListAsset(Command, frozen=True):
    rules: AssetRules


class ListSymbol(Command, frozen=True):
    rules: SymbolRules


class SetOrderLimits(Command, frozen=True):
    """The profile's ORDERS limiters; journaled whenever a start brings other ones."""

    limits: tuple[OrderLimit, ...]


class Fund(Command, frozen=True):
    """Credit an account from issuance (sandbox). `amount` in 1e-8 units, positive."""

    account_id: int
    asset: str
    amount: int


class PlaceOrder(Command, frozen=True):
    """One order. Amounts in 1e-8 units, 0 = not sent; texts empty = not sent.

    `check_only` is the test order: all checks before the engine's, no effect. `routed`: books of other symbols may fill
    it, too.
    """

    admission: Admission
    symbol: str
    side: str
    type: str
    time_in_force: str = ""
    quantity: int = 0
    quote_quantity: int = 0
    price: int = 0
    stop_price: int = 0
    iceberg_quantity: int = 0
    trailing_delta: int = 0
    client_order_id: str = ""
    prevention_mode: str = ""
    strategy_id: int | None = None
    strategy_type: int | None = None
    check_only: bool = False
    peg_price_type: str = ""
    peg_offset: int = 0
    routed: bool = False


class CancelOrder(Command, frozen=True):
    """Cancel by order id (0 = not sent), else by original client order id; both must name the same order."""

    admission: Admission
    symbol: str
    order_id: int = 0
    original_client_order_id: str = ""
    new_client_order_id: str = ""
    restrictions: str = ""


class CancelOpenOrders(Command, frozen=True):
    admission: Admission
    symbol: str


class ReplaceOrder(Command, frozen=True):
    """Cancel an order, then place another one on the same symbol. Not transactional: a half that is done stays done.

    `place_anyway`: place also where the cancel failed. `cancel_over_limit`: cancel also where the account may place
    no more orders for now.
    """

    cancel: CancelOrder
    place: PlaceOrder
    place_anyway: bool = False
    cancel_over_limit: bool = False


class PlaceOrderList(Command, frozen=True):
    """Orders of which each one's fate is the others'. `form`: OCO, OTO, OTOCO, OPO or OPOCO.

    The working order comes first; of a pair the stop loss comes before the other. Orders that a working order pays for
    have no quantity. All have the same admission and symbol.
    """

    admission: Admission
    symbol: str
    form: str
    orders: tuple[PlaceOrder, ...]
    client_list_id: str = ""


class CancelOrderList(Command, frozen=True):
    """By list id (0 = not sent), else by client list id; both must name the same list."""

    admission: Admission
    symbol: str
    list_id: int = 0
    client_list_id: str = ""
    new_client_order_id: str = ""


class AmendOrder(Command, frozen=True):
    """Lower an open order's quantity; it keeps its id and its place. Found as by `CancelOrder`."""

    admission: Admission
    symbol: str
    quantity: int
    order_id: int = 0
    original_client_order_id: str = ""
    new_client_order_id: str = ""


class TransferFunds(Command, frozen=True):
    """Move free funds between two spot accounts of one master. `amount` in 1e-8 units, positive.

    Whoever asks has made sure that both accounts belong to `master_id`. The same transfer under the same
    `client_transfer_id` is made once.
    """

    admission: Admission
    master_id: int
    from_account_id: int
    to_account_id: int
    asset: str
    amount: int
    client_transfer_id: str = ""


class Fence(Command, frozen=True):
    """From the access shard: refuse admissions of this key older than `access_seq`."""

    key_id: int
    access_seq: int


class MarketTick(Command, frozen=True):
    """Let the participants act for `elapsed_us` of venue time."""

    elapsed_us: int


class OpenMarket(Command, frozen=True):
    """Let participants act. Once in a venue's life."""

    program: int
    seed: int
    symbols: tuple[OpenedSymbol, ...]
    birth_us: int = 0


class ReplayPrints(Command, frozen=True):
    """Recorded trades that happen now: each takes what accounts have resting at its price or better, then prints.

    Afterwards participants quote around the last price.
    """

    symbol: str
    prints: tuple[MarketPrint, ...]


class EndReplay(Command, frozen=True):
    """The recording of a symbol is over: from now on participants trade it like any other."""

    symbol: str


class BeginQueued(Command, frozen=True):
    """Go on with the orders that begin as internal steps: one command does not make all of them begin."""


SpotCommand = (
    ListAsset
    | ListSymbol
    | SetOrderLimits
    | Fund
    | PlaceOrder
    | CancelOrder
    | CancelOpenOrders
    | ReplaceOrder
    | PlaceOrderList
    | CancelOrderList
    | AmendOrder
    | Fence
    | OpenMarket
    | MarketTick
    | ReplayPrints
    | EndReplay
    | TransferFunds
    | BeginQueued
)
