"""Which schemas an SQL argument reads: it is parsed, not searched."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.errors import ConfigError

_STATEMENTS = frozenset({"query", "sql", "statement", "queries", "statements"})
_SCHEMAS = frozenset({"schema", "schemas", "schema_name", "table_schema"})
_SYSTEM = ("pg_", "lo_", "dblink", "information_schema")


def require() -> None:
    """Fails at start, not at the first call."""
    try:
        import sqlglot  # noqa: F401
    except ImportError as exc:
        raise ConfigError("scope.schemas needs the extra `sql` (pip install asgi-gateway[sql])") from exc
    # It would write statements, and what stands in them, into our log.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


def refuse(arguments: Any, schemas: Sequence[str]) -> str:
    """Why the SQL in these arguments may not run; "" where it may."""
    for name, text in _strings(arguments):
        if name in _SCHEMAS and text not in schemas:
            return f"schema {text!r} is not one of {', '.join(schemas)}"
        if name in _STATEMENTS and (why := _statement(text, schemas)):
            return why
    return ""


def _strings(arguments: Any) -> Iterator[tuple[str, str]]:
    stack: list[tuple[str, Any]] = [("", arguments)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, Mapping):
            stack += [(str(key).lower(), below) for key, below in value.items()]
        elif isinstance(value, list):
            stack += [(name, below) for below in value]


def _statement(text: str, schemas: Sequence[str]) -> str:
    import sqlglot
    from sqlglot import exp

    try:
        statements = [each for each in sqlglot.parse(text, dialect="postgres") if each is not None]
    except (sqlglot.errors.SqlglotError, RecursionError):
        return "its SQL cannot be parsed"
    for statement in statements:
        if statement.find(exp.Command) is not None:
            return "its SQL cannot be judged"
        own = {cte.alias_or_name for cte in statement.find_all(exp.CTE)}
        for table in statement.find_all(exp.Table):
            if why := _table(table.db, table.name, schemas, own):
                return why
        for function in statement.find_all(exp.Anonymous):
            if function.name.lower().startswith(_SYSTEM):
                return f"the function {function.name} reaches outside of {', '.join(schemas)}"
    return ""


def _table(schema: str, name: str, schemas: Sequence[str], own: set[str]) -> str:
    if schema:
        return "" if schema in schemas else f"schema {schema!r} is not one of {', '.join(schemas)}"
    if name.lower().startswith(_SYSTEM) and name not in own:
        return f"{name} belongs to the database itself, not to {', '.join(schemas)}"
    return ""
