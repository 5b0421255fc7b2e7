"""Sessions of people in a browser: opened at sign-in, ended by sign-out, by time, or together by the account's epoch.

A token is 256 random bits, known to the browser alone, and another one after each step that proves more: whoever had
the old one has nothing. A session counts only while its epoch is the account's, which the journal keeps; so "end all
sessions" holds whatever becomes of the file of sessions.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from sparekey.storage.sessions import Link, Session, SessionFile
from sparekey.terms.clocktime import DAY_US, HOUR_US, MINUTE_US

__all__ = ["OPERATOR", "Session", "Sessions"]

#: The account id of the operator's sessions.
OPERATOR: Final = 0

IDLE_US: Final = 12 * HOUR_US
ABSOLUTE_US: Final = 14 * DAY_US
#: How long a second factor may take after the password.
HALF_US: Final = 10 * MINUTE_US
#: A session that is used is written down that often.
SEEN_EVERY_US: Final = MINUTE_US

#: Of one account, in each stage; the oldest makes room.
MOST_SESSIONS: Final = 30
MOST_DEVICES: Final = 30
#: Of all accounts together: links live for minutes.
MOST_LINKS: Final = 10_000

_TOKEN_BYTES = 32
_HANDLE_BYTES = 9
_LONGEST_AGENT = 200
_LONGEST_TOKEN = 128


class Sessions:
    """`epoch_of` gives an account's epoch, None for an account that is gone; `now_us` is policy time."""

    def __init__(
        self,
        file: SessionFile,
        epoch_of: Callable[[int], int | None],
        now_us: Callable[[], int],
        *,
        idle_us: int = IDLE_US,
        absolute_us: int = ABSOLUTE_US,
        half_us: int = HALF_US,
    ) -> None:
        self._file = file
        self._epoch_of = epoch_of
        self._now_us = now_us
        self._idle_us = idle_us
        self._absolute_us = absolute_us
        self._half_us = half_us

    # --- opening and changing ----------------------------------------------------------------------------------------

    def open(self, account_id: int, *, ip: str, agent: str, proven: tuple[str, ...]) -> tuple[Session, str]:
        """A full session and its token, which is told this once."""
        return self._open(account_id, "full", ip, agent, proven, self._absolute_us)

    def open_half(self, account_id: int, *, ip: str, agent: str, proven: tuple[str, ...]) -> tuple[Session, str]:
        """A session that can do nothing but prove a second factor (`complete`), soon."""
        return self._open(account_id, "half", ip, agent, proven, self._half_us)

    def complete(self, session: Session, factor: str) -> tuple[Session, str] | None:
        """A half session becomes a full one under a new token; None if it ended meanwhile."""
        if session.stage != "half" or not self._counts(session):
            return None
        now_us = self._now_us()
        return self._renew(
            session,
            stage="full",
            proven=(*session.proven, factor),
            created_us=now_us,
            seen_us=now_us,
            until_us=now_us + self._absolute_us,
            csrf=secrets.token_urlsafe(_TOKEN_BYTES),
        )

    def rotate(self, session: Session) -> tuple[Session, str] | None:
        """The same session under a new token, for whoever has just proven more; None if it ended meanwhile."""
        return self._renew(session) if self._counts(session) else None

    def carry_over(self, session: Session) -> tuple[Session, str] | None:
        """The one session that goes on, under a new token, when a new epoch has ended all of its account.

        Only in the same breath as the command that made the epoch, so that none that came later is undone.
        """
        epoch = self._epoch_of(session.account_id)
        return None if epoch is None else self._renew(session, epoch=epoch)

    def _open(
        self, account_id: int, stage: str, ip: str, agent: str, proven: tuple[str, ...], lasts_us: int
    ) -> tuple[Session, str]:
        epoch = self._epoch_of(account_id)
        if epoch is None:
            raise LookupError(f"no account {account_id} to sign in to")
        now_us = self._now_us()
        session = Session(
            handle=secrets.token_urlsafe(_HANDLE_BYTES),
            account_id=account_id,
            epoch=epoch,
            stage=stage,
            proven=proven,
            created_us=now_us,
            seen_us=now_us,
            until_us=now_us + lasts_us,
            ip=ip,
            agent=_printable(agent),
            csrf=secrets.token_urlsafe(_TOKEN_BYTES),
        )
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._file.open(session, token, most=MOST_SESSIONS)
        return session, token

    def _renew(self, session: Session, **changes: object) -> tuple[Session, str] | None:
        renewed = msgspec.structs.replace(session, **changes)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        return (renewed, token) if self._file.replace(renewed, token) else None

    # --- finding -----------------------------------------------------------------------------------------------------

    def find(self, token: str) -> Session | None:
        """The full session of this token, if it still counts; it is in use."""
        return self._find(token, "full")

    def find_half(self, token: str) -> Session | None:
        """The session of this token that still lacks its second factor."""
        return self._find(token, "half")

    def is_alive(self, session: Session) -> bool:
        """Whether it still counts, for work that was begun with it and took a while."""
        return self._counts(session) and any(
            other.handle == session.handle and other.epoch == session.epoch
            for other in self._file.of(session.account_id)
        )

    def of(self, account_id: int) -> list[Session]:
        """The account's full sessions that count, the newest first."""
        return [session for session in self._file.of(account_id) if session.stage == "full" and self._counts(session)]

    def _find(self, token: str, stage: str) -> Session | None:
        if not token or len(token) > _LONGEST_TOKEN:
            return None
        session = self._file.find(token)
        if session is None or session.stage != stage:
            return None
        if not self._counts(session):
            self._file.end(session.handle)
            return None
        now_us = self._now_us()
        if now_us - session.seen_us < SEEN_EVERY_US:
            return session
        self._file.note_seen(session.handle, now_us)
        return msgspec.structs.replace(session, seen_us=now_us)

    def _counts(self, session: Session) -> bool:
        now_us = self._now_us()
        return (
            now_us < session.until_us
            and now_us - session.seen_us < self._idle_us
            and session.epoch == self._epoch_of(session.account_id)
        )

    # --- ending ------------------------------------------------------------------------------------------------------

    def end(self, session: Session) -> None:
        self._file.end(session.handle)

    def end_one(self, account_id: int, handle: str) -> bool:
        """End the account's session of this handle; False if the account has none such."""
        if not any(session.handle == handle for session in self._file.of(account_id)):
            return False
        self._file.end(handle)
        return True

    def end_all(self, account_id: int, *, but: str = "") -> None:
        """Of the account, apart from the handle `but`. What ends them for certain is a new epoch."""
        self._file.end_all(account_id, but)

    def forget_account(self, account_id: int) -> None:
        """The account was erased: its sessions, devices and links go with it."""
        self._file.forget_account(account_id)

    def begin(self) -> None:
        """At a start: forget whoever was erased while the last process ended, and what has run out."""
        for account_id in self._file.account_ids():
            if account_id != OPERATOR and self._epoch_of(account_id) is None:
                self._file.forget_account(account_id)
        self.tidy()

    def tidy(self) -> None:
        """Forget what has run out; about once a minute."""
        now_us = self._now_us()
        self._file.drop_expired(now_us, now_us - self._idle_us)

    # --- devices and links -------------------------------------------------------------------------------------------

    def knows_device(self, account_id: int, device: str) -> bool:
        return 0 < len(device) <= _LONGEST_TOKEN and self._file.knows_device(account_id, device)

    def note_device(self, account_id: int, device: str) -> str:
        """Remember the device; answers its token, a new one for a device that nobody has signed in on.

        A token that somebody else put into the browser is none of ours, and must not pass for a known device later.
        """
        ours = 0 < len(device) <= _LONGEST_TOKEN and self._file.knows_device(None, device)
        token = device if ours else secrets.token_urlsafe(_TOKEN_BYTES)
        self._file.note_device(account_id, token, self._now_us(), most=MOST_DEVICES)
        return token

    def open_link(self, account_id: int, lasts_us: int) -> str:
        """A token that allows one thing, once, while the account's epoch stays. Account 0: it will allow nothing."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        epoch = self._epoch_of(account_id) if account_id else 0
        self._file.open_link(token, Link(account_id, epoch or 0, self._now_us() + lasts_us), most=MOST_LINKS)
        return token

    def account_of_link(self, token: str) -> int | None:
        """Whose account the link is for; None for one that was used, has run out, or never was."""
        if not 0 < len(token) <= _LONGEST_TOKEN:
            return None
        link = self._file.find_link(token)
        if link is None or not link.account_id or self._now_us() >= link.until_us:
            return None
        return link.account_id if self._epoch_of(link.account_id) == link.epoch else None

    def take_link(self, token: str) -> int | None:
        """Use the link up: whose account it was for, or None."""
        account_id = self.account_of_link(token)
        return account_id if account_id is not None and self._file.take_link(token) else None


def _printable(agent: str) -> str:
    """A browser's own name for itself, which may hold anything."""
    return "".join(character if character.isprintable() else " " for character in agent[:_LONGEST_AGENT]).strip()
