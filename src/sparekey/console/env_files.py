"""The private files that a start writes: KEY=value lines for bots and for the operator, kept out of version control."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sparekey.storage.private_files import replace_file

#: First line of a file of ours. A file without it belongs to somebody else and is never written to.
MARK = "# Written by sparekey up; private. Lines that you add are kept."
_GIT_SECONDS = 10


class EnvFileRefused(Exception):
    """The file must not, or cannot, be written. The text is one line for people."""


def read_env(path: Path) -> dict[str, str]:
    """The file's values; none where there is no file yet. Raises `EnvFileRefused` for somebody else's file."""
    return dict(line.split("=", 1) for line in _lines_of(path) if _is_setting(line))


def write_env(path: Path, values: Mapping[str, str]) -> None:
    """Set `values`, leave other lines as they are; mode 0600, durable on return, untouched if nothing changes."""
    lines = _lines_of(path)
    missing = dict(values)
    written = [MARK]
    for line in lines[1:]:
        name = line.split("=", 1)[0]
        if _is_setting(line) and name in values:
            if name in missing:
                written.append(f"{name}={missing.pop(name)}")
        else:
            written.append(line)
    written += [f"{name}={value}" for name, value in missing.items()]
    if written == lines and stat.S_IMODE(path.stat().st_mode) == 0o600:
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, "".join(f"{line}\n" for line in written).encode())
    except OSError as error:
        raise EnvFileRefused(f"{path} cannot be written: {error.strerror}") from error


def check_ignored(path: Path) -> None:
    """Raises `EnvFileRefused` if `path` lies in a git work tree that would commit it."""
    folder = _existing_folder(path)
    tree = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
    if tree is None:
        return
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), "check-ignore", "-q", "--", str(path)],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
        said = answer.stderr.strip().splitlines()
    except (OSError, subprocess.TimeoutExpired) as error:
        said = [str(error)]
    else:
        if answer.returncode == 0:
            return
        if answer.returncode == 1:
            line = path.relative_to(tree) if path.is_relative_to(tree) else path.name
            raise EnvFileRefused(
                f"{path} would hold secrets and git does not ignore it; add this line to {tree / '.gitignore'}: /{line}"
            )
    raise EnvFileRefused(
        f"{path} would hold secrets, and whether git ignores it cannot be told ({said[0] if said else 'git failed'}); "
        "choose a file outside of the git work tree"
    )


def _lines_of(path: Path) -> list[str]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise EnvFileRefused(f"{path} cannot be read: {error}") from error
    lines = text.splitlines()
    if any(line.strip() for line in lines) and lines[0] != MARK:
        raise EnvFileRefused(f"{path} was not written by Sparekey and is left alone; choose another file")
    return lines if any(line.strip() for line in lines) else []


def _is_setting(line: str) -> bool:
    return "=" in line and not line.startswith("#")


def _existing_folder(path: Path) -> Path:
    folder = path.parent
    while not os.path.isdir(folder):
        folder = folder.parent
    return folder
