"""Money as scaled integers: one amount, price or quantity is an int in units of 1e-8.

Strings exist only at the wire. Prices, quantities and balances share the one scale, because Binance publishes eight
decimals for every spot asset (`baseAssetPrecision`, `quoteAssetPrecision`).
"""

from __future__ import annotations

SCALE_DIGITS = 8
ONE = 100_000_000

#: Largest accepted amount: Binance's own regex allows 20 integer digits, but a depth level is capped at a signed
#: 64-bit count of 1e-8 units ("92233720368.54775807"). Larger input is an overflow (-1108).
MAX_AMOUNT = 2**63 - 1

_ZEROS = "00000000"


class MoneyError(ValueError):
    """A decimal text that is no amount. `kind` is "malformed", "precision" or "overflow"."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def parse_money(text: str, decimals: int = SCALE_DIGITS) -> int:
    """`"0.00100000"` → 100000. ASCII digits with at most one inner point; no sign, exponent, space or underscore.

    `decimals` is how many decimals carry value; more (other than zeros) raise `MoneyError("precision")`.
    Accepted shape as in Binance's -1100 replies: `^([0-9]{1,20})(\\.[0-9]{1,20})?$`.
    """
    whole, point, fraction = text.partition(".")
    digits = whole + fraction
    # isascii + isdigit: str.isdigit alone accepts full-width and superscript digits.
    if not whole or (point and not fraction) or not (digits.isascii() and digits.isdigit()):
        raise MoneyError("malformed")
    if len(whole) > 20 or len(fraction) > 20:
        raise MoneyError("malformed")
    if len(fraction) > decimals:
        if fraction[decimals:].strip("0"):
            raise MoneyError("precision")
        fraction = fraction[:decimals]
    amount = int(whole + (fraction + _ZEROS)[:SCALE_DIGITS])
    if amount > MAX_AMOUNT:
        raise MoneyError("overflow")
    return amount


def format_money(amount: int) -> str:
    """100000 → `"0.00100000"`, always eight decimals, as Binance pads them."""
    if amount < 0:
        return "-" + format_money(-amount)
    digits = str(amount)
    length = len(digits)
    if length > SCALE_DIGITS:
        return digits[:-SCALE_DIGITS] + "." + digits[-SCALE_DIGITS:]
    return "0." + _ZEROS[length:] + digits
