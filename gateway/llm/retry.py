"""When to ask again, and whom not to ask for a while. Going on to another provider is not a retry."""

from __future__ import annotations

import time
from collections.abc import Callable

RETRYABLE = frozenset((408, 500, 502, 503, 504, 529))
ELSEWHERE = RETRYABLE | {429}  # worth another provider
FAILURES = 5  # in a row, after which a provider is left alone
EJECTION = 15.0  # seconds, doubled each time up to
LONGEST_EJECTION = 240.0


class Health:
    """Failures in a row, by provider. One that is left alone gets a single call when its time is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def well(self, name: str) -> None:
        if self._failures:
            self._failures.pop(name, None)
            self._until.pop(name, None)

    def failed(self, name: str) -> None:
        count = self._failures[name] = self._failures.get(name, 0) + 1
        if count >= FAILURES:
            self._until[name] = self._clock() + min(LONGEST_EJECTION, EJECTION * 2 ** (count - FAILURES))

    def ejected(self, name: str) -> bool:
        until = self._until.get(name)
        return until is not None and self._clock() < until
