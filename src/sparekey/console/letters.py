"""Every letter that the console sends, and how it hands them over.

A letter is composed as data (what happened, the facts, a code or a link) and written twice from it, as plain text and
as HTML. Jinja2 escapes what people chose, such as a key's label; that it cannot begin a new line of the plain text,
turn the reading direction or run on for pages is seen to here.

No letter holds an API key's secret, and no subject holds a code: subjects show on locked screens.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from sparekey.console.compiled import compiled_templates
from sparekey.console.pages.spelling import masked
from sparekey.terms.letters import DAY_S, EMAIL, SMS, Letter

#: Of a text that a person chose, within a letter.
_LONGEST: Final = 160
CODE_MINUTES: Final = 10
RESET_MINUTES: Final = 30
CONFIRM_HOURS: Final = 24

FACTOR_NAMES: Final = {"totp": "the authenticator", "sms": "codes by SMS", "passkey": "the passkey"}
_KEY_ACTS: Final = {
    "created": "was created",
    "edited": "was changed",
    "rotated": "was rotated: a new key replaces it",
    "enabled": "was enabled",
    "disabled": "was disabled",
    "deleted": "was deleted",
}
_FOR_YOU_ALONE: Final = (
    "Nobody at the exchange will ever ask you for this code. Whoever does wants to do this in your place: do not pass "
    "it on."
)
_STRAIGHT: Final = str.maketrans("“”‘’", "\"\"''")


class Post(Protocol):
    """Takes letters and sees to their delivery."""

    def send(self, letter: Letter) -> None:
        """Never blocks, never raises; the operator's page shows what became of the letter."""

    def forget(self, to: str) -> None:
        """Whoever this address or number belongs to is erased: their letters go, too, sent or not."""


class PostedLetter(Protocol):
    """A letter in the outbox; `letter` is None where its text is not to be read here."""

    number: int
    kind: str
    to: str
    subject: str
    letter: Letter | None
    posted_us: int
    state: str
    attempts: int
    problem: str
    done_us: int


class LetterBook(Protocol):
    """The outbox, as far as an operator looks into it."""

    sent: int
    failed: int

    def newest(self) -> Sequence[PostedLetter]: ...

    def find(self, number: int) -> PostedLetter | None: ...

    @property
    def under_way(self) -> int: ...

    @property
    def ways_out(self) -> tuple[str, ...]: ...

    @property
    def problem(self) -> str: ...


class Circumstances(NamedTuple):
    """When and whence something was done, for the letter that tells of it. `agent` is the browser's own word."""

    time_us: int
    ip: str
    agent: str = ""


class _Content(NamedTuple):
    """A letter before it is written. `link` is what the link says and its path on the console."""

    subject: str
    paragraphs: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()
    code: str = ""
    link: tuple[str, str] | None = None
    after: Sequence[str] = ()


class Letters:
    """`public_url` is how people reach the console: `https://exchange.example`, without a slash at its end."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url
        environment = Environment(
            loader=PackageLoader("sparekey.console", "templates/letters"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            bytecode_cache=compiled_templates(),
        )
        self._text = environment.get_template("letter.txt")
        self._html = environment.get_template("letter.html")

    # --- signing up and in -------------------------------------------------------------------------------------------

    def confirm_sign_up(self, to: str, path: str) -> Letter:
        """`path` is the page that confirms, with its token: `/sign-up/confirm?token=…`."""
        return self._mail(
            to,
            _Content(
                "Confirm your e-mail address",
                ["Somebody, hopefully you, wants to open an account with this e-mail address."],
                link=("Confirm the address and open the account", path),
                after=[
                    f"The link works once, within {CONFIRM_HOURS} hours.",
                    "If it was not you, do nothing: without the link there is no account.",
                ],
            ),
            worth_s=CONFIRM_HOURS * 3_600,
        )

    def account_exists(self, to: str) -> Letter:
        """For a sign-up with an address that has an account: the page tells nobody so, this letter tells the owner."""
        return self._mail(
            to,
            _Content(
                "You have an account already",
                [
                    "Somebody, hopefully you, wanted to open an account with this e-mail address. You have one, and "
                    "nothing about it was changed.",
                ],
                link=("Sign in", "/sign-in"),
                after=[f"If you forgot the password, choose a new one here: {self._public_url}/forgotten"],
            ),
        )

    def reset_password(self, to: str, path: str) -> Letter:
        """`path` is the page that takes the new password, with its token. An unknown address is sent nothing."""
        return self._mail(
            to,
            _Content(
                "Choose a new password",
                ["Somebody, hopefully you, forgot the password of your account."],
                link=("Choose a new password", path),
                after=[
                    f"The link works once, within {RESET_MINUTES} minutes. Your second factor is asked for as usual.",
                    "If it was not you, do nothing: the password stays as it is.",
                ],
            ),
            worth_s=RESET_MINUTES * 60,
        )

    def new_device(self, to: str, circumstances: Circumstances) -> Letter:
        return self._notice(
            to,
            "Sign-in from a new device",
            ["Your account was signed in to from a device that it does not know."],
            circumstances,
            if_not="change your password and end that session",
            path="/my/settings/security",
        )

    def password_changed(self, to: str, circumstances: Circumstances) -> Letter:
        return self._notice(
            to,
            "Your password was changed",
            ["The password of your account was changed, and every other session was ended."],
            circumstances,
            if_not="choose a new password at once",
            path="/forgotten",
        )

    # --- codes -------------------------------------------------------------------------------------------------------

    def step_up_code(self, to: str, code: str, action: str) -> Letter:
        """`action` is for people: “create the API key “Bot A””."""
        return self._mail(
            to,
            _Content(
                "Your verification code",
                [f"With this code you {_one_line(action)}:"],
                code=code,
                after=[f"It is good for this alone, once, within {CODE_MINUTES} minutes.", _FOR_YOU_ALONE],
            ),
            worth_s=CODE_MINUTES * 60,
        )

    def step_up_sms(self, number: str, code: str, action: str) -> Letter:
        return Letter(
            kind=SMS,
            to=number,
            # Straight quotes: a single curly one halves what fits into a message.
            text=f"Sparekey: {code} is your code to {_one_line(action).translate(_STRAIGHT)}. "
            f"Good for {CODE_MINUTES} minutes. Never pass it on; nobody will ask you for it.",
            worth_s=CODE_MINUTES * 60,
        )

    # --- factors -----------------------------------------------------------------------------------------------------

    def factor_added(self, to: str, factor: str, circumstances: Circumstances) -> Letter:
        """`factor` as in `account.factors`: totp, sms or passkey."""
        return self._factor_notice(to, f"{FACTOR_NAMES[factor]} was turned on as a second factor", circumstances)

    def factor_removed(self, to: str, factor: str, circumstances: Circumstances) -> Letter:
        return self._factor_notice(to, f"{FACTOR_NAMES[factor]} is no longer a second factor", circumstances)

    def recovery_codes_made(self, to: str, circumstances: Circumstances) -> Letter:
        return self._factor_notice(
            to, "new recovery codes were made; those that you had before no longer work", circumstances
        )

    def recovery_code_used(self, to: str, left: int, circumstances: Circumstances) -> Letter:
        return self._factor_notice(
            to, f"a recovery code was used; {left or 'none'} {'is' if left < 2 else 'are'} left", circumstances
        )

    def _factor_notice(self, to: str, what: str, circumstances: Circumstances) -> Letter:
        what = what.replace("codes by SMS was", "codes by SMS were").replace("codes by SMS is", "codes by SMS are")
        return self._notice(
            to,
            "The security of your account was changed",
            [f"On your account, {what}."],
            circumstances,
            if_not="change your password and stop your API keys",
            path="/my/settings/security",
        )

    # --- keys --------------------------------------------------------------------------------------------------------

    def key_notice(
        self,
        to: str,
        act: str,
        label: str,
        api_key: str,
        circumstances: Circumstances,
        facts: Sequence[tuple[str, str]] = (),
    ) -> Letter:
        """`act`: created, edited, rotated, enabled, disabled or deleted. `facts` are what it may do now, say."""
        return self._notice(
            to,
            f"API key {act}",
            [f"The API key “{_one_line(label)}” {_KEY_ACTS[act]}."],
            circumstances,
            facts=[("API key", masked(api_key)), *facts],
            if_not="stop all your keys at once",
            path="/my/settings/api-management/panic",
        )

    def panic_notice(self, to: str, stopped: int, circumstances: Circumstances) -> Letter:
        many = "No API key was active" if not stopped else f"{stopped} API key{'s' if stopped > 1 else ''} stopped"
        return self._notice(
            to,
            "All API keys stopped",
            [f"{many}: every call with a key of your account is refused. Each key is enabled again by itself."],
            circumstances,
            if_not="look at what was done meanwhile",
            path="/my/settings/api-management",
        )

    # --- identity ----------------------------------------------------------------------------------------------------

    def kyc_received(self, to: str) -> Letter:
        return self._mail(
            to,
            _Content(
                "We received your documents",
                ["Your identity check is waiting for a decision. You need not do anything meanwhile."],
                link=("See how it stands", "/my/settings/verification"),
            ),
        )

    def kyc_approved(self, to: str) -> Letter:
        return self._mail(
            to,
            _Content(
                "Your identity is verified",
                ["Your identity check was approved. With a second factor on, you can create API keys."],
                link=("API Management", "/my/settings/api-management"),
            ),
        )

    def kyc_rejected(self, to: str, cause: str) -> Letter:
        """`cause` is what the operator wrote; no document and no name."""
        return self._mail(
            to,
            _Content(
                "Your identity check was rejected",
                ["Your identity could not be verified. Keys that trade or withdraw are refused until it is."],
                facts=[("Reason", _one_line(cause))],
                link=("Try again", "/my/settings/verification"),
            ),
        )

    # --- within ------------------------------------------------------------------------------------------------------

    def _notice(
        self,
        to: str,
        subject: str,
        paragraphs: Sequence[str],
        circumstances: Circumstances,
        *,
        if_not: str,
        path: str,
        facts: Sequence[tuple[str, str]] = (),
    ) -> Letter:
        """What was done, when and whence; and what to do, should somebody else have done it."""
        when = datetime.fromtimestamp(circumstances.time_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        done = [("When", when)]
        if circumstances.ip:
            done.append(("From", circumstances.ip))
        if circumstances.agent:
            done.append(("With", circumstances.agent))
        content = _Content(
            subject,
            [*paragraphs],
            facts=[(name, _one_line(value)) for name, value in (*facts, *done)],
            link=(f"If that was not you, {if_not}", path),
        )
        return self._mail(to, content)

    def _mail(self, to: str, content: _Content, worth_s: int = DAY_S) -> Letter:
        words = {
            "subject": content.subject,
            "paragraphs": content.paragraphs,
            "facts": content.facts,
            "code": content.code,
            "link": None if content.link is None else (content.link[0], self._public_url + content.link[1]),
            "after": content.after,
            "public_url": self._public_url,
        }
        return Letter(
            kind=EMAIL,
            to=to,
            subject=f"Sparekey: {content.subject}",
            text=self._text.render(words),
            html=self._html.render(words),
            worth_s=worth_s,
        )


def _one_line(text: str) -> str:
    """What a person chose, as part of a line: no breaks, no turned reading direction, not longer than a line or two."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
