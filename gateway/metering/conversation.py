"""What a stretch of a conversation amounts to: its size, and what of it each tool brought."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.metering.definitions import Function

IMAGE: Final = 6000  # an image is about 1,600 tokens, however many bytes it has
SHORT: Final = 400  # bytes that are no image
_DATA = re.compile(rb'"(?:data:[^"]{0,80},)?[A-Za-z0-9+/=]{400,}"')


@dataclass(slots=True)
class Stretch:
    """A part of the conversation: its size, what of it each tool brought, and the deferred tools that a search found."""

    size: int = 0
    tools: dict[str, int] = field(default_factory=dict)
    found: dict[str, None] = field(default_factory=dict)

    def copy(self) -> Stretch:
        return Stretch(self.size, dict(self.tools), dict(self.found))

    def add(self, tool: str, size: int) -> None:
        self.size += size
        if tool:
            self.tools[tool] = self.tools.get(tool, 0) + size


EMPTY: Final = Stretch()  # only ever copied


class _Call(msgspec.Struct, gc=False):
    id: str = ""
    function: Function = msgspec.field(default_factory=Function)


class Message(msgspec.Struct, gc=False):
    """As far as it is read: who says it, and what it calls."""

    role: str = ""
    content: list[msgspec.Raw] | str | None = None
    tool_calls: list[msgspec.Raw] | None = None
    tool_call_id: str = ""


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    id: str = ""
    name: str = ""
    tool_use_id: str = ""


class _Result(msgspec.Struct):
    type: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Reference(msgspec.Struct):
    type: str = ""
    tool_name: str = ""


decode = msgspec.json.Decoder(Message).decode
_block = msgspec.json.Decoder(_Block).decode
_result = msgspec.json.Decoder(_Result).decode
_reference = msgspec.json.Decoder(_Reference).decode
_call = msgspec.json.Decoder(_Call).decode
_list = msgspec.json.Decoder(list[msgspec.Raw] | None).decode


def last_answer(messages: Sequence[Message]) -> int | None:
    """Where the last answer of the model begins: what was before it, the turn before had sent already."""
    found = None
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "assistant":
            found = index
        elif found is not None:
            break
    return found


def add(messages: Iterable[Message], into: Stretch) -> list[str]:
    """Adds messages up; gives the tools that they call. Results follow the answer that asked for them."""
    names: dict[str, str] = {}  # id of a tool use → the tool's name
    called: list[str] = []
    role = ""
    for message in messages:
        if message.role == "assistant" != role:
            names = {}
        role, content = message.role, message.content
        if message.tool_calls:
            _functions(message.tool_calls, into, names, called)
        told = names.get(message.tool_call_id, "")
        if isinstance(content, str):
            into.add(told, _size(content.encode("utf-8", "replace")))
        elif content:
            _blocks(content, told, into, names, called)
    return called


def _functions(calls: Sequence[msgspec.Raw], into: Stretch, names: dict[str, str], called: list[str]) -> None:
    for raw in calls:
        call = _call(raw)
        name = names[call.id] = call.function.name
        called.append(name)
        into.add(name, len(raw))


def _blocks(
    content: Sequence[msgspec.Raw], told: str, into: Stretch, names: dict[str, str], called: list[str]
) -> None:
    tools = into.tools
    for raw in content:
        block, tool, size = _block(raw), told, len(raw)
        kind = block.type
        if kind != "text":
            if kind == "tool_use":
                tool = names[block.id] = block.name
                called.append(tool)
            elif kind == "tool_result":
                tool = names.get(block.tool_use_id, "")
            data = bytes(raw)
            if b'"tool_reference"' in data:
                _found(data, into)
            if size > SHORT and b"base64" in data:
                size = _size(data)
        into.size += size
        if tool:
            tools[tool] = tools.get(tool, 0) + size


def _found(data: bytes, into: Stretch) -> None:
    """The deferred tools that a search brought."""
    result = _result(data)
    if result.type == "tool_result":
        found = map(_reference, _list(result.content) or ())
        into.found |= {each.tool_name: None for each in found if each.type == "tool_reference"}


def _size(data: bytes) -> int:
    size = len(data)
    if size > SHORT and b"base64" in data:
        images = [len(found[0]) for found in _DATA.finditer(data)]
        size += IMAGE * len(images) - sum(images)
    return size
