"""Tells damage inside SQLite's write-ahead log from the harmless torn end that a crash leaves.

SQLite reads a write-ahead log up to the first frame that fails its checksum and silently forgets the rest, committed
transactions included: right after a crash, wrong for a flipped byte. But with `synchronous=FULL` each transaction is
synced before the next one writes, so a crash can tear the last transaction only. A commit frame behind the end, with
another frame of the same generation behind it, is therefore proof that synced transactions were lost.

Format: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

from pathlib import Path
from struct import Struct

import apsw

_HEADER_BYTES = 32
_FRAME_HEADER = Struct(">IIII")  # page number, size after commit (0: no commit), salt 1, salt 2
_FRAME_HEADER_BYTES = 24
_MAGIC = (0x377F0682, 0x377F0683)


def lost_wal_frames(path: Path, connection: apsw.Connection) -> str:
    """ "" for a sound or merely torn log, else one clause that says where it is damaged.

    `connection` has the database open, so that SQLite itself says how far it could read; nothing is changed.
    """
    wal = Path(f"{path}-wal")
    try:
        data = wal.read_bytes()
    except FileNotFoundError:
        return ""
    if len(data) < _HEADER_BYTES or not any(data[:_HEADER_BYTES]):
        return ""  # Created, and never synced with a header: it never held a transaction.
    if not _header_is_sound(data[:_HEADER_BYTES]):
        # The header is synced before the first frame, and is smaller than the unit that a disk writes at once.
        return "its header fails its checksum"
    readable, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    page_bytes = int.from_bytes(data[8:12], "big")
    salts = data[16:24]
    committed_at = 0
    offset = _HEADER_BYTES + readable * (_FRAME_HEADER_BYTES + page_bytes)
    number = readable
    while offset + _FRAME_HEADER_BYTES <= len(data):
        number += 1
        if data[offset + 8 : offset + 16] == salts:
            if committed_at:
                return f"it can be read up to frame {readable}, but transactions go on behind it (frame {number})"
            if _FRAME_HEADER.unpack_from(data, offset)[1]:
                committed_at = number
        offset += _FRAME_HEADER_BYTES + page_bytes
    return ""


def _header_is_sound(header: bytes) -> bool:
    magic = int.from_bytes(header[:4], "big")
    if magic not in _MAGIC:
        return False
    words = Struct(">6I" if magic & 1 else "<6I").unpack(header[:24])
    first = second = 0
    for index in range(0, 6, 2):
        first = (first + words[index] + second) & 0xFFFFFFFF
        second = (second + words[index + 1] + first) & 0xFFFFFFFF
    return first.to_bytes(4, "big") + second.to_bytes(4, "big") == header[24:32]
