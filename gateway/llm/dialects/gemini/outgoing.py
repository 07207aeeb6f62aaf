"""Hub answers for a Gemini client: whole, in chunks, counts and model lists."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from gateway import refusals
from gateway.llm.dialects import carried, failures, partial, signatures, thoughts
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.frames import one_line
from gateway.llm.dialects.gemini.figures import metadata_of
from gateway.llm.dialects.protocol import Event, Json, Model, Request
from gateway.metering.usage import Usage
from gateway.refusals import Refusal

FINISH = {
    "max_tokens": "MAX_TOKENS", "model_context_window_exceeded": "MAX_TOKENS", "refusal": "SAFETY",
}  # fmt: skip


class Parts:
    """Hub blocks as parts. Thinking is kept until the call that it must come back with."""

    __slots__ = ("_pending", "_shows", "searched")

    def __init__(self, *, shows: bool) -> None:
        self._shows = shows  # the client asked to see thoughts
        self._pending = carried.Pending()
        self.searched: list[Json] = []

    def of(self, block: Json) -> list[Json]:
        kind = block["type"]
        if kind == "text":
            return [{"text": block["text"]}] if block["text"] else []
        if kind in signatures.THINKING:
            self.keep(block)
            return self.thought(block.get("thinking", ""))
        if kind == "tool_use":
            return [self.call(block)]
        if kind == "web_search_tool_result" and isinstance(block.get("content"), list):
            self.searched += block["content"]
        return []

    def keep(self, thinking: Json) -> None:
        self._pending.add(thinking)

    def thought(self, text: str) -> list[Json]:
        return [{"text": text, "thought": True}] if text and self._shows else []

    def call(self, block: Json) -> Json:
        part: Json = {"functionCall": {"id": block["id"], "name": block["name"], "args": block["input"]}}
        if signed := self._pending.take():
            own = thoughts.bare(signatures.signature(signed[-1])) if thoughts.of_call(signed[-1]) else ""
            part["thoughtSignature"] = own or carried.pack(signed)
        return part

    def grounding(self) -> Json:
        chunks = [
            {"web": {"uri": each.get("url", ""), "title": each.get("title", "")}} for each in self.searched
        ]
        return {"groundingMetadata": {"groundingChunks": chunks}} if chunks else {}


class Writer:
    """Hub events -> `streamGenerateContent`, as SSE, or as the JSON array that Google sends without `alt=sse`."""

    __slots__ = ("_arguments", "_block", "_frame", "_head", "_parts", "_sse", "_usage", "media")

    def __init__(self, request: Request) -> None:
        self._sse = bool(request.wire.get("sse", True))
        self.media = "text/event-stream" if self._sse else "application/json"
        self._parts = Parts(shows=bool(request.wire.get("thoughts")))
        self._head: Json = {"modelVersion": request.model}
        self._usage: Json = {}
        self._block: Json = {}
        self._arguments: list[str] = []
        self._frame = 0

    def write(self, event: Event) -> bytes:
        kind = event["type"]
        if kind == "content_block_delta":
            return self._delta(event["delta"])
        if kind == "content_block_start":
            self._block, self._arguments = dict(event["content_block"]), []
            return b""
        if kind == "content_block_stop":
            return self._stop()
        if kind == "message_start":
            self._usage = event["message"].get("usage") or {}
            self._head["responseId"] = event["message"].get("id", "")
        elif kind == "message_delta":
            return self._finish(event)
        elif kind == "message_stop":
            return b"" if self._sse else b"\n]"
        elif kind == "error":
            return self._error(event)
        return b""

    def ping(self) -> bytes:
        """An empty candidate: Google's clients know no comments in a stream, and skip this."""
        return self._chunk([{"text": ""}]) if self._sse else b" "

    def _delta(self, delta: Json) -> bytes:
        kind = delta["type"]
        if kind == "text_delta":
            return self._chunk([{"text": delta["text"]}]) if delta["text"] else b""
        if kind == "thinking_delta":
            self._block["thinking"] += delta["thinking"]
            shown = self._parts.thought(delta["thinking"])
            return self._chunk(shown) if shown else b""
        if kind == "input_json_delta":
            self._arguments.append(delta["partial_json"])
        elif kind == "signature_delta":
            self._block["signature"] = delta["signature"]
        return b""

    def _stop(self) -> bytes:
        block, self._block = self._block, {}
        kind = block.get("type")
        if kind in signatures.THINKING:
            self._parts.keep(block)
        elif kind == "tool_use":
            block["input"] = partial.parse("".join(self._arguments))
            return self._chunk([self._parts.call(block)])
        elif kind == "web_search_tool_result":
            self._parts.of(block)
        return b""

    def _finish(self, event: Event) -> bytes:
        self._usage = figures.merge(self._usage, event.get("usage"))
        reason = event["delta"].get("stop_reason")
        if reason is None:
            return b""
        candidate = {"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0,
                     "finishReason": FINISH.get(reason, "STOP"), **self._parts.grounding()}  # fmt: skip
        return self._emit({"candidates": [candidate], "usageMetadata": metadata(self._usage), **self._head})

    def _error(self, event: Event) -> bytes:
        info = failures.of_event(event)
        refusal = Refusal(503 if info.status == 529 else info.status, info.type, info.message)
        frame = self._emit(orjson.loads(refusals.render(refusal, "gemini", "")[1]))
        return frame if self._sse else frame + b"\n]"

    def _chunk(self, parts: list[Json]) -> bytes:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
        return self._emit({"candidates": [candidate], **self._head})

    def _emit(self, body: Json) -> bytes:
        self._frame += 1
        if self._sse:
            return b"data: %b\r\n\r\n" % one_line(body)
        return (b"[" if self._frame == 1 else b",\r\n") + orjson.dumps(body)


def write_answer(message: Json, request: Request) -> Json:
    writing = Parts(shows=bool(request.wire.get("thoughts")))
    parts = [part for block in message.get("content") or [] for part in writing.of(block)]
    reason = FINISH.get(message.get("stop_reason") or "", "STOP")
    content = (
        {"content": {"parts": parts or [{"text": ""}], "role": "model"}}
        if parts or reason != "SAFETY"
        else {}
    )
    candidate = {**content, "finishReason": reason, "index": 0, **writing.grounding()}
    return {
        "candidates": [candidate],
        "usageMetadata": metadata(message.get("usage") or {}),
        "modelVersion": request.model,
        "responseId": message.get("id", ""),
    }


def metadata(usage: Json) -> Json:
    return metadata_of(figures.read(usage) or Usage())


def write_count(tokens: int) -> Json:
    return {"totalTokens": tokens}


def write_models(models: Sequence[Model]) -> Json:
    return {"models": [_model(model) for model in models]}


def _model(model: Model) -> Json:
    shown: Json = {
        "name": f"models/{model.id}",
        "version": "001",
        "displayName": model.name or model.id,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    }
    if model.input_limit:
        shown["inputTokenLimit"] = model.input_limit
    if model.output_limit:
        shown["outputTokenLimit"] = model.output_limit
    return shown
