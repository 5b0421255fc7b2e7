"""How the console's services ask the one writer of the access shard, and wait until what it said is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sparekey.sequencer.sequencer import Sequencer
from sparekey.terms.refusals import Refusal


class AccessWriter:
    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer

    def submit(self, command: Any) -> Sequence[Any] | Refusal:
        """Decided and applied on return; what it led to is shown to nobody before `durable`."""
        return self._sequencer.submit("access", command)

    async def durable(self) -> None:
        """Returns once all that happened so far is durable."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle() -> None:
            if not done.done():
                done.set_result(None)

        if not self._sequencer.when_durable(settle):
            await done

    async def ask(self, command: Any) -> Refusal | None:
        """Submit, and wait for it; a refusal waits for what it looked at as well."""
        outcome = self.submit(command)
        await self.durable()
        return outcome if isinstance(outcome, Refusal) else None
