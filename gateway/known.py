"""What is worked out once for each name that comes again and again: of headers, of fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")
MOST = 4096  # whoever invents names does not fill the memory


class Known(dict[K, V]):
    """`Known(bytes.isupper)[b"accept"]`: a plain dict's lookup is several times cheaper than a call of a function."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[K], V]) -> None:
        self._find = find

    def __missing__(self, key: K) -> V:
        found = self._find(key)
        if len(self) < MOST:
            self[key] = found
        return found
