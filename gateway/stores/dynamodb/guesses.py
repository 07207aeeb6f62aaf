"""Which branch a limit is in that other machines move too: most likely the one in which it was found when it was guessed before.

A limit that only this process takes from is where this process left it, and one that it left busy is busy until that time is past.
For the others a wrong guess costs a write, so it is remembered how often they were busy, and what is more likely is guessed. Of an
entity that this process has not met it is guessed what was found with others of the same limit, when they were met: in a fleet
most budgets are already used.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.limits import bucket
from gateway.limits.bucket import Take
from gateway.stores.dynamodb.writes import Values

REMEMBERED = 10_000
NEWEST = 0.1  # the least weight of the newest observation


class _Share:
    """How often it was so, the latest times more than the earlier."""

    __slots__ = ("often", "times")

    def __init__(self) -> None:
        self.often = 0.0
        self.times = 0

    def add(self, so: bool) -> None:
        self.times += 1
        self.often += max(NEWEST, 1 / self.times) * (so - self.often)


class Guesses:
    def __init__(self, skew: int) -> None:
        self._skew = skew
        # Entity → limit → how often it was busy when that was guessed.
        self._busy: dict[str, dict[str, _Share]] = {}
        self._met: dict[str, _Share] = {}  # limit → how often it was busy when an entity was met

    def busy(self, entity: str, takes: Sequence[Take], seen: Values | None) -> Collection[str]:
        """The limits that are to be taken for busy, whatever was seen last."""
        known = self._met if seen is None else self._busy.get(entity)
        return (
            {take.limit for take in takes if (share := known.get(take.limit)) and share.often > 0.5}
            if known
            else ()
        )

    def failed(
        self, entity: str, takes: Sequence[Take], before: Values | None, found: Values, now: int
    ) -> None:
        """The guess was wrong, and `found` is what stood there."""
        if len(self._busy) >= REMEMBERED:
            self._busy.clear()
        self._busy.setdefault(entity, {})
        self._learn(
            entity, takes, before, {take.limit for take in takes if self._is_busy(take, found, now)}, now
        )

    def succeeded(
        self, entity: str, takes: Sequence[Take], before: Values | None, guessed: Collection[str], now: int
    ) -> None:
        """The guess was right: what was taken for busy was."""
        if before is None or entity in self._busy:
            self._learn(entity, takes, before, guessed, now)

    def _learn(
        self, entity: str, takes: Sequence[Take], before: Values | None, busy: Collection[str], now: int
    ) -> None:
        for take in takes:
            if take.slot:
                continue
            if before is None:
                self._met.setdefault(take.limit, _Share()).add(take.limit in busy)
            known = self._busy.get(entity)
            if known is not None and not take.since and not self._is_busy(take, before or {}, now):
                known.setdefault(take.limit, _Share()).add(take.limit in busy)

    def _is_busy(self, take: Take, values: Values, now: int) -> bool:
        value = values.get(take.limit)
        return isinstance(value, int) and value > (t := bucket.terms(take, now, self._skew)).origin - t.skew
