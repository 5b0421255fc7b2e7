"""What a start is told: every option of `sparekey up`, checked once, immutable afterwards.

Options come from the command line or from environment variables named `SPAREKEY_<OPTION>` (click reads both). What
holds a password comes from the environment alone: everybody on a machine can read command lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from email.headerregistry import Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sparekey.delivery.sms import SmsService, parse_sms_url
from sparekey.delivery.smtp import SmtpServer, parse_sender, parse_smtp_url
from sparekey.server.addresses import TrustedProxies

PROFILES = ("classic", "current", "off")
DURABILITIES = ("full", "normal", "memory")
MODES = ("sandbox", "guarded")
#: What a sensitive act wants proven: a second factor and a code by e-mail, or the second factor alone.
STEP_UPS = ("factor+email", "factor")
DEFAULT_TLS_PORT = 8443


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`data` is the data directory. `market` is "simulated", "none" or "replay:FILE". `public_url` is how people reach
    the console; "": as this machine does. Without `smtp` or `sms` such letters wait in the operator's outbox."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8080
    profile: str = "classic"
    api_date: str = ""
    market: str = "simulated"
    seed: int = 1
    durability: str = "full"
    mode: str = "sandbox"
    env_file: Path | None = None
    wire_strict: bool = False
    trusted_proxies: tuple[str, ...] = ()
    replay_end: str = "halt"
    tls: bool = False
    tls_ports: tuple[int, ...] = (DEFAULT_TLS_PORT,)
    public_url: str = ""
    step_up: str = "factor+email"
    smtp: SmtpServer | None = None
    mail_from: Address | None = None
    sms: SmsService | None = None

    def __post_init__(self) -> None:
        _one_of("profile", self.profile, PROFILES)
        _one_of("durability", self.durability, DURABILITIES)
        _one_of("mode", self.mode, MODES)
        _one_of("step-up", self.step_up, STEP_UPS)
        _one_of("replay-end", self.replay_end, ("halt", "loop", "simulated"))
        if not (self.market in ("simulated", "none") or self.market.startswith("replay:")):
            raise ValueError(f"--market is {self.market!r}; expected simulated, none or replay:FILE")
        for option, port in (("port", self.port), *(("tls-port", port) for port in self.tls_ports)):
            if not 0 <= port <= 65_535:
                raise ValueError(f"--{option} is {port}; expected 0 (any free one) to 65535")
        if not self.tls and self.tls_ports != (DEFAULT_TLS_PORT,):
            raise ValueError("--tls-port needs --tls")
        if self.tls and self.port and self.port in self.tls_ports:
            raise ValueError(f"--tls-port and --port are both {self.port}; TLS needs a port of its own")
        if self.api_date:
            try:
                date.fromisoformat(self.api_date)
            except ValueError:
                raise ValueError(f"--api-date is {self.api_date!r}; expected a day such as 2023-07-01") from None
        try:
            TrustedProxies(self.trusted_proxies)
        except ValueError as error:
            raise ValueError(f"--trusted-proxy: {error}") from None
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"--seed is {self.seed}; expected 0 to 2^63-1")
        if self.public_url and not _is_origin(self.public_url):
            raise ValueError(
                f"--public-url is {self.public_url!r}; expected one like https://exchange.example, without a path"
            )
        if self.smtp is not None and self.mail_from is None:
            raise ValueError("SPAREKEY_SMTP_URL needs SPAREKEY_MAIL_FROM: whom the letters are from")

    @property
    def replay_file(self) -> Path | None:
        """The recording to replay, or None when the market is not a replay."""
        return Path(self.market.removeprefix("replay:")) if self.market.startswith("replay:") else None

    @property
    def bot_env_file(self) -> Path:
        return self.env_file if self.env_file is not None else self.data / "bot.env"

    @property
    def operator_env_file(self) -> Path:
        return self.data / "operator.env"


def delivery_in(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings of letters that an environment holds. Raises ValueError, never with a password in it."""
    smtp_url, mail_from = environment.get("SPAREKEY_SMTP_URL", ""), environment.get("SPAREKEY_MAIL_FROM", "")
    sms_url = environment.get("SPAREKEY_SMS_URL", "")
    return {
        "smtp": parse_smtp_url(smtp_url) if smtp_url else None,
        "mail_from": parse_sender(mail_from) if mail_from else None,
        "sms": parse_sms_url(sms_url) if sms_url else None,
    }


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and not any(character in url for character in " \"'<>\\")
    return (
        plain
        and named
        and parts.scheme in ("http", "https")
        and url == f"{parts.scheme}://{parts.netloc}"
        and ("@" not in parts.netloc)
    )


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"--{option} is {value!r}; expected one of {', '.join(allowed)}")
