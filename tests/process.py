"""`sparekey up` as a process that is up once its port answers, and the other commands against it."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from sparekey.cli import main
from tests.signing import Caller
from tests.venue import Credentials

SPAREKEY = [sys.executable, "-m", "sparekey.cli"]


class Server:
    """A started process. `said` is all that it has printed, standard error included."""

    def __init__(self, data: Path, *options: str, market: str = "none", up: bool = True) -> None:
        """`up=False`: do not wait for it."""
        self.data = data
        self.process = subprocess.Popen(
            [*SPAREKEY, "up", "--data", str(data), "--port", "0", "--market", market, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if up and not (self._ready.wait(30) and "Ctrl-C" in self.said):
            self.kill()
            raise AssertionError(f"the server did not come up:\n{self.said}")

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.said += line
                if "Ctrl-C" in line:
                    self._ready.set()
        self._ready.set()

    def env(self, name: str = "bot.env") -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.data / name).read_text().splitlines() if "=" in line)

    @property
    def url(self) -> str:
        return self.env("operator.env")["CONSOLE_URL"]

    def key(self) -> Credentials:
        values = self.env()
        return Credentials(values["API_KEY"], values["API_SECRET"], "", "")

    def demo_keys(self) -> list[Credentials]:
        """HMAC, Ed25519 and RSA."""
        values = self.env()
        return [
            self.key(),
            Credentials(values["ED25519_API_KEY"], "", Path(values["ED25519_KEY_PEM"]).read_text(), ""),
            Credentials(values["RSA_API_KEY"], "", Path(values["RSA_KEY_PEM"]).read_text(), ""),
        ]

    def call(self, source_ip: str = "127.0.0.1") -> Caller:
        return Caller(self.url, self.key(), source_ip)

    def page(self, path: str) -> tuple[int, Any]:
        """Status and document of a page of the server, such as /readyz."""
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.url + path, timeout=10) as page:
                return page.status, json.load(page)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def kill(self) -> None:
        self.process.kill()
        self.ended()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Exit code after a polite request to end."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self, within_s: float = 20) -> int:
        """Exit code, once it has ended."""
        code = self.process.wait(within_s)
        self._reader.join(within_s)
        return code


def sparekey(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """A command against the server of `data`, from its arguments to its exit code, without the start of a process."""
    line = ["sparekey", *arguments, "--data", str(data)]
    said, complained = io.StringIO(), io.StringIO()
    typed, sys.argv = sys.argv, line
    code: Any = 0
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = typed
    return subprocess.CompletedProcess(line, code, said.getvalue(), complained.getvalue())


def sparekey_process(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """The same as a process of its own."""
    return subprocess.run(
        [*SPAREKEY, *arguments, "--data", str(data)], capture_output=True, text=True, timeout=60, check=False
    )


def up_fails(data: Path, *options: str, market: str = "none") -> str:
    """Start where it must not work; the one line that it says."""
    done = sparekey_process("up", "--market", market, *options, data=data)
    assert done.returncode == 1, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]
