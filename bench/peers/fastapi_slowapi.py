"""The gate with FastAPI and slowapi: a dependency for the checks, a limiter by address, a response model per reply."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIMiddleware
from slowapi.util import get_remote_address


class Key(BaseModel):
    secret: str
    permissions: set[str]
    networks: list[ipaddress.IPv4Network]


class OrderLimit(BaseModel):
    rateLimitType: str = "ORDERS"  # noqa: N815 -- the wire's spelling
    interval: str
    intervalNum: int  # noqa: N815
    limit: int
    count: int


def load_keys(path: Path) -> dict[str, Key]:
    keys = {}
    for line in path.read_text().splitlines():
        api_key, secret, permissions, whitelist = line.split("\t")
        networks = [ipaddress.IPv4Network(cidr) for cidr in whitelist.split(",")]
        keys[api_key] = Key(secret=secret, permissions=set(permissions.split(",")), networks=networks)
    return keys


KEYS = load_keys(Path(os.environ["BENCH_KEYS"]))
INVALID_KEY = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}

limiter = Limiter(key_func=get_remote_address, default_limits=["1200000000/minute"], headers_enabled=True)
app = FastAPI()
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)  # type: ignore[arg-type]
app.add_middleware(SlowAPIMiddleware)
used_weight: dict[tuple[str, int], int] = {}


def signed_call(permission: str, weight: int) -> Any:
    async def check(
        request: Request, response: Response, x_mbx_apikey: Annotated[str | None, Header()] = None
    ) -> dict[str, str]:
        address = request.client.host if request.client else ""
        window = (address, int(time.time() // 60))
        used_weight[window] = used = used_weight.get(window, 0) + weight
        response.headers["X-MBX-USED-WEIGHT"] = response.headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        query = request.scope["query_string"].decode()
        body = (await request.body()).decode()
        parameters = dict(parse_qsl(query)) | dict(parse_qsl(body))
        if "timestamp" not in parameters or "signature" not in parameters:
            raise HTTPException(400, {"code": -1102, "msg": "Mandatory parameter was not sent."})
        key = KEYS.get(x_mbx_apikey or "")
        if key is None or permission not in key.permissions:
            raise HTTPException(401, INVALID_KEY)
        if not any(ipaddress.ip_address(address) in network for network in key.networks):
            raise HTTPException(401, INVALID_KEY)
        now_ms = time.time() * 1000
        timestamp, window_ms = int(parameters["timestamp"]), int(parameters.get("recvWindow", 5000))
        if timestamp >= now_ms + 1000 or now_ms - timestamp > window_ms:
            raise HTTPException(400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."})
        payload = without_signature(query) + without_signature(body)
        expected = hmac.new(key.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, parameters["signature"].lower()):
            raise HTTPException(400, {"code": -1022, "msg": "Signature for this request is not valid."})
        return parameters

    return Depends(check)


def without_signature(raw: str) -> str:
    return "&".join(part for part in raw.split("&") if not part.startswith("signature="))


@app.get("/api/v3/rateLimit/order")
async def order_limits(
    parameters: Annotated[dict[str, str], signed_call("reading", 20)],
) -> list[OrderLimit]:
    return [
        OrderLimit(interval="SECOND", intervalNum=10, limit=100_000, count=0),
        OrderLimit(interval="DAY", intervalNum=1, limit=160_000_000, count=0),
    ]


@app.post("/api/v3/order/test")
async def try_order(
    parameters: Annotated[dict[str, str], signed_call("spot-and-margin-trading", 1)],
) -> dict[str, str]:
    return {}
