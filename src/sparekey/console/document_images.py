"""Photographs of documents: what is taken, and what of it is kept.

Only JPEG and PNG, told by their first bytes, never by a name or a declared type. What is kept is written anew from the
parts that make up the picture: comments, the place where it was taken, thumbnails, and whatever was hung on behind the
end are left out, so that a file which is a web page or an archive as well is neither any more. The picture itself is
never decoded here: its size is read from its header, so that one of a billion pixels costs nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

MOST_BYTES: Final = 2_000_000
#: Smaller ones cannot be read, larger ones are made to exhaust whoever opens them.
LEAST_SIDE: Final = 200
MOST_SIDE: Final = 10_000
MOST_PIXELS: Final = 40_000_000

_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_START: Final = b"\xff\xd8\xff"
#: What a PNG is made of; all else is said about it.
_PNG_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
#: Start of frame: Huffman or arithmetic, sequential, progressive or lossless (ITU-T T.81, table B.1).
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SCAN, _END, _EXIF, _ADOBE = 0xDA, 0xD9, 0xE1, 0xEE
_ORIENTATION: Final = 0x0112


class ImageRefused(Exception):
    """The text is for whoever sent the picture."""


class DocumentImage(msgspec.Struct, frozen=True):
    media_type: str
    width: int
    height: int
    content: bytes

    def __repr__(self) -> str:
        return f"DocumentImage({self.media_type}, {self.width} x {self.height})"


def read_image(content: bytes) -> DocumentImage:
    """The picture without what is not part of it. Raises `ImageRefused`."""
    if not content:
        raise ImageRefused("No photograph of the document was chosen.")
    if len(content) > MOST_BYTES:
        raise ImageRefused(f"The photograph has {len(content):,} bytes; up to {MOST_BYTES:,} are taken.")
    try:
        if content.startswith(_PNG_START):
            image = _read_png(content)
        elif content.startswith(_JPEG_START):
            image = _read_jpeg(content)
        else:
            raise ImageRefused("The photograph is neither a JPEG nor a PNG picture.")
    except (struct.error, IndexError):
        raise ImageRefused("The photograph is broken: it ends too soon.") from None
    if min(image.width, image.height) < LEAST_SIDE:
        raise ImageRefused(
            f"The photograph has {image.width} x {image.height} pixels; each side needs {LEAST_SIDE} at least."
        )
    if max(image.width, image.height) > MOST_SIDE or image.width * image.height > MOST_PIXELS:
        raise ImageRefused(
            f"The photograph has {image.width} x {image.height} pixels; up to {MOST_PIXELS // 1_000_000} million, and "
            f"{MOST_SIDE:,} a side, are taken."
        )
    return image


# --- PNG (W3C, third edition, section 5) -----------------------------------------------------------------------------


def _read_png(content: bytes) -> DocumentImage:
    width = height = 0
    seen: list[bytes] = []
    kept = [_PNG_START]
    at = len(_PNG_START)
    while not seen or seen[-1] != b"IEND":
        (length,) = struct.unpack_from(">I", content, at)
        name, chunk = content[at + 4 : at + 8], content[at : at + length + 12]
        (check,) = struct.unpack_from(">I", content, at + 8 + length)
        if zlib.crc32(chunk[4:-4]) != check:
            raise ImageRefused("The photograph is broken: a part of it does not fit its checksum.")
        if not seen:
            if name != b"IHDR" or length != 13:
                raise ImageRefused("The photograph is broken: it has no header.")
            width, height = struct.unpack_from(">II", content, at + 8)
        elif name == b"IHDR":
            raise ImageRefused("The photograph is broken: it has two headers.")
        elif name not in _PNG_KEPT and not name[:1].islower():
            raise ImageRefused("The photograph is broken: it has a part that no picture has.")
        seen.append(name)
        if name in _PNG_KEPT:
            kept.append(chunk)
        at += length + 12
    if b"IDAT" not in seen:
        raise ImageRefused("The photograph is broken: there is no picture in it.")
    return DocumentImage("image/png", width, height, b"".join(kept))


# --- JPEG (ITU-T T.81, annex B) --------------------------------------------------------------------------------------


def _read_jpeg(content: bytes) -> DocumentImage:
    width = height = 0
    scans = 0
    orientation = 1
    kept: list[bytes] = []
    for marker, segment in _segments(content):
        if marker in _FRAMES:
            if width:
                raise ImageRefused("The photograph is broken: it has two headers.")
            height, width = struct.unpack_from(">HH", segment, 5)
        if marker == _SCAN:
            scans += 1
        if marker == _EXIF:
            orientation = _orientation(segment[4:])
        if marker == 0xFE or (0xE0 <= marker <= 0xEF and marker != _ADOBE):
            continue
        kept.append(segment)
    if not width or not height or not scans:
        raise ImageRefused("The photograph is broken: there is no picture in it.")
    begin = [content[:2]] if orientation == 1 else [content[:2], _exif_with(orientation)]
    return DocumentImage("image/jpeg", width, height, b"".join([*begin, *kept, b"\xff\xd9"]))


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, segment from its marker on) up to the end of the picture. A scan has its compressed data with it."""
    at = 2
    while True:
        if content[at] != 0xFF:
            raise ImageRefused("The photograph is broken: a part of it begins with no marker.")
        while content[at + 1] == 0xFF:  # padding
            at += 1
        marker = content[at + 1]
        if marker == _END:
            return
        (length,) = struct.unpack_from(">H", content, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(content) or not 0xC0 <= marker <= 0xFE or 0xD0 <= marker <= 0xD8:
            raise ImageRefused("The photograph is broken: a part of it has no sensible length.")
        if marker == _SCAN:
            end = _end_of_scan(content, end)
        yield marker, content[at:end]
        at = end


def _end_of_scan(content: bytes, at: int) -> int:
    """Where the marker is that ends the compressed data: none of a stuffed byte, a restart or padding."""
    while True:
        at = content.find(b"\xff", at)
        if at < 0:
            raise ImageRefused("The photograph is broken: it ends too soon.")
        following = content[at + 1]
        if following == 0 or 0xD0 <= following <= 0xD7:
            at += 2
        elif following == 0xFF:
            at += 1
        else:
            return at


def _orientation(exif: bytes) -> int:
    """How the camera was held (1 to 8), from the first directory of an Exif segment; 1 for whatever is not one."""
    if not exif.startswith(b"Exif\0\0"):
        return 1
    tiff = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
        for number in range(min(entries, 200)):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", tiff, directory + 2 + 12 * number)
            if (tag, kind, count) == (_ORIENTATION, 3, 1):
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _exif_with(orientation: int) -> bytes:
    """An Exif segment that says how the camera was held, and nothing else."""
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + struct.pack(">HHIHH", _ORIENTATION, 3, 1, orientation, 0) + bytes(4)
    body = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
