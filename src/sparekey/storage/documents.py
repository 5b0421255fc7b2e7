"""A vault for documents: applications for identity checks and their photographs, in a file and a thread of their own.

They are a thousand times the size of a secret. Sealing and writing one takes some ten milliseconds, in which orders
would wait; so it is the same vault, sealed in the same way, beside the one that the loop uses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from sparekey.storage.datadir import DataDirectoryError
from sparekey.storage.vault import Vault

T = TypeVar("T")


class DocumentVault:
    """`path` may be `":memory:"`. The methods are those of `Vault`, waited for."""

    def __init__(self, path: Path | str, key_encryption_key: bytes) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="documents")
        try:
            self._vault = self._thread.submit(Vault, path, key_encryption_key).result()
        except apsw.Error as error:
            self._thread.shutdown()
            raise DataDirectoryError(f"the documents {path} cannot be used: {error}") from error

    async def seal(self, subject: str, kind: str, name: str, clear: bytes) -> str:
        return await self._do(lambda: self._vault.seal(subject, kind, name, clear))

    async def open(self, vault_id: str) -> bytes:
        """Raises `SecretUnavailable`."""
        return await self._do(lambda: self._vault.open(vault_id))

    async def forget(self, vault_id: str) -> None:
        await self._do(lambda: self._vault.forget(vault_id))

    async def erase(self, subject: str) -> None:
        await self.erase_all([subject])

    async def erase_all(self, subjects: Sequence[str]) -> None:
        def erase() -> None:
            for subject in subjects:
                if self._vault.knows(subject):
                    self._vault.erase(subject)

        await self._do(erase)

    async def names(self, kind: str) -> list[tuple[str, str]]:
        return await self._do(lambda: self._vault.names(kind))

    def close(self) -> None:
        self._thread.submit(self._vault.close).result()
        self._thread.shutdown()

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
