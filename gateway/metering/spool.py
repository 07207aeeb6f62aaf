"""Between a finished call and the ledger: records wait a moment for company, and for a store that does not answer."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from gateway.errors import StoreError, Unwritable
from gateway.metering.record import Record
from gateway.tasks import end, under_way

if TYPE_CHECKING:
    from gateway.stores.protocols import Ledger

log = logging.getLogger("gateway.metering")
LINGER = 0.1
BATCH = 256
BOUND = 10_000
_PAUSES = (0.1, 0.5, 2.0, 5.0)


class Spool:
    """`put` never waits. With `linger=0` nothing runs by itself (on Lambda): what was `put` goes to the ledger by the next
    `flush`."""

    def __init__(self, ledger: Ledger, *, linger: float = LINGER, bound: int = BOUND) -> None:
        self.at_once = not linger
        self._ledger = ledger
        self._linger = linger
        self._bound = bound
        self._waiting: list[Record] = []
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0  # records lost: the ledger did not answer for too long, or cannot hold them

    def put(self, record: Record) -> None:
        self._waiting.append(record)
        if len(self._waiting) > self._bound:
            del self._waiting[0]
            self.dropped += 1
        if not (self.at_once or under_way(self._task)):
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        failures = 0
        while self._waiting:
            pause = _PAUSES[min(failures, len(_PAUSES)) - 1] if failures else self._linger
            await asyncio.sleep(pause)
            failures = 0 if await self.flush() else failures + 1

    async def flush(self) -> bool:
        """Whether the ledger took what waited; what it did not take goes on waiting. A record that it can never hold is
        searched for by halves, so that all others are written."""
        most = BATCH
        while self._waiting:
            batch = self._waiting[:most]
            del self._waiting[:most]
            try:
                await self._ledger.append(batch)
                most = min(BATCH, 2 * most)
            except asyncio.CancelledError:
                self._waiting[:0] = batch  # it may stand there by now: a record written twice counts once
                raise
            except Unwritable as error:
                if len(batch) == 1:
                    self.dropped += 1
                    log.error("the record %s is lost, which the ledger cannot hold: %s", batch[0].id, error)
                else:
                    self._waiting[:0] = batch
                    most = len(batch) // 2
            except StoreError as error:
                log.warning("the ledger did not take %d records: %s", len(batch), error)
                self._waiting[:0] = batch
                return False
        return True

    async def close(self) -> None:
        """One last attempt for what still waits."""
        await end(self._task)
        if not await self.flush():
            self.dropped += len(self._waiting)
