"""Arguments that are SQL by right are parsed, not searched: one statement, and it only reads.

Which schemas it may read is the server's `scope` (decided by MCPApp). Without sqlglot (the extra `sql`) the statement is told
by its tokens, which refuses a little more: a keyword that writes, anywhere outside quotes.
"""

from __future__ import annotations

import logging
import re
from typing import Any

ARGUMENTS = frozenset({"sql", "query", "statement", "sql_query", "sqlquery", "queries", "statements"})
_STARTS = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*|\()*(select|with|insert|update|delete|merge|create|alter|drop|truncate|grant|revoke|explain|show|describe|desc|pragma"
                     r"|use|set|call|exec|execute|copy|attach|vacuum|replace|values|table|begin|commit)\b", re.I | re.S)  # fmt: skip
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.S)
_WRITES = re.compile(
    r"\b(?:insert|update|delete|merge|create|alter|drop|truncate|grant|revoke|call|exec|execute|copy|attach|vacuum|replace|into)\b",
    re.I,
)
LONGEST = 64 * 1024


def is_sql(name: str, text: str) -> bool:
    """Whether the argument of this name holds a statement by right."""
    return name.lower() in ARGUMENTS and _STARTS.match(text) is not None


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
    import sqlglot
    from sqlglot import exp

    statements: list[Any] = []
    for dialect in ("", "postgres", "mysql", "tsql"):
        try:
            statements = [each for each in sqlglot.parse(text, dialect=dialect or None) if each is not None]
            break
        except (sqlglot.errors.SqlglotError, RecursionError):
            continue
    else:
        return "cannot be parsed as one statement"
    if len(statements) != 1:
        return f"holds {len(statements)} statements"
    if not read_only:
        return ""
    statement = statements[0]
    writing = (
        exp.Insert,
        exp.Update,
        exp.Delete,
        exp.Merge,
        exp.Create,
        exp.Drop,
        exp.Alter,
        exp.TruncateTable,
        exp.Into,
        exp.Lock,
    )
    if any(True for _ in statement.find_all(*writing)):
        return "writes"
    reading = (exp.Query, exp.Describe, exp.Show, exp.Pragma, exp.Values)
    if not isinstance(statement, reading) and not _tells(text):
        return f"is not a query ({type(statement).__name__.lower()})"
    return ""


def _tells(text: str) -> bool:
    """EXPLAIN, SHOW and DESCRIBE only tell, unless what is to be explained writes: EXPLAIN ANALYZE would run it."""
    match = re.match(r"\s*(?:explain|show|describe|desc)\b(.*)", text, re.I | re.S)
    return match is not None and not _WRITES.search(_QUOTED.sub(" ", match[1]))


def _by_tokens(text: str, read_only: bool) -> str:
    bare = _QUOTED.sub(" ", text)
    if ";" in bare.rstrip().rstrip(";"):
        return "holds several statements"
    return "writes" if read_only and _WRITES.search(bare) else ""
