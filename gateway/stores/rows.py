"""A record as a store keeps it: small, in order, and in groups."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import add, attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.errors import ConfigError
from gateway.metering.record import Record
from gateway.metering.usage import Usage
from gateway.stores.protocols import GROUPS, Total

SUMS = ("calls", "refused", "failed", "input", "output", "cache_read", "cache_write", "reasoning",
         "usd", "estimated", "unpriced")  # fmt: skip
# Groups made of several values: all that one record has, as one text.
JOINED = {"team": ("groups", ", "), "findings": ("findings", "\n")}
_NONE = Usage()


def pack(record: Record) -> bytes:
    """JSON without what stands at its default, so that a row stays below DynamoDB's unit of 1 KB."""
    if record.arguments is not None:  # the audit's own
        record = replace(record, arguments=None)
    return msgspec.json.encode(record)


_decoder = msgspec.json.Decoder(Record)


def unpack(row: bytes | str) -> Record:
    return _decoder.decode(row)


def position(record: Record) -> str:
    """Sorts by time; unique."""
    return f"{moment(record.at)}#{record.id}"


def moment(at: float) -> str:
    """Before the position of all records since then."""
    return f"{int(at * 1_000_000):017d}"


def day(at: float) -> str:
    return _day(int(at // 86_400))


@lru_cache(64)
def _day(number: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(number * 86_400))


def checked(by: Iterable[str]) -> tuple[str, ...]:
    names = tuple(by)
    for name in names:
        if name not in GROUPS and name not in JOINED and not name.startswith("label."):
            there = ", ".join((*GROUPS, *JOINED))
            raise ConfigError(f"cannot group or filter by {name!r}; there are {there} and label.NAME")
    return names


def value(record: Record, name: str) -> str:
    if name == "day":
        return day(record.at)
    if name.startswith("label."):
        return record.labels.get(name[6:], "")
    if name in JOINED:
        member, between = JOINED[name]
        return between.join(getattr(record, member))
    if name == "model":
        return record.model or record.upstream_model
    return str(getattr(record, name))


_NAMED = attrgetter(*GROUPS[:-1])  # all but the day
_MODEL = GROUPS.index("model")


def grouped(record: Record) -> list[str]:
    """The value of each of GROUPS, in their order."""
    found = [*_NAMED(record), day(record.at)]
    if not record.model:
        found[_MODEL] = record.upstream_model
    return found


def matches(record: Record, where: Mapping[str, str] | None) -> bool:
    return all(value(record, name) == wanted for name, wanted in where.items()) if where else True


def amounts(record: Record) -> tuple[float, ...]:
    """One record's share of a Total, in the order of its fields. Numbers only: sqlite3 looks long for an adapter of a bool."""
    usage = record.usage or _NONE
    refused = 1 if record.outcome == "refused" else 0
    failed = 1 if record.outcome in ("timeout", "upstream_error", "error") else 0
    return (1, refused, failed, usage.input, usage.output, usage.cache_read,
            usage.cache_write + usage.cache_write_1h, usage.reasoning, record.usd, 1 if usage.estimated else 0,
            0 if record.priced else 1)  # fmt: skip


class Totals:
    """Adds records up by group; a record seen twice counts once."""

    def __init__(self, by: Sequence[str]) -> None:
        self._by = checked(by)
        self._seen: set[str] = set()
        self._sums: dict[tuple[str, ...], list[float]] = {}

    def add(self, record: Record) -> None:
        if record.id in self._seen:
            return
        self._seen.add(record.id)
        group = tuple(value(record, name) for name in self._by)
        sums = self._sums.setdefault(group, [0] * len(SUMS))
        for index, amount in enumerate(amounts(record)):
            sums[index] += amount

    def result(self) -> list[Total]:
        rows = [total(group, sums) for group, sums in self._sums.items()]
        return sorted(rows, key=dearest)


def summed(lines: Iterable[tuple[Any, ...]], groups: int) -> list[Total]:
    """Lines of so many groups and then SUMS, those of the same groups as one, the dearest first."""
    found: dict[tuple[str, ...], Sequence[Any]] = {}
    for line in lines:
        group, figures = line[:groups], [amount or 0 for amount in line[groups:]]
        sums = found.get(group)
        found[group] = figures if sums is None else list(map(add, sums, figures))
    return sorted((Total(group, *sums) for group, sums in found.items() if sums[0]), key=dearest)


def dearest(row: Total) -> tuple[Any, ...]:
    return (-row.usd, -row.tokens, -row.calls, row.group)


def total(group: tuple[str, ...], sums: Sequence[float]) -> Total:
    figures: dict[str, Any] = {
        name: amount if name == "usd" else int(amount) for name, amount in zip(SUMS, sums, strict=True)
    }
    return Total(group, **figures)
