"""Everything in this process: for a laptop, for tests, and for one worker that may forget."""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from gateway.limits.local import LocalBuckets
from gateway.metering.record import Record
from gateway.stores import rows
from gateway.stores.protocols import Item, Take, Taken, Total

LEDGER_LIMIT = 100_000


class MemoryStore:
    """`MemoryStore()`; the ledger keeps the newest `ledger_limit` records."""

    def __init__(self, *, clock: Callable[[], float] = time.time, ledger_limit: int = LEDGER_LIMIT) -> None:
        self._clock = clock
        self.local = LocalBuckets(clock)
        self._documents: dict[str, dict[str, tuple[Item, float]]] = {}
        self._order: list[str] = []  # the positions of the records, sorted
        self._records: dict[str, Record] = {}
        self._ledger_limit = ledger_limit

    async def take(self, entity: str, takes: Sequence[Take]) -> Taken:
        return self.local.take(entity, takes)

    async def settle(self, entity: str, takes: Sequence[Take]) -> None:
        self.local.settle(entity, takes)

    async def buckets(
        self, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        found = (item for item in self.local.states() if item[0].startswith(prefix) and item[0] > after)
        return list(islice(found, limit))

    async def get(self, kind: str, key: str) -> Item | None:
        item, expires = self._documents.get(kind, {}).get(key, (None, 0.0))
        return item if expires > self._clock() else None

    async def put(
        self,
        kind: str,
        key: str,
        value: Mapping[str, Any],
        *,
        expires: float | None = None,
        expect: int | None = None,
    ) -> bool:
        standing = await self.get(kind, key)
        version = standing.version if standing else 0
        if expect is not None and expect != version:
            return False
        end = float("inf") if expires is None else expires
        self._documents.setdefault(kind, {})[key] = (Item(dict(value), version + 1), end)
        return True

    async def delete(self, kind: str, key: str) -> None:
        self._documents.get(kind, {}).pop(key, None)

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Item]]:
        now, found = self._clock(), []
        for key, (item, expires) in sorted(self._documents.get(kind, {}).items()):
            if key > after and key.startswith(prefix) and expires > now:
                found.append((key, item))
        return found[:limit]

    async def append(self, records: Sequence[Record]) -> None:
        order, known = self._order, self._records
        for record in records:
            place = rows.position(record)
            if place not in known:
                known[place] = record
                insort(order, place)
        past = order[: max(0, len(order) - self._ledger_limit)]
        del order[: len(past)]  # at once: each deletion at the front moves all the others
        for place in past:
            del known[place]

    async def usage(
        self, *, since: float, until: float, by: Sequence[str] = (), where: Mapping[str, str] | None = None
    ) -> Sequence[Total]:
        totals = rows.Totals(by)
        for record in self._records.values():
            if since <= record.at < until and rows.matches(record, where):
                totals.add(record)
        return totals.result()

    async def records(
        self,
        *,
        since: float = 0.0,
        until: float = float("inf"),
        where: Mapping[str, str] | None = None,
        before: str = "",
        limit: int = 100,
    ) -> Sequence[Record]:
        index = bisect_left(self._order, before) if before else len(self._order)
        found: list[Record] = []
        while index > 0 and len(found) < limit:
            index -= 1
            record = self._records[self._order[index]]
            if record.at < since:
                break
            if record.at < until and rows.matches(record, where):
                found.append(record)
        return found

    async def close(self) -> None:
        pass
