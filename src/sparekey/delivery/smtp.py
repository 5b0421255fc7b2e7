"""Mail by SMTP: a server of the operator's choice, encrypted unless it was said otherwise, its certificate checked.

Each letter has a connection of its own. A connection that ends after the letter was handed over and before the server
said so leaves open whether it arrived; it is tried again then, under the same Message-ID, by which mail readers drop
the second one.
"""

from __future__ import annotations

import secrets
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
import msgspec

from sparekey.delivery.outbox import Undelivered
from sparekey.terms.letters import Letter

_TIMEOUT_S: Final = 30.0
_PORTS: Final = {"smtp": 587, "smtps": 465}
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_EXPECTED: Final = "expected smtp://user:password@host:587?starttls=required or smtps://user:password@host:465"


class SmtpServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where mail is handed over, read from SPAREKEY_SMTP_URL. Never printed with its password."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    encryption: str = "starttls"  # or "tls": from the first byte; or "none"

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port}, {self.encryption})"


def parse_smtp_url(text: str) -> SmtpServer:
    """Raises ValueError with a sentence that repeats nothing of the URL, since it holds a password."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"SPAREKEY_SMTP_URL is no URL; {_EXPECTED}") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.fragment:
        raise ValueError(f"SPAREKEY_SMTP_URL cannot be used; {_EXPECTED}")
    options = parse_qs(parts.query, keep_blank_values=True)
    here = parts.hostname in _LOOPBACK
    starttls = options.pop("starttls", ["never" if here else "required"])
    if options or starttls not in (["required"], ["never"]) or (parts.scheme == "smtps" and "starttls" in parts.query):
        raise ValueError(
            "SPAREKEY_SMTP_URL has an option that does not exist; smtp:// takes starttls=required (the default, but "
            "for a server on this machine) or starttls=never, smtps:// takes none"
        )
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError("SPAREKEY_SMTP_URL has a user without a password, or a password without a user")
    encryption = "tls" if parts.scheme == "smtps" else "starttls" if starttls == ["required"] else "none"
    if encryption == "none" and password and not here:
        raise ValueError("SPAREKEY_SMTP_URL would send its password unencrypted: leave out starttls=never")
    return SmtpServer(
        host=parts.hostname,
        port=_PORTS[parts.scheme] if port is None else port,
        user=user,
        password=password,
        encryption=encryption,
    )


def parse_sender(text: str) -> Address:
    """`Sparekey <no-reply@exchange.example>` or the address alone. Raises ValueError."""
    name, address = parseaddr(text)
    try:
        sender = Address(display_name=name, addr_spec=address)
    except (ValueError, IndexError):
        sender = Address()
    if not (sender.username and sender.domain and text.isprintable() and sender.addr_spec.isascii()):
        raise ValueError(f"SPAREKEY_MAIL_FROM is {text[:80]!r}; expected one like Sparekey <no-reply@example.com>")
    return sender


class Smtp:
    """`context` says whom to trust; without one, those whom the system trusts."""

    def __init__(
        self,
        server: SmtpServer,
        sender: Address,
        *,
        context: ssl.SSLContext | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._server = server
        self._sender = sender
        # Read once: loading the system's authorities takes tens of milliseconds.
        self._context = ssl.create_default_context() if context is None else context
        self._timeout_s = timeout_s
        #: tells the letters of this process from those of another, in their Message-ID
        self._run = secrets.token_hex(8)

    async def deliver(self, letter: Letter, number: int) -> None:
        server = self._server
        connection = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            use_tls=server.encryption == "tls",
            start_tls=server.encryption == "starttls",
            tls_context=self._context,
            timeout=self._timeout_s,
        )
        message = self._message(letter, number)
        taken = False
        try:
            async with connection:
                await connection.send_message(message, sender=self._sender.addr_spec, recipients=[letter.to])
                taken = True
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            # Who does not part in good form has taken the letter all the same.
            if not taken:
                raise _undelivered(error) from error
        finally:
            connection.close()

    def _message(self, letter: Letter, number: int) -> EmailMessage:
        """The policy writes RFC 2047 for what is not ASCII, and refuses a header with a line break."""
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = self._sender
        message["To"] = Address(addr_spec=letter.to)
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{self._run}.{number}@{self._sender.domain}>"
        # RFC 3834: nobody's holiday note should answer it.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        if letter.html:
            message.add_alternative(letter.html, subtype="html")
        return message


def _undelivered(error: Exception) -> Undelivered:
    """What the operator can do something about, said apart. A 5xx to the letter or its recipient is final
    (RFC 5321, 4.2.1); one to our address or password is a matter of settings, which may be put right."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        refused = error.recipients[0]
        return Undelivered(
            f"recipient-refused-{refused.code}",
            f"The mail server refused the recipient: {refused.code} {refused.message}",
            for_good=refused.code >= 500,
        )
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return Undelivered(
            f"password-refused-{error.code}", f"The mail server refused our user and password: {error.code}"
        )
    if isinstance(error, aiosmtplib.SMTPSenderRefused):
        return Undelivered(
            f"sender-refused-{error.code}", f"The mail server refused our address: {error.code} {error.message}"
        )
    if isinstance(error, aiosmtplib.SMTPDataError):
        return Undelivered(
            f"letter-refused-{error.code}",
            f"The mail server refused the letter: {error.code} {error.message}",
            for_good=error.code >= 500,
        )
    cause = _certificate_problem(error)
    if cause:
        return Undelivered("certificate-refused", f"The mail server's certificate is not trusted: {cause}")
    if isinstance(error, ValueError):
        return Undelivered("letter-unsendable", "The letter or its address cannot be sent by SMTP.", for_good=True)
    if isinstance(error, TimeoutError):
        return Undelivered("timeout", "The mail server did not answer in time.")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return Undelivered(f"refused-{error.code}", f"The mail server refused: {error.code} {error.message}")
    if isinstance(error, aiosmtplib.SMTPServerDisconnected):
        return Undelivered("connection-lost", "The mail server ended the connection midway.")
    if isinstance(error, aiosmtplib.SMTPConnectError | OSError):
        return Undelivered("unreachable", f"The mail server cannot be reached: {error}")
    return Undelivered("refused", f"The mail server cannot do what is asked: {error}")


def _certificate_problem(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return ""
