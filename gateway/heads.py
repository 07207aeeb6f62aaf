"""What the headers of a request say, worked out once for all requests that come with the same ones.

A client sends the same headers with every request of a session, but for the length of its body and what names the single
request. So each layer keeps what it has found in them (who calls, what goes on to a provider) with the head, and finds it
again by one look-up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from operator import itemgetter
from typing import Any

from msgspec import Struct

from gateway.known import Known

Pair = tuple[bytes, bytes]
# They differ from request to request, and say nothing of who sends it. Clients, proxies and platforms add them.
CHANGING = frozenset(
    b"content-length idempotency-key traceparent tracestate baggage b3 x-b3-traceid x-b3-spanid x-b3-parentspanid"
    b" sentry-trace uber-trace-id x-datadog-trace-id x-datadog-parent-id x-request-id x-correlation-id x-client-request-id"
    b" x-request-start fly-request-id fly-traceparent fly-tracestate x-amzn-trace-id x-amz-cf-id cf-ray"
    b" x-cloud-trace-context".split()
)
MOST = 1024  # heads, of so many bytes at most: whoever invents headers does not fill the memory
LONGEST = 4096
_NAME = itemgetter(0)
_names: Known[bytes, str] = Known(lambda name: name.decode("latin-1"))


class Head(Struct, frozen=True, eq=False):
    """Headers in their order, without those that change. `known` belongs to the layers, each under a key of its own."""

    pairs: tuple[Pair, ...]
    names: Mapping[str, str]  # in lower case; of several the first one counts
    known: dict[Any, Any] = {}

    @property
    def repeats(self) -> bool:
        """Some header stands in it twice: two readers could take a different one."""
        return len(self.names) != len(self.pairs)

    def without(self, names: Collection[str]) -> Head:
        hidden = {name.encode("latin-1") for name in names}
        kept = dict(self.names)
        for name in names:
            kept.pop(name, None)
        return Head(tuple([pair for pair in self.pairs if pair[0] not in hidden]), kept)


def head(pairs: tuple[Pair, ...]) -> Head:
    return Head(pairs, names(reversed(pairs)))


def names(pairs: Iterable[Pair]) -> dict[str, str]:
    return {_names[name]: value.decode("latin-1") for name, value in pairs}


def nothing() -> Head:
    return head(())


def split(headers: Iterable[Pair]) -> tuple[tuple[Pair, ...], list[Pair]]:
    """Those that stay the same, and the first of each name that changes. Some servers give pairs that are lists."""
    pairs: list[Pair] = [*map(tuple, headers)]  # type: ignore[list-item]
    given = [*map(_NAME, pairs)]
    changing = []
    for name in CHANGING.intersection(given):
        at = given.index(name)
        changing.append(pairs.pop(at))
        del given[at]
    return tuple(pairs), changing


class Heads:
    """Those that came lately."""

    def __init__(self) -> None:
        self._known: dict[tuple[Pair, ...], Head] = {}

    def of(self, pairs: tuple[Pair, ...]) -> Head:
        found = self._known.get(pairs)
        if found is None:
            found = head(pairs)
            if sum(map(len, chain.from_iterable(pairs))) <= LONGEST:
                if len(self._known) >= MOST:
                    del self._known[next(iter(self._known))]
                self._known[pairs] = found
        return found
