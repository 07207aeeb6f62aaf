"""A text that is a JSON document or a query string is what stands in its fields: quotes and ampersands between them belong to
the form, and what is put together from a field is put together from its value alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import orjson

MOST = 200  # fields; a larger document is read as it stands
_QUERY = re.compile(
    r"((?:[a-z][a-z0-9+.-]*://|/)[^\s?'\"<>]*(?=\?))?\??([\w.\[\]$-]+=[^&\s]*(?:&[\w.\[\]$-]+=[^&\s]*)*)",
    re.I,
)


def values(text: str) -> tuple[str, list[str]]:
    """Which form it has, and the values of its fields; nothing of a text that is only itself."""
    if text[:1] in ("{", "["):
        form, found = "json", _of_json(text)
    else:
        form, found = "query", _of_query(text)
    return (form, found) if 0 < len(found) <= MOST else ("", [])


def _of_query(text: str) -> list[str]:
    """The path before it, too."""
    match = _QUERY.fullmatch(text) if "=" in text[:256] and ("&" in text or "?" in text) else None
    if match is None:
        return []
    pairs = [pair.partition("=")[2] for pair in match[2].split("&")]
    return [unquote_plus(each) for each in (match[1], *pairs) if each]


def _of_json(text: str) -> list[str]:
    try:
        orjson.loads(text)  # which is strict
        return list(_strings(json.loads(text, object_pairs_hook=_fields)))
    except (ValueError, RecursionError):
        return []


def _fields(pairs: list[tuple[str, Any]]) -> list[Any]:
    """Keys, too: some are columns. And all values of a key that comes again, for who is to say which one is taken."""
    return [part for pair in pairs for part in pair]


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                yield text
            case list(items):
                waiting += reversed(items)
