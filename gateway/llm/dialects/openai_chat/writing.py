"""Hub events and messages -> chat completion chunks and chat completions."""

from __future__ import annotations

import time
from typing import Any

import orjson

from gateway.llm.dialects import failures, openai_errors, openai_usage
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.carried import Pending, pack
from gateway.llm.dialects.partial import parse
from gateway.llm.dialects.protocol import Event, Json, Request, new_id
from gateway.metering.usage import Usage

FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


class Writer:
    """One stream: a chunk an event; usage in a chunk of its own, for clients that asked for it."""

    media = "text/event-stream"

    __slots__ = (
        "_base",
        "_calls",
        "_custom",
        "_extra",
        "_free",
        "_open",
        "_pending",
        "_pieces",
        "_usage",
        "_wants_usage",
    )

    def __init__(self, request: Request, *, created: int | None = None) -> None:
        self._wants_usage = bool(request.wire.get("include_usage"))
        self._custom = frozenset(request.wire.get("custom") or ())
        self._base: Json = {
            "id": new_id("chatcmpl"),
            "object": "chat.completion.chunk",
            "created": int(time.time()) if created is None else created,
            "model": request.model,
            "system_fingerprint": None,
        }
        self._calls = -1
        self._open = ""  # the type of the open block
        self._free: Json | None = None  # the open call, where its input is free text
        self._pieces: list[str] = []  # of the open call's arguments
        self._pending = Pending()
        self._extra: Json = {}  # what the open call carries
        self._usage: Json = {}

    def ping(self) -> bytes:
        return b": ping\n\n"

    def write(self, event: Event) -> bytes:
        kind = event["type"]
        self._pending.hear(event)
        if kind == "content_block_delta":
            delta = self._delta(event["delta"])
            return self._chunk(delta) if delta else b""
        if kind == "content_block_start":
            return self._start(event["content_block"])
        if kind == "content_block_stop":
            return self._stop()
        if kind == "message_start":
            self._usage = event["message"].get("usage") or {}
            return self._chunk({"role": "assistant", "content": "", "refusal": None})
        if kind == "message_delta":
            return self._finish(event)
        if kind == "message_stop":
            return b"data: [DONE]\n\n"
        if kind == "error":
            return _frame({"error": openai_errors.write_error(failures.of_event(event))})
        return b""

    def _delta(self, delta: Json) -> Json | None:
        kind = delta["type"]
        if kind == "text_delta":
            return {"content": delta["text"]}
        if kind == "thinking_delta":
            return {"reasoning_content": delta["thinking"]}
        if kind == "input_json_delta" and delta["partial_json"] and self._open == "tool_use":
            return self._arguments(delta["partial_json"])
        return None

    def _arguments(self, piece: str) -> Json | None:
        self._pieces.append(piece)
        return None if self._free else _call(self._calls, {"arguments": piece})

    def _start(self, block: Json) -> bytes:
        self._open = block["type"]
        self._pieces = []
        if self._open == "text" and block.get("text"):
            return self._chunk({"content": block["text"]})
        if self._open != "tool_use":
            return b""
        self._calls += 1
        self._extra = _extra(self._pending)
        self._free = block if block["name"] in self._custom else None
        if self._free:
            return b""
        function = {"name": block["name"], "arguments": ""}
        return self._chunk(_call(self._calls, function, id=block["id"], type="function", **self._extra))

    def _stop(self) -> bytes:
        kind, self._open = self._open, ""
        if kind == "tool_use" and self._free:
            call = {"index": self._calls, **_free(self._free, parse("".join(self._pieces))), **self._extra}
            return self._chunk({"tool_calls": [call]})
        if kind == "tool_use" and not self._pieces:
            return self._chunk(_call(self._calls, {"arguments": "{}"}))
        return b""

    def _finish(self, event: Event) -> bytes:
        self._usage = figures.merge(self._usage, event.get("usage"))
        finish = FINISHES.get(event["delta"].get("stop_reason") or "", "stop")
        frames = self._chunk({}, finish=finish)
        if self._wants_usage:
            counted = figures.read(self._usage) or Usage(estimated=True)
            frames += _frame({**self._base, "choices": [], "usage": openai_usage.to_chat(counted)})
        return frames

    def _chunk(self, delta: Json, *, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk: Json = {**self._base, "choices": [choice]}
        if self._wants_usage:
            chunk["usage"] = None
        return _frame(chunk)


def _extra(pending: Pending) -> Json:
    """The thinking that a call wants back, where Google's OpenAI-compatible API has its signatures."""
    signed = pending.take()
    return {"extra_content": {"google": {"thought_signature": pack(signed)}}} if signed else {}


def _call(index: int, function: Json, **first: Any) -> Json:
    return {"tool_calls": [{"index": index, **first, "function": function}]}


def _free(block: Json, given: Any) -> Json:
    """A call of a tool whose input is text."""
    text = given.get("input") if isinstance(given, dict) else given
    return {"id": block["id"], "type": "custom", "custom": {"name": block["name"], "input": text or ""}}


def _frame(data: Json) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def writer(request: Request) -> Writer:
    return Writer(request)


def write_answer(message: Json, request: Request, *, created: int | None = None) -> Json:
    custom = frozenset(request.wire.get("custom") or ())
    texts, thoughts, calls = [], [], []
    pending = Pending()
    for block in message.get("content") or ():
        pending.add(block)
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "thinking":
            thoughts.append(block["thinking"])
        elif block["type"] == "tool_use":
            made = _free(block, block["input"]) if block["name"] in custom else _function(block)
            calls.append(made | _extra(pending))
    answer: Json = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    answer |= {"refusal": None, "annotations": []}
    answer |= {"reasoning_content": "".join(thoughts)} if thoughts else {}
    answer |= {"tool_calls": calls} if calls else {}
    finish = FINISHES.get(message.get("stop_reason") or "", "stop")
    counted = figures.read(message.get("usage")) or Usage(estimated=True)
    return {
        "id": new_id("chatcmpl"),
        "object": "chat.completion",
        "created": int(time.time()) if created is None else created,
        "model": request.model,
        "choices": [{"index": 0, "message": answer, "logprobs": None, "finish_reason": finish}],
        "usage": openai_usage.to_chat(counted),
        "system_fingerprint": None,
    }


def _function(block: Json) -> Json:
    arguments = orjson.dumps(block["input"]).decode()
    return {
        "id": block["id"],
        "type": "function",
        "function": {"name": block["name"], "arguments": arguments},
    }
