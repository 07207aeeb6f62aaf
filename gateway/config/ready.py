"""What `/readyz` says: may requests be sent here, or is the store's account not set up?"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.errors import StoreError, StoreUnusable
from gateway.stores.protocols import Documents

GOOD_FOR = 60.0  # seconds; whoever asks often must not be billed for it


class Ready:
    """Reads, and writes under a condition that cannot hold, so that nothing is written.

    What passes by itself (a timeout, throttling) is no reason to be sent nothing: requests have their own answer to it.
    """

    def __init__(
        self, store: Callable[[], Documents], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._clock = clock
        self._until = float("-inf")

    async def __call__(self) -> str:
        if self._clock() < self._until:
            return ""
        try:
            store = self._store()
            await store.get("ready", "nothing")
            await store.put("ready", "nothing", {}, expect=1)
        except StoreUnusable as error:
            return str(error)
        except StoreError:
            return ""
        self._until = self._clock() + GOOD_FOR
        return ""
