"""A record as two lines of the SQLite file: its circumstances, which many records share, and its own.

A line of its own is a time, an id, a number for the circumstances, a session, six counts, a price, and a packed rest that no
question asks for: less than half the work, and a fifth of the bytes, of a row with every column. See docs/decisions/0410.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple

from gateway.metering.record import Record
from gateway.metering.usage import Usage
from gateway.stores import rows
from gateway.stores.protocols import GROUPS

DAY = 86_400_000_000  # microseconds
PERIOD = 30 * DAY  # circumstances are kept for each, so that they can leave with the records of their time
TOGETHER = 32  # records of one statement: for each, the interpreter is let go and must be won back from the event loop
REMEMBERED = 4096  # circumstances whose number is kept
LARGEST = 10**12  # tokens of a kind in one call: a provider may say any number, and sums must not overflow

Known = dict[tuple[Any, ...], int]

TOKENS = Usage.__struct_fields__[:-1]
SAID = ("refused", "failed", "estimated", "unpriced")  # 1 or 0, for all records of the circumstances
# Groups that the circumstances tell.
SHARED = tuple(name for name in GROUPS if name not in ("session", "day"))
_FIELDS = Record.__struct_fields__
_SHARED = slice(_FIELDS.index("kind"), _FIELDS.index("labels"))
_REST = slice(_FIELDS.index("first_byte_ms"), _FIELDS.index("arguments"))
_COLUMNS = 6 + len(TOKENS)
_NOTHING: tuple[Any, ...] = (*([None] * len(TOKENS)), False)


class _Rest(msgspec.Struct, array_like=True):
    """In this order in the file, and in `Record`: a new member is the last, and has a default."""

    first_byte_ms: float
    attempts: int
    duration_ms: float
    upstream_ms: float
    bytes_in: int
    bytes_out: int
    trace_id: str
    span_id: str
    tool_uses: tuple[str, ...]
    tool_use_id: str
    rule: str
    reason: str


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[str, float, _Rest]).decode


def micros(at: float) -> int:
    return int(at * 1_000_000)


def insert(connection: sqlite3.Connection, records: Sequence[Record], known: Known) -> Known:
    """The numbers of circumstances that are not `known`: they hold once the transaction does."""
    learnt: Known = {}
    values = _values(connection, records, known, learnt)
    start = 0
    for size in _sizes(len(records)):
        end = start + size * _COLUMNS
        connection.execute(_INSERT[size], values[start:end])
        start = end
    return learnt


def learn(known: Known, learnt: Known, *, most: int = REMEMBERED) -> None:
    if len(known) > most:
        known.clear()
    known.update(learnt)


def _values(
    connection: sqlite3.Connection, records: Sequence[Record], known: Known, learnt: Known
) -> list[Any]:
    """Those of all columns, line after line. One frame for a whole batch."""
    values: list[Any] = []
    begins = ends = period = 0
    for record in records:
        found = astuple(record)
        at = int(record.at * 1_000_000)
        if not begins <= at < ends:
            period = at // PERIOD
            begins, ends = period * PERIOD, (period + 1) * PERIOD
        usage = _NOTHING if record.usage is None else astuple(record.usage)
        if usage is not _NOTHING and sum(usage[:-1]) > LARGEST:
            usage = (*(min(each, LARGEST) for each in usage[:-1]), usage[-1])
        labels = record.labels
        key = (period, found[_SHARED], usage[-1], tuple(labels.items()) if labels else None)
        number = known.get(key) or learnt.get(key)
        if number is None:
            number = learnt[key] = _number(connection, record, period, usage[-1])
        # Of bytes, sqlite3 would look for an adapter.
        own = bytearray(_pack((record.call, record.at, found[_REST])))
        values += (at, record.id, number, record.session, *usage[:-1], record.usd, own)
    return values


def _sizes(count: int) -> Iterator[int]:
    """Statements for so many records: whole ones, and few for the rest."""
    size = TOGETHER
    while count:
        while size > count:
            size //= 2
        yield size
        count -= size


_LINE = f"({', '.join('?' * _COLUMNS)})"
_INSERT = {
    size: "INSERT OR IGNORE INTO records VALUES " + ", ".join([_LINE] * size)  # noqa: S608
    for size in _sizes(2 * TOGETHER - 1)
}
_NEW = f"INSERT OR IGNORE INTO circumstances VALUES ({', '.join('?' * (3 + len(SHARED) + len(SAID)))})"  # noqa: S608
_STANDING = "SELECT circumstance FROM circumstances WHERE period = ? AND row = ? AND estimated = ?"


def _number(connection: sqlite3.Connection, record: Record, period: int, estimated: bool) -> int:
    common = Record("", "", 0.0, *(*astuple(record)[_SHARED], record.labels))
    row = msgspec.json.encode(common).decode()
    groups = dict(zip(GROUPS, rows.grouped(record), strict=True))
    _, refused, failed, *_, unpriced = rows.amounts(record)
    said = (refused, failed, int(estimated), unpriced)
    connection.execute(_NEW, (None, period, row, *map(groups.__getitem__, SHARED), *said))
    number: int = connection.execute(_STANDING, (period, row, int(estimated))).fetchone()[0]
    return number


READ = f"row, id, session, usd, own, {', '.join(TOKENS)}, estimated"


def read(line: Sequence[Any]) -> Record:
    """Of the columns READ."""
    row, id_, session, usd, packed, *tokens = line
    record = rows.unpack(row)
    record.id, record.session, record.usd = id_, session, usd
    record.call, record.at, rest = _unpack(packed)
    for name in _Rest.__struct_fields__:
        setattr(record, name, getattr(rest, name))
    if tokens[0] is not None:
        tokens[-1] = bool(tokens[-1])
        record.usage = Usage(*tokens)
    return record
