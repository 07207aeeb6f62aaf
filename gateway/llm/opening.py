"""How a stream begins. Providers that are overloaded often say so only after a head that promised success; as long as
nothing of the answer itself has come, the call can still be saved by asking again or elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec import Struct

from gateway.call import Call
from gateway.llm import reading
from gateway.llm.dialects import failures
from gateway.llm.dialects.protocol import ErrorInfo, Event, StreamReader, Watcher
from gateway.llm.inquiry import Prepared
from gateway.net.client import Response

LIMIT = 64 * 1024
# What stands in the first bytes of an answer's own content, by dialect.
_CONTENT = {
    "anthropic": b'"content_block_start"',
    "vertex": b'"content_block_start"',
    "openai-chat": b'"delta"',
    "openai-responses": b'"response.output_item.added"',
    "gemini": b'"parts"',
}


class Opening(Struct, frozen=True):
    """What was read of a stream before the first byte went to the client."""

    held: bytes = b""  # of a stream that passes untouched
    watcher: Watcher | None = None  # it has seen what is held
    events: Sequence[Event] = ()  # of one that is translated
    reader: StreamReader | None = None
    error: ErrorInfo | None = None  # the stream failed before any content
    retry: bool = False  # and the reader says that the same request may succeed


PLAIN = Opening()  # of an answer that nobody had to look at first


async def opening(call: Call, prepared: Prepared, response: Response) -> Opening:
    if prepared.reply is not None:
        return await _of_events(call, prepared.wire.reader(prepared.reply), response)
    return await _of_bytes(call, prepared, response)


async def _of_bytes(call: Call, prepared: Prepared, response: Response) -> Opening:
    """Up to the first content, or the first error."""
    watcher: Watcher = prepared.wire.watcher()
    mark = _CONTENT.get(prepared.dialect, b"")
    held = b""
    while mark not in held and len(held) < LIMIT:
        chunk = await response.chunk()
        call.first_byte = call.first_byte or time.perf_counter_ns()
        held += chunk
        watcher.feed(chunk)
        if watcher.error is not None or not chunk:
            break
    return Opening(held=held, watcher=watcher, error=None if mark and mark in held else watcher.error)


async def _of_events(call: Call, reader: StreamReader, response: Response) -> Opening:
    events: list[Event] = []
    while not any(event["type"] in _DECISIVE for event in events):
        chunk = await response.chunk()
        call.first_byte = call.first_byte or time.perf_counter_ns()
        events += reading.events(reader, chunk)
        if not chunk:
            break
    first = next((event for event in events if event["type"] in _DECISIVE), None)
    if first is None or first["type"] != "error":
        return Opening(events=events, reader=reader)
    return Opening(
        events=events, reader=reader, error=failures.of_event(first), retry=bool(first.get("retry"))
    )


_DECISIVE = frozenset(("content_block_start", "message_delta", "message_stop", "error"))
