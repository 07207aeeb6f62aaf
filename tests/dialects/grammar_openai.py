"""Grammars of the OpenAI and Bedrock streams that the gateway emits: AssertionError at the first event that breaks one."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from gateway import sse
from gateway.llm.dialects.eventstream import Splitter
from tests.dialects import grammar

Event = dict[str, Any]
_responses = TypeAdapter(ResponseStreamEvent)
# The API sends them, and the SDK's types leave them out.
_CODES = {"context_length_exceeded", "insufficient_quota"}
_FINISHES = {"stop", "length", "tool_calls", "content_filter"}


def _frames(stream: bytes) -> list[sse.Event]:
    splitter = sse.Splitter()
    found = [sse.parse(frame) for frame in splitter.feed(stream)]
    assert splitter.rest == b"", f"half a frame at the end: {splitter.rest[:80]!r}"
    return [event for event in found if event is not None]


def chat(stream: bytes, *, whole: bool | None = None, usage: bool | None = None) -> list[Event]:
    """One id, the role first, calls announced once and in order, one finish, then usage, then `[DONE]`."""
    checker = _Chat()
    for event in _frames(stream):
        assert event.name == "message", "chat names no events"
        checker.frame(event.data)
    if whole is not None:
        assert checker.done is whole, "the stream has no [DONE]" if whole else "ended well"
        assert checker.failed is not whole
    if usage is not None and whole:
        assert checker.usage is usage
    return checker.chunks


class _Chat:
    def __init__(self) -> None:
        self.chunks: list[Event] = []
        self.done = self.failed = self.usage = False
        self.finish: str | None = None
        self.arguments: list[str] = []

    def frame(self, data: bytes) -> None:
        assert not self.done, "something after [DONE]"
        assert not self.failed, "something after the error"
        if data == b"[DONE]":
            assert self.finish, "[DONE] without a finish reason"
            self.done = True
            return
        chunk = json.loads(data)
        if "error" in chunk:
            assert set(chunk["error"]) == {"message", "type", "param", "code"}
            self.failed = True
            return
        if b'"type":"custom"' not in data:  # which the API sends and the SDK's types leave out
            ChatCompletionChunk.model_validate(chunk, strict=True)
        if self.chunks:
            assert chunk["id"] == self.chunks[0]["id"]
        self.chunks.append(chunk)
        assert not self.usage, "a chunk after the usage"
        if not chunk["choices"]:
            assert self.finish, "usage before the finish reason"
            figures = chunk["usage"]
            assert figures["total_tokens"] == figures["prompt_tokens"] + figures["completion_tokens"]
            self.usage = True
            return
        (choice,) = chunk["choices"]
        self.choice(choice)

    def choice(self, choice: Event) -> None:
        assert self.finish is None, "a choice after its finish"
        delta = choice["delta"]
        assert ("role" in delta) == (len(self.chunks) == 1), "the role comes once, and first"
        for call in delta.get("tool_calls") or ():
            self.call(call)
        self.finish = choice["finish_reason"]
        if self.finish is not None:
            assert self.finish in _FINISHES
        if self.finish == "tool_calls":
            assert self.arguments
            assert all(isinstance(json.loads(text), dict) for text in self.arguments if text)

    def call(self, call: Event) -> None:
        if call["index"] == len(self.arguments):
            assert call["id"]
            assert call["type"] in ("function", "custom")
            self.arguments.append("")
        else:
            assert call["index"] == len(self.arguments) - 1, "an older call goes on"
            assert "id" not in call
            assert "name" not in call["function"]
        if "function" in call:
            self.arguments[-1] += call["function"]["arguments"]


def responses(stream: bytes, *, whole: bool | None = None) -> list[Event]:
    """Sequence numbers without gaps; every item added, filled and done in order; one end that holds all of them."""
    checker = _Responses()
    for number, frame in enumerate(_frames(stream)):
        event = json.loads(frame.data)
        assert frame.name == event["type"], f"the event line says {frame.name!r}, the data {event['type']!r}"
        assert event["sequence_number"] == number
        assert not checker.ended, f"{event['type']} after the end"
        _responses.validate_python(_typed(event))
        checker.take(event)
    if whole is not None:
        assert checker.ended, "the stream has no end"
        assert checker.failed is not whole, "ended in an error" if whole else "ended well"
    return checker.events


def _typed(event: Event) -> Event:
    response = event.get("response") or {}
    if (response.get("error") or {}).get("code") in _CODES:
        return {**event, "response": {**response, "error": None}}
    return event


class _Responses:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.done: list[Event] = []
        self.open: Event | None = None
        self.text = self.arguments = self.summary = ""
        self.ended = self.failed = False
        self.id = ""

    def take(self, event: Event) -> None:
        self.events.append(event)
        kind = event["type"].removeprefix("response.")
        if len(self.events) == 1:
            assert kind == "created"
            self.id = event["response"]["id"]
        if "response" in event:
            self.lifecycle(kind, event["response"])
        else:
            assert event["output_index"] == len(self.done), "items come one after the other"
            if kind != "output_item.added":
                assert self.open is not None, f"{kind} without an item"
                assert event.get("item_id", self.open["id"]) == self.open["id"]
            getattr(self, kind.replace(".", "_"))(event)

    def lifecycle(self, kind: str, response: Event) -> None:
        assert response["id"] == self.id
        if kind in ("created", "in_progress"):
            assert len(self.events) <= 2
            assert response["status"] == "in_progress"
            assert response["output"] == []
            return
        self.ended, self.failed = True, kind == "failed"
        assert response["status"] == kind
        if not self.failed:
            assert self.open is None
            assert response["output"] == self.done
            assert response["usage"]["total_tokens"] >= 0
        assert (response["incomplete_details"] is not None) == (kind == "incomplete")
        assert (response["error"] is not None) == self.failed

    def output_item_added(self, event: Event) -> None:
        assert self.open is None, "two items open"
        self.open = event["item"]
        self.text = self.arguments = self.summary = ""

    def output_item_done(self, event: Event) -> None:
        item, self.open = event["item"], None
        kind = item["type"]
        if kind == "message":
            assert item["content"][0]["text"] == self.text
        elif kind == "function_call":
            assert item["arguments"] == self.arguments
        elif kind == "reasoning":
            assert "".join(part["text"] for part in item["summary"]) == self.summary
        self.done.append(item)

    def content_part_added(self, event: Event) -> None:
        assert event["part"]["text"] == ""

    def content_part_done(self, event: Event) -> None:
        assert event["part"]["text"] == self.text

    def output_text_delta(self, event: Event) -> None:
        self.text += event["delta"]

    def output_text_done(self, event: Event) -> None:
        assert event["text"] == self.text

    def function_call_arguments_delta(self, event: Event) -> None:
        self.arguments += event["delta"]

    def function_call_arguments_done(self, event: Event) -> None:
        self.arguments = self.arguments or event["arguments"]
        assert event["arguments"] == self.arguments

    def custom_tool_call_input_delta(self, event: Event) -> None:
        self.text += event["delta"]

    def custom_tool_call_input_done(self, event: Event) -> None:
        assert event["input"] == self.text

    def reasoning_summary_part_added(self, event: Event) -> None:
        assert event["summary_index"] == 0

    def reasoning_summary_text_delta(self, event: Event) -> None:
        self.summary += event["delta"]

    def reasoning_summary_text_done(self, event: Event) -> None:
        assert event["text"] == self.summary

    def reasoning_summary_part_done(self, event: Event) -> None:
        assert event["part"]["text"] == self.summary


def bedrock(stream: bytes, *, whole: bool | None = None) -> list[Event]:
    """Frames whose events obey Anthropic's grammar, or end in an exception."""
    splitter = Splitter()
    events: list[Event] = []
    failed = False
    for frame in splitter.feed(stream):
        assert not failed, "a frame after the exception"
        if frame.headers[":message-type"] == "exception":
            assert frame.headers[":exception-type"].endswith("Exception")
            assert json.loads(frame.payload)["message"]
            failed = True
            continue
        assert frame.headers == {
            ":event-type": "chunk",
            ":content-type": "application/json",
            ":message-type": "event",
        }
        events.append(json.loads(b64decode(json.loads(frame.payload)["bytes"], validate=True)))
    assert splitter.rest == b""
    grammar.hub(events, whole=None if failed else whole)
    if whole is not None:
        assert failed is not whole
    return events
