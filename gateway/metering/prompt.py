"""The prompt of a model call in the provider's order, with what each tool brought into it, read from the request's body.

An agent sends its definitions and its conversation again with every turn. Neither is read twice: of a conversation only what
follows the longest beginning that was seen before is decoded, and definitions that were seen before are cut out first. Both are
known by where they end and by their last bytes: what differs before that, at the same length, costs the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.errors import UNREADABLE
from gateway.metering import conversation
from gateway.metering.beginning import BETWEEN, EDGE, NOTHING, OPEN, Beginning, ends
from gateway.metering.conversation import Stretch
from gateway.metering.definitions import NO_TOOLS, Definitions, Sets

BRANCHES: Final = 4  # conversations of one session at once: the agent's own, and its subagents'
SESSIONS: Final = 4096
_TOOLS = b'"tools"'


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


class _Request(msgspec.Struct, gc=False):
    tools: msgspec.Raw = msgspec.Raw(b"")
    system: msgspec.Raw = msgspec.Raw(b"")
    messages: list[msgspec.Raw] | None = None


_request = msgspec.json.Decoder(_Request).decode


class Reader:
    """`Reader().read(body, session)` is the prompt of an Anthropic Messages or an OpenAI chat request.

    None for what is neither, or names no tools: without them nothing is to be laid at anybody's door.
    """

    def __init__(self) -> None:
        self._sets = Sets()
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
        messages = list(map(conversation.decode, raws))
        asked = conversation.last_answer(messages)
        # It went back behind what was seen: which turn is new is told by the whole.
        if asked is None and before.end:
            return self._read(body, session, NOTHING, 0)
        old, new = before.stretch.copy(), Stretch()
        conversation.add(messages[: asked or 0], old)
        called = conversation.add(messages[asked or 0 :], new)
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
        request = _request(OPEN + text.lstrip(BETWEEN) if before.end else text)
        return (
            definitions or self._sets.of(bytes(request.tools)),
            len(request.system),
            request.messages or [],
        )

    def _without_tools(self, body: bytes, start: int, tools: int) -> tuple[bytes, Definitions | None]:
        """What stands from `start` on, and the definitions where they are known ones: then they are left out."""
        tools = tools or body.rfind(_TOOLS, start)
        at = body.find(b"[", tools, tools + len(_TOOLS) + 3) if tools >= 0 else len(body)
        known = self._sets.at(body, at)
        if known is not None:
            return b"".join((body[start:at], b"null", body[at + len(known.raw) :])), known
        return body[start:] if start else body, None

    def _remember(
        self, session: str, body: bytes, before: Beginning, raws: Sequence[msgspec.Raw], asked: int, old: Stretch,
        definitions: Definitions | None, system: int,
    ) -> None:  # fmt: skip
        first = body.find(bytes(raws[0])[:EDGE], before.end)
        ended = ends(body, first, raws, asked)
        if first < 0 or ended is None:
            return
        front, size = before.definitions, before.system
        if not before.end:  # what stood before the first message, and whether it is one
            head = _head(body[:first] + b"]}")
            if head is None or head.messages != []:
                return
            front, size = self._sets.of(bytes(head.tools)) or NO_TOOLS, len(head.system)
        end, past = ended
        now = Beginning(
            end, body[max(0, end - EDGE) : end], front, size, old,
            len(body) - past, (body[past : past + EDGE], body[-EDGE:]), (definitions, system),
        )  # fmt: skip
        others = [one for one in self._sessions.pop(session, ()) if one is not before]
        self._sessions[session] = [now, *others[: BRANCHES - 1]]
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)


def _head(text: bytes) -> _Request | None:
    try:
        return _request(text)
    except UNREADABLE:
        return None
