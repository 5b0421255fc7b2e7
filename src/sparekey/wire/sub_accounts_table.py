"""Sub-accounts and their keys (`/sapi/v1/sub-account`): one row per endpoint, nearly all asked for by a master's keys.

Binance needs "Enable Spot & Margin Trading" for what changes a sub-account or a key of it and for what a sub-account
sends, "Enable Internal Transfer" for a master's transfers, and reading for the rest. Weights: sub-account REST; most
are paid by the account.
"""

from __future__ import annotations

from functools import partial

from sparekey.terms.permissions import Permission
from sparekey.wire import sub_account_keys as keys
from sparekey.wire import sub_accounts as accounts
from sparekey.wire.account_parameters import (
    addresses,
    amount,
    api_key,
    client_transfer_id,
    count,
    email,
    label,
    page,
    public_key,
    sub_account_id,
    sub_account_string,
    switch,
)
from sparekey.wire.key_restrictions import OPEN, THIRD_PARTY, TRUSTED
from sparekey.wire.parameters import Parameter, enum, symbol, time
from sparekey.wire.table import Limiter, Row, Security

_row = partial(Row, security=Security.USER_DATA, tolerant=True)
_read = partial(_row, permission=Permission.READING)
_change = partial(_row, permission=Permission.SPOT_AND_MARGIN_TRADING)
_move = partial(_row, permission=Permission.INTERNAL_TRANSFER)

_IP, _UID, _BOTH = Limiter.ENDPOINT_IP, Limiter.ENDPOINT_UID, Limiter.ENDPOINT_BOTH

#: When the first version of the restriction routes was withdrawn; clients still call it.
_FIRST_VERSION_ENDED = "2023-01-13"

_KEY = "/sapi/v1/sub-account/subAccountApi"
_LEGACY = "/sapi/v1/account/apiRestrictions/ipRestriction"

_SWITCHES = (*map(switch, keys.SWITCHES), switch(keys.OPTIONS_SWITCH))
_NAMED = (email(), api_key())
_NUMBERED = (sub_account_id(), api_key("accountApiKey"))
_STATUS = enum("status", (OPEN, TRUSTED, THIRD_PARTY), mandatory=True)
_ON_OR_OFF = switch("ipRestrict", mandatory=True)


def _asset() -> Parameter:
    return symbol("asset", mandatory=True)


def _account_type(name: str) -> Parameter:
    return enum(name, accounts.ACCOUNT_TYPES, mandatory=True)


SUB_ACCOUNT_ROWS: tuple[Row, ...] = (
    _change(
        "POST",
        "/sapi/v1/sub-account/virtualSubAccount",
        handler=accounts.create_virtual,
        limiter=_IP,
        parameters=(sub_account_string(),),
    ),
    _read(
        "GET",
        "/sapi/v1/sub-account/list",
        handler=accounts.list_sub_accounts,
        limiter=_IP,
        parameters=(email(mandatory=False), switch("isFreeze"), page(), count("limit", 1, 200)),
    ),
    _read(
        "GET",
        "/sapi/v1/sub-account/status",
        handler=accounts.sub_account_status,
        limiter=_IP,
        parameters=(email(mandatory=False),),
    ),
    _read(
        "GET",
        "/sapi/v3/sub-account/assets",
        handler=accounts.assets_in_numbers,
        limiter=_UID,
        parameters=(email(),),
    ),
    _read(
        "GET",
        "/sapi/v4/sub-account/assets",
        handler=accounts.assets_in_text,
        limiter=_UID,
        parameters=(email(),),
    ),
    _move(
        "POST",
        "/sapi/v1/sub-account/universalTransfer",
        handler=accounts.transfer,
        limiter=_BOTH,
        parameters=(
            email("fromEmail", mandatory=False),
            email("toEmail", mandatory=False),
            _account_type("fromAccountType"),
            _account_type("toAccountType"),
            client_transfer_id(),
            _asset(),
            amount(),
        ),
    ),
    _read(
        "GET",
        "/sapi/v1/sub-account/universalTransfer",
        handler=accounts.transfers,
        limiter=_IP,
        parameters=(
            email("fromEmail", mandatory=False),
            email("toEmail", mandatory=False),
            client_transfer_id(),
            time("startTime"),
            time("endTime", ends=True),
            page(),
            count("limit", 500, 500),
        ),
    ),
    # --- by keys of the sub-account itself
    _change(
        "POST",
        "/sapi/v1/sub-account/transfer/subToMaster",
        handler=accounts.transfer_to_master,
        limiter=_IP,
        parameters=(_asset(), amount()),
    ),
    _change(
        "POST",
        "/sapi/v1/sub-account/transfer/subToSub",
        handler=accounts.transfer_to_sibling,
        limiter=_IP,
        parameters=(email("toEmail"), _asset(), amount()),
    ),
    # --- keys
    _change(
        "POST",
        _KEY,
        handler=keys.create,
        limiter=_UID,
        parameters=(email(), label(), _STATUS, *_SWITCHES, addresses(), public_key()),
        since="2026-07-14",
    ),
    _read(
        "GET",
        _KEY,
        handler=keys.query,
        limiter=_UID,
        parameters=(email(), api_key(mandatory=False), page(), count("size", 30, 100)),
        since="2026-07-14",
    ),
    _change("DELETE", _KEY, handler=keys.delete, limiter=_UID, parameters=_NAMED, since="2026-07-14"),
    _change(
        "POST",
        "/sapi/v1/sub-account/subAccountApiPermission",
        handler=keys.change_permissions,
        limiter=_UID,
        parameters=(*_NAMED, *_SWITCHES),
        since="2026-07-14",
    ),
    _read("GET", f"{_KEY}/ipRestriction", handler=keys.restrictions.show, limiter=_UID, parameters=_NAMED),
    _change(
        "POST",
        "/sapi/v2/sub-account/subAccountApi/ipRestriction",
        handler=keys.restrictions.change,
        limiter=_UID,
        parameters=(*_NAMED, _STATUS, addresses()),
    ),
    _change(
        "DELETE",
        f"{_KEY}/ipRestriction/ipList",
        handler=keys.restrictions.unlist_addresses,
        limiter=_UID,
        parameters=(*_NAMED, addresses()),
    ),
    # --- of the first version, which clients still call
    _change(
        "POST",
        f"{_KEY}/ipRestriction",
        handler=keys.restrictions.switch,
        limiter=_IP,
        parameters=(*_NAMED, _ON_OR_OFF),
        retired_since=_FIRST_VERSION_ENDED,
    ),
    _change(
        "POST",
        f"{_KEY}/ipRestriction/ipList",
        handler=keys.restrictions.list_addresses,
        limiter=_IP,
        parameters=(*_NAMED, addresses(mandatory=True)),
        retired_since=_FIRST_VERSION_ENDED,
    ),
    # --- older still: the sub-account by its number
    _read(
        "GET",
        _LEGACY,
        handler=keys.restrictions.show,
        limiter=_IP,
        parameters=_NUMBERED,
        retired_since=_FIRST_VERSION_ENDED,
    ),
    _change(
        "POST",
        _LEGACY,
        handler=keys.restrictions.switch,
        limiter=_IP,
        parameters=(*_NUMBERED, _ON_OR_OFF),
        retired_since=_FIRST_VERSION_ENDED,
    ),
    _change(
        "POST",
        f"{_LEGACY}/ipList",
        handler=keys.restrictions.list_addresses,
        limiter=_IP,
        parameters=(*_NUMBERED, addresses(mandatory=True)),
        retired_since=_FIRST_VERSION_ENDED,
    ),
    _change(
        "DELETE",
        f"{_LEGACY}/ipList",
        handler=keys.restrictions.unlist_addresses,
        limiter=_IP,
        parameters=(*_NUMBERED, addresses()),
        retired_since=_FIRST_VERSION_ENDED,
    ),
)
