"""Replies as bytes: everything that does not change from reply to reply is rendered beforehand."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Final

from sparekey.server.heads import Fault
from sparekey.wire.requests import JSON, Reply

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# Binance: "-1000 UNKNOWN: An unknown error occurred while processing the request."
_UNKNOWN_ERROR: Final = b'{"code":-1000,"msg":"An unknown error occurred while processing the request."}'


def status_line(status: int) -> bytes:
    """`HTTP/1.1 418 I'm a Teapot` with its line end."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STARTS: Final = {
    status: status_line(status) + b"Content-Type: " + JSON + b"\r\nContent-Length: " for status in range(100, 600)
}
_LENGTHS: Final = [b"%d" % length for length in range(4096)]


def date_line(now_us: int) -> bytes:
    """The line end before it included, because it always follows the length: `\\r\\nDate: Tue, 24 Nov 2026 …\\r\\n`."""
    at = time.gmtime(now_us // 1_000_000)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[at.tm_wday]
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[at.tm_mon - 1]
    return (
        f"\r\nDate: {day}, {at.tm_mday:02d} {month} {at.tm_year:04d} "
        f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} GMT\r\n"
    ).encode()


def render(reply: Reply, date: bytes, closes: bool, without_body: bool) -> bytes:
    """The whole reply. `without_body`: for HEAD, which is told the length of what it does not get."""
    body = reply.body
    length = len(body)
    start = _STARTS[reply.status]
    if reply.content_type is not JSON and reply.content_type != JSON:
        start = start.replace(JSON, reply.content_type)
    return b"".join(
        (
            start,
            _LENGTHS[length] if length < 4096 else b"%d" % length,
            date,
            reply.headers,
            b"Connection: close\r\n\r\n" if closes else b"\r\n",
            b"" if without_body else body,
        )
    )


def fault_reply(fault: Fault) -> Reply:
    """What a sender of unreadable bytes is told. Binance documents no body for it; -1000 is its unclassified code."""
    message = fault.message.replace("\\", "\\\\").replace('"', '\\"')
    return Reply(fault.status, f'{{"code":-1000,"msg":"{message}"}}'.encode())


def failure_reply() -> Reply:
    """Our own error: 5xx means that the outcome is unknown, not that nothing happened."""
    return Reply(500, _UNKNOWN_ERROR)


def overload_reply() -> Reply:
    """More connections than we were told to hold. Binance: "-1008 SERVER_BUSY"."""
    return Reply(
        503,
        b'{"code":-1008,"msg":"Server is currently overloaded with other requests. '
        b'Please try again in a few minutes."}',
    )
