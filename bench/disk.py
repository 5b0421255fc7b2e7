"""How long this disk takes to sync, measured between the rounds: what no durable order can be faster than."""

from __future__ import annotations

import os
import time
from pathlib import Path

_BYTES = 8_192
#: Beyond this 99th percentile the disk is busy with others' work, and latencies are theirs.
BUSY_MS = 5.0


def sync_ms(folder: Path, times: int = 60) -> list[float]:
    """Milliseconds of an `fdatasync` after each of so many appended writes, ascending."""
    path = folder / "sync"
    taken = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(times):
            os.write(descriptor, bytes(_BYTES))
            started = time.perf_counter()
            os.fdatasync(descriptor)
            taken.append((time.perf_counter() - started) * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    return sorted(taken)


def percentile(values: list[float], per_cent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * per_cent / 100))]


def synced(values: list[float]) -> str:
    """A note for the table."""
    return (
        f"The disk took {percentile(values, 50):.2f} ms to sync {_BYTES // 1024} KB, "
        f"{percentile(values, 99):.1f} ms at the 99th percentile."
    )
