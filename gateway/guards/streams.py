"""Where the text is in the events of a streamed answer, for each dialect, and what says that a text is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from gateway import sse
from gateway.refusals import Refusal, render

Channel = tuple[Any, ...]
ALL: Channel = ("*",)


@dataclass(frozen=True, slots=True)
class Delta:
    """A place in an event that holds the next piece of a text: `holder[key]`."""

    channel: Channel
    holder: dict[str, Any]
    key: str


def _anthropic(event: dict[str, Any]) -> Iterator[Delta]:
    delta = event.get("delta")
    if event.get("type") == "content_block_delta" and isinstance(delta, dict):
        for key in ("text", "partial_json"):  # thinking is signed: it passes as it is
            if isinstance(delta.get(key), str):
                yield Delta((_name(event.get("index")), key), delta, key)


def _anthropic_ends(event: dict[str, Any]) -> Channel | None:
    kind = event.get("type")
    if kind == "content_block_stop":
        return (_name(event.get("index")),)
    return ALL if kind in ("message_delta", "message_stop", "error") else None


def _chat(event: dict[str, Any]) -> Iterator[Delta]:
    for choice in _dicts(event.get("choices")):
        number, delta = _name(choice.get("index", 0)), choice.get("delta")
        if not isinstance(delta, dict):
            continue
        for key in ("content", "reasoning_content", "refusal"):
            if isinstance(delta.get(key), str) and delta[key]:
                yield Delta((number, key), delta, key)
        for each in _dicts(delta.get("tool_calls")):
            function = each.get("function")
            if (
                isinstance(function, dict)
                and isinstance(function.get("arguments"), str)
                and function["arguments"]
            ):
                yield Delta((number, "tool", _name(each.get("index", 0))), function, "arguments")


def _chat_ends(event: dict[str, Any]) -> Channel | None:
    if event.get("error"):
        return ALL
    done = [_name(c.get("index", 0)) for c in _dicts(event.get("choices")) if c.get("finish_reason")]
    return (done[0],) if done else (ALL if event.get("choices") == [] else None)


_RESPONSES = {"response.output_text.delta", "response.function_call_arguments.delta", "response.refusal.delta", "response.reasoning_text.delta",
              "response.reasoning_summary_text.delta", "response.custom_tool_call_input.delta"}  # fmt: skip


def _responses(event: dict[str, Any]) -> Iterator[Delta]:
    kind = event.get("type")
    if isinstance(kind, str) and kind in _RESPONSES and isinstance(event.get("delta"), str):
        text = (_name(event.get("item_id")), kind.rsplit(".", 1)[0], _name(event.get("content_index")))
        yield Delta(text, event, "delta")


def _responses_ends(event: dict[str, Any]) -> Channel | None:
    kind = str(event.get("type", ""))
    if kind.endswith((".done", ".completed", ".incomplete", ".failed")) or kind == "error":
        return (_name(event["item_id"]),) if "item_id" in event else ALL
    return None


def _gemini(event: dict[str, Any]) -> Iterator[Delta]:
    for candidate in _dicts(event.get("candidates")):
        content = candidate.get("content")
        for part in _dicts(content.get("parts") if isinstance(content, dict) else None):
            if isinstance(part.get("text"), str) and part["text"]:
                yield Delta((_name(candidate.get("index", 0)), bool(part.get("thought"))), part, "text")


def _gemini_ends(event: dict[str, Any]) -> Channel | None:
    done = [_name(c.get("index", 0)) for c in _dicts(event.get("candidates")) if c.get("finishReason")]
    return (done[0],) if done else None


def _name(value: Any) -> Any:
    """What an event calls its text by: nothing that an upstream could write instead of a number or an id may trip us."""
    return value if isinstance(value, str | int) or value is None else str(value)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _bare(event: dict[str, Any]) -> dict[str, Any]:
    """A frame of text without what may be said once only: who speaks, which tool, whose signature."""
    for choice in _dicts(event.get("choices")):
        for delta in _dicts([choice.get("delta")]):
            delta.pop("role", None)
            for each in _dicts(delta.get("tool_calls")):
                each.pop("id", None)
                each.pop("type", None)
                for function in _dicts([each.get("function")]):
                    function.pop("name", None)
    for candidate in _dicts(event.get("candidates")):
        for content in _dicts([candidate.get("content")]):
            for part in _dicts(content.get("parts")):
                part.pop("thoughtSignature", None)
    event.pop("usageMetadata", None)
    return event


@dataclass(frozen=True, slots=True)
class Grammar:
    deltas: Callable[[dict[str, Any]], Iterator[Delta]]
    ends: Callable[[dict[str, Any]], Channel | None]  # whose texts end: those whose channel begins so
    bare: Callable[[dict[str, Any]], dict[str, Any]] = _bare
    mixed: bool = False  # an event may hold whole things beside its pieces of text


GRAMMARS: dict[str, Grammar] = {
    "anthropic": Grammar(_anthropic, _anthropic_ends),
    "vertex": Grammar(_anthropic, _anthropic_ends),
    "openai-chat": Grammar(_chat, _chat_ends),
    "openai-responses": Grammar(_responses, _responses_ends),
    "gemini": Grammar(_gemini, _gemini_ends, mixed=True),
}


def error_event(dialect: str, refusal: Refusal, request_id: str) -> bytes:
    """The event by which a client of this dialect knows that the answer is broken off, not finished."""
    body = render(refusal, dialect, request_id)[1]
    if dialect == "openai-responses":
        body = orjson.dumps(
            {"type": "error", "code": refusal.kind, "message": refusal.message, "param": None}
        )
    return sse.encode(body, name="error" if dialect in ("anthropic", "vertex", "openai-responses") else "")
