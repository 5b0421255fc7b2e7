"""The same servers as the end-to-end tests."""

from __future__ import annotations

from tests.e2e.conftest import start, venue  # noqa: F401
