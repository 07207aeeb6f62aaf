"""Whether a text is an SQL statement, or prose that begins with the same word.

An argument named `query` is a statement for a database server and words for a search. Each verb says what must follow it in a
statement; a semicolon with something behind it makes one of any. What is taken for prose is still scanned as any text is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import re2

_END = r"\s*(?:;|$)"
_NAME = r"[\w.@#$\"`\[\]]+"
_THINGS = (
    "database|schema|(?:unique )?index|materialized|user|role|group|function|procedure|trigger|extension|sequence|type|login|rule"
    "|aggregate|domain|event|server|publication|subscription|policy|tablespace|owned|system|session|foreign|virtual|column"
)
_OPENINGS = {
    "select": rf"(?:.*(?:[*(),;='\"@]|\bfrom\b)|\s+(?:\d|{_NAME}{_END}))",
    "insert": r"\b.*(?:\(|\b(?:values?|select|set|default)\b)",
    "update": r"\s+.*\bset\b",
    "delete": rf"\s+(?:from\b|{_NAME}\s+(?:from|where|using)\b|{_NAME}{_END})",
    "merge": r"\s+.*\busing\b",
    "replace": r"\s+(?:into\b|.*\b(?:values|select)\b)",
    "drop": rf"\s+(?:table|view|temporary|{_THINGS})\b",
    "alter": rf"\s+(?:table|view|{_THINGS})\b",
    "create": rf"\s+(?:or\s+replace\s+)?(?:(?:{_THINGS})\b|(?:(?:temp|temporary|unlogged|global|local|external)\s+)*(?:table|view)\b.*(?:\(|\b(?:as|like|of|using)\b))",
    "truncate": rf"\s+(?:table\b|{_NAME}(?:\s+(?:cascade|restart|continue)|\s*,|{_END}))",
    "grant": r"\s+.*\bto\b",
    "revoke": r"\s+.*\bfrom\b",
    "explain": r"\s*(?:\(|\b(?:analy[sz]e|verbose|plan|query|extended|format|select|insert|update|delete|merge|with|replace)\b)",
    "show": rf"\s+(?:(?:full|create|global|session|extended)\s+)?(?:all|tables?|databases?|schemas?|columns|index(?:es)?|grants|processlist|status|variables|{_NAME}{_END})",
    "desc(?:ribe)?": rf"\s+(?:table\s+)?{_NAME}{_END}",
    "pragma": rf"\s+{_NAME}\s*(?:=|\(|;|$)",
    "use": rf"\s+{_NAME}{_END}",
    "set": rf"\s+(?:(?:(?:global|session|local|persist)\s+)?{_NAME}\s*(?::?=|to\b)|(?:role|transaction|names|schema|constraints|session)\b)",
    "call": rf"\s+{_NAME}\s*(?:\(|;|$)",
    "exec(?:ute)?": rf"\s*(?:\(|\s(?:immediate\b|{_NAME}\s*(?:$|[;'@(=,\d])))",
    "do": r"\s+(?:language\s+\w+\s+)?[$']",
    "copy": r"\s+(?:into\b|.+\b(?:from|to)\s+(?:'|stdin|stdout|program\b))",
    "load": r"\s+(?:data\b|xml\b|'|extension\b)",
    "(?:at|de)tach": r"\s+(?:database\b|'|\"|.*\bas\b)",
    "values": r"\s*\(",
    "table": rf"\s+{_NAME}(?:\s+(?:order|limit|offset|union|except|intersect)\b|{_END})",
    "with": rf"\s+(?:recursive\s+)?{_NAME}\s*(?:\([^)]*\)\s*)?as\s+(?:not\s+)?(?:materialized\s+)?\(",
    "vacuum|analyze|reindex|begin|start|commit|rollback|savepoint|checkpoint": rf"(?:\s+{_NAME}){{0,2}}{_END}",
    "(?:comment|rename|lock|refresh|reassign)": r"\s+(?:on|table|tables|materialized|owned)\b",
}  # fmt: skip
_COMMENT = r"(?s)--[^\n]*|/\*.*?\*/"
_EXECUTABLE = "/*!"  # what stands in such a comment is run by MySQL


@cache
def _pattern() -> Any:
    verbs = "|".join(f"(?:{verb})(?:{rest})" for verb, rest in _OPENINGS.items())
    several = "|".join(_OPENINGS)
    return re2.compile(rf"(?is)^[\s(]*(?:{verbs}|(?:{several})\b.*;\s*\S)")


def is_statement(text: str) -> bool:
    return _EXECUTABLE in text or _pattern().match(re2.sub(_COMMENT, " ", text)) is not None
