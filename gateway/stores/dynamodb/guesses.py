"""Which branch a limit is in that other machines move too: most likely the one in which it was found last time.

A limit that only this process takes from is where this process left it. For the others a wrong guess costs a write, so it is
remembered how often "idle" was wrong, and "busy" is guessed where that is most of the time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.limits.bucket import Take
from gateway.stores.dynamodb.writes import Values

REMEMBERED = 10_000
LEARNED = 0.3  # the weight of the newest observation


class Guesses:
    def __init__(self) -> None:
        self._busy: dict[str, dict[str, float]] = {}  # entity → limit → how often it was busy

    def shared(self, entity: str) -> Collection[str]:
        known = self._busy.get(entity)
        return () if known is None else {limit for limit, often in known.items() if often > 0.5}

    def failed(self, entity: str, takes: Sequence[Take], found: Values, now: int) -> None:
        """The guess was wrong, and `found` is what stood there."""
        if len(self._busy) >= REMEMBERED:
            self._busy.clear()
        known = self._busy.setdefault(entity, {})
        for take in takes:
            value = found.get(take.limit)
            if not take.slot and not take.since and (isinstance(value, int) or value is None):
                busy = value is not None and value > now
                known[take.limit] = known.get(take.limit, 0.3) * (1 - LEARNED) + LEARNED * busy

    def succeeded(self, entity: str, shared: Collection[str]) -> None:
        """The guess was right: what was thought busy was."""
        known = self._busy.get(entity)
        if known is not None:
            for limit in shared:
                known[limit] = known[limit] * (1 - LEARNED) + LEARNED
