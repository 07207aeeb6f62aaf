"""A prompt as OpenTelemetry's conventions want it on a span, masked: only where somebody asked for content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

Masked = Callable[[Any], Any]
Json = Mapping[str, Any]


def attributes(body: bytes, masked: Masked) -> dict[str, str]:
    """`gen_ai.input.messages` and `gen_ai.system_instructions` of a request, whichever API it was written for."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(asked, dict):
        return {}
    said = asked.get("messages") or asked.get("contents") or asked.get("input")
    told = [{"content": said}] if isinstance(said, str) else _mappings(said)
    found = {"gen_ai.input.messages": [_message(each) for each in told]}
    system = asked.get("system") or asked.get("instructions") or asked.get("systemInstruction")
    if system:
        found["gen_ai.system_instructions"] = _parts(system)
    return {name: orjson.dumps(masked(value), default=str).decode() for name, value in found.items() if value}


def _mappings(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _message(message: Json) -> dict[str, Any]:
    parts = _parts(message.get("content", message))
    for call in _mappings(message.get("tool_calls")):
        function = call.get("function")
        named = function if isinstance(function, Mapping) else {}
        parts.append(_call(call.get("id"), named.get("name"), named.get("arguments")))
    return {"role": str(message.get("role", "user")), "parts": parts}


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    if isinstance(content, Mapping):
        content = content.get("parts", [content])
    return [part for block in _mappings(content) if (part := _part(block)) is not None]


def _part(block: Json) -> dict[str, Any] | None:
    kind = block.get("type")
    if isinstance(block.get("text"), str):
        return {"type": "text", "content": block["text"]}
    if kind in ("tool_use", "function_call"):
        return _call(
            block.get("id", block.get("call_id")),
            block.get("name"),
            block.get("input", block.get("arguments")),
        )
    if kind in ("tool_result", "function_call_output"):
        use, result = (
            block.get("tool_use_id", block.get("call_id")),
            block.get("content", block.get("output")),
        )
        return {"type": "tool_call_response", "id": use, "response": result}
    # Images and the like: that they were there, and not their bytes.
    return {"type": kind} if isinstance(kind, str) else None


def _call(id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": id, "name": name, "arguments": arguments}
