"""What a hosts entry does, without one: names of the exchange lead to a local port, in this process alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sparekey.wire.sites import HOST_NAMES


@contextmanager
def hosts_lead_to(port: int, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """The port too, because no test may need to open 443. Any other name is not found at all."""
    genuine = socket.getaddrinfo

    def look_up(host: Any, service: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in HOST_NAMES:
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]
        if name in ("localhost", "127.0.0.1", "::1", None):
            return genuine(host, service, *arguments, **options)
        raise socket.gaierror(socket.EAI_NONAME, f"a test asked for {name}")

    with patch.context() as patched:
        patched.setattr(socket, "getaddrinfo", look_up)
        yield
