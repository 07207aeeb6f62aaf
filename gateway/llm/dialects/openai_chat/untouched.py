"""Chat to chat: the client's bytes go on, and the provider's come back, as they are.

One thing is asked for on the client's behalf: the usage at the end of a stream, without which nothing can be billed.
A client that did not ask for it never sees that chunk; everything else passes byte for byte.
"""

from __future__ import annotations

import re
from typing import Any

from gateway import sse
from gateway.llm.dialects import carried, openai_errors, openai_usage, openai_watch
from gateway.llm.dialects.content import shaped
from gateway.llm.dialects.openai_chat.answers import STOPS
from gateway.llm.dialects.openai_chat.inbound import signature_of
from gateway.llm.dialects.openai_watch import Watcher
from gateway.llm.dialects.passage import fields_of, value_of, with_fields
from gateway.llm.dialects.protocol import Json, Options
from gateway.metering.usage import Usage

_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_MARKS = (_USAGE, *map(re.compile, (rb'"finish_reason"\s*:\s*"', rb'"error"\s*:', rb"\[DONE\]")))
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')


def forward(body: bytes, options: Options) -> bytes:
    mixed = carried.PREFIX.encode() in body
    if options.asked == options.model and not options.stream and not mixed:
        return body
    changes: dict[str, object] = {"model": options.model}
    if mixed:
        changes["messages"] = _own(value_of(fields_of(body), "messages"))
    if options.stream and "no_stream_options" not in options.quirks:
        asked = value_of(fields_of(body), "stream_options") or {}
        changes["stream_options"] = {**asked, "include_usage": True}
    return with_fields(body, changes)


def _own(messages: Any) -> Any:
    """The messages without thinking that another provider signed: what is new to a chat API is refused by many."""
    with shaped("OpenAI chat"):
        for message in messages:
            for call in message.get("tool_calls") or ():
                if signature_of(call).startswith(carried.PREFIX):
                    del call["extra_content"]
    return messages


class Trimmer:
    """Takes the usage chunk out of a stream, in whatever pieces it comes."""

    __slots__ = ("_splitter",)

    def __init__(self) -> None:
        self._splitter = sse.Splitter()

    def feed(self, chunk: bytes) -> bytes:
        if not self._splitter.rest and chunk.endswith(b"\n\n") and not _USAGE.search(chunk):
            return chunk
        frames = self._splitter.feed(chunk)
        return b"".join(f for f in frames if not (_NO_CHOICES.search(f) and _USAGE.search(f)))

    def end(self) -> bytes:
        rest, self._splitter.rest = self._splitter.rest, b""
        return rest


def trimmer(body: bytes) -> Trimmer | None:
    """For the client's own body: None where it asked for the usage itself, or does not stream."""
    found = fields_of(body)
    if not value_of(found, "stream") or (value_of(found, "stream_options") or {}).get("include_usage"):
        return None
    return Trimmer()


def watcher() -> Watcher:
    return Watcher(_MARKS, _look)


def _look(seen: Watcher, found: Json) -> None:
    seen.finished = seen.finished or "done" in found
    if found.get("error"):
        seen.error = openai_errors.of_event(found["error"])
    seen.usage = openai_usage.of_chat(found.get("usage")) or seen.usage
    for choice in found.get("choices") or ():
        if choice.get("finish_reason"):
            seen.stop_reason = STOPS.get(choice["finish_reason"], "end_turn")


def usage_of(answer: bytes) -> Usage | None:
    """Of a chat completion, or of embeddings: both name their figures alike."""
    return openai_watch.usage_of(answer, openai_usage.of_chat)
