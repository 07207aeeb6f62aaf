"""Hub events and messages -> Responses events and responses.

Every block becomes an output item of its own; every event carries the next sequence number. What the client said of its
request is echoed in the response object, encoded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from gateway.llm.dialects import failures
from gateway.llm.dialects import usage as figures
from gateway.llm.dialects.openai_responses import shapes
from gateway.llm.dialects.openai_responses.reasoning import ciphertext_of
from gateway.llm.dialects.openai_responses.tools import Kinds, call_item
from gateway.llm.dialects.partial import parse
from gateway.llm.dialects.protocol import Event, Json, Request, new_id
from gateway.llm.dialects.reduce import expand


class Writer:
    media = "text/event-stream"

    __slots__ = (
        "_base",
        "_block",
        "_ident",
        "_index",
        "_kinds",
        "_pieces",
        "_reason",
        "_sequence",
        "_signature",
        "_usage",
        "output",
        "response",
    )

    def __init__(self, request: Request, *, created: int | None = None) -> None:
        self._kinds: Kinds = request.wire.get("kinds") or {}
        self._base = shapes.base(request, created)
        self._sequence = 0
        self._index = -1  # of the open item
        self._block: Json = {}  # the hub block that is open
        self._ident = ""  # the open item's id
        self._pieces: list[str] = []
        self._signature = ""
        self._usage: Json = {}
        self._reason = ""
        self.output: list[Json] = []
        self.response: Json = {}  # the finished one

    def ping(self) -> bytes:
        return b": ping\n\n"

    def write(self, event: Event) -> bytes:
        kind = event["type"]
        if kind == "content_block_delta":
            return self._delta(event["delta"])
        handler = _HANDLERS.get(kind)
        return handler(self, event) if handler is not None else b""

    def start(self, event: Event) -> bytes:
        self._usage = event["message"].get("usage") or {}
        begun = self._snapshot("in_progress")
        return self._emit("response.created", response=begun) + self._emit(
            "response.in_progress", response=begun
        )

    def open(self, event: Event) -> bytes:
        self._block, self._pieces, self._signature = event["content_block"], [], ""
        opened = _OPENED.get(self._block["type"])
        if opened is None:
            return b""
        self._index += 1
        return opened(self)

    def open_text(self) -> bytes:
        self._ident = new_id("msg")
        item = shapes.message(self._ident, "in_progress", [])
        frames = self._added(item) + self._emit(
            "response.content_part.added", **self._part(), part=shapes.text_part("")
        )
        return frames + (
            self._delta({"type": "text_delta", "text": self._block["text"]})
            if self._block.get("text")
            else b""
        )

    def open_thinking(self) -> bytes:
        known, _ = ciphertext_of(self._block)
        self._ident = known or new_id("rs")
        self._signature = str(self._block.get("data") or "")
        return self._added({"id": self._ident, "type": "reasoning", "summary": []})

    def open_call(self) -> bytes:
        kind = self._kinds.get(self._block["name"])
        what = kind["type"] if kind else "function"
        self._ident = new_id({"function": "fc", "custom": "ctc"}.get(what, "call"))
        if what not in ("function", "custom"):
            return b""  # its action is known only when the arguments are whole
        item = call_item(self._block, {}, kind, self._ident, text="")
        return self._added({**item, "status": "in_progress"})

    def _delta(self, delta: Json) -> bytes:
        kind = delta["type"]
        if kind == "text_delta":
            self._pieces.append(delta["text"])
            return self._emit("response.output_text.delta", **self._part(), delta=delta["text"], logprobs=[])
        if kind == "input_json_delta" and self._block["type"] == "tool_use":
            return self._arguments(delta["partial_json"])
        if kind == "thinking_delta":
            return self._thought(delta["thinking"])
        if kind == "signature_delta":
            self._signature = delta["signature"]
        return b""

    def _arguments(self, piece: str) -> bytes:
        self._pieces.append(piece)
        if not piece or self._kind() != "function":
            return b""
        return self._emit("response.function_call_arguments.delta", **self._item(), delta=piece)

    def _kind(self) -> str:
        return str((self._kinds.get(self._block["name"]) or {}).get("type", "function"))

    def _thought(self, piece: str) -> bytes:
        first = b""
        if not self._pieces:
            first = self._emit(
                "response.reasoning_summary_part.added", **self._summary(), part=shapes.summary_part("")
            )
        self._pieces.append(piece)
        return first + self._emit("response.reasoning_summary_text.delta", **self._summary(), delta=piece)

    def close(self, event: Event) -> bytes:
        closed = _CLOSED.get(self._block.get("type") or "")
        frames = closed(self) if closed is not None else b""
        self._block = {}
        return frames

    def close_text(self) -> bytes:
        text = "".join(self._pieces)
        item = shapes.message(self._ident, "completed", [shapes.text_part(text)])
        return (
            self._emit("response.output_text.done", **self._part(), text=text, logprobs=[])
            + self._emit("response.content_part.done", **self._part(), part=shapes.text_part(text))
            + self._done(item)
        )

    def close_thinking(self) -> bytes:
        text, frames = "".join(self._pieces), b""
        if text:
            frames = self._emit("response.reasoning_summary_text.done", **self._summary(), text=text)
            frames += self._emit(
                "response.reasoning_summary_part.done", **self._summary(), part=shapes.summary_part(text)
            )
        signed = {"signature": self._signature, "data": self._signature, "type": self._block["type"]}
        item: Json = {
            "id": self._ident,
            "type": "reasoning",
            "summary": [shapes.summary_part(text)] if text else [],
            "encrypted_content": ciphertext_of(signed)[1] or None,
        }
        return frames + self._done(item)

    def close_call(self) -> bytes:
        text = "".join(self._pieces) or "{}"
        kind, what = self._kinds.get(self._block["name"]), self._kind()
        item = call_item(self._block, parse(text) if what != "function" else {}, kind, self._ident, text=text)
        if what == "function":
            return self._emit(
                "response.function_call_arguments.done", **self._item(), name=item["name"], arguments=text
            ) + self._done(item)
        if what == "custom":
            given = item["input"]
            return (
                self._emit("response.custom_tool_call_input.delta", **self._item(), delta=given)
                + self._emit("response.custom_tool_call_input.done", **self._item(), input=given)
                + self._done(item)
            )
        return self._added(item) + self._done(item)

    def delta(self, event: Event) -> bytes:
        self._usage = figures.merge(self._usage, event.get("usage"))
        self._reason = event["delta"].get("stop_reason") or ""
        return b""

    def stop(self, event: Event) -> bytes:
        cut = shapes.CUTS.get(self._reason)
        status = "incomplete" if cut else "completed"
        self.response = self._snapshot(status, cut=cut)
        return self._emit(f"response.{status}", response=self.response)

    def fail(self, event: Event) -> bytes:
        info = failures.of_event(event)
        first = b"" if self._sequence else self.start({"message": {}})
        broken = self._snapshot("failed") | {"error": shapes.failure(info)}
        return first + self._emit("response.failed", response=broken)

    def _snapshot(self, status: str, *, cut: str | None = None) -> Json:
        return self._base | shapes.state(status, self.output, self._usage, cut=cut)

    def _part(self) -> Json:
        return {"item_id": self._ident, "output_index": self._index, "content_index": 0}

    def _summary(self) -> Json:
        return {"item_id": self._ident, "output_index": self._index, "summary_index": 0}

    def _item(self) -> Json:
        return {"item_id": self._ident, "output_index": self._index}

    def _added(self, item: Json) -> bytes:
        return self._emit("response.output_item.added", output_index=self._index, item=item)

    def _done(self, item: Json) -> bytes:
        self.output.append(item)
        return self._emit("response.output_item.done", output_index=self._index, item=item)

    def _emit(self, kind: str, /, **fields: Any) -> bytes:
        data = orjson.dumps({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


_HANDLERS: dict[str, Callable[[Writer, Event], bytes]] = {
    "message_start": Writer.start,
    "content_block_start": Writer.open,
    "content_block_stop": Writer.close,
    "message_delta": Writer.delta,
    "message_stop": Writer.stop,
    "error": Writer.fail,
}
_OPENED: dict[str, Callable[[Writer], bytes]] = {
    "text": Writer.open_text,
    "thinking": Writer.open_thinking,
    "redacted_thinking": Writer.open_thinking,
    "tool_use": Writer.open_call,
}
_CLOSED: dict[str, Callable[[Writer], bytes]] = {
    "text": Writer.close_text,
    "thinking": Writer.close_thinking,
    "redacted_thinking": Writer.close_thinking,
    "tool_use": Writer.close_call,
}


def writer(request: Request) -> Writer:
    return Writer(request)


def write_answer(message: Json, request: Request) -> Json:
    """The response that the stream of this message would end with."""
    whole = Writer(request)
    for event in expand(message):
        whole.write(event)
    return whole.response | shapes.echoed(request)
