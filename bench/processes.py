"""Servers under measurement: each on one core, its CPU time read from the kernel, the generator on the other core."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


#: Above others, where the system allows it: on a machine that others use as well, less of their work is measured.
_PRIORITY = -15


class Cores(NamedTuple):
    """Where the servers run, and where the generator does. With one core both share it, and the table says so."""

    server: int
    generator: int


def cores() -> Cores:
    available = sorted(os.sched_getaffinity(0))
    return Cores(available[0], available[-1])


def raise_priority() -> bool:
    """Of this process and of what it starts, until it ends; False where that is not allowed."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
        _favour_session(_PRIORITY)
    except OSError:
        return False
    atexit.register(_favour_session, 0)
    return True


def _favour_session(priority: int) -> None:
    """Linux shares the processor between sessions first (sched_autogroup), and nice levels count within one only."""
    group = Path("/proc/self/autogroup")
    if group.exists():
        group.write_text(str(priority))


class Server:
    """A process that listens on `port` of 127.0.0.1."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        core: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
        says_ready: bytes = b"",
    ) -> None:
        """It is up when it accepts connections, or when it has printed `says_ready`."""
        self.name = name
        self.port = port
        self._spent: dict[str, int] = {}
        self._log = log.open("wb")
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
        self._wait(log, says_ready)

    def _wait(self, log: Path, says_ready: bytes, within_s: float = 60.0) -> None:
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            if says_ready:
                if says_ready in log.read_bytes():
                    return
                time.sleep(0.01)
                continue
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} did not start:\n{log.read_text(errors='replace')[-3000:]}")

    def cpu_ns(self) -> int:
        """CPU time of the process and its children so far; what has ended keeps what it had when last seen."""
        for pid in family(self.process.pid):
            self._spent |= _cpu_ns(pid)
        return sum(self._spent.values())

    def resident_bytes(self) -> int:
        return sum(resident_bytes(pid) for pid in family(self.process.pid))

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for one in found:
        try:
            children = Path(f"/proc/{one}/task/{one}/children").read_text()
        except OSError:
            continue
        found += [int(child) for child in children.split()]
    return found


def _cpu_ns(pid: int) -> dict[str, int]:
    """By thread, to the nanosecond, where the kernel keeps scheduler statistics; else as a whole, in ticks of 10 ms."""
    spent: dict[str, int] = {}
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            spent[path.parent.name] = int(path.read_text().split()[0])
        except (OSError, IndexError):
            continue
    if any(spent.values()):
        return spent
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return {}
    return {str(pid): (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")}


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def until(condition: Callable[[], bool], within_s: float) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
