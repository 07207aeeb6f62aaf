"""Places of a text that a finding has taken, so that no other finding names them again."""

from __future__ import annotations

from bisect import bisect_left


class Taken:
    def __init__(self) -> None:
        self._starts: list[int] = []  # in order; none overlaps another
        self._ends: list[int] = []

    def take(self, start: int, end: int) -> bool:
        """Whether nothing of this place was taken before."""
        at = bisect_left(self._starts, end)
        if at and self._ends[at - 1] > start:
            return False
        self._starts.insert(at, start)
        self._ends.insert(at, end)
        return True
