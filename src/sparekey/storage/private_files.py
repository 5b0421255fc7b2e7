"""Small files that only their owner may read, replaced as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` with mode 0600, so that a crash leaves either the old file or the new one, durably."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def is_part(name: str) -> bool:
    """Whether a file of this name is what `replace_file` leaves when it is killed half-way."""
    return name.startswith(".") and name.endswith(".part")


def make_private(path: Path) -> None:
    """An empty file that only its owner may read, unless there is one: for SQLite, which would ask the umask, and which
    gives its companions the mode of the database."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable; the rename of a file is not, by itself (man 2 fsync)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
