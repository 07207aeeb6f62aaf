"""Bedrock's stream of Claude's events: each one in base64, in JSON, in a frame."""

from __future__ import annotations

from base64 import b64decode

import orjson

from gateway.llm.dialects import failures
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.anthropic_form import checked
from gateway.llm.dialects.aws_errors import of_frame
from gateway.llm.dialects.composer import CUT
from gateway.llm.dialects.converse_figures import STOPS, usage_of
from gateway.llm.dialects.eventstream import Frame, Splitter
from gateway.llm.dialects.protocol import ErrorInfo, Event, Json, Reply
from gateway.metering.usage import Usage

_METRICS = "amazon-bedrock-invocationMetrics"
_GAPS = {
    "input_tokens": "inputTokenCount",
    "output_tokens": "outputTokenCount",
    "cache_read_input_tokens": "cacheReadInputTokenCount",
    "cache_creation_input_tokens": "cacheWriteInputTokenCount",
}


def event_of(frame: Frame) -> Event | None:
    """The event of a frame; an error frame is an `error` event. Frames of kinds unknown today are None."""
    if (info := of_frame(frame)) is not None:
        return failures.event(info, retry=info.status in (500, 529))
    if frame.headers.get(":event-type") != "chunk":
        return None
    event = orjson.loads(b64decode(orjson.loads(frame.payload)["bytes"]))
    return event if isinstance(event, dict) and isinstance(event.get("type"), str) else None


class Reader:
    """AWS's own figures come in the last event and differ from Claude's: they only fill what Claude left out. So
    `message_delta` waits for `message_stop`, which follows at once."""

    __slots__ = ("_delta", "_names", "_over", "_splitter", "_usage")

    def __init__(self, reply: Reply) -> None:
        self._splitter = Splitter()
        self._names = reply.names
        self._usage: Json = {}
        self._delta: Event | None = None
        self._over = False

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        try:
            for frame in self._splitter.feed(chunk):
                event = event_of(frame)
                if event is not None and not self._over:
                    self._take(checked(event), events)
        except (ValueError, KeyError, TypeError) as error:
            self._fail(f"the upstream sent a broken frame: {error}", events)
        return events

    def end(self) -> list[Event]:
        events: list[Event] = []
        self._fail(CUT, events)
        return events

    def _take(self, event: Event, events: list[Event]) -> None:
        kind = event["type"]
        if kind == "message_start":
            self._usage = event["message"].get("usage") or {}
        elif kind == "content_block_start" and self._names:
            event = self._restored(event)
        elif kind == "message_delta":
            self._delta = event
            return
        elif kind == "message_stop":
            events += self._finish(event)
            return
        self._over = kind == "error"
        events.append(event)

    def _finish(self, event: Event) -> list[Event]:
        self._over = True
        metrics = event.get(_METRICS) or {}
        if self._delta is None:
            return [failures.event(ErrorInfo(500, "api_error", CUT), retry=True)]
        known = figures.merge(self._usage, self._delta.get("usage"))
        filled = {ours: metrics[its] for ours, its in _GAPS.items() if ours not in known and its in metrics}
        usage = {**(self._delta.get("usage") or {}), **filled}
        return [{**self._delta, "usage": usage}, {"type": "message_stop"}]

    def _restored(self, event: Event) -> Event:
        block = event["content_block"]
        name = self._names.get(block.get("name"))
        return {**event, "content_block": {**block, "name": name}} if name else event

    def _fail(self, message: str, events: list[Event]) -> None:
        if not self._over:
            self._over = True
            events.append(failures.event(ErrorInfo(500, "api_error", message), retry=True))


class Watcher:
    """Of InvokeModel's streams and of Converse's. Every frame is looked into, for base64 hides what it holds, but only
    the few with figures are decoded."""

    __slots__ = ("_broken", "_converse", "_splitter", "_usage", "error", "finished", "stop_reason")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._usage: Json = {}
        self._converse: Usage | None = None
        self._broken = False
        self.error: ErrorInfo | None = None
        self.stop_reason = ""
        self.finished = False

    @property
    def usage(self) -> Usage | None:
        return self._converse or figures.billed(self._usage)

    def feed(self, chunk: bytes) -> None:
        if self._broken:
            return
        try:
            for frame in self._splitter.feed(chunk):
                self._look(frame)
        except (ValueError, KeyError, TypeError):
            self._broken = True  # not ours to judge: the bytes pass

    def _look(self, frame: Frame) -> None:
        if (error := of_frame(frame)) is not None:
            self.error = error
            return
        kind = frame.headers.get(":event-type")
        if kind == "metadata":
            self._converse = usage_of(orjson.loads(frame.payload).get("usage"))
        elif kind == "messageStop":
            self.stop_reason = STOPS.get(orjson.loads(frame.payload)["stopReason"], "end_turn")
            self.finished = True
        elif kind == "chunk":
            data = b64decode(orjson.loads(frame.payload)["bytes"])
            if b'"usage"' in data or b'"message_stop"' in data or b'"error"' in data:
                self._event(orjson.loads(data))

    def _event(self, event: Event) -> None:
        kind = event.get("type")
        if kind == "message_start":
            self._usage = event["message"].get("usage") or {}
        elif kind == "message_delta":
            self._usage = figures.merge(self._usage, event.get("usage"))
            self.stop_reason = (event.get("delta") or {}).get("stop_reason") or self.stop_reason
        elif kind == "message_stop":
            self.finished = True
            metrics = event.get(_METRICS) or {}
            gaps = {ours: metrics[its] for ours, its in _GAPS.items() if its in metrics}
            self._usage = {**gaps, **self._usage}
        elif kind == "error":
            self.error = failures.of_event(event)
