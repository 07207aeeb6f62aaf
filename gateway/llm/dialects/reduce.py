"""Streams and whole answers are one thing seen twice: `reduce` makes a message of events, `expand` events of a message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from gateway.llm.dialects import failures
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.partial import parse
from gateway.llm.dialects.protocol import Event, Json


class Reducer:
    """Collects a hub stream. `message` is the answer so far; `error` the error event that ended it."""

    __slots__ = ("_arguments", "error", "finished", "message")

    def __init__(self) -> None:
        self.message: Json = {}
        self.error: Event | None = None
        self.finished = False
        self._arguments: list[str] = []

    def add(self, event: Event) -> None:
        kind = event["type"]
        if kind == "content_block_delta":
            self._delta(self.message["content"][event["index"]], event["delta"])
        elif kind == "content_block_start":
            self.message["content"].append(dict(event["content_block"]))
            self._arguments = []
        elif kind == "content_block_stop":
            self._close(self.message["content"][event["index"]])
        elif kind == "message_start":
            self.message = {**event["message"], "content": []}
        elif kind == "message_delta":
            self.message.update(event["delta"])
            self.message["usage"] = figures.merge(self.message.get("usage") or {}, event.get("usage"))
        elif kind == "message_stop":
            self.finished = True
        elif kind == "error":
            self.error = event

    def _delta(self, block: Json, delta: Json) -> None:
        kind = delta["type"]
        if kind == "text_delta":
            block["text"] += delta["text"]
        elif kind == "input_json_delta":
            self._arguments.append(delta["partial_json"])
        elif kind == "thinking_delta":
            block["thinking"] += delta["thinking"]
        elif kind == "signature_delta":
            block["signature"] = delta["signature"]
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
        elif kind == "compaction_delta":
            block["content"] = (block.get("content") or "") + (delta.get("content") or "")

    def _close(self, block: Json) -> None:
        if self._arguments:
            block["input"] = parse("".join(self._arguments))
            self._arguments = []


def reduce(events: Iterable[Event]) -> Json:
    """The message that a whole stream tells. An `error` event is the caller's to look for (`Reducer.error`)."""
    reducer = Reducer()
    for event in events:
        reducer.add(event)
    return reducer.message


def whole(events: Iterable[Event]) -> Json:
    """The message of a complete answer; AnswerFailed where the events end in an error."""
    reducer = Reducer()
    for event in events:
        reducer.add(event)
    if reducer.error is not None:
        raise failures.AnswerFailed(failures.of_event(reducer.error), retry=bool(reducer.error.get("retry")))
    return reducer.message


def expand(message: Json) -> Iterator[Event]:
    """The stream that tells this message."""
    counted = message.get("usage") or {}
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None,
             "usage": {**counted, "output_tokens": 0}}  # fmt: skip
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(message.get("content") or []):
        yield from _expand_block(index, block)
    delta = {"stop_reason": message.get("stop_reason"), "stop_sequence": message.get("stop_sequence")}
    yield {"type": "message_delta", "delta": delta, "usage": counted}
    yield {"type": "message_stop"}


def _expand_block(index: int, block: Json) -> Iterator[Event]:
    start, deltas = _opened(block)
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _opened(block: Json) -> tuple[Json, list[Json]]:
    """A block as it starts in a stream, and the deltas that fill it."""
    kind = block["type"]
    if kind == "text":
        deltas: list[Json] = [{"type": "text_delta", "text": block["text"]}] if block["text"] else []
        deltas += [{"type": "citations_delta", "citation": each} for each in block.get("citations") or []]
        return {**block, "text": "", **({"citations": []} if "citations" in block else {})}, deltas
    if kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
        arguments: Any = orjson.dumps(block["input"]).decode()
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": arguments}]
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}] if block["thinking"] else []
        deltas += (
            [{"type": "signature_delta", "signature": block["signature"]}] if block.get("signature") else []
        )
        return {**block, "thinking": "", "signature": ""}, deltas
    return block, []
