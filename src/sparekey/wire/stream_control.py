"""What a WebSocket client asks for: the streams in its URL, and its control messages.

Shapes and texts of errors: Binance spot, "WebSocket streams", in the nested form that clients see in practice.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire.parameters import split_pairs

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

_UNSENT: Any = object()

#: Names as they may stand in a frame without escaping; longer ones than any stream or listenKey has are no names.
_NAME = re.compile(r"[A-Za-z0-9_@!.+:-]{1,128}\Z")
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}\Z")
_BYTE = re.compile(r"\(byte (\d+)\)")

#: Addresses of streams that do not exist here yet.
_UNSERVED = (b"/ws-api/", b"/ws-fapi/", b"/ws-dapi/", b"/fstream/", b"/dstream/")
_RAW = (b"/ws", b"/stream/ws")
#: Streams of the market alone, as the host of public data has them.
_PUBLIC = b"/data-stream"


def is_stream_path(path: bytes) -> bool:
    """Whether a path belongs to WebSockets, served or not."""
    return (
        path in (b"/ws", b"/stream", b"/fstream", b"/dstream")
        or path.startswith((b"/ws/", b"/stream/", _PUBLIC + b"/"))
        or path.startswith(_UNSERVED)
    )


def is_served(path: bytes) -> bool:
    return not path.startswith(_UNSERVED) and path not in (b"/fstream", b"/dstream")


def is_market_stream(name: str) -> bool:
    """`btcusdt@trade`, `!miniTicker@arr`: what is no listenKey and no number."""
    return "@" in name or name.startswith("!")


class Target(msgspec.Struct, frozen=True):
    """What a URL asks for. `public`: streams of the market, and no account's."""

    names: tuple[str, ...]
    combined: bool
    microseconds: bool
    public: bool = False


def parse_target(path: bytes, query: bytes) -> Target | Refusal:
    """`/ws`, `/ws/<name>`, `/stream`, `/stream?streams=<name>/<name>`, each with `timeUnit`."""
    public = path.startswith(_PUBLIC)
    path = path.removeprefix(_PUBLIC)
    values = split_pairs(query)
    if isinstance(values, Refusal):
        return values
    unit = values.get("timeUnit", "")
    if unit not in ("", "MILLISECOND", "millisecond", "MICROSECOND", "microsecond"):
        return Refusal(Reason.TIME_UNIT_INVALID)
    combined = path == b"/stream" or path == b"/stream/"
    # No name has a space, but some have a plus, which stands for one in a query.
    text = values.get("streams", "").replace(" ", "+") if combined else ""
    if not combined:
        for prefix in _RAW:
            if path == prefix or path.startswith(prefix + b"/"):
                text = unquote_to_bytes(path[len(prefix) :]).decode("utf-8", "replace")
                break
        else:
            return Refusal(Reason.ROUTE_UNKNOWN)
    names = dict.fromkeys(name for name in text.split("/") if name)
    return Target(tuple(names), combined, unit in ("MICROSECOND", "microsecond"), public)


class Control(msgspec.Struct, frozen=True):
    """A control message that can be acted on. `value` is what SET_PROPERTY sets."""

    method: str
    names: tuple[str, ...]
    value: bool
    id: int | str | None


def result_reply(result: Any, id: int | str | None) -> bytes:
    return _encode({"result": result, "id": id})


def error_reply(code: int, message: str, id: int | str | None) -> bytes:
    return _encode({"error": {"code": code, "msg": message}, "id": id})


def parse_control(text: bytes) -> Control | bytes:
    """The message, or the reply that says what is wrong with it."""
    try:
        message = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = _BYTE.search(str(error))
        before = text[: int(found[1]) if found else len(text)]
        line = before.count(b"\n") + 1
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        return error_reply(3, f"Invalid JSON: expected value at line {line} column {column}", None)
    if not isinstance(message, dict):
        return _invalid(f"missing field `method` at line 1 column {len(text)}", None)
    id = message.get("id", _UNSENT)
    if id is _UNSENT or not _is_id(id):
        return _invalid("request ID must be an unsigned integer", None)
    method = message.get("method", _UNSENT)
    if method is _UNSENT:
        return _invalid(f"missing field `method` at line 1 column {len(text)}", id)
    if method not in METHODS:
        shown = method if isinstance(method, str) else _encode(method).decode()
        end = text.find(shown.encode("utf-8", "replace")) + len(shown) + 1
        expected = ", ".join(f"`{one}`" for one in METHODS)
        return _invalid(f"unknown variant `{shown[:64]}`, expected one of {expected} at line 1 column {end}", id)
    params = message.get("params")
    if params is None:
        params = []
    if not isinstance(params, list):
        return _invalid("params must be an array", id)
    if method == "LIST_SUBSCRIPTIONS":
        return _invalid("too many parameters", id) if params else Control(method, (), False, id)
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        if not params:
            return _invalid("params must name a stream", id)
        for name in params:
            if not isinstance(name, str) or not _NAME.match(name):
                return _invalid("invalid stream", id)
        return Control(method, tuple(dict.fromkeys(params)), False, id)
    return _parse_property(method, params, id)


def _parse_property(method: str, params: list[Any], id: int | str | None) -> Control | bytes:
    sets = method == "SET_PROPERTY"
    if len(params) > (2 if sets else 1):
        return _invalid("too many parameters", id)
    if not params or not isinstance(params[0], str):
        return _invalid("property name must be a string", id)
    if params[0] != "combined":
        return error_reply(0, "Unknown property", id)
    if sets and (len(params) < 2 or not isinstance(params[1], bool)):
        return error_reply(1, "Invalid value type: expected Boolean", id)
    return Control(method, (), sets and params[1], id)


def _invalid(message: str, id: int | str | None) -> bytes:
    return error_reply(2, f"Invalid request: {message}", id)


def _is_id(id: Any) -> bool:
    """A signed 64-bit integer, up to 36 letters, digits and dashes, or null."""
    if isinstance(id, bool):
        return False
    if isinstance(id, int):
        return -(2**63) <= id < 2**63
    return id is None or (isinstance(id, str) and _ID.match(id) is not None)
