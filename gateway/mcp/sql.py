"""Which schemas an SQL argument reads and writes: it is parsed, not searched.

Only statements that name what they touch are let through. What names it elsewhere cannot be judged and is refused: a search
path that is set first, a string that a function runs as SQL, a procedure, a copy to a file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from sqlglot import exp

_STATEMENTS = frozenset({"query", "sql", "statement", "queries", "statements"})
_SCHEMAS = frozenset({"schema", "schemas", "schema_name", "table_schema"})
# What belongs to the database itself, and functions that run a text as SQL, reach a file or change where names are looked up.
_SYSTEM = ("pg_", "information_schema", "sqlite_", "pragma_")
_REACHING = (*_SYSTEM, "lo_", "dblink", "set_config", "query_to_", "table_to_", "cursor_to_", "schema_to_", "database_to_",
             "load_extension", "readfile", "writefile")  # fmt: skip
_JUDGED = ("Select", "SetOperation", "Subquery", "Values", "Insert", "Update", "Delete", "Merge", "TruncateTable", "Drop",
           "Describe", "Transaction", "Commit", "Rollback", "Semicolon")  # fmt: skip
_SHAPED = ("Create", "Alter")  # of tables and what stands for one
_SHAPES = frozenset({"TABLE", "VIEW", "INDEX", "SCHEMA"})


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
        if name in _STATEMENTS and (why := _text(text, schemas)):
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


def _text(text: str, schemas: Sequence[str]) -> str:
    import sqlglot

    try:
        statements = [each for each in sqlglot.parse(text, dialect="postgres") if each is not None]
    except (sqlglot.errors.SqlglotError, RecursionError):
        return "its SQL cannot be parsed"
    return next((why for each in statements if (why := _statement(each, schemas))), "")


def _statement(statement: exp.Expr, schemas: Sequence[str]) -> str:
    from sqlglot import exp

    shaped = isinstance(statement, tuple(getattr(exp, name) for name in _SHAPED))
    if shaped and str(statement.args.get("kind")).upper() not in _SHAPES:
        return "its SQL cannot be judged"
    if not shaped and not isinstance(statement, tuple(getattr(exp, name) for name in _JUDGED)):
        return "its SQL cannot be judged"
    if statement.find(exp.Command) is not None:
        return "its SQL cannot be judged"
    reasons = (
        *(_table(table, schemas) for table in statement.find_all(exp.Table)),
        *(_function(function, schemas) for function in statement.find_all(exp.Func)),
    )
    return next(filter(None, reasons), "")


def _table(table: exp.Table, schemas: Sequence[str]) -> str:
    if table.catalog:
        return f"{table.catalog} is another database"
    if table.db:
        return _schema(_name(table.args["db"]), schemas)
    if table.name.lower().startswith(_SYSTEM):
        return f"{table.name} belongs to the database itself, not to {', '.join(schemas)}"
    return ""


def _function(function: exp.Func, schemas: Sequence[str]) -> str:
    from sqlglot import exp

    if isinstance(function.parent, exp.Dot) and (
        why := _schema(_name(function.parent.this), (*schemas, "pg_catalog"))
    ):
        return why
    if isinstance(function, exp.Anonymous) and function.name.lower().startswith(_REACHING):
        return f"the function {function.name} reaches outside of {', '.join(schemas)}"
    return ""


def _schema(name: str, schemas: Sequence[str]) -> str:
    return "" if name in schemas else f"schema {name!r} is not one of {', '.join(schemas)}"


def _name(identifier: exp.Expr) -> str:
    """As the database reads it: in lower case, unless it is quoted."""
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()
