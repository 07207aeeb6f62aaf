"""Between a finished call and the ledger: records wait a moment for company, and for a store that does not answer."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from gateway.errors import StoreError
from gateway.metering.record import Record

if TYPE_CHECKING:
    from gateway.stores.protocols import Ledger

log = logging.getLogger("gateway.metering")
LINGER = 0.1
BATCH = 256
BOUND = 10_000
_PAUSES = (0.1, 0.5, 2.0, 5.0)


class Spool:
    """`put` never waits. With `linger=0` nothing runs by itself (on Lambda): `write` returns when the record is in the
    ledger, and what was `put` goes there by the next `flush`."""

    def __init__(self, ledger: Ledger, *, linger: float = LINGER, bound: int = BOUND) -> None:
        self._ledger = ledger
        self._linger = linger
        self._bound = bound
        self._waiting: deque[Record] = deque()
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0  # records lost because the ledger did not answer for too long

    async def write(self, record: Record) -> None:
        if self._linger:
            return self.put(record)
        self._keep(record)
        await self.flush()

    def put(self, record: Record) -> None:
        self._keep(record)
        if self._linger and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._run())

    def _keep(self, record: Record) -> None:
        if len(self._waiting) >= self._bound:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(record)

    async def _run(self) -> None:
        failures = 0
        while self._waiting:
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES)) - 1] if failures else self._linger)
            failures = 0 if await self.flush() else failures + 1

    async def flush(self) -> bool:
        """Whether the ledger took what waited; what it did not take goes on waiting."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._ledger.append(batch)
            except StoreError as error:
                log.warning("the ledger did not take %d records: %s", len(batch), error)
                self._waiting.extendleft(reversed(batch))
                return False
        return True

    async def close(self) -> None:
        """One last attempt for what still waits."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if not await self.flush():
            self.dropped += len(self._waiting)
