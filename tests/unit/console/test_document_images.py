"""Photographs of documents: taken for what they are, and freed from what is not the picture."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from sparekey.console.document_images import MOST_BYTES, ImageRefused, read_image

SIZE = (240, 320)


def picture(kind: str, size: tuple[int, int] = SIZE, **options: object) -> bytes:
    image = Image.effect_noise(size, 80).convert("RGB")
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pixels(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image.tobytes()


@pytest.mark.parametrize(
    ("kind", "options", "media_type"),
    [
        ("JPEG", {}, "image/jpeg"),
        ("JPEG", {"progressive": True}, "image/jpeg"),
        ("JPEG", {"restart_marker_rows": 1}, "image/jpeg"),
        ("PNG", {}, "image/png"),
    ],
)
def test_a_picture_is_kept_as_it_looks(kind: str, options: dict[str, object], media_type: str) -> None:
    content = picture(kind, **options)
    image = read_image(content)
    assert (image.media_type, image.width, image.height) == (media_type, *SIZE)
    assert pixels(image.content) == pixels(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_is_not_the_picture_is_not_kept(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at Ann's home"
    exif[0x0112] = 6
    options: dict[str, object] = {"exif": exif}
    if kind == "JPEG":
        options["comment"] = b"<script>alert(1)</script>"
    content = picture(kind, **options) + b"<html><script>alert(1)</script>PK\x05\x06"
    image = read_image(content)
    assert b"home" in content and b"home" not in image.content
    assert b"script" not in image.content and b"PK\x05\x06" not in image.content
    assert pixels(image.content) == pixels(content)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_how_the_camera_was_held_is_kept(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera"
    image = read_image(picture("JPEG", exif=exif))
    with Image.open(io.BytesIO(image.content)) as read:
        assert dict(read.getexif()) == ({} if orientation == 1 else {0x0112: orientation})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "No photograph"),
        (b"\xff\xd8\xff" + bytes(MOST_BYTES), "2,000,003 bytes"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "neither a JPEG nor a PNG"),
        (b"GIF89a" + bytes(100), "neither"),
        (b"%PDF-1.7", "neither"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "neither"),
        (b"\xff\xd8\xff", "ends too soon"),
        (b"\xff\xd8\xff\xd9", "no picture"),
        (b"\xff\xd8\xff\xe0\x00\x00", "no sensible length"),
        (b"\x89PNG\r\n\x1a\n", "ends too soon"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_reason(content: bytes, said: str) -> None:
    with pytest.raises(ImageRefused, match=said):
        read_image(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_cut_off_anywhere_is_refused(kind: str) -> None:
    content = picture(kind)
    for length in [*range(700), *range(700, len(content) - 1, 997)]:
        with pytest.raises(ImageRefused):
            read_image(content[:length])


def test_a_flipped_bit_in_a_png_is_found() -> None:
    content = bytearray(picture("PNG"))
    content[len(content) // 2] ^= 1
    with pytest.raises(ImageRefused, match="checksum"):
        read_image(bytes(content))


@pytest.mark.parametrize(
    ("size", "said"),
    [((199, 400), "each side needs 200"), ((60_000, 60_000), "are taken"), ((9_000, 9_000), "up to 40 million")],
)
def test_a_size_out_of_bounds_is_refused_without_decoding_a_pixel(size: tuple[int, int], said: str) -> None:
    content = picture("PNG")
    header = b"IHDR" + struct.pack(">II", *size) + content[24:29]
    bomb = content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
    with pytest.raises(ImageRefused, match=said):
        read_image(bomb)
