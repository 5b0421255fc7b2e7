"""Names of reply fields, in their order, as Binance's documentation gives them (spot REST API; wallet endpoints).

Written from the documentation's samples by hand. Fields that only some orders have are not in here.
"""

from __future__ import annotations


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ACK = "symbol orderId orderListId clientOrderId transactTime"
_RESULT = (
    f"{_ACK} price origQty executedQty origQuoteOrderQty cummulativeQuoteQty status timeInForce type side workingTime"
    " selfTradePreventionMode"
)
_QUERY = (
    "symbol orderId orderListId clientOrderId price origQty executedQty cummulativeQuoteQty status timeInForce type"
    " side stopPrice icebergQty time updateTime isWorking workingTime origQuoteOrderQty selfTradePreventionMode"
)
_CANCEL = (
    "symbol origClientOrderId orderId orderListId clientOrderId transactTime price origQty executedQty"
    " origQuoteOrderQty cummulativeQuoteQty status timeInForce type side selfTradePreventionMode"
)
_LIST = "orderListId contingencyType listStatusType listOrderStatus listClientOrderId transactionTime symbol orders"
_TRADE = "id price qty quoteQty time isBuyerMaker isBestMatch"
_TICKER = (
    "symbol priceChange priceChangePercent weightedAvgPrice openPrice highPrice lowPrice lastPrice volume quoteVolume"
    " openTime closeTime firstId lastId count"
)

_SWITCHES = "canTrade canMarginLoanRepay canFuturesTrade canUniversalTransfer canVanillaOptions"
_BROKER_SWITCHES = "canTrade marginTrade futuresTrade"
_BROKER_RESTRICTION = "subaccountId ipRestrict apikey ipList updateTime"
_RESTRICTION = "ipRestrict ipList updateTime apiKey"

#: Of the reply itself, or of the items where it is an array.
FIELDS: dict[str, tuple[str, ...]] = {
    "GET /api/v3/time": _names("serverTime"),
    "GET /api/v3/exchangeInfo": _names("timezone serverTime rateLimits exchangeFilters symbols sors"),
    "GET /api/v3/executionRules": _names("symbolRules"),
    "GET /api/v3/depth": _names("lastUpdateId bids asks"),
    "GET /api/v3/trades": _names(_TRADE),
    "GET /api/v3/historicalTrades": _names(_TRADE),
    "GET /api/v3/aggTrades": _names("a p q f l T m M"),
    "GET /api/v3/avgPrice": _names("mins price closeTime"),
    "GET /api/v3/ticker/24hr": _names(
        "symbol priceChange priceChangePercent weightedAvgPrice prevClosePrice lastPrice lastQty bidPrice bidQty"
        " askPrice askQty openPrice highPrice lowPrice volume quoteVolume openTime closeTime firstId lastId count"
    ),
    "GET /api/v3/ticker/tradingDay": _names(_TICKER),
    "GET /api/v3/ticker": _names(_TICKER),
    "GET /api/v3/ticker/price": _names("symbol price"),
    "GET /api/v3/ticker/bookTicker": _names("symbol bidPrice bidQty askPrice askQty"),
    "GET /api/v3/referencePrice": _names("symbol referencePrice timestamp"),
    "GET /api/v3/referencePrice/calculation": _names("symbol calculationType bucketCount bucketWidthMs"),
    "POST /api/v3/order": _names(f"{_RESULT} fills"),
    "POST /api/v3/sor/order": _names(f"{_RESULT} workingFloor usedSor fills"),
    # The page's sample is older than the special commission (changelog of 2025-08-12).
    "POST /api/v3/sor/order/test": _names(
        "standardCommissionForOrder specialCommissionForOrder taxCommissionForOrder discount"
    ),
    "GET /api/v3/myAllocations": _names(
        "symbol allocationId allocationType orderId orderListId price qty quoteQty commission commissionAsset time"
        " isBuyer isMaker isAllocator"
    ),
    "POST /api/v3/order/oco": _names(f"{_LIST} orderReports"),
    "POST /api/v3/orderList/oco": _names(f"{_LIST} orderReports"),
    "POST /api/v3/orderList/oto": _names(f"{_LIST} orderReports"),
    "POST /api/v3/orderList/otoco": _names(f"{_LIST} orderReports"),
    "POST /api/v3/orderList/opo": _names(f"{_LIST} orderReports"),
    "POST /api/v3/orderList/opoco": _names(f"{_LIST} orderReports"),
    "DELETE /api/v3/orderList": _names(f"{_LIST} orderReports"),
    "GET /api/v3/orderList": _names(_LIST),
    "GET /api/v3/openOrderList": _names(_LIST),
    "GET /api/v3/allOrderList": _names(_LIST),
    "DELETE /api/v3/order": _names(_CANCEL),
    "DELETE /api/v3/openOrders": _names(_CANCEL),
    "POST /api/v3/order/test": _names(
        "standardCommissionForOrder specialCommissionForOrder taxCommissionForOrder discount"
    ),
    "POST /api/v3/order/cancelReplace": _names("cancelResult newOrderResult cancelResponse newOrderResponse"),
    "PUT /api/v3/order/amend/keepPriority": _names("transactTime executionId amendedOrder"),
    "GET /api/v3/order/amendments": _names(
        "symbol orderId executionId origClientOrderId newClientOrderId origQty newQty time"
    ),
    "GET /api/v3/order": _names(_QUERY),
    "GET /api/v3/openOrders": _names(_QUERY),
    "GET /api/v3/allOrders": _names(_QUERY),
    "GET /api/v3/account": _names(
        "makerCommission takerCommission buyerCommission sellerCommission commissionRates canTrade canWithdraw"
        " canDeposit brokered requireSelfTradePrevention preventSor updateTime accountType balances permissions uid"
    ),
    "GET /api/v3/myTrades": _names(
        "symbol id orderId orderListId price qty quoteQty commission commissionAsset time isBuyer isMaker isBestMatch"
    ),
    "GET /api/v3/rateLimit/order": _names("rateLimitType interval intervalNum limit count"),
    "GET /api/v3/myPreventedMatches": _names(
        "symbol preventedMatchId takerOrderId makerSymbol makerOrderId tradeGroupId selfTradePreventionMode price"
        " makerPreventedQuantity transactTime"
    ),
    "GET /api/v3/account/commission": _names("symbol standardCommission specialCommission taxCommission discount"),
    "GET /api/v3/myFilters": _names("exchangeFilters symbolFilters assetFilters"),
    "GET /sapi/v1/system/status": _names("status msg"),
    "GET /sapi/v1/account/status": _names("data"),
    "GET /sapi/v1/account/apiTradingStatus": _names("data"),
    "GET /sapi/v1/asset/tradeFee": _names("symbol makerCommission takerCommission"),
    "POST /sapi/v1/sub-account/virtualSubAccount": _names("email"),
    "GET /sapi/v1/sub-account/list": _names("subAccounts"),
    "GET /sapi/v1/sub-account/status": _names(
        "email isSubUserEnabled isUserActive insertTime isMarginEnabled isFutureEnabled mobile"
    ),
    "GET /sapi/v3/sub-account/assets": _names("balances"),
    "GET /sapi/v4/sub-account/assets": _names("balances"),
    "POST /sapi/v1/sub-account/universalTransfer": _names("tranId clientTranId"),
    "GET /sapi/v1/sub-account/universalTransfer": _names("result totalCount"),
    "POST /sapi/v1/sub-account/transfer/subToMaster": _names("txnId"),
    "POST /sapi/v1/sub-account/transfer/subToSub": _names("txnId"),
    "POST /sapi/v1/sub-account/subAccountApi": _names(f"apiName apiKey secretKey {_SWITCHES} status ipList"),
    "GET /sapi/v1/sub-account/subAccountApi": _names("total rows"),
    "POST /sapi/v1/sub-account/subAccountApiPermission": _names(f"apiName apikey {_SWITCHES} timestamp"),
    "DELETE /sapi/v1/sub-account/subAccountApi": (),
    "GET /sapi/v1/sub-account/subAccountApi/ipRestriction": _names(_RESTRICTION),
    "POST /sapi/v2/sub-account/subAccountApi/ipRestriction": _names("status ipList updateTime apiKey"),
    "DELETE /sapi/v1/sub-account/subAccountApi/ipRestriction/ipList": _names(_RESTRICTION),
    "POST /sapi/v1/sub-account/subAccountApi/ipRestriction": _names(_RESTRICTION),
    "POST /sapi/v1/sub-account/subAccountApi/ipRestriction/ipList": _names("ip updateTime apiKey"),
    "GET /sapi/v1/account/apiRestrictions/ipRestriction": _names(_RESTRICTION),
    "POST /sapi/v1/account/apiRestrictions/ipRestriction": _names(_RESTRICTION),
    "POST /sapi/v1/account/apiRestrictions/ipRestriction/ipList": _names("ip updateTime apiKey"),
    "DELETE /sapi/v1/account/apiRestrictions/ipRestriction/ipList": _names(_RESTRICTION),
    "GET /sapi/v1/broker/info": _names(
        "maxMakerCommission minMakerCommission maxTakerCommission minTakerCommission subAccountQty maxSubAccountQty"
    ),
    "POST /sapi/v1/broker/subAccount": _names("subaccountId email tag"),
    "GET /sapi/v1/broker/subAccount": _names(
        "subaccountId email tag makerCommission takerCommission marginMakerCommission marginTakerCommission createTime"
    ),
    "DELETE /sapi/v1/broker/subAccount": (),
    "POST /sapi/v1/broker/transfer": _names("txnId clientTranId"),
    "POST /sapi/v1/broker/subAccountApi": _names(f"subaccountId apiKey secretKey {_BROKER_SWITCHES}"),
    "GET /sapi/v1/broker/subAccountApi": _names(f"subaccountId apikey {_BROKER_SWITCHES}"),
    "DELETE /sapi/v1/broker/subAccountApi": (),
    "POST /sapi/v1/broker/subAccountApi/permission": _names(f"subaccountId apikey {_BROKER_SWITCHES}"),
    "POST /sapi/v1/broker/subAccountApi/permission/universalTransfer": _names(
        "subaccountId apikey canUniversalTransfer"
    ),
    "GET /sapi/v1/broker/subAccountApi/ipRestriction": _names(_BROKER_RESTRICTION),
    "POST /sapi/v2/broker/subAccountApi/ipRestriction": _names("status ipList updateTime apiKey"),
    "DELETE /sapi/v1/broker/subAccountApi/ipRestriction/ipList": _names("subaccountId apikey ipList updateTime"),
    "POST /sapi/v1/broker/subAccountApi/ipRestriction": _names(_BROKER_RESTRICTION),
    "POST /sapi/v1/broker/subAccountApi/ipRestriction/ipList": _names("subaccountId apikey ip updateTime"),
    "POST /sapi/v1/margin/apiKey": _names("apiKey secretKey type"),
    "GET /sapi/v1/margin/apiKey": _names("apiName apiKey ip type permissionMode"),
    "GET /sapi/v1/margin/api-key-list": _names("apiName apiKey ip type permissionMode"),
    "PUT /sapi/v1/margin/apiKey/ip": (),
    "DELETE /sapi/v1/margin/apiKey": (),
    "GET /fapi/v1/exchangeInfo": _names("timezone serverTime futuresType rateLimits exchangeFilters assets symbols"),
    "GET /dapi/v1/exchangeInfo": _names("timezone serverTime rateLimits exchangeFilters symbols"),
}

#: Of the items in a reply that wraps them: field → names.
ITEMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "GET /api/v3/executionRules": ("symbolRules", _names("symbol rules")),
    "GET /api/v3/myFilters": ("assetFilters", _names("filterType asset limit")),
    "GET /sapi/v1/sub-account/list": (
        "subAccounts",
        _names("subUserId email remark isFreeze createTime isManagedSubAccount isAssetManagementSubAccount"),
    ),
    "GET /sapi/v3/sub-account/assets": ("balances", _names("asset free locked freeze withdrawing")),
    "GET /sapi/v4/sub-account/assets": ("balances", _names("asset free locked freeze withdrawing")),
    "GET /sapi/v1/sub-account/universalTransfer": (
        "result",
        _names(
            "tranId fromEmail toEmail asset amount createTimeStamp fromAccountType toAccountType status clientTranId"
        ),
    ),
    "GET /sapi/v1/sub-account/subAccountApi": ("rows", _names(f"email apiName apikey {_SWITCHES} timestamp")),
}
_RESTRICTION_TYPES = {"ipRestrict": "str", "ipList[]": "str", "updateTime": "int", "apiKey": "str"}
_BROKER_KEY_TYPES = {"canTrade": "bool", "marginTrade": "bool", "futuresTrade": "bool"}
_BROKER_NAMED_TYPES = {"subaccountId": "str", "apikey": "str"}
_ADDED_TYPES = {"ip": "str", "updateTime": "int", "apiKey": "str"}
#: Types of values in replies that no present SDK declares, from the documentation's samples.
TYPES: dict[str, dict[str, str]] = {
    "DELETE /sapi/v1/sub-account/subAccountApi": {},
    "POST /sapi/v1/sub-account/subAccountApi/ipRestriction": _RESTRICTION_TYPES,
    "POST /sapi/v1/sub-account/subAccountApi/ipRestriction/ipList": _ADDED_TYPES,
    "GET /sapi/v1/account/apiRestrictions/ipRestriction": _RESTRICTION_TYPES,
    "POST /sapi/v1/account/apiRestrictions/ipRestriction": _RESTRICTION_TYPES,
    "POST /sapi/v1/account/apiRestrictions/ipRestriction/ipList": _ADDED_TYPES,
    "DELETE /sapi/v1/account/apiRestrictions/ipRestriction/ipList": _RESTRICTION_TYPES,
    "GET /sapi/v1/broker/info": {
        "maxMakerCommission": "float",
        "minMakerCommission": "float",
        "maxTakerCommission": "float",
        "minTakerCommission": "float",
        "subAccountQty": "int",
        "maxSubAccountQty": "int",
    },
    "POST /sapi/v1/broker/subAccount": {"subaccountId": "str", "email": "str", "tag": "str"},
    "GET /sapi/v1/broker/subAccount": {
        "subaccountId": "str",
        "email": "str",
        "tag": "str",
        "makerCommission": "float",
        "takerCommission": "float",
        "marginMakerCommission": "int",  # -1: margin is off
        "marginTakerCommission": "int",
        "createTime": "int",
    },
    "DELETE /sapi/v1/broker/subAccount": {},
    "POST /sapi/v1/broker/transfer": {"txnId": "str", "clientTranId": "str"},
    "POST /sapi/v1/broker/subAccountApi": _BROKER_KEY_TYPES
    | {"subaccountId": "str", "apiKey": "str", "secretKey": "str"},
    "GET /sapi/v1/broker/subAccountApi": _BROKER_KEY_TYPES | _BROKER_NAMED_TYPES,
    "DELETE /sapi/v1/broker/subAccountApi": {},
    "POST /sapi/v1/broker/subAccountApi/permission": _BROKER_KEY_TYPES | _BROKER_NAMED_TYPES,
    "POST /sapi/v1/broker/subAccountApi/permission/universalTransfer": _BROKER_NAMED_TYPES
    | {"canUniversalTransfer": "bool"},
    "GET /sapi/v1/broker/subAccountApi/ipRestriction": _BROKER_NAMED_TYPES
    | {"ipRestrict": "bool", "ipList[]": "str", "updateTime": "int"},
    "POST /sapi/v2/broker/subAccountApi/ipRestriction": {
        "status": "str",
        "ipList[]": "str",
        "updateTime": "int",
        "apiKey": "str",
    },
    "DELETE /sapi/v1/broker/subAccountApi/ipRestriction/ipList": _BROKER_NAMED_TYPES
    | {"ipList[]": "str", "updateTime": "int"},
    "POST /sapi/v1/broker/subAccountApi/ipRestriction": _BROKER_NAMED_TYPES
    | {"ipRestrict": "bool", "ipList[]": "str", "updateTime": "int"},
    "POST /sapi/v1/broker/subAccountApi/ipRestriction/ipList": _BROKER_NAMED_TYPES | {"ip": "str", "updateTime": "int"},
    "PUT /sapi/v1/margin/apiKey/ip": {},
    "DELETE /sapi/v1/margin/apiKey": {},
}

ACK, RESULT = _names(_ACK), _names(_RESULT)
MINI_TICKER = _names(
    "symbol openPrice highPrice lowPrice lastPrice volume quoteVolume openTime closeTime firstId lastId count"
)

#: Of one entry of `exchangeInfo`'s `symbols`.
SYMBOL = _names(
    "symbol status baseAsset baseAssetPrecision quoteAsset quotePrecision quoteAssetPrecision baseCommissionPrecision"
    " quoteCommissionPrecision orderTypes icebergAllowed ocoAllowed otoAllowed opoAllowed quoteOrderQtyMarketAllowed"
    " allowTrailingStop cancelReplaceAllowed amendAllowed pegInstructionsAllowed isSpotTradingAllowed"
    " isMarginTradingAllowed filters permissions permissionSets defaultSelfTradePreventionMode"
    " allowedSelfTradePreventionModes"
)
#: Of each filter, after `filterType`.
FILTERS: dict[str, tuple[str, ...]] = {
    "PRICE_FILTER": _names("minPrice maxPrice tickSize"),
    "LOT_SIZE": _names("minQty maxQty stepSize"),
    "MARKET_LOT_SIZE": _names("minQty maxQty stepSize"),
    "PERCENT_PRICE_BY_SIDE": _names("bidMultiplierUp bidMultiplierDown askMultiplierUp askMultiplierDown avgPriceMins"),
    "NOTIONAL": _names("minNotional applyMinToMarket maxNotional applyMaxToMarket avgPriceMins"),
    "TRAILING_DELTA": _names("minTrailingAboveDelta maxTrailingAboveDelta minTrailingBelowDelta maxTrailingBelowDelta"),
    "PERCENT_PRICE": _names("multiplierUp multiplierDown avgPriceMins"),
    "MIN_NOTIONAL": _names("minNotional applyToMarket avgPriceMins"),
    "MAX_POSITION": _names("maxPosition"),
    "MAX_NUM_ICEBERG_ORDERS": _names("maxNumIcebergOrders"),
    "ICEBERG_PARTS": _names("limit"),
    "MAX_NUM_ORDERS": _names("maxNumOrders"),
    "MAX_NUM_ALGO_ORDERS": _names("maxNumAlgoOrders"),
    "MAX_NUM_ORDER_LISTS": _names("maxNumOrderLists"),
    "MAX_NUM_ORDER_AMENDS": _names("maxNumOrderAmends"),
}
#: JSON types of a candle's twelve values.
CANDLE = (int, str, str, str, str, str, int, str, int, str, str, str)
