"""What must be out before an answer ends, where the process is frozen the moment after: on Lambda."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import StoreError

if TYPE_CHECKING:
    from gateway.metering.meter import RouteMeters
    from gateway.stores.protocols import Documents
    from gateway.telemetry.background import Background
    from gateway.telemetry.toolcosts import ToolCosts

log = logging.getLogger("gateway")
WAIT: Final = 1.0  # seconds that a request may wait for a receiver of telemetry
PAUSE: Final = 30.0  # after one that did not take it in time: what is left goes out with later requests
SAVED: Final = 10.0  # seconds between two writings of what tools cost


class Flush:
    """Awaited at the end of each request: `Flush(meters, queues)`.

    Records go to the ledger, spans and audit lines to their receivers. What tools cost is written now and then.
    """

    def __init__(
        self,
        meters: RouteMeters,
        queues: Sequence[Background[Any]],
        *,
        costs: ToolCosts | None = None,
        store: Documents | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._meters = meters
        self._queues = queues
        self._costs = costs
        self._store = store
        self._clock = clock
        self._not_before = 0.0
        self._saved = 0.0

    async def __call__(self) -> None:
        await self._meters.flush()
        now = self._clock()
        if self._costs is not None and self._store is not None and now - self._saved >= SAVED:
            self._saved = now
            await saved(self._costs, self._store)
        if now >= self._not_before:
            await self._telemetry()

    async def _telemetry(self) -> None:
        sent = await asyncio.gather(*(asyncio.to_thread(queue.flush, WAIT) for queue in self._queues))
        if not all(sent):
            log.warning("a receiver of telemetry is slow; requests do not wait for it for %d s", PAUSE)
            self._not_before = self._clock() + PAUSE


async def keep_saving(costs: ToolCosts, store: Documents) -> None:
    """Where the process lives on: until it is cancelled; then once more."""
    try:
        while True:
            await asyncio.sleep(SAVED)
            await saved(costs, store)
    finally:
        await saved(costs, store)


async def saved(costs: ToolCosts, store: Documents) -> None:
    try:
        await costs.save(store)
    except StoreError as error:
        log.warning("what tools cost waits for the store: %s", error)
