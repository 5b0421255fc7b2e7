"""A disk whose power can be cut: a SQLite file system layer that knows what was synced and what was only written.

Everything really happens on the disk below, so that SQLite sees what it wrote. Beside it the layer keeps what would
survive: after a cut, `survivors` writes the files as a power cut leaves them - what was synced, plus a random part of
the sectors written since. A file whose name was never synced may be gone. A disk can also be full.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


class PowerCut(apsw.IOError):
    """The machine is off."""


class _Shadow:
    """One file: its content at the last sync (None: not even its name is durable), and what happened since."""

    def __init__(self, durable: bytes | None) -> None:
        self.durable = durable
        self.unsynced: list[tuple[str, int, bytes]] = []
        self.deleted = False

    def sync(self) -> None:
        content = bytearray(self.durable or b"")
        for operation in self.unsynced:
            _apply(content, operation)
        self.durable = bytes(content)
        self.unsynced = []

    def survivor(self, rng: random.Random) -> bytes | None:
        if (self.durable is None or self.deleted) and rng.random() < 0.5:
            return None
        content = bytearray(self.durable or b"")
        kept = rng.choice((0.0, 0.3, 0.7, 0.95, 1.0))
        for kind, offset, data in self.unsynced:
            if kind == "truncate":
                if rng.random() < kept:
                    _apply(content, (kind, offset, data))
                continue
            position = 0
            while position < len(data):
                end = min(len(data), (offset + position) // SECTOR * SECTOR + SECTOR - offset)
                if rng.random() < kept:
                    _apply(content, (kind, offset + position, data[position:end]))
                position = end
        return bytes(content)


def _apply(content: bytearray, operation: tuple[str, int, bytes]) -> None:
    kind, offset, data = operation
    if kind == "truncate":
        del content[offset:]
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class PowerCutDisk(apsw.VFS):
    """Registered under `name`. `cut_after` counts writes, truncations, syncs and deletions until the power goes;
    `free_bytes` is what the disk still takes."""

    def __init__(self, name: str, cut_after: int | None = None, free_bytes: int | None = None) -> None:
        self.name = name
        self.cut_after = cut_after
        self.free_bytes = free_bytes
        self.off = False
        self.operations = 0
        self.shadows: dict[str, _Shadow] = {}
        super().__init__(name, "")

    def step(self) -> None:
        if self.off or (self.cut_after is not None and self.operations >= self.cut_after):
            self.off = True
            raise PowerCut("the power is cut")
        self.operations += 1

    def spend(self, amount: int) -> None:
        if self.free_bytes is not None:
            if amount > self.free_bytes:
                raise apsw.exception_for(apsw.SQLITE_FULL)
            self.free_bytes -= amount

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - SQLite's name
        path = None if name is None else str(name.filename() if isinstance(name, apsw.URIFilename) else name)
        return _PowerCutFile(self, name, flags, path)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.step()
        super().xDelete(filename, syncdir)
        if syncdir:
            self.shadows.pop(filename, None)
        elif filename in self.shadows:
            self.shadows[filename].deleted = True

    def sync_names(self) -> None:
        """The directory is synced, as SQLite does with the first sync of a log it created."""
        self.shadows = {path: shadow for path, shadow in self.shadows.items() if not shadow.deleted}

    def cut(self) -> None:
        self.off = True

    def survivors(self, folder: Path, rng: random.Random) -> None:
        """Write the files as the cut leaves them into `folder`."""
        folder.mkdir()
        for path, shadow in self.shadows.items():
            content = shadow.survivor(rng)
            if content is not None:
                (folder / Path(path).name).write_bytes(content)


class _PowerCutFile(apsw.VFSFile):
    def __init__(self, disk: PowerCutDisk, name: Any, flags: list[int], path: str | None) -> None:
        self._disk = disk
        if path is None:
            self._shadow = _Shadow(None)
        else:
            there = Path(path)
            known = disk.shadows.get(path)
            if known is None or known.deleted:
                known = disk.shadows[path] = _Shadow(there.read_bytes() if there.exists() else None)
            self._shadow = known
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.step()
        self._disk.spend(max(0, offset + len(data) - super().xFileSize()))
        super().xWrite(data, offset)
        self._shadow.unsynced.append(("write", offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.step()
        super().xTruncate(size)
        self._shadow.unsynced.append(("truncate", size, b""))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.step()
        if self._shadow.durable is None:
            self._disk.sync_names()
        self._shadow.sync()  # The disk below need not really sync: only the shadow survives.
