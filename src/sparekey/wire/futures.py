"""Futures routes that clients call while they start. No contract is listed, and they say so."""

from __future__ import annotations

import msgspec

from sparekey.terms.refusals import Refusal
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.spot_general import rate_limits

_encode = msgspec.json.Encoder().encode


def exchange_info_usdm(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /fapi/v1/exchangeInfo"""
    return _encode(
        {
            "timezone": "UTC",
            "serverTime": desk.clocks.wire_us() // 1_000,
            "futuresType": "U_MARGINED",
            "rateLimits": rate_limits(desk, "fapi"),
            "exchangeFilters": [],
            "assets": [],
            "symbols": [],
        }
    )


def exchange_info_coinm(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /dapi/v1/exchangeInfo"""
    return _encode(
        {
            "timezone": "UTC",
            "serverTime": desk.clocks.wire_us() // 1_000,
            "rateLimits": rate_limits(desk, "dapi"),
            "exchangeFilters": [],
            "symbols": [],
        }
    )
