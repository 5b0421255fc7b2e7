"""A WebSocket client that sends what it likes, byte for byte, and need not read."""

from __future__ import annotations

import json
import socket
import struct
import urllib.parse
from typing import Any

from tests.venue import Venue

TEXT, BINARY, CLOSE, PING, PONG, MORE = 1, 2, 8, 9, 10, 0

_MASK = b"\x5a\xa5\x0f\xf0"


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True, claims: int | None = None
) -> bytes:
    """`claims`: a length that is not the payload's."""
    length = len(payload) if claims is None else claims
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if masked else 0
    if length < 126:
        head = bytes((first, bit | length))
    elif length < 65_536:
        head = bytes((first, bit | 126)) + struct.pack("!H", length)
    else:
        head = bytes((first, bit | 127)) + struct.pack("!Q", length)
    if not masked:
        return head + payload
    key = (_MASK * (len(payload) // 4 + 1))[: len(payload)]
    return head + _MASK + (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(len(payload))


def upgrade(target: str, *headers: str) -> bytes:
    lines = (
        f"GET {target} HTTP/1.1",
        "Host: x",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        *headers,
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Hostile:
    """Connected to `target`; `response` is the head of the server's answer."""

    def __init__(self, venue: Venue, target: str, *headers: str, receive_buffer: int = 0) -> None:
        self.socket = dial(venue, receive_buffer)
        self.socket.sendall(upgrade(target, *headers))
        self._held = b""
        while b"\r\n\r\n" not in self._held:
            self._more()
        self.response, _, self._held = self._held.partition(b"\r\n\r\n")

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def ask(self, message: dict[str, Any]) -> Any:
        self.send(frame(TEXT, json.dumps(message).encode()))
        return json.loads(self.hear(TEXT))

    def hear(self, opcode: int) -> bytes:
        """The next frame of that kind; others are dropped."""
        while True:
            first, second = self._take(2)
            length = second & 0x7F
            if length >= 126:
                length = int.from_bytes(self._take(2 if length == 126 else 8))
            payload = self._take(length)
            if first & 0x0F == opcode:
                return payload

    def closing(self) -> tuple[int, str]:
        """Why the server ends it."""
        payload = self.hear(CLOSE)
        return int.from_bytes(payload[:2]), payload[2:].decode()

    def _take(self, length: int) -> bytes:
        while len(self._held) < length:
            self._more()
        taken, self._held = self._held[:length], self._held[length:]
        return taken

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise EOFError(self._held)
        self._held += data

    def close(self) -> None:
        self.socket.close()


def dial(venue: Venue, receive_buffer: int = 0) -> socket.socket:
    address = urllib.parse.urlsplit(venue.url)
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.settimeout(20)
    if receive_buffer:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    one.connect((address.hostname, address.port))
    return one
