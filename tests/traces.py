"""Everything that a server wrote, and every way in which something could stand in it."""

from __future__ import annotations

import base64
import json
import sqlite3
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from html import escape
from pathlib import Path

from sparekey.storage.calls import CallLog

#: What exists to hold secrets: the demo account's files, all 0600, and the keys that protect the vault.
_MEANT_TO = ("bot.env", "operator.env", "bot-ed25519.pem", "bot-rsa.pem", "keys/")
#: Shorter ones would be found by chance.
SHORTEST = 6


def everything_written(data: Path) -> Iterator[tuple[str, bytes]]:
    """(where, bytes): each file as it lies there, and each value of each table, unpacked where it is packed."""
    for name, content in files_of(data):
        yield name, content
        if content.startswith(b"SQLite format 3\0"):
            yield from _values_of(data / name, name)
    for entry in CallLog(data / "calls").tail(100_000):
        yield "an entry of the call log", "\0".join(map(str, entry)).encode()


def files_of(data: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(file for file in data.rglob("*") if file.is_file()):
        name = str(path.relative_to(data))
        if not name.startswith(_MEANT_TO):
            yield name, path.read_bytes()


def _values_of(path: Path, name: str) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(path)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f"SELECT * FROM {table}"):
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    yield f"{name}, table {table}", raw
                    try:
                        yield f"{name}, table {table}, unpacked", zlib.decompress(raw)
                    except zlib.error:
                        pass


def spellings(secret: str) -> set[bytes]:
    """As it is, and as somebody may have written it."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), raw[::-1]}
    found |= {secret.encode("utf-16-le"), secret.encode("utf-16-be")}
    found |= {json.dumps(secret)[1:-1].encode(), escape(secret).encode()}
    found |= {urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote_plus(secret).encode()}
    found.add("".join(f"%{byte:02X}" for byte in raw).encode())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # in the midst of something longer: what depends on the neighbours is cut off
            encoded = encode(bytes(before) + raw)
            first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
            found.add(encoded[first:last])
    found.add(base64.b32encode(raw).rstrip(b"="))
    return {spelled for spelled in found if len(spelled) >= SHORTEST}


def found_in(secrets: dict[str, str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Which secret stands where, in any spelling."""
    sought = {what: spellings(secret) for what, secret in secrets.items()}
    return [
        f"{what}: {place}"
        for place, content in places
        for what, spelled in sought.items()
        if any(one in content for one in spelled)
    ]
