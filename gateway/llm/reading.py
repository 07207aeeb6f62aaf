"""An upstream's answer through its dialect's reader. An answer of another form than its API promises is the upstream's
failure, and never a crash of ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gateway.errors import UpstreamError
from gateway.llm.dialects.content import MISSHAPEN
from gateway.llm.dialects.protocol import Event, StreamReader, StreamWriter

log = logging.getLogger("gateway")
MESSAGE = "the upstream's answer is not of the form that its API promises"


def events(reader: StreamReader, chunk: bytes) -> list[Event]:
    """What these bytes say; b"" ends the stream."""
    try:
        return reader.feed(chunk) if chunk else reader.end()
    except (*MISSHAPEN, RecursionError) as error:
        raise _failed(error) from error


def told(writer: StreamWriter, events: Sequence[Event]) -> bytes:
    """The same for the client."""
    try:
        return b"".join([writer.write(event) for event in events])
    except (*MISSHAPEN, RecursionError) as error:
        raise _failed(error) from error


@contextmanager
def trusting() -> Iterator[None]:
    """Around whatever reads a whole answer."""
    try:
        yield
    except (*MISSHAPEN, RecursionError) as error:
        raise _failed(error) from error


def _failed(error: Exception) -> UpstreamError:
    log.warning("%s: %s: %s", MESSAGE, type(error).__name__, error)
    return UpstreamError(MESSAGE)
