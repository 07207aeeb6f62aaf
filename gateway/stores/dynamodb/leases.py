"""Several calls' worth of a busy entity taken in one write, and spent from memory.

What is leased is taken: nobody else can have it, so a fleet never admits too much; what is left over after a second goes
back. For long-running processes: a frozen Lambda would keep what it holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from gateway.limits.bucket import Take, Taken

SIZE = 20  # calls in a lease
HELD = 1.0  # seconds until what is left over goes back
BUSY = 5  # calls of an entity in a second that make it worth a lease
SHARE = 4  # a lease holds at most this part of a burst


class _Lease(Struct):
    opened: float = 0.0
    left: dict[str, Take] = {}  # limit → what is left, as a take
    remaining: dict[str, float] = {}


class Leases:
    def __init__(self, *, size: int = SIZE) -> None:
        self._size = size
        self._leases: dict[str, _Lease] = {}
        # Entity → the second counted, calls in it and in the one before.
        self._rates: dict[str, tuple[float, int, int]] = {}

    @property
    def held(self) -> bool:
        return bool(self._leases)

    def spend(self, entity: str, takes: Sequence[Take], now: float) -> Taken | None:
        """The answer, if the lease has room for all of them."""
        self._count(entity, now)
        lease = self._leases.get(entity)
        if lease is None:
            return None
        left = lease.left
        if any(take.limit not in left or left[take.limit].cost < take.cost for take in takes):
            return None
        if any(left[take.limit].since != take.since for take in takes):
            return None
        for take in takes:
            left[take.limit] = replace(left[take.limit], cost=left[take.limit].cost - take.cost)
        return Taken(
            "", 0.0, {t.limit: lease.remaining.get(t.limit, 0.0) + left[t.limit].cost for t in takes}
        )

    def wanted(self, entity: str, takes: Sequence[Take]) -> list[Take] | None:
        """What to take for several calls; None where the entity is not busy enough, or its limits too narrow."""
        expected = self._expected(entity)
        if expected < BUSY:
            return None
        most = min(self._size, expected)
        times = min(most, *(int(t.burst / SHARE / t.cost) if t.cost > 0 else most for t in takes))
        return [replace(take, cost=take.cost * times) for take in takes] if times > 1 else None

    def opened(
        self, entity: str, takes: Sequence[Take], more: Sequence[Take], taken: Taken, now: float
    ) -> Taken:
        """The lease was taken, and this call is the first that it pays for."""
        lease = self._leases.setdefault(entity, _Lease())
        lease.opened = now
        lease.remaining = dict(taken.remaining)
        for one, all_ in zip(takes, more, strict=True):
            old = lease.left.get(one.limit)
            rest = all_.cost - one.cost + (old.cost if old is not None and old.since == one.since else 0.0)
            lease.left[one.limit] = replace(one, cost=rest)
        return Taken("", 0.0, {t.limit: taken.remaining[t.limit] + lease.left[t.limit].cost for t in takes})

    def ended(self, now: float) -> list[tuple[str, list[Take]]]:
        """The leases that are over, and what they give back."""
        over = [(entity, lease) for entity, lease in self._leases.items() if now - lease.opened >= HELD]
        for entity, _ in over:
            del self._leases[entity]
        back = [
            (entity, [replace(t, cost=-t.cost) for t in lease.left.values() if t.cost > 0])
            for entity, lease in over
        ]
        return [(entity, takes) for entity, takes in back if takes]

    def _expected(self, entity: str) -> int:
        """Calls of the next second: more than these would only be held and given back."""
        _, calls, before = self._rates[entity]
        return max(calls, before)

    def _count(self, entity: str, now: float) -> None:
        second, calls, before = self._rates.get(entity, (now, 0, 0))
        if now - second >= 1.0:
            if len(self._rates) > 10_000:
                self._rates.clear()
            second, calls, before = now, 0, calls if now - second < 2.0 else 0
        self._rates[entity] = (second, calls + 1, before)
