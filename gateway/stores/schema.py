"""The tables of the SQLite store. A record's groups and sums are columns, so that a question about a month is one query.

A record's position holds its time and its id, so that one written twice stands once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from gateway.errors import StoreError
from gateway.metering.record import Record
from gateway.stores import days, rows
from gateway.stores.protocols import GROUPS

VERSION = 2
BUSY = 0.25  # seconds to wait while another process writes

_SUMS = rows.SUMS
_COLUMNS = ", ".join([f"{name} TEXT" for name in GROUPS] + [f"{name} NUMERIC" for name in _SUMS[1:]])
_TABLES = f"""
CREATE TABLE IF NOT EXISTS buckets (entity TEXT PRIMARY KEY, state BLOB, touched INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (kind TEXT, key TEXT, value BLOB, version INTEGER, expires REAL,
    PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (id TEXT, position TEXT PRIMARY KEY, at REAL, row BLOB, {_COLUMNS}) WITHOUT ROWID;
{days.TABLES}
PRAGMA user_version = {VERSION};
"""
_LINE = f"({', '.join('?' * (4 + len(GROUPS) + len(_SUMS) - 1))})"
TOGETHER = 32  # records of one statement: for each, the interpreter is let go and must be won back from the event loop
_ONE = f"INSERT OR IGNORE INTO records VALUES {_LINE}"  # noqa: S608
_MANY = f"{_ONE}{f', {_LINE}' * (TOGETHER - 1)}"

PRUNE = "DELETE FROM records WHERE position IN (SELECT position FROM records WHERE position < ? ORDER BY position LIMIT ?)"


def connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")  # with WAL: safe against the end of the process
    return connection


def create(connection: sqlite3.Connection) -> None:
    """Several workers may start at once, on a file that is not there yet."""
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA journal_mode = WAL")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise StoreError(f"the SQLite store was written by a newer version of the gateway (schema {found})")
    if found < VERSION:
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}")


def insert(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    lines = [row(record) for record in records]
    whole = len(lines) - len(lines) % TOGETHER
    for start in range(0, whole, TOGETHER):
        connection.execute(_MANY, tuple(chain.from_iterable(lines[start : start + TOGETHER])))
    connection.executemany(_ONE, lines[whole:])


def row(record: Record) -> tuple[Any, ...]:
    return (
        record.id,
        rows.position(record),
        record.at,
        rows.pack(record),
        *rows.grouped(record),
        *rows.amounts(record)[1:],
    )


def column(name: str) -> str:
    """The SQL of a group; the name was checked, a label's is quoted."""
    if name.startswith("label."):
        path = name[6:].replace("'", "").replace('"', "")
        return f"COALESCE(json_extract(CAST(row AS TEXT), '$.labels.\"{path}\"'), '')"
    if name in rows.JOINED:
        member, between = rows.JOINED[name]
        values = f"json_each(CAST(row AS TEXT), '$.{member}')"
        return f"COALESCE((SELECT GROUP_CONCAT(value, '{between}') FROM {values}), '')"  # noqa: S608
    return name


def totals(
    table: str, since: float, until: float, by: Sequence[str], where: Mapping[str, str] | None
) -> tuple[str, list[Any]]:
    """The query for what was used, in groups."""
    groups = [column(name) for name in by]
    which, values = condition(since, until, where)
    sums = [f"SUM({name})" for name in ("1" if table == "records" else "calls", *_SUMS[1:])]
    query = f"SELECT {', '.join([*groups, *sums])} FROM {table} WHERE {which}"  # noqa: S608
    if groups:
        query += " GROUP BY " + ", ".join(str(index + 1) for index in range(len(groups)))
    return query, values


def condition(since: float, until: float, where: Mapping[str, str] | None) -> tuple[str, list[Any]]:
    first, last = rows.moment(since), rows.moment(until) if until < 1e10 else "~"
    parts, values = ["position >= ?", "position < ?"], [first, last]
    for name, wanted in (where or {}).items():
        rows.checked([name])
        parts.append(f"{column(name)} = ?")
        values.append(wanted)
    return " AND ".join(parts), values
