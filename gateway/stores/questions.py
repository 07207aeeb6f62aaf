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
_SUMMED = ", ".join(f"SUM({name}) AS {name}" for name in _COUNTED)
_OWN = {"session": "session", "day": "date(at / 1000000, 'unixepoch')"}  # groups that no circumstances tell

PRUNE = (
    "DELETE FROM records WHERE (at, id) IN (SELECT at, id FROM records WHERE at < ? ORDER BY at, id LIMIT ?)"
)
LEAVE = "DELETE FROM circumstances WHERE period < ?"  # of which no record is left


def span(since: float, until: float) -> tuple[int, int]:
    return lines.micros(min(since, _FAR)), lines.micros(until) if until < _FAR else _END


def source(table: str, which: str = _ALL, *, session: bool = False) -> str:
    """Rows with the columns `row`, GROUPS and SUMS, from one time to another, of which something is so.

    Records are added up by their circumstances and days first: those are two numbers to compare.
    """
    if table != "records":
        return f"(SELECT * FROM {table} WHERE at >= ? AND at < ? AND {which})"  # noqa: S608
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
    summed = source(table, which, session="session" in by)
    query = f"SELECT {', '.join([*map(column, by), *sums])} FROM {summed}"  # noqa: S608
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
    """What is so of lines of a table; what circumstances tell is asked of those of that time first."""
    wanted = where or {}
    shared = [name for name in rows.checked(wanted) if table != "records" or name not in _OWN]
    own = [name for name in wanted if name not in shared]
    parts = [f"{_OWN[name]} = ?" for name in own]
    said = " AND ".join(f"{column(name)} = ?" for name in shared)
    values: list[Any] = [wanted[name] for name in own]
    if said and table == "records":
        first, last = bounds
        if last - first <= lines.PERIOD:  # beyond that, reading all of them takes less time than finding some
            said = f"period BETWEEN ? AND ? AND {said}"
            values += (first // lines.PERIOD, last // lines.PERIOD)
        said = f"circumstance IN (SELECT circumstance FROM circumstances WHERE {said})"  # noqa: S608
    if said:
        parts.append(said)
    return " AND ".join(parts) or _ALL, [*values, *(wanted[name] for name in shared)]


def column(name: str) -> str:
    """The SQL of a group; the name was checked, a label's is quoted."""
    if name.startswith("label."):
        path = name[6:].replace("'", "").replace('"', "")
        return f"COALESCE(json_extract(row, '$.labels.\"{path}\"'), '')"
    if name in rows.JOINED:
        member, between = rows.JOINED[name]
        values = f"json_each(row, '$.{member}')"
        return f"COALESCE((SELECT GROUP_CONCAT(value, '{between}') FROM {values}), '')"  # noqa: S608
    return name
