"""A client with an environment of its own: its program tells what it did by line, and may ask for a restart.

The settings go in as one line of JSON. A line that begins with `>> ` is for us: `{"passed": step}`, `{"restart": true}`
(answered with a line once the server is up again), or facts. Everything else is its log, shown if it fails.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.compatibility.script import Script
from tests.venue import Venue


def run(
    script: Script,
    command: Sequence[str | Path],
    settings: Mapping[str, Any],
    venue: Venue,
    home: Path,
    after: str = "",
) -> dict[str, Any]:
    """The facts that the program tells. What it says it passed are the script's steps, named with `after` at their end.

    It must end by itself, with 0.
    """
    log: list[str] = []
    facts: dict[str, Any] = {}
    process = subprocess.Popen(
        command, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    with process:
        try:
            process.stdin.write(json.dumps(settings) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                log.append(line)
                if not line.startswith(">> "):
                    continue
                said = json.loads(line[3:])
                if "passed" in said:
                    with script.step(said["passed"] + after):
                        pass
                elif "restart" in said:
                    venue.restart()
                    process.stdin.write("\n")
                    process.stdin.flush()
                else:
                    facts |= said
        except BaseException as error:
            process.kill()
            error.add_note("".join(log[-200:]))
            raise
    assert process.returncode == 0, "".join(log[-200:])
    return facts
