"""Counters and histograms as plain lists in a dict keyed by label values. A histogram takes many values at once: sorted, they
cost one search for each bucket instead of one for each value.

Updates come from the event loop only. Whoever renders copies a family's items first, so no lock is needed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Literal, NamedTuple

from msgspec import Struct

Labels = tuple[str, ...]
OTHER = "other"
LONGEST = 128


class Exemplar(Struct, frozen=True, gc=False):
    value: float
    trace_id: str
    at: float


class Family:
    """One metric with its series. A label takes at most `values` distinct values; later ones are counted as `other`."""

    kind: Literal["counter", "histogram"] = "counter"

    def __init__(
        self,
        name: str,
        help: str,
        labels: Sequence[str] = (),
        *,
        values: int = 200,
        series: int = 5000,
    ) -> None:
        self.name = name
        self.help = help
        self.labels = tuple(labels)
        self.series: dict[Labels, list[float]] = {}
        self._values = values
        self._series = series
        self._seen: list[set[str]] = [set() for _ in self.labels]

    def cell(self, labels: Labels) -> list[float]:
        return self.series.get(labels) or self._open(labels)

    def _open(self, labels: Labels) -> list[float]:
        capped = tuple(map(self._capped, labels, self._seen))
        if capped not in self.series and len(self.series) >= self._series:
            capped = (OTHER,) * len(labels)
        found = self.series.get(capped)
        if found is None:
            found = self.series[capped] = self._empty()
        return found

    def _capped(self, value: str, seen: set[str]) -> str:
        value = value[:LONGEST]
        if value not in seen:
            if len(seen) >= self._values:
                return OTHER
            seen.add(value)
        return value

    def _empty(self) -> list[float]:
        return [0.0]


class Counter(Family):
    kind = "counter"

    def add(self, labels: Labels = (), amount: float = 1.0) -> None:
        self.cell(labels)[0] += amount

    def set(self, labels: Labels, value: float) -> None:
        """Take over what is counted elsewhere."""
        self.cell(labels)[0] = value


class Histogram(Family):
    """A series is a list: one count a bucket, the count above the last, and the sum."""

    kind = "histogram"

    def __init__(
        self,
        name: str,
        help: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        values: int = 200,
        series: int = 2000,
    ) -> None:
        super().__init__(name, help, labels, values=values, series=series)
        self.buckets = tuple(buckets)
        # By the identity of a series' list, then by bucket.
        self.exemplars: dict[int, dict[int, Exemplar]] = {}

    def observe(self, labels: Labels, values: Iterable[float]) -> None:
        ordered = sorted(values)
        if not ordered:
            return
        cell, at = self.cell(labels), 0
        while at < len(ordered):
            bucket = bisect_left(self.buckets, ordered[at])
            above = bucket == len(self.buckets)
            end = len(ordered) if above else bisect_right(ordered, self.buckets[bucket], at)
            cell[bucket] += end - at
            at = end
        cell[-1] += sum(ordered)

    def exemplify(self, labels: Labels, exemplars: Iterable[Exemplar]) -> None:
        """Remember the last call of each bucket, so that a slow bar in a dashboard leads to its trace."""
        known = self.exemplars.setdefault(id(self.cell(labels)), {})
        for exemplar in filter(attrgetter("trace_id"), exemplars):
            known[bisect_left(self.buckets, exemplar.value)] = exemplar

    def _empty(self) -> list[float]:
        return [0.0] * (len(self.buckets) + 2)


class Alias(NamedTuple):
    """The same series under a second name, with some labels renamed."""

    name: str
    family: Family
    renamed: dict[str, str]


class Registry:
    """All families of a process, in the order in which they are shown."""

    def __init__(self) -> None:
        self.families: list[Family] = []
        self.aliases: list[Alias] = []
        self.before: list[Callable[[], None]] = []  # take over what is counted elsewhere

    def counter(self, name: str, help: str, *labels: str) -> Counter:
        family = Counter(name, help, labels)
        self.families.append(family)
        return family

    def histogram(self, name: str, help: str, *labels: str, buckets: Sequence[float]) -> Histogram:
        family = Histogram(name, help, labels, buckets=buckets)
        self.families.append(family)
        return family

    def alias(self, name: str, family: Family, renamed: dict[str, str] | None = None) -> None:
        self.aliases.append(Alias(name, family, renamed or {}))
