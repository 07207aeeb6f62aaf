"""What was used in a month, added up from its records.

A month that is over is added up once for a question, and remembered; questions that come together, as the page's do, are
answered by one reading.
"""

from __future__ import annotations

import asyncio
import calendar
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from gateway.metering.record import Record
from gateway.stores import rows
from gateway.stores.protocols import Total

REMEMBERED = 512  # answers about months that are over
LARGEST = 5_000  # groups of an answer that is remembered
SETTLED = 86_400  # seconds after its end that nothing is added to a month any more

Where = Mapping[str, str] | None
# Of a month's shard, from one position to another.
Reader = Callable[[str, int, str, str], AsyncIterator[Record]]


class Months:
    def __init__(self, read: Reader, *, shards: int) -> None:
        self._read = read
        self._shards = shards
        self._over: dict[tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]], Sequence[Total]] = {}
        self._readings: dict[
            tuple[str, str, str], tuple[list[tuple[rows.Totals, Where]], asyncio.Task[None]]
        ] = {}

    async def usage(
        self, month: str, first: str, last: str, by: Sequence[str], where: Where, *, now: float
    ) -> Sequence[Total]:
        """What was used in the month from one position to another."""
        start, end = bounds(month)
        if first > rows.moment(start) or last < rows.moment(end) or now < end + SETTLED:
            return await self._added(month, first, last, by, where)
        asked = (month, tuple(by), tuple(sorted((where or {}).items())))
        if asked not in self._over:
            found = await self._added(month, rows.moment(start), rows.moment(end), by, where)
            if len(found) > LARGEST:
                return found
            if len(self._over) >= REMEMBERED:
                self._over.clear()
            self._over[asked] = found
        return self._over[asked]

    async def _added(
        self, month: str, first: str, last: str, by: Sequence[str], where: Where
    ) -> Sequence[Total]:
        totals, key = rows.Totals(by), (month, first, last)
        if key not in self._readings:
            self._readings[key] = [], asyncio.create_task(self._reading(key))
        asked, reading = self._readings[key]
        asked.append((totals, where))
        await asyncio.shield(reading)
        return totals.result()

    async def _reading(self, key: tuple[str, str, str]) -> None:
        await asyncio.sleep(0)  # for those that ask at the same time
        asked, _ = self._readings.pop(key)
        month, first, last = key

        async def add(shard: int) -> None:
            async for record in self._read(month, shard, first, last):
                for totals, where in asked:
                    if rows.matches(record, where):
                        totals.add(record)

        await asyncio.gather(*map(add, range(self._shards)))


def merged(parts: Iterable[Sequence[Total]]) -> list[Total]:
    """Several months as one, the dearest first."""
    found: dict[tuple[str, ...], list[float]] = {}
    for each in (total for part in parts for total in part):
        sums = found.setdefault(each.group, [0] * len(rows.SUMS))
        for index, name in enumerate(rows.SUMS):
            sums[index] += getattr(each, name)
    return sorted((rows.total(group, sums) for group, sums in found.items()), key=rows.dearest)


def bounds(month: str) -> tuple[float, float]:
    """When it begins and ends, UTC."""
    year, number = int(month[:4]), int(month[5:])
    after = (year + number // 12, number % 12 + 1)
    return float(calendar.timegm((year, number, 1, 0, 0, 0))), float(calendar.timegm((*after, 1, 0, 0, 0)))
