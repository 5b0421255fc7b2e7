"""What a test may ask of the machine: loudly skipped without it, demanded under SPAREKEY_REQUIRE=all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

# Timing never decides a test: a busy machine is neither a failure nor "unhealthy".
settings.register_profile("house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def demand(present: bool, what: str) -> None:
    """Go on if `present`; else skip and say what is missing, or fail where CI demands everything."""
    if present:
        return
    if os.environ.get("SPAREKEY_REQUIRE") == "all":
        pytest.fail(f"{what} is missing, and SPAREKEY_REQUIRE=all demands it")
    pytest.skip(f"NOT TESTED: {what} is missing")


@pytest.fixture
def require() -> Callable[[str], str]:
    """`require("nginx")` → the program's path."""

    def find(program: str) -> str:
        path = shutil.which(program)
        demand(path is not None, f"the program {program}")
        assert path is not None
        return path

    return find
