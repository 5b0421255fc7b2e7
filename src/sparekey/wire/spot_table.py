"""The spot family (`/api/v3`): one row per endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from sparekey.terms.permissions import Permission
from sparekey.terms.reasons import Reason
from sparekey.wire import spot_account, spot_changes, spot_general, spot_lists, spot_market, spot_matches, spot_orders
from sparekey.wire.parameters import (
    Parameter,
    boolean,
    client_order_id,
    decimal,
    enum,
    limit,
    listen_key,
    long,
    symbol,
    symbols,
    text_array,
    time,
    time_zone,
)
from sparekey.wire.table import Row, Security, Twin

#: `/api/v3/userDataStream` ended on this day; clients older than that still call it.
_LISTEN_KEYS_RETIRED = "2026-02-20"
#: `ticker` and `ticker/tradingDay` take at most so many symbols.
_MOST_SYMBOLS = 100

_SYMBOL = symbol(mandatory=True)
_START, _END = time("startTime"), time("endTime", ends=True)
_STATUS = enum("symbolStatus", spot_general.SYMBOL_STATUSES, Reason.SYMBOL_STATUS_INVALID)
_TICKER_TYPE = enum("type", ("FULL", "MINI"), Reason.TICKER_TYPE_INVALID, default="FULL")
_LIMIT = limit(500, 1000)
_CANCEL_RESTRICTIONS = enum("cancelRestrictions", spot_orders.CANCEL_RESTRICTIONS, Reason.CANCEL_RESTRICTIONS_INVALID)
#: In the order in which Binance's message names them.
_EITHER_ID = ("origClientOrderId", "orderId")

_CANDLES: tuple[Parameter, ...] = (
    _SYMBOL,
    enum("interval", spot_market.INTERVALS, Reason.INTERVAL_INVALID, mandatory=True),
    _START,
    _END,
    time_zone(),
    _LIMIT,
)

_PLACEMENT: tuple[Parameter, ...] = (
    _SYMBOL,
    enum("side", spot_orders.SIDES, Reason.SIDE_INVALID, mandatory=True),
    enum("type", spot_orders.TYPES, Reason.ORDER_TYPE_INVALID, mandatory=True),
    enum("timeInForce", spot_orders.TIMES_IN_FORCE, Reason.TIME_IN_FORCE_INVALID),
    decimal("quantity"),
    decimal("quoteOrderQty"),
    decimal("price"),
    client_order_id("newClientOrderId"),
    long("strategyId"),
    long("strategyType"),
    decimal("stopPrice"),
    long("trailingDelta", least=1),
    decimal("icebergQty"),
    enum("newOrderRespType", spot_orders.RESPONSE_TYPES),
    enum("selfTradePreventionMode", spot_orders.PREVENTION_MODES),
    enum("pegPriceType", ("PRIMARY_PEG", "MARKET_PEG"), Reason.PEG_PRICE_TYPE_INVALID),
    long("pegOffsetValue", least=1),
    enum("pegOffsetType", ("PRICE_LEVEL",), Reason.PEG_OFFSET_TYPE_INVALID),
)

#: Orders that books of other symbols may fill, too.
_ROUTED_PLACEMENT: tuple[Parameter, ...] = (
    _SYMBOL,
    enum("side", spot_orders.SIDES, Reason.SIDE_INVALID, mandatory=True),
    enum("type", ("LIMIT", "MARKET"), Reason.ORDER_TYPE_INVALID, mandatory=True),
    enum("timeInForce", spot_orders.TIMES_IN_FORCE, Reason.TIME_IN_FORCE_INVALID),
    decimal("quantity", mandatory=True),
    decimal("price"),
    client_order_id("newClientOrderId"),
    long("strategyId"),
    long("strategyType"),
    decimal("icebergQty"),
    enum("newOrderRespType", spot_orders.RESPONSE_TYPES),
    enum("selfTradePreventionMode", spot_orders.PREVENTION_MODES),
)


def _listed(place: str, types: Iterable[str] = spot_orders.TYPES) -> tuple[Parameter, ...]:
    """Parameters of an order by its place in a list."""
    return (
        enum(f"{place}Type", types, Reason.ORDER_TYPE_INVALID, mandatory=True),
        client_order_id(f"{place}ClientOrderId"),
        decimal(f"{place}Price"),
        decimal(f"{place}StopPrice"),
        long(f"{place}TrailingDelta", least=1),
        decimal(f"{place}IcebergQty"),
        enum(f"{place}TimeInForce", spot_orders.TIMES_IN_FORCE, Reason.TIME_IN_FORCE_INVALID),
        long(f"{place}StrategyId"),
        long(f"{place}StrategyType"),
        enum(f"{place}PegPriceType", ("PRIMARY_PEG", "MARKET_PEG"), Reason.PEG_PRICE_TYPE_INVALID),
        enum(f"{place}PegOffsetType", ("PRICE_LEVEL",), Reason.PEG_OFFSET_TYPE_INVALID),
        long(f"{place}PegOffsetValue", least=1),
    )


def _side(name: str) -> Parameter:
    return enum(name, spot_orders.SIDES, Reason.SIDE_INVALID, mandatory=True)


_LISTED_COMMON: tuple[Parameter, ...] = (
    _SYMBOL,
    client_order_id("listClientOrderId"),
    enum("newOrderRespType", spot_orders.RESPONSE_TYPES),
    enum("selfTradePreventionMode", spot_orders.PREVENTION_MODES),
)
_WORKING: tuple[Parameter, ...] = (
    _side("workingSide"),
    decimal("workingQuantity", mandatory=True),
    *_listed("working", spot_lists.WORKING_TYPES),
    _side("pendingSide"),
)
_PENDING = (*_WORKING, decimal("pendingQuantity", mandatory=True))
#: What the working order pays for has no quantity of its own.
_PENDING_PAID = (*_WORKING, decimal("pendingQuantity"))
_PENDING_PAIR = (*_listed("pendingAbove"), *_listed("pendingBelow"))

_public = partial(Row, security=Security.NONE, permission=Permission.NONE)
_read = partial(Row, security=Security.USER_DATA, permission=Permission.READING)
_trade = partial(Row, security=Security.TRADE, permission=Permission.SPOT_AND_MARGIN_TRADING)
_stream = partial(Row, security=Security.USER_STREAM, permission=Permission.READING)

SPOT_ROWS: tuple[Row, ...] = (
    # --- general
    _public("GET", "/api/v3/ping", handler=spot_general.ping, websocket="ping"),
    _public("GET", "/api/v3/time", handler=spot_general.time, websocket="time"),
    _public(
        "GET",
        "/api/v3/exchangeInfo",
        handler=spot_general.exchange_info,
        parameters=(
            symbol(),
            symbols(),
            text_array("permissions", single_allowed=True),
            boolean("showPermissionSets", True),
            _STATUS,
        ),
        check=spot_general.check_exchange_info,
        websocket="exchangeInfo",
    ),
    _public(
        "GET",
        "/api/v3/executionRules",
        handler=spot_general.execution_rules,
        parameters=(symbol(), symbols(), _STATUS),
        check=spot_general.check_execution_rules,
        websocket="executionRules",
        since="2026-03-09",
    ),
    # --- market data
    _public(
        "GET",
        "/api/v3/depth",
        handler=spot_market.depth,
        parameters=(_SYMBOL, limit(100, 5000), _STATUS),
        websocket="depth",
    ),
    _public(
        "GET",
        "/api/v3/trades",
        handler=spot_market.trades,
        parameters=(_SYMBOL, _LIMIT),
        websocket="trades.recent",
    ),
    _public(
        "GET",
        "/api/v3/historicalTrades",
        handler=spot_market.historical_trades,
        parameters=(_SYMBOL, _LIMIT, long("fromId")),
        websocket="trades.historical",
    ),
    _public(
        "GET",
        "/api/v3/historicalBlockTrades",
        handler=spot_market.historical_block_trades,
        parameters=(_SYMBOL, long("fromId", mandatory=True), _LIMIT),
        websocket="blockTrades.historical",
        since="2026-05-08",
    ),
    _public(
        "GET",
        "/api/v3/aggTrades",
        handler=spot_market.agg_trades,
        parameters=(_SYMBOL, long("fromId"), _START, _END, _LIMIT),
        check=spot_market.check_from_id_or_times,
        websocket="trades.aggregate",
    ),
    _public("GET", "/api/v3/klines", handler=spot_market.klines, parameters=_CANDLES, websocket="klines"),
    _public(
        "GET",
        "/api/v3/uiKlines",
        handler=spot_market.klines,
        parameters=_CANDLES,
        websocket="uiKlines",
        since="2022-08-23",
    ),
    _public(
        "GET",
        "/api/v3/avgPrice",
        handler=spot_market.average,
        parameters=(_SYMBOL,),
        websocket="avgPrice",
    ),
    _public(
        "GET",
        "/api/v3/ticker/24hr",
        handler=spot_market.ticker_24h,
        parameters=(symbol(), symbols(), _TICKER_TYPE, _STATUS),
        check=spot_market.check_symbol_or_symbols,
        websocket="ticker.24hr",
    ),
    _public(
        "GET",
        "/api/v3/ticker/tradingDay",
        handler=spot_market.ticker_day,
        parameters=(symbol(), symbols(most=_MOST_SYMBOLS), time_zone(), _TICKER_TYPE, _STATUS),
        check=spot_market.check_one_of_symbol_and_symbols,
        websocket="ticker.tradingDay",
        since="2023-12-04",
    ),
    _public(
        "GET",
        "/api/v3/ticker/price",
        handler=spot_market.ticker_price,
        parameters=(symbol(), symbols(), _STATUS),
        check=spot_market.check_symbol_or_symbols,
        websocket="ticker.price",
    ),
    _public(
        "GET",
        "/api/v3/ticker/bookTicker",
        handler=spot_market.ticker_book,
        parameters=(symbol(), symbols(), _STATUS),
        check=spot_market.check_symbol_or_symbols,
        websocket="ticker.book",
    ),
    _public(
        "GET",
        "/api/v3/ticker",
        handler=spot_market.ticker_rolling,
        parameters=(
            symbol(),
            symbols(most=_MOST_SYMBOLS),
            enum("windowSize", spot_market.WINDOWS_US, Reason.INTERVAL_INVALID, default="1d"),
            _TICKER_TYPE,
            _STATUS,
        ),
        check=spot_market.check_one_of_symbol_and_symbols,
        websocket="ticker",
    ),
    _public(
        "GET",
        "/api/v3/referencePrice",
        handler=spot_market.reference_price,
        parameters=(_SYMBOL,),
        websocket="referencePrice",
        since="2026-03-09",
    ),
    _public(
        "GET",
        "/api/v3/referencePrice/calculation",
        handler=spot_market.reference_price_calculation,
        parameters=(_SYMBOL, _STATUS),
        websocket="referencePrice.calculation",
        since="2026-03-09",
    ),
    # --- trading
    _trade(
        "POST",
        "/api/v3/order",
        handler=spot_orders.place_order,
        parameters=_PLACEMENT,
        check=spot_orders.check_placement,
        order_count=1,
        websocket="order.place",
    ),
    _trade(
        "POST",
        "/api/v3/order/test",
        handler=spot_orders.check_order,
        parameters=(*_PLACEMENT, boolean("computeCommissionRates")),
        check=spot_orders.check_placement,
        websocket="order.test",
    ),
    _trade(
        "DELETE",
        "/api/v3/order",
        handler=spot_orders.cancel_order,
        parameters=(
            _SYMBOL,
            long("orderId", least=1),
            client_order_id("origClientOrderId"),
            client_order_id("newClientOrderId"),
            _CANCEL_RESTRICTIONS,
        ),
        wants_any=_EITHER_ID,
        cancels=True,
        websocket="order.cancel",
    ),
    _trade(
        "DELETE",
        "/api/v3/openOrders",
        handler=spot_orders.cancel_open_orders,
        parameters=(_SYMBOL,),
        cancels=True,
        websocket="openOrders.cancelAll",
    ),
    _trade(
        "POST",
        "/api/v3/order/cancelReplace",
        handler=spot_changes.replace_order,
        parameters=(
            *_PLACEMENT,
            enum("cancelReplaceMode", spot_changes.REPLACE_MODES, mandatory=True),
            long("cancelOrderId", least=1),
            client_order_id("cancelOrigClientOrderId"),
            client_order_id("cancelNewClientOrderId"),
            _CANCEL_RESTRICTIONS,
            enum("orderRateLimitExceededMode", spot_changes.OVER_LIMIT_MODES, default="DO_NOTHING"),
        ),
        wants_any=("cancelOrderId", "cancelOrigClientOrderId"),
        check=spot_orders.check_placement,
        order_count=1,
        websocket="order.cancelReplace",
    ),
    _trade(
        "PUT",
        "/api/v3/order/amend/keepPriority",
        handler=spot_changes.amend_order,
        parameters=(
            _SYMBOL,
            long("orderId", least=1),
            client_order_id("origClientOrderId"),
            client_order_id("newClientOrderId"),
            decimal("newQty", mandatory=True),
        ),
        wants_any=_EITHER_ID,
        websocket="order.amend.keepPriority",
        since="2025-05-07",
    ),
    _trade(
        "POST",
        "/api/v3/order/oco",
        handler=spot_lists.place_old_pair,
        parameters=(
            *_LISTED_COMMON,
            _side("side"),
            decimal("quantity", mandatory=True),
            decimal("price", mandatory=True),
            client_order_id("limitClientOrderId"),
            long("limitStrategyId"),
            long("limitStrategyType"),
            decimal("limitIcebergQty"),
            decimal("stopPrice"),
            long("trailingDelta", least=1),
            client_order_id("stopClientOrderId"),
            decimal("stopLimitPrice"),
            enum("stopLimitTimeInForce", spot_orders.TIMES_IN_FORCE, Reason.TIME_IN_FORCE_INVALID),
            long("stopStrategyId"),
            long("stopStrategyType"),
            decimal("stopIcebergQty"),
        ),
        check=spot_lists.check_old_pair,
        order_count=2,
        websocket="orderList.place",
    ),
    _trade(
        "POST",
        "/api/v3/orderList/oco",
        handler=partial(spot_lists.place_list, form=spot_lists.OCO),
        parameters=(
            *_LISTED_COMMON,
            _side("side"),
            decimal("quantity", mandatory=True),
            *_listed("above"),
            *_listed("below"),
        ),
        check=partial(spot_lists.check_list, spot_lists.OCO),
        order_count=2,
        websocket="orderList.place.oco",
        since="2024-04-02",
    ),
    _trade(
        "POST",
        "/api/v3/orderList/oto",
        handler=partial(spot_lists.place_list, form=spot_lists.OTO),
        parameters=(*_LISTED_COMMON, *_PENDING, *_listed("pending")),
        check=partial(spot_lists.check_list, spot_lists.OTO),
        order_count=2,
        websocket="orderList.place.oto",
        since="2024-06-11",
    ),
    _trade(
        "POST",
        "/api/v3/orderList/otoco",
        handler=partial(spot_lists.place_list, form=spot_lists.OTOCO),
        parameters=(*_LISTED_COMMON, *_PENDING, *_PENDING_PAIR),
        check=partial(spot_lists.check_list, spot_lists.OTOCO),
        order_count=3,
        websocket="orderList.place.otoco",
        since="2024-06-11",
    ),
    _trade(
        "POST",
        "/api/v3/orderList/opo",
        handler=partial(spot_lists.place_list, form=spot_lists.OPO),
        parameters=(*_LISTED_COMMON, *_PENDING_PAID, *_listed("pending")),
        check=partial(spot_lists.check_list, spot_lists.OPO),
        order_count=2,
        websocket="orderList.place.opo",
        since="2025-12-18",
    ),
    _trade(
        "POST",
        "/api/v3/orderList/opoco",
        handler=partial(spot_lists.place_list, form=spot_lists.OPOCO),
        parameters=(*_LISTED_COMMON, *_PENDING_PAID, *_PENDING_PAIR),
        check=partial(spot_lists.check_list, spot_lists.OPOCO),
        order_count=3,
        websocket="orderList.place.opoco",
        since="2025-12-18",
    ),
    _trade(
        "DELETE",
        "/api/v3/orderList",
        handler=spot_lists.cancel_list,
        parameters=(
            _SYMBOL,
            long("orderListId", least=1),
            client_order_id("listClientOrderId"),
            client_order_id("newClientOrderId"),
        ),
        wants_any=("orderListId", "listClientOrderId"),
        cancels=True,
        websocket="orderList.cancel",
    ),
    _trade(
        "POST",
        "/api/v3/sor/order",
        handler=partial(spot_orders.place_order, routed=True),
        parameters=_ROUTED_PLACEMENT,
        check=spot_orders.check_routed_placement,
        order_count=1,
        websocket=Twin("sor.order.place", in_array=True, tells_orders=False),
        since="2023-08-08",
    ),
    _trade(
        "POST",
        "/api/v3/sor/order/test",
        handler=partial(spot_orders.check_order, routed=True),
        parameters=(*_ROUTED_PLACEMENT, boolean("computeCommissionRates")),
        check=spot_orders.check_routed_placement,
        websocket="sor.order.test",
        since="2023-08-08",
    ),
    # --- account
    _read(
        "GET",
        "/api/v3/order",
        handler=spot_orders.query_order,
        parameters=(_SYMBOL, long("orderId", least=1), client_order_id("origClientOrderId")),
        wants_any=_EITHER_ID,
        websocket="order.status",
    ),
    _read(
        "GET",
        "/api/v3/openOrders",
        handler=spot_orders.open_orders,
        parameters=(symbol(),),
        websocket="openOrders.status",
    ),
    _read(
        "GET",
        "/api/v3/allOrders",
        handler=spot_orders.all_orders,
        parameters=(_SYMBOL, long("orderId"), _START, _END, _LIMIT),
        check=spot_orders.check_span,
        websocket="allOrders",
    ),
    _read(
        "GET",
        "/api/v3/orderList",
        handler=spot_lists.query_list,
        parameters=(long("orderListId", least=1), client_order_id("origClientOrderId")),
        wants_any=("orderListId", "origClientOrderId"),
        websocket="orderList.status",
    ),
    _read(
        "GET",
        "/api/v3/openOrderList",
        handler=spot_lists.open_lists,
        websocket="openOrderLists.status",
    ),
    _read(
        "GET",
        "/api/v3/allOrderList",
        handler=spot_lists.all_lists,
        parameters=(long("fromId"), _START, _END, _LIMIT),
        check=spot_lists.check_all_lists,
        websocket=Twin("allOrderLists", ignored_with_times=("fromId",)),
    ),
    _read(
        "GET",
        "/api/v3/order/amendments",
        handler=spot_changes.amendments,
        parameters=(_SYMBOL, long("orderId", mandatory=True), long("fromExecutionId"), _LIMIT),
        websocket="order.amendments",
        since="2025-05-07",
    ),
    _read(
        "GET",
        "/api/v3/account",
        handler=spot_account.account,
        parameters=(boolean("omitZeroBalances"),),
        websocket="account.status",
    ),
    _read(
        "GET",
        "/api/v3/myTrades",
        handler=spot_account.my_trades,
        parameters=(_SYMBOL, long("orderId"), _START, _END, long("fromId"), _LIMIT),
        check=spot_account.check_my_trades,
        websocket="myTrades",
    ),
    _read(
        "GET",
        "/api/v3/rateLimit/order",
        handler=spot_account.order_rate_limits,
        websocket="account.rateLimits.orders",
    ),
    _read(
        "GET",
        "/api/v3/myPreventedMatches",
        handler=spot_matches.prevented_matches,
        parameters=(
            _SYMBOL,
            long("preventedMatchId"),
            long("orderId"),
            long("fromPreventedMatchId"),
            limit(None, 1000),
        ),
        check=spot_matches.check_prevented_matches,
        websocket="myPreventedMatches",
        since="2023-01-26",
    ),
    _read(
        "GET",
        "/api/v3/myAllocations",
        handler=spot_matches.allocations,
        parameters=(_SYMBOL, _START, _END, long("fromAllocationId"), _LIMIT, long("orderId")),
        check=spot_matches.check_allocations,
        websocket="myAllocations",
        since="2023-08-08",
    ),
    _read(
        "GET",
        "/api/v3/account/commission",
        handler=spot_account.commission,
        parameters=(_SYMBOL,),
        websocket="account.commission",
        since="2023-12-04",
    ),
    _read(
        "GET",
        "/api/v3/myFilters",
        handler=spot_account.my_filters,
        parameters=(_SYMBOL,),
        websocket="myFilters",
        since="2025-09-29",
    ),
    # --- listen keys
    _stream(
        "POST",
        "/api/v3/userDataStream",
        handler=spot_account.open_listen_key,
        websocket="userDataStream.start",
        retired_since=_LISTEN_KEYS_RETIRED,
    ),
    _stream(
        "PUT",
        "/api/v3/userDataStream",
        handler=spot_account.keep_listen_key,
        parameters=(listen_key(),),
        websocket="userDataStream.ping",
        retired_since=_LISTEN_KEYS_RETIRED,
    ),
    _stream(
        "DELETE",
        "/api/v3/userDataStream",
        handler=spot_account.close_listen_key,
        parameters=(listen_key(),),
        websocket="userDataStream.stop",
        retired_since=_LISTEN_KEYS_RETIRED,
    ),
)
