"""Brokers (Binance Link, `/sapi/v1/broker`): one row per endpoint, asked for by keys of the broker.

Binance needs the "trade" option for what changes a sub-account or a key of it, and "internal transfer" for what moves
funds. Where the documents name no weight, it is one of the address.
"""

from __future__ import annotations

from functools import partial

from sparekey.terms.permissions import Permission
from sparekey.wire import broker
from sparekey.wire.account_parameters import (
    addresses,
    amount,
    api_key,
    client_transfer_id,
    count,
    page,
    public_key,
    sub_account_id,
    switch,
    tag,
)
from sparekey.wire.key_restrictions import OPEN, TRUSTED
from sparekey.wire.parameters import enum, symbol
from sparekey.wire.table import Limiter, Row, Security

_row = partial(Row, security=Security.USER_DATA, tolerant=True, limiter=Limiter.ENDPOINT_IP)
_read = partial(_row, permission=Permission.READING)
_change = partial(_row, permission=Permission.SPOT_AND_MARGIN_TRADING)
_move = partial(_row, permission=Permission.INTERNAL_TRANSFER)

_SUB_ACCOUNT = "/sapi/v1/broker/subAccount"
_KEY = "/sapi/v1/broker/subAccountApi"

_NAMED = (sub_account_id(), api_key())

BROKER_ROWS: tuple[Row, ...] = (
    _read("GET", "/sapi/v1/broker/info", handler=broker.info),
    _change("POST", _SUB_ACCOUNT, handler=broker.create, parameters=(tag(),)),
    _read(
        "GET",
        _SUB_ACCOUNT,
        handler=broker.query,
        parameters=(sub_account_id(mandatory=False), page(), count("size", 500, 500)),
    ),
    _change("DELETE", _SUB_ACCOUNT, handler=broker.close, parameters=(sub_account_id(),)),
    _move(
        "POST",
        "/sapi/v1/broker/transfer",
        handler=broker.transfer,
        parameters=(
            sub_account_id("fromId", mandatory=False),
            sub_account_id("toId", mandatory=False),
            client_transfer_id(),
            symbol("asset", mandatory=True),
            amount(),
        ),
    ),
    # --- keys
    _change(
        "POST",
        _KEY,
        handler=broker.create_sub_key,
        limiter=Limiter.ENDPOINT_BOTH,
        parameters=(
            sub_account_id(),
            switch("canTrade", mandatory=True),
            switch("marginTrade"),
            switch("futuresTrade"),
            public_key(),
        ),
    ),
    _read(
        "GET",
        _KEY,
        handler=broker.query_keys,
        parameters=(sub_account_id(), api_key(mandatory=False), page(), count("size", 500, 500)),
    ),
    _change("DELETE", _KEY, handler=broker.delete_sub_key, parameters=_NAMED),
    _change(
        "POST",
        f"{_KEY}/permission",
        handler=broker.change_permission,
        parameters=(
            *_NAMED,
            switch("canTrade", mandatory=True),
            switch("marginTrade", mandatory=True),
            switch("futuresTrade", mandatory=True),
        ),
    ),
    _change(
        "POST",
        f"{_KEY}/permission/universalTransfer",
        handler=broker.change_universal_transfer,
        parameters=(*_NAMED, switch("canUniversalTransfer", mandatory=True)),
    ),
    # --- addresses
    _read("GET", f"{_KEY}/ipRestriction", handler=broker.restrictions.show, parameters=_NAMED),
    _change(
        "POST",
        "/sapi/v2/broker/subAccountApi/ipRestriction",
        handler=broker.restrictions.change,
        limiter=Limiter.ENDPOINT_UID,
        parameters=(*_NAMED, enum("status", (OPEN, TRUSTED), mandatory=True), addresses()),
    ),
    _change(
        "DELETE",
        f"{_KEY}/ipRestriction/ipList",
        handler=broker.restrictions.unlist_addresses,
        parameters=(*_NAMED, addresses()),
    ),
    # --- of the first version, which clients still call
    _change(
        "POST",
        f"{_KEY}/ipRestriction",
        handler=broker.restrictions.switch,
        parameters=(*_NAMED, switch("ipRestrict", mandatory=True)),
    ),
    _change(
        "POST",
        f"{_KEY}/ipRestriction/ipList",
        handler=broker.restrictions.list_addresses,
        parameters=(*_NAMED, addresses(mandatory=True)),
    ),
)
