"""Weights as Binance documents them: today's ("Weight" of each endpoint page) and those of July 2023."""

from __future__ import annotations

import json

import pytest

from sparekey.wire.routes import ALL_ROWS, load_routes
from sparekey.wire.table import Route
from sparekey.wire.weights import compile_weight, load_weights


def route(profile: str, method: str, path: str) -> Route:
    return load_routes(profile)[method][path.encode()]


def weigh(profile: str, path: str, **parameters: str) -> int:
    found = route(profile, "GET", path)
    return found.weigh(parameters)


def symbols(count: int) -> str:
    return json.dumps([f"S{number}" for number in range(count)])


CASES = [
    ("/api/v3/depth", {"symbol": "A"}, 1, 5),
    ("/api/v3/depth", {"limit": "100"}, 1, 5),
    ("/api/v3/depth", {"limit": "101"}, 5, 25),
    ("/api/v3/depth", {"limit": "500"}, 5, 25),
    ("/api/v3/depth", {"limit": "1000"}, 10, 50),
    ("/api/v3/depth", {"limit": "1001"}, 50, 250),
    ("/api/v3/depth", {"limit": "999999"}, 50, 250),
    ("/api/v3/ticker/24hr", {"symbol": "A"}, 1, 2),
    ("/api/v3/ticker/24hr", {"symbols": symbols(20)}, 1, 2),
    ("/api/v3/ticker/24hr", {"symbols": symbols(21)}, 20, 40),
    ("/api/v3/ticker/24hr", {"symbols": symbols(101)}, 40, 80),
    ("/api/v3/ticker/24hr", {}, 40, 80),
    ("/api/v3/ticker/price", {"symbol": "A"}, 1, 2),
    ("/api/v3/ticker/price", {"symbols": symbols(1)}, 2, 4),
    ("/api/v3/ticker/price", {}, 2, 4),
    ("/api/v3/ticker", {"symbol": "A"}, 2, 4),
    ("/api/v3/ticker", {"symbols": symbols(3)}, 6, 12),
    ("/api/v3/ticker", {"symbols": symbols(100)}, 100, 200),
    ("/api/v3/openOrders", {"symbol": "A"}, 3, 6),
    ("/api/v3/openOrders", {}, 40, 80),
    ("/api/v3/myTrades", {"symbol": "A"}, 10, 20),
    ("/api/v3/myTrades", {"symbol": "A", "orderId": "1"}, 10, 5),
    ("/api/v3/exchangeInfo", {}, 10, 20),
    ("/api/v3/account", {}, 10, 20),
]


@pytest.mark.parametrize(("path", "parameters", "classic", "current"), CASES)
def test_a_call_weighs_what_the_documents_say(
    path: str, parameters: dict[str, str], classic: int, current: int
) -> None:
    assert weigh("classic", path, **parameters) == classic
    assert weigh("off", path, **parameters) == classic
    assert weigh("current", path, **parameters) == current


@pytest.mark.parametrize("path", ["/api/v3/order/test", "/api/v3/sor/order/test"])
def test_a_test_order_weighs_more_where_its_commission_is_asked_for(path: str) -> None:
    """The default stands first in the rule; it is what counts where nothing else holds."""
    current = route("current", "POST", path)
    assert current.weigh({}) == current.weigh({"computeCommissionRates": "false"}) == 1
    assert current.weigh({"computeCommissionRates": "true"}) == 20
    classic = route("classic", "POST", path)
    assert classic.weigh({"computeCommissionRates": "true"}) == (10 if "sor" in path else 1)


def test_orders_are_free_on_success_only_where_the_profile_says_so() -> None:
    classic, current = (route(profile, "POST", "/api/v3/order") for profile in ("classic", "current"))
    assert (classic.fixed_weight, classic.charged_on_failure) == (1, 0)
    assert (current.fixed_weight, current.charged_on_failure) == (0, 1)


@pytest.mark.parametrize("profile", ["classic", "current", "off"])
def test_every_row_has_a_weight_and_counts_the_orders_it_says(profile: str) -> None:
    weights = load_weights(profile)
    for row in ALL_ROWS:
        assert weights[row.method, row.path].order_count == row.order_count


@pytest.mark.parametrize("rule", ["", "cheap", "5:limit<100", "5:limit<=", "k*n:symbols,max=3"])
def test_a_rule_outside_the_grammar_stops_the_start(rule: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        compile_weight(rule, {})
