"""What a browser posts: read within limits, in memory, and never written to a temporary file.

A form is urlencoded or multipart. A field that a page has once and that comes twice is refused where it is asked for:
which of the two was meant nobody can know.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

#: Of a form without files.
LARGEST_FORM = 65_536
MOST_FIELDS = 200
_MOST_PART_HEADERS = 8


class FormRefused(Exception):
    """A form that is not looked at: `status` for HTTP, `str()` for people."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Upload(NamedTuple):
    """`name` and `content_type` are what the browser says, and prove nothing."""

    name: str
    content_type: str
    content: bytes


class Form:
    def __init__(self, fields: dict[str, list[str]], uploads: dict[str, list[Upload]] | None = None) -> None:
        self._fields = fields
        self._uploads = uploads or {}

    def text(self, name: str) -> str:
        """The field's value as sent, "" for a field that was not. Raises FormRefused for two of them."""
        values = self._fields.get(name, [])
        if len(values) > 1:
            raise FormRefused(400, f"The field {name} was sent {len(values)} times.")
        return values[0] if values else ""

    def all(self, name: str) -> list[str]:
        """Of checkboxes that share a name, those that are ticked."""
        return self._fields.get(name, [])

    def upload(self, name: str) -> Upload | None:
        """None also where the browser sends an empty file, as it does when none was chosen."""
        found = [one for one in self._uploads.get(name, []) if one.content or one.name]
        if len(found) > 1:
            raise FormRefused(400, f"The field {name} was sent {len(found)} times.")
        return found[0] if found else None

    @property
    def fields(self) -> dict[str, list[str]]:
        """All of them, for who keeps a form until a step-up is passed."""
        return self._fields


async def read_form(request: Request, most_bytes: int = LARGEST_FORM) -> Form:
    """Raises FormRefused."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind not in (b"application/x-www-form-urlencoded", b"multipart/form-data"):
        raise FormRefused(415, "This is not a form that a page of the console sends.")
    body = await _read(request, most_bytes)
    try:
        if kind == b"multipart/form-data":
            return _parse_parts(body, options.get(b"boundary", b""))
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except UnicodeError:
        raise FormRefused(400, "The form holds bytes that are not UTF-8.") from None
    except (MultipartParseError, ValueError):
        raise FormRefused(
            400, f"The form cannot be read: it is cut off, or has more than {MOST_FIELDS} fields."
        ) from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return Form(fields)


async def _read(request: Request, most_bytes: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            raise FormRefused(413, f"The form is larger than {most_bytes:,} bytes.")
    return bytes(body)


def _parse_parts(body: bytes, boundary: bytes) -> Form:
    parts = _Parts()
    parser = MultipartParser(boundary, parts.callbacks())
    parser.write(body)
    parser.finalize()
    if not parts.ended:
        raise ValueError("cut off")
    return Form(parts.fields, parts.uploads)


class _Parts:
    """Collects what the parser of multipart bodies tells."""

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}
        self.uploads: dict[str, list[Upload]] = {}
        self.ended = False
        self._count = 0
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._value = b""
        self._content = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._end_header,
            "on_part_data": self._on_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > MOST_FIELDS:
            raise ValueError("too many fields")
        self._headers = {}
        self._content = bytearray()

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if len(self._headers) >= _MOST_PART_HEADERS:
            raise ValueError("too many headers")
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def _end_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode()
        content = bytes(self._content)
        if b"filename" in options:
            kind = self._headers.get(b"content-type", b"").decode("latin-1")
            file_name = options[b"filename"].decode("utf-8", "replace")
            self.uploads.setdefault(name, []).append(Upload(file_name, kind, content))
        else:
            self.fields.setdefault(name, []).append(content.decode())

    def _end(self) -> None:
        self.ended = True
