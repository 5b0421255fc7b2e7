"""A bare client of the WebSocket API: signs sorted parameters as Binance documents it, and matches replies by id."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from websockets.sync.client import connect

from tests.signing import sign
from tests.venue import Credentials

#: Of a request that says nothing else.
RECV_WINDOW_MS = 60_000


class Reply(NamedTuple):
    """`body` is the result or the error; `whole` the frame."""

    status: int
    body: Any
    whole: dict[str, Any]

    @property
    def code(self) -> int:
        """Binance's error code, 0 for a success."""
        return 0 if self.status == 200 else int(self.body["code"])


def reply_of(whole: dict[str, Any]) -> Reply:
    return Reply(whole["status"], whole["result"] if whole["status"] == 200 else whole["error"], whole)


def signed(key: Credentials, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The parameters with apiKey, timestamp, recvWindow (unless given) and signature."""
    pairs = {"apiKey": key.api_key, "timestamp": int(time.time() * 1000), "recvWindow": RECV_WINDOW_MS}
    pairs |= dict(parameters or {})
    payload = "&".join(f"{name}={value}" for name, value in sorted(pairs.items()))
    return pairs | {"signature": urllib.parse.unquote(sign(key, payload))}


class WebsocketCaller:
    """One connection. Events that come between replies are kept in `events`."""

    def __init__(self, url: str, query: str = "", source_ip: str = "127.0.0.1") -> None:
        self.socket = connect(
            f"ws{url.removeprefix('http')}/ws-api/v3{query}", proxy=None, source_address=(source_ip, 0), max_size=None
        ).__enter__()
        self.events: list[dict[str, Any]] = []
        self._ids = 0

    def __call__(
        self, method: str, parameters: Mapping[str, Any] | None = None, key: Credentials | None = None
    ) -> Reply:
        """Ask with these parameters, signed if there is a key."""
        return self.ask_all([(method, dict(parameters or {}) if key is None else signed(key, parameters))])[0]

    def ask_all(self, requests: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Reply]:
        """Ask all before the first reply is read; replies in the order of the requests."""
        first = self._ids + 1
        for method, parameters in requests:
            self._ids += 1
            self.socket.send(json.dumps({"id": self._ids, "method": method, "params": parameters}))
        found: dict[Any, Reply] = {}
        due = list(range(first, self._ids + 1))
        while len(found) < len(due):
            whole = self.hear()
            if "event" in whole:
                self.events.append(whole)
            else:
                # A session that is revoked is told so without the id.
                id = whole["id"] if whole["id"] is not None else next(one for one in due if one not in found)
                found[id] = reply_of(whole)
        return [found[id] for id in due]

    def say(self, text: str) -> dict[str, Any]:
        """A frame as it is, and what comes next."""
        self.socket.send(text)
        return self.hear()

    def hear(self) -> dict[str, Any]:
        whole: dict[str, Any] = json.loads(self.socket.recv(timeout=10))
        return whole

    def event(self) -> dict[str, Any]:
        return self.events.pop(0) if self.events else self.hear()

    def close(self) -> None:
        self.socket.close()
