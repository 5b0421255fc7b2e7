"""A disk of a few megabytes that a test can fill: a tmpfs, which only root can mount."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

from tests.conftest import demand


class SmallDisk:
    """Mounted at `path`; `fill` leaves not one byte, `free` gives them back."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "sparekey-test", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        demand(done.returncode == 0, f"the right to mount a small disk ({done.stderr.strip()})")

    def fill(self) -> None:
        with (self.path / "filling").open("wb", buffering=0) as file:
            for size in (65_536, 4_096, 512, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        (self.path / "filling").unlink()

    def unmount(self) -> None:
        # Lazily: a process that still holds a file there must not keep the test from cleaning up.
        subprocess.run(["umount", "-l", str(self.path)], check=True)
