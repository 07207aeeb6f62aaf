"""How often to ask again, and after how long: a retry helps a single call and hurts an upstream in trouble, so retries are a
share of the calls, and no two clients come back at the same moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable

LONGEST_WAIT = 2.0  # seconds; a client does the longer waits itself
SHARE = 0.1
RESERVE = 10.0  # retries that a quiet gateway may always make


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


def pause(
    attempt: int, retry_after: float | None, draw: Callable[[], float] = random.random, *, first: float = 0.1
) -> float | None:
    """Seconds to wait before attempt number `attempt` + 1; None where it is not worth waiting."""
    jittered: float = min(max(LONGEST_WAIT, first), first * 2**attempt) * (0.5 + draw() / 2)
    if retry_after is None:
        return jittered
    return max(jittered, retry_after) if retry_after <= LONGEST_WAIT else None
