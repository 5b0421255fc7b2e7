"""Why something was refused: one fine-grained reason each, with its cause and the fix for the owner.

A stranger sees only the public code that `wire.errors` maps a reason to; the exact reason goes to the call log and to
the key's owner. Slugs are permanent: logs, documentation addresses and scripts refer to them.
"""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """`Reason.KEY_UNKNOWN.slug`, `.cause`, `.fix`, `.page`. Members stand in the order in which the gate asks."""

    slug: str
    cause: str
    fix: str

    def __new__(cls, slug: str, cause: str, fix: str) -> Reason:
        member = object.__new__(cls)
        member._value_ = slug
        member.slug = slug
        member.cause = cause
        member.fix = fix
        return member

    @property
    def page(self) -> str:
        """Address of the page that explains this reason, relative to the console."""
        return f"/reasons/{self.slug}"

    # --- the gate, in the order in which it asks -----------------------------------------------------------------
    ROUTE_UNKNOWN = ("route-unknown", "No endpoint has this method and path.", "Check the path and the HTTP method.")
    IP_BANNED = (
        "ip-banned",
        "This address kept sending after 429 and is banned until {0} (ms).",
        "Wait until then; obey Retry-After on 429, and prefer streams to polling.",
    )
    IP_WEIGHT_EXCEEDED = (
        "ip-weight-exceeded",
        "This address used more than {0} request weight in {1}.",
        "Wait for Retry-After seconds; spread calls or use streams.",
    )
    IP_RAW_REQUESTS_EXCEEDED = (
        "ip-raw-requests-exceeded",
        "This address sent more than {0} requests in {1}.",
        "Wait for Retry-After seconds.",
    )
    ACCOUNT_WEIGHT_EXCEEDED = (
        "account-weight-exceeded",
        "The account used more than {0} request weight of this endpoint in {1}.",
        "Wait for Retry-After seconds.",
    )
    VERIFICATION_BUDGET_EXCEEDED = (
        "verification-budget-exceeded",
        "This address sent so many wrong signatures that the rest of this minute's are not looked at.",
        "Stop sending wrong signatures; right ones are taken again within a minute.",
    )
    KEY_MALFORMED = (
        "key-malformed",
        "The X-MBX-APIKEY header is missing or is not 64 letters and digits.",
        "Send the API key (not the secret) in the header X-MBX-APIKEY.",
    )
    KEY_UNKNOWN = (
        "key-unknown",
        "No key has this id.",
        "Compare it with the list in API Management; it may be cut off, of another server, or of an erased account.",
    )
    KEY_MISTYPED = (
        "key-mistyped",
        "The API key is none that was ever issued here: its last six characters do not fit the others.",
        "Copy the key again; a character is wrong.",
    )
    KEY_DISABLED = (
        "key-disabled",
        "The key is disabled.",
        "Enable it in API Management, or with sparekey keys enable.",
    )
    KEY_DELETED = (
        "key-deleted",
        "The key was deleted.",
        "Nothing brings it back. Create a new key in API Management.",
    )
    KEY_EXPIRED = (
        "key-expired",
        "The key expired at {0} (ms): keys without an IP whitelist live 90 days.",
        "An expired key never revives. Create a new key in API Management and give it an IP whitelist.",
    )
    KEY_ROTATED = (
        "key-rotated",
        "The key was rotated, and its overlap with the replacement ended at {0} (ms).",
        "Use the replacement. A caller was forgotten: the old key's page in API Management shows from where it calls.",
    )
    KEY_FENCED = (
        "key-fenced",
        "The key changed while this call was under way.",
        "Repeat the call; it will be judged by the key as it is now.",
    )
    ACCOUNT_SUSPENDED = (
        "account-suspended",
        "API access of the account is suspended.",
        "Ask the operator to restore it (sparekey accounts restore).",
    )
    ACCOUNT_UNVERIFIED = (
        "account-unverified",
        "The account has no approved identity check or no second factor any more.",
        "Have the identity check approved (Identity verification) and turn on a second factor (Security).",
    )
    MARGIN_KEY_IDLE = (
        "margin-key-idle",
        "The key is a special key of margin, and there is no margin account yet that it could act on.",
        "Trade with an ordinary key; special keys can be made, listed, restricted and deleted until margin opens.",
    )
    IP_FOREIGN = (
        "ip-foreign",
        "The call came from {0}, which the key's whitelist does not contain.",
        "Add the address to the key's whitelist in API Management, or call from a listed one.",
    )
    PERMISSION_MISSING = (
        "permission-missing",
        "The key lacks the permission {0}.",
        "Turn the permission on for this key in API Management, if it should have it.",
    )
    TIMESTAMP_TOO_OLD = (
        "timestamp-too-old",
        "The timestamp is {0} ms behind the server; recvWindow is {1} ms.",
        "Synchronise the clock (GET /api/v3/time) or raise recvWindow, at most 60000.",
    )
    TIMESTAMP_AHEAD = (
        "timestamp-ahead",
        "The timestamp is {0} ms ahead of the server; 1000 ms or more is refused.",
        "Synchronise the clock (GET /api/v3/time).",
    )
    SIGNATURE_INVALID = (
        "signature-invalid",
        "The signature does not match the bytes as they were sent.",
        "Sign the percent-encoded query string and body exactly as sent, with this key's secret.",
    )
    SIGNATURE_WRONG_TYPE = (
        "signature-wrong-type",
        "The signature has not the form of a {0} signature, which this key needs.",
        "Sign with the algorithm of the key's type: hex for HMAC, base64 for RSA and Ed25519.",
    )
    SECRET_UNAVAILABLE = (
        "secret-unavailable",
        "The sealed secret of this key cannot be opened.",
        "Delete the key and create a new one in API Management; the operator should check the vault.",
    )
    ORDER_COUNT_EXCEEDED = (
        "order-count-exceeded",
        "The account placed more than {0} orders in {1}.",
        "Wait for the window to end; fills give order count back.",
    )

    # --- parameters ----------------------------------------------------------------------------------------------
    PARAMETER_MISSING = ("parameter-missing", "The parameter {0} is missing, empty or malformed.", "Send a value.")
    PARAMETERS_EITHER = ("parameters-either", "Neither {0} nor {1} was sent.", "Send one of them.")
    PARAMETER_EMPTY = ("parameter-empty", "The parameter {0} is empty.", "Send a value or leave it out.")
    PARAMETER_ILLEGAL = (
        "parameter-illegal",
        "The parameter {0} has illegal characters; legal range is {1}.",
        "Send only legal characters.",
    )
    PARAMETER_INVALID = (
        "parameter-invalid",
        "The parameter {0} has an unacceptable value.",
        "Send one of the values that the exchange's reference names for it.",
    )
    PARAMETER_TOO_LARGE = (
        "parameter-too-large",
        "The parameter {0} is greater than {1}.",
        "Send a smaller value.",
    )
    PARAMETER_OVERFLOW = ("parameter-overflow", "The parameter {0} is too large a number.", "Send a smaller value.")
    PARAMETER_PRECISION = ("parameter-precision", "The parameter {0} has too many decimals.", "Round it first.")
    PARAMETER_NOT_REQUIRED = (
        "parameter-not-required",
        "The parameter {0} does not belong to this kind of request.",
        "Leave it out.",
    )
    PARAMETER_DUPLICATE = ("parameter-duplicate", "A parameter was sent twice.", "Send each parameter once.")
    PARAMETERS_SURPLUS = (
        "parameters-surplus",
        "This endpoint takes {0} parameters and received {1}.",
        "Leave out what the endpoint does not know.",
    )
    PARAMETERS_UNREAD = (
        "parameters-unread",
        "Only {0} of {1} parameters were read.",
        "Leave out what the endpoint does not know; check the spelling.",
    )
    PARAMETER_UNKNOWN = ("parameter-unknown", "An unknown parameter was sent.", "Leave it out.")
    PARAMETERS_COMBINATION = (
        "parameters-combination",
        "These optional parameters cannot be combined.",
        "Leave some out: of trades and orders, ids and times exclude each other.",
    )
    PARAMETER_JSON = ("parameter-json", "The parameter {0} is no valid JSON.", "Send one JSON array.")
    TOO_MANY_VALUES = (
        "too-many-values",
        "The parameter {0} holds more than {1} values.",
        "Send fewer values in one request.",
    )
    SPAN_TOO_LONG = (
        "span-too-long",
        "startTime and endTime are more than {0} hours apart.",
        "Ask for a shorter span.",
    )
    SYMBOL_UNKNOWN = ("symbol-unknown", "There is no such symbol.", "See GET /api/v3/exchangeInfo.")
    SYMBOLS_DUPLICATE = ("symbols-duplicate", "A symbol is present more than once.", "Send each symbol once.")
    SYMBOL_STATUS_INVALID = ("symbol-status-invalid", "There is no such symbolStatus.", "TRADING, HALT or BREAK.")
    SYMBOL_STATUS_MISMATCH = (
        "symbol-status-mismatch",
        "The symbol has not the status asked for.",
        "Leave out symbolStatus or ask for the right one.",
    )
    ROUTING_NOT_ENABLED = (
        "routing-not-enabled",
        "Orders on the symbol are not routed: no other book has its base asset at the same quote.",
        "Use a symbol that `sors` of exchangeInfo lists, or a plain order.",
    )
    REFERENCE_PRICE_NONE = (
        "reference-price-none",
        "The symbol has no reference price, or has not had one yet.",
        "Ask for a symbol whose listing names one (docs/endpoints.md), after its first trade.",
    )
    INTERVAL_INVALID = ("interval-invalid", "There is no such interval.", "1s, 1m, 3m, … 1M; the case matters.")
    TICKER_TYPE_INVALID = ("ticker-type-invalid", "There is no such ticker type.", "FULL or MINI.")
    TIME_IN_FORCE_INVALID = ("time-in-force-invalid", "There is no such timeInForce.", "GTC, IOC or FOK.")
    TIME_IN_FORCE_NOT_REQUIRED = (
        "time-in-force-not-required",
        "This order type takes no timeInForce.",
        "Leave it out.",
    )
    ORDER_TYPE_INVALID = (
        "order-type-invalid",
        "There is no such order type.",
        "See orderTypes of the symbol in GET /api/v3/exchangeInfo.",
    )
    SIDE_INVALID = ("side-invalid", "There is no such side.", "BUY or SELL.")
    CLIENT_ORDER_ID_EMPTY = ("client-order-id-empty", "newClientOrderId is empty.", "Send a value or leave it out.")
    ORIGINAL_CLIENT_ORDER_ID_EMPTY = (
        "original-client-order-id-empty",
        "origClientOrderId is empty.",
        "Send a value or leave it out.",
    )
    STRATEGY_TYPE_TOO_SMALL = (
        "strategy-type-too-small",
        "strategyType is less than 1000000.",
        "Values below are reserved.",
    )
    CANCEL_RESTRICTIONS_INVALID = (
        "cancel-restrictions-invalid",
        "There is no such cancelRestrictions.",
        "ONLY_NEW or ONLY_PARTIALLY_FILLED.",
    )
    PEG_PRICE_TYPE_INVALID = (
        "peg-price-type-invalid",
        "There is no such pegPriceType.",
        "PRIMARY_PEG or MARKET_PEG.",
    )
    PEG_OFFSET_TYPE_INVALID = (
        "peg-offset-type-invalid",
        "There is no such pegOffsetType.",
        "PRICE_LEVEL is the only one.",
    )
    TIME_UNIT_INVALID = (
        "time-unit-invalid",
        "X-MBX-TIME-UNIT is neither MILLISECOND nor MICROSECOND.",
        "Send one of the two, or leave the header out.",
    )
    ENCODING_NOT_ACCEPTED = (
        "encoding-not-accepted",
        "Only JSON replies exist here; the request accepts none.",
        "Accept application/json.",
    )
    REQUEST_NOT_JSON = ("request-not-json", "The frame is no JSON object.", "Send one JSON object in each text frame.")
    REQUEST_FIELD_INVALID = (
        "request-field-invalid",
        "The field {0} of the request is missing or of another kind than {1}.",
        "Send an id, the name of a method and, if it takes any, params.",
    )
    SBE_DISABLED = ("sbe-disabled", "Binary encoding (SBE) is not enabled.", "Leave out responseFormat=sbe.")
    LOGON_KEY_TYPE = (
        "logon-key-type",
        "A session is logged on with Ed25519 keys only; this key is of type {0}.",
        "Sign each request, or use an Ed25519 key.",
    )
    SUBSCRIPTION_ACTIVE = (
        "subscription-active",
        "The account's user data stream is subscribed on this connection already.",
        "Keep the first subscription, or end it first.",
    )
    SUBSCRIPTION_INACTIVE = (
        "subscription-inactive",
        "No such subscription is active on this connection.",
        "Ask session.subscriptions which are.",
    )
    SUBSCRIPTIONS_USED_UP = (
        "subscriptions-used-up",
        "This connection has had, or has, as many subscriptions as it may.",
        "Open another connection.",
    )
    LISTEN_KEY_UNKNOWN = (
        "listen-key-unknown",
        "There is no such listenKey: it lapsed an hour after it was last kept alive, or its key may no longer call.",
        "Create another one, and keep it alive every half hour.",
    )
    BODY_REFUSED = (
        "body-refused",
        "The body is not application/x-www-form-urlencoded.",
        "Send parameters in the query or as a form.",
    )
    OPERATION_UNSUPPORTED = (
        "operation-unsupported",
        "This operation is not supported.",
        "Ask for one that is (docs/endpoints.md lists what is served).",
    )

    # --- orders: before the engine -------------------------------------------------------------------------------
    ORDER_COMBINATION = (
        "order-combination",
        "This combination of type, timeInForce and prices is not supported.",
        "See the mandatory parameters of the order type.",
    )
    FILTER_FAILED = ("filter-failed", "The order fails the filter {0}.", "See filters in GET /api/v3/exchangeInfo.")
    PREVENTION_MODE_NOT_ALLOWED = (
        "prevention-mode-not-allowed",
        "The symbol does not allow this self-trade prevention mode.",
        "See allowedSelfTradePreventionModes.",
    )

    # --- orders: the engine --------------------------------------------------------------------------------------
    MARKET_CLOSED = ("market-closed", "The symbol is not trading.", "See status in GET /api/v3/exchangeInfo.")
    BALANCE_INSUFFICIENT = (
        "balance-insufficient",
        "{1} {0} is free, {2} is needed.",
        "Fund the account or place a smaller order.",
    )
    CLIENT_ORDER_ID_DUPLICATE = (
        "client-order-id-duplicate",
        "An open order of the account on this symbol has this clientOrderId.",
        "Choose another id; it is free again once the order is closed.",
    )
    WOULD_MATCH = (
        "would-match",
        "A LIMIT_MAKER order would take at once.",
        "Choose a price that rests.",
    )
    WOULD_TRIGGER = ("would-trigger", "The stop price is already reached.", "Choose another stop price.")
    ORDER_TYPE_NOT_ENABLED = (
        "order-type-not-enabled",
        "The symbol does not take orders of type {0}.",
        "See orderTypes in GET /api/v3/exchangeInfo.",
    )
    QUOTE_QUANTITY_NOT_ENABLED = (
        "quote-quantity-not-enabled",
        "The symbol takes no MARKET orders by quoteOrderQty.",
        "Send quantity.",
    )
    PEG_NOT_FOR_TYPE = (
        "peg-not-for-type",
        "Orders at any price cannot take one from the book.",
        "Leave out pegPriceType, or send an order with a limit.",
    )
    PEG_KIND_NOT_FOR_TYPE = (
        "peg-kind-not-for-type",
        "A LIMIT_MAKER order pegged to the other side would take at once.",
        "Use PRIMARY_PEG.",
    )
    PEG_LIQUIDITY = (
        "peg-liquidity",
        "The book has no such level to take the price from.",
        "Send a smaller pegOffsetValue, or wait for liquidity.",
    )
    ICEBERG_NOT_ENABLED = ("iceberg-not-enabled", "The symbol takes no iceberg orders.", "Leave out icebergQty.")
    ICEBERG_TOO_LARGE = ("iceberg-too-large", "icebergQty is not below quantity.", "Send a smaller icebergQty.")
    ICEBERG_NOT_GTC = (
        "iceberg-not-gtc",
        "An iceberg order must be good till cancelled.",
        "Send timeInForce GTC, or leave out icebergQty.",
    )
    TRAILING_NOT_ENABLED = ("trailing-not-enabled", "The symbol takes no trailing stops.", "Leave out trailingDelta.")
    PEGGED_NOT_ENABLED = ("pegged-not-enabled", "The symbol takes no pegged orders.", "Leave out pegPriceType.")
    NOTIONAL_ZERO = ("notional-zero", "Price times quantity is zero.", "Send a larger order.")
    LIQUIDITY_BELOW_LOT = (
        "liquidity-below-lot",
        "The book holds less than the minimum quantity of {0}.",
        "Wait for liquidity, or send a limit order.",
    )
    LIQUIDITY_NONE = ("liquidity-none", "The book is empty on that side.", "Wait for liquidity.")
    ORDER_UNKNOWN = ("order-unknown", "No open order has this id.", "It may be filled, cancelled or expired already.")
    ORDER_NOT_FOUND = ("order-not-found", "The account has no such order on this symbol.", "Check id and symbol.")
    ORDER_ARCHIVED = (
        "order-archived",
        "The order ended without a fill more than 90 days ago.",
        "Archived orders cannot be queried.",
    )
    CANCEL_ID_MISMATCH = (
        "cancel-id-mismatch",
        "The order with this orderId has another client order id than the one sent with it, so it was not cancelled.",
        "Send one of the two ids, or those of the same order.",
    )
    CLIENT_ORDER_ID_MISMATCH = (
        "client-order-id-mismatch",
        "orderId and origClientOrderId name different orders.",
        "Send one of them.",
    )
    CANCEL_RESTRICTED = (
        "cancel-restricted",
        "The order's status does not meet cancelRestrictions.",
        "Drop the restriction or accept the fill.",
    )
    LIST_PRICES = (
        "list-prices",
        "The prices of the pair do not stand on both sides of the last price, or not on the right ones.",
        "SELL: limit or take profit above the last price, stop below it; BUY: the other way round.",
    )
    PAIR_TYPE = (
        "pair-type",
        "An order of this type cannot be one of a pair.",
        "Limit makers, stop losses and take profits can.",
    )
    PAIR_ICEBERG_NOT_GTC = (
        "pair-iceberg-not-gtc",
        "{0} needs a timeInForce of GTC.",
        "Send GTC, or leave the iceberg quantity out.",
    )
    PAIR_BUY_LIMIT_ABOVE = ("pair-buy-limit-above", "A pair that buys has its limit order below.", "Swap them.")
    PAIR_SELL_LIMIT_BELOW = ("pair-sell-limit-below", "A pair that sells has its limit order above.", "Swap them.")
    PAIR_TWO_LIMITS = ("pair-two-limits", "Neither order of the pair waits for a price.", "Make one a stop loss.")
    PAIR_BUY_STOP_BELOW = ("pair-buy-stop-below", "A pair that buys has its stop loss above.", "Swap them.")
    PAIR_SELL_STOP_ABOVE = ("pair-sell-stop-above", "A pair that sells has its stop loss below.", "Swap them.")
    PAIR_BUY_PROFIT_ABOVE = ("pair-buy-profit-above", "A pair that buys takes its profit below.", "Swap them.")
    PAIR_SELL_PROFIT_BELOW = ("pair-sell-profit-below", "A pair that sells takes its profit above.", "Swap them.")
    PAYER_SELLS = ("payer-sells", "A working order that pays for the pending ones must buy.", "Send BUY.")
    PAID_BUYS = ("paid-buys", "What a working order pays for must be a sale.", "Send SELL.")
    PAID_QUANTITY = (
        "paid-quantity",
        "{0} was sent, but the working order determines it.",
        "Leave it out.",
    )
    STOP_LIMIT_TIME_MISSING = (
        "stop-limit-time-missing",
        "stopLimitPrice was sent without stopLimitTimeInForce.",
        "Send both.",
    )
    AMEND_PENDING_PAID = (
        "amend-pending-paid",
        "What the working order will pay for has no quantity yet.",
        "Amend it once the working order is filled.",
    )
    AMEND_ORDER_UNKNOWN = (
        "amend-order-unknown",
        "No open order has this id, or its client order id is another one.",
        "It may be filled, cancelled or expired already.",
    )
    AMEND_MARKET_CLOSED = ("amend-market-closed", "The symbol is not trading.", "Wait until it trades.")
    AMEND_NO_CHANGE = ("amend-no-change", "The order has this quantity already.", "Send a smaller newQty.")
    AMEND_INCREASE = (
        "amend-increase",
        "An amendment only lowers an order's quantity.",
        "Cancel the order and place a larger one (POST /api/v3/order/cancelReplace).",
    )
    AMEND_ID_DUPLICATE = (
        "amend-id-duplicate",
        "Another open order of the account on this symbol has this clientOrderId.",
        "Choose another newClientOrderId, or leave it out.",
    )
    AMENDS_EXHAUSTED = (
        "amends-exhausted",
        "The order was amended as often as the filter MAX_NUM_ORDER_AMENDS allows.",
        "Cancel it and place another one.",
    )
    REPLACE_PARTLY = (
        "replace-partly",
        "Of cancelling and placing, one was done and the other was refused: {0}.",
        "See data in the reply; what was done stays done.",
    )
    REPLACE_FAILED = (
        "replace-failed",
        "The order was not cancelled ({0}), and no other one was placed.",
        "See data in the reply.",
    )
    REPLACE_OVER_LIMIT = (
        "replace-over-limit",
        "The order was not cancelled, and the account placed more than {0} orders in {1}.",
        "Wait for the window to end; see data in the reply.",
    )
    ACCOUNT_MAY_NOT_TRADE = (
        "account-may-not-trade",
        "The account may not place or cancel orders.",
        "Ask the operator why.",
    )
    SYMBOL_NOT_PERMITTED = (
        "symbol-not-permitted",
        "The account lacks a permission set of the symbol.",
        "See permissionSets.",
    )

    # --- accounts, factors, keys: the management side --------------------------------------------------------------
    ACCOUNT_UNKNOWN = ("account-unknown", "There is no such account.", "Check the e-mail address.")
    ACCOUNT_EXISTS = ("account-exists", "An account with this e-mail address exists.", "Use another address.")
    ACCOUNT_IN_USE = (
        "account-in-use",
        "The account, or one of its sub-accounts, has {0} open orders, which nobody could cancel afterwards.",
        "Cancel them first (DELETE /api/v3/openOrders).",
    )
    CAUSE_INVALID = (
        "cause-invalid",
        "The reason is empty, longer than {0} characters or holds control characters.",
        "Say in one line why, for the audit trail.",
    )
    EMAIL_INVALID = ("email-invalid", "This is no e-mail address.", "Send one like name@example.com.")
    PASSWORD_WEAK = (
        "password-weak",
        "The password is too weak: {0}.",
        "Choose one of at least 12 characters that nobody guesses: several words, or what a password manager makes.",
    )
    PASSWORD_SAME = ("password-same", "The new password is the old one.", "Choose another one.")
    KYC_MISSING = (
        "kyc-missing",
        "The account's identity check is {0}; keys need it approved.",
        "Hand in an application under Identity verification (in sandbox mode, sparekey accounts kyc does, too).",
    )
    KYC_STATE = (
        "kyc-state",
        "The account's identity check is {0}; another application is not taken now.",
        "A pending check waits for the operator's decision; an approved one needs nothing more.",
    )
    KYC_UNDECIDABLE = (
        "kyc-undecidable",
        "There is no such application to decide about: {0}.",
        "Look at the account again; somebody else may have decided, or the holder sent another one.",
    )
    DOCUMENT_INVALID = (
        "document-invalid",
        "The machine-readable zone was refused: {0}.",
        "Copy the two or three lines of letters, digits and < at the foot of the document exactly.",
    )
    APPLICATION_INVALID = (
        "application-invalid",
        "The application was refused: {0}.",
        "Correct that field and send the form again.",
    )
    FACTOR_MISSING = (
        "factor-missing",
        "The account has no second factor; keys need one.",
        "Turn one on under Security (in sandbox mode, sparekey accounts 2fa add does, too).",
    )
    MAIN_ACCOUNT_ONLY = (
        "main-account-only",
        "Only a main account may ask for this; this is a sub-account.",
        "Use a key of the master account.",
    )
    SUB_ACCOUNT_UNKNOWN = (
        "sub-account-unknown",
        "The account has no such sub-account.",
        "See GET /sapi/v1/sub-account/list, or GET /sapi/v1/broker/subAccount.",
    )
    SUB_ACCOUNT_KEY_UNKNOWN = (
        "sub-account-key-unknown",
        "No living key of that account has this API key.",
        "List its keys; an expired key can only be deleted.",
    )
    SUB_ACCOUNT_LIMIT = (
        "sub-account-limit",
        "The account has {0} sub-accounts of this kind, which is the limit.",
        "Use the ones that are there.",
    )
    SUB_ACCOUNT_IN_USE = (
        "sub-account-in-use",
        "The sub-account still has {0}.",
        "Transfer its funds out, cancel its orders and delete its API keys first.",
    )
    SUB_ACCOUNT_CLOSINGS = (
        "sub-account-closings",
        "The broker closed {0} sub-accounts within a day, which is the limit.",
        "Wait a day.",
    )
    BROKER_ONLY = (
        "broker-only",
        "The account is no broker.",
        "Ask the operator to make it one (sparekey accounts broker ADDRESS on).",
    )
    KEY_TOO_SOON = (
        "key-too-soon",
        "A key of this sub-account was made within the last second; {0} key per {1} is allowed.",
        "Wait a second.",
    )
    FUTURES_ACCOUNT_MISSING = (
        "futures-account-missing",
        "The account has no futures account.",
        "Futures are not open here yet.",
    )
    MARGIN_ACCOUNT_MISSING = (
        "margin-account-missing",
        "The account has no margin account.",
        "Margin is not open here yet.",
    )
    TRANSFER_BALANCE = (
        "transfer-balance",
        "{1} {0} is free, {2} is to be transferred.",
        "Transfer less, or fund the account first.",
    )
    TRANSFER_ID_USED = (
        "transfer-id-used",
        "Another transfer of the account has this clientTranId.",
        "Choose another id; the same transfer may be asked for again under the same id.",
    )
    TRANSFER_NOWHERE = (
        "transfer-nowhere",
        "The transfer leads from an account to itself.",
        "Name two different accounts.",
    )
    FACTOR_EXISTS = (
        "factor-exists",
        "The account has an authenticator already.",
        "Remove it first under Security, or with sparekey accounts 2fa remove.",
    )
    FACTOR_WRONG = (
        "factor-wrong",
        "The code is wrong.",
        "Check the clock of the device and send a fresh code.",
    )
    FACTOR_USED = ("factor-used", "The code was used before.", "Wait for the next code.")
    FACTOR_DRIFT = (
        "factor-drift",
        "The code is right for another time: the device's clock is {0} seconds {1}.",
        "Set the clock of the device to the network's time and send a fresh code.",
    )
    FACTOR_LIMIT = (
        "factor-limit",
        "{0} codes within {1} were wrong; until {2} (ms) no other one is looked at, whatever the factor.",
        "Wait until then. If it was not you who tried, change the password.",
    )
    FACTOR_LAST = (
        "factor-last",
        "This is the only second factor of the account; turning it off needs itself ({0}) or a recovery code.",
        "Prove this factor or use a recovery code, or turn another factor on first.",
    )
    CODE_EXPIRED = (
        "code-expired",
        "The code is unknown, spent, or older than ten minutes.",
        "Ask for a new one; only the newest counts.",
    )
    CODE_WRONG = (
        "code-wrong",
        "The code is not the one that was sent for this.",
        "Type the eight digits of the newest message; a code that was sent for something else is not taken.",
    )
    CODE_LIMIT = (
        "code-limit",
        "{0} codes were sent {1}, which is the limit.",
        "Use the newest of them, or wait an hour and begin anew.",
    )
    SETUP_OVER = (
        "setup-over",
        "Nothing is being set up here: it was finished already, or ten minutes have passed.",
        "Begin anew from the security page.",
    )
    PASSWORD_WRONG = ("password-wrong", "The password is wrong.", "Type the password with which you sign in.")
    PASSKEY_ADDRESS = (
        "passkey-address",
        "Passkeys belong to a host name that the server knows as its own, and cannot be used here, but at {0}.",
        "Open the console at that address and sign in there.",
    )
    PHONE_INVALID = (
        "phone-invalid",
        "This is no telephone number that takes SMS.",
        "Send it with the country's code, such as +44 7400 123456.",
    )
    RECOVERY_WRONG = (
        "recovery-wrong",
        "This is none of the account's unused recovery codes.",
        "Each counts once, and only those of the newest set; take another one of the list.",
    )
    PASSKEY_INVALID = (
        "passkey-invalid",
        "The passkey was refused: {0}.",
        "Try again from the page that asks for it, on the device that holds the passkey.",
    )
    PASSKEY_UNKNOWN = (
        "passkey-unknown",
        "The account has no such passkey.",
        "Use one that the security page lists.",
    )
    PASSKEY_EXISTS = ("passkey-exists", "This passkey is registered already.", "Use another device, or keep this one.")
    PASSKEY_LIMIT = (
        "passkey-limit",
        "The account has {0} passkeys, which is the limit.",
        "Remove one that is not used any more.",
    )
    PASSKEY_COPIED = (
        "passkey-copied",
        "The passkey's count of signatures did not grow: there may be a copy of it.",
        "Sign in with another factor and remove this passkey.",
    )
    STEP_UP_REQUIRED = (
        "step-up-required",
        "This needs fresh proof that it is you: {0}.",
        "Prove the factors that are asked for, for this very act, and ask again within five minutes.",
    )
    STEP_UP_UNKNOWN = (
        "step-up-unknown",
        "This session has no such step-up, or it is over.",
        "Ask for the act again; the answer names a new one.",
    )
    SIGN_IN_WRONG = (
        "sign-in-wrong",
        "No account has this e-mail address and this password.",
        "Check both; if you forgot the password, have a link sent to you with which you choose another one.",
    )
    SIGN_IN_LIMIT = (
        "sign-in-limit",
        "Too many tries, from this address or for this account; the next one is looked at in {0} seconds.",
        "Wait until then; right or wrong, every try counts.",
    )
    SIGN_IN_REQUIRED = ("sign-in-required", "Nobody is signed in here.", "Sign in first.")
    SESSION_ENDED = (
        "session-ended",
        "The session is over: it was ended, grew too old, or the password changed.",
        "Sign in again.",
    )
    SESSION_UNKNOWN = ("session-unknown", "The account has no such session.", "It may have ended already.")
    LINK_EXPIRED = (
        "link-expired",
        "The link is unknown, was used before, or is too old.",
        "Open the whole link from the newest letter, or have another one sent.",
    )
    SERVER_BUSY = (
        "server-busy",
        "More people are signing in than the server can look at.",
        "Try again in a few seconds.",
    )
    CSRF_WRONG = (
        "csrf-wrong",
        "The form did not come from a page of this session.",
        "Load the page again and send the form from there.",
    )
    LABEL_INVALID = (
        "label-invalid",
        "The label is empty, longer than 64 characters or holds control characters.",
        "Send a short printable label.",
    )
    KEY_LIMIT = (
        "key-limit",
        "The account has {0} keys, which is the limit.",
        "Delete one in API Management first; expired and disabled ones count, too.",
    )
    KEY_IN_ROTATION = (
        "key-in-rotation",
        "The key is in a rotation already: a key and its replacement are both alive.",
        "Delete the old key in API Management, or wait until it dies.",
    )
    OVERLAP_INVALID = (
        "overlap-invalid",
        "A key may go on beside its replacement for at most {0} days.",
        "Send an overlap between nothing and that.",
    )
    POSSESSION_UNPROVEN = (
        "possession-unproven",
        "Nothing proves that the private key is yours: {0}.",
        "Ask for a new challenge and sign it with the private key that belongs to the public one.",
    )
    KEY_TYPE_INVALID = ("key-type-invalid", "There is no such key type.", "Choose hmac, rsa or ed25519.")
    PUBLIC_KEY_MISSING = ("public-key-missing", "A self generated key needs a public key.", "Send it as PEM.")
    PUBLIC_KEY_NOT_REQUIRED = (
        "public-key-not-required",
        "A system generated (HMAC) key takes no public key.",
        "Leave it out, or choose rsa or ed25519.",
    )
    PUBLIC_KEY_INVALID = ("public-key-invalid", "The public key was refused: {0}.", "Send an SPKI PEM public key.")
    PRIVATE_KEY_PASTED = (
        "private-key-pasted",
        "This is a private key. It was not kept anywhere.",
        "Send the public key; treat this private key as exposed.",
    )
    PERMISSION_UNKNOWN = (
        "permission-unknown",
        "There is no permission {0}.",
        "See sparekey keys create --help for their names.",
    )
    PERMISSION_PREREQUISITE = (
        "permission-prerequisite",
        "The permission {0} needs {1}.",
        "Turn both on.",
    )
    WITHDRAWALS_NEED_WHITELIST = (
        "withdrawals-need-whitelist",
        "Withdrawals need an IP whitelist.",
        "Give the key a whitelist first.",
    )
    WHITELIST_INVALID = ("whitelist-invalid", "{0} is no address or CIDR range.", "Send one like 203.0.113.7/32.")
    WHITELIST_TOO_WIDE = (
        "whitelist-too-wide",
        "The whitelist restricts nothing: {0} is wider than allowed.",
        "Together at most a /16 (IPv4) and a /32 (IPv6).",
    )
    WHITELIST_LOOPBACK = (
        "whitelist-loopback",
        "{0} is a loopback address, which a whitelist takes in sandbox mode only.",
        "Send the public address that calls come from.",
    )
    WHITELIST_TOO_LONG = ("whitelist-too-long", "The whitelist has {0} entries; 30 are allowed.", "Merge ranges.")
    ASSET_UNKNOWN = ("asset-unknown", "There is no asset {0}.", "See GET /sapi/v1/capital/config/getall.")
    AMOUNT_INVALID = ("amount-invalid", "{0} is no amount.", "Send a positive decimal such as 1.5.")
    LETTER_UNKNOWN = (
        "letter-unknown",
        "No letter {0} is remembered.",
        "See sparekey outbox list for those that are; a restart forgets them.",
    )
    BAN_UNKNOWN = (
        "ban-unknown",
        "{0} is not banned.",
        "See sparekey bans list for the addresses that are.",
    )
    CLOCK_BACKWARDS = ("clock-backwards", "The clock never goes back.", "Send a positive duration.")
    CLOCK_TOO_FAR = ("clock-too-far", "The clock advances at most {0} days at once.", "Send a shorter duration.")
    MODE_GUARDED = (
        "mode-guarded",
        "The server runs in guarded mode, which refuses this.",
        "What concerns an account, its holder does in the console; clocks and funds move in sandbox mode only.",
    )
    REQUEST_REPEATED = (
        "request-repeated",
        "A request with this Idempotency-Key was made already; it is not made again.",
        "Look at what the first one did. For another request use another Idempotency-Key.",
    )
    OPERATOR_TOKEN_WRONG = (
        "operator-token-wrong",
        "The operator's token is missing or wrong.",
        "Send Authorization: Bearer and the OPERATOR_TOKEN of operator.env.",
    )
    METHOD_UNKNOWN = ("method-unknown", "This path has no such method.", "See /sparekey/v1/openapi.json.")
    BODY_NOT_JSON = (
        "body-not-json",
        "The body is not sent as JSON.",
        "Send one JSON object, with Content-Type: application/json.",
    )
    BODY_TOO_LARGE = ("body-too-large", "The body is larger than {0} bytes.", "Send less.")
    REQUEST_INVALID = ("request-invalid", "{0}", "See /sparekey/v1/openapi.json, or --help.")
