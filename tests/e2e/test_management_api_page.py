"""The lines of docs/management-api.md do what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.venue import Venue

PAGE = Path(__file__).resolve().parents[2] / "docs/management-api.md"
#: In place of somebody who looks at an authenticator and at letters.
READER = """
import base64, re, sys, time
from sparekey.access.one_time import code_at, step_at
from sparekey.asking import Server
from pathlib import Path

asked, seed = sys.argv[1:]
if "letter" in asked:
    server = Server(Path(".sparekey"))
    text = server.get(f"/letters/{server.get('/letters')[0]['number']}")["text"]
    print(re.search(r"\\b(\\d{8})\\b", text)[1])
else:
    print(code_at(base64.b32decode(seed), step_at(time.time_ns() // 1000) + ("Next" in asked)))
"""


def test_its_lines_sign_in_and_make_a_key(tmp_path: Path) -> None:
    lines = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    typed = next(line for line in lines.splitlines() if line.startswith("code() {"))
    (tmp_path / "reader.py").write_text(READER)
    lines = lines.replace(typed, f'code() {{ {sys.executable} reader.py "$1" "$CONSOLE_TOTP_SECRET"; }}')
    venue = Venue(tmp_path / ".sparekey", demo=True)
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "NO_PROXY": "*", "no_proxy": "*"},
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        sent, made = re.findall(r"\{.*?\}(?=\{|$)", done.stdout.strip())
        assert json.loads(sent) == {"done": True}
        key = json.loads(made)
        assert (key["label"], key["ips"]) == ("Bot A", ["127.0.0.1"]) and key["secretKey"]
        assert key["apiKey"] in [one["apiKey"] for one in venue.ask("GET", "/accounts/demo@sparekey.example/keys")]
    finally:
        venue.stop()
