"""What addresses used of their limits, and who is banned, in one small private file.

Only this lives outside of the journal, because it changes with every request. A crash forgets at most the last second;
an unreadable file is forgotten as a whole, which can only be in the callers' favour.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from sparekey.access.limits import IpLedger

_log = logging.getLogger(__name__)


class AddressCounts:
    """`save` is for about once a second; it writes when something changed, and off the loop if called there."""

    def __init__(self, path: Path, ledger: IpLedger) -> None:
        self._path = path
        self._ledger = ledger
        self._saved = b""
        #: For the readiness page; "" while all is well.
        self.problem = ""

    def load(self) -> None:
        try:
            content = self._path.read_bytes()
            self._ledger.load(msgspec.msgpack.decode(content))
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, ValueError, TypeError) as error:
            _log.warning("%s is unreadable (%s); addresses start with nothing used", self._path, error)
        else:
            self._saved = content

    def dump(self) -> bytes:
        """What to hand to `save`; on the loop, so that nobody counts meanwhile."""
        return msgspec.msgpack.encode(self._ledger.dump())

    def save(self, content: bytes) -> None:
        """Replace the file if it would change. Not synced: a power cut may take the last counts with it."""
        if content == self._saved:
            return
        part = self._path.with_name(f".{self._path.name}.part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(part, self._path)
        except OSError as error:
            self.problem = f"the counts of addresses cannot be saved: {error}"
        else:
            self._saved = content
            self.problem = ""
