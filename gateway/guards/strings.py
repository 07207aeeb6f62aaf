"""The strings of a request or an answer that people, models and tools wrote, and where in it they stand.

One walk for all dialects: what a key or a type means is the same in each of them, and a field that nobody told us about
is read like any other (lists are open). Pictures, sounds and documents cannot be read here; they are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

Path = tuple[str | int, ...]


class Piece(Struct, frozen=True):
    place: str  # of a body: system, messages, tool_results, tools, answer; of a tool: arguments, result, definition
    path: Path
    text: str


class Unread(Struct, frozen=True):
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
# What tells of such a block in a JSON text without spaces, in RE2's words; a text may speak of one, too.
UNREAD = rf'"type":"(?:{"|".join(sorted(_UNREAD_TYPES))})"|"(?:{"|".join(sorted(_UNREAD_KEYS))})":\{{'
# Names, ids and opaque blobs: written by programs, and checked by whoever made them.
_OPAQUE = frozenset({"type", "role", "id", "tool_use_id", "tool_call_id", "call_id", "signature", "thoughtSignature", "thought_signature",
                     "encrypted_content", "cache_control", "media_type", "mimeType", "mime_type", "finish_reason", "finishReason", "stop_reason",
                     "status", "object", "model", "toolUseId", "item_id", "stopReason", "blob"})  # fmt: skip


def request(body: Any) -> list[Piece | Unread]:
    return _tops(body, _TOPS)


def answer(body: Any) -> list[Piece | Unread]:
    return _tops(body, _ANSWER_TOPS)


def everything(value: Any, place: str, *, at: Path = ()) -> list[Piece | Unread]:
    """All strings of a value: a tool's arguments, its result, its definition."""
    return _walk(value, place, at)


def _tops(body: Any, tops: dict[str, str]) -> list[Piece | Unread]:
    found: list[Piece | Unread] = []
    if isinstance(body, dict):
        for key, value in body.items():
            if key in tops:
                found += _walk(value, tops[key], (key,))
    return found


def _walk(value: Any, place: str, path: Path) -> list[Piece | Unread]:
    """In the order of the body. It runs over every prompt: strings are taken where they are met, and only what can hold
    more opens a frame. Frames of our own, for the depth of a body is its sender's choice."""
    found: list[Piece | Unread] = []
    first = _frame(value, place, path, found)
    frames = [] if first is None else [first]
    while frames:
        entries, outer, inner, path = frames[-1]
        for key, item in entries:
            if outer in _SPOKEN and (key in _OPAQUE or (outer == "answer" and key in _ECHOED)):
                continue
            place = "tool_results" if outer == "messages" and key in _RESULT_KEYS else inner
            if isinstance(item, str):
                if item:
                    found.append(Piece(place, (*path, key), item))
            elif isinstance(item, (dict, list)) and (inside := _frame(item, place, (*path, key), found)):
                frames.append(inside)
                break
        else:
            frames.pop()
    return found


# What is left of a container, the place that it stands in ("" of a list), that of what it holds, and its path.
_Frame = tuple[Iterator[tuple[Any, Any]], str, str, Path]


def _frame(value: Any, place: str, path: Path, found: list[Piece | Unread]) -> _Frame | None:
    if isinstance(value, list):
        return enumerate(value), "", place, path
    if isinstance(value, dict):
        if place not in _SPOKEN or _data(path, place):
            return iter(value.items()), "", place, path
        kind = value.get("type")
        if isinstance(kind, str) and kind in _SIGNED:
            return None
        if kind := _unread(value):
            found.append(Unread(kind, path))
            return None
        return iter(value.items()), place, _place(value, place), path
    if isinstance(value, str) and value:
        found.append(Piece(place, path, value))
    return None


# What tools are given and give: there a key means what its tool says.
_DATA = frozenset({"input", "args", "response", "structuredContent", "_meta"})


def _data(path: Path, place: str) -> bool:
    """At the top of a body, `input` and `response` hold messages."""
    return not _DATA.isdisjoint(path if place == "result" else path[1:])


_SPOKEN = frozenset({"system", "messages", "tool_results", "answer", "result"})
_ECHOED = frozenset({"instructions", "tools", "metadata", "usage"})  # of a request, in the answer to it
# A changed one is refused by whoever signed it.
_SIGNED = frozenset({"thinking", "redacted_thinking", "thinking_delta", "signature_delta"})


def _place(block: dict[str, Any], place: str) -> str:
    if place != "messages":
        return place
    role, kind = block.get("role"), block.get("type")
    if role in ("system", "developer"):
        return "system"
    if role in ("tool", "function") or (isinstance(kind, str) and kind in _RESULT_TYPES):
        return "tool_results"
    return place


def _unread(block: dict[str, Any]) -> str:
    kind = block.get("type")
    if isinstance(kind, str) and kind in _UNREAD_TYPES:
        source = block.get("source")
        readable = (
            kind == "document" and isinstance(source, dict) and source.get("type") in ("text", "content")
        )
        return "" if readable else kind
    if _UNREAD_KEYS.isdisjoint(block):
        return ""
    for key in _UNREAD_KEYS:
        if isinstance(block.get(key), dict):
            return key
    return ""
