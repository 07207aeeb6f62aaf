"""What is asked of the ledger in an SQLite file, as queries over its records or over the sums of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.errors import ConfigError
from gateway.stores import lines, rows

_END = 2**63 - 1
_FAR = 1e10  # seconds
_ALL = "1"
_NAMES = ", ".join(lines.SHARED)
_SAID = ", ".join(f"calls * {name} AS {name}" for name in lines.SAID)
_COUNTED = ("input", "output", "cache_read", "reasoning", "usd")
_ADDED = ", ".join(f"SUM({name}) AS {name}" for name in rows.SUMS)
_SUMMED = ", ".join(f"SUM({name}) AS {name}" for name in _COUNTED)
_OWN = {"session": "session", "day": "date(at / 1000000, 'unixepoch')"}  # groups that no circumstances tell

PRUNE = (
    "DELETE FROM records WHERE (at, id) IN (SELECT at, id FROM records WHERE at < ? ORDER BY at, id LIMIT ?)"
)
LEAVE = "DELETE FROM circumstances WHERE period < ?"  # of which no record is left


def span(since: float, until: float) -> tuple[int, int]:
    return lines.micros(min(since, _FAR)), lines.micros(until) if until < _FAR else _END


def source(table: str, which: str = _ALL, *, session: bool = False, day: bool = True) -> str:
    """Rows with columns for `row`, GROUPS and SUMS, from one time to another, of which something is so.

    They are added up by their circumstances, or their sort, first: that is a number to compare.
    """
    if table != "records":
        of_day, by = (f"{_OWN['day']} AS day", ", at") if day else ("'' AS day", "")
        return f"""(SELECT sorts.*, '' AS session, found.* FROM (SELECT sort, {of_day}, {_ADDED}
FROM {table} WHERE at >= ? AND at < ? AND {which} GROUP BY period, sort{by}) AS found CROSS JOIN sorts USING (sort))"""  # noqa: S608
    own, by = ("session", ", session") if session else ("''", "")
    return f"""(SELECT row, {_NAMES}, session, date(number * 86400, 'unixepoch') AS day, calls, {_SAID},
    {", ".join(_COUNTED)}, cache_write
FROM (SELECT circumstance, {own} AS session, at / {lines.DAY} AS number, COUNT(*) AS calls, {_SUMMED},
      SUM(cache_write + cache_write_1h) AS cache_write
      FROM records WHERE at >= ? AND at < ? AND {which} GROUP BY circumstance, number{by})
JOIN circumstances USING (circumstance))"""  # noqa: S608


def totals(
    table: str, since: float, until: float, by: Sequence[str], where: Mapping[str, str] | None
) -> tuple[str, list[Any]]:
    """The query for what was used, in groups."""
    bounds = span(since, until)
    which, values = _filter(where, table, bounds)
    sums = [f"SUM({name})" for name in rows.SUMS]
    summed = source(table, which, session="session" in by, day="day" in by)
    named = [column(name, table) for name in by]
    query = f"SELECT {', '.join([*named, *sums])} FROM {summed}"  # noqa: S608
    if by:
        query += " GROUP BY " + ", ".join(str(index + 1) for index in range(len(by)))
    return query, [*bounds, *values]


def records(
    since: float, until: float, where: Mapping[str, str] | None, before: str, limit: int
) -> tuple[str, list[Any]]:
    """The query for the newest; its lines are for `lines.read`."""
    bounds = span(since, until)
    which, values = _filter(where, "records", bounds)
    values = [*bounds, *values]
    if before:
        at, _, id_ = before.partition("#")
        if not at.isdecimal():
            raise ConfigError(f"{before!r} is no position of a record")
        which, values = f"{which} AND (at, id) < (?, ?)", [*values, min(int(at), _END), id_]
    # A cross join is made in this order.
    query = f"""SELECT {lines.READ} FROM records CROSS JOIN circumstances USING (circumstance)
WHERE at >= ? AND at < ? AND {which} ORDER BY at DESC, id DESC LIMIT ?"""  # noqa: S608
    return query, [*values, limit]


def _filter(where: Mapping[str, str] | None, table: str, bounds: tuple[int, int]) -> tuple[str, list[Any]]:
    """What is so of lines of a table; what circumstances or sorts tell is asked of those first."""
    wanted = where or {}
    own = [name for name in rows.checked(wanted) if name in _OWN]
    shared = [name for name in wanted if name not in _OWN]
    parts = [f"{_OWN[name]} = ?" for name in own]
    said = [f"{column(name, table)} = ?" for name in shared]
    values: list[Any] = [wanted[name] for name in own]
    if table != "records":
        months = range(bounds[0] // lines.PERIOD, bounds[1] // lines.PERIOD + 1)
        parts.append(f"period IN ({', '.join(map(str, months))})")
    if said:
        number, source, which, first = _told(table, bounds)
        parts.append(f"{number} IN (SELECT {number} FROM {source} WHERE {' AND '.join([which, *said])})")  # noqa: S608
        values += first
    return " AND ".join(parts) or _ALL, [*values, *(wanted[name] for name in shared)]


def _told(table: str, bounds: tuple[int, int]) -> tuple[str, str, str, tuple[Any, ...]]:
    """The number in a line that tells what it shares with others, where that stands, and of which there."""
    if table != "records":
        return "sort", "sorts", "kept = ?", (table,)
    first, last = bounds
    if last - first > lines.PERIOD:  # beyond that, reading all of them takes less time than finding some
        return "circumstance", "circumstances", _ALL, ()
    periods = (first // lines.PERIOD, last // lines.PERIOD)
    return "circumstance", "circumstances", "period BETWEEN ? AND ?", periods


def column(name: str, table: str) -> str:
    """The SQL of a group; the name was checked, a label's is quoted."""
    if name.startswith("label."):
        path = name[6:].replace("'", "").replace('"', "")
        return f"COALESCE(json_extract(row, '$.labels.\"{path}\"'), '')"
    if name in rows.JOINED and table == "records":
        member, between = rows.JOINED[name]
        values = f"json_each(row, '$.{member}')"
        return f"COALESCE((SELECT GROUP_CONCAT(value, '{between}') FROM {values}), '')"  # noqa: S608
    return name
