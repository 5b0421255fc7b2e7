"""Where ccxt (and freqtrade, which hands the same settings to ccxt) is led: `urls` is merged over its built-in ones."""

from __future__ import annotations

from typing import Any


def ccxt_urls(base: str) -> dict[str, dict[str, Any]]:
    """ccxt's `urls` setting for a server at `base`."""
    api: dict[str, Any] = {"public": f"{base}/api/v3", "private": f"{base}/api/v3", "v1": f"{base}/api/v1"}
    for name, path in (("sapi", "/sapi/v1"), ("sapiV2", "/sapi/v2"), ("sapiV3", "/sapi/v3"), ("sapiV4", "/sapi/v4")):
        api[name] = base + path
    for family in ("fapi", "dapi"):
        for kind in ("Public", "Private"):
            for version in ("", "V2", "V3"):
                api[f"{family}{kind}{version}"] = f"{base}/{family}/{version.lower() or 'v1'}"
    socket = base.replace("http", "ws", 1)
    # By "/stream" in the address ccxt tells spot from futures.
    api["ws"] = {"spot": f"{socket}/stream/ws", "ws-api": {"spot": f"{socket}/ws-api/v3"}}
    return {"api": api}
