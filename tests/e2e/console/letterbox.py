"""A real SMTP server that keeps what it receives, and the reader of its letters."""

from __future__ import annotations

import email
import email.policy
import re
import socket
import threading
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

_PATIENCE_SECONDS = 20.0


class Letterbox:
    """Letters wait here, oldest first, until somebody takes them."""

    def __init__(self) -> None:
        self._letters: list[tuple[str, EmailMessage]] = []
        self._arrived = threading.Condition()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        self._server = Controller(self, hostname="127.0.0.1", port=port)
        self._server.start()
        self.url = f"smtp://127.0.0.1:{port}"

    def close(self) -> None:
        self._server.stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (the library's name)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        with self._arrived:
            self._letters += [(recipient, message) for recipient in envelope.rcpt_tos]
            self._arrived.notify_all()
        return "250 Kept"

    def take(self, recipient: str, subject: str) -> str:
        """The text of the oldest letter to `recipient` whose subject has `subject` in it; waits for it."""

        def find() -> int | None:
            return next(
                (
                    number
                    for number, (to, message) in enumerate(self._letters)
                    if to == recipient and subject.lower() in str(message["Subject"]).lower()
                ),
                None,
            )

        with self._arrived:
            assert self._arrived.wait_for(lambda: find() is not None, _PATIENCE_SECONDS), (
                f"no letter about {subject!r} to {recipient}; there are {self.subjects()}"
            )
            number = find()
            assert number is not None
            message = self._letters.pop(number)[1]
        return text_of(message)

    def subjects(self) -> list[str]:
        return [f"{to}: {message['Subject']}" for to, message in self._letters]

    def everything(self) -> str:
        """All letters as they came, headers and both bodies, to look for what must not be in them."""
        with self._arrived:
            return "\n".join(message.as_string() for _, message in self._letters)


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None, "a letter without a plain text"
    text: str = body.get_content()
    return text


def link_in(letter: str) -> str:
    links = re.findall(r"https?://\S+", letter)
    assert links, letter
    return str(links[0])


def code_in(letter: str) -> str:
    codes = re.findall(r"\b(\d{8})\b", letter)
    assert len(codes) == 1, letter
    return str(codes[0])
