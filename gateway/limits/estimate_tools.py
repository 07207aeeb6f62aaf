"""What the tools of a request add to its prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.limits.estimate_families import Weights
from gateway.limits.recent import Recent

_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_SECTIONS = ("tools", "toolConfig", "tool_config", "functions")
_DEFERRED = re.compile(rb'"defer_loading":\s*true')
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_DATED = re.compile(rb'"\w+_20')  # in the kind of a tool that a provider defines
LONGEST = 512  # bytes of such kinds that are remembered
_TOOL = (
    b'"input_schema":',
    b'"inputSchema":',
    b'"parameters":',
    b'"parameters_json_schema":',
    b'"parametersJsonSchema":',
)


class Tools(Struct, frozen=True):
    """Definitions, measured."""

    size: int
    described: int  # bytes of what they say in words
    dated: bytes  # the kinds of those that a provider defines
    deferring: bool  # whether some are only loaded when they are looked for


def tokens(fields: Mapping[str, Any], weights: Weights, found: Iterable[bytes]) -> float:
    """`found` are the names of tools that were looked for."""
    raw = b"".join([bytes(fields[name]) for name in _SECTIONS if name in fields])
    if len(raw) <= len(b"null"):
        return 0.0
    tools = _measured(raw)
    if tools.deferring and "tools" in fields:
        raw = _loaded(bytes(fields["tools"]), raw, found)
        if not raw:
            return 0.0
        tools = _measured(raw)
    added = weights.described * tools.described + weights.defined * (tools.size - tools.described)
    added *= weights.more
    added += weights.forced if weights.forced and _is_forced(fields) else weights.toolbox
    if "messages" in fields:
        added += weights.chat
    if weights.tool or weights.field:
        number, arguments = _counted(raw)
        added += weights.tool * number + weights.field * arguments
    if tools.dated:
        added += sum(more for kind, more in weights.own if kind in tools.dated)
    return added


def _loaded(tools: bytes, every: bytes, found: Iterable[bytes]) -> bytes:
    """The tools without those that the model only sees when it looks for them, and has not found yet."""
    try:
        listed = [bytes(tool) for tool in _list(tools)]
    except msgspec.DecodeError:
        return every
    names = frozenset(found)
    return b",".join(
        tool for tool in listed if not (_DEFERRED.search(tool) and names.isdisjoint(_STRINGS.findall(tool)))
    )


def _measure(tools: bytes) -> Tools:
    return Tools(
        len(tools),
        _described(tools),
        b"".join(_DATED.findall(tools)) if b"_20" in tools else b"",
        b'"defer_loading"' in tools,
    )


def _described(tools: bytes) -> int:
    """The bytes of all descriptions."""
    size = 0
    for part in tools.split(b'"description":')[1:]:
        end = part.find(b'"', 2)
        while end > 0 and part[end - 1 : end] == b"\\":
            end = part.find(b'"', end + 1)
        size += max(0, end - 2)
    return size


def _count(tools: bytes) -> tuple[int, int]:
    """How many there are, and the arguments that they may have."""
    number = sum(map(tools.count, _TOOL)) or 1
    return number, max(0, tools.count(b'"type"') - number)


_measured = Recent(_measure, light=lambda tools: len(tools.dated) <= LONGEST)
_counted = Recent(_count)


def _is_forced(fields: Mapping[str, Any]) -> bool:
    if "tool_choice" in fields:
        choice = bytes(fields["tool_choice"])
    else:
        choice = bytes(fields.get("toolConfig", b"")).rpartition(b'"toolChoice"')[2]
    return bool(choice) and b"auto" not in choice and b"none" not in choice
