"""Keeps away from a store that does not answer, so that each request does not wait for it anew."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 3
PAUSE = 1.0


class Breaker:
    """Open after FAILURES in a row; after PAUSE seconds one request at a time tries again. Who is answered sets `failures` to 0."""

    __slots__ = ("_clock", "_until", "failures")

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.failures = 0
        self._until = 0.0

    def allows(self) -> bool:
        if self.failures < FAILURES:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._until = now + PAUSE  # this one tries; the others wait for what becomes of it
        return True

    def failed(self) -> None:
        self.failures += 1
        self._until = self._clock() + PAUSE
