"""Filters: what an order must satisfy before the engine sees it (Binance's spot documentation, "Filters").

The first one that fails names the refusal. All arithmetic is exact; bounds are inclusive.
"""

from __future__ import annotations

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.terms.rounding import RATE_ONE, affordable_quantity, notional
from sparekey.venue.listing import SymbolRules

TRAILING_DELTA = Refusal(Reason.FILTER_FAILED, ("TRAILING_DELTA",))
PRICE_FILTER = Refusal(Reason.FILTER_FAILED, ("PRICE_FILTER",))
PERCENT_PRICE = Refusal(Reason.FILTER_FAILED, ("PERCENT_PRICE",))
PERCENT_PRICE_BY_SIDE = Refusal(Reason.FILTER_FAILED, ("PERCENT_PRICE_BY_SIDE",))
MAX_POSITION = Refusal(Reason.FILTER_FAILED, ("MAX_POSITION",))
MIN_NOTIONAL = Refusal(Reason.FILTER_FAILED, ("MIN_NOTIONAL",))
LOT_SIZE = Refusal(Reason.FILTER_FAILED, ("LOT_SIZE",))
MARKET_LOT_SIZE = Refusal(Reason.FILTER_FAILED, ("MARKET_LOT_SIZE",))
NOTIONAL = Refusal(Reason.FILTER_FAILED, ("NOTIONAL",))
MAX_NUM_ORDER_LISTS = Refusal(Reason.FILTER_FAILED, ("MAX_NUM_ORDER_LISTS",))
MAX_NUM_ORDERS = Refusal(Reason.FILTER_FAILED, ("MAX_NUM_ORDERS",))
MAX_ASSET = Refusal(Reason.FILTER_FAILED, ("MAX_ASSET",))
ICEBERG_PARTS = Refusal(Reason.FILTER_FAILED, ("ICEBERG_PARTS",))
MAX_NUM_ICEBERG_ORDERS = Refusal(Reason.FILTER_FAILED, ("MAX_NUM_ICEBERG_ORDERS",))
MAX_NUM_ALGO_ORDERS = Refusal(Reason.FILTER_FAILED, ("MAX_NUM_ALGO_ORDERS",))


def check_price(rules: SymbolRules, price: int) -> Refusal | None:
    if (
        (rules.min_price and price < rules.min_price)
        or (rules.max_price and price > rules.max_price)
        or (rules.tick_size and price % rules.tick_size)
    ):
        return PRICE_FILTER
    return None


def check_percent_price(rules: SymbolRules, is_buy: bool, price: int, reference: int) -> Refusal | None:
    """`reference` is the average price; without one (0: nothing ever traded) there is nothing to compare with."""
    if not reference:
        return None
    if is_buy or not rules.percent_price_by_side:
        up, down = rules.bid_multiplier_up, rules.bid_multiplier_down
    else:
        up, down = rules.ask_multiplier_up, rules.ask_multiplier_down
    scaled = price * RATE_ONE  # instead of dividing the bounds, which would round them
    if scaled > reference * up or scaled < reference * down:
        return PERCENT_PRICE_BY_SIDE if rules.percent_price_by_side else PERCENT_PRICE
    return None


def check_lot(rules: SymbolRules, quantity: int) -> Refusal | None:
    if (
        quantity < rules.min_quantity
        or (rules.max_quantity and quantity > rules.max_quantity)
        or (rules.step_size and quantity % rules.step_size)
    ):
        return LOT_SIZE
    return None


def check_iceberg(rules: SymbolRules, quantity: int, iceberg_quantity: int) -> Refusal | None:
    refusal = check_lot(rules, iceberg_quantity)
    if refusal is not None:
        return refusal
    if rules.max_iceberg_parts and -(-quantity // iceberg_quantity) > rules.max_iceberg_parts:
        return ICEBERG_PARTS
    return None


def check_market_lot(rules: SymbolRules, quantity: int) -> Refusal | None:
    if (
        quantity < rules.min_market_quantity
        or (rules.max_market_quantity and quantity > rules.max_market_quantity)
        or (rules.market_step_size and quantity % rules.market_step_size)
    ):
        return MARKET_LOT_SIZE
    return None


def check_market_value(rules: SymbolRules, price: int, quantity: int) -> Refusal | None:
    return check_market_notional(rules, notional(price, quantity))


def check_notional(rules: SymbolRules, price: int, quantity: int) -> Refusal | None:
    value = notional(price, quantity)
    if value < rules.min_notional or (rules.max_notional and value > rules.max_notional):
        return NOTIONAL if rules.has_max_notional else MIN_NOTIONAL
    return None


def check_limit(rules: SymbolRules, is_buy: bool, price: int, quantity: int, reference: int) -> Refusal | None:
    """All that must hold of a price that an order works at, whoever chose it."""
    return (
        check_price(rules, price)
        or check_percent_price(rules, is_buy, price, reference)
        or check_notional(rules, price, quantity)
    )


def check_market_notional(rules: SymbolRules, value: int) -> Refusal | None:
    """`value` is what a MARKET order is worth at the reference price, or the quote quantity that it names."""
    if rules.apply_min_notional_to_market and value < rules.min_notional:
        return NOTIONAL if rules.has_max_notional else MIN_NOTIONAL
    if rules.apply_max_notional_to_market and rules.max_notional and value > rules.max_notional:
        return NOTIONAL
    return None


def check_trailing_delta(rules: SymbolRules, above: bool, delta: int) -> Refusal | None:
    """`above`: the order waits above the last price."""
    if above:
        low, high = rules.min_trailing_above, rules.max_trailing_above
    else:
        low, high = rules.min_trailing_below, rules.max_trailing_below
    return None if low <= delta <= high else TRAILING_DELTA


def check_assets(base_most: int, quote_most: int, quantity: int, quote_quantity: int, price: int) -> Refusal | None:
    """What one order may come to of each of its assets, 0: any amount. `price` is its own, or what it is valued at; a
    MARKET order names one of the two quantities."""
    if base_most and (quantity or (affordable_quantity(quote_quantity, price, 0) if price else 0)) > base_most:
        return MAX_ASSET
    return MAX_ASSET if quote_most and (quote_quantity or notional(price, quantity)) > quote_most else None
