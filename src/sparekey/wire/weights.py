"""What calls weigh: rules per endpoint, read from a profile's file and compiled once.

A rule is a number, or items `value:condition` separated by `;`, of which the first that holds counts:

    20                                    always
    5:limit<=100;25:limit<=500;250:limit  by a number (its default where it is not sent)
    2:symbol;4:symbols;4:none             by which parameter is there
    2:symbol;2:symbols<=20;40:symbols     by how many values it holds
    4*n:symbols,max=200                   so much per value, capped; a single `symbol` counts as one
    1:default;20:computeCommissionRates=true    by a value; `default` is what counts where nothing else holds
    0:ok;1:fail                           free on success (Binance's rule for orders since April 2026)
    0:ok_and_order_expired;4:default      free where the handler says so
    2:invalid_symbol;2:preventedMatchId;20:orderId    the first where no symbol has the name that was sent
    8+3000                                by the address and, after the sign, by the account (`/sapi`)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import msgspec

Weigh = Callable[[Mapping[str, str]], int]

_CONDITION = re.compile(r"^(?P<name>[A-Za-z]+)(?:(?P<operator><=|>|=)(?P<operand>[A-Za-z0-9]+))?$")
_SYMBOL_UNKNOWN = "invalid_symbol"
_FREE_ON_EXPIRY = "0:ok_and_order_expired;"
_PER_VALUE = re.compile(r"^(?P<each>\d+)\*n:(?P<name>[A-Za-z]+),max=(?P<most>\d+)$")


class WeightRow(msgspec.Struct, frozen=True):
    method: str
    path: str
    rule: str
    order_count: int


class WeightRule(msgspec.Struct, frozen=True):
    """`fixed` is the weight where no parameter matters, else -1. `on_failure` is charged when the call fails.

    `symbol_unknown` is what a call costs that names no symbol of ours, -1 where that makes no difference.
    """

    fixed: int
    on_failure: int
    weigh: Weigh
    symbol_unknown: int = -1


def load_weights(profile: str) -> dict[tuple[str, str], WeightRow]:
    """The profile's rules by method and path; `off` counts with those of `classic`."""
    name = "classic" if profile == "off" else profile
    text = resources.files("sparekey.wire").joinpath(f"weights/{name}.tsv").read_text("utf-8")
    rows = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            method, path, rule, orders = line.split("\t")[:4]
            rows[method, path] = WeightRow(method, path, rule, int(orders))
    return rows


def compile_weight(rule: str, defaults: Mapping[str, Any]) -> WeightRule:
    """A rule as a function of the raw parameters. Raises ValueError for a rule that is not of the grammar."""
    if rule.isdigit():
        weight = int(rule)
        return WeightRule(weight, 0, lambda _: weight)
    if rule.startswith("0:ok;"):
        on_failure = int(rule.removeprefix("0:ok;").partition(":")[0])
        return WeightRule(0, on_failure, lambda _: 0)
    symbol_unknown = -1
    rule = rule.removeprefix(_FREE_ON_EXPIRY)
    if f":{_SYMBOL_UNKNOWN}" in rule:
        cheap, _, rule = rule.partition(f":{_SYMBOL_UNKNOWN};")
        symbol_unknown = int(cheap)
    texts = sorted(rule.split(";"), key=lambda item: item.endswith(":default"))
    items = [_compile_item(item, defaults) for item in texts]

    def weigh(raw: Mapping[str, str]) -> int:
        found = 0
        for item in items:
            found, holds = item(raw)
            if holds:
                break
        return found  # Nothing held: the last, dearest one, so that garbage is no way to a cheap call.

    return WeightRule(-1, 0, weigh, symbol_unknown)


_Item = Callable[[Mapping[str, str]], tuple[int, bool]]


def _compile_item(item: str, defaults: Mapping[str, Any]) -> _Item:
    per_value = _PER_VALUE.match(item)
    if per_value:
        each, most, name = int(per_value["each"]), int(per_value["most"]), per_value["name"]

        def by_values(raw: Mapping[str, str]) -> tuple[int, bool]:
            if name in raw:
                return min(each * max(count_values(raw[name]), 1), most), True
            return each, name.removesuffix("s") in raw

        return by_values
    value_text, _, condition = item.partition(":")
    weight = int(value_text)
    if condition in ("", "default", "none"):
        return lambda _: (weight, True)
    parts = _CONDITION.match(condition)
    if parts is None:
        raise ValueError(f"{item!r} is no item of a weight rule")
    name, operator, operand = parts["name"], parts["operator"], parts["operand"]
    if operator is None:
        return lambda raw: (weight, name in raw)
    if operator == "=":
        return lambda raw: (weight, raw.get(name, "").lower() == operand.lower())
    bound, below, default = int(operand), operator == "<=", defaults.get(name)

    def by_number(raw: Mapping[str, str]) -> tuple[int, bool]:
        text = raw.get(name)
        if text is None:
            if default is None:
                return weight, False
            number = int(default)
        elif text.isascii() and text.isdigit():
            number = int(text[:20])
        else:
            number = count_values(text)
        return weight, (number <= bound) if below else (number > bound)

    return by_number


def count_values(text: str) -> int:
    """How many values a JSON array holds, by its commas: exact for what will parse, harmless for what will not."""
    return text.count(",") + 1 if text.strip("[] ") else 0
