"""The one boundary to everything upstream: send a request, get an answer that is read piece by piece.

`Pool` is the client of the data plane; `HttpxClient` lets a user bring any httpx transport. Both keep these promises:
the answer's bytes are handed on as they came (no decompression), redirects are returned and never followed, every wait has
an end, and `close` gives the connection back where it can be used again and aborts it otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Protocol

from msgspec import Struct

from gateway.types import Headers

_NAME = itemgetter(0)
READ_LIMIT = 64 * 1024 * 1024
Take = Callable[[bytes], bool]  # takes a piece of a body, or says that it would have to wait


class Timeouts(Struct, frozen=True):
    """Seconds. `idle` is the silence between two pieces of an answer; time in which nobody reads does not count."""

    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 300.0
    total: float = 3600.0


DEFAULT_TIMEOUTS = Timeouts()


class Lines(list[tuple[bytes, bytes]]):
    """Headers of many requests, never changed: what they are on the wire is made once."""

    __slots__ = ("wire",)

    def __init__(self, headers: Headers) -> None:
        super().__init__(headers)
        self.wire = lines(headers)


def lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A head's lines but for `host`, which the client knows itself. Raises ValueError where one would become two."""
    if b"host" in map(_NAME, headers):
        headers = [pair for pair in headers if pair[0] != b"host"]
    wire = b"\r\n".join((*map(b": ".join, headers), b""))
    if wire.count(b"\n") != len(headers) or wire.count(b"\r") != len(headers):
        raise ValueError("a line break in a header of the request")
    return wire


class Response(Protocol):
    """An answer whose head has arrived."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers:
        """Lower-case names, in the order in which they came."""

    @property
    def ended(self) -> bool:
        """The whole answer has been read: `chunk` has nothing more to give."""

    @property
    def arrived(self) -> bool:
        """All of it is here, read or not: `take` gives the rest."""

    def take(self) -> bytes:
        """What of the body is here and was not read yet, b"" where nothing is."""

    async def pour(self, take: Take) -> None:
        """Gives `take` each piece in the moment in which it comes: no task is woken for it. Returns before the first one that
        it refuses and before what comes with the end, which `chunk` has then, and raises what `chunk` or `take` raise."""

    async def chunk(self) -> bytes:
        """The next bytes of the body, b"" at its end. Raises UpstreamClosed where it was cut, UpstreamTimeout."""

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        """The rest of the body. Raises UpstreamError when it is larger than `limit`."""

    def close(self) -> None:
        """Done with it. May be called at any time and more than once."""


class Client(Protocol):
    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> Response:
        """Returns when the answer's head has arrived. The client itself adds `host` and `content-length`, nothing else."""

    async def close(self) -> None: ...


def header(headers: Headers, name: bytes) -> bytes:
    """The first value of a header, b"" without one. `name` in lower case."""
    found = values(headers, name)
    return found[0] if found else b""


def values(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> Sequence[bytes]:
    """All values of a header. `name` in lower case."""
    if name not in map(_NAME, headers):  # which most are not
        return ()
    return [value for key, value in headers if key == name]
