"""When to ask again, and whom not to ask for a while.

A retry helps a single call and hurts an upstream in trouble, so retries are a share of the calls; going on to another
provider is not a retry and costs nothing of it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

RETRYABLE = frozenset((408, 500, 502, 503, 504, 529))
ELSEWHERE = RETRYABLE | {429}  # worth another provider
LONGEST_WAIT = 2.0  # seconds; a client does the longer waits itself
SHARE = 0.1
RESERVE = 10.0  # retries that a quiet gateway may always make
FAILURES = 5  # in a row, after which a provider is left alone
EJECTION = 15.0  # seconds, doubled each time up to
LONGEST_EJECTION = 240.0


class Budget:
    """One retry for every ten calls, ten at once at most."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = RESERVE

    def called(self) -> None:
        self._left = min(RESERVE, self._left + SHARE)

    def take(self) -> bool:
        if self._left < 1:
            return False
        self._left -= 1
        return True


def pause(attempt: int, retry_after: float | None, draw: Callable[[], float] = random.random) -> float | None:
    """Seconds to wait before attempt number `attempt` + 1; None where it is not worth waiting."""
    jittered: float = min(LONGEST_WAIT, 0.1 * 2**attempt) * (0.5 + draw() / 2)
    if retry_after is None:
        return jittered
    return max(jittered, retry_after) if retry_after <= LONGEST_WAIT else None


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
