"""What each tool costs: its share of the input tokens of one model call.

A tool is paid for in every request that defines it, and its calls and results are paid for again in every later turn, because
the whole conversation is sent each time. The provider only says how many tokens the prompt had; here they are laid over the
prompt's parts in the order in which a provider reads them (tools, system, messages), by size. So the first `cache_read`
tokens, which cost a tenth, fall to the parts that stand first, as they do at the provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from gateway.metering.usage import Usage

Kind = Literal["definition", "result"]
IMAGE = 6000  # an image is about 1,600 tokens, however many bytes it has
_DATA = re.compile(rb'"(?:data:[^"]{0,80},)?[A-Za-z0-9+/=]{400,}"')


class Part(NamedTuple):
    """A stretch of the prompt. `tool` is "" for what no tool brought."""

    tool: str
    kind: Kind
    size: int


@dataclass(slots=True)
class Prompt:
    """The parts of a request in the provider's order, and the tools whose calls are new in it."""

    parts: list[Part] = field(default_factory=list)
    defined: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)


class Share(NamedTuple):
    """One tool's part of one call's prompt, by price: as `Usage`, so that the price table can price it."""

    tool: str
    definition: Usage
    result: Usage


class _Tool(msgspec.Struct):
    name: str = ""
    function: _Function | None = None
    defer_loading: bool = False


class _Function(msgspec.Struct):
    name: str = ""


class _Call(msgspec.Struct):
    id: str = ""
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")
    tool_calls: list[msgspec.Raw] | None = None
    tool_call_id: str = ""


class _Block(msgspec.Struct):
    type: str = ""
    id: str = ""
    name: str = ""
    tool_use_id: str = ""
    tool_name: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Request(msgspec.Struct):
    tools: list[msgspec.Raw] | None = None
    system: msgspec.Raw = msgspec.Raw(b"")
    messages: list[msgspec.Raw] | None = None


_request = msgspec.json.Decoder(_Request).decode
_tool = msgspec.json.Decoder(_Tool).decode
_message = msgspec.json.Decoder(_Message).decode
_block = msgspec.json.Decoder(_Block).decode
_call = msgspec.json.Decoder(_Call).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read(body: bytes) -> Prompt | None:
    """The prompt of an Anthropic Messages or an OpenAI chat request; None for what is neither."""
    try:
        return _Reader().read(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class _Reader:
    def __init__(self) -> None:
        self.prompt = Prompt()
        self.names: dict[str, str] = {}  # id of a tool use → the tool's name
        self.deferred: dict[str, int] = {}  # defined, but only sent when the search finds it

    def read(self, body: bytes) -> Prompt:
        request = _request(body)
        for raw in request.tools or ():
            self._definition(raw)
        self._part("", "definition", request.system)
        for raw in request.messages or ():
            self._turn(raw)
        return self.prompt

    def _definition(self, raw: msgspec.Raw) -> None:
        tool = _tool(raw)
        name = tool.function.name if tool.function else tool.name
        self.prompt.defined.append(name)
        if tool.defer_loading:
            self.deferred[name] = len(bytes(raw))
        else:
            self._part(name, "definition", raw)

    def _turn(self, raw: msgspec.Raw) -> None:
        message = _message(raw)
        if message.role == "assistant":
            self.prompt.called = []  # only the last turn's calls are new; the others were counted when they were
        for call in message.tool_calls or ():
            self._use(_call(call).id, _call(call).function.name, call)
        if message.tool_call_id:
            self._part(self.names.get(message.tool_call_id, ""), "result", message.content)
        elif bytes(message.content).startswith(b"["):
            for block in _list(message.content):
                self._content(block)
        else:
            self._part("", "result", message.content)

    def _content(self, raw: msgspec.Raw) -> None:
        block = _block(raw)
        if block.type == "tool_use":
            self._use(block.id, block.name, raw)
        elif block.type == "tool_result":
            self._references(block.content)
            self._part(self.names.get(block.tool_use_id, ""), "result", raw)
        else:
            self._part("", "result", raw)

    def _use(self, id: str, name: str, raw: msgspec.Raw) -> None:
        self.names[id] = name
        self.prompt.called.append(name)
        self._part(name, "result", raw)

    def _references(self, content: msgspec.Raw) -> None:
        if b'"tool_reference"' not in bytes(content):
            return
        for block in map(_block, _list(content)):
            if block.type == "tool_reference" and block.tool_name in self.deferred:
                self.prompt.parts.append(
                    Part(block.tool_name, "definition", self.deferred.pop(block.tool_name))
                )

    def _part(self, tool: str, kind: Kind, raw: msgspec.Raw) -> None:
        data = bytes(raw)
        size = len(data)
        if size > 400 and (b'"base64"' in data or b"data:image" in data):
            images = [len(found[0]) for found in _DATA.finditer(data)]
            size += IMAGE * len(images) - sum(images)
        if size:
            self.prompt.parts.append(Part(tool, kind, size))


def shares(prompt: Prompt, usage: Usage) -> list[Share]:
    """What each tool had of this prompt's tokens. Their sum, with what no tool brought, is the prompt."""
    total = sum(part.size for part in prompt.parts)
    found: dict[tuple[str, Kind], list[float]] = {}
    if not total or not usage.prompt:
        return []
    edges = _edges(usage)
    position = 0
    for part in prompt.parts:
        start, position = position, position + part.size
        if part.tool:
            cell = found.setdefault((part.tool, part.kind), [0.0] * len(edges))
            for index, (low, high) in enumerate(edges):
                cell[index] += max(
                    0.0,
                    min(position * usage.prompt / total, high) - max(start * usage.prompt / total, low),
                )
    return list(_rounded(found))


def _edges(usage: Usage) -> list[tuple[int, int]]:
    """Where in the prompt each price applies: read from the cache first, written to it next, the rest at last."""
    edges, position = [], 0
    for amount in (usage.cache_read, usage.cache_write_1h, usage.cache_write, usage.input):
        edges.append((position, position + amount))
        position += amount
    return edges


def _rounded(found: dict[tuple[str, Kind], list[float]]) -> Iterator[Share]:
    for tool in dict.fromkeys(tool for tool, _ in found):
        yield Share(tool, _usage(found.get((tool, "definition"))), _usage(found.get((tool, "result"))))


def _usage(tokens: list[float] | None) -> Usage:
    if tokens is None:
        return Usage()
    read, write_1h, write, fresh = map(round, tokens)
    return Usage(input=fresh, cache_read=read, cache_write=write, cache_write_1h=write_1h)


def split(name: str) -> tuple[str, str]:
    """Claude Code's `mcp__SERVER__TOOL` as server and tool; any other name is a tool of the client's own."""
    if name.startswith("mcp__") and "__" in name[5:]:
        server, _, tool = name[5:].partition("__")
        return server, tool
    return "", name
