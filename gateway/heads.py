"""What the headers of a request say, worked out once for all requests that come with the same ones.

A client sends the same headers with every request of a session, but for the length of its body. So each layer keeps what it
has found in them (who calls, what goes on to a provider) with the head, and finds it again by one look-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from msgspec import Struct

from gateway.known import Known

Pair = tuple[bytes, bytes]
LENGTH = b"content-length"
MOST = 1024  # heads, of so many bytes at most: whoever invents headers does not fill the memory
LONGEST = 4096
_NAME = itemgetter(0)
_names: Known[bytes, str] = Known(lambda name: name.decode("latin-1"))


class Head(Struct, frozen=True, eq=False):
    """Headers in their order, without the body's length. `known` belongs to the layers, each under a key of its own."""

    pairs: tuple[Pair, ...]
    names: Mapping[str, str]  # in lower case; of several the first one counts
    known: dict[Any, Any] = {}

    @property
    def repeats(self) -> bool:
        """Some header stands in it twice: two readers could take a different one."""
        return len(self.names) != len(self.pairs)

    def without(self, names: Iterable[str]) -> Head:
        hidden = {name.encode("latin-1") for name in names}
        return head(tuple(pair for pair in self.pairs if pair[0] not in hidden))


def head(pairs: tuple[Pair, ...]) -> Head:
    return Head(pairs, {_names[name]: value.decode("latin-1") for name, value in reversed(pairs)})


def nothing() -> Head:
    return head(())


def split(headers: Iterable[Pair]) -> tuple[tuple[Pair, ...], Pair | None]:
    """All of them but the first that gives the body's length, and that one. Some servers give pairs that are lists."""
    pairs: list[Pair] = [*map(tuple, headers)]  # type: ignore[list-item]
    names = [*map(_NAME, pairs)]
    length = pairs.pop(names.index(LENGTH)) if LENGTH in names else None
    return tuple(pairs), length


class Heads:
    """Those that came lately."""

    def __init__(self) -> None:
        self._known: dict[tuple[Pair, ...], Head] = {}

    def of(self, pairs: tuple[Pair, ...]) -> Head:
        found = self._known.get(pairs)
        if found is None:
            found = head(pairs)
            if sum(len(name) + len(value) for name, value in pairs) <= LONGEST:
                if len(self._known) >= MOST:
                    del self._known[next(iter(self._known))]
                self._known[pairs] = found
        return found
