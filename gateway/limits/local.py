"""Buckets in this process: the memory store's, and each process' own share while a shared store does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gateway.limits import bucket
from gateway.limits.bucket import MICRO, Take, Taken, decide

SWEEP = 4096  # entities more than at the last sweep


class LocalBuckets:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entities: dict[str, dict[str, int | bucket.Places]] = {}
        self._sweep_at = SWEEP

    def take(self, entity: str, takes: Sequence[Take]) -> Taken:
        now = int(self._clock() * MICRO)
        state = self._entities.get(entity)
        taken = decide(state or {}, takes, now)
        if state is not None:
            state.update(taken.changes)
        elif not taken.denied:
            self._sweep(now)
            self._entities[entity] = taken.changes
        return taken

    def settle(self, entity: str, takes: Sequence[Take]) -> None:
        state = self._entities.get(entity)
        if state is not None:
            state.update(bucket.settled(state, takes))

    def states(self) -> Iterator[tuple[str, bucket.State]]:
        return ((name, dict(self._entities[name])) for name in sorted(self._entities))

    def _sweep(self, now: int) -> None:
        """Forget the entities that stand as if nobody had ever come."""
        if len(self._entities) < self._sweep_at:
            return
        for entity in [name for name, state in self._entities.items() if bucket.idle(state, now)]:
            del self._entities[entity]
        self._sweep_at = len(self._entities) + SWEEP
