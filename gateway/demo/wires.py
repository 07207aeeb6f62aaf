"""The three wires of the demo model: how each asks, and how each is answered."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from gateway import sse

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the demo model reads of a request: the last thing said, or the last thing a tool answered."""

    text: str = ""
    tools: list[str] = field(default_factory=list)
    tool_result: str | None = None


class Answer(Protocol):
    """What the model says: words, or one tool call."""

    @property
    def text(self) -> str: ...
    @property
    def words(self) -> list[str]: ...
    @property
    def tool(self) -> str: ...
    @property
    def arguments(self) -> Json | None: ...


def _text(content: Any) -> str:
    """The words of a content that may be a string or a list of blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list | None):
        raise TypeError("neither words nor blocks")
    return "\n".join(
        b["text"] for b in content or () if isinstance(b, dict) and isinstance(b.get("text"), str)
    )


class Anthropic:
    def __init__(self, model: str, tokens: int, answer: Answer) -> None:
        self.model, self.answer = model, answer
        self.usage = {"input_tokens": tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        self.out = len(answer.words)

    @staticmethod
    def read(body: Json) -> Prompt:
        tools = [t["name"] for t in body.get("tools", ()) if "name" in t]
        said = [m["content"] for m in body["messages"] if m["role"] == "user"]
        last = said[-1]
        results = [b for b in last if b.get("type") == "tool_result"] if isinstance(last, list) else []
        if results:
            return Prompt(tools=tools, tool_result=_text(results[-1].get("content", "")))
        return Prompt(_text(last), tools)

    @staticmethod
    def models(names: Sequence[str]) -> Json:
        data = [
            {"type": "model", "id": n, "display_name": n, "created_at": "2026-01-01T00:00:00Z"} for n in names
        ]
        return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}

    @staticmethod
    def count(tokens: int) -> Json:
        return {"input_tokens": tokens}

    def _block(self) -> Json:
        if self.answer.tool:
            call = {"type": "tool_use", "id": "toolu_" + secrets.token_hex(12), "name": self.answer.tool}
            return call | {"input": self.answer.arguments or {}}
        return {"type": "text", "text": self.answer.text}

    def _head(self, content: list[Json], stop: str | None, out: int) -> Json:
        head = {"id": "msg_demo", "type": "message", "role": "assistant", "model": self.model}
        return head | {"content": content, "stop_reason": stop, "stop_sequence": None,
                       "usage": self.usage | {"output_tokens": out}}  # fmt: skip

    @property
    def _stop(self) -> str:
        return "tool_use" if self.answer.tool else "end_turn"

    def message(self) -> Json:
        return self._head([self._block()], self._stop, self.out)

    def events(self) -> Iterator[bytes]:
        block = self._block()
        empty = block | {"input" if self.answer.tool else "text": {} if self.answer.tool else ""}
        yield self._event({"type": "message_start", "message": self._head([], None, 1)})
        yield self._event({"type": "content_block_start", "index": 0, "content_block": empty})
        for delta in self._deltas():
            yield self._event({"type": "content_block_delta", "index": 0, "delta": delta})
        yield self._event({"type": "content_block_stop", "index": 0})
        delta = {"stop_reason": self._stop, "stop_sequence": None}
        yield self._event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": self.out}})
        yield self._event({"type": "message_stop"})

    def _deltas(self) -> list[Json]:
        if self.answer.tool:
            return [{"type": "input_json_delta", "partial_json": _json(self.answer.arguments)}]
        return [{"type": "text_delta", "text": word} for word in self.answer.words]

    @staticmethod
    def _event(event: Json) -> bytes:
        return sse.encode(orjson.dumps(event), name=event["type"])


class OpenAI:
    def __init__(self, model: str, tokens: int, answer: Answer) -> None:
        self.answer = answer
        self.head = {"id": "chatcmpl-demo", "created": int(time.time()), "model": model}
        out = len(answer.words)
        self.usage = {"prompt_tokens": tokens, "completion_tokens": out, "total_tokens": tokens + out}
        self.stop = "tool_calls" if answer.tool else "stop"

    @staticmethod
    def read(body: Json) -> Prompt:
        tools = [t["function"]["name"] for t in body.get("tools", ()) if "function" in t]
        last = [m for m in body["messages"] if m["role"] in ("user", "tool")][-1]
        if last["role"] == "tool":
            return Prompt(tools=tools, tool_result=_text(last.get("content")))
        return Prompt(_text(last.get("content")), tools)

    @staticmethod
    def models(names: Sequence[str]) -> Json:
        return {
            "object": "list",
            "data": [{"id": n, "object": "model", "created": 0, "owned_by": "demo"} for n in names],
        }

    @staticmethod
    def count(tokens: int) -> Json:
        return {"input_tokens": tokens}

    def _calls(self) -> list[Json]:
        function = {"name": self.answer.tool, "arguments": _json(self.answer.arguments)}
        return [{"id": "call_" + secrets.token_hex(12), "type": "function", "function": function}]

    def message(self) -> Json:
        said: Json = {"role": "assistant", "content": self.answer.text or None, "refusal": None}
        if self.answer.tool:
            said["tool_calls"] = self._calls()
        choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": self.stop}
        return self.head | {"object": "chat.completion", "choices": [choice], "usage": self.usage}

    def _chunk(self, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse.encode(orjson.dumps(self.head | {"object": "chat.completion.chunk", "choices": [choice]}))

    def events(self) -> Iterator[bytes]:
        yield self._chunk({"role": "assistant", "content": None if self.answer.tool else ""})
        if self.answer.tool:
            yield self._chunk({"tool_calls": [{"index": 0} | call for call in self._calls()]})
        else:
            yield from (self._chunk({"content": word}) for word in self.answer.words)
        yield self._chunk({}, self.stop)
        last = self.head | {"object": "chat.completion.chunk", "choices": [], "usage": self.usage}
        yield sse.encode(orjson.dumps(last))
        yield b"data: [DONE]\n\n"


class Gemini:
    def __init__(self, model: str, tokens: int, answer: Answer) -> None:
        self.model, self.answer = model, answer
        out = len(answer.words)
        self.usage = {
            "promptTokenCount": tokens,
            "candidatesTokenCount": out,
            "totalTokenCount": tokens + out,
        }

    @staticmethod
    def read(body: Json) -> Prompt:
        body = body.get("generateContentRequest", body)  # as countTokens has it
        declared = [d for t in body.get("tools", ()) for d in t.get("functionDeclarations", ())]
        tools = [d["name"] for d in declared]
        parts = body["contents"][-1].get("parts", [])
        results = [p["functionResponse"] for p in parts if "functionResponse" in p]
        if results:
            response = results[-1].get("response", {})
            return Prompt(tools=tools, tool_result=str(response.get("output", response)))
        return Prompt(_text(parts), tools)

    @staticmethod
    def models(names: Sequence[str]) -> Json:
        actions = ["generateContent", "countTokens"]
        return {"models": [{"name": f"models/{n}", "supportedGenerationMethods": actions} for n in names]}

    @staticmethod
    def count(tokens: int) -> Json:
        return {"totalTokens": tokens}

    def _chunk(self, part: Json, finish: str | None) -> Json:
        candidate: Json = {"index": 0, "content": {"role": "model", "parts": [part]}}
        if finish:
            candidate["finishReason"] = finish
        return {"candidates": [candidate], "modelVersion": self.model, "usageMetadata": self.usage}

    def _call(self) -> Json:
        return {"functionCall": {"name": self.answer.tool, "args": self.answer.arguments or {}}}

    def message(self) -> Json:
        return self._chunk(self._call() if self.answer.tool else {"text": self.answer.text}, "STOP")

    def events(self) -> Iterator[bytes]:
        parts = [self._call()] if self.answer.tool else [{"text": word} for word in self.answer.words]
        for at, part in enumerate(parts):
            finish = "STOP" if at == len(parts) - 1 else None
            yield sse.encode(orjson.dumps(self._chunk(part, finish)))


def _json(arguments: Json | None) -> str:
    return orjson.dumps(arguments or {}).decode()
