"""What is worked out once for each name that comes again and again: of headers, of fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Name = str | bytes
K = TypeVar("K", bound=Name | tuple[Name | None, ...])
V = TypeVar("V")
# Whoever invents names does not fill the memory.
MOST = 4096
LONGEST = 256  # bytes or characters of a name that is kept


class Known(dict[K, V]):
    """`Known(bytes.isupper)[b"accept"]`: a plain dict's lookup is several times cheaper than a call of a function."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[K], V]) -> None:
        self._find = find

    def __missing__(self, key: K) -> V:
        found = self._find(key)
        if len(self) < MOST and _length(key) <= LONGEST:
            self[key] = found
        return found


def _length(key: Name | tuple[Name | None, ...]) -> int:
    return sum(len(part or "") for part in key) if isinstance(key, tuple) else len(key)
