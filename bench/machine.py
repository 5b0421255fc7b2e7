"""What the numbers were measured on. No names of hosts or users."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path


def describe() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    optimised = "with" if "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")) else "without"
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory} MB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {optimised} --enable-optimizations",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "sqlite": sqlite3.sqlite_version,
        "byte order": sys.byteorder,
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
