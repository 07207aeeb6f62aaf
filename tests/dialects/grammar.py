"""Grammars of the streams that the gateway emits: every stream in any test goes through the one of its dialect.

Each checker takes the stream and raises AssertionError at the first event that breaks the grammar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from gateway import sse

Event = dict[str, Any]

STOP_REASONS = {
    "end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal", "pause_turn",
    "model_context_window_exceeded", "compaction",
}  # fmt: skip
DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
    "mcp_tool_use": {"input_json_delta"},
    "compaction": {"compaction_delta"},
}
TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")


def events_of(stream: bytes) -> list[tuple[str, Any]]:
    """The events of an SSE stream as bytes; every byte must belong to a whole frame."""
    splitter = sse.Splitter()
    frames = splitter.feed(stream)
    assert splitter.rest == b"", f"half a frame at the end: {splitter.rest[:80]!r}"
    found = []
    for frame in frames:
        event = sse.parse(frame)
        if event is not None:
            found.append((event.name, json.loads(event.data)))
    return found


def anthropic(stream: bytes, *, whole: bool | None = None) -> list[Event]:
    """Anthropic's grammar over bytes. `whole`: must end well (True), in an error (False), or either (None)."""
    named = events_of(stream)
    for name, event in named:
        assert name == event["type"], f"the event line says {name!r}, the data {event['type']!r}"
    events = [event for _, event in named]
    hub(events, whole=whole)
    return events


def hub(events: Iterable[Event], *, whole: bool | None = None) -> None:
    """Anthropic's grammar over events."""
    checker = _Anthropic()
    for event in events:
        assert not checker.ended, f"{event['type']} after the end"
        getattr(checker, event["type"])(event)
    if whole is not None:
        assert checker.ended, "the stream has no end"
        assert checker.failed is not whole, "ended in an error" if whole else "ended well"


class _Anthropic:
    def __init__(self) -> None:
        self.started = self.ended = self.failed = self.told = False
        self.open: Event | None = None
        self.next = 0
        self.json = ""
        self.signed = False
        self.ids: set[str] = set()
        self.tools = 0

    def ping(self, event: Event) -> None:
        assert set(event) == {"type"}

    def error(self, event: Event) -> None:
        assert isinstance(event["error"]["type"], str)
        assert event["error"]["message"]
        self.ended = self.failed = True

    def message_start(self, event: Event) -> None:
        assert not self.started, "two message_start"
        self.started = True
        message = event["message"]
        assert message["type"] == "message"
        assert message["role"] == "assistant"
        assert message["content"] == []
        assert message["id"]
        assert isinstance(message["model"], str)
        assert message["stop_reason"] is None
        self._usage(message["usage"])
        assert "input_tokens" in message["usage"]

    def content_block_start(self, event: Event) -> None:
        assert self.started, "a block before message_start"
        assert not self.told, "a block after message_delta"
        assert self.open is None, "two blocks open"
        assert event["index"] == self.next, f"index {event['index']} where {self.next} is due"
        self.open, self.json, self.signed = event["content_block"], "", False
        kind = self.open["type"]
        if kind == "text":
            assert self.open["text"] == ""
        elif kind == "thinking":
            assert self.open["thinking"] == ""
        elif kind == "redacted_thinking":
            assert self.open["data"]
        elif kind == "tool_use":
            self._tool(self.open)

    def _tool(self, block: Event) -> None:
        assert block["input"] == {}
        assert block["name"]
        assert TOOL_ID.fullmatch(block["id"]), block["id"]
        assert block["id"] not in self.ids, "a tool id twice"
        self.ids.add(block["id"])
        self.tools += 1

    def content_block_delta(self, event: Event) -> None:
        assert self.open is not None, "a delta without a block"
        assert event["index"] == self.next
        delta, kind = event["delta"], self.open["type"]
        assert delta["type"] in DELTAS.get(kind, set()), f"{delta['type']} in a {kind} block"
        if delta["type"] == "input_json_delta":
            self.json += delta["partial_json"]
        if delta["type"] == "signature_delta":
            assert not self.signed, "signed twice"
            assert delta["signature"]
            self.signed = True
        elif delta["type"] == "thinking_delta":
            assert not self.signed, "thinking after its signature"

    def content_block_stop(self, event: Event) -> None:
        assert self.open is not None, "a stop without a block"
        assert event["index"] == self.next
        if self.open["type"] == "tool_use":
            # Anthropic itself may send no delta where there are no arguments.
            self.last_json = self.json or "{}"
        self.open = None
        self.next += 1

    def message_delta(self, event: Event) -> None:
        assert self.started, "message_delta before message_start"
        assert self.open is None, "message_delta inside a block"
        reason = event["delta"]["stop_reason"]
        assert reason is None or reason in STOP_REASONS, reason
        if reason is not None:
            assert not self.told, "two stop reasons"
            self.told = True
        if reason == "tool_use":
            assert self.tools, "tool_use without a call"
            assert isinstance(json.loads(self.last_json), dict)
        self._usage(event["usage"])

    def message_stop(self, event: Event) -> None:
        assert self.told, "message_stop without a stop reason"
        assert self.open is None
        self.ended = True

    @staticmethod
    def _usage(usage: Event) -> None:
        for key, value in usage.items():
            if key.endswith("_tokens"):
                assert value is None or (isinstance(value, int) and value >= 0), f"{key}: {value!r}"


def gemini(stream: bytes, *, whole: bool | None = None) -> list[Event]:
    """`streamGenerateContent?alt=sse`: data frames only, one candidate, one finish with the figures, nothing after."""
    named = events_of(stream)
    ended = failed = False
    for name, chunk in named:
        assert name == "message", "Gemini names no events"
        assert not ended, "a chunk after the end"
        if "error" in chunk:
            assert set(chunk["error"]) >= {"code", "message", "status"}
            ended = failed = True
            continue
        (candidate,) = chunk["candidates"]
        assert candidate["index"] == 0
        assert candidate["content"]["role"] == "model"
        for part in candidate["content"]["parts"]:
            _gemini_part(part)
        if "finishReason" in candidate:
            ended = True
            figures = chunk["usageMetadata"]
            told = [
                figures.get(key, 0)
                for key in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
            ]
            assert all(isinstance(value, int) and value >= 0 for value in told)
            assert figures["totalTokenCount"] == sum(told)
    if whole is not None:
        assert ended, "the stream has no end"
        assert failed is not whole, "ended in an error" if whole else "ended well"
    return [chunk for _, chunk in named]


def _gemini_part(part: Event) -> None:
    kinds = {"text", "functionCall", "inlineData"} & set(part)
    assert len(kinds) == 1, f"a part is one thing: {sorted(part)}"
    if "functionCall" in part:
        assert isinstance(part["functionCall"]["args"], dict)
        assert part["functionCall"]["name"]
