"""Documents outlive a restart sealed, and not their account."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sparekey.storage.datadir import DataDirectoryError
from sparekey.storage.documents import DocumentVault
from sparekey.storage.vault import SecretUnavailable

KEY = bytes(range(32))


def with_documents(path: Path, work: Callable[[DocumentVault], Awaitable[None]], key: bytes = KEY) -> None:
    async def run() -> None:
        documents = DocumentVault(path, key)
        try:
            await work(documents)
        finally:
            documents.close()

    asyncio.run(run())


def test_a_document_outlives_a_restart_and_is_in_no_file_in_clear(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"

    async def write(documents: DocumentVault) -> None:
        assert await documents.seal("account-1", "kyc-image", "x", b"the photograph" * 1_000) == "kyc-image/account-1/x"

    async def read(documents: DocumentVault) -> None:
        assert await documents.open("kyc-image/account-1/x") == b"the photograph" * 1_000
        assert await documents.names("kyc-image") == [("account-1", "x")]

    async def refuse(documents: DocumentVault) -> None:
        with pytest.raises(SecretUnavailable):
            await documents.open("kyc-image/account-1/x")

    with_documents(path, write)
    with_documents(path, read)
    with_documents(path, refuse, bytes(32))
    assert all(b"photograph" not in file.read_bytes() for file in tmp_path.iterdir())
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())


def test_what_was_erased_is_not_even_there_sealed(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"

    async def work(documents: DocumentVault) -> None:
        for subject in ("account-1", "account-2"):
            await documents.seal(subject, "kyc-image", "x", b"a" * 100_000)
        sealed = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"kyc-image/account-1" in sealed
        await documents.erase("account-1")
        await documents.erase("account-3")
        with pytest.raises(SecretUnavailable):
            await documents.open("kyc-image/account-1/x")
        assert await documents.open("kyc-image/account-2/x") == b"a" * 100_000
        left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"account-1" not in left and b"kyc-image/account-2" in left

    with_documents(path, work)


def test_a_broken_file_is_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    path.write_bytes(b"not a database " * 500)
    with pytest.raises(DataDirectoryError, match="documents"):
        DocumentVault(path, KEY)
