"""Days that are over, added up once: a question about a year reads what they came to, and not record by record.

A row of a table of sums is one sort of call on one day; what a sort is (user, model, outcome and so on) stands once, in `sorts`. `days`
tells all groups apart but the session; smaller tables tell apart what was called, who called and which way, and users or agents alone.
Rows lie by month and sort: a filter reads those of its sorts only, and a day is written to few pages. A table
has rows of exactly the days in `closed`; a record that comes late opens its day again. See docs/decisions/0809.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from gateway.metering.record import Record
from gateway.stores import lines, questions, rows

DAY = 86_400
SETTLED = 3600  # seconds after its end that a day counts as over
WORTH = 2 * DAY  # what is shorter is added up record by record
LEASE = 60  # seconds that a process has for one day, before another takes it over

_FAR = 1e10  # seconds
_SUMS = rows.SUMS
_NAMES = (*lines.SHARED, *rows.JOINED)
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
    "findings",
)
_PEOPLE = ("user", "principal", "agent", "project", "kind", "team", "label")
# The tables from the smallest on, each with the groups that its sorts tell apart beside the day. Labels stand in `row`.
KEPT = {
    "days_of_agents": frozenset(("agent", "project")),
    "days_of_users": frozenset(("user", "team")),
    "days_of_calls": frozenset(_CALLS),
    "days_of_people": frozenset(_PEOPLE),
    "days_of_ways": frozenset((*_PEOPLE, "route", "provider", "outcome", "policy")),
    "days": frozenset((*_CALLS, *_PEOPLE)),
}
_TIME = attrgetter("at")
_FIGURES = 2 + len(_NAMES)  # from there on


def _whole(table: str, kept: frozenset[str]) -> str:
    """The query for a day's sums in a table that keeps these groups."""
    names = {name: questions.column(name, "records") if name in kept else "''" for name in _NAMES}
    said = [f"'{name}', {value}" for name, value in names.items() if name in kept]
    said += ["'labels', json_extract(row, '$.labels')"] if "label" in kept else []
    told = [f"{value} AS {name}" for name, value in names.items()]
    figures = [f"SUM({name}) AS {name}" for name in _SUMS]
    return f"""SELECT sorts.sort, found.* FROM (SELECT json_object({", ".join(said)}) AS text, {", ".join([*told, *figures])}
FROM {questions.source("records")} GROUP BY text) AS found
LEFT JOIN sorts ON sorts.kept = '{table}' AND sorts.row = found.text ORDER BY sorts.sort"""  # noqa: S608


_NUMBERS = ", ".join(f"{name} NUMERIC" for name in _SUMS)
NAMES = (*KEPT, "sorts", "closed", "closing")
TABLES = (
    f"CREATE TABLE sorts (sort INTEGER PRIMARY KEY, kept TEXT, row TEXT, {', '.join(f'{name} TEXT' for name in _NAMES)}, UNIQUE (kept, row))",
    "CREATE TABLE closed (at INTEGER PRIMARY KEY)",
    "CREATE TABLE closing (file INTEGER PRIMARY KEY, until INTEGER)",
    *(
        f"CREATE TABLE {name} (period INTEGER, sort INTEGER, at INTEGER, {_NUMBERS}, PRIMARY KEY (period, sort, at)) WITHOUT ROWID"
        for name in KEPT
    ),
)
_WHOLE = {name: _whole(name, kept) for name, kept in KEPT.items()}
_LEARN = f"INSERT OR IGNORE INTO sorts VALUES (NULL, ?, {', '.join('?' * (1 + len(_NAMES)))})"  # noqa: S608
_KNOWN = "SELECT sort FROM sorts WHERE kept = ? AND row = ?"
_ADD = {name: f"INSERT INTO {name} VALUES (?, ?, ?, {', '.join('?' * len(_SUMS))})" for name in KEPT}  # noqa: S608
_COUNT = "SELECT COUNT(*) FROM records WHERE at >= ? AND at < ?"
_GONE = (
    "SELECT at FROM closed WHERE at < ? ORDER BY at LIMIT 2"  # few, however much shorter the retention became
)
_FIRST = "SELECT MIN(at) FROM records"
_CLAIM = """INSERT INTO closing VALUES (0, ?) ON CONFLICT (file) DO UPDATE SET until = excluded.until WHERE until <= ?"""


def stand(connection: sqlite3.Connection) -> bool:
    """Whether the tables are there, and of this shape."""
    found = connection.execute("SELECT sql FROM sqlite_master")
    return set(TABLES) <= {sql for (sql,) in found}


def create(connection: sqlite3.Connection) -> None:
    """Anew: what is in them can be made again."""
    for name in NAMES:
        connection.execute(f"DROP TABLE IF EXISTS {name}")
    for table in TABLES:
        connection.execute(table)


def table(names: Iterable[str]) -> str | None:
    """The smallest that tells all these groups apart."""
    asked = {"label" if name.startswith("label.") else name for name in names} - {"day"}
    return next((name for name, kept in KEPT.items() if asked <= kept), None)


def parts(
    connection: sqlite3.Connection, since: float, until: float, names: Iterable[str], *, oldest: float = 0.0
) -> list[tuple[str, float, float]]:
    """Which table answers, from when to when: sums for the days that are closed and not older, records for all else."""
    summed = table(names)
    first, last = (min(max(moment, oldest, 0.0), _FAR) for moment in (since, until))
    closed = _closed(connection, range(int(-(-first // DAY)), int(last // DAY)))
    if not closed or summed is None or until - since <= WORTH:
        return [("records", since, until)]
    edges = [since, *(float(edge * DAY) for day in closed for edge in (day, day + 1)), until]
    between = [
        ("records", begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True) if begin < end
    ]
    return [(summed, float(closed[0] * DAY), float((closed[-1] + 1) * DAY)), *between]


def _closed(connection: sqlite3.Connection, days: range) -> list[int]:
    found = connection.execute(
        "SELECT at FROM closed WHERE at >= ? AND at < ? ORDER BY at", (_at(days.start), _at(days.stop))
    )
    return [at // lines.DAY for (at,) in found]


def open_(connection: sqlite3.Connection, *, now: float, oldest: float) -> int | None:
    """The newest day that is over and not yet added up, of those whose records are all still there."""
    (first,) = connection.execute(_FIRST).fetchone()
    if first is None:
        return None
    days = range(max(first // lines.DAY, int(-(-oldest // DAY))), int((now - SETTLED) // DAY))
    closed = frozenset(_closed(connection, days))
    return next((day for day in reversed(days) if day not in closed), None)


class Claim(NamedTuple):
    day: int
    until: int  # the second when another process may take it over


def claim(connection: sqlite3.Connection, *, now: float, oldest: float) -> Claim | None:
    """A day to add up. One process at a time has one."""
    day = open_(connection, now=now, oldest=oldest)
    until = int(now) + LEASE
    if day is None or not connection.execute(_CLAIM, (until, int(now))).rowcount:
        return None
    return Claim(day, until)


class Found(NamedTuple):
    """What a day comes to."""

    # For each table the sorts' numbers, texts and groups, and what they came to.
    sums: Mapping[str, list[Sequence[Any]]]
    gone: Sequence[int]  # days of which records have left
    unused: Sequence[int]  # sorts that no other day has


def read(connection: sqlite3.Connection, day: int, *, oldest: float) -> Found:
    """It reads every record, so this is no work for the connection that writes."""
    connection.execute("BEGIN")  # all of one moment
    bounds = (_at(day), _at(day + 1))
    sums = {name: connection.execute(query, bounds).fetchall() for name, query in _WHOLE.items()}
    gone = [at for (at,) in connection.execute(_GONE, (lines.micros(oldest),))]
    used = {line[0] for those in sums.values() for line in those}
    return Found(sums, gone, [sort for sort in _only(connection, gone) if sort not in used])


def _only(connection: sqlite3.Connection, gone: Sequence[int]) -> list[int]:
    """The sorts that no day has after these, which are the oldest."""
    if not gone:
        return []
    found: list[int] = []
    for name in KEPT:
        query = f"SELECT sort FROM sorts WHERE kept = ? EXCEPT SELECT sort FROM {name} WHERE at > ?"  # noqa: S608
        found += [sort for (sort,) in connection.execute(query, (name, gone[-1]))]
    return found


def learn(connection: sqlite3.Connection, found: Found) -> None:
    """The sorts that no day had before. They may stand without a day, so this can be a write of its own."""
    for name, those in found.sums.items():
        connection.executemany(_LEARN, [(name, *line[1:_FIGURES]) for line in those if line[0] is None])


def close(connection: sqlite3.Connection, claim: Claim, found: Found) -> None:
    """Keeps the sums of a day, unless a record came or left meanwhile; forgets the days of which records have left."""
    at = _at(claim.day)
    if not connection.execute("DELETE FROM closing WHERE until = ?", (claim.until,)).rowcount:
        return
    (records,) = connection.execute(_COUNT, (at, _at(claim.day + 1))).fetchone()
    if records != sum(line[_FIGURES] for line in found.sums["days"]):
        return
    for name, those in found.sums.items():
        numbered = [
            (at // lines.PERIOD, line[0] or _number(connection, name, line[1]), at, *line[_FIGURES:])
            for line in those
        ]
        connection.executemany(_ADD[name], numbered)
    connection.execute("INSERT INTO closed VALUES (?)", (at,))
    for left in found.gone:
        _forget(connection, left)
    connection.executemany("DELETE FROM sorts WHERE sort = ?", [(sort,) for sort in found.unused])


def _number(connection: sqlite3.Connection, table: str, text: str) -> int:
    number: int = connection.execute(_KNOWN, (table, text)).fetchone()[0]
    return number


def reopen(connection: sqlite3.Connection, records: Sequence[Record], *, now: float) -> None:
    """For records of days that may be closed."""
    today = now // DAY
    if min(map(_TIME, records), default=now) >= today * DAY:
        return
    for day in {int(record.at // DAY) for record in records} - {int(today)}:
        _forget(connection, _at(day))


def _forget(connection: sqlite3.Connection, at: int) -> None:
    if connection.execute("DELETE FROM closed WHERE at = ?", (at,)).rowcount:
        for name in KEPT:
            which = "period = ? AND at = ?"
            connection.execute(f"DELETE FROM {name} WHERE {which}", (at // lines.PERIOD, at))  # noqa: S608


def _at(day: int) -> int:
    return day * lines.DAY
