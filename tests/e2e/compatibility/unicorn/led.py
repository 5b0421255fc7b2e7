"""Where unicorn's managers are led, and how these programs talk to the test that runs them."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from unicorn_binance_rest_api.manager import BinanceRestApiManager


def _leave_nothing_running(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Its managers have threads that would go on after the program failed."""
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(1)


sys.excepthook = _leave_nothing_running
settings: dict[str, Any] = json.loads(sys.stdin.readline())
BASE: str = settings["base"]
SOCKET = BASE.replace("http", "ws", 1)


def _always(address: str) -> property:
    """An attribute that the constructor assigns to in vain."""
    return property(lambda self: address, lambda self, value: None)


class LedRest(BinanceRestApiManager):
    """Its constructor writes the addresses and calls at once, so they have to be there before and to stay."""

    API_URL = _always(f"{BASE}/api")
    MARGIN_API_URL = _always(f"{BASE}/sapi")


def passed(step: str) -> None:
    print(">> " + json.dumps({"passed": step}), flush=True)


def restart() -> None:
    print(">> " + json.dumps({"restart": True}), flush=True)
    sys.stdin.readline()


def until(wanted: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = wanted()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")
