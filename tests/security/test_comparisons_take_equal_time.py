"""Secrets, signatures and keyed hashes are compared in constant time, everywhere in the source."""

from __future__ import annotations

import ast
import gc
import hmac
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import sparekey
import sparekey.access.signatures
import sparekey.console.api_operator
from sparekey.access.signatures import hmac_block, verify_hmac
from tests.venue import Refused, Venue

SECRET = re.compile(r"(^|_)(secret|token|signature|password|mac|hmac|totp|otp|code_hash|check_value|key_check)s?$")
SOURCES = sorted(Path(sparekey.__file__).parent.rglob("*.py"))


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return name_of(node.slice) if isinstance(node.slice, ast.Name) else str(getattr(node.slice, "value", ""))
    if isinstance(node, ast.Call):
        return name_of(node.func)
    return ""


def hasty_comparisons(source: str) -> Iterator[str]:
    """Comparisons by `==`, `!=` or `in` of something that is named like a secret with something that is no constant."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            hasty = any(isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for operator in node.ops)
            constant = any(isinstance(side, ast.Constant) for side in sides)
            if hasty and not constant and any(SECRET.search(name_of(side)) for side in sides):
                yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize(
    "source",
    [
        "token == given",
        "given != self._operator_token",
        "secret in candidates",
        "expected == signature.lower() or signature == expected",
        "values['signature'] == expected",
    ],
)
def test_a_hasty_comparison_is_recognised(source: str) -> None:
    assert list(hasty_comparisons(source))


@pytest.mark.parametrize("source", ["secret is None", "signature == ''", "compare_digest(token, given)", "a == b"])
def test_other_comparisons_are_not(source: str) -> None:
    assert not list(hasty_comparisons(source))


def test_nothing_in_the_source_compares_a_secret_hastily() -> None:
    assert len(SOURCES) > 50
    found = [f"{path.name} {what}" for path in SOURCES for what in hasty_comparisons(path.read_text())]
    assert found == []


def test_an_hmac_signature_is_compared_by_compare_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, Any]] = []
    real = sparekey.access.signatures.compare_digest

    def watched(one: Any, other: Any) -> bool:
        asked.append((one, other))
        return real(one, other)

    monkeypatch.setattr(sparekey.access.signatures, "compare_digest", watched)
    assert verify_hmac(hmac_block(b"secret"), b"payload", "0" * 64) is not None
    assert any("0" * 64 in pair for pair in asked)


def test_the_operators_token_is_compared_by_compare_digest(
    lenient_venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, Any]] = []
    real = sparekey.console.api_operator.hmac.compare_digest

    def watched(one: Any, other: Any) -> bool:
        asked.append((one, other))
        return real(one, other)

    monkeypatch.setattr(sparekey.console.api_operator.hmac, "compare_digest", watched)
    monkeypatch.setattr(lenient_venue._running, "operator_token", "wrong")
    with pytest.raises(Refused, match="token"):
        lenient_venue.clock.show()
    assert any(b"wrong" in pair for pair in asked)


# --- the way that a comparison takes ----------------------------------------------------------------------------------


def way_of(work: Callable[[], object]) -> list[tuple[str, object]]:
    """Every step of the interpreter and every call into C, in order. Time would depend on the machine's mood; the same
    steps, the comparison itself in C and by `compare_digest`, leave nothing for it to depend on."""
    steps: list[tuple[str, object]] = []

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps.append((frame.f_code.co_qualname, frame.f_lasti))
        return trace

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            steps.append(("C", argument.__qualname__))

    before = sys.gettrace(), sys.getprofile()
    gc.disable()  # a collection in between, and what others hang on it, is no step of the comparison
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
        gc.enable()
    return steps


def wrong_at(right: str, position: int) -> str:
    return right[:position] + ("0" if right[position] != "0" else "1") + right[position + 1 :]


def test_the_way_of_an_early_end_is_told_apart() -> None:
    def hasty(one: str, other: str) -> bool:
        return all(a == b for a, b in zip(one, other, strict=True))

    assert way_of(lambda: hasty("abcd", "xbcd")) != way_of(lambda: hasty("abcd", "abcx"))


@pytest.mark.parametrize("spell", [str.lower, str.upper])
def test_a_wrong_signature_is_refused_by_the_same_steps_wherever_it_is_wrong(spell: Callable[[str], str]) -> None:
    secret, payload = b"s" * 64, b"symbol=BTCUSDT&timestamp=1"
    right = hmac.new(secret, payload, "sha256").hexdigest()
    block = hmac_block(secret)
    outcomes: list[object] = []

    def verify(signature: str) -> Callable[[], object]:
        return lambda: outcomes.append(verify_hmac(block, payload, signature))

    first = way_of(verify(spell(wrong_at(right, 0))))
    assert ("C", "compare_digest") in first
    for position in range(1, 64):
        assert way_of(verify(spell(wrong_at(right, position)))) == first
    assert way_of(verify("f" * 64)) == first
    assert None not in outcomes


def test_a_wrong_operators_token_is_refused_by_the_same_steps_wherever_it_is_wrong() -> None:
    token = "0123456789abcdef" * 2
    outcomes: list[bool] = []

    def ask(given: str) -> Callable[[], object]:
        return lambda: outcomes.append(sparekey.console.api_operator.is_operators(f"Bearer {given}", token))

    first = way_of(ask(wrong_at(token, 0)))
    assert ("C", "compare_digest") in first
    for position in range(1, len(token)):
        assert way_of(ask(wrong_at(token, position))) == first
    assert not any(outcomes)
    assert sparekey.console.api_operator.is_operators(f"Bearer {token}", token)
