"""The official Python SDK for spot, unmodified, led here by `base_path`. Wrongly typed replies are failures here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import BadRequestError, RateLimitBanError, TooManyRequestsError, UnauthorizedError
from binance_sdk_spot.spot import Spot

from tests.e2e.loopback import leave_from
from tests.e2e.wrong_secrets import KEY_TYPES, another_secret, unknown_key
from tests.venue import Credentials, Venue


def rest(venue: Venue, key: Credentials | None, tmp_path: Path, **more: Any) -> Any:
    credentials: dict[str, Any] = {}
    if key is not None:
        credentials["api_key"] = key.api_key
        if key.private_pem:
            pem = tmp_path / f"{key.api_key[:8]}-{hash(key.private_pem)}.pem"
            pem.write_text(key.private_pem)
            credentials["private_key"] = str(pem)
        else:
            credentials["api_secret"] = key.secret
    # Its default timeout of a second is not ours to test.
    configuration = ConfigurationRestAPI(base_path=venue.url, retries=0, timeout=30_000, **credentials, **more)
    return Spot(config_rest_api=configuration).rest_api


@pytest.fixture
def no_type_warnings(caplog: pytest.LogCaptureFixture) -> Any:
    """The SDK only warns when a reply has another type than it declares; here that fails the test."""
    yield
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.mark.venue(market="simulated")
@pytest.mark.usefixtures("no_type_warnings")
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_bot_on_the_official_sdk_lives_its_day_with_each_key_type(
    venue: Venue, key_type: str, tmp_path: Path
) -> None:
    api = rest(venue, venue.key(key_type, fund={"USDT": "50000", "BTC": "1"}), tmp_path)
    assert api.exchange_info(symbol="BTCUSDT").data().symbols[0].symbol == "BTCUSDT"
    balances = {balance.asset: balance.free for balance in api.get_account().data().balances}
    assert balances["USDT"] == "50000.00000000"
    assert len(api.depth(symbol="BTCUSDT", limit=100).data().bids) >= 50
    assert len(api.klines(symbol="BTCUSDT", interval="1m", limit=20).data()) == 20

    resting = api.new_order(
        symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=40000
    ).data()
    assert resting.status == "NEW"
    assert [order.order_id for order in api.get_open_orders(symbol="BTCUSDT").data()] == [resting.order_id]
    assert api.delete_order(symbol="BTCUSDT", order_id=resting.order_id).data().status == "CANCELED"
    bought = api.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01).data()
    assert bought.status == "FILLED"
    assert api.get_order(symbol="BTCUSDT", order_id=bought.order_id).data().status == "FILLED"
    assert {trade.order_id for trade in api.my_trades(symbol="BTCUSDT").data()} == {bought.order_id}
    assert len(api.all_orders(symbol="BTCUSDT").data()) == 2
    assert api.rate_limit_order().data()[0].rate_limit_type == "ORDERS"
    assert api.account_commission(symbol="BTCUSDT").data().standard_commission.taker == "0.00100000"


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_each_refusal_reaches_the_official_sdk_as_its_own_exception(
    venue: Venue, key_type: str, tmp_path: Path
) -> None:
    key = venue.key(key_type, fund={"USDT": "100"})
    api = rest(venue, key, tmp_path)
    limit: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "time_in_force": "GTC"}
    reader = rest(venue, venue.key(key_type, permissions=["reading"]), tmp_path)
    only_here = venue.key(key_type, ips=["127.0.0.1"])
    assert rest(venue, only_here, tmp_path).get_account().data().account_type == "SPOT"
    foreign = rest(venue, only_here, tmp_path)
    leave_from(foreign._session)
    wrong_secret = rest(venue, another_secret(key_type, key.api_key), tmp_path)
    unknown = rest(venue, unknown_key(key_type), tmp_path)
    cases: list[tuple[type[Exception], str, Callable[[], Any]]] = [
        (BadRequestError, "Signature for this request", wrong_secret.get_account),
        (UnauthorizedError, "Invalid API-key, IP", unknown.get_account),
        (UnauthorizedError, "Invalid API-key, IP", lambda: reader.new_order(**limit, quantity=1, price=30000)),
        (UnauthorizedError, "Invalid API-key, IP", foreign.get_account),
        (BadRequestError, "Invalid symbol", lambda: api.depth(symbol="NOPE")),
        (BadRequestError, "PRICE_FILTER", lambda: api.new_order(**limit, quantity=0.01, price=30000.001)),
        (BadRequestError, "insufficient balance", lambda: api.new_order(**limit, quantity=1, price=30000)),
        (BadRequestError, "Order does not exist", lambda: api.get_order(symbol="BTCUSDT", order_id=7)),
        (BadRequestError, "Unknown order sent", lambda: api.delete_order(symbol="BTCUSDT", order_id=7)),
    ]
    for exception, text, call in cases:
        with pytest.raises(exception, match=text):
            call()
    venue.clock.skew("+2m")
    with pytest.raises(BadRequestError, match="outside of the recvWindow"):
        api.get_account()


@pytest.mark.usefixtures("no_type_warnings")
def test_the_official_sdk_is_answered_in_microseconds_where_it_asks_for_them(venue: Venue, tmp_path: Path) -> None:
    api = rest(venue, venue.key(fund={"USDT": "1000"}), tmp_path, time_unit="MICROSECOND")
    placed = api.new_order(
        symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=40000
    ).data()
    assert len(str(placed.transact_time)) == len(str(api.time().data().server_time)) == 16
    assert api.get_order(symbol="BTCUSDT", order_id=placed.order_id).data().time == placed.transact_time


def test_ignoring_a_rate_limit_is_a_ban_for_the_official_sdk(venue: Venue, tmp_path: Path) -> None:
    api = rest(venue, None, tmp_path)

    def ask_until_refused(calls: int) -> None:
        for _ in range(calls):
            api.exchange_info()

    with pytest.raises(TooManyRequestsError, match="current limit is 1200 request weight per 1 MINUTE"):
        ask_until_refused(241)
    with pytest.raises(RateLimitBanError, match="IP banned until"):
        for _ in range(200):
            try:
                ask_until_refused(241)
            except TooManyRequestsError:
                continue


@pytest.mark.venue(profile="off")
@pytest.mark.usefixtures("no_type_warnings")
def test_the_official_sdk_routes_orders_and_asks_for_rules_and_prices(venue: Venue, tmp_path: Path) -> None:
    api = rest(venue, venue.key(fund={"USDT": "50000", "USDC": "50000", "BTC": "1"}), tmp_path)
    seller = rest(venue, venue.key(fund={"BTC": "1"}), tmp_path)
    limit = {"type": "LIMIT", "time_in_force": "GTC", "price": 60000}
    seller.new_order(symbol="BTCUSDC", side="SELL", quantity=0.3, **limit)
    api.new_order(symbol="BTCUSDC", side="BUY", quantity=0.1, **limit)

    reference = api.reference_price(symbol="BTCUSDC").data()
    assert reference.reference_price == "60000.00000000"
    calculation = api.reference_price_calculation(symbol="BTCUSDC").data()
    assert (calculation.calculation_type, calculation.bucket_width_ms) == ("ARITHMETIC_MEAN", 60_000)
    rules, others = api.execution_rules(symbols=["BTCUSDC", "BTCUSDT"]).data().symbol_rules
    assert (others.symbol, others.rules) == ("BTCUSDT", [])
    assert rules.rules[0].bid_limit_mult_up == "1.05000000"
    filters = api.my_filters(symbol="BTCUSDC").data()
    assert filters.asset_filters[0].actual_instance.limit == "5000000.00000000"
    assert api.historical_block_trades(symbol="BTCUSDT", from_id=1).data() == []

    assert api.sor_order_test(symbol="BTCUSDT", side="BUY", quantity=0.1, **limit).data() is not None
    routed = api.sor_order(symbol="BTCUSDT", side="BUY", quantity=0.1, **limit).data()
    assert (routed.status, routed.used_sor, routed.fills[0].match_type) == ("FILLED", True, "ONE_PARTY_TRADE_REPORT")
    [allocation] = api.my_allocations(symbol="BTCUSDT", order_id=routed.order_id).data()
    assert (allocation.allocation_id, allocation.qty) == (routed.fills[0].alloc_id, "0.10000000")

    stopped = api.new_order(symbol="BTCUSDT", side="SELL", quantity=0.1, **limit).data()
    taker = api.new_order(
        symbol="BTCUSDT", side="BUY", quantity=0.1, self_trade_prevention_mode="EXPIRE_MAKER", **limit
    ).data()
    [match] = api.my_prevented_matches(symbol="BTCUSDT", order_id=taker.order_id).data()
    assert (match.maker_order_id, match.maker_prevented_quantity) == (stopped.order_id, "0.10000000")


@pytest.mark.venue(profile="off")
@pytest.mark.usefixtures("no_type_warnings")
def test_the_official_sdk_places_amends_and_cancels_order_lists(venue: Venue, tmp_path: Path) -> None:
    api = rest(venue, venue.key(fund={"USDT": "50000", "BTC": "1"}), tmp_path)
    seller = rest(venue, venue.key(fund={"USDT": "50000", "BTC": "1"}), tmp_path)
    sale = {"symbol": "BTCUSDT", "side": "SELL", "quantity": 0.1}
    around = {"above_type": "LIMIT_MAKER", "above_price": 60000, "below_type": "STOP_LOSS", "below_stop_price": 40000}

    pair = api.order_list_oco(**sale, **around).data()
    assert (pair.contingency_type, pair.list_order_status) == ("OCO", "EXECUTING")
    assert [report.type for report in pair.order_reports] == ["STOP_LOSS", "LIMIT_MAKER"]
    buyer = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "quantity": 0.1}
    assert seller.new_order(**buyer, price=60000).data().status == "FILLED"
    ended = api.get_order_list(order_list_id=pair.order_list_id).data()
    assert (ended.list_status_type, ended.list_order_status) == ("ALL_DONE", "ALL_DONE")

    bought = api.order_list_opoco(
        "BTCUSDT",
        "LIMIT",
        "BUY",
        50000,
        0.1,
        "SELL",
        "TAKE_PROFIT",
        working_time_in_force="GTC",
        pending_above_stop_price=70000,
        pending_below_type="STOP_LOSS",
        pending_below_stop_price=30000,
    ).data()
    assert [report.status for report in bought.order_reports] == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    assert [one.order_list_id for one in api.open_order_list().data()] == [bought.order_list_id]
    seller.new_order(**buyer | {"side": "SELL"}, price=50000)
    stop = bought.orders[1].order_id
    amended = api.order_amend_keep_priority("BTCUSDT", 0.05, order_id=stop).data()
    assert amended.list_status.contingency_type == "OTO"
    cancelled = api.delete_order_list("BTCUSDT", order_list_id=bought.order_list_id).data()
    assert [report.status for report in cancelled.order_reports] == ["CANCELED", "CANCELED"]
    assert [one.order_list_id for one in api.all_order_list(from_id=1).data()] == [
        pair.order_list_id,
        bought.order_list_id,
    ]
