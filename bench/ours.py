"""Sparekey under measurement: the shipped command on a folder of its own, set up over its management API."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.processes import Server, free_port
from bench.signed_requests import Credentials

_KEYS_PER_ACCOUNT = 30


class Sparekey(Server):
    """`sparekey up` with options; `accounts` and `keys` make what a measurement trades with."""

    def __init__(self, folder: Path, core: int, *options: str, name: str = "Sparekey") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        port = free_port()
        command = [
            *(sys.executable, "-m", "sparekey.cli", "up", "--data", str(self.data), "--port", str(port)),
            *options,
        ]
        started = time.perf_counter()
        super().__init__(name, command, port, core, folder / "output.log", says_ready=b"Stop it with Ctrl-C")
        self.started_in_s = time.perf_counter() - started
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._token = ""

    @property
    def token(self) -> str:
        """The operator's."""
        if not self._token:
            lines = (self.data / "operator.env").read_text().splitlines()
            self._token = next(line.partition("=")[2] for line in lines if line.startswith("OPERATOR_TOKEN="))
        return self._token

    def management_request(self, method: str, path: str) -> bytes:
        """A request to the management API as bytes, for those who time it on a connection of their own."""
        head = f"{method} /sparekey/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        return f"{head}Authorization: Bearer {self.token}\r\n\r\n".encode()

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Of the management API."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/sparekey/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with self._opener.open(request, timeout=60) as reply:
            return json.load(reply)

    def account(self, number: int, fund: Mapping[str, str]) -> str:
        email = f"bench-{number}@example.com"
        self.ask("POST", "/accounts", {"email": email, "kyc": "approved", "totp": True, "fund": dict(fund)})
        return email

    def key(self, email: str) -> Credentials:
        document = self.ask(
            "POST",
            f"/accounts/{email}/keys",
            {
                "label": "bench",
                "type": "hmac",
                "permissions": ["reading", "spot-and-margin-trading"],
                "ips": ["127.0.0.0/8", "10.1.2.0/24"],
            },
        )
        return Credentials(document["apiKey"], document["secretKey"])

    def keys(self, count: int, fund: Mapping[str, str], *, per_account: int = _KEYS_PER_ACCOUNT) -> list[Credentials]:
        """So many keys, of as many accounts as it takes."""
        found: list[Credentials] = []
        number = 0
        while len(found) < count:
            number += 1
            email = self.account(number, fund)
            found += [self.key(email) for _ in range(min(per_account, count - len(found)))]
        return found


def gate_server(folder: Path, keys: int, core: int) -> tuple[Sparekey, list[Credentials]]:
    """Limits off, empty books: what is measured is the call's way through the gate."""
    server = Sparekey(folder, core, "--profile", "off", "--market", "none", "--durability", "memory")
    try:
        return server, server.keys(keys, {"USDT": "1000000000"})
    except BaseException:
        server.stop()
        raise
