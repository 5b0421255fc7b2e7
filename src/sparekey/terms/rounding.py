"""Every rounding of the house, each with its direction and the reason for it. Nothing else divides money."""

from __future__ import annotations

from sparekey.terms.money import ONE

#: Rates (fees, multipliers) are ints in units of 1e-8: 0.001 is 100000.
RATE_ONE = ONE


def notional(price: int, quantity: int) -> int:
    """Quote amount of `quantity` at `price`, truncated to 1e-8.

    Down: the buyer pays and the seller receives the same truncated amount, so no unit is created; a hold taken for
    the whole order covers its fills, because floor(a) + floor(b) <= floor(a + b).
    """
    return price * quantity // ONE


def fee(amount: int, rate: int) -> int:
    """Commission on a received amount, truncated: the account never pays more than the published rate."""
    return amount * rate // RATE_ONE


def affordable_quantity(quote_amount: int, price: int, step: int) -> int:
    """Largest multiple of `step` whose notional at `price` does not exceed `quote_amount` (MARKET by quoteOrderQty)."""
    if step <= 0:
        step = 1
    return quote_amount * ONE // price // step * step


def average_price(quote_amount: int, quantity: int) -> int:
    """Volume-weighted price, truncated. Zero for an empty window."""
    return quote_amount * ONE // quantity if quantity else 0


def mean(total: int, count: int) -> int:
    """Arithmetic mean, truncated, as the documents truncate a reference price. Zero of nothing."""
    return total // count if count else 0


def least_times(price: int, rate: int) -> int:
    """The least price that is not below `rate` times `price`: inwards, so that nothing beyond a bound gets through."""
    return -(-price * rate // RATE_ONE)


def most_times(price: int, rate: int) -> int:
    """The largest price that is not above `rate` times `price`; inwards as well."""
    return price * rate // RATE_ONE


def floor_to_step(amount: int, step: int) -> int:
    """Down to a multiple of a tick or lot step; a step of zero means "off"."""
    return amount // step * step if step > 0 else amount


def percent_thousandths(change: int, base: int) -> int:
    """`change` in thousandths of a percent of `base`, to the nearest, halves away from zero; zero without a base.

    Shown only (`priceChangePercent`); nothing is paid by it.
    """
    if not base:
        return 0
    size = (abs(change) * 200_000 + base) // (2 * base)
    return -size if change < 0 else size
