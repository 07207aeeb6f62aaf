"""The strings of a request or an answer that people, models and tools wrote, and where in it they stand.

One walk for all dialects: what a key or a type means is the same in each of them, and a field that nobody told us about
is read like any other (lists are open). Pictures, sounds and documents cannot be read here; they are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    place: str  # system | messages | tool_results | tools | answer
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A block that no scanner here can read."""

    kind: str
    path: Path


_TOPS = {
    "system": "system", "instructions": "system", "systemInstruction": "system", "system_instruction": "system",
    "tools": "tools", "toolConfig": "tools", "functions": "tools",
    "messages": "messages", "input": "messages", "contents": "messages", "prompt": "messages",
}  # fmt: skip
_ANSWER_TOPS = dict.fromkeys(("content", "choices", "output", "candidates", "message", "response", "item", "part", "text",
                              "arguments", "delta", "content_block"), "answer")  # fmt: skip
_RESULT_KEYS = frozenset({"functionResponse", "function_response", "toolResult"})
_RESULT_TYPES = frozenset({"tool_result", "function_call_output", "mcp_tool_result", "web_search_tool_result", "custom_tool_call_output",
                           "local_shell_call_output", "computer_call_output"})  # fmt: skip
_UNREAD_TYPES = frozenset(
    {"image", "document", "image_url", "input_image", "input_audio", "input_file", "file", "video", "audio"}
)
_UNREAD_KEYS = frozenset(
    {"inlineData", "inline_data", "fileData", "file_data", "image", "document", "video", "audio"}
)
# Names, ids and opaque blobs: written by programs, and checked by whoever made them.
_OPAQUE = frozenset({"type", "role", "id", "tool_use_id", "tool_call_id", "call_id", "signature", "thoughtSignature", "thought_signature",
                     "encrypted_content", "cache_control", "media_type", "mimeType", "mime_type", "finish_reason", "finishReason", "stop_reason",
                     "status", "object", "model", "toolUseId", "item_id", "stopReason", "blob"})  # fmt: skip


def request(body: Any) -> Iterator[Piece | Unread]:
    return _tops(body, _TOPS)


def answer(body: Any) -> Iterator[Piece | Unread]:
    return _tops(body, _ANSWER_TOPS)


def everything(value: Any, place: str, *, at: Path = ()) -> Iterator[Piece | Unread]:
    """All strings of a value: a tool's arguments, its result, its definition."""
    return _walk(value, place, at)


def _tops(body: Any, tops: dict[str, str]) -> Iterator[Piece | Unread]:
    if isinstance(body, dict):
        for key, value in body.items():
            if key in tops:
                yield from _walk(value, tops[key], (key,))


def _walk(value: Any, place: str, path: Path) -> Iterator[Piece | Unread]:
    # A stack of our own: the depth of a body is its sender's choice.
    todo: list[tuple[Any, str, Path]] = [(value, place, path)]
    while todo:
        value, place, path = todo.pop()
        if isinstance(value, str):
            if value:
                yield Piece(place, path, value)
        elif isinstance(value, list):
            todo.extend((value[i], place, (*path, i)) for i in range(len(value) - 1, -1, -1))
        elif isinstance(value, dict):
            if place in _SPOKEN and value.get("type") in _SIGNED:
                continue
            kind = _unread(value, place)
            if kind:
                yield Unread(kind, path)
                continue
            inside = _place(value, place)
            todo.extend(
                (
                    item,
                    "tool_results" if key in _RESULT_KEYS and place == "messages" else inside,
                    (*path, key),
                )
                for key, item in reversed(value.items())
                if place not in _SPOKEN or (key not in _OPAQUE and not (place == "answer" and key in _ECHOED))
            )


_SPOKEN = frozenset({"system", "messages", "tool_results", "answer", "result"})
_ECHOED = frozenset({"instructions", "tools", "metadata", "usage"})  # of a request, in the answer to it
_SIGNED = frozenset(
    {"thinking", "redacted_thinking", "thinking_delta", "signature_delta"}
)  # a changed one is refused by whoever signed it


def _place(block: dict[str, Any], place: str) -> str:
    if place != "messages":
        return place
    role, kind = block.get("role"), block.get("type")
    if role in ("system", "developer"):
        return "system"
    if role in ("tool", "function") or (isinstance(kind, str) and kind in _RESULT_TYPES):
        return "tool_results"
    return place


def _unread(block: dict[str, Any], place: str) -> str:
    if place not in _SPOKEN:
        return ""
    kind = block.get("type")
    if isinstance(kind, str) and kind in _UNREAD_TYPES:
        source = block.get("source")
        readable = (
            kind == "document" and isinstance(source, dict) and source.get("type") in ("text", "content")
        )
        return "" if readable else kind
    for key in _UNREAD_KEYS:
        if isinstance(block.get(key), dict):
            return key
    return ""
