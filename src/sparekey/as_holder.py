"""Asking as an account's holder: signs in, proves afresh what each act wants, and signs out again.

Passwords and codes are read from the environment (SPAREKEY_PASSWORD, SPAREKEY_TOTP_SECRET, SPAREKEY_RECOVERY_CODE), or
typed: unseen at a terminal, else a line of standard input each. They are never arguments, which other people of the
machine can see and shells remember. What is asked stands on standard error, so that output stays a document.
"""

from __future__ import annotations

import base64
import binascii
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

import click

from sparekey.access.one_time import STEP_US, code_at, step_at
from sparekey.asking import Asking, Refused

#: Of which one may be mistyped at a terminal.
_TRIES: Final = 3
_MISTYPED: Final = frozenset({"factor-wrong", "factor-used", "factor-drift", "code-wrong", "recovery-wrong"})
_ASKED: Final = {
    "totp": "Code of the authenticator",
    "sms": "Code that came by SMS",
    "recovery": "Recovery code",
    "email": "Code that came by e-mail",
}


def read_unseen(variable: str, asked: str) -> str:
    """From the environment; else typed at the terminal, unseen; else a line of standard input."""
    value = os.environ.get(variable, "") if variable else ""
    if value:
        return value
    if sys.stdin.isatty():
        return str(click.prompt(asked, hide_input=True, err=True))
    click.echo(f"{asked}: ", err=True)
    line = sys.stdin.readline()
    if not line:
        hint = f"set {variable} or type it" if variable else "type it"
        raise Refused("input-missing", f"{asked}: nothing is there to read; {hint}")
    return line.rstrip("\r\n")


class Holder(Asking):
    """The account's holder while the `with` lasts. `factor` chooses among second factors; "": the first that can be
    used at a terminal."""

    def __init__(self, url: str, email: str, factor: str = "") -> None:
        super().__init__(url.rstrip("/"), "", "check the address")
        self._email = email
        self._factor = factor
        self.password = ""
        #: the last step of the authenticator whose code was used
        self._step = 0

    def __enter__(self) -> Holder:
        self.password = read_unseen("SPAREKEY_PASSWORD", f"Password of {self._email}")
        opened = super().ask("POST", "/session", {"email": self._email, "password": self.password})
        self._token = opened["token"]
        if opened["stage"] == "half":
            factor = self._choose(opened["factors"])
            if factor == "sms":
                super().ask("POST", "/session/codes", {"kind": "sms"})
            ask = super().ask
            self._token = _again(
                lambda: ask("POST", "/session/factor", {"factor": factor, "code": self._code(factor)})
            )["token"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            super().ask("DELETE", "/session")
        except Refused:
            pass  # it may have ended already, and ends by itself

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, step_up: str = "") -> Any:
        """Proves what the act wants, if it wants something."""
        try:
            return super().ask(method, path, body, step_up)
        except Refused as refused:
            wanted = refused.more.get("stepUp")
            if not wanted:
                raise
        self._step_up(wanted)
        return super().ask(method, path, body, wanted["id"])

    def _step_up(self, wanted: Mapping[str, Any]) -> None:
        path, factor = f"/me/step-ups/{wanted['id']}", self._choose(wanted["factors"])
        click.echo(f"Proof is wanted that it is you who is about to {wanted['action']}.", err=True)
        kinds = ["email"] * wanted["needsEmail"] + ["sms"] * (factor == "sms")
        for kind in kinds:
            super().ask("POST", f"{path}/codes", {"kind": kind})

        def send() -> Any:
            proofs = {"email": read_unseen("", _ASKED["email"])} if wanted["needsEmail"] else {}
            return super(Holder, self).ask("POST", f"{path}/proof", {**proofs, factor: self._code(factor)})

        self._token = _again(send)["token"]

    # --- second factors ----------------------------------------------------------------------------------------------

    def _choose(self, factors: Sequence[str]) -> str:
        usable = [factor for factor in factors if factor != "passkey"]
        if self._factor:
            usable = [factor for factor in usable if factor == self._factor]
        elif "recovery" in usable and os.environ.get("SPAREKEY_RECOVERY_CODE"):
            usable = ["recovery"]
        if not usable:
            raise Refused(
                "factor-missing",
                f"of the account's second factors ({', '.join(factors)}) none can be used here; use the console",
            )
        return usable[0]

    def _code(self, factor: str) -> str:
        seed = os.environ.get("SPAREKEY_TOTP_SECRET", "")
        if factor != "totp" or not seed:
            return read_unseen("SPAREKEY_RECOVERY_CODE" if factor == "recovery" else "", _ASKED[factor])
        try:
            key = base64.b32decode(seed.strip().upper())
        except binascii.Error:
            raise Refused("input-invalid", "SPAREKEY_TOTP_SECRET is no base32") from None
        # Each code counts once, and the next one already counts now.
        step = max(step_at(time.time_ns() // 1000), self._step + 1)
        while step > step_at(time.time_ns() // 1000) + 1:
            time.sleep(STEP_US / 10_000_000)
        self._step = step
        return code_at(key, step)


def _again(send: Callable[[], Any]) -> Any:
    """A mistyped code may be typed again at a terminal."""
    for tries_left in reversed(range(_TRIES)):
        try:
            return send()
        except Refused as refused:
            if refused.reason not in _MISTYPED or not tries_left or not sys.stdin.isatty():
                raise
            click.echo(refused.message, err=True)
    return None
