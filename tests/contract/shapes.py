"""Bodies against shapes that others published: declared types, required fields, fields that a client reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.contract.documented import TYPES

_DATA = Path(__file__).parent.parent / "data" / "contract"

#: Declared types of Binance's official Python SDKs, by route; see `source` in the file.
SDK_TYPES: dict[str, dict[str, str]] = json.loads((_DATA / "official_sdk_types.json").read_text())["types"]
#: Required fields of nautilus_trader's structs, by struct.
NAUTILUS_REQUIRED: dict[str, dict[str, str]] = json.loads((_DATA / "nautilus_required.json").read_text())["required"]
#: What ccxt reads of each reply: "crash" without it, or a value "lost".
CCXT_FIELDS: dict[str, dict[str, list[str]]] = json.loads((_DATA / "ccxt_fields.json").read_text())["fields"]

_NAMES: dict[type, str] = {str: "str", int: "int", bool: "bool", float: "float", type(None): "null"}


def leaves(body: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(`balances[].asset`, `str`) for every value; a top-level array has no name, as in the SDKs' models."""
    if isinstance(body, dict):
        for name, value in body.items():
            yield from leaves(value, f"{path}.{name}" if path else name)
    elif isinstance(body, list):
        for value in body:
            yield from leaves(value, f"{path}[]" if path else "")
    else:
        yield path, _NAMES[type(body)]


def differences(route: str, body: Any, undeclared: frozenset[str] = frozenset()) -> list[str]:
    """What of a body the SDK does not declare, or declares with another type. `undeclared`: allowed to be more."""
    declared = SDK_TYPES.get(route) or TYPES[route]
    found = []
    for path, kind in sorted(set(leaves(body))):
        if path in undeclared:
            continue
        if path not in declared:
            found.append(f"{path}: not declared")
        elif kind not in declared[path].split("|"):
            found.append(f"{path}: {kind} instead of {declared[path]}")
    return found


def missing_fields(struct: str, body: Any) -> list[str]:
    """Fields that a nautilus struct requires and the object lacks, or has with another plain type."""
    found = []
    for name, kind in NAUTILUS_REQUIRED[struct].items():
        if name not in body:
            found.append(f"{name}: missing")
        elif kind.startswith("<class '") and _NAMES[type(body[name])] != kind[8:-2]:
            found.append(f"{name}: {type(body[name]).__name__} instead of {kind}")
    return found


def unread_by_ccxt(route: str, body: Any) -> list[str]:
    """Paths (`symbols.*.filters`) that ccxt reads and that no part of the body has."""
    wanted = CCXT_FIELDS[route]["crash"] + CCXT_FIELDS[route]["lost"]
    return [path for path in wanted if not _has(body, path.split("."))]


def _has(body: Any, path: list[str]) -> bool:
    if not path:
        return True
    if isinstance(body, list):
        rest = path[1:] if path[0] == "*" else path
        return any(_has(value, rest) for value in body)
    return isinstance(body, dict) and path[0] in body and _has(body[path[0]], path[1:])
