"""Which endpoint needs what, written by hand from Binance's documentation and from nothing of ours.

Security types: "Security type" on each endpoint's page (spot REST, "Endpoint security type"; wallet and margin pages of
`/sapi`; USDⓈ-M and COIN-M general info). Permissions: the table of "API Key Permission" in the wallet documentation,
with `USER_DATA` and `USER_STREAM` needing reading, `TRADE` on spot needing spot and margin trading.

A new endpoint gets a line here, from its page in the documentation: its security type, the permissions it needs by the
names that people type, and parameters with which a call reaches the question who may call. `tests/contract/
test_permission_matrix.py` calls every line over a socket, `tests/unit/wire/test_table.py` compares the routing table.
"""

from __future__ import annotations

from typing import NamedTuple

READING = ("reading",)
TRADING = ("spot-and-margin-trading",)


class Documented(NamedTuple):
    """`parameters` are sent in the query. They are right in form; what they name need not exist."""

    security: str
    permissions: tuple[str, ...]
    parameters: dict[str, str]


def _open(**parameters: str) -> Documented:
    return Documented("NONE", (), parameters)


def _key_alone(security: str, **parameters: str) -> Documented:
    return Documented(security, READING, parameters)


def _read(**parameters: str) -> Documented:
    return Documented("USER_DATA", READING, parameters)


def _trade(**parameters: str) -> Documented:
    return Documented("TRADE", TRADING, parameters)


def _managed(**parameters: str) -> Documented:
    """ "You need to enable Enable Spot & Margin Trading option for the api key which requests this endpoint"."""
    return Documented("USER_DATA", TRADING, parameters)


def _transferred(**parameters: str) -> Documented:
    """ "You need to enable "internal transfer" option for the api key which requests this endpoint"."""
    return Documented("USER_DATA", ("internal-transfer",), parameters)


_SYMBOL = {"symbol": "BTCUSDT"}
_CANDLES = _SYMBOL | {"interval": "1m"}
_AN_ORDER = _SYMBOL | {"orderId": "1"}
_PLACEMENT = _SYMBOL | {
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "20000",
}
_WORKING = {
    "symbol": "BTCUSDT",
    "workingType": "LIMIT_MAKER",
    "workingSide": "BUY",
    "workingPrice": "20000",
    "workingQuantity": "0.001",
    "pendingSide": "SELL",
}
_PENDING = {"pendingType": "LIMIT_MAKER", "pendingPrice": "90000"}
_PENDING_PAIR = {
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": "90000",
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": "10000",
}
_A_LIST = {"orderListId": "1"}
_LISTEN_KEY = {"listenKey": "L" * 64}
_A_SUB_ACCOUNT = {"email": "someone@example.com"}
_A_KEY = {"subAccountApiKey": "K" * 64}
_ITS_KEY = _A_SUB_ACCOUNT | _A_KEY
_NUMBERED_KEY = {"subAccountId": "1", "accountApiKey": "K" * 64}
_A_NUMBER = {"subAccountId": "1"}
_TRUSTED = {"status": "2", "ipAddress": "127.0.0.1"}

MATRIX: dict[tuple[str, str], Documented] = {
    # --- spot
    ("GET", "/api/v3/ping"): _open(),
    ("GET", "/api/v3/time"): _open(),
    ("GET", "/api/v3/exchangeInfo"): _open(**_SYMBOL),
    ("GET", "/api/v3/executionRules"): _open(**_SYMBOL),
    ("GET", "/api/v3/depth"): _open(**_SYMBOL),
    ("GET", "/api/v3/trades"): _open(**_SYMBOL),
    ("GET", "/api/v3/historicalTrades"): _open(**_SYMBOL),
    ("GET", "/api/v3/historicalBlockTrades"): _open(**_SYMBOL, fromId="1"),
    ("GET", "/api/v3/aggTrades"): _open(**_SYMBOL),
    ("GET", "/api/v3/klines"): _open(**_CANDLES),
    ("GET", "/api/v3/uiKlines"): _open(**_CANDLES),
    ("GET", "/api/v3/avgPrice"): _open(**_SYMBOL),
    ("GET", "/api/v3/ticker/24hr"): _open(**_SYMBOL),
    ("GET", "/api/v3/ticker/tradingDay"): _open(**_SYMBOL),
    ("GET", "/api/v3/ticker/price"): _open(**_SYMBOL),
    ("GET", "/api/v3/ticker/bookTicker"): _open(**_SYMBOL),
    ("GET", "/api/v3/ticker"): _open(**_SYMBOL),
    ("GET", "/api/v3/referencePrice"): _open(symbol="BTCUSDC"),
    ("GET", "/api/v3/referencePrice/calculation"): _open(symbol="BTCUSDC"),
    ("POST", "/api/v3/order"): _trade(**_PLACEMENT),
    ("POST", "/api/v3/order/test"): _trade(**_PLACEMENT),
    ("DELETE", "/api/v3/order"): _trade(**_AN_ORDER),
    ("DELETE", "/api/v3/openOrders"): _trade(**_SYMBOL),
    ("POST", "/api/v3/order/cancelReplace"): _trade(
        **_PLACEMENT, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId="1"
    ),
    ("PUT", "/api/v3/order/amend/keepPriority"): _trade(**_AN_ORDER, newQty="0.001"),
    ("GET", "/api/v3/order/amendments"): _read(**_AN_ORDER),
    ("POST", "/api/v3/order/oco"): _trade(
        symbol="BTCUSDT", side="SELL", quantity="0.001", price="90000", stopPrice="10000"
    ),
    ("POST", "/api/v3/orderList/oco"): _trade(
        symbol="BTCUSDT",
        side="SELL",
        quantity="0.001",
        aboveType="LIMIT_MAKER",
        abovePrice="90000",
        belowType="STOP_LOSS",
        belowStopPrice="10000",
    ),
    ("POST", "/api/v3/orderList/oto"): _trade(**_WORKING, **_PENDING, pendingQuantity="0.001"),
    ("POST", "/api/v3/orderList/otoco"): _trade(**_WORKING, **_PENDING_PAIR, pendingQuantity="0.001"),
    ("POST", "/api/v3/orderList/opo"): _trade(**_WORKING, **_PENDING),
    ("POST", "/api/v3/orderList/opoco"): _trade(**_WORKING, **_PENDING_PAIR),
    ("DELETE", "/api/v3/orderList"): _trade(**_SYMBOL, **_A_LIST),
    ("GET", "/api/v3/orderList"): _read(**_A_LIST),
    ("GET", "/api/v3/openOrderList"): _read(),
    ("GET", "/api/v3/allOrderList"): _read(),
    ("POST", "/api/v3/sor/order"): _trade(**_PLACEMENT),
    ("POST", "/api/v3/sor/order/test"): _trade(**_PLACEMENT),
    ("GET", "/api/v3/order"): _read(**_AN_ORDER),
    ("GET", "/api/v3/openOrders"): _read(**_SYMBOL),
    ("GET", "/api/v3/allOrders"): _read(**_SYMBOL),
    ("GET", "/api/v3/account"): _read(),
    ("GET", "/api/v3/myTrades"): _read(**_SYMBOL),
    ("GET", "/api/v3/rateLimit/order"): _read(),
    ("GET", "/api/v3/myPreventedMatches"): _read(**_AN_ORDER),
    ("GET", "/api/v3/myAllocations"): _read(**_SYMBOL),
    ("GET", "/api/v3/account/commission"): _read(**_SYMBOL),
    ("GET", "/api/v3/myFilters"): _read(**_SYMBOL),
    ("POST", "/api/v3/userDataStream"): _key_alone("USER_STREAM"),
    ("PUT", "/api/v3/userDataStream"): _key_alone("USER_STREAM", **_LISTEN_KEY),
    ("DELETE", "/api/v3/userDataStream"): _key_alone("USER_STREAM", **_LISTEN_KEY),
    # --- wallet and margin
    ("GET", "/sapi/v1/system/status"): _open(),
    ("GET", "/sapi/v1/capital/config/getall"): _read(),
    ("GET", "/sapi/v1/account/apiRestrictions"): _read(),
    ("GET", "/sapi/v1/account/status"): _read(),
    ("GET", "/sapi/v1/account/apiTradingStatus"): _read(),
    ("GET", "/sapi/v1/asset/tradeFee"): _read(),
    ("GET", "/sapi/v1/margin/allPairs"): _key_alone("MARKET_DATA"),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): _key_alone("MARKET_DATA"),
    # --- sub-accounts
    ("POST", "/sapi/v1/sub-account/virtualSubAccount"): _managed(subAccountString="desk1"),
    ("GET", "/sapi/v1/sub-account/list"): _read(),
    ("GET", "/sapi/v1/sub-account/status"): _read(),
    ("GET", "/sapi/v3/sub-account/assets"): _read(**_A_SUB_ACCOUNT),
    ("GET", "/sapi/v4/sub-account/assets"): _read(**_A_SUB_ACCOUNT),
    ("POST", "/sapi/v1/sub-account/universalTransfer"): _transferred(
        toEmail="someone@example.com", fromAccountType="SPOT", toAccountType="SPOT", asset="USDT", amount="1"
    ),
    ("GET", "/sapi/v1/sub-account/universalTransfer"): _read(),
    ("POST", "/sapi/v1/sub-account/transfer/subToMaster"): _managed(asset="USDT", amount="1"),
    ("POST", "/sapi/v1/sub-account/transfer/subToSub"): _managed(
        toEmail="someone@example.com", asset="USDT", amount="1"
    ),
    ("POST", "/sapi/v1/sub-account/subAccountApi"): _managed(**_A_SUB_ACCOUNT, apiName="bot", status="1"),
    ("GET", "/sapi/v1/sub-account/subAccountApi"): _read(**_A_SUB_ACCOUNT),
    ("DELETE", "/sapi/v1/sub-account/subAccountApi"): _managed(**_ITS_KEY),
    ("POST", "/sapi/v1/sub-account/subAccountApiPermission"): _managed(**_ITS_KEY, canTrade="true"),
    ("GET", "/sapi/v1/sub-account/subAccountApi/ipRestriction"): _read(**_ITS_KEY),
    ("POST", "/sapi/v2/sub-account/subAccountApi/ipRestriction"): _managed(**_ITS_KEY, **_TRUSTED),
    ("DELETE", "/sapi/v1/sub-account/subAccountApi/ipRestriction/ipList"): _managed(**_ITS_KEY),
    ("POST", "/sapi/v1/sub-account/subAccountApi/ipRestriction"): _managed(**_ITS_KEY, ipRestrict="true"),
    ("POST", "/sapi/v1/sub-account/subAccountApi/ipRestriction/ipList"): _managed(**_ITS_KEY, ipAddress="127.0.0.1"),
    ("GET", "/sapi/v1/account/apiRestrictions/ipRestriction"): _read(**_NUMBERED_KEY),
    ("POST", "/sapi/v1/account/apiRestrictions/ipRestriction"): _managed(**_NUMBERED_KEY, ipRestrict="true"),
    ("POST", "/sapi/v1/account/apiRestrictions/ipRestriction/ipList"): _managed(**_NUMBERED_KEY, ipAddress="127.0.0.1"),
    ("DELETE", "/sapi/v1/account/apiRestrictions/ipRestriction/ipList"): _managed(**_NUMBERED_KEY),
    # --- brokers
    ("GET", "/sapi/v1/broker/info"): _read(),
    ("POST", "/sapi/v1/broker/subAccount"): _managed(tag="bob123d"),
    ("GET", "/sapi/v1/broker/subAccount"): _read(),
    ("DELETE", "/sapi/v1/broker/subAccount"): _managed(**_A_NUMBER),
    ("POST", "/sapi/v1/broker/transfer"): _transferred(toId="1", asset="USDT", amount="1"),
    ("POST", "/sapi/v1/broker/subAccountApi"): _managed(**_A_NUMBER, canTrade="true"),
    ("GET", "/sapi/v1/broker/subAccountApi"): _read(**_A_NUMBER),
    ("DELETE", "/sapi/v1/broker/subAccountApi"): _managed(**_A_NUMBER, **_A_KEY),
    ("POST", "/sapi/v1/broker/subAccountApi/permission"): _managed(
        **_A_NUMBER, **_A_KEY, canTrade="true", marginTrade="false", futuresTrade="false"
    ),
    ("POST", "/sapi/v1/broker/subAccountApi/permission/universalTransfer"): _managed(
        **_A_NUMBER, **_A_KEY, canUniversalTransfer="true"
    ),
    ("GET", "/sapi/v1/broker/subAccountApi/ipRestriction"): _read(**_A_NUMBER, **_A_KEY),
    ("POST", "/sapi/v2/broker/subAccountApi/ipRestriction"): _managed(**_A_NUMBER, **_A_KEY, **_TRUSTED),
    ("DELETE", "/sapi/v1/broker/subAccountApi/ipRestriction/ipList"): _managed(**_A_NUMBER, **_A_KEY),
    ("POST", "/sapi/v1/broker/subAccountApi/ipRestriction"): _managed(**_A_NUMBER, **_A_KEY, ipRestrict="true"),
    ("POST", "/sapi/v1/broker/subAccountApi/ipRestriction/ipList"): _managed(
        **_A_NUMBER, **_A_KEY, ipAddress="127.0.0.1"
    ),
    # --- special keys of margin
    ("POST", "/sapi/v1/margin/apiKey"): _trade(apiName="fast"),
    ("GET", "/sapi/v1/margin/apiKey"): _trade(apiKey="K" * 64),
    ("GET", "/sapi/v1/margin/api-key-list"): _trade(),
    ("PUT", "/sapi/v1/margin/apiKey/ip"): _trade(apiKey="K" * 64, ip="127.0.0.1"),
    ("DELETE", "/sapi/v1/margin/apiKey"): _trade(apiKey="K" * 64),
    # --- futures
    ("GET", "/fapi/v1/ping"): _open(),
    ("GET", "/fapi/v1/time"): _open(),
    ("GET", "/fapi/v1/exchangeInfo"): _open(),
    ("GET", "/dapi/v1/ping"): _open(),
    ("GET", "/dapi/v1/time"): _open(),
    ("GET", "/dapi/v1/exchangeInfo"): _open(),
}

#: Methods of the WebSocket API that have no twin among the routes ("WebSocket API": authentication and user data stream
#: requests). `userDataStream.subscribe.signature` is called USER_STREAM there, and wants a signature nevertheless.
WEBSOCKET_MATRIX: dict[str, Documented] = {
    "session.logon": _read(),
    "session.status": _open(),
    "session.logout": _open(),
    "session.subscriptions": _open(),
    "userDataStream.subscribe": _key_alone("USER_STREAM"),
    "userDataStream.subscribe.signature": _read(),
    "userDataStream.unsubscribe": _open(),
}


def differences(served: dict[tuple[str, str], tuple[str, frozenset[str]]]) -> list[str]:
    """What a routing table says otherwise than the documents, a sentence each; empty if they agree.

    `served`: (method, path) → security type and permission names of the row.
    """
    found = []
    for route, said in served.items():
        documented = MATRIX.get(route)
        if documented is None:
            found.append(
                f"{route[0]} {route[1]} is served, but no line of MATRIX in tests/permission_table.py says what the"
                " documents ask of its callers: add one, from its page in the documentation and not from our table"
            )
        elif said != (documented.security, frozenset(documented.permissions)):
            found.append(
                f"{route[0]} {route[1]}: the documents say {documented.security} with"
                f" {' and '.join(documented.permissions) or 'no permission'}, our table {said[0]} with"
                f" {' and '.join(sorted(said[1])) or 'no permission'}"
            )
    found += [
        f"{method} {path} stands in MATRIX of tests/permission_table.py, but nothing serves it"
        for method, path in MATRIX
        if (method, path) not in served
    ]
    return found
