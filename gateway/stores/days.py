"""Days that are over, added up once: a question about a year reads a few hundred rows a day less than it would record by record.

A day's sums hold every group but the session; smaller tables hold those of what was called, of who called, and of users or agents alone. All
have the columns of a record, so that the same question can be put to any. A record that comes late opens its day again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Sequence
from operator import attrgetter
from typing import Any

from gateway.metering.record import Record
from gateway.stores import lines, questions, rows
from gateway.stores.protocols import GROUPS

DAY = 86_400
SETTLED = 3600  # seconds after its end that a day counts as over
WORTH = 2 * DAY  # what is shorter is added up record by record

_SUMS = rows.SUMS
_CALLS = (
    "kind",
    "method",
    "route",
    "provider",
    "model",
    "upstream_model",
    "server",
    "tool",
    "outcome",
    "policy",
    "day",
    "findings",
)
_PEOPLE = ("user", "principal", "agent", "project", "kind", "day", "team", "label")
# The tables from the smallest on, each with the groups that its rows tell apart. What is no column stands in `row`.
KEPT = {
    "days_of_agents": frozenset(("agent", "project", "day")),
    "days_of_users": frozenset(("user", "team", "day")),
    "days_of_calls": frozenset(_CALLS),
    "days_of_people": frozenset(_PEOPLE),
    "days": frozenset((*_CALLS, *_PEOPLE)),
}
_TIME = attrgetter("at")
_MEMBERS = {"label": "labels", "team": "groups", "findings": "findings"}


def _table(name: str) -> str:
    columns = ", ".join([f"{group} TEXT" for group in GROUPS] + [f"{sum_} NUMERIC" for sum_ in _SUMS])
    return f"CREATE TABLE IF NOT EXISTS {name} (at INTEGER, row TEXT, {columns})"


def _select(kept: Container[str], table: str) -> str:
    """What stands in `table` from one time to another, as rows of a table that keeps these groups."""
    members = [member for group, member in _MEMBERS.items() if group in kept]
    brief = ", ".join(f"'{member}', json_extract(row, '$.{member}')" for member in members)
    columns = ", ".join(group if group in kept else "''" for group in GROUPS)
    groups = ", ".join(["brief", *(group for group in GROUPS if group in kept)])
    sums = ", ".join(f"SUM({sum_})" for sum_ in _SUMS)
    source = questions.source(table)
    return f"SELECT ?, json_object({brief}) AS brief, {columns}, {sums} FROM {source} GROUP BY {groups}"  # noqa: S608


NAMES = (*KEPT, "closed")
TABLES = (
    *map(_table, KEPT),
    *(f"CREATE INDEX IF NOT EXISTS {name}_at ON {name} (at)" for name in KEPT),
    "CREATE TABLE IF NOT EXISTS closed (at INTEGER PRIMARY KEY)",
)
_WHOLE = _select(KEPT["days"], "records")
_SMALLER = [f"INSERT INTO {name} {_select(kept, 'days')}" for name, kept in KEPT.items() if name != "days"]
_INSERT = f"INSERT INTO days VALUES ({', '.join('?' * (2 + len(GROUPS) + len(_SUMS)))})"  # noqa: S608
_COUNT = "SELECT COUNT(*) FROM records WHERE at >= ? AND at < ?"


def table(names: Iterable[str]) -> str | None:
    """The smallest that tells all these groups apart."""
    asked = {"label" if name.startswith("label.") else name for name in names}
    return next((name for name, kept in KEPT.items() if asked <= kept), None)


def whole(since: float, until: float, names: Iterable[str], *, now: float, kept: float) -> range:
    """The days (since the epoch) within a question's time that can be answered by their sums."""
    if until - since <= WORTH or table(names) is None:
        return range(0)
    last = int(min(until, now - SETTLED) // DAY)
    first = int(-(-max(since, now - kept) // DAY))
    return range(first, max(first, last))


def open_(connection: sqlite3.Connection, days: range) -> list[int]:
    """Those of them that were not added up yet."""
    bounds = (_at(days.start), _at(days.stop))
    found = connection.execute("SELECT at FROM closed WHERE at >= ? AND at < ?", bounds)
    closed = {at for (at,) in found}
    return [day for day in days if _at(day) not in closed]


def whole_of(day: int) -> tuple[str, Sequence[int]]:
    """The query for a day's sums. It reads every record, so it is no work for the connection that writes."""
    return _WHOLE, _bounds(day)


def close(connection: sqlite3.Connection, day: int, found: Sequence[Sequence[Any]], *, oldest: float) -> None:
    """Keeps the sums of a day, unless a record came meanwhile; forgets the days of which records have left."""
    at, *span = _bounds(day)
    (records,) = connection.execute(_COUNT, span).fetchone()
    if records != sum(line[2 + len(GROUPS)] for line in found):
        return
    _forget(connection, "at = ? OR at < ?", (at, lines.micros(oldest)))
    connection.executemany(_INSERT, found)
    for smaller in _SMALLER:
        connection.execute(smaller, _bounds(day))
    connection.execute("INSERT INTO closed VALUES (?)", (at,))


def _bounds(day: int) -> Sequence[int]:
    return _at(day), _at(day), _at(day + 1)


def reopen(connection: sqlite3.Connection, records: Sequence[Record], *, now: float) -> None:
    """For records of days that may be closed."""
    today = now // DAY
    if min(map(_TIME, records), default=now) >= today * DAY:
        return
    for day in {int(record.at // DAY) for record in records} - {int(today)}:
        _forget(connection, "at = ?", (_at(day),))


def _forget(connection: sqlite3.Connection, which: str, values: Sequence[int]) -> None:
    for name in NAMES:
        connection.execute(f"DELETE FROM {name} WHERE {which}", values)  # noqa: S608


def _at(day: int) -> int:
    return day * lines.DAY


def parts(since: float, until: float, names: Iterable[str], days: range) -> list[tuple[str, float, float]]:
    """Which table answers, from when to when."""
    summed = table(names)
    if not days or summed is None:
        return [("records", since, until)]
    first, last = float(days.start * DAY), float(days.stop * DAY)
    edges = [("records", begin, end) for begin, end in ((since, first), (last, until)) if begin < end]
    return [(summed, first, last), *edges]
