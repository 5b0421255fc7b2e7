"""What addresses used of their limits, and who is banned, in two small private files.

Only this lives outside of the journal, because it changes with every request. A crash forgets at most the last second
of what was used; a ban is rare and is saved, durably, before anybody is told of it. An unreadable file is forgotten as
a whole, which can only be in the callers' favour.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sparekey.access.limits import IpLedger
from sparekey.storage.private_files import replace_file

_log = logging.getLogger(__name__)


class AddressCounts:
    """`save` is for about once a second; it writes when something changed, and off the loop if called there.

    `save_bans` is for `IpLedger.on_change`. The bans' own file stands beside `path` and counts for more.
    """

    def __init__(self, path: Path, ledger: IpLedger) -> None:
        self._path = path
        self._bans_path = path.with_name("bans")
        self._bans_problem = ""
        self._ledger = ledger
        self._saved = b""
        self._counts_problem = ""

    @property
    def problem(self) -> str:
        """For the readiness page; "" while all is well."""
        return self._bans_problem or self._counts_problem

    def load(self) -> None:
        content = self._load(self._path, self._ledger.load, "addresses start with nothing used")
        if content is not None:
            self._saved = content
        self._load(self._bans_path, self._ledger.load_bans, "addresses are banned as they were a second before")

    def save_bans(self) -> None:
        """Durably, while whoever earned the ban waits for the answer."""
        try:
            replace_file(self._bans_path, msgspec.msgpack.encode(self._ledger.dump_bans()))
        except OSError as error:
            self._bans_problem = f"a ban cannot be saved: {error}"
        else:
            self._bans_problem = ""

    def _load(self, path: Path, take: Callable[[Any], None], instead: str) -> bytes | None:
        try:
            content = path.read_bytes()
            take(msgspec.msgpack.decode(content))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, ValueError, TypeError) as error:
            _log.warning("%s is unreadable (%s); %s", path, error, instead)
            return None
        return content

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
            self._counts_problem = f"the counts of addresses cannot be saved: {error}"
        else:
            self._saved = content
            self._counts_problem = ""
