"""A started server for tests: fresh state, keys on demand, a clock to move. Everything goes over its sockets."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sparekey.assemble import Running, start
from sparekey.console.passwords import CHEAP, Passwords
from sparekey.settings import Settings

EVERYTHING = ("reading", "spot-and-margin-trading", "margin-loan", "futures", "internal-transfer", "universal-transfer")
ANYWHERE_LOCAL = ("127.0.0.0/8", "::1")


class Credentials(NamedTuple):
    """What a client needs to sign: `secret` for HMAC keys, `private_pem` (PKCS#8) for the others."""

    api_key: str
    secret: str
    private_pem: str
    email: str


class Refused(Exception):
    """The management API said no."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        error = document["error"]
        super().__init__(f"{error['reason']}: {error['message']}")
        self.status = status
        self.document = document
        self.reason: str = error["reason"]


class Clock:
    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def advance(self, duration: str) -> Mapping[str, int]:
        return self._venue.ask("POST", "/clock/advance", {"duration": duration})

    def skew(self, duration: str) -> Mapping[str, int]:
        return self._venue.ask("POST", "/clock/skew", {"duration": duration})

    def show(self) -> Mapping[str, int]:
        return self._venue.ask("GET", "/clock")


class Venue:
    """A server in a thread of its own. `settings` are those of `sparekey up`, plus `demo` for the demo account."""

    _numbers = itertools.count(1)
    #: Generating one takes a tenth of a second, and another server may well meet it again.
    _rsa_keys: ClassVar[list[RSAPrivateKey]] = []

    def __init__(self, data: Path, *, demo: bool = False, **settings: Any) -> None:
        self.data = data
        defaults: dict[str, Any] = {"port": 0, "market": "none", "durability": "memory"}
        self.settings = Settings(data=data, **(defaults | settings))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="venue", daemon=True)
        self._thread.start()
        self._running: Running = self._await(start(self.settings, demo=demo))
        self.url = self._running.url
        self.tls_ports = self._running.tls_ports
        self.operator_token = self._running.operator_token
        self.clock = Clock(self)
        self._rsa_keys_used = 0

    def restart(self) -> None:
        """Stop and start on the same port and data: every connection ends. What "memory" durability kept is gone."""
        self._await(self._running.stop())
        port = urllib.parse.urlsplit(self.url).port
        self._running = self._await(start(msgspec.structs.replace(self.settings, port=port), demo=False))

    def stop(self) -> None:
        self._await(self._running.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _await(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=60)

    # --- management ---------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str = "") -> Any:
        """As the operator; with a session's token, as the holder."""
        token = token or self._running.operator_token
        request = urllib.request.Request(
            f"{self.url}/sparekey/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, json.load(error)) from None

    def account(self, *, kyc: str = "approved", totp: bool = True, fund: Mapping[str, str] | None = None) -> str:
        """A fresh account; returns its e-mail address."""
        email = f"trader-{next(self._numbers)}@example.com"
        self.ask("POST", "/accounts", {"email": email, "kyc": kyc, "totp": totp, "fund": dict(fund or {})})
        return email

    def fund(self, email: str, **amounts: str) -> Mapping[str, Any]:
        return self.ask("POST", f"/accounts/{urllib.parse.quote(email)}/fund", {"fund": amounts})

    def key(
        self,
        key_type: str = "hmac",
        *,
        email: str = "",
        permissions: Iterable[str] = EVERYTHING,
        ips: Iterable[str] = ANYWHERE_LOCAL,
        fund: Mapping[str, str] | None = None,
    ) -> Credentials:
        """A key of a fresh, funded account, or of the account of `email`."""
        email = email or self.account(fund=fund)
        private_pem, public_pem = self._pair(key_type)
        document = self.ask(
            "POST",
            f"/accounts/{urllib.parse.quote(email)}/keys",
            {
                "label": "test",
                "type": key_type,
                "publicKey": public_pem or None,
                "permissions": list(permissions),
                "ips": list(ips),
            },
        )
        return Credentials(document["apiKey"], document["secretKey"] or "", private_pem, email)

    def hash_cheaply(self) -> None:
        """Passwords cost next to nothing from now on."""
        self._running._passwords._hasher = Passwords(CHEAP)._hasher

    def sessions_of(self, email: str) -> tuple[dict[str, str], str]:
        """Tokens of a "full" session of the account and of a "half" one; and the handle of a third."""
        running = self._running
        account_id: int = self.ask("GET", f"/accounts/{urllib.parse.quote(email)}")["accountId"]
        who: dict[str, Any] = {"ip": "127.0.0.1", "agent": "", "proven": ("password",)}

        async def open_them() -> tuple[dict[str, str], str]:
            sessions = running._sessions
            tokens = {"full": sessions.open(account_id, **who)[1], "half": sessions.open_half(account_id, **who)[1]}
            return tokens, sessions.open(account_id, **who)[0].handle

        opened: tuple[dict[str, str], str] = self._await(open_them())
        return opened

    def delete_key(self, key: Credentials) -> None:
        self.ask("DELETE", f"/keys/{key.api_key}")

    def let_codes_pass(self, seconds: int) -> None:
        """Authenticators, and who checks their codes, are so much later in the day; a test need not wait for it."""
        factors = self._running._factors
        shown_us = factors._wall_us
        factors._wall_us = lambda: shown_us() + seconds * 1_000_000

    def authenticators_us(self) -> int:
        """What a telephone's clock shows."""
        shown: int = self._running._factors._wall_us()
        return shown

    def watched_books(self) -> list[str]:
        """Symbols whose books somebody hears of."""
        state = self._running._spot

        async def ask() -> list[str]:
            return list(state.watched_books)

        symbols: list[str] = self._await(ask())
        return symbols

    def calls(self, key: Credentials | None = None, limit: int = 100) -> list[dict[str, Any]]:
        query = {"limit": limit} | ({"key": key.api_key} if key else {})
        rows: list[dict[str, Any]] = self.ask("GET", f"/calls?{urllib.parse.urlencode(query)}")
        return rows

    def last_call(self, key: Credentials) -> dict[str, Any]:
        """The newest call log entry of a key."""
        return self.calls(key)[-1]

    def _pair(self, key_type: str) -> tuple[str, str]:
        if key_type == "hmac":
            return "", ""
        private: RSAPrivateKey | Ed25519PrivateKey
        if key_type == "rsa":
            if self._rsa_keys_used == len(self._rsa_keys):
                self._rsa_keys.append(generate_private_key(65_537, 2048))
            private = self._rsa_keys[self._rsa_keys_used]
            self._rsa_keys_used += 1
        else:
            private = Ed25519PrivateKey.generate()
        return (
            private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        )
