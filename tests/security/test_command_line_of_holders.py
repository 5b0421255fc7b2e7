"""In guarded mode the command line signs in as the account's holder, and proves afresh what each act wants."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pty
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sparekey.access.one_time import code_at, step_at
from sparekey.terms.clocktime import HOUR_US
from tests.papers import over_the_api
from tests.process import SPAREKEY, sparekey
from tests.signing import Caller
from tests.venue import Credentials, Venue

PASSWORD = "tin giraffe, 40 lanterns"


class Typist:
    """Standard input of somebody who types an answer when it is asked for."""

    def __init__(self, answers: list[Callable[[], str]]) -> None:
        self._answers = answers

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        return self._answers.pop(0)() + "\n" if self._answers else ""


class Person:
    """Somebody with an account at a guarded server: password, SMS as the second factor, identity approved."""

    def __init__(self, venue: Venue, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.venue = venue
        self.email = f"{name}@example.com"
        self.number = "+44740012345" + str(len(name) % 10)
        self._monkeypatch = monkeypatch
        self._token = ""
        self.pass_an_hour()

    # --- over the API ------------------------------------------------------------------------------------------------

    def ask(self, path: str, body: Any) -> Any:
        return self.venue.ask("POST", path, body, token=self._token)

    def sign_up(self) -> None:
        self.ask("/sign-up", {"email": self.email, "password": PASSWORD})
        self.ask("/sign-up/confirm", {"token": self.found(r"/sign-up/confirm\?token=([\w-]+)", self.email)})
        self._token = self.ask("/session", {"email": self.email, "password": PASSWORD})["token"]

    def turn_on_sms(self) -> None:
        self.ask("/me/factors/sms", {"number": self.number, "password": PASSWORD})
        self.ask("/me/factors/sms/confirm", {"code": self.sms()})

    def apply(self) -> None:
        assert self.ask("/me/verification", over_the_api())["state"] == "pending"

    # --- letters and time --------------------------------------------------------------------------------------------

    def found(self, pattern: str, to: str) -> str:
        """In the newest letter to the address or number that holds it."""
        for posted in self.venue._running._outbox.newest():
            letter = posted.letter
            if letter is not None and letter.to == to and (found := re.search(pattern, letter.text)):
                return found[1]
        raise AssertionError(f"no letter to {to} has {pattern}")

    def password(self) -> str:
        return PASSWORD

    def sms(self) -> str:
        return self.found(r"\b(\d{8})\b", self.number)

    def mail(self) -> str:
        return self.found(r"\b(\d{8})\b", self.email)

    def pass_an_hour(self) -> None:
        """After which tries and codes count anew."""

        async def move() -> None:
            self.venue._running._access.policy_offset_us += HOUR_US
            self.venue._running._follow_clocks()

        self.venue._await(move())

    # --- the command -------------------------------------------------------------------------------------------------

    def types(self, *arguments: str, answers: list[Callable[[], str]] | None = None) -> CompletedProcess[str]:
        """A command, and what is typed as it asks: as it is asked for an act that wants proof."""
        self.pass_an_hour()
        typed = [self.password, self.sms, self.mail, self.sms] if answers is None else answers
        self._monkeypatch.setattr(sys, "stdin", Typist(typed))
        return sparekey(*arguments, "--json", data=self.venue.data)

    def does(self, *arguments: str, answers: list[Callable[[], str]] | None = None) -> Any:
        done = self.types(*arguments, answers=answers)
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def is_refused(self, *arguments: str, answers: list[Callable[[], str]] | None = None) -> str:
        done = self.types(*arguments, answers=answers)
        assert done.returncode == 1, done
        return str(json.loads(done.stdout)["error"]["reason"])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    venue = Venue(tmp_path_factory.mktemp("guarded") / "data", mode="guarded")
    venue.hash_cheaply()
    yield venue
    venue.stop()


@pytest.fixture
def person(guarded: Venue, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Person:
    for name in ("SPAREKEY_PASSWORD", "SPAREKEY_TOTP_SECRET", "SPAREKEY_RECOVERY_CODE", "SPAREKEY_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    one = Person(guarded, re.sub(r"\W", "-", request.node.name)[:50], monkeypatch)
    one.sign_up()
    one.turn_on_sms()
    one.apply()
    by = ("--by", "M. K.")
    assert one.does("accounts", "verification", "approve", one.email, *by, answers=[])["kyc"] == "approved"
    return one


def test_a_holder_makes_and_changes_keys_by_typing(person: Person) -> None:
    ips = ("--ip", "203.0.113.0/24")
    key = person.does("keys", "create", "--account", person.email, "--label", "bot", *ips)
    assert key["secretKey"] and key["permissions"] == ["reading"]
    named = (key["apiKey"], "--account", person.email)
    assert person.does("keys", "edit", *named, "--label", "other")["label"] == "other"
    in_session = [person.password, person.sms]
    assert person.does("keys", "disable", *named, answers=in_session[:])["status"] == "disabled"
    assert person.does("keys", "enable", *named)["status"] == "active"
    newer = person.does("keys", "rotate", *named, "--overlap", "1h")
    listed = person.does("keys", "list", "--account", person.email, "--as-holder", answers=in_session[:])
    assert [one["apiKey"] for one in listed] == [key["apiKey"], newer["apiKey"]]
    assert person.does("keys", "delete", *named)["status"] == "deleted"
    panic = person.does("keys", "panic", person.email, "--as-holder", answers=in_session[:])
    assert panic["disabled"] == [newer["apiKey"]]


def test_the_operator_decides_about_applications_that_wait(person: Person, guarded: Venue) -> None:
    other = Person(guarded, "another", person._monkeypatch)
    other.sign_up()
    other.apply()
    waiting = other.does("accounts", "verification", "list", answers=[])
    assert [one["email"] for one in waiting] == [other.email]
    shown = other.does("accounts", "verification", "show", other.email, answers=[])
    assert (shown["surname"], shown["state"]) == ("Eriksson", "pending")
    decide = ("accounts", "verification", "reject", other.email, "--by", "M. K.")
    assert other.is_refused(*decide, "--reason", " ", answers=[]) == "cause-invalid"
    assert other.does(*decide, "--reason", "the photograph is blurred", answers=[])["kyc"] == "rejected"
    assert other.is_refused(*decide, "--reason", "again", answers=[]) == "kyc-undecidable"
    assert other.is_refused("accounts", "kyc", other.email, "approved", answers=[]) == "mode-guarded"
    newest = other.does("outbox", "list", answers=[])[0]
    assert newest["to"] == other.email
    assert "the photograph is blurred" in other.does("outbox", "show", str(newest["number"]), answers=[])["text"]


def test_wrong_passwords_and_codes_change_nothing(person: Person) -> None:
    create = ("keys", "create", "--account", person.email, "--label", "bot")
    wrong = [lambda: "not this one"]
    assert person.is_refused(*create, answers=[*wrong]) == "sign-in-wrong"
    zeros = lambda: "00000000"  # noqa: E731
    assert person.is_refused(*create, answers=[person.password, zeros]) == "code-wrong"
    assert person.is_refused(*create, answers=[person.password, person.sms, zeros, person.sms]) == "code-wrong"
    assert person.is_refused(*create, answers=[person.password, person.sms, person.mail, zeros]) == "code-wrong"
    assert person.is_refused(*create, answers=[person.password]) == "input-missing"
    assert person.is_refused(*create, answers=[]) == "input-missing"
    assert person.does("accounts", "show", person.email, answers=[])["keys"] == 0
    # What was begun for nothing does not stay open.
    assert len(person.venue._running._sessions.of(person.does("accounts", "show", person.email)["accountId"])) == 1


def test_an_authenticator_is_turned_on_and_off_and_read_from_the_environment(
    person: Person, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr("sparekey.as_holder.click.echo", lambda text, **_: said.append(text))
    monkeypatch.setattr("sparekey.cli.click.echo", lambda text, **more: said.append(text) if more else print(text))
    # Codes of 30 seconds must not run out between typing them and looking at them.
    now_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)

    def shown() -> str:
        seed = next(found[1] for line in said if (found := re.search(r"authenticator: (\w+)", line)))
        return code_at(base64.b32decode(seed), step_at(now_ns // 1000) - 1)

    added = person.does(
        "accounts",
        "2fa",
        "add",
        person.email,
        answers=[person.password, person.sms, person.mail, person.sms, shown],
    )
    monkeypatch.setenv("SPAREKEY_TOTP_SECRET", added["totpSecret"])
    monkeypatch.setenv("SPAREKEY_PASSWORD", PASSWORD)
    me = person.does("accounts", "2fa", "remove", person.email, "--factor", "totp", answers=[person.mail])
    assert me["factors"] == ["sms"]


def test_a_public_key_is_registered_with_a_signed_challenge(person: Person, tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    pem = tmp_path / "public.pem"
    pem.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    create = ("keys", "create", "--account", person.email, "--label", "bot", "--type", "ed25519")
    create = (*create, "--public-key", str(pem))
    assert person.is_refused(*create) == "possession-unproven"
    challenge = person.does("keys", "challenge", "--account", person.email, "--public-key", str(pem), answers=[])
    signature = base64.b64encode(private.sign(challenge["text"].encode())).decode()
    signed = ("--nonce", challenge["nonce"], "--signature", signature)
    # An hour passes with each command, a challenge lives for minutes: this one is too old.
    assert person.is_refused(*create, *signed) == "possession-unproven"
    person.pass_an_hour = lambda: None  # type: ignore[method-assign]
    challenge = person.does("keys", "challenge", "--account", person.email, "--public-key", str(pem), answers=[])
    signature = base64.b64encode(private.sign(challenge["text"].encode())).decode()
    key = person.does(*create, "--nonce", challenge["nonce"], "--signature", signature)
    assert (key["type"], key["secretKey"]) == ("ed25519", None)


def test_the_holder_may_act_in_a_sandbox_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venue = Venue(tmp_path / "data")
    venue.hash_cheaply()
    try:
        person = Person(venue, "sandbox", monkeypatch)
        person.sign_up()
        person.turn_on_sms()
        venue.ask("PUT", f"/accounts/{person.email}/kyc", {"kyc": "approved"})
        key = person.does(
            "keys", "create", "--account", person.email, "--label", "bot", "--ip", "127.0.0.1", "--as-holder"
        )
        caller = Caller(venue.url, Credentials(key["apiKey"], key["secretKey"], "", person.email))
        assert caller("GET", "/api/v3/account").status == 200
    finally:
        venue.stop()


def test_what_is_typed_at_a_terminal_is_not_shown(person: Person) -> None:
    person.pass_an_hour()
    arguments = ["keys", "list", "--account", person.email, "--as-holder", "--data", str(person.venue.data)]
    pid, terminal = pty.fork()
    if pid == 0:  # the command, at a terminal of its own
        os.execv(sys.executable, [*SPAREKEY, *arguments])
    shown, typed = "", [(f"Password of {person.email}: ", person.password), ("Code that came by SMS: ", person.sms)]
    with contextlib.suppress(OSError):  # how a terminal says that the command has ended
        while part := os.read(terminal, 4096):
            shown += part.decode()
            if typed and shown.endswith(typed[0][0]):
                os.write(terminal, f"{typed.pop(0)[1]()}\n".encode())
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    assert "no keys" in shown
    assert PASSWORD not in shown and person.sms() not in shown
