"""Arguments that are SQL by right are parsed, not searched: one statement, and it only reads.

Which schemas it may read is the server's `scope` (decided by MCPApp). Without sqlglot (the extra `sql`) the statement is told
by its tokens, which refuses a little more: a keyword that writes, anywhere outside quotes.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from gateway.guards.sql_statements import is_statement

STATEMENTS = frozenset({"sql", "sql_query", "sqlquery", "sql_statement"})
PERHAPS = frozenset({"query", "queries", "statement", "statements"})
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.S)
_WRITES = re.compile(
    r"\b(?:insert|update|delete|merge|create|alter|drop|truncate|grant|revoke|call|exec|execute|copy|attach|vacuum|replace|into)\b",
    re.I,
)
# With a value it sets, in either of its forms.
_PRAGMA = re.compile(
    r"\s*pragma\s+(?:\w+|(?:table_x?info|(?:index|foreign_key)_list|index_x?info)\s*\([^()]*\))\s*;?\s*$",
    re.I,
)
LONGEST = 64 * 1024


def is_sql(name: str, text: str) -> bool:
    """Whether the argument of this name holds a statement by right."""
    name = name.lower()
    return (name in STATEMENTS and bool(text.strip())) or (name in PERHAPS and is_statement(text))


def prepare() -> None:
    """Import the parser before it is needed: that takes longer than a request may wait."""
    try:
        import sqlglot
    except ImportError:
        return
    # It would write statements, and what stands in them, into our log.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    sqlglot.parse("SELECT 1")


def judge(text: str, *, read_only: bool = True) -> str:
    """What is wrong with a statement, or nothing."""
    if len(text) > LONGEST:
        return "longer than a statement may be"
    try:
        return _parsed(text, read_only)
    except ImportError:
        return _by_tokens(text, read_only)


def _parsed(text: str, read_only: bool) -> str:
    statements = _statements(text)
    if statements is None:
        return "cannot be parsed as one statement"
    if len(statements) != 1:
        return f"holds {len(statements)} statements"
    return _beyond_reading(statements[0], text) if read_only else ""


def _statements(text: str) -> list[Any] | None:
    import sqlglot

    for dialect in (None, "postgres", "mysql", "tsql"):
        try:
            return [each for each in sqlglot.parse(text, dialect=dialect) if each is not None]
        except (sqlglot.errors.SqlglotError, RecursionError):
            continue
    return None


def _beyond_reading(statement: Any, text: str) -> str:
    from sqlglot import exp

    writing = (
        exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter, exp.TruncateTable, exp.Into,
        exp.Lock,
    )  # fmt: skip
    if statement.find(*writing) is not None:
        return "writes"
    reading = (exp.Query, exp.Describe, exp.Show, exp.Values)
    if not isinstance(statement, reading) and not _tells(text):
        return f"is not a query ({type(statement).__name__.lower()})"
    return ""


def _tells(text: str) -> bool:
    """EXPLAIN, SHOW and DESCRIBE only tell, unless what is to be explained writes: EXPLAIN ANALYZE would run it."""
    if _PRAGMA.match(text):
        return True
    match = re.match(r"\s*(?:explain|show|describe|desc)\b(.*)", text, re.I | re.S)
    return match is not None and not _WRITES.search(_QUOTED.sub(" ", match[1]))


def _by_tokens(text: str, read_only: bool) -> str:
    bare = _QUOTED.sub(" ", text)
    if ";" in bare.rstrip().rstrip(";"):
        return "holds several statements"
    return "writes" if read_only and _WRITES.search(bare) else ""
