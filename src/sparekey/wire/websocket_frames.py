"""What stands in a frame of the WebSocket API: an id, a method and its parameters as texts.

A parameter's text is what its caller signed: a string's content, of all else the JSON as it was sent. Numbers may be
numbers or strings, arrays JSON or a string that holds JSON: both come out as the same text.

Binance spot, "WebSocket API": request format. Texts of errors as clients have seen them.
"""

from __future__ import annotations

import re

import msgspec

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

_ID_RANGE = "^[a-zA-Z0-9-_]{1,36}$"
_ID = re.compile(r"[a-zA-Z0-9\-_]{1,36}\Z")
_NULL = b"null"

_NOT_JSON = Refusal(Reason.REQUEST_NOT_JSON)
_ID_INVALID = Refusal(Reason.REQUEST_FIELD_INVALID, ("id", f"an integer, a string matching '{_ID_RANGE}', or null"))
_METHOD_INVALID = Refusal(Reason.REQUEST_FIELD_INVALID, ("method", "a string"))
_PARAMS_INVALID = Refusal(Reason.REQUEST_FIELD_INVALID, ("params", "an object"))


class Frame(msgspec.Struct, gc=False):
    """`id` is JSON, to be echoed. `refusal`: why the frame says nothing that could be acted on."""

    id: bytes
    method: str
    pairs: dict[str, str]
    refusal: Refusal | None = None


class _Usual(msgspec.Struct, gc=False):
    """As nearly all clients send it."""

    id: int | str | None
    method: str
    params: dict[str, str | int] = {}


_decode_usual = msgspec.json.Decoder(_Usual).decode
_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_id = msgspec.json.Decoder(int | str | None).decode
_decode_text = msgspec.json.Decoder(str).decode


def parse_frame(message: bytes) -> Frame:
    try:
        usual = _decode_usual(message)
        id = _spell_id(usual.id)
        if id is not None:
            pairs = {name: value if value.__class__ is str else str(value) for name, value in usual.params.items()}
            return Frame(id, usual.method, pairs)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass  # ValueError: digits without end
    return _parse_unusual(message)


def _parse_unusual(message: bytes) -> Frame:
    """Numbers with a fraction, booleans, arrays, and whatever is wrong."""
    try:
        fields = _decode_raw(message)
    except (msgspec.DecodeError, RecursionError):
        return _refused(_NOT_JSON)
    try:
        id = _spell_id(_decode_id(fields.get("id", b"")))
    except (msgspec.DecodeError, ValueError):
        id = None
    if id is None:
        return _refused(_ID_INVALID)
    method = fields.get("method")
    if method is None or not bytes(method).startswith(b'"'):
        return _refused(_METHOD_INVALID, id)
    pairs: dict[str, str] = {}
    try:
        name = _decode_text(method)
        params = fields.get("params")
        if params is not None:
            if not bytes(params).startswith(b"{"):
                return _refused(_PARAMS_INVALID, id)
            pairs = {name: _raw_text(bytes(raw)) for name, raw in _decode_raw(params).items()}
    except (msgspec.DecodeError, RecursionError):
        return _refused(_NOT_JSON, id)
    return Frame(id, name, pairs)


def _raw_text(raw: bytes) -> str:
    """`null` counts as sent empty, which is how Binance's messages speak of it. Blanks in an array do not count."""
    if raw.startswith(b'"'):
        return _decode_text(raw)
    if raw.startswith(b"["):
        raw = msgspec.json.format(raw, indent=-1)
    return "" if raw == _NULL else raw.decode()


def _spell_id(id: int | str | None) -> bytes | None:
    """The id as JSON; None if it is none."""
    if id is None:
        return _NULL
    if isinstance(id, str):
        return b'"%b"' % id.encode() if _ID.match(id) else None
    return b"%d" % id if -(2**63) <= id < 2**63 else None


def _refused(refusal: Refusal, id: bytes = _NULL) -> Frame:
    return Frame(id, "", {}, refusal)
