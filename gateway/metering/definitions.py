"""The tools that a request defines, each with its size. Sets of them that were seen before are known again by their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

SETS: Final = 64  # sets of definitions that are remembered


@dataclass(frozen=True, slots=True, eq=False)
class Definitions:
    """The tools of a request as it has them, each with the size of its definition."""

    raw: bytes
    sizes: Mapping[str, int]
    deferred: Mapping[str, int]  # only sent when a search finds them
    size: int


NO_TOOLS: Final = Definitions(b"", {}, {}, 0)


class Function(msgspec.Struct, gc=False):
    """In which OpenAI wraps a tool's name."""

    name: str = ""


class _Tool(msgspec.Struct):
    name: str = ""
    function: Function | None = None
    defer_loading: bool = False


_tool = msgspec.json.Decoder(_Tool).decode
_list = msgspec.json.Decoder(list[msgspec.Raw] | None).decode


class Sets:
    """The sets of definitions that were asked for last, of which the last one is the first."""

    def __init__(self) -> None:
        self._known: list[Definitions] = []

    def at(self, body: bytes, start: int) -> Definitions | None:
        """The known set that stands there."""
        for known in self._known:
            if body.startswith(known.raw, start):
                return self._newest(known)
        return None

    def of(self, raw: bytes) -> Definitions | None:
        if not raw:
            return None
        return self._newest(next((known for known in self._known if known.raw == raw), None) or _defined(raw))

    def _newest(self, definitions: Definitions) -> Definitions:
        known = self._known
        if not known or known[0] is not definitions:
            self._known = [definitions, *(each for each in known if each is not definitions)][:SETS]
        return definitions


def _defined(raw: bytes) -> Definitions:
    sizes: dict[str, int] = {}
    deferred: dict[str, int] = {}
    for each in _list(raw) or ():
        tool = _tool(each)
        name = tool.function.name if tool.function else tool.name
        (deferred if tool.defer_loading else sizes)[name] = len(each)
    return Definitions(raw, sizes, deferred, sum(sizes.values()))
