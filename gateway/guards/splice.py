"""Change some strings of a JSON text and leave every other byte as it was sent; or of a tree."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.guards.strings import Path

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.S)


def splice(body: bytes, changed: Mapping[Path, str]) -> bytes:
    """`splice(b'{"a": ["x", "y"]}', {("a", 1): "z"})`; the body must be JSON."""
    parts, end = [], 0
    for path, start, stop in _strings(body):
        if path in changed:
            parts += [body[end:start], orjson.dumps(changed[path])]
            end = stop
    return b"".join([*parts, body[end:]])


def replaced(tree: Any, changed: Mapping[Path, str]) -> Any:
    """The same of a tree, as a copy; a text alone has the empty path."""
    fresh = copy.deepcopy(tree)
    for path, text in changed.items():
        if not path:
            return text
        holder = fresh
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = text
    return fresh


def repeats(body: bytes) -> bool:
    """Whether an object holds a key twice, so that two readers may read two things."""
    keys: list[set[str] | None] = []
    key_next = False
    for match in _TOKEN.finditer(body):
        token = match.group()
        if token in (b"{", b"["):
            key_next = token == b"{"
            keys.append(set() if key_next else None)
        elif token in (b"}", b"]"):
            keys.pop()
            key_next = False
        elif token == b",":
            key_next = keys[-1] is not None
        elif token != b":" and key_next and (known := keys[-1]) is not None:
            key, key_next = orjson.loads(token), False
            if key in known:
                return True
            known.add(key)
    return False


def _strings(body: bytes) -> Iterator[tuple[Path, int, int]]:
    """Every string value with its path and its place in the bytes."""
    path: list[str | int] = []
    objects: list[bool] = []
    key_next = False
    for match in _TOKEN.finditer(body):
        token = match.group()
        if token in (b"{", b"["):
            key_next = token == b"{"
            objects.append(key_next)
            path.append("" if key_next else 0)
        elif token in (b"}", b"]"):
            objects.pop()
            path.pop()
            key_next = False
        elif token == b",":
            key_next = objects[-1]
            if not key_next:
                path[-1] = int(path[-1]) + 1
        elif token == b":":
            key_next = False
        elif key_next:
            path[-1] = orjson.loads(token)
        else:
            yield tuple(path), match.start(), match.end()
