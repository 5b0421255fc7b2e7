"""Mail through a real SMTP server: encrypted, signed in, tried again, and each way of failing told apart."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from sparekey.delivery.outbox import SENT, Outbox, Undelivered
from sparekey.delivery.smtp import Smtp, SmtpServer, parse_sender, parse_smtp_url
from sparekey.server.tls import make_context
from sparekey.terms.letters import EMAIL, Letter
from tests.served import certificates

FROM = parse_sender("Sparekey <no-reply@exchange.example>")
LETTER = Letter(kind=EMAIL, to="ann@example.com", subject="Grüße: “Bot A” ✓", text="Code: 12345678\n", html="<p>ö</p>")


class Post:
    """An SMTP server on the test's own loop, whose port is its own, and closed, before it is up. `answers` are given to
    RCPT and DATA before the usual ones."""

    def __init__(self, *, tls: bool = False, password: str = "") -> None:
        self.received: list[tuple[Any, EmailMessage]] = []
        self.over_tls: list[bool] = []
        self.answers: dict[str, list[str]] = {"RCPT": [], "DATA": []}
        self._tls, self._password = tls, password
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    async def __aenter__(self) -> Post:
        context = make_context(certificates().server_path) if self._tls else None
        options: dict[str, Any] = {"hostname": "mail.test"}
        if self._tls:
            options |= {"tls_context": context, "require_starttls": True}
        if self._password:
            options |= {"authenticator": self._authenticate, "auth_required": True, "auth_require_tls": self._tls}
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, **options), sock=self._socket)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == self._password.encode(), handled=False)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.answers["RCPT"]:
            return self.answers["RCPT"].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answers["DATA"]:
            return self.answers["DATA"].pop(0)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append((envelope, message))
        self.over_tls.append(session.ssl is not None)
        return "250 Kept"


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates().authority_path))


def way_out(port: int, *, tls: bool = False, context: ssl.SSLContext | None = None, **more: Any) -> Smtp:
    server = SmtpServer(host="127.0.0.1", port=port, encryption="starttls" if tls else "none", **more)
    return Smtp(server, FROM, context=context if context is not None else trusting(), timeout_s=5.0)


async def all_seen_to(outbox: Outbox) -> None:
    async with asyncio.timeout(20):
        while outbox.under_way:
            await asyncio.sleep(0.001)


async def refused(smtp: Smtp) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        await smtp.deliver(LETTER, 1)
    return caught.value


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def go() -> None:
        await work()

    asyncio.run(go())


def test_a_letter_arrives_as_text_and_html_with_its_subject_in_full() -> None:
    async def work() -> None:
        async with Post() as post:
            await way_out(post.port).deliver(LETTER, 7)
        [(envelope, message)] = post.received
        assert envelope.mail_from == "no-reply@exchange.example" and envelope.rcpt_tos == ["ann@example.com"]
        assert message["Subject"] == LETTER.subject and message["To"] == "ann@example.com"
        assert message["From"] == "Sparekey <no-reply@exchange.example>"
        assert message["Message-ID"].endswith(".7@exchange.example>") and message["Date"]
        assert message["Auto-Submitted"] == "auto-generated"
        text, html = message.get_body(("plain",)), message.get_body(("html",))
        assert text is not None and text.get_content().splitlines() == ["Code: 12345678"]
        assert html is not None and html.get_content().strip() == "<p>ö</p>"
        assert envelope.content.split(b"\r\n\r\n", 1)[0].isascii()

    run(work)


def test_where_starttls_is_asked_for_the_password_and_the_letter_go_encrypted() -> None:
    async def work() -> None:
        async with Post(tls=True, password="s3cret") as post:
            await way_out(post.port, tls=True, user="ann", password="s3cret").deliver(LETTER, 1)
        assert post.over_tls == [True] and len(post.received) == 1

    run(work)


def test_where_starttls_is_asked_for_a_server_without_it_gets_no_letter() -> None:
    async def work() -> None:
        async with Post() as post:
            error = await refused(way_out(post.port, tls=True))
        assert not post.received and not error.for_good
        assert "STARTTLS" in error.told

    run(work)


def test_a_certificate_of_somebody_else_gets_no_letter() -> None:
    async def work() -> None:
        async with Post(tls=True) as post:
            error = await refused(way_out(post.port, tls=True, context=ssl.create_default_context()))
        assert error.kind == "certificate-refused" and not error.for_good
        assert not post.received

    run(work)


def test_a_wrong_password_is_told_without_the_password_and_may_be_put_right() -> None:
    async def work() -> None:
        async with Post(tls=True, password="right") as post:
            error = await refused(way_out(post.port, tls=True, user="ann", password="wr0ng-password"))
        assert error.kind == "password-refused-535" and not error.for_good
        assert "wr0ng-password" not in error.told + str(error.__cause__)
        assert not post.received

    run(work)


@pytest.mark.parametrize(
    ("verb", "answer", "kind", "for_good"),
    [
        ("RCPT", "550 5.1.1 no such mailbox", "recipient-refused-550", True),
        ("RCPT", "450 4.2.1 try later", "recipient-refused-450", False),
        ("DATA", "554 5.7.1 looks like spam", "letter-refused-554", True),
        ("DATA", "451 4.3.0 try later", "letter-refused-451", False),
    ],
)
def test_a_refusal_is_final_only_if_the_server_says_so(verb: str, answer: str, kind: str, for_good: bool) -> None:
    async def work() -> None:
        async with Post() as post:
            post.answers[verb] = [answer]
            error = await refused(way_out(post.port))
        assert (error.kind, error.for_good) == (kind, for_good)
        assert answer[4:] in error.told and "ann@example.com" not in error.kind

    run(work)


def test_a_server_that_is_down_gets_the_letter_once_it_is_up() -> None:
    async def work() -> None:
        post = Post()
        pauses: list[str] = []

        async def until_up(seconds: float) -> None:
            pauses.append(outbox.problem)
            await post.__aenter__()

        outbox = Outbox({EMAIL: way_out(post.port)}, lambda: 1, readable=True, sleep=until_up)
        outbox.send(LETTER)
        await all_seen_to(outbox)
        assert pauses == ["email: unreachable (1 letter waits)"]
        assert outbox.newest()[0].state == SENT and outbox.problem == "" and len(post.received) == 1
        await post.__aexit__()

    run(work)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"", "unreachable"),
        (b"220 mail.test\r\n", "connection-lost"),
        (b"garbage without a code\r\n", "refused--1"),
        (b"421 too busy\r\n", "refused-421"),
    ],
)
def test_a_server_that_drops_the_connection_or_talks_nonsense_is_tried_again(said: bytes, kind: str) -> None:
    async def work() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(said)
            await writer.drain()
            if said.startswith(b"220"):
                await reader.readline()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        error = await refused(way_out(server.sockets[0].getsockname()[1]))
        server.close()
        assert not error.for_good and error.kind == kind

    run(work)


def test_a_server_that_drops_the_connection_midway_gets_the_letter_again_under_its_message_id() -> None:
    async def work() -> None:
        seen: list[str] = []

        class Dropping(Post):
            async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
                answer = await super().handle_DATA(server, session, envelope)
                seen.append(self.received[-1][1]["Message-ID"])
                if len(seen) == 1:
                    server.transport.abort()
                return answer

        async def at_once(seconds: float) -> None:
            return

        async with Dropping() as post:
            outbox = Outbox({EMAIL: way_out(post.port)}, lambda: 1, readable=True, sleep=at_once)
            outbox.send(LETTER)
            await all_seen_to(outbox)
        assert outbox.newest()[0].state == SENT
        assert len(seen) == 2 and len(set(seen)) == 1

    run(work)


def test_a_server_that_has_taken_a_letter_need_not_part_in_good_form() -> None:
    async def work() -> None:
        class Rude(Post):
            async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
                server.transport.abort()
                return "221 Bye"

        async with Rude(tls=True) as post:
            await way_out(post.port, tls=True).deliver(LETTER, 1)
        assert len(post.received) == 1

    run(work)


def test_a_server_that_hangs_is_given_up_and_holds_up_nobody() -> None:
    async def work() -> None:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            await writer.wait_closed()
            ended.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        smtp = way_out(server.sockets[0].getsockname()[1])
        smtp._timeout_s = 0.05
        error = await refused(smtp)
        server.close()
        await ended.wait()
        assert error.kind == "timeout" and not error.for_good

    run(work)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.test", ("mail.test", 587, "", "", "starttls")),
        ("smtp://ann:p%40ss@mail.test:25?starttls=required", ("mail.test", 25, "ann", "p@ss", "starttls")),
        ("smtps://ann:pass@mail.test", ("mail.test", 465, "ann", "pass", "tls")),
        ("smtp://mail.test:25?starttls=never", ("mail.test", 25, "", "", "none")),
        ("smtp://127.0.0.1:1025", ("127.0.0.1", 1025, "", "", "none")),
        ("smtp://localhost:1025?starttls=required", ("localhost", 1025, "", "", "starttls")),
    ],
)
def test_a_url_names_the_server(url: str, expected: tuple[str, int, str, str, str]) -> None:
    server = parse_smtp_url(url)
    assert (server.host, server.port, server.user, server.password, server.encryption) == expected
    assert not server.password or server.password not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "mail.test:587",
        "http://ann:hunter2@mail.test",
        "smtp://",
        "smtp://mail.test:99999",
        "smtp://mail.test/inbox",
        "smtp://ann@mail.test",
        "smtp://ann:hunter2@mail.test?starttls=never",
        "smtp://ann:hunter2@mail.test?starttls=maybe",
        "smtp://ann:hunter2@mail.test?startls=required",
        "smtps://ann:hunter2@mail.test?starttls=never",
        "smtp://ann:hunter2@[::1",
    ],
)
def test_a_url_that_says_something_else_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="SPAREKEY_SMTP_URL") as caught:
        parse_smtp_url(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("sender", ["", "nobody", "a@b@c", "Ann\r\nBcc: x@y.z <a@b.c>", "Zoë <zoë@exämple.com>", "<>"])
def test_whom_letters_are_from_must_be_an_address(sender: str) -> None:
    with pytest.raises(ValueError, match="SPAREKEY_MAIL_FROM"):
        parse_sender(sender)
