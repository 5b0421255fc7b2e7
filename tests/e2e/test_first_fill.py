"""The example of the documentation as a reader runs it: the page's own script against a real `sparekey up`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_PAGE = Path(__file__).parents[2] / "docs" / "first-fill.md"


def script() -> str:
    blocks: list[str] = re.findall(r"^```python\n(.*?)^```", _PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    return blocks[0]


def test_the_first_fill_of_the_documentation_fills(start: Any, tmp_path: Path) -> None:
    server = start(market="simulated")
    program = tmp_path / "first_fill.py"
    program.write_text(script())
    done = subprocess.run(
        [sys.executable, program, server.data / "bot.env"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    order, *trades, balances = done.stdout.splitlines()
    assert re.fullmatch(r"order \d+: closed, 0\.01 BTC for \d+\.\d+ USDT", order)
    assert trades and all(re.fullmatch(r"  trade \d+: .* at .*, fee .* BTC", line) for line in trades)
    before, after = re.fullmatch(r"BTC before ([\d.]+), after ([\d.]+)", balances).groups()  # type: ignore[union-attr]
    assert float(after) - float(before) == pytest.approx(0.01 * 0.999)
