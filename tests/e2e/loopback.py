"""Calls from another loopback address, for clients built on requests: the transport changes, the client does not."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter

#: Not the address that clients get by themselves.
ELSEWHERE = "127.0.0.2"


class _LeavingFrom(HTTPAdapter):
    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, source_address=(self._address, 0))


def leave_from(session: requests.Session, address: str = ELSEWHERE) -> None:
    """Have the session's connections leave from `address`."""
    session.mount("http://", _LeavingFrom(address))
