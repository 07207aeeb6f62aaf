"""The prompt of a model call in the provider's order, with what each tool brought into it, read from the request's body.

An agent sends its definitions and its conversation again with every turn. Neither is read twice: of a conversation only what
follows the longest beginning that was seen before is decoded, and definitions that were seen before are cut out first. Both are
known by where they end and by their last bytes: what differs before that, at the same length, costs the same.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.errors import UNREADABLE

IMAGE: Final = 6000  # an image is about 1,600 tokens, however many bytes it has
SETS: Final = 64  # sets of definitions that are remembered
BRANCHES: Final = 4  # conversations of one session at once: the agent's own, and its subagents'
SESSIONS: Final = 4096
EDGE: Final = 256  # bytes by which a text is known again
SHORT: Final = 400  # bytes that are no image
_TOOLS, _OPEN, _BETWEEN = b'"tools"', b'{"messages":[', b" \n\r\t,"
_DATA = re.compile(rb'"(?:data:[^"]{0,80},)?[A-Za-z0-9+/=]{400,}"')


@dataclass(frozen=True, slots=True, eq=False)
class Definitions:
    """The tools of a request as it has them, each with the size of its definition."""

    raw: bytes
    sizes: Mapping[str, int]
    deferred: Mapping[str, int]  # only sent when a search finds them
    size: int


NO_TOOLS: Final = Definitions(b"", {}, {}, 0)


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


class Prompt(msgspec.Struct, frozen=True):
    """A request in the provider's order. `called` are the tools whose calls are new in it."""

    definitions: Definitions
    system: int
    old: Stretch
    new: Stretch
    called: Sequence[str]

    def brought(self, stretch: Stretch) -> list[tuple[str, int]]:
        """The deferred definitions that a search brought into this stretch, each once."""
        deferred = self.definitions.deferred
        if not stretch.found or not deferred:
            return []
        earlier = () if stretch is self.old else self.old.found
        return [(name, deferred[name]) for name in stretch.found if name in deferred and name not in earlier]


class _Function(msgspec.Struct, gc=False):
    name: str = ""


class _Tool(msgspec.Struct):
    name: str = ""
    function: _Function | None = None
    defer_loading: bool = False


class _Call(msgspec.Struct, gc=False):
    id: str = ""
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct, gc=False):
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


class _Request(msgspec.Struct, gc=False):
    tools: msgspec.Raw = msgspec.Raw(b"")
    system: msgspec.Raw = msgspec.Raw(b"")
    messages: list[msgspec.Raw] | None = None


_request = msgspec.json.Decoder(_Request).decode
_tool = msgspec.json.Decoder(_Tool).decode
_message = msgspec.json.Decoder(_Message).decode
_block = msgspec.json.Decoder(_Block).decode
_result = msgspec.json.Decoder(_Result).decode
_reference = msgspec.json.Decoder(_Reference).decode
_call = msgspec.json.Decoder(_Call).decode
_list = msgspec.json.Decoder(list[msgspec.Raw] | None).decode


class Beginning(msgspec.Struct, frozen=True):
    """How a request began, up to the end of a message, and what that amounts to; and what stood behind its last message."""

    end: int = 0
    edge: bytes = b""
    definitions: Definitions = NO_TOOLS
    system: int = 0
    stretch: Stretch = EMPTY
    tail: int = 0
    tail_edges: tuple[bytes, bytes] = (b"", b"")
    behind: tuple[Definitions | None, int] = (None, 0)

    def fits(self, body: bytes) -> bool:
        return body.startswith(self.edge, self.end - len(self.edge))

    def between(self, body: bytes) -> bytes | None:
        """The messages that are new; None where something else is behind them than the last time."""
        first, last = self.tail_edges
        past = len(body) - self.tail
        if past > self.end and body.startswith(first, past) and body.endswith(last):
            return _OPEN + body[self.end : past].lstrip(_BETWEEN) + b"]}"
        return None


NOTHING: Final = Beginning()


class Reader:
    """`Reader().read(body, session)` is the prompt of an Anthropic Messages or an OpenAI chat request.

    None for what is neither, or names no tools: without them nothing is to be laid at anybody's door.
    """

    def __init__(self) -> None:
        self._sets: list[Definitions] = []  # the one that was asked for last is the first
        self._sessions: OrderedDict[str, list[Beginning]] = OrderedDict()

    def read(self, body: bytes, session: str = "") -> Prompt | None:
        before = self._known(session, body)
        tools = body.rfind(_TOOLS) if not before.end else 0
        if tools < 0:
            return None
        try:
            return self._read(body, session, before, tools)
        except UNREADABLE:
            return None

    def _known(self, session: str, body: bytes) -> Beginning:
        found = NOTHING
        for one in self._sessions.get(session, ()):
            if one.end > found.end and one.fits(body):
                found = one
        return found

    def _read(self, body: bytes, session: str, before: Beginning, tools: int) -> Prompt:
        definitions, system, raws = self._members(body, before, tools)
        messages = list(map(_message, raws))
        asked = _last_answer(messages)
        # It went back behind what was seen: which turn is new is told by the whole.
        if asked is None and before.end:
            return self._read(body, session, NOTHING, 0)
        old, new = before.stretch.copy(), Stretch()
        _turns(messages[: asked or 0], old)
        called = _turns(messages[asked or 0 :], new)
        if session and asked:
            self._remember(session, body, before, raws, asked, old, definitions, system)
        return Prompt(definitions or before.definitions, system or before.system, old, new, called)

    def _members(
        self, body: bytes, before: Beginning, tools: int
    ) -> tuple[Definitions | None, int, list[msgspec.Raw]]:
        """The definitions, the size of the system prompt, and the messages: of what follows this beginning."""
        between = before.between(body) if before.end else None
        if between is not None:
            return *before.behind, _request(between).messages or []
        text, definitions = self._without_tools(body, before.end, tools)
        request = _request(_OPEN + text.lstrip(_BETWEEN) if before.end else text)
        return (
            definitions or self._definitions(bytes(request.tools)),
            len(request.system),
            request.messages or [],
        )

    def _without_tools(self, body: bytes, start: int, tools: int) -> tuple[bytes, Definitions | None]:
        """What stands from `start` on, and the definitions where they are known ones: then they are left out."""
        tools = tools or body.rfind(_TOOLS, start)
        at = body.find(b"[", tools, tools + len(_TOOLS) + 3) if tools >= 0 else len(body)
        for known in self._sets:
            if body.startswith(known.raw, at):
                return b"".join((body[start:at], b"null", body[at + len(known.raw) :])), self._newest(known)
        return body[start:] if start else body, None

    def _definitions(self, raw: bytes) -> Definitions | None:
        if not raw:
            return None
        return self._newest(next((known for known in self._sets if known.raw == raw), None) or _defined(raw))

    def _newest(self, definitions: Definitions) -> Definitions:
        sets = self._sets
        if not sets or sets[0] is not definitions:
            self._sets = [definitions, *(each for each in sets if each is not definitions)][:SETS]
        return definitions

    def _remember(
        self, session: str, body: bytes, before: Beginning, raws: Sequence[msgspec.Raw], asked: int, old: Stretch,
        definitions: Definitions | None, system: int,
    ) -> None:  # fmt: skip
        first = body.find(bytes(raws[0])[:EDGE], before.end)
        ends = _ends(body, first, raws, asked)
        if first < 0 or ends is None:
            return
        front, size = before.definitions, before.system
        if not before.end:  # what stood before the first message, and whether it is one
            head = _head(body[:first] + b"]}")
            if head is None or head.messages != []:
                return
            front, size = self._definitions(bytes(head.tools)) or NO_TOOLS, len(head.system)
        end, past = ends
        now = Beginning(
            end, body[max(0, end - EDGE) : end], front, size, old,
            len(body) - past, (body[past : past + EDGE], body[-EDGE:]), (definitions, system),
        )  # fmt: skip
        others = [one for one in self._sessions.pop(session, ()) if one is not before]
        self._sessions[session] = [now, *others[: BRANCHES - 1]]
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)


def _ends(body: bytes, first: int, raws: Sequence[msgspec.Raw], count: int) -> tuple[int, int] | None:
    """Where so many messages end, and where all do, which stand equally far apart; None where they do not."""
    past = first + len(raws[0])
    gap = body.find(bytes(raws[1])[:EDGE], past) - past
    end = past + sum(map(len, raws[1:count])) + gap * (count - 1)
    last = end + sum(map(len, raws[count:])) + gap * (len(raws) - count)
    if not body.startswith(bytes(raws[count])[:EDGE], end + gap) or not body.startswith(b"]", last):
        return None
    return end, last


def _head(text: bytes) -> _Request | None:
    try:
        return _request(text)
    except UNREADABLE:
        return None


def _defined(raw: bytes) -> Definitions:
    sizes: dict[str, int] = {}
    deferred: dict[str, int] = {}
    for each in _list(raw) or ():
        tool = _tool(each)
        name = tool.function.name if tool.function else tool.name
        (deferred if tool.defer_loading else sizes)[name] = len(each)
    return Definitions(raw, sizes, deferred, sum(sizes.values()))


def _last_answer(messages: Sequence[_Message]) -> int | None:
    """Where the last answer of the model begins: what was before it, the turn before had sent already."""
    found = None
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "assistant":
            found = index
        elif found is not None:
            break
    return found


def _turns(messages: Iterable[_Message], into: Stretch) -> list[str]:
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
