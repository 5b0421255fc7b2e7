"""What a caller sees of a refusal: HTTP status, public code and message. Many reasons share one public code.

Texts are Binance's own, letter by letter (spot REST, "Error codes"), because clients match them before the codes.
Whatever lies behind -2015 looks alike outside: only the call log and the key's owner learn which it was.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import UNSET, UnsetType

from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal


class PublicError(msgspec.Struct, frozen=True):
    """`text` holds `{0}`, `{1}` for the refusal's facts."""

    status: int
    code: int
    text: str


def _bad(code: int, text: str) -> PublicError:
    return PublicError(400, code, text)


_KEY_REFUSED = PublicError(401, -2015, "Invalid API-key, IP, or permissions for action.")
_SIGNATURE_REFUSED = _bad(-1022, "Signature for this request is not valid.")
_TIMESTAMP_OLD = _bad(-1021, "Timestamp for this request is outside of the recvWindow.")
_UNSUPPORTED = _bad(-1020, "This operation is not supported.")
#: Answered for whatever goes wrong inside; the outcome is unknown to the caller.
UNKNOWN_ERROR = PublicError(500, -1000, "An unknown error occurred while processing the request.")

_WEIGHT = (
    "Too much request weight used; current limit is {0} request weight per {1}. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)
_BANNED = (
    "Way too much request weight used; IP banned until {0}. "
    "Please use WebSocket Streams for live updates to avoid bans."
)

#: Reasons of the management side, which no call here can meet.
_MANAGEMENT = (
    Reason.ACCOUNT_UNKNOWN,
    Reason.ACCOUNT_IN_USE,
    Reason.CAUSE_INVALID,
    Reason.PASSWORD_WEAK,
    Reason.PASSWORD_SAME,
    Reason.FACTOR_EXISTS,
    Reason.FACTOR_WRONG,
    Reason.FACTOR_USED,
    Reason.FACTOR_DRIFT,
    Reason.FACTOR_LIMIT,
    Reason.FACTOR_LAST,
    Reason.CODE_WRONG,
    Reason.CODE_LIMIT,
    Reason.SETUP_OVER,
    Reason.PASSWORD_WRONG,
    Reason.PASSKEY_ADDRESS,
    Reason.CODE_EXPIRED,
    Reason.PHONE_INVALID,
    Reason.RECOVERY_WRONG,
    Reason.PASSKEY_INVALID,
    Reason.PASSKEY_UNKNOWN,
    Reason.PASSKEY_EXISTS,
    Reason.PASSKEY_LIMIT,
    Reason.PASSKEY_COPIED,
    Reason.STEP_UP_REQUIRED,
    Reason.STEP_UP_UNKNOWN,
    Reason.SIGN_IN_WRONG,
    Reason.SIGN_IN_LIMIT,
    Reason.SIGN_IN_REQUIRED,
    Reason.SESSION_ENDED,
    Reason.SESSION_UNKNOWN,
    Reason.SERVER_BUSY,
    Reason.LINK_EXPIRED,
    Reason.CSRF_WRONG,
    Reason.KYC_STATE,
    Reason.KYC_UNDECIDABLE,
    Reason.DOCUMENT_INVALID,
    Reason.APPLICATION_INVALID,
    Reason.KEY_IN_ROTATION,
    Reason.OVERLAP_INVALID,
    Reason.POSSESSION_UNPROVEN,
    Reason.KEY_TYPE_INVALID,
    Reason.PERMISSION_UNKNOWN,
    Reason.AMOUNT_INVALID,
    Reason.BAN_UNKNOWN,
    Reason.LETTER_UNKNOWN,
    Reason.CLOCK_BACKWARDS,
    Reason.CLOCK_TOO_FAR,
    Reason.MODE_GUARDED,
    Reason.REQUEST_REPEATED,
    Reason.OPERATOR_TOKEN_WRONG,
    Reason.METHOD_UNKNOWN,
    Reason.BODY_NOT_JSON,
    Reason.BODY_TOO_LARGE,
    Reason.REQUEST_INVALID,
)

#: The same, to ask of a reason.
NOT_MET_BY_CALLS = frozenset(_MANAGEMENT)

PUBLIC_ERRORS: dict[Reason, PublicError] = {
    # A path that does not exist has no public code; the body is ours.
    Reason.ROUTE_UNKNOWN: PublicError(404, -1020, "This operation is not supported."),
    Reason.IP_BANNED: PublicError(418, -1003, _BANNED),
    Reason.IP_WEIGHT_EXCEEDED: PublicError(429, -1003, _WEIGHT),
    Reason.ACCOUNT_WEIGHT_EXCEEDED: PublicError(429, -1003, _WEIGHT),
    Reason.IP_RAW_REQUESTS_EXCEEDED: PublicError(429, -1003, "Too many requests queued."),
    Reason.KEY_MALFORMED: PublicError(401, -2014, "API-key format invalid."),
    Reason.KEY_UNKNOWN: _KEY_REFUSED,
    Reason.KEY_MISTYPED: _KEY_REFUSED,
    Reason.KEY_DISABLED: _KEY_REFUSED,
    Reason.KEY_DELETED: _KEY_REFUSED,
    Reason.KEY_EXPIRED: _KEY_REFUSED,
    Reason.KEY_ROTATED: _KEY_REFUSED,
    Reason.KEY_FENCED: _KEY_REFUSED,
    Reason.ACCOUNT_SUSPENDED: _KEY_REFUSED,
    Reason.ACCOUNT_UNVERIFIED: _KEY_REFUSED,
    Reason.MARGIN_KEY_IDLE: _KEY_REFUSED,
    Reason.IP_FOREIGN: _KEY_REFUSED,
    Reason.PERMISSION_MISSING: _KEY_REFUSED,
    Reason.SECRET_UNAVAILABLE: _KEY_REFUSED,
    Reason.TIMESTAMP_TOO_OLD: _TIMESTAMP_OLD,
    Reason.TIMESTAMP_AHEAD: _bad(-1021, "Timestamp for this request was 1000ms ahead of the server's time."),
    Reason.SIGNATURE_INVALID: _SIGNATURE_REFUSED,
    Reason.SIGNATURE_WRONG_TYPE: _SIGNATURE_REFUSED,
    # Binance publishes no such budget: whoever floods with signatures must not see when we stop verifying them.
    Reason.VERIFICATION_BUDGET_EXCEEDED: _SIGNATURE_REFUSED,
    Reason.ORDER_COUNT_EXCEEDED: PublicError(429, -1015, "Too many new orders; current limit is {0} orders per {1}."),
    # --- parameters
    Reason.PARAMETER_MISSING: _bad(-1102, "Mandatory parameter '{0}' was not sent, was empty/null, or malformed."),
    Reason.PARAMETERS_EITHER: _bad(-1102, "Param '{0}' or '{1}' must be sent, but both were empty/null!"),
    Reason.PARAMETER_EMPTY: _bad(-1105, "Parameter '{0}' was empty."),
    Reason.PARAMETER_ILLEGAL: _bad(-1100, "Illegal characters found in parameter '{0}'; legal range is '{1}'."),
    Reason.PARAMETER_INVALID: _bad(-1130, "Data sent for parameter '{0}' is not valid."),
    Reason.PARAMETER_TOO_LARGE: _bad(-1102, "'{0}' contains unexpected value. Cannot be greater than {1}."),
    Reason.PARAMETER_OVERFLOW: _bad(-1108, "Parameter '{0}' overflowed."),
    Reason.PARAMETER_PRECISION: _bad(-1111, "Parameter '{0}' has too much precision."),
    Reason.PARAMETER_NOT_REQUIRED: _bad(-1106, "Parameter '{0}' sent when not required."),
    Reason.PARAMETER_DUPLICATE: _bad(-1101, "Duplicate values for a parameter detected."),
    Reason.PARAMETERS_SURPLUS: _bad(-1101, "Too many parameters; expected '{0}' and received '{1}'."),
    Reason.PARAMETERS_UNREAD: _bad(
        -1104, "Not all sent parameters were read; read '{0}' parameter(s) but was sent '{1}'."
    ),
    Reason.PARAMETER_UNKNOWN: _bad(-1103, "An unknown parameter was sent."),
    Reason.PARAMETERS_COMBINATION: _bad(-1128, "Combination of optional parameters invalid."),
    Reason.PARAMETER_JSON: _bad(-1135, "JSON sent for parameter '{0}' is not valid"),
    Reason.TOO_MANY_VALUES: _bad(-1101, "Too many values sent for parameter '{0}', maximum allowed up to {1}."),
    Reason.SPAN_TOO_LONG: _bad(-1127, "More than {0} hours between startTime and endTime."),
    Reason.SYMBOL_UNKNOWN: _bad(-1121, "Invalid symbol."),
    Reason.SYMBOLS_DUPLICATE: _bad(-1151, "Symbol is present multiple times in the list."),
    Reason.SYMBOL_STATUS_INVALID: _bad(-1122, "Invalid symbolStatus."),
    Reason.SYMBOL_STATUS_MISMATCH: _bad(-1220, "The symbol's status does not match the requested symbolStatus."),
    Reason.INTERVAL_INVALID: _bad(-1120, "Invalid interval."),
    Reason.TICKER_TYPE_INVALID: _bad(-1139, "Invalid ticker type."),
    Reason.TIME_IN_FORCE_INVALID: _bad(-1115, "Invalid timeInForce."),
    Reason.TIME_IN_FORCE_NOT_REQUIRED: _bad(-1114, "TimeInForce parameter sent when not required."),
    Reason.ORDER_TYPE_INVALID: _bad(-1116, "Invalid orderType."),
    Reason.SIDE_INVALID: _bad(-1117, "Invalid side."),
    Reason.CLIENT_ORDER_ID_EMPTY: _bad(-1118, "New client order ID was empty."),
    Reason.ORIGINAL_CLIENT_ORDER_ID_EMPTY: _bad(-1119, "Original client order ID was empty."),
    Reason.STRATEGY_TYPE_TOO_SMALL: _bad(-1134, "`strategyType` was less than 1000000."),
    Reason.CANCEL_RESTRICTIONS_INVALID: _bad(-1145, "Invalid cancelRestrictions"),
    Reason.PEG_PRICE_TYPE_INVALID: _bad(-1210, "Invalid pegPriceType."),
    Reason.PEG_OFFSET_TYPE_INVALID: _bad(-1211, "Invalid pegOffsetType."),
    Reason.TIME_UNIT_INVALID: _bad(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."),
    Reason.ENCODING_NOT_ACCEPTED: PublicError(406, -1020, "This operation is not supported."),
    Reason.REQUEST_NOT_JSON: _bad(-1135, "Invalid JSON Request"),
    Reason.REQUEST_FIELD_INVALID: _bad(-1135, "Invalid '{0}' in JSON request; expected {1}."),
    Reason.SBE_DISABLED: _bad(-1155, "SBE is not enabled."),
    Reason.LOGON_KEY_TYPE: _bad(-4056, "{0} API key is not supported."),
    Reason.SUBSCRIPTION_ACTIVE: _bad(-2035, "User Data Stream subscription already active."),
    Reason.SUBSCRIPTION_INACTIVE: _bad(-2036, "User Data Stream subscription not active."),
    Reason.SUBSCRIPTIONS_USED_UP: _bad(-2042, "Maximum subscription ID reached for this connection."),
    Reason.LISTEN_KEY_UNKNOWN: _bad(-1125, "This listenKey does not exist."),
    # What is no form is not read, so what it held counts as not sent.
    Reason.BODY_REFUSED: _bad(-1102, "A mandatory parameter was not sent, was empty/null, or malformed."),
    Reason.OPERATION_UNSUPPORTED: _UNSUPPORTED,
    # --- orders, before the engine
    Reason.ORDER_COMBINATION: _bad(-1014, "Unsupported order combination."),
    Reason.FILTER_FAILED: _bad(-1013, "Filter failure: {0}"),
    Reason.PREVENTION_MODE_NOT_ALLOWED: _bad(
        -1013, "This symbol does not allow the specified self-trade prevention mode."
    ),
    # --- orders, the engine
    Reason.MARKET_CLOSED: _bad(-1013, "Market is closed."),
    Reason.BALANCE_INSUFFICIENT: _bad(-2010, "Account has insufficient balance for requested action."),
    Reason.CLIENT_ORDER_ID_DUPLICATE: _bad(-2010, "Duplicate order sent."),
    Reason.WOULD_MATCH: _bad(-2010, "Order would immediately match and take."),
    Reason.WOULD_TRIGGER: _bad(-2010, "Order would trigger immediately."),
    Reason.ORDER_TYPE_NOT_ENABLED: _bad(-2010, "{0} orders are not supported for this symbol."),
    Reason.QUOTE_QUANTITY_NOT_ENABLED: _bad(-2010, "Quote order qty market orders are not support for this symbol."),
    Reason.ICEBERG_NOT_ENABLED: _bad(-2010, "Iceberg orders are not supported for this symbol."),
    Reason.ICEBERG_TOO_LARGE: _bad(-2010, "IcebergQty exceeds QTY."),
    Reason.ICEBERG_NOT_GTC: _bad(-2010, "Unsupported order combination"),
    Reason.TRAILING_NOT_ENABLED: _bad(-2010, "Trailing stop orders are not supported for this symbol."),
    Reason.PEGGED_NOT_ENABLED: _bad(-2010, "Pegged orders are not supported for this symbol."),
    Reason.PEG_NOT_FOR_TYPE: _bad(-2010, "This order type may not use pegged price."),
    Reason.PEG_KIND_NOT_FOR_TYPE: _bad(-2010, "This price peg cannot be used with this order type."),
    Reason.PEG_LIQUIDITY: _bad(-2010, "Order book liquidity is too low for this pegged order."),
    Reason.NOTIONAL_ZERO: _bad(-2010, "Price * QTY is zero or less."),
    Reason.LIQUIDITY_BELOW_LOT: _bad(-2010, "Order book liquidity is less than `{0}` filter minimum quantity."),
    Reason.LIQUIDITY_NONE: _bad(-2010, "Order book liquidity is less than symbol minimum quantity."),
    Reason.ORDER_UNKNOWN: _bad(-2011, "Unknown order sent."),
    Reason.CANCEL_ID_MISMATCH: _bad(-2011, "Unknown order sent."),
    Reason.ORDER_NOT_FOUND: _bad(-2013, "Order does not exist."),
    Reason.ORDER_ARCHIVED: _bad(
        -2026, "Order was canceled or expired with no executed qty over 90 days ago and has been archived."
    ),
    # The documents name no code for this; the one for what a server does not offer says it.
    Reason.ROUTING_NOT_ENABLED: _UNSUPPORTED,
    Reason.REFERENCE_PRICE_NONE: _bad(-2043, "This symbol doesn't have a reference price."),
    Reason.CLIENT_ORDER_ID_MISMATCH: _bad(-2039, "Client order ID is not correct for this order ID."),
    Reason.CANCEL_RESTRICTED: _bad(-2011, "Order was not canceled due to cancel restrictions."),
    Reason.LIST_PRICES: _bad(-2010, "The relationship of the prices for the orders is not correct."),
    Reason.PAIR_TYPE: _bad(-1158, "Order type not supported in OCO."),
    Reason.PAIR_ICEBERG_NOT_GTC: _bad(
        -1160, "Parameter '{0}' is not supported if `aboveTimeInForce`/`belowTimeInForce` is not GTC."
    ),
    Reason.PAIR_BUY_LIMIT_ABOVE: _bad(-1165, "A limit order in a buy OCO must be below."),
    Reason.PAIR_SELL_LIMIT_BELOW: _bad(-1166, "A limit order in a sell OCO must be above."),
    Reason.PAIR_TWO_LIMITS: _bad(-1168, "At least one OCO order must be contingent."),
    Reason.PAIR_BUY_STOP_BELOW: _bad(-1196, "A stop loss order in a buy OCO must be above."),
    Reason.PAIR_SELL_STOP_ABOVE: _bad(-1197, "A stop loss order in a sell OCO must be below."),
    Reason.PAIR_BUY_PROFIT_ABOVE: _bad(-1198, "A take profit order in a buy OCO must be below."),
    Reason.PAIR_SELL_PROFIT_BELOW: _bad(-1199, "A take profit order in a sell OCO must be above."),
    Reason.PAYER_SELLS: _bad(-1222, "Working order in an OPO list must be a bid."),
    Reason.PAID_BUYS: _bad(-1223, "Pending orders in an OPO list must be asks."),
    Reason.PAID_QUANTITY: _bad(-1225, "Pending orders should not include the '{0}' tag."),
    Reason.STOP_LIMIT_TIME_MISSING: _bad(
        -1128,
        "Combination of optional parameters invalid. Recommendation: 'stopLimitTimeInForce' should also be sent.",
    ),
    Reason.AMEND_PENDING_PAID: _bad(-2038, "Order amend (pending OPO order) is not supported."),
    Reason.AMEND_ORDER_UNKNOWN: _bad(-2038, "Unknown order sent."),
    Reason.AMEND_MARKET_CLOSED: _bad(-2038, "Market is closed."),
    Reason.AMEND_NO_CHANGE: _bad(-2038, "The requested action would change no state; rejecting"),
    Reason.AMEND_INCREASE: _bad(-2038, "Order amend (quantity increase) is not supported."),
    Reason.AMEND_ID_DUPLICATE: _bad(-2038, "Duplicate order sent."),
    Reason.AMENDS_EXHAUSTED: _bad(-2038, "Filter failure: MAX_NUM_ORDER_AMENDS"),
    Reason.REPLACE_PARTLY: PublicError(409, -2021, "Order cancel-replace partially failed."),
    Reason.REPLACE_FAILED: _bad(-2022, "Order cancel-replace failed."),
    Reason.REPLACE_OVER_LIMIT: PublicError(429, -2022, "Order cancel-replace failed."),
    Reason.ACCOUNT_MAY_NOT_TRADE: _bad(-2010, "This account may not place or cancel orders."),
    Reason.SYMBOL_NOT_PERMITTED: _bad(-2010, "This symbol is not permitted for this account."),
    # --- sub-accounts, brokers, managed keys (wallet and sub-account REST, "Error code": -3xxx to -5xxx)
    Reason.MAIN_ACCOUNT_ONLY: _bad(-4006, "Support main account only."),
    Reason.EMAIL_INVALID: _bad(-4003, "Your input email is invalid."),
    Reason.ACCOUNT_EXISTS: _bad(-4003, "Your input email is invalid."),
    Reason.SUB_ACCOUNT_UNKNOWN: _bad(-5021, "This parent sub have no relation"),
    Reason.SUB_ACCOUNT_LIMIT: _bad(-9000, "The number of sub-accounts of this type has reached its limit."),
    Reason.BROKER_ONLY: PublicError(401, -1002, "You are not authorized to execute this request."),
    Reason.FUTURES_ACCOUNT_MISSING: _bad(-5011, "future account not exists."),
    Reason.MARGIN_ACCOUNT_MISSING: _bad(-3003, "Margin account does not exist."),
    Reason.ASSET_UNKNOWN: _bad(-4018, "We don't have this asset."),
    Reason.TRANSFER_BALANCE: _bad(-5013, "Asset transfer failed: insufficient balance"),
    Reason.TRANSFER_ID_USED: _bad(-1130, "Data sent for parameter 'clientTranId' is not valid."),
    Reason.SUB_ACCOUNT_CLOSINGS: _bad(-4005, "Too many new requests."),
    Reason.KEY_TOO_SOON: PublicError(429, -1003, "Too many requests queued."),
    Reason.SUB_ACCOUNT_KEY_UNKNOWN: _bad(-1130, "Data sent for parameter 'subAccountApiKey' is not valid."),
    Reason.LABEL_INVALID: _bad(-1130, "Data sent for parameter 'apiName' is not valid."),
    **dict.fromkeys(
        (
            Reason.PUBLIC_KEY_MISSING,
            Reason.PUBLIC_KEY_NOT_REQUIRED,
            Reason.PUBLIC_KEY_INVALID,
            Reason.PRIVATE_KEY_PASTED,
        ),
        _bad(-1130, "Data sent for parameter 'publicKey' is not valid."),
    ),
    **dict.fromkeys(
        (
            Reason.WHITELIST_INVALID,
            Reason.WHITELIST_TOO_WIDE,
            Reason.WHITELIST_LOOPBACK,
            Reason.WHITELIST_TOO_LONG,
        ),
        _bad(-1130, "Data sent for parameter 'ipAddress' is not valid."),
    ),
    # The documents name no code for these.
    **dict.fromkeys(
        (
            Reason.KEY_LIMIT,
            Reason.KYC_MISSING,
            Reason.FACTOR_MISSING,
            Reason.PERMISSION_PREREQUISITE,
            Reason.WITHDRAWALS_NEED_WHITELIST,
            Reason.SUB_ACCOUNT_IN_USE,
            Reason.TRANSFER_NOWHERE,
        ),
        _bad(-4001, "Invalid operation."),
    ),
    **dict.fromkeys(_MANAGEMENT, _UNSUPPORTED),
}

#: "STOP_LOSS_LIMIT" → "Stop loss limit", as Binance words it for types that a symbol does not take.
_SPELL_TYPE: Callable[[str], str] = lambda text: text.replace("_", " ").capitalize()  # noqa: E731


def public_error(refusal: Refusal) -> PublicError:
    """The public side of a refusal, its text filled in with the refusal's facts."""
    error = PUBLIC_ERRORS[refusal.reason]
    if "{" not in error.text:
        return error
    facts = refusal.facts
    if refusal.reason is Reason.ORDER_TYPE_NOT_ENABLED:
        facts = tuple(_SPELL_TYPE(str(fact)) for fact in facts)
    return PublicError(error.status, error.code, error.text.format(*facts))


class RefusalWithData(Refusal, frozen=True, gc=False):
    """A refusal whose body tells more, in `data`: JSON."""

    data: bytes = b""


class _Body(msgspec.Struct):
    code: int
    msg: str
    data: msgspec.Raw | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode


def error_body(error: PublicError, refusal: Refusal | None = None) -> bytes:
    """`{"code":-1121,"msg":"Invalid symbol."}`, with `data` where the refusal has some."""
    if isinstance(refusal, RefusalWithData):
        return _encode(_Body(error.code, error.text, msgspec.Raw(refusal.data)))
    return _encode(_Body(error.code, error.text))


_UNITS_US = {"SECOND": SECOND_US, "MINUTE": MINUTE_US, "HOUR": HOUR_US, "DAY": DAY_US}


def retry_after(refusal: Refusal, now_us: int) -> int:
    """Whole seconds for `Retry-After` on 429 and 418: until the fixed window or the ban ends. At least one.

    Windows are aligned to UTC (spot REST, "IP limits"); `now_us` is the clock that the limiter counted by.
    """
    if refusal.reason is Reason.IP_BANNED:
        wait_us = int(refusal.facts[0]) * 1_000 - now_us
    elif len(refusal.facts) == 2:
        count, _, unit = str(refusal.facts[1]).partition(" ")
        window_us = int(count) * _UNITS_US[unit]
        wait_us = window_us - now_us % window_us
    else:
        wait_us = MINUTE_US - now_us % MINUTE_US
    return max(-(-wait_us // SECOND_US), 1)
