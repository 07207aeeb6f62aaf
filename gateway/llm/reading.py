"""An upstream's answer through its dialect's reader. An answer of another form than its API promises is the upstream's
failure, and never a crash of ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.errors import UpstreamError
from gateway.llm.dialects.content import MISSHAPEN
from gateway.llm.dialects.protocol import Event, StreamReader, StreamWriter
from gateway.llm.encoding import plain
from gateway.net.client import header
from gateway.refusals import Refusal

if TYPE_CHECKING:
    from gateway.llm.upstream import Answer

log = logging.getLogger("gateway")
LARGEST_ERROR = 1024 * 1024
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


async def refusal(answer: Answer) -> Refusal:
    """An upstream's error, or its refusal of our own credential, in the client's terms."""
    response = answer.response
    body = plain(await response.read(LARGEST_ERROR), header(response.headers, b"content-encoding"))
    if answer.credential_refused:
        text = "the gateway's own credential for this provider was refused; its operator has been told"
        return Refusal(500, "api_error", text, rule="upstream_credential")
    names = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
    info = answer.opening.error or answer.prepared.wire.read_error(response.status, names, body)
    return Refusal(info.status, info.type, info.message, retry_after=info.retry_after)


def _failed(error: Exception) -> UpstreamError:
    log.warning("%s: %s: %s", MESSAGE, type(error).__name__, error)
    return UpstreamError(MESSAGE)
