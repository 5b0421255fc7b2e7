"""A number with its spread, or the admission that it is too noisy to be one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

#: Interquartile range over median beyond which a number says more about the machine than about the program.
TOO_NOISY = 0.30


class Spread(NamedTuple):
    """Median and quartiles of repeated measurements."""

    median: float
    low: float
    high: float
    count: int

    @property
    def noisy(self) -> bool:
        return self.count < 3 or self.high - self.low > TOO_NOISY * self.median

    def text(self, unit: str = "", digits: int = 2) -> str:
        if self.noisy:
            return f"too noisy ({self.low:,.{digits}f} to {self.high:,.{digits}f}{unit})"
        return f"{self.median:,.{digits}f}{unit} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Quartiles by linear interpolation; of one value all three are it."""
    if not values:
        raise ValueError("nothing was measured")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Of pairs measured next to each other, so that what slows the machine for a while slows both."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])
