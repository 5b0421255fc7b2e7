"""The body of a request with `Transfer-Encoding: chunked`, put together strictly (RFC 9112, section 7.1)."""

from __future__ import annotations

import re
from typing import Final

from sparekey.server.heads import Fault

# Extensions are allowed and ignored; no blank, control or bare line feed may hide in them.
_SIZE_LINE: Final = re.compile(rb'([0-9A-Fa-f]{1,8})(?:;[!#-\[\]-~"\\]*)*\Z')
_TRAILER_LINE: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\Z")
_LONGEST_LINE: Final = 1024
_MOST_TRAILERS: Final = 16


class ChunkedBody:
    """`feed` bytes until it returns what follows the body; then `body` is whole. Trailer fields are dropped."""

    __slots__ = ("_buffer", "_limit", "_need", "_trailers", "_whole")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._whole = bytearray()
        self._need = -1  # Bytes of the chunk's data and its CRLF still to come; -1: a size line; -2: a trailer line.
        self._trailers = 0

    @property
    def body(self) -> bytes:
        return bytes(self._whole)

    def feed(self, data: bytes) -> bytes | None:
        """None while the body is unfinished, else the bytes behind it. Raises Fault."""
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while True:
                if self._need >= 0:
                    have = len(buffer) - at
                    if have < self._need + 2:
                        return None
                    end = at + self._need
                    if buffer[end : end + 2] != b"\r\n":
                        raise Fault(400, "chunk", "Malformed chunk.")
                    self._whole += buffer[at:end]
                    at = end + 2
                    self._need = -1
                    continue
                end = buffer.find(b"\r\n", at, at + _LONGEST_LINE)
                if end < 0:
                    if len(buffer) - at >= _LONGEST_LINE:
                        raise Fault(400, "chunk", "Malformed chunk.")
                    return None
                line = bytes(buffer[at:end])
                at = end + 2
                if self._need == -2:
                    if not line:
                        return bytes(buffer[at:])
                    self._trailers += 1
                    if self._trailers > _MOST_TRAILERS or not _TRAILER_LINE.match(line):
                        raise Fault(400, "chunk", "Malformed trailer.")
                    continue
                found = _SIZE_LINE.match(line)
                if found is None:
                    raise Fault(400, "chunk", "Malformed chunk.")
                size = int(found[1], 16)
                if len(self._whole) + size > self._limit:
                    raise Fault(413, "body-large", "Request body too large.")
                self._need = size if size else -2
        finally:
            del buffer[:at]
