"""A picture to hand in for a document's photograph."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw


def photograph() -> bytes:
    picture = Image.new("RGB", (900, 640), "#d8d2c4")
    ImageDraw.Draw(picture).text((60, 60), "SPECIMEN", fill="#333333", font_size=80)
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()
