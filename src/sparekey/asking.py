"""Asking a running server's management API, for the command line: as its operator, with the token of `operator.env`."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Refused(Exception):
    """A no, with its reason slug. The command ends with exit code 1. `more` is what the answer told beside it."""

    def __init__(self, reason: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.more: Mapping[str, Any] = more or {}


class Asking:
    """Whoever holds this token, at this address. `hint` says how to start a server where none answers."""

    def __init__(self, url: str, token: str, hint: str) -> None:
        self._url = url
        self._token = token
        self._hint = hint

    def get(self, path: str, **query: str | int) -> Any:
        text = urllib.parse.urlencode({name: value for name, value in query.items() if value != ""})
        return self.ask("GET", f"{path}?{text}" if text else path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self.ask("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return self.ask("PUT", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return self.ask("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self.ask("DELETE", path)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, step_up: str = "") -> Any:
        """The document that the server answers. Raises `Refused`."""
        headers = {"Authorization": f"Bearer {self._token}", "User-Agent": "sparekey"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if method != "GET":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        if step_up:
            headers["X-Step-Up"] = step_up
        request = urllib.request.Request(  # noqa: S310 -- the URL is that of a server of ours, or one that was typed
            f"{self._url}/sparekey/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
        )
        try:
            # A proxy from the environment must not carry a token: ask the server directly.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=60) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            raise _refusal_in(error) from None
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            cause = getattr(error, "reason", error)
            raise Refused("server-not-running", f"no server answers at {self._url} ({cause}); {self._hint}") from None


class Server(Asking):
    """The running server of a data directory, asked as its operator."""

    def __init__(self, data: Path) -> None:
        env_file = data / "operator.env"
        try:
            values = dict(line.split("=", 1) for line in env_file.read_text().splitlines() if "=" in line)
            url, token = values["CONSOLE_URL"].rstrip("/"), values["OPERATOR_TOKEN"]
        except FileNotFoundError:
            raise Refused(
                "server-not-found",
                f"{data} holds no operator.env; start a server with `sparekey up --data {data}` first",
            ) from None
        except (OSError, KeyError, ValueError) as error:
            raise Refused("server-not-found", f"{env_file} cannot be used: {error}") from None
        super().__init__(url, token, f"start it with `sparekey up --data {data}`")

    @property
    def url(self) -> str:
        return self._url


def _refusal_in(error: urllib.error.HTTPError) -> Refused:
    try:
        document = json.load(error)
        told = document["error"]
        return Refused(told["reason"], told["message"], document)
    except (ValueError, KeyError, TypeError):
        return Refused("server-error", f"the server answered HTTP {error.code}; see its output")


def quoted(text: str) -> str:
    """A text as one part of a path."""
    return urllib.parse.quote(text, safe="")
