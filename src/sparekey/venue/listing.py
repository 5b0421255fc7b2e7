"""What is listed: assets, symbols with their filters, and the ORDERS limiters. Data, journaled as events."""

from __future__ import annotations

import msgspec

#: All that a symbol can take, in the order in which Binance lists them.
ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)


class Rules(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of listing records; array-like in the journal, so fields are only ever appended."""


class NetworkRules(Rules, frozen=True):
    """A deposit and withdrawal network of an asset; amounts in 1e-8 units."""

    network: str
    name: str
    withdraw_fee: int
    withdraw_min: int
    withdraw_max: int
    address_regex: str
    confirmations: int = 1


class AssetRules(Rules, frozen=True):
    """`max_order`: so much of the asset a single order may come to (filter MAX_ASSET), 1e-8 units; 0: any amount."""

    asset: str
    name: str
    is_legal_money: bool = False
    networks: tuple[NetworkRules, ...] = ()
    max_order: int = 0


class PriceRange(Rules, frozen=True):
    """The execution rule PRICE_RANGE: takers trade within these multiples of the reference price, in 1e-8; 0: no bound.

    Buyers go by the bid's, sellers by the ask's. Without a reference price nothing is bound.
    """

    bid_up: int
    bid_down: int
    ask_up: int
    ask_down: int


class SymbolRules(Rules, frozen=True):
    """A spot symbol. Prices, quantities, notionals and rates are ints in 1e-8 units; zero switches a bound off.

    `*_trailing_*` are basis points: for orders that wait above the last price, and below it.

    Filters as in Binance's spot documentation, "Filters"; the wire prints them in `exchangeInfo`.
    """

    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: int
    step_size: int
    min_price: int
    max_price: int
    min_quantity: int
    max_quantity: int
    max_market_quantity: int
    min_notional: int
    max_notional: int
    bid_multiplier_up: int
    bid_multiplier_down: int
    ask_multiplier_up: int
    ask_multiplier_down: int
    average_price_minutes: int = 5
    max_open_orders: int = 200
    max_algo_orders: int = 5
    max_iceberg_parts: int = 100
    status: str = "TRADING"
    order_types: tuple[str, ...] = ORDER_TYPES
    maker_rate: int = 100_000
    taker_rate: int = 100_000
    default_prevention_mode: str = "EXPIRE_MAKER"
    prevention_modes: tuple[str, ...] = ("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")
    apply_min_notional_to_market: bool = True
    apply_max_notional_to_market: bool = False
    #: The reference price is the mean price of the trades in so many of the last minutes; 0: the symbol has none.
    reference_buckets: int = 0
    peg_allowed: bool = False
    iceberg_allowed: bool = False
    max_iceberg_orders: int = 0
    trailing_allowed: bool = False
    min_trailing_above: int = 0
    max_trailing_above: int = 0
    min_trailing_below: int = 0
    max_trailing_below: int = 0
    price_range: PriceRange | None = None
    max_order_amends: int = 10
    max_order_lists: int = 20
    min_market_quantity: int = 0
    market_step_size: int = 0
    #: what an account may hold of the base asset and have ordered, together
    max_position: int = 0
    #: PERCENT_PRICE_BY_SIDE, or else PERCENT_PRICE with the bid's multipliers for both sides
    percent_price_by_side: bool = True
    #: NOTIONAL, or else MIN_NOTIONAL, which has no upper bound
    has_max_notional: bool = True
    #: Orders that ask for routing are filled from the books of all routed symbols of its base asset: their quotes count
    #: one for one.
    routed: bool = False


class OrderLimit(Rules, frozen=True):
    """An ORDERS limiter: at most `limit` new orders per account in fixed windows of `window_us`, aligned to UTC.

    `gives_back`: the first fill of an order gives its count back (the "unfilled order count" of later years).
    `enforced` is false in the profile `off`: counted and shown, never refused.
    """

    interval: str
    interval_count: int
    window_us: int
    limit: int
    gives_back: bool
    enforced: bool = True
