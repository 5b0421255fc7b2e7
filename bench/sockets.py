"""WebSockets of the load generator: whole frames out, prepared beforehand; frames in, counted or handed over."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import struct
import time
from collections.abc import Iterator, Mapping

from bench.signed_requests import Credentials

_MASK = b"\x37\xfa\x21\x3d"
_FINE = b"HTTP/1.1 200"
_FAILED = b"HTTP/1.1 400"


def masked(payload: bytes) -> bytes:
    """A text frame from a client."""
    length = len(payload)
    head = bytes((0x81, 0x80 | length)) if length < 126 else b"\x81\xfe" + struct.pack("!H", length)
    key = (_MASK * (length // 4 + 1))[:length]
    return head + _MASK + (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(length)


def shake_hands(port: int, target: str) -> socket.socket:
    """An open WebSocket; nothing was heard on it yet."""
    one = socket.create_connection(("127.0.0.1", port))
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.sendall(
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = one.recv(1)
        if not data:
            raise ConnectionError(f"no WebSocket at {target}: {head!r}")
        head += data
    if b" 101 " not in head.split(b"\r\n", 1)[0]:
        raise ConnectionError(f"no WebSocket at {target}: {head!r}")
    return one


def texts(held: bytearray) -> Iterator[bytes]:
    """Take the whole frames off `held`, and yield the texts among them."""
    while len(held) >= 2:
        length, start = held[1] & 0x7F, 2
        if length == 126:
            length, start = int.from_bytes(held[2:4]), 4
        elif length == 127:
            length, start = int.from_bytes(held[2:10]), 10
        if len(held) < start + length:
            return
        kind, payload = held[0] & 0x0F, bytes(held[start : start + length])
        del held[: start + length]
        if kind == 1:
            yield payload


def signed_frame(credentials: Credentials, method: str, parameters: Mapping[str, str], number: int) -> bytes:
    """A request of the WebSocket API."""
    values = {**parameters, "apiKey": credentials.api_key, "recvWindow": "60000"}
    values["timestamp"] = str(time.time_ns() // 10**6)
    payload = "&".join(f"{name}={values[name]}" for name in sorted(values))
    values["signature"] = hmac.new(credentials.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    return masked(json.dumps({"id": number, "method": method, "params": values}).encode())


class ApiConnection:
    """For `load.closed_loop`: a reply is fine or not, as if it were HTTP's."""

    __slots__ = ("_held", "send", "since", "socket")

    def __init__(self, port: int) -> None:
        self.socket = shake_hands(port, "/ws-api/v3?returnRateLimits=false")
        self.send = self.socket.sendall
        self._held = bytearray()
        self.since = 0

    def read(self) -> bytes:
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the server closed a connection")
        self._held += data
        for text in texts(self._held):
            return _FINE if b'"status":200' in text[:80] else _FAILED
        return b""
