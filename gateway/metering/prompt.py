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

IMAGE: Final = 6000  # an image is about 1,600 tokens, however many bytes it has
SETS: Final = 64  # sets of definitions that are remembered
BRANCHES: Final = 4  # conversations of one session at once: the agent's own, and its subagents'
SESSIONS: Final = 4096
EDGE: Final = 1024  # bytes by which a text is known again
_TOOLS, _OPEN, _BETWEEN = b'"tools":', b'{"messages":[', b" \n\r\t,"
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


class _Function(msgspec.Struct):
    name: str = ""


class _Tool(msgspec.Struct):
    name: str = ""
    function: _Function | None = None
    defer_loading: bool = False


class _Call(msgspec.Struct):
    id: str = ""
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    role: str = ""
    content: list[msgspec.Raw] | str | None = None
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
    tools: msgspec.Raw = msgspec.Raw(b"")
    system: msgspec.Raw = msgspec.Raw(b"")
    messages: list[msgspec.Raw] | None = None


_request = msgspec.json.Decoder(_Request).decode
_tool = msgspec.json.Decoder(_Tool).decode
_message = msgspec.json.Decoder(_Message).decode
_block = msgspec.json.Decoder(_Block).decode
_call = msgspec.json.Decoder(_Call).decode
_list = msgspec.json.Decoder(list[msgspec.Raw] | None).decode


class Beginning(msgspec.Struct, frozen=True):
    """How a request began, up to the end of a message, and what that amounts to. `tools` stood somewhere in that request."""

    end: int = 0
    edge: bytes = b""
    definitions: Definitions = NO_TOOLS
    system: int = 0
    stretch: Stretch = EMPTY
    tools: Definitions = NO_TOOLS

    def fits(self, body: bytes) -> bool:
        return body.startswith(self.edge, self.end - len(self.edge))

    def rest(self, body: bytes) -> tuple[bytes, Definitions | None]:
        """What follows it, as a request of its own, and the tools where they are the known ones: then they are left out."""
        if not self.end:
            return body, None
        at = body.find(_TOOLS, self.end) + len(_TOOLS)
        at += body.startswith(b" ", at)
        raw = self.tools.raw
        past = at + len(raw)
        if raw and body.startswith(raw[:EDGE], at) and body.startswith(raw[-EDGE:], past - len(raw[-EDGE:])):
            parts = (_OPEN, body[self.end : at].lstrip(_BETWEEN), b"null", body[past:])
            return b"".join(parts), self.tools
        return _OPEN + body[self.end :].lstrip(_BETWEEN), None


NOTHING: Final = Beginning()


class Reader:
    """`Reader().read(body, session)` is the prompt of an Anthropic Messages or an OpenAI chat request.

    None for what is neither, or names no tools: without them nothing is to be laid at anybody's door.
    """

    def __init__(self) -> None:
        self._sets: OrderedDict[bytes, Definitions] = OrderedDict()
        self._sessions: OrderedDict[str, list[Beginning]] = OrderedDict()

    def read(self, body: bytes, session: str = "") -> Prompt | None:
        before = self._known(session, body)
        if not before.end and b'"tools"' not in body:
            return None
        try:
            return self._read(body, session, before)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def _known(self, session: str, body: bytes) -> Beginning:
        found = NOTHING
        for one in self._sessions.get(session, ()):
            if one.end > found.end and one.fits(body):
                found = one
        return found

    def _read(self, body: bytes, session: str, before: Beginning) -> Prompt:
        text, definitions = before.rest(body)
        request = _request(text)
        raws = request.messages or []
        messages = list(map(_message, raws))
        asked = _last_answer(messages)
        if (
            asked is None and before.end
        ):  # it went back behind what was seen: which turn is new is told by the whole
            return self._read(body, session, NOTHING)
        old, new = before.stretch.copy(), Stretch()
        _turns(messages[: asked or 0], old)
        called = _turns(messages[asked or 0 :], new)
        definitions = definitions or self._definitions(bytes(request.tools)) or before.definitions
        if session and asked:
            self._remember(session, body, before, raws[:asked], old, definitions)
        return Prompt(definitions, len(bytes(request.system)) or before.system, old, new, called)

    def _definitions(self, raw: bytes) -> Definitions | None:
        if not raw:
            return None
        found = self._sets.get(raw)
        if found is None:
            found = self._sets[raw] = _defined(raw)
            if len(self._sets) > SETS:
                self._sets.popitem(last=False)
        self._sets.move_to_end(raw)
        return found

    def _remember(
        self, session: str, body: bytes, before: Beginning, raws: Sequence[msgspec.Raw], old: Stretch, tools: Definitions
    ) -> None:  # fmt: skip
        end, definitions, system = before.end, before.definitions, before.system
        for raw in raws:
            text = bytes(raw)
            end = body.find(text, end) + len(text)
        if not before.end:  # what stood before the first message, and whether it is one
            head = _request(body[:end] + b"]}")
            if len(head.messages or ()) != len(raws):
                return
            definitions = self._definitions(bytes(head.tools)) or NO_TOOLS
            system = len(bytes(head.system))
        now = Beginning(end, body[max(0, end - EDGE) : end], definitions, system, old, tools)
        others = [one for one in self._sessions.pop(session, ()) if one is not before]
        self._sessions[session] = [now, *others[: BRANCHES - 1]]
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)


def _defined(raw: bytes) -> Definitions:
    sizes: dict[str, int] = {}
    deferred: dict[str, int] = {}
    for each in _list(raw) or ():
        tool = _tool(each)
        name = tool.function.name if tool.function else tool.name
        (deferred if tool.defer_loading else sizes)[name] = len(bytes(each))
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
        role = message.role
        _turn(message, into, names, called)
    return called


def _turn(message: _Message, into: Stretch, names: dict[str, str], called: list[str]) -> None:
    content = message.content
    for each in message.tool_calls or ():
        call = _call(each)
        called.append(call.function.name)
        names[call.id] = call.function.name
        into.add(call.function.name, len(bytes(each)))
    if isinstance(content, str):
        into.add(names.get(message.tool_call_id, ""), _size(content.encode("utf-8", "replace")))
        return
    for raw in content or ():
        _content(bytes(raw), into, names, called, names.get(message.tool_call_id, ""))


def _content(data: bytes, into: Stretch, names: dict[str, str], called: list[str], tool: str) -> None:
    block = _block(data)
    if block.type == "tool_use":
        tool = names[block.id] = block.name
        called.append(tool)
    elif block.type == "tool_result":
        tool = names.get(block.tool_use_id, "")
        if b'"tool_reference"' in data:
            found = (_block(each) for each in _list(block.content) or ())
            into.found |= {each.tool_name: None for each in found if each.type == "tool_reference"}
    into.add(tool, len(data) if block.type == "text" else _size(data))


def _size(data: bytes) -> int:
    size = len(data)
    if size > 400 and b"base64" in data:
        images = [len(found[0]) for found in _DATA.finditer(data)]
        size += IMAGE * len(images) - sum(images)
    return size
